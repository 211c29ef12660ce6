/*
 * server/avro.c against files made here, byte by byte, with every type that a schema can hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "server/avro.h"

static pang_arena *arena;
static pang_err err;

static int setup(void **state)
{
    (void)state;
    arena = pang_arena_new(64 << 20);
    return arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pang_arena_free(arena);
    return 0;
}

/* ---- writing ---- */

static void put_long(pang_buf *to, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; zigzag > 0x7F; zigzag >>= 7)
        pang_buf_add_char(to, (char)(uint8_t)(zigzag | 0x80));
    pang_buf_add_char(to, (char)zigzag);
}

static void put_text(pang_buf *to, const char *text)
{
    put_long(to, (int64_t)strlen(text));
    pang_buf_add(to, pang_str_from(text));
}

#define SYNC PANG_STR("0123456789abcdef")

static void put_head(pang_buf *to, const char *schema, const char *codec)
{
    pang_buf_add(to, PANG_STR("Obj\x01"));
    put_long(to, codec == NULL ? 1 : 2);
    put_text(to, "avro.schema");
    put_text(to, schema);
    if (codec != NULL) {
        put_text(to, "avro.codec");
        put_text(to, codec);
    }
    put_long(to, 0);
    pang_buf_add(to, SYNC);
}

static void put_block(pang_buf *to, int64_t count, pang_str bytes)
{
    put_long(to, count);
    put_long(to, (int64_t)bytes.len);
    pang_buf_add(to, bytes);
    pang_buf_add(to, SYNC);
}

static const char schema[] =
    "{\"type\":\"record\",\"name\":\"entry\",\"fields\":["
    "{\"name\":\"status\",\"type\":\"int\"},"
    "{\"name\":\"nothing\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"data_file\",\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
    "{\"name\":\"flag\",\"type\":\"boolean\"},"
    "{\"name\":\"file_path\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"f\",\"type\":\"float\"},"
    "{\"name\":\"fx\",\"type\":{\"type\":\"fixed\",\"name\":\"u\",\"size\":3}},"
    "{\"name\":\"fx2\",\"type\":\"u\"},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"en\",\"symbols\":[\"A\",\"B\"]}},"
    "{\"name\":\"sizes\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
    "\"name\":\"kv\",\"fields\":[{\"name\":\"key\",\"type\":\"int\"},"
    "{\"name\":\"value\",\"type\":\"long\"}]},\"logicalType\":\"map\"}},"
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"bytes\"}}]}},"
    "{\"name\":\"last\",\"type\":\"string\"}]}";

static void put_record(pang_buf *to, int64_t status, const char *path)
{
    put_long(to, status);
    put_long(to, 0); /* nothing: null */
    pang_buf_add_char(to, 1);
    put_long(to, 1);
    put_text(to, path);
    pang_buf_add(to, PANG_STR("12345678"));
    pang_buf_add(to, PANG_STR("1234"));
    pang_buf_add(to, PANG_STR("abcdef"));
    put_long(to, 1);
    put_long(to, -2); /* a block of two that tells its bytes */
    put_long(to, 4);
    for (int i = 0; i < 4; i++)
        put_long(to, i);
    put_long(to, 1);
    put_long(to, 5);
    put_long(to, -6);
    put_long(to, 0);
    put_long(to, 1);
    put_text(to, "k");
    put_text(to, "v");
    put_long(to, 0);
    put_text(to, "end");
}

static pang_str packed(const char *codec, pang_str plain)
{
    size_t room = plain.len + 1024;
    char *to = pang_arena_alloc_text(arena, room);
    if (codec == NULL || strcmp(codec, "null") == 0)
        return plain;
    if (strcmp(codec, "zstandard") == 0)
        return (pang_str){to, ZSTD_compress(to, room, plain.ptr, plain.len, 1)};
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)plain.ptr;
    stream.avail_in = (uInt)plain.len;
    stream.next_out = (Bytef *)to;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return (pang_str){to, room - stream.avail_out};
}

static pang_str make_file(const char *codec, int blocks)
{
    pang_buf file = {.arena = arena};
    put_head(&file, schema, codec);
    for (int i = 0; i < blocks; i++) {
        pang_buf block = {.arena = arena};
        for (int64_t j = 0; j < 3; j++)
            put_record(&block, j, j == 0 ? "file:///a" : "file:///b");
        put_block(&file, 3, packed(codec, pang_buf_str(&block)));
    }
    return pang_buf_str(&file);
}

/* ---- reading ---- */

static const char *const paths[] = {"status", "data_file.file_path", "last", "nothing", "no.such"};

static bool take(void *arg, const pang_avro_value *values)
{
    int *n = arg;
    assert_int_equal(values[0].type, PANG_AVRO_LONG);
    assert_int_equal(values[0].number, *n % 3);
    assert_int_equal(values[1].type, PANG_AVRO_TEXT);
    assert_true(pang_str_equal(values[1].text,
                               *n % 3 == 0 ? PANG_STR("file:///a") : PANG_STR("file:///b")));
    assert_true(pang_str_equal(values[2].text, PANG_STR("end")));
    assert_int_equal(values[3].type, PANG_AVRO_ABSENT);
    assert_int_equal(values[4].type, PANG_AVRO_ABSENT);
    ++*n;
    return true;
}

static bool count(void *arg, const pang_avro_value *values)
{
    (void)values;
    return ++*(int *)arg < 2;
}

static bool ignore(void *arg, const pang_avro_value *values)
{
    (void)arg;
    (void)values;
    return true;
}

static void test_avro__every_type_is_passed_over_and_what_is_asked_for_found(void **state)
{
    (void)state;
    static const char *const codecs[] = {NULL, "null", "deflate", "zstandard"};
    for (size_t i = 0; i < 4; i++) {
        int n = 0;
        if (pang_avro_read(make_file(codecs[i], 2), paths, 5, arena, take, &n, &err) != PANG_OK)
            fail_msg("%s: %s", codecs[i], err.message);
        assert_int_equal(n, 6);
    }
}

static void test_avro__the_caller_may_stop(void **state)
{
    (void)state;
    int n = 0;
    assert_int_equal(pang_avro_read(make_file(NULL, 2), paths, 5, arena, count, &n, &err), PANG_OK);
    assert_int_equal(n, 2);
}

static void test_avro__cut_anywhere_is_an_error_and_no_more(void **state)
{
    (void)state;
    pang_str whole = make_file(NULL, 1);
    size_t head = 0, good = 0;
    pang_buf alone = {.arena = arena};
    put_head(&alone, schema, NULL);
    head = alone.len;
    for (size_t len = 0; len < whole.len; len++) {
        pang_code code = pang_avro_read(pang_str_slice(whole, 0, len), paths, 5, arena, ignore,
                                        NULL, &err);
        good += code == PANG_OK;
        if (code == PANG_OK)
            assert_int_equal(len, head);
    }
    assert_int_equal(good, 1);
}

static void test_avro__damage_is_an_error_and_no_more(void **state)
{
    (void)state;
    pang_str whole = make_file("deflate", 1);
    char *copy = pang_arena_alloc_text(arena, whole.len);
    for (size_t i = 0; i < whole.len; i++) {
        memcpy(copy, whole.ptr, whole.len);
        copy[i] = (char)(copy[i] ^ 0x55);
        (void)!pang_avro_read((pang_str){copy, whole.len}, paths, 5, arena, ignore, NULL, &err);
    }
}

static void test_avro__schemas_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "\"string\"",
        "{\"type\":\"record\",\"name\":\"x\"}",
        "{\"type\":\"record\",\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"nope\"}]}",
        "{\"type\":\"record\",\"name\":\"x\",\"fields\":[{\"name\":\"a\"}]}",
        "{\"type\":\"record\",\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":"
        "\"fixed\","
        "\"name\":\"f\",\"size\":-1}}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pang_buf file = {.arena = arena};
        put_head(&file, bad[i], NULL);
        assert_int_equal(pang_avro_read(pang_buf_str(&file), paths, 5, arena, ignore, NULL, &err),
                         PANG_INVALID_ARGUMENT);
    }
}

/* A record that holds itself, fed with bytes that never end it. */
static void test_avro__endless_schemas_end(void **state)
{
    (void)state;
    pang_buf file = {.arena = arena}, block = {.arena = arena};
    put_head(&file,
             "{\"type\":\"record\",\"name\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":"
             "[\"null\",\"x\"]}]}",
             NULL);
    for (int i = 0; i < 1000; i++)
        put_long(&block, 1);
    put_block(&file, 1, pang_buf_str(&block));
    assert_int_equal(pang_avro_read(pang_buf_str(&file), paths, 5, arena, ignore, NULL, &err),
                     PANG_INVALID_ARGUMENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_avro__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_type_is_passed_over_and_what_is_asked_for_found),
        TEST(the_caller_may_stop),
        TEST(cut_anywhere_is_an_error_and_no_more),
        TEST(damage_is_an_error_and_no_more),
        TEST(schemas_that_are_none_are_refused),
        TEST(endless_schemas_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
