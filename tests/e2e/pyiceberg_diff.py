"""Differences between branches that PyIceberg wrote: files and rows of each side, counted from the manifests."""

import json
import os
import urllib.request

import pyarrow
from pyiceberg.catalog import load_catalog
from suite import Suite

suite = Suite("pyiceberg_diff")

ROWS = pyarrow.table({"id": pyarrow.array([1, 2, 3], pyarrow.int64())})
MORE = pyarrow.table({"id": pyarrow.array([4, 5], pyarrow.int64())})


def ask(pangolin, verb, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(pangolin.uri + path, data, {"Content-Type": "application/json"},
                                     method=verb)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def open_catalog(pangolin, warehouse):
    return load_catalog(warehouse, type="rest", uri=pangolin.uri, warehouse=warehouse)


def diff_of(pangolin, start, end):
    reply = ask(pangolin, "GET", "/api/v1/catalogs/demo/diff?from=%s&to=%s&tables=diff.t" %
                (start, end))
    return reply["entries"]


@suite.test
def files_and_rows_are_counted(pangolin):
    catalog = open_catalog(pangolin, "demo")
    catalog.create_namespace("diff")
    table = catalog.create_table("diff.t", ROWS.schema)
    table.append(ROWS)
    table.append(ROWS)
    ask(pangolin, "POST", "/api/v1/branches", {"name": "files", "catalog": "demo"})
    assert diff_of(pangolin, "main", "files") == []
    branch = open_catalog(pangolin, "demo@files").load_table("diff.t")
    branch.append(MORE)
    [entry] = diff_of(pangolin, "main", "files")
    files = entry["table"]["files"]
    assert entry["change"] == "changed" and len(entry["table"]["snapshots_added"]) == 1, entry
    assert (files["data_files_added"], files["rows_added"]) == (1, 2), files
    assert (files["data_files_removed"], files["rows_removed"]) == (0, 0), files
    assert len(files["added"]) == 1 and files["added"][0].endswith(".parquet"), files
    branch.overwrite(MORE)  # all that was there goes
    files = diff_of(pangolin, "main", "files")[0]["table"]["files"]
    assert (files["data_files_added"], files["rows_added"]) == (1, 2), files
    assert (files["data_files_removed"], files["rows_removed"]) == (2, 6), files
    back = diff_of(pangolin, "files", "main")[0]["table"]["files"]
    assert back["added"] == files["removed"] and back["rows_added"] == 6, back
    assert back["removed"] == files["added"], back


@suite.test
def what_cannot_be_read_is_said(pangolin):
    branch = open_catalog(pangolin, "demo@files").load_table("diff.t")
    path = branch.current_snapshot().manifest_list
    os.remove(path[len("file://"):] if path.startswith("file://") else path)
    [entry] = diff_of(pangolin, "main", "files")
    assert "files" not in entry["table"] and entry["table"]["unreadable"], entry
    assert entry["table"]["snapshots_added"], entry


if __name__ == "__main__":
    suite.main()
