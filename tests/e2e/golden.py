"""Stores that earlier versions wrote open today: the same answers, and writing goes on.

    golden.py                 every store of tests/golden/
    golden.py --write NAME    makes a new one with today's programs
"""

import fcntl
import glob
import json
import os
import shutil
import sys
import tarfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402
import load as loads  # noqa: E402

GOLDEN = os.path.join(harness.ROOT, "tests", "golden")
FOLDER = "/var/tmp/pangolin-golden"  # locations of tables are absolute: always the same place
SCHEMA = {"type": "struct", "fields": [
    {"id": 1, "name": "id", "required": True, "type": "long"},
    {"id": 2, "name": "name", "required": False, "type": "string"},
    {"id": 3, "name": "tags", "required": False, "type": {
        "type": "list", "element-id": 4, "element": "string", "element-required": False}}]}
ASKED = ["/v1/config?warehouse=demo", "/v1/demo/namespaces", "/v1/demo/namespaces?parent=sales",
         "/v1/demo/namespaces/sales", "/v1/demo/namespaces/sales%1Feu",
         "/v1/demo/namespaces/sales/tables", "/v1/demo/namespaces/sales%1Feu/tables"]
TABLES = ["/v1/demo/namespaces/sales/tables/orders", "/v1/demo/namespaces/sales/tables/v1",
          "/v1/demo/namespaces/sales/tables/v3", "/v1/demo/namespaces/sales%1Feu/tables/moved"]
GONE = ["/v1/demo/namespaces/sales/tables/dropped", "/v1/demo/namespaces/sales/tables/old"]


def must(client, method, path, body=None, statuses=(200, 204)):
    status, reply = client.call(method, path, body)
    assert status in statuses, (method, path, status, reply)
    return reply


def snapshot(metadata, number, parent=None, **more):
    made = {"snapshot-id": number, "sequence-number": metadata["last-sequence-number"] + 1,
            "timestamp-ms": int(time.time() * 1000), "schema-id": 0,
            "manifest-list": metadata["location"] + "/metadata/snap-%d.avro" % number,
            "summary": {"operation": "append"}, **more}
    if parent:
        made["parent-snapshot-id"] = parent
    return made


def write_something(client):
    """A bit of everything that this version stores."""
    space = "/v1/demo/namespaces"
    must(client, "POST", space, {"namespace": ["sales"], "properties": {"owner": "ünï", "a": "b"}})
    must(client, "POST", space, {"namespace": ["sales", "eu"]})
    must(client, "POST", space, {"namespace": ["gone"]})
    must(client, "DELETE", space + "/gone")
    must(client, "POST", space + "/sales/properties", {"removals": ["a"], "updates": {"c": "d"}})
    tables = space + "/sales/tables"
    spec = {"fields": [{"source-id": 1, "name": "b", "transform": "bucket[8]"}]}
    made = must(client, "POST", tables, {"name": "orders", "schema": SCHEMA,
                                         "partition-spec": spec})["metadata"]
    for number, parent in ((9007199254740993, None), (9223372036854775807, 9007199254740993)):
        made = must(client, "POST", tables + "/orders", {"requirements": [], "updates": [
            {"action": "add-snapshot", "snapshot": snapshot(made, number, parent)},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
             "snapshot-id": number}]})["metadata"]
    must(client, "POST", tables + "/orders", {"requirements": [], "updates": [
        {"action": "set-snapshot-ref", "ref-name": "v1", "type": "tag",
         "snapshot-id": 9007199254740993}]})
    for version in ("1", "3"):
        must(client, "POST", tables, {"name": "v" + version, "schema": SCHEMA,
                                      "properties": {"format-version": version}})
    for name in ("dropped", "old"):
        must(client, "POST", tables, {"name": name, "schema": SCHEMA})
    must(client, "DELETE", tables + "/dropped")
    must(client, "POST", "/v1/demo/tables/rename", {
        "source": {"namespace": ["sales"], "name": "old"},
        "destination": {"namespace": ["sales", "eu"], "name": "moved"}})
    must(client, "POST", "/v1/demo/transactions/commit", {"table-changes": [
        {"identifier": {"namespace": ["sales"], "name": name}, "requirements": [],
         "updates": [{"action": "set-properties", "updates": {"t": "x"}}]}
        for name in ("v1", "v3")]})


def fresh_folder():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)


def write(name):
    fresh_folder()
    server = harness.Pangolin("golden", data=os.path.join(FOLDER, "var"))
    try:
        server.start()
        client = loads.Client(server.port)
        write_something(client)
        answers = {path: must(client, "GET", path) for path in ASKED + TABLES}
        client.close()
    finally:
        server.close()
    with open(os.path.join(GOLDEN, name + ".json"), "w", encoding="utf-8") as out:
        json.dump(answers, out, indent=1, sort_keys=True, ensure_ascii=False)
        out.write("\n")

    def plain(info):
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        return info if info.isreg() or info.isdir() else None
    with tarfile.open(os.path.join(GOLDEN, name + ".tar.gz"), "w:gz") as tar:
        tar.add(os.path.join(FOLDER, "var"), "var", filter=plain)
    shutil.rmtree(FOLDER)


def check(name):
    fresh_folder()
    with tarfile.open(os.path.join(GOLDEN, name + ".tar.gz")) as tar:
        tar.extractall(FOLDER)
    with open(os.path.join(GOLDEN, name + ".json"), encoding="utf-8") as text:
        answers = json.load(text)
    server = harness.Pangolin("golden", data=os.path.join(FOLDER, "var"))
    try:
        server.start()
        client = loads.Client(server.port)
        for path, answer in answers.items():
            got = must(client, "GET", path)
            if path.startswith("/v1/config"):
                # A later version may offer more; what was offered stays.
                assert set(answer["endpoints"]) <= set(got["endpoints"]), got
                assert got["overrides"] == answer["overrides"], got
            else:
                assert got == answer, "%s: %s\n%s" % (path, got, answer)
        for path in GONE:
            must(client, "GET", path, statuses=(404,))
        for path in TABLES:
            before = must(client, "GET", path)
            after = must(client, "POST", path, {"requirements": [], "updates": [
                {"action": "set-properties", "updates": {"written": "later"}}]})
            assert after["metadata"]["metadata-log"][-1]["metadata-file"] == \
                before["metadata-location"]
        must(client, "POST", "/v1/demo/namespaces/sales/tables",
             {"name": "new", "schema": SCHEMA})
        after = {path: must(client, "GET", path) for path in TABLES}
        client.close()
        assert server.stop() == 0
        check_with_authentication(after)
    finally:
        server.close()
        shutil.rmtree(FOLDER, ignore_errors=True)


def check_with_authentication(answers):
    """The data is still there when callers have to say who they are: it is the default tenant's."""
    server = harness.Pangolin("golden", {
        "PANGOLIN_NO_AUTH": "false", "PANGOLIN_ROOT_USER": "root",
        "PANGOLIN_ROOT_PASSWORD": "a horse for root"}, os.path.join(FOLDER, "var"))
    try:
        server.start()
        client = loads.Client(server.port)
        must(client, "GET", TABLES[0], statuses=(401,))
        client.headers["Authorization"] = "Bearer " + must(
            client, "POST", "/api/v1/users/login",
            {"username": "root", "password": "a horse for root"})["token"]
        tenant = must(client, "GET", "/api/v1/tenants")[0]
        assert tenant["name"] == "default", tenant
        must(client, "POST", "/api/v1/users", {
            "username": "adam", "email": "", "password": "correct horse", "role": "tenant-admin",
            "tenant_id": tenant["id"]}, statuses=(201,))
        client.headers["Authorization"] = "Bearer " + must(
            client, "POST", "/api/v1/users/login",
            {"username": "adam", "password": "correct horse", "tenant-id": tenant["id"]})["token"]
        for path, answer in answers.items():
            got = must(client, "GET", path)
            assert got == answer, "%s: %s\n%s" % (path, got, answer)
        client.close()
        assert server.stop() == 0
    finally:
        server.close()


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--write":
        write(sys.argv[2])
        return 0
    names = sorted(os.path.basename(path)[:-len(".tar.gz")]
                   for path in glob.glob(os.path.join(GOLDEN, "*.tar.gz")))
    failed = 0
    # One at a time on a machine: the folder is always the same.
    with open(FOLDER + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            try:
                check(name)
                print("ok    %s" % name, flush=True)
            except Exception as error:  # a store may fail in any way
                failed += 1
                print("FAIL  %s: %s: %s" % (name, type(error).__name__, error), flush=True)
    print("%d passed, %d failed, 0 skipped" % (len(names) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
