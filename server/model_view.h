/*
 * Model of views: the rules of Iceberg view metadata, without I/O, as server/model.h has those of
 * tables. A view has versions; each has a query for every dialect, and a schema. Replacing a view
 * adds a version; the last few are kept. Clients' column ids are taken as they are.
 * Called by the view service. Threads, lifetime, inputs, documents and errors: as server/model.h.
 */
#ifndef PANG_SERVER_MODEL_VIEW_H
#define PANG_SERVER_MODEL_VIEW_H

#include "server/model.h"

enum {
    PANG_VIEW_FORMAT_VERSION = 1,
    PANG_VIEW_SQL_MAX = 1 << 20,         /* bytes of one query */
    PANG_VIEW_REPRESENTATIONS_MAX = 100, /* of one version */
    PANG_VIEW_LOG_MAX = 1000,            /* entries of the log of versions */
    PANG_VIEW_HISTORY_DEFAULT = 10,      /* versions kept */
};

/* What a create request brings. Members borrow. */
typedef struct {
    const pang_json *schema;     /* required */
    const pang_json *version;    /* required: becomes version 1, of schema 0 */
    const pang_json *properties; /* an object of strings; NULL or JSON null: none */
    pang_str location;           /* decided by the caller */
} pang_model_new_view;

/* The metadata of a new view, with a fresh uuid. */
PANG_MUST_CHECK pang_code pang_model_view_create(const pang_model_new_view *request,
                                                 const pang_env *env, pang_arena *arena,
                                                 pang_json **ret, pang_err *err);
/* Checks the requirements in order, applies the updates in order, forgets old versions.
 * REQUIRES: change->base. */
PANG_MUST_CHECK pang_code pang_model_view_commit(const pang_model_change *change,
                                                 const pang_env *env, pang_arena *arena,
                                                 pang_model_outcome *ret, pang_err *err);
/* The requirements alone, and their form. */
PANG_MUST_CHECK pang_code pang_model_view_require(const pang_json *base,
                                                  const pang_json *requirements, pang_err *err);
/* Validates a document that was read from a file. What passes is a base for
 * pang_model_view_commit. Reason of refusals: "IllegalArgumentException". */
PANG_MUST_CHECK pang_code pang_model_view_check(const pang_json *document, pang_arena *arena,
                                                pang_err *err);

/* What the catalog records beside the document: uuid, location, properties, the current version's
 * schema. Places and files are told by the functions of server/model.h. */
void pang_model_view_facts_of(const pang_json *document, pang_model_facts *ret);

/* What the current version says, in short. Members borrow. */
typedef struct {
    pang_str sql, dialect;       /* of the first query; empty: there is none */
    const pang_json *schema;     /* NULL: it has no columns */
    const pang_json *properties; /* NULL: none */
} pang_model_view_short;
void pang_model_view_shorten(const pang_json *document, pang_model_view_short *ret);

#endif
