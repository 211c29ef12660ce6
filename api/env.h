/*
 * Environment: the clock and the randomness a piece of code is given, so that a test or a
 * simulation owns them. Called by all that needs time or chance; nothing else asks the system.
 * Threads: any, if the two functions are. Lifetime: const after start.
 */
#ifndef PANG_API_ENV_H
#define PANG_API_ENV_H

#include "api/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pang_env {
    /* Milliseconds since 1970-01-01T00:00:00Z. May step backwards. */
    int64_t (*wall_ms)(void *arg);
    /* Milliseconds from an arbitrary point; never steps back. For deadlines. */
    int64_t (*mono_ms)(void *arg);
    /* Fills size bytes at `to` with unpredictable bytes; cannot fail (it aborts the process when
     * the system has none, since every id and key would be at stake). */
    void (*random)(void *arg, void *to, size_t size);
    void *arg;
} pang_env;

/* The system's: CLOCK_REALTIME, CLOCK_MONOTONIC, getrandom(2). */
extern const pang_env pang_env_system;

int64_t pang_env_wall_ms(const pang_env *env);
int64_t pang_env_mono_ms(const pang_env *env);
void pang_env_random(const pang_env *env, void *to, size_t size);

/* A deadline that never comes, on the mono clock. */
#define PANG_NO_DEADLINE INT64_MAX

/* For tests: time moves only by hand, the bytes follow from the seed (splitmix64).
 * One thread at a time. */
typedef struct {
    int64_t wall_ms, mono_ms;
    uint64_t seed;
} pang_env_fixed;
/* An environment over *state; borrows it. */
pang_env pang_env_from_fixed(pang_env_fixed *state);

#ifdef __cplusplus
}
#endif
#endif
