/*
 * The audit log, asked. A filter that is no known name is an error, since a list that leaves
 * something out in silence proves nothing. What this very server has logged up to now is written
 * and chained before a first page is read, so that who acts and then asks sees what was done.
 */
#include <string.h>

#include "api/json.h"
#include "server/audit_names.h"
#include "server/audit_query.h"
#include "server/pages.h"
#include "server/svc_audit.h"
#include "server/svc_manage.h"

#include "api/audit.h"
#include "pangolin/v1/audit.pb-c.h"

enum {
    LIST_DEFAULT = 100,
    LIST_MAX = 1000,
    EXPORT_PAGE = 1000, /* entries where none are asked for: the bridge asks on */
    TOKEN_PLACE_MAX = 128,
};

typedef Pangolin__V1__AuditEvent event_out;
typedef Pangolin__V1__ListAuditEventsRequest list_in;
typedef Pangolin__V1__ListAuditEventsResponse list_out;
typedef Pangolin__V1__ExportAuditEventsRequest export_in;
typedef Pangolin__V1__ExportAuditEventsResponse export_out;
typedef Pangolin__V1__CountAuditEventsRequest count_in;
typedef Pangolin__V1__CountAuditEventsResponse count_out;
typedef Pangolin__V1__GetAuditEventRequest get_in;
typedef Pangolin__V1__GetAuditEventResponse get_out;
typedef Pangolin__V1__GetAuditChainResponse chain_out;
typedef Pangolin__V1__AuditChainHead head_out;

/* ---- filters ---- */

/* The texts of a request's filter: three messages have the same. */
typedef struct {
    const char *user_id, *action, *resource_type, *resource_id, *start_time, *end_time, *result;
} asked;

#define ASKED(in)                                                                                  \
    {                                                                                              \
        (in)->user_id, (in)->action, (in)->resource_type, (in)->resource_id, (in)->start_time,     \
            (in)->end_time, (in)->result                                                           \
    }

static pang_code refuse(const char *field, const char *value, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException", "%s \"%.64s\" %s", field,
                     value, why);
}

static pang_code read_times(const asked *in, pang_audit_filter *ret, pang_err *err)
{
    ret->from_ms = 0;
    ret->to_ms = INT64_MAX;
    if (in->start_time[0] != '\0' && !pang_manage_parse_time(in->start_time, &ret->from_ms))
        return refuse("start_time", in->start_time, "is no time as in RFC 3339", err);
    if (in->end_time[0] != '\0' && !pang_manage_parse_time(in->end_time, &ret->to_ms))
        return refuse("end_time", in->end_time, "is no time as in RFC 3339", err);
    return PANG_OK;
}

static pang_code read_id(const char *field, const char *value, pang_id *ret, pang_err *err)
{
    if (value[0] == '\0')
        return PANG_OK;
    if (!pang_id_parse(pang_str_from(value), ret) || pang_id_is_nil(*ret))
        return refuse(field, value, "is no id of one", err);
    return PANG_OK;
}

static pang_code read_filter(const pang_call *call, const asked *in, pang_audit_filter *ret,
                             pang_err *err)
{
    *ret = (pang_audit_filter){
        .action = pang_str_from(in->action),
        .type = pang_str_from(in->resource_type),
        .only_success = strcmp(in->result, "success") == 0,
        .only_failure = strcmp(in->result, "failure") == 0,
    };
    if (in->result[0] != '\0' && !ret->only_success && !ret->only_failure)
        return refuse("result", in->result, "is neither success nor failure", err);
    if (ret->action.len > 0 && !pang_audit_is_action(call->server->schema, ret->action))
        return refuse("action", in->action, "is no action of the audit log", err);
    if (ret->type.len > 0 && !pang_audit_is_type(ret->type))
        return refuse("resource_type", in->resource_type, "is no kind of resource", err);
    pang_code code = read_times(in, ret, err);
    if (code == PANG_OK)
        code = read_id("user_id", in->user_id, &ret->user, err);
    return code == PANG_OK ? read_id("resource_id", in->resource_id, &ret->resource, err) : code;
}

/* ---- whose log ---- */

/* The log names what the lists of the tenant hide: of it members see what they did themselves. */
static bool sees_own(const pang_call *call)
{
    return call->who->kind != PANG_PRINCIPAL_ROOT && call->who->kind != PANG_PRINCIPAL_NONE &&
           !call->who->is_admin;
}

/* False: nothing can be both. */
static bool narrow(const pang_call *call, pang_audit_filter *filter)
{
    if (!sees_own(call))
        return true;
    bool agrees = pang_id_is_nil(filter->user) || pang_id_equal(filter->user, call->who->id);
    filter->user = call->who->id;
    return agrees;
}

typedef struct {
    pang_arena *arena;
    pang_str *scopes;
    size_t n;
    bool failed;
} scope_list;

static bool take_scope(void *arg, pang_str scope)
{
    scope_list *list = arg;
    if (list->n == PANG_AUDIT_TENANTS_MAX + 1)
        return false; /* the walk tells */
    list->failed = !pang_arena_copy(list->arena, scope, &list->scopes[list->n]);
    list->n += !list->failed;
    return !list->failed;
}

/* Root that acts in no tenant reads all; so does the caller of the evaluation mode, who is all. */
static bool reads_all(const pang_call *call)
{
    return pang_id_is_nil(call->who->tenant) &&
           (call->who->kind == PANG_PRINCIPAL_ROOT || call->who->kind == PANG_PRINCIPAL_NONE);
}

static pang_code list_scopes(const pang_call *call, const pang_str **ret, size_t *ret_n,
                             pang_err *err)
{
    scope_list list = {.arena = call->arena};
    list.scopes = pang_arena_alloc_n(call->arena, PANG_AUDIT_TENANTS_MAX + 1, sizeof *list.scopes);
    if (list.scopes == NULL)
        return pang_fail_memory(err);
    pang_code code = PANG_OK;
    if (reads_all(call))
        code = pang_audit_scopes(pang_db_store(call->server->db), take_scope, &list, err);
    else
        (void)take_scope(&list, call->tenant_key);
    if (code == PANG_OK && list.failed)
        code = pang_fail_memory(err);
    *ret = list.scopes;
    *ret_n = list.n;
    return code;
}

static void catch_up(const pang_call *call)
{
    pang_audit_catch_up(call->server->audit, reads_all(call) ? (pang_str){0} : call->tenant_key);
}

static pang_code begin_walk(pang_call *call, const asked *in, pang_audit_walk *ret, pang_err *err)
{
    *ret = (pang_audit_walk){.store = pang_db_store(call->server->db),
                             .deadline_ms = call->deadline_ms};
    pang_code code = read_filter(call, in, &ret->filter, err);
    if (code == PANG_OK)
        code = list_scopes(call, &ret->scopes, &ret->n_scopes, err);
    if (code == PANG_OK && !narrow(call, &ret->filter))
        ret->n_scopes = 0;
    return code;
}

/* ---- entries as they are shown ---- */

static char *copy(pang_arena *arena, pang_str text)
{
    char *to = pang_arena_cstr(arena, text);
    return to != NULL ? to : (char *)(uintptr_t)protobuf_c_empty_string;
}

static void add_member(pang_buf *buf, const char *name, pang_str value)
{
    if (value.len == 0)
        return;
    if (buf->len > 1)
        pang_buf_add_char(buf, ',');
    pang_buf_printf(buf, "\"%s\":", name);
    pang_json_quote(buf, value);
}

static const char *name_of_kind(uint32_t kind)
{
    static const char *const names[] = {"", "root", "tenant-admin", "tenant-user", "service-user"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "";
}

/* What was kept of the call, and what the row says beside its fields, as one object. */
static pang_str metadata_of(const pang_audit_found *found, pang_arena *arena)
{
    pang_buf buf = {.arena = arena};
    pang_str kept = pang_str_from(found->metadata);
    pang_buf_add_char(&buf, '{');
    if (kept.len > 2 && kept.ptr[0] == '{')
        pang_buf_add(&buf, pang_str_slice(kept, 1, kept.len - 2));
    add_member(&buf, "method", pang_str_from(found->method));
    add_member(&buf, "principal", pang_str_from(name_of_kind(found->principal_kind)));
    if (found->code != PANG_OK)
        add_member(&buf, "code", pang_str_from(pang_code_name((pang_code)found->code)));
    if (found->count > 1)
        pang_buf_printf(&buf, "%s\"count\":%llu", buf.len > 1 ? "," : "",
                        (unsigned long long)found->count);
    if (found->row != NULL && found->row->n_objects > 1) {
        pang_buf_printf(&buf, "%s\"objects\":[", buf.len > 1 ? "," : "");
        for (size_t i = 0; i < found->row->n_objects; i++) {
            if (i > 0)
                pang_buf_add_char(&buf, ',');
            pang_json_quote(&buf, pang_str_from(found->row->objects[i]->name));
        }
        pang_buf_add_char(&buf, ']');
    }
    pang_buf_add_char(&buf, '}');
    return pang_buf_str(&buf);
}

static char *id_or_empty(pang_id id, pang_arena *arena)
{
    return pang_id_is_nil(id) ? (char *)(uintptr_t)protobuf_c_empty_string
                              : pang_manage_id_text(id, arena);
}

static void fill_event(event_out *to, const pang_audit_found *found, pang_arena *arena)
{
    pang_id tenant;
    bool success = found->code == PANG_OK;
    pangolin__v1__audit_event__init(to);
    to->id = pang_manage_id_text(found->id, arena);
    if (pang_id_parse(found->scope, &tenant)) /* not of the system */
        to->tenant_id = pang_manage_id_text(tenant, arena);
    to->user_id = id_or_empty(found->principal, arena);
    to->username = copy(arena, pang_str_from(found->principal_name));
    to->action = copy(arena, pang_str_from(found->action));
    to->resource_type = copy(arena, pang_str_from(found->type));
    to->resource_id = id_or_empty(found->resource, arena);
    to->resource_name = copy(arena, pang_str_from(found->name));
    to->timestamp = pang_manage_time(found->time_ms, arena);
    to->ip_address = copy(arena, pang_str_from(found->address));
    to->user_agent = copy(arena, pang_str_from(found->agent));
    to->result = (char *)(uintptr_t)(success ? "success" : "failure");
    to->error_message = copy(arena, pang_str_from(found->message));
    to->metadata = pang_bytes_of(metadata_of(found, arena));
    to->request_id = copy(arena, found->request_id);
}

/* ---- pages ---- */

typedef struct {
    pang_arena *arena;
    event_out **events;
    size_t n, max;
    uint64_t leave_out;
} page;

static bool take_event(void *arg, const pang_audit_found *found)
{
    page *p = arg;
    if (p->leave_out > 0) {
        p->leave_out--;
        return true;
    }
    if (p->n == p->max)
        return false;
    event_out *event = pang_arena_alloc(p->arena, sizeof *event);
    if (event == NULL)
        return false; /* the arena is marked */
    fill_event(event, found, p->arena);
    p->events[p->n++] = event;
    return true;
}

/* All that makes the list what it is, for its tokens. */
static pang_str describe(const asked *in, bool ascending, pang_arena *arena)
{
    return pang_arena_printf(arena, "audit\n%d\n%s\n%s\n%s\n%s\n%s\n%s\n%s", ascending, in->user_id,
                             in->action, in->resource_type, in->resource_id, in->start_time,
                             in->end_time, in->result);
}

/* A place as text: scope, newest, skip; the seal is the token's sequence. */
static pang_code read_place(pang_call *call, pang_str what, const char *token,
                            pang_audit_place *ret, pang_err *err)
{
    pang_page given;
    pang_str rest, scope, newest, skip;
    uint64_t number;
    pang_code code = pang_page_read(call, what, pang_str_from(token), &given, err);
    if (code != PANG_OK)
        return code;
    rest = given.after;
    if (!pang_str_next(&rest, '/', &scope) || !pang_str_next(&rest, '/', &newest) ||
        !pang_str_next(&rest, '/', &skip) || !pang_str_to_int64(newest, &ret->newest_ms) ||
        !pang_str_to_uint64(skip, &number) || number > UINT32_MAX || given.sequence == 0)
        return refuse("page token", token, "is not valid for this request", err);
    ret->scope = scope;
    ret->seal = given.sequence;
    ret->skip = (uint32_t)number;
    return PANG_OK;
}

static pang_code make_token(pang_call *call, pang_str what, const pang_audit_place *place,
                            char **ret, pang_err *err)
{
    pang_page next = {.sequence = place->seal};
    next.after = pang_arena_printf(call->arena, "%" PANG_STR_FMT "/%lld/%u",
                                   PANG_STR_ARG(place->scope), (long long)place->newest_ms,
                                   place->skip);
    return next.after.len == 0 ? pang_fail_memory(err)
                               : pang_page_token(call, what, next, ret, err);
}

/* What a list and an export ask for. */
typedef struct {
    asked filter;
    int32_t page_size, offset, most;
    const char *token;
    bool ascending;
} paging;

static pang_code begin_page(pang_call *call, const paging *in, pang_audit_walk *walk, page *ret,
                            pang_err *err)
{
    if (in->page_size < 0 || in->offset < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "%s must not be negative", in->page_size < 0 ? "limit" : "offset");
    bool continues = in->token != NULL && in->token[0] != '\0';
    if (!continues)
        catch_up(call);
    pang_code code = begin_walk(call, &in->filter, walk, err);
    if (code != PANG_OK)
        return code;
    walk->ascending = in->ascending;
    *ret = (page){.arena = call->arena, .max = (size_t)in->page_size};
    if (ret->max > (size_t)in->most)
        ret->max = (size_t)in->most;
    if (!continues)
        ret->leave_out = (uint64_t)in->offset;
    ret->events = pang_arena_alloc_n(call->arena, ret->max + 1, sizeof(void *));
    if (ret->events == NULL)
        return pang_fail_memory(err);
    return continues ? read_place(call, describe(&in->filter, in->ascending, call->arena),
                                  in->token, &walk->place, err)
                     : PANG_OK;
}

static pang_code run_page(pang_call *call, const paging *in, event_out ***ret, size_t *ret_n,
                          char **ret_token, pang_err *err)
{
    pang_audit_walk walk;
    page p;
    bool end = false;
    pang_code code = begin_page(call, in, &walk, &p, err);
    if (code == PANG_OK)
        code = pang_audit_walk_run(&walk, take_event, &p, &end, err);
    if (code == PANG_OK && !end)
        code = make_token(call, describe(&in->filter, in->ascending, call->arena), &walk.place,
                          ret_token, err);
    if (code == PANG_OK)
        code = pang_manage_built(call->arena, err);
    *ret = p.events;
    *ret_n = code == PANG_OK ? p.n : 0;
    return code;
}

static pang_code list_events(pang_call *call, const void *message, void *reply, pang_err *err)
{
    const list_in *in = message;
    list_out *out = reply;
    const paging asked_for = {
        .filter = ASKED(in),
        .page_size = in->page_size == 0 ? LIST_DEFAULT : in->page_size,
        .most = LIST_MAX,
        .offset = in->offset,
        .token = in->page_token,
    };
    return run_page(call, &asked_for, &out->events, &out->n_events, &out->next_page_token, err);
}

static pang_code export_events(pang_call *call, const void *message, void *reply, pang_err *err)
{
    const export_in *in = message;
    export_out *out = reply;
    const paging asked_for = {
        .filter = ASKED(in),
        .page_size = in->page_size == 0 ? EXPORT_PAGE : in->page_size,
        .most = EXPORT_PAGE,
        .offset = in->offset,
        .token = in->page_token,
        .ascending = true,
    };
    return run_page(call, &asked_for, &out->events, &out->n_events, &out->next_page_token, err);
}

/* ---- counts ---- */

static bool count_event(void *arg, const pang_audit_found *found)
{
    (void)found;
    ++*(int64_t *)arg;
    return true;
}

static bool is_unfiltered(const pang_audit_filter *filter)
{
    return pang_id_is_nil(filter->user) && pang_id_is_nil(filter->resource) &&
           filter->action.len == 0 && filter->type.len == 0 && filter->from_ms == 0 &&
           filter->to_ms == INT64_MAX && !filter->only_success && !filter->only_failure;
}

/* The ends of the chains know how many there are. */
static pang_code count_all(pang_call *call, const pang_audit_walk *walk, int64_t *ret,
                           pang_err *err)
{
    pang_rec_audit_head **heads = NULL;
    pang_code code = pang_audit_heads(walk->store, walk->scopes, walk->n_scopes, walk->deadline_ms,
                                      call->arena, &heads, err);
    for (size_t i = 0; code == PANG_OK && i < walk->n_scopes; i++)
        *ret += (int64_t)(heads[i]->entries - heads[i]->removed_entries);
    return code;
}

static pang_code count_events(pang_call *call, const void *message, void *reply, pang_err *err)
{
    const count_in *in = message;
    count_out *out = reply;
    const asked filter = ASKED(in);
    pang_audit_walk walk;
    bool end;
    catch_up(call);
    pang_code code = begin_walk(call, &filter, &walk, err);
    if (code != PANG_OK)
        return code;
    out->count = 0;
    return is_unfiltered(&walk.filter)
               ? count_all(call, &walk, &out->count, err)
               : pang_audit_walk_run(&walk, count_event, &out->count, &end, err);
}

/* ---- one ---- */

typedef struct {
    pang_arena *arena;
    pang_id of; /* nil: whoever's it is */
    event_out *event;
} one;

static bool take_one(void *arg, const pang_audit_found *found)
{
    one *o = arg;
    if (!pang_id_is_nil(o->of) && !pang_id_equal(o->of, found->principal))
        return true;
    o->event = pang_arena_alloc(o->arena, sizeof *o->event);
    if (o->event != NULL)
        fill_event(o->event, found, o->arena);
    return true;
}

static pang_code get_event(pang_call *call, const void *message, void *reply, pang_err *err)
{
    const get_in *in = message;
    get_out *out = reply;
    one found = {.arena = call->arena, .of = sees_own(call) ? call->who->id : (pang_id){{0}}};
    pang_id id;
    const pang_str *scopes;
    size_t n;
    pang_code code = pang_manage_id("event_id", in->event_id, &id, err);
    if (code == PANG_OK)
        code = list_scopes(call, &scopes, &n, err);
    for (size_t i = 0; code == PANG_OK && found.event == NULL && i < n; i++)
        code = pang_audit_find(pang_db_store(call->server->db), scopes[i], id, call->deadline_ms,
                               take_one, &found, err);
    if (code == PANG_OK)
        code = pang_manage_built(call->arena, err);
    if (code != PANG_OK)
        return code;
    if (found.event == NULL)
        return pang_manage_absent("audit event", in->event_id, err);
    out->event = found.event;
    return PANG_OK;
}

/* ---- the chain ---- */

typedef struct {
    pang_call *call;
    const pang_rec_audit_head *head;
    chain_out *out;
} chain_reading;

static bool take_sequence(void *arg, const pang_record *row)
{
    chain_reading *r = arg;
    pang_arena *arena = r->call->arena;
    pang_key_parts parts;
    pang_id server;
    head_out *to = pang_arena_alloc(arena, sizeof *to);
    if (to == NULL || !pang_key_parse(row->key, &parts) || !pang_id_parse(parts.parts[0], &server))
        return to != NULL;
    pangolin__v1__audit_chain_head__init(to);
    to->server_id = pang_manage_id_text(server, arena);
    to->last_sequence = row->value;
    for (size_t i = 0; i < r->head->n_servers; i++)
        if (pang_id_equal(pang_id_of(r->head->servers[i]->server), server))
            to->sequence = (int64_t)r->head->servers[i]->last;
    pang_buf digest = {.arena = arena};
    for (size_t i = 0; i < r->head->hash.len; i++)
        pang_buf_printf(&digest, "%02x", r->head->hash.data[i]);
    to->digest = copy(arena, pang_buf_str(&digest));
    if (r->head->seals > 0)
        to->sealed_at = pang_manage_time(r->head->newest_ms, arena);
    r->out->heads[r->out->n_heads++] = to;
    return r->out->n_heads < PANG_AUDIT_TENANTS_MAX;
}

static pang_code get_chain(pang_call *call, const void *message, void *reply, pang_err *err)
{
    chain_out *out = reply;
    pang_rec_audit_head **heads = NULL;
    pang_str scope = reads_all(call) && call->who->kind == PANG_PRINCIPAL_ROOT ? PANG_SYSTEM_SCOPE
                                                                               : call->tenant_key;
    pang_keys keys = {.arena = call->arena, .scope = scope};
    pang_query query = {.prefix = pang_key_audit_sequences(&keys), .limit = PANG_AUDIT_TENANTS_MAX};
    (void)message;
    catch_up(call);
    pang_code code = pang_audit_heads(pang_db_store(call->server->db), &scope, 1, call->deadline_ms,
                                      call->arena, &heads, err);
    out->heads = pang_arena_alloc_n(call->arena, PANG_AUDIT_TENANTS_MAX, sizeof(void *));
    if (code == PANG_OK)
        code = pang_keys_status(&keys, err);
    if (code != PANG_OK)
        return code;
    chain_reading r = {call, heads[0], out};
    code = pang_store_scan(pang_db_store(call->server->db), &query, call->deadline_ms,
                           take_sequence, &r, err);
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

/* ---- the table ---- */

#define AUDIT "/pangolin.v1.AuditService/"

static const pang_method methods[] = {
    {
        .path = AUDIT "ListAuditEvents",
        .in = &pangolin__v1__list_audit_events_request__descriptor,
        .out = &pangolin__v1__list_audit_events_response__descriptor,
        .handle = list_events,
    },
    {
        .path = AUDIT "CountAuditEvents",
        .in = &pangolin__v1__count_audit_events_request__descriptor,
        .out = &pangolin__v1__count_audit_events_response__descriptor,
        .handle = count_events,
    },
    {
        .path = AUDIT "GetAuditEvent",
        .in = &pangolin__v1__get_audit_event_request__descriptor,
        .out = &pangolin__v1__get_audit_event_response__descriptor,
        .handle = get_event,
    },
    {
        .path = AUDIT "ExportAuditEvents",
        .in = &pangolin__v1__export_audit_events_request__descriptor,
        .out = &pangolin__v1__export_audit_events_response__descriptor,
        .handle = export_events,
    },
    {
        .path = AUDIT "GetAuditChain",
        .in = &pangolin__v1__get_audit_chain_request__descriptor,
        .out = &pangolin__v1__get_audit_chain_response__descriptor,
        .handle = get_chain,
    },
};

const pang_service pang_service_audit = {
    "pangolin.v1.AuditService",
    methods,
    sizeof methods / sizeof methods[0],
};
