#!/bin/sh
# lmzoo.h as another program uses it: in C11 and C++17 with the interface of its first version, and a
# small program linked against liblmzoo that goes on from a text.
set -u
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$TMPDIR/log
flags="-Wall -Wextra -Wconversion -Wshadow -Werror -pedantic -I$LMZOO_SOURCE/include"
abi=$LMZOO_SOURCE/tests/api/abi.c

# as_header NAME COMPILER...: lmzoo.h before any other header, and the interface of tests/api/abi.c
as_header() {
    name=$1
    shift
    command -v "$1" >/dev/null || { result 0 "lmzoo.h as $name # SKIP no $1"; return; }
    printf '#include "lmzoo.h"\nint main(void) { return (int)lmzoo_api_version() - LMZOO_API_VERSION; }\n' \
        >"$TMPDIR/one.c"
    # shellcheck disable=SC2086 # flags are words
    "$@" $flags -fsyntax-only "$TMPDIR/one.c" >"$said" 2>&1 &&
        "$@" $flags -fsyntax-only "$abi" >"$said" 2>&1
    result $? "lmzoo.h as $name: values, layouts and functions are those of version 1"
}
as_header "C11 (gcc)" gcc -std=c11
as_header "C11 (clang)" clang -std=c11
as_header "C++17 (g++)" g++ -x c++ -std=c++17
as_header "C++17 (clang++)" clang++ -x c++ -std=c++17
sed 's/int32_t timeout_ms/int64_t timeout_ms/' "$LMZOO_SOURCE/include/lmzoo.h" >"$TMPDIR/lmzoo.h"
! "${CC:-cc}" -std=c11 -Werror "-I$TMPDIR" -fsyntax-only "$abi" >"$said" 2>&1
result $? "a function of another type is told"

sanitize=$(sed -n 's/^LMZOO_SANITIZE:STRING=//p' "$LMZOO_BUILD/CMakeCache.txt")
nm -D --defined-only --format=posix "$LMZOO_BUILD/liblmzoo.so" | sed 's/ .*//' |
    sort >"$TMPDIR/exports"
sed -n 's/^FUNCTION([^,]*, \([a-z_]*\),.*/\1/p' "$abi" | sort >"$TMPDIR/functions"
diff "$TMPDIR/functions" "$TMPDIR/exports" >"$said" || [ -n "$sanitize" ]
result $? "liblmzoo.so exports the functions of tests/api/abi.c and nothing else"

cat >"$TMPDIR/program.c" <<'END'
#include <lmzoo.h>
#include <stdio.h>

static int show(void *arg, uint32_t choice, const char *text, size_t n)
{
    (void)arg;
    (void)choice;
    return fwrite(text, 1, n, stdout) != n;
}

int main(int argc, char **argv)
{
    lmzoo_model *model;
    lmzoo_error error;
    char *answer;
    int status = argc > 1 ? lmzoo_open(argv[1], NULL, &model, &error) : LMZOO_E_USAGE;
    if (status == LMZOO_OK) {
        status = lmzoo_generate(model, LMZOO_COMPLETION,
                                "{\"prompt\":\"Once upon a time\",\"max_tokens\":20,\"temperature\":0}",
                                show, NULL, &answer, &error);
        lmzoo_free(answer);
        lmzoo_close(model);
    }
    if (status != LMZOO_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    return status != LMZOO_OK;
}
END
# shellcheck disable=SC2086
${CC:-cc} -std=c11 $flags ${sanitize:+-fsanitize=$sanitize} "$TMPDIR/program.c" -L"$LMZOO_BUILD" -llmzoo \
    -Wl,-rpath,"$LMZOO_BUILD" -o "$TMPDIR/program" >"$TMPDIR/log" 2>&1
result $? "a program is linked against liblmzoo"
"$TMPDIR/program" "$LMZOO_SOURCE/demo/models/demo-llama" >"$TMPDIR/text" 2>"$TMPDIR/log"
result $? "it finds plugins and cards beside the library and runs"
"$LMZOO_BUILD/lmzoo" run "$LMZOO_SOURCE/demo/models/demo-llama" -p "Once upon a time" --max-tokens 20 \
    --temperature 0 >"$TMPDIR/wanted" 2>"$TMPDIR/log"
[ "$(cat "$TMPDIR/text")" = "$(cat "$TMPDIR/wanted")" ]
result $? "its text is the command's"
echo "1..$n"
