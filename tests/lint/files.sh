# Sourced: the project's own C files, as git knows them (with new ones that are not ignored).
c_files() {
    git ls-files --cached --others --exclude-standard -- "${@:-*.c}" | grep -v '^bazel/third_party/' |
        while read -r file; do [ -f "$file" ] && echo "$file"; done
}
