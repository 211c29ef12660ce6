/*
 * Secrets: 32 random bytes have some thirty different values; fewer than ten do not occur in the
 * life of the universe, but in what was typed.
 */
#include "server/secrets.h"

enum { DIFFERENT_MIN = 10 };

static const pang_str placeholders[] = {
    PANG_STR_INIT("default_secret_for_dev"),
    PANG_STR_INIT("change-me-please"),
    PANG_STR_INIT("change-me"),
    PANG_STR_INIT("changeme"),
    PANG_STR_INIT("password"),
    PANG_STR_INIT("password1"),
    PANG_STR_INIT("password123"),
    PANG_STR_INIT("secret"),
    PANG_STR_INIT("test_secret"),
    PANG_STR_INIT("your-secret-key"),
    PANG_STR_INIT("supersecret"),
    PANG_STR_INIT("admin"),
    PANG_STR_INIT("admin123"),
    PANG_STR_INIT("root"),
    PANG_STR_INIT("pangolin"),
    PANG_STR_INIT("12345678"),
    PANG_STR_INIT("123456789"),
    PANG_STR_INIT("1234567890"),
};

bool pang_secret_is_placeholder(pang_str secret)
{
    for (size_t i = 0; i < sizeof placeholders / sizeof placeholders[0]; i++)
        if (pang_str_equal_nocase(secret, placeholders[i]))
            return true;
    return false;
}

/* "changemechangeme...": as long as one likes, and known to everybody. */
static bool repeats_placeholder(pang_str secret)
{
    for (size_t i = 0; i < sizeof placeholders / sizeof placeholders[0]; i++) {
        pang_str word = placeholders[i];
        size_t at = 0;
        while (at < secret.len) {
            pang_str part = pang_str_slice(secret, at, word.len);
            if (!pang_str_equal_nocase(part, pang_str_slice(word, 0, part.len)))
                break;
            at += part.len;
        }
        if (at == secret.len)
            return true;
    }
    return false;
}

static size_t count_different(pang_str secret)
{
    bool seen[256] = {false};
    size_t n = 0;
    for (size_t i = 0; i < secret.len; i++) {
        n += !seen[(uint8_t)secret.ptr[i]];
        seen[(uint8_t)secret.ptr[i]] = true;
    }
    return n;
}

pang_code pang_secret_check(pang_str secret, const char *name, pang_err *err)
{
    if (secret.len < PANG_SECRET_MIN)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%s is too short: %zu bytes, at least %d are needed", name, secret.len,
                         PANG_SECRET_MIN);
    if (repeats_placeholder(secret))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s is a placeholder of examples", name);
    if (count_different(secret) < DIFFERENT_MIN)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%s is no secret: it is made of very few different bytes", name);
    return PANG_OK;
}
