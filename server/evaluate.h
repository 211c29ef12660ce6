/*
 * The evaluator: whether the caller of a call still stands, and whether it may do what the rule's
 * checks ask. Names are resolved in the call's own transaction, so that what the handler reads
 * afterwards is what was judged.
 * Called by server/dispatch.c through the seam of server/authz.h, `arg` is a pang_auth_cache; lists
 * ask pang_evaluate_filter. Threads: any. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_EVALUATE_H
#define PANG_SERVER_EVALUATE_H

#include "server/auth_cache.h"
#include "server/authz.h"

enum { PANG_PREFETCH_MAX = 16 }; /* objects that are read in the epoch's round trip, at most */

/* A pang_stand_fn. Sets call->permit, for the time of this attempt. What the accesses name is read
 * along with the epoch: for a caller whose permit is cached, what the cache of records has answered
 * is validated by that one get. A commit of the call fails when the epoch moves before it.
 * ERRORS: UNAUTHENTICATED (the account is gone or not active, the token or key has ended, the rank
 * that the credential speaks of is no more), the store's. */
pang_stand_fn pang_evaluate_stand;

/* A pang_evaluate_fn. REQUIRES: pang_evaluate_stand went before. */
pang_evaluate_fn pang_evaluate;

/* Whether the call's caller may do it with something of its tenant that no rule names (whose
 * `tenant` need not be set): what was dropped, what would be. So it may in evaluation mode. */
bool pang_evaluate_may(const pang_call *call, pang_action action, const pang_grant_object *object);
/* Whether the call's caller may list a namespace, or the catalog (path empty); so it may in
 * evaluation mode. For what no check of a rule names, since it may be left out. */
bool pang_evaluate_lists(const pang_call *call, pang_id catalog, pang_str path);
/* Assets that a handler comes upon, and that no check of a rule can name: what stands under no
 * name, or is found in the past. They are judged with their tags, as what rules name is. */
/* Whether the call's caller may list it. ERRORS: the store's, DATA_LOSS. */
PANG_MUST_CHECK pang_code pang_evaluate_shows(pang_call *call, const pang_grant_object *asset,
                                              bool *ret, pang_err *err);
/* OK when it may read it; `what` and `shown` are what the answer calls it ("dropped table", "a.t").
 * ERRORS: NOT_FOUND NoSuchTableException (not even listable: as if it were not there),
 * PERMISSION_DENIED, the store's, DATA_LOSS. */
PANG_MUST_CHECK pang_code pang_evaluate_reads(pang_call *call, const pang_grant_object *asset,
                                              const char *what, const char *shown, pang_err *err);
/* What a list of the call may show within a namespace, a catalog (path empty) or the tenant
 * (catalog nil): `all` in evaluation mode. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_evaluate_filter(pang_call *call, pang_id catalog, pang_str path,
                                               pang_filter *ret, pang_err *err);
/* The tags of the asset `ret->asset`, whatever branch it is on, as grants on tags see them; C
 * strings in the call's arena. ERRORS: the store's, DATA_LOSS. */
PANG_MUST_CHECK pang_code pang_evaluate_tags(pang_call *call, pang_grant_object *ret,
                                             pang_err *err);

#endif
