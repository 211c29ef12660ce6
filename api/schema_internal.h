/*
 * Inside of api/schema*.c: the loaded description as they share it.
 * Included by: api/schema*.c only. Threads: built by one, then immutable. Lifetime: as its arena.
 */
#ifndef PANG_API_SCHEMA_INTERNAL_H
#define PANG_API_SCHEMA_INTERNAL_H

#include "api/arena.h"
#include "api/schema.h"
#include "api/upb.h"
#include "api/wire.h"

/* One file of the set. */
typedef struct {
    pang_str name;  /* borrows from bytes */
    pang_str bytes; /* its FileDescriptorProto; borrows from the set */
    const upb_FileDef *def;
} schema_file;

/* A slot of the open-addressing table of field rules: `field` is NULL in a free one. */
typedef struct {
    const upb_FieldDef *field;
    const pang_field_rule *rule;
} schema_field;

struct pang_schema {
    pang_arena *arena;  /* owns all below but the pool */
    upb_DefPool *pool;  /* owns the definitions that all point to */
    schema_file *files; /* in the set's order */
    size_t n_files;
    pang_schema_method *methods; /* their position is their index */
    size_t n_methods;
    uint32_t *by_path;   /* open addressing: index + 1 of a method, 0: free */
    size_t by_path_size; /* a power of two, at least four times n_methods */
    schema_field *fields;
    size_t fields_size, n_fields; /* a power of two, at least twice n_fields */
};

/* schema_rule.c: reads a method's two options into *method, and a field's one. `options` is the
 * serialized rest of MethodOptions or FieldOptions that descriptor.proto does not know.
 * ERRORS: FAILED_PRECONDITION naming the method or field, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_schema_read_method(pang_arena *arena, pang_str options,
                                                  pang_schema_method *method, pang_err *err);
PANG_MUST_CHECK pang_code pang_schema_read_field(pang_arena *arena, pang_str options,
                                                 const char *name, pang_field_rule *ret,
                                                 bool *ret_found, pang_err *err);

/* schema_check.c: refuses what contradicts itself; see api/schema.h. A method is checked when its
 * options are read, its binding's fields by the field rules, which are complete by then; a message
 * before its fields, and its shape behind them; routes at the end. ERRORS: FAILED_PRECONDITION
 * naming the method or field. */
PANG_MUST_CHECK pang_code pang_schema_check_method(const pang_schema *schema,
                                                   const pang_schema_method *method, pang_err *err);
PANG_MUST_CHECK pang_code pang_schema_check_message(const upb_MessageDef *message, pang_err *err);
PANG_MUST_CHECK pang_code pang_schema_check_field(const upb_MessageDef *message,
                                                  const upb_FieldDef *field,
                                                  const pang_field_rule *rule, pang_err *err);
PANG_MUST_CHECK pang_code pang_schema_check_shape(const pang_schema *schema,
                                                  const upb_MessageDef *message, pang_err *err);
PANG_MUST_CHECK pang_code pang_schema_check_routes(const pang_schema *schema, pang_err *err);

#endif
