/*
 * server/dispatch.h: what is done around a handler.
 */
#include "tests/server/dispatch_fixture.h"

#include "pangolin/store/v1/dispatch.pb-c.h"
#include "server/hash.h"

#define CREATE "/pangolin.v1.NamespaceService/CreateNamespace"
#define LOAD "/pangolin.v1.NamespaceService/LoadNamespace"
#define PING "/pangolin.v1.OperationsService/Ping"

static int setup(void **state)
{
    static fixture f;
    fixture_open(&f, false);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static pang_code never(pang_call *call, const void *in, void *out, pang_err *err)
{
    (void)call;
    (void)in;
    (void)out;
    return pang_fail(err, PANG_INTERNAL, NULL, "never called");
}

static pang_code never_stream(pang_call *call, pang_stream *stream, pang_err *err)
{
    (void)call;
    (void)stream;
    return pang_fail(err, PANG_INTERNAL, NULL, "never called");
}

static void test_open__rows_that_do_not_fit_stop_the_start(void **state)
{
    fixture *f = *state;
    const pang_method ping = {.path = PING,
                              .in = &pangolin__v1__ping_request__descriptor,
                              .out = &pangolin__v1__ping_response__descriptor,
                              .handle = never};
    pang_method unknown = ping, other_in = ping, other_out = ping, stream = ping, both = ping;
    unknown.path = "/pangolin.v1.OperationsService/Pong";
    other_in.in = &pangolin__v1__ping_response__descriptor;
    other_out.out = &pangolin__v1__ping_request__descriptor;
    stream.handle = NULL;
    stream.stream = never_stream;
    both.stream = never_stream;
    const struct {
        pang_method rows[2];
        size_t n;
        const char *part;
    } cases[] = {
        {{ping}, 1, NULL},
        {{unknown}, 1, "no description"},
        {{other_in}, 1, "other messages"},
        {{other_out}, 1, "other messages"},
        {{stream}, 1, "wrong kind"},
        {{both}, 1, "wrong kind"},
        {{ping, ping}, 2, "two handlers"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_err err = {0};
        pang_code code = fixture_try(f, cases[i].rows, cases[i].n, true, &err);
        assert_int_equal(code, cases[i].part == NULL ? PANG_OK : PANG_FAILED_PRECONDITION);
        if (cases[i].part != NULL && strstr(err.message, cases[i].part) == NULL)
            fail_msg("case %zu: \"%s\"", i, err.message);
    }
}

static void test_open__without_authentication_only_when_asked_for(void **state)
{
    pang_err err;
    assert_int_equal(fixture_try(*state, NULL, 0, false, &err), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "PANGOLIN_NO_AUTH=true"));
}

static void test_find__compares_whole_paths(void **state)
{
    fixture *f = *state;
    assert_non_null(pang_dispatch_find(f->dispatcher, PANG_STR(PING)));
    static const pang_str others[] = {
        PANG_STR_INIT(PING "\0"),
        PANG_STR_INIT(PING "/"),
        PANG_STR_INIT("/" PING),
        PANG_STR_INIT(""),
        PANG_STR_INIT("/pangolin.v1.OperationsService/ping"),
        PANG_STR_INIT("pangolin.v1.OperationsService/Ping"),
        PANG_STR_INIT(PING "?x"),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_null(pang_dispatch_find(f->dispatcher, others[i]));
}

static void test_run__malformed_messages_never_reach_a_handler(void **state)
{
    fixture *f = *state;
    static const pang_str packed[] = {
        PANG_STR_INIT("\x0a\x05"
                      "ab"), /* longer than what is there */
        PANG_STR_INIT("\x0a\x02"
                      "a\0"),                                          /* a NUL in a string */
        PANG_STR_INIT("\x0a\x02\xc3\x28"),                             /* not UTF-8 */
        PANG_STR_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), /* an endless varint */
        PANG_STR_INIT("\x0f"),                                         /* an unknown wire type */
    };
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++)
        assert_int_equal(fixture_call(f, CREATE, packed[i], PANG_NO_DEADLINE).code,
                         PANG_INVALID_ARGUMENT);
    assert_int_equal(f->runs, 0);
}

static void test_run__a_change_and_its_audit_row_are_one_commit(void **state)
{
    fixture *f = *state;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_record record;
    assert_int_equal(fixture_create(f, "a", NULL).code, PANG_OK);
    assert_int_equal(fixture_create(f, "b", NULL).code, PANG_OK);
    f->fail = PANG_NOT_FOUND;
    assert_int_equal(fixture_create(f, "c", NULL).code, PANG_NOT_FOUND);
    f->fail = PANG_OK;
    assert_int_equal(fixture_create(f, "d", NULL).code, PANG_OK);
    assert_int_equal(fixture_count(f, PANG_KIND_SETTING, arena, &record), 3);
    assert_int_equal(fixture_count(f, PANG_KIND_AUDIT, arena, &record), 3);
    /* Numbers have no gap for what failed. */
    assert_true(pang_str_ends(record.key, PANG_STR("/0000000000000003")));
    assert_int_equal(record.sequence, 3);
    Pangolin__Store__V1__AuditRow *row = pangolin__store__v1__audit_row__unpack(
        NULL, record.body.len, (const uint8_t *)record.body.ptr);
    assert_non_null(row);
    assert_string_equal(row->action, "create_namespace");
    assert_string_equal(row->method, CREATE);
    assert_string_equal(row->principal_name, "anonymous");
    assert_string_equal(row->request_id, "request-1");
    assert_string_equal(row->client_address, "192.0.2.1");
    assert_int_equal(row->n_objects, 1);
    assert_string_equal(row->objects[0]->name, "demo/d");
    /* The digest is over the row's own bytes before it. */
    uint8_t digest[PANG_HASH_BYTES], server[16] = {1, 2, 3};
    pang_str parts[] = {NIL_SCOPE,
                        {(char *)server, sizeof server},
                        pang_str_slice(record.body, 0, record.body.len - PANG_HASH_BYTES - 2)};
    assert_int_equal(pang_hash(parts, 3, digest, NULL), PANG_OK);
    assert_int_equal(row->digest.len, PANG_HASH_BYTES);
    assert_memory_equal(row->digest.data, digest, PANG_HASH_BYTES);
    pangolin__store__v1__audit_row__free_unpacked(row, NULL);
    pang_arena_free(arena);
}

static void test_run__a_lost_race_runs_again_from_the_start(void **state)
{
    fixture *f = *state;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_record record;
    f->lose = 3;
    outcome got = fixture_create(f, "a", NULL);
    assert_int_equal(got.code, PANG_OK);
    assert_string_equal(got.location, "run-3");
    assert_int_equal(fixture_count(f, PANG_KIND_SETTING, arena, &record), 1);
    assert_int_equal(fixture_count(f, PANG_KIND_AUDIT, arena, &record), 1);
    assert_int_equal(pang_counter_value(f->counters, PANG_COUNT_RERUNS), 3);
    pang_arena_free(arena);
}

static void test_run__races_are_lost_only_so_often(void **state)
{
    fixture *f = *state;
    f->lose = 1000;
    outcome got = fixture_create(f, "a", NULL);
    assert_int_equal(got.code, PANG_ABORTED);
    assert_string_equal(got.reason, "CommitFailedException");
    assert_int_equal(f->runs, PANG_TXN_TRIES);
    f->runs = 0;
    got = fixture_load(f, "a");
    assert_int_equal(got.code, PANG_UNAVAILABLE); /* a read has lost nothing */
    assert_int_equal(got.retry_after_s, PANG_RETRY_AFTER_S);
    assert_int_equal(f->runs, PANG_TXN_TRIES);
}

static void create_inside(fixture *f)
{
    assert_int_equal(fixture_create(f, "a", NULL).code, PANG_OK);
}

static void test_run__a_real_race_is_seen_by_the_second(void **state)
{
    fixture *f = *state;
    f->inside = create_inside;
    outcome got = fixture_create(f, "a", NULL);
    assert_int_equal(got.code, PANG_ALREADY_EXISTS);
    assert_int_equal(f->runs, 3);
}

static void test_run__a_verdict_on_a_stale_record_is_none(void **state)
{
    fixture *f = *state;
    fixture_other_sets(f, "a", true);
    assert_int_equal(fixture_load(f, "a").code, PANG_OK);
    fixture_other_sets(f, "a", false);
    assert_int_equal(fixture_load(f, "a").code, PANG_NOT_FOUND); /* the cache said otherwise */
    fixture_other_sets(f, "a", true);
    assert_int_equal(fixture_load(f, "a").code, PANG_OK);
    fixture_other_sets(f, "a", false);
    f->runs = 0;
    assert_int_equal(fixture_create(f, "a", NULL).code, PANG_OK); /* not ALREADY_EXISTS */
    assert_int_equal(f->runs, 2);
}

static void test_run__a_read_cannot_write(void **state)
{
    fixture *f = *state;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_record record;
    f->load_writes = true;
    assert_int_equal(fixture_load(f, "a").code, PANG_INTERNAL);
    assert_int_equal(fixture_count(f, PANG_KIND_SETTING, arena, &record), 0);
    pang_arena_free(arena);
}

static void test_run__a_deadline_that_has_passed(void **state)
{
    fixture *f = *state;
    assert_int_equal(fixture_call(f, LOAD, PANG_STR(""), f->clock.mono_ms).code,
                     PANG_DEADLINE_EXCEEDED);
    assert_int_equal(f->runs, 0);
}

static void test_deadline__the_first_of_three(void **state)
{
    fixture *f = *state;
    const pang_route *ping = pang_dispatch_find(f->dispatcher, PANG_STR(PING));
    const pang_route *watch = pang_dispatch_find(f->dispatcher,
                                                 PANG_STR("/grpc.health.v1.Health/Watch"));
    assert_int_equal(pang_route_deadline(f->dispatcher, ping, 100, 200), 200);
    assert_int_equal(pang_route_deadline(f->dispatcher, ping, 100, PANG_NO_DEADLINE), 20100);
    assert_int_equal(pang_route_deadline(f->dispatcher, watch, 100, PANG_NO_DEADLINE),
                     PANG_NO_DEADLINE);
}

static void test_admit__bounded_but_for_health(void **state)
{
    fixture *f = *state;
    pang_answer answer = {0};
    const pang_route *load = pang_dispatch_find(f->dispatcher, PANG_STR(LOAD));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pang_dispatch_admit(f->dispatcher, load, &answer), PANG_OK);
    outcome got = fixture_load(f, "a");
    assert_int_equal(got.code, PANG_RESOURCE_EXHAUSTED);
    assert_int_equal(got.retry_after_s, PANG_RETRY_AFTER_S);
    assert_int_equal(fixture_call(f, PING, PANG_STR(""), PANG_NO_DEADLINE).code, PANG_OK);
    assert_int_equal(pang_dispatch_in_flight(f->dispatcher), 4);
    assert_int_equal(pang_counter_value(f->counters, PANG_COUNT_REFUSED), 1);
    for (unsigned i = 0; i < 4; i++)
        pang_dispatch_leave(f->dispatcher, load);
    assert_int_equal(fixture_load(f, "a").code, PANG_NOT_FOUND);
    assert_int_equal(pang_dispatch_in_flight(f->dispatcher), 0);
}

static void test_admit__described_but_not_handled(void **state)
{
    fixture *f = *state;
    assert_int_equal(
        fixture_call(f, "/pangolin.v1.TableService/LoadTable", PANG_STR(""), PANG_NO_DEADLINE).code,
        PANG_UNIMPLEMENTED);
}

static void test_routes__what_waits(void **state)
{
    fixture *f = *state;
    assert_true(pang_route_waits(pang_dispatch_find(f->dispatcher, PANG_STR(CREATE))));
    assert_false(pang_route_waits(pang_dispatch_find(f->dispatcher, PANG_STR(LOAD))));
    assert_false(pang_route_waits(pang_dispatch_find(f->dispatcher, PANG_STR(PING))));
    /* A credential is audited, in a commit, before it leaves. */
    assert_true(pang_route_waits(
        pang_dispatch_find(f->dispatcher, PANG_STR("/pangolin.v1.TableService/LoadCredentials"))));
}

/* ---- with an evaluator ---- */

static int setup_evaluator(void **state)
{
    static fixture f;
    fixture_open(&f, true);
    *state = &f;
    return 0;
}

static void test_permission__is_asked_with_the_objects_of_the_message(void **state)
{
    fixture *f = *state;
    assert_int_equal(fixture_create(f, "a.b", NULL).code, PANG_OK);
    assert_int_equal(f->n_seen, 1);
    assert_int_equal(f->seen[0].action, 4);   /* ACTION_CREATE */
    assert_int_equal(f->seen[0].resource, 3); /* RESOURCE_NAMESPACE */
    assert_string_equal(f->seen_names[0], "/demo/a.b");
}

static void test_permission__refusals(void **state)
{
    fixture *f = *state;
    f->verdict = PANG_DENIED;
    outcome got = fixture_create(f, "a", NULL);
    assert_int_equal(got.code, PANG_PERMISSION_DENIED);
    assert_string_equal(got.reason, "ForbiddenException");
    f->verdict = PANG_HIDDEN;
    assert_int_equal(fixture_load(f, "a").code, PANG_NOT_FOUND);
    f->verdict = PANG_ALLOWED;
    f->evaluator_fails = PANG_UNAVAILABLE;
    assert_int_equal(fixture_create(f, "a", NULL).code, PANG_UNAVAILABLE);
    assert_int_equal(f->runs, 0);
    f->evaluator_fails = PANG_OK;
    assert_int_equal(fixture_create(f, "a", NULL).code, PANG_OK);
}

static void test_permission__a_refusal_is_not_remembered(void **state)
{
    fixture *f = *state;
    static const char key[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    f->verdict = PANG_HIDDEN;
    assert_int_equal(fixture_create(f, "a", key).code, PANG_NOT_FOUND);
    f->verdict = PANG_ALLOWED;
    assert_int_equal(fixture_create(f, "a", key).code, PANG_OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define EVALUATED(name) cmocka_unit_test_setup_teardown(name, setup_evaluator, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_open__rows_that_do_not_fit_stop_the_start),
        CASE(test_open__without_authentication_only_when_asked_for),
        CASE(test_find__compares_whole_paths),
        CASE(test_run__malformed_messages_never_reach_a_handler),
        CASE(test_run__a_change_and_its_audit_row_are_one_commit),
        CASE(test_run__a_lost_race_runs_again_from_the_start),
        CASE(test_run__races_are_lost_only_so_often),
        CASE(test_run__a_real_race_is_seen_by_the_second),
        CASE(test_run__a_verdict_on_a_stale_record_is_none),
        CASE(test_run__a_read_cannot_write),
        CASE(test_run__a_deadline_that_has_passed),
        CASE(test_deadline__the_first_of_three),
        CASE(test_admit__bounded_but_for_health),
        CASE(test_admit__described_but_not_handled),
        CASE(test_routes__what_waits),
        EVALUATED(test_permission__is_asked_with_the_objects_of_the_message),
        EVALUATED(test_permission__refusals),
        EVALUATED(test_permission__a_refusal_is_not_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
