/*
 * Names and messages that the Iceberg services share. The messages are those that suites of other
 * programs compare literally; identifiers print as levels and name joined by dots.
 * Called by server/svc_*.c. Threads: any. Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_SVC_NAMES_H
#define PANG_SERVER_SVC_NAMES_H

#include "server/content.h"

enum {
    PANG_NAME_BYTES_MAX = 1024, /* of one level or name */
    PANG_NAMESPACE_LEVELS_MAX = 64,
    PANG_PROPERTIES_MAX = 2000,      /* of one namespace */
    PANG_PROPERTY_BYTES_MAX = 65536, /* of one name or value */
};

#define PANG_NO_NAMESPACE "NoSuchNamespaceException"
#define PANG_NO_TABLE "NoSuchTableException"
#define PANG_NO_VIEW "NoSuchViewException"
#define PANG_EXISTS "AlreadyExistsException"
#define PANG_BAD_REQUEST "BadRequestException"
#define PANG_COMMIT_FAILED "CommitFailedException"

typedef Pangolin__Store__V1__Kind pang_rec_kind;

/* A repeated string field as levels; borrows the strings. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_levels_of(char *const *strings, size_t n, pang_arena *arena,
                                         pang_levels *ret, pang_err *err);
/* Rules for names that are given to something new: not empty, no control characters, no "@",
 * bounded. `what` is "namespace", "table" or "view". ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_name_check(const char *what, pang_str name, pang_err *err);
PANG_MUST_CHECK pang_code pang_levels_check(pang_levels levels, pang_err *err);

/* "a.b" or "a.b.t"; "" without memory. */
const char *pang_dotted(pang_levels levels, pang_str name, pang_arena *arena);

/* "Namespace does not exist: a.b" and its kin; each fills *err and returns its code. Callers give
 * levels and name as the request spelt them, with its ref. */
pang_code pang_fail_no_namespace(pang_levels levels, pang_arena *arena, pang_err *err);
pang_code pang_fail_no_table(pang_levels levels, pang_str name, pang_arena *arena, pang_err *err);
pang_code pang_fail_no_view(pang_levels levels, pang_str name, pang_arena *arena, pang_err *err);
/* "Table", "View", "Asset": as messages begin. */
const char *pang_kind_title(pang_rec_kind kind);
/* What stands in the way of a new asset of the kind that is wanted. */
pang_code pang_fail_exists(pang_rec_kind wanted, const pang_rec_content *body, pang_levels levels,
                           pang_str name, pang_arena *arena, pang_err *err);

/* Whether a name stands for something of that kind; dropped is nothing. */
bool pang_is_namespace(const pang_content *content);
bool pang_is_table(const pang_content *content);

#endif
