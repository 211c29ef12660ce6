#!/usr/bin/env bash
# buf lint over proto/, and no breaking change since proto/baseline.binpb: what the last release
# described, for clients (pangolin/v1) and for stores that must open again (pangolin/store).
# `proto.sh --baseline` writes that file; a release does it, nothing else.
set -uo pipefail
python3 tests/pyenv.py || exit 1
buf=.cache/venv/bin/buf
export BUF_CACHE_DIR=$PWD/.cache/buf
if [ "${1:-}" = --baseline ]; then
    exec $buf build proto -o proto/baseline.binpb
fi
failed=0
$buf lint proto || failed=1
if [ -f proto/baseline.binpb ]; then
    $buf breaking proto --against proto/baseline.binpb || failed=1
else
    echo "there is no proto/baseline.binpb to compare with"
fi
exit $failed
