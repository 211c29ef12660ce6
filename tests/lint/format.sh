#!/usr/bin/env bash
# Every C file looks as .clang-format says. `./dev format` does it.
set -euo pipefail
source tests/lint/files.sh
c_files '*.c' '*.h' | xargs -P2 -n16 clang-format-14 --dry-run --Werror
