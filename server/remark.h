/*
 * Remarks: what a client says about the commit that its call makes, a message and properties. It
 * says so in the headers X-Pangolin-Commit-Message and X-Pangolin-Commit-Properties (a JSON object
 * of texts), or, since engines pass those on, in the summary of a snapshot that it adds:
 * "pangolin.commit-message", and "pangolin.commit.<name>" for each property. Headers win.
 * Called by pang_edit_begin, and by commits to tables. Threads, lifetime: as the edit's.
 */
#ifndef PANG_SERVER_REMARK_H
#define PANG_SERVER_REMARK_H

#include "api/json.h"
#include "server/content.h"

enum {
    PANG_REMARK_MESSAGE_MAX = 4096, /* bytes */
    PANG_REMARK_PROPERTIES_MAX = 64,
    PANG_REMARK_NAME_MAX = 256,   /* bytes */
    PANG_REMARK_VALUE_MAX = 4096, /* bytes */
};

/* The bound of a message, in whatever way it is given. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_remark_check_message(pang_str text, pang_err *err);

/* Takes what the headers of the view's call say. ERRORS: INVALID_ARGUMENT (form, bounds). */
PANG_MUST_CHECK pang_code pang_remark_of_call(pang_edit *edit, pang_err *err);
/* Adds what a snapshot's summary says, where nothing was said yet; NULL is fine. ERRORS: as above.
 */
PANG_MUST_CHECK pang_code pang_remark_of_summary(pang_edit *edit, const pang_json *summary,
                                                 pang_err *err);

#endif
