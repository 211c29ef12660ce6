"""Tables agree: every option of the programs is in docs/configuration.md, every lane and command of ./dev in
the documentation, every relative link in a Markdown file leads somewhere, and sizes that the documentation says
of constants are theirs."""

import os
import re
import subprocess
import sys

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def markdown_links():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                           stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    for path in files:
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as text:
            for target in LINK.findall(text.read()):
                if "://" not in target and not os.path.exists(
                        os.path.join(os.path.dirname(path), target)):
                    yield "%s links to %s, which is not there" % (path, target)


def undocumented_options():
    """Environment variables that the option table names, and the documentation does not."""
    table, page = "api/config_options.c", "docs/configuration.md"
    if not (os.path.exists(table) and os.path.exists(page)):
        return
    with open(table, encoding="utf-8") as text:
        names = set(re.findall(r'"((?:PANGOLIN|DATABASE|MONGO|LOG)_[A-Z_]+|PORT)"', text.read()))
    with open(page, encoding="utf-8") as text:
        documented = text.read()
    for name in sorted(names):
        if not re.search(r"\b%s\b" % name, documented):
            yield "%s is not in %s" % (name, page)


def wrong_sizes():
    """Constants that docs/configuration.md names with their file and size, as `NAME` (file) 64 MiB."""
    page = "docs/configuration.md"
    if not os.path.exists(page):
        return
    with open(page, encoding="utf-8") as text:
        named = re.findall(r"`([A-Z_]+)` \(([a-z0-9_/.]+)\) (\d+) ([KMG])iB", text.read())
    if not named:
        yield "%s names no constant with its size" % page
    for name, path, number, unit in named:
        said = int(number) << {"K": 10, "M": 20, "G": 30}[unit]
        with open(path, encoding="utf-8") as text:
            found = re.search(r"\b%s = ([\d <*]+)" % name, text.read())
        value = eval(found.group(1)) if found else None  # digits, blanks, < and * alone
        if value is not None and name.endswith("_KIB"):
            value <<= 10
        if value != said:
            yield "%s says that %s of %s is %s %siB; it is %s" % (page, name, path, number, unit, value)


def undocumented_commands():
    with open("dev", encoding="utf-8") as text:
        commands = re.findall(r"^([a-z]+)\)$", text.read(), re.M)
    with open("CONTRIBUTING.md", encoding="utf-8") as text:
        documented = text.read()
    for command in commands:
        if "./dev " + command not in documented:
            yield "./dev %s is not in CONTRIBUTING.md" % command


def main():
    findings = [*markdown_links(), *undocumented_options(), *undocumented_commands(), *wrong_sizes()]
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
