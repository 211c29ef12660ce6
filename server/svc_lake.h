/*
 * The management services of warehouses, catalogs, branches, tags and assets, for the list in
 * server/services.c. Called by the dispatcher through the list. Threads: handlers run on any.
 * Lifetime: tables are const, results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_LAKE_H
#define PANG_SERVER_SVC_LAKE_H

#include "api/service.h"

extern const pang_service pang_service_warehouse;
extern const pang_service pang_service_catalog;
extern const pang_service pang_service_branch;
extern const pang_service pang_service_tag;
extern const pang_service pang_service_asset;
extern const pang_service pang_service_system;
extern const pang_service pang_service_merge;

#endif
