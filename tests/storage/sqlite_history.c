/*
 * The history of sqlite_history.h.
 */
#include "tests/storage/sqlite_history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RING = 48, BODY_MAX = 6000, ARENA_BYTES = 16 << 20 };

typedef struct {
    pang_commit c;
    pang_put puts[2];
    pang_add add;
    pang_str append;
} step;

void history_remove(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char name[600];
        (void)snprintf(name, sizeof name, "%s%s", path, endings[i]);
        (void)unlink(name);
    }
}

void history_begin(history *h, const char *name)
{
    const char *folder = getenv("TEST_TMPDIR");
    *h = (history){.env = &pang_env_system, .arena = pang_arena_new(ARENA_BYTES)};
    assert_non_null(h->arena);
    (void)snprintf(h->path, sizeof h->path, "%s/%s", folder == NULL ? "/tmp" : folder, name);
    history_remove(h->path);
}

pang_code history_open(history *h, bool migrate, pang_err *err)
{
    char url[600];
    (void)snprintf(url, sizeof url, "sqlite:%s", h->path);
    pang_store_config config = {.url = pang_str_from(url), .env = h->env};
    pang_code code = pang_store_open(&config, &h->store, err);
    if (code == PANG_OK && migrate)
        code = pang_store_migrate(h->store, err);
    return code;
}

void history_close(history *h)
{
    pang_store_close(h->store);
    h->store = NULL;
}

void history_end(history *h)
{
    history_close(h);
    pang_arena_free(h->arena);
    history_remove(h->path);
}

/* What commit number i writes: its number, and as many bytes as make pages overflow at times. */
static pang_str body_of(history *h, uint64_t i)
{
    size_t len = 20 + (size_t)(i * 2654435761u % BODY_MAX);
    char *to = pang_arena_alloc_text(h->arena, len);
    assert_non_null(to);
    memset(to, 'a' + (int)(i % 26), len);
    (void)snprintf(to, len, "%" PRIu64, i);
    return (pang_str){to, len};
}

static pang_str ring_key(history *h, int half, uint64_t i)
{
    return pang_arena_printf(h->arena, "t/%d/%02u", half, (unsigned)(i % RING));
}

static void fill_step(history *h, step *s, uint64_t i)
{
    char hex[PANG_ID_HEX + 1];
    *s = (step){.append = PANG_STR("t/s"), .add = {PANG_STR("t/n"), 1}};
    for (int half = 0; half < 2; half++)
        s->puts[half] = (pang_put){
            .key = ring_key(h, half, i),
            .body = body_of(h, i),
            .kind = PANG_KIND_FIRST,
            .slot = 0,
            .key_slot = PANG_NO_SLOT,
        };
    s->c.id = pang_id_v7(&pang_env_system);
    pang_id_hex(s->c.id, hex);
    s->c.scope = PANG_STR("t");
    s->c.id_key = pang_arena_printf(h->arena, "t/~id/%s", hex);
    s->c.puts = s->puts;
    s->c.n_puts = 2;
    s->c.adds = &s->add;
    s->c.n_adds = 1;
    s->c.appends = &s->append;
    s->c.n_appends = 1;
}

pang_outcome history_commit(history *h, uint64_t landed, size_t n, pang_err *ret_err)
{
    step steps[HISTORY_GROUP_MAX];
    pang_commit *commits[HISTORY_GROUP_MAX];
    assert_in_range(n, 1, HISTORY_GROUP_MAX);
    for (size_t i = 0; i < n; i++) {
        fill_step(h, &steps[i], landed + i + 1);
        commits[i] = &steps[i].c;
    }
    pang_store_apply(h->store, commits, n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(steps[i].c.outcome, steps[0].c.outcome);
        assert_int_not_equal(steps[i].c.outcome, PANG_COMMIT_ABORTED);
        if (steps[i].c.outcome == PANG_COMMIT_OK)
            assert_int_equal(steps[i].c.numbers[0], landed + i + 1);
        else
            assert_int_not_equal(steps[i].c.err.code, PANG_OK);
    }
    if (ret_err != NULL)
        *ret_err = steps[0].c.err;
    pang_arena_reset(h->arena);
    return steps[0].c.outcome;
}

/* Slot k of the ring must hold the last number up to `landed` that falls on it. */
static void check_ring(history *h, uint64_t landed, const pang_record *r, int half, uint64_t k)
{
    uint64_t back = (landed + RING - k) % RING;
    if (landed < back || landed - back == 0) {
        if (r->version != 0)
            fail_msg("record %d/%" PRIu64 " is there after %" PRIu64, half, k, landed);
        return;
    }
    if (r->version == 0 || r->sequence != landed - back ||
        !pang_str_equal(r->body, body_of(h, landed - back)))
        fail_msg("record %d/%" PRIu64 " is not that of %" PRIu64 " but of %" PRIu64, half, k,
                 landed - back, r->sequence);
}

uint64_t history_landed(history *h)
{
    pang_ref refs[2 * RING + 2];
    pang_record r[2 * RING + 2];
    for (unsigned i = 0; i < 2 * RING; i++)
        refs[i] = (pang_ref){.key = ring_key(h, (int)(i / RING), i % RING)};
    refs[2 * RING] = (pang_ref){.key = PANG_STR("t/s")};
    refs[2 * RING + 1] = (pang_ref){.key = PANG_STR("t/n")};
    pang_err err = {0};
    if (pang_store_get(h->store, refs, 2 * RING + 2, PANG_NO_DEADLINE, h->arena, r, &err) !=
        PANG_OK)
        fail_msg("%s: %s", err.message, err.detail);
    uint64_t landed = (uint64_t)r[2 * RING].value;
    assert_int_equal(r[2 * RING + 1].value, landed);
    for (unsigned i = 0; i < 2 * RING; i++)
        check_ring(h, landed, &r[i], (int)(i / RING), i % RING);
    pang_arena_reset(h->arena);
    return landed;
}
