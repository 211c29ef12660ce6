/*
 * Inside of storage/keys*.c: the one way in which makers put a key together.
 * Included by: storage/keys*.c only. Threads, lifetime: as api/keys.h.
 */
#ifndef PANG_STORAGE_KEYS_INTERNAL_H
#define PANG_STORAGE_KEYS_INTERNAL_H

#include "api/keys.h"

/* A key of the scope and kind. `layout` has a letter for each argument: 'i' a pang_id, 't' a
 * pang_str, which is escaped; a '/' at its end makes the prefix of what is below. */
pang_str pang_key_make(pang_keys *keys, const char *kind, const char *layout, ...);

#endif
