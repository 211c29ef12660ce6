"""Views with PyIceberg: created, listed, loaded, dropped, registered, on branches; and with the accessor of
`pypangolin`, which says a query alone."""

import json
import urllib.request

from pyiceberg.catalog import load_catalog as load
from pyiceberg.exceptions import (NoSuchNamespaceError, NoSuchTableError, NoSuchViewError,
                                  TableAlreadyExistsError, ViewAlreadyExistsError)
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType
from pyiceberg.view.metadata import SQLViewRepresentation, ViewVersion
from pypangolin import PangolinClient
from pypangolin.exceptions import ConflictError, NotFoundError, PangolinError
from suite import Suite, load_catalog, raises

suite = Suite("pyiceberg_views")

SCHEMA = Schema(NestedField(1, "id", LongType(), required=False),
                NestedField(2, "data", StringType(), required=False))


def post(pangolin, path, body):
    request = urllib.request.Request(pangolin.uri + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def version(sql, dialect="spark"):
    return ViewVersion(version_id=1, schema_id=0, timestamp_ms=1700000000000,
                       summary={"engine-name": "e2e"},
                       representations=[SQLViewRepresentation(type="sql", sql=sql,
                                                              dialect=dialect)],
                       default_namespace=["n"])


def query(view):
    current = [v for v in view.metadata.versions
               if v.version_id == view.metadata.current_version_id]
    return current[0].representations[0].root.sql


@suite.test
def lives(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace("n")
    assert catalog.list_views("n") == []
    raises(NoSuchNamespaceError, catalog.list_views, "missing")
    made = catalog.create_view("n.v", SCHEMA, version("select 1 as id"), properties={"a": "b"})
    assert made.metadata.location.endswith("/n/v"), made.metadata
    loaded = catalog.load_view("n.v")
    assert query(loaded) == "select 1 as id" and loaded.metadata.properties == {"a": "b"}
    assert loaded.metadata.view_uuid == made.metadata.view_uuid
    assert [field.name for field in loaded.metadata.schemas[0].fields] == ["id", "data"]
    raises(ViewAlreadyExistsError, catalog.create_view, "n.v", SCHEMA, version("select 2"))
    raises(TableAlreadyExistsError, catalog.create_table, "n.v", SCHEMA)
    raises(NoSuchTableError, catalog.load_table, "n.v")
    catalog.create_table("n.t", SCHEMA)
    raises(NoSuchViewError, catalog.load_view, "n.t")
    assert catalog.list_views("n") == [("n", "v")] and catalog.list_tables("n") == [("n", "t")]
    assert catalog.view_exists("n.v") and not catalog.view_exists("n.t")
    catalog.drop_view("n.v")
    raises(NoSuchViewError, catalog.drop_view, "n.v")
    raises(NoSuchViewError, catalog.load_view, "n.v")
    assert not catalog.view_exists("n.v") and catalog.list_views("n") == []


@suite.test
def registered(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace_if_not_exists("n")
    made = catalog.create_view("n.r", SCHEMA, version("select 1 as id"))
    with urllib.request.urlopen(pangolin.uri + "/v1/demo/namespaces/n/views/r") as reply:
        place = json.load(reply)["metadata-location"]
    catalog.drop_view("n.r")
    again = catalog.register_view("n.again", place)
    assert again.metadata.view_uuid == made.metadata.view_uuid
    assert query(catalog.load_view("n.again")) == "select 1 as id"
    raises(ViewAlreadyExistsError, catalog.register_view, "n.again", place)


@suite.test
def on_a_branch(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace("on")
    catalog.create_view("on.b", SCHEMA, version("select 1 as id"))
    post(pangolin, "/api/v1/branches", {"name": "dev", "catalog": "demo"})
    branch = load("branch", uri=pangolin.uri, warehouse="demo@dev", type="rest")
    branch.create_view("on.only", SCHEMA, version("select 2 as id"))
    branch.drop_view("on.b")
    assert branch.list_views("on") == [("on", "only")]
    assert catalog.view_exists("on.b") and not catalog.view_exists("on.only")
    assert query(catalog.load_view("on.only@dev")) == "select 2 as id"
    raises(NoSuchViewError, catalog.load_view, "on.b@dev")
    raises(NoSuchViewError, catalog.load_view, "on.b@none")


@suite.test
def a_query_alone(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace_if_not_exists("n")
    views = PangolinClient(pangolin.uri).catalogs.views("demo")
    made = views.create("n", "q", "select 7 as seven", properties={"a": "b"})
    assert (made.name, made.sql, made.properties) == ("q", "select 7 as seven", {"a": "b"})
    assert views.get("n", "q") == made
    assert query(catalog.load_view("n.q")) == "select 7 as seven", "engines see it, too"
    typed = views.create("n", "typed", "select 7 as seven", {
        "type": "struct", "fields": [{"id": 1, "name": "seven", "required": False, "type": "int"}]})
    assert typed.schema_["fields"][0]["name"] == "seven", typed
    catalog.create_view("n.engine", SCHEMA, version("select 8 as id"))
    assert views.get("n", "engine").sql == "select 8 as id"
    raises(ConflictError, views.create, "n", "q", "select 1")
    raises(NotFoundError, views.get, "n", "none")
    raises(PangolinError, views.create, "n", "empty", "")
    catalog.drop_view("n.q")
    raises(NotFoundError, views.get, "n", "q")


if __name__ == "__main__":
    suite.main()
