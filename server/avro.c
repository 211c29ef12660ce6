/*
 * Avro: a file is a head (schema, codec, sync marker) and blocks of records. Every length is
 * compared with what is left before it is believed.
 */
#include "server/avro.h"

#include <string.h>

#include "server/avro_schema.h"
#include "server/zip.h"

enum {
    SYNC_BYTES = 16,
    BLOCK_MAX = 256 << 20, /* bytes of one block, expanded */
    VALUE_DEPTH_MAX = 64,
    META_MAX = 1000, /* entries in the head */
};

typedef struct {
    const char *at, *end;
} reader;

typedef struct {
    pang_str schema, codec;
    char sync[SYNC_BYTES];
} head;

typedef struct {
    avro_node *schema;
    const char *const *paths;
    size_t n;
    pang_avro_value values[PANG_AVRO_PATHS_MAX];
} walk;

static size_t left(const reader *r)
{
    return (size_t)(r->end - r->at);
}

static bool read_long(reader *r, int64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end)
            return false;
        unsigned char byte = (unsigned char)*r->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return false;
}

static bool read_exact(reader *r, int64_t size, pang_str *ret)
{
    if (size < 0 || (uint64_t)size > left(r))
        return false;
    *ret = (pang_str){r->at, (size_t)size};
    r->at += size;
    return true;
}

static bool read_bytes(reader *r, pang_str *ret)
{
    int64_t size;
    return read_long(r, &size) && read_exact(r, size, ret);
}

/* ---- values ---- */

static bool skip(reader *r, const avro_node *node, unsigned depth);

/* Blocks of items, until one of none. A negative count is followed by the block's bytes. */
static bool skip_items(reader *r, const avro_node *node, unsigned depth)
{
    pang_str ignored;
    int64_t count, size;
    for (;;) {
        if (!read_long(r, &count))
            return false;
        if (count == 0)
            return true;
        if (count < 0) {
            if (!read_long(r, &size) || !read_exact(r, size, &ignored))
                return false;
            continue;
        }
        /* Items may be of no bytes at all, so that a count says nothing about its block. */
        if ((uint64_t)count > left(r))
            return false;
        for (int64_t i = 0; i < count; i++)
            if ((node->type == AVRO_MAP && !read_bytes(r, &ignored)) ||
                !skip(r, node->children[0], depth + 1))
                return false;
    }
}

static const avro_node *branch_of(reader *r, const avro_node *node)
{
    int64_t index;
    if (!read_long(r, &index) || index < 0 || (uint64_t)index >= node->n)
        return NULL;
    return node->children[index];
}

static bool skip(reader *r, const avro_node *node, unsigned depth)
{
    pang_str ignored;
    int64_t number;
    if (node == NULL || depth > VALUE_DEPTH_MAX)
        return false;
    switch (node->type) {
    case AVRO_NULL:
        return true;
    case AVRO_BOOLEAN:
        return read_exact(r, 1, &ignored);
    case AVRO_INT:
    case AVRO_ENUM:
        return read_long(r, &number);
    case AVRO_FLOAT:
        return read_exact(r, 4, &ignored);
    case AVRO_DOUBLE:
        return read_exact(r, 8, &ignored);
    case AVRO_BYTES:
        return read_bytes(r, &ignored);
    case AVRO_FIXED:
        return read_exact(r, node->size, &ignored);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return skip_items(r, node, depth);
    case AVRO_UNION:
        return skip(r, branch_of(r, node), depth + 1);
    case AVRO_RECORD:
        for (size_t i = 0; i < node->n; i++)
            if (!skip(r, node->children[i], depth + 1))
                return false;
        return true;
    }
    return false;
}

static bool take(reader *r, const avro_node *node, pang_avro_value *ret)
{
    if (node != NULL && node->type == AVRO_UNION)
        node = branch_of(r, node);
    if (node == NULL)
        return false;
    if (node->type == AVRO_INT) {
        ret->type = PANG_AVRO_LONG;
        return read_long(r, &ret->number);
    }
    if (node->type == AVRO_BYTES) {
        ret->type = PANG_AVRO_TEXT;
        return read_bytes(r, &ret->text);
    }
    return skip(r, node, 0);
}

/* The path's part behind `above` and a dot; empty when it is not below. */
static pang_str below(const char *path, pang_str above)
{
    pang_str whole = pang_str_from(path);
    if (above.len == 0)
        return whole;
    if (!pang_str_starts(whole, above) || whole.len == above.len || whole.ptr[above.len] != '.')
        return (pang_str){0};
    return pang_str_after(whole, above.len + 1);
}

/* Takes what the paths name out of a record, inner records of one level included. */
static bool take_record(reader *r, const avro_node *node, pang_str above, walk *w)
{
    for (size_t i = 0; i < node->n; i++) {
        const avro_node *child = node->children[i];
        pang_avro_value *to = NULL;
        bool inner = false;
        for (size_t j = 0; j < w->n; j++) {
            pang_str rest = below(w->paths[j], above);
            if (pang_str_equal(rest, node->names[i]))
                to = &w->values[j];
            inner = inner || (above.len == 0 && below(w->paths[j], node->names[i]).len > 0);
        }
        if (to != NULL                            ? !take(r, child, to)
            : inner && child->type == AVRO_RECORD ? !take_record(r, child, node->names[i], w)
                                                  : !skip(r, child, 0))
            return false;
    }
    return true;
}

/* ---- the file ---- */

static bool read_head(reader *r, head *ret)
{
    pang_str magic, key, value, sync;
    int64_t count, size;
    *ret = (head){.codec = PANG_STR("null")};
    if (!read_exact(r, 4, &magic) || !pang_str_equal(magic, PANG_STR("Obj\x01")))
        return false;
    for (;;) {
        if (!read_long(r, &count))
            return false;
        if (count == 0)
            break;
        if (count < 0 && (!read_long(r, &size) || count < -META_MAX))
            return false;
        count = count < 0 ? -count : count;
        for (int64_t i = 0; i < count; i++) {
            if (!read_bytes(r, &key) || !read_bytes(r, &value))
                return false;
            if (pang_str_equal(key, PANG_STR("avro.schema")))
                ret->schema = value;
            if (pang_str_equal(key, PANG_STR("avro.codec")))
                ret->codec = value;
        }
    }
    if (!read_exact(r, SYNC_BYTES, &sync))
        return false;
    memcpy(ret->sync, sync.ptr, SYNC_BYTES);
    return true;
}

static pang_code expand(const head *h, pang_str packed, pang_arena *arena, pang_str *ret,
                        pang_err *err)
{
    if (pang_str_equal(h->codec, PANG_STR("deflate")))
        return pang_inflate(packed, BLOCK_MAX, arena, ret, err);
    if (pang_str_equal(h->codec, PANG_STR("zstandard")))
        return pang_unzstd(packed, BLOCK_MAX, arena, ret, err);
    if (!pang_str_equal(h->codec, PANG_STR("null")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "avro codec is not known: %" PANG_STR_FMT, PANG_STR_ARG(h->codec));
    *ret = packed;
    return PANG_OK;
}

/* One block's records; false when it is damaged, *ret_stop when the caller has enough. */
static bool read_block(walk *w, pang_str block, int64_t count, pang_avro_fn *fn, void *arg,
                       bool *ret_stop)
{
    reader r = {block.ptr, block.ptr + block.len};
    for (int64_t i = 0; i < count; i++) {
        memset(w->values, 0, sizeof w->values);
        if (r.at == r.end || !take_record(&r, w->schema, (pang_str){0}, w))
            return false;
        if (!fn(arg, w->values)) {
            *ret_stop = true;
            return true;
        }
    }
    return true;
}

static pang_code fail_damaged(pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "avro file is damaged");
}

static pang_code read_blocks(reader *r, const head *h, walk *w, pang_arena *scratch,
                             pang_avro_fn *fn, void *arg, pang_err *err)
{
    bool stop = false;
    while (!stop && r->at < r->end) {
        pang_str packed, block, sync;
        int64_t count;
        pang_arena_reset(scratch);
        if (!read_long(r, &count) || count < 0 || !read_bytes(r, &packed) ||
            !read_exact(r, SYNC_BYTES, &sync) || memcmp(sync.ptr, h->sync, SYNC_BYTES) != 0)
            return fail_damaged(err);
        pang_code code = expand(h, packed, scratch, &block, err);
        if (code == PANG_OK && !read_block(w, block, count, fn, arg, &stop))
            code = fail_damaged(err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

pang_code pang_avro_read(pang_str file, const char *const *paths, size_t n, pang_arena *arena,
                         pang_avro_fn *fn, void *arg, pang_err *err)
{
    reader r = {file.ptr, file.ptr + file.len};
    walk w = {.paths = paths, .n = n < PANG_AVRO_PATHS_MAX ? n : PANG_AVRO_PATHS_MAX};
    head h;
    if (file.len == 0 || !read_head(&r, &h))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "this is no avro file");
    pang_code code = avro_schema_parse(h.schema, arena, &w.schema, err);
    if (code == PANG_OK && w.schema->type != AVRO_RECORD)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "avro file does not hold records");
    if (code != PANG_OK)
        return code;
    pang_arena *scratch = pang_arena_new((size_t)BLOCK_MAX * 2);
    if (scratch == NULL)
        return pang_fail_memory(err);
    code = read_blocks(&r, &h, &w, scratch, fn, arg, err);
    pang_arena_free(scratch);
    return code;
}
