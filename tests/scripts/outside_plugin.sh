#!/bin/sh
# A plugin built outside the tree: installs into a temporary prefix, moves that prefix elsewhere,
# builds a copy of the installed template through `pkg-config lmzoo-sdk` and through
# `find_package(lmzoo)`, and lets the installed program judge both results.
set -u
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
[ -f "$LMZOO_SOURCE/sdk/template/plugin.c" ] || skip_all "sdk/template is not there"
sanitized=$(sed -n 's/^LMZOO_SANITIZE:STRING=//p' "$LMZOO_BUILD/CMakeCache.txt")
[ -z "$sanitized" ] || skip_all "the shared blocks are built for the $sanitized sanitizer"

n=0
work=$TMPDIR/out
tap() { # STATUS NAME
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        sed 's/^/# /' "$work.log"
    fi
}
must() { # STATUS NAME: what all the rest stands on
    tap "$1" "$2"
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
tap $? "built through pkg-config, without a warning"

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
tap $? "built through find_package(lmzoo)"

for how in by-pkg-config by-cmake; do
    "$prefix/bin/lmzoo" plugins --plugin-dir "$work/$how" >"$work.log" 2>&1 &&
        grep -q "\\b$name\\b" "$work.log"
    tap $? "lmzoo plugins lists it ($how)"
    nm -D --defined-only --format=posix "$work/$how/$name.so" >"$work.log" 2>&1
    [ "$(sed 's/[@ ].*//' "$work.log")" = zoo_plugin_entry ]
    tap $? "it exports zoo_plugin_entry alone ($how)"
done

here=$(cd "$prefix" && find . -path '*/lmzoo/plugins/*.so' | sed 's/.*\///; s/\.so$//' | sort)
(cd / && "$prefix/bin/lmzoo" plugins) >"$work.log" 2>&1
status=$?
for plugin in $here; do
    grep -q "\\b$plugin\\b" "$work.log" || { status=1; echo "no $plugin" >>"$work.log"; }
done
tap $status "the moved program finds its own plugins"
"$prefix/bin/lmzoo" cards >"$work.log" 2>&1 && [ -s "$work.log" ]
tap $? "the moved program finds its own cards"
echo "1..$n"
