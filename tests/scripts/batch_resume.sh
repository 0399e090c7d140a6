#!/bin/sh
# tests/scripts/batch_resume.sh: `lmzoo batch` with the real engine on 1,000 mixed rows, 20 of them
# broken: 980 results, 20 error lines, exit code 1; the same bytes for one thread and two, for
# batches of 1 and 64 (on a part of the rows) and after kill -9 at ten moments.
set -u

model=$LMZOO_SOURCE/demo/models/demo-llama
lmzoo=$LMZOO_BUILD/lmzoo
work=$(mktemp -d "${TMPDIR:-/tmp}/batch_resume.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

if [ ! -e "$LMZOO_BUILD/plugins/llama.so" ]; then
    echo "1..0 # SKIP no plugin for the demo model in the build"
    exit 0
fi

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

awk -v rows=1000 -f "$LMZOO_SOURCE/tests/scripts/requests.awk" >"$work/all.jsonl"
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

batch "$work/part.jsonl" "$work/two.jsonl" --threads 2 --order input
batch "$work/part.jsonl" "$work/one.jsonl" --threads 1 --order input
cmp -s "$work/one.jsonl" "$work/two.jsonl"
result $? "one thread and two: the same file"
batch "$work/part.jsonl" "$work/single.jsonl" --max-seqs 1 --max-rows 5
same_lines "$work/single.jsonl" "$work/two.jsonl"
result $? "batches of 1 and 64, steps of 5 and 512 rows: the same lines"

# Killed at ten moments, each somewhere behind another tenth of the rows, then left to finish.
: >"$work/killed.jsonl"
moments=$(awk -v seed="$$" 'BEGIN { srand(seed); rand(); for (i = 0; i < 10; i++) print int(85 * i + 60 * rand()) }')
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
result $(($? != 1)) "the same command then finishes"
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

head -n 20 "$work/all.jsonl" >"$work/few.jsonl"
batch "$work/few.jsonl" "$work/level.jsonl" --isa openblas
name=$(sed -n 's/.*"isa": *"\([^"]*\)".*/\1/p' "$work/level.journal")
case $name in
openblas-[0-9]*-*) result 0 "the journal records OpenBLAS's version and core" ;;
*)
    sed 's/^/# /' "$work/words" "$work/level.journal"
    result 1 "the journal records OpenBLAS's version and core"
    ;;
esac
cp "$work/level.jsonl" "$work/level.whole"
head -n 12 "$work/level.whole" >"$work/level.jsonl"
batch "$work/few.jsonl" "$work/level.jsonl" --isa scalar
result $(($? != 2)) "another instruction set over the same results: exit code 2"
grep -q "was begun with instruction set $name, this is scalar: give --isa $name" "$work/words"
result $? "and the option to resume with"
batch "$work/few.jsonl" "$work/level.jsonl" --isa "$name"
same_lines "$work/level.jsonl" "$work/level.whole"
result $? "which resumes it, with the same results"
echo "1..$n"
