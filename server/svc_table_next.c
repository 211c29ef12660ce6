/*
 * A document, of a table or view, on its way into the catalog: its places are checked and reserved,
 * its file is written under a fresh name, and the pointer's new record is filled in. Creating,
 * registering and committing differ only in where the document comes from.
 */
#include <string.h>

#include "server/evaluate.h"
#include "server/model_view.h"
#include "server/svc_table.h"

enum { SUFFIX_TRIES = 8 };

/* The new table gives all that the old one had: who may not write that has no use of its place. */
static pang_code may_take_over(void *arg, const pang_rec_reservation *old, bool *ret, pang_err *err)
{
    pang_call *call = arg;
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_grant_object object = {.kind = PANG_SCOPE_CATALOG, .catalog = pang_id_of(old->catalog)};
    pang_rec_asset *asset;
    pang_record record = {0};
    pang_str key = pang_key_asset(&keys, pang_id_of(old->branch), pang_id_of(old->asset));
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version != 0) {
        code = pang_record_unpack(&pangolin__store__v1__asset__descriptor, &record, call->arena,
                                  &asset, err);
        object.kind = PANG_SCOPE_ASSET;
        object.asset = pang_id_of(old->asset);
        object.path = code == PANG_OK ? pang_str_from(asset->path) : (pang_str){0};
    }
    *ret = code == PANG_OK && pang_evaluate_may(call, PANG_ACT_WRITE, &object);
    return code;
}

/* A view has no files but its own, so that there is nothing to say over it. */
static pang_code choose_overlay(pang_table *table, pang_overlay *ret, pang_err *err)
{
    if (table->kind == PANGOLIN__STORE__V1__KIND__KIND_VIEW)
        return PANG_OK;
    if (pang_content_exists(&table->content))
        return pang_overlay_of(table->view, &table->content, ret, err);
    return pang_view_paths_of(table->view, &ret->paths, err);
}

pang_code pang_next_begin(pang_call *call, pang_table *table, pang_next *ret, pang_err *err)
{
    bool exists = pang_content_exists(&table->content);
    *ret = (pang_next){.table = table};
    ret->claim.view = table->view;
    ret->claim.env = call->server->env;
    ret->claim.who = call->who;
    ret->claim.takes_over = true;
    ret->claim.may_take_over = may_take_over;
    ret->claim.may_arg = call;
    if (exists) {
        const pang_rec_content *body = table->content.body;
        ret->body = *body;
        call->note.resource = ret->claim.asset = pang_id_of(body->asset);
        if (body->n_reserved > PANG_RESERVED_MAX)
            return pang_fail(err, PANG_DATA_LOSS, NULL, "%s %s holds %zu locations",
                             pang_table_word(table), pang_table_shown(table), body->n_reserved);
        for (size_t i = 0; i < body->n_reserved; i++)
            ret->claim.held[ret->claim.n_held++] = pang_str_from(body->reserved[i]);
        return choose_overlay(table, &ret->overlay, err);
    }
    pang_id *asset = pang_arena_alloc(call->arena, sizeof *asset);
    if (asset == NULL)
        return pang_fail_memory(err);
    *asset = call->note.resource = ret->claim.asset = pang_id_v7(call->server->env);
    ret->body = (pang_rec_content)PANGOLIN__STORE__V1__CONTENT__INIT;
    ret->body.asset = pang_bytes_of_id(asset);
    ret->body.kind = table->kind;
    return choose_overlay(table, &ret->overlay, err);
}

/* ---- places ---- */

static pang_code suffixed(pang_call *call, const pang_location *parent, pang_str name,
                          pang_location *ret, pang_err *err)
{
    uint8_t chance[4];
    pang_env_random(call->server->env, chance, sizeof chance);
    pang_str with = pang_arena_printf(call->arena, "%" PANG_STR_FMT "-%02x%02x%02x%02x",
                                      PANG_STR_ARG(name), chance[0], chance[1], chance[2],
                                      chance[3]);
    return with.len == 0 ? pang_fail_memory(err)
                         : pang_location_child(parent, with, call->arena, ret, err);
}

/* Reserves the table's place below `parent`, with a suffix where it is taken. */
static pang_code reserve_below(pang_call *call, pang_next *next, const pang_location *parent,
                               pang_location *ret_at, pang_placing *ret, pang_err *err)
{
    pang_str name = next->table->name;
    pang_code code = pang_location_child(parent, name, call->arena, ret_at, err);
    if (code == PANG_OK)
        code = pang_location_reserve(&next->claim, ret_at, ret, err);
    for (size_t i = 0; code == PANG_OK && *ret == PANG_PLACE_TAKEN && i < SUFFIX_TRIES; i++) {
        code = suffixed(call, parent, name, ret_at, err);
        if (code == PANG_OK)
            code = pang_location_reserve(&next->claim, ret_at, ret, err);
    }
    return code;
}

pang_code pang_next_default_location(pang_call *call, pang_next *next,
                                     const pang_rec_content *namespace_body, pang_str *ret,
                                     pang_err *err)
{
    pang_table *table = next->table;
    pang_location parent, at = {0};
    pang_placing place = PANG_PLACE_OURS;
    pang_code code = pang_namespace_location(table->view, pang_state_objects(call->server->state),
                                             table->levels, namespace_body, &parent, err);
    next->claim.takes_over = false;
    if (code == PANG_OK)
        code = reserve_below(call, next, &parent, &at, &place, err);
    if (code == PANG_OK && place == PANG_PLACE_COVERED) {
        code = pang_namespace_location_beside(table->view, table->levels, namespace_body, &parent,
                                              err);
        if (code == PANG_OK)
            code = reserve_below(call, next, &parent, &at, &place, err);
    }
    next->claim.takes_over = true;
    if (code == PANG_OK && place != PANG_PLACE_OURS)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "no default location is free for %s, since another table's lies above",
                         pang_table_shown(table));
    if (code == PANG_OK)
        *ret = at.text;
    return code;
}

typedef struct {
    pang_call *call;
    pang_next *next;
    pang_location list[PANG_RESERVED_MAX];
    const char *what[PANG_RESERVED_MAX];
    size_t n;
} places;

static bool is_held(const pang_claim *claim, pang_str canonical)
{
    for (size_t i = 0; i < claim->n_held; i++)
        if (pang_str_equal(claim->held[i], canonical))
            return true;
    return false;
}

/* Keeps the place in the order of lengths: what covers comes before what is covered. */
static pang_code add_place(void *arg, pang_model_place kind, const char *what, pang_str location,
                           pang_err *err)
{
    places *p = arg;
    pang_location at;
    (void)kind;
    pang_code code = pang_location_parse(location, what, p->call->arena, &at, err);
    if (code != PANG_OK || is_held(&p->next->claim, at.canonical))
        return code;
    if (p->n == PANG_RESERVED_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "too many locations for one table, at most %d", PANG_RESERVED_MAX);
    char *copy = pang_arena_cstr(p->call->arena, pang_str_from(what));
    if (copy == NULL)
        return pang_fail_memory(err);
    size_t i = p->n++;
    for (; i > 0 && p->list[i - 1].canonical.len > at.canonical.len; i--) {
        p->list[i] = p->list[i - 1];
        p->what[i] = p->what[i - 1];
    }
    p->list[i] = at;
    p->what[i] = copy;
    return PANG_OK;
}

/* Who holds the warehouse itself keeps every other table of the catalog out of it. */
static pang_code check_not_warehouse(pang_view *view, const pang_location *at, const char *what,
                                     pang_err *err)
{
    pang_rec_catalog *settings;
    pang_location warehouse;
    pang_code code = pang_view_settings(view, &settings, err);
    if (code != PANG_OK || settings->warehouse[0] == '\0')
        return code;
    code = pang_location_parse(pang_str_from(settings->warehouse), "warehouse", view->arena,
                               &warehouse, err);
    if (code == PANG_OK && pang_location_covers(at, &warehouse))
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "%s: location holds the whole warehouse of the catalog: %" PANG_STR_FMT,
                         what, PANG_STR_ARG(at->text));
    return code;
}

static pang_code reserve_place(pang_call *call, pang_next *next, const pang_location *at,
                               const char *what, pang_err *err)
{
    pang_placing place = PANG_PLACE_OURS;
    pang_code code = pang_location_check(next->table->view, pang_state_objects(call->server->state),
                                         at, what, err);
    if (code == PANG_OK)
        code = check_not_warehouse(next->table->view, at, what, err);
    if (code == PANG_OK)
        code = pang_location_reserve(&next->claim, at, &place, err);
    if (code == PANG_OK && place != PANG_PLACE_OURS)
        code = pang_fail(
            err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
            "%s: location is, contains or lies in one of another table: %" PANG_STR_FMT, what,
            PANG_STR_ARG(at->text));
    return code;
}

pang_code pang_next_places(pang_call *call, pang_next *next, pang_err *err)
{
    places p = {.call = call, .next = next};
    pang_code code = pang_model_places(next->document, PANG_MODEL_PLACE_ROOT, add_place, &p, err);
    for (size_t i = 0; code == PANG_OK && i < p.n; i++)
        code = reserve_place(call, next, &p.list[i], p.what[i], err);
    return code;
}

pang_code pang_next_prepare(pang_call *call, const pang_next *next, pang_err *err)
{
    pang_model_facts facts;
    pang_location at;
    pang_model_facts_of(next->document, &facts);
    pang_code code = pang_location_parse(facts.location, "location", call->arena, &at, err);
    if (code != PANG_OK)
        return code;
    pang_objects *store = pang_objects_find(pang_state_objects(call->server->state), at.scheme);
    return store == NULL ? PANG_OK : store->ops->prepare_table(store, &at, err);
}

/* ---- the body ---- */

static pang_code fill_reserved(pang_next *next, pang_arena *arena, pang_err *err)
{
    pang_rec_content *body = &next->body;
    body->n_reserved = next->claim.n_held;
    body->reserved = pang_arena_alloc_n(arena, body->n_reserved, sizeof(char *));
    if (body->reserved == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_reserved; i++) {
        body->reserved[i] = pang_arena_cstr(arena, next->claim.held[i]);
        if (body->reserved[i] == NULL)
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

static pang_code fill_body(pang_next *next, pang_arena *arena, pang_str location,
                           const pang_id *document, pang_err *err)
{
    pang_rec_content *body = &next->body;
    pang_model_facts facts;
    if (body->kind == PANGOLIN__STORE__V1__KIND__KIND_VIEW)
        pang_model_view_facts_of(next->document, &facts);
    else
        pang_model_facts_of(next->document, &facts);
    body->metadata_location = pang_arena_cstr(arena, location);
    body->uuid = pang_arena_cstr(arena, facts.table_uuid);
    if (body->metadata_location == NULL || body->uuid == NULL)
        return pang_fail_memory(err);
    body->document = pang_bytes_of_id(document);
    body->schema_id = (int32_t)facts.schema_id;
    body->snapshot_id = facts.has_snapshot ? facts.snapshot_id : -1;
    return fill_reserved(next, arena, err);
}

pang_code pang_next_write(pang_call *call, pang_next *next, pang_str base, pang_err *err)
{
    pang_model_file file = {0};
    pang_id *document;
    pang_str folder = {0};
    pang_view *view = next->table->view;
    const pang_env *env = call->server->env;
    pang_code code = pang_branch_metadata_folder(view, next->document, &folder, err);
    if (code == PANG_OK)
        code = pang_json_print_again(next->document, call->arena, &next->text, err);
    if (code == PANG_OK)
        code = pang_model_file_name(next->document, base, folder, env, call->arena, &file, err);
    if (code == PANG_OK)
        code = pang_metadata_write(view, call->server->state, env, &file, next->text, &document,
                                   err);
    return code == PANG_OK ? fill_body(next, call->arena, file.location, document, err) : code;
}

pang_code pang_next_adopt(pang_call *call, pang_next *next, pang_str location, pang_err *err)
{
    pang_id *document;
    pang_code code = pang_metadata_adopt(next->table->view, call->server->state, call->server->env,
                                         location, pang_model_is_gzip_name(location), next->text,
                                         &document, err);
    return code == PANG_OK ? fill_body(next, call->arena, location, document, err) : code;
}

pang_code pang_next_put(pang_next *next, pang_edit *edit, pang_err *err)
{
    const pang_content *at = &next->table->content;
    return pang_content_exists(at) ? pang_edit_update(edit, at, &next->body, err)
                                   : pang_edit_create(edit, at, &next->body, err);
}

/* ---- answers to a repeated request ---- */

/* What is kept: the document, whether it was shown as shared, whose paths it named. */
enum {
    KEPT_SHARED = sizeof(pang_id),
    KEPT_PATHS,
    KEPT_MARK = KEPT_PATHS + sizeof(pang_id),
    KEPT = KEPT_MARK + sizeof(uint64_t),
};

pang_code pang_keep_document(pang_call *call, const pang_rec_content *body, pang_overlay overlay,
                             pang_err *err)
{
    char *kept = pang_arena_alloc_text(call->arena, KEPT);
    if (kept == NULL)
        return pang_fail_memory(err);
    pang_id document = pang_id_of(body->document);
    memcpy(kept, &document, sizeof document);
    kept[KEPT_SHARED] = overlay.shared ? 1 : 0;
    memcpy(kept + KEPT_PATHS, &overlay.paths.branch, sizeof overlay.paths.branch);
    memcpy(kept + KEPT_MARK, &overlay.paths.mark, sizeof overlay.paths.mark);
    call->keep = (pang_str){kept, KEPT};
    return PANG_OK;
}

/* Before there were overlays the document alone was kept, and before there were marks none. */
static pang_overlay kept_overlay(pang_str kept)
{
    pang_overlay ret = PANG_NO_OVERLAY;
    if (kept.len != KEPT && kept.len != KEPT_MARK)
        return ret;
    ret.shared = kept.ptr[KEPT_SHARED] != 0;
    memcpy(&ret.paths.branch, kept.ptr + KEPT_PATHS, sizeof ret.paths.branch);
    if (kept.len == KEPT)
        memcpy(&ret.paths.mark, kept.ptr + KEPT_MARK, sizeof ret.paths.mark);
    return ret;
}

pang_code pang_kept_document(pang_call *call, const char *prefix, pang_str kept,
                             pang_rec_content *ret_body, pang_overlay *ret_overlay,
                             pang_str *ret_text, pang_err *err)
{
    pang_view view;
    pang_record record;
    pang_address address;
    pang_rec_metadata *stored;
    pang_code code = pang_address_of(prefix, NULL, 0, NULL, call->arena, &address, err);
    if (code == PANG_OK)
        code = pang_view_catalog(call->txn, call->arena, call->tenant_key, address.catalog,
                                 PANG_NO_TABLE, &view, err);
    if (code != PANG_OK)
        return code;
    *ret_body = (pang_rec_content)PANGOLIN__STORE__V1__CONTENT__INIT;
    ret_body->document = pang_bytes_of(pang_str_slice(kept, 0, sizeof(pang_id)));
    *ret_overlay = kept_overlay(kept);
    pang_ref ref = {
        .key = pang_key_metadata(&view.keys, view.catalog, pang_id_of(ret_body->document)),
        .immutable = true,
    };
    code = pang_txn_get(call->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code == PANG_OK && record.version == 0)
        code = pang_fail(err, PANG_DATA_LOSS, NULL, "what a request answered is not kept any more");
    if (code == PANG_OK)
        code = pang_metadata_unpack(call->server->state, &record, call->arena, &stored, ret_text,
                                    err);
    if (code != PANG_OK)
        return code;
    ret_body->metadata_location = stored->location;
    return pang_metadata_overlay(&view, call->server->state, ret_body, *ret_overlay, *ret_text,
                                 ret_text, err);
}
