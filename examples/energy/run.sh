#!/bin/sh
# Fetches the table, trains, and predicts all its rows.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
data=$here/../data/energy

sh "$here/../fetch-table.sh" energy
build

out=$(free_run energy)
tandem train "$here/config.toml" --out "$out" "$@"
echo
tandem predict "$out" --data "$data/building_energy.csv" --out "$out/predictions.csv"
head -n 3 "$out/predictions.csv"
