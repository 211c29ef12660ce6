/*
 * Replies: the fields that every reply has, compression, and what other origins may see.
 */
#include <stdio.h>
#include <time.h>
#include <zlib.h>

#include "api/log.h"
#include "bridge/request_internal.h"
#include "bridge/status.h"

enum { FIELDS_MAX = 24 };

typedef struct {
    pang_http_field list[FIELDS_MAX];
    size_t n;
} field_list;

static void add(field_list *fields, pang_str name, pang_str value)
{
    if (fields->n < FIELDS_MAX)
        fields->list[fields->n++] = (pang_http_field){name, value};
}

/* ---- compression ---- */

/* True when the client takes gzip: named, and not with q=0. */
static bool accepts_gzip(const pang_request_head *head)
{
    pang_str rest = pang_head_find(head, PANG_STR("accept-encoding")), one;
    while (rest.len > 0 && pang_str_next(&rest, ',', &one)) {
        size_t at = pang_str_find(one, ';');
        pang_str name = pang_str_trim(pang_str_slice(one, 0, at));
        pang_str weight = pang_str_trim(pang_str_after(one, at + 1));
        if (pang_str_equal_nocase(name, PANG_STR("gzip")))
            return !pang_str_equal(weight, PANG_STR("q=0")) &&
                   !pang_str_starts(weight, PANG_STR("q=0.0"));
    }
    return false;
}

/* The body compressed, or as it was when that gains nothing. */
static bool compress_body(pang_arena *arena, pang_str body, pang_str *ret)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.ptr, .avail_in = (uInt)body.len};
    if (deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    char *to = pang_arena_alloc_text(arena, body.len);
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)body.len;
    bool smaller = to != NULL && deflate(&z, Z_FINISH) == Z_STREAM_END;
    if (smaller)
        *ret = (pang_str){to, z.total_out};
    (void)deflateEnd(&z);
    return smaller;
}

static bool may_compress(const pang_request *request, const reply *r)
{
    return request->worker->bridge->gzip && !r->streamed && r->body.len >= PANG_GZIP_MIN &&
           r->body.len <= PANG_GZIP_MAX;
}

/* ---- other origins ---- */

static bool origin_allowed(const pang_bridge *bridge, pang_str origin)
{
    for (size_t i = 0; i < bridge->n_cors_origins; i++) {
        if (pang_str_equal(bridge->cors_origins[i], origin))
            return true;
    }
    return false;
}

static void add_cors(const pang_request *request, field_list *fields)
{
    const pang_bridge *bridge = request->worker->bridge;
    pang_str origin = pang_head_find(&request->head, PANG_STR("origin"));
    if (bridge->n_cors_origins == 0)
        return;
    add(fields, PANG_STR("vary"), PANG_STR("origin"));
    if (origin.len == 0 || !origin_allowed(bridge, origin))
        return;
    add(fields, PANG_STR("access-control-allow-origin"), origin);
    add(fields, PANG_STR("access-control-expose-headers"),
        PANG_STR("etag, x-request-id, x-next-page-token"));
    if (!pang_str_equal(request->head.verb, PANG_STR("OPTIONS")))
        return;
    add(fields, PANG_STR("access-control-allow-methods"),
        PANG_STR("GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS"));
    add(fields, PANG_STR("access-control-allow-headers"),
        PANG_STR("content-type, authorization, accept, x-pangolin-tenant, x-api-key, "
                 "idempotency-key, if-none-match, x-iceberg-access-delegation"));
    add(fields, PANG_STR("access-control-max-age"), PANG_STR("600"));
}

/* ---- the reply ---- */

/* The same text for all replies of a second. */
static pang_str date_of(pang_worker *worker)
{
    time_t now = (time_t)(pang_env_wall_ms(&pang_env_system) / 1000);
    struct tm utc;
    if (now != worker->date_s && gmtime_r(&now, &utc) != NULL &&
        strftime(worker->date, sizeof worker->date, "%a, %d %b %Y %H:%M:%S GMT", &utc) > 0)
        worker->date_s = now;
    return pang_str_from(worker->date);
}

/* A 401 names a scheme (RFC 9110, 15.5.2): the one that was tried, where it was Basic (RFC 6749,
 * 5.2). Who tried nothing is not told of Basic: browsers would ask people for a password. */
static void add_challenge(const pang_request *request, field_list *fields)
{
    const pang_str basic = PANG_STR("basic ");
    pang_str tried = pang_head_find(&request->head, PANG_STR("authorization"));
    bool is_basic = pang_str_equal_nocase(pang_str_slice(tried, 0, basic.len), basic);
    add(fields, PANG_STR("www-authenticate"),
        is_basic ? PANG_STR("Basic realm=\"pangolin\"") : PANG_STR("Bearer realm=\"pangolin\""));
}

static void add_common(pang_request *request, const reply *r, field_list *fields)
{
    add(fields, PANG_STR("date"), date_of(request->worker));
    if (r->body.len > 0 || r->streamed)
        add(fields, PANG_STR("content-type"),
            r->content_type.len > 0 ? r->content_type : PANG_STR("application/json"));
    if (request->id.len == 0) /* refused before its head was read */
        request->id = pang_request_id(request->worker, &request->head, request->arena);
    add(fields, PANG_STR("x-request-id"), request->id);
    add(fields, PANG_STR("x-content-type-options"), PANG_STR("nosniff"));
    if (request->worker->bridge->no_auth)
        add(fields, PANG_STR("pangolin-authentication"), PANG_STR("none"));
    if (r->allow.len > 0)
        add(fields, PANG_STR("allow"), r->allow);
    if (r->retry_after.len > 0)
        add(fields, PANG_STR("retry-after"), r->retry_after);
    if (r->status == 401)
        add_challenge(request, fields);
    add_cors(request, fields);
}

/* A compressed body is another representation: its tag is weak then (RFC 9110, 8.8.1). */
static pang_str weaken(pang_arena *arena, pang_str tag)
{
    if (pang_str_starts(tag, PANG_STR("W/")))
        return tag;
    return pang_arena_printf(arena, "W/%" PANG_STR_FMT, PANG_STR_ARG(tag));
}

void pang_request_reply(pang_request *request, const reply *r)
{
    field_list fields = {.n = 0};
    pang_str body = r->body;
    bool zipped = false;
    if (request->answered)
        return;
    request->answered = true;
    request->status = r->status;
    add_common(request, r, &fields);
    if (may_compress(request, r)) {
        add(&fields, PANG_STR("vary"), PANG_STR("accept-encoding"));
        zipped = accepts_gzip(&request->head) && compress_body(request->arena, body, &body);
    }
    if (zipped)
        add(&fields, PANG_STR("content-encoding"), PANG_STR("gzip"));
    for (size_t i = 0; i < r->n_fields; i++) {
        bool tag = zipped && pang_str_equal_nocase(r->fields[i].name, PANG_STR("etag"));
        add(&fields, r->fields[i].name,
            tag ? weaken(request->arena, r->fields[i].value) : r->fields[i].value);
    }
    bool bodiless = r->status == 204 || r->status == 304;
    bool last = bodiless || request->only_head || (!r->streamed && body.len == 0);
    request->sink->head(request->sink, r->status, fields.list, fields.n,
                        r->streamed ? -1 : (int64_t)body.len, last);
    if (!last && !r->streamed)
        request->sink->body(request->sink, body, true);
}

pang_dialect pang_request_dialect(const pang_request *request)
{
    if (request->match.method != NULL)
        return request->match.method->dialect;
    return pang_str_starts(request->path, PANG_STR("/api/")) ? PANG_DIALECT_MANAGEMENT
                                                             : PANG_DIALECT_ICEBERG;
}

/* An UNKNOWN that is no commit is an internal error; a read cannot have an unknown outcome. */
static pang_code real_code(const pang_request *request, pang_code code, pang_str reason)
{
    bool write = request->match.method != NULL &&
                 request->match.method->effect == PANG_EFFECT_WRITE;
    return code == PANG_UNKNOWN && !write && reason.len == 0 ? PANG_UNAVAILABLE : code;
}

void pang_request_fail(pang_request *request, pang_code code, pang_str reason, pang_str message,
                       pang_str retry_after)
{
    if (request->answered)
        return;
    code = real_code(request, code, reason);
    pang_dialect dialect = pang_request_dialect(request);
    reply r = {.status = pang_status_of(dialect, code, reason)};
    pang_str type = pang_status_type(dialect, code, reason);
    r.body = pang_status_body(dialect, r.status, type, message, request->arena);
    /* A client must not repeat a request that may have happened. */
    bool repeatable = r.status == 429 || (r.status == 503 && code != PANG_UNKNOWN);
    r.retry_after = retry_after.len == 0 && repeatable ? PANG_STR("1") : retry_after;
    if (r.status >= 500)
        PANG_LOG(WARN, "request failed", PANG_LOG_TEXT("request_id", request->id),
                 PANG_LOG_TEXT("method", request->head.verb), PANG_LOG_TEXT("path", request->path),
                 PANG_LOG_NUMBER("status", r.status), PANG_LOG_TEXT("message", message));
    pang_request_reply(request, &r);
}
