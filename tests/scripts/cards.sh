#!/bin/sh
# tests/scripts/cards.sh: a misspelling in a card is refused with the nearest right name; the schema
# and the list of options are those of the table; inspect reports all problems at once, and works on
# config.json alone.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama
cards=$TMPDIR/cards
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$TMPDIR/words
mkdir "$cards"
cp -r "$LMZOO_SOURCE/models.d/classes" "$cards"
misspelt() { # NAME NEAREST MEMBERS: a card of llama with these members more
    printf '{"model_type": "llama", "plugin": "llama", %s}\n' "$3" >"$cards/odd.json"
    "$lmzoo" inspect "$model" --card-dir "$cards" >"$TMPDIR/out" 2>"$TMPDIR/words"
    [ $? -eq 3 ] && [ ! -s "$TMPDIR/out" ] && grep -q "odd.json: .*did you mean \"$2\"?" "$TMPDIR/words"
    result $? "misspelt: $1"
}
misspelt "an option" rotate '"options": {"rotat": "none"}'
misspelt "an option's word" head '"options": {"qk_norm": "haed"}'
misspelt "a default" rms_norm_eps '"defaults": {"rms_nrom_eps": 1e-05}'
misspelt "a fixed value" head_dim '"fixed": {"head_dmi": 8}'
misspelt "a plugin's key in an alias" intermediate_size '"aliases": {"intermediate_sise": "hidden_size"}'
misspelt "a file's key in an alias" hidden_size '"aliases": {"num_experts": "hiden_size"}'
misspelt "a wanted tensor in a rename" self_attn.q_proj '"tensors": [["self_attn.q_prj", "attn.q"]]'
misspelt "a stored tensor in a rename" mlp.gate_proj '"tensors": [["mlp.gate_proj", "mlp.gate_prjo"]]'
misspelt "an ignored key" num_key_value_heads '"fixed": {"num_key_value_heads": 1}, "ignored": {"num_key_value_haeds": "x"}'
misspelt "a member" options '"optoins": {}'
printf '{"model_type": "llama", "plugin": "lama"}\n' >"$cards/odd.json"
"$lmzoo" inspect "$model" --card-dir "$cards" >"$TMPDIR/out" 2>"$TMPDIR/words"
[ $? -eq 3 ] && grep -q 'did you mean "llama"?' "$TMPDIR/words"
result $? "misspelt: the plugin"

# --- a window that depends on the rotation, and a rotation that depends on the window
for sliding in no_rope chunked; do
    printf '{"model_type": "llama", "plugin": "llama", "options": {"sliding": "%s", "rotate": "sliding"}}\n' \
        $sliding >"$cards/odd.json"
    "$lmzoo" inspect "$model" --card-dir "$cards" >"$TMPDIR/out" 2>"$TMPDIR/words"
    [ $? -eq 3 ] && grep -q "\"$sliding\" and rotate \"sliding\" depend on each other" "$TMPDIR/words"
    result $? "sliding $sliding with rotate sliding is refused"
done

# --- a card with a fault stops its own types alone
all=$TMPDIR/all
cp -r "$LMZOO_SOURCE/models.d" "$all"
stops() { # CARD WORDS: cards names the fault and shows the rest; demo-llama runs or does not
    "$lmzoo" cards --card-dir "$all" >"$TMPDIR/out" 2>"$TMPDIR/words"
    [ $? -eq 3 ] && grep -q '^gemma3' "$TMPDIR/out" && grep -q "$2" "$TMPDIR/words" &&
        { "$lmzoo" inspect "$model" --card-dir "$all" >"$TMPDIR/out" 2>"$TMPDIR/words"; [ $? -eq "$3" ]; } &&
        { [ "$3" -eq 0 ] || grep -q "$2" "$TMPDIR/words"; }
    result $? "$1"
}
printf '{"model_type": "one", "plugin": "llama", "options": {"rotat": "none"}}\n' >"$all/one.json"
stops "a misspelt card of another type" 'one.json: .*did you mean "rotate"?' 0
printf '{"model_type": 5, "plugin": "llama"}\n' >"$all/one.json"
stops "a card of another type with a wrong shape" 'one.json: card member "model_type"' 0
printf '{"model_type": "one",\n' >"$all/one.json"
stops "a card that is no JSON" 'one.json' 0
sed 's/"model_type": "llama"/"model_type": "unheard"/' "$model/config.json" >"$TMPDIR/unheard.json"
"$lmzoo" inspect "$TMPDIR/unheard.json" --card-dir "$all" >"$TMPDIR/out" 2>"$TMPDIR/words"
[ $? -eq 3 ] && grep -q 'one.json' "$TMPDIR/words"
result $? "a card that is no JSON, and a type that no other names"
printf '{"model_type": "llama", "plugin": "llama"}\n' >"$all/one.json"
stops "two cards of one type" 'llama.json and .*one.json are both cards of model_type "llama"' 3
rm -r "$all"

# --- an ignored key counts for the value that the card names
odd=$TMPDIR/odd
mkdir "$odd"
cp "$model"/*.json "$odd"
printf '{"model_type": "llama", "plugin": "llama", "ignored": {"step": {"is": [1, 2], "why": "so"}}}\n' >"$cards/odd.json"
for value in 1 2 3; do
    sed "1s/{/{\"auto_map\": {}, \"step\": $value, /" "$model/config.json" >"$odd/config.json"
    "$lmzoo" inspect "$odd" --card-dir "$cards" >"$TMPDIR/words" 2>&1
    code=$?
    [ $code -eq $((value == 3 ? 3 : 0)) ]
    result $? "a key that is ignored where it is 1 or 2, at $value"
done

# --- a key that must have one of some values
printf '{"model_type": "llama", "plugin": "llama", "must": {"hidden_act": {"is": ["silu", "gelu"], "why": "so"}}}\n' >"$cards/odd.json"
for value in silu gelu relu; do
    sed "s/\"hidden_act\": \"[a-z]*\"/\"hidden_act\": \"$value\"/" "$model/config.json" >"$odd/config.json"
    "$lmzoo" inspect "$odd" --card-dir "$cards" >"$TMPDIR/words" 2>&1
    code=$?
    if [ $value = relu ]; then
        [ $code -eq 3 ] && grep -q 'config.json: "hidden_act" is "relu", it must be \["silu","gelu"\]: so' "$TMPDIR/words"
    else
        [ $code -eq 0 ]
    fi
    result $? "a key that must be silu or gelu, at $value"
done
misspelt "a key that must have a value" hidden_act '"must": {"hiden_act": {"is": "silu", "why": "x"}}'

# --- inspect of a config alone: plan and wanted tensors; the file itself will do
for name in "$odd" "$odd/config.json"; do
    cp "$model/config.json" "$odd/config.json"
    "$lmzoo" inspect "$name" >"$TMPDIR/words" 2>&1 &&
        grep -q 'there are no weights' "$TMPDIR/words" &&
        grep -q 'layers.#.self_attn.q_proj.weight' "$TMPDIR/words"
    result $? "inspect of config.json alone: $(basename "$name")"
done
"$lmzoo" inspect "$model" --json | sed 's/"stored".*//' >"$TMPDIR/words"
"$lmzoo" inspect "$odd" --json | sed 's/"stored".*//' | diff - "$TMPDIR/words" >"$TMPDIR/out"
result $? "inspect of config.json alone counts the parameters that the weights have"

# --- all problems at once
sed '1s/{/{"odd_one": 1, "auto_map": {}, "odd_two": 2, /' "$model/config.json" |
    sed 's/"rms_norm_eps": [^,]*/"rms_norm_eps": "small"/' >"$odd/config.json"
"$lmzoo" inspect "$odd" >"$TMPDIR/out" 2>"$TMPDIR/words"
[ $? -eq 3 ] && [ ! -s "$TMPDIR/out" ] && [ "$(wc -l <"$TMPDIR/words")" -eq 3 ] &&
    grep -q odd_one "$TMPDIR/words" && grep -q odd_two "$TMPDIR/words" &&
    grep -q rms_norm_eps "$TMPDIR/words"
result $? "inspect names two unknown keys and a wrong type in one run"
cp "$model/config.json" "$odd/config.json"
sed -i 's/"intermediate_size": [0-9]*/"intermediate_size": 7/; s/"vocab_size": [0-9]*/"vocab_size": 9999/' "$odd/config.json"
ln -s "$model/model.safetensors" "$odd/model.safetensors"
"$lmzoo" inspect "$odd" >"$TMPDIR/out" 2>"$TMPDIR/words"
[ $? -eq 3 ] && grep -q 'gate_proj.*of this kind' "$TMPDIR/words" && grep -q 'down_proj' "$TMPDIR/words" &&
    grep -q 'embed_tokens' "$TMPDIR/words"
result $? "inspect names each kind of tensor that does not fit"

# --- what no card names is refused in one sentence, however many of its keys nobody knows
sed '1s/{/{"odd_one": 1, "odd_two": 2, /; s/"model_type": "llama"/"model_type": "odd"/' "$model/config.json" >"$odd/config.json"
for name in "$odd" "$odd/config.json"; do
    "$lmzoo" inspect "$name" >"$TMPDIR/out" 2>"$TMPDIR/words"
    [ $? -eq 3 ] && [ ! -s "$TMPDIR/out" ] && [ "$(wc -l <"$TMPDIR/words")" -eq 1 ] &&
        grep -q '"odd_one" is 1.*no card names model_type "odd"' "$TMPDIR/words"
    result $? "a type that no card names: $(basename "$name")"
done
sed 's/"model_type": "llama"/"model_type": "odd"/; s/"hidden_act": "[a-z]*"/"hidden_act": "odd"/' "$model/config.json" >"$odd/config.json"
"$lmzoo" inspect "$odd/config.json" >"$TMPDIR/out" 2>"$TMPDIR/words"
[ $? -eq 3 ] && [ ! -s "$TMPDIR/out" ] && [ "$(wc -l <"$TMPDIR/words")" -eq 1 ] &&
    grep -q 'activation "odd".*no card names model_type "odd"' "$TMPDIR/words"
result $? "a type that no card names, with an activation that is not computed"

# --- a key outside the text part that the class passes on to it
part='"text_config": {"model_type": "ministral3"}'
for value in true false; do
    printf '{"model_type": "mistral3", "is_causal": %s, %s}\n' $value "$part" >"$odd/config.json"
    "$lmzoo" inspect "$odd/config.json" >"$TMPDIR/words" 2>&1
    code=$?
    [ $code -eq $([ $value = true ] && echo 0 || echo 3) ] &&
        { [ $code -eq 0 ] || grep -q '"is_causal" is false' "$TMPDIR/words"; }
    result $? "is_causal $value beside the text part"
done

# --- another spelling that this file does not have
printf '{"model_type": "llama", "plugin": "llama", "aliases": {"head_dim": "channels"}}\n' >"$cards/odd.json"
"$lmzoo" inspect "$model" --card-dir "$cards" >"$TMPDIR/words" 2>&1
result $? "an alias that neither class nor file has, and that resembles no key"

# --- only "rope" rotates in a class that asks for that word
case=$LMZOO_SOURCE/tests/parity/cases/granitemoehybrid
cp "$case/config.json" "$odd/config.json"
ln -sf "$case/model.safetensors" "$odd/model.safetensors"
for value in '"rope"' '"nope"' '"absolute"' null; do
    sed "s/\"position_embedding_type\": [^,]*/\"position_embedding_type\": $value/" "$case/config.json" >"$odd/config.json"
    "$lmzoo" trace "$odd" --tokens 5,6,7,8 -o "$TMPDIR/$value.st" 2>"$TMPDIR/words"
done
cmp -s "$TMPDIR/\"absolute\".st" "$TMPDIR/\"nope\".st" && cmp -s "$TMPDIR/null.st" "$TMPDIR/\"nope\".st" &&
    ! cmp -s "$TMPDIR/\"rope\".st" "$TMPDIR/\"nope\".st"
result $? "position_embedding_type rotates at rope alone"
# --- xLSTM has num_blocks layers, whatever num_hidden_layers is
case=$LMZOO_SOURCE/tests/parity/cases/xlstm-biases
ln -sf "$case/model.safetensors" "$odd/model.safetensors"
"$lmzoo" trace "$case" --tokens 5,6,7,8 -o "$TMPDIR/all.st" 2>"$TMPDIR/words"
sed '/"num_hidden_layers"/d' "$case/config.json" >"$odd/config.json"
grep -q '"num_blocks"' "$odd/config.json" && "$lmzoo" trace "$odd" --tokens 5,6,7,8 -o "$TMPDIR/blocks.st" 2>"$TMPDIR/words" &&
    cmp -s "$TMPDIR/all.st" "$TMPDIR/blocks.st"
result $? "num_blocks alone"
rm "$odd/model.safetensors"

# --- the table of all types
table=$LMZOO_SOURCE/docs/coverage.md
sed -n '/^| model_type | state/,$s/^| \([^|]*[^ |]\) | \([^|]*[^ |]\) | .*/\1\t\2/p' "$table" |
    grep -v '^model_type' >"$TMPDIR/types"
cut -f1 "$TMPDIR/types" | sort | uniq -d >"$TMPDIR/words"
[ "$(wc -l <"$TMPDIR/types")" -gt 200 ] && [ ! -s "$TMPDIR/words" ]
result $? "coverage.md names each type once"
count() { cut -f2 "$TMPDIR/types" | grep -cx "$1"; }
said_counts="$(wc -l <"$TMPDIR/types"): $(count covered) covered, $(count 'not covered') not covered, $(count 'by its text part') by its text part, $(count refused) refused, $(count kept) kept."
tr '\n' ' ' <"$table" | grep -qF "$said_counts"
result $? "coverage.md's sentence has the counts of its table"
sed -n 's/\tcovered$//p' "$TMPDIR/types" | while read -r type; do
    grep -lqF "\"$type\"" "$LMZOO_SOURCE"/models.d/*.json ||
        [ -e "$LMZOO_SOURCE/models.d/classes/$type.json" ] || echo "$type"
done >"$TMPDIR/words"
[ ! -s "$TMPDIR/words" ]
result $? "every covered type has a card or a class"

# --- the schema
if command -v python3 >/dev/null; then
    python3 "$LMZOO_SOURCE/tools/card_schema.py" --check >"$TMPDIR/words" 2>&1
    result $? "card.schema.json and card-options.md are those of the table"
else
    n=$((n + 1))
    echo "ok $n - card.schema.json and card-options.md are those of the table # SKIP no python3"
fi
python=${LMZOO_PYTHON:-python3}
if "$python" -c 'import jsonschema' 2>/dev/null; then
    "$python" "$LMZOO_SOURCE/tools/card_schema.py" --validate >"$TMPDIR/words" 2>&1
    result $? "every card passes the schema"
else
    n=$((n + 1))
    echo "ok $n - every card passes the schema # SKIP LMZOO_PYTHON has no jsonschema"
fi
echo "1..$n"
