/*
 * How the seam is called. Each function here is one slot of a backend with what every backend
 * would else repeat: the bounds of api/storage.h, the deadline that has already passed, and the
 * assertion that the handle is one. And the one thing built from two slots: how a commit whose
 * outcome nobody knows is settled.
 */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "api/storage.h"

enum {
    SCHEME_MAX = 32,
    RESOLVE_TRIES = 64, /* with the pauses below some 20 s, where no deadline says less */
    RESOLVE_PAUSE_MIN_MS = 5,
    RESOLVE_PAUSE_MAX_MS = 500,
};

static const pang_store_ops *ops_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC && store->ops != NULL);
    return store->ops;
}

static void assert_whole(const pang_store_ops *ops)
{
    assert(ops->scheme != NULL && ops->open != NULL && ops->close != NULL);
    assert(ops->migrate != NULL && ops->ping != NULL && ops->get != NULL);
    assert(ops->scan != NULL && ops->apply != NULL);
}

const pang_store_ops *pang_store_find(pang_str url)
{
    pang_str scheme = pang_str_slice(url, 0, pang_str_find(url, ':'));
    scheme = pang_str_slice(scheme, 0, pang_str_find(scheme, '+'));
    for (const pang_store_ops *const *at = pang_stores; *at != NULL; at++) {
        assert_whole(*at);
        if (pang_str_equal(scheme, pang_str_from((*at)->scheme)))
            return *at;
    }
    return NULL;
}

pang_code pang_store_open(const pang_store_config *config, pang_store **ret, pang_err *err)
{
    assert(config->env != NULL);
    size_t len = pang_str_find(config->url, ':');
    if (len == config->url.len || len > SCHEME_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "store url has no scheme");
    pang_str scheme = pang_str_slice(config->url, 0, len);
    const pang_store_ops *ops = pang_store_find(config->url);
    if (ops != NULL)
        return ops->open(config, ret, err);
    /* The rest of a url may hold a password: it is not shown. */
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                     "store scheme \"%" PANG_STR_FMT "\" is not supported", PANG_STR_ARG(scheme));
}

void pang_store_close(pang_store *store)
{
    if (store != NULL)
        ops_of(store)->close(store);
}

pang_code pang_store_migrate(pang_store *store, pang_err *err)
{
    return ops_of(store)->migrate(store, err);
}

/* ---- reading ---- */

static pang_code check_deadline(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    if (deadline_ms == PANG_NO_DEADLINE || pang_env_mono_ms(store->env) < deadline_ms)
        return PANG_OK;
    return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL,
                     "deadline passed before the store was asked");
}

pang_code pang_store_ping(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    pang_code code = check_deadline(store, deadline_ms, err);
    return code != PANG_OK ? code : ops_of(store)->ping(store, deadline_ms, err);
}

static bool is_key(pang_str key)
{
    return key.len >= 1 && key.len <= PANG_KEY_MAX;
}

static pang_code refuse(pang_err *err, const char *what)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s is out of bounds", what);
}

pang_code pang_store_get(pang_store *store, const pang_ref *refs, size_t n, int64_t deadline_ms,
                         pang_arena *arena, pang_record *records, pang_err *err)
{
    if (n == 0)
        return PANG_OK;
    if (n > PANG_GET_MAX)
        return refuse(err, "number of records to get");
    for (size_t i = 0; i < n; i++) {
        if (!is_key(refs[i].key))
            return refuse(err, "length of a key");
        if (refs[i].mode == PANG_REF_CEILING && refs[i].prefix_len > refs[i].key.len)
            return refuse(err, "prefix of a key");
    }
    pang_code code = check_deadline(store, deadline_ms, err);
    if (code != PANG_OK)
        return code;
    return ops_of(store)->get(store, refs, n, deadline_ms, arena, records, err);
}

pang_code pang_store_scan(pang_store *store, const pang_query *query, int64_t deadline_ms,
                          pang_row_fn *row, void *arg, pang_err *err)
{
    if (query->limit < 1 || query->limit > PANG_SCAN_MAX)
        return refuse(err, "limit of a scan");
    if (query->prefix.len > PANG_KEY_MAX || query->after.len > PANG_KEY_MAX ||
        query->until.len > PANG_KEY_MAX)
        return refuse(err, "length of a key");
    pang_code code = check_deadline(store, deadline_ms, err);
    if (code != PANG_OK)
        return code;
    return ops_of(store)->scan(store, query, deadline_ms, row, arg, err);
}

/* ---- writing ---- */

static bool slot_is_bounded(const pang_commit *c, int slot)
{
    return slot == PANG_NO_SLOT || (slot >= 0 && (size_t)slot < c->n_appends);
}

static const char *breach_of_put(const pang_commit *c, const pang_put *put, size_t *bytes)
{
    *bytes += put->key.len + put->body.len;
    if (!is_key(put->key))
        return "length of a key";
    if (put->body.len > PANG_BODY_MAX)
        return "size of a record";
    if (put->kind < PANG_KIND_FIRST)
        return "kind of a record";
    if (put->expires_ms < 0)
        return "expiry of a record";
    if (!slot_is_bounded(c, put->slot) || !slot_is_bounded(c, put->key_slot))
        return "slot of a record";
    if (put->key_slot != PANG_NO_SLOT &&
        (put->key.len < PANG_SLOT_DIGITS || put->key_slot_at > put->key.len - PANG_SLOT_DIGITS))
        return "slot in a key";
    return NULL;
}

static const char *breach_of_appends(const pang_commit *c)
{
    for (size_t i = 0; i < c->n_appends; i++) {
        if (!is_key(c->appends[i]))
            return "length of a key";
        for (size_t j = 0; j < i; j++)
            if (pang_str_equal(c->appends[i], c->appends[j]))
                return "use of a sequence";
    }
    return NULL;
}

static const char *breach_of_keys(const pang_commit *c, size_t *bytes)
{
    for (size_t i = 0; i < c->n_checks; i++) {
        *bytes += c->checks[i].key.len;
        if (!is_key(c->checks[i].key))
            return "length of a key";
    }
    for (size_t i = 0; i < c->n_deletes; i++) {
        *bytes += c->deletes[i].len;
        if (!is_key(c->deletes[i]))
            return "length of a key";
    }
    for (size_t i = 0; i < c->n_adds; i++) {
        *bytes += c->adds[i].counter.len;
        if (!is_key(c->adds[i].counter))
            return "length of a key";
    }
    return NULL;
}

_Static_assert(PANG_COMMIT_OPS_MAX == 262144, "what too_many says");
_Static_assert(PANG_COMMIT_BYTES_MAX == 64 << 20, "what too_big says");
static const char too_many[] = "number of records of one commit (262144 at most: do it in parts)";
static const char too_big[] = "size of one commit (64 MiB at most: do it in parts)";

/* What of the commit is out of bounds; NULL: nothing. */
static const char *breach_of(const pang_commit *c)
{
    if (c->is_void && (c->n_checks | c->n_puts | c->n_deletes | c->n_appends | c->n_adds) != 0)
        return "content of a void commit";
    if (c->n_appends > PANG_APPENDS_MAX)
        return "number of sequences";
    const size_t max = PANG_COMMIT_OPS_MAX;
    if (c->n_checks > max || c->n_puts > max || c->n_deletes > max || c->n_adds > max ||
        c->n_checks + c->n_puts + c->n_deletes + c->n_appends + c->n_adds > max)
        return too_many;
    if (!is_key(c->id_key) || c->id_body.len > PANG_BODY_MAX)
        return "id of a commit";
    size_t bytes = c->id_key.len + c->id_body.len;
    const char *breach = breach_of_appends(c);
    if (breach == NULL)
        breach = breach_of_keys(c, &bytes);
    for (size_t i = 0; i < c->n_puts && breach == NULL; i++)
        breach = breach_of_put(c, &c->puts[i], &bytes);
    if (breach == NULL && bytes > PANG_COMMIT_BYTES_MAX)
        breach = too_big;
    return breach;
}

static void clear_result(pang_commit *c)
{
    c->outcome = PANG_COMMIT_FAILED;
    memset(c->numbers, 0, sizeof c->numbers);
    c->time_ms = 0;
    c->first_version = 0;
    c->failed_check = c->n_checks;
    c->id_was_there = false;
    c->err.code = PANG_OK;
    c->err.reason = NULL;
    c->err.message[0] = '\0';
    c->err.detail[0] = '\0';
}

void pang_store_apply(pang_store *store, pang_commit *const *commits, size_t n)
{
    const pang_store_ops *ops = ops_of(store);
    size_t from = 0; /* all before are done with; [from, i) is within bounds */
    for (size_t i = 0; i < n; i++) {
        clear_result(commits[i]);
        const char *breach = breach_of(commits[i]);
        if (breach == NULL)
            continue;
        (void)refuse(&commits[i]->err, breach);
        if (i > from)
            ops->apply(store, commits + from, i - from);
        from = i + 1;
    }
    if (n > from)
        ops->apply(store, commits + from, n - from);
}

/* ---- settling ---- */

static void pause_ms(int64_t ms)
{
    struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)nanosleep(&wait, NULL);
}

/* The id is there: by the commit itself, or by an earlier void one. */
static bool learn_from_id(pang_store *store, pang_commit *c, int64_t deadline_ms)
{
    pang_arena *arena = pang_arena_new(PANG_BODY_MAX + 64 * 1024);
    if (arena == NULL)
        return false;
    pang_ref ref = {.key = c->id_key, .mode = PANG_REF_EXACT};
    pang_record found = {0};
    bool known = pang_store_get(store, &ref, 1, deadline_ms, arena, &found, &c->err) == PANG_OK &&
                 found.version != 0;
    if (known && found.value == PANG_ID_VOID) {
        c->outcome = PANG_COMMIT_ABORTED;
    } else if (known) {
        c->outcome = PANG_COMMIT_OK;
        c->numbers[0] = found.sequence;
        c->time_ms = found.time_ms;
    }
    pang_arena_free(arena);
    return known;
}

static bool settle(pang_store *store, pang_commit *c, int64_t deadline_ms)
{
    pang_commit mark = {.scope = c->scope, .id = c->id, .id_key = c->id_key, .is_void = true};
    pang_commit *const one[] = {&mark};
    pang_store_apply(store, one, 1);
    if (mark.outcome == PANG_COMMIT_OK) {
        c->outcome = PANG_COMMIT_ABORTED;
        return true;
    }
    if (mark.outcome == PANG_COMMIT_ABORTED)
        return learn_from_id(store, c, deadline_ms);
    return false;
}

void pang_store_resolve(pang_store *store, pang_commit *commit, int64_t deadline_ms)
{
    assert(commit->outcome == PANG_COMMIT_UNKNOWN);
    int64_t pause = RESOLVE_PAUSE_MIN_MS;
    for (int i = 0; i < RESOLVE_TRIES; i++) {
        if (settle(store, commit, deadline_ms))
            return;
        if (deadline_ms != PANG_NO_DEADLINE && pang_env_mono_ms(store->env) + pause >= deadline_ms)
            return;
        pause_ms(pause);
        pause = pause * 2 > RESOLVE_PAUSE_MAX_MS ? RESOLVE_PAUSE_MAX_MS : pause * 2;
    }
}
