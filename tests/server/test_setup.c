/*
 * server/setup.h: urls, places and ids.
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

#include "server/setup.h"

enum { WORDS_MAX = 8 };

/* A server's configuration from flags, ended by NULL. */
static pang_config *configure(const char *const *flags)
{
    const char *argv[WORDS_MAX + 1] = {"server"};
    pang_config *config;
    int argc = 1;
    for (; *flags != NULL; flags++)
        argv[argc++] = *flags;
    pang_config_sources sources = {PANG_PROGRAM_SERVER, argc, (char *const *)argv, NULL};
    assert_int_equal(pang_config_load(&sources, &config, NULL), PANG_OK);
    return config;
}

static void test_url__is_made_whole(void **state)
{
    (void)state;
    static const struct {
        const char *type, *url, *whole; /* whole NULL: refused */
    } cases[] = {
        {"auto", "", "sqlite:/data/pangolin.db"},
        {"sqlite", "", "sqlite:/data/pangolin.db"},
        {"memory", "", "memory:"},
        {"auto", "memory:", "memory:"},
        {"auto", "catalog.db", "sqlite:catalog.db"},
        {"auto", "/srv/catalog.sqlite", "sqlite:/srv/catalog.sqlite"},
        {"auto", "sqlite:///srv/c.db", "sqlite:///srv/c.db"},
        {"auto", "postgres://u:p@h/d", "postgres://u:p@h/d"},
        {"auto", "postgresql://u:p@h/d", "postgres://u:p@h/d"},
        {"postgresql", "postgres://h/d", "postgres://h/d"},
        {"auto", "mongodb+srv://h/d", "mongodb+srv://h/d"},
        {"mongo", "mongodb://h/d", "mongodb://h/d"},
        {"postgres", "", NULL},
        {"mongodb", "", NULL},
        {"sqlite", "postgres://h/d", NULL},
        {"postgres", "mongodb://h/d", NULL},
        {"auto", "mysql://secret@h/d", NULL},
        {"auto", "catalog", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_arena *arena = pang_arena_new(1 << 16);
        pang_config *config = configure((const char *const[]){
            "--storage-type", cases[i].type, "--database-url", cases[i].url, NULL});
        pang_err err = {0};
        pang_str url;
        pang_code code = pang_setup_store_url(config, PANG_STR("/data"), arena, &url, &err);
        assert_int_equal(code, cases[i].whole == NULL ? PANG_INVALID_ARGUMENT : PANG_OK);
        if (code == PANG_OK && !pang_str_equal(url, pang_str_from(cases[i].whole)))
            fail_msg("case %zu: %" PANG_STR_FMT, i, PANG_STR_ARG(url));
        assert_null(strstr(err.message, "secret"));
        pang_config_free(config);
        pang_arena_free(arena);
    }
}

static void test_places__are_absolute_and_the_folder_is_made(void **state)
{
    (void)state;
    char folder[] = "/tmp/pang-setup-XXXXXX", data[64], id_path[96];
    struct stat at;
    pang_places places;
    pang_id first, again;
    pang_err err;
    pang_arena *arena = pang_arena_new(1 << 16);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(data, sizeof data, "%s/./var", folder);
    pang_config *config = configure((const char *const[]){"--data-dir", data, NULL});
    assert_int_equal(pang_setup_places(config, arena, &places, &err), PANG_OK);
    assert_int_equal(places.data.len, strlen(folder) + 4);
    assert_true(pang_str_ends(places.socket, PANG_STR("/var/run/core.sock")));
    assert_true(pang_str_ends(places.lock, PANG_STR("/var/run/server.lock")));
    assert_true(pang_str_ends(places.warehouse, PANG_STR("/var/warehouse")));
    assert_int_equal(stat(data, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0710);

    assert_int_equal(pang_setup_server_id(places.data, &pang_env_system, &first, &err), PANG_OK);
    assert_int_equal(pang_setup_server_id(places.data, &pang_env_system, &again, &err), PANG_OK);
    assert_true(pang_id_equal(first, again));
    (void)snprintf(id_path, sizeof id_path, "%s/server.id", data);
    assert_int_equal(stat(id_path, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0600);
    assert_int_equal(truncate(id_path, 5), 0);
    assert_int_equal(pang_setup_server_id(places.data, &pang_env_system, &again, &err),
                     PANG_DATA_LOSS);
    (void)unlink(id_path);
    assert_int_equal(rmdir(data), 0);
    assert_int_equal(rmdir(folder), 0);
    pang_config_free(config);
    pang_arena_free(arena);
}

static void test_uids__are_numbers(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 16);
    pang_config *config = configure((const char *const[]){"--allowed-uids", "0, 65534", NULL});
    const uid_t *uids;
    size_t n;
    assert_int_equal(pang_setup_uids(config, arena, &uids, &n, NULL), PANG_OK);
    assert_int_equal(n, 2);
    assert_int_equal(uids[0], 0);
    assert_int_equal(uids[1], 65534);
    pang_config_free(config);
    static const char *const bad[] = {"root", "-1", "4294967295", "1x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        config = configure((const char *const[]){"--allowed-uids", bad[i], NULL});
        assert_int_equal(pang_setup_uids(config, arena, &uids, &n, NULL), PANG_INVALID_ARGUMENT);
        pang_config_free(config);
    }
    pang_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__is_made_whole),
        cmocka_unit_test(test_places__are_absolute_and_the_folder_is_made),
        cmocka_unit_test(test_uids__are_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
