#!/bin/sh
# tests/scripts/block_faults.sh: mistakes are planted in the sources of blocks, one at a time; the
# test of the plain pages, linked with the changed source, must fail and name the mistake.
set -u
sanitized=$(sed -n 's/^LMZOO_SANITIZE:STRING=//p' "$LMZOO_BUILD/CMakeCache.txt")
if [ -n "$sanitized" ]; then
    echo "1..0 # SKIP the blocks are built for the $sanitized sanitizer"
    exit 0
fi
objects=$(find "$LMZOO_BUILD/tests/blocks/CMakeFiles/test_block_plain.dir" -name '*.o')
blocks=$(find "$LMZOO_BUILD/sdk" -name 'libzoo_blocks.a')
host=$(find "$LMZOO_BUILD/host" -name 'liblmzoo.a')
n=0

# fault FILE SED-EXPRESSION TEST SAYS: the test must fail and print SAYS
fault() {
    n=$((n + 1))
    file=$LMZOO_SOURCE/$1
    dir=$(dirname "$file")
    sed "$2" "$file" >"$TMPDIR/fault.c"
    # shellcheck disable=SC2086 # lists of files and flags
    if cmp -s "$file" "$TMPDIR/fault.c"; then
        echo "the fault no longer applies: $2" >"$TMPDIR/out"
    elif cc -std=c11 -O1 -ffp-contract=off -I "$LMZOO_SOURCE/sdk" -I "$dir" -c "$TMPDIR/fault.c" \
        -o "$TMPDIR/fault.o" >"$TMPDIR/out" 2>&1 &&
        cc -Wl,--allow-multiple-definition "$TMPDIR/fault.o" $objects "$host" "$blocks" \
            -lcmocka -lm -lpthread -ldl -o "$TMPDIR/fault" >"$TMPDIR/out" 2>&1; then
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
fault sdk/blocks/mla/attend.c 's/if (!sparse || seq->pos + seq->n <= p->index.top_k)/if (true)/' \
    plain_dsa "the indexer's choice is not followed"
fault plugins/hybrid/mamba2.c 's/\.d = job->weights->d\[h\]/.d = 0/' plain_mamba2 'D x is missing'
fault plugins/hybrid/mamba2.c 's/n_heads, w->dt_bias, p->n_heads/n_heads, 0, p->n_heads/' \
    plain_mamba2 'the bias of the step sizes is missing'
echo "1..$n"
