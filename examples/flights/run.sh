#!/bin/sh
# Fetches the table, adds the column `late`, trains, and predicts all rows.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../data/flights

sh "$here/../fetch-table.sh" flights
if [ ! -e "$data/flights_late.csv" ]; then
    "${PYTHON:-python3}" "$here/add_late.py" "$data/flights.csv" "$data/flights_late.csv"
fi
if [ -z "${TANDEM:-}" ]; then
    cargo build --release --locked --manifest-path "$here/../../Cargo.toml"
fi
tandem() {
    if [ -n "${TANDEM:-}" ]; then
        "$TANDEM" "$@"
    else
        cargo run --release --locked --quiet --manifest-path "$here/../../Cargo.toml" -- "$@"
    fi
}

n=1
while [ -e "runs/flights-$n" ]; do n=$((n + 1)); done
out=runs/flights-$n
tandem train "$here/config.toml" --out "$out" "$@"
echo
tandem predict "$out" --data "$data/flights_late.csv" --out "$out/predictions.csv"
head -n 3 "$out/predictions.csv"
