/*
 * Avro files: engines write them, and whoever can write into a warehouse.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "server/avro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool look(void *arg, const pang_avro_value *values)
{
    size_t *n = arg;
    for (size_t i = 0; i < 2; i++)
        if (values[i].type == PANG_AVRO_TEXT)
            *n += pang_str_hash(values[i].text) & 1;
    return ++*n < 100000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"status", "data_file.file_path"};
    pang_arena *arena = pang_arena_new(16 << 20);
    pang_err err;
    size_t n = 0;
    if (arena == NULL)
        return 0;
    pang_code code = pang_avro_read((pang_str){(const char *)data, size}, paths, 2, arena, look, &n,
                                    &err);
    assert(code == PANG_OK || err.message[0] != '\0');
    pang_arena_free(arena);
    return 0;
}
