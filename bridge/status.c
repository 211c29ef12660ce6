/*
 * Status codes. Iceberg's clients decide by the number in the body, so it is always that of the
 * HTTP status; 500, 502, 503 and 504 on a commit make them assume that it may have happened, so
 * only what is really unknown becomes one of those there. A limit that was hit is 429 for that
 * reason: every client may repeat that. A full disk is 507, which they take as failed at once.
 * Source: Iceberg REST specification, ErrorModel and the responses of each operation.
 */
#include "bridge/status.h"

#include "api/json.h"

typedef struct {
    unsigned status;
    pang_str type;
} code_row;

static const code_row by_code[] = {
    [PANG_OK] = {500, PANG_STR_INIT("InternalServerError")},
    [PANG_CANCELLED] = {499, PANG_STR_INIT("RequestCancelledException")},
    [PANG_UNKNOWN] = {500, PANG_STR_INIT("CommitStateUnknownException")},
    [PANG_INVALID_ARGUMENT] = {400, PANG_STR_INIT("BadRequestException")},
    [PANG_DEADLINE_EXCEEDED] = {504, PANG_STR_INIT("GatewayTimeoutException")},
    [PANG_NOT_FOUND] = {404, PANG_STR_INIT("NotFoundException")},
    [PANG_ALREADY_EXISTS] = {409, PANG_STR_INIT("AlreadyExistsException")},
    [PANG_PERMISSION_DENIED] = {403, PANG_STR_INIT("ForbiddenException")},
    [PANG_RESOURCE_EXHAUSTED] = {429, PANG_STR_INIT("TooManyRequests")},
    [PANG_FAILED_PRECONDITION] = {409, PANG_STR_INIT("CommitFailedException")},
    [PANG_ABORTED] = {409, PANG_STR_INIT("CommitFailedException")},
    [PANG_OUT_OF_RANGE] = {400, PANG_STR_INIT("BadRequestException")},
    [PANG_UNIMPLEMENTED] = {406, PANG_STR_INIT("UnsupportedOperationException")},
    [PANG_INTERNAL] = {500, PANG_STR_INIT("InternalServerError")},
    [PANG_UNAVAILABLE] = {503, PANG_STR_INIT("ServiceUnavailableException")},
    [PANG_DATA_LOSS] = {500, PANG_STR_INIT("InternalServerError")},
    [PANG_UNAUTHENTICATED] = {401, PANG_STR_INIT("NotAuthorizedException")},
};

/* UNIMPLEMENTED in the management dialect. */
static const code_row not_implemented = {501, PANG_STR_INIT("NotImplementedException")};

/* Reasons that say more than their code. */
static const struct {
    pang_str reason;
    unsigned status;
} by_reason[] = {
    {PANG_STR_INIT("UnprocessableEntityException"), 422},
    {PANG_STR_INIT("MethodNotAllowed"), 405},
    {PANG_STR_INIT("RequestTimeoutException"), 408},
    {PANG_STR_INIT("PayloadTooLarge"), 413},
    {PANG_STR_INIT("UriTooLong"), 414},
    {PANG_STR_INIT("UnsupportedMediaType"), 415},
    {PANG_STR_INIT("ExpectationFailed"), 417},
    {PANG_STR_INIT("AuthenticationTimeoutException"), 419},
    {PANG_STR_INIT("TooManyRequests"), 429},
    {PANG_STR_INIT("RequestHeaderFieldsTooLarge"), 431},
    {PANG_STR_INIT("SlowDownException"), 503},
    {PANG_STR_INIT("NotImplementedException"), 501},
    {PANG_STR_INIT("InsufficientStorage"), 507},
};

/* The row of a code, in by_code or beside it. */
static const code_row *row_of(pang_dialect dialect, pang_code code)
{
    if (code == PANG_UNIMPLEMENTED && dialect == PANG_DIALECT_MANAGEMENT)
        return &not_implemented;
    return &by_code[(size_t)code < sizeof by_code / sizeof by_code[0] ? code : PANG_INTERNAL];
}

unsigned pang_status_of(pang_dialect dialect, pang_code code, pang_str reason)
{
    for (size_t i = 0; reason.len > 0 && i < sizeof by_reason / sizeof by_reason[0]; i++) {
        if (pang_str_equal(by_reason[i].reason, reason))
            return by_reason[i].status;
    }
    return row_of(dialect, code)->status;
}

pang_str pang_status_type(pang_dialect dialect, pang_code code, pang_str reason)
{
    return reason.len > 0 ? reason : row_of(dialect, code)->type;
}

const char *pang_status_phrase(unsigned status)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {204, "No Content"},
        {303, "See Other"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {419, "Authentication Timeout"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status)
            return phrases[i].phrase;
    }
    return "Unknown";
}

/* The error of RFC 6749 (5.2, and 4.1.2.1 for what is nobody's fault): the type where it is one. */
static pang_str oauth_error(unsigned status, pang_str type)
{
    static const pang_str known[] = {
        PANG_STR_INIT("invalid_request"), PANG_STR_INIT("invalid_client"),
        PANG_STR_INIT("invalid_grant"),   PANG_STR_INIT("unauthorized_client"),
        PANG_STR_INIT("invalid_scope"),   PANG_STR_INIT("unsupported_grant_type"),
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (pang_str_equal(known[i], type))
            return known[i];
    }
    if (status == 429 || status == 503)
        return PANG_STR("temporarily_unavailable");
    if (status >= 500)
        return PANG_STR("server_error");
    return status == 401 ? PANG_STR("invalid_client") : PANG_STR("invalid_request");
}

static pang_str oauth_body(unsigned status, pang_str type, pang_str message, pang_arena *arena)
{
    pang_buf body = {.arena = arena};
    pang_buf_add(&body, PANG_STR("{\"error\":"));
    pang_json_quote(&body, oauth_error(status, type));
    pang_buf_add(&body, PANG_STR(",\"error_description\":"));
    pang_json_quote(&body, message);
    pang_buf_add_char(&body, '}');
    return body.failed ? PANG_STR("") : pang_buf_str(&body);
}

pang_str pang_status_body(pang_dialect dialect, unsigned status, pang_str type, pang_str message,
                          pang_arena *arena)
{
    bool iceberg = dialect != PANG_DIALECT_MANAGEMENT;
    pang_buf body = {.arena = arena};
    if (!pang_str_is_utf8(message))
        message = PANG_STR("(the message is not UTF-8)");
    if (dialect == PANG_DIALECT_OAUTH)
        return oauth_body(status, type, message, arena);
    pang_buf_add(&body, iceberg ? PANG_STR("{\"error\":{\"message\":") : PANG_STR("{\"error\":"));
    pang_json_quote(&body, message);
    pang_buf_add(&body, PANG_STR(",\"type\":"));
    pang_json_quote(&body, type);
    pang_buf_printf(&body, ",\"code\":%u%s", status, iceberg ? "}}" : "}");
    return body.failed ? PANG_STR("") : pang_buf_str(&body);
}
