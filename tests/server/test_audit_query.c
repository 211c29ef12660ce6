/*
 * server/audit_query.h and the audit service: a log that chance wrote, asked for everything and
 * compared with a list that was kept beside it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/server/audit_fixture.h"

#include "pangolin/v1/audit.pb-c.h"
#include "server/audit_names.h"
#include "server/audit_query.h"
#include "server/svc_audit.h"
#include "storage/backends.h"

const pang_store_ops *const pang_stores[] = {&pang_memory_ops, NULL};

enum { EVENTS = 1500 };

typedef Pangolin__V1__ListAuditEventsRequest list_in;
typedef Pangolin__V1__ListAuditEventsResponse list_out;
typedef Pangolin__V1__CountAuditEventsRequest count_in;
typedef Pangolin__V1__CountAuditEventsResponse count_out;
typedef Pangolin__V1__ExportAuditEventsRequest export_in;
typedef Pangolin__V1__ExportAuditEventsResponse export_out;

/* What was logged; `mark` is in the request's id. */
typedef struct {
    unsigned mark;
    bool other_tenant, failed;
    uint8_t user, resource, action;
    int64_t time_ms;
} logged;

static const char *const actions[] = {"create_table", "drop_table", "load_table", "create_user"};

static audit_fixture f;
static logged log_of[EVENTS];
static pang_schema *schema;
static pang_server_env server;
static pang_principal who;

static uint32_t chance(uint32_t below)
{
    uint32_t value;
    pang_env_random(&f.env, &value, sizeof value);
    return value % below;
}

static void log_one(unsigned i)
{
    logged *l = &log_of[i];
    char mark[16];
    pang_arena *arena = pang_arena_new(1 << 20);
    *l = (logged){.mark = i, .other_tenant = chance(4) == 0, .failed = chance(5) == 0};
    l->user = (uint8_t)(1 + chance(5));
    l->resource = (uint8_t)(chance(3) == 0 ? 0 : 10 + chance(6));
    l->action = (uint8_t)chance(4);
    l->time_ms = f.clock.wall_ms;
    (void)snprintf(mark, sizeof mark, "%u", i);
    pang_audit_event event = {
        .scope = l->other_tenant ? OTHER_TENANT : TENANT,
        .action = pang_str_from(actions[l->action]),
        .principal = audit_id(l->user),
        .resource = audit_id(l->resource),
        .request_id = pang_str_from(mark),
        .code = l->failed ? PANG_NOT_FOUND : PANG_OK,
        .name = PANG_STR("demo/a/t"),
    };
    pang_audit *audit = f.audit[chance(2)];
    pang_code code = l->action == 2 ? pang_audit_add(audit, &event, &f.err)
                                    : pang_audit_write(audit, &event, arena, &f.err);
    assert_int_equal(code, PANG_OK);
    pang_arena_free(arena);
}

static void seal_all(void)
{
    bool all = false;
    audit_flush(&f, 0);
    audit_flush(&f, 1);
    assert_int_equal(pang_audit_seal(f.audit[0], TENANT, &all, &f.err), PANG_OK);
    assert_true(all);
    assert_int_equal(pang_audit_seal(f.audit[0], OTHER_TENANT, &all, &f.err), PANG_OK);
    assert_true(all);
}

static int setup(void **state)
{
    (void)state;
    audit_open(&f, "memory:");
    for (unsigned i = 0; i < EVENTS; i++) {
        log_one(i);
        f.clock.wall_ms += 1 + chance(50);
        if (chance(20) == 0)
            seal_all();
    }
    seal_all();
    assert_true(audit_head(&f, TENANT)->seals > 50);
    assert_int_equal(pang_schema_load(pang_schema_linked(), &schema, &f.err), PANG_OK);
    static uint8_t key[32] = {1};
    server = (pang_server_env){.env = &f.env,
                               .db = f.db[0],
                               .schema = schema,
                               .audit = f.audit[0],
                               .page_key = {(char *)key, sizeof key}};
    who = (pang_principal){.is_known = true, .kind = PANG_PRINCIPAL_TENANT_USER};
    assert_true(pang_id_parse(TENANT, &who.tenant));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pang_schema_free(schema);
    audit_close(&f);
    return 0;
}

/* ---- the walk ---- */

typedef struct {
    unsigned marks[EVENTS + 1];
    int64_t times[EVENTS + 1];
    size_t n, stop_at; /* stop_at: as many are taken */
} taken;

static bool take(void *arg, const pang_audit_found *found)
{
    taken *t = arg;
    if (t->n == t->stop_at)
        return false;
    assert_true(t->n < EVENTS);
    t->times[t->n] = found->time_ms;
    t->marks[t->n++] = (unsigned)strtoul(found->request_id.ptr, NULL, 10);
    return true;
}

static const pang_str both[] = {PANG_STR_INIT("0190000000000000000000000000000a"),
                                PANG_STR_INIT("0190000000000000000000000000000b")};

static bool is_wanted(const logged *l, const pang_audit_filter *filter, size_t n_scopes)
{
    return (n_scopes == 2 || !l->other_tenant) &&
           (pang_id_is_nil(filter->user) || pang_id_equal(filter->user, audit_id(l->user))) &&
           (pang_id_is_nil(filter->resource) ||
            pang_id_equal(filter->resource, audit_id(l->resource))) &&
           (filter->action.len == 0 ||
            pang_str_equal(filter->action, pang_str_from(actions[l->action]))) &&
           (filter->type.len == 0 ||
            pang_str_equal(filter->type, PANG_STR("user")) == (l->action == 3)) &&
           l->time_ms >= filter->from_ms && l->time_ms < filter->to_ms &&
           !(filter->only_success && l->failed) && !(filter->only_failure && !l->failed);
}

/* Each that is wanted once, none else. */
static void compare(const taken *t, const pang_audit_filter *filter, size_t n_scopes)
{
    bool seen[EVENTS] = {false};
    size_t expected = 0;
    for (size_t i = 0; i < t->n; i++) {
        assert_false(seen[t->marks[i]]);
        seen[t->marks[i]] = true;
        assert_true(is_wanted(&log_of[t->marks[i]], filter, n_scopes));
    }
    for (size_t i = 0; i < EVENTS; i++)
        expected += is_wanted(&log_of[i], filter, n_scopes);
    assert_int_equal(t->n, expected);
}

/* Within one chain and one server times never go back; over all to within a seal. */
static void check_order(const taken *t, bool ascending)
{
    for (size_t i = 1; i < t->n; i++)
        assert_true(ascending ? t->times[i] + 3000 > t->times[i - 1]
                              : t->times[i] < t->times[i - 1] + 3000);
}

static void walk_in_pages(const pang_audit_filter *filter, size_t n_scopes, bool ascending,
                          size_t page_size)
{
    static taken t;
    pang_audit_walk walk = {.store = f.inner,
                            .scopes = both,
                            .n_scopes = n_scopes,
                            .filter = *filter,
                            .ascending = ascending,
                            .deadline_ms = PANG_NO_DEADLINE};
    t = (taken){0};
    for (bool end = false; !end;) {
        size_t before = t.n;
        t.stop_at = t.n + page_size;
        assert_int_equal(pang_audit_walk_run(&walk, take, &t, &end, &f.err), PANG_OK);
        assert_true(end || t.n == before + page_size);
    }
    compare(&t, filter, n_scopes);
    check_order(&t, ascending);
}

static pang_audit_filter any_filter(void)
{
    return (pang_audit_filter){.to_ms = INT64_MAX};
}

static pang_audit_filter chance_filter(void)
{
    pang_audit_filter filter = any_filter();
    int64_t begin = log_of[0].time_ms, span = log_of[EVENTS - 1].time_ms - begin;
    if (chance(3) == 0)
        filter.user = audit_id((uint8_t)(1 + chance(6)));
    if (chance(3) == 0)
        filter.resource = audit_id((uint8_t)(10 + chance(7)));
    if (chance(3) == 0)
        filter.action = pang_str_from(actions[chance(4)]);
    if (chance(4) == 0)
        filter.type = PANG_STR("user");
    if (chance(3) == 0)
        filter.from_ms = begin + (int64_t)chance((uint32_t)span);
    if (chance(3) == 0)
        filter.to_ms = begin + (int64_t)chance((uint32_t)span);
    filter.only_success = chance(4) == 0;
    filter.only_failure = !filter.only_success && chance(4) == 0;
    return filter;
}

static void test_walk__by_every_filter_and_page(void **state)
{
    (void)state;
    const pang_audit_filter any = any_filter();
    walk_in_pages(&any, 1, false, 7);
    walk_in_pages(&any, 2, true, 13);
    walk_in_pages(&any, 2, false, EVENTS);
    for (unsigned i = 0; i < 150; i++) {
        pang_audit_filter filter = chance_filter();
        walk_in_pages(&filter, 1 + chance(2), chance(2) == 0, 1 + chance(60));
    }
}

static void test_walk__a_page_stays_where_it_is_when_the_log_grows(void **state)
{
    (void)state;
    static taken t;
    const pang_audit_filter any = any_filter();
    bool end = false;
    pang_audit_walk walk = {.store = f.inner,
                            .scopes = both,
                            .n_scopes = 1,
                            .filter = any,
                            .deadline_ms = PANG_NO_DEADLINE};
    t = (taken){.stop_at = 50};
    assert_int_equal(pang_audit_walk_run(&walk, take, &t, &end, &f.err), PANG_OK);
    audit_change(&f, 0, TENANT, "create_table", 1, 9);
    assert_true(audit_seal(&f, 0, TENANT));
    while (!end) {
        t.stop_at = t.n + 50;
        assert_int_equal(pang_audit_walk_run(&walk, take, &t, &end, &f.err), PANG_OK);
    }
    compare(&t, &any, 1);
}

static size_t count_walk(const pang_str *scopes, size_t n, const pang_audit_filter *filter,
                         bool ascending, size_t page_size)
{
    static taken t;
    bool end = false;
    pang_audit_walk walk = {.store = f.inner,
                            .scopes = scopes,
                            .n_scopes = n,
                            .filter = *filter,
                            .ascending = ascending,
                            .deadline_ms = PANG_NO_DEADLINE};
    t = (taken){0};
    while (!end) {
        t.stop_at = t.n + page_size;
        assert_int_equal(pang_audit_walk_run(&walk, take, &t, &end, &f.err), PANG_OK);
    }
    return t.n;
}

/* Seals that are equally new, and times that fall into the middle of one. */
static void test_walk__at_the_borders(void **state)
{
    (void)state;
    static const pang_str scopes[] = {PANG_STR_INIT("0190000000000000000000000000000c"),
                                      PANG_STR_INIT("0190000000000000000000000000000d"),
                                      PANG_STR_INIT("0190000000000000000000000000000e")};
    int64_t begin = f.clock.wall_ms;
    pang_audit_filter filter = any_filter();
    for (unsigned seal = 0; seal < 6; seal++) {
        for (unsigned row = 0; row < 5; row++) {
            f.clock.wall_ms += row == 0 && seal % 2 == 1 ? 0 : 10; /* some begin as others end */
            for (unsigned i = 0; i < 3; i++)
                audit_change(&f, 0, scopes[i], "create_table", 1, 9);
        }
        for (unsigned i = 0; i < 3; i++)
            assert_true(audit_seal(&f, 0, scopes[i]));
    }
    for (size_t page = 1; page < 8; page++) {
        assert_int_equal(count_walk(scopes, 3, &filter, false, page), 90);
        assert_int_equal(count_walk(scopes, 3, &filter, true, page), 90);
    }
    for (int64_t at = begin; at < begin + 320; at += 5) {
        pang_audit_filter before = any_filter(), since = any_filter();
        before.to_ms = since.from_ms = at;
        for (unsigned way = 0; way < 2; way++)
            assert_int_equal(count_walk(scopes, 1, &before, way == 0, 1000) +
                                 count_walk(scopes, 1, &since, way == 1, 1000),
                             30);
    }
}

/* ---- the service ---- */

static pang_code call_named(const char *name, const void *in, void *out)
{
    pang_call call = {.server = &server,
                      .who = &who,
                      .arena = f.arena,
                      .deadline_ms = PANG_NO_DEADLINE,
                      .tenant_key = TENANT};
    char path[64];
    (void)snprintf(path, sizeof path, "/pangolin.v1.AuditService/%s", name);
    call.method = pang_schema_find(schema, pang_str_from(path));
    assert_non_null(call.method);
    for (size_t i = 0; i < pang_service_audit.n; i++)
        if (strcmp(pang_service_audit.methods[i].path, path) == 0)
            return pang_service_audit.methods[i].handle(&call, in, out, &f.err);
    fail_msg("%s is not served", name);
    return PANG_OK;
}

#define TEXT(literal) ((char *)(uintptr_t)(literal))

static void test_list__entries_say_everything(void **state)
{
    (void)state;
    list_in in = PANGOLIN__V1__LIST_AUDIT_EVENTS_REQUEST__INIT;
    list_out out = PANGOLIN__V1__LIST_AUDIT_EVENTS_RESPONSE__INIT;
    audit_change(&f, 0, TENANT, "drop_table", 3, 12);
    in.page_size = 1;
    assert_int_equal(call_named("ListAuditEvents", &in, &out), PANG_OK);
    assert_int_equal(out.n_events, 1);
    Pangolin__V1__AuditEvent *event = out.events[0];
    assert_string_equal(event->action, "drop_table"); /* seen at once, though not sealed before */
    assert_string_equal(event->tenant_id, "01900000-0000-0000-0000-00000000000a");
    assert_string_equal(event->user_id, "01900000-0000-0000-0000-000000000003");
    assert_string_equal(event->username, "ana");
    assert_string_equal(event->resource_type, "table");
    assert_string_equal(event->resource_id, "01900000-0000-0000-0000-00000000000c");
    assert_string_equal(event->result, "success");
    assert_string_equal(event->error_message, "");
    assert_string_equal(event->ip_address, "192.0.2.1");
    assert_string_equal(event->user_agent, "test/1");
    assert_int_equal(strlen(event->timestamp), strlen("2023-11-14T22:13:20.000Z"));
    assert_int_equal(event->metadata.data[0], '{');
    assert_true(strlen(out.next_page_token) > 0);

    Pangolin__V1__GetAuditEventRequest get = PANGOLIN__V1__GET_AUDIT_EVENT_REQUEST__INIT;
    Pangolin__V1__GetAuditEventResponse got = PANGOLIN__V1__GET_AUDIT_EVENT_RESPONSE__INIT;
    get.event_id = event->id;
    assert_int_equal(call_named("GetAuditEvent", &get, &got), PANG_OK);
    assert_string_equal(got.event->id, event->id);
    assert_string_equal(got.event->request_id, event->request_id);
    get.event_id = TEXT("01900000-0000-7000-8000-000000000001");
    assert_int_equal(call_named("GetAuditEvent", &get, &got), PANG_NOT_FOUND);
    get.event_id = TEXT("nothing");
    assert_int_equal(call_named("GetAuditEvent", &get, &got), PANG_INVALID_ARGUMENT);
}

static void test_list__pages_offsets_and_counts_agree(void **state)
{
    (void)state;
    list_in in = PANGOLIN__V1__LIST_AUDIT_EVENTS_REQUEST__INIT;
    list_out out = PANGOLIN__V1__LIST_AUDIT_EVENTS_RESPONSE__INIT, second = out, skipped = out;
    count_in count = PANGOLIN__V1__COUNT_AUDIT_EVENTS_REQUEST__INIT;
    count_out counted = PANGOLIN__V1__COUNT_AUDIT_EVENTS_RESPONSE__INIT;
    size_t total = 0;
    in.action = count.action = TEXT("create_user");
    assert_int_equal(call_named("CountAuditEvents", &count, &counted), PANG_OK);
    assert_int_equal(call_named("ListAuditEvents", &in, &out), PANG_OK);
    assert_int_equal(out.n_events, 100); /* the default */
    in.page_token = out.next_page_token;
    assert_int_equal(call_named("ListAuditEvents", &in, &second), PANG_OK);
    in.page_token = NULL;
    in.offset = 100;
    assert_int_equal(call_named("ListAuditEvents", &in, &skipped), PANG_OK);
    assert_string_equal(second.events[0]->id, skipped.events[0]->id);
    in.offset = 0;
    for (in.page_size = 64;;) {
        assert_int_equal(call_named("ListAuditEvents", &in, &out), PANG_OK);
        total += out.n_events;
        if (out.next_page_token[0] == '\0')
            break;
        in.page_token = out.next_page_token;
        out = (list_out)PANGOLIN__V1__LIST_AUDIT_EVENTS_RESPONSE__INIT;
    }
    assert_int_equal(counted.count, total);
    /* All of the tenant's. */
    count.action = TEXT("");
    assert_int_equal(call_named("CountAuditEvents", &count, &counted), PANG_OK);
    assert_int_equal(counted.count, audit_head(&f, TENANT)->entries);
}

static void test_list__bad_questions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *user, *action, *type, *resource, *start, *end, *result;
    } cases[] = {
        {"nobody", "", "", "", "", "", ""},
        {"00000000-0000-0000-0000-000000000000", "", "", "", "", "", ""},
        {"", "create_tables", "", "", "", "", ""},
        {"", "CREATE_TABLE", "", "", "", "", ""},
        {"", "group", "", "", "", "", ""},
        {"", "", "tables", "", "", "", ""},
        {"", "", "", "x", "", "", ""},
        {"", "", "", "", "yesterday", "", ""},
        {"", "", "", "", "2026-01-01", "", ""},
        {"", "", "", "", "2026-01-01T00:00:00", "", ""},
        {"", "", "", "", "2026-13-01T00:00:00Z", "", ""},
        {"", "", "", "", "2026-01-01T00:00:00.Z", "", ""},
        {"", "", "", "", "", "2026-01-01T00:00:00+0100", ""},
        {"", "", "", "", "", "2026-01-01T00:00:00Zz", ""},
        {"", "", "", "", "", "", "ok"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        list_in in = PANGOLIN__V1__LIST_AUDIT_EVENTS_REQUEST__INIT;
        list_out out = PANGOLIN__V1__LIST_AUDIT_EVENTS_RESPONSE__INIT;
        in.user_id = TEXT(cases[i].user);
        in.action = TEXT(cases[i].action);
        in.resource_type = TEXT(cases[i].type);
        in.resource_id = TEXT(cases[i].resource);
        in.start_time = TEXT(cases[i].start);
        in.end_time = TEXT(cases[i].end);
        in.result = TEXT(cases[i].result);
        if (call_named("ListAuditEvents", &in, &out) != PANG_INVALID_ARGUMENT)
            fail_msg("case %zu", i);
    }
    list_in in = PANGOLIN__V1__LIST_AUDIT_EVENTS_REQUEST__INIT;
    list_out out = PANGOLIN__V1__LIST_AUDIT_EVENTS_RESPONSE__INIT;
    in.page_token = TEXT("bogus");
    assert_int_equal(call_named("ListAuditEvents", &in, &out), PANG_INVALID_ARGUMENT);
    in.page_token = NULL;
    in.offset = -1;
    assert_int_equal(call_named("ListAuditEvents", &in, &out), PANG_INVALID_ARGUMENT);
    in.offset = 0;
    in.page_size = 1;
    assert_int_equal(call_named("ListAuditEvents", &in, &out), PANG_OK);
    in.page_token = out.next_page_token; /* of another question */
    in.action = TEXT("drop_table");
    assert_int_equal(call_named("ListAuditEvents", &in, &out), PANG_INVALID_ARGUMENT);
}

static void test_list__times_in_every_spelling(void **state)
{
    (void)state;
    static const char *const same[] = {
        "2023-11-14T22:13:30Z",      "2023-11-14t22:13:30z",
        "2023-11-14 22:13:30.000Z",  "2023-11-14T23:13:30+01:00",
        "2023-11-14T20:43:30-01:30", "2023-11-14T22:13:30.000000+00:00",
    };
    int64_t first = 0;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        count_in in = PANGOLIN__V1__COUNT_AUDIT_EVENTS_REQUEST__INIT;
        count_out out = PANGOLIN__V1__COUNT_AUDIT_EVENTS_RESPONSE__INIT;
        in.end_time = TEXT(same[i]);
        assert_int_equal(call_named("CountAuditEvents", &in, &out), PANG_OK);
        if (i == 0)
            first = out.count;
        assert_int_equal(out.count, first);
    }
    assert_in_range(first, 100, EVENTS);
}

/* Root without a tenant sees all; a member its own. */
static void test_list__whose(void **state)
{
    (void)state;
    export_in in = PANGOLIN__V1__EXPORT_AUDIT_EVENTS_REQUEST__INIT;
    export_out out = PANGOLIN__V1__EXPORT_AUDIT_EVENTS_RESPONSE__INIT;
    const pang_principal member = who;
    size_t own = 0, all = 0;
    in.page_size = 1000;
    for (in.page_token = NULL;; in.page_token = out.next_page_token) {
        out = (export_out)PANGOLIN__V1__EXPORT_AUDIT_EVENTS_RESPONSE__INIT;
        assert_int_equal(call_named("ExportAuditEvents", &in, &out), PANG_OK);
        for (size_t i = 0; i < out.n_events; i++)
            assert_string_equal(out.events[i]->tenant_id, "01900000-0000-0000-0000-00000000000a");
        own += out.n_events;
        if (out.next_page_token[0] == '\0')
            break;
    }
    who = (pang_principal){.is_known = true, .kind = PANG_PRINCIPAL_ROOT};
    for (in.page_token = NULL;; in.page_token = out.next_page_token) {
        out = (export_out)PANGOLIN__V1__EXPORT_AUDIT_EVENTS_RESPONSE__INIT;
        assert_int_equal(call_named("ExportAuditEvents", &in, &out), PANG_OK);
        all += out.n_events;
        if (out.next_page_token[0] == '\0')
            break;
    }
    who = member;
    assert_int_equal(own, audit_head(&f, TENANT)->entries);
    assert_int_equal(all, own + audit_head(&f, OTHER_TENANT)->entries + 90); /* and the borders' */
}

static void test_chain__is_told(void **state)
{
    (void)state;
    Pangolin__V1__GetAuditChainRequest in = PANGOLIN__V1__GET_AUDIT_CHAIN_REQUEST__INIT;
    Pangolin__V1__GetAuditChainResponse out = PANGOLIN__V1__GET_AUDIT_CHAIN_RESPONSE__INIT;
    assert_int_equal(call_named("GetAuditChain", &in, &out), PANG_OK);
    assert_int_equal(out.n_heads, 2);
    assert_int_equal(strlen(out.heads[0]->digest), 64);
    assert_int_equal(out.heads[0]->sequence, out.heads[0]->last_sequence);
    assert_string_equal(out.heads[0]->server_id, "01900000-0000-0000-0000-0000000000e0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk__by_every_filter_and_page),
        cmocka_unit_test(test_walk__at_the_borders),
        cmocka_unit_test(test_list__bad_questions_are_refused),
        cmocka_unit_test(test_list__times_in_every_spelling),
        cmocka_unit_test(test_list__pages_offsets_and_counts_agree),
        cmocka_unit_test(test_list__whose),
        cmocka_unit_test(test_chain__is_told),
        cmocka_unit_test(test_walk__a_page_stays_where_it_is_when_the_log_grows),
        cmocka_unit_test(test_list__entries_say_everything),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
