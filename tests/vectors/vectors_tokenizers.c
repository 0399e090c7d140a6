/*
 * vectors_tokenizers.c: every file of expected ids against every tokenizer that is here for it.
 *
 * Three sets: kitoken (a text a line, ids a line, and texts after decoding), llamacpp (texts
 * between separator lines, ids a line) and iree (a JSON of cases by hub model). One TAP line for
 * each file and direction with the number of cases; what differs is printed as a comment.
 */
#include "vectors.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

static unsigned n_tests;

typedef struct tally {
    const char *name;
    size_t n_equal, n;
} tally;

static void report(const tally *t)
{
    bool ok = t->n && t->n_equal == t->n;
    printf("%s %u - %s: %zu of %zu\n", ok ? "ok" : "not ok", ++n_tests, t->name, t->n_equal, t->n);
}

static void report_absent(const char *name)
{
    printf("ok %u - %s # SKIP reference data is absent\n", ++n_tests, name);
}

static void count(tally *t, bool equal, const char *p, size_t n)
{
    t->n++;
    t->n_equal += equal;
    if (!equal) {
        printf("# %s: case %zu differs: %.*s\n", t->name, t->n, (int)(n < 120 ? n : 120), p);
    }
}

static cJSON *parse_named(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "tokenizers/%s.tokenizer.json", name);
    vector_text file = vector_read(path);
    cJSON *root = file.data ? cJSON_ParseWithLength(file.data, file.n) : NULL;
    free(file.data);
    return root;
}

/* The model of one file with the normalizer and pre-tokenizer of another, as one release has it. */
static zoo_tokenizer *open_mixed(const char *model, const char *front)
{
    static const char *const keys[] = {"normalizer", "pre_tokenizer"};
    cJSON *root = parse_named(model), *other = parse_named(front);
    zoo_tokenizer *t = NULL;
    zoo_error err;
    char *text = NULL;
    for (size_t i = 0; root && other && i < ZOO_COUNT(keys); i++) {
        cJSON *part = cJSON_DetachItemFromObject(other, keys[i]);
        (void)cJSON_ReplaceItemInObject(root, keys[i], part);
    }
    if (root && other && (text = cJSON_PrintUnformatted(root)) != NULL) {
        (void)zoo_tokenizer_open_data("tokenizer.json", text, strlen(text), &t, &err);
    }
    cJSON_free(text);
    cJSON_Delete(root);
    cJSON_Delete(other);
    return t;
}

static zoo_tokenizer *open_named(const char *name)
{
    char path[512];
    zoo_tokenizer *t = NULL;
    zoo_error err;
    if (strcmp(name, "mistral01 behind llama2") == 0) {
        return open_mixed("mistral01", "llama2");
    }
    (void)snprintf(path, sizeof path, "tokenizers/%s.tokenizer.json", name);
    vector_text file = vector_read(path);
    if (file.data && zoo_tokenizer_open_data(path, file.data, file.n, &t, &err) != ZOO_OK) {
        printf("# %s: %s\n", name, err.text);
    }
    free(file.data);
    return t;
}

static bool encodes(const zoo_tokenizer *t, const char *p, size_t n, unsigned flags,
                    const zoo_ids *want)
{
    zoo_ids got = {0};
    zoo_error err;
    bool ok = zoo_tokenizer_encode(t, p, n, flags, &got, &err) == ZOO_OK && got.n == want->n &&
              (!got.n || memcmp(got.data, want->data, got.n * sizeof *got.data) == 0);
    zoo_ids_free(&got);
    return ok;
}

static bool decodes(const zoo_tokenizer *t, const zoo_ids *ids, const char *p, size_t n)
{
    zoo_text got = {0};
    zoo_error err;
    bool ok = zoo_tokenizer_decode(t, ids->data, ids->n, 0, &got, &err) == ZOO_OK && got.n == n &&
              (!n || memcmp(got.data, p, n) == 0);
    zoo_text_free(&got);
    return ok;
}

/* The escapes of kitoken's files: \n newline, \s space, \x nothing. */
static void unescape(const char *p, size_t n, zoo_text *out)
{
    out->n = 0;
    (void)vector_push(out, "", 0);
    for (size_t i = 0; i < n; i++) {
        char next = p[i] == '\\' && i + 1 < n ? p[i + 1] : 0;
        if (next == 'n' || next == 's' || next == 'x') {
            (void)vector_push(out, next == 'n' ? "\n" : " ", next != 'x');
            i++;
        } else {
            (void)vector_push(out, p + i, 1);
        }
    }
}

static void kitoken_file(const zoo_tokenizer *t, const char *set, const char *key)
{
    char path[3][256], names[2][160];
    (void)snprintf(path[0], 256, "tokenizer-vectors/kitoken/%s_input.txt", set);
    (void)snprintf(path[1], 256, "tokenizer-vectors/kitoken/%s_tokens_%s.txt", set, key);
    (void)snprintf(path[2], 256, "tokenizer-vectors/kitoken/%s_output_%s.txt", set, key);
    (void)snprintf(names[0], 160, "kitoken %s %s encode", set, key);
    (void)snprintf(names[1], 160, "kitoken %s %s decode", set, key);
    vector_parts texts = {.text = vector_read(path[0]), .separator = "\n"};
    vector_parts ids = {.text = vector_read(path[1]), .separator = "\n"};
    vector_parts outs = {.text = vector_read(path[2]), .separator = "\n"};
    tally encode = {.name = names[0]}, decode = {.name = names[1]};
    zoo_text text = {0}, out = {0};
    zoo_ids want = {0};
    const char *p, *q, *r;
    size_t n, k, m;
    while (vector_next(&texts, &p, &n) && vector_next(&ids, &q, &k)) {
        if (!k) {
            break;
        }
        want.n = 0;
        vector_ids(q, k, &want);
        unescape(p, n, &text);
        count(&encode, encodes(t, text.data, text.n, 0, &want), p, n);
        if (vector_next(&outs, &r, &m)) {
            unescape(r, m, &out);
            count(&decode, decodes(t, &want, out.data, out.n), r, m);
        } else if (!outs.text.data) {
            count(&decode, decodes(t, &want, text.data, text.n), p, n);
        }
    }
    report(&encode);
    report(&decode);
    free(texts.text.data);
    free(ids.text.data);
    free(outs.text.data);
    zoo_text_free(&text);
    zoo_text_free(&out);
    zoo_ids_free(&want);
}

static void run_kitoken(void)
{
    static const char *const rows[][2] = {
        {"gpt2", "gpt2"},           {"gpt_neox", "gpt_neox"},
        {"gpt_oss", "gpt-oss"},     {"llama2", "llama2"},
        {"llama32", "llama3"},      {"mistral01", "mistral01"},
        {"mistral03", "mistral03"}, {"mistral2410", "mistral-tekken"},
        {"r1", "deepseek-v3"}};
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        zoo_tokenizer *t = open_named(rows[i][1]);
        if (!t) {
            report_absent(rows[i][0]);
            continue;
        }
        kitoken_file(t, "small", rows[i][0]);
        kitoken_file(t, "mixed", rows[i][0]);
        zoo_tokenizer_close(t);
    }
}

static void llamacpp_file(const zoo_tokenizer *t, const char *key)
{
    char path[2][256], name[160];
    (void)snprintf(path[0], 256, "tokenizer-vectors/llamacpp/ggml-vocab-%s.gguf.inp", key);
    (void)snprintf(path[1], 256, "tokenizer-vectors/llamacpp/ggml-vocab-%s.gguf.out", key);
    (void)snprintf(name, 160, "llamacpp %s encode", key);
    vector_parts texts = {.text = vector_read(path[0]), .separator = "\n__ggml_vocab_test__\n"};
    vector_parts ids = {.text = vector_read(path[1]), .separator = "\n"};
    tally encode = {.name = name};
    zoo_ids want = {0};
    const char *p, *q;
    size_t n, k;
    while (vector_next(&texts, &p, &n) && vector_next(&ids, &q, &k)) {
        want.n = 0;
        vector_ids(q, k, &want);
        count(&encode, encodes(t, p, n, 0, &want), p, n);
    }
    report(&encode);
    free(texts.text.data);
    free(ids.text.data);
    zoo_ids_free(&want);
}

static void run_llamacpp(void)
{
    static const char *const rows[][2] = {{"deepseek-llm", "deepseek-llm"},
                                          {"gpt-2", "gpt2"},
                                          {"llama-bpe", "llama3"},
                                          {"llama-spm", "llama2"},
                                          {"qwen2", "qwen3"}};
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        zoo_tokenizer *t = open_named(rows[i][1]);
        if (!t) {
            report_absent(rows[i][0]);
            continue;
        }
        llamacpp_file(t, rows[i][0]);
        zoo_tokenizer_close(t);
    }
}

static void iree_model(const zoo_tokenizer *t, const char *model, const cJSON *tests)
{
    char name[160];
    (void)snprintf(name, sizeof name, "iree %s", model);
    tally encode = {.name = name};
    for (const cJSON *test = tests ? tests->child : NULL; test; test = test->next) {
        const cJSON *input = cJSON_GetObjectItem(test, "input");
        const cJSON *golden = cJSON_GetObjectItem(test, "golden_ids");
        bool add = !cJSON_IsFalse(cJSON_GetObjectItem(test, "add_special_tokens"));
        zoo_ids want = {0};
        for (const cJSON *id = golden ? golden->child : NULL; id; id = id->next) {
            char number[16];
            int n = snprintf(number, sizeof number, "%u", (unsigned)id->valuedouble);
            vector_ids(number, (size_t)n, &want);
        }
        if (cJSON_IsString(input)) {
            size_t n = strlen(input->valuestring);
            count(&encode,
                  encodes(t, input->valuestring, n, add ? ZOO_ENCODE_ADD_SPECIAL : 0, &want),
                  input->valuestring, n);
        }
        zoo_ids_free(&want);
    }
    report(&encode);
}

static void run_iree(void)
{
    static const char *const rows[][2] = {
        {"gpt2", "gpt2"},
        {"distilbert/distilgpt2", "gpt2"},
        {"tiktoken/r50k_base", "gpt2"},
        {"EleutherAI/gpt-neo-125M", "gpt2"},
        {"EleutherAI/gpt-neox-20b", "gpt_neox"},
        {"EleutherAI/pythia-410m", "gpt_neox"},
        {"NousResearch/Llama-2-7b-hf", "llama2"},
        {"TinyLlama/TinyLlama-1.1B-Chat-v1.0", "llama2"},
        {"NousResearch/Meta-Llama-3-8B", "llama3"},
        {"NousResearch/Meta-Llama-3.1-8B", "llama3"},
        {"unsloth/Llama-3.2-1B-Instruct", "llama3"},
        {"Qwen/Qwen2-7B", "qwen3"},
        {"Qwen/Qwen2.5-7B", "qwen3"},
        {"Qwen/Qwen3-0.6B", "qwen3"},
        {"deepseek-ai/DeepSeek-V3", "deepseek-v3"},
        {"mistralai/Mistral-7B-v0.1", "mistral01"},
        {"mistralai/Mistral-7B-Instruct-v0.2", "mistral01"},
        {"mistralai/Mixtral-8x7B-v0.1", "mistral01 behind llama2"},
        {"mistralai/Mistral-7B-v0.3", "mistral03"},
        {"mistralai/Mistral-Nemo-Instruct-2407", "mistral-tekken"},
        {"tiktoken/o200k_base", "gpt-oss"}};
    vector_text file = vector_read("tokenizer-vectors/iree_tokenizer_corpus.json");
    cJSON *root = file.data ? cJSON_ParseWithLength(file.data, file.n) : NULL;
    const cJSON *models = cJSON_GetObjectItem(root, "models");
    for (size_t i = 0; i < ZOO_COUNT(rows); i++) {
        const cJSON *model = cJSON_GetObjectItemCaseSensitive(models, rows[i][0]);
        zoo_tokenizer *t = model ? open_named(rows[i][1]) : NULL;
        if (t) {
            iree_model(t, rows[i][0], cJSON_GetObjectItem(model, "tests"));
        } else {
            report_absent(rows[i][0]);
        }
        zoo_tokenizer_close(t);
    }
    cJSON_Delete(root);
    free(file.data);
}

static void ids_of(const cJSON *object, const char *key, zoo_ids *ids)
{
    const cJSON *array = cJSON_GetObjectItem(object, key);
    ids->n = 0;
    for (const cJSON *id = array ? array->child : NULL; id; id = id->next) {
        char number[16];
        int n = snprintf(number, sizeof number, "%u", (unsigned)id->valuedouble);
        vector_ids(number, (size_t)n, ids);
    }
}

/* Prompts and continuations of a demo model; chats by way of their decoded text. */
static void demo_cases(const zoo_tokenizer *t, const cJSON *root, tally *encode, tally *decode)
{
    static const char *const lists[] = {"plain", "chat"};
    for (size_t k = 0; k < ZOO_COUNT(lists); k++) {
        const cJSON *list = cJSON_GetObjectItem(root, lists[k]);
        for (const cJSON *row = list ? list->child : NULL; row; row = row->next) {
            const cJSON *prompt = cJSON_GetObjectItem(row, "prompt");
            const char *output = cJSON_GetStringValue(cJSON_GetObjectItem(row, "output_text"));
            zoo_ids in = {0}, out = {0};
            zoo_text text = {0};
            zoo_error err;
            ids_of(row, "input_ids", &in);
            ids_of(row, "output_ids", &out);
            if (prompt) {
                (void)vector_push(&text, prompt->valuestring, strlen(prompt->valuestring));
            } else {
                (void)zoo_tokenizer_decode(t, in.data, in.n, 0, &text, &err);
            }
            count(encode, encodes(t, text.data, text.n, prompt ? ZOO_ENCODE_ADD_SPECIAL : 0, &in),
                  text.data, text.n);
            count(decode, output && decodes(t, &out, output, strlen(output)), output ? output : "",
                  output ? strlen(output) : 0);
            zoo_ids_free(&in);
            zoo_ids_free(&out);
            zoo_text_free(&text);
        }
    }
}

static void run_demo(void)
{
    static const char *const names[] = {"llama", "gemma", "deepseek", "hybrid"};
    for (size_t i = 0; i < ZOO_COUNT(names); i++) {
        char folder[512], file[512], title[2][64];
        zoo_tokenizer *t = NULL;
        zoo_error err;
        (void)snprintf(folder, sizeof folder, "%s/demo/models/demo-%s", LMZOO_SOURCE_DIR, names[i]);
        (void)snprintf(file, sizeof file, "demo-models/demo-%s/reference.json", names[i]);
        (void)snprintf(title[0], 64, "demo %s encode", names[i]);
        (void)snprintf(title[1], 64, "demo %s decode", names[i]);
        vector_text reference = vector_read(file);
        cJSON *root = reference.data ? cJSON_Parse(reference.data) : NULL;
        if (!root || zoo_tokenizer_open(folder, &t, &err) != ZOO_OK) {
            report_absent(title[0]);
        } else {
            tally encode = {.name = title[0]}, decode = {.name = title[1]};
            demo_cases(t, root, &encode, &decode);
            report(&encode);
            report(&decode);
        }
        zoo_tokenizer_close(t);
        cJSON_Delete(root);
        free(reference.data);
    }
}

int main(void)
{
    run_demo();
    run_kitoken();
    run_llamacpp();
    run_iree();
    printf("1..%u\n", n_tests);
    return 0;
}
