#!/bin/sh
# Models that must be refused: one sentence that names the file and the thing, exit code 3, and nothing large is read first.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
source=$LMZOO_SOURCE/demo/models/demo-llama
n=0
check() { # NAME EXPECTED-WORDS ARGUMENTS...
    n=$((n + 1))
    name=$1 words=$2
    shift 2
    "$lmzoo" run "$@" --tokens 1,2,3 --max-tokens 1 >"$TMPDIR/out" 2>"$TMPDIR/err"
    code=$?
    lines=$(wc -l <"$TMPDIR/err")
    if [ "$code" -eq 3 ] && [ "$lines" -eq 1 ] && grep -q -- "$words" "$TMPDIR/err" && [ ! -s "$TMPDIR/out" ]; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        echo "# exit $code, wanted 3 and the words: $words"
        sed 's/^/# /' "$TMPDIR/err"
    fi
}
copy() {
    rm -rf "${TMPDIR:?}/$1"
    mkdir "$TMPDIR/$1"
    cp "$source"/*.json "$source"/*.jinja "$source"/*.safetensors "$TMPDIR/$1/"
    chmod -R u+w "$TMPDIR/$1"
}

copy key
sed -i 's/"hidden_act"/"attention_swirl": 3, "hidden_act"/' "$TMPDIR/key/config.json"
check "a config key that the reference does not read, with --strict" \
    'key/config.json: "attention_swirl" is 3' "$TMPDIR/key" --strict
sed -i 's/"hidden_act"/"auto_map": {"AutoConfig": "own.py"}, "hidden_act"/' "$TMPDIR/key/config.json"
check "such a key beside code of its own" '"attention_swirl" is 3.*auto_map' "$TMPDIR/key"

# Biases beside a config without attention_bias: the reference leaves them aside, here the user says so.
biases=$LMZOO_SOURCE/tests/parity/cases/llama-bias-llama3
mkdir "$TMPDIR/biases"
ln -s "$biases"/model* "$TMPDIR/biases"
sed '/"attention_bias"/d' "$biases/config.json" >"$TMPDIR/biases/config.json"
check "stored biases that the config does not know" \
    "layers.0.self_attn.k_proj.bias .*--allow-unknown 'model.layers.\*.self_attn.k_proj.bias'" "$TMPDIR/biases"
n=$((n + 1))
if "$lmzoo" run "$TMPDIR/biases" --tokens 1,2,3 --max-tokens 1 --allow-unknown 'model.layers.*.self_attn.*.bias' \
    >"$TMPDIR/out" 2>"$TMPDIR/err" && [ -s "$TMPDIR/out" ]; then
    echo "ok $n - such biases, allowed by a pattern"
else
    echo "not ok $n - such biases, allowed by a pattern"
    sed 's/^/# /' "$TMPDIR/err"
fi

groups=$LMZOO_SOURCE/tests/parity/cases/deepseek_v32
mkdir "$TMPDIR/groups"
ln -s "$groups"/model* "$TMPDIR/groups"
sed 's/"num_experts_per_tok": [0-9]*/"num_experts_per_tok": 7/; s/"topk_group": [0-9]*/"topk_group": 1/' "$groups/config.json" >"$TMPDIR/groups/config.json"
check "more experts than the kept groups hold" 'experts: 7 are chosen, but the 1 of [0-9]* groups that are kept hold [0-9]' "$TMPDIR/groups"

# Decays that a file holds are those that follow from head and layer, or it is refused.
slopes=$LMZOO_SOURCE/tests/parity/cases/minimax-slopes
mkdir "$TMPDIR/slopes"
ln -s "$slopes"/config.json "$TMPDIR/slopes"
at=$(LC_ALL=C grep -abo '"model.layers.0.self_attn.slope_rate":{[^}]*}' "$slopes/model.safetensors" | sed 's/.*"data_offsets":\[\([0-9]*\),.*/\1/')
header=$(od -A n -t u8 -N 8 "$slopes/model.safetensors" | tr -d ' ')
cp "$slopes/model.safetensors" "$TMPDIR/slopes/model.safetensors" && chmod u+w "$TMPDIR/slopes/model.safetensors"
printf '\000\000\000\077' | dd of="$TMPDIR/slopes/model.safetensors" bs=1 seek=$((8 + header + at)) conv=notrunc 2>/dev/null
check "stored decays of another kind" 'slope_rate of head 0 is 0.5; only 0.06' "$TMPDIR/slopes"

copy value
sed -i 's/"hidden_act": "silu"/"hidden_act": "wavy"/' "$TMPDIR/value/config.json"
check "a value that is not computed" 'value/config.json: .*wavy' "$TMPDIR/value"

copy fewer
sed -i 's/"num_hidden_layers": 5/"num_hidden_layers": 4/' "$TMPDIR/fewer/config.json"
check "a layer behind the last one" 'tensor model.layers.4.*belongs to a layer' "$TMPDIR/fewer"

copy fraction
sed -i 's/"num_hidden_layers": 5/"num_hidden_layers": 5.5/' "$TMPDIR/fraction/config.json"
check "a fraction where a count is needed" 'num_hidden_layers' "$TMPDIR/fraction"

copy shape
sed -i '1s/"shape":\[128,96\]/"shape":[96,128]/' "$TMPDIR/shape/model.safetensors"
check "a tensor of the wrong shape" 'wanted \[.*\], found BF16 \[' "$TMPDIR/shape"

copy missing
sed -i '1s/layers.4.mlp.up_proj/layers.4.mlp.xx_proj/' "$TMPDIR/missing/model.safetensors"
check "a missing tensor of the last layer" 'tensor model.layers.4.mlp.up_proj.weight is missing' "$TMPDIR/missing"

copy bias
sed -i 's/"num_hidden_layers": 5/"num_hidden_layers": 5, "attention_bias": true/; s/"attention_bias": false,//' "$TMPDIR/bias/config.json"
check "a bias that the config promises and the file lacks" 'self_attn.q_proj.bias is missing' "$TMPDIR/bias"

copy cut
head -c 700000 "$source/model.safetensors" >"$TMPDIR/cut/model.safetensors"
check "a truncated file" 'cut/model.safetensors' "$TMPDIR/cut"

copy shard
mv "$TMPDIR/shard/model.safetensors" "$TMPDIR/shard/model-00001-of-00002.safetensors"
printf '{"metadata":{},"weight_map":{"model.norm.weight":"model-00002-of-00002.safetensors","model.embed_tokens.weight":"model-00001-of-00002.safetensors"}}\n' >"$TMPDIR/shard/model.safetensors.index.json"
check "an index that names a missing shard" 'model-00002-of-00002.safetensors' "$TMPDIR/shard"

copy json
printf '{"model_type": "llama",' >"$TMPDIR/json/config.json"
check "a config that is not JSON" 'json/config.json, line 1' "$TMPDIR/json"

copy wide
sed -i 's/"head_dim": [0-9]*/"head_dim": 1000000000/' "$TMPDIR/wide/config.json"
check "a head of a billion elements" '1000000000 rotated dims of a head' "$TMPDIR/wide"

copy type
sed -i 's/"model_type": "llama"/"model_type": "nonesuch", "odd_key": 1/' "$TMPDIR/type/config.json"
check "a model_type without card, with a key the probe cannot place" 'type/config.json' "$TMPDIR/type"

mkdir "$TMPDIR/plugins" "$TMPDIR/cards"
cp "$LMZOO_BUILD/tests/loader/abi_major.so" "$TMPDIR/plugins/llama.so"
check "a plugin of another ABI" 'plugins/llama.so: plugin stamp: abi_major is 41, this host has 5' "$source" --plugin-dir "$TMPDIR/plugins"

printf '{"model_type": "llama", "plugin": "nonesuch"}\n' >"$TMPDIR/cards/odd.json"
check "a card that names no plugin" 'cards/odd.json: the card names plugin "nonesuch"' "$source" --card-dir "$TMPDIR/cards"

printf '{"model_type": "llama", "plugin": "llama", "option": {}}\n' >"$TMPDIR/cards/odd.json"
check "a card with a misspelt member" 'cards/odd.json: unknown card member "option"' "$source" --card-dir "$TMPDIR/cards"
echo "1..$n"
