/*
 * Content, reading: from a prefix to a view, from names to records, and lists.
 * One get answers for all names on all levels; the chain of bases is stored whole in the ref, so
 * a branch of a branch costs no further round trip.
 */
#include "server/content.h"

#include <assert.h>
#include <string.h>

enum {
    SCAN_ROWS_MAX = 512, /* of one scan of a list; ceiling reads for them fit one get */
    SCAN_ROWS_MIN = 32,  /* tombstones are not shown, so that asking for just one would crawl */
};

#define MAIN_REF PANG_STR("main")

/* ---- views ---- */

pang_code pang_fail_no_catalog(pang_err *err, const char *reason, pang_str prefix)
{
    return pang_fail(err, PANG_NOT_FOUND, reason, "Catalog does not exist: %" PANG_STR_FMT,
                     PANG_STR_ARG(prefix));
}

static pang_code set_levels(pang_view *view, const pang_rec_ref *ref, pang_err *err)
{
    bool is_branch = ref->kind == PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH;
    if (ref->n_bases >= PANG_LEVELS_MAX)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "a ref has %zu bases", ref->n_bases);
    view->levels[0].branch = pang_id_of(ref->branch);
    view->levels[0].at = is_branch ? PANG_NOW : ref->sequence;
    for (size_t i = 0; i < ref->n_bases; i++) {
        view->levels[i + 1].branch = pang_id_of(ref->bases[i]->branch);
        view->levels[i + 1].at = ref->bases[i]->sequence;
    }
    view->n_levels = ref->n_bases + 1;
    view->writable = is_branch;
    return PANG_OK;
}

static pang_code read_ref(pang_view *view, pang_str name, const char *reason, pang_err *err)
{
    pang_record record;
    pang_rec_ref *ref;
    pang_str key = pang_key_ref(&view->keys, view->catalog, name);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version == 0)
        return pang_fail(err, PANG_NOT_FOUND, reason, "Ref does not exist: %" PANG_STR_FMT,
                         PANG_STR_ARG(name));
    code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &record, view->arena, &ref,
                              err);
    return code == PANG_OK ? set_levels(view, ref, err) : code;
}

pang_code pang_view_begin(pang_txn *txn, pang_arena *arena, pang_str scope, pang_str prefix,
                          const char *reason, pang_view *ret, pang_err *err)
{
    pang_record record;
    pang_rec_catalog_name *named;
    *ret = (pang_view){.txn = txn, .arena = arena, .prefix = prefix};
    ret->keys = (pang_keys){.arena = arena, .scope = scope};
    size_t at = pang_str_find(prefix, '@');
    pang_str name = pang_str_slice(prefix, 0, at);
    pang_str ref = at < prefix.len ? pang_str_after(prefix, at + 1) : MAIN_REF;
    pang_str key = pang_key_catalog_name(&ret->keys, name);
    pang_code code = pang_keys_status(&ret->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version == 0)
        return pang_fail_no_catalog(err, reason, name);
    code = pang_record_unpack(&pangolin__store__v1__catalog_name__descriptor, &record, arena,
                              &named, err);
    if (code != PANG_OK)
        return code;
    ret->catalog = pang_id_of(named->catalog);
    return read_ref(ret, ref, reason, err);
}

pang_code pang_view_of(pang_txn *txn, pang_arena *arena, pang_str scope, pang_id catalog,
                       pang_str name, pang_view *ret, pang_err *err)
{
    *ret = (pang_view){.txn = txn, .arena = arena, .prefix = name, .catalog = catalog};
    ret->keys = (pang_keys){.arena = arena, .scope = scope};
    return read_ref(ret, MAIN_REF, NULL, err);
}

pang_code pang_view_open(pang_call *call, const char *prefix, const char *reason, pang_view *ret,
                         pang_err *err)
{
    return pang_view_begin(call->txn, call->arena, call->tenant_key, pang_str_from(prefix), reason,
                           ret, err);
}

pang_code pang_view_settings(pang_view *view, pang_rec_catalog **ret, pang_err *err)
{
    pang_record record;
    if (view->settings == NULL) {
        pang_str key = pang_key_catalog(&view->keys, view->catalog);
        pang_code code = pang_txn_get_one(view->txn, key, &record, err);
        if (code == PANG_OK && record.version == 0)
            code = pang_fail(err, PANG_DATA_LOSS, NULL,
                             "catalog \"%" PANG_STR_FMT "\" has no settings",
                             PANG_STR_ARG(view->prefix));
        if (code == PANG_OK)
            code = pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record,
                                      view->arena, &view->settings, err);
        if (code != PANG_OK)
            return code;
    }
    *ret = view->settings;
    return PANG_OK;
}

pang_code pang_view_sequence(pang_view *view, uint64_t *ret, pang_err *err)
{
    pang_record record;
    pang_ref ref = {.key = pang_key_sequence(&view->keys, view->catalog)};
    pang_code code = pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code == PANG_OK)
        *ret = (uint64_t)record.value;
    return code;
}

void pang_view_set_at(pang_view *view, uint64_t sequence)
{
    if (view->levels[0].at > sequence)
        view->levels[0].at = sequence;
    view->writable = false;
}

/* ---- names ---- */

pang_name pang_name_of_asset(pang_keys *keys, pang_levels levels, pang_str name)
{
    return (pang_name){PANG_SPACE_ASSET, pang_key_path(keys, levels.names, levels.n), name};
}

pang_name pang_name_of_namespace(pang_keys *keys, pang_levels levels)
{
    assert(levels.n > 0);
    return (pang_name){PANG_SPACE_NAMESPACE, pang_key_path(keys, levels.names, levels.n - 1),
                       levels.names[levels.n - 1]};
}

/* ---- reading ---- */

bool pang_content_exists(const pang_content *content)
{
    return content->body != NULL && !content->body->dropped;
}

static pang_ref current_ref(pang_view *view, size_t level, pang_name name)
{
    return (pang_ref){.key = pang_key_content(&view->keys, view->levels[level].branch, name.space,
                                              name.path, name.name)};
}

static pang_ref history_ref(pang_view *view, size_t level, pang_name name)
{
    pang_str key = pang_key_history(&view->keys, view->levels[level].branch, name.space, name.path,
                                    name.name, view->levels[level].at);
    return (pang_ref){.key = key, .prefix_len = pang_key_prefix_len(key), .mode = PANG_REF_CEILING};
}

static pang_code take_body(pang_view *view, const pang_record *record, pang_content *content,
                           pang_err *err)
{
    return pang_record_unpack(&pangolin__store__v1__content__descriptor, record, view->arena,
                              &content->body, err);
}

static pang_code take_current(pang_view *view, const pang_record *record, bool own,
                              pang_content *content, pang_err *err)
{
    content->sequence = record->sequence;
    content->time_ms = record->time_ms;
    content->own = own;
    return take_body(view, record, content, err);
}

/* What `record`, the history row above `at`, held at `at`; nothing when it is of later. */
static pang_code take_history(pang_view *view, const pang_record *record, uint64_t at,
                              pang_content *content, pang_err *err)
{
    if (record->version == 0)
        return PANG_OK;
    pang_code code = take_body(view, record, content, err);
    if (code != PANG_OK)
        return code;
    if (content->body->written_at > at) {
        content->body = NULL;
        return PANG_OK;
    }
    content->sequence = content->body->written_at;
    content->time_ms = content->body->written_ms;
    return PANG_OK;
}

/* The records of one name: per level its current one and, where the level is of the past, the
 * history row above. */
static pang_code resolve(pang_view *view, const pang_record *current, const pang_record *history,
                         pang_content *content, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < view->n_levels && content->body == NULL; i++) {
        uint64_t at = view->levels[i].at;
        if (current[i].version == 0)
            continue;
        if (current[i].sequence <= at)
            code = take_current(view, &current[i], i == 0 && at == PANG_NOW, content, err);
        else
            code = take_history(view, &history[i], at, content, err);
    }
    return code;
}

typedef struct {
    pang_ref *refs;
    pang_record *records;
    size_t n;
} batch;

static bool batch_new(batch *b, pang_arena *arena, size_t n)
{
    b->n = n;
    b->refs = pang_arena_alloc_n(arena, n, sizeof *b->refs);
    b->records = pang_arena_alloc_n(arena, n, sizeof *b->records);
    return b->refs != NULL && b->records != NULL;
}

static pang_code batch_get(pang_view *view, batch *b, pang_read_mode mode, pang_err *err)
{
    for (size_t from = 0; from < b->n; from += PANG_GET_MAX) {
        size_t n = b->n - from < PANG_GET_MAX ? b->n - from : PANG_GET_MAX;
        pang_code code = pang_txn_get(view->txn, b->refs + from, n, mode, b->records + from, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* A branch as of now and nothing below: the one get that nearly all calls make. */
static pang_code get_plain(pang_view *view, pang_content *contents, size_t n, pang_err *err)
{
    batch b;
    if (!batch_new(&b, view->arena, n))
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        b.refs[i] = current_ref(view, 0, contents[i].name);
        contents[i].key = b.refs[i].key;
    }
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = batch_get(view, &b, PANG_READ_CHECKED, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (b.records[i].version != 0)
            code = take_current(view, &b.records[i], true, &contents[i], err);
    return code;
}

/* Below the first level nothing can change any more as of the level's sequence, so those reads
 * are not checked at commit. */
static pang_code get_through(pang_view *view, pang_content *contents, size_t n, pang_err *err)
{
    batch own, through;
    size_t levels = view->n_levels;
    if (!batch_new(&own, view->arena, n) || !batch_new(&through, view->arena, n * levels * 2))
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        pang_ref *current = &through.refs[i * levels * 2], *history = current + levels;
        for (size_t level = 0; level < levels; level++) {
            current[level] = current_ref(view, level, contents[i].name);
            history[level] = history_ref(view, level, contents[i].name);
        }
        own.refs[i] = current[0];
        contents[i].key = current[0].key;
    }
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK && view->writable)
        code = batch_get(view, &own, PANG_READ_CHECKED, err);
    if (code == PANG_OK)
        code = batch_get(view, &through, PANG_READ_UNCHECKED, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_record *current = &through.records[i * levels * 2];
        if (view->writable)
            current[0] = own.records[i];
        code = resolve(view, current, current + levels, &contents[i], err);
    }
    return code;
}

pang_code pang_content_get(pang_view *view, pang_content *contents, size_t n, pang_err *err)
{
    if (n > PANG_NAMES_AT_ONCE_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "too many names in one request: %zu, at most %d", n,
                         PANG_NAMES_AT_ONCE_MAX);
    for (size_t i = 0; i < n; i++)
        contents[i] = (pang_content){.name = contents[i].name};
    if (view->n_levels == 1 && view->levels[0].at == PANG_NOW)
        return get_plain(view, contents, n, err);
    return get_through(view, contents, n, err);
}

/* ---- lists ---- */

typedef struct {
    pang_view *view;
    pang_record *rows;
    size_t n, limit;
    bool failed;
} page;

static bool keep_row(void *arg, const pang_record *row)
{
    page *p = arg;
    pang_record *to = &p->rows[p->n];
    *to = *row;
    if (!pang_arena_copy(p->view->arena, row->key, &to->key) ||
        !pang_arena_copy(p->view->arena, row->body, &to->body)) {
        p->failed = true;
        return false;
    }
    return ++p->n < p->limit;
}

static pang_code scan_page(pang_view *view, pang_str prefix, pang_str after, page *p, pang_err *err)
{
    pang_buf from = {.arena = view->arena};
    pang_query query = {.prefix = prefix, .limit = (uint32_t)p->limit};
    if (after.len > 0) {
        pang_buf_add(&from, prefix);
        pang_buf_add(&from, after);
        query.after = pang_buf_str(&from);
    }
    p->rows = pang_arena_alloc_n(view->arena, p->limit, sizeof *p->rows);
    if (from.failed || p->rows == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_scan(view->txn, &query, keep_row, p, err);
    return code == PANG_OK && p->failed ? pang_fail_memory(err) : code;
}

/* Rows that are newer than the list's state are looked up in history, all at once. */
static pang_code resolve_page(pang_view *view, const pang_content_query *query, const page *p,
                              pang_content *contents, pang_err *err)
{
    batch older;
    size_t n = 0;
    uint64_t at = view->levels[0].at;
    if (!batch_new(&older, view->arena, p->n))
        return pang_fail_memory(err);
    for (size_t i = 0; i < p->n; i++) {
        pang_str key = p->rows[i].key, part = pang_str_after(key, pang_key_prefix_len(key));
        contents[i] = (pang_content){.name = {query->space, query->path, part}, .key = key};
        if (!pang_key_unescape(part, view->arena, &contents[i].name.name))
            return pang_fail_memory(err);
        if (p->rows[i].sequence > at)
            older.refs[n++] = history_ref(view, 0, contents[i].name);
    }
    older.n = n;
    pang_code code = batch_get(view, &older, PANG_READ_UNCHECKED, err);
    for (size_t i = 0, next = 0; code == PANG_OK && i < p->n; i++) {
        if (p->rows[i].sequence <= at)
            code = take_current(view, &p->rows[i], false, &contents[i], err);
        else
            code = take_history(view, &older.records[next++], at, &contents[i], err);
    }
    return code;
}

/* One scan, resolved. */
static pang_code read_page(pang_view *view, const pang_content_query *query, pang_str prefix,
                           pang_str after, page *p, pang_content **ret, pang_err *err)
{
    pang_code code = scan_page(view, prefix, after, p, err);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_alloc_n(view->arena, p->n, sizeof **ret);
    return *ret == NULL ? pang_fail_memory(err) : resolve_page(view, query, p, *ret, err);
}

static size_t rows_for(size_t wanted)
{
    if (wanted > SCAN_ROWS_MAX)
        return SCAN_ROWS_MAX;
    return wanted < SCAN_ROWS_MIN ? SCAN_ROWS_MIN : wanted;
}

pang_code pang_content_list(pang_view *view, const pang_content_query *query,
                            pang_content_row_fn *row, void *arg, pang_str *ret_after, pang_err *err)
{
    if (view->n_levels != 1)
        return pang_fail(err, PANG_UNIMPLEMENTED, NULL, "lists through a base are not there yet");
    assert(view->levels[0].at != PANG_NOW && query->limit > 0);
    pang_str after = query->after, prefix = pang_key_contents(&view->keys, view->levels[0].branch,
                                                              query->space, query->path);
    pang_code code = pang_keys_status(&view->keys, err);
    for (size_t shown = 0; code == PANG_OK;) {
        page p = {.view = view, .limit = rows_for(query->limit - shown)};
        pang_content *contents = NULL;
        code = read_page(view, query, prefix, after, &p, &contents, err);
        for (size_t i = 0; code == PANG_OK && i < p.n; i++) {
            after = pang_str_after(p.rows[i].key, prefix.len);
            if (!pang_content_exists(&contents[i]))
                continue;
            if (!row(arg, &contents[i]) || ++shown == query->limit) {
                *ret_after = after;
                return PANG_OK;
            }
        }
        if (code == PANG_OK && p.n < p.limit) {
            *ret_after = (pang_str){0};
            return PANG_OK;
        }
    }
    return code;
}

static bool stop_at_first(void *arg, const pang_content *row)
{
    (void)row;
    *(bool *)arg = false;
    return false;
}

pang_code pang_content_is_empty(pang_view *view, pang_levels levels, bool *ret, pang_err *err)
{
    static const pang_space spaces[] = {PANG_SPACE_ASSET, PANG_SPACE_NAMESPACE};
    pang_view now = *view;
    pang_record epoch;
    bool empty = true;
    pang_str path = pang_key_path(&now.keys, levels.names, levels.n), ignored;
    pang_ref ref = {.key = pang_key_epoch(&now.keys, now.levels[0].branch, path)};
    pang_code code = pang_keys_status(&now.keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(now.txn, &ref, 1, PANG_READ_UNCHECKED, &epoch, err);
    if (code != PANG_OK)
        return code;
    /* Whoever creates in the namespace after this adds to its epoch, and then this commit fails. */
    pang_txn_check_counter(view->txn, ref.key, epoch.value);
    now.levels[0].at = PANG_NOW - 1;
    for (size_t i = 0; code == PANG_OK && empty && i < 2; i++) {
        pang_content_query query = {.space = spaces[i], .path = path, .limit = 1};
        code = pang_content_list(&now, &query, stop_at_first, &empty, &ignored, err);
    }
    if (code == PANG_OK)
        *ret = empty;
    return code;
}
