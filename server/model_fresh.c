/*
 * Model: schemas, rewritten. A new table's columns are numbered afresh in the order of the Java
 * library, which clients predict: at every struct first all its fields in order, then the inside
 * of each; elements, keys and values are numbered when the list or map is entered. The same walk,
 * keeping the ids, tidies a schema that is added: no nulls, floats spelt as such.
 */
#include "server/model_build.h"

typedef struct {
    pang_model_build *b;
    pang_model_renumber *renumber; /* NULL: ids are kept */
} rewriting;

static pang_json *rewrite_type(rewriting *r, pang_json *type);

/* The id that stands for `old` from now on. */
static int64_t next_id(rewriting *r, int64_t old)
{
    if (r->renumber == NULL)
        return old;
    int64_t *id = pang_arena_alloc(r->b->arena, sizeof *id);
    if (id == NULL || !pang_model_ids_put(&r->renumber->old_to_new, old, id)) {
        r->b->failed = true;
        return 0;
    }
    return *id = ++r->renumber->last;
}

int64_t pang_model_renumbered(const pang_model_renumber *renumber, int64_t old)
{
    const int64_t *id = pang_model_ids_get(&renumber->old_to_new, old);
    return id == NULL ? -1 : *id;
}

/* Java's readers take a float's default only with a fraction: 1 is written as 1.0. */
static void tidy_default(rewriting *r, pang_json *field, const char *name)
{
    pang_json *value = pang_json_get(field, name), *number = NULL;
    pang_type type;
    int64_t whole;
    if (!pang_json_to_int64(value, &whole) || !pang_type_parse(pang_json_get(field, "type"), &type))
        return;
    if (type.kind != PANG_TYPE_FLOAT && type.kind != PANG_TYPE_DOUBLE)
        return;
    pang_str text = pang_arena_printf(r->b->arena, "%lld.0", (long long)whole);
    if (pang_json_parse(text, r->b->arena, &number, NULL) != PANG_OK)
        r->b->failed = true;
    pang_model_put(r->b, field, name, number);
}

static pang_json *rewrite_fields(rewriting *r, const pang_json *fields)
{
    pang_json *list = pang_json_array(r->b->arena);
    size_t n = pang_json_size(fields);
    for (size_t i = 0; i < n; i++) {
        pang_json *field = pang_model_copy(pang_json_at(fields, i), r->b->arena);
        field = pang_model_without_nulls(field, r->b->arena);
        pang_model_put_int(r->b, field, "id", next_id(r, pang_model_int(field, "id", 0)));
        tidy_default(r, field, "initial-default");
        tidy_default(r, field, "write-default");
        pang_model_add(r->b, list, field);
    }
    for (size_t i = 0; i < n; i++) {
        pang_json *field = pang_json_at(list, i);
        pang_json *type = pang_json_get(field, "type");
        if (pang_json_type_of(type) == PANG_JSON_IS_OBJECT)
            pang_model_put(r->b, field, "type", rewrite_type(r, type));
    }
    return list;
}

/* An element, key or value. */
static void rewrite_inner(rewriting *r, pang_json *type, const char *member)
{
    pang_json *inner = pang_json_get(type, member);
    if (pang_json_type_of(inner) == PANG_JSON_IS_OBJECT)
        pang_model_put(r->b, type, member, rewrite_type(r, inner));
}

static void renumber_member(rewriting *r, pang_json *type, const char *name)
{
    pang_model_put_int(r->b, type, name, next_id(r, pang_model_int(type, name, 0)));
}

/* REQUIRES: a nested type that pang_model_schema_read has passed. */
static pang_json *rewrite_type(rewriting *r, pang_json *type)
{
    pang_json *copy = pang_model_copy(type, r->b->arena);
    pang_type kind = {0};
    (void)pang_type_parse(type, &kind);
    if (kind.kind == PANG_TYPE_STRUCT) {
        pang_model_put(r->b, copy, "fields", rewrite_fields(r, pang_json_get(type, "fields")));
    } else if (kind.kind == PANG_TYPE_LIST) {
        renumber_member(r, copy, "element-id");
        rewrite_inner(r, copy, "element");
    } else if (kind.kind == PANG_TYPE_MAP) {
        renumber_member(r, copy, "key-id");
        renumber_member(r, copy, "value-id");
        rewrite_inner(r, copy, "key");
        rewrite_inner(r, copy, "value");
    }
    return copy;
}

pang_json *pang_model_schema_rewrite(pang_model_build *b, const pang_json *schema,
                                     int64_t schema_id, pang_model_renumber *renumber)
{
    rewriting r = {.b = b, .renumber = renumber};
    pang_json *copy = pang_model_copy(schema, b->arena);
    copy = pang_model_without_nulls(copy, b->arena);
    pang_json *ids = pang_json_get(copy, "identifier-field-ids");
    pang_model_put_int(b, copy, "schema-id", schema_id);
    pang_model_put(b, copy, "fields", rewrite_fields(&r, pang_json_get(schema, "fields")));
    if (pang_json_size(ids) == 0) {
        pang_json_remove(copy, "identifier-field-ids");
        return copy;
    }
    if (renumber == NULL)
        return copy;
    pang_json *fresh = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(ids); i++) {
        int64_t old = -1;
        (void)pang_json_to_int64(pang_json_at(ids, i), &old);
        pang_model_add(b, fresh, pang_json_int(pang_model_renumbered(renumber, old), b->arena));
    }
    pang_model_put(b, copy, "identifier-field-ids", fresh);
    return copy;
}
