# What ./dev is made of. Sourced by it, from the top of the tree.

# The programs that `up` starts and the image holds.
PROGRAMS=(//server:pangolin-server //bridge:pangolin-bridge //cli:pangolin)

# Bazel with the machine's own startup flags, if any (say, another output base for a second copy).
run_bazel() {
    local startup=()
    read -r -a startup <<<"${PANG_BAZEL_STARTUP:-}"
    bazel ${startup[@]+"${startup[@]}"} "$@"
}

# Names of the packages of a group that are not installed. `test` includes `build`.
missing_packages() {
    local group=$1 wanted
    wanted=$(awk -v group="$group" \
        '$1 == "build" || (group == "test" && $1 == "test") { print $2 }' bazel/packages.txt)
    # shellcheck disable=SC2086
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
        awk '$2 == "installed" { print $1 }' | sort -u >"$scratch/have" || true
    tr ' ' '\n' <<<"$wanted" | sort -u | comm -23 - "$scratch/have"
}

# Installs what is missing; asks nothing and does nothing when all is there.
need_packages() {
    local missing
    scratch=$(mktemp -d)
    missing=$(missing_packages "$1")
    rm -r "$scratch"
    if [ -z "$missing" ]; then
        return
    fi
    # shellcheck disable=SC2086
    set -- $missing
    if [ "$(id -u)" != 0 ]; then
        echo "Some packages are missing. Install them with" >&2
        echo "    sudo apt-get update && sudo apt-get install --no-install-recommends $*" >&2
        exit 1
    fi
    echo "Installing $# packages: $*" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update >&2
    apt-get -qq install --no-install-recommends -y "$@" >&2
}

write_compdb() {
    run_bazel aquery --output=jsonproto --include_artifacts=false \
        'mnemonic("CppCompile", //...)' 2>/dev/null | python3 bazel/compdb.py
}
