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

typedef struct block_job {
    char folder[ZOO_SCAFFOLD_PATH];
    char plugin[NAME_MAX_BYTES + 1];
    const char *name, *kind; /* "ffn" or "mixer" */
    zoo_out *out;
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

/* Inserts `what` into a file of the plugin and reports it. */
static zoo_status insert_into(block_job *job, const char *path, const char *after,
                              const char *before, const char *what, zoo_error *err)
{
    char *text = NULL;
    ZOO_TRY(zoo_scaffold_read(path, &text, err));
    zoo_status status = zoo_scaffold_insert(&text, after, before, what, err);
    if (status == ZOO_OK) {
        status = zoo_scaffold_write(path, text, false, err);
    }
    zoo_mem_free(text);
    if (status == ZOO_OK) {
        zoo_out_format(job->out, "registered: %s\n", path);
    }
    return status;
}

static zoo_status write_block(block_job *job, zoo_error *err)
{
    const bool mixer = strcmp(job->kind, "mixer") == 0;
    const char *word = mixer ? "average" : "square";
    char template[ZOO_SCAFFOLD_PATH], path[ZOO_SCAFFOLD_PATH + 80];
    char *text = NULL;
    ZOO_TRY(zoo_install_folder(NULL, "template", template, sizeof template, err));
    (void)snprintf(path, sizeof path, "%s/%s", template, mixer ? "mixer.c" : "block.c");
    ZOO_TRY(zoo_scaffold_read(path, &text, err));
    text = rename_plugin(zoo_scaffold_replace(text, word, job->name), job->plugin);
    (void)snprintf(path, sizeof path, "%s/%s.c", job->folder, job->name);
    zoo_status status =
        text ? write_told(path, text, job->out, err) : zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    zoo_mem_free(text);
    return status;
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

/* The word among those that the option takes, in the source tree. */
static zoo_status add_word(block_job *job, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH + 80], after[64], what[NAME_MAX_BYTES + 8];
    (void)snprintf(path, sizeof path, "%s/../../models.d/options.json", job->folder);
    (void)snprintf(after, sizeof after, "{\"name\": \"%s\",", job->kind);
    (void)snprintf(what, sizeof what, ", \"%s\"", job->name);
    if (access(path, R_OK) != 0) {
        return ZOO_OK;
    }
    ZOO_TRY(insert_into(job, path, after, "], \"what\"", what, err));
    zoo_out_format(job->out, "then:       python3 tools/card_schema.py (the schema of cards)\n");
    return ZOO_OK;
}

static zoo_status choose(block_job *job, zoo_error *err)
{
    char path[ZOO_SCAFFOLD_PATH + 80], table[64], what[200];
    bool own_option = false;
    (void)snprintf(table, sizeof table, "%s_choices[]", job->kind);
    if (!find_choices(job, table, path, sizeof path, &own_option)) {
        zoo_out_format(
            job->out,
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
    zoo_out_format(job->out, "choose it:  in a card, \"options\": {\"%s%s%s\": \"%s\"}\n",
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
    ZOO_TRY(write_block(&job, err));
    ZOO_TRY(declare(&job, err));
    return choose(&job, err);
}
