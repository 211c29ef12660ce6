"""The rules of this project: C libraries, binaries, tests, fuzz targets with one list of flags."""

# Strict: warnings are errors. The hardening flags are those of the shipped binaries; tests are
# built with them too, so that what is tested is what runs.
PANG_COPTS = [
    "-std=c11",
    "-D_GNU_SOURCE",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wold-style-definition",
    "-Wwrite-strings",
    "-Wvla",
    "-Wformat=2",
    "-Werror",
    "-fno-common",
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-fcf-protection",
    "-fvisibility=hidden",
]

# Kept out of sanitized builds, which see more without: a zeroed variable hides that it was not set.
HARDENED = select({
    "//bazel:sanitized": [],
    "//bazel:optimized": [
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=3",
        "-ftrivial-auto-var-init=zero",
    ],
    "//conditions:default": ["-ftrivial-auto-var-init=zero"],
})

PANG_LINKOPTS = ["-Wl,-z,relro,-z,now", "-Wl,--as-needed", "-Wl,--exclude-libs,ALL"]

# Generated code keeps its own style.
GENERATED_COPTS = ["-std=c11", "-D_GNU_SOURCE", "-w", "-fvisibility=hidden"]

def pang_cc_library(name, copts = [], **kwargs):
    """A C library. Private unless `visibility` says more."""
    native.cc_library(
        name = name,
        copts = PANG_COPTS + HARDENED + copts,
        linkstatic = 1,
        **kwargs
    )

def pang_cc_binary(name, copts = [], linkopts = [], **kwargs):
    """A program: position independent, read-only relocations."""
    native.cc_binary(
        name = name,
        copts = PANG_COPTS + HARDENED + copts,
        linkopts = PANG_LINKOPTS + ["-pie"] + linkopts,
        **kwargs
    )

def pang_cc_test(name, deps = [], size = "small", copts = [], **kwargs):
    """A cmocka program. Its lines `[  PASSED  ]` are what ./dev test counts."""
    native.cc_test(
        name = name,
        copts = PANG_COPTS + HARDENED + copts,
        linkopts = ["-Wl,--as-needed"],
        linkstatic = 1,
        size = size,
        deps = deps + ["@sys//:cmocka"],
        **kwargs
    )

def pang_fuzz_test(name, srcs, corpus, deps = [], **kwargs):
    """A fuzz target: replays its corpus as a plain test, and is a libFuzzer program under
    --config=fuzz (./dev fuzz). `srcs` defines LLVMFuzzerTestOneInput."""
    native.cc_test(
        name = name,
        srcs = srcs + ["//tests/fuzz:replay.c"],
        copts = PANG_COPTS + ["-Wno-missing-prototypes"],
        linkstatic = 1,
        size = "small",
        data = corpus,
        args = ["$(rootpaths %s)" % c for c in corpus],
        deps = deps,
        **kwargs
    )
    native.cc_binary(
        name = name + "_fuzz",
        srcs = srcs,
        copts = PANG_COPTS + ["-Wno-missing-prototypes"],
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        testonly = 1,
        deps = deps,
    )
