"""Server and bridge on the database of PANG_TEST_URL (postgres.sh and mongo.sh set it): a part of
the REST scripts, and what happens when that database is away. Standard library only.

    serve.py [PART-OF-A-NAME...]

Ends with `N passed, N failed, N skipped`; a script counts as a test.
"""

import base64
import glob
import http.client
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import harness  # noqa: E402
from relay import Relay  # noqa: E402

REST = ["10-config", "20-namespaces", "30-tables", "33-commit", "35-rename", "38-transactions",
        "40-idempotency", "80-identity", "81-lake", "85-audit"]
WAIT_S = 30
URL = os.environ["PANG_TEST_URL"]
IS_MONGO = URL.startswith("mongodb:")
KEY = base64.b64encode(os.urandom(32)).decode()
TESTS = []
FOLDER = tempfile.TemporaryDirectory(prefix="pang-servers-")


def test(function):
    TESTS.append(function)
    return function


def open_relay():
    if IS_MONGO:
        return Relay("tcp:" + URL.split("/")[2])
    folder = URL.split("host=")[1].split("&")[0]
    return Relay("unix:%s/.s.PGSQL.5432" % folder)


def url_of(relay, database="postgres"):
    if IS_MONGO:
        return "mongodb://127.0.0.1:%d/%s" % (relay.port, database)
    return "postgres://pangolin:hunter2@127.0.0.1:%d/%s" % (relay.port, database)


def pangolin(relay, data="var", **environment):
    """All on one database: a start looks after the files of the ones before, and what they sealed
    takes their key."""
    environment = {"DATABASE_URL": url_of(relay), **environment,
                   "PANGOLIN_ENCRYPTION_KEY": KEY,
                   "PANGOLIN_FILE_ROOTS": os.path.join(FOLDER.name, "var", "warehouse")}
    return harness.Pangolin("servers", environment, os.path.join(FOLDER.name, data))


def request(server, method, path, body=None):
    """(status, headers, text); the status is None without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)
    try:
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read().decode()
    except (OSError, http.client.HTTPException):
        return None, {}, ""
    finally:
        connection.close()


def until(what, check, limit=WAIT_S):
    begin = time.monotonic()
    while time.monotonic() - begin < limit:
        if check():
            return time.monotonic() - begin
        time.sleep(0.05)
    raise AssertionError("not within %d s: %s" % (limit, what))


def is_ready(server, wanted=200):
    return lambda: server.status("/health/ready") == wanted


def create(server, name):
    return request(server, "POST", "/v1/demo/namespaces", {"namespace": [name]})


def exists(server, name):
    status, _, text = request(server, "HEAD", "/v1/demo/namespaces/" + name)
    assert status in (204, 404), (status, text)
    return status == 204


def start_that_fails(url, **environment):
    """Output of a `pangolin up` that must end with 2, and how long that took."""
    with tempfile.TemporaryDirectory(prefix="pang-servers-") as folder:
        begin = time.monotonic()
        done = subprocess.run(
            [harness.program(), "up"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
            env={**os.environ, "PORT": str(harness.free_port()), "DATABASE_URL": url,
                 "PANGOLIN_DATA_DIR": os.path.join(folder, "var"), **environment})
        assert done.returncode == 2, done
        lines = [line for line in done.stdout.splitlines() if "cannot start" in line]
        assert len(lines) == 1 and "hunter2" not in done.stdout, done.stdout
        return lines[0], time.monotonic() - begin


@test
def keeps_what_it_acknowledged(relay):
    with pangolin(relay) as server:
        for i in range(20):
            assert create(server, "kept%d" % i)[0] == 200
        server.kill("server")
        until("ready after a kill", lambda: server.pid("server") and is_ready(server)())
        assert all(exists(server, "kept%d" % i) for i in range(20))
    with pangolin(relay, "other") as server:  # another server: one catalog
        assert exists(server, "kept7")


@test
def down_at_the_start(relay):
    relay.set("down")
    line, took = start_that_fails(url_of(relay), DATABASE_CONNECT_TIMEOUT="2s")
    assert ("PostgreSQL" in line or "MongoDB" in line) and "onnect" in line, line
    assert 1 < took < 20, took


@test
def up_a_little_later(relay):
    relay.set("down")
    server = pangolin(relay)
    try:
        threading.Timer(2, relay.set, ["up"]).start()
        server.start()
        assert server.ready_ms > 1500, server.ready_ms
    finally:
        server.close()


@test
def refused_at_the_start(relay):
    """What will not change by itself is not waited for."""
    url = "mongodb://127.0.0.1:%d/x?nonsense" % relay.port if IS_MONGO else url_of(relay, "nosuch")
    _, took = start_that_fails(url)
    assert took < 10, took


@test
def goes_away_while_serving(relay):
    with pangolin(relay) as server:
        assert create(server, "before")[0] == 200
        for turn in range(2):
            relay.set("down")
            for method, path, body in (
                    ("GET", "/v1/demo/namespaces", None),
                    ("POST", "/v1/demo/namespaces", {"namespace": ["while%d" % turn]})):
                begin = time.monotonic()
                status, headers, text = request(server, method, path, body)
                assert status == 503 and headers.get("Retry-After"), (method, status, text)
                assert time.monotonic() - begin < 12
            took = until("not ready", is_ready(server, 503))
            assert server.status("/health/live") == 200
            relay.set("up")
            back = until("ready again", is_ready(server))
            print("    unready after %.1f s, back after %.1f s" % (took, back))
            assert exists(server, "before") and not exists(server, "while%d" % turn)
            assert create(server, "after%d" % turn)[0] == 200
        assert server.pid("server") is not None


@test
def falls_silent_while_serving(relay):
    """No reset, no answer: only time limits help."""
    with pangolin(relay, PANGOLIN_REQUEST_TIMEOUT_SECS="4s") as server:
        assert create(server, "loud")[0] == 200
        relay.set("mute")
        begin = time.monotonic()
        status, _, text = request(server, "GET", "/v1/demo/namespaces")
        assert status in (503, 504) and time.monotonic() - begin < 10, (status, text)
        took = until("not ready", is_ready(server, 503))
        relay.set("up")
        back = until("ready again", is_ready(server))
        print("    unready after %.1f s, back after %.1f s" % (took, back))
        assert exists(server, "loud") and create(server, "loud2")[0] == 200


@test
def every_answer_is_true(relay):
    """Connections are broken all the time under creates: 200 is there, and nothing twice."""
    answers, cuts = {}, []
    with pangolin(relay) as server:
        for i in range(120):
            if i % 4 == 0:
                cuts.append(threading.Timer(0.002 * (i % 7), relay.set, ["up"]))
                cuts[-1].start()
            answers[i] = create(server, "cut%d" % i)[0]
        for cut in cuts:  # none is left to break what is asked now
            cut.join()
        until("ready again", is_ready(server))
        wrong = [i for i, status in answers.items()
                 if status in (200, 503) and exists(server, "cut%d" % i) != (status == 200)]
        assert not wrong, [(i, answers[i]) for i in wrong]
        assert list(answers.values()).count(200) > 60, answers


@test
def settings_of_the_database(relay):
    before = relay.accepted
    names = ("MONGO_MIN_POOL_SIZE", "MONGO_MAX_POOL_SIZE") if IS_MONGO else \
        ("DATABASE_MIN_CONNECTIONS", "DATABASE_MAX_CONNECTIONS")
    more = {"MONGO_DB_NAME": "elsewhere"} if IS_MONGO else {}
    with pangolin(relay, **{names[0]: "6", names[1]: "7"}, **more) as server:
        assert relay.accepted - before >= 6, relay.accepted - before
        assert exists(server, "kept7") != IS_MONGO  # another database is another catalog
        time.sleep(1)
        assert relay.accepted - before <= 12, relay.accepted - before  # 7, monitor, start, ping


def run_rest(relay):
    """The REST scripts, each a test. Returns how many passed and failed."""
    spec = importlib.util.spec_from_file_location(
        "rest", os.path.join(os.path.dirname(HERE), "rest", "run.py"))
    rest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rest)
    passed = failed = 0
    with pangolin(relay) as server:
        values = {"warehouse": rest.find_warehouse(server)}
        for path in sorted(path for area in REST
                           for path in glob.glob(os.path.join(rest.HERE, area, "*.rest"))):
            failure = rest.run_script(path, server, 1, values)
            passed, failed = passed + (not failure), failed + bool(failure)
            if failure:
                print("FAIL  " + failure, flush=True)
        print("ok    %d scripts" % passed, flush=True)
    return passed, failed


def main():
    harness.build()
    parts = sys.argv[1:]
    relay = open_relay()
    passed, failed = (0, 0) if parts else run_rest(relay)
    for function in TESTS:
        if parts and not any(part in function.__name__ for part in parts):
            continue
        begin = time.monotonic()
        try:
            relay.set("up")
            function(relay)
            passed, word = passed + 1, "ok   "
        except Exception:  # a test may fail in any way
            traceback.print_exc(file=sys.stdout)
            failed, word = failed + 1, "FAIL "
        print("%s %s (%.1f s)" % (word, function.__name__, time.monotonic() - begin), flush=True)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
