/*
 * Each side is compared in memory of its own, since documents are large and what is told is not;
 * only the text of it goes into the call's.
 */
#include "server/merge_sides.h"

#include <inttypes.h>
#include <string.h>

#include "server/files_diff.h"
#include "server/model_diff.h"

enum { SIDE_BYTES = 256 << 20 };

#define TABLE PANGOLIN__STORE__V1__KIND__KIND_TABLE
#define VIEW PANGOLIN__STORE__V1__KIND__KIND_VIEW

typedef struct {
    const pang_merge_task *task;
    const pang_content *half, *side;
    pang_view view; /* the target's, with memory of its own */
    pang_arena *arena;
    pang_json *out;
    pang_buf data;
} telling;

static size_t at_most(size_t n)
{
    return n < PANG_SIDE_SHOWN_MAX ? n : PANG_SIDE_SHOWN_MAX;
}

static bool set_text(const telling *t, pang_json *object, const char *name, pang_str value)
{
    return value.ptr == NULL || pang_json_set(object, name, pang_json_str(value, t->arena));
}

/* ---- names, properties ---- */

static bool tell_from_to(const telling *t, pang_json *object, pang_str from, pang_str to)
{
    return set_text(t, object, "from", from) && set_text(t, object, "to", to);
}

static bool tell_name(const telling *t)
{
    if (pang_name_equal(t->half->name, t->side->name))
        return true;
    pang_json *renamed = pang_json_object(t->arena);
    return renamed != NULL &&
           tell_from_to(t, renamed, pang_merge_key_text(t->arena, t->half->name),
                        pang_merge_key_text(t->arena, t->side->name)) &&
           pang_json_set(t->out, "renamed", renamed);
}

static bool tell_properties(const telling *t, const pang_property_diff *list, size_t n)
{
    pang_json *properties = pang_json_array(t->arena);
    bool ok = properties != NULL;
    for (size_t i = 0; ok && i < at_most(n); i++) {
        pang_json *one = pang_json_object(t->arena);
        ok = one != NULL && set_text(t, one, "name", list[i].name) &&
             tell_from_to(t, one, list[i].from, list[i].to) && pang_json_append(properties, one);
    }
    return ok && pang_json_set(t->out, "properties", properties);
}

/* Properties of a record as a document has them. */
static pang_json *document_of(const telling *t, const pang_rec_content *body)
{
    pang_json *document = pang_json_object(t->arena), *properties = pang_json_object(t->arena);
    bool ok = document != NULL && properties != NULL;
    for (size_t i = 0; ok && i < body->n_properties; i++)
        ok = pang_json_set_str(properties, pang_str_from(body->properties[i]->name),
                               pang_json_str(pang_str_from(body->properties[i]->value), t->arena));
    if (ok && body->location[0] != '\0')
        ok = pang_json_set_str(properties, PANG_STR("location"),
                               pang_json_str(pang_str_from(body->location), t->arena));
    return ok && pang_json_set(document, "properties", properties) ? document : NULL;
}

static pang_code compare_properties(const telling *t, const pang_json *from, const pang_json *to,
                                    pang_err *err)
{
    pang_property_diff *list = NULL;
    size_t n = 0;
    pang_code code = pang_model_compare_properties(from, to, t->arena, &list, &n, err);
    return code == PANG_OK && !tell_properties(t, list, n) ? pang_fail_memory(err) : code;
}

static pang_code tell_record(const telling *t, pang_err *err)
{
    pang_json *from = document_of(t, t->half->body), *to = document_of(t, t->side->body);
    return from == NULL || to == NULL ? pang_fail_memory(err)
                                      : compare_properties(t, from, to, err);
}

/* ---- tables ---- */

static pang_json *type_of(const telling *t, const pang_json *type)
{
    return type == NULL ? NULL : pang_json_copy(type, t->arena);
}

static bool tell_column(const telling *t, const pang_column_diff *column, pang_json *list)
{
    pang_json *one = pang_json_object(t->arena);
    pang_json *from = type_of(t, column->from_type), *to = type_of(t, column->to_type);
    const char *change = !column->in_from ? "added" : !column->in_to ? "removed" : "changed";
    return one != NULL && set_text(t, one, "change", pang_str_from(change)) &&
           pang_json_set(one, "id", pang_json_int(column->id, t->arena)) &&
           (!column->in_from || set_text(t, one, "from_name", column->from_name)) &&
           (!column->in_to || set_text(t, one, "to_name", column->to_name)) &&
           (from == NULL || pang_json_set(one, "from_type", from)) &&
           (to == NULL || pang_json_set(one, "to_type", to)) && pang_json_append(list, one);
}

static bool tell_ids(const telling *t, const char *name, const int64_t *ids, size_t n)
{
    pang_json *list = pang_json_array(t->arena);
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < at_most(n); i++)
        ok = pang_json_append(list, pang_json_int(ids[i], t->arena));
    return ok && pang_json_set(t->out, name, list);
}

static bool tell_model(const telling *t, const pang_model_diff *diff)
{
    pang_json *columns = pang_json_array(t->arena);
    bool ok = columns != NULL;
    for (size_t i = 0; ok && i < at_most(diff->n_columns); i++)
        ok = tell_column(t, &diff->columns[i], columns);
    return ok && pang_json_set(t->out, "columns", columns) &&
           pang_json_set(t->out, "partitioning", pang_json_bool(diff->partitioning, t->arena)) &&
           pang_json_set(t->out, "sort_order", pang_json_bool(diff->sort_order, t->arena)) &&
           tell_ids(t, "snapshots_added", diff->added, diff->n_added) &&
           tell_ids(t, "snapshots_removed", diff->removed, diff->n_removed);
}

static void say_count(pang_buf *text, const char *verb, int64_t files, int64_t rows,
                      int64_t deletes)
{
    if (files == 0 && deletes == 0)
        return;
    pang_buf_printf(text, "%s%s %" PRId64 " file%s (%" PRId64 " row%s)",
                    pang_buf_str(text).len > 0 ? " and " : "", verb, files, files == 1 ? "" : "s",
                    rows, rows == 1 ? "" : "s");
    if (deletes > 0)
        pang_buf_printf(text, ", %" PRId64 " delete file%s", deletes, deletes == 1 ? "" : "s");
}

static bool tell_counts(telling *t, const pang_files_diff *diff)
{
    const struct {
        const char *name;
        int64_t n;
    } counts[] = {
        {"data_files_added", diff->data_added},
        {"data_files_removed", diff->data_removed},
        {"delete_files_added", diff->deletes_added},
        {"delete_files_removed", diff->deletes_removed},
        {"rows_added", diff->rows_added},
        {"rows_removed", diff->rows_removed},
    };
    pang_json *files = pang_json_object(t->arena);
    bool ok = files != NULL;
    for (size_t i = 0; ok && i < sizeof counts / sizeof counts[0]; i++)
        ok = pang_json_set(files, counts[i].name, pang_json_int(counts[i].n, t->arena));
    say_count(&t->data, "added", diff->data_added, diff->rows_added, diff->deletes_added);
    say_count(&t->data, "removed", diff->data_removed, diff->rows_removed, diff->deletes_removed);
    return ok && pang_json_set(t->out, "files", files);
}

static pang_code tell_files(telling *t, const pang_json *from, const pang_json *to, pang_err *err)
{
    const pang_rec_content *a = t->half->body, *b = t->side->body;
    pang_files_diff *diff = pang_arena_alloc(t->arena, sizeof *diff);
    if (diff == NULL)
        return pang_fail_memory(err);
    const pang_files_access access = {pang_state_objects(t->task->state), {a, b}};
    pang_code code = pang_files_compare(&access, pang_files_head(from), pang_files_head(to),
                                        t->arena, diff, err);
    return code == PANG_OK && !tell_counts(t, diff) ? pang_fail_memory(err) : code;
}

static pang_code load(telling *t, const pang_content *from, pang_json **ret, pang_err *err)
{
    pang_str text;
    pang_code code = pang_metadata_load(&t->view, t->task->state, from->body, PANG_WHOLE, &text,
                                        err);
    return code == PANG_OK ? pang_json_parse(text, t->arena, ret, err) : code;
}

static pang_code tell_document(telling *t, pang_err *err)
{
    pang_json *from, *to;
    pang_model_diff diff;
    pang_code code = load(t, t->half, &from, err);
    if (code == PANG_OK)
        code = load(t, t->side, &to, err);
    if (code == PANG_OK)
        code = compare_properties(t, from, to, err);
    if (code != PANG_OK || t->side->body->kind != TABLE)
        return code;
    code = pang_model_compare(from, to, t->arena, &diff, err);
    if (code == PANG_OK && !tell_model(t, &diff))
        code = pang_fail_memory(err);
    return code == PANG_OK ? tell_files(t, from, to, err) : code;
}

/* ---- a side ---- */

static pang_code tell(telling *t, pang_err *err)
{
    bool documents = t->side->body->kind == TABLE || t->side->body->kind == VIEW;
    pang_err own = {0};
    t->out = pang_json_object(t->arena);
    if (t->out == NULL || !tell_name(t))
        return pang_fail_memory(err);
    if (!documents)
        return tell_record(t, err);
    if (t->task->state == NULL)
        return PANG_OK;
    pang_code code = tell_document(t, &own);
    if (pang_files_is_damage(code))
        return set_text(t, t->out, "unreadable", pang_str_from(own.message))
                   ? PANG_OK
                   : pang_fail_memory(err);
    if (code != PANG_OK && err != NULL)
        *err = own;
    return code;
}

pang_code pang_merge_tell_side(const pang_merge_task *task, const pang_content *half,
                               const pang_content *side, pang_side_told *ret, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_str text;
    *ret = (pang_side_told){NULL, {0}};
    if (half == NULL || !pang_content_exists(half) || !pang_content_exists(side))
        return PANG_OK;
    telling t = {.task = task, .half = half, .side = side, .view = *task->target};
    t.arena = t.view.arena = t.view.keys.arena = t.data.arena = pang_arena_new(SIDE_BYTES);
    if (t.arena == NULL)
        return pang_fail_memory(err);
    pang_code code = tell(&t, err);
    if (code == PANG_OK)
        code = pang_json_print(t.out, t.arena, &text, err);
    if (code == PANG_OK && !pang_arena_copy(arena, text, &text))
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        code = pang_json_parse(text, arena, &ret->changes, err);
    if (code == PANG_OK && !pang_arena_copy(arena, pang_buf_str(&t.data), &ret->data))
        code = pang_fail_memory(err);
    pang_arena_free(t.arena);
    return code;
}

/* ---- both ---- */

static pang_code add_changes(const pang_merge_task *task, pang_json *changes, pang_str words,
                             pang_conflict *to, pang_err *err)
{
    pang_json *details;
    pang_arena *arena = task->target->arena;
    pang_code code = pang_json_parse(to->details, arena, &details, err);
    if (code != PANG_OK)
        return code;
    to->description = pang_arena_printf(arena, "%" PANG_STR_FMT "%" PANG_STR_FMT,
                                        PANG_STR_ARG(to->description), PANG_STR_ARG(words));
    if (to->description.len == 0 || !pang_json_set(details, "changes", changes))
        return pang_fail_memory(err);
    return pang_json_print(details, arena, &to->details, err);
}

static pang_str data_words(pang_arena *arena, const pang_side_told *source,
                           const pang_side_told *target)
{
    static const pang_str none = {"changed no files", 16};
    pang_str s = source->data.len > 0 ? source->data : none;
    pang_str t = target->data.len > 0 ? target->data : none;
    if (source->data.len == 0 && target->data.len == 0)
        return (pang_str){0};
    return pang_arena_printf(arena,
                             "; a side is taken with its data: the source %" PANG_STR_FMT
                             ", the target %" PANG_STR_FMT,
                             PANG_STR_ARG(s), PANG_STR_ARG(t));
}

pang_code pang_merge_tell_sides(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_side_told source = {0}, target = {0};
    pang_json *changes = pang_json_object(arena);
    pang_conflict *list = pang_arena_alloc_n(arena, item->n_conflicts, sizeof *list);
    if (changes == NULL || list == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_merge_tell_side(task, item->value_half.source, &item->source, &source,
                                          err);
    if (code == PANG_OK)
        code = pang_merge_tell_side(task, item->value_half.target, &item->target, &target, err);
    if (code != PANG_OK || source.changes == NULL || target.changes == NULL)
        return code;
    if (!pang_json_set(changes, "source", source.changes) ||
        !pang_json_set(changes, "target", target.changes))
        return pang_fail_memory(err);
    memcpy(list, item->conflicts, item->n_conflicts * sizeof *list);
    pang_str words = data_words(arena, &source, &target);
    for (size_t i = 0; code == PANG_OK && i < item->n_conflicts; i++)
        code = add_changes(task, changes, words, &list[i], err);
    item->conflicts = list;
    return code;
}
