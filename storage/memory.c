/*
 * Backend `memory:`: a skip list of records under one read-write lock, for tests and for trying
 * things out. Nothing outlives the process.
 *
 * A commit is atomic because it is made in two steps. First everything that can fail: checks, and
 * one new node for each record to be written (the chain `planned`, in the order of writing). Then
 * only pointers move. A node is never changed once it is linked, it is replaced.
 *
 * Versions come from one counter for the whole store, so they never repeat for a key. What has
 * expired is absent to every read; each commit also removes the expired ones among the next few
 * nodes behind a cursor, so that nothing has to walk the whole list at once.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "storage/backends.h"

enum {
    HEIGHT_MAX = 20,      /* 4^20 records before searches grow longer */
    SWEPT_PER_COMMIT = 4, /* a commit writes at least one record that expires, its id */
};

typedef struct node {
    pang_record rec; /* key and body point behind the tower */
    struct node *prev;
    int height;
    struct node *next[];
} node;

typedef struct {
    pang_store base;
    pthread_rwlock_t lock; /* guards all below */
    node *head;            /* before the first; of full height, has no key */
    node *sweep;           /* the next one to look at; NULL: start over */
    uint64_t version;      /* the last one given */
    uint64_t dice;
} memory_store;

static memory_store *memory_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC);
    return (memory_store *)store;
}

/* ---- the list ---- */

static node *node_new(int height, pang_str key, pang_str body)
{
    size_t head = sizeof(node) + (size_t)height * sizeof(node *);
    node *made = malloc(head + key.len + body.len);
    if (made == NULL)
        return NULL;
    char *bytes = (char *)made + head;
    memset(made, 0, head);
    made->height = height;
    made->rec.key = (pang_str){bytes, key.len};
    made->rec.body = (pang_str){bytes + key.len, body.len};
    if (key.len > 0)
        memcpy(bytes, key.ptr, key.len);
    if (body.len > 0)
        memcpy(bytes + key.len, body.ptr, body.len);
    return made;
}

/* One level more with a chance of one in four. */
static int throw_height(memory_store *m)
{
    uint64_t x = m->dice;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    m->dice = x;
    int height = 1;
    for (; height < HEIGHT_MAX && (x & 3) == 0; x >>= 2)
        height++;
    return height;
}

/* The last node whose key is < key (or <= key when `or_equal`); the head when there is none.
 * `before`, if not NULL, gets that of every level. */
static node *find_before(const memory_store *m, pang_str key, bool or_equal,
                         node *before[HEIGHT_MAX])
{
    node *at = m->head;
    for (int level = HEIGHT_MAX - 1; level >= 0; level--) {
        for (node *next = at->next[level]; next != NULL; next = at->next[level]) {
            int order = pang_str_compare(next->rec.key, key);
            if (order > 0 || (order == 0 && !or_equal))
                break;
            at = next;
        }
        if (before != NULL)
            before[level] = at;
    }
    return at;
}

static bool is_live(const node *n, int64_t now)
{
    return n->rec.expires_ms == 0 || n->rec.expires_ms > now;
}

/* The record with this key, or NULL when there is none or it has expired. */
static const node *find_live(const memory_store *m, pang_str key, int64_t now)
{
    const node *n = find_before(m, key, false, NULL)->next[0];
    bool found = n != NULL && pang_str_equal(n->rec.key, key) && is_live(n, now);
    return found ? n : NULL;
}

static void unlink_node(memory_store *m, node *gone, node *before[HEIGHT_MAX])
{
    for (int level = 0; level < gone->height; level++)
        before[level]->next[level] = gone->next[level];
    if (gone->next[0] != NULL)
        gone->next[0]->prev = gone->prev;
    if (m->sweep == gone)
        m->sweep = gone->next[0];
    free(gone);
}

static void remove_key(memory_store *m, pang_str key)
{
    node *before[HEIGHT_MAX];
    node *n = find_before(m, key, false, before)->next[0];
    if (n != NULL && pang_str_equal(n->rec.key, key))
        unlink_node(m, n, before);
}

/* Links `made` in the place of what has its key. */
static void link_node(memory_store *m, node *made)
{
    node *before[HEIGHT_MAX];
    node *old = find_before(m, made->rec.key, false, before)->next[0];
    if (old != NULL && pang_str_equal(old->rec.key, made->rec.key))
        unlink_node(m, old, before);
    for (int level = 0; level < made->height; level++) {
        made->next[level] = before[level]->next[level];
        before[level]->next[level] = made;
    }
    made->prev = before[0];
    if (made->next[0] != NULL)
        made->next[0]->prev = made;
    made->rec.version = ++m->version;
}

static void sweep_some(memory_store *m, int64_t now)
{
    for (int i = 0; i < SWEPT_PER_COMMIT; i++) {
        node *n = m->sweep != NULL ? m->sweep : m->head->next[0];
        if (n == NULL)
            return;
        m->sweep = n->next[0];
        if (!is_live(n, now))
            remove_key(m, n->rec.key);
    }
}

/* ---- open and close ---- */

static pang_store_close_fn memory_close;
static void memory_close(pang_store *store)
{
    if (store == NULL)
        return;
    memory_store *m = memory_of(store);
    for (node *n = m->head, *next; n != NULL; n = next) {
        next = n->next[0];
        free(n);
    }
    pthread_rwlock_destroy(&m->lock);
    free(m);
}

/* Writers first: a stream of readers must not keep a commit waiting for ever. */
static bool init_lock(pthread_rwlock_t *lock)
{
    pthread_rwlockattr_t attr;
    if (pthread_rwlockattr_init(&attr) != 0)
        return false;
    (void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    bool done = pthread_rwlock_init(lock, &attr) == 0;
    (void)pthread_rwlockattr_destroy(&attr);
    return done;
}

static pang_store_open_fn memory_open;
static pang_code memory_open(const pang_store_config *config, pang_store **ret, pang_err *err)
{
    if (!pang_str_equal(config->url, PANG_STR("memory:")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "store url \"%" PANG_STR_FMT "\" is not \"memory:\"",
                         PANG_STR_ARG(config->url));
    memory_store *m = calloc(1, sizeof *m);
    node *head = node_new(HEIGHT_MAX, (pang_str){0}, (pang_str){0});
    if (m == NULL || head == NULL || !init_lock(&m->lock)) {
        free(head);
        free(m);
        return pang_fail_memory(err);
    }
    m->base = (pang_store){PANG_STORE_MAGIC, &pang_memory_ops, config->env};
    m->head = head;
    m->dice = 0x9E3779B97F4A7C15u;
    *ret = &m->base;
    return PANG_OK;
}

static pang_store_migrate_fn memory_migrate;
static pang_code memory_migrate(pang_store *store, pang_err *err)
{
    (void)err;
    (void)memory_of(store);
    return PANG_OK;
}

static pang_store_ping_fn memory_ping;
static pang_code memory_ping(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    (void)deadline_ms;
    (void)err;
    (void)memory_of(store);
    return PANG_OK;
}

/* ---- reading ---- */

static const node *find_ref(const memory_store *m, const pang_ref *ref, int64_t now)
{
    if (ref->mode == PANG_REF_EXACT)
        return find_live(m, ref->key, now);
    pang_str prefix = pang_str_slice(ref->key, 0, ref->prefix_len);
    const node *n = find_before(m, ref->key, true, NULL)->next[0];
    while (n != NULL && !is_live(n, now))
        n = n->next[0];
    return n != NULL && pang_str_starts(n->rec.key, prefix) ? n : NULL;
}

static pang_store_get_fn memory_get;
static pang_code memory_get(pang_store *store, const pang_ref *refs, size_t n, int64_t deadline_ms,
                            pang_arena *arena, pang_record *records, pang_err *err)
{
    (void)deadline_ms;
    memory_store *m = memory_of(store);
    int64_t now = pang_env_wall_ms(store->env);
    bool fits = true;
    pthread_rwlock_rdlock(&m->lock);
    for (size_t i = 0; i < n && fits; i++) {
        const node *found = find_ref(m, &refs[i], now);
        if (found != NULL)
            fits = pang_record_copy(&found->rec, arena, &records[i]);
        else
            records[i] = (pang_record){.key = refs[i].key};
    }
    pthread_rwlock_unlock(&m->lock);
    return fits ? PANG_OK : pang_fail_memory(err);
}

/* The first row of a scan, or NULL. Rows that follow may be outside of it still. */
static const node *scan_start(const memory_store *m, const pang_query *q)
{
    bool from_after = q->after.len > 0;
    if (!q->descending) {
        if (from_after && pang_str_compare(q->after, q->prefix) >= 0)
            return find_before(m, q->after, true, NULL)->next[0];
        return find_before(m, q->prefix, false, NULL)->next[0];
    }
    const node *last;
    if (from_after &&
        (pang_str_starts(q->after, q->prefix) || pang_str_compare(q->after, q->prefix) < 0)) {
        last = find_before(m, q->after, false, NULL);
    } else {
        /* The last key with the prefix is the one before the least key above all of them. */
        last = m->head;
        for (int level = HEIGHT_MAX - 1; level >= 0; level--)
            for (node *next = last->next[level];
                 next != NULL && (pang_str_starts(next->rec.key, q->prefix) ||
                                  pang_str_compare(next->rec.key, q->prefix) < 0);
                 next = last->next[level])
                last = next;
    }
    return last == m->head ? NULL : last;
}

static bool scan_ended(const pang_query *q, const node *n)
{
    if (!pang_str_starts(n->rec.key, q->prefix))
        return true;
    if (q->until.len == 0)
        return false;
    int order = pang_str_compare(n->rec.key, q->until);
    return q->descending ? order <= 0 : order >= 0;
}

static pang_store_scan_fn memory_scan;
static pang_code memory_scan(pang_store *store, const pang_query *query, int64_t deadline_ms,
                             pang_row_fn *row, void *arg, pang_err *err)
{
    (void)deadline_ms;
    (void)err;
    memory_store *m = memory_of(store);
    int64_t now = pang_env_wall_ms(store->env);
    uint32_t rows = 0;
    pthread_rwlock_rdlock(&m->lock);
    const node *n = scan_start(m, query);
    while (n != NULL && n != m->head && rows < query->limit && !scan_ended(query, n)) {
        if (is_live(n, now)) {
            pang_record shown = n->rec;
            if (query->keys_only)
                shown.body = (pang_str){0};
            rows++;
            if (!row(arg, &shown))
                break;
        }
        n = query->descending ? n->prev : n->next[0];
    }
    pthread_rwlock_unlock(&m->lock);
    return PANG_OK;
}

/* ---- writing ---- */

/* What a commit will link, in order, chained by next[0]. */
typedef struct {
    node *first, **last;
} plan;

static node *plan_node(memory_store *m, plan *p, pang_str key, pang_str body)
{
    node *made = node_new(throw_height(m), key, body);
    if (made == NULL)
        return NULL;
    *p->last = made;
    p->last = &made->next[0];
    return made;
}

static void drop_plan(plan *p)
{
    for (node *n = p->first, *next; n != NULL; n = next) {
        next = n->next[0];
        free(n);
    }
}

static bool passes(memory_store *m, pang_commit *c, int64_t now)
{
    c->failed_check = c->n_checks;
    if (find_live(m, c->id_key, now) != NULL) {
        c->id_was_there = true;
        return false;
    }
    for (size_t i = 0; i < c->n_checks; i++) {
        const pang_check *check = &c->checks[i];
        const node *n = find_live(m, check->key, now);
        bool same = check->is_counter ? check->value == (n == NULL ? 0 : n->rec.value)
                                      : check->version == (n == NULL ? 0 : n->rec.version);
        if (!same) {
            c->failed_check = i;
            return false;
        }
    }
    return true;
}

/* Numbers and time come first: keys and headers of the puts need them. */
static bool plan_appends(memory_store *m, pang_commit *c, plan *p, int64_t now)
{
    c->time_ms = now;
    for (size_t i = 0; i < c->n_appends; i++) {
        const node *last = find_live(m, c->appends[i], now);
        c->numbers[i] = last == NULL ? 1 : (uint64_t)last->rec.value + 1;
        if (last != NULL && last->rec.time_ms > c->time_ms)
            c->time_ms = last->rec.time_ms;
    }
    for (size_t i = 0; i < c->n_appends; i++) {
        node *n = plan_node(m, p, c->appends[i], (pang_str){0});
        if (n == NULL)
            return false;
        n->rec.kind = PANG_KIND_SEQUENCE;
        n->rec.value = (int64_t)c->numbers[i];
        n->rec.time_ms = c->time_ms;
    }
    return true;
}

static void write_slot(const node *n, size_t at, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    char *to = (char *)(uintptr_t)n->rec.key.ptr + at;
    for (int i = PANG_SLOT_DIGITS - 1; i >= 0; i--, number >>= 4)
        to[i] = digits[number & 15];
}

static bool plan_puts(memory_store *m, pang_commit *c, plan *p, int64_t now)
{
    for (size_t i = 0; i < c->n_puts; i++) {
        const pang_put *put = &c->puts[i];
        node *n = plan_node(m, p, put->key, put->body);
        if (n == NULL)
            return false;
        n->rec.kind = put->kind;
        n->rec.expires_ms = put->expires_ms;
        n->rec.sequence = put->slot == PANG_NO_SLOT ? 0 : c->numbers[put->slot];
        n->rec.time_ms = put->slot == PANG_NO_SLOT ? now : c->time_ms;
        if (put->key_slot != PANG_NO_SLOT)
            write_slot(n, put->key_slot_at, c->numbers[put->key_slot]);
    }
    return true;
}

static bool plan_adds(memory_store *m, pang_commit *c, plan *p, int64_t now)
{
    for (size_t i = 0; i < c->n_adds; i++) {
        node *n = plan_node(m, p, c->adds[i].counter, (pang_str){0});
        if (n == NULL)
            return false;
        n->rec.kind = PANG_KIND_COUNTER;
        n->rec.value = c->adds[i].amount; /* the sum is taken when it is linked */
        n->rec.time_ms = now;
    }
    return true;
}

static bool plan_id(memory_store *m, pang_commit *c, plan *p, int64_t now)
{
    node *n = plan_node(m, p, c->id_key, c->is_void ? (pang_str){0} : c->id_body);
    if (n == NULL)
        return false;
    n->rec.kind = PANG_KIND_COMMIT_ID;
    n->rec.value = c->is_void;
    n->rec.sequence = c->n_appends > 0 ? c->numbers[0] : 0;
    n->rec.time_ms = c->time_ms;
    n->rec.expires_ms = c->id_kept ? 0 : now + PANG_COMMIT_ID_LIFE_MS;
    return true;
}

/* What is linked gets its version then, in the order of the plan: puts come behind the appends. */
static void carry_out(memory_store *m, pang_commit *c, plan *p, int64_t now)
{
    c->first_version = m->version + 1 + c->n_appends;
    for (node *n = p->first, *next; n != NULL; n = next) {
        next = n->next[0];
        const node *old = n->rec.kind == PANG_KIND_COUNTER ? find_live(m, n->rec.key, now) : NULL;
        if (old != NULL)
            n->rec.value = (int64_t)((uint64_t)n->rec.value + (uint64_t)old->rec.value);
        link_node(m, n);
    }
    for (size_t i = 0; i < c->n_deletes; i++)
        remove_key(m, c->deletes[i]);
}

static void apply_one(memory_store *m, pang_commit *c)
{
    int64_t now = pang_env_wall_ms(m->base.env);
    plan p = {.first = NULL, .last = &p.first};
    if (!passes(m, c, now)) {
        c->outcome = PANG_COMMIT_ABORTED;
        return;
    }
    if (plan_appends(m, c, &p, now) && plan_puts(m, c, &p, now) && plan_adds(m, c, &p, now) &&
        plan_id(m, c, &p, now)) {
        carry_out(m, c, &p, now);
        c->outcome = PANG_COMMIT_OK;
    } else {
        drop_plan(&p);
        c->outcome = PANG_COMMIT_FAILED;
        (void)pang_fail_memory(&c->err);
    }
    sweep_some(m, now);
}

static pang_store_apply_fn memory_apply;
static void memory_apply(pang_store *store, pang_commit *const *commits, size_t n)
{
    memory_store *m = memory_of(store);
    pthread_rwlock_wrlock(&m->lock);
    for (size_t i = 0; i < n; i++)
        apply_one(m, commits[i]);
    pthread_rwlock_unlock(&m->lock);
}

const pang_store_ops pang_memory_ops = {
    .scheme = "memory",
    .exclusive = true,
    .local = true,
    .open = memory_open,
    .close = memory_close,
    .migrate = memory_migrate,
    .ping = memory_ping,
    .get = memory_get,
    .scan = memory_scan,
    .apply = memory_apply,
};
