#!/bin/sh
# Fetches the treebank, writes its parts as CoNLL-U files, trains, and predicts the test part.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
# CONFIG=verbs.toml, or verbs-shared.toml, takes that configuration instead of config.toml.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
data=$here/../data/hebrew

sh "$here/../fetch-table.sh" hebrew
if [ ! -e "$data/test.conllu" ]; then
    "${PYTHON:-python3}" "$here/to_conllu.py" "$data"
fi
build

out=$(free_run hebrew)
tandem train "$here/${CONFIG:-config.toml}" --out "$out" "$@"
echo
tandem predict "$out" --data "$data/test.conllu" --out "$out/predictions.conllu"
grep -Ev '^(#|[0-9]+-)' "$out/predictions.conllu" | head -n 12 | cut -f 2,11-
