#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, builds everything, runs the whole suite; ends with CTest's summary.
# Arguments are passed on to ctest, for example: tests/run.sh -L unit
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/packages.sh test
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DKMS_BUILD_TESTS=ON >/dev/null
cmake --build build
ctest --test-dir build --output-on-failure -j 2 "$@"
