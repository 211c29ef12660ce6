/*
 * server/audit_log.h: what is written, when, and how it is chained.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "tests/server/audit_fixture.h"

#include "server/audit_query.h"
#include "storage/backends.h"

const pang_store_ops *const pang_stores[] = {&pang_memory_ops, NULL};

static int setup(void **state)
{
    static audit_fixture f;
    audit_open(&f, "memory:");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    audit_close(*state);
    return 0;
}

/* ---- rows ---- */

static void test_write__a_row_of_its_own_says_everything(void **state)
{
    audit_fixture *f = *state;
    pang_record record;
    const pang_audit_object objects[] = {{2, 4, PANG_STR("demo/sales/orders")},
                                         {1, 3, PANG_STR("demo/sales")}};
    pang_audit_event event = {
        .scope = TENANT,
        .action = PANG_STR("drop_table"),
        .method = PANG_STR("/pangolin.v1.TableService/DropTable"),
        .principal = audit_id(1),
        .principal_kind = 2,
        .principal_name = PANG_STR("ana"),
        .request_id = PANG_STR("r-1"),
        .client_address = PANG_STR("192.0.2.1"),
        .user_agent = PANG_STR("test/1"),
        .resource = audit_id(9),
        .objects = objects,
        .n_objects = 2,
        .code = PANG_NOT_FOUND,
        .message = PANG_STR("it does not exist"),
        .metadata = PANG_STR("{\"a\":1}"),
    };
    assert_int_equal(pang_audit_write(f->audit[0], &event, f->arena, &f->err), PANG_OK);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, &record), 1);
    pang_rec_audit_row *row = audit_unpack(f, &record);
    assert_string_equal(row->action, "drop_table");
    assert_string_equal(row->principal_name, "ana");
    assert_int_equal(row->principal_kind, 2);
    assert_string_equal(row->message, "it does not exist");
    assert_string_equal(row->metadata, "{\"a\":1}");
    assert_int_equal(row->code, PANG_NOT_FOUND);
    assert_int_equal(row->n_objects, 2);
    assert_string_equal(row->objects[1]->name, "demo/sales");
    assert_string_equal(row->resource->type, "table");
    assert_string_equal(row->resource->name, "demo/sales/orders");
    assert_true(pang_id_equal(pang_id_of(row->resource->id), audit_id(9)));
    assert_int_equal(record.time_ms, f->clock.wall_ms);
}

static void test_add__nothing_is_stored_before_the_flush(void **state)
{
    audit_fixture *f = *state;
    pang_record record;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(audit_read(f, 0, TENANT, i % 2 == 0 ? "demo/a/t" : "demo/a/u", 1),
                         PANG_OK);
        f->clock.wall_ms += 10;
    }
    assert_int_equal(audit_read(f, 0, OTHER_TENANT, "demo/a/t", 2), PANG_OK);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, NULL), 0);
    audit_flush(f, 0);
    assert_int_equal(audit_count(f, OTHER_TENANT, PANG_KIND_AUDIT, NULL), 1);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, &record), 1);
    pang_rec_audit_group *group = audit_unpack(f, &record)->group;
    assert_non_null(group);
    assert_int_equal(group->n_entries, 10);
    assert_int_equal(group->n_whos, 1);
    assert_int_equal(group->n_whats, 2);
    assert_string_equal(group->whos[0]->name, "ana");
    assert_string_equal(group->whos[0]->client_address, "192.0.2.1");
    assert_string_equal(group->whats[1]->resource->name, "demo/a/u");
    assert_string_equal(group->whats[1]->resource->type, "table");
    assert_int_equal(group->begin_ms, 1700000000000);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(group->entries[i]->after_ms, 10 * i);
        assert_int_equal(group->entries[i]->what, i % 2);
        assert_int_equal(group->entries[i]->request.len, 16);
    }
    audit_flush(f, 0); /* there is nothing left */
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, NULL), 1);
}

static void test_flush__more_than_a_row_holds(void **state)
{
    audit_fixture *f = *state;
    pang_audit_stats stats;
    char name[32];
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof name, "demo/a/t%u", i % 1500); /* more than a row tells apart */
        assert_int_equal(audit_read(f, 0, TENANT, name, 1), PANG_OK);
    }
    audit_flush(f, 0);
    pang_audit_get_stats(f->audit[0], &stats);
    assert_int_equal(stats.entries, 10000);
    assert_int_equal(stats.buffered_bytes, 0);
    assert_true(stats.groups < 16);
    assert_true(audit_seal(f, 0, TENANT));
    assert_int_equal(audit_head(f, TENANT)->entries, 10000);
}

static void test_flush__what_failed_is_written_once(void **state)
{
    audit_fixture *f = *state;
    pang_audit_stats stats;
    const pang_fault_plan second = {
        .fault = PANG_FAULT_FAIL, .calls = PANG_CALL_APPLY, .at = 2, .times = 3};
    assert_int_equal(audit_read(f, 0, TENANT, "demo/a/t", 1), PANG_OK);
    assert_int_equal(audit_read(f, 0, OTHER_TENANT, "demo/a/t", 1), PANG_OK);
    pang_faulty_arm(f->faulty[0], &second);
    assert_int_equal(pang_audit_flush(f->audit[0], &f->err), PANG_UNAVAILABLE);
    pang_audit_get_stats(f->audit[0], &stats);
    assert_true(stats.buffered_bytes > 0);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, NULL), 1);
    assert_int_equal(audit_count(f, OTHER_TENANT, PANG_KIND_AUDIT, NULL), 0);
    pang_faulty_arm(f->faulty[0], NULL);
    audit_flush(f, 0);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, NULL), 1);
    assert_int_equal(audit_count(f, OTHER_TENANT, PANG_KIND_AUDIT, NULL), 1);
    pang_audit_get_stats(f->audit[0], &stats);
    assert_int_equal(stats.buffered_bytes, 0);
}

static void test_add__a_full_buffer_is_written_at_once_or_refuses(void **state)
{
    audit_fixture *f = *state;
    pang_audit_stats stats;
    const pang_fault_plan down = {
        .fault = PANG_FAULT_FAIL, .calls = PANG_CALL_APPLY, .at = 1, .times = 1000};
    size_t added = 0;
    pang_faulty_arm(f->faulty[0], &down);
    while (audit_read(f, 0, TENANT, "demo/a/t", 1) == PANG_OK && added < 1000000)
        added++;
    assert_int_equal(f->err.code, PANG_UNAVAILABLE);
    pang_audit_get_stats(f->audit[0], &stats);
    assert_in_range(stats.buffered_bytes, PANG_AUDIT_BUFFER_BYTES / 2, PANG_AUDIT_BUFFER_BYTES);
    pang_faulty_arm(f->faulty[0], NULL);
    assert_int_equal(audit_read(f, 0, TENANT, "demo/a/t", 1), PANG_OK);
    pang_audit_get_stats(f->audit[0], &stats);
    assert_int_equal(stats.entries, added);
}

typedef struct {
    audit_fixture *f;
    unsigned failed;
} reader;

static void *read_much(void *arg)
{
    reader *r = arg;
    pang_err err;
    pang_audit_event event = {.scope = TENANT,
                              .action = PANG_STR("load_table"),
                              .time_ms = 1,
                              .name = PANG_STR("demo/a/t")};
    for (unsigned i = 0; i < 20000; i++)
        r->failed += pang_audit_add(r->f->audit[0], &event, &err) != PANG_OK;
    return NULL;
}

static void test_add__many_threads_lose_nothing(void **state)
{
    audit_fixture *f = *state;
    pthread_t threads[4];
    reader readers[4];
    pang_audit_stats stats;
    for (unsigned i = 0; i < 4; i++) {
        readers[i] = (reader){.f = f};
        assert_int_equal(pthread_create(&threads[i], NULL, read_much, &readers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].failed, 0);
    }
    audit_flush(f, 0);
    pang_audit_get_stats(f->audit[0], &stats);
    assert_int_equal(stats.entries, 80000);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* What a read pays: printed; the bound is for sanitizers and busy machines. */
static void test_add__is_cheap(void **state)
{
    audit_fixture *f = *state;
    enum { ADDS = 30000 };
    int64_t begin = cpu_ns();
    for (unsigned i = 0; i < ADDS; i++)
        assert_int_equal(audit_read(f, 0, TENANT, "demo/sales/orders", 1), PANG_OK);
    int64_t added = cpu_ns();
    audit_flush(f, 0);
    int64_t flushed = cpu_ns();
    printf("a read: %lld ns to add, %lld ns to write\n", (long long)(added - begin) / ADDS,
           (long long)(flushed - added) / ADDS);
    assert_true((added - begin) / ADDS < 10000);
}

static void test_add__bounds(void **state)
{
    audit_fixture *f = *state;
    static char longest[70000];
    pang_record record;
    memset(longest, 'x', sizeof longest);
    pang_str text = {longest, sizeof longest};
    pang_audit_event event = {.scope = TENANT,
                              .action = PANG_STR("load_table"),
                              .principal_name = text,
                              .request_id = text,
                              .client_address = text,
                              .user_agent = text,
                              .name = text,
                              .message = text,
                              .metadata = text};
    assert_int_equal(pang_audit_add(f->audit[0], &event, &f->err), PANG_OK);
    audit_flush(f, 0);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, &record), 1);
    pang_rec_audit_group *group = audit_unpack(f, &record)->group;
    assert_int_equal(strlen(group->whos[0]->name), PANG_AUDIT_TEXT_MAX);
    assert_string_equal(group->entries[0]->metadata, ""); /* a cut one is no JSON */
}

/* ---- unknown callers ---- */

static void test_stranger__failures_are_counted_by_address_and_reason(void **state)
{
    audit_fixture *f = *state;
    pang_record record;
    pang_str shared = PANG_SYSTEM_SCOPE;
    for (unsigned i = 0; i < 1000; i++)
        pang_audit_stranger(f->audit[0], (pang_str){0}, "token_rejected", PANG_STR("192.0.2.7"));
    pang_audit_stranger(f->audit[0], (pang_str){0}, "login_failed", PANG_STR("192.0.2.7"));
    pang_audit_stranger(f->audit[0], (pang_str){0}, "login_failed", PANG_STR("2001:db8::1"));
    pang_audit_stranger(f->audit[0], (pang_str){0}, "login_failed", PANG_STR("2001:db8::2"));
    audit_flush(f, 0);
    assert_int_equal(audit_count(f, shared, PANG_KIND_AUDIT, &record), 1);
    pang_rec_audit_group *group = audit_unpack(f, &record)->group;
    assert_int_equal(group->n_entries, 3);
    assert_int_equal(group->entries[0]->count, 1000);
    assert_string_equal(group->whats[group->entries[0]->what]->action, "token_rejected");
    assert_string_equal(group->whos[group->entries[0]->who]->client_address, "192.0.2.7");
    assert_int_equal(group->entries[0]->code, PANG_UNAUTHENTICATED);
    assert_string_equal(group->whos[group->entries[2]->who]->client_address, "2001:db8::/64");
    assert_int_equal(group->entries[2]->count, 2);
}

static void test_stranger__the_log_cannot_be_made_to_grow(void **state)
{
    audit_fixture *f = *state;
    pang_audit_stats stats;
    char address[32];
    for (unsigned second = 0; second < 180; second++) {
        for (unsigned i = 0; i < 2000; i++) {
            (void)snprintf(address, sizeof address, "10.%u.%u.%u", second, i / 250, i % 250);
            pang_audit_stranger(f->audit[0], (pang_str){0}, "login_failed", pang_str_from(address));
        }
        f->clock.mono_ms += 1000;
        audit_flush(f, 0);
    }
    pang_audit_get_stats(f->audit[0], &stats);
    assert_in_range(stats.entries, 3 * PANG_AUDIT_STRANGERS_A_MINUTE,
                    4 * PANG_AUDIT_STRANGERS_A_MINUTE);
    assert_int_equal(stats.strangers, 360000);
}

/* ---- the chain ---- */

static void test_seal__covers_the_rows_of_all_servers(void **state)
{
    audit_fixture *f = *state;
    pang_record record;
    uint8_t hash[PANG_HASH_BYTES];
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    audit_change(f, 1, TENANT, "drop_table", 2, 9);
    assert_int_equal(audit_read(f, 1, TENANT, "demo/a/t", 2), PANG_OK);
    audit_flush(f, 1);
    assert_true(audit_seal(f, 0, TENANT));
    assert_true(audit_seal(f, 0, TENANT)); /* nothing new, no seal */
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT_SEAL, &record), 1);
    pang_rec_audit_seal *seal = NULL;
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__audit_seal__descriptor, &record,
                                        f->arena, &seal, &f->err),
                     PANG_OK);
    assert_int_equal(seal->n_spans, 2);
    assert_int_equal(seal->leaves.len, 3 * PANG_HASH_BYTES);
    assert_int_equal(seal->entries, 3);
    assert_int_equal(seal->n_actions, 3);
    assert_true(seal->has_success);
    assert_false(seal->has_failure);
    assert_int_equal(pang_chain_seal((pang_str){0}, 1, pang_str_of(seal->leaves), hash, &f->err),
                     PANG_OK);
    assert_memory_equal(seal->hash.data, hash, sizeof hash);
    pang_rec_audit_head *head = audit_head(f, TENANT);
    assert_int_equal(head->seals, 1);
    assert_int_equal(head->entries, 3);
    assert_memory_equal(head->hash.data, hash, sizeof hash);
    /* The index: two callers, one resource. */
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT_PRINCIPAL, NULL), 2);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT_RESOURCE, NULL), 1);
    assert_null(audit_head(f, OTHER_TENANT));
}

static void test_seal__one_server_at_a_time(void **state)
{
    audit_fixture *f = *state;
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    assert_true(audit_seal(f, 0, TENANT));
    audit_change(f, 1, TENANT, "drop_table", 1, 9);
    assert_false(audit_seal(f, 1, TENANT)); /* the first has the lease */
    assert_int_equal(audit_head(f, TENANT)->seals, 1);
    f->clock.wall_ms += PANG_AUDIT_LEASE_MS + 1;
    assert_true(audit_seal(f, 1, TENANT)); /* it went away */
    assert_int_equal(audit_head(f, TENANT)->seals, 2);
    assert_true(pang_id_equal(pang_id_of(audit_head(f, TENANT)->sealer), audit_server(1)));
}

static void seal_by_other(void *arg)
{
    audit_fixture *f = arg;
    bool all;
    assert_int_equal(pang_audit_seal(f->audit[1], TENANT, &all, &f->err), PANG_OK);
    assert_true(all);
}

static void test_seal__who_is_late_loses(void **state)
{
    audit_fixture *f = *state;
    bool all = false;
    const pang_fault_plan race = {.fault = PANG_FAULT_RUN_BEFORE,
                                  .calls = PANG_CALL_APPLY,
                                  .at = 1,
                                  .run = seal_by_other,
                                  .arg = f};
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    pang_faulty_arm(f->faulty[0], &race);
    assert_int_equal(pang_audit_seal(f->audit[0], TENANT, &all, &f->err), PANG_ABORTED);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT_SEAL, NULL), 1);
    assert_true(audit_seal(f, 0, TENANT)); /* nothing is left to do */
    assert_int_equal(audit_head(f, TENANT)->seals, 1);
}

typedef struct {
    audit_fixture *f;
    atomic_uint *written; /* rows that have landed, of all threads */
    pang_str asked;       /* as catch_up's scope */
    unsigned unseen;
} asker;

static unsigned count_sealed(const audit_fixture *f)
{
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_rec_audit_head **heads = NULL;
    pang_str scope = TENANT;
    pang_err err;
    pang_code code = pang_audit_heads(f->inner, &scope, 1, PANG_NO_DEADLINE, arena, &heads, &err);
    unsigned n = code == PANG_OK ? (unsigned)heads[0]->entries : 0;
    pang_arena_free(arena);
    return n;
}

static void *change_and_ask(void *arg)
{
    asker *a = arg;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_audit_event event = {.scope = TENANT,
                              .action = PANG_STR("create_table"),
                              .time_ms = 1,
                              .name = PANG_STR("demo/a/t")};
    for (unsigned i = 0; i < 300; i++) {
        pang_err err;
        if (pang_audit_write(a->f->audit[0], &event, arena, &err) == PANG_OK)
            atomic_fetch_add(a->written, 1);
        unsigned landed = atomic_load(a->written);
        pang_audit_catch_up(a->f->audit[0], a->asked);
        a->unseen += count_sealed(a->f) < landed;
        pang_arena_reset(arena);
    }
    pang_arena_free(arena);
    return NULL;
}

/* Whoever asks sees what has landed, however many ask and seal at once. */
static void ask_at_once(audit_fixture *f, pang_str asked)
{
    pthread_t threads[4];
    asker askers[4];
    atomic_uint written = 0;
    unsigned unseen = 0;
    f->env.random = pang_env_system.random; /* the fixture's is for one thread */
    for (unsigned i = 0; i < 4; i++) {
        askers[i] = (asker){f, &written, asked, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, change_and_ask, &askers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        unseen += askers[i].unseen;
    }
    assert_int_equal(unseen, 0);
    assert_int_equal(written, 1200);
}

static void test_catch_up__shows_what_has_landed_to_many_at_once(void **state)
{
    ask_at_once(*state, TENANT);
}

static void test_catch_up__of_all_tenants_does_too(void **state)
{
    ask_at_once(*state, (pang_str){0});
}

static void test_work__everything_within_a_second(void **state)
{
    audit_fixture *f = *state;
    pang_str shared = PANG_SYSTEM_SCOPE;
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    assert_int_equal(audit_read(f, 0, OTHER_TENANT, "demo/a/t", 2), PANG_OK);
    pang_audit_stranger(f->audit[0], (pang_str){0}, "login_failed", PANG_STR("192.0.2.7"));
    assert_in_range(pang_audit_work(f->audit[0], &f->err), 1, 1000);
    assert_int_equal(f->err.code, PANG_OK);
    assert_int_equal(audit_head(f, TENANT)->entries, 1);
    assert_int_equal(audit_head(f, OTHER_TENANT)->entries, 1);
    assert_int_equal(audit_head(f, shared)->entries, 1);
}

static void test_work__rows_of_a_server_that_died_are_found(void **state)
{
    audit_fixture *f = *state;
    audit_change(f, 1, TENANT, "create_table", 1, 9); /* and then it was gone */
    audit_change(f, 1, OTHER_TENANT, "create_table", 1, 9);
    (void)pang_audit_work(f->audit[0], &f->err);
    assert_int_equal(f->err.code, PANG_OK);
    assert_int_equal(audit_head(f, TENANT)->entries, 1);
    assert_int_equal(audit_head(f, OTHER_TENANT)->entries, 1);
}

static void test_work__a_failed_round_is_made_good(void **state)
{
    audit_fixture *f = *state;
    const pang_fault_plan down = {.fault = PANG_FAULT_FAIL, .at = 1, .times = 1000};
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    assert_int_equal(audit_read(f, 0, TENANT, "demo/a/t", 2), PANG_OK);
    pang_faulty_arm(f->faulty[0], &down);
    (void)pang_audit_work(f->audit[0], &f->err);
    assert_int_equal(f->err.code, PANG_UNAVAILABLE);
    pang_faulty_arm(f->faulty[0], NULL);
    (void)pang_audit_work(f->audit[0], &f->err);
    assert_int_equal(f->err.code, PANG_OK);
    assert_int_equal(audit_head(f, TENANT)->entries, 2);
}

static void test_close__writes_and_seals_what_is_left(void **state)
{
    audit_fixture *f = *state;
    pang_audit_config config = {.env = &f->env, .db = f->db[0], .server = audit_id(0xEE)};
    pang_audit *audit = NULL;
    pang_audit_event event = {.scope = TENANT, .action = PANG_STR("load_table")};
    assert_int_equal(pang_audit_open(&config, &audit, &f->err), PANG_OK);
    assert_int_equal(pang_audit_add(audit, &event, &f->err), PANG_OK);
    pang_audit_close(audit);
    assert_int_equal(audit_head(f, TENANT)->entries, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_write__a_row_of_its_own_says_everything),
        CASE(test_add__nothing_is_stored_before_the_flush),
        CASE(test_flush__more_than_a_row_holds),
        CASE(test_flush__what_failed_is_written_once),
        CASE(test_add__a_full_buffer_is_written_at_once_or_refuses),
        CASE(test_add__many_threads_lose_nothing),
        CASE(test_add__is_cheap),
        CASE(test_add__bounds),
        CASE(test_stranger__failures_are_counted_by_address_and_reason),
        CASE(test_stranger__the_log_cannot_be_made_to_grow),
        CASE(test_seal__covers_the_rows_of_all_servers),
        CASE(test_seal__one_server_at_a_time),
        CASE(test_seal__who_is_late_loses),
        CASE(test_catch_up__shows_what_has_landed_to_many_at_once),
        CASE(test_catch_up__of_all_tenants_does_too),
        CASE(test_work__everything_within_a_second),
        CASE(test_work__rows_of_a_server_that_died_are_found),
        CASE(test_work__a_failed_round_is_made_good),
        CASE(test_close__writes_and_seals_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
