/* reading.c: opening an architecture for a command, and where its text goes. */
#include "commands/reading.h"

#include <errno.h>
#include <string.h>

#include "commands/commands.h"

zoo_status reading_open(const reading_args *args, uint32_t index, zoo_arch **out, zoo_error *err)
{
    const zoo_model_options options = {.plugin_dir = args->plugin_dir, .card_dir = args->card_dir};
    return zoo_arch_open(args->common.positional[index], &options, out, err);
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
