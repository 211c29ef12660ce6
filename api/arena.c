/*
 * Arena: a list of malloc'd blocks, bump allocation in the newest. Large requests get a block of
 * their own. The one place beside the long-lived objects' constructors that calls malloc, so a
 * test that fails the n-th malloc reaches every out-of-memory path of a call.
 */
#include "api/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_BLOCK_BYTES = 8 * 1024,
    LAST_BLOCK_BYTES = 256 * 1024,
    ALIGNMENT = 16,
};

typedef struct block {
    struct block *older;
    size_t size, used; /* of the bytes behind this head */
    max_align_t bytes[];
} block;

typedef struct hook {
    struct hook *older;
    void (*fn)(void *arg);
    void *arg;
} hook;

struct pang_arena {
    block *newest;
    hook *hooks;
    size_t limit, held, used;
    bool failed, secret;
};

static void block_free(pang_arena *arena, block *b)
{
    if (arena->secret)
        explicit_bzero(b->bytes, b->used);
    arena->held -= b->size;
    free(b);
}

pang_arena *pang_arena_new(size_t limit_bytes)
{
    pang_arena *arena = calloc(1, sizeof *arena);
    if (arena != NULL)
        arena->limit = limit_bytes;
    return arena;
}

static void run_hooks(pang_arena *arena)
{
    while (arena->hooks != NULL) {
        hook h = *arena->hooks;
        arena->hooks = h.older;
        h.fn(h.arg);
    }
}

void pang_arena_reset(pang_arena *arena)
{
    run_hooks(arena);
    while (arena->newest != NULL) {
        block *b = arena->newest;
        if (b->older == NULL && b->size <= FIRST_BLOCK_BYTES) {
            if (arena->secret)
                explicit_bzero(b->bytes, b->used);
            b->used = 0;
            break;
        }
        arena->newest = b->older;
        block_free(arena, b);
    }
    arena->used = 0;
    arena->failed = false;
    arena->secret = false;
}

void pang_arena_free(pang_arena *arena)
{
    if (arena == NULL)
        return;
    run_hooks(arena);
    while (arena->newest != NULL) {
        block *b = arena->newest;
        arena->newest = b->older;
        block_free(arena, b);
    }
    free(arena);
}

static bool add_block(pang_arena *arena, size_t need)
{
    size_t size = arena->newest == NULL ? FIRST_BLOCK_BYTES : arena->newest->size * 2;
    if (size > LAST_BLOCK_BYTES)
        size = LAST_BLOCK_BYTES;
    if (size < need)
        size = need;
    if (arena->held + size > arena->limit)
        size = need;
    if (size > arena->limit || arena->held > arena->limit - size)
        return false;
    block *b = malloc(sizeof *b + size);
    if (b == NULL)
        return false;
    *b = (block){.older = arena->newest, .size = size};
    arena->newest = b;
    arena->held += size;
    return true;
}

static void *take(pang_arena *arena, size_t size, size_t alignment)
{
    if (size > arena->limit) {
        arena->failed = true;
        return NULL;
    }
    block *b = arena->newest;
    size_t at = b == NULL ? 0 : (b->used + alignment - 1) & ~(alignment - 1);
    if (b == NULL || at > b->size || size > b->size - at) {
        if (!add_block(arena, size)) {
            arena->failed = true;
            return NULL;
        }
        b = arena->newest;
        at = 0;
    }
    b->used = at + size;
    arena->used += size;
    return (char *)b->bytes + at;
}

void *pang_arena_alloc(pang_arena *arena, size_t size)
{
    void *p = take(arena, size == 0 ? 1 : size, ALIGNMENT);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

void *pang_arena_alloc_n(pang_arena *arena, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        arena->failed = true;
        return NULL;
    }
    return pang_arena_alloc(arena, bytes);
}

char *pang_arena_alloc_text(pang_arena *arena, size_t size)
{
    return take(arena, size == 0 ? 1 : size, 1);
}

bool pang_arena_copy(pang_arena *arena, pang_str s, pang_str *ret)
{
    char *p = pang_arena_cstr(arena, s);
    if (p == NULL)
        return false;
    *ret = (pang_str){p, s.len};
    return true;
}

char *pang_arena_cstr(pang_arena *arena, pang_str s)
{
    char *p = pang_arena_alloc_text(arena, s.len + 1);
    if (p == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return p;
}

pang_str pang_arena_printf(pang_arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = len < 0 ? NULL : pang_arena_alloc_text(arena, (size_t)len + 1);
    if (p != NULL)
        (void)vsnprintf(p, (size_t)len + 1, fmt, again);
    va_end(again);
    return p == NULL ? (pang_str){NULL, 0} : (pang_str){p, (size_t)len};
}

bool pang_arena_on_reset(pang_arena *arena, void (*fn)(void *arg), void *arg)
{
    hook *h = pang_arena_alloc(arena, sizeof *h);
    if (h == NULL) {
        fn(arg);
        return false;
    }
    *h = (hook){.older = arena->hooks, .fn = fn, .arg = arg};
    arena->hooks = h;
    return true;
}

void pang_arena_mark_secret(pang_arena *arena)
{
    arena->secret = true;
}

bool pang_arena_failed(const pang_arena *arena)
{
    return arena->failed;
}

size_t pang_arena_used(const pang_arena *arena)
{
    return arena->used;
}

char *pang_buf_room(pang_buf *buf, size_t n)
{
    if (buf->failed)
        return NULL;
    if (buf->capacity > 0 && n <= buf->capacity - buf->len)
        return buf->ptr + buf->len;
    size_t capacity = buf->capacity < 128 ? 128 : buf->capacity;
    while (capacity - buf->len < n) {
        if (capacity > SIZE_MAX / 4) {
            buf->failed = true;
            return NULL;
        }
        capacity *= 2;
    }
    char *p = pang_arena_alloc_text(buf->arena, capacity);
    if (p == NULL) {
        buf->failed = true;
        return NULL;
    }
    if (buf->len > 0)
        memcpy(p, buf->ptr, buf->len);
    buf->ptr = p;
    buf->capacity = capacity;
    return p + buf->len;
}

void pang_buf_add(pang_buf *buf, pang_str s)
{
    char *to = s.len == 0 ? NULL : pang_buf_room(buf, s.len);
    if (to == NULL)
        return;
    memcpy(to, s.ptr, s.len);
    buf->len += s.len;
}

void pang_buf_add_char(pang_buf *buf, char c)
{
    pang_buf_add(buf, (pang_str){&c, 1});
}

void pang_buf_printf(pang_buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *to = len < 0 ? NULL : pang_buf_room(buf, (size_t)len + 1);
    if (to != NULL) {
        (void)vsnprintf(to, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

pang_str pang_buf_str(const pang_buf *buf)
{
    return (pang_str){buf->ptr, buf->len};
}
