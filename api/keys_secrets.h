/*
 * Keys of the server's own secrets and of tokens, whose bodies are in
 * proto/pangolin/store/v1/secrets.proto. The rules are those of api/keys.h.
 * Called by keyring, authn and the services that make and end tokens. Threads, lifetime: as
 * api/keys.h; made in storage/keys_secrets.c.
 */
#ifndef PANG_API_KEYS_SECRETS_H
#define PANG_API_KEYS_SECRETS_H

#include "api/keys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of records, for their headers: as pang_catalog_kind, with which they share the numbers. */
typedef enum {
    PANG_KIND_KEYRING = 96,        /* sy/keyring: Keyring. System */
    PANG_KIND_REFRESH_FAMILY = 97, /* rs/<family>: RefreshFamily. System */
    PANG_KIND_REVOKED_TOKEN = 98,  /* rt/<jti>: RevokedToken. Of root's: system */
    PANG_KIND_ISSUED_TOKEN = 99,   /* it/<user>/<jti>: IssuedToken. Of root's: system */
    PANG_KIND_TOKEN_PLACE = 100,   /* ij/<jti>: IssuedTokenPlace. Of root's: system */
    PANG_KIND_ROOT_SETUP = 101,    /* sy/root-setup: RootSetup. System */
    PANG_KIND_OIDC_SIGN_IN = 102,  /* os/<hash>: OidcSignIn. System */
    PANG_KIND_SIGN_IN_CODE = 103,  /* oc/<hash>: SignInCode. System */
} pang_secret_kind;

pang_str pang_key_keyring(pang_keys *keys);                        /* system */
pang_str pang_key_refresh_family(pang_keys *keys, pang_id family); /* system */
pang_str pang_key_revoked_token(pang_keys *keys, pang_id jti);
pang_str pang_key_issued_token(pang_keys *keys, pang_id user, pang_id jti);
pang_str pang_key_issued_tokens(pang_keys *keys, pang_id user); /* prefix */
pang_str pang_key_token_place(pang_keys *keys, pang_id jti);
pang_str pang_key_root_setup(pang_keys *keys); /* system */
/* `hash`: the first half of that of its secret. System. */
pang_str pang_key_oidc_sign_in(pang_keys *keys, pang_id hash);
pang_str pang_key_sign_in_code(pang_keys *keys, pang_id hash);

#ifdef __cplusplus
}
#endif
#endif
