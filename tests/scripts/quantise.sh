#!/bin/sh
# tests/scripts/quantise.sh: `quantise` on a demo model: a killed run resumes to the same bytes, the
# number of threads changes none, packing the folder keeps its values, refusals.
set -u

lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama
stories=$LMZOO_SOURCE/demo/models/stories-heldout.txt
work=$(mktemp -d "${TMPDIR:-/tmp}/quantise.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$work/words

if [ ! -e "$LMZOO_BUILD/plugins/llama.so" ]; then
    echo "1..0 # SKIP no plugin for demo-llama in the build"
    exit 0
fi

head -n 30 "$stories" >"$work/text.txt"
sed -n 31,60p "$stories" >"$work/other.txt"

quantise() { # quantise FOLDER OPTIONS...
    folder=$1
    shift
    "$lmzoo" quantise "$model" -o "$folder" --weights int4 --lines --own-text 512 "$@" \
        >"$work/out" 2>"$work/words"
}

divergence() { # divergence FOLDER
    "$lmzoo" score "$1" -i "$work/other.txt" --lines --json --weights int4 --cache f32 \
        --against-model "$model" 2>"$work/words" | sed 's/.*"kl_mean":\([^,}]*\).*/\1/'
}

# --- with a text, with what the model writes, without either, and the model as it is packed at load
quantise "$work/a" --calibrate "$work/text.txt" --bits 4.8
result $? "a text, at most 4.8 bits"
grep -q 'bits a weight' "$work/out" && grep -q 'held back: KL divergence' "$work/out"
result $? "what was done is told, with the divergence on text that was held back"
quantise "$work/own" --own-text 4096
cp "$work/out" "$work/words"
grep -q 'statistics of 3584 tokens that the model wrote itself' "$work/out" &&
    grep -q 'on [0-9]* tokens that were held back: KL divergence' "$work/out"
result $? "without a text the model writes its own, of which an eighth is held back"
"$lmzoo" inspect "$work/own" 2>&1 | grep -q 'activations of 3584 tokens that the model wrote itself'
result $? "inspect tells of it"
quantise "$work/plain" --own-text 0
result $? "without any"
with=$(divergence "$work/a") without=$(divergence "$work/plain") load=$(divergence "$model")
own=$(divergence "$work/own")
echo "with $with, its own $own, without $without, at load $load" >>"$work/words"
awk -v a="$own" -v b="$without" 'BEGIN { exit !(a > 0 && a < 0.85 * b) }'
result $? "with its own text the divergence is less, on stories"
awk -v a="$with" -v b="$without" -v c="$load" 'BEGIN { exit !(a > 0 && a < 0.85 * b && a < c) }'
result $? "with a text the divergence is less, on stories that were not read"

# --- the folder keeps its numbers: codes read as float32 are those that int4 has
"$lmzoo" score "$work/a" -i "$work/other.txt" --lines --json --weights f32 --cache f32 \
    --against-model "$model" 2>"$work/words" | sed 's/.*"kl_mean":\([^,}]*\).*/\1/' >"$work/f32"
echo "read as float32 $(cat "$work/f32"), packed $with" >>"$work/words"
awk -v a="$(cat "$work/f32")" -v b="$with" 'BEGIN { d = a - b; exit !(d < 0.1 * b && d > -0.1 * b) }'
result $? "packed as int4 the folder diverges as its own numbers do"

"$lmzoo" inspect "$work/a" >"$work/out" 2>"$work/words"
grep -q 'quantised .*tokens of text.txt .*tokens that the model wrote itself' "$work/out"
result $? "inspect tells what was done with which text"

# --- the same bytes with other threads, and after kills
quantise "$work/b" --calibrate "$work/text.txt" --bits 4.8 --threads 1
cmp "$work/a/model.safetensors" "$work/b/model.safetensors" >>"$work/words" 2>&1 &&
    cmp "$work/a/config.json" "$work/b/config.json" >>"$work/words" 2>&1
result $? "one thread: the same bytes"
# Costs that products in bf16 measured, where the CPU has them, are those of float32.
for isa in avx2 neon scalar; do
    ! quantise "$work/s" --calibrate "$work/text.txt" --bits 4.8 --isa $isa || break
done
costs_of() { # costs_of FOLDER: what each matrix costs in four bits
    sed -n 's/.*"kl_of_4_bits":[[:space:]]*\([^,}]*\).*/\1/p' "$1/lmzoo_quantise.json"
}
costs_of "$work/a" >"$work/fast"
costs_of "$work/s" >"$work/plain.costs"
paste "$work/fast" "$work/plain.costs" >"$work/words"
awk '{ d = $1 - $2; far += d < 0 ? -d : d; all += $2 } END { exit !(NR > 20 && far < 0.05 * all) }' \
    "$work/words"
result $? "costs measured by the best instruction set are those of float32 products"
# Whatever parts were done: the first ones gone, the last ones, every other one.
for _ in 1 2 3 4 5; do
    rm -rf "$work/d"
    "$lmzoo" quantise "$model" -o "$work/d" --weights int4 --lines --calibrate "$work/text.txt" \
        --own-text 512 --bits 4.8 >/dev/null 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null && [ ! -e "$work/d/.parts/00010-5.part" ]; do
        :
    done
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    [ ! -d "$work/d/.parts" ] || break
done
[ -e "$work/d/.parts/00010-5.part" ]
same=$?
# A run that was killed while costs were measured has all parts.
rm -rf "$work/f"
"$lmzoo" quantise "$model" -o "$work/f" --weights int4 --lines --calibrate "$work/text.txt" \
    --own-text 512 --bits 4.8 >/dev/null 2>&1 &
pid=$!
while kill -0 "$pid" 2>/dev/null && [ ! -e "$work/f/.parts/00010.cost" ]; do
    :
done
kill -9 "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
[ -e "$work/f/.parts/00010.cost" ] || same=1
for gone in 'NR <= 8' 'NR > 8' 'NR % 2' 'costs'; do
    mkdir -p "$work/e"
    from=$work/d
    [ "$gone" != costs ] || from=$work/f
    cp -R "$from/.parts" "$work/e/.parts"
    find "$work/e/.parts" -name '*.part' | sort | awk "$gone" >"$work/gone"
    while read -r part; do rm "$part"; done <"$work/gone"
    quantise "$work/e" --calibrate "$work/text.txt" --bits 4.8
    cmp "$work/a/model.safetensors" "$work/e/model.safetensors" >>"$work/words" 2>&1 || same=1
    rm -rf "$work/e"
done
result $same "whatever parts of a killed run are left, the same bytes result"
for delay in 0.05 0.1 0.2 0.3 0.4; do
    "$lmzoo" quantise "$model" -o "$work/c" --weights int4 --lines --calibrate "$work/text.txt" \
        --own-text 512 --bits 4.8 >/dev/null 2>&1 &
    pid=$!
    sleep "$delay"
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
done
if [ ! -e "$work/c/config.json" ]; then
    quantise "$work/c" --calibrate "$work/text.txt" --bits 4.8
fi
cmp "$work/a/model.safetensors" "$work/c/model.safetensors" >>"$work/words" 2>&1 &&
    cmp "$work/a/config.json" "$work/c/config.json" >>"$work/words" 2>&1 && [ ! -e "$work/c/.parts" ]
result $? "killed five times: the same bytes, and no temporary file"

# --- stacked experts, and a budget that allows eight bits
experts=$LMZOO_SOURCE/demo/models/demo-hybrid
stacks() { # stacks FOLDER OPTIONS...
    folder=$1
    shift
    "$lmzoo" quantise "$experts" -o "$folder" --weights int4 --lines --own-text 0 \
        --calibrate "$work/text.txt" "$@" >"$work/out" 2>"$work/words"
}
stray() { # stray FOLDER WEIGHTS
    "$lmzoo" score "$1" -i "$work/other.txt" --lines --json --weights "$2" --cache f32 \
        --against-model "$experts" 2>"$work/words" | sed 's/.*"kl_mean":\([^,}]*\).*/\1/'
}
stacks "$work/stacks" && grep -q 'are stacks or were stored as' "$work/out" &&
    grep -aq 'block_sparse_moe.input_linear.weight_packed' "$work/stacks/model.safetensors"
result $? "experts in one tensor are quantised, one by one, and it is told who reads them"
stacks "$work/again" --threads 1
cmp "$work/stacks/model.safetensors" "$work/again/model.safetensors" >>"$work/words" 2>&1
result $? "with one thread the same bytes"
stacks "$work/more" --bits 6.3
four=$(stray "$work/stacks" int4) wide=$(stray "$work/stacks" f32) more=$(stray "$work/more" int4)
eight=$(stray "$work/stacks" int8) load=$(stray "$experts" int4)
echo "4.8 bits $four, the rest int8 $eight, all read as float32 $wide, 6.3 bits $more, at load $load" \
    >>"$work/words"
awk -v a="$eight" -v b="$wide" 'BEGIN { d = a - b; exit !(d < 0.1 * b && d > -0.1 * b) }'
result $? "its codes packed as they are diverge as the numbers that they stand for"
awk -v a="$four" -v b="$wide" 'BEGIN { d = a - b; exit !(a > 0 && d < 0.1 * b && d > -0.1 * b) }'
result $? "and in int4, which leaves wide what the folder keeps wide, too"
awk -v a="$four" -v c="$load" 'BEGIN { exit !(a > 0 && a < 0.8 * c) }'
result $? "which is less than the model packed at load"
grep -q '"bits":.*8' "$work/more/lmzoo_quantise.json" &&
    awk -v a="$more" -v b="$four" 'BEGIN { exit !(a > 0 && a < 0.4 * b) }'
result $? "6.3 bits are spent on matrices of eight bits, and diverge less"
"$lmzoo" inspect "$work/more" --weights int4 >"$work/words" 2>&1
grep -q 'in int8' "$work/words"
result $? "which stay int8 where int4 is asked for"
experts=$LMZOO_SOURCE/demo/models/demo-deepseek
stacks "$work/single" --bits 4.9 && cp "$work/out" "$work/single.out"
four=$(stray "$work/single" int4) wide=$(stray "$work/single" f32) load=$(stray "$experts" int4)
echo "experts one by one $four, read as float32 $wide, at load $load" >>"$work/words"
awk -v a="$four" -v b="$wide" -v c="$load" 'BEGIN { exit !(b > 0 && a < 1.1 * b && a < 0.8 * c) }'
result $? "experts that are stored one by one, of 48 inputs, are read as they were written"
grep -q '"name":.*experts.0.down_proj"' "$work/single/lmzoo_quantise.json"
result $? "rows of 48 inputs are quantised too"
grep -q 'are experts stored one by one: transformers 5 joins these' "$work/single.out"
result $? "and it is told who does not read them"
grep -q 'time_step_limit.*\[0\.0,' "$work/stacks/config.json" &&
    grep -q Infinity "$work/stacks/config.json"
result $? "numbers of the config stay spelled as they were, infinities too"
awk -F'"' '/"name"/ { name = $4 } /"bits"/ && name ~ /[.]experts[.]/ {
    split(name, part, "."); split($0, bits, ":"); layer = part[3]
    if (layer in of && of[layer] != bits[2]) bad = 1
    of[layer] = bits[2]; n++ } END { exit bad || n < 32 }' "$work/single/lmzoo_quantise.json"
result $? "and have the same bits in a layer"

# --- six and eight bits in rotated groups are plain numbers in the folder
quantise "$work/six" --calibrate "$work/text.txt" --bits 6.3
result $? "6.3 bits"
quantise "$work/six1" --calibrate "$work/text.txt" --bits 6.3 --threads 1
cmp "$work/six/model.safetensors" "$work/six1/model.safetensors" >>"$work/words" 2>&1
result $? "one thread: the same bytes"
"$lmzoo" inspect "$work/six" --weights int4 >"$work/words" 2>&1
grep -q '[1-9][0-9]* matrices in int8; .* matrices in int5; [1-9][0-9]* matrices in int6; [1-9]' \
    "$work/words" && grep -aq '"model.layers.0.mlp.down_proj.weight":{"dtype":"F32"' \
    "$work/six/model.safetensors"
result $? "plain float32 numbers that stand for int6 and int8 are these in memory"
six=$(divergence "$work/six") wide=$("$lmzoo" score "$work/six" -i "$work/other.txt" --lines --json \
    --weights f32 --cache f32 --against-model "$model" 2>"$work/words" |
    sed 's/.*"kl_mean":\([^,}]*\).*/\1/')
echo "6.3 bits $six, read as float32 $wide" >>"$work/words"
awk -v a="$six" -v b="$wide" -v c="$with" 'BEGIN { exit !(a > 0 && a < 1.3 * b && a < 0.6 * c) }'
result $? "6.3 bits diverge as their numbers do, activations apart, and far less than 4.8"

# --- a budget that leaves no choice
quantise "$work/eight" --calibrate "$work/text.txt" --bits 8.25
result $? "8.25 bits"
! grep -q 'kl_of_4_bits' "$work/eight/lmzoo_quantise.json" &&
    [ "$(grep -c '"bits":[[:space:]]*8,' "$work/eight/lmzoo_quantise.json")" -eq \
        "$(grep -c '"name"' "$work/eight/lmzoo_quantise.json")" ]
result $? "give every matrix eight, whatever it costs"

# --- chats: their lines are what the template makes of them
cat >"$work/chats.jsonl" <<'EOF'
{"messages": [{"role": "user", "content": "Tell me a story about a dog."}, {"role": "assistant", "content": "Once there was a dog named Max. He loved to run in the park with his friends."}]}
{"messages": [{"role": "user", "content": "And a cat?"}, {"role": "assistant", "content": "One day a cat saw a big red ball. She was very happy and played with it all day."}]}
EOF
"$lmzoo" render "$model" --jsonl <"$work/chats.jsonl" 2>"$work/words" | sed 's/^{"text": //; s/}$//' |
    "$lmzoo" tokenize "$model" --jsonl 2>>"$work/words" | sed 's/.*/{"tokens": &}/' \
    >"$work/tokens.jsonl"
quantise "$work/chats" --own-text 0 --calibrate "$work/chats.jsonl" &&
    quantise "$work/tokens" --own-text 0 --calibrate "$work/tokens.jsonl" &&
    cmp "$work/chats/model.safetensors" "$work/tokens/model.safetensors" >>"$work/words" 2>&1
result $? "a chat of --calibrate is what the model's template writes"
echo '{"messages": [{"role": "user", "content": "Hello"}], "text": "Hello"}' >"$work/both.jsonl"
quantise "$work/d" --calibrate "$work/both.jsonl"
[ $? -eq 2 ] && grep -q 'both.jsonl, line 1: wanted an object with' "$work/words"
result $? "a line that is text and chat is refused by number"

# --- the folder in transformers, which reads it by the package compressed-tensors (LMZOO_PYTHON)
python=${LMZOO_PYTHON:-python3}
name="transformers computes what the folder's numbers give here"
agrees() { # agrees FOLDER [WIDE]: transformers computes of WIDE, or FOLDER, what FOLDER gives here
    (cd "$LMZOO_SOURCE/tools/reference" &&
        "$python" trace.py "${2:-$1}" --tokens $ids -o "$work/reference.safetensors") \
        >>"$work/words" 2>&1 &&
        "$lmzoo" trace "$1" --tokens $ids -o "$work/own.safetensors" >>"$work/words" 2>&1 &&
        "$lmzoo" compare "$work/own.safetensors" "$work/reference.safetensors" --limit 1e-9 \
            >"$work/out" 2>>"$work/words" && tail -n 1 "$work/out" >>"$work/words"
}
if "$python" -c 'import torch, transformers, compressed_tensors' 2>/dev/null; then
    ids=1,300,400,500,20,30,77,800
    agrees "$work/a"
    result $? "$name"
    agrees "$work/six"
    result $? "and of 6.3 bits, whose six and eight bits are plain numbers"
    # Experts, which it does not read: what their codes stand for, unpacked by compressed-tensors.
    for folder in stacks single; do
        (cd "$LMZOO_SOURCE/tools/reference" &&
            "$python" dequantised.py "$work/$folder" "$work/$folder-wide") >"$work/words" 2>&1 &&
            agrees "$work/$folder" "$work/$folder-wide"
        result $? "and what the codes of experts stand for ($folder)"
    done
else
    n=$((n + 1))
    echo "ok $n - $name # SKIP no Python with transformers and compressed-tensors (LMZOO_PYTHON)"
fi

# --- refusals
quantise "$work/a" --calibrate "$work/text.txt"
[ $? -eq 2 ] && grep -q 'holds a checkpoint already' "$work/words"
result $? "a folder that holds a checkpoint is not overwritten"
quantise "$work/d" --bits 4
[ $? -eq 2 ] && grep -q -e '--bits 4' "$work/words"
result $? "fewer bits than int4 takes"
"$lmzoo" quantise "$work/a" -o "$work/e" --weights int4 >"$work/out" 2>"$work/words"
[ $? -eq 3 ] && grep -q 'quantised already' "$work/words"
result $? "a quantised checkpoint is not quantised again"
"$lmzoo" quantise "$model" -o "$work/e" --weights int8 >"$work/out" 2>"$work/words"
[ $? -eq 2 ] && grep -q 'must be int4' "$work/words"
result $? "another kind of weights"

echo "1..$n"
