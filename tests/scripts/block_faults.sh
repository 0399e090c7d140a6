#!/bin/sh
# tests/scripts/block_faults.sh: mistakes are planted in the sources of blocks, one at a time; the
# test of the plain pages, linked with the changed source, must fail and name the mistake.
set -u
sanitized=$(sed -n 's/^LMZOO_SANITIZE:STRING=//p' "$LMZOO_BUILD/CMakeCache.txt")
if [ -n "$sanitized" ]; then
    echo "1..0 # SKIP the blocks are built for the $sanitized sanitizer"
    exit 0
fi
objects() { find "$LMZOO_BUILD/tests/blocks/CMakeFiles/$1.dir" -name '*.o'; }
blocks=$(find "$LMZOO_BUILD/sdk" -name 'libzoo_blocks.a')
host=$(find "$LMZOO_BUILD/host" -name 'liblmzoo.a')
n=0

# fault FILE SED-EXPRESSION PAGE SAYS: the test of that page must fail and print SAYS
fault() {
    case $3 in
    plain_delta | plain_moe | plain_hyper | plain_narrow_cache) test=test_block_plain_parts ;;
    *) test=test_block_plain ;;
    esac
    n=$((n + 1))
    file=$LMZOO_SOURCE/$1
    dir=$(dirname "$file")
    sed "$2" "$file" >"$TMPDIR/fault.c"
    # shellcheck disable=SC2086 # lists of files and flags
    if cmp -s "$file" "$TMPDIR/fault.c"; then
        echo "the fault no longer applies: $2" >"$TMPDIR/out"
    elif cc -std=c11 -O1 -ffp-contract=off -D_DEFAULT_SOURCE -I "$LMZOO_SOURCE/sdk" -I "$LMZOO_SOURCE/host" -I "$dir" -c "$TMPDIR/fault.c" \
        -o "$TMPDIR/fault.o" >"$TMPDIR/out" 2>&1 &&
        cc -Wl,--allow-multiple-definition "$TMPDIR/fault.o" $(objects $test) "$host" "$blocks" \
            -lcmocka $(pkg-config --libs libcjson) -lm -lpthread -ldl -o "$TMPDIR/fault" >"$TMPDIR/out" 2>&1; then
        CMOCKA_MESSAGE_OUTPUT=stdout "$TMPDIR/fault" >"$TMPDIR/out" 2>&1
        if [ $? -ne 0 ] && grep -q "ERROR: $3: $4\$" "$TMPDIR/out"; then
            echo "ok $n - $1: $4"
            return
        fi
    fi
    echo "not ok $n - $1: $4"
    sed 's/^/# /' "$TMPDIR/out" | head -30
}

fault sdk/blocks/gqa/attend.c 's/pos - p->shape.window + 1 : 0/pos - p->shape.window : 0/' \
    plain_window 'the window is one too long'
fault sdk/blocks/gqa/attend.c 's/pos >= p->shape.window ? pos - p->shape.window + 1/pos + 1 >= p->shape.window ? pos - p->shape.window + 2/' \
    plain_window 'the window is one short'
fault sdk/blocks/rope/rope.c 's/sin((double)angle) \* factor/sin(-(double)angle) * factor/' \
    plain_gqa 'the halves of the rotation are swapped'
fault sdk/blocks/rope/rope.c 's/\.interleaved = rope->interleaved != 0/.interleaved = 1/' \
    plain_gqa 'the rotation takes neighbours for pairs'
fault sdk/blocks/mla/rows.c 's/zoo_heads_run(step->ctx, &up);/for (size_t i = 0; i < (size_t)n * p->n_heads; i++) memset(buffers->query + i * p->kv_rows, 0, p->kv_lora * sizeof(float));/' \
    plain_mla 'the product with Wuk that queries absorb is missing'
fault sdk/blocks/mla/rows.c 's/if (p->rope) {/if (0) {/' plain_mla 'nothing is rotated'
fault sdk/blocks/mla/attend.c 's/if (!sparse || seq->pos + seq->n <= p->chosen_max)/if (true)/' \
    plain_dsa "the indexer's choice is not followed"
fault plugins/hybrid/mamba2.c 's/\.d = job->weights->d\[h\]/.d = 0/' plain_mamba2 'D x is missing'
fault plugins/hybrid/mamba2.c 's/n_heads, w->dt_bias, p->n_heads/n_heads, 0, p->n_heads/' \
    plain_mamba2 'the bias of the step sizes is missing'
fault plugins/hybrid/delta.c '/k->add(g, job->weights->dt_bias/d' plain_delta 'the bias of the decay is missing'
fault plugins/hybrid/delta_bind.c 's/factor\[i\] = (float).*/factor[i] = 0 * size;/' \
    plain_delta 'nothing is forgotten'
fault sdk/blocks/moe/route.c 's/if (job->args->bias)/if (0)/' plain_moe 'the bias of the choice is missing'
fault sdk/blocks/moe/route.c 's/\* (r->scale != 0 ? r->scale : 1.0f)//' \
    plain_moe 'the factor on the experts is missing'
fault sdk/blocks/moe/rules.c 's/r->score == ZOO_SCORE_SIGMOID/r->score == 99/; s/r->score == ZOO_SCORE_SOFTMAX/r->score != 0/' \
    plain_moe 'scores are a softmax, not sigmoids'
fault sdk/blocks/hyper/mix.c 's/for (uint32_t i = 1; i < p->iters/for (uint32_t i = 2; i < p->iters/' \
    plain_hyper 'the mixing matrix is balanced once too few'
fault sdk/blocks/hyper/mix.c 's/p->magnitude \*/1 */' \
    plain_hyper "the factor on a block's output is missing"
fault host/cache/rows.c 's/return place->kind->flags & ZOO_CACHE_HADAMARD/return false/' \
    plain_narrow_cache 'rows are not rotated'
fault host/cache/kinds.c 's/kernels->encode(form, x/kernels->encode(form == ZOO_FORM_INT8 ? ZOO_FORM_INT4 : form, x/; s/kernels->decode(form, /kernels->decode(form == ZOO_FORM_INT8 ? ZOO_FORM_INT4 : form, /' \
    plain_narrow_cache 'rows are kept in 4 bits'
echo "1..$n"
