#!/bin/sh
# bench/narrow.sh: the quality cost of narrow weights on released models, as a Markdown table.
#
#   bench/narrow.sh TEXT OTHER MODEL...
#
# KL divergence to float32, mean a token, of characters 60,000 to 84,000 of TEXT in windows of 512
# tokens, caches in float32: int8 and int4 as they are packed at load, then `quantise` with 4.8 bits
# a weight by the first 30,000 characters of TEXT and by those of OTHER (text of another kind; - for
# none). LMZOO_BUILD names the build (build/). Figures do not depend on threads or steps.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
lmzoo=${LMZOO_BUILD:-$root/build}/lmzoo
[ $# -ge 3 ] || { sed -n '4p' "$0" >&2; exit 2; }
text=$1 other=$2
shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/narrow.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# characters FROM COUNT FILE: COUNT characters of UTF-8 text after the first FROM
characters() {
    ${PYTHON:-python3} -c 'import sys
text = open(sys.argv[3], encoding="utf-8").read()
begin = int(sys.argv[1])
sys.stdout.write(text[begin:begin + int(sys.argv[2])])' "$@"
}

divergence() { # divergence FOLDER MODEL KIND: "KL ± error, same likeliest token"
    "$lmzoo" score "$1" -i "$work/scored.txt" --context 512 --weights "$3" --cache f32 --json \
        --against-model "$2" >"$work/row"
    sed 's/.*"kl_mean":\([^,}]*\),"kl_error":\([^,}]*\).*"top1_agreement":\([^,}]*\).*/\1 \2 \3/' \
        "$work/row" | awk '{ printf "%.4g ± %.1g | %.1f %%", $1, $2, 100 * $3 }'
}

quantised() { # quantised MODEL NAME [TEXT]
    "$lmzoo" quantise "$1" -o "$work/q" --weights int4 ${3:+--calibrate "$3"} >"$work/words"
    bits=$(sed -n 's/.*: \([0-9.]*\) bits a weight$/\1/p' "$work/words")
    echo "| $(basename "$1") | int4 quantised, $2 | $bits | $(divergence "$work/q" "$1" int4) |"
    rm -rf "$work/q"
}

characters 60000 24000 "$text" >"$work/scored.txt"
characters 0 30000 "$text" >"$work/same.txt"
[ "$other" = - ] || characters 0 30000 "$other" >"$work/other.txt"
echo '| model | weights | bits | KL divergence | same likeliest token |'
echo '|---|---|---|---|---|'
for model; do
    echo "| $(basename "$model") | int8 | 8.25 | $(divergence "$model" "$model" int8) |"
    echo "| $(basename "$model") | int4 | | $(divergence "$model" "$model" int4) |"
    quantised "$model" 'same kind of text' "$work/same.txt"
    [ "$other" = - ] || quantised "$model" 'other text' "$work/other.txt"
done
