/*
 * scaffold.h: new plugins and blocks, as copies of the template that is installed with the program.
 *
 * `out` gets a line for everything that is written, and for what is left to do by hand. Existing
 * files are not overwritten.
 */
#ifndef ZOO_ADDING_SCAFFOLD_H
#define ZOO_ADDING_SCAFFOLD_H

#include "base/json_writer.h"

/*
 * A plugin of this name. folder null: plugins/<name> where the working folder is lmzoo's source
 * tree, with its card in models.d/, which the build finds by itself; else ./<name>, with a
 * CMakeLists.txt that builds it against the installed SDK, and its card in <name>/models.d.
 * ZOO_E_USAGE: a bad name, or something is there already. [load]
 */
zoo_status zoo_scaffold_plugin(const char *name, const char *folder, zoo_out *out, zoo_error *err);

/*
 * A block in a plugin: kind "ffn" or "mixer"; plugin: a folder with plugin.c, or its name below
 * plugins/. Writes <name>.c and registers it: the plugin's header, its list of blocks, its table of
 * parts that a card may choose, and in the source tree the words of that option. All places are
 * found before any file is written. ZOO_E_FORMAT: a file is not as the template's, and nothing was
 * changed. [load]
 */
zoo_status zoo_scaffold_block(const char *plugin, const char *name, const char *kind, zoo_out *out,
                              zoo_error *err);

#endif
