"""Merges of tables with PyIceberg: what both branches wrote is read back after one merge, a second
one, one the other way, and by the accessors of `pypangolin`."""

import json
import urllib.error
import urllib.request

import pyarrow as pa
from pyiceberg.exceptions import ForbiddenError
from pyiceberg.types import LongType
from pypangolin import PangolinClient
from pypangolin.exceptions import ConflictError
from suite import Suite, load_catalog, raises

suite = Suite("pyiceberg_merge")


def send(pangolin, path, body=None):
    """(status, JSON; None without a body)"""
    request = urllib.request.Request(pangolin.uri + path, json.dumps(body or {}).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as reply:
            text = reply.read()
            return reply.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def branch(pangolin, name, **more):
    status, made = send(pangolin, "/api/v1/branches", {
        "name": name, "catalog": "demo", "branch_type": "ingest", **more})
    assert status == 201, made


def merge(pangolin, source, target="main", status=200, **more):
    got, reply = send(pangolin, "/api/v1/branches/merge", {
        "source_branch": source, "target_branch": target, "catalog": "demo", **more})
    assert got == status, (got, reply)
    return reply


def rows(*ids):
    return pa.table({"id": pa.array(ids, pa.int64()), "v": pa.array(["x"] * len(ids))})


def ids(catalog, name):
    return sorted(catalog.load_table(name).scan().to_arrow()["id"].to_pylist())


def table(catalog, ns):
    catalog.create_namespace(ns)
    made = catalog.create_table((ns, "t"), rows(1).schema)
    made.append(rows(1))
    return made


@suite.test
def both_appended(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "both")
    branch(pangolin, "both-dev")
    catalog.load_table("both.t@both-dev").append(rows(2))
    catalog.load_table("both.t").append(rows(3))
    done = merge(pangolin, "both-dev")
    assert done["status"] == "Completed" and not done["fast_forward"], done
    assert [c["outcome"] for c in done["changes"] if c["key"] == "both.t"] == ["merged"], done
    assert ids(catalog, "both.t") == [1, 2, 3]
    assert ids(catalog, "both.t@both-dev") == [1, 2]
    # Again, from where the first ended; and the other way.
    catalog.load_table("both.t@both-dev").append(rows(4))
    catalog.load_table("both.t").append(rows(5))
    merge(pangolin, "both-dev")
    assert ids(catalog, "both.t") == [1, 2, 3, 4, 5]
    merge(pangolin, "main", "both-dev")
    assert ids(catalog, "both.t@both-dev") == [1, 2, 3, 4, 5]
    catalog.load_table("both.t@both-dev").append(rows(6))
    merge(pangolin, "both-dev")
    assert ids(catalog, "both.t") == [1, 2, 3, 4, 5, 6]


@suite.test
def back_and_forth(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "back")
    branch(pangolin, "back-dev")
    for n in range(2, 8, 2):
        catalog.load_table("back.t@back-dev").append(rows(n))
        catalog.load_table("back.t").append(rows(n + 1))
        merge(pangolin, "main", "back-dev")
        assert ids(catalog, "back.t@back-dev") == list(range(1, n + 2))
        catalog.load_table("back.t").append(rows(100 + n))
        merge(pangolin, "back-dev")
        merge(pangolin, "main", "back-dev")
        assert ids(catalog, "back.t") == ids(catalog, "back.t@back-dev")
        catalog.load_table("back.t").delete("id > 99")
        merge(pangolin, "main", "back-dev")
        assert ids(catalog, "back.t@back-dev") == list(range(1, n + 2))


@suite.test
def a_schema_and_rows(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "schema")
    branch(pangolin, "schema-dev")
    with catalog.load_table("schema.t@schema-dev").update_schema() as change:
        change.add_column("w", LongType(), doc="of the branch")
    catalog.load_table("schema.t").append(rows(2))
    merge(pangolin, "schema-dev")
    found = catalog.load_table("schema.t")
    assert [f.name for f in found.schema().fields] == ["id", "v", "w"]
    assert ids(catalog, "schema.t") == [1, 2]


@suite.test
def decided_by_a_person(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "person")
    branch(pangolin, "person-dev")
    catalog.load_table("person.t@person-dev").overwrite(rows(10))
    catalog.load_table("person.t").overwrite(rows(20))
    client = PangolinClient(uri=pangolin.uri)
    raises(ConflictError, client.branches.merge, "person-dev", "main", catalog="demo")
    operation = client.merge_operations.list("demo")[0]
    assert operation.source_branch == "person-dev" and operation.status == "Conflicted", operation
    conflicts = client.merge_operations.list_conflicts(operation.id)
    assert [c.asset_name for c in conflicts] == ["person.t"] and conflicts[0].details, conflicts
    client.merge_operations.resolve_conflict(conflicts[0].id, "source")
    assert client.merge_operations.get(operation.id).status == "Ready"
    client.merge_operations.complete(operation.id)
    assert client.merge_operations.get(operation.id).status == "Completed"
    assert ids(catalog, "person.t") == [10]
    catalog.load_table("person.t").append(rows(30))
    catalog.load_table("person.t@person-dev").append(rows(40))
    merge(pangolin, "person-dev")
    assert ids(catalog, "person.t") == [10, 30, 40]
    done = client.branches.merge("main", "person-dev", catalog="demo")
    assert done.status == "Completed", done
    assert ids(catalog, "person.t@person-dev") == [10, 30, 40]


def files_of(catalog, name):
    found = catalog.load_table(name)
    return found.metadata_location, [task.file.file_path for task in found.scan().plan_files()]


@suite.test
def paths_of_its_own(pangolin):
    """A branch beside a protected one writes where nobody else does, and never again where the
    protected one reads."""
    catalog = load_catalog(pangolin)
    table(catalog, "own")
    branch(pangolin, "own-kept", protected=True)
    branch(pangolin, "own-dev", from_branch="own-kept", own_paths=True)
    raises(ForbiddenError, catalog.load_table("own.t@own-kept").append, rows(9))
    catalog.load_table("own.t@own-dev").append(rows(2))
    metadata, files = files_of(catalog, "own.t@own-dev")
    first = metadata.rsplit("/metadata/", 1)[0]
    assert "/branches/" in first, metadata
    assert len([f for f in files if f.startswith(first + "/data/")]) == 1 and len(files) == 2, files
    merge(pangolin, "own-dev", "own-kept")
    assert ids(catalog, "own.t@own-kept") == [1, 2]
    # What the protected branch has taken over lies where the other one does not write any more.
    catalog.load_table("own.t@own-dev").append(rows(3))
    metadata, files = files_of(catalog, "own.t@own-dev")
    assert not metadata.startswith(first + "/"), metadata
    assert len([f for f in files if f.startswith(first + "/data/")]) == 1 and len(files) == 3, files
    assert ids(catalog, "own.t@own-kept") == [1, 2]
    status, reply = send(pangolin, "/api/v1/branches/own-dev/rebase",
                         {"catalog": "demo", "base_branch": "own-kept"})
    assert status == 200, reply
    catalog.load_table("own.t@own-dev").append(rows(4))
    merge(pangolin, "own-dev", "own-kept")
    assert ids(catalog, "own.t@own-kept") == [1, 2, 3, 4]
    assert ids(catalog, "own.t") == [1]


if __name__ == "__main__":
    suite.main()
