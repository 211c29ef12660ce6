/*
 * Many at once on a catalog's branches, with a checked history: writers of the same and of
 * different tables on several branches, mergers between them, makers of branches that rebase them,
 * and a watcher. No acknowledged commit may be missing, doubled or out of order, in the logs or to
 * the watcher; what was acknowledged on the source before a merge began is on the target after it,
 * and the same of a branch that is made.
 *
 * Every write gives a table a property of its own name, so no two ever conflict. PANG_ROUNDS says
 * how many each thread makes.
 */
#include "tests/server/catalog_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "tests/versions/url.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/commit.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"

enum {
    BRANCHES = 3,
    TABLES = 6,
    WRITERS = 4,
    MERGERS = 2,
    MAKERS = 2,
    ROUNDS = 25,
    ROUNDS_LONG = 400,
    WRITES_MAX = WRITERS * ROUNDS_LONG + MAKERS * ROUNDS_LONG,
    COMMITS_MAX = WRITES_MAX * 3 + 64,
    ARENA_BYTES = 256 << 20,
};

static const char *const branches[BRANCHES] = {"main", "d1", "d2"};
static const char *the_url;

/* An acknowledged write. */
typedef struct {
    int branch; /* -1: of a maker's own */
    int table;
    char key[32], commit[40];
} write_row;

typedef struct {
    char id[40], branch[32];
    int64_t sequence;
} commit_row;

typedef struct {
    fixture *fx;
    unsigned rounds;
    pthread_mutex_t lock; /* of what follows */
    write_row *writes;
    size_t n_writes;
    char merges[WRITES_MAX][40];
    size_t n_merges;
    _Atomic bool over;
    commit_row *watched;
    size_t n_watched;
    char failure[1024];
} shared;

typedef struct {
    shared *s;
    pang_arena *arena;
    pang_err err;
    unsigned number, chance;
} worker;

/* ---- little things ---- */

static unsigned dice(worker *w, unsigned n)
{
    w->chance = w->chance * 1103515245 + 12345;
    return (w->chance >> 16) % n;
}

static void fail_with(worker *w, const char *what, const char *why)
{
    pthread_mutex_lock(&w->s->lock);
    if (w->s->failure[0] == '\0')
        (void)snprintf(w->s->failure, sizeof w->s->failure, "%s: %s", what, why);
    pthread_mutex_unlock(&w->s->lock);
}

static bool is_over(worker *w)
{
    pthread_mutex_lock(&w->s->lock);
    bool over = w->s->failure[0] != '\0';
    pthread_mutex_unlock(&w->s->lock);
    return over;
}

static bool call(worker *w, const char *method, const void *in, void *out)
{
    unsigned runs;
    pang_str keep;
    pang_code code = fx_call_in(w->s->fx, w->arena, method, in, out, &runs, &keep, &w->err);
    if (code != PANG_OK)
        fail_with(w, method, w->err.message);
    return code == PANG_OK;
}

static size_t count_writes(worker *w)
{
    pthread_mutex_lock(&w->s->lock);
    size_t n = w->s->n_writes;
    pthread_mutex_unlock(&w->s->lock);
    return n;
}

static void add_write(worker *w, const write_row *row)
{
    pthread_mutex_lock(&w->s->lock);
    w->s->writes[w->s->n_writes++] = *row;
    pthread_mutex_unlock(&w->s->lock);
}

static char *text(worker *w, const char *fmt, ...) PANG_PRINTF(2, 3);
static char *text(worker *w, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    return pang_arena_cstr(w->arena, pang_str_from(line));
}

static char **the_namespace(worker *w)
{
    char **levels = pang_arena_alloc(w->arena, sizeof *levels);
    levels[0] = TEXT("ns");
    return levels;
}

/* ---- calls ---- */

static bool write_key(worker *w, const char *ref, write_row *row)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    in.prefix = text(w, "demo@%s", ref);
    in.namespace_ = the_namespace(w);
    in.n_namespace_ = 1;
    in.table = text(w, "t%d", row->table);
    in.requirements = fx_bytes("[]");
    in.updates = fx_bytes(
        text(w, "[{\"action\":\"set-properties\",\"updates\":{\"%s\":\"1\"}}]", row->key));
    if (!call(w, "CommitTable", &in, &out))
        return false;
    pang_id commit = fx_commit_of_thread();
    if (pang_id_is_nil(commit))
        fail_with(w, "no commit's id came with", row->key);
    pang_id_text(commit, row->commit);
    return true;
}

static pang_json *properties_of(worker *w, const char *ref, int table)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    Pangolin__V1__LoadTableResponse out;
    pang_json *document;
    in.prefix = text(w, "demo@%s", ref);
    in.namespace_ = the_namespace(w);
    in.n_namespace_ = 1;
    in.table = text(w, "t%d", table);
    if (!call(w, "LoadTable", &in, &out) ||
        pang_json_parse(pang_str_of(out.metadata), w->arena, &document, &w->err) != PANG_OK)
        return NULL;
    return pang_json_get(document, "properties");
}

/* All that was acknowledged on a branch among the first n writes is at the ref. */
static void check_has(worker *w, const char *ref, int branch, size_t n, const char *after)
{
    for (int table = 0; table < TABLES; table++) {
        const pang_json *properties = properties_of(w, ref, table);
        for (size_t i = 0; i < n && !is_over(w); i++) {
            pthread_mutex_lock(&w->s->lock);
            write_row row = w->s->writes[i];
            pthread_mutex_unlock(&w->s->lock);
            if (row.table == table && (branch < 0 || row.branch == branch) &&
                pang_json_get(properties, row.key) == NULL)
                fail_with(w, text(w, "%s: t%d of %s lacks", after, table, ref), row.key);
        }
    }
}

/* ---- who does what ---- */

static void *write_on(void *arg)
{
    worker *w = arg;
    for (unsigned i = 0; i < w->s->rounds && !is_over(w); i++) {
        write_row row = {.branch = (int)dice(w, BRANCHES), .table = (int)dice(w, TABLES)};
        (void)snprintf(row.key, sizeof row.key, "w%u-%u", w->number, i);
        if (write_key(w, branches[row.branch], &row))
            add_write(w, &row);
        pang_arena_reset(w->arena);
    }
    return NULL;
}

static void merge_into(worker *w, const char *source, int from, const char *target)
{
    Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    Pangolin__V1__MergeBranchesResponse out;
    size_t before = count_writes(w);
    in.catalog = TEXT("demo");
    in.source_branch = TEXT(source);
    in.target_branch = TEXT(target);
    if (!call(w, "MergeBranches", &in, &out))
        return;
    const char *what = text(w, "merge of %s into %s", source, target);
    if (out.conflicted != NULL) {
        fail_with(w, what, out.conflicted->message);
        return;
    }
    pthread_mutex_lock(&w->s->lock);
    (void)snprintf(w->s->merges[w->s->n_merges++], sizeof w->s->merges[0], "%s",
                   out.operation->result_commit_id);
    pthread_mutex_unlock(&w->s->lock);
    if (from >= 0)
        check_has(w, target, from, before, what);
}

static void *merge_on(void *arg)
{
    worker *w = arg;
    for (unsigned i = 0; i < w->s->rounds && !is_over(w); i++) {
        unsigned from = dice(w, BRANCHES), into = dice(w, BRANCHES);
        if (from != into)
            merge_into(w, branches[from], (int)from, branches[into]);
        pang_arena_reset(w->arena);
    }
    return NULL;
}

static bool make_branch(worker *w, const char *name, const char *from)
{
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out;
    in.catalog = TEXT("demo");
    in.name = TEXT(name);
    in.from = TEXT(from);
    in.branch_type = TEXT("ingest");
    return call(w, "CreateBranch", &in, &out);
}

static bool rebase(worker *w, const char *name)
{
    Pangolin__V1__RebaseBranchRequest in = PANGOLIN__V1__REBASE_BRANCH_REQUEST__INIT;
    Pangolin__V1__RebaseBranchResponse out;
    in.catalog = TEXT("demo");
    in.name = TEXT(name);
    if (!call(w, "RebaseBranch", &in, &out))
        return false;
    if (out.conflicted != NULL)
        fail_with(w, text(w, "rebase of %s", name), out.conflicted->message);
    return out.conflicted == NULL;
}

static bool delete_branch(worker *w, const char *name)
{
    Pangolin__V1__DeleteBranchRequest in = PANGOLIN__V1__DELETE_BRANCH_REQUEST__INIT;
    Pangolin__V1__DeleteBranchResponse out;
    in.catalog = TEXT("demo");
    in.name = TEXT(name);
    return call(w, "DeleteBranch", &in, &out);
}

/* A branch is made, written to, rebased, merged, deleted. */
static void live_once(worker *w, unsigned round)
{
    int from = (int)dice(w, BRANCHES);
    const char *name = text(w, "f%u-%u", w->number, round);
    write_row own = {.branch = from, .table = (int)dice(w, TABLES)};
    size_t before = count_writes(w);
    (void)snprintf(own.key, sizeof own.key, "m%u-%u", w->number, round);
    if (!make_branch(w, name, branches[from]))
        return;
    check_has(w, name, from, before, "a new branch");
    if (!write_key(w, name, &own))
        return;
    before = count_writes(w);
    if (!rebase(w, name))
        return;
    check_has(w, name, from, before, "a rebase");
    if (pang_json_get(properties_of(w, name, own.table), own.key) == NULL)
        fail_with(w, "a rebase lost", own.key);
    merge_into(w, name, -1, branches[from]);
    if (pang_json_get(properties_of(w, branches[from], own.table), own.key) == NULL)
        fail_with(w, "a merge lost", own.key);
    own.commit[0] = '\0'; /* its commit is on a branch that is gone */
    add_write(w, &own);
    (void)delete_branch(w, name);
}

static void *make_on(void *arg)
{
    worker *w = arg;
    for (unsigned i = 0; i < w->s->rounds && !is_over(w); i++) {
        live_once(w, i);
        pang_arena_reset(w->arena);
    }
    return NULL;
}

/* Asks for what comes after what it saw. */
static bool watch_once(worker *w, int64_t *after, bool *ret_any)
{
    Pangolin__V1__PollCommitsRequest in = PANGOLIN__V1__POLL_COMMITS_REQUEST__INIT;
    Pangolin__V1__PollCommitsResponse out;
    in.catalog = TEXT("demo");
    in._after_case = PANGOLIN__V1__POLL_COMMITS_REQUEST___AFTER_AFTER;
    in.after = *after;
    in.page_size = 7;
    if (!call(w, "PollCommits", &in, &out))
        return false;
    for (size_t i = 0; i < out.n_commits && w->s->n_watched < COMMITS_MAX; i++) {
        commit_row *row = &w->s->watched[w->s->n_watched++];
        row->sequence = out.commits[i]->sequence;
        (void)snprintf(row->id, sizeof row->id, "%s", out.commits[i]->id);
        (void)snprintf(row->branch, sizeof row->branch, "%s", out.commits[i]->branch);
    }
    *ret_any = out.n_commits > 0;
    *after = out.next;
    return true;
}

static void *watch_on(void *arg)
{
    worker *w = arg;
    int64_t after = 0;
    bool any = true;
    while (!is_over(w)) {
        bool over = atomic_load(&w->s->over);
        if (!watch_once(w, &after, &any) || (over && !any))
            break;
        pang_arena_reset(w->arena);
    }
    return NULL;
}

/* ---- the history ---- */

static size_t read_log(worker *w, const char *ref, commit_row *to)
{
    Pangolin__V1__ListCommitsRequest in = PANGOLIN__V1__LIST_COMMITS_REQUEST__INIT;
    Pangolin__V1__ListCommitsResponse out;
    size_t n = 0;
    in.name = TEXT(ref);
    in.catalog = TEXT("demo");
    in.page_size = 50;
    do {
        if (!call(w, "ListCommits", &in, &out))
            break;
        for (size_t i = 0; i < out.n_commits && n < COMMITS_MAX; i++) {
            to[n].sequence = out.commits[i]->sequence;
            (void)snprintf(to[n].branch, sizeof to[n].branch, "%s", out.commits[i]->branch);
            (void)snprintf(to[n++].id, sizeof to[0].id, "%s", out.commits[i]->id);
        }
        in.page_token = out.next_page_token;
    } while (in.page_token != NULL && in.page_token[0] != '\0');
    return n;
}

static size_t times_in(const commit_row *rows, size_t n, const char *id)
{
    size_t times = 0;
    for (size_t i = 0; i < n; i++)
        times += strcmp(rows[i].id, id) == 0;
    return times;
}

/* Numbers fall along a log; each write that was acknowledged on the branch is in it once; what the
 * watcher saw of the branch is the log, in its order. */
static void check_log(worker *w, int branch, commit_row *log)
{
    shared *s = w->s;
    size_t n = read_log(w, branches[branch], log), at = n;
    for (size_t i = 1; i < n; i++)
        if (log[i].sequence >= log[i - 1].sequence)
            fail_with(w, "out of order", log[i].id);
    for (size_t i = 0; i < s->n_writes; i++)
        if (s->writes[i].branch == branch && s->writes[i].commit[0] != '\0' &&
            times_in(log, n, s->writes[i].commit) != 1)
            fail_with(w, "not once in the log", s->writes[i].key);
    for (size_t i = 0; i < s->n_watched; i++) {
        if (strcmp(s->watched[i].branch, branches[branch]) != 0)
            continue;
        while (at > 0 && strcmp(log[at - 1].branch, branches[branch]) != 0)
            at--;
        if (at == 0 || strcmp(log[at - 1].id, s->watched[i].id) != 0) {
            fail_with(w, "the watcher saw another order", s->watched[i].id);
            return;
        }
        at--;
    }
    while (at > 0 && strcmp(log[at - 1].branch, branches[branch]) != 0)
        at--;
    if (at != 0)
        fail_with(w, "the watcher missed", log[at - 1].id);
}

static void check_history(worker *w)
{
    shared *s = w->s;
    commit_row *log = calloc(COMMITS_MAX, sizeof *log);
    assert_non_null(log);
    for (size_t i = 1; i < s->n_watched; i++)
        if (s->watched[i].sequence <= s->watched[i - 1].sequence)
            fail_with(w, "watched out of order", s->watched[i].id);
    for (size_t i = 0; i < s->n_merges; i++)
        if (times_in(s->watched, s->n_watched, s->merges[i]) != 1)
            fail_with(w, "a merge was not watched once", s->merges[i]);
    for (int i = 0; i < BRANCHES && !is_over(w); i++)
        check_log(w, i, log);
    free(log);
}

/* In the end everything meets everywhere. */
static void check_end(worker *w)
{
    for (int i = 1; i < BRANCHES; i++)
        merge_into(w, branches[i], i, "main");
    for (int i = 1; i < BRANCHES; i++)
        merge_into(w, "main", 0, branches[i]);
    for (int i = 0; i < BRANCHES && !is_over(w); i++)
        check_has(w, branches[i], -1, count_writes(w), "the end");
}

/* ---- the test ---- */

static void set_up(shared *s, worker *first)
{
    assert_int_equal(fx_create_namespace(s->fx, "ns"), PANG_OK);
    for (int i = 0; i < TABLES; i++)
        assert_int_equal(fx_create_table(s->fx, "ns", fx_text(s->fx, "t%d", i), NULL), PANG_OK);
    for (int i = 1; i < BRANCHES; i++)
        (void)make_branch(first, branches[i], "main");
}

static void run_all(shared *s, worker *workers)
{
    static void *(*const jobs[])(void *) = {write_on, merge_on, make_on};
    static const int counts[] = {WRITERS, MERGERS, MAKERS};
    pthread_t threads[WRITERS + MERGERS + MAKERS], watcher;
    size_t n = 0;
    for (size_t job = 0; job < 3; job++)
        for (int i = 0; i < counts[job]; i++, n++)
            assert_int_equal(pthread_create(&threads[n], NULL, jobs[job], &workers[n]), 0);
    assert_int_equal(pthread_create(&watcher, NULL, watch_on, &workers[n]), 0);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&s->over, true);
    pthread_join(watcher, NULL);
}

static unsigned rounds(void)
{
    const char *asked = getenv("PANG_ROUNDS");
    unsigned n = asked == NULL ? 0 : (unsigned)strtoul(asked, NULL, 10);
    if (n > 0 && n <= ROUNDS_LONG)
        return n;
    return getenv("PANG_TEST_LONG") != NULL ? ROUNDS_LONG : ROUNDS;
}

static void test_together__a_history_without_gaps(void **state)
{
    static worker workers[WRITERS + MERGERS + MAKERS + 2];
    size_t n = sizeof workers / sizeof workers[0];
    shared *s = calloc(1, sizeof *s);
    (void)state;
    assert_non_null(s);
    s->fx = fx_open(the_url);
    s->rounds = rounds();
    s->writes = calloc(WRITES_MAX, sizeof *s->writes);
    s->watched = calloc(COMMITS_MAX, sizeof *s->watched);
    assert_true(s->writes != NULL && s->watched != NULL);
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        workers[i] = (worker){.s = s, .number = (unsigned)i, .chance = (unsigned)i * 7919 + 1};
        workers[i].arena = pang_arena_new(ARENA_BYTES);
        assert_non_null(workers[i].arena);
    }
    set_up(s, &workers[n - 1]);
    run_all(s, workers);
    if (s->failure[0] == '\0')
        check_history(&workers[n - 1]);
    if (s->failure[0] == '\0')
        check_end(&workers[n - 1]);
    print_message("%zu writes, %zu merges, %zu commits\n", s->n_writes, s->n_merges, s->n_watched);
    if (s->failure[0] != '\0')
        fail_msg("%s", s->failure);
    for (size_t i = 0; i < n; i++)
        pang_arena_free(workers[i].arena);
    pthread_mutex_destroy(&s->lock);
    fx_close(s->fx);
    free(s->writes);
    free(s->watched);
    free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together__a_history_without_gaps),
    };
    the_url = test_url(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
