/*
 * The life of a request. It is routed when its head is complete, so that a body that is too large
 * or for nothing is refused before it comes; it is transcoded and sent when its body is; the reply
 * is transcoded when the core's is complete.
 *
 * A list without a page token is read page after page: the next page is asked for only when the
 * last one has left for the client, so neither process holds the list and a slow client slows only
 * its own.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "api/id.h"
#include "api/log.h"

#include "bridge/request_internal.h"
#include "bridge/status.h"

pang_request *pang_request_new(pang_worker *worker, pang_sink *sink, pang_str peer)
{
    pang_arena *arena = pang_arena_new(PANG_REQUEST_ARENA_MAX);
    pang_request *request = arena == NULL ? NULL : pang_arena_alloc(arena, sizeof *request);
    if (request == NULL || !pang_arena_copy(arena, peer, &request->peer)) {
        pang_arena_free(arena);
        return NULL;
    }
    request->worker = worker;
    request->sink = sink;
    request->arena = arena;
    request->body.arena = arena;
    request->route = PANG_ROUTE_NONE;
    request->begun_us = pang_metrics_clock();
    return request;
}

void pang_request_set_apart(pang_request *request)
{
    request->apart = true;
}

pang_arena *pang_request_arena(pang_request *request)
{
    return request->arena;
}

pang_request_head *pang_request_head_of(pang_request *request)
{
    return &request->head;
}

bool pang_request_answered(const pang_request *request)
{
    return request->answered;
}

static void log_access(const pang_request *request)
{
    PANG_LOG(DEBUG, "request", PANG_LOG_TEXT("request_id", request->id),
             PANG_LOG_TEXT("peer", request->peer), PANG_LOG_TEXT("method", request->head.verb),
             PANG_LOG_TEXT("path", request->path), PANG_LOG_NUMBER("status", request->status),
             PANG_LOG_NUMBER("micros", pang_metrics_clock() - request->begun_us));
}

void pang_request_free(pang_request *request)
{
    if (request == NULL)
        return;
    pang_upstream_cancel(request->call);
    if (request->counted)
        atomic_fetch_sub(&request->worker->bridge->in_flight, 1);
    if (request->held > 0)
        atomic_fetch_sub(&request->worker->bridge->body_bytes, request->held);
    if (request->answered)
        pang_metrics_count(request->worker->metrics, request->route, request->status,
                           pang_metrics_clock() - request->begun_us);
    if (pang_log_enabled(PANG_LOG_DEBUG))
        log_access(request);
    pang_arena_free(request->page_arena);
    pang_arena_free(request->arena);
}

/* ---- the head ---- */

pang_str pang_head_find(const pang_request_head *head, pang_str name)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        if (pang_str_equal(head->headers[i].name, name))
            return head->headers[i].value;
    }
    return PANG_STR("");
}

static bool is_fit_id(pang_str id)
{
    if (id.len == 0 || id.len > 128)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool fit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                   c == '-' || c == '_' || c == '.';
        if (!fit)
            return false;
    }
    return true;
}

/* A system call per request id would be a third of what parsing the request costs. */
static void take_chance(void *arg, void *to, size_t size)
{
    pang_worker *worker = arg;
    assert(size <= sizeof worker->chance);
    if (worker->n_chance < size) {
        pang_env_random(&pang_env_system, worker->chance, sizeof worker->chance);
        worker->n_chance = sizeof worker->chance;
    }
    worker->n_chance -= size;
    memcpy(to, worker->chance + worker->n_chance, size);
}

pang_str pang_request_id(pang_worker *worker, const pang_request_head *head, pang_arena *arena)
{
    pang_env env = pang_env_system;
    char text[PANG_ID_TEXT + 1];
    pang_str given = pang_head_find(head, PANG_STR("x-request-id")), id = PANG_STR("-");
    if (is_fit_id(given))
        return given;
    env.random = take_chance;
    env.arg = worker;
    pang_id_text(pang_id_v7(&env), text);
    (void)pang_arena_copy(arena, pang_str_from(text), &id);
    return id;
}

static bool wants_all(const pang_request *request)
{
    return pang_transcode_wants_all(request->match.method, request->message);
}

void pang_request_refuse(pang_request *request, pang_code code, const char *reason,
                         const char *message)
{
    pang_request_fail(request, code, pang_str_from(reason), pang_str_from(message), PANG_STR(""));
}

void pang_request_drain(pang_request *request)
{
    if (request->kind != ASKS_METHOD || request->call == NULL || request->answered ||
        !request->match.method->parks)
        return;
    pang_upstream_cancel(request->call);
    request->call = NULL;
    pang_request_fail(request, PANG_UNAVAILABLE, PANG_STR(""), PANG_STR("the server stops"),
                      PANG_STR("1"));
}

static void refuse_err(pang_request *request, const pang_err *err)
{
    pang_request_refuse(request, err->code, err->reason, err->message);
}

/* True when one more request may be under way. */
static bool admit(pang_request *request)
{
    pang_bridge *bridge = request->worker->bridge;
    request->counted = true;
    if (atomic_fetch_add(&bridge->in_flight, 1) < bridge->max_in_flight)
        return true;
    pang_request_fail(request, PANG_RESOURCE_EXHAUSTED, PANG_STR("TooManyRequests"),
                      PANG_STR("too many requests are under way"), PANG_STR("1"));
    return false;
}

/* True when the body is a form: where one is allowed, what is not said to be JSON is one. */
static bool is_form(const pang_request *request)
{
    pang_str type = pang_head_find(&request->head, PANG_STR("content-type"));
    type = pang_str_trim(pang_str_slice(type, 0, pang_str_find(type, ';')));
    return request->match.method->form &&
           (type.len == 0 ||
            pang_str_equal_nocase(type, PANG_STR("application/x-www-form-urlencoded")));
}

/* NULL, or why the head's description of the body is refused. A packed body could be a thousand
 * times what it says; and JSON under another name is somebody's mistake. */
static const char *fault_of_head(const pang_request *request)
{
    pang_str encoding = pang_head_find(&request->head, PANG_STR("content-encoding"));
    pang_str type = pang_head_find(&request->head, PANG_STR("content-type"));
    type = pang_str_trim(pang_str_slice(type, 0, pang_str_find(type, ';')));
    if (encoding.len > 0 && !pang_str_equal_nocase(encoding, PANG_STR("identity")))
        return "compressed request bodies are not supported";
    if (request->match.binding->body.len == 0 || type.len == 0 || is_form(request) ||
        pang_str_equal_nocase(type, PANG_STR("application/json")))
        return NULL;
    return "the request body must be application/json";
}

bool pang_request_begin(pang_request *request)
{
    pang_str allow = PANG_STR(""), target = request->head.target;
    pang_err err;
    size_t at = pang_str_find(target, '?');
    request->path = pang_str_slice(target, 0, at);
    request->query = pang_str_after(target, at + 1);
    request->id = pang_request_id(request->worker, &request->head, request->arena);
    request->only_head = pang_str_equal(request->head.verb, PANG_STR("HEAD"));
    if (pang_request_page(request))
        return true; /* a body is read and forgotten */
    if (request->apart) {
        pang_request_refuse(request, PANG_NOT_FOUND, "NotFoundException",
                            "only /metrics and /health are served here");
        return false;
    }
    pang_code code = pang_router_match(request->worker->bridge->router, request->head.verb,
                                       request->path, request->arena, &request->match, &allow,
                                       &err);
    if (code != PANG_OK && allow.len > 0) {
        pang_str type = PANG_STR("MethodNotAllowed");
        pang_dialect dialect = pang_request_dialect(request);
        reply r = {.status = pang_status_of(dialect, code, type), .allow = allow};
        r.body = pang_status_body(dialect, r.status, type, pang_str_from(err.message),
                                  request->arena);
        pang_request_reply(request, &r);
        return false;
    }
    if (code != PANG_OK) {
        refuse_err(request, &err);
        return false;
    }
    request->route = (int)request->match.method->index;
    const char *fault = fault_of_head(request);
    if (fault != NULL) {
        pang_request_refuse(request, PANG_INVALID_ARGUMENT, "UnsupportedMediaType", fault);
        return false;
    }
    request->kind = ASKS_METHOD;
    request->body_limit = request->match.method->body_limit;
    if (request->body_limit > request->worker->bridge->max_body)
        request->body_limit = request->worker->bridge->max_body;
    return admit(request);
}

/* ---- the body ---- */

static bool refuse_large(pang_request *request)
{
    char message[80];
    int len = snprintf(message, sizeof message, "the request body is larger than %zu bytes",
                       request->body_limit);
    pang_request_fail(request, PANG_RESOURCE_EXHAUSTED, PANG_STR("PayloadTooLarge"),
                      (pang_str){message, (size_t)len}, PANG_STR(""));
    return false;
}

bool pang_request_expect(pang_request *request, uint64_t length)
{
    if (request->kind != ASKS_METHOD)
        return !request->answered;
    if (length > request->body_limit)
        return refuse_large(request);
    (void)pang_buf_room(&request->body, (size_t)length + 1);
    return true;
}

/* Counts bytes of bodies, of all requests together: who they are from is not known yet. */
static bool hold(pang_request *request, size_t n)
{
    atomic_int_fast64_t *all = &request->worker->bridge->body_bytes;
    request->held += (int64_t)n;
    return atomic_fetch_add(all, (int64_t)n) + (int64_t)n <= PANG_BODIES_MAX;
}

bool pang_request_body(pang_request *request, pang_str bytes)
{
    if (request->kind != ASKS_METHOD || request->answered)
        return !request->answered;
    if (bytes.len > request->body_limit - request->body.len)
        return refuse_large(request);
    if (!hold(request, bytes.len)) {
        pang_request_fail(request, PANG_RESOURCE_EXHAUSTED, PANG_STR("TooManyRequests"),
                          PANG_STR("too many large requests are under way"), PANG_STR("1"));
        return false;
    }
    pang_buf_add(&request->body, bytes);
    if (!request->body.failed)
        return true;
    pang_request_refuse(request, PANG_RESOURCE_EXHAUSTED, NULL, "out of memory");
    return false;
}

/* ---- the call ---- */

size_t pang_request_metadata(const pang_worker *worker, const pang_request_head *head,
                             pang_str peer, pang_str id,
                             pang_http_field list[PANG_UPSTREAM_METADATA_MAX])
{
    static const struct {
        pang_str header, metadata;
    } named[] = {
        /* Under its own name it would be sent whole, Huffman-coded, with every request. */
        {PANG_STR_INIT("authorization"), PANG_STR_INIT("pangolin-authorization")},
        {PANG_STR_INIT("x-api-key"), PANG_STR_INIT("x-api-key")},
        {PANG_STR_INIT("x-pangolin-tenant"), PANG_STR_INIT("x-pangolin-tenant")},
        {PANG_STR_INIT("traceparent"), PANG_STR_INIT("traceparent")},
        {PANG_STR_INIT("user-agent"), PANG_STR_INIT("pangolin-user-agent")},
    };
    size_t n = 0;
    pang_str client = pang_proxies_client(&worker->bridge->proxies, peer,
                                          pang_head_find(head, PANG_STR("x-forwarded-for")));
    list[n++] = (pang_http_field){PANG_STR("x-request-id"), id};
    list[n++] = (pang_http_field){PANG_STR("pangolin-client-address"), client};
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        pang_str value = pang_head_find(head, named[i].header);
        if (value.len > 0)
            list[n++] = (pang_http_field){named[i].metadata, value};
    }
    return n;
}

static void on_data(void *arg, const uint8_t *bytes, size_t len)
{
    pang_request *request = arg;
    size_t all = len;
    while (len > 0 && request->n_prefix < sizeof request->prefix) {
        request->prefix[request->n_prefix++] = *bytes++;
        len--;
        if (request->n_prefix < sizeof request->prefix)
            continue;
        const uint8_t *p = request->prefix;
        request->reply_want = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
        request->too_large = p[0] != 0 || request->reply_want > PANG_REPLY_MAX;
        pang_arena *arena = request->page_arena != NULL ? request->page_arena : request->arena;
        request->reply = request->too_large ? NULL
                                            : pang_arena_alloc_text(arena, request->reply_want + 1);
    }
    size_t room = request->reply_want - request->reply_len;
    size_t n = len < room ? len : room;
    if (n > 0 && request->reply != NULL)
        memcpy(request->reply + request->reply_len, bytes, n);
    request->reply_len += n;
    pang_upstream_consumed(request->call, all);
}

static pang_str reply_message(const pang_request *request)
{
    return (pang_str){request->reply, request->reply_len};
}

/* A reply that came whole, or why it did not. */
static bool has_reply(pang_request *request, const pang_upstream_status *status)
{
    if (status->code != PANG_OK) {
        pang_request_fail(request, status->code, status->reason, status->message,
                          status->retry_after);
        return false;
    }
    if (request->n_prefix == sizeof request->prefix && request->reply != NULL &&
        request->reply_len == request->reply_want)
        return true;
    pang_request_refuse(request, PANG_INTERNAL, NULL,
                        request->too_large ? "the server's reply is too large"
                                           : "the server's reply is not whole");
    return false;
}

static void answer_method(pang_request *request)
{
    pang_transcode_reply out;
    pang_err err;
    pang_code code = pang_transcode_out(request->worker->bridge->schema, request->match.method,
                                        reply_message(request), request->arena, &out, &err);
    if (code != PANG_OK) {
        refuse_err(request, &err);
        return;
    }
    reply r = {
        .status = out.status, .body = out.body, .fields = out.headers, .n_fields = out.n_headers};
    pang_request_reply(request, &r);
}

/* ---- lists, page by page ---- */

static void abort_list(pang_request *request, const char *why)
{
    PANG_LOG(WARN, "list cut short", PANG_LOG_TEXT("request_id", request->id),
             PANG_LOG_TEXT("why", pang_str_from(why)));
    request->list_done = true;
    request->sink->abort(request->sink);
}

static void ask_page(pang_request *request)
{
    pang_str page;
    pang_err err;
    pang_str token = request->next_token;
    if (request->page_arena == NULL)
        request->page_arena = pang_arena_new(PANG_REQUEST_ARENA_MAX);
    /* The token lies in the page's arena, which goes with the page. */
    char kept[2048] = "";
    if (request->page_arena == NULL || token.len > sizeof kept) {
        pang_request_refuse(request, PANG_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return;
    }
    if (token.len > 0)
        memcpy(kept, token.ptr, token.len);
    pang_arena_reset(request->page_arena);
    if (pang_transcode_page(request->match.method, request->message, (pang_str){kept, token.len},
                            PANG_LIST_PAGE, request->page_arena, &page, &err) != PANG_OK) {
        refuse_err(request, &err);
        return;
    }
    pang_request_call(request, request->match.method->path, page,
                      request->match.method->deadline_ms);
}

static void answer_page(pang_request *request)
{
    pang_str text, token;
    pang_err err;
    const pang_schema_method *method = request->match.method;
    pang_code code = pang_transcode_list_part(request->worker->bridge->schema, method,
                                              reply_message(request), !request->list_begun,
                                              request->page_arena, &text, &token, &err);
    if (code != PANG_OK && request->list_open) {
        abort_list(request, err.message);
        return;
    }
    if (code != PANG_OK) {
        refuse_err(request, &err);
        return;
    }
    request->next_token = token;
    request->list_begun = request->list_begun || text.len > 0;
    bool first = !request->list_open, last = token.len == 0;
    pang_buf whole = {.arena = request->page_arena};
    if (first)
        pang_buf_add(&whole, pang_transcode_list_begin(request->worker->bridge->schema, method,
                                                       request->page_arena));
    pang_buf_add(&whole, text);
    if (last)
        pang_buf_add(&whole, pang_transcode_list_end(request->worker->bridge->schema, method));
    if (whole.failed) {
        pang_request_refuse(request, PANG_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return;
    }
    request->list_open = true;
    request->list_done = last;
    if (first) {
        reply r = {.status = 200, .body = pang_buf_str(&whole), .streamed = !last};
        if (method->paging_lines)
            r.content_type = PANG_STR("application/x-ndjson");
        pang_request_reply(request, &r);
        if (last || request->only_head)
            return;
    }
    request->sink->body(request->sink, pang_buf_str(&whole), last);
}

void pang_request_drained(pang_request *request)
{
    if (request->kind == ASKS_LIST && request->list_open && !request->list_done &&
        !request->only_head)
        ask_page(request);
}

static void on_done(void *arg, const pang_upstream_status *status)
{
    pang_request *request = arg;
    request->call = NULL;
    if (request->kind == ASKS_READY || request->kind == ASKS_METRICS) {
        pang_request_page_done(request, status);
        return;
    }
    if (request->list_open && status->code != PANG_OK) {
        abort_list(request, "a page failed");
        return;
    }
    if (!has_reply(request, status))
        return;
    if (request->kind == ASKS_LIST)
        answer_page(request);
    else
        answer_method(request);
}

static const pang_upstream_events call_events = {.data = on_data, .done = on_done};

void pang_request_call(pang_request *request, pang_str path, pang_str message, int64_t timeout_ms)
{
    pang_err err;
    pang_arena *arena = request->page_arena != NULL ? request->page_arena : request->arena;
    pang_http_field *metadata = pang_arena_alloc_n(arena, PANG_UPSTREAM_METADATA_MAX,
                                                   sizeof *metadata);
    char *framed = pang_arena_alloc_text(arena, message.len + 5);
    if (framed == NULL || metadata == NULL) {
        pang_request_refuse(request, PANG_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return;
    }
    framed[0] = 0;
    for (size_t i = 0; i < 4; i++)
        framed[1 + i] = (char)(message.len >> (24 - 8 * i));
    if (message.len > 0)
        memcpy(framed + 5, message.ptr, message.len);
    request->n_prefix = 0;
    request->reply = NULL;
    request->reply_len = request->reply_want = 0;
    if (timeout_ms > request->worker->bridge->request_ms)
        timeout_ms = request->worker->bridge->request_ms;
    pang_upstream_request call = {
        .path = path,
        .metadata = metadata,
        .n_metadata = pang_request_metadata(request->worker, &request->head, request->peer,
                                            request->id, metadata),
        .timeout_ms = timeout_ms,
        .message = {framed, message.len + 5},
    };
    if (pang_upstream_start(request->worker->upstream, &call, &call_events, request, &request->call,
                            &err) == PANG_OK)
        return;
    request->call = NULL;
    pang_upstream_status status = {.code = err.code,
                                   .message = pang_str_from(err.message),
                                   .reason = pang_str_from(err.reason),
                                   .retry_after = PANG_STR("1")};
    on_done(request, &status);
}

void pang_request_end(pang_request *request)
{
    pang_err err;
    if (request->answered || request->kind != ASKS_METHOD)
        return;
    pang_transcode_request in = {
        .query = request->query,
        .headers = request->head.headers,
        .n_headers = request->head.n_headers,
        .body = pang_buf_str(&request->body),
        .form = is_form(request),
    };
    pang_code code = pang_transcode_in(request->worker->bridge->schema, &request->match, &in,
                                       request->arena, &request->message, &err);
    if (code != PANG_OK) {
        refuse_err(request, &err);
        return;
    }
    if (wants_all(request)) {
        request->kind = ASKS_LIST;
        ask_page(request);
        return;
    }
    pang_request_call(request, request->match.method->path, request->message,
                      request->match.method->deadline_ms);
}
