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

/* Of these and numbers are made what people type for the time being. */
static const pang_str words[] = {
    PANG_STR_INIT("admin"),    PANG_STR_INIT("change"),  PANG_STR_INIT("changeit"),
    PANG_STR_INIT("changeme"), PANG_STR_INIT("default"), PANG_STR_INIT("demo"),
    PANG_STR_INIT("dev"),      PANG_STR_INIT("for"),     PANG_STR_INIT("key"),
    PANG_STR_INIT("letmein"),  PANG_STR_INIT("me"),      PANG_STR_INIT("my"),
    PANG_STR_INIT("pangolin"), PANG_STR_INIT("passwd"),  PANG_STR_INIT("password"),
    PANG_STR_INIT("please"),   PANG_STR_INIT("qwerty"),  PANG_STR_INIT("root"),
    PANG_STR_INIT("secret"),   PANG_STR_INIT("super"),   PANG_STR_INIT("supersecret"),
    PANG_STR_INIT("test"),     PANG_STR_INIT("user"),    PANG_STR_INIT("welcome"),
    PANG_STR_INIT("your"),
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

static bool is_word(pang_str text)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (pang_str_equal_nocase(text, words[i]))
            return true;
    return false;
}

/* "pangolin-root", "ChangeMe2026!": there are letters, and every run of them is one of the words.
 */
static bool is_made_of_words(pang_str secret)
{
    size_t at = 0;
    bool has_letters = false;
    while (at < secret.len) {
        size_t end = at;
        while (end < secret.len && is_letter(secret.ptr[end]))
            end++;
        if (end > at && !is_word(pang_str_slice(secret, at, end - at)))
            return false;
        has_letters = has_letters || end > at;
        at = end + (end == at);
    }
    return has_letters;
}

bool pang_secret_is_placeholder(pang_str secret)
{
    for (size_t i = 0; i < sizeof placeholders / sizeof placeholders[0]; i++)
        if (pang_str_equal_nocase(secret, placeholders[i]))
            return true;
    return is_made_of_words(secret);
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
