/*
 * Avro: reads object container files as far as the catalog needs: some fields of each record.
 * Called by purge.c. Threads: any; nothing is shared. Lifetime: values are borrowed until the
 * callback returns.
 *
 * Any schema is walked, so that files of every writer can be read; what is not asked for is
 * skipped. Codecs: null, deflate, zstandard.
 */
#ifndef PANG_SERVER_AVRO_H
#define PANG_SERVER_AVRO_H

#include "api/arena.h"

enum { PANG_AVRO_PATHS_MAX = 8 };

typedef enum { PANG_AVRO_ABSENT, PANG_AVRO_LONG, PANG_AVRO_TEXT } pang_avro_type;

typedef struct {
    pang_avro_type type; /* absent: no such field, null, or of another type */
    int64_t number;
    pang_str text;
} pang_avro_value;

/* One record: values[i] is the field that paths[i] names. Return false to stop. */
typedef bool pang_avro_fn(void *arg, const pang_avro_value *values);

/* Paths are of at most two names: "manifest_path", "data_file.file_path". The arena holds the
 * schema. ERRORS: INVALID_ARGUMENT (no Avro file, damaged, another codec), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_avro_read(pang_str file, const char *const *paths, size_t n,
                                         pang_arena *arena, pang_avro_fn *fn, void *arg,
                                         pang_err *err);

#endif
