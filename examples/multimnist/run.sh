#!/bin/sh
# Fetches MNIST, trains on overlaid digits, evaluates the model on the test images; where python3 has torch and safetensors, also compares
# the logits of all test images with those of PyTorch.
#
# sh run.sh [flags of `tandem train`]       TANDEM: the program, if it is not to be built; PYTHON: the interpreter, if not python3
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../data/mnist
python=${PYTHON:-python3}

sh "$here/../fetch-mnist.sh"
if [ -z "${TANDEM:-}" ]; then
    cargo build --release --locked --manifest-path "$here/../../Cargo.toml"
fi
tandem() {
    if [ -n "${TANDEM:-}" ]; then "$TANDEM" "$@"; else cargo run --release --locked --quiet --manifest-path "$here/../../Cargo.toml" -- "$@"; fi
}

n=1
while [ -e "runs/multimnist-$n" ]; do n=$((n + 1)); done
out=runs/multimnist-$n
tandem train "$here/config.toml" --out "$out" "$@"
echo
echo "tandem evaluate $out, on the 10,000 test images with their partners:"
tandem evaluate "$out" --data "$data/t10k-images-idx3-ubyte,$data/t10k-labels-idx1-ubyte"

if "$python" -c 'import numpy, torch, safetensors' 2>/dev/null; then
    echo
    echo "the same model in PyTorch:"
    tandem predict "$out" --data "$data/t10k-images-idx3-ubyte" --logits --out "$out/predictions.csv"
    "$python" "$here/check_model.py" "$out/model" "$out/predictions.csv" "$data/t10k-images-idx3-ubyte"
else
    echo "$python has no torch or safetensors: the comparison with PyTorch is left out" >&2
fi
