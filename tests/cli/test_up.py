"""The supervisor with stand-ins for server and bridge: readiness, restart, order of stopping.

    python3 test_up.py PANGOLIN
"""

import fcntl
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time

STAND_IN = """#!/usr/bin/env python3
import http.server, os, signal, socket, socketserver, sys, time
name, log = os.path.basename(sys.argv[0]), os.environ["TEST_LOG"]
def say(word):
    with open(log, "a") as out:
        out.write("%s %s %d\\n" % (name, word, os.getpid()))
if os.environ.get("TEST_REFUSE") == name:
    time.sleep(0.5)
    print(name + ": no", file=sys.stderr)
    sys.exit(2)
def end(*_):
    time.sleep(0.2)
    say("stop")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGHUP, lambda *_: say("reload"))
if name == "pangolin-server":
    core = os.environ["PANGOLIN_DATA_DIR"] + "/run/core.sock"
    os.makedirs(os.path.dirname(core), exist_ok=True)
    if os.path.exists(core):
        os.unlink(core)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(core)
    listener.listen(1024)
say("start")
if name == "pangolin-bridge":
    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        def do_GET(self):
            self.send_response(200 if "pangolin-server start" in open(log).read() else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = True
        def log_message(self, *_):
            pass
    socketserver.TCPServer.allow_reuse_address = True
    socketserver.TCPServer(("127.0.0.1", int(os.environ["PORT"] or os.environ["TEST_PORT"])), Answer).serve_forever()
while True:
    signal.pause()
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Bench:
    """A folder with the program and its stand-ins, and one run of it."""

    def __init__(self, program, before=None, **extra):
        self.folder = tempfile.mkdtemp(prefix="pang-up-")
        shutil.copy(program, os.path.join(self.folder, "pangolin"))
        for name in ("pangolin-server", "pangolin-bridge"):
            path = os.path.join(self.folder, name)
            with open(path, "w", encoding="utf-8") as out:
                out.write(STAND_IN)
            os.chmod(path, 0o755)
        self.log = os.path.join(self.folder, "log")
        environment = dict(os.environ, PORT=str(free_port()), TEST_LOG=self.log,
                           PANGOLIN_DATA_DIR=os.path.join(self.folder, "var"))
        environment.update(extra)
        self.process = subprocess.Popen([os.path.join(self.folder, "pangolin"), "up"],
                                        env=environment, preexec_fn=before, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def words(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as lines:
            return [line.split() for line in lines]

    def wait_for(self, name, word, times=1):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            found = [w for w in self.words() if w[:2] == [name, word]]
            if len(found) >= times:
                return int(found[-1][2])
            time.sleep(0.02)
        raise AssertionError("%s did not %s %d times: %s" % (name, word, times, self.words()))

    def wait_ready(self):
        text = ""
        while "Ctrl-C" not in text:
            line = self.process.stdout.readline()
            assert line, "ended before it was ready: " + self.process.stderr.read()
            text += line
        return text

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def test_prints_how_to_use_it_and_stops_in_order(program):
    bench = Bench(program)
    text = bench.wait_ready()
    assert "ready in " in text and "NO AUTHENTICATION" in text and 'warehouse="demo"' in text, text
    bench.process.send_signal(signal.SIGINT)
    assert bench.process.wait(20) == 0
    stops = [w[0] for w in bench.words() if w[1] == "stop"]
    assert stops == ["pangolin-bridge", "pangolin-server"], bench.words()
    bench.close()


def test_says_how_callers_sign_in(program):
    for settings in ({"PANGOLIN_NO_AUTH": "false"}, {"PANGOLIN_NO_AUTH": "no"}, {"file": "no-auth = false"},
                     {"file": "# nothing said"}):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            extra = dict(settings)
            if "file" in extra:
                file.write(extra.pop("file") + "\n")
                file.flush()
                extra["PANGOLIN_CONFIG"] = file.name
            bench = Bench(program, **extra)
            text = bench.wait_ready()
            assert "NO AUTHENTICATION" not in text and '"demo"' not in text, (settings, text)
            assert "Callers sign in" in text and "credential=" in text, (settings, text)
            bench.process.send_signal(signal.SIGINT)
            assert bench.process.wait(20) == 0
            bench.close()


def test_a_file_says_where(program):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "pangolin.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("port = %d\nno-auth = yes\ndata-dir = %s/data\n" % (port, folder))
        bench = Bench(program, PANGOLIN_CONFIG=path, PORT="", PANGOLIN_DATA_DIR="", TEST_PORT=str(port))
        text = bench.wait_ready()
        assert "http://127.0.0.1:%d" % port in text and folder + "/data" in text, text
        assert "NO AUTHENTICATION" in text, text
        bench.process.send_signal(signal.SIGINT)
        assert bench.process.wait(20) == 0
        bench.close()


def test_behind_tls_it_gets_ready(program):
    bench = Bench(program, PANGOLIN_TLS_CERT="cert.pem", PANGOLIN_TLS_KEY="key.pem")
    assert 'uri="https://127.0.0.1:' in bench.wait_ready()
    bench.process.send_signal(signal.SIGINT)
    assert bench.process.wait(20) == 0
    bench.close()


def test_another_server_in_the_folder_is_not_taken_for_its_own(program):
    first = Bench(program)
    first.wait_ready()
    second = Bench(program, PANGOLIN_DATA_DIR=os.path.join(first.folder, "var"), TEST_LOG=first.log,
                   TEST_REFUSE="pangolin-server")
    assert second.process.wait(20) == 2
    assert "ready in" not in second.process.stdout.read()
    second.close()
    first.close()


def test_restarts_what_dies(program):
    bench = Bench(program)
    bench.wait_ready()
    first = bench.wait_for("pangolin-server", "start")
    os.kill(first, signal.SIGKILL)
    second = bench.wait_for("pangolin-server", "start", 2)
    assert first != second
    os.kill(second, signal.SIGKILL)
    bench.wait_for("pangolin-server", "start", 3)
    bench.process.send_signal(signal.SIGTERM)
    assert bench.process.wait(20) == 0
    assert "was killed by signal 9; it starts again" in bench.process.stderr.read()
    bench.close()


def test_a_refusal_ends_everything_with_2(program):
    bench = Bench(program, TEST_REFUSE="pangolin-server")
    assert bench.process.wait(20) == 2
    assert "pangolin-server: no" in bench.process.stderr.read()
    bench.close()


def test_passes_a_reload_on(program):
    bench = Bench(program)
    bench.wait_ready()
    bench.process.send_signal(signal.SIGHUP)
    bench.wait_for("pangolin-server", "reload")
    bench.wait_for("pangolin-bridge", "reload")
    bench.process.send_signal(signal.SIGTERM)
    assert bench.process.wait(20) == 0
    bench.close()


def in_terminal(program, nohup):
    """A run whose terminal is its own; and the terminal, which goes when it is closed."""
    terminal, inner = pty.openpty()

    def enter():
        os.setsid()
        fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
        if nohup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    bench = Bench(program, before=enter)
    os.close(inner)
    bench.wait_ready()
    return bench, terminal


def test_stops_when_its_terminal_is_gone(program):
    bench, terminal = in_terminal(program, nohup=False)
    bench.process.send_signal(signal.SIGHUP)  # the terminal is there: a reload
    bench.wait_for("pangolin-bridge", "reload")
    assert bench.process.poll() is None
    os.close(terminal)
    assert bench.process.wait(20) == 0
    stops = [w[0] for w in bench.words() if w[1] == "stop"]
    assert stops == ["pangolin-bridge", "pangolin-server"], bench.words()
    bench.close()


def test_goes_on_under_nohup(program):
    bench, terminal = in_terminal(program, nohup=True)
    os.close(terminal)
    bench.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert bench.process.poll() is None and not [w for w in bench.words() if w[1] == "stop"], bench.words()
    bench.process.send_signal(signal.SIGTERM)
    assert bench.process.wait(20) == 0
    bench.close()


def test_says_which_store(program):
    secret = "canary"
    for settings, said in (
            ({"DATABASE_URL": "memory:"}, "all of it is gone"),
            ({"PANGOLIN_STORAGE_TYPE": "memory"}, "all of it is gone"),
            ({"DATABASE_URL": ""}, "/var/pangolin.db\n"),
            ({"DATABASE_URL": "/x/y.db"}, "store     /x/y.db\n"),
            ({"DATABASE_URL": "postgres://me:canary@db.example/p?password=canary"}, "postgres://db.example/p\n"),
            ({"DATABASE_URL": "mongodb://me:can@ary/canary@a,b:1/p"}, "mongodb://a,b:1/p\n"),
            ({"DATABASE_URL": "postgres:///p?password=a@canary"}, "store     postgres://\n")):
        bench = Bench(program, **settings)
        text = bench.wait_ready()
        assert said in text and secret not in text, (settings, text)
        bench.process.send_signal(signal.SIGTERM)
        assert bench.process.wait(20) == 0
        bench.close()


def test_what_it_cannot_take_is_named(program):
    with tempfile.TemporaryDirectory() as folder:
        for arguments, data, said in (
                (["--port", "5"], "", '--port: up takes no arguments'),
                ([], folder + "/no/var", 'could not make the data folder "%s/no/var" (PANGOLIN_DATA_DIR): the folder above'
                                         % folder)):
            bench = Bench(program)
            bench.process.kill()
            run = subprocess.run([os.path.join(bench.folder, "pangolin"), "up", *arguments], text=True, check=False,
                                 env=dict(os.environ, PANGOLIN_DATA_DIR=data), capture_output=True)
            assert run.returncode == 2 and said in run.stderr and run.stderr.count("\n") == 1, run
            bench.close()


def test_children_end_with_a_killed_supervisor(program):
    bench = Bench(program)
    bench.wait_ready()
    bench.process.kill()
    bench.wait_for("pangolin-server", "stop")
    bench.wait_for("pangolin-bridge", "stop")
    bench.close()


def test_a_bad_port_is_refused(program):
    run = subprocess.run([program, "up"], env=dict(os.environ, PORT="80 80"), text=True,
                         capture_output=True, check=False)
    assert run.returncode == 2, run
    assert "PORT" in run.stderr or "not found" in run.stderr, run


def main():
    tests = [value for name, value in sorted(globals().items()) if name.startswith("test_")]
    for test in tests:
        test(sys.argv[1])
        print("ok %s" % test.__name__)
    print("[  PASSED  ] %d test(s)." % len(tests))


if __name__ == "__main__":
    main()
