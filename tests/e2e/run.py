"""Runs the end-to-end scripts, each against processes of its own, two at a time.

    run.py [--long] [PART-OF-A-NAME...]

Ends with `N passed, N failed, N skipped`, the sum of what the scripts say. --long gives the
scripts PANG_TEST_LONG=1: the full figures.
"""

import concurrent.futures
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402
import pyenv  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PATTERNS = ["spark_*.py", "crash*.py", "race.py", "pyiceberg_*.py", "duckdb_*.py", "grpc_*.py",
            "pypangolin_*.py", "auth_*.py", "start.py", "doors.py", "golden.py",
            "watch.py"]
SCRIPT_S = 600
SCRIPT_LONG_S = 3000
COUNT = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)


def run(path, limit):
    """Returns (passed, failed, skipped, text)."""
    try:
        done = subprocess.run([sys.executable, path], cwd=harness.ROOT, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=limit)
        text, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        output = error.stdout or ""
        text = output if isinstance(output, str) else output.decode("utf-8", "replace")
        text, code = text + "\nstopped after %d s" % limit, 1
    found = COUNT.findall(text)
    counts = [int(number) for number in found[-1]] if found else [0, 0, 0]
    if code != 0 and counts[1] == 0:
        counts[1] = 1
    return (*counts, text)


def main():
    arguments = sys.argv[1:]
    limit = SCRIPT_S
    if "--long" in arguments:
        arguments.remove("--long")
        os.environ["PANG_TEST_LONG"] = "1"
        limit = SCRIPT_LONG_S
    pyenv.enter()
    harness.build()
    harness.program()  # found once, for all scripts
    paths = [path for pattern in PATTERNS for path in sorted(glob.glob(os.path.join(HERE, pattern)))
             if not arguments or any(part in path for part in arguments)]
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        runs = {pool.submit(run, path, limit): path for path in paths}
        for finished in concurrent.futures.as_completed(runs):
            passed, failed, skipped, text = finished.result()
            print("--- %s: %d passed, %d failed, %d skipped" %
                  (os.path.basename(runs[finished]), passed, failed, skipped), flush=True)
            if failed:
                print(text, flush=True)
            total = [total[0] + passed, total[1] + failed, total[2] + skipped]
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
