/*
 * The backends by name, for the lists of them: storage/stores.c (what the programs link) and
 * those of tests, which leave out what needs a client library.
 * Called by the lists only. Each table is const, lives as long as the process and is defined in
 * the .c of its name, with every slot filled.
 */
#ifndef PANG_STORAGE_BACKENDS_H
#define PANG_STORAGE_BACKENDS_H

#include "api/storage.h"

/* "memory:" a process's own, gone when it is closed. */
extern const pang_store_ops pang_memory_ops;
/* "sqlite:/path/to/file.db" */
extern const pang_store_ops pang_sqlite_ops;
/* "postgres://..." */
extern const pang_store_ops pang_postgres_ops;
/* "mongodb://..." */
extern const pang_store_ops pang_mongodb_ops;
/* "faulty:<url of another>" for tests: see storage/faulty.h. In no program's list. */
extern const pang_store_ops pang_faulty_ops;

#endif
