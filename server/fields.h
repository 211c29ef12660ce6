/*
 * Fields: named values that tenants configure things with, some of them secret. Which are is told
 * by their names, since clients spell them in many ways. A secret is sealed before it is stored,
 * and shown as a mask; the mask sent back means the value that is there.
 * Called by services of warehouses and catalogs. Threads: any. Lifetime: results live in the
 * call's arena and borrow from what they were made of.
 */
#ifndef PANG_SERVER_FIELDS_H
#define PANG_SERVER_FIELDS_H

#include "api/service.h"
#include "server/records.h"

#include "pangolin/store/v1/records.pb-c.h"

enum {
    PANG_FIELDS_MAX = 128,            /* of one thing */
    PANG_FIELD_NAME_MAX = 128,        /* bytes */
    PANG_FIELD_VALUE_MAX = 16 * 1024, /* bytes: a service account's key as JSON */
};

#define PANG_FIELD_MASK "********"

typedef Pangolin__Store__V1__ConfigEntry pang_rec_field;

/* Sorted by name, each once. */
typedef struct {
    pang_rec_field **list;
    size_t n;
} pang_fields;

/* As a client gave it. */
typedef struct {
    const char *name, *value;
} pang_field_given;

/* Whether the value of a field of this name never comes out again: it has secret, password, token,
 * credential and the like in it, in any case, with any of "-", "_" and "." left out. */
bool pang_field_is_secret(pang_str name);

/* The record that fields belong to: secrets are sealed to it. */
typedef struct {
    uint32_t kind;
    pang_str key;
} pang_fields_place;

/* *ret: `base` with what was given. An empty value removes a field; the mask takes the value that
 * `known` has. `what` names the whole in messages. ERRORS: INVALID_ARGUMENT (name, value, a mask
 * for what is not known, too many), FAILED_PRECONDITION (a secret, and the server has no key to
 * seal it with), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_fields_change(pang_call *call, const pang_fields_place *place,
                                             const char *what, const pang_fields *base,
                                             const pang_fields *known,
                                             const pang_field_given *given, size_t n,
                                             pang_fields *ret, pang_err *err);
/* The value of a field that is no secret; NULL: there is none. */
const char *pang_fields_text(const pang_fields *fields, const char *name);
/* As replies show it: the value or the mask. */
const char *pang_field_shown(const pang_rec_field *field);

#endif
