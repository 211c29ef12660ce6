/*
 * The fixture of the suite, and its list of parts. See conformance.h.
 */
#include "tests/storage/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 256 << 20, SUITE_MAX = 128 };

/* ---- the world ---- */

static pang_store *open_store(const world *w)
{
    pang_store_config config = {
        .url = pang_str_from(w->url),
        .env = &pang_env_system,
        .connect_timeout_ms = 10000,
    };
    pang_err err = {0};
    pang_store *store = NULL;
    if (pang_store_open(&config, &store, &err) != PANG_OK ||
        pang_store_migrate(store, &err) != PANG_OK)
        fail_msg("%s: %s", err.message, err.detail);
    return store;
}

void world_open(world *w)
{
    w->store[0] = open_store(w);
    w->is_shared = !w->store[0]->ops->exclusive;
    w->store[1] = w->is_shared ? open_store(w) : w->store[0];
}

void world_close(world *w)
{
    if (w->is_shared)
        pang_store_close(w->store[1]);
    pang_store_close(w->store[0]);
    w->store[0] = w->store[1] = NULL;
}

void world_new_scope(world *w)
{
    pang_id_hex(pang_id_v4(&pang_env_system), w->scope);
}

pang_str key_of(world *w, const char *fmt, ...)
{
    char name[PANG_KEY_MAX + 1];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    assert_in_range(len, 0, sizeof name - 1);
    return pang_arena_printf(w->arena, "%s/%s", w->scope, name);
}

/* ---- commits ---- */

draft *draft_new(world *w)
{
    draft *d = pang_arena_alloc(w->arena, sizeof *d);
    assert_non_null(d);
    char hex[PANG_ID_HEX + 1];
    d->c.id = pang_id_v7(&pang_env_system);
    pang_id_hex(d->c.id, hex);
    d->c.scope = pang_arena_printf(w->arena, "%s", w->scope);
    d->c.id_key = key_of(w, "~id/%s", hex);
    d->c.checks = d->checks;
    d->c.puts = d->puts;
    d->c.deletes = d->deletes;
    d->c.appends = d->appends;
    d->c.adds = d->adds;
    return d;
}

pang_put *draft_put(draft *d, pang_str key, pang_str body)
{
    assert_in_range(d->c.n_puts, 0, DRAFT_MAX - 1);
    pang_put *put = &d->puts[d->c.n_puts++];
    *put = (pang_put){
        .key = key,
        .body = body,
        .kind = PANG_KIND_FIRST,
        .slot = PANG_NO_SLOT,
        .key_slot = PANG_NO_SLOT,
    };
    return put;
}

void draft_check(draft *d, pang_str key, uint64_t version)
{
    assert_in_range(d->c.n_checks, 0, DRAFT_MAX - 1);
    d->checks[d->c.n_checks++] = (pang_check){.key = key, .version = version};
}

void draft_check_counter(draft *d, pang_str key, int64_t value)
{
    assert_in_range(d->c.n_checks, 0, DRAFT_MAX - 1);
    d->checks[d->c.n_checks++] = (pang_check){.key = key, .value = value, .is_counter = true};
}

void draft_delete(draft *d, pang_str key)
{
    assert_in_range(d->c.n_deletes, 0, DRAFT_MAX - 1);
    d->deletes[d->c.n_deletes++] = key;
}

int draft_append(draft *d, pang_str sequence)
{
    assert_in_range(d->c.n_appends, 0, PANG_APPENDS_MAX - 1);
    d->appends[d->c.n_appends] = sequence;
    return (int)d->c.n_appends++;
}

void draft_add(draft *d, pang_str counter, int64_t amount)
{
    assert_in_range(d->c.n_adds, 0, DRAFT_MAX - 1);
    d->adds[d->c.n_adds++] = (pang_add){.counter = counter, .amount = amount};
}

pang_outcome draft_send(world *w, int client, draft *d)
{
    pang_commit *const one[] = {&d->c};
    d->c.outcome = (pang_outcome)77;
    pang_store_apply(w->store[client], one, 1);
    assert_in_range(d->c.outcome, PANG_COMMIT_OK, PANG_COMMIT_UNKNOWN);
    return d->c.outcome;
}

void must_send(world *w, int client, draft *d, pang_outcome expected)
{
    if (draft_send(w, client, d) != expected)
        fail_msg("outcome %d instead of %d: %s %s", (int)d->c.outcome, (int)expected,
                 d->c.err.message, d->c.err.detail);
}

uint64_t put_one(world *w, pang_str key, pang_str body)
{
    draft *d = draft_new(w);
    draft_put(d, key, body);
    must_send(w, 0, d, PANG_COMMIT_OK);
    return get_one(w, 0, key).version;
}

/* ---- reads ---- */

static pang_record get_ref(world *w, int client, const pang_ref *ref)
{
    pang_err err = {0};
    pang_record record;
    memset(&record, 0xA5, sizeof record); /* the store must set every field */
    if (pang_store_get(w->store[client], ref, 1, PANG_NO_DEADLINE, w->arena, &record, &err) !=
        PANG_OK)
        fail_msg("%s: %s", err.message, err.detail);
    return record;
}

pang_record get_one(world *w, int client, pang_str key)
{
    return get_ref(w, client, &(pang_ref){.key = key, .mode = PANG_REF_EXACT});
}

pang_record get_ceiling(world *w, int client, pang_str key, size_t prefix_len)
{
    return get_ref(w, client, &(pang_ref){key, prefix_len, PANG_REF_CEILING, false, false});
}

typedef struct {
    pang_arena *arena;
    row_list list;
} collector;

static pang_row_fn collect;
static bool collect(void *arg, const pang_record *row)
{
    collector *to = arg;
    pang_record *kept = &to->list.rows[to->list.n++];
    *kept = *row;
    return pang_arena_copy(to->arena, row->key, &kept->key) &&
           pang_arena_copy(to->arena, row->body, &kept->body);
}

row_list scan_rows(world *w, int client, pang_query query)
{
    collector to = {.arena = w->arena};
    if (query.limit == 0)
        query.limit = 1000;
    to.list.rows = pang_arena_alloc_n(w->arena, query.limit, sizeof(pang_record));
    assert_non_null(to.list.rows);
    pang_err err = {0};
    if (pang_store_scan(w->store[client], &query, PANG_NO_DEADLINE, collect, &to, &err) != PANG_OK)
        fail_msg("%s: %s", err.message, err.detail);
    return to.list;
}

/* ---- the run ---- */

static const char *run_url; /* cmocka hands group set-up no argument */

static int begin_suite(void **state)
{
    static world w;
    w = (world){.url = run_url, .is_lasting = strstr(run_url, "memory:") == NULL};
    w.arena = pang_arena_new(ARENA_BYTES);
    assert_non_null(w.arena);
    world_open(&w);
    *state = &w;
    return 0;
}

static int end_suite(void **state)
{
    world *w = *state;
    world_close(w);
    pang_arena_free(w->arena);
    return 0;
}

static int begin_test(void **state)
{
    world_new_scope(*state);
    return 0;
}

static int end_test(void **state)
{
    world *w = *state;
    if (w->doing[0] != '\0')
        print_message("while %s\n", w->doing);
    w->doing[0] = '\0';
    pang_arena_reset(w->arena);
    return 0;
}

static void add_part(struct CMUnitTest *all, size_t *n, const struct CMUnitTest *part, size_t more)
{
    for (size_t i = 0; i < more && *n < SUITE_MAX; i++) {
        all[*n] = part[i];
        all[*n].setup_func = begin_test;
        all[(*n)++].teardown_func = end_test;
    }
}

int pang_conformance(const char *url)
{
    struct CMUnitTest all[SUITE_MAX];
    size_t n = 0;
    add_part(all, &n, read_tests, n_read_tests);
    add_part(all, &n, commit_tests, n_commit_tests);
    add_part(all, &n, limit_tests, n_limit_tests);
    add_part(all, &n, race_tests, n_race_tests);
    add_part(all, &n, thread_tests, n_thread_tests);
    if (strstr(url, "memory:") == NULL)
        add_part(all, &n, lasting_tests, n_lasting_tests);
    run_url = url;
    return _cmocka_run_group_tests(url, all, n, begin_suite, end_suite);
}
