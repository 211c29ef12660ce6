/*
 * Throttle: how often somebody may fail to sign in. Failures are counted per subject (an address,
 * an account) in windows of fixed length, in the store, so that all servers count together; a
 * subject that has used up its window is refused from memory, before anything is looked up or
 * hashed.
 * Called by authentication and by the services that sign in. Threads: any.
 *
 * What an attacker can make the store write: PANG_THROTTLE_WRITES a second and server at most.
 * Beyond that this server counts alone.
 */
#ifndef PANG_SERVER_THROTTLE_H
#define PANG_SERVER_THROTTLE_H

#include "api/txn.h"

enum {
    PANG_THROTTLE_WINDOW_MS = 60 * 1000, /* by default */
    PANG_THROTTLE_ENTRIES = 16384,       /* subjects remembered by one server */
    PANG_THROTTLE_WRITES = 50,
    PANG_THROTTLE_SUBJECTS = 4, /* asked about at once */
};

typedef struct pang_throttle pang_throttle;

typedef struct {
    const pang_env *env;
    pang_db *db;
    unsigned limit;    /* 0: nobody is ever refused, nothing is counted */
    int64_t window_ms; /* 0: PANG_THROTTLE_WINDOW_MS */
} pang_throttle_config;

typedef struct {
    const char *kind; /* "address", "account" */
    pang_str name;    /* an address as the bridge says it; of an account anything that is its own */
    unsigned times;   /* it may fail so many times as often as others; 0: once */
} pang_throttle_subject;

/* Stands for an address, or for its IPv6 /64. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_throttle_network(pang_str address, pang_id *ret, pang_err *err);

/* ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_throttle_open(const pang_throttle_config *config,
                                             pang_throttle **ret, pang_err *err);
void pang_throttle_close(pang_throttle *throttle); /* NULL is fine */

/* Whether all these may try. With `look` the store is asked too (one round trip), for failures at
 * other servers. Addresses of one IPv6 /64 are one subject, in every kind but "account". When the
 * store does not answer, what this server knows decides. A NULL throttle refuses nobody.
 * ERRORS: RESOURCE_EXHAUSTED (reason "TooManyRequests"; *ret_wait_s: for how long, else 0). */
PANG_MUST_CHECK pang_code pang_throttle_check(pang_throttle *throttle,
                                              const pang_throttle_subject *subjects, size_t n,
                                              bool look, pang_arena *arena, unsigned *ret_wait_s,
                                              pang_err *err);
/* They have failed once more. Waits for the store; that it could not be told is no error. */
void pang_throttle_failed(pang_throttle *throttle, const pang_throttle_subject *subjects, size_t n,
                          pang_arena *arena);
/* The same, known to this server alone: where no other one shares the store. Does not wait. */
void pang_throttle_count(pang_throttle *throttle, const pang_throttle_subject *subjects, size_t n,
                         pang_arena *arena);
/* This one is trusted again: what was counted is forgotten. */
void pang_throttle_forgive(pang_throttle *throttle, const pang_throttle_subject *subject,
                           pang_arena *arena);

#endif
