#!/bin/sh
# Broken rows among good ones: each is refused by itself, the good ones get the very bytes of a run
# without them, and the process stays within --memory and 32 MiB.
#
#   tests/run -k scripts/broken_rows              51 broken rows among 400
#   ZOO_ROWS=10000 ZOO_SIZES=9 tests/run -t 3600 -k scripts/broken_rows
#                                                 459, up to 8 MB long, among 10,000
#
# The greatest resident size is read in /proc (Linux) every 50 ms and when the process ends.
set -u

lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama
rows=${ZOO_ROWS:-400}
sizes=${ZOO_SIZES:-1}
broken=$((51 * sizes))
cd "$TMPDIR" || exit 1
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

# The generator of batch_resume.sh, without its own broken rows.
awk -v rows=$((rows * 50 / 49 + 1)) -f "$LMZOO_SOURCE/tests/scripts/requests.awk" |
    awk -v rows="$rows" 'NR % 50 != 0 && n++ < rows' >good.jsonl
among() { awk -v sizes="$sizes" -v good=good.jsonl "$@" -f "$LMZOO_SOURCE/tests/scripts/broken.awk"; }
among >mixed.jsonl
among -v blank=1 >alone.jsonl
[ "$(wc -l <mixed.jsonl)" -eq $((rows + broken)) ] && [ "$(grep -c . alone.jsonl)" -eq "$rows" ]
result $? "$broken broken rows among $rows good ones, $(($(wc -c <mixed.jsonl) >> 20)) MiB"

# batch NAME MEMORY: exit status to code, greatest resident size in KiB to peak
batch() {
    "$lmzoo" batch "$model" -i "$1.jsonl" -o "$1.$2.jsonl" --memory "$2" -q 2>"$said" &
    pid=$!
    peak=0
    while most=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null) &&
        [ -n "$most" ]; do
        peak=$most
        sleep 0.05
    done
    wait "$pid"
    code=$?
}

batch alone 64M
[ "$code" -eq 0 ] && [ "$(wc -l <alone.64M.jsonl)" -eq "$rows" ]
result $? "the good rows alone"
sort alone.64M.jsonl >expected
for memory in 64M 16M; do
    batch mixed "$memory"
    [ "$code" -eq 1 ]
    result $? "--memory $memory: exit 1"
    [ "$(wc -l <mixed.$memory.errors.jsonl)" -eq "$broken" ]
    result $? "--memory $memory: a line for each broken row"
    ! grep -q '"status_code":500' "mixed.$memory.errors.jsonl"
    result $? "--memory $memory: each for what it asks"
    sort "mixed.$memory.jsonl" | cmp -s - expected
    result $? "--memory $memory: the good rows' bytes"
    [ "$peak" -gt 0 ] && [ "$peak" -le $(((${memory%M} + 32) * 1024)) ]
    result $? "--memory $memory: resident at most $((peak / 1024)) MiB"
done
grep -F '"custom_id":"bad-40-' mixed.16M.errors.jsonl | grep -q '"code":"limit_exceeded"'
result $? "a row beyond its budget is named"
echo "1..$n"
