/*
 * Avro: a file is a head (schema, codec, what the writer adds, a sync marker) and blocks of
 * records. Every length is compared with what is left before it is believed.
 */
#include "server/avro.h"

#include <string.h>

#include "server/avro_internal.h"
#include "server/zip.h"

enum {
    META_MAX = 1000,          /* entries in the head */
    BLOCK_BYTES = 32 << 10,   /* of one block that is written, or one record more */
    RECORD_BYTES = 256 << 20, /* memory for the lists of one record */
    EXPANDED_MAX = INT32_MAX, /* bytes of all blocks of a file */
};

struct pang_avro {
    avro_bytes blocks;
    avro_node *schema;
    pang_str *keys, *values;
    size_t n_meta;
    char sync[AVRO_SYNC_BYTES];
};

/* ---- the head ---- */

static pang_code fail_damaged(pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "avro file is damaged");
}

static bool read_meta(avro_bytes *r, pang_avro *avro)
{
    int64_t count, size;
    for (;;) {
        if (!avro_long(r, &count) || count > META_MAX || count < -META_MAX ||
            (count < 0 && !avro_long(r, &size)))
            return false;
        if (count == 0)
            return true;
        for (count = count < 0 ? -count : count; count > 0; count--) {
            if (avro->n_meta == META_MAX || !avro_text(r, &avro->keys[avro->n_meta]) ||
                !avro_text(r, &avro->values[avro->n_meta]))
                return false;
            avro->n_meta++;
        }
    }
}

pang_str pang_avro_meta(const pang_avro *avro, const char *key)
{
    for (size_t i = avro->n_meta; i-- > 0;)
        if (pang_str_equal(avro->keys[i], pang_str_from(key)))
            return avro->values[i];
    return (pang_str){0};
}

const avro_node *pang_avro_schema(const pang_avro *avro)
{
    return avro->schema;
}

static bool read_head(avro_bytes *r, pang_avro *avro)
{
    pang_str magic, sync;
    if (!avro_exact(r, 4, &magic) || !pang_str_equal(magic, PANG_STR("Obj\x01")) ||
        !read_meta(r, avro) || !avro_exact(r, AVRO_SYNC_BYTES, &sync))
        return false;
    memcpy(avro->sync, sync.ptr, AVRO_SYNC_BYTES);
    return true;
}

pang_code pang_avro_open(pang_str file, pang_arena *arena, pang_avro **ret, pang_err *err)
{
    pang_avro *avro = pang_arena_alloc(arena, sizeof *avro);
    pang_str *texts = pang_arena_alloc_n(arena, META_MAX, 2 * sizeof *texts);
    if (avro == NULL || texts == NULL)
        return pang_fail_memory(err);
    *avro = (pang_avro){.keys = texts, .values = texts + META_MAX};
    avro->blocks = (avro_bytes){file.ptr, file.ptr + file.len};
    if (file.len == 0 || !read_head(&avro->blocks, avro))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "this is no avro file");
    pang_code code = avro_schema_parse(pang_avro_meta(avro, "avro.schema"), arena, &avro->schema,
                                       err);
    /* Records that take no bytes could be of any number. */
    if (code == PANG_OK && (avro->schema->type != AVRO_RECORD || avro->schema->least == 0))
        code = pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "avro file does not hold records");
    *ret = avro;
    return code;
}

/* ---- blocks that are read ---- */

typedef struct {
    const pang_avro *avro;
    const pang_avro_want *want;
    avro_step plan;
    char *item;
    pang_arena *expanded, *lists; /* of one block; of one record */
    pang_avro_fn *fn;
    void *arg;
    bool stop;
    size_t bytes; /* of all blocks so far */
} reading;

static pang_code expand(reading *g, pang_str packed, pang_str *ret, pang_err *err)
{
    pang_str codec = pang_avro_meta(g->avro, "avro.codec");
    if (pang_str_equal(codec, PANG_STR("deflate")))
        return pang_inflate(packed, AVRO_BLOCK_MAX, g->expanded, ret, err);
    if (pang_str_equal(codec, PANG_STR("snappy")))
        return pang_unsnappy(packed, AVRO_BLOCK_MAX, g->expanded, ret, err);
    if (pang_str_equal(codec, PANG_STR("zstandard")))
        return pang_unzstd(packed, AVRO_BLOCK_MAX, g->expanded, ret, err);
    if (codec.len > 0 && !pang_str_equal(codec, PANG_STR("null")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "avro codec is not known: %" PANG_STR_FMT, PANG_STR_ARG(codec));
    *ret = packed;
    return PANG_OK;
}

static pang_code read_block(reading *g, pang_str block, int64_t count, pang_err *err)
{
    avro_bytes bytes = {block.ptr, block.ptr + block.len};
    g->bytes += block.len;
    if (g->bytes > EXPANDED_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "avro file is too large when expanded");
    for (int64_t i = 0; i < count && !g->stop; i++) {
        pang_arena_reset(g->lists);
        memcpy(g->item, g->want->blank, g->want->size);
        avro_outcome outcome = avro_decode(&bytes, &g->plan, g->lists, g->item);
        if (outcome == AVRO_NO_MEMORY)
            return pang_fail_memory(err);
        if (outcome == AVRO_DAMAGED)
            return fail_damaged(err);
        pang_code code = g->fn(g->arg, g->item, &g->stop, err);
        if (code != PANG_OK)
            return code;
    }
    return bytes.at == bytes.end || g->stop ? PANG_OK : fail_damaged(err);
}

static pang_code read_blocks(reading *g, pang_err *err)
{
    avro_bytes r = g->avro->blocks;
    while (!g->stop && r.at < r.end) {
        pang_str packed, block, sync;
        int64_t count;
        pang_arena_reset(g->expanded);
        if (!avro_long(&r, &count) || count < 0 || !avro_text(&r, &packed) ||
            !avro_exact(&r, AVRO_SYNC_BYTES, &sync) ||
            memcmp(sync.ptr, g->avro->sync, AVRO_SYNC_BYTES) != 0)
            return fail_damaged(err);
        pang_code code = expand(g, packed, &block, err);
        if (code == PANG_OK)
            code = read_block(g, block, count, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

pang_code pang_avro_read(pang_avro *avro, const pang_avro_want *want, pang_arena *arena,
                         pang_avro_fn *fn, void *arg, pang_err *err)
{
    reading g = {.avro = avro, .want = want, .fn = fn, .arg = arg};
    pang_code code = avro_plan(avro->schema, want->fields, want->n, arena, &g.plan, err);
    if (code != PANG_OK)
        return code;
    g.item = pang_arena_alloc(arena, want->size);
    g.expanded = pang_arena_new((size_t)AVRO_BLOCK_MAX * 2);
    g.lists = pang_arena_new(RECORD_BYTES);
    code = g.item == NULL || g.expanded == NULL || g.lists == NULL ? pang_fail_memory(err)
                                                                   : read_blocks(&g, err);
    pang_arena_free(g.expanded);
    pang_arena_free(g.lists);
    return code;
}

/* ---- blocks that are written ---- */

static const char *const codec_names[] = {
    [PANG_CODEC_NULL] = "null",
    [PANG_CODEC_DEFLATE] = "deflate",
    [PANG_CODEC_SNAPPY] = "snappy",
    [PANG_CODEC_ZSTANDARD] = "zstandard",
};

static void put_pair(pang_buf *to, const char *key, pang_str value)
{
    avro_put_text(to, pang_str_from(key));
    avro_put_text(to, value);
}

static void put_head(const pang_avro_new *file, pang_buf *to, pang_str sync)
{
    pang_buf schema = {.arena = to->arena};
    avro_print_schema(file, &schema);
    pang_buf_add(to, PANG_STR("Obj\x01"));
    avro_put_long(to, (int64_t)file->n_meta + 2);
    put_pair(to, "avro.schema", pang_buf_str(&schema));
    put_pair(to, "avro.codec", pang_str_from(codec_names[file->codec]));
    for (size_t i = 0; i < file->n_meta; i++)
        put_pair(to, file->meta[i].key, file->meta[i].value);
    avro_put_long(to, 0);
    pang_buf_add(to, sync);
    to->failed = to->failed || schema.failed;
}

static pang_code pack(pang_codec codec, pang_str block, pang_arena *arena, pang_str *ret,
                      pang_err *err)
{
    switch (codec) {
    case PANG_CODEC_NULL:
        break;
    case PANG_CODEC_DEFLATE:
        return pang_deflate(block, arena, ret, err);
    case PANG_CODEC_SNAPPY:
        return pang_snappy(block, arena, ret, err);
    case PANG_CODEC_ZSTANDARD:
        return pang_zstd(block, arena, ret, err);
    }
    *ret = block;
    return PANG_OK;
}

/* The records from *at on, as many as one block holds. */
static pang_code put_block(const pang_avro_new *file, size_t *at, pang_buf *to, pang_str sync,
                           pang_arena *scratch, pang_err *err)
{
    pang_buf block = {.arena = scratch};
    pang_str packed;
    size_t begin = *at;
    pang_code code = PANG_OK;
    for (; code == PANG_OK && *at < file->n && block.len < BLOCK_BYTES; ++*at)
        code = avro_encode(file, file->item(file->items, *at), &block, err);
    if (code == PANG_OK && block.failed)
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        code = pack(file->codec, pang_buf_str(&block), scratch, &packed, err);
    if (code != PANG_OK)
        return code;
    avro_put_long(to, (int64_t)(*at - begin));
    avro_put_text(to, packed);
    pang_buf_add(to, sync);
    return PANG_OK;
}

pang_code pang_avro_write(const pang_avro_new *file, const pang_env *env, pang_arena *arena,
                          pang_str *ret, pang_err *err)
{
    char marker[AVRO_SYNC_BYTES];
    pang_str sync = {marker, sizeof marker};
    pang_buf to = {.arena = arena};
    pang_arena *scratch = pang_arena_new((size_t)AVRO_BLOCK_MAX * 2);
    pang_code code = PANG_OK;
    if (scratch == NULL)
        return pang_fail_memory(err);
    pang_env_random(env, marker, sizeof marker);
    put_head(file, &to, sync);
    for (size_t at = 0; code == PANG_OK && at < file->n;) {
        pang_arena_reset(scratch);
        code = put_block(file, &at, &to, sync, scratch, err);
    }
    pang_arena_free(scratch);
    if (code == PANG_OK && to.failed)
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        *ret = pang_buf_str(&to);
    return code;
}
