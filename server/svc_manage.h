/*
 * What the services of the management API share: rules for what a request's fields may hold,
 * texts of replies, and pages of lists that are ordered by name.
 * Called by server/svc_*.c. Threads: any. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_MANAGE_H
#define PANG_SERVER_SVC_MANAGE_H

#include "api/keys.h"
#include "api/service.h"

enum {
    PANG_MANAGE_NAME_MAX = 255,    /* bytes of a name */
    PANG_MANAGE_TEXT_MAX = 4096,   /* bytes of a description and the like */
    PANG_MANAGE_ENTRIES_MAX = 256, /* of a map, or of a list in a request */
};

#define PANG_NOT_FOUND_REASON "NotFoundException"
#define PANG_INVALID_REASON "UnprocessableEntityException"
#define PANG_CONFLICT_REASON "ConflictException"

/* ---- fields of requests ---- */

/* What a new name may be: not empty, bounded, without control characters. ERRORS:
 * INVALID_ARGUMENT naming the field, as do the two below. */
PANG_MUST_CHECK pang_code pang_manage_name(const char *field, const char *value, pang_err *err);
/* Text for people: may be empty and have line breaks and tabs. */
PANG_MUST_CHECK pang_code pang_manage_text(const char *field, const char *value, pang_err *err);
PANG_MUST_CHECK pang_code pang_manage_id(const char *field, const char *value, pang_id *ret,
                                         pang_err *err);
/* A time as RFC 3339 has it, of 1970 or later; digits below a millisecond are dropped. False for
 * anything else. */
bool pang_manage_parse_time(const char *text, int64_t *ret_ms);
/* "user "0190..." does not exist": foreign and absent alike. Returns NOT_FOUND. */
pang_code pang_manage_absent(const char *kind, const char *id, pang_err *err);

/* ---- texts of replies: NULL without memory (the arena is then marked) ---- */

char *pang_manage_id_text(pang_id id, pang_arena *arena);
/* RFC 3339 in UTC. */
char *pang_manage_time(int64_t ms, pang_arena *arena);
/* PANG_OK unless the arena has failed. */
PANG_MUST_CHECK pang_code pang_manage_built(const pang_arena *arena, pang_err *err);

/* ---- lists ---- */

typedef struct {
    pang_str prefix; /* of the records that are listed, in the order of their keys */
    int32_t page_size, offset;
    const char *token; /* NULL or empty: from the start */
    bool descending;   /* from the last key to the first */
} pang_manage_query;

typedef struct {
    pang_record *rows;
    size_t n;
    char *next_token; /* NULL: nothing follows */
} pang_manage_page;

/* ERRORS: INVALID_ARGUMENT (token, size, offset), the store's. */
PANG_MUST_CHECK pang_code pang_manage_list(pang_call *call, const pang_manage_query *query,
                                           pang_manage_page *ret, pang_err *err);
/* All records of a range, for what changes with them. The caller sees that none is added
 * meanwhile. ERRORS: FAILED_PRECONDITION (more than `most`), the store's. */
PANG_MUST_CHECK pang_code pang_manage_all(pang_call *call, pang_str prefix, size_t most,
                                          pang_record **ret, size_t *ret_n, pang_err *err);
/* The records of n keys, in batches; absent ones have version 0. */
PANG_MUST_CHECK pang_code pang_manage_get(pang_call *call, const pang_str *keys, size_t n,
                                          pang_record **ret, pang_err *err);

#endif
