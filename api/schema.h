/*
 * The API's description, loaded: methods, their HTTP routes and their rules, out of the
 * descriptor set that is linked into both processes. upb holds the descriptors behind this.
 * Called by both processes at start and then read only. Threads: immutable after load.
 * Lifetime: everything lives until pang_schema_free.
 *
 * Load refuses the whole description, naming the method or field, when: a method has no rule or
 * one with an unset enum; a path variable, a check's object or a paging field is no field of its
 * message; a check's callers could never be told; two methods have one route; a field rule
 * contradicts its field's type; a map's keys are no strings; a message has more than
 * PANG_MESSAGE_FIELDS_MAX fields.
 */
#ifndef PANG_API_SCHEMA_H
#define PANG_API_SCHEMA_H

#include "api/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct upb_DefPool;
struct upb_MessageDef;
struct upb_FieldDef;

typedef struct pang_schema pang_schema;

enum {
    PANG_BODY_DEFAULT = 1 << 20,   /* bytes of a request message where the rule says 0 */
    PANG_DEADLINE_DEFAULT = 30000, /* ms of a call where the rule says 0 */
    PANG_TAKE_MS = 15000,          /* for a client to take some of a reply: the bridge's bound, of
                                      which the core's for streams is made (bridge/README.md) */
    PANG_MESSAGE_FIELDS_MAX = 64,  /* fields of one message, so that a set of them is a word */
};

/* The enums below have the numbers of proto/pangolin/v1/rule.proto. */
typedef enum {
    PANG_TENANT_CALLER = 1,
    PANG_TENANT_NONE = 2,
    PANG_TENANT_FIELD = 3, /* the one that a field of the request names */
    PANG_TENANT_SYSTEM = 4 /* what belongs to no tenant */
} pang_tenant_source;
typedef enum { PANG_EFFECT_READ = 1, PANG_EFFECT_WRITE = 2 } pang_effect;
typedef enum {
    PANG_DIALECT_ICEBERG = 1,
    PANG_DIALECT_MANAGEMENT = 2,
    PANG_DIALECT_OAUTH = 3
} pang_dialect;
typedef enum {
    PANG_AUDIT_NONE = 1,
    PANG_AUDIT_READ = 2,
    PANG_AUDIT_CHANGE = 3,
    PANG_AUDIT_CREDENTIAL = 4
} pang_audit_class;
typedef enum {
    PANG_CALLER_ROOT = 1,
    PANG_CALLER_ROOT_IN_TENANT = 2,
    PANG_CALLER_TENANT_ADMIN = 3,
    PANG_CALLER_SELF = 4,
    PANG_CALLER_MEMBER = 5,
    PANG_CALLER_ANYONE = 6,
    PANG_CALLER_NOBODY = 7
} pang_caller;
typedef enum {
    PANG_ACT_READ = 1,
    PANG_ACT_WRITE = 2, /* and with it read, update, delete, create, list */
    PANG_ACT_DELETE = 3,
    PANG_ACT_CREATE = 4,
    PANG_ACT_UPDATE = 5,
    PANG_ACT_LIST = 6,                   /* read has it too */
    PANG_ACT_ALL = 7,                    /* and with it all that can be granted */
    PANG_ACT_INGEST_BRANCHING = 8,       /* to make branches that are merged */
    PANG_ACT_EXPERIMENTAL_BRANCHING = 9, /* to make branches for trying out */
    PANG_ACT_MANAGE_DISCOVERY = 10       /* to show an asset to who may not read it */
} pang_action;
/* Catalogs, namespaces, tables, views and warehouses by name, all else by id where not said. */
typedef enum {
    PANG_RESOURCE_TENANT = 1,
    PANG_RESOURCE_CATALOG = 2,
    PANG_RESOURCE_NAMESPACE = 3,
    PANG_RESOURCE_TABLE = 4,
    PANG_RESOURCE_VIEW = 5,
    PANG_RESOURCE_WAREHOUSE = 6,
    PANG_RESOURCE_USER = 7, /* service users too */
    PANG_RESOURCE_ROLE = 8,
    PANG_RESOURCE_SERVICE_USER = 9,
    PANG_RESOURCE_PERMISSION = 10, /* a grant, or whose grants */
    PANG_RESOURCE_TOKEN = 11,      /* a token, or whose tokens */
    PANG_RESOURCE_SYSTEM = 12,     /* settings and counts */
    PANG_RESOURCE_ASSET = 13,      /* by its id, or by catalog, namespace and name */
    PANG_RESOURCE_AUDIT = 14,      /* an entry of the log */
    PANG_RESOURCE_BRANCH = 15,     /* by catalog and name; judged as its catalog, like the rest */
    PANG_RESOURCE_TAG = 16,        /* by catalog and name */
    PANG_RESOURCE_COMMIT = 17,     /* by catalog and id */
    PANG_RESOURCE_MERGE_OPERATION = 18, /* by id */
    PANG_RESOURCE_CONFLICT = 19         /* by id */
} pang_resource;

typedef struct {
    uint32_t action, resource; /* pang_action, pang_resource */
    const pang_str *object;    /* field paths */
    size_t n_object;
    pang_str each, when, equals, any_of; /* empty: not used */
    uint32_t callers; /* the set of who passes: 1 << pang_caller; 0: the evaluator decides */
    pang_str self;    /* with PANG_CALLER_SELF: the request field that holds an id */
    pang_str ref;     /* the request field that names the object's ref, where no name does */
} pang_rule_check;

typedef struct {
    pang_str verb; /* "GET" */
    pang_str path; /* "/v1/{prefix}/namespaces" */
    pang_str body; /* "", "*", or a field's name */
} pang_http_binding;

typedef struct {
    pang_str path;    /* "/pangolin.v1.TableService/LoadTable" */
    pang_str service; /* "pangolin.v1.TableService" */
    const struct upb_MessageDef *in, *out;
    bool client_streaming, server_streaming;
    const pang_http_binding *http; /* the main binding first */
    size_t n_http;
    pang_tenant_source tenant;
    pang_effect effect;
    pang_dialect dialect;
    bool is_public, waits, parks;
    pang_str audit;
    pang_audit_class audit_class;
    uint32_t success;    /* HTTP status, never 0 */
    size_t body_limit;   /* bytes, never 0 */
    int64_t deadline_ms; /* never 0 */
    const pang_rule_check *checks;
    size_t n_checks;
    uint32_t filter_action, filter_resource; /* 0: none */
    const struct upb_FieldDef *paging_items; /* NULL: not a paged list */
    bool paging_lines;                       /* over HTTP as JSON lines */
    pang_str tenant_field;                   /* with PANG_TENANT_FIELD, else empty */
    const pang_str *tolerate; /* members that are ignored though they are no fields; "*": all */
    size_t n_tolerate;
    const pang_str *refuse; /* parameters that are no fields, and are refused of reads, too */
    size_t n_refuse;
    bool form;    /* the body may be application/x-www-form-urlencoded */
    bool strict;  /* members and parameters that are no fields are refused, in any dialect */
    size_t index; /* position in the schema: for tables beside it */
} pang_schema_method;

/* FieldRule of rule.proto, for one field; a zeroed one where the field has none. */
typedef struct {
    bool raw_json, namespace_levels, dotted, unwrap, always, nullable, hidden;
    char raw_type; /* 'o'bject, 'a'rray, 0: any */
    pang_str request_header, response_header;
    const pang_str *aliases;
    size_t n_aliases;
    pang_str twin; /* a second name in replies and requests; empty: none */
    uint32_t status_when_true;
    uint32_t status_when_set;
} pang_field_rule;

/* The set that is linked in (bazel/tools): serialized google.protobuf.FileDescriptorSet. */
pang_str pang_schema_linked(void);

/* Loads a set. ERRORS: FAILED_PRECONDITION (see above, or a gRPC library whose upb is not the one
 * that api/upb.h declares), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_schema_load(pang_str set, pang_schema **ret, pang_err *err);
void pang_schema_free(pang_schema *schema); /* NULL is fine */

size_t pang_schema_size(const pang_schema *schema);
const pang_schema_method *pang_schema_at(const pang_schema *schema, size_t i);
/* By "/package.Service/Method"; NULL when there is none. Compares whole views, NULs included. */
const pang_schema_method *pang_schema_find(const pang_schema *schema, pang_str path);
const pang_field_rule *pang_schema_field(const pang_schema *schema,
                                         const struct upb_FieldDef *field);
struct upb_DefPool *pang_schema_pool(const pang_schema *schema);

/* One file of the set as its serialized FileDescriptorProto, by name or by a symbol in it (for
 * reflection); empty when there is none. */
pang_str pang_schema_file(const pang_schema *schema, pang_str name);
pang_str pang_schema_file_of_symbol(const pang_schema *schema, pang_str symbol);
/* The names of the i-th import of a file; empty past the end. */
pang_str pang_schema_import(const pang_schema *schema, pang_str file, size_t i);

/* Checks that `bytes` is a well-formed `type`: valid UTF-8 and no NUL in any string, known wire
 * types, depth. protobuf-c checks none of these. ERRORS: INVALID_ARGUMENT naming the message. */
PANG_MUST_CHECK pang_code pang_schema_validate(const pang_schema *schema,
                                               const struct upb_MessageDef *type, pang_str bytes,
                                               pang_err *err);

#ifdef __cplusplus
}
#endif
#endif
