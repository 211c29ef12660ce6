/*
 * Model: the updates of schemas and partition specs. What is added is compared with what is there
 * and takes the id of its equal; ids in the request mean nothing, but for field ids. A reused one
 * counts as "last added" too, so that a client that adds and then sets -1 gets what it means.
 */
#include <inttypes.h>

#include "server/model_build.h"

pang_code pang_model_count_added(pang_model_added *added, int64_t id, const char *what,
                                 pang_err *err)
{
    if (added->n >= PANG_MODEL_ADDED_MAX)
        return pang_model_illegal(err, "Cannot add more than %d %s in one commit",
                                  PANG_MODEL_ADDED_MAX, what);
    added->n++;
    added->id = id;
    return PANG_OK;
}

/* ---- schemas ---- */

/* Schemas of one hash. */
typedef struct schema_link {
    const pang_json *schema;
    const struct schema_link *next;
} schema_link;

static void note_schema(pang_model_build *b, const pang_json *schema)
{
    int64_t hash = (int64_t)pang_model_schema_hash(schema);
    schema_link *link = pang_arena_alloc(b->arena, sizeof *link);
    (void)pang_model_spend(b, 1 + pang_json_size(pang_json_get(schema, "fields")));
    if (link != NULL)
        *link = (schema_link){schema, pang_model_ids_get(&b->schema_hashes, hash)};
    if (link == NULL || !pang_model_ids_put(&b->schema_hashes, hash, link))
        b->failed = true;
}

static void learn_schemas(pang_model_build *b)
{
    const pang_json *schemas = pang_json_get(b->doc, "schemas");
    if (b->knows_schema_hashes)
        return;
    b->knows_schema_hashes = true;
    b->schema_hashes.root = NULL;
    for (size_t i = 0; i < pang_json_size(schemas); i++)
        note_schema(b, pang_json_at(schemas, i));
}

/* An equal schema of the table; NULL when there is none. Wide tables of long histories have
 * millions of fields: they are compared field by field only where the hashes are one. */
static const pang_json *find_schema(pang_model_build *b, const pang_json *schema)
{
    int64_t hash = (int64_t)pang_model_schema_hash(schema);
    size_t cost = 8 * (1 + pang_json_size(pang_json_get(schema, "fields")));
    learn_schemas(b);
    for (const schema_link *link = pang_model_ids_get(&b->schema_hashes, hash);
         link != NULL && pang_model_spend(b, cost); link = link->next) {
        if (pang_model_schema_same(schema, link->schema))
            return link->schema;
    }
    return NULL;
}

static int64_t next_schema_id(const pang_model_build *b)
{
    const pang_json *schemas = pang_json_get(b->doc, "schemas");
    int64_t last = pang_model_int(b->doc, "current-schema-id", -1);
    for (size_t i = 0; i < pang_json_size(schemas); i++) {
        int64_t id = pang_model_int(pang_json_at(schemas, i), "schema-id", 0);
        last = id > last ? id : last;
    }
    return last + 1;
}

pang_code pang_model_add_schema(pang_model_build *b, const pang_json *update,
                                const pang_model_path *at, pang_err *err)
{
    const pang_json *schema = pang_json_get(update, "schema");
    pang_model_path here = PANG_MODEL_IN(at, "schema");
    pang_model_schema *read;
    pang_code code = pang_model_schema_read(schema, &here, b->arena, &read, err);
    if (code == PANG_OK)
        code = pang_model_schema_suits(read, b->version, err);
    if (code != PANG_OK)
        return code;
    pang_json *tidy = pang_model_schema_rewrite(b, schema, 0, NULL);
    const pang_json *equal = find_schema(b, tidy);
    int64_t id = equal != NULL ? pang_model_int(equal, "schema-id", 0) : next_schema_id(b);
    if (equal == NULL) {
        pang_model_put_int(b, tidy, "schema-id", id);
        pang_model_add(b, pang_model_own(b, "schemas"), tidy);
        note_schema(b, tidy);
        b->changed = true;
    }
    if (read->highest > pang_model_int(b->doc, "last-column-id", 0)) {
        pang_model_put_int(b, b->doc, "last-column-id", read->highest);
        b->changed = true;
    }
    return pang_model_count_added(&b->schema, id, "schemas", err);
}

pang_code pang_model_set_current_schema(pang_model_build *b, const pang_json *update,
                                        const pang_model_path *at, pang_err *err)
{
    int64_t id = pang_model_int(update, "schema-id", -1), old;
    (void)at;
    if (id == -1 && b->schema.n == 0)
        return pang_model_invalid(err, "Cannot set last added schema: no schema has been added");
    if (id == -1)
        id = b->schema.id;
    (void)pang_model_spend(b, pang_json_size(pang_json_get(b->doc, "schemas")));
    if (pang_model_find(pang_json_get(b->doc, "schemas"), "schema-id", id) == NULL)
        return pang_model_illegal(err, "Cannot set current schema to unknown schema: %" PRId64, id);
    if (pang_model_has_int(b->doc, "current-schema-id", &old) && old == id)
        return PANG_OK;
    pang_model_put_int(b, b->doc, "current-schema-id", id);
    b->changed = true;
    return PANG_OK;
}

/* The ids of an update's list, as a set; false without memory. */
static bool ids_of(pang_model_build *b, const pang_json *list, pang_model_ids *ret)
{
    *ret = (pang_model_ids){.arena = b->arena};
    for (size_t i = 0; i < pang_json_size(list); i++) {
        int64_t id;
        if (pang_json_to_int64(pang_json_at(list, i), &id) && !pang_model_ids_put(ret, id, list))
            return false;
    }
    return true;
}

pang_code pang_model_remove_schemas(pang_model_build *b, const pang_json *update,
                                    const pang_model_path *at, pang_err *err)
{
    pang_model_ids ids;
    (void)at;
    if (!ids_of(b, pang_json_get(update, "schema-ids"), &ids))
        return pang_fail_memory(err);
    if (pang_model_ids_get(&ids, pang_model_int(b->doc, "current-schema-id", -1)) != NULL)
        return pang_model_illegal(err, "Cannot remove the current schema");
    if (pang_model_drop(b, "schemas", "schema-id", &ids)) {
        b->knows_schema_hashes = false;
        b->changed = true;
    }
    return PANG_OK;
}

/* ---- partition specs ---- */

static bool same_specs(const pang_json *a, const pang_json *b)
{
    if (pang_json_size(a) != pang_json_size(b))
        return false;
    for (size_t i = 0; i < pang_json_size(a); i++) {
        const pang_json *x = pang_json_at(a, i), *y = pang_json_at(b, i);
        if (!pang_model_same_source(x, y) ||
            !pang_str_equal(pang_model_text(x, "name"), pang_model_text(y, "name")))
            return false;
    }
    return true;
}

static int64_t id_of_spec(pang_model_build *b, const pang_json *fields, bool *ret_is_new)
{
    const pang_json *specs = pang_json_get(b->doc, "partition-specs");
    int64_t last = -1;
    *ret_is_new = false;
    for (size_t i = 0; i < pang_json_size(specs); i++) {
        const pang_json *spec = pang_json_at(specs, i);
        int64_t id = pang_model_int(spec, "spec-id", 0);
        if (!pang_model_spend(b, 1 + pang_json_size(pang_json_get(spec, "fields"))))
            return id;
        if (same_specs(fields, pang_json_get(spec, "fields")))
            return id;
        last = id > last ? id : last;
    }
    *ret_is_new = true;
    return last + 1;
}

/* What makes two partition fields one: "<source> <transform>"; empty without memory. */
static pang_str field_key(pang_model_build *b, const pang_json *field)
{
    pang_str transform = pang_model_text(field, "transform"), several = {NULL, 0};
    int64_t source = -1;
    if (!pang_model_source(field, &source) &&
        pang_json_print(pang_json_get(field, "source-ids"), b->arena, &several, NULL) != PANG_OK)
        b->failed = true;
    return pang_arena_printf(b->arena, "%" PRId64 "%" PANG_STR_FMT " %" PANG_STR_FMT, source,
                             PANG_STR_ARG(several), PANG_STR_ARG(transform));
}

/* Notes the ids of fields; the oldest spec's win. */
static void note_field_ids(pang_model_build *b, const pang_json *fields)
{
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        pang_json *id = pang_json_get(pang_json_at(fields, i), "field-id");
        pang_str key = field_key(b, pang_json_at(fields, i));
        if (!pang_json_is_null(id) && pang_json_get_str(b->field_ids, key) == NULL &&
            !pang_json_set_str(b->field_ids, key, id))
            b->failed = true;
    }
}

/* The id that an equal field of an older spec has; -1 when there is none. */
static int64_t id_of_field(pang_model_build *b, const pang_json *field)
{
    const pang_json *specs = pang_json_get(b->doc, "partition-specs");
    int64_t id = -1;
    if (b->field_ids == NULL) {
        b->field_ids = pang_json_object(b->arena);
        for (size_t i = 0; i < pang_json_size(specs); i++)
            note_field_ids(b, pang_json_get(pang_json_at(specs, i), "fields"));
    }
    (void)pang_json_to_int64(pang_json_get_str(b->field_ids, field_key(b, field)), &id);
    return id;
}

/* Tidy copies of the fields, each with an id; *last is the highest id of the table. */
static pang_json *fields_with_ids(pang_model_build *b, const pang_json *fields, int64_t *last)
{
    pang_model_ids used = {.arena = b->arena};
    pang_json *list = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        pang_json *field = pang_model_copy(pang_json_at(fields, i), b->arena);
        int64_t id;
        field = pang_model_without_nulls(field, b->arena);
        if (!pang_model_has_int(field, "field-id", &id)) {
            id = id_of_field(b, field);
            if (id < 0 || pang_model_ids_get(&used, id) != NULL)
                id = *last + 1;
            pang_model_put_int(b, field, "field-id", id);
        }
        if (!pang_model_ids_put(&used, id, fields))
            b->failed = true;
        *last = id > *last ? id : *last;
        pang_model_add(b, list, field);
    }
    if (b->field_ids != NULL)
        note_field_ids(b, list);
    return list;
}

/* Version 1 writers address partition fields by their place. */
static bool is_sequential(const pang_json *fields)
{
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        if (pang_model_int(pang_json_at(fields, i), "field-id", -1) != 1000 + (int64_t)i)
            return false;
    }
    return true;
}

static pang_code put_spec(pang_model_build *b, const pang_json *spec, int64_t id, pang_err *err)
{
    int64_t old = pang_model_int(b->doc, "last-partition-id", 999), last = old;
    pang_json *fields = fields_with_ids(b, pang_json_get(spec, "fields"), &last);
    if (b->version == 1 && !b->failed && !is_sequential(fields))
        return pang_model_invalid(
            err, "Spec does not use sequential IDs that are required in v1: spec %" PRId64, id);
    if (last > INT32_MAX)
        return pang_model_illegal(err, "Cannot assign a partition field id: none is left");
    pang_json *copy = pang_model_copy(spec, b->arena);
    pang_model_put_int(b, copy, "spec-id", id);
    pang_model_put(b, copy, "fields", fields);
    pang_model_add(b, pang_model_own(b, "partition-specs"), copy);
    pang_model_put_int(b, b->doc, "last-partition-id", last);
    b->changed = true;
    return PANG_OK;
}

pang_code pang_model_add_spec(pang_model_build *b, const pang_json *update,
                              const pang_model_path *at, pang_err *err)
{
    static const pang_model_member members[] = {
        {"spec-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, INT32_MIN, INT32_MAX},
        {"fields", PANG_MODEL_ARRAY, PANG_MODEL_REQUIRED, 0, 0},
        {NULL, 0, 0, 0, 0},
    };
    const pang_json *spec = pang_json_get(update, "spec"), *fields = pang_json_get(spec, "fields");
    pang_model_path here = PANG_MODEL_IN(at, "spec"), list = PANG_MODEL_IN(&here, "fields");
    const pang_model_schema *schema;
    bool is_new;
    pang_code code = pang_model_shape(spec, &here, members, err);
    if (code == PANG_OK)
        code = pang_model_spec_shape(fields, &list, err);
    if (code == PANG_OK)
        code = pang_model_current_schema(b, &schema, err);
    if (code == PANG_OK)
        code = pang_model_spec_suits(fields, schema, true, err);
    if (code != PANG_OK)
        return code;
    int64_t id = id_of_spec(b, fields, &is_new);
    if (is_new && (code = put_spec(b, spec, id, err)) != PANG_OK)
        return code;
    return pang_model_count_added(&b->spec, id, "partition specs", err);
}

pang_code pang_model_set_default_spec(pang_model_build *b, const pang_json *update,
                                      const pang_model_path *at, pang_err *err)
{
    int64_t id = pang_model_int(update, "spec-id", -1), old;
    (void)at;
    if (id == -1 && b->spec.n == 0)
        return pang_model_invalid(err, "Cannot set last added spec: no spec has been added");
    if (id == -1)
        id = b->spec.id;
    if (pang_model_has_int(b->doc, "default-spec-id", &old) && old == id)
        return PANG_OK;
    (void)pang_model_spend(b, pang_json_size(pang_json_get(b->doc, "partition-specs")));
    if (pang_model_find(pang_json_get(b->doc, "partition-specs"), "spec-id", id) == NULL)
        return pang_model_illegal(
            err, "Cannot set default partition spec to unknown spec: %" PRId64, id);
    pang_model_put_int(b, b->doc, "default-spec-id", id);
    b->changed = true;
    return PANG_OK;
}

pang_code pang_model_remove_specs(pang_model_build *b, const pang_json *update,
                                  const pang_model_path *at, pang_err *err)
{
    pang_model_ids ids;
    (void)at;
    if (!ids_of(b, pang_json_get(update, "spec-ids"), &ids))
        return pang_fail_memory(err);
    if (pang_model_ids_get(&ids, pang_model_int(b->doc, "default-spec-id", -1)) != NULL)
        return pang_model_illegal(err, "Cannot remove the default partition spec");
    if (pang_model_drop(b, "partition-specs", "spec-id", &ids))
        b->changed = true;
    return PANG_OK;
}
