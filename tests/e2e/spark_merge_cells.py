"""Every cell of the matrix of merging files, by engines: all tables are changed on a branch and on main,
and merged at once; conflicts must be where the matrix has them, are resolved, and the rows that
engines read must be both sides'. Then again: a second merge, a merge back, a rebase."""

import concurrent.futures
import os
import time
from collections import Counter

import merge_checks
from engines import Lake, Refused
from merge_cells import CELLS, CONFLICTS, Cell
from suite import Suite

LONG = bool(os.environ.get("PANG_TEST_LONG"))
suite = Suite("spark_merge_cells", limit_s=2400 if LONG else 420)
AT_ONCE = 3  # statements; Spark waits for itself most of the time
TAKE = ("TakeSource", "TakeTarget")  # in turn

# Version, partitioned, engines swapped, and of how many cells which are taken.
SHORT_KINDS = [(2, True, False, 3, 0), (3, False, False, 6, 1), (3, True, False, 6, 2),
               (1, True, True, 8, 0)]
LONG_KINDS = [(2, True, False, 1, 0), (2, True, True, 4, 0), (2, False, True, 1, 0),
              (3, True, False, 1, 0), (3, False, False, 1, 0), (1, True, False, 1, 0),
              (1, False, True, 1, 0)]


class World:
    """The tables, and what rows each should have on either side by now."""

    def __init__(self):
        self.lake = None
        self.cells = []
        self.on_branch, self.on_main = {}, {}
        self.settled, self.failed = {}, []

    def start(self, pangolin):
        self.lake = Lake(pangolin)
        self.lake.sql("CREATE NAMESPACE {main}.cells")
        for version, partitioned, swapped, step, first in LONG_KINDS if LONG else SHORT_KINDS:
            cells = [Cell(at, cell, version, partitioned, swapped)
                     for at, cell in enumerate(CELLS)]
            self.cells += [cell for at, cell in enumerate(filter(Cell.can_be, cells))
                           if at % step == first]

    def each(self, function):
        """Over all cells, some at once; tells of every one that fails, by its name, and goes on
        without it."""
        begin, failed = time.monotonic(), []
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            running = {pool.submit(function, cell): cell for cell in self.cells}
            for done in concurrent.futures.as_completed(running):
                if done.exception():
                    failed.append((running[done].name, done.exception()))
        self.cells = [cell for cell in self.cells if cell.name not in dict(failed)]
        print("      %s of %d tables: %.1f s" % (function.__name__, len(self.cells),
                                                 time.monotonic() - begin), flush=True)
        self.failed += ["%s: %r" % failure for failure in failed]

    def names(self, version=None):
        return [cell.name for cell in self.cells if version in (None, cell.version)]


world = World()


def tell(wrong):
    """Fails with all that is wrong, what engines could not do first."""
    wrong, world.failed = world.failed + wrong, []
    assert not wrong, "%d are wrong:\n%s" % (len(wrong), "\n".join(wrong))


def difference(name, branch, reader, found, expected):
    """What a reader sees too much and too little."""
    found, expected = Counter(found), Counter(expected)
    if found == expected:
        return []
    return ["%s on %s by %s: too much %s, too little %s" % (
        name, branch, reader, sorted((found - expected).elements()),
        sorted((expected - found).elements()))]


def check_rows(branch, expected):
    """What Spark reads of all tables, and PyIceberg of those that it can read."""
    wrong = []
    read = world.lake.rows(branch, expected)
    for name, rows in expected.items():
        wrong += difference(name, branch, "Spark", read[name], rows)
        by_python = world.lake.rows_by_python(branch, name)
        if by_python is not None:
            wrong += difference(name, branch, "PyIceberg", by_python, rows)
    tell(wrong)


def check_metadata(branch):
    wrong = []
    for name in world.names():
        table = world.lake.reader(branch).load_table(name)
        wrong += ["%s: %s" % (name, what) for what in merge_checks.wrong_with(table)]
    lineage = world.lake.rows(branch, world.names(3),
                              "id, _row_id, _last_updated_sequence_number")
    for name, rows in lineage.items():
        wrong += ["%s: %s" % (name, what) for what in merge_checks.row_ids(rows)]
    tell(wrong)


def append(branch, number):
    """A row more in every table of a branch."""
    rows = world.on_main if branch == "main" else world.on_branch

    def one_more(cell):
        row = (number, 5, branch)
        world.lake.java.append(branch, cell.name, [[row]])
        rows[cell.name] = rows[cell.name] + [row]

    world.each(one_more)


@suite.test
def both_sides_change(pangolin):
    world.start(pangolin)
    lake = world.lake

    def make(cell):
        cell.make(lake)

    def change_branch(cell):
        cell.change(lake, "work")

    def change_main(cell):
        cell.change(lake, "main")

    world.each(make)
    lake.branch("work")
    world.each(change_branch)
    world.each(change_main)
    for cell in world.cells:
        world.on_branch[cell.name] = cell.rows_source
        world.on_main[cell.name] = cell.rows_target
    for branch, rows in (("work", world.on_branch), ("main", world.on_main)) if LONG else ():
        check_rows(branch, rows)
    tell([])


@suite.test
def conflicts_are_where_the_matrix_has_them(_):
    try:
        answer = world.lake.merge("work")
        raise AssertionError("merged without a conflict: %s" % answer)
    except Refused as refused:
        assert refused.status == 409, refused
        operation = refused.body["operation_id"]
    found = world.lake.conflicts(operation)
    wrong = []
    for at, cell in enumerate(world.cells):
        conflicts = found.pop(cell.name, [])
        if bool(conflicts) != (cell.verdict == CONFLICTS):
            wrong.append("%s %s against %s %s: %s" % (
                cell.name, cell.source, cell.target, cell.verdict,
                [conflict["description"] for conflict in conflicts]))
        strategy = TAKE[at % 2] if conflicts else None
        world.settled[cell.name] = strategy
        for conflict in conflicts:
            world.lake.resolve(conflict, strategy)
    wrong += ["no such table: %s" % name for name in found]
    world.lake.complete(operation)
    tell(wrong)


@suite.test
def rows_are_of_both_sides(_):
    world.on_main = {cell.name: cell.expected(world.settled[cell.name]) for cell in world.cells}
    check_rows("main", world.on_main)
    check_rows("work", world.on_branch)


@suite.test
def metadata_is_right(_):
    check_metadata("main")


@suite.test
def metadata_tables_are_readable(_):
    """What Spark lists of the manifests: every entry, file and manifest."""
    names = world.names()[::4 if LONG else 8]
    for suffix, columns in ((".files", "content, record_count"),
                            (".entries", "status, sequence_number, file_sequence_number"),
                            (".manifests", "content, added_snapshot_id"),
                            (".all_data_files", "record_count")):
        listed = world.lake.gather("main", names, columns, suffix)
        assert all(listed.values()), [name for name, rows in listed.items() if not rows]


@suite.test
def a_second_merge(_):
    """Both sides go on: a row more on each, and on the branch one less."""
    append("work", 101)
    append("main", 201)

    def rewrite(cell):
        found = world.on_branch[cell.name]
        if (91, 9, "base") not in found or (91, 9, "base") not in world.on_main[cell.name]:
            return
        world.lake.java.rewrite("work", cell.name, 91, [(number, 9, "base")
                                                        for number in range(92, 95)])
        world.on_branch[cell.name] = [row for row in found if row[0] != 91]
        world.on_main[cell.name] = [row for row in world.on_main[cell.name] if row[0] != 91]

    world.each(rewrite)
    world.lake.must_merge("work")
    for name, rows in world.on_main.items():
        world.on_main[name] = rows + [(101, 5, "work")]
    check_rows("main", world.on_main)
    if LONG:
        check_metadata("main")


@suite.test
def a_merge_back(_):
    world.lake.must_merge("main", "work")
    world.on_branch = dict(world.on_main)
    check_rows("work", world.on_branch)
    append("work", 102)
    world.lake.must_merge("work")
    world.on_main = dict(world.on_branch)
    check_rows("main", world.on_main)


@suite.test
def a_rebase(_):
    append("work", 103)
    append("main", 203)
    world.lake.rebase("work")
    for name, rows in world.on_branch.items():
        world.on_branch[name] = rows + [(203, 5, "main")]
    check_rows("work", world.on_branch)
    check_metadata("work")
    append("main", 204)
    world.lake.must_merge("work")
    for name, rows in world.on_main.items():
        world.on_main[name] = rows + [(103, 5, "work")]
    check_rows("main", world.on_main)


@suite.test
def work_goes_on(_):
    """Spark compacts and appends to what was merged; rows stay."""
    lake = world.lake

    def compact(cell):
        lake.sql("CALL {main}.system.rewrite_data_files(table => '%s', options => "
                 "map('rewrite-all', 'true', 'remove-dangling-deletes', 'true'))" % cell.name)
        lake.sql("CALL {main}.system.rewrite_manifests('%s')" % cell.name)
        lake.sql("INSERT INTO {main}.%s VALUES (301, 5, 'after')" % cell.name)
        world.on_main[cell.name] = world.on_main[cell.name] + [(301, 5, "after")]

    world.cells = world.cells[::8 if LONG else 12]
    world.each(compact)
    check_rows("main", {name: world.on_main[name] for name in world.names()})
    check_metadata("main")


if __name__ == "__main__":
    suite.main()
