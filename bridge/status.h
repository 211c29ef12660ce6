/*
 * Status: the one place where a gRPC code and a reason become an HTTP status and an error body.
 * Called by bridge/request.c. Threads: pure functions.
 */
#ifndef PANG_BRIDGE_STATUS_H
#define PANG_BRIDGE_STATUS_H

#include "api/arena.h"
#include "api/schema.h"

/* The HTTP status of a code; a known reason may say more. Never 0, never 2xx. What is not
 * implemented is 406 for Iceberg's clients, whose specification says so, and 501 for others. */
unsigned pang_status_of(pang_dialect dialect, pang_code code, pang_str reason);
/* What clients get as `type`: the reason, or the code's own type when there is none. */
pang_str pang_status_type(pang_dialect dialect, pang_code code, pang_str reason);
/* "Not Found": the reason phrase of HTTP/1.1. */
const char *pang_status_phrase(unsigned status);
/* The body of an error, JSON in the dialect, in arena. Empty without memory. */
pang_str pang_status_body(pang_dialect dialect, unsigned status, pang_str type, pang_str message,
                          pang_arena *arena);

#endif
