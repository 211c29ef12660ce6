#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy, over what compile_commands.json lists. The analyzer looks into
# each function shallowly: a minute instead of ten. PANG_TEST_LONG=1 lets it look deeply.
set -euo pipefail
source tests/lint/files.sh
known=$(python3 -c 'import json; print("\n".join(e["file"] for e in json.load(open("compile_commands.json"))))' | sort)
mode=(--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=mode=shallow)
if [ -n "${PANG_TEST_LONG:-}" ]; then
    mode=()
fi
found=$(c_files '*.c' | grep -v '^tests/\|^bench/' | sort | comm -12 - <(echo "$known") |
    xargs -P2 -n4 clang-tidy-14 --quiet -p . --extra-arg=-Wno-unknown-warning-option \
        ${mode[@]+"${mode[@]}"} 2>/dev/null | grep -E 'warning:|error:' | sort -u || true)
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
