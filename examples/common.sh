# What the scripts of examples share; `here` is the folder of the script.
# TANDEM=PROGRAM uses that program instead of building one.
# shellcheck shell=sh disable=SC2154

build() {
    [ -n "${TANDEM:-}" ] ||
        cargo build --release --locked --manifest-path "$here/../../Cargo.toml"
}

tandem() {
    if [ -n "${TANDEM:-}" ]; then
        "$TANDEM" "$@"
    else
        cargo run --release --locked --quiet --manifest-path "$here/../../Cargo.toml" -- "$@"
    fi
}

# The first of runs/NAME-1, runs/NAME-2, … that is not there.
free_run() {
    n=1
    while [ -e "runs/$1-$n" ]; do n=$((n + 1)); done
    echo "runs/$1-$n"
}
