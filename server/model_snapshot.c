/*
 * Model: snapshots, refs and the snapshot log.
 */
#include <inttypes.h>

#include "server/model_build.h"

enum {
    /* A writer whose clock is further ahead would poison the log for all others. */
    SKEW_AHEAD_MS = 24 * 60 * 60 * 1000,
    /* Readers take a log that goes back by more for damaged. */
    SKEW_BACK_MS = 60 * 1000,
    REF_NAME_MAX = 1024,
    REFS_MAX = 10000,
};

bool pang_model_current_snapshot(const pang_json *document, int64_t *ret)
{
    int64_t id;
    if (!pang_model_has_int(document, "current-snapshot-id", &id) || id == -1)
        return false;
    *ret = id;
    return true;
}

void pang_model_set_current_snapshot(pang_model_build *b, const int64_t *id)
{
    if (id != NULL)
        pang_model_put_int(b, b->doc, "current-snapshot-id", *id);
    else if (b->version < 3) /* what old readers of these versions look for */
        pang_model_put_int(b, b->doc, "current-snapshot-id", -1);
    else
        pang_json_remove(b->doc, "current-snapshot-id");
}

static const pang_json *find_snapshot(pang_model_build *b, int64_t id)
{
    return pang_model_keyed_get(b, &b->snapshots, id);
}

/* ---- add-snapshot ---- */

static pang_code conflict(pang_err *err, const char *what, int64_t a, const char *than, int64_t b)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MODEL_CONFLICT,
                     "Validation failed, please retry: %s%" PRId64 "%s%" PRId64, what, a, than, b);
}

static pang_code check_new_snapshot(pang_model_build *b, const pang_json *snapshot,
                                    const pang_model_path *at, pang_err *err)
{
    pang_code code = pang_model_shape(snapshot, at, pang_model_snapshot_members, err);
    if (code != PANG_OK)
        return code;
    if (pang_json_size(pang_json_get(b->doc, "schemas")) == 0)
        return pang_model_invalid(err, "Attempting to add a snapshot before a schema is added");
    if (pang_json_size(pang_json_get(b->doc, "partition-specs")) == 0)
        return pang_model_invalid(err,
                                  "Attempting to add a snapshot before a partition spec is added");
    if (pang_json_size(pang_json_get(b->doc, "sort-orders")) == 0)
        return pang_model_invalid(err, "Attempting to add a snapshot before a sort order is added");
    bool has_list = pang_model_text(snapshot, "manifest-list").len > 0;
    if (!has_list && (b->version > 1 || !pang_model_has(snapshot, "manifests")))
        return pang_model_bad(err, at, "manifest-list", "is missing");
    if (b->version > 1 && !pang_model_has(snapshot, "sequence-number"))
        return pang_model_bad(err, at, "sequence-number", "is missing");
    if (b->version > 1 && !pang_model_has(snapshot, "summary"))
        return pang_model_bad(err, at, "summary", "is missing");
    if (pang_model_int(snapshot, "snapshot-id", -1) == -1)
        return pang_model_bad(err, at, "snapshot-id", "is -1, which stands for none");
    if (pang_model_int(snapshot, "timestamp-ms", 0) > b->now_ms + SKEW_AHEAD_MS)
        return pang_model_bad(err, at, "timestamp-ms", "lies more than a day ahead");
    return PANG_OK;
}

static pang_code take_sequence(pang_model_build *b, const pang_json *snapshot, pang_err *err)
{
    int64_t last = pang_model_int(b->doc, "last-sequence-number", 0);
    int64_t number = pang_model_int(snapshot, "sequence-number", 0);
    if (b->version == 1)
        return PANG_OK;
    if (number <= last && pang_model_has(snapshot, "parent-snapshot-id"))
        return conflict(err, "Cannot add snapshot with sequence number ", number,
                        " older than last sequence number ", last);
    if (number > last)
        pang_model_put_int(b, b->doc, "last-sequence-number", number);
    return PANG_OK;
}

/* Version 3: the rows that a snapshot adds take the table's next row ids. */
static pang_code take_rows(pang_model_build *b, const pang_json *snapshot,
                           const pang_model_path *at, pang_err *err)
{
    int64_t first, next = pang_model_int(b->doc, "next-row-id", 0);
    int64_t rows = pang_model_int(snapshot, "added-rows", -1);
    if (b->version < 3)
        return PANG_OK;
    if (!pang_model_has_int(snapshot, "first-row-id", &first))
        return pang_model_illegal(err, "Cannot add a snapshot: first-row-id is null");
    if (rows < 0)
        return pang_model_bad(err, at, "added-rows", "is missing");
    if (first < next)
        return conflict(err,
                        "Cannot add a snapshot, first-row-id is behind table next-row-id: ", first,
                        " < ", next);
    if (rows > INT64_MAX - first)
        return pang_model_illegal(err, "Cannot add a snapshot: row ids are used up");
    pang_model_put_int(b, b->doc, "next-row-id", first + rows);
    return PANG_OK;
}

pang_code pang_model_add_snapshot(pang_model_build *b, const pang_json *update,
                                  const pang_model_path *at, pang_err *err)
{
    pang_json *snapshot = pang_json_get(update, "snapshot");
    pang_model_path here = PANG_MODEL_IN(at, "snapshot");
    pang_code code = check_new_snapshot(b, snapshot, &here, err);
    if (code != PANG_OK)
        return code;
    int64_t id = pang_model_int(snapshot, "snapshot-id", 0);
    if (find_snapshot(b, id) != NULL)
        return pang_model_invalid(err, "Snapshot already exists for id: %" PRId64, id);
    if ((code = take_sequence(b, snapshot, err)) != PANG_OK ||
        (code = take_rows(b, snapshot, &here, err)) != PANG_OK)
        return code;
    snapshot = pang_model_without_nulls(snapshot, b->arena);
    pang_model_keyed_put(b, &b->snapshots, id, snapshot);
    if (snapshot == NULL || !pang_model_ids_put(&b->fresh_snapshots, id, snapshot))
        b->failed = true;
    return PANG_OK;
}

/* ---- refs ---- */

/* The names of refs to a snapshot, those that have moved on included. */
typedef struct ref_name {
    const char *name;
    const struct ref_name *next;
} ref_name;

static void note_ref_name(pang_model_build *b, int64_t id, pang_str name)
{
    ref_name *node = pang_arena_alloc(b->arena, sizeof *node);
    if (node != NULL) {
        node->name = pang_arena_cstr(b->arena, name);
        node->next = pang_model_ids_get(&b->ref_names, id);
    }
    if (node == NULL || node->name == NULL || !pang_model_ids_put(&b->ref_names, id, node))
        b->failed = true;
}

static void learn_ref_names(pang_model_build *b)
{
    pang_json_members it = {.object = pang_json_get(b->doc, "refs")};
    pang_json *ref;
    pang_str name;
    if (b->knows_ref_names)
        return;
    b->knows_ref_names = true;
    while (pang_json_next(&it, &name, &ref))
        note_ref_name(b, pang_model_int(ref, "snapshot-id", -1), name);
}

static pang_code check_ref(const pang_json *update, const pang_model_path *at, bool *ret_is_branch,
                           pang_err *err)
{
    pang_str name = pang_model_text(update, "ref-name"), type = pang_model_text(update, "type");
    *ret_is_branch = pang_str_equal_nocase(type, PANG_STR("branch"));
    if (!*ret_is_branch && !pang_str_equal_nocase(type, PANG_STR("tag")))
        return pang_model_bad(err, at, "type", "must be \"branch\" or \"tag\"");
    if (name.len == 0 || name.len > REF_NAME_MAX)
        return pang_model_bad(err, at, "ref-name", "must have 1 to %d bytes", REF_NAME_MAX);
    if (!*ret_is_branch && pang_str_equal(name, PANG_STR("main")))
        return pang_model_invalid(err, "Cannot set main to a tag: it must be a branch");
    if (!*ret_is_branch && pang_model_has(update, "min-snapshots-to-keep"))
        return pang_model_illegal(err, "Tags do not support setting minSnapshotsToKeep");
    if (!*ret_is_branch && pang_model_has(update, "max-snapshot-age-ms"))
        return pang_model_illegal(err, "Tags do not support setting maxSnapshotAgeMs");
    return PANG_OK;
}

static const char *const ref_numbers[] = {"min-snapshots-to-keep", "max-snapshot-age-ms",
                                          "max-ref-age-ms"};

static bool same_ref(const pang_json *a, const pang_json *b)
{
    for (size_t i = 0; i < sizeof ref_numbers / sizeof ref_numbers[0]; i++) {
        if (pang_model_int(a, ref_numbers[i], 0) != pang_model_int(b, ref_numbers[i], 0))
            return false;
    }
    return pang_model_int(a, "snapshot-id", -1) == pang_model_int(b, "snapshot-id", -1) &&
           pang_str_equal_nocase(pang_model_text(a, "type"), pang_model_text(b, "type"));
}

/* Main has a new head. A snapshot of this request is logged with its own time, a rollback with
 * the present; neither goes back behind what is logged further than readers bear. */
static void move_main(pang_model_build *b, int64_t id)
{
    pang_json *log = pang_model_own(b, "snapshot-log"), *entry = pang_json_object(b->arena);
    const pang_json *fresh = pang_model_ids_get(&b->fresh_snapshots, id);
    int64_t ms = fresh == NULL ? b->now_ms : pang_model_int(fresh, "timestamp-ms", b->now_ms);
    size_t n = pang_json_size(log);
    int64_t last = n == 0 ? 0 : pang_model_int(pang_json_at(log, n - 1), "timestamp-ms", 0);
    if (ms < last - SKEW_BACK_MS)
        ms = last;
    pang_model_put_int(b, entry, "timestamp-ms", ms);
    pang_model_put_int(b, entry, "snapshot-id", id);
    pang_model_add(b, log, entry);
    if (fresh != NULL) {
        b->passed_heads = b->passed_heads || (b->has_head && b->head != id);
        b->has_head = true;
        b->head = id;
        if (!pang_model_ids_put(&b->was_main, id, fresh))
            b->failed = true;
    }
    pang_model_set_current_snapshot(b, &id);
}

pang_code pang_model_set_ref(pang_model_build *b, const pang_json *update,
                             const pang_model_path *at, pang_err *err)
{
    pang_str name = pang_model_text(update, "ref-name");
    int64_t id = pang_model_int(update, "snapshot-id", -1);
    const pang_json *old = pang_json_get_str(pang_json_get(b->doc, "refs"), name);
    bool is_branch;
    pang_code code = check_ref(update, at, &is_branch, err);
    if (code != PANG_OK)
        return code;
    if (old != NULL && same_ref(old, update))
        return PANG_OK;
    if (find_snapshot(b, id) == NULL)
        return pang_model_invalid(err, "Cannot set %" PANG_STR_FMT " to unknown snapshot: %" PRId64,
                                  PANG_STR_ARG(name), id);
    if (old == NULL && pang_json_size(pang_json_get(b->doc, "refs")) >= REFS_MAX)
        return pang_model_illegal(err, "Cannot add a ref: the table has %d", REFS_MAX);
    pang_json *ref = pang_json_object(b->arena);
    learn_ref_names(b);
    note_ref_name(b, id, name);
    pang_model_put_int(b, ref, "snapshot-id", id);
    pang_model_put_text(b, ref, "type", is_branch ? PANG_STR("branch") : PANG_STR("tag"));
    for (size_t i = 0; i < sizeof ref_numbers / sizeof ref_numbers[0]; i++) {
        int64_t number;
        if (pang_model_has_int(update, ref_numbers[i], &number))
            pang_model_put_int(b, ref, ref_numbers[i], number);
    }
    if (!pang_json_set_str(pang_model_own(b, "refs"), name, ref))
        b->failed = true;
    if (pang_str_equal(name, PANG_STR("main")))
        move_main(b, id);
    b->changed = true;
    return PANG_OK;
}

static void drop_ref(pang_model_build *b, const char *name)
{
    bool is_main = pang_str_equal(pang_str_from(name), PANG_STR("main"));
    pang_json_remove(pang_model_own(b, "refs"), name);
    if (is_main)
        pang_model_set_current_snapshot(b, NULL);
    b->changed = true;
}

pang_code pang_model_remove_ref(pang_model_build *b, const pang_json *update,
                                const pang_model_path *at, pang_err *err)
{
    pang_str name = pang_model_text(update, "ref-name");
    (void)at;
    if (pang_json_get_str(pang_json_get(b->doc, "refs"), name) == NULL)
        return PANG_OK;
    char *cstr = pang_arena_cstr(b->arena, name);
    if (cstr == NULL)
        return pang_fail_memory(err);
    drop_ref(b, cstr);
    return PANG_OK;
}

/* ---- remove-snapshots ---- */

static void drop_refs_to(pang_model_build *b, int64_t id)
{
    const ref_name *node;
    learn_ref_names(b);
    for (node = pang_model_ids_get(&b->ref_names, id); node != NULL; node = node->next) {
        const pang_json *ref = pang_json_get(pang_json_get(b->doc, "refs"), node->name);
        int64_t target;
        if (pang_model_has_int(ref, "snapshot-id", &target) && target == id)
            drop_ref(b, node->name);
    }
    pang_model_ids_remove(&b->ref_names, id);
}

pang_code pang_model_remove_snapshots(pang_model_build *b, const pang_json *update,
                                      const pang_model_path *at, pang_err *err)
{
    const pang_json *list = pang_json_get(update, "snapshot-ids");
    (void)at;
    (void)err;
    for (size_t i = 0; i < pang_json_size(list); i++) {
        int64_t id = -1;
        (void)pang_json_to_int64(pang_json_at(list, i), &id);
        if (!pang_model_keyed_remove(b, &b->snapshots, id))
            continue;
        pang_model_ids_remove(&b->fresh_snapshots, id);
        (void)pang_model_keyed_remove(b, &b->statistics, id);
        (void)pang_model_keyed_remove(b, &b->partition_statistics, id);
        drop_refs_to(b, id);
        b->removed_snapshots = true;
    }
    return PANG_OK;
}

/* ---- end ---- */

/* What stays of the log: heads that main only passed through in this request go; behind a removed
 * snapshot all that is older goes, since a log with a gap would answer time travel wrongly. */
static pang_json *kept_log(pang_model_build *b, const pang_json *log, int64_t current)
{
    pang_json *kept = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(log); i++) {
        pang_json *entry = pang_json_at(log, i);
        int64_t id = pang_model_int(entry, "snapshot-id", -1);
        bool passing = id != current && pang_model_ids_get(&b->was_main, id) != NULL;
        if (find_snapshot(b, id) == NULL && b->removed_snapshots)
            kept = pang_json_array(b->arena);
        else if (find_snapshot(b, id) != NULL && !passing)
            pang_model_add(b, kept, entry);
    }
    return kept;
}

pang_code pang_model_end_snapshots(pang_model_build *b, pang_err *err)
{
    int64_t current = -1;
    bool has_current = pang_model_current_snapshot(b->doc, &current);
    const pang_json *log = pang_json_get(b->doc, "snapshot-log");
    pang_model_keyed_end(b, &b->snapshots);
    pang_model_keyed_end(b, &b->statistics);
    pang_model_keyed_end(b, &b->partition_statistics);
    if (b->has_head && (!has_current || b->head != current))
        b->passed_heads = true;
    if ((!b->removed_snapshots && !b->passed_heads) || pang_json_size(log) == 0)
        return PANG_OK;
    pang_json *kept = kept_log(b, log, current);
    size_t n = pang_json_size(kept);
    pang_model_put(b, b->doc, "snapshot-log", kept);
    if (has_current && !b->failed &&
        (n == 0 || pang_model_int(pang_json_at(kept, n - 1), "snapshot-id", -1) != current))
        return pang_model_invalid(
            err, "Cannot set invalid snapshot log: latest entry is not the current snapshot");
    return PANG_OK;
}

const pang_model_member pang_model_snapshot_members[] = {
    {"snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT64_MIN, INT64_MAX},
    {"parent-snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, INT64_MIN, INT64_MAX},
    {"sequence-number", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 0, INT64_MAX},
    {"timestamp-ms", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, INT64_MAX},
    {"manifest-list", PANG_MODEL_TEXT, PANG_MODEL_OPTIONAL, 0, 0},
    {"manifests", PANG_MODEL_TEXTS, PANG_MODEL_OPTIONAL, 0, 0},
    {"summary", PANG_MODEL_TEXT_MAP, PANG_MODEL_OPTIONAL, 0, 0},
    {"schema-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, INT32_MIN, INT32_MAX},
    {"first-row-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 0, INT64_MAX},
    {"added-rows", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 0, INT64_MAX},
    {"key-id", PANG_MODEL_TEXT, PANG_MODEL_OPTIONAL, 0, 0},
    {NULL, 0, 0, 0, 0},
};

const pang_model_member pang_model_ref_members[] = {
    {"snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT64_MIN, INT64_MAX},
    {"type", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"min-snapshots-to-keep", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 1, INT32_MAX},
    {"max-snapshot-age-ms", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 1, INT64_MAX},
    {"max-ref-age-ms", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 1, INT64_MAX},
    {NULL, 0, 0, 0, 0},
};
