/*
 * Passwords over libargon2. The gate is a count and a condition: whoever finds two inside waits for
 * one to leave. Waiting is bounded in number and in time, since each waiter is a parked thread and
 * its caller a client that hangs.
 */
#include "server/password.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <argon2.h>

#include "server/crypto.h"
#include "server/secrets.h"

enum {
    SALT_BYTES = 16,
    TAG_BYTES = 32,
    TEXT_MAX = 256,               /* bytes of a stored hash */
    MEMORY_MAX_KIB = 1024 * 1024, /* of a stored hash: more was never written by us */
    PASSES_MAX = 64,
    LANES_MAX = 8,
    WAIT_MAX_MS = 10 * 60 * 1000, /* whatever the deadline says */
};

const pang_password_cost pang_password_cost_default = {64 * 1024, 3, 1};

struct pang_passwords {
    const pang_env *env;     /* const */
    pang_password_cost cost; /* const */
    pthread_mutex_t lock;    /* guards the two counts */
    pthread_cond_t left;
    unsigned running, waiting;
};

/* ---- opening ---- */

static bool open_gate(pang_passwords *p)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&p->lock, NULL) != 0)
        return false;
    bool good = pthread_condattr_init(&attributes) == 0;
    if (good) {
        good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&p->left, &attributes) == 0;
        (void)pthread_condattr_destroy(&attributes);
    }
    if (!good)
        (void)pthread_mutex_destroy(&p->lock);
    return good;
}

pang_code pang_passwords_open(const pang_env *env, const pang_password_cost *cost,
                              pang_passwords **ret, pang_err *err)
{
    pang_passwords *p = calloc(1, sizeof *p);
    if (p == NULL)
        return pang_fail_memory(err);
    p->env = env;
    p->cost = cost != NULL ? *cost : pang_password_cost_default;
    if (!open_gate(p)) {
        free(p);
        return pang_fail_memory(err);
    }
    *ret = p;
    return PANG_OK;
}

void pang_passwords_close(pang_passwords *p)
{
    if (p == NULL)
        return;
    (void)pthread_cond_destroy(&p->left);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- the gate ---- */

/* When the deadline is on the system's own mono clock: a condition knows no other. */
static struct timespec real_deadline(const pang_passwords *p, int64_t deadline_ms)
{
    int64_t left = deadline_ms - pang_env_mono_ms(p->env);
    if (deadline_ms == PANG_NO_DEADLINE || left > WAIT_MAX_MS)
        left = WAIT_MAX_MS;
    int64_t at = pang_env_mono_ms(&pang_env_system) + (left > 0 ? left : 0);
    return (struct timespec){.tv_sec = at / 1000, .tv_nsec = (long)(at % 1000) * 1000000};
}

static pang_code refuse(pang_err *err)
{
    return pang_fail(err, PANG_RESOURCE_EXHAUSTED, "TooManyRequests",
                     "too many passwords are being checked; try again");
}

static pang_code enter(pang_passwords *p, int64_t deadline_ms, pang_err *err)
{
    struct timespec until = real_deadline(p, deadline_ms);
    pang_code code = PANG_OK;
    (void)pthread_mutex_lock(&p->lock);
    if (p->running >= PANG_PASSWORDS_AT_ONCE && p->waiting >= PANG_PASSWORDS_WAITING)
        code = refuse(err);
    p->waiting++;
    while (code == PANG_OK && p->running >= PANG_PASSWORDS_AT_ONCE) {
        if (pthread_cond_timedwait(&p->left, &p->lock, &until) == ETIMEDOUT &&
            p->running >= PANG_PASSWORDS_AT_ONCE)
            code = refuse(err);
    }
    p->waiting--;
    if (code == PANG_OK)
        p->running++;
    (void)pthread_mutex_unlock(&p->lock);
    return code;
}

static void leave(pang_passwords *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->running--;
    (void)pthread_cond_signal(&p->left);
    (void)pthread_mutex_unlock(&p->lock);
}

/* ---- hashing ---- */

static pang_code failed(int problem, pang_err *err)
{
    if (problem == ARGON2_MEMORY_ALLOCATION_ERROR || problem == ARGON2_THREAD_FAIL)
        return pang_fail_memory(err);
    return pang_fail(err, PANG_INTERNAL, NULL, "could not hash a password: %s",
                     argon2_error_message(problem));
}

static pang_code check_length(pang_str password, pang_err *err)
{
    if (password.len > PANG_PASSWORD_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "password is longer than %d bytes", PANG_PASSWORD_MAX);
    return PANG_OK;
}

pang_code pang_password_check(pang_str password, pang_str username, pang_err *err)
{
    if (password.len < PANG_PASSWORD_MIN)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "password must have at least %d bytes", PANG_PASSWORD_MIN);
    if (pang_secret_is_placeholder(password))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "password is one that everybody tries first; choose another");
    if (pang_str_equal_nocase(password, username))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "password must not be the username");
    return check_length(password, err);
}

pang_code pang_password_hash(pang_passwords *p, pang_str password, int64_t deadline_ms,
                             pang_arena *arena, pang_str *ret, pang_err *err)
{
    uint8_t salt[SALT_BYTES];
    char *text = pang_arena_alloc_text(arena, TEXT_MAX);
    pang_code code = text == NULL ? pang_fail_memory(err) : check_length(password, err);
    if (code == PANG_OK)
        code = enter(p, deadline_ms, err);
    if (code != PANG_OK)
        return code;
    pang_env_random(p->env, salt, sizeof salt);
    int problem = argon2id_hash_encoded(p->cost.passes, p->cost.memory_kib, p->cost.lanes,
                                        password.ptr, password.len, salt, sizeof salt, TAG_BYTES,
                                        text, TEXT_MAX);
    leave(p);
    if (problem != ARGON2_OK)
        return failed(problem, err);
    *ret = pang_str_from(text);
    return PANG_OK;
}

/* ---- verifying ---- */

/* "m=65536" and the like, cut off *rest up to `end`; false when it is no number up to `max`. */
static bool read_number(pang_str *rest, pang_str name, char end, uint32_t max, uint32_t *ret)
{
    uint64_t value = 0;
    pang_str part = {0};
    if (!pang_str_next(rest, end, &part) || !pang_str_starts(part, name) ||
        !pang_str_to_uint64(pang_str_after(part, name.len), &value) || value > max)
        return false;
    *ret = (uint32_t)value;
    return true;
}

/* The cost that a stored hash names; false when it is none of ours. */
static bool read_cost(pang_str hash, pang_password_cost *ret)
{
    const pang_str begin = PANG_STR("$argon2id$v=19$");
    pang_str rest = pang_str_after(hash, begin.len);
    return pang_str_starts(hash, begin) &&
           read_number(&rest, PANG_STR("m="), ',', MEMORY_MAX_KIB, &ret->memory_kib) &&
           read_number(&rest, PANG_STR("t="), ',', PASSES_MAX, &ret->passes) &&
           read_number(&rest, PANG_STR("p="), '$', LANES_MAX, &ret->lanes);
}

static bool is_less(const pang_password_cost *a, const pang_password_cost *b)
{
    return a->memory_kib < b->memory_kib || a->passes < b->passes || a->lanes < b->lanes;
}

/* The work of a verification, whose result is thrown away. */
static int verify_nobody(const pang_passwords *p, pang_str password)
{
    uint8_t salt[SALT_BYTES] = {0}, tag[TAG_BYTES];
    int problem = argon2id_hash_raw(p->cost.passes, p->cost.memory_kib, p->cost.lanes, password.ptr,
                                    password.len, salt, sizeof salt, tag, sizeof tag);
    pang_wipe(tag, sizeof tag);
    return problem == ARGON2_OK ? ARGON2_VERIFY_MISMATCH : problem;
}

pang_code pang_password_verify(pang_passwords *p, pang_str password, pang_str hash,
                               int64_t deadline_ms, bool *ret_weaker, pang_err *err)
{
    char text[TEXT_MAX] = "";
    pang_password_cost cost = p->cost;
    pang_code code = check_length(password, err);
    if (code != PANG_OK)
        return code;
    if (hash.len >= sizeof text)
        hash.len = sizeof text - 1; /* then it is none of ours */
    if (hash.len > 0)
        memcpy(text, hash.ptr, hash.len);
    if (hash.len > 0 && !read_cost(hash, &cost))
        return pang_fail(err, PANG_DATA_LOSS, NULL, "a stored password hash is damaged");
    code = enter(p, deadline_ms, err);
    if (code != PANG_OK)
        return code;
    int problem = hash.len == 0 ? verify_nobody(p, password)
                                : argon2id_verify(text, password.ptr, password.len);
    leave(p);
    if (problem == ARGON2_VERIFY_MISMATCH)
        return pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                         "wrong username or password");
    if (problem == ARGON2_MEMORY_ALLOCATION_ERROR || problem == ARGON2_THREAD_FAIL)
        return pang_fail_memory(err);
    if (problem != ARGON2_OK)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "a stored password hash is damaged");
    *ret_weaker = is_less(&cost, &p->cost);
    return PANG_OK;
}
