/*
 * Branches, made and ended. What a branch is made of is a point: a branch id and a number of the
 * catalog's sequence. A branch as of now is forked at the catalog's last number, which covers all
 * that is on it: what lands later has a greater one.
 */
#include "server/branches.h"

#include <string.h>

#include "api/keys_identity.h"
#include "server/locations.h"
#include "server/shared.h"

#define BRANCH PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH
#define TAG PANGOLIN__STORE__V1__REF__KIND__KIND_TAG
#define BAD_REQUEST "BadRequestException"

enum { BASES_MAX = PANG_LEVELS_MAX - 1 };

/* ---- points ---- */

/* A list of points, as records have it. */
typedef struct {
    pang_rec_point **list;
    size_t n;
} points;

static pang_rec_point *point_of(pang_id branch, uint64_t sequence, pang_arena *arena)
{
    pang_rec_point *point = pang_arena_alloc(arena, sizeof *point);
    pang_id *id = pang_arena_alloc(arena, sizeof *id);
    if (point == NULL || id == NULL)
        return NULL;
    *id = branch;
    *point = (pang_rec_point)PANGOLIN__STORE__V1__POINT__INIT;
    point->branch = pang_bytes_of_id(id);
    point->sequence = sequence;
    return point;
}

static pang_code fail_too_deep(const pang_view *source, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, BAD_REQUEST,
                     "\"%" PANG_STR_FMT "\" is made from %d branches, one from the other: "
                     "rebase it first",
                     PANG_STR_ARG(source->ref_name), BASES_MAX);
}

/* The point that the view shows, and then the others. */
static pang_code prepend(const pang_view *source, pang_rec_point *const *others, size_t n,
                         points *ret, pang_err *err)
{
    if (n >= BASES_MAX)
        return fail_too_deep(source, err);
    ret->list = pang_arena_alloc_n(source->arena, n + 1, sizeof *ret->list);
    if (ret->list == NULL)
        return pang_fail_memory(err);
    ret->list[0] = point_of(source->levels[0].branch, source->levels[0].at, source->arena);
    if (ret->list[0] == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        ret->list[i + 1] = others[i];
    ret->n = n + 1;
    return PANG_OK;
}

/* What is read through, and where it was forked as far as that is something else. */
static pang_code follow(pang_view *source, bool partial, points *bases, points *forks,
                        pang_err *err)
{
    pang_rec_branch *from;
    pang_code code = pang_branch_find(source, source->levels[0].branch, &from, err);
    if (code == PANG_OK && !partial)
        code = prepend(source, from->bases, from->n_bases, bases, err);
    if (code != PANG_OK || (from->n_forks == 0 && !partial))
        return code;
    return from->n_forks > 0 ? prepend(source, from->forks, from->n_forks, forks, err)
                             : prepend(source, from->bases, from->n_bases, forks, err);
}

/* A counter must be at the commit what it is now. */
static pang_code hold(pang_view *view, pang_str counter, int64_t *ret, pang_err *err)
{
    pang_record record;
    pang_ref ref = {.key = counter};
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code != PANG_OK)
        return code;
    pang_txn_check_counter(view->txn, counter, record.value);
    *ret = record.value;
    return PANG_OK;
}

pang_code pang_branch_settle(pang_view *source, pang_err *err)
{
    uint64_t sequence = 0;
    int64_t ignored;
    pang_id branch = source->levels[0].branch;
    if (source->levels[0].at != PANG_NOW)
        return PANG_OK;
    /* In this order: what lets go of files in between is above the number, and then this fails. */
    pang_code code = hold(source, pang_key_content_count(&source->keys, branch, 'x'), &ignored,
                          err);
    if (code == PANG_OK)
        code = pang_view_sequence(source, &sequence, err);
    if (code == PANG_OK)
        pang_view_set_at(source, sequence);
    return code;
}

/* REQUIRES: the view shows one state. */
static pang_code mark_fork(pang_view *source, pang_err *err)
{
    return pang_fork_mark_raise(source->txn, &source->keys, source->levels[0].branch,
                                source->levels[0].at, err);
}

void pang_branch_let_go(pang_view *view)
{
    pang_txn_add(view->txn, pang_key_content_count(&view->keys, view->levels[0].branch, 'x'), 1);
}

pang_code pang_branch_hold(pang_view *view, pang_id branch, uint64_t *ret_sequence, pang_err *err)
{
    int64_t ignored;
    uint64_t sequence = 0;
    /* In this order: what lands in between is above the number, and then this commit fails. */
    pang_code code = hold(view, pang_key_content_count(&view->keys, branch, 'c'), &ignored, err);
    if (code == PANG_OK)
        code = pang_view_sequence(view, &sequence, err);
    if (code == PANG_OK && ret_sequence != NULL)
        *ret_sequence = sequence;
    return code;
}

/* ---- records of refs ---- */

static void put_ref(pang_view *view, pang_str name, const pang_rec_ref *ref)
{
    pang_txn_put(view->txn, PANG_KIND_REF, pang_key_ref(&view->keys, view->catalog, name),
                 pang_record_pack(&ref->base, view->arena));
}

static void put_branch(pang_view *view, pang_id id, const pang_rec_branch *branch)
{
    pang_txn_put(view->txn, PANG_KIND_BRANCH, pang_key_branch(&view->keys, view->catalog, id),
                 pang_record_pack(&branch->base, view->arena));
}

/* There is one more branch, or one less; whoever looks at all refs learns that they changed. */
static void count_ref(pang_view *view, const pang_rec_ref *ref, int64_t amount)
{
    pang_txn_add(view->txn, pang_key_epoch(&view->keys, view->catalog, (pang_str){0}), 1);
    if (ref->kind != BRANCH)
        return;
    pang_txn_add(view->txn, pang_key_content_count(&view->keys, view->catalog, 'b'), amount);
    pang_txn_add(view->txn, pang_key_count(&view->keys, PANG_COUNT_BRANCHES), amount);
}

/* Free is a name without a ref, or with one whose deadline has passed, which then ends here. */
static pang_code take_name(pang_view *view, const pang_env *env, const char *what, pang_str name,
                           pang_err *err)
{
    pang_record record;
    pang_rec_ref *ref = NULL;
    pang_code code = pang_ref_name_check(what, name, err);
    if (code == PANG_OK)
        code = pang_ref_find(view, name, &ref, err);
    if (code == PANG_OK && ref != NULL)
        return pang_fail(err, PANG_ALREADY_EXISTS, "AlreadyExistsException",
                         "%s \"%" PANG_STR_FMT "\" exists already",
                         ref->kind == TAG ? "tag" : "branch", PANG_STR_ARG(name));
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, pang_key_ref(&view->keys, view->catalog, name), &record,
                                err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &record, view->arena, &ref,
                              err);
    return code == PANG_OK ? pang_ref_end(view, env, name, ref, err) : code;
}

/* What all refs say of their making. */
static pang_code sign(pang_view *view, const pang_env *env, const pang_principal *who,
                      pang_str description, pang_rec_ref *ref, pang_err *err)
{
    ref->created_ms = pang_env_wall_ms(env);
    ref->created_by = pang_bytes_of_id(&who->id);
    ref->created_by_name = pang_arena_cstr(view->arena, who->name);
    ref->description = pang_arena_cstr(view->arena, description);
    return ref->created_by_name == NULL || ref->description == NULL ? pang_fail_memory(err)
                                                                    : PANG_OK;
}

/* ---- making ---- */

pang_code pang_branch_expire_at(pang_view *view, const pang_env *env, pang_id branch,
                                int64_t deadline_ms, pang_err *err)
{
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    due.scope = pang_arena_cstr(view->arena, view->keys.scope);
    if (due.scope == NULL)
        return pang_fail_memory(err);
    due.catalog = pang_bytes_of_id(&view->catalog);
    due.branch = pang_bytes_of_id(&branch);
    due.branch_expires = true;
    return pang_due_put(view->txn, view->arena, env, deadline_ms, &due, err);
}

static pang_code fill_ref(pang_view *view, const pang_env *env, const pang_principal *who,
                          const pang_branch_options *options, pang_rec_ref *ref, pang_err *err)
{
    ref->kind = BRANCH;
    ref->type = (char *)(uintptr_t)(options->ingest ? "ingest" : "experimental");
    ref->is_protected = options->is_protected;
    ref->own_paths = options->own_paths;
    ref->deadline_ms = options->deadline_ms;
    ref->selected = options->selected_as;
    ref->n_selected = options->n_selected;
    return sign(view, env, who, options->description, ref, err);
}

static pang_code put_new(pang_view *view, const pang_env *env, const pang_branch_options *options,
                         pang_rec_ref *ref, pang_err *err)
{
    pang_rec_branch branch = PANGOLIN__STORE__V1__BRANCH__INIT;
    pang_id id = pang_id_of(ref->branch);
    branch.name = pang_arena_cstr(view->arena, options->name);
    if (branch.name == NULL)
        return pang_fail_memory(err);
    branch.bases = ref->bases;
    branch.n_bases = ref->n_bases;
    branch.forks = ref->forks;
    branch.n_forks = ref->n_forks;
    branch.created_ms = ref->created_ms;
    put_branch(view, id, &branch);
    if (options->unnamed)
        return pang_keys_status(&view->keys, err);
    put_ref(view, options->name, ref);
    count_ref(view, ref, 1);
    if (ref->deadline_ms != 0)
        return pang_branch_expire_at(view, env, id, ref->deadline_ms, err);
    return pang_keys_status(&view->keys, err);
}

static pang_code find_head(pang_view *source, pang_id *ret, pang_err *err)
{
    pang_commit_row head = {0};
    pang_code code = pang_commit_head(source, &head, err);
    *ret = head.body == NULL ? (pang_id){{0}} : pang_id_of(head.body->id);
    return code;
}

pang_code pang_branch_make(pang_view *source, const pang_env *env, const pang_principal *who,
                           const pang_branch_options *options, pang_branch_made *ret, pang_err *err)
{
    points bases = {0}, forks = {0};
    pang_id *id = pang_arena_alloc(source->arena, sizeof *id);
    pang_rec_ref *ref = pang_arena_alloc(source->arena, sizeof *ref);
    if (id == NULL || ref == NULL)
        return pang_fail_memory(err);
    *id = options->id != NULL ? *options->id : pang_id_v7(env);
    *ref = (pang_rec_ref)PANGOLIN__STORE__V1__REF__INIT;
    pang_code code = options->unnamed ? PANG_OK
                                      : take_name(source, env, "branch", options->name, err);
    if (code == PANG_OK)
        code = pang_branch_settle(source, err);
    if (code == PANG_OK)
        code = follow(source, options->n_selected > 0, &bases, &forks, err);
    if (code == PANG_OK)
        code = mark_fork(source, err);
    if (code == PANG_OK)
        code = fill_ref(source, env, who, options, ref, err);
    if (code != PANG_OK)
        return code;
    ref->branch = pang_bytes_of_id(id);
    ref->bases = bases.list;
    ref->n_bases = bases.n;
    ref->forks = forks.list;
    ref->n_forks = forks.n;
    *ret = (pang_branch_made){.branch = *id, .ref = ref};
    code = put_new(source, env, options, ref, err);
    if (code != PANG_OK)
        return code;
    return options->n_selected > 0
               ? pang_branch_copy(source, env, who, options, *id, &ret->head, err)
               : find_head(source, &ret->head, err);
}

pang_code pang_tag_make(pang_view *source, const pang_env *env, const pang_principal *who,
                        const pang_tag_options *options, pang_rec_ref **ret, pang_err *err)
{
    pang_commit_row head = {0};
    pang_rec_branch *branch;
    pang_rec_ref *ref = pang_arena_alloc(source->arena, sizeof *ref);
    if (ref == NULL)
        return pang_fail_memory(err);
    *ref = (pang_rec_ref)PANGOLIN__STORE__V1__REF__INIT;
    pang_code code = take_name(source, env, "tag", options->name, err);
    if (code == PANG_OK)
        code = pang_branch_settle(source, err);
    if (code == PANG_OK)
        code = pang_commit_head(source, &head, err);
    if (code == PANG_OK && head.body == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, BAD_REQUEST,
                         "there is no commit yet that a tag could be on");
    if (code == PANG_OK) /* the state that the commit left: nothing came after it there */
        code = pang_view_at_point(source, pang_id_of(head.body->branch), head.sequence, err);
    if (code == PANG_OK)
        code = pang_branch_find(source, source->levels[0].branch, &branch, err);
    if (code == PANG_OK)
        code = mark_fork(source, err);
    if (code == PANG_OK)
        code = sign(source, env, who, options->description, ref, err);
    if (code != PANG_OK)
        return code;
    ref->kind = TAG;
    ref->branch = head.body->branch;
    ref->sequence = head.sequence;
    ref->commit = head.body->id;
    ref->is_protected = options->is_protected;
    ref->bases = branch->bases;
    ref->n_bases = branch->n_bases;
    ref->forks = branch->forks;
    ref->n_forks = branch->n_forks;
    put_ref(source, options->name, ref);
    count_ref(source, ref, 1);
    *ret = ref;
    return pang_keys_status(&source->keys, err);
}

/* ---- changing ---- */

pang_code pang_branch_rename(pang_view *view, const pang_env *env, pang_str from, pang_str to,
                             const pang_rec_ref *ref, pang_err *err)
{
    pang_rec_branch *branch;
    pang_id id = pang_id_of(ref->branch);
    pang_code code = take_name(view, env, "branch", to, err);
    if (code == PANG_OK)
        code = pang_branch_find(view, id, &branch, err);
    if (code != PANG_OK)
        return code;
    branch->name = pang_arena_cstr(view->arena, to);
    if (branch->name == NULL)
        return pang_fail_memory(err);
    pang_txn_delete(view->txn, pang_key_ref(&view->keys, view->catalog, from));
    put_ref(view, to, ref);
    put_branch(view, id, branch);
    /* As many as before, but under another name. */
    pang_txn_add(view->txn, pang_key_epoch(&view->keys, view->catalog, (pang_str){0}), 1);
    return pang_keys_status(&view->keys, err);
}

pang_code pang_ref_change(pang_view *view, pang_str name, const pang_rec_ref *ref, pang_err *err)
{
    put_ref(view, name, ref);
    return pang_keys_status(&view->keys, err);
}

/* ---- ending ---- */

/* No name leads to the branch of the ref any more, but for the one that the caller takes away.
 * `next`: who has its name from now on; NULL: nobody. */
static pang_code hide(pang_view *view, const pang_env *env, const pang_rec_ref *ref,
                      const pang_id *next, pang_err *err)
{
    pang_rec_branch *body;
    uint64_t sequence = 0;
    pang_id branch = pang_id_of(ref->branch);
    pang_code code = pang_branch_find(view, branch, &body, err);
    if (code == PANG_OK)
        code = pang_view_sequence(view, &sequence, err);
    if (code != PANG_OK)
        return code;
    body->hidden = true;
    body->hidden_ms = pang_env_wall_ms(env);
    body->hidden_at = sequence;
    body->experimental = strcmp(ref->type, "experimental") == 0;
    if (next != NULL)
        body->next = pang_bytes_of_id(next);
    put_branch(view, branch, body);
    return pang_keys_status(&view->keys, err);
}

pang_code pang_ref_end(pang_view *view, const pang_env *env, pang_str name, const pang_rec_ref *ref,
                       pang_err *err)
{
    pang_code code = ref->kind == BRANCH ? hide(view, env, ref, NULL, err) : PANG_OK;
    if (code != PANG_OK)
        return code;
    pang_txn_delete(view->txn, pang_key_ref(&view->keys, view->catalog, name));
    count_ref(view, ref, -1);
    return pang_keys_status(&view->keys, err);
}

pang_code pang_branch_swing(pang_view *view, const pang_env *env, pang_str name, pang_id old,
                            const pang_branch_made *next, pang_err *err)
{
    pang_rec_ref *ref;
    pang_code code = pang_ref_find(view, name, &ref, err);
    if (code == PANG_OK && (ref == NULL || !pang_id_equal(pang_id_of(ref->branch), old)))
        return pang_fail(err, PANG_NOT_FOUND, NULL,
                         "branch \"%" PANG_STR_FMT "\" is another one meanwhile",
                         PANG_STR_ARG(name));
    if (code == PANG_OK)
        code = hide(view, env, ref, &next->branch, err);
    if (code != PANG_OK)
        return code;
    ref->branch = next->ref->branch;
    ref->bases = next->ref->bases;
    ref->n_bases = next->ref->n_bases;
    ref->forks = next->ref->forks;
    ref->n_forks = next->ref->n_forks;
    put_ref(view, name, ref);
    return ref->deadline_ms != 0
               ? pang_branch_expire_at(view, env, next->branch, ref->deadline_ms, err)
               : pang_keys_status(&view->keys, err);
}

pang_code pang_branch_expire(pang_view *view, const pang_env *env, pang_id branch, pang_err *err)
{
    pang_record record;
    pang_rec_branch *body;
    pang_rec_ref *ref;
    pang_code code = pang_branch_find(view, branch, &body, err);
    if (code == PANG_NOT_FOUND)
        return PANG_OK; /* the catalog is gone */
    if (code != PANG_OK || body->hidden)
        return code;
    pang_str name = pang_str_from(body->name);
    code = pang_txn_get_one(view->txn, pang_key_ref(&view->keys, view->catalog, name), &record,
                            err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &record, view->arena, &ref,
                              err);
    if (code != PANG_OK || !pang_id_equal(pang_id_of(ref->branch), branch) ||
        ref->deadline_ms == 0 || ref->deadline_ms > pang_env_wall_ms(env))
        return code;
    return pang_ref_end(view, env, name, ref, err);
}
