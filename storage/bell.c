/*
 * Bells: how whoever waits for commits is woken. A commit rings the bells of the sequences that it
 * took numbers of, once it has landed; waiting compares how often a bell was rung with what it was
 * before the waiter looked, so nothing falls between looking and waiting. Sequences share bells,
 * as there are few: a ring that was meant for another costs a look.
 */
#include <time.h>

#include "storage/db.h"

static pang_bell *bell_of(pang_bell *bells, pang_str sequence)
{
    return &bells[pang_str_hash(sequence) % PANG_BELLS];
}

static bool condition_open(pthread_cond_t *condition)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    bool ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(condition, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return ok;
}

bool pang_bells_init(pang_bell bells[PANG_BELLS])
{
    for (size_t i = 0; i < PANG_BELLS; i++) {
        if (!condition_open(&bells[i].heard)) {
            while (i-- > 0)
                (void)pthread_cond_destroy(&bells[i].heard);
            return false;
        }
        (void)pthread_mutex_init(&bells[i].lock, NULL);
        bells[i].rung = 0;
    }
    return true;
}

void pang_bells_done(pang_bell bells[PANG_BELLS])
{
    for (size_t i = 0; i < PANG_BELLS; i++) {
        (void)pthread_cond_destroy(&bells[i].heard);
        (void)pthread_mutex_destroy(&bells[i].lock);
    }
}

void pang_bells_ring(pang_bell bells[PANG_BELLS], const pang_str *sequences, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pang_bell *bell = bell_of(bells, sequences[i]);
        (void)pthread_mutex_lock(&bell->lock);
        bell->rung++;
        (void)pthread_cond_broadcast(&bell->heard);
        (void)pthread_mutex_unlock(&bell->lock);
    }
}

uint32_t pang_db_mark(pang_db *db, pang_str sequence)
{
    pang_bell *bell = bell_of(db->bells, sequence);
    (void)pthread_mutex_lock(&bell->lock);
    uint32_t rung = bell->rung;
    (void)pthread_mutex_unlock(&bell->lock);
    return rung;
}

void pang_db_wait(pang_db *db, pang_str sequence, uint32_t mark, int64_t most_ms)
{
    pang_bell *bell = bell_of(db->bells, sequence);
    struct timespec until;
    if (most_ms <= 0)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += most_ms / 1000;
    until.tv_nsec += most_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&bell->lock);
    int ended = 0;
    while (bell->rung == mark && ended == 0)
        ended = pthread_cond_timedwait(&bell->heard, &bell->lock, &until);
    (void)pthread_mutex_unlock(&bell->lock);
}
