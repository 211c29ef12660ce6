/*
 * Errors: a code for programs, a reason for Iceberg clients, a message for people, a detail for
 * the log. One enum from the database to the HTTP status: the numbers are gRPC's.
 * Called by everything. Threads: a pang_err belongs to its caller. Lifetime: by value, no heap.
 *
 * A function that can fail returns pang_code, is PANG_MUST_CHECK and takes `pang_err *err` last.
 * Results (`ret_`) are written on success only. A caller handles the codes named under ERRORS: or
 * forwards the code unchanged; it never rewrites the message beneath (pang_err_detail may add).
 */
#ifndef PANG_API_ERR_H
#define PANG_API_ERR_H

#include <stdarg.h>

#include "api/str.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PANG_MUST_CHECK __attribute__((warn_unused_result))
#define PANG_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html, same numbers. */
typedef enum {
    PANG_OK = 0,
    PANG_CANCELLED = 1,
    PANG_UNKNOWN = 2, /* a commit whose outcome could not be learnt: commit-state-unknown */
    PANG_INVALID_ARGUMENT = 3,
    PANG_DEADLINE_EXCEEDED = 4,
    PANG_NOT_FOUND = 5,
    PANG_ALREADY_EXISTS = 6,
    PANG_PERMISSION_DENIED = 7,
    PANG_RESOURCE_EXHAUSTED = 8, /* out of memory, of disk, of a limit */
    PANG_FAILED_PRECONDITION = 9,
    PANG_ABORTED = 10, /* lost a race; nothing was written */
    PANG_OUT_OF_RANGE = 11,
    PANG_UNIMPLEMENTED = 12,
    PANG_INTERNAL = 13,
    PANG_UNAVAILABLE = 14, /* may work later; nothing was written */
    PANG_DATA_LOSS = 15,
    PANG_UNAUTHENTICATED = 16,
} pang_code;

#define PANG_ERR_MESSAGE_MAX 512
#define PANG_ERR_DETAIL_MAX 256

typedef struct {
    pang_code code;                     /* branch on this */
    const char *reason;                 /* "NoSuchTableException"; static storage, or NULL */
    char message[PANG_ERR_MESSAGE_MAX]; /* for people; UTF-8, cut at a character when too long */
    char detail[PANG_ERR_DETAIL_MAX];   /* for the log; never leaves the process */
} pang_err;

/* Fills *err (which may be NULL) and returns `code`, so that a failure is one statement:
 *     return pang_fail(err, PANG_NOT_FOUND, "NoSuchTableException", "table \"%s\" ...", name);
 * Wording: lower case, no full stop, kind and "name" of the object, the reason. Messages that
 * Iceberg suites compare are the exception. REQUIRES: code is not PANG_OK; reason is static. */
pang_code pang_fail(pang_err *err, pang_code code, const char *reason, const char *fmt, ...)
    PANG_PRINTF(4, 5);
pang_code pang_fail_args(pang_err *err, pang_code code, const char *reason, const char *fmt,
                         va_list args) PANG_PRINTF(4, 0);
/* RESOURCE_EXHAUSTED, "out of memory". */
pang_code pang_fail_memory(pang_err *err);
/* Adds to err->detail; err may be NULL. */
void pang_err_detail(pang_err *err, const char *fmt, ...) PANG_PRINTF(2, 3);
/* "NOT_FOUND"; never NULL. */
const char *pang_code_name(pang_code code);

#ifdef __cplusplus
}
#endif
#endif
