"""DuckDB with its iceberg extension: attaches the REST catalog without credentials, reads what PyIceberg
wrote and writes what PyIceberg reads."""

import importlib
import json
import os
import urllib.request

import duckdb
import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType
from suite import Suite, load_catalog

suite = Suite("duckdb_rw")


def extension(name):
    """Where the package of an extension keeps it: nothing is downloaded at run time."""
    package = importlib.import_module("duckdb_extension_" + name)
    folder = os.path.dirname(package.__file__)
    version = "v" + duckdb.__version__
    return os.path.join(folder, "extensions", version, name + ".duckdb_extension")


def connect(pangolin, warehouse="demo"):
    db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "httpfs", "iceberg"):
        db.execute("LOAD '%s'" % extension(name))
    db.execute("ATTACH '%s' AS lake (TYPE iceberg, ENDPOINT '%s', AUTHORIZATION_TYPE 'none')"
               % (warehouse, pangolin.uri))
    return db


@suite.test
def reads(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace("fromarrow")
    table = catalog.create_table("fromarrow.t", Schema(
        NestedField(1, "id", LongType(), required=False),
        NestedField(2, "name", StringType(), required=False)))
    table.append(pa.table({"id": [1, 2, 3], "name": ["a", "b", None]}))
    db = connect(pangolin)
    assert ("t",) in [row[2:3] for row in db.execute("SHOW ALL TABLES").fetchall()]
    got = db.execute("SELECT id, name FROM lake.fromarrow.t ORDER BY id").fetchall()
    assert got == [(1, "a"), (2, "b"), (3, None)], got
    table.delete("id = 2")
    got = connect(pangolin).execute("SELECT count(*), sum(id) FROM lake.fromarrow.t").fetchall()
    assert got == [(2, 4)], got


@suite.test
def creates_and_inserts(pangolin):
    db = connect(pangolin)
    db.execute("CREATE SCHEMA lake.fromduck")
    db.execute("CREATE TABLE lake.fromduck.t (id BIGINT, name VARCHAR, moment TIMESTAMP, "
               "price DECIMAL(12, 2), tags VARCHAR[], place STRUCT(x DOUBLE, y DOUBLE))")
    db.execute("INSERT INTO lake.fromduck.t VALUES "
               "(1, 'a', TIMESTAMP '2024-01-02 03:04:05', 1.25, ['x', 'y'], {'x': 1.5, 'y': 2.5}),"
               "(2, NULL, NULL, NULL, NULL, NULL)")
    db.execute("INSERT INTO lake.fromduck.t SELECT range + 10, 'r', NULL, 0, [], NULL "
               "FROM range(1000)")
    assert db.execute("SELECT count(*) FROM lake.fromduck.t").fetchone() == (1002,)
    table = load_catalog(pangolin).load_table("fromduck.t")
    rows = table.scan(row_filter="id < 10").to_arrow().sort_by("id").to_pylist()
    assert rows[0]["name"] == "a" and rows[0]["tags"] == ["x", "y"], rows
    assert rows[0]["place"] == {"x": 1.5, "y": 2.5} and rows[1]["name"] is None
    assert len(table.snapshots()) == 2


@suite.test
def create_as_select_and_transaction(pangolin):
    db = connect(pangolin)
    db.execute("CREATE SCHEMA IF NOT EXISTS lake.ctas")
    db.execute("CREATE TABLE lake.ctas.t AS SELECT range AS id, range % 3 AS part FROM range(30)")
    db.execute("BEGIN")
    db.execute("INSERT INTO lake.ctas.t VALUES (100, 0)")
    db.execute("ROLLBACK")
    db.execute("BEGIN")
    db.execute("INSERT INTO lake.ctas.t VALUES (200, 0)")
    db.execute("INSERT INTO lake.ctas.t VALUES (201, 0)")
    db.execute("COMMIT")
    got = connect(pangolin).execute("SELECT count(*), max(id) FROM lake.ctas.t").fetchone()
    assert got == (32, 201), got


@suite.test
def deletes_and_updates(pangolin):
    db = connect(pangolin)
    db.execute("CREATE SCHEMA IF NOT EXISTS lake.dml")
    db.execute("CREATE TABLE lake.dml.t (id BIGINT, name VARCHAR)")
    db.execute("INSERT INTO lake.dml.t SELECT range, 'n' FROM range(10)")
    db.execute("DELETE FROM lake.dml.t WHERE id < 3")
    db.execute("UPDATE lake.dml.t SET name = 'changed' WHERE id = 5")
    got = connect(pangolin).execute(
        "SELECT id, name FROM lake.dml.t WHERE id IN (2, 4, 5) ORDER BY id").fetchall()
    assert got == [(4, "n"), (5, "changed")], got
    seen = load_catalog(pangolin).load_table("dml.t").scan().to_arrow()
    assert seen.num_rows == 7, seen


def ask(pangolin, path, body):
    request = urllib.request.Request(pangolin.uri + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


@suite.test
def branches_and_merges(pangolin):
    """A table that several branches share is one as others are: read, written, and merged."""
    db = connect(pangolin)
    db.execute("CREATE SCHEMA lake.forked")
    db.execute("CREATE TABLE lake.forked.t AS SELECT range AS id FROM range(3)")
    ask(pangolin, "/api/v1/branches", {"name": "duck", "catalog": "demo",
                                      "branch_type": "ingest"})
    branch = connect(pangolin, "demo@duck")
    branch.execute("INSERT INTO lake.forked.t VALUES (10)")
    branch.execute("CREATE TABLE lake.forked.u AS SELECT 1 AS id")
    db = connect(pangolin)
    db.execute("INSERT INTO lake.forked.t VALUES (20)")
    assert db.execute("SELECT sum(id) FROM lake.forked.t").fetchone() == (23,)
    assert branch.execute("SELECT sum(id) FROM lake.forked.t").fetchone() == (13,)
    done = ask(pangolin, "/api/v1/branches/merge",
               {"catalog": "demo", "source_branch": "duck", "target_branch": "main"})
    assert done["status"] == "Completed", done
    db = connect(pangolin)
    assert db.execute("SELECT sum(id) FROM lake.forked.t").fetchone() == (33,)
    assert db.execute("SELECT count(*) FROM lake.forked.u").fetchone() == (1,)


@suite.test
def drops(pangolin):
    db = connect(pangolin)
    db.execute("CREATE SCHEMA lake.gone")
    db.execute("CREATE TABLE lake.gone.t (id BIGINT)")
    db.execute("DROP TABLE lake.gone.t")
    db.execute("DROP SCHEMA lake.gone")
    assert ("gone",) not in load_catalog(pangolin).list_namespaces()


if __name__ == "__main__":
    suite.main()
