#include "tok.h"
zoo_status tok_load_spm(zoo_tokenizer *t, const char *name, const char *data, size_t n,
                        zoo_error *err)
{
    (void)t;
    (void)data;
    (void)n;
    return zoo_fail(err, ZOO_E_UNSUPPORTED, "%.300s: SentencePiece is not read yet", name);
}
