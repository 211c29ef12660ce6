"""Measures the real processes and writes a dated report to bench/reports/. Standard library only.

    run.py [--quick] [SCENARIO...]      all by default; a wrong name is answered with the list

Server, bridge and supervisor run on core 0, the load generator on core 1. Throughput comes from a
closed loop of 64 connections, latency from an open loop (http_load.c says why). CPU per request is
what the kernel charged the two processes. --quick takes shorter runs and fewer tables: a check that
the bench works, not a measurement.
"""

import atexit
import datetime
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "matrix"))
import harness  # noqa: E402
from world import ENVIRONMENT, World, bearer  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = "--quick" in sys.argv
SECONDS = 3 if QUICK else 10
TABLES = 2_000 if QUICK else 100_000
WARM_SECONDS = 5 if QUICK else 40
STARTS = 3 if QUICK else 10
CONNECTIONS = 64
HOT_TABLES = 8
COMMIT_TABLES = 64
SLOW_SYNC_MS = 2  # an ordinary disk without a cache that outlives power
# By default a table's document lists the last hundred, and grows from 8 KiB to 25 KiB by that.
STAYS_SMALL = {"write.metadata.previous-versions-max": "1"}
MANY_CONNECTIONS = 1000
ROUNDS = 1 if QUICK else 5
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ONE_CORE = ["taskset", "-c", "0"] if (os.cpu_count() or 1) > 1 else []
OTHER_CORE = ["taskset", "-c", "1"] if (os.cpu_count() or 1) > 1 else []


class Pangolin(harness.Pangolin):
    """Keeps its folder until the bench ends: ext4 makes new files slowly for minutes after many have
    been removed, and the next scenario would pay for it."""

    def close(self):
        self.stop()
        if self.temporary:
            atexit.register(shutil.rmtree, self.temporary, ignore_errors=True)


# --- the tools ------------------------------------------------------------------------------------


def built(*parts):
    """A program of the build tree that `pangolin` is from."""
    return os.path.join(os.path.dirname(os.path.dirname(harness.program())), *parts)


def tool(name):
    return built("bench", name)


def build():
    harness.build()
    if "PANG_PROGRAM" not in os.environ:
        harness.bazel("build", "//bench/...")


def http_load(port, targets, **options):
    arguments = ["--port", str(port)]
    own = options.pop("own", False)
    cores = options.pop("cores", OTHER_CORE)
    options.setdefault("connections", CONNECTIONS)
    options.setdefault("seconds", SECONDS)
    for name, value in options.items():
        arguments += ["--" + name, str(value)]
    done = subprocess.run([*cores, tool("http_load"), *arguments, *(["--own"] if own else [])],
                          input="\n".join(targets) + "\n", stdout=subprocess.PIPE, text=True,
                          timeout=options["seconds"] + 60, check=True)
    return json.loads(done.stdout)


def grpc_load(path, method, messages, **options):
    options.setdefault("connections", 2)
    options.setdefault("streams", 32)
    options.setdefault("seconds", SECONDS)
    arguments = ["--socket", path, "--method", method]
    for name, value in options.items():
        arguments += ["--" + name, str(value)]
    done = subprocess.run([*OTHER_CORE, tool("grpc_load"), *arguments, *messages],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          timeout=options["seconds"] + 60, check=True)
    return json.loads(done.stdout)


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


class Meter:
    """CPU seconds of processes by name while a block runs."""

    def __init__(self, **pids):
        self.pids = pids

    def __enter__(self):
        self.before = {name: cpu_seconds(pid) for name, pid in self.pids.items()}
        return self

    def __exit__(self, *_):
        self.used = {name: cpu_seconds(pid) - self.before[name]
                     for name, pid in self.pids.items()}

    def per_request(self, count):
        return " + ".join("%s %.1f" % (name, 1e6 * used / max(1, count))
                          for name, used in self.used.items())


def call(server, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.uri + path, data, method=method,
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        text = reply.read()
    return json.loads(text) if text else None


def schema(columns=56):
    """About 8 KiB as table metadata."""
    return {"type": "struct", "fields": [
        {"id": n + 1, "name": "column_%02d" % n, "required": False,
         "type": ("long", "string", "double", "timestamptz")[n % 4],
         "doc": "what is kept in column %d, in a few words that people read" % n}
        for n in range(columns)]}


def make_tables(server, space, count, properties=None):
    call(server, "POST", "/v1/demo/namespaces", {"namespace": [space]})
    base = "/v1/demo/namespaces/%s/tables" % space
    for n in range(count):
        call(server, "POST", base, {"name": "t%d" % n, "schema": schema(),
                                   "properties": properties or {}})
    return [base + "/t%d" % n for n in range(count)]


def field(number, value):
    """A string or bytes field of a protobuf message."""
    data = value.encode() if isinstance(value, str) else value
    size, length = len(data), b""
    while True:
        byte, size = size & 0x7F, size >> 7
        length += bytes([byte | (0x80 if size else 0)])
        if not size:
            return bytes([number << 3 | 2]) + length + data


def load_table_message(space, table):
    return field(1, "demo") + field(2, space) + field(3, table)


def files_of(folder, contents):
    paths = []
    for n, content in enumerate(contents):
        paths.append(os.path.join(folder, "message-%d" % n))
        with open(paths[-1], "wb") as out:
            out.write(content)
    return paths


# --- the report -----------------------------------------------------------------------------------


class Report:
    def __init__(self):
        self.lines = []

    def head(self, text):
        self.lines += ["", "## " + text, "", "| what | measured | goal |", "|---|---|---|"]
        print("\n" + text, flush=True)

    def row(self, what, measured, goal=""):
        self.lines.append("| %s | %s | %s |" % (what, measured, goal))
        print("  %-58s %s%s" % (what, measured, "   (goal: %s)" % goal if goal else ""), flush=True)

    def write(self):
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=harness.ROOT,
                                stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
        now = datetime.datetime.now(datetime.timezone.utc)
        title = ["# Bench of %s at %s%s" % (now.strftime("%Y-%m-%d %H:%M UTC"), commit,
                                           " (quick: no measurement)" if QUICK else ""), "",
                 "%d cores, %s, Linux %s. Server and bridge share one core, the generator has the "
                 "other." % (os.cpu_count(), cpu_model(), platform.release())]
        path = os.path.join(HERE, "reports", "%s-%s%s.md" % (
            now.strftime("%Y-%m-%d"), commit, "-quick" if QUICK else ""))
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(title + self.lines) + "\n")
        print("\nwritten: " + os.path.relpath(path, harness.ROOT))


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def latency(part):
    return "p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms" % (
        part["p50_us"] / 1e3, part["p99_us"] / 1e3, part["p999_us"] / 1e3)


def rate(result):
    bad = result.get("errors", 0) + result.get("status", {}).get("5xx", 0) + \
        result.get("status", {}).get("4xx", 0)
    return "%s/s%s" % (format(int(result["rate"]), ","), ", %d FAILED" % bad if bad else "")


# --- scenarios ------------------------------------------------------------------------------------


def start(report):
    times, again = [], []
    for _ in range(STARTS):
        server = Pangolin("bench-start")
        try:
            server.start()
            times.append(server.ready_ms)
            server.stop()
            server.start()
            again.append(server.ready_ms)
        finally:
            server.close()
    report.head("Start to the first 200")
    report.row("empty folder, median of %d" % STARTS, "%.0f ms" % statistics.median(times),
               "< 150 ms")
    report.row("existing folder", "%.0f ms" % statistics.median(again), "< 150 ms")


def resident(server):
    return {part: harness.resident_bytes(server.pid(part)) / 2 ** 20
            for part in ("server", "bridge")}


def memory(report):
    report.head("Resident memory, both processes")
    with Pangolin("bench-memory") as server:
        time.sleep(1)
        idle = resident(server)
        report.row("idle", "%.1f MiB (%s)" % (sum(idle.values()), shares(idle)), "< 48 MiB")
        targets = make_tables(server, "memory", HOT_TABLES)
        sockets = [socket.create_connection(("127.0.0.1", server.port), timeout=10)
                   for _ in range(MANY_CONNECTIONS)]
        request = ("GET %s HTTP/1.1\r\nHost: bench\r\n\r\n" % targets[0]).encode()
        answered = 0
        for one in sockets:
            one.sendall(request)
            answered += one.recv(12).startswith(b"HTTP/1.1 200")
        used = resident(server)
        report.row("%d connections, each after a load (%d answered)" %
                   (MANY_CONNECTIONS, answered),
                   "%.1f MiB (%s)" % (sum(used.values()), shares(used)), "< 256 MiB")
        for one in sockets:
            one.close()


def shares(parts):
    return ", ".join("%s %.1f" % part for part in parts.items())


def layers(report):
    """The same reply through each layer: what each costs is the difference."""
    report.head("Layers: 8 KiB loadTable, %d connections, closed loop" % CONNECTIONS)
    with tempfile.TemporaryDirectory(prefix="pang-bench-") as folder, \
            Pangolin("bench-layers", prefix=ONE_CORE) as server:
        targets = make_tables(server, "layers", HOT_TABLES)
        raw = urllib.request.urlopen(server.uri + targets[0], timeout=60)
        text = raw.read()
        report.row("size of the reply", "%d bytes" % len(text))
        pids = {"server": server.pid("server"), "bridge": server.pid("bridge")}
        with Meter(**pids) as meter:
            result = http_load(server.port, targets)
        report.row("REST through bridge and core", layer(result, meter))
        messages = files_of(folder, [load_table_message("layers", "t%d" % n)
                                     for n in range(HOT_TABLES)])
        with Meter(server=pids["server"]) as meter:
            result = grpc_load(server.socket, "/pangolin.v1.TableService/LoadTable", messages)
        report.row("gRPC on the core's socket", layer(result, meter), "> 35,000/s")
        with Meter(server=pids["server"]) as meter:
            result = grpc_load(server.socket, "/pangolin.v1.OperationsService/Ping",
                               files_of(folder, [b""]))
        report.row("empty RPC (Ping) on the core's socket", layer(result, meter))
        reply = json.loads(text)
        fixed = field(1, reply["metadata-location"]) + field(
            2, json.dumps(reply["metadata"], separators=(",", ":"))) + \
            field(5, raw.headers["ETag"] or '"x"')
    bridge_alone(report, fixed, targets)


def layer(result, meter):
    count = result["reads"]["count"]
    return "%s, %s, CPU us: %s" % (rate(result), latency(result["reads"]),
                                   meter.per_request(count))


def bridge_alone(report, message, targets):
    """The bridge in front of a core that always answers the same."""
    with tempfile.TemporaryDirectory(prefix="pang-bench-") as data:
        os.makedirs(os.path.join(data, "run"))
        path = files_of(data, [message])[0]
        port = harness.free_port()
        environment = dict(os.environ, PORT=str(port), PANGOLIN_DATA_DIR=data,
                           PANGOLIN_NO_AUTH="true")
        core = subprocess.Popen([*OTHER_CORE, tool("fixed_core"),
                                 os.path.join(data, "run", "core.sock"), path],
                                stdin=subprocess.DEVNULL)
        time.sleep(0.2)
        bridge = subprocess.Popen(
            [*ONE_CORE, built("bridge", "pangolin-bridge")],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            wait_port(port)
            with Meter(bridge=bridge.pid) as meter:
                result = http_load(port, targets)
            report.row("bridge alone, core replaced by fixed bytes", layer(result, meter))
        finally:
            bridge.terminate()
            core.terminate()
            bridge.wait(timeout=20)
            core.wait(timeout=20)


def wait_port(port):
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the bridge does not listen")


def hot(report):
    report.head("loadTable of %d hot tables, SQLite" % HOT_TABLES)
    with Pangolin("bench-hot", prefix=ONE_CORE) as server:
        targets = make_tables(server, "hot", HOT_TABLES)
        with Meter(server=server.pid("server"), bridge=server.pid("bridge")) as meter:
            result = http_load(server.port, targets)
        report.row("closed loop", layer(result, meter), "> 20,000/s, p99 < 8 ms")
        for part in (0.5, 0.8):
            due = int(result["rate"] * part)
            open_loop = http_load(server.port, targets, rate=due)
            report.row("open loop at %s/s" % format(due, ","), latency(open_loop["reads"]))


def signed_in(report):
    """What knowing the caller, asking for its grants and logging its reads costs a load."""
    report.head("loadTable with and without authentication, %d hot tables" % HOT_TABLES)
    with Pangolin("bench-open", prefix=ONE_CORE) as plain, \
            Pangolin("bench-signed", prefix=ONE_CORE, environment=ENVIRONMENT) as signed:
        world = World(signed.port)
        for n in range(HOT_TABLES):
            world.a.admin.ask("POST", "/v1/lake/namespaces/sales/tables",
                              {"name": "t%d" % n, "schema": schema()})
        ways = {
            "without": (plain, make_tables(plain, "hot", HOT_TABLES), {}),
            "token": (signed, None, bearer(world.a.login("reader"))),
            "API key": (signed, None, {"X-API-Key": world.a.api_key}),
        }
        paths = ["/v1/lake/namespaces/sales/tables/t%d" % n for n in range(HOT_TABLES)]
        rates = {name: [] for name in ways}
        for _ in range(ROUNDS):  # in turn, so that what disturbs disturbs all
            for name, (server, targets, headers) in ways.items():
                options = {"header": "%s: %s" % pair for pair in headers.items()}
                result = http_load(server.port, targets or paths, **options)
                assert result["status"]["2xx"] > 0 and result["status"]["4xx"] == 0, result
                rates[name].append(result["rate"])
        base = statistics.median(rates["without"])
        for name, measured in rates.items():
            rate = statistics.median(measured)
            report.row(name, "%s/s, %.0f %%" % (format(int(rate), ","), 100 * rate / base),
                       "" if name == "without" else "> 85 %")


def fill(server, space, count):
    """Creates many tables as fast as they go; returns their paths."""
    call(server, "POST", "/v1/demo/namespaces", {"namespace": [space]})
    base = "/v1/demo/namespaces/%s/tables" % space
    body = json.dumps({"name": "t{n}", "schema": schema()})
    names = []
    begin = time.monotonic()
    while len(names) < count:
        http_load(server.port, [base], writes=100, body=body, seconds=5 if count > 5000 else 1)
        names = [i["name"] for i in call(server, "GET", base)["identifiers"]]
        if time.monotonic() - begin > 900:
            raise RuntimeError("only %d tables after 15 minutes" % len(names))
    return [base + "/" + name for name in names[:count]], len(names) / (time.monotonic() - begin)


PROPERTY = json.dumps({"requirements": [], "updates": [
    {"action": "set-properties", "updates": {"bench": "{n}"}}]})


def zipf(report):
    report.head("loadTable of %s tables by Zipf (0.99), 5 %% commits" % format(TABLES, ","))
    with Pangolin("bench-zipf", prefix=ONE_CORE) as server:
        targets, made = fill(server, "zipf", TABLES)
        report.row("tables created on the way", "%s/s" % format(int(made), ","))
        asked = {"zipf": 0.99, "writes": 5, "body": PROPERTY}
        with Meter(server=server.pid("server"), bridge=server.pid("bridge")) as meter:
            result = http_load(server.port, targets, **asked)
        report.row("closed loop, nothing read before", layer(result, meter))
        http_load(server.port, targets, seconds=WARM_SECONDS, **asked)
        with Meter(server=server.pid("server"), bridge=server.pid("bridge")) as meter:
            result = http_load(server.port, targets, **asked)
        report.row("closed loop, %d s later" % WARM_SECONDS, layer(result, meter),
                   "p99 < 8 ms at 64 connections")
        report.row("commits in it", latency(result["writes"]))
        for share in (0.7, 0.5):
            due = int(result["rate"] * share)
            open_loop = http_load(server.port, targets, rate=due, **asked)
            report.row("open loop at %s/s, %d %% of that" % (format(due, ","), share * 100),
                       latency(open_loop["reads"]), "p99 < 8 ms")
            report.row("commits in it", latency(open_loop["writes"]))
        report.row("resident memory", "%.1f MiB" % sum(resident(server).values()))


def commits(report):
    report.head("Durable commits over %d tables, synchronous=FULL, documents of 8 KiB, metadata "
                "files included" % COMMIT_TABLES)
    commits_on(report, "one core", ONE_CORE, OTHER_CORE)
    commits_on(report, "all cores, the generator's too", [], [])
    commits_on(report, "the same, each sync %g ms longer" % SLOW_SYNC_MS, [], [],
               {"LD_PRELOAD": tool("slow_sync.so"), "SLOW_SYNC_US": str(int(SLOW_SYNC_MS * 1000))})
    commits_on(report, "all cores, documents that grow to 25 KiB", [], [], properties={})


def commits_on(report, where, cores, generator, environment=None, properties=STAYS_SMALL):
    with Pangolin("bench-commits", prefix=cores, environment=environment) as server:
        targets = make_tables(server, "commits", COMMIT_TABLES, properties)
        with Meter(server=server.pid("server"), bridge=server.pid("bridge")) as meter:
            single = http_load(server.port, targets, connections=1, writes=100, body=PROPERTY,
                               cores=generator)
        report.row("%s, one at a time" % where, commit_row(single, meter))
        with Meter(server=server.pid("server"), bridge=server.pid("bridge")) as meter:
            many = http_load(server.port, targets, own=True, writes=100, body=PROPERTY,
                             connections=COMMIT_TABLES, cores=generator)
        report.row("%s, %d at a time, each its table" % (where, COMMIT_TABLES),
                   commit_row(many, meter), "> 3,000/s")
        report.row("%s, ratio" % where, "%.1f" % (many["rate"] / single["rate"]), "> 5")


def commit_row(result, meter):
    return "%s, %s, CPU us: %s" % (rate(result), latency(result["writes"]),
                                   meter.per_request(result["writes"]["count"]))


def big(report):
    report.head("A metadata document of 2 MiB")
    with Pangolin("bench-big", prefix=ONE_CORE) as server:
        call(server, "POST", "/v1/demo/namespaces", {"namespace": ["big"]})
        path = "/v1/demo/namespaces/big/tables"
        call(server, "POST", path, {"name": "t", "schema": schema(), "properties": {
            "note.%04d" % n: "x" * 1000 for n in range(2060)}})
        size = len(urllib.request.urlopen(server.uri + path + "/t", timeout=60).read())
        report.row("size of the reply", "%.2f MiB" % (size / 2 ** 20))
        loads = http_load(server.port, [path + "/t"], connections=1)
        report.row("load, one at a time", "%s, %s" % (rate(loads), latency(loads["reads"])))
        done = http_load(server.port, [path + "/t"], connections=1, writes=100, body=PROPERTY,
                         seconds=max(3, SECONDS // 2))
        report.row("commit, one at a time", "%s, %s" % (rate(done), latency(done["writes"])),
                   "< 60 ms")
        report.row("resident memory afterwards", "%.1f MiB" % sum(resident(server).values()))


# --- branches -------------------------------------------------------------------------------------

SMALL, LARGE = 1_000, 20_000 if QUICK else 1_000_000
FAR = 2_000 if QUICK else 100_000  # commits of a target since the fork
MERGED = 100
FEW = MERGED  # changes of a merge into a busy target
DEEP, DEEP_COMMITS = 3, 100
LISTED = 1_000


def filled(server, what, space, count):
    """Fills the stopped server's store; the namespace is there, with a table t0."""
    server.stop()
    store = "sqlite:" + os.path.join(server.data, "pangolin.db")
    subprocess.run([tool("fill"), store, "demo", what, space, str(count)], check=True,
                   stdin=subprocess.DEVNULL)
    server.start()


def timed(work, times):
    """Milliseconds of work(n), the median of some."""
    taken = []
    for n in range(times):
        begin = time.perf_counter()
        work(n)
        taken.append((time.perf_counter() - begin) * 1000)
    return sorted(taken)[times // 2]


def branch(server, name, source="main"):
    return call(server, "POST", "/api/v1/branches",
                {"name": name, "catalog": "demo", "from_branch": source,
                 "branch_type": "ingest"})


def merge(server, source, target):
    return call(server, "POST", "/api/v1/branches/merge",
                {"source_branch": source, "target_branch": target, "catalog": "demo"})


def change(server, prefix, space, tables):
    for table in tables:
        call(server, "POST", "/v1/%s/namespaces/%s/tables/%s" % (prefix, space, table),
             {"requirements": [], "updates": [{"action": "set-properties",
                                               "updates": {"at": str(time.time_ns())}}]})


def branch_times(server):
    """What a branch, a tag and a merge of MERGED changed tables take in this catalog."""
    names = ["t%d" % n for n in range(MERGED)]
    made = timed(lambda n: branch(server, "b%d" % n), 21)
    head = call(server, "GET", "/api/v1/branches/b0?catalog=demo")["head_commit_id"]
    tagged = timed(lambda n: call(server, "POST", "/api/v1/tags", {
        "name": "v%d" % n, "catalog": "demo", "commit_id": head}), 21)
    merged = []
    for n in range(5):
        branch(server, "m%d" % n)
        change(server, "demo@m%d" % n, "big", names)
        begin = time.perf_counter()
        merge(server, "m%d" % n, "main")
        merged.append((time.perf_counter() - begin) * 1000)
    return made, tagged, sorted(merged)[2]


def branches(report):
    report.head("Branches, tags and merges by the size of the catalog")
    with Pangolin("bench-branches") as server:
        make_tables(server, "big", MERGED)
        filled(server, "tables", "big", SMALL)
        small = branch_times(server)
    with Pangolin("bench-branches") as server:
        make_tables(server, "big", MERGED)
        filled(server, "tables", "big", LARGE)
        large = branch_times(server)
    for n, what in enumerate(("a branch", "a tag", "a merge of %d changed tables" % MERGED)):
        report.row("%s, %s and %s tables" % (what, format(SMALL, ","), format(LARGE, ",")),
                   "%.2f ms, %.2f ms, %.2f times" % (small[n], large[n], large[n] / small[n]),
                   "< 1.5 times" + (", < 5 ms" if n < 2 else ""))


def far_merge(report):
    report.head("A merge of %d changes by the target's commits since the fork" % FEW)
    names = ["t%d" % n for n in range(6 * FEW)]
    with Pangolin("bench-far-merge") as server:
        make_tables(server, "big", 6 * FEW)
        call(server, "POST", "/v1/demo/namespaces", {"namespace": ["busy"]})
        call(server, "POST", "/v1/demo/namespaces/busy/tables", {"name": "t0", "schema": schema()})
        for n in range(6):
            branch(server, "f%d" % n)
            change(server, "demo@f%d" % n, "big", names[n * FEW:(n + 1) * FEW])
        near = timed(lambda n: merge(server, "f%d" % n, "main"), 3)
        filled(server, "commits", "busy", FAR)
        far = timed(lambda n: merge(server, "f%d" % (n + 3), "main"), 3)
        report.row("few, and %s commits" % format(FAR, ","),
                   "%.2f ms, %.2f ms, %.2f times" % (near, far, far / near), "no slower")


def deep(report):
    report.head("Reading through %d levels of branches, %d commits on each" % (DEEP, DEEP_COMMITS))
    with Pangolin("bench-deep", prefix=ONE_CORE) as server:
        path = make_tables(server, "deep", LISTED)[0]
        source = "main"
        for level in range(DEEP):
            name = "level%d" % level
            branch(server, name, source)
            change(server, "demo@" + name, "deep",
                   ["t%d" % (500 + n % 50) for n in range(DEEP_COMMITS)])
            source = name
        change(server, "demo", "deep", ["t%d" % (500 + n % 50) for n in range(DEEP_COMMITS)])
        at_tip = path.replace("/v1/demo/", "/v1/demo@%s/" % source)
        ways = (("loadTable", path, at_tip, "< 1.5 times"),
                ("list of %s tables" % format(LISTED, ","), os.path.dirname(path),
                 os.path.dirname(at_tip), "< 3 times"))
        for what, shallow, below, goal in ways:
            one = http_load(server.port, [shallow])
            many = http_load(server.port, [below])
            report.row(what, "main %s, branch %s, %.2f times" % (
                rate(one), rate(many), one["rate"] / many["rate"]), goal)


def one_branch(report):
    report.head("Writers of %d tables, on one branch and on as many branches" % COMMIT_TABLES)
    with Pangolin("bench-one-branch") as server:
        targets = make_tables(server, "commits", COMMIT_TABLES)
        branch(server, "one")
        for n in range(COMMIT_TABLES):
            branch(server, "w%d" % n)
        one = [target.replace("/v1/demo/", "/v1/demo@one/") for target in targets]
        many = [target.replace("/v1/demo/", "/v1/demo@w%d/" % n)
                for n, target in enumerate(targets)]
        rates = [http_load(server.port, at, own=True, writes=100, body=PROPERTY, cores=[],
                           connections=COMMIT_TABLES) for at in (many, one, many, one)]
        apart, together = rates[2], rates[3]
        report.row("%d branches, one branch" % COMMIT_TABLES, "%s, %s, %.2f of it" % (
            rate(apart), rate(together), together["rate"] / apart["rate"]), "> 0.7")


SCENARIOS = [start, memory, layers, hot, signed_in, zipf, commits, big, branches, far_merge, deep,
             one_branch]


def main():
    names = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    chosen = [one for one in SCENARIOS if not names or one.__name__ in names]
    if len(chosen) < len(set(names)):
        sys.exit("scenarios are: " + " ".join(one.__name__ for one in SCENARIOS))
    build()
    report = Report()
    for scenario in chosen:
        scenario(report)
    report.write()


if __name__ == "__main__":
    main()
