/*
 * server/seal.h, server/crypto.h, server/secrets.h: what is sealed opens with its key and in its
 * place, and nowhere else; keys that are none are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base64.h"
#include "server/crypto.h"
#include "server/seal.h"
#include "server/secrets.h"
#include "tests/fault/alloc.h"

#define KEY_A "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_B "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="

static const pang_seal_place place = {.scope = PANG_STR_INIT("0123"),
                                      .kind = 18,
                                      .key = PANG_STR_INIT("0123/wh/abc"),
                                      .field = PANG_STR_INIT("secret-access-key")};

static pang_sealer *open_keys(const char *keys)
{
    pang_sealer *sealer = NULL;
    pang_err err;
    assert_int_equal(pang_sealer_open(pang_str_from(keys), "the test", &sealer, &err), PANG_OK);
    return sealer;
}

/* AES-256-GCM, NIST's test case 16 (SP 800-38D, McGrew and Viega). */
static void test_aead__known_answer(void **state)
{
    static const uint8_t key[32] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                    0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08,
                                    0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                    0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
    static const uint8_t nonce[12] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
                                      0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
    static const uint8_t plain[16] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5,
                                      0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26, 0x9a};
    static const uint8_t cipher[16] = {0x52, 0x2d, 0xc1, 0xf0, 0x99, 0x56, 0x7d, 0x07,
                                       0xf4, 0x7f, 0x37, 0xa3, 0x2a, 0x84, 0x42, 0x7d};
    uint8_t sealed[32], opened[16];
    pang_err err;
    (void)state;
    pang_str text = {(const char *)plain, sizeof plain};
    assert_int_equal(pang_aead_seal(key, nonce, PANG_STR("a"), text, sealed, &err), PANG_OK);
    assert_memory_equal(sealed, cipher, sizeof cipher);
    pang_str whole = {(const char *)sealed, sizeof sealed};
    assert_int_equal(pang_aead_open(key, nonce, PANG_STR("a"), whole, opened, &err), PANG_OK);
    assert_memory_equal(opened, plain, sizeof plain);
    assert_int_equal(pang_aead_open(key, nonce, PANG_STR("b"), whole, opened, &err),
                     PANG_DATA_LOSS);
    assert_int_equal(opened[0] | opened[15], 0); /* nothing that is not authentic is left */
}

static void test_seal__opens_what_it_sealed(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 1000, PANG_SEAL_PLAIN_MAX};
    pang_sealer *sealer = open_keys(KEY_A);
    pang_arena *arena = pang_arena_new(16 << 20);
    pang_err err;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = pang_arena_alloc_text(arena, sizes[i] + 1);
        pang_str sealed, again, plain = {text, sizes[i]}, opened;
        memset(text, 'x', sizes[i]);
        assert_int_equal(pang_seal(sealer, &pang_env_system, &place, plain, arena, &sealed, &err),
                         PANG_OK);
        assert_int_equal(pang_seal(sealer, &pang_env_system, &place, plain, arena, &again, &err),
                         PANG_OK);
        assert_false(pang_str_equal(sealed, again)); /* a nonce each */
        assert_true(pang_seal_is_current(sealer, sealed));
        assert_int_equal(pang_unseal(sealer, &place, sealed, arena, &opened, &err), PANG_OK);
        assert_true(pang_str_equal(opened, plain));
    }
    pang_str long_one = {KEY_A, PANG_SEAL_PLAIN_MAX + 1}, sealed;
    assert_int_equal(pang_seal(sealer, &pang_env_system, &place, long_one, arena, &sealed, &err),
                     PANG_INVALID_ARGUMENT);
    pang_arena_free(arena);
    pang_sealer_close(sealer);
}

static void test_seal__every_byte_counts(void **state)
{
    pang_sealer *sealer = open_keys("one:" KEY_A);
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_str sealed, opened = {0};
    pang_err err;
    (void)state;
    assert_int_equal(
        pang_seal(sealer, &pang_env_system, &place, PANG_STR("hush, hush"), arena, &sealed, &err),
        PANG_OK);
    char *bytes = (char *)(uintptr_t)sealed.ptr;
    for (size_t i = 0; i < sealed.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            pang_code code = pang_unseal(sealer, &place, sealed, arena, &opened, &err);
            /* Another id, or another end of it, is another key. */
            bool is_id = i >= 1 && i < 5;
            assert_true(code == PANG_DATA_LOSS || (is_id && code == PANG_FAILED_PRECONDITION));
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    }
    for (size_t len = 0; len < sealed.len; len++)
        assert_int_equal(
            pang_unseal(sealer, &place, pang_str_slice(sealed, 0, len), arena, &opened, &err),
            PANG_DATA_LOSS);
    assert_null(opened.ptr);
    pang_arena_free(arena);
    pang_sealer_close(sealer);
}

static void test_seal__belongs_to_its_place(void **state)
{
    pang_sealer *sealer = open_keys(KEY_A);
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_seal_place others[] = {place, place, place, place, place};
    pang_str sealed, opened;
    pang_err err;
    (void)state;
    others[0].scope = PANG_STR("0124");
    others[1].kind = 19;
    others[2].key = PANG_STR("0123/wh/abd");
    others[3].field = PANG_STR("session-token");
    others[4].scope = PANG_STR("01"); /* the same letters, cut elsewhere */
    others[4].key = PANG_STR("230123/wh/abc");
    assert_int_equal(
        pang_seal(sealer, &pang_env_system, &place, PANG_STR("s3cr3t"), arena, &sealed, &err),
        PANG_OK);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(pang_unseal(sealer, &others[i], sealed, arena, &opened, &err),
                         PANG_DATA_LOSS);
        assert_non_null(strstr(err.message, "does not open"));
        assert_null(strstr(err.message, "s3cr3t"));
    }
    pang_arena_free(arena);
    pang_sealer_close(sealer);
}

static void test_seal__keys_are_changed_online(void **state)
{
    pang_sealer *old = open_keys("old:" KEY_A), *both = open_keys("new:" KEY_B ", old:" KEY_A),
                *fresh = open_keys("new:" KEY_B), *wrong = open_keys("old:" KEY_B);
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_str sealed, opened, again;
    pang_err err;
    (void)state;
    assert_int_equal(
        pang_seal(old, &pang_env_system, &place, PANG_STR("s3cr3t"), arena, &sealed, &err),
        PANG_OK);
    assert_int_equal(pang_unseal(both, &place, sealed, arena, &opened, &err), PANG_OK);
    assert_false(pang_seal_is_current(both, sealed));
    assert_int_equal(pang_seal(both, &pang_env_system, &place, opened, arena, &again, &err),
                     PANG_OK);
    assert_true(pang_seal_is_current(both, again));
    assert_int_equal(pang_unseal(fresh, &place, again, arena, &opened, &err), PANG_OK);
    assert_true(pang_str_equal(opened, PANG_STR("s3cr3t")));
    assert_int_equal(pang_unseal(fresh, &place, sealed, arena, &opened, &err),
                     PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "\"old\""));
    assert_int_equal(pang_unseal(wrong, &place, sealed, arena, &opened, &err), PANG_DATA_LOSS);
    assert_non_null(strstr(err.message, "\"old\""));
    pang_arena_free(arena);
    pang_sealer_close(old);
    pang_sealer_close(both);
    pang_sealer_close(fresh);
    pang_sealer_close(wrong);
}

static void test_sealer__refuses_what_is_no_key(void **state)
{
    static const struct {
        const char *keys, *says;
    } cases[] = {
        {"", "no key"},
        {"\n# nothing\n , ,\n", "no key"},
        {"AAECAwQFBgcICQoLDA0ODw==", "32 bytes"},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj", "32 bytes"},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "not base64"},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "not base64"}, /* a bit too many */
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH-8=", "not base64"},
        {"change-me-please", "base64"},
        {":" KEY_A, "id"},
        {"a b:" KEY_A, "id"},
        {"a/b:" KEY_A, "id"},
        {"abcdefghijklmnopqrstuvwxyz0123456:" KEY_A, "id"},
        {"a:" KEY_A ",a:" KEY_B, "twice"},
        {KEY_A "," KEY_A, "twice"},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "few different"},
        {"Y2hhbmdlbWVjaGFuZ2VtZWNoYW5nZW1lY2hhbmdlbWU=", "placeholder"},
    };
    pang_sealer *sealer;
    pang_err err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = pang_sealer_open(pang_str_from(cases[i].keys), "PANGOLIN_ENCRYPTION_KEY",
                                          &sealer, &err);
        if (code != PANG_INVALID_ARGUMENT || strstr(err.message, cases[i].says) == NULL ||
            strstr(err.message, "PANGOLIN_ENCRYPTION_KEY") == NULL)
            fail_msg("\"%s\": %d %s", cases[i].keys, code, code == PANG_OK ? "" : err.message);
        if (strlen(cases[i].keys) > 8)
            assert_null(strstr(err.message, cases[i].keys)); /* a secret is never told */
    }
}

static void test_file__is_made_once_for_its_owner(void **state)
{
    char folder[] = "/tmp/pang-seal-XXXXXX", path[64];
    pang_sealer *one = NULL, *two = NULL;
    struct stat is;
    pang_err err;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/encryption.key", folder);
    assert_int_equal(pang_sealer_open_file(path, &one, &err), PANG_NOT_FOUND);
    assert_int_equal(pang_sealer_make_file(path, &pang_env_system, &err), PANG_OK);
    assert_int_equal(stat(path, &is), 0);
    assert_int_equal(is.st_mode & 07777, 0400);
    assert_int_equal(pang_sealer_make_file(path, &pang_env_system, &err), PANG_ALREADY_EXISTS);
    assert_int_equal(pang_sealer_open_file(path, &one, &err), PANG_OK);
    assert_int_equal(pang_sealer_open_file(path, &two, &err), PANG_OK);
    assert_true(pang_str_equal(pang_sealer_id(one), pang_sealer_id(two)));
    pang_sealer_close(one);
    pang_sealer_close(two);
    for (mode_t bit = 1; bit < 0100; bit <<= 1) {
        assert_int_equal(chmod(path, 0400 | bit), 0);
        assert_int_equal(pang_sealer_open_file(path, &one, &err), PANG_FAILED_PRECONDITION);
        assert_non_null(strstr(err.message, "0400"));
    }
    assert_int_equal(pang_sealer_open_file(folder, &one, &err), PANG_FAILED_PRECONDITION);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
    (void)snprintf(path, sizeof path, "%s/missing/encryption.key", folder);
    assert_int_equal(pang_sealer_make_file(path, &pang_env_system, &err), PANG_NOT_FOUND);
}

static void test_secret__what_is_none(void **state)
{
    pang_err err;
    (void)state;
    assert_true(pang_secret_is_placeholder(PANG_STR("ChangeMe")));
    assert_true(pang_secret_is_placeholder(PANG_STR("default_secret_for_dev")));
    assert_true(pang_secret_is_placeholder(PANG_STR("changeme2")));
    assert_true(pang_secret_is_placeholder(PANG_STR("changeme123456")));
    assert_true(pang_secret_is_placeholder(PANG_STR("pangolin-root")));
    assert_true(pang_secret_is_placeholder(PANG_STR("My_Secret!Key#1")));
    assert_true(pang_secret_is_placeholder(PANG_STR("default_secret_for_dev")));
    assert_true(pang_secret_is_placeholder(PANG_STR("supersecretpassword")));
    assert_true(pang_secret_is_placeholder(PANG_STR("12345678")));
    assert_true(pang_secret_is_placeholder(PANG_STR("1234567890123")));
    assert_false(pang_secret_is_placeholder(PANG_STR("passwordless-rose")));
    assert_false(pang_secret_is_placeholder(PANG_STR("123456788")));
    assert_false(pang_secret_is_placeholder(PANG_STR("my-secretary")));
    assert_false(pang_secret_is_placeholder(PANG_STR("correct horse 9")));
    assert_false(pang_secret_is_placeholder(PANG_STR("20983457")));
    assert_false(pang_secret_is_placeholder(PANG_STR("")));
    assert_int_equal(pang_secret_check(PANG_STR("0123456789abcdef0123456789abcde"), "X", &err),
                     PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "31 bytes"));
    assert_int_equal(pang_secret_check(PANG_STR("0123456789abcdef0123456789abcdef"), "X", &err),
                     PANG_OK);
    assert_int_equal(pang_secret_check(PANG_STR("your-secret-keyyour-secret-keyyo"), "X", &err),
                     PANG_INVALID_ARGUMENT);
}

static void test_base64__one_text_for_some_bytes(void **state)
{
    static const struct {
        const char *bytes, *padded, *url;
    } cases[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"\xfb\xff", "+/8=", "-_8"},
    };
    static const char *bad[] = {"Z",    "Zh",   "Zg==",  "Zm9",  "Zm8 ",
                                "Zm+v", "Zm/v", "Zm9vY", "Zm9=", "Zm9v\n"};
    static const char *bad_padded[] = {
        "Z===", "====", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "Zm-v", "=", "Zg==="};
    pang_arena *arena = pang_arena_new(1 << 16);
    pang_str out;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str bytes = pang_str_from(cases[i].bytes);
        assert_string_equal(pang_base64_encode(bytes, PANG_BASE64, arena).ptr, cases[i].padded);
        assert_string_equal(pang_base64_encode(bytes, PANG_BASE64_URL, arena).ptr, cases[i].url);
        assert_true(pang_base64_decode(pang_str_from(cases[i].padded), PANG_BASE64, arena, &out));
        assert_true(pang_str_equal(out, bytes));
        assert_true(pang_base64_decode(pang_str_from(cases[i].url), PANG_BASE64_URL, arena, &out));
        assert_true(pang_str_equal(out, bytes));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(pang_base64_decode(pang_str_from(bad[i]), PANG_BASE64_URL, arena, &out));
    for (size_t i = 0; i < sizeof bad_padded / sizeof bad_padded[0]; i++)
        assert_false(pang_base64_decode(pang_str_from(bad_padded[i]), PANG_BASE64, arena, &out));
    pang_arena_free(arena);
}

static pang_code make_seal_and_open(const char *path, pang_err *err)
{
    pang_sealer *sealer = NULL;
    pang_arena *arena = pang_arena_new(1 << 16);
    pang_str sealed, opened;
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_sealer_make_file(path, &pang_env_system, err);
    if (code == PANG_OK)
        code = pang_sealer_open_file(path, &sealer, err);
    if (code == PANG_OK)
        code = pang_seal(sealer, &pang_env_system, &place, PANG_STR("x"), arena, &sealed, err);
    if (code == PANG_OK)
        code = pang_unseal(sealer, &place, sealed, arena, &opened, err);
    pang_sealer_close(sealer);
    pang_arena_free(arena);
    return code;
}

static void test_seal__without_memory(void **state)
{
    char folder[] = "/tmp/pang-seal-XXXXXX", path[64];
    pang_err err;
    pang_code code;
    unsigned failed, n = 0;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/encryption.key", folder);
    do {
        long live = fault_alloc_live();
        fault_alloc_arm(++n, false);
        code = make_seal_and_open(path, &err);
        failed = fault_alloc_disarm();
        assert_int_equal(fault_alloc_live(), live);
        assert_true(failed > 0 ? code == PANG_RESOURCE_EXHAUSTED || code == PANG_UNAVAILABLE
                               : code == PANG_OK);
        (void)unlink(path);
    } while (failed > 0);
    assert_true(n > 5);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aead__known_answer),
        cmocka_unit_test(test_seal__opens_what_it_sealed),
        cmocka_unit_test(test_seal__every_byte_counts),
        cmocka_unit_test(test_seal__belongs_to_its_place),
        cmocka_unit_test(test_seal__keys_are_changed_online),
        cmocka_unit_test(test_sealer__refuses_what_is_no_key),
        cmocka_unit_test(test_file__is_made_once_for_its_owner),
        cmocka_unit_test(test_secret__what_is_none),
        cmocka_unit_test(test_base64__one_text_for_some_bytes),
        cmocka_unit_test(test_seal__without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
