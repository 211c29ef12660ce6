/*
 * The one list of backends. What is not here cannot be opened by url. A library of its own in
 * BUILD, so that what links storage/store.c chooses which client libraries come with it.
 */
#include "storage/backends.h"

const pang_store_ops *const pang_stores[] = {
    &pang_memory_ops, &pang_sqlite_ops, &pang_postgres_ops, &pang_mongodb_ops, NULL,
};
