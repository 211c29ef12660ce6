"""Everything about the backends that need a server: starts each and runs beside it the conformance
suite and commits over connections that break (run_conformance.sh), then server and bridge on it,
also while it is away (serve.py). Standard library only.

    run.py [postgres] [mongo-java] [ferretdb]       without names: the first two

What a server needs is installed below .cache/ first (install.sh); one that cannot be installed or
does not start is a failure, never a skip. Ends with `N passed, N failed, N skipped`, each test of
cmocka counted.
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
# How each server is run with a command beside it.
BESIDE = {
    "postgres": ["bash", os.path.join(HERE, "postgres.sh")],
    "mongo-java": ["bash", os.path.join(HERE, "mongo.sh"), "java"],
    "ferretdb": ["bash", os.path.join(HERE, "mongo.sh"), "ferretdb"],
}


def run(what, command):
    """Runs a command and shows what it says; returns its counts. No counts is one failure."""
    print("== " + what, flush=True)
    process = subprocess.Popen(command, cwd=harness.ROOT, stdin=subprocess.DEVNULL, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    counts = None
    for line in process.stdout:
        found = COUNT.match(line)
        counts = [int(number) for number in found.groups()] if found else counts
        print(line, end="", flush=True)
    code = process.wait()
    counts = counts or [0, 0, 0]
    if code != 0 and counts[1] == 0 or sum(counts) == 0:
        print("%s: ended with %d" % (what, code))
        counts[1] += 1
    return counts


def main():
    names = sys.argv[1:] or ["postgres", "mongo-java"]
    for name in names:
        if name not in BESIDE:
            sys.exit("no such server: %s; there are %s" % (name, " ".join(BESIDE)))
    harness.build()
    total = [0, 0, 0]
    for name in names:
        for what, command in (
                ("storage on " + name, ["bash", os.path.join(HERE, "run_conformance.sh"), name]),
                ("both processes on " + name,
                 [*BESIDE[name], sys.executable, os.path.join(HERE, "serve.py")])):
            counts = run(what, command)
            total = [sum(pair) for pair in zip(total, counts)]
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
