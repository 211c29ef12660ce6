/*
 * The system's clock and randomness, and the fixed pair for tests.
 */
#include "api/env.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0)
        abort();
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void *arg)
{
    (void)arg;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t system_mono_ms(void *arg)
{
    (void)arg;
    return clock_ms(CLOCK_MONOTONIC);
}

static void system_random(void *arg, void *to, size_t size)
{
    (void)arg;
    char *at = to;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got <= 0)
            abort();
        at += got;
        size -= (size_t)got;
    }
}

int64_t pang_env_wall_ms(const pang_env *env)
{
    return env->wall_ms(env->arg);
}

int64_t pang_env_mono_ms(const pang_env *env)
{
    return env->mono_ms(env->arg);
}

void pang_env_random(const pang_env *env, void *to, size_t size)
{
    env->random(env->arg, to, size);
}

static int64_t fixed_wall_ms(void *arg)
{
    return ((pang_env_fixed *)arg)->wall_ms;
}

static int64_t fixed_mono_ms(void *arg)
{
    return ((pang_env_fixed *)arg)->mono_ms;
}

static void fixed_random(void *arg, void *to, size_t size)
{
    pang_env_fixed *state = arg;
    unsigned char *at = to;
    for (size_t i = 0; i < size; i++) {
        uint64_t z = (state->seed += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        at[i] = (unsigned char)(z ^ (z >> 31));
    }
}

pang_env pang_env_from_fixed(pang_env_fixed *state)
{
    return (pang_env){fixed_wall_ms, fixed_mono_ms, fixed_random, state};
}

const pang_env pang_env_system = {
    .wall_ms = system_wall_ms,
    .mono_ms = system_mono_ms,
    .random = system_random,
    .arg = NULL,
};
