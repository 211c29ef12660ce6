/*
 * The seam is here so that the dispatcher need not change when credentials come: it asks, and
 * refuses when the answer is an error. Without the evaluation mode nobody is let in.
 */
#include "server/authn.h"

static const pang_principal anonymous = {.name = PANG_STR_INIT("anonymous"), .is_known = true};

pang_code pang_authn_check_mode(bool evaluation, pang_err *err)
{
    if (evaluation)
        return PANG_OK;
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                     "authentication is not available yet; to try Pangolin out on this machine "
                     "without it, set PANGOLIN_NO_AUTH=true or --no-auth");
}

pang_code pang_authn_identify(bool evaluation, const pang_request *request, pang_arena *arena,
                              const pang_principal **ret, pang_err *err)
{
    (void)request;
    (void)arena;
    if (!evaluation)
        return pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                         "no credential of this server");
    *ret = &anonymous;
    return PANG_OK;
}
