/*
 * API keys. Letters are drawn without bias: bytes that would favour some of the 62 are thrown away.
 */
#include "server/api_key.h"

#include <string.h>

#include "api/keys_identity.h"
#include "server/records.h"

#define PREFIX PANG_STR("pgl_")
#define PURPOSE PANG_STR("api key")

typedef Pangolin__Store__V1__ApiKey rec_api_key;
typedef Pangolin__Store__V1__ServiceUser rec_service_user;

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
enum { LETTERS = sizeof letters - 1, FAIR = 256 / LETTERS * LETTERS };

/* ---- the form ---- */

static bool is_all_letters(pang_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (memchr(letters, s.ptr[i], LETTERS) == NULL)
            return false;
    return true;
}

bool pang_api_key_parse(pang_str text, pang_str *ret_id, pang_str *ret_secret)
{
    if (text.len != PANG_API_KEY_TEXT || !pang_str_starts(text, PREFIX) ||
        text.ptr[PREFIX.len + PANG_API_KEY_ID] != '_')
        return false;
    *ret_id = pang_str_slice(text, PREFIX.len, PANG_API_KEY_ID);
    *ret_secret = pang_str_after(text, PREFIX.len + PANG_API_KEY_ID + 1);
    return is_all_letters(*ret_id) && is_all_letters(*ret_secret);
}

static void draw(const pang_env *env, char *to, size_t n)
{
    uint8_t bytes[32];
    while (n > 0) {
        pang_env_random(env, bytes, sizeof bytes);
        for (size_t i = 0; n > 0 && i < sizeof bytes; i++) {
            if (bytes[i] >= FAIR)
                continue;
            *to++ = letters[bytes[i] % LETTERS];
            n--;
        }
    }
    pang_wipe(bytes, sizeof bytes);
}

static pang_str new_text(const pang_env *env, pang_arena *arena)
{
    char *text = pang_arena_alloc_text(arena, PANG_API_KEY_TEXT + 1);
    if (text == NULL)
        return (pang_str){0};
    memcpy(text, PREFIX.ptr, PREFIX.len);
    draw(env, text + PREFIX.len, PANG_API_KEY_ID);
    text[PREFIX.len + PANG_API_KEY_ID] = '_';
    draw(env, text + PREFIX.len + PANG_API_KEY_ID + 1, PANG_API_KEY_SECRET);
    text[PANG_API_KEY_TEXT] = '\0';
    return (pang_str){text, PANG_API_KEY_TEXT};
}

/* ---- making and ending ---- */

static pang_code drop_record(pang_txn *txn, const char *id, pang_arena *arena, pang_err *err)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str key = pang_key_api_key(&keys, pang_str_from(id));
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        pang_txn_delete(txn, key);
    return code;
}

pang_code pang_api_key_end_all(pang_txn *txn, rec_service_user *owner, pang_arena *arena,
                               pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < owner->n_keys; i++)
        code = drop_record(txn, owner->keys[i], arena, err);
    owner->n_keys = 0;
    return code;
}

/* The new id in front, `keep` of the others behind it; the rest is deleted. */
static pang_code enlist(pang_txn *txn, rec_service_user *owner, pang_str id, unsigned keep,
                        pang_arena *arena, pang_err *err)
{
    pang_code code = PANG_OK;
    char **keys = pang_arena_alloc_n(arena, PANG_API_KEYS_ACTIVE, sizeof(char *));
    char *first = pang_arena_cstr(arena, id);
    if (keys == NULL || first == NULL)
        return pang_fail_memory(err);
    keys[0] = first;
    size_t n = 1;
    for (size_t i = 0; code == PANG_OK && i < owner->n_keys; i++) {
        if (i < keep)
            keys[n++] = owner->keys[i];
        else
            code = drop_record(txn, owner->keys[i], arena, err);
    }
    owner->keys = keys;
    owner->n_keys = n;
    return code;
}

static pang_code put_record(pang_txn *txn, pang_keyring *keyring, int64_t now_ms,
                            const pang_api_key_owner *whose, pang_str id, pang_str secret,
                            pang_arena *arena, pang_err *err)
{
    rec_api_key record = PANGOLIN__STORE__V1__API_KEY__INIT;
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    uint8_t hash[PANG_HASH_BYTES];
    const pang_str parts[] = {id, secret};
    pang_str pepper = {0}, key = pang_key_api_key(&keys, id);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_keyring_mac(keyring, (pang_str){0}, PURPOSE, parts, 2, arena, &pepper, hash,
                                err);
    if (code != PANG_OK)
        return code;
    record.tenant = pang_bytes_of_id(&whose->tenant);
    record.service_user = pang_bytes_of_id(&whose->service_user);
    record.created_by = pang_bytes_of_id(&whose->created_by);
    record.hash = (ProtobufCBinaryData){sizeof hash, hash};
    record.created_ms = now_ms;
    record.expires_ms = whose->expires_ms;
    record.pepper_id = (char *)(uintptr_t)pepper.ptr; /* a C string: pang_arena_copy made it */
    pang_str body = pang_record_pack(&record.base, arena);
    if (body.ptr == NULL)
        return pang_fail_memory(err);
    pang_txn_check(txn, key, 0); /* nobody ever had this id */
    pang_txn_put(txn, PANG_KIND_API_KEY, key, body);
    return PANG_OK;
}

pang_code pang_api_key_issue(pang_txn *txn, pang_keyring *keyring, const pang_env *env,
                             const pang_api_key_owner *whose, unsigned keep,
                             rec_service_user *owner, pang_arena *arena, pang_str *ret_text,
                             pang_err *err)
{
    pang_str id = {0}, secret = {0}, text;
    int64_t now = pang_env_wall_ms(env);
    if (keep >= PANG_API_KEYS_ACTIVE)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "a service user has %d keys at most",
                         PANG_API_KEYS_ACTIVE);
    if (whose->expires_ms != 0 && whose->expires_ms <= now)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "an API key must not end before it begins");
    text = new_text(env, arena);
    if (text.ptr == NULL)
        return pang_fail_memory(err);
    (void)pang_api_key_parse(text, &id, &secret);
    pang_code code = enlist(txn, owner, id, keep, arena, err);
    if (code == PANG_OK)
        code = put_record(txn, keyring, now, whose, id, secret, arena, err);
    if (code == PANG_OK)
        *ret_text = text;
    return code;
}

/* ---- checking ---- */

static pang_code refuse(pang_err *err, const char *why)
{
    pang_code code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                               "the API key is not valid");
    pang_err_detail(err, "%s", why);
    return code;
}

/* A record of nobody, so that the same is done for an id that there is not. */
static pang_code read_record(const pang_record *found, pang_arena *arena, rec_api_key **ret,
                             pang_err *err)
{
    static const rec_api_key nobody = PANGOLIN__STORE__V1__API_KEY__INIT;
    if (found->version != 0)
        return pang_record_unpack(&pangolin__store__v1__api_key__descriptor, found, arena, ret,
                                  err);
    *ret = pang_arena_alloc(arena, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    **ret = nobody;
    return PANG_OK;
}

pang_code pang_api_key_find(pang_txn *txn, pang_keyring *keyring, const pang_env *env,
                            pang_str text, pang_arena *arena, rec_api_key **ret, pang_err *err)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    rec_api_key *record = NULL;
    uint8_t hash[PANG_HASH_BYTES];
    pang_str parts[2];
    pang_record found;
    if (!pang_api_key_parse(text, &parts[0], &parts[1]))
        return refuse(err, "it has not the form of a key");
    pang_str key = pang_key_api_key(&keys, parts[0]);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, key, &found, err);
    if (code == PANG_OK)
        code = read_record(&found, arena, &record, err);
    if (code == PANG_OK)
        code = pang_keyring_mac(keyring, pang_str_from(record->pepper_id), PURPOSE, parts, 2, arena,
                                NULL, hash, err);
    if (code != PANG_OK)
        return code;
    pang_str right = record->hash.len == sizeof hash ? pang_str_of(record->hash) : (pang_str){0};
    if (!pang_str_equal_secret(right, (pang_str){(const char *)hash, sizeof hash}))
        return refuse(err, found.version == 0 ? "there is no such key" : "its secret is wrong");
    if (record->expires_ms != 0 && record->expires_ms <= pang_env_wall_ms(env))
        return refuse(err, "its time is over");
    *ret = record;
    return PANG_OK;
}
