/*
 * Files as engines leave them: manifests, lists of them, and data files that hold anything.
 * Threads: as catalog_fixture.h.
 */
#ifndef PANG_TESTS_AVRO_FIXTURE_H
#define PANG_TESTS_AVRO_FIXTURE_H

#include "tests/server/catalog_fixture.h"

/* Makes the file be this; the folder is there. */
void fx_write_over(const char *location, const char *text);
/* A manifest whose entries add these files; a list of these manifests. */
void fx_write_manifest(const char *location, const char *const *files, size_t n);
void fx_write_manifest_list(const char *location, const char *const *manifests, size_t n);
/* Commits a snapshot to ns.`name`, which lies at `table`: its manifest names n data files, which
 * are written too, by their names below data/. */
pang_code fx_append(fixture *fx, const char *prefix, const char *name, const char *table,
                    int64_t id, const char *const *files, size_t n);

#endif
