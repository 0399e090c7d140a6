/*
 * fuzz_tokenizer.c: tokenizer files and texts.
 *
 * Input: one byte for the format (t tokenizer.json, s SentencePiece, k tekken.json, r ranks), the
 * file, a byte 0xff, a text. A file that opens must encode and decode the text, and decoding id by
 * id must give whole characters that join to the text decoded at once.
 */
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *name_of(uint8_t kind)
{
    return kind == 's'   ? "tokenizer.model"
           : kind == 'k' ? "tekken.json"
           : kind == 'r' ? "tiktoken.model"
                         : "tokenizer.json";
}

static void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* A leading character never continues one, and the last one is whole. */
static bool whole_characters(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint8_t lead = (uint8_t)p[i];
        size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (length == 0 || length > n - i) {
            return false;
        }
        i += length;
    }
    return true;
}

static void decode_both(const zoo_tokenizer *t, const zoo_ids *ids, unsigned flags)
{
    zoo_text whole = {0}, parts = {0};
    zoo_decoder *decoder;
    zoo_error err;
    if (zoo_tokenizer_decode(t, ids->data, ids->n, flags, &whole, &err) == ZOO_OK &&
        zoo_decoder_open(t, flags, &decoder, &err) == ZOO_OK) {
        zoo_status status = ZOO_OK;
        for (size_t i = 0; status == ZOO_OK && i < ids->n; i++) {
            size_t before = parts.n;
            status = zoo_decoder_feed(decoder, ids->data[i], &parts, &err);
            check(status != ZOO_OK || whole_characters(parts.data + before, parts.n - before));
        }
        status = status == ZOO_OK ? zoo_decoder_flush(decoder, &parts, &err) : status;
        check(status != ZOO_OK ||
              (parts.n == whole.n && (!whole.n || memcmp(parts.data, whole.data, whole.n) == 0)));
        zoo_decoder_close(decoder);
    }
    zoo_text_free(&whole);
    zoo_text_free(&parts);
}

static void use(const zoo_tokenizer *t, const uint8_t *text, size_t n)
{
    zoo_ids ids = {0};
    zoo_error err;
    size_t length;
    for (unsigned flags = 0; flags < 4; flags++) {
        ids.n = 0;
        if (zoo_tokenizer_encode(t, (const char *)text, n, flags, &ids, &err) == ZOO_OK) {
            decode_both(t, &ids, flags & 1);
        }
    }
    ids.n = 0;
    for (uint32_t id = 0; id < zoo_tokenizer_size(t) + 2 && id < 2000; id++) {
        const char *token = zoo_tokenizer_token(t, id, &length);
        check((token == NULL) == (zoo_tokenizer_bytes(t, id, &length) == NULL));
    }
    zoo_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    zoo_tokenizer *t;
    zoo_error err = {0};
    const uint8_t *cut = n > 1 ? memchr(data + 1, 0xff, n - 1) : NULL;
    if (!cut) {
        return 0;
    }
    size_t n_file = (size_t)(cut - data) - 1;
    if (zoo_tokenizer_open_data(name_of(data[0]), (const char *)data + 1, n_file, &t, &err) ==
        ZOO_OK) {
        use(t, cut + 1, n - n_file - 2);
        zoo_tokenizer_close(t);
    } else {
        check(err.text[0] && err.code < 0);
    }
    return 0;
}
