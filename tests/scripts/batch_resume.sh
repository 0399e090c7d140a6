#!/bin/sh
# tests/scripts/batch_resume.sh: `lmzoo batch` with the real engine on 1,000 mixed rows, 20 of them
# broken: 980 results, 20 error lines, exit code 1; the same bytes for one thread and two, for
# batches of 1 and 64 (on a part of the rows) and after kill -9 at ten moments.
# shellcheck disable=SC2016
set -u

model=$LMZOO_SOURCE/demo/models/demo-llama
lmzoo=$LMZOO_BUILD/lmzoo
work=$(mktemp -d "${TMPDIR:-/tmp}/batch_resume.XXXXXX")
trap 'rm -rf "$work"' EXIT
n_tests=0

result() { # result STATUS NAME
    n_tests=$((n_tests + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n_tests - $2"; else echo "not ok $n_tests - $2"; fi
}

if [ ! -e "$LMZOO_BUILD/plugins/llama.so" ]; then
    echo "1..0 # SKIP no plugin for the demo model in the build"
    exit 0
fi

# Rows of every kind: greedy and drawn, choices, stops, penalties, scoring, chat, token ids, long
# common beginnings. Line 50, 100, ... is broken, each in another way.
make_requests() { # make_requests ROWS
    awk -v rows="$1" '
    function line(body, url) {
        printf "{\"custom_id\":\"row-%d\",\"method\":\"POST\",\"url\":\"/v1/%s\",\"body\":%s}\n", i, url, body
    }
    BEGIN {
        split("Lily Tim Mia Max Sue Ben Tom Anna", name, " ")
        split("dog cat frog bird bear owl fox fish", animal, " ")
        common = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
        for (i = 0; i < 4; i++) common = common " One day, she saw a big, red ball. She wanted to play with it."
        bad[1] = "{\"custom_id\":\"torn\",\"method\":\"POST\""
        bad[2] = "not json at all"
        bad[3] = "{\"custom_id\":\"b3\",\"method\":\"GET\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\"}}"
        bad[4] = "{\"custom_id\":\"b4\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{\"input\":\"x\"}}"
        bad[5] = "{\"custom_id\":\"b5\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"temperature\":-1}}"
        bad[6] = "{\"custom_id\":\"b6\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"max_tokns\":3}}"
        bad[7] = "{\"custom_id\":\"b7\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{}}"
        bad[8] = "{\"custom_id\":\"b8\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":[]}}"
        bad[9] = "{\"custom_id\":\"row-1\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"twice\"}}"
        bad[10] = "{\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\"}}"
        bad[11] = "{\"custom_id\":\"b11\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"max_tokens\":100000}}"
        bad[12] = "{\"custom_id\":\"b12\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":[1,2,99999]}}"
        bad[13] = "{\"custom_id\":\"b13\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"stream\":true}}"
        bad[14] = "{\"custom_id\":\"b14\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"n\":1000}}"
        bad[15] = "[\"a list\"]"
        bad[16] = "{\"custom_id\":\"b16\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}}"
        bad[17] = "{\"custom_id\":\"b17\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"stop\":[\"\"]}}"
        bad[18] = "{\"custom_id\":\"b18\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"logit_bias\":{\"a\":1}}}"
        bad[19] = "{\"custom_id\":\"b19\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"\\ud800\"}}"
        bad[20] = "{\"custom_id\":\"b20\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"logprobs\":99}} trailing"
        for (i = 1; i <= rows; i++) {
            if (i % 50 == 0) { print bad[i / 50]; continue }
            who = name[i % 8 + 1]; what = animal[int(i / 8) % 8 + 1]
            kind = i % 10
            if (kind == 0) line("{\"prompt\":\"" common " Then " who " saw a " what ".\",\"max_tokens\":8,\"temperature\":0}", "completions")
            else if (kind == 1) line("{\"prompt\":\"" common " " who "\",\"max_tokens\":12,\"temperature\":0.8,\"seed\":" i "}", "completions")
            else if (kind == 2) line("{\"prompt\":\"" who " had a " what ".\",\"max_tokens\":10,\"logprobs\":3,\"n\":2}", "completions")
            else if (kind == 3) line("{\"prompt\":\"" who " and the " what "\",\"max_tokens\":1,\"echo\":true,\"logprobs\":1,\"temperature\":0}", "completions")
            else if (kind == 4) line("{\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a story about " who " and a " what ".\"}],\"max_completion_tokens\":12,\"logprobs\":true,\"top_logprobs\":2}", "chat/completions")
            else if (kind == 5) line("{\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a story about " who ".\"}],\"max_tokens\":20,\"temperature\":0,\"stop\":[\". \",\"!\"],\"chat_template_kwargs\":{\"enable_thinking\":false}}", "chat/completions")
            else if (kind == 6) line("{\"prompt\":[1017,407,437,258," i % 900 "],\"max_tokens\":9,\"repetition_penalty\":1.3,\"frequency_penalty\":0.5}", "completions")
            else if (kind == 7) line("{\"prompt\":[\"" who "\",\"" what "\"],\"max_tokens\":6,\"top_k\":20,\"min_p\":0.05}", "completions")
            else if (kind == 8) line("{\"prompt\":\"" who " said\",\"max_tokens\":5,\"prompt_logprobs\":1,\"ignore_eos\":true,\"min_tokens\":3}", "completions")
            else line("{\"prompt\":\"The " what "\",\"max_tokens\":14,\"temperature\":1.2,\"top_p\":0.9,\"logit_bias\":{\"13\":-2}}", "completions")
        }
    }'
}

batch() { # batch REQUESTS OUTPUT OPTIONS...
    requests=$1 output=$2
    shift 2
    "$lmzoo" batch "$model" -i "$requests" -o "$output" --weights f32 --cache f32 "$@" 2>"$work/words"
}

same_lines() { # same_lines A B: the same lines in any order
    LC_ALL=C sort "$1" >"$work/a"
    LC_ALL=C sort "$2" >"$work/b"
    cmp -s "$work/a" "$work/b"
}

make_requests 1000 >"$work/all.jsonl"
head -n 150 "$work/all.jsonl" >"$work/part.jsonl"

batch "$work/all.jsonl" "$work/whole.jsonl" --threads 2
status=$?
sed 's/^/# /' "$work/words"
result $((status != 1)) "1,000 rows with 20 broken ones: exit code 1"
result $(($(grep -c . "$work/whole.jsonl") != 980)) "980 results"
result $(($(grep -c . "$work/whole.errors.jsonl") != 20)) "20 error lines"
[ "$(grep -o '"line":[0-9]*' "$work/whole.errors.jsonl" | tr -dc '0-9\n' | sort -n | tr '\n' ' ')" = \
    "$(awk 'BEGIN { for (i = 50; i <= 1000; i += 50) printf "%d ", i }')" ]
result $? "errors name the lines 50, 100, ... 1000"
[ "$(grep -o '"custom_id":"[^"]*"' "$work/whole.jsonl" | sort -u | wc -l)" -eq 980 ]
result $? "every row once"

batch "$work/part.jsonl" "$work/two.jsonl" --threads 2
batch "$work/part.jsonl" "$work/one.jsonl" --threads 1
cmp -s "$work/one.jsonl" "$work/two.jsonl"
result $? "one thread and two: the same file"
batch "$work/part.jsonl" "$work/single.jsonl" --max-seqs 1 --max-rows 5
same_lines "$work/single.jsonl" "$work/two.jsonl"
result $? "batches of 1 and 64, steps of 5 and 512 rows: the same lines"

# Killed at ten moments, each somewhere behind another tenth of the rows, then left to finish.
: >"$work/killed.jsonl"
moments=$(awk -v seed="$$" 'BEGIN { srand(seed); rand(); for (i = 0; i < 10; i++) print int(95 * i + 60 * rand()) }')
kills=0
for moment in $moments; do
    "$lmzoo" batch "$model" -i "$work/all.jsonl" -o "$work/killed.jsonl" --weights f32 --cache f32 \
        --threads 2 2>/dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null && [ "$(wc -l <"$work/killed.jsonl")" -lt "$moment" ]; do
        sleep 0.01
    done
    kill -9 "$pid" 2>/dev/null && kills=$((kills + 1))
    wait "$pid" 2>/dev/null
    echo "# killed at $moment rows or more: $(wc -l <"$work/killed.jsonl")"
done
result $((kills != 10)) "kill -9 at ten moments"
batch "$work/all.jsonl" "$work/killed.jsonl" --threads 2
result $(($? != 1)) "finishes after that"
same_lines "$work/killed.jsonl" "$work/whole.jsonl"
result $? "the same results as the uninterrupted run"
same_lines "$work/killed.errors.jsonl" "$work/whole.errors.jsonl"
result $? "the same errors"

"$lmzoo" batch "$model" -i "$work/part.jsonl" -o "$work/signal.jsonl" --weights f32 --cache f32 \
    2>/dev/null &
pid=$!
sleep 0.3
kill -TERM "$pid" 2>/dev/null
wait "$pid"
status=$?
[ "$status" -eq 143 ] || [ "$status" -eq 1 ]
result $? "SIGTERM: exit code 143"
batch "$work/part.jsonl" "$work/signal.jsonl"
same_lines "$work/signal.jsonl" "$work/two.jsonl"
result $? "goes on after SIGTERM"

batch "$work/all.jsonl" "$work/two.jsonl"
result $(($? != 2)) "another request file over the same results: exit code 2"
grep -q "the request file has changed since" "$work/words"
result $? "and one sentence"
echo "1..$n_tests"
