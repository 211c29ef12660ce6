"""Creating and loading tables with PyIceberg: every type, nested, partitioned, sorted, located."""

import uuid

import pyarrow as pa
from pyiceberg.exceptions import (NamespaceAlreadyExistsError, NamespaceNotEmptyError,
                                  NoSuchNamespaceError, NoSuchTableError, TableAlreadyExistsError)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import (BucketTransform, DayTransform, HourTransform, IdentityTransform,
                                  MonthTransform, TruncateTransform, YearTransform)
from pyiceberg.types import (BinaryType, BooleanType, DateType, DecimalType, DoubleType, FixedType,
                             FloatType, IntegerType, ListType, LongType, MapType, NestedField,
                             StringType, StructType, TimestampType, TimestamptzType, TimeType,
                             UUIDType)
from suite import Suite, load_catalog, raises

suite = Suite("pyiceberg_create")

SIMPLE = Schema(NestedField(1, "id", LongType(), required=True),
                NestedField(2, "data", StringType(), required=False))

PRIMITIVES = [BooleanType(), IntegerType(), LongType(), FloatType(), DoubleType(),
              DecimalType(38, 9), DateType(), TimeType(), TimestampType(), TimestamptzType(),
              StringType(), UUIDType(), FixedType(16), BinaryType()]


def namespace(catalog, name):
    catalog.create_namespace(name)
    return name


@suite.test
def namespaces(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace("ns", {"owner": "me"})
    raises(NamespaceAlreadyExistsError, catalog.create_namespace, "ns")
    catalog.create_namespace_if_not_exists("ns")
    catalog.create_namespace(("ns", "inner level"))
    assert ("ns",) in catalog.list_namespaces()
    assert catalog.list_namespaces("ns") == [("ns", "inner level")]
    assert catalog.namespace_exists(("ns", "inner level"))
    assert not catalog.namespace_exists("other")
    assert catalog.load_namespace_properties("ns")["owner"] == "me"
    summary = catalog.update_namespace_properties("ns", {"gone"}, {"more": "yes"})
    assert summary.missing == ["gone"] and summary.updated == ["more"], summary
    raises(NamespaceNotEmptyError, catalog.drop_namespace, "ns")
    catalog.drop_namespace(("ns", "inner level"))
    catalog.drop_namespace("ns")
    raises(NoSuchNamespaceError, catalog.drop_namespace, "ns")
    raises(NoSuchNamespaceError, catalog.load_namespace_properties, "ns")


@suite.test
def every_type(pangolin):
    catalog = load_catalog(pangolin)
    ns = namespace(catalog, "types")
    schema = Schema(*[NestedField(n + 1, "c_%d" % n, kind, required=False, doc="column %d" % n)
                      for n, kind in enumerate(PRIMITIVES)])
    made = catalog.create_table((ns, "t"), schema)
    loaded = catalog.load_table((ns, "t"))
    assert made.schema() == loaded.schema() == schema, loaded.schema()
    assert loaded.metadata.format_version == 2
    assert loaded.metadata.last_column_id == len(PRIMITIVES)


@suite.test
def nested(pangolin):
    catalog = load_catalog(pangolin)
    ns = namespace(catalog, "nested")
    schema = Schema(
        NestedField(1, "id", LongType(), required=True),
        NestedField(2, "tags", ListType(3, StringType(), element_required=True)),
        NestedField(4, "counts", MapType(5, StringType(), 6, LongType(), value_required=False)),
        NestedField(7, "place", StructType(
            NestedField(8, "lat", DoubleType()),
            NestedField(9, "more", ListType(10, StructType(NestedField(11, "x", FloatType())))))),
        identifier_field_ids=[1])
    table = catalog.create_table((ns, "t"), schema)
    names = {table.schema().find_column_name(n) for n in range(1, 12)}
    assert "place.more.element.x" in names and "counts.value" in names, names
    assert table.schema().identifier_field_ids == [1]
    rows = pa.Table.from_pylist([{
        "id": 1, "tags": ["a", "b"], "counts": [("k", 2)],
        "place": {"lat": 1.5, "more": [{"x": 2.5}]}}], schema=table.schema().as_arrow())
    table.append(rows)
    assert catalog.load_table((ns, "t")).scan().to_arrow().to_pylist() == rows.to_pylist()


@suite.test
def partitioned_and_sorted(pangolin):
    catalog = load_catalog(pangolin)
    ns = namespace(catalog, "parted")
    schema = Schema(NestedField(1, "id", LongType(), required=True),
                    NestedField(2, "name", StringType()),
                    NestedField(3, "day", DateType()),
                    NestedField(4, "at", TimestampType()))
    spec = PartitionSpec(
        PartitionField(1, 1000, BucketTransform(4), "id_bucket"),
        PartitionField(2, 1001, TruncateTransform(2), "name_trunc"),
        PartitionField(3, 1002, MonthTransform(), "day_month"),
        PartitionField(4, 1003, HourTransform(), "at_hour"))
    order = SortOrder(SortField(1, IdentityTransform(), SortDirection.DESC, NullOrder.NULLS_LAST),
                      SortField(2, TruncateTransform(3)))
    table = catalog.create_table((ns, "t"), schema, partition_spec=spec, sort_order=order)
    loaded = catalog.load_table((ns, "t"))
    assert loaded.spec() == table.spec() and loaded.spec().fields == spec.fields, loaded.spec()
    assert loaded.sort_order().order_id == 1 and loaded.sort_order().fields == order.fields
    assert loaded.metadata.last_partition_id == 1003
    for kind in (YearTransform(), DayTransform(), IdentityTransform()):
        name = "t_%s" % str(kind)
        made = catalog.create_table((ns, name), schema,
                                    partition_spec=PartitionSpec(PartitionField(3, 1000, kind, "p")))
        assert made.spec().fields[0].transform == kind


@suite.test
def located_and_described(pangolin):
    catalog = load_catalog(pangolin)
    ns = namespace(catalog, "located")
    plain = catalog.create_table((ns, "plain"), SIMPLE, properties={"a": "b", "number": 7})
    assert plain.location().endswith("/located/plain"), plain.location()
    assert plain.properties["a"] == "b" and plain.properties["number"] == "7"
    assert "/metadata/00000-" in plain.metadata_location
    own = plain.location() + "_own"
    assert catalog.create_table((ns, "own"), SIMPLE, location=own).location() == own
    assert plain.metadata.table_uuid != uuid.UUID(int=0)


@suite.test
def format_versions(pangolin):
    catalog = load_catalog(pangolin)
    ns = namespace(catalog, "versions")
    for version in (1, 2):
        table = catalog.create_table((ns, "v%d" % version), SIMPLE,
                                     properties={"format-version": str(version)})
        assert table.metadata.format_version == version
        assert catalog.load_table((ns, "v%d" % version)).metadata.format_version == version


@suite.test
def errors(pangolin):
    catalog = load_catalog(pangolin)
    ns = namespace(catalog, "errors")
    catalog.create_table((ns, "t"), SIMPLE)
    raises(TableAlreadyExistsError, catalog.create_table, (ns, "t"), SIMPLE)
    catalog.create_table_if_not_exists((ns, "t"), SIMPLE)
    raises(NoSuchNamespaceError, catalog.create_table, ("nowhere", "t"), SIMPLE)
    raises(NoSuchTableError, catalog.load_table, (ns, "missing"))
    raises(NoSuchTableError, catalog.drop_table, (ns, "missing"))
    raises(NoSuchNamespaceError, catalog.list_tables, "nowhere")
    assert catalog.list_tables(ns) == [(ns, "t")]
    assert catalog.table_exists((ns, "t")) and not catalog.table_exists((ns, "u"))
    raises(NamespaceNotEmptyError, catalog.drop_namespace, ns)


@suite.test
def odd_names(pangolin):
    catalog = load_catalog(pangolin)
    ns = ("odd names", "größe+50%", "with.dot")
    for depth in (1, 2, 3):
        namespace(catalog, ns[:depth])
    for name in ("two words", "dot.dot", "perc%20ent", "plus+plus", "ünï", "UPPER", "q?&=#"):
        catalog.create_table((*ns, name), SIMPLE)
        assert catalog.load_table((*ns, name)).name()[-1] == name
        assert catalog.table_exists((*ns, name))
    assert len(catalog.list_tables(ns)) == 7
    for listed in catalog.list_tables(ns):
        catalog.drop_table(listed)
    assert catalog.list_tables(ns) == []


@suite.test
def many_pages(pangolin):
    catalog = load_catalog(pangolin)
    ns = namespace(catalog, "paged")
    names = ["t%03d" % n for n in range(120)]
    for name in names:
        catalog.create_table((ns, name), SIMPLE)
    assert catalog.list_tables(ns) == [(ns, name) for name in names]
    small = load_catalog(pangolin, **{"rest-page-size": "7"})
    assert small.list_tables(ns) == [(ns, name) for name in names]


if __name__ == "__main__":
    suite.main()
