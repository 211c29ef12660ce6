#!/usr/bin/env bash
# Runs every check of this folder, two at a time, and ends with `N passed, N failed, N skipped`.
#     run.sh [NAME...]      only checks whose names are given (without the number of their kind)
# A check is a program that prints findings and exits with 1 when there are any, 77 to be skipped.
set -uo pipefail
cd "$(dirname "$0")/../.."

checks=(format.sh tidy.sh cppcheck.sh includes.py sizes.py words.py headers.sh symbols.sh proto.sh
    tables.py)
if [ $# -gt 0 ]; then
    checks=("$@")
fi

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

run_one() {
    local check=$1 begin=$SECONDS code=0
    case $check in
    *.py) timeout 500 python3 "tests/lint/$check" >"$scratch/$check" 2>&1 || code=$? ;;
    *) timeout 500 bash "tests/lint/$check" >"$scratch/$check" 2>&1 || code=$? ;;
    esac
    echo "$code $((SECONDS - begin))" >"$scratch/$check.code"
}

# The slow ones need what Bazel generates, and Bazel runs once at a time anyway: it comes first.
bash tests/lint/prepare.sh >"$scratch/prepare" 2>&1 || { cat "$scratch/prepare"; }
for check in "${checks[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        wait -n
    done
    run_one "$check" &
done
wait

passed=0 failed=0 skipped=0
for check in "${checks[@]}"; do
    read -r code seconds <"$scratch/$check.code"
    case $code in
    0) passed=$((passed + 1)) word=ok ;;
    77) skipped=$((skipped + 1)) word=skipped ;;
    *) failed=$((failed + 1)) word=FAIL ;;
    esac
    echo "$word $check ($seconds s)"
    if [ "$word" != ok ]; then
        head -n 200 "$scratch/$check"
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
