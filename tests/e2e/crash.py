"""kill -9 of the server, of the bridge, and of everything at once, in the middle of a commit load: what was
acknowledged is there, once; what comes back is whole; the supervisor starts again what died."""

import glob
import os
import random
import signal
import sqlite3
import time

import load as loads
from suite import Suite

LONG = bool(os.environ.get("PANG_TEST_LONG"))
KILLS = 400 if LONG else 15
BETWEEN_S = (0.1, 0.9)
READY_S = 5.0

suite = Suite("crash", limit_s=3000 if LONG else 300)


def kill_everything(pangolin):
    """As a power cut that spares the disk's cache: all three at once, then a fresh start."""
    for part in ("server", "bridge"):
        pangolin.kill(part)
    os.killpg(pangolin.process.pid, signal.SIGKILL)
    pangolin.process.wait()
    pangolin.start()


def kill_part(pangolin, part):
    before = pangolin.pid(part)
    while before is None:
        time.sleep(0.01)
        before = pangolin.pid(part)
    pangolin.kill(part)
    begin = time.monotonic()
    while pangolin.pid(part) in (None, before):
        assert time.monotonic() - begin < READY_S, "%s was not started again" % part
        time.sleep(0.005)
    pangolin.wait_ready(READY_S)
    return time.monotonic() - begin


@suite.test
def acknowledged_commits_stay(pangolin):
    load = loads.Load(pangolin.port, namespace="crash", writers=8)
    chance = random.Random(load.seed)
    print("seed %d" % load.seed)
    load.prepare()
    load.start()
    waits = []
    for number in range(KILLS):
        time.sleep(chance.uniform(*BETWEEN_S))
        part = ("server", "bridge", "server", "everything")[number % 4]
        if part == "everything":
            kill_everything(pangolin)
        else:
            waits.append(kill_part(pangolin, part))
    time.sleep(0.5)
    load.stop()
    written = loads.check_load(load)
    unknown = sum(entry.outcome == loads.UNKNOWN for entry in load.entries)
    waits.sort()
    print("%d kills, %d acknowledged, %d unknown, %d versions; ready again after %.2f s, at most "
          "%.2f s" % (KILLS, load.acknowledged, unknown, sum(map(len, written.values())),
                      waits[len(waits) // 2], waits[-1]))
    assert load.acknowledged > 10 * KILLS, "there was hardly a load"
    refused = [wrong for wrong in load.wrong if wrong[1] < 500]
    assert not refused, refused[:3]


@suite.test
def store_is_whole(pangolin):
    assert pangolin.stop() == 0
    stores = [path for path in glob.glob(os.path.join(pangolin.data, "**", "*"), recursive=True)
              if os.path.isfile(path) and open(path, "rb").read(16) == b"SQLite format 3\0"]
    assert stores, "no SQLite file"
    for path in stores:
        with sqlite3.connect(path) as store:
            assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    pangolin.start()
    assert pangolin.status("/v1/demo/namespaces/crash/tables/t0") == 200


@suite.test
def reads_go_on_after_each_kill(pangolin):
    client = loads.Client(pangolin.port)
    for part in ("bridge", "server"):
        kill_part(pangolin, part)
        until = time.monotonic() + READY_S
        status = None
        while status != 200 and time.monotonic() < until:
            status, _ = client.call("GET", "/v1/demo/namespaces/crash/tables/t0")
        assert status == 200, (part, status)


if __name__ == "__main__":
    suite.main()
