/*
 * The conformance suite of api/storage.h: one suite, every backend, nothing skipped.
 * Called by a test program per backend (tests/storage/BUILD: storage_conformance), or by one that
 * starts a database server first and then calls pang_conformance.
 *
 * The rest of this header is for the suite's own files: a `world` is two clients of one store and
 * a scope of fresh keys, so that tests neither see each other nor need an empty database. A
 * `draft` is a commit with room for its parts. Threads: cmocka's asserts are for the first thread
 * only, the others keep what went wrong for it.
 */
#ifndef PANG_TESTS_STORAGE_CONFORMANCE_H
#define PANG_TESTS_STORAGE_CONFORMANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/storage.h"

/* Runs the suite over `url` and returns the number of failed tests. What the url names is migrated
 * and filled with records under random scopes. */
int pang_conformance(const char *url);

enum { SCOPE_TEXT = PANG_ID_HEX, DRAFT_MAX = 128 };

typedef struct {
    const char *url;
    /* Two stores open on one url, or, where only one process may hold it, the same twice. */
    pang_store *store[2];
    pang_arena *arena; /* reset after each test */
    char scope[SCOPE_TEXT + 1];
    bool is_lasting; /* false: "memory:", gone when closed */
    bool is_shared;  /* store[0] != store[1] */
    char doing[64];  /* printed when the test ends before it is cleared */
} world;

typedef struct {
    pang_commit c;
    pang_check checks[DRAFT_MAX];
    pang_put puts[DRAFT_MAX];
    pang_str deletes[DRAFT_MAX];
    pang_str appends[PANG_APPENDS_MAX];
    pang_add adds[DRAFT_MAX];
} draft;

/* The key <scope>/<name>; in the world's arena. */
pang_str key_of(world *w, const char *fmt, ...) PANG_PRINTF(2, 3);
/* Opens both clients; they stay until world_close. Asserts. */
void world_open(world *w);
void world_close(world *w);
/* Changes to a scope nobody has used. */
void world_new_scope(world *w);

/* An empty commit with a fresh id; in the world's arena. */
draft *draft_new(world *w);
pang_put *draft_put(draft *d, pang_str key, pang_str body);
void draft_check(draft *d, pang_str key, uint64_t version);
void draft_check_counter(draft *d, pang_str key, int64_t value);
void draft_delete(draft *d, pang_str key);
int draft_append(draft *d, pang_str sequence);
void draft_add(draft *d, pang_str counter, int64_t amount);
/* Sends it through a client. An outcome other than the four is asserted against. */
pang_outcome draft_send(world *w, int client, draft *d);
/* The same with the outcome that is expected, or the test fails with the store's message. */
void must_send(world *w, int client, draft *d, pang_outcome expected);
/* Puts one record and returns its version. */
uint64_t put_one(world *w, pang_str key, pang_str body);

/* One record through a client; asserts that the read went well. */
pang_record get_one(world *w, int client, pang_str key);
pang_record get_ceiling(world *w, int client, pang_str key, size_t prefix_len);
/* Rows of a scan, copied into the world's arena. */
typedef struct {
    pang_record *rows;
    size_t n;
} row_list;
row_list scan_rows(world *w, int client, pang_query query);

/* The parts of the suite. */
extern const struct CMUnitTest read_tests[], commit_tests[], limit_tests[], race_tests[],
    thread_tests[], lasting_tests[];
extern const size_t n_read_tests, n_commit_tests, n_limit_tests, n_race_tests, n_thread_tests,
    n_lasting_tests;

#define PANG_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
