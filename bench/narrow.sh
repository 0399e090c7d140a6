#!/bin/sh
# bench/narrow.sh: the quality cost of narrow weights, as a Markdown table.
#
#   bench/narrow.sh TEXT OTHER MODEL...
#
# Mean KL divergence a token to float32, with its standard error, and how often the likeliest token
# is the same; caches in float32. Kinds: int8 and int4 as they are packed at load; `quantise` with
# 4.8, 6.3 and 8.25 bits a weight by text of the same kind, and with 4.8 by what the model writes
# itself, and by OTHER, text of another kind (x.txt or x.jsonl; - for none), alone and with the
# former.
#
# A released model is scored on characters 60,000 to 84,000 of TEXT in windows of 512 tokens; the
# same kind is its first 60,000, another kind the first 30,000 of OTHER. A model in demo/models is
# scored on the second hundred of the held-out stories; the same kind is the first hundred.
#
# GGUF_DIR names a folder of llama.cpp's files <name of the model>-<kind>.gguf: their numbers are
# put into a float32 folder by gguf_folder.py and scored alike, with activations in float32 ($PYTHON
# needs gguf, numpy and safetensors). LMZOO_BUILD names the build (build/). Figures do not depend on
# threads or steps. ROWS names some of the rows, when a table is made in several sittings: int8, int4,
# own, same, other, other+own, same-6, same-8, peers.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
lmzoo=${LMZOO_BUILD:-$root/build}/lmzoo
python=${PYTHON:-python3}
stories=$root/demo/models/stories-heldout.txt
[ $# -ge 3 ] || { sed -n '4p' "$0" >&2; exit 2; }
text=$1 other=$2
all='int8 int4 own same other other+own same-6 same-8 peers'
rows=${ROWS:-$all}
shift 2
for name in $rows; do
    case " $all " in
    *" $name "*) ;;
    *)
        echo "narrow.sh: ROWS has $name, which is none of $all" >&2
        exit 2
        ;;
    esac
done
work=$(mktemp -d "${TMPDIR:-/tmp}/narrow.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# characters FROM COUNT FILE: COUNT characters of UTF-8 text after the first FROM
characters() {
    "$python" -c 'import sys
text = open(sys.argv[3], encoding="utf-8").read()
begin = int(sys.argv[1])
sys.stdout.write(text[begin:begin + int(sys.argv[2])])' "$@"
}

# texts MODEL: sets scored, same and how they are read
texts() {
    case $(cd "$1" && pwd) in
    "$root"/demo/models/*)
        sed -n 101,200p "$stories" >"$work/scored.txt"
        sed -n 1,100p "$stories" >"$work/same.txt"
        reading=--lines
        ;;
    *)
        characters 60000 24000 "$text" >"$work/scored.txt"
        characters 0 60000 "$text" >"$work/same.txt"
        reading='--context 512'
        ;;
    esac
}

divergence() { # divergence FOLDER MODEL KIND: "KL ± error | same likeliest token"
    # shellcheck disable=SC2086 # options
    "$lmzoo" score "$1" -i "$work/scored.txt" $reading --weights "$3" --cache f32 --json \
        --against-model "$2" >"$work/row"
    sed 's/.*"kl_mean":\([^,}]*\),"kl_error":\([^,}]*\).*"top1_agreement":\([^,}]*\).*/\1 \2 \3/' \
        "$work/row" | awk '{ printf "%.3g ± %.1g | %.1f %%", $1, $2, 100 * $3 }'
}

quantised() { # quantised MODEL NAME BITS OPTIONS...
    model=$1 name=$2 most=$3
    shift 3
    [ "$reading" != --lines ] || set -- --lines "$@"
    "$lmzoo" quantise "$model" -o "$work/q" --weights int4 --bits "$most" "$@" >"$work/words"
    bits=$(sed -n 's/.*: \([0-9.]*\) bits a weight$/\1/p' "$work/words")
    echo "| $(basename "$model") | quantised, $name | $bits | $(divergence "$work/q" "$model" int4) |"
    rm -rf "$work/q"
}

peers() { # peers MODEL
    for file in "${GGUF_DIR:-}/$(basename "$1")"-*.gguf; do
        [ -e "$file" ] || continue
        kind=$(basename "$file" .gguf)
        bits=$("$python" "$root/bench/gguf_folder.py" "$file" "$1" "$work/g")
        echo "| $(basename "$1") | llama.cpp ${kind#"$(basename "$1")"-} | $bits |" \
            "$(divergence "$work/g" "$1" f32) |"
        rm -rf "$work/g"
    done
}

# row MODEL NAME: a row of the table, or those of llama.cpp's files
row() {
    case $2 in
    int8) echo "| $(basename "$1") | int8 | 8.25 | $(divergence "$1" "$1" int8) |" ;;
    int4) echo "| $(basename "$1") | int4 | | $(divergence "$1" "$1" int4) |" ;;
    own) quantised "$1" 'its own text' 4.8 ;;
    same) quantised "$1" 'same kind of text' 4.8 --calibrate "$work/same.txt" ;;
    same-6) quantised "$1" 'same kind of text' 6.3 --calibrate "$work/same.txt" ;;
    same-8) quantised "$1" 'same kind of text' 8.25 --calibrate "$work/same.txt" ;;
    other) [ "$other" = - ] || quantised "$1" 'other text' 4.8 --calibrate "$other" ;;
    other+own)
        [ "$other" = - ] ||
            quantised "$1" 'other text and its own' 4.8 --calibrate "$other" --own-text 32768
        ;;
    peers) peers "$1" ;;
    esac
}

if [ "$other" != - ]; then
    case $other in
    *.jsonl) cp "$other" "$work/other.jsonl" && other=$work/other.jsonl ;;
    *) characters 0 30000 "$other" >"$work/other.txt" && other=$work/other.txt ;;
    esac
fi
echo '| model | weights | bits | KL divergence | same likeliest token |'
echo '|---|---|---|---|---|'
for model; do
    texts "$model"
    for name in $rows; do
        row "$model" "$name"
    done
done
