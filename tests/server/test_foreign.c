/*
 * server/foreign_key.h, server/id_token.h: what other issuers sign and say. Signatures are of
 * another implementation; each row of claims breaks one rule.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/foreign_key.h"
#include "server/id_token.h"
#include "tests/server/foreign_vectors.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { MEMORY = 8 << 20, NOW = 1700000000 };

static int setup(void **state)
{
    *state = pang_arena_new(MEMORY);
    return *state == NULL;
}

static int teardown(void **state)
{
    pang_arena_free(*state);
    return 0;
}

/* ---- keys ---- */

static pang_jwks *read_keys(pang_arena *arena)
{
    pang_jwks *set = NULL;
    assert_int_equal(pang_jwks_parse(pang_str_from(jwks), arena, &set, NULL), PANG_OK);
    return set;
}

static pang_code verify(const pang_jwks *set, const char *text, pang_arena *arena, pang_err *err)
{
    pang_foreign_token token;
    pang_code code = pang_foreign_split(pang_str_from(text), arena, &token, err);
    return code == PANG_OK ? pang_jwks_verify(set, &token, err) : code;
}

static void test_foreign__all_algorithms_verify(void **state)
{
    pang_jwks *set = read_keys(*state);
    pang_err err;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(verify(set, good[i], *state, &err), PANG_OK);
    pang_jwks_free(set);
}

static void test_foreign__forged_tokens_are_refused(void **state)
{
    pang_jwks *set = read_keys(*state);
    pang_err err;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        pang_code code = verify(set, bad[i].token, *state, &err);
        if (code != PANG_UNAUTHENTICATED)
            print_error("taken: %s\n", bad[i].name);
        assert_int_equal(code, PANG_UNAUTHENTICATED);
        assert_string_equal(err.message, "the token is not valid");
    }
    pang_jwks_free(set);
}

static void test_foreign__each_changed_byte_is_noticed(void **state)
{
    pang_jwks *set = read_keys(*state);
    char *text = pang_arena_cstr(*state, pang_str_from(good[7])); /* ES256 */
    pang_err err;
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(verify(set, text, *state, &err), PANG_UNAUTHENTICATED);
        text[i] = was;
    }
    pang_jwks_free(set);
}

static void test_foreign__sets_without_a_key(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":[]}",
        "{\"keys\":[1,null,\"x\"]}",
        "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
    };
    pang_jwks *set = NULL;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(pang_jwks_parse(pang_str_from(texts[i]), *state, &set, NULL),
                         PANG_INVALID_ARGUMENT);
}

/* ---- claims ---- */

#define GOOD_WHO "\"iss\":\"https://idp\",\"sub\":\"7\""
#define GOOD_AUD "\"aud\":\"client\""
#define GOOD_TIME "\"exp\":1700000300,\"iat\":1699999990"
#define GOOD_NONCE "\"nonce\":\"n\""
#define ALL GOOD_WHO "," GOOD_AUD "," GOOD_TIME "," GOOD_NONCE

static pang_id_token_rules rules_of_sign_in(void)
{
    return (pang_id_token_rules){
        .issuer = PANG_STR("https://idp"),
        .audience = PANG_STR("client"),
        .is_id_token = true,
        .nonce = PANG_STR("n"),
        .access_token = PANG_STR("access"),
        .alg = PANG_STR("RS256"),
        .groups_claim = PANG_STR("realm.groups"),
        .now_s = NOW,
    };
}

static pang_code read_claims(const pang_id_token_rules *rules, const char *claims,
                             pang_arena *arena, pang_somebody *ret, pang_err *err)
{
    pang_str text = pang_arena_printf(arena, "{%s}", claims);
    return pang_id_token_read(rules, text, arena, ret, err);
}

static void test_id_token__rules_hold(void **state)
{
    static const struct {
        const char *name, *claims;
        pang_code code;
    } cases[] = {
        {"all is well", ALL, PANG_OK},
        {"audience in a list", GOOD_WHO ",\"aud\":[\"client\"]," GOOD_TIME "," GOOD_NONCE, PANG_OK},
        {"two audiences and azp",
         GOOD_WHO ",\"aud\":[\"x\",\"client\"],\"azp\":\"client\"," GOOD_TIME "," GOOD_NONCE,
         PANG_OK},
        {"times with fractions",
         GOOD_WHO "," GOOD_AUD ",\"exp\":1700000300.5,\"iat\":1699999990.25," GOOD_NONCE, PANG_OK},
        {"just expired, within the leeway",
         GOOD_WHO "," GOOD_AUD ",\"exp\":1699999941,\"iat\":1699999900," GOOD_NONCE, PANG_OK},
        {"at_hash", ALL ",\"at_hash\":\"oFYf1knNtrqnhAVfBRuteQ\"", PANG_OK},
        {"another issuer",
         "\"iss\":\"https://idp/\",\"sub\":\"7\"," GOOD_AUD "," GOOD_TIME "," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"no issuer", "\"sub\":\"7\"," GOOD_AUD "," GOOD_TIME "," GOOD_NONCE, PANG_UNAUTHENTICATED},
        {"another audience", GOOD_WHO ",\"aud\":\"other\"," GOOD_TIME "," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"part of the audience", GOOD_WHO ",\"aud\":\"client2\"," GOOD_TIME "," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"no audience", GOOD_WHO "," GOOD_TIME "," GOOD_NONCE, PANG_UNAUTHENTICATED},
        {"audience as a number", GOOD_WHO ",\"aud\":[\"client\",1]," GOOD_TIME "," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"two audiences, no azp", GOOD_WHO ",\"aud\":[\"client\",\"x\"]," GOOD_TIME "," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"azp of another", ALL ",\"azp\":\"other\"", PANG_UNAUTHENTICATED},
        {"azp of no text", ALL ",\"azp\":null", PANG_UNAUTHENTICATED},
        {"expired", GOOD_WHO "," GOOD_AUD ",\"exp\":1699999940,\"iat\":1699999900," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"no end", GOOD_WHO "," GOOD_AUD ",\"iat\":1699999990," GOOD_NONCE, PANG_UNAUTHENTICATED},
        {"end as text",
         GOOD_WHO "," GOOD_AUD ",\"exp\":\"1700000300\",\"iat\":1699999990," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"no begin", GOOD_WHO "," GOOD_AUD ",\"exp\":1700000300," GOOD_NONCE, PANG_UNAUTHENTICATED},
        {"of the future",
         GOOD_WHO "," GOOD_AUD ",\"exp\":1700000300,\"iat\":1700000061," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"of long ago", GOOD_WHO "," GOOD_AUD ",\"exp\":1700000300,\"iat\":1699999339," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"not yet", ALL ",\"nbf\":1700000061", PANG_UNAUTHENTICATED},
        {"not yet, as text", ALL ",\"nbf\":\"0\"", PANG_UNAUTHENTICATED},
        {"another nonce", GOOD_WHO "," GOOD_AUD "," GOOD_TIME ",\"nonce\":\"m\"",
         PANG_UNAUTHENTICATED},
        {"no nonce", GOOD_WHO "," GOOD_AUD "," GOOD_TIME, PANG_UNAUTHENTICATED},
        {"at_hash of another", ALL ",\"at_hash\":\"oFYf1knNtrqnhAVfBRuteg\"", PANG_UNAUTHENTICATED},
        {"at_hash of no text", ALL ",\"at_hash\":7", PANG_UNAUTHENTICATED},
        {"no subject", "\"iss\":\"https://idp\"," GOOD_AUD "," GOOD_TIME "," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"an empty subject",
         "\"iss\":\"https://idp\",\"sub\":\"\"," GOOD_AUD "," GOOD_TIME "," GOOD_NONCE,
         PANG_UNAUTHENTICATED},
        {"a claim twice", ALL ",\"sub\":\"8\"", PANG_UNAUTHENTICATED},
    };
    pang_id_token_rules rules = rules_of_sign_in();
    pang_somebody who;
    pang_err err;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        pang_code code = read_claims(&rules, cases[i].claims, *state, &who, &err);
        if (code != cases[i].code)
            print_error("%s: %d (%s)\n", cases[i].name, code, code ? err.detail : "");
        assert_int_equal(code, cases[i].code);
    }
}

static void test_id_token__nothing_is_taken_where_nothing_is_expected(void **state)
{
    pang_id_token_rules rules = rules_of_sign_in();
    pang_somebody who;
    rules.nonce = (pang_str){0};
    assert_int_equal(read_claims(&rules, GOOD_WHO "," GOOD_AUD "," GOOD_TIME ",\"nonce\":\"\"",
                                 *state, &who, NULL),
                     PANG_UNAUTHENTICATED);
    rules = rules_of_sign_in();
    rules.audience = (pang_str){0};
    assert_int_equal(
        read_claims(&rules, GOOD_WHO ",\"aud\":\"\"," GOOD_TIME "," GOOD_NONCE, *state, &who, NULL),
        PANG_UNAUTHENTICATED);
}

static void test_id_token__only_true_verifies_an_address(void **state)
{
    static const struct {
        const char *claim;
        bool verified;
    } cases[] = {
        {",\"email\":\"a@b\",\"email_verified\":true", true},
        {",\"email\":\"a@b\",\"email_verified\":\"true\"", false},
        {",\"email\":\"a@b\",\"email_verified\":1", false},
        {",\"email\":\"a@b\"", false},
        {",\"email\":\"ab\",\"email_verified\":true", false},
        {",\"email_verified\":true", false},
    };
    pang_id_token_rules rules = rules_of_sign_in();
    pang_somebody who;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        pang_str claims = pang_arena_printf(*state, ALL "%s", cases[i].claim);
        assert_int_equal(read_claims(&rules, claims.ptr, *state, &who, NULL), PANG_OK);
        assert_int_equal(who.email_verified, cases[i].verified);
    }
}

static void test_id_token__groups_are_found(void **state)
{
    pang_id_token_rules rules = rules_of_sign_in();
    pang_somebody who;
    assert_int_equal(
        read_claims(&rules, ALL ",\"realm\":{\"groups\":[\"a\",1,\"b\"]}", *state, &who, NULL),
        PANG_OK);
    assert_int_equal(who.n_groups, 2);
    assert_true(pang_str_equal(who.groups[1], PANG_STR("b")));
    assert_int_equal(read_claims(&rules, ALL ",\"realm.groups\":\"one\"", *state, &who, NULL),
                     PANG_OK);
    assert_int_equal(who.n_groups, 1);
    assert_int_equal(read_claims(&rules, ALL, *state, &who, NULL), PANG_OK);
    assert_int_equal(who.n_groups, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_foreign__all_algorithms_verify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign__forged_tokens_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign__each_changed_byte_is_noticed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_foreign__sets_without_a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_id_token__rules_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(test_id_token__nothing_is_taken_where_nothing_is_expected,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_id_token__only_true_verifies_an_address, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_id_token__groups_are_found, setup, teardown),
    };
    return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}
