/*
 * options.c: is any key of a config read without effect?
 *
 *   test_options [--all] [-k PART]
 *
 * For each reference checkpoint each leaf of config.json is changed in a copy: true to false, a
 * number to another, a word to another. The copy must be refused, or give other logits, or the key
 * must be one that inspect names with a reason (`ignored` of the card or the plugin), one that
 * cannot change a logit, or one in explained.txt. Any other key has no effect without a reason.
 * Without --all: the cases of the tree.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "case.h"
#include "engine/engine_private.h"

enum { ROWS = 512, KEYS_MAX = 512 };

/* Limits and spellings that cannot change a logit. */
static const char *const without_effect[] = {
    "max_seq_len",
    "max_position_embeddings", /* a limit; only tables that depend on it change */
    "vocab_size",              /* rows beyond it may stand in the file */
    "text_config.model_type",
    "transformers_version",
};

/* A key that counts for nothing while another one is there (value null: there and not null). */
static const struct {
    const char *key, *by;
    const char *value; /* JSON text that `by` has; null: any */
} superseded[] = {
    {"first_k_dense_replace", "mlp_layer_types", NULL},
    {"mlp_only_layers", "mlp_layer_types", NULL},
    {"decoder_sparse_step", "mlp_layer_types", NULL},
    {"max_window_layers", "layer_types", NULL},
    {"sliding_window_pattern", "layer_types", NULL},
    {"_sliding_window_pattern", "layer_types", NULL},
    {"_sliding_window_pattern", "sliding_window_pattern", NULL},
    {"global_attn_every_n_layers", "layer_types", NULL},
    {"no_rope_layer_interval", "layer_types", NULL},
    {"no_rope_layer_interval", "no_rope_layers", NULL},
    {"rope_theta", "rope_parameters", NULL},
    {"partial_rotary_factor", "rope_parameters", NULL},
    {"use_double_wide_mlp", "num_kv_shared_layers", "0"},
    {"use_sliding_window", "sliding_window", "null"},
    {"head_dim", "kv_lora_rank", NULL},            /* latent attention has widths of its own */
    {"num_key_value_heads", "kv_lora_rank", NULL}, /* one latent row serves all heads */
};

typedef struct flip {
    const parity_case *c;
    char folder[256]; /* of the copy */
    float *measure, *logits;
    uint32_t n, vocab;
    char noted[KEYS_MAX][128]; /* keys with a reason */
    const cJSON *text;         /* the part that is walked */
    uint32_t n_noted, n_flipped, n_refused, n_changed;
    char silent[1024];
} flip;

static zoo_engine *open_copy(const char *folder, zoo_error *error)
{
    zoo_engine_options options = {.weights = "f32",
                                  .cache = "f32",
                                  .plugin_dir = LMZOO_BUILD_DIR "/plugins",
                                  .card_dir = LMZOO_SOURCE_DIR "/models.d",
                                  .rows_max = ROWS,
                                  .seqs_max = 1,
                                  .context_max = CASE_TOKENS_MAX,
                                  .n_threads = 1,
                                  .quiet = true};
    zoo_engine *engine = NULL;
    (void)zoo_engine_open(folder, &options, &engine, error);
    return engine;
}

static void note_key(void *arg, const char *key, const char *value, const char *note)
{
    flip *f = arg;
    (void)value;
    if (note && f->n_noted < KEYS_MAX) {
        (void)snprintf(f->noted[f->n_noted++], sizeof f->noted[0], "%s", key);
    }
}

/* Logits of the last prompt and its continuation as one pass; 0: refused. */
static bool run_copy(flip *f, const char *folder, float *out, bool notes)
{
    zoo_error error;
    zoo_engine *engine = open_copy(folder, &error);
    const case_prompt *p = &f->c->prompts[f->c->n_prompts - 1];
    uint32_t seq;
    if (!engine) {
        return false;
    }
    if (notes) {
        const zoo_plan *plan = zoo_engine_plan(engine);
        f->vocab = plan->vocab_size;
        (void)zoo_model_config_check(engine->model.config, engine->model.plugin, NULL, note_key, f,
                                     NULL);
        const cJSON *ignored = NULL;
        cJSON_ArrayForEach(ignored, zoo_card_part(engine->model.card, "ignored"))
        {
            note_key(f, ignored->string, "", "the card says why");
        }
    }
    bool ok = zoo_engine_seq_open(engine, p->n_all, p->n_all, &seq, &error) == ZOO_OK;
    zoo_item item = {.seq = seq, .n = p->n_all, .tokens = p->tokens, .want = ZOO_WANT_ALL};
    ok = ok && zoo_engine_step(engine, &item, 1, &error) == ZOO_OK;
    if (ok && out) {
        memcpy(out, item.logits, (size_t)p->n_all * f->vocab * sizeof(float));
    }
    zoo_engine_close(engine);
    return ok;
}

static bool make_copy(flip *f)
{
    char command[2600];
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(f->folder, sizeof f->folder, "%.200s/zoo_flip_XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->folder)) {
        return false;
    }
    (void)snprintf(command, sizeof command, "ln -s \"$(realpath '%s')\"/model* '%s/'", f->c->folder,
                   f->folder);
    return system(command) == 0;
}

static bool write_config(const flip *f, const cJSON *json)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/config.json", f->folder);
    FILE *file = fopen(path, "w");
    char *text = cJSON_Print(json);
    bool ok = file && text && fputs(text, file) >= 0;
    cJSON_free(text);
    return file && fclose(file) == 0 && ok;
}

static cJSON *changed(const cJSON *item)
{
    if (cJSON_IsBool(item)) {
        return cJSON_CreateBool(!cJSON_IsTrue(item));
    }
    if (cJSON_IsNumber(item)) {
        double x = item->valuedouble;
        return cJSON_CreateNumber(x == (double)(long long)x ? 2 * x + 1 : x * 2.5 + 0.01);
    }
    return cJSON_IsString(item) ? cJSON_CreateString("another_word") : NULL;
}

static bool is_superseded(const flip *f, const char *key)
{
    for (size_t i = 0; i < ZOO_COUNT(superseded); i++) {
        const cJSON *by = cJSON_GetObjectItemCaseSensitive(f->text, superseded[i].by);
        char *value = by && superseded[i].value ? cJSON_PrintUnformatted(by) : NULL;
        bool holds = by && (superseded[i].value ? value && strcmp(value, superseded[i].value) == 0
                                                : !cJSON_IsNull(by));
        cJSON_free(value);
        if (holds && strcmp(key, superseded[i].key) == 0) {
            return true;
        }
    }
    return false;
}

/* explained.txt: "case key why", or "* key why" for all cases. */
static bool is_listed(const char *name, const char *key)
{
    FILE *file = fopen(LMZOO_SOURCE_DIR "/tests/options/explained.txt", "r");
    char line[512], start[400], all[400];
    bool found = false;
    int n = snprintf(start, sizeof start, "%s %s ", name, key);
    int m = snprintf(all, sizeof all, "* %s ", key);
    while (file && !found && fgets(line, sizeof line, file)) {
        found = strncmp(line, start, (size_t)n) == 0 || strncmp(line, all, (size_t)m) == 0;
    }
    if (file) {
        (void)fclose(file);
    }
    return found;
}

static bool is_explained(const flip *f, const char *key)
{
    static const char *const meta[] = {"architectures", "_name_or_path", "torch_dtype", "dtype",
                                       "model_type"};
    if (strstr(key, "id2label.") || strstr(key, "label2id.")) {
        return true;
    }
    for (size_t i = 0; i < ZOO_COUNT(without_effect); i++) {
        if (strcmp(key, without_effect[i]) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < ZOO_COUNT(meta); i++) {
        if (strcmp(key, meta[i]) == 0) {
            return true;
        }
    }
    for (uint32_t i = 0; i < f->n_noted; i++) {
        size_t n = strlen(f->noted[i]);
        if (strncmp(key, f->noted[i], n) == 0 && (key[n] == '\0' || key[n] == '.')) {
            return true;
        }
    }
    return false;
}

/* item lies in parent; the whole tree is written with item changed, then put back. */
static void try_leaf(flip *f, cJSON *root, cJSON *parent, cJSON *item, const char *key)
{
    cJSON *other = changed(item);
    if (!other || is_explained(f, key) || is_superseded(f, key) ||
        zoo_model_config_is_harmless(key)) {
        cJSON_Delete(other);
        return;
    }
    cJSON *kept = cJSON_Duplicate(item, true);
    char *name = item->string;
    char copy[128];
    (void)snprintf(copy, sizeof copy, "%s", name ? name : "");
    (void)cJSON_ReplaceItemInObjectCaseSensitive(parent, copy, other);
    f->n_flipped++;
    if (!write_config(f, root) || !run_copy(f, f->folder, f->logits, false)) {
        f->n_refused++;
    } else if (memcmp(f->logits, f->measure, (size_t)f->n * f->vocab * sizeof(float)) != 0) {
        f->n_changed++;
    } else if (!is_listed(f->c->name, key)) {
        size_t n = strlen(f->silent);
        (void)snprintf(f->silent + n, sizeof f->silent - n, " %s", key);
    }
    (void)cJSON_ReplaceItemInObjectCaseSensitive(parent, copy, kept);
}

static void walk(flip *f, cJSON *root, cJSON *object, const char *prefix)
{
    uint32_t n = (uint32_t)cJSON_GetArraySize(object);
    for (uint32_t i = 0; i < n; i++) {
        cJSON *item = cJSON_GetArrayItem(object, (int)i);
        char key[256];
        (void)snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", item->string);
        if (cJSON_IsObject(item)) {
            bool outer = strcmp(key, "vision_config") == 0 || strcmp(key, "audio_config") == 0 ||
                         strcmp(key, "quantization_config") == 0;
            if (!outer) {
                walk(f, root, item, strcmp(key, "text_config") == 0 ? "" : key);
            }
        } else {
            try_leaf(f, root, object, item, key);
        }
    }
}

static int run_case(const char *folder, const char *name)
{
    parity_case c;
    flip *f = calloc(1, sizeof *f);
    zoo_error error;
    char path[1600], command[400];
    cJSON *json = NULL;
    if (!f || case_open(folder, name, &c, &error) != ZOO_OK || c.n_prompts == 0) {
        return 1;
    }
    f->c = &c;
    f->n = c.prompts[c.n_prompts - 1].n_all;
    if (!run_copy(f, c.folder, NULL, true)) {
        return 2; /* not covered */
    }
    f->measure = malloc((size_t)f->n * f->vocab * sizeof(float));
    f->logits = malloc((size_t)f->n * f->vocab * sizeof(float));
    (void)snprintf(path, sizeof path, "%s/config.json", c.folder);
    bool ok = f->measure && f->logits && make_copy(f) && run_copy(f, c.folder, f->measure, false) &&
              zoo_json_read_python(path, 1 << 24, &json, &error) == ZOO_OK;
    if (ok) {
        cJSON *text = cJSON_GetObjectItemCaseSensitive(json, "text_config");
        f->text = cJSON_IsObject(text) ? text : json;
        walk(f, json, cJSON_IsObject(text) ? text : json, "");
    }
    (void)printf("%sok - %s (%s): %u keys changed: %u refused, %u other logits%s%s\n",
                 ok && !f->silent[0] ? "" : "not ", name, c.model_type, f->n_flipped, f->n_refused,
                 f->n_changed, f->silent[0] ? "; no effect and no reason:" : "", f->silent);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    (void)!system(command);
    return ok && !f->silent[0] ? 0 : 1;
}

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    const char *part = NULL, *reference = getenv("LMZOO_REFERENCE");
    char folder[1024];
    uint32_t n_results = 0, n_failed = 0;
    (void)snprintf(folder, sizeof folder, "%s", LMZOO_SOURCE_DIR "/tests/parity/cases");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) {
            (void)snprintf(folder, sizeof folder, "%s/parity",
                           reference ? reference : LMZOO_SOURCE_DIR "/../shared/reference");
        } else if (strcmp(argv[i], "-k") == 0 && i + 1 < argc) {
            part = argv[++i];
        }
    }
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, no_dots, alphasort);
    for (int i = 0; i < n; i++) {
        char path[1600];
        struct stat info;
        (void)snprintf(path, sizeof path, "%s/%s/reference.json", folder, entries[i]->d_name);
        if ((!part || strstr(entries[i]->d_name, part)) && stat(path, &info) == 0) {
            (void)fflush(stdout);
            pid_t child = fork();
            if (child == 0) {
                int code = run_case(folder, entries[i]->d_name);
                (void)fflush(stdout);
                _exit(code);
            }
            int status = 0;
            (void)waitpid(child, &status, 0);
            int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
            if (code == -1) {
                (void)printf("not ok - %s: stopped by a signal\n", entries[i]->d_name);
            }
            n_results += code != 2;
            n_failed += code == 1 || code == -1;
        }
        free(entries[i]);
    }
    free(entries);
    (void)printf("1..%u\n", n_results);
    return n_failed ? 1 : 0;
}
