/*
 * Services: what a handler is given and what it gives back. A handler is a plain synchronous
 * function; it sees no gRPC, SQL, thread or socket, and holds no permission code.
 * Called by server/dispatch.c; implemented by server/svc_*.c. Threads: a call belongs to the one
 * that runs it. Lifetime: the call and all in its arena end when the reply was packed.
 *
 * Handlers may run twice: a lost race (PANG_ABORTED) drops the attempt's transaction and arena and
 * runs the handler again. Their only effects are the transaction's, and files that
 * pang_txn_on_lost takes back, or the end of the call (`lasting`).
 */
#ifndef PANG_API_SERVICE_H
#define PANG_API_SERVICE_H

#include "api/schema.h"
#include "api/txn.h"
#include "api/vending.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ProtobufCMessageDescriptor;

typedef enum {
    PANG_PRINCIPAL_NONE, /* nobody we know */
    PANG_PRINCIPAL_ROOT,
    PANG_PRINCIPAL_TENANT_ADMIN,
    PANG_PRINCIPAL_TENANT_USER,
    PANG_PRINCIPAL_SERVICE_USER,
} pang_principal_kind;

typedef enum {
    PANG_CREDENTIAL_NONE,
    PANG_CREDENTIAL_TOKEN,
    PANG_CREDENTIAL_API_KEY,
    PANG_CREDENTIAL_BASIC, /* root's, from the configuration */
} pang_credential;

/* Who calls: what the credential says. What has changed since it was made out (the account was
 * disabled, its tokens were ended, this one was revoked) is found by the evaluator, in the same
 * round trip as the data. */
typedef struct pang_principal {
    pang_id id;     /* nil in evaluation mode, and for root */
    pang_id tenant; /* whose data the call is about; nil in evaluation mode, and for root that acts
                       in none */
    pang_str name;  /* "anonymous" in evaluation mode */
    bool is_known;  /* false for callers without a credential of ours (outside evaluation mode) */
    pang_principal_kind kind;
    bool is_admin;      /* of its tenant: a TENANT_ADMIN, or a service user with that role */
    bool acts_for_root; /* root in a tenant that X-Pangolin-Tenant named */
    bool is_everybody;  /* evaluation mode: in whatever tenant a request names */
    pang_credential credential;
    pang_id jti;          /* of a token */
    pang_str key_id;      /* of an API key: its first part */
    uint64_t token_epoch; /* of a token: it is void once the account's is greater */
    int64_t expires_ms;   /* wall clock; 0: never */
} pang_principal;

/* What the process lends to every call; const after start. */
typedef struct pang_server_env {
    const pang_env *env;
    pang_db *db;
    const pang_schema *schema;
    pang_str page_key;                   /* authenticates page tokens, on all servers of a store */
    struct pang_objects *const *objects; /* by kind; NULL at the end */
    struct pang_counters *counters;      /* server/metrics.h; NULL: nothing is counted */
    struct pang_state *state;            /* server/state.h */
    const struct pang_sealer *sealer;    /* server/seal.h; NULL: no secret can be stored */
    pang_str file_warehouses;            /* a location: folders of warehouses of type "file" are
                                            made below; empty: there are none */
    struct pang_passwords *passwords;    /* server/password.h; NULL: none can be set or tried */
    struct pang_health *health;          /* server/health.h */
    struct pang_audit *audit;            /* server/audit_log.h; NULL: only changes are audited */
    struct pang_keyring *keyring;        /* server/keyring.h; NULL: no token is given out */
    struct pang_throttle *throttle; /* server/throttle.h; NULL: nobody is refused for failing */
    int64_t session_ms;             /* life of the token of a login; 0: PANG_SESSION_MS */
    struct pang_oidc *oidc;         /* server/oidc.h; NULL: no identity providers */
    bool evaluation; /* no authentication: nobody is told apart, everybody may do anything */
} pang_server_env;

/* What a handler adds to the audit record of its call; all optional. Views live in the call's
 * arena. */
typedef struct {
    const char *action; /* instead of the rule's name for it: static */
    pang_id resource;   /* of what it acted on */
    pang_str name;      /* instead of the name in the rule's check: parts escaped, joined by '/' */
    pang_str metadata;  /* JSON, no secret in it */
    const struct pang_principal *who; /* who has signed in by this call; its row is of that one's
                                         tenant */
} pang_audit_note;

typedef struct pang_call {
    const pang_server_env *server;
    const pang_schema_method *method;
    const pang_principal *who;
    pang_txn *txn;       /* begun by the dispatcher, committed or finished by it (in streams by
                            pang_stream_begin); NULL in methods without a tenant */
    pang_arena *arena;   /* the attempt's: reset before the handler runs again */
    int64_t deadline_ms; /* on the mono clock */
    pang_str request_id;
    pang_str client_address; /* as the bridge says it; may be empty */
    unsigned retry_after_s;  /* set by a handler that refuses for a while; 0: not said */
    pang_str tenant_key;     /* the tenant's id as in keys: 32 hex digits */
    unsigned attempt;        /* 0, 1, ... */
    pang_arena *lasting;     /* lives over all attempts; NULL in streams */
    void *carried;           /* what an earlier attempt left for this one, in `lasting` */
    void *rpc;               /* the transport's; for pang_call_cancelled */
    /* For an Idempotency-Key: what `replay` gets when the same request comes again. A handler may
     * set it to a few bytes in the arena; empty: the packed response is kept instead. */
    pang_str keep;
    pang_audit_note note;
    /* What the caller says about the commit that the call makes: server/remark.h; empty: nothing.
     */
    pang_str commit_message, commit_properties;
    pang_id commit; /* that the call makes, for its reply; nil: none */
    /* What the caller may do, for lists: server/evaluate.h. NULL in evaluation mode. */
    const struct pang_permit *permit;
} pang_call;

/* True once the caller has gone or the deadline has passed. Long work asks now and then. */
bool pang_call_cancelled(const pang_call *call);

/* `in` and `out` are protobuf-c messages of the row's types; `out` is initialised, and what the
 * handler hangs into it lives in call->arena. ERRORS: PANG_ABORTED runs the handler again, all
 * else becomes the reply. */
typedef pang_code pang_handler(pang_call *call, const void *in, void *out, pang_err *err);

/* Rebuilds the reply of an earlier run from what it kept. */
typedef pang_code pang_replay(pang_call *call, const void *in, pang_str kept, void *out,
                              pang_err *err);

/* A stream of replies. Send blocks until the transport took the message. */
typedef struct pang_stream pang_stream;
PANG_MUST_CHECK pang_code pang_stream_send(pang_stream *stream, const void *out, pang_err *err);
/* Waits for the next request of a client stream; *ret is NULL at its end. It lives until the next
 * receive. */
PANG_MUST_CHECK pang_code pang_stream_receive(pang_stream *stream, const void **ret, pang_err *err);
/* Memory of the current message: reset by the next receive of a stream of requests. call->arena
 * lasts until the next begin, so what is made for each message does not belong there. */
pang_arena *pang_stream_arena(pang_stream *stream);
/* Begins the next piece of a stream's work in the tenant of its message: call->arena is reset,
 * call->txn is a new one, and whether the caller still stands and may is asked anew. The handler
 * ends a piece by pang_txn_finish. REQUIRES: a message was received. ERRORS: ABORTED (begin again),
 * UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, the store's. */
PANG_MUST_CHECK pang_code pang_stream_begin(pang_stream *stream, pang_err *err);
typedef pang_code pang_stream_handler(pang_call *call, pang_stream *stream, pang_err *err);

typedef struct {
    const char *path; /* "/pangolin.v1.TableService/LoadTable" */
    const struct ProtobufCMessageDescriptor *in, *out;
    pang_handler *handle;        /* unary */
    pang_replay *replay;         /* may be NULL */
    pang_stream_handler *stream; /* streaming; then handle is NULL */
} pang_method;

typedef struct {
    const char *name; /* "pangolin.v1.TableService" */
    const pang_method *methods;
    size_t n;
} pang_service;

/* server/services.c: the one list, NULL at its end. */
extern const pang_service *const pang_services[];

#ifdef __cplusplus
}
#endif
#endif
