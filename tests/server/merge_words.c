/*
 * The language of merges: see the header.
 */
#include "tests/server/merge_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"

#include "pangolin/v1/view.pb-c.h"

#define NAMESPACE PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE
#define TABLE PANGOLIN__STORE__V1__KIND__KIND_TABLE
#define VIEW PANGOLIN__STORE__V1__KIND__KIND_VIEW
#define GENERIC PANGOLIN__STORE__V1__KIND__KIND_GENERIC

enum { NAMES_MAX = 4096 };

static void check(fixture *fx, pang_code code, const char *what)
{
    if (code != PANG_OK)
        fail_msg("%s: %d %s", what, code, fx->err.message);
}

/* ---- names ---- */

static pang_levels split(fixture *fx, pang_str dotted)
{
    pang_str *names = pang_arena_alloc_n(fx->arena, 16, sizeof *names), one;
    pang_levels levels = {names, 0};
    while (dotted.len > 0 && pang_str_next(&dotted, '.', &one))
        names[levels.n++] = one;
    return levels;
}

static pang_name asset_name(fixture *fx, pang_view *view, pang_str dotted)
{
    pang_levels all = split(fx, dotted);
    return pang_name_of_asset(&view->keys, (pang_levels){all.names, all.n - 1},
                              all.names[all.n - 1]);
}

static pang_name space_name(fixture *fx, pang_view *view, pang_str dotted)
{
    return pang_name_of_namespace(&view->keys, split(fx, dotted));
}

static pang_content read_name(fixture *fx, pang_view *view, pang_name name)
{
    pang_content content = {.name = name};
    check(fx, pang_content_get(view, &content, 1, &fx->err), "read");
    return content;
}

pang_id mfx_asset(fixture *fx, const char *prefix, const char *name)
{
    pang_view view = rfx_view(fx, prefix);
    pang_content at = read_name(fx, &view, asset_name(fx, &view, pang_str_from(name)));
    return pang_content_exists(&at) ? pang_id_of(at.body->asset) : (pang_id){0};
}

/* ---- words ---- */

typedef struct {
    fixture *fx;
    pang_view view;
    pang_edit *edit;
    pang_str key, value; /* around the "=" */
} word;

static pang_rec_content *body_of(word *w, const pang_content *at, Pangolin__Store__V1__Kind kind)
{
    pang_rec_content *body = pang_arena_alloc(w->fx->arena, sizeof *body);
    pang_id *id = pang_arena_alloc(w->fx->arena, sizeof *id);
    *body = (pang_rec_content)PANGOLIN__STORE__V1__CONTENT__INIT;
    *id = pang_id_v7(&w->fx->env);
    if (pang_content_exists(at))
        *body = *at->body;
    else
        body->asset = pang_bytes_of_id(id);
    body->kind = kind;
    return body;
}

static void put_body(word *w, const pang_content *at, const pang_rec_content *body)
{
    check(w->fx,
          pang_content_exists(at) ? pang_edit_update(w->edit, at, body, &w->fx->err)
                                  : pang_edit_create(w->edit, at, body, &w->fx->err),
          "put");
}

/* The document's id is made of its text: the same text is the same document. */
static void put_document(word *w, Pangolin__Store__V1__Kind kind)
{
    pang_content at = read_name(w->fx, &w->view, asset_name(w->fx, &w->view, w->key));
    pang_rec_content *body = body_of(w, &at, kind);
    pang_id *document = pang_arena_alloc(w->fx->arena, sizeof *document);
    memset(document, 0, sizeof *document);
    memcpy(document->bytes, w->value.ptr, w->value.len < 16 ? w->value.len : 16);
    body->document = pang_bytes_of_id(document);
    body->metadata_location = pang_arena_cstr(w->fx->arena, w->value);
    put_body(w, &at, body);
}

static void set_property(word *w, const pang_content *at, Pangolin__Store__V1__Kind kind,
                         pang_str name)
{
    pang_rec_content *body = body_of(w, at, kind);
    pang_rec_property **list = pang_arena_alloc_n(w->fx->arena, body->n_properties + 1,
                                                  sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < body->n_properties; i++)
        if (!pang_str_equal(pang_str_from(body->properties[i]->name), name))
            list[n++] = body->properties[i];
    if (w->value.len > 0) {
        list[n] = pang_arena_alloc(w->fx->arena, sizeof *list[n]);
        *list[n] = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
        list[n]->name = pang_arena_cstr(w->fx->arena, name);
        list[n++]->value = pang_arena_cstr(w->fx->arena, w->value);
    }
    body->properties = list;
    body->n_properties = n;
    put_body(w, at, body);
}

/* "ns.g.k": what it is about, and the last part. */
static pang_str cut_last(pang_str key, pang_str *ret_last)
{
    size_t at = key.len;
    while (key.ptr[at - 1] != '.')
        at--;
    *ret_last = pang_str_after(key, at);
    return pang_str_slice(key, 0, at - 1);
}

/* ---- views with documents, through their service ---- */

static void name_view(fixture *fx, pang_str key, char ***ret_levels, size_t *ret_n, char **ret_name)
{
    pang_str name, space = cut_last(key, &name);
    *ret_levels = fx_levels(fx, fx_text(fx, "%.*s", PANG_STR_ARG(space)), ret_n);
    *ret_name = fx_text(fx, "%.*s", PANG_STR_ARG(name));
}

static void create_view(fixture *fx, const char *prefix, pang_str key, pang_str sql)
{
    Pangolin__V1__CreateViewRequest in = PANGOLIN__V1__CREATE_VIEW_REQUEST__INIT;
    Pangolin__V1__CreateViewResponse out;
    in.prefix = fx_text(fx, "%s", prefix);
    name_view(fx, key, &in.namespace_, &in.n_namespace_, &in.name);
    in._sql_case = PANGOLIN__V1__CREATE_VIEW_REQUEST___SQL_SQL;
    in.sql = fx_text(fx, "%.*s", PANG_STR_ARG(sql));
    check(fx, fx_call(fx, "CreateView", &in, &out), "create view");
}

static const char *view_updates(fixture *fx, pang_str what, pang_str value)
{
    if (pang_str_equal(what, PANG_STR("sql")))
        return fx_text(fx,
                       "[{\"action\":\"add-view-version\",\"view-version\":{\"version-id\":1,"
                       "\"timestamp-ms\":1,\"schema-id\":0,\"summary\":{},"
                       "\"default-namespace\":[],\"representations\":[{\"type\":\"sql\","
                       "\"sql\":\"%.*s\",\"dialect\":\"ansi\"}]}},"
                       "{\"action\":\"set-current-view-version\",\"view-version-id\":-1}]",
                       PANG_STR_ARG(value));
    if (value.len == 0)
        return fx_text(fx, "[{\"action\":\"remove-properties\",\"removals\":[\"%.*s\"]}]",
                       PANG_STR_ARG(what));
    return fx_text(fx, "[{\"action\":\"set-properties\",\"updates\":{\"%.*s\":\"%.*s\"}}]",
                   PANG_STR_ARG(what), PANG_STR_ARG(value));
}

static void write_view(fixture *fx, const char *prefix, pang_str key, pang_str value)
{
    Pangolin__V1__ReplaceViewRequest in = PANGOLIN__V1__REPLACE_VIEW_REQUEST__INIT;
    Pangolin__V1__ReplaceViewResponse out;
    pang_str what, of = cut_last(key, &what);
    if (pang_id_is_nil(mfx_asset(fx, prefix, fx_text(fx, "%.*s", PANG_STR_ARG(of))))) {
        create_view(fx, prefix, of, value);
        return;
    }
    in.prefix = fx_text(fx, "%s", prefix);
    name_view(fx, of, &in.namespace_, &in.n_namespace_, &in.view);
    in.updates = fx_bytes(view_updates(fx, what, value));
    check(fx, fx_call(fx, "ReplaceView", &in, &out), "replace view");
}

static void move(word *w, pang_str names)
{
    size_t at = pang_str_find(names, '>');
    pang_content from = read_name(w->fx, &w->view,
                                  asset_name(w->fx, &w->view, pang_str_slice(names, 0, at)));
    pang_content to = read_name(w->fx, &w->view,
                                asset_name(w->fx, &w->view, pang_str_after(names, at + 1)));
    check(w->fx, pang_edit_move(w->edit, &from, &to, &w->fx->err), "move");
}

static void run_verb(word *w, pang_str verb)
{
    pang_str last, owner;
    pang_content at;
    if (pang_str_equal(verb, PANG_STR("put")))
        put_document(w, TABLE);
    else if (pang_str_equal(verb, PANG_STR("view")))
        put_document(w, VIEW);
    else if (pang_str_equal(verb, PANG_STR("mv")))
        move(w, w->key);
    else if (pang_str_equal(verb, PANG_STR("drop"))) {
        at = read_name(w->fx, &w->view, asset_name(w->fx, &w->view, w->key));
        check(w->fx, pang_edit_drop(w->edit, &at, false, &w->fx->err), "drop");
    } else if (pang_str_equal(verb, PANG_STR("mk"))) {
        at = read_name(w->fx, &w->view, space_name(w->fx, &w->view, w->key));
        put_body(w, &at, body_of(w, &at, NAMESPACE));
    } else if (pang_str_equal(verb, PANG_STR("rm"))) {
        at = read_name(w->fx, &w->view, space_name(w->fx, &w->view, w->key));
        check(w->fx, pang_edit_drop(w->edit, &at, false, &w->fx->err), "rm");
    } else if (pang_str_equal(verb, PANG_STR("set"))) {
        owner = cut_last(w->key, &last);
        at = read_name(w->fx, &w->view, space_name(w->fx, &w->view, owner));
        set_property(w, &at, NAMESPACE, last);
    } else if (pang_str_equal(verb, PANG_STR("gen"))) {
        owner = cut_last(w->key, &last);
        at = read_name(w->fx, &w->view, asset_name(w->fx, &w->view, owner));
        set_property(w, &at, GENERIC, last);
    } else {
        fail_msg("no verb %.*s", (int)verb.len, verb.ptr);
    }
}

void mfx_do(fixture *fx, const char *prefix, const char *words)
{
    pang_str rest = pang_str_from(fx_text(fx, "%s", words)), one;
    while (pang_str_next(&rest, ' ', &one)) {
        if (one.len == 0)
            continue;
        word w = {.fx = fx, .view = rfx_view(fx, prefix)};
        size_t colon = pang_str_find(one, ':');
        pang_str what = pang_str_after(one, colon + 1);
        size_t equals = pang_str_find(what, '=');
        w.key = pang_str_slice(what, 0, equals);
        w.value = pang_str_after(what, equals + 1);
        if (pang_str_equal(pang_str_slice(one, 0, colon), PANG_STR("vw"))) {
            write_view(fx, prefix, w.key, w.value);
            continue;
        }
        w.view.merging = true;
        check(fx, pang_edit_begin(&w.view, &fx->env, &fx->who, &w.edit, &fx->err), "begin");
        run_verb(&w, pang_str_slice(one, 0, colon));
        rfx_land(fx, w.edit, fx_text(fx, "%.*s", (int)one.len, one.ptr));
    }
}

/* ---- showing ---- */

typedef struct {
    fixture *fx;
    const char *prefix;
    pang_view view;
    char *lines[NAMES_MAX];
    size_t n;
    pang_str paths[NAMES_MAX];
    size_t n_paths;
    pang_str path;
} show;

static void show_properties(show *s, pang_str key, const pang_rec_content *body)
{
    for (size_t i = 0; i < body->n_properties; i++)
        s->lines[s->n++] = fx_text(s->fx, "%.*s.%s=%s", (int)key.len, key.ptr,
                                   body->properties[i]->name, body->properties[i]->value);
}

static void show_view(show *s, pang_str key)
{
    Pangolin__V1__LoadViewRequest in = PANGOLIN__V1__LOAD_VIEW_REQUEST__INIT;
    Pangolin__V1__LoadViewResponse out;
    pang_json *document;
    in.prefix = fx_text(s->fx, "%s", s->prefix);
    name_view(s->fx, key, &in.namespace_, &in.n_namespace_, &in.view);
    check(s->fx, fx_call(s->fx, "LoadView", &in, &out), "load view");
    check(s->fx, pang_json_parse(pang_str_of(out.metadata), s->fx->arena, &document, &s->fx->err),
          "document");
    s->lines[s->n++] = fx_text(s->fx, "%.*s=%s#%zu", PANG_STR_ARG(key), out.sql,
                               pang_json_size(pang_json_get(document, "versions")));
    for (size_t i = 0; i < out.n_properties; i++)
        s->lines[s->n++] = fx_text(s->fx, "%.*s.%s=%s", PANG_STR_ARG(key), out.properties[i]->key,
                                   out.properties[i]->value);
}

static bool has_document(const pang_rec_content *body)
{
    return body->kind == VIEW &&
           pang_str_starts(pang_str_from(body->metadata_location), PANG_STR("file:"));
}

static bool show_row(void *arg, const pang_content *row)
{
    show *s = arg;
    pang_str key = pang_merge_key_text(s->fx->arena, row->name);
    switch (row->body->kind) {
    case NAMESPACE:
        s->lines[s->n++] = fx_text(s->fx, "%.*s", (int)key.len, key.ptr);
        show_properties(s, key, row->body);
        s->paths[s->n_paths++] = key;
        break;
    case GENERIC:
        s->lines[s->n++] = fx_text(s->fx, "%.*s", (int)key.len, key.ptr);
        show_properties(s, key, row->body);
        break;
    default:
        if (has_document(row->body))
            show_view(s, key);
        else
            s->lines[s->n++] = fx_text(s->fx, "%.*s=%s", (int)key.len, key.ptr,
                                       row->body->metadata_location);
    }
    return true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *mfx_show(fixture *fx, const char *prefix)
{
    show *s = pang_arena_alloc(fx->arena, sizeof *s);
    pang_buf out = {.arena = fx->arena};
    pang_str ignored;
    s->fx = fx;
    s->prefix = prefix;
    s->view = rfx_view(fx, prefix);
    pang_view_set_at(&s->view, PANG_NOW - 1);
    s->n_paths = 1; /* the top level */
    for (size_t i = 0; i < s->n_paths; i++) {
        static const pang_space spaces[] = {PANG_SPACE_NAMESPACE, PANG_SPACE_ASSET};
        for (size_t k = 0; k < 2; k++) {
            pang_content_query query = {
                .space = spaces[k], .path = s->paths[i], .limit = NAMES_MAX};
            check(fx, pang_content_list(&s->view, &query, show_row, s, &ignored, &fx->err), "list");
        }
    }
    qsort(s->lines, s->n, sizeof(char *), by_text);
    for (size_t i = 0; i < s->n; i++)
        pang_buf_printf(&out, "%s%s", i == 0 ? "" : " ", s->lines[i]);
    pang_buf_add_char(&out, '\0');
    return pang_buf_str(&out).ptr;
}

/* ---- merging ---- */

static pang_merge_mode mode_of(pang_str text)
{
    return pang_str_equal(text, PANG_STR("source"))   ? PANG_MODE_TAKE_SOURCE
           : pang_str_equal(text, PANG_STR("target")) ? PANG_MODE_TAKE_TARGET
           : pang_str_equal(text, PANG_STR("drop"))   ? PANG_MODE_DROP
                                                      : PANG_MODE_NORMAL;
}

static void read_modes(fixture *fx, const char *text, pang_merge_task *task)
{
    typedef Pangolin__Store__V1__MergeOperation__Mode mode;
    pang_str rest = pang_str_from(text), one;
    mode **list = pang_arena_alloc_n(fx->arena, 64, sizeof *list);
    while (text != NULL && pang_str_next(&rest, ' ', &one)) {
        size_t at = pang_str_find(one, '=');
        pang_str key = pang_str_slice(one, 0, at);
        if (pang_str_equal(key, PANG_STR("*"))) {
            task->default_mode = mode_of(pang_str_after(one, at + 1));
            continue;
        }
        list[task->n_modes] = pang_arena_alloc(fx->arena, sizeof(mode));
        *list[task->n_modes] = (mode)PANGOLIN__STORE__V1__MERGE_OPERATION__MODE__INIT;
        list[task->n_modes]->key = pang_arena_cstr(fx->arena, key);
        list[task->n_modes++]->kind = mode_of(pang_str_after(one, at + 1));
    }
    task->modes = list;
}

/* A choice is of the asset that has the name on either side, or of the namespace. */
static void read_choices(fixture *fx, const mfx_merge *m, pang_merge_task *task)
{
    pang_str rest = pang_str_from(m->choices), one;
    pang_merge_choice *list = pang_arena_alloc_n(fx->arena, 64, sizeof *list);
    while (m->choices != NULL && pang_str_next(&rest, ' ', &one)) {
        size_t at = pang_str_find(one, '=');
        pang_str key = pang_str_slice(one, 0, at), how = pang_str_after(one, at + 1);
        pang_merge_choice *c = &list[task->n_choices++];
        pang_json *value = NULL;
        char *name = pang_arena_cstr(fx->arena, key);
        if (pang_str_starts(how, PANG_STR("{")))
            check(fx, pang_json_parse(how, fx->arena, &value, &fx->err), "json");
        c->value = value;
        c->strategy = value != NULL ? PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL
                      : mode_of(how) == PANG_MODE_TAKE_SOURCE
                          ? PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE
                          : PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET;
        c->asset = mfx_asset(fx, m->target, name);
        if (pang_id_is_nil(c->asset))
            c->asset = mfx_asset(fx, m->source, name);
        if (pang_id_is_nil(c->asset))
            c->name = space_name(fx, task->target, key);
    }
    task->choices = list;
}

static const char *const types[] = {"", "schema", "data", "metadata", "deletion"};

static const char *list_conflicts(fixture *fx, const pang_merge_plan *plan)
{
    pang_buf out = {.arena = fx->arena};
    for (size_t i = 0; i < plan->n; i++)
        for (size_t k = 0; k < plan->items[i]->n_conflicts; k++)
            pang_buf_printf(&out, "%s%s:%.*s", out.len == 0 ? "" : " ",
                            types[plan->items[i]->conflicts[k].type], (int)plan->items[i]->key.len,
                            plan->items[i]->key.ptr);
    pang_buf_add_char(&out, '\0');
    return pang_buf_str(&out).ptr;
}

static pang_code run(fixture *fx, mfx_merge *m)
{
    pang_view target = rfx_view(fx, m->target), source = target;
    pang_merge_base base;
    pang_merge_changes changes;
    pang_merge_plan plan;
    uint64_t now;
    pang_str ref = pang_str_from(m->source);
    ref = pang_str_after(ref, pang_str_find(ref, '@') + 1);
    pang_merge_apply how = {.who = &fx->who, .message = PANG_STR("merge"), .marks = true};
    check(fx, pang_view_switch(&source, ref.len == 0 ? PANG_MAIN_REF : ref, "x", &fx->err),
          "source");
    check(fx, pang_view_sequence(&source, &now, &fx->err), "sequence");
    pang_view_set_at(&source, m->at == 0 ? now : m->at);
    target.merging = true;
    pang_code code = pang_merge_base_find(&source, &target, &base, &fx->err);
    pang_merge_changes_begin(&changes, fx->arena);
    if (code == PANG_OK)
        code = pang_merge_changes_since(&changes, &source, &base, &fx->err);
    pang_merge_task task = {.state = m->documents ? fx->state : NULL,
                            .env = &fx->env,
                            .source = &source,
                            .target = &target,
                            .base = &base,
                            .changes = &changes,
                            .commit = pang_id_v7(&fx->env)};
    read_modes(fx, m->modes, &task);
    read_choices(fx, m, &task);
    if (code == PANG_OK)
        code = pang_merge_plan_make(&task, &plan, &fx->err);
    if (code != PANG_OK)
        return code;
    m->conflicts = list_conflicts(fx, &plan);
    m->fast_forward = plan.fast_forward;
    m->n_changes = plan.n_changes;
    if (plan.n_conflicts > 0 || m->dry)
        return PANG_OK;
    code = pang_commit_head(&source, &how.parent, &fx->err);
    if (code == PANG_OK)
        code = pang_merge_keep_source(&target, base.source.points[0], &fx->err);
    if (code == PANG_OK)
        code = pang_merge_apply_plan(&task, &plan, &how, &fx->err);
    if (code == PANG_OK)
        code = pang_txn_commit(target.txn, &fx->err);
    if (code == PANG_OK)
        m->number = pang_txn_number(target.txn, 0);
    return code;
}

bool mfx_run(fixture *fx, mfx_merge *m)
{
    m->conflicts = "";
    m->code = run(fx, m);
    return m->code == PANG_OK && m->conflicts[0] == '\0';
}

/* ---- what works like a merge ---- */

static pang_code plan_again(fixture *fx, mfx_kind kind, mfx_merge *m, pang_merge_task *task,
                            pang_view *source, pang_merge_changes *changes)
{
    pang_commit_row head = {0};
    pang_view from = rfx_view(fx, m->source);
    if (m->at != 0)
        pang_view_set_at(&from, m->at);
    pang_code code = pang_commit_head(&from, &head, &fx->err);
    if (code != PANG_OK)
        return code;
    pang_point at = {pang_id_of(head.body->branch), head.sequence};
    return kind == MFX_RESTORE
               ? pang_again_restore(task, at, source, changes, &fx->err)
               : pang_again_commit(task, at, kind == MFX_REVERT, source, changes, &fx->err);
}

static pang_code finish(fixture *fx, mfx_merge *m, const pang_merge_task *task,
                        const pang_merge_plan *plan, bool marks)
{
    pang_merge_apply how = {.who = &fx->who, .message = PANG_STR("again"), .marks = marks};
    pang_code code = pang_merge_apply_plan(task, plan, &how, &fx->err);
    if (code == PANG_OK)
        code = pang_txn_commit(task->target->txn, &fx->err);
    if (code == PANG_OK)
        m->number = pang_txn_number(task->target->txn, 0);
    return code;
}

bool mfx_again(fixture *fx, mfx_kind kind, mfx_merge *m)
{
    pang_view target = rfx_view(fx, m->target), source;
    pang_merge_changes changes;
    pang_merge_plan plan = {0};
    pang_merge_task task = {.state = m->documents ? fx->state : NULL,
                            .env = &fx->env,
                            .target = &target,
                            .commit = pang_id_v7(&fx->env)};
    m->conflicts = "";
    read_modes(fx, m->modes, &task);
    read_choices(fx, m, &task);
    m->code = plan_again(fx, kind, m, &task, &source, &changes);
    if (m->code == PANG_OK)
        m->code = pang_merge_plan_make(&task, &plan, &fx->err);
    if (m->code != PANG_OK)
        return false;
    m->conflicts = list_conflicts(fx, &plan);
    m->n_changes = plan.n_changes;
    if (plan.n_conflicts == 0 && plan.n_changes > 0)
        m->code = finish(fx, m, &task, &plan, false);
    return m->code == PANG_OK && plan.n_conflicts == 0;
}

static pang_code rebase(fixture *fx, mfx_merge *m)
{
    pang_view old = rfx_view(fx, m->source), onto = old, source, target;
    pang_str ref = pang_str_from(m->target);
    pang_merge_base base;
    pang_merge_changes changes;
    pang_merge_plan plan = {0};
    pang_branch_made made;
    pang_id id = pang_id_v7(&fx->env);
    uint64_t now;
    ref = pang_str_after(ref, pang_str_find(ref, '@') + 1);
    check(fx, pang_view_switch(&onto, ref.len == 0 ? PANG_MAIN_REF : ref, "x", &fx->err), "onto");
    check(fx, pang_branch_hold(&old, old.levels[0].branch, &now, &fx->err), "hold");
    check(fx, pang_branch_settle(&onto, &fx->err), "settle");
    source = old;
    pang_view_set_at(&source, now);
    pang_merge_changes_begin(&changes, fx->arena);
    pang_merge_task task = {.state = m->documents ? fx->state : NULL,
                            .env = &fx->env,
                            .source = &source,
                            .target = &target,
                            .base = &base,
                            .changes = &changes,
                            .commit = pang_id_v7(&fx->env)};
    pang_code code = pang_again_view(&old, &onto, id, &target, &fx->err);
    if (code == PANG_OK)
        code = pang_merge_base_find(&source, &onto, &base, &fx->err);
    if (code == PANG_OK)
        code = pang_merge_changes_since(&changes, &source, &base, &fx->err);
    if (code == PANG_OK)
        code = pang_merge_plan_make(&task, &plan, &fx->err);
    m->conflicts = list_conflicts(fx, &plan);
    if (code != PANG_OK || plan.n_conflicts > 0)
        return code;
    code = pang_again_swing(&old, &onto, id, &fx->env, &fx->who, &made, &fx->err);
    if (code == PANG_OK)
        code = pang_merge_keep_source(&target, base.source.points[0], &fx->err);
    return code == PANG_OK ? finish(fx, m, &task, &plan, true) : code;
}

bool mfx_rebase(fixture *fx, mfx_merge *m)
{
    m->conflicts = "";
    m->code = rebase(fx, m);
    return m->code == PANG_OK && m->conflicts[0] == '\0';
}

const char *mfx_conflicts(fixture *fx, const char *source, const char *target)
{
    mfx_merge m = {.source = source, .target = target};
    (void)mfx_run(fx, &m);
    if (m.code != PANG_OK)
        fail_msg("merge of %s into %s: %d %s", source, target, m.code, fx->err.message);
    return m.conflicts;
}
