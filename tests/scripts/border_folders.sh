#!/bin/sh
# Folders as fine-tunes leave them: templates that join arguments as text, an end token that
# generation_config.json lacks, tokens that only tokenizer_config.json lists; special tokens and
# offsets of tokens in answers.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama
cd "$TMPDIR" || exit 1
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
fresh() { rm -rf m && cp -r "$model" m && chmod -R u+w m; }
row() { # ID URL BODY
    printf '{"custom_id":"%s","method":"POST","url":"/v1/%s","body":{"temperature":0,%s}}\n' "$1" "$2" "$3"
}
# run FILE OPTIONS...: results in out.jsonl, words in err
run() {
    rm -f out.*
    "$lmzoo" batch m -i "$@" -o out.jsonl -t 1 2>err
}
# field ID NAME: the first value of that name in the row's line: a number, a text or a list of numbers
field() {
    grep -F "\"custom_id\":\"$1\"" out.jsonl |
        sed -n "s/.*\"$2\":\(\[[0-9,]*\]\|\"\([^\"\\\\]\|\\\\.\)*\"\|[0-9]*\).*/\1/p"
}

# ---- arguments of calls as text ----

# A template that joins the arguments as text, against the text itself as a prompt.
words() { # TEMPLATE ARGUMENTS WANTED
    fresh
    printf '%s' "$1" >m/chat_template.jinja
    call='{"id":"a","type":"function","function":{"name":"w","arguments":"'$(printf '%s' "$2" | sed 's/"/\\"/g')'"}}'
    {
        row chat chat/completions '"max_tokens":6,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":['"$call"']}]'
        row text completions '"max_tokens":6,"prompt":"'"$(printf '%s' "$3" | sed 's/"/\\"/g')"'"'
    } >in.jsonl
    run in.jsonl -q
    [ -n "$(field text prompt_tokens)" ] &&
        [ "$(field chat prompt_tokens)" = "$(field text prompt_tokens)" ] &&
        [ "$(field chat content)" = "$(field text text)" ]
}
calls='{% for m in messages %}[{{ m.content or "" }}{% for c in m.tool_calls or [] %}'
ends='{% endfor %}]{% endfor %}'
bos='{{ bos_token }}'
words "$bos$calls{{ c.function.name + ' ' + c.function.arguments }}$ends" '{"city": "Paris"}' '[Hi][w {"city": "Paris"}]'
result $? "arguments joined as text"
words "$bos$calls{{ (c.function.arguments + '!') | trim }}$ends" '{"a":  [1, 2.50]}' '[Hi][{"a":  [1, 2.50]}!]'
result $? "arguments keep their spelling as text"
words "$bos$calls{{ c.function.arguments.strip() }}$ends" '{"a": {"b": null}}' '[Hi][{"a": {"b": null}}]'
result $? "methods of texts on arguments"
words "$bos$calls{% for k, v in c.function.arguments.items() %}{{ k ~ '=' ~ v }}{% endfor %}$ends" '{"a": 1, "b": "x"}' '[Hi][a=1b=x]'
result $? "arguments as an object, where the template walks it"
words "$bos$calls{{ c.function.arguments | tojson }}$ends" '{"a":1}' '[Hi][{"a": 1}]'
result $? "arguments as an object, where the template writes it"
words "$bos$calls{% if c.function.arguments is string %}text{% else %}object{% endif %}$ends" '{"a":1}' '[Hi][object]'
result $? "arguments as an object, where the template takes both"

# ---- ends of rows ----

chat='"max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"chat_template_kwargs":{"enable_thinking":false},"logit_bias"'
row end chat/completions "$chat"':{"1021":100}' >in.jsonl
said() { # WANTED: 0 a line about the end token, 1 none
    run in.jsonl
    [ "$(field end finish_reason)" = '"stop"' ] && [ "$(field end completion_tokens)" -le 1 ] || return 1
    grep -q "end token <|im_end|> (1021) is not among those of" err
    [ $? -eq "$1" ]
}
fresh
said 1
result $? "an end token that both files name ends a row, without a word"
printf '{"eos_token_id": 1018, "transformers_version": "4.50.0"}' >m/generation_config.json
said 0
result $? "the tokenizer's end token ends a row that generation_config.json does not know, and is reported"
sed 's/"eos_token": "<|im_end|>"/"eos_token": {"content": "<|im_end|>", "lstrip": false, "special": true}/' "$model/tokenizer_config.json" >m/tokenizer_config.json
said 0
result $? "an end token that is written as an object"
row end chat/completions "$chat"':{"1018":100}' >in.jsonl
run in.jsonl -q
[ "$(field end finish_reason)" = '"stop"' ] && ! grep -q 'end token' err
result $? "generation_config.json's end token ends it too; --quiet says nothing"

fresh
printf '{"eos_token_id": 1018, "do_sample": false, "repetition_penalty": 1.0, "num_beams": 1, "suppress_tokens": []}' >m/generation_config.json
row plain completions '"max_tokens":12,"prompt":"Once upon a time"' >in.jsonl
run in.jsonl
plain=$(field plain text)
! grep -q 'not applied' err
result $? "keys of generation_config.json that change nothing are not named"
printf '{"eos_token_id": 1018, "do_sample": false, "repetition_penalty": 5.0, "no_repeat_ngram_size": 2}' >m/generation_config.json
run in.jsonl
[ "$(field plain text)" != "$plain" ] && grep -q 'generation_config.json sets no_repeat_ngram_size, which is not applied' err
result $? "its repetition_penalty counts without do_sample, and keys that are not applied are named"

# ---- places of tokens in the text ----

fresh
{
    echoed='"max_tokens":1,"echo":true,"logprobs":1,"prompt"'
    row plain completions "$echoed"':"Lily was a girl"'
    row bare completions "$echoed"':"Lily was a girl","add_special_tokens":false'
    row split completions "$echoed"':"a \ud83d\ude00 b"'
    row accent completions "$echoed"':"\u00e9\u00e9 a"'
    row hidden completions "$echoed"':"Lily<|im_end|> was"'
    row shown completions "$echoed"':"Lily<|im_end|> was","skip_special_tokens":false'
} >in.jsonl
run in.jsonl -q
offsets() { # ID BEGINNING
    case $(field "$1" text_offset) in
    "$2"*) result 0 "offsets: $1" ;;
    *) result 1 "offsets: $1: $(field "$1" text_offset)" ;;
    esac
}
offsets plain '[0,0,4,8,10,'
offsets bare '[0,4,8,10,'
offsets split '[0,0,1,2,2,2,2,3,'
offsets accent '[0,0,0,1,1,2,'
offsets hidden '[0,0,4,14,18]'
offsets shown '[0,0,4,14,18]'

# ---- tokens that only the configuration lists; ids of transformers 5.24 ----

tokens() { # NAME TEXT IDS
    found=$(printf '"%s"\n' "$2" | "$lmzoo" tokenize m --jsonl 2>err)
    [ "$found" = "$3" ]
    result $? "tokens: $1${found:+ $found}"
}
# config JSON: what stands in tokenizer_config.json besides
config() { sed "\$s/}\$/,$1}/" "$model/tokenizer_config.json" >m/tokenizer_config.json; }
fresh
listed() { printf '"added_tokens_decoder":{'; sep=''; for one in "$@"; do printf '%s"%s":{"content":"%s","lstrip":false,"rstrip":false,"normalized":false,"single_word":false,"special":true}' "$sep" "${one%%=*}" "${one#*=}"; sep=,; done; printf '}'; }
config "$(listed '1024=<NEW>')"
tokens "listed there alone" 'a <NEW> b' '[64, 220, 1024, 265]'
config "$(listed '1025=<U>' '1024=<V>')"
tokens "ids say the order" 'a<U><V>b' '[64, 1025, 1024, 65]'
config "$(listed '2000=<FAR>')"
tokens "an id that is not the next one" 'a<FAR>b' '[64, 1024, 65]'
grep -q 'listed with another id than it gets' err
result $? "tokens: that is reported"
config "$(listed '1019=<|pad|>' | sed 's/"lstrip":false,"rstrip":false/"lstrip":true,"rstrip":true/')"
tokens "flags that differ" 'x  <|pad|>  y' '[87, 1019, 88]'
config "$(listed '1024=cat' | sed 's/"single_word":false/"single_word":true/')"
tokens "a whole word" 'cat catnip' '[1024, 614, 77, 72, 79]'
config '"extra_special_tokens":{"image_token":"<img>"}'
tokens "extra_special_tokens as an object" 'a<img>b' '[64, 1024, 65]'
config '"extra_special_tokens":["<one>","<two>"]'
tokens "extra_special_tokens as a list" 'a<two>b<one>' '[64, 1025, 65, 1024]'
config '"additional_special_tokens":["<more>"]'
tokens "additional_special_tokens" 'a<more>b' '[64, 1024, 65]'
fresh
printf '{"<A>":1024,"<B>":1025}' >m/added_tokens.json
tokens "added_tokens.json" 'a<B><A>b' '[64, 1025, 1024, 65]'

# ---- a pattern that is not the vocabulary's ----

# Patterns as they stand in JSON. Those of the demo model, and cut by case.
runs=$(sed -n 's/.*"Regex": *"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$model/tokenizer.json" | head -n 1)
letters='\\p{Lm}\\p{Lo}\\p{M}'
begins='[^\\r\\n\\p{L}\\p{N}]?'
by_case="$begins[\\\\p{Lu}\\\\p{Lt}$letters]*[\\\\p{Ll}$letters]+|$begins[\\\\p{Lu}\\\\p{Lt}$letters]+[\\\\p{Ll}$letters]*|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
# vocabulary PATTERN N WORD: a tokenizer of N tokens that are words, and WORD
vocabulary() {
    {
        printf '{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"%s"},"behavior":"Isolated","invert":false},' "$1"
        printf '{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]},"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","merges":[],"vocab":{'
        awk -v n="$2" 'BEGIN { for (i = 0; i < n - 1; i++) printf "\"w%d\":%d,", i, i }'
        printf '"%s":%d}}}\n' "$3" $(($2 - 1))
    } >m/tokenizer.json
}
warned() { # NAME 0|1: a warning, or none
    printf '"w1"\n' | "$lmzoo" tokenize m --jsonl >words 2>err
    code=$?
    grep -q "another pattern than the one that the vocabulary was learnt with" err
    [ $? -eq "$2" ] && [ "$code" -eq 0 ]
    result $? "pattern: $1"
}
fresh
rm -f m/tokenizer_config.json
vocabulary "$runs" 100001 word
warned "of words in any case, for a vocabulary that was cut by case" 0
vocabulary "$by_case" 100001 word
warned "of words cut by case, for the same" 1
vocabulary "$runs" 100001 JavaScript
warned "of words in any case, where a token has a capital inside" 1
vocabulary "$runs" 90000 word
warned "a small vocabulary tells nothing" 1

# ---- special tokens in answers ----

fresh
{
    asked='"max_tokens":2,"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":{"enable_thinking":false}'
    row silent chat/completions "$asked"',"allowed_token_ids":[1020]'
    row skips chat/completions "$asked"',"allowed_token_ids":[1020],"skip_special_tokens":true'
    row keeps chat/completions "$asked"',"allowed_token_ids":[1020],"skip_special_tokens":false'
    row begins chat/completions "$asked"',"allowed_token_ids":[1017,1019]'
    row text completions '"max_tokens":2,"prompt":"x","allowed_token_ids":[1020]'
    row kept completions '"max_tokens":2,"prompt":"x","allowed_token_ids":[1020],"skip_special_tokens":false'
} >in.jsonl
run in.jsonl -q
for id in silent skips begins; do
    [ "$(field $id content)" = '""' ]
    result $? "special tokens in an answer: $id"
done
[ "$(field keeps content)" = '"<|im_start|><|im_start|>"' ]
result $? "special tokens in an answer: keeps"
[ "$(field text text)" = '""' ] && [ "$(field kept text)" = '"<|im_start|><|im_start|>"' ]
result $? "special tokens in a completion"
echo "1..$n"
