/*
 * String views: a pointer and a length, borrowed, not NUL-terminated.
 * Called by everything. Threads: values, no state. Lifetime: a view never owns what it shows;
 * what it shows must outlive it. A zeroed view is the empty string.
 */
#ifndef PANG_API_STR_H
#define PANG_API_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const char *ptr; /* borrows; may be NULL when len is 0 */
    size_t len;      /* bytes */
} pang_str;

/* A view of a string literal. */
#define PANG_STR(lit) ((pang_str){"" lit, sizeof(lit) - 1})
/* The same as an initialiser in a const table, where ISO C takes no compound literal. */
#define PANG_STR_INIT(lit)                                                                         \
    {                                                                                              \
        "" lit, sizeof(lit) - 1                                                                    \
    }
/* For printf: printf("%" PANG_STR_FMT, PANG_STR_ARG(s)); shows at most 2 GiB. */
#define PANG_STR_FMT ".*s"
#define PANG_STR_ARG(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

/* A view of a C string; borrows. NULL gives the empty view. */
pang_str pang_str_from(const char *cstr);
/* Byte equality. Not for secrets: see pang_str_equal_secret. */
bool pang_str_equal(pang_str a, pang_str b);
/* Equality whose time depends on the lengths only. */
bool pang_str_equal_secret(pang_str a, pang_str b);
/* Equality that folds ASCII letters. */
bool pang_str_equal_nocase(pang_str a, pang_str b);
/* Order by unsigned bytes, a prefix before what it begins: <0, 0, >0. */
int pang_str_compare(pang_str a, pang_str b);
bool pang_str_starts(pang_str s, pang_str prefix);
bool pang_str_ends(pang_str s, pang_str suffix);
/* Position of the first byte c, or s.len when there is none. */
size_t pang_str_find(pang_str s, char c);
/* The view from `from` on, or of [from, from+len); both are clipped to s. */
pang_str pang_str_after(pang_str s, size_t from);
pang_str pang_str_slice(pang_str s, size_t from, size_t len);
/* Without ASCII blanks and tabs at both ends. */
pang_str pang_str_trim(pang_str s);
/* Cuts the part before the first `sep` off *rest; the whole of it when there is no sep.
 * Returns false, and leaves *ret_part alone, once *rest was used up (its ptr is then NULL). */
bool pang_str_next(pang_str *rest, char sep, pang_str *ret_part);
/* Whole of s as a decimal number; false on anything else or overflow. */
bool pang_str_to_int64(pang_str s, int64_t *ret);
bool pang_str_to_uint64(pang_str s, uint64_t *ret);
/* True when s is well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool pang_str_is_utf8(pang_str s);
/* FNV-1a, 64 bits, without a secret: for tables whose keys strangers do not choose, or where what
 * they can do with it is bounded. */
uint64_t pang_str_hash(pang_str s);

#ifdef __cplusplus
}
#endif
#endif
