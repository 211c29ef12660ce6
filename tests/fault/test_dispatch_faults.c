/*
 * The dispatcher with the real services behind it, under faults: whatever fails on the way of a
 * read or a write, from the bytes of the request to the reply, the answer is the right one or says
 * that there was no room, and nothing is left of what did not land: no table, no file, no row of
 * the audit without its change, no outcome kept for a repeat.
 */
#include "tests/server/catalog_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/keys.h"
#include "server/dispatch.h"
#include "tests/fault/sweep.h"

enum { CALL_MEMORY = 64 << 20, PACKED_MAX = 2048 };

#define SERVICE "/pangolin.v1.TableService/"
#define KEY "0190a5dc-0000-7000-8000-000000000001"

/* A call that is packed already, and the dispatcher that runs it. */
typedef struct {
    fixture *fx;
    pang_counters *counters;
    pang_dispatcher *dispatcher;
    const char *path;
    uint8_t packed[PACKED_MAX];
    size_t len;
} world;

/* ---- worlds ---- */

static world *begin_world(const char *path, bool with_table)
{
    world *w = calloc(1, sizeof *w);
    pang_err err;
    assert_non_null(w);
    w->fx = fx_open("faulty:memory:");
    w->path = path;
    assert_int_equal(pang_counters_open(w->fx->schema, &w->counters, &err), PANG_OK);
    w->fx->server.counters = w->counters;
    pang_dispatch_config config = {
        .server = &w->fx->server,
        .services = pang_services,
        .server_id = {.bytes = {1}},
        .in_flight_max = 4,
        .streams_max = 1,
        .timeout_ms = 20000,
        .body_max = 1 << 20,
    };
    if (pang_dispatch_open(&config, &w->dispatcher, &err) != PANG_OK)
        fail_msg("%s", err.message);
    assert_int_equal(fx_create_namespace(w->fx, "ns"), PANG_OK);
    if (with_table)
        assert_int_equal(fx_create_table(w->fx, "ns", "t", NULL), PANG_OK);
    return w;
}

static void pack(world *w, const ProtobufCMessage *message)
{
    assert_true(protobuf_c_message_get_packed_size(message) <= sizeof w->packed);
    w->len = protobuf_c_message_pack(message, w->packed);
    pang_arena_reset(w->fx->arena);
}

static void *begin_load(void)
{
    world *w = begin_world(SERVICE "LoadTable", true);
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    in.prefix = fx_text(w->fx, FX_PREFIX);
    in.namespace_ = fx_levels(w->fx, "ns", &in.n_namespace_);
    in.table = fx_text(w->fx, "t");
    pack(w, &in.base);
    return w;
}

static void *begin_list(void)
{
    world *w = begin_world(SERVICE "ListTables", true);
    Pangolin__V1__ListTablesRequest in = PANGOLIN__V1__LIST_TABLES_REQUEST__INIT;
    assert_int_equal(fx_create_table(w->fx, "ns", "u", NULL), PANG_OK);
    in.prefix = fx_text(w->fx, FX_PREFIX);
    in.namespace_ = fx_levels(w->fx, "ns", &in.n_namespace_);
    in._page_token_case = PANGOLIN__V1__LIST_TABLES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
    in.page_token = (char *)(uintptr_t) "";
    in.page_size = 1;
    pack(w, &in.base);
    return w;
}

static void *begin_create(void)
{
    world *w = begin_world(SERVICE "CreateTable", false);
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    in.prefix = fx_text(w->fx, FX_PREFIX);
    in.namespace_ = fx_levels(w->fx, "ns", &in.n_namespace_);
    in.name = fx_text(w->fx, "t");
    in.schema = fx_bytes(FX_SCHEMA);
    in.idempotency_key = fx_text(w->fx, KEY);
    pack(w, &in.base);
    return w;
}

static void *begin_commit(void)
{
    world *w = begin_world(SERVICE "CommitTable", true);
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    in.prefix = fx_text(w->fx, FX_PREFIX);
    in.namespace_ = fx_levels(w->fx, "ns", &in.n_namespace_);
    in.table = fx_text(w->fx, "t");
    in.requirements = fx_bytes("[]");
    in.updates = fx_bytes("[{\"action\":\"set-properties\",\"updates\":{\"mark\":\"made-it\"}}]");
    in.idempotency_key = fx_text(w->fx, KEY);
    pack(w, &in.base);
    return w;
}

static void end(void *arg)
{
    world *w = arg;
    pang_dispatch_close(w->dispatcher);
    pang_counters_close(w->counters);
    fx_close(w->fx);
    free(w);
}

static pang_store *store_of(void *arg)
{
    return pang_db_store(((world *)arg)->fx->db);
}

/* ---- the call ---- */

/* What a reply must be, whatever was short on the way to it. */
static void check_reply(const world *w, const ProtobufCMessage *out)
{
    assert_non_null(out);
    if (strcmp(w->path, SERVICE "LoadTable") == 0) {
        const Pangolin__V1__LoadTableResponse *m = (const void *)out;
        assert_non_null(memmem(m->metadata.data, m->metadata.len, "/ns/t\"", 6));
        assert_true(m->etag[0] != '\0' && m->metadata_location[0] != '\0');
    } else if (strcmp(w->path, SERVICE "ListTables") == 0) {
        const Pangolin__V1__ListTablesResponse *m = (const void *)out;
        assert_int_equal(m->n_identifiers, 1);
        assert_string_equal(m->identifiers[0]->name, "t");
        assert_true(m->next_page_token[0] != '\0');
    } else if (strcmp(w->path, SERVICE "CreateTable") == 0) {
        const Pangolin__V1__CreateTableResponse *m = (const void *)out;
        assert_true(m->metadata.len > 0 && m->etag[0] != '\0' && m->metadata_location[0] != '\0');
    } else {
        const Pangolin__V1__CommitTableResponse *m = (const void *)out;
        assert_non_null(memmem(m->metadata.data, m->metadata.len, "made-it", 7));
    }
}

/* With so much memory for the message, and for each run of the handler. */
static pang_code call_within(world *w, size_t message_max, size_t attempt_max, pang_err *err)
{
    pang_transport transport = {.ops = NULL};
    pang_answer answer;
    const pang_route *route = pang_dispatch_find(w->dispatcher, pang_str_from(w->path));
    pang_request request = {
        .message = {(const char *)w->packed, w->len},
        .deadline_ms = PANG_NO_DEADLINE,
        .arena = pang_arena_new(message_max),
        .attempt = pang_arena_new(attempt_max),
        .transport = &transport,
    };
    if (request.arena == NULL || request.attempt == NULL) { /* the transport answers this one */
        answer.code = pang_fail_memory(&answer.err);
    } else if (pang_dispatch_admit(w->dispatcher, route, &answer) == PANG_OK) {
        pang_dispatch_run(w->dispatcher, route, &request, &answer);
        pang_dispatch_leave(w->dispatcher, route);
    }
    *err = answer.err;
    if (answer.code == PANG_OK)
        check_reply(w, answer.out);
    pang_arena_free(request.attempt);
    pang_arena_free(request.arena);
    assert_int_equal(pang_dispatch_in_flight(w->dispatcher), 0);
    return answer.code;
}

static pang_code call(world *w, pang_err *err)
{
    return call_within(w, CALL_MEMORY, CALL_MEMORY, err);
}

static pang_code run(void *arg, pang_err *err)
{
    return call(arg, err);
}

/* ---- what is left ---- */

static bool count_audits(void *arg, const pang_record *row)
{
    *(size_t *)arg += row->kind == PANG_KIND_AUDIT;
    return true;
}

static size_t audits(const world *w)
{
    pang_query query = {.prefix = FX_SCOPE, .limit = PANG_SCAN_MAX};
    pang_err err;
    size_t n = 0;
    assert_int_equal(
        pang_store_scan(pang_db_store(w->fx->db), &query, PANG_NO_DEADLINE, count_audits, &n, &err),
        PANG_OK);
    return n;
}

/* Whether the table is there, and holds `mark` where that is asked for. */
static bool has_table(const world *w, const char *mark)
{
    Pangolin__V1__LoadTableResponse out;
    pang_code code = fx_load_table(w->fx, "ns", "t", &out);
    if (code == PANG_NOT_FOUND && strcmp(w->fx->err.reason, "NoSuchTableException") == 0)
        return false;
    if (code != PANG_OK)
        fail_msg("%s: %s", pang_code_name(code), w->fx->err.message);
    return mark == NULL || memmem(out.metadata.data, out.metadata.len, mark, strlen(mark)) != NULL;
}

static void check_read(void *arg, pang_code code)
{
    world *w = arg;
    pang_err err;
    (void)code;
    assert_int_equal(audits(w), 0);
    assert_int_equal(call(w, &err), PANG_OK);
}

/* Done or not, the row of the audit is there with it; and the same call again brings it about, or
 * finds it done, and does it once. */
static void check_write(world *w, pang_code code, const char *mark)
{
    pang_err err;
    bool done = has_table(w, mark);
    if (code == PANG_OK)
        assert_true(done);
    else if (code != PANG_UNKNOWN)
        assert_false(done);
    assert_int_equal(audits(w), done ? 1 : 0);
    assert_int_equal(call(w, &err), PANG_OK);
    assert_true(has_table(w, mark));
    assert_int_equal(audits(w), 1);
}

static void check_create(void *arg, pang_code code)
{
    check_write(arg, code, NULL);
}

static void check_commit(void *arg, pang_code code)
{
    check_write(arg, code, "made-it");
}

/* ---- every allocation within an arena ---- */

/* Arenas take blocks, so that a malloc that fails reaches few of the places where they run dry. A
 * limit that grows a few bytes a time reaches nearly all. */
static void sweep_limits(void *(*begin)(void), bool of_message, const char *mark)
{
    enum { STEP = 16, LIMIT_MAX = 4 << 20 };
    world *w = begin();
    bool writes = strstr(w->path, "Create") != NULL || strstr(w->path, "Commit") != NULL;
    size_t limit = 0;
    for (pang_code code = PANG_ABORTED; code != PANG_OK; limit += STEP) {
        pang_err err = {0};
        assert_true(limit < LIMIT_MAX);
        code = call_within(w, of_message ? limit : CALL_MEMORY, of_message ? CALL_MEMORY : limit,
                           &err);
        if (code != PANG_OK && (code != PANG_RESOURCE_EXHAUSTED || err.message[0] == '\0'))
            fail_msg("%s in %zu bytes: %s: %s", w->path, limit, pang_code_name(code), err.message);
        assert_int_equal(audits(w), code == PANG_OK && writes ? 1 : 0);
        if (writes)
            assert_true(has_table(w, mark) == (code == PANG_OK));
        pang_arena_reset(w->fx->arena);
    }
    print_message("%s: %zu bytes %s\n", w->path, limit, of_message ? "of message" : "of attempt");
    end(w);
}

static void test_dispatch_faults__arenas_run_dry(void **state)
{
    (void)state;
    for (int of_message = 0; of_message < 2; of_message++) {
        sweep_limits(begin_load, of_message, NULL);
        sweep_limits(begin_list, of_message, NULL);
        sweep_limits(begin_create, of_message, NULL);
        sweep_limits(begin_commit, of_message, "made-it");
    }
}

/* ---- every malloc, every call of the store ---- */

static void test_dispatch_faults__load(void **state)
{
    (void)state;
    fault_sweep(&(fault_scene){"load", begin_load, store_of, run, check_read, end, true});
}

static void test_dispatch_faults__list(void **state)
{
    (void)state;
    fault_sweep(&(fault_scene){"list", begin_list, store_of, run, check_read, end, true});
}

static void test_dispatch_faults__create(void **state)
{
    (void)state;
    fault_sweep(&(fault_scene){"create", begin_create, store_of, run, check_create, end, true});
}

static void test_dispatch_faults__commit(void **state)
{
    (void)state;
    fault_sweep(&(fault_scene){"commit", begin_commit, store_of, run, check_commit, end, true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispatch_faults__arenas_run_dry),
        cmocka_unit_test(test_dispatch_faults__load),
        cmocka_unit_test(test_dispatch_faults__list),
        cmocka_unit_test(test_dispatch_faults__create),
        cmocka_unit_test(test_dispatch_faults__commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
