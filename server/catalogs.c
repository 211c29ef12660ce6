/*
 * Lists of catalogs. Who may see all of them gets a scan of their names; who may not, the few that
 * its grants lead to, read by their ids and sorted.
 */
#include "server/catalogs.h"

#include <stdlib.h>

#include "server/evaluate.h"
#include "server/pages.h"
#include "server/svc_manage.h"

/* ---- by name ---- */

static pang_code fail_absent(const char *name, pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, PANG_NOT_FOUND_REASON, "catalog \"%s\" does not exist",
                     name);
}

static pang_code unpack(const pang_record *record, pang_arena *arena, pang_rec_catalog **ret,
                        pang_err *err)
{
    return pang_record_unpack(&pangolin__store__v1__catalog__descriptor, record, arena, ret, err);
}

static pang_code id_of(const pang_record *record, pang_arena *arena, pang_id *ret, pang_err *err)
{
    pang_rec_catalog_name *named;
    pang_code code = pang_record_unpack(&pangolin__store__v1__catalog_name__descriptor, record,
                                        arena, &named, err);
    if (code == PANG_OK)
        *ret = pang_id_of(named->catalog);
    return code;
}

pang_code pang_catalog_find(pang_call *call, const char *name, pang_rec_catalog **ret,
                            pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_record record;
    pang_id id;
    pang_str key = pang_key_catalog_name(&keys, pang_str_from(name));
    if (keys.too_long)
        return fail_absent(name, err);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version == 0)
        return fail_absent(name, err);
    if (code == PANG_OK)
        code = id_of(&record, call->arena, &id, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, pang_key_catalog(&keys, id), &record, err);
    if (code == PANG_OK && record.version == 0) /* it went between the two reads */
        return fail_absent(name, err);
    return code == PANG_OK ? unpack(&record, call->arena, ret, err) : code;
}

/* ---- lists ---- */

/* The bodies of n catalogs, in that order; what has gone meanwhile is left out. */
static pang_code read_all(pang_call *call, const pang_id *ids, size_t n, pang_rec_catalog ***ret,
                          size_t *ret_n, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_record *rows = NULL;
    pang_str *wanted = pang_arena_alloc_n(call->arena, n, sizeof *wanted);
    pang_rec_catalog **list = pang_arena_alloc_n(call->arena, n, sizeof *list);
    if (wanted == NULL || list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        wanted[i] = pang_key_catalog(&keys, ids[i]);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, n, &rows, err);
    *ret_n = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        if (rows[i].version == 0)
            continue;
        code = unpack(&rows[i], call->arena, &list[*ret_n], err);
        *ret_n += code == PANG_OK;
    }
    *ret = list;
    return code;
}

static pang_code list_all(pang_call *call, const pang_catalogs_query *query, pang_str prefix,
                          pang_rec_catalog ***ret, size_t *ret_n, char **ret_token, pang_err *err)
{
    pang_manage_page page = {0};
    pang_manage_query all = {.prefix = prefix,
                             .page_size = query->page_size,
                             .offset = query->offset,
                             .token = query->token};
    pang_code code = pang_manage_list(call, &all, &page, err);
    pang_id *ids = pang_arena_alloc_n(call->arena, page.n, sizeof *ids);
    if (code == PANG_OK && ids == NULL)
        code = pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < page.n; i++)
        code = id_of(&page.rows[i], call->arena, &ids[i], err);
    if (code == PANG_OK)
        code = read_all(call, ids, page.n, ret, ret_n, err);
    *ret_token = page.next_token;
    return code;
}

typedef struct {
    pang_str part; /* escaped, as it ends its key */
    pang_rec_catalog *body;
} named;

static int compare_named(const void *a, const void *b)
{
    return pang_str_compare(((const named *)a)->part, ((const named *)b)->part);
}

/* In the order of the names' keys, so that both kinds of list have one order. */
static pang_code sort(pang_call *call, pang_rec_catalog **list, size_t n, named **ret,
                      pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    named *all = pang_arena_alloc_n(call->arena, n, sizeof *all);
    if (all == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        pang_str key = pang_key_catalog_name(&keys, pang_str_from(list[i]->name));
        all[i] = (named){pang_str_after(key, pang_key_prefix_len(key)), list[i]};
    }
    if (n > 0)
        qsort(all, n, sizeof *all, compare_named);
    *ret = all;
    return pang_keys_status(&keys, err);
}

/* The first of the page, by token or offset. */
static pang_code find_first(pang_call *call, const pang_catalogs_query *query, pang_str prefix,
                            const named *all, size_t n, size_t *ret, pang_err *err)
{
    pang_page page = {0};
    *ret = 0;
    if (query->token == NULL || query->token[0] == '\0') {
        if (query->offset < 0)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                             "offset must not be negative");
        *ret = (size_t)query->offset < n ? (size_t)query->offset : n;
        return PANG_OK;
    }
    pang_code code = pang_page_read(call, prefix, pang_str_from(query->token), &page, err);
    while (code == PANG_OK && *ret < n && pang_str_compare(all[*ret].part, page.after) <= 0)
        ++*ret;
    return code;
}

static pang_code list_some(pang_call *call, const pang_catalogs_query *query, pang_str prefix,
                           const pang_filter *filter, pang_rec_catalog ***ret, size_t *ret_n,
                           char **ret_token, pang_err *err)
{
    const pang_id *ids = NULL;
    pang_rec_catalog **list = NULL;
    named *all = NULL;
    size_t n = 0, size = 0, from = 0;
    pang_code code = pang_page_size(query->page_size, &size, err);
    if (code == PANG_OK)
        code = pang_filter_catalogs(filter, call->arena, &ids, &n, err);
    if (code == PANG_OK)
        code = read_all(call, ids, n, &list, &n, err);
    if (code == PANG_OK)
        code = sort(call, list, n, &all, err);
    if (code == PANG_OK)
        code = find_first(call, query, prefix, all, n, &from, err);
    if (code != PANG_OK)
        return code;
    *ret_n = n - from < size ? n - from : size;
    for (size_t i = 0; i < *ret_n; i++)
        list[i] = all[from + i].body;
    *ret = list;
    *ret_token = NULL;
    if (from + *ret_n == n || *ret_n == 0)
        return PANG_OK;
    pang_page next = {.after = all[from + *ret_n - 1].part};
    return pang_page_token(call, prefix, next, ret_token, err);
}

pang_code pang_catalogs_list(pang_call *call, const pang_catalogs_query *query,
                             pang_rec_catalog ***ret, size_t *ret_n, char **ret_token,
                             pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_filter filter;
    pang_str prefix = pang_key_catalogs(&keys);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_evaluate_filter(call, (pang_id){{0}}, (pang_str){0}, &filter, err);
    if (code != PANG_OK)
        return code;
    if (filter.all)
        return list_all(call, query, prefix, ret, ret_n, ret_token, err);
    return list_some(call, query, prefix, &filter, ret, ret_n, ret_token, err);
}
