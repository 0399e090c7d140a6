#!/bin/sh
# tests/scripts/shards.sh: `lmzoo batch --shard` and `lmzoo merge` against one run over all rows:
# the same bytes, whatever the input looks like and who makes the index; and every set of shards that
# is not one whole run is refused by name.
set -u

model=$LMZOO_SOURCE/demo/models/demo-llama
lmzoo=$LMZOO_BUILD/lmzoo
work=$(mktemp -d "${TMPDIR:-/tmp}/shards.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$work/words

if [ ! -e "$LMZOO_BUILD/plugins/llama.so" ]; then
    echo "1..0 # SKIP no plugin for the demo model in the build"
    exit 0
fi

batch() { # batch REQUESTS OUTPUT OPTIONS...
    requests=$1 output=$2
    shift 2
    "$lmzoo" batch "$model" -i "$requests" -o "$output" --weights f32 --cache f32 --threads 1 "$@" \
        2>"$work/words"
}

shards() { # shards REQUESTS NAME N OPTIONS...: all at once
    requests=$1 name=$2 count=$3
    shift 3
    i=0 pids=
    while [ $i -lt "$count" ]; do
        "$lmzoo" batch "$model" -i "$requests" -o "$work/$name-$i.jsonl" --weights f32 --cache f32 \
            --threads 1 --shard $i/"$count" "$@" 2>"$work/words.$i" &
        pids="$pids $!"
        i=$((i + 1))
    done
    worst=0
    for pid in $pids; do
        wait "$pid"
        code=$?
        [ $code -gt $worst ] && worst=$code
    done
    cat "$work"/words.* >"$work/words"
    return $worst
}

merge() { # merge OUTPUT ARGUMENTS...
    output=$1
    shift
    "$lmzoo" merge "$@" -o "$output" 2>"$work/words"
}

refused() { # refused CODE TEXT NAME, after a command whose code is $?
    code=$?
    [ $code -eq "$1" ] && grep -qF -- "$2" "$work/words" && [ "$(wc -l <"$work/words")" -eq 1 ]
    result $? "$3: exit code $1 and one sentence"
}

same_run() { # same_run NAME OUTPUT: as the one run, results and errors
    cmp "$work/one.jsonl" "$2.jsonl" >"$work/words" 2>&1 &&
        cmp "$work/one.errors.jsonl" "$2.errors.jsonl" >>"$work/words" 2>&1
    result $? "$1"
}

# A byte order mark, blank lines, an id that occurs twice, no line feed at the end.
{
    printf '\357\273\277'
    awk -v rows=100 -f "$LMZOO_SOURCE/tests/scripts/requests.awk" | sed -e '7s/^/  /' -e '30s/$/\r/' \
        -e '10a\

' -e '20a\
   ' -e '60s/row-60/row-3/' -e '61s/row-61/row-60/'
} | head -c -1 >"$work/in.jsonl"
batch "$work/in.jsonl" "$work/one.jsonl" --order input
result $(($? != 1)) "the run over all rows"
rows=$(cat "$work/one.jsonl" "$work/one.errors.jsonl" | wc -l)
result $((rows != 100)) "has 100 rows"

shards "$work/in.jsonl" s 3 --order input
result $(($? != 1)) "three shards that start at once"
result $(($(find "$work" -name 'in.jsonl.index*' | wc -l) != 1)) "one index beside the input"
merge "$work/all.jsonl" "$work/s-2.jsonl" "$work/s-0.jsonl" "$work/s-1.jsonl" --order input
result $(($? != 1)) "are merged: exit code 1, since rows were refused"
same_run "in the order of the input: the same files" "$work/all"
merge "$work/parts.jsonl" "$work/s-2.jsonl" "$work/s-0.jsonl" "$work/s-1.jsonl"
cat "$work/s-0.jsonl" "$work/s-1.jsonl" "$work/s-2.jsonl" | cmp - "$work/parts.jsonl" >>"$work/words"
result $? "without an order: shard after shard"
"$lmzoo" status "$work/all.jsonl" 2>"$work/words" | grep -q '^ended: 100 of 100 rows'
result $? "status knows the merged run"
batch "$work/in.jsonl" "$work/all.jsonl" --order input
result $(($? != 1)) "and the same batch finds nothing left to do"
same_run "in it" "$work/all"
merge "$work/all.jsonl" "$work"/s-?.jsonl --order input
result $(($? != 1)) "a merge that is started again"
same_run "adds nothing" "$work/all"

# --- what is no whole run
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/s-2.jsonl"
refused 2 "missing: shard 1/3" "a missing shard"
cp "$work/s-1.jsonl" "$work/t-1.jsonl"
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/t-1.jsonl" "$work/s-2.jsonl"
refused 2 "t-1.jsonl has no journal" "a shard without its journal"
cp "$work/s-1.journal" "$work/t-1.journal"
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/t-1.jsonl" "$work/s-1.jsonl" "$work/s-2.jsonl"
refused 2 "shard 1/3 is given twice" "a shard given twice"
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/t-1.jsonl" "$work/s-2.jsonl"
refused 2 "shard 1/3 ($work/t-1.jsonl) is not finished" "a shard without its errors"
cp "$work/s-1.errors.jsonl" "$work/t-1.errors.jsonl"
sed '5d' "$work/s-1.jsonl" >"$work/t-1.jsonl"
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/t-1.jsonl" "$work/s-2.jsonl"
refused 2 "is not finished" "a shard without a row"
sed -n '1,4p;6p;6p;7,$p' "$work/s-1.jsonl" >"$work/t-1.jsonl"
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/t-1.jsonl" "$work/s-2.jsonl"
refused 2 "occurs twice" "a row twice for one that is not there"
merge "$work/x.jsonl" "$work/one.jsonl"
refused 2 "holds a whole run" "results of a whole run"
batch "$work/in.jsonl" "$work/f-1.jsonl" --shard 1/3 --seed 7
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/f-1.jsonl" "$work/s-2.jsonl"
refused 2 "f-1.jsonl (shard 1/3) is of another run than" "a shard with another seed"
batch "$work/in.jsonl" "$work/f-1.jsonl" --shard 1/4 --restart
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/f-1.jsonl" "$work/s-2.jsonl"
refused 2 "the number of shards differs" "a shard of another division"
merge "$work/s-1.jsonl" "$work"/s-?.jsonl
refused 2 "s-1.jsonl" "an output that is a shard"
[ ! -e "$work/x.jsonl" ] && [ ! -e "$work/x.journal" ]
result $? "nothing was written by any of them"
batch "$work/in.jsonl" "$work/s-1.jsonl" --shard 2/3
refused 2 "the shard has changed" "another shard over the same results"
batch "$work/in.jsonl" "$work/s-1.jsonl"
refused 2 "the shard has changed" "all rows over the results of a shard"
for value in "" /16 -1/3 3/3 0/0 1 1/3x 0/99999999999999999999 " 1/3" 1/+3; do
    batch "$work/in.jsonl" "$work/x.jsonl" --shard "$value"
    refused 2 "--shard" "--shard '$value'"
done

# --- unfinished, then finished
batch "$work/in.jsonl" "$work/u-1.jsonl" --shard 1/3 --limit 10 --order input
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/u-1.jsonl" "$work/s-2.jsonl" --order input
refused 2 "shard 1/3 ($work/u-1.jsonl) is not finished: 10 rows are done, 23 are not" \
    "a shard that ended early"
batch "$work/in.jsonl" "$work/u-1.jsonl" --shard 1/3 --order input
merge "$work/u.jsonl" "$work/s-0.jsonl" "$work/u-1.jsonl" "$work/s-2.jsonl" --order input
same_run "the same shard continued" "$work/u"

# --- the index
printf 'x' | dd of="$work/in.jsonl.index" bs=1 seek=300 conv=notrunc 2>/dev/null
batch "$work/in.jsonl" "$work/i-1.jsonl" --shard 1/3 --order input
cmp -s "$work/i-1.jsonl" "$work/s-1.jsonl"
result $? "a damaged index is rebuilt"
head -c 500 "$work/in.jsonl.index" >"$work/cut" && cp "$work/cut" "$work/in.jsonl.index"
batch "$work/in.jsonl" "$work/i-1.jsonl" --shard 1/3 --order input --restart
cmp -s "$work/i-1.jsonl" "$work/s-1.jsonl"
result $? "and so is a truncated one"

mkdir "$work/ro"
cp "$work/in.jsonl" "$work/ro"
mkdir "$work/ro/in.jsonl.index" "$work/ro/in.jsonl.index.part"
shards "$work/ro/in.jsonl" r 3 --order input
grep -q "no index can be kept beside" "$work/words"
result $? "where no index can be kept a line says so"
merge "$work/r.jsonl" "$work"/r-?.jsonl --order input
same_run "and the results are the same" "$work/r"

gzip -c "$work/in.jsonl" >"$work/in.jsonl.gz"
shards "$work/in.jsonl.gz" g 3 --order input
merge "$work/g.jsonl" "$work"/g-?.jsonl --order input
same_run "compressed requests" "$work/g"

shards "$work/in.jsonl" n 130 --order input --quiet
result $(($? != 1)) "more shards than rows"
merge "$work/n.jsonl" "$work"/n-*[0-9].jsonl --order input
same_run "give the same files" "$work/n"

# A line of shard 1 changes, with the file's size and time as they were: the others do not read it.
cp -p "$work/in.jsonl" "$work/secret.jsonl"
batch "$work/secret.jsonl" "$work/c-0.jsonl" --shard 0/3 --order input
sed '13s/Mia/Max/; 13s/max_tokens":[0-9]/max_tokens":3/; 13s/row-/Row-/' "$work/in.jsonl" >"$work/other"
cmp -s "$work/other" "$work/in.jsonl"
result $(($? != 1)) "a line is changed in place"
cat "$work/other" >"$work/secret.jsonl"
touch -r "$work/in.jsonl" "$work/secret.jsonl"
batch "$work/secret.jsonl" "$work/c-0.jsonl" --shard 0/3 --order input --restart
cmp -s "$work/c-0.jsonl" "$work/s-0.jsonl"
result $? "a shard reads its own lines alone"
batch "$work/secret.jsonl" "$work/c-1.jsonl" --shard 1/3 --order input
refused_code=$?
[ $refused_code -eq 4 ] && grep -q "secret.jsonl changed: line 13" "$work/words"
result $? "and sees when one of them is another: exit code 4"

# The file is rewritten: so is the index, and shards of the two versions do not merge.
sed '13s/row-/Row-/' "$work/in.jsonl" >"$work/in2.jsonl"
mv "$work/in2.jsonl" "$work/in.jsonl"
batch "$work/in.jsonl" "$work/f-1.jsonl" --shard 1/3 --restart
merge "$work/x.jsonl" "$work/s-0.jsonl" "$work/f-1.jsonl" "$work/s-2.jsonl"
refused 2 "the request file differs" "a shard of another request file"
merge "$work/x.jsonl" "$work"/s-?.jsonl --order input
refused 2 "is not the request file of these shards" "the order of an input that changed"
echo "1..$n"
