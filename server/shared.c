/*
 * Shared tables: the mark is one small record of the branch that is read beside the table's own.
 * The overlay is put into the document's text, whose other bytes are not looked at: a scan finds
 * where "properties" stands, once per document, since the result is cached.
 */
#include "server/shared.h"

#include "api/json.h"
#include "api/keys_versions.h"
#include "server/branches.h"

/* ---- the mark ---- */

static pang_code read_mark(pang_txn *txn, pang_keys *keys, pang_id branch, pang_read_mode mode,
                           pang_str *ret_key, pang_rec_fork_mark **ret, pang_err *err)
{
    pang_record record = {0};
    pang_ref ref = {.key = *ret_key = pang_key_fork_mark(keys, branch)};
    *ret = NULL;
    pang_code code = pang_keys_status(keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(txn, &ref, 1, mode, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(&pangolin__store__v1__fork_mark__descriptor, &record, keys->arena,
                              ret, err);
}

static void put_mark(pang_txn *txn, pang_keys *keys, pang_str key, uint64_t sequence)
{
    pang_rec_fork_mark mark = PANGOLIN__STORE__V1__FORK_MARK__INIT;
    mark.sequence = sequence;
    pang_txn_put(txn, PANG_KIND_FORK_MARK, key, pang_record_pack(&mark.base, keys->arena));
}

pang_code pang_fork_mark_raise(pang_txn *txn, pang_keys *keys, pang_id branch, uint64_t sequence,
                               pang_err *err)
{
    pang_rec_fork_mark *mark;
    pang_str key;
    pang_code code = read_mark(txn, keys, branch, PANG_READ_CHECKED, &key, &mark, err);
    if (code == PANG_OK && (mark == NULL || mark->sequence < sequence))
        put_mark(txn, keys, key, sequence);
    return code;
}

pang_code pang_fork_mark_renew(pang_view *view, pang_err *err)
{
    pang_rec_fork_mark *mark;
    pang_str key;
    pang_code code = read_mark(view->txn, &view->keys, view->levels[0].branch, PANG_READ_CHECKED,
                               &key, &mark, err);
    if (code == PANG_OK)
        put_mark(view->txn, &view->keys, key, mark == NULL ? 0 : mark->sequence);
    pang_branch_let_go(view);
    return code;
}

/* ---- shared or not ---- */

uint64_t pang_since(const pang_rec_content *body, uint64_t sequence)
{
    return body->created_at != 0 ? body->created_at : sequence;
}

pang_code pang_forked_since(pang_txn *txn, pang_keys *keys, pang_id branch, uint64_t since,
                            pang_read_mode mode, bool *ret, pang_err *err)
{
    pang_rec_fork_mark *mark;
    pang_str key;
    pang_code code = read_mark(txn, keys, branch, mode, &key, &mark, err);
    *ret = mark != NULL && since <= mark->sequence;
    return code;
}

pang_code pang_shared_look(pang_view *view, const pang_content *content, bool *ret, pang_err *err)
{
    *ret = true;
    if (!view->writable || !content->own || content->body->shared)
        return PANG_OK;
    return pang_forked_since(view->txn, &view->keys, view->levels[0].branch,
                             pang_since(content->body, content->sequence), PANG_READ_UNCHECKED, ret,
                             err);
}

int64_t pang_undrop_life(const pang_rec_catalog *settings, bool purged)
{
    return !purged && settings->retention_ms > settings->undrop_ms ? settings->retention_ms
                                                                   : settings->undrop_ms;
}

/* ---- the overlay ---- */

pang_code pang_view_paths_of(pang_view *view, pang_own_paths *ret, pang_err *err)
{
    pang_rec_fork_mark *mark;
    pang_str key;
    *ret = (pang_own_paths){{{0}}, 0};
    if (!view->writable || view->ref == NULL || !view->ref->own_paths)
        return PANG_OK;
    ret->branch = view->levels[0].branch;
    pang_code code = read_mark(view->txn, &view->keys, ret->branch, PANG_READ_UNCHECKED, &key,
                               &mark, err);
    if (code == PANG_OK && mark != NULL)
        ret->mark = mark->sequence;
    return code;
}

pang_str pang_branch_folder(pang_str location, pang_own_paths paths, pang_arena *arena)
{
    char text[PANG_ID_TEXT + 1];
    while (location.len > 1 && location.ptr[location.len - 1] == '/')
        location.len--;
    pang_id_text(paths.branch, text);
    if (paths.mark == 0)
        return pang_arena_printf(arena, "%" PANG_STR_FMT "/branches/%s", PANG_STR_ARG(location),
                                 text);
    return pang_arena_printf(arena, "%" PANG_STR_FMT "/branches/%s-%llu", PANG_STR_ARG(location),
                             text, (unsigned long long)paths.mark);
}

pang_code pang_overlay_of(pang_view *view, const pang_content *content, pang_overlay *ret,
                          pang_err *err)
{
    pang_code code = pang_view_paths_of(view, &ret->paths, err);
    return code == PANG_OK ? pang_shared_look(view, content, &ret->shared, err) : code;
}

bool pang_overlay_is_none(pang_overlay overlay)
{
    return !overlay.shared && pang_id_is_nil(overlay.paths.branch);
}

/* Where in a document the overlay goes. */
typedef struct {
    pang_str location;   /* its "location", decoded */
    pang_str properties; /* the member's value as it stands; empty: there is none */
} places;

static pang_code find_places(pang_str document, pang_arena *arena, places *ret, pang_err *err)
{
    pang_json_scanner scanner;
    bool is_location, is_properties;
    *ret = (places){0};
    pang_json_scan_begin(&scanner, document, arena);
    pang_code code = pang_json_scan_next(&scanner, err); /* the object's begin */
    while (code == PANG_OK && (ret->location.ptr == NULL || ret->properties.ptr == NULL)) {
        pang_str raw;
        code = pang_json_scan_next(&scanner, err);
        if (code != PANG_OK || scanner.token != PANG_JSON_NAME)
            break;
        is_location = pang_str_equal(scanner.text, PANG_STR("location"));
        is_properties = pang_str_equal(scanner.text, PANG_STR("properties"));
        code = pang_json_scan_next(&scanner, err);
        if (is_location && scanner.token == PANG_JSON_STRING)
            ret->location = scanner.text;
        if (code == PANG_OK)
            code = pang_json_scan_skip(&scanner, &raw, err);
        if (code == PANG_OK && is_properties)
            ret->properties = raw;
    }
    return code;
}

/* The properties that a document gets, and whether it has any of those that stand in for another.
 */
enum { NAMES = 6, DATA = 2, METADATA = 5 };
static const char *const names[NAMES] = {
    "gc.enabled",
    "write.metadata.delete-after-commit.enabled",
    "write.data.path",
    "write.object-storage.path",
    "write.folder-storage.path",
    "write.metadata.path",
};

static size_t index_of(pang_str name)
{
    size_t i = 0;
    while (i < NAMES && !pang_str_equal(name, pang_str_from(names[i])))
        i++;
    return i;
}

static void add_name(pang_buf *buf, const char *name)
{
    if (buf->len > 0 && buf->ptr[buf->len - 1] != '{')
        pang_buf_add_char(buf, ',');
    pang_json_quote(buf, pang_str_from(name));
    pang_buf_add_char(buf, ':');
}

/* The document's own properties, but for those that are laid over. */
static pang_code copy_properties(pang_overlay overlay, pang_str properties, pang_buf *buf,
                                 bool seen[NAMES], pang_err *err)
{
    pang_json_scanner scanner;
    pang_json_scan_begin(&scanner, properties, buf->arena);
    pang_code code = pang_json_scan_next(&scanner, err);
    while (code == PANG_OK) {
        pang_str name, raw;
        code = pang_json_scan_next(&scanner, err);
        if (code != PANG_OK || scanner.token != PANG_JSON_NAME)
            break;
        size_t at = index_of(scanner.text);
        name = scanner.raw;
        code = pang_json_scan_next(&scanner, err);
        if (code == PANG_OK)
            code = pang_json_scan_skip(&scanner, &raw, err);
        if (at < NAMES)
            seen[at] = true;
        if (code != PANG_OK || (overlay.shared && at < DATA))
            continue;
        if (buf->len > 0 && buf->ptr[buf->len - 1] != '{')
            pang_buf_add_char(buf, ',');
        pang_buf_add(buf, name);
        pang_buf_add_char(buf, ':');
        pang_buf_add(buf, raw);
    }
    return code;
}

static void add_path(pang_buf *buf, const char *name, pang_str folder, const char *below)
{
    add_name(buf, name);
    pang_json_quote(
        buf, pang_arena_printf(buf->arena, "%" PANG_STR_FMT "/%s", PANG_STR_ARG(folder), below));
}

static pang_code add_properties(pang_overlay overlay, const places *at, pang_buf *buf,
                                pang_err *err)
{
    bool seen[NAMES] = {false};
    pang_code code = PANG_OK;
    pang_buf_add_char(buf, '{');
    if (at->properties.len > 0 && at->properties.ptr[0] == '{')
        code = copy_properties(overlay, at->properties, buf, seen, err);
    for (size_t i = 0; overlay.shared && i < DATA; i++) {
        add_name(buf, names[i]);
        pang_buf_add(buf, PANG_STR("\"false\""));
    }
    if (!pang_id_is_nil(overlay.paths.branch)) {
        pang_str folder = pang_branch_folder(at->location, overlay.paths, buf->arena);
        if (!seen[DATA] && !seen[DATA + 1] && !seen[DATA + 2])
            add_path(buf, names[DATA], folder, "data");
        if (!seen[METADATA])
            add_path(buf, names[METADATA], folder, "metadata");
    }
    pang_buf_add_char(buf, '}');
    return code;
}

pang_code pang_overlay_splice(pang_overlay overlay, pang_str document, pang_arena *arena,
                              pang_str *ret, pang_err *err)
{
    places at;
    pang_buf made = {.arena = arena}, buf = {.arena = arena};
    pang_code code = find_places(document, arena, &at, err);
    if (code == PANG_OK)
        code = add_properties(overlay, &at, &made, err);
    if (code != PANG_OK)
        return code;
    bool has = at.properties.len > 0;
    size_t open = pang_str_find(document, '{') + 1;
    size_t begin = has ? (size_t)(at.properties.ptr - document.ptr) : open;
    pang_buf_add(&buf, pang_str_slice(document, 0, begin));
    if (!has)
        pang_buf_add(&buf, PANG_STR("\"properties\":"));
    pang_buf_add(&buf, pang_buf_str(&made));
    if (!has)
        pang_buf_add_char(&buf, ','); /* a document is never empty */
    pang_buf_add(&buf, pang_str_after(document, begin + at.properties.len));
    if (made.failed || buf.failed)
        return pang_fail_memory(err);
    *ret = pang_buf_str(&buf);
    return PANG_OK;
}
