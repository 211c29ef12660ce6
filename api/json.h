/*
 * JSON, twice: one strict scanner that every document from outside passes (RFC 8259 and the
 * limits below), and a document tree to read and change (json-c, which alone is too lenient,
 * behind this header and in one .c file).
 * Called by both processes. Threads: a scanner or document belongs to one. Lifetime: see each.
 *
 * Numbers: int64 are exact; other numbers keep their spelling from parse to print. Member order
 * and unknown members are kept.
 */
#ifndef PANG_API_JSON_H
#define PANG_API_JSON_H

#include "api/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PANG_JSON_DEPTH_MAX 64              /* nested objects and arrays */
#define PANG_JSON_NODES_MAX 4000000         /* values and members in one document */
#define PANG_JSON_OBJECT_MEMBERS_MAX 100000 /* members in one object */

/* ---- the scanner: api/json_scan.c ---- */

typedef enum {
    PANG_JSON_END, /* nothing but white space is left */
    PANG_JSON_OBJECT_BEGIN,
    PANG_JSON_OBJECT_END,
    PANG_JSON_ARRAY_BEGIN,
    PANG_JSON_ARRAY_END,
    PANG_JSON_NAME, /* a member's name; its value follows */
    PANG_JSON_STRING,
    PANG_JSON_NUMBER,
    PANG_JSON_TRUE,
    PANG_JSON_FALSE,
    PANG_JSON_NULL,
} pang_json_token;

/* A pull scanner over one text, which it borrows. Opaque but for `token`, `raw` and `text`. */
typedef struct {
    pang_json_token token; /* the current token */
    pang_str raw;          /* its bytes as they stand (strings with their quotes) */
    pang_str text;         /* NAME, STRING: decoded, in the arena or in place; NUMBER: raw */
    pang_str source;
    size_t at;
    unsigned depth;
    size_t nodes;
    pang_arena *arena;
    void *state;
} pang_json_scanner;

/* Starts before the first token. The arena holds decoded strings and duplicate-key sets. */
void pang_json_scan_begin(pang_json_scanner *scanner, pang_str source, pang_arena *arena);
/* Moves to the next token. ERRORS: INVALID_ARGUMENT with the position as "line L, column C" and
 * what is wrong (grammar, UTF-8, an escape, depth, nodes, a duplicate name, NUL in a string,
 * bytes behind the document); RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_json_scan_next(pang_json_scanner *scanner, pang_err *err);
/* REQUIRES: the current token begins a value. Consumes it whole, with all inside; *ret_raw is the
 * value's bytes as they stand. The scanner then stands on the value's last token. */
PANG_MUST_CHECK pang_code pang_json_scan_skip(pang_json_scanner *scanner, pang_str *ret_raw,
                                              pang_err *err);
/* Checks a whole document: exactly one value, all rules above. */
PANG_MUST_CHECK pang_code pang_json_check(pang_str source, pang_arena *arena, pang_err *err);
/* Appends s as a JSON string, quotes included; REQUIRES: s is UTF-8. */
void pang_json_quote(pang_buf *buf, pang_str s);

/* ---- the document: api/json.c ---- */

/* A value in a document. Borrowed from its document. NULL stands for "absent" in all readers. */
typedef struct json_object pang_json;

typedef enum {
    PANG_JSON_IS_NULL,
    PANG_JSON_IS_BOOL,
    PANG_JSON_IS_INT,    /* fits int64 and was spelt as an integer */
    PANG_JSON_IS_NUMBER, /* any other number */
    PANG_JSON_IS_STRING,
    PANG_JSON_IS_ARRAY,
    PANG_JSON_IS_OBJECT,
} pang_json_type;

/* Scans, then parses. The tree lives until the arena is reset. ERRORS: INVALID_ARGUMENT,
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_json_parse(pang_str source, pang_arena *arena, pang_json **ret,
                                          pang_err *err);
/* The tree as text without white space, in arena. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_json_print(const pang_json *value, pang_arena *arena, pang_str *ret,
                                          pang_err *err);
/* The same for a document of which a later state will be printed, too: objects that are elements of
 * its members (value.member[i]) keep their text while they live, and a document that shares them
 * prints them by copying it. REQUIRES: nothing inside of those objects changes any more. */
PANG_MUST_CHECK pang_code pang_json_print_again(const pang_json *value, pang_arena *arena,
                                                pang_str *ret, pang_err *err);
/* A count of the caller's own, so that a tree outlives the arena it was made in; given back with
 * release. Counts are not made for threads: all trees that share a value belong to one at a time.
 * NULL is fine. */
pang_json *pang_json_hold(pang_json *value);
void pang_json_release(pang_json *value);
/* A deep copy that lives until the arena is reset; NULL without memory. */
pang_json *pang_json_copy(const pang_json *value, pang_arena *arena);
/* Equal values: objects by members in any order, numbers by value where both are int. */
bool pang_json_equal(const pang_json *a, const pang_json *b);

/* JSON null is a value of its own in this interface: pang_json_get gives a node whose type is
 * PANG_JSON_IS_NULL for a null member and C NULL for an absent one. */
pang_json_type pang_json_type_of(const pang_json *value);
bool pang_json_is_null(const pang_json *value); /* absent or JSON null */
/* A member of an object; NULL when absent or when `object` is no object. */
pang_json *pang_json_get(const pang_json *object, const char *name);
/* As above by view, for names that hold a NUL or are not literals. */
pang_json *pang_json_get_str(const pang_json *object, pang_str name);
size_t pang_json_size(const pang_json *value); /* members or elements; 0 for others */
pang_json *pang_json_at(const pang_json *array, size_t i);
/* Walks the members of an object in order; begin with *it zeroed. */
typedef struct {
    const pang_json *object;
    void *entry;
    bool started;
} pang_json_members;
bool pang_json_next(pang_json_members *it, pang_str *ret_name, pang_json **ret_value);
/* False when the value has another type. */
bool pang_json_to_int64(const pang_json *value, int64_t *ret);
bool pang_json_to_bool(const pang_json *value, bool *ret);
bool pang_json_to_str(const pang_json *value, pang_str *ret); /* borrows from the tree */
/* A number's own spelling; borrows from the tree or the arena. */
bool pang_json_to_spelling(const pang_json *value, pang_arena *arena, pang_str *ret);

/* New values; they live until the arena is reset; NULL without memory. */
pang_json *pang_json_object(pang_arena *arena);
pang_json *pang_json_array(pang_arena *arena);
pang_json *pang_json_int(int64_t value, pang_arena *arena);
pang_json *pang_json_bool(bool value, pang_arena *arena);
pang_json *pang_json_str(pang_str value, pang_arena *arena);
pang_json *pang_json_null(pang_arena *arena);
/* Sets or replaces a member (a replaced one keeps its place), appends an element, replaces one.
 * The value is shared, not copied. False without memory, or when value is NULL. */
bool pang_json_set(pang_json *object, const char *name, pang_json *value);
bool pang_json_set_str(pang_json *object, pang_str name, pang_json *value);
bool pang_json_append(pang_json *array, pang_json *value);
bool pang_json_replace(pang_json *array, size_t i, pang_json *value);
/* Removes; absent is fine. */
void pang_json_remove(pang_json *object, const char *name);
void pang_json_remove_at(pang_json *array, size_t i);

#ifdef __cplusplus
}
#endif
#endif
