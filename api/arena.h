/*
 * Arena: memory for one call, freed together. Everything a call makes lives in its arena.
 * Called by everything. Threads: one at a time per arena. Lifetime: what an arena gave is gone at
 * the next reset or free. An arena has a limit, so a request cannot take the machine.
 *
 * Failure is remembered: past the limit or without memory an allocation gives NULL and the arena is
 * marked, also where a smaller one succeeds afterwards; code that builds much may check
 * pang_arena_failed() once at the end only if it never dereferences a result before (pang_buf does
 * so). All else checks each result.
 */
#ifndef PANG_API_ARENA_H
#define PANG_API_ARENA_H

#include "api/err.h"
#include "api/str.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pang_arena pang_arena;

/* An empty arena that holds at most limit_bytes. NULL without memory. */
pang_arena *pang_arena_new(size_t limit_bytes);
/* Runs the reset hooks, frees all. NULL is fine. */
void pang_arena_free(pang_arena *arena);
/* Runs the hooks in reverse order, forgets every allocation; keeps one small block for reuse. */
void pang_arena_reset(pang_arena *arena);
/* Zeroed memory aligned for any type; NULL past the limit. Size 0 gives a unique pointer. */
void *pang_arena_alloc(pang_arena *arena, size_t size);
/* The same for n elements, safe against overflow of n * size. */
void *pang_arena_alloc_n(pang_arena *arena, size_t n, size_t size);
/* Not zeroed, byte alignment: for text. */
char *pang_arena_alloc_text(pang_arena *arena, size_t size);
/* Copies s, and a NUL behind it; *ret borrows from the arena. False past the limit. */
bool pang_arena_copy(pang_arena *arena, pang_str s, pang_str *ret);
/* The copy as a C string; NULL past the limit. Bytes after a NUL inside s are not seen. */
char *pang_arena_cstr(pang_arena *arena, pang_str s);
/* printf into the arena, with a NUL behind; the empty view past the limit (marked). */
pang_str pang_arena_printf(pang_arena *arena, const char *fmt, ...) PANG_PRINTF(2, 3);
/* fn(arg) runs at the next reset or free: for what is not memory. False past the limit, and fn
 * has then run already, so that the resource cannot leak. */
bool pang_arena_on_reset(pang_arena *arena, void (*fn)(void *arg), void *arg);
/* From now on every block is wiped before it is given back to the system or reused. */
void pang_arena_mark_secret(pang_arena *arena);
/* True once an allocation has failed since the last reset. */
bool pang_arena_failed(const pang_arena *arena);
/* Bytes handed out since the last reset. */
size_t pang_arena_used(const pang_arena *arena);

/*
 * Buffer: text that grows in an arena. Zero it but for `arena`. Appends after a failure do
 * nothing; check pang_buf_failed() once at the end.
 */
typedef struct {
    pang_arena *arena; /* borrows */
    char *ptr;
    size_t len, capacity;
    bool failed;
} pang_buf;

void pang_buf_add(pang_buf *buf, pang_str s);
void pang_buf_add_char(pang_buf *buf, char c);
void pang_buf_printf(pang_buf *buf, const char *fmt, ...) PANG_PRINTF(2, 3);
/* Room for n more bytes at the end: returns where to write, NULL on failure; the caller then adds
 * what it wrote to buf->len. */
char *pang_buf_room(pang_buf *buf, size_t n);
/* What was built; borrows from the arena. */
pang_str pang_buf_str(const pang_buf *buf);

#ifdef __cplusplus
}
#endif
#endif
