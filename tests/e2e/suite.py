"""A script of end-to-end tests: functions that get a running Pangolin, one after another.

    suite = Suite("pyiceberg_create")

    @suite.test
    def appends(pangolin):
        ...

    suite.main()

Each test has a time limit. The script ends with `N passed, N failed, N skipped`. With
PANG_E2E_PROPERTIES (JSON: the properties of another catalog) the PyIceberg scripts run against that
one instead: what they expect can be held against PyIceberg's own.
"""

import json
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402

TEST_S = 120


class TooLong(Exception):
    pass


class Foreign:
    """Stands in for a Pangolin when another catalog is tested."""

    uri = data = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Suite:
    def __init__(self, name, environment=None, limit_s=TEST_S):
        self.name, self.environment, self.limit_s = name, environment, limit_s
        self.tests = []

    def test(self, function):
        self.tests.append(function)
        return function

    def run_one(self, function, pangolin):
        def too_long(*_):
            raise TooLong("took longer than %d s" % self.limit_s)
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(self.limit_s)
        begin = time.monotonic()
        try:
            function(pangolin)
            print("ok    %s (%.1f s)" % (function.__name__, time.monotonic() - begin), flush=True)
            return True
        except Exception:  # a test may fail in any way
            print("FAIL  %s" % function.__name__)
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            return False
        finally:
            signal.alarm(0)

    def ends(self, pangolin):
        """Stopping is a test too: cleanly, and with nothing that a sanitizer found."""
        if isinstance(pangolin, Foreign):
            return []
        stopped = pangolin.stop()
        findings = pangolin.findings()
        if stopped != 0 or findings:
            print("FAIL  ends with %s\n%s" % (stopped, "\n".join(findings)), flush=True)
        return [stopped == 0 and not findings]

    def main(self):
        chosen = [test for test in self.tests
                  if len(sys.argv) < 2 or any(part in test.__name__ for part in sys.argv[1:])]
        results = []
        foreign = os.environ.get("PANG_E2E_PROPERTIES")
        if not foreign:
            harness.build()
        with Foreign() if foreign else harness.Pangolin(self.name, self.environment) as pangolin:
            for test in chosen:
                results.append(self.run_one(test, pangolin))
            results += self.ends(pangolin)
        failed = results.count(False)
        print("%d passed, %d failed, 0 skipped" % (len(results) - failed, failed))
        sys.exit(1 if failed else 0)


def load_catalog(pangolin, **properties):
    """PyIceberg's catalog over a Pangolin, with what the README tells people to write."""
    from pyiceberg.catalog import load_catalog as load
    foreign = os.environ.get("PANG_E2E_PROPERTIES")
    if foreign:
        return load("demo", **json.loads(foreign))
    return load("demo", **{"type": "rest", "uri": pangolin.uri, "warehouse": "demo", **properties})


def raises(kind, function, *arguments, **named):
    """Calls a function that must raise; returns what it raised."""
    try:
        function(*arguments, **named)
    except kind as error:
        return error
    raise AssertionError("%s was not raised" % kind)
