/*
 * Branches and tags share one range of names, so that a list of either is a scan that passes the
 * others over.
 */
#include "server/svc_refs.h"

#include <string.h>

#include "server/catalogs.h"
#include "server/evaluate.h"
#include "server/pages.h"
#include "server/svc_manage.h"
#include "server/svc_names.h"

#define DEFAULT_CATALOG "default"
#define NO_DEFAULT                                                                                 \
    "catalog is missing, and there is no catalog \"" DEFAULT_CATALOG "\", which is meant then"

enum { ROWS_MAX = 512 }; /* of one scan */

/* ---- catalogs ---- */

pang_code pang_refs_open(pang_call *call, const char *catalog, pang_view *ret, pang_err *err)
{
    pang_rec_catalog *body;
    if (catalog[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "catalog is missing");
    pang_code code = pang_catalog_find(call, catalog, &body, err);
    if (code != PANG_OK)
        return code;
    code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(body->id),
                        pang_str_from(body->name), ret, err);
    ret->call = call;
    return code;
}

pang_code pang_refs_fail_no_commit(pang_str branch, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "\"%" PANG_STR_FMT "\" has no commit of that time or before",
                     PANG_STR_ARG(branch));
}

pang_code pang_refs_switch_onto(pang_view *view, pang_str ref, pang_err *err)
{
    pang_code code = pang_view_switch(view, ref, PANG_NOT_FOUND_REASON, err);
    if (code == PANG_OK && pang_ref_form_of(ref) == PANG_REF_TIME && view->levels[0].at == 0)
        code = pang_refs_fail_no_commit(PANG_MAIN_REF, err);
    return code;
}

static bool is_tag(const pang_rec_ref *ref)
{
    return ref->kind == PANGOLIN__STORE__V1__REF__KIND__KIND_TAG;
}

bool pang_refs_may(const pang_call *call, const pang_view *view, pang_action action)
{
    pang_grant_object object = {.kind = PANG_SCOPE_CATALOG, .catalog = view->catalog};
    return pang_evaluate_may(call, action, &object);
}

pang_code pang_refs_open_default(pang_call *call, const char *catalog, pang_action action,
                                 pang_view *ret, pang_err *err)
{
    bool given = catalog[0] != '\0';
    pang_code code = pang_refs_open(call, given ? catalog : DEFAULT_CATALOG, ret, err);
    if (code == PANG_NOT_FOUND && !given)
        return pang_fail(err, code, PANG_NOT_FOUND_REASON, NO_DEFAULT);
    if (code != PANG_OK || given || pang_refs_may(call, ret, action))
        return code;
    if (!pang_evaluate_lists(call, ret->catalog, (pang_str){0}))
        return pang_fail(err, PANG_NOT_FOUND, PANG_NOT_FOUND_REASON, NO_DEFAULT);
    return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                     "not permitted in the catalog \"" DEFAULT_CATALOG "\"");
}

pang_code pang_refs_named(pang_view *view, const char *name, bool tag, pang_rec_ref **ret,
                          pang_err *err)
{
    pang_code code = pang_ref_find(view, pang_str_from(name), ret, err);
    if (code == PANG_INVALID_ARGUMENT) { /* too long for any */
        *ret = NULL;
        view->keys.too_long = false;
        return PANG_OK;
    }
    if (code == PANG_OK && *ret != NULL && is_tag(*ret) != tag)
        *ret = NULL;
    return code;
}

/* ---- lists ---- */

typedef struct {
    pang_view *view;
    const pang_refs_query *query;
    pang_named_ref *rows;
    size_t n, most, offset;
    pang_str last; /* key of the last row that was looked at */
    size_t looked;
    pang_code code;
    pang_err *err;
} gathering;

static bool is_shown(const gathering *g, const pang_rec_ref *ref)
{
    bool tag = is_tag(ref);
    return tag == g->query->tags &&
           (ref->deadline_ms == 0 || ref->deadline_ms > pang_txn_wall_ms(g->view->txn));
}

static pang_code take(gathering *g, const pang_record *row, pang_err *err)
{
    pang_record kept;
    pang_rec_ref *ref;
    pang_arena *arena = g->view->arena;
    if (!pang_record_copy(row, arena, &kept))
        return pang_fail_memory(err);
    pang_code code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &kept, arena, &ref,
                                        err);
    g->last = kept.key;
    g->looked++;
    if (code != PANG_OK || !is_shown(g, ref))
        return code;
    if (g->offset > 0) {
        g->offset--;
        return PANG_OK;
    }
    pang_named_ref *to = &g->rows[g->n++];
    to->ref = ref;
    pang_str part = pang_str_after(kept.key, pang_key_prefix_len(kept.key));
    return pang_key_unescape(part, arena, &to->name) ? PANG_OK : pang_fail_memory(err);
}

static bool gather(void *arg, const pang_record *row)
{
    gathering *g = arg;
    g->code = take(g, row, g->err);
    return g->code == PANG_OK && g->n < g->most;
}

static pang_code scan(gathering *g, pang_str prefix, pang_str after, pang_err *err)
{
    pang_code code = PANG_OK;
    g->last = after;
    for (g->looked = ROWS_MAX; code == PANG_OK && g->n < g->most && g->looked == ROWS_MAX;) {
        pang_query query = {.prefix = prefix, .after = g->last, .limit = ROWS_MAX};
        g->looked = 0;
        code = pang_txn_scan(g->view->txn, &query, gather, g, err);
        if (code == PANG_OK)
            code = g->code;
    }
    return code;
}

static pang_code begin(pang_call *call, const pang_refs_query *query, pang_str text,
                       pang_str prefix, gathering *g, pang_str *ret_after, pang_err *err)
{
    pang_page page = {0};
    if (query->token == NULL || query->token[0] == '\0') {
        if (query->offset < 0)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                             "offset must not be negative");
        g->offset = (size_t)query->offset;
        return PANG_OK;
    }
    pang_code code = pang_page_read(call, text, pang_str_from(query->token), &page, err);
    if (code != PANG_OK)
        return code;
    *ret_after = pang_arena_printf(call->arena, "%" PANG_STR_FMT "%" PANG_STR_FMT,
                                   PANG_STR_ARG(prefix), PANG_STR_ARG(page.after));
    return pang_manage_built(call->arena, err);
}

pang_code pang_refs_list(pang_call *call, pang_view *view, const pang_refs_query *query,
                         pang_named_ref **ret, size_t *ret_n, char **ret_token, pang_err *err)
{
    gathering g = {.view = view, .query = query, .err = err};
    size_t size = 0;
    pang_str prefix = pang_key_refs(&view->keys, view->catalog), after = {0};
    /* What the token is for: branches and tags are two lists of one range. */
    pang_str text = pang_arena_printf(call->arena, "%s %" PANG_STR_FMT,
                                      query->tags ? "tags" : "branches", PANG_STR_ARG(prefix));
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_page_size(query->page_size, &size, err);
    if (code == PANG_OK)
        code = begin(call, query, text, prefix, &g, &after, err);
    if (code != PANG_OK)
        return code;
    g.most = size + 1;
    g.rows = pang_arena_alloc_n(call->arena, g.most, sizeof *g.rows);
    if (g.rows == NULL)
        return pang_fail_memory(err);
    code = scan(&g, prefix, after, err);
    if (code != PANG_OK)
        return code;
    *ret = g.rows;
    *ret_n = g.n < size ? g.n : size;
    *ret_token = NULL;
    if (g.n <= size)
        return PANG_OK;
    pang_str key = pang_key_ref(&view->keys, view->catalog, g.rows[size - 1].name);
    pang_page next = {.after = pang_str_after(key, prefix.len)};
    code = pang_keys_status(&view->keys, err);
    return code == PANG_OK ? pang_page_token(call, text, next, ret_token, err) : code;
}
