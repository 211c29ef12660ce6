/*
 * A call without any credential is no try, and is not counted: browsers and probes make them.
 */
#include "server/strangers.h"

#include "server/audit_log.h"
#include "server/throttle.h"

static bool is_basic(const pang_request *request)
{
    pang_str header = pang_str_trim(request->authorization);
    return request->api_key.len == 0 &&
           pang_str_equal_nocase(pang_str_slice(header, 0, pang_str_find(header, ' ')),
                                 PANG_STR("Basic"));
}

/* Of passwords the failures count together with those of logins. */
static pang_throttle_subject subject_of(const pang_request *request)
{
    return (pang_throttle_subject){is_basic(request) ? "address" : "caller",
                                   request->client_address, 1};
}

static bool is_counted(const pang_server_env *server, const pang_request *request)
{
    return server->throttle != NULL && request->client_address.len > 0;
}

pang_code pang_stranger_may_try(const pang_server_env *server, const pang_request *request,
                                unsigned *ret_wait_s, pang_err *err)
{
    pang_throttle_subject subject = subject_of(request);
    if (!is_basic(request) || !is_counted(server, request))
        return PANG_OK;
    return pang_throttle_check(server->throttle, &subject, 1, false, request->arena, ret_wait_s,
                               err);
}

pang_code pang_stranger_failed(const pang_server_env *server, const pang_request *request,
                               bool waits, unsigned *ret_wait_s, pang_err *err)
{
    pang_throttle_subject subject = subject_of(request);
    pang_err too_many;
    if (request->api_key.len == 0 && request->authorization.len == 0)
        return err->code;
    pang_audit_stranger(server->audit, (pang_str){0},
                        is_basic(request)          ? "login_failed"
                        : request->api_key.len > 0 ? "api_key_rejected"
                                                   : "token_rejected",
                        request->client_address);
    if (!is_counted(server, request))
        return err->code;
    pang_code code = pang_throttle_check(server->throttle, &subject, 1, false, request->arena,
                                         ret_wait_s, &too_many);
    if (code == PANG_RESOURCE_EXHAUSTED) {
        *err = too_many;
        return code;
    }
    if (waits)
        pang_throttle_failed(server->throttle, &subject, 1, request->arena);
    else
        pang_throttle_count(server->throttle, &subject, 1, request->arena);
    return err->code;
}
