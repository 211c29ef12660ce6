"""`pangolin gc` on a store that a server left: a dry run names what a run removes, and nothing else goes. Standard
library only.

    python3 test_gc.py PANGOLIN
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
import urllib.request

PANGOLIN = os.path.abspath(sys.argv[1])
PATIENCE_S = 30
DAYS_AGO = time.time() - 3 * 86400
TABLE = {"name": "t", "schema": {"type": "struct", "fields": [
    {"id": 1, "name": "id", "required": False, "type": "long"}]}}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def post(port, path, body):
    request = urllib.request.Request("http://127.0.0.1:%d%s" % (port, path), json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        return json.load(reply)


def wait_for(port, up):
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return post(port, "/v1/demo/namespaces", {"namespace": ["n"]})
        except OSError:
            assert up.poll() is None and time.monotonic() < until, "no server"
            time.sleep(0.1)


def old_file(*path):
    name = os.path.join(*path)
    with open(name, "w") as f:
        f.write("x")
    os.utime(name, (DAYS_AGO, DAYS_AGO))
    return name


def main():
    folder = tempfile.mkdtemp(prefix="pang-gc-")
    data = os.path.join(folder, "var")
    port = free_port()
    environment = {"PATH": "/usr/bin:/bin", "PANGOLIN_DATA_DIR": data, "PORT": str(port)}

    def gc(*flags):
        run = subprocess.run([PANGOLIN, "gc", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=environment, timeout=PATIENCE_S)
        return run.returncode, run.stdout, run.stderr

    up = subprocess.Popen([PANGOLIN, "up"], env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, up)
        metadata = post(port, "/v1/demo/namespaces/n/tables", TABLE)["metadata-location"][len("file://"):]
        status, _, said = gc()
        assert status == 2 and said.count("\n") == 1, (status, said)  # a server has the store
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(PATIENCE_S)
    place = os.path.dirname(os.path.dirname(metadata))
    os.utime(metadata, (DAYS_AGO, DAYS_AGO))
    orphan, beside = old_file(place, "data", "orphan"), old_file(os.path.dirname(place), "beside")

    status, said, _ = gc("--dry-run")
    assert status == 0 and said.startswith("WOULD REMOVE file://%s bytes=1\nOK " % orphan), said
    assert "removed=1 " in said and os.path.exists(orphan)
    for data_dir, flags in (("", ()), ("./var", ()), ("", ("--data-dir", "var"))):  # relative, as `up` takes them
        run = subprocess.run([PANGOLIN, "gc", "--dry-run", *flags], stdout=subprocess.PIPE, text=True, cwd=folder,
                             env=dict(environment, PANGOLIN_DATA_DIR=data_dir), timeout=PATIENCE_S)
        assert (run.returncode, run.stdout) == (0, said), (data_dir, flags, run)
    status, said, _ = gc("--grace", "96")
    assert status == 0 and "removed=0 " in said, said
    for flags in (("--grace", "0"), ("--grace", "x"), ("--tenant", "x"), ("--catalog", "none")):
        status, said, complaint = gc(*flags)
        assert status == 2 and said == "" and complaint, (flags, status, said)
    status, said, _ = gc("--catalog=demo")
    assert status == 0 and "catalog=demo " in said and "removed=1 " in said, said
    assert not os.path.exists(orphan) and os.path.exists(metadata) and os.path.exists(beside)
    shutil.rmtree(folder)


main()
