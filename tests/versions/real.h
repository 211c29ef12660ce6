/*
 * The program's side: the same operations as calls of its services, and what a ref shows as text in
 * the form of the model's. Refs are texts: names of branches and tags, ids of commits, times.
 * Called by the steps and by what compares. Threads: one. Lifetime: results live in the fixture's
 * arena.
 */
#ifndef PANG_TESTS_VERSIONS_REAL_H
#define PANG_TESTS_VERSIONS_REAL_H

#include "api/json.h"
#include "tests/server/catalog_fixture.h"
#include "tests/versions/model.h"

enum { LOG_ROOM = COMMITS };

typedef struct {
    fixture *fx;
    model *m;
    uint64_t seed;
    char catalog[32];
    char ids[MADE][40];      /* what the program calls an asset, by the model's number */
    file_set versions[MADE]; /* that a view had when it was shown last, by the same */
    const char *step;        /* what is being done, for messages */
    bool by_name;            /* the ref stands behind names, not behind the catalog's */
    size_t merged, refused, records_gone, files_gone;
    size_t decided, again; /* of merges in which something was decided; those that were none */
    uint64_t floor;        /* commits below it can be named only where something stands */
    int64_t floor_ms;
} world;

void real_open(world *w, fixture *fx, model *m, uint64_t seed);

/* One change of a table or namespace. */
typedef struct {
    int space, title;
    int property, value; /* value 0: taken away; property -1: none */
    int column, id;      /* 0: none */
    int file;            /* -1: none */
    int query;           /* of a view; 0: none */
    bool again;          /* it is one of the view's versions, to which it goes back */
    const item *before;
} change;

pang_code real_create_space(world *w, const char *ref, int space, int property, int value);
pang_code real_change_space(world *w, const char *ref, const change *c);
pang_code real_drop_space(world *w, const char *ref, int space);
/* Remembers the new asset's id under the model's number. */
pang_code real_create_table(world *w, const char *ref, int space, int title, int made);
pang_code real_create_asset(world *w, const char *ref, const change *c, int made);
pang_code real_change_table(world *w, const char *ref, const change *c);
pang_code real_change_tables(world *w, const char *ref, const change *list, size_t n);
pang_code real_create_view(world *w, const char *ref, const change *c, int made);
pang_code real_change_view(world *w, const char *ref, const change *c);
/* Of tables and views. */
pang_code real_drop(world *w, const char *ref, const item *it);
pang_code real_rename(world *w, const char *ref, const item *from, int space, int title);

/* Addresses: "catalog@ref", or the catalog alone where the ref stands behind the names. */
char *real_prefix(const world *w, const char *ref);
/* The levels of a namespace; with `ref` not NULL, that may stand behind the last one. */
char **real_levels(const world *w, int space, const char *ref, size_t *ret_n);
char *real_title(const world *w, int title, const char *ref);
/* What the program calls the asset that has this number in the model. */
void real_keep_id(world *w, int made, pang_str id);
/* The update of a table or view that makes its property so; value 0: removes it. */
char *real_property_update(const world *w, const change *c);

/* Documents. Of what is not there: empty, `otherwise`, NULL. */
const pang_json *real_parse(world *w, ProtobufCBinaryData bytes);
pang_str real_text_at(const pang_json *object, const char *name);
int64_t real_number_at(const pang_json *object, const char *name, int64_t otherwise);
/* The member of a list that has this number. */
const pang_json *real_with_number(const pang_json *list, const char *name, int64_t number);

pang_code real_create_branch(world *w, const char *name, const char *from, bool ingest,
                             char **assets, size_t n);
pang_code real_rename_branch(world *w, const char *name, const char *to);
pang_code real_protect_branch(world *w, const char *name, bool on);
pang_code real_delete_branch(world *w, const char *name);
/* `from` may be a commit's id, too. */
pang_code real_create_tag(world *w, const char *name, const char *from);
pang_code real_delete_tag(world *w, const char *name);

/* How to merge, and what came of it. */
typedef struct {
    const char *source; /* a branch, tag or commit */
    const char *target;
    struct {
        const char *key, *mode;
    } modes[ITEMS];
    size_t n_modes;
    bool dry;
    /* Out. */
    pang_code code;
    char *conflicts[ITEMS * 4]; /* keys, each once */
    size_t n_conflicts;
    const char *told;      /* the same for people */
    const char *operation; /* that waits for them to be decided; empty: none */
} merge_call;
void real_merge(world *w, merge_call *call);
/* The same of what works like a merge: the target, and a commit (of a rebase the new base; empty:
 * its own). */
typedef enum { PICK, REVERT, REBASE } again_kind;
void real_again(world *w, again_kind kind, const char *source, merge_call *call);
pang_code real_restore(world *w, const char *name, const char *to);
/* How a conflict is decided: the strategy, and the numbers of values of the properties that it
 * names (0: none). */
typedef struct {
    const char *strategy;
    const int *values; /* of Manual; else NULL */
} real_choice;
/* All conflicts of a key. */
pang_code real_resolve(world *w, merge_call *call, const char *key, const real_choice *choice);
/* The properties that conflicts of a key name, as bits; 0: there is something else, too. */
unsigned real_conflicting(world *w, merge_call *call, const char *key);
void real_complete(world *w, merge_call *call);
pang_code real_abort(world *w, merge_call *call);

/* Everything that a ref shows, as model_text does; fails the test when it cannot be read. */
const char *real_text(world *w, const char *ref);
/* A line of a view's document; its versions are kept in the world. */
char *real_view_line(world *w, const pang_json *document, const char *name, int made);
/* The newest commits of a ref, newest first. */
size_t real_log(world *w, const char *ref, commit *to, size_t room);
/* A line for each entry, sorted: "changed table a.t1". NULL: what the two have in common is below
 * the floor. */
const char *real_diff(world *w, const char *from, const char *to);
/* Names of all branches or tags, sorted: "b1 main". */
const char *real_refs(world *w, bool tags);
/* The code of a read of what may not be there. */
pang_code real_look(world *w, const char *ref);

#endif
