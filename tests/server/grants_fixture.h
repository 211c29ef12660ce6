/*
 * Grants for tests, in few words: ids by number, namespaces as lists of levels, and principals
 * that are compiled from arrays.
 * Threads: one. Lifetime: everything lives in the fixture's arena but compiled forms, which their
 * maker gives back.
 */
#ifndef PANG_TESTS_SERVER_GRANTS_FIXTURE_H
#define PANG_TESTS_SERVER_GRANTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/keys.h"
#include "server/grants.h"

enum { GRANTS_TENANT = 1, GRANTS_OTHER_TENANT = 2 };

static inline pang_id grants_id(unsigned n)
{
    pang_id id = {{0}};
    id.bytes[0] = 0x80;
    id.bytes[14] = (uint8_t)(n >> 8);
    id.bytes[15] = (uint8_t)n;
    return id;
}

/* Levels stand between spaces: "a b" is b in a, "a.b" is one level. */
static inline pang_str grants_path(pang_arena *arena, const char *levels)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str rest = pang_str_from(levels), list[16];
    size_t n = 0;
    while (levels[0] != '\0' && pang_str_next(&rest, ' ', &list[n]))
        n++;
    return pang_key_path(&keys, list, n);
}

static inline pang_grants *grants_compile(const pang_grants_source *from, pang_arena *arena)
{
    pang_grants *ret = NULL;
    pang_err err;
    if (pang_grants_compile(from, arena, &ret, &err) != PANG_OK)
        fail_msg("%s", err.message);
    return ret;
}

/* A member with grants of its own. */
static inline pang_grants *grants_of(const pang_grant *grants, size_t n, pang_arena *arena)
{
    pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT),
                               .rank = PANG_RANK_MEMBER,
                               .grants = grants,
                               .n_grants = n};
    return grants_compile(&from, arena);
}

static inline int grants_setup(void **state)
{
    *state = pang_arena_new(256 << 20);
    return *state == NULL ? -1 : 0;
}

static inline int grants_teardown(void **state)
{
    pang_arena_free(*state);
    return 0;
}

#endif
