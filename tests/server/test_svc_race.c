/*
 * Many threads on one catalog, with a checked history: every acknowledged commit is there once,
 * in an order that all agree on, and nothing else is.
 */
#include "tests/server/catalog_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"

enum { THREADS = 8, TABLES = 64, ROUNDS = 40, RACERS = 4, RACES = 30, TALL = 4096 };

typedef struct {
    fixture *fx;
    unsigned number, seed;
    int64_t landed[TALL]; /* snapshot ids, in the order of their answers */
    unsigned tables[TALL];
    size_t n, conflicts;
    char failure[1024];
} writer;

static unsigned dice(writer *w)
{
    w->seed = w->seed * 1103515245 + 12345;
    return w->seed >> 16;
}

static char *level = (char *)(uintptr_t) "ns";

static pang_code load(writer *w, pang_arena *arena, const char *table, pang_json **ret,
                      pang_err *err)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    Pangolin__V1__LoadTableResponse out;
    unsigned runs;
    pang_str keep;
    in.prefix = (char *)(uintptr_t)FX_PREFIX;
    in.namespace_ = &level;
    in.n_namespace_ = 1;
    in.table = (char *)(uintptr_t)table;
    pang_code code = fx_call_in(w->fx, arena, "LoadTable", &in, &out, &runs, &keep, err);
    return code == PANG_OK ? pang_json_parse(pang_str_of(out.metadata), arena, ret, err) : code;
}

static pang_code commit(writer *w, pang_arena *arena, const char *table, const char *requirements,
                        const char *updates, pang_err *err)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    unsigned runs;
    pang_str keep;
    in.prefix = (char *)(uintptr_t)FX_PREFIX;
    in.namespace_ = &level;
    in.n_namespace_ = 1;
    in.table = (char *)(uintptr_t)table;
    in.requirements = fx_bytes(requirements);
    in.updates = fx_bytes(updates);
    return fx_call_in(w->fx, arena, "CommitTable", &in, &out, &runs, &keep, err);
}

/* What the table's main ref is now: 0 for none, and the last sequence number. */
static void read_head(const pang_json *document, int64_t *ret_head, int64_t *ret_sequence)
{
    if (!pang_json_to_int64(pang_json_get(document, "current-snapshot-id"), ret_head) ||
        *ret_head < 0)
        *ret_head = 0;
    if (!pang_json_to_int64(pang_json_get(document, "last-sequence-number"), ret_sequence))
        *ret_sequence = 0;
}

/* Appends one snapshot to what this thread saw, if that is still the head. */
static pang_code append(writer *w, pang_arena *arena, const char *table, int64_t id, pang_err *err)
{
    pang_json *document;
    char requirements[256], updates[1024], parent[64] = "", expected[32] = "null";
    int64_t head, sequence;
    pang_code code = load(w, arena, table, &document, err);
    if (code != PANG_OK)
        return code;
    read_head(document, &head, &sequence);
    if (head != 0) {
        (void)snprintf(parent, sizeof parent, "\"parent-snapshot-id\":%lld,", (long long)head);
        (void)snprintf(expected, sizeof expected, "%lld", (long long)head);
    }
    (void)snprintf(requirements, sizeof requirements,
                   "[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":%s}]",
                   expected);
    (void)snprintf(updates, sizeof updates,
                   "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":%lld,%s"
                   "\"sequence-number\":%lld,\"timestamp-ms\":%lld,\"manifest-list\":\"file:///x\","
                   "\"summary\":{\"operation\":\"append\"},\"schema-id\":0}},"
                   "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
                   "\"snapshot-id\":%lld}]",
                   (long long)id, parent, (long long)sequence + 1,
                   (long long)pang_env_wall_ms(&w->fx->env), (long long)id);
    return commit(w, arena, table, requirements, updates, err);
}

static void *write_snapshots(void *arg)
{
    writer *w = arg;
    pang_arena *arena = pang_arena_new(64 << 20);
    for (unsigned i = 0; arena != NULL && i < ROUNDS && w->failure[0] == '\0'; i++) {
        unsigned table = dice(w) % TABLES;
        int64_t id = INT64_C(9007199254740993) + (int64_t)w->number * 1000000 + i;
        char name[16];
        pang_err err = {0};
        (void)snprintf(name, sizeof name, "t%u", table);
        pang_code code = append(w, arena, name, id, &err);
        pang_arena_reset(arena);
        if (code == PANG_OK) {
            w->tables[w->n] = table;
            w->landed[w->n++] = id;
        } else if (code == PANG_FAILED_PRECONDITION) {
            w->conflicts++;
        } else {
            (void)snprintf(w->failure, sizeof w->failure, "%s: %s", pang_code_name(code),
                           err.message);
        }
    }
    pang_arena_free(arena);
    return NULL;
}

static void run_all(writer *writers, size_t n, void *(*fn)(void *))
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, &writers[i]), 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < n; i++)
        if (writers[i].failure[0] != '\0')
            fail_msg("%s", writers[i].failure);
}

static writer *new_writers(fixture *fx, size_t n)
{
    writer *writers = calloc(n, sizeof *writers);
    assert_non_null(writers);
    for (size_t i = 0; i < n; i++) {
        writers[i].fx = fx;
        writers[i].number = (unsigned)i;
        writers[i].seed = (unsigned)i * 7919 + 1;
    }
    return writers;
}

static int setup(void **state)
{
    fx_setup(state);
    assert_int_equal(fx_create_namespace(*state, "ns"), PANG_OK);
    return 0;
}

/* ---- the history ---- */

static bool in_order(const pang_json *snapshots, size_t i)
{
    int64_t parent = 0, before = 0;
    bool has = pang_json_to_int64(pang_json_get(pang_json_at(snapshots, i), "parent-snapshot-id"),
                                  &parent);
    if (i == 0)
        return !has;
    return has &&
           pang_json_to_int64(pang_json_get(pang_json_at(snapshots, i - 1), "snapshot-id"),
                              &before) &&
           parent == before;
}

/* Each table's snapshots form one chain, and are exactly those that were acknowledged. */
static size_t check_table(fixture *fx, const writer *writers, size_t n, unsigned table)
{
    writer reader = {.fx = fx};
    pang_json *document;
    char name[16];
    size_t acknowledged = 0;
    (void)snprintf(name, sizeof name, "t%u", table);
    assert_int_equal(load(&reader, fx->arena, name, &document, &fx->err), PANG_OK);
    const pang_json *snapshots = pang_json_get(document, "snapshots");
    for (size_t i = 0; i < pang_json_size(snapshots); i++)
        assert_true(in_order(snapshots, i));
    for (size_t w = 0; w < n; w++)
        for (size_t i = 0; i < writers[w].n; i++) {
            size_t found = 0;
            if (writers[w].tables[i] != table)
                continue;
            for (size_t j = 0; j < pang_json_size(snapshots); j++) {
                int64_t id;
                assert_true(pang_json_to_int64(
                    pang_json_get(pang_json_at(snapshots, j), "snapshot-id"), &id));
                found += id == writers[w].landed[i];
            }
            assert_int_equal(found, 1);
            acknowledged++;
        }
    assert_int_equal(acknowledged, pang_json_size(snapshots));
    return acknowledged;
}

typedef struct {
    uint64_t last;
    size_t n;
} commits;

static bool next_commit(void *arg, const pang_record *row)
{
    commits *c = arg;
    if (row->sequence != c->last + 1)
        return false;
    c->last = row->sequence;
    c->n++;
    return true;
}

/* The catalog's commits: numbered without a gap. */
static size_t count_commits(fixture *fx)
{
    pang_view view = fx_view(fx, fx_begin(fx));
    commits c = {0};
    pang_query query = {.prefix = pang_key_commits(&view.keys, view.levels[0].branch),
                        .limit = PANG_SCAN_MAX};
    uint64_t sequence;
    assert_int_equal(pang_view_sequence(&view, &sequence, &fx->err), PANG_OK);
    assert_int_equal(pang_txn_scan(view.txn, &query, next_commit, &c, &fx->err), PANG_OK);
    assert_true(c.last == sequence);
    return c.n;
}

static void test_svc_race__acknowledged_commits_are_there_once(void **state)
{
    fixture *fx = *state;
    writer *writers = new_writers(fx, THREADS);
    size_t landed = 0;
    for (unsigned i = 0; i < TABLES; i++)
        assert_int_equal(fx_create_table(fx, "ns", fx_text(fx, "t%u", i), NULL), PANG_OK);
    size_t before = count_commits(fx);
    run_all(writers, THREADS, write_snapshots);
    for (unsigned i = 0; i < TABLES; i++)
        landed += check_table(fx, writers, THREADS, i);
    assert_true(landed > 0);
    assert_int_equal(count_commits(fx) - before, landed);
    free(writers);
}

/* ---- two that do not exclude each other ---- */

static void *set_properties(void *arg)
{
    writer *w = arg;
    pang_arena *arena = pang_arena_new(64 << 20);
    for (unsigned i = 0; arena != NULL && i < RACES && w->failure[0] == '\0'; i++) {
        char updates[128];
        pang_err err = {0};
        (void)snprintf(updates, sizeof updates,
                       "[{\"action\":\"set-properties\",\"updates\":{\"w%u-%u\":\"x\"}}]",
                       w->number, i);
        pang_code code = commit(w, arena, "t0", "[]", updates, &err);
        pang_arena_reset(arena);
        if (code != PANG_OK)
            (void)snprintf(w->failure, sizeof w->failure, "%s: %s", pang_code_name(code),
                           err.message);
    }
    pang_arena_free(arena);
    return NULL;
}

static void test_svc_race__writers_whose_requirements_hold_all_succeed(void **state)
{
    fixture *fx = *state;
    writer *writers = new_writers(fx, RACERS), reader = {.fx = fx};
    pang_json *document;
    assert_int_equal(fx_create_table(fx, "ns", "t0", NULL), PANG_OK);
    run_all(writers, RACERS, set_properties);
    assert_int_equal(load(&reader, fx->arena, "t0", &document, &fx->err), PANG_OK);
    const pang_json *properties = pang_json_get(document, "properties");
    for (unsigned w = 0; w < RACERS; w++)
        for (unsigned i = 0; i < RACES; i++)
            assert_non_null(pang_json_get(properties, fx_text(fx, "w%u-%u", w, i)));
    free(writers);
}

/* ---- creating and dropping ---- */

/* So that the namespace is empty now and then. */
static pang_code drop_again(writer *w, pang_arena *arena, char *name, pang_err *err)
{
    Pangolin__V1__DropTableRequest in = PANGOLIN__V1__DROP_TABLE_REQUEST__INIT;
    Pangolin__V1__DropTableResponse out;
    char *race = (char *)(uintptr_t) "race";
    unsigned runs;
    pang_str keep;
    in.prefix = (char *)(uintptr_t)FX_PREFIX;
    in.namespace_ = &race;
    in.n_namespace_ = 1;
    in.table = name;
    return fx_call_in(w->fx, arena, "DropTable", &in, &out, &runs, &keep, err);
}

static void *create_and_drop(void *arg)
{
    writer *w = arg;
    pang_arena *arena = pang_arena_new(64 << 20);
    for (unsigned i = 0; arena != NULL && i < RACES && w->failure[0] == '\0'; i++) {
        Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
        Pangolin__V1__CreateTableResponse out;
        Pangolin__V1__DropNamespaceRequest drop = PANGOLIN__V1__DROP_NAMESPACE_REQUEST__INIT;
        Pangolin__V1__DropNamespaceResponse dropped;
        Pangolin__V1__CreateNamespaceRequest make = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
        Pangolin__V1__CreateNamespaceResponse made;
        unsigned runs;
        pang_str keep;
        pang_err err = {0};
        char *race = (char *)(uintptr_t) "race", name[32];
        pang_code code;
        in.prefix = drop.prefix = make.prefix = (char *)(uintptr_t)FX_PREFIX;
        in.namespace_ = drop.namespace_ = make.namespace_ = &race;
        in.n_namespace_ = drop.n_namespace_ = make.n_namespace_ = 1;
        (void)snprintf(name, sizeof name, "t%u-%u", w->number, i);
        in.name = name;
        in.schema = fx_bytes(FX_SCHEMA);
        if (w->number % 2 == 0)
            code = fx_call_in(w->fx, arena, "CreateTable", &in, &out, &runs, &keep, &err);
        else
            code = fx_call_in(w->fx, arena, "DropNamespace", &drop, &dropped, &runs, &keep, &err);
        if (code == PANG_OK && w->number % 2 == 0) {
            w->n++;
            code = drop_again(w, arena, name, &err);
        }
        if (code == PANG_OK && w->number % 2 == 1) {
            w->conflicts++;
            code = fx_call_in(w->fx, arena, "CreateNamespace", &make, &made, &runs, &keep, &err);
        }
        if (code != PANG_OK && code != PANG_NOT_FOUND && code != PANG_FAILED_PRECONDITION &&
            code != PANG_ALREADY_EXISTS)
            (void)snprintf(w->failure, sizeof w->failure, "%s: %s", pang_code_name(code),
                           err.message);
        pang_arena_reset(arena);
    }
    pang_arena_free(arena);
    return NULL;
}

/* The log of commits, played again: how many tables the namespace holds, and whether it was ever
 * dropped while it held one. */
typedef struct {
    fixture *fx;
    size_t tables, created, drops, drops_of_full;
} replayed;

static bool replay_commit(void *arg, const pang_record *row)
{
    replayed *r = arg;
    pang_rec_commit *commit;
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__commit__descriptor, row, r->fx->arena,
                                        &commit, &r->fx->err),
                     PANG_OK);
    for (size_t i = 0; i < commit->n_changes; i++) {
        const pang_rec_change *change = commit->changes[i];
        if (change->space == PANG_SPACE_ASSET && strcmp(change->path, "race") == 0) {
            r->created += change->new_asset.len > 0;
            r->tables += change->new_asset.len > 0 ? 1 : (size_t)-1;
        }
        if (change->space != PANG_SPACE_NAMESPACE || strcmp(change->name, "race") != 0 ||
            change->new_asset.len > 0)
            continue;
        r->drops++;
        r->drops_of_full += r->tables > 0;
    }
    return true;
}

static void test_svc_race__no_table_is_left_in_a_dropped_namespace(void **state)
{
    fixture *fx = *state;
    replayed r = {.fx = fx};
    size_t created = 0, drops = 0;
    writer *writers = new_writers(fx, RACERS);
    assert_int_equal(fx_create_namespace(fx, "race"), PANG_OK);
    run_all(writers, RACERS, create_and_drop);
    for (size_t i = 0; i < RACERS; i++) {
        created += writers[i].n;
        drops += writers[i].conflicts;
    }
    free(writers);
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_query query = {.prefix = pang_key_commits(&view.keys, view.levels[0].branch),
                        .limit = PANG_SCAN_MAX};
    assert_int_equal(pang_txn_scan(view.txn, &query, replay_commit, &r, &fx->err), PANG_OK);
    assert_int_equal(r.tables, 0);
    assert_int_equal(r.created, created);
    assert_int_equal(r.drops, drops);
    assert_int_equal(r.drops_of_full, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_svc_race__##name, setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(acknowledged_commits_are_there_once),
        TEST(writers_whose_requirements_hold_all_succeed),
        TEST(no_table_is_left_in_a_dropped_namespace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
