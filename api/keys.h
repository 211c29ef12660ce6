/*
 * Keys: the only builder, and the only reader, of storage keys. A key is printable text that sorts
 * by bytes: scope, two letters for the kind, then components, all joined by slashes:
 *     0190...57/cu/0190...c3/a/sales.eu/orders
 * The scope is a tenant's id as 32 hex digits, or ~system for what tenants share.
 * Called by everything that reads or writes records. Threads: a maker belongs to one.
 * Lifetime: keys live in the maker's arena.
 *
 * Rules that readers may rely on:
 *  1. A component holds no slash: `%`, `/`, control characters (and `.` within a namespace level)
 *     are written as % and two hex digits. So a prefix that ends with a slash is exactly the
 *     children, and no name can reach another tenant's, branch's or namespace's range.
 *  2. Numbers are 16 lower-case hex digits, ids 32, so that they sort as numbers.
 *  3. A namespace's path is its levels joined by dots; the top level's is empty.
 *  4. Keys carry ids of tenants, catalogs and branches, never their names.
 * A key above PANG_KEY_MAX is an error of the maker, not a cut.
 */
#ifndef PANG_API_KEYS_H
#define PANG_API_KEYS_H

#include "api/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of records, for their headers. Numbers are stored: never change or reuse one. Each
 * comment names the key and the message of proto/pangolin/store/v1/records.proto. */
typedef enum {
    PANG_KIND_CATALOG_NAME = 16,  /* cn/<name>: CatalogName */
    PANG_KIND_CATALOG = 17,       /* ca/<catalog>: Catalog */
    PANG_KIND_WAREHOUSE = 18,     /* wh/<warehouse>: Warehouse of identity.proto */
    PANG_KIND_REF = 19,           /* rf/<catalog>/<name>: Ref */
    PANG_KIND_CONTENT = 20,       /* cu/<branch>/<n|a>/<path>/<name>: Content */
    PANG_KIND_HISTORY = 21,       /* hi/<branch>/<n|a>/<path>/<name>/<until>: Content */
    PANG_KIND_COMMIT = 22,        /* cm/<branch>/<sequence>: Commit */
    PANG_KIND_ASSET = 23,         /* as/<branch>/<asset>: Asset */
    PANG_KIND_ASSET_HISTORY = 24, /* ah/<branch>/<asset>/<until>: Asset */
    PANG_KIND_METADATA = 25,      /* md/<catalog>/<document>: Metadata */
    PANG_KIND_RESERVATION = 26,   /* lr/<canonical location>: Reservation */
    PANG_KIND_IDEMPOTENCY = 27,   /* ik/<principal>/<operation>/<key> */
    PANG_KIND_AUDIT = 28,         /* au/<server>/<number> */
    PANG_KIND_PENDING_FILE = 29,  /* pf/<id>: PendingFile */
    PANG_KIND_DUE = 30,           /* du/<due>/<id>: Due */
    PANG_KIND_SETTING = 31,       /* sy/<name> */
    /* The audit log's chain and its index: proto/pangolin/store/v1/audit.proto. */
    PANG_KIND_AUDIT_SEAL = 48,      /* ac/<number>: AuditSeal */
    PANG_KIND_AUDIT_HEAD = 49,      /* an: AuditHead */
    PANG_KIND_AUDIT_PRINCIPAL = 50, /* ap/<principal>/<seal>: AuditPlaces */
    PANG_KIND_AUDIT_RESOURCE = 51,  /* ar/<resource>/<seal>: AuditPlaces */
    /* Failures to sign in: proto/pangolin/store/v1/limits.proto. */
    PANG_KIND_FAILURE_WINDOW = 112, /* tw/<subject>/<window>: FailureWindow */
} pang_catalog_kind;

/* Namespaces and assets (tables, views, generic assets) have ranges of their own. */
typedef enum { PANG_SPACE_NAMESPACE = 'n', PANG_SPACE_ASSET = 'a' } pang_space;

/* Makes keys of one scope. A failure sticks: makers then give the empty key, and pang_keys_status
 * tells once, after several were made. */
typedef struct {
    pang_arena *arena; /* borrows */
    pang_str scope;    /* PANG_SYSTEM_SCOPE or 32 hex digits; borrows */
    bool too_long;
} pang_keys;

#define PANG_SYSTEM_SCOPE PANG_STR("~system")
#define PANG_SCOPE_MAX PANG_ID_HEX

/* ERRORS: INVALID_ARGUMENT "identifier is too long" (reason "BadRequestException"),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_keys_status(const pang_keys *keys, pang_err *err);

/* A namespace's levels as the one component that stands for them: escaped, joined by dots. */
pang_str pang_key_path(pang_keys *keys, const pang_str *levels, size_t n);

/* Catalogs: the name leads to the id, so that a rename is one write. */
pang_str pang_key_catalog_name(pang_keys *keys, pang_str name);
pang_str pang_key_catalog(pang_keys *keys, pang_id catalog);
pang_str pang_key_catalogs(pang_keys *keys); /* prefix of all catalog names */
pang_str pang_key_warehouse(pang_keys *keys, pang_id warehouse);

/* Refs: branches and tags of a catalog share their names. */
pang_str pang_key_ref(pang_keys *keys, pang_id catalog, pang_str name);
pang_str pang_key_refs(pang_keys *keys, pang_id catalog); /* prefix */

/* The sequence that numbers the commits of a catalog, and the commits. `number` 0 writes sixteen
 * zeroes for the store to replace: pang_key_slot_at says where. */
pang_str pang_key_sequence(pang_keys *keys, pang_id catalog);
pang_str pang_key_commit(pang_keys *keys, pang_id branch, uint64_t number);
pang_str pang_key_commits(pang_keys *keys, pang_id branch); /* prefix */
pang_str pang_key_commit_id(pang_keys *keys, pang_id id);

/* Content: what a name stands for now, and what it stood for before. `path` comes from
 * pang_key_path; for a namespace it is the parent's, and `name` the last level. */
pang_str pang_key_content(pang_keys *keys, pang_id branch, pang_space space, pang_str path,
                          pang_str name);
pang_str pang_key_contents(pang_keys *keys, pang_id branch, pang_space space, pang_str path);
pang_str pang_key_contents_all(pang_keys *keys, pang_id branch, pang_space space); /* prefix */
pang_str pang_key_history(pang_keys *keys, pang_id branch, pang_space space, pang_str path,
                          pang_str name, uint64_t until);

/* Assets by their stable id. */
pang_str pang_key_asset(pang_keys *keys, pang_id branch, pang_id asset);
pang_str pang_key_asset_history(pang_keys *keys, pang_id branch, pang_id asset, uint64_t until);

/* A metadata document: immutable, named by an id of its own. */
pang_str pang_key_metadata(pang_keys *keys, pang_id catalog, pang_id document);

/* The counter of a namespace: whoever creates in it adds one. With a catalog's id and the empty
 * path that of its refs. */
pang_str pang_key_epoch(pang_keys *keys, pang_id branch, pang_str path);

/* Counters: how many there are, of a branch namespaces ('n'), tables ('t'), views ('v') and other
 * assets ('g'), commits ('c') and those of them that let go of files ('x'); of a catalog branches
 * ('b'). */
pang_str pang_key_content_count(pang_keys *keys, pang_id owner, char what);

/* System scope. `canonical` is pang_location.canonical or an ancestor's; it stands unescaped, as
 * the last component, and sorts by its own segments. */
pang_str pang_key_reservation(pang_keys *keys, pang_str canonical);
pang_str pang_key_reserved_below(pang_keys *keys, pang_str canonical); /* counter */
pang_str pang_key_pending_file(pang_keys *keys, pang_id id);
pang_str pang_key_pending_files(pang_keys *keys); /* prefix */
/* Work that is due at a time (milliseconds, not negative), in order. */
pang_str pang_key_due(pang_keys *keys, int64_t due_ms, pang_id id);
pang_str pang_key_dues(pang_keys *keys); /* prefix */
/* Due work of before `until_ms`: the exclusive stop of a scan over pang_key_dues. */
pang_str pang_key_due_until(pang_keys *keys, int64_t until_ms);
pang_str pang_key_setting(pang_keys *keys, pang_str name);

/* The dispatcher's. `operation` is a method's name. */
pang_str pang_key_idempotency(pang_keys *keys, pang_id principal, pang_str operation, pang_id key);
/* System scope. `window` is the window's number. */
pang_str pang_key_failure_window(pang_keys *keys, pang_id subject, uint64_t window);
pang_str pang_key_audit_sequence(pang_keys *keys, pang_id server);
pang_str pang_key_audit(pang_keys *keys, pang_id server, uint64_t number);
pang_str pang_key_audits(pang_keys *keys, pang_id server); /* prefix */
pang_str pang_key_audit_sequences(pang_keys *keys);        /* prefix: every server's */
pang_str pang_key_audit_head(pang_keys *keys);
pang_str pang_key_audit_seal(pang_keys *keys, uint64_t number);
pang_str pang_key_audit_seals(pang_keys *keys); /* prefix */
pang_str pang_key_audit_principal(pang_keys *keys, pang_id principal, uint64_t seal);
pang_str pang_key_audit_principals(pang_keys *keys, pang_id principal); /* prefix */
pang_str pang_key_audit_resource(pang_keys *keys, pang_id resource, uint64_t seal);
pang_str pang_key_audit_resources(pang_keys *keys, pang_id resource); /* prefix */

/* Where the number at the end of a key begins: pang_put.key_slot_at. */
size_t pang_key_slot_at(pang_str key);
/* A key's first bytes up to and with its last slash: the prefix for a ceiling ref. */
size_t pang_key_prefix_len(pang_str key);

/* ---- reading keys ---- */

enum { PANG_KEY_PARTS_MAX = 8 };

typedef struct {
    pang_str scope;
    pang_str kind;                      /* the two letters */
    pang_str parts[PANG_KEY_PARTS_MAX]; /* as they stand, still escaped */
    size_t n;
} pang_key_parts;

/* Takes a key apart; borrows from it. False when no maker can have made it. */
bool pang_key_parse(pang_str key, pang_key_parts *ret);
/* A component's own text, in arena; false for a bad escape or without memory. */
bool pang_key_unescape(pang_str part, pang_arena *arena, pang_str *ret);
/* 16 lower-case hex digits. */
bool pang_key_number(pang_str part, uint64_t *ret);

#ifdef __cplusplus
}
#endif
#endif
