#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own and stops that when the command ends:
#     tests/servers/postgres.sh COMMAND...
# The command finds PANG_TEST_URL set, and in PANG_POSTGRES_DATA the folder of the cluster. Nothing
# but a unix socket in a temporary folder is listened on. PostgreSQL refuses to run as root, so root
# runs it as the user `postgres`, which the package makes.
set -euo pipefail

if [ $# -eq 0 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [ -z "$bin" ] || [ ! -x "$bin/initdb" ]; then
    echo "PostgreSQL is not installed (package postgresql)" >&2
    exit 3
fi
folder=$(mktemp -d /tmp/pang-postgres-XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
    chown postgres:postgres "$folder"
    as=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
stop() {
    "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -m immediate -w -t 20 stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

cd "$folder"
"${as[@]}" "$bin/initdb" -D "$folder/data" -U pangolin -A trust -E UTF8 --locale=C.UTF-8 \
    >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 3; }
cat >>"$folder/data/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$folder'
max_connections = 60
shared_buffers = 64MB
log_min_messages = warning
CONF
if ! "${as[@]}" "$bin/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t 60 start \
    >>"$folder/log" 2>&1; then
    cat "$folder/log" "$folder/server.log" >&2
    exit 3
fi
export PANG_TEST_URL="postgres:///postgres?host=$folder&user=pangolin"
export PANG_POSTGRES_DATA="$folder/data"
cd - >/dev/null
# In the background, so that a signal is heard at once.
"$@" &
command=$!
trap 'kill "$command" 2>/dev/null; exit 130' INT TERM
status=0
wait "$command" || status=$?
exit "$status"
