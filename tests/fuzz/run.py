"""Runs every libFuzzer program for a time, two at once, and keeps the inputs that reach new code.

    run.py [SECONDS]      each target that long (60); finds go to tests/fuzz/corpus/NAME/
    run.py --short        a quarter of a minute in all tests' run; finds are only reported
    run.py --minimize     drops inputs from the corpora that reach nothing of their own

Ends with `N passed, N failed, N skipped`, one per target. A target fails when it finds a crash, a
leak, an input that takes longer than a second, or when it cannot start. The input is kept below
.cache/fuzz/ and printed.
"""

import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORPUS = os.path.join(ROOT, "tests", "fuzz", "corpus")
FINDS = os.path.join(ROOT, ".cache", "fuzz")
SHORT_S = 15
DEFAULT_S = 60
INPUT_MAX = 64 * 1024
INPUT_MAX_S = 1
RSS_MAX_MB = 1024

ENVIRONMENT = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:abort_on_error=1",
                   UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")


def bazel(*arguments):
    startup = os.environ.get("PANG_BAZEL_STARTUP", "").split()
    return subprocess.run(["bazel", *startup, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, check=True).stdout


def build():
    """Builds the programs and returns {name: path}."""
    labels = bazel("query", 'filter("fuzz_[a-z0-9_]+_fuzz$", kind("cc_binary", //...))').split()
    if not labels:
        return {}
    bazel("build", "--config=fuzz", *labels)
    out = bazel("info", "--config=fuzz", "bazel-bin").strip()
    programs = {}
    for label in labels:
        package, target = label[2:].split(":")
        name = re.fullmatch(r"fuzz_(.+)_fuzz", target).group(1)
        programs[name] = os.path.join(out, package, target)
    return programs


def fuzz(name, program, seconds, keep):
    """Runs one target; returns its last lines when it failed, else None."""
    corpus = os.path.join(CORPUS, name)
    finds = os.path.join(FINDS, name)
    os.makedirs(finds, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pang-fuzz-") as scratch:
        try:
            done = subprocess.run(
                [program, scratch, corpus, "-max_total_time=%d" % seconds,
                 "-timeout=%d" % INPUT_MAX_S, "-rss_limit_mb=%d" % RSS_MAX_MB,
                 "-max_len=%d" % INPUT_MAX, "-artifact_prefix=%s/" % finds,
                 "-print_final_stats=1"],
                env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds + 60)
        except subprocess.TimeoutExpired:
            return "did not stop in time"
        if keep:
            for found in os.listdir(scratch):
                shutil.copy(os.path.join(scratch, found), corpus)
            minimize(name, program)
    stats = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stdout)
    print("%s: %s inputs" % (name, stats.group(1) if stats else "?"), flush=True)
    return None if done.returncode == 0 else "\n".join(done.stdout.splitlines()[-60:])


def minimize(name, program):
    """Keeps the smallest set of inputs that reaches what the corpus reaches."""
    corpus = os.path.join(CORPUS, name)
    with tempfile.TemporaryDirectory(prefix="pang-merge-") as merged:
        done = subprocess.run([program, "-merge=1", merged, corpus], env=ENVIRONMENT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=600)
        if done.returncode != 0 or not os.listdir(merged):
            return
        wanted = set(os.listdir(merged))
        for old in os.listdir(corpus):
            # Inputs with a name of their own are regressions: they stay whatever they reach.
            if re.fullmatch(r"[0-9a-f]{40}", old) and old not in wanted:
                os.unlink(os.path.join(corpus, old))


def main():
    arguments = sys.argv[1:]
    short = "--short" in arguments
    programs = build()
    if "--minimize" in arguments:
        for name, program in programs.items():
            minimize(name, program)
        return 0
    numbers = [int(a) for a in arguments if a.isdigit()]
    seconds = SHORT_S if short else (numbers or [DEFAULT_S])[0]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        runs = {name: pool.submit(fuzz, name, program, seconds, not short)
                for name, program in sorted(programs.items())}
        for name, run in runs.items():
            text = run.result()
            if text is not None:
                failed += 1
                print("%s FAILED\n%s" % (name, text))
    print("%d passed, %d failed, 0 skipped" % (len(programs) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
