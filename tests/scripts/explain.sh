#!/bin/sh
# lmzoo explain as a user calls it: a folder, a bare config.json, a type; text, Markdown, JSON; errors are one sentence.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
number() { # KEY FILE: the first number of that key in a JSON text
    sed -n "s/.*\"$1\":[^0-9]*\([0-9][0-9.]*\).*/\1/p" "$2" | head -n 1
}

"$lmzoo" explain "$model" --json >"$TMPDIR/folder.json"
result $? "a folder as JSON"
mkdir "$TMPDIR/bare"
cp "$model/config.json" "$TMPDIR/bare/config.json"
"$lmzoo" explain "$TMPDIR/bare/config.json" --json >"$TMPDIR/bare.json"
result $? "its config alone as JSON"
grep -v '"name":' "$TMPDIR/folder.json" >"$TMPDIR/a"
grep -v '"name":' "$TMPDIR/bare.json" >"$TMPDIR/b"
cmp -s "$TMPDIR/a" "$TMPDIR/b"
result $? "weights change nothing of it"

"$lmzoo" inspect "$model" --json >"$TMPDIR/inspect.json"
[ "$(number total "$TMPDIR/folder.json")" = "$(number parameters "$TMPDIR/inspect.json")" ]
result $? "parameters are those that inspect finds in the file"

"$lmzoo" plan "$model" --json --context 64 --cache f32 >"$TMPDIR/plan64"
"$lmzoo" plan "$model" --json --context 128 --cache f32 >"$TMPDIR/plan128"
slope=$((($(number cache_per_sequence "$TMPDIR/plan128") - $(number cache_per_sequence "$TMPDIR/plan64")) / 64))
[ "$slope" -gt 0 ] && [ "$slope" = "$(number bytes_per_token "$TMPDIR/folder.json")" ]
result $? "bytes of a position are those that plan measures"

"$lmzoo" explain "$model" >"$TMPDIR/text" && grep -q 'grouped-query attention' "$TMPDIR/text" &&
    grep -q '^Parameters' "$TMPDIR/text" && ! grep -q '|' "$TMPDIR/text"
result $? "as text"
"$lmzoo" explain "$model" --markdown >"$TMPDIR/markdown" && grep -q '^## Parameters' "$TMPDIR/markdown" &&
    grep -q '^|---' "$TMPDIR/markdown"
result $? "as Markdown"

"$lmzoo" explain nothing_of_this_name >"$TMPDIR/out" 2>"$TMPDIR/err"
[ $? -eq 2 ] && [ ! -s "$TMPDIR/out" ] && [ "$(wc -l <"$TMPDIR/err")" -eq 1 ] && grep -q nothing_of_this_name "$TMPDIR/err"
result $? "an unknown name: exit code 2 and one sentence"
echo '{"model_type": "llama", "hidden_size": "wide"}' >"$TMPDIR/bad.json"
"$lmzoo" explain "$TMPDIR/bad.json" >"$TMPDIR/out" 2>"$TMPDIR/err"
[ $? -eq 3 ] && [ "$(wc -l <"$TMPDIR/err")" -eq 1 ] && grep -q 'bad.json.*hidden_size' "$TMPDIR/err"
result $? "a config of a wrong type: exit code 3 and one sentence"
echo 'no json' >"$TMPDIR/text.json"
"$lmzoo" explain "$TMPDIR/text.json" >"$TMPDIR/out" 2>"$TMPDIR/err"
[ $? -eq 3 ] && [ "$(wc -l <"$TMPDIR/err")" -eq 1 ]
result $? "no JSON: exit code 3 and one sentence"

status=0
for picture in "$LMZOO_SOURCE"/plugins/*/*.svg; do
    type=$(basename "$picture" .svg)
    "$lmzoo" draw "$type" -o "$TMPDIR/picture.svg" && cmp -s "$TMPDIR/picture.svg" "$picture" || status=1
    grep -q "($type.svg)" "$(dirname "$picture")/MODEL.md" || status=1
done
[ -f "$LMZOO_SOURCE/plugins/llama/llama.svg" ] || status=1
result $status "the pictures of plugins/*/MODEL.md are what draw gives (lmzoo draw TYPE -o plugins/NAME/TYPE.svg)"
other=$LMZOO_SOURCE/demo/models/demo-gemma
"$lmzoo" diff "$model" "$other" >"$TMPDIR/diff" && grep -q 'norms stand before each branch and after it' "$TMPDIR/diff" &&
    grep -q '^Sizes' "$TMPDIR/diff" && grep -q 'kept at 32k positions' "$TMPDIR/diff"
result $? "diff shows norms, sizes and memory"
"$lmzoo" diff "$model" "$model" >"$TMPDIR/diff" && grep -q 'nothing: the same block' "$TMPDIR/diff"
result $? "diff with itself finds nothing"
"$lmzoo" diff "$model" >"$TMPDIR/out" 2>"$TMPDIR/err"
[ $? -eq 2 ]
result $? "diff of one: exit code 2"

"$lmzoo" cache "$model" "$other" --context 64,4k >"$TMPDIR/cache" && grep -q 'at 64 positions' "$TMPDIR/cache" &&
    grep -q 'at 4k positions' "$TMPDIR/cache"
result $? "cache side by side"
"$lmzoo" cache "$model" --context 64 --json >"$TMPDIR/cache.json"
[ "$(number bytes_per_token "$TMPDIR/cache.json")" = "$slope" ]
result $? "cache shows the bytes that plan measures"
for bad in 0 k 1x ',' -4 1e12; do
    "$lmzoo" cache "$model" --context "$bad" >"$TMPDIR/out" 2>"$TMPDIR/err"
    [ $? -eq 2 ] && [ "$(wc -l <"$TMPDIR/err")" -eq 1 ]
    result $? "--context $bad: exit code 2 and one sentence"
done
"$lmzoo" cache "$model" -o "$TMPDIR/no/such/x.svg" 2>"$TMPDIR/err"
[ $? -eq 4 ]
result $? "a folder that is not there: exit code 4"

for picture in draw cache; do
    for how in "" --dark; do
        # shellcheck disable=SC2086
        "$lmzoo" $picture "$other" $how -o "$TMPDIR/x.svg"
        result $? "$picture $how"
        if command -v rsvg-convert >/dev/null; then
            rsvg-convert -w 800 "$TMPDIR/x.svg" -o "$TMPDIR/x.png" 2>"$TMPDIR/err" && [ ! -s "$TMPDIR/err" ]
            result $? "$picture $how is a picture to a renderer"
        else
            result 0 "$picture $how is a picture to a renderer # SKIP no rsvg-convert"
        fi
    done
done
"$lmzoo" draw "$other" --scale >"$TMPDIR/scaled.svg" && "$lmzoo" draw "$other" >"$TMPDIR/plain.svg" &&
    [ "$(grep -c '<rect' "$TMPDIR/scaled.svg")" -gt "$(grep -c '<rect' "$TMPDIR/plain.svg")" ]
result $? "draw --scale has bars"

"$lmzoo" gallery -o "$TMPDIR/site" 2>"$TMPDIR/err" && [ -s "$TMPDIR/site/index.html" ] && [ -s "$TMPDIR/site/i/gqa.html" ] &&
    [ "$(find "$TMPDIR/site/c" -name '*.html' | wc -l)" -eq "$("$lmzoo" cards | wc -l)" ]
result $? "gallery has a page for each model type"
echo '{"hidden_size": 64, "num_hidden_layers": 2}' >"$TMPDIR/untyped.json"
"$lmzoo" explain "$TMPDIR/untyped.json" >"$TMPDIR/out" 2>"$TMPDIR/err"
[ $? -eq 3 ] && grep -q model_type "$TMPDIR/err"
result $? "a config without model_type is refused"
"$lmzoo" explain "$TMPDIR/untyped.json" --type llama >"$TMPDIR/out" && grep -q 'Width 64' "$TMPDIR/out"
result $? "and opened with --type"
"$lmzoo" explain "DeepSeek V3" >"$TMPDIR/out" && grep -q '671 B parameters\|67[0-9] B parameters' "$TMPDIR/out"
result $? "a release by its name"
"$lmzoo" explain "OLMo 2 7B" >"$TMPDIR/out" 2>"$TMPDIR/err"
[ $? -eq 2 ] && [ "$(wc -l <"$TMPDIR/err")" -eq 1 ] && grep -q 'OLMo 2 7B.*without a config' "$TMPDIR/err"
result $? "a release whose values have no source: exit code 2 and one sentence"
"$lmzoo" explain "Llama 3.1 8B" >"$TMPDIR/out" && grep -q 'theta 500000' "$TMPDIR/out" &&
    grep -q 'file: rope_scaling, rope_theta' "$TMPDIR/out" && "$lmzoo" explain "Mistral Nemo Instruct 2407" >"$TMPDIR/out" &&
    ! grep -q 'last 4096 positions' "$TMPDIR/out"
result $? "a release has its file's values, not its class's defaults"
"$lmzoo" diff "Gemma 2 9B" "Gemma 3 12B" >"$TMPDIR/diff" && [ "$(grep -c 'scores are not capped' "$TMPDIR/diff")" -eq 1 ] &&
    grep -q '^  - in sliding layers: a query sees the last 1024' "$TMPDIR/diff"
result $? "diff tells what all kinds of layers have in common once"
echo "1..$n"
