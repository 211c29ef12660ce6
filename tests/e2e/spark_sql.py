"""Spark SQL with the Iceberg runtime: DDL, insert, merge, procedures, time travel, several catalogs' worth
of what the Java client does."""

import urllib.request

from spark import session
from suite import Suite, load_catalog, raises

suite = Suite("spark_sql", limit_s=240)

SESSION = None


def spark(pangolin):
    global SESSION
    if SESSION is None:
        SESSION = session(pangolin, lake={"warehouse": "demo", "cache-enabled": "true"})
    return SESSION


def rows(s, query):
    return [tuple(row) for row in s.sql(query).collect()]


@suite.test
def ddl(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.ddl WITH PROPERTIES ('team' = 'us')")
    assert ("ddl",) in rows(s, "SHOW NAMESPACES IN lake")
    s.sql("CREATE NAMESPACE lake.ddl.inner")
    s.sql("""CREATE TABLE lake.ddl.t (id BIGINT NOT NULL COMMENT 'key', data STRING, at TIMESTAMP,
             m MAP<STRING, INT>, s STRUCT<x: DOUBLE, l: ARRAY<INT>>) USING iceberg
             PARTITIONED BY (days(at), bucket(4, id)) TBLPROPERTIES ('a' = 'b')""")
    s.sql("ALTER TABLE lake.ddl.t ADD COLUMN more DECIMAL(10, 2) AFTER id")
    s.sql("ALTER TABLE lake.ddl.t RENAME COLUMN data TO text")
    s.sql("ALTER TABLE lake.ddl.t ADD COLUMN s.y FLOAT")
    s.sql("ALTER TABLE lake.ddl.t ALTER COLUMN s.y TYPE DOUBLE")
    s.sql("ALTER TABLE lake.ddl.t DROP COLUMN m")
    s.sql("ALTER TABLE lake.ddl.t SET TBLPROPERTIES ('c' = 'd')")
    s.sql("ALTER TABLE lake.ddl.t UNSET TBLPROPERTIES ('a')")
    s.sql("ALTER TABLE lake.ddl.t ADD PARTITION FIELD truncate(3, text) AS text_trunc_3")
    s.sql("ALTER TABLE lake.ddl.t DROP PARTITION FIELD bucket(4, id)")
    s.sql("ALTER TABLE lake.ddl.t WRITE ORDERED BY id DESC NULLS LAST")
    s.sql("ALTER TABLE lake.ddl.t SET IDENTIFIER FIELDS id")
    seen = load_catalog(pangolin).load_table("ddl.t")
    assert [f.name for f in seen.schema().fields] == ["id", "more", "text", "at", "s"]
    assert seen.schema().identifier_field_ids == [1]
    assert {f.name for f in seen.spec().fields} == {"at_day", "text_trunc_3"}, seen.spec()
    assert seen.properties["c"] == "d" and "a" not in seen.properties
    s.sql("ALTER TABLE lake.ddl.t RENAME TO ddl.inner.u")
    assert rows(s, "SHOW TABLES IN lake.ddl.inner")[0][1] == "u"
    s.sql("DROP TABLE lake.ddl.inner.u PURGE")
    s.sql("DROP NAMESPACE lake.ddl.inner")
    s.sql("DROP NAMESPACE lake.ddl")


@suite.test
def insert_and_merge(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.dml")
    s.sql("CREATE TABLE lake.dml.t (id BIGINT, name STRING) USING iceberg "
          "TBLPROPERTIES ('write.merge.mode' = 'merge-on-read', 'write.delete.mode' = 'merge-on-read')")
    s.sql("INSERT INTO lake.dml.t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    s.sql("""MERGE INTO lake.dml.t t USING (SELECT * FROM VALUES (2, 'B'), (9, 'new') AS v(id, name)) u
             ON t.id = u.id
             WHEN MATCHED THEN UPDATE SET t.name = u.name WHEN NOT MATCHED THEN INSERT *""")
    s.sql("DELETE FROM lake.dml.t WHERE id = 1")
    s.sql("UPDATE lake.dml.t SET name = 'C' WHERE id = 3")
    assert rows(s, "SELECT * FROM lake.dml.t ORDER BY id") == [(2, "B"), (3, "C"), (9, "new")]
    s.sql("INSERT OVERWRITE lake.dml.t VALUES (5, 'only')")
    assert rows(s, "SELECT * FROM lake.dml.t") == [(5, "only")]
    assert load_catalog(pangolin).load_table("dml.t").scan().to_arrow().to_pylist() == \
        [{"id": 5, "name": "only"}]


@suite.test
def create_or_replace_as_select(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.ctas")
    s.sql("CREATE TABLE lake.ctas.t USING iceberg AS SELECT id, id % 3 AS part FROM range(30)")
    assert rows(s, "SELECT count(*) FROM lake.ctas.t") == [(30,)]
    s.sql("CREATE OR REPLACE TABLE lake.ctas.t USING iceberg PARTITIONED BY (part) "
          "AS SELECT id, id % 2 AS part, 'x' AS more FROM range(10)")
    assert rows(s, "SELECT count(*), count(more) FROM lake.ctas.t") == [(10, 10)]
    assert len(load_catalog(pangolin).load_table("ctas.t").snapshots()) == 2
    s.sql("CREATE TABLE IF NOT EXISTS lake.ctas.t (z INT) USING iceberg")
    assert rows(s, "SELECT count(*) FROM lake.ctas.t") == [(10,)]


@suite.test
def snapshots_and_procedures(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.proc")
    s.sql("CREATE TABLE lake.proc.t (id BIGINT) USING iceberg")
    for n in range(4):
        s.sql("INSERT INTO lake.proc.t VALUES (%d)" % n)
    history = rows(s, "SELECT snapshot_id, parent_id FROM lake.proc.t.snapshots ORDER BY committed_at")
    assert len(history) == 4
    first, second = history[0][0], history[1][0]
    assert rows(s, "SELECT count(*) FROM lake.proc.t VERSION AS OF %d" % second) == [(2,)]
    s.sql("ALTER TABLE lake.proc.t CREATE TAG `v1` AS OF VERSION %d RETAIN 30 DAYS" % first)
    s.sql("ALTER TABLE lake.proc.t CREATE BRANCH `audit` AS OF VERSION %d" % second)
    s.sql("INSERT INTO lake.proc.t.branch_audit VALUES (100)")
    assert rows(s, "SELECT count(*) FROM lake.proc.t VERSION AS OF 'v1'") == [(1,)]
    assert rows(s, "SELECT count(*) FROM lake.proc.t VERSION AS OF 'audit'") == [(3,)]
    s.sql("CALL lake.system.rollback_to_snapshot('proc.t', %d)" % second)
    assert rows(s, "SELECT count(*) FROM lake.proc.t") == [(2,)]
    s.sql("CALL lake.system.fast_forward('proc.t', 'main', 'audit')")
    assert rows(s, "SELECT count(*) FROM lake.proc.t") == [(3,)]
    s.sql("ALTER TABLE lake.proc.t DROP TAG `v1`")
    rewritten = rows(s, "CALL lake.system.rewrite_data_files(table => 'proc.t', "
                        "options => map('rewrite-all', 'true'))")
    assert rewritten[0][0] >= 1, rewritten
    s.sql("CALL lake.system.rewrite_manifests('proc.t')")
    s.sql("CALL lake.system.expire_snapshots(table => 'proc.t', retain_last => 1, "
          "older_than => TIMESTAMP '2100-01-01 00:00:00')")
    assert rows(s, "SELECT count(*) FROM lake.proc.t") == [(3,)]
    s.sql("CALL lake.system.remove_orphan_files(table => 'proc.t')")
    assert rows(s, "SELECT sum(id) FROM lake.proc.t") == [(101,)]


@suite.test
def register(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.reg")
    s.sql("CREATE TABLE lake.reg.t (id BIGINT) USING iceberg")
    s.sql("INSERT INTO lake.reg.t VALUES (1)")
    file = load_catalog(pangolin).load_table("reg.t").metadata_location
    s.sql("DROP TABLE lake.reg.t")
    s.sql("CALL lake.system.register_table('reg.u', '%s')" % file)
    assert rows(s, "SELECT * FROM lake.reg.u") == [(1,)]


def view_names(session, namespace):
    return [row[1] for row in rows(session, "SHOW VIEWS IN %s" % namespace)]


@suite.test
def views(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.views")
    s.sql("CREATE TABLE lake.views.t (id BIGINT, data STRING) USING iceberg")
    s.sql("INSERT INTO lake.views.t VALUES (1, 'a'), (2, 'b'), (3, 'b')")
    s.sql("CREATE VIEW lake.views.v (data COMMENT 'what', n) COMMENT 'counts' "
          "TBLPROPERTIES ('k' = 'v') AS SELECT data, count(*) FROM lake.views.t GROUP BY data")
    assert rows(s, "SELECT * FROM lake.views.v ORDER BY data") == [("a", 1), ("b", 2)]
    assert view_names(s, "lake.views") == ["v"]
    raises(Exception, s.sql, "CREATE VIEW lake.views.v AS SELECT 1 AS one")
    raises(Exception, s.sql, "CREATE TABLE lake.views.v (id BIGINT) USING iceberg")
    raises(Exception, s.sql, "CREATE VIEW lake.views.t AS SELECT 1 AS one")
    s.sql("ALTER VIEW lake.views.v SET TBLPROPERTIES ('more' = 'x')")
    s.sql("ALTER VIEW lake.views.v UNSET TBLPROPERTIES ('k')")
    properties = dict(rows(s, "SHOW TBLPROPERTIES lake.views.v"))
    assert properties["more"] == "x" and "k" not in properties, properties
    s.sql("CREATE OR REPLACE VIEW lake.views.v AS SELECT max(id) AS most FROM lake.views.t")
    s.sql("INSERT INTO lake.views.t VALUES (9, 'z')")
    assert rows(s, "SELECT most FROM lake.views.v") == [(9,)]
    s.sql("CREATE VIEW lake.views.over AS SELECT most + 1 AS next FROM lake.views.v")
    assert rows(s, "SELECT * FROM lake.views.over") == [(10,)]
    s.sql("ALTER VIEW lake.views.over RENAME TO lake.views.above")
    assert view_names(s, "lake.views") == ["above", "v"]
    loaded = load_catalog(pangolin).load_view("views.v")
    assert [len(loaded.metadata.versions), loaded.metadata.current_version_id] == [2, 2], loaded
    s.sql("CREATE VIEW IF NOT EXISTS lake.views.v AS SELECT 1 AS one")
    s.sql("DROP VIEW lake.views.above")
    s.sql("DROP VIEW IF EXISTS lake.views.above")
    raises(Exception, s.sql, "DROP VIEW lake.views.above")
    assert view_names(s, "lake.views") == ["v"]


@suite.test
def views_on_a_branch(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.branched")
    s.sql("CREATE TABLE lake.branched.t (id BIGINT) USING iceberg")
    s.sql("INSERT INTO lake.branched.t VALUES (1)")
    s.sql("CREATE VIEW lake.branched.v AS SELECT count(*) AS n FROM lake.branched.t")
    branch = urllib.request.Request(pangolin.uri + "/api/v1/branches",
                                    b'{"name": "views", "catalog": "demo"}',
                                    {"Content-Type": "application/json"})
    urllib.request.urlopen(branch).close()
    for name, value in (("", "org.apache.iceberg.spark.SparkCatalog"), (".type", "rest"),
                        (".uri", pangolin.uri), (".warehouse", "demo@views")):
        s.conf.set("spark.sql.catalog.branch" + name, value)
    s.sql("INSERT INTO branch.branched.t VALUES (2)")
    s.sql("CREATE OR REPLACE VIEW branch.branched.v AS SELECT sum(id) AS n FROM branch.branched.t")
    s.sql("CREATE VIEW branch.branched.w AS SELECT 1 AS one")
    assert rows(s, "SELECT n FROM branch.branched.v") == [(3,)]
    assert view_names(s, "branch.branched") == ["v", "w"]
    assert rows(s, "SELECT n FROM lake.branched.v") == [(1,)], "main has the view that it had"
    assert view_names(s, "lake.branched") == ["v"]
    s.sql("DROP VIEW branch.branched.v")
    assert rows(s, "SELECT n FROM lake.branched.v") == [(1,)]


@suite.test
def format_version_3(pangolin):
    s = spark(pangolin)
    s.sql("CREATE NAMESPACE lake.v3")
    s.sql("CREATE TABLE lake.v3.t (id BIGINT, name STRING) USING iceberg "
          "TBLPROPERTIES ('format-version' = '3')")
    s.sql("INSERT INTO lake.v3.t VALUES (1, 'a'), (2, 'b')")
    s.sql("INSERT INTO lake.v3.t VALUES (3, 'c')")
    s.sql("DELETE FROM lake.v3.t WHERE id = 1")
    assert rows(s, "SELECT id FROM lake.v3.t ORDER BY id") == [(2,), (3,)]
    s.sql("CREATE TABLE lake.v3.old (id BIGINT) USING iceberg")
    s.sql("INSERT INTO lake.v3.old VALUES (1)")
    s.sql("ALTER TABLE lake.v3.old SET TBLPROPERTIES ('format-version' = '3')")
    s.sql("INSERT INTO lake.v3.old VALUES (2)")
    assert rows(s, "SELECT count(*) FROM lake.v3.old") == [(2,)]


if __name__ == "__main__":
    suite.main()
