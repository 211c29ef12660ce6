/*
 * Throttle. What this server knows is a table of sets of four: a subject's place is fixed by its
 * digest, and of four that meet the one of the oldest window gives way. What all servers know is
 * a record per subject and window, which expires with it.
 */
#include "server/throttle.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/keys.h"
#include "pangolin/store/v1/limits.pb-c.h"
#include "server/hash.h"
#include "server/records.h"

enum {
    SET = 4, /* entries that share a place */
    SETS = PANG_THROTTLE_ENTRIES / SET,
    STORE_MS = 2000, /* how long a failure may wait for being told to the store */
};

typedef struct {
    pang_id subject;
    uint64_t window;
    unsigned count;
} entry;

struct pang_throttle {
    pang_throttle_config config;
    pthread_mutex_t lock; /* guards all below */
    entry sets[SETS][SET];
    int64_t second; /* of the writes counted in `writes` */
    unsigned writes;
};

/* A moment as all subjects of one question see it. */
typedef struct {
    pang_throttle *throttle;
    pang_id subjects[PANG_THROTTLE_SUBJECTS];
    unsigned times[PANG_THROTTLE_SUBJECTS];
    size_t n;
    uint64_t window;
    int64_t ends_ms; /* wall clock */
    pang_arena *arena;
    pang_keys keys;
    unsigned counts[PANG_THROTTLE_SUBJECTS]; /* as the store has them after a round trip */
} question;

pang_code pang_throttle_open(const pang_throttle_config *config, pang_throttle **ret, pang_err *err)
{
    pang_throttle *throttle = calloc(1, sizeof *throttle);
    if (throttle == NULL)
        return pang_fail_memory(err);
    throttle->config = *config;
    if (throttle->config.window_ms <= 0)
        throttle->config.window_ms = PANG_THROTTLE_WINDOW_MS;
    if (pthread_mutex_init(&throttle->lock, NULL) != 0) {
        free(throttle);
        return pang_fail_memory(err);
    }
    *ret = throttle;
    return PANG_OK;
}

void pang_throttle_close(pang_throttle *throttle)
{
    if (throttle == NULL)
        return;
    (void)pthread_mutex_destroy(&throttle->lock);
    free(throttle);
}

/* ---- subjects ---- */

/* What one household or machine is given of IPv6 is a /64: its other half is free to choose. */
static pang_str network_of(pang_str address, char to[INET6_ADDRSTRLEN])
{
    struct in6_addr parsed;
    if (address.len == 0 || address.len >= INET6_ADDRSTRLEN)
        return address;
    memcpy(to, address.ptr, address.len);
    to[address.len] = '\0';
    if (inet_pton(AF_INET6, to, &parsed) != 1)
        return address;
    if (IN6_IS_ADDR_V4MAPPED(&parsed)) {
        (void)inet_ntop(AF_INET, &parsed.s6_addr[12], to, INET6_ADDRSTRLEN);
    } else {
        memset(&parsed.s6_addr[8], 0, 8);
        (void)inet_ntop(AF_INET6, &parsed, to, INET6_ADDRSTRLEN);
    }
    return pang_str_from(to);
}

static pang_code identify(const pang_throttle_subject *subject, pang_id *ret, pang_err *err)
{
    char network[INET6_ADDRSTRLEN];
    uint8_t digest[PANG_HASH_BYTES];
    bool is_address = strcmp(subject->kind, "account") != 0;
    pang_str parts[] = {pang_str_from(subject->kind),
                        is_address ? network_of(subject->name, network) : subject->name};
    pang_code code = pang_hash(parts, 2, digest, err);
    if (code == PANG_OK)
        memcpy(ret->bytes, digest, sizeof ret->bytes);
    return code;
}

pang_code pang_throttle_network(pang_str address, pang_id *ret, pang_err *err)
{
    const pang_throttle_subject subject = {"network", address, 1};
    return identify(&subject, ret, err);
}

/* A subject without a name (no address is known) is nobody. */
static pang_code ask(pang_throttle *throttle, const pang_throttle_subject *subjects, size_t n,
                     pang_arena *arena, question *ret, pang_err *err)
{
    int64_t now = pang_env_wall_ms(throttle->config.env), length = throttle->config.window_ms;
    *ret = (question){.throttle = throttle, .arena = arena};
    ret->window = now > 0 ? (uint64_t)(now / length) : 0;
    ret->ends_ms = ((int64_t)ret->window + 1) * length;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n && ret->n < PANG_THROTTLE_SUBJECTS; i++)
        if (subjects[i].name.len > 0) {
            ret->times[ret->n] = subjects[i].times > 0 ? subjects[i].times : 1;
            code = identify(&subjects[i], &ret->subjects[ret->n++], err);
        }
    return code;
}

/* ---- what this server knows ---- */

static entry *find(pang_throttle *throttle, pang_id subject)
{
    size_t at = ((size_t)subject.bytes[0] << 8 | subject.bytes[1]) % SETS;
    for (size_t i = 0; i < SET; i++)
        if (pang_id_equal(throttle->sets[at][i].subject, subject))
            return &throttle->sets[at][i];
    return NULL;
}

static entry *place_for(pang_throttle *throttle, pang_id subject)
{
    size_t at = ((size_t)subject.bytes[0] << 8 | subject.bytes[1]) % SETS;
    entry *oldest = throttle->sets[at];
    for (size_t i = 1; i < SET; i++)
        if (throttle->sets[at][i].window < oldest->window)
            oldest = &throttle->sets[at][i];
    *oldest = (entry){.subject = subject};
    return oldest;
}

/* Raises what is known of a subject: by one, or to what the store says, if that is more. */
static void note(question *q, size_t i, unsigned add, unsigned at_least)
{
    pang_throttle *throttle = q->throttle;
    (void)pthread_mutex_lock(&throttle->lock);
    entry *e = find(throttle, q->subjects[i]);
    if (e == NULL)
        e = place_for(throttle, q->subjects[i]);
    if (e->window != q->window)
        *e = (entry){.subject = q->subjects[i], .window = q->window};
    e->count += add;
    if (e->count < at_least)
        e->count = at_least;
    (void)pthread_mutex_unlock(&throttle->lock);
}

static bool is_used_up(question *q)
{
    pang_throttle *throttle = q->throttle;
    bool used_up = false;
    (void)pthread_mutex_lock(&throttle->lock);
    for (size_t i = 0; i < q->n; i++) {
        const entry *e = find(throttle, q->subjects[i]);
        used_up = used_up || (e != NULL && e->window == q->window &&
                              e->count / q->times[i] >= throttle->config.limit);
    }
    (void)pthread_mutex_unlock(&throttle->lock);
    return used_up;
}

/* Whether one more write fits into this second. */
static bool may_write(pang_throttle *throttle)
{
    int64_t second = pang_env_mono_ms(throttle->config.env) / 1000;
    (void)pthread_mutex_lock(&throttle->lock);
    if (throttle->second != second) {
        throttle->second = second;
        throttle->writes = 0;
    }
    bool may = throttle->writes < PANG_THROTTLE_WRITES;
    throttle->writes += may;
    (void)pthread_mutex_unlock(&throttle->lock);
    return may;
}

/* ---- what all servers know ---- */

static pang_code read_counts(pang_txn *txn, question *q, pang_err *err)
{
    pang_ref refs[PANG_THROTTLE_SUBJECTS] = {0};
    pang_record records[PANG_THROTTLE_SUBJECTS];
    q->keys = (pang_keys){.arena = q->arena, .scope = PANG_SYSTEM_SCOPE};
    for (size_t i = 0; i < q->n; i++)
        refs[i].key = pang_key_failure_window(&q->keys, q->subjects[i], q->window);
    pang_code code = pang_keys_status(&q->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(txn, refs, q->n, PANG_READ_CHECKED, records, err);
    for (size_t i = 0; code == PANG_OK && i < q->n; i++) {
        Pangolin__Store__V1__FailureWindow *body;
        q->counts[i] = 0;
        if (records[i].version == 0)
            continue;
        code = pang_record_unpack(&pangolin__store__v1__failure_window__descriptor, &records[i],
                                  q->arena, &body, err);
        if (code == PANG_OK)
            q->counts[i] = body->count;
    }
    return code;
}

static pang_code look_run(pang_txn *txn, void *arg, pang_err *err)
{
    return read_counts(txn, arg, err);
}

static pang_code count_run(pang_txn *txn, void *arg, pang_err *err)
{
    question *q = arg;
    pang_code code = read_counts(txn, q, err);
    for (size_t i = 0; code == PANG_OK && i < q->n; i++) {
        Pangolin__Store__V1__FailureWindow body = PANGOLIN__STORE__V1__FAILURE_WINDOW__INIT;
        body.count = ++q->counts[i];
        const pang_put put = {
            .kind = PANG_KIND_FAILURE_WINDOW,
            .key = pang_key_failure_window(&q->keys, q->subjects[i], q->window),
            .body = pang_record_pack(&body.base, q->arena),
            .expires_ms = q->ends_ms,
            .slot = PANG_NO_SLOT,
            .key_slot = PANG_NO_SLOT,
        };
        code = put.body.ptr == NULL ? pang_fail_memory(err) : pang_keys_status(&q->keys, err);
        if (code == PANG_OK)
            pang_txn_put_full(txn, &put);
    }
    return code;
}

static pang_code forgive_run(pang_txn *txn, void *arg, pang_err *err)
{
    question *q = arg;
    pang_code code = read_counts(txn, q, err);
    if (code == PANG_OK && q->counts[0] > 0)
        pang_txn_delete(txn, pang_key_failure_window(&q->keys, q->subjects[0], q->window));
    return code;
}

/* Best effort: nobody is refused or let in because the store is away. */
static bool run(question *q, pang_txn_fn *fn)
{
    pang_err ignored;
    int64_t until = pang_env_mono_ms(q->throttle->config.env) + STORE_MS;
    return pang_txn_run(q->throttle->config.db, PANG_SYSTEM_SCOPE, until, q->arena, fn, q,
                        &ignored) == PANG_OK;
}

/* ---- the questions ---- */

pang_code pang_throttle_check(pang_throttle *throttle, const pang_throttle_subject *subjects,
                              size_t n, bool look, pang_arena *arena, unsigned *ret_wait_s,
                              pang_err *err)
{
    question q;
    *ret_wait_s = 0;
    if (throttle == NULL || throttle->config.limit == 0)
        return PANG_OK;
    pang_code code = ask(throttle, subjects, n, arena, &q, err);
    if (code != PANG_OK)
        return code;
    if (look && q.n > 0 && !is_used_up(&q) && run(&q, look_run))
        for (size_t i = 0; i < q.n; i++)
            if (q.counts[i] > 0)
                note(&q, i, 0, q.counts[i]);
    if (!is_used_up(&q))
        return PANG_OK;
    int64_t left = q.ends_ms - pang_env_wall_ms(throttle->config.env);
    *ret_wait_s = left > 0 ? (unsigned)((left + 999) / 1000) : 1;
    return pang_fail(err, PANG_RESOURCE_EXHAUSTED, "TooManyRequests",
                     "too many attempts; try again in %u seconds", *ret_wait_s);
}

void pang_throttle_count(pang_throttle *throttle, const pang_throttle_subject *subjects, size_t n,
                         pang_arena *arena)
{
    question q;
    pang_err ignored;
    if (throttle == NULL || throttle->config.limit == 0 ||
        ask(throttle, subjects, n, arena, &q, &ignored) != PANG_OK)
        return;
    for (size_t i = 0; i < q.n; i++)
        note(&q, i, 1, 0);
}

void pang_throttle_failed(pang_throttle *throttle, const pang_throttle_subject *subjects, size_t n,
                          pang_arena *arena)
{
    question q;
    pang_err ignored;
    if (throttle == NULL || throttle->config.limit == 0 ||
        ask(throttle, subjects, n, arena, &q, &ignored) != PANG_OK || q.n == 0)
        return;
    for (size_t i = 0; i < q.n; i++)
        note(&q, i, 1, 0);
    if (may_write(throttle) && run(&q, count_run))
        for (size_t i = 0; i < q.n; i++)
            note(&q, i, 0, q.counts[i]);
}

void pang_throttle_forgive(pang_throttle *throttle, const pang_throttle_subject *subject,
                           pang_arena *arena)
{
    question q;
    pang_err ignored;
    if (throttle == NULL || throttle->config.limit == 0 ||
        ask(throttle, subject, 1, arena, &q, &ignored) != PANG_OK || q.n == 0)
        return;
    (void)pthread_mutex_lock(&throttle->lock);
    entry *e = find(throttle, q.subjects[0]);
    if (e != NULL)
        e->count = 0;
    (void)pthread_mutex_unlock(&throttle->lock);
    (void)run(&q, forgive_run);
}
