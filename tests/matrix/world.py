"""Two tenants of one shape, everybody who may call, and what they call about. Made through the API
itself, by root and the administrators. Standard library only."""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import time
import uuid

ROOT_PASSWORD = "root of all that is tested here"
PASSWORD = "a password that is long enough"
SECRET = "thirty-two bytes and a few more, at least"

ENVIRONMENT = {
    "PANGOLIN_NO_AUTH": "false",
    "PANGOLIN_ROOT_USER": "root",
    "PANGOLIN_ROOT_PASSWORD": ROOT_PASSWORD,
    "PANGOLIN_AUTH_RATE_LIMIT": "0",
    "PANGOLIN_JWT_SECRET": SECRET,  # so that an expired token can be made out
}

SCHEMA = {"type": "struct", "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}]}


class Refused(Exception):
    pass


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body) if self.body else None


class Client:
    """REST with one caller's credential, on one connection."""

    def __init__(self, port, headers=None):
        self.port, self.headers, self.connection = port, headers or {}, None

    def call(self, verb, path, body=None):
        headers = dict(self.headers)
        text = None
        if body is not None:
            text, headers["Content-Type"] = json.dumps(body), "application/json"
        for last in (False, True):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                self.connection.request(verb, path, text, headers)
                reply = self.connection.getresponse()
                return Reply(reply.status, reply.headers, reply.read())
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.connection = None
                if last:
                    raise

    def ask(self, verb, path, body=None):
        """The reply's JSON; anything but success is a failure of the set-up."""
        reply = self.call(verb, path, body)
        if not 200 <= reply.status < 300:
            raise Refused("%s %s: %d %s" % (verb, path, reply.status, reply.body[:300]))
        return reply.json


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(
        ("%s:%s" % (name, password)).encode()).decode()}


def bearer(token):
    return {"Authorization": "Bearer " + token}


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def hs256(claims):
    """A token as the program we follow makes them out."""
    head = b64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = b64url(json.dumps(claims).encode())
    mac = hmac.new(SECRET.encode(), head + b"." + body, hashlib.sha256).digest()
    return (head + b"." + body + b"." + b64url(mac)).decode()


class Tenant:
    """One tenant: its administrator, warehouse, catalog, principals and grants."""

    def __init__(self, world, name, catalog, warehouse):
        self.world, self.name, self.catalog, self.warehouse = world, name, catalog, warehouse
        root = world.root
        self.id = root.ask("POST", "/api/v1/tenants", {"name": name})["id"]
        root_in = Client(world.port, dict(root.headers, **{"X-Pangolin-Tenant": self.id}))
        root_in.ask("POST", "/api/v1/users", self.user_body("admin", "tenant-admin"))
        self.admin = Client(world.port, bearer(self.login("admin")))
        self.admin.ask("POST", "/api/v1/warehouses",
                       {"name": warehouse, "storage_config": {"type": "file"}})
        self.catalog_id = self.admin.ask("POST", "/api/v1/catalogs", {
            "name": catalog, "warehouse_name": warehouse})["id"]
        for namespace, table, view in (("sales", "orders", "totals"),
                                       ("other", "beside", "aside")):
            self.admin.ask("POST", "/v1/%s/namespaces" % catalog, {"namespace": [namespace]})
            self.make_table(namespace, table)
            self.make_view(namespace, view)
        self.admin.ask("POST", "/v1/%s/namespaces" % catalog, {"namespace": ["third"]})
        self.role = self.admin.ask("POST", "/api/v1/roles",
                                   {"name": "clerks", "tenant-id": self.id})["id"]
        self.users = {name: self.admin.ask("POST", "/api/v1/users", self.user_body(name))["id"]
                      for name in ("none", "sibling", "reader", "writer", "gone")}
        key = self.admin.ask("POST", "/api/v1/service-users",
                             {"name": "robot", "role": "tenant-user"})
        self.service, self.api_key = key["id"], key["api_key"]
        self.grant(self.users["sibling"], ["write"],
                   {"type": "namespace", "catalog_id": self.catalog_id, "namespace": "other"})
        self.grant(self.users["sibling"], ["create"],
                   {"type": "namespace", "catalog_id": self.catalog_id, "namespace": "third"})
        self.grant(self.users["reader"], ["read", "experimental-branching"], self.whole())
        self.grant(self.users["writer"], ["write", "ingest-branching"], self.whole())
        self.grant(self.service, ["write"], self.whole())
        self.asset = self.asset_id("sales", "orders")
        self.branch, self.tag = self.catalog + "-work", self.catalog + "-v1"
        self.admin.ask("POST", "/api/v1/branches", {"name": self.branch, "catalog": catalog})
        self.admin.ask("POST", "/api/v1/tags",
                       {"name": self.tag, "catalog": catalog, "from": "main"})
        self.commit = self.admin.ask(
            "GET", "/api/v1/branches/main?catalog=" + catalog)["head_commit_id"]
        self.operation, self.conflict = self.torn(self.catalog + "-torn")
        default = {"type": "catalog", "catalog_id": self.admin.ask(
            "POST", "/api/v1/catalogs", {"name": "default", "warehouse_name": warehouse})["id"]}
        self.admin.ask("POST", "/api/v1/tags", {"name": "first", "from": "main"})
        self.grant(self.users["reader"], ["read"], default)
        self.grant(self.users["writer"], ["write"], default)
        self.admin.ask("POST", "/api/v1/assets/%s/metadata" % self.asset,
                       {"tags": ["t"], "properties": {}, "discoverable": False})
        self.event = self.admin.ask("GET", "/api/v1/audit?limit=1")[0]["id"]

    def torn(self, name):
        """A merge operation with one conflict: both sides made a namespace, each its own way."""
        self.admin.ask("POST", "/api/v1/branches", {"name": name, "catalog": self.catalog})
        for prefix, value in ((self.catalog, "1"), (self.catalog + "@" + name, "2")):
            self.admin.ask("POST", "/v1/%s/namespaces" % prefix,
                           {"namespace": [name], "properties": {"a": value}})
        self.admin.call("POST", "/api/v1/branches/merge", {
            "source_branch": "main", "target_branch": name, "catalog": self.catalog})
        operation = self.admin.ask(
            "GET", "/api/v1/catalogs/%s/merge-operations?limit=1" % self.catalog)[0]["id"]
        conflicts = self.admin.ask("GET", "/api/v1/merge-operations/%s/conflicts" % operation)
        return operation, conflicts[0]["id"]

    def whole(self):
        return {"type": "catalog", "catalog_id": self.catalog_id}

    def user_body(self, name, role="tenant-user"):
        return {"username": name, "email": "%s@%s.example" % (name, self.name),
                "password": PASSWORD, "tenant_id": self.id, "role": role}

    def login(self, name):
        return Client(self.world.port).ask("POST", "/api/v1/users/login", {
            "username": name, "password": PASSWORD, "tenant-id": self.id})["token"]

    def grant(self, principal, actions, scope):
        return self.admin.ask("POST", "/api/v1/permissions", {
            "user-id": principal, "actions": actions, "scope": scope})["id"]

    def make_table(self, namespace, name):
        return self.admin.ask("POST", "/v1/%s/namespaces/%s/tables" % (self.catalog, namespace),
                              {"name": name, "schema": SCHEMA})

    def make_view(self, namespace, name):
        return self.admin.ask("POST", "/v1/%s/namespaces/%s/views" % (self.catalog, namespace),
                              {"name": name, "sql": "select 1"})

    def asset_id(self, namespace, name):
        assets = self.admin.ask("GET", "/api/v1/catalogs/%s/namespaces/%s/assets" %
                                (self.catalog, namespace))
        return next(a["id"] for a in assets if a["name"] == name)

    def names(self):
        """What rows may put into paths and bodies."""
        return {"tenant": self.id, "catalog": self.catalog, "catalog_id": self.catalog_id,
                "namespace": "sales", "table": "orders", "beside": "beside", "view": "totals",
                "aside": "aside",
                "user": self.users["reader"],
                "role": self.role, "grant": self.grant(self.users["gone"], ["list"], {
                    "type": "tag", "tag_name": "t"}),
                "service": self.service, "key": self.api_key.split("_")[1], "warehouse": self.warehouse,
                "asset": self.asset, "event": self.event, "token": self.issue(),
                "branch": self.branch, "tag": self.tag, "commit": self.commit,
                "operation": self.operation, "conflict": self.conflict}

    def issue(self, name="gone"):
        """The id of a token that was made out to somebody."""
        self.admin.ask("POST", "/api/v1/tokens", {
            "tenant_id": self.id, "username": name, "roles": ["TenantUser"]})
        return self.admin.ask("GET", "/api/v1/users/%s/tokens" % self.users[name])[0]["id"]


class World:
    def __init__(self, port):
        self.port = port
        self.numbers = itertools.count(1)
        self.root = Client(port, basic("root", ROOT_PASSWORD))
        self.a = Tenant(self, "acme", "lake", "depot")
        self.b = Tenant(self, "bolt", "pond", "shed")
        self.own, self.other = self.a.names(), self.b.names()
        self.fresh = Fresh(self)

    def move(self, port):
        self.port = port
        for client in (self.root, self.a.admin, self.b.admin):
            client.port, client.connection = port, None

    def new(self, kind="new"):
        return "%s-%d" % (kind, next(self.numbers))

    def absent(self):
        """Names of the same form that nothing has."""
        known = dict(self.own)
        for name in ("tenant", "catalog_id", "user", "role", "grant", "service", "asset", "event",
                     "token", "commit", "operation", "conflict"):
            known[name] = str(uuid.uuid4())
        known.update(catalog="nowhere", namespace="nothing", table="nobody", view="nobody",
                     warehouse="nowhere", key="AAAAAAAAAAAA", branch="nothing", tag="nothing")
        return known

    def callers(self):
        """{column: [(kind of credential, headers), ...]}"""
        a, b = self.a, self.b
        gone = a.login("gone")
        Client(self.port, bearer(gone)).ask("POST", "/api/v1/auth/revoke", {})
        now = int(time.time())
        claims = {"sub": a.users["writer"], "jti": str(uuid.uuid4()), "username": "writer",
                  "tenant_id": a.id, "role": "tenant-user", "iat": now - 7200, "exp": now - 3600}
        root = Client(self.port).ask("POST", "/api/v1/users/login", {
            "username": "root", "password": ROOT_PASSWORD})["token"]
        inside = {"X-Pangolin-Tenant": a.id}
        users = {"n": "none", "s": "sibling", "r": "reader", "w": "writer", "t": "admin"}
        callers = {column: [("token", bearer(a.login(name)))] for column, name in users.items()}
        callers.update({
            "a": [("nothing", {})],
            "x": [("token", bearer(hs256(claims)))],
            "v": [("token", bearer(gone))],
            "f": [("token", bearer(b.login("admin")))],
            "k": [("key", {"X-API-Key": a.api_key}), ("token", bearer(self.client_token()))],
            "o": [("token", bearer(root)), ("basic", self.root.headers)],
            "R": [("token", dict(bearer(root), **inside)),
                  ("basic", dict(self.root.headers, **inside))],
        })
        return callers

    def client_token(self):
        """Of the service user, by OAuth2's client credentials."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/v1/oauth/tokens", "grant_type=client_credentials&client_id=%s"
                           "&client_secret=%s&scope=catalog" % (self.a.service, self.a.api_key),
                           {"Content-Type": "application/x-www-form-urlencoded"})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise Refused("/v1/oauth/tokens: %d %s" % (reply.status, text[:300]))
        return json.loads(text)["access_token"]

    def token_of(self, column):
        """A credential that a call may spoil."""
        names = {"n": "none", "s": "sibling", "r": "reader", "w": "writer", "t": "admin"}
        if column in names:
            return bearer(self.a.login(names[column]))
        if column == "f":
            return bearer(self.b.login("admin"))
        token = Client(self.port).ask("POST", "/api/v1/users/login", {
            "username": "root", "password": ROOT_PASSWORD})["token"]
        return dict(bearer(token), **({"X-Pangolin-Tenant": self.a.id} if column == "R" else {}))


class Fresh:
    """Objects for one call each; every function returns the names that it changes."""

    def __init__(self, world):
        self.world = world

    def namespace(self):
        name = self.world.new("ns")
        self.world.a.admin.ask("POST", "/v1/lake/namespaces", {"namespace": [name]})
        return {"namespace": name}

    def table(self, namespace="sales"):
        name = self.world.new("t")
        made = self.world.a.make_table(namespace, name)
        return {"table": name, "metadata_location": made["metadata-location"]}

    def beside(self):
        return {"beside": self.table("other")["table"]}

    def view(self, namespace="sales"):
        name = self.world.new("v")
        made = self.world.a.make_view(namespace, name)
        return {"view": name, "metadata_location": made["metadata-location"]}

    def aside(self):
        return {"aside": self.view("other")["view"]}

    def dropped_view(self, namespace="sales"):
        names = self.view(namespace)
        self.world.a.admin.ask("DELETE", "/v1/lake/namespaces/%s/views/%s" %
                               (namespace, names["view"]))
        return names

    def dropped_view_beside(self):
        return self.dropped_view("other")

    def unregistered(self, namespace="sales"):
        names = self.table(namespace)
        self.world.a.admin.ask("POST", "/v1/lake/namespaces/%s/tables/%s/unregister" %
                               (namespace, names["table"]))
        return names

    def dropped(self, namespace="sales"):
        names = self.table(namespace)
        self.world.a.admin.ask("DELETE", "/v1/lake/namespaces/%s/tables/%s" %
                               (namespace, names["table"]))
        return names

    def dropped_in_third(self):
        return self.dropped("third")

    def unregistered_beside(self):
        return self.unregistered("other")

    def tenant(self):
        return {"tenant": self.world.root.ask("POST", "/api/v1/tenants",
                                              {"name": self.world.new("tenant")})["id"]}

    def user(self):
        a = self.world.a
        return {"user": a.admin.ask("POST", "/api/v1/users",
                                    a.user_body(self.world.new("user")))["id"]}

    def role(self):
        a = self.world.a
        return {"role": a.admin.ask("POST", "/api/v1/roles", {
            "name": self.world.new("role"), "tenant-id": a.id})["id"]}

    def assignment(self):
        names = dict(self.user(), **self.role())
        self.world.a.admin.ask("POST", "/api/v1/users/%s/roles" % names["user"],
                               {"role-id": names["role"]})
        return names

    def grant(self):
        user = self.user()["user"]
        return {"grant": self.world.a.grant(user, ["read"], self.world.a.whole())}

    def service(self):
        key = self.world.a.admin.ask("POST", "/api/v1/service-users",
                                     {"name": self.world.new("robot"), "role": "tenant-user"})
        return {"service": key["id"], "key": key["api_key"].split("_")[1]}

    def warehouse(self):
        name = self.world.new("depot")
        self.world.a.admin.ask("POST", "/api/v1/warehouses",
                               {"name": name, "storage_config": {"type": "file"}})
        return {"warehouse": name}

    def catalog(self):
        """Writable for w and k, as lake is."""
        a, name = self.world.a, self.world.new("catalog")
        made = a.admin.ask("POST", "/api/v1/catalogs", {"name": name, "warehouse_name": "depot"})
        for principal in (a.users["writer"], a.service):
            a.grant(principal, ["write"], {"type": "catalog", "catalog_id": made["id"]})
        return {"catalog": name}

    def branch(self):
        name = self.world.new("branch")
        self.world.a.admin.ask("POST", "/api/v1/branches", {"name": name, "catalog": "lake"})
        return {"branch": name}

    def torn(self):
        operation, conflict = self.world.a.torn(self.world.new("torn"))
        return {"operation": operation, "conflict": conflict}

    def mended(self):
        names = self.torn()
        self.world.a.admin.ask("POST", "/api/v1/conflicts/%s/resolve" % names["conflict"],
                               {"strategy": "TakeSource"})
        return names

    def tag(self):
        name = self.world.new("tag")
        self.world.a.admin.ask("POST", "/api/v1/tags",
                               {"name": name, "catalog": "lake", "from": "main"})
        return {"tag": name}

    def noted(self):
        names = self.table()
        asset = self.world.a.asset_id("sales", names["table"])
        self.world.a.admin.ask("POST", "/api/v1/assets/%s/metadata" % asset,
                               {"tags": [], "properties": {}, "discoverable": False})
        return {"asset": asset}

    def issued(self):
        return {"token": self.world.a.issue()}

    def token(self):
        return {}
