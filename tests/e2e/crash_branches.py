"""kill -9 of the server in the middle of merges, rebases, new branches, and of merges that wait for people: after
the restart each is wholly there or not at all, what was acknowledged is there, what is not can be done again, and every
file that a pointer names exists, with the rows of both sides."""

import collections
import json
import os
import random
import threading
import time
import urllib.parse

import load as loads
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from suite import Suite

LONG = bool(os.environ.get("PANG_TEST_LONG"))
ROUNDS = 240 if LONG else 16
TABLES = ["t%d" % n for n in range(5)]
READY_S = 10.0
# An operation takes some tens of milliseconds; kills come before it, in it, and behind it.
LATEST_KILL_S = 0.04
ROWS = pa.schema([("id", pa.int64())])

suite = Suite("crash_branches", limit_s=3000 if LONG else 300)


class World:
    def __init__(self, pangolin):
        self.pangolin, self.client = pangolin, loads.Client(pangolin.port)
        self.seed = random.randrange(1 << 32)
        self.chance = random.Random(self.seed)
        self.rows = collections.defaultdict(list)  # by branch
        self.outcomes = collections.Counter()

    def ask(self, method, path, body=None, expect=(200, 201, 204)):
        status, reply = self.client.call(method, path, body)
        assert status in expect, (method, path, status, reply)
        return reply

    def table(self, branch, name=""):
        return "/v1/demo@%s/namespaces/ns/tables%s" % (branch, "/" + name if name else "")

    def put(self, branch, table, **properties):
        self.ask("POST", self.table(branch, table),
                 {"requirements": [], "updates": [{"action": "set-properties",
                                                   "updates": properties}]})

    def put_all(self, branch, **properties):
        """One commit over all tables."""
        changes = [{"identifier": {"namespace": ["ns"], "name": name}, "requirements": [],
                    "updates": [{"action": "set-properties", "updates": properties}]}
                   for name in TABLES]
        self.ask("POST", "/v1/demo@%s/transactions/commit" % branch, {"table-changes": changes})

    def having(self, branch, key, value=None):
        """How many of the tables have the property there."""
        found = 0
        for name in TABLES:
            properties = self.ask("GET", self.table(branch, name))["metadata"]["properties"]
            found += key in properties and value in (None, properties[key])
        return found

    def append(self, branch, value):
        catalog = load_catalog("demo", uri=self.pangolin.uri, warehouse="demo@" + branch)
        catalog.load_table("ns.rows").append(pa.table({"id": [value]}, schema=ROWS))
        self.rows[branch].append(value)

    def scan(self, branch):
        catalog = load_catalog("demo", uri=self.pangolin.uri, warehouse="demo@" + branch)
        return sorted(catalog.load_table("ns.rows").scan().to_arrow()["id"].to_pylist())

    def log(self, branch):
        return self.ask("GET", "/api/v1/branches/%s/commits?catalog=demo&limit=200" % branch)

    def branch(self, name, **more):
        self.ask("POST", "/api/v1/branches",
                 {"name": name, "catalog": "demo", "branch_type": "ingest", **more})

    def interrupt(self, method, path, body):
        """Calls, and kills the server meanwhile. Returns the status, or None."""
        told = []
        caller = loads.Client(self.pangolin.port)
        thread = threading.Thread(target=lambda: told.append(caller.call(method, path, body)))
        before = self.pangolin.pid("server")
        thread.start()
        time.sleep(self.chance.uniform(0, LATEST_KILL_S))
        self.pangolin.kill("server")
        thread.join()
        caller.close()
        begin = time.monotonic()
        while self.pangolin.pid("server") in (None, before):
            assert time.monotonic() - begin < READY_S, "the server was not started again"
            time.sleep(0.005)
        self.pangolin.wait_ready(READY_S)
        self.client.close()
        # Whoever is told of a failure does not know more than whoever is told nothing.
        status, reply = told[0]
        return (status if status in (200, 201, 409) else None), reply

    def note(self, what, status, done):
        assert done or status is None, "%s was acknowledged, and is not there" % what
        self.outcomes[what, "told" if status else "not told", "there" if done else "not there"] += 1


def check_files(world, branch):
    """Every pointer names a file that is there and is the document that is served."""
    for name in TABLES + ["rows"]:
        reply = world.ask("GET", world.table(branch, name))
        path = urllib.parse.unquote(urllib.parse.urlparse(reply["metadata-location"]).path)
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
        for member in ("table-uuid", "last-sequence-number", "last-updated-ms"):
            assert stored[member] == reply["metadata"][member], (branch, name, member)


def whole(world, branch, key, value=None):
    """Whether all tables have it; some but not all must not be."""
    found = world.having(branch, key, value)
    assert found in (0, len(TABLES)), "%s: %d of %d tables have %s" % (branch, found, len(TABLES),
                                                                      key)
    return found > 0


def both_sides_write(world, number):
    """A branch; what it and main then do. Returns its name."""
    name = "b%d" % number
    world.branch(name)
    world.rows[name] = list(world.rows["main"])
    world.put_all(name, **{"b%d" % number: "1"})
    for table in TABLES:
        world.put("main", table, **{"m%d-%s" % (number, table): "1"})
    world.put_all("main", **{"m%d" % number: "1"})
    world.append(name, 2 * number)
    world.append("main", 2 * number + 1)
    return name


def merge_rows(world, source, target):
    world.rows[target] = sorted(set(world.rows[source]) | set(world.rows[target]))


def merging(world, number):
    name, key = both_sides_write(world, number), "b%d" % number
    body = {"catalog": "demo", "source_branch": name, "target_branch": "main",
            "message": "merge %d" % number}
    status, _ = world.interrupt("POST", "/api/v1/branches/merge", body)
    done = whole(world, "main", key)
    world.note("merge", status, done)
    count = [c["message"] for c in world.log("main")].count(body["message"])
    assert count == done, "%d commits of one merge" % count
    assert world.scan("main") == sorted(set(world.rows["main"]) | (set(world.rows[name]) if done
                                                                   else set()))
    again = world.ask("POST", "/api/v1/branches/merge", body)
    assert again["status"] == "Completed", again
    merge_rows(world, name, "main")
    assert whole(world, "main", key) and whole(world, "main", "m%d" % number)
    count = [c["message"] for c in world.log("main")].count(body["message"])
    assert count == 1, "%d commits of one merge" % count
    return name


def rebasing(world, number):
    name = both_sides_write(world, number)
    status, _ = world.interrupt("POST", "/api/v1/branches/%s/rebase" % name,
                                {"name": name, "catalog": "demo"})
    done = whole(world, name, "m%d" % number)
    world.note("rebase", status, done)
    assert whole(world, name, "b%d" % number), "the branch's own writes are gone"
    expected = set(world.rows[name]) | (set(world.rows["main"]) if done else set())
    assert world.scan(name) == sorted(expected)
    world.ask("POST", "/api/v1/branches/%s/rebase" % name, {"name": name, "catalog": "demo"})
    merge_rows(world, "main", name)
    assert whole(world, name, "m%d" % number) and whole(world, name, "b%d" % number)
    return name


def branching(world, number):
    name = "n%d" % number
    body = {"name": name, "catalog": "demo", "branch_type": "ingest"}
    if number % 2:
        body["assets"] = ["ns.*"]  # a copy of what is there, in one commit with the branch
    world.put_all("main", **{"n%d" % number: "1"})
    status, _ = world.interrupt("POST", "/api/v1/branches", body)
    found, _ = world.client.call("GET", "/api/v1/branches/%s?catalog=demo" % name)
    assert found in (200, 404), found
    world.note("branch", status, found == 200)
    if found == 404:
        world.ask("GET", world.table(name, "t0"), expect=(404,))
        world.ask("POST", "/api/v1/branches", body)
    world.rows[name] = list(world.rows["main"])
    assert whole(world, name, "n%d" % number)
    return name


def deciding(world, number):
    name, key = both_sides_write(world, number), "both%d" % number
    world.put_all(name, **{key: "source"})
    world.put_all("main", **{key: "target"})
    body = {"catalog": "demo", "source_branch": name, "target_branch": "main"}
    operation = world.ask("POST", "/api/v1/branches/merge", body, expect=(409,))["operation_id"]
    path = "/api/v1/merge-operations/" + operation
    conflicts = world.ask("GET", path + "/conflicts")
    assert len(conflicts) == len(TABLES), conflicts
    for conflict in conflicts:
        world.ask("POST", "/api/v1/conflicts/%s/resolve" % conflict["id"],
                  {"strategy": "TakeSource"})
    status, _ = world.interrupt("POST", path + "/complete", None)
    done = whole(world, "main", key, "source")
    world.note("decided merge", status, done)
    state = world.ask("GET", path)["status"]
    assert state == ("Completed" if done else "Ready"), (state, done)
    if not done:
        assert world.ask("POST", path + "/complete")["status"] == "completed"
    merge_rows(world, name, "main")
    assert whole(world, "main", key, "source")
    return name


@suite.test
def each_is_there_or_not(pangolin):
    world = World(pangolin)
    print("seed %d" % world.seed)
    world.ask("POST", "/v1/demo/namespaces", {"namespace": ["ns"]})
    for name in TABLES:
        world.ask("POST", world.table("main"), {"name": name, "schema": loads.SCHEMA})
    catalog = load_catalog("demo", uri=pangolin.uri, warehouse="demo")
    catalog.create_table("ns.rows", ROWS)
    for number in range(ROUNDS):
        name = (merging, rebasing, branching, deciding)[number % 4](world, number)
        for branch in ("main", name):
            check_files(world, branch)
            assert world.scan(branch) == sorted(world.rows[branch]), branch
    for key in sorted(world.outcomes):
        print("%s, %s, %s: %d" % (*key, world.outcomes[key]))


if __name__ == "__main__":
    suite.main()
