/*
 * Records: the bodies of stored records, packed and unpacked in the arena, under short names.
 * Called by the server's modules that read or write records. Threads: as the arena's.
 * Lifetime: what is unpacked lives in the arena; strings in it are NUL-terminated.
 */
#ifndef PANG_SERVER_RECORDS_H
#define PANG_SERVER_RECORDS_H

#include "api/arena.h"
#include "api/id.h"
#include "api/storage.h"
#include "pangolin/store/v1/records.pb-c.h"
#include "pangolin/store/v1/versions.pb-c.h"

/* The messages of proto/pangolin/store/v1/records.proto, which says what their fields mean; kinds
 * and keys are in api/keys.h. Descriptors keep their long names:
 *     pang_rec_content *body;
 *     pang_record_unpack(&pangolin__store__v1__content__descriptor, &record, arena, &body, err) */
/* What a catalog is made of: records.proto. */
typedef Pangolin__Store__V1__CatalogName pang_rec_catalog_name;
typedef Pangolin__Store__V1__Catalog pang_rec_catalog;
typedef Pangolin__Store__V1__Ref pang_rec_ref;
typedef Pangolin__Store__V1__Point pang_rec_point;
typedef Pangolin__Store__V1__Property pang_rec_property;
typedef Pangolin__Store__V1__Content pang_rec_content;
typedef Pangolin__Store__V1__Change pang_rec_change;
typedef Pangolin__Store__V1__Commit pang_rec_commit;
typedef Pangolin__Store__V1__Asset pang_rec_asset;
typedef Pangolin__Store__V1__Metadata pang_rec_metadata;
typedef Pangolin__Store__V1__Reservation pang_rec_reservation;
typedef Pangolin__Store__V1__PendingFile pang_rec_pending_file;
typedef Pangolin__Store__V1__Due pang_rec_due;
typedef Pangolin__Store__V1__Due__Purge pang_rec_purge;
/* Branches, merges, maintenance and care: versions.proto. Their points are
 * numbers of the catalog's sequence, on a branch id. */
typedef Pangolin__Store__V1__Branch pang_rec_branch;
typedef Pangolin__Store__V1__ForkMark pang_rec_fork_mark;
typedef Pangolin__Store__V1__MergeMark pang_rec_merge_mark;
typedef Pangolin__Store__V1__MergeOperation pang_rec_merge_operation;
typedef Pangolin__Store__V1__MergeConflict pang_rec_merge_conflict;
typedef Pangolin__Store__V1__MaintenanceRun pang_rec_maintenance;
typedef Pangolin__Store__V1__MaintenanceDue pang_rec_maintenance_due;
typedef Pangolin__Store__V1__Floor pang_rec_floor;
typedef Pangolin__Store__V1__Care pang_rec_care;
typedef Pangolin__Store__V1__RecordCount pang_rec_count;

/* The wire form, in arena, for the body of a put: the message may go at once. Empty without memory
 * (the arena is then marked as failed). */
pang_str pang_record_pack(const ProtobufCMessage *message, pang_arena *arena);
/* Sets the pointer that ret_message points to. Unknown fields, of a newer version, are kept and
 * packed again. ERRORS: DATA_LOSS (naming the key: no such body was ever written),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_record_unpack(const ProtobufCMessageDescriptor *type,
                                             const pang_record *record, pang_arena *arena,
                                             void *ret_message, pang_err *err);

/* Between views and the fields of messages: nothing is copied, a field borrows what the view shows
 * and the other way round. */
ProtobufCBinaryData pang_bytes_of(pang_str s);
pang_str pang_str_of(ProtobufCBinaryData bytes);
/* Borrows *id, which must live as long as the message. */
ProtobufCBinaryData pang_bytes_of_id(const pang_id *id);
/* The nil id where the field is no id, which its length says: records of before a field was there
 * have none. */
pang_id pang_id_of(ProtobufCBinaryData bytes);

#endif
