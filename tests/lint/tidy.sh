#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy, over what compile_commands.json lists.
set -euo pipefail
source tests/lint/files.sh
known=$(python3 -c 'import json; print("\n".join(e["file"] for e in json.load(open("compile_commands.json"))))' | sort)
c_files '*.c' | grep -v '^tests/\|^bench/' | sort | comm -12 - <(echo "$known") |
    xargs -P2 -n4 clang-tidy-14 --quiet -p . --extra-arg=-Wno-unknown-warning-option 2>/dev/null |
    grep -E 'warning:|error:' | sort -u | tee /dev/stderr | { ! grep -q .; }
