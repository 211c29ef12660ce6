"""The bridge's doors: HTTP/1.1, HTTP/2 with and without TLS, certificates that are renewed while it runs,
gzip, CORS, a listener of its own for metrics, and callers that are slow or too talkative. curl and
openssl are the clients."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time

from suite import Suite, load_catalog

import harness

suite = Suite("doors")


class Bridge:
    """A second bridge beside a running pair, with settings of its own."""

    def __init__(self, pangolin, **environment):
        self.port = harness.free_port()
        path = os.path.join(os.path.dirname(os.path.dirname(harness.program())), "bridge",
                            "pangolin-bridge")
        settings = dict(os.environ, PORT=str(self.port), PANGOLIN_DATA_DIR=pangolin.data,
                        PANGOLIN_NO_AUTH="true", **environment)
        self.process = subprocess.Popen([path], env=settings, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True)

    def __enter__(self):
        for _ in range(500):
            if self.process.poll() is not None:
                raise AssertionError("the bridge ended: " + self.process.stderr.read())
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise AssertionError("the bridge does not listen")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 0, done
    return done.stdout


def certificate(folder, name):
    """A self-signed pair; returns paths and the serial number."""
    paths = [os.path.join(folder, name + end) for end in (".crt", ".key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-out", paths[0], "-keyout", paths[1]], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return paths


def serial_of(port):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            der = secured.getpeercert(binary_form=True)
    done = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-serial"], input=der,
                          stdout=subprocess.PIPE, check=True)
    return done.stdout


@suite.test
def both_versions_without_tls(pangolin):
    url = pangolin.uri + "/v1/config?warehouse=demo"
    first = curl("--http1.1", "-w", "\n%{http_version}", url)
    second = curl("--http2-prior-knowledge", "-w", "\n%{http_version}", url)
    assert first.rsplit("\n", 1)[1] == "1.1" and second.rsplit("\n", 1)[1] == "2"
    assert json.loads(first.rsplit("\n", 1)[0]) == json.loads(second.rsplit("\n", 1)[0])
    # Many streams on few connections; Debian's curl cannot do that with prior knowledge.
    many = subprocess.run(["h2load", "-c", "4", "-m", "16", "-n", "2000", url],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                          timeout=30).stdout.decode()
    assert "2000 2xx, 0 3xx, 0 4xx, 0 5xx" in many, many


@suite.test
def tls(pangolin):
    folder = os.path.join(pangolin.data, "tls-test")
    os.makedirs(folder)
    crt, key = certificate(folder, "a")
    with Bridge(pangolin, PANGOLIN_TLS_CERT=crt, PANGOLIN_TLS_KEY=key) as bridge:
        url = "https://localhost:%d/v1/config?warehouse=demo" % bridge.port
        for arguments, version in ((["--http1.1"], "1.1"), (["--http2"], "2"),
                                   (["--tls-max", "1.2"], "2"), (["--tlsv1.3"], "2")):
            out = curl("--cacert", crt, "-w", "\n%{http_version}", *arguments, url)
            assert out.rsplit("\n", 1)[1] == version, (arguments, out)
        old = subprocess.run(["curl", "-sS", "--cacert", crt, "--tls-max", "1.1", url],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=False, timeout=30)
        assert old.returncode != 0, "TLS 1.1 was spoken"
        before = serial_of(bridge.port)
        new_crt, new_key = certificate(folder, "b")
        os.replace(new_crt, crt)
        os.replace(new_key, key)
        bridge.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 5
        while serial_of(bridge.port) == before:
            assert time.monotonic() < until, "the new certificate is not served"
            time.sleep(0.05)
        assert "demo" in curl("--cacert", crt, url)


@suite.test
def gzip(pangolin):
    catalog = load_catalog(pangolin)
    from pyiceberg.schema import Schema
    from pyiceberg.types import LongType, NestedField
    catalog.create_namespace("doors")
    catalog.create_table("doors.wide", Schema(*[
        NestedField(n + 1, "column_%d" % n, LongType()) for n in range(200)]))
    url = pangolin.uri + "/v1/demo/namespaces/doors/tables/wide"
    plain = curl(url)
    head = curl("-D", "-", "-o", "/dev/null", "-H", "Accept-Encoding: gzip", url).lower()
    assert "content-encoding: gzip" in head and "vary: accept-encoding" in head, head
    assert curl("--compressed", url) == plain
    assert "content-encoding" not in curl("-D", "-", "-o", "/dev/null", url).lower()


@suite.test
def cors_when_asked_for(pangolin):
    with Bridge(pangolin, PANGOLIN_CORS_ALLOWED_ORIGINS="https://ui.example") as bridge:
        url = "http://127.0.0.1:%d/v1/config" % bridge.port
        head = curl("-D", "-", "-o", "/dev/null", "-H", "Origin: https://ui.example", url).lower()
        assert "access-control-allow-origin: https://ui.example" in head, head
        head = curl("-D", "-", "-o", "/dev/null", "-H", "Origin: https://evil.example", url).lower()
        assert "access-control-allow-origin" not in head, head
        head = curl("-X", "OPTIONS", "-D", "-", "-o", "/dev/null", "-H",
                    "Origin: https://ui.example", "-H", "Access-Control-Request-Method: POST",
                    "-H", "Access-Control-Request-Headers: authorization", url).lower()
        assert "access-control-allow-methods" in head and "authorization" in head, head


@suite.test
def metrics_of_their_own(pangolin):
    port = harness.free_port()
    with Bridge(pangolin, PANGOLIN_METRICS_ADDRESS="127.0.0.1:%d" % port) as bridge:
        assert "pangolin_" in curl("http://127.0.0.1:%d/metrics" % port)
        status = curl("-o", "/dev/null", "-w", "%{http_code}",
                      "http://127.0.0.1:%d/metrics" % bridge.port)
        assert status == "404", status


@suite.test
def slow_and_large_callers(pangolin):
    with Bridge(pangolin, PANGOLIN_HEADER_TIMEOUT_SECS="1", PANGOLIN_IDLE_TIMEOUT_SECS="2",
                PANGOLIN_MAX_HEADER_BYTES="8KiB") as bridge:
        slow = socket.create_connection(("127.0.0.1", bridge.port), timeout=10)
        slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begin = time.monotonic()
        reply = slow.recv(4096)
        assert reply == b"" or b" 408 " in reply, reply
        assert time.monotonic() - begin < 4, "a slow header may go on"
        slow.close()
        large = curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "X-Large: " + "x" * 9000,
                     "http://127.0.0.1:%d/health/live" % bridge.port)
        assert large == "431", large
        assert curl("-o", "/dev/null", "-w", "%{http_code}",
                    "http://127.0.0.1:%d/health/live" % bridge.port) == "200"


def sample(pangolin, name):
    rows = curl("http://127.0.0.1:%d/metrics" % pangolin.port).splitlines()
    return [float(row.split()[1]) for row in rows if row.startswith(name + " ")][0]


@suite.test
def growth_shows_in_metrics(pangolin):
    commits = 'pangolin_records{kind="commits"}'
    limit = time.monotonic() + 60
    while sample(pangolin, commits) == 0:  # until it has counted once
        assert time.monotonic() < limit, "nothing is counted"
        time.sleep(0.5)
    before = sample(pangolin, commits)
    for number in range(3):
        made = json.dumps({"namespace": ["grown-%d" % number]})
        curl("-H", "Content-Type: application/json", "-d", made,
             "http://127.0.0.1:%d/v1/demo/namespaces" % pangolin.port)
    limit = time.monotonic() + 60
    while sample(pangolin, commits) < before + 3:
        assert time.monotonic() < limit, "%d of %d" % (sample(pangolin, commits), before + 3)
        time.sleep(0.5)
    assert sample(pangolin, 'pangolin_records_bytes{kind="content"}') > 0
    assert sample(pangolin, 'pangolin_records_bytes{kind="asset_history"}') >= 0


@suite.test
def one_connection_many_requests(pangolin):
    with socket.create_connection(("127.0.0.1", pangolin.port), timeout=10) as connection:
        request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(request * 50)
        seen = b""
        while seen.count(b"HTTP/1.1 200") < 50:
            more = connection.recv(65536)
            assert more, "closed after %d replies" % seen.count(b"HTTP/1.1 200")
            seen += more


if __name__ == "__main__":
    suite.main()
