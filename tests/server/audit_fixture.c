/*
 * The store is wrapped once for each server, so that each sees the other's writes as another
 * process's.
 */
#include "tests/server/audit_fixture.h"

enum { ARENA_BYTES = 64 << 20 };

void audit_open(audit_fixture *f, const char *url)
{
    memset(f, 0, sizeof *f);
    f->clock = (pang_env_fixed){.wall_ms = 1700000000000, .mono_ms = 5000, .seed = 7};
    f->env = pang_env_from_fixed(&f->clock);
    pang_store_config config = {.url = pang_str_from(url), .env = &f->env};
    assert_int_equal(pang_store_open(&config, &f->inner, &f->err), PANG_OK);
    assert_int_equal(pang_store_migrate(f->inner, &f->err), PANG_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pang_faulty_wrap(f->inner, false, false, &f->faulty[i], &f->err), PANG_OK);
        assert_int_equal(pang_db_open(f->faulty[i], NULL, &f->db[i], &f->err), PANG_OK);
        pang_audit_config audit = {.env = &f->env, .db = f->db[i], .server = audit_server(i)};
        assert_int_equal(pang_audit_open(&audit, &f->audit[i], &f->err), PANG_OK);
    }
    f->arena = pang_arena_new(ARENA_BYTES);
    assert_non_null(f->arena);
}

void audit_close(audit_fixture *f)
{
    for (unsigned i = 0; i < 2; i++) {
        pang_faulty_arm(f->faulty[i], NULL);
        pang_audit_close(f->audit[i]);
        pang_db_close(f->db[i]);
    }
    pang_store_close(f->inner);
    pang_arena_free(f->arena);
}

pang_id audit_id(uint8_t last)
{
    pang_id id = {{0}};
    if (last != 0)
        id = (pang_id){{1, 0x90, [15] = last}};
    return id;
}

pang_id audit_server(unsigned which)
{
    return audit_id((uint8_t)(0xE0 + which));
}

static pang_audit_event event_of(pang_str tenant, const char *action, uint8_t principal)
{
    return (pang_audit_event){
        .scope = tenant,
        .action = pang_str_from(action),
        .method = PANG_STR("/pangolin.v1.TableService/Any"),
        .principal = audit_id(principal),
        .principal_name = PANG_STR("ana"),
        .request_id = PANG_STR("01900000-0000-7000-8000-000000000001"),
        .client_address = PANG_STR("192.0.2.1"),
        .user_agent = PANG_STR("test/1"),
    };
}

void audit_change(audit_fixture *f, unsigned server, pang_str tenant, const char *action,
                  uint8_t principal, uint8_t resource)
{
    pang_arena *arena = pang_arena_new(ARENA_BYTES);
    pang_audit_event event = event_of(tenant, action, principal);
    event.resource = audit_id(resource);
    /* No two rows are alike. */
    event.name = pang_arena_printf(arena, "demo/sales/orders-%d", (int)f->changes++);
    assert_int_equal(pang_audit_write(f->audit[server], &event, arena, &f->err), PANG_OK);
    pang_arena_free(arena);
}

pang_code audit_read(audit_fixture *f, unsigned server, pang_str tenant, const char *object,
                     uint8_t principal)
{
    pang_audit_event event = event_of(tenant, "load_table", principal);
    event.name = pang_str_from(object);
    return pang_audit_add(f->audit[server], &event, &f->err);
}

void audit_flush(audit_fixture *f, unsigned server)
{
    assert_int_equal(pang_audit_flush(f->audit[server], &f->err), PANG_OK);
}

bool audit_seal(audit_fixture *f, unsigned server, pang_str tenant)
{
    bool all = false;
    assert_int_equal(pang_audit_seal(f->audit[server], tenant, &all, &f->err), PANG_OK);
    return all;
}

/* ---- the store ---- */

typedef struct {
    uint32_t kind;
    size_t n;
    pang_arena *arena;
    pang_record *last;
} counting;

static bool count_row(void *arg, const pang_record *row)
{
    counting *c = arg;
    if (row->kind != c->kind)
        return true;
    c->n++;
    if (c->last == NULL)
        return true;
    *c->last = *row;
    return pang_arena_copy(c->arena, row->key, &c->last->key) &&
           pang_arena_copy(c->arena, row->body, &c->last->body);
}

size_t audit_count(audit_fixture *f, pang_str tenant, uint32_t kind, pang_record *ret_last)
{
    counting c = {.kind = kind, .arena = f->arena, .last = ret_last};
    pang_query query = {.prefix = tenant, .limit = PANG_SCAN_MAX};
    assert_int_equal(pang_store_scan(f->inner, &query, PANG_NO_DEADLINE, count_row, &c, &f->err),
                     PANG_OK);
    return c.n;
}

pang_rec_audit_row *audit_unpack(audit_fixture *f, const pang_record *record)
{
    pang_rec_audit_row *row = NULL;
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__audit_row__descriptor, record,
                                        f->arena, &row, &f->err),
                     PANG_OK);
    return row;
}

pang_rec_audit_head *audit_head(audit_fixture *f, pang_str tenant)
{
    pang_rec_audit_head *head = NULL;
    pang_keys keys = {.arena = f->arena, .scope = tenant};
    pang_record record = audit_get(f, pang_key_audit_head(&keys));
    if (record.version == 0)
        return NULL;
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__audit_head__descriptor, &record,
                                        f->arena, &head, &f->err),
                     PANG_OK);
    return head;
}

pang_record audit_get(audit_fixture *f, pang_str key)
{
    pang_record record;
    pang_ref ref = {.key = key};
    assert_int_equal(
        pang_store_get(f->inner, &ref, 1, PANG_NO_DEADLINE, f->arena, &record, &f->err), PANG_OK);
    return record;
}

static void apply(audit_fixture *f, pang_commit *commit)
{
    pang_commit *const commits[] = {commit};
    pang_keys keys = {.arena = f->arena, .scope = TENANT};
    commit->scope = TENANT;
    commit->id = pang_id_v7(&f->env);
    commit->id_key = pang_key_commit_id(&keys, commit->id);
    pang_store_apply(f->inner, commits, 1);
    assert_int_equal(commit->outcome, PANG_COMMIT_OK);
}

void audit_tamper_put(audit_fixture *f, const pang_record *record, pang_str body)
{
    const pang_put put = {.key = record->key,
                          .body = body,
                          .kind = record->kind,
                          .slot = PANG_NO_SLOT,
                          .key_slot = PANG_NO_SLOT};
    pang_commit commit = {.puts = &put, .n_puts = 1};
    f->clock.wall_ms = record->time_ms; /* the header's time is the store's at the apply */
    apply(f, &commit);
}

void audit_tamper_delete(audit_fixture *f, pang_str key)
{
    pang_commit commit = {.deletes = &key, .n_deletes = 1};
    apply(f, &commit);
}
