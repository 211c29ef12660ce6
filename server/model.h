/*
 * Model: the rules of Iceberg table metadata, without I/O. A document goes in, requests change it,
 * a document comes out; ids, logs, row lineage and messages are as engines know them from the Java
 * library. Format versions 1, 2 and 3. Views have theirs in server/model_view.h.
 * Called by the table service (and later by merges). Threads: any; nothing is shared.
 * Lifetime: all results live in the arena that is given, and share parts with the documents they
 * were made from, which must live as long. Inputs are never changed: a run that is thrown away
 * leaves no trace, so a lost race may run the same commit over another base.
 *
 * Documents are pang_json trees of the metadata's JSON. Members that this program does not know
 * are kept, int64 are exact, numbers keep their spelling.
 *
 * ERRORS, of all functions that fail:
 *   INVALID_ARGUMENT     400. Reason "BadRequestException" for a request of the wrong form, with
 *                        the field in front ("updates[2].snapshot.snapshot-id: ..."),
 *                        "IllegalArgumentException" or "ValidationException" for one that the
 *                        rules refuse, as the Java library names it.
 *   FAILED_PRECONDITION  409, reason "CommitFailedException": a requirement does not hold
 *                        ("Requirement failed: ...") or a snapshot is stale ("Validation failed,
 *                        please retry: ..."). Never ABORTED: running again over the same base
 *                        gives the same, and the client must hear of it.
 *   RESOURCE_EXHAUSTED   the arena's limit, or memory.
 */
#ifndef PANG_SERVER_MODEL_H
#define PANG_SERVER_MODEL_H

#include "api/env.h"
#include "api/json.h"

enum {
    PANG_MODEL_VERSION_MAX = 3,         /* newest format version */
    PANG_MODEL_VERSION_DEFAULT = 2,     /* of a table whose client names none */
    PANG_MODEL_UPDATES_MAX = 65536,     /* updates in one commit */
    PANG_MODEL_REQUIREMENTS_MAX = 4096, /* requirements in one commit */
    PANG_MODEL_WORK_MAX = 4000000,      /* list elements that one commit's updates walk over */
    PANG_MODEL_NAMES_MAX = 16 << 20,    /* bytes of the full names of one schema's columns */
    PANG_MODEL_ADDED_MAX = 100,         /* schemas, specs or orders added in one commit, each */
    PANG_MODEL_COLUMNS_MAX = 100000,    /* fields of one schema, nested ones included */
    PANG_MODEL_FIELDS_MAX = 256,        /* of one partition spec or sort order */
    PANG_MODEL_IDENTIFIERS_MAX = 1000,  /* identifier fields of one schema */
    PANG_MODEL_PROPERTIES_MAX = 10000,  /* of one table */
    PANG_MODEL_TEXT_MAX = 65536,        /* bytes of one name, property or path */
};

/* ---- create ---- */

/* What a create request (plain or staged) brings. Members borrow. */
typedef struct {
    const pang_json *schema;         /* required; its ids are replaced by fresh ones */
    const pang_json *partition_spec; /* NULL or JSON null: unpartitioned */
    const pang_json *write_order;    /* NULL or JSON null: unsorted */
    const pang_json *properties;     /* an object of strings; NULL or JSON null: none */
    pang_str location;               /* decided by the caller: what the client sent, or the
                                        default. Kept as spelt, but for trailing slashes */
    bool staged;                     /* adds the default property "created-at" */
} pang_model_new;

/* The metadata of a new table: fresh uuid and ids, no snapshot, empty logs. The property
 * "format-version" chooses the version; it and the other reserved names are not kept. */
PANG_MUST_CHECK pang_code pang_model_create(const pang_model_new *request, const pang_env *env,
                                            pang_arena *arena, pang_json **ret, pang_err *err);

/* ---- commit ---- */

/* True when the requirements (an array; anything else is false) hold an assert-create: the commit
 * makes a table, and its base must be NULL to pass. */
bool pang_model_is_create(const pang_json *requirements);

typedef struct {
    const pang_json *base;         /* the current document; NULL: no such table */
    pang_str base_location;        /* the file that holds base; empty when base is NULL */
    const pang_json *requirements; /* array; NULL or JSON null: none */
    const pang_json *updates;      /* array; NULL or JSON null: none */
    pang_str default_location;     /* for a create without set-location; empty: such is refused */
} pang_model_change;

typedef struct {
    pang_json *document; /* the new metadata; unchanged: what base says */
    bool changed;        /* false: nothing is to be written, the base and its file stay */
} pang_model_outcome;

/* Checks the requirements in order, applies the updates in order, builds. The outcome's logs
 * already name base_location; the caller writes document under pang_model_file and swaps the
 * pointer. A base of NULL without assert-create is answered with the first requirement's failure,
 * or INVALID_ARGUMENT when there is none: the caller says 404 before it comes to that. */
PANG_MUST_CHECK pang_code pang_model_commit(const pang_model_change *change, const pang_env *env,
                                            pang_arena *arena, pang_model_outcome *ret,
                                            pang_err *err);
/* The requirements alone, and their form: base NULL stands for no table. */
PANG_MUST_CHECK pang_code pang_model_require(const pang_json *base, const pang_json *requirements,
                                             pang_err *err);

/* ---- files ---- */

typedef struct {
    pang_str location; /* "<dir>/<NNNNN>-<uuid>.metadata.json", as spelt by the table */
    bool gzip;         /* the name says so ("....gz.metadata.json"): compress the text */
} pang_model_file;

/* A fresh name for the document's file: the directory from its properties, else `folder`, or where
 * that is empty from its location; the number one above that of base_location (0 when that is empty
 * or has none). */
PANG_MUST_CHECK pang_code pang_model_file_name(const pang_json *document, pang_str base_location,
                                               pang_str folder, const pang_env *env,
                                               pang_arena *arena, pang_model_file *ret,
                                               pang_err *err);
/* True when a metadata file of this name is gzip: ".gz.metadata.json" and ".metadata.json.gz".
 * The reader goes by the magic bytes too. */
bool pang_model_is_gzip_name(pang_str location);

/* ---- documents from files, and what they say ---- */

/* Validates a document that was read from a file (register): version, required members and their
 * types, ids that must resolve, schemas, specs, orders, snapshots, refs and logs, as the version
 * demands. What passes is a base for pang_model_commit. Reason of refusals:
 * "IllegalArgumentException". */
PANG_MUST_CHECK pang_code pang_model_check(const pang_json *document, pang_arena *arena,
                                           pang_err *err);

/* What the catalog records beside the document. Views and properties borrow from it. */
typedef struct {
    pang_str table_uuid; /* empty in a version 1 file without one; the next commit gives one */
    pang_str location;
    int format_version;
    int64_t schema_id; /* of the current schema; 0 in a version 1 file without ids */
    bool has_snapshot;
    int64_t snapshot_id; /* current; 0 without one */
    int64_t last_updated_ms;
    int64_t last_sequence_number;
    const pang_json *properties; /* NULL: none */
} pang_model_facts;

/* REQUIRES: a document of pang_model_create, pang_model_commit or passed by pang_model_check.
 * Cheap; anything that is not there is zero. */
void pang_model_facts_of(const pang_json *document, pang_model_facts *ret);
/* A string property of the document; the empty view and false when it has none. */
bool pang_model_property(const pang_json *document, pang_str name, pang_str *ret);

/* Where a document points. */
typedef enum {
    PANG_MODEL_PLACE_ROOT = 1, /* below which engines and the catalog write: "location" and the
                                  properties write.data.path, write.metadata.path,
                                  write.object-storage.path, write.folder-storage.path */
    PANG_MODEL_PLACE_FILE = 2, /* one file: manifest lists, manifests (version 1), statistics,
                                  partition statistics, the metadata log */
} pang_model_place;

/* `what` names the field: "location", "properties.write.data.path",
 * "snapshots[3].manifest-list". Whatever is not PANG_OK ends the walk and is returned. */
typedef pang_code pang_model_place_fn(void *arg, pang_model_place kind, const char *what,
                                      pang_str location, pang_err *err);
/* Calls fn for every location in the document whose kind is in `kinds` (an OR). The one list of
 * fields that hold a location: the caller validates what it returns after all updates. */
PANG_MUST_CHECK pang_code pang_model_places(const pang_json *document, unsigned kinds,
                                            pang_model_place_fn *fn, void *arg, pang_err *err);

/* The same document with only the snapshots that a ref names (`snapshots=refs`); all else is
 * whole. Shares its parts with `document`; the document itself when nothing would go.
 * ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_model_refs_only(const pang_json *document, pang_arena *arena,
                                               pang_json **ret, pang_err *err);

#endif
