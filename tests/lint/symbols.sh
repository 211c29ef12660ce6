#!/usr/bin/env bash
# The programs as they ship: no symbol that could take the place of one in libgrpc's own upb, and the
# hardening that bazel/rules.bzl asks for is really there.
set -uo pipefail
failed=0 seen=0
for program in bazel-bin/server/pangolin-server bazel-bin/bridge/pangolin-bridge bazel-bin/cli/pangolin; do
    [ -x "$program" ] || continue
    seen=1
    if nm -D --defined-only "$program" 2>/dev/null | grep -E ' _?upb_| google_protobuf_'; then
        echo "$program exports symbols of upb"
        failed=1
    fi
    headers=$(readelf -Wlhd "$program")
    grep -q 'Type:.*DYN' <<<"$headers" || { echo "$program is not position independent"; failed=1; }
    grep -q 'GNU_RELRO' <<<"$headers" || { echo "$program has no RELRO"; failed=1; }
    grep -Eq 'BIND_NOW|Flags:.*NOW' <<<"$headers" || { echo "$program binds lazily"; failed=1; }
    grep 'GNU_STACK' <<<"$headers" | grep -q 'RWE' && { echo "$program has an executable stack"; failed=1; }
    grep -Eq 'RPATH' <<<"$headers" && { echo "$program has an RPATH"; failed=1; }
    grep -q '__stack_chk_fail' <<<"$(nm -D "$program")" || { echo "$program has no stack protector"; failed=1; }
done
[ $seen = 1 ] || exit 77
exit $failed
