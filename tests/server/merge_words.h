/*
 * Merges below their service, in a language of one line: what happens on a branch, and what a
 * branch then holds. Words are separated by blanks:
 *   put:ns.t=1      a table's document is "1"; made where there is none
 *   view:ns.v=1     the same of a view
 *   vw:ns.v.sql=x   a view with a document that can be read: its query, or another property; made
 *                   where there is none; "vw:ns.v.k=" takes a property away
 *   gen:ns.g.k=v    a generic asset's property; "gen:ns.g.k=" takes it away
 *   mv:ns.t>ns.u    a new name
 *   drop:ns.t       gone, whatever it is
 *   mk:ns rm:ns     a namespace
 *   set:ns.k=v      a property of a namespace; "set:ns.k=" takes it away
 * Each word is a commit. Branches are prefixes as requests spell them: "demo", "demo@dev".
 */
#ifndef PANG_TESTS_MERGE_WORDS_H
#define PANG_TESTS_MERGE_WORDS_H

#include "server/merge_replay.h"
#include "tests/server/ref_fixture.h"

/* Does all words on a branch. */
void mfx_do(fixture *fx, const char *prefix, const char *words);
/* Everything on a branch, sorted, in the form of the words without the verbs: "ns ns.k=v ns.t=1";
 * of a view with a document its query, how many versions it has, and its properties: "ns.v=x#2
 * ns.v.k=v".
 */
const char *mfx_show(fixture *fx, const char *prefix);
/* The id of what a name stands for; nil: nothing. */
pang_id mfx_asset(fixture *fx, const char *prefix, const char *name);

/* How to merge, and what came of it. */
typedef struct {
    const char *source; /* a prefix of a branch, or of a tag or commit */
    const char *target;
    const char *modes;   /* "ns.t=source ns.u=drop *=target": of keys, and of all others */
    const char *choices; /* "ns.t=source ns.u=target ns.g={...}": of conflicts; no blanks in JSON */
    uint64_t at;         /* the source at this number; 0: as of now */
    bool dry;
    bool documents; /* tables and views are merged by what is in their documents */
    /* Out. */
    pang_code code;
    const char *conflicts; /* "deletion:ns.t metadata:ns.g", sorted by key; empty: none */
    bool fast_forward;
    size_t n_changes;
    uint64_t number; /* of the commit */
} mfx_merge;

/* Plans and, without conflicts, applies. False: there were conflicts, or it failed (code). */
bool mfx_run(fixture *fx, mfx_merge *merge);
/* What works like a merge, of the same form. Of a pick and a revert the source's newest commit, or
 * that of number `at`; of a restore that state; of a rebase the branch, whose target is its new
 * base. */
typedef enum { MFX_PICK, MFX_REVERT, MFX_RESTORE } mfx_kind;
bool mfx_again(fixture *fx, mfx_kind kind, mfx_merge *merge);
bool mfx_rebase(fixture *fx, mfx_merge *merge);
/* The same of two branches with nothing special, for its text: conflicts, or "". */
const char *mfx_conflicts(fixture *fx, const char *source, const char *target);

#endif
