/*
 * The fault sweep over keyring, API keys and authentication: whatever fails while they are opened,
 * changed or asked, no secret is lost, none is left behind in memory, and nobody is let in by it.
 */
#include <stdlib.h>
#include <string.h>

#include "api/keys.h"
#include "server/api_key.h"
#include "server/authn.h"
#include "tests/fault/sweep.h"
#include "tests/storage/db_fixture.h"

#define KEY_A "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

enum { ARENA_BYTES = 4 << 20 };

typedef struct {
    rig r;
    pang_sealer *sealer;
    pang_keyring *ring; /* of begin_made */
    pang_str key;       /* an API key that is in the store */
    uint8_t mac[PANG_HASH_BYTES];
} world;

static pang_code open_ring(world *w, pang_keyring **ret, pang_err *err)
{
    pang_keyring_config config = {.env = &pang_env_system, .db = w->r.a, .sealer = w->sealer};
    return pang_keyring_open(&config, ret, err);
}

static void *begin_empty(void)
{
    world *w = calloc(1, sizeof *w);
    pang_err err;
    assert_non_null(w);
    rig_open(&w->r, NULL);
    assert_int_equal(pang_sealer_open(PANG_STR(KEY_A), "the test", &w->sealer, &err), PANG_OK);
    return w;
}

static void mac_of(world *w, pang_keyring *ring, uint8_t ret[PANG_HASH_BYTES])
{
    pang_str part = PANG_STR("x");
    pang_err err;
    assert_int_equal(pang_keyring_mac(ring, (pang_str){0}, PANG_STR("test"), &part, 1, w->r.arena,
                                      NULL, ret, &err),
                     PANG_OK);
}

static void *begin_made(void)
{
    world *w = begin_empty();
    Pangolin__Store__V1__ServiceUser owner = PANGOLIN__STORE__V1__SERVICE_USER__INIT;
    pang_api_key_owner whose = {.expires_ms = 0};
    pang_err err;
    assert_int_equal(open_ring(w, &w->ring, &err), PANG_OK);
    mac_of(w, w->ring, w->mac);
    pang_txn *txn = rig_begin(&w->r, w->r.a);
    assert_int_equal(pang_api_key_issue(txn, w->ring, &pang_env_system, &whose, 0, &owner,
                                        w->r.arena, &w->key, &err),
                     PANG_OK);
    assert_int_equal(rig_commit(txn), PANG_OK);
    return w;
}

static pang_store *faults_of(void *arg)
{
    return ((world *)arg)->r.faults_a;
}

static void end(void *arg)
{
    world *w = arg;
    pang_keyring_close(w->ring);
    pang_sealer_close(w->sealer);
    rig_close(&w->r);
    free(w);
}

/* ---- opening ---- */

static pang_code run_open(void *arg, pang_err *err)
{
    pang_keyring *ring = NULL;
    pang_code code = open_ring(arg, &ring, err);
    pang_keyring_close(ring);
    return code;
}

static void check_open(void *arg, pang_code code)
{
    world *w = arg;
    pang_err err;
    (void)code;
    assert_int_equal(open_ring(w, &w->ring, &err), PANG_OK);
}

/* ---- rotating ---- */

static pang_code run_rotate(void *arg, pang_err *err)
{
    world *w = arg;
    pang_code code = pang_keyring_rotate(w->ring, false, err);
    return code == PANG_OK ? pang_keyring_reseal(w->ring, err) : code;
}

/* What was known stays, whatever the rotation came to, here and for who reads it anew. */
static void check_rotate(void *arg, pang_code code)
{
    world *w = arg;
    pang_keyring *anew = NULL;
    uint8_t mac[PANG_HASH_BYTES];
    pang_err err;
    (void)code;
    mac_of(w, w->ring, mac);
    assert_memory_equal(mac, w->mac, sizeof mac);
    assert_int_equal(open_ring(w, &anew, &err), PANG_OK);
    mac_of(w, anew, mac);
    assert_memory_equal(mac, w->mac, sizeof mac);
    pang_keyring_close(anew);
}

/* ---- asking with a bad key ---- */

static pang_code run_refuse(void *arg, pang_err *err)
{
    world *w = arg;
    pang_authn_config config = {.env = &pang_env_system, .db = w->r.a, .keyring = w->ring};
    const pang_principal *who = NULL;
    pang_authn *authn = NULL;
    pang_arena *arena = pang_arena_new(ARENA_BYTES);
    char wrong[PANG_API_KEY_TEXT];
    memcpy(wrong, w->key.ptr, sizeof wrong);
    wrong[sizeof wrong - 1] = wrong[sizeof wrong - 1] == 'x' ? 'y' : 'x';
    pang_request request = {.api_key = {wrong, sizeof wrong}, .deadline_ms = PANG_NO_DEADLINE};
    pang_code code = arena == NULL ? pang_fail_memory(err) : pang_authn_open(&config, &authn, err);
    if (code == PANG_OK)
        code = pang_authn_identify(authn, false, &request, arena, &who, err);
    assert_null(who);
    assert_int_not_equal(code, PANG_OK);
    pang_authn_close(authn);
    pang_arena_free(arena);
    return code == PANG_UNAUTHENTICATED ? PANG_OK : code; /* the right answer */
}

static void check_nothing(void *arg, pang_code code)
{
    (void)arg;
    (void)code;
}

static void test_keyring__opened_under_faults(void **state)
{
    static const fault_scene scene = {.name = "open",
                                      .begin = begin_empty,
                                      .faults = faults_of,
                                      .run = run_open,
                                      .check = check_open,
                                      .end = end};
    (void)state;
    fault_sweep(&scene);
}

static void test_keyring__rotated_under_faults(void **state)
{
    static const fault_scene scene = {.name = "rotate",
                                      .begin = begin_made,
                                      .faults = faults_of,
                                      .run = run_rotate,
                                      .check = check_rotate,
                                      .end = end};
    (void)state;
    fault_sweep(&scene);
}

static void test_authn__refuses_under_faults(void **state)
{
    static const fault_scene scene = {.name = "refuse",
                                      .begin = begin_made,
                                      .faults = faults_of,
                                      .run = run_refuse,
                                      .check = check_nothing,
                                      .end = end};
    (void)state;
    fault_sweep(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyring__opened_under_faults),
        cmocka_unit_test(test_keyring__rotated_under_faults),
        cmocka_unit_test(test_authn__refuses_under_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
