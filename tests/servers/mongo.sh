#!/usr/bin/env bash
# Runs a command beside a server that speaks MongoDB's wire and stops that when the command ends:
#     tests/servers/mongo.sh java|ferretdb COMMAND...
# The command finds PANG_TEST_URL set. The server listens on 127.0.0.1 only, on a free port, and
# keeps its data in memory (java) or in a temporary folder (ferretdb).
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=$(cd "$here/../.." && pwd)/.cache/servers

if [ $# -lt 2 ]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
kind=$1
shift
bash "$here/install.sh" "$kind"
folder=$(mktemp -d /tmp/pang-mongo-XXXXXX)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# In place of the shell, so that what is stopped is the server.
case $kind in
java) exec java -Xmx1g -cp "$cache/mongo-java:$cache/mongo-java/jars/*" Server "$port" ;;
ferretdb) exec "$cache/ferretdb" "$port" "$folder" ;;
*) exit 2 ;;
esac >"$folder/log" 2>&1 &
server=$!
stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

for _ in $(seq 300); do
    if ! kill -0 "$server" 2>/dev/null; then
        cat "$folder/log" >&2
        exit 3
    fi
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.1
done
export PANG_TEST_URL="mongodb://127.0.0.1:$port/pangolin"
# In the background, so that a signal is heard at once.
"$@" &
command=$!
trap 'kill "$command" 2>/dev/null; exit 130' INT TERM
status=0
wait "$command" || status=$?
exit "$status"
