/*
 * A tenant's settings, counts of what there is, and whether a name could be had. Counts are kept as
 * things come and go, so that a dashboard reads a few numbers; only what a user may see of a
 * catalog that is not wholly its to see is counted by listing it.
 */
#include <string.h>

#include "server/catalogs.h"
#include "server/evaluate.h"
#include "server/identity.h"
#include "server/seal.h"
#include "server/svc_lake.h"
#include "server/svc_names.h"
#include "server/svc_search.h"
#include "server/svc_tree.h"

#include "pangolin/v1/system.pb-c.h"

enum {
    RETENTION_DAYS = 30,
    RETENTION_DAYS_MAX = 36500,
    PORT_MAX = 65535,
    NAMES_MAX = 100,
    TENANTS_AT_ONCE = 100,
    CATALOGS_AT_ONCE = 1000,
};

typedef Pangolin__Store__V1__Settings rec_settings;
typedef Pangolin__V1__GetDashboardStatsResponse stats;

#define MASK "********"

/* ---- settings ---- */

static pang_code read_settings(pang_call *call, rec_settings **ret, pang_str *ret_key,
                               pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record record;
    *ret_key = pang_key_setting(&keys, PANG_STR("settings"));
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, *ret_key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version != 0)
        return pang_record_unpack(&pangolin__store__v1__settings__descriptor, &record, call->arena,
                                  ret, err);
    *ret = pang_arena_alloc(call->arena, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    **ret = (rec_settings)PANGOLIN__STORE__V1__SETTINGS__INIT;
    return PANG_OK;
}

static pang_code show_settings(const rec_settings *body, pang_arena *arena,
                               Pangolin__V1__SystemSettings **ret, pang_err *err)
{
    Pangolin__V1__SystemSettings *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (Pangolin__V1__SystemSettings)PANGOLIN__V1__SYSTEM_SETTINGS__INIT;
    out->allow_public_signup = body->allow_public_signup;
    out->default_warehouse_bucket = body->default_warehouse_bucket;
    out->default_retention_days = body->default_retention_days != 0 ? body->default_retention_days
                                                                    : RETENTION_DAYS;
    out->smtp_host = body->smtp_host;
    out->smtp_port = body->smtp_port;
    out->smtp_user = body->smtp_user;
    *ret = out;
    return PANG_OK;
}

static pang_code get_settings(pang_call *call, const void *request, void *reply, pang_err *err)
{
    Pangolin__V1__GetSettingsResponse *out = reply;
    rec_settings *body;
    pang_str key;
    (void)request;
    pang_code code = read_settings(call, &body, &key, err);
    return code == PANG_OK ? show_settings(body, call->arena, &out->settings, err) : code;
}

static pang_code set_text(const char *field, bool given, char *value, char **to, pang_err *err)
{
    if (!given)
        return PANG_OK;
    *to = value;
    return value[0] == '\0' ? PANG_OK : pang_manage_name(field, value, err);
}

static pang_code set_number(const char *field, bool given, int32_t value, int32_t most, int32_t *to,
                            pang_err *err)
{
    if (!given)
        return PANG_OK;
    if (value < 1 || value > most)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "%s must be 1 to %d, not %d", field, most, value);
    *to = value;
    return PANG_OK;
}

static pang_code set_password(pang_call *call, const char *given, pang_str key, rec_settings *body,
                              pang_err *err)
{
    pang_seal_place place = {call->tenant_key, PANG_KIND_SETTING, key, PANG_STR("smtp_password")};
    pang_str sealed = {0};
    pang_code code = PANG_OK;
    if (strcmp(given, MASK) == 0)
        return PANG_OK;
    if (given[0] != '\0' && call->server->sealer == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "smtp_password: this server has no key to seal secrets with");
    if (given[0] != '\0')
        code = pang_seal(call->server->sealer, call->server->env, &place, pang_str_from(given),
                         call->arena, &sealed, err);
    if (code == PANG_OK)
        body->smtp_password = pang_bytes_of(sealed);
    return code;
}

static pang_code change_settings(pang_call *call, const Pangolin__V1__UpdateSettingsRequest *in,
                                 pang_str key, rec_settings *body, pang_err *err)
{
    if (in->_allow_public_signup_case != 0)
        body->allow_public_signup = in->allow_public_signup;
    pang_code code = set_text("default_warehouse_bucket", in->_default_warehouse_bucket_case != 0,
                              in->default_warehouse_bucket, &body->default_warehouse_bucket, err);
    if (code == PANG_OK)
        code = set_number("default_retention_days", in->_default_retention_days_case != 0,
                          in->default_retention_days, RETENTION_DAYS_MAX,
                          &body->default_retention_days, err);
    if (code == PANG_OK)
        code = set_text("smtp_host", in->_smtp_host_case != 0, in->smtp_host, &body->smtp_host,
                        err);
    if (code == PANG_OK)
        code = set_number("smtp_port", in->_smtp_port_case != 0, in->smtp_port, PORT_MAX,
                          &body->smtp_port, err);
    if (code == PANG_OK)
        code = set_text("smtp_user", in->_smtp_user_case != 0, in->smtp_user, &body->smtp_user,
                        err);
    if (code == PANG_OK && in->_smtp_password_case != 0)
        code = set_password(call, in->smtp_password, key, body, err);
    return code;
}

static pang_code update_settings(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateSettingsRequest *in = request;
    Pangolin__V1__UpdateSettingsResponse *out = reply;
    rec_settings *body;
    pang_str key;
    pang_code code = read_settings(call, &body, &key, err);
    if (code == PANG_OK)
        code = change_settings(call, in, key, body, err);
    if (code != PANG_OK)
        return code;
    pang_txn_put(call->txn, PANG_KIND_SETTING, key, pang_record_pack(&body->base, call->arena));
    return show_settings(body, call->arena, &out->settings, err);
}

/* ---- counts of tenants ---- */

enum { COUNTS = 6 };

/* Adds what is counted in one scope. */
static pang_code add_counts(pang_call *call, const pang_str *scopes, size_t n, stats *out,
                            pang_err *err)
{
    const pang_str names[COUNTS] = {PANG_COUNT_CATALOGS,   PANG_COUNT_TABLES,
                                    PANG_COUNT_NAMESPACES, PANG_COUNT_USERS,
                                    PANG_COUNT_WAREHOUSES, PANG_COUNT_BRANCHES};
    int64_t *const sums[COUNTS] = {&out->catalogs_count,   &out->tables_count,
                                   &out->namespaces_count, &out->users_count,
                                   &out->warehouses_count, &out->branches_count};
    pang_ref *refs = pang_arena_alloc_n(call->arena, n * COUNTS, sizeof *refs);
    pang_record *rows = pang_arena_alloc_n(call->arena, n * COUNTS, sizeof *rows);
    if (refs == NULL || rows == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n * COUNTS; i++) {
        pang_keys keys = {.arena = call->arena, .scope = scopes[i / COUNTS]};
        refs[i].key = pang_key_count(&keys, names[i % COUNTS]);
    }
    pang_code code = pang_manage_built(call->arena, err);
    if (code == PANG_OK)
        code = pang_txn_get(call->txn, refs, n * COUNTS, PANG_READ_UNCHECKED, rows, err);
    for (size_t i = 0; code == PANG_OK && i < n * COUNTS; i++)
        *sums[i % COUNTS] += rows[i].value;
    return code;
}

typedef struct {
    pang_call *call;
    pang_str scopes[TENANTS_AT_ONCE + 1];
    size_t n, rows;
    pang_str last;
    bool has_nil;
    pang_code code;
    pang_err *err;
} tenants;

static bool add_tenant(void *arg, const pang_record *row)
{
    tenants *t = arg;
    pang_rec_tenant *body = NULL;
    char scope[PANG_ID_HEX + 1];
    if (!pang_arena_copy(t->call->arena, row->key, &t->last))
        t->code = pang_fail_memory(t->err);
    else
        t->code = pang_record_unpack(&pangolin__store__v1__tenant__descriptor, row, t->call->arena,
                                     &body, t->err);
    if (t->code != PANG_OK || body == NULL)
        return false;
    t->rows++;
    if (body->deleting)
        return true;
    t->has_nil = t->has_nil || pang_id_is_nil(pang_id_of(body->id));
    pang_id_hex(pang_id_of(body->id), scope);
    t->scopes[t->n++] = pang_arena_printf(t->call->arena, "%s", scope);
    return true;
}

static pang_code count_system(pang_call *call, stats *out, pang_err *err)
{
    pang_keys keys = pang_identity_system(call);
    tenants *t = pang_arena_alloc(call->arena, sizeof *t);
    pang_query query = {.prefix = pang_key_tenants(&keys), .limit = TENANTS_AT_ONCE};
    pang_code code = pang_keys_status(&keys, err);
    if (t == NULL)
        return pang_fail_memory(err);
    *t = (tenants){.call = call, .rows = TENANTS_AT_ONCE, .err = err};
    while (code == PANG_OK && t->rows == TENANTS_AT_ONCE) {
        t->rows = t->n = 0;
        code = pang_txn_scan(call->txn, &query, add_tenant, t, err);
        if (code == PANG_OK)
            code = t->code;
        /* The tenant of the time without authentication may have no record. */
        if (code == PANG_OK && t->rows < TENANTS_AT_ONCE && !t->has_nil)
            t->scopes[t->n++] = PANG_STR("00000000000000000000000000000000");
        if (code == PANG_OK)
            code = add_counts(call, t->scopes, t->n, out, err);
        out->tenants_count += (int64_t)t->n;
        query.after = t->last;
    }
    return code;
}

/* ---- counts of what a user may see ---- */

static bool count_row(void *arg, pang_str path, const pang_content *row)
{
    stats *out = arg;
    (void)path;
    out->tables_count += pang_is_table(row);
    out->namespaces_count += pang_is_namespace(row);
    return true;
}

static pang_code count_catalog(pang_call *call, const pang_rec_catalog *body, stats *out,
                               pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_view view;
    pang_filter filter;
    pang_record rows[3];
    pang_id id = pang_id_of(body->id);
    pang_code code = pang_view_of(call->txn, call->arena, call->tenant_key, id,
                                  pang_str_from(body->name), &view, err);
    if (code == PANG_OK)
        code = pang_evaluate_filter(call, id, (pang_str){0}, &filter, err);
    if (code != PANG_OK)
        return code;
    pang_ref refs[3] = {
        {.key = pang_key_content_count(&keys, id, 'b')},
        {.key = pang_key_content_count(&keys, view.levels[0].branch, 't')},
        {.key = pang_key_content_count(&keys, view.levels[0].branch, 'n')},
    };
    code = pang_txn_get(call->txn, refs, 3, PANG_READ_UNCHECKED, rows, err);
    if (code != PANG_OK)
        return code;
    out->branches_count += rows[0].value;
    if (!filter.all)
        return pang_tree_walk(call, &view, count_row, out, err);
    out->tables_count += rows[1].value;
    out->namespaces_count += rows[2].value;
    return PANG_OK;
}

static pang_code count_seen(pang_call *call, stats *out, pang_err *err)
{
    stats tenant = PANGOLIN__V1__GET_DASHBOARD_STATS_RESPONSE__INIT;
    pang_catalogs_query query = {.page_size = CATALOGS_AT_ONCE};
    pang_code code = add_counts(call, &call->tenant_key, 1, &tenant, err);
    char *token = NULL;
    do {
        pang_rec_catalog **list = NULL;
        size_t n = 0;
        if (code == PANG_OK)
            code = pang_catalogs_list(call, &query, &list, &n, &token, err);
        for (size_t i = 0; code == PANG_OK && i < n; i++)
            code = count_catalog(call, list[i], out, err);
        out->catalogs_count += (int64_t)n;
        query.token = token;
    } while (code == PANG_OK && token != NULL);
    out->warehouses_count = tenant.warehouses_count; /* every member may list them */
    out->users_count = 1;                            /* itself */
    out->tenants_count = 1;
    return code;
}

static pang_code get_stats(pang_call *call, const void *request, void *reply, pang_err *err)
{
    stats *out = reply;
    const pang_principal *who = call->who;
    (void)request;
    if (who->kind == PANG_PRINCIPAL_ROOT && !who->acts_for_root) {
        out->scope = (char *)(uintptr_t) "system";
        return count_system(call, out, err);
    }
    if (who->kind == PANG_PRINCIPAL_NONE || who->kind == PANG_PRINCIPAL_ROOT || who->is_admin) {
        out->scope = (char *)(uintptr_t) "tenant";
        out->tenants_count = 1;
        return add_counts(call, &call->tenant_key, 1, out, err);
    }
    out->scope = (char *)(uintptr_t) "user";
    return count_seen(call, out, err);
}

/* ---- names ---- */

/* A reason, or NULL without one: the name is well-formed. */
static const char *fault_of(pang_call *call, const char *name, bool is_catalog)
{
    pang_err why = {0};
    pang_code code = pang_manage_name("name", name, &why);
    if (code == PANG_OK && is_catalog)
        code = pang_name_check("catalog", pang_str_from(name), &why);
    if (code == PANG_OK)
        return NULL;
    return pang_arena_cstr(call->arena, pang_str_from(why.message));
}

static pang_code judge(pang_call *call, char *name, bool is_catalog, Pangolin__V1__NameVerdict *out,
                       pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record record = {0};
    pang_code code = PANG_OK;
    *out = (Pangolin__V1__NameVerdict)PANGOLIN__V1__NAME_VERDICT__INIT;
    out->name = name;
    const char *fault = fault_of(call, name, is_catalog);
    if (fault == NULL) {
        pang_str text = pang_str_from(name);
        pang_str key = is_catalog ? pang_key_catalog_name(&keys, text)
                                  : pang_key_warehouse_name(&keys, text);
        code = pang_keys_status(&keys, err);
        if (code == PANG_OK)
            code = pang_txn_get_one(call->txn, key, &record, err);
    }
    if (code == PANG_OK && record.version != 0)
        fault = is_catalog ? "a catalog of this name exists" : "a warehouse of this name exists";
    out->available = fault == NULL;
    if (fault != NULL)
        out->reason = (char *)(uintptr_t)fault;
    return code;
}

static pang_code validate_names(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ValidateNamesRequest *in = request;
    Pangolin__V1__ValidateNamesResponse *out = reply;
    pang_str type = pang_str_from(in->resource_type);
    bool is_catalog = pang_str_equal_nocase(type, PANG_STR("catalog"));
    pang_code code = PANG_OK;
    if (!is_catalog && !pang_str_equal_nocase(type, PANG_STR("warehouse")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "resource_type \"%.64s\" is neither catalog nor warehouse",
                         in->resource_type);
    if (in->n_names > NAMES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "names: %zu are too many, at most %d", in->n_names, NAMES_MAX);
    Pangolin__V1__NameVerdict *verdicts = pang_arena_alloc_n(call->arena, in->n_names,
                                                             sizeof *verdicts);
    out->results = pang_arena_alloc_n(call->arena, in->n_names, sizeof *out->results);
    if (verdicts == NULL || out->results == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < in->n_names; i++) {
        code = judge(call, in->names[i], is_catalog, &verdicts[i], err);
        out->results[i] = &verdicts[i];
    }
    out->n_results = in->n_names;
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.SystemService/GetSettings",
        .in = &pangolin__v1__get_settings_request__descriptor,
        .out = &pangolin__v1__get_settings_response__descriptor,
        .handle = get_settings,
    },
    {
        .path = "/pangolin.v1.SystemService/UpdateSettings",
        .in = &pangolin__v1__update_settings_request__descriptor,
        .out = &pangolin__v1__update_settings_response__descriptor,
        .handle = update_settings,
    },
    {
        .path = "/pangolin.v1.SystemService/GetDashboardStats",
        .in = &pangolin__v1__get_dashboard_stats_request__descriptor,
        .out = &pangolin__v1__get_dashboard_stats_response__descriptor,
        .handle = get_stats,
    },
    {
        .path = "/pangolin.v1.SystemService/Search",
        .in = &pangolin__v1__search_request__descriptor,
        .out = &pangolin__v1__search_response__descriptor,
        .handle = pang_search,
    },
    {
        .path = "/pangolin.v1.SystemService/SearchAssets",
        .in = &pangolin__v1__search_assets_request__descriptor,
        .out = &pangolin__v1__search_assets_response__descriptor,
        .handle = pang_search_assets,
    },
    {
        .path = "/pangolin.v1.SystemService/ValidateNames",
        .in = &pangolin__v1__validate_names_request__descriptor,
        .out = &pangolin__v1__validate_names_response__descriptor,
        .handle = validate_names,
    },
};

const pang_service pang_service_system = {
    .name = "pangolin.v1.SystemService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
