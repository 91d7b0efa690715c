#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages the project needs, and only those that are missing.
# Usage: deploy/packages.sh build|test|check   (test and check include build)
set -euo pipefail

build_packages=(
  build-essential cmake ninja-build ccache pkg-config
  libssl-dev libp11-dev libp11-kit-dev softhsm2 libcpp-httplib-dev nlohmann-json3-dev
  libsimdjson-dev libsqlite3-dev libcli11-dev libspdlog-dev libfmt-dev prometheus-cpp-dev
  libargon2-dev libseccomp-dev
  libbrotli-dev zlib1g-dev curl libcurl4-openssl-dev
)
test_packages=(
  libgtest-dev libgmock-dev python3 python3-hvac python3-venv ca-certificates strace opensc p11-kit
  libnss3 libnss3-tools procps
  opencryptoki swtpm tpm2-tools tpm2-abrmd libtss2-tcti-tabrmd0 libtpm2-pkcs11-1 libtpm2-pkcs11-tools
  dbus-daemon
)
check_packages=(clang-19 libclang-rt-19-dev)

case "${1:-}" in
  build) wanted=("${build_packages[@]}") ;;
  test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  check) wanted=("${build_packages[@]}" "${test_packages[@]}" "${check_packages[@]}") ;;
  *) echo "usage: $0 build|test|check" >&2; exit 2 ;;
esac
if [ "$1" != build ] && ! command -v npm >/dev/null 2>&1; then
  wanted+=(nodejs npm)
fi

missing=()
for package in "${wanted[@]}"; do
  if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
    missing+=("$package")
  fi
done
[ "${#missing[@]}" -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null 2>&1 || {
    echo "these packages are missing and need root to install: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
