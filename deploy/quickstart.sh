#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a running service: packages, optimised build, `kmsd dev` in the foreground.
# Arguments are passed on to `kmsd dev`, for example: deploy/quickstart.sh --listen 127.0.0.1:0
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/packages.sh build
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DKMS_BUILD_TESTS=OFF >/dev/null
cmake --build build --target kmsd kmsctl kms-bench
exec build/kmsd dev "$@"
