/*
 * Model: looking at members. A table of members says what an object must hold; one function
 * checks it and names the first fault by its path. The map from ids to nodes stands here too,
 * since requests may bring tens of thousands of ids to be looked up in as many snapshots.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/model_look.h"

/* ---- messages ---- */

static void add_path(pang_buf *buf, const pang_model_path *at)
{
    if (at == NULL)
        return;
    add_path(buf, at->up);
    if (at->name == NULL)
        pang_buf_printf(buf, "[%zu]", at->index);
    else
        pang_buf_printf(buf, "%s%s", buf->len > 0 ? "." : "", at->name);
}

/* Enough for any path that a message shows, without asking the call's arena, which may be full. */
enum { PATH_BYTES = 4096 };

pang_code pang_model_bad(pang_err *err, const pang_model_path *at, const char *name,
                         const char *fmt, ...)
{
    char what[PANG_ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    pang_arena *arena = pang_arena_new(PATH_BYTES);
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_buf path = {.arena = arena};
    add_path(&path, at);
    if (name != NULL)
        pang_buf_printf(&path, "%s%s", path.len > 0 ? "." : "", name);
    pang_str text = pang_buf_str(&path);
    pang_code code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_MODEL_BAD, "%" PANG_STR_FMT ": %s",
                               PANG_STR_ARG(text), what);
    pang_arena_free(arena);
    return code;
}

/* ---- shapes ---- */

static const char *const kind_names[] = {
    [PANG_MODEL_NUMBER] = "an integer",
    [PANG_MODEL_TEXT] = "a string",
    [PANG_MODEL_FLAG] = "a boolean",
    [PANG_MODEL_OBJECT] = "an object",
    [PANG_MODEL_ARRAY] = "an array",
    [PANG_MODEL_NUMBERS] = "an array of integers",
    [PANG_MODEL_TEXTS] = "an array of strings",
    [PANG_MODEL_TEXT_MAP] = "an object of strings",
};

static pang_code shape_number(const pang_json *value, const pang_model_path *at,
                              const pang_model_member *m, pang_err *err)
{
    int64_t number;
    if (pang_json_type_of(value) == PANG_JSON_IS_NUMBER)
        return pang_model_bad(err, at, NULL, "must be an integer of 64 bits");
    if (!pang_json_to_int64(value, &number))
        return pang_model_bad(err, at, NULL, "must be an integer");
    if (number < m->low || number > m->high)
        return pang_model_bad(err, at, NULL,
                              "must be between %" PRId64 " and %" PRId64 ", is %" PRId64, m->low,
                              m->high, number);
    return PANG_OK;
}

static pang_code shape_text(const pang_json *value, const pang_model_path *at, pang_err *err)
{
    pang_str text;
    if (!pang_json_to_str(value, &text))
        return pang_model_bad(err, at, NULL, "must be a string");
    if (text.len > PANG_MODEL_TEXT_MAX)
        return pang_model_bad(err, at, NULL, "is longer than %d bytes", PANG_MODEL_TEXT_MAX);
    return PANG_OK;
}

static pang_code shape_elements(const pang_json *value, const pang_model_path *at,
                                const pang_model_member *m, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(value); i++) {
        pang_model_path here = PANG_MODEL_AT(at, i);
        const pang_json *element = pang_json_at(value, i);
        code = m->kind == PANG_MODEL_NUMBERS ? shape_number(element, &here, m, err)
                                             : shape_text(element, &here, err);
    }
    return code;
}

static pang_code shape_text_map(const pang_json *value, const pang_model_path *at, pang_err *err)
{
    pang_json_members it = {.object = value};
    pang_str name;
    pang_json *text;
    pang_code code = PANG_OK;
    while (code == PANG_OK && pang_json_next(&it, &name, &text)) {
        pang_model_path here = PANG_MODEL_IN(at, name.ptr);
        if (name.len > PANG_MODEL_TEXT_MAX)
            return pang_model_bad(err, at, NULL, "holds a name longer than %d bytes",
                                  PANG_MODEL_TEXT_MAX);
        code = shape_text(text, &here, err);
    }
    return code;
}

pang_code pang_model_shape_one(const pang_json *value, const pang_model_path *at,
                               const pang_model_member *m, pang_err *err)
{
    static const pang_json_type types[] = {
        [PANG_MODEL_FLAG] = PANG_JSON_IS_BOOL,   [PANG_MODEL_OBJECT] = PANG_JSON_IS_OBJECT,
        [PANG_MODEL_ARRAY] = PANG_JSON_IS_ARRAY, [PANG_MODEL_NUMBERS] = PANG_JSON_IS_ARRAY,
        [PANG_MODEL_TEXTS] = PANG_JSON_IS_ARRAY, [PANG_MODEL_TEXT_MAP] = PANG_JSON_IS_OBJECT,
    };
    if (m->kind == PANG_MODEL_NUMBER)
        return shape_number(value, at, m, err);
    if (m->kind == PANG_MODEL_TEXT)
        return shape_text(value, at, err);
    if (pang_json_type_of(value) != types[m->kind])
        return pang_model_bad(err, at, NULL, "must be %s", kind_names[m->kind]);
    if (m->kind == PANG_MODEL_NUMBERS || m->kind == PANG_MODEL_TEXTS)
        return shape_elements(value, at, m, err);
    if (m->kind == PANG_MODEL_TEXT_MAP)
        return shape_text_map(value, at, err);
    return PANG_OK;
}

pang_code pang_model_shape(const pang_json *object, const pang_model_path *at,
                           const pang_model_member *members, pang_err *err)
{
    if (pang_json_type_of(object) != PANG_JSON_IS_OBJECT)
        return pang_model_bad(err, at, NULL, "must be an object");
    for (const pang_model_member *m = members; m->name != NULL; m++) {
        const pang_json *value = pang_json_get(object, m->name);
        pang_model_path here = PANG_MODEL_IN(at, m->name);
        if (pang_json_is_null(value) && m->need == PANG_MODEL_OPTIONAL)
            continue;
        if (value == NULL)
            return pang_model_bad(err, at, m->name, "is missing");
        pang_code code = pang_model_shape_one(value, &here, m, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* ---- readers ---- */

bool pang_model_has_int(const pang_json *object, const char *name, int64_t *ret)
{
    return pang_json_to_int64(pang_json_get(object, name), ret);
}

int64_t pang_model_int(const pang_json *object, const char *name, int64_t otherwise)
{
    int64_t value;
    return pang_model_has_int(object, name, &value) ? value : otherwise;
}

pang_str pang_model_text(const pang_json *object, const char *name)
{
    pang_str text;
    return pang_json_to_str(pang_json_get(object, name), &text) ? text : (pang_str){NULL, 0};
}

bool pang_model_flag(const pang_json *object, const char *name, bool otherwise)
{
    bool flag;
    return pang_json_to_bool(pang_json_get(object, name), &flag) ? flag : otherwise;
}

bool pang_model_has(const pang_json *object, const char *name)
{
    return !pang_json_is_null(pang_json_get(object, name));
}

pang_json *pang_model_copy(const pang_json *container, pang_arena *arena)
{
    pang_json_members it = {.object = container};
    pang_str name;
    pang_json *value;
    if (pang_json_type_of(container) == PANG_JSON_IS_ARRAY) {
        pang_json *array = pang_json_array(arena);
        for (size_t i = 0; i < pang_json_size(container); i++) {
            if (!pang_json_append(array, pang_json_at(container, i)))
                return NULL;
        }
        return array;
    }
    pang_json *object = pang_json_object(arena);
    while (pang_json_next(&it, &name, &value)) {
        if (!pang_json_set_str(object, name, value))
            return NULL;
    }
    return object;
}

pang_json *pang_model_without_nulls(pang_json *object, pang_arena *arena)
{
    pang_json_members it = {.object = object};
    pang_str name;
    pang_json *value;
    bool has_null = false;
    while (pang_json_next(&it, &name, &value))
        has_null = has_null || pang_json_is_null(value);
    if (!has_null)
        return object;
    pang_json *copy = pang_json_object(arena);
    it = (pang_json_members){.object = object};
    while (pang_json_next(&it, &name, &value)) {
        if (!pang_json_is_null(value) && !pang_json_set_str(copy, name, value))
            return NULL;
    }
    return copy;
}

pang_json *pang_model_find(const pang_json *array, const char *name, int64_t id)
{
    for (size_t i = 0; i < pang_json_size(array); i++) {
        pang_json *element = pang_json_at(array, i);
        int64_t other;
        if (pang_model_has_int(element, name, &other) && other == id)
            return element;
    }
    return NULL;
}

/* ---- ids ---- */

/* A digital search tree: a node's children go by the next bit of the mixed id, so no path is
 * longer than 64 nodes whatever ids a client picks, which no hash without a secret can promise. */
struct pang_model_node {
    int64_t id;
    const void *value; /* NULL: removed */
    struct pang_model_node *child[2];
};

/* splitmix64's last steps: a bijection that spreads ids in sequence. */
static uint64_t mix(int64_t id)
{
    uint64_t z = (uint64_t)id;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Where the id's node hangs or would hang. */
static struct pang_model_node *const *find_node(const pang_model_ids *ids, int64_t id)
{
    struct pang_model_node *const *at = &ids->root;
    for (uint64_t bits = mix(id); *at != NULL && (*at)->id != id; bits >>= 1)
        at = &(*at)->child[bits & 1];
    return at;
}

bool pang_model_ids_put(pang_model_ids *ids, int64_t id, const void *value)
{
    struct pang_model_node **at = (struct pang_model_node **)(uintptr_t)find_node(ids, id);
    if (*at == NULL && (*at = pang_arena_alloc(ids->arena, sizeof **at)) == NULL)
        return false;
    (*at)->id = id;
    (*at)->value = value;
    return true;
}

const void *pang_model_ids_get(const pang_model_ids *ids, int64_t id)
{
    struct pang_model_node *node = *find_node(ids, id);
    return node == NULL ? NULL : node->value;
}

void pang_model_ids_remove(pang_model_ids *ids, int64_t id)
{
    struct pang_model_node *node = *find_node(ids, id);
    if (node != NULL)
        node->value = NULL;
}
