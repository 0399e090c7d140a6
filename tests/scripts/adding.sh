#!/bin/sh
# Adding a release as a user does: lmzoo new-card on a folder that no card is for, new-plugin and new-block in a copy of
# the tree; outside_plugin.sh builds them against the installed SDK.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
demo=$LMZOO_SOURCE/demo/models/demo-llama
n=0
result() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; sed 's/^/# /' "$TMPDIR/log"; fi
}
: >"$TMPDIR/log"
tokens() { # FOLDER [OPTION...]
    "$lmzoo" run "$@" --tokens 300,317,334 --max-tokens 8 --ignore-eos --json 2>>"$TMPDIR/log" | sed -n 's/.*"tokens": *\(\[[^]]*\]\).*/\1/p'
}

# A type that nobody knows, its attention under another name, one key under another name.
new=$TMPDIR/new
cards=$TMPDIR/cards
cp -R "$demo" "$new" && chmod -R u+w "$new"
cp -R "$LMZOO_SOURCE/models.d" "$cards" && chmod -R u+w "$cards"
sed 's/"model_type": *"[a-z0-9_]*"/"model_type": "newkind"/' "$demo/config.json" >"$new/config.json"
LC_ALL=C sed 's/self_attn\./attention./g' "$demo/model.safetensors" >"$new/model.safetensors"
"$lmzoo" new-card "$new" --card-dir "$cards" >"$TMPDIR/log" 2>&1
result $? "new-card writes a card"
[ -f "$cards/newkind.json" ] && "$lmzoo" inspect "$new" --card-dir "$cards" >>"$TMPDIR/log" 2>&1
result $? "which loads at once, tensors of other names included"
want=$(tokens "$demo")
[ -n "$want" ] && [ "$(tokens "$new" --card-dir "$cards")" = "$want" ]
result $? "and computes what the release that it was computes"
grep -q 'Questions that files do not answer' "$TMPDIR/log"
result $? "questions are asked"
"$lmzoo" new-card "$new" --card-dir "$cards" >"$TMPDIR/log" 2>&1
[ $? -eq 2 ] && grep -q 'names model_type "newkind" already' "$TMPDIR/log"
result $? "a type that has a card: exit code 2 and where it is"
"$lmzoo" new-card "$new" --card-dir "$cards" --type other -o "$cards/newkind.json" >"$TMPDIR/log" 2>&1
[ $? -eq 2 ] && grep -q 'is there already' "$TMPDIR/log"
result $? "nothing is written over"
sed '1s/{/{"use_unheard_of_gate": true,/' "$new/config.json" >"$TMPDIR/config.json"
"$lmzoo" new-card "$TMPDIR/config.json" --card-dir "$cards" --type unheard >"$TMPDIR/log" 2>&1 &&
    grep -q 'use_unheard_of_gate true' "$TMPDIR/log" && grep -q '"use_unheard_of_gate": "unsettled' "$cards/unheard.json"
result $? "a key that nobody computes is a question, and unsettled in the card"
"$lmzoo" new-card "$TMPDIR/nowhere" >"$TMPDIR/log" 2>&1
[ $? -eq 2 ] && [ "$(wc -l <"$TMPDIR/log")" -eq 1 ]
result $? "nothing of that name: exit code 2 and one sentence"

if [ -d "$LMZOO_REFERENCE/parity/stablelm" ]; then
    rm "$cards/stablelm.json"
    "$lmzoo" new-card "$LMZOO_REFERENCE/parity/stablelm" --card-dir "$cards" >"$TMPDIR/log" 2>&1 &&
        grep -q '"norm": "layer"' "$cards/stablelm.json" && ! grep -q unsettled "$cards/stablelm.json"
    result $? "stablelm without its card: norms and biases are found"
else
    n=$((n + 1))
    echo "ok $n - stablelm without its card # SKIP no reference data"
fi

# In a copy of the tree: what is written compiles with the tree's flags.
tree=$TMPDIR/tree
mkdir -p "$tree/host" && cp -R "$LMZOO_SOURCE/plugins" "$LMZOO_SOURCE/sdk" "$LMZOO_SOURCE/models.d" "$tree" &&
    cp -R "$LMZOO_SOURCE/host/config" "$LMZOO_SOURCE/host/base" "$tree/host" && chmod -R u+w "$tree"
(cd "$tree" && "$lmzoo" new-plugin mine && "$lmzoo" new-block llama cubed &&
    "$lmzoo" new-block plugins/llama memory --kind mixer) >"$TMPDIR/log" 2>&1
result $? "new-plugin and new-block in a tree"
grep -q '{"cubed", llama_cubed_part}' "$tree/plugins/llama/model.c" &&
    grep -q '{"memory", llama_memory_part}' "$tree/plugins/llama/mixers.c" &&
    grep -q '&llama_cubed_ops, NULL}' "$tree/plugins/llama/plugin.c" &&
    grep -q '&llama_memory_ops, NULL}' "$tree/plugins/llama/plugin.c" &&
    grep -q 'llama_cubed_part;' "$tree/plugins/llama/llama.h" &&
    grep -q '"xielu|cubed"' "$tree/host/config/card_options.c" && [ -f "$tree/models.d/mine.json" ]
result $? "they are registered"
status=0
for file in "$tree"/plugins/mine/*.c "$tree"/plugins/llama/cubed.c "$tree"/plugins/llama/memory.c \
    "$tree"/plugins/llama/plugin.c "$tree"/plugins/llama/model.c "$tree"/plugins/llama/mixers.c \
    "$tree"/host/config/card_options.c; do
    cc -std=c11 -fPIC -fsyntax-only -Wall -Wextra -Wconversion -Wshadow -Werror -D_DEFAULT_SOURCE -I"$tree/sdk" \
        -I"$tree/host" "$file" >>"$TMPDIR/log" 2>&1 || status=1
done
result $status "and compile without a warning"
(cd "$tree" && "$lmzoo" new-block llama cubed) >"$TMPDIR/log" 2>&1
[ $? -eq 2 ] && grep -q 'cubed.c is there already' "$TMPDIR/log"
result $? "a block that is there already: exit code 2, nothing changed"
(cd "$tree" && "$lmzoo" new-plugin 'No Name') >"$TMPDIR/log" 2>&1
[ $? -eq 2 ] && [ "$(wc -l <"$TMPDIR/log")" -eq 1 ]
result $? "a name that is none: exit code 2 and one sentence"
echo "1..$n"
