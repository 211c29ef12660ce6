/*
 * Log: one line per event to standard error, as JSON (LOG_FORMAT=json) or for people (pretty).
 * Called by mains, dispatchers and background jobs; library code never logs. Threads: any; a line
 * is one write(2). Strangers' text is escaped and cut, so that it cannot forge a line.
 */
#ifndef PANG_API_LOG_H
#define PANG_API_LOG_H

#include "api/env.h"
#include "api/str.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { PANG_LOG_DEBUG, PANG_LOG_INFO, PANG_LOG_WARN, PANG_LOG_ERROR } pang_log_level;

#define PANG_LOG_LINE_MAX 4096  /* bytes; longer lines are cut, the fields last */
#define PANG_LOG_VALUE_MAX 1024 /* bytes of one value before escaping */

/* One field. Values are text or, where `is_number`, an integer. */
typedef struct {
    const char *name; /* static, [a-z_]+ */
    pang_str text;
    int64_t number;
    bool is_number;
} pang_log_field;

#define PANG_LOG_TEXT(field, value) ((pang_log_field){.name = (field), .text = (value)})
#define PANG_LOG_NUMBER(field, value)                                                              \
    ((pang_log_field){.name = (field), .number = (int64_t)(value), .is_number = true})

/* Sets level, form and the process's name ("server", "bridge"). Call once, before threads. */
void pang_log_setup(const char *process, pang_log_level level, bool json);
/* "debug" "info" "warn" "error"; false on anything else. */
bool pang_log_level_parse(pang_str text, pang_log_level *ret);
bool pang_log_enabled(pang_log_level level);
/* Writes one line. `event` is static text of a few words, lower case ("listening"). */
void pang_log(pang_log_level level, const char *event, const pang_log_field *fields, size_t n);

/* pang_log with the fields written out:
 *     PANG_LOG(INFO, "listening", PANG_LOG_TEXT("address", address)); */
#define PANG_LOG(level, event, ...)                                                                \
    do {                                                                                           \
        const pang_log_field pang_log_fields_[] = {__VA_ARGS__};                                   \
        pang_log(PANG_LOG_##level, event, pang_log_fields_,                                        \
                 sizeof pang_log_fields_ / sizeof pang_log_fields_[0]);                            \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
