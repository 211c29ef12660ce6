"""Commits are watched, as a stream and by calls that wait, while they are made on several branches and the server
is stopped and killed: each watcher sees every number once, in order, and whatever was acknowledged."""

import json
import threading
import time
import urllib.error
import urllib.request

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_calls import Api
from suite import Suite

suite = Suite("watch", limit_s=240)

BRANCHES = ["main", "w1", "w2"]
RESTARTS = 4
BETWEEN_S = 1.5
READY_S = 10.0


def ask(pangolin, verb, path, body=None, timeout=60):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(pangolin.uri + path, data, {"Content-Type": "application/json"},
                                     method=verb)
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        text = reply.read()
    return json.loads(text) if text else None


class Writer(threading.Thread):
    """Makes namespaces on a branch; remembers those that it was told are there."""

    def __init__(self, pangolin, branch, end):
        super().__init__(daemon=True)
        self.pangolin, self.branch, self.end, self.acknowledged = pangolin, branch, end, []

    def run(self):
        number = 0
        while not self.end.is_set():
            number += 1
            name = "%s-%d" % (self.branch, number)
            try:
                ask(self.pangolin, "POST", "/v1/demo@%s/namespaces" % self.branch,
                    {"namespace": [name]})
                self.acknowledged.append((self.branch, name))
            except (OSError, urllib.error.URLError):
                time.sleep(0.02)


class Watcher(threading.Thread):
    """Goes on where it was, whatever happens to its connection."""

    def __init__(self, pangolin, after):
        super().__init__(daemon=True)
        self.pangolin, self.after, self.begun_after = pangolin, after, after
        self.seen, self.wrong, self.breaks, self.until = [], [], [], None

    def done(self):
        return self.until is not None and self.after >= self.until

    def take(self, sequence, branch, names, after):
        if self.seen and sequence != self.seen[-1][0] + 1:
            self.wrong.append("%d after %d" % (sequence, self.seen[-1][0]))
        self.seen.append((sequence, branch, names))
        self.after = after

    def run(self):
        while not self.done():
            try:
                self.follow()
            except (OSError, urllib.error.URLError, grpc.RpcError) as error:
                self.breaks.append(error)
                time.sleep(0.05)


class Stream(Watcher):
    def follow(self):
        api = Api("127.0.0.1:%d" % self.pangolin.port)
        try:
            method = api.method("pangolin.v1.CommitService", "WatchCommits")
            call = api.channel.unary_stream(
                "/pangolin.v1.CommitService/WatchCommits",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=GetMessageClass(method.output_type).FromString)(
                    GetMessageClass(method.input_type)(catalog="demo", after=self.after,
                                                       heartbeat=1))
            for message in call:
                if message.HasField("commit"):
                    commit = message.commit
                    self.take(commit.sequence, commit.branch, [c.name for c in commit.changes],
                              message.next)
                if self.done():
                    call.cancel()
                    return
        finally:
            api.close()


class Poll(Watcher):
    def follow(self):
        reply = ask(self.pangolin, "GET",
                    "/api/v1/catalogs/demo/watch?after=%d&timeout=2&limit=7" % self.after)
        for commit in reply["commits"]:
            self.take(commit["sequence"], commit["branch"],
                      [change["name"] for change in commit["changes"]], commit["sequence"])
        self.after = reply["next"]


def restart(pangolin, number):
    if number % 2 == 0:
        begin = time.monotonic()
        assert pangolin.stop() == 0
        assert time.monotonic() - begin < READY_S, "open streams held the stop up"
        pangolin.start()
        return
    before = pangolin.pid("server")
    pangolin.kill("server")
    while pangolin.pid("server") in (None, before):
        time.sleep(0.01)
    pangolin.wait_ready(READY_S)


@suite.test
def nothing_is_lost_over_restarts(pangolin):
    for name in BRANCHES[1:]:
        ask(pangolin, "POST", "/api/v1/branches", {"name": name, "catalog": "demo"})
    begin = ask(pangolin, "GET", "/api/v1/catalogs/demo/watch")["next"]
    end = threading.Event()
    watchers = [Stream(pangolin, begin), Poll(pangolin, begin), Stream(pangolin, begin)]
    writers = [Writer(pangolin, branch, end) for branch in BRANCHES]
    for thread in watchers + writers:
        thread.start()
    for number in range(RESTARTS):
        time.sleep(BETWEEN_S)
        restart(pangolin, number)
    time.sleep(BETWEEN_S)
    end.set()
    for writer in writers:
        writer.join()
    last = ask(pangolin, "GET", "/api/v1/catalogs/demo/watch")["next"]
    for watcher in watchers:
        watcher.until = last
    for watcher in watchers:
        watcher.join(60)
        assert not watcher.is_alive(), "it stands at %d of %d" % (watcher.after, last)
        assert not watcher.wrong, watcher.wrong[:3]
        assert [row[0] for row in watcher.seen] == list(range(begin + 1, last + 1))
        assert watcher.seen == watchers[0].seen
    made = [(row[1], name) for row in watchers[0].seen for name in row[2]]
    assert len(made) == len(set(made)), "something was made twice"
    acknowledged = [entry for writer in writers for entry in writer.acknowledged]
    assert set(acknowledged) <= set(made)
    assert len(acknowledged) > 100, "there was hardly a load"
    print("%d commits, %d acknowledged; connections broke %s times" %
          (last - begin, len(acknowledged), [len(watcher.breaks) for watcher in watchers]))


@suite.test
def a_wait_is_short_when_something_comes(pangolin):
    after = ask(pangolin, "GET", "/api/v1/catalogs/demo/watch")["next"]
    timer = threading.Timer(0.5, ask, (pangolin, "POST", "/v1/demo/namespaces",
                                       {"namespace": ["awaited"]}))
    timer.start()
    begin = time.monotonic()
    reply = ask(pangolin, "GET", "/api/v1/catalogs/demo/watch?after=%d&timeout=20" % after)
    assert time.monotonic() - begin < 5
    assert [c["changes"][0]["name"] for c in reply["commits"]] == ["awaited"], reply
    timer.join()


@suite.test
def a_wait_for_one_gets_on_while_others_commit(pangolin):
    begin = ask(pangolin, "GET", "/api/v1/catalogs/demo/watch")["next"]
    end = threading.Event()
    writers = [Writer(pangolin, "more-%d" % number, end) for number in range(2)]
    for writer in writers:
        ask(pangolin, "POST", "/api/v1/branches", {"name": writer.branch, "catalog": "demo"})
        writer.start()
    try:
        at = ask(pangolin, "GET", "/api/v1/catalogs/demo/watch?author=nobody&timeout=4")
        assert not at["commits"] and at["next"] > begin + 50, at
        ask(pangolin, "POST", "/v1/demo/namespaces", {"namespace": ["sought"]})
        table = {"name": "t", "schema": {"type": "struct", "fields": []}}
        timer = threading.Timer(1, ask, (pangolin, "POST", "/v1/demo/namespaces/sought/tables",
                                         table))
        timer.start()
        found = ask(pangolin, "GET", "/api/v1/catalogs/demo/watch?after=%d&table=sought.t&timeout=20"
                    % begin)
        timer.join()
    finally:
        end.set()
        for writer in writers:
            writer.join()
    assert [c["changes"][0]["name"] for c in found["commits"]] == ["t"], found
    idle = ask(pangolin, "GET",
               "/api/v1/catalogs/demo/watch?after=%d&author=nobody&timeout=1&limit=1" % begin)
    assert idle["next"] >= found["next"], (idle, found["next"])


if __name__ == "__main__":
    suite.main()
