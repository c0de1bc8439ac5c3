#!/bin/sh
# Fetches MNIST, trains the two tasks, evaluates the model on the test images.
#
# sh run.sh [CONFIG.toml] [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
data=$here/../data/mnist
config=config.toml
case ${1:-} in *.toml) config=$1 && shift ;; esac

sh "$here/../fetch-mnist.sh"
build

out=$(free_run mnist-two-tasks)
tandem train "$here/$config" --out "$out" "$@"
echo
echo "tandem evaluate $out, on the 10,000 test images:"
tandem evaluate "$out" --data "$data/t10k-images-idx3-ubyte,$data/t10k-labels-idx1-ubyte"
