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

#include "server/avro_internal.h"
#include "server/zip.h"

static pang_arena *arena;
static pang_err err;

static int setup(void **state)
{
    (void)state;
    arena = pang_arena_new(256 << 20);
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
    if (strcmp(codec, "snappy") == 0) {
        pang_str snapped;
        assert_int_equal(pang_snappy(plain, arena, &snapped, &err), PANG_OK);
        return snapped;
    }
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

typedef struct {
    int64_t status;
    pang_str path, last, nothing, fixed;
    const int64_t *numbers;
    size_t n_numbers;
    bool has_status;
    pang_value real;
} item;

#define FIELD(text, type, member)                                                                  \
    {                                                                                              \
        .name = PANG_STR_INIT(text), .id = -1, .kind = (type), .at = offsetof(item, member),       \
        .has = PANG_AVRO_NO                                                                        \
    }

static const pang_avro_field number_fields[] = {
    {.name = PANG_STR_INIT("value"), .id = 7, .kind = PANG_AVRO_INT64, .has = PANG_AVRO_NO}};
static const pang_avro_field inner_fields[] = {
    FIELD("file_path", PANG_AVRO_STRING, path),
    FIELD("d", PANG_AVRO_VALUE, real),
    FIELD("fx2", PANG_AVRO_BYTES, fixed),
    {.name = PANG_STR_INIT("sizes"),
     .id = -1,
     .kind = PANG_AVRO_MAP,
     .at = offsetof(item, numbers),
     .has = offsetof(item, n_numbers),
     .inner = number_fields,
     .n = 1,
     .item_size = sizeof(int64_t)},
};
static const pang_avro_field fields[] = {
    {.name = PANG_STR_INIT("status"),
     .id = 3,
     .kind = PANG_AVRO_INT64,
     .at = offsetof(item, status),
     .has = offsetof(item, has_status)},
    {.name = PANG_STR_INIT("data_file"),
     .id = -1,
     .kind = PANG_AVRO_RECORD,
     .has = PANG_AVRO_NO,
     .inner = inner_fields,
     .n = 4},
    FIELD("last", PANG_AVRO_STRING, last),
    FIELD("nothing", PANG_AVRO_STRING, nothing),
    FIELD("no.such", PANG_AVRO_STRING, nothing),
};
static const item blank = {.last = PANG_STR_INIT("blank")};
static const pang_avro_want want = {fields, 5, &blank, sizeof blank};

static pang_code read_all(pang_str file, pang_avro_fn *fn, void *arg)
{
    pang_avro *avro;
    pang_code code = pang_avro_open(file, arena, &avro, &err);
    return code == PANG_OK ? pang_avro_read(avro, &want, arena, fn, arg, &err) : code;
}

static pang_code take(void *arg, void *record, bool *stop, pang_err *ignored)
{
    int *n = arg;
    const item *it = record;
    (void)stop;
    (void)ignored;
    assert_true(it->has_status);
    assert_int_equal(it->status, *n % 3);
    assert_true(
        pang_str_equal(it->path, *n % 3 == 0 ? PANG_STR("file:///a") : PANG_STR("file:///b")));
    assert_true(pang_str_equal(it->fixed, PANG_STR("def")));
    assert_int_equal(it->real.type, PANG_VALUE_DOUBLE);
    assert_true(pang_str_equal(it->last, PANG_STR("end")));
    assert_null(it->nothing.ptr);
    assert_int_equal(it->n_numbers, 3);
    assert_int_equal(it->numbers[0], 1);
    assert_int_equal(it->numbers[1], 3);
    assert_int_equal(it->numbers[2], -6);
    ++*n;
    return PANG_OK;
}

static pang_code count(void *arg, void *record, bool *stop, pang_err *ignored)
{
    (void)record;
    (void)ignored;
    *stop = ++*(int *)arg == 2;
    return PANG_OK;
}

static pang_code ignore(void *arg, void *record, bool *stop, pang_err *ignored)
{
    (void)arg;
    (void)record;
    (void)stop;
    (void)ignored;
    return PANG_OK;
}

static void test_avro__every_type_is_passed_over_and_what_is_asked_for_found(void **state)
{
    (void)state;
    static const char *const codecs[] = {NULL, "null", "deflate", "snappy", "zstandard"};
    for (size_t i = 0; i < 5; i++) {
        int n = 0;
        if (read_all(make_file(codecs[i], 2), take, &n) != PANG_OK)
            fail_msg("%s: %s", codecs[i], err.message);
        assert_int_equal(n, 6);
    }
}

static void test_avro__the_caller_may_stop(void **state)
{
    (void)state;
    int n = 0;
    assert_int_equal(read_all(make_file(NULL, 2), count, &n), PANG_OK);
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
        pang_code code = read_all(pang_str_slice(whole, 0, len), ignore, NULL);
        good += code == PANG_OK;
        if (code == PANG_OK)
            assert_int_equal(len, head);
        pang_arena_reset(arena);
        whole = make_file(NULL, 1);
    }
    assert_int_equal(good, 1);
}

static void test_avro__damage_is_an_error_and_no_more(void **state)
{
    (void)state;
    static const char *const codecs[] = {"null", "deflate", "snappy", "zstandard"};
    for (size_t k = 0; k < 4; k++) {
        size_t len = make_file(codecs[k], 1).len;
        for (size_t i = 0; i < len; i++) {
            pang_arena_reset(arena);
            pang_str whole = make_file(codecs[k], 1);
            char *copy = pang_arena_alloc_text(arena, len);
            memcpy(copy, whole.ptr, len);
            copy[i] = (char)(copy[i] ^ 0x55);
            (void)!read_all((pang_str){copy, len}, ignore, NULL);
        }
    }
}

/* The sum behind a block is looked at. */
static void test_avro__a_snappy_block_with_another_sum_is_damaged(void **state)
{
    (void)state;
    pang_str whole = make_file("snappy", 1);
    char *copy = pang_arena_alloc_text(arena, whole.len);
    memcpy(copy, whole.ptr, whole.len);
    copy[whole.len - SYNC.len - 1] ^= 1;
    assert_int_equal(read_all((pang_str){copy, whole.len}, ignore, NULL), PANG_INVALID_ARGUMENT);
}

/* One record schema, one block, what comes of it. */
static pang_code read_one(const char *json, int64_t n, pang_str bytes)
{
    pang_buf file = {.arena = arena};
    put_head(&file, json, NULL);
    put_block(&file, n, bytes);
    return read_all(pang_buf_str(&file), ignore, NULL);
}

#define RECORD(inner) "{\"type\":\"record\",\"name\":\"x\",\"fields\":[" inner "]}"

static void test_avro__ids_decide_and_names_stand_in(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t status;
    } cases[] = {
        {RECORD("{\"name\":\"other\",\"field-id\":3,\"type\":\"int\"}"), 5},
        {RECORD("{\"name\":\"status\",\"field-id\":9,\"type\":\"int\"}"), 0},
        {RECORD("{\"name\":\"status\",\"type\":\"long\"}"), 5},
    };
    for (size_t i = 0; i < 3; i++) {
        pang_buf file = {.arena = arena};
        pang_avro *avro;
        avro_step plan;
        item it = {0};
        put_head(&file, cases[i].json, NULL);
        assert_int_equal(pang_avro_open(pang_buf_str(&file), arena, &avro, &err), PANG_OK);
        assert_int_equal(avro_plan(pang_avro_schema(avro), fields, 5, arena, &plan, &err), PANG_OK);
        avro_bytes bytes = {"\x0A", "\x0A" + 1};
        assert_int_equal(avro_decode(&bytes, &plan, arena, (char *)&it), AVRO_FINE);
        assert_int_equal(it.status, cases[i].status);
    }
}

static void test_avro__a_field_of_another_type_is_refused(void **state)
{
    (void)state;
    assert_int_equal(
        read_one(RECORD("{\"name\":\"status\",\"type\":\"string\"}"), 1, PANG_STR("\x02a")),
        PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "\"status\""));
}

/* Counts of what takes no bytes would be work without end. */
static void test_avro__lists_of_nothing_are_refused(void **state)
{
    (void)state;
    assert_int_equal(read_one(RECORD("{\"name\":\"a\",\"type\":{\"type\":\"array\","
                                     "\"items\":\"null\"}}"),
                              1, PANG_STR("\xFE\xFF\xFF\xFF\x0F\0")),
                     PANG_INVALID_ARGUMENT);
    assert_int_equal(
        read_one(RECORD("{\"name\":\"a\",\"type\":\"null\"}"), INT64_MAX, PANG_STR("x")),
        PANG_INVALID_ARGUMENT);
}

/* Thirty levels of two are 2^30 fields, of which none takes a byte. */
static void test_avro__doubling_schemas_cost_nothing(void **state)
{
    (void)state;
    pang_buf json = {.arena = arena};
    pang_buf_printf(&json, "{\"type\":\"record\",\"name\":\"x\",\"fields\":["
                           "{\"name\":\"r0\",\"type\":{\"type\":\"record\",\"name\":\"n0\","
                           "\"fields\":[]}}");
    for (int i = 1; i < 30; i++)
        pang_buf_printf(&json,
                        ",{\"name\":\"r%d\",\"type\":{\"type\":\"record\",\"name\":\"n%d\","
                        "\"fields\":[{\"name\":\"a\",\"type\":\"n%d\"},"
                        "{\"name\":\"b\",\"type\":\"n%d\"}]}}",
                        i, i, i - 1, i - 1);
    pang_buf_printf(&json, ",{\"name\":\"status\",\"type\":\"int\"}]}");
    pang_buf_add_char(&json, '\0');
    assert_int_equal(read_one(json.ptr, 3, PANG_STR("\2\4\6")), PANG_OK);
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
        assert_int_equal(read_all(pang_buf_str(&file), ignore, NULL), PANG_INVALID_ARGUMENT);
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
    assert_int_equal(read_all(pang_buf_str(&file), ignore, NULL), PANG_INVALID_ARGUMENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_avro__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_type_is_passed_over_and_what_is_asked_for_found),
        TEST(the_caller_may_stop),
        TEST(cut_anywhere_is_an_error_and_no_more),
        TEST(damage_is_an_error_and_no_more),
        TEST(a_snappy_block_with_another_sum_is_damaged),
        TEST(ids_decide_and_names_stand_in),
        TEST(a_field_of_another_type_is_refused),
        TEST(lists_of_nothing_are_refused),
        TEST(doubling_schemas_cost_nothing),
        TEST(schemas_that_are_none_are_refused),
        TEST(endless_schemas_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
