"""Names, lives and transactions with PyIceberg: rename, drop, purge, register, staged creates."""

import os
import urllib.parse
import urllib.request

import pyarrow as pa
from pyiceberg.exceptions import (CommitFailedException, NoSuchNamespaceError, NoSuchTableError,
                                  TableAlreadyExistsError)
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType
from suite import Suite, load_catalog, raises

suite = Suite("pyiceberg_names")

SCHEMA = Schema(NestedField(1, "id", LongType(), required=False),
                NestedField(2, "data", StringType(), required=False))
ROWS = pa.table({"id": [1, 2], "data": ["a", "b"]})


def path_of(location):
    return urllib.request.url2pathname(urllib.parse.urlparse(location).path)


def make(pangolin, name):
    catalog = load_catalog(pangolin)
    catalog.create_namespace_if_not_exists("n")
    table = catalog.create_table(("n", name), SCHEMA)
    table.append(ROWS)
    return catalog, table


@suite.test
def rename(pangolin):
    catalog, table = make(pangolin, "old")
    catalog.create_namespace_if_not_exists("n2")
    moved = catalog.rename_table(("n", "old"), ("n2", "new"))
    assert moved.metadata.table_uuid == table.metadata.table_uuid
    assert moved.location() == table.location()
    assert not catalog.table_exists(("n", "old"))
    assert catalog.load_table(("n2", "new")).scan().to_arrow().num_rows == 2
    raises(NoSuchTableError, catalog.rename_table, ("n", "old"), ("n", "x"))
    raises(NoSuchNamespaceError, catalog.rename_table, ("n2", "new"), ("nowhere", "x"))
    _, other = make(pangolin, "other")
    raises(TableAlreadyExistsError, catalog.rename_table, ("n2", "new"), ("n", "other"))
    again = catalog.create_table(("n", "old"), SCHEMA)
    assert again.location() != table.location(), "two tables share a location"


@suite.test
def drop_keeps_files(pangolin):
    catalog, table = make(pangolin, "kept")
    file = path_of(table.metadata_location)
    catalog.drop_table(("n", "kept"))
    raises(NoSuchTableError, catalog.load_table, ("n", "kept"))
    assert os.path.exists(file)


@suite.test
def purge(pangolin):
    catalog, table = make(pangolin, "purged")
    catalog.purge_table(("n", "purged"))
    raises(NoSuchTableError, catalog.load_table, ("n", "purged"))
    assert ("n", "purged") not in catalog.list_tables("n")


@suite.test
def register(pangolin):
    catalog, table = make(pangolin, "source")
    file = table.metadata_location
    catalog.drop_table(("n", "source"))
    registered = catalog.register_table(("n", "registered"), file)
    assert registered.metadata_location == file
    assert registered.metadata.table_uuid == table.metadata.table_uuid
    registered.append(ROWS)
    assert catalog.load_table(("n", "registered")).scan().to_arrow().num_rows == 4
    raises(TableAlreadyExistsError, catalog.register_table, ("n", "registered"), file)


@suite.test
def create_transaction(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace_if_not_exists("n")
    with catalog.create_table_transaction(("n", "staged"), SCHEMA) as change:
        with change.update_schema() as update:
            update.add_column("extra", StringType())
        change.set_properties({"made": "at once"})
        with change.update_snapshot().fast_append():
            pass
    table = catalog.load_table(("n", "staged"))
    assert table.schema().column_names == ["id", "data", "extra"]
    assert table.properties["made"] == "at once"
    assert len(table.metadata.metadata_log) == 0, table.metadata.metadata_log


@suite.test
def staged_create_loses(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace_if_not_exists("n")
    change = catalog.create_table_transaction(("n", "raced"), SCHEMA)
    assert not catalog.table_exists(("n", "raced"))
    catalog.create_table(("n", "raced"), SCHEMA)
    raises((CommitFailedException, TableAlreadyExistsError), change.commit_transaction)


@suite.test
def transaction(pangolin):
    catalog, table = make(pangolin, "together")
    with table.transaction() as change:
        with change.update_schema() as update:
            update.add_column("more", LongType())
        change.append(pa.table({"id": [3], "data": ["c"], "more": [30]}))
        change.set_properties({"k": "v"})
    fresh = catalog.load_table(("n", "together"))
    assert fresh.scan().to_arrow().num_rows == 3 and fresh.properties["k"] == "v"
    assert len(fresh.metadata.metadata_log) == 2, "a transaction is one commit"


if __name__ == "__main__":
    suite.main()
