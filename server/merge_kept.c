/*
 * Outcomes of merged tables over the attempts of a call: documents as text, since a tree belongs to
 * the arena of its attempt, and files with what becomes of them.
 *
 * Outcomes have an arena of their own, with a bound: what is kept is a saving, and never the reason
 * why a call fails. Files are few bytes each and lie in the call's.
 */
#include "server/merge_kept.h"

#include <string.h>

#include "server/index.h"

enum { OUTCOMES_BYTES = 32 << 20 };

typedef struct kept_file {
    struct kept_file *next;
    pang_objects *objects;
    pang_location at;
} kept_file;

struct pang_kept_table {
    pang_kept_table *next;
    pang_merge_kept *of;
    pang_str key;
    kept_file *files;
    bool used;  /* by a transaction that is under way, landed, or may have */
    bool whole; /* what follows is there */
    pang_id commit;
    pang_str document; /* empty: none */
    pang_merge_outcome outcome;
};

struct pang_merge_kept {
    pang_arena *lasting, *outcomes;
    pang_kept_table *tables;
    pang_index by_key;
};

/* ---- the end of the call ---- */

static void remove_files(const kept_file *file)
{
    pang_err ignored;
    /* A file that stays is an orphan, which the collector finds; there is nobody to tell. */
    for (; file != NULL; file = file->next)
        (void)!file->objects->ops->remove(file->objects, &file->at, &ignored);
}

static void end_call(void *arg)
{
    pang_merge_kept *kept = arg;
    for (const pang_kept_table *t = kept->tables; t != NULL; t = t->next)
        if (!t->used)
            remove_files(t->files);
    pang_arena_free(kept->outcomes);
}

pang_merge_kept *pang_merge_kept_new(pang_arena *lasting)
{
    pang_merge_kept *kept = pang_arena_alloc(lasting, sizeof *kept);
    if (kept == NULL)
        return NULL;
    kept->lasting = kept->by_key.arena = lasting;
    kept->outcomes = pang_arena_new(OUTCOMES_BYTES);
    if (kept->outcomes == NULL || !pang_arena_on_reset(lasting, end_call, kept))
        return NULL;
    return kept;
}

/* ---- who uses it ---- */

static void lose(void *arg)
{
    pang_kept_table *table = arg;
    table->used = false;
}

static pang_code use(pang_kept_table *table, pang_txn *txn, pang_err *err)
{
    table->used = true;
    return pang_txn_on_lost(txn, lose, table) ? PANG_OK : pang_fail_memory(err);
}

pang_code pang_kept_table_begin(pang_merge_kept *kept, pang_str key, pang_txn *txn,
                                pang_kept_table **ret, pang_err *err)
{
    pang_kept_table *table = pang_arena_alloc(kept->lasting, sizeof *table);
    if (table == NULL || !pang_arena_copy(kept->lasting, key, &table->key) ||
        !pang_index_add(&kept->by_key, pang_str_hash(key), table))
        return pang_fail_memory(err);
    table->of = kept;
    table->next = kept->tables;
    kept->tables = table;
    *ret = table;
    return use(table, txn, err);
}

pang_code pang_kept_table_add_file(pang_kept_table *table, pang_objects *objects,
                                   const pang_location *at, pang_err *err)
{
    pang_str text; /* a location points into its text, and the caller's goes with its table */
    kept_file *file = pang_arena_alloc(table->of->lasting, sizeof *file);
    if (file == NULL || !pang_arena_copy(table->of->lasting, at->text, &text))
        return pang_fail_memory(err);
    file->objects = objects;
    file->next = table->files;
    pang_code code = pang_location_parse(text, "file", table->of->lasting, &file->at, err);
    if (code == PANG_OK)
        table->files = file;
    return code;
}

/* ---- outcomes ---- */

static bool copy_conflicts(const pang_merge_outcome *from, pang_arena *arena,
                           pang_merge_outcome *to)
{
    pang_conflict *list = pang_arena_alloc_n(arena, from->n_conflicts, sizeof *list);
    bool done = list != NULL;
    for (size_t i = 0; done && i < from->n_conflicts; i++) {
        list[i].type = from->conflicts[i].type;
        done = pang_arena_copy(arena, from->conflicts[i].description, &list[i].description) &&
               pang_arena_copy(arena, from->conflicts[i].details, &list[i].details);
    }
    to->conflicts = list;
    to->n_conflicts = from->n_conflicts;
    return done;
}

bool pang_merge_outcome_copy(const pang_merge_outcome *from, pang_arena *arena,
                             pang_merge_outcome *to)
{
    int32_t *columns = pang_arena_alloc_n(arena, from->n_columns, sizeof *columns);
    if (columns == NULL)
        return false;
    if (from->n_columns > 0)
        memcpy(columns, from->columns, from->n_columns * sizeof *columns);
    *to = (pang_merge_outcome){.columns = columns, .n_columns = from->n_columns};
    return pang_arena_copy(arena, from->report, &to->report) && copy_conflicts(from, arena, to);
}

void pang_kept_table_end(pang_kept_table *table, pang_id commit, const pang_merge_outcome *outcome)
{
    pang_arena *arena = table->of->outcomes;
    pang_err ignored;
    table->commit = commit;
    table->whole = pang_merge_outcome_copy(outcome, arena, &table->outcome) &&
                   (outcome->document == NULL ||
                    pang_json_print(outcome->document, arena, &table->document, &ignored) ==
                        PANG_OK);
}

/* A commit's id is for one attempt, so the snapshot gets the new one's. */
static bool name_commit(pang_json *document, pang_id was, pang_id is, pang_arena *arena)
{
    const pang_json *snapshots = pang_json_get(document, "snapshots");
    char old[PANG_ID_TEXT + 1] = "", text[PANG_ID_TEXT + 1] = "";
    bool done = true;
    pang_id_text(was, old);
    pang_id_text(is, text);
    for (size_t i = 0; done && i < pang_json_size(snapshots); i++) {
        pang_json *summary = pang_json_get(pang_json_at(snapshots, i), "summary");
        pang_str value = {0};
        if (pang_json_to_str(pang_json_get(summary, PANG_MERGE_COMMIT_PROPERTY), &value) &&
            pang_str_equal(value, pang_str_from(old)))
            done = pang_json_set(summary, PANG_MERGE_COMMIT_PROPERTY,
                                 pang_json_str(pang_str_from(text), arena));
    }
    return done;
}

static pang_code give(const pang_kept_table *table, pang_id commit, pang_arena *arena,
                      pang_merge_outcome *ret, pang_err *err)
{
    if (!pang_merge_outcome_copy(&table->outcome, arena, ret))
        return pang_fail_memory(err);
    if (table->document.len == 0)
        return PANG_OK;
    pang_code code = pang_json_parse(table->document, arena, &ret->document, err);
    if (code == PANG_OK && !name_commit(ret->document, table->commit, commit, arena))
        code = pang_fail_memory(err);
    return code;
}

pang_code pang_merge_kept_find(pang_merge_kept *kept, pang_str key, pang_id commit, pang_txn *txn,
                               pang_arena *arena, bool *ret_found, pang_merge_outcome *ret,
                               pang_err *err)
{
    pang_index_walk it = pang_index_of(&kept->by_key, pang_str_hash(key));
    pang_kept_table *table;
    while ((table = pang_index_next(&it)) != NULL)
        if (table->whole && pang_str_equal(table->key, key))
            break;
    *ret_found = table != NULL;
    if (table == NULL)
        return PANG_OK;
    pang_code code = use(table, txn, err);
    return code == PANG_OK ? give(table, commit, arena, ret, err) : code;
}
