/*
 * Scopes and actions of grants, between what requests spell and what records hold. A scope is
 * looked up when it is granted: what it names must be there.
 * Called by the services of grants and roles. Threads: as the transaction's. Lifetime: results
 * live in the call's arena.
 */
#ifndef PANG_SERVER_SCOPES_H
#define PANG_SERVER_SCOPES_H

#include "server/content.h"
#include "server/identity.h"

#include "pangolin/v1/permission.pb-c.h"

typedef Pangolin__V1__PermissionScope pang_scope_text;

/* What the text names now: catalogs by UUID or name, namespaces by levels (joined by dots, or by
 * the unit separator where names hold dots), assets by UUID on the branch main, tags by what has
 * them. ERRORS: INVALID_ARGUMENT naming the field, NOT_FOUND naming what is not there. */
PANG_MUST_CHECK pang_code pang_scope_resolve(pang_call *call, const pang_scope_text *text,
                                             pang_rec_scope **ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_scope_show(pang_call *call, const pang_rec_scope *scope,
                                          pang_scope_text **ret, pang_err *err);
bool pang_scope_same(const pang_rec_scope *a, const pang_rec_scope *b);
/* Whether a request repeats what a reply showed. */
bool pang_scope_text_same(const pang_scope_text *a, const pang_scope_text *b);

/* A catalog by its UUID or name. ERRORS: NOT_FOUND. */
PANG_MUST_CHECK pang_code pang_scope_catalog(pang_call *call, const char *text, pang_view *ret,
                                             pang_err *err);
/* "a.b", or with the unit separator between levels. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_scope_levels(const char *text, pang_arena *arena, pang_levels *ret,
                                            pang_err *err);

/* A set of 1 << Action. ERRORS: INVALID_ARGUMENT (none, or one there is not). */
PANG_MUST_CHECK pang_code pang_actions_read(char *const *names, size_t n, uint32_t *ret,
                                            pang_err *err);
PANG_MUST_CHECK pang_code pang_actions_show(uint32_t actions, pang_arena *arena, char ***ret,
                                            size_t *ret_n, pang_err *err);

#endif
