/*
 * Remember: credentials that were verified, so that the next call with the same one need not. Found
 * by a digest; bounded; holds no credential. Only what was good is kept, so nobody can drive others
 * out with bogus ones. That an account still stands is not remembered: the evaluator finds it out.
 * Called by authn.c. Threads: any. Lifetime: what is found is copied into the arena.
 */
#ifndef PANG_SERVER_REMEMBER_H
#define PANG_SERVER_REMEMBER_H

#include "api/service.h"
#include "server/hash.h"

enum {
    PANG_REMEMBER_NAME_MAX = 256, /* bytes of a principal's name; longer ones are not kept */
    PANG_REMEMBER_ENTRIES = 16384,
};

typedef struct pang_remember pang_remember;

/* About `entries` of them; 0: PANG_REMEMBER_ENTRIES. NULL without memory. */
pang_remember *pang_remember_new(size_t entries);
/* NULL is fine. */
void pang_remember_free(pang_remember *remember);

/* False when it is not known, was kept under another generation, or its time is over. */
bool pang_remember_find(pang_remember *remember, const uint8_t digest[PANG_HASH_BYTES],
                        uint64_t generation, int64_t now_ms, pang_arena *arena,
                        pang_principal *ret);
/* Until the wall clock shows `until_ms`. The one of its set that was used longest ago goes. */
void pang_remember_keep(pang_remember *remember, const uint8_t digest[PANG_HASH_BYTES],
                        uint64_t generation, int64_t until_ms, const pang_principal *who);

#endif
