"""What somebody who is signed in could try to get more, and a stranger to get anything: places of
tables that are gone, tags that grants hang on, other people's addresses, names that look alike,
gRPC as a way around the bridge, lists without an end."""

import base64
import json
import time
import uuid

import grpc
from callers import Caller, basic, bearer
from signed_in import ENVIRONMENT, PASSWORD, ROOT_PASSWORD
from suite import Suite

import harness

SCHEMA = {"type": "struct", "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}]}
LIMIT = 3

suite = Suite("auth_attacks", {**ENVIRONMENT, "PANGOLIN_LOG_LEVEL": "debug"})


class Realm:
    """A tenant with an administrator and a catalog, seen through REST alone."""

    def __init__(self, pangolin, name):
        self.pangolin, self.name = pangolin, name
        root = basic(pangolin, "root", ROOT_PASSWORD)
        self.id = root.must("POST", "/api/v1/tenants", {"name": name})["id"]
        root.headers["X-Pangolin-Tenant"] = self.id
        self.root = root
        self.admin, _ = self.person("admin", "tenant-admin", by=root)
        self.admin.must("POST", "/api/v1/warehouses",
                        {"name": "depot", "storage_config": {"type": "file"}})
        self.catalog = self.admin.must("POST", "/api/v1/catalogs",
                                       {"name": name, "warehouse_name": "depot"})["id"]

    def person(self, name, role="tenant-user", by=None):
        """(a caller, its id)."""
        made = (by or self.admin).must("POST", "/api/v1/users", {
            "username": name, "email": "%s@%s.example" % (name, self.name), "role": role,
            "tenant_id": self.id, "password": PASSWORD})
        reply = Caller(self.pangolin).must("POST", "/api/v1/users/login", {
            "username": name, "password": PASSWORD, "tenant-id": self.id})
        return bearer(self.pangolin, reply["token"]), made["id"]

    def grant(self, who, namespace, *actions):
        scope = {"type": "namespace", "catalog_id": self.catalog, "namespace": namespace}
        return self.admin.must("POST", "/api/v1/permissions",
                               {"user-id": who, "scope": scope, "actions": list(actions)})

    def namespace(self, name):
        self.admin.must("POST", "/v1/%s/namespaces" % self.name, {"namespace": [name]})

    def tables(self, namespace, name=""):
        return "/v1/%s/namespaces/%s/tables%s" % (self.name, namespace, name and "/" + name)

    def table(self, namespace, name, by=None, status=200, **more):
        return (by or self.admin).must("POST", self.tables(namespace),
                                       {"name": name, "schema": SCHEMA, **more}, status=status)

    def asset(self, namespace, name):
        return self.admin.must("GET", "/api/v1/catalogs/%s/namespaces/%s/assets/%s" %
                               (self.name, namespace, name))["id"]

    def tag(self, by, asset, *tags, discoverable=False):
        return by.call("POST", "/api/v1/assets/%s/metadata" % asset,
                       {"tags": list(tags), "properties": {}, "discoverable": discoverable})[0]


@suite.test
def places_of_dropped_tables(pangolin):
    """Who may create in one namespace does not come by what was dropped from another."""
    realm = Realm(pangolin, "graveyard")
    for name in ("secret", "mine"):
        realm.namespace(name)
    eve, eve_id = realm.person("eve")
    realm.grant(eve_id, "mine", "all")
    dropped = [realm.table("secret", "t%d" % i) for i in range(3)]
    for i in range(3):
        realm.admin.must("DELETE", realm.tables("secret", "t%d" % i))
    register = "/v1/graveyard/namespaces/mine/register"
    status, reply, _ = eve.call("POST", register, {
        "name": "x", "metadata-location": dropped[0]["metadata-location"]})
    assert status == 400 and "id" not in json.dumps(reply.get("metadata", "")), (status, reply)
    realm.table("mine", "y", eve, status=400, location=dropped[1]["metadata"]["location"])
    realm.table("mine", "z", eve, status=400,
                properties={"write.data.path": dropped[2]["metadata"]["location"]})
    own = realm.table("mine", "own", eve)
    status, _, _ = eve.call("POST", realm.tables("mine", "own"), {
        "requirements": [],
        "updates": [{"action": "set-location", "location": dropped[2]["metadata"]["location"]}]})
    assert status == 400, status
    # Its own it takes back, and with a grant the others'.
    eve.must("DELETE", realm.tables("mine", "own"))
    eve.must("POST", register, {"name": "own", "metadata-location": own["metadata-location"]})
    realm.grant(eve_id, "secret", "write")
    eve.must("POST", register, {"name": "x", "metadata-location": dropped[0]["metadata-location"]})
    realm.table("mine", "y", eve, location=dropped[1]["metadata"]["location"])


@suite.test
def tags_that_grants_hang_on(pangolin):
    """Nobody gives itself more by tagging."""
    realm = Realm(pangolin, "labels")
    for name in ("pub", "far"):
        realm.namespace(name)
        realm.table(name, "t")
    near, far = realm.asset("pub", "t"), realm.asset("far", "t")
    assert realm.tag(realm.admin, far, "gold", "iron") == 200
    eve, eve_id = realm.person("eve")
    realm.grant(eve_id, "pub", "write")
    for tag, action in (("gold", "all"), ("iron", "read")):
        realm.admin.must("POST", "/api/v1/permissions", {
            "user-id": eve_id, "scope": {"type": "tag", "tag_name": tag}, "actions": [action]})
    assert realm.tag(eve, near, discoverable=True) == 403
    assert realm.tag(eve, near, "gold") == 403, "it would gain all"
    assert realm.tag(eve, near, "plain", "gold") == 403
    assert realm.tag(eve, near, "plain", "iron") == 200, "it could read before"
    assert realm.tag(realm.admin, near, "gold") == 200
    assert realm.tag(eve, near, "gold", "plain", discoverable=True) == 200, "others gave it"


@suite.test
def names_that_look_alike(pangolin):
    realm = Realm(pangolin, "mirrors")
    for name in ("a\u200bdmin", "admin\u202e", "\u2066admin", "ad\u2028min", "\ufeffadmin",
                 "admin\u2060", "admin\n", "admin\x1b[2J", "admin\u0085"):
        status, reply, _ = realm.admin.call("POST", "/api/v1/users", {
            "username": name, "email": "", "role": "tenant-user", "tenant_id": realm.id})
        assert status == 422, (name, status, reply)
    realm.person("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")  # which needs its joiner


@suite.test
def foreign_tenants_in_every_place(pangolin):
    """Headers, bodies and paths that name another tenant are refused, and tell nothing."""
    ours, theirs = Realm(pangolin, "ours"), Realm(pangolin, "theirs")
    absent, nil = str(uuid.uuid4()), str(uuid.UUID(int=0))
    token = ours.admin.headers["Authorization"]
    for value in (theirs.id, theirs.id.upper(), absent, nil, "{%s}" % theirs.id,
                  "%s,%s" % (ours.id, theirs.id)):
        status = Caller(pangolin, Authorization=token, X_Pangolin_Tenant=value).call(
            "GET", "/api/v1/users/me")[0]
        assert status in (400, 403), (value, status)

    def alike(method, path, body=None):
        """The same answer for a foreign id and for none."""
        answers = []
        for there in (theirs.id, absent):
            text = None if body is None else json.loads(json.dumps(body).replace("THERE", there))
            status, reply, _ = ours.admin.call(method, path.replace("THERE", there), text)
            answers.append((status, json.dumps(reply).replace(there, "THERE")))
        assert answers[0] == answers[1] and answers[0][0] >= 400, answers

    alike("GET", "/api/v1/tenants/THERE")
    alike("POST", "/api/v1/tokens", {"tenant_id": "THERE", "username": "admin"})
    alike("POST", "/api/v1/tokens", {"tenant_id": "THERE", "roles": ["root"]})
    alike("POST", "/api/v1/roles", {"name": "r", "tenant-id": "THERE"})
    alike("POST", "/api/v1/users", {"username": "n", "email": "", "role": "tenant-user",
                                    "tenant_id": "THERE", "password": PASSWORD})
    for name in ("theirs", "theirs@main", "theirs%40main", "ours%2F..%2Ftheirs", "@theirs"):
        status = ours.admin.call("GET", "/v1/%s/namespaces" % name)[0]
        assert status == 404, (name, status)


@suite.test
def no_way_around_by_method(pangolin):
    realm = Realm(pangolin, "methods")
    stranger = Caller(pangolin)
    for path in ("/api/v1/users", "/v1/methods/namespaces", "/api/v1/audit", "/api/v1/tenants"):
        for method, wanted in (("HEAD", 401), ("OPTIONS", 405), ("TRACE", 405), ("PATCH", 405)):
            assert stranger.call(method, path)[0] == wanted, (method, path)
        for header in ("X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL"):
            status = Caller(pangolin, **{header: "/api/v1/app-config"}).call("GET", path)[0]
            assert status == 401, (header, path)
    realm.namespace("n")
    eve, eve_id = realm.person("eve")
    given = realm.grant(eve_id, "n", "read")
    realm.table("n", "t")
    tag = eve.call("GET", realm.tables("n", "t"))[2]["ETag"]
    again = Caller(pangolin, **eve.headers, If_None_Match=tag)
    assert again.call("GET", realm.tables("n", "t"))[0] == 304
    realm.admin.must("DELETE", "/api/v1/permissions/" + given["id"])
    assert again.call("GET", realm.tables("n", "t"))[0] == 404, "304 would say that it is there"


@suite.test
def the_log_of_others(pangolin):
    """It names what lists hide: members read what they did themselves."""
    realm = Realm(pangolin, "diary")
    realm.namespace("hidden")
    realm.table("hidden", "t")
    eve, eve_id = realm.person("eve")
    assert eve.call("GET", realm.tables("hidden", "t"))[0] == 404
    everything = realm.admin.must("GET", "/api/v1/audit?limit=1000")
    others = [one for one in everything if one["user_id"] != eve_id]
    assert len(others) > 4 and len(everything) > len(others)
    seen = eve.must("GET", "/api/v1/audit?limit=1000")
    assert seen and {one["user_id"] for one in seen} == {eve_id}, seen
    assert eve.must("GET", "/api/v1/audit/" + seen[0]["id"])["id"] == seen[0]["id"]
    assert eve.must("GET", "/api/v1/audit/count")["count"] < len(everything)
    admin_id = next(one["user_id"] for one in others if one["username"] == "admin")
    assert eve.must("GET", "/api/v1/audit?user_id=" + admin_id) == []
    assert eve.must("GET", "/api/v1/audit/count?user_id=" + admin_id)["count"] == 0
    foreign = eve.call("GET", "/api/v1/audit/" + others[0]["id"])
    absent = eve.call("GET", "/api/v1/audit/" + str(uuid.UUID(int=7)))
    assert foreign[0] == absent[0] == 404
    assert (json.dumps(foreign[1]).replace(others[0]["id"], "") ==
            json.dumps(absent[1]).replace(str(uuid.UUID(int=7)), "")), (foreign, absent)


# ---- a token that was stolen ----

EXCHANGE = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}


def works(pangolin, token):
    return bearer(pangolin, token).call("GET", "/api/v1/users/me")[0] == 200


@suite.test
def copies_of_a_stolen_token(pangolin):
    """A logout ends the token and all that it was exchanged for, and no short token gets long."""
    realm = Realm(pangolin, "thieves")
    realm.person("ann")

    def exchanged(token):
        reply = Caller(pangolin).must("POST", "/v1/oauth/tokens", form={
            **EXCHANGE, "subject_token": token})
        return reply["access_token"]

    mine = Caller(pangolin).must("POST", "/api/v1/users/login", {
        "username": "ann", "password": PASSWORD, "tenant-id": realm.id})["token"]
    copies = [exchanged(mine)]
    copies.append(exchanged(copies[0]))
    assert all(works(pangolin, one) for one in (mine, *copies))
    bearer(pangolin, mine).must("POST", "/api/v1/users/logout", {})
    assert not any(works(pangolin, one) for one in (mine, *copies))
    robot = realm.admin.must("POST", "/api/v1/service-users",
                             {"name": "robot", "role": "tenant-user"})
    short = Caller(pangolin).must("POST", "/v1/oauth/tokens", form={
        "grant_type": "client_credentials", "client_id": robot["service_user_id"],
        "client_secret": robot["api_key"]})
    rotated = bearer(pangolin, short["access_token"]).must("POST", "/api/v1/tokens/rotate", {})
    claims = json.loads(base64.urlsafe_b64decode(rotated["token"].split(".")[1] + "=="))
    assert claims["exp"] - time.time() <= short["expires_in"], (claims, short)
    assert not works(pangolin, short["access_token"]) and works(pangolin, rotated["token"])


# ---- gRPC through the bridge ----

def ask(channel, path, body=b"", metadata=()):
    """OK or the status code's name."""
    try:
        channel.unary_unary(path)(body, metadata=metadata, timeout=10)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


@suite.test
def metadata_that_clients_send_themselves(pangolin):
    """What the bridge says of a caller nobody can say in its place: guessing from invented addresses
    is guessing from one."""
    env = {**ENVIRONMENT, "PANGOLIN_AUTH_RATE_LIMIT": str(LIMIT),
           "PANGOLIN_AUTH_RATE_WINDOW_SECS": "600"}
    with harness.Pangolin("auth_attacks_grpc", env) as it:
        channel = grpc.insecure_channel("127.0.0.1:%d" % it.port)
        seen = []
        for i in range(LIMIT + 2):
            body = b"\x0a\x02u%d\x12\x06secret" % i
            seen.append(ask(channel, "/pangolin.v1.AuthService/Login", body, (
                ("pangolin-client-address", "198.51.100.%d" % i),
                ("x-forwarded-for", "203.0.113.%d" % i))))
        assert seen == ["UNAUTHENTICATED"] * LIMIT + ["RESOURCE_EXHAUSTED"] * 2, seen
        channel.close()


@suite.test
def metrics_that_have_a_port_of_their_own(_):
    env = {**ENVIRONMENT, "PANGOLIN_METRICS_ADDRESS": "127.0.0.1:%d" % harness.free_port()}
    for extra, wanted in ((env, "UNIMPLEMENTED"),
                          ({**ENVIRONMENT, "PANGOLIN_METRICS_ENABLED": "false"}, "UNIMPLEMENTED"),
                          (ENVIRONMENT, "OK")):
        with harness.Pangolin("auth_attacks_metrics", extra) as it:
            channel = grpc.insecure_channel("127.0.0.1:%d" % it.port)
            got = ask(channel, "/pangolin.v1.OperationsService/GetMetrics")
            assert got == wanted, (extra, got)
            status = Caller(it).call("GET", "/metrics")[0]
            assert status == (200 if wanted == "OK" else 404), status
            channel.close()


@suite.test
def strangers_do_not_shut_anybody_out(_):
    """Guessing at an account from many addresses stops others' tries, and not who is at home."""
    env = {**ENVIRONMENT, "PANGOLIN_AUTH_RATE_LIMIT": str(LIMIT),
           "PANGOLIN_AUTH_RATE_WINDOW_SECS": "600", "PANGOLIN_TRUSTED_PROXIES": "127.0.0.1"}
    with harness.Pangolin("auth_attacks_home", env) as it:
        realm = Realm(it, "homes")

        def login(address, password=PASSWORD, tenant=realm.id, name="admin"):
            body = {"username": name, "password": password, "tenant-id": tenant}
            return Caller(it, X_Forwarded_For=address).call(
                "POST", "/api/v1/users/login", body)[0]

        assert login("192.0.2.1") == 200 and login("2001:db8::1") == 200
        got = [login("198.51.100.%d" % i, "a wrong password of it") for i in range(LIMIT + 2)]
        assert got == [401] * LIMIT + [429] * 2, got
        assert login("203.0.113.1") == 429, "the right password from anywhere"
        assert login("2001:db8::2") == 200, "its network"
        got = [login("192.0.2.1", "a wrong password of it") for _ in range(LIMIT + 1)]
        assert got == [401] * LIMIT + [429], "a home may not guess more than others: %s" % got
        assert login("192.0.2.1") == 429
        assert login("203.0.113.1", name="nobody at all") == 401


# ---- what grows ----

@suite.test
def sign_ins_that_nobody_ends(_):
    """Each is a record for ten minutes: an address may begin some, not any number."""
    env = {**ENVIRONMENT, "PANGOLIN_AUTH_RATE_LIMIT": str(LIMIT),
           "PANGOLIN_AUTH_RATE_WINDOW_SECS": "600",
           "PANGOLIN_GITHUB_CLIENT_ID": "id", "PANGOLIN_GITHUB_CLIENT_SECRET": "secret of it",
           "PANGOLIN_GITHUB_REDIRECT_URI": "https://lake.example/oauth/callback/github",
           "PANGOLIN_GITHUB_USERS_TENANT": "people", "FRONTEND_URL": "https://lake.example"}
    with harness.Pangolin("auth_attacks_sign_ins", env) as it:
        got = [Caller(it).call("GET", "/oauth/authorize/github") for _ in range(LIMIT * 10 + 5)]
        assert [one[0] for one in got] == [303] * (LIMIT * 10) + [429] * 5, [one[0] for one in got]
        assert int(got[-1][2]["Retry-After"]) > 0
        reply = Caller(it).call("POST", "/api/v1/users/login",
                                {"username": "root", "password": ROOT_PASSWORD})
        assert reply[0] == 200, "beginning is no failing"


@suite.test
def long_lists(pangolin):
    realm = Realm(pangolin, "lists")
    realm.namespace("n")
    realm.table("n", "t")
    many = ["t%d" % i for i in range(100_000)]
    _, eve = realm.person("eve")
    asset = realm.asset("n", "t")
    for method, path, body in (
            ("POST", "/api/v1/assets/%s/metadata" % asset,
             {"tags": many, "properties": {}, "discoverable": False}),
            ("POST", "/v1/lists/namespaces", {"namespace": many}),
            ("POST", "/api/v1/validate/names", {"resource_type": "catalog", "names": many}),
            ("POST", "/api/v1/permissions",
             {"user-id": eve, "scope": {"type": "tenant"}, "actions": many}),
            ("POST", "/v1/lists/transactions/commit", {"table-changes": [
                {"identifier": {"namespace": ["n"], "name": name}, "requirements": [],
                 "updates": []} for name in many]})):
        status, reply, _ = realm.admin.call(method, path, body)
        assert status in (400, 413, 422), (path, status, reply)
    assert realm.admin.call("GET", "/api/v1/users/me")[0] == 200


if __name__ == "__main__":
    suite.main()
