/*
 * Objects: the files of a warehouse, behind one table of functions per kind of object store.
 * This header holds what the catalog itself does with files (metadata documents); signing and
 * vending of credentials join it with the first store that has them.
 * Called by the server. Threads: any. Lifetime: results live in the caller's arena.
 */
#ifndef PANG_API_VENDING_H
#define PANG_API_VENDING_H

#include "api/location.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pang_objects pang_objects;

enum { PANG_OBJECT_MAX = 64 << 20 }; /* bytes of one file that the catalog reads or writes */

typedef enum {
    PANG_DURABLE, /* the file survives power loss when put returns */
    PANG_LAZY,    /* it survives kill -9; whoever asked makes it durable later with sync */
} pang_durability;

enum { PANG_LIST_DEPTH_MAX = 64 }; /* folders below each other that a list looks into */

/* One file that a list finds; borrowed until the callback returns, which may remove it. */
typedef struct {
    pang_str location; /* that of the place, a slash, and where it is below */
    int64_t bytes, modified_ms;
} pang_listed;
/* Return false to stop. */
typedef bool pang_listed_fn(void *arg, const pang_listed *file);

/* What the operator allows. Borrowed until open returns. */
typedef struct {
    /* Absolute folders under which `file:` objects may lie; made when absent. None: nothing is
     * permitted. A tenant never names one. */
    const pang_str *file_roots;
    size_t n_file_roots;
} pang_objects_config;

typedef struct {
    const char *schemes; /* "file", or a comma list of Location schemes */
    bool local; /* stat never waits for the network: loads may ask whether a file is still there */
    PANG_MUST_CHECK pang_code (*open)(const pang_objects_config *config, pang_objects **ret,
                                      pang_err *err);
    void (*close)(pang_objects *objects);
    /* Whether objects may lie at or below `at`. All functions below refuse what is not permitted:
     * reads with NOT_FOUND, the rest with PERMISSION_DENIED. */
    bool (*permits)(pang_objects *objects, const pang_location *at);
    /* Creates the file and the folders above it. Never replaces one, never leaves a partial one
     * under its name. ERRORS: ALREADY_EXISTS, RESOURCE_EXHAUSTED (disk full), UNAVAILABLE. */
    PANG_MUST_CHECK pang_code (*put)(pang_objects *objects, const pang_location *at, pang_str body,
                                     pang_durability durability, pang_err *err);
    /* Recovery's: makes the file be `body`, durably, whatever is there. ERRORS: as put's, without
     * ALREADY_EXISTS. */
    PANG_MUST_CHECK pang_code (*restore)(pang_objects *objects, const pang_location *at,
                                         pang_str body, pang_err *err);
    /* Reads at most max_bytes. ERRORS: NOT_FOUND (reason "NotFoundException"), OUT_OF_RANGE (too
     * large), UNAVAILABLE. */
    PANG_MUST_CHECK pang_code (*get)(pang_objects *objects, const pang_location *at,
                                     size_t max_bytes, pang_arena *arena, pang_str *ret,
                                     pang_err *err);
    /* Size in bytes. Cheap: a stat or a HEAD. ERRORS: NOT_FOUND, UNAVAILABLE. */
    PANG_MUST_CHECK pang_code (*stat)(pang_objects *objects, const pang_location *at,
                                      int64_t *ret_bytes, pang_err *err);
    /* Absent is fine. */
    PANG_MUST_CHECK pang_code (*remove)(pang_objects *objects, const pang_location *at,
                                        pang_err *err);
    /* Makes what engines expect to find at a new table's location and do not make themselves
     * (folders; nothing on an object store). */
    PANG_MUST_CHECK pang_code (*prepare_table)(pang_objects *objects, const pang_location *at,
                                               pang_err *err);
    /* Makes the named lazy files (those that still exist) durable. */
    PANG_MUST_CHECK pang_code (*sync)(pang_objects *objects, const pang_location *at, size_t n,
                                      pang_err *err);
    /* Shows every file below `at`, in no order; none when there is nothing. A file that comes or
     * goes meanwhile may be shown or not. ERRORS: UNAVAILABLE, INVALID_ARGUMENT (folders too deep);
     * files may have been shown before. */
    PANG_MUST_CHECK pang_code (*list)(pang_objects *objects, const pang_location *at,
                                      pang_listed_fn *fn, void *arg, pang_err *err);
} pang_objects_ops;

/* vending/objects.c: the one list, NULL at its end. */
extern const pang_objects_ops *const pang_objects_kinds[];

struct pang_objects {
    unsigned magic; /* PANG_OBJECTS_MAGIC */
    const pang_objects_ops *ops;
};
#define PANG_OBJECTS_MAGIC 0x4F424A53u

/* Opens the kind that serves a location's scheme. ERRORS: INVALID_ARGUMENT when none does,
 * FAILED_PRECONDITION (a root that cannot be opened), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_objects_open(pang_str scheme, const pang_objects_config *config,
                                            pang_objects **ret, pang_err *err);
/* The one of a NULL-terminated list that serves `scheme`; NULL when none does. */
pang_objects *pang_objects_find(pang_objects *const *list, pang_str scheme);
void pang_objects_close(pang_objects *objects); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
