#!/bin/sh
# Accuracy against communication, on a whole test set: rows of docs/accuracy.md. Appends to OUT.csv and leaves out what is
# there, so that it can be stopped and gone on with; draws OUT.svg.
#
#   EQO=build/release/eqo/cli/eqo scripts/accuracy-study.sh MODEL.onnx CALIB TEST OUT.csv ITEM...
#
# ITEM: float | W:A (post-training, all convolutions direct, then Winograd wherever it applies) | LABEL=FILE.eqo (as it is; its name is the widths).
# Bytes: of a session of one image, setup included, products by OT alone and as the planner chooses.
# QUANTIZE_FLAGS: more flags for eqo quantize, such as --mean 0.5071,0.4865,0.4409 --std 0.2673,0.2564,0.2762 or --threads 1.
set -eu
eqo=${EQO:-eqo}
model=$1 calib=$2 test=$3 table=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The first number under a name in JSON.
number() { tr -d ' \n' | sed "s/.*\"$1\":\\([0-9.]*\\).*/\\1/"; }

have() { grep -q "^$1,$2," "$table"; }

# row SERIES WIDTHS FILE FLAGS...
row() {
  series=$1 widths=$2 file=$3
  shift 3
  "$eqo" eval "$file" --data "$test" --json -q "$@" > "$work/eval"
  accuracy=$(number accuracy < "$work/eval")
  if [ "$series" = float ]; then
    overflowed='' ot='' auto=''
  else
    overflowed=$(number overflowed < "$work/eval")
    ot=$("$eqo" plan "$file" --products ot --json -q | number total_bytes)
    auto=$("$eqo" plan "$file" --products auto --json -q | number total_bytes)
  fi
  awk -v s="$series" -v w="$widths" -v a="$accuracy" -v o="$overflowed" -v t="$ot" -v u="$auto" 'BEGIN {
    printf "%s,%s,%.2f,%s,%s,%s\n", s, w, 100 * a, o, t == "" ? "" : sprintf("%.2f", t / 1e6), u == "" ? "" : sprintf("%.2f", u / 1e6)
  }' | tee -a "$table"
}

if [ ! -s "$table" ]; then
  {
    echo "# scripts/accuracy-study.sh $(basename "$model") CALIB TEST OUT.csv"
    echo "# eqo quantize MODEL --calib CALIB --weights W --activations A --conv direct|winograd ${QUANTIZE_FLAGS:-}"
    echo "series,widths,accuracy %,overflowed,MB by OT,MB"
  } > "$table"
fi
preprocess=$(printf %s "${QUANTIZE_FLAGS:-}" | sed 's/--threads [0-9]*//')
for item in "$@"; do
  case $item in
    float)
      # shellcheck disable=SC2086
      have float float || row float float "$model" $preprocess ;;
    *=*)
      have "${item%%=*}" "$(basename "${item#*=}" .eqo)" || row "${item%%=*}" "$(basename "${item#*=}" .eqo)" "${item#*=}" ;;
    *)
      for conv in direct winograd; do
        widths=W${item%:*}A${item#*:}
        have "post-training $conv" "$widths" && continue
        # shellcheck disable=SC2086
        "$eqo" quantize "$model" --calib "$calib" --weights "${item%:*}" --activations "${item#*:}" --conv $conv -o "$work/m.eqo" -q \
          ${QUANTIZE_FLAGS:-} > "$work/log"
        row "post-training $conv" "$widths" "$work/m.eqo"
      done ;;
  esac
done
# The float network has no bytes to be drawn at.
grep -v '^float,' "$table" > "$work/points.csv"
"$eqo" plot "$work/points.csv" -o "${table%.csv}.svg" --x "MB by OT" --y "accuracy %" --series series \
  --title "Accuracy and megabytes of a session of one image, $(basename "$model" .onnx)"
