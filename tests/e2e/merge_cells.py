"""What two branches may do to one table and whether that merges: the matrix of merging files as data, the
changes themselves by engines, and what rows must come of it by a model that knows rows only.

A table begins with six files:

    file         1       2         3         4         5         6
    ids        1-4   11-14     21-24     31-34     41-44     91-94
    partition    1       1         2         2         3         9

A change is a tuple; its words are the methods of Changes and of Model. File 6 is left alone by
every cell, for what comes after the first merge.
"""

from collections import Counter

import pyarrow
from engines import ARROW

FILES = {1: (1, range(1, 5)), 2: (1, range(11, 15)), 3: (2, range(21, 25)), 4: (2, range(31, 35)),
         5: (3, range(41, 45)), 6: (9, range(91, 95))}
MERGES, CONFLICTS, NOT_HERE = "merges", "conflicts", "not here"
# A compaction of rows that the base has not: in version 3 it holds row ids out of a range that the
# target gave out, too (any data manifest that is written takes one).
ROW_IDS = "conflicts in version 3"
M, C, X, R = MERGES, CONFLICTS, NOT_HERE, ROW_IDS


def base_rows():
    return [(number, p, "base") for p, numbers in FILES.values() for number in numbers]


# The source's change, the target's, and what comes of it in a partitioned table and in one that is
# not. From which version on is the changes' own matter.
CELLS = [
    # append
    (("append", 1, 61), ("append", 1, 71), M, M),
    (("append", 1, 61), ("drop", 1), M, M),
    (("append", 1, 61), ("rewrite", 1), M, M),
    (("append", 3, 61), ("dynamic", 3, 71), M, M),
    (("append", 1, 61), ("mark", 1), M, M),
    (("append", 1, 2), ("equal", 1, 2), M, M),
    (("append", 1, 2), ("equal_everywhere", 2), M, X),
    (("append", 1, 61), ("compact", 1), M, M),
    (("append", 1, 61), ("compact_as_new", 1), M, M),
    # a file goes
    (("drop", 1), ("append", 1, 71), M, M),
    (("drop", 1), ("drop", 5), M, M),
    (("drop", 1), ("drop", 1), C, C),
    (("drop", 1), ("rewrite", 1), C, C),
    (("drop", 5), ("dynamic", 1, 71), M, X),
    (("drop", 5), ("dynamic", 3, 71), C, C),
    (("drop", 1), ("mark", 1), C, C),
    (("drop", 1), ("mark", 21), M, M),
    (("drop", 1), ("equal", 1, 1), C, C),
    (("drop", 1), ("equal", 3, 41), M, M),
    (("drop", 1), ("equal_everywhere", 1), C, X),
    (("drop", 1), ("compact", 1), C, C),
    (("drop", 5), ("compact", 1), M, M),
    # a file is rewritten
    (("rewrite", 1), ("append", 1, 71), M, M),
    (("rewrite", 1), ("drop", 1), C, C),
    (("rewrite", 1), ("rewrite", 1), C, C),
    (("rewrite", 1), ("rewrite", 11), M, M),
    (("rewrite", 1), ("mark", 2), C, C),
    (("rewrite", 1), ("mark", 11), M, M),
    (("rewrite", 1), ("equal", 1, 2), C, C),
    (("rewrite", 1), ("equal", 3, 41), M, M),
    (("rewrite", 1), ("compact", 1), C, C),
    (("rewrite", 41), ("compact", 1), M, M),
    # rows are marked as deleted: position deletes, deletion vectors
    (("mark", 1), ("append", 1, 71), M, M),
    (("mark", 1), ("drop", 1), C, C),
    (("mark", 1), ("drop", 5), M, M),
    (("mark", 1), ("rewrite", 2), C, C),
    (("mark", 1), ("mark", 2), C, C),
    (("mark", 1), ("mark", 11), M, M),
    (("mark", 1), ("equal", 1, 1), M, M),
    (("mark", 1), ("equal_everywhere", 2), M, X),
    (("mark", 1), ("compact", 1), C, C),
    (("mark", 41), ("compact", 1), M, M),
    # equality deletes
    (("equal", 1, 71), ("append", 1, 71), C, C),
    (("equal", 1, 2), ("append", 2, 75), M, M),
    (("equal_everywhere", 71), ("append", 2, 71), C, X),
    (("equal", 1, 2), ("rewrite", 1), C, C),
    (("equal", 3, 41), ("rewrite", 1), M, M),
    (("equal", 1, 2), ("drop", 5), M, M),
    (("equal", 1, 1), ("mark", 1), M, M),
    (("equal", 1, 1), ("equal", 1, 1), M, M),
    (("equal", 1, 1), ("equal_everywhere", 21), M, X),
    (("equal", 1, 2), ("compact", 1), M, M),
    (("equal_everywhere", 2), ("compact", 1), M, X),
    (("equal", 1, 2), ("compact_as_new", 1), C, C),
    # partitions are replaced
    (("dynamic", 1, 61), ("append", 1, 71), C, C),
    (("dynamic", 1, 61), ("append", 2, 71), M, C),
    (("dynamic", 1, 61), ("drop", 1), C, C),
    (("dynamic", 1, 61), ("drop", 5), M, C),
    (("dynamic", 1, 61), ("dynamic", 1, 71), C, C),
    (("dynamic", 1, 61), ("mark", 1), C, C),
    (("dynamic", 1, 61), ("mark", 21), M, C),
    (("dynamic", 1, 61), ("equal", 1, 1), C, C),
    (("dynamic", 1, 61), ("equal", 2, 21), M, C),
    (("dynamic", 1, 61), ("compact", 1), C, C),
    (("dynamic", 1, 61), ("compact", 2), M, C),
    # compaction
    (("compact", 1), ("append", 1, 71), M, M),
    (("compact", 1), ("drop", 1), C, C),
    (("compact", 1), ("drop", 5), M, M),
    (("compact", 1), ("rewrite", 1), C, C),
    (("compact", 1), ("mark", 1), C, C),
    (("compact", 1), ("mark", 21), M, M),
    (("compact", 1), ("equal", 1, 2), M, M),
    (("compact", 1), ("equal_everywhere", 2), M, X),
    (("compact_as_new", 1), ("equal", 1, 2), C, C),
    (("compact_as_new", 1), ("equal", 2, 21), M, M),
    (("compact", 1), ("compact", 1), C, C),
    (("compact", 1), ("compact", 2), M, M),
    # several at once: the strictest of them, and the order inside one side is kept
    (("append", 1, 61, "equal", 1, 61, "append", 1, 61), ("append", 2, 71), M, M),
    (("append", 1, 61, "equal", 1, 2, "append", 1, 2), ("compact", 2), M, M),
    (("upsert", 1, 2), ("upsert", 2, 21), M, M),
    (("upsert", 1, 2, "upsert", 1, 2), ("append", 3, 71), M, M),
    (("append", 1, 61, "drop", 5), ("drop", 5), C, C),
    (("append", 1, 61, "compact", 1), ("append", 1, 71), R, R),
    (("append", 1, 61, "compact", 1), ("drop", 5), R, R),  # its manifest is written anew: a range
    (("mark", 1, "compact", 1), ("append", 1, 71), M, M),
    (("equal", 1, 2, "compact", 1), ("append", 2, 71), M, M),
    (("drop", 5, "append", 3, 41), ("mark", 1), M, M),
]
ARGUMENTS = {"append": 2, "dynamic": 2, "equal": 2, "upsert": 2}
DELETES = {"mark", "equal", "equal_everywhere", "upsert", "compact_as_new"}


def split(change):
    """A change of several into single ones."""
    parts, at = [], 0
    while at < len(change):
        count = ARGUMENTS.get(change[at], 1)
        parts.append(change[at:at + 1 + count])
        at += 1 + count
    return parts


def needs_version_2(change):
    return any(word in DELETES for word in change)


class Model:
    """One side's rows."""

    def __init__(self, rows, who, partitioned):
        self.rows, self.who, self.partitioned = list(rows), who, partitioned

    def run(self, change):
        for word, *rest in split(change):
            getattr(self, word)(*rest)
        return self

    def keep(self, test):
        self.rows = [row for row in self.rows if test(row)]

    def append(self, p, number):
        self.rows.append((number, p, self.who))

    def drop(self, file):
        self.keep(lambda row: row[2] != "base" or row[0] not in FILES[file][1])

    def mark(self, number):
        self.keep(lambda row: row[0] != number)

    rewrite = mark

    def equal(self, p, number):
        self.keep(lambda row: row[0] != number or (self.partitioned and row[1] != p))

    def equal_everywhere(self, number):
        self.keep(lambda row: row[0] != number)

    def upsert(self, p, number):
        self.equal(p, number)
        self.append(p, number)

    def dynamic(self, p, number):
        self.keep(lambda row: self.partitioned and row[1] != p)
        self.append(p, number)

    def compact(self, p):
        pass

    compact_as_new = compact


def merged(base, source, target):
    """Rows of a merge: what either side took away is gone, what either added is there."""
    base, source, target = Counter(base), Counter(source), Counter(target)
    gone = (base - source) | (base - target)
    return sorted((base - gone + (source - base) + (target - base)).elements(), key=repr)


class Changes:
    """The changes by engines, on one table of one branch. What PyIceberg can do it does where
    `python` is set, and Java else; Spark does what only it does."""

    def __init__(self, lake, branch, name, who, python):
        self.lake, self.branch, self.name, self.who = lake, branch, name, who
        self.python = python

    def run(self, change):
        for word, *rest in split(change):
            getattr(self, word)(*rest)

    def sql(self, text):
        return self.lake.sql(text.replace("TABLE", "{%s}.%s" % (self.branch, self.name)))

    def by_python(self):
        return self.lake.reader(self.branch).load_table(self.name)

    def append(self, p, number):
        if self.python:
            rows = [{"id": number, "p": p, "data": self.who}]
            self.by_python().append(pyarrow.Table.from_pylist(rows, ARROW))
        else:
            self.lake.java.append(self.branch, self.name, [[(number, p, self.who)]])

    def drop(self, file):
        p, numbers = FILES[file]
        if self.python:
            self.by_python().delete("id >= %d and id <= %d" % (numbers[0], numbers[-1]))
        elif p == 3 and len(self.partitions()):
            self.sql("DELETE FROM TABLE WHERE p = 3")
        else:
            self.lake.java.drop_file(self.branch, self.name, numbers[0])

    def partitions(self):
        return self.lake.java.table(self.branch, self.name).spec().fields()

    def rewrite(self, number):
        if self.python:
            self.by_python().delete("id = %d" % number)
            return
        p, numbers = next(file for file in FILES.values() if number in file[1])
        self.lake.java.rewrite(self.branch, self.name, number,
                               [(n, p, "base") for n in numbers if n != number])

    def mark(self, number):
        self.sql("DELETE FROM TABLE WHERE id = %d" % number)

    def equal(self, p, number):
        self.lake.java.delete_equal(self.branch, self.name, p, [number])

    def equal_everywhere(self, number):
        self.lake.java.delete_equal(self.branch, self.name, 0, [number], spec_id=0)

    def upsert(self, p, number):
        self.lake.java.upsert(self.branch, self.name, p, [(number, p, self.who)])

    def dynamic(self, p, number):
        if self.who == "source":
            self.sql("INSERT OVERWRITE TABLE VALUES (%d, %d, '%s')" % (number, p, self.who))
        else:
            self.lake.java.replace_partition(self.branch, self.name, [(number, p, self.who)])

    def compact(self, p, more=""):
        done = self.lake.sql(
            "CALL {%s}.system.rewrite_data_files(table => '%s', where => 'p = %d', "
            "options => map('rewrite-all', 'true'%s))" % (self.branch, self.name, p, more))
        assert done[0][0] >= 2, "nothing was compacted: %s" % (done,)

    def compact_as_new(self, p):
        self.compact(p, ", 'use-starting-sequence-number', 'false'")


class Cell:
    """One pair of changes on a table of its own."""

    def __init__(self, at, cell, version, partitioned, swapped):
        self.source, self.target, in_parts, whole = cell
        self.verdict = in_parts if partitioned else whole
        if self.verdict == ROW_IDS:
            self.verdict = CONFLICTS if version > 2 else MERGES
        self.version, self.partitioned, self.swapped = version, partitioned, swapped
        self.name = "cells.c%02d_%s_%s_v%d%s%s" % (
            at, self.source[0], self.target[0], version, "p" if partitioned else "",
            "x" if swapped else "")
        self.base = base_rows()
        self.rows_source = Model(self.base, "source", partitioned).run(self.source).rows
        self.rows_target = Model(self.base, "target", partitioned).run(self.target).rows

    def can_be(self):
        needs = needs_version_2(self.source) or needs_version_2(self.target)
        return self.verdict != NOT_HERE and (self.version > 1 or not needs)

    def make(self, lake):
        lake.create(self.name, self.version, self.partitioned)
        lake.java.append("main", self.name,
                         [[(number, p, "base") for number in numbers]
                          for p, numbers in FILES.values()])

    def change(self, lake, branch):
        """PyIceberg writes no version 3, and works on one side only."""
        who = "target" if branch == "main" else "source"
        python = self.version < 3 and (who == "source") != self.swapped
        Changes(lake, branch, self.name, who, python).run(getattr(self, who))

    def expected(self, strategy=None):
        if strategy:
            rows = self.rows_source if strategy == "TakeSource" else self.rows_target
            return sorted(rows, key=repr)
        return merged(self.base, self.rows_source, self.rows_target)
