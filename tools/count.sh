#!/bin/sh
# count.sh: the size of the project as Markdown: model types, cards, lines of C for each plugin.
#
#   tools/count.sh [BUILD]      BUILD: a built tree (build), whose `lmzoo cards` lists the model types
set -eu

cd "$(dirname "$0")/.."
build=${1:-build}

lines() { cat "$@" | wc -l | tr -d ' '; }

# C files of a part; host apart from kernels and text, which have rows of their own.
files() {
    find "$1" \( -path host/kernels -o -path host/text \) ! -path "$1" -prune -o \
        \( -name '*.[ch]' -o -name '*.inc' \) -print | sort
}

types=$("$build/lmzoo" cards | grep -cv ' refused ')
refused=$("$build/lmzoo" cards | grep -c ' refused ')
cards=$(find models.d -maxdepth 1 -name '*.json' | wc -l | tr -d ' ')
refusals=$(find models.d -maxdepth 1 -name 'refused_*.json' | wc -l | tr -d ' ')

# shellcheck disable=SC2016 # Markdown
printf '%s\n\n' '# Count' 'Made by `tools/count.sh`.'
printf 'Model types: %s computed, %s refused by name. Cards: %s, and %s that refuse.\n\n' \
    "$types" "$refused" "$((cards - refusals))" "$refusals"
printf '%s\n' '| part | files of C | lines | largest file | its lines | cards | lines of card |' \
    '|---|---|---|---|---|---|---|'
for part in plugins/llama plugins/gemma plugins/deepseek plugins/hybrid plugins/classic \
    sdk/blocks host host/kernels host/text; do
    # shellcheck disable=SC2046 # names without spaces
    set -- $(files "$part")
    largest=$(wc -l "$@" | grep -v ' total$' | sort -rn | head -n 1)
    own=
    own_lines=
    case $part in
    plugins/*)
        found=$(grep -l "\"plugin\": \"${part#plugins/}\"" models.d/*.json)
        own=$(printf '%s\n' "$found" | wc -l | tr -d ' ')
        # shellcheck disable=SC2086
        own_lines=$(lines $found)
        ;;
    esac
    # shellcheck disable=SC2086
    printf '%s\n' "$largest" | {
        read -r n path
        printf '| %s | %s | %s | %s | %s | %s | %s |\n' \
            "$part" "$#" "$(lines "$@")" "${path##*/}" "$n" "$own" "$own_lines"
    }
done
