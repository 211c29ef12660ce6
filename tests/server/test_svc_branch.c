/*
 * server/svc_branch.c, svc_tag.c, svc_refs.c and what they stand on, through the small dispatcher:
 * how refs are made, named, listed, changed and ended. Lost races are in test_branches.c.
 */
#include "tests/server/ref_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api/keys_identity.h"
#include "server/branches.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/catalog.pb-c.h"

typedef Pangolin__V1__Branch branch;
typedef Pangolin__V1__Tag tag;
typedef Pangolin__V1__CreateBranchRequest create_in;
typedef Pangolin__V1__UpdateBranchRequest update_in;

#define HOUR_MS (INT64_C(60) * 60 * 1000)

enum { RACERS = 4, RACES = 20, CATALOG_RACES = 100 };

/* ---- calls ---- */

static create_in create_of(const char *name, const char *from)
{
    create_in in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t)name;
    in.from = (char *)(uintptr_t)from;
    return in;
}

static pang_code create_as(fixture *fx, const create_in *in, branch **ret)
{
    Pangolin__V1__CreateBranchResponse out;
    pang_code code = fx_call(fx, "CreateBranch", in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.branch : NULL;
    return code;
}

static pang_code create(fixture *fx, const char *name, const char *from, branch **ret)
{
    create_in in = create_of(name, from);
    return create_as(fx, &in, ret);
}

static pang_code create_partial(fixture *fx, const char *name, char **assets, size_t n,
                                branch **ret)
{
    create_in in = create_of(name, "");
    in.assets = assets;
    in.n_assets = n;
    return create_as(fx, &in, ret);
}

static pang_code get_in(fixture *fx, const char *catalog, const char *name, branch **ret)
{
    Pangolin__V1__GetBranchRequest in = PANGOLIN__V1__GET_BRANCH_REQUEST__INIT;
    Pangolin__V1__GetBranchResponse out;
    in.catalog = (char *)(uintptr_t)catalog;
    in.name = (char *)(uintptr_t)name;
    pang_code code = fx_call(fx, "GetBranch", &in, &out);
    *ret = code == PANG_OK ? out.branch : NULL;
    return code;
}

static pang_code get(fixture *fx, const char *name, branch **ret)
{
    return get_in(fx, FX_PREFIX, name, ret);
}

static update_in update_of(const char *name)
{
    update_in in = PANGOLIN__V1__UPDATE_BRANCH_REQUEST__INIT;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.branch = (char *)(uintptr_t)name;
    return in;
}

static pang_code update(fixture *fx, const update_in *in, branch **ret)
{
    Pangolin__V1__UpdateBranchResponse out;
    pang_code code = fx_call(fx, "UpdateBranch", in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.branch : NULL;
    return code;
}

static pang_code rename_branch(fixture *fx, const char *from, const char *to)
{
    update_in in = update_of(from);
    in._name_case = PANGOLIN__V1__UPDATE_BRANCH_REQUEST___NAME_NAME;
    in.name = (char *)(uintptr_t)to;
    return update(fx, &in, NULL);
}

static pang_code protect(fixture *fx, const char *name, bool on)
{
    update_in in = update_of(name);
    in._protected_case = PANGOLIN__V1__UPDATE_BRANCH_REQUEST___PROTECTED_PROTECTED;
    in.protected_ = on;
    return update(fx, &in, NULL);
}

static pang_code live_for(fixture *fx, const char *name, int64_t seconds)
{
    update_in in = update_of(name);
    in._ttl_case = PANGOLIN__V1__UPDATE_BRANCH_REQUEST___TTL_TTL;
    in.ttl = seconds;
    return update(fx, &in, NULL);
}

static pang_code delete_branch(fixture *fx, const char *name)
{
    Pangolin__V1__DeleteBranchRequest in = PANGOLIN__V1__DELETE_BRANCH_REQUEST__INIT;
    Pangolin__V1__DeleteBranchResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t)name;
    return fx_call(fx, "DeleteBranch", &in, &out);
}

static Pangolin__V1__ListBranchesResponse list(fixture *fx, int32_t size, int32_t offset,
                                               const char *token)
{
    Pangolin__V1__ListBranchesRequest in = PANGOLIN__V1__LIST_BRANCHES_REQUEST__INIT;
    Pangolin__V1__ListBranchesResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.page_size = size;
    in.offset = offset;
    in._page_token_case = PANGOLIN__V1__LIST_BRANCHES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
    in.page_token = (char *)(uintptr_t)token;
    fx_ok(fx, fx_call(fx, "ListBranches", &in, &out));
    return out;
}

static pang_code create_tag_on(fixture *fx, const char *name, const char *commit, const char *from,
                               tag **ret)
{
    Pangolin__V1__CreateTagRequest in = PANGOLIN__V1__CREATE_TAG_REQUEST__INIT;
    Pangolin__V1__CreateTagResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t)name;
    in.commit_id = (char *)(uintptr_t)commit;
    in.from = (char *)(uintptr_t)from;
    pang_code code = fx_call(fx, "CreateTag", &in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.tag : NULL;
    return code;
}

static pang_code create_tag(fixture *fx, const char *name, const char *from, tag **ret)
{
    return create_tag_on(fx, name, "", from, ret);
}

static pang_code get_tag(fixture *fx, const char *name, tag **ret)
{
    Pangolin__V1__GetTagRequest in = PANGOLIN__V1__GET_TAG_REQUEST__INIT;
    Pangolin__V1__GetTagResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t)name;
    pang_code code = fx_call(fx, "GetTag", &in, &out);
    *ret = code == PANG_OK ? out.tag : NULL;
    return code;
}

static pang_code protect_tag(fixture *fx, const char *name, bool on)
{
    Pangolin__V1__UpdateTagRequest in = PANGOLIN__V1__UPDATE_TAG_REQUEST__INIT;
    Pangolin__V1__UpdateTagResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t)name;
    in._protected_case = PANGOLIN__V1__UPDATE_TAG_REQUEST___PROTECTED_PROTECTED;
    in.protected_ = on;
    return fx_call(fx, "UpdateTag", &in, &out);
}

static pang_code delete_tag(fixture *fx, const char *name)
{
    Pangolin__V1__DeleteTagRequest in = PANGOLIN__V1__DELETE_TAG_REQUEST__INIT;
    Pangolin__V1__DeleteTagResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t)name;
    return fx_call(fx, "DeleteTag", &in, &out);
}

static int64_t counter(fixture *fx, pang_str key)
{
    pang_record record;
    pang_ref ref = {.key = key};
    fx_ok(fx, pang_txn_get(fx_begin(fx), &ref, 1, PANG_READ_UNCHECKED, &record, &fx->err));
    return record.value;
}

static int64_t tenant_count(fixture *fx, pang_str what)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    return counter(fx, pang_key_count(&keys, what));
}

static uint64_t fork_mark(fixture *fx, pang_id id)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_record record;
    pang_rec_fork_mark *mark;
    fx_ok(fx, pang_txn_get_one(fx_begin(fx), pang_key_fork_mark(&keys, id), &record, &fx->err));
    if (record.version == 0)
        return 0;
    fx_ok(fx, pang_record_unpack(&pangolin__store__v1__fork_mark__descriptor, &record, fx->arena,
                                 &mark, &fx->err));
    return mark->sequence;
}

static void same(const char *location, const char *expected)
{
    assert_non_null(location);
    assert_string_equal(location, expected);
}

/* ---- making ---- */

static void
test_svc_branch__a_branch_shows_what_it_was_made_from_and_what_was_done_on_it(void **state)
{
    fixture *fx = *state;
    branch *made, *got;
    uint64_t at = rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, create(fx, "dev", "", &made));
    assert_string_equal(made->name, "dev");
    assert_string_equal(made->branch_type, "experimental");
    assert_string_equal(made->from_branch, "main");
    assert_string_equal(made->catalog, FX_PREFIX);
    assert_int_equal(made->n_assets, 0);
    rfx_put(fx, "demo", "t", "two");
    rfx_put(fx, "demo@dev", "u", "own");
    same(rfx_location(fx, "demo@dev", "t"), "one");
    same(rfx_location(fx, "demo@dev", "u"), "own");
    assert_null(rfx_location(fx, "demo", "u"));
    pang_view main_view = rfx_view(fx, "demo");
    assert_int_equal(fork_mark(fx, main_view.levels[0].branch), at);
    fx_ok(fx, get(fx, "dev", &got));
    assert_string_equal(got->id, made->id);
    assert_string_not_equal(got->head_commit_id, made->head_commit_id);
}

static void test_svc_branch__the_head_of_a_new_branch_is_that_of_its_source(void **state)
{
    fixture *fx = *state;
    branch *made, *main_branch;
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, get(fx, "main", &main_branch));
    fx_ok(fx, create(fx, "dev", "main", &made));
    assert_string_equal(made->head_commit_id, main_branch->head_commit_id);
    assert_string_equal(main_branch->branch_type, "ingest");
    assert_string_equal(main_branch->from_branch, "");
    fx_ok(fx, get(fx, "dev", &made));
    assert_string_equal(made->head_commit_id, main_branch->head_commit_id);
}

static void test_svc_branch__an_empty_catalog_has_no_head_and_can_be_branched(void **state)
{
    fixture *fx = *state;
    branch *made;
    fx_ok(fx, create(fx, "dev", "", &made));
    assert_string_equal(made->head_commit_id, "");
    assert_int_equal(create_tag(fx, "v1", "main", NULL), PANG_INVALID_ARGUMENT);
    rfx_put(fx, "demo@dev", "t", "own");
    same(rfx_location(fx, "demo@dev", "t"), "own");
}

static void test_svc_branch__it_can_be_made_from_a_tag_a_commit_and_a_time(void **state)
{
    fixture *fx = *state;
    branch *one;
    tag *v1;
    char text[32];
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, create_tag(fx, "v1", "main", &v1));
    (void)snprintf(text, sizeof text, "%lld", (long long)pang_env_wall_ms(&fx->env));
    atomic_fetch_add(&fx->ahead_ms, HOUR_MS);
    rfx_put(fx, "demo", "t", "two");
    fx_ok(fx, create(fx, "from-tag", "v1", &one));
    assert_string_equal(one->head_commit_id, v1->commit_id);
    fx_ok(fx, create(fx, "from-commit", v1->commit_id, NULL));
    fx_ok(fx, create(fx, "from-time", text, NULL));
    fx_ok(fx, create(fx, "from-branch", "from-tag", &one));
    assert_string_equal(one->from_branch, "from-tag");
    same(rfx_location(fx, "demo@from-tag", "t"), "one");
    same(rfx_location(fx, "demo@from-commit", "t"), "one");
    same(rfx_location(fx, "demo@from-time", "t"), "one");
    same(rfx_location(fx, "demo@from-branch", "t"), "one");
    assert_int_equal(create(fx, "x", "nowhere", NULL), PANG_NOT_FOUND);
    assert_int_equal(create(fx, "x", "01890a5d-ac96-774b-bcce-b302099a8057", NULL), PANG_NOT_FOUND);
}

static void test_svc_branch__a_name_is_one_refs(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, create(fx, "dev", "", NULL));
    fx_ok(fx, create_tag(fx, "v1", "main", NULL));
    assert_int_equal(create(fx, "dev", "", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(create(fx, "v1", "", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(create(fx, "main", "", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(create_tag(fx, "dev", "main", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(create_tag(fx, "v1", "main", NULL), PANG_ALREADY_EXISTS);
    fx_ok(fx, create(fx, "Dev", "", NULL));
    fx_ok(fx, create(fx, "späße", "", NULL));
    assert_int_equal(rename_branch(fx, "Dev", "v1"), PANG_ALREADY_EXISTS);
}

static void test_svc_branch__names_that_address_something_else_are_refused(void **state)
{
    fixture *fx = *state;
    static const char *const bad[] = {"",
                                      "a@b",
                                      "a.b",
                                      "a/b",
                                      "a\\b",
                                      "a%b",
                                      "a#b",
                                      "a?b",
                                      "a|b",
                                      "17",
                                      " a",
                                      "a\n",
                                      "01890a5d-ac96-774b-bcce-b302099a8057"};
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, create(fx, "dev", "", NULL));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(create(fx, bad[i], "", NULL), PANG_INVALID_ARGUMENT);
        assert_int_equal(create_tag(fx, bad[i], "main", NULL), PANG_INVALID_ARGUMENT);
        assert_int_equal(rename_branch(fx, "dev", bad[i]), PANG_INVALID_ARGUMENT);
    }
}

static void test_svc_branch__what_is_asked_for_is_kept(void **state)
{
    fixture *fx = *state;
    create_in in = create_of("dev", "");
    branch *made;
    in.branch_type = fx_text(fx, "ingest");
    in.protected_ = in.own_paths = true;
    in.description = fx_text(fx, "for trying\nthings");
    in.expires_at = fx_text(fx, "2999-12-31T23:59:59Z");
    fx_ok(fx, create_as(fx, &in, &made));
    fx_ok(fx, get(fx, "dev", &made));
    assert_string_equal(made->branch_type, "ingest");
    assert_true(made->protected_ && made->own_paths);
    assert_string_equal(made->description, "for trying\nthings");
    assert_string_equal(made->expires_at, "2999-12-31T23:59:59.000Z");
    assert_string_equal(made->created_by, "anonymous");
    assert_string_not_equal(made->created_at, "");
}

static void test_svc_branch__a_type_is_one_of_two(void **state)
{
    fixture *fx = *state;
    static const char *const others[] = {"Ingest", "EXPERIMENTAL", "ingset", " "};
    static const char *const made_as[] = {"experimental", "", "ingest"};
    for (size_t i = 0; i < 7; i++) {
        create_in in = create_of(fx_text(fx, "b%zu", i), "");
        branch *made;
        in.branch_type = fx_text(fx, "%s", i < 4 ? others[i] : made_as[i - 4]);
        pang_code code = create_as(fx, &in, &made);
        assert_int_equal(code, i < 4 ? PANG_INVALID_ARGUMENT : PANG_OK);
        if (code == PANG_OK)
            assert_string_equal(made->branch_type, i == 6 ? "ingest" : "experimental");
    }
}

static void test_svc_branch__bad_requests(void **state)
{
    fixture *fx = *state;
    create_in in = create_of("dev", "main");
    in.from_branch = fx_text(fx, "other");
    assert_int_equal(create_as(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    in = create_of("dev", "");
    in.catalog = fx_text(fx, "%s", "");
    assert_int_equal(create_as(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    in.catalog = fx_text(fx, "nowhere");
    assert_int_equal(create_as(fx, &in, NULL), PANG_NOT_FOUND);
    in.catalog = fx_text(fx, "demo@main");
    assert_int_equal(create_as(fx, &in, NULL), PANG_NOT_FOUND);
    static const char *const times[] = {"tomorrow", "2001-01-01T00:00:00Z", "2999-13-01T00:00:00Z"};
    for (size_t i = 0; i < 3; i++) {
        in = create_of("dev", "");
        in.expires_at = fx_text(fx, "%s", times[i]);
        assert_int_equal(create_as(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    }
    in = create_of("dev", "");
    in._ttl_case = PANGOLIN__V1__CREATE_BRANCH_REQUEST___TTL_TTL;
    in.ttl = -1;
    assert_int_equal(create_as(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    in.ttl = 60;
    in.expires_at = fx_text(fx, "2999-01-01T00:00:00Z");
    assert_int_equal(create_as(fx, &in, NULL), PANG_INVALID_ARGUMENT);
}

static void test_svc_branch__a_chain_of_branches_has_an_end(void **state)
{
    fixture *fx = *state;
    char name[16] = "main", next[16];
    rfx_put(fx, "demo", "t", "one");
    for (int i = 1; i < PANG_LEVELS_MAX; i++) {
        (void)snprintf(next, sizeof next, "b%d", i);
        fx_ok(fx, create(fx, fx_text(fx, "%s", next), fx_text(fx, "%s", name), NULL));
        memcpy(name, next, sizeof name);
    }
    same(rfx_location(fx, fx_text(fx, "demo@%s", name), "t"), "one");
    assert_int_equal(create(fx, "deeper", name, NULL), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "rebase"));
    fx_ok(fx, create_tag(fx, "v1", name, NULL));
}

/* ---- partial branches ---- */

static bool is_shown(fixture *fx, const char *prefix, const char *ns, const char *name)
{
    pang_view view = rfx_view(fx, prefix);
    pang_content content = rfx_read(fx, &view, ns, name);
    return pang_content_exists(&content);
}

static bool is_shown_namespace(fixture *fx, const char *prefix, const char *dotted)
{
    size_t n;
    char **texts = fx_levels(fx, dotted, &n);
    pang_str *names = pang_arena_alloc_n(fx->arena, n, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = pang_str_from(texts[i]);
    pang_view view = rfx_view(fx, prefix);
    pang_content content = {.name = pang_name_of_namespace(&view.keys, (pang_levels){names, n})};
    fx_ok(fx, pang_content_get(&view, &content, 1, &fx->err));
    return pang_content_exists(&content);
}

static void make_content(fixture *fx)
{
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    fx_ok(fx, fx_create_namespace(fx, "other"));
    fx_ok(fx, fx_create_namespace(fx, "a"));
    fx_ok(fx, fx_create_namespace(fx, "a.b"));
    fx_ok(fx, fx_create_namespace(fx, "a.b.c"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_create_table(fx, "ns", "u", NULL));
    fx_ok(fx, fx_create_table(fx, "other", "t", NULL));
    fx_ok(fx, fx_create_table(fx, "a.b", "x", NULL));
    fx_ok(fx, fx_create_table(fx, "a.b", "y", NULL));
    fx_ok(fx, fx_create_table(fx, "a.b.c", "z", NULL));
}

static size_t n_listed;

static bool count_row(void *arg, const pang_content *row)
{
    (void)arg;
    (void)row;
    n_listed++;
    return true;
}

static size_t count_in(fixture *fx, const char *prefix, pang_space space, const char *path)
{
    pang_view view = rfx_view(fx, prefix);
    pang_content_query query = {.space = space, .path = pang_str_from(path), .limit = 1000};
    pang_str after;
    uint64_t sequence;
    fx_ok(fx, pang_view_sequence(&view, &sequence, &fx->err));
    pang_view_set_at(&view, sequence);
    n_listed = 0;
    fx_ok(fx, pang_content_list(&view, &query, count_row, NULL, &after, &fx->err));
    return n_listed;
}

static void test_svc_branch__a_partial_branch_holds_what_was_selected_and_nothing_else(void **state)
{
    fixture *fx = *state;
    branch *made;
    char *assets[] = {fx_text(fx, "ns.t"), fx_text(fx, "a.b.*"), fx_text(fx, "a.b.x")};
    make_content(fx);
    fx_ok(fx, create_partial(fx, "part", assets, 3, &made));
    assert_int_equal(made->n_assets, 3);
    assert_string_equal(made->assets[1], "a.b.*");
    assert_string_equal(made->from_branch, "main");
    assert_true(is_shown(fx, "demo@part", "ns", "t"));
    assert_false(is_shown(fx, "demo@part", "ns", "u"));
    assert_false(is_shown(fx, "demo@part", "other", "t"));
    assert_true(is_shown_namespace(fx, "demo@part", "ns"));
    assert_true(is_shown_namespace(fx, "demo@part", "a"));
    assert_true(is_shown_namespace(fx, "demo@part", "a.b"));
    assert_false(is_shown_namespace(fx, "demo@part", "a.b.c"));
    assert_false(is_shown_namespace(fx, "demo@part", "other"));
    assert_int_equal(count_in(fx, "demo@part", PANG_SPACE_NAMESPACE, ""), 2);
    assert_int_equal(count_in(fx, "demo@part", PANG_SPACE_ASSET, "ns"), 1);
    assert_int_equal(count_in(fx, "demo@part", PANG_SPACE_ASSET, "a.b"), 2);
    /* A commit of its own, which says so. */
    branch *got;
    fx_ok(fx, get(fx, "part", &got));
    assert_string_equal(got->head_commit_id, made->head_commit_id);
    pang_view view = rfx_view(fx, "demo@part");
    assert_int_equal(view.n_levels, 1);
    pang_commit_row head;
    fx_ok(fx, pang_commit_head(&view, &head, &fx->err));
    assert_int_equal(head.body->n_changes, 6);
}

static void test_svc_branch__a_copy_is_the_same_asset_and_its_files_are_shared(void **state)
{
    fixture *fx = *state;
    char *assets[] = {fx_text(fx, "ns.t")};
    make_content(fx);
    fx_ok(fx, create_partial(fx, "part", assets, 1, NULL));
    pang_view of_main = rfx_view(fx, "demo"), of_part = rfx_view(fx, "demo@part");
    pang_content a = rfx_read(fx, &of_main, "ns", "t"), b = rfx_read(fx, &of_part, "ns", "t");
    assert_true(pang_id_equal(pang_id_of(a.body->asset), pang_id_of(b.body->asset)));
    assert_true(pang_id_equal(pang_id_of(a.body->document), pang_id_of(b.body->document)));
    assert_true(b.body->shared && b.own);
    assert_true(fork_mark(fx, of_main.levels[0].branch) >= a.sequence);
    rfx_put(fx, "demo@part", "t", "changed");
    assert_string_not_equal(rfx_location(fx, "demo", "t"), "changed");
    /* A branch of it reads through it, and is known to come from main all the same. */
    fx_ok(fx, create(fx, "inner", "part", NULL));
    same(rfx_location(fx, "demo@inner", "t"), "changed");
    assert_false(is_shown(fx, "demo@inner", "ns", "u"));
    pang_view inner = rfx_view(fx, "demo@inner");
    assert_int_equal(inner.ref->n_bases, 1);
    assert_int_equal(inner.ref->n_forks, 2);
}

static void test_svc_branch__what_is_not_there_cannot_be_selected(void **state)
{
    fixture *fx = *state;
    static const char *const absent[] = {"ns.nothing", "nothing.t", "nothing.*", "ns..t"};
    static const char *const bad[] = {"t", "", ".t", "ns.", "*", ".*"};
    make_content(fx);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        char *assets[] = {fx_text(fx, "ns.t"), fx_text(fx, "%s", absent[i])};
        assert_int_equal(create_partial(fx, "part", assets, 2, NULL), PANG_NOT_FOUND);
        assert_non_null(strstr(fx->err.message, absent[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *assets[] = {fx_text(fx, "%s", bad[i])};
        assert_int_equal(create_partial(fx, "part", assets, 1, NULL), PANG_INVALID_ARGUMENT);
    }
    branch *got;
    assert_int_equal(get(fx, "part", &got), PANG_NOT_FOUND);
}

/* ---- lists ---- */

static void test_svc_branch__lists_hold_one_kind_by_name(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    for (int i = 0; i < 5; i++) {
        fx_ok(fx, create(fx, fx_text(fx, "b%d", i), "", NULL));
        fx_ok(fx, create_tag(fx, fx_text(fx, "a%d", i), "main", NULL));
    }
    Pangolin__V1__ListBranchesResponse all = list(fx, 0, 0, "");
    assert_int_equal(all.n_branches, 6);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(all.branches[i]->name, fx_text(fx, "b%zu", i));
    assert_string_equal(all.branches[5]->name, "main");
    Pangolin__V1__ListTagsRequest in = PANGOLIN__V1__LIST_TAGS_REQUEST__INIT;
    Pangolin__V1__ListTagsResponse out;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.page_size = 2;
    in.offset = 1;
    fx_ok(fx, fx_call(fx, "ListTags", &in, &out));
    assert_int_equal(out.n_tags, 2);
    assert_string_equal(out.tags[0]->name, "a1");
    assert_string_not_equal(out.next_page_token, "");
}

static void test_svc_branch__pages_join(void **state)
{
    fixture *fx = *state;
    const char *token = "";
    size_t n = 0;
    rfx_put(fx, "demo", "t", "one");
    for (int i = 0; i < 7; i++) {
        fx_ok(fx, create(fx, fx_text(fx, "b%d", i), "", NULL));
        fx_ok(fx, create_tag(fx, fx_text(fx, "b%d-tag", i), "main", NULL));
    }
    do {
        Pangolin__V1__ListBranchesResponse out = list(fx, 3, 0, token);
        for (size_t i = 0; i < out.n_branches; i++, n++)
            assert_string_equal(out.branches[i]->name, n == 7 ? "main" : fx_text(fx, "b%zu", n));
        token = out.next_page_token;
    } while (token[0] != '\0');
    assert_int_equal(n, 8);
    assert_int_equal(list(fx, 10, 6, "").n_branches, 2);
    assert_int_equal(list(fx, 10, 8, "").n_branches, 0);
}

static void test_svc_branch__without_a_catalog_a_name_must_be_one_catalogs(void **state)
{
    fixture *fx = *state;
    branch *got;
    Pangolin__V1__CreateCatalogRequest in = PANGOLIN__V1__CREATE_CATALOG_REQUEST__INIT;
    Pangolin__V1__CreateCatalogResponse out;
    in.name = fx_text(fx, "second");
    fx_ok(fx, fx_call(fx, "CreateCatalog", &in, &out));
    fx_ok(fx, create(fx, "dev", "", NULL));
    fx_ok(fx, get_in(fx, "", "dev", &got));
    assert_string_equal(got->catalog, FX_PREFIX);
    assert_int_equal(get_in(fx, "", "main", &got), PANG_INVALID_ARGUMENT);
    assert_int_equal(get_in(fx, "", "nothing", &got), PANG_NOT_FOUND);
}

/* ---- changing ---- */

static void test_svc_branch__a_renamed_branch_is_the_same_under_another_name(void **state)
{
    fixture *fx = *state;
    branch *made, *got;
    fx_ok(fx, create(fx, "dev", "", &made));
    rfx_put(fx, "demo@dev", "t", "own");
    fx_ok(fx, rename_branch(fx, "dev", "work"));
    assert_int_equal(get(fx, "dev", &got), PANG_NOT_FOUND);
    fx_ok(fx, get(fx, "work", &got));
    assert_string_equal(got->id, made->id);
    same(rfx_location(fx, "demo@work", "t"), "own");
    fx_ok(fx, create(fx, "inner", "work", &got));
    assert_string_equal(got->from_branch, "work");
    fx_ok(fx, create(fx, "dev", "", NULL));
    assert_int_equal(rename_branch(fx, "main", "trunk"), PANG_INVALID_ARGUMENT);
    assert_int_equal(rename_branch(fx, "nothing", "x"), PANG_NOT_FOUND);
    fx_ok(fx, rename_branch(fx, "work", "work"));
}

static void test_svc_branch__an_experimental_branch_can_be_promoted(void **state)
{
    fixture *fx = *state;
    branch *got;
    update_in in = update_of("dev");
    fx_ok(fx, create(fx, "dev", "", NULL));
    in.branch_type = fx_text(fx, "Ingest");
    assert_int_equal(update(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    in.branch_type = fx_text(fx, "ingest");
    fx_ok(fx, update(fx, &in, &got));
    assert_string_equal(got->branch_type, "ingest");
    in.branch_type = fx_text(fx, "experimental");
    assert_int_equal(update(fx, &in, NULL), PANG_INVALID_ARGUMENT);
}

static void test_svc_branch__nobody_writes_to_or_deletes_a_protected_branch(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    fx_ok(fx, protect(fx, "main", true));
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_PERMISSION_DENIED);
    fx_ok(fx, protect(fx, "main", false));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, create(fx, "dev", "", NULL));
    fx_ok(fx, protect(fx, "dev", true));
    assert_int_equal(delete_branch(fx, "dev"), PANG_FAILED_PRECONDITION);
    fx_ok(fx, protect(fx, "dev", false));
    fx_ok(fx, delete_branch(fx, "dev"));
}

/* ---- ending ---- */

static void test_svc_branch__a_deleted_branch_stays_for_what_was_made_from_it(void **state)
{
    fixture *fx = *state;
    branch *got;
    int64_t branches = tenant_count(fx, PANG_COUNT_BRANCHES);
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, create(fx, "dev", "", NULL));
    rfx_put(fx, "demo@dev", "t", "two");
    fx_ok(fx, create(fx, "inner", "dev", NULL));
    fx_ok(fx, create_tag(fx, "v1", "dev", NULL));
    pang_id id = rfx_view(fx, "demo@dev").levels[0].branch;
    fx_ok(fx, delete_branch(fx, "dev"));
    assert_int_equal(get(fx, "dev", &got), PANG_NOT_FOUND);
    assert_int_equal(delete_branch(fx, "dev"), PANG_NOT_FOUND);
    same(rfx_location(fx, "demo@inner", "t"), "two");
    same(rfx_location(fx, "demo@v1", "t"), "two");
    pang_view view = rfx_view(fx, "demo");
    pang_rec_branch *hidden;
    fx_ok(fx, pang_branch_find(&view, id, &hidden, &fx->err));
    assert_true(hidden->hidden);
    assert_string_equal(hidden->name, "dev");
    /* A branch of the same name is another one. */
    fx_ok(fx, create(fx, "dev", "", NULL));
    same(rfx_location(fx, "demo@dev", "t"), "one");
    assert_int_equal(tenant_count(fx, PANG_COUNT_BRANCHES), branches + 2);
    assert_int_equal(delete_branch(fx, "main"), PANG_INVALID_ARGUMENT);
    assert_int_equal(delete_branch(fx, "v1"), PANG_NOT_FOUND);
}

static void test_svc_branch__what_is_on_it_is_not_counted_again(void **state)
{
    fixture *fx = *state;
    char *assets[] = {fx_text(fx, "a.b.*")};
    make_content(fx);
    int64_t tables = tenant_count(fx, PANG_COUNT_TABLES);
    int64_t namespaces = tenant_count(fx, PANG_COUNT_NAMESPACES);
    fx_ok(fx, create_partial(fx, "part", assets, 1, NULL));
    fx_ok(fx, create(fx, "dev", "", NULL));
    rfx_put(fx, "demo@dev", "new", "own");
    rfx_drop(fx, "demo@dev", "t");
    fx_ok(fx, delete_branch(fx, "part"));
    fx_ok(fx, delete_branch(fx, "dev"));
    assert_int_equal(tenant_count(fx, PANG_COUNT_TABLES), tables);
    assert_int_equal(tenant_count(fx, PANG_COUNT_NAMESPACES), namespaces);
}

static void test_svc_branch__a_branch_ends_at_its_deadline(void **state)
{
    fixture *fx = *state;
    branch *got;
    pang_err err;
    int64_t branches = tenant_count(fx, PANG_COUNT_BRANCHES);
    create_in in = create_of("dev", "");
    in._ttl_case = PANGOLIN__V1__CREATE_BRANCH_REQUEST___TTL_TTL;
    in.ttl = 3600;
    fx_ok(fx, create_as(fx, &in, NULL));
    pang_id id = rfx_view(fx, "demo@dev").levels[0].branch;
    (void)pang_state_work(fx->state, &err);
    fx_ok(fx, get(fx, "dev", &got));
    atomic_fetch_add(&fx->ahead_ms, HOUR_MS + 1);
    /* Absent before anybody has done the work. */
    assert_int_equal(get(fx, "dev", &got), PANG_NOT_FOUND);
    assert_int_equal(list(fx, 0, 0, "").n_branches, 1);
    (void)pang_state_work(fx->state, &err);
    assert_int_equal(err.code, PANG_OK);
    assert_int_equal(tenant_count(fx, PANG_COUNT_BRANCHES), branches);
    pang_view view = rfx_view(fx, "demo");
    pang_rec_branch *hidden;
    fx_ok(fx, pang_branch_find(&view, id, &hidden, &fx->err));
    assert_true(hidden->hidden);
}

static void test_svc_branch__a_deadline_that_was_put_off_does_not_end_it(void **state)
{
    fixture *fx = *state;
    branch *got;
    pang_err err;
    fx_ok(fx, create(fx, "dev", "", NULL));
    fx_ok(fx, live_for(fx, "dev", 3600));
    fx_ok(fx, live_for(fx, "dev", 3 * 3600));
    fx_ok(fx, rename_branch(fx, "dev", "work"));
    atomic_fetch_add(&fx->ahead_ms, 2 * HOUR_MS);
    (void)pang_state_work(fx->state, &err);
    fx_ok(fx, get(fx, "work", &got));
    fx_ok(fx, live_for(fx, "work", 0));
    fx_ok(fx, get(fx, "work", &got));
    assert_string_equal(got->expires_at, "");
    atomic_fetch_add(&fx->ahead_ms, 2 * HOUR_MS);
    (void)pang_state_work(fx->state, &err);
    fx_ok(fx, get(fx, "work", &got));
    assert_int_equal(live_for(fx, "main", 60), PANG_INVALID_ARGUMENT);
}

static void test_svc_branch__the_name_of_an_expired_branch_is_free_at_once(void **state)
{
    fixture *fx = *state;
    branch *old, *got;
    pang_err err;
    int64_t branches = tenant_count(fx, PANG_COUNT_BRANCHES);
    fx_ok(fx, create(fx, "dev", "", &old));
    fx_ok(fx, live_for(fx, "dev", 60));
    atomic_fetch_add(&fx->ahead_ms, HOUR_MS);
    fx_ok(fx, create(fx, "dev", "", &got));
    assert_string_not_equal(got->id, old->id);
    (void)pang_state_work(fx->state, &err);
    fx_ok(fx, get(fx, "dev", &got));
    assert_int_equal(tenant_count(fx, PANG_COUNT_BRANCHES), branches + 1);
}

/* ---- tags ---- */

static void test_svc_branch__a_tag_is_on_a_commit(void **state)
{
    fixture *fx = *state;
    branch *main_branch;
    tag *made, *got;
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, get(fx, "main", &main_branch));
    fx_ok(fx, create_tag_on(fx, "v1", main_branch->head_commit_id, "", &made));
    assert_string_equal(made->commit_id, main_branch->head_commit_id);
    rfx_put(fx, "demo", "t", "two");
    same(rfx_location(fx, "demo@v1", "t"), "one");
    fx_ok(fx, get_tag(fx, "v1", &got));
    assert_string_equal(got->commit_id, made->commit_id);
    assert_int_equal(get_tag(fx, "main", &got), PANG_NOT_FOUND);
    assert_int_equal(create_tag_on(fx, "x", "01890a5d-ac96-774b-bcce-b302099a8057", "", NULL),
                     PANG_NOT_FOUND);
    assert_int_equal(create_tag_on(fx, "x", "v1", "", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(create_tag_on(fx, "x", "", "", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(create_tag_on(fx, "x", made->commit_id, "main", NULL), PANG_INVALID_ARGUMENT);
}

static void test_svc_branch__a_tag_on_an_unchanged_branch_is_on_its_sources_commit(void **state)
{
    fixture *fx = *state;
    tag *on_dev, *on_main;
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, create(fx, "dev", "", NULL));
    fx_ok(fx, create_tag(fx, "a", "dev", &on_dev));
    fx_ok(fx, create_tag(fx, "b", "main", &on_main));
    assert_string_equal(on_dev->commit_id, on_main->commit_id);
    same(rfx_location(fx, "demo@a", "t"), "one");
}

static void test_svc_branch__tags_are_deleted_once_and_again_unless_protected(void **state)
{
    fixture *fx = *state;
    tag *got;
    rfx_put(fx, "demo", "t", "one");
    fx_ok(fx, create_tag(fx, "v1", "main", NULL));
    fx_ok(fx, protect_tag(fx, "v1", true));
    assert_int_equal(delete_tag(fx, "v1"), PANG_FAILED_PRECONDITION);
    fx_ok(fx, protect_tag(fx, "v1", false));
    fx_ok(fx, delete_tag(fx, "v1"));
    fx_ok(fx, delete_tag(fx, "v1"));
    assert_int_equal(get_tag(fx, "v1", &got), PANG_NOT_FOUND);
    assert_int_equal(protect_tag(fx, "v1", true), PANG_NOT_FOUND);
    fx_ok(fx, delete_tag(fx, "main"));
    same(rfx_location(fx, "demo", "t"), "one");
}

/* ---- races ---- */

typedef struct {
    fixture *fx;
    const char *name, *catalog;
    pang_code code;
} racer;

static void *race(void *arg)
{
    racer *r = arg;
    pang_arena *arena = pang_arena_new(16 << 20);
    create_in in = create_of(r->name, "");
    in.catalog = (char *)(uintptr_t)r->catalog;
    Pangolin__V1__CreateBranchResponse out;
    unsigned runs;
    pang_str keep;
    pang_err err;
    r->code = arena == NULL
                  ? PANG_RESOURCE_EXHAUSTED
                  : fx_call_in(r->fx, arena, "CreateBranch", &in, &out, &runs, &keep, &err);
    pang_arena_free(arena);
    return NULL;
}

static void test_svc_branch__many_make_one_name_at_once(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    for (int i = 0; i < RACES; i++) {
        pthread_t threads[RACERS];
        racer racers[RACERS];
        char name[16];
        int made = 0;
        (void)snprintf(name, sizeof name, "b%d", i);
        for (int k = 0; k < RACERS; k++) {
            racers[k] = (racer){fx, name, FX_PREFIX, PANG_OK};
            assert_int_equal(pthread_create(&threads[k], NULL, race, &racers[k]), 0);
        }
        for (int k = 0; k < RACERS; k++) {
            pthread_join(threads[k], NULL);
            made += racers[k].code == PANG_OK;
            assert_true(racers[k].code == PANG_OK || racers[k].code == PANG_ALREADY_EXISTS);
        }
        assert_int_equal(made, 1);
    }
    assert_int_equal(list(fx, 0, 0, "").n_branches, RACES + 1);
    assert_int_equal(tenant_count(fx, PANG_COUNT_BRANCHES), RACES + 1);
}

static void *race_to_delete(void *arg)
{
    racer *r = arg;
    pang_arena *arena = pang_arena_new(16 << 20);
    Pangolin__V1__DeleteCatalogRequest in = PANGOLIN__V1__DELETE_CATALOG_REQUEST__INIT;
    Pangolin__V1__DeleteCatalogResponse out;
    unsigned runs;
    pang_str keep;
    pang_err err;
    in.name = (char *)(uintptr_t)r->catalog;
    r->code = arena == NULL
                  ? PANG_RESOURCE_EXHAUSTED
                  : fx_call_in(r->fx, arena, "DeleteCatalog", &in, &out, &runs, &keep, &err);
    pang_arena_free(arena);
    return NULL;
}

static void test_svc_branch__no_branch_is_left_of_a_catalog_that_goes_meanwhile(void **state)
{
    fixture *fx = *state;
    for (int i = 0; i < CATALOG_RACES; i++) {
        pthread_t threads[RACERS];
        racer racers[RACERS];
        Pangolin__V1__CreateCatalogRequest in = PANGOLIN__V1__CREATE_CATALOG_REQUEST__INIT;
        Pangolin__V1__CreateCatalogResponse out;
        in.name = fx_text(fx, "c%d", i);
        fx_ok(fx, fx_call(fx, "CreateCatalog", &in, &out));
        for (int k = 0; k < RACERS; k++) {
            racers[k] = (racer){fx, fx_text(fx, "b%d", k), in.name, PANG_OK};
            assert_int_equal(
                pthread_create(&threads[k], NULL, k == 0 ? race_to_delete : race, &racers[k]), 0);
        }
        for (int k = 0; k < RACERS; k++) {
            pthread_join(threads[k], NULL);
            if (racers[k].code != PANG_OK && (k == 0 || racers[k].code != PANG_NOT_FOUND))
                fail_msg("%d: %s", k, pang_code_name(racers[k].code));
        }
        assert_int_equal(tenant_count(fx, PANG_COUNT_BRANCHES), 1);
    }
}

/* Makes a branch by hand up to its commit. */
static pang_view begin_branch(fixture *fx, const char *name)
{
    pang_view view = rfx_view(fx, "demo");
    pang_branch_options options = {.name = pang_str_from(name)};
    pang_branch_made made;
    fx_ok(fx, pang_branch_make(&view, &fx->env, &fx->who, &options, &made, &fx->err));
    return view;
}

static void test_svc_branch__a_branch_does_not_outlive_its_catalog(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__DeleteCatalogRequest in = PANGOLIN__V1__DELETE_CATALOG_REQUEST__INIT;
    Pangolin__V1__DeleteCatalogResponse out;
    pang_err err;
    in.name = fx_text(fx, FX_PREFIX);
    fx_ok(fx, create(fx, "dev", "", NULL));
    fx_ok(fx, live_for(fx, "dev", 60));
    rfx_put(fx, "demo@dev", "t", "own");
    assert_int_equal(fx_call(fx, "DeleteCatalog", &in, &out), PANG_FAILED_PRECONDITION);
    in._cascade_case = PANGOLIN__V1__DELETE_CATALOG_REQUEST___CASCADE_CASCADE;
    in.cascade = true;
    pang_view making = begin_branch(fx, "late");
    fx_ok(fx, fx_call(fx, "DeleteCatalog", &in, &out));
    assert_int_equal(pang_txn_commit(making.txn, &fx->err), PANG_ABORTED);
    assert_int_equal(tenant_count(fx, PANG_COUNT_BRANCHES), 0);
    atomic_fetch_add(&fx->ahead_ms, HOUR_MS);
    (void)pang_state_work(fx->state, &err);
    assert_int_equal(err.code, PANG_OK);
    assert_int_equal(tenant_count(fx, PANG_COUNT_BRANCHES), 0);
    assert_int_equal(tenant_count(fx, PANG_COUNT_TABLES), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_svc_branch__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_branch_shows_what_it_was_made_from_and_what_was_done_on_it),
        TEST(the_head_of_a_new_branch_is_that_of_its_source),
        TEST(an_empty_catalog_has_no_head_and_can_be_branched),
        TEST(it_can_be_made_from_a_tag_a_commit_and_a_time),
        TEST(a_name_is_one_refs),
        TEST(names_that_address_something_else_are_refused),
        TEST(what_is_asked_for_is_kept),
        TEST(a_type_is_one_of_two),
        TEST(bad_requests),
        TEST(a_chain_of_branches_has_an_end),
        TEST(a_partial_branch_holds_what_was_selected_and_nothing_else),
        TEST(a_copy_is_the_same_asset_and_its_files_are_shared),
        TEST(what_is_not_there_cannot_be_selected),
        TEST(lists_hold_one_kind_by_name),
        TEST(pages_join),
        TEST(without_a_catalog_a_name_must_be_one_catalogs),
        TEST(a_renamed_branch_is_the_same_under_another_name),
        TEST(an_experimental_branch_can_be_promoted),
        TEST(nobody_writes_to_or_deletes_a_protected_branch),
        TEST(a_deleted_branch_stays_for_what_was_made_from_it),
        TEST(what_is_on_it_is_not_counted_again),
        TEST(a_branch_ends_at_its_deadline),
        TEST(a_deadline_that_was_put_off_does_not_end_it),
        TEST(the_name_of_an_expired_branch_is_free_at_once),
        TEST(a_tag_is_on_a_commit),
        TEST(a_tag_on_an_unchanged_branch_is_on_its_sources_commit),
        TEST(tags_are_deleted_once_and_again_unless_protected),
        TEST(many_make_one_name_at_once),
        TEST(no_branch_is_left_of_a_catalog_that_goes_meanwhile),
        TEST(a_branch_does_not_outlive_its_catalog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
