/*
 * Merges, rebases and partial branches of as many names as one commit holds, as a server lets them:
 * with the memory of one call. What changes are fields of generic assets, so that nothing is tested
 * but the size. With PANG_TEST_LONG it also prints how long each took.
 */
#include "tests/server/ref_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/keys_versions.h"
#include "server/commits.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/commit.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"
#include "pangolin/v1/table.pb-c.h"

enum {
    CALL_BYTES = 256 << 20, /* the default of call-memory */
    PIECE = 256,            /* names of one read */
    LIMIT = PANG_CHANGES_MAX,
};

#define DEV FX_PREFIX "@dev"

/* ---- content ---- */

typedef enum { MAKE, SET, MOVE, DROP } change_kind;

typedef struct {
    fixture *fx;
    const char *prefix, *value;
    change_kind kind;
    pang_view view;
    pang_edit *edit;
} writing;

static pang_rec_content *body_of(const writing *w, const pang_content *at)
{
    pang_arena *arena = w->fx->arena;
    pang_rec_content *body = pang_arena_alloc(arena, sizeof *body);
    pang_rec_property *property = pang_arena_alloc(arena, sizeof *property);
    pang_id *id = pang_arena_alloc(arena, sizeof *id);
    *body = (pang_rec_content)PANGOLIN__STORE__V1__CONTENT__INIT;
    *property = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
    *id = pang_id_v7(&w->fx->env);
    property->name = TEXT("value");
    property->value = TEXT(w->value);
    body->asset = pang_content_exists(at) ? at->body->asset : pang_bytes_of_id(id);
    body->kind = PANGOLIN__STORE__V1__KIND__KIND_GENERIC;
    body->asset_kind = TEXT("file");
    body->properties = pang_arena_alloc_n(arena, 1, sizeof(void *));
    body->properties[0] = property;
    body->n_properties = 1;
    return body;
}

static void write_one(writing *w, const pang_content *at, const pang_content *next)
{
    pang_err *err = &w->fx->err;
    switch (w->kind) {
    case MAKE:
        fx_ok(w->fx, pang_edit_create(w->edit, at, body_of(w, at), err));
        break;
    case SET:
        fx_ok(w->fx, pang_edit_update(w->edit, at, body_of(w, at), err));
        break;
    case MOVE:
        fx_ok(w->fx, pang_edit_move(w->edit, at, next, err));
        break;
    default:
        fx_ok(w->fx, pang_edit_drop(w->edit, at, false, err));
    }
}

/* Assets "ns.a<number>", of which `from` up to before `until`, in one commit. A moved one is called
 * "b<number>" from then on. */
static void write_all(fixture *fx, const char *prefix, change_kind kind, size_t from, size_t until,
                      const char *value)
{
    pang_content at[PIECE], next[PIECE];
    writing w = {.fx = fx, .prefix = prefix, .value = value, .kind = kind};
    pang_arena_reset(fx->arena);
    w.view = rfx_view(fx, prefix);
    fx_ok(fx, pang_edit_begin(&w.view, &fx->env, &fx->who, &w.edit, &fx->err));
    for (size_t n; from < until; from += n) {
        n = until - from < PIECE ? until - from : PIECE;
        for (size_t i = 0; i < n; i++) {
            at[i].name = rfx_name(fx, &w.view, "ns", fx_text(fx, "a%06zu", from + i));
            next[i].name = rfx_name(fx, &w.view, "ns", fx_text(fx, "b%06zu", from + i));
        }
        fx_ok(fx, pang_content_get(&w.view, at, n, &fx->err));
        if (kind == MOVE)
            fx_ok(fx, pang_content_get(&w.view, next, n, &fx->err));
        for (size_t i = 0; i < n; i++)
            write_one(&w, &at[i], &next[i]);
    }
    (void)rfx_land(fx, w.edit, value);
    pang_arena_reset(fx->arena);
}

/* How many assets of a name's form have the value. */
typedef struct {
    char letter;
    const char *value;
    size_t n;
} counting;

static bool count_row(void *arg, const pang_content *row)
{
    counting *c = arg;
    c->n += row->name.name.ptr[0] == c->letter && row->body->n_properties == 1 &&
            strcmp(row->body->properties[0]->value, c->value) == 0;
    return true;
}

static size_t count(fixture *fx, const char *prefix, char letter, const char *value)
{
    counting c = {.letter = letter, .value = value};
    pang_str level = PANG_STR("ns"), after = {0};
    uint64_t now = 0;
    do {
        char kept[64] = "";
        memcpy(kept, after.ptr == NULL ? "" : after.ptr, after.len);
        size_t len = after.len;
        pang_arena_reset(fx->arena);
        pang_view view = rfx_view(fx, prefix);
        if (now == 0)
            fx_ok(fx, pang_view_sequence(&view, &now, &fx->err));
        pang_view_set_at(&view, now);
        pang_content_query query = {.space = PANG_SPACE_ASSET,
                                    .path = pang_key_path(&view.keys, &level, 1),
                                    .after = {kept, len},
                                    .limit = 4096};
        fx_ok(fx, pang_content_list(&view, &query, count_row, &c, &after, &fx->err));
    } while (after.len > 0);
    return c.n;
}

/* ---- calls ---- */

/* A call with the memory that a server gives it. */
static pang_code call(fixture *fx, pang_arena *arena, const char *method, const void *in, void *out)
{
    unsigned runs;
    pang_str keep;
    int64_t before = pang_env_mono_ms(&pang_env_system);
    pang_code code = fx_call_in(fx, arena, method, in, out, &runs, &keep, &fx->err);
    if (getenv("PANG_TEST_LONG") != NULL)
        print_message("%s: %s, %lld ms, %zu MiB\n", method, pang_code_name(code),
                      (long long)(pang_env_mono_ms(&pang_env_system) - before),
                      pang_arena_used(arena) >> 20);
    return code;
}

typedef struct {
    pang_code code;
    size_t changes, bytes;
    char commit[PANG_ID_TEXT + 1];
} merged;

static merged merge_with(fixture *fx, const char *source, Pangolin__V1__MergeKeyMode **modes,
                         size_t n_modes)
{
    merged ret = {0};
    pang_arena *arena = pang_arena_new(CALL_BYTES);
    Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    Pangolin__V1__MergeBranchesResponse out = PANGOLIN__V1__MERGE_BRANCHES_RESPONSE__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.source_branch = TEXT(source);
    in.target_branch = TEXT("main");
    in.modes = modes;
    in.n_modes = n_modes;
    ret.code = call(fx, arena, "MergeBranches", &in, &out);
    if (ret.code == PANG_OK) {
        assert_non_null(out.operation);
        assert_string_equal(out.operation->status, "Completed");
        ret.changes = out.operation->n_changes;
        (void)snprintf(ret.commit, sizeof ret.commit, "%s", out.operation->result_commit_id);
    }
    ret.bytes = pang_arena_used(arena);
    pang_arena_free(arena);
    return ret;
}

static merged merge(fixture *fx, const char *source)
{
    return merge_with(fx, source, NULL, 0);
}

static size_t changes_of(fixture *fx, const char *commit)
{
    pang_arena *arena = pang_arena_new(CALL_BYTES);
    Pangolin__V1__GetCommitRequest in = PANGOLIN__V1__GET_COMMIT_REQUEST__INIT;
    Pangolin__V1__GetCommitResponse out = PANGOLIN__V1__GET_COMMIT_RESPONSE__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.commit_id = TEXT(commit);
    fx_ok(fx, call(fx, arena, "GetCommit", &in, &out));
    size_t n = out.commit->n_changes;
    pang_arena_free(arena);
    return n;
}

static void revert(fixture *fx, const char *commit)
{
    pang_arena *arena = pang_arena_new(CALL_BYTES);
    Pangolin__V1__RevertRequest in = PANGOLIN__V1__REVERT_REQUEST__INIT;
    Pangolin__V1__RevertResponse out = PANGOLIN__V1__REVERT_RESPONSE__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT("main");
    in.commit = TEXT(commit);
    fx_ok(fx, call(fx, arena, "Revert", &in, &out));
    pang_arena_free(arena);
}

static void rebase(fixture *fx, const char *name)
{
    pang_arena *arena = pang_arena_new(CALL_BYTES);
    Pangolin__V1__RebaseBranchRequest in = PANGOLIN__V1__REBASE_BRANCH_REQUEST__INIT;
    Pangolin__V1__RebaseBranchResponse out = PANGOLIN__V1__REBASE_BRANCH_RESPONSE__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT(name);
    fx_ok(fx, call(fx, arena, "RebaseBranch", &in, &out));
    assert_true(out.done);
    pang_arena_free(arena);
}

static pang_code select_all(fixture *fx, const char *name)
{
    pang_arena *arena = pang_arena_new(CALL_BYTES);
    char *assets[] = {TEXT("ns.*")};
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out = PANGOLIN__V1__CREATE_BRANCH_RESPONSE__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT(name);
    in.assets = assets;
    in.n_assets = 1;
    pang_code code = call(fx, arena, "CreateBranch", &in, &out);
    pang_arena_free(arena);
    return code;
}

/* A catalog whose namespace "ns" has n assets of value "0". */
static void begin(fixture *fx, size_t n)
{
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    for (size_t from = 0; from < n; from += LIMIT / 2)
        write_all(fx, FX_PREFIX, MAKE, from, n - from < LIMIT / 2 ? n : from + LIMIT / 2, "0");
}

/* ---- tests ---- */

static void test_merge_many__as_many_as_fit(void **state)
{
    fixture *fx = *state;
    begin(fx, LIMIT + 1);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    write_all(fx, DEV, SET, 0, LIMIT, "1");
    merged m = merge(fx, "dev");
    fx_ok(fx, m.code);
    assert_int_equal(m.changes, LIMIT);
    assert_in_range(m.bytes, 1, CALL_BYTES / 5 * 3); /* longer names and tables need more */
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), LIMIT);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "0"), 1);
    assert_int_equal(changes_of(fx, m.commit), LIMIT);
    revert(fx, m.commit);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "0"), LIMIT + 1);
}

/* Refused as a whole, and what the message says to do instead works. */
static void test_merge_many__more_are_merged_in_parts(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListCommitsRequest in = PANGOLIN__V1__LIST_COMMITS_REQUEST__INIT;
    Pangolin__V1__ListCommitsResponse out = PANGOLIN__V1__LIST_COMMITS_RESPONSE__INIT;
    char earlier[PANG_ID_TEXT + 1];
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    pang_arena_reset(fx->arena);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    write_all(fx, DEV, MAKE, 0, LIMIT / 2, "1");
    write_all(fx, DEV, MAKE, LIMIT / 2, LIMIT + 1, "1");
    merged m = merge(fx, "dev");
    assert_int_equal(m.code, PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "merge it in parts, an earlier commit"));
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT("dev");
    fx_ok(fx, fx_call(fx, "ListCommits", &in, &out));
    (void)snprintf(earlier, sizeof earlier, "%s", out.commits[1]->id);
    pang_arena_reset(fx->arena);
    fx_ok(fx, merge(fx, earlier).code);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), LIMIT / 2);
    fx_ok(fx, merge(fx, "dev").code);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), LIMIT + 1);
}

/* Dropped, renamed, made, changed on both sides: all that a merge can write of one. */
static void test_merge_many__of_all_kinds(void **state)
{
    fixture *fx = *state;
    enum { EACH = LIMIT / 8 };
    begin(fx, 4 * EACH);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    write_all(fx, DEV, SET, 0, EACH, "1");
    write_all(fx, DEV, DROP, EACH, 2 * EACH, "");
    write_all(fx, DEV, MOVE, 2 * EACH, 4 * EACH, "");
    write_all(fx, DEV, MAKE, 4 * EACH, 5 * EACH, "2");
    write_all(fx, FX_PREFIX, SET, 2 * EACH, 3 * EACH, "3");
    merged m = merge(fx, "dev");
    fx_ok(fx, m.code);
    assert_int_equal(m.changes, 5 * EACH);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), EACH);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "2"), EACH);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "0"), 0);
    assert_int_equal(count(fx, FX_PREFIX, 'b', "3"), EACH);
    assert_int_equal(count(fx, FX_PREFIX, 'b', "0"), EACH);
    assert_int_equal(changes_of(fx, m.commit), 5 * EACH);
}

/* What is left out comes with the next merge. */
static void test_merge_many__with_a_mode_each(void **state)
{
    fixture *fx = *state;
    enum { N = LIMIT / 2 };
    static Pangolin__V1__MergeKeyMode modes[N];
    static Pangolin__V1__MergeKeyMode *list[N];
    static char keys[N][16];
    begin(fx, 2 * N);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    write_all(fx, DEV, SET, 0, 2 * N, "1");
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "ns.a%06zu", 2 * i);
        modes[i] = (Pangolin__V1__MergeKeyMode)PANGOLIN__V1__MERGE_KEY_MODE__INIT;
        modes[i].key = keys[i];
        modes[i].mode = TEXT("drop");
        list[i] = &modes[i];
    }
    fx_ok(fx, merge_with(fx, "dev", list, N).code);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), N);
    fx_ok(fx, merge(fx, "dev").code);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), 2 * N);
}

/* How many marks of before main's mark of a branch remembers. */
static size_t marks_of_before(fixture *fx, const char *branch)
{
    pang_record record;
    pang_rec_merge_mark *mark;
    pang_view main_view = rfx_view(fx, FX_PREFIX);
    pang_view other = rfx_view(fx, branch);
    pang_str key = pang_key_merge_mark(&main_view.keys, main_view.levels[0].branch,
                                       other.levels[0].branch);
    fx_ok(fx, pang_txn_get_one(main_view.txn, key, &record, &fx->err));
    fx_ok(fx, pang_record_unpack(&pangolin__store__v1__merge_mark__descriptor, &record, fx->arena,
                                 &mark, &fx->err));
    return mark->n_older;
}

/* What is left out again and again is not kept as often: the record and the memory have bounds. Of
 * each it is known that it was: what is no longer left out comes, and nothing else. */
static void test_merge_many__that_leave_much_out_each_time(void **state)
{
    fixture *fx = *state;
    enum { N = LIMIT / 2, MERGES = 5 };
    static Pangolin__V1__MergeKeyMode modes[N];
    static Pangolin__V1__MergeKeyMode *list[N];
    static char keys[N][16];
    begin(fx, N + 1);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    write_all(fx, DEV, SET, 0, N, "1");
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "ns.a%06zu", i);
        modes[i] = (Pangolin__V1__MergeKeyMode)PANGOLIN__V1__MERGE_KEY_MODE__INIT;
        modes[i].key = keys[i];
        modes[i].mode = TEXT("drop");
        list[i] = &modes[i];
    }
    for (size_t i = 0; i < MERGES; i++) {
        char value[2] = {(char)('1' + i), '\0'};
        write_all(fx, DEV, SET, N, N + 1, value);
        fx_ok(fx, merge_with(fx, "dev", list, N).code);
        assert_int_equal(count(fx, FX_PREFIX, 'a', value), 1);
    }
    assert_int_equal(marks_of_before(fx, DEV), PANG_CHANGES_MAX / N);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "0"), N);
    for (size_t i = 0; i < N / 2; i++)
        list[i] = &modes[2 * i];
    fx_ok(fx, merge_with(fx, "dev", list, N / 2).code);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), N / 2);
    merged m = merge(fx, "dev");
    fx_ok(fx, m.code);
    assert_int_equal(m.changes, N / 2);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), N);
    assert_int_equal(merge(fx, "dev").changes, 0);
}

static size_t list_conflicts(fixture *fx, const char *operation)
{
    pang_arena *arena = pang_arena_new(CALL_BYTES);
    Pangolin__V1__ListMergeConflictsRequest in = PANGOLIN__V1__LIST_MERGE_CONFLICTS_REQUEST__INIT;
    Pangolin__V1__ListMergeConflictsResponse out =
        PANGOLIN__V1__LIST_MERGE_CONFLICTS_RESPONSE__INIT;
    in.id = TEXT(operation);
    fx_ok(fx, call(fx, arena, "ListMergeConflicts", &in, &out));
    size_t n = out.n_conflicts;
    pang_arena_free(arena);
    return n;
}

/* All wait as one operation; or one word decides them. */
static void test_merge_many__that_conflict(void **state)
{
    fixture *fx = *state;
    enum { N = LIMIT / 2 };
    char operation[PANG_ID_TEXT + 1] = "";
    begin(fx, N);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    write_all(fx, DEV, SET, 0, N, "1");
    write_all(fx, FX_PREFIX, SET, 0, N, "2");
    for (int decided = 0; decided < 2; decided++) {
        pang_arena *arena = pang_arena_new(CALL_BYTES);
        Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
        Pangolin__V1__MergeBranchesResponse out = PANGOLIN__V1__MERGE_BRANCHES_RESPONSE__INIT;
        in.catalog = TEXT(FX_PREFIX);
        in.source_branch = TEXT("dev");
        in.target_branch = TEXT("main");
        in.default_mode = TEXT(decided ? "take_source" : "");
        fx_ok(fx, call(fx, arena, "MergeBranches", &in, &out));
        if (!decided) {
            assert_int_equal(out.conflicted->conflicts, N);
            (void)snprintf(operation, sizeof operation, "%s", out.conflicted->operation_id);
        }
        pang_arena_free(arena);
    }
    assert_int_equal(list_conflicts(fx, operation), N);
    assert_int_equal(count(fx, FX_PREFIX, 'a', "1"), N);
}

static void test_merge_many__rebased_and_selected(void **state)
{
    fixture *fx = *state;
    begin(fx, LIMIT - 1);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    write_all(fx, DEV, SET, 0, LIMIT - 1, "1");
    write_all(fx, FX_PREFIX, MAKE, LIMIT - 1, LIMIT, "2");
    rebase(fx, "dev");
    assert_int_equal(count(fx, DEV, 'a', "1"), LIMIT - 1);
    assert_int_equal(count(fx, DEV, 'a', "2"), 1);
    assert_int_equal(select_all(fx, "part"), PANG_INVALID_ARGUMENT); /* with the namespace */
    assert_non_null(strstr(fx->err.message, "make a branch of everything"));
    write_all(fx, FX_PREFIX, DROP, LIMIT - 1, LIMIT, "");
    fx_ok(fx, select_all(fx, "part"));
    assert_int_equal(count(fx, FX_PREFIX "@part", 'a', "0"), LIMIT - 1);
}

static void set_property(fixture *fx, const char *prefix, const char *table, const char *name)
{
    pang_arena *arena = pang_arena_new(CALL_BYTES);
    char *levels[] = {TEXT("ns")}, updates[128];
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out = PANGOLIN__V1__COMMIT_TABLE_RESPONSE__INIT;
    unsigned runs;
    pang_str keep;
    (void)snprintf(updates, sizeof updates,
                   "[{\"action\":\"set-properties\",\"updates\":{\"%s\":\"1\"}}]", name);
    in.prefix = TEXT(prefix);
    in.namespace_ = levels;
    in.n_namespace_ = 1;
    in.table = TEXT(table);
    in.requirements = pang_bytes_of(PANG_STR("[]"));
    in.updates = pang_bytes_of(pang_str_from(updates));
    fx_ok(fx, fx_call_in(fx, arena, "CommitTable", &in, &out, &runs, &keep, &fx->err));
    pang_arena_free(arena);
}

/* Pages of the log and of whoever follows end before such commits fill the memory. */
static void test_merge_many__pages_of_large_commits_are_short(void **state)
{
    fixture *fx = *state;
    enum { COMMITS = PANG_LOG_LISTED_MAX / LIMIT + 2 };
    size_t n = 0, pages = 0;
    begin(fx, LIMIT);
    for (int i = 0; i < COMMITS; i++)
        write_all(fx, FX_PREFIX, SET, 0, LIMIT, i % 2 == 0 ? "1" : "2");
    char token[512] = "";
    do {
        pang_arena *arena = pang_arena_new(CALL_BYTES);
        Pangolin__V1__ListCommitsRequest in = PANGOLIN__V1__LIST_COMMITS_REQUEST__INIT;
        Pangolin__V1__ListCommitsResponse out = PANGOLIN__V1__LIST_COMMITS_RESPONSE__INIT;
        in.catalog = TEXT(FX_PREFIX);
        in.name = TEXT("main");
        if (token[0] != '\0') {
            in._page_token_case = PANGOLIN__V1__LIST_COMMITS_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
            in.page_token = token;
        }
        fx_ok(fx, call(fx, arena, "ListCommits", &in, &out));
        n += out.n_commits;
        pages++;
        (void)snprintf(token, sizeof token, "%s", out.next_page_token);
        pang_arena_free(arena);
    } while (token[0] != '\0');
    assert_int_equal(n, COMMITS + 3); /* the namespace, and two that made the assets */
    assert_int_equal(pages, 2);
    int64_t after = 0;
    for (n = 0; n < COMMITS + 3;) {
        pang_arena *arena = pang_arena_new(CALL_BYTES);
        Pangolin__V1__PollCommitsRequest in = PANGOLIN__V1__POLL_COMMITS_REQUEST__INIT;
        Pangolin__V1__PollCommitsResponse out = PANGOLIN__V1__POLL_COMMITS_RESPONSE__INIT;
        in.catalog = TEXT(FX_PREFIX);
        in._after_case = PANGOLIN__V1__POLL_COMMITS_REQUEST___AFTER_AFTER;
        in.after = after;
        fx_ok(fx, call(fx, arena, "PollCommits", &in, &out));
        assert_true(out.n_commits > 0 && out.n_commits < COMMITS + 3);
        n += out.n_commits;
        after = out.next;
        pang_arena_free(arena);
    }
    assert_int_equal(n, COMMITS + 3);
}

/* Of tables that both sides changed the documents are joined in memory that each gives back. */
static void test_merge_many__joined_tables_take_little_of_the_calls_memory(void **state)
{
    fixture *fx = *state;
    enum { TABLES = 64, EACH = 22 << 10 };
    char names[TABLES][16];
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    for (size_t i = 0; i < TABLES; i++) {
        (void)snprintf(names[i], sizeof names[i], "t%zu", i);
        fx_ok(fx, fx_create_table(fx, "ns", names[i], NULL));
    }
    pang_arena_reset(fx->arena);
    rfx_branch(fx, "dev", FX_PREFIX, 0);
    for (size_t i = 0; i < TABLES; i++) {
        set_property(fx, DEV, names[i], "d");
        set_property(fx, FX_PREFIX, names[i], "m");
    }
    merged m = merge(fx, "dev");
    fx_ok(fx, m.code);
    assert_int_equal(m.changes, TABLES);
    assert_in_range(m.bytes, 1, TABLES * EACH);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_merge_many__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(as_many_as_fit),
        TEST(more_are_merged_in_parts),
        TEST(of_all_kinds),
        TEST(with_a_mode_each),
        TEST(that_leave_much_out_each_time),
        TEST(that_conflict),
        TEST(rebased_and_selected),
        TEST(pages_of_large_commits_are_short),
        TEST(joined_tables_take_little_of_the_calls_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
