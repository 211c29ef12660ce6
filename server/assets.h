/*
 * Assets of any kind: what they are called over the API, and where one is that is known by its id
 * alone.
 * Called by svc_asset.c, svc_notes.c and svc_search.c. Threads: as the transaction's. Lifetime:
 * results live in the call's arena.
 */
#ifndef PANG_SERVER_ASSETS_H
#define PANG_SERVER_ASSETS_H

#include "server/content.h"

#include "pangolin/store/v1/identity.pb-c.h"

enum { PANG_CATALOGS_SEARCHED_MAX = 10000 }; /* catalogs that an id is looked for in */

typedef Pangolin__Store__V1__AssetNotes pang_rec_notes;

/* "ICEBERG_TABLE", "VIEW", "DELTA_TABLE" and so on. */
const char *pang_asset_kind(const pang_rec_content *body);
/* Where it is: of tables and views the metadata file. */
char *pang_asset_location(const pang_rec_content *body);
/* The name of a kind that is no Iceberg table or view, whatever case and underscores it is given
 * with; NULL: there is none. */
const char *pang_asset_kind_of(pang_str given);

/* Where an asset is: on the branch main of one of the tenant's catalogs. */
typedef struct {
    pang_id catalog;
    pang_rec_asset *asset;
} pang_asset_place;
/* ERRORS: NOT_FOUND (no such asset, or dropped; `id` is no UUID), the store's. */
PANG_MUST_CHECK pang_code pang_asset_locate(pang_call *call, const char *id, pang_asset_place *ret,
                                            pang_err *err);

/* What is said about assets: ret[i] is NULL where nothing is. */
PANG_MUST_CHECK pang_code pang_notes_get(pang_call *call, const pang_id *assets, size_t n,
                                         pang_rec_notes **ret, pang_err *err);

/* Handlers of svc_notes.c. */
pang_handler pang_set_notes, pang_get_notes, pang_delete_notes;

#endif
