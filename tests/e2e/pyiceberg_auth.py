"""PyIceberg with every credential it can be given: a token, a service user's key and a user's password
by OAuth2, an API key, Basic; what is refused, and what it then says."""

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (ForbiddenError, NoSuchNamespaceError, NoSuchTableError,
                                  OAuthError, RESTError, UnauthorizedError)
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from signed_in import ENVIRONMENT, PASSWORD, ROOT_PASSWORD, Tenant
from suite import Suite, raises

suite = Suite("pyiceberg_auth", ENVIRONMENT)

SCHEMA = Schema(NestedField(1, "id", LongType(), required=False))


def connect(pangolin, name, **properties):
    return load_catalog(name, **{"type": "rest", "uri": pangolin.uri, "warehouse": name,
                                 **properties})


def writes_and_reads(catalog, name):
    catalog.create_namespace_if_not_exists("n")
    table = catalog.create_table("n." + name, SCHEMA)
    table.append(pa.table({"id": [1, 2]}))
    assert catalog.load_table("n." + name).scan().to_arrow().num_rows == 2


def robot(tenant, name, *actions):
    """A service user; its id and key."""
    made = tenant.admin.service_users.create(name)
    if actions:
        tenant.grant(made.id, *actions)
    return made


@suite.test
def token(pangolin):
    tenant = Tenant(pangolin, "by-token")
    user = tenant.user("ann")
    tenant.grant(user.id, "write")
    catalog = connect(pangolin, "by-token", token=user.token)
    writes_and_reads(catalog, "t")
    catalog.rename_table("n.t", "n.u")
    catalog.drop_table("n.u")
    user.post("/api/v1/users/logout")
    raises(UnauthorizedError, catalog.list_tables, "n")
    raises(UnauthorizedError, connect, pangolin, "by-token", token=user.token)


@suite.test
def credential_of_a_service_user(pangolin):
    tenant = Tenant(pangolin, "by-key")
    made = robot(tenant, "robot", "write")
    credential = "%s:%s" % (made.id, made.api_key)
    catalog = connect(pangolin, "by-key", credential=credential)
    writes_and_reads(catalog, "t")
    named = connect(pangolin, "by-key", credential=credential, scope="PRINCIPAL_ROLE:ALL",
                    **{"oauth2-server-uri": pangolin.uri + "/v1/by-key/oauth/tokens"})
    assert named.list_tables("n") == [("n", "t")]
    # The address that pypangolin's users give, without pypangolin.
    below = load_catalog("below", type="rest", uri=pangolin.uri + "/v1/by-key",
                         credential=credential)
    assert below.list_tables("n") == [("n", "t")]
    raises((OAuthError, UnauthorizedError), connect, pangolin, "by-key",
           credential="%s:%s" % (made.id, made.api_key[:-1] + "_"))
    raises((OAuthError, UnauthorizedError), connect, pangolin, "by-key",
           credential="%s:pgl_%s_%s" % (made.id, "a" * 12, "b" * 48))
    tenant.admin.service_users.delete(made.id)
    raises((OAuthError, UnauthorizedError), catalog.list_tables, "n")
    raises((OAuthError, UnauthorizedError), connect, pangolin, "by-key", credential=credential)


@suite.test
def credential_of_a_user(pangolin):
    tenant = Tenant(pangolin, "by-name")
    user = tenant.user("bea")
    tenant.grant(user.id, "write")
    catalog = connect(pangolin, "by-name", credential="%s/bea:%s" % (tenant.id, PASSWORD))
    writes_and_reads(catalog, "t")
    raises((OAuthError, UnauthorizedError), connect, pangolin, "by-name",
           credential="%s/bea:%s" % (tenant.id, PASSWORD + "x"))


@suite.test
def auth_managers(pangolin):
    """The newer way to say the same: `auth`."""
    tenant = Tenant(pangolin, "managers")
    made = robot(tenant, "robot", "write")
    oauth2 = connect(pangolin, "managers", auth={"type": "oauth2", "oauth2": {
        "client_id": made.id, "client_secret": made.api_key, "scope": "catalog",
        "token_url": pangolin.uri + "/v1/oauth/tokens"}})
    writes_and_reads(oauth2, "t")
    basic = connect(pangolin, "managers", auth={"type": "basic", "basic": {
        "username": "root", "password": ROOT_PASSWORD}},
        **{"header.X-Pangolin-Tenant": tenant.id})
    assert basic.list_tables("n") == [("n", "t")]


@suite.test
def api_key(pangolin):
    tenant = Tenant(pangolin, "by-header")
    made = robot(tenant, "robot", "write")
    catalog = connect(pangolin, "by-header", **{"header.X-API-Key": made.api_key})
    writes_and_reads(catalog, "t")


@suite.test
def refusals(pangolin):
    tenant, other = Tenant(pangolin, "refusing"), Tenant(pangolin, "refusing-other")
    admin = connect(pangolin, "refusing", token=tenant.admin.token)
    writes_and_reads(admin, "seen")
    admin.create_namespace("hidden")
    admin.create_table("hidden.t", SCHEMA)
    raises(UnauthorizedError, connect, pangolin, "refusing")
    raises(RESTError, connect, pangolin, "refusing-other", token=tenant.admin.token)
    raises(RESTError, connect, pangolin, "refusing", token=other.admin.token)
    user = tenant.user("cat")
    raises(RESTError, connect, pangolin, "refusing", token=user.token)
    tenant.admin.permissions.grant(user.id, ["read"], "namespace", catalog_id=tenant.catalog.id,
                                   namespace="n")
    catalog = connect(pangolin, "refusing", token=user.token)
    assert catalog.list_namespaces() == [("n",)], catalog.list_namespaces()
    assert catalog.load_table("n.seen").scan().to_arrow().num_rows == 2
    raises(NoSuchNamespaceError, catalog.list_tables, "hidden")
    raises(NoSuchTableError, catalog.load_table, "hidden.t")
    raises(ForbiddenError, catalog.create_table, "n.mine", SCHEMA)
    raises(ForbiddenError, catalog.drop_table, "n.seen")
    raises(ForbiddenError, catalog.load_table("n.seen").append, pa.table({"id": [1]}))
    assert catalog.load_table("n.seen").scan().to_arrow().num_rows == 2


if __name__ == "__main__":
    suite.main()
