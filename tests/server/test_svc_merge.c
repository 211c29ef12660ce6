/*
 * server/svc_merge*.c: the states of a merge operation through the small dispatcher: begun, waiting
 * with its conflicts, decided, completed, given up; and what no operation comes of. What merges
 * make of content is in test_merge*.c.
 */
#include "tests/server/avro_fixture.h"
#include "tests/server/ref_fixture.h"

#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "server/branches.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"

#define MAIN FX_PREFIX
#define DEV FX_PREFIX "@dev"

typedef Pangolin__V1__MergeBranchesRequest merge_in;
typedef Pangolin__V1__MergeBranchesResponse merge_out;
typedef Pangolin__V1__MergeOperation operation;
typedef Pangolin__V1__MergeConflict conflict;

/* ---- calls ---- */

/* The code, and a part of the message. */
static void refused(fixture *fx, pang_code is, pang_code expected, const char *part)
{
    if (is != expected || strstr(fx->err.message, part) == NULL)
        fail_msg("%s: %s, and not %s: %s", pang_code_name(is), fx->err.message,
                 pang_code_name(expected), part);
}

static void set(fixture *fx, const char *prefix, const char *ns, const char *key, const char *value)
{
    size_t n;
    char **levels = fx_levels(fx, ns, &n);
    fx_set_property(fx, prefix, levels, n, key, value);
}

/* A property of a namespace; NULL: it has none. */
static const char *get(fixture *fx, const char *prefix, const char *ns, const char *key)
{
    Pangolin__V1__LoadNamespaceRequest in = PANGOLIN__V1__LOAD_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__LoadNamespaceResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    fx_ok(fx, fx_call(fx, "LoadNamespace", &in, &out));
    for (size_t i = 0; i < out.n_properties; i++)
        if (strcmp(out.properties[i]->key, key) == 0)
            return out.properties[i]->value;
    return NULL;
}

static void branch_of(fixture *fx, const char *name, const char *type, const char *from)
{
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.from = TEXT(from);
    in.name = TEXT(name);
    in.branch_type = TEXT(type);
    fx_ok(fx, fx_call(fx, "CreateBranch", &in, &out));
}

static void branch(fixture *fx, const char *name, const char *type)
{
    branch_of(fx, name, type, "main");
}

static void promote(fixture *fx, const char *name)
{
    Pangolin__V1__UpdateBranchRequest in = PANGOLIN__V1__UPDATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__UpdateBranchResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.branch = TEXT(name);
    in.branch_type = TEXT("ingest");
    fx_ok(fx, fx_call(fx, "UpdateBranch", &in, &out));
}

static void protect(fixture *fx, const char *name)
{
    Pangolin__V1__UpdateBranchRequest in = PANGOLIN__V1__UPDATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__UpdateBranchResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.branch = TEXT(name);
    in._protected_case = PANGOLIN__V1__UPDATE_BRANCH_REQUEST___PROTECTED_PROTECTED;
    in.protected_ = true;
    fx_ok(fx, fx_call(fx, "UpdateBranch", &in, &out));
}

static merge_in merge_of(const char *source, const char *target)
{
    merge_in in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.source_branch = TEXT(source);
    in.target_branch = TEXT(target);
    return in;
}

static pang_code resolve(fixture *fx, const char *id, const char *strategy, const char *value)
{
    Pangolin__V1__ResolveConflictRequest in = PANGOLIN__V1__RESOLVE_CONFLICT_REQUEST__INIT;
    Pangolin__V1__ResolveConflictResponse out;
    in.id = TEXT(id);
    in.strategy = TEXT(strategy);
    if (value != NULL)
        in.resolved_value = fx_bytes(value);
    pang_code code = fx_call(fx, "ResolveConflict", &in, &out);
    if (code == PANG_OK) {
        assert_string_equal(out.status, "resolved");
        assert_string_equal(out.conflict_id, id);
    }
    return code;
}

static pang_code complete(fixture *fx, const char *id, Pangolin__V1__CompleteMergeResponse *out)
{
    Pangolin__V1__CompleteMergeRequest in = PANGOLIN__V1__COMPLETE_MERGE_REQUEST__INIT;
    in.id = TEXT(id);
    return fx_call(fx, "CompleteMerge", &in, out);
}

static pang_code give_up(fixture *fx, const char *id)
{
    Pangolin__V1__AbortMergeRequest in = PANGOLIN__V1__ABORT_MERGE_REQUEST__INIT;
    Pangolin__V1__AbortMergeResponse out;
    in.id = TEXT(id);
    pang_code code = fx_call(fx, "AbortMerge", &in, &out);
    if (code == PANG_OK)
        assert_string_equal(out.status, "aborted");
    return code;
}

static pang_code find(fixture *fx, const char *id, operation **ret)
{
    Pangolin__V1__GetMergeOperationRequest in = PANGOLIN__V1__GET_MERGE_OPERATION_REQUEST__INIT;
    Pangolin__V1__GetMergeOperationResponse out;
    in.id = TEXT(id);
    pang_code code = fx_call(fx, "GetMergeOperation", &in, &out);
    *ret = code == PANG_OK ? out.operation : NULL;
    return code;
}

static const char *status_of(fixture *fx, const char *id)
{
    operation *op;
    fx_ok(fx, find(fx, id, &op));
    return op->status;
}

static pang_code conflicts_of(fixture *fx, const char *id, conflict ***ret, size_t *ret_n)
{
    Pangolin__V1__ListMergeConflictsRequest in = PANGOLIN__V1__LIST_MERGE_CONFLICTS_REQUEST__INIT;
    Pangolin__V1__ListMergeConflictsResponse out;
    in.id = TEXT(id);
    pang_code code = fx_call(fx, "ListMergeConflicts", &in, &out);
    *ret = code == PANG_OK ? out.conflicts : NULL;
    *ret_n = code == PANG_OK ? out.n_conflicts : 0;
    return code;
}

static Pangolin__V1__ListMergeOperationsResponse list(fixture *fx)
{
    Pangolin__V1__ListMergeOperationsRequest in = PANGOLIN__V1__LIST_MERGE_OPERATIONS_REQUEST__INIT;
    Pangolin__V1__ListMergeOperationsResponse out;
    in.catalog = TEXT(FX_PREFIX);
    fx_ok(fx, fx_call(fx, "ListMergeOperations", &in, &out));
    return out;
}

/* ---- scenes ---- */

/* Namespaces a and b, and a branch dev. */
static int setup(void **state)
{
    fx_setup(state);
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "a"));
    fx_ok(fx, fx_create_namespace(fx, "b"));
    set(fx, MAIN, "a", "k", "0");
    branch(fx, "dev", "ingest");
    return 0;
}

/* Both sides set k of a and of b: an operation that waits for two decisions. */
static const char *begin_apart(fixture *fx, conflict ***ret)
{
    merge_out out;
    size_t n;
    set(fx, DEV, "a", "k", "source");
    set(fx, DEV, "b", "k", "source");
    set(fx, MAIN, "a", "k", "target");
    set(fx, MAIN, "b", "k", "target");
    fx_ok(fx, fx_merge(fx, "dev", "main", &out));
    assert_non_null(out.conflicted);
    assert_string_equal(out.conflicted->status, "conflicted");
    assert_int_equal(out.conflicted->conflicts, 2);
    fx_ok(fx, conflicts_of(fx, out.conflicted->operation_id, ret, &n));
    assert_int_equal(n, 2);
    return out.conflicted->operation_id;
}

/* ---- begun ---- */

static void test_merge__without_conflicts_is_done_at_once(void **state)
{
    fixture *fx = *state;
    merge_out out, again;
    operation *op;
    set(fx, DEV, "a", "k", "1");
    fx_ok(fx, fx_merge(fx, "dev", "main", &out));
    assert_null(out.conflicted);
    assert_string_equal(out.operation->status, "Completed");
    assert_string_equal(out.operation->kind, "merge");
    assert_int_equal(out.operation->n_changes, 1);
    assert_string_equal(out.operation->changes[0]->key, "a");
    assert_string_equal(out.operation->changes[0]->outcome, "taken");
    assert_string_equal(get(fx, MAIN, "a", "k"), "1");
    fx_ok(fx, find(fx, out.operation->id, &op));
    assert_string_equal(op->status, "Completed");
    assert_string_equal(op->result_commit_id, out.operation->result_commit_id);
    /* With nothing to do the result is the target's head. Ids of one millisecond have no order. */
    atomic_fetch_add(&fx->ahead_ms, 2);
    fx_ok(fx, fx_merge(fx, "dev", "main", &again));
    assert_string_equal(again.operation->result_commit_id, out.operation->result_commit_id);
    assert_int_equal(list(fx).n_operations, 2);
    assert_string_equal(list(fx).operations[1]->id, out.operation->id); /* the newest first */
}

static void test_merge__with_conflicts_waits_and_says_why(void **state)
{
    fixture *fx = *state;
    conflict **all;
    operation *op;
    const char *id = begin_apart(fx, &all);
    assert_string_equal(all[0]->asset_name, "a");
    assert_string_equal(all[0]->conflict_type, "metadata_conflict");
    assert_string_equal(all[0]->merge_operation_id, id);
    assert_null(all[0]->resolution);
    assert_non_null(strstr(pang_arena_cstr(fx->arena, pang_str_of(all[0]->details)),
                           "\"properties\":[{\"name\":\"k\",\"base\":\"0\",\"source\":"
                           "\"source\",\"target\":\"target\"}]"));
    fx_ok(fx, find(fx, id, &op));
    assert_string_equal(op->status, "Conflicted");
    assert_int_equal(op->conflicts_count, 2);
    assert_int_equal(op->n_conflicts, 2);
    assert_string_equal(op->conflict_ids[1], all[1]->id);
    assert_string_equal(get(fx, MAIN, "a", "k"), "target"); /* nothing was merged */
    assert_string_equal(get(fx, MAIN, "b", "k"), "target");
}

/* ---- decided ---- */

static void test_merge__each_conflict_is_decided_and_then_it_completes(void **state)
{
    fixture *fx = *state;
    conflict **all, **after;
    Pangolin__V1__CompleteMergeResponse out;
    operation *op;
    size_t n;
    const char *id = begin_apart(fx, &all);
    fx_ok(fx, resolve(fx, all[0]->id, "takesource", NULL)); /* in any case */
    assert_string_equal(status_of(fx, id), "Resolving");
    fx_ok(fx, resolve(fx, all[1]->id, "TakeTarget", NULL));
    assert_string_equal(status_of(fx, id), "Ready");
    fx_ok(fx, conflicts_of(fx, id, &after, &n));
    assert_string_equal(after[0]->resolution->strategy, "TakeSource");
    assert_string_equal(after[1]->resolution->strategy, "TakeTarget");
    fx_ok(fx, complete(fx, id, &out));
    assert_string_equal(out.completed->status, "completed");
    assert_string_equal(get(fx, MAIN, "a", "k"), "source");
    assert_string_equal(get(fx, MAIN, "b", "k"), "target");
    fx_ok(fx, find(fx, id, &op));
    assert_string_equal(op->status, "Completed");
    assert_string_equal(op->result_commit_id, out.completed->commit_id);
}

static void test_merge__a_value_decides_properties_alone(void **state)
{
    fixture *fx = *state;
    conflict **all;
    Pangolin__V1__CompleteMergeResponse out;
    const char *id = begin_apart(fx, &all);
    refused(fx, resolve(fx, all[0]->id, "Manual", NULL), PANG_INVALID_ARGUMENT, "resolved_value");
    refused(fx, resolve(fx, all[0]->id, "Manual", "[]"), PANG_INVALID_ARGUMENT, "an object");
    refused(fx, resolve(fx, all[0]->id, "Manual", "{"), PANG_INVALID_ARGUMENT, "");
    refused(fx, resolve(fx, all[0]->id, "Manual", "{}"), PANG_INVALID_ARGUMENT, "\"k\" shall be");
    refused(fx, resolve(fx, all[0]->id, "Manual", "{\"k\":7}"), PANG_INVALID_ARGUMENT, "string");
    refused(fx, resolve(fx, all[0]->id, "Manual", "{\"k\":\"7\",\"x\":\"7\"}"),
            PANG_INVALID_ARGUMENT, "\"x\" is not in conflict");
    fx_ok(fx, resolve(fx, all[0]->id, "Manual", "{\"k\":\"7\"}"));
    fx_ok(fx, resolve(fx, all[1]->id, "custom", "{\"k\":null}"));
    fx_ok(fx, complete(fx, id, &out));
    assert_string_equal(get(fx, MAIN, "a", "k"), "7");
    assert_null(get(fx, MAIN, "b", "k"));
}

static void commit(fixture *fx, const char *prefix, const char *updates)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = fx_levels(fx, "a", &in.n_namespace_);
    in.table = TEXT("t");
    in.requirements = fx_bytes("[]");
    in.updates = fx_bytes(updates);
    fx_ok(fx, fx_call(fx, "CommitTable", &in, &out));
}

#define SET_OWNER(value) "{\"action\":\"set-properties\",\"updates\":{\"owner\":\"" value "\"}}"
/* Both sides of one table gave a column another name and set a property: the schema's conflict
 * first, the property's second. */
static const char *begin_on_a_table(fixture *fx, conflict ***ret)
{
    static const char schema[] = "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\","
                                 "\"fields\":[{\"id\":1,\"name\":\"%s\",\"required\":false,"
                                 "\"type\":\"long\"}]}},{\"action\":\"set-current-schema\","
                                 "\"schema-id\":-1}," SET_OWNER("%s") "]";
    merge_out out;
    size_t n;
    fx_ok(fx, fx_create_table(fx, "a", "t", NULL));
    branch(fx, "own", "ingest");
    commit(fx, FX_PREFIX "@own", fx_text(fx, schema, "one", "ann"));
    commit(fx, MAIN, fx_text(fx, schema, "two", "bob"));
    fx_ok(fx, fx_merge(fx, "own", "main", &out));
    assert_non_null(out.conflicted);
    fx_ok(fx, conflicts_of(fx, out.conflicted->operation_id, ret, &n));
    assert_int_equal(n, 2);
    assert_string_equal((*ret)[0]->conflict_type, "schema_change");
    assert_string_equal((*ret)[1]->conflict_type, "metadata_conflict");
    return out.conflicted->operation_id;
}

/* A side is the whole table: a value that somebody gave is not lost for it without a word. */
static void test_merge__decisions_about_one_table_do_not_contradict(void **state)
{
    fixture *fx = *state;
    conflict **all;
    (void)begin_on_a_table(fx, &all);
    fx_ok(fx, resolve(fx, all[1]->id, "Manual", "{\"owner\":\"eve\"}"));
    refused(fx, resolve(fx, all[0]->id, "TakeTarget", NULL), PANG_FAILED_PRECONDITION,
            fx_text(fx,
                    "TakeTarget contradicts the conflict %s, another one of a.t, which was "
                    "resolved by Manual",
                    all[1]->id));
    refused(fx, resolve(fx, all[0]->id, "TakeSource", NULL), PANG_FAILED_PRECONDITION, "Manual");
    fx_ok(fx, resolve(fx, all[0]->id, "AutoMerge", NULL));
}

static void test_merge__a_side_leaves_no_room_for_a_value(void **state)
{
    fixture *fx = *state;
    conflict **all;
    Pangolin__V1__CompleteMergeResponse out;
    const char *id = begin_on_a_table(fx, &all);
    refused(fx, resolve(fx, all[0]->id, "TakeTarget", "{\"owner\":\"eve\"}"), PANG_INVALID_ARGUMENT,
            "TakeTarget takes none");
    fx_ok(fx, resolve(fx, all[0]->id, "TakeTarget", "null"));
    refused(fx, resolve(fx, all[1]->id, "Manual", "{\"owner\":\"eve\"}"), PANG_FAILED_PRECONDITION,
            "Manual contradicts");
    refused(fx, resolve(fx, all[1]->id, "TakeSource", NULL), PANG_FAILED_PRECONDITION,
            "TakeSource contradicts");
    fx_ok(fx, resolve(fx, all[1]->id, "target", NULL));
    fx_ok(fx, complete(fx, id, &out));
    assert_non_null(out.completed);
}

/* ---- what a person has to judge by ---- */

static void change(fixture *fx, const char *prefix, const char *updates)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = TEXT("t");
    in.requirements = fx_bytes("[]");
    in.updates = fx_bytes(updates);
    fx_ok(fx, fx_call(fx, "CommitTable", &in, &out));
}

/* A snapshot after the first one, whose only file it has instead of that one's. */
static void rewrite(fixture *fx, const char *prefix, const char *table, int id, const char *file)
{
    const char *list = fx_text(fx, "%s/metadata/snap-%d.avro", table, id);
    const char *manifest = fx_text(fx, "%s/metadata/%d-m0.avro", table, id);
    const char *path = fx_text(fx, "%s/data/%s", table, file);
    fx_write_manifest(manifest, &path, 1);
    fx_write_manifest_list(list, &manifest, 1);
    change(fx, prefix,
           fx_text(fx,
                   "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":%d,"
                   "\"parent-snapshot-id\":1,\"sequence-number\":%d,\"timestamp-ms\":%lld,"
                   "\"manifest-list\":\"%s\",\"summary\":{\"operation\":\"overwrite\"},"
                   "\"schema-id\":0}},{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\","
                   "\"type\":\"branch\",\"snapshot-id\":%d}]",
                   id, id, (long long)pang_env_wall_ms(&fx->env), list, id));
}

/* ns.t with two files, instead of which each side then has another one. */
static void rewrite_on_both(fixture *fx)
{
    static const char *const first[] = {"a", "b"};
    Pangolin__V1__CreateTableResponse made;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    pang_json *document;
    fx_ok(fx, pang_json_parse(pang_str_of(made.metadata), fx->arena, &document, &fx->err));
    pang_str place;
    assert_true(pang_json_to_str(pang_json_get(document, "location"), &place));
    const char *table = pang_arena_cstr(fx->arena, place);
    fx_ok(fx, fx_append(fx, MAIN, "t", table, 1, first, 2));
    branch(fx, "two", "ingest");
    rewrite(fx, FX_PREFIX "@two", table, 2, "c");
    rewrite(fx, MAIN, table, 3, "d");
}

static size_t merge_two(fixture *fx, conflict ***ret)
{
    merge_out out;
    size_t n;
    fx_ok(fx, fx_merge(fx, "two", "main", &out));
    assert_non_null(out.conflicted);
    fx_ok(fx, conflicts_of(fx, out.conflicted->operation_id, ret, &n));
    return n;
}

static void has(fixture *fx, const conflict *of, const char *part)
{
    const char *details = pang_arena_cstr(fx->arena, pang_str_of(of->details));
    if (strstr(details, part) == NULL)
        fail_msg("\"%s\" is not in %s", part, details);
}

static void test_merge__conflicts_of_properties_and_of_files_are_shown_at_once(void **state)
{
    fixture *fx = *state;
    conflict **all;
    rewrite_on_both(fx);
    change(fx, FX_PREFIX "@two", "[" SET_OWNER("ann") "]");
    change(fx, MAIN, "[" SET_OWNER("bob") "]");
    assert_int_equal(merge_two(fx, &all), 2);
    assert_string_equal(all[0]->conflict_type, "metadata_conflict");
    assert_string_equal(all[1]->conflict_type, "data_overlap");
    has(fx, all[1], "\"count\":2");
}

/* Files cannot be compared then; what is taken with a side is told. */
static void test_merge__a_conflict_of_schemas_tells_of_the_data(void **state)
{
    static const char schema[] = "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\","
                                 "\"fields\":[{\"id\":1,\"name\":\"%s\",\"required\":false,"
                                 "\"type\":\"long\"}]}},{\"action\":\"set-current-schema\","
                                 "\"schema-id\":-1}]";
    fixture *fx = *state;
    conflict **all;
    rewrite_on_both(fx);
    change(fx, FX_PREFIX "@two", fx_text(fx, schema, "one"));
    change(fx, MAIN, fx_text(fx, schema, "two"));
    assert_int_equal(merge_two(fx, &all), 1);
    assert_string_equal(all[0]->conflict_type, "schema_change");
    if (strstr(all[0]->description, "a side is taken with its data: the source added 1 file (") ==
        NULL)
        fail_msg("%s", all[0]->description);
    has(fx, all[0], "\"changes\":{\"source\":{");
    has(fx, all[0], "\"snapshots_added\":[2]");
    has(fx, all[0], "\"snapshots_added\":[3]");
    has(fx, all[0], "\"data_files_added\":1,\"data_files_removed\":2");
}

static void test_merge__a_conflict_of_a_drop_tells_what_the_other_side_did(void **state)
{
    fixture *fx = *state;
    conflict **all;
    rewrite_on_both(fx);
    change(fx, FX_PREFIX "@two", "[" SET_OWNER("ann") "]");
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    assert_int_equal(merge_two(fx, &all), 1);
    assert_string_equal(all[0]->conflict_type, "deletion_conflict");
    has(fx, all[0], "\"modified_in\":\"source\"");
    has(fx, all[0], "\"properties\":[{\"name\":\"owner\",\"to\":\"ann\"}]");
    has(fx, all[0], "\"snapshots_added\":[2]");
    has(fx, all[0], "\"data_files_added\":1,\"data_files_removed\":2");
}

/* Merged once more, it conflicts once more, until a side gives way. */
static void test_merge__automatic_strategies_merge_once_more(void **state)
{
    static const char *const strategies[] = {"AutoMerge", "ThreeWayMerge"};
    fixture *fx = *state;
    conflict **all, **anew;
    Pangolin__V1__CompleteMergeResponse out;
    size_t n;
    const char *id = begin_apart(fx, &all);
    fx_ok(fx, resolve(fx, all[0]->id, "source", NULL));
    fx_ok(fx, resolve(fx, all[1]->id, strategies[0], NULL));
    fx_ok(fx, complete(fx, id, &out));
    assert_non_null(out.conflicted);
    assert_string_equal(out.conflicted->operation_id, id);
    assert_int_equal(out.conflicted->conflicts, 1);
    assert_string_equal(status_of(fx, id), "Conflicted");
    assert_string_equal(get(fx, MAIN, "a", "k"), "target"); /* all, or nothing */
    fx_ok(fx, conflicts_of(fx, id, &anew, &n));
    assert_int_equal(n, 2); /* what was decided of a stays so */
    assert_string_equal(anew[0]->id, all[0]->id);
    assert_string_not_equal(anew[1]->id, all[1]->id);
    refused(fx, resolve(fx, all[1]->id, "TakeSource", NULL), PANG_NOT_FOUND, "conflict");
    fx_ok(fx, resolve(fx, anew[1]->id, strategies[1], NULL));
    set(fx, MAIN, "b", "k", "source"); /* the same by now */
    fx_ok(fx, complete(fx, id, &out));
    assert_non_null(out.completed);
    assert_string_equal(get(fx, MAIN, "a", "k"), "source");
}

static void test_merge__a_conflict_is_decided_once(void **state)
{
    fixture *fx = *state;
    conflict **all;
    (void)begin_apart(fx, &all);
    refused(fx, resolve(fx, all[0]->id, "sideways", NULL), PANG_INVALID_ARGUMENT, "sideways");
    refused(fx, resolve(fx, all[0]->id, "", NULL), PANG_INVALID_ARGUMENT, "none of");
    fx_ok(fx, resolve(fx, all[0]->id, "TakeTarget", NULL));
    refused(fx, resolve(fx, all[0]->id, "TakeTarget", NULL), PANG_FAILED_PRECONDITION,
            "was resolved by TakeTarget");
    refused(fx, resolve(fx, all[0]->id, "TakeSource", NULL), PANG_FAILED_PRECONDITION,
            "was resolved by TakeTarget");
}

/* ---- ended ---- */

static void test_merge__open_conflicts_keep_it_from_completing(void **state)
{
    fixture *fx = *state;
    conflict **all;
    Pangolin__V1__CompleteMergeResponse out;
    const char *id = begin_apart(fx, &all);
    refused(fx, complete(fx, id, &out), PANG_FAILED_PRECONDITION, "2 of 2 conflicts");
    fx_ok(fx, resolve(fx, all[1]->id, "TakeSource", NULL));
    refused(fx, complete(fx, id, &out), PANG_FAILED_PRECONDITION, "1 of 2 conflicts");
    assert_string_equal(status_of(fx, id), "Resolving");
    assert_string_equal(get(fx, MAIN, "b", "k"), "target");
}

/* Nothing of an operation that has ended can be changed. */
static void is_over(fixture *fx, const char *id, conflict *const *all, const char *how)
{
    Pangolin__V1__CompleteMergeResponse out;
    refused(fx, complete(fx, id, &out), PANG_FAILED_PRECONDITION, how);
    refused(fx, give_up(fx, id), PANG_FAILED_PRECONDITION, how);
    for (size_t i = 0; i < 2; i++)
        refused(fx, resolve(fx, all[i]->id, "TakeSource", NULL), PANG_FAILED_PRECONDITION,
                "has ended");
}

static void test_merge__nothing_follows_a_completed_one(void **state)
{
    fixture *fx = *state;
    conflict **all;
    Pangolin__V1__CompleteMergeResponse out;
    const char *id = begin_apart(fx, &all);
    fx_ok(fx, resolve(fx, all[0]->id, "TakeSource", NULL));
    fx_ok(fx, resolve(fx, all[1]->id, "TakeSource", NULL));
    fx_ok(fx, complete(fx, id, &out));
    is_over(fx, id, all, "it is completed");
    assert_string_equal(status_of(fx, id), "Completed");
}

static void test_merge__nothing_follows_an_aborted_one(void **state)
{
    fixture *fx = *state;
    conflict **all;
    const char *id = begin_apart(fx, &all);
    fx_ok(fx, resolve(fx, all[0]->id, "TakeSource", NULL));
    fx_ok(fx, give_up(fx, id));
    is_over(fx, id, all, "it is aborted");
    assert_string_equal(status_of(fx, id), "Aborted");
    assert_string_equal(get(fx, MAIN, "a", "k"), "target");
}

/* The source was pinned, the target is as it is by then, under whatever name. */
static void test_merge__sides_move_while_it_waits(void **state)
{
    fixture *fx = *state;
    conflict **all;
    Pangolin__V1__CompleteMergeResponse out;
    const char *id = begin_apart(fx, &all);
    set(fx, DEV, "a", "k", "later");
    set(fx, MAIN, "a", "other", "1");
    fx_ok(fx, resolve(fx, all[0]->id, "Manual", "{\"k\":\"7\"}"));
    fx_ok(fx, resolve(fx, all[1]->id, "TakeSource", NULL));
    fx_ok(fx, complete(fx, id, &out));
    assert_string_equal(get(fx, MAIN, "a", "k"), "7");
    assert_string_equal(get(fx, MAIN, "a", "other"), "1");
    assert_string_equal(get(fx, MAIN, "b", "k"), "source");
}

static void test_merge__a_target_that_is_gone_leaves_only_giving_up(void **state)
{
    fixture *fx = *state;
    merge_out out;
    Pangolin__V1__CompleteMergeResponse done;
    conflict **all;
    size_t n;
    branch(fx, "two", "ingest");
    set(fx, DEV, "a", "k", "1");
    set(fx, FX_PREFIX "@two", "a", "k", "2");
    fx_ok(fx, fx_merge(fx, "dev", "two", &out));
    const char *id = out.conflicted->operation_id;
    fx_ok(fx, conflicts_of(fx, id, &all, &n));
    fx_ok(fx, resolve(fx, all[0]->id, "TakeSource", NULL));
    fx_ok(fx, fx_delete_branch(fx, "two"));
    branch(fx, "two", "ingest"); /* another one */
    refused(fx, complete(fx, id, &done), PANG_FAILED_PRECONDITION, "abort the operation");
    fx_ok(fx, give_up(fx, id));
}

/* ---- whose ---- */

static void test_merge__what_is_no_operation_or_anothers_is_not_found(void **state)
{
    static const char *const ids[] = {"", "none", "0190f3c5-0000-7000-8000-000000000000"};
    fixture *fx = *state;
    conflict **all, **none;
    operation *op;
    size_t n;
    Pangolin__V1__CompleteMergeResponse out;
    const char *id = begin_apart(fx, &all);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_int_equal(find(fx, ids[i], &op), PANG_NOT_FOUND);
        assert_int_equal(conflicts_of(fx, ids[i], &none, &n), PANG_NOT_FOUND);
        assert_int_equal(complete(fx, ids[i], &out), PANG_NOT_FOUND);
        assert_int_equal(give_up(fx, ids[i]), PANG_NOT_FOUND);
        assert_int_equal(resolve(fx, ids[i], "TakeSource", NULL), PANG_NOT_FOUND);
    }
    assert_int_equal(resolve(fx, id, "TakeSource", NULL), PANG_NOT_FOUND); /* it is no conflict */
    assert_int_equal(find(fx, all[0]->id, &op), PANG_NOT_FOUND);
    fx->scope = PANG_STR("11111111111111111111111111111111"); /* another tenant */
    assert_int_equal(find(fx, id, &op), PANG_NOT_FOUND);
    assert_int_equal(conflicts_of(fx, id, &none, &n), PANG_NOT_FOUND);
    assert_int_equal(resolve(fx, all[0]->id, "TakeSource", NULL), PANG_NOT_FOUND);
    assert_int_equal(complete(fx, id, &out), PANG_NOT_FOUND);
    assert_int_equal(give_up(fx, id), PANG_NOT_FOUND);
    fx->scope = FX_SCOPE;
    fx_ok(fx, resolve(fx, all[0]->id, "TakeSource", NULL));
}

/* ---- what is not merged ---- */

static void cut_bases(pang_rec_ref *ref)
{
    ref->n_bases = ref->n_forks = 0;
}

/* As if it had been made from nothing. */
static void strand(fixture *fx, const char *name)
{
    pang_view view = rfx_view(fx, fx_text(fx, FX_PREFIX "@%s", name));
    pang_id id = view.levels[0].branch;
    pang_rec_branch *body;
    fx_ok(fx, pang_branch_find(&view, id, &body, &fx->err));
    body->n_bases = body->n_forks = 0;
    pang_txn_put(view.txn, PANG_KIND_BRANCH, pang_key_branch(&view.keys, view.catalog, id),
                 pang_record_pack(&body->base, fx->arena));
    fx_ok(fx, pang_txn_commit(view.txn, &fx->err));
    rfx_change(fx, name, cut_bases);
}

static void test_merge__sides_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *source, *target;
        pang_code code;
        const char *part;
    } rows[] = {
        {"none", "main", PANG_NOT_FOUND, "none"},
        {"main", "none", PANG_NOT_FOUND, "none"},
        {"0190f3c5-0000-7000-8000-000000000000", "main", PANG_NOT_FOUND, "0190f3c5"},
        {"", "main", PANG_INVALID_ARGUMENT, "required"},
        {"dev", "", PANG_INVALID_ARGUMENT, "required"},
        {"main", "main", PANG_INVALID_ARGUMENT, "into itself"},
        {"dev", "first", PANG_INVALID_ARGUMENT, "is no branch"},
        {"try", "main", PANG_FAILED_PRECONDITION, "promote it"},
        {"stranded", "main", PANG_FAILED_PRECONDITION, "nothing in common"},
    };
    fixture *fx = *state;
    merge_out out;
    branch(fx, "try", "experimental");
    branch(fx, "stranded", "ingest");
    strand(fx, "stranded");
    rfx_tag(fx, "first", MAIN, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        refused(fx, fx_merge(fx, rows[i].source, rows[i].target, &out), rows[i].code, rows[i].part);
    assert_int_equal(list(fx).n_operations, 0);
    fx_ok(fx, fx_merge(fx, "main", "try", &out)); /* the other way round nothing is in the way */
}

/* What was tried out is not made to count by a branch of it, nor by one that shares it. */
static void test_merge__what_a_branch_was_made_from_is_looked_at(void **state)
{
    fixture *fx = *state;
    merge_out out;
    branch(fx, "try", "experimental");
    set(fx, FX_PREFIX "@try", "a", "k", "1");
    branch_of(fx, "over", "ingest", "try");
    branch_of(fx, "far", "ingest", "over");
    rfx_tag(fx, "point", FX_PREFIX "@far", 0);
    refused(fx, fx_merge(fx, "over", "main", &out), PANG_FAILED_PRECONDITION, "\"try\"");
    refused(fx, fx_merge(fx, "far", "main", &out), PANG_FAILED_PRECONDITION, "\"try\"");
    refused(fx, fx_merge(fx, "point", "main", &out), PANG_FAILED_PRECONDITION, "\"try\"");
    set(fx, FX_PREFIX "@far", "b", "k", "2");
    fx_ok(fx, fx_merge(fx, "far", "over", &out)); /* both hold the same of it */
    set(fx, FX_PREFIX "@try", "a", "k", "3");
    branch_of(fx, "later", "ingest", "try");
    refused(fx, fx_merge(fx, "later", "over", &out), PANG_FAILED_PRECONDITION, "\"try\"");
    promote(fx, "try");
    fx_ok(fx, fx_merge(fx, "later", "over", &out));
    fx_ok(fx, fx_merge(fx, "over", "main", &out));
    assert_string_equal(get(fx, MAIN, "a", "k"), "3");
    assert_string_equal(get(fx, MAIN, "b", "k"), "2");
}

static void test_merge__goes_into_protected_branches(void **state)
{
    fixture *fx = *state;
    merge_out out;
    protect(fx, "main");
    set(fx, DEV, "a", "k", "1");
    fx_ok(fx, fx_merge(fx, "dev", "main", &out));
    assert_string_equal(get(fx, MAIN, "a", "k"), "1");
}

/* A tag is merged as it stands, a commit with all before it. */
static void test_merge__sources_may_be_points(void **state)
{
    fixture *fx = *state;
    merge_out out;
    char id[PANG_ID_TEXT + 1];
    set(fx, DEV, "a", "k", "1");
    rfx_tag(fx, "first", DEV, 0);
    set(fx, DEV, "a", "k", "2");
    pang_id_text(fx_commit_of_thread(), id);
    set(fx, DEV, "a", "k", "3");
    fx_ok(fx, fx_merge(fx, "first", "main", &out));
    assert_string_equal(get(fx, MAIN, "a", "k"), "1");
    fx_ok(fx, fx_merge(fx, id, "main", &out));
    assert_string_equal(get(fx, MAIN, "a", "k"), "2");
    fx_ok(fx, fx_merge(fx, "dev", "main", &out));
    assert_string_equal(get(fx, MAIN, "a", "k"), "3");
    /* A time is one of main. */
    branch(fx, "two", "ingest");
    set(fx, MAIN, "b", "k", "1");
    fx->ahead_ms += 1000;
    set(fx, MAIN, "b", "k", "2");
    fx_ok(fx, fx_merge(fx, fx_text(fx, "%lld", (long long)pang_env_wall_ms(&fx->env) - 500), "two",
                       &out));
    assert_string_equal(get(fx, FX_PREFIX "@two", "b", "k"), "1");
}

static void test_merge__wishes_are_checked(void **state)
{
    fixture *fx = *state;
    merge_out out;
    Pangolin__V1__MergeKeyMode mode = PANGOLIN__V1__MERGE_KEY_MODE__INIT, *modes[] = {&mode, &mode};
    merge_in in = merge_of("dev", "main");
    set(fx, DEV, "a", "k", "1");
    in.default_mode = TEXT("both");
    refused(fx, fx_call(fx, "MergeBranches", &in, &out), PANG_INVALID_ARGUMENT, "both");
    in = merge_of("dev", "main");
    in.isolation = TEXT("none");
    refused(fx, fx_call(fx, "MergeBranches", &in, &out), PANG_INVALID_ARGUMENT, "isolation");
    in = merge_of("dev", "main");
    in.expected_head = TEXT("none");
    refused(fx, fx_call(fx, "MergeBranches", &in, &out), PANG_INVALID_ARGUMENT, "no commit's id");
    in.expected_head = TEXT("0190f3c5-0000-7000-8000-000000000000");
    refused(fx, fx_call(fx, "MergeBranches", &in, &out), PANG_FAILED_PRECONDITION, "any more");
    in = merge_of("dev", "main");
    in.modes = modes;
    in.n_modes = 1;
    refused(fx, fx_call(fx, "MergeBranches", &in, &out), PANG_INVALID_ARGUMENT, "names no key");
    mode.key = TEXT("a");
    in.n_modes = 2;
    refused(fx, fx_call(fx, "MergeBranches", &in, &out), PANG_INVALID_ARGUMENT, "again");
}

/* What the source did not change may be named; what is nowhere is a mistake. */
static void test_merge__modes_name_what_there_is(void **state)
{
    static const struct {
        const char *key;
        pang_code code;
    } rows[] = {
        {"a", PANG_OK},
        {"b", PANG_OK},
        {"only_dev", PANG_OK},
        {"a.t", PANG_OK},
        {"a.b", PANG_INVALID_ARGUMENT},
        {"aa", PANG_INVALID_ARGUMENT},
        {"a.", PANG_INVALID_ARGUMENT},
        {".", PANG_INVALID_ARGUMENT},
        {"A", PANG_INVALID_ARGUMENT},
        {"a.t.t", PANG_INVALID_ARGUMENT},
    };
    fixture *fx = *state;
    Pangolin__V1__MergeKeyMode mode = PANGOLIN__V1__MERGE_KEY_MODE__INIT, *modes[] = {&mode};
    Pangolin__V1__CreateNamespaceRequest made = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__CreateNamespaceResponse ignored;
    fx_ok(fx, fx_create_table(fx, "a", "t", NULL));
    made.prefix = TEXT(DEV);
    made.namespace_ = fx_levels(fx, "only_dev", &made.n_namespace_);
    fx_ok(fx, fx_call(fx, "CreateNamespace", &made, &ignored));
    set(fx, DEV, "a", "k", "1");
    mode.mode = TEXT("take_target");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        merge_in in = merge_of("dev", "main");
        merge_out out;
        in.modes = modes;
        in.n_modes = 1;
        in.dry_run = true;
        mode.key = TEXT(rows[i].key);
        pang_code code = fx_call(fx, "MergeBranches", &in, &out);
        if (code != rows[i].code)
            fail_msg("\"%s\": %s: %s", rows[i].key, pang_code_name(code), fx->err.message);
        if (code != PANG_OK)
            assert_non_null(strstr(fx->err.message, fx_text(fx, "\"%s\"", rows[i].key)));
    }
}

/* ---- dry runs ---- */

static bool add_row(void *arg, const pang_record *row)
{
    pang_buf_printf(arg, "%" PANG_STR_FMT "=%llu ", PANG_STR_ARG(row->key),
                    (unsigned long long)row->version);
    return true;
}

/* All records of the tenant with their versions. */
static const char *picture(fixture *fx)
{
    pang_buf text = {.arena = fx->arena};
    pang_query query = {.prefix = FX_SCOPE, .limit = PANG_SCAN_MAX};
    fx_ok(fx, pang_store_scan(pang_db_store(fx->db), &query, PANG_NO_DEADLINE, add_row, &text,
                              &fx->err));
    return pang_arena_cstr(fx->arena, pang_buf_str(&text));
}

static void test_merge__a_dry_run_writes_nothing(void **state)
{
    fixture *fx = *state;
    merge_in in = merge_of("dev", "main");
    merge_out out;
    in.dry_run = true;
    set(fx, DEV, "b", "k", "1");
    const char *before = picture(fx);
    fx_ok(fx, fx_call(fx, "MergeBranches", &in, &out));
    assert_true(out.operation->dry_run);
    assert_string_equal(out.operation->id, "");
    assert_int_equal(out.operation->n_changes, 1);
    assert_string_equal(picture(fx), before);
    set(fx, MAIN, "b", "k", "2");
    before = picture(fx);
    fx_ok(fx,
          fx_call(fx, "MergeBranches", &in, &out)); /* with conflicts, which are shown at once */
    assert_null(out.conflicted);
    assert_string_equal(out.operation->status, "Conflicted");
    assert_int_equal(out.operation->n_conflicts, 1);
    assert_string_equal(out.operation->conflicts[0]->id, "");
    assert_string_equal(picture(fx), before);
    assert_int_equal(list(fx).n_operations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_merge__##name, setup, fx_teardown)
        TEST(without_conflicts_is_done_at_once),
        TEST(with_conflicts_waits_and_says_why),
        TEST(each_conflict_is_decided_and_then_it_completes),
        TEST(a_value_decides_properties_alone),
        TEST(decisions_about_one_table_do_not_contradict),
        TEST(a_side_leaves_no_room_for_a_value),
        TEST(conflicts_of_properties_and_of_files_are_shown_at_once),
        TEST(a_conflict_of_schemas_tells_of_the_data),
        TEST(a_conflict_of_a_drop_tells_what_the_other_side_did),
        TEST(automatic_strategies_merge_once_more),
        TEST(a_conflict_is_decided_once),
        TEST(open_conflicts_keep_it_from_completing),
        TEST(nothing_follows_a_completed_one),
        TEST(nothing_follows_an_aborted_one),
        TEST(sides_move_while_it_waits),
        TEST(a_target_that_is_gone_leaves_only_giving_up),
        TEST(what_is_no_operation_or_anothers_is_not_found),
        TEST(sides_that_are_none_are_refused),
        TEST(what_a_branch_was_made_from_is_looked_at),
        TEST(goes_into_protected_branches),
        TEST(sources_may_be_points),
        TEST(wishes_are_checked),
        TEST(modes_name_what_there_is),
        TEST(a_dry_run_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
