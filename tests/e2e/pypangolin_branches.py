"""Branches and tags by the package `pypangolin`, as people install it: every method of its accessors,
its own models reading our replies; what was made is used by PyIceberg."""

import pyarrow as pa
from pyiceberg.exceptions import ForbiddenError, NoSuchTableError
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from pypangolin import get_iceberg_catalog
from pypangolin.exceptions import (AuthorizationError, ConflictError, NotFoundError, PangolinError,
                                   ValidationError)
from signed_in import ENVIRONMENT, Tenant
from suite import Suite, raises

suite = Suite("pypangolin_branches", ENVIRONMENT)

SCHEMA = Schema(NestedField(1, "id", LongType(), required=False))
NO_COMMIT = "0190ffff-0000-7000-8000-000000000000"


def names(things):
    return [thing.name for thing in things]


def refused(function, *arguments, status, **named):
    """Calls what must be refused with a status that has no exception of its own."""
    error = raises(PangolinError, function, *arguments, **named)
    assert error.status_code == status, error
    return error


def iceberg(tenant, catalog):
    return get_iceberg_catalog(catalog, tenant.pangolin.uri, tenant.admin.token, tenant.id)


def rows(*numbers):
    return pa.table({"id": pa.array(numbers, pa.int64())})


def ids(table):
    return sorted(table.scan().to_arrow()["id"].to_pylist())


@suite.test
def branches(pangolin):
    tenant = Tenant(pangolin, "branches")
    admin = tenant.admin
    dev = admin.branches.create("dev", catalog_name="branches")
    assert dev.name == "dev" and dev.branch_type == "experimental" and dev.assets == [], dev
    assert dev.head_commit_id and dev.catalog_name == "branches", dev
    inner = admin.branches.create("inner", "dev", catalog="branches")
    assert inner.head_commit_id == dev.head_commit_id
    assert names(admin.branches.list("branches")) == ["dev", "inner", "main"]
    assert names(admin.branches.list(catalog="branches")) == ["dev", "inner", "main"]
    assert admin.branches.get("dev") == dev, "no catalog is sent; it is the only one that has it"
    raises(NotFoundError, admin.branches.get, "none")
    raises(NotFoundError, admin.branches.list, "none")
    refused(admin.branches.list, status=400)
    refused(admin.branches.create, "other", status=400)
    raises(ConflictError, admin.branches.create, "dev", catalog_name="branches")
    raises(ConflictError, admin.branches.create, "main", catalog_name="branches")
    raises(NotFoundError, admin.branches.create, "other", "none", "branches")
    refused(admin.branches.create, "a/b", catalog_name="branches", status=400)
    raises(ValidationError, admin.branches.create, "", catalog_name="branches")
    admin.catalogs.create("second", "depot")
    refused(admin.branches.get, "main", status=400)


@suite.test
def who_may(pangolin):
    tenant = Tenant(pangolin, "who-may")
    user = tenant.user("dan")
    raises(NotFoundError, user.branches.create, "mine", catalog_name="who-may")
    tenant.grant(user.id, "write")
    raises(AuthorizationError, user.branches.create, "mine", catalog_name="who-may")
    tenant.grant(user.id, "experimental-branching")
    assert user.branches.create("mine", catalog_name="who-may").name == "mine"
    error = raises(AuthorizationError, user.post, "/api/v1/branches", json={
        "name": "ours", "catalog": "who-may", "branch_type": "ingest"})
    assert "ingest-branching" in str(error), error
    other = Tenant(pangolin, "who-may-not")
    raises(NotFoundError, other.admin.branches.list, "who-may")
    raises(NotFoundError, other.admin.branches.get, "mine")


@suite.test
def a_branch_is_used_by_its_name(pangolin):
    tenant = Tenant(pangolin, "used")
    admin = tenant.admin
    catalog = iceberg(tenant, "used")
    catalog.create_namespace("ns")
    catalog.create_table("ns.t", SCHEMA).append(rows(1, 2))
    admin.branches.create("dev", catalog_name="used")
    dev = iceberg(tenant, "used@dev")
    dev.load_table("ns.t").append(rows(3))
    assert ids(dev.load_table("ns.t")) == [1, 2, 3]
    assert ids(catalog.load_table("ns.t")) == [1, 2]
    catalog.load_table("ns.t").append(rows(4))
    assert ids(dev.load_table("ns.t")) == [1, 2, 3]
    dev.create_table("ns.own", SCHEMA)
    assert dev.list_tables("ns") == [("ns", "own"), ("ns", "t")]
    assert catalog.list_tables("ns") == [("ns", "t")]
    assert ids(catalog.load_table("ns.t@dev")) == [1, 2, 3], "named with the table"
    catalog.load_table("ns.t@dev").append(rows(6))
    assert ids(dev.load_table("ns.t")) == [1, 2, 3, 6]
    raises(NoSuchTableError, catalog.load_table, "ns.t@none")
    admin.put("/api/v1/branches/dev", json={"catalog": "used", "protected": True})
    raises(ForbiddenError, dev.load_table("ns.t").append, rows(5))
    admin.put("/api/v1/branches/dev", json={"catalog": "used", "protected": False})
    admin.delete("/api/v1/branches/dev?catalog=used")
    raises(NoSuchTableError, dev.load_table, "ns.t")
    assert ids(catalog.load_table("ns.t")) == [1, 2, 4]


@suite.test
def a_partial_branch(pangolin):
    tenant = Tenant(pangolin, "partial")
    catalog = iceberg(tenant, "partial")
    catalog.create_namespace("ns")
    catalog.create_table("ns.t", SCHEMA).append(rows(1))
    catalog.create_table("ns.u", SCHEMA).append(rows(2))
    made = tenant.admin.post("/api/v1/branches", json={
        "name": "part", "catalog": "partial", "assets": ["ns.t"]})
    assert made["assets"] == ["ns.t"] and made["from_branch"] == "main", made
    part = iceberg(tenant, "partial@part")
    assert part.list_tables("ns") == [("ns", "t")]
    assert ids(part.load_table("ns.t")) == [1]
    raises(NoSuchTableError, part.load_table, "ns.u")
    part.load_table("ns.t").append(rows(3))
    assert ids(part.load_table("ns.t")) == [1, 3]
    assert ids(catalog.load_table("ns.t")) == [1]


@suite.test
def a_selection_tells_nobody_what_is_there(pangolin):
    tenant = Tenant(pangolin, "selects")
    catalog = iceberg(tenant, "selects")
    for namespace in ("seen", "hidden"):
        catalog.create_namespace(namespace)
        catalog.create_table(namespace + ".t", SCHEMA)
    user = tenant.user("eve")
    tenant.grant(user.id, "experimental-branching")
    tenant.admin.permissions.grant(user.id, ["read"], "namespace", catalog_id=tenant.catalog.id,
                                   namespace="seen")

    def select(name, *assets):
        return user.post("/api/v1/branches",
                         json={"name": name, "catalog": "selects", "assets": list(assets)})

    assert select("one", "seen.t")["assets"] == ["seen.t"]
    select("two", "seen.*")
    for asset in ("hidden.t", "hidden.none", "none.t", "hidden.*", "none.*", "seen.none"):
        error = raises(NotFoundError, select, "three", asset)
        assert '"assets: \\"%s\\" does not exist"' % asset in error.response_body, error


@suite.test
def tags(pangolin):
    tenant = Tenant(pangolin, "tags")
    admin = tenant.admin
    catalog = iceberg(tenant, "tags")
    catalog.create_namespace("ns")
    catalog.create_table("ns.t", SCHEMA).append(rows(1))
    head = admin.branches.get("main").head_commit_id
    made = admin.tags.create("v1", head, "tags")
    assert made.name == "v1" and made.commit_id == head and made.catalog_name == "tags", made
    catalog.load_table("ns.t").append(rows(2))
    assert ids(iceberg(tenant, "tags@v1").load_table("ns.t")) == [1]
    assert ids(iceberg(tenant, "tags@" + head).load_table("ns.t")) == [1]
    assert admin.branches.create("old", "v1", "tags").head_commit_id == head
    assert names(admin.tags.list("tags")) == ["v1"]
    raises(ConflictError, admin.tags.create, "v1", head, "tags")
    raises(ConflictError, admin.tags.create, "main", head, "tags")
    raises(NotFoundError, admin.tags.create, "v2", NO_COMMIT, "tags")
    raises(ValidationError, admin.tags.create, "v2", "none", "tags")
    raises(NotFoundError, admin.tags.create, "v2", head)
    raises(NotFoundError, admin.tags.list)
    assert admin.tags.delete("v1", "tags") is None
    assert admin.tags.delete("v1", "tags") is None
    assert admin.tags.list("tags") == []
    admin.catalogs.create("default", "depot")
    assert admin.tags.list() == []


def conflicted(admin):
    """The operation of merging exp into other, which waits, and its one conflict."""
    raises(ConflictError, admin.branches.merge, "exp", "other", catalog="acts")
    operation = next(o for o in admin.merge_operations.list("acts") if o.status == "Conflicted")
    conflicts = admin.merge_operations.list_conflicts(operation.id)
    assert len(conflicts) == 1, conflicts
    return operation.id, conflicts[0].id


@suite.test
def rebased_given_up_and_decided_by_a_value(pangolin):
    tenant = Tenant(pangolin, "acts")
    admin = tenant.admin
    catalog = iceberg(tenant, "acts")
    catalog.create_namespace("ns", {"owner": "all"})
    catalog.create_table("ns.t", SCHEMA)
    admin.branches.create("exp", catalog_name="acts")
    on_branch = iceberg(tenant, "acts@exp")
    on_branch.load_table("ns.t").append(rows(1))
    catalog.create_table("ns.other", SCHEMA)
    assert admin.branches.rebase("exp", "acts") is None
    assert sorted(on_branch.list_tables("ns")) == [("ns", "other"), ("ns", "t")]
    assert ids(on_branch.load_table("ns.t")) == [1]
    commits = admin.branches.list_commits("exp", "acts")
    assert commits[0].id == admin.branches.get("exp").head_commit_id, commits[0]
    raises(NotFoundError, admin.branches.list_commits, "none", "acts")

    admin.branches.create("other", catalog_name="acts")
    on_other = iceberg(tenant, "acts@other")
    on_other.update_namespace_properties("ns", updates={"owner": "other"})
    on_branch.update_namespace_properties("ns", updates={"owner": "exp"})
    operation, conflict = conflicted(admin)
    admin.merge_operations.abort(operation)
    assert admin.merge_operations.get(operation).status == "Aborted"
    raises(PangolinError, admin.merge_operations.resolve_conflict, conflict, "source")
    raises(PangolinError, admin.merge_operations.complete, operation)
    assert on_other.load_namespace_properties("ns")["owner"] == "other"

    operation, conflict = conflicted(admin)
    admin.merge_operations.resolve_conflict(conflict, "custom", {"owner": "both"})
    admin.merge_operations.complete(operation)
    assert on_other.load_namespace_properties("ns")["owner"] == "both"
    assert ids(on_other.load_table("ns.t")) == [1]


if __name__ == "__main__":
    suite.main()
