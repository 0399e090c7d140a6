#!/bin/sh
# Configs as they are released, with code of their own (auto_map) and the settings of that code: keys
# that the reference's class does not read and that change nothing are taken, those that may change
# something are refused by name.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
cd "$TMPDIR" || exit 1
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

for config in "$LMZOO_SOURCE"/tests/data/released/*.json; do
    "$lmzoo" inspect "$config" >out 2>"$said" && grep -q '^layers:' out && [ ! -s "$said" ]
    result $? "released: $(basename "$config" .json)"
done

# changed TYPE KEY VALUE REFUSED: refused by name, or taken
changed() {
    sed "s/\"$2\": [^,}]*/\"$2\": $3/" "$LMZOO_SOURCE/tests/data/released/$1.json" >changed.json
    cmp -s changed.json "$LMZOO_SOURCE/tests/data/released/$1.json"
    [ $? -eq 1 ] || { result 1 "the config of $1 has $2"; return; }
    "$lmzoo" inspect changed.json >out 2>"$said"
    code=$?
    if [ "$4" -eq 1 ]; then
        [ $code -eq 3 ] && [ "$(wc -l <"$said")" -eq 1 ] && grep -q "\"$2\" is $3, which .* does not read, .*auto_map" "$said"
    else
        [ $code -eq 0 ] && [ ! -s "$said" ]
    fi
    result $? "$1 with $2 $3"
}
while read -r type key value refused; do
    changed "$type" "$key" "$value" "$refused"
done <<'END'
hunyuan_v1_moe use_cla true 1
hunyuan_v1_moe use_mla true 1
hunyuan_v1_moe use_qk_norm false 1
hunyuan_v1_moe norm_type "layer" 1
hunyuan_v1_moe norm_topk_prob false 1
hunyuan_v1_moe routed_scaling_factor 2.5 1
hunyuan_v1_moe mlp_bias true 1
hunyuan_v1_moe im_start_id 77 0
hunyuan_v1_moe vit_token 256 0
phi3 full_attn_mod 2 1
phi3 interpolate_factor 2 1
phi3 mlp_bias true 0
kimi_linear model_max_length 4096 0
dots1 moe_layer_freq 2 1
dots1 use_sliding_window true 1
iquestcoder max_window_layers 7 0
jamba mamba_inner_layernorms false 1
longcat_flash zero_expert_type "copy" 1
afmoe route_norm false 1
afmoe n_group 2 1
solar_open first_k_dense_replace 1 1
END

sed 's/"sliding_window": null/"sliding_window": 512/' "$LMZOO_SOURCE/tests/data/released/dots1.json" >changed.json
"$lmzoo" inspect changed.json >out 2>"$said"
[ $? -eq 3 ] && grep -q '"use_sliding_window" is false' "$said"
result $? "a window beside a switch that the class does not read"

# The same keys beside weights: not a token changes.
model=$LMZOO_SOURCE/demo/models/demo-llama
cp -r "$model" m && chmod -R u+w m
"$lmzoo" run m --tokens 5,9,33 --max-tokens 8 >plain 2>"$said"
sed -i '1s/{/{"auto_map": {"AutoConfig": "own.py"}, "n_group": 1, "routed_scaling_factor": 1.0, "aux_loss_alpha": 0.1, "im_start_id": 3, "bos_token": "<s>", "qkv_bias": false, "use_sliding_window": false, "max_window_layers": 2, /' m/config.json
"$lmzoo" run m --tokens 5,9,33 --max-tokens 8 >own 2>"$said" && cmp -s plain own && [ -s own ]
result $? "keys that change nothing, beside weights"
sed -i 's/"qkv_bias": false/"qkv_bias": true/' m/config.json
"$lmzoo" run m --tokens 5,9,33 --max-tokens 8 >own 2>"$said"
[ $? -eq 3 ] && grep -q '"qkv_bias" is true' "$said"
result $? "one that may change something"
echo "1..$n"
