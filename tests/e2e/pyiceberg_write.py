"""Writing and evolving tables with PyIceberg: append, overwrite, delete, upsert, schema, partition and
property evolution, snapshots, tags, branches, time travel."""

import datetime
import time

import pyarrow as pa
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection
from pyiceberg.transforms import BucketTransform, IdentityTransform, YearTransform
from pyiceberg.types import (DateType, DoubleType, IntegerType, LongType, NestedField, StringType,
                             StructType)
from suite import Suite, load_catalog, raises

suite = Suite("pyiceberg_write")

SCHEMA = Schema(NestedField(1, "id", LongType(), required=True),
                NestedField(2, "name", StringType(), required=False),
                NestedField(3, "day", DateType(), required=False))
ARROW = SCHEMA.as_arrow()


def rows(*ids, name="n"):
    return pa.Table.from_pylist(
        [{"id": n, "name": "%s%d" % (name, n), "day": datetime.date(2020 + n % 5, 1, 1)}
         for n in ids], schema=ARROW)


def ids(table, **scan):
    return sorted(row["id"] for row in table.scan(**scan).to_arrow().to_pylist())


def make(pangolin, name, **more):
    catalog = load_catalog(pangolin)
    catalog.create_namespace_if_not_exists("w")
    return catalog, catalog.create_table(("w", name), SCHEMA, **more)


@suite.test
def append(pangolin):
    catalog, table = make(pangolin, "append")
    table.append(rows(1, 2))
    table.append(rows(3))
    fresh = catalog.load_table(("w", "append"))
    assert ids(fresh) == [1, 2, 3]
    assert [s.summary.operation.value for s in fresh.snapshots()] == ["append", "append"]
    assert fresh.metadata.last_sequence_number == 2
    assert len(fresh.history()) == 2 and len(fresh.metadata.metadata_log) == 2
    assert fresh.current_snapshot().parent_snapshot_id == fresh.snapshots()[0].snapshot_id


@suite.test
def partitioned(pangolin):
    spec = PartitionSpec(PartitionField(1, 1000, BucketTransform(3), "id_bucket"),
                         PartitionField(3, 1001, YearTransform(), "day_year"))
    catalog, table = make(pangolin, "partitioned", partition_spec=spec)
    table.append(rows(*range(20)))
    fresh = catalog.load_table(("w", "partitioned"))
    assert ids(fresh) == list(range(20))
    assert ids(fresh, row_filter=GreaterThanOrEqual("id", 15)) == [15, 16, 17, 18, 19]
    assert fresh.inspect.partitions().num_rows > 3


@suite.test
def overwrite_and_delete(pangolin):
    catalog, table = make(pangolin, "overwrite")
    table.append(rows(1, 2, 3))
    table.overwrite(rows(7, 8))
    assert ids(catalog.load_table(("w", "overwrite"))) == [7, 8]
    table.overwrite(rows(9), overwrite_filter=EqualTo("id", 7))
    assert ids(catalog.load_table(("w", "overwrite"))) == [8, 9]
    table.delete(EqualTo("id", 8))
    fresh = catalog.load_table(("w", "overwrite"))
    assert ids(fresh) == [9]
    assert "overwrite" in {s.summary.operation.value for s in fresh.snapshots()}
    table.delete()
    assert ids(catalog.load_table(("w", "overwrite"))) == []


@suite.test
def dynamic_overwrite(pangolin):
    spec = PartitionSpec(PartitionField(3, 1000, IdentityTransform(), "day"))
    catalog, table = make(pangolin, "dynamic", partition_spec=spec)
    table.append(rows(0, 1, 2))
    table.dynamic_partition_overwrite(rows(5, name="new"))
    assert ids(catalog.load_table(("w", "dynamic"))) == [1, 2, 5]


@suite.test
def upsert(pangolin):
    catalog, table = make(pangolin, "upsert")
    table.append(rows(1, 2))
    result = table.upsert(rows(2, 3, name="changed"), join_cols=["id"])
    assert (result.rows_updated, result.rows_inserted) == (1, 1)
    got = {row["id"]: row["name"]
           for row in catalog.load_table(("w", "upsert")).scan().to_arrow().to_pylist()}
    assert got == {1: "n1", 2: "changed2", 3: "changed3"}, got


@suite.test
def schema_evolution(pangolin):
    catalog, table = make(pangolin, "schema")
    table.append(rows(1))
    with table.update_schema() as update:
        update.add_column("score", IntegerType(), doc="points")
        update.add_column("place", StructType(NestedField(100, "x", DoubleType())))
    with table.update_schema() as update:
        update.rename_column("name", "label")
        update.update_column("score", field_type=LongType())
        update.move_first("score")
    with table.update_schema() as update:
        update.delete_column("day")
        update.add_column(("place", "y"), DoubleType())
    fresh = catalog.load_table(("w", "schema"))
    assert [f.name for f in fresh.schema().fields] == ["score", "id", "label", "place"]
    assert len(fresh.schemas()) == 4 and fresh.schema().schema_id == 3
    assert fresh.schema().find_field("label").field_id == 2
    assert fresh.schema().find_field("place.y").field_id == 7
    assert fresh.metadata.last_column_id == 7
    assert fresh.scan(selected_fields=("id", "label")).to_arrow().to_pylist() == \
        [{"id": 1, "label": "n1"}]


@suite.test
def partition_and_order_evolution(pangolin):
    catalog, table = make(pangolin, "spec")
    table.append(rows(1, 2))
    with table.update_spec() as update:
        update.add_field("id", BucketTransform(2), "id_bucket")
    with table.update_spec() as update:
        update.add_field("day", YearTransform(), "year")
        update.rename_field("id_bucket", "bucket")
    table.append(rows(3, 4))
    with table.update_spec() as update:
        update.remove_field("bucket")
    with table.update_sort_order() as update:
        update.asc("id", IdentityTransform(), NullOrder.NULLS_FIRST)
        update.desc("name", IdentityTransform(), NullOrder.NULLS_LAST)
    fresh = catalog.load_table(("w", "spec"))
    assert len(fresh.specs()) == 4 and [f.name for f in fresh.spec().fields] == ["year"]
    assert fresh.metadata.last_partition_id == 1001
    assert [f.direction for f in fresh.sort_order().fields] == [SortDirection.ASC,
                                                                SortDirection.DESC]
    assert ids(fresh) == [1, 2, 3, 4]


@suite.test
def properties(pangolin):
    catalog, table = make(pangolin, "props", properties={"a": "1"})
    with table.transaction() as change:
        change.set_properties({"b": "2", "comment": "ünï"})
        change.remove_properties("a")
    fresh = catalog.load_table(("w", "props"))
    assert fresh.properties["b"] == "2" and "a" not in fresh.properties
    assert fresh.properties["comment"] == "ünï"


@suite.test
def upgrade(pangolin):
    catalog, table = make(pangolin, "upgrade", properties={"format-version": "1"})
    table.append(rows(1))
    with table.transaction() as change:
        change.upgrade_table_version(2)
    table.append(rows(2))
    fresh = catalog.load_table(("w", "upgrade"))
    assert fresh.metadata.format_version == 2 and ids(fresh) == [1, 2]
    assert [s.sequence_number for s in fresh.snapshots()] == [0, 1], fresh.snapshots()


@suite.test
def tags_and_branches(pangolin):
    catalog, table = make(pangolin, "refs")
    table.append(rows(1))
    first = table.current_snapshot().snapshot_id
    table.manage_snapshots().create_tag(first, "v1", max_ref_age_ms=10 ** 12).commit()
    table.append(rows(2))
    table.manage_snapshots().create_branch(first, "audit", min_snapshots_to_keep=2).commit()
    table.append(rows(10), branch="audit")
    fresh = catalog.load_table(("w", "refs"))
    assert set(fresh.refs()) == {"main", "v1", "audit"}
    assert ids(fresh) == [1, 2]
    assert ids(fresh, snapshot_id=fresh.refs()["v1"].snapshot_id) == [1]
    assert ids(fresh.scan().use_ref("audit").to_arrow() and fresh,
               snapshot_id=fresh.refs()["audit"].snapshot_id) == [1, 10]
    table.manage_snapshots().remove_tag("v1").remove_branch("audit").commit()
    assert set(catalog.load_table(("w", "refs")).refs()) == {"main"}


@suite.test
def time_travel_and_rollback(pangolin):
    catalog, table = make(pangolin, "travel")
    table.append(rows(1))
    first = table.current_snapshot()
    time.sleep(0.01)
    table.append(rows(2))
    table.append(rows(3))
    fresh = catalog.load_table(("w", "travel"))
    assert ids(fresh, snapshot_id=first.snapshot_id) == [1]
    assert fresh.snapshot_as_of_timestamp(first.timestamp_ms).snapshot_id == first.snapshot_id
    table.manage_snapshots().rollback_to_snapshot(first.snapshot_id).commit()
    fresh = catalog.load_table(("w", "travel"))
    assert ids(fresh) == [1] and len(fresh.snapshots()) == 3
    assert [entry.snapshot_id for entry in fresh.history()][-1] == first.snapshot_id


@suite.test
def expire(pangolin):
    catalog, table = make(pangolin, "expire")
    for n in range(4):
        table.append(rows(n))
    old = table.snapshots()[0].snapshot_id
    table.maintenance.expire_snapshots().by_id(old).commit()
    fresh = catalog.load_table(("w", "expire"))
    assert old not in {s.snapshot_id for s in fresh.snapshots()} and len(fresh.snapshots()) == 3
    assert ids(fresh) == [0, 1, 2, 3]


@suite.test
def refs_only(pangolin):
    catalog, table = make(pangolin, "refsonly")
    for n in range(3):
        table.append(rows(n))
    lean = load_catalog(pangolin, **{"snapshot-loading-mode": "refs"})
    loaded = lean.load_table(("w", "refsonly"))
    assert ids(loaded) == [0, 1, 2]
    assert loaded.current_snapshot().snapshot_id == table.current_snapshot().snapshot_id


@suite.test
def concurrent_change_is_refused(pangolin):
    from pyiceberg.exceptions import CommitFailedException
    catalog, table = make(pangolin, "conflict")
    stale = catalog.load_table(("w", "conflict"))
    with table.update_schema() as update:
        update.add_column("a", LongType())
    update = stale.update_schema()
    update.add_column("b", LongType())
    raises(CommitFailedException, update.commit)
    stale.refresh()
    with stale.update_schema() as update:
        update.add_column("b", LongType())
    assert catalog.load_table(("w", "conflict")).schema().column_names[-2:] == ["a", "b"]


if __name__ == "__main__":
    suite.main()
