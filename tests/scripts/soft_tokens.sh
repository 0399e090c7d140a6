#!/bin/sh
# Tokens that a tower embeds: computed with its table, refused by number where the checkpoint lacks it.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
case=$LMZOO_SOURCE/tests/parity/cases/gemma3n-soft_tokens
cd "$TMPDIR" || exit 1
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

"$lmzoo" run "$case" --tokens 5,171,182,9 --max-tokens 3 >with 2>"$said" && [ -s with ]
result $? "tokens of both towers"
"$lmzoo" inspect "$case" >out 2>"$said" && grep -q 'embed_vision' out
result $? "inspect names the tower"

# lacking TENSOR OTHER: a copy without it; the other name is as long
lacking() {
    rm -rf m && mkdir m && cp "$case"/config.json m &&
        LC_ALL=C sed "s/$1/$2/" "$case/model.safetensors" >m/model.safetensors
}
lacking embed_vision.embedding.weight other_towers.embedding.weight
"$lmzoo" run m --tokens 5,6,9 --max-tokens 1 >out 2>"$said" && [ -s out ]
result $? "a text without the table"
for token in 170 199; do
    "$lmzoo" run m --tokens "5,$token" --max-tokens 1 >out 2>"$said"
    [ $? -ne 0 ] && [ ! -s out ] && [ "$(wc -l <"$said")" -eq 1 ] && grep -q "token $token stands for a part of an image or of sound" "$said"
    result $? "token $token without the table of images"
done
lacking embed_audio.embedding.weight other_tower.embedding.weight
"$lmzoo" run m --tokens 5,171 --max-tokens 1 >out 2>"$said" && [ -s out ]
result $? "a token of an image without the table of sound"
"$lmzoo" run m --tokens 5,182 --max-tokens 1 >out 2>"$said"
[ $? -ne 0 ] && grep -q 'token 182' "$said"
result $? "a token of sound without it"

mkdir n && ln -s "$case/model.safetensors" n && sed 's/"vocab_offset": 170/"vocab_offset": 160/' "$case/config.json" >n/config.json
"$lmzoo" run n --tokens 5,6 --max-tokens 1 >out 2>"$said"
[ $? -eq 3 ] && grep -q 'embed_vision embeds tokens 160 to 181, but has 12 rows' "$said"
result $? "more tokens than the table has rows"
echo "1..$n"
