/*
 * A backend whose connections break: every commit must end as landed or not, and be what it was
 * told. Run by tests/servers/run_conformance.sh beside tests/servers/flaky.py, which breaks them:
 *     test_flaky URL_THROUGH_THE_RELAY URL [GROUPS]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "api/storage.h"

enum {
    GROUPS = 300, /* at most */
    GROUP = 3,
    COMMITS_MAX = GROUPS * GROUP,
    ARENA_BYTES = 4 << 20,
    PATIENCE_MS = 8000
};

static const char *flaky_url, *direct_url;
static int groups = GROUPS;

typedef struct {
    pang_store *flaky, *direct;
    pang_arena *arena;
    char scope[PANG_ID_HEX + 1];
    pang_outcome outcomes[COMMITS_MAX];
    int unknown, failed;
} scene;

typedef struct {
    pang_commit c;
    pang_put put;
    pang_add add;
    pang_str append;
    pang_check check;
} step;

/* The last of each group checks what is never so. */
static bool is_refused(int i)
{
    return i % GROUP == GROUP - 1;
}

static pang_store *open_store(const char *url)
{
    pang_store_config config = {
        .url = pang_str_from(url), .env = &pang_env_system, .connect_timeout_ms = 3000};
    pang_err err = {0};
    pang_store *store = NULL;
    for (int i = 0; i < 50; i++) {
        if (pang_store_open(&config, &store, &err) == PANG_OK)
            return store;
        (void)nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
    fail_msg("%s: %s", err.message, err.detail);
    return NULL;
}

static void fill_step(scene *s, step *st, int i)
{
    char hex[PANG_ID_HEX + 1];
    *st = (step){
        .append = pang_arena_printf(s->arena, "%s/s", s->scope),
        .add = {pang_arena_printf(s->arena, "%s/n", s->scope), 1},
        .put = {.key = pang_arena_printf(s->arena, "%s/x/%06d", s->scope, i),
                .body = PANG_STR("body"),
                .kind = PANG_KIND_FIRST,
                .slot = 0,
                .key_slot = PANG_NO_SLOT},
    };
    st->c.id = pang_id_v7(&pang_env_system);
    pang_id_hex(st->c.id, hex);
    st->c.scope = pang_str_from(s->scope);
    st->c.id_key = pang_arena_printf(s->arena, "%s/~id/%s", s->scope, hex);
    st->c.puts = &st->put;
    st->c.n_puts = 1;
    st->c.adds = &st->add;
    st->c.n_adds = 1;
    st->c.appends = &st->append;
    st->c.n_appends = 1;
    st->check = (pang_check){.key = st->add.counter, .value = -1, .is_counter = true};
    st->c.checks = &st->check;
    st->c.n_checks = is_refused(i);
}

static void settle(scene *s, step *st)
{
    s->unknown++;
    pang_store *const stores[] = {s->flaky, s->direct};
    for (int i = 0; i < 2 && st->c.outcome == PANG_COMMIT_UNKNOWN; i++)
        pang_store_resolve(stores[i], &st->c, pang_env_mono_ms(&pang_env_system) + PATIENCE_MS);
    if (st->c.outcome == PANG_COMMIT_UNKNOWN)
        fail_msg("a commit stays unknown: %s", st->c.err.message);
}

static void send_group(scene *s, int from)
{
    step steps[GROUP];
    pang_commit *commits[GROUP];
    for (int i = 0; i < GROUP; i++) {
        fill_step(s, &steps[i], from + i);
        commits[i] = &steps[i].c;
    }
    pang_store_apply(s->flaky, commits, GROUP);
    for (int i = 0; i < GROUP; i++) {
        if (steps[i].c.outcome == PANG_COMMIT_ABORTED)
            assert_true(is_refused(from + i)); /* the others check nothing */
        s->failed += steps[i].c.outcome == PANG_COMMIT_FAILED;
        if (steps[i].c.outcome == PANG_COMMIT_UNKNOWN)
            settle(s, &steps[i]);
        s->outcomes[from + i] = steps[i].c.outcome;
        assert_false(is_refused(from + i) && steps[i].c.outcome == PANG_COMMIT_OK);
    }
    pang_arena_reset(s->arena);
}

/* Reads through the connections that break: they answer right or not at all. */
static void read_back(scene *s, int to)
{
    pang_ref ref = {.key = pang_arena_printf(s->arena, "%s/n", s->scope)};
    pang_record r;
    pang_err err = {0};
    int64_t landed = 0;
    for (int i = 0; i < to; i++)
        landed += s->outcomes[i] == PANG_COMMIT_OK;
    if (pang_store_get(s->flaky, &ref, 1, PANG_NO_DEADLINE, s->arena, &r, &err) == PANG_OK)
        assert_int_equal(r.value, landed);
    pang_arena_reset(s->arena);
}

static int64_t read_direct(scene *s, const char *name)
{
    pang_ref ref = {.key = pang_arena_printf(s->arena, "%s/%s", s->scope, name)};
    pang_record r;
    pang_err err = {0};
    if (pang_store_get(s->direct, &ref, 1, PANG_NO_DEADLINE, s->arena, &r, &err) != PANG_OK)
        fail_msg("%s", err.message);
    return r.version == 0 ? 0 : r.value != 0 ? r.value : (int64_t)r.sequence;
}

static void store_apply__says_what_landed_though_connections_break(void **state)
{
    (void)state;
    static scene s;
    pang_err err = {0};
    s.arena = pang_arena_new(ARENA_BYTES);
    pang_id_hex(pang_id_v4(&pang_env_system), s.scope);
    s.direct = open_store(direct_url);
    assert_int_equal(pang_store_migrate(s.direct, &err), PANG_OK);
    s.flaky = open_store(flaky_url);
    for (int i = 0; i < groups; i++) {
        send_group(&s, i * GROUP);
        read_back(&s, (i + 1) * GROUP);
    }
    int64_t landed = 0, last = 0;
    for (int i = 0; i < groups * GROUP; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "x/%06d", i);
        int64_t number = read_direct(&s, name);
        if ((number != 0) != (s.outcomes[i] == PANG_COMMIT_OK))
            fail_msg("commit %d: outcome %d, number %" PRId64, i, (int)s.outcomes[i], number);
        landed += number != 0;
        assert_true(number == 0 || number > last); /* one after the other, as they were sent */
        last = number == 0 ? last : number;
        pang_arena_reset(s.arena);
    }
    assert_int_equal(read_direct(&s, "n"), landed);
    assert_int_equal(read_direct(&s, "s"), landed);
    print_message("%d landed, %d failed, %d were unknown\n", (int)landed, s.failed, s.unknown);
    assert_true(landed > groups);
    pang_store_close(s.flaky);
    pang_store_close(s.direct);
    pang_arena_free(s.arena);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: test_flaky URL_THROUGH_THE_RELAY URL [GROUPS]\n", stderr);
        return 2;
    }
    flaky_url = argv[1];
    direct_url = argv[2];
    int64_t wanted;
    if (argc > 3 && pang_str_to_int64(pang_str_from(argv[3]), &wanted) && wanted > 0 &&
        wanted < GROUPS)
        groups = (int)wanted;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_apply__says_what_landed_though_connections_break),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
