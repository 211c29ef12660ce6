/*
 * server/documents.c and server/zip.c: what is kept, what goes, what a reader still holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "server/documents.h"
#include "server/zip.h"

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

static pang_id id_of(unsigned n)
{
    pang_id id = {{0}};
    id.bytes[0] = (uint8_t)n;
    id.bytes[15] = (uint8_t)(n >> 8);
    return id;
}

static void test_documents__what_is_kept_is_found_by_id_and_shape(void **state)
{
    (void)state;
    pang_documents *docs = pang_documents_new(1 << 20);
    pang_str text;
    pang_documents_keep(docs, id_of(1), PANG_WHOLE, PANG_NO_OVERLAY, PANG_STR("whole"));
    pang_documents_keep(docs, id_of(1), PANG_REFS_ONLY, PANG_NO_OVERLAY, PANG_STR("refs"));
    pang_documents_keep(docs, id_of(1), PANG_WHOLE, PANG_NO_OVERLAY, PANG_STR("again"));
    assert_true(pang_documents_find(docs, id_of(1), PANG_WHOLE, PANG_NO_OVERLAY, arena, &text));
    assert_true(pang_str_equal(text, PANG_STR("whole")));
    assert_true(pang_documents_find(docs, id_of(1), PANG_REFS_ONLY, PANG_NO_OVERLAY, arena, &text));
    assert_true(pang_str_equal(text, PANG_STR("refs")));
    assert_false(pang_documents_find(docs, id_of(257), PANG_WHOLE, PANG_NO_OVERLAY, arena, &text));
    pang_overlay shared = {.shared = true}, paths = {.shared = true, .paths.branch = id_of(9)},
                 later = paths;
    pang_documents_keep(docs, id_of(1), PANG_WHOLE, shared, PANG_STR("shared"));
    assert_false(pang_documents_find(docs, id_of(1), PANG_WHOLE, paths, arena, &text));
    assert_true(pang_documents_find(docs, id_of(1), PANG_WHOLE, shared, arena, &text));
    assert_true(pang_str_equal(text, PANG_STR("shared")));
    later.paths.mark = 7;
    pang_documents_keep(docs, id_of(1), PANG_WHOLE, paths, PANG_STR("paths"));
    assert_false(pang_documents_find(docs, id_of(1), PANG_WHOLE, later, arena, &text));
    pang_arena_reset(arena);
    pang_documents_free(docs);
}

static void test_documents__the_least_used_go_and_readers_keep_theirs(void **state)
{
    (void)state;
    pang_documents *docs = pang_documents_new(100 * 1024);
    pang_documents_stats stats;
    char body[10 * 1024];
    pang_str first, other;
    memset(body, 'a', sizeof body);
    pang_documents_keep(docs, id_of(0), PANG_WHOLE, PANG_NO_OVERLAY, (pang_str){body, sizeof body});
    pang_documents_keep(docs, id_of(1), PANG_WHOLE, PANG_NO_OVERLAY, (pang_str){body, sizeof body});
    assert_true(pang_documents_find(docs, id_of(0), PANG_WHOLE, PANG_NO_OVERLAY, arena, &first));
    for (unsigned i = 2; i < 30; i++)
        pang_documents_keep(docs, id_of(i), PANG_WHOLE, PANG_NO_OVERLAY,
                            (pang_str){body, sizeof body});
    pang_documents_get_stats(docs, &stats);
    assert_true(stats.bytes <= 100 * 1024);
    assert_int_equal(stats.documents, 9);
    assert_false(pang_documents_find(docs, id_of(0), PANG_WHOLE, PANG_NO_OVERLAY, arena, &other));
    assert_true(pang_documents_find(docs, id_of(29), PANG_WHOLE, PANG_NO_OVERLAY, arena, &other));
    assert_int_equal(first.len, sizeof body);
    assert_int_equal(first.ptr[sizeof body - 1], 'a');
    pang_arena_reset(arena);
    pang_documents_free(docs);
}

static void test_documents__use_keeps_a_document(void **state)
{
    (void)state;
    pang_documents *docs = pang_documents_new(100 * 1024);
    char body[10 * 1024] = {0};
    pang_str text;
    for (unsigned i = 0; i < 40; i++) {
        pang_documents_keep(docs, id_of(i), PANG_WHOLE, PANG_NO_OVERLAY,
                            (pang_str){body, sizeof body});
        assert_true(pang_documents_find(docs, id_of(0), PANG_WHOLE, PANG_NO_OVERLAY, arena, &text));
    }
    pang_arena_reset(arena);
    pang_documents_free(docs);
}

static void test_documents__one_that_is_too_large_is_not_kept(void **state)
{
    (void)state;
    pang_documents *docs = pang_documents_new(8 * 1024);
    char body[2 * 1024] = {0};
    pang_str text;
    pang_documents_keep(docs, id_of(1), PANG_WHOLE, PANG_NO_OVERLAY, (pang_str){body, sizeof body});
    assert_false(pang_documents_find(docs, id_of(1), PANG_WHOLE, PANG_NO_OVERLAY, arena, &text));
    pang_documents_free(docs);
}

static void *read_and_write(void *arg)
{
    pang_documents *docs = arg;
    pang_arena *own = pang_arena_new(1 << 20);
    char body[4096];
    for (unsigned i = 0; own != NULL && i < 5000; i++) {
        pang_id id = id_of(i % 50);
        pang_str text;
        memset(body, (int)('a' + i % 50 % 26), sizeof body);
        if (!pang_documents_find(docs, id, PANG_WHOLE, PANG_NO_OVERLAY, own, &text))
            pang_documents_keep(docs, id, PANG_WHOLE, PANG_NO_OVERLAY,
                                (pang_str){body, sizeof body});
        else if (text.ptr[4095] != body[4095])
            return NULL;
        if (i % 7 == 0)
            pang_arena_reset(own);
    }
    pang_arena_free(own);
    return docs;
}

static void test_documents__threads_share_it(void **state)
{
    (void)state;
    pang_documents *docs = pang_documents_new(100 * 1024);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_write, docs), 0);
    for (size_t i = 0; i < 4; i++) {
        void *ok = NULL;
        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
    pang_documents_free(docs);
}

static pang_str random_text(size_t size)
{
    char *text = pang_arena_alloc_text(arena, size);
    unsigned dice = 1;
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        dice = dice * 1103515245 + 12345;
        text[i] = "abcdefgh"[dice >> 16 & 7];
    }
    return (pang_str){text, size};
}

static void test_zip__comes_back_as_it_was(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 3 << 20};
    pang_zip *zip = pang_zip_new();
    for (size_t i = 0; i < 4; i++) {
        pang_str text = random_text(sizes[i]), packed, back;
        assert_int_equal(pang_zip_pack(zip, text, arena, &packed, &err), PANG_OK);
        assert_int_equal(pang_zip_unpack(zip, packed, text.len, arena, &back, &err), PANG_OK);
        assert_true(pang_str_equal(text, back));
        assert_int_equal(pang_zip_unpack(zip, packed, text.len + 1, arena, &back, &err),
                         PANG_DATA_LOSS);
        assert_int_equal(pang_gzip(text, arena, &packed, &err), PANG_OK);
        assert_true(pang_is_gzip(packed));
        assert_int_equal(pang_gunzip(packed, text.len, arena, &back, &err), PANG_OK);
        assert_true(pang_str_equal(text, back));
    }
    pang_zip_free(zip);
}

static void test_zip__bad_gzip_is_refused(void **state)
{
    (void)state;
    pang_str text = random_text(1 << 20), packed, back;
    assert_int_equal(pang_gzip(text, arena, &packed, &err), PANG_OK);
    assert_int_equal(pang_gunzip(packed, text.len - 1, arena, &back, &err), PANG_INVALID_ARGUMENT);
    packed.len /= 2;
    assert_int_equal(pang_gunzip(packed, text.len, arena, &back, &err), PANG_INVALID_ARGUMENT);
    assert_int_equal(pang_gunzip(PANG_STR("\x1f\x8b"), 100, arena, &back, &err),
                     PANG_INVALID_ARGUMENT);
    assert_int_equal(pang_gunzip(PANG_STR(""), 100, arena, &back, &err), PANG_INVALID_ARGUMENT);
}

/* It is refused as too large, not as a lack of memory, which clients would try again. */
static void test_zip__a_bomb_costs_no_more_than_the_limit(void **state)
{
    (void)state;
    enum { LIMIT = 1 << 20 };
    pang_str packed, back, zeros = {pang_arena_alloc(arena, 16 * LIMIT), 16 * LIMIT};
    pang_arena *small = pang_arena_new(3 * LIMIT);
    assert_non_null(zeros.ptr);
    assert_int_equal(pang_gzip(zeros, arena, &packed, &err), PANG_OK);
    assert_int_equal(pang_gunzip(packed, LIMIT, small, &back, &err), PANG_INVALID_ARGUMENT);
    zeros.len = LIMIT;
    pang_arena_reset(small);
    assert_int_equal(pang_gzip(zeros, arena, &packed, &err), PANG_OK);
    assert_int_equal(pang_gunzip(packed, LIMIT, small, &back, &err), PANG_OK);
    assert_true(pang_str_equal(back, zeros));
    pang_arena_free(small);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(documents__what_is_kept_is_found_by_id_and_shape),
        TEST(documents__the_least_used_go_and_readers_keep_theirs),
        TEST(documents__use_keeps_a_document),
        TEST(documents__one_that_is_too_large_is_not_kept),
        TEST(documents__threads_share_it),
        TEST(zip__comes_back_as_it_was),
        TEST(zip__bad_gzip_is_refused),
        TEST(zip__a_bomb_costs_no_more_than_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
