/*
 * A catalog in memory with a `file:` warehouse in a folder of its own, and a small dispatcher: it
 * begins a transaction, runs the handler, commits, and runs it again after a lost race, as the
 * server's does.
 * Threads: calls may be made from any, each with its own arena.
 */
#ifndef PANG_TESTS_CATALOG_FIXTURE_H
#define PANG_TESTS_CATALOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/service.h"
#include "server/auth_cache.h"
#include "server/content.h"
#include "server/seal.h"
#include "server/state.h"
#include "server/svc_identity.h"
#include "server/svc_lake.h"
#include "server/svc_services.h"

#include "pangolin/v1/config.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"
#include "pangolin/v1/namespace.pb-c.h"
#include "pangolin/v1/table.pb-c.h"

#define FX_PREFIX "demo"
/* What a field of a request wants as char *, and nobody writes to. */
#define TEXT(literal) ((char *)(uintptr_t)(literal))
#define FX_SCOPE PANG_STR("00000000000000000000000000000000")

typedef struct {
    char folder[64];
    char warehouse[128]; /* its location */
    char tenants[128];   /* location of warehouses of type "file" */
    pang_sealer *sealer;
    pang_env env;
    _Atomic int64_t ahead_ms; /* of the system's wall clock */
    int64_t care_interval_ms; /* from the next start on */
    pang_db *db;
    pang_objects *objects[2];
    pang_state *state;
    pang_schema *schema; /* NULL: not loaded */
    pang_server_env server;
    pang_principal who;
    const struct pang_permit *permit; /* NULL: none, as in evaluation mode */
    pang_str scope;    /* whose data calls are about: FX_SCOPE, unless a test says otherwise */
    pang_arena *arena; /* of the test that runs */
    pang_err err;      /* of the last call made with fx_call */
    unsigned runs;     /* of the handler in the last fx_call */
    pang_str keep;     /* what it kept, in arena */
    pang_str address;  /* of who calls; empty: none */
    pang_str message, properties; /* that callers say about their commits; empty: nothing */
    pang_id commit;               /* of the last fx_call; nil: none */
    void (*between)(void *arg);   /* runs once, between a handler's first run and its commit */
    void *between_arg;
    pang_code refuses;      /* what each piece of a stream is answered before it is looked at */
    unsigned retry_after_s; /* what the last call said */
    int64_t deadline_ms;    /* of calls, on the mono clock; 0: none */
} fixture;

/* Fails the test with the call's error, unless the code is PANG_OK. */
void fx_ok(const fixture *fx, pang_code code);

/* On a store of this url: "memory:", "faulty:memory:"; a faulty one is asked each time, without a
 * cache in front, so that each read can fail. */
fixture *fx_open(const char *url);
/* The same where the warehouse is, or will be, in a folder that stays: for processes that follow
 * each other. fx_close removes it; who leaves by _exit does not. */
fixture *fx_open_in(const char *url, const char *folder);
void fx_close(fixture *fx);
/* cmocka's setup and teardown; *state is a fixture: in memory, or on the store that PANG_TEST_URL
 * names, with the test's temporary folder for "%t" and another number each time for "%n". */
int fx_setup(void **state);
int fx_teardown(void **state);
/* Stops everything but the store and starts again on it, as after a crash. */
void fx_restart(fixture *fx);

/* Runs a method by its last name ("LoadTable"); what it returns lives in `arena`. */
pang_code fx_call_in(fixture *fx, pang_arena *arena, const char *method, const void *in, void *out,
                     unsigned *ret_runs, pang_str *ret_keep, pang_err *err);
/* The same in fx->arena, leaving the error in fx->err. */
pang_code fx_call(fixture *fx, const char *method, const void *in, void *out);

/* The caller becomes a user of the nil tenant with these grants, until fx_unbecome. */
void fx_become(fixture *fx, const pang_grant *grants, size_t n, pang_permit *permit);
void fx_unbecome(fixture *fx, pang_permit *permit);

/* The commit of the last call that this thread made; nil: none. */
pang_id fx_commit_of_thread(void);

/* Runs a stream of replies; `got` sees each, and false from it is a client that goes. */
typedef bool fx_got_fn(void *arg, const void *out);
pang_code fx_stream(fixture *fx, const char *method, const void *in, fx_got_fn *got, void *arg);

/* A transaction by hand. */
pang_txn *fx_begin(fixture *fx);
pang_view fx_view(fixture *fx, pang_txn *txn);

/* printf into the arena, as a C string. */
char *fx_text(fixture *fx, const char *fmt, ...) PANG_PRINTF(2, 3);
ProtobufCBinaryData fx_bytes(const char *text);
/* A location's path on this machine. */
const char *fx_path(const char *location);

/* Calls with little to say. Levels: one namespace "ns" unless it has dots, then split there. */
char **fx_levels(fixture *fx, const char *dotted, size_t *ret_n);
pang_code fx_create_namespace(fixture *fx, const char *dotted);
/* Of the namespace of these levels. */
void fx_set_property(fixture *fx, const char *prefix, char **levels, size_t n_levels,
                     const char *key, const char *value);
/* A table of FX_SCHEMA; *ret may be NULL. */
pang_code fx_create_table(fixture *fx, const char *ns, const char *name,
                          Pangolin__V1__CreateTableResponse *ret);
pang_code fx_load_table(fixture *fx, const char *ns, const char *name,
                        Pangolin__V1__LoadTableResponse *ret);
pang_code fx_commit(fixture *fx, const char *ns, const char *name, const char *requirements,
                    const char *updates, Pangolin__V1__CommitTableResponse *ret);
pang_code fx_drop_table(fixture *fx, const char *ns, const char *name, bool purge);
pang_code fx_drop_table_on(fixture *fx, const char *prefix, const char *ns, const char *name,
                           bool purge);
/* On the prefix ("demo@dev"), a table under the name of the one that is dropped there. */
pang_code fx_replace_table_on(fixture *fx, const char *prefix, const char *ns, const char *name,
                              bool purge);
/* A branch that can be merged, of what `from` is: any ref. */
pang_code fx_create_branch(fixture *fx, const char *name, const char *from);
pang_code fx_delete_branch(fixture *fx, const char *name);
pang_code fx_merge(fixture *fx, const char *source, const char *target,
                   Pangolin__V1__MergeBranchesResponse *ret);

#define FX_SCHEMA                                                                                  \
    "{\"type\":\"struct\",\"schema-id\":0,\"fields\":["                                            \
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"                              \
    "{\"id\":2,\"name\":\"data\",\"required\":false,\"type\":\"string\"}]}"

#endif
