/*
 * One transaction that writes only what it finds missing. A configuration's password is hashed like
 * any other and kept beside what else root has, so that it is the same root that signs in by it,
 * by a code, or by a token; when the configuration names another, older tokens end.
 */
#include "server/first_start.h"

#include "api/keys_identity.h"
#include "api/keys_secrets.h"
#include "server/password.h"
#include "server/records.h"
#include "server/root.h"

enum { STORE_MS = 60 * 1000 };

typedef Pangolin__Store__V1__User rec_user;
typedef Pangolin__Store__V1__Tenant rec_tenant;
typedef Pangolin__Store__V1__TenantName rec_tenant_name;

typedef struct {
    const pang_first_start *first;
    pang_arena *arena;
    pang_txn *txn;
    pang_keys keys; /* of the system scope */
    int64_t deadline_ms;
    pang_str code;
    bool waits;
} starting;

/* ---- the nil tenant ---- */

static pang_code name_tenant(starting *s, pang_err *err)
{
    static const pang_id nil = {{0}};
    rec_tenant tenant = PANGOLIN__STORE__V1__TENANT__INIT;
    rec_tenant_name name = PANGOLIN__STORE__V1__TENANT_NAME__INIT;
    pang_ref refs[] = {{.key = pang_key_tenant(&s->keys, nil)},
                       {.key = pang_key_tenant_name(&s->keys, PANG_STR(PANG_DEFAULT_TENANT))}};
    pang_record records[2] = {0};
    pang_code code = pang_keys_status(&s->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(s->txn, refs, 2, PANG_READ_CHECKED, records, err);
    if (code != PANG_OK || records[0].version != 0)
        return code;
    /* Where another has the name, it is the nil tenant that goes by its id. */
    tenant.name = (char *)(uintptr_t)(records[1].version == 0 ? PANG_DEFAULT_TENANT
                                                              : PANG_DEFAULT_TENANT "-0");
    tenant.id = name.tenant = pang_bytes_of_id(&nil);
    tenant.created_ms = pang_env_wall_ms(s->first->env);
    pang_txn_put(s->txn, PANG_KIND_TENANT, refs[0].key, pang_record_pack(&tenant.base, s->arena));
    if (records[1].version == 0) {
        pang_txn_put(s->txn, PANG_KIND_TENANT_NAME, refs[1].key,
                     pang_record_pack(&name.base, s->arena));
        pang_txn_add(s->txn, pang_key_count(&s->keys, PANG_COUNT_TENANTS), 1);
    }
    return pang_keys_status(&s->keys, err);
}

/* ---- root ---- */

static rec_user *new_root(starting *s)
{
    rec_user *root = pang_arena_alloc(s->arena, sizeof *root);
    if (root == NULL)
        return NULL;
    *root = (rec_user)PANGOLIN__STORE__V1__USER__INIT;
    root->email = (char *)(uintptr_t) "root@pangolin.local";
    root->created_ms = pang_env_wall_ms(s->first->env);
    return root;
}

/* Whether the configuration's password is root's already. */
static pang_code is_known(starting *s, const rec_user *root, bool *ret, pang_err *err)
{
    bool is_weaker = false;
    *ret = false;
    if (root->password[0] == '\0')
        return PANG_OK;
    pang_code code = pang_password_verify(s->first->passwords, s->first->root_password,
                                          pang_str_from(root->password), s->deadline_ms, &is_weaker,
                                          err);
    *ret = code == PANG_OK && !is_weaker;
    return code == PANG_UNAUTHENTICATED ? PANG_OK : code;
}

static pang_code take_password(starting *s, rec_user *root, bool *ret_changed, pang_err *err)
{
    pang_str hash;
    bool known = false;
    pang_code code = pang_password_check(s->first->root_password, pang_str_from(root->username),
                                         err);
    if (code == PANG_OK)
        code = is_known(s, root, &known, err);
    if (code != PANG_OK || known)
        return code;
    code = pang_password_hash(s->first->passwords, s->first->root_password, s->deadline_ms,
                              s->arena, &hash, err);
    if (code == PANG_OK)
        root->password = pang_arena_cstr(s->arena, hash);
    if (code == PANG_OK && root->password == NULL)
        return pang_fail_memory(err);
    *ret_changed = true;
    pang_txn_delete(s->txn, pang_key_root_setup(&s->keys));
    return code;
}

static pang_code offer_code(starting *s, pang_err *err)
{
    pang_record record;
    pang_code code = pang_txn_get_one(s->txn, pang_key_root_setup(&s->keys), &record, err);
    s->waits = code == PANG_OK && record.version != 0;
    if (code != PANG_OK || s->waits)
        return code;
    return pang_setup_code_put(s->txn, s->first->env, s->arena, &s->code, err);
}

static pang_code root_account(starting *s, pang_err *err)
{
    rec_user *root = NULL;
    bool ends = false;
    pang_str name = s->first->root_name.len > 0 ? s->first->root_name : PANG_STR("root");
    pang_code code = pang_root_get(s->txn, s->arena, &root, err);
    bool is_new = code == PANG_OK && root == NULL;
    if (is_new)
        root = new_root(s);
    if (code == PANG_OK && root == NULL)
        return pang_fail_memory(err);
    if (code != PANG_OK)
        return code;
    bool is_renamed = is_new || (s->first->root_name.len > 0 &&
                                 !pang_str_equal(pang_str_from(root->username), name));
    if (is_renamed)
        root->username = pang_arena_cstr(s->arena, name);
    if (root->username == NULL)
        return pang_fail_memory(err);
    if (s->first->root_password.len > 0)
        code = take_password(s, root, &ends, err);
    else if (root->password[0] == '\0')
        code = offer_code(s, err);
    if (code == PANG_OK && (ends || is_renamed))
        pang_root_put(s->txn, s->first->env, s->arena, root, ends && !is_new);
    return code;
}

static pang_code start_in(pang_txn *txn, void *arg, pang_err *err)
{
    starting *s = arg;
    s->txn = txn;
    s->code = (pang_str){0};
    s->waits = false;
    pang_code code = name_tenant(s, err);
    return code == PANG_OK ? root_account(s, err) : code;
}

pang_code pang_first_start_run(const pang_first_start *first, pang_arena *arena, pang_str *ret_code,
                               bool *ret_waits, pang_err *err)
{
    starting s = {
        .first = first,
        .arena = arena,
        .keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE},
        .deadline_ms = pang_env_mono_ms(first->env) + STORE_MS,
    };
    pang_code code = pang_txn_run(first->db, PANG_SYSTEM_SCOPE, s.deadline_ms, arena, start_in, &s,
                                  err);
    if (code != PANG_OK)
        return code;
    *ret_code = s.code;
    *ret_waits = s.waits;
    return PANG_OK;
}
