#!/bin/sh
# A plugin built outside the tree: installs into a temporary prefix, moves that prefix elsewhere,
# builds a copy of the installed template through `pkg-config lmzoo-sdk` and through
# `find_package(lmzoo)`, and loads both with the installed program.
set -u
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
[ -f "$LMZOO_SOURCE/sdk/template/plugin.c" ] || skip_all "sdk/template is not there"
sanitized=$(sed -n 's/^LMZOO_SANITIZE:STRING=//p' "$LMZOO_BUILD/CMakeCache.txt")
[ -z "$sanitized" ] || skip_all "the shared blocks are built for the $sanitized sanitizer"

work=$TMPDIR/out
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$work.log
must() { # STATUS NAME: a precondition of all that follows
    result "$1" "$2"
    [ "$1" -eq 0 ] || { echo "Bail out! nothing to build against"; exit 1; }
}
mkdir "$work"

cmake --install "$LMZOO_BUILD" --prefix "$TMPDIR/first" >"$work.log" 2>&1
must $? "cmake --install"
prefix=$TMPDIR/moved
mv "$TMPDIR/first" "$prefix"
pc=$(find "$prefix" -name lmzoo-sdk.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH

template=$(pkg-config --variable=templatedir lmzoo-sdk)
cp -R "$template" "$work/template" 2>"$work.log"
must $? "the template is installed"
name=$(sed -n '/zoo_plugin_entry/,/};/s/.*\.name *= *"\([^"]*\)".*/\1/p' "$work/template/plugin.c")

mkdir "$work/by-pkg-config" "$work/by-cmake"
# shellcheck disable=SC2046 # flags are words
cc -std=c11 -O2 -fPIC -shared -fvisibility=hidden -ffp-contract=off -Wall -Wextra -Wconversion \
    -Wshadow -Werror $(pkg-config --cflags lmzoo-sdk) "$work"/template/*.c \
    $(pkg-config --libs lmzoo-sdk) -o "$work/by-pkg-config/$name.so" >"$work.log" 2>&1
result $? "built through pkg-config, without a warning"

cat >"$work/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.20)
project(outside LANGUAGES C)
find_package(lmzoo REQUIRED)
file(GLOB sources template/*.c)
lmzoo_add_plugin($name \${sources})
set_target_properties($name PROPERTIES LIBRARY_OUTPUT_DIRECTORY "$work/by-cmake")
foreach(dir LMZOO_PLUGIN_DIR LMZOO_CARD_DIR LMZOO_TEMPLATE_DIR)
  if(NOT IS_DIRECTORY \${\${dir}})
    message(FATAL_ERROR "\${dir}: \${\${dir}} is no folder")
  endif()
endforeach()
END
generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$LMZOO_BUILD/CMakeCache.txt")
{ cmake -G "$generator" -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build "$work/build"; } >"$work.log" 2>&1
result $? "built through find_package(lmzoo)"

for how in by-pkg-config by-cmake; do
    "$prefix/bin/lmzoo" plugins --plugin-dir "$work/$how" >"$work.log" 2>&1 &&
        grep -q "\\b$name\\b" "$work.log"
    result $? "lmzoo plugins lists it ($how)"
    nm -D --defined-only --format=posix "$work/$how/$name.so" >"$work.log" 2>&1
    [ "$(sed 's/[@ ].*//' "$work.log")" = zoo_plugin_entry ]
    result $? "it exports zoo_plugin_entry alone ($how)"
done

# What new-plugin and new-block write outside the tree.
{ cd "$work" && "$prefix/bin/lmzoo" new-plugin mine && "$prefix/bin/lmzoo" new-block mine cubed &&
    "$prefix/bin/lmzoo" new-block mine memory --kind mixer &&
    cmake -G "$generator" -S mine -B mine/build -DCMAKE_PREFIX_PATH="$prefix" && cmake --build mine/build &&
    "$prefix/bin/lmzoo" plugins --plugin-dir mine/build && sed -i.old 's/"attention"/"memory"/; s/"square"/"cubed"/' mine/models.d/mine.json &&
    "$prefix/bin/lmzoo" validate mine/build/mine.so --config mine/config.json --card-dir mine/models.d --weights bf16; } >"$work.log" 2>&1 && grep -q '^mine ' "$work.log"
result $? "new-plugin and new-block build at once and validate against the installed SDK"

# A block that begins with attention's bind rows, as docs/adding-a-model.md describes; its author's
# names T, W, NONE and AT are the author's own.
mkdir "$work/by-rows"
cat >"$work/rows.c" <<'END'
#include "blocks/gqa/impl.h"
#include "blocks/rows.h"

typedef struct W {
    zoo_gqa_weights gqa;
    const float *gain;
} W;
typedef struct P {
    zoo_gqa gqa;
} P;
enum { T = 3, NONE = 4, AT = 5, MATRIX = 6, VECTOR = 7, EXPERTS = 8, OWN = 9, QKV = 10 };

const zoo_bind binds[] = {
#include "blocks/gqa/binds.inc"
#undef ZOO_ROW_WEIGHTS
#undef ZOO_ROW_PARAMS
#define ZOO_ROW_WEIGHTS W
#define ZOO_ROW_PARAMS P
    ZOO_ROW_VECTOR(gain, "gain", gqa.shape.head_dim, ZOO_NONE, ZOO_NONE),
    {0}};

int main(void)
{
    size_t n = sizeof binds / sizeof *binds;
    return n > 30 && binds[n - 2].field == offsetof(W, gain) && QKV == T + NONE + 3 ? 0 : 1;
}
END
# shellcheck disable=SC2046
cc -std=c11 -Wall -Wextra -Wconversion -Wshadow -Werror $(pkg-config --cflags lmzoo-sdk) \
    "$work/rows.c" $(pkg-config --libs lmzoo-sdk) -lm -o "$work/by-rows/rows" >"$work.log" 2>&1 &&
    "$work/by-rows/rows"
result $? "a block outside the tree begins with attention's bind rows"

# Every file of the SDK that a document or an installed header tells an author to include is there.
: >"$work.log"
includes=$(pkg-config --cflags-only-I lmzoo-sdk | sed 's/-I//; s/ .*//')
{
    grep -hoE '`(sdk/)?blocks/[a-z0-9_/]+\.(h|inc)`' "$LMZOO_SOURCE"/docs/*.md | tr -d '\140'
    grep -hE '^#include "' -r "$includes" "$template" | sed 's/.*"\(.*\)"/\1/'
} | sed 's|^sdk/||' | sort -u | while read -r file; do
    [ -f "$includes/$file" ] || [ -f "$template/$file" ] || echo "$file is not installed" >>"$work.log"
done
[ ! -s "$work.log" ]
result $? "what documents and headers include is installed"

here=$(cd "$prefix" && find . -path '*/lmzoo/plugins/*.so' | sed 's/.*\///; s/\.so$//' | sort)
(cd / && "$prefix/bin/lmzoo" plugins) >"$work.log" 2>&1
status=$?
for plugin in $here; do
    grep -q "\\b$plugin\\b" "$work.log" || { status=1; echo "no $plugin" >>"$work.log"; }
done
result $status "the moved program finds its own plugins"
"$prefix/bin/lmzoo" cards >"$work.log" 2>&1 && [ -s "$work.log" ]
result $? "the moved program finds its own cards"
echo "1..$n"
