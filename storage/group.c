/*
 * Group commit: callers that wait anyway carry each other's commits. The first to come leads: it
 * takes what waits, applies it as one group, and hands out the outcomes. What arrives meanwhile
 * waits and goes down in the next group, led by one of its own. No thread is started, nothing is
 * delayed to gather more: the slower an apply, the larger the next group. A leader whose own commit
 * is done hands over to the next in turn, and only then wakes those it carried: they need no lock
 * to go on, and the next group is under way while they do.
 *
 * Fair: a leader serves the scopes in turn, one commit each, so that a tenant with a thousand
 * waiting commits delays another's one commit by one group at most. Waiters of one scope keep
 * their order. Waiters live on their callers' stacks: a ring of scopes, and behind the first
 * waiter of each the others of its scope.
 *
 * A group that fails as a whole (one member too big for what is left of a disk, say) is sent again
 * one by one, so that nobody fails for another's sake; unless the store is away, which would only
 * be found out again by each.
 */
#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

#include "storage/db.h"

struct pang_waiter {
    pang_commit *commit;
    uint64_t hash; /* of the scope: differing ones need no comparison */
    size_t bytes;
    pang_waiter *newer, *older; /* ring of scopes; for the first of a scope */
    pang_waiter *next;          /* of the same scope; once taken, of the same group */
    pang_waiter *last;          /* for the first of a scope */
    bool done;                  /* set by its leader before it is woken */
    sem_t woken;                /* done, or to lead */
};

bool pang_group_init(pang_group *group, pang_store *store, unsigned max, size_t bytes_max)
{
    group->store = store;
    group->max = max;
    group->bytes_max = bytes_max;
    group->batch = calloc(max, sizeof(pang_commit *));
    if (group->batch == NULL)
        return false;
    pthread_mutex_init(&group->lock, NULL);
    return true;
}

void pang_group_done(pang_group *group)
{
    assert(group->scopes == NULL && !group->led);
    free(group->batch);
    pthread_mutex_destroy(&group->lock);
}

/* What a commit costs: its bytes, and some for each record, so that a group of many small ones has
 * no more records than one commit may have. */
static size_t bytes_of(const pang_commit *c)
{
    enum { OF_A_RECORD = 64 };
    _Static_assert(PANG_DB_GROUP_BYTES / OF_A_RECORD <= PANG_COMMIT_OPS_MAX, "see above");
    size_t n = c->n_checks + c->n_puts + c->n_deletes + c->n_appends + c->n_adds;
    size_t bytes = c->id_key.len + c->id_body.len + n * OF_A_RECORD;
    for (size_t i = 0; i < c->n_checks; i++)
        bytes += c->checks[i].key.len;
    for (size_t i = 0; i < c->n_puts; i++)
        bytes += c->puts[i].key.len + c->puts[i].body.len;
    for (size_t i = 0; i < c->n_deletes; i++)
        bytes += c->deletes[i].len;
    return bytes;
}

/* ---- the ring; the lock is held ---- */

static void ring_add(pang_group *group, pang_waiter *w)
{
    if (group->scopes == NULL) {
        w->newer = w->older = group->scopes = w;
        return;
    }
    w->newer = group->scopes;
    w->older = group->scopes->older;
    w->older->newer = w;
    w->newer->older = w;
}

static void enqueue(pang_group *group, pang_waiter *w)
{
    pang_waiter *first = group->scopes;
    group->waiting++;
    if (first != NULL) {
        do {
            if (first->hash == w->hash && pang_str_equal(first->commit->scope, w->commit->scope)) {
                first->last->next = w;
                first->last = w;
                return;
            }
            first = first->newer;
        } while (first != group->scopes);
    }
    w->last = w;
    ring_add(group, w);
}

/* Takes the next waiter off. Its scope goes to the end of the ring, if more of it wait. */
static pang_waiter *take_one(pang_group *group)
{
    pang_waiter *w = group->scopes;
    group->waiting--;
    if (w->newer == w) {
        group->scopes = NULL;
    } else {
        w->older->newer = w->newer;
        w->newer->older = w->older;
        group->scopes = w->newer;
    }
    if (w->next != NULL) {
        w->next->last = w->last;
        ring_add(group, w->next);
    }
    return w;
}

/* Takes the waiters of one apply. Returns their chain, and their commits in `batch`. */
static pang_waiter *take_group(pang_group *group, size_t *ret_n)
{
    pang_waiter *taken = NULL, **last = &taken;
    size_t n = 0, bytes = 0;
    while (group->scopes != NULL && n < group->max) {
        bytes += group->scopes->bytes;
        if (n > 0 && bytes > group->bytes_max)
            break;
        pang_waiter *w = take_one(group);
        group->batch[n++] = w->commit;
        *last = w;
        last = &w->next;
    }
    *last = NULL;
    *ret_n = n;
    return taken;
}

/* ---- the leader ---- */

static void send_singly(pang_group *group, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pang_commit *c = group->batch[i];
        if (c->outcome != PANG_COMMIT_FAILED || c->err.code == PANG_INVALID_ARGUMENT)
            continue;
        pang_store_apply(group->store, &group->batch[i], 1);
        if (c->outcome == PANG_COMMIT_FAILED && c->err.code == PANG_UNAVAILABLE)
            return;
    }
}

/* Carries one group down. Returns those it carried, of which `self` may be one. */
static pang_waiter *carry(pang_group *group)
{
    size_t n;
    pthread_mutex_lock(&group->lock);
    pang_waiter *taken = take_group(group, &n);
    pthread_mutex_unlock(&group->lock);
    pang_store_apply(group->store, group->batch, n);
    if (n > 1)
        send_singly(group, n);
    atomic_fetch_add_explicit(&group->groups, 1, memory_order_relaxed);
    return taken;
}

/* A waiter that is woken as done is gone from its caller's stack at once. */
static void wake(pang_waiter *taken, const pang_waiter *self)
{
    for (pang_waiter *w = taken, *next; w != NULL; w = next) {
        next = w->next;
        if (w != self)
            (void)sem_post(&w->woken);
    }
}

/* Who leads is first in the ring: whoever came while nobody led found it empty, and who is handed
 * the lead was first then; others come behind. So the one group that it carries has its own commit.
 * Nobody waits while nobody leads. */
static void lead(pang_group *group, const pang_waiter *self)
{
    pang_waiter *taken = carry(group);
    for (pang_waiter *w = taken; w != NULL; w = w->next)
        w->done = true;
    assert(self->done);
    pthread_mutex_lock(&group->lock);
    pang_waiter *next = group->scopes;
    group->led = next != NULL;
    pthread_mutex_unlock(&group->lock);
    if (next != NULL)
        (void)sem_post(&next->woken);
    wake(taken, self);
}

static void wait_for_turn(pang_waiter *self)
{
    while (sem_wait(&self->woken) != 0)
        assert(errno == EINTR);
}

void pang_group_commit(pang_group *group, pang_commit *commit)
{
    pang_waiter self = {
        .commit = commit,
        .hash = pang_str_hash(commit->scope),
        .bytes = bytes_of(commit),
    };
    (void)sem_init(&self.woken, 0, 0); /* cannot fail for one process and 0 */
    pthread_mutex_lock(&group->lock);
    enqueue(group, &self);
    bool leads = !group->led;
    group->led = true;
    pthread_mutex_unlock(&group->lock);
    if (!leads)
        wait_for_turn(&self);
    if (!self.done)
        lead(group, &self);
    (void)sem_destroy(&self.woken);
}
