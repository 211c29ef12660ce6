"""Merges around the matrix, by engines: schemas and partitions that evolved, SQL that reads what it changes,
reverts, picked commits, a restore, clean-up by Spark while a branch is alive, and tables whose manifests are gone."""

import glob
import os
import time

import merge_checks
from engines import Lake, Refused
from suite import Suite, raises

suite = Suite("spark_merge", limit_s=240)
LAKE = None


def lake_of(pangolin):
    global LAKE
    if LAKE is None:
        LAKE = Lake(pangolin)
    return LAKE


def same(lake, branch, name, expected):
    """By Spark and, where it can, by PyIceberg; and the metadata is right."""
    expected = sorted(expected, key=repr)
    read = lake.rows(branch, [name])[name]
    assert read == expected, "%s on %s\n  is  %s\n  not %s" % (name, branch, read, expected)
    by_python = lake.rows_by_python(branch, name)
    assert by_python in (None, expected), by_python
    wrong = merge_checks.wrong_with(lake.reader(branch).load_table(name))
    assert not wrong, wrong


def refused(lake, source, target="main", **more):
    """A merge that must have conflicts: the operation, {table: conflicts}."""
    error = raises(Refused, lake.merge, source, target, **more)
    assert error.status == 409, error
    return error.body["operation_id"], lake.conflicts(error.body["operation_id"])


def head(lake, branch):
    return lake.ask("GET", "/api/v1/branches/%s?catalog=%s" % (branch, lake.name))["head_commit_id"]


def path_of(location):
    return location[len("file:"):].replace("///", "/", 1) if location.startswith("file:") else \
        location


@suite.test
def schemas_evolve_on_both_sides(pangolin):
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.evo")
    for version in (2, 3):
        name, branch = "evo.s%d" % version, "evo_s%d" % version
        lake.create(name, version, False)
        lake.sql("INSERT INTO {main}.%s VALUES (1, 1, 'base'), (2, 2, 'base')" % name)
        lake.branch(branch)
        table = "{%s}.%s" % (branch, name)
        lake.sql("ALTER TABLE %s ADD COLUMN more STRING" % table)
        lake.sql("ALTER TABLE %s RENAME COLUMN data TO text" % table)
        lake.sql("INSERT INTO %s VALUES (3, 3, 'branch', 'new')" % table)
        lake.sql("ALTER TABLE {main}.%s ALTER COLUMN p TYPE BIGINT" % name)
        lake.sql("INSERT INTO {main}.%s VALUES (4, 4000000000, 'main')" % name)
        lake.sql("DELETE FROM {main}.%s WHERE id = 1" % name)
        lake.must_merge(branch)
        assert [field.name for field in lake.reader("main").load_table(name).schema().fields] == \
            ["id", "p", "text", "more"]
        same(lake, "main", name, [(2, 2, "base", None), (3, 3, "branch", "new"),
                                  (4, 4000000000, "main", None)])


@suite.test
def partitions_evolve_on_one_side(pangolin):
    """Files of old and new specs live together; the branch's spec comes along."""
    lake = lake_of(pangolin)
    for version in (1, 2, 3):
        name, branch = "evo.p%d" % version, "evo_p%d" % version
        lake.create(name, version, True)
        lake.sql("INSERT INTO {main}.%s VALUES (1, 1, 'base'), (2, 2, 'base'), (3, 2, 'base')" % name)
        lake.branch(branch)
        lake.sql("ALTER TABLE {%s}.%s ADD PARTITION FIELD bucket(2, id)" % (branch, name))
        lake.sql("INSERT INTO {%s}.%s VALUES (11, 1, 'branch'), (12, 2, 'branch')" % (branch, name))
        lake.sql("INSERT INTO {main}.%s VALUES (21, 1, 'main')" % name)
        lake.sql("DELETE FROM {main}.%s WHERE p = 1 AND id = 1" % name)
        lake.must_merge(branch)
        rows = [(2, 2, "base"), (3, 2, "base"), (11, 1, "branch"), (12, 2, "branch"), (21, 1, "main")]
        same(lake, "main", name, rows)
        assert len(lake.reader("main").load_table(name).spec().fields) == 2
        lake.sql("INSERT INTO {main}.%s VALUES (31, 1, 'after')" % name)
        lake.sql("DELETE FROM {main}.%s WHERE id = 12" % name)
        rows = [row for row in rows if row[0] != 12] + [(31, 1, "after")]
        same(lake, "main", name, rows)
        lake.must_merge("main", branch)
        same(lake, branch, name, rows)


@suite.test
def sql_on_both_sides(pangolin):
    """MERGE INTO and UPDATE, copied on write and merged on read, of rows in different files."""
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.sql")
    kinds = [(version, mode) for version in (2, 3) for mode in ("copy-on-write", "merge-on-read")]
    for version, mode in kinds:
        name = "sql.t%d_%s" % (version, mode[0])
        lake.create(name, version, True, properties={
            "write.%s.mode" % what: mode for what in ("delete", "update", "merge")})
        lake.java.append("main", name, [[(p * 10 + n, p, "base") for n in range(3)]
                                        for p in (1, 2, 3)])
    lake.branch("sql")
    for version, mode in kinds:
        name = "sql.t%d_%s" % (version, mode[0])
        lake.sql("""MERGE INTO {sql}.%s t USING (SELECT * FROM VALUES (10, 1, 'm'), (19, 1, 'm')
                    AS v(id, p, data)) u ON t.id = u.id AND t.p = u.p AND t.p = 1
                    WHEN MATCHED THEN UPDATE SET t.data = u.data
                    WHEN NOT MATCHED THEN INSERT *""" % name)
        lake.sql("UPDATE {main}.%s SET data = 'u' WHERE id = 21 AND p = 2" % name)
        lake.sql("DELETE FROM {main}.%s WHERE p = 3" % name)
    lake.must_merge("sql")
    for version, mode in kinds:
        name = "sql.t%d_%s" % (version, mode[0])
        same(lake, "main", name, [(10, 1, "m"), (11, 1, "base"), (12, 1, "base"), (19, 1, "m"),
                                  (20, 2, "base"), (21, 2, "u"), (22, 2, "base")])
    for mode in "cm":
        rows = lake.rows("main", ["sql.t3_" + mode],
                         "id, _row_id, _last_updated_sequence_number")["sql.t3_" + mode]
        wrong = merge_checks.row_ids(rows)
        assert not wrong, wrong


@suite.test
def serializable_where_it_is_asked_for(pangolin):
    """A rewrite against an append in the same partition, and in another one."""
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.iso")
    for name in ("iso.same", "iso.other"):
        lake.create(name, 2, True)
        lake.java.append("main", name, [[(1, 1, "base"), (2, 1, "base")]])
    lake.branch("iso")
    for name, p in (("iso.same", 1), ("iso.other", 2)):
        lake.java.rewrite("iso", name, 1, [(2, 1, "base")])
        lake.java.append("main", name, [[(9, p, "main")]])
    _, found = refused(lake, "iso", isolation="serializable")
    assert list(found) == ["iso.same"], found
    lake.must_merge("iso")
    same(lake, "main", "iso.same", [(2, 1, "base"), (9, 1, "main")])
    same(lake, "main", "iso.other", [(2, 1, "base"), (9, 2, "main")])


@suite.test
def reverts(pangolin):
    """Of an append, of a delete, of a merge: their rows go or come back, later ones stay."""
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.undo")
    for version in (2, 3):
        name, branch = "undo.t%d" % version, "undo%d" % version
        lake.create(name, version, True)
        lake.java.append("main", name, [[(1, 1, "base"), (2, 1, "base")], [(3, 2, "base")]])
        lake.java.append("main", name, [[(4, 1, "wrong")]])
        appended = head(lake, "main")
        lake.java.append("main", name, [[(5, 2, "later")]])
        lake.revert(appended)
        rows = [(1, 1, "base"), (2, 1, "base"), (3, 2, "base"), (5, 2, "later")]
        same(lake, "main", name, rows)
        lake.java.drop_file("main", name, 3)
        dropped = head(lake, "main")
        lake.java.append("main", name, [[(6, 1, "later")]])
        lake.revert(dropped)
        rows.append((6, 1, "later"))
        same(lake, "main", name, rows)
        lake.branch(branch)
        lake.java.append(branch, name, [[(7, 1, branch)]])
        lake.java.rewrite(branch, name, 3, [(8, 2, branch)])
        lake.java.append("main", name, [[(9, 1, "main")]])
        lake.must_merge(branch)
        merge = head(lake, "main")
        same(lake, "main", name, [row for row in rows if row[0] != 3] +
             [(7, 1, branch), (8, 2, branch), (9, 1, "main")])
        lake.java.append("main", name, [[(10, 1, "main")]])
        lake.revert(merge)
        same(lake, "main", name, rows + [(9, 1, "main"), (10, 1, "main")])


@suite.test
def picked_commits(pangolin):
    """One commit of a branch, without what was before and after it."""
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.pick")
    for version in (2, 3):
        name, branch = "pick.t%d" % version, "pick%d" % version
        lake.create(name, version, True)
        lake.java.append("main", name, [[(1, 1, "base"), (2, 1, "base")], [(3, 2, "base")]])
        lake.branch(branch)
        lake.java.append(branch, name, [[(4, 1, "before")]])
        lake.sql("DELETE FROM {%s}.%s WHERE id = 2" % (branch, name))
        picked = head(lake, branch)
        lake.java.append(branch, name, [[(5, 1, "after")]])
        lake.java.append("main", name, [[(6, 2, "main")]])
        lake.pick(picked)
        same(lake, "main", name, [(1, 1, "base"), (3, 2, "base"), (6, 2, "main")])


@suite.test
def a_restore(pangolin):
    """A branch is again what it was, rows and all; what is written then follows it."""
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.again")
    lake.create("again.t", 3, True)
    lake.java.append("main", "again.t", [[(1, 1, "base"), (2, 1, "base")]])
    lake.branch("again")
    then = head(lake, "again")
    lake.sql("DELETE FROM {again}.again.t WHERE id = 1")
    lake.sql("ALTER TABLE {again}.again.t ADD COLUMN more STRING")
    lake.sql("CREATE TABLE {again}.again.u (id INT) USING iceberg")
    lake.restore(then, "again")
    same(lake, "again", "again.t", [(1, 1, "base"), (2, 1, "base")])
    raises(Exception, lake.sql, "SELECT * FROM {again}.again.u")
    lake.java.append("again", "again.t", [[(3, 1, "after")]])
    lake.must_merge("again")
    same(lake, "main", "again.t", [(1, 1, "base"), (2, 1, "base"), (3, 1, "after")])


@suite.test
def clean_up_by_spark_while_a_branch_lives(pangolin):
    """Whatever Spark does to main's tables, every row of the branch still reads."""
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.tidy")
    names = ["tidy.expired", "tidy.orphans", "tidy.purged", "tidy.manifests", "tidy.compacted"]
    for name in names:
        lake.create(name, 2, False)
        for number in range(3):
            lake.java.append("main", name, [[(number, 1, "base")]])
    lake.branch("tidy")
    for name in names:
        lake.java.append("tidy", name, [[(9, 1, "branch")]])
        lake.sql("INSERT OVERWRITE {main}.%s VALUES (5, 1, 'main')" % name)
    for text in ("CALL {main}.system.expire_snapshots(table => 'tidy.expired', retain_last => 1, "
                 "older_than => TIMESTAMP '2100-01-01 00:00:00')",
                 "CALL {main}.system.remove_orphan_files(table => 'tidy.orphans')",
                 "DROP TABLE {main}.tidy.purged PURGE"):
        error = raises(Exception, lake.sql, text)
        assert "GC is disabled" in str(error), error
    lake.ask("DELETE", "/v1/demo/namespaces/tidy/tables/purged?purgeRequested=true")
    lake.sql("CALL {main}.system.rewrite_manifests('tidy.manifests')")
    lake.sql("CALL {main}.system.rewrite_data_files(table => 'tidy.compacted', options => "
             "map('rewrite-all', 'true'))")
    for name in names:
        same(lake, "tidy", name, [(number, 1, "base") for number in range(3)] + [(9, 1, "branch")])
    collect(lake, pangolin)
    for name in names:
        same(lake, "tidy", name, [(number, 1, "base") for number in range(3)] + [(9, 1, "branch")])
        if name != "tidy.purged":
            same(lake, "main", name, [(5, 1, "main")])


def collect(lake, pangolin):
    """The catalog's own clean-up, when all files are old: what no ref reads goes, and nothing else."""
    orphan = os.path.join(pangolin.data, "warehouse", "tidy", "orphans", "data", "orphan.parquet")
    with open(orphan, "w", encoding="utf-8") as file:
        file.write("of an engine that died")
    for path in glob.glob(os.path.join(pangolin.data, "warehouse", "**"), recursive=True):
        if os.path.isfile(path):
            os.utime(path, (time.time() - 3 * 86400,) * 2)
    for job in ("remove_orphan_files", "remove_history"):
        asked = lake.ask("POST", "/api/v1/catalogs/%s/maintenance" % lake.name, {"job_type": job})
        run = {"status": "waiting"}
        for _ in range(120):
            runs = lake.ask("GET", "/api/v1/catalogs/%s/maintenance" % lake.name)["runs"]
            run = next(run for run in runs if run["id"] == asked["id"])
            if run["status"] not in ("waiting", "running"):
                break
            time.sleep(0.5)
        assert run["status"] == "done" and run["outcome"]["skipped"] == 0, run
    assert not os.path.exists(orphan)


@suite.test
def broken_tables_do_not_hold_up_others(pangolin):
    """A manifest of one of ten tables is gone, of another it is torn."""
    lake = lake_of(pangolin)
    lake.sql("CREATE NAMESPACE {main}.torn")
    names = ["torn.t%d" % number for number in range(10)]
    for name in names:
        lake.create(name, 2, False)
        lake.java.append("main", name, [[(1, 1, "base")], [(2, 1, "base")]])
    lake.branch("torn")
    for name in names:
        lake.java.append("torn", name, [[(3, 1, "branch")]])
        lake.java.append("main", name, [[(4, 1, "main")]])
    for name, break_it in (("torn.t3", os.remove), ("torn.t7", tear)):
        table = lake.reader("torn").load_table(name)
        newest = next(manifest for manifest in table.current_snapshot().manifests(table.io)
                      if manifest.added_snapshot_id == table.current_snapshot().snapshot_id)
        break_it(path_of(newest.manifest_path))
    plan = lake.merge("torn", dry_run=True)
    told = {conflict["asset_name"] for conflict in plan["conflicts"]}
    assert told == {"torn.t3", "torn.t7"}, plan["conflicts"]
    before = head(lake, "main")
    operation, found = refused(lake, "torn")
    assert set(found) == told and head(lake, "main") == before, found
    for conflicts in found.values():
        for conflict in conflicts:
            lake.resolve(conflict, "TakeTarget")
    lake.complete(operation)
    for name in names:
        more = [] if name in told else [(3, 1, "branch")]
        same(lake, "main", name, [(1, 1, "base"), (2, 1, "base"), (4, 1, "main")] + more)
    assert not glob.glob(os.path.join(pangolin.data, "**", "*.tmp*"), recursive=True)


def tear(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) * 2 // 3)


if __name__ == "__main__":
    suite.main()
