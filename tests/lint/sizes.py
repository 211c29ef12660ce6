"""Sizes: a function has at most 70 lines, 100 when sizes.allow names it, never more; a file 1,000; a header
250, two fifths of which say what the code cannot. sizes.allow may shrink and not grow."""

import os
import re
import subprocess
import sys

FUNCTION_SOFT, FUNCTION_HARD = 70, 100
FILE_HARD = 1000
HEADER_HARD, HEADER_COMMENT = 250, 0.40
SMALL_HEADER = 40  # lines; below, the share says nothing
COLUMNS = 100
ALLOW = "tests/lint/sizes.allow"


def functions(lines):
    """(name, length) of each function: its brace stands alone in the first column."""
    start, name = None, ""
    for number, line in enumerate(lines):
        if line == "{":
            head = " ".join(lines[max(0, number - 8):number])
            found = re.findall(r"([A-Za-z_]\w*)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*$", head)
            start, name = number, found[-1] if found else "?"
        elif line == "}" and start is not None:
            yield name, number - start + 1
            start = None


FRAME = re.compile(r'#(if|ifndef|ifdef|define \w+_H$|endif|include)|extern "C"|}$|\)|\} \w+;$')


def comment_share(text):
    """The share of lines that are comments, or end in one. The frame that every header has (guards,
    includes, closing braces) and empty lines do not count."""
    lines, inside, comments = 0, False, 0
    for line in text.splitlines():
        if not line.strip() or (not inside and FRAME.match(line)):
            continue
        lines += 1
        comments += inside or "/*" in line
        if "/*" in line:
            inside = "*/" not in line.split("/*", 1)[1]
        elif "*/" in line:
            inside = False
    return comments / max(1, lines)


def read_allow(text):
    return {line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"}


def earlier_allowances():
    """How long the list was in each commit that touched it."""
    commits = subprocess.run(["git", "log", "--format=%H", "--", ALLOW], stdout=subprocess.PIPE,
                             text=True, check=False).stdout.split()
    for commit in commits:
        old = subprocess.run(["git", "show", "%s:%s" % (commit, ALLOW)], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, check=False)
        if old.returncode == 0:
            yield len(read_allow(old.stdout))


def check_file(path, text, allowed, used):
    lines = text.split("\n")
    if len(lines) - 1 > FILE_HARD:
        yield "%s has %d lines" % (path, len(lines) - 1)
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield "%s:%d has %d columns" % (path, number, len(line))
        if "\t" in line or line != line.rstrip():
            yield "%s:%d has a tab or a space at its end" % (path, number)
    for name, length in functions(lines):
        entry = "%s:%s" % (path, name)
        if length > FUNCTION_HARD:
            yield "%s has %d lines, more than any function may" % (entry, length)
        elif length > FUNCTION_SOFT and entry not in allowed:
            yield "%s has %d lines" % (entry, length)
        elif length > FUNCTION_SOFT:
            used.add(entry)
    if path.endswith(".h") and not path.startswith("tests/"):
        if len(lines) - 1 > HEADER_HARD:
            yield "%s has %d lines, too many for a header" % (path, len(lines) - 1)
        if len(lines) > SMALL_HEADER and comment_share(text) < HEADER_COMMENT:
            yield "%s: comments are %d %% of it" % (path, 100 * comment_share(text))


def main():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c",
                            "*.h"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    with open(ALLOW, encoding="utf-8") as text:
        allowed = read_allow(text.read())
    findings, used = [], set()
    for path in files:
        if path.startswith("bazel/third_party") or not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as text:
            findings += check_file(path, text.read(), allowed, used)
    findings += ["%s: %s is not needed any more" % (ALLOW, entry) for entry in allowed - used]
    if len(allowed) > min(earlier_allowances(), default=len(allowed)):
        findings.append("%s has grown" % ALLOW)
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
