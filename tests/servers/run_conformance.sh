#!/usr/bin/env bash
# The storage conformance suite on the backends that need a server, commits over connections that
# break (tests/storage/test_flaky.c), branches against their model and by many at once
# (tests/versions), and what follows commits, ends the past and merges as much as one commit holds
# (tests/server):
#     tests/servers/run_conformance.sh [postgres] [mongo-java] [ferretdb]
# Without names: postgres and mongo-java; ferretdb takes most of an hour, and PANG_TEST_LIMIT_S=3000
# (seconds for one test). Starts each server, prints cmocka's lines, and at the end
# `N passed, N failed, N skipped`. PANG_BIN names the folder of built targets (bazel-bin); without it
# they are built first. The stand-ins for MongoDB look through a whole collection for each find, so
# on them every test has a database of its own.
set -uo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/../.."
servers=tests/servers
[ $# -gt 0 ] || set -- postgres mongo-java

# Programs of their own: the scripts of the servers run them with PANG_TEST_URL set.
each_test() { # a stand-in takes half a minute for the largest commit
    local status=0 n=0 name
    for name in $(grep -oh 'cmocka_unit_test([a-z_0-9]*)' tests/storage/conformance_*.c |
        sed 's/.*(\(.*\))/\1/'); do
        n=$((n + 1))
        timeout "${PANG_TEST_LIMIT_S:-300}" "$PANG_BIN/tests/storage/conformance_mongodb" \
            "$PANG_TEST_URL$n?socketTimeoutMS=120000" "$name"
        case $? in
        0) ;;
        1) status=1 ;; # cmocka has said so itself
        *) status=1 && echo "[  FAILED  ] 1 test(s): $name did not end well" ;;
        esac
    done
    return "$status"
}
flaky() { # BACKEND TARGET URL, with PORT in it, GROUPS
    # shellcheck disable=SC2016
    timeout 300 python3 "$servers/flaky.py" "$2" bash -c \
        '"$0" "${1/PORT/$PANG_FLAKY_PORT}" "$2" "$3"' \
        "$PANG_BIN/tests/storage/flaky_$1" "$3" "$PANG_TEST_URL" "$4"
}
# Each test of these has an empty store: a database, or a schema, of its own.
services() { # BACKEND URL, with %n for a number, PROGRAM...
    local backend=$1 url=$2 status=0 program
    shift 2
    for program in "$@"; do
        PANG_TEST_URL=${url/PROGRAM/$program} timeout 300 \
            "$PANG_BIN/tests/server/${program}_$backend" || status=1
    done
    return "$status"
}
case $1 in
--postgres)
    "$PANG_BIN/tests/storage/conformance_postgres"
    status=$?
    PANG_SEEDS=6 timeout 300 "$PANG_BIN/tests/versions/versions_postgres" || status=1
    # What one of these leaves to be done later lies in a folder that the next one has not.
    psql -qd "$PANG_TEST_URL" -c 'DROP SCHEMA public CASCADE; CREATE SCHEMA public' 2>"$PANG_BIN/psql" ||
        cat "$PANG_BIN/psql"
    timeout 300 "$PANG_BIN/tests/versions/together_postgres" || status=1
    for program in watch retain merge_many; do
        psql -qAtd "$PANG_TEST_URL" -c "SELECT 'CREATE SCHEMA $program' || n FROM generate_series(1, 40) AS n" |
            sed 's/$/;/' | psql -qd "$PANG_TEST_URL"
    done
    services postgres "$PANG_TEST_URL&options=-csearch_path%3DPROGRAM%n" watch retain merge_many || status=1
    folder=${PANG_TEST_URL#*host=}
    flaky postgres "unix:${folder%%&*}/.s.PGSQL.5432" \
        postgres://pangolin@127.0.0.1:PORT/postgres 300 || status=1
    exit "$status"
    ;;
--mongodb)
    each_test
    status=$?
    for seed in 1 2 3 4 5 6; do
        PANG_SEED=$seed PANG_SEEDS=1 PANG_STEPS=60 timeout 300 \
            "$PANG_BIN/tests/versions/versions_mongodb" "${PANG_TEST_URL}versions$seed" || status=1
    done
    # The time of a round grows with what is there.
    PANG_ROUNDS=10 timeout 300 "$PANG_BIN/tests/versions/together_mongodb" "${PANG_TEST_URL}together" ||
        status=1
    services mongodb "${PANG_TEST_URL}PROGRAM%n" watch retain || status=1
    port=${PANG_TEST_URL##*127.0.0.1:}
    # The driver waits half a second and more before it looks at a server again that it lost.
    flaky mongodb "tcp:127.0.0.1:${port%%/*}" mongodb://127.0.0.1:PORT/pangolin 80 || status=1
    exit "$status"
    ;;
esac

work=$(mktemp -d)
log=$work/log
trap 'rm -rf "$work"' EXIT
if [ -z "${PANG_BIN:-}" ]; then
    # shellcheck disable=SC2086
    bazel ${PANG_BAZEL_STARTUP:-} build \
        //tests/storage:{conformance,flaky}_{postgres,mongodb} \
        //tests/server:{watch,retain}_{postgres,mongodb} //tests/server:merge_many_postgres \
        //tests/versions:{versions,together}_{postgres,mongodb} || exit 1
    PANG_BIN=bazel-bin
fi
# Copied, since the next build of whomever moves bazel-bin.
mkdir -p "$work"/tests/{server,storage,versions}
cp "$PANG_BIN"/tests/storage/{conformance,flaky}_{postgres,mongodb} "$work/tests/storage/" || exit 1
cp "$PANG_BIN"/tests/versions/{versions,together}_{postgres,mongodb} "$work/tests/versions/" || exit 1
cp "$PANG_BIN"/tests/server/{watch,retain}_{postgres,mongodb} "$PANG_BIN/tests/server/merge_many_postgres" \
    "$work/tests/server/" || exit 1
touch "$log"
broken=0
export PANG_BIN=$work
for name in "$@"; do
    echo "== $name"
    case $name in
    postgres) set -- "$servers/postgres.sh" bash "$self" --postgres ;;
    mongo-java) set -- "$servers/mongo.sh" java bash "$self" --mongodb ;;
    ferretdb) set -- "$servers/mongo.sh" ferretdb bash "$self" --mongodb ;;
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
