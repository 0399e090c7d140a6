#!/bin/bash
# Pages generated from the table of commands against the parser of command lines: help, man pages,
# completions of bash and zsh, and the files of an installation. And: every command is started by a
# script of this folder.
set -u

lmzoo=$LMZOO_BUILD/lmzoo
work=$TMPDIR
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
said=$work/words
same() { # NAME FILE FILE: both hold the same lines, and there are some
    diff "$2" "$3" >"$work/words" && [ -s "$2" ]
    result $? "$1"
}
names=$("$lmzoo" help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')

# --- what each page says that a command understands, one option a line
from_help() {
    "$lmzoo" help "$1" | sed -n 's/^  \(-[^ ].*\)/\1/p' | sed 's/   .*//' | tr -s ', ' '\n' |
        grep -E '^--?[a-z]' | sort
}
from_man() {
    "$lmzoo" help "$1" --man | sed -n 's/^\\fB\\-/\\fB-/p' | grep -oE '\\fB[^ ]*\\fR' |
        sed 's/\\fB//; s/\\fR//; s/\\-/-/g' | sort
}
from_bash() { # the completions of an empty option
    bash -c '. "$1"; COMP_WORDS=(lmzoo "$2" -); COMP_CWORD=2; _lmzoo
        printf "%s\n" "${COMPREPLY[@]}"' bash "$work/bash" "$1" | sort
}
from_zsh() { # the option specifications given to _arguments
    zsh -f -c '_arguments() { shift; print -l -- "$@"; }
        words=(lmzoo "$2" -); CURRENT=3; . "$1"' zsh "$work/zsh" "$1" |
        grep -v '^\*:' | sed 's/^([^)]*)//; s/^\*//; s/[[].*//; s/[=+]$//' | sort
}
"$lmzoo" help --completion bash >"$work/bash"
"$lmzoo" help --completion zsh >"$work/zsh"
: >"$work/all"
for name in $names; do
    "$lmzoo" "$name" --help >"$work/a" 2>&1
    code=$?
    "$lmzoo" help "$name" >"$work/b" 2>&1 && cmp "$work/a" "$work/b" >"$work/words" &&
        [ $code -eq 0 ] && head -n 1 "$work/a" | grep -q "^usage: lmzoo $name" &&
        ! LC_ALL=C.UTF-8 grep -nE '^.{101}' "$work/a" >>"$work/words"
    result $? "$name --help is help $name"
    from_help "$name" >"$work/$name.options"
    cat "$work/$name.options" >>"$work/all"
    from_man "$name" >"$work/other"
    same "$name: the man page has the options of the help" "$work/$name.options" "$work/other"
    from_bash "$name" >"$work/other"
    same "$name: so has completion in bash" "$work/$name.options" "$work/other"
    if command -v zsh >"$work/words"; then
        from_zsh "$name" >"$work/other"
        same "$name: so has completion in zsh" "$work/$name.options" "$work/other"
    else
        n=$((n + 1))
        echo "ok $n - $name: completion in zsh # SKIP there is no zsh"
    fi
done

# --- the reader: whatever looks like an option anywhere in the program is known to a command if and
# only if its page has it
LC_ALL=C grep -aoE -- '--[a-z][a-z0-9-]+' "$lmzoo" >>"$work/all"
printf '%s\n' --nonesuch -Z >>"$work/all"
sort -u "$work/all" >"$work/candidates"
for name in $names; do
    : >"$work/known"
    while read -r option; do
        # A word that --help stands behind is its value, or the end of what is read.
        "$lmzoo" "$name" "$option=x" --help >"$work/out" 2>&1 </dev/null
        grep -q "unknown option" "$work/out" || echo "$option" >>"$work/known"
    done < <(grep -E '^--' "$work/candidates")
    grep -E '^--' "$work/$name.options" >"$work/paged"
    same "$name: the reader knows the options of its pages and no others" "$work/paged" \
        "$work/known"
done

# --- values, words, mistakes
complete() { # WORDS...: what bash offers for the last one
    bash -c '. "$1"; shift; COMP_WORDS=(lmzoo "$@"); COMP_CWORD=$#; _lmzoo
        echo "${COMPREPLY[@]}"' bash "$work/bash" "$@" 2>&1
}
complete b >"$work/words"
[ "$(cat "$work/words")" = "batch bench" ]
result $? "bash completes the command"
{ complete batch --we; complete batch --weights i; complete batch --weights = b; } >"$work/words"
[ "$(tr '\n' ' ' <"$work/words")" = "--weights int8 int6 int4 int4-all bf16 " ]
result $? "bash completes options and the words of their values"
mkdir "$work/in"
touch "$work/in/requests.jsonl"
{ complete batch -i "$work/in/re"; complete help tok; } >"$work/words"
[ "$(tr '\n' ' ' <"$work/words")" = "$work/in/requests.jsonl tokenize " ]
result $? "bash completes paths, and commands behind help"
wrong() { # CODE WORDS NAME ARGUMENTS...
    code=$1 text=$2 name=$3
    shift 3
    "$lmzoo" "$@" >"$work/out" 2>"$work/words" </dev/null
    [ $? -eq "$code" ] && [ "$(wc -l <"$work/words")" -eq 1 ] && [ ! -s "$work/out" ] &&
        grep -qF -- "$text" "$work/words"
    result $? "refused: $name"
}
wrong 2 "unknown option --wieghts; did you mean --weights?" "a misspelt option" batch m --wieghts f32
wrong 2 "unknown option --card-dir" "an option of another command" plugins --card-dir x
wrong 2 "--threads needs a whole number" "a bad count" run m --threads many
wrong 2 "--json takes no value" "a flag with a value" inspect m --json=yes
wrong 2 "--context needs a value: N" "an option without its value" plan m --context
wrong 2 'unexpected argument "b"' "one argument too many" inspect a b
wrong 2 "unknown command tokenise; did you mean tokenize?" "help for a misspelt command" help tokenise
wrong 2 "bash or zsh" "completions for another shell" help --completion fish
wrong 4 "cannot be written" "pages that cannot be written" help --pages /dev/null/pages
"$lmzoo" tokenise >"$work/out" 2>"$work/words"
[ $? -eq 2 ] && grep -q 'did you mean tokenize?' "$work/words" && [ ! -s "$work/out" ]
result $? "a misspelt command"

# --- the pages of the build are those of this program, and an installation has them
share=$LMZOO_BUILD/share
"$lmzoo" help --pages "$work/share" >"$work/words" 2>&1 &&
    diff -r "$work/share" "$share" >>"$work/words"
result $? "the build wrote the same pages"
if command -v groff >"$work/words"; then
    groff -man -Tutf8 -ww -b -z "$share"/man/man1/*.1 >"$work/words" 2>&1 && [ ! -s "$work/words" ]
    result $? "groff has nothing to say about the man pages"
    groff -man -Tascii "$share/man/man1/lmzoo-batch.1" | sed 's/\x1b\[[0-9]*m//g; s/.\x08//g' \
        >"$work/words"
    grep -q -- '-i, --input FILE' "$work/words" && grep -q 'EXIT STATUS' "$work/words"
    result $? "man lmzoo-batch can be read"
else
    n=$((n + 1))
    echo "ok $n - man pages through groff # SKIP there is no groff"
fi
cmake --install "$LMZOO_BUILD" --prefix "$work/prefix" >"$work/words" 2>&1 &&
    [ -s "$work/prefix/share/man/man1/lmzoo-batch.1" ] &&
    [ -s "$work/prefix/share/man/man1/lmzoo.1" ] &&
    [ -s "$work/prefix/share/bash-completion/completions/lmzoo" ] &&
    [ -s "$work/prefix/share/zsh/site-functions/_lmzoo" ]
result $? "an installation has man pages and completions"

# --- each command is started by a script
for name in $names; do
    grep -lE "lmzoo\"? $name( |\$)" "$LMZOO_SOURCE"/tests/scripts/*.sh | grep -v '/commands.sh$' \
        >"$work/words" || [ "$name" = help ]
    result $? "a script starts $name"
done
echo "1..$n"
