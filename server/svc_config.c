/*
 * Config: what a client must know before its first request. The endpoints are read off the
 * description and the handlers that are really there, since a client does not call what is not
 * listed, and fails on what is listed and absent.
 */
#include <string.h>

#include "server/evaluate.h"
#include "server/svc_names.h"
#include "server/svc_services.h"

#include "pangolin/v1/config.pb-c.h"

#define NO_WAREHOUSE "NoSuchWarehouseException"
#define IDEMPOTENCY_LIFE "PT30M"

enum { OVERRIDES_MAX = 2, ENDPOINTS_MAX = 256 };

/* ---- which catalog ---- */

typedef struct {
    pang_call *call;
    pang_str name;
    size_t n;
    pang_code code;
    pang_err *err;
} lone;

/* Counts those that the caller may list; two are enough to know. */
static bool count_catalog(void *arg, const pang_record *row)
{
    lone *l = arg;
    pang_rec_catalog_name *body;
    pang_str part = pang_str_after(row->key, pang_key_prefix_len(row->key)), name;
    l->code = pang_record_unpack(&pangolin__store__v1__catalog_name__descriptor, row,
                                 l->call->arena, &body, l->err);
    if (l->code == PANG_OK && !pang_key_unescape(part, l->call->arena, &name))
        l->code = pang_fail_memory(l->err);
    if (l->code != PANG_OK)
        return false;
    if (!pang_evaluate_lists(l->call, pang_id_of(body->catalog), (pang_str){0}))
        return true;
    l->name = name;
    return ++l->n < 2;
}

/* The catalog that the caller may list, when there is just one. */
static pang_code find_lone(pang_call *call, pang_str *ret, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_query query = {.prefix = pang_key_catalogs(&keys), .limit = PANG_SCAN_MAX};
    lone l = {.call = call, .err = err};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(call->txn, &query, count_catalog, &l, err);
    if (code == PANG_OK)
        code = l.code;
    if (code != PANG_OK)
        return code;
    if (l.n != 1)
        return pang_fail(err, l.n == 0 ? PANG_NOT_FOUND : PANG_INVALID_ARGUMENT,
                         l.n == 0 ? NO_WAREHOUSE : PANG_BAD_REQUEST,
                         "warehouse must be given: there %s", l.n == 0 ? "is none" : "are several");
    *ret = l.name;
    return PANG_OK;
}

static pang_code find_catalog(pang_call *call, const Pangolin__V1__GetConfigRequest *in,
                              pang_str *ret, pang_err *err)
{
    pang_view view;
    pang_str name = pang_str_from(in->warehouse[0] != '\0' ? in->warehouse : in->prefix);
    pang_code code = name.len > 0 ? PANG_OK : find_lone(call, &name, err);
    if (code == PANG_OK)
        code = pang_view_begin(call->txn, call->arena, call->tenant_key, name, NO_WAREHOUSE, &view,
                               err);
    if (code == PANG_OK && !pang_evaluate_lists(call, view.catalog, (pang_str){0}))
        code = PANG_NOT_FOUND;
    /* Of the two halves of catalog@ref nobody is told which is there: he may not see the one. */
    if (code == PANG_NOT_FOUND)
        return pang_fail(err, code, NO_WAREHOUSE, "Warehouse does not exist: %" PANG_STR_FMT "%s",
                         PANG_STR_ARG(name),
                         memchr(name.ptr, '@', name.len) == NULL
                             ? ""
                             : ", a catalog and behind the @ a branch, tag, commit or time of it");
    if (code == PANG_OK)
        *ret = name;
    return code;
}

/* ---- endpoints ---- */

static bool is_handled(pang_str path)
{
    for (const pang_service *const *s = pang_services; *s != NULL; s++)
        for (size_t i = 0; i < (*s)->n; i++)
            if (pang_str_equal(path, pang_str_from((*s)->methods[i].path)))
                return true;
    return false;
}

static pang_code list_endpoints(pang_call *call, Pangolin__V1__GetConfigResponse *out,
                                pang_err *err)
{
    const pang_schema *schema = call->server->schema;
    out->endpoints = pang_arena_alloc_n(call->arena, ENDPOINTS_MAX, sizeof(char *));
    if (out->endpoints == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < pang_schema_size(schema) && out->n_endpoints < ENDPOINTS_MAX; i++) {
        const pang_schema_method *method = pang_schema_at(schema, i);
        /* What stands among the specification's routes and is none of its stays unsaid. */
        if (method->dialect != PANG_DIALECT_ICEBERG || method->n_http == 0 ||
            pang_str_equal(method->service, pang_str_from(pang_service_maintenance.name)) ||
            !pang_str_starts(method->http[0].path, PANG_STR("/v1/{prefix}/")) ||
            !is_handled(method->path))
            continue;
        pang_str text = pang_arena_printf(call->arena, "%" PANG_STR_FMT " %" PANG_STR_FMT,
                                          PANG_STR_ARG(method->http[0].verb),
                                          PANG_STR_ARG(method->http[0].path));
        if (text.len == 0)
            return pang_fail_memory(err);
        out->endpoints[out->n_endpoints++] = (char *)(uintptr_t)text.ptr;
    }
    return PANG_OK;
}

/* ---- the call ---- */

static pang_code add_override(pang_call *call, Pangolin__V1__GetConfigResponse *out,
                              const char *name, pang_str value, pang_err *err)
{
    Pangolin__V1__GetConfigResponse__OverridesEntry *entry = pang_arena_alloc(call->arena,
                                                                              sizeof *entry);
    char *text = pang_arena_cstr(call->arena, value);
    if (entry == NULL || text == NULL)
        return pang_fail_memory(err);
    *entry = (Pangolin__V1__GetConfigResponse__OverridesEntry)
        PANGOLIN__V1__GET_CONFIG_RESPONSE__OVERRIDES_ENTRY__INIT;
    entry->key = (char *)(uintptr_t)name;
    entry->value = text;
    out->overrides[out->n_overrides++] = entry;
    return PANG_OK;
}

static pang_code get_config(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetConfigRequest *in = request;
    Pangolin__V1__GetConfigResponse *out = reply;
    pang_str name;
    pang_code code = find_catalog(call, in, &name, err);
    if (code != PANG_OK)
        return code;
    out->overrides = pang_arena_alloc_n(call->arena, OVERRIDES_MAX, sizeof(void *));
    if (out->overrides == NULL)
        return pang_fail_memory(err);
    code = add_override(call, out, "prefix", name, err);
    if (code == PANG_OK)
        code = add_override(call, out, "warehouse", name, err);
    if (code == PANG_OK)
        code = list_endpoints(call, out, err);
    out->idempotency_key_lifetime = (char *)(uintptr_t)IDEMPOTENCY_LIFE;
    return code;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.ConfigService/GetConfig",
        .in = &pangolin__v1__get_config_request__descriptor,
        .out = &pangolin__v1__get_config_response__descriptor,
        .handle = get_config,
    },
};

const pang_service pang_service_config = {
    .name = "pangolin.v1.ConfigService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
