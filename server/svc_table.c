/*
 * Tables, reading. A load is the pointer's record, a look at the file, and the document out of
 * the cache; the reply borrows the document's bytes, so that nothing is parsed or copied.
 */
#include "server/svc_table.h"

#include <stdio.h>
#include <string.h>

#include "server/metrics.h"
#include "server/refs.h"
#include "server/svc_manage.h"

/* ---- finding ---- */

pang_code pang_table_address(pang_view *view, pang_arena *arena, const char *prefix,
                             char *const *levels, size_t n_levels, const char *name,
                             pang_table *ret, pang_err *err)
{
    *ret = (pang_table){.view = view, .kind = PANGOLIN__STORE__V1__KIND__KIND_TABLE};
    pang_code code = pang_address_of(prefix, levels, n_levels, name, arena, &ret->address, err);
    ret->levels = ret->address.levels;
    ret->name = ret->address.name;
    return code;
}

/* Adds which date a ref of digits was read as: who counted seconds sees why nothing is there. */
static void say_time(const pang_view *view, pang_err *err)
{
    int64_t time_ms;
    size_t len = strlen(err->message);
    if (pang_ref_form_of(view->ref_name) != PANG_REF_TIME ||
        !pang_str_to_int64(view->ref_name, &time_ms))
        return;
    (void)snprintf(err->message + len, sizeof err->message - len,
                   " (at %s: %" PANG_STR_FMT " is milliseconds since 1970)",
                   pang_manage_time(time_ms, view->arena), PANG_STR_ARG(view->ref_name));
}

pang_code pang_table_absent(const pang_table *table, pang_err *err)
{
    const pang_address *at = &table->address;
    pang_arena *arena = table->view->arena;
    pang_code code = table->kind == PANGOLIN__STORE__V1__KIND__KIND_VIEW
                         ? pang_fail_no_view(at->spelt_levels, at->spelt_name, arena, err)
                         : pang_fail_no_table(at->spelt_levels, at->spelt_name, arena, err);
    say_time(table->view, err);
    return code;
}

bool pang_table_is_there(const pang_table *table)
{
    return pang_content_exists(&table->content) && table->content.body->kind == table->kind;
}

const char *pang_table_word(const pang_table *table)
{
    return table->kind == PANGOLIN__STORE__V1__KIND__KIND_VIEW ? "view" : "table";
}

pang_code pang_table_homeless(const pang_table *table, pang_err *err)
{
    return pang_fail_no_namespace(table->address.spelt_levels, table->view->arena, err);
}

pang_code pang_table_open(pang_call *call, const char *prefix, char *const *levels, size_t n_levels,
                          const char *name, const char *reason, pang_view *view, pang_table *ret,
                          pang_err *err)
{
    pang_code code = pang_table_address(view, call->arena, prefix, levels, n_levels, name, ret,
                                        err);
    if (code == PANG_OK)
        code = pang_address_open(call, &ret->address, reason, view, err);
    if (code != PANG_OK)
        return code;
    ret->content.name = pang_name_of_asset(&view->keys, ret->levels, ret->name);
    return pang_content_get(view, &ret->content, 1, err);
}

pang_code pang_table_find(pang_call *call, const char *prefix, char *const *levels, size_t n_levels,
                          const char *name, pang_view *view, pang_table *ret, pang_err *err)
{
    pang_code code = pang_table_open(call, prefix, levels, n_levels, name, PANG_NO_TABLE, view, ret,
                                     err);
    if (code == PANG_OK && !pang_table_is_there(ret))
        return pang_table_absent(ret, err);
    if (code == PANG_OK)
        call->note.resource = pang_id_of(ret->content.body->asset);
    return code;
}

const char *pang_table_shown(const pang_table *table)
{
    return pang_dotted(table->levels, table->name, table->view->arena);
}

pang_code pang_raw_json(ProtobufCBinaryData field, const char *what, pang_arena *arena,
                        pang_json **ret, pang_err *err)
{
    pang_err inner;
    *ret = NULL;
    if (field.len == 0)
        return PANG_OK;
    pang_code code = pang_json_parse(pang_str_of(field), arena, ret, &inner);
    if (code == PANG_INVALID_ARGUMENT)
        return pang_fail(err, code, PANG_BAD_REQUEST, "%s: %s", what, inner.message);
    if (code != PANG_OK && err != NULL)
        *err = inner;
    return code;
}

/* ---- ETags ---- */

/* Weak comparison against a list of tags. */
bool pang_etag_matches(const char *if_none_match, const char *etag)
{
    pang_str rest = pang_str_from(if_none_match), one;
    while (pang_str_next(&rest, ',', &one)) {
        one = pang_str_trim(one);
        if (pang_str_starts(one, PANG_STR("W/")))
            one = pang_str_after(one, 2);
        if (pang_str_equal(one, pang_str_from(etag)) || pang_str_equal(one, PANG_STR("*")))
            return true;
    }
    return false;
}

/* ---- load ---- */

static pang_code shape_of(const char *snapshots, pang_shape *ret, pang_err *err)
{
    if (snapshots[0] != '\0' && strcmp(snapshots, "all") != 0 && strcmp(snapshots, "refs") != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "snapshots must be \"all\" or \"refs\", not \"%.100s\"", snapshots);
    *ret = strcmp(snapshots, "refs") == 0 ? PANG_REFS_ONLY : PANG_WHOLE;
    return PANG_OK;
}

static pang_code load_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__LoadTableRequest *in = request;
    Pangolin__V1__LoadTableResponse *out = reply;
    pang_state *state = call->server->state;
    pang_view view;
    pang_table table;
    pang_shape shape = PANG_WHOLE;
    pang_overlay overlay;
    pang_str text;
    pang_code code = shape_of(in->snapshots, &shape, err);
    if (code == PANG_OK)
        code = pang_table_find(call, in->prefix, in->namespace_, in->n_namespace_, in->table, &view,
                               &table, err);
    /* A file that is gone is told before any tag holds. */
    if (code == PANG_OK)
        code = pang_metadata_stat(&view, state, table.content.body, err);
    if (code == PANG_OK)
        code = pang_overlay_of(&view, &table.content, &overlay, err);
    if (code != PANG_OK)
        return code;
    char *etag = pang_table_etag(call->arena, table.content.body, shape, overlay);
    if (etag == NULL)
        return pang_fail_memory(err);
    out->not_modified = pang_etag_matches(in->if_none_match, etag);
    out->etag = etag;
    if (out->not_modified)
        return PANG_OK;
    code = pang_metadata_show(&view, state, table.content.body, shape, overlay, &text, err);
    if (code == PANG_OK)
        code = pang_table_reply_Load(call, table.content.body, overlay, text, out, err);
    out->etag = etag;
    return code;
}

static pang_code table_exists(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__TableExistsRequest *in = request;
    pang_view view;
    pang_table table;
    (void)reply;
    return pang_table_find(call, in->prefix, in->namespace_, in->n_namespace_, in->table, &view,
                           &table, err);
}

/* Stores that need none give none: today that is all of them. */
static pang_code load_credentials(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__LoadCredentialsRequest *in = request;
    pang_view view;
    pang_table table;
    (void)reply;
    return pang_table_find(call, in->prefix, in->namespace_, in->n_namespace_, in->table, &view,
                           &table, err);
}

static pang_code report_metrics(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ReportMetricsRequest *in = request;
    pang_view view;
    pang_table table;
    pang_json *report;
    (void)reply;
    pang_code code = pang_raw_json(in->report, "report", call->arena, &report, err);
    if (code == PANG_OK && pang_json_type_of(report) != PANG_JSON_IS_OBJECT)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "report is no object");
    if (code == PANG_OK)
        code = pang_table_find(call, in->prefix, in->namespace_, in->n_namespace_, in->table, &view,
                               &table, err);
    if (code == PANG_OK)
        pang_count(call->server->counters, PANG_COUNT_METRICS_REPORTS);
    return code;
}

/* ---- list ---- */

typedef struct {
    pang_identifiers *page;
    pang_arena *arena;
    bool failed;
} listing;

static bool add_identifier(void *arg, const pang_content *row)
{
    listing *l = arg;
    pang_identifiers *page = l->page;
    if (row->body->kind != page->kind)
        return true;
    Pangolin__V1__TableIdentifier *one = pang_arena_alloc(l->arena, sizeof *one);
    char *name = pang_arena_cstr(l->arena, row->name.name);
    l->failed = one == NULL || name == NULL;
    if (l->failed)
        return false;
    *one = (Pangolin__V1__TableIdentifier)PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
    one->namespace_ = page->namespace_;
    one->n_namespace_ = page->n_namespace_;
    one->name = name;
    page->identifiers[page->n_identifiers++] = one;
    return true;
}

static pang_code check_namespace(pang_view *view, const pang_address *address, pang_err *err)
{
    pang_levels levels = address->levels;
    if (levels.n == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "namespace has no levels");
    pang_content content = {.name = pang_name_of_namespace(&view->keys, levels)};
    pang_code code = pang_content_get(view, &content, 1, err);
    if (code == PANG_OK && !pang_is_namespace(&content))
        return pang_fail_no_namespace(address->spelt_levels, view->arena, err);
    return code;
}

pang_code pang_list_identifiers(pang_call *call, const char *prefix, pang_identifiers *page,
                                pang_err *err)
{
    listing l = {.page = page, .arena = call->arena};
    pang_view view;
    pang_address address;
    pang_list list;
    pang_code code = pang_address_of(prefix, page->namespace_, page->n_namespace_, NULL,
                                     call->arena, &address, err);
    if (code == PANG_OK)
        code = pang_address_open(call, &address, PANG_NO_NAMESPACE, &view, err);
    if (code == PANG_OK)
        code = check_namespace(&view, &address, err);
    if (code == PANG_OK)
        code = pang_list_begin(call, &view, address.levels, PANG_SPACE_ASSET, page->token,
                               page->page_size, &list, err);
    if (code != PANG_OK)
        return code;
    page->identifiers = pang_arena_alloc_n(call->arena, list.query.limit, sizeof(void *));
    if (page->identifiers == NULL)
        return pang_fail_memory(err);
    code = pang_list_run(call, &list, add_identifier, &l, &page->next_token, err);
    return code == PANG_OK && l.failed ? pang_fail_memory(err) : code;
}

static pang_code list_tables(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListTablesRequest *in = request;
    Pangolin__V1__ListTablesResponse *out = reply;
    pang_identifiers page = {.kind = PANGOLIN__STORE__V1__KIND__KIND_TABLE,
                             .namespace_ = in->namespace_,
                             .n_namespace_ = in->n_namespace_,
                             .token = in->_page_token_case != 0 ? in->page_token : NULL,
                             .page_size = in->page_size};
    pang_code code = pang_list_identifiers(call, in->prefix, &page, err);
    out->identifiers = page.identifiers;
    out->n_identifiers = page.n_identifiers;
    if (page.next_token != NULL)
        out->next_page_token = page.next_token;
    return code;
}

#define METHOD(Name, name, handler, replayed)                                                      \
    {                                                                                              \
        .path = "/pangolin.v1.TableService/" #Name,                                                \
        .in = &pangolin__v1__##name##_request__descriptor,                                         \
        .out = &pangolin__v1__##name##_response__descriptor, .handle = (handler),                  \
        .replay = (replayed),                                                                      \
    }

static const pang_method methods[] = {
    METHOD(ListTables, list_tables, list_tables, NULL),
    METHOD(CreateTable, create_table, pang_create_table, pang_replay_create),
    METHOD(LoadTable, load_table, load_table, NULL),
    METHOD(TableExists, table_exists, table_exists, NULL),
    METHOD(CommitTable, commit_table, pang_commit_table, pang_replay_commit),
    METHOD(DropTable, drop_table, pang_drop_table, NULL),
    METHOD(RenameTable, rename_table, pang_rename_table, NULL),
    METHOD(RegisterTable, register_table, pang_register_table, pang_replay_register),
    METHOD(UnregisterTable, unregister_table, pang_unregister_table, NULL),
    METHOD(LoadCredentials, load_credentials, load_credentials, NULL),
    METHOD(ReportMetrics, report_metrics, report_metrics, NULL),
    METHOD(CommitTransaction, commit_transaction, pang_commit_transaction, NULL),
};

const pang_service pang_service_table = {
    .name = "pangolin.v1.TableService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
