"""`pangolin audit verify` on a store that an earlier version wrote: whole, sealed by today's server, and changed
behind its back, row by row. Standard library only.

    python3 test_audit.py PANGOLIN PANGOLIN-SERVER GOLDEN-STORE
"""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time

PANGOLIN, SERVER, GOLDEN = (os.path.abspath(path) for path in sys.argv[1:4])
PATIENCE_S = 20
TENANT = "00000000-0000-0000-0000-000000000000"
SCOPE = TENANT.replace("-", "")


class Store:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pang-audit-")
        with tarfile.open(GOLDEN) as tar:
            tar.extractall(self.folder)
        self.data = os.path.join(self.folder, "var")
        self.environment = {"PATH": "/usr/bin:/bin", "PANGOLIN_DATA_DIR": self.data}

    def verify(self, *flags, **environment):
        run = subprocess.run([PANGOLIN, "audit", "verify", *flags], stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.PIPE, env={**self.environment, **environment}, timeout=60)
        return run.returncode, run.stdout, run.stderr

    def sql(self, text, *values):
        with sqlite3.connect(os.path.join(self.data, "pangolin.db")) as db:
            rows = db.execute(text, values).fetchall()
        db.close()
        return rows

    def rows(self):
        """Keys of audit rows, in order."""
        return [row[0] for row in self.sql("SELECT key FROM records WHERE key >= ? AND key < ? ORDER BY key",
                                           (SCOPE + "/au/").encode(), (SCOPE + "/au0").encode())]

    def seal(self):
        """A server runs until everything is sealed."""
        server = subprocess.Popen([SERVER, "--no-auth"], env=self.environment, stderr=subprocess.PIPE)
        until = time.monotonic() + PATIENCE_S
        while not os.path.exists(os.path.join(self.data, "run", "core.sock")):
            assert server.poll() is None and time.monotonic() < until, server.stderr.read()
            time.sleep(0.05)
        time.sleep(0.2)
        status, _, said = self.verify()
        assert status == 2 and said.count("\n") == 1, (status, said)  # a server has it
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE_S)
        assert server.returncode == 0, server.returncode

    def close(self):
        shutil.rmtree(self.folder)


def fields(line):
    return dict(part.split("=", 1) for part in line.split() if "=" in part)


def main():
    store = Store()
    try:
        before = os.path.join(store.folder, "nowhere")
        status, out, said = store.verify(PANGOLIN_DATA_DIR=before)
        assert status == 2 and out == "" and "nowhere" in said, (status, out, said)
        assert not os.path.exists(before)
        for flags in (["--tenant", "acme"], ["--expect", "1:zz"], ["--no-such-flag"]):
            assert store.verify(*flags)[0] == 2, flags

        count = len(store.rows())
        assert count > 10
        status, out, said = store.verify()
        assert (status, said) == (0, ""), (status, out, said)
        old = fields(out.splitlines()[0])
        assert old["tenant"] == TENANT and int(old["rows"]) == count and old["sealed"] == "0", out

        store.seal()
        status, out, said = store.verify("--tenant", TENANT)
        assert (status, said) == (0, ""), (status, out, said)
        new = fields(out)
        assert int(new["sealed"]) == count and new["rows"] == new["sealed"], out
        assert re.fullmatch("[0-9a-f]{64}", new["hash"]), out
        anchor = new["seals"] + ":" + new["hash"]
        assert store.verify("--tenant", TENANT, "--expect", anchor)[0] == 0
        wrong = new["seals"] + ":" + "0" * 64
        assert store.verify("--tenant", TENANT, "--expect", wrong)[0] == 1
        assert store.verify("--tenant=" + TENANT, "--expect=9999:" + new["hash"])[0] == 1

        keys = store.rows()
        victim, other = keys[4], keys[7]
        body = store.sql("SELECT body FROM records WHERE key = ?", victim)[0][0]
        altered = body.replace(b"anonymous", b"anonymouz")
        assert altered != body
        for changed, what in ((altered, "not what was written"),
                              (store.sql("SELECT body FROM records WHERE key = ?", other)[0][0],
                               "another than was sealed")):
            store.sql("UPDATE records SET body = ? WHERE key = ?", changed, victim)
            status, out, _ = store.verify()
            assert status == 1 and "number=5 " in out and what in out, out
            server = fields(out)["server"].replace("-", "")
            assert server.encode() == victim.split(b"/")[2], out
        store.sql("UPDATE records SET body = ? WHERE key = ?", body, victim)
        assert store.verify()[0] == 0
        store.sql("DELETE FROM records WHERE key = ?", keys[-1])
        status, out, _ = store.verify()
        assert status == 1 and "number=%d " % count in out and "gone" in out, out
    finally:
        store.close()
    print("PASSED")


if __name__ == "__main__":
    main()
