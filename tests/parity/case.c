/*
 * case.c: runs one reference checkpoint: whole prompts, chunks of 1, 3 and 16, all prompts in one
 * ragged batch, prompts whose first half is kept as a prefix and goes on in another sequence,
 * greedy steps with the cache, and one pass over prompt and continuation.
 */
#include "case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "engine/engine_private.h"
#include "engine/recorder.h"
#include "evaluate/compare.h"

enum { ROWS = 512 };

static uint32_t read_ids(const cJSON *list, int32_t *out, uint32_t room)
{
    uint32_t n = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list)
    {
        if (n < room) {
            out[n++] = (int32_t)item->valuedouble;
        }
    }
    return n;
}

zoo_status case_open(const char *folder, const char *name, parity_case *c, zoo_error *err)
{
    char path[1600];
    cJSON *json = NULL;
    memset(c, 0, sizeof *c);
    (void)snprintf(c->name, sizeof c->name, "%s", name);
    (void)snprintf(c->folder, sizeof c->folder, "%s/%s", folder, name);
    (void)snprintf(path, sizeof path, "%s/reference.json", c->folder);
    ZOO_TRY(zoo_json_read(path, 1 << 24, &json, err));
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "model_type");
    (void)snprintf(c->model_type, sizeof c->model_type, "%s",
                   cJSON_IsString(type) ? type->valuestring : "?");
    const cJSON *limit = cJSON_GetObjectItemCaseSensitive(json, "nmse_limit");
    c->limit = cJSON_IsNumber(limit) ? limit->valuedouble : 1e-9;
    c->generated_otherwise =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "generated_otherwise"));
    const cJSON *prompt = NULL;
    cJSON_ArrayForEach(prompt, cJSON_GetObjectItemCaseSensitive(json, "prompts"))
    {
        if (c->n_prompts == CASE_PROMPTS_MAX) {
            break;
        }
        case_prompt *p = &c->prompts[c->n_prompts++];
        p->n_prompt = read_ids(cJSON_GetObjectItemCaseSensitive(prompt, "prompt"), p->tokens,
                               CASE_TOKENS_MAX);
        p->n_all = p->n_prompt + read_ids(cJSON_GetObjectItemCaseSensitive(prompt, "continuation"),
                                          p->tokens + p->n_prompt, CASE_TOKENS_MAX - p->n_prompt);
    }
    cJSON_Delete(json);
    (void)snprintf(path, sizeof path, "%s/reference.safetensors", c->folder);
    return zoo_tensors_open_file(path, &c->reference, err);
}

void case_close(parity_case *c)
{
    zoo_tensors_close(c->reference);
}

/* One run of a prompt: logits of all rows in place. */
typedef struct run {
    const parity_case *c;
    case_result *result;
    zoo_engine *engine;
    uint32_t vocab;
    float *whole[CASE_PROMPTS_MAX]; /* [n_prompt, vocab] of the whole passes */
} run;

static double nmse(const float *x, const float *y, size_t n)
{
    double error = 0, power = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)y[i];
        error += d * d;
        power += (double)y[i] * (double)y[i];
    }
    return power > 0 ? error / power : error;
}

static void worst(double *present, double value)
{
    if (!(value <= *present)) {
        *present = isnan(value) ? (double)INFINITY : value;
    }
}

static void complain(run *r, const char *name, const char *why)
{
    if (!r->result->first[0]) {
        (void)snprintf(r->result->first, sizeof r->result->first, "%.160s %.80s", name, why);
    }
}

/* A line "model_type module why" of inside.txt: the module's output never stands alone here. */
static bool is_inside(const run *r, const char *name)
{
    FILE *file = fopen(LMZOO_SOURCE_DIR "/tests/parity/inside.txt", "r");
    const char *dot = strrchr(name, '.');
    char line[512], start[300];
    bool found = false;
    int n = snprintf(start, sizeof start, "%s %s ", r->c->model_type, dot ? dot + 1 : name);
    while (file && !found && fgets(line, sizeof line, file)) {
        found = strncmp(line, start, (size_t)n) == 0;
    }
    if (file) {
        (void)fclose(file);
    }
    return found;
}

/* One tensor of the reference against what was recorded under its name. */
static zoo_status compare_tensor(run *r, const zoo_recorder *recorder, const zoo_tensor *t,
                                 zoo_error *err)
{
    const char *name = strchr(t->name, '/') + 1;
    const zoo_tensor *own = zoo_recorder_find(recorder, name);
    zoo_compare_figures f;
    char why[64];
    if (!own) {
        r->result->n_inside += is_inside(r, name);
        if (!is_inside(r, name)) {
            r->result->n_missing++;
            complain(r, t->name, "is not in the trace");
        }
        return ZOO_OK;
    }
    ZOO_TRY(zoo_compare_tensors(own, t, &f, err));
    r->result->n_compared++;
    r->result->n_resized += !f.same_size;
    worst(strcmp(name, "logits") == 0 ? &r->result->logits : &r->result->layers, f.nmse);
    if (!(f.nmse <= r->c->limit)) {
        (void)snprintf(why, sizeof why, "(nmse %.3g)", f.nmse);
        complain(r, t->name, f.same_size ? why : "has another size");
    }
    return ZOO_OK;
}

/* All tensors of the reference that belong to prompt number p. */
static zoo_status compare_prompt(run *r, const zoo_recorder *recorder, uint32_t p, zoo_error *err)
{
    char prefix[16];
    size_t n = (size_t)snprintf(prefix, sizeof prefix, "%u/", p);
    for (size_t i = 0; i < zoo_tensors_count(r->c->reference); i++) {
        const zoo_tensor *t = zoo_tensors_at(r->c->reference, i);
        if (strncmp(t->name, prefix, n) == 0 && strcmp(t->name + n, "continuation.logits") != 0) {
            ZOO_TRY(compare_tensor(r, recorder, t, err));
        }
    }
    return ZOO_OK;
}

/* Reads n tokens of one sequence in chunks and keeps the logits of every row. */
static zoo_status read_tokens(run *r, const int32_t *tokens, uint32_t n, uint32_t chunk,
                              float *logits, zoo_error *err)
{
    uint32_t seq;
    ZOO_TRY(zoo_engine_seq_open(r->engine, n, n, &seq, err));
    zoo_status status = ZOO_OK;
    for (uint32_t done = 0; done < n && status == ZOO_OK; done += chunk) {
        uint32_t count = n - done < chunk ? n - done : chunk;
        zoo_item item = {.seq = seq, .n = count, .tokens = tokens + done, .want = ZOO_WANT_ALL};
        status = zoo_engine_step(r->engine, &item, 1, err);
        if (status == ZOO_OK) {
            memcpy(logits + (size_t)done * r->vocab, item.logits,
                   (size_t)count * r->vocab * sizeof(float));
        }
    }
    zoo_engine_seq_close(r->engine, seq);
    return status;
}

static uint32_t differing(const float *a, const float *b, uint32_t n_rows, uint32_t width)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        n += memcmp(a + (size_t)i * width, b + (size_t)i * width, width * sizeof(float)) != 0;
    }
    return n;
}

/* The path of `lmzoo trace` and `lmzoo compare`. */
static zoo_status run_whole(run *r, zoo_error *err)
{
    for (uint32_t p = 0; p < r->c->n_prompts; p++) {
        const case_prompt *prompt = &r->c->prompts[p];
        zoo_recorder *recorder = NULL;
        const zoo_recorder_pass pass = {.tokens = prompt->tokens, .n = prompt->n_prompt};
        ZOO_TRY(zoo_recorder_run(r->engine, &pass, &recorder, err));
        const zoo_tensor *logits = zoo_recorder_find(recorder, "logits");
        r->whole[p] = malloc((size_t)prompt->n_all * r->vocab * sizeof(float));
        zoo_status status = r->whole[p] && logits ? ZOO_OK : ZOO_E_MEMORY;
        if (status == ZOO_OK) {
            memcpy(r->whole[p], logits->data, logits->n_bytes);
            status = compare_prompt(r, recorder, p, err);
        }
        zoo_recorder_free(recorder);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

static zoo_status run_chunks(run *r, zoo_error *err)
{
    static const uint32_t chunks[] = {1, 3, 16};
    for (uint32_t p = 0; p < r->c->n_prompts; p++) {
        const case_prompt *prompt = &r->c->prompts[p];
        float *logits = malloc((size_t)prompt->n_all * r->vocab * sizeof(float));
        zoo_status status = logits ? ZOO_OK : ZOO_E_MEMORY;
        for (size_t i = 0; i < ZOO_COUNT(chunks) && status == ZOO_OK; i++) {
            status = read_tokens(r, prompt->tokens, prompt->n_prompt, chunks[i], logits, err);
            r->result->chunks_differ += differing(logits, r->whole[p], prompt->n_prompt, r->vocab);
        }
        free(logits);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

static zoo_status run_batch(run *r, zoo_error *err)
{
    zoo_item items[CASE_PROMPTS_MAX];
    zoo_status status = ZOO_OK;
    uint32_t n = 0;
    for (; n < r->c->n_prompts && status == ZOO_OK; n++) {
        const case_prompt *p = &r->c->prompts[n];
        items[n] = (zoo_item){.n = p->n_prompt, .tokens = p->tokens, .want = ZOO_WANT_ALL};
        status = zoo_engine_seq_open(r->engine, p->n_prompt, p->n_prompt, &items[n].seq, err);
    }
    ZOO_TRY(status);
    status = zoo_engine_step(r->engine, items, n, err);
    for (uint32_t i = 0; i < n; i++) {
        if (status == ZOO_OK) {
            r->result->batch_differs +=
                differing(items[i].logits, r->whole[i], items[i].n, r->vocab);
        }
        zoo_engine_seq_close(r->engine, items[i].seq);
    }
    return status;
}

/* Tokens from .. to - 1 of an open sequence; logits of all rows go to out. */
static zoo_status read_part(run *r, uint32_t seq, const int32_t *tokens, uint32_t from, uint32_t to,
                            float *out, zoo_error *err)
{
    zoo_item item = {.seq = seq, .n = to - from, .tokens = tokens + from, .want = ZOO_WANT_ALL};
    ZOO_TRY(zoo_engine_step(r->engine, &item, 1, err));
    memcpy(out + (size_t)from * r->vocab, item.logits, (size_t)item.n * r->vocab * sizeof *out);
    return ZOO_OK;
}

/* The first `length` tokens, kept as a prefix; the sequence is closed. */
static zoo_status keep_half(run *r, const case_prompt *p, uint32_t length, float *logits,
                            uint32_t *prefix, zoo_error *err)
{
    uint32_t seq;
    ZOO_TRY(zoo_engine_seq_open(r->engine, p->n_prompt, p->n_prompt, &seq, err));
    zoo_status status = read_part(r, seq, p->tokens, 0, length, logits, err);
    if (status == ZOO_OK) {
        status = zoo_engine_prefix_keep(r->engine, seq, length, prefix, err);
    }
    zoo_engine_seq_close(r->engine, seq);
    return status;
}

static zoo_status go_on(run *r, const case_prompt *p, uint32_t length, uint32_t prefix,
                        float *logits, zoo_error *err)
{
    uint32_t seq;
    ZOO_TRY(
        zoo_engine_seq_open_shared(r->engine, prefix, length, p->n_prompt, p->n_prompt, &seq, err));
    zoo_status status = read_part(r, seq, p->tokens, length, p->n_prompt, logits, err);
    zoo_engine_seq_close(r->engine, seq);
    zoo_engine_prefix_drop(r->engine, prefix);
    return status;
}

static zoo_status run_kept(run *r, zoo_error *err)
{
    for (uint32_t i = 0; i < r->c->n_prompts; i++) {
        const case_prompt *p = &r->c->prompts[i];
        uint32_t half = p->n_prompt / 2, prefix = 0;
        if (!half) {
            continue;
        }
        float *logits = malloc((size_t)p->n_prompt * r->vocab * sizeof *logits);
        zoo_status status = logits ? ZOO_OK : ZOO_E_MEMORY;
        status = status == ZOO_OK ? keep_half(r, p, half, logits, &prefix, err) : status;
        status = status == ZOO_OK ? go_on(r, p, half, prefix, logits, err) : status;
        if (status == ZOO_OK) {
            r->result->kept_differs += differing(logits, r->whole[i], p->n_prompt, r->vocab);
        }
        free(logits);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

/* Steps of three tokens, after which two wrong ones are read and taken back, every other time. */
static zoo_status read_and_take_back(run *r, const case_prompt *p, float *logits, zoo_error *err)
{
    int32_t tokens[CASE_TOKENS_MAX];
    uint32_t seq, pos = 0, done = 0, n = p->n_prompt;
    ZOO_TRY(zoo_engine_seq_open(r->engine, n, n, &seq, err));
    zoo_status status = ZOO_OK;
    while (done < n && status == ZOO_OK) {
        uint32_t most = n - pos, right = done - pos + 3 < most ? done - pos + 3 : most;
        uint32_t wrong = done % 2 == 0 && right < most ? (right + 1 < most ? 2 : 1) : 0;
        memcpy(tokens, p->tokens + pos, (right + wrong) * sizeof *tokens);
        for (uint32_t i = right; i < right + wrong; i++) {
            tokens[i] = (int32_t)(((uint32_t)tokens[i] + 1) % r->vocab);
        }
        zoo_item item = {.seq = seq, .n = right + wrong, .tokens = tokens, .want = ZOO_WANT_ALL};
        status = zoo_engine_seq_mark(r->engine, seq) ? zoo_engine_step(r->engine, &item, 1, err)
                                                     : zoo_fail(err, ZOO_E_INTERNAL, "no mark");
        if (status == ZOO_OK) {
            memcpy(logits + (size_t)pos * r->vocab, item.logits,
                   (size_t)right * r->vocab * sizeof *logits);
            done = pos + right;
            pos = zoo_engine_seq_rewind(r->engine, seq, done);
        }
    }
    zoo_engine_seq_close(r->engine, seq);
    return status;
}

static zoo_status run_taken_back(run *r, zoo_error *err)
{
    for (uint32_t i = 0; i < r->c->n_prompts; i++) {
        const case_prompt *p = &r->c->prompts[i];
        float *logits = malloc((size_t)p->n_prompt * r->vocab * sizeof *logits);
        zoo_status status = logits ? read_and_take_back(r, p, logits, err) : ZOO_E_MEMORY;
        if (status == ZOO_OK) {
            r->result->taken_back_differ += differing(logits, r->whole[i], p->n_prompt, r->vocab);
        }
        free(logits);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

static int32_t best(const float *logits, uint32_t n)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; i++) {
        at = logits[i] > logits[at] ? i : at;
    }
    return (int32_t)at;
}

/* One greedy continuation with the cache; rows of logits that chose each token go to out. */
static zoo_status continue_prompt(run *r, const case_prompt *prompt, float *out, zoo_error *err)
{
    uint32_t seq, length = prompt->n_prompt;
    ZOO_TRY(zoo_engine_seq_open(r->engine, prompt->n_prompt, prompt->n_all, &seq, err));
    zoo_item item = {
        .seq = seq, .n = prompt->n_prompt, .tokens = prompt->tokens, .want = ZOO_WANT_LAST};
    zoo_status status = zoo_engine_step(r->engine, &item, 1, err);
    for (uint32_t i = 0; status == ZOO_OK && length < prompt->n_all; i++) {
        memcpy(out + (size_t)i * r->vocab, item.logits, r->vocab * sizeof(float));
        int32_t token = best(item.logits, r->vocab);
        r->result->n_wrong_tokens += token != prompt->tokens[length];
        if (++length == prompt->n_all) {
            break;
        }
        if (zoo_engine_must_reread(r->engine, length - 1, length)) {
            zoo_engine_seq_restart(r->engine, seq, length);
            item = (zoo_item){
                .seq = seq, .n = length, .tokens = prompt->tokens, .want = ZOO_WANT_LAST};
        } else {
            item = (zoo_item){
                .seq = seq, .n = 1, .tokens = prompt->tokens + length - 1, .want = ZOO_WANT_LAST};
        }
        status = zoo_engine_step(r->engine, &item, 1, err);
    }
    zoo_engine_seq_close(r->engine, seq);
    return status;
}

static bool rereads(const run *r, uint32_t length)
{
    uint32_t after = zoo_engine_plan(r->engine)->reread_after;
    return after && length > after;
}

static zoo_status run_decode(run *r, zoo_error *err)
{
    for (uint32_t p = 0; p < r->c->n_prompts; p++) {
        const case_prompt *prompt = &r->c->prompts[p];
        uint32_t n = prompt->n_all - prompt->n_prompt;
        float *steps = malloc((size_t)(n + 1) * r->vocab * sizeof(float));
        float *all = malloc((size_t)prompt->n_all * r->vocab * sizeof(float));
        zoo_status status = steps && all ? continue_prompt(r, prompt, steps, err) : ZOO_E_MEMORY;
        char name[64];
        (void)snprintf(name, sizeof name, "%u/continuation.logits", p);
        const zoo_tensor *t = zoo_tensors_find(r->c->reference, name);
        if (status == ZOO_OK && t && t->n_items == (uint64_t)n * r->vocab) {
            status = zoo_tensor_widen(t, 0, t->n_items, all, err);
            worst(&r->result->decode, nmse(steps, all, t->n_items));
            r->result->n_compared++;
        } else if (status == ZOO_OK && t) {
            r->result->n_resized++;
            complain(r, name, "has another size");
        }
        if (status == ZOO_OK && !rereads(r, prompt->n_all) && !r->c->generated_otherwise) {
            status = read_tokens(r, prompt->tokens, prompt->n_all, ROWS, all, err);
            const float *same = all + (size_t)(prompt->n_prompt - 1) * r->vocab;
            worst(&r->result->cached, nmse(steps, same, (size_t)n * r->vocab));
        }
        free(steps);
        free(all);
        ZOO_TRY(status);
    }
    return ZOO_OK;
}

static void want(run *r, uint32_t prompt, const char *module, bool wanted)
{
    char name[600];
    (void)snprintf(name, sizeof name, "%u/%s", prompt, module);
    if (wanted && !zoo_tensors_find(r->c->reference, name)) {
        r->result->n_absent++;
        complain(r, name, "is not in the reference");
    }
}

/*
 * What a reference must hold of every prompt: the embedding, the logits and those of the
 * continuation; the last norm and the outputs of all layers, if it has one of that kind anywhere.
 * What it has of the children of layers, tensors.tsv counts.
 */
static void count_absent(run *r)
{
    const zoo_plan *plan = zoo_engine_plan(r->engine);
    bool has_norm = false, has_layers = false;
    for (size_t i = 0; i < zoo_tensors_count(r->c->reference); i++) {
        const char *name = zoo_tensors_at(r->c->reference, i)->name;
        const char *own = strchr(name, '/') ? strchr(name, '/') + 1 : name;
        has_norm = has_norm || strcmp(own, "norm") == 0;
        has_layers = has_layers || (strchr(own, '.') && strcmp(own, "continuation.logits") != 0);
    }
    for (uint32_t p = 0; p < r->c->n_prompts; p++) {
        want(r, p, "embed", true);
        want(r, p, "norm", has_norm);
        want(r, p, "logits", true);
        want(r, p, "continuation.logits", r->c->prompts[p].n_all > r->c->prompts[p].n_prompt);
        for (uint32_t l = 0; l < plan->n_layers; l++) {
            want(r, p, plan->layers[l].path, has_layers);
        }
    }
}

void case_run(const parity_case *c, const char *cache, uint32_t n_threads, case_result *out)
{
    zoo_error error = {0};
    zoo_engine_options options = {.weights = "f32",
                                  .cache = cache,
                                  .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .isa = getenv("LMZOO_ISA"),
                                  .n_threads = n_threads,
                                  .rows_max = ROWS,
                                  .seqs_max = CASE_PROMPTS_MAX,
                                  .context_max = CASE_TOKENS_MAX,
                                  .n_marks = 1,
                                  .quiet = true};
    run r = {.c = c, .result = out};
    memset(out, 0, sizeof *out);
    out->n_tensors = (uint32_t)zoo_tensors_count(c->reference);
    zoo_status status = zoo_engine_open(c->folder, &options, &r.engine, &error);
    if (status == ZOO_OK) {
        (void)snprintf(out->plugin, sizeof out->plugin, "%s", r.engine->model.plugin->name);
        const zoo_plan *plan = zoo_engine_plan(r.engine);
        r.vocab = plan->vocab_size;
        count_absent(&r);
        status = run_whole(&r, &error);
    }
    status = status == ZOO_OK ? run_chunks(&r, &error) : status;
    status = status == ZOO_OK ? run_batch(&r, &error) : status;
    status = status == ZOO_OK ? run_taken_back(&r, &error) : status;
    status = status == ZOO_OK ? run_kept(&r, &error) : status;
    status = status == ZOO_OK ? run_decode(&r, &error) : status;
    if (status != ZOO_OK) {
        (void)snprintf(out->why, sizeof out->why, "%s", error.text);
    }
    out->status = status;
    for (uint32_t p = 0; p < CASE_PROMPTS_MAX; p++) {
        free(r.whole[p]);
    }
    zoo_engine_close(r.engine);
}
