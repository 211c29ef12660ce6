/*
 * Zip: zstd at level 1, which makes a metadata document several times smaller at some hundred
 * megabytes a second, gzip and deflate through zlib, and snappy as Avro frames it.
 */
#include "server/zip.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum {
    LEVEL = 1,
    KEPT = 4,              /* contexts of each kind that are kept for reuse */
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, a gzip head */
    RAW_WINDOW = -15,      /* the same, no head at all */
    FIRST_TEXT = 1 << 16,  /* bytes first tried when expanding gzip, which does not say */
    SUM_BYTES = 4,         /* behind snappy's, a CRC-32 of the text, big-endian */
};

struct pang_zip {
    pthread_mutex_t lock; /* guards all below */
    ZSTD_CCtx *packers[KEPT];
    ZSTD_DCtx *unpackers[KEPT];
    size_t n_packers, n_unpackers;
};

pang_zip *pang_zip_new(void)
{
    pang_zip *zip = calloc(1, sizeof *zip);
    if (zip != NULL && pthread_mutex_init(&zip->lock, NULL) != 0) {
        free(zip);
        return NULL;
    }
    return zip;
}

void pang_zip_free(pang_zip *zip)
{
    if (zip == NULL)
        return;
    while (zip->n_packers > 0)
        ZSTD_freeCCtx(zip->packers[--zip->n_packers]);
    while (zip->n_unpackers > 0)
        ZSTD_freeDCtx(zip->unpackers[--zip->n_unpackers]);
    pthread_mutex_destroy(&zip->lock);
    free(zip);
}

static ZSTD_CCtx *take_packer(pang_zip *zip)
{
    ZSTD_CCtx *taken = NULL;
    pthread_mutex_lock(&zip->lock);
    if (zip->n_packers > 0)
        taken = zip->packers[--zip->n_packers];
    pthread_mutex_unlock(&zip->lock);
    return taken != NULL ? taken : ZSTD_createCCtx();
}

static void give_packer(pang_zip *zip, ZSTD_CCtx *packer)
{
    pthread_mutex_lock(&zip->lock);
    if (zip->n_packers < KEPT) {
        zip->packers[zip->n_packers++] = packer;
        packer = NULL;
    }
    pthread_mutex_unlock(&zip->lock);
    ZSTD_freeCCtx(packer);
}

static ZSTD_DCtx *take_unpacker(pang_zip *zip)
{
    ZSTD_DCtx *taken = NULL;
    pthread_mutex_lock(&zip->lock);
    if (zip->n_unpackers > 0)
        taken = zip->unpackers[--zip->n_unpackers];
    pthread_mutex_unlock(&zip->lock);
    return taken != NULL ? taken : ZSTD_createDCtx();
}

static void give_unpacker(pang_zip *zip, ZSTD_DCtx *unpacker)
{
    pthread_mutex_lock(&zip->lock);
    if (zip->n_unpackers < KEPT) {
        zip->unpackers[zip->n_unpackers++] = unpacker;
        unpacker = NULL;
    }
    pthread_mutex_unlock(&zip->lock);
    ZSTD_freeDCtx(unpacker);
}

pang_code pang_zip_pack(pang_zip *zip, pang_str text, pang_arena *arena, pang_str *ret,
                        pang_err *err)
{
    size_t room = ZSTD_compressBound(text.len);
    char *to = pang_arena_alloc_text(arena, room + 1);
    ZSTD_CCtx *packer = to == NULL ? NULL : take_packer(zip);
    if (packer == NULL)
        return pang_fail_memory(err);
    size_t len = ZSTD_compressCCtx(packer, to, room, text.ptr, text.len, LEVEL);
    give_packer(zip, packer);
    if (ZSTD_isError(len))
        return pang_fail_memory(err);
    *ret = (pang_str){to, len};
    return PANG_OK;
}

pang_code pang_zip_unpack(pang_zip *zip, pang_str packed, size_t size, pang_arena *arena,
                          pang_str *ret, pang_err *err)
{
    char *to = pang_arena_alloc_text(arena, size + 1);
    ZSTD_DCtx *unpacker = to == NULL ? NULL : take_unpacker(zip);
    if (unpacker == NULL)
        return pang_fail_memory(err);
    size_t len = ZSTD_decompressDCtx(unpacker, to, size, packed.ptr, packed.len);
    give_unpacker(zip, unpacker);
    if (ZSTD_isError(len) || len != size)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "a stored metadata document is damaged");
    to[len] = '\0';
    *ret = (pang_str){to, len};
    return PANG_OK;
}

/* Compresses with the head that `window` asks for. */
static pang_code pack(pang_str text, int window, pang_arena *arena, pang_str *ret, pang_err *err)
{
    z_stream stream = {0};
    if (text.len > UINT32_MAX / 2 ||
        deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return pang_fail_memory(err);
    size_t room = deflateBound(&stream, (uLong)text.len);
    char *to = pang_arena_alloc_text(arena, room + 1);
    stream.next_in = (Bytef *)(uintptr_t)text.ptr;
    stream.avail_in = (uInt)text.len;
    stream.next_out = (Bytef *)to;
    stream.avail_out = (uInt)room;
    bool done = to != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    size_t len = room - stream.avail_out;
    deflateEnd(&stream);
    if (!done)
        return pang_fail_memory(err);
    *ret = (pang_str){to, len};
    return PANG_OK;
}

pang_code pang_gzip(pang_str text, pang_arena *arena, pang_str *ret, pang_err *err)
{
    return pack(text, GZIP_WINDOW, arena, ret, err);
}

pang_code pang_deflate(pang_str text, pang_arena *arena, pang_str *ret, pang_err *err)
{
    return pack(text, RAW_WINDOW, arena, ret, err);
}

bool pang_is_gzip(pang_str bytes)
{
    return pang_str_starts(bytes, PANG_STR("\x1f\x8b"));
}

/* Expands into a buffer that doubles; Z_OK, Z_BUF_ERROR (more than max_bytes) or what zlib says. */
static int expand(z_stream *stream, pang_buf *to, size_t max_bytes)
{
    char past = '\0'; /* takes what comes behind the limit, for which no memory is spent */
    for (size_t room = FIRST_TEXT;; room *= 2) {
        size_t left = max_bytes - to->len;
        bool full = left == 0;
        if (room > left)
            room = full ? sizeof past : left;
        char *at = full ? &past : pang_buf_room(to, room);
        if (at == NULL)
            return Z_MEM_ERROR;
        stream->next_out = (Bytef *)at;
        stream->avail_out = (uInt)room;
        int outcome = inflate(stream, Z_NO_FLUSH);
        if (full && stream->avail_out == 0)
            return Z_BUF_ERROR;
        to->len += full ? 0 : room - stream->avail_out;
        if (outcome == Z_STREAM_END)
            return Z_OK;
        if (outcome != Z_OK || stream->avail_out > 0)
            return Z_DATA_ERROR;
    }
}

static pang_code fail_expand(int outcome, size_t max_bytes, const char *what, pang_err *err)
{
    if (outcome == Z_MEM_ERROR)
        return pang_fail_memory(err);
    if (outcome == Z_BUF_ERROR)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "%s is too large when expanded: at most %zu bytes", what, max_bytes);
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException", "%s is damaged or cut",
                     what);
}

static pang_code expand_all(pang_str bytes, int window, const char *what, size_t max_bytes,
                            pang_arena *arena, pang_str *ret, pang_err *err)
{
    z_stream stream = {0};
    pang_buf to = {.arena = arena};
    if (bytes.len > UINT32_MAX / 2 || inflateInit2(&stream, window) != Z_OK)
        return pang_fail_memory(err);
    stream.next_in = (Bytef *)(uintptr_t)bytes.ptr;
    stream.avail_in = (uInt)bytes.len;
    int outcome = expand(&stream, &to, max_bytes);
    inflateEnd(&stream);
    if (outcome != Z_OK)
        return fail_expand(outcome, max_bytes, what, err);
    *ret = pang_buf_str(&to);
    return PANG_OK;
}

pang_code pang_gunzip(pang_str bytes, size_t max_bytes, pang_arena *arena, pang_str *ret,
                      pang_err *err)
{
    return expand_all(bytes, GZIP_WINDOW, "gzip file", max_bytes, arena, ret, err);
}

pang_code pang_inflate(pang_str bytes, size_t max_bytes, pang_arena *arena, pang_str *ret,
                       pang_err *err)
{
    return expand_all(bytes, RAW_WINDOW, "deflate block", max_bytes, arena, ret, err);
}

/* As expand, for zstd. */
static int expand_zstd(ZSTD_DStream *stream, ZSTD_inBuffer *in, pang_buf *to, size_t max_bytes)
{
    size_t room = ZSTD_DStreamOutSize();
    for (;;) {
        char *at = pang_buf_room(to, room);
        if (at == NULL)
            return Z_MEM_ERROR;
        ZSTD_outBuffer out = {at, room, 0};
        size_t left = ZSTD_decompressStream(stream, &out, in);
        to->len += out.pos;
        if (to->len > max_bytes)
            return Z_BUF_ERROR;
        if (left == 0)
            return Z_OK;
        if (ZSTD_isError(left) || (out.pos == 0 && in->pos == in->size))
            return Z_DATA_ERROR;
    }
}

pang_code pang_unzstd(pang_str bytes, size_t max_bytes, pang_arena *arena, pang_str *ret,
                      pang_err *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {bytes.ptr, bytes.len, 0};
    pang_buf to = {.arena = arena};
    if (stream == NULL)
        return pang_fail_memory(err);
    int outcome = expand_zstd(stream, &in, &to, max_bytes);
    ZSTD_freeDStream(stream);
    if (outcome != Z_OK)
        return fail_expand(outcome, max_bytes, "zstd block", err);
    *ret = pang_buf_str(&to);
    return PANG_OK;
}

pang_code pang_zstd(pang_str text, pang_arena *arena, pang_str *ret, pang_err *err)
{
    size_t room = ZSTD_compressBound(text.len);
    char *to = pang_arena_alloc_text(arena, room + 1);
    size_t len = to == NULL ? 0 : ZSTD_compress(to, room, text.ptr, text.len, LEVEL);
    if (to == NULL || ZSTD_isError(len))
        return pang_fail_memory(err);
    *ret = (pang_str){to, len};
    return PANG_OK;
}

static uint32_t sum_of(pang_str text)
{
    return (uint32_t)crc32(0, (const Bytef *)text.ptr, (uInt)text.len);
}

pang_code pang_snappy(pang_str text, pang_arena *arena, pang_str *ret, pang_err *err)
{
    size_t len = snappy_max_compressed_length(text.len);
    char *to = text.len > UINT32_MAX / 2 ? NULL : pang_arena_alloc_text(arena, len + SUM_BYTES);
    if (to == NULL || snappy_compress(text.ptr, text.len, to, &len) != SNAPPY_OK)
        return pang_fail_memory(err);
    uint32_t sum = sum_of(text);
    for (size_t i = 0; i < SUM_BYTES; i++)
        to[len + i] = (char)(uint8_t)(sum >> (24 - 8 * i));
    *ret = (pang_str){to, len + SUM_BYTES};
    return PANG_OK;
}

pang_code pang_unsnappy(pang_str bytes, size_t max_bytes, pang_arena *arena, pang_str *ret,
                        pang_err *err)
{
    size_t packed = bytes.len < SUM_BYTES ? 0 : bytes.len - SUM_BYTES, len;
    if (packed == 0 || snappy_uncompressed_length(bytes.ptr, packed, &len) != SNAPPY_OK)
        return fail_expand(Z_DATA_ERROR, max_bytes, "snappy block", err);
    if (len > max_bytes || len > UINT32_MAX / 2)
        return fail_expand(Z_BUF_ERROR, max_bytes, "snappy block", err);
    char *to = pang_arena_alloc_text(arena, len + 1);
    if (to == NULL)
        return pang_fail_memory(err);
    uint32_t sum = 0;
    for (size_t i = 0; i < SUM_BYTES; i++)
        sum = sum << 8 | (uint8_t)bytes.ptr[packed + i];
    if (snappy_uncompress(bytes.ptr, packed, to, &len) != SNAPPY_OK ||
        sum != sum_of((pang_str){to, len}))
        return fail_expand(Z_DATA_ERROR, max_bytes, "snappy block", err);
    *ret = (pang_str){to, len};
    return PANG_OK;
}
