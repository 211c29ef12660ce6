"""Signing in, with real processes: the first start's code, root, a tenant with its administrator, a
user and a service user, and each credential used on an Iceberg route; what ends, ends at once; a
catalog that was begun without authentication keeps its data; root is reset on the host."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402
from suite import Suite  # noqa: E402

from callers import Caller, basic, bearer  # noqa: E402

ROOT_PASSWORD = "a horse for root"
PASSWORD = "correct horse"
SCHEMA = {"type": "struct", "fields": [
    {"id": 1, "name": "id", "required": False, "type": "long"}]}
WITH = {"PANGOLIN_NO_AUTH": "false", "PANGOLIN_AUTH_RATE_LIMIT": "20",
        "PANGOLIN_AUTH_RATE_WINDOW_SECS": "3600"}
CODE = re.compile(r"^      ((?:[2-9A-Z]{5}-){4}[2-9A-Z]{5})$", re.M)

suite = Suite("auth_signin", {**WITH, "PANGOLIN_ROOT_USER": "root",
                              "PANGOLIN_ROOT_PASSWORD": ROOT_PASSWORD})


def login(pangolin, name, password, tenant=None, status=200, **more):
    body = {"username": name, "password": password, **more}
    if tenant:
        body["tenant-id"] = tenant
    return Caller(pangolin).must("POST", "/api/v1/users/login", body, status=status)


def log_of(pangolin):
    with open(pangolin.log, encoding="utf-8", errors="replace") as log:
        log.seek(pangolin.log_begin)
        return log.read()


class World:
    """A tenant with an administrator, a user, a service user, and a catalog with a table."""

    def __init__(self, pangolin, name):
        self.pangolin = pangolin
        self.root = bearer(pangolin, login(pangolin, "root", ROOT_PASSWORD)["token"])
        self.tenant = self.root.must("POST", "/api/v1/tenants", {"name": name})["id"]
        self.root.must("POST", "/api/v1/users", {
            "username": "adam", "email": "adam@%s.org" % name, "password": PASSWORD,
            "tenant_id": self.tenant, "role": "tenant-admin"})
        self.admin = bearer(pangolin, login(pangolin, "adam", PASSWORD, self.tenant)["token"])
        self.user_id = self.admin.must("POST", "/api/v1/users", {
            "username": "ann", "email": "ann@%s.org" % name, "password": PASSWORD,
            "tenant_id": self.tenant, "role": "tenant-user"})["id"]
        self.service = self.admin.must("POST", "/api/v1/service-users", {
            "name": "etl", "role": "tenant-admin"})
        self.admin.must("POST", "/api/v1/warehouses", {
            "name": "files", "storage_config": {"type": "file"}})
        self.catalog = "cat"
        self.catalog_id = self.admin.must("POST", "/api/v1/catalogs", {
            "name": self.catalog, "catalog_type": "Local", "warehouse_name": "files"})["id"]
        self.admin.must("POST", "/v1/cat/namespaces", {"namespace": ["ns"]})
        self.admin.must("POST", "/v1/cat/namespaces/ns/tables", {"name": "t", "schema": SCHEMA})
        self.table = "/v1/cat/namespaces/ns/tables/t"

    def ann(self):
        return login(self.pangolin, "ann", PASSWORD, self.tenant)


@suite.test
def every_credential_opens_a_table(pangolin):
    world = World(pangolin, "acme")
    key = world.service["api_key"]
    world.admin.must("GET", world.table)
    Caller(pangolin, X_API_Key=key).must("GET", world.table)
    ann = bearer(pangolin, world.ann()["token"])
    ann.must("GET", world.table, status=(403, 404))
    world.admin.must("POST", "/api/v1/permissions", {
        "user-id": world.user_id, "actions": ["read"],
        "scope": {"type": "catalog", "catalog_id": world.catalog_id}})
    ann.must("GET", world.table)
    for path in ("/v1/oauth/tokens", "/v1/cat/oauth/tokens", "/api/v1/iceberg/cat/v1/oauth/tokens"):
        for client in (world.service["id"], key[4:16], ""):
            reply = Caller(pangolin).must("POST", path, form={
                "grant_type": "client_credentials", "client_id": client, "client_secret": key,
                "scope": "catalog"})
            assert reply["token_type"] == "bearer" and reply["expires_in"] == 3600, reply
            bearer(pangolin, reply["access_token"]).must("GET", world.table)
    # Root has no tenant of its own; the header says in which it acts. Basic is root's, too.
    root = basic(pangolin, "root", ROOT_PASSWORD)
    root.must("GET", world.table, status=404)
    root.headers["X-Pangolin-Tenant"] = world.tenant
    root.must("GET", world.table)
    world.root.headers["X-Pangolin-Tenant"] = world.tenant
    world.root.must("GET", world.table)
    Caller(pangolin).must("GET", world.table, status=401)
    foreign = World(pangolin, "foreign")
    foreign.admin.must("GET", "/v1/cat/namespaces/ns/tables/t")
    foreign.admin.headers["X-Pangolin-Tenant"] = world.tenant
    foreign.admin.must("GET", world.table, status=403)


@suite.test
def pyiceberg_signs_in_with_a_key(pangolin):
    from pyiceberg.catalog import load_catalog
    world = World(pangolin, "ice")
    key = world.service["api_key"]
    for uri in (pangolin.uri, pangolin.uri + "/v1/cat"):
        catalog = load_catalog("cat", type="rest", uri=uri, warehouse="cat",
                               credential="%s:%s" % (world.service["id"], key))
        assert catalog.load_table("ns.t").schema().find_field("id")


@suite.test
def what_has_ended_has_ended_at_once(pangolin):
    world = World(pangolin, "ends")
    first, second = world.ann(), world.ann()
    caller, other = bearer(pangolin, first["token"]), bearer(pangolin, second["token"])
    assert caller.must("GET", "/api/v1/users/me")["username"] == "ann"
    listed = caller.must("GET", "/api/v1/users/me/tokens")
    assert len(listed) == 2 and "token" not in listed[0], listed
    caller.must("POST", "/api/v1/users/logout")
    caller.must("GET", "/api/v1/users/me", status=401)
    Caller(pangolin).must("POST", "/api/v1/auth/refresh",
                          {"refresh-token": first["refresh-token"]}, status=401)
    other.must("GET", "/api/v1/users/me")
    world.admin.must("DELETE", "/api/v1/tokens/" + listed[0]["token_id"])
    other.must("GET", "/api/v1/users/me", status=401)
    third = world.ann()
    rotated = bearer(pangolin, third["token"]).must("POST", "/api/v1/tokens/rotate")["token"]
    bearer(pangolin, third["token"]).must("GET", "/api/v1/users/me", status=401)
    bearer(pangolin, rotated).must("GET", "/api/v1/users/me")
    bearer(pangolin, rotated).must("POST", "/api/v1/auth/revoke")
    bearer(pangolin, rotated).must("GET", "/api/v1/users/me", status=401)
    fourth = world.ann()
    world.admin.must("PUT", "/api/v1/users/" + world.user_id, {"active": False})
    bearer(pangolin, fourth["token"]).must("GET", "/api/v1/users/me", status=401)
    login(pangolin, "ann", PASSWORD, world.tenant, status=401)
    world.admin.must("POST", "/api/v1/auth/cleanup-tokens")


@suite.test
def a_copied_refresh_token_ends_its_family(pangolin):
    world = World(pangolin, "family")
    first = world.ann()

    def refresh(token, status=200):
        return Caller(pangolin).must("POST", "/api/v1/auth/refresh", {"refresh_token": token},
                                     status=status)
    second = refresh(first["refresh-token"])
    bearer(pangolin, second["token"]).must("GET", "/api/v1/users/me")
    refresh(first["refresh-token"], 401)
    refresh(second["refresh-token"], 401)
    for token in (first["token"], second["token"]):
        bearer(pangolin, token).must("GET", "/api/v1/users/me", status=401)


@suite.test
def tokens_are_made_within_bounds(pangolin):
    world = World(pangolin, "made")
    ask = {"tenant_id": world.tenant, "username": "ann", "expires_in_hours": 1}
    token = world.admin.must("POST", "/api/v1/tokens", ask)["token"]
    ann = bearer(pangolin, token)
    ann.must("GET", "/api/v1/users/me")
    ann.must("POST", "/api/v1/tokens", ask, status=403)
    world.admin.must("POST", "/api/v1/tokens", {**ask, "roles": ["Root"]}, status=403)
    foreign = World(pangolin, "madeforeign")
    foreign.admin.must("POST", "/api/v1/tokens", ask, status=404)
    world.root.must("POST", "/api/v1/tokens", ask)
    made = world.root.must("POST", "/api/v1/tokens", {"tenant_id": world.tenant, "roles": ["Root"]})
    assert made["tenant_id"] is None, made
    bearer(pangolin, made["token"]).must("GET", "/api/v1/tenants")
    page = world.admin.must("GET", "/api/v1/users/%s/tokens?limit=1" % world.user_id)
    assert len(page) == 1 and page[0]["is_valid"], page
    foreign.admin.must("GET", "/api/v1/users/%s/tokens" % world.user_id, status=404)


@suite.test
def the_audit_log_tells_of_it(pangolin):
    world = World(pangolin, "told")
    login(pangolin, "ann", "wrong horse", world.tenant, status=401)
    ann = world.ann()
    bearer(pangolin, ann["token"]).must("POST", "/api/v1/users/logout")
    world.admin.must("POST", "/api/v1/tokens", {"tenant_id": world.tenant, "username": "ann"})
    Caller(pangolin).must("POST", "/v1/oauth/tokens", form={
        "grant_type": "client_credentials", "client_id": world.service["id"],
        "client_secret": world.service["api_key"]})
    rows = world.admin.must("GET", "/api/v1/audit?limit=100")
    rows = rows if isinstance(rows, list) else rows["events"]
    told = {(row["action"], row["username"]) for row in rows}
    for expected in (("login", "ann"), ("login", "adam"), ("logout", "ann"),
                     ("generate_token", "adam"), ("generate_token", "etl")):
        assert expected in told, (expected, told)


@suite.test
def secrets_stay_where_they_are(pangolin):
    mode = os.stat(os.path.join(pangolin.data, "encryption.key")).st_mode
    assert mode & 0o777 == 0o400, oct(mode)
    keys = Caller(pangolin).must("GET", "/.well-known/jwks.json")["keys"]
    assert keys and all("d" not in key for key in keys), keys
    world = World(pangolin, "canary")
    secrets = [world.service["api_key"][17:], world.ann()["token"], PASSWORD, ROOT_PASSWORD]
    for folder, _, names in os.walk(pangolin.data):
        for name in names:
            if name == "core.sock":
                continue
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
            assert not any(secret.encode() in content for secret in secrets), name
    assert not any(secret in log_of(pangolin) for secret in secrets)


@suite.test
def who_guesses_waits(pangolin):
    """The last one: this address is shut out for an hour."""
    world = World(pangolin, "guess")
    token = world.ann()["token"]
    for turn in range(40):
        status, _, headers = Caller(pangolin).call("POST", "/api/v1/users/login", {
            "username": "ann", "password": "guess %d" % turn, "tenant-id": world.tenant})
        if status == 429:
            break
        assert status == 401, status
    assert status == 429 and 1 <= int(headers["retry-after"]) <= 3600, (status, headers)
    login(pangolin, "ann", PASSWORD, world.tenant, status=429)
    basic(pangolin, "root", ROOT_PASSWORD).must("GET", "/api/v1/tenants", status=429)
    bearer(pangolin, token).must("GET", "/api/v1/users/me")  # who is in stays in
    for turn in range(40):
        status, _, headers = bearer(pangolin, "a.b.c%d" % turn).call("GET", "/api/v1/users/me")
        if status == 429:
            break
        assert status == 401, status
    assert status == 429 and "retry-after" in headers
    bearer(pangolin, token).must("GET", "/api/v1/users/me")


# ---- starts ----

class Folder:
    """A data folder on which several servers are started, one after the other."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="pang-auth-")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def start(self, **environment):
        return harness.Pangolin("auth_starts", environment, os.path.join(self.path, "var"))


@suite.test
def a_setup_code_is_shown_once_and_serves_once(_):
    with Folder() as folder:
        with folder.start(**WITH) as pangolin:
            code = CODE.search(log_of(pangolin)).group(1)
            login(pangolin, "root", code, status=422)
        with folder.start(**WITH) as pangolin:
            assert not CODE.search(log_of(pangolin)) and "root reset" in log_of(pangolin)
            login(pangolin, "root", code, **{"new-password": "short"}, status=400)
            login(pangolin, "root", code, **{"new-password": PASSWORD})
            login(pangolin, "root", code, **{"new-password": PASSWORD}, status=401)
            token = login(pangolin, "root", PASSWORD)["token"]
            assert [tenant["name"] for tenant in bearer(pangolin, token).must(
                "GET", "/api/v1/tenants")] == ["default"]
        reset = subprocess.run([harness.program(), "root", "reset", "--data-dir", pangolin.data],
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               check=True, timeout=60)
        code = reset.stdout.strip()
        assert re.fullmatch(r"([2-9A-Z]{5}-){4}[2-9A-Z]{5}", code), reset
        with folder.start(**WITH) as pangolin:
            login(pangolin, "root", PASSWORD, status=401)
            bearer(pangolin, token).must("GET", "/api/v1/tenants", status=401)
            login(pangolin, "root", code, **{"new-password": "another horse"})
        verified = subprocess.run([harness.program(), "audit", "verify", "--data-dir",
                                   pangolin.data], text=True, stdout=subprocess.PIPE,
                                  check=False, timeout=60)
        assert verified.returncode == 0, verified


@suite.test
def a_tenant_has_its_share(_):
    with Folder() as folder, folder.start(
            **WITH, PANGOLIN_ROOT_USER="root", PANGOLIN_ROOT_PASSWORD=ROOT_PASSWORD,
            PANGOLIN_TENANT_REQUESTS_PER_SECOND="10") as pangolin:
        loud, quiet = World(pangolin, "loud"), World(pangolin, "quiet")
        answers = [loud.admin.call("GET", "/api/v1/users/me") for _ in range(60)]
        refused = [headers for status, _, headers in answers if status == 429]
        assert refused and int(refused[0]["retry-after"]) >= 1, [answer[0] for answer in answers]
        quiet.admin.must("GET", "/api/v1/users/me")
        loud.root.must("GET", "/api/v1/tenants")


@suite.test
def a_bad_root_password_stops_the_start(_):
    for password in ("tiny", "changeme", "password123"):
        with Folder() as folder:
            path = os.path.join(os.path.dirname(os.path.dirname(harness.program())), "server",
                                "pangolin-server")
            done = subprocess.run(
                [path, "--data-dir", folder.path, "--no-auth=false"], text=True, timeout=60,
                env={"PANGOLIN_ROOT_USER": "root", "PANGOLIN_ROOT_PASSWORD": password},
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            assert done.returncode == 2 and "PANGOLIN_ROOT_PASSWORD" in done.stderr, done
            assert password not in done.stderr.replace("PANGOLIN_ROOT_PASSWORD", ""), done


@suite.test
def a_catalog_begun_without_authentication_keeps_its_data(_):
    with Folder() as folder:
        with folder.start(PANGOLIN_NO_AUTH="true") as pangolin:
            anybody = Caller(pangolin)
            anybody.must("POST", "/v1/demo/namespaces", {"namespace": ["ns"]})
            before = anybody.must("POST", "/v1/demo/namespaces/ns/tables",
                                  {"name": "t", "schema": SCHEMA})
        with folder.start(**WITH, PANGOLIN_ROOT_USER="root",
                          PANGOLIN_ROOT_PASSWORD=ROOT_PASSWORD) as pangolin:
            table = "/v1/demo/namespaces/ns/tables/t"
            Caller(pangolin).must("GET", table, status=401)
            root = bearer(pangolin, login(pangolin, "root", ROOT_PASSWORD)["token"])
            nil = root.must("GET", "/api/v1/tenants")[0]
            assert nil["name"] == "default", nil
            root.must("POST", "/api/v1/users", {
                "username": "adam", "email": "", "password": PASSWORD, "tenant_id": nil["id"],
                "role": "tenant-admin"})
            adam = bearer(pangolin, login(pangolin, "adam", PASSWORD, nil["id"])["token"])
            after = adam.must("GET", table)
            assert after["metadata"] == before["metadata"]
            adam.must("POST", table, {"requirements": [], "updates": [
                {"action": "set-properties", "updates": {"a": "b"}}]})


@suite.test
def without_authentication_only_loopback_is_served(_):
    with Folder() as folder:
        path = os.path.join(os.path.dirname(os.path.dirname(harness.program())), "bridge",
                            "pangolin-bridge")
        for address in ("0.0.0.0", "::"):
            done = subprocess.run(
                [path, "--data-dir", folder.path, "--bind-address", address, "--port", "0"],
                env={"PANGOLIN_NO_AUTH": "true"}, text=True, timeout=60, check=False,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert done.returncode == 2 and "loopback" in done.stderr, (address, done)


suite.main()
