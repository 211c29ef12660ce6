/*
 * The catalog's services on branches, tags, commits and times: where a ref may stand in a request,
 * what it shows, and that what is done on one branch is not seen on another.
 */
#include <string.h>

#include "pangolin/v1/asset.pb-c.h"
#include "tests/server/ref_fixture.h"

#define NEW_SNAPSHOT(id)                                                                           \
    "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":" #id ",\"sequence-number\":" #id \
    ",\"timestamp-ms\":1700000000000,\"manifest-list\":\"m" #id                                    \
    "\",\"summary\":{\"operation\":\"append\"},\"schema-id\":0}},"                                 \
    "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","                  \
    "\"snapshot-id\":" #id "}]"

static void expect(fixture *fx, pang_code code, pang_code wanted, const char *reason,
                   const char *message)
{
    if (code != wanted)
        fail_msg("%s instead of %s: %s", pang_code_name(code), pang_code_name(wanted),
                 fx->err.message);
    assert_string_equal(fx->err.reason == NULL ? "" : fx->err.reason, reason);
    if (message[0] != '\0')
        assert_string_equal(fx->err.message, message);
}

static pang_code load_at(fixture *fx, const char *prefix, const char *ns, const char *name,
                         Pangolin__V1__LoadTableResponse *ret)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.table = fx_text(fx, "%s", name);
    return fx_call(fx, "LoadTable", &in, ret);
}

/* A namespace "ns" with a table "t", and a branch "dev" of that. */
static void make_dev(fixture *fx)
{
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
    rfx_branch(fx, "dev", "demo", 0);
}

static const char *location_at(fixture *fx, const char *prefix, const char *ns, const char *name)
{
    Pangolin__V1__LoadTableResponse out;
    if (load_at(fx, prefix, ns, name, &out) != PANG_OK)
        fail_msg("%s %s %s: %s", prefix, ns, name, fx->err.message);
    return out.metadata_location;
}

/* ---- where refs stand ---- */

static void test_svc_ref__a_ref_stands_in_any_part(void **state)
{
    fixture *fx = *state;
    make_dev(fx);
    assert_int_equal(fx_commit(fx, "ns", "t@dev", "[]", NEW_SNAPSHOT(1), NULL), PANG_OK);
    const char *dev = location_at(fx, "demo@dev", "ns", "t"),
               *main = location_at(fx, "demo", "ns", "t");
    assert_string_not_equal(dev, main);
    static const struct {
        const char *prefix, *ns, *name;
        bool is_dev;
    } cases[] = {
        {"demo", "ns", "t@dev", true},        {"demo", "ns@dev", "t", true},
        {"demo@dev", "ns@dev", "t", true},    {"demo@dev", "ns@dev", "t@dev", true},
        {"demo", "ns@main", "t", false},      {"demo@main", "ns", "t", false},
        {"demo", "ns@main", "t@main", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(location_at(fx, cases[i].prefix, cases[i].ns, cases[i].name),
                            cases[i].is_dev ? dev : main);
}

static void test_svc_ref__two_refs_must_be_the_same(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse out;
    make_dev(fx);
    static const struct {
        const char *prefix, *ns, *name;
    } cases[] = {
        {"demo@dev", "ns", "t@main"}, {"demo", "ns@dev", "t@main"}, {"demo@dev", "ns@x", "t"},
        {"demo@dev", "ns", "t@"},     {"demo@main", "ns", "t@dev"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(fx, load_at(fx, cases[i].prefix, cases[i].ns, cases[i].name, &out),
               PANG_INVALID_ARGUMENT, "BadRequestException", "");
}

static void test_svc_ref__an_unknown_ref_is_absent(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse out;
    make_dev(fx);
    expect(fx, load_at(fx, "demo", "ns", "t@nope", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "Ref does not exist: nope");
    expect(fx, load_at(fx, "demo@nope", "ns", "t", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "");
    expect(fx, load_at(fx, "demo", "ns", "t@", &out), PANG_NOT_FOUND, "NoSuchTableException", "");
    expect(fx, load_at(fx, "demo", "ns", "t@01890a5d-ac96-774b-bcce-b302099a8057", &out),
           PANG_NOT_FOUND, "NoSuchTableException", "");
    expect(fx, load_at(fx, "demo", "ns", "t@99999999999999999999999", &out), PANG_NOT_FOUND,
           "NoSuchTableException", "");
    expect(fx, fx_create_namespace(fx, "a@nope"), PANG_NOT_FOUND, "NoSuchNamespaceException", "");
    expect(fx, fx_create_table(fx, "ns@nope", "t", NULL), PANG_NOT_FOUND,
           "NoSuchNamespaceException", "");
    expect(fx, fx_commit(fx, "ns", "t@nope", "[]", NEW_SNAPSHOT(1), NULL), PANG_NOT_FOUND,
           "NoSuchTableException", "");
    expect(fx, load_at(fx, "demo", "ns", "t@nope", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "Ref does not exist: nope");
}

static void test_svc_ref__what_is_absent_is_named_as_it_was_asked_for(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse out;
    make_dev(fx);
    expect(fx, load_at(fx, "demo", "ns", "u@dev", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns.u@dev");
    expect(fx, load_at(fx, "demo", "ns@dev", "u", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns@dev.u");
    expect(fx, load_at(fx, "demo@dev", "ns", "u", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns.u");
    expect(fx, fx_create_table(fx, "no@dev", "t", NULL), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: no@dev");
}

/* ---- what is read-only ---- */

static void test_svc_ref__points_are_read_only(void **state)
{
    fixture *fx = *state;
    pang_commit_row head;
    char id[PANG_ID_TEXT + 1];
    make_dev(fx);
    rfx_tag(fx, "v1", "demo", 0);
    pang_view view = rfx_view(fx, "demo");
    assert_int_equal(pang_commit_head(&view, &head, &fx->err), PANG_OK);
    pang_id_text(pang_id_of(head.body->id), id);
    const char *old = location_at(fx, "demo", "ns", "t");
    atomic_fetch_add(&fx->ahead_ms, 10);
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", NEW_SNAPSHOT(1), NULL), PANG_OK);
    const char *refs[] = {"v1", id, fx_text(fx, "%lld", (long long)head.time_ms)};
    for (size_t i = 0; i < 3; i++) {
        const char *name = fx_text(fx, "t@%s", refs[i]);
        assert_string_equal(location_at(fx, "demo", "ns", name), old);
        expect(fx, fx_commit(fx, "ns", name, "[]", NEW_SNAPSHOT(1), NULL), PANG_INVALID_ARGUMENT,
               "BadRequestException",
               fx_text(fx, "\"%s\" cannot be written: it is no branch", refs[i]));
        expect(fx, fx_drop_table(fx, "ns", name, false), PANG_INVALID_ARGUMENT,
               "BadRequestException", "");
        expect(fx, fx_create_namespace(fx, fx_text(fx, "b@%s", refs[i])), PANG_INVALID_ARGUMENT,
               "BadRequestException", "");
    }
}

static void protect(pang_rec_ref *ref)
{
    ref->is_protected = true;
}

static void test_svc_ref__a_protected_branch_takes_no_writes(void **state)
{
    fixture *fx = *state;
    make_dev(fx);
    rfx_change(fx, "dev", protect);
    location_at(fx, "demo@dev", "ns", "t");
    expect(fx, fx_commit(fx, "ns", "t@dev", "[]", NEW_SNAPSHOT(1), NULL), PANG_PERMISSION_DENIED,
           "ForbiddenException", "");
    expect(fx, fx_drop_table(fx, "ns@dev", "t", false), PANG_PERMISSION_DENIED,
           "ForbiddenException", "");
    expect(fx, fx_create_namespace(fx, "b@dev"), PANG_PERMISSION_DENIED, "ForbiddenException", "");
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", NEW_SNAPSHOT(1), NULL), PANG_OK);
}

/* ---- writing on a branch ---- */

static void test_svc_ref__the_tables_main_is_the_branches_own_state(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse main, dev;
    make_dev(fx);
    assert_int_equal(fx_commit(fx, "ns", "t@dev", "[]", NEW_SNAPSHOT(1), NULL), PANG_OK);
    assert_int_equal(fx_commit(fx, "ns@dev", "t",
                               "[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\","
                               "\"snapshot-id\":1}]",
                               NEW_SNAPSHOT(2), NULL),
                     PANG_OK);
    assert_int_equal(load_at(fx, "demo@dev", "ns", "t", &dev), PANG_OK);
    assert_int_equal(load_at(fx, "demo", "ns", "t", &main), PANG_OK);
    const char *text = pang_arena_cstr(fx->arena, pang_str_of(dev.metadata));
    assert_non_null(strstr(text, "\"current-snapshot-id\":2"));
    assert_non_null(strstr(text, "\"refs\":{\"main\":{"));
    text = pang_arena_cstr(fx->arena, pang_str_of(main.metadata));
    assert_null(strstr(text, "\"snapshot-id\":1"));
}

static void test_svc_ref__what_is_made_and_dropped_stays_on_its_branch(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse out;
    make_dev(fx);
    assert_int_equal(fx_create_table(fx, "ns", "u@dev", NULL), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "ns.deep@dev"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "ns.deep@dev", "v", NULL), PANG_OK);
    assert_int_equal(fx_drop_table(fx, "ns@dev", "t", false), PANG_OK);
    location_at(fx, "demo@dev", "ns", "u");
    location_at(fx, "demo@dev", "ns.deep", "v");
    location_at(fx, "demo", "ns", "t");
    assert_int_equal(load_at(fx, "demo@dev", "ns", "t", &out), PANG_NOT_FOUND);
    assert_int_equal(load_at(fx, "demo", "ns", "u", &out), PANG_NOT_FOUND);
    assert_int_equal(load_at(fx, "demo", "ns.deep", "v", &out), PANG_NOT_FOUND);
    assert_int_equal(fx_create_table(fx, "ns@dev", "t", NULL), PANG_OK);
    assert_string_not_equal(location_at(fx, "demo@dev", "ns", "t"),
                            location_at(fx, "demo", "ns", "t"));
}

static void test_svc_ref__a_new_table_may_name_its_branch_beside(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreateTableResponse out;
    Pangolin__V1__LoadTableResponse loaded;
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    make_dev(fx);
    in.prefix = fx_text(fx, "demo");
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.name = fx_text(fx, "u");
    in.schema = fx_bytes(FX_SCHEMA);
    in.branch = fx_text(fx, "dev");
    assert_int_equal(fx_call(fx, "CreateTable", &in, &out), PANG_OK);
    location_at(fx, "demo", "ns", "u@dev");
    assert_int_equal(load_at(fx, "demo", "ns", "u", &loaded), PANG_NOT_FOUND);
    in.name = fx_text(fx, "w@main");
    expect(fx, fx_call(fx, "CreateTable", &in, &out), PANG_INVALID_ARGUMENT, "BadRequestException",
           "the request names two refs: \"main\" and \"dev\"");
}

static pang_code rename_at(fixture *fx, const char *prefix, const char *from_ns, const char *from,
                           const char *to_ns, const char *to)
{
    Pangolin__V1__RenameTableRequest in = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    Pangolin__V1__TableIdentifier source = PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
    Pangolin__V1__TableIdentifier destination = PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
    Pangolin__V1__RenameTableResponse out;
    in.prefix = fx_text(fx, "%s", prefix);
    source.namespace_ = fx_levels(fx, from_ns, &source.n_namespace_);
    source.name = fx_text(fx, "%s", from);
    destination.namespace_ = fx_levels(fx, to_ns, &destination.n_namespace_);
    destination.name = fx_text(fx, "%s", to);
    in.source = &source;
    in.destination = &destination;
    return fx_call(fx, "RenameTable", &in, &out);
}

static void test_svc_ref__a_rename_stays_on_its_branch(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse out;
    make_dev(fx);
    assert_int_equal(rename_at(fx, "demo", "ns", "t@dev", "ns", "u"), PANG_OK);
    location_at(fx, "demo", "ns", "u@dev");
    location_at(fx, "demo", "ns", "t");
    assert_int_equal(load_at(fx, "demo", "ns", "u", &out), PANG_NOT_FOUND);
    assert_int_equal(rename_at(fx, "demo@dev", "ns", "u", "ns@dev", "v"), PANG_OK);
    expect(fx, rename_at(fx, "demo", "ns", "v@dev", "ns", "w@main"), PANG_INVALID_ARGUMENT,
           "BadRequestException", "");
    expect(fx, rename_at(fx, "demo", "ns", "t", "ns", "w@dev"), PANG_INVALID_ARGUMENT,
           "BadRequestException", "");
    expect(fx, rename_at(fx, "demo", "ns", "t@dev", "ns", "w"), PANG_NOT_FOUND,
           "NoSuchTableException", "Table does not exist: ns.t@dev");
}

static pang_code transact(fixture *fx, const char *prefix, const char *a, const char *b)
{
    const char *names[] = {a, b};
    Pangolin__V1__CommitTransactionRequest in = PANGOLIN__V1__COMMIT_TRANSACTION_REQUEST__INIT;
    Pangolin__V1__CommitTransactionResponse out;
    Pangolin__V1__TableIdentifier identifiers[2];
    Pangolin__V1__TableChange changes[2], *list[2];
    for (int i = 0; i < 2; i++) {
        changes[i] = (Pangolin__V1__TableChange)PANGOLIN__V1__TABLE_CHANGE__INIT;
        identifiers[i] = (Pangolin__V1__TableIdentifier)PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
        identifiers[i].namespace_ = fx_levels(fx, "ns", &identifiers[i].n_namespace_);
        identifiers[i].name = fx_text(fx, "%s", names[i]);
        changes[i].identifier = &identifiers[i];
        changes[i].requirements = fx_bytes("[]");
        changes[i].updates = fx_bytes(
            "[{\"action\":\"set-properties\",\"updates\":{\"a\":\"1\"}}]");
        list[i] = &changes[i];
    }
    in.prefix = fx_text(fx, "%s", prefix);
    in.table_changes = list;
    in.n_table_changes = 2;
    return fx_call(fx, "CommitTransaction", &in, &out);
}

static void test_svc_ref__a_transaction_is_on_one_branch(void **state)
{
    fixture *fx = *state;
    make_dev(fx);
    assert_int_equal(fx_create_table(fx, "ns@dev", "u", NULL), PANG_OK);
    const char *main = location_at(fx, "demo", "ns", "t");
    assert_int_equal(transact(fx, "demo", "t@dev", "u@dev"), PANG_OK);
    assert_int_equal(transact(fx, "demo@dev", "t", "u@dev"), PANG_OK);
    assert_string_equal(location_at(fx, "demo", "ns", "t"), main);
    expect(fx, transact(fx, "demo", "t@dev", "u"), PANG_INVALID_ARGUMENT, "BadRequestException",
           "");
    expect(fx, transact(fx, "demo", "t", "u@dev"), PANG_INVALID_ARGUMENT, "BadRequestException",
           "");
    expect(fx, transact(fx, "demo@dev", "t", "u@main"), PANG_INVALID_ARGUMENT,
           "BadRequestException", "");
    expect(fx, transact(fx, "demo", "t@dev", "t@dev"), PANG_INVALID_ARGUMENT, "BadRequestException",
           "");
}

static void test_svc_ref__the_body_may_name_the_table_in_its_own_way(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    Pangolin__V1__TableIdentifier named = PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
    make_dev(fx);
    in.prefix = fx_text(fx, "demo");
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t@dev");
    in.requirements = fx_bytes("[]");
    in.updates = fx_bytes("[{\"action\":\"set-properties\",\"updates\":{\"a\":\"1\"}}]");
    in.identifier = &named;
    static const struct {
        const char *ns, *name;
        pang_code code;
    } cases[] = {
        {"ns", "t@dev", PANG_OK},
        {"ns@dev", "t", PANG_OK},
        {"ns", "t", PANG_OK},
        {"ns", "t@main", PANG_INVALID_ARGUMENT},
        {"ns", "u@dev", PANG_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        named.namespace_ = fx_levels(fx, cases[i].ns, &named.n_namespace_);
        named.name = fx_text(fx, "%s", cases[i].name);
        assert_int_equal(fx_call(fx, "CommitTable", &in, &out), cases[i].code);
    }
}

/* ---- lists and answers ---- */

static const char *tables_of(fixture *fx, const char *prefix, const char *ns)
{
    Pangolin__V1__ListTablesRequest in = PANGOLIN__V1__LIST_TABLES_REQUEST__INIT;
    Pangolin__V1__ListTablesResponse out;
    pang_buf text = {.arena = fx->arena};
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    assert_int_equal(fx_call(fx, "ListTables", &in, &out), PANG_OK);
    for (size_t i = 0; i < out.n_identifiers; i++) {
        for (size_t j = 0; j < out.identifiers[i]->n_namespace_; j++)
            pang_buf_printf(&text, "%s.", out.identifiers[i]->namespace_[j]);
        pang_buf_printf(&text, "%s ", out.identifiers[i]->name);
    }
    return pang_arena_cstr(fx->arena, pang_buf_str(&text));
}

static const char *namespaces_of(fixture *fx, const char *prefix, const char *parent)
{
    Pangolin__V1__ListNamespacesRequest in = PANGOLIN__V1__LIST_NAMESPACES_REQUEST__INIT;
    Pangolin__V1__ListNamespacesResponse out;
    pang_buf text = {.arena = fx->arena};
    in.prefix = fx_text(fx, "%s", prefix);
    if (parent != NULL)
        in.parent = fx_levels(fx, parent, &in.n_parent);
    assert_int_equal(fx_call(fx, "ListNamespaces", &in, &out), PANG_OK);
    for (size_t i = 0; i < out.n_namespaces; i++)
        for (size_t j = 0; j < out.namespaces[i]->n_levels; j++)
            pang_buf_printf(&text, "%s%c", out.namespaces[i]->levels[j],
                            j + 1 < out.namespaces[i]->n_levels ? '.' : ' ');
    return pang_arena_cstr(fx->arena, pang_buf_str(&text));
}

static void test_svc_ref__lists_name_what_can_be_asked_for(void **state)
{
    fixture *fx = *state;
    make_dev(fx);
    assert_int_equal(fx_create_table(fx, "ns@dev", "u", NULL), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "ns.x@dev"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "ns.x.y@dev"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "top@dev"), PANG_OK);
    assert_string_equal(tables_of(fx, "demo", "ns@dev"), "ns@dev.t ns@dev.u ");
    assert_string_equal(tables_of(fx, "demo@dev", "ns"), "ns.t ns.u ");
    assert_string_equal(tables_of(fx, "demo", "ns"), "ns.t ");
    assert_string_equal(namespaces_of(fx, "demo", "ns@dev"), "ns.x@dev ");
    assert_string_equal(namespaces_of(fx, "demo", "ns.x@dev"), "ns.x.y@dev ");
    assert_string_equal(namespaces_of(fx, "demo@dev", "ns"), "ns.x ");
    assert_string_equal(namespaces_of(fx, "demo@dev", NULL), "ns top ");
    assert_string_equal(namespaces_of(fx, "demo", NULL), "ns ");
}

static void test_svc_ref__a_namespace_is_dropped_where_it_is_empty(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__DropNamespaceRequest in = PANGOLIN__V1__DROP_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__DropNamespaceResponse out;
    make_dev(fx);
    in.prefix = fx_text(fx, "demo");
    in.namespace_ = fx_levels(fx, "ns@dev", &in.n_namespace_);
    expect(fx, fx_call(fx, "DropNamespace", &in, &out), PANG_FAILED_PRECONDITION,
           "NamespaceNotEmptyException", "");
    assert_int_equal(fx_drop_table(fx, "ns@dev", "t", false), PANG_OK);
    assert_int_equal(fx_call(fx, "DropNamespace", &in, &out), PANG_OK);
    assert_string_equal(namespaces_of(fx, "demo@dev", NULL), "");
    assert_string_equal(namespaces_of(fx, "demo", NULL), "ns ");
}

static void test_svc_ref__config_answers_with_the_branch(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetConfigRequest in = PANGOLIN__V1__GET_CONFIG_REQUEST__INIT;
    Pangolin__V1__GetConfigResponse out;
    make_dev(fx);
    in.warehouse = fx_text(fx, "demo@dev");
    assert_int_equal(fx_call(fx, "GetConfig", &in, &out), PANG_OK);
    bool found = false;
    for (size_t i = 0; i < out.n_overrides; i++)
        found |= strcmp(out.overrides[i]->key, "prefix") == 0 &&
                 strcmp(out.overrides[i]->value, "demo@dev") == 0;
    assert_true(found);
    in.warehouse = fx_text(fx, "demo@nope");
    assert_int_equal(fx_call(fx, "GetConfig", &in, &out), PANG_NOT_FOUND);
}

static void test_svc_ref__assets_of_any_kind_are_on_branches(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreateAssetRequest in = PANGOLIN__V1__CREATE_ASSET_REQUEST__INIT;
    Pangolin__V1__CreateAssetResponse made;
    Pangolin__V1__GetAssetRequest get = PANGOLIN__V1__GET_ASSET_REQUEST__INIT;
    Pangolin__V1__GetAssetResponse got;
    make_dev(fx);
    in.catalog = fx_text(fx, "demo");
    in.namespace_ = fx_levels(fx, "ns@dev", &in.n_namespace_);
    in.name = fx_text(fx, "m");
    in.kind = fx_text(fx, "OTHER");
    in.location = fx_text(fx, "x");
    assert_int_equal(fx_call(fx, "CreateAsset", &in, &made), PANG_OK);
    get.catalog = fx_text(fx, "demo");
    get.namespace_ = fx_levels(fx, "ns", &get.n_namespace_);
    get.asset = fx_text(fx, "m@dev");
    assert_int_equal(fx_call(fx, "GetAsset", &get, &got), PANG_OK);
    assert_string_equal(got.name, "m");
    assert_string_equal(got.id, made.id);
    get.asset = fx_text(fx, "m");
    assert_int_equal(fx_call(fx, "GetAsset", &get, &got), PANG_NOT_FOUND);
    get.catalog = fx_text(fx, "demo@dev");
    assert_int_equal(fx_call(fx, "GetAsset", &get, &got), PANG_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_svc_ref__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_ref_stands_in_any_part),
        TEST(two_refs_must_be_the_same),
        TEST(an_unknown_ref_is_absent),
        TEST(what_is_absent_is_named_as_it_was_asked_for),
        TEST(points_are_read_only),
        TEST(a_protected_branch_takes_no_writes),
        TEST(the_tables_main_is_the_branches_own_state),
        TEST(what_is_made_and_dropped_stays_on_its_branch),
        TEST(a_new_table_may_name_its_branch_beside),
        TEST(a_rename_stays_on_its_branch),
        TEST(a_transaction_is_on_one_branch),
        TEST(the_body_may_name_the_table_in_its_own_way),
        TEST(lists_name_what_can_be_asked_for),
        TEST(a_namespace_is_dropped_where_it_is_empty),
        TEST(config_answers_with_the_branch),
        TEST(assets_of_any_kind_are_on_branches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
