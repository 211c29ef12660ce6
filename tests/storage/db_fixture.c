/*
 * See db_fixture.h.
 */
#include "tests/storage/db_fixture.h"

#include "storage/backends.h"

/* Tests of the handle need these two only. */
const pang_store_ops *const pang_stores[] = {
    &pang_memory_ops,
    &pang_faulty_ops,
    NULL,
};

static void open_handle(rig *r, bool exclusive, const pang_db_config *config, pang_store **faults,
                        pang_db **ret)
{
    pang_err err = {0};
    assert_int_equal(pang_faulty_wrap(r->memory, false, exclusive, faults, &err), PANG_OK);
    assert_int_equal(pang_db_open(*faults, config, ret, &err), PANG_OK);
}

void rig_open(rig *r, const pang_db_config *config)
{
    pang_err err = {0};
    *r = (rig){.arena = pang_arena_new(64 << 20)};
    assert_non_null(r->arena);
    pang_store_config memory = {.url = PANG_STR("memory:"), .env = &pang_env_system};
    assert_int_equal(pang_store_open(&memory, &r->memory, &err), PANG_OK);
    open_handle(r, true, config, &r->faults_own, &r->own);
    open_handle(r, false, config, &r->faults_a, &r->a);
    open_handle(r, false, config, &r->faults_b, &r->b);
}

void rig_close(rig *r)
{
    pang_arena_free(r->arena);
    pang_db_close(r->own);
    pang_db_close(r->a);
    pang_db_close(r->b);
    pang_store_close(r->memory);
}

pang_txn *rig_begin(rig *r, pang_db *db)
{
    pang_txn *txn = pang_txn_begin(db, SCOPE, PANG_NO_DEADLINE, r->arena);
    assert_non_null(txn);
    return txn;
}

pang_code rig_commit(pang_txn *txn)
{
    pang_err err = {0};
    pang_code code = pang_txn_commit(txn, &err);
    assert_true(code == PANG_OK || err.code == code);
    return code;
}

void rig_put(rig *r, pang_db *db, const char *key, const char *body)
{
    pang_txn *txn = rig_begin(r, db);
    pang_txn_put(txn, PANG_KIND_FIRST, pang_str_from(key), pang_str_from(body));
    assert_int_equal(rig_commit(txn), PANG_OK);
}

void rig_delete(rig *r, pang_db *db, const char *key)
{
    pang_txn *txn = rig_begin(r, db);
    pang_txn_delete(txn, pang_str_from(key));
    assert_int_equal(rig_commit(txn), PANG_OK);
}

void rig_add(rig *r, pang_db *db, const char *counter, int64_t amount)
{
    pang_txn *txn = rig_begin(r, db);
    pang_txn_add(txn, pang_str_from(counter), amount);
    assert_int_equal(rig_commit(txn), PANG_OK);
}

const char *rig_get(rig *r, pang_txn *txn, const char *key, pang_read_mode mode,
                    pang_code *ret_code)
{
    pang_ref ref = {.key = pang_str_from(key), .mode = PANG_REF_EXACT};
    pang_record record = {0};
    pang_err err = {0};
    pang_code code = pang_txn_get(txn, &ref, 1, mode, &record, &err);
    if (ret_code != NULL)
        *ret_code = code;
    else
        assert_int_equal(code, PANG_OK);
    if (code != PANG_OK || record.version == 0)
        return NULL;
    assert_true(pang_str_equal(record.key, ref.key));
    return pang_arena_cstr(r->arena, record.body);
}

const char *rig_read(rig *r, pang_db *db, const char *key)
{
    pang_err err = {0};
    for (int i = 0; i < 5; i++) {
        pang_txn *txn = rig_begin(r, db);
        const char *body = rig_get(r, txn, key, PANG_READ_CHECKED, NULL);
        if (pang_txn_finish(txn, &err) == PANG_OK)
            return body;
        assert_int_equal(err.code, PANG_ABORTED);
    }
    fail_msg("stale again and again");
    return NULL;
}

pang_record rig_peek(rig *r, const char *key)
{
    pang_ref ref = {.key = pang_str_from(key), .mode = PANG_REF_EXACT};
    pang_record record = {0};
    pang_err err = {0};
    assert_int_equal(pang_store_get(r->memory, &ref, 1, PANG_NO_DEADLINE, r->arena, &record, &err),
                     PANG_OK);
    return record;
}

pang_db_stats rig_stats(pang_db *db)
{
    pang_db_stats stats;
    pang_db_get_stats(db, &stats);
    return stats;
}
