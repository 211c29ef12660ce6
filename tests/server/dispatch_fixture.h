/*
 * A dispatcher over a memory store with a few handlers that a test steers; no socket, no gRPC.
 * Threads: one. Lifetime: from fixture_open until fixture_close.
 */
#ifndef PANG_TESTS_SERVER_DISPATCH_FIXTURE_H
#define PANG_TESTS_SERVER_DISPATCH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/keys.h"
#include "pangolin/v1/namespace.pb-c.h"
#include "pangolin/v1/operations.pb-c.h"
#include "pangolin/v1/table.pb-c.h"
#include "server/dispatch.h"

typedef Pangolin__V1__CreateNamespaceRequest create_request;
typedef Pangolin__V1__CreateNamespaceResponse create_response;
typedef Pangolin__V1__LoadNamespaceRequest load_request;
typedef Pangolin__V1__LoadNamespaceResponse load_response;

/* What the handlers do. In pang_server_env.state, which they alone look at. */
typedef struct fixture {
    pang_env_fixed clock;
    pang_env env;
    pang_store *inner; /* under both */
    pang_db *db;
    pang_db *other; /* another server's, on the same store */
    pang_schema *schema;
    pang_counters *counters;
    pang_server_env shared;
    pang_dispatcher *dispatcher;

    /* Steers: what create does on its n-th run. */
    unsigned runs;
    size_t used_at_start; /* of the attempt's arena, when create began */
    unsigned lose;        /* this many runs report a lost race */
    pang_code fail;       /* then it ends with this */
    const char *reason;
    bool keeps; /* it sets pang_call.keep */
    bool load_writes;
    void (*inside)(struct fixture *f); /* runs within the first run */
    unsigned replays;
    pang_verdict verdict; /* of the evaluator, when one is used */
    pang_code evaluator_fails;
    pang_access seen[8]; /* what the evaluator was asked; names are copied as text */
    char seen_names[8][128];
    size_t n_seen;
} fixture;

void fixture_open(fixture *f, bool with_evaluator);
void fixture_close(fixture *f);

/* Opens a dispatcher with other rows; its code. */
pang_code fixture_try(fixture *f, const pang_method *rows, size_t n, bool evaluation,
                      pang_err *err);

/* One call, packed and unpacked like over the wire. The answer's own copies. */
typedef struct {
    pang_code code;
    char reason[64], message[PANG_ERR_MESSAGE_MAX];
    bool has_out;
    char location[64]; /* create: properties["location"] of the response */
    unsigned retry_after_s;
} outcome;

outcome fixture_call(fixture *f, const char *path, pang_str packed, int64_t deadline_ms);
/* CreateNamespace of one level in catalog "demo". key may be NULL. */
outcome fixture_create(fixture *f, const char *name, const char *key);
outcome fixture_load(fixture *f, const char *name);

/* Another server makes or removes the record behind a name. */
void fixture_other_sets(fixture *f, const char *name, bool exists);

/* How many records of a kind the nil tenant has; the last one's body in *ret_last. */
size_t fixture_count(fixture *f, uint32_t kind, pang_arena *arena, pang_record *ret_last);

#define NIL_SCOPE PANG_STR("00000000000000000000000000000000")

#endif
