/*
 * api/err.h, api/id.h, api/env.h, api/log.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/err.h"
#include "api/id.h"
#include "api/log.h"

static void test_err__long_messages_are_cut_at_a_character(void **state)
{
    (void)state;
    char long_text[PANG_ERR_MESSAGE_MAX * 2];
    for (size_t shift = 0; shift < 3; shift++) {
        pang_err err;
        memset(long_text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof long_text; i += 3)
            memcpy(long_text + i, "\xe2\x82\xac", 4);
        assert_int_equal(pang_fail(&err, PANG_NOT_FOUND, "X", "%s", long_text), PANG_NOT_FOUND);
        assert_true(pang_str_is_utf8(pang_str_from(err.message)));
        assert_true(strlen(err.message) + 4 > sizeof err.message - 1);
    }
}

static void test_err__details_add_up_and_messages_stay(void **state)
{
    (void)state;
    pang_err err;
    (void)pang_fail(&err, PANG_UNAVAILABLE, NULL, "could not reach \"%s\"", "db");
    pang_err_detail(&err, "errno %d", 5);
    pang_err_detail(&err, "try %d", 2);
    assert_string_equal(err.message, "could not reach \"db\"");
    assert_string_equal(err.detail, "errno 5; try 2");
    for (int i = 0; i < 100; i++)
        pang_err_detail(&err, "more and more");
    assert_true(strlen(err.detail) < sizeof err.detail);
    assert_int_equal(pang_fail(NULL, PANG_ABORTED, NULL, "x"), PANG_ABORTED);
    assert_string_equal(pang_code_name(PANG_ABORTED), "ABORTED");
    assert_string_equal(pang_code_name((pang_code)99), "UNKNOWN");
}

static void test_id__versions_order_and_forms(void **state)
{
    (void)state;
    pang_env_fixed fixed = {.wall_ms = 0x018901020304, .seed = 1};
    pang_env env = pang_env_from_fixed(&fixed);
    char text[PANG_ID_TEXT + 1], hex[PANG_ID_HEX + 1], later[PANG_ID_HEX + 1];
    pang_id id = pang_id_v7(&env), back;
    pang_id_text(id, text);
    pang_id_hex(id, hex);
    assert_memory_equal(text, "01890102-0304-7", 15);
    assert_true(text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b');
    assert_true(pang_id_parse(pang_str_from(text), &back) && pang_id_equal(id, back));
    assert_true(pang_id_parse(pang_str_from(hex), &back) && pang_id_equal(id, back));
    fixed.wall_ms++;
    pang_id_hex(pang_id_v7(&env), later);
    assert_true(strcmp(hex, later) < 0);
    pang_id_text(pang_id_v4(&env), text);
    assert_int_equal(text[14], '4');
    assert_true(pang_id_is_nil((pang_id){{0}}));
    assert_false(pang_id_parse(PANG_STR("01890102_0304-7bcc-8ccc-0123456789ab"), &back));
    assert_false(pang_id_parse(PANG_STR("0189010203047bcc8ccc0123456789ag"), &back));
    assert_false(pang_id_parse(PANG_STR("0189"), &back));
}

/* What one call of pang_log writes. */
static size_t capture(pang_str hostile, char *to, size_t size)
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    PANG_LOG(WARN, "odd name", PANG_LOG_TEXT("name", hostile), PANG_LOG_NUMBER("n", -5));
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(ends[1]);
    ssize_t got = read(ends[0], to, size);
    close(ends[0]);
    assert_true(got > 0);
    return (size_t)got;
}

static void test_log__hostile_text_cannot_forge_a_line(void **state)
{
    (void)state;
    char line[PANG_LOG_LINE_MAX];
    pang_log_setup("test", PANG_LOG_INFO, true);
    size_t len = capture(PANG_STR("a\"}\n{\"x\\\x01\x7f"), line, sizeof line);
    pang_str text = {line, len};
    assert_int_equal(pang_str_find(text, '\n'), len - 1);
    assert_true(pang_str_ends(text, PANG_STR(",\"name\":\"a\\\"}\\u000a{\\\"x\\\\\\u0001\\u007f\","
                                             "\"n\":-5}\n")));
    char big[5000];
    memset(big, 1, sizeof big);
    len = capture((pang_str){big, sizeof big}, line, sizeof line);
    assert_int_equal(line[len - 1], '\n');
    assert_int_equal(line[len - 2], '}');
}

static void test_log__levels_parse_and_filter(void **state)
{
    (void)state;
    pang_log_level level;
    assert_true(pang_log_level_parse(PANG_STR("WARN"), &level));
    assert_int_equal(level, PANG_LOG_WARN);
    assert_false(pang_log_level_parse(PANG_STR("loud"), &level));
    pang_log_setup("test", PANG_LOG_WARN, true);
    assert_false(pang_log_enabled(PANG_LOG_INFO));
    assert_true(pang_log_enabled(PANG_LOG_ERROR));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err__long_messages_are_cut_at_a_character),
        cmocka_unit_test(test_err__details_add_up_and_messages_stay),
        cmocka_unit_test(test_id__versions_order_and_forms),
        cmocka_unit_test(test_log__hostile_text_cannot_forge_a_line),
        cmocka_unit_test(test_log__levels_parse_and_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
