/*
 * Branches by hand: see the header.
 */
#include "tests/server/ref_fixture.h"

#include <string.h>

static void check(fixture *fx, pang_code code)
{
    if (code != PANG_OK)
        fail_msg("%d %s", code, fx->err.message);
}

pang_view rfx_view(fixture *fx, const char *prefix)
{
    pang_view view;
    check(fx, pang_view_begin(fx_begin(fx), fx->arena, FX_SCOPE, pang_str_from(prefix), "x", &view,
                              &fx->err));
    return view;
}

/* ---- refs ---- */

static pang_rec_point *point_of(fixture *fx, pang_id branch, uint64_t sequence)
{
    pang_rec_point *point = pang_arena_alloc(fx->arena, sizeof *point);
    pang_id *id = pang_arena_alloc(fx->arena, sizeof *id);
    *point = (pang_rec_point)PANGOLIN__STORE__V1__POINT__INIT;
    *id = branch;
    point->branch = pang_bytes_of_id(id);
    point->sequence = sequence;
    return point;
}

static void put(pang_view *view, uint32_t kind, pang_str key, const ProtobufCMessage *body)
{
    pang_txn_put(view->txn, kind, key, pang_record_pack(body, view->arena));
}

/* The levels of `view` from `first` on, as points. */
static void fill_bases(fixture *fx, pang_view *view, size_t first, uint64_t sequence,
                       pang_rec_ref *ref)
{
    ref->bases = pang_arena_alloc_n(fx->arena, PANG_LEVELS_MAX, sizeof(void *));
    for (size_t i = first; i < view->n_levels; i++)
        ref->bases[ref->n_bases++] = point_of(fx, view->levels[i].branch,
                                              i == 0 ? sequence : view->levels[i].at);
}

static void put_branch(fixture *fx, pang_view *view, const char *name, const pang_rec_ref *ref)
{
    pang_rec_branch body = PANGOLIN__STORE__V1__BRANCH__INIT;
    body.name = fx_text(fx, "%s", name);
    body.bases = ref->bases;
    body.n_bases = ref->n_bases;
    put(view, PANG_KIND_BRANCH,
        pang_key_branch(&view->keys, view->catalog, pang_id_of(ref->branch)), &body.base);
}

static void put_mark(pang_view *view, uint64_t sequence)
{
    pang_rec_fork_mark mark = PANGOLIN__STORE__V1__FORK_MARK__INIT;
    mark.sequence = sequence;
    put(view, PANG_KIND_FORK_MARK, pang_key_fork_mark(&view->keys, view->levels[0].branch),
        &mark.base);
}

static uint64_t or_now(fixture *fx, pang_view *view, uint64_t sequence)
{
    if (sequence == 0)
        check(fx, pang_view_sequence(view, &sequence, &fx->err));
    return sequence;
}

void rfx_branch(fixture *fx, const char *name, const char *from, uint64_t sequence)
{
    pang_view view = rfx_view(fx, from);
    pang_rec_ref ref = PANGOLIN__STORE__V1__REF__INIT;
    pang_id id = pang_id_v7(&fx->env);
    sequence = or_now(fx, &view, sequence);
    ref.kind = PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH;
    ref.branch = pang_bytes_of_id(&id);
    fill_bases(fx, &view, 0, sequence, &ref);
    put(&view, PANG_KIND_REF, pang_key_ref(&view.keys, view.catalog, pang_str_from(name)),
        &ref.base);
    put_branch(fx, &view, name, &ref);
    put_mark(&view, sequence);
    check(fx, pang_txn_commit(view.txn, &fx->err));
}

void rfx_tag(fixture *fx, const char *name, const char *from, uint64_t sequence)
{
    pang_view view = rfx_view(fx, from);
    pang_rec_ref ref = PANGOLIN__STORE__V1__REF__INIT;
    sequence = or_now(fx, &view, sequence);
    ref.kind = PANGOLIN__STORE__V1__REF__KIND__KIND_TAG;
    ref.branch = pang_bytes_of_id(&view.levels[0].branch);
    ref.sequence = sequence;
    fill_bases(fx, &view, 1, sequence, &ref);
    put(&view, PANG_KIND_REF, pang_key_ref(&view.keys, view.catalog, pang_str_from(name)),
        &ref.base);
    put_mark(&view, sequence);
    check(fx, pang_txn_commit(view.txn, &fx->err));
}

void rfx_change(fixture *fx, const char *name, void (*change)(pang_rec_ref *ref))
{
    pang_rec_ref *ref;
    pang_view view = rfx_view(fx, FX_PREFIX);
    check(fx, pang_ref_find(&view, pang_str_from(name), &ref, &fx->err));
    assert_non_null(ref);
    change(ref);
    put(&view, PANG_KIND_REF, pang_key_ref(&view.keys, view.catalog, pang_str_from(name)),
        &ref->base);
    check(fx, pang_txn_commit(view.txn, &fx->err));
}

/* ---- content ---- */

pang_name rfx_name(fixture *fx, pang_view *view, const char *ns, const char *name)
{
    pang_str *level = pang_arena_alloc(fx->arena, sizeof *level);
    *level = pang_str_from(fx_text(fx, "%s", ns));
    return pang_name_of_asset(&view->keys, (pang_levels){level, 1},
                              pang_str_from(fx_text(fx, "%s", name)));
}

pang_content rfx_read(fixture *fx, pang_view *view, const char *ns, const char *name)
{
    pang_content content = {.name = rfx_name(fx, view, ns, name)};
    check(fx, pang_content_get(view, &content, 1, &fx->err));
    return content;
}

uint64_t rfx_land(fixture *fx, pang_edit *edit, const char *message)
{
    check(fx, pang_edit_end(edit, pang_str_from(message), &fx->err));
    check(fx, pang_txn_commit(edit->view->txn, &fx->err));
    return pang_txn_number(edit->view->txn, edit->slot);
}

uint64_t rfx_put(fixture *fx, const char *prefix, const char *name, const char *location)
{
    pang_edit *edit;
    pang_view view = rfx_view(fx, prefix);
    pang_content at = rfx_read(fx, &view, "ns", name);
    pang_rec_content body = PANGOLIN__STORE__V1__CONTENT__INIT;
    pang_id asset = pang_id_v7(&fx->env);
    check(fx, pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err));
    body.asset = pang_content_exists(&at) ? at.body->asset : pang_bytes_of_id(&asset);
    body.kind = PANGOLIN__STORE__V1__KIND__KIND_TABLE;
    body.metadata_location = fx_text(fx, "%s", location);
    check(fx, pang_content_exists(&at) ? pang_edit_update(edit, &at, &body, &fx->err)
                                       : pang_edit_create(edit, &at, &body, &fx->err));
    return rfx_land(fx, edit, location);
}

uint64_t rfx_drop(fixture *fx, const char *prefix, const char *name)
{
    pang_edit *edit;
    pang_view view = rfx_view(fx, prefix);
    pang_content at = rfx_read(fx, &view, "ns", name);
    check(fx, pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err));
    check(fx, pang_edit_drop(edit, &at, false, &fx->err));
    return rfx_land(fx, edit, "drop");
}

const char *rfx_location(fixture *fx, const char *prefix, const char *name)
{
    pang_view view = rfx_view(fx, prefix);
    pang_content content = rfx_read(fx, &view, "ns", name);
    return pang_content_exists(&content) ? content.body->metadata_location : NULL;
}
