/*
 * Authorisation: what a rule's checks say about one request. A plan is compiled from the rule at
 * start; with a bound message it yields the accesses that the call needs, and the evaluator says
 * of each whether the principal may.
 * Called by server/dispatch.c only: handlers hold no permission code. Threads: plans are const.
 * Lifetime: a plan lives in the arena it was compiled in; accesses in the call's.
 */
#ifndef PANG_SERVER_AUTHZ_H
#define PANG_SERVER_AUTHZ_H

#include "api/service.h"

enum { PANG_EACH_MAX = 10000 }; /* elements of a repeated field that a rule checks one by one */

/* One part of an object's name: a namespace has its levels, all else one text. */
typedef struct {
    const pang_str *levels;
    size_t n;
} pang_object_part;

/* What a call needs: an action on an object, named outermost part first. */
typedef struct {
    uint32_t action, resource; /* Action, Resource of rule.proto */
    const pang_object_part *object;
    size_t n_object;
    pang_str any_of; /* accesses that share it are alternatives; empty: needed */
} pang_access;

typedef enum {
    PANG_DENIED, /* the caller may know that the object is there: 403 */
    PANG_HIDDEN, /* it may not: the answer is that of an absent object */
    PANG_ALLOWED,
} pang_verdict;

/* The evaluator's seam. Anything but PANG_OK refuses the call with that code; it never allows. */
typedef pang_code pang_evaluate_fn(void *arg, pang_call *call, const pang_access *access,
                                   pang_verdict *ret, pang_err *err);

typedef struct pang_authz_plan pang_authz_plan;

/* ERRORS: FAILED_PRECONDITION naming method and field (a path that is no field of the message, or
 * not of a type that can name an object), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_authz_compile(const pang_schema_method *rule,
                                             const struct ProtobufCMessageDescriptor *in,
                                             pang_arena *arena, const pang_authz_plan **ret,
                                             pang_err *err);

/* The accesses that this message needs, in the order of the rule. ERRORS: INVALID_ARGUMENT (more
 * elements than PANG_EACH_MAX), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_authz_resolve(const pang_authz_plan *plan, const void *message,
                                             pang_arena *arena, const pang_access **ret,
                                             size_t *ret_n, pang_err *err);

/* Evaluates them all. ERRORS: PERMISSION_DENIED (reason "ForbiddenException"), NOT_FOUND (hidden),
 * what the evaluator failed with. */
PANG_MUST_CHECK pang_code pang_authz_check(pang_evaluate_fn *evaluate, void *arg, pang_call *call,
                                           const pang_access *accesses, size_t n, pang_err *err);

#endif
