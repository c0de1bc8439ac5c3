#!/bin/sh
# Fetches MNIST, writes it as PNG files with a table, trains three tasks, predicts ten images.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one. Needs python3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
files=$here/../data/mnist-files

sh "$here/../fetch-mnist.sh"
if [ ! -d "$files" ]; then
    part=$files.part-$$
    trap 'rm -rf "$part"' EXIT
    echo "writing 70,000 PNG files" >&2
    python3 "$here/make.py" "$here/../data/mnist" "$part"
    mv "$part" "$files"
fi
build

out=$(free_run mnist-files)
tandem train "$here/config.toml" --out "$out" "$@"
echo
echo "tandem predict $out, the first ten test images:"
head -11 "$files/test.csv" >"$out/ten.csv"
tandem predict "$out" --data "$files/test,$out/ten.csv"
