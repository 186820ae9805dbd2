#!/usr/bin/env bash
# Installs what the build, the tests and the demo need from Debian's packages; does nothing when all is there.
# Usage: install-deps.sh [build|test|train|lint|bench|browser]...
set -euo pipefail

declare -A groups=(
  [build]="build-essential cmake ninja-build pkg-config ca-certificates libssl-dev libsodium-dev libasio-dev libhwy-dev
           libonnx-dev libprotobuf-dev protobuf-compiler libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libstb-dev
           coinor-libcbc-dev"
  [train]="libtorch-dev"
  [test]="libgtest-dev libgmock-dev openssl libjxl-tools python3"
  [bench]="libbenchmark-dev"
  [browser]="chromium"
  [lint]="clang-format clang-tidy"
)

wanted=()
for group in "${@:-build}"; do
  [ -n "${groups[$group]:-}" ] || { echo "install-deps: unknown group '$group'" >&2; exit 2; }
  for package in ${groups[$group]}; do wanted+=("$package"); done
done

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing: ${missing[*]}" >&2
run=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "install-deps: run as root, or install: ${missing[*]}" >&2; exit 1; }
  run=(sudo)
fi
"${run[@]}" apt-get update -q
"${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
