#!/bin/sh
# tests/scripts/trace.sh: `trace` and `compare` as a user runs them, over every parity case.
#
# The last prompt of each case is traced and compared with the reference's tensors of that prompt:
# all must agree within the case's limit, and the trace must hold every one of them but the
# continuation's logits and those that tests/parity/inside.txt lists. Cases: those of the tree, then
# the reference data's; a model_type that nothing covers is skipped by name.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
here=$LMZOO_SOURCE/tests/parity

# A case in a process of its own, its line on stdout.
if [ $# -eq 1 ]; then
    case=$(basename "$1")
    file=$TMPDIR/$case
    json=$(tr -d ' \n' <"$1/reference.json")
    type=$(echo "$json" | sed 's/.*"model_type":"\([^"]*\)".*/\1/')
    limit=$(echo "$json" | sed -n 's/.*"nmse_limit":\([^,}]*\).*/\1/p')
    last=$(echo "$json" | grep -o '"prompt":\[[0-9,]*\]' | sed -n '$s/[^0-9,]//gp')
    p=$(($(echo "$json" | grep -o '"prompt":\[' | wc -l) - 1))
    "$lmzoo" trace "$1" --tokens "$last" -o "$file" --quiet --threads 1 2>"$file.words"
    code=$?
    if [ $code -eq 3 ] && ! grep -q "^$type " "$TMPDIR/cards"; then
        echo "ok - $case # SKIP model_type $type is not covered"
    elif [ $code -ne 0 ]; then
        echo "not ok - $case: trace: exit $code: $(head -n 1 "$file.words")"
    else
        "$lmzoo" compare "$file" "$1/reference.safetensors" --prefix-b "$p/" \
            --limit "${limit:-1e-9}" --json >"$file.out" 2>"$file.words"
        code=$?
        all=$(grep -c '"nmse"' "$file.out")
        # What the trace lacks; the modules of inside.txt are looked up by their last name.
        lacks=$(sed -n 's/.*"tensor": "\([^"]*\)", "only": "b".*/\1/p' "$file.out" |
            grep -vx 'continuation.logits' | sed 's/.*[.]//' | sort -u |
            while read -r module; do
                grep -q "^$type $module " "$here/inside.txt" || printf ' %s' "$module"
            done)
        if [ $code -eq 0 ] && [ "$all" -ge 2 ] && [ -z "$lacks" ] &&
            ! grep -q '"tensor": ""' "$file.out"; then
            echo "ok - $case: $all tensors of prompt $p agree"
        else
            echo "not ok - $case: compare: exit $code;$lacks $(tail -n 1 "$file.out") $(head -n 1 "$file.words")"
        fi
    fi
    rm -f "$file" "$file.words" "$file.out"
    exit 0
fi

# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
"$lmzoo" cards >"$TMPDIR/cards"
other=${LMZOO_REFERENCE:-/nonexistent}/parity
{
    for folder in "$here"/cases/*/ "$other"/*/; do
        [ -f "$folder/reference.json" ] || continue
        case $folder in
        "$other"/*) [ ! -d "$here/cases/$(basename "$folder")" ] || continue ;;
        esac
        echo "$folder"
    done
} >"$TMPDIR/folders"
xargs -P 2 -n 1 "$0" <"$TMPDIR/folders" >"$TMPDIR/lines"
cat "$TMPDIR/lines"
n=$(wc -l <"$TMPDIR/folders")
if [ ! -d "$other" ]; then
    echo "ok - the reference data's cases # SKIP the folder is absent"
    n=$((n + 1))
fi

# --- the rest of both commands, on one case
model=$here/cases/llama-bias-llama3
work=$TMPDIR
said=$TMPDIR/words
tokens=3,1,4,1,5,9,2,6,5,3,5,8,9,7,9
"$lmzoo" trace "$model" --tokens $tokens -o "$work/a" -q 2>"$work/words" &&
    "$lmzoo" trace "$model" --tokens $tokens -o "$work/b" -q --chunk 4 2>>"$work/words" &&
    "$lmzoo" trace "$model" --tokens $tokens -o "$work/c" -q --threads 1 --chunk 1 2>>"$work/words" &&
    cmp "$work/a" "$work/b" >>"$work/words" && cmp "$work/a" "$work/c" >>"$work/words"
result $? "the trace of chunks is that of one pass, to the byte"
"$lmzoo" compare "$work/a" "$work/b" >"$work/words" 2>&1 && grep -q 'worst nmse 0 ' "$work/words"
result $? "compare finds no difference between them"
"$lmzoo" trace "$model" --tokens $tokens,3 -o "$work/d" -q 2>"$work/words"
"$lmzoo" compare "$work/a" "$work/d" >"$work/words" 2>&1
[ $? -eq 1 ] && grep -q 'the first is embed' "$work/words" && grep -q 'shapes differ' "$work/words"
result $? "compare names the first tensor that has another shape"
"$lmzoo" trace "$model" --tokens 3,1,4,1,5,9,2,6,5,3,5,8,9,7,8 -o "$work/d" -q 2>"$work/words"
"$lmzoo" compare "$work/a" "$work/d" >"$work/words" 2>&1
[ $? -eq 1 ] && grep -q 'out of tolerance (1e-09); the first is embed' "$work/words"
result $? "compare names the first tensor that differs"
"$lmzoo" compare "$work/a" "$work/d" --limit 1e9 >"$work/words" 2>&1
result $? "a limit lets it pass"

refused() { # CODE WORDS NAME ARGUMENTS...
    code=$1 words=$2 name=$3
    shift 3
    "$lmzoo" "$@" >"$work/out" 2>"$work/words"
    [ $? -eq "$code" ] && [ "$(wc -l <"$work/words")" -eq 1 ] && [ ! -s "$work/out" ] &&
        grep -q -- "$words" "$work/words"
    result $? "refused: $name"
}
refused 2 'usage: lmzoo trace' "a trace without tokens" trace "$model" -o "$work/x"
refused 2 'not "x"' "tokens that are no numbers" trace "$model" --tokens 1,2,x -o "$work/x"
refused 2 'token 99999' "a token beyond the vocabulary" trace "$model" --tokens 1,99999 -o "$work/x"
refused 3 'nonesuch' "a model that is not there" trace "$work/nonesuch" --tokens 1 -o "$work/x"
refused 4 'no/such' "a trace that cannot be written" trace "$model" --tokens 1 -o "$work/no/such"
refused 4 'nonesuch' "a file that is not there" compare "$work/a" "$work/nonesuch"
refused 3 'no tensor name in common' "nothing to compare" compare "$work/a" \
    "$model/reference.safetensors"
refused 3 'words' "a file that is no safetensors file" compare "$work/a" "$work/words"
refused 2 'usage: lmzoo compare' "one file to compare" compare "$work/a"
refused 2 '--limit' "a limit below 0" compare "$work/a" "$work/b" --limit -1
echo "1..$n"
