/*
 * tokenizer.h: text to token ids and back, equal to what the reference tokenizer of a checkpoint
 * gives.
 *
 * Opened from a checkpoint folder or one file: tokenizer.json (every normalizer, pre-tokenizer,
 * model, post-processor and decoder that the format knows), tokenizer.model (SentencePiece),
 * tekken.json or tiktoken.model. Text is UTF-8; each invalid byte sequence is read as one U+FFFD,
 * the way a lossy UTF-8 decoder does. Time is n log n at worst in the length of the text.
 *
 * A tokenizer is immutable after opening: any number of threads may call encode, decode and the
 * lookups on one tokenizer at once. Everything a tokenizer hands out by pointer lives until close.
 * Truncation and padding stored in a file are never applied; zoo_tokenizer_note says so.
 */
#ifndef ZOO_TEXT_TOKENIZER_TOKENIZER_H
#define ZOO_TEXT_TOKENIZER_TOKENIZER_H

#include "base.h"

typedef struct zoo_tokenizer zoo_tokenizer;
typedef struct zoo_decoder zoo_decoder;

#define ZOO_ID_NONE UINT32_MAX

/* Growable array of token ids. Zero-initialise; the caller frees it with zoo_ids_free. */
typedef struct zoo_ids {
    uint32_t *data; /* [n] */
    size_t n;
    size_t capacity;
} zoo_ids;

/* Growable bytes. Zero-initialise; data[n] is 0 after a successful call; zoo_text_free frees it. */
typedef struct zoo_text {
    char *data; /* [n], then a 0 that n does not count */
    size_t n;
    size_t capacity;
} zoo_text;

enum {
    ZOO_ENCODE_ADD_SPECIAL = 1,  /* what the post-processor adds, e.g. the begin-of-text token */
    ZOO_ENCODE_PLAIN_SPECIAL = 2 /* special tokens spelled in the text are ordinary text */
};
enum {
    ZOO_DECODE_SKIP_SPECIAL = 1 /* leave out tokens marked special */
};

typedef enum zoo_special {
    ZOO_SPECIAL_BOS,
    ZOO_SPECIAL_EOS,
    ZOO_SPECIAL_PAD,
    ZOO_SPECIAL_UNK,
    ZOO_SPECIAL_COUNT
} zoo_special;

void zoo_ids_free(zoo_ids *ids);
void zoo_text_free(zoo_text *text);

/*
 * Opens `path`: a folder, or a file of one of the kinds above (told by content, then by name). From
 * a folder it also reads tokenizer_config.json and special_tokens_map.json. Errors: ZOO_E_IO,
 * ZOO_E_FORMAT (malformed), ZOO_E_UNSUPPORTED (named and refused, e.g. dropout), ZOO_E_LIMIT,
 * ZOO_E_MEMORY.
 */
zoo_status zoo_tokenizer_open(const char *path, zoo_tokenizer **out, zoo_error *err);
/* The same from memory; `name` is the file name, which decides the format. */
zoo_status zoo_tokenizer_open_data(const char *name, const char *data, size_t n,
                                   zoo_tokenizer **out, zoo_error *err);
void zoo_tokenizer_close(zoo_tokenizer *tokenizer);

/* Appends the ids of text[n] to `out`. On an error `out` keeps what it held before the call. */
zoo_status zoo_tokenizer_encode(const zoo_tokenizer *tokenizer, const char *text, size_t n,
                                unsigned flags, zoo_ids *out, zoo_error *err);

/* Appends the text of ids[n] to `out`, always valid UTF-8. Ids without a token are left out. */
zoo_status zoo_tokenizer_decode(const zoo_tokenizer *tokenizer, const uint32_t *ids, size_t n,
                                unsigned flags, zoo_text *out, zoo_error *err);

/*
 * Decoding one id at a time. What feed and flush append is, joined, what zoo_tokenizer_decode gives
 * for the same ids, and each piece is whole characters: bytes of an unfinished one wait inside. One
 * decoder belongs to one thread; flush ends a text and readies the decoder for the next.
 */
zoo_status zoo_decoder_open(const zoo_tokenizer *tokenizer, unsigned flags, zoo_decoder **out,
                            zoo_error *err);
zoo_status zoo_decoder_feed(zoo_decoder *decoder, uint32_t id, zoo_text *out, zoo_error *err);
zoo_status zoo_decoder_flush(zoo_decoder *decoder, zoo_text *out, zoo_error *err);
void zoo_decoder_close(zoo_decoder *decoder);

/* One more than the largest id, so a table indexed by id needs this many rows;
 * ids may have holes. */
uint32_t zoo_tokenizer_size(const zoo_tokenizer *tokenizer);

/* The id of the token spelled text[n] as the vocabulary spells it, or ZOO_ID_NONE. */
uint32_t zoo_tokenizer_id(const zoo_tokenizer *tokenizer, const char *text, size_t n);

/* The token as the vocabulary spells it (byte alphabet and all), or null for a hole. */
const char *zoo_tokenizer_token(const zoo_tokenizer *tokenizer, uint32_t id, size_t *n);

/*
 * The bytes that the token adds in the middle of a text, possibly a part of a character; null for a
 * hole. For automata over bytes: the joined bytes of ids are their decoded text, but for a space
 * that some decoders strip at the start of the text.
 */
const char *zoo_tokenizer_bytes(const zoo_tokenizer *tokenizer, uint32_t id, size_t *n);

/* Whether the id is an added token marked special. */
bool zoo_tokenizer_is_special(const zoo_tokenizer *tokenizer, uint32_t id);

/* The id and spelling that the folder's configuration gives a role;
 * ZOO_ID_NONE and null: no such role. */
uint32_t zoo_tokenizer_special(const zoo_tokenizer *tokenizer, zoo_special role);
const char *zoo_tokenizer_special_text(const zoo_tokenizer *tokenizer, zoo_special role, size_t *n);

/* What was read but not applied, one sentence each; null when index is past the last. */
const char *zoo_tokenizer_note(const zoo_tokenizer *tokenizer, size_t index);
/* Whether that note is a warning: texts may become other tokens than the model was trained on. */
bool zoo_tokenizer_warns(const zoo_tokenizer *tokenizer, size_t index);

#endif
