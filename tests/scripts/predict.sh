#!/bin/sh
# tests/scripts/predict.sh: prediction layers (multi-token prediction) compute what the reference does
# and draft without changing a byte of a result: one row at a time and many, in small steps, with
# states, a grammar and over an interruption. Half of the drafts of a trained layer are accepted.
set -u

lmzoo=$LMZOO_BUILD/lmzoo
data=$LMZOO_SOURCE/tests/data/predict
work=$(mktemp -d "${TMPDIR:-/tmp}/predict.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

batch() { # batch FOLDER OUTPUT OPTIONS...: results in sorted order
    folder=$1 output=$2
    shift 2
    "$lmzoo" batch "$folder" -i "$work/requests.jsonl" -o "$work/$output.jsonl" "$@" 2>"$work/words"
    status=$?
    [ "$status" -le 1 ] || sed 's/^/# /' "$work/words"
    LC_ALL=C sort "$work/$output.jsonl" >"$work/$output"
}

# accepted: sets came and drafted from the summary
accepted() {
    line=$(grep 'draft tokens were accepted' "$work/words")
    came=$(echo "$line" | cut -d' ' -f1) drafted=$(echo "$line" | cut -d' ' -f3)
    [ "${drafted:-0}" -gt 0 ]
}

reference() { # reference TYPE: the trace of the layer is the reference's, in pieces too
    tokens=$(cat "$data/$1/tokens.txt")
    "$lmzoo" trace "$data/$1" --tokens "$tokens" --predict -o "$work/whole.safetensors" &&
        "$lmzoo" trace "$data/$1" --tokens "$tokens" --predict --chunk 5 -o "$work/parts.safetensors" &&
        cmp -s "$work/whole.safetensors" "$work/parts.safetensors"
    result $? "$1: the layer in one step and in pieces"
    "$lmzoo" compare "$work/whole.safetensors" "$data/$1/reference.safetensors" --limit 1e-12 --json >"$work/json"
    code=$?
    sed 's/^/# /' "$work/json"
    [ "$code" -eq 0 ] && grep -q '"compared": 2, "out": 0' "$work/json"
    result $? "$1: rows and logits of the layer as in the reference"
}

same() { # same NAME FOLDER ROWS OPTIONS...: all ways of running give the lines of a run without drafts
    name=$1 model=$2 rows=$3
    shift 3
    rm -f "$work"/*.journal "$work"/plain* "$work"/drafts* "$work"/parts*
    batch "$model" plain --speculate off "$@"
    [ "$(grep -c '"status_code":200' "$work/plain")" -ge "$rows" ]
    result $? "$name: without drafts"
    batch "$model" drafts1 --speculate mtp --draft-tokens 3 --max-seqs 1 "$@"
    cmp -s "$work/drafts1" "$work/plain" && accepted
    result $? "$name: three drafts, one row at a time"
    batch "$model" drafts2 --speculate mtp --draft-tokens 2 --max-seqs 64 --max-rows 40 "$@"
    cmp -s "$work/drafts2" "$work/plain" && accepted
    result $? "$name: two drafts, rows together, steps of 40"
    batch "$model" drafts3 --speculate mtp --max-seqs 3 "$@"
    [ -s "$work/plain" ] && cmp -s "$work/drafts3" "$work/plain"
    result $? "$name: as many as pay"
    batch "$model" parts --speculate mtp --draft-tokens 4 --limit 4 "$@"
    batch "$model" parts --speculate text --limit 3 "$@"
    batch "$model" parts --speculate mtp --draft-tokens 1 "$@"
    [ -s "$work/plain" ] && cmp -s "$work/parts" "$work/plain"
    result $? "$name: interrupted, and on with other drafts"
}

# Prompts of ids, some of which begin alike; sampling of all kinds.
awk 'BEGIN {
    srand(3)
    for (i = 0; i < 24; i++) {
        prompt = ""
        n = i % 3 ? 20 + i : 2 + i
        for (k = 0; k < n; k++) prompt = prompt (k ? "," : "") (i % 3 ? (k * 7 + (k > 15 ? i : 0)) % 60 + 2 : int(rand() * 60) + 2)
        more = ",\"temperature\":0"
        if (i % 4 == 1) more = ",\"temperature\":0.9,\"logprobs\":2"
        if (i % 4 == 2) more = ",\"temperature\":1.3,\"top_p\":0.9,\"n\":2"
        if (i % 4 == 3) more = ",\"temperature\":0.7,\"frequency_penalty\":0.5,\"echo\":true,\"logprobs\":1"
        printf "{\"custom_id\":\"r%d\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":[%s],\"max_tokens\":%d,\"seed\":%d,\"ignore_eos\":true,\"return_token_ids\":true%s}}\n", i, prompt, 6 + i, i, more
    }
}' >"$work/ids.jsonl"

for type in deepseek_v3:deepseek qwen3_next:hybrid; do
    plugin=${type#*:} type=${type%:*}
    if [ ! -e "$LMZOO_BUILD/plugins/$plugin.so" ]; then
        n=$((n + 1))
        echo "ok $n - $type # SKIP no plugin for it in the build"
        continue
    fi
    reference "$type"
    cp "$work/ids.jsonl" "$work/requests.jsonl"
    same "$type" "$data/$type" 24 --weights f32 --cache f32
done

refuses() { # CODE WORDS OPTIONS...: run ends so with this sentence
    code=$1 sentence=$2
    shift 2
    "$lmzoo" run "$LMZOO_SOURCE/demo/models/demo-llama" -p x -n 4 "$@" 2>"$work/words"
    [ $? -eq "$code" ] && grep -q "$sentence" "$work/words" && [ "$(wc -l <"$work/words")" -eq 1 ]
    result $? "refused: $sentence"
}
if [ -e "$LMZOO_BUILD/plugins/llama.so" ]; then
    refuses 2 'demo-llama has no prediction layer for model_type "llama"' --speculate mtp
    refuses 2 'speculate mtp does not go with --draft' --speculate mtp --draft x
fi

# demo-deepseek with a prediction layer that was trained on its own output.
demo=$LMZOO_SOURCE/demo/models/demo-deepseek
if [ -e "$LMZOO_BUILD/plugins/deepseek.so" ]; then
    trained=$work/trained
    mkdir "$trained"
    for file in "$demo"/*.json "$demo"/*.jinja; do
        ln -s "$file" "$trained/$(basename "$file")"
    done
    ln -s "$demo/model.safetensors" "$trained/model-00001-of-00002.safetensors"
    gzip -dc "$data/demo-deepseek-layer.safetensors.gz" >"$trained/model-00002-of-00002.safetensors"

    awk -v rows=20 -f "$LMZOO_SOURCE/tests/scripts/requests.awk" >"$work/requests.jsonl"
    schema='{"type":"object","properties":{"name":{"type":"string","maxLength":6},"animals":{"type":"array","minItems":2,"maxItems":3,"items":{"enum":["elephant","kangaroo"]}}},"required":["name","animals"]}'
    for i in 1 2; do
        printf '{"custom_id":"s%s","method":"POST","url":"/v1/completions","body":{"prompt":"Lily","max_tokens":60,"temperature":0.%s,"seed":%s,"response_format":{"type":"json_schema","json_schema":{"schema":%s}}}}\n' $i $((i * 3)) $i "$schema"
    done >>"$work/requests.jsonl"
    same trained "$trained" 20 --weights f32 --cache f32
    same "trained, int8" "$trained" 20 --weights int8 --cache int8

    for i in 1 2 3 4 5 6; do
        printf '{"custom_id":"a%s","method":"POST","url":"/v1/completions","body":{"prompt":"Once upon a time","max_tokens":120,"temperature":0.8,"seed":%s}}\n' $i $i
    done >"$work/requests.jsonl"
    batch "$trained" plain --speculate off --restart
    batch "$trained" drafts --speculate mtp --draft-tokens 1 --cached-tokens --restart
    accepted
    echo "# $came of $drafted drafts of the trained layer were accepted"
    [ $((100 * came)) -gt $((45 * drafted)) ] && [ "$drafted" -gt 300 ] &&
        grep -q '"accepted_prediction_tokens":[1-9]' "$work/drafts"
    result $? "drafts of a trained layer are accepted, and usage counts them"
    batch "$trained" drafts --speculate mtp --restart
    [ -s "$work/plain" ] && cmp -s "$work/drafts" "$work/plain"
    result $? "trained: as many as pay"

    "$lmzoo" bench "$trained" --tests decode --decode 40 -r 1 --speculate mtp --draft-tokens 2 --quiet |
        grep -q '"drafted_tokens":[1-9]'
    result $? "bench counts its drafts"
fi
echo "1..$n"
