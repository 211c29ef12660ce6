/*
 * The code's alphabet leaves out what is mistaken for something else when it is copied by hand.
 */
#include "server/root.h"

#include <string.h>

#include "api/keys_identity.h"
#include "api/keys_secrets.h"
#include "api/root.h"
#include "server/audit_log.h"
#include "server/hash.h"
#include "server/records.h"

#include "pangolin/store/v1/secrets.pb-c.h"

enum { GROUP = 5, STORE_MS = 30 * 1000 };

typedef Pangolin__Store__V1__User rec_user;
typedef Pangolin__Store__V1__RootSetup rec_setup;

static const pang_id root_id = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                 0xff, 0xff, 0xff, 0xff, 0xff}};

/* ---- the code ---- */

static void make_code(const pang_env *env, char to[PANG_SETUP_CODE + 1])
{
    static const char alphabet[] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    uint8_t chance[PANG_SETUP_CODE];
    pang_env_random(env, chance, sizeof chance);
    for (size_t i = 0; i < PANG_SETUP_CODE; i++)
        to[i] = i % (GROUP + 1) == GROUP ? '-' : alphabet[chance[i] % 32];
    to[PANG_SETUP_CODE] = '\0';
}

pang_code pang_setup_code_put(pang_txn *txn, const pang_env *env, pang_arena *arena, pang_str *ret,
                              pang_err *err)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    rec_setup body = PANGOLIN__STORE__V1__ROOT_SETUP__INIT;
    char *code_text = pang_arena_alloc_text(arena, PANG_SETUP_CODE + 1);
    uint8_t hash[PANG_HASH_BYTES];
    if (code_text == NULL)
        return pang_fail_memory(err);
    make_code(env, code_text);
    pang_str text = {code_text, PANG_SETUP_CODE};
    pang_code code = pang_hash(&text, 1, hash, err);
    if (code != PANG_OK)
        return code;
    body.hash = pang_bytes_of((pang_str){(const char *)hash, sizeof hash});
    body.created_ms = pang_env_wall_ms(env);
    pang_txn_put(txn, PANG_KIND_ROOT_SETUP, pang_key_root_setup(&keys),
                 pang_record_pack(&body.base, arena));
    *ret = text;
    return pang_keys_status(&keys, err);
}

/* ---- the account ---- */

pang_code pang_root_get(pang_txn *txn, pang_arena *arena, rec_user **ret, pang_err *err)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_record record;
    *ret = NULL;
    pang_code code = pang_txn_get_one(txn, pang_key_user(&keys, root_id), &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(&pangolin__store__v1__user__descriptor, &record, arena, ret, err);
}

void pang_root_put(pang_txn *txn, const pang_env *env, pang_arena *arena, rec_user *root, bool ends)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    root->id = pang_bytes_of_id(&root_id);
    root->rank = PANGOLIN__STORE__V1__RANK__RANK_ROOT;
    root->updated_ms = pang_env_wall_ms(env);
    if (ends) {
        root->token_epoch++;
        pang_txn_add(txn, pang_key_count(&keys, PANG_COUNT_AUTH), 1);
    }
    pang_txn_put(txn, PANG_KIND_USER, pang_key_user(&keys, root_id),
                 pang_record_pack(&root->base, arena));
}

/* ---- the reset ---- */

typedef struct {
    const pang_env *env;
    pang_arena *arena;
    pang_str code;
} reset;

/* By no server: rows of the nil one are the host's own. */
static pang_code put_audit(reset *r, pang_txn *txn, const rec_user *root, pang_err *err)
{
    const pang_audit_event event = {
        .scope = PANG_SYSTEM_SCOPE,
        .action = PANG_STR("update_user"),
        .principal_name = PANG_STR("host"),
        .type = "user",
        .resource = root_id,
        .name = pang_str_from(root->username),
        .metadata = PANG_STR("{\"by\":\"pangolin root reset\"}"),
    };
    pang_str body;
    pang_code code = pang_audit_row(&event, (pang_id){{0}}, r->arena, &body, err);
    return code == PANG_OK
               ? pang_audit_put(txn, PANG_SYSTEM_SCOPE, (pang_id){{0}}, body, r->arena, err)
               : code;
}

static pang_code reset_in(pang_txn *txn, void *arg, pang_err *err)
{
    reset *r = arg;
    rec_user *root;
    pang_code code = pang_root_get(txn, r->arena, &root, err);
    if (code == PANG_OK && root == NULL)
        return pang_fail(err, PANG_NOT_FOUND, NULL,
                         "the store knows no root yet: a server that starts with authentication "
                         "makes it, and shows a setup code");
    if (code != PANG_OK)
        return code;
    root->password = (char *)(uintptr_t)protobuf_c_empty_string;
    root->inactive = false;
    pang_root_put(txn, r->env, r->arena, root, true);
    code = pang_setup_code_put(txn, r->env, r->arena, &r->code, err);
    return code == PANG_OK ? put_audit(r, txn, root, err) : code;
}

pang_code pang_root_reset(pang_store *store, const pang_env *env, pang_arena *arena, pang_str *ret,
                          pang_err *err)
{
    reset r = {.env = env, .arena = arena};
    pang_db *db;
    pang_code code = pang_db_open(store, &(pang_db_config){0}, &db, err);
    if (code != PANG_OK) {
        pang_store_close(store);
        return code;
    }
    code = pang_txn_run(db, PANG_SYSTEM_SCOPE, pang_env_mono_ms(env) + STORE_MS, arena, reset_in,
                        &r, err);
    pang_db_close(db);
    if (code == PANG_OK)
        *ret = r.code;
    return code;
}
