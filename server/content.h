/*
 * Content: what names stand for, on a branch or at a point of one. Namespaces and assets (tables,
 * views, generic assets) are records of one form; each commit of a catalog has the next number of
 * the catalog's sequence, and what a commit replaces goes to history under that number. So any
 * earlier state can be read, and a branch is nothing but a point to read through.
 * Called by the services. Threads: a view belongs to its transaction's. Lifetime: everything
 * lives in the arena.
 *
 * Reading at a sequence S: the current record if it is not newer than S, else the history row with
 * the least `until` above S. Reading through: that on each level, the branch first, then its
 * bases; a tombstone is an answer and ends the search.
 * What a ref stands for is in server/refs.h.
 * Writing: only on the branch itself. What is written says since when the asset is on the branch,
 * and that it is shared where it came through a base. The ref's version is checked and never
 * written, so that writers of different tables do not fight.
 */
#ifndef PANG_SERVER_CONTENT_H
#define PANG_SERVER_CONTENT_H

#include "api/keys.h"
#include "api/service.h"
#include "server/records.h"

enum {
    PANG_LEVELS_MAX = 17,         /* of branches read through: the branch and 16 bases */
    PANG_CHANGES_MAX = 16384,     /* names that one request may change */
    PANG_LISTED_MAX = 32768,      /* changes listed in a commit: a renamed one is two */
    PANG_NAMES_AT_ONCE_MAX = 256, /* names read by one pang_content_get */
};

#define PANG_NOW UINT64_MAX
/* Joins levels, and a name behind them, in texts that can be read in one way only. */
#define PANG_UNIT_SEPARATOR '\x1f'

/* A namespace's levels, outermost first. */
typedef struct {
    const pang_str *names;
    size_t n;
} pang_levels;

/* A key in the content of a branch. */
typedef struct {
    pang_space space;
    pang_str path; /* of the namespace it is in, as pang_key_path makes it */
    pang_str name;
} pang_name;
bool pang_name_equal(pang_name a, pang_name b);
/* For an index (server/index.h) of names. */
uint64_t pang_name_hash(pang_name name);

/* A branch of a catalog as one call sees it. */
typedef struct {
    pang_txn *txn;
    pang_arena *arena;
    pang_keys keys;
    pang_id catalog;
    pang_str prefix; /* of the request: the catalog's name */
    struct {
        pang_id branch;
        uint64_t at; /* PANG_NOW: as of now */
    } levels[PANG_LEVELS_MAX];
    size_t n_levels;
    bool writable;
    pang_str ref_name; /* what it shows: the text that named the branch, tag, commit or time; empty
                          for a point */
    pang_rec_ref *ref; /* the branch's or tag's record; NULL for a commit, time or point */
    bool merging;      /* set by what may write a protected branch: merges */
    pang_call *call;   /* that it was opened for; NULL for work that is no call */
    pang_rec_catalog *settings; /* NULL until pang_view_settings */
} pang_view;

/* What is said of a catalog that is not there, or that the caller may not see. Returns NOT_FOUND.
 */
pang_code pang_fail_no_catalog(pang_err *err, const char *reason, pang_str prefix);

/* Opens what a request's prefix names: a catalog's name, or name@ref. `reason` is for a catalog or
 * ref that is not there. ERRORS: NOT_FOUND (reason), the store's. */
PANG_MUST_CHECK pang_code pang_view_open(pang_call *call, const char *prefix, const char *reason,
                                         pang_view *ret, pang_err *err);
/* The same for work that is no call. */
PANG_MUST_CHECK pang_code pang_view_begin(pang_txn *txn, pang_arena *arena, pang_str scope,
                                          pang_str prefix, const char *reason, pang_view *ret,
                                          pang_err *err);
/* The catalog of this plain name, at no ref yet: pang_view_switch (server/refs.h) goes to one. */
PANG_MUST_CHECK pang_code pang_view_catalog(pang_txn *txn, pang_arena *arena, pang_str scope,
                                            pang_str name, const char *reason, pang_view *ret,
                                            pang_err *err);
/* The same for a catalog of a known id, whose name may be gone: its branch main. */
PANG_MUST_CHECK pang_code pang_view_of(pang_txn *txn, pang_arena *arena, pang_str scope,
                                       pang_id catalog, pang_str name, pang_view *ret,
                                       pang_err *err);
/* The catalog's own record; read once. */
PANG_MUST_CHECK pang_code pang_view_settings(pang_view *view, pang_rec_catalog **ret,
                                             pang_err *err);
/* The number of the catalog's last commit. */
PANG_MUST_CHECK pang_code pang_view_sequence(pang_view *view, uint64_t *ret, pang_err *err);
/* From now on the view reads as of `sequence`, and writes nothing. */
void pang_view_set_at(pang_view *view, uint64_t sequence);

pang_name pang_name_of_asset(pang_keys *keys, pang_levels levels, pang_str name);
/* REQUIRES: levels.n > 0. */
pang_name pang_name_of_namespace(pang_keys *keys, pang_levels levels);

/* What a name stands for. */
typedef struct {
    pang_name name;
    pang_str key;           /* of its current record on the branch itself */
    pang_rec_content *body; /* NULL: it never stood for anything */
    uint64_t sequence;      /* of the commit that wrote this state, and its time */
    int64_t time_ms;
    bool own; /* body is of the branch's own current record */
} pang_content;

/* Whether it stands for something: there, and not dropped. */
bool pang_content_exists(const pang_content *content);
/* The number of the commit that made the state, wherever; its value; its name. */
uint64_t pang_content_origin(const pang_content *content);
uint64_t pang_content_value_origin(const pang_content *content);
uint64_t pang_content_name_origin(const pang_content *content);

/* Reads n names in one round trip; contents[i].name is given, the rest filled in. What is read
 * holds until the commit, or that is ABORTED. ERRORS: INVALID_ARGUMENT (identifier is too long, n
 * is too large), the store's. */
PANG_MUST_CHECK pang_code pang_content_get(pang_view *view, pang_content *contents, size_t n,
                                           pang_err *err);

/* Where an asset is. */
typedef struct {
    pang_rec_asset *body; /* NULL: it was never here */
    uint64_t sequence;    /* of the commit that put it there, or dropped it */
} pang_asset_at;
/* By their ids, as names are read: n in one round trip. What was dropped says so. */
PANG_MUST_CHECK pang_code pang_asset_find(pang_view *view, const pang_id *assets, size_t n,
                                          pang_asset_at *ret, pang_err *err);

/* Rows of a list, in the order of keys; what does not exist is not shown. Return false to stop. */
typedef bool pang_content_row_fn(void *arg, const pang_content *row);
typedef struct {
    pang_space space;
    pang_str path;  /* the namespace whose children are listed */
    pang_str after; /* escaped name behind which to begin; empty: at the start */
    size_t limit;   /* rows shown at most */
} pang_content_query;
/* *ret_after: the escaped name of the last row that was looked at when more may follow, else
 * empty. REQUIRES: the view reads at a sequence (pang_view_set_at), so that pages agree. */
PANG_MUST_CHECK pang_code pang_content_list(pang_view *view, const pang_content_query *query,
                                            pang_content_row_fn *row, void *arg,
                                            pang_str *ret_after, pang_err *err);

/* Whether a namespace holds nothing. It stays so until the commit, or that is ABORTED. */
PANG_MUST_CHECK pang_code pang_content_is_empty(pang_view *view, pang_levels levels, bool *ret,
                                                pang_err *err);

/* ---- commits ---- */

/* The changes of one commit to a branch, put into the transaction as they come. */
typedef struct {
    pang_view *view;
    const pang_principal *who;
    pang_id id; /* the commit's */
    int slot;
    pang_rec_change **changes; /* grows */
    size_t n, room;
    size_t bytes;     /* of the list, about */
    bool takes_over;  /* bodies say themselves which commits made them: of merges and copies */
    pang_str message; /* what the client said of it; empty: nothing */
    /* What else the commit says, set before pang_edit_end; borrowed from the arena. */
    pang_rec_property **properties;
    size_t n_properties;
    pang_rec_point **parents; /* further ones, of a merge; parent_ids are their commits' */
    ProtobufCBinaryData *parent_ids;
    size_t n_parents;
    pang_rec_change **seen; /* of a merge: see Commit */
    size_t n_seen;
} pang_edit;

/* Whether an edit may begin, for what promises one: ERRORS as pang_edit_begin's of the view. */
PANG_MUST_CHECK pang_code pang_edit_allowed(const pang_view *view, pang_err *err);
/* NULL in *ret never. ERRORS: INVALID_ARGUMENT (the view is of the past), PERMISSION_DENIED (the
 * branch is protected, and view->merging is not set), RESOURCE_EXHAUSTED. What the view's call says
 * about its commit is taken (server/remark.h). */
PANG_MUST_CHECK pang_code pang_edit_begin(pang_view *view, const pang_env *env,
                                          const pang_principal *who, pang_edit **ret,
                                          pang_err *err);
/* The name, which stood for nothing, stands for a new asset. */
PANG_MUST_CHECK pang_code pang_edit_create(pang_edit *edit, const pang_content *at,
                                           const pang_rec_content *body, pang_err *err);
/* As create, for an asset that was here before, or on another branch: it keeps its id. */
PANG_MUST_CHECK pang_code pang_edit_adopt(pang_edit *edit, const pang_content *at,
                                          const pang_rec_content *body, pang_err *err);
/* The name's asset changes. */
PANG_MUST_CHECK pang_code pang_edit_update(pang_edit *edit, const pang_content *at,
                                           const pang_rec_content *body, pang_err *err);
/* The name stands for nothing any more. */
PANG_MUST_CHECK pang_code pang_edit_drop(pang_edit *edit, const pang_content *at, bool purge,
                                         pang_err *err);
/* The asset changes its name; `to` stood for nothing. */
PANG_MUST_CHECK pang_code pang_edit_move(pang_edit *edit, const pang_content *from,
                                         const pang_content *to, pang_err *err);
/* The same for one that changes with it. */
PANG_MUST_CHECK pang_code pang_edit_move_as(pang_edit *edit, const pang_content *from,
                                            const pang_content *to, const pang_rec_content *body,
                                            pang_err *err);
/* For work that changes many names which depend on each other, as merges do: from now on the name
 * stands for `next`, whatever it stood for, or for nothing (NULL, or a body that is dropped, of
 * which only its origin counts). Each name at most once in a
 * commit, and whoever comes, moves or goes is told of by pang_edit_place, too. */
PANG_MUST_CHECK pang_code pang_edit_set(pang_edit *edit, const pang_content *at,
                                        const pang_rec_content *next, pang_err *err);
/* From now on the asset of `body` is found at the name, or (`dropped`) was last. */
PANG_MUST_CHECK pang_code pang_edit_place(pang_edit *edit, const pang_content *at,
                                          const pang_rec_content *body, bool dropped,
                                          pang_err *err);
/* Puts what the edit's branch has of another from this commit on, under the key of that mark.
 * ERRORS: RESOURCE_EXHAUSTED (memory): an empty record would be a mark of nothing left out. */
PANG_MUST_CHECK pang_code pang_edit_put_mark(pang_edit *edit, pang_str key,
                                             const pang_rec_merge_mark *mark, pang_err *err);
/* Writes the commit's own record. `message` says what was done, for people, where the client said
 * nothing. */
PANG_MUST_CHECK pang_code pang_edit_end(pang_edit *edit, pang_str message, pang_err *err);

#endif
