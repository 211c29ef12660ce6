/*
 * Addresses: what a request names, taken apart. A ref may stand behind "@" in the catalog's prefix,
 * in the last level of a namespace or in the name, or in a parameter of its own:
 *     demo@dev   sales@dev   orders@dev   orders@1764342000000   orders@<commit id>
 * Names hold no "@" (svc_names.c), so that nothing else can be meant. What several of them say must
 * be the same. Without a ref it is the branch main.
 * Called by services, and by the evaluator, which judges plain names. Threads: any. Lifetime:
 * results live in the arena and borrow what was given.
 */
#ifndef PANG_SERVER_ADDRESS_H
#define PANG_SERVER_ADDRESS_H

#include "server/refs.h"

typedef struct {
    pang_str catalog;
    pang_str ref; /* as the request spelt it; main where it named none */
    bool has_ref;
    bool in_prefix;     /* the prefix named it: answers need not */
    pang_str other_ref; /* a second one that is not the same; else empty */
    pang_levels levels; /* of the namespace; each with a NUL behind it */
    pang_str name;      /* with a NUL behind it */
    /* As the request spelt them, for answers and messages. */
    pang_levels spelt_levels;
    pang_str spelt_name;
} pang_address;

/* `name` may be empty. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_address_parse(pang_str prefix, pang_levels levels, pang_str name,
                                             pang_arena *arena, pang_address *ret, pang_err *err);
/* The same of a request's fields; `name` may be NULL. */
PANG_MUST_CHECK pang_code pang_address_of(const char *prefix, char *const *levels, size_t n_levels,
                                          const char *name, pang_arena *arena, pang_address *ret,
                                          pang_err *err);
/* The ref that a parameter of its own names; empty: none. */
void pang_address_add(pang_address *address, pang_str ref);
/* Opens the catalog at the ref. `reason` is for one that is not there. ERRORS: NOT_FOUND (reason),
 * INVALID_ARGUMENT (two refs), the store's. */
PANG_MUST_CHECK pang_code pang_address_open(pang_call *call, const pang_address *address,
                                            const char *reason, pang_view *ret, pang_err *err);

/* A further name of a request that is about one ref: without one of its own it has the first's.
 * ERRORS: INVALID_ARGUMENT (another ref). */
PANG_MUST_CHECK pang_code pang_address_agree(const pang_address *first, const pang_address *further,
                                             pang_err *err);

/* How an answer spells a child of the namespace that was asked about: with the ref where its name
 * has it and the prefix has not. NULL without memory. */
char *pang_address_child(const pang_address *address, pang_str name, pang_arena *arena);

#endif
