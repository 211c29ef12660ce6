"""Runs scripted REST requests against a real server and bridge. Standard library only.

    run.py [PART-OF-A-NAME...]     all scripts, or those whose path contains one of the parts

A script is a list of exchanges (README.md beside this file says it with examples):

    POST /v1/${catalog}/namespaces
    Content-Type: application/json

    {"namespace": ["${ns}"]}

    => 200
    ETag: *
    let location = properties.location
    {"namespace": ["${ns}"], "properties": {"location": "file:*"}}

Each script has a namespace of its own (${ns}), so all of them share one pair of processes. Beside
what scripts expect, every reply is checked for what holds everywhere, and at the end: no route of
proto/ was left out, and neither process has more descriptors open than before.
"""

import base64
import fnmatch
import glob
import http.client
import json
import os
import re
import sys
import time
import urllib.parse
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
METHOD = re.compile(r"^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\S.*)$")
HEADER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):\s?(.*)$")
LET = re.compile(r"^let (\w+) = (.+)$")
ABSENT = "<absent>"
MORE = "..."
TIMEOUT_S = 20
# A thread opens its files when it is first needed; a request that leaks would show 500 times.
LAZY_FILES = 12
ICEBERG_ERROR = {"message", "type", "code"}
SIGNED_IN = os.sep + "90-signed-in" + os.sep
ROOT = {"root_password": "root of all these scripts", "password": "a password that is long enough"}
ROOT["root_basic"] = "Basic " + base64.b64encode(b"root:" + ROOT["root_password"].encode()).decode()
AUTHENTICATION = {"PANGOLIN_NO_AUTH": "false", "PANGOLIN_ROOT_USER": "root",
                  "PANGOLIN_ROOT_PASSWORD": ROOT["root_password"],
                  "PANGOLIN_AUTH_RATE_LIMIT": "0"}


class Mismatch(Exception):
    pass


class Exchange:
    """One request with what is expected of its reply; `line` is where it stands."""

    def __init__(self, line, method, target):
        self.line, self.method, self.target = line, method, target
        self.headers, self.body = [], []
        self.status, self.expect_headers, self.lets, self.expect = None, [], [], []


def parse(path):
    exchanges, state = [], None
    with open(path, encoding="utf-8") as script:
        for number, line in enumerate(script, 1):
            line = line.rstrip("\n")
            if line.startswith("#"):
                continue
            start = METHOD.match(line)
            if start and state != "body":
                exchanges.append(Exchange(number, start.group(1), start.group(2)))
                state = "headers"
            elif line.startswith("=> "):
                exchanges[-1].status = line[3:].strip()
                state = "expect-headers"
            elif state in ("headers", "expect-headers") and HEADER.match(line) and \
                    not line.startswith("text:"):
                kept = exchanges[-1].headers if state == "headers" else \
                    exchanges[-1].expect_headers
                kept.append(HEADER.match(line).groups())
            elif LET.match(line) and state in ("expect-headers", "expect"):
                exchanges[-1].lets.append(LET.match(line).groups())
            elif state in ("headers", "body"):
                state = "body"  # an empty line ends the headers, too
                if line.strip():
                    exchanges[-1].body.append(line)
            elif line.strip():
                state = "expect"
                exchanges[-1].expect.append(line)
    for exchange in exchanges:
        if exchange.status is None:
            raise Mismatch("%s:%d: a request without =>" % (path, exchange.line))
    return exchanges


class Values:
    """The ${names} of one script."""

    def __init__(self, **known):
        self.known = known

    def fill(self, text):
        def value(match):
            name = match.group(1)
            if name == "uuid7":
                return uuid7()
            if name.startswith("repeat:"):
                _, count, what = name.split(":", 2)
                return what * int(count)
            if name not in self.known:  # a misspelt name must not pass as text
                raise Mismatch("no value ${%s}" % name)
            return str(self.known[name])
        return re.sub(r"\$\{([^}]+)\}", value, text)


def uuid7():
    bits = (int(time.time() * 1000) << 80) | (uuid.uuid4().int & ((1 << 80) - 1))
    bits = bits & ~(0xF << 76) | (7 << 76)
    return str(uuid.UUID(int=bits & ~(3 << 62) | (2 << 62)))


def matches(pattern, text):
    """`*` stands for anything; nothing else is special."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.S) is not None


def compare(expected, got, where, values):
    """Raises Mismatch unless `got` is what is expected. Objects may have more members; arrays may
    not, unless the expected one ends with "..."."""
    if isinstance(expected, str):
        expected = values.fill(expected)
        if expected == "*":
            return
        if not isinstance(got, str) or not matches(expected, got):
            raise Mismatch("%s: expected %r, got %s" % (where, expected, json.dumps(got)))
    elif isinstance(expected, dict):
        if not isinstance(got, dict):
            raise Mismatch("%s: expected an object, got %s" % (where, json.dumps(got)))
        for key, inner in expected.items():
            key = values.fill(key)
            if inner == ABSENT:
                if key in got:
                    raise Mismatch("%s.%s must be absent" % (where, key))
            elif key not in got:
                raise Mismatch("%s.%s is missing in %s" % (where, key, json.dumps(got)[:400]))
            else:
                compare(inner, got[key], "%s.%s" % (where, key), values)
    elif isinstance(expected, list):
        open_end = bool(expected) and expected[-1] == MORE
        wanted = expected[:-1] if open_end else expected
        if not isinstance(got, list) or len(got) < len(wanted) or \
                (len(got) > len(wanted) and not open_end):
            raise Mismatch("%s: expected %s, got %s" %
                           (where, json.dumps(expected), json.dumps(got)[:600]))
        for at, inner in enumerate(wanted):
            compare(inner, got[at], "%s[%d]" % (where, at), values)
    elif type(expected) is not type(got) or expected != got:
        raise Mismatch("%s: expected %s, got %s" %
                       (where, json.dumps(expected), json.dumps(got)[:200]))


def dig(value, path):
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def strict_json(text):
    """Parses JSON and refuses members that occur twice."""
    def members(pairs):
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise Mismatch("a member occurs twice in the reply: %s" % keys)
        return dict(pairs)
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=members)
    except ValueError as error:
        raise Mismatch("the reply is not JSON (%s): %r" % (error, text[:300])) from error


class Client:
    """One connection, opened again when the other side closed it."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def send(self, method, target, headers, body):
        for attempt in (0, 1):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                             timeout=TIMEOUT_S)
                attempt = 1
            try:
                self.connection.putrequest(method, target, skip_accept_encoding=True)
                for name, value in headers:
                    self.connection.putheader(name, value.encode("latin-1", "surrogateescape"))
                self.connection.endheaders(body)
                reply = self.connection.getresponse()
                content = reply.read()
                if reply.will_close:
                    self.close()
                return reply, content
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                if attempt == 1:
                    raise

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def body_of(exchange, values):
    """The bytes to send. `raw:` takes the rest as it stands, with Python's \\x escapes."""
    if not exchange.body:
        return None
    text = "\n".join(exchange.body)
    if text.startswith("raw:"):
        return values.fill(text[4:]).encode("utf-8").decode("unicode_escape").encode("latin-1")
    return values.fill(text).encode("utf-8")


def check_management_error(status, content):
    error = strict_json(content)
    if not isinstance(error, dict) or not isinstance(error.get("error"), str) or not error.get("type"):
        raise Mismatch("not an error of the management API: %r" % content[:300])
    if error.get("code") != status:
        raise Mismatch("code %r under status %d" % (error.get("code"), status))


def check_oauth_error(content):
    error = strict_json(content)
    if not isinstance(error.get("error"), str) or not error.get("error_description"):
        raise Mismatch("not an error of RFC 6749: %r" % content[:300])


def check_everywhere(exchange, reply, content):
    """What holds for every reply."""
    if exchange.method == "HEAD" and content:
        raise Mismatch("a HEAD with a body")
    if reply.status in (204, 304) and content:
        raise Mismatch("a %d with a body" % reply.status)
    # What could not be read as a request has no id.
    if reply.status not in (414, 431) and not reply.getheader("x-request-id"):
        raise Mismatch("a reply without X-Request-Id")
    if reply.status >= 400 and exchange.target.endswith("/oauth/tokens"):
        check_oauth_error(content)
    elif reply.status >= 400 and exchange.method != "HEAD" and exchange.target.startswith("/v1/"):
        error = strict_json(content).get("error")
        if not isinstance(error, dict) or not ICEBERG_ERROR <= set(error):
            raise Mismatch("not an Iceberg error: %r" % content[:300])
        if error["code"] != reply.status:
            raise Mismatch("error.code %r under status %d" % (error["code"], reply.status))
    elif reply.status >= 400 and exchange.method != "HEAD" and \
            exchange.target.startswith("/api/v1/"):
        check_management_error(reply.status, content)


def run_exchange(client, exchange, values):
    headers = [(name, values.fill(value)) for name, value in exchange.headers]
    names = {name.lower() for name, _ in headers}
    body = body_of(exchange, values)
    if body is not None:
        if "content-type" not in names:
            headers.append(("Content-Type", "application/json"))
        if "content-length" not in names:
            headers.append(("Content-Length", str(len(body))))
    elif exchange.method in ("POST", "PUT"):
        headers.append(("Content-Length", "0"))
    reply, content = client.send(exchange.method, values.fill(exchange.target), headers, body)
    if not matches(exchange.status, str(reply.status)):
        raise Mismatch("expected %s, got %d %s" % (exchange.status, reply.status, content[:500]))
    check_everywhere(exchange, reply, content)
    for name, pattern in exchange.expect_headers:
        got = reply.getheader(name)
        if pattern == ABSENT:
            if got is not None:
                raise Mismatch("header %s: %s must be absent" % (name, got))
        elif got is None or not matches(values.fill(pattern), got):
            raise Mismatch("header %s: expected %s, got %s" % (name, values.fill(pattern), got))
    check_body(exchange, reply, content, values)


def check_body(exchange, reply, content, values):
    expect = "\n".join(exchange.expect)
    if expect == "empty":
        if content:
            raise Mismatch("expected an empty body, got %r" % content[:300])
    elif expect.startswith("text:"):
        if not matches(values.fill(expect[5:].strip()), content.decode("utf-8").strip()):
            raise Mismatch("expected text %s, got %r" % (expect[5:], content[:300]))
    elif expect:
        got = strict_json(content)
        compare(json.loads(expect), got, "$", values)
    for name, path in exchange.lets:
        if path.startswith("header "):
            values.known[name] = reply.getheader(path[7:])
        else:
            values.known[name] = dig(strict_json(content), path)


def run_script(path, server, turn, more):
    """Returns None, or a text that says what went wrong where."""
    stem = re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0])
    area = os.path.basename(os.path.dirname(path))[:2]
    values = Values(ns="r%d_%s_%s" % (turn, area, stem), catalog="demo", uri=server.uri,
                    k3="%03x" % turn, now_ms=int(time.time() * 1000), **more)
    client = Client(server.port)
    exchange = None
    try:
        for exchange in parse(path):
            run_exchange(client, exchange, values)
            SEEN.append((exchange.method, values.fill(exchange.target)))
        return None
    except (Mismatch, OSError, http.client.HTTPException, KeyError, IndexError,
            ValueError) as error:
        at = exchange.line if exchange else 0
        return "%s:%d: %s: %s" % (os.path.relpath(path, HERE), at, type(error).__name__, error)
    finally:
        client.close()


SEEN = []


def routes():
    """(verb, template) of every route in the description."""
    found = []
    for path in glob.glob(os.path.join(harness.ROOT, "proto", "pangolin", "v1", "*.proto")):
        with open(path, encoding="utf-8") as text:
            proto = text.read()
        for verb, template in re.findall(r'\b(get|post|put|patch|delete): "(/[^"]+)"', proto):
            found.append((verb.upper(), template))
        for verb, template in re.findall(r'custom \{ kind: "(\w+)" path: "(/[^"]+)"', proto):
            found.append((verb, template))
    return found


def unvisited():
    """Routes that no script asked for."""
    left = []
    for verb, template in routes():
        pattern = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template)))
        if not any(method == verb and pattern.fullmatch(target.split("?")[0])
                   for method, target in SEEN):
            left.append("%s %s" % (verb, template))
    return left


def leaked(server, before):
    """Descriptors that a process has more than before; connections get a moment to go."""
    for _ in range(50):
        now = {part: harness.open_files(server.pid(part)) for part in before}
        more = {part: now[part] - before[part] for part in now
                if now[part] > before[part] + LAZY_FILES}
        if not more:
            return None
        time.sleep(0.1)
    return "left open: %s" % more


def find_warehouse(server):
    """Where the catalog's files go: the parent of a namespace's default location."""
    client, body = Client(server.port), b'{"namespace":["located"]}'
    _, content = client.send("POST", "/v1/demo/namespaces", [
        ("Content-Type", "application/json"), ("Content-Length", str(len(body)))], body)
    client.close()
    assert b"location" in content, content
    return json.loads(content)["properties"]["location"].rsplit("/", 1)[0]


def turns(name, scripts, environment, more):
    """Runs scripts against a server of their own, twice: what a second turn leaves open was not
    just made ready by the first. `more` makes further values of the server. Returns failures."""
    failures = []
    with harness.Pangolin(name, environment) as server:
        values = more(server)
        for turn in (1, 2):
            before = {part: harness.open_files(server.pid(part)) for part in ("server", "bridge")}
            for path in scripts:
                failure = run_script(path, server, turn, values)
                if failure and turn == 1:
                    print("FAIL  " + failure, flush=True)
                    failures.append(failure)
                elif failure and not failures:
                    print("FAIL  in the second turn: " + failure, flush=True)
                    failures.append(failure)
        leak = leaked(server, before)
        stopped = server.stop()
        ended = ["pangolin up ended with %s" % stopped] if stopped else []
        for failure in ([leak] if leak else []) + ended + server.findings():
            failures.append(failure)
            print("FAIL  " + failure, flush=True)
    return failures


def main():
    parts = sys.argv[1:]
    scripts = [path for path in sorted(glob.glob(os.path.join(HERE, "*", "*.rest")))
               if not parts or any(part in path for part in parts)]
    signed_in = [path for path in scripts if SIGNED_IN in path]
    harness.build()
    failures = turns("rest", [path for path in scripts if path not in signed_in], {},
                     lambda server: {"warehouse": find_warehouse(server)})
    if signed_in:
        failures += turns("rest-signed-in", signed_in, AUTHENTICATION, lambda _: ROOT)
    for route in [] if parts else unvisited():
        print("FAIL  no script for " + route, flush=True)
        failures.append(route)
    checks = len(scripts) + (0 if parts else 1) + (4 if signed_in else 2)
    failed = min(len(failures), checks)
    print("%d passed, %d failed, 0 skipped" % (checks - failed, failed))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
