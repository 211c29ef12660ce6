/*
 * An account is one record, two ranges (its grants, its roles) and the roles themselves, level by
 * level: as many round trips as roles are nested, and only when something has changed.
 */
#include "server/standing.h"

#include "pangolin/store/v1/identity.pb-c.h"
#include "server/records.h"

typedef Pangolin__Store__V1__User rec_user;
typedef Pangolin__Store__V1__ServiceUser rec_service_user;
typedef Pangolin__Store__V1__Tenant rec_tenant;
typedef Pangolin__Store__V1__Grant rec_grant;
typedef Pangolin__Store__V1__Assignment rec_assignment;
typedef Pangolin__Store__V1__Role rec_role;
typedef Pangolin__Store__V1__Scope rec_scope;

/* One loading. */
typedef struct {
    pang_txn *txn;
    pang_arena *arena;
    pang_keys keys;
    pang_id principal;
} loading;

static pang_rank rank_of(Pangolin__Store__V1__Rank rank, bool inactive)
{
    if (inactive)
        return PANG_RANK_NOBODY;
    switch (rank) {
    case PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER:
        return PANG_RANK_MEMBER;
    case PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN:
        return PANG_RANK_ADMIN;
    default:
        return PANG_RANK_NOBODY; /* root's account is in no tenant */
    }
}

/* ---- the account's own record ---- */

static pang_code take_user(loading *l, const pang_record *record, pang_standing *ret, pang_err *err)
{
    rec_user *user;
    pang_code code = pang_record_unpack(&pangolin__store__v1__user__descriptor, record, l->arena,
                                        &user, err);
    if (code != PANG_OK)
        return code;
    ret->source.rank = rank_of(user->rank, user->inactive);
    ret->token_epoch = user->token_epoch;
    return PANG_OK;
}

static pang_code take_service_user(loading *l, const pang_record *record, pang_standing *ret,
                                   pang_err *err)
{
    rec_service_user *user;
    pang_code code = pang_record_unpack(&pangolin__store__v1__service_user__descriptor, record,
                                        l->arena, &user, err);
    if (code != PANG_OK)
        return code;
    pang_str *keys = pang_arena_alloc_n(l->arena, user->n_keys, sizeof *keys);
    if (keys == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < user->n_keys; i++)
        keys[i] = pang_str_from(user->keys[i]);
    ret->keys = keys;
    ret->n_keys = user->n_keys;
    ret->source.rank = rank_of(user->rank, user->inactive);
    ret->token_epoch = user->token_epoch;
    return PANG_OK;
}

static pang_code load_self(loading *l, bool is_service, pang_standing *ret, pang_err *err)
{
    pang_record record;
    pang_str key = is_service ? pang_key_service_user(&l->keys, l->principal)
                              : pang_key_user(&l->keys, l->principal);
    pang_code code = pang_keys_status(&l->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(l->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code; /* gone: nobody */
    return is_service ? take_service_user(l, &record, ret, err) : take_user(l, &record, ret, err);
}

/* In a tenant that is being deleted all are nobody at once, though its sweep takes a while. Asked
 * first: a trip to the store would find what the cache said of the account, and begin again. */
static pang_code load_tenant(loading *l, pang_id id, bool *ret_going, pang_err *err)
{
    pang_keys system = {.arena = l->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str key = pang_key_tenant(&system, id);
    rec_tenant *tenant = NULL;
    pang_record record = {0};
    *ret_going = false;
    pang_code code = pang_keys_status(&system, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(l->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__tenant__descriptor, &record, l->arena, &tenant,
                              err);
    if (code == PANG_OK)
        *ret_going = tenant->deleting;
    return code;
}

/* ---- ranges ---- */

typedef struct {
    pang_arena *arena;
    pang_record *rows;
    size_t n, room;
    bool failed;
} range;

static bool keep_row(void *arg, const pang_record *row)
{
    range *r = arg;
    r->failed = !pang_record_copy(row, r->arena, &r->rows[r->n]);
    return !r->failed && ++r->n < r->room;
}

static bool grow(range *r, size_t more)
{
    pang_record *rows = pang_arena_alloc_n(r->arena, r->n + more, sizeof *rows);
    if (rows == NULL)
        return false;
    for (size_t i = 0; i < r->n; i++)
        rows[i] = r->rows[i];
    r->rows = rows;
    r->room = r->n + more;
    return true;
}

/* All of a range: a small bite first, since most are small. */
static pang_code read_range(loading *l, pang_str prefix, size_t most, range *ret, pang_err *err)
{
    *ret = (range){.arena = l->arena};
    pang_query query = {.prefix = prefix, .limit = 64};
    pang_code code = pang_keys_status(&l->keys, err);
    while (code == PANG_OK) {
        if (!grow(ret, query.limit))
            return pang_fail_memory(err);
        code = pang_txn_scan(l->txn, &query, keep_row, ret, err);
        if (code == PANG_OK && ret->failed)
            return pang_fail_memory(err);
        if (code != PANG_OK || ret->n < ret->room)
            return code;
        if (ret->n > most)
            return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL,
                             "a principal has more than %zu grants or roles", most);
        query.after = ret->rows[ret->n - 1].key;
        query.limit = query.limit < PANG_SCAN_MAX / 4 ? query.limit * 4 : PANG_SCAN_MAX;
    }
    return code;
}

/* ---- grants ---- */

static pang_scope scope_of(const rec_scope *scope)
{
    if (scope == NULL)
        return (pang_scope){0};
    return (pang_scope){
        .kind = (pang_scope_kind)scope->kind, /* the same numbers */
        .catalog = pang_id_of(scope->catalog),
        .asset = pang_id_of(scope->asset),
        .path = pang_str_from(scope->path),
        .tag = pang_str_from(scope->tag),
    };
}

static pang_code load_grants(loading *l, pang_standing *ret, pang_err *err)
{
    range rows;
    pang_code code = read_range(l, pang_key_grants(&l->keys, l->principal), PANG_GRANTS_MAX, &rows,
                                err);
    if (code != PANG_OK)
        return code;
    pang_grant *grants = pang_arena_alloc_n(l->arena, rows.n, sizeof *grants);
    if (grants == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < rows.n; i++) {
        rec_grant *grant;
        code = pang_record_unpack(&pangolin__store__v1__grant__descriptor, &rows.rows[i], l->arena,
                                  &grant, err);
        if (code != PANG_OK)
            return code;
        grants[i] = (pang_grant){pang_id_of(grant->id), scope_of(grant->scope), grant->actions};
    }
    ret->source.grants = grants;
    ret->source.n_grants = rows.n;
    return PANG_OK;
}

/* ---- roles ---- */

static pang_code take_role(loading *l, const pang_record *record, pang_role *ret, pang_err *err)
{
    rec_role *role;
    pang_code code = pang_record_unpack(&pangolin__store__v1__role__descriptor, record, l->arena,
                                        &role, err);
    if (code != PANG_OK)
        return code;
    pang_grant *grants = pang_arena_alloc_n(l->arena, role->n_given, sizeof *grants);
    pang_id *includes = pang_arena_alloc_n(l->arena, role->n_includes, sizeof *includes);
    if (grants == NULL || includes == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < role->n_given; i++)
        grants[i] = (pang_grant){pang_id_of(role->given[i]->id), scope_of(role->given[i]->scope),
                                 role->given[i]->actions};
    for (size_t i = 0; i < role->n_includes; i++)
        includes[i] = pang_id_of(role->includes[i]);
    *ret = (pang_role){.id = pang_id_of(role->id),
                       .name = pang_str_from(role->name),
                       .grants = grants,
                       .n_grants = role->n_given,
                       .includes = includes,
                       .n_includes = role->n_includes};
    return PANG_OK;
}

/* Roles to be read (from `next` on) and read, each once. */
typedef struct {
    pang_id *ids;
    size_t n, next;
    pang_role *roles;
    size_t n_roles;
} role_list;

static pang_code want_role(role_list *list, pang_id id, pang_err *err)
{
    for (size_t i = 0; i < list->n; i++)
        if (pang_id_equal(list->ids[i], id))
            return PANG_OK;
    if (list->n == PANG_ROLES_MAX)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "a principal has more than %d roles",
                         PANG_ROLES_MAX);
    list->ids[list->n++] = id;
    return PANG_OK;
}

/* Reads all that are wanted by now, in one get, and wants what they include. */
static pang_code load_level(loading *l, role_list *list, pang_err *err)
{
    size_t from = list->next, n = list->n - from, first = list->n_roles;
    pang_ref *refs = pang_arena_alloc_n(l->arena, n, sizeof *refs);
    pang_record *records = pang_arena_alloc_n(l->arena, n, sizeof *records);
    if (refs == NULL || records == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        refs[i].key = pang_key_role(&l->keys, list->ids[from + i]);
    list->next = list->n;
    pang_code code = pang_keys_status(&l->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(l->txn, refs, n, PANG_READ_CHECKED, records, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (records[i].version != 0)
            code = take_role(l, &records[i], &list->roles[list->n_roles++], err);
    for (size_t i = first; code == PANG_OK && i < list->n_roles; i++)
        for (size_t j = 0; code == PANG_OK && j < list->roles[i].n_includes; j++)
            code = want_role(list, list->roles[i].includes[j], err);
    return code;
}

static pang_code load_roles(loading *l, pang_standing *ret, pang_err *err)
{
    range rows;
    pang_code code = read_range(l, pang_key_assignments(&l->keys, l->principal), PANG_ROLES_MAX,
                                &rows, err);
    if (code != PANG_OK || rows.n == 0)
        return code;
    role_list list = {
        .ids = pang_arena_alloc_n(l->arena, PANG_ROLES_MAX, sizeof(pang_id)),
        .roles = pang_arena_alloc_n(l->arena, PANG_ROLES_MAX, sizeof(pang_role)),
    };
    if (list.ids == NULL || list.roles == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < rows.n; i++) {
        rec_assignment *assignment;
        code = pang_record_unpack(&pangolin__store__v1__assignment__descriptor, &rows.rows[i],
                                  l->arena, &assignment, err);
        if (code == PANG_OK)
            code = want_role(&list, pang_id_of(assignment->role), err);
    }
    ret->source.assigned = list.ids;
    ret->source.n_assigned = list.n;
    while (code == PANG_OK && list.next < list.n)
        code = load_level(l, &list, err);
    ret->source.roles = list.roles;
    ret->source.n_roles = list.n_roles;
    return code;
}

pang_code pang_standing_load(void *arg, pang_txn *txn, pang_str scope, const pang_principal *who,
                             pang_arena *arena, pang_standing *ret, pang_err *err)
{
    (void)arg;
    loading l = {txn, arena, {.arena = arena, .scope = scope}, who->id};
    *ret = (pang_standing){.source.tenant = who->tenant};
    bool is_going;
    pang_code code = load_tenant(&l, who->tenant, &is_going, err);
    if (code != PANG_OK || is_going)
        return code;
    code = load_self(&l, who->kind == PANG_PRINCIPAL_SERVICE_USER, ret, err);
    if (code != PANG_OK || ret->source.rank != PANG_RANK_MEMBER)
        return code; /* the others need no grants */
    code = load_grants(&l, ret, err);
    return code == PANG_OK ? load_roles(&l, ret, err) : code;
}
