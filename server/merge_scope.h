/*
 * Scope: which files a delete file may be about, by partition, by paths, by bounds of columns.
 * Called by merge_matrix.c and merge_numbers.c. Threads: any. "May": true unless it is proven that
 * it is not.
 */
#ifndef PANG_SERVER_MERGE_SCOPE_H
#define PANG_SERVER_MERGE_SCOPE_H

#include "server/live_files.h"

enum { PANG_SCOPE_COLUMNS = 16 }; /* whose bounds are looked at; further ones prove nothing */

/* A file of equality deletes, with how the bounds of its columns are compared. */
typedef struct {
    const pang_live_file *deletes;
    struct {
        int order;   /* merge_scope.c's */
        size_t size; /* bytes of a bound; 0: any */
    } columns[PANG_SCOPE_COLUMNS];
    size_t n;
} pang_equality_scope;

/* `document` has the schemas. */
void pang_equality_scope_open(const pang_json *document, const pang_live_file *deletes,
                              pang_equality_scope *ret);
/* Whether they may be about rows of a data file. */
bool pang_equality_reaches(const pang_equality_scope *scope, const pang_live_file *data);
/* Whether position deletes may be about a data file. */
bool pang_positions_reach(const pang_live_file *deletes, const pang_live_file *data);
/* Whether two files of position deletes may be about one data file. */
bool pang_positions_meet(const pang_live_file *a, const pang_live_file *b);

#endif
