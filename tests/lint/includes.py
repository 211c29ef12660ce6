"""Who may include whom (design, section 3), and: a third-party header appears in one .c file of a
folder's library or process, so that replacing a library touches one file."""

import collections
import os
import re
import subprocess
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]', re.M)

# folder: folders of ours that it may include. `proto` stands for generated messages.
MAY = {
    "api": {"api"},
    "storage": {"api", "storage"},
    "vending": {"api", "vending"},
    "server": {"api", "proto", "server"},
    "bridge": {"api", "proto", "bridge"},
    "cli": {"api", "proto", "cli"},
    "bench": {"bench", "api", "server"},  # a program that fills a store
    "bazel": set(),
}
OURS = set(MAY) | {"proto", "tests"}

# Where a library may appear at all: prefix of the header, folders.
THIRD_PARTY = {
    "grpc/": {"server", "cli"}, "nghttp2/": {"bridge", "bench"}, "http_parser.h": {"bridge"},
    "openssl/": {"api", "server", "bridge", "vending"}, "curl/": {"vending", "server"},
    "sqlite3.h": {"storage"}, "libpq-fe.h": {"storage"}, "mongoc/": {"storage"},
    "bson/": {"storage"}, "json-c/": {"api"}, "zlib.h": {"api", "server", "bridge", "storage"},
    "zstd.h": {"storage", "server", "api"}, "argon2.h": {"server"}, "snappy-c.h": {"server"},
}
# More than one file of a folder may know these: each says why.
SHARED = {
    # The bridge serves with nghttp2, passes its streams through, and calls the core with it; bench
    # programs stand alone.
    ("bridge", "nghttp2/"): 3, ("bench", "nghttp2/"): 9,
    # Listening with TLS, digests, seals, and keys of other issuers are different parts of OpenSSL.
    ("bridge", "openssl/"): 2, ("server", "openssl/"): 3, ("api", "openssl/"): 1,
}


def folder_of(header):
    if header.startswith(("pangolin/v1/", "grpc/health/", "grpc/reflection/")) or \
            header.endswith(".pb-c.h"):
        return "proto"
    first = header.split("/")[0]
    return first if first in OURS and "/" in header else None


def main():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.c",
                            "*.h"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    findings, users = [], collections.defaultdict(set)
    for path in files:
        folder = path.split("/")[0]
        if folder not in MAY or path.startswith("bazel/third_party") or not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as text:
            headers = INCLUDE.findall(text.read())
        for header in headers:
            ours = folder_of(header)
            if ours and ours not in MAY[folder]:
                findings.append("%s: %s must not include %s" % (path, folder, header))
            library = next((p for p in THIRD_PARTY if header.startswith(p)), None)
            if not library or ours:
                continue
            if folder not in THIRD_PARTY[library]:
                findings.append("%s: %s does not belong in %s/" % (path, header, folder))
            if path.endswith(".h") and not path.endswith("_internal.h"):
                findings.append("%s: a third-party header in a header of ours" % path)
            users[folder, library].add(path)
    for key, paths in users.items():
        if len(paths) > SHARED.get(key, 1):
            findings.append("%s is included by %s" % (key[1], ", ".join(sorted(paths))))
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
