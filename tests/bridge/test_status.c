/*
 * bridge/status.c: codes and reasons as HTTP statuses and as bodies of both dialects. The expected
 * statuses are written by hand from the Iceberg REST specification.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/json.h"
#include "bridge/status.h"

static void test_status__codes_and_reasons(void **state)
{
    (void)state;
    static const struct {
        pang_code code;
        const char *reason;
        unsigned status;
        const char *type;
    } cases[] = {
        {PANG_INVALID_ARGUMENT, "", 400, "BadRequestException"},
        {PANG_INVALID_ARGUMENT, "ValidationException", 400, "ValidationException"},
        {PANG_INVALID_ARGUMENT, "UnprocessableEntityException", 422,
         "UnprocessableEntityException"},
        {PANG_OUT_OF_RANGE, "", 400, "BadRequestException"},
        {PANG_UNAUTHENTICATED, "", 401, "NotAuthorizedException"},
        {PANG_UNAUTHENTICATED, "AuthenticationTimeoutException", 419,
         "AuthenticationTimeoutException"},
        {PANG_PERMISSION_DENIED, "", 403, "ForbiddenException"},
        {PANG_NOT_FOUND, "", 404, "NotFoundException"},
        {PANG_NOT_FOUND, "NoSuchTableException", 404, "NoSuchTableException"},
        {PANG_ALREADY_EXISTS, "", 409, "AlreadyExistsException"},
        {PANG_FAILED_PRECONDITION, "", 409, "CommitFailedException"},
        {PANG_FAILED_PRECONDITION, "NamespaceNotEmptyException", 409, "NamespaceNotEmptyException"},
        {PANG_ABORTED, "", 409, "CommitFailedException"},
        {PANG_UNIMPLEMENTED, "", 406, "UnsupportedOperationException"},
        {PANG_UNIMPLEMENTED, "MethodNotAllowed", 405, "MethodNotAllowed"},
        {PANG_UNIMPLEMENTED, "NotImplementedException", 501, "NotImplementedException"},
        {PANG_RESOURCE_EXHAUSTED, "", 429, "TooManyRequests"},
        {PANG_RESOURCE_EXHAUSTED, "TooManyRequests", 429, "TooManyRequests"},
        {PANG_RESOURCE_EXHAUSTED, "PayloadTooLarge", 413, "PayloadTooLarge"},
        {PANG_RESOURCE_EXHAUSTED, "InsufficientStorage", 507, "InsufficientStorage"},
        {PANG_CANCELLED, "", 499, "RequestCancelledException"},
        {PANG_UNKNOWN, "", 500, "CommitStateUnknownException"},
        {PANG_INTERNAL, "", 500, "InternalServerError"},
        {PANG_DATA_LOSS, "", 500, "InternalServerError"},
        {PANG_UNAVAILABLE, "", 503, "ServiceUnavailableException"},
        {PANG_UNAVAILABLE, "SlowDownException", 503, "SlowDownException"},
        {PANG_DEADLINE_EXCEEDED, "", 504, "GatewayTimeoutException"},
        {PANG_OK, "", 500, "InternalServerError"}, /* an error that says it is none */
        {(pang_code)77, "", 500, "InternalServerError"},
        {(pang_code)-1, "", 500, "InternalServerError"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str reason = pang_str_from(cases[i].reason);
        if (pang_status_of(PANG_DIALECT_ICEBERG, cases[i].code, reason) != cases[i].status)
            fail_msg("%d %s", cases[i].code, cases[i].reason);
        assert_true(pang_str_equal(pang_status_type(PANG_DIALECT_ICEBERG, cases[i].code, reason),
                                   pang_str_from(cases[i].type)));
        assert_string_not_equal(pang_status_phrase(cases[i].status), "Unknown");
    }
}

/* A commit that surely did not happen must not look as if it may have. */
static void test_status__what_did_not_happen_is_no_server_error(void **state)
{
    (void)state;
    static const pang_code known[] = {
        PANG_INVALID_ARGUMENT,  PANG_NOT_FOUND,           PANG_ALREADY_EXISTS,
        PANG_PERMISSION_DENIED, PANG_FAILED_PRECONDITION, PANG_ABORTED,
        PANG_OUT_OF_RANGE,      PANG_RESOURCE_EXHAUSTED,  PANG_UNIMPLEMENTED,
        PANG_UNAUTHENTICATED,
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_in_range(pang_status_of(PANG_DIALECT_ICEBERG, known[i], PANG_STR("")), 400, 499);
}

/* What is not there yet; all else is alike. */
static void test_status__management_has_its_own_not_implemented(void **state)
{
    (void)state;
    const pang_dialect dialect = PANG_DIALECT_MANAGEMENT;
    pang_str none = PANG_STR(""), unsupported = PANG_STR("UnsupportedOperationException");
    assert_int_equal(pang_status_of(dialect, PANG_UNIMPLEMENTED, none), 501);
    assert_true(pang_str_equal(pang_status_type(dialect, PANG_UNIMPLEMENTED, none),
                               PANG_STR("NotImplementedException")));
    assert_int_equal(pang_status_of(dialect, PANG_UNIMPLEMENTED, unsupported), 501);
    assert_true(
        pang_str_equal(pang_status_type(dialect, PANG_UNIMPLEMENTED, unsupported), unsupported));
    assert_int_equal(pang_status_of(dialect, PANG_UNIMPLEMENTED, PANG_STR("MethodNotAllowed")),
                     405);
    assert_int_equal(pang_status_of(PANG_DIALECT_OAUTH, PANG_UNIMPLEMENTED, none), 406);
    for (int code = PANG_OK; code <= PANG_UNAUTHENTICATED; code++)
        if (code != PANG_UNIMPLEMENTED)
            assert_int_equal(pang_status_of(dialect, (pang_code)code, none),
                             pang_status_of(PANG_DIALECT_ICEBERG, (pang_code)code, none));
}

static void test_status__bodies_of_both_dialects(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 20), *none = pang_arena_new(0);
    pang_err err;
    static const struct {
        pang_dialect dialect;
        pang_str message;
        const char *body;
    } cases[] = {
        {PANG_DIALECT_ICEBERG, PANG_STR_INIT("a\"b\n"),
         "{\"error\":{\"message\":\"a\\\"b\\n\",\"type\":\"T\",\"code\":404}}"},
        {PANG_DIALECT_MANAGEMENT, PANG_STR_INIT("m"),
         "{\"error\":\"m\",\"type\":\"T\",\"code\":404}"},
        {PANG_DIALECT_ICEBERG, PANG_STR_INIT(""),
         "{\"error\":{\"message\":\"\",\"type\":\"T\",\"code\":404}}"},
        {PANG_DIALECT_ICEBERG, PANG_STR_INIT("\xff"),
         "{\"error\":{\"message\":\"(the message is not UTF-8)\",\"type\":\"T\",\"code\":404}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str body = pang_status_body(cases[i].dialect, 404, PANG_STR("T"), cases[i].message,
                                         arena);
        if (!pang_str_equal(body, pang_str_from(cases[i].body)))
            fail_msg("%.*s", PANG_STR_ARG(body));
        assert_int_equal(pang_json_check(body, arena, &err), PANG_OK);
    }
    assert_int_equal(
        pang_status_body(PANG_DIALECT_ICEBERG, 404, PANG_STR("T"), PANG_STR("m"), none).len, 0);
    pang_arena_free(arena);
    pang_arena_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status__codes_and_reasons),
        cmocka_unit_test(test_status__what_did_not_happen_is_no_server_error),
        cmocka_unit_test(test_status__management_has_its_own_not_implemented),
        cmocka_unit_test(test_status__bodies_of_both_dialects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
