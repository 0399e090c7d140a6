#include "tok.h"
zoo_status tok_load_tekken(zoo_tokenizer *t, const char *name, char *data, size_t n, zoo_error *err)
{
    (void)t;
    (void)data;
    (void)n;
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "%.300s: not read yet", name);
}
zoo_status tok_load_tiktoken(zoo_tokenizer *t, const char *name, const char *data, size_t n,
                             zoo_error *err)
{
    (void)t;
    (void)data;
    (void)n;
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "%.300s: not read yet", name);
}
