"""Writers that race, and a checked history: nothing acknowledged is lost, nothing refused is there, no
conflict is answered as anything else. The checker is itself checked with broken histories."""

import os
import threading
import time

import load as loads
from suite import Suite, raises

LONG = bool(os.environ.get("PANG_TEST_LONG"))
COMMITS = 100_000 if LONG else 5_000
LIMIT_S = 1500 if LONG else 45
ENOUGH = 20_000 if LONG else 500  # fewer than this in the time given is no race
ROUNDS = 200 if LONG else 30
CREATORS = 8

suite = Suite("race", limit_s=LIMIT_S + 300)


@suite.test
def commits(pangolin):
    load = loads.Load(pangolin.port)
    print("seed %d" % load.seed)
    load.prepare()
    begin = time.monotonic()
    load.start()
    while load.acknowledged < COMMITS and time.monotonic() - begin < LIMIT_S:
        time.sleep(0.05)
    load.stop()
    seconds = time.monotonic() - begin
    written = loads.check_load(load)
    print("%d acknowledged in %.1f s (%.0f/s), %d versions, %.0f %% of racing appends refused" %
          (load.acknowledged, seconds, load.acknowledged / seconds,
           sum(map(len, written.values())), 100 * load.rate_of_conflicts()))
    assert not load.wrong, load.wrong[:3]
    assert all(entry.outcome != loads.UNKNOWN for entry in load.entries)
    assert load.acknowledged >= ENOUGH, "too slow to be a race: %d" % load.acknowledged
    assert load.rate_of_conflicts() >= 0.1, load.rate_of_conflicts()
    client = loads.Client(pangolin.port)
    left = loads.orphans(load, lambda table: client.call("GET", load.path(table))[1][
        "metadata-location"])
    assert not left, "files of lost races stay: %s" % left[:5]
    checker_notices(load.entries, written)


def checker_notices(entries, written):
    """Each way to break the history must be seen."""
    def broken(change):
        copy = {table: list(tokens) for table, tokens in written.items()}
        change(copy)
        raises(AssertionError, loads.check, entries, copy)
    table = next(iter(written))
    refused = next(e for e in entries if e.outcome == loads.REFUSED)
    broken(lambda copy: copy[table].pop(len(copy[table]) // 2))
    broken(lambda copy: copy[table].append(copy[table][0]))
    broken(lambda copy: copy[table].reverse())
    broken(lambda copy: copy[table].append("nobody"))
    broken(lambda copy: copy[refused.tables[0]].append(refused.token))


@suite.test
def one_creator_wins(pangolin):
    """Table and namespace creations, drops and renames: of those that race one succeeds."""
    client = loads.Client(pangolin.port)
    assert client.call("POST", "/v1/demo/namespaces", {"namespace": ["lives"]})[0] == 200
    path = "/v1/demo/namespaces/lives/tables"

    def together(calls):
        results = [None] * len(calls)
        barrier = threading.Barrier(len(calls))

        def work(at):
            mine = loads.Client(pangolin.port)
            barrier.wait()
            results[at] = mine.call(*calls[at])[0]
            mine.close()
        threads = [threading.Thread(target=work, args=(at,)) for at in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    for turn in range(ROUNDS):
        name = "t%d" % turn
        made = together([("POST", path, {"name": name, "schema": loads.SCHEMA})] * CREATORS)
        assert sorted(made) == [200] + [409] * (CREATORS - 1), made
        moved = together([("POST", "/v1/demo/tables/rename", {
            "source": {"namespace": ["lives"], "name": name},
            "destination": {"namespace": ["lives"], "name": "%s_%d" % (name, n)}})
            for n in range(CREATORS)])
        assert sorted(moved) == [204] + [404] * (CREATORS - 1), moved
        winner = "%s_%d" % (name, moved.index(204))
        gone = together([("DELETE", path + "/" + winner)] * CREATORS)
        assert sorted(gone) == [204] + [404] * (CREATORS - 1), gone
        spaces = together([("POST", "/v1/demo/namespaces", {"namespace": ["n%d" % turn]})]
                          * CREATORS)
        assert sorted(spaces) == [200] + [409] * (CREATORS - 1), spaces
    assert client.call("GET", path)[1]["identifiers"] == []


@suite.test
def drop_against_create(pangolin):
    """A namespace is never dropped under a table that was acknowledged."""
    client = loads.Client(pangolin.port)
    for turn in range(ROUNDS):
        space = "d%d" % turn
        assert client.call("POST", "/v1/demo/namespaces", {"namespace": [space]})[0] == 200
        results = {}

        def work(key, *call):
            mine = loads.Client(pangolin.port)
            results[key] = mine.call(*call)[0]
            mine.close()
        path = "/v1/demo/namespaces/" + space
        threads = [
            threading.Thread(target=work, args=("create", "POST", path + "/tables",
                                                {"name": "t", "schema": loads.SCHEMA})),
            threading.Thread(target=work, args=("drop", "DELETE", path))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (results["create"], results["drop"]) in ((200, 409), (404, 204)), results


if __name__ == "__main__":
    suite.main()
