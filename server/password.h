/*
 * Passwords: argon2id, at a cost that a guesser feels. One hash takes tens of MiB and a good part
 * of a second, so at most two run at once in the process; others wait in a bounded line until
 * their deadline. An account that does not exist costs as much as a wrong password.
 * Called by services that log in or set passwords, from threads that may wait. Threads: any.
 * Lifetime: a pang_passwords outlives its calls.
 */
#ifndef PANG_SERVER_PASSWORD_H
#define PANG_SERVER_PASSWORD_H

#include "api/arena.h"
#include "api/env.h"

enum {
    PANG_PASSWORD_MIN = 8,    /* bytes */
    PANG_PASSWORD_MAX = 1024, /* bytes; more is refused before anything is hashed */
    PANG_PASSWORDS_AT_ONCE = 2,
    PANG_PASSWORDS_WAITING = 16, /* more are refused at once */
};

typedef struct pang_passwords pang_passwords;

typedef struct {
    uint32_t memory_kib, passes, lanes;
} pang_password_cost;

/* What ships: 64 MiB, 3 passes, 1 lane. */
extern const pang_password_cost pang_password_cost_default;

/* `cost` NULL: the default. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_passwords_open(const pang_env *env, const pang_password_cost *cost,
                                              pang_passwords **ret, pang_err *err);
/* REQUIRES: no call in flight. NULL is fine. */
void pang_passwords_close(pang_passwords *passwords);

/* Whether it may become a password. ERRORS: INVALID_ARGUMENT with what is missing: its length,
 * that it is no placeholder of manuals, that it is not `username` (may be empty). */
PANG_MUST_CHECK pang_code pang_password_check(pang_str password, pang_str username, pang_err *err);

/* A new hash with a salt of its own, as text ("$argon2id$v=19$m=..."), in arena. `deadline_ms` on
 * the mono clock. ERRORS: INVALID_ARGUMENT (length), RESOURCE_EXHAUSTED (reason
 * "TooManyRequests": too many wait, or the deadline came first; or memory). */
PANG_MUST_CHECK pang_code pang_password_hash(pang_passwords *passwords, pang_str password,
                                             int64_t deadline_ms, pang_arena *arena, pang_str *ret,
                                             pang_err *err);

/* Whether `password` is the one that was hashed. With an empty `hash` (no such account, or one
 * that has no password) the same work is done for nothing and the answer is no.
 * *ret_weaker: right, but hashed at less than today's cost: hash it again and store it.
 * ERRORS: UNAUTHENTICATED (no), DATA_LOSS (no hash of ours, or one of an absurd cost),
 * RESOURCE_EXHAUSTED as above. */
PANG_MUST_CHECK pang_code pang_password_verify(pang_passwords *passwords, pang_str password,
                                               pang_str hash, int64_t deadline_ms, bool *ret_weaker,
                                               pang_err *err);

#endif
