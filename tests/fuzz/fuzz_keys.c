/*
 * Keys: whatever parses can be unescaped, and its parts put together again are the key.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_str key = {(const char *)data, size}, text;
    pang_key_parts parts;
    if (arena == NULL)
        return 0;
    (void)pang_key_unescape(key, arena, &text);
    if (pang_key_parse(key, &parts)) {
        pang_buf again = {.arena = arena};
        pang_buf_add(&again, parts.scope);
        pang_buf_add_char(&again, '/');
        pang_buf_add(&again, parts.kind);
        for (size_t i = 0; i < parts.n; i++) {
            pang_buf_add_char(&again, '/');
            pang_buf_add(&again, parts.parts[i]);
        }
        assert(pang_str_equal(pang_buf_str(&again), key));
    }
    pang_arena_free(arena);
    return 0;
}
