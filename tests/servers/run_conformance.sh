#!/usr/bin/env bash
# The storage conformance suite on the backends that need a server:
#     tests/servers/run_conformance.sh [postgres] [mongo-java] [ferretdb]
# Starts each server, runs the suite on it, prints cmocka's lines, and at the end
# `N passed, N failed, N skipped`. PANG_BIN names the folder of built targets (bazel-bin); without
# it they are built first. The stand-ins for MongoDB look through a whole collection for each find,
# so on them every test has a database of its own.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
servers=tests/servers
[ $# -gt 0 ] || set -- postgres mongo-java ferretdb

# A program of its own: the scripts of the servers run it with PANG_TEST_URL set.
if [ "$1" = --each-test ]; then
    status=0
    n=0
    for name in $(grep -oh 'cmocka_unit_test([a-z_0-9]*)' tests/storage/conformance_*.c |
        sed 's/.*(\(.*\))/\1/'); do
        n=$((n + 1))
        timeout 300 "$PANG_BIN/tests/storage/conformance_mongodb" "$PANG_TEST_URL$n" "$name"
        case $? in
        0) ;;
        1) status=1 ;; # cmocka has said so itself
        *) status=1 && echo "[  FAILED  ] 1 test(s): $name did not end well" ;;
        esac
    done
    exit "$status"
fi

work=$(mktemp -d)
log=$work/log
trap 'rm -rf "$work"' EXIT
if [ -z "${PANG_BIN:-}" ]; then
    # shellcheck disable=SC2086
    bazel ${PANG_BAZEL_STARTUP:-} build -c opt //tests/storage:conformance_postgres \
        //tests/storage:conformance_mongodb || exit 1
    PANG_BIN=bazel-bin
fi
# Copied, since the next build of whomever moves bazel-bin.
mkdir -p "$work/tests/storage"
cp "$PANG_BIN"/tests/storage/conformance_{postgres,mongodb} "$work/tests/storage/" || exit 1
touch "$log"
broken=0
export PANG_BIN=$work
for name in "$@"; do
    echo "== $name"
    case $name in
    postgres) set -- "$servers/postgres.sh" "$PANG_BIN/tests/storage/conformance_postgres" ;;
    mongo-java) set -- "$servers/mongo.sh" java bash "$0" --each-test ;;
    ferretdb) set -- "$servers/mongo.sh" ferretdb bash "$0" --each-test ;;
    *) echo "no such server: $name" >&2; exit 2 ;;
    esac
    before=$(grep -c '^\[  FAILED' "$log")
    "$@" 2>&1 | tee -a "$log"
    # A server that did not start, or a program that crashed, has no line of its own.
    if [ "${PIPESTATUS[0]}" != 0 ] && [ "$(grep -c '^\[  FAILED' "$log")" = "$before" ]; then
        broken=$((broken + 1))
        echo "$name: failed"
    fi
done
count() {
    sed -n "s/^\[  $1 *\] \([0-9]*\) test(s).*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'
}
failed=$(($(count FAILED) + broken))
echo "$(count PASSED) passed, $failed failed, $(count SKIPPED) skipped"
[ "$failed" = 0 ]
