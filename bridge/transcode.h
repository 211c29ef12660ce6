/*
 * Transcoding: from an HTTP request to the bytes of a protobuf message, and from a reply's bytes to
 * JSON, by the descriptors. No document tree is built: a request goes from the scanner's tokens
 * straight to the wire, a reply from the wire straight to text. Fields of raw JSON are spliced.
 * Called by bridge/request.c. Threads: pure functions over an immutable schema. Lifetime: results
 * are in the arena or borrow from the input.
 */
#ifndef PANG_BRIDGE_TRANSCODE_H
#define PANG_BRIDGE_TRANSCODE_H

#include "bridge/route.h"

enum {
    PANG_REPLY_HEADERS_MAX = 4, /* headers that a reply's fields can fill */
    PANG_QUERY_PARAMETERS_MAX = 100,
};

typedef struct {
    pang_str name, value;
} pang_http_field;

/* A request as the network side has it. */
typedef struct {
    pang_str query;                 /* behind "?", not decoded; may be empty */
    const pang_http_field *headers; /* names in lower case */
    size_t n_headers;
    pang_str body;
    bool form; /* the body is application/x-www-form-urlencoded, which the method allows */
} pang_transcode_request;

/* The request message of a match. Path wins over query, and fields filled from path or header are
 * never read from the body. Unknown members and parameters are ignored in the Iceberg and OAuth
 * dialects. The management dialect refuses them, but for those that the rule tolerates and, since
 * existing clients send what they like there, for parameters of reads. A method with a form takes
 * nothing from the query: secrets do not belong there.
 * ERRORS: INVALID_ARGUMENT; the reason is "BadRequestException" for what is no JSON and, in the
 * Iceberg dialect, for all else; "UnprocessableEntityException" in the management dialect for
 * JSON of the wrong form; "invalid_request" in the OAuth dialect. Messages name the field:
 * `table-changes[1].identifier.name: ...`. */
PANG_MUST_CHECK pang_code pang_transcode_in(const pang_schema *schema,
                                            const pang_route_match *match,
                                            const pang_transcode_request *request,
                                            pang_arena *arena, pang_str *ret_message,
                                            pang_err *err);

typedef struct {
    unsigned status;
    pang_str body; /* JSON; empty when the status has none */
    pang_http_field headers[PANG_REPLY_HEADERS_MAX];
    size_t n_headers;
} pang_transcode_reply;

/* The HTTP reply of a reply message. ERRORS: INTERNAL (the message is malformed),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_transcode_out(const pang_schema *schema,
                                             const pang_schema_method *method, pang_str message,
                                             pang_arena *arena, pang_transcode_reply *ret,
                                             pang_err *err);

/*
 * A whole list, page by page: when a request of a paged method names no page, the bridge asks the
 * core for one page after the other and writes
 *     pang_transcode_list_begin, the parts of every page, pang_transcode_list_end
 * so that neither process holds the list.
 */

/* True when this request message of a paged method wants the whole list: it names no page and, in
 * the management dialect, no size either, which clients know as `limit`. */
bool pang_transcode_wants_all(const pang_schema_method *method, pang_str message);
/* The request for the page that begins at `token` (empty: the first), of `size` entries. */
PANG_MUST_CHECK pang_code pang_transcode_page(const pang_schema_method *method, pang_str message,
                                              pang_str token, uint32_t size, pang_arena *arena,
                                              pang_str *ret, pang_err *err);
/* `{"identifiers":[`; `[` when the list is the whole body, nothing when it is JSON lines. */
pang_str pang_transcode_list_begin(const pang_schema *schema, const pang_schema_method *method,
                                   pang_arena *arena);
/* The entries of one page, with commas between and, unless `first`, before them; or each with a
 * line's end. *ret_token is empty on the last page. ERRORS: as pang_transcode_out. */
PANG_MUST_CHECK pang_code pang_transcode_list_part(const pang_schema *schema,
                                                   const pang_schema_method *method,
                                                   pang_str message, bool first, pang_arena *arena,
                                                   pang_str *ret_text, pang_str *ret_token,
                                                   pang_err *err);
/* `]}`, `]` or nothing. */
pang_str pang_transcode_list_end(const pang_schema *schema, const pang_schema_method *method);

#endif
