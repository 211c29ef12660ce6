/*
 * For tests of the metadata engine: documents in a readable spelling (single quotes), a table to
 * begin with, a clock that stands, and patterns to compare documents with.
 */
#ifndef PANG_TESTS_SERVER_MODEL_FIXTURE_H
#define PANG_TESTS_SERVER_MODEL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/model.h"

#define MODEL_NOW 1700000100000                               /* the clock */
#define MODEL_FILE "s3://b/t/metadata/00007-aa.metadata.json" /* the base's */

typedef struct {
    pang_arena *arena;
    pang_env_fixed clock;
    pang_env env;
    pang_err err;
} model;

int model_setup(void **state);
int model_teardown(void **state);
/* Parses; ' stands for ". */
pang_json *model_json(model *m, const char *text);
const char *model_text(model *m, const pang_json *value);
/* A table of a format version: columns id (1, long), data (2, string), ts (3, timestamptz),
 * point (4, struct of x 5 double and y 6 double), tags (7, list of string 8); unpartitioned,
 * unsorted; snapshots 10 and 20 (main), tag "old" on 10, both in the log, statistics of both. */
const pang_json *model_table(model *m, int version);
/* A commit; the error is in m->err. */
pang_code model_commit(model *m, const pang_json *base, const char *requirements,
                       const char *updates, pang_model_outcome *ret);
/* The same, which must succeed and change the table; the document. */
const pang_json *model_changed(model *m, const pang_json *base, const char *updates);
/* Whether value has what pattern has: objects by the members that pattern names ('<absent>' must
 * not be there), arrays element by element, '*' is anything. */
bool model_matches(const pang_json *value, const pang_json *pattern);
/* The same, and a failure when not. */
void model_expect(model *m, const pang_json *value, const char *pattern);

/* One case of a table of updates: what they answer over a table of `version`. */
typedef struct {
    const char *name;
    int version;
    const char *updates;
    pang_code code;
    const char *want; /* OK: a pattern of the document, NULL: unchanged; else part of the message */
    const char *reason;
} model_case;
void model_run(model *m, const model_case *cases, size_t n);

#define MODEL_TEST(fn) cmocka_unit_test_setup_teardown(fn, model_setup, model_teardown)

#endif
