"""The package `pypangolin`, as people install it: every accessor and method that manages tenants,
identities, permissions, warehouses and catalogs, its own models reading our replies."""

import datetime

import pyarrow as pa
import pypangolin.auth
from pyiceberg.exceptions import ForbiddenError, NoSuchTableError, UnauthorizedError
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from pypangolin import PangolinClient, get_iceberg_catalog
from pypangolin.exceptions import (AuthenticationError, AuthorizationError, ConflictError,
                                   NotFoundError, PangolinError, ValidationError)
from signed_in import ENVIRONMENT, PASSWORD, ROOT_PASSWORD, Tenant, root, sign_in
from suite import Suite, raises

suite = Suite("pypangolin_admin", ENVIRONMENT)

SCHEMA = Schema(NestedField(1, "id", LongType(), required=False))
NOBODY = "00000000-1111-4222-8333-444444444444"


def names(things):
    return [thing.name for thing in things]


def refused(function, *arguments, status, **named):
    """Calls what must be refused with a status that has no exception of its own."""
    error = raises(PangolinError, function, *arguments, **named)
    assert error.status_code == status, error
    return error


@suite.test
def signs_in(pangolin):
    tenant = Tenant(pangolin, "signs-in")
    tenant.user("ann")
    token = pypangolin.auth.login(pangolin.uri, "ann", PASSWORD, tenant.id)
    assert token.count(".") == 2, token
    assert PangolinClient(pangolin.uri, token=token).get("/api/v1/users/me")["username"] == "ann"
    client = PangolinClient(pangolin.uri)
    assert client.token is None
    raises(AuthenticationError, client.get, "/api/v1/users/me")
    client.login("ann", PASSWORD, tenant.id)
    me = client.get("/api/v1/users/me")
    assert me["tenant-id"] == me["tenant_id"] == tenant.id and me["role"] == "tenant-user", me
    assert me["last-login"], me
    raises(AuthenticationError, sign_in, pangolin, tenant.id, "ann", "not the password at all")
    raises(AuthenticationError, sign_in, pangolin, tenant.id, "nobody")
    raises(AuthenticationError, sign_in, pangolin, NOBODY, "ann")
    raises(AuthenticationError, PangolinClient, pangolin.uri, "ann", PASSWORD)
    assert root(pangolin).get("/api/v1/users/me")["role"] == "root"
    raises(AuthenticationError, sign_in, pangolin, tenant.id, "root", ROOT_PASSWORD)
    raises(AuthenticationError, PangolinClient(pangolin.uri, token="a.b.c").tenants.list)
    assert client.post("/api/v1/users/logout") is None
    raises(AuthenticationError, client.get, "/api/v1/users/me")


@suite.test
def tenants(pangolin):
    client = root(pangolin)
    made = client.tenants.create("tenants-one")
    assert made.name == "tenants-one" and made.properties == {}
    raises(ConflictError, client.tenants.create, "tenants-one")
    other = client.tenants.create("tenants-two")
    listed = client.tenants.list()
    assert {"tenants-one", "tenants-two"} <= set(names(listed))
    assert names(listed) == sorted(names(listed)), "ordered by name"
    assert names(client.tenants.list(limit=1, offset=1)) == names(listed)[1:2]
    assert client.tenants.update(made.id, {"colour": "red"}).properties == {"colour": "red"}
    got = client.tenants.get(made.id)
    assert got.name == "tenants-one" and got.properties == {"colour": "red"}
    raises(NotFoundError, client.tenants.get, NOBODY)
    assert client.tenants.switch("tenants-two").id == other.id
    assert client.tenants.switch(made.id).name == "tenants-one"
    raises(NotFoundError, client.tenants.switch, "tenants-none")
    client.set_tenant(None)
    client.tenants.delete(other.id)
    raises(NotFoundError, client.tenants.get, other.id)
    raises(NotFoundError, client.tenants.delete, other.id)
    inside = Tenant(pangolin, "tenants-inside")
    raises(AuthorizationError, inside.admin.tenants.list)
    raises(AuthorizationError, inside.admin.tenants.create, "tenants-mine")
    assert inside.admin.tenants.get(inside.id).name == "tenants-inside"
    raises(NotFoundError, inside.admin.tenants.get, made.id)


@suite.test
def tenant_header(pangolin):
    one, two = Tenant(pangolin, "header-one"), Tenant(pangolin, "header-two")
    assert names(one.root.catalogs.list()) == ["header-one"]
    one.root.set_tenant(two.id)
    assert names(one.root.catalogs.list()) == ["header-two"]
    one.admin.set_tenant(two.id)
    error = raises(PangolinError, one.admin.catalogs.list)
    assert error.status_code in (403, 404), error


@suite.test
def users(pangolin):
    one, two = Tenant(pangolin, "users-one"), Tenant(pangolin, "users-two")
    made = one.admin.users.create("bea", "bea@example.org", "tenant-user", one.id, PASSWORD)
    assert (made.username, made.email, made.role, made.tenant_id) == \
        ("bea", "bea@example.org", "tenant-user", one.id)
    for spelling, role in (("TenantUser", "tenant-user"), ("TenantAdmin", "tenant-admin")):
        assert one.admin.users.create(spelling, "%s@example.org" % spelling, spelling, one.id,
                                      PASSWORD).role == role
    raises(ConflictError, one.admin.users.create, "bea", "b@example.org", "tenant-user", one.id,
           PASSWORD)
    same = two.admin.users.create("bea", "bea@example.org", "tenant-user", two.id, PASSWORD)
    assert same.id != made.id
    listed = [user.username for user in one.admin.users.list()]
    assert "bea" in listed and listed == sorted(listed), listed
    assert [u.username for u in one.admin.users.list(limit=1, offset=1)] == listed[1:2]
    assert [u.username for u in two.root.users.list()] == ["admin", "bea"]
    for spelling in ("root", "Root"):
        raises(AuthorizationError, one.admin.users.create, "r", "r@example.org", spelling, one.id,
               PASSWORD)
    raises(AuthorizationError, sign_in(pangolin, one.id, "bea").users.create, "c", "c@example.org",
           "tenant-user", one.id, PASSWORD)
    error = raises(PangolinError, one.admin.users.create, "c", "c@example.org", "tenant-user",
                   two.id, PASSWORD)
    assert error.status_code in (403, 404), error
    refused(one.admin.users.create, "short", "s@example.org", "tenant-user", one.id, "x", status=400)
    one.admin.put("/api/v1/users/" + made.id, json={"email": "new@example.org", "role": "ignored"})
    got = one.admin.get("/api/v1/users/" + made.id)
    assert got["email"] == "new@example.org" and got["username"] == "bea", got
    one.admin.put("/api/v1/users/" + made.id, json={"active": False})
    raises(AuthenticationError, sign_in, pangolin, one.id, "bea")
    one.admin.put("/api/v1/users/" + made.id, json={"active": True, "password": PASSWORD + "2"})
    raises(AuthenticationError, sign_in, pangolin, one.id, "bea")
    signed_in = sign_in(pangolin, one.id, "bea", PASSWORD + "2")
    assert one.admin.delete("/api/v1/users/" + made.id) is None
    raises(AuthenticationError, signed_in.catalogs.list)
    raises(NotFoundError, one.admin.get, "/api/v1/users/" + same.id)


@suite.test
def warehouses(pangolin):
    tenant = Tenant(pangolin, "warehouses")
    secret = "secret-of-a-bucket-9f2a"
    made = tenant.admin.warehouses.create_s3(
        "lake", "bucket-1", "eu-west-1", "AKIDEXAMPLE", secret, "pre/fix",
        "http://localhost:9000", **{"s3.path-style-access": "true"})
    assert made.name == "lake" and made.storage_config["s3.bucket"] == "bucket-1"
    assert made.storage_config["s3.path-style-access"] == "true"
    assert made.vending_strategy is None or "AwsStatic" in made.vending_strategy, made
    assert secret not in repr(made), "a secret came back"
    plain = tenant.admin.warehouses.create_s3("plain", "bucket-2")
    assert plain.storage_config["s3.region"] == "us-east-1"
    role = tenant.admin.warehouses.create_s3(
        "assumed", "bucket-3", vending_strategy={"AwsSts": {"role_arn": "arn:aws:iam::1:role/r"}})
    assert role.vending_strategy["AwsSts"]["role_arn"] == "arn:aws:iam::1:role/r"
    raises(ConflictError, tenant.admin.warehouses.create_s3, "lake", "bucket-4")
    assert names(tenant.admin.warehouses.list()) == ["assumed", "depot", "lake", "plain"]
    assert names(tenant.admin.warehouses.list(limit=2, offset=1)) == ["depot", "lake"]
    changed = tenant.admin.warehouses.update("lake", {"s3.region": "us-west-2"})
    assert changed.storage_config["s3.region"] == "us-west-2"
    assert changed.storage_config["s3.bucket"] == "bucket-1", "not named, and gone"
    changed = tenant.admin.warehouses.update(
        "lake", vending_strategy={"AwsStatic": {"access_key_id": "a", "secret_access_key": secret}})
    assert secret not in repr(changed)
    raises(ConflictError, tenant.admin.warehouses.delete, "depot")
    tenant.admin.warehouses.delete("lake")
    raises(NotFoundError, tenant.admin.warehouses.delete, "lake")
    raises(NotFoundError, tenant.admin.warehouses.update, "lake", {"s3.region": "x"})
    user = tenant.user("cat")
    raises(AuthorizationError, user.warehouses.create_s3, "mine", "bucket")
    assert secret not in repr(user.warehouses.list())


@suite.test
def catalogs(pangolin):
    tenant = Tenant(pangolin, "catalogs")
    admin = tenant.admin
    made = admin.catalogs.create("second", "depot")
    assert made.id and made.catalog_type == "Local" and made.warehouse_name == "depot", made
    raises(ConflictError, admin.catalogs.create, "second", "depot")
    refused(admin.catalogs.create, "third", "no-such-warehouse", status=400)
    refused(admin.catalogs.create, "third", "depot", "Federated", status=400)
    assert names(admin.catalogs.list()) == ["catalogs", "second"]
    assert names(admin.catalogs.list(limit=1, offset=1)) == ["second"]
    assert admin.catalogs.get("second").id == made.id
    assert admin.catalogs.update("second", {"a": "b"}).properties == {"a": "b"}
    assert admin.catalogs.get("second").properties == {"a": "b"}
    raises(NotFoundError, admin.catalogs.get, "none")
    raises(NotFoundError, admin.catalogs.update, "none", {"a": "b"})
    raises(NotFoundError, admin.catalogs.delete, "none")
    user = tenant.user("dan")
    assert user.catalogs.list() == []
    raises(NotFoundError, user.catalogs.get, "second")
    raises(AuthorizationError, user.catalogs.create, "mine", "depot")
    grant = tenant.grant(user.id, "read")
    assert names(user.catalogs.list()) == ["catalogs"]
    raises(AuthorizationError, user.catalogs.delete, "catalogs")
    admin.permissions.revoke(grant.id)
    assert user.catalogs.list() == []
    admin.catalogs.delete("second")
    assert names(admin.catalogs.list()) == ["catalogs"]


@suite.test
def namespaces(pangolin):
    tenant = Tenant(pangolin, "spaces")
    spaces = tenant.admin.catalogs.namespaces("spaces")
    made = spaces.create(["sales"], {"team": "us"})
    assert made.name == ["sales"] and made.properties["team"] == "us", made
    assert spaces.create(["sales", "inner"]).name == ["sales", "inner"]
    raises(ConflictError, spaces.create, ["sales"])
    assert ["sales"] in spaces.list() and spaces.list("sales") == [["sales", "inner"]]
    raises(NotFoundError, tenant.admin.catalogs.namespaces("none").list)
    asset = spaces.register_asset("sales", "model", "ML_MODEL", "s3://bucket/model", {"v": "1"})
    assert asset["name"] == "model" and asset["kind"] == "ML_MODEL", asset
    spaces.register_asset("sales.inner", "deep", "CSV_TABLE", "s3://bucket/deep")
    raises(ConflictError, spaces.register_asset, "sales", "model", "ML_MODEL", "s3://bucket/model")
    got = tenant.admin.get("/api/v1/catalogs/spaces/namespaces/sales/assets/model")
    assert got["properties"] == {"v": "1"} and got["id"] == asset["id"], got
    user = tenant.user("eve")
    raises(NotFoundError, user.catalogs.namespaces("spaces").list)
    tenant.grant(user.id, "read")
    assert ["sales"] in user.catalogs.namespaces("spaces").list()
    raises(AuthorizationError, user.catalogs.namespaces("spaces").create, ["mine"])


def may_list(client, catalog):
    try:
        client.catalogs.namespaces(catalog).list()
        return True
    except (NotFoundError, AuthorizationError):
        return False


@suite.test
def roles(pangolin):
    tenant = Tenant(pangolin, "roles")
    admin, user = tenant.admin, tenant.user("fay")
    made = admin.roles.create("readers", "who may read")
    assert made.name == "readers" and made.description == "who may read" and made.id, made
    assert made.tenant_id == tenant.id and made.permissions == []
    raises(ConflictError, admin.roles.create, "readers")
    admin.roles.create("others")
    assert names(admin.roles.list()) == ["others", "readers"]
    admin.put("/api/v1/roles/" + made.id, json={"permissions": [
        {"scope": {"type": "catalog", "catalog_id": tenant.catalog.id}, "actions": ["read"]}]})
    got = admin.roles.get(made.id)
    assert got.name == "readers" and got.description == "who may read", "not named, and gone"
    assert got.permissions[0].actions == ["read"], got
    assert got.permissions[0].scope.catalog_id == tenant.catalog.id
    assert not may_list(user, "roles")
    admin.permissions.assign_role(user.id, made.id)
    assert may_list(user, "roles"), "a role is not in force at once"
    assert names(admin.permissions.get_user_roles(user.id)) == ["readers"]
    assert names(user.permissions.get_user_roles(user.id)) == ["readers"]
    raises(NotFoundError, admin.permissions.assign_role, NOBODY, made.id)
    raises(NotFoundError, admin.permissions.assign_role, user.id, NOBODY)
    admin.permissions.revoke_role(user.id, made.id)
    assert not may_list(user, "roles"), "a role lives on"
    assert admin.permissions.get_user_roles(user.id) == []
    admin.permissions.assign_role(user.id, made.id)
    raises(ConflictError, admin.roles.delete, made.id)
    assert may_list(user, "roles")
    admin.delete("/api/v1/roles/%s?cascade=true" % made.id)
    assert not may_list(user, "roles"), "a deleted role lives on"
    raises(NotFoundError, admin.roles.get, made.id)
    raises(NotFoundError, admin.roles.delete, made.id)
    raises(AuthorizationError, user.roles.create, "mine")
    admin.roles.delete(admin.roles.list()[0].id)
    assert admin.roles.list() == []


@suite.test
def permissions(pangolin):
    tenant = Tenant(pangolin, "grants")
    admin, user = tenant.admin, tenant.user("gus")
    spaces = admin.catalogs.namespaces("grants")
    spaces.create(["a"])
    spaces.create(["b"])
    asset = spaces.register_asset("a", "one", "CSV_TABLE", "s3://bucket/one")["id"]
    spaces.register_asset("a", "two", "CSV_TABLE", "s3://bucket/two")
    catalog = tenant.catalog.id
    cases = [
        ("tenant", {}, {"one", "two"}),
        ("catalog", {"catalog_id": catalog}, {"one", "two"}),
        ("namespace", {"catalog_id": catalog, "namespace": "a"}, {"one", "two"}),
        ("namespace", {"catalog_id": catalog, "namespace": "b"}, None),
        ("asset", {"catalog_id": catalog, "namespace": "a", "asset_id": asset}, {"one"}),
    ]
    path = "/api/v1/catalogs/grants/namespaces/a/assets"
    for kind, scope, seen in cases:
        raises(NotFoundError, user.get, path)
        grant = admin.permissions.grant(user.id, ["read", "list"], kind, **scope)
        assert grant.user_id == user.id and set(grant.actions) == {"read", "list"}, grant
        assert grant.scope.type == kind and grant.granted_by and grant.granted_at, grant
        for key, value in scope.items():
            assert getattr(grant.scope, key) == value, grant
        if seen is None:
            raises(NotFoundError, user.get, path)
        else:
            assert {found["name"] for found in user.get(path)} == seen, (kind, scope)
        listed = [one["id"] for one in admin.get("/api/v1/permissions?user=" + user.id)]
        assert listed == [grant.id], listed
        admin.permissions.revoke(grant.id)
        raises(NotFoundError, user.get, path)
        raises(NotFoundError, admin.permissions.revoke, grant.id)
    raises(NotFoundError, admin.permissions.grant, NOBODY, ["read"], "tenant")
    raises(NotFoundError, admin.permissions.grant, user.id, ["read"], "catalog", catalog_id=NOBODY)
    raises(ValidationError, admin.permissions.grant, user.id, ["fly"], "tenant")
    raises(AuthorizationError, user.permissions.grant, user.id, ["all"], "tenant")


@suite.test
def tags(pangolin):
    tenant = Tenant(pangolin, "tagged")
    admin, user = tenant.admin, tenant.user("hal")
    spaces = admin.catalogs.namespaces("tagged")
    spaces.create(["a"])
    asset = spaces.register_asset("a", "one", "CSV_TABLE", "s3://bucket/one")["id"]
    made = admin.metadata.upsert(asset, ["pii", "gold"], {"owner": "us"}, "words", False)
    assert set(made.tags) == {"pii", "gold"} and made.description == "words", made
    assert made.properties == {"owner": "us"} and made.asset_id == asset, made
    assert set(admin.metadata.get(asset).tags) == {"pii", "gold"}
    path = "/api/v1/catalogs/tagged/namespaces/a/assets/one"
    raises(NotFoundError, user.get, path)
    grant = admin.permissions.grant(user.id, "read", "tag", tag_name="gold")
    assert grant.scope.tag_name == "gold"
    assert user.get(path)["id"] == asset
    admin.metadata.update(asset, ["pii"])
    raises(NotFoundError, user.get, path)
    admin.metadata.update(asset, ["gold"])
    assert user.get(path)["id"] == asset
    admin.metadata.delete(asset)
    raises(NotFoundError, user.get, path)
    raises(NotFoundError, admin.metadata.get, asset)


@suite.test
def service_users(pangolin):
    tenant = Tenant(pangolin, "robots")
    made = tenant.admin.service_users.create("robot")
    assert made.name == "robot" and made.id and made.role == "tenant-user" and made.active, made
    assert made.expires_at is None and made.api_key.startswith("pgl_"), made
    raises(ConflictError, tenant.admin.service_users.create, "robot")
    with_key = PangolinClient(pangolin.uri, api_key=made.api_key)
    assert not may_list(with_key, "robots")
    tenant.grant(made.id, "read")
    assert may_list(with_key, "robots")
    raises(AuthorizationError, with_key.service_users.list)
    assert tenant.admin.service_users.create("boss", "tenant-admin").role == "tenant-admin"
    listed = tenant.admin.service_users.list()
    assert names(listed) == ["boss", "robot"] and not any(one.api_key for one in listed), listed
    assert names(tenant.admin.service_users.list(limit=1)) == ["boss"]
    got = tenant.admin.service_users.get(made.id)
    assert got.id == made.id and got.api_key is None
    changed = tenant.admin.service_users.update(made.id, description="does things")
    assert changed.description == "does things" and changed.name == "robot"
    rotated = tenant.admin.service_users.rotate_key(made.id)
    assert rotated.id == made.id and rotated.api_key != made.api_key
    again = PangolinClient(pangolin.uri, api_key=rotated.api_key)
    assert may_list(again, "robots")
    assert not tenant.admin.service_users.update(made.id, active=False).active
    raises(AuthenticationError, again.catalogs.list)
    assert tenant.admin.service_users.update(made.id, active=True).active
    assert may_list(again, "robots")
    tenant.admin.service_users.delete(made.id)
    raises(AuthenticationError, again.catalogs.list)
    raises(NotFoundError, tenant.admin.service_users.get, made.id)
    raises(NotFoundError, tenant.admin.service_users.delete, made.id)


@suite.test
def audit(pangolin):
    tenant = Tenant(pangolin, "audited")
    begin = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    user = tenant.user("ida")
    raises(AuthorizationError, user.roles.create, "denied")
    events = tenant.admin.audit.list_events()
    found = {event.action for event in events}
    assert {"create_warehouse", "create_catalog", "create_user", "login"} <= found, found
    times = [event.timestamp for event in events]
    assert times == sorted(times, reverse=True), "newest first"
    assert all(event.result in ("success", "failure") for event in events)
    assert any(event.result == "failure" and event.user_id == user.id for event in events), events
    assert all(event.ip_address for event in events if event.action == "login"), events
    agents = {event.user_agent for event in events if event.action == "create_user"}
    assert any("python-requests" in (agent or "") for agent in agents), agents
    by_type = tenant.admin.audit.list_events(resource_type="warehouse")
    assert by_type and {event.resource_type for event in by_type} == {"warehouse"}
    by_user = tenant.admin.audit.list_events(user_id=user.id)
    assert by_user and {event.user_id for event in by_user} == {user.id}
    assert len(tenant.admin.audit.list_events(limit=2)) == 2
    assert tenant.admin.audit.list_events(limit=1, offset=1)[0].id != \
        tenant.admin.audit.list_events(limit=1)[0].id
    late = tenant.admin.audit.list_events(start_time=begin)
    assert late and not any(event.action == "create_warehouse" for event in late)
    early = tenant.admin.audit.list_events(end_time=begin)
    assert early and not any(event.user_id == user.id for event in early)
    assert tenant.admin.audit.count() >= len(events)
    assert tenant.admin.audit.get(events[0].id).action == events[0].action
    raises(NotFoundError, tenant.admin.audit.get, NOBODY)
    other = Tenant(pangolin, "audited-other")
    raises(NotFoundError, other.admin.audit.get, events[0].id)
    acts = tenant.root.audit.list_events(resource_type="user")
    assert acts, "root sees nothing"


@suite.test
def system(pangolin):
    tenant = Tenant(pangolin, "system")
    tenant.admin.catalogs.namespaces("system").create(["n"])
    iceberg(pangolin, tenant.admin.token, "system", None).create_table("n.t", SCHEMA)
    stats = tenant.admin.system.get_stats()
    assert stats.scope == "tenant", stats
    assert (stats.catalogs_count, stats.warehouses_count, stats.tables_count) == (1, 1, 1), stats
    assert stats.users_count == 1 and stats.namespaces_count >= 1, stats
    everything = root(pangolin).system.get_stats()
    assert everything.scope == "system" and everything.tenants_count >= 1, everything
    summary = tenant.admin.system.get_catalog_summary("system")
    assert summary.name == "system" and summary.table_count == 1, summary
    assert summary.namespace_count >= 1 and summary.branch_count >= 1, summary
    raises(NotFoundError, tenant.admin.system.get_catalog_summary, "none")
    settings = tenant.admin.system.update_settings({"default_retention_days": 7,
                                                    "smtp_password": "mail-secret-71c0"})
    assert settings["default_retention_days"] == 7, settings
    settings = tenant.admin.system.update_settings({"smtp_host": "mail.example.org"})
    assert settings["default_retention_days"] == 7, "not named, and gone: %s" % settings
    settings = tenant.admin.system.get_settings()
    assert settings["smtp_host"] == "mail.example.org" and "mail-secret-71c0" not in repr(settings)
    user = tenant.user("jim")
    raises(AuthorizationError, user.system.get_settings)
    assert user.system.get_stats().scope == "user"


@suite.test
def tokens(pangolin):
    tenant = Tenant(pangolin, "tokens")
    admin, user = tenant.admin, tenant.user("kim")
    made = admin.tokens.generate("kim", tenant.id, ["TenantUser"], 2)
    assert made["tenant_id"] == tenant.id
    left = datetime.datetime.fromisoformat(made["expires_at"].replace("Z", "+00:00")) - \
        datetime.datetime.now(datetime.timezone.utc)
    assert abs(left.total_seconds() - 7200) < 120, left
    bearer = PangolinClient(pangolin.uri, token=made["token"])
    assert bearer.get("/api/v1/users/me")["id"] == user.id
    listed = bearer.tokens.list_my_tokens()
    assert made["token"] not in repr(listed), "a raw token was listed"
    ident = listed[0]["id"]
    assert listed[0]["is_valid"] and listed[0]["user_id"] == user.id, listed
    assert len(bearer.tokens.list_my_tokens(limit=1)) == 1
    assert [one["id"] for one in admin.get("/api/v1/users/%s/tokens" % user.id)] == \
        [one["id"] for one in listed]
    rotated = bearer.tokens.rotate(ident)
    raises(AuthenticationError, bearer.get, "/api/v1/users/me")
    bearer = PangolinClient(pangolin.uri, token=rotated["token"])
    ident = next(one["id"] for one in bearer.tokens.list_my_tokens() if one["is_valid"])
    raises(AuthorizationError, user.tokens.revoke, ident)
    admin.tokens.revoke(ident)
    raises(AuthenticationError, bearer.get, "/api/v1/users/me")
    raises(AuthorizationError, user.tokens.generate, "kim", tenant.id)
    raises(AuthorizationError, admin.tokens.generate, "kim", tenant.id, ["Root"])
    raises(AuthorizationError, admin.tokens.generate, "kim", tenant.id, ["TenantAdmin"])
    refused(admin.tokens.generate, "kim", tenant.id, ["Emperor"], status=400)
    of_root = PangolinClient(pangolin.uri, token=root(pangolin).tokens.rotate("x")["token"])
    assert of_root.get("/api/v1/users/me")["role"] == "root"
    own = sign_in(pangolin, tenant.id, "kim")
    own.post("/api/v1/auth/revoke")
    raises(AuthenticationError, own.get, "/api/v1/users/me")
    assert "count" in admin.post("/api/v1/auth/cleanup-tokens")


def iceberg(pangolin, token, name, tenant):
    return get_iceberg_catalog(name, pangolin.uri, token, tenant)


@suite.test
def iceberg_catalog(pangolin):
    tenant, other = Tenant(pangolin, "berg"), Tenant(pangolin, "berg-other")
    catalog = iceberg(pangolin, tenant.admin.token, "berg", tenant.id)
    catalog.create_namespace("n")
    table = catalog.create_table("n.t", SCHEMA)
    table.append(pa.table({"id": [1, 2, 3]}))
    assert catalog.load_table("n.t").scan().to_arrow().num_rows == 3
    as_root = iceberg(pangolin, tenant.root.token, "berg", tenant.id)
    assert as_root.list_tables("n") == [("n", "t")]
    user = tenant.user("lee")
    grant = tenant.grant(user.id, "read")
    seen = iceberg(pangolin, user.token, "berg", None)
    assert seen.load_table("n.t").scan().to_arrow().num_rows == 3
    raises(ForbiddenError, seen.create_namespace, "mine")
    raises(ForbiddenError, seen.load_table("n.t").append, pa.table({"id": [4]}))
    tenant.admin.permissions.revoke(grant.id)
    raises(NoSuchTableError, seen.load_table, "n.t")
    raises(UnauthorizedError, iceberg, pangolin, "not.a.token", "berg", None)
    foreign = iceberg(pangolin, other.admin.token, "berg-other", None)
    foreign.create_namespace("n")
    raises(Exception, iceberg, pangolin, other.admin.token, "berg", None)
    raises(Exception, iceberg, pangolin, other.admin.token, "berg", tenant.id)


if __name__ == "__main__":
    suite.main()
