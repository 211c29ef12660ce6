/*
 * server/merge_*.c, what is written: manifests, numbers, row ids, summaries; merges after merges,
 * reverts, cherry-picks; what cannot be read.
 */
#include "merge_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FORK "+ a1@1:1,2,3; + a2@1:4,5; + b1@2:8,9"

static world w;

static int teardown(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

static const pang_json *begin(int version, const char *steps)
{
    return world_run(&w, world_begin(&w, version, true), steps);
}

static const pang_json *merge(const pang_json *source_half, const pang_json *source,
                              const pang_json *target_half, const pang_json *target)
{
    world_merge m = {source_half, source, target_half, target, source_half == target_half};
    pang_files_outcome files;
    const pang_json *merged = world_merged(&w, &m, &files);
    if (files.n_conflicts > 0)
        fail_msg("%.*s", PANG_STR_ARG(files.conflicts[0].description));
    return merged;
}

static pang_files_outcome clash(const pang_json *source_half, const pang_json *source,
                                const pang_json *target_half, const pang_json *target,
                                const char *words)
{
    world_merge m = {source_half, source, target_half, target, source_half == target_half};
    pang_files_outcome files;
    char text[2048] = "no conflict";
    assert_null(world_merged(&w, &m, &files));
    if (files.n_conflicts > 0)
        (void)snprintf(text, sizeof text, "%.*s", PANG_STR_ARG(files.conflicts[0].description));
    if (strstr(text, words) == NULL)
        fail_msg("%s", text);
    return files;
}

static const pang_json *head(const pang_json *document)
{
    const pang_json *list = pang_json_get(document, "snapshots");
    return pang_json_at(list, pang_json_size(list) - 1);
}

static int64_t number(const pang_json *object, const char *name)
{
    int64_t value = -1;
    (void)pang_json_to_int64(pang_json_get(object, name), &value);
    return value;
}

static const char *says(const pang_json *document, const char *name)
{
    pang_str text = {0};
    (void)pang_json_to_str(pang_json_get(pang_json_get(head(document), "summary"), name), &text);
    return text.ptr == NULL ? "" : pang_arena_cstr(w.arena, text);
}

/* ---- manifests ---- */

typedef struct {
    size_t n, with_snapshot, n_rows;
    int64_t snapshot;
    pang_str last;
} tally;

static void count(void *arg, const pang_manifest *row, const pang_manifest_entry *entry)
{
    tally *t = arg;
    t->n++;
    t->with_snapshot += entry->snapshot_id == t->snapshot;
    if (!pang_str_equal(row->path, t->last))
        t->n_rows++;
    t->last = row->path;
}

static void rows_of(const pang_json *document, pang_manifest **rows, size_t *n)
{
    assert_int_equal(w.from.list(&w, head(document), w.arena, rows, n, &w.err), PANG_OK);
}

static void test_merge_files__manifests_stay_but_for_those_that_lose_files(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11; + n2@2:12; - a2");
    const pang_json *target = world_run(&w, fork, "+ m1@1:13");
    const pang_json *merged = merge(fork, source, fork, target);
    pang_manifest *before, *after;
    size_t n_before, n_after, kept = 0;
    tally t = {.snapshot = number(head(merged), "snapshot-id")};
    (void)state;
    rows_of(target, &before, &n_before);
    rows_of(merged, &after, &n_after);
    for (size_t i = 0; i < n_after; i++) {
        for (size_t k = 0; k < n_before; k++)
            kept += pang_str_equal(after[i].path, before[k].path);
    }
    assert_int_equal(kept, n_before - 1);    /* a2's */
    assert_int_equal(n_after, n_before + 1); /* one of both new files, a2's again */
    assert_int_equal(after[0].added_files, 2);
    assert_int_equal(after[0].sequence, 5);
    assert_int_equal(after[0].snapshot_id, t.snapshot);
    assert_int_equal(after[1].deleted_files, 1);
    world_each(&w, merged, count, &t);
    assert_int_equal(t.n, 5);
    assert_int_equal(t.with_snapshot, 2);
    assert_string_equal(world_files(&w, merged), "a1:1:-1 b1:3:-1 m1:4:-1 n1:5:-1 n2:5:-1");
}

static void test_merge_files__snapshot_says_what_was_done(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11,12; - a2");
    const pang_json *target = world_run(&w, fork, "+ m1@1:13");
    const pang_json *merged = merge(fork, source, fork, target);
    (void)state;
    assert_string_equal(says(merged, "operation"), "overwrite");
    assert_string_equal(says(merged, "added-data-files"), "1");
    assert_string_equal(says(merged, "added-records"), "2");
    assert_string_equal(says(merged, "deleted-data-files"), "1");
    assert_string_equal(says(merged, "deleted-records"), "2");
    assert_string_equal(says(merged, "changed-partition-count"), "1");
    /* The engine said no totals, so there is none to go on from. */
    assert_string_equal(says(merged, "total-records"), "");
    assert_string_equal(says(merged, "pangolin.merge-commit"),
                        "00000000-0000-0000-0000-000000000000");
    assert_int_equal(number(head(merged), "parent-snapshot-id"),
                     number(head(target), "snapshot-id"));
    assert_int_equal(number(head(merged), "sequence-number"), 5);
    assert_true(number(head(merged), "timestamp-ms") >= 1700000000000);
}

static void test_merge_files__operation_is_that_of_the_content(void **state)
{
    static const struct {
        const char *steps, *operation;
    } cases[] = {{"+ n1@1:11", "append"},
                 {"- a1", "delete"},
                 {"~ a1>n1@1:1", "overwrite"},
                 {"^ a1,a2>k1", "replace"},
                 {"x a1:0", "delete"},
                 {"^ a1>k1; + n1@1:11", "overwrite"},
                 {"+ n1@1:11; E @2:1", "overwrite"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pang_json *fork = begin(2, FORK);
        const pang_json *source = world_run(&w, fork, cases[i].steps);
        const pang_json *target = world_run(&w, fork, "+ m1@1:13");
        const pang_json *merged = merge(fork, source, fork, target);
        if (strcmp(says(merged, "operation"), cases[i].operation) != 0)
            fail_msg("%s: %s", cases[i].steps, says(merged, "operation"));
        if (i + 1 < sizeof cases / sizeof cases[0])
            world_end(&w);
    }
}

static void test_merge_files__totals_go_on(void **state)
{
    const pang_json *empty = begin(2, "");
    const pang_json *first = merge(empty, world_run(&w, empty, "+ n1@1:11,12"), empty, empty);
    const pang_json *source = world_run(&w, first, "+ n2@1:13; - n1");
    const pang_json *merged = merge(first, source, first, first);
    (void)state;
    assert_string_equal(says(first, "total-records"), "2");
    assert_int_equal(number(head(first), "parent-snapshot-id"), -1);
    assert_string_equal(says(merged, "total-records"), "1");
    assert_string_equal(says(merged, "total-data-files"), "1");
    assert_string_equal(says(merged, "total-files-size"), "100");
    assert_string_equal(says(merged, "total-delete-files"), "0");
}

static void test_merge_files__version_1_has_no_numbers(void **state)
{
    const pang_json *fork = begin(1, FORK);
    const pang_json *merged = merge(fork, world_run(&w, fork, "+ n1@1:11; - a2"), fork,
                                    world_run(&w, fork, "+ m1@1:13"));
    (void)state;
    assert_null(pang_json_get(head(merged), "sequence-number"));
    assert_string_equal(world_scan(&w, merged), "1 2 3 8 9 11 13");
}

/* ---- numbers ---- */

static void test_merge_files__order_of_the_source_is_kept_for_equality_deletes(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork,
                                        "+ n1@1:11,12; + n2@2:7; e @1:11,1; + n3@1:11; + n4@1:14");
    const pang_json *target = world_run(&w, fork, "+ m1@2:15; + m2@2:16");
    const pang_json *merged = merge(fork, source, fork, target);
    (void)state;
    assert_string_equal(world_scan(&w, merged), "2 3 4 5 7 8 9 11 12 14 15 16");
    assert_int_equal(number(head(merged), "sequence-number"), 10);
    assert_non_null(strstr(world_files(&w, merged), "n1:6:-1 n2:7:-1 n3:9:-1 n4:10:-1"));
}

static void test_merge_files__compaction_keeps_a_number_that_both_know(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *merged = merge(fork, world_run(&w, fork, "^s a1,a2>k1"), fork,
                                    world_run(&w, fork, "E @1:2"));
    (void)state;
    assert_non_null(strstr(world_files(&w, merged), "k1:3:-1"));
    assert_string_equal(world_scan(&w, merged), "1 3 4 5 8 9");
}

/* The target's number of its half, since the source's means something else there. */
static void test_merge_files__compaction_after_a_merge_takes_the_targets_number(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11");
    const pang_json *target = world_run(&w, fork, "+ m1@2:13; + m2@2:14");
    const pang_json *into = merge(fork, source, fork, target); /* 6 */
    const pang_json *later = world_run(&w, source, "^s a1,n1>k1");
    const pang_json *merged = merge(source, later, into, world_run(&w, into, "E @1:2,11"));
    (void)state;
    assert_non_null(strstr(world_files(&w, merged), "k1:6:-1"));
    assert_string_equal(world_scan(&w, merged), "1 3 4 5 8 9 13 14");
}

static void test_merge_files__no_place_among_deletes_is_a_conflict(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11");
    const pang_json *target = world_run(&w, fork, "E @1:2; + m2@2:14");
    const pang_json *into = merge(fork, source, fork, target);
    const pang_json *later = world_run(&w, source, "^s a1,n1>k1");
    (void)state;
    (void)clash(source, later, into, into, "have no place among");
}

/* A file that comes back must not rise above a delete that held for it. */
static void test_merge_files__what_comes_back_goes_below_its_deletes(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11,12; E @1:11; ^ n1>k1");
    const pang_json *into = merge(fork, source, fork, world_run(&w, fork, "+ m1@2:13"));
    (void)state;
    const pang_json *merged = merge(source, world_run(&w, source, "r"), into, into);
    assert_string_equal(world_scan(&w, merged), "1 2 3 4 5 8 9 12 13");
    /* Not so with deletes that the source has not seen. */
    into = merge(fork, source, fork, world_run(&w, fork, "E @1:12"));
    (void)clash(source, world_run(&w, source, "r"), into, into, "have no place among");
}

/* A compaction goes the way back below the deletes that came after it. */
static void test_merge_files__merge_back_of_a_compaction_under_deletes(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *x = world_run(&w, fork, "e @1:1");
    const pang_json *y = world_run(&w, fork, "+ n1@2:11; + n2@1:7; ^s a2>k1");
    const pang_json *into = merge(fork, x, fork, y);
    const pang_json *back = merge(x, world_run(&w, into, "+ n3@2:12"), x, world_run(&w, x, "- b1"));
    (void)state;
    assert_string_equal(world_scan(&w, back), "2 3 4 5 7 11 12");
    assert_non_null(strstr(world_files(&w, back), "k1:3:-1"));
}

/* ---- merges after merges ---- */

static void test_merge_files__second_merge_brings_what_is_new(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11; x a1:0");
    const pang_json *into = merge(fork, source, fork, world_run(&w, fork, "+ m1@2:13"));
    const pang_json *later = world_run(&w, source, "+ n2@1:12; x a2:0; - b1");
    const pang_json *merged = merge(source, later, into, world_run(&w, into, "+ m2@2:14"));
    (void)state;
    assert_string_equal(world_scan(&w, merged), "2 3 5 11 12 13 14");
    assert_null(merge(later, later, merged, merged));
}

/* What the target had before the last merge the source has still not seen. */
static void test_merge_files__second_merge_sees_what_the_first_one_did_not(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@2:11");
    const pang_json *into = merge(fork, source, fork, world_run(&w, fork, "x a1:0; + m1@1:13"));
    (void)state;
    (void)clash(source, world_run(&w, source, "~ a1>c1@1:1,2"), into, into,
                "the target deleted rows of files that the source removed");
    (void)clash(source, world_run(&w, source, "x a1:1"), into, into,
                "both sides deleted rows of the same files");
    (void)clash(source, world_run(&w, source, "E @1:1"), into, into,
                "the source's equality deletes may concern");
}

static void test_merge_files__merge_back_brings_only_the_others(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *x = world_run(&w, fork, "+ n1@1:11; - a2");
    const pang_json *y = world_run(&w, fork, "+ m1@2:13; x b1:0");
    const pang_json *into = merge(fork, x, fork, y);
    const pang_json *back = merge(x, world_run(&w, into, "+ m2@1:14"), x,
                                  world_run(&w, x, "+ n2@1:12"));
    (void)state;
    assert_string_equal(world_scan(&w, back), "1 2 3 9 11 12 13 14");
}

static void test_merge_files__one_rewrite_on_both_sides_is_no_conflict(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *third = world_run(&w, fork, "~ a1>c1@1:1,21; x a2:0; + n1@1:22");
    const pang_json *x = merge(fork, third, fork, world_run(&w, fork, "+ m1@2:13"));
    const pang_json *y = merge(fork, third, fork, world_run(&w, fork, "+ m2@2:14"));
    (void)state;
    assert_string_equal(world_scan(&w, merge(fork, x, fork, y)), "1 5 8 9 13 14 21 22");
    (void)clash(fork, world_run(&w, x, "- b1"), fork, world_run(&w, y, "~ b1>c2@2:8"),
                "the source removed or rewrote files that the target");
}

static void test_merge_files__what_the_target_gave_up_does_not_come_back(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *third = world_run(&w, fork, "+ n1@1:11");
    const pang_json *x = world_run(&w, fork, "+ m1@2:13");
    const pang_json *y = merge(fork, x, fork, merge(fork, third, fork, fork));
    const pang_json *x2 = merge(fork, third, fork, x);
    (void)state;
    (void)clash(x, x2, y, world_run(&w, y, "- n1"),
                "the source added files that the target had and removed");
}

/* ---- reverts and cherry-picks ---- */

static void test_merge_files__revert_brings_files_back_with_their_numbers(void **state)
{
    const pang_json *before = begin(3, FORK "; E @1:2");
    const pang_json *after = world_run(&w, before, "~ a1>c1@1:1,21");
    const pang_json *target = world_run(&w, after, "+ n1@1:2,22; - b1");
    const pang_json *merged = merge(after, before, after, target);
    (void)state;
    assert_string_equal(world_scan(&w, merged), "1 2 3 4 5 22");
    assert_non_null(strstr(world_files(&w, merged), "a1:1:0"));
    assert_int_equal(number(merged, "next-row-id"), number(target, "next-row-id") + 3);
}

static void test_merge_files__revert_under_a_later_equality_delete_is_a_conflict(void **state)
{
    const pang_json *before = begin(2, FORK);
    const pang_json *after = world_run(&w, before, "- a1");
    (void)state;
    (void)clash(after, before, after, world_run(&w, after, "E @1:2"), "have no place among");
    assert_string_equal(world_scan(&w, merge(after, before, after, world_run(&w, after, "E @2:8"))),
                        "1 2 3 4 5 9");
}

static void test_merge_files__revert_of_an_append_removes_it(void **state)
{
    const pang_json *before = begin(2, FORK);
    const pang_json *after = world_run(&w, before, "+ n1@1:11");
    const pang_json *merged = merge(after, before, after, world_run(&w, after, "+ n2@1:12"));
    (void)state;
    assert_string_equal(world_scan(&w, merged), "1 2 3 4 5 8 9 12");
    assert_string_equal(says(merged, "operation"), "delete");
    (void)clash(after, before, after, world_run(&w, after, "x n1:0"),
                "the target deleted rows of files");
}

static void test_merge_files__revert_of_a_vector_brings_the_old_one_back(void **state)
{
    const pang_json *before = begin(3, FORK "; v a1:0/a2:0");
    const pang_json *after = world_run(&w, before, "v a1:1");
    const pang_json *merged = merge(after, before, after, world_run(&w, after, "+ n1@1:11"));
    (void)state;
    assert_string_equal(world_scan(&w, merged), "2 3 5 8 9 11");
}

static void test_merge_files__cherry_pick_of_one_commit(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *before = world_run(&w, fork, "+ n1@1:11; + n2@2:12");
    const pang_json *picked = world_run(&w, before, "+ n3@1:14");
    const pang_json *target = world_run(&w, fork, "+ m1@1:13");
    (void)state;
    assert_string_equal(world_scan(&w, merge(before, picked, before, target)),
                        "1 2 3 4 5 8 9 13 14");
    (void)clash(before, world_run(&w, before, "- n1"), before, target,
                "the source removed or rewrote files that the target");
}

static void test_merge_files__deletes_taken_back_on_what_went_are_a_conflict(void **state)
{
    static const char taken[] = "one side took deletes back";
    const pang_json *fork = begin(2, FORK "; + a3@1:6,7; E @1:2");
    const pang_json *back = world_run(&w, fork, "r; + m1@2:13");
    const pang_json *elsewhere = world_run(&w, fork, "- b1; + n1@1:2");
    const pang_json *rewritten = world_run(&w, fork, "~ a1>c1@1:1,3");
    (void)state;
    (void)clash(fork, rewritten, fork, back, taken);
    (void)clash(fork, back, fork, rewritten, taken);
    assert_string_equal(world_scan(&w, merge(fork, elsewhere, fork, back)), "1 2 2 3 4 5 6 7 13");
    assert_string_equal(world_scan(&w, merge(fork, back, fork, elsewhere)), "1 2 2 3 4 5 6 7 13");
}

static void test_merge_files__deletes_taken_back_elsewhere_by_their_bounds_merge(void **state)
{
    const pang_json *fork = begin(2, FORK "; + a3@1:6,7; e @1:2");
    const pang_json *back = world_run(&w, fork, "r; + m1@2:13");
    const pang_json *rewritten = world_run(&w, fork, "~ a2>c1@1:4");
    (void)state;
    assert_string_equal(world_scan(&w, merge(fork, rewritten, fork, back)), "1 2 3 4 6 7 8 9 13");
    assert_string_equal(world_scan(&w, merge(fork, back, fork, rewritten)), "1 2 3 4 6 7 8 9 13");
}

/* ---- version 3 ---- */

static void test_merge_files__rows_take_the_targets_next_ids(void **state)
{
    const pang_json *fork = begin(3, FORK);
    const pang_json *target = world_run(&w, fork, "+ m1@1:13,14");
    const pang_json *merged = merge(fork, world_run(&w, fork, "+ n1@1:11; + n2@1:12"), fork,
                                    target);
    (void)state;
    assert_int_equal(number(head(merged), "first-row-id"), 9);
    assert_int_equal(number(head(merged), "added-rows"), 2);
    assert_int_equal(number(merged, "next-row-id"), 11);
    assert_non_null(strstr(world_files(&w, merged), "n1:5:10 n2:5:9"));
}

static void test_merge_files__existing_files_keep_their_row_ids(void **state)
{
    const pang_json *fork = begin(3, "+ z0@1:90; + a1@1:1,2,3");
    const pang_json *both = merge(fork, world_run(&w, fork, "+ n1@1:11; + n2@1:12"), fork, fork);
    const pang_json *merged = merge(both, world_run(&w, both, "- n2"), both,
                                    world_run(&w, both, "+ m1@1:13"));
    (void)state;
    /* n1's comes from its place in a manifest that is no more. */
    assert_string_equal(world_files(&w, merged), "a1:2:1 m1:4:6 n1:3:5 z0:1:0");
}

static void test_merge_files__row_ids_that_both_gave_are_a_conflict(void **state)
{
    const pang_json *fork = begin(3, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11,12; ^ a1,n1>k1");
    const pang_json *other = world_run(&w, fork, "+ n1@1:11,12; ^ a1,a2>k1");
    const pang_json *target = world_run(&w, fork, "+ m1@2:13");
    (void)state;
    (void)clash(fork, source, fork, target, "row ids");
    assert_non_null(merge(fork, other, fork, target));
    /* Where the target gave none, new ids begin behind the source's. */
    const pang_json *merged = merge(fork, source, fork, world_run(&w, fork, "- b1"));
    assert_int_equal(number(head(merged), "first-row-id"), number(source, "next-row-id"));
}

static void test_merge_files__rewrite_of_rows_with_other_ids_is_a_conflict(void **state)
{
    const pang_json *fork = begin(3, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11");
    const pang_json *into = merge(fork, source, fork, world_run(&w, fork, "+ m1@2:13"));
    (void)state;
    (void)clash(source, world_run(&w, source, "~ n1>c1@1:11,12"), into, into, "row ids");
    assert_non_null(merge(source, world_run(&w, source, "- n1"), into, into));
}

static void test_merge_files__deletes_of_another_version_are_a_conflict(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "x a1:0");
    pang_json *target = pang_json_copy(world_run(&w, fork, "+ m1@1:13"), w.arena);
    (void)state;
    assert_true(pang_json_set(target, "format-version", pang_json_int(3, w.arena)));
    (void)clash(fork, source, fork, target, "format version");
}

static void test_merge_files__vectors_of_one_file_are_told_apart(void **state)
{
    const pang_json *fork = begin(3, FORK "; v a1:0/a2:0/b1:0");
    const pang_json *merged = merge(fork, world_run(&w, fork, "v a1:1; - b1"), fork,
                                    world_run(&w, fork, "v a2:1"));
    (void)state;
    assert_string_equal(world_scan(&w, merged), "3");
}

/* ---- specs ---- */

static void test_merge_files__specs_go_by_the_merged_documents_ids(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11; E @1:1");
    pang_json *merged = pang_json_copy(world_run(&w, fork, "+ m1@1:13"), w.arena);
    pang_json *specs = pang_json_get(merged, "partition-specs");
    pang_json *fifth = pang_json_copy(pang_json_at(specs, 0), w.arena);
    const pang_id_pair pairs[] = {{0, 5}};
    pang_merge_table table = {.env = &w.env,
                              .arena = w.arena,
                              .source_half = {.document = fork},
                              .source = {.document = source},
                              .target_half = {.document = fork},
                              .target = {.document = merged},
                              .one_half = true};
    pang_merge_files files = {&table, merged, pairs, 1, NULL, 0, false};
    pang_files_outcome outcome;
    pang_manifest *rows;
    size_t n;
    (void)state;
    assert_true(pang_json_set(fifth, "spec-id", pang_json_int(5, w.arena)) &&
                pang_json_append(specs, fifth));
    assert_int_equal(pang_merge_steps(&files, &w.from, &w.sink, &outcome, &w.err), PANG_OK);
    assert_int_equal(outcome.n_conflicts, 0); /* m1 is of spec 0, the deletes of spec 5 */
    rows_of(world_with(&w, merged, &outcome), &rows, &n);
    assert_int_equal(rows[0].spec_id, 5);
    assert_int_equal(rows[1].spec_id, 5);
    assert_int_equal(rows[1].content, PANG_MANIFEST_DELETES);
}

/* ---- what cannot be read ---- */

static void test_merge_files__what_cannot_be_read_is_a_conflict(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11");
    const pang_json *target = world_run(&w, fork, "+ m1@1:13");
    pang_manifest *rows;
    size_t n;
    pang_str list = {0};
    struct world_file *files = w.files;
    (void)state;
    rows_of(source, &rows, &n);
    w.broken = pang_arena_cstr(w.arena, rows[0].path);
    pang_files_outcome outcome = clash(fork, source, fork, target, w.broken);
    assert_non_null(strstr(pang_arena_cstr(w.arena, outcome.conflicts[0].details), w.broken));
    assert_int_equal(outcome.conflicts[0].type, PANG_CONFLICT_DATA);
    (void)pang_json_to_str(pang_json_get(head(target), "manifest-list"), &list);
    w.broken = pang_arena_cstr(w.arena, list);
    (void)clash(fork, source, fork, target, w.broken);
    assert_ptr_equal(w.files, files); /* nothing was written */
    w.broken = NULL;
    assert_non_null(merge(fork, source, fork, target));
}

/* Manifests that both lists name are not even read. */
static void test_merge_files__what_both_list_is_skipped(void **state)
{
    const pang_json *fork = begin(2, FORK);
    const pang_json *source = world_run(&w, fork, "+ n1@1:11; - a2");
    const pang_json *target = world_run(&w, fork, "+ m1@1:13");
    pang_manifest *rows;
    size_t n;
    (void)state;
    rows_of(fork, &rows, &n);
    w.broken = pang_arena_cstr(w.arena, rows[0].path); /* b1's */
    assert_string_equal(world_scan(&w, merge(fork, source, fork, target)), "1 2 3 8 9 11 13");
}

static void test_merge_files__conflicts_name_files_and_partitions(void **state)
{
    const pang_json *fork = begin(2, FORK);
    pang_files_outcome outcome = clash(fork, world_run(&w, fork, "- a1,b1"), fork,
                                       world_run(&w, fork, "- a1,b1"), "\"b1\", \"a1\"");
    const char *details = pang_arena_cstr(w.arena, outcome.conflicts[0].details);
    (void)state;
    assert_string_equal(details, "{\"overlapping_partitions\":[\"p=2\",\"p=1\"],"
                                 "\"files\":[\"b1\",\"a1\"],\"count\":2}");
}

#define TEST(fn) cmocka_unit_test_teardown(fn, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_merge_files__manifests_stay_but_for_those_that_lose_files),
        TEST(test_merge_files__snapshot_says_what_was_done),
        TEST(test_merge_files__operation_is_that_of_the_content),
        TEST(test_merge_files__totals_go_on),
        TEST(test_merge_files__version_1_has_no_numbers),
        TEST(test_merge_files__order_of_the_source_is_kept_for_equality_deletes),
        TEST(test_merge_files__compaction_keeps_a_number_that_both_know),
        TEST(test_merge_files__compaction_after_a_merge_takes_the_targets_number),
        TEST(test_merge_files__no_place_among_deletes_is_a_conflict),
        TEST(test_merge_files__what_comes_back_goes_below_its_deletes),
        TEST(test_merge_files__merge_back_of_a_compaction_under_deletes),
        TEST(test_merge_files__second_merge_brings_what_is_new),
        TEST(test_merge_files__second_merge_sees_what_the_first_one_did_not),
        TEST(test_merge_files__merge_back_brings_only_the_others),
        TEST(test_merge_files__one_rewrite_on_both_sides_is_no_conflict),
        TEST(test_merge_files__what_the_target_gave_up_does_not_come_back),
        TEST(test_merge_files__revert_brings_files_back_with_their_numbers),
        TEST(test_merge_files__revert_under_a_later_equality_delete_is_a_conflict),
        TEST(test_merge_files__revert_of_an_append_removes_it),
        TEST(test_merge_files__revert_of_a_vector_brings_the_old_one_back),
        TEST(test_merge_files__cherry_pick_of_one_commit),
        TEST(test_merge_files__deletes_taken_back_on_what_went_are_a_conflict),
        TEST(test_merge_files__deletes_taken_back_elsewhere_by_their_bounds_merge),
        TEST(test_merge_files__rows_take_the_targets_next_ids),
        TEST(test_merge_files__existing_files_keep_their_row_ids),
        TEST(test_merge_files__row_ids_that_both_gave_are_a_conflict),
        TEST(test_merge_files__rewrite_of_rows_with_other_ids_is_a_conflict),
        TEST(test_merge_files__deletes_of_another_version_are_a_conflict),
        TEST(test_merge_files__vectors_of_one_file_are_told_apart),
        TEST(test_merge_files__specs_go_by_the_merged_documents_ids),
        TEST(test_merge_files__what_cannot_be_read_is_a_conflict),
        TEST(test_merge_files__what_both_list_is_skipped),
        TEST(test_merge_files__conflicts_name_files_and_partitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
