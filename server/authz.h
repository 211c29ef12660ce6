/*
 * Authorisation: what a rule's checks say about one request. A plan is compiled from the rule at
 * start; with a bound message it yields the accesses that the call needs, and the evaluator says
 * of each whether the principal may.
 * Called by server/dispatch.c only: handlers hold no permission code, and ask server/evaluate.h of
 * what no rule can name. Threads: plans are const. Lifetime: a plan lives in the arena it was
 * compiled in; accesses in the call's.
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
    uint32_t action, resource; /* pang_action, pang_resource */
    const pang_object_part *object;
    size_t n_object;
    pang_str ref;     /* the object's ref, where its name says none; empty: main */
    pang_str any_of;  /* accesses that share it are alternatives; empty: needed */
    uint32_t callers; /* the set of who passes: 1 << pang_caller; 0: the evaluator decides */
    pang_id self;     /* with PANG_CALLER_SELF: whom the request is about; nil: nobody */
} pang_access;

typedef enum {
    PANG_DENIED, /* the caller may know that the object is there: 403 */
    PANG_HIDDEN, /* it may not: the answer is that of an absent object */
    PANG_ALLOWED,
} pang_verdict;

/* The evaluator's seam. Anything but PANG_OK refuses the call with that code; it never allows. */
typedef pang_code pang_evaluate_fn(void *arg, pang_call *call, const pang_access *access,
                                   pang_verdict *ret, pang_err *err);

/* Whether the caller still stands: goes before all checks of a run. The accesses are what will be
 * evaluated. Anything but PANG_OK refuses the call with that code. */
typedef pang_code pang_stand_fn(void *arg, pang_call *call, const pang_access *accesses, size_t n,
                                pang_err *err);

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

/* The text of the request field that names the tenant (TENANT_SOURCE_FIELD); empty when the rule
 * has none or the field is empty. Borrows from the message. */
pang_str pang_authz_tenant_field(const pang_authz_plan *plan, const void *message);

/* In which tenant a call of `who` runs, by the rule's source and that field. *ret_who is `who`, or
 * root with the tenant that the field names, in the arena: it may do what rules let root do there,
 * but does not act in that tenant, which only X-Pangolin-Tenant says; so may who is everybody.
 * ERRORS: NOT_FOUND (another tenant than the caller's: as if it did not exist), INVALID_ARGUMENT
 * (no UUID; root names two tenants at once), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_authz_enter(const pang_schema_method *rule, pang_str field,
                                           const pang_principal *who, pang_arena *arena,
                                           const pang_principal **ret_who, pang_err *err);

/* Whether `who`, in its tenant, is one of those that the access lets pass. */
bool pang_authz_is_caller(const pang_principal *who, const pang_access *access);

/* Checks them all: by callers where the rule names some, else by the evaluator. ERRORS:
 * PERMISSION_DENIED (reason "ForbiddenException"), NOT_FOUND (hidden), what the evaluator failed
 * with. */
PANG_MUST_CHECK pang_code pang_authz_check(pang_evaluate_fn *evaluate, void *arg, pang_call *call,
                                           const pang_access *accesses, size_t n, pang_err *err);

#endif
