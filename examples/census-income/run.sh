#!/bin/sh
# Fetches the table, trains, and evaluates the model on the test file.
#
# sh run.sh [flags of `tandem train`]
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../common.sh"
data=$here/../data/census-income

sh "$here/../fetch-table.sh" census-income
build

out=$(free_run census-income)
tandem train "$here/config.toml" --out "$out" "$@"
echo
tandem evaluate "$out" --data "$data/census_income_1994_1995_test.csv"
