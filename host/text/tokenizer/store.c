/*
 * store.c: memory of the tokenizer: the pool, growable arrays, the vocabulary and the map.
 *
 * Vocabulary and map are open-addressing tables at most half full; hashing by XXH3 (strings) and by
 * one multiplication (integers, whose keys come from checked files). They never shrink or delete.
 */
#define XXH_INLINE_ALL
#include "base/file.h"
#include "base/mem.h"
#include "text/tokenizer/tokenizer_private.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <xxhash.h>

struct tok_block {
    tok_block *next;
    size_t capacity, used;
    _Alignas(16) unsigned char data[];
};

static tok_block *block_new(tok_pool *pool, size_t n)
{
    size_t capacity = n > 65536 ? n : 65536;
    if (capacity > SIZE_MAX - sizeof(tok_block)) {
        return NULL;
    }
    tok_block *block = zoo_mem_array(1, sizeof *block + capacity);
    if (!block) {
        return NULL;
    }
    block->capacity = capacity;
    block->next = pool->blocks;
    pool->blocks = block;
    return block;
}

void *tok_pool_take(tok_pool *pool, size_t n)
{
    tok_block *block = pool->blocks;
    if (n > SIZE_MAX - 16) {
        return NULL;
    }
    n = (n + 15) & ~(size_t)15;
    if (!block || block->capacity - block->used < n) {
        block = block_new(pool, n);
        if (!block) {
            return NULL;
        }
    }
    void *p = block->data + block->used;
    block->used += n;
    return p;
}

void tok_pool_free(tok_pool *pool)
{
    while (pool->blocks) {
        tok_block *next = pool->blocks->next;
        zoo_mem_free(pool->blocks);
        pool->blocks = next;
    }
}

tok_str tok_pool_copy(tok_pool *pool, const char *p, size_t n)
{
    char *copy = n < SIZE_MAX - 1 ? tok_pool_take(pool, n + 1) : NULL;
    if (copy && n) {
        memcpy(copy, p, n);
    }
    return (tok_str){copy, n};
}

bool tok_grow(void *data, size_t *capacity, size_t need, size_t size)
{
    void **array = data;
    if (need <= *capacity) {
        return true;
    }
    size_t n = *capacity > SIZE_MAX / 2 ? need : *capacity * 2;
    n = n < need ? need : n;
    n = n < 64 ? 64 : n;
    if (n > SIZE_MAX / size) {
        return false;
    }
    void *grown = zoo_mem_realloc(*array, n * size);
    if (!grown) {
        return false;
    }
    *array = grown;
    *capacity = n;
    return true;
}

bool tok_ids_push(zoo_ids *ids, uint32_t id)
{
    if (!tok_grow(&ids->data, &ids->capacity, ids->n + 1, sizeof *ids->data)) {
        return false;
    }
    ids->data[ids->n++] = id;
    return true;
}

bool tok_text_push(zoo_text *text, const char *p, size_t n)
{
    if (n > SIZE_MAX - 1 - text->n || !tok_grow(&text->data, &text->capacity, text->n + n + 1, 1)) {
        return false;
    }
    if (n) {
        memcpy(text->data + text->n, p, n);
    }
    text->n += n;
    text->data[text->n] = 0;
    return true;
}

bool tok_text_push_cp(zoo_text *text, uint32_t cp)
{
    char out[4];
    return tok_text_push(text, out, tok_utf8_put(out, cp));
}

void zoo_ids_free(zoo_ids *ids)
{
    zoo_mem_free(ids->data);
    *ids = (zoo_ids){0};
}

void zoo_text_free(zoo_text *text)
{
    zoo_mem_free(text->data);
    *text = (zoo_text){0};
}

zoo_status tok_no_memory(zoo_error *err)
{
    return zoo_fail(err, ZOO_E_MEMORY, "out of memory in the tokenizer");
}

zoo_status tok_no_token(zoo_error *err)
{
    return zoo_fail(err, ZOO_E_FORMAT,
                    "the text has a character that the tokenizer has no token for");
}

static zoo_status read_open(FILE *file, const char *path, char **data, size_t *n, zoo_error *err)
{
    struct stat info;
    if (fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode)) {
        return zoo_fail(err, ZOO_E_IO, "%s is not a regular file", path);
    }
    if (info.st_size < 0 || (uint64_t)info.st_size > TOK_FILE_MAX) {
        return zoo_fail(err, ZOO_E_LIMIT, "%s is larger than 1 GiB", path);
    }
    *n = (size_t)info.st_size;
    *data = zoo_mem_alloc(*n + 1);
    if (!*data) {
        return tok_no_memory(err);
    }
    if (fread(*data, 1, *n, file) != *n) {
        zoo_mem_free(*data);
        *data = NULL;
        return zoo_fail(err, ZOO_E_IO, "%s cannot be read to its end", path);
    }
    (*data)[*n] = 0;
    return ZOO_OK;
}

zoo_status tok_read_file(const char *path, char **data, size_t *n, zoo_error *err)
{
    FILE *file;
    *data = NULL;
    ZOO_TRY(zoo_file_stream(path, &file, err));
    zoo_status status = read_open(file, path, data, n, err);
    (void)fclose(file);
    if (status == ZOO_OK && zoo_file_is_pointer(*data, *n)) {
        zoo_mem_free(*data);
        *data = NULL;
        status = zoo_fail(err, ZOO_E_FORMAT, ZOO_POINTER_SENTENCE, path);
    }
    return status;
}

/* A power of two at least twice n; n is below 2^30. */
static uint32_t table_rows(uint32_t n)
{
    uint32_t rows = 16;
    while (rows < 2 * n) {
        rows *= 2;
    }
    return rows;
}

bool tok_vocab_init(tok_vocab *vocab, tok_pool *pool, uint32_t n_ids, uint32_t n_keys)
{
    uint32_t rows = table_rows(n_keys);
    *vocab = (tok_vocab){.n_ids = n_ids, .mask = rows - 1};
    vocab->by_id = tok_pool_take(pool, (size_t)n_ids * sizeof *vocab->by_id);
    vocab->slots = tok_pool_take(pool, (size_t)rows * sizeof *vocab->slots);
    return vocab->by_id && vocab->slots;
}

static struct tok_slot *slot_of(const tok_vocab *vocab, const char *p, size_t n)
{
    uint32_t i = (uint32_t)XXH3_64bits(p, n) & vocab->mask;
    for (;; i = (i + 1) & vocab->mask) {
        struct tok_slot *slot = &vocab->slots[i];
        if (!slot->p || (slot->n == n && memcmp(slot->p, p, n) == 0)) {
            return slot;
        }
    }
}

void tok_vocab_put(tok_vocab *vocab, tok_str text, uint32_t id)
{
    struct tok_slot *slot = slot_of(vocab, text.p, text.n);
    if (!slot->p) {
        vocab->n_keys++;
        slot->p = text.p;
        slot->n = (uint32_t)text.n;
    } else if (slot->id != id) {
        vocab->by_id[slot->id] = (tok_str){NULL, 0};
    }
    slot->id = id;
    vocab->by_id[id] = text;
}

uint32_t tok_vocab_find(const tok_vocab *vocab, const char *p, size_t n)
{
    if (!vocab->slots) {
        return ZOO_ID_NONE;
    }
    const struct tok_slot *slot = slot_of(vocab, p, n);
    return slot->p ? slot->id : ZOO_ID_NONE;
}

bool tok_map_init(tok_map *map, tok_pool *pool, uint32_t n_keys)
{
    uint32_t rows = table_rows(n_keys);
    *map = (tok_map){.mask = rows - 1};
    map->rows = tok_pool_take(pool, (size_t)rows * 2 * sizeof *map->rows);
    return map->rows != NULL;
}

void tok_map_put(tok_map *map, uint64_t key, uint64_t value)
{
    uint64_t i = tok_mix(key) & map->mask;
    while (map->rows[2 * i] && map->rows[2 * i] != key) {
        i = (i + 1) & map->mask;
    }
    map->n += map->rows[2 * i] == 0;
    map->rows[2 * i] = key;
    map->rows[2 * i + 1] = value;
}

size_t tok_trie_longest(const tok_map *trie, const char *p, size_t n, uint32_t *id)
{
    uint64_t node = 0;
    size_t length = 0;
    for (size_t i = 0; trie && i < n; i++) {
        const uint64_t *next = tok_map_find(trie, 1ull << 63 | node << 8 | (uint8_t)p[i]);
        if (!next) {
            break;
        }
        node = *next >> 32;
        if ((uint32_t)*next != ZOO_ID_NONE) {
            length = i + 1;
            if (id) {
                *id = (uint32_t)*next;
            }
        }
    }
    return length;
}

size_t tok_utf8_put(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 63));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 63));
        out[2] = (char)(0x80 | (cp & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 63));
    out[2] = (char)(0x80 | (cp >> 6 & 63));
    out[3] = (char)(0x80 | (cp & 63));
    return 4;
}
