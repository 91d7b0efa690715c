#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target for a while: tests/fuzz/run.sh BUILD_DIR SECONDS [NAME...]
# Inputs of tests/fuzz/corpus/NAME are tried first. A finding is kept in BUILD_DIR/fuzz/found/.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: $0 BUILD_DIR SECONDS [NAME...]" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
programs=$(cd "$1/fuzz" && pwd)
seconds=$2
shift 2
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for program in "$programs"/*_fuzz; do
    names+=("$(basename "$program")")
  done
fi

failed=()
for name in "${names[@]}"; do
  # New inputs go to the first folder: never into the tree.
  grown="$programs/corpus/$name"
  mkdir -p "$grown" "$programs/found"
  folders=("$grown")
  if [ -d "$here/corpus/$name" ]; then
    folders+=("$here/corpus/$name")
  fi
  echo "== $name, $seconds s"
  log="$programs/$name.log"
  if "$programs/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
      -artifact_prefix="$programs/found/$name-" "${folders[@]}" >"$log" 2>&1; then
    tail -n 1 "$log"
  else
    failed+=("$name")
    tail -n 40 "$log"
  fi
done

if [ ${#failed[@]} -ne 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
echo "${#names[@]} fuzz targets found nothing"
