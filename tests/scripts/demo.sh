#!/bin/sh
# demo/run with a stand-in for lmzoo: texts come out unescaped and in the order of the requests,
# models without a plugin are named, a failed batch and missing rows fail the demo.
set -u
build=$TMPDIR/build
mkdir -p "$build"

# Has one plugin. Answers the rows of -i in reverse order; SKIP_ROWS leaves that many out, STATUS is its exit code.
cat >"$build/lmzoo" <<'SCRIPT'
#!/bin/sh
[ "$1" != plugins ] || { echo 'llama        1.0      ABI 3.1'; exit; }
shift 2
awk -v left_out="${SKIP_ROWS:-0}" '
    { match($0, /"custom_id":"[^"]*"/); id[NR] = substr($0, RSTART, RLENGTH); chat[NR] = /messages/ }
    END {
        text = " She said \\\"h\\u00e9\\u2019llo\\\"\\n\\tand \\\\o/ went."
        for (i = NR; i > left_out; i--) {
            body = chat[i] ? "\"object\":\"chat.completion\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"" text "\"}}]" \
                           : "\"object\":\"text_completion\",\"choices\":[{\"text\":\"" text "\"}]"
            print "{\"id\":\"r\"," id[i] ",\"response\":{\"status_code\":200,\"body\":{" body ",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}},\"error\":null}"
        }
    }' "$2" >"$4"
exit "${STATUS:-0}"
SCRIPT
chmod +x "$build/lmzoo"

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$TMPDIR/out
has() { grep -qF -- "$1" "$TMPDIR/out"; }
demo() { "$LMZOO_SOURCE/demo/run" "$build" >"$TMPDIR/out" 2>&1; }

rows=$(cat "$LMZOO_SOURCE"/demo/prompts-*.jsonl | grep -c .)
echo 1..8
demo && has "demo-llama     $rows rows, $((7 * rows)) prompt tokens, $((9 * rows)) new tokens"
result $? "every row is counted"
# shellcheck disable=SC1112 # the quote is in the text
has '> She said "hé’llo"' && has 'and \o/ went.' && has 'Tell me a story about Lily and a dog.'
result $? "texts are unescaped behind their prompts"
[ "$(grep -o '\[story-[0-9]*\]' "$TMPDIR/out" | head -n 2 | tr -d '\n')" = '[story-01][story-02]' ]
result $? "texts stand in the order of the requests"
has "demo-gemma     left out: $build/lmzoo has no plugin for this family"
result $? "a model without a plugin is named"
! STATUS=3 demo && has "demo-llama     FAILED"
result $? "a refused model fails the demo"
! SKIP_ROWS=1 demo && has "has not all"
result $? "a missing row fails the demo"
PATH=$build:$PATH "$LMZOO_SOURCE/demo/run" --installed "$TMPDIR/there" >"$TMPDIR/out" 2>&1 &&
    [ -s "$TMPDIR/there/demo-llama/stories.jsonl" ] && has "results in $TMPDIR/there"
result $? "the program in PATH, results in a folder that is named"
mkdir "$TMPDIR/few"
ln -s "$(command -v dirname)" "$TMPDIR/few/dirname"
PATH=$TMPDIR/few /bin/sh "$LMZOO_SOURCE/demo/run" --installed >"$TMPDIR/out" 2>&1
[ $? -eq 4 ] && has "no lmzoo in PATH"
result $? "a missing program in PATH is reported"
