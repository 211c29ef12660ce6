/*
 * What replies about a view say: where the metadata is and what it says, as the specification has
 * it, and, for those of Pangolin's clients that read no metadata, its query and properties beside.
 * Clients of the specification pass over members that they do not know.
 */
#include "server/model_view.h"
#include "server/svc_view.h"

static pang_code shorten(pang_call *call, pang_str text, pang_model_view_short *ret, pang_err *err)
{
    pang_json *document;
    pang_code code = pang_json_parse(text, call->arena, &document, err);
    if (code == PANG_OK)
        pang_model_view_shorten(document, ret);
    return code;
}

static pang_code print_schema(pang_call *call, const pang_model_view_short *says,
                              ProtobufCBinaryData *ret, pang_err *err)
{
    pang_str text = {NULL, 0};
    pang_code code = says->schema == NULL ? PANG_OK
                                          : pang_json_print(says->schema, call->arena, &text, err);
    *ret = pang_bytes_of(text);
    return code;
}

#define DEFINE_REPLY(Name)                                                                         \
    PANG_VIEW_REPLY(Name)                                                                          \
    {                                                                                              \
        out->metadata_location = body->metadata_location;                                          \
        out->metadata = pang_bytes_of(text);                                                       \
        out->etag = pang_table_etag(call->arena, body, PANG_WHOLE, PANG_NO_OVERLAY);               \
        return out->etag == NULL ? pang_fail_memory(err) : PANG_OK;                                \
    }

#define DEFINE_REPLY_SHORT(Name, NAME)                                                             \
    static bool put_properties_##Name(pang_arena *arena, const pang_json *from,                    \
                                      struct Pangolin__V1__##Name##ViewResponse *out)              \
    {                                                                                              \
        typedef struct Pangolin__V1__##Name##ViewResponse__PropertiesEntry entry;                  \
        pang_json_members it = {.object = from};                                                   \
        size_t n = pang_json_size(from);                                                           \
        entry *made = pang_arena_alloc_n(arena, n, sizeof *made);                                  \
        pang_str name, value;                                                                      \
        pang_json *node;                                                                           \
        out->properties = pang_arena_alloc_n(arena, n, sizeof(entry *));                           \
        if (made == NULL || out->properties == NULL)                                               \
            return false;                                                                          \
        while (pang_json_next(&it, &name, &node)) {                                                \
            if (!pang_json_to_str(node, &value))                                                   \
                continue;                                                                          \
            entry *one = &made[out->n_properties];                                                 \
            *one = (entry)PANGOLIN__V1__##NAME##_VIEW_RESPONSE__PROPERTIES_ENTRY__INIT;            \
            one->key = pang_arena_cstr(arena, name);                                               \
            one->value = pang_arena_cstr(arena, value);                                            \
            if (one->key == NULL || one->value == NULL)                                            \
                return false;                                                                      \
            out->properties[out->n_properties++] = one;                                            \
        }                                                                                          \
        return true;                                                                               \
    }                                                                                              \
    PANG_VIEW_REPLY_SHORT(Name)                                                                    \
    {                                                                                              \
        pang_model_view_short says;                                                                \
        pang_code code = shorten(call, text, &says, err);                                          \
        if (code == PANG_OK)                                                                       \
            code = print_schema(call, &says, &out->schema, err);                                   \
        if (code != PANG_OK)                                                                       \
            return code;                                                                           \
        out->metadata_location = body->metadata_location;                                          \
        out->metadata = pang_bytes_of(text);                                                       \
        out->etag = pang_table_etag(call->arena, body, PANG_WHOLE, PANG_NO_OVERLAY);               \
        out->name = pang_arena_cstr(call->arena, name);                                            \
        out->sql = pang_arena_cstr(call->arena, says.sql);                                         \
        out->dialect = pang_arena_cstr(call->arena, says.dialect);                                 \
        if (out->etag == NULL || out->name == NULL || out->sql == NULL || out->dialect == NULL ||  \
            !put_properties_##Name(call->arena, says.properties, out))                             \
            return pang_fail_memory(err);                                                          \
        return PANG_OK;                                                                            \
    }

DEFINE_REPLY(Replace)
DEFINE_REPLY(Register)
DEFINE_REPLY_SHORT(Create, CREATE)
DEFINE_REPLY_SHORT(Load, LOAD)
