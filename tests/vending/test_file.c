/*
 * vending/file.c: files appear whole or not at all, are never replaced, and no link leads out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/vending.h"

static char root[] = "/tmp/pang-file-XXXXXX";
static pang_objects *files;
static pang_arena *arena;
static pang_err err;

/* A location below the test's folder. */
static pang_location at(const char *below)
{
    pang_str text = pang_arena_printf(arena, "file://%s/%s", root, below);
    return (pang_location){
        .text = text,
        .scheme = PANG_STR("file"),
        .path = pang_str_after(text, strlen("file:///")),
        .canonical = text,
    };
}

static int setup(void **state)
{
    (void)state;
    arena = pang_arena_new(64 << 20);
    if (mkdtemp(root) == NULL)
        return 1;
    const pang_str roots[] = {pang_str_from(root)};
    pang_objects_config config = {.file_roots = roots, .n_file_roots = 1};
    return pang_objects_open(PANG_STR("file"), &config, &files, &err) != PANG_OK;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    (void)snprintf(command, sizeof command, "rm -rf %s", root);
    pang_objects_close(files);
    pang_objects_close(NULL);
    pang_arena_free(arena);
    return system(command);
}

static void test_file__put_creates_folders_and_get_gives_back(void **state)
{
    (void)state;
    pang_location one = at("wh/ns/t/metadata/00000-a.metadata.json");
    pang_str body;
    int64_t size = 0;
    assert_int_equal(files->ops->put(files, &one, PANG_STR("{\"a\":1}"), PANG_LAZY, &err), PANG_OK);
    assert_int_equal(files->ops->get(files, &one, 100, arena, &body, &err), PANG_OK);
    assert_true(pang_str_equal(body, PANG_STR("{\"a\":1}")));
    assert_int_equal(files->ops->stat(files, &one, &size, &err), PANG_OK);
    assert_int_equal(size, 7);
    assert_int_equal(files->ops->sync(files, &one, 1, &err), PANG_OK);
    assert_int_equal(files->ops->get(files, &one, 6, arena, &body, &err), PANG_OUT_OF_RANGE);
}

static void test_file__nothing_is_replaced(void **state)
{
    (void)state;
    pang_location one = at("x/once");
    pang_str body;
    assert_int_equal(files->ops->put(files, &one, PANG_STR("first"), PANG_DURABLE, &err), PANG_OK);
    assert_int_equal(files->ops->put(files, &one, PANG_STR("second"), PANG_LAZY, &err),
                     PANG_ALREADY_EXISTS);
    assert_int_equal(files->ops->get(files, &one, 100, arena, &body, &err), PANG_OK);
    assert_true(pang_str_equal(body, PANG_STR("first")));
}

static void test_file__absent_is_not_found_and_remove_is_idempotent(void **state)
{
    (void)state;
    pang_location none = at("no/such"), below_file = at("x/once/below");
    pang_str body;
    int64_t size;
    assert_int_equal(files->ops->get(files, &none, 100, arena, &body, &err), PANG_NOT_FOUND);
    assert_string_equal(err.reason, "NotFoundException");
    assert_true(pang_str_starts(pang_str_from(err.message),
                                PANG_STR("Failed to open input stream for file: file:///tmp/")));
    assert_int_equal(files->ops->stat(files, &below_file, &size, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->remove(files, &none, &err), PANG_OK);
    assert_int_equal(files->ops->sync(files, &none, 1, &err), PANG_OK);
}

static void test_file__links_folders_and_pipes_are_not_files(void **state)
{
    (void)state;
    pang_location link = at("x/link"), folder = at("x"), pipe_at = at("x/pipe");
    char path[256];
    pang_str body;
    int64_t size;
    (void)snprintf(path, sizeof path, "%s/x/link", root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    (void)snprintf(path, sizeof path, "%s/x/pipe", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(files->ops->get(files, &link, 1 << 20, arena, &body, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->stat(files, &link, &size, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->put(files, &link, PANG_STR("x"), PANG_LAZY, &err),
                     PANG_ALREADY_EXISTS);
    assert_int_equal(files->ops->get(files, &folder, 100, arena, &body, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->get(files, &pipe_at, 100, arena, &body, &err), PANG_NOT_FOUND);
}

static void test_file__a_new_table_has_its_folders(void **state)
{
    (void)state;
    pang_location table = at("wh/deep/er/t");
    struct stat about;
    char path[256];
    assert_int_equal(files->ops->prepare_table(files, &table, &err), PANG_OK);
    assert_int_equal(files->ops->prepare_table(files, &table, &err), PANG_OK);
    (void)snprintf(path, sizeof path, "%s/wh/deep/er/t/data", root);
    assert_int_equal(stat(path, &about), 0);
    assert_true(S_ISDIR(about.st_mode));
}

static void test_file__many_lazy_files_sync_at_once(void **state)
{
    (void)state;
    pang_location many[20];
    for (size_t i = 0; i < 20; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "many/%zu", i);
        many[i] = at(name);
        assert_int_equal(files->ops->put(files, &many[i], PANG_STR("x"), PANG_LAZY, &err), PANG_OK);
    }
    many[7] = at("many/gone");
    assert_int_equal(files->ops->sync(files, many, 20, &err), PANG_OK);
}

static void test_file__a_full_disk_leaves_nothing_behind(void **state)
{
    (void)state;
    char small[256], command[600];
    (void)snprintf(small, sizeof small, "%s/small", root);
    assert_int_equal(mkdir(small, 0700), 0);
    if (mount("none", small, "tmpfs", 0, "size=64k") != 0)
        skip(); /* needs root */
    pang_location big = at("small/big"), little = at("small/little");
    char *megabyte = pang_arena_alloc(arena, 1 << 20);
    int64_t size;
    pang_str body = {megabyte, 1 << 20};
    assert_int_equal(files->ops->put(files, &big, body, PANG_LAZY, &err), PANG_RESOURCE_EXHAUSTED);
    assert_int_equal(files->ops->stat(files, &big, &size, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->put(files, &little, PANG_STR("fits"), PANG_LAZY, &err), PANG_OK);
    (void)snprintf(command, sizeof command, "test \"$(ls -A %s)\" = little", small);
    assert_int_equal(system(command), 0);
    assert_int_equal(umount(small), 0);
}

static void test_file__nothing_leads_out_of_the_roots(void **state)
{
    (void)state;
    char path[256];
    pang_str body, outside = PANG_STR("file:///etc/passwd");
    pang_location etc = {
        .text = outside, .scheme = PANG_STR("file"), .path = PANG_STR("etc/passwd")};
    pang_location linked = at("out/passwd"), beside = at("../pang-beside");
    int64_t size;
    (void)snprintf(path, sizeof path, "%s/out", root);
    assert_int_equal(symlink("/etc", path), 0);
    assert_int_equal(files->ops->get(files, &linked, 1 << 20, arena, &body, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->stat(files, &linked, &size, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->put(files, &linked, PANG_STR("x"), PANG_LAZY, &err),
                     PANG_INVALID_ARGUMENT);
    assert_int_equal(files->ops->prepare_table(files, &linked, &err), PANG_INVALID_ARGUMENT);
    assert_int_equal(files->ops->remove(files, &linked, &err), PANG_OK);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    assert_int_equal(files->ops->get(files, &etc, 1 << 20, arena, &body, &err), PANG_NOT_FOUND);
    assert_int_equal(files->ops->put(files, &etc, PANG_STR("x"), PANG_LAZY, &err),
                     PANG_PERMISSION_DENIED);
    assert_int_equal(files->ops->remove(files, &etc, &err), PANG_PERMISSION_DENIED);
    assert_true(files->ops->put(files, &beside, PANG_STR("x"), PANG_LAZY, &err) != PANG_OK);
    assert_false(files->ops->permits(files, &etc));
    assert_true(files->ops->permits(files, &linked));
}

static void test_file__a_root_is_not_a_prefix_of_its_siblings(void **state)
{
    (void)state;
    pang_location inside = at("x"), itself = at("x"), sibling = at("x");
    itself.path.len -= 2;
    sibling.path = pang_arena_printf(arena, "%s-beside/x", root + 1);
    assert_true(files->ops->permits(files, &inside));
    assert_true(files->ops->permits(files, &itself));
    assert_false(files->ops->permits(files, &sibling));
    pang_objects *none;
    const pang_str bad[] = {PANG_STR("relative"), PANG_STR("/proc/no/such")};
    for (size_t i = 0; i < 2; i++) {
        pang_objects_config config = {.file_roots = &bad[i], .n_file_roots = 1};
        assert_int_equal(pang_objects_open(PANG_STR("file"), &config, &none, &err),
                         PANG_FAILED_PRECONDITION);
    }
}

static void test_file__recovery_replaces(void **state)
{
    (void)state;
    pang_location one = at("torn/file"), fresh = at("torn/deep/fresh");
    pang_str body;
    assert_int_equal(files->ops->put(files, &one, PANG_STR("to"), PANG_LAZY, &err), PANG_OK);
    assert_int_equal(files->ops->restore(files, &one, PANG_STR("whole"), &err), PANG_OK);
    assert_int_equal(files->ops->get(files, &one, 100, arena, &body, &err), PANG_OK);
    assert_true(pang_str_equal(body, PANG_STR("whole")));
    assert_int_equal(files->ops->restore(files, &fresh, PANG_STR("new"), &err), PANG_OK);
    assert_int_equal(files->ops->get(files, &fresh, 100, arena, &body, &err), PANG_OK);
    assert_true(pang_str_equal(body, PANG_STR("new")));
}

static void test_file__leftovers_of_a_dead_process_are_passed_over(void **state)
{
    (void)state;
    char path[256];
    pang_location one = at("left/new"), here = at("left/first");
    assert_int_equal(files->ops->put(files, &here, PANG_STR("x"), PANG_LAZY, &err), PANG_OK);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(path, sizeof path, "%s/left/.pangolin-%d-%d.tmp", root, (int)getpid(), i);
        FILE *left = fopen(path, "w");
        assert_non_null(left);
        fclose(left);
    }
    assert_int_equal(files->ops->put(files, &one, PANG_STR("x"), PANG_LAZY, &err), PANG_OK);
}

static void test_objects__unknown_schemes_are_named(void **state)
{
    (void)state;
    pang_objects *none = NULL;
    assert_int_equal(pang_objects_open(PANG_STR("ftp"), &(pang_objects_config){0}, &none, &err),
                     PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "\"ftp\""));
    assert_null(none);
}

typedef struct {
    int n;
    bool found, remove;
} listed;

static bool count_listed(void *arg, const pang_listed *file)
{
    listed *l = arg;
    pang_location all = at("list");
    l->n++;
    assert_true(pang_str_starts(file->location, all.text));
    if (pang_str_ends(file->location, PANG_STR("/list/a/b/two"))) {
        l->found = true;
        assert_int_equal(file->bytes, 3);
        assert_true(file->modified_ms > INT64_C(1500000000000));
    }
    if (l->remove) {
        pang_location one = at("list");
        one.text = file->location;
        one.path = pang_str_after(file->location, strlen("file:///"));
        assert_int_equal(files->ops->remove(files, &one, &err), PANG_OK);
    }
    return l->n < 3;
}

static void test_file__a_list_shows_every_file_below_and_follows_no_link(void **state)
{
    (void)state;
    pang_location all = at("list"), none = at("no/such");
    const char *const names[] = {"list/one", "list/a/b/two", "list/a/.hidden", "listing/other"};
    for (size_t i = 0; i < 4; i++) {
        pang_location one = at(names[i]);
        assert_int_equal(files->ops->put(files, &one, PANG_STR("abc"), PANG_LAZY, &err), PANG_OK);
    }
    char link[128];
    (void)snprintf(link, sizeof link, "%s/list/link", root);
    assert_int_equal(symlink(root, link), 0);
    listed seen = {0};
    assert_int_equal(files->ops->list(files, &all, count_listed, &seen, &err), PANG_OK);
    assert_int_equal(seen.n, 3);
    assert_true(seen.found);
    listed removed = {.remove = true}, rest = {0};
    assert_int_equal(files->ops->list(files, &all, count_listed, &removed, &err), PANG_OK);
    assert_int_equal(files->ops->list(files, &all, count_listed, &rest, &err), PANG_OK);
    assert_int_equal(rest.n, 0);
    assert_int_equal(files->ops->list(files, &none, count_listed, &rest, &err), PANG_OK);
    assert_int_equal(rest.n, 0);
    pang_location outside = {.text = PANG_STR("file:///etc"),
                             .scheme = PANG_STR("file"),
                             .path = PANG_STR("etc"),
                             .canonical = PANG_STR("file:///etc")};
    assert_int_equal(files->ops->list(files, &outside, count_listed, &rest, &err),
                     PANG_PERMISSION_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file__put_creates_folders_and_get_gives_back),
        cmocka_unit_test(test_file__a_list_shows_every_file_below_and_follows_no_link),
        cmocka_unit_test(test_file__nothing_is_replaced),
        cmocka_unit_test(test_file__absent_is_not_found_and_remove_is_idempotent),
        cmocka_unit_test(test_file__links_folders_and_pipes_are_not_files),
        cmocka_unit_test(test_file__a_new_table_has_its_folders),
        cmocka_unit_test(test_file__many_lazy_files_sync_at_once),
        cmocka_unit_test(test_file__a_full_disk_leaves_nothing_behind),
        cmocka_unit_test(test_file__nothing_leads_out_of_the_roots),
        cmocka_unit_test(test_file__a_root_is_not_a_prefix_of_its_siblings),
        cmocka_unit_test(test_file__recovery_replaces),
        cmocka_unit_test(test_file__leftovers_of_a_dead_process_are_passed_over),
        cmocka_unit_test(test_objects__unknown_schemes_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
