/*
 * Fills a store, while no server has it, with what would take hours through the door: a million
 * tables, a hundred thousand commits. Tables all name one document, which is that of a table that
 * a client made; nobody loads them, they are there for the size of the catalog.
 *
 *     fill URL CATALOG tables NAMESPACE COUNT     NAMESPACE has a table "t0"
 *     fill URL CATALOG commits NAMESPACE COUNT    as many commits, each changes the namespace
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/content.h"

enum {
    TABLES_AT_ONCE = 500,
    ARENA_BYTES = 256 << 20,
};

#define NIL_SCOPE PANG_STR("00000000000000000000000000000000")
#define TEMPLATE PANG_STR("t0")

typedef struct {
    pang_arena *arena;
    pang_str catalog, namespace;
    uint64_t from, until; /* of the tables to be made, or the commit's number */
} work;

static const pang_principal nobody = {.name = {"anonymous", 9}, .is_everybody = true};

static pang_code open_at(work *w, pang_txn *txn, pang_view *view, pang_content *at, pang_str table,
                         pang_err *err)
{
    pang_levels levels = {&w->namespace, 1};
    pang_code code = pang_view_begin(txn, w->arena, NIL_SCOPE, w->catalog, NULL, view, err);
    if (code != PANG_OK)
        return code;
    at->name = table.len > 0 ? pang_name_of_asset(&view->keys, levels, table)
                             : pang_name_of_namespace(&view->keys, levels);
    code = pang_content_get(view, at, 1, err);
    if (code == PANG_OK && !pang_content_exists(at))
        code = pang_fail(err, PANG_NOT_FOUND, NULL, "there is no such namespace or template");
    return code;
}

static pang_code make_table(work *w, pang_edit *edit, pang_view *view, const pang_content *like,
                            uint64_t number, pang_err *err)
{
    pang_levels levels = {&w->namespace, 1};
    pang_rec_content body = *like->body;
    pang_id *id = pang_arena_alloc(w->arena, sizeof *id);
    pang_str name = pang_arena_printf(w->arena, "filler-%08llu", (unsigned long long)number);
    if (id == NULL || name.ptr == NULL)
        return pang_fail_memory(err);
    *id = pang_id_v7(&pang_env_system);
    body.asset = pang_bytes_of_id(id);
    body.n_reserved = 0;
    pang_content at = {.name = pang_name_of_asset(&view->keys, levels, name)};
    pang_code code = pang_content_get(view, &at, 1, err);
    return code == PANG_OK ? pang_edit_create(edit, &at, &body, err) : code;
}

static pang_code make_tables(pang_txn *txn, void *arg, pang_err *err)
{
    work *w = arg;
    pang_view view;
    pang_content like;
    pang_edit *edit;
    pang_code code = open_at(w, txn, &view, &like, TEMPLATE, err);
    if (code == PANG_OK)
        code = pang_edit_begin(&view, &pang_env_system, &nobody, &edit, err);
    for (uint64_t i = w->from; code == PANG_OK && i < w->until; i++)
        code = make_table(w, edit, &view, &like, i, err);
    return code == PANG_OK ? pang_edit_end(edit, PANG_STR("filled"), err) : code;
}

static pang_code make_commit(pang_txn *txn, void *arg, pang_err *err)
{
    work *w = arg;
    pang_view view;
    pang_content at;
    pang_edit *edit;
    pang_code code = open_at(w, txn, &view, &at, (pang_str){0}, err);
    if (code == PANG_OK)
        code = pang_edit_begin(&view, &pang_env_system, &nobody, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_update(edit, &at, at.body, err);
    return code == PANG_OK ? pang_edit_end(edit, PANG_STR("filled"), err) : code;
}

static pang_code run(pang_db *db, work *w, const char *what, uint64_t count, pang_err *err)
{
    bool tables = strcmp(what, "tables") == 0;
    uint64_t step = tables ? TABLES_AT_ONCE : 1;
    pang_code code = PANG_OK;
    for (w->from = 0; code == PANG_OK && w->from < count; w->from = w->until) {
        w->until = w->from + step < count ? w->from + step : count;
        code = pang_txn_run(db, NIL_SCOPE, PANG_NO_DEADLINE, w->arena,
                            tables ? make_tables : make_commit, w, err);
        pang_arena_reset(w->arena);
    }
    return code;
}

int main(int argc, char **argv)
{
    pang_err err = {0};
    pang_store *store;
    pang_db *db;
    if (argc != 6 || (strcmp(argv[3], "tables") != 0 && strcmp(argv[3], "commits") != 0)) {
        (void)fputs("usage: fill URL CATALOG tables|commits NAMESPACE COUNT\n", stderr);
        return 2;
    }
    pang_store_config config = {.url = pang_str_from(argv[1]), .env = &pang_env_system};
    work w = {
        .arena = pang_arena_new(ARENA_BYTES),
        .catalog = pang_str_from(argv[2]),
        .namespace = pang_str_from(argv[4]),
    };
    pang_code code = w.arena == NULL ? pang_fail_memory(&err)
                                     : pang_store_open(&config, &store, &err);
    if (code == PANG_OK)
        code = pang_db_open(store, &(pang_db_config){0}, &db, &err);
    if (code == PANG_OK) {
        code = run(db, &w, argv[3], strtoull(argv[5], NULL, 10), &err);
        pang_db_close(db);
    }
    pang_arena_free(w.arena);
    if (code != PANG_OK)
        (void)fprintf(stderr, "fill: %s\n", err.message);
    return code == PANG_OK ? 0 : 1;
}
