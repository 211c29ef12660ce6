/*
 * Calls that read, and their answers in the model's words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/manifest.h"
#include "tests/versions/real.h"

#include "pangolin/v1/asset.pb-c.h"
#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/commit.pb-c.h"
#include "pangolin/v1/view.pb-c.h"

enum { LINES = 512, WORDS = FILES + COLUMNS };

typedef struct {
    world *w;
    char *list[LINES];
    size_t n;
} lines;

static void ok(world *w, pang_code code, const char *what)
{
    if (code != PANG_OK)
        fail_msg("seed %lu, after %s, %s: %s %s", (unsigned long)w->seed, w->step, what,
                 pang_code_name(code), w->fx->err.message);
}

static void add_line(lines *l, char *line)
{
    assert_true(l->n < LINES);
    l->list[l->n++] = line;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *joined(lines *l, const char *between)
{
    pang_buf out = {.arena = l->w->fx->arena};
    qsort(l->list, l->n, sizeof l->list[0], by_text);
    for (size_t i = 0; i < l->n; i++)
        pang_buf_printf(&out, "%s%s", l->list[i], between);
    pang_buf_add_char(&out, '\0');
    return pang_buf_str(&out).ptr;
}

/* The model's number of an asset. */
static int made_of(const world *w, const char *id)
{
    for (int i = 0; i < MADE; i++)
        if (strcmp(w->ids[i], id) == 0)
            return i;
    return -1;
}

static char *dotted(world *w, char *const *levels, size_t n)
{
    pang_buf out = {.arena = w->fx->arena};
    for (size_t i = 0; i < n; i++)
        pang_buf_printf(&out, "%s%s", i == 0 ? "" : ".", levels[i]);
    pang_buf_add_char(&out, '\0');
    return TEXT(pang_buf_str(&out).ptr);
}

/* "f12.parquet", "c12": the number behind the first letter. */
static int number_of(pang_str text)
{
    int64_t number = -1;
    pang_str digits = pang_str_after(text, 1);
    if (!pang_str_to_int64(pang_str_slice(digits, 0, pang_str_find(digits, '.')), &number))
        fail_msg("no number: %.*s", (int)text.len, text.ptr);
    return (int)number;
}

/* ---- tables ---- */

typedef struct {
    world *w;
    int files[FILES];
    size_t n;
} seen_files;

static int by_number(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool see_file(void *arg, const pang_manifest_entry *entry)
{
    seen_files *seen = arg;
    pang_str path = entry->path;
    size_t at = path.len;
    if (entry->status == PANG_ENTRY_DELETED)
        return true;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    assert_true(seen->n < FILES);
    seen->files[seen->n++] = number_of(pang_str_after(path, at));
    return true;
}

static pang_str read_file(world *w, pang_str location)
{
    FILE *file = fopen(fx_path(pang_arena_cstr(w->fx->arena, location)), "rb");
    pang_buf bytes = {.arena = w->fx->arena};
    char piece[4096];
    size_t n;
    if (file == NULL)
        fail_msg("seed %lu, after %s: no file %.*s", (unsigned long)w->seed, w->step,
                 (int)location.len, location.ptr);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        pang_buf_add(&bytes, (pang_str){piece, n});
    assert_int_equal(fclose(file), 0);
    return pang_buf_str(&bytes);
}

static void show_files(world *w, const pang_json *snapshot, pang_buf *out)
{
    seen_files seen = {.w = w};
    pang_manifest *list;
    pang_manifest_head head;
    pang_str path = {0};
    size_t n;
    assert_true(pang_json_to_str(pang_json_get(snapshot, "manifest-list"), &path));
    ok(w, pang_manifest_list_read(read_file(w, path), w->fx->arena, &list, &n, &w->fx->err),
       "list of manifests");
    for (size_t i = 0; i < n; i++)
        ok(w,
           pang_manifest_read(read_file(w, list[i].path), &list[i], w->fx->arena, &head, see_file,
                              &seen, &w->fx->err),
           "manifest");
    qsort(seen.files, seen.n, sizeof seen.files[0], by_number);
    for (size_t i = 0; i < seen.n; i++)
        pang_buf_printf(out, " f%d", seen.files[i]);
}

static void show_columns(const pang_json *document, pang_buf *out)
{
    const pang_json *schema = real_with_number(pang_json_get(document, "schemas"), "schema-id",
                                               real_number_at(document, "current-schema-id", -1));
    const pang_json *fields = pang_json_get(schema, "fields");
    int numbers[WORDS];
    size_t n = 0;
    assert_non_null(schema);
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        pang_str name = {0};
        const pang_json *field = pang_json_at(fields, i);
        assert_true(pang_json_to_str(pang_json_get(field, "name"), &name) && n < WORDS);
        for (size_t k = 0; k < i; k++)
            assert_true(real_number_at(field, "id", -1) !=
                        real_number_at(pang_json_at(fields, k), "id", -1));
        if (name.ptr[0] == 'c')
            numbers[n++] = number_of(name);
    }
    qsort(numbers, n, sizeof numbers[0], by_number);
    for (size_t i = 0; i < n; i++)
        pang_buf_printf(out, " c%d", numbers[i]);
}

static void show_document(world *w, const pang_json *document, const char *name, lines *l)
{
    pang_buf out = {.arena = w->fx->arena};
    const pang_json *properties = pang_json_get(document, "properties");
    pang_str id = {0}, value;
    (void)pang_json_to_str(pang_json_get(document, "table-uuid"), &id);
    pang_buf_printf(&out, "table %s #%d", name, made_of(w, pang_arena_cstr(w->fx->arena, id)));
    for (int i = 0; i < PROPERTIES; i++)
        if (pang_json_to_str(pang_json_get(properties, fx_text(w->fx, "p%d", i)), &value))
            pang_buf_printf(&out, " p%d=%" PANG_STR_FMT, i, PANG_STR_ARG(value));
    show_columns(document, &out);
    const pang_json *snapshot = real_with_number(
        pang_json_get(document, "snapshots"), "snapshot-id",
        real_number_at(document, "current-snapshot-id", -1));
    if (snapshot != NULL)
        show_files(w, snapshot, &out);
    pang_buf_add_char(&out, '\0');
    add_line(l, TEXT(pang_buf_str(&out).ptr));
}

static void show_table(world *w, char *prefix, const Pangolin__V1__TableIdentifier *at, lines *l)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    Pangolin__V1__LoadTableResponse out;
    pang_json *document;
    in.prefix = prefix;
    in.namespace_ = at->namespace_;
    in.n_namespace_ = at->n_namespace_;
    in.table = at->name;
    const char *name = fx_text(w->fx, "%s.%s", dotted(w, at->namespace_, at->n_namespace_),
                               at->name);
    ok(w, fx_call(w->fx, "LoadTable", &in, &out), name);
    pang_str text = {(const char *)out.metadata.data, out.metadata.len};
    ok(w, pang_json_parse(text, w->fx->arena, &document, &w->fx->err), name);
    show_document(w, document, name, l);
}

static void show_view(world *w, char *prefix, const Pangolin__V1__TableIdentifier *at, lines *l)
{
    Pangolin__V1__LoadViewRequest in = PANGOLIN__V1__LOAD_VIEW_REQUEST__INIT;
    Pangolin__V1__LoadViewResponse out;
    in.prefix = prefix;
    in.namespace_ = at->namespace_;
    in.n_namespace_ = at->n_namespace_;
    in.view = at->name;
    const char *name = fx_text(w->fx, "%s.%s", dotted(w, at->namespace_, at->n_namespace_),
                               at->name);
    ok(w, fx_call(w->fx, "LoadView", &in, &out), name);
    const pang_json *document = real_parse(w, out.metadata);
    pang_str id = real_text_at(document, "view-uuid");
    add_line(l, real_view_line(w, document, name, made_of(w, pang_arena_cstr(w->fx->arena, id))));
}

/* ---- namespaces ---- */

static void show_tables(world *w, char *prefix, char **levels, size_t n, lines *l)
{
    Pangolin__V1__ListTablesRequest in = PANGOLIN__V1__LIST_TABLES_REQUEST__INIT;
    Pangolin__V1__ListTablesResponse out;
    in.prefix = prefix;
    in.namespace_ = levels;
    in.n_namespace_ = n;
    ok(w, fx_call(w->fx, "ListTables", &in, &out), "list of tables");
    for (size_t i = 0; i < out.n_identifiers; i++)
        show_table(w, prefix, out.identifiers[i], l);
}

static void show_views(world *w, char *prefix, char **levels, size_t n, lines *l)
{
    Pangolin__V1__ListViewsRequest in = PANGOLIN__V1__LIST_VIEWS_REQUEST__INIT;
    Pangolin__V1__ListViewsResponse out;
    in.prefix = prefix;
    in.namespace_ = levels;
    in.n_namespace_ = n;
    ok(w, fx_call(w->fx, "ListViews", &in, &out), "list of views");
    for (size_t i = 0; i < out.n_identifiers; i++)
        show_view(w, prefix, out.identifiers[i], l);
}

static void show_asset(world *w, char *prefix, const Pangolin__V1__AssetSummary *at, lines *l)
{
    Pangolin__V1__GetAssetRequest in = PANGOLIN__V1__GET_ASSET_REQUEST__INIT;
    Pangolin__V1__GetAssetResponse out;
    pang_buf line = {.arena = w->fx->arena};
    if (strcmp(at->kind, "ICEBERG_TABLE") == 0 || strcmp(at->kind, "VIEW") == 0)
        return;
    in.catalog = prefix;
    in.namespace_ = at->namespace_;
    in.n_namespace_ = at->n_namespace_;
    in.asset = at->name;
    ok(w, fx_call(w->fx, "GetAsset", &in, &out), at->name);
    pang_buf_printf(&line, "asset %s.%s #%d", dotted(w, at->namespace_, at->n_namespace_), at->name,
                    made_of(w, out.id));
    for (int k = 0; k < PROPERTIES; k++)
        for (size_t i = 0; i < out.n_properties; i++)
            if (strcmp(out.properties[i]->key, fx_text(w->fx, "p%d", k)) == 0)
                pang_buf_printf(&line, " p%d=%s", k, out.properties[i]->value);
    pang_buf_add_char(&line, '\0');
    add_line(l, TEXT(pang_buf_str(&line).ptr));
}

static void show_assets(world *w, char *prefix, char **levels, size_t n, lines *l)
{
    Pangolin__V1__ListAssetsRequest in = PANGOLIN__V1__LIST_ASSETS_REQUEST__INIT;
    Pangolin__V1__ListAssetsResponse out;
    in.catalog = prefix;
    in.namespace_ = levels;
    in.n_namespace_ = n;
    ok(w, fx_call(w->fx, "ListAssets", &in, &out), "list of assets");
    for (size_t i = 0; i < out.n_assets; i++)
        show_asset(w, prefix, out.assets[i], l);
}

static void show_space(world *w, char *prefix, char **levels, size_t n, lines *l)
{
    Pangolin__V1__LoadNamespaceRequest in = PANGOLIN__V1__LOAD_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__LoadNamespaceResponse out;
    pang_buf line = {.arena = w->fx->arena};
    in.prefix = prefix;
    in.namespace_ = levels;
    in.n_namespace_ = n;
    ok(w, fx_call(w->fx, "LoadNamespace", &in, &out), "namespace");
    pang_buf_printf(&line, "space %s", dotted(w, levels, n));
    for (int k = 0; k < PROPERTIES; k++)
        for (size_t i = 0; i < out.n_properties; i++)
            if (strcmp(out.properties[i]->key, fx_text(w->fx, "p%d", k)) == 0)
                pang_buf_printf(&line, " p%d=%s", k, out.properties[i]->value);
    pang_buf_add_char(&line, '\0');
    add_line(l, TEXT(pang_buf_str(&line).ptr));
}

static void show_below(world *w, char *prefix, char **levels, size_t n, lines *l)
{
    Pangolin__V1__ListNamespacesRequest in = PANGOLIN__V1__LIST_NAMESPACES_REQUEST__INIT;
    Pangolin__V1__ListNamespacesResponse out;
    in.prefix = prefix;
    in.parent = levels;
    in.n_parent = n;
    ok(w, fx_call(w->fx, "ListNamespaces", &in, &out), "list of namespaces");
    for (size_t i = 0; i < out.n_namespaces; i++) {
        char **found = out.namespaces[i]->levels;
        size_t n_found = out.namespaces[i]->n_levels;
        show_space(w, prefix, found, n_found, l);
        show_tables(w, prefix, found, n_found, l);
        show_views(w, prefix, found, n_found, l);
        show_assets(w, prefix, found, n_found, l);
        show_below(w, prefix, found, n_found, l);
    }
}

const char *real_text(world *w, const char *ref)
{
    lines *l = pang_arena_alloc(w->fx->arena, sizeof *l);
    l->w = w;
    show_below(w, fx_text(w->fx, "%s@%s", w->catalog, ref), NULL, 0, l);
    return joined(l, "\n");
}

pang_code real_look(world *w, const char *ref)
{
    Pangolin__V1__ListNamespacesRequest in = PANGOLIN__V1__LIST_NAMESPACES_REQUEST__INIT;
    Pangolin__V1__ListNamespacesResponse out;
    in.prefix = fx_text(w->fx, "%s@%s", w->catalog, ref);
    return fx_call(w->fx, "ListNamespaces", &in, &out);
}

/* ---- commits ---- */

size_t real_log(world *w, const char *ref, commit *to, size_t room)
{
    Pangolin__V1__ListCommitsRequest in = PANGOLIN__V1__LIST_COMMITS_REQUEST__INIT;
    Pangolin__V1__ListCommitsResponse out;
    size_t n = 0;
    in.name = TEXT(ref);
    in.catalog = w->catalog;
    in.page_size = (int32_t)(room < 7 ? room : 7); /* many pages */
    do {
        ok(w, fx_call(w->fx, "ListCommits", &in, &out), "log");
        for (size_t i = 0; i < out.n_commits && n < room; i++, n++) {
            to[n] = (commit){.sequence = (uint64_t)out.commits[i]->sequence,
                             .time_ms = out.commits[i]->timestamp};
            (void)snprintf(to[n].id, sizeof to[n].id, "%s", out.commits[i]->id);
        }
        in.page_token = out.next_page_token;
    } while (n < room && in.page_token != NULL && in.page_token[0] != '\0');
    return n;
}

static char *diff_line(world *w, const Pangolin__V1__DiffEntry *e)
{
    const char *name = e->n_namespace_ == 0
                           ? e->name
                           : fx_text(w->fx, "%s.%s", dotted(w, e->namespace_, e->n_namespace_),
                                     e->name);
    const char *kind = strcmp(e->kind, "namespace") == 0 ? "space" : e->kind;
    if (strcmp(e->change, "renamed") == 0)
        return fx_text(w->fx, "renamed %s %s.%s > %s", kind,
                       dotted(w, e->from_namespace, e->n_from_namespace), e->from_name, name);
    return fx_text(w->fx, "%s %s %s", e->change, kind, name);
}

const char *real_diff(world *w, const char *from, const char *to)
{
    Pangolin__V1__DiffRequest in = PANGOLIN__V1__DIFF_REQUEST__INIT;
    Pangolin__V1__DiffResponse out;
    lines *l = pang_arena_alloc(w->fx->arena, sizeof *l);
    l->w = w;
    in.catalog = w->catalog;
    in.from = TEXT(from);
    in.to = TEXT(to);
    in.page_size = 5;
    do {
        pang_code code = fx_call(w->fx, "Diff", &in, &out);
        if (code == PANG_FAILED_PRECONDITION)
            return NULL;
        ok(w, code, fx_text(w->fx, "diff %s %s", from, to));
        for (size_t i = 0; i < out.n_entries; i++)
            add_line(l, diff_line(w, out.entries[i]));
        in.page_token = out.next_page_token;
    } while (in.page_token != NULL && in.page_token[0] != '\0');
    return joined(l, "\n");
}

/* ---- refs ---- */

const char *real_refs(world *w, bool tags)
{
    lines *l = pang_arena_alloc(w->fx->arena, sizeof *l);
    l->w = w;
    if (tags) {
        Pangolin__V1__ListTagsRequest in = PANGOLIN__V1__LIST_TAGS_REQUEST__INIT;
        Pangolin__V1__ListTagsResponse out;
        in.catalog = w->catalog;
        ok(w, fx_call(w->fx, "ListTags", &in, &out), "tags");
        for (size_t i = 0; i < out.n_tags; i++)
            add_line(l, fx_text(w->fx, "%s %s", out.tags[i]->name, out.tags[i]->commit_id));
    } else {
        Pangolin__V1__ListBranchesRequest in = PANGOLIN__V1__LIST_BRANCHES_REQUEST__INIT;
        Pangolin__V1__ListBranchesResponse out;
        in.catalog = w->catalog;
        ok(w, fx_call(w->fx, "ListBranches", &in, &out), "branches");
        for (size_t i = 0; i < out.n_branches; i++)
            add_line(
                l, fx_text(w->fx, "%s %s", out.branches[i]->name, out.branches[i]->head_commit_id));
    }
    return joined(l, "\n");
}
