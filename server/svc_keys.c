/*
 * Keys: rotation on demand. What is done is done in commits of its own, each harmless to repeat,
 * so that a handler that runs twice does no harm.
 */
#include "server/keyring.h"
#include "server/reseal.h"
#include "server/svc_identity.h"
#include "server/svc_manage.h"

#include "pangolin/v1/keys.pb-c.h"

static pang_code rotate_keys(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RotateKeysRequest *in = request;
    Pangolin__V1__RotateKeysResponse *out = reply;
    const pang_server_env *server = call->server;
    uint64_t resealed = 0;
    pang_code code = PANG_OK;
    if (server->keyring == NULL || server->sealer == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "there are no keys without authentication");
    if (in->seal_only && in->at_once)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "seal_only and at_once exclude each other");
    if (!in->seal_only && call->attempt == 0)
        code = pang_keyring_rotate(server->keyring, in->at_once, err);
    if (code == PANG_OK)
        code = pang_keyring_reseal(server->keyring, err);
    if (code == PANG_OK)
        code = pang_reseal(server->db, server->env, server->sealer, call->deadline_ms, &resealed,
                           err);
    out->resealed = (int64_t)resealed;
    return code;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.KeyService/RotateKeys",
        .in = &pangolin__v1__rotate_keys_request__descriptor,
        .out = &pangolin__v1__rotate_keys_response__descriptor,
        .handle = rotate_keys,
    },
};

const pang_service pang_service_keys = {
    .name = "pangolin.v1.KeyService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
