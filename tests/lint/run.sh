#!/bin/sh
# The lint tested by its own cases, then the checks that need other programs: SDK headers alone in
# three languages, names that plugins export and import, references of documents, Python files,
# formatting.
set -u
cd "$LMZOO_SOURCE" || exit 1
n=0
tap() { # STATUS NAME [FILE of diagnostics]
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        [ -z "${3:-}" ] || sed 's/^/# /' "$3"
    fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
said=$TMPDIR/said

# ---- the lint itself

"$LMZOO_BUILD/tests/test_lint" --cases tests/lint/cases >"$said"
tap $? "each lint case finds what it should" "$said"

# exempted STATUS NAME LINES: the lint over a tree with one long line and these exemptions
exempted() {
    rm -rf "$TMPDIR/tree"
    mkdir -p "$TMPDIR/tree/host" "$TMPDIR/tree/tools/lint"
    printf '/* %0110d */\n' 0 >"$TMPDIR/tree/host/a.c"
    echo "# host" >"$TMPDIR/tree/host/README.md"
    printf '%s\n' "$3" >"$TMPDIR/tree/tools/lint/exemptions.txt"
    "$LMZOO_BUILD/tests/test_lint" "$TMPDIR/tree" >"$said"
    status=$?
    [ $status -eq "$1" ]
    tap $? "$2" "$said"
}
excuse='host/a.c:1 a table that reads better on one line'
exempted 1 "a finding fails" "# nothing"
exempted 0 "an exemption excuses it" "$excuse"
exempted 1 "an exemption without a reason fails" "host/a.c:1"
exempted 1 "an exemption that excuses nothing fails" "$excuse
host/b.c:1 gone"

# rooms STATUS NAME TEXT: the lint over $TMPDIR/tree; its output contains TEXT
rooms() {
    "$LMZOO_BUILD/tests/test_lint" "$TMPDIR/tree" >"$said"
    status=$?
    [ $status -eq "$1" ] && grep -qF -- "$3" "$said"
    tap $? "$2" "$said"
}
# room_tree N: a tree with host/model of N files and host/base, each with a README.md
room_tree() {
    rm -rf "$TMPDIR/tree"
    mkdir -p "$TMPDIR/tree/host/model" "$TMPDIR/tree/host/base"
    : >"$TMPDIR/tree/host/base/a.h"
    echo '#include "base/a.h"' >"$TMPDIR/tree/host/base/a.c"
    i=0
    while [ $i -lt "$1" ]; do
        printf '/* a file */\n#include "base/a.h"\n' >"$TMPDIR/tree/host/model/f$i.c"
        i=$((i + 1))
    done
    yes line | head -n 15 | tee "$TMPDIR/tree/host/model/README.md" \
        >"$TMPDIR/tree/host/base/README.md"
}
room_tree 20
rooms 0 "20 files and a README of 15 lines make a room" "room model           20 files -> base(20)"
room_tree 21
rooms 1 "21 files are too many" "rooms: host:model: 21 .c files"
room_tree 2
echo 16 >>"$TMPDIR/tree/host/base/README.md"
rooms 1 "a README of 16 lines is too long" "rooms: host:base: README.md: 16 lines"
rm "$TMPDIR/tree/host/base/README.md"
rooms 1 "a room without README fails" "rooms: host:base: host/base has no README.md"
room_tree 2
echo '#include "base/b.h"' >"$TMPDIR/tree/host/base/a.h"
echo '#include "base/a.h"' >"$TMPDIR/tree/host/base/b.h"
rooms 1 "headers that include each other fail" "host:circle: host/base/a.h host/base/b.h"
room_tree 2
mkdir "$TMPDIR/tree/host/cellar"
: >"$TMPDIR/tree/host/cellar/a.h"
echo '#include "cellar/a.h"' >"$TMPDIR/tree/host/model/f0.c"
rooms 1 "a folder that is no room fails" "host/model/f0.c:include"

# ---- circles of calls

# circles FILE: those that tools/lint/circles.txt does not excuse
circles() {
    while read -r first rest; do
        grep -q "^${first%/*} " tools/lint/circles.txt || echo "$first $rest"
    done <"$1"
}
cat >"$TMPDIR/symbols" <<'END'
x.dir/model/a.c.o: one T 0 0
x.dir/model/a.c.o: two U
x.dir/model/b.c.o: two T 0 0
x.dir/model/b.c.o: three U
x.dir/model/c.c.o: three T 0 0
x.dir/model/c.c.o: one U
x.dir/model/c.c.o: malloc U
x.dir/text/jinja/a.c.o: four T 0 0
x.dir/text/jinja/a.c.o: five U
x.dir/text/jinja/b.c.o: five T 0 0
x.dir/text/jinja/b.c.o: four U
END
"$LMZOO_BUILD/tests/test_lint" --circles <"$TMPDIR/symbols" >"$TMPDIR/found"
circles "$TMPDIR/found" >"$said"
[ "$(cat "$said")" = "model/a model/b model/c" ]
tap $? "a circle of calls is found, an excused one passes" "$said"

objects=$LMZOO_BUILD/host/CMakeFiles/zoo_host.dir
if ! command -v nm >/dev/null || [ ! -d "$objects" ]; then
    skip "no circle of calls between files" "no nm or no object files in $objects"
else
    find "$objects" -name '*.c.o' -exec nm -A --format=posix {} + |
        "$LMZOO_BUILD/tests/test_lint" --circles >"$TMPDIR/found"
    circles "$TMPDIR/found" >"$said"
    [ ! -s "$said" ]
    tap $? "no circle of calls between files but in the rooms of tools/lint/circles.txt" "$said"
    : >"$said"
    sed '/^#/d; s/ .*//' tools/lint/circles.txt | while read -r room; do
        grep -q "^$room/" "$TMPDIR/found" || echo "$room excuses nothing" >>"$said"
    done
    [ ! -s "$said" ]
    tap $? "each room of tools/lint/circles.txt has a circle" "$said"
fi

if command -v python3 >/dev/null; then
    python3 tools/draw_rooms.py --check >"$said" 2>&1
    tap $? "docs/rooms.svg is drawn from the includes" "$said"
else
    skip "docs/rooms.svg is drawn from the includes" "no python3"
fi

# ---- SDK headers

# headers NAME COMPILER...: each header alone, without a warning
headers() {
    name=$1
    shift
    command -v "$1" >/dev/null || { skip "SDK headers as $name" "no $1"; return; }
    : >"$said"
    for header in $(cd sdk && find . -name '*.h' ! -path './template/*' | sort); do
        printf '#include "%s"\nint main(void) { return 0; }\n' "$header" >"$TMPDIR/one.$suffix"
        "$@" -Wall -Wextra -Wconversion -Wshadow -Werror -pedantic -fsyntax-only -Isdk \
            "$TMPDIR/one.$suffix" 2>>"$said" || echo "$header" >>"$said"
    done
    [ ! -s "$said" ]
    tap $? "SDK headers as $name" "$said"
}
suffix=c
headers "C11 (cc)" cc -std=c11
headers "C17 (cc)" cc -std=c17
headers "C11 (clang)" clang -std=c11
suffix=cc
headers "C++17 (c++)" c++ -std=c++17
headers "C++17 (clang++)" clang++ -std=c++17

# ---- plugins

# What a plugin may take from outside: memory and string functions, maths, what compilers insert.
allowed='mem(cpy|move|set|cmp|chr)|str(n?cmp|n?cpy|n?len|r?chr|str|spn|cspn|pbrk|tod|tof|tol|toul|toull)'
allowed="$allowed|v?snprintf|__(mem|str|v?snprintf)[a-z]*_chk|__isoc23_strto[a-z]+|qsort|bsearch"
allowed="$allowed|(exp|exp2|expm1|log|log2|log10|log1p|pow|sqrt|cbrt|sin|cos|tan|asin|acos|atan|atan2"
allowed="$allowed|sinh|cosh|tanh|erf|fabs|floor|ceil|round|trunc|lrint|lround|rint|nearbyint|fma|fmin"
allowed="$allowed|fmax|fmod|ldexp|frexp|hypot|sincos|copysign|erf|erfc)f?"
allowed="$allowed|__ctype_b_loc|__ctype_tolower_loc|tolower|toupper|abs|labs"
allowed="$allowed|__assert_fail|__stack_chk_fail|__cxa_finalize|__gmon_start__|_ITM_.*|__tls_get_addr"

# names OPTION FILE: dynamic symbols without versions
names() { nm -D "$1" --format=posix "$2" | sed 's/[@ ].*//' | sort -u; }

sanitized=$(sed -n 's/^LMZOO_SANITIZE:STRING=//p' "$LMZOO_BUILD/CMakeCache.txt" 2>/dev/null)
for plugin in "$LMZOO_BUILD"/plugins/*.so; do
    name=${plugin##*/}
    if [ ! -e "$plugin" ]; then
        skip "names of the plugins" "no plugin is built"
    elif ! command -v nm >/dev/null; then
        skip "names of $name" "no nm"
    elif [ -n "$sanitized" ]; then
        skip "names of $name" "the $sanitized sanitizer adds names"
    else
        names --defined-only "$plugin" >"$said"
        [ "$(cat "$said")" = zoo_plugin_entry ]
        tap $? "$name exports zoo_plugin_entry alone" "$said"
        names --undefined-only "$plugin" | grep -Evx "$allowed" >"$said"
        [ ! -s "$said" ]
        tap $? "$name imports only maths, memory and string functions" "$said"
    fi
done

# ---- documents

# Lines of more than 100 characters outside tables and code; a lone long word (a link) may stand.
long_lines() {
    LC_ALL=C awk 'FNR == 1 { fence = 0 }
        /^```/ { fence = !fence }
        fence || /^\|/ || /^    / || !/[^ ] +[^ ]/ { next }
        { line = $0; gsub(/[\200-\277]/, "", line) }
        length(line) > 100 { print FILENAME ":" FNR ": " length(line) " columns" }' "$@"
}
{
    printf '%0100d\n| %0120d |\n    %0120d\n%s%0120d\n' 0 0 0 https: 0
    printf '```\n%060d %060d\n```\n%099d \303\244\n' 0 0 0
} >"$TMPDIR/long.md"
long_lines "$TMPDIR/long.md" >"$said"
[ "$(sed 's/.*md:\([0-9]*\):.*/\1/' "$said")" = 8 ]
tap $? "a line of 101 columns is found, tables, code and links may be longer" "$said"
find . \( -name '.?*' -o -name 'build*' -o -name venv \) -prune -o -name '*.md' -print |
    while read -r file; do long_lines "$file"; done >"$said"
[ ! -s "$said" ]
tap $? "documents stay within 100 columns outside tables and code" "$said"

# What the documents name: files of the tree, links between documents, commands and their options.
# "COMMAND OPTION" for each option, from the program's own help.
"$LMZOO_BUILD/lmzoo" help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | while read -r command; do
    echo "$command"
    "$LMZOO_BUILD/lmzoo" help "$command" | sed -n 's/^  \(-[^ ].*\)/\1/p' | sed 's/   .*//' |
        tr -s ', ' '\n' | sed -n "s/^-.*/$command &/p"
done >"$TMPDIR/options"

# present PATTERN...: whether one of them names a file or folder
present() {
    for pattern; do
        for entry in $pattern; do [ -e "$entry" ] && return 0; done
    done
    return 1
}
# named FILE KIND WHAT OPTION: whether what FILE names is there (kinds: documents.awk)
named() {
    case $2 in
    link) present "${1%/*}/$3" ;;
    path) present "$3" ;;
    code)
        present "$3" "${1%/*}/$3" "host/$3" "host/$3.[ch]" "sdk/$3" ||
            grep -qx -- "$(echo "${3##*/}" | sed 's/[.]/[.]/g; s/[*]/.*/g')" "$TMPDIR/names"
        ;;
    command) grep -qx -- "$3" "$TMPDIR/options" ;;
    option)
        case $3$1 in
        '*'./README.md | '*'./docs/*) grep -q -- " $4\$" "$TMPDIR/options" ;;
        '*'*) ;; # of the tool that the document is about
        *) grep -qx -- "$3 $4" "$TMPDIR/options" ;;
        esac
        ;;
    esac
}
# broken: references to nothing in all documents below the present folder
broken() {
    find . \( -name '.?*' -o -name 'build*' -o -name venv \) -prune -o -type f -print >"$TMPDIR/files"
    sed 's|.*/||' "$TMPDIR/files" >"$TMPDIR/names"
    grep '\.md$' "$TMPDIR/files" | while read -r file; do
        awk -v top=" $(echo */ | sed 's|build[^ ]*||; s|/||g') " \
            -v rooms=" $(cd host && echo */ | tr -d /) " \
            -f "$LMZOO_SOURCE/tests/lint/documents.awk" "$file" |
            while read -r at kind what option; do
                named "$file" "$kind" "$what" "$option" || echo "$at $kind $what $option"
            done
    done
}
rm -rf "$TMPDIR/tree"
mkdir -p "$TMPDIR/tree/docs" "$TMPDIR/tree/host/model"
: >"$TMPDIR/tree/host/model/step.c"
cat >"$TMPDIR/tree/docs/a.md" <<'END'
# Good: `model/step`, `step.c`, `model/s*.c`, host/model/step.c, [b](a.md#c), [web](https://x.org/y)
`lmzoo run M --seed 1`, `lmzoo help batch`, `--seed 1`, host/<name>, lmzoo runs on.

    build/lmzoo batch M -i x \
        --errors y | cat --unknown     # --other

Bad: `model/stop` and `stop.c`

host/model/stop.c

[b](b.md)

`lmzoo runs`

- `lmzoo run
  --sed 1`
- `--sed`

```
lmzoo batch M -i x \
    --seed 1 --error y
```
END
cat >"$TMPDIR/wanted" <<'END'
./docs/a.md:7 code model/stop
./docs/a.md:7 code stop.c
./docs/a.md:9 path host/model/stop.c
./docs/a.md:11 link b.md
./docs/a.md:13 command runs
./docs/a.md:15 option run --sed
./docs/a.md:17 option * --sed
./docs/a.md:20 option batch --error
END
(cd "$TMPDIR/tree" && broken) | sed 's/ *$//' >"$TMPDIR/found"
diff "$TMPDIR/wanted" "$TMPDIR/found" >"$said"
tap $? "references of a document to nothing are found, good ones pass" "$said"
broken >"$said"
[ ! -s "$said" ]
tap $? "documents name files, links, commands and options that exist" "$said"

# ---- Python

# beside VARIABLE PROGRAM: the program that VARIABLE names, the one on PATH or beside LMZOO_PYTHON
beside() {
    eval "named=\${$1:-}"
    if [ -n "$named" ]; then
        echo "$named"
    else
        command -v "$2" || command -v "$(dirname "$(command -v "${LMZOO_PYTHON:-python3}")")/$2"
    fi
}
# python_files: all below the present folder, also those that only their first line tells
python_files() {
    find . \( -name '.?*' -o -name 'build*' -o -name venv \) -prune -o -type f \
        \( -name '*.py' -o ! -name '*.*' \) \
        -exec awk 'FILENAME ~ /[.]py$/ || /^#!.*python/ { print FILENAME } { nextfile }' {} +
}
name="every Python file passes ruff, with types in its signatures"
if ! ruff=$(beside LMZOO_RUFF ruff); then
    skip "$name" "no ruff (LMZOO_RUFF)"
else
    rm -rf "$TMPDIR/tree"
    mkdir -p "$TMPDIR/tree/tools"
    cp pyproject.toml "$TMPDIR/tree"
    printf 'import os\n' >"$TMPDIR/tree/tools/a.py"
    printf '#!/usr/bin/env python3\ndef plain(x):\n    return x  # %090d\n' 0 >"$TMPDIR/tree/tools/b"
    (cd "$TMPDIR/tree" && python_files | sort | xargs "$ruff" check --no-cache -q \
        --output-format concise) | sed 's/:[0-9]*:[0-9]*: \([A-Z0-9]*\) .*/ \1/' |
        sort | tr '\n' , >"$said"
    [ "$(cat "$said")" = "tools/a.py F401,tools/b ANN001,tools/b ANN201,tools/b E501," ]
    tap $? "faults of Python files are found, without a suffix too" "$said"
    python_files | xargs "$ruff" check --no-cache -q --output-format concise >"$said" 2>&1
    tap $? "$name" "$said"
fi
# types: faults of all Python files but the package's (python/check), each folder by itself, with
# what other packages define left out, so that the result is the same whatever is installed
types() {
    python_files | grep -v '^[.]/python/lmzoo/' | sed 's|/[^/]*$||' | sort -u | while read -r folder; do
        python_files | grep "^$folder/[^/]*\$" | xargs "$mypy" --config-file pyproject.toml \
            --no-error-summary --cache-dir "$TMPDIR/mypy" --follow-imports=skip \
            --allow-subclassing-any --allow-untyped-decorators --no-warn-return-any \
            --no-warn-unused-ignores
    done
}
name="the types of every Python file agree"
if ! mypy=$(beside LMZOO_MYPY mypy); then
    skip "$name" "no mypy (LMZOO_MYPY)"
else
    rm -rf "$TMPDIR/tree"
    mkdir -p "$TMPDIR/tree/tools"
    cp pyproject.toml "$TMPDIR/tree"
    printf 'def half(x: int) -> int:\n    return x // 2\n' >"$TMPDIR/tree/tools/a.py"
    printf 'import a\n\nprint(a.half("6"))\n' >"$TMPDIR/tree/tools/b.py"
    (cd "$TMPDIR/tree" && types) >"$said" 2>&1
    grep -q 'b.py:3: error: Argument 1 to "half"' "$said"
    tap $? "an argument of another type is found" "$said"
    types >"$said" 2>&1
    [ ! -s "$said" ]
    tap $? "$name" "$said"
fi

# ---- formatting

if ! command -v clang-format >/dev/null; then
    skip "clang-format" "no clang-format"
elif ! clang-format --version | grep -q 'version 14\.'; then
    skip "clang-format" "$(clang-format --version), not 14"
else
    find . \( -name '.?*' -o -name 'build*' \) -prune -o \( -name '*.c' -o -name '*.h' \) -print0 |
        xargs -0 clang-format --dry-run -Werror 2>&1 | grep 'error:' >"$said"
    [ ! -s "$said" ]
    tap $? "clang-format would change nothing" "$said"
fi
echo "1..$n"
