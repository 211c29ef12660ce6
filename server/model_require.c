/*
 * Model: the table of requirements. A row names the members of a requirement and the function
 * that compares it with the table; the messages are those that clients compare.
 */
#include <inttypes.h>

#include "server/model_look.h"
#include "server/model_view.h"

typedef pang_code requirement(const pang_json *base, const pang_json *required, pang_err *err);

typedef struct {
    const char *type;
    requirement *check;
    pang_model_member members[3];
} row;

enum { TYPES = 9 };
static const row rows[TYPES];

#define failed(err, ...)                                                                           \
    pang_fail((err), PANG_FAILED_PRECONDITION, PANG_MODEL_CONFLICT,                                \
              "Requirement failed: " __VA_ARGS__)

/* ---- what a table says, version 1 files included, which leave out what can be computed ---- */

static int64_t current_schema_id(const pang_json *base)
{
    return pang_model_int(base, "current-schema-id",
                          pang_model_int(pang_json_get(base, "schema"), "schema-id", 0));
}

static int64_t last_partition_id(const pang_json *base)
{
    const pang_json *fields = pang_json_get(base, "partition-spec");
    int64_t last = 999;
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        int64_t id = pang_model_int(pang_json_at(fields, i), "field-id", 1000 + (int64_t)i);
        last = id > last ? id : last;
    }
    return pang_model_int(base, "last-partition-id", last);
}

/* False when the table has no such ref. A table without refs has main, if it has a snapshot. */
static bool find_ref(const pang_json *base, pang_str name, int64_t *ret_id, const char **ret_type)
{
    const pang_json *refs = pang_json_get(base, "refs"), *ref = pang_json_get_str(refs, name);
    *ret_type = "branch";
    if (pang_json_is_null(refs) && pang_str_equal(name, PANG_STR("main")))
        return pang_model_current_snapshot(base, ret_id);
    if (ref == NULL)
        return false;
    *ret_id = pang_model_int(ref, "snapshot-id", -1);
    if (pang_str_equal_nocase(pang_model_text(ref, "type"), PANG_STR("tag")))
        *ret_type = "tag";
    return true;
}

/* ---- requirements ---- */

static pang_code no_table(pang_err *err)
{
    return failed(err, "table does not exist");
}

static pang_code assert_create(const pang_json *base, const pang_json *required, pang_err *err)
{
    (void)required;
    return base == NULL ? PANG_OK : failed(err, "table already exists");
}

static pang_code assert_uuid(const pang_json *base, const pang_json *required, pang_err *err)
{
    pang_str own = pang_model_text(base, "table-uuid"), given = pang_model_text(required, "uuid");
    if (base == NULL)
        return no_table(err);
    if (pang_str_equal_nocase(own, given))
        return PANG_OK;
    return failed(err, "UUID does not match: expected %" PANG_STR_FMT " != %" PANG_STR_FMT,
                  PANG_STR_ARG(own), PANG_STR_ARG(given));
}

static pang_code assert_ref(const pang_json *base, const pang_json *required, pang_err *err)
{
    pang_str name = pang_model_text(required, "ref");
    int64_t expected, id;
    const char *type;
    bool expects = pang_model_has_int(required, "snapshot-id", &expected);
    bool found = find_ref(base, name, &id, &type);
    if (found && !expects)
        return failed(err, "%s %" PANG_STR_FMT " was created concurrently", type,
                      PANG_STR_ARG(name));
    if (found && id != expected)
        return failed(err, "%s %" PANG_STR_FMT " has changed: expected id %" PRId64 " != %" PRId64,
                      type, PANG_STR_ARG(name), expected, id);
    if (!found && expects)
        return failed(err, "branch or tag %" PANG_STR_FMT " is missing, expected %" PRId64,
                      PANG_STR_ARG(name), expected);
    return PANG_OK;
}

static pang_code assert_id(const pang_json *base, const pang_json *required, const char *name,
                           int64_t id, const char *what, pang_err *err)
{
    int64_t expected = pang_model_int(required, name, 0);
    if (base == NULL)
        return no_table(err);
    if (expected == id)
        return PANG_OK;
    return failed(err, "%s changed: expected id %" PRId64 " != %" PRId64, what, expected, id);
}

static pang_code assert_field_id(const pang_json *base, const pang_json *required, pang_err *err)
{
    return assert_id(base, required, "last-assigned-field-id",
                     pang_model_int(base, "last-column-id", 0), "last assigned field id", err);
}

static pang_code assert_schema_id(const pang_json *base, const pang_json *required, pang_err *err)
{
    return assert_id(base, required, "current-schema-id", current_schema_id(base), "current schema",
                     err);
}

static pang_code assert_partition_id(const pang_json *base, const pang_json *required,
                                     pang_err *err)
{
    return assert_id(base, required, "last-assigned-partition-id", last_partition_id(base),
                     "last assigned partition id", err);
}

static pang_code assert_spec_id(const pang_json *base, const pang_json *required, pang_err *err)
{
    return assert_id(base, required, "default-spec-id", pang_model_int(base, "default-spec-id", 0),
                     "default partition spec", err);
}

static pang_code assert_order_id(const pang_json *base, const pang_json *required, pang_err *err)
{
    return assert_id(base, required, "default-sort-order-id",
                     pang_model_int(base, "default-sort-order-id", 0), "default sort order", err);
}

static pang_code assert_view_uuid(const pang_json *base, const pang_json *required, pang_err *err)
{
    (void)base;
    (void)required;
    return pang_model_invalid(err, "Cannot validate assert-view-uuid against a table");
}

/* ---- the walk ---- */

static const row *row_of(const pang_json *required)
{
    pang_str type = pang_model_text(required, "type");
    for (size_t i = 0; i < TYPES; i++) {
        if (pang_str_equal_nocase(type, pang_str_from(rows[i].type)))
            return &rows[i];
    }
    return NULL;
}

static pang_code requirements_shape(const pang_json *requirements, pang_err *err)
{
    static const pang_model_member members[] = {
        {"type", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
        {NULL, 0, 0, 0, 0},
    };
    pang_model_path list = PANG_MODEL_IN(NULL, "requirements");
    pang_code code = PANG_OK;
    if (pang_json_is_null(requirements))
        return PANG_OK;
    if (pang_json_type_of(requirements) != PANG_JSON_IS_ARRAY)
        return pang_model_bad(err, &list, NULL, "must be an array");
    if (pang_json_size(requirements) > PANG_MODEL_REQUIREMENTS_MAX)
        return pang_model_bad(err, &list, NULL, "has more than %d elements",
                              PANG_MODEL_REQUIREMENTS_MAX);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(requirements); i++) {
        const pang_json *required = pang_json_at(requirements, i);
        pang_model_path at = PANG_MODEL_AT(&list, i);
        if ((code = pang_model_shape(required, &at, members, err)) != PANG_OK)
            return code;
        const row *r = row_of(required);
        pang_str type = pang_model_text(required, "type");
        if (r == NULL)
            return pang_model_bad(err, &at, "type",
                                  "cannot convert update requirement type \"%" PANG_STR_FMT "\"",
                                  PANG_STR_ARG(type));
        code = pang_model_shape(required, &at, r->members, err);
    }
    return code;
}

bool pang_model_is_create(const pang_json *requirements)
{
    if (pang_json_type_of(requirements) != PANG_JSON_IS_ARRAY)
        return false;
    for (size_t i = 0; i < pang_json_size(requirements); i++) {
        const row *r = row_of(pang_json_at(requirements, i));
        if (r != NULL && r->check == assert_create)
            return true;
    }
    return false;
}

/* What creates a table can assert nothing about one. */
static pang_code check_create(const pang_json *requirements, pang_err *err)
{
    for (size_t i = 0; i < pang_json_size(requirements); i++) {
        const row *r = row_of(pang_json_at(requirements, i));
        if (r->check != assert_create)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_MODEL_BAD,
                             "Invalid create requirements: %s", r->type);
    }
    return PANG_OK;
}

pang_code pang_model_require(const pang_json *base, const pang_json *requirements, pang_err *err)
{
    pang_code code = requirements_shape(requirements, err);
    if (code == PANG_OK && pang_model_is_create(requirements))
        code = check_create(requirements, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(requirements); i++) {
        const pang_json *required = pang_json_at(requirements, i);
        code = row_of(required)->check(base, required, err);
    }
    return code;
}

static pang_code require_of_view(const pang_json *base, const pang_json *required, pang_err *err)
{
    const row *r = row_of(required);
    pang_str own = pang_model_text(base, "view-uuid"), given = pang_model_text(required, "uuid");
    if (r->check != assert_view_uuid)
        return pang_model_invalid(err, "Cannot validate %s against a view", r->type);
    if (pang_str_equal_nocase(own, given))
        return PANG_OK;
    return failed(err, "view UUID does not match: expected %" PANG_STR_FMT " != %" PANG_STR_FMT,
                  PANG_STR_ARG(own), PANG_STR_ARG(given));
}

pang_code pang_model_view_require(const pang_json *base, const pang_json *requirements,
                                  pang_err *err)
{
    pang_code code = requirements_shape(requirements, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(requirements); i++)
        code = require_of_view(base, pang_json_at(requirements, i), err);
    return code;
}

#define ID(name)                                                                                   \
    {                                                                                              \
        {name, PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT32_MIN, INT32_MAX}, END                  \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, 0, 0, 0                                                                           \
    }

static const row rows[TYPES] = {
    {"assert-create", assert_create, {END}},
    {"assert-table-uuid", assert_uuid, {{"uuid", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0}, END}},
    {"assert-ref-snapshot-id",
     assert_ref,
     {{"ref", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
      {"snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, INT64_MIN, INT64_MAX},
      END}},
    {"assert-last-assigned-field-id", assert_field_id, ID("last-assigned-field-id")},
    {"assert-current-schema-id", assert_schema_id, ID("current-schema-id")},
    {"assert-last-assigned-partition-id", assert_partition_id, ID("last-assigned-partition-id")},
    {"assert-default-spec-id", assert_spec_id, ID("default-spec-id")},
    {"assert-default-sort-order-id", assert_order_id, ID("default-sort-order-id")},
    {"assert-view-uuid",
     assert_view_uuid,
     {{"uuid", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0}, END}},
};
