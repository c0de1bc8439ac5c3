#!/bin/sh
# What a machine with a GPU is asked, in about ten minutes: which adapters there are, whether all
# kernels keep their bounds, how long steps take, and beside PyTorch on CUDA where there is one.
#
# sh benches/gpu.sh [FOLDER]
# TANDEM=PROGRAM uses that program instead of building one; PYTHON=PROGRAM names an interpreter with
# torch (default: python3); ADAPTER=NAME takes that adapter; WORKLOADS=W1,W2 measures these alone;
# SECONDS_EACH=S, ROUNDS=N and STEPS=N shorten or lengthen the measurements; DEVICE=cpu leaves CUDA
# out. Reports go to FOLDER (default: gpu-report).
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-gpu-report}
python=${PYTHON:-python3}
mkdir -p "$out" || exit 1

if [ -z "${TANDEM:-}" ]; then
    cargo build --release --locked --manifest-path "$here/../Cargo.toml" || exit 1
    TANDEM=$here/../target/release/tandem
fi

failed=0

# Runs a command, keeps what it prints in a file, and goes on whatever happens.
ask() {
    file=$1
    shift
    echo "== $*" | tee "$out/$file"
    begun=$(date +%s)
    if "$@" >>"$out/$file" 2>&1; then result=done; else result="exit $?" failed=1; fi
    echo "== $result after $(($(date +%s) - begun)) s" | tee -a "$out/$file"
}

adapter=${ADAPTER:+--device $ADAPTER}
# shellcheck disable=SC2086
{
    ask system.txt sh -c 'uname -a; nproc; nvidia-smi || true'
    ask devices.txt "$TANDEM" devices $adapter
    ask doctor.txt "$TANDEM" doctor $adapter
    ask demo.txt "$TANDEM" demo $adapter --out "$out/demo" --progress none --profile
    ask packed.txt "$TANDEM" train "$here/../examples/demo.toml" $adapter --repeats 16 --epochs 5 \
        --out "$out/packed" --progress none --no-report -v
    for precision in f32 mixed; do
        for shape in 784:128,128:10,10:128 64:128,128:10,10,10:128 784:512,512:10,10,10,10:256; do
            ask "step-$precision-$(echo "$shape" | tr ':,' '-_').txt" "$TANDEM" bench step \
                --inputs "$(echo "$shape" | cut -d: -f1)" \
                --trunk "$(echo "$shape" | cut -d: -f2)" \
                --classes "$(echo "$shape" | cut -d: -f3)" \
                --batch "$(echo "$shape" | cut -d: -f4)" \
                --rows 10000 --coupling soft_sharing --precision "$precision" \
                --steps "${STEPS:-1000}" --profile $adapter
        done
    done
    ask peers.txt "$python" "$here/peers/run.py" --tandem "$TANDEM" --python "$python" \
        --device "${DEVICE:-cuda}" --no-burn --workloads "${WORKLOADS:-W1,W2,W3,large}" \
        --rounds "${ROUNDS:-3}" --seconds "${SECONDS_EACH:-0.3}" --timeout 120 \
        ${ADAPTER:+--adapter "$ADAPTER"} --out "$out/peers.md" --json "$out/peers.json"
}

echo
[ -f "$out/peers.md" ] && cat "$out/peers.md"
exit $failed
