#!/bin/sh
# bench/quality.sh: the quality cost of quantised weights and caches on the demo models, as Markdown.
#
#   bench/quality.sh [kinds|q4_0] [MODEL...]    both tables, all of llama gemma hybrid deepseek
#
# kinds: weights and cache of each kind against float32, over 200 held-out stories: KL divergence a token,
# perplexity, agreement of the likeliest token, greedy continuations (16 tokens read, up to 64 written).
# q4_0: int4 against llama.cpp's Q4_0, made by round_weights.py; needs python3 with numpy ($PYTHON).
# LMZOO_BUILD names the build (build/). The figures do not depend on threads or steps.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
lmzoo=${LMZOO_BUILD:-$root/build}/lmzoo
models=$root/demo/models
python=${PYTHON:-python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/quality.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# score FOLDER NAME OPTIONS...: one JSON object; NAME tells how its stories end.
score() {
    folder=$1 name=$2
    shift 2
    [ "$name" != llama ] || set -- "$@" --end-token 1018
    "$lmzoo" score "$folder" -i "$models/stories-heldout.txt" --lines --documents --json "$@"
}

# field NAME: the number after the last such name on stdin
field() { sed "s/.*\"$1\":\\([^,}]*\\).*/\\1/"; }

# figure FORMAT FACTOR NAME FILE
figure() { field "$3" <"$4" | awk -v f="$1" -v by="$2" '{ printf f, $1 * by }'; }

kinds_row() { # kinds_row MODEL WEIGHTS CACHE
    score "$models/demo-$1" "$1" --weights "$2" --cache "$3" --against weights=f32,cache=f32 \
        --greedy 64 >"$work/row"
    printf '| %s | %s | %s | %s ± %s | %s | %s | %s %% | %s of %s | %s of %s |\n' "$1" "$2" "$3" \
        "$(figure %.3g 1 kl_mean "$work/row")" "$(figure %.2g 1 kl_error "$work/row")" \
        "$(figure %.3g 1 kl_p99 "$work/row")" \
        "$(sed 's/"reference".*//' "$work/row" | field perplexity | awk '{ printf "%.4f", $1 }')" \
        "$(figure %.2f 100 top1_agreement "$work/row")" \
        "$(field same <"$work/row")" "$(field continuations <"$work/row")" \
        "$(figure %.1f 1 mean_until_difference "$work/row")" \
        "$(figure %.1f 1 mean_length "$work/row")"
}

kinds() { # kinds MODEL...
    echo '| model | weights | cache | KL divergence | 99 % up to | perplexity | same likeliest token | same continuations | tokens until a difference |'
    echo '|---|---|---|---|---|---|---|---|---|'
    for name; do
        for kind in f32 bf16 int8 int4; do kinds_row "$name" "$kind" f32; done
        for kind in bf16 int8 int4; do kinds_row "$name" f32 "$kind"; done
    done
}

divergence() { # divergence FOLDER MODEL WEIGHTS
    score "$1" "$2" --weights "$3" --cache f32 --against-model "$models/demo-$2" >"$work/row"
    figure ' %.5f |' 1 kl_mean "$work/row"
}

# int4 as it runs, with activations in int8; then folders of rounded weights, read as float32.
q4_0() { # q4_0 MODEL...
    echo '| model | int4 | weights alone: int4 | Q4_0 | output in four bits too: int4 | Q4_0 |'
    echo '|---|---|---|---|---|---|'
    for name; do
        for how in 'int4 same' 'q4_0 same' 'int4 int5' 'q4_0 q8_0'; do
            "$python" "$root/bench/round_weights.py" "$models/demo-$name" \
                "$work/${how% *}-${how#* }" --as "${how% *}" --head "${how#* }" 2>"$work/words" ||
                { cat "$work/words" >&2; exit 4; }
        done
        printf '| %s |' "$name"
        divergence "$models/demo-$name" "$name" int4
        divergence "$work/int4-int5" "$name" f32
        divergence "$work/q4_0-q8_0" "$name" f32
        divergence "$work/int4-same" "$name" f32
        divergence "$work/q4_0-same" "$name" f32
        echo
    done
}

what=both
case ${1:-} in kinds | q4_0)
    what=$1
    shift
    ;;
esac
[ $# -gt 0 ] || set -- llama gemma hybrid deepseek
[ "$what" = q4_0 ] || kinds "$@"
[ "$what" = kinds ] || { echo; q4_0 "$@"; }
