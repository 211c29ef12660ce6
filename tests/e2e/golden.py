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
BRANCHES = "/api/v1/branches?catalog=demo"
VERSIONS = [
    BRANCHES, "/api/v1/tags?catalog=demo", "/api/v1/branches/main/commits?catalog=demo",
    "/api/v1/branches/dev/commits?catalog=demo", "/api/v1/catalogs/demo/diff?from=main&to=dev",
    "/api/v1/catalogs/demo/merge-operations", "/api/v1/catalogs/demo/undrop",
    "/v1/demo@dev/namespaces", "/v1/demo@dev/namespaces/sales/tables",
    "/v1/demo@dev/namespaces/sales/tables/orders", "/v1/demo@dev/namespaces/sales/tables/v3",
    "/v1/demo@dev/namespaces/sales/tables/on_dev", "/v1/demo@before/namespaces/sales/tables/v3",
    "/v1/demo@part/namespaces/sales/tables", "/v1/demo@part/namespaces/sales/tables/orders",
    "/v1/demo/namespaces/sales/tables/merged", "/v1/demo/namespaces/sales/views",
    "/v1/demo/namespaces/sales/views/big", "/v1/demo@dev/namespaces/sales/views/big"]
GONE = ["/v1/demo/namespaces/sales/tables/dropped", "/v1/demo/namespaces/sales/tables/old"]


def must(client, method, path, body=None, statuses=(200, 201, 204)):
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


def set_property(client, path, name, value):
    return must(client, "POST", path, {"requirements": [], "updates": [
        {"action": "set-properties", "updates": {name: value}}]})


def merge(client, source, target, statuses=(200, 201)):
    return must(client, "POST", "/api/v1/branches/merge", {
        "catalog": "demo", "source_branch": source, "target_branch": target}, statuses)


def write_versions(client):
    """Branches of each kind, tags, views, merges that ended and one that waits."""
    tables, views = "/v1/demo/namespaces/sales/tables", "/v1/demo/namespaces/sales/views"
    on_dev = "/v1/demo@dev/namespaces/sales/tables"
    must(client, "POST", views, {"name": "big", "sql": "select 1", "dialect": "spark"})
    must(client, "POST", tables, {"name": "merged", "schema": SCHEMA})
    must(client, "POST", "/api/v1/tags", {"name": "before", "catalog": "demo", "from": "main"})
    for made in ({"name": "dev", "branch_type": "ingest"},
                 {"name": "part", "assets": ["sales.orders"]},
                 {"name": "deep", "from_branch": "dev", "protected": True, "own_paths": True}):
        must(client, "POST", "/api/v1/branches", {"catalog": "demo", **made})
    must(client, "POST", on_dev, {"name": "on_dev", "schema": SCHEMA})
    set_property(client, on_dev + "/merged", "source", "dev")
    set_property(client, tables + "/merged", "target", "main")
    must(client, "POST", "/v1/demo@dev/namespaces/sales/views/big", {"updates": [
        {"action": "set-properties", "updates": {"from": "dev"}}]})
    merge(client, "dev", "main")
    set_property(client, on_dev + "/v3", "t", "dev")
    set_property(client, tables + "/v3", "t", "main")
    merge(client, "dev", "main", (409,))


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
        write_versions(client)
        answers = {path: must(client, "GET", path) for path in ASKED + TABLES + VERSIONS}
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


def holds(got, answer):
    """A later version may say more in an object; what was said stays."""
    if isinstance(answer, dict):
        return isinstance(got, dict) and all(
            name in got and holds(got[name], value) for name, value in answer.items())
    if isinstance(answer, list):
        return isinstance(got, list) and len(got) == len(answer) and all(map(holds, got, answer))
    return got == answer


def go_on_with_versions(client):
    """The merge that waits is decided and completed; the branch merges again, and ends."""
    waiting = [one for one in must(client, "GET", "/api/v1/catalogs/demo/merge-operations")
               if one["status"] == "Conflicted"]
    assert len(waiting) == 1, waiting
    at = "/api/v1/merge-operations/" + waiting[0]["id"]
    conflicts = must(client, "GET", at + "/conflicts")
    assert len(conflicts) == 1, conflicts
    must(client, "POST", "/api/v1/conflicts/%s/resolve" % conflicts[0]["id"],
         {"strategy": "TakeSource"})
    must(client, "POST", at + "/complete")
    table = "/v1/demo/namespaces/sales/tables/"
    assert must(client, "GET", table + "v3")["metadata"]["properties"]["t"] == "dev"
    set_property(client, "/v1/demo@dev/namespaces/sales/tables/on_dev", "again", "yes")
    merge(client, "dev", "main")
    assert must(client, "GET", table + "on_dev")["metadata"]["properties"]["again"] == "yes"
    must(client, "POST", "/v1/demo@deep/namespaces", {"namespace": ["no"]}, (403,))
    must(client, "POST", "/api/v1/branches", {"catalog": "demo", "name": "after", "from": "before"})
    must(client, "DELETE", "/api/v1/branches/dev?catalog=demo")


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
            elif path.startswith("/api/"):
                assert holds(got, answer), "%s: %s\n%s" % (path, got, answer)
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
        if BRANCHES in answers:
            go_on_with_versions(client)
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
