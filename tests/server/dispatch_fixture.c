/*
 * The handlers write one record per name, so that a test can see what was committed.
 */
#include "tests/server/dispatch_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "storage/backends.h"
#include "storage/faulty.h"

const pang_store_ops *const pang_stores[] = {&pang_memory_ops, NULL};

enum { ARENA_BYTES = 4 << 20, KIND_NAME = PANG_KIND_SETTING };

static fixture *fixture_of(const pang_call *call)
{
    return (fixture *)call->server->state;
}

static pang_code create(pang_call *call, const void *in, void *out, pang_err *err)
{
    const create_request *request = in;
    create_response *response = out;
    fixture *f = fixture_of(call);
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_record record;
    unsigned run = f->runs++;
    if (call->attempt == 0)
        f->used_at_start = pang_arena_used(call->arena);
    else if (f->lose > 0)
        assert_int_equal(pang_arena_used(call->arena), f->used_at_start); /* it was reset */
    pang_str key = pang_key_setting(&keys, pang_str_from(request->namespace_[0]));
    pang_code code = pang_txn_get_one(call->txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version != 0)
        return pang_fail(err, PANG_ALREADY_EXISTS, "AlreadyExistsException", "it exists");
    pang_txn_put(call->txn, KIND_NAME, key, PANG_STR("body"));
    if (run == 0 && f->inside != NULL)
        f->inside(f);
    if (run < f->lose)
        return pang_fail(err, PANG_ABORTED, "CommitFailedException", "lost, run %u", run);
    if (f->fail != PANG_OK)
        return pang_fail(err, f->fail, f->reason, "told to fail");
    response->n_properties = 1;
    response->properties = pang_arena_alloc(call->arena, sizeof(void *));
    Pangolin__V1__CreateNamespaceResponse__PropertiesEntry *property = pang_arena_alloc(
        call->arena, sizeof *property);
    assert_non_null(response->properties);
    assert_non_null(property);
    pangolin__v1__create_namespace_response__properties_entry__init(property);
    property->key = (char *)(uintptr_t) "location";
    property->value = (char *)(uintptr_t)pang_arena_printf(call->arena, "run-%u", run).ptr;
    response->properties[0] = property;
    if (f->keeps)
        call->keep = pang_arena_printf(call->arena, "kept-%u", run);
    return PANG_OK;
}

static pang_code replay(pang_call *call, const void *in, pang_str kept, void *out, pang_err *err)
{
    create_response *response = out;
    (void)in;
    (void)err;
    fixture_of(call)->replays++;
    response->n_properties = 1;
    response->properties = pang_arena_alloc(call->arena, sizeof(void *));
    Pangolin__V1__CreateNamespaceResponse__PropertiesEntry *property = pang_arena_alloc(
        call->arena, sizeof *property);
    assert_non_null(response->properties);
    assert_non_null(property);
    pangolin__v1__create_namespace_response__properties_entry__init(property);
    property->key = (char *)(uintptr_t) "location";
    property->value = pang_arena_cstr(call->arena, kept);
    response->properties[0] = property;
    return PANG_OK;
}

static pang_code load(pang_call *call, const void *in, void *out, pang_err *err)
{
    const load_request *request = in;
    fixture *f = fixture_of(call);
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_record record;
    (void)out;
    f->runs++;
    pang_str key = pang_key_setting(&keys, pang_str_from(request->namespace_[0]));
    if (f->runs <= f->lose)
        return pang_fail(err, PANG_ABORTED, "CommitFailedException", "lost");
    if (f->load_writes)
        pang_txn_put(call->txn, KIND_NAME, key, PANG_STR("sneaked in"));
    pang_code code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version == 0 && !f->load_writes)
        return pang_fail(err, PANG_NOT_FOUND, "NoSuchNamespaceException", "it does not exist");
    return code;
}

static pang_code ping(pang_call *call, const void *in, void *out, pang_err *err)
{
    (void)in;
    (void)out;
    (void)err;
    assert_null(call->txn);
    fixture_of(call)->runs++;
    return PANG_OK;
}

static const pang_method rows[] = {
    {
        .path = "/pangolin.v1.NamespaceService/CreateNamespace",
        .in = &pangolin__v1__create_namespace_request__descriptor,
        .out = &pangolin__v1__create_namespace_response__descriptor,
        .handle = create,
        .replay = replay,
    },
    {
        .path = "/pangolin.v1.NamespaceService/LoadNamespace",
        .in = &pangolin__v1__load_namespace_request__descriptor,
        .out = &pangolin__v1__load_namespace_response__descriptor,
        .handle = load,
    },
    {
        .path = "/pangolin.v1.OperationsService/Ping",
        .in = &pangolin__v1__ping_request__descriptor,
        .out = &pangolin__v1__ping_response__descriptor,
        .handle = ping,
    },
};

static pang_code evaluate(void *arg, pang_call *call, const pang_access *access, pang_verdict *ret,
                          pang_err *err)
{
    fixture *f = arg;
    size_t at = 0;
    (void)call;
    assert_true(f->n_seen < 8);
    char *name = f->seen_names[f->n_seen];
    name[0] = '\0';
    for (size_t i = 0; i < access->n_object; i++)
        for (size_t l = 0; l < access->object[i].n; l++)
            at += (size_t)snprintf(name + at, 128 - at, "/%" PANG_STR_FMT,
                                   PANG_STR_ARG(access->object[i].levels[l]));
    f->seen[f->n_seen++] = *access;
    *ret = f->verdict;
    if (f->evaluator_fails != PANG_OK)
        return pang_fail(err, f->evaluator_fails, NULL, "the grants cannot be read");
    return PANG_OK;
}

static pang_dispatch_config config_of(fixture *f, const pang_service *const *services)
{
    return (pang_dispatch_config){
        .server = &f->shared,
        .services = services,
        .server_id = {.bytes = {1, 2, 3}},
        .in_flight_max = 4,
        .streams_max = 2,
        .timeout_ms = 20000,
        .body_max = 16 << 20,
    };
}

pang_code fixture_try(fixture *f, const pang_method *with, size_t n, bool evaluation, pang_err *err)
{
    const pang_service service = {"test", with, n};
    const pang_service *const services[] = {&service, NULL};
    pang_dispatch_config config = config_of(f, services);
    pang_dispatcher *dispatcher = NULL;
    f->shared.evaluation = evaluation;
    pang_code code = pang_dispatch_open(&config, &dispatcher, err);
    pang_dispatch_close(dispatcher);
    f->shared.evaluation = true;
    return code;
}

void fixture_open(fixture *f, bool with_evaluator)
{
    static const pang_service service = {"test", rows, sizeof rows / sizeof rows[0]};
    static const pang_service *const services[] = {&service, NULL};
    pang_err err;
    pang_store *store, *second;
    memset(f, 0, sizeof *f);
    f->clock = (pang_env_fixed){.wall_ms = 1700000000000, .mono_ms = 5000, .seed = 7};
    f->env = pang_env_from_fixed(&f->clock);
    pang_store_config memory = {.url = PANG_STR("memory:"), .env = &f->env};
    assert_int_equal(pang_store_open(&memory, &f->inner, &err), PANG_OK);
    assert_int_equal(pang_store_migrate(f->inner, &err), PANG_OK);
    assert_int_equal(pang_faulty_wrap(f->inner, false, false, &store, &err), PANG_OK);
    assert_int_equal(pang_faulty_wrap(f->inner, false, false, &second, &err), PANG_OK);
    assert_int_equal(pang_db_open(store, NULL, &f->db, &err), PANG_OK);
    assert_int_equal(pang_db_open(second, NULL, &f->other, &err), PANG_OK);
    assert_int_equal(pang_schema_load(pang_schema_linked(), &f->schema, &err), PANG_OK);
    assert_int_equal(pang_counters_open(f->schema, &f->counters, &err), PANG_OK);
    f->shared = (pang_server_env){.env = &f->env,
                                  .db = f->db,
                                  .schema = f->schema,
                                  .counters = f->counters,
                                  .state = (void *)f,
                                  .evaluation = true};
    f->verdict = PANG_ALLOWED;
    pang_dispatch_config config = config_of(f, services);
    config.evaluate = with_evaluator ? evaluate : NULL;
    config.evaluate_arg = f;
    assert_int_equal(pang_dispatch_open(&config, &f->dispatcher, &err), PANG_OK);
}

void fixture_close(fixture *f)
{
    pang_dispatch_close(f->dispatcher);
    pang_counters_close(f->counters);
    pang_schema_free(f->schema);
    pang_db_close(f->db);
    pang_db_close(f->other);
    pang_store_close(f->inner);
}

static void copy_out(outcome *to, const char *path, const pang_answer *answer)
{
    to->has_out = answer->out != NULL;
    to->retry_after_s = answer->retry_after_s;
    if (answer->code != PANG_OK) {
        (void)snprintf(to->reason, sizeof to->reason, "%s",
                       answer->err.reason ? answer->err.reason : "");
        (void)snprintf(to->message, sizeof to->message, "%s", answer->err.message);
        return;
    }
    const create_response *response = (const create_response *)answer->out;
    if (strstr(path, "CreateNamespace") != NULL && response->n_properties == 1)
        (void)snprintf(to->location, sizeof to->location, "%s", response->properties[0]->value);
}

outcome fixture_call(fixture *f, const char *path, pang_str packed, int64_t deadline_ms)
{
    outcome to = {0};
    pang_answer answer;
    pang_transport transport = {.ops = NULL};
    const pang_route *route = pang_dispatch_find(f->dispatcher, pang_str_from(path));
    assert_non_null(route);
    pang_request request = {
        .message = packed,
        .request_id = PANG_STR("request-1"),
        .client_address = PANG_STR("192.0.2.1"),
        .user_agent = PANG_STR("test/1"),
        .deadline_ms = deadline_ms,
        .arena = pang_arena_new(ARENA_BYTES),
        .attempt = pang_arena_new(ARENA_BYTES),
        .transport = &transport,
    };
    to.code = pang_dispatch_admit(f->dispatcher, route, &answer);
    if (to.code == PANG_OK) {
        pang_dispatch_run(f->dispatcher, route, &request, &answer);
        to.code = answer.code;
        pang_dispatch_leave(f->dispatcher, route);
    }
    copy_out(&to, path, &answer);
    pang_arena_free(request.attempt);
    pang_arena_free(request.arena);
    return to;
}

outcome fixture_create(fixture *f, const char *name, const char *key)
{
    uint8_t packed[512];
    create_request request = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    char *level = (char *)(uintptr_t)name;
    request.prefix = (char *)(uintptr_t) "demo";
    request.n_namespace_ = 1;
    request.namespace_ = &level;
    request.idempotency_key = (char *)(uintptr_t)(key ? key : "");
    size_t size = pangolin__v1__create_namespace_request__pack(&request, packed);
    return fixture_call(f, "/pangolin.v1.NamespaceService/CreateNamespace",
                        (pang_str){(char *)packed, size}, PANG_NO_DEADLINE);
}

outcome fixture_load(fixture *f, const char *name)
{
    uint8_t packed[512];
    load_request request = PANGOLIN__V1__LOAD_NAMESPACE_REQUEST__INIT;
    char *level = (char *)(uintptr_t)name;
    request.prefix = (char *)(uintptr_t) "demo";
    request.n_namespace_ = 1;
    request.namespace_ = &level;
    size_t size = pangolin__v1__load_namespace_request__pack(&request, packed);
    return fixture_call(f, "/pangolin.v1.NamespaceService/LoadNamespace",
                        (pang_str){(char *)packed, size}, PANG_NO_DEADLINE);
}

void fixture_other_sets(fixture *f, const char *name, bool exists)
{
    pang_arena *arena = pang_arena_new(ARENA_BYTES);
    pang_keys keys = {.arena = arena, .scope = NIL_SCOPE};
    pang_str key = pang_key_setting(&keys, pang_str_from(name));
    pang_txn *txn = pang_txn_begin(f->other, NIL_SCOPE, PANG_NO_DEADLINE, arena);
    assert_non_null(txn);
    if (exists)
        pang_txn_put(txn, KIND_NAME, key, PANG_STR("another's"));
    else
        pang_txn_delete(txn, key);
    assert_int_equal(pang_txn_commit(txn, NULL), PANG_OK);
    pang_arena_free(arena);
}

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
    *c->last = *row;
    return pang_arena_copy(c->arena, row->key, &c->last->key) &&
           pang_arena_copy(c->arena, row->body, &c->last->body);
}

size_t fixture_count(fixture *f, uint32_t kind, pang_arena *arena, pang_record *ret_last)
{
    counting c = {.kind = kind, .arena = arena, .last = ret_last};
    pang_err err;
    pang_query query = {.prefix = NIL_SCOPE, .limit = PANG_SCAN_MAX};
    assert_int_equal(pang_store_scan(f->inner, &query, PANG_NO_DEADLINE, count_row, &c, &err),
                     PANG_OK);
    return c.n;
}
