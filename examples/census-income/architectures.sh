#!/bin/sh
# Trains one network of each architecture on the table, with about as many parameters each and two
# larger ones, and prints a table of their AUC on the test file.
#
# sh architectures.sh
# SEEDS="1 2 3" trains with each of these seeds and prints means and standard deviations.
# TANDEM=PROGRAM uses that program instead of building one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

sh "$here/../fetch-table.sh" census-income
if [ -z "${TANDEM:-}" ]; then
    cargo build --release --locked --manifest-path "$here/../../Cargo.toml"
    TANDEM="cargo run --release --locked --quiet --manifest-path $here/../../Cargo.toml --"
fi

n=1
while [ -e "runs/architectures-$n" ]; do n=$((n + 1)); done
out=runs/architectures-$n
mkdir -p "$out"

# NAME LAYERS KEY=VALUE …
train() {
    name=$1 layers=$2
    shift 2
    for seed in ${SEEDS:-1}; do
        settings=
        for setting in "$@"; do settings="$settings --set architecture.$setting"; done
        # The words of TANDEM and of the settings are arguments of their own.
        # shellcheck disable=SC2086
        $TANDEM train "$here/architectures.toml" --out "$out/$name-$seed" --quiet \
            --set "trunk.layers=$layers" --set "train.seed=$seed" $settings >"$out/$name-$seed.txt"
    done
}

tree='[[["income","never_married"]],[["income"],["never_married"]]]'
train shared '[128,64]' kind=shared
train separate '[64,32]' kind=separate
train mmoe '[32,16]' kind=mmoe
train mmoe_wide '[128,64]' kind=mmoe
train separate_wide '[128,64]' kind=separate
train cgc '[32,16]' kind=cgc
train ple '[32,16]' kind=ple
train cross_stitch '[64,32]' kind=cross_stitch
train mtan '[96,48]' kind=mtan
train dselect_k '[32,16]' kind=dselect_k
train branched '[128,64]' kind=branched "branches=$tree"
train branched_learned '[64,32]' kind=branched learn=true

"${PYTHON:-python3}" "$here/architectures.py" "$out"
