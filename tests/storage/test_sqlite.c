/*
 * The SQLite backend's own promises: who may open what, what is left behind, what a full disk and a
 * kill do. What it shares with other backends is in the conformance suite.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/storage/sqlite_history.h"

static void must_open(history *h)
{
    pang_err err = {0};
    if (history_open(h, true, &err) != PANG_OK)
        fail_msg("%s: %s", err.message, err.detail);
}

static void must_commit(history *h, uint64_t landed, size_t n)
{
    pang_err err = {0};
    if (history_commit(h, landed, n, &err) != PANG_COMMIT_OK)
        fail_msg("%s: %s", err.message, err.detail);
}

/* Runs SQL behind the store's back. REQUIRES: it is closed. */
static int64_t run_sql(const history *h, const char *text)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    int64_t number = -1;
    assert_int_equal(sqlite3_open(h->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
    if (sqlite3_step(st) == SQLITE_ROW)
        number = sqlite3_column_int64(st, 0);
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- opening ---- */

static void sqlite_open__takes_urls_and_paths(void **state)
{
    (void)state;
    history h;
    history_begin(&h, "url.db");
    const struct {
        const char *before;
        pang_code code;
    } cases[] = {{"sqlite:", PANG_OK}, {"sqlite://", PANG_OK}};
    for (size_t i = 0; i < 2; i++) {
        char url[600];
        (void)snprintf(url, sizeof url, "%s%s", cases[i].before, h.path);
        pang_store_config config = {.url = pang_str_from(url), .env = h.env};
        pang_err err = {0};
        assert_int_equal(pang_store_open(&config, &h.store, &err), cases[i].code);
        assert_int_equal(pang_store_migrate(h.store, &err), PANG_OK);
        assert_int_equal(history_landed(&h), i);
        must_commit(&h, i, 1);
        history_close(&h);
    }
    static const char *const wrong[] = {"sqlite:", "sqlite://", "sqlite:/tmp/",
                                        "sqlite:/no/such/folder/x.db"};
    for (size_t i = 0; i < 4; i++) {
        pang_store_config config = {.url = pang_str_from(wrong[i]), .env = h.env};
        pang_err err = {0};
        assert_int_equal(pang_store_open(&config, &h.store, &err),
                         i == 3 ? PANG_FAILED_PRECONDITION : PANG_INVALID_ARGUMENT);
    }
    history_end(&h);
}

static void sqlite_open__creates_no_tables_and_says_so(void **state)
{
    (void)state;
    history h;
    pang_err err = {0};
    history_begin(&h, "bare.db");
    assert_int_equal(history_open(&h, false, &err), PANG_OK);
    struct stat info;
    assert_int_equal(stat(h.path, &info), -1);
    pang_ref ref = {.key = PANG_STR("k")};
    pang_record r;
    assert_int_equal(pang_store_get(h.store, &ref, 1, PANG_NO_DEADLINE, h.arena, &r, &err),
                     PANG_FAILED_PRECONDITION);
    assert_int_equal(pang_store_ping(h.store, PANG_NO_DEADLINE, &err), PANG_FAILED_PRECONDITION);
    assert_int_equal(history_commit(&h, 0, 2, &err), PANG_COMMIT_FAILED);
    assert_int_equal(err.code, PANG_FAILED_PRECONDITION);
    assert_int_equal(pang_store_migrate(h.store, &err), PANG_OK);
    must_commit(&h, 0, 2);
    assert_int_equal(stat(h.path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    history_end(&h);
}

static void sqlite_open__refuses_a_second_process(void **state)
{
    (void)state;
    history h;
    history_begin(&h, "held.db");
    must_open(&h);
    must_commit(&h, 0, 1);
    char link_path[600];
    (void)snprintf(link_path, sizeof link_path, "%s.link", h.path);
    (void)unlink(link_path);
    assert_int_equal(symlink(h.path, link_path), 0);
    const char *const paths[] = {h.path, link_path}; /* another name for it is no way around */
    for (size_t i = 0; i < 2; i++) {
        history other = {.env = h.env};
        (void)snprintf(other.path, sizeof other.path, "%s", paths[i]);
        pang_err err = {0};
        assert_int_equal(history_open(&other, true, &err), PANG_FAILED_PRECONDITION);
        assert_non_null(strstr(err.message, "held.db"));
        assert_non_null(strstr(err.message, "held by another"));
    }
    must_commit(&h, 1, 1);
    history_close(&h);
    must_open(&h);
    assert_int_equal(history_landed(&h), 2);
    (void)unlink(link_path);
    history_end(&h);
}

static void sqlite_open__refuses_what_it_does_not_know(void **state)
{
    (void)state;
    history h;
    static const struct {
        const char *sql, *says;
    } cases[] = {
        {"UPDATE meta SET value=2 WHERE name='schema'", "newer"},
        {"UPDATE meta SET value=9223372036854775807 WHERE name='schema'", "newer"},
        {"DELETE FROM meta WHERE name='schema'", "another program"},
        {"DROP TABLE records", "another program"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        history_begin(&h, "odd.db");
        must_open(&h);
        history_close(&h);
        (void)run_sql(&h, cases[i].sql);
        pang_err err = {0};
        assert_int_equal(history_open(&h, true, &err), PANG_FAILED_PRECONDITION);
        if (strstr(err.message, cases[i].says) == NULL)
            fail_msg("%s", err.message);
        history_end(&h);
    }
}

/* Overwrites len bytes at `at`; a negative place counts from the end. */
static void spoil(const history *h, long at, size_t len)
{
    FILE *file = fopen(h->path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    for (size_t i = 0; i < len; i++)
        (void)fputc((int)(i * 31 % 251), file);
    assert_int_equal(fclose(file), 0);
}

static void sqlite_open__a_broken_file_is_an_answer(void **state)
{
    (void)state;
    history h;
    pang_err err = {0};
    history_begin(&h, "broken.db");
    must_open(&h);
    for (uint64_t i = 0; i < 60; i++)
        must_commit(&h, i, 1);
    history_close(&h);
    for (long at = 4096; at < 12 * 4096; at += 4096)
        spoil(&h, at, 4096);
    pang_code code = history_open(&h, true, &err);
    if (code == PANG_OK) {
        pang_ref ref = {.key = PANG_STR("t/1/05")};
        pang_record r;
        code = pang_store_get(h.store, &ref, 1, PANG_NO_DEADLINE, h.arena, &r, &err);
    }
    assert_int_equal(code, PANG_DATA_LOSS);
    if (h.store != NULL) {
        assert_int_equal(history_commit(&h, 60, 1, &err), PANG_COMMIT_FAILED);
        assert_int_equal(err.code, PANG_DATA_LOSS);
        history_close(&h);
    }
    spoil(&h, 0, 100);
    assert_int_equal(history_open(&h, true, &err), PANG_DATA_LOSS);
    history_end(&h);
}

/* ---- what is left behind ---- */

static void sqlite_apply__sweeps_what_has_expired(void **state)
{
    (void)state;
    history h;
    history_begin(&h, "sweep.db");
    pang_env_fixed clock = {.wall_ms = 1700000000000, .seed = 1};
    pang_env env = pang_env_from_fixed(&clock);
    h.env = &env;
    must_open(&h);
    for (uint64_t i = 0; i < 200; i++) /* each leaves an id that expires */
        must_commit(&h, i, 1);
    clock.wall_ms += PANG_COMMIT_ID_LIFE_MS + 1;
    for (uint64_t i = 0; i < 40; i++)
        must_commit(&h, 200 + i, 1);
    assert_int_equal(history_landed(&h), 240);
    history_close(&h);
    assert_int_equal(run_sql(&h, "SELECT count(*) FROM records WHERE expires_ms>0"), 40);
    assert_int_equal(run_sql(&h, "SELECT count(*) FROM records WHERE expires_ms=0"), 98);
    history_end(&h);
}

static void sqlite_apply__keeps_the_log_short(void **state)
{
    (void)state;
    history h;
    history_begin(&h, "log.db");
    must_open(&h);
    char name[600];
    (void)snprintf(name, sizeof name, "%s-wal", h.path);
    struct stat info;
    off_t longest = 0;
    uint64_t landed = 0;
    for (; landed < 8000; landed += 8) { /* some 100 MiB of log */
        must_commit(&h, landed, 8);
        assert_int_equal(stat(name, &info), 0);
        longest = info.st_size > longest ? info.st_size : longest;
    }
    assert_int_equal(history_landed(&h), landed);
    if (longest > 40 << 20)
        fail_msg("the log grew to %lld bytes", (long long)longest);
    history_end(&h);
}

static void sqlite_apply__versions_go_on_above_those_before_a_crash(void **state)
{
    (void)state;
    history h;
    pang_ref ref = {.key = PANG_STR("t/s")};
    pang_record r;
    pang_err err = {0};
    uint64_t last = 0;
    history_begin(&h, "versions.db");
    for (uint64_t round = 0; round < 4; round++) {
        pid_t child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0) {
            bool done = history_open(&h, true, &err) == PANG_OK &&
                        history_commit(&h, round, 1, &err) == PANG_COMMIT_OK;
            _exit(done ? 0 : 1); /* without closing */
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        must_open(&h);
        assert_int_equal(pang_store_get(h.store, &ref, 1, PANG_NO_DEADLINE, h.arena, &r, &err),
                         PANG_OK);
        assert_true(r.version > last);
        last = r.version;
        history_close(&h);
    }
    history_end(&h);
}

/* ---- readers ---- */

typedef struct {
    pang_store *store;
    pthread_barrier_t *held;
    int64_t deadline_ms;
    pang_code code;
} scanner;

static pang_row_fn hold_row;
static bool hold_row(void *arg, const pang_record *row)
{
    (void)row;
    scanner *s = arg;
    (void)pthread_barrier_wait(s->held);
    (void)pthread_barrier_wait(s->held);
    return false;
}

static void *hold_a_reader(void *arg)
{
    scanner *s = arg;
    pang_query q = {.prefix = PANG_STR("t/"), .limit = 10};
    pang_err err = {0};
    s->code = pang_store_scan(s->store, &q, PANG_NO_DEADLINE, hold_row, s, &err);
    return NULL;
}

static void sqlite_get__waits_for_a_connection_until_the_deadline(void **state)
{
    (void)state;
    history h;
    history_begin(&h, "pool.db");
    must_open(&h);
    must_commit(&h, 0, 4);
    history_close(&h);
    char url[600];
    (void)snprintf(url, sizeof url, "sqlite:%s", h.path);
    pang_store_config config = {.url = pang_str_from(url), .env = h.env, .connections = 1};
    pang_err err = {0};
    assert_int_equal(pang_store_open(&config, &h.store, &err), PANG_OK);
    pthread_barrier_t held;
    (void)pthread_barrier_init(&held, NULL, 2);
    scanner s = {.store = h.store, .held = &held, .code = PANG_UNKNOWN};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hold_a_reader, &s), 0);
    (void)pthread_barrier_wait(&held);
    pang_ref ref = {.key = PANG_STR("t/s")};
    pang_record r;
    int64_t begin = pang_env_mono_ms(h.env);
    assert_int_equal(pang_store_get(h.store, &ref, 1, begin + 60, h.arena, &r, &err),
                     PANG_DEADLINE_EXCEEDED);
    assert_in_range(pang_env_mono_ms(h.env) - begin, 55, 5000);
    must_commit(&h, 4, 1); /* no reader holds up the writer */
    (void)pthread_barrier_wait(&held);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.code, PANG_OK);
    assert_int_equal(history_landed(&h), 5);
    (void)pthread_barrier_destroy(&held);
    history_end(&h);
}

static pang_row_fn dawdle;
static bool dawdle(void *arg, const pang_record *row)
{
    (void)row;
    ++*(int *)arg;
    sleep_ms(10);
    return true;
}

static void sqlite_scan__stops_at_the_deadline(void **state)
{
    (void)state;
    history h;
    history_begin(&h, "slow.db");
    must_open(&h);
    for (uint64_t i = 0; i < 48; i += 8)
        must_commit(&h, i, 8);
    int rows = 0;
    pang_err err = {0};
    pang_query q = {.prefix = PANG_STR("t/"), .limit = PANG_SCAN_MAX};
    assert_int_equal(
        pang_store_scan(h.store, &q, pang_env_mono_ms(h.env) + 50, dawdle, &rows, &err),
        PANG_DEADLINE_EXCEEDED);
    assert_in_range(rows, 1, 20);
    assert_int_equal(history_landed(&h), 48);
    history_end(&h);
}

/* ---- a full disk ---- */

static void put_ballast(const char *path, off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, size), 0);
    assert_int_equal(close(fd), 0);
}

static void sqlite_apply__a_full_disk_loses_nothing_and_passes(void **state)
{
    (void)state;
    history h;
    history_begin(&h, "full");
    char ballast[600];
    (void)snprintf(ballast, sizeof ballast, "%s/ballast", h.path);
    (void)mkdir(h.path, 0700);
    /* In a mount table of our own, which ends with the process. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", h.path, "tmpfs", 0, "size=4m") != 0) {
        pang_arena_free(h.arena);
        print_message("no right to mount a small file system: %s\n", strerror(errno));
        skip();
    }
    char folder[512];
    (void)snprintf(folder, sizeof folder, "%s", h.path);
    (void)snprintf(h.path + strlen(h.path), 16, "/full.db");
    must_open(&h);
    uint64_t landed = 0;
    for (int round = 0; round < 10; round++) {
        put_ballast(ballast, 2 << 20);
        pang_err err = {0};
        int tries = 0;
        while (history_commit(&h, landed, 4, &err) == PANG_COMMIT_OK && ++tries < 1000)
            landed += 4;
        assert_int_equal(err.code, PANG_RESOURCE_EXHAUSTED);
        assert_int_equal(history_landed(&h), landed);
        assert_int_equal(history_commit(&h, landed, 8, &err), PANG_COMMIT_FAILED);
        assert_int_equal(unlink(ballast), 0);
        must_commit(&h, landed++, 1);
        assert_int_equal(history_landed(&h), landed);
        history_close(&h); /* folds the log away, so that the next round has room */
        must_open(&h);
        assert_int_equal(history_landed(&h), landed);
    }
    history_end(&h);
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

/* ---- kill -9 ---- */

enum { KILLS = 20 };

static void commit_for_ever(history *h, int to)
{
    pang_err err = {0};
    if (history_open(h, true, &err) != PANG_OK)
        _exit(2);
    uint64_t landed = history_landed(h);
    for (uint64_t i = 0;; i++) {
        size_t n = (size_t)(i % 4 + 1);
        if (history_commit(h, landed, n, &err) != PANG_COMMIT_OK)
            _exit(3);
        landed += n;
        if (write(to, &landed, sizeof landed) != sizeof landed)
            _exit(4);
    }
}

static void sqlite_apply__acknowledged_commits_survive_kill_9(void **state)
{
    (void)state;
    history h;
    uint64_t acked = 0, first_acked = 0;
    unsigned dice = (unsigned)time(NULL);
    print_message("seed %u\n", dice);
    history_begin(&h, "kill.db");
    for (int round = 0; round < KILLS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0) {
            (void)close(ends[0]);
            commit_for_ever(&h, ends[1]);
        }
        (void)close(ends[1]);
        uint64_t number = 0;
        assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
        first_acked = number;
        sleep_ms(rand_r(&dice) % 100);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        acked = number;
        while (read(ends[0], &number, sizeof number) == sizeof number)
            acked = number;
        (void)close(ends[0]);
        must_open(&h);
        uint64_t landed = history_landed(&h);
        assert_in_range(landed, acked, acked + 4); /* the group under way may have landed */
        assert_true(acked >= first_acked);
        history_close(&h);
    }
    print_message("%d kills, %llu commits\n", KILLS, (unsigned long long)acked);
    assert_int_equal(run_sql(&h, "SELECT count(*) FROM pragma_integrity_check "
                                 "WHERE integrity_check<>'ok'"),
                     0);
    history_end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqlite_open__takes_urls_and_paths),
        cmocka_unit_test(sqlite_open__creates_no_tables_and_says_so),
        cmocka_unit_test(sqlite_open__refuses_a_second_process),
        cmocka_unit_test(sqlite_open__refuses_what_it_does_not_know),
        cmocka_unit_test(sqlite_open__a_broken_file_is_an_answer),
        cmocka_unit_test(sqlite_apply__sweeps_what_has_expired),
        cmocka_unit_test(sqlite_apply__keeps_the_log_short),
        cmocka_unit_test(sqlite_apply__versions_go_on_above_those_before_a_crash),
        cmocka_unit_test(sqlite_get__waits_for_a_connection_until_the_deadline),
        cmocka_unit_test(sqlite_scan__stops_at_the_deadline),
        cmocka_unit_test(sqlite_apply__a_full_disk_loses_nothing_and_passes),
        cmocka_unit_test(sqlite_apply__acknowledged_commits_survive_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
