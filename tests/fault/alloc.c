/*
 * See alloc.h. The linker sends `malloc` of the program's own objects here (--wrap) and lets
 * `__real_malloc` be the C library's, or the sanitizer's.
 */
#include "tests/fault/alloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **ret, size_t alignment, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **ret, size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);
void __wrap_free(void *block);

static _Thread_local struct {
    bool armed, persistent;
    unsigned at, calls, failed;
} plan;
static atomic_long live;

void fault_alloc_arm(unsigned n, bool persistent)
{
    plan.armed = true;
    plan.persistent = persistent;
    plan.at = n;
    plan.calls = plan.failed = 0;
}

unsigned fault_alloc_disarm(void)
{
    plan.armed = false;
    return plan.failed;
}

unsigned fault_alloc_calls(void)
{
    return plan.calls;
}

long fault_alloc_live(void)
{
#ifdef FAULT_ALLOC_UNCOUNTED
    return 0;
#else
    return atomic_load(&live);
#endif
}

static bool fails(void)
{
    if (!plan.armed)
        return false;
    plan.calls++;
    if (plan.at == 0 || plan.calls < plan.at || (plan.calls > plan.at && !plan.persistent))
        return false;
    plan.failed++;
    errno = ENOMEM;
    return true;
}

static void *counted(void *block)
{
    if (block != NULL)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return block;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails())
        return NULL;
    void *block = __real_realloc(old, size);
    return old == NULL ? counted(block) : block;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **ret, size_t alignment, size_t size)
{
    if (fails())
        return ENOMEM;
    int code = __real_posix_memalign(ret, alignment, size);
    if (code == 0)
        (void)counted(*ret);
    return code;
}

char *__wrap_strndup(const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    char *copy = __wrap_malloc(len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *__wrap_strdup(const char *text)
{
    return __wrap_strndup(text, strlen(text));
}

void __wrap_free(void *block)
{
    if (block != NULL)
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    __real_free(block);
}
