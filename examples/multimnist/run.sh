#!/bin/sh
# Fetches MNIST, trains on overlaid digits, and evaluates the model on the test images. Where Python
# has torch and safetensors, it also compares the logits of all test images with PyTorch's.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one; PYTHON=PROGRAM names the interpreter
# (default: python3).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
data=$here/../data/mnist
python=${PYTHON:-python3}

sh "$here/../fetch-mnist.sh"
build

out=$(free_run multimnist)
tandem train "$here/config.toml" --out "$out" "$@"
echo
echo "tandem evaluate $out, on the 10,000 test images with their partners:"
tandem evaluate "$out" --data "$data/t10k-images-idx3-ubyte,$data/t10k-labels-idx1-ubyte"

if "$python" -c 'import numpy, torch, safetensors' 2>/dev/null; then
    echo
    echo "the same model in PyTorch:"
    images=$data/t10k-images-idx3-ubyte
    predictions=$out/predictions.csv
    tandem predict "$out" --data "$images" --logits --out "$predictions"
    "$python" "$here/check_model.py" "$out/model" "$predictions" "$images"
else
    echo "no comparison with PyTorch: $python has no numpy, torch or safetensors" >&2
fi
