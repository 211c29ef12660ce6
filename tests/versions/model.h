/*
 * A naive model of a catalog with branches: everything is copied. A branch is a whole content, a
 * commit keeps the whole content that it left, a tag is a commit. It knows no levels, no history
 * rows, no bases and no marks.
 * Called by the steps and by what compares. Threads: one. Lifetime: from model_open to model_close.
 *
 * A *state* is what one item (a namespace, table or other asset) was made into by one write: it has
 * a number and the set of all states that it comes from. All states are kept. So what two sides
 * have in common is a set, and the base of a merge the newest states in it.
 */
#ifndef PANG_TESTS_VERSIONS_MODEL_H
#define PANG_TESTS_VERSIONS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPACES = 6, /* names of namespaces; these are the first items */
    ITEMS = 56,
    TITLES = 24, /* names of assets */
    PROPERTIES = 5,
    COLUMNS = 14, /* of one table */
    FILES = 256,  /* of a whole run; merges' snapshots are numbered with them; queries, too */
    STATES = 1536,
    COMMITS = 768,
    BRANCHES = 24, /* ever made */
    TAGS = 12,
    NAME_BYTES = 24,
    JOINS = 8192,
    MADE = ITEMS + 512, /* numbers of items, each time that one was made */
};

typedef struct {
    uint64_t bits[STATES / 64];
} state_set;

typedef struct {
    uint64_t bits[FILES / 64];
} file_set;

typedef enum { NAMESPACE, TABLE, VIEW, GENERIC } item_kind;
extern const char *const kind_names[]; /* by item_kind */

typedef struct {
    bool exists;
    item_kind kind;
    int made;  /* a number of its own for each time that it was made: its id */
    int space; /* the namespace it is in: an item; -1: none */
    int title;
    int properties[PROPERTIES]; /* numbers of values; 0: absent */
    struct {
        int number, id; /* "c<number>" */
    } columns[COLUMNS];
    int n_columns, last_column;
    file_set files, snapshots; /* that have written it: a file's own, or a merge's */
    int query;                 /* of a view: what its current version says */
    file_set versions;         /* queries of versions that it has at the least */
    int state;                 /* 0: never was */
    state_set all;             /* it comes from, itself among them */
    int value, name;           /* states in which value and name became so */
    state_set values, names;   /* the same of each alone */
    state_set seen;            /* on a selection: what was merged there, or was when it was made,
                                  while it did not hold the item */
    bool renumbered;           /* a merge gave a column another id than it had */
} item;

typedef struct {
    item items[ITEMS];
} content;

typedef struct {
    char id[40];
    uint64_t sequence;
    int64_t time_ms;
    int parent;        /* 0: none */
    bool partial;      /* of a branch that is */
    int branch;        /* that it was made on */
    int depth, family; /* of that */
    uint32_t made_of;  /* by then */
    const content *after;
} commit;

typedef struct {
    bool alive, partial, is_protected, ingest;
    char name[NAME_BYTES];
    int head;         /* a commit; 0: none */
    int depth;        /* how many it is read through */
    int family;       /* the branch that all that is read through ends at */
    int above;        /* of one that holds a selection: the family of what that was made of */
    int since;        /* its own commits come behind this one */
    uint32_t made_of; /* itself, and what it was made from, and that: bits */
} branch;

typedef struct {
    bool alive;
    char name[NAME_BYTES];
    int commit;
} tag;

typedef struct {
    uint64_t chance;
    commit commits[COMMITS]; /* from 1 on */
    int n_commits;
    branch branches[BRANCHES]; /* the first is main */
    int n_branches;
    tag tags[TAGS];
    int n_tags;
    item states[STATES];        /* each as it was made */
    uint64_t written[FILES][2]; /* columns that there were when a snapshot was written */
    file_set queries[MADE];     /* of each view, wherever: by its number */
    struct {
        int from, into;
    } joins[JOINS]; /* values of a source and a target right after a merge, each pair once */
    int n_joins;
    int n_states, n_items, n_made, n_values, n_columns, n_files, n_queries;
    uint64_t sequence; /* of the newest commit of all */
    content nothing;
} model;

extern const char *const space_names[SPACES];
extern const int space_parents[SPACES]; /* -1: none */

model *model_open(uint64_t seed);
void model_close(model *m);
/* 0 to n-1. */
unsigned model_roll(model *m, unsigned n);
/* Nothing can be added any more. */
bool model_is_full(const model *m);

const content *model_at(const model *m, int at);
const content *model_of(const model *m, const branch *b);

bool has_state(const state_set *set, int state);
bool within_states(const state_set *a, const state_set *b);
bool has_file(const file_set *set, int file);

/* What a write is about. */
enum { CHANGES_VALUE = 1, CHANGES_NAME = 2, CHANGES_ALL = 3 };
/* Gives a changed item a state of its own, which comes from what it has. */
void model_change(model *m, item *it, int what);
/* A merge left a source's value and a target's so. */
void model_join(model *m, int from, int into);
void unite_states(state_set *to, const state_set *from);
void add_file(file_set *set, int file);
/* A snapshot of the table as it is now. */
void model_snapshot(model *m, item *it, int snapshot);
/* An asset that was not there; NULL: no room. */
item *model_new_item(model *m, content *c, item_kind kind, int space, int title);
/* The asset of that name, or NULL. */
item *find_item(content *c, int space, int title);
/* Whether something is in a namespace. */
bool is_used(const content *c, int space);
/* Adds the commit that made `after` on a branch. */
void model_commit(model *m, branch *b, const content *after, const char *id, uint64_t sequence,
                  int64_t time_ms);
branch *model_branch(model *m, const char *name);
bool same_properties(const item *a, const item *b);
bool same_files(const file_set *a, const file_set *b);
bool same_columns(const item *a, const item *b);
/* But for their names. */
bool same_value(const item *a, const item *b);

/* All of a content as text, a line for each item, sorted; the caller frees it. */
char *model_text(const content *c);

#endif
