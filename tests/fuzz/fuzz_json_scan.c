/*
 * JSON scanner: tokens lie in the text in their order and, written one behind the other, are the
 * same document. What the scanner takes, the document tree takes too, prints and reads again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One token behind the last one. `wants_comma` is true where a value or name came before. */
static void write_token(const pang_json_scanner *s, bool *wants_comma, pang_buf *out)
{
    bool ends = s->token == PANG_JSON_OBJECT_END || s->token == PANG_JSON_ARRAY_END;
    bool begins = s->token == PANG_JSON_OBJECT_BEGIN || s->token == PANG_JSON_ARRAY_BEGIN;
    if (*wants_comma && !ends)
        pang_buf_add_char(out, ',');
    if (s->token == PANG_JSON_STRING || s->token == PANG_JSON_NAME)
        pang_json_quote(out, s->text);
    else
        pang_buf_add(out, s->raw);
    if (s->token == PANG_JSON_NAME)
        pang_buf_add_char(out, ':');
    *wants_comma = !begins && s->token != PANG_JSON_NAME;
}

/* False when the text is none. */
static bool rewrite(pang_str text, pang_arena *arena, pang_str *ret)
{
    pang_json_scanner s;
    pang_buf out = {.arena = arena};
    bool wants_comma = false;
    const char *last = text.ptr;
    pang_json_scan_begin(&s, text, arena);
    for (;;) {
        if (pang_json_scan_next(&s, NULL) != PANG_OK)
            return false;
        if (s.token == PANG_JSON_END)
            break;
        assert(s.raw.ptr >= last && s.raw.ptr + s.raw.len <= text.ptr + text.len);
        assert(s.raw.len > 0 && pang_str_is_utf8(s.text));
        assert(s.text.len == 0 || memchr(s.text.ptr, '\0', s.text.len) == NULL);
        last = s.raw.ptr + s.raw.len;
        write_token(&s, &wants_comma, &out);
    }
    *ret = pang_buf_str(&out);
    return !out.failed;
}

static void check_skip(pang_str text, pang_arena *arena)
{
    pang_json_scanner s;
    pang_str raw;
    pang_json_scan_begin(&s, text, arena);
    assert(pang_json_scan_next(&s, NULL) == PANG_OK);
    assert(pang_json_scan_skip(&s, &raw, NULL) == PANG_OK);
    assert(pang_json_scan_next(&s, NULL) == PANG_OK && s.token == PANG_JSON_END);
    assert(pang_json_check(raw, arena, NULL) == PANG_OK);
}

static void check_tree(pang_str text, pang_arena *arena)
{
    pang_json *tree, *again;
    pang_str printed;
    if (pang_json_parse(text, arena, &tree, NULL) == PANG_RESOURCE_EXHAUSTED)
        return;
    assert(pang_json_parse(text, arena, &tree, NULL) == PANG_OK);
    if (pang_json_print(tree, arena, &printed, NULL) != PANG_OK)
        return;
    assert(pang_json_parse(printed, arena, &again, NULL) == PANG_OK);
    assert(pang_json_equal(tree, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pang_arena *arena = pang_arena_new(64 << 20);
    pang_str text = {(const char *)data, size}, once, twice;
    if (arena == NULL)
        return 0;
    pang_code code = pang_json_check(text, arena, NULL);
    bool taken = rewrite(text, arena, &once);
    assert(code == PANG_RESOURCE_EXHAUSTED || taken == (code == PANG_OK));
    if (taken) {
        assert(rewrite(once, arena, &twice));
        assert(pang_str_equal(once, twice));
        check_skip(text, arena);
        check_tree(text, arena);
    }
    pang_arena_free(arena);
    return 0;
}
