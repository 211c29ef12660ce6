/*
 * Tokens. The input is read as a token as it stands, and as `header NL payload` that is encoded and
 * signed with the right key, so that what is behind the signature is reached. What is accepted can
 * be made again and says the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "api/base64.h"
#include "server/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t seed[PANG_SEED_BYTES] = {1, 2, 3};

static void read_one(const pang_token_rules *rules, pang_str token, pang_arena *arena)
{
    pang_claims claims, again;
    pang_err err;
    pang_str made;
    if (pang_token_read(rules, token, arena, &claims, &err) != PANG_OK)
        return;
    assert(pang_token_make(rules, &rules->keys[0], &claims, arena, &made, &err) == PANG_OK);
    assert(pang_token_read(rules, made, arena, &again, &err) == PANG_OK);
    assert(pang_id_equal(claims.subject, again.subject) && pang_id_equal(claims.jti, again.jti));
    assert(pang_id_equal(claims.tenant, again.tenant) && claims.kind == again.kind);
    assert(pang_str_equal(claims.username, again.username) && claims.is_admin == again.is_admin);
    assert(claims.epoch == again.epoch && claims.expires_s == again.expires_s);
    assert((claims.kind == PANG_PRINCIPAL_ROOT) == pang_id_is_nil(claims.tenant) ||
           claims.kind != PANG_PRINCIPAL_ROOT);
}

static pang_str sign_parts(const pang_asym *key, pang_str input, pang_arena *arena)
{
    uint8_t signature[PANG_SIGNATURE_BYTES];
    pang_str payload = input, header;
    pang_buf token = {.arena = arena};
    if (!pang_str_next(&payload, '\n', &header))
        return (pang_str){0};
    pang_buf_add(&token, pang_base64_encode(header, PANG_BASE64_URL, arena));
    pang_buf_add_char(&token, '.');
    pang_buf_add(&token, pang_base64_encode(payload, PANG_BASE64_URL, arena));
    if (token.failed || pang_asym_sign(key, pang_buf_str(&token), signature, NULL) != PANG_OK)
        return (pang_str){0};
    pang_buf_add_char(&token, '.');
    pang_buf_add(&token, pang_base64_encode((pang_str){(const char *)signature, sizeof signature},
                                            PANG_BASE64_URL, arena));
    return pang_buf_str(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pang_arena *arena = pang_arena_new(4 << 20);
    pang_str input = {(const char *)data, size};
    pang_asym *key = NULL;
    if (arena != NULL && pang_asym_ed25519(seed, &key, NULL) == PANG_OK) {
        const pang_jws_key keys[] = {
            {.kid = PANG_STR("k1"), .alg = PANG_ALG_EDDSA, .key = key},
            {.alg = PANG_ALG_HS256, .secret = PANG_STR("0123456789abcdefghijklmnopqrstuv")}};
        const pang_token_rules rules = {.keys = keys,
                                        .n_keys = 2,
                                        .issuer = PANG_STR("pangolin"),
                                        .audience = PANG_STR("pangolin-api"),
                                        .now_ms = INT64_C(1700000000000)};
        read_one(&rules, input, arena);
        read_one(&rules, sign_parts(key, input, arena), arena);
    }
    pang_asym_free(key);
    pang_arena_free(arena);
    return 0;
}
