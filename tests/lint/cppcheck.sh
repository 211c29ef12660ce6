#!/usr/bin/env bash
# cppcheck's errors, warnings, performance and portability findings. It does not see that results are written
# when the code is PANG_OK: what is read behind such a code begins as {0}. Not its own failures to parse
# compound literals.
set -euo pipefail
source tests/lint/files.sh
mkdir -p .cache/cppcheck
c_files 'api/*.c' 'server/*.c' 'bridge/*.c' 'storage/*.c' 'vending/*.c' 'cli/*.c' >.cache/cppcheck/files
[ -s .cache/cppcheck/files ] || exit 77
cppcheck -j2 --quiet --error-exitcode=1 --inline-suppr --std=c11 --language=c -D_GNU_SOURCE \
    --enable=warning,performance,portability --suppressions-list=tests/lint/cppcheck.allow \
    --cppcheck-build-dir=.cache/cppcheck --max-configs=2 -I. --file-list=.cache/cppcheck/files
