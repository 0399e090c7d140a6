#!/bin/sh
# lmzoo serve --cache-dir: kept prefixes outlive the process, on models with rows, windows, latents
# and states. A file that is truncated, whose writer was killed, or of other cache kinds is reported
# and not used; the bytes are those of a server that keeps nothing.
set -u
command -v curl >/dev/null || { echo "1..0 # SKIP no curl"; exit 0; }
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

# serve LOG MODEL ARGUMENT...: starts a server; its address goes to url, its process to pid
serve() { start_server "$@" --threads 1; }
trap 'kill $pid $other 2>/dev/null' EXIT
pid=
other=

end() { # SIGNAL PROCESS
    kill "-$1" "$2"
    wait "$2" 2>/dev/null
}

ask() { # URL PROMPT: the text in $TMPDIR/text; sets prompt and cached
    curl -sS -m 60 -o "$said" --data-binary "{\"prompt\":\"$2\",\"max_tokens\":16,\"seed\":3}" \
        "$1/v1/completions"
    prompt=$(sed -n 's/.*"prompt_tokens":\([0-9]*\).*/\1/p' "$said")
    cached=$(sed -n 's/.*"cached_tokens":\([0-9]*\).*/\1/p' "$said")
    sed -n 's/.*"text":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$said" >"$TMPDIR/text"
}
read_in_all() { curl -sS -m 20 "$1/metrics" | sed -n 's/^lmzoo_tokens_read_total //p'; }

story="Once upon a time there was a boy named Tom. He had a red ball and a big dog."
for n_words in 1 2 3; do # long enough for more than a page
    story="$story One day Tom took the ball to the park and the dog ran after it all the way."
done

for model in demo-llama demo-gemma demo-deepseek demo-hybrid; do
    dir=$TMPDIR/kept-$model
    serve plain "$model" --reuse 0
    other=$pid
    plain=$url
    ask "$plain" "$story"
    one=$(cat "$TMPDIR/text")
    more="$story$one And then"
    ask "$plain" "$more"
    two=$(cat "$TMPDIR/text")

    serve first "$model" --cache-dir "$dir"
    ask "$url" "$story"
    first=$(cat "$TMPDIR/text")
    before=$prompt
    end TERM "$pid"
    file=$(ls "$dir"/*.kept)
    echo "files: $(ls -l "$dir")" >"$said"
    [ "$first" = "$one" ] && [ -s "$file" ] && [ "$(ls "$dir" | wc -l)" -eq 1 ]
    result $? "$model: SIGTERM leaves one file"

    serve second "$model" --cache-dir "$dir"
    ask "$url" "$more"
    read=$(read_in_all "$url")
    second=$(cat "$TMPDIR/text")
    echo "prompt $prompt, cached $cached, read $read, before $before; $second, not $two" >>"$said"
    [ "$second" = "$two" ] && [ "$cached" -ge "$before" ] && [ $((prompt - cached)) -eq "$read" ]
    result $? "$model: after a restart a turn reads only what is new, and its bytes are the same"

    # Killed: what the first start left is still there.
    end KILL "$pid"
    serve third "$model" --cache-dir "$dir"
    ask "$url" "$more"
    [ "$(cat "$TMPDIR/text")" = "$two" ] && [ "$cached" -ge "$before" ]
    result $? "$model: after kill -9 the file of the last orderly shutdown is used"
    end TERM "$pid"

    # Half written: the header comes last; then cut; then one byte is another.
    size=$(stat -c %s "$file")
    cp "$file" "$TMPDIR/whole"
    bad=
    for fault in killed cut byte empty; do
        cp "$TMPDIR/whole" "$file"
        case $fault in
        killed) dd if=/dev/zero of="$file" bs=72 count=1 conv=notrunc 2>/dev/null ;;
        cut) truncate -s $((size / 2)) "$file" ;;
        byte) printf 'x' | dd of="$file" bs=1 seek=$((size - 7)) conv=notrunc 2>/dev/null ;;
        empty) : >"$file" ;;
        esac
        serve "fault-$fault" "$model" --cache-dir "$dir"
        ask "$url" "$more"
        [ "$(cat "$TMPDIR/text")" = "$two" ] && [ "$cached" -eq 0 ] &&
            grep -q "lmzoo serve: $file is not used: it" "$TMPDIR/fault-$fault" || bad="$bad $fault"
        end KILL "$pid"
    done
    cat "$TMPDIR"/fault-* >"$said"
    rm -f "$TMPDIR"/fault-* "$TMPDIR/first" "$TMPDIR/second" "$TMPDIR/third"
    echo "$bad" >>"$said"
    [ -z "$bad" ]
    result $? "$model: files half written, truncated, changed and empty are reported and not used"

    # Other caches, and a bound too small for the file.
    cp "$TMPDIR/whole" "$file"
    serve kinds "$model" --cache-dir "$dir" --cache bf16
    cp "$TMPDIR/kinds" "$said"
    grep -q 'is not used: it is of another model, program, instruction set or cache' "$TMPDIR/kinds"
    told=$?
    end TERM "$pid"
    serve small "$model" --cache-dir "$dir" --cache-dir-max 1K
    ask "$url" "$story"
    end TERM "$pid"
    ls -l "$dir" >>"$said"
    [ $told -eq 0 ] && [ "$(cat "$TMPDIR/text")" = "$one" ] && [ ! -e "$file" ]
    result $? "$model: another --cache is reported; --cache-dir-max bounds the file"
    end TERM "$other"
    rm -f "$TMPDIR/plain" "$TMPDIR/kinds" "$TMPDIR/small"
done

: >"$TMPDIR/plain"
"$LMZOO_BUILD/lmzoo" serve "$LMZOO_SOURCE/demo/models/demo-llama" --cache-dir "$TMPDIR/plain" \
    --port 0 2>"$said"
code=$?
[ $code -eq 2 ] && grep -q 'cache-dir .* is no folder' "$said"
result $? "a file in place of the folder: exit code $code"
"$LMZOO_BUILD/lmzoo" serve "$LMZOO_SOURCE/demo/models/demo-llama" --cache-dir "$TMPDIR/x" \
    --reuse 0 2>"$said"
code=$?
[ $code -eq 2 ] && grep -q "cache-dir has nothing to save with --reuse 0" "$said"
result $? "--reuse 0 beside it: exit code $code"
echo "1..$n"
