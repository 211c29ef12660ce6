"""A commit load whose history can be checked. Standard library only.

Writers race on a few tables. Every commit carries a token of its own: a snapshot id, or the value of
a property that belongs to its writer. Each version of a table's metadata names the one before it, so
the files themselves say which token came when; what clients were told is held against that:

- an acknowledged token is there exactly once, a refused one never, an unknown one at most once;
- nothing is there that nobody wrote; a transaction is in all of its tables or in none;
- who began after another had been acknowledged comes after it (real time order);
- sequence numbers rise by one; the versions of a table are one chain.
"""

import http.client
import json
import os
import random
import threading
import time
import urllib.parse
import urllib.request

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"
TIMEOUT_S = 15
SCHEMA = {"type": "struct", "fields": [
    {"id": 1, "name": "id", "required": False, "type": "long"}]}


class Client:
    """One connection. `call` returns (status, reply), or (None, None) when it is not known whether
    the request arrived."""

    def __init__(self, port):
        self.port, self.connection = port, None
        self.headers = {"Content-Type": "application/json"}

    def call(self, method, path, body=None):
        text = None if body is None else json.dumps(body)
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                             timeout=TIMEOUT_S)
            self.connection.request(method, path, text, self.headers)
            reply = self.connection.getresponse()
            content = reply.read()
            if reply.will_close:
                self.close()
            return reply.status, json.loads(content) if content else None
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return None, None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Entry:
    """What one commit was told. Tables: those that it was for; token: what it wrote into each."""

    __slots__ = ("kind", "tables", "token", "begin", "end", "outcome")

    def __init__(self, kind, tables, token):
        self.kind, self.tables, self.token = kind, tables, token
        self.begin, self.end, self.outcome = time.monotonic_ns(), None, None


class Load:
    def __init__(self, port, namespace="race", tables=4, writers=16, seed=None):
        self.port, self.namespace, self.writers = port, namespace, writers
        self.tables = ["t%d" % n for n in range(tables)]
        self.seed = seed if seed is not None else random.randrange(1 << 32)
        self.entries, self.wrong, self.lock = [], [], threading.Lock()
        self.stopping = threading.Event()
        self.acknowledged = 0

    def path(self, table=""):
        base = "/v1/demo/namespaces/%s/tables" % self.namespace
        return base + "/" + table if table else base

    def prepare(self):
        client = Client(self.port)
        status, _ = client.call("POST", "/v1/demo/namespaces", {"namespace": [self.namespace]})
        assert status == 200, status
        for table in self.tables:
            status, _ = client.call("POST", self.path(), {"name": table, "schema": SCHEMA})
            assert status == 200, status
        client.close()

    # --- the three kinds of commits ---------------------------------------------------------

    def append(self, client, chance, table):
        """A snapshot on the one that the writer has just seen: one of several racing wins."""
        status, seen = client.call("GET", self.path(table))
        if status != 200:
            return None
        metadata = seen["metadata"]
        current = metadata.get("current-snapshot-id")
        current = None if current == -1 else current
        token = chance.randrange(1, 1 << 63)
        old = [s["snapshot-id"] for s in metadata.get("snapshots", [])
               if s["snapshot-id"] != current]
        snapshot = {"snapshot-id": token, "sequence-number": metadata["last-sequence-number"] + 1,
                    "timestamp-ms": int(time.time() * 1000),
                    "manifest-list": metadata["location"] + "/metadata/snap.avro",
                    "summary": {"operation": "append"}, "schema-id": 0}
        if current is not None:
            snapshot["parent-snapshot-id"] = current
        entry = Entry("append", [table], token)
        status, reply = client.call("POST", self.path(table), {
            "requirements": [{"type": "assert-ref-snapshot-id", "ref": "main",
                              "snapshot-id": current}],
            "updates": [{"action": "add-snapshot", "snapshot": snapshot},
                        {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
                         "snapshot-id": token},
                        {"action": "remove-snapshots", "snapshot-ids": old}]})
        return self.told(entry, status, reply, 200)

    def set_property(self, client, writer, number, table):
        """Requires nothing: it must win, however often the server has to try again."""
        entry = Entry("property", [table], "%d.%d" % (writer, number))
        status, reply = client.call("POST", self.path(table), {
            "requirements": [],
            "updates": [{"action": "set-properties",
                         "updates": {"w.%d" % writer: entry.token}}]})
        return self.told(entry, status, reply, 200)

    def transaction(self, client, writer, number, tables):
        entry = Entry("transaction", tables, "%d.%d" % (writer, number))
        status, reply = client.call("POST", "/v1/demo/transactions/commit", {"table-changes": [
            {"identifier": {"namespace": [self.namespace], "name": table}, "requirements": [],
             "updates": [{"action": "set-properties",
                          "updates": {"w.%d" % writer: entry.token}}]} for table in tables]})
        return self.told(entry, status, reply, 204)

    def told(self, entry, status, reply, success):
        entry.end = time.monotonic_ns()
        if status == success:
            entry.outcome = OK
        elif status == 409:
            entry.outcome = REFUSED
        elif status is None or status >= 500:
            entry.outcome = UNKNOWN
        else:
            entry.outcome = REFUSED
            with self.lock:
                self.wrong.append((entry.kind, status, reply))
        if status is not None and status >= 500:
            with self.lock:
                self.wrong.append((entry.kind, status, reply))
        with self.lock:
            self.entries.append(entry)
            self.acknowledged += entry.outcome == OK
        return entry.outcome

    # --- running ----------------------------------------------------------------------------

    def write(self, writer):
        chance = random.Random(self.seed * 1000 + writer)
        client = Client(self.port)
        number = 0
        while not self.stopping.is_set():
            number += 1
            table = chance.choice(self.tables)
            draw = chance.random()
            if draw < 0.6:
                outcome = self.append(client, chance, table)
            elif draw < 0.85:
                outcome = self.set_property(client, writer, number, table)
            else:
                outcome = self.transaction(client, writer, number,
                                           chance.sample(self.tables, 2))
            if outcome is None or outcome == UNKNOWN:
                time.sleep(0.02)
        client.close()

    def start(self):
        self.threads = [threading.Thread(target=self.write, args=(n,), daemon=True)
                        for n in range(self.writers)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=TIMEOUT_S * 2)
            assert not thread.is_alive(), "a writer hangs"

    def rate_of_conflicts(self):
        races = [entry for entry in self.entries if entry.kind == "append"]
        return sum(entry.outcome == REFUSED for entry in races) / max(1, len(races))


# --- the files, and what they say -----------------------------------------------------------------


def read(location):
    path = urllib.request.url2pathname(urllib.parse.urlparse(location).path)
    with open(path, encoding="utf-8") as text:
        return json.load(text)


def walk(location):
    """The versions of a table, oldest first, as (location, metadata): each names the one before."""
    versions = []
    seen = set()
    while location is not None:
        assert location not in seen, "the versions go in a circle"
        seen.add(location)
        metadata = read(location)
        versions.append((location, metadata))
        log = metadata.get("metadata-log", [])
        location = log[-1]["metadata-file"] if log else None
    versions.reverse()
    return versions


def tokens_of(versions):
    """What each version added to the one before it: a list of tokens in order."""
    tokens = []
    properties, snapshots, sequence, number = {}, set(), 0, -1
    for location, metadata in versions:
        new = [snapshot["snapshot-id"] for snapshot in metadata.get("snapshots", [])
               if snapshot["snapshot-id"] not in snapshots]
        snapshots.update(new)
        found = list(new)
        for key, value in metadata.get("properties", {}).items():
            if key.startswith("w.") and properties.get(key) != value:
                properties[key] = value
                found.append(value)
        if tokens or number >= 0:
            assert len(found) == 1, "version %s adds %s" % (location, found)
        sequence += len(new)
        assert metadata["last-sequence-number"] == sequence, "sequence numbers have a gap"
        at = int(os.path.basename(location).split("-")[0])
        assert at == number + 1, "version %d follows %d" % (at, number)
        number = at
        tokens.extend(found)
    return tokens


def check(entries, written):
    """Holds what clients were told against {table: tokens in order}. Raises AssertionError."""
    by_token = {entry.token: entry for entry in entries}
    assert len(by_token) == len(entries), "tokens are not unique"
    for table, tokens in written.items():
        assert len(set(tokens)) == len(tokens), "a commit is in %s twice" % table
        for token in tokens:
            assert token in by_token, "nobody wrote %s into %s" % (token, table)
            assert table in by_token[token].tables, "%s is in the wrong table" % token
        # Real time order: none may stand before one that was acknowledged before it began.
        earliest_end = None
        for token in reversed(tokens):
            entry = by_token[token]
            if earliest_end is not None:
                assert earliest_end >= entry.begin, "%s: real time order is broken" % table
            if entry.outcome == OK:
                earliest_end = entry.end if earliest_end is None else min(earliest_end, entry.end)
    sets = {table: set(tokens) for table, tokens in written.items()}
    for entry in entries:
        there = [entry.token in sets[table] for table in entry.tables]
        assert all(there) or not any(there), "half of transaction %s" % entry.token
        if entry.outcome == OK:
            assert all(there), "acknowledged and lost: %s %s" % (entry.kind, entry.token)
        elif entry.outcome == REFUSED:
            assert not any(there), "refused and there: %s %s" % (entry.kind, entry.token)


def check_load(load):
    """Reads what the server ended with and checks it. Returns {table: tokens}."""
    client = Client(load.port)
    written = {}
    for table in load.tables:
        status, seen = client.call("GET", load.path(table))
        assert status == 200, (table, status, seen)
        versions = walk(seen["metadata-location"])
        assert versions[-1][1] == seen["metadata"], "the reply is not the file"
        written[table] = tokens_of(versions)
    client.close()
    check(load.entries, written)
    return written


def orphans(load, locations_of):
    """Metadata files in the tables' folders that no version names."""
    left = []
    for table in load.tables:
        versions = walk(locations_of(table))
        known = {os.path.basename(location) for location, _ in versions}
        folder = os.path.join(urllib.request.url2pathname(
            urllib.parse.urlparse(versions[-1][1]["location"]).path), "metadata")
        left += [name for name in os.listdir(folder)
                 if name.endswith(".metadata.json") and name not in known]
    return left
