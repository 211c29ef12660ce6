"""Runs lanes of tests, one line for each, and counts what they ran.

A lane is a set of Bazel tests or a script, with a budget in seconds after which it is stopped and
counted as failed: no test may hang. Bazel tests are counted by the lines of cmocka in their logs;
a test without such lines (a replayed corpus) counts as one. Scripts end with a line
`N passed, N failed, N skipped` of their own.

    python3 tests/lanes.py [LANE...]      default: every lane but `long`
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache")

NOT_NOW = "-long,-bench"
BAZEL = "bazel"
SCRIPT = "script"

# name, kind, budget in seconds, arguments. In the order of `./dev test`: cheap and telling first.
LANES = [
    ("unit", BAZEL, 900, ["--test_tag_filters=" + NOT_NOW, "//...", "-//tests/storage/..."]),
    ("storage", BAZEL, 600, ["--test_tag_filters=" + NOT_NOW, "//tests/storage/..."]),
    ("servers", SCRIPT, 720, [sys.executable, "tests/servers/run.py"]),
    ("rest", SCRIPT, 300, [sys.executable, "tests/rest/run.py"]),
    ("matrix", SCRIPT, 300, [sys.executable, "tests/matrix/matrix.py"]),
    ("mutants", SCRIPT, 200, [sys.executable, "tests/matrix/mutants.py", "--sample", "12"]),
    ("e2e", SCRIPT, 1500, [sys.executable, "tests/e2e/run.py"]),
    ("lint", SCRIPT, 800, ["bash", "tests/lint/run.sh"]),
    ("san", BAZEL, 1500, ["--config=san", "--test_tag_filters=-no-san," + NOT_NOW, "//..."]),
    ("tsan", BAZEL, 900, ["--config=tsan", "--test_tag_filters=threads," + NOT_NOW, "//..."]),
    # The programs themselves under sanitizers: every REST script, and a race.
    ("san-rest", SCRIPT, 300, ["env", "PANG_CONFIG=san", sys.executable,
                               "tests/rest/run.py"]),
    ("tsan-race", SCRIPT, 300, ["env", "PANG_CONFIG=tsan", sys.executable, "tests/e2e/run.py",
                                "race"]),
    ("fuzz", SCRIPT, 300, [sys.executable, "tests/fuzz/run.py", "--short"]),
]
LONG = [
    ("long-bazel", BAZEL, 5400, ["--test_env=PANG_TEST_LONG=1", "--build_tests_only",
                                 "--test_tag_filters=long,longer,bench", "--test_timeout=3600",
                                 "//tests/..."]),
    ("long-mutants", SCRIPT, 1800, [sys.executable, "tests/matrix/mutants.py"]),
    ("long-e2e", SCRIPT, 3600, [sys.executable, "tests/e2e/run.py", "--long"]),
    ("long-fuzz", SCRIPT, 3600, [sys.executable, "tests/fuzz/run.py", "300"]),
]
TOGETHER = {"san": ["san", "tsan", "san-rest", "tsan-race"], "long": [lane[0] for lane in LONG]}

COUNT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)", re.M)
# Lines that name a failure: of our scripts (with the script they stand in), Bazel's and cmocka's.
NAMES_FAILURE = re.compile(r"^(FAIL(ED)?\b.*|--- .*, [1-9]\d* failed.*|//\S+ [A-Z_]+|"
                           r"//\S+ does not build|\[  FAILED  \] [a-z]\w*|stopped after .*)$", re.M)
FAILURES_NAMED = 40


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return "%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped)


def run(arguments, budget, log):
    """Runs a command in a process group of its own; None when it was stopped for its time."""
    process = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        return process.wait(timeout=budget)
    except subprocess.TimeoutExpired:
        for kind, patience in ((signal.SIGINT, 20), (signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            try:
                os.killpg(process.pid, kind)
                process.wait(timeout=patience)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def count_log(text):
    """The counts of one Bazel test from its log."""
    counts = Counts()
    seen = False
    for kind, number in CMOCKA.findall(text):
        seen = True
        setattr(counts, kind.lower(), getattr(counts, kind.lower()) + int(number))
    if not seen:
        counts.passed = 1
    return counts


def read(uri):
    path = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    with open(path, encoding="utf-8", errors="replace") as log:
        return log.read()


def read_events(path):
    with open(path, encoding="utf-8") as events:
        for line in events:
            try:
                yield json.loads(line)
            except ValueError:
                return  # the last line of a Bazel that was stopped


def count_events(path):
    """Counts what Bazel ran, from its event file. Returns the counts and a text of failures."""
    total, failures = Counts(), []
    for event in read_events(path):
        ident = event.get("id", {})
        if "testSummary" in ident:
            label = ident["testSummary"]["label"]
            summary = event["testSummary"]
            status = summary.get("overallStatus", "NO_STATUS")
            logs = summary.get("passed", []) + summary.get("failed", [])
            text = "".join(read(log["uri"]) for log in logs if "uri" in log)
            counts = count_log(text)
            if status not in ("PASSED", "FLAKY"):
                if counts.failed == 0:
                    counts.passed = counts.passed if CMOCKA.search(text) else 0
                    counts.failed = 1
                failures.append("%s %s\n%s" % (label, status, tail(text)))
            total.add(counts)
        elif "targetCompleted" in ident and not event.get("completed", {}).get("success"):
            if "completed" in event:
                total.failed += 1
                failures.append("%s does not build" % ident["targetCompleted"]["label"])
    return total, "\n".join(failures)


def tail(text, lines=60):
    return "\n".join(text.splitlines()[-lines:])


def run_bazel_lane(arguments, budget, log):
    handle, events = tempfile.mkstemp(prefix="pang-events-", suffix=".json")
    os.close(handle)
    startup = os.environ.get("PANG_BAZEL_STARTUP", "").split()
    options = [a for a in arguments if a.startswith("--")]
    patterns = [a for a in arguments if not a.startswith("--")]
    try:
        code = run(["bazel", *startup, "test", "--keep_going", "--test_output=summary",
                    "--build_event_json_file=" + events, *options, "--", *patterns], budget, log)
        counts, failures = count_events(events)
    finally:
        os.unlink(events)
    # 4: nothing to test here; every other failure must show in the counts.
    if code not in (0, 4) and counts.failed == 0:
        counts.failed = 1
    if code is None:
        failures += "\nstopped after %d s" % budget
    return counts, failures


def run_script_lane(arguments, budget, log):
    code = run(arguments, budget, log)
    log.flush()
    with open(log.name, encoding="utf-8", errors="replace") as text:
        found = COUNT.findall(text.read())
    counts = Counts(*(int(n or 0) for n in found[-1])) if found else Counts()
    if code != 0 and counts.failed == 0:
        counts.failed = 1
    return counts, "stopped after %d s" % budget if code is None else ""


def run_lane(lane):
    name, kind, budget, arguments = lane
    begin = time.monotonic()
    path = os.path.join(CACHE, "log", name + ".log")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w+", encoding="utf-8", errors="replace") as log:
        if kind == BAZEL:
            counts, failures = run_bazel_lane(arguments, budget, log)
        else:
            counts, failures = run_script_lane(arguments, budget, log)
    named = []
    if counts.failed:
        with open(path, encoding="utf-8", errors="replace") as log:
            text = log.read()
        print(tail(text, 80))
        if failures:
            print(failures)
        named = name_failures(failures if kind == BAZEL else text + "\n" + failures)
    word = "FAIL" if counts.failed else "ok"
    print("[%s] %s: %s in %d s" % (name, word, counts, time.monotonic() - begin), flush=True)
    return counts, ["[%s] %s" % (name, line) for line in named or [path] if counts.failed]


def name_failures(text):
    lines = [found.group(0).rstrip() for found in NAMES_FAILURE.finditer(text)]
    return list(dict.fromkeys(lines))[:FAILURES_NAMED]


def choose(names):
    known = {lane[0]: lane for lane in LANES + LONG}
    if not names:
        return LANES
    chosen = []
    for name in names:
        for part in TOGETHER.get(name, [name]):
            if part not in known:
                sys.exit("no such lane: %s; there are %s and long" % (part, " ".join(known)))
            chosen.append(known[part])
    return chosen


def kept_results(path):
    """The rows of an earlier report, by lane."""
    try:
        with open(path, encoding="utf-8") as old:
            rows = [line.strip().strip("|").split(" | ") for line in old]
    except OSError:
        return {}
    return {row[0].strip(): row[1:] for row in rows if row[0].strip().startswith("long-")}


def keep_result(lane, counts, seconds):
    """The last run of each long lane, with date and commit: tests/results/long.md."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, check=False).stdout.strip()
    path = os.path.join(ROOT, "tests", "results", "long.md")
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    rows = kept_results(path)
    rows[lane] = [str(counts), "%d s" % seconds, now, commit]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write("# The last run of each long lane\n\n| lane | counts | took | when | commit |\n"
                  "|---|---|---|---|---|\n")
        for name in (lane[0] for lane in LONG):
            if name in rows:
                out.write("| %s | %s |\n" % (name, " | ".join(cell.strip() for cell in rows[name])))


def main():
    total, failed = Counts(), []
    for lane in choose(sys.argv[1:]):
        begin = time.monotonic()
        counts, named = run_lane(lane)
        total.add(counts)
        failed += named
        if lane in LONG:
            keep_result(lane[0], counts, time.monotonic() - begin)
    if total.passed + total.failed == 0:
        total.failed = 1
    if failed:
        print("what failed:\n  " + "\n  ".join(failed))
    print(total)
    sys.exit(1 if total.failed else 0)


if __name__ == "__main__":
    main()
