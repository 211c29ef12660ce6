/*
 * Routes: from a verb and a path to a method and its path variables.
 * Called by bridge/request.c. Threads: a router is immutable once made, and shared by all loops.
 * Lifetime: matches borrow from the path and the arena they were made with.
 *
 * The path is cut at "/" first and decoded once per segment afterwards, so that "%2F" stays part of
 * a name. A literal segment wins over a variable. Prefixes that Pangolin's SDK doubles
 * (/v1/{c}/v1/..., /v1/{c}/v1/{c}/...) lead to the same methods.
 */
#ifndef PANG_BRIDGE_ROUTE_H
#define PANG_BRIDGE_ROUTE_H

#include "api/arena.h"
#include "api/schema.h"

enum {
    PANG_ROUTE_SEGMENTS_MAX = 32, /* segments of a path */
    PANG_ROUTE_VARIABLES_MAX = 8, /* variables of a template */
};

typedef struct pang_router pang_router;

/* One variable of a match. */
typedef struct {
    const struct upb_FieldDef *field;
    pang_str raw;  /* the segment as it stands: namespace levels are cut before they are decoded */
    pang_str text; /* decoded */
} pang_route_variable;

typedef struct {
    const pang_schema_method *method;
    const pang_http_binding *binding;
    pang_route_variable variables[PANG_ROUTE_VARIABLES_MAX];
    size_t n_variables;
    bool head; /* HEAD on a route that has only GET: answer without the body */
} pang_route_match;

/* Builds the matcher from all bindings of the schema, which it borrows.
 * ERRORS: RESOURCE_EXHAUSTED, FAILED_PRECONDITION (a template past the bounds above). */
PANG_MUST_CHECK pang_code pang_router_new(const pang_schema *schema, pang_router **ret,
                                          pang_err *err);
void pang_router_free(pang_router *router); /* NULL is fine */

/* Matches. `path` begins with "/" and has no query. ERRORS: INVALID_ARGUMENT with reason
 * "BadRequestException" (bad encoding; no route below /v1), NOT_FOUND (no route elsewhere),
 * UNIMPLEMENTED with reason "MethodNotAllowed" (the path exists for the verbs in *ret_allow,
 * "GET, HEAD", in arena). */
PANG_MUST_CHECK pang_code pang_router_match(const pang_router *router, pang_str verb, pang_str path,
                                            pang_arena *arena, pang_route_match *ret,
                                            pang_str *ret_allow, pang_err *err);

/* What "+" stands for: a blank in queries, and in paths too where Java's form encoder wrote them.
 */
typedef enum { PANG_PLUS_STAYS, PANG_PLUS_IS_BLANK } pang_plus;

/* Percent-decodes once. *ret is in arena, or is `raw` when nothing is encoded. `what` names the
 * text in errors. ERRORS: INVALID_ARGUMENT with reason "BadRequestException": a bad escape, a NUL,
 * no UTF-8. */
PANG_MUST_CHECK pang_code pang_percent_decode(pang_str raw, pang_plus plus, const char *what,
                                              pang_arena *arena, pang_str *ret, pang_err *err);
/* What stands between the levels of a namespace: the unit separator, where a dot is part of a name;
 * or a dot, unless there is a unit separator. An encoded dot ("%2E") is always part of a name. */
typedef enum { PANG_SEPARATOR_UNIT, PANG_SEPARATOR_OR_DOT } pang_separator;

/* Cuts a namespace at its separators, the unit separator encoded ("%1F") or not, then decodes each
 * level, "+" as a blank. *ret is an array of *ret_n levels in arena. ERRORS: as
 * pang_percent_decode. */
PANG_MUST_CHECK pang_code pang_split_levels(pang_str raw, pang_separator separator,
                                            const char *what, pang_arena *arena, pang_str **ret,
                                            size_t *ret_n, pang_err *err);

#endif
