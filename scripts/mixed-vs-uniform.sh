#!/bin/sh
# Uniform against mixed precision at equal bytes, on a whole test set: one uniform network for each W:A, then the best
# mixed one of at most its bytes. Appends to OUT.csv, so that it can be stopped and gone on with; draws OUT.svg.
# About 4 minutes a pair on one core for a ResNet-20.
#
#   EQO=build/release/eqo/cli/eqo scripts/mixed-vs-uniform.sh MODEL.onnx CALIB TEST OUT.csv 2:6 3:4 3:6 4:4 4:6
#
# PRODUCTS: of eqo quantize and eqo plan; ot if it is not given.
# QUANTIZE_FLAGS: more flags for eqo quantize, such as --mean 0.5071,0.4865,0.4409 --std 0.2673,0.2564,0.2762 or --threads 1.
set -eu
eqo=${EQO:-eqo}
products=${PRODUCTS:-ot}
model=$1 calib=$2 test=$3 table=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# row SERIES WIDTHS: of $work/m.eqo. The bytes are those of a session with one image, setup included.
row() {
  bytes=$("$eqo" plan "$work/m.eqo" --products "$products" --json -q | tr -d ' \n' | sed 's/.*"total_bytes":\([0-9]*\).*/\1/')
  accuracy=$("$eqo" eval "$work/m.eqo" --data "$test" --json -q | tr -d ' \n' | sed 's/.*"accuracy":\([0-9.]*\).*/\1/')
  awk -v s="$1" -v w="$2" -v b="$bytes" -v a="$accuracy" \
    'BEGIN { printf "%s,%s,%s,%.3f,%.2f\n", s, w, b, b / 1e6, 100 * a }' | tee -a "$table"
}

if [ ! -s "$table" ]; then
  {
    echo "# scripts/mixed-vs-uniform.sh $(basename "$model") CALIB TEST OUT.csv $*"
    echo "# eqo quantize MODEL --calib CALIB --products $products --weights W --activations A ${QUANTIZE_FLAGS:-}"
    echo "# eqo quantize MODEL --calib CALIB --products $products --budget BYTES ${QUANTIZE_FLAGS:-}"
    echo "series,widths,bytes,MB,accuracy %"
  } > "$table"
fi
for pair in "$@"; do
  w=${pair%:*} a=${pair#*:}
  # shellcheck disable=SC2086
  "$eqo" quantize "$model" --calib "$calib" --products "$products" --weights "$w" --activations "$a" -o "$work/m.eqo" -q \
    ${QUANTIZE_FLAGS:-} > "$work/log"
  row uniform "W${w}A$a"
  # shellcheck disable=SC2086
  "$eqo" quantize "$model" --calib "$calib" --products "$products" --budget "${bytes}B" --sensitivity-cache "$work/sensitivity" -o "$work/m.eqo" -q \
    ${QUANTIZE_FLAGS:-} > "$work/log"
  row mixed "W${w}A$a's bytes"
done
"$eqo" plot "$table" -o "${table%.csv}.svg" --x "MB" --y "accuracy %" --series series \
  --title "Uniform and mixed precision, $(basename "$model" .onnx)"
