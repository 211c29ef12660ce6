/*
 * Branches and tags for tests of what is below their services: made by writing their records, with
 * content that is put by hand. Prefixes are as requests spell them: "demo", "demo@dev".
 */
#ifndef PANG_TESTS_REF_FIXTURE_H
#define PANG_TESTS_REF_FIXTURE_H

#include "server/refs.h"
#include "tests/server/catalog_fixture.h"

/* A fresh transaction's view of what the prefix names. */
pang_view rfx_view(fixture *fx, const char *prefix);

/* A branch of what `from` shows at `sequence` (0: as of now), with its three records. */
void rfx_branch(fixture *fx, const char *name, const char *from, uint64_t sequence);
void rfx_tag(fixture *fx, const char *name, const char *from, uint64_t sequence);
/* Writes the ref's record again, changed by `change`. */
void rfx_change(fixture *fx, const char *name, void (*change)(pang_rec_ref *ref));

pang_name rfx_name(fixture *fx, pang_view *view, const char *ns, const char *name);
pang_content rfx_read(fixture *fx, pang_view *view, const char *ns, const char *name);
/* Ends and commits an edit; its number. */
uint64_t rfx_land(fixture *fx, pang_edit *edit, const char *message);
/* Makes or changes the asset "ns"."name" (a table without a document), which gets this location. */
uint64_t rfx_put(fixture *fx, const char *prefix, const char *name, const char *location);
uint64_t rfx_drop(fixture *fx, const char *prefix, const char *name);
/* Its location as the prefix shows it; NULL: it stands for nothing. */
const char *rfx_location(fixture *fx, const char *prefix, const char *name);

#endif
