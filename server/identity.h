/*
 * Identity: principals, roles and their names as the management services read and write them, in
 * the transaction of the call and the tenant it is about. Each change of what somebody may do adds
 * to the tenant's auth epoch in the same commit, so that no server goes by what it knew before.
 * Called by server/svc_*.c. Threads: as the transaction's. Lifetime: results live in the call's
 * arena. Reads are checked by the commit, as all of a transaction's.
 */
#ifndef PANG_SERVER_IDENTITY_H
#define PANG_SERVER_IDENTITY_H

#include "api/keys_identity.h"
#include "api/service.h"
#include "server/records.h"
#include "server/svc_manage.h"

#include "pangolin/store/v1/identity.pb-c.h"

enum {
    /* What one principal has of its own, so that it can be deleted in one commit. */
    PANG_PRINCIPAL_GRANTS_MAX = 3000,
    PANG_PRINCIPAL_ROLES_MAX = 256,
    PANG_ROLE_GRANTS_MAX = 2000,
    PANG_ROLE_INCLUDES_MAX = 64,
    PANG_TENANT_ROLES_MAX = 10000, /* that are looked through for rings */
    PANG_ROLE_HOLDERS_MAX = 2000,  /* that lose a role when it is deleted */
};

typedef Pangolin__Store__V1__Tenant pang_rec_tenant;
typedef Pangolin__Store__V1__User pang_rec_user;
typedef Pangolin__Store__V1__ServiceUser pang_rec_service_user;
typedef Pangolin__Store__V1__Role pang_rec_role;
typedef Pangolin__Store__V1__Assignment pang_rec_assignment;
typedef Pangolin__Store__V1__Grant pang_rec_grant;
typedef Pangolin__Store__V1__Scope pang_rec_scope;

/* ---- scopes and counters ---- */

pang_keys pang_identity_keys(const pang_call *call);   /* of the call's tenant */
pang_keys pang_identity_system(const pang_call *call); /* of what tenants share */
/* The tenant's id; nil where the call is about none. */
pang_id pang_identity_tenant(const pang_call *call);

/* What is made in a tenant needs one that is there and not about to go. The nil tenant always is.
 * ERRORS: NOT_FOUND; INVALID_ARGUMENT (the call is about no tenant). */
PANG_MUST_CHECK pang_code pang_identity_open(pang_call *call, pang_err *err);

/* The auth epoch grows with this commit. */
void pang_identity_changed(pang_call *call);
/* It must not have grown when this commit lands: for work that scans. Call it before scanning. */
PANG_MUST_CHECK pang_code pang_identity_hold(pang_call *call, pang_err *err);
/* The same for one counter. *ret_value may be NULL. */
PANG_MUST_CHECK pang_code pang_counter_hold(pang_call *call, pang_str counter, int64_t *ret_value,
                                            pang_err *err);
/* There is one more, or one less, of PANG_COUNT_USERS and so on. */
void pang_identity_count(pang_call *call, pang_str what, int64_t amount);

/* What the audit row of the call is about. */
void pang_identity_note(pang_call *call, pang_id id, const char *name);

/* ---- names ---- */

/* Records that lead from a name to an id hold nothing but that, under the number 1. `key` comes
 * from a maker of api/keys_identity.h. ERRORS: ALREADY_EXISTS ("user "x" exists already"). */
PANG_MUST_CHECK pang_code pang_name_take(pang_call *call, uint32_t kind, pang_str key,
                                         const char *what, const char *name, pang_id id,
                                         pang_err *err);
/* Whether the key leads to an id. */
PANG_MUST_CHECK pang_code pang_name_find(pang_call *call, pang_str key, bool *ret_found,
                                         pang_id *ret, pang_err *err);
/* The id out of such a record's body. ERRORS: DATA_LOSS. */
PANG_MUST_CHECK pang_code pang_name_id(pang_call *call, const pang_record *record, pang_id *ret,
                                       pang_err *err);
/* "a@b.c" of "A@B.c". */
PANG_MUST_CHECK pang_code pang_email_fold(const char *email, pang_arena *arena, pang_str *ret,
                                          pang_err *err);

/* One page of what is listed by name. */
typedef struct {
    pang_keys keys;                           /* of the scope it is in */
    pang_manage_query query;                  /* over the records of the names */
    pang_str (*key_of)(pang_keys *, pang_id); /* of what a name leads to */
    const ProtobufCMessageDescriptor *type;   /* of its body */
} pang_named_query;
/* Without what has gone between the two reads. ERRORS: as pang_manage_list. */
PANG_MUST_CHECK pang_code pang_named_list(pang_call *call, pang_named_query *query, void ***ret,
                                          size_t *ret_n, char **ret_token, pang_err *err);

/* ---- principals ---- */

/* One of the two is set. */
typedef struct {
    pang_id id;
    pang_rec_user *user;
    pang_rec_service_user *service;
} pang_account;

/* By a UUID as text. ERRORS: NOT_FOUND, also where it is no UUID or another tenant's. */
PANG_MUST_CHECK pang_code pang_account_find(pang_call *call, const char *id, pang_account *ret,
                                            pang_err *err);
PANG_MUST_CHECK pang_code pang_user_find(pang_call *call, const char *id, pang_rec_user **ret,
                                         pang_err *err);
PANG_MUST_CHECK pang_code pang_service_user_find(pang_call *call, const char *id,
                                                 pang_rec_service_user **ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_role_find(pang_call *call, const char *id, pang_rec_role **ret,
                                         pang_err *err);
/* A principal goes: its grants, its roles and its last use with it.
 * ERRORS: FAILED_PRECONDITION (it has more than fits), the store's. */
PANG_MUST_CHECK pang_code pang_account_strip(pang_call *call, pang_id principal, pang_err *err);

/* "tenant-admin" of RANK_TENANT_ADMIN; static. */
const char *pang_rank_name(Pangolin__Store__V1__Rank rank);
/* Back, also of "TenantAdmin" and "TenantUser", as clients spell them; rules that ask for a role
 * name each spelling. Root is none that could be given. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_rank_parse(const char *role, Pangolin__Store__V1__Rank *ret,
                                          pang_err *err);

#endif
