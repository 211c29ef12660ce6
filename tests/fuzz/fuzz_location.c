/*
 * Location: what is taken is taken again from its text and its canonical form, as the same place;
 * its ancestors cover it; any name makes a child that is one segment below it.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/location.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ancestors(const pang_location *at, pang_arena *arena)
{
    for (size_t n = 1; n <= at->segments; n++) {
        pang_location ancestor;
        pang_str text = pang_location_ancestor(at, n, arena);
        assert(pang_location_parse(text, "ancestor", arena, &ancestor, NULL) == PANG_OK);
        assert(ancestor.segments == n);
        assert(pang_location_covers(&ancestor, at));
        assert(n == at->segments || !pang_location_covers(at, &ancestor));
    }
}

/* The input up to the first line feed is a location, the rest a name below it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pang_arena *arena = pang_arena_new(1 << 22);
    pang_str input = {(const char *)data, size}, text;
    pang_location at, again, child;
    if (arena == NULL)
        return 0;
    pang_str name = input;
    if (!pang_str_next(&name, '\n', &text))
        text = (pang_str){NULL, 0};
    if (pang_location_parse(text, "input", arena, &at, NULL) == PANG_OK) {
        assert(pang_location_parse(at.text, "text", arena, &again, NULL) == PANG_OK);
        assert(pang_str_equal(at.canonical, again.canonical));
        if (at.canonical.len <= PANG_LOCATION_MAX) {
            assert(pang_location_parse(at.canonical, "canonical", arena, &again, NULL) == PANG_OK);
            assert(pang_str_equal(at.canonical, again.canonical));
            check_ancestors(&at, arena);
        }
        assert(pang_location_covers(&at, &again));
        if (pang_location_child(&at, name, arena, &child, NULL) == PANG_OK) {
            assert(child.segments == at.segments + 1);
            assert(pang_location_covers(&at, &child));
        }
    }
    pang_arena_free(arena);
    return 0;
}
