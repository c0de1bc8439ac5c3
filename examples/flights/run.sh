#!/bin/sh
# Fetches the table, adds the column `late`, trains, and predicts all rows.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
data=$here/../data/flights

sh "$here/../fetch-table.sh" flights
if [ ! -e "$data/flights_late.csv" ]; then
    "${PYTHON:-python3}" "$here/add_late.py" "$data/flights.csv" "$data/flights_late.csv"
fi
build

out=$(free_run flights)
tandem train "$here/config.toml" --out "$out" "$@"
echo
tandem predict "$out" --data "$data/flights_late.csv" --out "$out/predictions.csv"
head -n 3 "$out/predictions.csv"
