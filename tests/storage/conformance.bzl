"""One conformance program per backend."""

load("//bazel:rules.bzl", "pang_cc_test")

def storage_conformance(name, url, ops = None, backend = None, tags = [], **kwargs):
    """The suite of //tests/storage:conformance over `url`.

    Args:
      name: of the test.
      url: of the store; "%t" in it is the test's temporary folder.
      ops: the backend's table, say "pang_sqlite_ops"; None for memory.
      backend: the library that defines it, say "//storage:sqlite".
      tags: more tags than "threads", which puts it into the thread sanitizer's lane.
      **kwargs: as of pang_cc_test.
    """
    pang_cc_test(
        name = name,
        srcs = ["conformance_main.c", "stores_one.c"],
        copts = ["-DPANG_TEST_OPS=" + ops] if ops else [],
        args = [url],
        tags = tags + ["threads"],
        deps = [
            ":conformance",
            "//storage:faulty",
            "//storage:memory",
            "//storage:store",
        ] + ([backend] if backend else []),
        **kwargs
    )
