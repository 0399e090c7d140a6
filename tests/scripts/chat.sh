#!/bin/sh
# lmzoo chat through a pipe and at a terminal: answers, commands, a saved conversation, ctrl-C.
set -u
model=$LMZOO_SOURCE/demo/models/demo-llama
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
chat() { "$LMZOO_BUILD/lmzoo" chat "$model" --weights f32 --temperature 0 -n 40 "$@"; }
cd "$TMPDIR" || exit 1

printf 'Tell me a story\nGo on\n/save one.json\n' | chat >"$said" 2>err
[ $? -eq 0 ] && [ "$(grep -c '"assistant"' one.json)" -eq 2 ] && [ "$(wc -c <"$said")" -gt 60 ]
result $? "two lines through a pipe are two answers"
cp err "$said"
grep -q 'saved to one.json' "$said" && "$LMZOO_BUILD/lmzoo" run "$model" --weights f32 \
    --chat one.json -n 4 >/dev/null 2>"$said"
result $? "what /save writes run --chat reads"
printf '{"messages":[{"role":"user","content":"Tell me a story"}]}' >ask.json
"$LMZOO_BUILD/lmzoo" run "$model" --weights f32 --chat ask.json -n 40 --json >"$said" 2>/dev/null
wanted=$(sed -n 's/.*"text":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$said" | sed 's/.*<.think>//; s/<|[a-z_]*|>//g; s/\\n//g; s/\\"/"/g')
printf 'Tell me a story\n' | chat 2>/dev/null | tr -d '\n' >"$said"
grep -qF "$(echo "$wanted" | cut -c 1-60)" "$said"
result $? "the answer is that of run"
printf 'Two \\\nlines\n/clear\n/system Be brief.\nHello\n/save two.json\n' | chat >/dev/null 2>"$said"
tr -d '\n\t' <two.json | grep -q '"system".*Be brief.*"user".*Hello' && ! grep -q 'Two' two.json
result $? "/clear, /system and a line of two"
printf '/nonsense\nHello\n/exit\nnever\n' | chat >out 2>"$said"
[ $? -eq 1 ] && grep -q '/system TEXT' "$said" && [ "$(grep -c '\[\.\.\.\]' out)" -le 1 ]
result $? "an unknown command lists the known; /exit ends"
printf '%s\n' "$(printf 'word %.0s' $(seq 3000))" | chat >/dev/null 2>"$said"
[ $? -eq 1 ] && grep -q 'room for' "$said"
result $? "a line too long is refused in one sentence"
chat --system 2>"$said" </dev/null
[ $? -eq 2 ]
result $? "a missing value is a usage error"

if ! python3 -c 'import pty' 2>/dev/null; then
    echo "ok $((n + 1)) # SKIP no python3 with pty"
    echo "1..$((n + 1))"
    exit 0
fi
cat >terminal.py <<'END'
"""Drives the program at a pseudo terminal: says, waits for words, sends control characters."""

import os
import pty
import re
import select
import sys
import termios
import time

pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""


def until(word: bytes, seconds: float = 30) -> None:
    """Reads until the word stands behind what was seen before."""
    global seen
    end = time.time() + seconds
    while word not in seen:
        if not select.select([fd], [], [], max(0, end - time.time()))[0]:
            sys.exit(f"no {word!r} in {seen[-300:]!r}")
        try:
            seen += os.read(fd, 4096)
        except OSError:
            break
    seen = seen[seen.find(word) + len(word) :] if word in seen else sys.exit(f"ended: {seen!r}")


def edits(wanted: bool) -> None:
    """Waits until the terminal is the line editor's, or no longer."""
    for _ in range(3000):
        if bool(termios.tcgetattr(fd)[3] & termios.ICANON) != wanted:
            return
        time.sleep(0.01)
    sys.exit("the terminal's mode does not change")


def say(line: bytes) -> None:
    until(b"> ")
    edits(True)
    os.write(fd, line)


say(b"Tell me a storx\x7fy\n")
until(b"\x1b[2m")
until(b"\x1b[22m")
say(b"/think off\n")
say(b"Say more words, a very long story\n")
until(b"story\r\n")
edits(False)
while not re.search(rb"[A-Za-z]{3}", seen):  # the answer has begun
    seen += os.read(fd, 1)
os.write(fd, b"\x03")
until(b"cancelled")
say(b"/save pty.json\n")
until(b"saved to")
say(b"\x04")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
END
timeout 100 python3 terminal.py "$LMZOO_BUILD/lmzoo" chat "$model" --weights f32 --threads 1 \
    --temperature 1.2 --seed 16 >"$said" 2>&1
result $? "at a terminal: editing, dimmed reasoning, ctrl-C, ctrl-D"
cp pty.json "$said"
grep -q 'Tell me a story' "$said" && ! grep -q 'very long' "$said"
result $? "a cancelled turn is not part of the conversation"
echo "1..$n"
