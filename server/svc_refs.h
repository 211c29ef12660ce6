/*
 * What the services of branches and tags share: from a request's catalog to a view of it, and lists
 * of one kind of refs.
 * Called by svc_branch.c and svc_tag.c. Threads: as the transaction's. Lifetime: results live in
 * the call's arena.
 */
#ifndef PANG_SERVER_SVC_REFS_H
#define PANG_SERVER_SVC_REFS_H

#include "server/authz.h"
#include "server/refs.h"

/* Opens a catalog, on main. Its name names no ref. ERRORS: INVALID_ARGUMENT (the name is empty),
 * NOT_FOUND, the store's. */
PANG_MUST_CHECK pang_code pang_refs_open(pang_call *call, const char *catalog, pang_view *ret,
                                         pang_err *err);
/* The same, but a name that is left out stands for the catalog "default", of which the rule's
 * checks know nothing: the caller must be allowed `action` there. ERRORS: also PERMISSION_DENIED.
 */
PANG_MUST_CHECK pang_code pang_refs_open_default(pang_call *call, const char *catalog,
                                                 pang_action action, pang_view *ret, pang_err *err);
/* Turns to the ref that something shall stand on. ERRORS: as pang_view_switch; INVALID_ARGUMENT (a
 * time of before the first commit of main, which shows an empty catalog). */
PANG_MUST_CHECK pang_code pang_refs_switch_onto(pang_view *view, pang_str ref, pang_err *err);
/* There is no commit of that time in the branch. Returns its code. */
pang_code pang_refs_fail_no_commit(pang_str branch, pang_err *err);
/* Whether the caller may do it with the catalog of the view. */
bool pang_refs_may(const pang_call *call, const pang_view *view, pang_action action);

/* The branch, or else the tag, of that name. *ret: NULL when it is none of one. ERRORS: the
 * store's.
 */
PANG_MUST_CHECK pang_code pang_refs_named(pang_view *view, const char *name, bool tag,
                                          pang_rec_ref **ret, pang_err *err);

/* One of a list. */
typedef struct {
    pang_str name;
    pang_rec_ref *ref;
} pang_named_ref;

typedef struct {
    bool tags; /* instead of branches */
    int32_t page_size, offset;
    const char *token; /* NULL or empty: from the start */
} pang_refs_query;

/* Refs of one kind, by name, without those whose deadline has passed. *ret_token: NULL on the last
 * page. ERRORS: INVALID_ARGUMENT (token, size, offset), the store's. */
PANG_MUST_CHECK pang_code pang_refs_list(pang_call *call, pang_view *view,
                                         const pang_refs_query *query, pang_named_ref **ret,
                                         size_t *ret_n, char **ret_token, pang_err *err);

#endif
