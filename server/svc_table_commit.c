/*
 * Committing to tables. Requirements are checked and updates applied to the document that this
 * attempt read; the pointer's record is checked by the commit, so that of two that read the same
 * one lands and the other runs again over what is there then, and fails only if its requirements
 * do not hold any more. A transaction is the same for many tables in one commit.
 */
#include <string.h>

#include "server/metrics.h"
#include "server/remark.h"
#include "server/svc_table.h"
#include "server/trees.h"

/* One table's part. */
typedef struct {
    pang_table table;
    pang_json *requirements, *updates;
    const pang_json *base;
    pang_tree_loan *loan;
    bool is_create, changed;
    pang_next next;
} part;

/* ---- the request ---- */

static pang_code parse_part(ProtobufCBinaryData requirements, ProtobufCBinaryData updates,
                            pang_arena *arena, part *ret, pang_err *err)
{
    pang_code code = pang_raw_json(requirements, "requirements", arena, &ret->requirements, err);
    if (code == PANG_OK)
        code = pang_raw_json(updates, "updates", arena, &ret->updates, err);
    if (code == PANG_OK)
        ret->is_create = pang_model_is_create(ret->requirements);
    return code;
}

static bool has_action(const pang_json *updates, pang_str wanted)
{
    for (size_t i = 0; i < pang_json_size(updates); i++) {
        pang_str action;
        if (pang_json_to_str(pang_json_get(pang_json_at(updates, i), "action"), &action) &&
            pang_str_equal_nocase(action, wanted))
            return true;
    }
    return false;
}

/* For the audit log: what brings no data changes the table's description alone. */
static bool brings_data(const pang_json *updates)
{
    return has_action(updates, PANG_STR("add-snapshot"));
}

static bool names_location(const pang_json *updates)
{
    return has_action(updates, PANG_STR("set-location"));
}

/* ---- what the table is ---- */

/* For a table that is about to be made: its namespace. */
static pang_code read_namespace(part *p, pang_rec_content **ret, pang_err *err)
{
    pang_table *table = &p->table;
    if (table->levels.n == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "namespace has no levels");
    pang_content content = {.name = pang_name_of_namespace(&table->view->keys, table->levels)};
    pang_code code = pang_content_get(table->view, &content, 1, err);
    if (code == PANG_OK && !pang_is_namespace(&content))
        return pang_table_homeless(table, err);
    *ret = content.body;
    return code;
}

static pang_code read_base(pang_call *call, part *p, pang_err *err)
{
    pang_str text;
    pang_json *parsed = NULL;
    p->base = pang_trees_take(p->loan, pang_id_of(p->table.content.body->document));
    if (p->base != NULL)
        return PANG_OK;
    pang_code code = pang_metadata_load(p->table.view, call->server->state, p->table.content.body,
                                        PANG_WHOLE, &text, err);
    if (code == PANG_OK)
        code = pang_json_parse(text, call->arena, &parsed, err);
    p->base = parsed;
    return code;
}

/* Refuses what stands in the way, by its kind, before requirements are looked at. */
static pang_code check_target(part *p, pang_err *err)
{
    const pang_content *content = &p->table.content;
    pang_arena *arena = p->table.view->arena;
    if (pang_is_table(content))
        return PANG_OK;
    if (!p->is_create)
        return pang_table_absent(&p->table, err);
    if (pang_content_exists(content))
        return pang_fail_exists(p->table.kind, content->body, p->table.levels, p->table.name, arena,
                                err);
    return pang_name_check("table", p->table.name, err);
}

/* ---- the new document ---- */

static pang_code run_model(pang_call *call, part *p, pang_str default_location, pang_err *err)
{
    pang_model_outcome outcome;
    pang_model_change change = {
        .base = p->base,
        .requirements = p->requirements,
        .updates = p->updates,
        .default_location = default_location,
    };
    if (p->base != NULL)
        change.base_location = pang_str_from(p->table.content.body->metadata_location);
    pang_code code = pang_model_commit(&change, call->server->env, call->arena, &outcome, err);
    if (code != PANG_OK)
        return code;
    p->next.document = outcome.document;
    p->changed = outcome.changed;
    return PANG_OK;
}

/* Engines remove a snapshot's files once this commit has landed, and know one branch only. So of a
 * shared table the catalog alone removes snapshots; of another one, only while no ref is made. */
static pang_code check_expiry(part *p, pang_err *err)
{
    if (!has_action(p->updates, PANG_STR("remove-snapshots")))
        return PANG_OK;
    if (!p->next.overlay.shared)
        return pang_fork_mark_renew(p->table.view, err);
    return pang_fail(
        err, PANG_INVALID_ARGUMENT, "ValidationException",
        "Cannot remove snapshots of table %s: other branches, tags or commits share its "
        "files. Let the catalog expire them: POST .../tables/%" PANG_STR_FMT
        "/maintenance {\"job_type\": \"expire_snapshots\"}",
        pang_table_shown(&p->table), PANG_STR_ARG(p->table.name));
}

/* Everything of one table but its change in the commit. */
static pang_code build(pang_call *call, part *p, pang_err *err)
{
    pang_str default_location = {0}, base = {0};
    pang_rec_content *namespace = NULL;
    bool exists = pang_is_table(&p->table.content);
    pang_code code = check_target(p, err);
    if (code == PANG_OK)
        code = exists ? read_base(call, p, err) : read_namespace(p, &namespace, err);
    if (code == PANG_OK)
        code = pang_next_begin(call, &p->table, &p->next, err);
    if (code == PANG_OK && !exists && !names_location(p->updates))
        code = pang_next_default_location(call, &p->next, namespace, &default_location, err);
    if (code == PANG_OK)
        code = run_model(call, p, default_location, err);
    if (code != PANG_OK || !p->changed)
        return code;
    if (exists) {
        base = pang_str_from(p->table.content.body->metadata_location);
        code = check_expiry(p, err);
    }
    if (code == PANG_OK)
        code = pang_next_places(call, &p->next, err);
    if (code == PANG_OK && !exists)
        code = pang_next_prepare(call, &p->next, err);
    if (code == PANG_OK)
        code = pang_next_write(call, &p->next, base, err);
    if (code == PANG_OK)
        pang_trees_keep(p->loan, pang_id_of(p->next.body.document), p->next.document,
                        p->next.text.len);
    return code;
}

/* ---- one table ---- */

pang_code pang_table_agree(const char *prefix, const Pangolin__V1__TableIdentifier *given,
                           const pang_table *table, pang_err *err)
{
    pang_table named;
    if (given == NULL)
        return PANG_OK;
    pang_code code = pang_table_address(table->view, table->view->arena, prefix, given->namespace_,
                                        given->n_namespace_, given->name, &named, err);
    if (code == PANG_OK)
        code = pang_address_agree(&table->address, &named.address, err);
    if (code != PANG_OK)
        return code;
    bool same = named.levels.n == table->levels.n && pang_str_equal(named.name, table->name);
    for (size_t i = 0; same && i < named.levels.n; i++)
        same = pang_str_equal(named.levels.names[i], table->levels.names[i]);
    if (same)
        return PANG_OK;
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "identifier in the body is not the %s of the path", pang_table_word(table));
}

/* What the client says about the commit in the snapshots that it adds. */
static pang_code hear(pang_edit *edit, const pang_json *updates, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(updates); i++) {
        const pang_json *snapshot = pang_json_get(pang_json_at(updates, i), "snapshot");
        code = pang_remark_of_summary(edit, pang_json_get(snapshot, "summary"), err);
    }
    return code;
}

static pang_code save_one(pang_call *call, part *p, pang_err *err)
{
    pang_edit *edit;
    pang_code code = pang_edit_begin(p->table.view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = hear(edit, p->updates, err);
    if (code == PANG_OK)
        code = pang_next_put(&p->next, edit, err);
    if (code == PANG_OK)
        code = pang_edit_end(
            edit, pang_arena_printf(call->arena, "commit to table %s", pang_table_shown(&p->table)),
            err);
    return code;
}

pang_code pang_commit_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CommitTableRequest *in = request;
    pang_view view;
    part p = {.loan = pang_trees_lend(pang_state_trees(call->server->state), call->arena)};
    pang_code code = p.loan == NULL ? pang_fail_memory(err) : PANG_OK;
    if (code == PANG_OK)
        code = parse_part(in->requirements, in->updates, call->arena, &p, err);
    if (code == PANG_OK)
        code = pang_table_open(call, in->prefix, in->namespace_, in->n_namespace_, in->table,
                               PANG_NO_TABLE, &view, &p.table, err);
    if (code == PANG_OK)
        code = pang_table_agree(in->prefix, in->identifier, &p.table, err);
    if (code == PANG_OK && !p.is_create && !brings_data(p.updates))
        call->note.action = "update_table";
    if (code == PANG_OK)
        code = build(call, &p, err);
    if (code == PANG_OK && p.changed)
        code = save_one(call, &p, err);
    if (code == PANG_OK && !p.changed)
        code = pang_metadata_load(&view, call->server->state, &p.next.body, PANG_WHOLE,
                                  &p.next.text, err);
    if (code == PANG_OK)
        code = pang_keep_document(call, &p.next.body, p.next.overlay, err);
    if (code == PANG_OK)
        code = pang_metadata_overlay(&view, call->server->state, &p.next.body, p.next.overlay,
                                     p.next.text, &p.next.text, err);
    return code == PANG_OK ? pang_table_reply_Commit(call, &p.next.body, p.next.overlay,
                                                     p.next.text, reply, err)
                           : code;
}

pang_code pang_replay_commit(pang_call *call, const void *request, pang_str kept, void *reply,
                             pang_err *err)
{
    const Pangolin__V1__CommitTableRequest *in = request;
    pang_rec_content body;
    pang_overlay overlay;
    pang_str text;
    pang_code code = pang_kept_document(call, in->prefix, kept, &body, &overlay, &text, err);
    return code == PANG_OK ? pang_table_reply_Commit(call, &body, overlay, text, reply, err) : code;
}

/* ---- many tables ---- */

typedef struct {
    pang_view view;
    pang_tree_loan *loan;
    part *parts;
    size_t n;
} transaction;

/* A commit is on one branch: without a ref of its own a table is on main. */
static pang_code same_ref(const part *first, const part *further, pang_err *err)
{
    pang_code code = pang_address_agree(&first->table.address, &further->table.address, err);
    return code == PANG_OK ? pang_address_agree(&further->table.address, &first->table.address, err)
                           : code;
}

static pang_code parse_changes(pang_call *call, const Pangolin__V1__CommitTransactionRequest *in,
                               transaction *t, pang_err *err)
{
    for (size_t i = 0; i < t->n; i++) {
        const Pangolin__V1__TableChange *change = in->table_changes[i];
        part *p = &t->parts[i];
        if (change->identifier == NULL || change->identifier->name[0] == '\0')
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "table-changes[%zu]: identifier is required", i);
        p->loan = t->loan;
        pang_code code = pang_table_address(
            &t->view, call->arena, in->prefix, change->identifier->namespace_,
            change->identifier->n_namespace_, change->identifier->name, &p->table, err);
        if (code == PANG_OK)
            code = same_ref(&t->parts[0], p, err);
        if (code == PANG_OK)
            code = parse_part(change->requirements, change->updates, call->arena, p, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static pang_code read_contents(pang_call *call, transaction *t, pang_err *err)
{
    pang_content *contents = pang_arena_alloc_n(call->arena, t->n, sizeof *contents);
    if (contents == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < t->n; i++)
        contents[i].name = pang_name_of_asset(&t->view.keys, t->parts[i].table.levels,
                                              t->parts[i].table.name);
    pang_code code = pang_content_get(&t->view, contents, t->n, err);
    for (size_t i = 0; code == PANG_OK && i < t->n; i++) {
        t->parts[i].table.content = contents[i];
        for (size_t j = 0; code == PANG_OK && j < i; j++)
            if (pang_str_equal(contents[i].key, contents[j].key))
                code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                                 "table %s is named twice", pang_table_shown(&t->parts[i].table));
    }
    return code;
}

static bool overlaps(pang_str a, pang_str b)
{
    pang_str longer = a.len > b.len ? a : b, shorter = a.len > b.len ? b : a;
    return pang_str_starts(longer, shorter) &&
           (longer.len == shorter.len || longer.ptr[shorter.len] == '/');
}

static bool reserves(const part *p)
{
    size_t held = pang_is_table(&p->table.content) ? p->table.content.body->n_reserved : 0;
    return p->next.claim.n_held > held;
}

static bool claims_overlap(const pang_claim *a, const pang_claim *b)
{
    for (size_t i = 0; i < a->n_held; i++)
        for (size_t j = 0; j < b->n_held; j++)
            if (overlaps(a->held[i], b->held[j]))
                return true;
    return false;
}

/* Two parts that reserve in one commit do not see each other's counters. */
static pang_code check_overlaps(const transaction *t, pang_err *err)
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t j = 0; reserves(&t->parts[i]) && j < t->n; j++)
            if (i != j && claims_overlap(&t->parts[i].next.claim, &t->parts[j].next.claim))
                return pang_fail(
                    err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "locations of %s and %s overlap",
                    pang_table_shown(&t->parts[i].table), pang_table_shown(&t->parts[j].table));
    return PANG_OK;
}

static pang_code save_all(pang_call *call, transaction *t, pang_err *err)
{
    pang_edit *edit = NULL;
    const pang_table *last = NULL;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < t->n; i++) {
        if (!t->parts[i].changed)
            continue;
        last = &t->parts[i].table;
        if (edit == NULL)
            code = pang_edit_begin(&t->view, call->server->env, call->who, &edit, err);
        if (code == PANG_OK)
            code = hear(edit, t->parts[i].updates, err);
        if (code == PANG_OK)
            code = pang_next_put(&t->parts[i].next, edit, err);
    }
    if (code != PANG_OK || edit == NULL)
        return code;
    pang_str message = edit->n == 1
                           ? pang_arena_printf(call->arena, "commit to table %s",
                                               pang_table_shown(last))
                           : pang_arena_printf(call->arena, "commit to %zu tables", edit->n);
    return pang_edit_end(edit, message, err);
}

static pang_code open_transaction(pang_call *call, const char *prefix, transaction *t,
                                  pang_err *err)
{
    if (t->n > 0)
        return pang_address_open(call, &t->parts[0].table.address, PANG_NO_TABLE, &t->view, err);
    return pang_view_open(call, prefix, PANG_NO_TABLE, &t->view, err);
}

pang_code pang_commit_transaction(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CommitTransactionRequest *in = request;
    transaction t = {.n = in->n_table_changes};
    (void)reply;
    if (t.n > PANG_NAMES_AT_ONCE_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "too many tables in one transaction: %zu, at most %d", t.n,
                         PANG_NAMES_AT_ONCE_MAX);
    t.loan = pang_trees_lend(pang_state_trees(call->server->state), call->arena);
    t.parts = pang_arena_alloc_n(call->arena, t.n, sizeof *t.parts);
    if (t.loan == NULL || t.parts == NULL)
        return pang_fail_memory(err);
    pang_code code = parse_changes(call, in, &t, err);
    if (code == PANG_OK)
        code = open_transaction(call, in->prefix, &t, err);
    if (code == PANG_OK)
        code = read_contents(call, &t, err);
    for (size_t i = 0; code == PANG_OK && i < t.n; i++)
        code = build(call, &t.parts[i], err);
    if (code == PANG_OK)
        code = check_overlaps(&t, err);
    return code == PANG_OK ? save_all(call, &t, err) : code;
}
