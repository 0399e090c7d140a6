#!/bin/sh
# tests/scripts/caches.sh: cache kinds of the host and of plugins: all keep their promises on every
# level, each deliberate mistake is named, `--cache` finds kinds for single streams, a card gives a
# default, impossible choices are refused in a sentence, and the quality of each kind stays within a
# bound.
set -u

lmzoo=$LMZOO_BUILD/lmzoo
models=$LMZOO_SOURCE/demo/models
work=$(mktemp -d "${TMPDIR:-/tmp}/caches.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$work/words

refused() { # refused CODE WORDS NAME ARGUMENT...: exit code and words on stderr
    code=$1 words=$2 name=$3
    shift 3
    "$lmzoo" "$@" >"$work/out" 2>"$work/words"
    [ $? -eq "$code" ] && grep -q -- "$words" "$work/words"
    result $? "$name"
}

for isa in scalar ""; do
    "$lmzoo" plugins --check ${isa:+--isa "$isa"} >"$work/out" 2>"$work/words" &&
        [ "$(grep -c '  cache .*keeps its promises' "$work/out")" -ge 6 ] &&
        grep -q '^  cache uneven4 ' "$work/out" && grep -q '^  cache fp8_ds_mla ' "$work/out"
    result $? "every kind keeps its promises (${isa:-the best level})"
done

mistakes=$LMZOO_BUILD/tests/caches
"$lmzoo" plugins --plugin-dir "$mistakes/none" --check >"$work/out" 2>"$work/words"
result $? "the kind without a mistake is taken"
while read -r mistake words; do
    refused 3 "bad-rows.*$words" "found: $mistake" plugins --plugin-dir "$mistakes/$mistake" --check
done <<END
few_bytes writes outside the page
state order of stores
coarse mean squared error
zeros a row of zeros
remains old contents of the page
neighbour changes another one
first_row read alone differs
stride another y_stride
address value 0 reads
vector test vector of 2 values: value 1 reads 1.5, not 1.25
form does not have the form
END

refused 2 'no kind "int3"; there are auto, f32, bf16, int8, int4.*uneven4' "an unknown kind" \
    inspect "$models/demo-llama" --cache int3
refused 2 'has no stream "w", it keeps k, v' "an unknown stream" \
    inspect "$models/demo-llama" --cache k=int8,w=int4
refused 2 "kind fp8_ds_mla .* suits no stream" "a kind that no stream can take" \
    inspect "$models/demo-llama" --cache fp8_ds_mla --plugin-dir "$LMZOO_BUILD/plugins"
refused 2 "nothing follows the last comma" "a comma too many" \
    inspect "$models/demo-llama" --cache int8,
refused 2 "neither a kind nor STREAM=KIND" "no kind behind the sign" \
    inspect "$models/demo-llama" --cache k=

kinds() { # kinds MODEL OPTIONS...: "stream kind" of each line of inspect
    model=$1
    shift
    "$lmzoo" inspect "$models/demo-$model" "$@" 2>"$work/words" |
        sed -n 's/^  \([a-z_]*\) in \([a-z0-9_]*\): .* bits a value of .*/\1 \2/p' | sort -u |
        tr '\n' ' '
}
[ "$(kinds llama --cache k=int8,v=uneven4)" = "k int8 v uneven4 " ]
result $? "kinds of single streams"
[ "$(kinds llama --cache int4,k=bf16)" = "k bf16 v int4 " ]
result $? "a kind for the rest"
[ "$(kinds deepseek --cache fp8_ds_mla)" = "index_key int8 latent fp8_ds_mla rope_key bf16 " ]
result $? "the released layout of latent rows: float8 beside bf16"

# A card's default holds where no option is given.
mkdir "$work/cards"
cp -R "$LMZOO_SOURCE"/models.d/. "$work/cards"
card=$work/cards/llama.json
sed '0,/{/s//{ "cache": "k=int8,v=int4",/' "$card" >"$work/card" && cp "$work/card" "$card"
[ "$(kinds llama --card-dir "$work/cards")" = "k int8 v int4 " ] &&
    [ "$(kinds llama --card-dir "$work/cards" --weights f32)" = "k f32 v f32 " ] &&
    [ "$(kinds llama --card-dir "$work/cards" --cache bf16)" = "k bf16 v bf16 " ]
result $? "a card gives a default"

# Divergence of each kind on stories: far below that of a wrong row or scale.
head -n 20 "$models/stories-heldout.txt" >"$work/few.txt"
while read -r model cache limit; do
    "$lmzoo" score "$models/demo-$model" -i "$work/few.txt" --lines --json --weights f32 \
        --cache "$cache" --against weights=f32 >"$work/out" 2>"$work/words"
    got=$(sed 's/.*"kl_mean":\([^,}]*\).*/\1/' "$work/out")
    echo "divergence $got" >>"$work/words"
    awk -v got="$got" -v limit="$limit" 'BEGIN { exit !(got > 0 && got < limit) }'
    result $? "demo-$model, $cache: divergence below $limit"
done <<END
llama int8 0.0003
llama int4 0.03
llama k=int8,v=int4 0.004
llama uneven4 0.04
deepseek int8 0.0003
deepseek int4 0.03
deepseek fp8_ds_mla 0.002
END

echo "1..$n"
