/* reading.c: opening an architecture for a command, and where its text goes. */
#include "commands/reading.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "commands/commands.h"

enum { CONFIG_BYTES_MAX = 64 << 20 };

/* A config file that names no model_type, with the type that the caller gave. */
static zoo_status open_typed(const reading_args *args, const char *path,
                             const zoo_model_options *options, zoo_arch **out, zoo_error *err)
{
    cJSON *config = NULL;
    *out = NULL;
    ZOO_TRY(zoo_json_read_python(path, CONFIG_BYTES_MAX, &config, err));
    if (!cJSON_GetObjectItemCaseSensitive(config, "model_type")) {
        (void)cJSON_AddStringToObject(config, "model_type", args->type);
    }
    char *text = cJSON_PrintUnformatted(config);
    cJSON_Delete(config);
    zoo_status status = text ? zoo_arch_open_text(path, text, options, out, err)
                             : zoo_fail(err, ZOO_E_MEMORY, "%s: out of memory", path);
    cJSON_free(text);
    return status;
}

zoo_status reading_open(const reading_args *args, uint32_t index, zoo_arch **out, zoo_error *err)
{
    const zoo_model_options options = {.plugin_dir = args->plugin_dir, .card_dir = args->card_dir};
    const char *name = args->common.positional[index];
    struct stat info;
    bool is_file = stat(name, &info) == 0 && S_ISREG(info.st_mode);
    return args->type && is_file ? open_typed(args, name, &options, out, err)
                                 : zoo_arch_open(name, &options, out, err);
}

int reading_exit_code(zoo_status status)
{
    return status == ZOO_E_USAGE ? 2 : zoo_exit_code_model(status);
}

int reading_print(const char *command, const zoo_out *out)
{
    bool written = !out->failed && (out->n == 0 || fwrite(out->data, out->n, 1, stdout) == 1) &&
                   fflush(stdout) == 0;
    if (!written) {
        zoo_error err;
        (void)zoo_fail(&err, ZOO_E_IO, "%s",
                       out->failed ? "out of memory" : "the output cannot be written");
        return zoo_command_failed(command, &err, 4);
    }
    return 0;
}

int reading_save(const char *command, const char *path, const zoo_out *out)
{
    FILE *file = out->failed ? NULL : fopen(path, "wb");
    bool written = file && (out->n == 0 || fwrite(out->data, out->n, 1, file) == 1);
    written = file && fclose(file) == 0 && written;
    if (!written) {
        zoo_error err;
        (void)zoo_fail(&err, ZOO_E_IO, "%s: %s", path,
                       out->failed ? "out of memory" : strerror(errno));
        return zoo_command_failed(command, &err, 4);
    }
    return 0;
}
