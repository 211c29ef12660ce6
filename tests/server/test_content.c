/*
 * server/content.c: what a name stands for now and stood for before, lists of one state, commits.
 */
#include "tests/server/catalog_fixture.h"

#include <stdio.h>
#include <string.h>

#define TABLE PANGOLIN__STORE__V1__KIND__KIND_TABLE

static pang_name asset_name(fixture *fx, pang_view *view, const char *ns, const char *name)
{
    pang_str *level = pang_arena_alloc(fx->arena, sizeof *level);
    *level = pang_str_from(ns);
    return pang_name_of_asset(&view->keys, (pang_levels){level, 1},
                              pang_str_from(fx_text(fx, "%s", name)));
}

static pang_content read_name(fixture *fx, pang_view *view, const char *name)
{
    pang_content content = {.name = asset_name(fx, view, "ns", name)};
    assert_int_equal(pang_content_get(view, &content, 1, &fx->err), PANG_OK);
    return content;
}

static pang_edit *begin_edit(fixture *fx, pang_view *view)
{
    pang_edit *edit;
    assert_int_equal(pang_edit_begin(view, &fx->env, &fx->who, &edit, &fx->err), PANG_OK);
    return edit;
}

/* Ends the edit, commits, and gives the number it got. */
static uint64_t land(fixture *fx, pang_edit *edit)
{
    assert_int_equal(pang_edit_end(edit, PANG_STR("test"), &fx->err), PANG_OK);
    if (pang_txn_commit(edit->view->txn, &fx->err) != PANG_OK)
        fail_msg("%s", fx->err.message);
    return pang_txn_number(edit->view->txn, edit->slot);
}

static uint64_t put_table(fixture *fx, const char *name, const char *location)
{
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_content at = read_name(fx, &view, name);
    pang_edit *edit = begin_edit(fx, &view);
    pang_rec_content body = PANGOLIN__STORE__V1__CONTENT__INIT;
    pang_id *asset = pang_arena_alloc(fx->arena, sizeof *asset);
    *asset = pang_id_v7(&fx->env);
    body.asset = pang_content_exists(&at) ? at.body->asset : pang_bytes_of_id(asset);
    body.kind = TABLE;
    body.metadata_location = fx_text(fx, "%s", location);
    assert_int_equal(pang_content_exists(&at) ? pang_edit_update(edit, &at, &body, &fx->err)
                                              : pang_edit_create(edit, &at, &body, &fx->err),
                     PANG_OK);
    return land(fx, edit);
}

static uint64_t drop_table(fixture *fx, const char *name)
{
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_content at = read_name(fx, &view, name);
    pang_edit *edit = begin_edit(fx, &view);
    assert_int_equal(pang_edit_drop(edit, &at, false, &fx->err), PANG_OK);
    return land(fx, edit);
}

/* Its location as of a sequence; NULL: it stood for nothing. */
static const char *at_sequence(fixture *fx, const char *name, uint64_t sequence)
{
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_view_set_at(&view, sequence);
    pang_content content = read_name(fx, &view, name);
    return pang_content_exists(&content) ? content.body->metadata_location : NULL;
}

static void test_content__every_state_can_be_read_again(void **state)
{
    fixture *fx = *state;
    uint64_t one = put_table(fx, "t", "one"), two = put_table(fx, "t", "two");
    uint64_t gone = drop_table(fx, "t"), again = put_table(fx, "t", "again");
    uint64_t last = put_table(fx, "t", "last");
    assert_true(one < two && two < gone && gone < again && again < last);
    assert_null(at_sequence(fx, "t", one - 1));
    assert_string_equal(at_sequence(fx, "t", one), "one");
    assert_string_equal(at_sequence(fx, "t", two), "two");
    assert_null(at_sequence(fx, "t", gone));
    assert_string_equal(at_sequence(fx, "t", again), "again");
    assert_string_equal(at_sequence(fx, "t", last), "last");
    assert_string_equal(at_sequence(fx, "t", last + 1000), "last");
}

static void test_content__numbers_have_no_gaps(void **state)
{
    fixture *fx = *state;
    uint64_t first = put_table(fx, "a", "1");
    for (uint64_t i = 1; i < 5; i++)
        assert_true(put_table(fx, i % 2 == 0 ? "a" : "b", "x") == first + i);
}

static void test_content__two_that_read_the_same_do_not_both_land(void **state)
{
    fixture *fx = *state;
    put_table(fx, "t", "one");
    pang_view views[2];
    pang_edit *edits[2];
    for (int i = 0; i < 2; i++) {
        views[i] = fx_view(fx, fx_begin(fx));
        pang_content at = read_name(fx, &views[i], "t");
        edits[i] = begin_edit(fx, &views[i]);
        assert_int_equal(pang_edit_update(edits[i], &at, at.body, &fx->err), PANG_OK);
        assert_int_equal(pang_edit_end(edits[i], PANG_STR("x"), &fx->err), PANG_OK);
    }
    assert_int_equal(pang_txn_commit(views[1].txn, &fx->err), PANG_OK);
    assert_int_equal(pang_txn_commit(views[0].txn, &fx->err), PANG_ABORTED);
}

static void test_content__writers_of_two_tables_do_not_meet(void **state)
{
    fixture *fx = *state;
    put_table(fx, "a", "1");
    put_table(fx, "b", "1");
    pang_view views[2];
    for (int i = 0; i < 2; i++) {
        views[i] = fx_view(fx, fx_begin(fx));
        pang_content at = read_name(fx, &views[i], i == 0 ? "a" : "b");
        pang_edit *edit = begin_edit(fx, &views[i]);
        assert_int_equal(pang_edit_update(edit, &at, at.body, &fx->err), PANG_OK);
        assert_int_equal(pang_edit_end(edit, PANG_STR("x"), &fx->err), PANG_OK);
    }
    assert_int_equal(pang_txn_commit(views[0].txn, &fx->err), PANG_OK);
    assert_int_equal(pang_txn_commit(views[1].txn, &fx->err), PANG_OK);
}

static pang_rec_asset *asset_of(fixture *fx, pang_view *view, pang_id id)
{
    pang_record record;
    pang_rec_asset *asset = NULL;
    pang_str key = pang_key_asset(&view->keys, view->levels[0].branch, id);
    assert_int_equal(pang_txn_get_one(view->txn, key, &record, &fx->err), PANG_OK);
    if (record.version != 0)
        assert_int_equal(pang_record_unpack(&pangolin__store__v1__asset__descriptor, &record,
                                            fx->arena, &asset, &fx->err),
                         PANG_OK);
    return asset;
}

static void test_content__an_asset_keeps_its_id_under_a_new_name(void **state)
{
    fixture *fx = *state;
    put_table(fx, "old", "one");
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_content from = read_name(fx, &view, "old"), to = read_name(fx, &view, "new");
    pang_edit *edit = begin_edit(fx, &view);
    assert_int_equal(pang_edit_move(edit, &from, &to, &fx->err), PANG_OK);
    uint64_t moved = land(fx, edit);
    view = fx_view(fx, fx_begin(fx));
    pang_content now = read_name(fx, &view, "new"), before = read_name(fx, &view, "old");
    assert_false(pang_content_exists(&before));
    assert_true(pang_id_equal(pang_id_of(now.body->asset), pang_id_of(from.body->asset)));
    assert_string_equal(asset_of(fx, &view, pang_id_of(now.body->asset))->name, "new");
    assert_string_equal(at_sequence(fx, "old", moved - 1), "one");
    assert_null(at_sequence(fx, "new", moved - 1));
    drop_table(fx, "new");
    view = fx_view(fx, fx_begin(fx));
    assert_true(asset_of(fx, &view, pang_id_of(now.body->asset))->dropped);
}

/* ---- the commit's own record ---- */

static void test_content__a_commit_says_what_it_changed(void **state)
{
    fixture *fx = *state;
    put_table(fx, "t", "one");
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_content at = read_name(fx, &view, "t");
    pang_edit *edit = begin_edit(fx, &view);
    pang_id id = edit->id;
    assert_int_equal(pang_edit_drop(edit, &at, true, &fx->err), PANG_OK);
    uint64_t number = land(fx, edit);
    pang_record records[2];
    pang_rec_commit *commit;
    view = fx_view(fx, fx_begin(fx));
    pang_ref refs[2] = {
        {.key = pang_key_commit(&view.keys, view.levels[0].branch, number)},
        {.key = pang_key_commit_id(&view.keys, id)},
    };
    assert_int_equal(pang_txn_get(view.txn, refs, 2, PANG_READ_CHECKED, records, &fx->err),
                     PANG_OK);
    assert_true(records[1].version != 0 && records[1].sequence == number);
    assert_true(records[0].sequence == number && records[0].time_ms > 0);
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__commit__descriptor, &records[0],
                                        fx->arena, &commit, &fx->err),
                     PANG_OK);
    assert_true(pang_id_equal(pang_id_of(commit->id), id));
    assert_string_equal(commit->author_name, "anonymous");
    assert_string_equal(commit->message, "test");
    assert_int_equal(commit->n_changes, 1);
    assert_string_equal(commit->changes[0]->path, "ns");
    assert_string_equal(commit->changes[0]->name, "t");
    assert_int_equal(commit->changes[0]->old_sequence, number - 1);
    assert_int_equal(commit->changes[0]->old_asset.len, 16);
    assert_int_equal(commit->changes[0]->new_asset.len, 0);
}

/* ---- lists ---- */

typedef struct {
    char names[4096];
    size_t n;
} seen;

static bool see(void *arg, const pang_content *row)
{
    seen *s = arg;
    size_t len = strlen(s->names);
    (void)snprintf(s->names + len, sizeof s->names - len, "%" PANG_STR_FMT " ",
                   PANG_STR_ARG(row->name.name));
    s->n++;
    return true;
}

static const char *list(fixture *fx, uint64_t sequence, const char *after, size_t limit, seen *s,
                        pang_str *ret_after)
{
    pang_view view = fx_view(fx, fx_begin(fx));
    *s = (seen){0};
    pang_view_set_at(&view, sequence);
    pang_content_query query = {.space = PANG_SPACE_ASSET,
                                .path = PANG_STR("ns"),
                                .after = pang_str_from(after),
                                .limit = limit};
    assert_int_equal(pang_content_list(&view, &query, see, s, ret_after, &fx->err), PANG_OK);
    return s->names;
}

static void test_content__a_list_is_of_one_state(void **state)
{
    fixture *fx = *state;
    seen s;
    pang_str after;
    put_table(fx, "a", "1");
    put_table(fx, "b", "1");
    uint64_t then = put_table(fx, "c", "1");
    put_table(fx, "bb", "1");
    drop_table(fx, "b");
    uint64_t now = put_table(fx, "a", "2");
    assert_string_equal(list(fx, then, "", 100, &s, &after), "a b c ");
    assert_int_equal(after.len, 0);
    assert_string_equal(list(fx, now, "", 100, &s, &after), "a bb c ");
    assert_string_equal(list(fx, then, "", 2, &s, &after), "a b ");
    assert_true(pang_str_equal(after, PANG_STR("b")));
    assert_string_equal(list(fx, then, "b", 2, &s, &after), "c ");
    assert_int_equal(after.len, 0);
}

static void test_content__a_list_passes_many_tombstones(void **state)
{
    fixture *fx = *state;
    seen s;
    pang_str after;
    uint64_t now = 0;
    for (int i = 0; i < 80; i++)
        put_table(fx, fx_text(fx, "t%03d", i), "x");
    for (int i = 0; i < 79; i++)
        now = drop_table(fx, fx_text(fx, "t%03d", i));
    assert_string_equal(list(fx, now, "", 1, &s, &after), "t079 ");
}

/* ---- reading through bases ---- */

/* A branch of the demo catalog's main, as of `sequence`, made by hand. */
static void make_branch(fixture *fx, const char *name, uint64_t sequence)
{
    pang_txn *txn = fx_begin(fx);
    pang_view view = fx_view(fx, txn);
    pang_rec_ref ref = PANGOLIN__STORE__V1__REF__INIT;
    pang_rec_point base = PANGOLIN__STORE__V1__POINT__INIT, *bases[] = {&base};
    pang_id id = pang_id_v7(&fx->env);
    ref.kind = PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH;
    ref.branch = pang_bytes_of_id(&id);
    base.branch = pang_bytes_of_id(&view.levels[0].branch);
    base.sequence = sequence;
    ref.bases = bases;
    ref.n_bases = 1;
    pang_txn_put(txn, PANG_KIND_REF, pang_key_ref(&view.keys, view.catalog, pang_str_from(name)),
                 pang_record_pack(&ref.base, fx->arena));
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
}

static void test_content__a_branch_reads_through_its_base(void **state)
{
    fixture *fx = *state;
    put_table(fx, "t", "one");
    uint64_t fork = put_table(fx, "u", "one");
    make_branch(fx, "dev", fork);
    put_table(fx, "t", "later on main");
    put_table(fx, "v", "later on main");
    pang_txn *txn = fx_begin(fx);
    pang_view view;
    assert_int_equal(
        pang_view_begin(txn, fx->arena, FX_SCOPE, PANG_STR("demo@dev"), "x", &view, &fx->err),
        PANG_OK);
    pang_content t = read_name(fx, &view, "t"), u = read_name(fx, &view, "u");
    pang_content v = read_name(fx, &view, "v");
    assert_string_equal(t.body->metadata_location, "one");
    assert_false(t.own);
    assert_true(pang_content_exists(&u));
    assert_false(pang_content_exists(&v));
    pang_edit *edit = begin_edit(fx, &view);
    pang_rec_content body = *t.body;
    body.metadata_location = fx_text(fx, "on dev");
    assert_int_equal(pang_edit_update(edit, &t, &body, &fx->err), PANG_OK);
    assert_int_equal(pang_edit_drop(edit, &u, false, &fx->err), PANG_OK);
    land(fx, edit);
    assert_int_equal(pang_view_begin(fx_begin(fx), fx->arena, FX_SCOPE, PANG_STR("demo@dev"), "x",
                                     &view, &fx->err),
                     PANG_OK);
    t = read_name(fx, &view, "t");
    u = read_name(fx, &view, "u");
    assert_string_equal(t.body->metadata_location, "on dev");
    assert_false(pang_content_exists(&u));
    assert_string_equal(at_sequence(fx, "t", UINT64_MAX - 1), "later on main");
    assert_string_equal(at_sequence(fx, "u", UINT64_MAX - 1), "one");
}

static void test_content__unknown_catalogs_and_refs_are_not_found(void **state)
{
    fixture *fx = *state;
    static const char *const prefixes[] = {"", "demo2", "demo@nope", "@main", "demo@"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        pang_view view;
        assert_int_equal(pang_view_begin(fx_begin(fx), fx->arena, FX_SCOPE,
                                         pang_str_from(prefixes[i]), "NoSuchX", &view, &fx->err),
                         PANG_NOT_FOUND);
        assert_string_equal(fx->err.reason, "NoSuchX");
    }
}

static void test_content__creation_breaks_a_check_for_emptiness(void **state)
{
    fixture *fx = *state;
    pang_str level = PANG_STR("ns");
    pang_view view = fx_view(fx, fx_begin(fx));
    bool empty = false;
    assert_int_equal(pang_content_is_empty(&view, (pang_levels){&level, 1}, &empty, &fx->err),
                     PANG_OK);
    assert_true(empty);
    put_table(fx, "t", "one");
    pang_txn_put(view.txn, PANG_KIND_SETTING, PANG_STR("~system/sy/x"), PANG_STR("x"));
    assert_int_equal(pang_txn_commit(view.txn, &fx->err), PANG_ABORTED);
    view = fx_view(fx, fx_begin(fx));
    assert_int_equal(pang_content_is_empty(&view, (pang_levels){&level, 1}, &empty, &fx->err),
                     PANG_OK);
    assert_false(empty);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_content__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_state_can_be_read_again),
        TEST(numbers_have_no_gaps),
        TEST(two_that_read_the_same_do_not_both_land),
        TEST(writers_of_two_tables_do_not_meet),
        TEST(an_asset_keeps_its_id_under_a_new_name),
        TEST(a_commit_says_what_it_changed),
        TEST(a_list_is_of_one_state),
        TEST(a_list_passes_many_tombstones),
        TEST(a_branch_reads_through_its_base),
        TEST(unknown_catalogs_and_refs_are_not_found),
        TEST(creation_breaks_a_check_for_emptiness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
