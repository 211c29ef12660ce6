/*
 * Two servers' audit logs over one store, with a clock that moves by hand; and what stands in the
 * store afterwards.
 * Threads: one, unless a test says more. Lifetime: from audit_open until audit_close.
 */
#ifndef PANG_TESTS_SERVER_AUDIT_FIXTURE_H
#define PANG_TESTS_SERVER_AUDIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/keys.h"
#include "server/audit_chain.h"
#include "server/audit_log.h"
#include "storage/faulty.h"

#define TENANT PANG_STR("0190000000000000000000000000000a")
#define OTHER_TENANT PANG_STR("0190000000000000000000000000000b")

typedef struct {
    pang_env_fixed clock;
    pang_env env;
    pang_store *inner;
    pang_store *faulty[2]; /* each server's view of it */
    pang_db *db[2];
    pang_audit *audit[2];
    pang_arena *arena; /* of the test */
    unsigned changes;  /* made so far */
    pang_err err;
} audit_fixture;

/* On a store of this url: "memory:". */
void audit_open(audit_fixture *f, const char *url);
void audit_close(audit_fixture *f);
/* The id that a server of the fixture writes as. */
pang_id audit_server(unsigned which);
pang_id audit_id(uint8_t last);

/* A change of `tenant`: one row in a commit. */
void audit_change(audit_fixture *f, unsigned server, pang_str tenant, const char *action,
                  uint8_t principal, uint8_t resource);
/* A read, buffered. */
pang_code audit_read(audit_fixture *f, unsigned server, pang_str tenant, const char *object,
                     uint8_t principal);
void audit_flush(audit_fixture *f, unsigned server);
bool audit_seal(audit_fixture *f, unsigned server, pang_str tenant);

/* How many records of a kind a tenant has; *ret_last (may be NULL) is the last one, in arena. */
size_t audit_count(audit_fixture *f, pang_str tenant, uint32_t kind, pang_record *ret_last);
pang_rec_audit_row *audit_unpack(audit_fixture *f, const pang_record *record);
pang_rec_audit_head *audit_head(audit_fixture *f, pang_str tenant);
/* Changes the store below everything. */
void audit_tamper_put(audit_fixture *f, const pang_record *record, pang_str body);
void audit_tamper_delete(audit_fixture *f, pang_str key);
/* A record by its key. */
pang_record audit_get(audit_fixture *f, pang_str key);

#endif
