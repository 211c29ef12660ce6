/*
 * Dispatch. Everything that a handler must not forget happens here, once, out of the rule: the
 * order of steps in run_once is the order of the design's invariants (who, may, do, audit,
 * commit). A handler's answer counts only once its transaction has ended well: an error that was
 * found out from a stale record is a lost race, too.
 */
#include "server/dispatch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <protobuf-c/protobuf-c.h>

#include "api/keys.h"
#include "api/log.h"
#include "api/upb.h"
#include "server/audit.h"
#include "server/authn.h"
#include "server/header_fields.h"
#include "server/idempotency.h"
#include "server/quota.h"
#include "server/strangers.h"

enum {
    START_MEMORY = 16 << 20, /* of all routes */
    EXEMPT_EXTRA = 64,       /* calls that are let in above the bound, so that health answers */
    BODY_SLACK = 64 << 10,   /* what a message holds besides the body: names from the path */
    FREE_RERUNS = 2,         /* lost races that are run again without a pause */
    SCOPE_BYTES = PANG_ID_HEX + 1,
};

struct pang_route {
    const pang_schema_method *rule;
    const pang_method *row; /* NULL: described, but not handled */
    const pang_authz_plan *plan;
    const ProtobufCFieldDescriptor *idempotency;          /* the request's field; NULL: none */
    const ProtobufCFieldDescriptor *message, *properties; /* the request's, about the commit */
    const ProtobufCFieldDescriptor *commit;               /* the reply's: the commit's id */
    bool has_txn, audits, waits, exempt;
    bool parks; /* holds a thread for long: counted among the streams */
    size_t body_max;
    int64_t time_ms;
};

struct pang_dispatcher {
    pang_dispatch_config config;
    pang_arena *arena;
    pang_route *routes; /* by rule->index */
    size_t n_routes;
    atomic_uint in_flight, streams;
    pang_quota *parked; /* of each tenant, of the streams */
};

/* One call on its way. */
typedef struct {
    pang_dispatcher *d;
    const pang_route *route;
    const pang_request *request;
    pang_call call;
    const void *in;
    ProtobufCMessage *out;
    pang_idempotency idempotency;
    const pang_access *accesses;
    size_t n_accesses;
    bool is_permitted, in_quota, in_parked;
    bool is_open; /* a stream whose beginning was audited */
    char scope[SCOPE_BYTES];
    char request_id[PANG_ID_TEXT + 1]; /* when the client sent none */
} run;

struct pang_stream {
    run *r;
};

bool pang_call_cancelled(const pang_call *call)
{
    pang_transport *transport = call->rpc;
    return (transport != NULL && atomic_load(&transport->cancelled)) ||
           pang_env_mono_ms(call->server->env) >= call->deadline_ms;
}

/* ---- start: rules and handlers are joined ---- */

static pang_code bad_method(pang_str path, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "method \"%" PANG_STR_FMT "\" %s",
                     PANG_STR_ARG(path), why);
}

static bool is_stream(const pang_schema_method *rule)
{
    return rule->client_streaming || rule->server_streaming;
}

static pang_code check_row(const pang_schema_method *rule, const pang_method *row, pang_err *err)
{
    if (strcmp(upb_MessageDef_FullName(rule->in), row->in->name) != 0 ||
        strcmp(upb_MessageDef_FullName(rule->out), row->out->name) != 0)
        return bad_method(rule->path, "has a handler for other messages", err);
    if (is_stream(rule) != (row->stream != NULL) || is_stream(rule) == (row->handle != NULL))
        return bad_method(rule->path, "has a handler of the wrong kind", err);
    bool only_reads = rule->effect == PANG_EFFECT_READ && (rule->audit_class == PANG_AUDIT_NONE ||
                                                           rule->audit_class == PANG_AUDIT_READ);
    if (is_stream(rule) && !only_reads)
        return bad_method(rule->path, "is a stream that writes", err);
    /* Who calls is kept beside the first message. */
    if (rule->client_streaming && !rule->is_public)
        return bad_method(rule->path, "is a stream of requests and not public", err);
    return PANG_OK;
}

static void fill_limits(const pang_dispatcher *d, pang_route *route)
{
    const pang_schema_method *rule = route->rule;
    bool is_local = d->config.server->db == NULL || pang_db_store(d->config.server->db)->ops->local;
    route->has_txn = rule->tenant != PANG_TENANT_NONE;
    route->audits = rule->audit_class == PANG_AUDIT_CHANGE ||
                    rule->audit_class == PANG_AUDIT_CREDENTIAL;
    route->waits = rule->waits || rule->effect == PANG_EFFECT_WRITE || route->audits ||
                   is_stream(rule) || (route->has_txn && !is_local) ||
                   (!rule->is_public && pang_authn_waits(d->config.authn));
    route->parks = is_stream(rule) || rule->parks;
    route->exempt = rule->is_public && !route->has_txn;
    route->body_max = rule->body_limit < d->config.body_max ? rule->body_limit
                                                            : d->config.body_max + BODY_SLACK;
    route->time_ms = rule->deadline_ms < d->config.timeout_ms ? rule->deadline_ms
                                                              : d->config.timeout_ms;
}

/* What a request that writes says beside itself, and its reply. */
static void join_headers(const pang_schema *schema, pang_route *route)
{
    const pang_schema_method *rule = route->rule;
    const pang_method *row = route->row;
    route->idempotency = pang_idempotency_field(schema, rule, row->in);
    route->message = pang_request_field(schema, rule->in, row->in,
                                        PANG_STR("X-Pangolin-Commit-Message"));
    route->properties = pang_request_field(schema, rule->in, row->in,
                                           PANG_STR("X-Pangolin-Commit-Properties"));
    route->commit = pang_response_field(schema, rule->out, row->out,
                                        PANG_STR("X-Pangolin-Commit-Id"));
}

static pang_code join_row(pang_dispatcher *d, const pang_method *row, pang_err *err)
{
    pang_str path = pang_str_from(row->path);
    const pang_schema_method *rule = pang_schema_find(d->config.server->schema, path);
    if (rule == NULL)
        return bad_method(path, "has a handler, but no description", err);
    pang_route *route = &d->routes[rule->index];
    if (route->row != NULL)
        return bad_method(path, "has two handlers", err);
    pang_code code = check_row(rule, row, err);
    if (code == PANG_OK)
        code = pang_authz_compile(rule, row->in, d->arena, &route->plan, err);
    if (code != PANG_OK)
        return code;
    route->row = row;
    if (rule->effect == PANG_EFFECT_WRITE)
        join_headers(d->config.server->schema, route);
    return PANG_OK;
}

static pang_code join_all(pang_dispatcher *d, pang_err *err)
{
    const pang_schema *schema = d->config.server->schema;
    d->n_routes = pang_schema_size(schema);
    d->routes = pang_arena_alloc_n(d->arena, d->n_routes, sizeof *d->routes);
    if (d->routes == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < d->n_routes; i++) {
        d->routes[i].rule = pang_schema_at(schema, i);
        fill_limits(d, &d->routes[i]);
    }
    for (const pang_service *const *s = d->config.services; *s != NULL; s++) {
        for (size_t i = 0; i < (*s)->n; i++) {
            pang_code code = join_row(d, &(*s)->methods[i], err);
            if (code != PANG_OK)
                return code;
        }
    }
    return PANG_OK;
}

/* No tenant takes all the threads that may be held for long: half are for the others. */
static pang_code open_parked(pang_dispatcher *d, pang_err *err)
{
    const pang_quota_config config = {
        .env = d->config.server->env,
        .at_once = d->config.streams_max > 1 ? d->config.streams_max / 2 : 1,
    };
    return pang_quota_open(&config, &d->parked, err);
}

pang_code pang_dispatch_open(const pang_dispatch_config *config, pang_dispatcher **ret,
                             pang_err *err)
{
    pang_code code = pang_authn_check_mode(config->server->evaluation, config->authn, err);
    if (code != PANG_OK)
        return code;
    if (config->evaluate == NULL && !config->server->evaluation)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "there is no evaluator of permissions");
    pang_dispatcher *d = calloc(1, sizeof *d);
    if (d == NULL)
        return pang_fail_memory(err);
    d->config = *config;
    if (config->server->evaluation)
        d->config.authn = NULL;
    d->arena = pang_arena_new(START_MEMORY);
    code = d->arena == NULL ? pang_fail_memory(err) : join_all(d, err);
    if (code == PANG_OK)
        code = open_parked(d, err);
    if (code != PANG_OK) {
        pang_dispatch_close(d);
        return code;
    }
    *ret = d;
    return PANG_OK;
}

void pang_dispatch_close(pang_dispatcher *dispatcher)
{
    if (dispatcher == NULL)
        return;
    pang_quota_close(dispatcher->parked);
    pang_arena_free(dispatcher->arena);
    free(dispatcher);
}

/* ---- routes and admission ---- */

const pang_route *pang_dispatch_find(const pang_dispatcher *d, pang_str path)
{
    const pang_schema_method *rule = pang_schema_find(d->config.server->schema, path);
    return rule == NULL ? NULL : &d->routes[rule->index];
}

bool pang_route_waits(const pang_route *route)
{
    return route->waits;
}

bool pang_route_is_stream(const pang_route *route)
{
    return is_stream(route->rule);
}

size_t pang_route_body_max(const pang_route *route)
{
    return route->body_max;
}

int64_t pang_route_deadline(const pang_dispatcher *d, const pang_route *route, int64_t now_ms,
                            int64_t client_deadline_ms)
{
    (void)d;
    if (is_stream(route->rule))
        return client_deadline_ms;
    int64_t own = now_ms + route->time_ms;
    return client_deadline_ms < own ? client_deadline_ms : own;
}

/* Adds one unless that exceeds the bound. */
static bool count_in(atomic_uint *count, unsigned max)
{
    if (atomic_fetch_add(count, 1) < max)
        return true;
    atomic_fetch_sub(count, 1);
    return false;
}

static pang_code refuse_load(pang_dispatcher *d, pang_answer *answer)
{
    pang_count(d->config.server->counters, PANG_COUNT_REFUSED);
    answer->retry_after_s = PANG_RETRY_AFTER_S;
    return answer->code = pang_fail(&answer->err, PANG_RESOURCE_EXHAUSTED, NULL,
                                    "too many requests at once; try again");
}

pang_code pang_dispatch_admit(pang_dispatcher *d, const pang_route *route, pang_answer *answer)
{
    unsigned max = d->config.in_flight_max + (route->exempt ? EXEMPT_EXTRA : 0);
    if (route->row == NULL)
        return answer->code = pang_fail(&answer->err, PANG_UNIMPLEMENTED, NULL,
                                        "this server does not serve the method");
    if (!count_in(&d->in_flight, max))
        return refuse_load(d, answer);
    if (route->parks && !count_in(&d->streams, d->config.streams_max)) {
        atomic_fetch_sub(&d->in_flight, 1);
        return refuse_load(d, answer);
    }
    return PANG_OK;
}

void pang_dispatch_leave(pang_dispatcher *d, const pang_route *route)
{
    if (route->parks)
        atomic_fetch_sub(&d->streams, 1);
    atomic_fetch_sub(&d->in_flight, 1);
}

unsigned pang_dispatch_in_flight(const pang_dispatcher *d)
{
    return atomic_load(&((pang_dispatcher *)(uintptr_t)d)->in_flight);
}

/* ---- the request ---- */

static void *take(void *arena, size_t size)
{
    return pang_arena_alloc(arena, size);
}

static void give_back(void *arena, void *bytes)
{
    (void)arena;
    (void)bytes;
}

/* In which tenant the call runs: the caller's, one that the message names, or none. */
static pang_code enter_tenant(run *r, pang_err *err)
{
    const pang_schema_method *rule = r->route->rule;
    pang_str field = pang_authz_tenant_field(r->route->plan, r->in);
    pang_code code = pang_authz_enter(rule, field, r->call.who, r->request->arena, &r->call.who,
                                      err);
    if (code != PANG_OK)
        return code;
    bool is_system = rule->tenant == PANG_TENANT_SYSTEM ||
                     (rule->tenant == PANG_TENANT_FIELD && rule->is_public && field.len == 0);
    pang_id_hex(r->call.who->tenant, r->scope);
    r->call.tenant_key = is_system ? PANG_SYSTEM_SCOPE : (pang_str){r->scope, PANG_ID_HEX};
    return PANG_OK;
}

/* Of its tenant's share. Root is nobody's storm, and unknown callers are of no tenant. */
static bool enter_quota(run *r, pang_err *err)
{
    const pang_principal *who = r->call.who;
    if (!who->is_known || who->kind == PANG_PRINCIPAL_ROOT || r->d->config.server->evaluation)
        return true;
    pang_code code = pang_quota_enter(r->d->config.quota, who->tenant, &r->call.retry_after_s, err);
    r->in_quota = code == PANG_OK;
    if (r->in_quota && r->route->parks) {
        code = pang_quota_enter(r->d->parked, who->tenant, &r->call.retry_after_s, err);
        r->in_parked = code == PANG_OK;
    }
    return code == PANG_OK;
}

static void leave_quota(const run *r, const pang_principal *who)
{
    if (r->in_parked)
        pang_quota_leave(r->d->parked, who->tenant);
    if (r->in_quota)
        pang_quota_leave(r->d->config.quota, who->tenant);
}

/* Validates the packed message, unpacks it, finds the tenant, and resolves what it needs
 * permission for. */
static pang_code bind_message(run *r, pang_str packed, pang_err *err)
{
    pang_arena *arena = r->request->arena;
    ProtobufCAllocator allocator = {take, give_back, arena};
    pang_code code = pang_schema_validate(r->d->config.server->schema, r->route->rule->in, packed,
                                          err);
    if (code != PANG_OK)
        return code;
    r->in = protobuf_c_message_unpack(r->route->row->in, &allocator, packed.len,
                                      (const uint8_t *)packed.ptr);
    if (r->in == NULL && pang_arena_failed(arena))
        return pang_fail_memory(err);
    if (r->in == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "the message is malformed");
    code = enter_tenant(r, err);
    if (code != PANG_OK)
        return code;
    return pang_authz_resolve(r->route->plan, r->in, arena, &r->accesses, &r->n_accesses, err);
}

static pang_code identify(run *r, pang_err *err)
{
    const pang_server_env *server = r->d->config.server;
    bool is_public = r->route->rule->is_public;
    unsigned *wait_s = &r->call.retry_after_s;
    pang_code code = PANG_OK;
    if (!is_public && r->d->config.authn != NULL)
        code = pang_stranger_may_try(server, r->request, wait_s, err);
    if (code == PANG_OK)
        code = pang_authn_identify(r->d->config.authn, is_public, r->request, r->request->arena,
                                   &r->call.who, err);
    if (code == PANG_UNAUTHENTICATED)
        code = pang_stranger_failed(server, r->request, r->route->waits, wait_s, err);
    return code;
}

static pang_code begin(run *r, pang_err *err)
{
    pang_call *call = &r->call;
    pang_code code = identify(r, err);
    if (code != PANG_OK)
        return code;
    pang_id_hex(call->who->tenant, r->scope);
    call->server = r->d->config.server;
    call->method = r->route->rule;
    call->arena = r->request->attempt;
    call->lasting = is_stream(r->route->rule) ? NULL : r->request->arena;
    call->deadline_ms = r->request->deadline_ms;
    call->tenant_key = (pang_str){r->scope, PANG_ID_HEX};
    call->rpc = r->request->transport;
    call->client_address = r->request->client_address;
    call->request_id = r->request->request_id;
    if (call->request_id.len == 0 && r->route->audits) {
        pang_id_text(pang_id_v7(call->server->env), r->request_id);
        call->request_id = (pang_str){r->request_id, PANG_ID_TEXT};
    }
    return PANG_OK;
}

/* ---- one run ---- */

static pang_code authorize(run *r, pang_err *err)
{
    if (r->d->config.evaluate == NULL)
        return PANG_OK; /* evaluation mode: open refuses it otherwise */
    if (r->d->config.authn != NULL) {
        pang_code code = pang_authn_confirm(r->d->config.authn, &r->call, err);
        if (code != PANG_OK)
            return code;
    }
    if (r->d->config.stand != NULL) {
        pang_code code = r->d->config.stand(r->d->config.evaluate_arg, &r->call, r->accesses,
                                            r->n_accesses, err);
        if (code != PANG_OK)
            return code;
    }
    return pang_authz_check(r->d->config.evaluate, r->d->config.evaluate_arg, &r->call, r->accesses,
                            r->n_accesses, err);
}

/* Whether the answer was given in full knowledge, and not for want of time, memory or a store. */
static bool is_verdict(pang_code code)
{
    return code == PANG_OK || pang_idempotency_is_terminal(code) ||
           code == PANG_PERMISSION_DENIED || code == PANG_OUT_OF_RANGE ||
           code == PANG_UNAUTHENTICATED;
}

static pang_code commit_success(run *r, pang_err *err)
{
    pang_code code = PANG_OK;
    if (r->route->rule->effect == PANG_EFFECT_READ && pang_txn_writes(r->call.txn))
        return pang_fail(err, PANG_INTERNAL, NULL, "a method that reads tried to write");
    if (r->idempotency.is_used)
        code = pang_idempotency_keep(&r->idempotency, &r->call, r->out, err);
    if (code == PANG_OK && r->route->audits)
        code = pang_audit_change(&r->call, r->request, r->d->config.server_id, r->accesses,
                                 r->n_accesses, r->out, err);
    if (code != PANG_OK)
        return code;
    /* A method that reads leaves nothing to check by a commit, which waits for the disk; one that
     * writes may have, even where it changed nothing. */
    bool only_read = r->route->rule->effect == PANG_EFFECT_READ && !pang_txn_writes(r->call.txn);
    return only_read ? pang_txn_finish(r->call.txn, err) : pang_txn_commit(r->call.txn, err);
}

/* A failure, or a reply that was given before: it holds if what it was read from holds. */
static pang_code confirm(run *r, pang_code outcome, pang_err *err)
{
    pang_err stale;
    if (!is_verdict(outcome) || pang_txn_finish(r->call.txn, &stale) == PANG_OK)
        return outcome;
    *err = stale;
    return stale.code;
}

/* The outcome is kept for repeats. That it could not be kept does not change it. */
static pang_code remember(run *r, pang_code outcome, pang_err *err)
{
    pang_err failure;
    if (!r->idempotency.is_used || !r->is_permitted || !r->call.who->is_known ||
        !pang_idempotency_is_terminal(outcome))
        return outcome; /* a refusal may end with a grant */
    pang_code code = pang_idempotency_remember(&r->idempotency, &r->call, err, &failure);
    if (code == PANG_ABORTED)
        return pang_fail(err, PANG_ABORTED, NULL, "another request with this key was faster");
    if (code != PANG_OK)
        pang_err_detail(err, "not remembered: %s", failure.message);
    return outcome;
}

/* Before the commit, so that nothing can fail after it: the id is known, and counts once it lands.
 */
static pang_code tell_commit(run *r, pang_err *err)
{
    char *text;
    if (r->route->commit == NULL || pang_id_is_nil(r->call.commit))
        return PANG_OK;
    text = pang_arena_alloc_text(r->call.arena, PANG_ID_TEXT + 1);
    if (text == NULL)
        return pang_fail_memory(err);
    pang_id_text(r->call.commit, text);
    *(char **)((char *)r->out + r->route->commit->offset) = text;
    return PANG_OK;
}

static pang_code run_once(run *r, pang_err *err)
{
    pang_call *call = &r->call;
    bool replayed = false;
    call->keep = (pang_str){0};
    call->note = (pang_audit_note){0};
    call->retry_after_s = 0;
    call->txn = NULL;
    call->commit_message = pang_field_text(r->route->message, r->in);
    call->commit_properties = pang_field_text(r->route->properties, r->in);
    call->commit = (pang_id){{0}};
    r->out = pang_arena_alloc(call->arena, r->route->row->out->sizeof_message);
    if (r->out == NULL)
        return pang_fail_memory(err);
    protobuf_c_message_init(r->route->row->out, r->out);
    if (r->route->has_txn) {
        call->txn = pang_txn_begin(call->server->db, call->tenant_key, call->deadline_ms,
                                   call->arena);
        if (call->txn == NULL)
            return pang_fail_memory(err);
    }
    pang_code code = authorize(r, err);
    r->is_permitted = code == PANG_OK;
    if (code == PANG_OK && r->idempotency.is_used)
        code = pang_idempotency_find(&r->idempotency, call, r->route->row, r->in, r->out, &replayed,
                                     err);
    if (code == PANG_OK && !replayed)
        code = r->route->row->handle(call, r->in, r->out, err);
    if (call->txn == NULL)
        return code;
    if (code == PANG_OK)
        code = tell_commit(r, err);
    if (code == PANG_OK && !replayed)
        return commit_success(r, err);
    pang_code confirmed = confirm(r, code, err);
    return confirmed != code || replayed ? confirmed : remember(r, code, err);
}

/* ---- all runs ---- */

static void pause_before(run *r, unsigned attempt)
{
    uint32_t chance;
    if (attempt <= FREE_RERUNS || !r->route->waits)
        return; /* on a queue's thread nobody may sleep */
    pang_env_random(r->call.server->env, &chance, sizeof chance);
    uint32_t most_ms = attempt < 6 ? 1u << attempt : PANG_PAUSE_MAX_MS;
    uint32_t us = most_ms * 500 + chance % (most_ms * 500);
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
}

static pang_code give_up(const run *r, pang_err *err)
{
    if (r->route->rule->effect == PANG_EFFECT_WRITE)
        return err->code;
    return pang_fail(err, PANG_UNAVAILABLE, NULL, "too many changes at once; try again");
}

/* Who asked for more than one call may have is told so: trying again is no use. */
static pang_code tell_memory(const run *r, pang_code code, pang_err *err)
{
    if (code != PANG_RESOURCE_EXHAUSTED ||
        !(pang_arena_failed(r->call.arena) || pang_arena_failed(r->request->arena)))
        return code;
    return pang_fail(err, code, NULL,
                     "the request needs more memory than one may use (call-memory): do it in "
                     "parts");
}

static pang_code run_unary(run *r, pang_err *err)
{
    pang_code code = bind_message(r, r->request->message, err);
    if (code == PANG_OK)
        code = pang_idempotency_begin(r->route->idempotency, r->in, r->request->message,
                                      &r->idempotency, err);
    while (code == PANG_OK) {
        if (pang_call_cancelled(&r->call))
            return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL, "the deadline has passed");
        code = run_once(r, err);
        if (code != PANG_ABORTED)
            return tell_memory(r, code, err);
        pang_count(r->call.server->counters, PANG_COUNT_RERUNS);
        if (r->call.attempt + 1 == PANG_TXN_TRIES)
            return give_up(r, err);
        r->call.attempt++;
        pang_arena_reset(r->call.arena);
        pause_before(r, r->call.attempt);
        code = PANG_OK;
    }
    return code;
}

/* What is not in the commit of the call itself is written to the audit log now. */
static pang_code audit_end(run *r, pang_code code, pang_err *err)
{
    bool denied = code == PANG_PERMISSION_DENIED || (code == PANG_NOT_FOUND && !r->is_permitted);
    if (r->call.who == NULL || (r->is_open && !denied))
        return code;
    const pang_audit_outcome outcome = {
        .request = r->request,
        .accesses = r->accesses,
        .n_accesses = r->n_accesses,
        .code = code,
        .denied = denied,
        .waits = r->route->waits,
        .has_txn = r->route->has_txn,
    };
    return pang_audit_ended(&r->call, &outcome, err);
}

/* ---- streams ---- */

pang_arena *pang_stream_arena(pang_stream *stream)
{
    return stream->r->request->arena;
}

pang_code pang_stream_send(pang_stream *stream, const void *out, pang_err *err)
{
    pang_transport *transport = stream->r->request->transport;
    return transport->ops->send(transport, out, err);
}

/* The log tells of a stream when it begins: it may last for days. */
static pang_code audit_opening(run *r, pang_err *err)
{
    if (r->is_open)
        return PANG_OK;
    pang_code code = audit_end(r, PANG_OK, err);
    r->is_open = code == PANG_OK;
    return code;
}

pang_code pang_stream_begin(pang_stream *stream, pang_err *err)
{
    run *r = stream->r;
    pang_call *call = &r->call;
    int64_t now_ms = pang_env_mono_ms(call->server->env);
    pang_arena_reset(call->arena);
    call->txn = NULL;
    if (call->who->expires_ms != 0 && pang_env_wall_ms(call->server->env) >= call->who->expires_ms)
        return pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                         "the credential has ended");
    int64_t until_ms = now_ms + r->route->time_ms;
    if (call->deadline_ms < until_ms)
        until_ms = call->deadline_ms;
    call->txn = pang_txn_begin(call->server->db, call->tenant_key, until_ms, call->arena);
    if (call->txn == NULL)
        return pang_fail_memory(err);
    pang_code code = authorize(r, err);
    r->is_permitted = code == PANG_OK;
    if (code == PANG_OK)
        return audit_opening(r, err);
    return confirm(r, code, err);
}

/* No message reaches a handler that its sender may not send. Judging in a tenant reads the store,
 * so it is done in a piece of work. */
static pang_code judge_message(pang_stream *stream, pang_err *err)
{
    if (!stream->r->route->has_txn)
        return authorize(stream->r, err);
    pang_code code = PANG_ABORTED;
    for (unsigned tries = 0; code == PANG_ABORTED && tries < PANG_TXN_TRIES; tries++)
        code = pang_stream_begin(stream, err);
    return code == PANG_ABORTED ? give_up(stream->r, err) : code;
}

pang_code pang_stream_receive(pang_stream *stream, const void **ret, pang_err *err)
{
    run *r = stream->r;
    pang_transport *transport = r->request->transport;
    pang_str packed;
    bool end = false;
    pang_code code = transport->ops->receive(transport, &packed, &end, err);
    if (r->route->rule->client_streaming)
        pang_arena_reset(r->request->arena);
    if (code != PANG_OK)
        return code;
    if (end) {
        *ret = NULL;
        return PANG_OK;
    }
    code = bind_message(r, packed, err);
    if (code == PANG_OK)
        code = judge_message(stream, err);
    if (code == PANG_OK)
        *ret = r->in;
    return code;
}

static pang_code run_stream(run *r, pang_err *err)
{
    pang_stream stream = {r};
    return r->route->row->stream(&r->call, &stream, err);
}

/* ---- the answer ---- */

static pang_log_level level_of(pang_code code)
{
    switch (code) {
    case PANG_INTERNAL:
    case PANG_DATA_LOSS:
    case PANG_UNKNOWN:
        return PANG_LOG_ERROR;
    case PANG_UNAVAILABLE:
    case PANG_RESOURCE_EXHAUSTED:
    case PANG_DEADLINE_EXCEEDED:
        return PANG_LOG_WARN;
    default:
        return PANG_LOG_DEBUG;
    }
}

static void log_failure(const run *r, const pang_err *err, int64_t us)
{
    pang_log_level level = level_of(err->code);
    if (!pang_log_enabled(level))
        return;
    const pang_log_field fields[] = {
        PANG_LOG_TEXT("method", r->route->rule->path),
        PANG_LOG_TEXT("code", pang_str_from(pang_code_name(err->code))),
        PANG_LOG_TEXT("reason", pang_str_from(err->reason)),
        PANG_LOG_TEXT("message", pang_str_from(err->message)),
        PANG_LOG_TEXT("detail", pang_str_from(err->detail)),
        PANG_LOG_TEXT("request_id", r->call.request_id),
        PANG_LOG_NUMBER("runs", r->call.attempt + 1),
        PANG_LOG_NUMBER("us", us),
    };
    pang_log(level, "call failed", fields, sizeof fields / sizeof fields[0]);
}

static pang_code run_and_audit(run *r, pang_code code, pang_err *err)
{
    const pang_principal *caller = r->call.who; /* whose share it is, whoever is acted for */
    if (code == PANG_OK)
        code = is_stream(r->route->rule) ? run_stream(r, err) : run_unary(r, err);
    leave_quota(r, caller);
    return audit_end(r, code, err);
}

void pang_dispatch_run(pang_dispatcher *d, const pang_route *route, const pang_request *request,
                       pang_answer *answer)
{
    int64_t begun = pang_metrics_clock();
    run r = {.d = d, .route = route, .request = request};
    assert(route->row != NULL);
    answer->out = NULL;
    answer->retry_after_s = 0;
    answer->err.code = PANG_OK;
    pang_code code = begin(&r, &answer->err);
    if (code == PANG_OK && !enter_quota(&r, &answer->err)) {
        leave_quota(&r, r.call.who);
        code = PANG_RESOURCE_EXHAUSTED; /* not audited: a storm shall cost nothing */
    } else {
        code = run_and_audit(&r, code, &answer->err);
    }
    answer->code = code;
    int64_t us = pang_metrics_clock() - begun;
    pang_count_call(d->config.server->counters, route->rule->index, code, us);
    if (code == PANG_OK) {
        answer->out = r.out; /* NULL for streams */
        return;
    }
    if (code == PANG_CANCELLED && !atomic_load(&request->transport->cancelled))
        answer->code = pang_fail(&answer->err, PANG_DEADLINE_EXCEEDED, NULL,
                                 "the deadline has passed"); /* the caller is still there */
    else if (answer->err.code != code)
        (void)pang_fail(&answer->err, code, NULL, "the call failed");
    answer->retry_after_s = r.call.retry_after_s;
    if (code == PANG_UNAVAILABLE && answer->retry_after_s == 0)
        answer->retry_after_s = PANG_RETRY_AFTER_S;
    log_failure(&r, &answer->err, us);
}
