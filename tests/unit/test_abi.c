/*
 * test_abi.c: size and field offsets of every struct that host and plugins share, as they are in
 * this major version of the ABI (docs/abi.md), on 64-bit machines.
 *
 * A row that fails means that plugins which are built would read another field: count the major
 * version up and write the row anew. The rows of a struct leave no hole but padding, so that a
 * field that nobody listed is seen.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "zoo.h"

typedef struct row {
    const char *name, *field; /* field null: the struct itself */
    size_t found, wanted;     /* its size, or the field's offset */
    size_t n_bytes;           /* of the field */
} row;

#define SIZE(type, n)                                                                              \
    {                                                                                              \
#type, NULL, sizeof(type), n, 0                                                            \
    }
#define FIELD(type, f, at)                                                                         \
    {                                                                                              \
#type, #f, offsetof(type, f), at, sizeof(((type *)0)->f)                                   \
    }

/* clang-format off */
static const row rows[] = {
    SIZE(zoo_error, 512),
    FIELD(zoo_error, code, 0),
    FIELD(zoo_error, layer, 4),
    FIELD(zoo_error, text, 8),
    SIZE(zoo_arena, 24),
    FIELD(zoo_arena, base, 0),
    FIELD(zoo_arena, capacity, 8),
    FIELD(zoo_arena, used, 16),
    SIZE(zoo_weight, 32),
    FIELD(zoo_weight, kind, 0),
    FIELD(zoo_weight, rows, 4),
    FIELD(zoo_weight, cols, 8),
    FIELD(zoo_weight, group, 12),
    FIELD(zoo_weight, data, 16),
    FIELD(zoo_weight, scales, 24),
    SIZE(zoo_gemm, 64),
    FIELD(zoo_gemm, weight, 0),
    FIELD(zoo_gemm, x, 8),
    FIELD(zoo_gemm, x_stride, 16),
    FIELD(zoo_gemm, y, 24),
    FIELD(zoo_gemm, y_stride, 32),
    FIELD(zoo_gemm, bias, 40),
    FIELD(zoo_gemm, n_rows, 48),
    FIELD(zoo_gemm, panel_begin, 52),
    FIELD(zoo_gemm, panel_end, 56),
    SIZE(zoo_gemm_slots, 24),
    FIELD(zoo_gemm_slots, prepared_size, 0),
    FIELD(zoo_gemm_slots, prepare, 8),
    FIELD(zoo_gemm_slots, gemm, 16),
    SIZE(zoo_norm_args, 64),
    FIELD(zoo_norm_args, x, 0),
    FIELD(zoo_norm_args, y, 8),
    FIELD(zoo_norm_args, weight, 16),
    FIELD(zoo_norm_args, bias, 24),
    FIELD(zoo_norm_args, x_stride, 32),
    FIELD(zoo_norm_args, y_stride, 40),
    FIELD(zoo_norm_args, n_rows, 48),
    FIELD(zoo_norm_args, width, 52),
    FIELD(zoo_norm_args, eps, 56),
    FIELD(zoo_norm_args, offset, 60),
    SIZE(zoo_rope_args, 48),
    FIELD(zoo_rope_args, x, 0),
    FIELD(zoo_rope_args, cos, 8),
    FIELD(zoo_rope_args, sin, 16),
    FIELD(zoo_rope_args, n_heads, 24),
    FIELD(zoo_rope_args, head_stride, 28),
    FIELD(zoo_rope_args, n_pairs, 32),
    FIELD(zoo_rope_args, pair_offset, 36),
    FIELD(zoo_rope_args, interleaved, 40),
    SIZE(zoo_segment, 24),
    FIELD(zoo_segment, rows, 0),
    FIELD(zoo_segment, scales, 8),
    FIELD(zoo_segment, n_rows, 16),
    FIELD(zoo_segment, row, 20),
    SIZE(zoo_attend_args, 136),
    FIELD(zoo_attend_args, q, 0),
    FIELD(zoo_attend_args, out, 8),
    FIELD(zoo_attend_args, q_stride, 16),
    FIELD(zoo_attend_args, out_stride, 24),
    FIELD(zoo_attend_args, k, 32),
    FIELD(zoo_attend_args, v, 40),
    FIELD(zoo_attend_args, first, 48),
    FIELD(zoo_attend_args, sinks, 56),
    FIELD(zoo_attend_args, slopes, 64),
    FIELD(zoo_attend_args, n_segments, 72),
    FIELD(zoo_attend_args, n_queries, 76),
    FIELD(zoo_attend_args, n_heads, 80),
    FIELD(zoo_attend_args, head_dim, 84),
    FIELD(zoo_attend_args, v_dim, 88),
    FIELD(zoo_attend_args, pos, 92),
    FIELD(zoo_attend_args, k_dtype, 96),
    FIELD(zoo_attend_args, v_dtype, 100),
    FIELD(zoo_attend_args, scale, 104),
    FIELD(zoo_attend_args, softcap, 108),
    FIELD(zoo_attend_args, scratch, 112),
    FIELD(zoo_attend_args, tail, 120),
    FIELD(zoo_attend_args, tail_dim, 128),
    FIELD(zoo_attend_args, tail_dtype, 132),
    SIZE(zoo_conv_args, 80),
    FIELD(zoo_conv_args, x, 0),
    FIELD(zoo_conv_args, y, 8),
    FIELD(zoo_conv_args, state, 16),
    FIELD(zoo_conv_args, weight, 24),
    FIELD(zoo_conv_args, bias, 32),
    FIELD(zoo_conv_args, x_stride, 40),
    FIELD(zoo_conv_args, y_stride, 48),
    FIELD(zoo_conv_args, n_rows, 56),
    FIELD(zoo_conv_args, channels, 60),
    FIELD(zoo_conv_args, taps, 64),
    FIELD(zoo_conv_args, channel_begin, 68),
    FIELD(zoo_conv_args, channel_end, 72),
    FIELD(zoo_conv_args, act, 76),
    SIZE(zoo_ssm_args, 112),
    FIELD(zoo_ssm_args, x, 0),
    FIELD(zoo_ssm_args, b, 8),
    FIELD(zoo_ssm_args, c, 16),
    FIELD(zoo_ssm_args, dt, 24),
    FIELD(zoo_ssm_args, y, 32),
    FIELD(zoo_ssm_args, state, 40),
    FIELD(zoo_ssm_args, x_stride, 48),
    FIELD(zoo_ssm_args, b_stride, 56),
    FIELD(zoo_ssm_args, c_stride, 64),
    FIELD(zoo_ssm_args, dt_stride, 72),
    FIELD(zoo_ssm_args, y_stride, 80),
    FIELD(zoo_ssm_args, n_rows, 88),
    FIELD(zoo_ssm_args, head_dim, 92),
    FIELD(zoo_ssm_args, state_size, 96),
    FIELD(zoo_ssm_args, a, 100),
    FIELD(zoo_ssm_args, d, 104),
    SIZE(zoo_scan_args, 120),
    FIELD(zoo_scan_args, x, 0),
    FIELD(zoo_scan_args, dt, 8),
    FIELD(zoo_scan_args, b, 16),
    FIELD(zoo_scan_args, c, 24),
    FIELD(zoo_scan_args, a, 32),
    FIELD(zoo_scan_args, d, 40),
    FIELD(zoo_scan_args, y, 48),
    FIELD(zoo_scan_args, state, 56),
    FIELD(zoo_scan_args, x_stride, 64),
    FIELD(zoo_scan_args, dt_stride, 72),
    FIELD(zoo_scan_args, b_stride, 80),
    FIELD(zoo_scan_args, c_stride, 88),
    FIELD(zoo_scan_args, y_stride, 96),
    FIELD(zoo_scan_args, n_rows, 104),
    FIELD(zoo_scan_args, channels, 108),
    FIELD(zoo_scan_args, state_size, 112),
    SIZE(zoo_delta_args, 120),
    FIELD(zoo_delta_args, q, 0),
    FIELD(zoo_delta_args, k, 8),
    FIELD(zoo_delta_args, v, 16),
    FIELD(zoo_delta_args, g, 24),
    FIELD(zoo_delta_args, beta, 32),
    FIELD(zoo_delta_args, o, 40),
    FIELD(zoo_delta_args, state, 48),
    FIELD(zoo_delta_args, q_stride, 56),
    FIELD(zoo_delta_args, k_stride, 64),
    FIELD(zoo_delta_args, v_stride, 72),
    FIELD(zoo_delta_args, g_stride, 80),
    FIELD(zoo_delta_args, beta_stride, 88),
    FIELD(zoo_delta_args, o_stride, 96),
    FIELD(zoo_delta_args, n_rows, 104),
    FIELD(zoo_delta_args, k_dim, 108),
    FIELD(zoo_delta_args, v_dim, 112),
    FIELD(zoo_delta_args, g_dim, 116),
    SIZE(zoo_index_args, 48),
    FIELD(zoo_index_args, q, 0),
    FIELD(zoo_index_args, weight, 8),
    FIELD(zoo_index_args, keys, 16),
    FIELD(zoo_index_args, score, 24),
    FIELD(zoo_index_args, n_heads, 32),
    FIELD(zoo_index_args, dim, 36),
    FIELD(zoo_index_args, n_keys, 40),
    FIELD(zoo_index_args, scale, 44),
    SIZE(zoo_kernels, 312),
    FIELD(zoo_kernels, size, 0),
    FIELD(zoo_kernels, reserved, 4),
    FIELD(zoo_kernels, isa, 8),
    FIELD(zoo_kernels, gemm, 16),
    FIELD(zoo_kernels, rms_norm, 136),
    FIELD(zoo_kernels, layer_norm, 144),
    FIELD(zoo_kernels, act, 152),
    FIELD(zoo_kernels, act_mul, 160),
    FIELD(zoo_kernels, axpy, 168),
    FIELD(zoo_kernels, add, 176),
    FIELD(zoo_kernels, mul, 184),
    FIELD(zoo_kernels, scale, 192),
    FIELD(zoo_kernels, softcap, 200),
    FIELD(zoo_kernels, clamp, 208),
    FIELD(zoo_kernels, dot, 216),
    FIELD(zoo_kernels, softmax, 224),
    FIELD(zoo_kernels, rope, 232),
    FIELD(zoo_kernels, attend, 240),
    FIELD(zoo_kernels, widen, 248),
    FIELD(zoo_kernels, narrow, 256),
    FIELD(zoo_kernels, conv, 264),
    FIELD(zoo_kernels, ssm, 272),
    FIELD(zoo_kernels, scan, 280),
    FIELD(zoo_kernels, delta, 288),
    FIELD(zoo_kernels, topk, 296),
    FIELD(zoo_kernels, index, 304),
    SIZE(zoo_seq, 24),
    FIELD(zoo_seq, row, 0),
    FIELD(zoo_seq, n, 4),
    FIELD(zoo_seq, pos, 8),
    FIELD(zoo_seq, n_prompt, 12),
    FIELD(zoo_seq, n_total, 16),
    FIELD(zoo_seq, slot, 20),
    SIZE(zoo_span, 48),
    FIELD(zoo_span, size, 0),
    FIELD(zoo_span, n_rows, 4),
    FIELD(zoo_span, n_seqs, 8),
    FIELD(zoo_span, reserved, 12),
    FIELD(zoo_span, seqs, 16),
    FIELD(zoo_span, tokens, 24),
    FIELD(zoo_span, pos, 32),
    FIELD(zoo_span, seq_of, 40),
    SIZE(zoo_limits, 20),
    FIELD(zoo_limits, size, 0),
    FIELD(zoo_limits, rows_max, 4),
    FIELD(zoo_limits, seqs_max, 8),
    FIELD(zoo_limits, context_max, 12),
    FIELD(zoo_limits, n_threads, 16),
    SIZE(zoo_stream, 32),
    FIELD(zoo_stream, name, 0),
    FIELD(zoo_stream, kind, 8),
    FIELD(zoo_stream, width, 12),
    FIELD(zoo_stream, heads, 16),
    FIELD(zoo_stream, window, 20),
    FIELD(zoo_stream, stride, 24),
    FIELD(zoo_stream, dtype_min, 28),
    SIZE(zoo_cache, 48),
    FIELD(zoo_cache, size, 0),
    FIELD(zoo_cache, n_streams, 4),
    FIELD(zoo_cache, dtypes, 8),
    FIELD(zoo_cache, host, 16),
    FIELD(zoo_cache, put, 24),
    FIELD(zoo_cache, get, 32),
    FIELD(zoo_cache, state, 40),
    SIZE(zoo_ctx, 64),
    FIELD(zoo_ctx, size, 0),
    FIELD(zoo_ctx, n_threads, 4),
    FIELD(zoo_ctx, kernels, 8),
    FIELD(zoo_ctx, host, 16),
    FIELD(zoo_ctx, take, 24),
    FIELD(zoo_ctx, parallel, 32),
    FIELD(zoo_ctx, memo, 40),
    FIELD(zoo_ctx, part, 48),
    FIELD(zoo_ctx, trace, 56),
    SIZE(zoo_rowmap, 16),
    FIELD(zoo_rowmap, total, 0),
    FIELD(zoo_rowmap, offset, 4),
    FIELD(zoo_rowmap, group, 8),
    FIELD(zoo_rowmap, stride, 12),
    SIZE(zoo_table, 24),
    FIELD(zoo_table, host, 0),
    FIELD(zoo_table, rows, 8),
    FIELD(zoo_table, cols, 12),
    FIELD(zoo_table, read, 16),
    SIZE(zoo_bind, 40),
    FIELD(zoo_bind, name, 0),
    FIELD(zoo_bind, kind, 8),
    FIELD(zoo_bind, flags, 12),
    FIELD(zoo_bind, field, 16),
    FIELD(zoo_bind, rows, 20),
    FIELD(zoo_bind, cols, 24),
    FIELD(zoo_bind, experts, 28),
    FIELD(zoo_bind, map, 32),
    FIELD(zoo_bind, when, 36),
    SIZE(zoo_setup, 48),
    FIELD(zoo_setup, size, 0),
    FIELD(zoo_setup, weight_kind, 4),
    FIELD(zoo_setup, host, 8),
    FIELD(zoo_setup, take, 16),
    FIELD(zoo_setup, pack, 24),
    FIELD(zoo_setup, unpack, 32),
    FIELD(zoo_setup, limits, 40),
    SIZE(zoo_block_ops, 80),
    FIELD(zoo_block_ops, size, 0),
    FIELD(zoo_block_ops, weights_size, 4),
    FIELD(zoo_block_ops, name, 8),
    FIELD(zoo_block_ops, binds, 16),
    FIELD(zoo_block_ops, streams, 24),
    FIELD(zoo_block_ops, scratch, 32),
    FIELD(zoo_block_ops, check, 40),
    FIELD(zoo_block_ops, prepare, 48),
    FIELD(zoo_block_ops, forward, 56),
    FIELD(zoo_block_ops, explain, 64),
    FIELD(zoo_block_ops, facts, 72),
    SIZE(zoo_facts, 32),
    FIELD(zoo_facts, size, 0),
    FIELD(zoo_facts, reserved, 4),
    FIELD(zoo_facts, host, 8),
    FIELD(zoo_facts, number, 16),
    FIELD(zoo_facts, text, 24),
    SIZE(zoo_config, 80),
    FIELD(zoo_config, size, 0),
    FIELD(zoo_config, reserved, 4),
    FIELD(zoo_config, host, 8),
    FIELD(zoo_config, type, 16),
    FIELD(zoo_config, count, 24),
    FIELD(zoo_config, number, 32),
    FIELD(zoo_config, whole, 40),
    FIELD(zoo_config, flag, 48),
    FIELD(zoo_config, text, 56),
    FIELD(zoo_config, has_tensor, 64),
    FIELD(zoo_config, refuse, 72),
    SIZE(zoo_norm, 32),
    FIELD(zoo_norm, kind, 0),
    FIELD(zoo_norm, eps, 4),
    FIELD(zoo_norm, name, 8),
    FIELD(zoo_norm, has_weight, 16),
    FIELD(zoo_norm, has_bias, 20),
    FIELD(zoo_norm, width, 24),
    FIELD(zoo_norm, reserved, 28),
    SIZE(zoo_part, 88),
    FIELD(zoo_part, ops, 0),
    FIELD(zoo_part, params, 8),
    FIELD(zoo_part, name, 16),
    FIELD(zoo_part, path, 24),
    FIELD(zoo_part, norm, 32),
    FIELD(zoo_part, in_scale, 64),
    FIELD(zoo_part, out_scale, 68),
    FIELD(zoo_part, width_in, 72),
    FIELD(zoo_part, width_out, 76),
    FIELD(zoo_part, cache_of, 80),
    SIZE(zoo_branch, 88),
    FIELD(zoo_branch, parts, 0),
    FIELD(zoo_branch, n_parts, 8),
    FIELD(zoo_branch, residual_from_norm, 12),
    FIELD(zoo_branch, post, 16),
    FIELD(zoo_branch, after, 48),
    FIELD(zoo_branch, scale, 80),
    FIELD(zoo_branch, h_scale, 84),
    SIZE(zoo_layer, 56),
    FIELD(zoo_layer, path, 0),
    FIELD(zoo_layer, kind, 8),
    FIELD(zoo_layer, branches, 16),
    FIELD(zoo_layer, ops, 24),
    FIELD(zoo_layer, params, 32),
    FIELD(zoo_layer, parts, 40),
    FIELD(zoo_layer, n_branches, 48),
    FIELD(zoo_layer, n_parts, 52),
    SIZE(zoo_plan, 152),
    FIELD(zoo_plan, size, 0),
    FIELD(zoo_plan, vocab_size, 4),
    FIELD(zoo_plan, hidden_size, 8),
    FIELD(zoo_plan, stream_width, 12),
    FIELD(zoo_plan, embed_width, 16),
    FIELD(zoo_plan, context_max, 20),
    FIELD(zoo_plan, layers, 24),
    FIELD(zoo_plan, n_layers, 32),
    FIELD(zoo_plan, n_prologue, 36),
    FIELD(zoo_plan, n_epilogue, 40),
    FIELD(zoo_plan, tied, 44),
    FIELD(zoo_plan, prologue, 48),
    FIELD(zoo_plan, epilogue, 56),
    FIELD(zoo_plan, embed_path, 64),
    FIELD(zoo_plan, norm_path, 72),
    FIELD(zoo_plan, head_path, 80),
    FIELD(zoo_plan, norm, 88),
    FIELD(zoo_plan, embed_scale, 120),
    FIELD(zoo_plan, embed_scale_inside, 124),
    FIELD(zoo_plan, head_scale, 128),
    FIELD(zoo_plan, softcap, 132),
    FIELD(zoo_plan, head_bias, 136),
    FIELD(zoo_plan, reread_after, 140),
    FIELD(zoo_plan, reread_always, 144),
    FIELD(zoo_plan, positions_max, 148),
    SIZE(zoo_stamp, 120),
    FIELD(zoo_stamp, magic, 0),
    FIELD(zoo_stamp, abi_major, 8),
    FIELD(zoo_stamp, abi_minor, 12),
    FIELD(zoo_stamp, size_stamp, 16),
    FIELD(zoo_stamp, size_bind, 20),
    FIELD(zoo_stamp, size_stream, 24),
    FIELD(zoo_stamp, size_part, 28),
    FIELD(zoo_stamp, size_branch, 32),
    FIELD(zoo_stamp, size_layer, 36),
    FIELD(zoo_stamp, size_seq, 40),
    FIELD(zoo_stamp, size_weight, 44),
    FIELD(zoo_stamp, size_norm, 48),
    FIELD(zoo_stamp, size_key, 52),
    FIELD(zoo_stamp, size_rowmap, 56),
    FIELD(zoo_stamp, size_table, 60),
    FIELD(zoo_stamp, size_error, 64),
    FIELD(zoo_stamp, size_segment, 68),
    FIELD(zoo_stamp, size_gemm, 72),
    FIELD(zoo_stamp, size_gemm_slots, 76),
    FIELD(zoo_stamp, size_norm_args, 80),
    FIELD(zoo_stamp, size_rope_args, 84),
    FIELD(zoo_stamp, size_attend_args, 88),
    FIELD(zoo_stamp, size_conv_args, 92),
    FIELD(zoo_stamp, size_ssm_args, 96),
    FIELD(zoo_stamp, size_scan_args, 100),
    FIELD(zoo_stamp, size_delta_args, 104),
    FIELD(zoo_stamp, size_index_args, 108),
    FIELD(zoo_stamp, panel, 112),
    FIELD(zoo_stamp, page, 116),
    SIZE(zoo_key, 24),
    FIELD(zoo_key, key, 0),
    FIELD(zoo_key, rule, 8),
    FIELD(zoo_key, note, 16),
    SIZE(zoo_plugin, 216),
    FIELD(zoo_plugin, stamp, 0),
    FIELD(zoo_plugin, size, 120),
    FIELD(zoo_plugin, reserved, 124),
    FIELD(zoo_plugin, name, 128),
    FIELD(zoo_plugin, version, 136),
    FIELD(zoo_plugin, licence, 144),
    FIELD(zoo_plugin, summary, 152),
    FIELD(zoo_plugin, needs, 160),
    FIELD(zoo_plugin, mixers, 168),
    FIELD(zoo_plugin, ffns, 176),
    FIELD(zoo_plugin, layers, 184),
    FIELD(zoo_plugin, keys, 192),
    FIELD(zoo_plugin, probe, 200),
    FIELD(zoo_plugin, configure, 208),
};
/* clang-format on */

static void every_field_is_where_it_was(void **state)
{
    (void)state;
    assert_int_equal(ZOO_ABI_MAJOR, 3); /* the version of the rows above */
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        if (rows[i].found != rows[i].wanted) {
            fail_msg("%s%s%s: %s is %zu, it was %zu", rows[i].name, rows[i].field ? "." : "",
                     rows[i].field ? rows[i].field : "", rows[i].field ? "offset" : "size",
                     rows[i].found, rows[i].wanted);
        }
    }
}

/* Bytes between the end of a field and the next field, or the end of the struct. */
static void rows_leave_padding_alone(void **state)
{
    size_t end = 0, size = 0;
    const char *name = "";
    (void)state;
    for (size_t i = 0; i <= ZOO_COUNT(rows); i++) {
        const row *r = i < ZOO_COUNT(rows) ? &rows[i] : NULL;
        size_t begin = r && r->field ? r->found : size;
        if (begin < end || begin - end >= sizeof(void *)) {
            fail_msg("%s: bytes %zu to %zu belong to no row", name, end, begin);
        }
        if (r && r->field) {
            end = begin + r->n_bytes;
        } else if (r) {
            name = r->name;
            size = r->found;
            end = 0;
        }
    }
}

/* Structs that do not begin with their own size stand in the stamp. */
static void the_stamp_has_every_size(void **state)
{
    const zoo_stamp stamp = ZOO_STAMP;
    const char *const bytes = (const char *)&stamp;
    (void)state;
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        bool is_struct = !rows[i].field && strcmp(rows[i].name, "zoo_arena") != 0;
        bool has_own = is_struct && i + 1 < ZOO_COUNT(rows) && rows[i + 1].field &&
                       strcmp(rows[i + 1].field, "size") == 0;
        bool holds_stamp = strcmp(rows[i].name, "zoo_plugin") == 0;
        bool is_held = !is_struct || has_own || holds_stamp;
        for (size_t at = offsetof(zoo_stamp, size_stamp);
             !is_held && at < offsetof(zoo_stamp, panel); at += sizeof(uint32_t)) {
            uint32_t value;
            memcpy(&value, bytes + at, sizeof value);
            is_held = value == rows[i].wanted;
        }
        if (!is_held) {
            fail_msg("%s has no size of its own and none in the stamp", rows[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_where_it_was),
        cmocka_unit_test(rows_leave_padding_alone),
        cmocka_unit_test(the_stamp_has_every_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
