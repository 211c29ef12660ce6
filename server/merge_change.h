/*
 * The change of one side: which files it has that the source's half had not, and which of that it
 * has no more, with what its snapshots say of how they came.
 * Called by merge_files.c. Threads and lifetime: as live_files.h. Manifests are read through two
 * functions, so that this and all that stands on it is tested without files.
 */
#ifndef PANG_SERVER_MERGE_CHANGE_H
#define PANG_SERVER_MERGE_CHANGE_H

#include "server/live_files.h"
#include "server/merge_files.h"

enum { PANG_CHANGED_FILES_MAX = 4000000 }; /* entries compared, of one content and side */

/* Where manifests come from. What cannot be read is NOT_FOUND, INVALID_ARGUMENT or OUT_OF_RANGE. */
typedef struct {
    void *arg;
    /* The rows of a snapshot's list, in arena. */
    PANG_MUST_CHECK pang_code (*list)(void *arg, const pang_json *snapshot, pang_arena *arena,
                                      pang_manifest **ret, size_t *ret_n, pang_err *err);
    /* As pang_manifest_read; the arena holds the file meanwhile. */
    PANG_MUST_CHECK pang_code (*read)(void *arg, const pang_manifest *row, pang_arena *arena,
                                      pang_manifest_head *ret_head, pang_manifest_entry_fn *fn,
                                      void *fn_arg, pang_err *err);
} pang_manifest_source;

/* What is told when a file cannot be read, and becomes a conflict. */
typedef struct {
    pang_str path; /* ptr NULL: all could be read */
    pang_str why;
} pang_unreadable;

/* One of the documents: its main snapshot and what that lists. */
typedef struct {
    const pang_json *document;
    const pang_json *snapshot; /* NULL: none */
    const pang_manifest *rows; /* in the order of the list */
    size_t n_rows;
    pang_file_map paths;         /* of the rows; a value is a row */
    const pang_spec_view *specs; /* all of the document's */
    size_t n_specs;
} pang_side;

/* Reads the list. ERRORS: as the source's, after *ret_bad was filled in when it is the file's
 * fault; RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_side_open(const pang_manifest_source *from,
                                         const pang_json *document, const pang_id_pair *specs,
                                         size_t n_specs, pang_arena *arena, pang_side *ret,
                                         pang_unreadable *ret_bad, pang_err *err);
/* Whether the side lists the manifest of that path. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_side_lists(const pang_side *side, pang_str path, bool *ret,
                                          pang_err *err);
/* NULL: its document has no such spec. */
const pang_spec_view *pang_side_spec(const pang_side *side, int32_t spec);

/* What the snapshots between two heads say. */
typedef struct {
    bool known;        /* each of them is still there */
    bool backwards;    /* the head is an ancestor of the half's: a rollback, a revert */
    bool only_replace; /* known, at least one, and all are compactions */
    bool dynamic;      /* a dynamic partition overwrite is among them */
    pang_file_map ids; /* the snapshots between, when known and not backwards */
} pang_story;

typedef struct {
    const pang_side *half, *head; /* from, to */
    pang_story story;
    pang_live_file **added, **removed; /* all contents */
    size_t n_added, n_removed;
    pang_file_map by_key_added, by_key_removed;
} pang_change;

/* ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_story_tell(const pang_side *half, const pang_side *head,
                                          pang_arena *arena, pang_story *ret, pang_err *err);

/* Adds the files of one content to the change; half, head and story are filled in. `sets` are
 * those that added and removed files join. Scratch is reset again and again.
 * ERRORS: as pang_side_open; RESOURCE_EXHAUSTED also for more than PANG_CHANGED_FILES_MAX. */
typedef struct {
    const pang_manifest_source *from;
    pang_live_table *table;
    pang_arena *scratch;
    pang_file_set added, removed;
    pang_unreadable *bad;
} pang_change_run;
PANG_MUST_CHECK pang_code pang_change_read(const pang_change_run *run,
                                           pang_manifest_content content, pang_change *change,
                                           pang_err *err);

/* Calls fn for the live entries (or, `gone`, the deleted ones) of a manifest of a side, with keys.
 * Notes what cannot be read in *ret_bad. fn returns OK to go on. */
typedef struct {
    const pang_manifest *row;
    const pang_manifest_head *head;
    const pang_spec_view *spec;
    const pang_manifest_entry *entry;
    pang_file_key key;
} pang_seen_entry;
typedef pang_code pang_seen_fn(void *arg, const pang_seen_entry *seen, pang_err *err);
PANG_MUST_CHECK pang_code pang_side_read(const pang_manifest_source *from, const pang_side *side,
                                         const pang_manifest *row, bool gone, pang_arena *scratch,
                                         pang_seen_fn *fn, void *arg, pang_unreadable *ret_bad,
                                         pang_err *err);

/* The snapshot of that id in a document; NULL: none. */
const pang_json *pang_snapshot_find(const pang_json *document, int64_t id);
/* Of its summary; the empty view when it says nothing. */
pang_str pang_snapshot_says(const pang_json *snapshot, const char *name);

#endif
