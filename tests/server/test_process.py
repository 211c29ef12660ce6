"""The server as a process: how it refuses to start, stops, comes back, and what its socket does
when descriptors run out. Standard library only.

    python3 test_process.py PANGOLIN-SERVER
"""

import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.abspath(sys.argv[1])
PATIENCE_S = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"  # and empty SETTINGS
SETTINGS = 4

# As `pangolin up` sets it for the server: MongoDB's driver takes shared memory before main, under a
# name that a killed process of the same pid may have left.
PLAIN = {"PATH": "/usr/bin:/bin", "MONGOC_DISABLE_SHM": "1"}


class Server:
    """One process in a folder of its own, or in that of an earlier one."""

    def __init__(self, folder, *flags, files=None, environment=None):
        self.folder = folder
        limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
        names = {**PLAIN, "PANGOLIN_DATA_DIR": os.path.join(folder, "var"),
                 **(environment or {})}
        self.process = subprocess.Popen([PROGRAM, *flags], env=names, stderr=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, preexec_fn=limit)

    @property
    def path(self):
        return os.path.join(self.folder, "var", "run", "core.sock")

    def wait_ready(self):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if self.speaks():
                return self
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.01)
        raise AssertionError("not ready")

    def dial(self):
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(5)
        peer.connect(self.path)
        return peer

    def speaks(self):
        """Whether a new connection gets an HTTP/2 SETTINGS frame."""
        try:
            with self.dial() as peer:
                peer.sendall(PREFACE)
                head = peer.recv(9)
                return len(head) == 9 and head[3] == SETTINGS
        except OSError:
            return False

    def end(self, kind=signal.SIGTERM):
        self.process.send_signal(kind)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


def refused(folder, *flags, environment=None):
    """(exit status, what it said) of a server that does not start."""
    server = Server(folder, *flags, environment=environment)
    try:
        out, err = server.process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        server.process.kill()
        raise AssertionError("it started") from None
    return server.process.returncode, out, err


def test_refusals(folder):
    cases = [
        ((), {"PANGOLIN_ROOT_USER": "root", "PANGOLIN_ROOT_PASSWORD": "changeme"},
         "PANGOLIN_ROOT_PASSWORD is no password"),
        ((), {"PANGOLIN_ROOT_USER": "root"}, "must be set together"),
        (("--no-auth", "--prot", "1"), {}, 'unknown flag "--prot"'),
        (("--no-auth",), {"PANGOLIN_DATADIR": "x"}, 'did you mean "PANGOLIN_DATA_DIR"'),
        (("--no-auth", "--database-url", "mysql://user:canary@h/d"), {}, "of no known kind"),
        (("--no-auth", "--data-dir", "/proc/no"), {}, "could not make data folder"),
        (("--no-auth", "--socket", os.path.join(folder, "x" * 100)), {}, "longer than 107 bytes"),
        (("--no-auth", "--allowed-uids", "me"), {}, "is no user's number"),
        (("--no-auth", "--config", "/no/such"), {}, "could not open"),
    ]
    for flags, environment, part in cases:
        status, _, err = refused(folder, *flags, environment=environment)
        lines = [line for line in err.splitlines() if line.startswith("pangolin-server: cannot start")]
        assert status == 2, (flags, status, err)
        assert len(lines) == 1 and part in lines[0], (flags, err)
        assert "canary" not in err, err


def test_data_folders_that_cannot_be_used(folder):
    """Each with one line that says what is wrong with which folder."""
    a_file, newer, other = (os.path.join(folder, name) for name in ("file", "newer", "other"))
    open(a_file, "w").close()
    os.mkdir(other)
    with open(os.path.join(other, "pangolin.db"), "w") as text:
        text.write("the words of somebody who keeps a diary, more than a hundred bytes of them, "
                   "and no page of a database anywhere\n")
    first = Server(folder, "--no-auth", "--data-dir", newer)
    until = time.monotonic() + PATIENCE_S
    while not os.path.exists(os.path.join(newer, "run", "core.sock")):
        assert time.monotonic() < until and first.process.poll() is None, "it did not start"
        time.sleep(0.01)
    assert first.end()[0] == 0
    with sqlite3.connect(os.path.join(newer, "pangolin.db")) as store:
        store.execute("UPDATE meta SET value = 99 WHERE name = 'schema'")
    store.close()
    for path, part in [
        (a_file, '"%s" is not a folder but a file' % a_file),
        (os.path.join(a_file, "below"), "Not a directory"),
        (os.path.join(folder, "no", "such"), "No such file or directory"),
        (os.path.join(folder, "x" * 300), "File name too long"),
        (os.path.join(folder, *["x" * 99] * 60), "has a path of %d bytes, at most 4095"
         % len(os.path.join(folder, *["x" * 99] * 60))),
        (newer, "was written by a newer one"),
        (other, os.path.join(other, "pangolin.db")),
    ]:
        status, _, err = refused(folder, "--no-auth", "--data-dir", path)
        assert status == 2 and len(err.splitlines()) == 1 and part in err, (path[:99], status, err)


def test_a_folder_of_somebody_else(folder):
    """As nobody, who may enter and not write; a plain user takes that right from himself."""
    theirs = os.path.join(folder, "theirs")
    os.chmod(folder, 0o755)
    os.mkdir(theirs)
    os.chmod(theirs, 0o555)
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    program = shutil.copy(PROGRAM, os.path.join(folder, "program"))
    done = subprocess.run([program, "--no-auth", "--data-dir", theirs], text=True,
                          env=PLAIN, capture_output=True, timeout=PATIENCE_S,
                          **user)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done
    assert '"%s" is not writable for this user' % theirs in done.stderr, done.stderr


def test_version_and_help(folder):
    status, out, err = refused(folder, "--version")
    assert status == 0 and out.startswith("pangolin-server ") and err == "", (status, out, err)
    status, out, _ = refused(folder, "--help")
    assert status == 0 and "--data-dir (PANGOLIN_DATA_DIR)" in out and "--port" not in out, out


def test_one_server_per_folder(folder):
    first = Server(folder, "--no-auth").wait_ready()
    status, _, err = refused(folder, "--no-auth")
    assert status == 2 and "another server runs here" in err, (status, err)
    assert first.speaks()  # the second did not take its socket
    status, _, err = first.end()
    assert status == 0, (status, err)
    assert not os.path.exists(first.path)


def test_comes_back_after_kill(folder):
    for _ in range(3):
        server = Server(folder, "--no-auth").wait_ready()
        assert server.end(signal.SIGKILL)[0] == -signal.SIGKILL
        assert os.path.exists(server.path)  # nobody removed it
    server = Server(folder, "--no-auth").wait_ready()
    assert server.end(signal.SIGINT)[0] == 0


def test_hangup_is_survived(folder):
    server = Server(folder, "--no-auth").wait_ready()
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    assert server.speaks()
    assert server.end()[0] == 0


def test_serves_again_after_descriptors_ran_out(folder):
    server = Server(folder, "--no-auth", "--core-connections", "1000", files=64).wait_ready()
    for _ in range(2):
        peers, closed = [], 0
        for _ in range(200):
            try:
                peers.append(server.dial())
            except OSError:
                break
        for peer in peers:
            peer.settimeout(0.05)
            try:
                peer.sendall(PREFACE)
                closed += peer.recv(1) == b""
            except socket.timeout:
                pass
            except OSError:
                closed += 1
        assert len(peers) > 30 and closed > 0, (len(peers), closed)
        for peer in peers:
            peer.close()
        time.sleep(0.3)
        served = sum(server.speaks() for _ in range(20))
        assert served == 20, served
    assert server.end()[0] == 0


def test_junk_ends_only_its_own_connection(folder):
    server = Server(folder, "--no-auth").wait_ready()
    with server.dial() as good:
        good.sendall(PREFACE)
        assert good.recv(9)[3] == SETTINGS
        for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 4096, PREFACE[:10],
                     PREFACE + b"\xff\xff\xff\x01\x04\0\0\0\x01" + b"\xff" * 64):
            with server.dial() as bad:
                bad.sendall(junk)
        good.sendall(b"\0\0\x08\x06\0\0\0\0\0pingpong")
        seen = b""
        while b"pingpong" not in seen:
            got = good.recv(4096)
            assert got, "the connection ended"
            seen += got
    assert server.speaks()
    assert server.end()[0] == 0


def main():
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        folder = tempfile.mkdtemp(prefix="pang-process-")
        try:
            test(folder)
            passed += 1
        except Exception as why:  # every failure is told, and the next test runs
            failed += 1
            print("FAILED %s: %s: %s" % (name, type(why).__name__, why))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print("[  PASSED  ] %d test(s)." % passed)
    if failed:
        print("[  FAILED  ] %d test(s)." % failed)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
