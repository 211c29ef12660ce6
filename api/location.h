/*
 * Location: an object-store address, parsed once. All checks and comparisons go by segments, so
 * that "s3://b/a" does not cover "s3://b/ab".
 * Called by the server and vending. Threads: values. Lifetime: borrows from the text and arena.
 *
 * Accepted: s3 s3a s3n gs gcs abfs abfss wasb wasbs hdfs file (file:/p, file:///p, /p).
 * Refused: user info (but abfss container@account), query, fragment, empty, "." and ".." segments
 * also percent-encoded, backslash, control characters, the characters * ? (which object-store
 * policies read as patterns), ports where the scheme has none, over-long text.
 */
#ifndef PANG_API_LOCATION_H
#define PANG_API_LOCATION_H

#include "api/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PANG_LOCATION_MAX 1024 /* bytes */

typedef struct {
    pang_str text;      /* as given, without trailing slashes: what clients get back */
    pang_str scheme;    /* the family: "file" "s3" "gs" "abfs" "hdfs" (s3a and s3n are s3, ...) */
    pang_str authority; /* bucket, container@account; empty for file */
    pang_str path;      /* no slash at either end; segments joined by one slash */
    pang_str canonical; /* "<scheme>://<authority>/<path>": equal places have equal canonicals */
    size_t segments;
} pang_location;

/* ERRORS: INVALID_ARGUMENT, naming the field `what` and the rule that text breaks. */
PANG_MUST_CHECK pang_code pang_location_parse(pang_str text, const char *what, pang_arena *arena,
                                              pang_location *ret, pang_err *err);
/* True when `inner` is `outer` or lies below it. */
bool pang_location_covers(const pang_location *outer, const pang_location *inner);
/* The canonical form of the first n segments (0: scheme and authority alone), in arena. */
pang_str pang_location_ancestor(const pang_location *location, size_t n, pang_arena *arena);
/* `location` with one more segment, escaped so that it is one; same spelling of the scheme. */
PANG_MUST_CHECK pang_code pang_location_child(const pang_location *location, pang_str segment,
                                              pang_arena *arena, pang_location *ret, pang_err *err);

#ifdef __cplusplus
}
#endif
#endif
