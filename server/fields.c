/*
 * Fields: whether a name means a secret is decided on the name without its separators, so that
 * s3.secret-access-key, secret_access_key and SecretAccessKey are one. Better one value too many is
 * masked than one shown.
 */
#include "server/fields.h"

#include <string.h>

#include "server/seal.h"

#define INVALID "UnprocessableEntityException"

/* ---- names ---- */

static const pang_str secret_parts[] = {
    PANG_STR_INIT("secret"),
    PANG_STR_INIT("accesskey"),
    PANG_STR_INIT("accountkey"),
    PANG_STR_INIT("apikey"),
    PANG_STR_INIT("password"),
    PANG_STR_INIT("passphrase"),
    PANG_STR_INIT("passwd"),
    PANG_STR_INIT("token"),
    PANG_STR_INIT("credential"),
    PANG_STR_INIT("private"),
    PANG_STR_INIT("sas"),
    PANG_STR_INIT("connectionstring"),
    PANG_STR_INIT("serviceaccountkey"),
    PANG_STR_INIT("serviceaccountjson"),
    PANG_STR_INIT("externalid"),
    PANG_STR_INIT("authorization"),
};

/* Letters in lower case and digits, the rest left out. */
static pang_str fold(pang_str name, char to[PANG_FIELD_NAME_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < name.len && n < PANG_FIELD_NAME_MAX; i++) {
        char c = name.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            to[n++] = c;
    }
    return (pang_str){to, n};
}

static bool contains(pang_str text, pang_str part)
{
    for (size_t i = 0; i + part.len <= text.len; i++)
        if (memcmp(text.ptr + i, part.ptr, part.len) == 0)
            return true;
    return false;
}

bool pang_field_is_secret(pang_str name)
{
    char folded[PANG_FIELD_NAME_MAX];
    pang_str text = fold(name, folded);
    for (size_t i = 0; i < sizeof secret_parts / sizeof secret_parts[0]; i++)
        if (contains(text, secret_parts[i]))
            return true;
    return pang_str_ends(text, PANG_STR("key"));
}

/* ---- one field ---- */

static pang_code refuse(const char *what, const char *name, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, INVALID, "%s: \"%.*s\" %s", what,
                     PANG_FIELD_NAME_MAX, name, why);
}

static pang_code check(const char *what, const pang_field_given *given, pang_err *err)
{
    size_t len = strlen(given->name);
    if (len == 0)
        return refuse(what, "", "is no name", err);
    if (len > PANG_FIELD_NAME_MAX)
        return refuse(what, given->name, "is too long a name, at most 128 bytes", err);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)given->name[i] <= 0x20 || given->name[i] == 0x7F)
            return refuse(what, given->name, "has a blank or control character in it", err);
    if (strlen(given->value) > PANG_FIELD_VALUE_MAX)
        return refuse(what, given->name, "is too long, at most 16384 bytes", err);
    return PANG_OK;
}

static size_t find(const pang_fields *in, const char *name, bool *ret_found)
{
    size_t i = 0;
    int order = -1;
    while (i < in->n && (order = strcmp(in->list[i]->name, name)) < 0)
        i++;
    *ret_found = i < in->n && order == 0;
    return i;
}

static pang_code seal(pang_call *call, const pang_fields_place *place, const char *what,
                      const pang_field_given *given, pang_rec_field *to, pang_err *err)
{
    pang_str sealed;
    pang_seal_place at = {call->tenant_key, place->kind, place->key, pang_str_from(given->name)};
    if (call->server->sealer == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, "ConflictException",
                         "%s: \"%s\" is secret, and this server has no key to seal secrets with",
                         what, given->name);
    pang_code code = pang_seal(call->server->sealer, call->server->env, &at,
                               pang_str_from(given->value), call->arena, &sealed, err);
    if (code == PANG_OK)
        to->sealed = pang_bytes_of(sealed);
    return code;
}

static pang_code make(pang_call *call, const pang_fields_place *place, const char *what,
                      const pang_fields *known, const pang_field_given *given, pang_rec_field **ret,
                      pang_err *err)
{
    bool found;
    size_t at = find(known, given->name, &found);
    bool is_secret = pang_field_is_secret(pang_str_from(given->name));
    if (is_secret && strcmp(given->value, PANG_FIELD_MASK) == 0) {
        if (!found)
            return refuse(what, given->name, "is masked, and there is no value to keep", err);
        *ret = known->list[at];
        return PANG_OK;
    }
    pang_rec_field *made = pang_arena_alloc(call->arena, sizeof *made);
    if (made == NULL)
        return pang_fail_memory(err);
    *made = (pang_rec_field)PANGOLIN__STORE__V1__CONFIG_ENTRY__INIT;
    made->name = (char *)(uintptr_t)given->name;
    *ret = made;
    if (is_secret)
        return seal(call, place, what, given, made, err);
    made->value = (char *)(uintptr_t)given->value;
    return PANG_OK;
}

/* ---- all of them ---- */

static void put(pang_fields *in, const char *name, pang_rec_field *field)
{
    bool found;
    size_t at = find(in, name, &found);
    size_t rest = in->n - at;
    if (field == NULL && found) {
        memmove(&in->list[at], &in->list[at + 1], (rest - 1) * sizeof(void *));
        in->n--;
    } else if (field != NULL && !found) {
        memmove(&in->list[at + 1], &in->list[at], rest * sizeof(void *));
        in->n++;
    }
    if (field != NULL)
        in->list[at] = field;
}

pang_code pang_fields_change(pang_call *call, const pang_fields_place *place, const char *what,
                             const pang_fields *base, const pang_fields *known,
                             const pang_field_given *given, size_t n, pang_fields *ret,
                             pang_err *err)
{
    pang_fields made = {.n = base->n};
    pang_code code = PANG_OK;
    if (n > PANG_FIELDS_MAX)
        return refuse(what, given[0].name, "and others are too many, at most 128", err);
    made.list = pang_arena_alloc_n(call->arena, base->n + n, sizeof *made.list);
    if (made.list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < base->n; i++)
        made.list[i] = base->list[i];
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_field *field = NULL;
        code = check(what, &given[i], err);
        if (code == PANG_OK && given[i].value[0] != '\0')
            code = make(call, place, what, known, &given[i], &field, err);
        if (code == PANG_OK)
            put(&made, given[i].name, field);
    }
    if (code == PANG_OK && made.n > PANG_FIELDS_MAX)
        code = refuse(what, given[0].name, "would be one too many, at most 128", err);
    if (code == PANG_OK)
        *ret = made;
    return code;
}

const char *pang_fields_text(const pang_fields *fields, const char *name)
{
    bool found;
    size_t at = find(fields, name, &found);
    return found && fields->list[at]->sealed.len == 0 ? fields->list[at]->value : NULL;
}

const char *pang_field_shown(const pang_rec_field *field)
{
    return field->sealed.len > 0 ? PANG_FIELD_MASK : field->value;
}
