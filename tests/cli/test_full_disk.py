"""The whole catalog on a disk that fills up: writes are refused as what they are, reads go on, a
server that is killed meanwhile comes back, and all of it works again by itself when there is room.
The disk is tests/fault/full_disk.c, so that no mount is needed. Standard library only.

    python3 test_full_disk.py PANGOLIN FULL_DISK.so
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROUNDS = 3
PATIENCE_S = 20
BACK_S = 6  # the supervisor waits for up to 5 s between starts
SCHEMA = {"type": "struct", "fields": [{"id": 1, "name": "id", "required": True, "type": "long"}]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Catalog:
    """`pangolin up` in a folder of its own."""

    def __init__(self, program, shim):
        self.folder = tempfile.mkdtemp(prefix="pang-full-")
        self.flag = os.path.join(self.folder, "full")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.port = free_port()
        names = {"PATH": "/usr/bin:/bin", "PORT": str(self.port), "LD_PRELOAD": shim,
                 "PANG_TEST_FULL_DISK": self.flag,
                 "PANGOLIN_DATA_DIR": os.path.join(self.folder, "var")}
        self.process = subprocess.Popen([program, "up"], env=names, stdout=subprocess.PIPE,
                                        stderr=self.log)

    def set_full(self, full):
        if full:
            open(self.flag, "w").close()
        else:
            os.unlink(self.flag)

    def ask(self, verb, path, body=None):
        """(status, document); status 0 when there was no answer."""
        request = urllib.request.Request(
            "http://127.0.0.1:%d%s" % (self.port, path), method=verb,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
        except OSError:
            return 0, None

    def create(self, name):
        return self.ask("POST", "/v1/demo/namespaces/ns/tables", {"name": name, "schema": SCHEMA})

    def has(self, name):
        status, _ = self.ask("GET", "/v1/demo/namespaces/ns/tables/" + name)
        assert status in (200, 404), (name, status)
        return status == 200

    def wait_ready(self, seconds):
        begin = time.monotonic()
        while self.ask("GET", "/health/ready")[0] != 200:
            assert self.process.poll() is None, "it ended: " + self.said()
            assert time.monotonic() - begin < seconds, "not ready: " + self.said()
            time.sleep(0.02)
        return time.monotonic() - begin

    def server_pid(self):
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as children:
            for pid in children.read().split():
                with open("/proc/%s/comm" % pid) as name:
                    if name.read().strip() == "pangolin-server":
                        return int(pid)
        return None

    def said(self):
        self.log.flush()
        with open(self.log.name) as log:
            return log.read()[-2000:]

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        self.log.close()
        shutil.rmtree(self.folder)
        return status


def refuse_while_full(catalog, prefix):
    """The names that were tried; each must be refused as what it is, and nothing else suffers."""
    names = ["%s%d" % (prefix, i) for i in range(10)]
    for name in names:
        status, answer = catalog.create(name)
        assert status == 507, (status, answer)
        assert answer["error"]["type"] == "InsufficientStorage", answer
    assert catalog.ask("GET", "/health/ready")[0] == 200, catalog.said()
    return names


def test_room_comes_and_goes(program, shim):
    catalog = Catalog(program, shim)
    catalog.wait_ready(PATIENCE_S)
    assert catalog.ask("POST", "/v1/demo/namespaces", {"namespace": ["ns"]})[0] == 200
    there, refused = [], []
    for turn in range(ROUNDS):
        kept = ["r%d_%d" % (turn, i) for i in range(5)]
        for name in kept:
            assert catalog.create(name)[0] == 200
        there += kept
        catalog.set_full(True)
        refused += refuse_while_full(catalog, "full%d_" % turn)
        assert all(catalog.has(name) for name in there)
        if turn > 0:  # killed while the disk is full, and left so for a while
            before = catalog.server_pid()
            os.kill(before, signal.SIGKILL)
            time.sleep(1)
        catalog.set_full(False)
        waited = catalog.wait_ready(BACK_S)
        status, answer = catalog.create("back%d" % turn)
        assert status == 200, (status, answer, catalog.said())
        there.append("back%d" % turn)
        print("round %d: back after %.1f s" % (turn, waited))
        assert turn == 0 or catalog.server_pid() not in (None, before)
    assert all(catalog.has(name) for name in there)
    assert not any(catalog.has(name) for name in refused)
    assert catalog.close() == 0


def main():
    tests = [value for name, value in sorted(globals().items()) if name.startswith("test_")]
    for test in tests:
        test(*map(os.path.abspath, sys.argv[1:3]))
        print("ok %s" % test.__name__)
    print("[  PASSED  ] %d test(s)." % len(tests))


if __name__ == "__main__":
    main()
