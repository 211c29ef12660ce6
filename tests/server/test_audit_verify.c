/*
 * api/audit.h: every change to a log in a SQLite store is found, at the row that was changed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/server/audit_fixture.h"

#include "api/audit.h"
#include "storage/backends.h"

const pang_store_ops *const pang_stores[] = {&pang_memory_ops, &pang_sqlite_ops, NULL};

static char path[64], url[80];

static int setup(void **state)
{
    static audit_fixture f;
    (void)snprintf(path, sizeof path, "%s", "/tmp/pang-audit-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    (void)unlink(path);
    (void)snprintf(url, sizeof url, "sqlite:%s", path);
    audit_open(&f, url);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    char side[80];
    audit_close(*state);
    for (unsigned i = 0; i < 4; i++) {
        (void)snprintf(side, sizeof side, "%s%s", path,
                       (const char *[]){"", "-wal", "-shm", ".lock"}[i]);
        (void)unlink(side);
    }
    return 0;
}

/* Three seals: rows of two servers, changes and a group; then two rows that are not sealed. */
static void fill(audit_fixture *f)
{
    for (unsigned seal = 0; seal < 3; seal++) {
        for (unsigned i = 0; i < 4; i++) {
            audit_change(f, 0, TENANT, "create_table", 1, 9);
            audit_change(f, 1, TENANT, "drop_table", 2, 9);
            f->clock.wall_ms += 7;
        }
        assert_int_equal(audit_read(f, 0, TENANT, "demo/a/t", 3), PANG_OK);
        assert_int_equal(audit_read(f, 0, TENANT, "demo/a/u", 3), PANG_OK);
        audit_flush(f, 0);
        assert_true(audit_seal(f, 0, TENANT));
    }
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    audit_change(f, 0, TENANT, "create_table", 1, 9);
}

static pang_audit_report verify(audit_fixture *f)
{
    pang_audit_report report;
    assert_int_equal(pang_audit_verify(f->inner, TENANT, NULL, &report, &f->err), PANG_OK);
    return report;
}

static pang_str row_key(audit_fixture *f, unsigned server, uint64_t number)
{
    pang_keys keys = {.arena = f->arena, .scope = TENANT};
    return pang_key_audit(&keys, audit_server(server), number);
}

static pang_str seal_key(audit_fixture *f, uint64_t number)
{
    pang_keys keys = {.arena = f->arena, .scope = TENANT};
    return pang_key_audit_seal(&keys, number);
}

static void assert_fault(audit_fixture *f, unsigned server, uint64_t number, const char *what)
{
    pang_audit_report report = verify(f);
    assert_false(report.good);
    assert_string_equal(report.what, what);
    assert_true(pang_id_equal(report.server, audit_server(server)));
    assert_int_equal(report.number, number);
}

static void assert_seal_fault(audit_fixture *f, uint64_t seal, const char *what)
{
    pang_audit_report report = verify(f);
    assert_false(report.good);
    assert_string_equal(report.what, what);
    assert_int_equal(report.number, 0);
    assert_int_equal(report.seal, seal);
}

static void test_verify__a_log_that_is_whole(void **state)
{
    audit_fixture *f = *state;
    pang_audit_report report = verify(f);
    assert_true(report.good);
    assert_int_equal(report.rows, 0);
    fill(f);
    report = verify(f);
    if (!report.good)
        fail_msg("%s, row %llu, seal %llu", report.what, (unsigned long long)report.number,
                 (unsigned long long)report.seal);
    assert_int_equal(report.rows, 29);
    assert_int_equal(report.sealed, 27);
    assert_int_equal(report.entries, 32);
    assert_int_equal(report.seals, 3);
    assert_memory_equal(report.hash, audit_head(f, TENANT)->hash.data, sizeof report.hash);
}

/* Changes the file behind the store's back: all of a record but its body stays. */
static void alter(pang_str key, pang_str body)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 5000), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "UPDATE records SET body=?1 WHERE key=?2", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_bind_blob(statement, 1, body.ptr, (int)body.len, SQLITE_STATIC),
                     SQLITE_OK);
    assert_int_equal(sqlite3_bind_blob(statement, 2, key.ptr, (int)key.len, SQLITE_STATIC),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_int_equal(sqlite3_changes(db), 1);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Each byte of a row, one after the other. */
static void test_verify__an_altered_row_is_named(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    pang_record row = audit_get(f, row_key(f, 1, 6));
    for (size_t i = 0; i < row.body.len; i++) {
        pang_str body = {0};
        assert_true(pang_arena_copy(f->arena, row.body, &body));
        ((char *)(uintptr_t)body.ptr)[i] ^= 1;
        alter(row.key, body);
        assert_fault(f, 1, 6, "the row is not what was written");
    }
}

/* A forger who makes the digest fit. */
static void test_verify__an_altered_row_with_a_digest_that_fits_is_named(void **state)
{
    audit_fixture *f = *state;
    pang_str body = {0};
    fill(f);
    pang_record record = audit_get(f, row_key(f, 0, 5)); /* the first seal's group */
    pang_rec_audit_row *row = audit_unpack(f, &record);
    row->group->entries[1]->code = 7;
    row->digest = (ProtobufCBinaryData){0};
    assert_int_equal(pang_chain_row(row, TENANT, audit_server(0), f->arena, &body, &f->err),
                     PANG_OK);
    alter(record.key, body);
    assert_fault(f, 0, 5, "the row is another than was sealed");
    assert_int_equal(verify(f).seal, 1);
}

static void test_verify__a_removed_row_is_named(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    audit_tamper_delete(f, row_key(f, 1, 7));
    assert_fault(f, 1, 7, "the row is gone");
}

static void test_verify__the_first_and_the_last_row_of_a_seal(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    audit_tamper_delete(f, row_key(f, 0, 10)); /* the last of the second seal */
    assert_fault(f, 0, 10, "the row is gone");
    audit_tamper_delete(f, row_key(f, 0, 6)); /* its first */
    assert_fault(f, 0, 6, "the row is gone");
    audit_tamper_delete(f, row_key(f, 0, 1));
    assert_fault(f, 0, 1, "the row is gone");
}

static void test_verify__swapped_rows_are_named(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    pang_record first = audit_get(f, row_key(f, 0, 2)), second = audit_get(f, row_key(f, 0, 3));
    alter(first.key, second.body);
    alter(second.key, first.body);
    assert_fault(f, 0, 2, "the row is another than was sealed");
}

static void test_verify__a_doubled_row_is_named(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    pang_record row = audit_get(f, row_key(f, 0, 3)), next = audit_get(f, row_key(f, 0, 4));
    alter(next.key, row.body); /* in place of another */
    assert_fault(f, 0, 4, "the row is another than was sealed");
    alter(next.key, next.body);
    assert_true(verify(f).good);
    audit_tamper_put(f, &next, next.body); /* written anew, as it was */
    assert_fault(f, 0, 4, "the row has another number in it than in its key");
}

static void test_verify__rows_that_were_put_in_are_named(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    pang_record row = audit_get(f, row_key(f, 0, 3)), more = row;
    more.key = row_key(f, 0, 18);
    audit_tamper_put(f, &more, row.body); /* behind the last */
    assert_fault(f, 0, 18, "the row was put in: its number was never given out");
    audit_tamper_delete(f, more.key);
    more.key = row_key(f, 7, 1);
    audit_tamper_put(f, &more, row.body); /* of a server that never was */
    assert_fault(f, 7, 1, "the row was put in: its number was never given out");
}

static void test_verify__a_truncated_log_is_named(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    audit_tamper_delete(f, row_key(f, 0, 17)); /* not sealed */
    assert_fault(f, 0, 17, "the row is gone");
    audit_tamper_delete(f, row_key(f, 0, 16));
    assert_fault(f, 0, 16, "the row is gone");
    audit_tamper_delete(f, seal_key(f, 3)); /* the whole end */
    for (uint64_t i = 11; i <= 15; i++)
        audit_tamper_delete(f, row_key(f, 0, i));
    for (uint64_t i = 9; i <= 12; i++)
        audit_tamper_delete(f, row_key(f, 1, i));
    assert_seal_fault(f, 3, "the seal is gone");
}

/* The end of the chain is put back to what it was: what came since shows by its numbers, and the
 * seal that was noted is missed. */
static void test_verify__a_log_that_was_set_back(void **state)
{
    audit_fixture *f = *state;
    pang_keys keys = {.arena = f->arena, .scope = TENANT};
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    assert_true(audit_seal(f, 0, TENANT));
    pang_record early = audit_get(f, pang_key_audit_head(&keys));
    audit_change(f, 0, TENANT, "drop_table", 1, 9);
    assert_true(audit_seal(f, 0, TENANT));
    pang_audit_report report = verify(f);
    pang_audit_anchor anchor = {.seal = report.seals};
    memcpy(anchor.hash, report.hash, sizeof anchor.hash);
    assert_int_equal(pang_audit_verify(f->inner, TENANT, &anchor, &report, &f->err), PANG_OK);
    assert_true(report.good);
    audit_tamper_put(f, &early, early.body);
    assert_seal_fault(f, 2, "a seal stands behind the end of the chain");
    audit_tamper_delete(f, seal_key(f, 2));
    audit_tamper_delete(f, row_key(f, 0, 2));
    assert_fault(f, 0, 2, "the row is gone");
    assert_int_equal(pang_audit_verify(f->inner, TENANT, &anchor, &report, &f->err), PANG_OK);
    assert_false(report.good);
}

static void test_verify__a_seal_that_was_changed(void **state)
{
    audit_fixture *f = *state;
    fill(f);
    pang_record second = audit_get(f, seal_key(f, 2)), third = audit_get(f, seal_key(f, 3));
    alter(second.key, third.body);
    assert_seal_fault(f, 2, "the seal does not follow the one before it");
    pang_str body = {0};
    assert_true(pang_arena_copy(f->arena, second.body, &body));
    ((char *)(uintptr_t)body.ptr)[body.len / 2] ^= 1; /* within the leaves */
    alter(second.key, body);
    assert_seal_fault(f, 2, "the seal is not what was written");
    audit_tamper_delete(f, second.key);
    assert_seal_fault(f, 2, "the seal is gone");
}

/* Retention: what is left is still whole, and what is asked for comes from it. */
static void test_retire__whole_seals_go_and_the_rest_still_proves_itself(void **state)
{
    audit_fixture *f = *state;
    pang_audit *audit = NULL;
    fill(f);
    int64_t now = f->clock.wall_ms;
    f->clock.wall_ms += 60 * 60 * 1000;
    for (unsigned i = 0; i < 3; i++)
        audit_change(f, 0, TENANT, "create_table", 4, 9);
    assert_true(audit_seal(f, 0, TENANT));
    pang_audit_config config = {.env = &f->env,
                                .db = f->db[0],
                                .server = audit_server(0),
                                .retention_ms = f->clock.wall_ms - now + 1};
    assert_int_equal(pang_audit_open(&config, &audit, &f->err), PANG_OK);
    assert_in_range(pang_audit_work(audit, &f->err), 1, 1000);
    assert_int_equal(f->err.code, PANG_OK);
    pang_audit_report report = verify(f);
    if (!report.good)
        fail_msg("%s, row %llu, seal %llu", report.what, (unsigned long long)report.number,
                 (unsigned long long)report.seal);
    pang_rec_audit_head *head = audit_head(f, TENANT);
    assert_int_equal(head->removed_seals, 2); /* the third is of the kept time's first moment */
    assert_int_equal(report.seals, 4);
    assert_int_equal(report.rows, 9 + 2 + 3);
    assert_int_equal(report.removed, 2 * 10); /* entries: a group has two */
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT_SEAL, NULL), 2);
    /* Two seals' index of three callers and one resource; that of the last, of one and one. */
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT_PRINCIPAL, NULL), 3 + 2);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT_RESOURCE, NULL), 2);
    /* All of it: then the end alone is left, and what comes is proved by it. */
    f->clock.wall_ms += 2 * config.retention_ms;
    f->clock.mono_ms += 60 * 60 * 1000;
    (void)pang_audit_work(audit, &f->err);
    assert_int_equal(f->err.code, PANG_OK);
    assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, NULL), 0);
    assert_true(verify(f).good);
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    assert_true(audit_seal(f, 0, TENANT));
    report = verify(f);
    assert_true(report.good);
    assert_int_equal(report.rows, 1);
    /* A removed row that is put back is found, and so is one that goes now. */
    pang_record row = audit_get(f, row_key(f, 0, 21));
    assert_true(row.version != 0);
    audit_tamper_delete(f, row.key);
    assert_fault(f, 0, 21, "the row is gone");
    pang_audit_close(audit);
}

/* A row that goes before it was sealed keeps its place: the sealer says so, and the others are
 * still proved. */
static void test_seal__a_row_that_is_gone_before_it_is_sealed(void **state)
{
    audit_fixture *f = *state;
    for (unsigned i = 0; i < 4; i++)
        audit_change(f, 0, TENANT, "create_table", 1, 9);
    audit_tamper_delete(f, row_key(f, 0, 2));
    assert_true(audit_seal(f, 0, TENANT));
    assert_int_equal(audit_head(f, TENANT)->servers[0]->last, 4);
    assert_fault(f, 0, 2, "the row was gone before it was sealed");
}

/* A crash between a change and its audit row: there is no between. */
static pang_code change_with_row(pang_txn *txn, void *arg, pang_err *err)
{
    audit_fixture *f = arg;
    pang_keys keys = {.arena = f->arena, .scope = TENANT};
    pang_str body;
    pang_audit_event event = {.scope = TENANT, .action = PANG_STR("create_table")};
    pang_txn_put(txn, PANG_KIND_SETTING, pang_key_setting(&keys, PANG_STR("changed")),
                 PANG_STR("yes"));
    pang_code code = pang_audit_row(&event, audit_server(0), f->arena, &body, err);
    return code != PANG_OK ? code
                           : pang_audit_put(txn, TENANT, audit_server(0), body, f->arena, err);
}

static void test_change__a_crash_leaves_both_or_neither(void **state)
{
    audit_fixture *f = *state;
    static const struct {
        pang_fault fault;
        size_t expected;
    } cases[] = {
        {PANG_FAULT_FAIL, 0}, {PANG_FAULT_UNKNOWN_LOST, 0}, {PANG_FAULT_UNKNOWN_LANDED, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pang_fault_plan plan = {.fault = cases[i].fault,
                                      .calls = PANG_CALL_APPLY,
                                      .at = 1,
                                      .times = cases[i].fault == PANG_FAULT_FAIL ? 100 : 1};
        pang_txn *txn = pang_txn_begin(f->db[0], TENANT, PANG_NO_DEADLINE, f->arena);
        assert_int_equal(change_with_row(txn, f, &f->err), PANG_OK);
        pang_faulty_arm(f->faulty[0], &plan);
        (void)!pang_txn_commit(txn, &f->err);
        pang_faulty_arm(f->faulty[0], NULL);
        assert_int_equal(audit_count(f, TENANT, PANG_KIND_SETTING, NULL), cases[i].expected);
        assert_int_equal(audit_count(f, TENANT, PANG_KIND_AUDIT, NULL), cases[i].expected);
        assert_true(verify(f).good);
    }
}

static bool count_scope(void *arg, pang_str scope)
{
    size_t *n = arg;
    (*n)++;
    assert_true(pang_str_equal(scope, *n == 1 ? TENANT : OTHER_TENANT));
    return true;
}

static void test_scopes__every_tenant_once(void **state)
{
    audit_fixture *f = *state;
    size_t n = 0;
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    audit_change(f, 0, TENANT, "create_table", 1, 9);
    audit_change(f, 0, OTHER_TENANT, "create_table", 1, 9);
    assert_int_equal(pang_audit_scopes(f->inner, count_scope, &n, &f->err), PANG_OK);
    assert_int_equal(n, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_verify__a_log_that_is_whole),
        CASE(test_verify__an_altered_row_is_named),
        CASE(test_verify__an_altered_row_with_a_digest_that_fits_is_named),
        CASE(test_verify__a_removed_row_is_named),
        CASE(test_verify__the_first_and_the_last_row_of_a_seal),
        CASE(test_verify__swapped_rows_are_named),
        CASE(test_verify__a_doubled_row_is_named),
        CASE(test_verify__rows_that_were_put_in_are_named),
        CASE(test_verify__a_truncated_log_is_named),
        CASE(test_verify__a_log_that_was_set_back),
        CASE(test_verify__a_seal_that_was_changed),
        CASE(test_retire__whole_seals_go_and_the_rest_still_proves_itself),
        CASE(test_seal__a_row_that_is_gone_before_it_is_sealed),
        CASE(test_change__a_crash_leaves_both_or_neither),
        CASE(test_scopes__every_tenant_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
