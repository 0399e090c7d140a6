/* main.c: the program lmzoo. */
#include <stdio.h>

int main(void)
{
    (void)fputs("lmzoo " LMZOO_VERSION "\n", stderr);
    return 2;
}
