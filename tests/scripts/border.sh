#!/bin/sh
# Limits of requests: rows as people write them are answered, rows with unsupported keys are refused by name, rows that
# need too much are refused alone, and outputs never overwrite inputs.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama
cd "$TMPDIR" || exit 1
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
# has FILE ID WORDS...: the line of that row holds each of the words
has() {
    line=$(grep -F "\"custom_id\":\"$2\"" "$1")
    [ -n "$line" ] || return 1
    file=$1 id=$2
    shift 2
    for words in "$@"; do
        printf '%s\n' "$line" | grep -qF -- "$words" || { echo "# $file $id lacks: $words"; return 1; }
    done
}
answered() { has out.jsonl "$@"; result $? "answered: $1"; }
refused() { has out.errors.jsonl "$@"; result $? "refused: $1"; }

cat >in.jsonl <<'END'
{"custom_id": "null-content", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "a1", "type": "function", "function": {"name": "look", "arguments": ""}}]}, {"role": "tool", "tool_call_id": "a1", "content": "fine"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"enable_thinking": false}}}
{"custom_id": "no-content", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"id": "a1", "type": "function", "function": {"name": "look", "arguments": ""}}]}, {"role": "tool", "tool_call_id": "a1", "content": "fine"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"enable_thinking": false}}}
{"custom_id": "empty-list", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [], "tool_calls": [{"id": "a1", "type": "function", "function": {"name": "look", "arguments": ""}}]}, {"role": "tool", "tool_call_id": "a1", "content": "fine"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"enable_thinking": false}}}
{"custom_id": "nulls", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"enable_thinking": false}, "audio": null, "functions": null, "verbosity": null, "anything": null, "modalities": null}}
{"custom_id": "harmless", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"enable_thinking": false}, "prediction": {"type": "content", "content": "x"}, "modalities": ["text"], "prompt_cache_retention": "24h", "verbosity": "medium", "metadata": {"a": "b"}}}
{"custom_id": "kwargs", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"messages": []}}}
{"custom_id": "message-key", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi", "colour": "red"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"enable_thinking": false}}}
{"custom_id": "old-tools", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "temperature": 0, "chat_template_kwargs": {"enable_thinking": false}, "functions": [{"name": "f"}]}}
{"custom_id": "seed", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 3, "temperature": 0, "seed": 9007199254740994}}
{"custom_id": "grammar", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 30, "temperature": 0, "guided_grammar": "root ::= 'it is ' item (', ' item)+ '.'\nitem ::= 'red' | 'blue'"}}
{"custom_id": "lark", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 3, "temperature": 0, "guided_grammar": "start: 'a'"}}
{"custom_id": "choice", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 20, "temperature": 0, "guided_choice": ["seven cats"]}}
{"custom_id": "regex", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 20, "temperature": 0, "guided_regex": "[A-C]{4}!"}}
{"custom_id": "outputs", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 20, "temperature": 0, "structured_outputs": {"json": {"const": "k"}}}}
{"custom_id": "both", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 3, "temperature": 0, "guided_regex": "a", "guided_choice": ["b"]}}
{"custom_id": "format", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 3, "temperature": 0, "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "string", "format": "colour"}}}}}
{"custom_id": "decimal", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 20, "temperature": 0, "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}}}}}
{"custom_id": "counted", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once", "max_tokens": 60, "temperature": 0, "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "string", "pattern": "^[a-c]*$", "minLength": 2, "maxLength": 4}}}}}
{"custom_id": "turns", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once", "max_tokens": 60, "temperature": 0, "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "string", "pattern": "^(ab|xyz)$", "minLength": 3}}}}}
{"custom_id": "huge", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 1e999, "temperature": 0}}
{"custom_id": "freezes", "method": "POST", "url": "/v1/completions", "body": {"prompt": "Once upon", "max_tokens": 30, "temperature": 0, "response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "string", "pattern": "^[ab]*a[ab]{18}$"}}}}}
END
awk 'BEGIN {
    line = "{\"custom_id\":\"%s\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"max_tokens\":3,%s}}\n"
    for (i = 0; i < 40; i++) {
        one = "{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"#/$defs/a" i + 1 "\"}}}"
        defs = defs "\"a" i "\":{\"allOf\":[" one "," one "]},"
    }
    schema = "{\"$ref\":\"#/$defs/a0\",\"$defs\":{" defs "\"a40\":{\"type\":\"string\"}}}"
    printf line, "doubling", "\"prompt\":\"a\",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"f\",\"schema\":" schema "}}"
    for (i = 0; i < 3000; i++) prompts = prompts (i ? "," : "") "\"a\""
    printf line, "sequences", "\"n\":128,\"prompt\":[" prompts "]"
    print "{broken"
}' >>in.jsonl
"$lmzoo" batch "$model" -i in.jsonl -o out.jsonl -q 2>err
[ $? -eq 1 ]
result $? "exit 1: some rows are refused"
answered null-content '"role":"assistant"'
for id in no-content empty-list; do
    [ "$(grep -F "\"$id\"" out.jsonl | grep -o '"choices":.*"usage"')" = "$(grep -F '"null-content"' out.jsonl | grep -o '"choices":.*"usage"')" ]
    result $? "$id is answered as null is"
done
answered nulls
answered harmless
answered choice '"text":"seven cats"' '"finish_reason":"stop"'
answered outputs '\"k\"'
grep -F '"counted"' out.jsonl | grep -q '"text":"\\"[a-c]\{2,4\}\\"","logprobs":null,"finish_reason":"stop"'
result $? "a pattern beside lengths ends where it may"
answered turns '"text":"\"xyz\""'
answered decimal '"text":"0.'
grep -F '"regex"' out.jsonl | grep -q '"text":"[ABC][ABC][ABC][ABC]!"'
result $? "a regular expression shapes the text"
grep -F '"grammar"' out.jsonl | grep -Eq '"text":"it is (red|blue)(, (red|blue))+\."'
result $? "a grammar shapes the text"
refused kwargs 'chat_template_kwargs cannot replace messages'
refused message-key 'colour'
refused old-tools 'functions is not read; tools is'
refused seed '2^53'
refused lark 'guided_grammar: grammar: line 1: rules are written name ::='
refused both 'guided_regex' 'guided_choice'
refused format "the format 'colour' is not supported"
refused huge 'a number beyond those of 64 bits'
refused doubling '"code":"limit_exceeded"'
refused freezes '"code":"limit_exceeded"' 'too large'
refused sequences '"code":"limit_exceeded"' '384000 sequences'
tail -n 1 in.jsonl | grep -q broken && grep -q 'line 24: column 2' out.errors.jsonl
result $? "a broken line is named by its number, once"

# Files.
good() { printf '{"custom_id":"%s","method":"POST","url":"/v1/completions","body":{"prompt":"Once","max_tokens":2,"temperature":0}}\n' "$1"; }
{ printf '\357\273\277'; good a; good b; } >mark.jsonl
"$lmzoo" batch "$model" -i mark.jsonl -o mark.out.jsonl -q 2>err && [ "$(wc -l <mark.out.jsonl)" -eq 2 ]
result $? "a byte order mark is skipped"
{ good a; good b; } >plain.jsonl
"$lmzoo" batch "$model" -i plain.jsonl -o plain.out.jsonl -q 2>err
gzip -k plain.jsonl
"$lmzoo" batch "$model" -i plain.jsonl.gz -o zip.out.jsonl -q 2>err && cmp -s plain.out.jsonl zip.out.jsonl
result $? "gzip is read by its magic"
if command -v zstd >/dev/null; then
    zstd -q plain.jsonl -o plain.zst
    "$lmzoo" batch "$model" -i plain.zst -o zst.out.jsonl -q 2>err && cmp -s plain.out.jsonl zst.out.jsonl
    result $? "zstd is read by its magic"
else
    n=$((n + 1))
    echo "ok $n - zstd is read by its magic # SKIP no zstd"
fi
cat plain.jsonl | "$lmzoo" batch "$model" -i - -o - -q 2>err | sort >piped
sort plain.out.jsonl | cmp -s - piped && [ ! -e - ] && [ ! -e -.journal ]
result $? "stdin to stdout leaves no files"
echo 'version https://git-lfs.github.com/spec/v1' >pointer.jsonl
"$lmzoo" batch "$model" -i pointer.jsonl -o pointer.out.jsonl -q 2>err
[ $? -eq 2 ] && grep -q 'Git LFS pointer' err
result $? "a Git LFS pointer is named"
echo precious >notes.txt
"$lmzoo" batch "$model" -i plain.jsonl -o x.jsonl --errors notes.txt -q 2>err
[ $? -eq 2 ] && [ "$(cat notes.txt)" = precious ]
result $? "--errors never replaces a file of another kind"
cp plain.jsonl same.jsonl
"$lmzoo" batch "$model" -i same.jsonl -o same.jsonl --restart -q 2>err
[ $? -eq 2 ] && cmp -s same.jsonl plain.jsonl
result $? "the output is not the input"
for option in --summary --metrics-file; do
    "$lmzoo" batch "$model" -i same.jsonl -o beside.jsonl $option same.jsonl -q 2>err
    [ $? -eq 2 ] && cmp -s same.jsonl plain.jsonl && grep -q 'same.jsonl would be overwritten' err
    result $? "$option is not the input"
    "$lmzoo" batch "$model" -i same.jsonl -o beside.jsonl $option notes.txt -q 2>err
    [ $? -eq 2 ] && [ "$(cat notes.txt)" = precious ]
    result $? "$option replaces no file of another kind"
done
"$lmzoo" batch "$model" -i same.jsonl -o beside.jsonl --summary s.json --metrics-file s.json -q 2>err
[ $? -eq 2 ] && mkfifo metrics.pipe && ! "$lmzoo" batch "$model" -i same.jsonl -o beside.jsonl --metrics-file metrics.pipe -q 2>err &&
    [ -p metrics.pipe ] && grep -q 'not a plain file' err
result $? "metrics replace no summary and no pipe"
mkfifo errors.pipe
"$lmzoo" batch "$model" -i same.jsonl -o beside.jsonl --errors errors.pipe -q 2>err
[ $? -eq 2 ] && [ -p errors.pipe ] && grep -q 'errors.pipe is not a plain file' err
result $? "refused lines go to no pipe and no device, which would be removed"
"$lmzoo" trace "$model" --tokens 5,9,33 -o errors.pipe 2>err
[ $? -eq 4 ] && [ -p errors.pipe ] && grep -q 'errors.pipe: not a plain file' err
result $? "tensors replace no pipe and no device"
ln same.jsonl link.jsonl
"$lmzoo" batch "$model" -i same.jsonl -o y.jsonl --errors link.jsonl -q 2>err
[ $? -eq 2 ] && cmp -s same.jsonl plain.jsonl
result $? "nor by another name"
for file in tokenizer.json model.safetensors generation_config.json chat_template.jinja; do
    rm -rf m && cp -r "$model" m && chmod -R u+w m && rm -f "m/$file" && mkfifo "m/$file"
    timeout 20 "$lmzoo" batch m -i plain.jsonl -o fifo.jsonl -q 2>err
    [ $? -eq 3 ] && grep -q "m/$file: not a regular file" err
    result $? "a FIFO for $file is refused"
done
rm -rf m && cp -r "$model" m && chmod -R u+w m
cat >m/chat_template.jinja <<'END'
{{ ('a' * 1000000 + 'b') in ('a' * 2000000) }}{{ messages[0].content }}
END
printf '%s\n' '{"custom_id":"t","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"x"}]}}' >chat.jsonl
timeout 60 "$lmzoo" batch m -i chat.jsonl -o search.jsonl -q 2>err
[ $? -eq 1 ] && grep -q 'more than 50000000 steps' search.errors.jsonl
result $? "searches in a template count as steps"

# A lack of memory or of descriptors ends a run with 4, and is neither a row's fault nor the model's.
starve() { # starve OPTION VALUE: of ulimit
    rm -f starved.*
    # shellcheck disable=SC3045 # dash and busybox have ulimit -v too
    (ulimit "$1" "$2"; exec "$lmzoo" batch "$model" -i plain.jsonl -o starved.jsonl -q) 2>"$said"
    code=$?
    [ "$code" -eq 4 ] || [ "$code" -eq 0 ]
    ok=$?
    [ -s starved.errors.jsonl ] && ok=1
    result $ok "ulimit $1 $2: exit $code, no row is marked as failed"
}
for kib in 34000 36000 60000 80000 90000; do starve -v $kib; done
for files in 6 7 8 9; do starve -n $files; done

# Operators.
"$lmzoo" batch "$model" -i in.jsonl --validate 2>words | grep -q '"good":12,"bad":12,.*"at_most_seconds"'
result $? "--validate counts and estimates"
good a >three.jsonl; good b >>three.jsonl; good c >>three.jsonl
"$lmzoo" batch "$model" -i three.jsonl -o three.out.jsonl -q --limit 2 2>err && [ "$(wc -l <three.out.jsonl)" -eq 2 ] &&
    "$lmzoo" batch "$model" -i three.jsonl -o three.out.jsonl -q --order input --summary sum.json --metrics-file m.prom 2>err &&
    [ "$(wc -l <three.out.jsonl)" -eq 3 ] && grep -q '"state":"ended","rows":3,"done":3' sum.json && grep -q '^lmzoo_batch_results_total 3$' m.prom
result $? "--limit, --summary, --metrics-file"
"$lmzoo" batch "$model" -i in.jsonl -o stops.jsonl -q --max-errors 2 2>err
[ $? -eq 1 ] && [ "$(wc -l <stops.errors.jsonl)" -le 4 ]
result $? "--max-errors ends the run"
"$lmzoo" batch "$model" -i in.jsonl -o out.jsonl -q --retry-errors 2>err
[ $? -eq 1 ] && [ "$(wc -l <out.errors.jsonl)" -eq 12 ] && [ "$(wc -l <out.jsonl)" -eq 12 ]
result $? "--retry-errors tries them again, and only them"
"$lmzoo" status out.jsonl --json | grep -q '"state":"ended","rows":24,"done":24,"results":12,"errors":12,.*"limit_exceeded":'
result $? "status counts results and errors by kind"
{ for i in 1 2 3 4 5 6 7 8 9; do good "o$i"; done; } | sed 's/"max_tokens":2/"max_tokens":9/2;n;s/"max_tokens":2/"max_tokens":30/' >order.jsonl
"$lmzoo" batch "$model" -i order.jsonl -o order.out.jsonl -q --order input 2>err
sed 's/.*"custom_id":"\([^"]*\)".*/\1/' order.out.jsonl >ids
printf 'o%s\n' 1 2 3 4 5 6 7 8 9 | cmp -s - ids
result $? "--order input"
printf '%s\n' '{"custom_id":"slow","method":"POST","url":"/v1/completions","body":{"prompt":"Once","max_tokens":480,"n":64,"temperature":1,"ignore_eos":true}}' >slow.jsonl
"$lmzoo" batch "$model" -i slow.jsonl -o slow.out.jsonl -q -t 1 --row-timeout 0.3 2>err
[ $? -eq 1 ] && grep -q 'row-timeout' slow.out.errors.jsonl
result $? "--row-timeout"
for most in 0 1 2 5; do
    printf '{"custom_id":"%s","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"Tell me a story"}],"max_tokens":12,"temperature":0,"max_thinking_tokens":%s}}\n' $most $most
done >think.jsonl
"$lmzoo" batch "$model" -i think.jsonl -o think.out.jsonl -q 2>err
[ "$(grep -c '"content":"Once' think.out.jsonl)" -eq 4 ] && [ "$(grep -c reasoning_content think.out.jsonl)" -eq 1 ]
result $? "max_thinking_tokens: the answer follows, without a mark"
echo "1..$n"
