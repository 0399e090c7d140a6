#!/bin/sh
# tests/scripts/speculate.sh: speculative decoding changes no byte of a result: every demo model, with
# a forced number of drafts and with those that pay, one row at a time and many, in small steps, and
# over an interruption. Counts of drafts are shown where they are requested.
set -u

lmzoo=$LMZOO_BUILD/lmzoo
work=$(mktemp -d "${TMPDIR:-/tmp}/speculate.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

batch() { # batch MODEL KIND OUTPUT OPTIONS...: results in sorted order
    model=$1 kind=$2 output=$3
    shift 3
    "$lmzoo" batch "$LMZOO_SOURCE/demo/models/demo-$model" -i "$work/requests.jsonl" \
        -o "$work/$output.jsonl" --weights "$kind" --cache "$kind" "$@" 2>"$work/words"
    status=$?
    [ "$status" -le 1 ] || sed 's/^/# /' "$work/words"
    LC_ALL=C sort "$work/$output.jsonl" >"$work/$output"
}

# accepted: the counts of the summary; some drafts came, some did not
accepted() {
    line=$(grep 'draft tokens were accepted' "$work/words")
    came=$(echo "$line" | cut -d' ' -f1) drafted=$(echo "$line" | cut -d' ' -f3)
    [ "${came:-0}" -gt 0 ] && [ "$drafted" -gt "$came" ]
}

same() { # same MODEL KIND
    rm -f "$work"/*.journal "$work"/*.results* "$work"/plain* "$work"/drafts*
    batch "$1" "$2" plain --speculate off
    [ "$(grep -c . "$work/plain")" -eq 20 ] && ! grep -q 'draft tokens' "$work/words"
    result $? "demo-$1, $2: without drafts"
    batch "$1" "$2" drafts5 --draft-tokens 5 --max-seqs 1
    cmp -s "$work/drafts5" "$work/plain" && accepted
    result $? "demo-$1, $2: five drafts, one row at a time"
    batch "$1" "$2" drafts3 --draft-tokens 3 --max-seqs 64 --max-rows 40
    cmp -s "$work/drafts3" "$work/plain" && accepted
    result $? "demo-$1, $2: three drafts, rows together, steps of 40"
    batch "$1" "$2" drafts4 --speculate file --draft-tokens 4 --max-seqs 5
    cmp -s "$work/drafts4" "$work/plain" && accepted
    result $? "demo-$1, $2: four drafts, from other rows too"
    if [ "$1" != hybrid ]; then
        batch "$1" "$2" drafts2 --draft "$LMZOO_SOURCE/demo/models/demo-$1" --draft-weights int4 \
            --draft-tokens 4 --max-seqs 6 --memory 200M
        cmp -s "$work/drafts2" "$work/plain" && accepted && [ $((2 * came)) -gt "$drafted" ]
        result $? "demo-$1, $2: drafts of a draft model, most of which are accepted"
    fi
    batch "$1" "$2" drafts --max-seqs 2
    cmp -s "$work/drafts" "$work/plain"
    result $? "demo-$1, $2: as many as pay"
}

# Long answers, so that they repeat themselves.
awk -v rows=20 -f "$LMZOO_SOURCE/tests/scripts/requests.awk" |
    sed 's/\("max_[a-z_]*tokens":[0-9]*\)/\12/g' >"$work/requests.jsonl"
for model in llama gemma hybrid deepseek; do
    if [ ! -e "$LMZOO_BUILD/plugins/$model.so" ]; then
        n=$((n + 1))
        echo "ok $n - demo-$model # SKIP no plugin for it in the build"
        continue
    fi
    same "$model" f32
done
[ -e "$LMZOO_BUILD/plugins/hybrid.so" ] && same hybrid int8

folder=$LMZOO_SOURCE/demo/models/demo-llama
if [ -e "$LMZOO_BUILD/plugins/llama.so" ]; then
    batch llama f32 plain --speculate off --restart
    batch llama f32 parts --draft-tokens 8 --limit 6
    batch llama f32 parts --speculate off --limit 4
    batch llama f32 parts --speculate file --draft-tokens 5 --limit 4
    batch llama f32 parts --draft-tokens 4
    cmp -s "$work/parts" "$work/plain"
    result $? "a run that is interrupted and goes on with other drafts"

    batch llama f32 counted --draft-tokens 4 --cached-tokens --summary "$work/summary" \
        --metrics-file "$work/metrics"
    grep -q '"accepted_prediction_tokens":[1-9]' "$work/counted" &&
        grep -q '"drafted_tokens":[1-9][0-9]*,"accepted_tokens":[1-9]' "$work/summary" &&
        grep -q '^lmzoo_batch_drafted_tokens_total [1-9]' "$work/metrics" &&
        grep -q '^lmzoo_batch_accepted_tokens_total [1-9]' "$work/metrics"
    result $? "usage, summary and metrics count drafts"

    schema='{"type":"object","properties":{"full_name_of_person":{"type":"string","maxLength":6},"favourite_animals":{"type":"array","minItems":2,"maxItems":3,"items":{"enum":["elephant","kangaroo"]}}},"required":["full_name_of_person","favourite_animals"]}'
    for i in 1 2 3 4; do
        printf '{"custom_id":"s%s","method":"POST","url":"/v1/completions","body":{"prompt":"Lily","max_tokens":90,"temperature":%s,"seed":%s,"logprobs":2,"response_format":{"type":"json_schema","json_schema":{"schema":%s}}}}\n' $i 0.$((i * 3)) $i "$schema"
    done >"$work/requests.jsonl"
    batch llama f32 plain --speculate off --restart
    batch llama f32 drafts --draft-tokens 6 --restart
    cmp -s "$work/drafts" "$work/plain" && [ "$(grep -c '"status_code":200' "$work/plain")" -eq 4 ] && accepted
    result $? "answers of a schema, whose keys are drafted"

    refuses() { # CODE WORDS OPTIONS...: run ends so with this sentence
        code=$1 sentence=$2
        shift 2
        "$lmzoo" run "$folder" -p x -n 4 "$@" 2>"$work/words"
        [ $? -eq "$code" ] && grep -q "$sentence" "$work/words" && [ "$(wc -l <"$work/words")" -eq 1 ]
        result $? "refused: $sentence"
    }
    refuses 2 'demo-gemma cannot draft for .*demo-llama: it has 1280 tokens, not 1024; a draft model needs the same tokenizer' \
        --draft "$LMZOO_SOURCE/demo/models/demo-gemma"
    refuses 2 'demo-deepseek cannot draft for .*demo-llama: token 0 is ".*" there and "!" here' \
        --draft "$LMZOO_SOURCE/demo/models/demo-deepseek"
    refuses 2 'demo-hybrid cannot be a draft model: it has states that cannot be rewound' \
        --draft "$LMZOO_SOURCE/demo/models/demo-hybrid"
    refuses 4 'a draft model may hold half of 1 MiB: .*demo-llama: the packed weights need' \
        --draft "$folder" --memory 1M
    refuses 2 'draft drafts nothing with --speculate off' --draft "$folder" --speculate off
    refuses 2 'draft-weights needs --draft MODEL' --draft-weights int4
    refuses 2 'draft-weights must be auto, f32' --draft "$folder" --draft-weights int3

    # The same answers again and again, each without repeats of its own.
    for i in 1 2 3 4 5 6; do
        printf '{"custom_id":"a%s","method":"POST","url":"/v1/completions","body":{"prompt":"Tom","max_tokens":60,"temperature":0.9,"seed":4,"logprobs":1,"presence_penalty":1.5}}\n' $i
    done >"$work/requests.jsonl"
    batch llama f32 plain --speculate off --restart
    batch llama f32 text --draft-tokens 6 --max-seqs 1 --restart
    own=$(grep -c . "$work/text") came=0
    cmp -s "$work/text" "$work/plain" && accepted && own=$came
    batch llama f32 file --speculate file --draft-tokens 6 --max-seqs 1 --memory 64M --restart
    cmp -s "$work/file" "$work/plain" && accepted && [ "$came" -gt $((own + 150)) ]
    result $? "similar answers are drafted from one another"

    set -- "$lmzoo" run "$folder" -p 'Once upon a time' -n 60 --ignore-eos --json
    "$@" --speculate off >"$work/a" && "$@" --draft-tokens 6 >"$work/b" &&
        [ "$(sed 's/"usage.*//' "$work/a")" = "$(sed 's/"usage.*//' "$work/b")" ] &&
        grep -q '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0' "$work/a" &&
        grep -q '"rejected_prediction_tokens":[1-9]' "$work/b"
    result $? "run gives the same text and counts drafts"

    "$lmzoo" bench "$folder" --tests decode --decode 40 -r 1 --speculate text --draft-tokens 4 --quiet |
        grep -q '"drafted_tokens":[1-9]'
    result $? "bench counts drafts"

    "$lmzoo" run "$folder" -p x --speculate often 2>"$work/words"
    [ $? -eq 2 ] && grep -q 'speculate must be off, text, file or mtp' "$work/words"
    result $? "another word is refused"
    "$lmzoo" run "$folder" -p x --draft-tokens 100 2>"$work/words"
    [ $? -eq 2 ] && grep -q 'draft-tokens goes up to' "$work/words"
    result $? "too many drafts are refused"
fi
echo "1..$n"
