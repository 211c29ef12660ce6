/*
 * Differences, as clients see them. Both refs are read as of one number of the catalog's sequence,
 * which the token of a page hands on. What changed about a table is found in its two documents,
 * which are parsed in memory of their own, one table after the other.
 */
#include "server/diff.h"

#include <string.h>

#include "server/dotted.h"
#include "server/files_diff.h"
#include "server/metadata.h"
#include "server/model_diff.h"
#include "server/model_look.h"
#include "server/pages.h"
#include "server/svc_commit.h"
#include "server/svc_manage.h"
#include "server/svc_names.h"

typedef Pangolin__V1__DiffRequest diff_in;
typedef Pangolin__V1__DiffResponse diff_out;
typedef Pangolin__V1__DiffEntry entry_out;
typedef Pangolin__V1__DiffPoint point_out;
typedef Pangolin__V1__ColumnDiff column_out;
typedef Pangolin__V1__PropertyDiff property_out;

#define KIND(name) PANGOLIN__STORE__V1__KIND__KIND_##name

enum { SCRATCH_BYTES = 512 << 20 }; /* for two documents */

/* ---- pages ---- */

static pang_str describe(const diff_in *in, const pang_view *from, const pang_view *to,
                         pang_arena *arena)
{
    char a[PANG_ID_HEX + 1], b[PANG_ID_HEX + 1];
    pang_id_hex(from->levels[0].branch, a);
    pang_id_hex(to->levels[0].branch, b);
    return pang_arena_printf(arena, "diff\n%s\n%s\n%s\n%s\n%s", in->catalog, in->from, in->to, a,
                             b);
}

/* What the whole list is read at, and where the page begins. A place as text: number/index. */
static pang_code begin_page(pang_call *call, const diff_in *in, pang_view *from,
                            const pang_view *to, pang_page *page, pang_diff_place *place,
                            pang_err *err)
{
    pang_str rest, number, index;
    uint64_t at = 0;
    *place = (pang_diff_place){0};
    if (in->page_token == NULL || in->page_token[0] == '\0')
        return pang_view_sequence(from, &page->sequence, err);
    pang_code code = pang_page_read(call, describe(in, from, to, call->arena),
                                    pang_str_from(in->page_token), page, err);
    if (code != PANG_OK)
        return code;
    rest = page->after;
    if (!pang_str_next(&rest, '/', &number) || !pang_str_next(&rest, '/', &index) ||
        !pang_str_to_uint64(number, &place->number) || !pang_str_to_uint64(index, &at))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "page token is not valid for this request");
    place->index = (size_t)at;
    return PANG_OK;
}

static pang_code make_token(pang_call *call, const diff_in *in, const pang_diff *diff,
                            uint64_t sequence, const pang_diff_place *place, char **ret,
                            pang_err *err)
{
    if (place->number == 0)
        return PANG_OK;
    pang_page next = {.sequence = sequence};
    next.after = pang_arena_printf(call->arena, "%llu/%zu", (unsigned long long)place->number,
                                   place->index);
    return next.after.len == 0
               ? pang_fail_memory(err)
               : pang_page_token(call, describe(in, &diff->from, &diff->to, call->arena), next, ret,
                                 err);
}

/* ---- points ---- */

static pang_code show_point(pang_view *view, point_out **ret, pang_err *err)
{
    pang_commit_row row;
    point_out *to = pang_arena_alloc(view->arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (point_out)PANGOLIN__V1__DIFF_POINT__INIT;
    to->sequence = (int64_t)view->levels[0].at;
    pang_code code = pang_branch_text(view, view->levels[0].branch, &to->branch, err);
    if (code == PANG_OK)
        code = pang_commit_head(view, &row, err);
    if (code == PANG_OK && row.body != NULL)
        to->commit_id = pang_manage_id_text(pang_id_of(row.body->id), view->arena);
    *ret = to;
    return code;
}

static pang_code show_points(pang_diff *diff, diff_out *out, pang_err *err)
{
    pang_view common = diff->from;
    pang_code code = show_point(&diff->from, &out->from, err);
    if (code == PANG_OK)
        code = show_point(&diff->to, &out->to, err);
    if (code == PANG_OK)
        code = pang_view_at_point(&common, diff->common.at.branch, diff->common.at.sequence, err);
    return code == PANG_OK ? show_point(&common, &out->common, err) : code;
}

/* ---- properties ---- */

static pang_code add_property(entry_out *out, pang_arena *arena, pang_str name, pang_str from,
                              pang_str to, pang_err *err)
{
    property_out *property = pang_arena_alloc(arena, sizeof *property);
    if (property == NULL)
        return pang_fail_memory(err);
    *property = (property_out)PANGOLIN__V1__PROPERTY_DIFF__INIT;
    property->name = pang_arena_cstr(arena, name);
    if (from.ptr != NULL) {
        property->_from_case = PANGOLIN__V1__PROPERTY_DIFF___FROM_FROM;
        property->from = pang_arena_cstr(arena, from);
    }
    if (to.ptr != NULL) {
        property->_to_case = PANGOLIN__V1__PROPERTY_DIFF___TO_TO;
        property->to = pang_arena_cstr(arena, to);
    }
    out->properties[out->n_properties++] = property;
    return pang_manage_built(arena, err);
}

static pang_str find_property(const pang_rec_content *body, const char *name)
{
    for (size_t i = 0; i < body->n_properties; i++)
        if (strcmp(body->properties[i]->name, name) == 0)
            return pang_str_from(body->properties[i]->value);
    return (pang_str){0};
}

/* Of a namespace, from its records. */
static pang_code show_own_properties(const pang_diff_entry *entry, pang_arena *arena,
                                     entry_out *out, pang_err *err)
{
    const pang_rec_content *from = entry->from.body, *to = entry->to.body;
    pang_code code = PANG_OK;
    out->properties = pang_arena_alloc_n(arena, from->n_properties + to->n_properties,
                                         sizeof *out->properties);
    if (out->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < from->n_properties; i++) {
        pang_str before = pang_str_from(from->properties[i]->value);
        pang_str after = find_property(to, from->properties[i]->name);
        if (after.ptr == NULL || !pang_str_equal(before, after))
            code = add_property(out, arena, pang_str_from(from->properties[i]->name), before, after,
                                err);
    }
    for (size_t i = 0; code == PANG_OK && i < to->n_properties; i++)
        if (find_property(from, to->properties[i]->name).ptr == NULL)
            code = add_property(out, arena, pang_str_from(to->properties[i]->name), (pang_str){0},
                                pang_str_from(to->properties[i]->value), err);
    return code;
}

/* ---- tables ---- */

static pang_code show_column(const pang_column_diff *column, pang_arena *arena, column_out **ret,
                             pang_err *err)
{
    pang_str text;
    pang_code code = PANG_OK;
    column_out *to = pang_arena_alloc(arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (column_out)PANGOLIN__V1__COLUMN_DIFF__INIT;
    to->change = (char *)(uintptr_t)(!column->in_from ? "added"
                                     : column->in_to  ? "changed"
                                                      : "removed");
    to->id = column->id;
    to->from_name = pang_arena_cstr(arena, column->from_name);
    to->to_name = pang_arena_cstr(arena, column->to_name);
    to->from_required = column->from_required;
    to->to_required = column->to_required;
    if (column->from_type != NULL)
        code = pang_json_print(column->from_type, arena, &text, err);
    if (code == PANG_OK && column->from_type != NULL)
        to->from_type = pang_arena_cstr(arena, text);
    if (code == PANG_OK && column->to_type != NULL)
        code = pang_json_print(column->to_type, arena, &text, err);
    if (code == PANG_OK && column->to_type != NULL)
        to->to_type = pang_arena_cstr(arena, text);
    *ret = to;
    return code == PANG_OK ? pang_manage_built(arena, err) : code;
}

static pang_code copy_ids(const int64_t *ids, size_t n, pang_arena *arena, int64_t **ret,
                          size_t *ret_n, pang_err *err)
{
    *ret = pang_arena_alloc_n(arena, n, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    if (n > 0)
        memcpy(*ret, ids, n * sizeof *ids);
    *ret_n = n;
    return PANG_OK;
}

static pang_code show_table(const pang_model_diff *diff, pang_arena *arena, entry_out *out,
                            pang_err *err)
{
    Pangolin__V1__TableDiff *to = pang_arena_alloc(arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (Pangolin__V1__TableDiff)PANGOLIN__V1__TABLE_DIFF__INIT;
    out->table = to;
    to->partitioning = diff->partitioning;
    to->sort_order = diff->sort_order;
    pang_code code = copy_ids(diff->added, diff->n_added, arena, &to->snapshots_added,
                              &to->n_snapshots_added, err);
    if (code == PANG_OK)
        code = copy_ids(diff->removed, diff->n_removed, arena, &to->snapshots_removed,
                        &to->n_snapshots_removed, err);
    to->columns = pang_arena_alloc_n(arena, diff->n_columns, sizeof *to->columns);
    if (code == PANG_OK && to->columns == NULL)
        code = pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < diff->n_columns; i++)
        code = show_column(&diff->columns[i], arena, &to->columns[to->n_columns++], err);
    return code;
}

/* ---- files ---- */

static char **copy_paths(const pang_str *paths, size_t n, pang_arena *arena)
{
    char **list = pang_arena_alloc_n(arena, n, sizeof *list);
    for (size_t i = 0; list != NULL && i < n; i++)
        list[i] = pang_arena_cstr(arena, paths[i]);
    return list;
}

static pang_code show_files(const pang_files_diff *diff, pang_arena *arena,
                            Pangolin__V1__TableDiff *out, pang_err *err)
{
    Pangolin__V1__FilesDiff *to = pang_arena_alloc(arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (Pangolin__V1__FilesDiff)PANGOLIN__V1__FILES_DIFF__INIT;
    to->data_files_added = diff->data_added;
    to->data_files_removed = diff->data_removed;
    to->delete_files_added = diff->deletes_added;
    to->delete_files_removed = diff->deletes_removed;
    to->rows_added = diff->rows_added;
    to->rows_removed = diff->rows_removed;
    to->added = copy_paths(diff->added, diff->n_added, arena);
    to->n_added = diff->n_added;
    to->removed = copy_paths(diff->removed, diff->n_removed, arena);
    to->n_removed = diff->n_removed;
    out->files = to;
    return pang_manage_built(arena, err);
}

static pang_code compare_files(pang_call *call, const pang_diff_entry *entry, const pang_json *from,
                               const pang_json *to, pang_arena *scratch, entry_out *out,
                               pang_err *err)
{
    const pang_rec_content *a = entry->from.body, *b = entry->to.body;
    pang_files_diff *diff = pang_arena_alloc(scratch, sizeof *diff);
    if (diff == NULL)
        return pang_fail_memory(err);
    const pang_files_access access = {pang_state_objects(call->server->state), {a, b}};
    pang_code code = pang_files_compare(&access, pang_files_head(from), pang_files_head(to),
                                        scratch, diff, err);
    if (code == PANG_OK)
        return show_files(diff, call->arena, out->table, err);
    if (!pang_files_is_damage(code))
        return code;
    out->table->unreadable = pang_arena_cstr(call->arena, pang_str_from(err->message));
    return pang_manage_built(call->arena, err);
}

/* ---- documents ---- */

static pang_code read_document(pang_call *call, pang_view *view, const pang_rec_content *body,
                               pang_arena *scratch, pang_json **ret, pang_err *err)
{
    pang_str text;
    pang_code code = pang_metadata_load(view, call->server->state, body, PANG_WHOLE, &text, err);
    return code == PANG_OK ? pang_json_parse(text, scratch, ret, err) : code;
}

static pang_code compare_documents(pang_call *call, pang_diff *diff, const pang_diff_entry *entry,
                                   bool files, pang_arena *scratch, entry_out *out, pang_err *err)
{
    pang_json *from, *to;
    pang_property_diff *properties = NULL;
    pang_model_diff table;
    size_t n = 0;
    pang_code code = read_document(call, &diff->from, entry->from.body, scratch, &from, err);
    if (code == PANG_OK)
        code = read_document(call, &diff->to, entry->to.body, scratch, &to, err);
    if (code == PANG_OK)
        code = pang_model_compare_properties(from, to, scratch, &properties, &n, err);
    if (code != PANG_OK)
        return code;
    out->properties = pang_arena_alloc_n(call->arena, n, sizeof *out->properties);
    if (out->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = add_property(out, call->arena, properties[i].name, properties[i].from,
                            properties[i].to, err);
    if (code == PANG_OK && entry->to.body->kind == KIND(TABLE)) {
        code = pang_model_compare(from, to, scratch, &table, err);
        if (code == PANG_OK)
            code = show_table(&table, call->arena, out, err);
        if (code == PANG_OK && files)
            code = compare_files(call, entry, from, to, scratch, out, err);
    }
    return code;
}

static bool has_document(const pang_rec_content *body)
{
    return (body->kind == KIND(TABLE) || body->kind == KIND(VIEW)) && body->document.len > 0;
}

static pang_code show_details(pang_call *call, pang_diff *diff, const pang_diff_entry *entry,
                              bool files, entry_out *out, pang_err *err)
{
    if (entry->kind != PANG_DIFF_CHANGED && entry->kind != PANG_DIFF_RENAMED)
        return PANG_OK;
    if (entry->to.body->kind == KIND(NAMESPACE))
        return show_own_properties(entry, call->arena, out, err);
    if (!has_document(entry->from.body) || !has_document(entry->to.body) ||
        pang_str_equal(pang_str_of(entry->from.body->document),
                       pang_str_of(entry->to.body->document)))
        return PANG_OK;
    pang_arena *scratch = pang_arena_new(SCRATCH_BYTES);
    if (scratch == NULL)
        return pang_fail_memory(err);
    pang_code code = compare_documents(call, diff, entry, files, scratch, out, err);
    pang_arena_free(scratch);
    return code;
}

/* ---- entries ---- */

static pang_code show_names(const pang_diff_entry *entry, pang_arena *arena, entry_out *to,
                            pang_err *err)
{
    const pang_content *at = entry->kind == PANG_DIFF_REMOVED ? &entry->from : &entry->to;
    to->kind = pang_kind_text(at->body->kind);
    to->asset_id = pang_manage_id_text(pang_id_of(at->body->asset), arena);
    to->name = pang_arena_cstr(arena, at->name.name);
    pang_code code = pang_path_levels(at->name.path, arena, &to->namespace_, &to->n_namespace_,
                                      err);
    if (code == PANG_OK && entry->kind == PANG_DIFF_RENAMED) {
        to->from_name = pang_arena_cstr(arena, entry->from.name.name);
        code = pang_path_levels(entry->from.name.path, arena, &to->from_namespace,
                                &to->n_from_namespace, err);
    }
    return code;
}

static pang_code show_entry(pang_call *call, pang_diff *diff, const pang_diff_entry *entry,
                            bool files, entry_out **ret, pang_err *err)
{
    static const char *const changes[] = {[PANG_DIFF_ADDED] = "added",
                                          [PANG_DIFF_REMOVED] = "removed",
                                          [PANG_DIFF_CHANGED] = "changed",
                                          [PANG_DIFF_RENAMED] = "renamed"};
    entry_out *to = pang_arena_alloc(call->arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (entry_out)PANGOLIN__V1__DIFF_ENTRY__INIT;
    to->change = (char *)(uintptr_t)changes[entry->kind];
    pang_code code = show_names(entry, call->arena, to, err);
    if (code == PANG_OK)
        code = pang_state_show(&entry->from, call->arena, &to->from, err);
    if (code == PANG_OK)
        code = pang_state_show(&entry->to, call->arena, &to->to, err);
    if (code == PANG_OK)
        code = show_details(call, diff, entry, files, to, err);
    *ret = to;
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

static pang_code show_entries(pang_call *call, pang_diff *diff, const pang_diff_entry *entries,
                              size_t n, bool files, diff_out *out, pang_err *err)
{
    pang_code code = PANG_OK;
    out->entries = pang_arena_alloc_n(call->arena, n, sizeof *out->entries);
    if (out->entries == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = show_entry(call, diff, &entries[i], files, &out->entries[out->n_entries++], err);
    return code;
}

/* ---- the handler ---- */

/* The names that are asked about; several may stand in one, joined by commas. */
static pang_code read_names(pang_diff *diff, const diff_in *in, pang_name *ret, size_t *ret_n,
                            pang_err *err)
{
    pang_view *sides[2] = {&diff->to, &diff->from};
    pang_arena *arena = diff->to.arena;
    pang_code code = PANG_OK;
    *ret_n = 0;
    for (size_t i = 0; i < in->n_tables; i++) {
        pang_str rest = pang_str_from(in->tables[i]), one;
        while (code == PANG_OK && pang_str_next(&rest, ',', &one)) {
            const char *text = pang_arena_cstr(arena, one);
            if (text == NULL)
                return pang_fail_memory(err);
            if (*ret_n == PANG_DIFF_NAMES_MAX)
                return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                                 "too many tables, at most %d", PANG_DIFF_NAMES_MAX);
            code = pang_dotted_name(sides, 2, text, &ret[(*ret_n)++], err);
        }
    }
    return code;
}

static pang_code open_refs(pang_call *call, const diff_in *in, pang_view *from, pang_view *to,
                           pang_err *err)
{
    if (in->from[0] == '\0' || in->to[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "%s is missing",
                         in->from[0] == '\0' ? "from" : "to");
    pang_code code = pang_commit_view(call, in->catalog, in->from, from, err);
    return code == PANG_OK ? pang_commit_view(call, in->catalog, in->to, to, err) : code;
}

pang_code pang_diff_refs(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const diff_in *in = request;
    diff_out *out = reply;
    pang_view from, to;
    pang_page page = {0};
    pang_diff_place place;
    pang_diff_entry *entries = NULL;
    size_t most = 0, n = 0, n_names = 0;
    pang_diff *diff = pang_arena_alloc(call->arena, sizeof *diff);
    pang_name *names = pang_arena_alloc_n(call->arena, PANG_DIFF_NAMES_MAX, sizeof *names);
    if (diff == NULL || names == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_commit_page_size(in->page_size, &most, err);
    if (code == PANG_OK)
        code = open_refs(call, in, &from, &to, err);
    if (code == PANG_OK)
        code = begin_page(call, in, &from, &to, &page, &place, err);
    if (code == PANG_OK)
        code = pang_diff_open(&from, &to, page.sequence, diff, err);
    if (code == PANG_OK)
        code = read_names(diff, in, names, &n_names, err);
    if (code != PANG_OK)
        return code;
    size_t room = most + 1 > 2 * n_names ? most + 1 : 2 * n_names;
    entries = pang_arena_alloc_n(call->arena, room, sizeof *entries);
    if (entries == NULL)
        return pang_fail_memory(err);
    if (n_names > 0)
        code = pang_diff_names(diff, names, n_names, entries, &n, err);
    else
        code = pang_diff_read(diff, &place, entries, most, &n, err);
    if (code == PANG_OK)
        code = show_points(diff, out, err);
    if (code == PANG_OK)
        code = show_entries(call, diff, entries, n, n_names > 0, out, err);
    return code == PANG_OK && n_names == 0
               ? make_token(call, in, diff, page.sequence, &place, &out->next_page_token, err)
               : code;
}
