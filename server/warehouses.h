/*
 * Warehouses: what a tenant says about one, read in the spellings that clients have, and where its
 * tables then lie. A warehouse of type "file" lies where the server puts it: no path of this
 * machine comes from a tenant. Called by svc_warehouse.c and svc_catalog.c. Threads: any. Lifetime:
 * results live in the call's arena and borrow from what they were made of.
 */
#ifndef PANG_SERVER_WAREHOUSES_H
#define PANG_SERVER_WAREHOUSES_H

#include "api/keys_identity.h"
#include "server/fields.h"

#include "pangolin/store/v1/identity.pb-c.h"

typedef Pangolin__Store__V1__Warehouse pang_rec_warehouse;
typedef Pangolin__Store__V1__WarehouseName pang_rec_warehouse_name;

/* By name. The commit checks that it is as it was read. ERRORS: NOT_FOUND, the
 * store's. */
PANG_MUST_CHECK pang_code pang_warehouse_find(pang_call *call, const char *name,
                                              pang_rec_warehouse **ret, pang_err *err);
/* Sets type and location out of the id and the config. `bucket` is for those that name none: the
 * tenant's default, or empty. ERRORS: INVALID_ARGUMENT naming what is wrong with storage_config. */
PANG_MUST_CHECK pang_code pang_warehouse_settle(pang_call *call, const char *bucket,
                                                pang_rec_warehouse *warehouse, pang_err *err);
/* Sets the strategy from JSON in any form that clients have: {"AwsSts":{...}},
 * {"type":"AwsSts",...}, "AwsSts", "None", null. Secrets are sealed as in fields.
 * ERRORS: INVALID_ARGUMENT, and those of pang_fields_change. */
PANG_MUST_CHECK pang_code pang_strategy_set(pang_call *call, pang_str json,
                                            pang_rec_warehouse *warehouse, pang_err *err);
/* {"AwsSts":{...}} with masks; empty when there is none. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_strategy_show(const pang_rec_warehouse *warehouse, pang_arena *arena,
                                             pang_str *ret, pang_err *err);

#endif
