/*
 * Errors by value: reporting one allocates nothing and cannot fail.
 */
#include "api/err.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Cuts a half character that vsnprintf may have left at the end of a full buffer. */
static void cut_at_character(char *text, size_t size)
{
    size_t len = strnlen(text, size);
    if (len + 1 < size)
        return;
    while (len > 0 && !pang_str_is_utf8((pang_str){text, len}) && len + 4 > size - 1)
        text[--len] = '\0';
}

pang_code pang_fail_args(pang_err *err, pang_code code, const char *reason, const char *fmt,
                         va_list args)
{
    assert(code != PANG_OK);
    if (err == NULL)
        return code;
    err->code = code;
    err->reason = reason;
    err->detail[0] = '\0';
    (void)vsnprintf(err->message, sizeof err->message, fmt, args);
    cut_at_character(err->message, sizeof err->message);
    return code;
}

pang_code pang_fail(pang_err *err, pang_code code, const char *reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)pang_fail_args(err, code, reason, fmt, args);
    va_end(args);
    return code;
}

pang_code pang_fail_memory(pang_err *err)
{
    return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "out of memory");
}

void pang_err_detail(pang_err *err, const char *fmt, ...)
{
    if (err == NULL)
        return;
    size_t used = strnlen(err->detail, sizeof err->detail);
    if (used + 3 < sizeof err->detail && used > 0) {
        memcpy(err->detail + used, "; ", 3);
        used += 2;
    }
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(err->detail + used, sizeof err->detail - used, fmt, args);
    va_end(args);
    cut_at_character(err->detail, sizeof err->detail);
}

const char *pang_code_name(pang_code code)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };
    return (unsigned)code < sizeof names / sizeof names[0] ? names[code] : "UNKNOWN";
}
