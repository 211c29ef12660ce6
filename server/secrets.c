/*
 * Secrets: 32 random bytes have some thirty different values; fewer than ten do not occur in the
 * life of the universe, but in what was typed.
 */
#include "server/secrets.h"

enum { DIFFERENT_MIN = 10 };

/* Of these, numbers and punctuation is made what people type for the time being. */
static const pang_str words[] = {
    PANG_STR_INIT("admin"),   PANG_STR_INIT("change"),   PANG_STR_INIT("default"),
    PANG_STR_INIT("demo"),    PANG_STR_INIT("dev"),      PANG_STR_INIT("for"),
    PANG_STR_INIT("it"),      PANG_STR_INIT("key"),      PANG_STR_INIT("letmein"),
    PANG_STR_INIT("me"),      PANG_STR_INIT("my"),       PANG_STR_INIT("pangolin"),
    PANG_STR_INIT("passwd"),  PANG_STR_INIT("password"), PANG_STR_INIT("please"),
    PANG_STR_INIT("qwerty"),  PANG_STR_INIT("root"),     PANG_STR_INIT("secret"),
    PANG_STR_INIT("super"),   PANG_STR_INIT("test"),     PANG_STR_INIT("user"),
    PANG_STR_INIT("welcome"), PANG_STR_INIT("your"),
};
enum { WORD_MAX = 31 }; /* letters of a word, at most: bits of what is remembered below */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

/* Whether text up to `at` can be cut into words and what is no letter. Bit n of `cuts` tells it of
 * the place n bytes before. */
static bool can_cut(pang_str text, size_t at, uint32_t cuts)
{
    if (!is_letter(text.ptr[at - 1]) && (cuts & 2u) != 0)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = words[i].len;
        if (len <= at && len <= WORD_MAX && (cuts & 1u << len) != 0 &&
            pang_str_equal_nocase(pang_str_slice(text, at - len, len), words[i]))
            return true;
    }
    return false;
}

static bool begins_word(pang_str text)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (pang_str_equal_nocase(text, pang_str_slice(words[i], 0, text.len)))
            return true;
    return false;
}

/* "pangolin-root", "ChangeMe2026!", "changemechangemechan": the last word may be cut. */
static bool is_made_of_words(pang_str text)
{
    uint32_t cuts = 1;
    bool has_letters = false;
    for (size_t at = 1; at <= text.len && cuts != 0; at++) {
        has_letters = has_letters || is_letter(text.ptr[at - 1]);
        cuts <<= 1;
        cuts |= can_cut(text, at, cuts);
    }
    bool fits = false;
    for (size_t n = 0; n <= WORD_MAX && n <= text.len; n++)
        fits = fits || ((cuts & 1u << n) != 0 && begins_word(pang_str_after(text, text.len - n)));
    return has_letters && fits;
}

/* "12345678", "1234567890123". */
static bool counts_up(pang_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != (char)('0' + (i + 1) % 10))
            return false;
    return text.len > 0;
}

bool pang_secret_is_placeholder(pang_str secret)
{
    return is_made_of_words(secret) || counts_up(secret);
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
    if (pang_secret_is_placeholder(secret))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s is a placeholder of examples", name);
    if (count_different(secret) < DIFFERENT_MIN)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%s is no secret: it is made of very few different bytes", name);
    return PANG_OK;
}
