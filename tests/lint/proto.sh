#!/usr/bin/env bash
# buf lint over proto/, and no breaking change since the newest release tag, or since the first commit
# that had a description where there is no tag. A clone without history has nothing to compare with.
set -uo pipefail
python3 tests/pyenv.py || exit 1
buf=.cache/venv/bin/buf
export BUF_CACHE_DIR=$PWD/.cache/buf
failed=0
$buf lint proto || failed=1

base=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null) ||
    base=$(git log --reverse --format=%H -- proto/buf.yaml 2>/dev/null | head -n 1)
if [ -z "$base" ] || [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    echo "no history to compare proto/ with"
    exit $failed
fi
old=$(mktemp -d)
trap 'rm -r "$old"' EXIT
git archive "$base" proto 2>/dev/null | tar -x -C "$old" || exit $failed
[ -f "$old/proto/buf.yaml" ] || cp proto/buf.yaml "$old/proto/"
$buf breaking proto --against "$old/proto" || failed=1
exit $failed
