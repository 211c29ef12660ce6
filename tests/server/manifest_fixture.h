/*
 * Manifests for tests: a schema with a column of every type, a spec with a field of every kind,
 * entries with everything that a version takes.
 * Called by tests of manifests. Threads: one. Lifetime: the arena's.
 */
#ifndef PANG_TESTS_SERVER_MANIFEST_FIXTURE_H
#define PANG_TESTS_SERVER_MANIFEST_FIXTURE_H

#include "server/manifest.h"

enum { FIXTURE_FIELDS = 20 };

/* JSON with ' for ". NULL without memory. */
pang_json *fixture_json(const char *text, pang_arena *arena);
/* Every type there is; every transform, and a source that was dropped. */
pang_json *fixture_schema(pang_arena *arena);
pang_json *fixture_spec(pang_arena *arena);
/* The i-th entry for a manifest of that version and content; NULL without memory. */
pang_manifest_entry *fixture_entry(size_t i, int version, pang_manifest_content content,
                                   pang_arena *arena);
/* n of them, in a manifest with schema and spec; false without memory. */
bool fixture_manifest(size_t n, int version, pang_manifest_content content, pang_codec codec,
                      pang_arena *arena, pang_manifest_new *ret);
/* Asserts that two entries say the same. */
void fixture_assert_same(const pang_manifest_entry *a, const pang_manifest_entry *b);

#endif
