"""Writes compile_commands.json from `bazel aquery --output=jsonproto` on the standard input.

Editors and clang-tidy read it. Every C file is compiled from the top of the tree, where Bazel's
own links make the paths of generated headers valid.
"""

import json
import os
import sys


# Flags of gcc that clang's tools stumble over.
UNKNOWN = ("-fno-canonical-system-headers", "-ftrivial-auto-var-init=zero", "-Wno-free-nonheap-object",
           "-Wunused-but-set-parameter", "-frandom-seed=", "-fstack-clash-protection", "-MD", "-MF")


def known(arguments):
    kept, skip = [], False
    for argument in arguments:
        if skip or argument.startswith(UNKNOWN):
            skip = argument == "-MF" and not skip
            continue
        kept.append(argument)
    return kept


def main():
    here = os.getcwd()
    entries = []
    seen = set()
    for action in json.load(sys.stdin).get("actions", []):
        arguments = action.get("arguments", [])
        source = next((a for a in reversed(arguments) if a.endswith(".c")), None)
        if source is None or source in seen:
            continue
        seen.add(source)
        entries.append({"directory": here, "file": source, "arguments": known(arguments)})
    entries.sort(key=lambda entry: entry["file"])
    with open("compile_commands.json", "w", encoding="utf-8") as out:
        json.dump(entries, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
