#!/bin/sh
# growth.sh: how the cost of a token grows with the batch, with the context and with the threads.
#
#   bench/growth.sh MODEL [options of lmzoo bench, as --weights int8]
#
# Markdown tables on stdout: tokens a second of new tokens. LMZOO names another program than
# build/lmzoo. What it will not do: other engines (peers.py).
set -eu

[ $# -ge 1 ] || { sed -n '2,7p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
lmzoo=${LMZOO:-$here/../build/lmzoo}
model=$1
shift

# Field of the batch test's line: field NAME < lines.
field() { sed -n "/\"test\":\"batch\"/s/.*\"$1\":\\([0-9.]*\\).*/\\1/p"; }

# batch, prompt, new, more options: prompt and generation rate.
cell() {
    n=$1 prompt=$2 new=$3
    shift 3
    "$lmzoo" bench "$model" --quiet --tests batch --batch "$n" --max-seqs "$n" --prompt "$prompt" --new "$new" \
        --context $((prompt + new + 1)) -r 3 "$@" >"$lines"
    printf '| %s | %s ' "$(field prompt_tps <"$lines")" "$(field gen_tps <"$lines")"
}

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

printf '| sequences (64 + 32 tokens each) | prompt tokens/s | new tokens/s |\n|---|---|---|\n'
for n in 1 2 4 8 16 32 64 128; do
    printf '| %s ' "$n"
    cell "$n" 64 32 "$@"
    echo '|'
done
printf '\n| context of one sequence | prompt tokens/s | new tokens/s |\n|---|---|---|\n'
for n in 128 512 1024 2048 4096 8192 16384; do
    printf '| %s ' "$n"
    cell 1 "$n" 32 "$@"
    echo '|'
done
printf '\n| threads (batch of 32) | prompt tokens/s | new tokens/s |\n|---|---|---|\n'
n=1
while [ "$n" -le "$(getconf _NPROCESSORS_ONLN)" ]; do
    printf '| %s ' "$n"
    cell 32 64 32 "$@" --threads "$n"
    echo '|'
    n=$((n * 2))
done
