"""Manifests and their lists against other programs: what Spark and PyIceberg write is read here as
PyIceberg reads it; what is written here, PyIceberg and Spark (Java) read. Every format version, type
of partition and transform; deletion vectors; columns that were dropped."""

import decimal
import json
import os
import struct
import subprocess
import uuid

import pyarrow
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import (DEFAULT_READ_VERSION, MANIFEST_ENTRY_SCHEMAS, DataFile,
                                DataFileContent, FileFormat, ManifestEntry, ManifestEntryStatus,
                                read_manifest_list)
from pyiceberg.avro.file import AvroFile
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import parse_transform
from pyiceberg.types import (DateType, DecimalType, DoubleType, IntegerType, LongType, NestedField,
                             StringType, TimestampType, UUIDType)
from spark import session
from suite import Suite, load_catalog

import harness

suite = Suite("spark_manifests", limit_s=300)

CODECS = ("null", "deflate", "snappy", "zstandard")
SESSION = None


def spark(pangolin):
    global SESSION
    if SESSION is None:
        SESSION = session(pangolin, {"spark.sql.session.timeZone": "UTC"},
                          lake={"warehouse": "demo"})
    return SESSION


def tool(*arguments):
    path = os.path.join(os.path.dirname(os.path.dirname(harness.program())), "tests", "server",
                        "manifest_tool")
    done = subprocess.run([path, *map(str, arguments)], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == 0, (arguments, done.stderr)
    return json.loads(done.stdout) if done.stdout else None


def local(location):
    """Java writes file:/a where others write file:///a."""
    return "/" + location.removeprefix("file:").lstrip("/")


# ---- one form for both readers' values ----

def number_bytes(number):
    return number.to_bytes(max(1, (number + (number < 0)).bit_length() // 8 + 1), "big", signed=True)


def value(of):
    """A partition value of PyIceberg's as the tool prints it."""
    if isinstance(of, decimal.Decimal):
        return {"hex": number_bytes(int(of.scaleb(-of.as_tuple().exponent))).hex()}
    if isinstance(of, uuid.UUID):
        return {"hex": of.bytes.hex()}
    if isinstance(of, str):
        return {"hex": of.encode().hex()}
    if isinstance(of, bytes):
        return {"hex": of.hex()}
    return of


def same_value(ours, theirs):
    if isinstance(theirs, float):
        # PyIceberg's decoder gives doubles the precision of a float.
        short = struct.pack("<f", float(ours))
        return short == struct.pack("<f", theirs)
    return ours == value(theirs)


def signed(of):
    """PyIceberg's decoder forgets the sign of numbers in maps."""
    return of - 2**64 if of >= 2**63 else of


def by_column(of, form=signed):
    return None if of is None else {str(key): form(it) for key, it in of.items()}


def hexed(of):
    return None if of is None else {"hex": of.hex()}


def check_entry(ours, theirs):
    file = theirs.data_file
    expected = {
        "status": theirs.status.value, "snapshot_id": theirs.snapshot_id,
        "sequence": theirs.sequence_number, "file_sequence": theirs.file_sequence_number,
        "content": int(file.content), "path": file.file_path, "format": file.file_format.value,
        "record_count": file.record_count, "file_size": file.file_size_in_bytes,
        "column_sizes": by_column(file.column_sizes), "value_counts": by_column(file.value_counts),
        "null_counts": by_column(file.null_value_counts),
        "nan_counts": by_column(file.nan_value_counts),
        "lower": by_column(file.lower_bounds, hexed), "upper": by_column(file.upper_bounds, hexed),
        "split_offsets": file.split_offsets, "equality_ids": file.equality_ids,
        "key_metadata": hexed(file.key_metadata), "sort_order": file.sort_order_id}
    for name, it in expected.items():
        assert ours[name] == it, (name, ours[name], it)
    theirs = [file.partition[i] for i in range(len(ours["partition"]))]
    assert all(map(same_value, ours["partition"], theirs)), (ours["partition"], theirs)


def check_row(ours, theirs):
    expected = {
        "path": theirs.manifest_path, "length": theirs.manifest_length,
        "spec_id": theirs.partition_spec_id, "content": int(theirs.content),
        "sequence": theirs.sequence_number, "min_sequence": theirs.min_sequence_number or 0,
        "snapshot_id": theirs.added_snapshot_id, "added_files": theirs.added_files_count,
        "existing_files": theirs.existing_files_count,
        "deleted_files": theirs.deleted_files_count, "added_rows": theirs.added_rows_count,
        "existing_rows": theirs.existing_rows_count, "deleted_rows": theirs.deleted_rows_count,
        "key_metadata": hexed(theirs.key_metadata),
        "partitions": None if theirs.partitions is None else [
            [it.contains_null, it.contains_nan, hexed(it.lower_bound), hexed(it.upper_bound)]
            for it in theirs.partitions]}
    for name, it in expected.items():
        assert ours[name] == it, (name, ours[name], it)


def check_list(location, io):
    """All of a manifest list, and all manifests it names; returns how many entries."""
    ours, count = tool("list", local(location)), 0
    theirs = list(read_manifest_list(io.new_input(location)))
    assert len(ours) == len(theirs)
    for at, (row, manifest) in enumerate(zip(ours, theirs)):
        check_row(row, manifest)
        read = tool("entries", local(manifest.manifest_path), local(location), at)
        entries = manifest.fetch_manifest_entry(io, discard_deleted=False)
        assert len(read["entries"]) == len(entries)
        for mine, other in zip(read["entries"], entries):
            check_entry(mine, other)
            count += 1
    return count


def check_table(table):
    return sum(check_list(snapshot.manifest_list, table.io) for snapshot in table.metadata.snapshots)


def forget_sum(path):
    """Hadoop keeps a file's sum beside it."""
    sums = os.path.join(os.path.dirname(path), ".%s.crc" % os.path.basename(path))
    if os.path.exists(sums):
        os.unlink(sums)


def rewrite(table, codec, schema):
    """Writes the current snapshot's files again, in their places; what a row says of a manifest must
    be what its writer said. With a schema, by this one instead of each file's own."""
    snapshot = table.current_snapshot()
    version = table.metadata.format_version
    rows, lengths = tool("list", local(snapshot.manifest_list)), []
    for row in rows:
        path = local(row["path"])
        made = tool("rewrite", path, path, version, codec, *filter(None, [schema]))
        forget_sum(path)
        for name in ("spec_id", "content", "added_files", "existing_files", "deleted_files",
                     "added_rows", "existing_rows", "deleted_rows", "partitions"):
            assert made[name] == row[name], (name, made[name], row[name])
        if version > 1:
            assert row["min_sequence"] == (row["sequence"] if made["min_sequence"] == -1
                                           else made["min_sequence"]), (made, row)
        lengths.append(made["length"])
    path = local(snapshot.manifest_list)
    tool("rewrite-list", path, path, version, codec, snapshot.snapshot_id,
         snapshot.sequence_number or 0, *lengths)
    forget_sum(path)


def rows(session, query):
    return [tuple(row) for row in session.sql(query).collect()]


def java_sees(session, name):
    """What Java reads out of a table's manifests, and out of the table by them."""
    seen = {part: sorted(map(repr, rows(session, "SELECT * FROM %s.%s" % (name, part))))
            for part in ("entries", "files", "partitions")}
    seen["manifests"] = sorted(map(repr, rows(
        session, "SELECT content, path, partition_spec_id, added_snapshot_id, "
        "added_data_files_count, existing_data_files_count, deleted_data_files_count, "
        "added_delete_files_count, existing_delete_files_count, deleted_delete_files_count, "
        "partition_summaries FROM %s.manifests" % name)))
    seen["rows"] = sorted(map(repr, rows(session, "SELECT * FROM " + name)))
    return seen


def check_rewritten(pangolin, name, codecs=("deflate",), schema=None):
    """Java sees what it saw before, and PyIceberg what we do."""
    s = spark(pangolin)
    table = load_catalog(pangolin).load_table(name)
    assert check_table(table) > 0
    before = java_sees(s, "lake." + name)
    for codec in codecs:
        rewrite(table, codec, schema)
        # PyIceberg reads snappy only with a package that is not among the tests'.
        assert codec == "snappy" or check_table(table) > 0
        after = java_sees(s, "lake." + name)
        for part, seen in before.items():
            assert after[part] == seen, (codec, part, after[part], seen)


# ---- what Spark writes ----

COLUMNS = """id BIGINT, b BOOLEAN, i INT, f FLOAT, d DOUBLE, day DATE, at TIMESTAMP,
             local TIMESTAMP_NTZ, s STRING, bin BINARY, n DECIMAL(9, 2), w DECIMAL(38, 10)"""
VALUES = """(1, true, -5, 1.5F, 0.1D, DATE'2024-02-29', TIMESTAMP'2024-01-01 00:00:00.000001',
             TIMESTAMP_NTZ'1969-12-31 23:59:59', 'a/ü', X'00FF', -1.28, 12345678901234567890.5),
            (2, false, 2147483647, CAST('NaN' AS FLOAT), CAST('-Infinity' AS DOUBLE),
             DATE'1960-01-01', TIMESTAMP'1900-01-01 00:00:00', TIMESTAMP_NTZ'2200-01-01 00:00:00',
             '', X'', 1.27, -0.0000000001),
            (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""
TRANSFORMS = """bucket(4, id), truncate(3, s), truncate(10, i), years(day), months(local), days(at),
                bucket(8, s), truncate(50, n), bucket(3, n), bucket(3, day)"""


def make(session, name, version, partitions, more=""):
    session.sql("CREATE TABLE lake.%s (%s) USING iceberg PARTITIONED BY (%s) TBLPROPERTIES "
                "('format-version' = '%d'%s)" % (name, COLUMNS, partitions, version, more))
    session.sql("INSERT INTO lake.%s VALUES %s" % (name, VALUES))


@suite.test
def spark_every_type(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.types")
    for version in (1, 2, 3):
        name = "types.v%d" % version
        make(s, name, version, "b, i, f, d, day, at, local, s, bin, n, w")
        s.sql("DELETE FROM lake.%s WHERE id = 2" % name)
        check_rewritten(pangolin, name)


@suite.test
def spark_every_transform(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.transforms")
    for version in (1, 2, 3):
        name = "transforms.v%d" % version
        make(s, name, version, TRANSFORMS)
        check_rewritten(pangolin, name)
    make(s, "transforms.hours", 2, "hours(at)")
    check_rewritten(pangolin, "transforms.hours")


@suite.test
def spark_deletes(pangolin):
    """Position deletes in version 2, deletion vectors in version 3, and manifests that are merged."""
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.deletes")
    for version in (2, 3):
        name = "deletes.v%d" % version
        make(s, name, version, "bucket(2, id)", ", 'write.delete.mode' = 'merge-on-read'")
        s.sql("INSERT INTO lake.%s SELECT id + 10, b, i, f, d, day, at, local, s, bin, n, w FROM lake.%s"
              % (name, name))
        s.sql("INSERT INTO lake.%s SELECT id + 100, b, i, f, d, day, at, local, s, bin, n, w "
              "FROM lake.%s" % (name, name))
        s.sql("DELETE FROM lake.%s WHERE id IN (1, 12, 103)" % name)
        check_rewritten(pangolin, name)
        s.sql("CALL lake.system.rewrite_manifests('%s')" % name)
        check_rewritten(pangolin, name, CODECS)
        content = [row[0] for row in rows(s, "SELECT content FROM lake.%s.delete_files" % name)]
        assert content and set(content) == {1}, content


@suite.test
def spark_specs_change(pangolin):
    """Fields that became void, names Avro does not take, and a source that was dropped."""
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.specs")
    for version in (1, 2, 3):
        name = "specs.v%d" % version
        make(s, name, version, "s, i")
        s.sql("ALTER TABLE lake.%s DROP PARTITION FIELD s" % name)
        s.sql("ALTER TABLE lake.%s ADD PARTITION FIELD bucket(5, id) AS `9 id.ü-bucket`" % name)
        s.sql("INSERT INTO lake.%s VALUES %s" % (name, VALUES))
        check_rewritten(pangolin, name)
    s.sql("ALTER TABLE lake.specs.v2 DROP COLUMN s")
    s.sql("INSERT INTO lake.specs.v2 VALUES " + VALUES.replace("'a/ü',", "").replace("'',", "", 1)
          .replace("NULL, ", "", 1))
    check_rewritten(pangolin, "specs.v2")
    schema = load_catalog(pangolin).load_table("specs.v2").schema().model_dump_json()
    check_rewritten(pangolin, "specs.v2", schema=schema)
    s.sql("CREATE TABLE lake.specs.plain (id BIGINT) USING iceberg")
    s.sql("INSERT INTO lake.specs.plain VALUES (1), (2)")
    check_rewritten(pangolin, "specs.plain")


# ---- what PyIceberg writes ----

@suite.test
def pyiceberg_writes(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace("py")
    schema = Schema(NestedField(1, "id", LongType()), NestedField(2, "i", IntegerType()),
                    NestedField(3, "s", StringType()), NestedField(4, "d", DoubleType()),
                    NestedField(5, "day", DateType()), NestedField(6, "at", TimestampType()),
                    NestedField(7, "n", DecimalType(9, 2)), NestedField(8, "u", UUIDType()))
    transforms = [(1, "bucket[4]"), (2, "truncate[10]"), (3, "identity"), (5, "year"), (6, "hour"),
                  (7, "identity"), (4, "void")]
    spec = PartitionSpec(*[PartitionField(source, 1000 + at, parse_transform(text), "p %d" % at)
                           for at, (source, text) in enumerate(transforms)])
    data = [{"id": n, "i": -n, "s": "s%d" % n, "d": n / 3, "day": n * 400, "at": n * 10**12,
             "n": decimal.Decimal(n) / 100, "u": None} for n in range(-3, 3)] + [{}]
    for version in ("1", "2"):
        table = catalog.create_table("py.v" + version, schema, partition_spec=spec,
                                     properties={"format-version": version})
        arrow = pyarrow.Table.from_pylist(data, schema=table.schema().as_arrow())
        table.append(arrow)
        table.append(arrow)
        table.delete("id = 1")
        assert check_table(table) > 0
        check_rewritten(pangolin, "py.v" + version)


# ---- what is written here alone ----

def read_entries(io, path):
    with AvroFile(io.new_input(path), MANIFEST_ENTRY_SCHEMAS[DEFAULT_READ_VERSION],
                  read_types={-1: ManifestEntry, 2: DataFile},
                  read_enums={0: ManifestEntryStatus, 101: FileFormat,
                              134: DataFileContent}) as reader:
        return list(reader)


@suite.test
def every_type_of_partition(pangolin):
    """Types that no engine here partitions by, equality deletes, and columns that nobody knows."""
    io = PyArrowFileIO()
    for version in (1, 2, 3):
        for content in ("data", "deletes")[:1 if version == 1 else 2]:
            path = os.path.join(pangolin.data, "sample-%d-%s.avro" % (version, content))
            made = tool("sample", path, version, content, 40)
            ours = tool("entries", path)
            theirs = read_entries(io, path)
            assert len(ours["entries"]) == len(theirs) == 40
            for mine, other in zip(ours["entries"], theirs):
                check_entry(mine, other)
            assert made["length"] == os.path.getsize(path)
            # By a schema without a column: values tell the types, or there are none to tell.
            bare = path + ".bare"
            tool("rewrite", path, bare, version, "zstandard", '{"type":"struct","fields":[]}')
            same = tool("entries", bare)["entries"]
            assert same == ours["entries"], (same, ours["entries"])
            for mine, other in zip(same, read_entries(io, bare)):
                assert mine["path"] == other.data_file.file_path
                assert mine["partition"][9] == value(other.data_file.partition[9])


if __name__ == "__main__":
    suite.main()
