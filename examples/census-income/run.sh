#!/bin/sh
# Fetches the table, trains, and evaluates the model on the test file.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../data/census-income

sh "$here/../fetch-table.sh" census-income
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
while [ -e "runs/census-income-$n" ]; do n=$((n + 1)); done
out=runs/census-income-$n
tandem train "$here/config.toml" --out "$out" "$@"
echo
tandem evaluate "$out" --data "$data/census_income_1994_1995_test.csv"
