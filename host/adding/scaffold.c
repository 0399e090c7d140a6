/* scaffold.c: a plugin from the template. */
#include "adding/scaffold.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adding/scaffold_text.h"
#include "base/mem.h"
#include "config/plugin_loader.h"

enum { NAME_MAX_BYTES = 40 };

static zoo_status check_name(const char *name, zoo_error *err)
{
    bool good = islower((unsigned char)name[0]) && strlen(name) <= NAME_MAX_BYTES;
    for (const char *p = name; *p; p++) {
        good = good && (islower((unsigned char)*p) || isdigit((unsigned char)*p) || *p == '_');
    }
    return good ? ZOO_OK
                : zoo_fail(err, ZOO_E_USAGE,
                           "\"%.60s\" is not a valid name: lower-case letters, digits and '_', at "
                           "most %d, a "
                           "letter first",
                           name, NAME_MAX_BYTES);
}

static void upper(const char *name, char *out, size_t n)
{
    (void)snprintf(out, n, "%s", name);
    for (char *p = out; *p; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
}

/* "template" in the places where a name of the plugin stands. */
static char *rename_plugin(char *text, const char *name)
{
    static const char marks[] = "_.\"";
    char big[NAME_MAX_BYTES + 8], from[16], to[NAME_MAX_BYTES + 8];
    upper(name, big, sizeof big - 2);
    (void)strcat(big, "_H");
    text = zoo_scaffold_replace(text, "TEMPLATE_H", big);
    for (const char *mark = marks; *mark; mark++) {
        (void)snprintf(from, sizeof from, "template%c", *mark);
        (void)snprintf(to, sizeof to, "%s%c", name, *mark);
        text = zoo_scaffold_replace(text, from, to);
    }
    return text;
}

static zoo_status make_folder(const char *path, zoo_error *err)
{
    if (mkdir(path, 0777) == 0) {
        return ZOO_OK;
    }
    return errno == EEXIST ? zoo_fail(err, ZOO_E_USAGE, "%s is there already", path)
                           : zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
}

static zoo_status write_told(const char *path, const char *text, zoo_out *out, zoo_error *err)
{
    ZOO_TRY(zoo_scaffold_write(path, text, true, err));
    zoo_out_format(out, "written: %s\n", path);
    return ZOO_OK;
}

static zoo_status copy_file(const char *from, const char *name, const char *path, zoo_out *out,
                            zoo_error *err)
{
    char *text = NULL;
    ZOO_TRY(zoo_scaffold_read(from, &text, err));
    text = rename_plugin(text, name);
    zoo_status status =
        text ? write_told(path, text, out, err) : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    zoo_mem_free(text);
    return status;
}

static zoo_status copy_template(const char *name, const char *folder, zoo_out *out, zoo_error *err)
{
    static const char *const files[] = {"plugin.c", "block.c", "mixer.c", "template.h"};
    char template[ZOO_SCAFFOLD_PATH], from[ZOO_SCAFFOLD_PATH + 32], to[ZOO_SCAFFOLD_PATH + 80];
    ZOO_TRY(zoo_install_folder(NULL, "template", template, sizeof template, err));
    ZOO_TRY(make_folder(folder, err));
    for (size_t i = 0; i < ZOO_COUNT(files); i++) {
        bool header = strcmp(files[i], "template.h") == 0;
        (void)snprintf(from, sizeof from, "%s/%s", template, files[i]);
        (void)snprintf(to, sizeof to, "%s/%s%s", folder, header ? name : files[i],
                       header ? ".h" : "");
        ZOO_TRY(copy_file(from, name, to, out, err));
    }
    return ZOO_OK;
}

static zoo_status write_card(const char *name, const char *path, zoo_out *out, zoo_error *err)
{
    char text[400];
    (void)snprintf(text, sizeof text,
                   "{\n  \"model_type\": \"%s\",\n  \"plugin\": \"%s\",\n"
                   "  \"options\": {\"%s.mixer\": \"attention\", \"%s.ffn\": \"square\"}\n}\n",
                   name, name, name, name);
    return write_told(path, text, out, err);
}

/* Small sizes, so that validate can make random weights. */
static zoo_status write_config(const char *name, const char *folder, zoo_out *out, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH + 80], text[600];
    (void)snprintf(path, sizeof path, "%s/config.json", folder);
    (void)snprintf(text, sizeof text,
                   "{\n  \"model_type\": \"%s\",\n  \"hidden_size\": 48,\n"
                   "  \"intermediate_size\": 80,\n  \"max_position_embeddings\": 512,\n"
                   "  \"num_attention_heads\": 4,\n  \"num_hidden_layers\": 3,\n"
                   "  \"num_key_value_heads\": 2,\n  \"rms_norm_eps\": 1e-06,\n"
                   "  \"vocab_size\": 331\n}\n",
                   name);
    return write_told(path, text, out, err);
}

static zoo_status write_build(const char *name, const char *folder, zoo_out *out, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH + 80], text[600];
    (void)snprintf(path, sizeof path, "%s/CMakeLists.txt", folder);
    (void)snprintf(text, sizeof text,
                   "cmake_minimum_required(VERSION 3.20)\nproject(%s LANGUAGES C)\n"
                   "find_package(lmzoo REQUIRED)\n"
                   "file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)\n"
                   "lmzoo_add_plugin(%s ${sources})\n",
                   name, name);
    ZOO_TRY(write_told(path, text, out, err));
    ZOO_TRY(write_config(name, folder, out, err));
    (void)snprintf(path, sizeof path, "%s/models.d", folder);
    ZOO_TRY(make_folder(path, err));
    (void)snprintf(path, sizeof path, "%s/models.d/%s.json", folder, name);
    ZOO_TRY(write_card(name, path, out, err));
    zoo_out_format(out,
                   "build it:  cmake -S %s -B %s/build && cmake --build %s/build\n"
                   "           (-DCMAKE_PREFIX_PATH=PREFIX where lmzoo is not installed for all)\n"
                   "try it:    lmzoo validate %s/build/%s.so --config %s/config.json --card-dir "
                   "%s/models.d\n"
                   "run it:    lmzoo run MODEL --plugin-dir %s/build --card-dir %s/models.d\n",
                   folder, folder, folder, folder, name, folder, folder, folder, folder);
    return ZOO_OK;
}

zoo_status zoo_scaffold_plugin(const char *name, const char *folder, zoo_out *out, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH];
    ZOO_TRY(check_name(name, err));
    bool tree = !folder && access("sdk/plugin.h", R_OK) == 0 && access("plugins", X_OK) == 0;
    (void)snprintf(path, sizeof path, "%s%s", tree ? "plugins/" : "", folder ? folder : name);
    ZOO_TRY(copy_template(name, path, out, err));
    if (!tree) {
        return write_build(name, path, out, err);
    }
    (void)snprintf(path, sizeof path, "models.d/%s.json", name);
    ZOO_TRY(write_card(name, path, out, err));
    zoo_out_format(out,
                   "build it:  ninja -C build (it finds the folder by itself)\n"
                   "try it:    lmzoo validate build/plugins/%s.so\n",
                   name);
    return ZOO_OK;
}

/* ---- a block */

enum { CHANGES_MAX = 8 };

/* A file as it will be. */
typedef struct change {
    char path[ZOO_SCAFFOLD_PATH + 80];
    char *text;
} change;

typedef struct block_job {
    char folder[ZOO_SCAFFOLD_PATH];
    char plugin[NAME_MAX_BYTES + 1];
    const char *name, *kind; /* "ffn" or "mixer" */
    change block;            /* the new file */
    change changes[CHANGES_MAX];
    uint32_t n_changes;
    zoo_out *out;  /* lines for what is written */
    zoo_out after; /* lines for what is left to do */
} block_job;

static zoo_status find_plugin(const char *plugin, block_job *job, zoo_error *err)
{
    for (int i = 0; i < 2; i++) {
        char path[ZOO_SCAFFOLD_PATH + 16];
        if (strlen(plugin) > sizeof job->folder - 64) {
            break;
        }
        (void)snprintf(job->folder, sizeof job->folder, "%s%s", i ? "plugins/" : "", plugin);
        size_t n = strlen(job->folder);
        while (n > 1 && job->folder[n - 1] == '/') {
            job->folder[--n] = '\0';
        }
        (void)snprintf(path, sizeof path, "%s/plugin.c", job->folder);
        if (access(path, R_OK) == 0) {
            const char *slash = strrchr(job->folder, '/');
            const char *name = slash ? slash + 1 : job->folder;
            ZOO_TRY(check_name(name, err));
            (void)snprintf(job->plugin, sizeof job->plugin, "%.*s", NAME_MAX_BYTES, name);
            return ZOO_OK;
        }
    }
    return zoo_fail(err, ZOO_E_USAGE, "%s: no folder with a plugin.c, here or below plugins/",
                    plugin);
}

/* The text of a file with the changes so far, to be changed further. */
static zoo_status changed_text(block_job *job, const char *path, char ***text, zoo_error *err)
{
    for (uint32_t i = 0; i < job->n_changes; i++) {
        if (strcmp(job->changes[i].path, path) == 0) {
            *text = &job->changes[i].text;
            return ZOO_OK;
        }
    }
    if (job->n_changes == CHANGES_MAX) {
        return zoo_fail(err, ZOO_E_USAGE, "%s: more files than a block changes", path);
    }
    change *c = &job->changes[job->n_changes];
    (void)snprintf(c->path, sizeof c->path, "%s", path);
    if (access(path, W_OK) != 0) {
        return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
    }
    ZOO_TRY(zoo_scaffold_read(path, &c->text, err));
    job->n_changes++;
    *text = &c->text;
    return ZOO_OK;
}

/* Inserts `what` into the text of a file, which is written when all places have been found. */
static zoo_status insert_into(block_job *job, const char *path, const char *after,
                              const char *before, const char *what, zoo_error *err)
{
    char **text = NULL;
    zoo_error why;
    ZOO_TRY(changed_text(job, path, &text, err));
    zoo_status status = zoo_scaffold_insert(text, after, before, what, &why);
    return status == ZOO_OK ? ZOO_OK
                            : zoo_fail(err, status, "%s: %s; nothing was changed", path, why.text);
}

static zoo_status write_changes(block_job *job, zoo_error *err)
{
    ZOO_TRY(write_told(job->block.path, job->block.text, job->out, err));
    for (uint32_t i = 0; i < job->n_changes; i++) {
        const change *c = &job->changes[i];
        ZOO_TRY(zoo_scaffold_write(c->path, c->text, false, err));
        zoo_out_format(job->out, "registered: %s\n", c->path);
    }
    zoo_out_format(job->out, "%.*s", (int)job->after.n, job->after.n ? job->after.data : "");
    return ZOO_OK;
}

static zoo_status make_block(block_job *job, zoo_error *err)
{
    const bool mixer = strcmp(job->kind, "mixer") == 0;
    const char *word = mixer ? "average" : "square";
    char template[ZOO_SCAFFOLD_PATH], path[ZOO_SCAFFOLD_PATH + 80];
    change *block = &job->block;
    (void)snprintf(block->path, sizeof block->path, "%s/%s.c", job->folder, job->name);
    if (access(block->path, F_OK) == 0) {
        return zoo_fail(err, ZOO_E_USAGE, "%s is there already", block->path);
    }
    ZOO_TRY(zoo_install_folder(NULL, "template", template, sizeof template, err));
    (void)snprintf(path, sizeof path, "%s/%s", template, mixer ? "mixer.c" : "block.c");
    ZOO_TRY(zoo_scaffold_read(path, &block->text, err));
    block->text = rename_plugin(zoo_scaffold_replace(block->text, word, job->name), job->plugin);
    return block->text ? ZOO_OK : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
}

static zoo_status declare(block_job *job, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH + 80], what[400];
    (void)snprintf(path, sizeof path, "%s/%s.h", job->folder, job->plugin);
    (void)snprintf(
        what, sizeof what,
        "/* %s.c */\nextern const zoo_block_ops %s_%s_ops;\nzoo_part_maker %s_%s_part;\n\n",
        job->name, job->plugin, job->name, job->plugin, job->name);
    ZOO_TRY(insert_into(job, path, "#include", "#endif", what, err));
    (void)snprintf(path, sizeof path, "%s/plugin.c", job->folder);
    (void)snprintf(what, sizeof what, "&%s_%s_ops, ", job->plugin, job->name);
    return insert_into(job, path,
                       strcmp(job->kind, "mixer") == 0 ? "const mixers[]" : "const ffns[]", "NULL}",
                       what, err);
}

/* The file with the table of parts that a card may choose; false: none. */
static bool find_choices(const block_job *job, const char *table, char *path, size_t n,
                         bool *own_option)
{
    static const char *const files[] = {"plugin.c", "model.c", "mixers.c"};
    char option[64];
    (void)snprintf(option, sizeof option, "\"@%s.%s\"", job->plugin, job->kind);
    for (size_t i = 0; i < ZOO_COUNT(files); i++) {
        char *text = NULL;
        zoo_error err;
        (void)snprintf(path, n, "%s/%s", job->folder, files[i]);
        if (zoo_scaffold_read(path, &text, &err) == ZOO_OK) {
            bool found = strstr(text, table) != NULL;
            *own_option = strstr(text, option) != NULL;
            zoo_mem_free(text);
            if (found) {
                return true;
            }
        }
    }
    return false;
}

/* A row of models.d/options.json for an option that no part of the tree has had yet, before the
 * first row whose name comes later. */
static zoo_status add_row(block_job *job, const char *path, const char *text, zoo_error *err)
{
    static const char begin[] = "\n  {\"name\": \"";
    char what[NAME_MAX_BYTES * 2 + 200], before[64 + sizeof begin];
    const char *row = strstr(text, begin);
    while (row && strcmp(row + sizeof begin - 1, job->kind) < 0) {
        row = strstr(row + 1, begin);
    }
    (void)snprintf(what, sizeof what,
                   "\n  {\"name\": \"%s\", \"readers\": [\"%s\"], \"kinds\": [\"text\"], "
                   "\"words\": [\"%s\"], \"what\": \"%s\"},",
                   job->kind, job->plugin, job->name,
                   strcmp(job->kind, "ffn") == 0
                       ? "the dense part, if it is that of a single release"
                       : "the mixer, or that of layers with a state");
    if (!row) {
        return zoo_fail(err, ZOO_E_FORMAT,
                        "%s has no row for option \"%s\"; add this one, then run the command "
                        "again (nothing was changed): %s",
                        path, job->kind, what + 3);
    }
    (void)snprintf(before, sizeof before, "%.*s", (int)(2 + strcspn(row + 2, "\n,")), row);
    return insert_into(job, path, "[", before, what, err);
}

/* The word among those that the option takes, in the source tree. */
static zoo_status add_word(block_job *job, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH + 80], name[64], what[NAME_MAX_BYTES + 8];
    (void)snprintf(path, sizeof path, "%s/../../models.d/options.json", job->folder);
    (void)snprintf(name, sizeof name, "{\"name\": \"%s\",", job->kind);
    (void)snprintf(what, sizeof what, ", \"%s\"", job->name);
    if (access(path, R_OK) != 0) {
        return ZOO_OK;
    }
    char **text = NULL;
    ZOO_TRY(changed_text(job, path, &text, err));
    ZOO_TRY(strstr(*text, name) ? insert_into(job, path, name, "], \"what\"", what, err)
                                : add_row(job, path, *text, err));
    zoo_out_format(&job->after, "then:       python3 tools/card_schema.py (the schema of cards)\n");
    return ZOO_OK;
}

static zoo_status choose(block_job *job, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH + 80], table[64], what[200];
    bool own_option = false;
    (void)snprintf(table, sizeof table, "%s_choices[]", job->kind);
    if (!find_choices(job, table, path, sizeof path, &own_option)) {
        zoo_out_format(
            &job->after,
            "by hand:    plugin %s has no table %s; configure must call %s_%s_part where "
            "its layers are made\n",
            job->plugin, table, job->plugin, job->name);
        return ZOO_OK;
    }
    (void)snprintf(what, sizeof what, "{\"%s\", %s_%s_part}, ", job->name, job->plugin, job->name);
    ZOO_TRY(insert_into(job, path, table, "{NULL", what, err));
    if (!own_option) {
        ZOO_TRY(add_word(job, err));
    }
    zoo_out_format(&job->after, "choose it:  in a card, \"options\": {\"%s%s%s\": \"%s\"}\n",
                   own_option ? job->plugin : "", own_option ? "." : "", job->kind, job->name);
    return ZOO_OK;
}

zoo_status zoo_scaffold_block(const char *plugin, const char *name, const char *kind, zoo_out *out,
                              zoo_error *err)
{
    block_job job = {.name = name, .kind = kind, .out = out};
    if (strcmp(kind, "ffn") != 0 && strcmp(kind, "mixer") != 0) {
        return zoo_fail(err, ZOO_E_USAGE, "\"%.40s\" is none of ffn, mixer", kind);
    }
    ZOO_TRY(check_name(name, err));
    ZOO_TRY(find_plugin(plugin, &job, err));
    zoo_status status = make_block(&job, err);
    if (status == ZOO_OK) {
        status = declare(&job, err);
    }
    if (status == ZOO_OK) {
        status = choose(&job, err);
    }
    if (status == ZOO_OK) {
        status = write_changes(&job, err);
    }
    for (uint32_t i = 0; i < job.n_changes; i++) {
        zoo_mem_free(job.changes[i].text);
    }
    zoo_mem_free(job.block.text);
    zoo_out_free(&job.after);
    return status;
}
