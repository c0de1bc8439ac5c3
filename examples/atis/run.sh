#!/bin/sh
# Fetches the sentences, writes them as CoNLL files, trains, and predicts the test part.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
# CONFIG=roles.toml takes that configuration instead of config.toml.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
data=$here/../data/atis

sh "$here/../fetch-table.sh" atis
if [ ! -e "$data/test.conll" ]; then
    "${PYTHON:-python3}" "$here/to_conll.py" "$data"
fi
build

out=$(free_run atis)
tandem train "$here/${CONFIG:-config.toml}" --out "$out" "$@"
echo
tandem predict "$out" --data "$data/test.conll" --out "$out/predictions.csv"
head -n 12 "$out/predictions.csv" | cut -c 1-72
