#!/bin/sh
# lmzoo serve over several turns: a follow-up reads only what is new, on models with rows, windows,
# latents and states, and its bytes are those of a server that keeps nothing.
set -u
command -v curl >/dev/null || { echo "1..0 # SKIP no curl"; exit 0; }
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

# serve LOG MODEL ARGUMENT...: starts a server; its address goes to url, its process to pid
serve() { start_server "$@" --threads 1; }
trap 'kill $pid $other 2>/dev/null' EXIT
pid=
other=

# ask URL PATH BODY: the answer in $said; sets prompt and cached
ask() {
    curl -sS -m 60 -o "$said" --data-binary "$3" "$1$2"
    prompt=$(sed -n 's/.*"prompt_tokens":\([0-9]*\).*/\1/p' "$said")
    cached=$(sed -n 's/.*"cached_tokens":\([0-9]*\).*/\1/p' "$said")
}
text() { sed -n 's/.*"text":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$said"; }
read_in_all() { curl -sS -m 20 "$1/metrics" | sed -n 's/^lmzoo_tokens_read_total //p'; }

# turns LABEL MODEL ARGUMENT...: six turns at a server that keeps rows, and at one that does not
turns() {
    label=$1
    model=$2
    shift 2
    serve plain "$model" --reuse 0 "$@"
    other=$pid
    plain=$url
    serve kept "$model" "$@"
    story="One day, a little girl named Lily found a needle in her room."
    before=0
    bad=
    : >"$TMPDIR/turns"
    for turn in 1 2 3 4 5 6; do
        body="{\"prompt\":\"$story\",\"max_tokens\":24,\"ignore_eos\":true,\"temperature\":0.7,\"seed\":$turn}"
        ask "$plain" /v1/completions "$body"
        whole=$(text)
        read_before=$(read_in_all "$url")
        ask "$url" /v1/completions "$body"
        read_now=$(($(read_in_all "$url") - read_before))
        echo "turn $turn: prompt $prompt, cached $cached, read $read_now, before $before" >>"$TMPDIR/turns"
        [ "$(text)" = "$whole" ] && [ -n "$whole" ] || bad="$bad bytes-$turn"
        [ $((prompt - cached)) -eq "$read_now" ] || bad="$bad read-$turn"
        # All of the turn before, but for its last token, which could join what follows.
        [ "$cached" -ge "$before" ] || bad="$bad kept-$turn"
        before=$((prompt - 1))
        story="$story$whole And then"
    done
    cp "$TMPDIR/turns" "$said"
    echo "$bad" >>"$said"
    [ -z "$bad" ]
    result $? "$label: six turns read what is new, with the bytes of a server that keeps nothing"
}

for model in demo-llama demo-gemma demo-deepseek demo-hybrid; do
    turns "$model" "$model"

    # Words that come first: of the system, or of the user where the template has no place for one.
    first="Lily and Tom went to the park. They saw a big dog and a small cat there."
    chat() { # WORDS
        if [ "$model" = demo-gemma ]; then
            messages="{\"role\":\"user\",\"content\":\"$first $1\"}"
        else
            messages="{\"role\":\"system\",\"content\":\"$first\"},{\"role\":\"user\",\"content\":\"$1\"}"
        fi
        ask "$url" /v1/chat/completions "{\"messages\":[$messages],\"max_tokens\":8,\"temperature\":0}"
    }
    chat "Tell me a story"
    chat "What did they see?"
    second=$cached
    chat "Tell me a story"
    echo "the same again: prompt $prompt, cached $cached; other words: cached $second" >"$said"
    [ "$cached" -ge $((prompt - 8)) ] && { [ "$second" -ge 20 ] || [ "$model" = demo-gemma ]; }
    result $? "$model: a repeated request, and other words after the same instructions"
    kill -TERM "$pid" "$other"
    wait "$pid" "$other"
done

# Rows of generated tokens that a window of their own changes serve no later prompt.
cp -r "$LMZOO_SOURCE/models.d" "$TMPDIR/cards"
printf '{"model_type": "llama", "plugin": "llama", "fixed": {"sliding_window": 4}, "options": %s}\n' \
    '{"mixer": "kept", "full_name": "full_attention", "sliding": "none"}' >"$TMPDIR/cards/llama.json"
turns "a window behind the prompt" demo-llama --card-dir "$TMPDIR/cards"
kill -TERM "$pid" "$other"
wait "$pid" "$other"
echo "1..$n"
