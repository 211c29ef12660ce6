"""Starts real processes for tests: server, bridge and their supervisor, on a free loopback port
and in a fresh data folder, and stops them whatever happens. Standard library only.

    with Pangolin("rest") as pangolin:
        urllib.request.urlopen(pangolin.uri + "/v1/config?warehouse=demo")

PANG_PROGRAM names another `pangolin` than Bazel's; PANG_CONFIG names configurations to build with
("san", "tsan"), and then what sanitizers say in the processes' log is a failure. The log of
all three processes is in .cache/log/NAME.processes.log.
"""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache")
START_S = 20
STOP_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bazel(command, *arguments):
    """Runs Bazel with the configurations asked for; returns its output."""
    startup = os.environ.get("PANG_BAZEL_STARTUP", "").split()
    configs = ["--config=" + name for name in os.environ.get("PANG_CONFIG", "").split()]
    return subprocess.run(["bazel", *startup, command, *configs, *arguments], cwd=ROOT, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout


def program():
    """The path of `pangolin`."""
    if "PANG_PROGRAM" not in os.environ:
        os.environ["PANG_PROGRAM"] = os.path.join(bazel("info", "bazel-bin").strip(), "cli",
                                                  "pangolin")
    return os.environ["PANG_PROGRAM"]


def build():
    """Builds what the tests start, unless PANG_PROGRAM says that it is there."""
    if "PANG_PROGRAM" not in os.environ:
        bazel("build", "//server:pangolin-server", "//bridge:pangolin-bridge", "//cli:pangolin",
              "//tests/server:manifest_tool")


# What a sanitizer's report begins with.
FINDING = re.compile(r"^.*(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*$", re.M)
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:exitcode=99",
}


def children(pid):
    """{name of the program: pid} of the direct children of a process."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry, encoding="utf-8") as stat:
                name, rest = stat.read().rsplit(")", 1)
            with open("/proc/%s/cmdline" % entry, "rb") as line:
                command = line.read().split(b"\0")[0].decode()
        except OSError:
            continue  # it has just gone
        if int(rest.split()[1]) == pid and rest.split()[0] != "Z":
            found[os.path.basename(command) or name.split("(", 1)[1]] = int(entry)
    return found


class Pangolin:
    """Server, bridge and supervisor. `data` (kept) continues an earlier one's folder; `prefix` is a
    command that starts the supervisor in its place (taskset)."""

    def __init__(self, name, environment=None, data=None, prefix=()):
        self.name, self.prefix = name, list(prefix)
        self.port = free_port()
        self.uri = "http://127.0.0.1:%d" % self.port
        self.temporary = None if data else tempfile.mkdtemp(prefix="pang-%s-" % name)
        self.data = data or os.path.join(self.temporary, "var")
        self.environment = environment or {}
        self.process = None
        self.ready_ms = None
        self.log_begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0

    @property
    def log(self):
        return os.path.join(CACHE, "log", self.name + ".processes.log")

    def findings(self):
        """What sanitizers reported since this object was made."""
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(self.log_begin)
            return [match.group(0) for match in FINDING.finditer(log.read())]

    @property
    def socket(self):
        return os.path.join(self.data, "run", "core.sock")

    def start(self):
        os.makedirs(os.path.join(CACHE, "log"), exist_ok=True)
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("DATABASE_URL", "PORT", "PANGOLIN_DATA_DIR")}
        if os.environ.get("PANG_CONFIG"):
            environment.update(SANITIZERS)
        environment.update(PORT=str(self.port), PANGOLIN_DATA_DIR=self.data)
        environment.update(self.environment)
        path = self.log
        begin = time.monotonic()
        with open(path, "ab") as log:
            self.process = subprocess.Popen([*self.prefix, program(), "up"], env=environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        try:
            self.wait_ready()
        except Exception:
            self.stop()
            with open(path, encoding="utf-8", errors="replace") as log:
                sys.stderr.write("".join(log.readlines()[-40:]))
            raise
        self.ready_ms = (time.monotonic() - begin) * 1000
        return self

    def wait_ready(self, patience=START_S):
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError("pangolin up exited with %s" % self.process.returncode)
            if self.status("/health/ready") == 200:
                return
            time.sleep(0.002)
        raise RuntimeError("pangolin up is not ready after %d s" % patience)

    def status(self, path):
        """The status of a GET, or None when there is no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        except http.client.HTTPException:
            return None
        finally:
            connection.close()

    def pid(self, part):
        """Of "server" or "bridge"; None while it is not there."""
        return children(self.process.pid).get("pangolin-" + part)

    def kill(self, part, kind=signal.SIGKILL):
        """Sends a signal to one of the two; returns the pid it had, or None."""
        pid = self.pid(part)
        if pid is not None:
            try:
                os.kill(pid, kind)
            except ProcessLookupError:
                return None
        return pid

    def stop(self):
        """Stops as Ctrl-C does; returns the supervisor's exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.process.wait()

    def close(self):
        self.stop()
        if self.temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except Exception:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()


def open_files(pid):
    """How many descriptors a process has open."""
    return len(os.listdir("/proc/%d/fd" % pid))


def resident_bytes(pid):
    with open("/proc/%d/status" % pid, encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024
