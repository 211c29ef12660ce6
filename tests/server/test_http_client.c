/*
 * server/http_client.h: which addresses may be asked at all, and which say that they are this
 * machine's. Requests themselves are asked for in tests/e2e/auth_providers.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http_client.h"

static void test_http__which_addresses_may_be_asked(void **state)
{
    static const struct {
        const char *url;
        bool is_good, is_loopback;
    } table[] = {
        {"https://idp.example/keys", true, false},
        {"https://127.0.0.1:8443/keys", true, true},
        {"https://127.1/keys", true, true},
        {"https://2130706433/keys", true, true},
        {"https://0x7f000001/", true, true},
        {"https://[::1]/keys", true, true},
        {"http://localhost:9000/keys", true, true},
        {"http://127.9.9.9/keys", true, true},
        {"http://idp.example/keys", false, false},
        {"http://169.254.169.254/latest", false, false},
        {"http://localhost.example/", false, false},
        {"http://localhost@idp.example/", false, false},
        {"https://127.0.0.1@idp.example/", false, false},
        {"https://idp.example/#127.0.0.1", false, false},
        {"https://idp.example\\@127.0.0.1/", false, false},
        {"https://idp.example/ x", false, false},
        {"https://idp.example/\r\nX: y", false, false},
        {"file:///etc/passwd", false, false},
        {"gopher://127.0.0.1:6379/_x", false, false},
        {"https://", false, false},
        {"", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        pang_str url = pang_str_from(table[i].url);
        if ((pang_http_check_url(url, "it", NULL) == PANG_OK) != table[i].is_good ||
            pang_http_is_loopback(url) != table[i].is_loopback)
            fail_msg("%s", table[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http__which_addresses_may_be_asked),
    };
    return cmocka_run_group_tests_name("http_client", tests, NULL, NULL);
}
