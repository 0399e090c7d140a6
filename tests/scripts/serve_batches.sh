#!/bin/sh
# lmzoo serve --files: a file is uploaded, run as a batch, polled and downloaded; the lines are those
# of `lmzoo batch`; after kill -9 it goes on, with every row once; a cancelled one ends.
set -u
command -v curl >/dev/null || { echo "1..0 # SKIP no curl"; exit 0; }
model=$LMZOO_SOURCE/demo/models/demo-llama
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
files=$TMPDIR/files
serve() { start_server log demo-llama --files "$files"; }
pid=
trap 'kill -9 $pid 2>/dev/null' EXIT
ask() { # PATH CURL-OPTION...: the answer in $said, the status in $status
    path=$1
    shift
    status=$(curl -sS -m 60 -o "$said" -w '%{http_code}' "$@" "$url$path")
}
field() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$said"; }
# create FILE: uploads and begins; sets batch
create() {
    ask /v1/files -F purpose=batch -F "file=@$1"
    file=$(field id)
    ask /v1/batches -d "{\"input_file_id\":\"$file\",\"endpoint\":\"/v1/completions\",\"completion_window\":\"24h\"}"
    batch=$(sed -n 's/.*"id":"\(batch_[0-9a-f]*\)".*/\1/p' "$said")
}
poll() { # STATUS...: waits for one of them
    for _ in $(seq 600); do
        ask "/v1/batches/$batch"
        now=$(field status)
        case " $* " in *" $now "*) return 0 ;; esac
        sleep 0.1
    done
    return 1
}

for i in $(seq 60); do
    echo "{\"custom_id\":\"r$i\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"Once upon a time $i\",\"max_tokens\":$((i % 30 + 1)),\"temperature\":0.8}}"
done >"$TMPDIR/in.jsonl"
echo '{"custom_id":"bad","method":"POST","url":"/v1/completions","body":{"prompt":"x","temperature":-1}}' >>"$TMPDIR/in.jsonl"
echo '{"custom_id":"other","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"a"}]}}' >>"$TMPDIR/in.jsonl"
"$LMZOO_BUILD/lmzoo" batch "$model" --weights f32 -i "$TMPDIR/in.jsonl" -o "$TMPDIR/out.jsonl" 2>/dev/null
grep -v '"custom_id":"other"' "$TMPDIR/out.jsonl" | sort >"$TMPDIR/wanted"

serve
create "$TMPDIR/in.jsonl"
poll completed
result $? "a batch ends"
grep -q '"total":62,"completed":60,"failed":2' "$said"
result $? "with its counts"
output=$(field output_file_id)
errors=$(field error_file_id)
ask "/v1/files/$output/content"
sort "$said" | cmp -s - "$TMPDIR/wanted"
result $? "its output is that of lmzoo batch, line by line"
ask "/v1/files/$errors/content"
grep -q '"custom_id":"bad"' "$said" && grep -q '"custom_id":"other"' "$said" &&
    grep -q 'temperature' "$said" && grep -q 'endpoint of the batch' "$said"
result $? "and its errors are the refused lines"
ask "/v1/files/$file"
[ "$(field purpose)" = batch ] && ask "/v1/files/$file" -X DELETE && [ "$status" = 200 ] &&
    ask "/v1/files/$file" && [ "$status" = 404 ]
result $? "a file is shown and deleted"

for i in $(seq 150); do
    echo "{\"custom_id\":\"r$i\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"The $i\",\"max_tokens\":60,\"ignore_eos\":true}}"
done >"$TMPDIR/long.jsonl"
create "$TMPDIR/long.jsonl"
for kill in 1 2; do
    for _ in $(seq 300); do
        ask "/v1/batches/$batch"
        done=$(field completed)
        [ "${done:-0}" -lt $((kill * 20)) ] || break
        sleep 0.05
    done
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
    serve
done
poll completed
ask "/v1/files/$(field output_file_id)/content"
[ "$(wc -l <"$said")" -eq 150 ] &&
    [ "$(sed -n 's/.*"custom_id":"\(r[0-9]*\)".*/\1/p' "$said" | sort -u | wc -l)" -eq 150 ]
result $? "after kill -9, twice, every row is there once"

create "$TMPDIR/long.jsonl"
poll in_progress
ask "/v1/batches/$batch/cancel" -X POST
poll cancelled
result $? "a cancelled batch ends"
ask /v1/completions -d '{"prompt":"Once","max_tokens":4}'
[ "$status" = 200 ]
result $? "and the server still answers"
ask /v1/batches -d '{"input_file_id":"file-none","endpoint":"/v1/completions"}'
[ "$status" = 400 ] && grep -q input_file_id "$said"
result $? "a batch of no file is refused"
ask "/v1/files/..%2fsecret/content"
[ "$status" = 404 ]
result $? "no id leads out of the folder"
head -c 3000000 /dev/zero >"$TMPDIR/large"
curl -sS -m 1 --limit-rate 100K -o /dev/null -F purpose=batch -F "file=@$TMPDIR/large" "$url/v1/files" 2>/dev/null
create "$TMPDIR/long.jsonl"
kill -TERM "$pid"
wait "$pid"
[ $? -eq 0 ] && [ -z "$(find "$files" -name '*.part')" ]
result $? "SIGTERM leaves a batch to be resumed, and no partial upload"
serve
poll completed
result $? "it is resumed"
echo "1..$n"
