/*
 * Hash: HMAC-SHA256, and SHA-256 over a few parts, each counted in with its length, so that no
 * two lists of parts give one text. Called by what compares or chains records. Threads: any.
 */
#ifndef PANG_SERVER_HASH_H
#define PANG_SERVER_HASH_H

#include "api/err.h"

enum { PANG_HASH_BYTES = 32 };

/* ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_hash(const pang_str *parts, size_t n, uint8_t ret[PANG_HASH_BYTES],
                                    pang_err *err);

/* HMAC-SHA256 (RFC 2104) of one text. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_hash_mac(pang_str key, pang_str text, uint8_t ret[PANG_HASH_BYTES],
                                        pang_err *err);

#endif
