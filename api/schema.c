/*
 * The API's description: a FileDescriptorSet read into upb's definitions, a table of methods, and a
 * table of field rules, all immutable once loaded.
 */
#include "api/schema_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_ARENA_MAX = 16 << 20,
    METHODS_MAX = 1024,
    FILES_MAX = 256,
    SET_FILE = 1,     /* FileDescriptorSet.file */
    FILE_NAME = 1,    /* FileDescriptorProto.name */
    FILE_SERVICE = 6, /* FileDescriptorProto.service */
    MESSAGE_NEST_MAX = 16,
};

static pang_code refuse(pang_err *err, const char *what, const char *name)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "API description: %s: %s", what, name);
}

/* ---- files ---- */

static pang_str file_name(pang_str file)
{
    pang_wire_field f;
    while (pang_wire_next(&file, &f)) {
        if (f.number == FILE_NAME)
            return f.bytes;
    }
    return PANG_STR("");
}

static int count_services(pang_str file)
{
    pang_wire_field f;
    int n = 0;
    while (pang_wire_next(&file, &f))
        n += f.number == FILE_SERVICE;
    return n;
}

/* What upb read must be what stands on the wire: else its layout is not the one declared. */
static bool agrees(const upb_FileDef *def, pang_str file)
{
    return pang_str_equal(pang_str_from(upb_FileDef_Name(def)), file_name(file)) &&
           upb_FileDef_ServiceCount(def) == count_services(file);
}

static pang_code add_file(pang_schema *schema, pang_str bytes, upb_Arena *scratch, pang_err *err)
{
    upb_Status status = {.ok = true};
    schema_file *file = &schema->files[schema->n_files];
    void *proto = _upb_Message_New(&google_protobuf_FileDescriptorProto_msginit, scratch);
    if (proto == NULL)
        return pang_fail_memory(err);
    if (upb_Decode(bytes.ptr, bytes.len, proto, &google_protobuf_FileDescriptorProto_msginit, NULL,
                   0, scratch) != 0)
        return refuse(err, "a file does not decode", "FileDescriptorProto");
    *file = (schema_file){.name = file_name(bytes), .bytes = bytes};
    file->def = upb_DefPool_AddFile(schema->pool, proto, &status);
    if (file->def == NULL)
        return refuse(err, "a file is refused", status.message);
    if (!agrees(file->def, bytes))
        return refuse(err, "libupb is not the one that was built for", upb_FileDef_Name(file->def));
    schema->n_files++;
    return PANG_OK;
}

static pang_code add_files(pang_schema *schema, pang_str set, pang_err *err)
{
    pang_wire_field f;
    pang_code code = PANG_OK;
    upb_Arena *scratch = upb_Arena_Init(NULL, 0, &upb_alloc_global);
    schema->files = pang_arena_alloc_n(schema->arena, FILES_MAX, sizeof *schema->files);
    if (scratch == NULL || schema->files == NULL)
        code = pang_fail_memory(err);
    while (code == PANG_OK && set.len > 0) {
        if (!pang_wire_next(&set, &f) || f.number != SET_FILE || schema->n_files == FILES_MAX)
            code = refuse(err, "the set is malformed", "FileDescriptorSet");
        else
            code = add_file(schema, f.bytes, scratch, err);
    }
    if (scratch != NULL)
        upb_Arena_Free(scratch);
    return code;
}

/* ---- field rules ---- */

static size_t field_slot(const pang_schema *schema, const upb_FieldDef *field)
{
    uint64_t hash = (uint64_t)(uintptr_t)field * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(hash >> 40) & (schema->fields_size - 1);
    while (schema->fields[at].field != NULL && schema->fields[at].field != field)
        at = (at + 1) & (schema->fields_size - 1);
    return at;
}

const pang_field_rule *pang_schema_field(const pang_schema *schema, const upb_FieldDef *field)
{
    static const pang_field_rule none = {0};
    const schema_field *slot = &schema->fields[field_slot(schema, field)];
    return slot->field == NULL ? &none : slot->rule;
}

static pang_code grow_fields(pang_schema *schema, pang_err *err)
{
    pang_schema grown = *schema;
    grown.fields_size = schema->fields_size == 0 ? 256 : schema->fields_size * 2;
    grown.fields = pang_arena_alloc_n(schema->arena, grown.fields_size, sizeof *grown.fields);
    if (grown.fields == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < schema->fields_size; i++) {
        if (schema->fields[i].field != NULL)
            grown.fields[field_slot(&grown, schema->fields[i].field)] = schema->fields[i];
    }
    schema->fields = grown.fields;
    schema->fields_size = grown.fields_size;
    return PANG_OK;
}

static pang_code add_field(pang_schema *schema, const upb_MessageDef *message,
                           const upb_FieldDef *field, pang_err *err)
{
    pang_str options;
    bool found;
    pang_field_rule *rule = pang_arena_alloc(schema->arena, sizeof *rule);
    if (rule == NULL)
        return pang_fail_memory(err);
    options.ptr = upb_Message_GetUnknown(upb_FieldDef_Options(field), &options.len);
    pang_code code = pang_schema_read_field(schema->arena, options, upb_FieldDef_FullName(field),
                                            rule, &found, err);
    if (code == PANG_OK && found)
        code = pang_schema_check_field(message, field, rule, err);
    if (code == PANG_OK && found && schema->n_fields * 2 >= schema->fields_size)
        code = grow_fields(schema, err);
    if (code != PANG_OK || !found)
        return code;
    schema->fields[field_slot(schema, field)] = (schema_field){field, rule};
    schema->n_fields++;
    return PANG_OK;
}

static pang_code add_message(pang_schema *schema, const upb_MessageDef *message, unsigned depth,
                             pang_err *err)
{
    pang_code code = depth > MESSAGE_NEST_MAX
                         ? refuse(err, "nested too deep", upb_MessageDef_FullName(message))
                         : pang_schema_check_message(message, err);
    for (int i = 0; code == PANG_OK && i < upb_MessageDef_FieldCount(message); i++)
        code = add_field(schema, message, upb_MessageDef_Field(message, i), err);
    if (code == PANG_OK)
        code = pang_schema_check_shape(schema, message, err);
    for (int i = 0; code == PANG_OK && i < upb_MessageDef_NestedMessageCount(message); i++)
        code = add_message(schema, upb_MessageDef_NestedMessage(message, i), depth + 1, err);
    return code;
}

static pang_code add_fields(pang_schema *schema, pang_err *err)
{
    pang_code code = grow_fields(schema, err);
    for (size_t i = 0; i < schema->n_files; i++) {
        const upb_FileDef *file = schema->files[i].def;
        for (int j = 0; code == PANG_OK && j < upb_FileDef_TopLevelMessageCount(file); j++)
            code = add_message(schema, upb_FileDef_TopLevelMessage(file, j), 0, err);
    }
    return code;
}

/* ---- methods ---- */

static pang_code add_method(pang_schema *schema, const upb_ServiceDef *service,
                            const upb_MethodDef *def, pang_err *err)
{
    const char *name = upb_ServiceDef_FullName(service);
    pang_schema_method *method = &schema->methods[schema->n_methods];
    pang_str options;
    if (schema->n_methods == METHODS_MAX)
        return refuse(err, "too many methods", name);
    *method = (pang_schema_method){
        .path = pang_arena_printf(schema->arena, "/%s/%s", name, upb_MethodDef_Name(def)),
        .service = pang_str_from(name),
        .in = upb_MethodDef_InputType(def),
        .out = upb_MethodDef_OutputType(def),
        .client_streaming = upb_MethodDef_ClientStreaming(def),
        .server_streaming = upb_MethodDef_ServerStreaming(def),
        .index = schema->n_methods,
    };
    if (method->path.ptr == NULL)
        return pang_fail_memory(err);
    options.ptr = upb_Message_GetUnknown(upb_MethodDef_Options(def), &options.len);
    pang_code code = pang_schema_read_method(schema->arena, options, method, err);
    if (code == PANG_OK)
        code = pang_schema_check_method(schema, method, err);
    if (code == PANG_OK)
        schema->n_methods++;
    return code;
}

static pang_code add_methods(pang_schema *schema, pang_err *err)
{
    pang_code code = PANG_OK;
    schema->methods = pang_arena_alloc_n(schema->arena, METHODS_MAX, sizeof *schema->methods);
    if (schema->methods == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < schema->n_files; i++) {
        const upb_FileDef *file = schema->files[i].def;
        for (int j = 0; j < upb_FileDef_ServiceCount(file); j++) {
            const upb_ServiceDef *service = upb_FileDef_Service(file, j);
            for (int k = 0; code == PANG_OK && k < upb_ServiceDef_MethodCount(service); k++)
                code = add_method(schema, service, upb_ServiceDef_Method(service, k), err);
        }
    }
    return code;
}

static size_t path_slot(const pang_schema *schema, pang_str path)
{
    size_t at = (size_t)pang_str_hash(path) & (schema->by_path_size - 1);
    while (schema->by_path[at] != 0 &&
           !pang_str_equal(schema->methods[schema->by_path[at] - 1].path, path))
        at = (at + 1) & (schema->by_path_size - 1);
    return at;
}

static pang_code index_methods(pang_schema *schema, pang_err *err)
{
    schema->by_path_size = 16;
    while (schema->by_path_size < schema->n_methods * 4)
        schema->by_path_size *= 2;
    schema->by_path = pang_arena_alloc_n(schema->arena, schema->by_path_size, sizeof(uint32_t));
    if (schema->by_path == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < schema->n_methods; i++)
        schema->by_path[path_slot(schema, schema->methods[i].path)] = (uint32_t)i + 1;
    return PANG_OK;
}

/* ---- outside ---- */

pang_code pang_schema_load(pang_str set, pang_schema **ret, pang_err *err)
{
    pang_schema *schema = calloc(1, sizeof *schema);
    if (schema == NULL)
        return pang_fail_memory(err);
    schema->arena = pang_arena_new(SCHEMA_ARENA_MAX);
    schema->pool = upb_DefPool_New();
    pang_code code = schema->arena == NULL || schema->pool == NULL ? pang_fail_memory(err)
                                                                   : PANG_OK;
    if (code == PANG_OK)
        code = add_files(schema, set, err);
    if (code == PANG_OK)
        code = add_fields(schema, err);
    if (code == PANG_OK)
        code = add_methods(schema, err);
    if (code == PANG_OK)
        code = index_methods(schema, err);
    if (code == PANG_OK)
        code = pang_schema_check_routes(schema, err);
    if (code != PANG_OK) {
        pang_schema_free(schema);
        return code;
    }
    *ret = schema;
    return PANG_OK;
}

void pang_schema_free(pang_schema *schema)
{
    if (schema == NULL)
        return;
    if (schema->pool != NULL)
        upb_DefPool_Free(schema->pool);
    pang_arena_free(schema->arena);
    free(schema);
}

size_t pang_schema_size(const pang_schema *schema)
{
    return schema->n_methods;
}

const pang_schema_method *pang_schema_at(const pang_schema *schema, size_t i)
{
    return &schema->methods[i];
}

const pang_schema_method *pang_schema_find(const pang_schema *schema, pang_str path)
{
    uint32_t found = schema->by_path[path_slot(schema, path)];
    return found == 0 ? NULL : &schema->methods[found - 1];
}

upb_DefPool *pang_schema_pool(const pang_schema *schema)
{
    return schema->pool;
}

static const schema_file *find_file(const pang_schema *schema, pang_str name)
{
    for (size_t i = 0; i < schema->n_files; i++) {
        if (pang_str_equal(schema->files[i].name, name))
            return &schema->files[i];
    }
    return NULL;
}

pang_str pang_schema_file(const pang_schema *schema, pang_str name)
{
    const schema_file *file = find_file(schema, name);
    return file == NULL ? PANG_STR("") : file->bytes;
}

pang_str pang_schema_file_of_symbol(const pang_schema *schema, pang_str symbol)
{
    char name[256];
    if (symbol.len == 0 || symbol.len >= sizeof name ||
        memchr(symbol.ptr, '\0', symbol.len) != NULL)
        return PANG_STR("");
    memcpy(name, symbol.ptr, symbol.len);
    name[symbol.len] = '\0';
    const upb_FileDef *def = upb_DefPool_FindFileContainingSymbol(schema->pool, name);
    return def == NULL ? PANG_STR("")
                       : pang_schema_file(schema, pang_str_from(upb_FileDef_Name(def)));
}

pang_str pang_schema_import(const pang_schema *schema, pang_str file, size_t i)
{
    const schema_file *found = find_file(schema, file);
    if (found == NULL || i >= (size_t)upb_FileDef_DependencyCount(found->def))
        return PANG_STR("");
    return pang_str_from(upb_FileDef_Name(upb_FileDef_Dependency(found->def, (int)i)));
}
