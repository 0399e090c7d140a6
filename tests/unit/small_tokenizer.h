/* small_tokenizer.h: a tokenizer from the text of a tokenizer.json; include after cmocka.h. */
#ifndef TESTS_SMALL_TOKENIZER_H
#define TESTS_SMALL_TOKENIZER_H

#include <string.h>

#include "text/tokenizer/tokenizer.h"

static zoo_tokenizer *open_text(const char *text)
{
    zoo_tokenizer *t;
    zoo_error err;
    if (zoo_tokenizer_open_data("tokenizer.json", text, strlen(text), &t, &err) != ZOO_OK) {
        fail_msg("%s", err.text);
    }
    return t;
}

#endif
