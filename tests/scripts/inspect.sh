#!/bin/sh
# tests/scripts/inspect.sh: the commands that show and measure, as a user starts them: inspect, plan,
# bench, plugins, cards, render, tokenize.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
models=$LMZOO_SOURCE/demo/models
llama=$models/demo-llama
work=$TMPDIR
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$work/words
field() { # NAME FILE: the number behind the first such name
    sed -n "s/.*\"$1\": *\\([0-9.]*\\).*/\\1/p" "$2" | head -n 1
}
refused() { # CODE WORDS NAME ARGUMENTS...
    code=$1 words=$2 name=$3
    shift 3
    "$lmzoo" "$@" >"$work/out" 2>"$work/words" </dev/null
    [ $? -eq "$code" ] && [ "$(wc -l <"$work/words")" -eq 1 ] && [ ! -s "$work/out" ] &&
        grep -q -- "$words" "$work/words"
    result $? "refused: $name"
}

# --- inspect: what it says of each demo model is what its config and the build say
for model in llama gemma deepseek hybrid; do
    folder=$models/demo-$model
    type=$(sed -n 's/.*"model_type": "\([^"]*\)".*/\1/p' "$folder/config.json" | head -n 1)
    layers=$(field num_hidden_layers "$folder/config.json")
    "$lmzoo" inspect "$folder" --json >"$work/words" 2>&1 &&
        grep -q "\"model_type\": \"$type\", \"plugin\": \"$model\", \"layers\": $layers," \
            "$work/words" &&
        "$lmzoo" inspect "$folder" >"$work/words" 2>&1 &&
        grep -q "model_type $type, plugin $model" "$work/words" &&
        grep -q "  $layers layers, hidden_size" "$work/words"
    result $? "inspect demo-$model: its type, plugin and layers"
done
mkdir "$work/header"
cp "$llama"/*.json "$work/header"
size=$(wc -c <"$llama/model.safetensors")
head -c 65536 "$llama/model.safetensors" >"$work/header/model.safetensors"
truncate -s "$size" "$work/header/model.safetensors"
"$lmzoo" inspect "$llama" --json >"$work/a" 2>"$work/words" &&
    "$lmzoo" inspect "$work/header" --json >"$work/b" 2>>"$work/words" &&
    cmp "$work/a" "$work/b" >>"$work/words"
result $? "inspect reads no weights: values that are gone change nothing"
refused 3 nonesuch "inspect of a folder that is not there" inspect "$work/nonesuch"
refused 2 'usage: lmzoo inspect' "inspect without a model" inspect

# --- how weights are packed, and why: in inspect, and in a run that asks for "auto" by name
"$lmzoo" inspect "$llama" >"$work/words" 2>&1 &&
    grep -q 'packed with --weights auto: 36 matrices in bf16, as they are stored$' "$work/words"
result $? "inspect: auto takes bf16 where bf16 is stored"
"$lmzoo" inspect "$llama" --weights int4 >"$work/words" 2>&1 &&
    grep -q 'int4: 5 matrices in int8; 25 matrices in int4; 6 matrices in int5$' "$work/words"
result $? "inspect: which matrices int4 packs wider"
"$lmzoo" run "$llama" -p Once -n 2 --weights auto >"$work/a" 2>"$work/words" &&
    [ "$(cat "$work/words")" = "lmzoo: weights auto: 36 matrices in bf16, as they are stored" ] &&
    "$lmzoo" run "$llama" -p Once -n 2 >"$work/b" 2>"$work/words" && [ ! -s "$work/words" ] &&
    cmp "$work/a" "$work/b"
result $? "run --weights auto: one line says what was taken and why; unasked, none"
gptq=$LMZOO_REFERENCE/parity/quant-gptq-int4
if [ -d "$gptq" ]; then
    "$lmzoo" inspect "$gptq" --weights auto >"$work/words" 2>&1 &&
        grep -q 'auto: 15 matrices in float32, which holds what is stored (gptq int4 group 32)' \
            "$work/words" &&
        "$lmzoo" inspect "$gptq" --weights int4 >"$work/words" 2>&1 &&
        grep -q '14 keep the codes that are stored' "$work/words"
    result $? "inspect of a GPTQ folder: auto widens its codes and says so, int4 keeps them"
    grep -q '1 matrix in bf16; .*; 1 kept wide as in the checkpoint' "$work/words" &&
        "$lmzoo" inspect "$gptq" --weights int4-all >"$work/words" 2>&1 &&
        grep -q 'int4-all: 14 matrices in int4; 1 matrix in int5; 14 keep the codes that are stored$' \
            "$work/words"
    result $? "what the folder keeps wide stays so in int4, and is packed by int4-all"
fi

# --- plan: the parts make the sum, a batch costs its sequences, and it is what loading then takes
plan() { "$lmzoo" plan "$llama" --json "$@" 2>"$work/words"; }
plan --batch 3 --context 200 >"$work/a"
plan --batch 6 --context 200 >"$work/b"
cat "$work/a" "$work/b" >>"$work/words"
awk -v w="$(field weights "$work/a")" -v c="$(field cache_per_sequence "$work/a")" \
    -v s="$(field step "$work/a")" -v l="$(field logits "$work/a")" \
    -v t="$(field total "$work/a")" -v t2="$(field total "$work/b")" \
    'BEGIN { exit !(w > 0 && c > 0 && t == w + 3 * c + s + l && t2 == t + 3 * c + l) }'
result $? "plan: the total is the sum of its parts, for 3 and for 6 sequences"
for kind in f32 bf16 int8 int6 int4; do
    plan --weights $kind >"$work/a"
    "$lmzoo" bench "$llama" --weights $kind --tests none -q >"$work/b" 2>>"$work/words"
    cat "$work/a" "$work/b" >>"$work/words"
    [ "$(field weights "$work/a")" -gt 0 ] &&
        [ "$(field weights "$work/a")" = "$(field packed_bytes "$work/b")" ]
    result $? "plan --weights $kind: the bytes that loading packs"
done
plan --context 100 >"$work/a"
plan --context 200 --cache int8 >"$work/b"
[ "$(field cache_per_sequence "$work/b")" -lt $((2 * $(field cache_per_sequence "$work/a"))) ]
result $? "plan: a cache of int8 is smaller"
"$lmzoo" plan "$llama" --batch 7 >"$work/words" 2>&1 && grep -q '^7 *such sequences' "$work/words"
result $? "plan in words"
refused 2 'must be auto' "plan for weights of an unknown kind" plan "$llama" --weights int3
refused 3 nonesuch "plan of a folder that is not there" plan "$work/nonesuch"

# --- bench: the chosen tests in order, with the given counts
"$lmzoo" bench "$llama" --prefill 24 --decode 5 --batch 3 --prompt 8 --new 4 --rounds 2 -q \
    --context 64 >"$work/out" 2>"$work/words"
code=$?
sed 's/.*"test":"\([a-z]*\)".*/\1/' "$work/out" | tr '\n' ' ' >"$work/tests"
cat "$work/out" >>"$work/words"
[ $code -eq 0 ] && [ "$(cat "$work/tests")" = "load prefill decode batch " ] &&
    grep -q '"test":"prefill".*"batch":1,"prompt_tokens":24,"new_tokens":1,' "$work/out" &&
    grep -q '"test":"decode".*"batch":1,"prompt_tokens":1,"new_tokens":5,' "$work/out" &&
    grep -q '"test":"batch".*"batch":3,"prompt_tokens":8,"new_tokens":4,.*"rounds":2,' "$work/out"
result $? "bench: load and three tests, each with its counts"
awk -F'"total_tps":' '/"test":"(prefill|decode|batch)"/ { if (!($2 + 0 > 0)) exit 1 }' "$work/out"
result $? "bench: every test has a rate"
"$lmzoo" bench "$llama" --tests batch --batch 4 --prompt 20 --shared 16 --new 2 --rounds 1 -q \
    --context 64 >"$work/out" 2>"$work/words"
[ $? -eq 0 ] && [ "$(wc -l <"$work/out")" -eq 2 ] && [ "$(field shared_tokens "$work/out")" -gt 0 ]
result $? "bench: one test alone; a shared prefix is read once"
refused 2 'from 1 to' "bench of no rounds" bench "$llama" --rounds 0
refused 2 'goes up to 64' "bench of very many rounds" bench "$llama" --rounds 65
refused 3 nonesuch "bench of a folder that is not there" bench "$work/nonesuch"

# --- plugins and cards: all that the folders hold
"$lmzoo" plugins >"$work/words" 2>&1 &&
    sed -n '/^the host$/d; /^ /d; s/ .*//p' "$work/words" >"$work/a" &&
    for file in "$LMZOO_BUILD"/plugins/*.so; do basename "$file" .so; done | cmp - "$work/a"
result $? "plugins lists each plugin of the build"
mkdir "$work/plugins"
cp "$LMZOO_BUILD/plugins/llama.so" "$work/plugins/"
echo 'not a library' >"$work/plugins/bad.so"
"$lmzoo" plugins --plugin-dir "$work/plugins" >"$work/out" 2>"$work/words"
[ $? -eq 3 ] && grep -q 'bad.so' "$work/words" && grep -q '^llama' "$work/out"
result $? "plugins: one that cannot be used is named, the others are listed"
refused 4 nonesuch "plugins of a folder that is not there" plugins --plugin-dir "$work/nonesuch"
"$lmzoo" cards >"$work/words" 2>&1 && cut -d' ' -f1 "$work/words" | sort >"$work/a" &&
    find "$LMZOO_SOURCE/models.d" -maxdepth 1 -name '*.json' ! -name releases.json ! -name ideas.json ! -name card.schema.json ! -name options.json \
        -exec cat {} + | tr -d '\n' | grep -oE '"model_type": *("[^"]*"|\[[^]]*\])' |
    sed 's/"model_type"//' | grep -oE '"[^"]+"' | tr -d '"' | sort >"$work/b" &&
    [ -s "$work/b" ] && cmp "$work/a" "$work/b" >>"$work/words"
result $? "cards lists each model_type that has a card"
refused 4 nonesuch "cards of a folder that is not there" cards --card-dir "$work/nonesuch"

# --- render and tokenize: a chat as text, its ids, and back
chat='{"messages": [{"role": "user", "content": "A \"fox\"?"}], "add_generation_prompt": true}'
echo "$chat" | "$lmzoo" render "$llama" --jsonl >"$work/out" 2>"$work/words"
code=$?
cat "$work/out" >>"$work/words"
[ $code -eq 0 ] &&
    [ "$(sed 's/.*user\\n\(.*\)<|im_end|>.*/\1/' "$work/out")" = 'A \"fox\"?' ]
result $? "render: a message through the model's template"
sed 's/^{"text": //; s/}$//' "$work/out" >"$work/text"
"$lmzoo" tokenize "$llama" --jsonl <"$work/text" >"$work/ids" 2>"$work/words" &&
    "$lmzoo" tokenize "$llama" --jsonl --decode <"$work/ids" 2>>"$work/words" |
    sed 's/\\u000a/\\n/g' >"$work/back" && cmp "$work/text" "$work/back" >>"$work/words"
result $? "tokenize: the rendered chat to ids and back"
"$lmzoo" run "$llama" --tokens "$(tr -d '[] ' <"$work/ids")" -n 4 -q --json >"$work/a" \
    2>"$work/words" && echo "$chat" >"$work/chat.json" &&
    "$lmzoo" run "$llama" --chat "$work/chat.json" -n 4 -q --json >"$work/b" 2>>"$work/words" &&
    [ -s "$work/a" ] && cmp "$work/a" "$work/b" >>"$work/words"
result $? "these ids are those of run --chat"
echo '{{ messages | length }} {{ strftime_now("%Y-%m-%d") }}' >"$work/t.jinja"
printf '{"messages": [1, 2]}\n{"messages": \n{"messages": []}\n' |
    "$lmzoo" render "$work/t.jinja" --jsonl --now 2026-01-02T03:04:05 >"$work/out" 2>"$work/words"
[ $? -eq 1 ] && [ "$(wc -l <"$work/out")" -eq 3 ] &&
    [ "$(sed -n 1p "$work/out")" = '{"text": "2 2026-01-02"}' ] &&
    sed -n 2p "$work/out" | grep -q '^{"error": ' &&
    [ "$(sed -n 3p "$work/out")" = '{"text": "0 2026-01-02"}' ]
result $? "render: a template file, a fixed time; a bad line is an error in its place"
printf '"a b"\n"bad\n"c"\n' | "$lmzoo" tokenize "$llama" --jsonl >"$work/out" 2>"$work/words"
[ $? -eq 1 ] && [ "$(sed -n 2p "$work/out")" = null ] && grep -q 'line 2 ' "$work/words" &&
    [ "$(wc -l <"$work/out")" -eq 3 ]
result $? "tokenize: a bad line is null in its place"
refused 2 'only --jsonl' "render of something else than lines" render "$llama"
refused 2 '--now needs a time' "render at no time" render "$llama" --jsonl --now noon
refused 4 nonesuch "render of a file that is not there" render "$work/nonesuch" --jsonl
refused 4 nonesuch "tokenize by a file that is not there" tokenize "$work/nonesuch" --jsonl
echo "1..$n"
