/*
 * Search: names are looked through, as many as one search may, in the catalogs that the caller may
 * see: one range where a catalog is wholly its to see, else the lists that it could open.
 */
#include "server/svc_search.h"

#include <stdlib.h>
#include <string.h>

#include "api/keys_identity.h"
#include "server/assets.h"
#include "server/catalogs.h"
#include "server/evaluate.h"
#include "server/svc_manage.h"
#include "server/svc_names.h"
#include "server/svc_tree.h"

#include "pangolin/v1/system.pb-c.h"

enum {
    HITS_KEPT_MAX = 10000, /* of which the shortest are returned */
    SCAN_ROWS = 1000,
    CATALOGS_AT_ONCE = 1000,
    REFS_MAX = 1000, /* of one catalog */
    LIMIT_DEFAULT = 20,
    ASSETS_LIMIT_DEFAULT = 50,
};

typedef struct {
    const char *kind; /* "Asset", "Catalog", "Namespace", "Branch" */
    pang_str name;
    pang_str path; /* of the namespace it is in, as in keys */
    const pang_rec_catalog *catalog;
    const pang_rec_content *body; /* of assets */
    pang_id id;
} hit;

typedef struct {
    pang_call *call;
    pang_str text; /* in lower case */
    bool assets_only;
    const char *only;                /* a catalog's name; empty: all */
    const pang_rec_catalog *catalog; /* that is looked through */
    hit *hits;
    size_t n, rows;
    pang_space space;
    pang_str last;
    size_t scanned;
    pang_code code;
    pang_err *err;
} search;

/* ---- matching ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool matches(const search *s, pang_str name)
{
    for (size_t i = 0; i + s->text.len <= name.len; i++) {
        size_t j = 0;
        while (j < s->text.len && lower(name.ptr[i + j]) == s->text.ptr[j])
            j++;
        if (j == s->text.len)
            return true;
    }
    return false;
}

static bool is_full(const search *s)
{
    return s->n == HITS_KEPT_MAX || s->rows >= PANG_SEARCH_ROWS_MAX;
}

static void add(search *s, hit found)
{
    found.catalog = s->catalog;
    if (s->n < HITS_KEPT_MAX)
        s->hits[s->n++] = found;
}

static void add_content(search *s, pang_str path, pang_str name, const pang_rec_content *body)
{
    bool is_namespace = body->kind == PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE;
    if (is_namespace && s->assets_only)
        return;
    add(s, (hit){.kind = is_namespace ? "Namespace" : "Asset",
                 .name = name,
                 .path = path,
                 .body = body,
                 .id = is_namespace ? (pang_id){{0}} : pang_id_of(body->asset)});
}

/* ---- one catalog ---- */

static bool look_at_listed(void *arg, pang_str path, const pang_content *row)
{
    search *s = arg;
    s->rows++;
    if (matches(s, row->name.name))
        add_content(s, path, row->name.name, row->body);
    return !is_full(s);
}

/* Names are looked at as they stand in keys; only what matches is unpacked. */
static void look_at_row(search *s, const pang_record *row)
{
    pang_arena *arena = s->call->arena;
    pang_key_parts parts;
    pang_str name, path;
    pang_rec_content *body;
    if (!pang_key_parse(row->key, &parts) || parts.n != 4 ||
        !pang_key_unescape(parts.parts[3], arena, &name)) {
        s->code = pang_manage_built(arena, s->err);
        return;
    }
    if (!matches(s, name))
        return;
    s->code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, arena, &body,
                                 s->err);
    if (s->code == PANG_OK && !pang_arena_copy(arena, parts.parts[2], &path))
        s->code = pang_fail_memory(s->err);
    if (s->code == PANG_OK && !body->dropped && pang_arena_copy(arena, name, &name))
        add_content(s, path, name, body);
}

static bool look_at_scanned(void *arg, const pang_record *row)
{
    search *s = arg;
    s->rows++;
    s->scanned++;
    look_at_row(s, row);
    if (s->code == PANG_OK && s->scanned == SCAN_ROWS &&
        !pang_arena_copy(s->call->arena, row->key, &s->last))
        s->code = pang_fail_memory(s->err);
    return s->code == PANG_OK && !is_full(s);
}

static pang_code scan_space(search *s, pang_view *view, pang_space space, pang_err *err)
{
    pang_query query = {
        .prefix = pang_key_contents_all(&view->keys, view->levels[0].branch, space),
        .limit = SCAN_ROWS,
    };
    pang_code code = pang_keys_status(&view->keys, err);
    s->scanned = SCAN_ROWS;
    while (code == PANG_OK && s->scanned == SCAN_ROWS && !is_full(s)) {
        s->scanned = 0;
        code = pang_txn_scan(s->call->txn, &query, look_at_scanned, s, err);
        if (code == PANG_OK)
            code = s->code;
        query.after = s->last;
    }
    return code;
}

static pang_code search_branches(search *s, pang_view *view, pang_err *err)
{
    pang_record *rows = NULL;
    size_t n = 0;
    pang_code code = pang_manage_all(s->call, pang_key_refs(&view->keys, view->catalog), REFS_MAX,
                                     &rows, &n, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_ref *ref;
        pang_str name, part = pang_str_after(rows[i].key, pang_key_prefix_len(rows[i].key));
        code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &rows[i], s->call->arena,
                                  &ref, err);
        if (code == PANG_OK && ref->kind == PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH &&
            pang_key_unescape(part, s->call->arena, &name) && matches(s, name))
            add(s, (hit){.kind = "Branch", .name = name, .id = pang_id_of(ref->branch)});
    }
    return code;
}

static pang_code search_catalog(search *s, const pang_rec_catalog *body, pang_err *err)
{
    pang_view view;
    pang_filter filter;
    pang_str name = pang_str_from(body->name);
    s->catalog = body;
    if (!s->assets_only && matches(s, name))
        add(s, (hit){.kind = "Catalog", .name = name, .id = pang_id_of(body->id)});
    pang_code code = pang_view_of(s->call->txn, s->call->arena, s->call->tenant_key,
                                  pang_id_of(body->id), name, &view, err);
    if (code == PANG_OK && !s->assets_only)
        code = search_branches(s, &view, err);
    if (code == PANG_OK)
        code = pang_evaluate_filter(s->call, view.catalog, (pang_str){0}, &filter, err);
    if (code != PANG_OK)
        return code;
    if (!filter.all)
        return pang_tree_walk(s->call, &view, look_at_listed, s, err);
    if (!s->assets_only)
        code = scan_space(s, &view, PANG_SPACE_NAMESPACE, err);
    return code == PANG_OK ? scan_space(s, &view, PANG_SPACE_ASSET, err) : code;
}

/* ---- single assets: granted by themselves, or by a tag that they carry ---- */

static bool is_known(const search *s, pang_id asset)
{
    for (size_t i = 0; i < s->n; i++)
        if (pang_id_equal(s->hits[i].id, asset))
            return true;
    return false;
}

static pang_code read_catalog(search *s, pang_id id, pang_rec_catalog **ret, pang_err *err)
{
    pang_keys keys = {.arena = s->call->arena, .scope = s->call->tenant_key};
    pang_record record;
    *ret = NULL;
    pang_code code = pang_txn_get_one(s->call->txn, pang_key_catalog(&keys, id), &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record, s->call->arena,
                              ret, err);
}

/* Where it is now, whatever it was granted as. */
static pang_code look_at_asset(search *s, pang_view *view, pang_id asset, pang_err *err)
{
    pang_asset_at at = {0};
    pang_content content = {0};
    pang_code code = pang_asset_find(view, &asset, 1, &at, err);
    const pang_rec_asset *place = at.body;
    if (code != PANG_OK || place == NULL || place->dropped || place->space != PANG_SPACE_ASSET ||
        !matches(s, pang_str_from(place->name)))
        return code;
    content.name = (pang_name){PANG_SPACE_ASSET, pang_str_from(place->path),
                               pang_str_from(place->name)};
    code = pang_content_get(view, &content, 1, err);
    if (code == PANG_OK && pang_content_exists(&content) &&
        pang_id_equal(pang_id_of(content.body->asset), asset))
        add_content(s, content.name.path, content.name.name, content.body);
    return code;
}

static pang_code search_asset(search *s, pang_id catalog, pang_id asset, pang_err *err)
{
    pang_rec_catalog *body = NULL;
    pang_view view;
    if (is_known(s, asset))
        return PANG_OK;
    s->rows++;
    pang_code code = read_catalog(s, catalog, &body, err);
    if (code != PANG_OK || body == NULL || (s->only[0] != '\0' && strcmp(s->only, body->name) != 0))
        return code;
    s->catalog = body;
    code = pang_view_of(s->call->txn, s->call->arena, s->call->tenant_key, catalog,
                        pang_str_from(body->name), &view, err);
    return code == PANG_OK ? look_at_asset(s, &view, asset, err) : code;
}

static pang_code search_tag(search *s, pang_str tag, pang_err *err)
{
    pang_keys keys = {.arena = s->call->arena, .scope = s->call->tenant_key};
    pang_manage_query query = {.prefix = pang_key_tagged_assets(&keys, tag),
                               .page_size = SCAN_ROWS};
    pang_manage_page page = {0};
    pang_code code = pang_keys_status(&keys, err);
    do {
        if (code == PANG_OK)
            code = pang_manage_list(s->call, &query, &page, err);
        for (size_t i = 0; code == PANG_OK && i < page.n && !is_full(s); i++) {
            Pangolin__Store__V1__Tagged *body;
            pang_id asset;
            pang_str part = pang_str_after(page.rows[i].key, query.prefix.len);
            code = pang_record_unpack(&pangolin__store__v1__tagged__descriptor, &page.rows[i],
                                      s->call->arena, &body, err);
            if (code == PANG_OK && pang_id_parse(part, &asset))
                code = search_asset(s, pang_id_of(body->catalog), asset, err);
        }
        query.token = page.next_token;
    } while (code == PANG_OK && page.next_token != NULL && !is_full(s));
    return code;
}

static pang_code search_singles(search *s, pang_err *err)
{
    pang_filter filter;
    pang_code code = pang_evaluate_filter(s->call, (pang_id){{0}}, (pang_str){0}, &filter, err);
    if (code != PANG_OK || filter.all)
        return code;
    for (size_t i = 0; code == PANG_OK && i < filter.n_assets && !is_full(s); i++)
        code = search_asset(s, filter.assets[i].catalog, filter.assets[i].asset, err);
    for (size_t i = 0; code == PANG_OK && i < filter.n_tags && !is_full(s); i++)
        code = search_tag(s, filter.tags[i], err);
    return code;
}

/* ---- all of them ---- */

static pang_str context_of(const search *s, const hit *of)
{
    return pang_arena_printf(s->call->arena, "%s%s%" PANG_STR_FMT, of->catalog->name,
                             of->path.len > 0 ? "." : "", PANG_STR_ARG(of->path));
}

static int compare_hits(const void *a, const void *b)
{
    const hit *left = a, *right = b;
    if (left->name.len != right->name.len)
        return left->name.len < right->name.len ? -1 : 1;
    int order = pang_str_compare(left->name, right->name);
    if (order == 0)
        order = strcmp(left->catalog->name, right->catalog->name);
    return order != 0 ? order : pang_str_compare(left->path, right->path);
}

static pang_code begin(pang_call *call, const char *text, search *s, pang_err *err)
{
    pang_str kept;
    if (strlen(text) > PANG_SEARCH_TEXT_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "q is too long, at most %d bytes", PANG_SEARCH_TEXT_MAX);
    if (!pang_arena_copy(call->arena, pang_str_from(text), &kept))
        return pang_fail_memory(err);
    char *at = pang_arena_cstr(call->arena, kept);
    s->hits = pang_arena_alloc_n(call->arena, HITS_KEPT_MAX, sizeof *s->hits);
    if (at == NULL || s->hits == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < kept.len; i++)
        at[i] = lower(at[i]);
    s->call = call;
    s->err = err;
    s->text = (pang_str){at, kept.len};
    return PANG_OK;
}

static pang_code run(search *s, pang_err *err)
{
    pang_catalogs_query query = {.page_size = CATALOGS_AT_ONCE};
    pang_code code = PANG_OK;
    char *token = NULL;
    do {
        pang_rec_catalog **list = NULL;
        size_t n = 0;
        code = pang_catalogs_list(s->call, &query, &list, &n, &token, err);
        for (size_t i = 0; code == PANG_OK && i < n && !is_full(s); i++)
            if (s->only[0] == '\0' || strcmp(s->only, list[i]->name) == 0)
                code = search_catalog(s, list[i], err);
        query.token = token;
    } while (code == PANG_OK && token != NULL && !is_full(s));
    if (code == PANG_OK)
        code = search_singles(s, err);
    if (s->n > 0)
        qsort(s->hits, s->n, sizeof *s->hits, compare_hits);
    return code;
}

static pang_code take_limit(int32_t asked, size_t otherwise, size_t *ret, pang_err *err)
{
    if (asked < 0 || asked > PANG_SEARCH_HITS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "limit must be 1 to %d, not %d", PANG_SEARCH_HITS_MAX, asked);
    *ret = asked == 0 ? otherwise : (size_t)asked;
    return PANG_OK;
}

/* ---- everything by name ---- */

pang_code pang_search(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__SearchRequest *in = request;
    Pangolin__V1__SearchResponse *out = reply;
    search s = {.only = ""};
    size_t limit = 0;
    pang_code code = take_limit(in->page_size, LIMIT_DEFAULT, &limit, err);
    if (code == PANG_OK)
        code = begin(call, in->q, &s, err);
    if (code == PANG_OK)
        code = run(&s, err);
    if (code != PANG_OK)
        return code;
    size_t n = s.n < limit ? s.n : limit;
    Pangolin__V1__SearchHit *hits = pang_arena_alloc_n(call->arena, n, sizeof *hits);
    out->results = pang_arena_alloc_n(call->arena, n, sizeof *out->results);
    if (hits == NULL || out->results == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const hit *found = &s.hits[i];
        hits[i] = (Pangolin__V1__SearchHit)PANGOLIN__V1__SEARCH_HIT__INIT;
        if (!pang_id_is_nil(found->id))
            hits[i].id = pang_manage_id_text(found->id, call->arena);
        hits[i].name = pang_arena_cstr(call->arena, found->name);
        hits[i].kind = (char *)(uintptr_t)found->kind;
        hits[i].context = pang_arena_cstr(call->arena, context_of(&s, found));
        out->results[i] = &hits[i];
    }
    out->n_results = n;
    return pang_manage_built(call->arena, err);
}

/* ---- assets ---- */

static pang_code split_path(pang_str path, pang_arena *arena, Pangolin__V1__AssetHit *out,
                            pang_err *err)
{
    pang_str rest = path, part, level;
    out->namespace_ = pang_arena_alloc_n(arena, PANG_NAMESPACE_LEVELS_MAX, sizeof *out->namespace_);
    if (out->namespace_ == NULL)
        return pang_fail_memory(err);
    while (out->n_namespace_ < PANG_NAMESPACE_LEVELS_MAX && pang_str_next(&rest, '.', &part)) {
        if (!pang_key_unescape(part, arena, &level))
            return pang_fail_memory(err);
        out->namespace_[out->n_namespace_++] = pang_arena_cstr(arena, level);
    }
    return pang_manage_built(arena, err);
}

static char *type_of(const pang_rec_content *body, pang_arena *arena)
{
    const char *kind = pang_asset_kind(body);
    if (body->kind == PANGOLIN__STORE__V1__KIND__KIND_TABLE)
        kind = "table";
    char *text = pang_arena_cstr(arena, pang_str_from(kind));
    for (char *at = text; at != NULL && *at != '\0'; at++)
        *at = lower(*at);
    return text;
}

/* Whether the caller may read it, and not only see that it is there. */
static bool may_read(pang_call *call, const hit *found, const pang_rec_notes *notes)
{
    pang_str tags[PANG_OBJECT_TAGS_MAX];
    pang_grant_object object = {.kind = PANG_SCOPE_ASSET,
                                .tenant = call->who->tenant,
                                .catalog = pang_id_of(found->catalog->id),
                                .asset = found->id,
                                .path = found->path,
                                .tags = tags};
    if (call->permit == NULL)
        return true;
    while (notes != NULL && object.n_tags < notes->n_tags && object.n_tags < PANG_OBJECT_TAGS_MAX) {
        tags[object.n_tags] = pang_str_from(notes->tags[object.n_tags]);
        object.n_tags++;
    }
    return pang_grants_check(call->permit->grants, PANG_ACT_READ, &object) == PANG_ALLOWED;
}

static pang_code show_assets(pang_call *call, const hit *found, size_t n,
                             Pangolin__V1__SearchAssetsResponse *out, pang_err *err)
{
    Pangolin__V1__AssetHit *hits = pang_arena_alloc_n(call->arena, n, sizeof *hits);
    pang_rec_notes **notes = pang_arena_alloc_n(call->arena, n, sizeof *notes);
    pang_id *ids = pang_arena_alloc_n(call->arena, n, sizeof *ids);
    out->results = pang_arena_alloc_n(call->arena, n, sizeof *out->results);
    if (hits == NULL || notes == NULL || ids == NULL || out->results == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        ids[i] = found[i].id;
    pang_code code = pang_notes_get(call, ids, n, notes, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        hits[i] = (Pangolin__V1__AssetHit)PANGOLIN__V1__ASSET_HIT__INIT;
        hits[i].id = pang_manage_id_text(found[i].id, call->arena);
        hits[i].name = pang_arena_cstr(call->arena, found[i].name);
        hits[i].catalog = found[i].catalog->name;
        hits[i].asset_type = type_of(found[i].body, call->arena);
        hits[i].has_access = may_read(call, &found[i], notes[i]);
        code = split_path(found[i].path, call->arena, &hits[i], err);
        out->results[i] = &hits[i];
    }
    out->n_results = n;
    return code;
}

pang_code pang_search_assets(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__SearchAssetsRequest *in = request;
    Pangolin__V1__SearchAssetsResponse *out = reply;
    search s = {.only = in->catalog, .assets_only = true};
    size_t limit = 0;
    if (in->q[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "q is empty");
    if (in->offset < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "offset must not be negative");
    pang_code code = take_limit(in->page_size, ASSETS_LIMIT_DEFAULT, &limit, err);
    if (code == PANG_OK)
        code = begin(call, in->q, &s, err);
    if (code == PANG_OK)
        code = run(&s, err);
    if (code != PANG_OK)
        return code;
    size_t from = (size_t)in->offset < s.n ? (size_t)in->offset : s.n;
    out->total = (int64_t)s.n;
    out->page_size = (int32_t)limit;
    out->offset = in->offset;
    return show_assets(call, s.hits + from, s.n - from < limit ? s.n - from : limit, out, err);
}
