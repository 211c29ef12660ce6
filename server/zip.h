/*
 * Zip: compressions. zstd for documents in the store, gzip for those in files whose table asks for
 * it, and the codecs of Avro's blocks.
 * Called by server/metadata.c, files.c and avro.c. Threads: any. Lifetime: results live in the
 * arena.
 */
#ifndef PANG_SERVER_ZIP_H
#define PANG_SERVER_ZIP_H

#include "api/arena.h"

typedef struct pang_zip pang_zip;

/* Holds a few contexts of zstd for reuse: making one costs more than compressing a document. NULL
 * without memory. */
pang_zip *pang_zip_new(void);
void pang_zip_free(pang_zip *zip); /* NULL is fine */

/* ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_zip_pack(pang_zip *zip, pang_str text, pang_arena *arena,
                                        pang_str *ret, pang_err *err);
/* `size` is that of the text. ERRORS: DATA_LOSS, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_zip_unpack(pang_zip *zip, pang_str packed, size_t size,
                                          pang_arena *arena, pang_str *ret, pang_err *err);

/* ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_gzip(pang_str text, pang_arena *arena, pang_str *ret, pang_err *err);
bool pang_is_gzip(pang_str bytes);
/* ERRORS: INVALID_ARGUMENT (no gzip, or more than max_bytes inside), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_gunzip(pang_str bytes, size_t max_bytes, pang_arena *arena,
                                      pang_str *ret, pang_err *err);

/* The codecs of Avro's blocks: deflate without a head, snappy with a sum behind, zstd whose head
 * need not say the size. A snappy head may ask for more memory than its text needs: the arena's
 * limit answers. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_deflate(pang_str text, pang_arena *arena, pang_str *ret,
                                       pang_err *err);
PANG_MUST_CHECK pang_code pang_snappy(pang_str text, pang_arena *arena, pang_str *ret,
                                      pang_err *err);
PANG_MUST_CHECK pang_code pang_zstd(pang_str text, pang_arena *arena, pang_str *ret, pang_err *err);
/* ERRORS: as pang_gunzip. */
PANG_MUST_CHECK pang_code pang_inflate(pang_str bytes, size_t max_bytes, pang_arena *arena,
                                       pang_str *ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_unsnappy(pang_str bytes, size_t max_bytes, pang_arena *arena,
                                        pang_str *ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_unzstd(pang_str bytes, size_t max_bytes, pang_arena *arena,
                                      pang_str *ret, pang_err *err);

#endif
