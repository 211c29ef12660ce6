/*
 * Inside of api/config*.c: units, and the options of identity providers, whose names are not in the
 * table (api/config_options.c).
 * Included by: api/config*.c only. Threads: as api/config.h.
 */
#ifndef PANG_API_CONFIG_INTERNAL_H
#define PANG_API_CONFIG_INTERNAL_H

#include "api/config.h"

enum {
    PANG_KIB = 1024, /* bytes */
    PANG_MIB = 1024 * PANG_KIB,
    PANG_SECOND = 1000, /* ms */
    PANG_HOUR = 3600 * PANG_SECOND,
};
#define PANG_GIB (INT64_C(1024) * PANG_MIB)

typedef struct {
    pang_config_provider items[PANG_CONFIG_PROVIDERS_MAX]; /* texts are owned */
    size_t n;
} pang_providers;

/* Whether the name is one of theirs; `is_env`: "PANGOLIN_OKTA_DOMAIN", else "okta-domain". */
bool pang_providers_knows(pang_str name, bool is_env);
/* Sets it where it is; an empty text changes nothing. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_providers_take(pang_providers *providers, pang_str name, bool is_env,
                                              pang_str text, bool *ret_known, pang_err *err);
/* Wipes. */
void pang_providers_free(pang_providers *providers);

#endif
