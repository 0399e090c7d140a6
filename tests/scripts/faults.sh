#!/bin/sh
# A batch under faults: kills, a full disk, truncated and deleted files, signals, a second run, a memory limit. After each
# the same command must finish with the lines of an undisturbed run, or say in one sentence why it cannot.
#
#   tests/run -k scripts/faults         in the tests: a few kills
#   ZOO_KILLS=200 tests/run -k faults   all of the table in docs/batch.md
set -u
lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama
kills=${ZOO_KILLS:-6}
rows=${ZOO_ROWS:-400}
cd "$TMPDIR" || exit 1
n=0
report() { # NAME OK?
    n=$((n + 1))
    [ "$2" -eq 0 ] && echo "ok $n - $1" || echo "not ok $n - $1"
}
batch() { "$lmzoo" batch "$model" "$@" -q -t 1; }
# In the background only, so that a signal reaches the program and not a shell around it.
start() { exec "$lmzoo" batch "$model" "$@" -q -t 1; }
requests() { # COUNT
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++)
        printf "{\"custom_id\":\"r%d\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"Day %d: Lily\",\"max_tokens\":%d}}\n", i, i, 4 + i % 24 }'
}
# Until the run in $pid has written to the file, or has ended.
await() {
    while kill -0 "$pid" 2>/dev/null && [ ! -s "$1" ]; do
        sleep 0.05
    done
}
same() { sort "$1" >"$1.sorted" && sort "$2" | cmp -s - "$1.sorted"; }

requests "$rows" >in.jsonl
batch -i in.jsonl -o whole.jsonl 2>/dev/null
[ "$(wc -l <whole.jsonl)" -eq "$rows" ]
report "an undisturbed run" $?

done=0
survived=0
while [ "$done" -lt "$kills" ]; do
    start -i in.jsonl -o killed.jsonl 2>/dev/null &
    pid=$!
    sleep "0.$(awk -v s="$done" 'BEGIN { srand(s * 7919 + 13); printf "%02d", int(rand() * 40) }')"
    kill -9 "$pid" 2>/dev/null || survived=$((survived + 1))
    wait "$pid" 2>/dev/null
    done=$((done + 1))
    # A finished run is begun anew, so that every kill has something to hit.
    [ -e killed.jsonl ] && [ "$(wc -l <killed.jsonl)" -ge "$rows" ] && rm -f killed.*
done
batch -i in.jsonl -o killed.jsonl 2>err
same killed.jsonl whole.jsonl
report "$kills kills at random moments ($survived came after the end), then the rest" $?

# Ends $pid with a signal, TERM if none is given: exit status to code, milliseconds to took.
terminate() {
    from=$(date +%s%N)
    kill -s "${1:-TERM}" "$pid" 2>/dev/null
    wait "$pid"
    code=$?
    took=$((($(date +%s%N) - from) / 1000000))
}
done=0 longest=0 ok=0
while [ "$done" -lt $((kills / 4 + 4)) ]; do
    start -i in.jsonl -o ended.jsonl 2>/dev/null &
    pid=$!
    sleep "0.$(awk -v s="$done" 'BEGIN { srand(s * 104729 + 7); printf "%02d", int(rand() * 40) }')"
    terminate
    [ "$code" -eq 143 ] || [ "$code" -eq 0 ] || ok=1
    [ "$took" -le "$longest" ] || longest=$took
    done=$((done + 1))
    [ -e ended.jsonl ] && [ "$(wc -l <ended.jsonl)" -ge "$rows" ] && rm -f ended.*
done
batch -i in.jsonl -o ended.jsonl 2>err
[ $ok -eq 0 ] && [ "$longest" -lt 2500 ] && same ended.jsonl whole.jsonl
report "SIGTERM at $done random moments: at most $longest ms, then the rest" $?

mkfifo in.pipe out.pipe
sleep 600 >in.pipe &
holder=$!
start -i - -o piped.jsonl <in.pipe 2>err &
pid=$!
sleep 0.5
terminate
kill "$holder"
[ "$code" -eq 143 ] && [ "$took" -lt 2500 ]
report "SIGTERM while requests from a pipe are awaited: $took ms" $?
# shellcheck disable=SC2217 # it holds the pipe open
sleep 600 <out.pipe &
holder=$!
start -i in.jsonl -o - >out.pipe 2>err &
pid=$!
sleep 1
terminate
kill "$holder"
[ "$code" -eq 143 ] && [ "$took" -lt 2500 ]
report "SIGTERM while nobody reads the results' pipe: $took ms" $?

(trap '' XFSZ; ulimit -f 40; batch -i in.jsonl -o full.jsonl 2>err; echo $? >code)
[ "$(cat code)" -eq 4 ] && batch -i in.jsonl -o full.jsonl 2>/dev/null && same full.jsonl whole.jsonl
report "a disk that is full: exit 4, and the rest when there is room" $?

gzip -c in.jsonl | head -c 2000 >cut.jsonl.gz
batch -i cut.jsonl.gz -o cut.jsonl 2>err
[ $? -eq 4 ] && grep -q 'end early' err
report "compressed requests that are truncated: exit 4" $?

requests 4000 >shrinks.jsonl
start -i shrinks.jsonl -o shrinks.out.jsonl 2>err &
pid=$!
await shrinks.out.jsonl
head -n 1500 shrinks.jsonl >part && cat part >shrinks.jsonl
wait "$pid"
code=$?
[ "$code" -eq 4 ] && grep -q 'changed or was truncated' err
report "requests that are truncated while they are read: exit 4, never 0" $?

requests 4000 >many.jsonl
start -i many.jsonl -o gone.jsonl 2>err &
pid=$!
await gone.jsonl
rm -f gone.jsonl
wait "$pid"
code=$?
[ "$code" -eq 4 ] && grep -q 'vanished' err
report "results that are deleted: exit 4" $?

start -i many.jsonl -o one.jsonl 2>/dev/null &
pid=$!
await one.jsonl
batch -i many.jsonl -o one.jsonl 2>err
code=$?
kill "$pid"
wait "$pid" 2>/dev/null
[ "$code" -eq 4 ] && grep -q 'another run' err
report "a second run on the same output: exit 4" $?

awk 'BEGIN { for (i = 0; i < 3000; i++) { s = "{\"type\":\"string\",\"maxLength\":" 20000 + i "}"
    printf "{\"custom_id\":\"g%d\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"max_tokens\":2,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\",\"schema\":%s}}}}\n", i, s } }' >heavy.jsonl
for signal in TERM INT; do
    # A shell without job control starts jobs with SIGINT ignored.
    env --default-signal=INT "$lmzoo" batch "$model" -i heavy.jsonl -o "heavy.$signal.jsonl" -q -t 1 2>/dev/null &
    pid=$!
    sleep 0.4
    terminate "$signal"
    wanted=143
    [ "$signal" = TERM ] || wanted=130
    [ "$code" -eq "$wanted" ] && [ "$took" -lt 2500 ]
    report "SIG$signal while grammars are compiled: exit $code after $took ms" $?
done

cp -r "$model" m && chmod -R u+w m
mkdir packs
"$lmzoo" batch m -i many.jsonl -o first.jsonl -q -t 1 --packed-cache packs --limit 1 2>/dev/null
"$lmzoo" batch m -i many.jsonl -o bus.jsonl -q -t 1 --packed-cache packs 2>err &
pid=$!
await bus.jsonl
for pack in packs/*; do [ -f "$pack" ] && : >"$pack"; done
wait "$pid"
code=$?
[ "$code" -eq 4 ] && grep -q 'was truncated or its disk fails' err
report "packed weights that are truncated while in use: exit 4 and a sentence" $?

# A control group of 64 MiB, of version 2 or 1, where one can be made.
group='' limit='' own=/sys/fs/cgroup
if [ -f "$own/cgroup.controllers" ]; then
    group=$own/lmzoo-faults-$$ limit=memory.max
elif [ -f "$own/memory/memory.limit_in_bytes" ]; then
    group=$own/memory/lmzoo-faults-$$ limit=memory.limit_in_bytes
fi
if [ -n "$group" ] && mkdir "$group" 2>/dev/null && { echo 64M >"$group/$limit"; } 2>/dev/null; then
    sh -c "echo \$\$ >$group/cgroup.procs; exec $lmzoo batch $model -i in.jsonl -o limited.jsonl -q" 2>err
    code=$?
    [ "$code" -eq 0 ] && same limited.jsonl whole.jsonl
    report "a control group of 64 MiB, without --memory" $?
else
    n=$((n + 1))
    echo "ok $n - a control group of 64 MiB # SKIP none can be made here"
fi
[ -n "$group" ] && rmdir "$group" 2>/dev/null
echo "1..$n"
