/*
 * Ops: the services that say something about the server itself.
 * Listed in server/services.c. Threads: const tables.
 */
#ifndef PANG_SERVER_OPS_H
#define PANG_SERVER_OPS_H

#include "api/service.h"

/* server/health.c: grpc.health.v1. */
extern const pang_service pang_service_health;
/* server/ops.c: pangolin.v1.OperationsService. */
extern const pang_service pang_service_operations;
/* server/reflection.c: grpc.reflection.v1 and v1alpha, which are one but for their names. */
extern const pang_service pang_service_reflection, pang_service_reflection_alpha;

#endif
