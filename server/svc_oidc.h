/*
 * The methods of OauthService that sign people in at identity providers, for its table in
 * svc_oauth.c. Called by the dispatcher through it. Threads: any that may wait. Lifetime: results
 * live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_OIDC_H
#define PANG_SERVER_SVC_OIDC_H

#include "api/service.h"

pang_handler pang_oidc_list_providers, pang_oidc_authorize, pang_oidc_callback, pang_oidc_exchange;

#endif
