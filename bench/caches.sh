#!/bin/sh
# bench/caches.sh: what narrow caches cost, as a Markdown table.
#
#   bench/caches.sh TEXT CONTEXT,CONTEXT... MODEL...
#
# Every cache kind against float32 caches, weights in float32: bits a value, mean KL divergence,
# agreement of the likeliest token, over the text in windows of each context. KINDS replaces the
# default list of kinds. To compare with llama.cpp, LLAMA_PERPLEXITY names its program and
# GGUF_<name of the folder, '-' as '_'> a float32 file; its tool scores the second half of each
# window alone.
# LMZOO_BUILD names the build (build/). The figures do not depend on threads or steps.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
lmzoo=${LMZOO_BUILD:-$root/build}/lmzoo
kinds=${KINDS:-bf16 int8 k=int8,v=int4 int4 uneven4}
[ $# -ge 3 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2; exit 2; }
text=$1 contexts=$(echo "$2" | tr , ' ')
shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/caches.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# field NAME: the number after the last such name on stdin
field() { sed "s/.*\"$1\":\\([^,}]*\\).*/\\1/"; }

# bits MODEL KIND: of each stream, as inspect prints them
bits() {
    "$lmzoo" inspect "$1" --cache "$2" |
        sed -n 's/^  \([a-z_]*\) in .*; \([0-9.]*\) bits a value of .*/\1 \2/p' | sort -u |
        awk '{ printf "%s%s", n++ ? ", " : "", $0 }'
}

ours() { # ours MODEL CONTEXT
    for kind in $kinds; do
        "$lmzoo" score "$1" -i "$text" --context "$2" --json --weights f32 --cache "$kind" \
            --against weights=f32,cache=f32 >"$work/row"
        printf '| %s | %s | %s | %s | %s | %s %% |\n' "$(basename "$1")" "$2" "$kind" \
            "$(bits "$1" "$kind")" "$(field kl_mean <"$work/row" | awk '{ printf "%.3g", $1 }')" \
            "$(field top1_agreement <"$work/row" | awk '{ printf "%.2f", 100 * $1 }')"
    done
}

# llama MODEL CONTEXT: its own caches, where a program and a file are named
llama() {
    eval "gguf=\${GGUF_$(basename "$1" | tr -- '-.' '__'):-}"
    [ -n "${LLAMA_PERPLEXITY:-}" ] && [ -n "$gguf" ] || return 0
    base=$work/base
    "$LLAMA_PERPLEXITY" -m "$gguf" -f "$text" -c "$2" -b "$2" -ctk f32 -ctv f32 -fa on \
        --kl-divergence-base "$base" >"$work/log" 2>&1
    for pair in q8_0:q8_0 q8_0:q4_0 q4_0:q4_0; do
        "$LLAMA_PERPLEXITY" -m "$gguf" -f "$text" -c "$2" -b "$2" -ctk "${pair%:*}" \
            -ctv "${pair#*:}" -fa on --kl-divergence-base "$base" --kl-divergence >"$work/log" 2>&1
        printf '| %s | %s | llama.cpp %s | | %s | %s %% |\n' "$(basename "$1")" "$2" "$pair" \
            "$(sed -n 's/^Mean *KLD: *\([0-9.e-]*\).*/\1/p' "$work/log")" \
            "$(sed -n 's/^Same top p: *\([0-9.]*\).*/\1/p' "$work/log")"
    done
    rm -f "$base"
}

echo '| model | context | cache | bits a value | KL divergence | same likeliest token |'
echo '|---|---|---|---|---|---|'
for model; do
    for context in $contexts; do
        ours "$model" "$context"
        llama "$model" "$context"
    done
done
