/*
 * State: holds what the services share, and decides when later work is looked for. Making files
 * durable follows writes at once; everything else is looked at every few seconds.
 */
#include "server/state_internal.h"

#include <stdlib.h>
#include <string.h>

#include "server/bootstrap.h"
#include "server/care.h"
#include "server/growth.h"

enum {
    FILES_EVERY_MS = 1000,     /* while files are written: a sync disturbs the commits beside it */
    FILES_IDLE_MS = 30 * 1000, /* else: what other servers left */
    DUE_EVERY_MS = 10 * 1000,
    RETRY_MS = 5 * 1000, /* after a failure */
};

pang_code pang_state_open(const pang_state_config *config, pang_state **ret, pang_err *err)
{
    pang_state *state = calloc(1, sizeof *state);
    if (state == NULL)
        return pang_fail_memory(err);
    state->config = *config;
    size_t bytes = config->documents_bytes != 0 ? config->documents_bytes : PANG_DOCUMENTS_BYTES;
    state->documents = pang_documents_new(bytes);
    state->zip = pang_zip_new();
    state->trees = pang_trees_new(PANG_TREES_BYTES);
    if (state->documents == NULL || state->zip == NULL || state->trees == NULL) {
        pang_state_close(state);
        return pang_fail_memory(err);
    }
    *ret = state;
    return PANG_OK;
}

void pang_state_close(pang_state *state)
{
    if (state == NULL)
        return;
    pang_care_free(state->care);
    pang_documents_free(state->documents);
    pang_zip_free(state->zip);
    pang_trees_free(state->trees);
    free(state);
}

pang_code pang_state_start(pang_state *state, const pang_start_config *config, pang_err *err)
{
    pang_code code = pang_files_recover(state, err);
    if (code == PANG_OK && config->demo_catalog.len > 0)
        code = pang_bootstrap_demo(state, config, err);
    return code;
}

static bool has_come(int64_t at_ms, int64_t now_ms)
{
    return now_ms >= at_ms;
}

static int64_t wait_for(const pang_state *state, int64_t now_ms)
{
    int64_t next = state->files_at_ms < state->due_at_ms ? state->files_at_ms : state->due_at_ms;
    int64_t wait = next - now_ms;
    if (wait > FILES_EVERY_MS)
        wait = FILES_EVERY_MS; /* a write may come: then its file waits no longer than this */
    return wait > 0 ? wait : 0;
}

int64_t pang_state_work(pang_state *state, pang_err *err)
{
    int64_t now = pang_env_mono_ms(state->config.env);
    pang_code code = PANG_OK;
    bool more = false;
    *err = (pang_err){.code = PANG_OK};
    /* A file is written before its commit lands, so one round more follows a write. */
    bool wrote = atomic_exchange(&state->wrote_file, false);
    if (wrote || has_come(state->files_at_ms, now)) {
        int64_t pause = wrote ? FILES_EVERY_MS : FILES_IDLE_MS;
        code = pang_files_sync(state, &more, err);
        state->files_at_ms = now + (code != PANG_OK ? RETRY_MS : more ? 0 : pause);
    }
    if (code == PANG_OK && has_come(state->due_at_ms, now)) {
        code = pang_due_run(state, &more, err);
        state->due_at_ms = now + (code != PANG_OK ? RETRY_MS : more ? 0 : DUE_EVERY_MS);
    }
    if (code != PANG_OK)
        atomic_fetch_add(&state->rounds_failed, 1);
    return wait_for(state, now);
}

void pang_state_stop(pang_state *state)
{
    atomic_store(&state->stopping, true);
}

pang_trees *pang_state_trees(pang_state *state)
{
    return state->trees;
}

pang_objects *const *pang_state_objects(const pang_state *state)
{
    return state->config.objects;
}

void pang_state_wrote_file(pang_state *state)
{
    atomic_store(&state->wrote_file, true);
}

void pang_state_get_stats(pang_state *state, pang_state_stats *ret)
{
    pang_documents_stats documents;
    pang_documents_get_stats(state->documents, &documents);
    *ret = (pang_state_stats){
        .documents = documents.documents,
        .document_bytes = documents.bytes,
        .document_hits = documents.hits,
        .document_misses = documents.misses,
        .files_synced = atomic_load(&state->files_synced),
        .files_restored = atomic_load(&state->files_restored),
        .files_purged = atomic_load(&state->files_purged),
        .rounds_failed = atomic_load(&state->rounds_failed),
        .gc_runs = atomic_load(&state->gc_runs),
        .gc_skipped = atomic_load(&state->gc_skipped),
        .gc_removed = atomic_load(&state->gc_removed),
        .gc_bytes = atomic_load(&state->gc_bytes),
        .gc_last_ms = atomic_load(&state->gc_last_ms),
    };
}

void pang_state_get_records(pang_state *state, size_t kind, pang_record_stats *ret)
{
    *ret = (pang_record_stats){
        .kind = pang_retain_kind_name((pang_retain_kind)kind),
        .has_bytes = pang_growth_has_bytes(kind),
        .records = atomic_load(&state->records[kind]),
        .bytes = atomic_load(&state->record_bytes[kind]),
        .removed = atomic_load(&state->retain_removed[kind]),
    };
}
