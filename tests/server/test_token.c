/*
 * server/jws.h, server/token.h: known answers of the RFCs, what a token carries, and everything
 * that looks like a token and is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/base64.h"
#include "api/json.h"
#include "server/hash.h"
#include "server/token.h"

#define ISSUER "pangolin"
#define AUDIENCE "pangolin-api"
#define SUB "01890a5d-ac96-774b-bcce-b302099a8057"
#define JTI "01890a5d-ac96-774b-bcce-b302099a8058"
#define TENANT "01890a5d-ac96-774b-bcce-b302099a8059"
#define SHARED "a secret that both sides know: 0123456789"
#define NOW_S INT64_C(1700000000)

enum { KEYS = 4 };

typedef struct {
    pang_arena *arena;
    pang_asym *ours, *strange, *p256;
    pang_jws_key keys[KEYS]; /* ours, a second of ours, ES256, HS256 without a kid */
    pang_token_rules rules;
    pang_err err;
} world;

static const uint8_t seed_ours[PANG_SEED_BYTES] = {1, 2, 3}, seed_strange[PANG_SEED_BYTES] = {9};

/* RFC 7515, A.3. */
#define P256_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"

static pang_str from_base64(world *w, const char *text)
{
    pang_str bytes = {0};
    assert_true(pang_base64_decode(pang_str_from(text), PANG_BASE64_URL, w->arena, &bytes));
    return bytes;
}

static int setup(void **state)
{
    static world w;
    w = (world){.arena = pang_arena_new(4 << 20)};
    assert_non_null(w.arena);
    assert_int_equal(pang_asym_ed25519(seed_ours, &w.ours, &w.err), PANG_OK);
    assert_int_equal(pang_asym_ed25519(seed_strange, &w.strange, &w.err), PANG_OK);
    assert_int_equal(pang_asym_public((const uint8_t *)from_base64(&w, P256_X).ptr,
                                      (const uint8_t *)from_base64(&w, P256_Y).ptr, &w.p256,
                                      &w.err),
                     PANG_OK);
    w.keys[0] = (pang_jws_key){.kid = PANG_STR("k1"), .alg = PANG_ALG_EDDSA, .key = w.ours};
    w.keys[1] = (pang_jws_key){.kid = PANG_STR("k2"), .alg = PANG_ALG_EDDSA, .key = w.ours};
    w.keys[2] = (pang_jws_key){.kid = PANG_STR("es"), .alg = PANG_ALG_ES256, .key = w.p256};
    w.keys[3] = (pang_jws_key){.alg = PANG_ALG_HS256, .secret = PANG_STR(SHARED)};
    w.rules = (pang_token_rules){.keys = w.keys,
                                 .n_keys = KEYS,
                                 .issuer = PANG_STR(ISSUER),
                                 .audience = PANG_STR(AUDIENCE),
                                 .now_ms = NOW_S * 1000};
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pang_asym_free(w->ours);
    pang_asym_free(w->strange);
    pang_asym_free(w->p256);
    pang_arena_free(w->arena);
    return 0;
}

/* ---- known answers ---- */

static void test_jws__rfc_8037_ed25519(void **state)
{
    world *w = *state;
    pang_asym *key = NULL;
    pang_str seed = from_base64(w, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    uint8_t x[PANG_POINT_BYTES], y[PANG_POINT_BYTES], signature[PANG_SIGNATURE_BYTES];
    pang_str text = PANG_STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    pang_str right = from_base64(w,
                                 "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5"
                                 "BhVsPt9g7sVvpAr_MuM0KAg");
    assert_int_equal(pang_asym_ed25519((const uint8_t *)seed.ptr, &key, &w->err), PANG_OK);
    pang_asym_get_public(key, x, y);
    assert_memory_equal(x, from_base64(w, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").ptr, 32);
    assert_int_equal(pang_asym_sign(key, text, signature, &w->err), PANG_OK);
    assert_memory_equal(signature, right.ptr, right.len);
    assert_true(pang_asym_verify(key, text, right));
    pang_asym_free(key);
}

static void test_jws__rfc_7515_es256_and_hs256(void **state)
{
    world *w = *state;
    pang_str es = PANG_STR("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogI"
                           "mh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyK"
                           "AM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    pang_str hs = PANG_STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAi"
                           "OjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjf"
                           "tJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    pang_jws_key keys[] = {{.alg = PANG_ALG_ES256, .key = w->p256}};
    pang_jws_key shared[] = {
        {.alg = PANG_ALG_HS256,
         .secret = from_base64(w, "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_"
                                  "T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")}};
    const pang_jws_key *used;
    pang_str payload;
    assert_int_equal(pang_jws_verify(keys, 1, es, w->arena, &payload, &used, &w->err), PANG_OK);
    assert_true(pang_str_starts(payload, PANG_STR("{\"iss\":\"joe\"")));
    assert_int_equal(pang_jws_verify(shared, 1, hs, w->arena, &payload, &used, &w->err), PANG_OK);
    assert_int_equal(pang_jws_verify(shared, 1, es, w->arena, &payload, &used, &w->err),
                     PANG_UNAUTHENTICATED);
    assert_int_equal(pang_jws_verify(keys, 1, hs, w->arena, &payload, &used, &w->err),
                     PANG_UNAUTHENTICATED);
}

static void test_asym__points_that_are_none(void **state)
{
    world *w = *state;
    uint8_t x[PANG_POINT_BYTES] = {0}, y[PANG_POINT_BYTES] = {0};
    pang_asym *key = NULL;
    assert_int_equal(pang_asym_public(x, y, &key, &w->err), PANG_INVALID_ARGUMENT);
    memset(x, 0xff, sizeof x);
    memset(y, 0xff, sizeof y);
    assert_int_equal(pang_asym_public(x, y, &key, &w->err), PANG_INVALID_ARGUMENT);
    assert_null(key);
}

/* ---- what a token carries ---- */

static pang_claims claims_of(pang_principal_kind kind, bool is_admin)
{
    pang_claims c = {.username = PANG_STR("ann \"the\" \xc3\xa4nt"),
                     .kind = kind,
                     .is_admin = is_admin,
                     .epoch = 7,
                     .issued_s = NOW_S,
                     .expires_s = NOW_S + 3600};
    assert_true(pang_id_parse(PANG_STR(SUB), &c.subject));
    assert_true(pang_id_parse(PANG_STR(JTI), &c.jti));
    if (kind != PANG_PRINCIPAL_ROOT)
        assert_true(pang_id_parse(PANG_STR(TENANT), &c.tenant));
    return c;
}

static void test_token__comes_back_as_it_was(void **state)
{
    static const struct {
        pang_principal_kind kind;
        bool is_admin;
        const char *role;
    } cases[] = {
        {PANG_PRINCIPAL_ROOT, false, "\"role\":\"root\""},
        {PANG_PRINCIPAL_TENANT_ADMIN, true, "\"role\":\"tenant-admin\""},
        {PANG_PRINCIPAL_TENANT_USER, false, "\"role\":\"tenant-user\""},
        {PANG_PRINCIPAL_SERVICE_USER, false, "\"role\":\"tenant-user\",\"kind\":\"service-user\""},
        {PANG_PRINCIPAL_SERVICE_USER, true, "\"role\":\"tenant-admin\",\"kind\":\"service-user\""},
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_claims in = claims_of(cases[i].kind, cases[i].is_admin), out;
        const pang_jws_key *used;
        pang_str token, payload;
        assert_int_equal(pang_token_make(&w->rules, &w->keys[1], &in, w->arena, &token, &w->err),
                         PANG_OK);
        assert_int_equal(pang_jws_verify(w->keys, KEYS, token, w->arena, &payload, &used, &w->err),
                         PANG_OK);
        assert_ptr_equal(used, &w->keys[1]);
        assert_int_equal(strlen(token.ptr), token.len);
        assert_non_null(memmem(payload.ptr, payload.len, cases[i].role, strlen(cases[i].role)));
        assert_int_equal(pang_token_read(&w->rules, token, w->arena, &out, &w->err), PANG_OK);
        assert_true(pang_id_equal(in.subject, out.subject) && pang_id_equal(in.jti, out.jti) &&
                    pang_id_equal(in.tenant, out.tenant));
        assert_true(pang_str_equal(in.username, out.username));
        assert_int_equal(out.kind, in.kind);
        assert_int_equal(out.is_admin, in.is_admin);
        assert_int_equal(out.epoch, 7);
        assert_int_equal(out.issued_s, in.issued_s);
        assert_int_equal(out.expires_s, in.expires_s);
    }
}

static void test_token__times(void **state)
{
    static const struct {
        int64_t now_s;
        pang_code code;
    } cases[] = {
        {NOW_S - 61, PANG_UNAUTHENTICATED},
        {NOW_S - 60, PANG_OK},
        {NOW_S, PANG_OK},
        {NOW_S + 3600, PANG_OK},
        {NOW_S + 3659, PANG_OK},
        {NOW_S + 3660, PANG_UNAUTHENTICATED},
        {NOW_S * 2, PANG_UNAUTHENTICATED},
        {0, PANG_UNAUTHENTICATED},
    };
    world *w = *state;
    pang_claims in = claims_of(PANG_PRINCIPAL_TENANT_USER, false), out;
    pang_str token;
    assert_int_equal(pang_token_make(&w->rules, &w->keys[0], &in, w->arena, &token, &w->err),
                     PANG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        w->rules.now_ms = cases[i].now_s * 1000;
        assert_int_equal(pang_token_read(&w->rules, token, w->arena, &out, &w->err), cases[i].code);
    }
    assert_string_equal(w->err.reason, "NotAuthorizedException");
}

static void test_token__names_that_cannot_stand_in_one(void **state)
{
    world *w = *state;
    pang_claims in = claims_of(PANG_PRINCIPAL_TENANT_USER, false);
    char large[PANG_TOKEN_NAME_MAX + 1];
    pang_str token;
    memset(large, 'n', sizeof large);
    in.username = (pang_str){large, sizeof large};
    assert_int_equal(pang_token_make(&w->rules, &w->keys[0], &in, w->arena, &token, &w->err),
                     PANG_INVALID_ARGUMENT);
    in.username = PANG_STR("\xff");
    assert_int_equal(pang_token_make(&w->rules, &w->keys[0], &in, w->arena, &token, &w->err),
                     PANG_INVALID_ARGUMENT);
}

/* ---- what is none ---- */

#define HEAD "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"JWT\"}"
#define WHO "\"sub\":\"" SUB "\",\"jti\":\"" JTI "\",\"username\":\"ann\","
#define OF "\"iss\":\"" ISSUER "\",\"aud\":\"" AUDIENCE "\","
#define IN "\"tenant_id\":\"" TENANT "\",\"role\":\"tenant-user\","
#define TIMES "\"iat\":1700000000,\"exp\":1700003600"
#define BODY "{" OF WHO IN "\"epoch\":0," TIMES "}"

typedef enum { OURS, STRANGE, MAC_SHARED, MAC_PUBLIC, MAC_EMPTY, NONE, CUT, DER } signer;

static const struct {
    const char *name, *header, *payload;
    signer by;
} forged[] = {
    /* The algorithm is the key's, whatever the token says. */
    {"alg none", "{\"alg\":\"none\",\"kid\":\"k1\"}", BODY, OURS},
    {"alg None, no signature", "{\"alg\":\"None\",\"kid\":\"k1\"}", BODY, NONE},
    {"alg none without kid", "{\"alg\":\"none\"}", BODY, NONE},
    {"alg nOnE with a MAC", "{\"alg\":\"nOnE\"}", BODY, MAC_SHARED},
    {"alg HS256 with the public key", "{\"alg\":\"HS256\",\"kid\":\"k1\"}", BODY, MAC_PUBLIC},
    {"alg HS256 with nothing", "{\"alg\":\"HS256\",\"kid\":\"k1\"}", BODY, MAC_EMPTY},
    {"alg HS256 with nothing, no kid", "{\"alg\":\"HS256\"}", BODY, MAC_EMPTY},
    {"alg HS256 with the public key, no kid", "{\"alg\":\"HS256\"}", BODY, MAC_PUBLIC},
    {"alg EdDSA for the shared secret", "{\"alg\":\"EdDSA\"}", BODY, MAC_SHARED},
    {"alg ES256 for an EdDSA key", "{\"alg\":\"ES256\",\"kid\":\"k1\"}", BODY, OURS},
    {"alg EdDSA for an ES256 key", "{\"alg\":\"EdDSA\",\"kid\":\"es\"}", BODY, OURS},
    {"alg in another case", "{\"alg\":\"eddsa\",\"kid\":\"k1\"}", BODY, OURS},
    {"alg RS256", "{\"alg\":\"RS256\",\"kid\":\"k1\"}", BODY, OURS},
    {"alg HS512", "{\"alg\":\"HS512\"}", BODY, MAC_SHARED},
    {"alg missing", "{\"kid\":\"k1\"}", BODY, OURS},
    {"alg empty", "{\"alg\":\"\",\"kid\":\"k1\"}", BODY, OURS},
    {"alg null", "{\"alg\":null,\"kid\":\"k1\"}", BODY, OURS},
    {"alg a number", "{\"alg\":1,\"kid\":\"k1\"}", BODY, OURS},
    {"alg a list", "{\"alg\":[\"EdDSA\"],\"kid\":\"k1\"}", BODY, OURS},
    {"alg twice", "{\"alg\":\"EdDSA\",\"alg\":\"none\",\"kid\":\"k1\"}", BODY, OURS},
    /* The key is one of ours, named. */
    {"signed by a stranger", HEAD, BODY, STRANGE},
    {"kid missing", "{\"alg\":\"EdDSA\"}", BODY, OURS},
    {"kid unknown", "{\"alg\":\"EdDSA\",\"kid\":\"k3\"}", BODY, OURS},
    {"kid empty", "{\"alg\":\"HS256\",\"kid\":\"\"}", BODY, MAC_SHARED},
    {"kid in another case", "{\"alg\":\"EdDSA\",\"kid\":\"K1\"}", BODY, OURS},
    {"kid a path", "{\"alg\":\"EdDSA\",\"kid\":\"../k1\"}", BODY, OURS},
    {"kid a number", "{\"alg\":\"EdDSA\",\"kid\":1}", BODY, OURS},
    {"kid twice", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"kid\":\"k1\"}", BODY, OURS},
    {"kid with a NUL", "{\"alg\":\"EdDSA\",\"kid\":\"k1\\u0000\"}", BODY, OURS},
    {"a key inside", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"jwk\":{\"kty\":\"OKP\"}}", BODY, OURS},
    {"the address of keys", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"jku\":\"https://x\"}", BODY, OURS},
    {"the address of a certificate", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"x5u\":\"https://x\"}",
     BODY, OURS},
    {"a certificate", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"x5c\":[\"AAAA\"]}", BODY, OURS},
    /* Nothing that asks for more than we do. */
    {"crit", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"crit\":[\"exp\"],\"exp\":\"1\"}", BODY, OURS},
    {"crit empty", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"crit\":[]}", BODY, OURS},
    {"b64 false", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"b64\":false}", BODY, OURS},
    {"zip", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"zip\":\"DEF\"}", BODY, OURS},
    {"enc", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"enc\":\"A256GCM\"}", BODY, OURS},
    {"cty", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"cty\":\"JWT\"}", BODY, OURS},
    {"typ of another kind", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"logout+jwt\"}", BODY,
     OURS},
    {"typ no string", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":true}", BODY, OURS},
    {"header a list", "[\"EdDSA\",\"k1\"]", BODY, OURS},
    {"header a string", "\"EdDSA\"", BODY, OURS},
    {"header no JSON", "alg=EdDSA", BODY, OURS},
    {"header with more behind", HEAD "{}", BODY, OURS},
    {"header with a comma too many", "{\"alg\":\"EdDSA\",\"kid\":\"k1\",}", BODY, OURS},
    {"header no UTF-8", "{\"alg\":\"EdDSA\",\"kid\":\"\xff\"}", BODY, OURS},
    /* Signatures. */
    {"no signature", HEAD, BODY, NONE},
    {"half a signature", HEAD, BODY, CUT},
    {"ES256 in DER", "{\"alg\":\"ES256\",\"kid\":\"es\"}", BODY, DER},
    {"ES256 of zeroes", "{\"alg\":\"ES256\",\"kid\":\"es\"}", BODY, MAC_EMPTY},
    /* The payload. */
    {"payload a list", HEAD, "[]", OURS},
    {"payload no JSON", HEAD, "sub", OURS},
    {"payload no UTF-8", HEAD, "{\"sub\":\"\xff\"}", OURS},
    {"payload with more behind", HEAD, BODY " 1", OURS},
    {"sub twice", HEAD, "{" OF WHO "\"sub\":\"" JTI "\"," IN "\"epoch\":0," TIMES "}", OURS},
    {"iss missing", HEAD, "{\"aud\":\"" AUDIENCE "\"," WHO IN "\"epoch\":0," TIMES "}", OURS},
    {"iss another", HEAD,
     "{\"iss\":\"pangolin.example\",\"aud\":\"" AUDIENCE "\"," WHO IN "\"epoch\":0," TIMES "}",
     OURS},
    {"iss a list", HEAD,
     "{\"iss\":[\"pangolin\"],\"aud\":\"" AUDIENCE "\"," WHO IN "\"epoch\":0," TIMES "}", OURS},
    {"aud missing", HEAD, "{\"iss\":\"" ISSUER "\"," WHO IN "\"epoch\":0," TIMES "}", OURS},
    {"aud another", HEAD,
     "{\"iss\":\"" ISSUER "\",\"aud\":\"other\"," WHO IN "\"epoch\":0," TIMES "}", OURS},
    {"aud a list without us", HEAD,
     "{\"iss\":\"" ISSUER "\",\"aud\":[\"a\",\"b\"]," WHO IN "\"epoch\":0," TIMES "}", OURS},
    {"aud a list with a number", HEAD,
     "{\"iss\":\"" ISSUER "\",\"aud\":[1,\"" AUDIENCE "\"]," WHO IN "\"epoch\":0," TIMES "}", OURS},
    {"jti missing", HEAD,
     "{" OF "\"sub\":\"" SUB "\",\"username\":\"ann\"," IN "\"epoch\":0," TIMES "}", OURS},
    {"jti no id", HEAD,
     "{" OF "\"sub\":\"" SUB "\",\"jti\":\"1\",\"username\":\"ann\"," IN "\"epoch\":0," TIMES "}",
     OURS},
    {"sub missing", HEAD,
     "{" OF "\"jti\":\"" JTI "\",\"username\":\"ann\"," IN "\"epoch\":0," TIMES "}", OURS},
    {"sub a number", HEAD,
     "{" OF "\"sub\":1,\"jti\":\"" JTI "\",\"username\":\"ann\"," IN "\"epoch\":0," TIMES "}",
     OURS},
    {"username missing", HEAD,
     "{" OF "\"sub\":\"" SUB "\",\"jti\":\"" JTI "\"," IN "\"epoch\":0," TIMES "}", OURS},
    {"username empty", HEAD,
     "{" OF "\"sub\":\"" SUB "\",\"jti\":\"" JTI "\",\"username\":\"\"," IN "\"epoch\":0," TIMES
     "}",
     OURS},
    {"tenant missing", HEAD, "{" OF WHO "\"role\":\"tenant-user\",\"epoch\":0," TIMES "}", OURS},
    {"tenant null", HEAD,
     "{" OF WHO "\"tenant_id\":null,\"role\":\"tenant-user\",\"epoch\":0," TIMES "}", OURS},
    {"tenant empty", HEAD,
     "{" OF WHO "\"tenant_id\":\"\",\"role\":\"tenant-admin\",\"epoch\":0," TIMES "}", OURS},
    {"root in a tenant", HEAD,
     "{" OF WHO "\"tenant_id\":\"" TENANT "\",\"role\":\"root\",\"epoch\":0," TIMES "}", OURS},
    {"role missing", HEAD, "{" OF WHO "\"tenant_id\":\"" TENANT "\",\"epoch\":0," TIMES "}", OURS},
    {"role unknown", HEAD,
     "{" OF WHO "\"tenant_id\":\"" TENANT "\",\"role\":\"Root\",\"epoch\":0," TIMES "}", OURS},
    {"role a list", HEAD,
     "{" OF WHO "\"tenant_id\":\"" TENANT "\",\"role\":[\"root\"],\"epoch\":0," TIMES "}", OURS},
    {"kind unknown", HEAD, "{" OF WHO IN "\"kind\":\"root\",\"epoch\":0," TIMES "}", OURS},
    {"root as a service", HEAD,
     "{" OF WHO "\"role\":\"root\",\"kind\":\"service-user\",\"epoch\":0," TIMES "}", OURS},
    {"epoch missing", HEAD, "{" OF WHO IN TIMES "}", OURS},
    {"epoch negative", HEAD, "{" OF WHO IN "\"epoch\":-1," TIMES "}", OURS},
    {"epoch text", HEAD, "{" OF WHO IN "\"epoch\":\"0\"," TIMES "}", OURS},
    {"exp missing", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000}", OURS},
    {"exp text", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000,\"exp\":\"1700003600\"}",
     OURS},
    {"exp a fraction", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000,\"exp\":1700003600.5}",
     OURS},
    {"exp huge", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000,\"exp\":9223372036854775807}",
     OURS},
    {"exp above 64 bits", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000,\"exp\":1e300}",
     OURS},
    {"exp negative", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000,\"exp\":-1}", OURS},
    {"exp null", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000,\"exp\":null}", OURS},
    {"expired", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1699990000,\"exp\":1699999940}", OURS},
    {"exp before iat", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000050,\"exp\":1700000049}",
     OURS},
    {"a life too long", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000000,\"exp\":1800000000}",
     OURS},
    {"iat missing", HEAD, "{" OF WHO IN "\"epoch\":0,\"exp\":1700003600}", OURS},
    {"iat in the future", HEAD, "{" OF WHO IN "\"epoch\":0,\"iat\":1700000061,\"exp\":1700003600}",
     OURS},
    {"nbf in the future", HEAD, "{" OF WHO IN "\"epoch\":0,\"nbf\":1700000061," TIMES "}", OURS},
    {"nbf text", HEAD, "{" OF WHO IN "\"epoch\":0,\"nbf\":\"1\"," TIMES "}", OURS},
    /* The shared secret's tokens may leave out what is ours, not have it wrong. */
    {"shared: iss another", "{\"alg\":\"HS256\"}", "{\"iss\":\"x\"," WHO IN TIMES "}", MAC_SHARED},
    {"shared: aud another", "{\"alg\":\"HS256\"}", "{\"aud\":\"x\"," WHO IN TIMES "}", MAC_SHARED},
    {"shared: jti missing", "{\"alg\":\"HS256\"}",
     "{\"sub\":\"" SUB "\",\"username\":\"ann\"," IN TIMES "}", MAC_SHARED},
};

static pang_str sign_text(world *w, pang_str text, signer by)
{
    static uint8_t bytes[PANG_SIGNATURE_BYTES];
    uint8_t x[PANG_POINT_BYTES], y[PANG_POINT_BYTES];
    pang_str secret = by == MAC_SHARED ? PANG_STR(SHARED) : (pang_str){0};
    size_t len = sizeof bytes;
    memset(bytes, 0, sizeof bytes);
    pang_asym_get_public(w->ours, x, y);
    if (by == MAC_PUBLIC)
        secret = (pang_str){(const char *)x, sizeof x};
    if (by == OURS || by == CUT || by == STRANGE) {
        assert_int_equal(pang_asym_sign(by == STRANGE ? w->strange : w->ours, text, bytes, &w->err),
                         PANG_OK);
        len = by == CUT ? sizeof bytes / 2 : sizeof bytes;
    } else if (by == MAC_SHARED || by == MAC_PUBLIC || by == MAC_EMPTY) {
        assert_int_equal(pang_hash_mac(secret, text, bytes, &w->err), PANG_OK);
        len = PANG_HASH_BYTES;
    } else if (by == DER) {
        static const uint8_t der[] = {0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01};
        memcpy(bytes, der, sizeof der);
        len = sizeof der;
    } else {
        len = 0;
    }
    return pang_base64_encode((pang_str){(const char *)bytes, len}, PANG_BASE64_URL, w->arena);
}

/* A token of these parts, well encoded. */
static pang_str forge(world *w, const char *header, const char *payload, signer by)
{
    pang_str head = pang_base64_encode(pang_str_from(header), PANG_BASE64_URL, w->arena);
    pang_str body = pang_base64_encode(pang_str_from(payload), PANG_BASE64_URL, w->arena);
    pang_str text = pang_arena_printf(w->arena, "%s.%s", head.ptr, body.ptr);
    return pang_arena_printf(w->arena, "%s.%s", text.ptr, sign_text(w, text, by).ptr);
}

static void test_token__forged(void **state)
{
    world *w = *state;
    pang_claims out = {.epoch = 99};
    _Static_assert(sizeof forged / sizeof forged[0] >= 90, "kinds of forged tokens");
    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        pang_str token = forge(w, forged[i].header, forged[i].payload, forged[i].by);
        pang_code code = pang_token_read(&w->rules, token, w->arena, &out, &w->err);
        if (code != PANG_UNAUTHENTICATED || strcmp(w->err.reason, "NotAuthorizedException") != 0 ||
            (strcmp(w->err.message, "the token is not valid") != 0 &&
             strcmp(forged[i].name, "expired") != 0))
            fail_msg("%s: %d %s", forged[i].name, code, code == PANG_OK ? "" : w->err.message);
        assert_int_equal(out.epoch, 99); /* nothing of it is given out */
    }
}

/* The same table with nothing wrong in it is accepted: the faults are what is refused. */
static void test_token__the_pattern_is_good(void **state)
{
    static const struct {
        const char *header, *payload;
        signer by;
    } good[] = {
        {HEAD, BODY, OURS},
        {"{\"alg\":\"EdDSA\",\"kid\":\"k2\"}", BODY, OURS},
        {"{\"kid\":\"k1\",\"typ\":\"jwt\",\"alg\":\"EdDSA\",\"x5t\":\"AAAA\"}", BODY, OURS},
        {HEAD,
         "{\"iss\":\"" ISSUER "\",\"aud\":[\"x\",\"" AUDIENCE "\"]," WHO IN "\"epoch\":0,"
         "\"nbf\":1700000060,\"more\":{\"a\":[1.5]}," TIMES "}",
         OURS},
        {HEAD, "{" OF WHO "\"role\":\"root\",\"epoch\":0," TIMES "}", OURS},
        {HEAD, "{" OF WHO "\"tenant_id\":null,\"role\":\"root\",\"epoch\":0," TIMES "}", OURS},
    };
    world *w = *state;
    pang_claims out;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        pang_str token = forge(w, good[i].header, good[i].payload, good[i].by);
        if (pang_token_read(&w->rules, token, w->arena, &out, &w->err) != PANG_OK)
            fail_msg("%zu: %s (%s)", i, w->err.message, w->err.detail);
    }
}

/* Existing programs sign with the shared secret, without kid, issuer, audience or epoch. */
static void test_token__shared_secret(void **state)
{
    world *w = *state;
    pang_claims out;
    pang_str token, payload = PANG_STR("{" WHO IN TIMES "}");
    assert_int_equal(pang_jws_sign(&w->keys[3], payload, w->arena, &token, &w->err), PANG_OK);
    assert_int_equal(pang_token_read(&w->rules, token, w->arena, &out, &w->err), PANG_OK);
    assert_int_equal(out.epoch, 0);
    w->rules.n_keys = 3; /* unless it was configured, it is no key */
    assert_int_equal(pang_token_read(&w->rules, token, w->arena, &out, &w->err),
                     PANG_UNAUTHENTICATED);
}

static void test_token__malformed(void **state)
{
    world *w = *state;
    pang_str good = forge(w, HEAD, BODY, OURS), rest = good, head, body, tail;
    pang_claims out;
    assert_true(pang_str_next(&rest, '.', &head) && pang_str_next(&rest, '.', &body) &&
                pang_str_next(&rest, '.', &tail));
    char *large = pang_arena_alloc_text(w->arena, PANG_TOKEN_MAX + 1);
    memset(large, 'A', PANG_TOKEN_MAX + 1);
    const pang_str bad[] = {
        PANG_STR(""),
        PANG_STR("."),
        PANG_STR(".."),
        PANG_STR("..."),
        PANG_STR("None"),
        PANG_STR("a.b.c"),
        head,
        pang_arena_printf(w->arena, "%s", "Bearer"),
        pang_str_slice(good, 0, good.len - tail.len),           /* ends with the dot */
        pang_str_slice(good, 0, good.len - tail.len - 1),       /* two parts */
        pang_arena_printf(w->arena, "%s.", good.ptr),           /* four */
        pang_arena_printf(w->arena, "%s.%s", good.ptr, "AAAA"), /* four */
        pang_arena_printf(w->arena, ".%s", good.ptr),
        pang_arena_printf(w->arena, " %s", good.ptr),
        pang_arena_printf(w->arena, "%s ", good.ptr),
        pang_arena_printf(w->arena, "%s\n", good.ptr),
        pang_arena_printf(w->arena, "%s=", good.ptr),
        pang_arena_printf(w->arena, "%sA", good.ptr),
        pang_arena_printf(w->arena, "%s%%", good.ptr),
        pang_arena_printf(w->arena, "%.*s=.%.*s.%.*s", PANG_STR_ARG(head), PANG_STR_ARG(body),
                          PANG_STR_ARG(tail)),
        pang_arena_printf(w->arena, "%.*s..%.*s", PANG_STR_ARG(head), PANG_STR_ARG(tail)),
        pang_arena_printf(w->arena, "%.*s.%.*s.%.*s", PANG_STR_ARG(body), PANG_STR_ARG(head),
                          PANG_STR_ARG(tail)),
        {large, PANG_TOKEN_MAX},
        {large, PANG_TOKEN_MAX + 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pang_token_read(&w->rules, bad[i], w->arena, &out, &w->err) != PANG_UNAUTHENTICATED)
            fail_msg("malformed %zu is taken", i);
}

/* No letter of it can be another one: not even where its low bits are not used. */
static void test_token__every_letter_counts(void **state)
{
    world *w = *state;
    char *changed = pang_arena_cstr(w->arena, forge(w, HEAD, BODY, OURS));
    pang_str token = pang_str_from(changed);
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_claims out;
    for (size_t i = 0; i < token.len; i++) {
        char was = changed[i];
        for (const char *c = "AQgwBbhx-_."; *c != '\0'; c++) {
            pang_arena_reset(arena);
            changed[i] = *c;
            pang_code code = pang_token_read(&w->rules, token, arena, &out, &w->err);
            if (*c != was && code != PANG_UNAUTHENTICATED)
                fail_msg("letter %zu may be %c: %d", i, *c, code);
        }
        changed[i] = was;
    }
    pang_arena_free(arena);
}

static void test_jwks__has_public_halves_only(void **state)
{
    world *w = *state;
    pang_str text, x;
    pang_json *json;
    assert_int_equal(pang_jws_public(w->keys, KEYS, w->arena, &text, &w->err), PANG_OK);
    assert_int_equal(pang_json_parse(text, w->arena, &json, &w->err), PANG_OK);
    pang_json *keys = pang_json_get(json, "keys");
    assert_int_equal(pang_json_size(keys), 3); /* the shared secret is none */
    assert_true(pang_json_to_str(pang_json_get(pang_json_at(keys, 2), "x"), &x));
    assert_true(pang_str_equal(x, PANG_STR(P256_X)));
    assert_null(strstr(text.ptr, "\"d\""));
    assert_null(strstr(text.ptr, "HS256"));
}

/* The arena is full at every size: an error, never half a token. */
static void test_token__without_memory(void **state)
{
    world *w = *state;
    pang_claims in = claims_of(PANG_PRINCIPAL_TENANT_ADMIN, true), out;
    pang_str good = forge(w, HEAD, BODY, OURS), token;
    bool made = false, read = false;
    for (size_t limit = 16; !(made && read); limit += 64) {
        pang_arena *arena = pang_arena_new(limit);
        pang_code code = pang_token_make(&w->rules, &w->keys[0], &in, arena, &token, &w->err);
        assert_true(code == PANG_OK || code == PANG_RESOURCE_EXHAUSTED);
        made = code == PANG_OK;
        pang_arena_free(arena);
        arena = pang_arena_new(limit);
        code = pang_token_read(&w->rules, good, arena, &out, &w->err);
        assert_true(code == PANG_OK || code == PANG_RESOURCE_EXHAUSTED);
        read = code == PANG_OK;
        pang_arena_free(arena);
        assert_true(limit < 1 << 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_jws__rfc_8037_ed25519, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jws__rfc_7515_es256_and_hs256, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asym__points_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__comes_back_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__names_that_cannot_stand_in_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_token__forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__the_pattern_is_good, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__shared_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__every_letter_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_jwks__has_public_halves_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_token__without_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
