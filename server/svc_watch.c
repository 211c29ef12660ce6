/*
 * Watching: commits as they land, as a stream and as a call that waits. Both look in pieces: they
 * read the catalog's sequence, then what has landed up to that number. The store gives numbers to
 * commits as they land, so when it shows a number it shows everything with smaller ones, and what
 * is passed on is in order and whole. Where there is nothing they sleep until a commit of this
 * process rings, or a while, since other servers' commits do not ring here.
 */
#include <string.h>

#include "server/feed.h"
#include "server/health.h"
#include "server/pages.h"
#include "server/svc_commit.h"
#include "server/svc_manage.h"
#include "server/svc_names.h"

typedef Pangolin__V1__Commit commit_out;
typedef Pangolin__V1__PollCommitsRequest poll_in;
typedef Pangolin__V1__PollCommitsResponse poll_out;
typedef Pangolin__V1__WatchCommitsRequest watch_in;
typedef Pangolin__V1__WatchCommitsResponse watch_out;

enum {
    LOOK_EVERY_MS = 200, /* for what other servers commit */
    PIECE_COMMITS = 32,  /* passed on before permission is asked again */
    WAIT_MAX_S = 25,     /* of one call; less than a call may take */
    WAIT_MARGIN_MS = 1000,
    LOOK_MEMORY = 64 << 20, /* of one piece */
    BEAT_DEFAULT_S = 15,
    BEAT_MAX_S = 3600,
};

/* ---- following ---- */

/* What a request asks for: two messages have the same. */
typedef struct {
    const char *catalog, *after_commit, *branch, *author, *table;
    bool has_after;
    int64_t after;
} asked;

/* Where one client is. */
typedef struct {
    asked in;
    bool begun;
    uint64_t after; /* all up to this was passed on, or left out */
    uint64_t seen;  /* what a look will move it to */
    commit_out **commits;
    size_t n;
    pang_str sequence_key;
    uint32_t mark; /* of the sequence, of before the look */
} follower;

static pang_code bad_after(pang_err *err, const char *why)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "after %s", why);
}

/* Where to begin, as the request says. */
static pang_code begin_at(follower *f, pang_view *view, uint64_t last, pang_err *err)
{
    pang_commit_row row;
    pang_id id;
    if (f->in.after_commit[0] != '\0') {
        pang_code code = pang_manage_id("after_commit", f->in.after_commit, &id, err);
        if (code == PANG_OK)
            code = pang_commit_by_id(view, id, &row, err);
        if (code == PANG_OK && row.body == NULL)
            code = pang_manage_absent("commit", f->in.after_commit, err);
        if (code == PANG_OK)
            f->after = row.sequence;
        return code;
    }
    if (!f->in.has_after) {
        f->after = last;
        return PANG_OK;
    }
    if (f->in.after < 0)
        return bad_after(err, "must not be negative");
    if ((uint64_t)f->in.after > last)
        return bad_after(err, "is a number that the catalog has not come to");
    f->after = (uint64_t)f->in.after;
    return PANG_OK;
}

/* After reading: what was missing by then is below the floor. */
static pang_code check_floor(const follower *f, pang_view *view, pang_err *err)
{
    pang_floor floor;
    pang_code code = pang_floor_of(view, &floor, err);
    if (code == PANG_OK && f->after < floor.number)
        code = pang_fail(err, PANG_OUT_OF_RANGE, PANG_BAD_REQUEST,
                         "commits after %llu are not all kept any more: begin after %llu",
                         (unsigned long long)f->after, (unsigned long long)floor.number);
    return code;
}

/* Of large commits as many as fit. *ret_n: how many points were looked at. */
static pang_code show_points(follower *f, pang_view *view, const pang_point *points, size_t n,
                             size_t *ret_n, pang_err *err)
{
    size_t listed = 0;

    pang_commit_filter filter;
    pang_commit_shape shape = {.changes_max = PANG_LOG_CHANGES_MAX,
                               .details_left = PANG_LOG_DETAILS_MAX};
    pang_code code = pang_commit_filter_read(view, f->in.author, f->in.table, &filter, err);
    if (code != PANG_OK)
        return code;
    f->commits = pang_arena_alloc_n(view->arena, n, sizeof *f->commits);
    if (f->commits == NULL)
        return pang_fail_memory(err);
    *ret_n = 0;
    while (code == PANG_OK && *ret_n < n && listed < PANG_LOG_LISTED_MAX) {
        pang_commit_row row;
        code = pang_commit_at(view, points[(*ret_n)++], &row, err);
        if (code != PANG_OK || row.body == NULL)
            continue;
        listed += row.body->n_changes;
        if (pang_commit_matches(&filter, &row))
            code = pang_commit_show(view, &row, &shape, &f->commits[f->n++], err);
    }
    return code;
}

/* What is there beyond `after`, at most so much. Moves `seen`, not `after`: what was read may prove
 * to be stale, and is then read again. */
static pang_code look(pang_call *call, follower *f, size_t most, pang_err *err)
{
    pang_view view;
    uint64_t last = 0;
    size_t n = 0;
    f->n = 0;
    pang_code code = pang_commit_view(call, f->in.catalog, f->in.branch, &view, err);
    if (code != PANG_OK)
        return code;
    if (f->in.branch[0] != '\0' && !view.writable)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "\"%.255s\" is no branch",
                         f->in.branch);
    f->sequence_key = pang_key_sequence(&view.keys, view.catalog);
    f->mark = pang_db_mark(call->server->db, f->sequence_key);
    code = pang_view_sequence(&view, &last, err);
    if (code == PANG_OK && !f->begun)
        code = begin_at(f, &view, last, err);
    if (code == PANG_OK)
        code = pang_log_view(&view, err);
    if (code != PANG_OK)
        return code;
    f->begun = true;
    f->seen = f->after;
    if (last <= f->after)
        return PANG_OK;
    pang_point *points = pang_arena_alloc_n(call->arena, most, sizeof *points);
    if (points == NULL)
        return pang_fail_memory(err);
    code = pang_feed_read(&view, f->in.branch[0] == '\0', f->after, last, points, most, &n, err);
    if (code != PANG_OK)
        return code;
    size_t looked = 0;
    code = show_points(f, &view, points, n, &looked, err);
    if (code == PANG_OK)
        f->seen = looked == most || looked < n ? points[looked - 1].sequence : last;
    return code == PANG_OK ? check_floor(f, &view, err) : code;
}

static bool stops(const pang_call *call)
{
    const pang_health *health = call->server->health;
    return health != NULL && pang_health_get(health) == PANG_DRAINING;
}

static void sleep_until_ringing(pang_call *call, const follower *f, int64_t most_ms)
{
    pang_db_wait(call->server->db, f->sequence_key, f->mark,
                 most_ms < LOOK_EVERY_MS ? most_ms : LOOK_EVERY_MS);
}

/* ---- the call that waits ---- */

static pang_code wait_of(const pang_call *call, int32_t timeout_s, int64_t *ret_until_ms,
                         pang_err *err)
{
    if (timeout_s < 0 || timeout_s > WAIT_MAX_S)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "timeout must be 0 to %d seconds, not %d", WAIT_MAX_S, timeout_s);
    *ret_until_ms = pang_env_mono_ms(call->server->env) + 1000 * (int64_t)timeout_s;
    if (*ret_until_ms > call->deadline_ms - WAIT_MARGIN_MS)
        *ret_until_ms = call->deadline_ms - WAIT_MARGIN_MS;
    return PANG_OK;
}

/* What attempts of one call share: where it is, and when it ends. */
typedef struct {
    uint64_t after;
    int64_t until_ms;
} kept_wait;

static pang_code open_wait(pang_call *call, const poll_in *in, follower *f, int64_t *ret_until_ms,
                           pang_err *err)
{
    const kept_wait *kept = call->carried;
    f->in = (asked){
        in->catalog, in->after_commit,
        in->branch,  in->author,
        in->table,   in->_after_case == PANGOLIN__V1__POLL_COMMITS_REQUEST___AFTER_AFTER,
        in->after};
    if (kept == NULL)
        return wait_of(call, in->timeout, ret_until_ms, err);
    f->begun = true;
    f->after = kept->after;
    *ret_until_ms = kept->until_ms;
    return PANG_OK;
}

static pang_code keep_wait(pang_call *call, const follower *f, int64_t until_ms, pang_err *err)
{
    kept_wait *kept = call->carried;
    if (call->lasting == NULL)
        return PANG_OK;
    if (kept == NULL)
        kept = pang_arena_alloc(call->lasting, sizeof *kept);
    if (kept == NULL)
        return pang_fail_memory(err);
    *kept = (kept_wait){f->after, until_ms};
    call->carried = kept;
    return PANG_OK;
}

/* One look in memory and a transaction of its own: what it read is known to hold when it returns,
 * and is forgotten with the next look. */
static pang_code look_apart(pang_call *call, follower *f, pang_arena *scratch, pang_err *err)
{
    pang_arena *arena = call->arena;
    pang_txn *txn = call->txn;
    pang_arena_reset(scratch);
    call->arena = scratch;
    call->txn = pang_txn_begin(call->server->db, call->tenant_key, call->deadline_ms, scratch);
    pang_code code = call->txn == NULL ? pang_fail_memory(err) : PANG_OK;
    if (code == PANG_OK)
        code = look(call, f, PIECE_COMMITS, err);
    if (code == PANG_OK)
        code = pang_txn_finish(call->txn, err);
    call->arena = arena;
    call->txn = txn;
    return code;
}

static bool goes_on(const pang_call *call, int64_t until_ms)
{
    return pang_env_mono_ms(call->server->env) < until_ms && !stops(call) &&
           !pang_call_cancelled(call);
}

/* Passes by what is not asked for, and sleeps where there is nothing. *ret: there is something to
 * say, of commits or of a failure; the call's own transaction, which is older, cannot say it. */
static pang_code wait_apart(pang_call *call, follower *f, int64_t until_ms, bool *ret,
                            pang_err *err)
{
    pang_arena *scratch = pang_arena_new(LOOK_MEMORY);
    pang_err ignored;
    pang_code code = scratch == NULL ? pang_fail_memory(err) : PANG_OK;
    while (code == PANG_OK && !*ret && goes_on(call, until_ms)) {
        pang_code looked = look_apart(call, f, scratch, &ignored);
        *ret = looked != PANG_ABORTED && (looked != PANG_OK || f->n > 0);
        if (looked != PANG_OK || *ret)
            continue;
        bool idle = f->seen == f->after;
        f->after = f->seen;
        code = keep_wait(call, f, until_ms, err);
        if (idle)
            sleep_until_ringing(call, f, until_ms - pang_env_mono_ms(call->server->env));
    }
    pang_arena_free(scratch);
    return code;
}

/* What is found by waiting is read by a new attempt, which asks anew what the caller may. The last
 * attempt leaves it to the caller's next call. */
pang_code pang_poll_commits(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const poll_in *in = request;
    poll_out *out = reply;
    follower f = {0};
    size_t most = 0;
    int64_t until_ms = 0;
    bool found = false;
    pang_code code = pang_commit_page_size(in->page_size, &most, err);
    if (code == PANG_OK)
        code = open_wait(call, in, &f, &until_ms, err);
    if (code == PANG_OK)
        code = look(call, &f, most, err);
    if (code == PANG_OK)
        code = keep_wait(call, &f, until_ms, err);
    out->next = (int64_t)f.seen;
    out->commits = f.commits;
    out->n_commits = f.n;
    if (code != PANG_OK || f.n > 0 || !goes_on(call, until_ms))
        return code;
    code = wait_apart(call, &f, until_ms, &found, err);
    if (code == PANG_OK && found && call->attempt + 1 < PANG_TXN_TRIES)
        return pang_fail(err, PANG_ABORTED, NULL, "commits have landed");
    out->commits = NULL;
    out->next = (int64_t)f.after;
    return code;
}

/* ---- the stream ---- */

typedef struct {
    pang_call *call;
    pang_stream *stream;
    follower f;
    int64_t beat_ms, sent_ms; /* sent_ms: when the client heard of us last; 0: never */
} watching;

static pang_code pass_on(watching *w, commit_out *commit, uint64_t next, pang_err *err)
{
    watch_out out = PANGOLIN__V1__WATCH_COMMITS_RESPONSE__INIT;
    out.commit = commit;
    out.next = (int64_t)next;
    w->sent_ms = pang_env_mono_ms(w->call->server->env);
    return pang_stream_send(w->stream, &out, err);
}

/* One piece: what was read is passed on once it is known to hold. */
static pang_code watch_piece(watching *w, pang_err *err)
{
    follower *f = &w->f;
    pang_code code = pang_stream_begin(w->stream, err);
    if (code == PANG_OK)
        code = look(w->call, f, PIECE_COMMITS, err);
    if (code == PANG_OK)
        code = pang_txn_finish(w->call->txn, err);
    if (code != PANG_OK)
        return code;
    bool first = w->sent_ms == 0;
    if (first)
        code = pass_on(w, NULL, f->after, err);
    for (size_t i = 0; code == PANG_OK && i < f->n; i++)
        code = pass_on(w, f->commits[i], (uint64_t)f->commits[i]->sequence, err);
    bool idle = f->seen == f->after;
    f->after = f->seen;
    int64_t left_ms = w->sent_ms + w->beat_ms - pang_env_mono_ms(w->call->server->env);
    if (code == PANG_OK && left_ms <= 0)
        code = pass_on(w, NULL, f->after, err);
    if (code == PANG_OK && idle)
        sleep_until_ringing(w->call, f, left_ms > 0 ? left_ms : w->beat_ms);
    return code;
}

static pang_code begin_watching(watching *w, const watch_in *in, pang_err *err)
{
    if (in->heartbeat < 0 || in->heartbeat > BEAT_MAX_S)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "heartbeat must be 1 to %d seconds, not %d", BEAT_MAX_S, in->heartbeat);
    w->beat_ms = 1000 * (int64_t)(in->heartbeat == 0 ? BEAT_DEFAULT_S : in->heartbeat);
    w->f.in = (asked){
        in->catalog, in->after_commit,
        in->branch,  in->author,
        in->table,   in->_after_case == PANGOLIN__V1__WATCH_COMMITS_REQUEST___AFTER_AFTER,
        in->after};
    return PANG_OK;
}

pang_code pang_watch_commits(pang_call *call, pang_stream *stream, pang_err *err)
{
    const watch_in *in = NULL;
    watching w = {.call = call, .stream = stream};
    pang_code code = pang_stream_receive(stream, (const void **)&in, err);
    if (code == PANG_OK && in == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "the call has no message");
    if (code == PANG_OK)
        code = begin_watching(&w, in, err);
    for (unsigned lost = 0; code == PANG_OK;) {
        code = watch_piece(&w, err);
        lost = code == PANG_ABORTED ? lost + 1 : 0;
        if (code == PANG_ABORTED && lost < PANG_TXN_TRIES)
            code = PANG_OK;
        if (code == PANG_OK && stops(call))
            return pang_fail(err, PANG_UNAVAILABLE, NULL, "the server stops");
        if (code == PANG_OK && pang_call_cancelled(call))
            return pang_fail(err, PANG_CANCELLED, NULL, "the caller has gone");
    }
    return code;
}
