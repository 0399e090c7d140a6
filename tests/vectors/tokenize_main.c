/* tokenize_main.c: the command `tokenize` alone, for tests that need no other part of the program.
 */
#include "text/tokenizer.h"

int main(int argc, char **argv)
{
    return zoo_cmd_tokenize(argc, argv);
}
