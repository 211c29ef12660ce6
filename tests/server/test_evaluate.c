/*
 * server/evaluate.c, auth_cache.c, standing.c: two servers on one store. What one of them changes
 * about an account holds for the next call on the other, in as many round trips as before; lists
 * show what checks allow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/keys_secrets.h"
#include "pangolin/store/v1/identity.pb-c.h"
#include "pangolin/store/v1/secrets.pb-c.h"
#include "server/evaluate.h"
#include "server/standing.h"
#include "storage/faulty.h"
#include "tests/server/catalog_fixture.h"

enum { CATALOG = 2, NAMESPACE = 3, TABLE = 4, ASSET = 13 };
enum { SERVERS = 2, IDS = 64 };

typedef struct {
    fixture *fx;
    pang_store *store[SERVERS];
    pang_db *db[SERVERS];
    pang_auth_cache *cache[SERVERS];
    pang_server_env server[SERVERS];
    pang_id ids[IDS]; /* of principals, roles and grants, by small numbers */
    pang_id catalog;
    pang_principal who;
    pang_str ref; /* that requests name beside the object; empty: none */
    pang_err err;
} world;

/* ---- the world ---- */

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->fx = fx_open("memory:");
    assert_int_equal(fx_create_namespace(w->fx, "a"), PANG_OK);
    assert_int_equal(fx_create_namespace(w->fx, "a.b"), PANG_OK);
    assert_int_equal(fx_create_namespace(w->fx, "a.c"), PANG_OK);
    assert_int_equal(fx_create_namespace(w->fx, "z"), PANG_OK);
    assert_int_equal(fx_create_table(w->fx, "a.b", "t1", NULL), PANG_OK);
    assert_int_equal(fx_create_table(w->fx, "a.b", "t2", NULL), PANG_OK);
    assert_int_equal(fx_create_table(w->fx, "a.b", "t3", NULL), PANG_OK);
    assert_int_equal(fx_create_table(w->fx, "z", "t4", NULL), PANG_OK);
    w->catalog = fx_view(w->fx, fx_begin(w->fx)).catalog;
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(
            pang_faulty_wrap(pang_db_store(w->fx->db), false, false, &w->store[i], &w->err),
            PANG_OK);
        assert_int_equal(pang_db_open(w->store[i], &(pang_db_config){0}, &w->db[i], &w->err),
                         PANG_OK);
        w->cache[i] = pang_auth_cache_new(0, pang_standing_load, NULL);
        assert_non_null(w->cache[i]);
        w->server[i] = w->fx->server;
        w->server[i].db = w->db[i];
    }
    for (int i = 0; i < IDS; i++)
        w->ids[i] = pang_id_v7(&w->fx->env);
    w->who = (pang_principal){.id = w->ids[0],
                              .name = PANG_STR("u"),
                              .is_known = true,
                              .kind = PANG_PRINCIPAL_TENANT_USER,
                              .credential = PANG_CREDENTIAL_TOKEN,
                              .token_epoch = 5};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    for (int i = 0; i < SERVERS; i++) {
        pang_auth_cache_free(w->cache[i]);
        pang_db_close(w->db[i]);
    }
    fx_close(w->fx);
    free(w);
    return 0;
}

/* ---- changing accounts, through the first server ---- */

static pang_keys keys_of(world *w)
{
    return (pang_keys){.arena = w->fx->arena, .scope = FX_SCOPE};
}

static pang_txn *begin(world *w, int server)
{
    pang_txn *txn = pang_txn_begin(w->db[server], FX_SCOPE, PANG_NO_DEADLINE, w->fx->arena);
    assert_non_null(txn);
    return txn;
}

static void add_epoch(world *w, pang_txn *txn)
{
    pang_keys keys = keys_of(w);
    pang_txn_add(txn, pang_key_count(&keys, PANG_COUNT_AUTH), 1);
}

static void write(world *w, uint32_t kind, pang_str key, const ProtobufCMessage *body)
{
    pang_txn *txn = begin(w, 0);
    if (body != NULL)
        pang_txn_put(txn, kind, key, pang_record_pack(body, w->fx->arena));
    else
        pang_txn_delete(txn, key);
    add_epoch(w, txn);
    assert_int_equal(pang_txn_commit(txn, &w->err), PANG_OK);
}

static void put_user(world *w, Pangolin__Store__V1__Rank rank, bool inactive, uint64_t token_epoch)
{
    pang_keys keys = keys_of(w);
    Pangolin__Store__V1__User user = PANGOLIN__STORE__V1__USER__INIT;
    user.id = pang_bytes_of_id(&w->ids[0]);
    user.rank = rank;
    user.inactive = inactive;
    user.token_epoch = token_epoch;
    write(w, PANG_KIND_USER, pang_key_user(&keys, w->ids[0]), &user.base);
}

static void put_member(world *w)
{
    put_user(w, PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER, false, 5);
}

typedef Pangolin__Store__V1__Scope scope;

static scope *scope_of(world *w, int kind, const char *path)
{
    scope *s = pang_arena_alloc(w->fx->arena, sizeof *s);
    pangolin__store__v1__scope__init(s);
    s->kind = (Pangolin__Store__V1__Scope__Kind)kind;
    s->catalog = pang_bytes_of_id(&w->catalog);
    s->path = fx_text(w->fx, "%s", path);
    return s;
}

static void grant(world *w, int id, scope *s, uint32_t actions)
{
    pang_keys keys = keys_of(w);
    Pangolin__Store__V1__Grant body = PANGOLIN__STORE__V1__GRANT__INIT;
    body.id = pang_bytes_of_id(&w->ids[id]);
    body.scope = s;
    body.actions = actions;
    write(w, PANG_KIND_GRANT, pang_key_grant(&keys, w->ids[0], w->ids[id]), &body.base);
}

static void revoke(world *w, int id)
{
    pang_keys keys = keys_of(w);
    write(w, 0, pang_key_grant(&keys, w->ids[0], w->ids[id]), NULL);
}

static void put_role(world *w, int id, scope *s, uint32_t actions, int includes)
{
    pang_keys keys = keys_of(w);
    Pangolin__Store__V1__Role body = PANGOLIN__STORE__V1__ROLE__INIT;
    Pangolin__Store__V1__Role__Given given = PANGOLIN__STORE__V1__ROLE__GIVEN__INIT, *list = &given;
    ProtobufCBinaryData other = pang_bytes_of_id(&w->ids[includes]);
    body.id = pang_bytes_of_id(&w->ids[id]);
    given.scope = s;
    given.actions = actions;
    body.given = &list;
    body.n_given = s != NULL;
    body.includes = &other;
    body.n_includes = includes != 0;
    write(w, PANG_KIND_ROLE, pang_key_role(&keys, w->ids[id]), &body.base);
}

static void assign(world *w, int role)
{
    pang_keys keys = keys_of(w);
    Pangolin__Store__V1__Assignment body = PANGOLIN__STORE__V1__ASSIGNMENT__INIT;
    body.role = pang_bytes_of_id(&w->ids[role]);
    write(w, PANG_KIND_ASSIGNMENT, pang_key_assignment(&keys, w->ids[0], w->ids[role]), &body.base);
}

static pang_id asset_of(world *w, const char *ns, const char *name)
{
    pang_txn *txn = begin(w, 0);
    pang_view view;
    pang_str levels[8], rest = pang_str_from(ns);
    size_t n = 0;
    assert_int_equal(
        pang_view_begin(txn, w->fx->arena, FX_SCOPE, PANG_STR(FX_PREFIX), "x", &view, &w->err),
        PANG_OK);
    while (pang_str_next(&rest, '.', &levels[n]))
        n++;
    pang_content content = {
        .name = pang_name_of_asset(&view.keys, (pang_levels){levels, n}, pang_str_from(name))};
    assert_int_equal(pang_content_get(&view, &content, 1, &w->err), PANG_OK);
    assert_true(pang_content_exists(&content));
    return pang_id_of(content.body->asset);
}

static void tag(world *w, const pang_id *asset, const char *name)
{
    pang_keys keys = keys_of(w);
    Pangolin__Store__V1__AssetNotes body = PANGOLIN__STORE__V1__ASSET_NOTES__INIT;
    Pangolin__Store__V1__Tagged tagged = PANGOLIN__STORE__V1__TAGGED__INIT;
    char *text = fx_text(w->fx, "%s", name);
    body.asset = pang_bytes_of_id(asset);
    body.tags = &text;
    body.n_tags = 1;
    write(w, PANG_KIND_TAGGED, pang_key_tagged(&keys, pang_str_from(name), *asset), &tagged.base);
    write(w, PANG_KIND_ASSET_NOTES, pang_key_asset_notes(&keys, *asset), &body.base);
}

/* ---- asking ---- */

static pang_call call_of(world *w, int server)
{
    return (pang_call){.server = &w->server[server],
                       .who = &w->who,
                       .txn = begin(w, server),
                       .arena = w->fx->arena,
                       .deadline_ms = PANG_NO_DEADLINE,
                       .tenant_key = FX_SCOPE};
}

/* "demo/a.b/t": parts by slashes, levels by dots. */
static pang_access access_of(world *w, uint32_t action, uint32_t resource, const char *object)
{
    pang_object_part *parts = pang_arena_alloc_n(w->fx->arena, 3, sizeof *parts);
    pang_access access = {.action = action, .resource = resource, .object = parts, .ref = w->ref};
    pang_str rest = pang_str_from(object), one;
    while (object[0] != '\0' && pang_str_next(&rest, '/', &one)) {
        pang_object_part *part = &parts[access.n_object++];
        pang_str *levels = pang_arena_alloc_n(w->fx->arena, 8, sizeof *levels);
        part->levels = levels;
        if (access.n_object == 2)
            while (one.len > 0 && pang_str_next(&one, '.', &levels[part->n]))
                part->n++;
        else
            levels[part->n++] = one;
    }
    return access;
}

/* "allowed", "denied", "hidden", or the code of a refusal. */
static const char *ask(world *w, int server, uint32_t action, uint32_t resource, const char *object)
{
    static const char *const names[] = {"denied", "hidden", "allowed"};
    pang_call call = call_of(w, server);
    pang_access access = access_of(w, action, resource, object);
    pang_verdict verdict = PANG_HIDDEN;
    pang_code code = pang_evaluate_stand(w->cache[server], &call, &access, 1, &w->err);
    if (code == PANG_OK)
        code = pang_evaluate(w->cache[server], &call, &access, &verdict, &w->err);
    if (code == PANG_OK)
        code = pang_txn_finish(call.txn, &w->err);
    if (code == PANG_ABORTED)
        return ask(w, server, action, resource, object);
    return code == PANG_OK ? names[verdict] : pang_code_name(code);
}

#define EXPECT(server, action, resource, object, want)                                             \
    assert_string_equal(ask(w, server, PANG_ACT_##action, resource, object), want)

/* ---- standing ---- */

static void test_stand__accounts_that_are_gone_are_refused(void **state)
{
    world *w = *state;
    EXPECT(0, READ, TABLE, "demo/a.b/t1", "UNAUTHENTICATED"); /* there is none */
    put_member(w);
    EXPECT(0, READ, TABLE, "demo/a.b/t1", "hidden");
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "hidden");
    put_user(w, PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER, true, 5);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "UNAUTHENTICATED");
    put_user(w, PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER, false, 6);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "UNAUTHENTICATED"); /* its tokens have ended */
    w->who.token_epoch = 6;
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "hidden");
    put_user(w, PANGOLIN__STORE__V1__RANK__RANK_ROOT, false, 6);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "UNAUTHENTICATED"); /* root is in no tenant */
}

/* At once, though the tenant's records are there until the sweep comes. */
static void test_stand__a_tenant_that_goes(void **state)
{
    world *w = *state;
    pang_keys system = {.arena = w->fx->arena, .scope = PANG_SYSTEM_SCOPE};
    Pangolin__Store__V1__Tenant tenant = PANGOLIN__STORE__V1__TENANT__INIT;
    put_user(w, PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN, false, 5);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "allowed");
    write(w, PANG_KIND_TENANT, pang_key_tenant(&system, w->who.tenant), &tenant.base);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "allowed");
    tenant.deleting = true;
    write(w, PANG_KIND_TENANT, pang_key_tenant(&system, w->who.tenant), &tenant.base);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "UNAUTHENTICATED");
    EXPECT(0, READ, TABLE, "demo/a.b/t1", "UNAUTHENTICATED");
}

static void test_stand__a_revoked_token(void **state)
{
    world *w = *state;
    pang_keys keys = keys_of(w);
    Pangolin__Store__V1__RevokedToken revoked = PANGOLIN__STORE__V1__REVOKED_TOKEN__INIT;
    put_member(w);
    w->who.jti = w->ids[9];
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "hidden");
    write(w, PANG_KIND_REVOKED_TOKEN, pang_key_revoked_token(&keys, w->ids[9]), &revoked.base);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "UNAUTHENTICATED");
    w->who.jti = w->ids[10]; /* the account's others go on */
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "hidden");
}

static void test_stand__ranks(void **state)
{
    world *w = *state;
    put_user(w, PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN, false, 5);
    w->who.kind = PANG_PRINCIPAL_TENANT_ADMIN;
    w->who.is_admin = true;
    EXPECT(1, DELETE, TABLE, "demo/a.b/t1", "allowed");
    EXPECT(1, DELETE, TABLE, "nowhere/a.b/t1",
           "allowed"); /* the handler says that it is not there */
    put_member(w);
    EXPECT(1, LIST, CATALOG, "demo", "UNAUTHENTICATED"); /* no administrator any more */
    w->who.is_admin = false;
    EXPECT(1, LIST, CATALOG, "demo", "hidden");
    w->who = (pang_principal){.is_known = true, .kind = PANG_PRINCIPAL_ROOT};
    EXPECT(1, DELETE, TABLE, "demo/a.b/t1", "allowed");
    w->who = (pang_principal){.kind = PANG_PRINCIPAL_NONE};
    EXPECT(1, LIST, CATALOG, "demo", "hidden");
}

static void test_stand__api_keys(void **state)
{
    world *w = *state;
    pang_keys keys = keys_of(w);
    Pangolin__Store__V1__ServiceUser body = PANGOLIN__STORE__V1__SERVICE_USER__INIT;
    char *list[] = {fx_text(w->fx, "new"), fx_text(w->fx, "old")};
    body.rank = PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER;
    body.keys = list;
    body.n_keys = 2;
    write(w, PANG_KIND_SERVICE_USER, pang_key_service_user(&keys, w->ids[0]), &body.base);
    w->who.kind = PANG_PRINCIPAL_SERVICE_USER;
    w->who.credential = PANG_CREDENTIAL_API_KEY;
    w->who.key_id = PANG_STR("old");
    EXPECT(1, LIST, CATALOG, "demo", "hidden");
    body.n_keys = 1;
    write(w, PANG_KIND_SERVICE_USER, pang_key_service_user(&keys, w->ids[0]), &body.base);
    EXPECT(1, LIST, CATALOG, "demo", "UNAUTHENTICATED");
    w->who.key_id = PANG_STR("new");
    EXPECT(1, LIST, CATALOG, "demo", "hidden");
}

/* ---- grants ---- */

static void test_evaluate__a_change_holds_at_once_everywhere(void **state)
{
    world *w = *state;
    put_member(w);
    for (int i = 0; i < 3; i++) {
        EXPECT(1, READ, TABLE, "demo/a.b/t1", "hidden");
        grant(w, 1, scope_of(w, PANG_SCOPE_NAMESPACE, "a.b"), PANG_CAN(PANG_ACT_READ));
        EXPECT(1, READ, TABLE, "demo/a.b/t1", "allowed");
        EXPECT(0, READ, TABLE, "demo/a.b/t1", "allowed");
        revoke(w, 1);
    }
    EXPECT(0, READ, TABLE, "demo/a.b/t1", "hidden");
}

static void test_evaluate__names(void **state)
{
    world *w = *state;
    put_member(w);
    grant(w, 1, scope_of(w, PANG_SCOPE_NAMESPACE, "a.b"), PANG_CAN(PANG_ACT_READ));
    EXPECT(0, READ, NAMESPACE, "demo/a.b", "allowed");
    EXPECT(0, READ, NAMESPACE, "demo/a.b.new", "allowed");
    EXPECT(0, CREATE, TABLE, "demo/a.b", "denied");
    EXPECT(0, WRITE, TABLE, "demo/a.b/t1", "denied");
    EXPECT(0, READ, TABLE, "demo/a.b/absent", "allowed"); /* then the handler says so */
    EXPECT(0, READ, TABLE, "demo/a.c/t1", "hidden");
    EXPECT(0, READ, TABLE, "demo/absent/t1", "hidden");
    EXPECT(0, READ, NAMESPACE, "demo/a", "denied"); /* it leads to a.b */
    EXPECT(0, LIST, CATALOG, "demo", "allowed");
    EXPECT(0, READ, CATALOG, "demo", "denied");
    EXPECT(0, LIST, CATALOG, "absent", "hidden");
    EXPECT(0, READ, TABLE, "absent/a.b/t1", "hidden");
    /* Plain names are judged, whatever the ref. */
    EXPECT(0, READ, TABLE, "demo@absent/a.b/t1", "allowed");
    EXPECT(0, READ, TABLE, "demo@main/a.b/t1", "allowed");
    EXPECT(0, READ, TABLE, "demo/a.b@x/t1", "allowed");
    EXPECT(0, READ, TABLE, "demo/a.b/t1@x", "allowed");
    EXPECT(0, READ, TABLE, "demo@x/a.b/t1@y", "allowed");
    EXPECT(0, READ, TABLE, "demo@x/a.c/t1", "hidden");
    EXPECT(0, READ, NAMESPACE, "demo/a.b@x", "allowed");
    EXPECT(0, READ, NAMESPACE, "demo/a@x.b", "hidden");
    EXPECT(0, LIST, CATALOG, "demo@x", "allowed");
    EXPECT(0, LIST, CATALOG, "absent@main", "hidden");
    EXPECT(0, READ, TABLE, "demo//t1", "hidden");
    EXPECT(0, READ, TABLE, "", "denied"); /* the tenant */
    EXPECT(0, READ, 7, "x", "denied");    /* what is the tenant's, such as users */
    grant(w, 2, scope_of(w, PANG_SCOPE_TENANT, ""), PANG_CAN(PANG_ACT_READ));
    EXPECT(0, READ, TABLE, "absent/a.b/t1", "allowed");
    EXPECT(0, READ, 7, "x", "allowed");
    EXPECT(0, CREATE, CATALOG, "new", "denied");
}

static void test_evaluate__roles_within_roles(void **state)
{
    world *w = *state;
    put_member(w);
    put_role(w, 11, NULL, 0, 12);
    put_role(w, 12, NULL, 0, 13);
    put_role(w, 13, scope_of(w, PANG_SCOPE_CATALOG, ""), PANG_CAN(PANG_ACT_WRITE), 11);
    EXPECT(1, DELETE, TABLE, "demo/a.b/t1", "hidden");
    assign(w, 11);
    EXPECT(1, DELETE, TABLE, "demo/a.b/t1", "allowed");
    put_role(w, 12, NULL, 0, 0);
    EXPECT(1, DELETE, TABLE, "demo/a.b/t1", "hidden");
}

static void test_evaluate__single_assets_keep_their_grants(void **state)
{
    world *w = *state;
    pang_id asset = asset_of(w, "a.b", "t1");
    scope *s = scope_of(w, PANG_SCOPE_ASSET, "a.b");
    s->asset = pang_bytes_of_id(&asset);
    put_member(w);
    grant(w, 1, s, PANG_CAN(PANG_ACT_READ));
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "allowed");
    EXPECT(1, WRITE, TABLE, "demo/a.b/t1", "denied");
    EXPECT(1, READ, TABLE, "demo/a.b/t2", "hidden");
    EXPECT(1, READ, TABLE, "demo/a.b/absent", "hidden");
    char text[PANG_ID_TEXT + 1];
    pang_id_text(asset, text);
    EXPECT(1, READ, ASSET, text, "allowed");
    EXPECT(1, WRITE, ASSET, text, "denied");
    pang_id_text(asset_of(w, "a.b", "t2"), text);
    EXPECT(1, READ, ASSET, text, "hidden");
    EXPECT(1, READ, ASSET, "no id", "hidden");
}

static void test_evaluate__tags(void **state)
{
    world *w = *state;
    pang_id asset = asset_of(w, "z", "t4");
    scope *s = scope_of(w, PANG_SCOPE_TAG, "");
    s->tag = fx_text(w->fx, "pii");
    put_member(w);
    grant(w, 1, s, PANG_CAN(PANG_ACT_READ));
    EXPECT(1, READ, TABLE, "demo/z/t4", "hidden");
    tag(w, &asset, "pi");
    EXPECT(1, READ, TABLE, "demo/z/t4", "hidden");
    tag(w, &asset, "pii");
    EXPECT(1, READ, TABLE, "demo/z/t4", "allowed");
    EXPECT(1, DELETE, TABLE, "demo/z/t4", "denied");
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "hidden");
    char text[PANG_ID_TEXT + 1];
    pang_id_text(asset, text);
    EXPECT(1, READ, ASSET, text, "allowed");
}

static void rename_on(world *w, const char *prefix, const char *from, const char *to)
{
    Pangolin__V1__RenameTableRequest in = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    Pangolin__V1__RenameTableResponse out;
    Pangolin__V1__TableIdentifier source = PANGOLIN__V1__TABLE_IDENTIFIER__INIT, target = source;
    source.namespace_ = target.namespace_ = fx_levels(w->fx, "z", &source.n_namespace_);
    target.n_namespace_ = source.n_namespace_;
    source.name = fx_text(w->fx, "%s", from);
    target.name = fx_text(w->fx, "%s", to);
    in.prefix = fx_text(w->fx, "%s", prefix);
    in.source = &source;
    in.destination = &target;
    assert_int_equal(fx_call(w->fx, "RenameTable", &in, &out), PANG_OK);
}

/* What is granted of a tag or of one asset follows the asset to its name on the branch. */
static void test_evaluate__grants_follow_assets_on_branches(void **state)
{
    static const int kinds[] = {PANG_SCOPE_TAG, PANG_SCOPE_ASSET};
    world *w = *state;
    pang_id asset = asset_of(w, "z", "t4");
    fx_ok(w->fx, fx_create_branch(w->fx, "dev", "main"));
    rename_on(w, FX_PREFIX "@dev", "t4", "moved");
    assert_int_equal(fx_create_table(w->fx, "z", "moved", NULL),
                     PANG_OK); /* another one, on main */
    tag(w, &asset, "pii");
    put_member(w);
    for (int i = 0; i < 2; i++) {
        scope *s = scope_of(w, kinds[i], "");
        if (kinds[i] == PANG_SCOPE_TAG)
            s->tag = fx_text(w->fx, "pii");
        else
            s->asset = pang_bytes_of_id(&asset);
        grant(w, 1 + i, s, PANG_CAN(PANG_ACT_READ) | PANG_CAN(PANG_ACT_CREATE));
        EXPECT(1, READ, TABLE, "demo@dev/z/moved", "allowed");
        EXPECT(1, READ, TABLE, "demo/z@dev/moved", "allowed");
        EXPECT(1, READ, TABLE, "demo/z/moved@dev", "allowed");
        EXPECT(1, WRITE, TABLE, "demo@dev/z/moved", "denied");
        EXPECT(1, READ, TABLE, "demo@dev/z/t4", "hidden");
        EXPECT(1, READ, TABLE, "demo/z/t4", "allowed");
        EXPECT(1, READ, TABLE, "demo/z/moved", "hidden");
        EXPECT(1, READ, TABLE, "demo@none/z/moved", "hidden");
        w->ref = PANG_STR("dev"); /* as a field of its own */
        EXPECT(1, READ, TABLE, "demo/z/moved", "allowed");
        EXPECT(1, READ, TABLE, "demo/z/t4", "hidden");
        EXPECT(1, CREATE, TABLE, "demo/z/t4", "hidden"); /* t4 is not there */
        w->ref = (pang_str){0};
        EXPECT(1, CREATE, TABLE, "demo/z/t4", "allowed");
        revoke(w, 1 + i);
        EXPECT(1, READ, TABLE, "demo@dev/z/moved", "hidden");
    }
}

/* ---- the cost ---- */

/* A warm call: the epoch's get takes along all that the caches answered. */
static void test_stand__costs_one_round_trip(void **state)
{
    world *w = *state;
    pang_auth_cache_stats before, after;
    put_member(w);
    grant(w, 1, scope_of(w, PANG_SCOPE_NAMESPACE, "a.b"), PANG_CAN(PANG_ACT_READ));
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "allowed");
    pang_auth_cache_get_stats(w->cache[1], &before);
    pang_faulty_arm(w->store[1], NULL);
    EXPECT(1, READ, TABLE, "demo/a.b/t1", "allowed");
    assert_int_equal(pang_faulty_calls(w->store[1]), 1);
    EXPECT(1, READ, TABLE, "demo/a.b/t2", "allowed"); /* another name: with the epoch, too */
    assert_int_equal(pang_faulty_calls(w->store[1]), 2);
    pang_auth_cache_get_stats(w->cache[1], &after);
    assert_int_equal(after.loads, before.loads);
    assert_int_equal(after.hits, before.hits + 2);
    assert_true(after.entries == 1 && after.bytes > 0);
}

/* A commit that was judged before a change does not land after it. */
static void test_stand__a_change_before_the_commit_undoes_it(void **state)
{
    world *w = *state;
    pang_keys keys = keys_of(w);
    put_member(w);
    for (int changes = 0; changes < 2; changes++) {
        pang_call call = call_of(w, 1);
        assert_int_equal(pang_evaluate_stand(w->cache[1], &call, NULL, 0, &w->err), PANG_OK);
        pang_txn_put(call.txn, PANG_KIND_SETTING, pang_key_setting(&keys, PANG_STR("x")),
                     PANG_STR("y"));
        if (changes)
            put_member(w);
        assert_int_equal(pang_txn_commit(call.txn, &w->err), changes ? PANG_ABORTED : PANG_OK);
    }
}

static world *racing;
static unsigned races;

static void change_meanwhile(void *arg)
{
    (void)arg;
    if (races == 0)
        return;
    races--;
    put_member(racing);
}

/* Accounts are read between two looks at the epoch. */
static void test_load__a_change_meanwhile_is_seen(void **state)
{
    world *w = *state;
    static const struct {
        unsigned races;
        const char *want;
    } cases[] = {{1, "hidden"}, {3, "hidden"}, {50, "UNAVAILABLE"}};
    put_member(w);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_fault_plan plan = {.fault = PANG_FAULT_RUN_BEFORE,
                                .calls = PANG_CALL_SCAN,
                                .at = 1,
                                .times = 1000,
                                .run = change_meanwhile};
        racing = w;
        races = cases[i].races;
        put_member(w);
        pang_faulty_arm(w->store[1], &plan);
        EXPECT(1, LIST, CATALOG, "demo", cases[i].want);
        pang_faulty_arm(w->store[1], NULL);
        EXPECT(1, LIST, CATALOG, "demo", "hidden");
    }
}

static void test_evaluate__failing_lookups_refuse(void **state)
{
    world *w = *state;
    put_member(w);
    grant(w, 1, scope_of(w, PANG_SCOPE_NAMESPACE, "a.b"), PANG_CAN(PANG_ACT_READ));
    for (unsigned n = 1, hits = 1; hits > 0; n++) {
        pang_fault_plan plan = {.fault = PANG_FAULT_FAIL, .at = n};
        put_member(w); /* so that the account is read anew */
        pang_faulty_arm(w->store[1], &plan);
        const char *answer = ask(w, 1, PANG_ACT_READ, TABLE, "demo/a.b/t1");
        hits = pang_faulty_hits(w->store[1]);
        assert_string_equal(answer, hits > 0 ? "UNAVAILABLE" : "allowed");
        pang_faulty_arm(w->store[1], NULL);
        assert_true(n < 50);
    }
}

/* ---- lists ---- */

enum { SHOWN_MAX = 512 };

static void add(char text[SHOWN_MAX], const char *more)
{
    size_t len = strlen(text);
    (void)snprintf(text + len, SHOWN_MAX - len, "%s", more);
}

/* Names that ListNamespaces or ListTables shows, page after page of `size`, joined by blanks. */
static const char *list(world *w, const char *parent, bool tables, int size)
{
    static char text[SHOWN_MAX];
    const pang_service *service = tables ? &pang_service_table : &pang_service_namespace;
    const char *token = "", *path = tables ? "/pangolin.v1.TableService/ListTables"
                                           : "/pangolin.v1.NamespaceService/ListNamespaces";
    text[0] = '\0';
    for (int pages = 0; token != NULL && pages < 20; pages++) {
        Pangolin__V1__ListNamespacesRequest in = PANGOLIN__V1__LIST_NAMESPACES_REQUEST__INIT;
        Pangolin__V1__ListNamespacesResponse out = PANGOLIN__V1__LIST_NAMESPACES_RESPONSE__INIT;
        Pangolin__V1__ListTablesRequest in_t = PANGOLIN__V1__LIST_TABLES_REQUEST__INIT;
        Pangolin__V1__ListTablesResponse out_t = PANGOLIN__V1__LIST_TABLES_RESPONSE__INIT;
        pang_call call = call_of(w, 1);
        pang_code code = pang_evaluate_stand(w->cache[1], &call, NULL, 0, &w->err);
        size_t n = 0;
        char **levels = parent[0] == '\0' ? NULL : fx_levels(w->fx, parent, &n);
        in.prefix = in_t.prefix = (char *)(uintptr_t)FX_PREFIX;
        in.parent = in_t.namespace_ = levels;
        in.n_parent = in_t.n_namespace_ = n;
        in.page_token = in_t.page_token = (char *)(uintptr_t)token;
        in._page_token_case = PANGOLIN__V1__LIST_NAMESPACES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
        in_t._page_token_case = PANGOLIN__V1__LIST_TABLES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
        in.page_size = in_t.page_size = size;
        for (size_t i = 0; code == PANG_OK && i < service->n; i++)
            if (strcmp(service->methods[i].path, path) == 0)
                code = service->methods[i].handle(&call, tables ? (void *)&in_t : &in,
                                                  tables ? (void *)&out_t : &out, &w->err);
        if (code != PANG_OK)
            return pang_code_name(code);
        for (size_t i = 0; i < out.n_namespaces; i++) {
            add(text, text[0] != '\0' ? " " : "");
            add(text, out.namespaces[i]->levels[out.namespaces[i]->n_levels - 1]);
        }
        for (size_t i = 0; i < out_t.n_identifiers; i++) {
            add(text, text[0] != '\0' ? " " : "");
            add(text, out_t.identifiers[i]->name);
        }
        token = tables ? out_t.next_page_token : out.next_page_token;
        token = token == NULL || token[0] == '\0' ? NULL : token;
    }
    return text;
}

static void test_list__shows_what_checks_allow(void **state)
{
    world *w = *state;
    pang_id one = asset_of(w, "a.b", "t1"), three = asset_of(w, "a.b", "t3");
    pang_id four = asset_of(w, "z", "t4");
    put_member(w);
    assert_string_equal(list(w, "", false, 10), "");
    assert_string_equal(list(w, "a", false, 10), "NOT_FOUND");
    assert_string_equal(w->err.message, "Namespace does not exist: a");
    assert_string_equal(list(w, "absent", false, 10), "NOT_FOUND");
    assert_string_equal(w->err.message, "Namespace does not exist: absent");
    assert_string_equal(list(w, "a.b", true, 10), "NOT_FOUND");

    scope *s = scope_of(w, PANG_SCOPE_ASSET, "a.b");
    s->asset = pang_bytes_of_id(&three);
    grant(w, 1, s, PANG_CAN(PANG_ACT_READ));
    assert_string_equal(list(w, "", false, 10), "a");
    assert_string_equal(list(w, "a", false, 10), "b");
    assert_string_equal(list(w, "a.b", false, 10), "");
    assert_string_equal(list(w, "a.b", true, 10), "t3");
    assert_string_equal(list(w, "z", true, 10), "NOT_FOUND");

    s->asset = pang_bytes_of_id(&one);
    grant(w, 2, s, PANG_CAN(PANG_ACT_LIST));
    for (int size = 1; size < 4; size++)
        assert_string_equal(list(w, "a.b", true, size), "t1 t3");

    grant(w, 3, scope_of(w, PANG_SCOPE_NAMESPACE, "a.c"), PANG_CAN(PANG_ACT_LIST));
    grant(w, 4, scope_of(w, PANG_SCOPE_NAMESPACE, "absent"), PANG_CAN(PANG_ACT_LIST));
    for (int size = 1; size < 4; size++)
        assert_string_equal(list(w, "a", false, size), "b c");
    assert_string_equal(list(w, "", false, 1), "a");

    /* A tag shows what carries it where the container is shown for something else. */
    s = scope_of(w, PANG_SCOPE_TAG, "");
    s->tag = fx_text(w->fx, "pii");
    pang_id two = asset_of(w, "a.b", "t2");
    grant(w, 5, s, PANG_CAN(PANG_ACT_READ));
    tag(w, &two, "pii");
    tag(w, &four, "pii");
    for (int size = 1; size < 5; size++)
        assert_string_equal(list(w, "a.b", true, size), "t1 t2 t3");

    grant(w, 6, scope_of(w, PANG_SCOPE_CATALOG, ""), PANG_CAN(PANG_ACT_READ));
    assert_string_equal(list(w, "", false, 10), "a z");
    assert_string_equal(list(w, "z", true, 10), "t4");
}

/* ---- the bound of the cache ---- */

static pang_code load_nothing(void *arg, pang_txn *txn, pang_str in, const pang_principal *who,
                              pang_arena *arena, pang_standing *ret, pang_err *err)
{
    (void)txn;
    (void)in;
    (void)arena;
    (void)err;
    ++*(unsigned *)arg;
    *ret = (pang_standing){.source = {.tenant = who->tenant, .rank = PANG_RANK_MEMBER}};
    return PANG_OK;
}

static void test_cache__is_bounded_and_keeps_what_is_used(void **state)
{
    world *w = *state;
    enum { BYTES = 64 << 10, PRINCIPALS = 2000 };
    unsigned loads = 0;
    pang_auth_cache *cache = pang_auth_cache_new(BYTES, load_nothing, &loads);
    pang_auth_cache_stats stats;
    const pang_permit *permit, *first;
    pang_id used = w->who.id;
    pang_call held = call_of(w, 0);
    assert_int_equal(pang_auth_cache_get(cache, &held, 0, &first, &w->err), PANG_OK);
    for (int i = 0; i < PRINCIPALS; i++) {
        pang_call call = call_of(w, 0);
        w->who.id = pang_id_v4(&w->fx->env);
        assert_int_equal(pang_auth_cache_get(cache, &call, 0, &permit, &w->err), PANG_OK);
        w->who.id = used;
        assert_int_equal(pang_auth_cache_get(cache, &call, 0, &permit, &w->err), PANG_OK);
        assert_ptr_equal(permit, first);
    }
    assert_int_equal(loads, PRINCIPALS + 1);
    pang_auth_cache_get_stats(cache, &stats);
    assert_true(stats.bytes <= BYTES && stats.entries > 16 && stats.entries < PRINCIPALS);
    /* An older epoch is answered from a newer permit, a newer one loads. */
    assert_int_equal(pang_auth_cache_get(cache, &held, -1, &permit, &w->err), PANG_OK);
    assert_int_equal(loads, PRINCIPALS + 1);
    assert_int_equal(pang_auth_cache_get(cache, &held, 1, &permit, &w->err), PANG_OK);
    assert_int_equal(loads, PRINCIPALS + 2);
    pang_auth_cache_free(cache);
    assert_int_equal(pang_grants_rank(first->grants), PANG_RANK_MEMBER); /* the call holds it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stand__accounts_that_are_gone_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_stand__a_tenant_that_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stand__a_revoked_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stand__ranks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stand__api_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evaluate__a_change_holds_at_once_everywhere, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_evaluate__names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evaluate__roles_within_roles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evaluate__single_assets_keep_their_grants, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_evaluate__tags, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evaluate__grants_follow_assets_on_branches, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_stand__costs_one_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stand__a_change_before_the_commit_undoes_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_load__a_change_meanwhile_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_evaluate__failing_lookups_refuse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list__shows_what_checks_allow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache__is_bounded_and_keeps_what_is_used, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
