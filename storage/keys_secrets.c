/*
 * Keys of the server's own secrets and of tokens.
 */
#include "api/keys_secrets.h"

#include "storage/keys_internal.h"

pang_str pang_key_keyring(pang_keys *keys)
{
    return pang_key_setting(keys, PANG_STR("keyring"));
}

pang_str pang_key_refresh_family(pang_keys *keys, pang_id family)
{
    return pang_key_make(keys, "rs", "i", family);
}

pang_str pang_key_revoked_token(pang_keys *keys, pang_id jti)
{
    return pang_key_make(keys, "rt", "i", jti);
}

pang_str pang_key_issued_token(pang_keys *keys, pang_id user, pang_id jti)
{
    return pang_key_make(keys, "it", "ii", user, jti);
}

pang_str pang_key_issued_tokens(pang_keys *keys, pang_id user)
{
    return pang_key_make(keys, "it", "i/", user);
}

pang_str pang_key_token_place(pang_keys *keys, pang_id jti)
{
    return pang_key_make(keys, "ij", "i", jti);
}

pang_str pang_key_oidc_sign_in(pang_keys *keys, pang_id hash)
{
    return pang_key_make(keys, "os", "i", hash);
}

pang_str pang_key_sign_in_code(pang_keys *keys, pang_id hash)
{
    return pang_key_make(keys, "oc", "i", hash);
}

pang_str pang_key_root_setup(pang_keys *keys)
{
    return pang_key_setting(keys, PANG_STR("root-setup"));
}
