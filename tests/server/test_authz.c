/*
 * server/authz.h: what a rule's checks yield for a message, and how verdicts add up. The rules
 * here are written by hand; that the shipped ones compile is what a start shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pangolin/v1/table.pb-c.h"
#include "server/authn.h"
#include "server/authz.h"

typedef Pangolin__V1__CommitTransactionRequest transaction;
typedef Pangolin__V1__RenameTableRequest rename_request;
typedef Pangolin__V1__RegisterTableRequest register_request;

static int setup(void **state)
{
    *state = pang_arena_new(16 << 20);
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    pang_arena_free(*state);
    return 0;
}

static pang_code compile(const pang_rule_check *checks, size_t n,
                         const ProtobufCMessageDescriptor *in, pang_arena *arena,
                         const pang_authz_plan **ret, pang_err *err)
{
    pang_schema_method rule = {.path = PANG_STR("/test"), .checks = checks, .n_checks = n};
    return pang_authz_compile(&rule, in, arena, ret, err);
}

/* "2:5 /demo/a.b/t" for each access, joined by "; ". Action and resource first. */
static const char *spell(const pang_access *accesses, size_t n, char to[512])
{
    size_t at = 0;
    to[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        at += (size_t)snprintf(to + at, 512 - at, "%s%u:%u ", i > 0 ? "; " : "", accesses[i].action,
                               accesses[i].resource);
        for (size_t p = 0; p < accesses[i].n_object; p++) {
            const pang_object_part *part = &accesses[i].object[p];
            at += (size_t)snprintf(to + at, 512 - at, "/");
            for (size_t l = 0; l < part->n; l++)
                at += (size_t)snprintf(to + at, 512 - at, "%s%" PANG_STR_FMT, l > 0 ? "." : "",
                                       PANG_STR_ARG(part->levels[l]));
        }
    }
    return to;
}

static void test_compile__paths_that_lead_nowhere_stop_the_start(void **state)
{
    static const pang_str prefix = PANG_STR_INIT("prefix"), nope = PANG_STR_INIT("nope"),
                          deep = PANG_STR_INIT("prefix.x"), element = PANG_STR_INIT(".name"),
                          number = PANG_STR_INIT("page_size"),
                          through = PANG_STR_INIT("table_changes.identifier"),
                          message = PANG_STR_INIT("table_changes");
    static const struct {
        pang_rule_check check;
        const char *part;
    } cases[] = {
        {{.object = &prefix, .n_object = 1}, NULL},
        {{.object = &nope, .n_object = 1}, "is none of the message"},
        {{.object = &deep, .n_object = 1}, "no message"},
        {{.object = &element, .n_object = 1}, "has no each"},
        {{.object = &number, .n_object = 1}, "is none of the message"},
        {{.object = &through, .n_object = 1}, "no message"},
        {{.object = &message, .n_object = 1}, "is no text"},
        {{.object = &prefix, .n_object = 1, .each = PANG_STR_INIT("prefix")}, "is not repeated"},
        {{.object = &prefix, .n_object = 1, .when = PANG_STR_INIT("table_changes")},
         "cannot be compared"},
        {{.object = &prefix,
          .n_object = 1,
          .each = PANG_STR_INIT("table_changes"),
          .any_of = PANG_STR_INIT("x")},
         "stands in an alternative"},
        {{.object = &prefix, .n_object = 1, .ref = PANG_STR_INIT("table_changes")},
         "is not one text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pang_authz_plan *plan;
        pang_err err = {0};
        pang_code code = compile(&cases[i].check, 1,
                                 &pangolin__v1__commit_transaction_request__descriptor, *state,
                                 &plan, &err);
        assert_int_equal(code, cases[i].part == NULL ? PANG_OK : PANG_FAILED_PRECONDITION);
        if (cases[i].part != NULL && strstr(err.message, cases[i].part) == NULL)
            fail_msg("case %zu: \"%s\"", i, err.message);
    }
}

static void test_resolve__each_element_is_an_access(void **state)
{
    static const pang_str object[] = {PANG_STR_INIT("prefix"),
                                      PANG_STR_INIT(".identifier.namespace"),
                                      PANG_STR_INIT(".identifier.name")};
    static const pang_rule_check check = {.action = 2,
                                          .resource = 4,
                                          .object = object,
                                          .n_object = 3,
                                          .each = PANG_STR_INIT("table_changes")};
    const pang_authz_plan *plan;
    const pang_access *accesses;
    size_t n;
    char text[512];
    char *levels[] = {(char *)(uintptr_t) "a", (char *)(uintptr_t) "b"};
    Pangolin__V1__TableIdentifier first = PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
    Pangolin__V1__TableChange changes[3];
    Pangolin__V1__TableChange *list[3] = {&changes[0], &changes[1], &changes[2]};
    transaction message = PANGOLIN__V1__COMMIT_TRANSACTION_REQUEST__INIT;
    Pangolin__V1__TableIdentifier second = first;
    first.namespace_ = second.namespace_ = levels;
    first.n_namespace_ = 1;
    second.n_namespace_ = 2;
    first.name = (char *)(uintptr_t) "t";
    second.name = (char *)(uintptr_t) "u";
    for (size_t i = 0; i < 3; i++)
        pangolin__v1__table_change__init(&changes[i]);
    changes[0].identifier = &first;
    changes[1].identifier = &second; /* the third has none */
    message.prefix = (char *)(uintptr_t) "demo";
    message.table_changes = list;
    message.n_table_changes = 3;
    assert_int_equal(compile(&check, 1, &pangolin__v1__commit_transaction_request__descriptor,
                             *state, &plan, NULL),
                     PANG_OK);
    assert_int_equal(pang_authz_resolve(plan, &message, *state, &accesses, &n, NULL), PANG_OK);
    assert_string_equal(spell(accesses, n, text), "2:4 /demo/a/t; 2:4 /demo/a.b/u; 2:4 /demo//");
    message.n_table_changes = 0;
    assert_int_equal(pang_authz_resolve(plan, &message, *state, &accesses, &n, NULL), PANG_OK);
    assert_int_equal(n, 0);
}

static void test_resolve__more_elements_than_the_bound(void **state)
{
    static const pang_str object = PANG_STR_INIT(".identifier.name");
    static const pang_rule_check check = {
        .object = &object, .n_object = 1, .each = PANG_STR_INIT("table_changes")};
    static Pangolin__V1__TableChange *list[PANG_EACH_MAX + 1];
    const pang_authz_plan *plan;
    const pang_access *accesses;
    size_t n;
    Pangolin__V1__TableChange change = PANGOLIN__V1__TABLE_CHANGE__INIT;
    transaction message = PANGOLIN__V1__COMMIT_TRANSACTION_REQUEST__INIT;
    for (size_t i = 0; i < PANG_EACH_MAX + 1; i++)
        list[i] = &change;
    message.table_changes = list;
    message.n_table_changes = PANG_EACH_MAX + 1;
    assert_int_equal(compile(&check, 1, &pangolin__v1__commit_transaction_request__descriptor,
                             *state, &plan, NULL),
                     PANG_OK);
    assert_int_equal(pang_authz_resolve(plan, &message, *state, &accesses, &n, NULL),
                     PANG_INVALID_ARGUMENT);
    message.n_table_changes = PANG_EACH_MAX;
    assert_int_equal(pang_authz_resolve(plan, &message, *state, &accesses, &n, NULL), PANG_OK);
    assert_int_equal(n, PANG_EACH_MAX);
}

static void test_resolve__a_rename_has_two_objects(void **state)
{
    static const pang_str from[] = {PANG_STR_INIT("prefix"), PANG_STR_INIT("source.namespace"),
                                    PANG_STR_INIT("source.name")},
                          to[] = {PANG_STR_INIT("prefix"), PANG_STR_INIT("destination.namespace"),
                                  PANG_STR_INIT("destination.name")};
    static const pang_rule_check checks[] = {
        {.action = 2, .resource = 4, .object = from, .n_object = 3},
        {.action = 4, .resource = 4, .object = to, .n_object = 3}};
    const pang_authz_plan *plan;
    const pang_access *accesses;
    size_t n;
    char text[512];
    char *level = (char *)(uintptr_t) "a";
    Pangolin__V1__TableIdentifier source = PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
    rename_request message = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    source.namespace_ = &level;
    source.n_namespace_ = 1;
    source.name = (char *)(uintptr_t) "t";
    message.prefix = (char *)(uintptr_t) "demo";
    message.source = &source;
    assert_int_equal(
        compile(checks, 2, &pangolin__v1__rename_table_request__descriptor, *state, &plan, NULL),
        PANG_OK);
    assert_int_equal(pang_authz_resolve(plan, &message, *state, &accesses, &n, NULL), PANG_OK);
    assert_string_equal(spell(accesses, n, text), "2:4 /demo/a/t; 4:4 /demo//");
}

static void test_resolve__when_a_field_has_the_value(void **state)
{
    static const pang_str object = PANG_STR_INIT("name");
    static const pang_rule_check checks[] = {
        {.action = 4, .resource = 4, .object = &object, .n_object = 1},
        {.action = 2,
         .resource = 4,
         .object = &object,
         .n_object = 1,
         .when = PANG_STR_INIT("overwrite"),
         .equals = PANG_STR_INIT("true")},
        {.action = 3,
         .resource = 4,
         .object = &object,
         .n_object = 1,
         .when = PANG_STR_INIT("name"),
         .equals = PANG_STR_INIT("t")}};
    const pang_authz_plan *plan;
    const pang_access *accesses;
    size_t n;
    char text[512];
    register_request message = PANGOLIN__V1__REGISTER_TABLE_REQUEST__INIT;
    message.name = (char *)(uintptr_t) "t";
    assert_int_equal(
        compile(checks, 3, &pangolin__v1__register_table_request__descriptor, *state, &plan, NULL),
        PANG_OK);
    assert_int_equal(pang_authz_resolve(plan, &message, *state, &accesses, &n, NULL), PANG_OK);
    assert_string_equal(spell(accesses, n, text), "4:4 /t; 3:4 /t");
    message.overwrite = true;
    message.name = (char *)(uintptr_t) "u";
    assert_int_equal(pang_authz_resolve(plan, &message, *state, &accesses, &n, NULL), PANG_OK);
    assert_string_equal(spell(accesses, n, text), "4:4 /u; 2:4 /u");
}

/* ---- verdicts ---- */

/* The verdict on action N is verdicts[N]. */
static pang_code evaluate(void *arg, pang_call *call, const pang_access *access, pang_verdict *ret,
                          pang_err *err)
{
    const int *verdicts = arg;
    (void)call;
    if (verdicts[access->action] < 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "no grants");
    *ret = (pang_verdict)verdicts[access->action];
    return PANG_OK;
}

static void test_check__all_that_are_needed_and_one_of_each_group(void **state)
{
    (void)state;
    enum { A = PANG_ALLOWED, D = PANG_DENIED, H = PANG_HIDDEN, X = -1 };
    /* Needed: 0 and 1; either 2 or 3. */
    static const pang_access accesses[] = {
        {.action = 0},
        {.action = 2, .any_of = PANG_STR_INIT("g")},
        {.action = 1},
        {.action = 3, .any_of = PANG_STR_INIT("g")},
    };
    static const struct {
        int verdicts[4];
        pang_code code;
    } cases[] = {
        {{A, A, A, A}, PANG_OK},
        {{A, A, A, D}, PANG_OK},
        {{A, A, H, A}, PANG_OK},
        {{A, A, D, H}, PANG_PERMISSION_DENIED},
        {{A, A, H, D}, PANG_PERMISSION_DENIED},
        {{A, A, H, H}, PANG_NOT_FOUND},
        {{D, A, A, A}, PANG_PERMISSION_DENIED},
        {{A, H, A, A}, PANG_NOT_FOUND},
        {{X, A, A, A}, PANG_UNAVAILABLE},
        {{A, A, X, A}, PANG_UNAVAILABLE},
        {{A, A, D, X}, PANG_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = pang_authz_check(evaluate, (void *)(uintptr_t)cases[i].verdicts, NULL,
                                          accesses, 4, NULL);
        if (code != cases[i].code)
            fail_msg("case %zu: %s", i, pang_code_name(code));
    }
    assert_int_equal(pang_authz_check(evaluate, NULL, NULL, NULL, 0, NULL), PANG_OK);
}

/* ---- callers ---- */

static const pang_id own = {{1}}, foreign = {{2}}, user_id = {{3}}, other_id = {{4}};

enum { NONE, ROOT, ROOT_IN, ADMIN, USER, SERVICE, SERVICE_ADMIN, KINDS };

static pang_principal principal_of(unsigned kind)
{
    static const pang_principal_kind kinds[KINDS] = {
        PANG_PRINCIPAL_NONE,         PANG_PRINCIPAL_ROOT,        PANG_PRINCIPAL_ROOT,
        PANG_PRINCIPAL_TENANT_ADMIN, PANG_PRINCIPAL_TENANT_USER, PANG_PRINCIPAL_SERVICE_USER,
        PANG_PRINCIPAL_SERVICE_USER,
    };
    pang_principal who = {.kind = kinds[kind], .is_known = kind != NONE};
    who.is_admin = kind == ADMIN || kind == SERVICE_ADMIN;
    who.acts_for_root = kind == ROOT_IN;
    if (kind != NONE && kind != ROOT)
        who.tenant = own;
    if (kind != NONE && kind != ROOT && kind != ROOT_IN)
        who.id = user_id;
    return who;
}

static void test_callers__table(void **state)
{
    /* Who passes, in the order of the kinds above. The access is about user_id. */
    static const struct {
        pang_caller caller;
        const char *passes;
    } table[] = {
        {PANG_CALLER_ROOT, "-++----"},         {PANG_CALLER_ROOT_IN_TENANT, "--+----"},
        {PANG_CALLER_TENANT_ADMIN, "---+--+"}, {PANG_CALLER_SELF, "---++++"},
        {PANG_CALLER_MEMBER, "---++++"},       {PANG_CALLER_ANYONE, "-++++++"},
        {PANG_CALLER_NOBODY, "-------"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (unsigned kind = 0; kind < KINDS; kind++) {
            pang_principal who = principal_of(kind);
            pang_access access = {.callers = 1u << table[i].caller, .self = user_id};
            if (pang_authz_is_caller(&who, &access) != (table[i].passes[kind] == '+'))
                fail_msg("caller %d, kind %u", (int)table[i].caller, kind);
        }
    }
}

static void test_callers__self_is_one_id(void **state)
{
    pang_principal user = principal_of(USER), root = principal_of(ROOT);
    pang_access access = {.callers = 1u << PANG_CALLER_SELF, .self = other_id};
    (void)state;
    assert_false(pang_authz_is_caller(&user, &access));
    access.self = (pang_id){{0}}; /* root's id is nil too: nobody is meant */
    assert_false(pang_authz_is_caller(&user, &access));
    assert_false(pang_authz_is_caller(&root, &access));
}

/* ---- tenants ---- */

#define OWN "01000000-0000-0000-0000-000000000000"
#define FOREIGN "02000000-0000-0000-0000-000000000000"

static void test_enter__table(void **state)
{
    static const struct {
        unsigned kind;
        const char *field;
        bool is_public;
        pang_code code;
        const pang_id *tenant; /* NULL: nil */
        bool acts;
    } table[] = {
        {USER, "", false, PANG_OK, &own, false},
        {USER, OWN, false, PANG_OK, &own, false},
        {USER, FOREIGN, false, PANG_NOT_FOUND, NULL, false},
        {ADMIN, FOREIGN, false, PANG_NOT_FOUND, NULL, false},
        {SERVICE_ADMIN, FOREIGN, false, PANG_NOT_FOUND, NULL, false},
        {USER, "own", false, PANG_INVALID_ARGUMENT, NULL, false},
        {ROOT, "", false, PANG_OK, NULL, false},
        {ROOT, FOREIGN, false, PANG_OK, &foreign, false},
        {ROOT_IN, OWN, false, PANG_OK, &own, true},
        {ROOT_IN, FOREIGN, false, PANG_INVALID_ARGUMENT, NULL, false},
        {NONE, FOREIGN, true, PANG_OK, &foreign, false},
        {NONE, "", true, PANG_OK, NULL, false},
        {NONE, FOREIGN, false, PANG_NOT_FOUND, NULL, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        pang_err err = {0};
        const pang_principal *entered = NULL;
        pang_principal who = principal_of(table[i].kind);
        pang_schema_method rule = {.tenant = PANG_TENANT_FIELD,
                                   .tenant_field = PANG_STR_INIT("tenant_id"),
                                   .is_public = table[i].is_public};
        pang_code code = pang_authz_enter(&rule, pang_str_from(table[i].field), &who, *state,
                                          &entered, &err);
        if (code != table[i].code)
            fail_msg("case %zu: %s", i, pang_code_name(code));
        if (code != PANG_OK)
            continue;
        assert_true(table[i].tenant == NULL ? pang_id_is_nil(entered->tenant)
                                            : pang_id_equal(entered->tenant, *table[i].tenant));
        assert_int_equal(entered->acts_for_root, table[i].acts);
    }
}

static void test_enter__everybody_of_evaluation_mode_is_in_every_tenant(void **state)
{
    static const pang_schema_method rule = {.tenant = PANG_TENANT_FIELD};
    const pang_principal *who = NULL;
    const pang_principal *entered = NULL;
    pang_request request = {0};
    pang_err err;
    assert_int_equal(pang_authn_identify(NULL, false, &request, *state, &who, &err), PANG_OK);
    assert_int_equal(pang_authz_enter(&rule, PANG_STR(FOREIGN), who, *state, &entered, &err),
                     PANG_OK);
    assert_true(pang_id_equal(entered->tenant, foreign));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_compile__paths_that_lead_nowhere_stop_the_start),
        CASE(test_resolve__each_element_is_an_access),
        CASE(test_resolve__more_elements_than_the_bound),
        CASE(test_resolve__a_rename_has_two_objects),
        CASE(test_resolve__when_a_field_has_the_value),
        CASE(test_check__all_that_are_needed_and_one_of_each_group),
        CASE(test_callers__table),
        CASE(test_callers__self_is_one_id),
        CASE(test_enter__table),
        CASE(test_enter__everybody_of_evaluation_mode_is_in_every_tenant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
