/*
 * Routes: what matches has decoded variables that are fit to be names, and the path that is built
 * from its template and from these, each byte encoded, leads to the same method with the same
 * names. The input is "VERB PATH".
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bridge/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(pang_str text, pang_buf *out)
{
    for (size_t i = 0; i < text.len; i++)
        pang_buf_printf(out, "%%%02X", (unsigned char)text.ptr[i]);
}

static pang_str rebuild(const pang_route_match *match, pang_arena *arena)
{
    pang_buf out = {.arena = arena};
    pang_str rest = pang_str_after(match->binding->path, 1), segment;
    size_t v = 0;
    while (pang_str_next(&rest, '/', &segment)) {
        pang_buf_add_char(&out, '/');
        if (pang_str_starts(segment, PANG_STR("{")))
            encode(match->variables[v++].text, &out);
        else
            pang_buf_add(&out, segment);
    }
    assert(v == match->n_variables && !out.failed);
    return pang_buf_str(&out);
}

static void check_levels(pang_str raw, pang_arena *arena)
{
    pang_str *levels;
    size_t n;
    if (pang_split_levels(raw, PANG_SEPARATOR_UNIT, "levels", arena, &levels, &n, NULL) != PANG_OK)
        return;
    for (size_t i = 0; i < n; i++)
        assert(pang_str_is_utf8(levels[i]));
}

static void check_match(const pang_router *router, pang_str verb, const pang_route_match *match,
                        pang_arena *arena)
{
    pang_route_match again;
    pang_str allow;
    for (size_t i = 0; i < match->n_variables; i++) {
        pang_str text = match->variables[i].text;
        assert(text.len > 0 && pang_str_is_utf8(text));
        assert(memchr(text.ptr, '\0', text.len) == NULL);
        assert(!pang_str_equal(text, PANG_STR(".")) && !pang_str_equal(text, PANG_STR("..")));
        check_levels(match->variables[i].raw, arena);
    }
    assert(pang_router_match(router, verb, rebuild(match, arena), arena, &again, &allow, NULL) ==
           PANG_OK);
    assert(again.method == match->method && again.head == match->head);
    for (size_t i = 0; i < match->n_variables; i++)
        assert(pang_str_equal(again.variables[i].text, match->variables[i].text));
}

/* Made once: a router is immutable. */
static const pang_router *get_router(void)
{
    static pang_router *router;
    static pang_schema *schema;
    if (router == NULL) {
        assert(pang_schema_load(pang_schema_linked(), &schema, NULL) == PANG_OK);
        assert(pang_router_new(schema, &router, NULL) == PANG_OK);
    }
    return router;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pang_arena *arena = pang_arena_new(8 << 20);
    pang_str rest = {(const char *)data, size}, verb = PANG_STR(""), allow = PANG_STR("");
    pang_route_match match;
    if (arena == NULL)
        return 0;
    (void)pang_str_next(&rest, ' ', &verb);
    pang_code code = pang_router_match(get_router(), verb, rest, arena, &match, &allow, NULL);
    if (code == PANG_OK)
        check_match(get_router(), verb, &match, arena);
    else
        assert(code == PANG_INVALID_ARGUMENT || code == PANG_NOT_FOUND ||
               (code == PANG_UNIMPLEMENTED && allow.len > 0));
    pang_arena_free(arena);
    return 0;
}
