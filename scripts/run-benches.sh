#!/usr/bin/env bash
# Runs every kernel benchmark of a build folder: run-benches.sh BUILD_FOLDER
set -euo pipefail
found=0
for bench in "${1:?usage: run-benches.sh BUILD_FOLDER}"/eqo/*/*_bench; do
  [ -x "$bench" ] || continue
  found=1
  echo "== $(basename "$bench")"
  "$bench" --benchmark_min_time="${MIN_TIME:-0.2}" --benchmark_counters_tabular=true
done
[ $found -eq 1 ] || { echo "run-benches: no benchmark under $1" >&2; exit 1; }
