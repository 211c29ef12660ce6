#!/usr/bin/env bash
# Every C file looks as .clang-format says. `./dev format` does it.
set -euo pipefail
source tests/lint/files.sh
found=$(c_files '*.c' '*.h' | xargs -P2 -n16 clang-format-14 --dry-run 2>&1 | grep 'warning: code should' |
    cut -d: -f1 | sort | uniq -c || true)
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
