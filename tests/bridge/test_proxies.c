/*
 * bridge/proxies.c: whom a request comes from, by hand-written cases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/proxies.h"

static void client__table(void **state)
{
    static const char *const trusted[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48"};
    static const struct {
        const char *peer, *forwarded, *client;
    } table[] = {
        {"203.0.113.5", "", "203.0.113.5"},
        {"203.0.113.5", "198.51.100.1", "203.0.113.5"}, /* not a proxy: what it says is its own */
        {"10.1.2.3", "", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1", "198.51.100.1"},
        {"10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"}, /* 1.1.1.1 is the client's claim */
        {"10.1.2.3", "198.51.100.1,10.9.9.9 ,\t192.0.2.7", "198.51.100.1"},
        {"192.0.2.7", "198.51.100.1", "198.51.100.1"},
        {"192.0.2.8", "198.51.100.1", "192.0.2.8"},
        {"11.0.0.1", "198.51.100.1", "11.0.0.1"},
        {"2001:db8:1::9", "2001:db8:2::1", "2001:db8:2::1"},
        {"2001:db8:2::9", "2001:db8:2::1", "2001:db8:2::9"},
        {"::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"},
        {"10.0.0.1", "[2001:db8:7::1]:443", "[2001:db8:7::1]:443"},
        {"10.0.0.1", "198.51.100.1:8080", "198.51.100.1:8080"},
        {"10.0.0.1", "unknown", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1,", "10.0.0.1"},
        {"10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"},
        {"10.0.0.1", ",,,", "10.0.0.1"},
        {"10.0.0.1", "198.51.100.1; drop", "10.0.0.1"},
        {"", "198.51.100.1", ""},
    };
    pang_proxies proxies = {0};
    pang_err err;
    (void)state;
    for (size_t i = 0; i < sizeof trusted / sizeof trusted[0]; i++)
        assert_int_equal(pang_proxies_add(&proxies, pang_str_from(trusted[i]), &err), PANG_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        pang_str client = pang_proxies_client(&proxies, pang_str_from(table[i].peer),
                                              pang_str_from(table[i].forwarded));
        if (!pang_str_equal(client, pang_str_from(table[i].client)))
            fail_msg("%s, \"%s\": %.*s", table[i].peer, table[i].forwarded, (int)client.len,
                     client.ptr);
    }
}

static void client__everybody_or_nobody_is_believed(void **state)
{
    pang_proxies nobody = {0}, all = {.all = true};
    pang_str peer = PANG_STR("203.0.113.5"), header = PANG_STR("1.1.1.1, 198.51.100.1");
    (void)state;
    assert_true(pang_str_equal(pang_proxies_client(&nobody, peer, header), peer));
    assert_true(pang_str_equal(pang_proxies_client(&all, peer, header), PANG_STR("1.1.1.1")));
}

static void add__refuses_what_is_no_network(void **state)
{
    static const char *const bad[] = {
        "",     "10.0.0.0/33",  "10.0.0.0/", "10.0.0",      "host.name", "::/129", "10.0.0.0/-1",
        "[::1", "10.0.0.0/8/8", "1.2.3.4.5", "10.0.0.0/0x8"};
    static const char *const good[] = {"0.0.0.0/0", "::/0", "127.0.0.1", "::1", "10.0.0.0/31"};
    pang_proxies proxies = {0};
    pang_err err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pang_proxies_add(&proxies, pang_str_from(bad[i]), &err) != PANG_INVALID_ARGUMENT)
            fail_msg("\"%s\" was taken", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(pang_proxies_add(&proxies, pang_str_from(good[i]), &err), PANG_OK);
    while (proxies.n < PANG_PROXIES_MAX)
        assert_int_equal(pang_proxies_add(&proxies, PANG_STR("127.0.0.1"), &err), PANG_OK);
    assert_int_equal(pang_proxies_add(&proxies, PANG_STR("127.0.0.1"), &err),
                     PANG_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client__table),
        cmocka_unit_test(client__everybody_or_nobody_is_believed),
        cmocka_unit_test(add__refuses_what_is_no_network),
    };
    return cmocka_run_group_tests_name("proxies", tests, NULL, NULL);
}
