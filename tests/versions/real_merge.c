/*
 * Merges in the program.
 */
#include <string.h>

#include "tests/versions/real.h"

#include "pangolin/v1/merge.pb-c.h"

typedef Pangolin__V1__MergeConflict conflict;

static void take_conflicts(world *w, merge_call *call, conflict *const *list, size_t n)
{
    pang_buf told = {.arena = w->fx->arena};
    call->n_conflicts = 0;
    for (size_t i = 0; i < n; i++) {
        bool known = false;
        for (size_t k = 0; k < call->n_conflicts; k++)
            known = known || strcmp(call->conflicts[k], list[i]->asset_name) == 0;
        if (!known)
            call->conflicts[call->n_conflicts++] = list[i]->asset_name;
        pang_buf_printf(&told, "\n  %s %s: %s", list[i]->conflict_type, list[i]->asset_name,
                        list[i]->description);
    }
    pang_buf_add_char(&told, '\0');
    call->told = pang_buf_str(&told).ptr;
}

static void ask_conflicts(world *w, merge_call *call, conflict ***ret, size_t *ret_n)
{
    Pangolin__V1__ListMergeConflictsRequest in = PANGOLIN__V1__LIST_MERGE_CONFLICTS_REQUEST__INIT;
    Pangolin__V1__ListMergeConflictsResponse out;
    in.id = TEXT(call->operation);
    if (fx_call(w->fx, "ListMergeConflicts", &in, &out) != PANG_OK)
        fail_msg("seed %lu: %s: %s", (unsigned long)w->seed, w->step, w->fx->err.message);
    *ret = out.conflicts;
    *ret_n = out.n_conflicts;
}

static Pangolin__V1__MergeKeyMode **modes_of(world *w, const merge_call *call)
{
    pang_arena *arena = w->fx->arena;
    Pangolin__V1__MergeKeyMode **list = pang_arena_alloc_n(arena, call->n_modes, sizeof *list);
    for (size_t i = 0; i < call->n_modes; i++) {
        list[i] = pang_arena_alloc(arena, sizeof *list[i]);
        *list[i] = (Pangolin__V1__MergeKeyMode)PANGOLIN__V1__MERGE_KEY_MODE__INIT;
        list[i]->key = TEXT(call->modes[i].key);
        list[i]->mode = TEXT(call->modes[i].mode);
    }
    return list;
}

void real_merge(world *w, merge_call *call)
{
    Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    Pangolin__V1__MergeBranchesResponse out;
    conflict **list = NULL;
    size_t n = 0;
    in.catalog = w->catalog;
    in.source_branch = TEXT(call->source);
    in.target_branch = TEXT(call->target);
    in.modes = modes_of(w, call);
    in.n_modes = call->n_modes;
    in.dry_run = call->dry;
    call->operation = "";
    call->code = fx_call(w->fx, "MergeBranches", &in, &out);
    if (call->code == PANG_OK && out.conflicted != NULL) {
        call->operation = out.conflicted->operation_id;
        ask_conflicts(w, call, &list, &n);
    } else if (call->code == PANG_OK) {
        list = out.operation->conflicts;
        n = out.operation->n_conflicts;
    }
    take_conflicts(w, call, list, n);
}

/* What was said of conflicts, or nothing. */
static void take_answer(world *w, merge_call *call, const Pangolin__V1__MergeConflicted *said)
{
    conflict **list = NULL;
    size_t n = 0;
    if (said != NULL) {
        call->operation = said->operation_id;
        ask_conflicts(w, call, &list, &n);
    }
    take_conflicts(w, call, list, n);
}

static void rebase(world *w, const char *onto, merge_call *call)
{
    Pangolin__V1__RebaseBranchRequest in = PANGOLIN__V1__REBASE_BRANCH_REQUEST__INIT;
    Pangolin__V1__RebaseBranchResponse out;
    in.name = TEXT(call->target);
    in.catalog = w->catalog;
    in.onto = TEXT(onto);
    call->code = fx_call(w->fx, "RebaseBranch", &in, &out);
    take_answer(w, call, call->code == PANG_OK ? out.conflicted : NULL);
}

static void pick(world *w, const char *id, merge_call *call)
{
    Pangolin__V1__CherryPickRequest in = PANGOLIN__V1__CHERRY_PICK_REQUEST__INIT;
    Pangolin__V1__CherryPickResponse out;
    in.name = TEXT(call->target);
    in.catalog = w->catalog;
    in.commit = TEXT(id);
    call->code = fx_call(w->fx, "CherryPick", &in, &out);
    take_answer(w, call, call->code == PANG_OK ? out.conflicted : NULL);
}

static void revert(world *w, const char *id, merge_call *call)
{
    Pangolin__V1__RevertRequest in = PANGOLIN__V1__REVERT_REQUEST__INIT;
    Pangolin__V1__RevertResponse out;
    in.name = TEXT(call->target);
    in.catalog = w->catalog;
    in.commit = TEXT(id);
    call->code = fx_call(w->fx, "Revert", &in, &out);
    take_answer(w, call, call->code == PANG_OK ? out.conflicted : NULL);
}

void real_again(world *w, again_kind kind, const char *source, merge_call *call)
{
    static void (*const kinds[])(world *, const char *, merge_call *) = {pick, revert, rebase};
    call->operation = "";
    kinds[kind](w, source, call);
}

pang_code real_restore(world *w, const char *name, const char *to)
{
    Pangolin__V1__RestoreBranchRequest in = PANGOLIN__V1__RESTORE_BRANCH_REQUEST__INIT;
    Pangolin__V1__RestoreBranchResponse out;
    in.name = TEXT(name);
    in.catalog = w->catalog;
    in.to = TEXT(to);
    return fx_call(w->fx, "RestoreBranch", &in, &out);
}

/* A property of the model that the conflict names; -1: it names another thing. */
static int named_at(world *w, const pang_json *names, size_t at)
{
    pang_str name = {0};
    (void)pang_json_to_str(pang_json_at(names, at), &name);
    for (int i = 0; i < PROPERTIES; i++)
        if (pang_str_equal(name, pang_str_from(fx_text(w->fx, "p%d", i))))
            return i;
    return -1;
}

static unsigned properties_of(world *w, const conflict *c)
{
    const pang_json *names = pang_json_get(real_parse(w, c->details), "conflicting_properties");
    unsigned bits = 0;
    for (size_t i = 0; i < pang_json_size(names); i++) {
        int property = named_at(w, names, i);
        if (property < 0)
            return 0;
        bits |= 1U << property;
    }
    return bits;
}

unsigned real_conflicting(world *w, merge_call *call, const char *key)
{
    conflict **list;
    size_t n;
    unsigned bits = 0;
    ask_conflicts(w, call, &list, &n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i]->asset_name, key) != 0)
            continue;
        unsigned one = properties_of(w, list[i]);
        if (one == 0)
            return 0;
        bits |= one;
    }
    return bits;
}

static char *resolved_value(world *w, unsigned bits, const int *values)
{
    pang_buf out = {.arena = w->fx->arena};
    for (int i = 0; i < PROPERTIES; i++) {
        if (!(bits >> i & 1))
            continue;
        pang_buf_printf(&out, "%s\"p%d\":", out.len == 0 ? "{" : ",", i);
        if (values[i] == 0)
            pang_buf_printf(&out, "null");
        else
            pang_buf_printf(&out, "\"v%d\"", values[i]);
    }
    pang_buf_add(&out, PANG_STR("}"));
    return pang_arena_cstr(w->fx->arena, pang_buf_str(&out));
}

pang_code real_resolve(world *w, merge_call *call, const char *key, const real_choice *choice)
{
    conflict **list;
    size_t n;
    pang_code code = PANG_OK;
    ask_conflicts(w, call, &list, &n);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        Pangolin__V1__ResolveConflictRequest in = PANGOLIN__V1__RESOLVE_CONFLICT_REQUEST__INIT;
        Pangolin__V1__ResolveConflictResponse out;
        if (strcmp(list[i]->asset_name, key) != 0)
            continue;
        in.id = list[i]->id;
        in.strategy = TEXT(choice->strategy);
        if (choice->values != NULL)
            in.resolved_value = fx_bytes(
                resolved_value(w, properties_of(w, list[i]), choice->values));
        code = fx_call(w->fx, "ResolveConflict", &in, &out);
    }
    return code;
}

void real_complete(world *w, merge_call *call)
{
    Pangolin__V1__CompleteMergeRequest in = PANGOLIN__V1__COMPLETE_MERGE_REQUEST__INIT;
    Pangolin__V1__CompleteMergeResponse out;
    in.id = TEXT(call->operation);
    call->code = fx_call(w->fx, "CompleteMerge", &in, &out);
    call->n_conflicts = 0;
    if (call->code == PANG_OK && out.conflicted != NULL) {
        conflict **list;
        size_t n;
        ask_conflicts(w, call, &list, &n);
        take_conflicts(w, call, list, n);
    }
}

pang_code real_abort(world *w, merge_call *call)
{
    Pangolin__V1__AbortMergeRequest in = PANGOLIN__V1__ABORT_MERGE_REQUEST__INIT;
    Pangolin__V1__AbortMergeResponse out;
    in.id = TEXT(call->operation);
    return fx_call(w->fx, "AbortMerge", &in, &out);
}
