#!/bin/sh
# stories260K through tools/convert_stories.py: the folder is taken, and greedy text from the start
# token is the story that llama2.c tells. LMZOO_PYTHON names a python3 that has numpy.
set -u
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
python=${LMZOO_PYTHON:-python3}
weights=$LMZOO_REFERENCE/weights
[ -f "$weights/stories260K.bin" ] || skip_all "no reference/weights"
"$python" -c 'import numpy' 2>/dev/null || skip_all "no python3 with numpy"
[ -e "$LMZOO_BUILD/plugins/llama.so" ] || skip_all "no plugin for it is built"

echo 1..3
said=$TMPDIR/said
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

"$python" "$LMZOO_SOURCE/tools/convert_stories.py" "$weights/stories260K.bin" \
    "$weights/tok512.bin" "$TMPDIR/stories" >"$said" 2>&1
result $? "the converter writes a folder"

cat >"$TMPDIR/story" <<'END'
Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
Lily didn't want to help her mom, so she
END
printf '%s' "$(cat "$TMPDIR/story")" >"$TMPDIR/want"
"$LMZOO_BUILD/lmzoo" run "$TMPDIR/stories" --tokens 1 --max-tokens 200 --ignore-eos \
    --temperature 0 --weights f32 --cache f32 >"$TMPDIR/got" 2>"$said"
status=$?
# The first token's leading space stays or goes with how a text is decoded behind no prompt.
sed '1s/^ //' "$TMPDIR/got" >"$TMPDIR/told"
printf '%s' "$(cat "$TMPDIR/told")" | cmp -s - "$TMPDIR/want" && [ $status -eq 0 ]
status=$?
cat "$TMPDIR/got" >>"$said"
result $status "greedy text from the start token is the known story"

head -c 100000 "$weights/stories260K.bin" >"$TMPDIR/cut.bin"
"$python" "$LMZOO_SOURCE/tools/convert_stories.py" "$TMPDIR/cut.bin" "$weights/tok512.bin" \
    "$TMPDIR/cut" >"$said" 2>&1
[ $? -eq 1 ] && grep -q 'ends within its weights' "$said"
result $? "a truncated checkpoint is refused"
