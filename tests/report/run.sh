#!/usr/bin/env bash
# Writes reports of all commands that write one and opens them in Chromium: run.sh EQO FIXTURES [SHOTS]
set -euo pipefail
eqo=$1 fixtures=$2
here=$(cd "$(dirname "$0")" && pwd)
command -v chromium >/dev/null || { echo "skipped: no chromium (scripts/install-deps.sh browser)"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
images=cifar10:$fixtures/synthetic_cifar10_layout.bin
# A file name that wants to be markup.
name="<img src=x onerror=alert(1)>&amp;.eqo"
# Four grey pictures with labels, for accuracies.
python3 - "$folder" <<'END'
import sys
def npy(name, shape, data):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s), }" % shape
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(f"{sys.argv[1]}/{name}.npy", "wb") as file:
        file.write(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + data)
npy("x", "4, 13, 14", bytes(range(91)) * 8)
npy("y", "4,", bytes(range(4)))
END
"$eqo" quantize "$fixtures/mobile_10.onnx" --calib "$images" -o "$folder/$name" --weights 4 --activations 5 --conv direct --quiet >/dev/null
"$eqo" plan "$folder/$name" --report "$folder/plan.html" >/dev/null
"$eqo" local "$folder/$name" --data "$images" --index 0 --verify --report "$folder/local.html" >/dev/null
"$eqo" bench compare --models "$folder/$name,$fixtures/mobile_10.onnx" --networks loopback,lan --frameworks eqo,sirnn \
  --calib "$images" --data "npy:$folder/x.npy,$folder/y.npy" --report "$folder/compare.html" --quiet >/dev/null
"$eqo" bench ablation "$fixtures/mobile_10.onnx" --calib "$images" --no-run --report "$folder/ablation.html" --quiet >/dev/null
python3 "$here/browser_test.py" ${3:+--shots "$3"} "$folder"/*.html
