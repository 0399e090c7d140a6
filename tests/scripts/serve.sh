#!/bin/sh
# lmzoo serve through curl: answers and streams, equal bytes alone and in a batch, refusals, limits,
# clients that disconnect, an orderly shutdown.
set -u
command -v curl >/dev/null || { echo "1..0 # SKIP no curl"; exit 0; }
model=$LMZOO_SOURCE/demo/models/demo-llama
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

# serve ARGUMENT...: starts a server on a free port; sets pid and url
serve() { start_server log demo-llama "$@"; }
stop() { kill -TERM "$pid" 2>/dev/null; wait "$pid"; }
trap 'kill "$pid" 2>/dev/null' EXIT

# ask PATH BODY [CURL OPTION...]: the answer in $said, the status in $status
ask() {
    path=$1
    body=$2
    shift 2
    status=$(curl -sS -m 60 -o "$said" -w '%{http_code}' "$@" --data-binary "$body" "$url$path")
}
choices() { sed 's/.*"choices"//; s/,"usage".*//' "$1"; }
metric() { curl -sS -m 20 "$url/metrics" | sed -n "s/^$1 //p"; }

serve --body 100K --queue 40 --memory 200M
story='{"prompt":"Once upon a time","max_tokens":40,"temperature":0.8,"seed":7}'
chat='{"messages":[{"role":"user","content":"Tell me a story"}],"max_tokens":60,"temperature":0.8,"seed":7'

# ---- answers

curl -sS -m 20 "$url/health" >"$said"
grep -q '"ok"' "$said"
result $? "health"
for path in models models/demo-llama; do
    curl -sS -m 20 "$url/v1/$path" >"$said"
    grep -q '"id":"demo-llama"' "$said"
    result $? "$path"
done

ask /v1/completions "$story"
cp "$said" "$TMPDIR/alone"
[ "$status" = 200 ] && grep -q '"completion_tokens":' "$said"
result $? "a completion"
printf '{"custom_id":"a","method":"POST","url":"/v1/completions","body":%s}\n' "$story" >"$TMPDIR/in.jsonl"
"$LMZOO_BUILD/lmzoo" batch "$model" --weights f32 -i "$TMPDIR/in.jsonl" -o "$TMPDIR/out.jsonl" 2>"$said"
[ "$(choices "$TMPDIR/out.jsonl")" = "$(choices "$TMPDIR/alone")" ]
result $? "its choices are those of batch, byte for byte"

ask /v1/chat/completions "$chat}"
cp "$said" "$TMPDIR/chat"
[ "$status" = 200 ]
result $? "a chat"

# joined KEY FILE: that member of all deltas, one behind the other, as JSON text without quotes
joined() { sed -n "s/^data: .*\"$1\":\"\(\([^\"\\\\]\|\\\\.\)*\)\".*/\1/p" "$2" | tr -d '\n'; }
ask /v1/chat/completions "$chat,\"stream\":true,\"stream_options\":{\"include_usage\":true}}" -N
for key in content reasoning_content; do
    whole=$(sed -n "s/.*\"$key\":\"\(\([^\"\\\\]\|\\\\.\)*\)\".*/\1/p" "$TMPDIR/chat")
    [ "$(joined $key "$said")" = "$whole" ]
    result $? "the $key of a stream, joined, is that of the answer"
done
[ "$(grep -c '^data: ' "$said")" -gt 10 ] && [ "$(tail -2 "$said" | head -1)" = "data: [DONE]" ] &&
    [ "$(grep -c '"usage"' "$said")" = 1 ]
result $? "it comes in pieces, with the usage and [DONE] at its end"
head -1 "$said" | grep -q '"delta":{"role":"assistant","content":""}'
result $? "its first event names the role"
ask /v1/completions "${story%\}},\"stream\":true}" -N
whole=$(sed -n 's/.*"text":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$TMPDIR/alone")
[ "$(joined text "$said")" = "$whole" ]
result $? "the text of a completion's stream, too"

ask /v1/chat/completions "$chat,\"logprobs\":true,\"top_logprobs\":1}"
grep -o '"logprob":-*[0-9.e-]*' "$said" >"$TMPDIR/logprobs"
ask /v1/chat/completions "$chat,\"logprobs\":true,\"top_logprobs\":1,\"stream\":true}" -N
grep -o '"logprob":-*[0-9.e-]*' "$said" | cmp -s - "$TMPDIR/logprobs" && [ -s "$TMPDIR/logprobs" ]
result $? "and its log-probabilities"

# ---- other dialects

words=$(sed -n 's/.*"content":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$TMPDIR/chat")
ask /v1/messages "$chat}"
grep -q '"type":"message"' "$said" && grep -qF "\"text\":\"$words\"" "$said" &&
    grep -q '"stop_reason":"max_tokens"' "$said"
result $? "a message says what the chat says"
ask /v1/messages "$chat,\"stream\":true}" -N
[ "$(sed -n 's/.*"type":"text_delta","text":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$said" | tr -d '\n')" = "$words" ] &&
    [ "$(sed -n 's/^event: //p' "$said" | sed -n '1p;$p' | tr '\n' ' ')" = "message_start message_stop " ]
result $? "in events, too"
ask /v1/messages/count_tokens '{"model":"m","messages":[{"role":"user","content":"Tell me a story"}]}'
count=$(sed -n 's/.*"input_tokens":\([0-9]*\).*/\1/p' "$said")
grep -q "\"prompt_tokens\":$count," "$TMPDIR/chat"
result $? "and its tokens are counted as the chat's"
ask /v1/messages '{"model":"m","max_tokens":4,"messages":[{"role":"user","content":[{"type":"image"}]}]}'
[ "$status" = 400 ] && grep -q '"type":"error".*image' "$said"
result $? "an image is refused in that dialect's shape"
response='{"model":"m","input":"Tell me a story","max_output_tokens":60,"temperature":0.8,"seed":7'
ask /v1/responses "$response}"
grep -q '"object":"response"' "$said" && grep -qF "\"text\":\"$words\"" "$said"
result $? "a response says what the chat says"
ask /v1/responses "$response,\"stream\":true}" -N
[ "$(sed -n 's/.*"type":"response.output_text.delta".*"delta":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$said" | tr -d '\n')" = "$words" ] &&
    [ "$(sed -n 's/^event: //p' "$said" | tail -1)" = response.incomplete ]
result $? "in events, too"
ask /v1/responses "$response,\"previous_response_id\":\"x\"}"
[ "$status" = 400 ] && grep -q 'not stored' "$said"
result $? "a response to go on from is refused"

ask /tokenize '{"prompt":"Once upon a time"}'
ids=$(sed 's/.*"tokens":\(\[[^]]*\]\).*/\1/' "$said")
ask /detokenize "{\"tokens\":$ids}"
grep -q 'Once upon a time' "$said"
result $? "tokenize and detokenize"

# ---- company

for i in $(seq 16); do
    curl -sS -m 100 -o "$TMPDIR/many.$i" --data-binary "$story" "$url/v1/completions" &
    echo $! >>"$TMPDIR/pids"
done
# shellcheck disable=SC2046 # ids of processes
wait $(cat "$TMPDIR/pids")
differs=0
for i in $(seq 16); do
    [ "$(choices "$TMPDIR/many.$i")" = "$(choices "$TMPDIR/alone")" ] || differs=$((differs + 1))
done
echo "$differs differ" >"$said"
[ "$differs" -eq 0 ]
result $? "16 at once give the bytes of one alone"

# ---- refusals

refused() { # STATUS TEXT NAME
    [ "$status" = "$1" ] && grep -q "$2" "$said"
    result $? "$3"
}
ask /v1/completions '{"prompt":"x","temperature":-1}'
refused 400 '"param":"temperature"' "a bad value is 400 and named"
ask /v1/completions '{'
refused 400 '"error"' "what is no JSON"
ask /v1/completions '{"prompt":"x","nonsense":1}'
refused 400 'nonsense' "an unknown key"
ask /v1/chat/completions "{\"messages\":[{\"role\":\"user\",\"content\":\"$(printf 'word %.0s' $(seq 2000))\"}]}"
refused 400 'context_length_exceeded' "a prompt too long"
deep=$(printf '{"type":"array","items":%.0s' $(seq 40))'{"type":"string","pattern":"(a{1,999}){1,999}"}'$(printf '}%.0s' $(seq 40))
ask /v1/chat/completions "$chat,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":$deep}}}"
refused 400 'response_format' "an unsupported schema"
ask /v1/completions '{"prompt":["a","b","c","d"],"n":128,"max_tokens":400,"logprobs":20}'
refused 400 'limit_exceeded' "an answer that needs too much memory"
ask /v1/completions "{\"prompt\":\"$(printf 'a%.0s' $(seq 110000))\"}"
refused 413 'body_too_large' "a body too long"
status=$(curl -sS -m 5 -o "$said" -w '%{http_code}' -H 'Content-Length: 99999999999' -d x "$url/v1/completions")
refused 413 'body_too_large' "a body whose announced length is too long, before it arrives"
ask /v1/nothing '{}'
refused 404 '"error"' "an unknown path"
status=$(curl -sS -m 20 -o "$said" -w '%{http_code}' "$url/v1/completions")
refused 405 'method_not_allowed' "a wrong method"
status=$(curl -sS -m 20 -o "$said" -w '%{http_code}' "$url/v1/models/other")
refused 404 'model_not_found' "another model"
ask /detokenize '{"tokens":[1024]}'
refused 400 'token id below 1024' "an id beyond the vocabulary"
ask /v1/responses '{"input":"a","tools":3}'
refused 400 '"param":"tools"' "tools that are no list"
ask /v1/messages '{"max_tokens":4,"tools":3,"messages":[{"role":"user","content":"a"}]}'
refused 400 'tools must be a list' "in messages, too"
ask /v1/responses '{"input":"a","max_output_tokens":9999}'
refused 400 '"param":"max_output_tokens","code":"context_length_exceeded"' "a limit by its name there"
ask /v1/chat/completions "$chat,\"stream_options\":3}"
refused 400 '"param":"stream_options"' "stream_options that are no object"

long='{"prompt":"Once","max_tokens":450,"ignore_eos":true,"stream":true}'
rm -f "$TMPDIR/pids"
for i in $(seq 60); do
    curl -sS -m 60 -N -o /dev/null -w '%{http_code}\n' --data-binary "$long" "$url/v1/completions" \
        >>"$TMPDIR/statuses" 2>/dev/null &
    echo $! >>"$TMPDIR/pids"
done
# shellcheck disable=SC2046
wait $(cat "$TMPDIR/pids")
sort "$TMPDIR/statuses" | uniq -c >"$said"
grep -q ' 429$' "$said" && grep -q ' 200$' "$said" && ! grep -Evq ' (200|429)$' "$said"
result $? "429 beyond the queue's length, the others are answered"

# ---- one request of many rows

many=$(printf '"Once",%.0s' $(seq 3000))
curl -sS -m 100 -o "$TMPDIR/rows" "$url/v1/completions" --data-binary @- <<EOF &
{"max_tokens":100,"ignore_eos":true,"prompt":[${many%,}]}
EOF
rows=$!
sleep 0.5
ask /v1/completions "$story"
inside=$(metric lmzoo_requests_inside)
[ "$inside" -ge 1 ] && [ "$(choices "$said")" = "$(choices "$TMPDIR/alone")" ]
result $? "a request of 3000 rows does not hold up others"
kill $rows
wait $rows 2>/dev/null

# ---- clients that disconnect

for body in "$long" "${long%,\"stream\":true\}}}"; do
    curl -sS -m 0.5 -N -o /dev/null --data-binary "$body" "$url/v1/completions" 2>/dev/null
done
inside=1
for _ in $(seq 50); do
    inside=$(metric lmzoo_requests_inside)
    [ "$inside" != 0 ] || break
    sleep 0.1
done
echo "$inside inside" >"$said"
[ "$inside" = 0 ]
result $? "the request of a disconnected client is cancelled"
ask /v1/completions "$story"
[ "$(choices "$said")" = "$(choices "$TMPDIR/alone")" ]
result $? "and changes nothing for the next"

# ---- the end

curl -sS -m 60 -o "$TMPDIR/last" --data-binary "$story" "$url/v1/completions" &
last=$!
sleep 0.3
stop
status=$?
wait $last
cp "$TMPDIR/log" "$said"
[ $status -eq 0 ] && [ "$(choices "$TMPDIR/last")" = "$(choices "$TMPDIR/alone")" ]
result $? "SIGTERM lets running requests end, exit code 0"

serve --api-key secret --cors 'https://a.example'
curl -sS -m 20 -i -X OPTIONS -H 'Origin: https://a.example' -H 'Access-Control-Request-Method: POST' \
    -H 'Access-Control-Request-Headers: x-api-key,anthropic-version' "$url/v1/messages" >"$said"
grep -q 'Allow-Origin: https://a.example' "$said" && grep -q 'Allow-Headers: .*anthropic-version' "$said"
result $? "a web page of that origin may send the headers that its client sends"
ask /v1/completions "$story"
refused 401 'invalid_api_key' "without the key 401"
ask /v1/completions "$story" -H 'Authorization: Bearer secret'
refused 200 'choices' "with the key 200"
ask /v1/completions "$story" -H 'Authorization: Bearer secretly'
refused 401 'invalid_api_key' "with another 401"
stop

"$LMZOO_BUILD/lmzoo" serve "$model" --host nowhere >"$said" 2>&1
[ $? -eq 2 ] && grep -q 'nowhere' "$said"
result $? "a bad address is a usage error"
echo "1..$n"
