/*
 * Manifests without memory: the n-th allocation fails, for every n until none does. What is written
 * and read then is told as RESOURCE_EXHAUSTED or is whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/fault/sweep.h"
#include "tests/server/manifest_fixture.h"

enum { FILES = 3 };

typedef struct {
    pang_codec codec;
    size_t seen;
} world;

static bool copy(void *arg, const pang_manifest_entry *entry)
{
    world *w = arg;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_manifest_entry *to;
    pang_err err;
    bool fine = arena != NULL && pang_manifest_entry_copy(entry, arena, &to, &err) == PANG_OK;
    if (fine)
        w->seen++;
    pang_arena_free(arena);
    return fine;
}

static pang_code go(world *w, pang_arena *arena, pang_err *err)
{
    pang_env_fixed state = {.seed = 1};
    pang_env env = pang_env_from_fixed(&state);
    pang_manifest_new made;
    pang_manifest row, *rows;
    pang_manifest_head head;
    pang_str file;
    size_t n;
    if (!fixture_manifest(FILES, 3, PANG_MANIFEST_DATA, w->codec, arena, &made))
        return pang_fail_memory(err);
    pang_code code = pang_manifest_write(&made, &env, arena, &file, &row, err);
    if (code == PANG_OK)
        code = pang_manifest_read(file, NULL, arena, &head, copy, w, err);
    if (code == PANG_OK && w->seen < FILES)
        return pang_fail_memory(err); /* the copy had none */
    if (code != PANG_OK)
        return code;
    row.path = PANG_STR("s3://b/t/m.avro");
    pang_manifest_list_new list = {
        .format_version = 3, .codec = w->codec, .manifests = &row, .n = 1};
    code = pang_manifest_list_write(&list, &env, arena, &file, NULL, err);
    if (code == PANG_OK)
        code = pang_manifest_list_read(file, arena, &rows, &n, err);
    if (code == PANG_OK)
        assert_true(n == 1 && rows[0].length == row.length &&
                    rows[0].n_partitions == FIXTURE_FIELDS);
    return code;
}

static pang_code run(void *arg, pang_err *err)
{
    world *w = arg;
    pang_arena *arena = pang_arena_new(64 << 20);
    if (arena == NULL)
        return pang_fail_memory(err);
    w->seen = 0;
    pang_code code = go(w, arena, err);
    pang_arena_free(arena);
    return code;
}

static void *begin_with(pang_codec codec)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->codec = codec;
    return w;
}

static void *begin_deflate(void)
{
    return begin_with(PANG_CODEC_DEFLATE);
}

static void *begin_zstandard(void)
{
    return begin_with(PANG_CODEC_ZSTANDARD);
}

static void *begin_snappy(void)
{
    return begin_with(PANG_CODEC_SNAPPY);
}

static void check(void *arg, pang_code code)
{
    world *w = arg;
    assert_true(w->seen <= FILES);
    assert_true(code != PANG_OK || w->seen == FILES);
}

static const fault_scene scenes[] = {
    {"deflate", begin_deflate, NULL, run, check, free, true},
    {"zstandard", begin_zstandard, NULL, run, check, free, true},
    {"snappy", begin_snappy, NULL, run, check, free, true},
};

static void test_manifest_faults__no_allocation_is_taken_for_granted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++)
        fault_sweep(&scenes[i]);
}

/* The arena is full at every size. */
static void test_manifest_faults__a_small_arena_is_an_answer(void **state)
{
    (void)state;
    bool done = false;
    for (size_t limit = 1000; !done; limit += 997) {
        world w = {.codec = PANG_CODEC_NULL};
        pang_arena *arena = pang_arena_new(limit);
        pang_err err;
        pang_code code = go(&w, arena, &err);
        assert_true(code == PANG_OK || code == PANG_RESOURCE_EXHAUSTED);
        done = code == PANG_OK;
        pang_arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manifest_faults__no_allocation_is_taken_for_granted),
        cmocka_unit_test(test_manifest_faults__a_small_arena_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
