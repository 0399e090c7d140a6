/*
 * Rotary tables: where parameters are read from, and inverse frequencies against numbers computed
 * in double by another program from the papers' formulas.
 */
#include "blocks/rope/rope.h"
#include "fake.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static fake host;

static zoo_rope read_rope(const fake_key *keys, zoo_rope_want want, zoo_status status)
{
    zoo_config config = fake_config(keys);
    zoo_rope rope;
    zoo_error err = {0};
    assert_int_equal(zoo_rope_read(&config, &host.setup, &want, &rope, &err), status);
    assert_true(status == ZOO_OK || err.text[0] != '\0');
    return rope;
}

static void near(double found, double wanted)
{
    if (!(fabs(found - wanted) <= 2e-6 * fabs(wanted))) {
        fail_msg("%.9g, not %.9g", found, wanted);
    }
}

typedef struct point {
    uint32_t i;
    double inv;
} point;

static void near_points(const zoo_rope *rope, const point *points, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        near(rope->inv_freq[points[i].i], points[i].inv);
    }
}

static void llama3_kind(void **state)
{
    static const point points[] = {{0, 1.0},
                                   {10, 0.0165604401},
                                   {14, 0.00321144599},
                                   {15, 0.00129054793},
                                   {16, 0.000429556797},
                                   {17, 9.7082878e-05},
                                   {18, 1.94616382e-05},
                                   {31, 9.41830673e-08}};
    const fake_key keys[] = {{"rope_scaling", "{}"},
                             {"rope_scaling.rope_type", "\"llama3"},
                             {"rope_scaling.factor", "32"},
                             {"rope_scaling.low_freq_factor", "1"},
                             {"rope_scaling.high_freq_factor", "4"},
                             {"rope_scaling.original_max_position_embeddings", "8192"},
                             {"rope_theta", "500000"},
                             {0}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 64}, ZOO_OK);
    assert_int_equal(rope.n_pairs, 32);
    assert_int_equal(rope.original_max, 8192);
    near_points(&rope, points, ZOO_COUNT(points));
}

/* With equal factors there is no middle band and nothing is divided by zero. */
static void llama3_without_band(void **state)
{
    const fake_key keys[] = {{"rope_parameters", "{}"},
                             {"rope_parameters.rope_type", "\"llama3"},
                             {"rope_parameters.factor", "16"},
                             {"rope_parameters.low_freq_factor", "1"},
                             {"rope_parameters.high_freq_factor", "1"},
                             {"rope_parameters.original_max_position_embeddings", "8192"},
                             {"rope_parameters.rope_theta", "500000"},
                             {0}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 128}, ZOO_OK);
    for (uint32_t i = 0; i < 64; i++) {
        double inv = pow(500000, -2.0 * i / 128);
        near(rope.inv_freq[i], 2 * 3.14159265358979 / inv > 8192 ? inv / 16 : inv);
    }
}

static void yarn_kind(void **state)
{
    static const point points[] = {{0, 1.0},
                                   {18, 0.0249554087},
                                   {19, 0.0192827549},
                                   {26, 0.00284671844},
                                   {34, 0.000165613036},
                                   {35, 9.55621235e-05},
                                   {63, 3.06892599e-07}};
    static const point untruncated[] = {{8, 0.0508132748},    {9, 0.0317056962},
                                        {12, 0.00679495949},  {17, 0.000129318701},
                                        {18, 3.83088124e-05}, {31, 3.02351143e-07}};
    const fake_key keys[] = {{"rope_scaling", "{}"},
                             {"rope_scaling.rope_type", "\"yarn"},
                             {"rope_scaling.factor", "8"},
                             {"rope_scaling.attention_factor", "1.25"},
                             {"rope_scaling.original_max_position_embeddings", "8192"},
                             {"rope_theta", "500000"},
                             {0}};
    const fake_key open[] = {{"rope_scaling", "{}"},
                             {"rope_scaling.rope_type", "\"yarn"},
                             {"rope_scaling.factor", "32"},
                             {"rope_scaling.truncate", "false"},
                             {"rope_scaling.original_max_position_embeddings", "4096"},
                             {"rope_theta", "150000"},
                             {0}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 128}, ZOO_OK);
    near_points(&rope, points, ZOO_COUNT(points));
    near(rope.factor, 1.25);
    rope = read_rope(open, (zoo_rope_want){.head_dim = 64}, ZOO_OK);
    near_points(&rope, untruncated, ZOO_COUNT(untruncated));
    near(rope.factor, 1.3465735902799727);
}

static void yarn_mscale(void **state)
{
    fake_key keys[] = {{"rope_parameters", "{}"},
                       {"rope_parameters.type", "\"yarn"},
                       {"rope_parameters.factor", "null"},
                       {"rope_parameters.mscale", "1.3"},
                       {"rope_parameters.mscale_all_dim", "0.6"},
                       {"original_max_position_embeddings", "20"},
                       {"rope_parameters.original_max_position_embeddings", "50"},
                       {"max_position_embeddings", "160"},
                       {0}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 16}, ZOO_OK);
    near(rope.factor, 1.1294143352314403);
    near(rope.scaling, 8);
    assert_int_equal(rope.original_max, 20);
    rope = read_rope(keys, (zoo_rope_want){.head_dim = 16, .original_in_dict = 1}, ZOO_OK);
    assert_int_equal(rope.original_max, 50);
}

static void linear_and_layer_types(void **state)
{
    const fake_key keys[] = {{"rope_parameters", "{}"},
                             {"rope_parameters.full_attention", "{}"},
                             {"rope_parameters.full_attention.rope_type", "\"linear"},
                             {"rope_parameters.full_attention.factor", "8"},
                             {"rope_parameters.full_attention.rope_theta", "1000000"},
                             {"rope_parameters.sliding_attention", "{}"},
                             {"rope_parameters.sliding_attention.rope_theta", "10000"},
                             {"rope_parameters.sliding_attention.partial_rotary_factor", "0.5"},
                             {0}};
    static const point points[] = {{0, 0.125}, {1, 0.112210892}, {127, 1.39246732e-07}};
    (void)state;
    zoo_rope_want want = {.head_dim = 256, .layer_type = "full_attention"};
    zoo_rope rope = read_rope(keys, want, ZOO_OK);
    near_points(&rope, points, 3);
    want.layer_type = "sliding_attention";
    rope = read_rope(keys, want, ZOO_OK);
    assert_int_equal(rope.n_pairs, 64);
    near(rope.inv_freq[1], pow(10000, -2.0 / 128));
}

/* A flat rope_scaling beside two thetas: scaled on one layer type, not on the other. */
static void flat_for_one_layer_type(void **state)
{
    const fake_key keys[] = {
        {"rope_scaling", "{}"},          {"rope_scaling.rope_type", "\"linear"},
        {"rope_scaling.factor", "8"},    {"rope_theta", "1000000"},
        {"rope_local_base_freq", "500"}, {0}};
    (void)state;
    zoo_rope_want full = {.head_dim = 16, .layer_type = "full_attention"};
    zoo_rope_want local = {.head_dim = 16,
                           .layer_type = "sliding_attention",
                           .theta_key = "rope_local_base_freq",
                           .theta = 10000,
                           .unscaled = 1};
    zoo_rope rope = read_rope(keys, full, ZOO_OK);
    near(rope.inv_freq[1], pow(1e6, -2.0 / 16) / 8);
    rope = read_rope(keys, local, ZOO_OK);
    near(rope.inv_freq[1], pow(500, -2.0 / 16));
    local.theta_fixed = 77;
    rope = read_rope(keys, local, ZOO_OK);
    near(rope.inv_freq[1], pow(77, -2.0 / 16));
}

static void partial_and_proportional(void **state)
{
    const fake_key keys[] = {{"partial_rotary_factor", "0.4"}, {0}};
    const fake_key prop[] = {{"rope_parameters", "{}"},
                             {"rope_parameters.rope_type", "\"proportional"},
                             {"rope_parameters.rope_theta", "1000000"},
                             {"rope_parameters.partial_rotary_factor", "0.25"},
                             {0}};
    static const point points[] = {{1, 0.947463526}, {63, 0.0333762469}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 12}, ZOO_OK);
    assert_int_equal(rope.n_pairs, 2);
    near(rope.inv_freq[1], 0.01);
    rope = read_rope(keys, (zoo_rope_want){.head_dim = 24, .partial_key = "", .rotary_dim = 12},
                     ZOO_OK);
    assert_int_equal(rope.n_pairs, 6);
    rope = read_rope(prop, (zoo_rope_want){.head_dim = 512}, ZOO_OK);
    assert_int_equal(rope.n_pairs, 64);
    assert_int_equal(rope.pair_offset, 256);
    near_points(&rope, points, 2);
    rope = read_rope(prop, (zoo_rope_want){.head_dim = 512, .interleaved = true}, ZOO_OK);
    assert_int_equal(rope.n_pairs, 256);
    assert_int_equal(rope.pair_offset, 0);
    near_points(&rope, points, 2);
    near(rope.inv_freq[64], 0);
    rope = read_rope(prop, (zoo_rope_want){.head_dim = 20}, ZOO_OK);
    assert_int_equal(rope.n_pairs, 2); /* of 5 dims */
}

static void score_scale(void **state)
{
    fake_key keys[] = {{"rope_parameters", "{}"},
                       {"rope_parameters.rope_type", "\"linear"},
                       {"rope_parameters.factor", "4"},
                       {"rope_parameters.mscale_all_dim", "0.6"},
                       {0}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 16}, ZOO_OK);
    near(zoo_rope_score_scale(&rope), pow(0.1 * 0.6 * log(4) + 1, 2));
    keys[2].value = "0.5";
    rope = read_rope(keys, (zoo_rope_want){.head_dim = 16}, ZOO_OK);
    near(zoo_rope_score_scale(&rope), 1);
    keys[1].value = "\"default";
    rope = read_rope(keys, (zoo_rope_want){.head_dim = 16}, ZOO_OK);
    near(zoo_rope_score_scale(&rope), 1);
}

/* Angles of one row at `pos` of a pass of n_total positions. */
static zoo_rope_rows rows_at(const zoo_rope *rope, uint32_t pos, uint32_t n_total)
{
    zoo_seq seq = {0, 1, pos, n_total, n_total, 0};
    uint32_t seq_of = 0;
    int32_t token = 0;
    zoo_span span = {sizeof span, 1, 1, 0, &seq, &token, &pos, &seq_of};
    fake_begin(&host);
    return zoo_rope_rows_of(&host.ctx, rope, &span);
}

static void dynamic_kind(void **state)
{
    const fake_key keys[] = {
        {"rope_parameters", "{}"},         {"rope_parameters.rope_type", "\"dynamic"},
        {"rope_parameters.factor", "2"},   {"rope_parameters.rope_theta", "500"},
        {"max_position_embeddings", "64"}, {0}};
    const fake_key alpha[] = {{"rope_scaling", "{}"},         {"rope_scaling.type", "\"dynamic"},
                              {"rope_scaling.alpha", "1000"}, {"rope_scaling.factor", "1"},
                              {"rope_theta", "10000"},        {0}};
    static const point points[] = {{1, 0.776034363}, {63, 1.15478198e-07}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 16}, ZOO_OK);
    near(rows_at(&rope, 3, 64).cos[1], cos(3 * pow(500, -2.0 / 16)));
    near(rows_at(&rope, 3, 100).cos[1], cos(3 * 0.412917403));
    near(rows_at(&rope, 3, 100).sin[7], sin(3 * 0.00204664402));
    zoo_plan plan = {.reread_after = 80};
    zoo_rope_reread(&rope, &plan);
    assert_int_equal(plan.reread_always, 64);
    rope = read_rope(alpha, (zoo_rope_want){.head_dim = 128}, ZOO_OK);
    assert_int_equal(rope.kind, ZOO_ROPE_FIXED);
    near_points(&rope, points, 2);
}

static void long_kind(void **state)
{
    fake_key keys[] = {{"rope_scaling", "{}"},
                       {"rope_scaling.type", "\"su"},
                       {"rope_scaling.short_factor", "[2"},
                       {"rope_scaling.short_factor[0]", "1"},
                       {"rope_scaling.short_factor[1]", "1.5"},
                       {"rope_scaling.long_factor", "[2"},
                       {"rope_scaling.long_factor[0]", "2"},
                       {"rope_scaling.long_factor[1]", "4"},
                       {"rope_scaling.short_mscale", "null"},
                       {"rope_scaling.long_mscale", "null"},
                       {"rope_theta", "10000"},
                       {"original_max_position_embeddings", "4096"},
                       {"max_position_embeddings", "131072"},
                       {0}};
    (void)state;
    zoo_rope rope = read_rope(keys, (zoo_rope_want){.head_dim = 4}, ZOO_OK);
    near(rope.factor, 1.1902380714238083);
    near(rows_at(&rope, 7, 4096).cos[1], rope.factor * cos(7 * 0.01 / 1.5));
    near(rows_at(&rope, 7, 4097).cos[1], rope.factor * cos(7 * 0.01 / 4));
    near(rows_at(&rope, 7, 4097).sin[0], rope.factor * sin(3.5));
    zoo_plan plan = {0};
    zoo_rope_reread(&rope, &plan);
    assert_int_equal(plan.reread_after, 4096);
    assert_int_equal(plan.reread_always, 0);
    keys[8].value = "1.2";
    keys[9].value = "1.4";
    rope = read_rope(keys, (zoo_rope_want){.head_dim = 4}, ZOO_OK);
    near(rows_at(&rope, 7, 4096).cos[1], 1.2 * cos(7 * 0.01 / 1.5));
    near(rows_at(&rope, 7, 5000).cos[1], 1.4 * cos(7 * 0.01 / 4));
    keys[2].value = "[3";
    (void)read_rope(keys, (zoo_rope_want){.head_dim = 4}, ZOO_E_CONFIG);
}

static void refusals(void **state)
{
    fake_key keys[] = {{"rope_scaling", "{}"}, {"rope_scaling.rope_type", "\"spiral"}, {0}};
    const fake_key odd[] = {{"partial_rotary_factor", "0.5"}, {0}};
    const fake_key theta[] = {{"rope_theta", "-1"}, {0}};
    (void)state;
    (void)read_rope(keys, (zoo_rope_want){.head_dim = 8}, ZOO_E_CONFIG);
    (void)read_rope(odd, (zoo_rope_want){.head_dim = 6}, ZOO_E_CONFIG);
    (void)read_rope(theta, (zoo_rope_want){.head_dim = 6}, ZOO_E_CONFIG);
    (void)read_rope(odd, (zoo_rope_want){.head_dim = 6, .rotary_dim = 8}, ZOO_E_CONFIG);
}

static void bias_slopes(void **state)
{
    static const float six[] = {0.25f, 0.0625f, 0.015625f, 0.00390625f, 0.5f, 0.125f};
    float slopes[8];
    (void)state;
    zoo_alibi_slopes(6, 8, slopes);
    for (uint32_t h = 0; h < 6; h++) {
        near(slopes[h], six[h]);
    }
    zoo_alibi_slopes(8, 8, slopes);
    near(slopes[0], 0.5);
    near(slopes[7], 1.0 / 256);
}

static int setup(void **state)
{
    (void)state;
    fake_open(&host, test_kernels(), 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_close(&host);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(llama3_kind),
                                       cmocka_unit_test(llama3_without_band),
                                       cmocka_unit_test(yarn_kind),
                                       cmocka_unit_test(yarn_mscale),
                                       cmocka_unit_test(linear_and_layer_types),
                                       cmocka_unit_test(flat_for_one_layer_type),
                                       cmocka_unit_test(partial_and_proportional),
                                       cmocka_unit_test(score_scale),
                                       cmocka_unit_test(dynamic_kind),
                                       cmocka_unit_test(long_kind),
                                       cmocka_unit_test(refusals),
                                       cmocka_unit_test(bias_slopes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
