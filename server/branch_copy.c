/*
 * Partial branches: what was selected is copied, with the namespaces that it is in, by one commit
 * on the new branch. A copy is a record: the same asset, the same document, the same files, which
 * are shared from then on. All else is absent there, since there is nothing to read through.
 */
#include "server/branches.h"

#include <string.h>

#include "server/index.h"

#define NOT_FOUND_REASON "NotFoundException"

enum { LISTED_AT_ONCE = 256 };

/* What is copied, each name once. */
typedef struct {
    pang_view *source;
    const pang_branch_options *options;
    pang_content **list; /* of the source; PANG_CHANGES_MAX */
    size_t n;
    pang_index names; /* of the list */
    pang_code code;
    pang_err *err;
} copies;

static bool has(const copies *c, pang_name name)
{
    pang_index_walk it = pang_index_of(&c->names, pang_name_hash(name));
    const pang_content *content;
    while ((content = pang_index_next(&it)) != NULL)
        if (pang_name_equal(content->name, name))
            return true;
    return false;
}

static bool add(copies *c, const pang_content *content)
{
    if (c->code != PANG_OK || has(c, content->name))
        return c->code == PANG_OK;
    if (c->n == PANG_CHANGES_MAX) {
        c->code = pang_fail(c->err, PANG_INVALID_ARGUMENT, "BadRequestException",
                            "assets: more than %d are selected, with their namespaces; make a "
                            "branch of everything, which copies nothing",
                            PANG_CHANGES_MAX);
        return false;
    }
    pang_content *kept = pang_arena_alloc(c->source->arena, sizeof *kept);
    if (kept == NULL || !pang_index_add(&c->names, pang_name_hash(content->name), kept)) {
        c->code = pang_fail_memory(c->err);
        return false;
    }
    *kept = *content;
    c->list[c->n++] = kept;
    return true;
}

static pang_code may_select(const copies *c, pang_str path, const pang_rec_content *asset,
                            bool *ret, pang_err *err)
{
    const pang_branch_options *options = c->options;
    *ret = true;
    if (options->selectable == NULL)
        return PANG_OK;
    return options->selectable(options->selectable_arg, path, asset, ret, err);
}

static pang_code fail_absent(const char *as, pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, NOT_FOUND_REASON, "assets: \"%.500s\" does not exist",
                     as);
}

/* The namespaces that it is in, all levels. */
static pang_code add_namespaces(copies *c, pang_levels levels, const char *as, pang_err *err)
{
    if (levels.n == 0)
        return fail_absent(as, err);
    pang_content *contents = pang_arena_alloc_n(c->source->arena, levels.n, sizeof *contents);
    if (contents == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < levels.n; i++)
        contents[i].name = pang_name_of_namespace(&c->source->keys,
                                                  (pang_levels){levels.names, i + 1});
    pang_code code = pang_content_get(c->source, contents, levels.n, err);
    for (size_t i = 0; code == PANG_OK && i < levels.n; i++) {
        if (!pang_content_exists(&contents[i]))
            return fail_absent(as, err);
        (void)add(c, &contents[i]);
    }
    return code == PANG_OK ? c->code : code;
}

/* Rows of a list, for later: nothing may be read from within it. They live in the view's arena, but
 * for their names' path, which is the query's. */
typedef struct {
    pang_content list[LISTED_AT_ONCE];
    size_t n;
} listed;

static bool keep_row(void *arg, const pang_content *row)
{
    listed *l = arg;
    l->list[l->n++] = *row;
    return true;
}

static pang_code add_listed(copies *c, pang_str path, const listed *l, pang_err *err)
{
    bool may = false;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < l->n; i++) {
        code = may_select(c, path, l->list[i].body, &may, err);
        if (code == PANG_OK && may)
            (void)add(c, &l->list[i]);
        code = code == PANG_OK ? c->code : code;
    }
    return code;
}

static pang_code add_all(copies *c, pang_levels levels, const char *as, pang_err *err)
{
    bool may = false;
    listed *l = pang_arena_alloc(c->source->arena, sizeof *l);
    if (l == NULL)
        return pang_fail_memory(err);
    pang_content_query query = {
        .space = PANG_SPACE_ASSET,
        .path = pang_key_path(&c->source->keys, levels.names, levels.n),
        .limit = LISTED_AT_ONCE,
    };
    pang_code code = pang_keys_status(&c->source->keys, err);
    if (code == PANG_OK)
        code = may_select(c, query.path, NULL, &may, err);
    if (code == PANG_OK && !may)
        return fail_absent(as, err);
    for (bool more = true; code == PANG_OK && more; more = query.after.len > 0) {
        l->n = 0;
        code = pang_content_list(c->source, &query, keep_row, l, &query.after, err);
        if (code == PANG_OK)
            code = add_listed(c, query.path, l, err);
    }
    return code;
}

static pang_code add_one(copies *c, const pang_selected *selected, const char *as, pang_err *err)
{
    pang_content content = {
        .name = pang_name_of_asset(&c->source->keys, selected->levels, selected->name)};
    bool may = true;
    pang_code code = pang_content_get(c->source, &content, 1, err);
    if (code == PANG_OK && pang_content_exists(&content))
        code = may_select(c, content.name.path, content.body, &may, err);
    if (code != PANG_OK)
        return code;
    if (!pang_content_exists(&content) || !may)
        return fail_absent(as, err);
    (void)add(c, &content);
    return c->code;
}

static pang_code gather(copies *c, pang_err *err)
{
    const pang_branch_options *options = c->options;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < options->n_selected; i++) {
        const pang_selected *one = &options->selected[i];
        code = add_namespaces(c, one->levels, options->selected_as[i], err);
        if (code == PANG_OK)
            code = one->name.len == 0 ? add_all(c, one->levels, options->selected_as[i], err)
                                      : add_one(c, one, options->selected_as[i], err);
    }
    return code;
}

/* The branch is new: nothing of it needs to be read. */
static pang_view view_of(const pang_view *source, pang_id branch, pang_str name)
{
    pang_view target = *source;
    target.levels[0].branch = branch;
    target.levels[0].at = PANG_NOW;
    target.n_levels = 1;
    target.writable = true;
    target.ref = NULL;
    target.ref_name = name;
    return target;
}

static pang_code copy(pang_edit *edit, const pang_content *from, pang_err *err)
{
    pang_view *view = edit->view;
    pang_rec_content body = *from->body;
    pang_content at = {.name = from->name};
    at.key = pang_key_content(&view->keys, view->levels[0].branch, at.name.space, at.name.path,
                              at.name.name);
    body.shared = body.kind != PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE;
    body.created_at = body.written_at = 0;
    body.written_ms = 0;
    body.origin = pang_content_origin(from);
    body.value_origin = pang_content_value_origin(from);
    body.name_origin = pang_content_name_origin(from);
    pang_code code = pang_keys_status(&view->keys, err);
    return code == PANG_OK ? pang_edit_create(edit, &at, &body, err) : code;
}

/* As a merge of what it was made from would: it has all of that, of what it holds. */
static pang_code mark_source(pang_edit *edit, const pang_view *source, pang_err *err)
{
    pang_rec_merge_mark mark = PANGOLIN__STORE__V1__MERGE_MARK__INIT;
    pang_view *view = edit->view;
    mark.from_sequence = source->levels[0].at;
    pang_str key = pang_key_merge_mark(&view->keys, view->levels[0].branch,
                                       source->levels[0].branch);
    return pang_edit_put_mark(edit, key, &mark, err);
}

pang_code pang_branch_copy(pang_view *source, const pang_env *env, const pang_principal *who,
                           const pang_branch_options *options, pang_id branch, pang_id *ret_commit,
                           pang_err *err)
{
    pang_edit *edit;
    pang_view target = view_of(source, branch, options->name);
    copies c = {.source = source, .options = options, .names.arena = source->arena, .err = err};
    c.list = pang_arena_alloc_n(source->arena, PANG_CHANGES_MAX, sizeof(pang_content *));
    if (c.list == NULL)
        return pang_fail_memory(err);
    pang_code code = gather(&c, err);
    if (code == PANG_OK)
        code = pang_edit_begin(&target, env, who, &edit, err);
    if (code == PANG_OK)
        edit->takes_over = true;
    for (size_t i = 0; code == PANG_OK && i < c.n; i++)
        code = copy(edit, c.list[i], err);
    if (code != PANG_OK)
        return code;
    *ret_commit = edit->id;
    code = mark_source(edit, source, err);
    if (code != PANG_OK)
        return code;
    return pang_edit_end(edit,
                         pang_arena_printf(source->arena,
                                           "create branch %" PANG_STR_FMT " with %zu names",
                                           PANG_STR_ARG(options->name), c.n),
                         err);
}
