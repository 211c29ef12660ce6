#!/usr/bin/env bash
# Every header of api/ compiles alone, as C and as C++: a caller needs to know nothing else first.
set -uo pipefail
source tests/lint/files.sh
failed=0
# Where generated headers are, as the build itself says.
mapfile -t generated < <(python3 - <<'PYTHON'
import json
flags = set()
for entry in json.load(open("compile_commands.json")):
    arguments = entry["arguments"]
    for at, argument in enumerate(arguments):
        if argument in ("-isystem", "-I", "-iquote"):
            flags.add("-I" + arguments[at + 1])
        elif argument.startswith(("-I", "-isystem/")):
            flags.add(argument.replace("-isystem", "-I"))
print("\n".join(sorted(flags)))
PYTHON
)
for header in $(c_files 'api/*.h'); do
    gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I. \
        -x c -include "$header" /dev/null || failed=1
    g++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -I. -x c++ -include "$header" /dev/null ||
        failed=1
done
for header in $(c_files 'server/*.h' 'bridge/*.h' 'storage/*.h' 'vending/*.h' 'cli/*.h' 'bench/*.h'); do
    gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -I. "${generated[@]}" \
        -x c -include "$header" /dev/null || failed=1
done
exit $failed
