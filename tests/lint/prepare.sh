#!/usr/bin/env bash
# What the checks read: compile_commands.json, generated headers, the programs.
set -euo pipefail
cd "$(dirname "$0")/../.."
source bazel/dev.sh
run_bazel build --keep_going //proto/... "${PROGRAMS[@]}" >/dev/null
write_compdb
