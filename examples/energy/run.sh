#!/bin/sh
# Fetches the table, trains, and predicts all its rows.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../data/energy

sh "$here/../fetch-table.sh" energy
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
while [ -e "runs/energy-$n" ]; do n=$((n + 1)); done
out=runs/energy-$n
tandem train "$here/config.toml" --out "$out" "$@"
echo
tandem predict "$out" --data "$data/building_energy.csv" --out "$out/predictions.csv"
head -n 3 "$out/predictions.csv"
