"""Three engines over one Pangolin, each able to speak to any branch: Spark (SQL), Iceberg's Java library
through Spark's machine (files of rows and of equality deletes, written by iceberg-data), and
PyIceberg. And what is asked of Pangolin itself: branches, merges, conflicts, over REST.

    lake = Lake(pangolin)
    lake.branch("dev")
    lake.java.append("dev", "n.t", [[(1, 1, "a")], [(2, 1, "b")]])   two files
    lake.sql("DELETE FROM {dev}.n.t WHERE id = 1")

Rows are (id, p, data): two numbers and a text. A table that is partitioned is so by p.
"""

import json
import os
import sys
import urllib.error
import urllib.request
import uuid

import pyarrow
from pyiceberg.catalog import load_catalog
from spark import rest_catalog, session

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402

COLUMNS = "id INT, p INT, data STRING"
ARROW = pyarrow.schema([("id", pyarrow.int32()), ("p", pyarrow.int32()),
                        ("data", pyarrow.string())])


class Java:
    """Iceberg's Java library: commits of single files, as small as they can be."""

    def __init__(self, lake):
        self.lake, self.machine = lake, lake.spark._jvm
        self.gateway = lake.spark.sparkContext._gateway
        self.iceberg = self.machine.org.apache.iceberg
        self.catalogs = {}

    def catalog(self, branch):
        if branch not in self.catalogs:
            properties = self.machine.java.util.HashMap()
            properties.put("uri", self.lake.pangolin.uri)
            properties.put("warehouse", self.lake.warehouse(branch))
            self.catalogs[branch] = self.iceberg.CatalogUtil.loadCatalog(
                "org.apache.iceberg.rest.RESTCatalog", branch, properties,
                self.lake.spark._jsc.hadoopConfiguration())
        return self.catalogs[branch]

    def table(self, branch, name):
        return self.catalog(branch).loadTable(
            self.iceberg.catalog.TableIdentifier.parse(name))

    def record(self, schema, row):
        made = self.iceberg.data.GenericRecord.create(schema)
        for at, value in enumerate(row):
            made.set(at, value)
        return made

    def key(self, table, spec, record):
        """The partition of a record; None where there are none."""
        if not spec.isPartitioned():
            return None
        key = self.iceberg.PartitionKey(spec, table.schema())
        wrapper = self.iceberg.data.InternalRecordWrapper(table.schema().asStruct())
        key.partition(wrapper.wrap(record))
        return key

    def output(self, table, spec, key):
        name = "%s.parquet" % uuid.uuid4()
        places = table.locationProvider()
        place = places.newDataLocation(name) if key is None else \
            places.newDataLocation(spec, key, name)
        return self.iceberg.encryption.EncryptedFiles.plainAsEncryptedOutput(
            table.io().newOutputFile(place))

    def data_file(self, table, rows):
        """One file of rows of one partition."""
        schema, spec = table.schema(), table.spec()
        records = [self.record(schema, row) for row in rows]
        key = self.key(table, spec, records[0])
        factory = self.iceberg.data.GenericAppenderFactory(table, schema, spec, None, None, None)
        writer = factory.newDataWriter(self.output(table, spec, key),
                                       self.iceberg.FileFormat.PARQUET, key)
        for record in records:
            writer.write(record)
        writer.close()
        return writer.toDataFile()

    def equality_file(self, table, partition, ids, spec_id=None):
        """One file of equality deletes by id: of one partition, or of all in a spec without."""
        spec = table.spec() if spec_id is None else table.specs()[spec_id]
        names = self.machine.java.util.ArrayList()
        names.add("id")
        schema = table.schema().select(names)
        columns = self.gateway.new_array(self.machine.int, 1)
        columns[0] = table.schema().findField("id").fieldId()
        key = self.key(table, spec, self.record(table.schema(), (0, partition)))
        factory = self.iceberg.data.GenericAppenderFactory(table, table.schema(), spec, None, columns,
                                                           schema)
        writer = factory.newEqDeleteWriter(self.output(table, spec, key),
                                           self.iceberg.FileFormat.PARQUET, key)
        for number in ids:
            writer.write(self.record(schema, [number]))
        writer.close()
        return writer.toDeleteFile()

    def append(self, branch, name, files):
        table = self.table(branch, name)
        update = table.newFastAppend()
        for rows in files:
            update.appendFile(self.data_file(table, rows))
        update.commit()

    def delete_equal(self, branch, name, partition, ids, spec_id=None):
        table = self.table(branch, name)
        deletes = self.equality_file(table, partition, ids, spec_id)
        table.newRowDelta().addDeletes(deletes).commit()

    def upsert(self, branch, name, partition, rows):
        """As Flink does: equality deletes of the rows' ids and the rows, in one commit."""
        table = self.table(branch, name)
        deletes = self.equality_file(table, partition, [row[0] for row in rows])
        table.newRowDelta().addRows(self.data_file(table, rows)).addDeletes(deletes).commit()

    def drop_file(self, branch, name, number):
        """Removes the file that holds the id."""
        table = self.table(branch, name)
        table.newDelete().deleteFile(self.file_with(table, number)).commit()

    def file_with(self, table, number):
        expression = self.iceberg.expressions.Expressions.equal("id", number)
        tasks = table.newScan().filter(expression).planFiles()
        found, each = [], tasks.iterator()
        while each.hasNext():
            found.append(each.next().file())
        tasks.close()
        assert len(found) == 1, "%d files may hold %d" % (len(found), number)
        return found[0]

    def rewrite(self, branch, name, number, rows):
        """Copy-on-write: the file that holds the id is one of these rows from now on."""
        table = self.table(branch, name)
        update = table.newOverwrite().deleteFile(self.file_with(table, number))
        if rows:
            update.addFile(self.data_file(table, rows))
        update.commit()

    def replace_partition(self, branch, name, rows):
        table = self.table(branch, name)
        table.newReplacePartitions().addFile(self.data_file(table, rows)).commit()


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status, body):
        super().__init__("%d %s" % (status, json.dumps(body)[:2000]))
        self.status, self.body = status, body


class Lake:
    def __init__(self, pangolin, catalog="demo"):
        self.pangolin, self.name = pangolin, catalog
        self.spark = session(pangolin, {
            "spark.sql.shuffle.partitions": "1", "spark.sql.adaptive.enabled": "false",
            "spark.sql.sources.partitionOverwriteMode": "dynamic"})
        self.aliases, self.readers = {}, {}
        self.java = Java(self)

    def warehouse(self, branch):
        return self.name if branch == "main" else "%s@%s" % (self.name, branch)

    def alias(self, branch):
        """The branch as a catalog of Spark."""
        if branch not in self.aliases:
            for key, value in rest_catalog(self.pangolin, "on_" + branch,
                                           warehouse=self.warehouse(branch)).items():
                self.spark.conf.set(key, value)
            self.aliases[branch] = "on_" + branch
        return self.aliases[branch]

    def sql(self, text):
        """Runs a statement, in which {dev} is the branch dev; returns its rows."""
        parts = text.split("{")
        for at in range(1, len(parts)):
            branch, rest = parts[at].split("}", 1)
            parts[at] = self.alias(branch) + rest
        return [tuple(row) for row in self.spark.sql("".join(parts)).collect()]

    def reader(self, branch):
        """PyIceberg's catalog of the branch."""
        if branch not in self.readers:
            self.readers[branch] = load_catalog(branch, type="rest", uri=self.pangolin.uri,
                                                warehouse=self.warehouse(branch))
        return self.readers[branch]

    def create(self, name, version, partitioned, *, properties=None):
        """Through Java. Partitioned tables have the spec without partitions, too, for deletes
        that are global."""
        java = self.java.iceberg
        types = java.types.Types
        fields = self.java.machine.java.util.ArrayList()
        for at, (column, kind) in enumerate((("id", types.IntegerType.get()),
                                             ("p", types.IntegerType.get()),
                                             ("data", types.StringType.get()))):
            fields.add(types.NestedField.optional(at + 1, column, kind))
        settings = self.java.machine.java.util.HashMap()
        for key, value in {"format-version": str(version), "write.delete.mode": "merge-on-read",
                           "write.update.mode": "merge-on-read",
                           "write.merge.mode": "merge-on-read", **(properties or {})}.items():
            settings.put(key, value)
        table = self.java.catalog("main").createTable(
            java.catalog.TableIdentifier.parse(name), java.Schema(fields),
            java.PartitionSpec.unpartitioned(), settings)
        if partitioned:
            table.updateSpec().addField("p").commit()

    # ---- Pangolin itself ----

    def ask(self, verb, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.pangolin.uri + path, data,
                                         {"Content-Type": "application/json"}, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=110) as reply:
                text = reply.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            text = error.read().decode("utf-8", "replace")
            try:
                raise Refused(error.code, json.loads(text)) from None
            except ValueError:
                raise Refused(error.code, text) from None

    def branch(self, name, start="main"):
        return self.ask("POST", "/api/v1/branches", {"name": name, "catalog": self.name,
                                                     "from_branch": start, "branch_type": "ingest"})

    def merge(self, source, target="main", **more):
        return self.ask("POST", "/api/v1/branches/merge",
                        {"source_branch": source, "target_branch": target, "catalog": self.name,
                         **more})

    def without_conflict(self, path, body):
        """What must have no conflicts; if it has, they are told."""
        try:
            return self.ask("POST", path, {"catalog": self.name, **body})
        except Refused as refused:
            if refused.status != 409:
                raise
            found = self.conflicts(refused.body["operation_id"])
        raise AssertionError("conflicts: %s" % {
            name: [conflict["description"] for conflict in conflicts]
            for name, conflicts in found.items()})

    def must_merge(self, source, target="main"):
        return self.without_conflict("/api/v1/branches/merge",
                                     {"source_branch": source, "target_branch": target})

    def rebase(self, branch):
        return self.without_conflict("/api/v1/branches/%s/rebase" % branch, {"name": branch})

    def pick(self, commit, branch="main"):
        return self.without_conflict("/api/v1/branches/%s/cherry-pick" % branch, {"commit": commit})

    def revert(self, commit, branch="main"):
        return self.without_conflict("/api/v1/branches/%s/revert" % branch, {"commit": commit})

    def restore(self, commit, branch="main"):
        return self.without_conflict("/api/v1/branches/%s/restore" % branch, {"to": commit})

    def conflicts(self, operation):
        """{name of an asset: [its conflicts]}"""
        found = {}
        for conflict in self.ask("GET", "/api/v1/merge-operations/%s/conflicts" % operation):
            found.setdefault(conflict["asset_name"], []).append(conflict)
        return found

    def resolve(self, conflict, strategy):
        return self.ask("POST", "/api/v1/conflicts/%s/resolve" % conflict["id"],
                        {"strategy": strategy})

    def complete(self, operation):
        return self.ask("POST", "/api/v1/merge-operations/%s/complete" % operation, {})

    # ---- reading ----

    def rows(self, branch, names, columns="*"):
        """{name: sorted rows} of many tables by one query of Spark."""
        return self.gather(branch, names, columns, "")

    def gather(self, branch, names, columns, suffix):
        found = {name: [] for name in names}
        names = list(names)
        for begin in range(0, len(names), 40):
            text = " UNION ALL ".join(
                "SELECT '%s' AS name, %s FROM {%s}.%s%s" % (name, columns, branch, name, suffix)
                for name in names[begin:begin + 40])
            for row in self.sql(text):
                found[row[0]].append(row[1:])
        return {name: sorted(rows, key=repr) for name, rows in found.items()}

    def rows_by_python(self, branch, name):
        """The same by PyIceberg; None where it says that it cannot (equality deletes)."""
        try:
            table = self.reader(branch).load_table(name).scan().to_arrow()
        except ValueError as error:
            assert "does not yet support equality deletes" in str(error), error
            return None
        return sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)
