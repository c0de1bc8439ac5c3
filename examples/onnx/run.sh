#!/bin/sh
# Makes tables, trains a model of each architecture, exports it, and compares what onnxruntime and
# PyTorch compute with what tandem predicts.
#
# sh run.sh [MODEL …]
# PYTHON has numpy, onnx, onnxruntime, safetensors and torch. TANDEM=PROGRAM uses that program
# instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

if [ -z "${TANDEM:-}" ]; then
    cargo build --release --locked --manifest-path "$here/../../Cargo.toml"
    TANDEM=$here/../../target/release/tandem
fi

n=1
while [ -e "runs/onnx-$n" ]; do n=$((n + 1)); done
out=runs/onnx-$n
names=$("$python" "$here/make.py" "$out")
[ $# -eq 0 ] || names=$*
for name in $names; do
    "$TANDEM" train "$out/$name.toml" --out "$out/$name" -q >"$out/$name.log" 2>&1
    "$TANDEM" export "$out/$name" --format onnx -q
    "$TANDEM" export "$out/$name" --format torch -q
    rows=$out/rows.csv
    [ "$name" != images ] || rows=$out/images.idx
    "$TANDEM" predict "$out/$name" --data "$rows" --out "$out/$name.csv" -q
    for file in model.onnx model.py; do
        "$python" "$here/check.py" "$out/$name/model/$file" "$rows" "$out/$name.csv"
    done
done
