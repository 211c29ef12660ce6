"""Starting and stopping: quickly, cleanly, with data that stays, and refusing what must be refused."""

import os
import subprocess
import urllib.error
import urllib.request

from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField
from suite import Suite, load_catalog

import harness

suite = Suite("start")


@suite.test
def data_stays(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace("stays")
    made = catalog.create_table("stays.t", Schema(NestedField(1, "id", LongType())))
    assert pangolin.stop() == 0, "Ctrl-C is a clean end"
    assert not os.path.exists(pangolin.socket)
    pangolin.start()
    seen = load_catalog(pangolin).load_table("stays.t")
    assert seen.metadata_location == made.metadata_location
    assert seen.metadata.table_uuid == made.metadata.table_uuid


@suite.test
def readme_example(pangolin):
    """What `up` prints works when pasted."""
    with open(pangolin.log, encoding="utf-8", errors="replace") as log:
        text = log.read()
    assert "ready in" in text and pangolin.uri in text, text[-2000:]
    assert "warehouse" in text and "demo" in text


@suite.test
def two_side_by_side(pangolin):
    with harness.Pangolin("start-second") as second:
        load_catalog(second).create_namespace("only_here")
        assert ("only_here",) not in load_catalog(pangolin).list_namespaces()


def says_why(output, name):
    """Whoever could not start says why in one line; the last line leads to it."""
    lines = output.splitlines()
    reasons = [line for line in lines if "cannot start" in line]
    assert len(reasons) == 1 and reasons[0].startswith(name + ": cannot start: "), output
    assert lines[-1].startswith("pangolin: stopped, since " + name), output


@suite.test
def second_server_on_one_folder(pangolin):
    environment = dict(os.environ, PORT=str(harness.free_port()), PANGOLIN_DATA_DIR=pangolin.data)
    environment.pop("DATABASE_URL", None)
    done = subprocess.run([harness.program(), "up"], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
                          check=False)
    assert done.returncode == 2, done
    says_why(done.stdout, "pangolin-server")
    assert pangolin.status("/health/ready") == 200


@suite.test
def bad_configuration(pangolin):
    for name, value in (("PORT", "eighty"), ("DATABASE_URL", "oracle://x"), ("PORT", "99999")):
        environment = dict(os.environ, PORT=str(harness.free_port()),
                           PANGOLIN_DATA_DIR=pangolin.data + "-bad")
        environment[name] = value
        done = subprocess.run([harness.program(), "up"], env=environment, stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True,
                              timeout=30, check=False)
        assert done.returncode == 2, (name, value, done)
        assert done.stdout.strip(), "no word about why"
        assert name != "DATABASE_URL" or "mongodb://" in done.stdout, "the kinds are not named"


@suite.test
def port_taken(pangolin):
    environment = dict(os.environ, PORT=str(pangolin.port),
                       PANGOLIN_DATA_DIR=pangolin.data + "-taken")
    environment.pop("DATABASE_URL", None)
    done = subprocess.run([harness.program(), "up"], env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30,
                          check=False)
    assert done.returncode == 2, done
    says_why(done.stdout, "pangolin-bridge")
    assert "127.0.0.1 port %d" % pangolin.port in done.stdout and "PORT=" in done.stdout, done


@suite.test
def only_loopback_without_authentication(pangolin):
    environment = dict(os.environ, PORT=str(harness.free_port()), PANGOLIN_BIND_ADDRESS="0.0.0.0",
                       PANGOLIN_DATA_DIR=pangolin.data + "-open")
    environment.pop("DATABASE_URL", None)
    process = subprocess.Popen([harness.program(), "up"], env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=20)
        assert process.returncode == 2 and "loopback" in output, output
    finally:
        if process.poll() is None:
            process.kill()


@suite.test
def versions(pangolin):
    for name in ("cli/pangolin", "server/pangolin-server", "bridge/pangolin-bridge"):
        path = os.path.join(os.path.dirname(os.path.dirname(harness.program())), name)
        done = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True, timeout=10,
                              stdin=subprocess.DEVNULL, check=True)
        assert done.stdout.split()[0] == os.path.basename(name), done.stdout
        done = subprocess.run([path, "--help"], stdout=subprocess.PIPE, text=True, timeout=10,
                              stdin=subprocess.DEVNULL, check=True)
        assert "usage" in done.stdout.lower()
        done = subprocess.run([path, "--no-such-option"], stdout=subprocess.PIPE, timeout=10,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 2, done


@suite.test
def lost_file_is_noticed(pangolin):
    catalog = load_catalog(pangolin)
    catalog.create_namespace("lost")
    made = catalog.create_table("lost.t", Schema(NestedField(1, "id", LongType())))
    os.unlink(made.metadata_location.removeprefix("file://"))
    try:
        urllib.request.urlopen(pangolin.uri + "/v1/demo/namespaces/lost/tables/t", timeout=10)
        raise AssertionError("a table without its metadata file was loaded")
    except urllib.error.HTTPError as error:
        assert error.code == 404 and b"NotFoundException" in error.read()


if __name__ == "__main__":
    suite.main()
