#!/bin/sh
# tests/scripts/batch_same.sh [MODEL...]: for every demo model with a plugin, or those named, and
# every kind of weights and caches (int6 weights with an int8 cache) the same lines come out of one
# row at a time in steps of 7 on one thread, of 64 rows together on two, and of three rows at a time
# in a smaller context. Through OpenBLAS too; LMZOO_ISA names another instruction set for the rest.
# Rows with a common prefix of 300 tokens attend to it together, with its keys divided among
# threads: the lines of one row at a time on one thread.
set -u

lmzoo=$LMZOO_BUILD/lmzoo
work=$(mktemp -d "${TMPDIR:-/tmp}/batch_same.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

batch() { # batch MODEL KIND OUTPUT OPTIONS...: results in sorted order
    model=$1 kind=$2 output=$3 cache=$2
    shift 3
    [ "$kind" != int6 ] || cache=int8
    "$lmzoo" batch "$LMZOO_SOURCE/demo/models/demo-$model" -i "$work/$requests.jsonl" \
        -o "$work/$output.jsonl" --weights "$kind" --cache "$cache" \
        ${isa:+--isa "$isa"} "$@" 2>"$work/words"
    status=$?
    [ "$status" -le 1 ] || sed 's/^/# /' "$work/words"
    LC_ALL=C sort "$work/$output.jsonl" >"$work/$output"
    return "$status"
}

same() { # same MODEL KIND
    rm -f "$work"/*.journal "$work"/single* "$work"/together* "$work"/little*
    batch "$1" "$2" together --max-seqs 64 --threads 2
    status=$?
    batch "$1" "$2" single --max-seqs 1 --max-rows 7 --threads 1
    batch "$1" "$2" little --max-seqs 3 --max-rows 100 --context 256 --threads 2
    [ "$status" -eq 1 ] && [ "$(grep -c . "$work/together")" -eq 59 ] &&
        cmp -s "$work/single" "$work/together"
    result $? "demo-$1, $2${isa:+, $isa}: rows alone and together"
    [ -s "$work/little" ] && cmp -s "$work/little" "$work/together"
    result $? "demo-$1, $2${isa:+, $isa}: three rows at a time"
}

long() { # long MODEL KIND
    requests=long
    rm -f "$work"/*.journal "$work"/single* "$work"/together* "$work"/few*
    batch "$1" "$2" together --max-seqs 12 --threads 2 &&
        batch "$1" "$2" few --max-seqs 5 --threads 3 &&
        batch "$1" "$2" single --max-seqs 1 --max-rows 50 --threads 1
    status=$?
    requests=requests
    [ "$status" -eq 0 ] && [ "$(grep -c . "$work/together")" -eq 12 ] &&
        cmp -s "$work/single" "$work/together" && cmp -s "$work/few" "$work/together"
    result $? "demo-$1, $2${isa:+, $isa}: a long common prefix, alone, together, more threads"
}

requests=requests
awk 'BEGIN {
    for (i = 0; i < 12; i++) {
        printf "{\"custom_id\":\"long-%d\",\"method\":\"POST\",", i
        printf "\"url\":\"/v1/completions\",\"body\":{\"prompt\":["
        for (j = 0; j < 300; j++) printf "%d,", j * 37 % 900 + 50
        printf "%d,%d],\"max_tokens\":12,", 100 + i, 200 + 7 * i
        printf "\"temperature\":0.8,\"seed\":%d}}\n", i
    }
}' >"$work/long.jsonl"
awk -v rows=60 -f "$LMZOO_SOURCE/tests/scripts/requests.awk" >"$work/requests.jsonl"
[ $# -gt 0 ] || set -- llama gemma hybrid deepseek
for model; do
    if [ ! -e "$LMZOO_BUILD/plugins/$model.so" ]; then
        n=$((n + 1))
        echo "ok $n - demo-$model # SKIP no plugin for it in the build"
        continue
    fi
    for kind in f32 bf16 int8 int6 int4; do
        isa=${LMZOO_ISA:-}
        same "$model" "$kind"
        long "$model" "$kind"
    done
    isa=openblas
    same "$model" f32
done
echo "1..$n"
