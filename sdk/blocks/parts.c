/* parts.c: parts that a card chooses by name. */
#include <string.h>

#include "blocks/ops.h"

zoo_part_maker *zoo_part_choose(const zoo_part_choice *list, const char *name)
{
    for (; list->name; list++) {
        if (strcmp(list->name, name) == 0) {
            return list->make;
        }
    }
    return NULL;
}
