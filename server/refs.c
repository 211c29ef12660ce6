/*
 * Refs: from a text to the levels that it is read through. Only a branch can be written; a tag, a
 * commit and a time are points, and a point is read like a tag that nobody made.
 */
#include "server/refs.h"

#include <string.h>

#define BRANCH PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH

/* ---- names ---- */

static bool all_digits(pang_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return text.len > 0;
}

pang_ref_form pang_ref_form_of(pang_str text)
{
    pang_id id;
    if (pang_id_parse(text, &id))
        return PANG_REF_COMMIT;
    return all_digits(text) ? PANG_REF_TIME : PANG_REF_NAME;
}

#define SEPARATORS "@./\\%#?|"

/* A character that would lead out of a path, a query or a ref; 0: none. */
static char separator_in(pang_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (strchr(SEPARATORS, name.ptr[i]) != NULL)
            return name.ptr[i];
    return 0;
}

static bool has_control(pang_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7F)
            return true;
    return false;
}

pang_code pang_ref_name_check(const char *what, pang_str name, pang_err *err)
{
    const char *reason = "BadRequestException";
    if (name.len == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, reason, "%s name is empty", what);
    if (name.len > PANG_REF_NAME_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, reason,
                         "%s name of %zu bytes is too long, at most %d", what, name.len,
                         PANG_REF_NAME_MAX);
    if (has_control(name))
        return pang_fail(err, PANG_INVALID_ARGUMENT, reason, "%s name holds a control character",
                         what);
    char c = separator_in(name);
    if (c != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, reason,
                         "%s name \"%" PANG_STR_FMT
                         "\" holds \"%c\": it may hold anything but one of %s",
                         what, PANG_STR_ARG(name), c, SEPARATORS);
    if (pang_ref_form_of(name) != PANG_REF_NAME)
        return pang_fail(err, PANG_INVALID_ARGUMENT, reason,
                         "%s name \"%" PANG_STR_FMT "\" could be %s", what, PANG_STR_ARG(name),
                         pang_ref_form_of(name) == PANG_REF_TIME ? "a time" : "a commit's id");
    return PANG_OK;
}

/* ---- records ---- */

pang_code pang_ref_find(pang_view *view, pang_str name, pang_rec_ref **ret, pang_err *err)
{
    pang_record record;
    pang_rec_ref *ref;
    pang_str key = pang_key_ref(&view->keys, view->catalog, name);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    *ret = NULL;
    if (record.version == 0)
        return PANG_OK;
    code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &record, view->arena, &ref,
                              err);
    if (code == PANG_OK &&
        (ref->deadline_ms == 0 || ref->deadline_ms > pang_txn_wall_ms(view->txn)))
        *ret = ref;
    return code;
}

/* What main would say of itself: it was made with its catalog, from nothing. */
static pang_code make_up_main(pang_view *view, pang_rec_branch **ret, pang_err *err)
{
    pang_rec_branch *branch = pang_arena_alloc(view->arena, sizeof *branch);
    if (branch == NULL)
        return pang_fail_memory(err);
    *branch = (pang_rec_branch)PANGOLIN__STORE__V1__BRANCH__INIT;
    branch->name = pang_arena_cstr(view->arena, PANG_MAIN_REF);
    if (branch->name == NULL)
        return pang_fail_memory(err);
    *ret = branch;
    return PANG_OK;
}

pang_code pang_branch_find(pang_view *view, pang_id branch, pang_rec_branch **ret, pang_err *err)
{
    pang_record record;
    pang_rec_ref *main_ref;
    char text[PANG_ID_TEXT + 1];
    pang_str key = pang_key_branch(&view->keys, view->catalog, branch);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version != 0)
        return pang_record_unpack(&pangolin__store__v1__branch__descriptor, &record, view->arena,
                                  ret, err);
    code = pang_ref_find(view, PANG_MAIN_REF, &main_ref, err);
    if (code != PANG_OK)
        return code;
    if (main_ref != NULL && pang_id_equal(pang_id_of(main_ref->branch), branch))
        return make_up_main(view, ret, err);
    pang_id_text(branch, text);
    return pang_fail(err, PANG_NOT_FOUND, NULL, "branch of id %s does not exist", text);
}

/* ---- levels ---- */

static pang_code set_levels(pang_view *view, pang_id branch, uint64_t at,
                            pang_rec_point *const *bases, size_t n_bases, pang_err *err)
{
    if (n_bases >= PANG_LEVELS_MAX)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "a ref has %zu bases", n_bases);
    view->levels[0].branch = branch;
    view->levels[0].at = at;
    for (size_t i = 0; i < n_bases; i++) {
        view->levels[i + 1].branch = pang_id_of(bases[i]->branch);
        view->levels[i + 1].at = bases[i]->sequence;
    }
    view->n_levels = n_bases + 1;
    return PANG_OK;
}

pang_code pang_view_at_point(pang_view *view, pang_id branch, uint64_t sequence, pang_err *err)
{
    pang_rec_branch *body;
    pang_code code = pang_branch_find(view, branch, &body, err);
    if (code == PANG_OK)
        code = set_levels(view, branch, sequence, body->bases, body->n_bases, err);
    if (code != PANG_OK)
        return code;
    view->ref = NULL;
    view->writable = false;
    return PANG_OK;
}

static pang_code fail_no_ref(pang_err *err, const char *reason, pang_str text)
{
    if (text.len == 0)
        return pang_fail(err, PANG_NOT_FOUND, reason, "Ref does not exist: its name is empty");
    return pang_fail(err, PANG_NOT_FOUND, reason, "Ref does not exist: %" PANG_STR_FMT,
                     PANG_STR_ARG(text));
}

static pang_code switch_to_name(pang_view *view, pang_str name, const char *reason, pang_err *err)
{
    pang_rec_ref *ref;
    pang_code code = pang_ref_find(view, name, &ref, err);
    if (code == PANG_OK && ref == NULL)
        return fail_no_ref(err, reason, name);
    if (code == PANG_OK)
        code = set_levels(view, pang_id_of(ref->branch),
                          ref->kind == BRANCH ? PANG_NOW : ref->sequence, ref->bases, ref->n_bases,
                          err);
    if (code != PANG_OK)
        return code;
    view->ref = ref;
    view->writable = ref->kind == BRANCH;
    return PANG_OK;
}

static pang_code switch_to_commit(pang_view *view, pang_str text, const char *reason, pang_err *err)
{
    pang_id id;
    pang_commit_row row;
    if (!pang_id_parse(text, &id))
        return fail_no_ref(err, reason, text);
    pang_code code = pang_commit_by_id(view, id, &row, err);
    if (code != PANG_OK)
        return code;
    if (row.body == NULL)
        return fail_no_ref(err, reason, text);
    return pang_view_at_point(view, pang_id_of(row.body->branch), row.sequence, err);
}

/* Before the first commit there was an empty catalog. */
static pang_code switch_to_time(pang_view *view, pang_str text, const char *reason, pang_err *err)
{
    int64_t time_ms;
    pang_commit_row row;
    if (!pang_str_to_int64(text, &time_ms))
        return fail_no_ref(err, reason, text);
    pang_code code = switch_to_name(view, PANG_MAIN_REF, reason, err);
    if (code == PANG_OK)
        code = pang_floor_check_time(view, time_ms, text, reason, err);
    if (code == PANG_OK)
        code = pang_commit_at_time(view, time_ms, &row, err);
    if (code != PANG_OK)
        return code;
    view->ref = NULL;
    pang_view_set_at(view, row.body == NULL ? 0 : row.sequence);
    return PANG_OK;
}

pang_code pang_view_switch(pang_view *view, pang_str text, const char *reason, pang_err *err)
{
    pang_code code;
    switch (pang_ref_form_of(text)) {
    case PANG_REF_COMMIT:
        code = switch_to_commit(view, text, reason, err);
        break;
    case PANG_REF_TIME:
        code = switch_to_time(view, text, reason, err);
        break;
    default:
        code = switch_to_name(view, text, reason, err);
    }
    if (code == PANG_OK)
        view->ref_name = text;
    return code;
}
