/* arena.c: placeholder of the build until the first host file lands. */
typedef int zoo_arena_unit;
