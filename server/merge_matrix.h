/*
 * The matrix: which changes of a source's files fit what the target has and the source's half had
 * not, and what becomes a conflict. Section by section as in MERGING.md ("Merging files").
 * Called by merge_files.c. Threads and lifetime: as live_files.h. No I/O but through the source of
 * manifests that it is given.
 */
#ifndef PANG_SERVER_MERGE_MATRIX_H
#define PANG_SERVER_MERGE_MATRIX_H

#include "server/merge_change.h"

/* One merge of files, on its way through the steps. */
typedef struct {
    const pang_merge_files *input;
    const pang_manifest_source *from;
    pang_arena *work;    /* for all that the merge compares */
    pang_arena *scratch; /* of the manifest that is being read */
    pang_live_table table;
    pang_side source_half, source, target_half, target;
    pang_change theirs;     /* the source, against its half */
    pang_change ours;       /* the target, against the source's half */
    pang_unreadable bad;    /* filled in by a failure that is a file's fault */
    bool writing;           /* nothing can be a conflict any more */
    int version;            /* of the merged document */
    bool nothing_to_remove; /* what the source removed, the target lost by the same change */
    /* What both sides have from before they parted: numbers up to these mean the same. */
    int64_t common_sequence, common_row_id;
    bool related;                 /* the source goes on from its half, or was rolled back from it */
    int64_t sequence;             /* of the new snapshot; 0 in version 1 */
    pang_file_map their_equality; /* the source's, above common_sequence; when files moved */
    struct pang_matrix_note *notes;
} pang_file_merge;

/* Why a pair of changes is a conflict. */
typedef enum {
    PANG_RULE_GONE,         /* removed by the source, no longer in the target */
    PANG_RULE_DELETES_GONE, /* the same of delete files */
    PANG_RULE_DELETED_ON,   /* the target's position deletes on what the source removed */
    PANG_RULE_EQUALITY_ON,  /* the target's equality deletes on it */
    PANG_RULE_NO_FILE,      /* the source's position deletes on what the target removed */
    PANG_RULE_SAME_FILE,    /* position deletes of both on one file */
    PANG_RULE_NEW_ROWS,     /* the source's equality deletes on the target's new rows */
    PANG_RULE_PARTITION,    /* a dynamic overwrite of where the target changed something */
    PANG_RULE_SERIAL,       /* serializable: new rows where the source overwrote or deleted */
    PANG_RULE_ORDER,        /* no place among the equality deletes */
    PANG_RULE_UNDELETED,    /* deletes taken back on what the other side removed */
    PANG_RULE_GIVEN_UP,     /* added by the source, removed by the target */
    PANG_RULE_ROW_IDS,      /* row ids that both gave */
    PANG_RULE_VERSION,      /* deletes that the merged format version does not take */
    PANG_RULES,
} pang_matrix_rule;

/* Whether a file of `theirs` is to be brought. */
bool pang_file_pending(const pang_live_file *file);
/* Finds out what both sides have already, and from when on they differ. ERRORS:
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_matrix_settle(pang_file_merge *merge, pang_err *err);
/* Notes all conflicts. REQUIRES: settled and numbered. ERRORS: RESOURCE_EXHAUSTED, what the source
 * of manifests answers that is not the file's fault. */
PANG_MUST_CHECK pang_code pang_matrix_judge(pang_file_merge *merge, pang_err *err);
/* Notes one; `other` may be NULL. False without memory. */
bool pang_matrix_note(pang_file_merge *merge, pang_matrix_rule rule, const pang_live_file *file,
                      const pang_live_file *other);
/* The conflicts for people, in `arena`; none: n is 0. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_matrix_conflicts(const pang_file_merge *merge, pang_arena *arena,
                                                const pang_conflict **ret, size_t *ret_n,
                                                pang_err *err);
/* One conflict that a file cannot be read, or (`path` empty) why the files cannot be compared. */
PANG_MUST_CHECK pang_code pang_matrix_unreadable(pang_str path, pang_str why, pang_arena *arena,
                                                 const pang_conflict **ret, size_t *ret_n,
                                                 pang_err *err);

/* merge_numbers.c: gives each pending file its number, and the new snapshot its own. */
PANG_MUST_CHECK pang_code pang_numbers_give(pang_file_merge *merge, pang_err *err);
/* Notes files whose number would change which equality deletes hold for them. ERRORS: as judge. */
PANG_MUST_CHECK pang_code pang_numbers_judge(pang_file_merge *merge, pang_err *err);

#endif
