"""Words that must not stand in the repository: calls that are banned, comments of the wrong kind, TODOs
without an issue, paths of one machine, hosts of package registries; and folders without a README."""

import os
import re
import subprocess
import sys

BANNED_CALLS = re.compile(
    r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atoll|atof|gets|alloca|system|"
    r"popen|rand|srand|random|tmpnam|mktemp|signal|asctime|ctime|localtime|gmtime)\s*\(")
# A test may run a program.
IN_TESTS = {"system", "popen", "signal", "random"}
# Threads, time and chance come from one place each.
ONLY_IN = {
    r"\bpthread_create\s*\(": {"server/worker.c", "bridge/main.c", "bridge/loop.c", "storage/",
                               "tests/", "api/log.c"},
    # Waiting on a condition takes a time of the system's own clock.
    r"\b(clock_gettime|gettimeofday)\s*\(": {"api/env.c", "bench/", "tests/", "cli/", "storage/",
                                             "server/worker.c", "server/metrics.c", "bridge/metrics.c"},
    r"\bgetrandom\s*\(": {"api/env.c"},
}
LINE_COMMENT = re.compile(r'(?<![:"\w])//')
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#?\d+\))")
SELF = "tests/lint/words.py"
# Written in pieces, so that this file does not contain what it looks for.
HOSTS = ["pypi" + ".org", "files.python" + "hosted", "registry.npm" + "js", "repo1." + "maven",
         "repo.maven" + ".apache", "proxy.go" + "lang", "deb.de" + "bian", "crates" + ".io",
         "static." + "crates"]
PATHS = ["/wo" + "rk/", "/tmp/" + "ob-", "/root" + "/", "/home" + "/"]
NO_README = {".ci", "bazel/third_party", "bazel/tools", "proto/google", "proto/grpc",
             "proto/pangolin", "bench/reports", "tests/results"}


def strip_strings(line):
    return re.sub(r'"(\\.|[^"\\])*"|\'(\\.|[^\'\\])*\'', '""', line)


def check_c(path, text):
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        code = strip_strings(line)
        was_inside = inside
        if inside and "*/" in code:
            inside, code = False, code.split("*/", 1)[1]
            was_inside = False
        if "/*" in code and not inside:
            inside = "*/" not in code.split("/*", 1)[1]
            code = re.sub(r"/\*.*?(\*/|$)", "", code)
        if was_inside:
            continue
        if LINE_COMMENT.search(code):
            yield "%s:%d: a // comment" % (path, number)
        found = BANNED_CALLS.search(code)
        if found and not (path.startswith("tests/") and found.group(1) in IN_TESTS):
            yield "%s:%d: %s is banned" % (path, number, found.group(1))
        for pattern, places in ONLY_IN.items():
            if re.search(pattern, code) and not any(path.startswith(p) for p in places):
                yield "%s:%d: %s does not belong here" % (path, number, pattern)


def check_any(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if TODO.search(line) and path != SELF:
            yield "%s:%d: a TODO without the number of its issue: TODO(#12)" % (path, number)
        for word in HOSTS + PATHS:
            if word in line and "/proc/self" not in line:
                yield "%s:%d: %s is of one machine or one registry" % (path, number, word)


def folders_without_readme(files):
    folders = {os.path.dirname(path) for path in files if "/" in path}
    for folder in sorted(folders):
        top = folder.split("/")[0]
        if folder == top and folder not in NO_README and \
                not os.path.exists(os.path.join(folder, "README.md")):
            yield "%s has no README.md" % folder
    for folder in sorted(folders):
        # Tests mirror the tree: one README says how, in tests/.
        if folder.count("/") == 1 and not folder.startswith("tests/") and \
                not any(folder.startswith(skip) for skip in NO_README) and \
                not os.path.exists(os.path.join(folder, "README.md")):
            yield "%s has no README.md" % folder


def main():
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           stdout=subprocess.PIPE, text=True, check=True).stdout.split("\0")
    files = [path for path in files if path and os.path.isfile(path)]
    findings = list(folders_without_readme(files))
    for path in files:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except UnicodeDecodeError:
            continue
        if path.startswith(("tests/fuzz/corpus/", "LICENSE", "tests/fixtures/")):
            continue
        findings += check_any(path, text)
        if path.endswith((".c", ".h")):
            findings += check_c(path, text)
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
