/*
 * Warehouses: one table of what each type is called and where its parts stand, in all spellings.
 * The location is worked out once, when the config changes; what uses a warehouse reads it.
 */
#include "server/warehouses.h"

#include <string.h>

#include "api/json.h"
#include "api/location.h"

#define INVALID "UnprocessableEntityException"

enum { SPELLINGS_MAX = 4 };

/* ---- finding ---- */

static pang_code fail_absent(const char *name, pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, "NotFoundException", "warehouse \"%s\" does not exist",
                     name);
}

pang_code pang_warehouse_find(pang_call *call, const char *name, pang_rec_warehouse **ret,
                              pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_rec_warehouse_name *named;
    pang_record record;
    pang_str key = pang_key_warehouse_name(&keys, pang_str_from(name));
    if (keys.too_long)
        return fail_absent(name, err);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version == 0)
        return fail_absent(name, err);
    if (code == PANG_OK)
        code = pang_record_unpack(&pangolin__store__v1__warehouse_name__descriptor, &record,
                                  call->arena, &named, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, pang_key_warehouse(&keys, pang_id_of(named->warehouse)),
                                &record, err);
    if (code == PANG_OK && record.version == 0)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "warehouse \"%s\" has no record", name);
    return code == PANG_OK ? pang_record_unpack(&pangolin__store__v1__warehouse__descriptor,
                                                &record, call->arena, ret, err)
                           : code;
}

/* ---- types ---- */

typedef struct {
    const char *name;
    const char *also[SPELLINGS_MAX];   /* other names of the type */
    const char *signs[SPELLINGS_MAX];  /* a field that begins so tells the type */
    const char *bucket[SPELLINGS_MAX]; /* fields that hold bucket or container, the first counts */
} type_row;

static const type_row types[] = {
    {"file", {"local", "filesystem"}, {NULL}, {NULL}},
    {"azure",
     {"adls", "abfs", "abfss"},
     {"azure.", "adls.", "account", "container"},
     {"container", "azure.container", "adls.container"}},
    {"gcs", {"gcp", "gs", "google"}, {"gcs.", "gcp."}, {"bucket", "gcs.bucket", "gcp.bucket"}},
    {"s3", {"aws", "minio"}, {"s3."}, {"bucket", "s3.bucket"}},
};

enum { TYPES = sizeof types / sizeof types[0], S3 = TYPES - 1 };

static pang_code refuse(const char *why, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID, "storage_config: %s", why);
}

static bool is_called(const type_row *row, pang_str name)
{
    bool found = pang_str_equal_nocase(name, pang_str_from(row->name));
    for (size_t i = 0; i < SPELLINGS_MAX && row->also[i] != NULL; i++)
        found = found || pang_str_equal_nocase(name, pang_str_from(row->also[i]));
    return found;
}

static bool shows_sign(const type_row *row, const pang_fields *config)
{
    for (size_t i = 0; i < config->n; i++)
        for (size_t j = 0; j < SPELLINGS_MAX && row->signs[j] != NULL; j++)
            if (pang_str_starts(pang_str_from(config->list[i]->name), pang_str_from(row->signs[j])))
                return true;
    return false;
}

/* What is named, else what the other fields are of, else s3. */
static pang_code find_type(const pang_fields *config, const type_row **ret, pang_err *err)
{
    const char *named = pang_fields_text(config, "type");
    for (size_t i = 0; i < TYPES; i++)
        if (named != NULL ? is_called(&types[i], pang_str_from(named))
                          : shows_sign(&types[i], config)) {
            *ret = &types[i];
            return PANG_OK;
        }
    if (named != NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID,
                         "storage_config: type \"%.64s\" is none of s3, azure, gcs and file",
                         named);
    *ret = &types[S3];
    return PANG_OK;
}

/* ---- locations ---- */

static const char *first_of(const pang_fields *config, const char *const *names)
{
    const char *found = NULL;
    for (size_t i = 0; i < SPELLINGS_MAX && found == NULL && names[i] != NULL; i++)
        found = pang_fields_text(config, names[i]);
    return found;
}

/* One name, no path. */
static pang_code check_part(const char *what, const char *value, pang_err *err)
{
    if (value == NULL || value[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID, "storage_config: %s is missing",
                         what);
    if (strlen(value) > 255 || strpbrk(value, "/\\@:?#%* ") != NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID,
                         "storage_config: %s \"%.64s\" is no name of one", what, value);
    return PANG_OK;
}

static const char *azure_host(const pang_fields *config, pang_arena *arena, pang_err *err,
                              pang_code *ret_code)
{
    static const char *const names[SPELLINGS_MAX] = {"account_name", "adls.account-name",
                                                     "azure.account-name", "account-name"};
    const char *account = first_of(config, names);
    *ret_code = check_part("account_name", account, err);
    if (*ret_code != PANG_OK || strchr(account, '.') != NULL)
        return account;
    pang_str host = pang_arena_printf(arena, "%s.dfs.core.windows.net", account);
    if (host.len == 0)
        *ret_code = pang_fail_memory(err);
    return host.ptr;
}

/* Leading and trailing slashes mean nothing. */
static pang_str prefix_of(const pang_fields *config)
{
    static const char *const names[SPELLINGS_MAX] = {"prefix", "s3.prefix", "gcs.prefix",
                                                     "adls.prefix"};
    const char *text = first_of(config, names);
    pang_str prefix = pang_str_from(text);
    while (prefix.len > 0 && prefix.ptr[0] == '/')
        prefix = pang_str_after(prefix, 1);
    while (prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/')
        prefix.len--;
    return prefix;
}

static pang_code object_location(pang_call *call, const type_row *type, const pang_fields *config,
                                 const char *bucket, pang_str *ret, pang_err *err)
{
    bool azure = strcmp(type->name, "azure") == 0;
    const char *scheme = azure ? "abfss" : type == &types[S3] ? "s3" : "gs", *host = "";
    const char *own = first_of(config, type->bucket);
    pang_str prefix = prefix_of(config);
    pang_code code = check_part(azure ? "container" : "bucket", own != NULL || azure ? own : bucket,
                                err);
    if (code == PANG_OK && azure)
        host = azure_host(config, call->arena, err, &code);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_printf(call->arena, "%s://%s%s%s%s%" PANG_STR_FMT, scheme,
                             own != NULL ? own : bucket, azure ? "@" : "", host,
                             prefix.len > 0 ? "/" : "", PANG_STR_ARG(prefix));
    return ret->len == 0 ? pang_fail_memory(err) : PANG_OK;
}

/* A tenant says nothing but the type. */
static pang_code file_location(pang_call *call, const pang_rec_warehouse *warehouse,
                               const pang_fields *config, pang_str *ret, pang_err *err)
{
    char id[PANG_ID_TEXT + 1];
    pang_str root = call->server->file_warehouses;
    for (size_t i = 0; i < config->n; i++)
        if (strcmp(config->list[i]->name, "type") != 0)
            return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID,
                             "storage_config: \"%s\" must not be given: the server decides where "
                             "a file warehouse lies",
                             config->list[i]->name);
    if (root.len == 0)
        return refuse("this server has no file warehouses", err);
    pang_id_text(pang_id_of(warehouse->id), id);
    *ret = pang_arena_printf(call->arena, "%" PANG_STR_FMT "/%" PANG_STR_FMT "/%s",
                             PANG_STR_ARG(root), PANG_STR_ARG(call->tenant_key), id);
    return ret->len == 0 ? pang_fail_memory(err) : PANG_OK;
}

/* "https://user:password@host": the password would be stored and shown as any address is. */
static pang_code check_addresses(const pang_fields *config, pang_err *err)
{
    for (size_t i = 0; i < config->n; i++) {
        const char *value = config->list[i]->value, *at = strstr(value, "://");
        if (at != NULL && strchr(at, '@') != NULL)
            return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID,
                             "storage_config: \"%s\" must hold no user and password",
                             config->list[i]->name);
    }
    return PANG_OK;
}

pang_code pang_warehouse_settle(pang_call *call, const char *bucket, pang_rec_warehouse *warehouse,
                                pang_err *err)
{
    pang_fields config = {warehouse->config, warehouse->n_config};
    const type_row *type = &types[S3];
    pang_location location;
    pang_str text;
    pang_code code = find_type(&config, &type, err);
    if (code == PANG_OK)
        code = check_addresses(&config, err);
    if (code == PANG_OK)
        code = type == &types[0] ? file_location(call, warehouse, &config, &text, err)
                                 : object_location(call, type, &config, bucket, &text, err);
    if (code == PANG_OK)
        code = pang_location_parse(text, "storage_config", call->arena, &location, err);
    if (code != PANG_OK)
        return code;
    warehouse->type = (char *)(uintptr_t)type->name;
    warehouse->location = (char *)(uintptr_t)text.ptr;
    return PANG_OK;
}

/* ---- strategies ---- */

static const char *const strategies[] = {
    "AwsSts",     "AwsStatic",     "AzureSas",  "AzureStatic",
    "AzureOAuth", "GcpDownscoped", "GcpStatic", "GcpOAuth",
};

static pang_code refuse_strategy(const char *why, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID, "vending_strategy: %s", why);
}

static pang_code find_strategy(pang_str name, const char **ret, pang_err *err)
{
    *ret = "";
    if (pang_str_equal_nocase(name, PANG_STR("None")))
        return PANG_OK;
    for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++)
        if (pang_str_equal_nocase(name, pang_str_from(strategies[i]))) {
            *ret = strategies[i];
            return PANG_OK;
        }
    return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID,
                     "vending_strategy: there is none of the name \"%.*s\"",
                     name.len < 64 ? (int)name.len : 64, name.ptr);
}

/* What a strategy is given by: its name, and an object with its members or NULL. With `tagged` the
 * object's member "type" is the name. */
typedef struct {
    pang_str name;
    const pang_json *members;
    bool tagged;
} strategy_form;

static pang_code read_form(const pang_json *json, strategy_form *ret, pang_err *err)
{
    pang_json_members walk = {.object = json};
    pang_json *value = NULL;
    *ret = (strategy_form){.name = PANG_STR("None")};
    if (pang_json_is_null(json) || pang_json_to_str(json, &ret->name))
        return PANG_OK;
    if (pang_json_type_of(json) != PANG_JSON_IS_OBJECT)
        return refuse_strategy("is neither an object nor a name", err);
    if (pang_json_to_str(pang_json_get(json, "type"), &ret->name)) {
        ret->members = json;
        ret->tagged = true;
        return PANG_OK;
    }
    if (pang_json_size(json) != 1 || !pang_json_next(&walk, &ret->name, &value))
        return refuse_strategy("must have one member, named as the strategy, or a \"type\"", err);
    if (!pang_json_is_null(value) && pang_json_type_of(value) != PANG_JSON_IS_OBJECT)
        return refuse_strategy("its value is no object", err);
    ret->members = value;
    return PANG_OK;
}

static pang_code take_members(const strategy_form *form, pang_arena *arena, pang_field_given **ret,
                              size_t *ret_n, pang_err *err)
{
    pang_json_members walk = {.object = form->members};
    pang_json *value = NULL;
    pang_str name, text;
    size_t n = 0, room = form->members != NULL ? pang_json_size(form->members) : 0;
    pang_field_given *given = pang_arena_alloc_n(arena, room, sizeof *given);
    if (given == NULL)
        return pang_fail_memory(err);
    while (n < room && pang_json_next(&walk, &name, &value)) {
        if (pang_json_is_null(value) || (form->tagged && pang_str_equal(name, PANG_STR("type"))))
            continue;
        if (!pang_json_to_str(value, &text))
            return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID,
                             "vending_strategy: member \"%.*s\" is no text",
                             name.len < 64 ? (int)name.len : 64, name.ptr);
        given[n].name = pang_arena_cstr(arena, name);
        given[n].value = pang_arena_cstr(arena, text);
        if (given[n].name == NULL || given[n].value == NULL)
            return pang_fail_memory(err);
        n++;
    }
    *ret = given;
    *ret_n = n;
    return PANG_OK;
}

pang_code pang_strategy_set(pang_call *call, pang_str json, pang_rec_warehouse *warehouse,
                            pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_fields_place place = {PANG_KIND_WAREHOUSE,
                               pang_key_warehouse(&keys, pang_id_of(warehouse->id))};
    pang_fields none = {0}, made = {0};
    pang_fields known = {warehouse->strategy_config, warehouse->n_strategy_config};
    pang_json *tree = NULL;
    strategy_form form;
    pang_field_given *given = NULL;
    size_t n = 0;
    const char *name = "";
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK && json.len > 0)
        code = pang_json_parse(json, call->arena, &tree, err);
    if (code == PANG_OK)
        code = read_form(tree, &form, err);
    if (code == PANG_OK)
        code = find_strategy(form.name, &name, err);
    if (code == PANG_OK && name[0] != '\0')
        code = take_members(&form, call->arena, &given, &n, err);
    if (code == PANG_OK)
        code = pang_fields_change(call, &place, "vending_strategy", &none, &known, given, n, &made,
                                  err);
    if (code != PANG_OK)
        return code;
    warehouse->strategy = (char *)(uintptr_t)name;
    warehouse->strategy_config = made.list;
    warehouse->n_strategy_config = made.n;
    return PANG_OK;
}

pang_code pang_strategy_show(const pang_rec_warehouse *warehouse, pang_arena *arena, pang_str *ret,
                             pang_err *err)
{
    pang_buf buf = {.arena = arena};
    *ret = (pang_str){0};
    if (warehouse->strategy[0] == '\0')
        return PANG_OK;
    pang_buf_printf(&buf, "{\"%s\":{", warehouse->strategy);
    for (size_t i = 0; i < warehouse->n_strategy_config; i++) {
        const pang_rec_field *field = warehouse->strategy_config[i];
        if (i > 0)
            pang_buf_add_char(&buf, ',');
        pang_json_quote(&buf, pang_str_from(field->name));
        pang_buf_add_char(&buf, ':');
        pang_json_quote(&buf, pang_str_from(pang_field_shown(field)));
    }
    pang_buf_add(&buf, PANG_STR("}}"));
    *ret = pang_buf_str(&buf);
    return buf.failed ? pang_fail_memory(err) : PANG_OK;
}
