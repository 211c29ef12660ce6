/*
 * Values of assets and namespaces that both sides changed, by kind; and the source's value as it
 * stands, for what is taken over.
 */
#include <string.h>

#include "server/merge_fields.h"
#include "server/merge_kept.h"
#include "server/merge_plan.h"
#include "server/merge_sides.h"
#include "server/metadata.h"
#include "server/metrics.h"
#include "server/model_view_merge.h"

enum {
    TABLE_BYTES = 256 << 20, /* memory for merging one table */
    DISMISSED_MAX = 4096,    /* columns that are kept in mind */
};

#define NAMESPACE PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE
#define TABLE PANGOLIN__STORE__V1__KIND__KIND_TABLE
#define VIEW PANGOLIN__STORE__V1__KIND__KIND_VIEW

static bool same_body(const pang_content *a, const pang_content *b)
{
    return pang_content_exists(a) && pang_content_exists(b) &&
           pang_merge_same_value(a->body, b->body);
}

static pang_rec_content *copy_body(const pang_merge_task *task, const pang_rec_content *from)
{
    pang_rec_content *to = pang_arena_alloc(task->target->arena, sizeof *to);
    if (to == NULL)
        return NULL;
    *to = *from;
    to->dropped = to->purged = false;
    to->written_at = 0;
    to->written_ms = 0;
    to->created_at = 0;
    to->origin = to->value_origin = to->name_origin = 0;
    to->shared = from->shared || from->kind == TABLE || from->kind == VIEW;
    return to;
}

/* The target's. */
static pang_code keep_value(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    item->body = copy_body(task, item->target.body);
    if (item->body == NULL)
        return pang_fail_memory(err);
    item->body->value_origin = pang_content_value_origin(&item->target);
    return PANG_OK;
}

/* ---- fields ---- */

static pang_json *value_of(pang_arena *arena, const char *value)
{
    return value == NULL ? pang_json_null(arena) : pang_json_str(pang_str_from(value), arena);
}

static pang_code show_fields(const pang_merge_task *task, pang_merge_item *item,
                             const pang_field_conflicts *c, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_json *details = pang_json_object(arena), *names = pang_json_array(arena),
              *properties = pang_json_array(arena);
    pang_buf sentence = {.arena = arena};
    bool ok = details != NULL && names != NULL && properties != NULL;
    pang_buf_printf(&sentence, "both sides changed of %" PANG_STR_FMT ":", PANG_STR_ARG(item->key));
    for (size_t i = 0; ok && i < c->n; i++) {
        pang_json *values = pang_json_object(arena);
        pang_str name = pang_str_from(c->list[i].name);
        ok = values != NULL && pang_json_append(names, pang_json_str(name, arena)) &&
             pang_json_set(values, "name", pang_json_str(name, arena)) &&
             pang_json_set(values, "base", value_of(arena, c->list[i].base)) &&
             pang_json_set(values, "source", value_of(arena, c->list[i].source)) &&
             pang_json_set(values, "target", value_of(arena, c->list[i].target)) &&
             pang_json_append(properties, values);
        pang_buf_printf(&sentence, "%s %s", i == 0 ? "" : ",", c->list[i].name);
    }
    if (!ok || !pang_json_set(details, "conflicting_properties", names) ||
        !pang_json_set(details, "properties", properties))
        return pang_fail_memory(err);
    return pang_merge_add_conflict(task, item, PANG_CONFLICT_METADATA, details,
                                   pang_buf_str(&sentence), err);
}

static pang_code merge_record(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    const pang_merge_choice *choice = pang_merge_choice_of(task, item);
    const pang_content *half = item->value_half.source;
    const pang_rec_content *base = pang_content_exists(half) ? half->body : NULL;
    pang_field_conflicts conflicts = {.arena = task->target->arena};
    const pang_json *said = NULL;
    if (choice != NULL && choice->strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL)
        said = choice->value;
    pang_code code = pang_merge_fields(base, item->source.body, item->target.body, said, item->body,
                                       &conflicts, err);
    if (code == PANG_OK && conflicts.n > 0)
        code = show_fields(task, item, &conflicts, err);
    return code;
}

/* ---- documents ---- */

static pang_code load(const pang_merge_task *task, const pang_content *from, pang_merge_state *ret,
                      pang_err *err)
{
    pang_json *document;
    pang_str text;
    pang_view view = *task->target;
    pang_code code = pang_metadata_load(&view, task->state, from->body, PANG_WHOLE, &text, err);
    if (code == PANG_OK)
        code = pang_json_parse(text, view.arena, &document, err);
    if (code != PANG_OK)
        return code;
    ret->document = document;
    ret->location = pang_str_from(from->body->metadata_location);
    return PANG_OK;
}

static const Pangolin__Store__V1__MergeMark__Exception *columns_of(const pang_merge_item *item,
                                                                   size_t side)
{
    const pang_merge_mark *mark = item->pairs[item->value_base].marks[side];
    pang_merge_thing thing = pang_merge_thing_of(item);
    const Pangolin__Store__V1__MergeMark__Exception *e = mark == NULL
                                                             ? NULL
                                                             : pang_merge_exception(
                                                                   &mark->exceptions, &thing);
    return e == NULL || e->n_columns == 0 ? NULL : e;
}

/* A third branch is the base, and either side gave columns of it other ids: which column of the one
 * is which of the other is then said nowhere. */
static bool are_columns_lost(const pang_merge_item *item)
{
    return columns_of(item, 0) != NULL && columns_of(item, 1) != NULL;
}

/* How columns of the source read in the target, as the mark says that the base rests on; turned
 * round where that is one of a merge back. Of columns that there were at the base: who stands
 * before what was merged may have given the other ids to columns of its own. */
static pang_code known_columns(const pang_merge_task *task, const pang_merge_item *item,
                               pang_merge_table *ret, pang_err *err)
{
    for (size_t k = 0; k < 2; k++) {
        const Pangolin__Store__V1__MergeMark__Exception *e = columns_of(item, k);
        if (e == NULL)
            continue;
        int32_t *columns = pang_arena_alloc_n(task->target->arena, e->n_columns, sizeof *columns);
        if (columns == NULL)
            return pang_fail_memory(err);
        int64_t last = INT32_MAX;
        (void)pang_json_to_int64(pang_json_get(ret->source_half.document, "last-column-id"), &last);
        for (size_t i = 0; i + 1 < e->n_columns; i += 2) {
            if (e->columns[i] > last)
                continue;
            columns[ret->n_columns++] = e->columns[i + (k == 0)];
            columns[ret->n_columns++] = e->columns[i + (k != 0)];
        }
        ret->columns = columns;
        return PANG_OK;
    }
    return PANG_OK;
}

static int64_t last_column(const pang_merge_state *state)
{
    int64_t last = 0;
    (void)pang_json_to_int64(pang_json_get(state->document, "last-column-id"), &last);
    return last;
}

/* What the source added since the half and somebody decided against is no column of the target,
 * which may have given out the same ids, or will. */
static pang_code dismiss_columns(const pang_merge_task *task, pang_merge_item *item,
                                 const pang_merge_state *half, pang_err *err)
{
    pang_merge_state source;
    pang_code code = load(task, &item->source, &source, err);
    if (code != PANG_OK)
        return code;
    int64_t from = last_column(half), to = last_column(&source);
    item->columns_lost = to - from > DISMISSED_MAX;
    if (to <= from || item->columns_lost)
        return PANG_OK;
    size_t n = item->n_columns;
    int32_t *columns = pang_arena_alloc_n(task->target->arena, n + 2 * (size_t)(to - from),
                                          sizeof *columns);
    if (columns == NULL)
        return pang_fail_memory(err);
    if (n > 0)
        memcpy(columns, item->columns, n * sizeof *columns);
    for (int64_t id = from + 1; id <= to; id++) {
        columns[n++] = (int32_t)id;
        columns[n++] = PANG_MERGE_NO_COLUMN((int32_t)id);
    }
    item->columns = columns;
    item->n_columns = n;
    return PANG_OK;
}

static bool copy_columns(pang_merge_item *item, pang_arena *arena)
{
    int32_t *columns = pang_arena_alloc_n(arena, item->n_columns, sizeof *columns);
    if (columns != NULL && item->n_columns > 0)
        memcpy(columns, item->columns, item->n_columns * sizeof *columns);
    item->columns = columns;
    item->n_columns = columns == NULL ? 0 : item->n_columns;
    return columns != NULL;
}

/* The documents are read in memory of their own, and only the map is kept. */
pang_code pang_merge_keep_columns(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_merge_table table = {0};
    const pang_content *half = item->value_half.source;
    bool mapped = columns_of(item, 0) != NULL || columns_of(item, 1) != NULL;
    if (task->base == NULL || !pang_content_exists(&item->source) ||
        !pang_content_exists(&item->target) || item->target.body->kind != TABLE ||
        same_body(&item->source, &item->target) || (!mapped && item->fate != PANG_FATE_KEPT))
        return PANG_OK;
    item->columns_lost = mapped && (are_columns_lost(item) || task->state == NULL);
    if (item->columns_lost || task->state == NULL || !pang_content_exists(half))
        return PANG_OK;
    pang_view view = *task->target;
    pang_merge_task small = *task;
    pang_arena *own = pang_arena_new(TABLE_BYTES);
    if (own == NULL)
        return pang_fail_memory(err);
    view.arena = view.keys.arena = own;
    small.target = &view;
    pang_code code = load(&small, half, &table.source_half, err);
    if (code == PANG_OK)
        code = known_columns(&small, item, &table, err);
    item->columns = table.columns;
    item->n_columns = table.n_columns;
    if (code == PANG_OK && item->fate == PANG_FATE_KEPT)
        code = dismiss_columns(&small, item, &table.source_half, err);
    if (!copy_columns(item, task->target->arena) && code == PANG_OK)
        code = pang_fail_memory(err);
    pang_arena_free(own);
    return code;
}

static pang_code set_up_table(const pang_merge_task *task, const pang_merge_item *item,
                              pang_merge_table *ret, pang_err *err)
{
    const pang_content *source_half = item->value_half.source;
    const pang_content *target_half = item->value_half.target;
    *ret = (pang_merge_table){.state = task->state,
                              .env = task->env,
                              .txn = task->target->txn,
                              .arena = task->target->arena,
                              .serializable = task->serializable,
                              .commit = task->commit};
    ret->one_half = same_body(source_half, target_half);
    pang_code code = load(task, &item->source, &ret->source, err);
    if (code == PANG_OK)
        code = load(task, &item->target, &ret->target, err);
    if (code == PANG_OK)
        code = load(task, source_half, &ret->source_half, err);
    if (code == PANG_OK)
        code = load(task, target_half, &ret->target_half, err);
    return code == PANG_OK ? known_columns(task, item, ret, err) : code;
}

static pang_code no_base(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    bool is_view = item->target.body->kind == VIEW;
    pang_json *details = pang_json_object(arena), *list = pang_json_array(arena);
    if (details == NULL || list == NULL ||
        (is_view &&
         !pang_json_append(list, pang_json_str(PANG_STR("current-version-id"), arena))) ||
        !pang_json_set(details, is_view ? "conflicting_properties" : "overlapping_partitions",
                       list))
        return pang_fail_memory(err);
    return pang_merge_add_conflict(
        task, item, is_view ? PANG_CONFLICT_METADATA : PANG_CONFLICT_DATA, details,
        pang_arena_printf(arena,
                          "both sides changed the %s %" PANG_STR_FMT
                          ", and what it was before that is not known",
                          is_view ? "view" : "table", PANG_STR_ARG(item->key)),
        err);
}

/* A person's values for properties that conflict: as if both sides had set them. */
static pang_code say_properties(const pang_merge_task *task, const pang_merge_item *item,
                                pang_merge_state *state, pang_err *err)
{
    const pang_merge_choice *choice = pang_merge_choice_of(task, item);
    pang_arena *arena = task->target->arena;
    pang_json_members it = {0};
    pang_str name;
    pang_json *value;
    if (choice == NULL || choice->strategy != PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL)
        return PANG_OK;
    pang_json *document = pang_json_copy(state->document, arena);
    pang_json *properties = document == NULL ? NULL : pang_json_get(document, "properties");
    if (document != NULL && properties == NULL) {
        properties = pang_json_object(arena);
        if (properties != NULL && !pang_json_set(document, "properties", properties))
            return pang_fail_memory(err);
    }
    if (properties == NULL)
        return pang_fail_memory(err);
    it.object = choice->value;
    while (pang_json_next(&it, &name, &value)) {
        const char *text = pang_arena_cstr(arena, name);
        if (text == NULL)
            return pang_fail_memory(err);
        if (pang_json_is_null(value))
            pang_json_remove(properties, text);
        else if (!pang_json_set(properties, text, value))
            return pang_fail_memory(err);
    }
    state->document = document;
    return PANG_OK;
}

static pang_code add_conflicts(const pang_merge_task *task, pang_merge_item *item,
                               const pang_merge_outcome *outcome, pang_err *err)
{
    pang_conflict *list = pang_arena_alloc_n(task->target->arena, outcome->n_conflicts,
                                             sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    memcpy(list, outcome->conflicts, outcome->n_conflicts * sizeof *list);
    item->conflicts = list;
    item->n_conflicts = outcome->n_conflicts;
    item->fate = PANG_FATE_CONFLICT;
    return pang_merge_tell_sides(task, item, err);
}

/* What the source reserved for the asset belongs to it in the target, too. */
static pang_code unite_reserved(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    const pang_rec_content *from = item->source.body;
    pang_rec_content *to = item->body;
    char **list = pang_arena_alloc_n(task->target->arena, to->n_reserved + from->n_reserved,
                                     sizeof *list);
    size_t n = to->n_reserved;
    if (list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        list[i] = to->reserved[i];
    for (size_t i = 0; i < from->n_reserved; i++) {
        bool has = false;
        for (size_t k = 0; k < n; k++)
            has = has || strcmp(list[k], from->reserved[i]) == 0;
        if (!has)
            list[n++] = from->reserved[i];
    }
    to->reserved = list;
    to->n_reserved = n;
    return PANG_OK;
}

/* All that the outcome of a table's merge follows from. */
static pang_code outcome_key(const pang_merge_task *task, const pang_merge_item *item,
                             pang_str *ret, pang_err *err)
{
    const pang_content *const states[] = {item->value_half.source, &item->source,
                                          item->value_half.target, &item->target};
    const pang_merge_choice *choice = pang_merge_choice_of(task, item);
    pang_buf key = {.arena = task->target->arena};
    pang_merge_table table = {0};
    pang_str said = {0};
    char asset[PANG_ID_TEXT + 1] = "", document[PANG_ID_TEXT + 1] = "";
    pang_id_text(item->asset, asset);
    pang_buf_printf(&key, "%s %d", asset, task->serializable);
    for (size_t i = 0; i < 4; i++) {
        pang_id_text(pang_id_of(states[i]->body->document), document);
        pang_buf_printf(&key, " %s %s", document, states[i]->body->metadata_location);
    }
    pang_code code = known_columns(task, item, &table, err);
    for (size_t i = 0; code == PANG_OK && i < table.n_columns; i++)
        pang_buf_printf(&key, " %d", table.columns[i]);
    if (code == PANG_OK && choice != NULL && choice->value != NULL)
        code = pang_json_print(choice->value, task->target->arena, &said, err);
    pang_buf_printf(&key, " %d %" PANG_STR_FMT, choice == NULL ? -1 : (int)choice->strategy,
                    PANG_STR_ARG(said));
    *ret = pang_buf_str(&key);
    return code == PANG_OK && key.failed ? pang_fail_memory(err) : code;
}

static pang_code run_merger(const pang_merge_task *task, const pang_merge_item *item,
                            pang_kept_table *kept, pang_merge_outcome *ret, pang_err *err)
{
    pang_merge_table table;
    const pang_merge_choice *choice = pang_merge_choice_of(task, item);
    pang_code code = set_up_table(task, item, &table, err);
    if (code == PANG_OK)
        code = say_properties(task, item, &table.source, err);
    if (code == PANG_OK)
        code = say_properties(task, item, &table.target, err);
    if (code != PANG_OK)
        return code;
    table.kept = kept;
    if (item->target.body->kind == VIEW) {
        code = pang_model_view_merge(&table, ret, err);
    } else {
        pang_count(task->counters, PANG_COUNT_MERGED_TABLES);
        code = pang_merge_table_run(&table, ret, err);
    }
    if (code == PANG_OK && ret->n_conflicts == 0 && ret->document == NULL && choice != NULL &&
        choice->value != NULL)
        ret->document = (pang_json *)(uintptr_t)table.target.document;
    return code;
}

/* From an earlier attempt of the call, or for later ones. */
static pang_code find_outcome(const pang_merge_task *task, const pang_merge_item *item,
                              pang_merge_outcome *ret, pang_err *err)
{
    const pang_view *to = task->target;
    pang_kept_table *kept = NULL;
    pang_str key = {0};
    bool found = false;
    if (task->kept == NULL)
        return run_merger(task, item, NULL, ret, err);
    pang_code code = outcome_key(task, item, &key, err);
    if (code == PANG_OK)
        code = pang_merge_kept_find(task->kept, key, task->commit, to->txn, to->arena, &found, ret,
                                    err);
    if (code != PANG_OK || found)
        return code;
    code = pang_kept_table_begin(task->kept, key, to->txn, &kept, err);
    if (code == PANG_OK)
        code = run_merger(task, item, kept, ret, err);
    if (code == PANG_OK)
        pang_kept_table_end(kept, task->commit, ret);
    return code;
}

/* The source's content as the target's next document, where the target's own went on meanwhile. */
static pang_code take_source(const pang_merge_task *task, const pang_merge_item *item,
                             pang_merge_outcome *ret, pang_err *err)
{
    pang_merge_table table;
    pang_code code = set_up_table(task, item, &table, err);
    if (code != PANG_OK)
        return code;
    return item->target.body->kind == VIEW
               ? pang_model_view_take_source(&table, &ret->document, err)
               : pang_merge_table_take_source(&table, &ret->document, err);
}

typedef pang_code outcome_fn(const pang_merge_task *task, const pang_merge_item *item,
                             pang_merge_outcome *ret, pang_err *err);

/* Documents are read and joined in memory of their own, and only what comes of them is kept: so
 * many tables need hardly more of the call's memory than one. Where files hang on the transaction
 * they need the call's. */
static pang_code in_own_memory(const pang_merge_task *task, pang_merge_item *item, outcome_fn *fn,
                               pang_merge_outcome *ret, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_arena *own = task->kept == NULL ? NULL : pang_arena_new(TABLE_BYTES);
    pang_merge_outcome outcome = {0};
    pang_str text = {0};
    pang_view view = *task->target;
    pang_merge_task small = *task;
    if (task->kept != NULL && own == NULL)
        return pang_fail_memory(err);
    if (own != NULL) {
        view.arena = view.keys.arena = own;
        small.target = &view;
    }
    pang_code code = fn(&small, item, &outcome, err);
    if (code == PANG_OK && !pang_merge_outcome_copy(&outcome, arena, ret))
        code = pang_fail_memory(err);
    if (code == PANG_OK && outcome.document != NULL)
        code = pang_json_print(outcome.document, small.target->arena, &text, err);
    if (code == PANG_OK && outcome.document != NULL)
        code = pang_metadata_fold(task->state, text, arena, &item->document, err);
    pang_arena_free(own);
    return code;
}

static pang_code merge_document(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_merge_outcome outcome;
    if (task->state == NULL || !pang_content_exists(item->value_half.source) ||
        !pang_content_exists(item->value_half.target) || are_columns_lost(item))
        return no_base(task, item, err);
    pang_code code = in_own_memory(task, item, find_outcome, &outcome, err);
    if (code != PANG_OK)
        return code;
    if (outcome.n_conflicts > 0)
        return add_conflicts(task, item, &outcome, err);
    item->columns = outcome.columns;
    item->n_columns = outcome.n_columns;
    item->report = outcome.report;
    item->document_base = pang_str_from(item->target.body->metadata_location);
    return unite_reserved(task, item, err);
}

static pang_code take_document(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_merge_outcome outcome;
    if (task->state == NULL || !pang_content_exists(item->value_half.source) ||
        !pang_content_exists(item->value_half.target))
        return PANG_OK; /* nothing in common: the source's own document */
    pang_code code = in_own_memory(task, item, take_source, &outcome, err);
    if (code != PANG_OK)
        return code;
    item->document_base = pang_str_from(item->target.body->metadata_location);
    item->body->origin = item->body->value_origin = 0;
    if (task->back) /* its own past, unless it was read through: as shared as it was */
        item->body->shared = item->source.body->shared || item->target.body->shared ||
                             !item->target.own ||
                             !pang_id_equal(task->source->levels[0].branch,
                                            task->target->levels[0].branch);
    return unite_reserved(task, item, err);
}

/* ---- which side's, or both ---- */

/* The source's, unless the target's are newer: what was set back then comes after those, and is
 * made by this commit. */
static void keep_origins(pang_merge_item *item)
{
    const pang_content *source = &item->source, *target = &item->target;
    pang_rec_content *body = item->body;
    if (pang_content_origin(source) < pang_content_origin(target) ||
        pang_content_value_origin(source) < pang_content_value_origin(target) ||
        pang_content_name_origin(source) < pang_content_name_origin(target))
        return;
    body->origin = pang_content_origin(source);
    body->value_origin = pang_content_value_origin(source);
    body->name_origin = pang_content_name_origin(source);
}

pang_code pang_merge_take_value(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    item->body = copy_body(task, item->source.body);
    if (item->body == NULL)
        return pang_fail_memory(err);
    if (task->base != NULL)
        keep_origins(item);
    if (item->body->kind == NAMESPACE && pang_content_exists(&item->target))
        item->body->asset = item->target.body->asset;
    if ((item->body->kind == TABLE || item->body->kind == VIEW) && (!item->plain || task->back) &&
        pang_content_exists(&item->target) &&
        !pang_merge_same_value(item->source.body, item->target.body))
        return take_document(task, item, err);
    return PANG_OK;
}

pang_code pang_merge_value(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    const pang_content *base = item->value_half.source;
    const pang_content *of_target = item->value_half.target;
    if (same_body(&item->source, base) || same_body(&item->source, &item->target)) {
        pang_code code = keep_value(task, item, err);
        return code == PANG_OK ? pang_merge_keep_columns(task, item, err) : code;
    }
    if (same_body(&item->target, of_target) && same_body(base, of_target)) {
        item->plain = true;
        pang_code code = pang_merge_take_value(task, item, err);
        item->plain = false;
        if (code == PANG_OK)
            item->body->origin = 0; /* the name may be the target's */
        return code;
    }
    pang_code code = keep_value(task, item, err);
    if (code != PANG_OK)
        return code;
    item->body->value_origin = 0;
    switch (item->target.body->kind) {
    case TABLE:
    case VIEW:
        return merge_document(task, item, err);
    default:
        return merge_record(task, item, err);
    }
}
