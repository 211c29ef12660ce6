/*
 * The table service's inside: what its files share. svc_table.c reads, svc_table_reply.c fills
 * replies, svc_table_create.c makes and registers, svc_table_commit.c commits, svc_table_drop.c
 * drops and renames. Called by those alone. Threads and lifetime: as the call's.
 */
#ifndef PANG_SERVER_SVC_TABLE_H
#define PANG_SERVER_SVC_TABLE_H

#include "server/address.h"
#include "server/locations.h"
#include "server/metadata.h"
#include "server/svc_names.h"
#include "server/svc_services.h"

#include "pangolin/v1/table.pb-c.h"

/* A table (or view, for the view service) that a call is about, there or not. */
typedef struct {
    pang_view *view;
    pang_rec_kind kind;   /* what the call is about: a table, unless somebody says otherwise */
    pang_address address; /* all that the request named, its ref too */
    pang_levels levels;   /* of the address: without a ref */
    pang_str name;
    pang_content content;
} pang_table;

/* Opens the view and reads the name. `reason` is for a catalog that is not there. */
PANG_MUST_CHECK pang_code pang_table_open(pang_call *call, const char *prefix, char *const *levels,
                                          size_t n_levels, const char *name, const char *reason,
                                          pang_view *view, pang_table *ret, pang_err *err);
/* The same, and it is a table. ERRORS: NOT_FOUND NoSuchTableException. */
PANG_MUST_CHECK pang_code pang_table_find(pang_call *call, const char *prefix, char *const *levels,
                                          size_t n_levels, const char *name, pang_view *view,
                                          pang_table *ret, pang_err *err);
/* Whether the name stands for one, of the kind that the call is about. */
bool pang_table_is_there(const pang_table *table);
/* "table", "view": for messages and for what a commit says of itself. */
const char *pang_table_word(const pang_table *table);
/* "ns.t" */
const char *pang_table_shown(const pang_table *table);
/* "Table does not exist: ns.t@dev", as the request spelt it, and of a time its date; fills *err and
 * returns its code. */
pang_code pang_table_absent(const pang_table *table, pang_err *err);
/* The same of its namespace. */
pang_code pang_table_homeless(const pang_table *table, pang_err *err);
/* Takes the names of a request apart. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_table_address(pang_view *view, pang_arena *arena, const char *prefix,
                                             char *const *levels, size_t n_levels, const char *name,
                                             pang_table *ret, pang_err *err);

/* Whether one of the tags that a client has still holds. */
bool pang_etag_matches(const char *if_none_match, const char *etag);
/* The ETag of a document in a shape, with an overlay; NULL without memory. */
char *pang_table_etag(pang_arena *arena, const pang_rec_content *body, pang_shape shape,
                      pang_overlay overlay);
/* Fills the reply of a load, create, commit or register: where the metadata is, `text` of it
 * (overlaid already), tag and configuration. ERRORS: RESOURCE_EXHAUSTED. */
#define PANG_TABLE_REPLY(Name)                                                                     \
    PANG_MUST_CHECK pang_code pang_table_reply_##Name(                                             \
        pang_call *call, const pang_rec_content *body, pang_overlay overlay, pang_str text,        \
        struct Pangolin__V1__##Name##TableResponse *out, pang_err *err)
PANG_TABLE_REPLY(Load);
PANG_TABLE_REPLY(Create);
PANG_TABLE_REPLY(Commit);
PANG_TABLE_REPLY(Register);

/* A document on its way into the catalog. */
typedef struct {
    pang_table *table;
    pang_json *document;
    pang_claim claim;
    pang_rec_content body; /* of the table from now on */
    pang_overlay overlay;  /* of replies about it */
    pang_str text;         /* the document as it will be stored */
} pang_next;

/* Sets the claim up: for a new asset when the table is not there. */
PANG_MUST_CHECK pang_code pang_next_begin(pang_call *call, pang_table *table, pang_next *ret,
                                          pang_err *err);
/* Reserves the table's default location: with a suffix where it is taken, in the folder beside
 * (pang_namespace_location_beside) where the namespace's own lies in another table's. */
PANG_MUST_CHECK pang_code pang_next_default_location(pang_call *call, pang_next *next,
                                                     const pang_rec_content *namespace_body,
                                                     pang_str *ret, pang_err *err);
/* Checks and reserves every place below which the document lets anybody write.
 * ERRORS: INVALID_ARGUMENT (not permitted, taken, no location). */
PANG_MUST_CHECK pang_code pang_next_places(pang_call *call, pang_next *next, pang_err *err);
/* Makes what engines expect to find at a new table's location: DuckDB writes into its folders and
 * does not make them. */
PANG_MUST_CHECK pang_code pang_next_prepare(pang_call *call, const pang_next *next, pang_err *err);
/* Writes the document's file and record, and fills in the body. `base` is the file it follows,
 * or empty. */
PANG_MUST_CHECK pang_code pang_next_write(pang_call *call, pang_next *next, pang_str base,
                                          pang_err *err);
/* Fills in what the body says about the document, under a file that is there already. */
PANG_MUST_CHECK pang_code pang_next_adopt(pang_call *call, pang_next *next, pang_str location,
                                          pang_err *err);
/* Puts the table's change, a new table or a new state, into the edit. */
PANG_MUST_CHECK pang_code pang_next_put(pang_next *next, pang_edit *edit, pang_err *err);

/* A new table or view, from its request to its commit. */
typedef struct {
    pang_view view;
    pang_table table;
    pang_content namespace; /* that the table is in; it says where tables go by default */
    pang_next next;
} pang_creation;

/* Reads the name and its namespace in one go, and refuses what cannot be created. */
PANG_MUST_CHECK pang_code pang_creation_begin(pang_call *call, const char *prefix,
                                              char *const *levels, size_t n_levels,
                                              const char *name, const char *branch,
                                              pang_rec_kind kind, pang_creation *ret,
                                              pang_err *err);
/* "Table already exists: ns.t" and its kin, where the name stands for something. */
PANG_MUST_CHECK pang_code pang_creation_absent(const pang_creation *c, pang_err *err);
typedef pang_code pang_check_document(const pang_json *document, pang_arena *arena, pang_err *err);
/* Reads a metadata file and judges it; the document is kept as it stands there. */
PANG_MUST_CHECK pang_code pang_creation_read(pang_call *call, const char *location,
                                             pang_check_document *check, pang_next *next,
                                             pang_err *err);
/* Puts it into the catalog, in a commit of its own ("create table ns.t"), and keeps the outcome for
 * a request that is repeated. */
PANG_MUST_CHECK pang_code pang_creation_save(pang_call *call, pang_creation *c, const char *verb,
                                             pang_err *err);

/* One page of a namespace's tables or views, and what it is asked by. All names of the namespace
 * are walked in one state; those of the other kind are passed over, so a page may be short. */
typedef struct {
    pang_rec_kind kind;
    char **namespace_; /* as the request spelt it */
    size_t n_namespace_;
    const char *token; /* NULL: none */
    int32_t page_size;
    struct Pangolin__V1__TableIdentifier **identifiers;
    size_t n_identifiers;
    char *next_token; /* NULL: the last page */
} pang_identifiers;
PANG_MUST_CHECK pang_code pang_list_identifiers(pang_call *call, const char *prefix,
                                                pang_identifiers *l, pang_err *err);

/* A request's body may name its table again: it must be the one of the path. NULL: it does not. */
PANG_MUST_CHECK pang_code pang_table_agree(const char *prefix,
                                           const struct Pangolin__V1__TableIdentifier *given,
                                           const pang_table *table, pang_err *err);
/* Drops it, in a commit of its own that says "<verb> table ns.t"; its places stay reserved while it
 * can come back. */
PANG_MUST_CHECK pang_code pang_table_drop(pang_call *call, pang_table *table, bool purge,
                                          const char *verb, pang_err *err);
/* Renames a table or view: the name alone moves, document and places stay. A name that is taken, by
 * either kind, is refused. */
PANG_MUST_CHECK pang_code pang_table_move(pang_call *call, const char *prefix,
                                          const struct Pangolin__V1__TableIdentifier *from,
                                          const struct Pangolin__V1__TableIdentifier *to,
                                          pang_rec_kind kind, pang_err *err);

/* Parses a raw JSON field with the strict scanner; an absent one gives NULL. `what` names it.
 * ERRORS: INVALID_ARGUMENT with the position, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_raw_json(ProtobufCBinaryData field, const char *what,
                                        pang_arena *arena, pang_json **ret, pang_err *err);

/* What an idempotent call keeps to answer again: the document's id and the overlay. */
PANG_MUST_CHECK pang_code pang_keep_document(pang_call *call, const pang_rec_content *body,
                                             pang_overlay overlay, pang_err *err);
/* The document that an earlier run kept, and its file; *ret_text is overlaid. */
PANG_MUST_CHECK pang_code pang_kept_document(pang_call *call, const char *prefix, pang_str kept,
                                             pang_rec_content *ret_body, pang_overlay *ret_overlay,
                                             pang_str *ret_text, pang_err *err);

/* Handlers and replays (what a repeated request with an Idempotency-Key is answered, from what the
 * first one kept), for the method table in svc_table.c. */
pang_handler pang_create_table, pang_register_table, pang_commit_table, pang_commit_transaction,
    pang_drop_table, pang_unregister_table, pang_rename_table;
pang_replay pang_replay_create, pang_replay_register, pang_replay_commit;

#endif
