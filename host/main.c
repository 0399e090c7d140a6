/* main.c: the program lmzoo (commands/commands.h). */
#include "commands/commands.h"

int main(int argc, char **argv)
{
    return zoo_commands_main(argc, argv);
}
