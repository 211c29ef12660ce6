/*
 * server/reseal.c: every secret of every tenant comes under the first key, once, and stays what it
 * was; a key that is not here is named, and nothing is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/keys.h"
#include "api/keys_identity.h"
#include "pangolin/store/v1/identity.pb-c.h"
#include "server/records.h"
#include "server/reseal.h"
#include "server/seal.h"
#include "tests/server/catalog_fixture.h"

#define OLD_KEY "old:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define NEW_KEY "new:ICAfHh0cGxoZGBcWFRQTEhEQDw4NDAsKCQgHBgUEAwI="

typedef Pangolin__Store__V1__Warehouse warehouse;
typedef Pangolin__Store__V1__ConfigEntry entry;

static fixture *fx;
static pang_err err;

static int setup(void **state)
{
    (void)state;
    fx = fx_open("memory:");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fx_close(fx);
    return 0;
}

static pang_sealer *sealer_of(const char *keys)
{
    pang_sealer *sealer = NULL;
    assert_int_equal(pang_sealer_open(pang_str_from(keys), "test", &sealer, &err), PANG_OK);
    return sealer;
}

static pang_id id_of(unsigned a, unsigned b)
{
    pang_id id = {{(uint8_t)a, 7}};
    id.bytes[14] = (uint8_t)(b >> 8);
    id.bytes[15] = (uint8_t)b;
    return id;
}

static pang_seal_place place_of(pang_str scope, pang_str key)
{
    return (pang_seal_place){scope, PANG_KIND_WAREHOUSE, key, PANG_STR("s3.secret-access-key")};
}

static void commit(pang_str scope, uint32_t kind, pang_str key, pang_str body)
{
    pang_txn *txn = pang_txn_begin(fx->db, scope, PANG_NO_DEADLINE, fx->arena);
    pang_txn_put(txn, kind, key, body);
    assert_int_equal(pang_txn_commit(txn, &err), PANG_OK);
}

static void put_warehouse(const pang_sealer *sealer, pang_id tenant, pang_id id, const char *secret)
{
    char scope[PANG_ID_HEX + 1];
    pang_id_hex(tenant, scope);
    pang_keys keys = {.arena = fx->arena, .scope = {scope, PANG_ID_HEX}};
    pang_str key = pang_key_warehouse(&keys, id), sealed;
    pang_seal_place place = place_of(keys.scope, key);
    assert_int_equal(
        pang_seal(sealer, fx->server.env, &place, pang_str_from(secret), fx->arena, &sealed, &err),
        PANG_OK);
    entry hidden = PANGOLIN__STORE__V1__CONFIG_ENTRY__INIT;
    entry plain = PANGOLIN__STORE__V1__CONFIG_ENTRY__INIT;
    entry *entries[] = {&plain, &hidden};
    warehouse body = PANGOLIN__STORE__V1__WAREHOUSE__INIT;
    hidden.name = (char *)"s3.secret-access-key";
    hidden.sealed = pang_bytes_of(sealed);
    plain.name = (char *)"s3.region";
    plain.value = (char *)"eu-north-1";
    body.config = entries;
    body.n_config = 2;
    commit(keys.scope, PANG_KIND_WAREHOUSE, key, pang_record_pack(&body.base, fx->arena));
}

static void put_tenant(pang_id tenant)
{
    Pangolin__Store__V1__Tenant body = PANGOLIN__STORE__V1__TENANT__INIT;
    pang_keys keys = {.arena = fx->arena, .scope = PANG_SYSTEM_SCOPE};
    commit(PANG_SYSTEM_SCOPE, PANG_KIND_TENANT, pang_key_tenant(&keys, tenant),
           pang_record_pack(&body.base, fx->arena));
}

/* What the sealer finds in a warehouse; fails the test when that is not the secret. */
static void expect(const pang_sealer *sealer, pang_id tenant, pang_id id, const char *secret)
{
    char scope[PANG_ID_HEX + 1];
    warehouse *body;
    pang_record record;
    pang_str plain;
    pang_id_hex(tenant, scope);
    pang_keys keys = {.arena = fx->arena, .scope = {scope, PANG_ID_HEX}};
    pang_str key = pang_key_warehouse(&keys, id);
    pang_txn *txn = pang_txn_begin(fx->db, keys.scope, PANG_NO_DEADLINE, fx->arena);
    assert_int_equal(pang_txn_get_one(txn, key, &record, &err), PANG_OK);
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__warehouse__descriptor, &record,
                                        fx->arena, &body, &err),
                     PANG_OK);
    pang_seal_place place = place_of(keys.scope, key);
    assert_string_equal(body->config[0]->value, "eu-north-1");
    pang_str sealed = pang_str_of(body->config[1]->sealed);
    assert_true(pang_seal_is_current(sealer, sealed));
    if (pang_unseal(sealer, &place, sealed, fx->arena, &plain, &err) != PANG_OK)
        fail_msg("%s", err.message);
    assert_true(pang_str_equal(plain, pang_str_from(secret)));
}

static void reseal__everything_once(void **state)
{
    enum { MANY = 600 }; /* more than two pages */
    pang_sealer *old = sealer_of(OLD_KEY), *both = sealer_of(NEW_KEY "," OLD_KEY);
    pang_sealer *new = sealer_of(NEW_KEY);
    pang_id nil = {{0}}, first = id_of(1, 0), second = id_of(2, 0);
    uint64_t n;
    (void)state;
    put_tenant(first);
    put_tenant(second);
    put_warehouse(old, nil, id_of(9, 1), "of the first tenant of all");
    put_warehouse(both, second, id_of(9, 2), "sealed with the new one already");
    for (unsigned i = 0; i < MANY; i++)
        put_warehouse(old, first, id_of(3, i), fx_text(fx, "secret %u", i));
    assert_int_equal(pang_reseal(fx->db, fx->server.env, both, PANG_NO_DEADLINE, &n, &err),
                     PANG_OK);
    assert_int_equal(n, MANY + 1);
    expect(new, nil, id_of(9, 1), "of the first tenant of all");
    expect(new, second, id_of(9, 2), "sealed with the new one already");
    for (unsigned i = 0; i < MANY; i++)
        expect(new, first, id_of(3, i), fx_text(fx, "secret %u", i));
    assert_int_equal(pang_reseal(fx->db, fx->server.env, both, PANG_NO_DEADLINE, &n, &err),
                     PANG_OK);
    assert_int_equal(n, 0);
    pang_sealer_close(old);
    pang_sealer_close(both);
    pang_sealer_close(new);
}

static void reseal__a_key_that_is_not_here(void **state)
{
    pang_sealer *old = sealer_of(OLD_KEY), *new = sealer_of(NEW_KEY);
    uint64_t n;
    (void)state;
    put_tenant(id_of(1, 0));
    put_warehouse(old, id_of(1, 0), id_of(3, 0), "secret");
    assert_int_equal(pang_reseal(fx->db, fx->server.env, new, PANG_NO_DEADLINE, &n, &err),
                     PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "old"));
    assert_int_equal(n, 0);
    expect(old, id_of(1, 0), id_of(3, 0), "secret");
    pang_sealer_close(old);
    pang_sealer_close(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reseal__everything_once, setup, teardown),
        cmocka_unit_test_setup_teardown(reseal__a_key_that_is_not_here, setup, teardown),
    };
    return cmocka_run_group_tests_name("reseal", tests, NULL, NULL);
}
