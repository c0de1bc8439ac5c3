#!/bin/sh
# Fetches the table, trains, and predicts all its rows.
#
# sh run.sh [flags of `tandem train`]       TANDEM: the program, if it is not to be built
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../data/flights

sh "$here/../fetch-table.sh" flights
[ -e "$data/flights_late.csv" ] || "${PYTHON:-python3}" "$here/add_late.py" "$data/flights.csv" "$data/flights_late.csv"
if [ -z "${TANDEM:-}" ]; then
    cargo build --release --locked --manifest-path "$here/../../Cargo.toml"
fi
tandem() {
    if [ -n "${TANDEM:-}" ]; then "$TANDEM" "$@"; else cargo run --release --locked --quiet --manifest-path "$here/../../Cargo.toml" -- "$@"; fi
}

n=1
while [ -e "runs/flights-$n" ]; do n=$((n + 1)); done
out=runs/flights-$n
tandem train "$here/config.toml" --out "$out" "$@"
echo
tandem predict "$out" --data "$data/flights_late.csv" --out "$out/predictions.csv"
head -n 3 "$out/predictions.csv"
