"""Branches, tags, commits and times with PyIceberg: named with the table, or for a whole session."""

import json
import time
import urllib.request

import pyarrow as pa
from pyiceberg.exceptions import (BadRequestError, ForbiddenError, NoSuchTableError, RESTError,
                                  NoSuchNamespaceError)
from suite import Suite, load_catalog, raises

suite = Suite("pyiceberg_refs")


def post(pangolin, path, body):
    request = urllib.request.Request(pangolin.uri + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def get(pangolin, path):
    with urllib.request.urlopen(pangolin.uri + path) as reply:
        return json.load(reply)


def branch(pangolin, name, **more):
    return post(pangolin, "/api/v1/branches", {"name": name, "catalog": "demo", **more})


def rows(*ids):
    return pa.table({"id": pa.array(ids, pa.int64())})


def table(catalog, ns, name="t"):
    catalog.create_namespace(ns)
    made = catalog.create_table((ns, name), rows(1).schema)
    made.append(rows(1))
    return made


def ids(found):
    return sorted(found.scan().to_arrow()["id"].to_pylist())


@suite.test
def named_with_the_table(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "named")
    branch(pangolin, "named-dev")
    dev = catalog.load_table("named.t@named-dev")
    dev.append(rows(2))
    dev.append(rows(3))
    catalog.load_table("named.t").append(rows(4))
    assert ids(dev.refresh()) == [1, 2, 3]
    assert ids(catalog.load_table("named.t@named-dev")) == [1, 2, 3]
    assert ids(catalog.load_table(("named@named-dev", "t"))) == [1, 2, 3]
    assert ids(catalog.load_table("named.t")) == [1, 4]
    assert ("named@named-dev", "t") in catalog.list_tables("named@named-dev")
    raises(NoSuchTableError, catalog.load_table, "named.t@nobody")
    raises(NoSuchNamespaceError, catalog.list_tables, "named@nobody")


@suite.test
def a_whole_session(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "session")
    branch(pangolin, "session-dev")
    dev = load_catalog(pangolin, warehouse="demo@session-dev")
    dev.load_table("session.t").append(rows(2))
    made = dev.create_table("session.new", rows(1).schema)
    made.append(rows(7))
    dev.create_namespace(("session", "inner"))
    assert dev.list_namespaces("session") == [("session", "inner")]
    assert sorted(dev.list_tables("session")) == [("session", "new"), ("session", "t")]
    dev.rename_table("session.new", "session.newer")
    assert ids(dev.load_table("session.newer")) == [7]
    with dev.load_table("session.t").transaction() as change:
        change.set_properties({"where": "dev"})
        change.append(rows(3))
    assert ids(dev.load_table("session.t")) == [1, 2, 3]
    dev.drop_table("session.t")
    assert not dev.table_exists("session.t")
    assert ids(catalog.load_table("session.t")) == [1]
    assert "where" not in catalog.load_table("session.t").properties
    assert catalog.list_tables("session") == [("session", "t")]
    assert catalog.list_namespaces("session") == []
    raises(RESTError, load_catalog, pangolin, warehouse="demo@nobody")


@suite.test
def points_are_read_only(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "points")
    head = get(pangolin, "/api/v1/branches/main?catalog=demo")["head_commit_id"]
    post(pangolin, "/api/v1/tags", {"name": "points-v1", "catalog": "demo", "commit_id": head})
    time.sleep(0.05)
    then = int(time.time() * 1000)
    time.sleep(0.05)
    catalog.load_table("points.t").append(rows(2))
    for ref in ("points-v1", head, str(then)):
        found = catalog.load_table("points.t@" + ref)
        assert ids(found) == [1], ref
        raises(BadRequestError, found.append, rows(9))
    assert ids(catalog.load_table("points.t")) == [1, 2]


@suite.test
def a_protected_branch(pangolin):
    catalog = load_catalog(pangolin)
    table(catalog, "safe")
    branch(pangolin, "safe-dev", protected=True)
    found = catalog.load_table("safe.t@safe-dev")
    assert ids(found) == [1]
    raises(ForbiddenError, found.append, rows(2))


@suite.test
def what_a_commit_is_for(pangolin):
    catalog = load_catalog(pangolin)
    found = table(catalog, "words")
    found.append(rows(2), snapshot_properties={"pangolin.commit-message": "rows of today",
                                               "pangolin.commit.job": "load-8"})
    log = get(pangolin, "/api/v1/branches/main/commits?catalog=demo&limit=1")
    assert log[0]["message"] == "rows of today", log[0]
    session = load_catalog(pangolin, **{"header.X-Pangolin-Commit-Message": "by a session"})
    session.load_table("words.t").append(rows(3))
    log = get(pangolin, "/api/v1/branches/main/commits?catalog=demo&limit=1")
    assert log[0]["message"] == "by a session", log[0]


if __name__ == "__main__":
    suite.main()
