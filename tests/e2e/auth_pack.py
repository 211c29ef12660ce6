"""Attacks on authentication, over the wire: forged tokens, refresh tokens raced for, guessing from
many addresses and at many accounts, what the time of a refusal tells, revocation under load, and
canaries: secrets that are given to every door and searched for in all that comes out or stays."""

import base64
import concurrent.futures
import http.client
import json
import os
import statistics
import time
import urllib.parse
import uuid

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signed_in import ENVIRONMENT, PASSWORD, ROOT_PASSWORD, Tenant, b64url, hs256, sign_in
from suite import Suite

import harness

LIMIT = 5
GUESSING = {**ENVIRONMENT, "PANGOLIN_AUTH_RATE_LIMIT": str(LIMIT),
            "PANGOLIN_AUTH_RATE_WINDOW_SECS": "600"}

suite = Suite("auth_pack", {**ENVIRONMENT, "PANGOLIN_LOG_LEVEL": "debug"})


class Reply:
    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()

    @property
    def json(self):
        return json.loads(self.body)


def call(pangolin, method, path, body=None, form=None, raw=None, **headers):
    """One request on a connection of its own. Underscores in names of headers are hyphens."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if form is not None:
        raw = urllib.parse.urlencode(form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        raw = json.dumps(body)
    if raw is not None:
        headers.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection("127.0.0.1", pangolin.port, timeout=30)
    try:
        connection.request(method, path, raw, headers)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def me(pangolin, token, **headers):
    return call(pangolin, "GET", "/api/v1/users/me", Authorization="Bearer " + token, **headers)


def login(pangolin, name, password, tenant, **headers):
    return call(pangolin, "POST", "/api/v1/users/login",
                {"username": name, "password": password, "tenant-id": tenant}, **headers)


# ---- forged tokens ----

def part(value):
    return b64url(value if isinstance(value, bytes) else json.dumps(value).encode()).decode()


def parse(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def signed(key, header, claims):
    text = part(header) + "." + part(claims)
    return text + "." + part(key.sign(text.encode()))


def mac(secret, header, claims):
    import hashlib
    import hmac
    text = part(header) + "." + part(claims)
    return text + "." + part(hmac.new(secret, text.encode(), hashlib.sha256).digest())


def resigned(token):
    """Forgeries that begin with a good token and do not know its key."""
    head, body, signature = token.split(".")
    header, claims = parse(head), parse(body)
    mine = Ed25519PrivateKey.generate()
    public = part(mine.public_key().public_bytes_raw())
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": public}
    raised = dict(claims, role="root", tenant_id=None)
    flipped = ("A" if signature[10] != "A" else "B")
    yield "no signature", head + "." + body + "."
    yield "no third part", head + "." + body
    yield "a fourth part", token + "."
    yield "five parts", token + "..AAAA"
    yield "signature cut", token[:-4]
    yield "signature longer", token + "AAAA"
    yield "signature changed", ".".join((head, body, signature[:10] + flipped + signature[11:]))
    yield "signature of zeros", ".".join((head, body, part(bytes(64))))
    yield "padded", token + "=="
    yield "a blank inside", head + ". " + body + "." + signature
    yield "role raised", ".".join((head, part(raised), signature))
    yield "lives longer", ".".join((head, part(dict(claims, exp=claims["exp"] + 9)), signature))
    for name in ("none", "None", "NONE", "nOnE", "", None):
        yield "alg %r" % name, ".".join((part(dict(header, alg=name)), part(raised), ""))
        yield "alg %r, signed" % name, ".".join((part(dict(header, alg=name)), body, signature))
    yield "another's key", signed(mine, header, claims)
    yield "another's key, kid unknown", signed(mine, dict(header, kid="mine"), claims)
    yield "another's key, no kid", signed(mine, {"alg": header["alg"], "typ": "JWT"}, claims)
    yield "own key in jwk", signed(mine, dict(header, jwk=jwk), claims)
    yield "own key by jku", signed(mine, dict(header, jku="http://127.0.0.1:1/keys"), claims)
    yield "own key by x5u", signed(mine, dict(header, x5u="http://127.0.0.1:1/keys"), claims)
    for kid in ("../../../../dev/null", "' OR '1'='1", "", "\0", "x" * 5000, 7, None, ["a"]):
        yield "kid %.20r" % (kid,), signed(mine, dict(header, kid=kid), claims)
    yield "crit", ".".join((part(dict(header, crit=["exp"])), body, signature))
    yield "header is a list", ".".join((part([header]), body, signature))
    yield "claims are a list", signed(mine, header, [claims])
    yield "not JSON", ".".join((part(b"{"), body, signature))
    yield "nothing", ".."
    yield "huge", head + "." + "A" * 12000 + "." + signature


def confused(pangolin, token):
    """The public key taken for a secret."""
    header, claims = (parse(text) for text in token.split(".")[:2])
    keys = call(pangolin, "GET", "/.well-known/jwks.json").json["keys"]
    for key in keys:
        shapes = [key["x"].encode(), base64.urlsafe_b64decode(key["x"] + "=="),
                  json.dumps(key).encode(), b""]
        for number, shape in enumerate(shapes):
            for alg in ("HS256", header["alg"]):
                yield "public key as secret %d, %s" % (number, alg), \
                    mac(shape, dict(header, alg=alg, kid=key["kid"]), claims)


def told(good):
    """Claims that even the shared secret must not make good."""
    now = int(time.time())
    for name, change in (
            ("expired", {"exp": now - 3600}), ("exp is text", {"exp": str(now + 60)}),
            ("exp is a list", {"exp": [now + 60]}), ("exp null", {"exp": None}),
            ("exp beyond all", {"exp": 10 ** 30}), ("exp negative", {"exp": -1}),
            ("far too long a life", {"exp": now + 3600 * 24 * 4000}),
            ("made tomorrow", {"iat": now + 86400, "exp": now + 90000}),
            ("not before tomorrow", {"nbf": now + 86400}),
            ("another issuer", {"iss": "https://elsewhere.example"}),
            ("another audience", {"aud": "elsewhere"}),
            ("no such user", {"sub": str(uuid.uuid4())}), ("sub no id", {"sub": "writer"}),
            ("jti no id", {"jti": "x"}), ("jti null", {"jti": None}),
            ("role unknown", {"role": "emperor"}), ("role null", {"role": None}),
            ("role a list", {"role": ["root"]}),
            ("raised to tenant-admin", {"role": "tenant-admin"}),
            ("raised to root", {"role": "root"}),
            ("raised to root of no tenant", {"role": "root", "tenant_id": None}),
            ("tenant unknown", {"tenant_id": str(uuid.uuid4())}),
            ("tenant null", {"tenant_id": None}), ("tenant no id", {"tenant_id": "acme"})):
        yield name, hs256({key: value for key, value in dict(good, **change).items()})
    for name in ("exp", "jti", "sub", "role", "tenant_id", "username"):
        yield "no " + name, hs256({key: value for key, value in good.items() if key != name})
    yield "another secret", mac(b"another secret of thirty-two bytes", {"alg": "HS256"}, good)


@suite.test
def forged_tokens(pangolin):
    tenant, other = Tenant(pangolin, "forged"), Tenant(pangolin, "forged-other")
    user = tenant.user("ann")
    assert me(pangolin, user.token).status == 200
    now = int(time.time())
    good = {"sub": user.id, "jti": str(uuid.uuid4()), "username": "ann", "tenant_id": tenant.id,
            "role": "tenant-user", "iat": now, "exp": now + 600}
    assert me(pangolin, hs256(good)).status == 200, "the claims that all others change"
    forgeries = [*resigned(user.token), *confused(pangolin, user.token), *told(good),
                 ("of another tenant", hs256(dict(good, tenant_id=other.id))),
                 ("an administrator's id", hs256(dict(good, sub=tenant.admin.get(
                     "/api/v1/users/me")["id"], role="root")))]
    assert len(forgeries) >= 60, len(forgeries)
    wrong, messages = [], set()
    for name, token in forgeries:
        if any(ord(letter) < 32 for letter in token):
            continue
        reply = me(pangolin, token)
        if reply.status not in (401, 431):
            wrong.append((name, reply.status, reply.body[:200]))
        elif reply.status == 401:
            messages.add((reply.json["error"], reply.headers["www-authenticate"]))
    assert not wrong, wrong
    assert len(messages) <= 4, "a refusal says too much: %s" % messages
    assert me(pangolin, user.token).status == 200
    iceberg = call(pangolin, "GET", "/v1/forged/namespaces", Authorization="Bearer a.b.c")
    assert iceberg.status == 401 and iceberg.json["error"]["code"] == 401, iceberg.body


@suite.test
def odd_headers(pangolin):
    tenant = Tenant(pangolin, "odd")
    token = tenant.admin.token
    for value in ("", "Bearer", "Bearer ", "Basic", "Basic !!!", "Basic " + "A" * 4000,
                  "Digest x", token, "Bearer\t", "Bearer " + token + " more", "Negotiate AAAA",
                  "Basic " + base64.b64encode(b"root").decode(),
                  "Basic " + base64.b64encode(b"root:").decode(),
                  "Basic " + base64.b64encode(("admin:" + PASSWORD).encode()).decode(),
                  "Basic " + base64.b64encode(("root\0:" + ROOT_PASSWORD).encode()).decode()):
        reply = call(pangolin, "GET", "/api/v1/users/me", Authorization=value)
        assert reply.status == 401, (value, reply.status, reply.body)
        assert isinstance(reply.json["error"], str), reply.body
    for value in ("", "pgl_", "pgl_%s_%s" % ("a" * 12, "b" * 48), "x" * 5000, "pgl_a_b",
                  "pgl_%s_%s" % ("a" * 12, "b" * 47), "pgl_../../etc_x"):
        reply = call(pangolin, "GET", "/api/v1/users/me", X_API_Key=value)
        assert reply.status == 401, (value, reply.status, reply.body)
    # What only the bridge may say, said by a client.
    for name in ("x-pangolin-user", "x-pangolin-principal", "x-pangolin-address", "grpc-metadata-x",
                 "x-pangolin-peer", "x-real-ip"):
        assert call(pangolin, "GET", "/api/v1/users/me", **{name: "root"}).status == 401
    reply = me(pangolin, token, X_Pangolin_Tenant="not-an-id")
    assert reply.status in (400, 403, 422), reply.body


# ---- replay ----

@suite.test
def refresh_raced_for(pangolin):
    """Many that hold one refresh token: one may win, and then the family ends for all."""
    tenant = Tenant(pangolin, "raced")
    tenant.user("ann")
    begin = login(pangolin, "ann", PASSWORD, tenant.id).json

    def refresh(_):
        return call(pangolin, "POST", "/api/v1/auth/refresh",
                    {"refresh-token": begin["refresh-token"]})
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        replies = list(pool.map(refresh, range(16)))
    won = [reply for reply in replies if reply.status == 200]
    assert len(won) <= 1, "%d got a token for one refresh token" % len(won)
    assert all(reply.status in (200, 401) for reply in replies), [r.status for r in replies]
    for reply in won:
        assert me(pangolin, reply.json["token"]).status == 401
        assert call(pangolin, "POST", "/api/v1/auth/refresh",
                    {"refresh-token": reply.json["refresh-token"]}).status == 401
    assert me(pangolin, begin["token"]).status == 401
    # The other family of the same user lives on.
    other = login(pangolin, "ann", PASSWORD, tenant.id).json
    third = login(pangolin, "ann", PASSWORD, tenant.id).json
    for _ in range(2):
        call(pangolin, "POST", "/api/v1/auth/refresh", {"refresh-token": other["refresh-token"]})
    assert me(pangolin, other["token"]).status == 401
    assert me(pangolin, third["token"]).status == 200
    # A refresh token is none for a call, an access token none for a refresh.
    assert me(pangolin, third["refresh-token"]).status == 401
    assert call(pangolin, "POST", "/api/v1/auth/refresh",
                {"refresh-token": third["token"]}).status == 401


@suite.test
def revoked_under_load(pangolin):
    tenant = Tenant(pangolin, "loaded")
    user = tenant.user("ann")
    tenant.grant(user.id, "read")
    ended = []

    def load(_):
        """Calls until refused; returns when the last call began that was let in."""
        last = 0.0
        while not ended or time.monotonic() < ended[0] + 1:
            begin = time.monotonic()
            reply = call(pangolin, "GET", "/v1/loaded/namespaces",
                         Authorization="Bearer " + user.token)
            if reply.status == 200:
                last = begin
            else:
                assert reply.status == 401, reply.body
        return last
    with concurrent.futures.ThreadPoolExecutor(max_workers=6) as pool:
        runs = [pool.submit(load, number) for number in range(6)]
        time.sleep(0.5)
        user.post("/api/v1/auth/revoke")
        ended.append(time.monotonic())
        late = [run.result() - ended[0] for run in runs if run.result() > ended[0]]
    assert not late, "let in after the token was revoked: %s" % late


# ---- guessing ----

def guess(pangolin, name, tenant, **headers):
    return login(pangolin, name, "guessed " + str(uuid.uuid4()), tenant, **headers)


def is_blocked(reply):
    if reply.status == 401 or reply.status == 200:
        return False
    assert reply.status == 429, reply.body
    assert 1 <= int(reply.headers["retry-after"]) <= 600, reply.headers
    assert "error" in reply.json
    return True


def until_blocked(ask):
    for number in range(LIMIT + 3):
        if is_blocked(ask(number)):
            assert number >= LIMIT - 1, "refused after %d" % number
            return
    raise AssertionError("not refused after %d failures" % (LIMIT + 3))


def free(pangolin):
    """A server with a bound; root and all that must be made come before anybody guesses."""
    tenant = Tenant(pangolin, "guessed")
    for name in ("ann", "bea", "cat"):
        tenant.admin.users.create(name, name + "@example.org", "tenant-user", tenant.id, PASSWORD)
    return tenant


@suite.test
def guessing_at_an_account(_):
    with harness.Pangolin("auth_pack", {**GUESSING, "PANGOLIN_TRUST_FORWARDED_FOR": "true"}) as it:
        tenant = free(it)
        other = Tenant(it, "guessed-other")
        other.admin.users.create("ann", "a@example.org", "tenant-user", other.id, PASSWORD)
        # Every guess from an address of its own: the account is what they have in common.
        until_blocked(lambda n: guess(it, "ann", tenant.id, X_Forwarded_For="10.1.0.%d" % n))
        assert is_blocked(login(it, "ann", PASSWORD, tenant.id, X_Forwarded_For="10.1.1.1"))
        assert login(it, "bea", PASSWORD, tenant.id, X_Forwarded_For="10.1.0.1").status == 200
        assert login(it, "ann", PASSWORD, other.id, X_Forwarded_For="10.1.0.1").status == 200
        until_blocked(lambda n: guess(it, "nobody", tenant.id, X_Forwarded_For="10.2.0.%d" % n))
        # One address at many accounts.
        until_blocked(lambda n: guess(it, "user-%d" % n, tenant.id, X_Forwarded_For="10.3.0.1"))
        assert is_blocked(login(it, "cat", PASSWORD, tenant.id, X_Forwarded_For="10.3.0.1"))
        assert login(it, "cat", PASSWORD, tenant.id, X_Forwarded_For="10.3.0.2").status == 200
        # The same addresses, by the other doors.
        until_blocked(lambda n: call(it, "GET", "/api/v1/users/me", X_Forwarded_For="10.4.0.1",
                                     X_API_Key="pgl_%012d_%s" % (n, "b" * 48)))
        until_blocked(lambda n: me(it, "a.b.%d" % n, X_Forwarded_For="10.5.0.1"))
        until_blocked(lambda n: call(it, "POST", "/v1/oauth/tokens", form={
            "grant_type": "client_credentials", "client_id": str(uuid.uuid4()),
            "client_secret": "x"}, X_Forwarded_For="10.6.0.1"))
        until_blocked(lambda n: call(it, "POST", "/api/v1/auth/refresh", {
            "refresh-token": "none %d" % n}, X_Forwarded_For="10.7.0.1"))
        until_blocked(lambda n: call(
            it, "GET", "/api/v1/users/me", X_Forwarded_For="10.8.0.1",
            Authorization="Basic " + base64.b64encode(b"root:guess %d" % n).decode()))
        # Who is in stays in, and one network of IPv6 is one address.
        assert me(it, tenant.admin.token, X_Forwarded_For="10.5.0.1").status == 200
        until_blocked(lambda n: guess(it, "six-%d" % n, tenant.id,
                                      X_Forwarded_For="2001:db8::%x" % (n + 1)))
        assert login(it, "cat", PASSWORD, tenant.id, X_Forwarded_For="2001:db9::1").status == 200
        # The count is the store's: a new server knows it.
        assert it.stop() == 0
        it.start()
        assert is_blocked(login(it, "ann", PASSWORD, tenant.id, X_Forwarded_For="10.1.1.1"))
        assert is_blocked(login(it, "cat", PASSWORD, tenant.id, X_Forwarded_For="10.3.0.1"))


@suite.test
def guessing_with_invented_addresses(_):
    with harness.Pangolin("auth_pack", GUESSING) as it:
        tenant = free(it)
        until_blocked(lambda n: guess(it, "user-%d" % n, tenant.id,
                                      X_Forwarded_For="10.1.0.%d" % n, X_Real_IP="10.1.0.%d" % n,
                                      Forwarded="for=10.1.0.%d" % n))


@suite.test
def a_success_forgives(_):
    with harness.Pangolin("auth_pack", {**GUESSING, "PANGOLIN_TRUST_FORWARDED_FOR": "true"}) as it:
        tenant = free(it)
        for turn in range(3):
            for n in range(LIMIT - 2):
                reply = guess(it, "ann", tenant.id, X_Forwarded_For="10.%d.0.%d" % (turn, n))
                assert reply.status == 401, reply.body
            reply = login(it, "ann", PASSWORD, tenant.id, X_Forwarded_For="10.%d.1.1" % turn)
            assert reply.status == 200, "mistypings are held against ann: %s" % reply.body


# ---- time ----

def medians(rounds, **asks):
    """Microseconds of each, asked in turn, so that what else runs hits all alike."""
    taken = {name: [] for name in asks}
    for _ in range(rounds):
        for name, ask in asks.items():
            begin = time.perf_counter()
            ask()
            taken[name].append((time.perf_counter() - begin) * 1e6)
    return {name: statistics.median(values) for name, values in taken.items()}


def differ(found, share, floor_us):
    return max(found.values()) - min(found.values()) > max(share * min(found.values()), floor_us)


def alike(rounds, share, floor_us, **asks):
    """Three tries: a busy machine may spoil one."""
    for _ in range(3):
        found = medians(rounds, **asks)
        if not differ(found, share, floor_us):
            return
    raise AssertionError("the time tells them apart: %s" % found)


@suite.test
def time_of_a_wrong_key(pangolin):
    tenant = Tenant(pangolin, "timed")
    key = tenant.admin.service_users.create("robot").api_key
    connection = http.client.HTTPConnection("127.0.0.1", pangolin.port, timeout=30)

    def ask(value):
        def one():
            connection.request("GET", "/api/v1/users/me", headers={"X-API-Key": value})
            reply = connection.getresponse()
            reply.read()
            assert reply.status == 401
        return one
    last = "a" if key[-1] != "a" else "b"
    alike(250, 0.25, 150,
          first_letter=ask(key[:17] + ("a" if key[17] != "a" else "b") + key[18:]),
          last_letter=ask(key[:-1] + last), unknown=ask("pgl_%s_%s" % ("a" * 12, "b" * 48)))
    connection.close()


@suite.test
def time_of_a_wrong_password(pangolin):
    tenant = Tenant(pangolin, "timed-too")
    tenant.admin.users.create("ann", "a@example.org", "tenant-user", tenant.id, PASSWORD)
    made = tenant.admin.users.create("off", "o@example.org", "tenant-user", tenant.id, PASSWORD)
    tenant.admin.put("/api/v1/users/" + made.id, json={"active": False})
    nowhere = str(uuid.uuid4())

    def ask(name, password, where=tenant.id):
        return lambda: login(pangolin, name, password, where)
    bodies = {ask(*one)().body for one in (("ann", "wrong password"), ("nobody", PASSWORD),
                                           ("off", PASSWORD), ("ann", PASSWORD, nowhere))}
    assert len(bodies) == 1, bodies
    alike(8, 0.5, 20000, known=ask("ann", "wrong password"), unknown=ask("nobody", PASSWORD),
          inactive=ask("off", PASSWORD), no_tenant=ask("ann", PASSWORD, nowhere))


# ---- canaries ----

class Canaries:
    """Secrets that were given, and all that was seen."""

    def __init__(self, pangolin):
        self.pangolin, self.secrets, self.seen = pangolin, {}, []

    def new(self, name):
        """A secret that a rule for passwords takes; `name` says where it was given."""
        self.secrets[name] = "canary-%s" % uuid.uuid4().hex
        return self.secrets[name]

    def given(self, name, secret):
        self.secrets[name] = secret
        return secret

    def call(self, what, method, path, shows=False, **request):
        """`shows`: this reply is the one that gives a secret out."""
        reply = call(self.pangolin, method, path, **request)
        if not shows:
            self.seen.append((what, reply.body + str(reply.headers).encode()))
        return reply

    @staticmethod
    def shapes(secret):
        """As it is, in hexadecimal, and as it looks within base64 at any place."""
        raw = secret.encode()
        yield raw
        yield raw.hex().encode()
        for shift in range(3):
            text = base64.b64encode(bytes(shift) + raw)
            core = text[4:len(text) - 4]
            yield core
            yield core.replace(b"+", b"-").replace(b"/", b"_")

    def found_in(self, place, content):
        return [(name, place) for name, secret in self.secrets.items()
                if any(shape in content for shape in self.shapes(secret))]


def files_below(folder):
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    yield os.path.relpath(path, folder), file.read()


def sow(c, tenant):
    """Gives a secret to every door that takes one, rightly and wrongly."""
    by = {"Authorization": "Bearer " + tenant.admin.token}
    user = {"username": "ann", "email": "ann-of-canaries@example.org", "tenant_id": tenant.id,
            "role": "tenant-user"}
    password = c.new("password")
    made = c.call("user", "POST", "/api/v1/users", body=dict(user, password=password), **by)
    assert made.status == 201, made.body
    ident = made.json["id"]
    c.call("duplicate", "POST", "/api/v1/users", body=dict(user, password=c.new("again")), **by)
    c.call("new password", "PUT", "/api/v1/users/" + ident, body={"password": c.new("put")}, **by)
    c.call("bad email", "POST", "/api/v1/users",
           body=dict(user, email="x\n", password=c.new("bad email")), **by)
    c.call("mistyped", "POST", "/api/v1/users", body=dict(user, password=[c.new("list")]), **by)
    c.call("unknown member", "POST", "/api/v1/users",
           body=dict(user, passwort=c.new("unknown member")), **by)
    c.call("broken JSON", "POST", "/api/v1/users", raw='{"password": "%s"' % c.new("broken"), **by)
    sign = "/api/v1/users/login"
    mine = {"username": "ann", "tenant-id": tenant.id}
    c.call("wrong", "POST", sign, body=dict(mine, password=c.new("wrong password")))
    c.call("no user", "POST", sign, body=dict(mine, username="no", password=c.new("no user")))
    c.call("mistyped", "POST", sign, body=dict(mine, password={"a": c.new("object")}))
    c.call("new", "POST", sign, body=dict(mine, password=c.new("a"),
                                          **{"new-password": c.new("new-password")}))
    c.call("in the URL", "POST", sign + "?password=" + c.new("query"), body=mine)
    good = c.call("login", "POST", sign, shows=True,
                  body=dict(mine, password=c.secrets["put"])).json
    c.given("token", good["token"].split(".")[2])
    c.given("refresh token", good["refresh-token"])
    c.call("refresh", "POST", "/api/v1/auth/refresh", body={"refresh-token": c.new("no refresh")})
    again = c.call("refresh", "POST", "/api/v1/auth/refresh", shows=True,
                   body={"refresh-token": good["refresh-token"]}).json
    c.given("second token", again["token"].split(".")[2])
    c.given("second refresh token", again["refresh-token"])
    return ident, by


def sow_keys(c, tenant, by):
    robot = c.call("robot", "POST", "/api/v1/service-users", shows=True,
                   body={"name": "robot", "role": "tenant-user"}, **by).json
    c.given("key", robot["api_key"].split("_")[2])
    rotated = c.call("rotate", "POST", "/api/v1/service-users/%s/rotate" % robot["id"], shows=True,
                     **by).json
    c.given("rotated key", rotated["api_key"].split("_")[2])
    c.call("wrong key", "GET", "/api/v1/users/me", X_API_Key="pgl_%s_%s" % (
        robot["api_key"].split("_")[1], c.given("wrong key", uuid.uuid4().hex + "c" * 16)))
    c.call("good key", "GET", "/api/v1/users/me", X_API_Key=rotated["api_key"])
    c.call("good key twice", "GET", "/api/v1/users/me", X_API_Key=rotated["api_key"])
    for name, form in (
            ("client secret", {"grant_type": "client_credentials", "client_id": robot["id"]}),
            ("grant", {"grant_type": "no such grant", "client_id": robot["id"]}),
            ("client", {"grant_type": "client_credentials", "client_id": "no such client"})):
        c.call(name, "POST", "/v1/oauth/tokens", form=dict(form, client_secret=c.new(name)))
    token = c.call("oauth", "POST", "/v1/oauth/tokens", shows=True, form={
        "grant_type": "client_credentials", "client_id": robot["id"],
        "client_secret": rotated["api_key"]}).json["access_token"]
    c.given("oauth token", token.split(".")[2])
    c.call("with it", "GET", "/v1/canaries/namespaces", Authorization="Bearer " + token)
    pair = "root:" + c.new("basic")
    c.call("basic", "GET", "/api/v1/users/me",
           Authorization="Basic " + base64.b64encode(pair.encode()).decode())
    c.call("no scheme", "GET", "/api/v1/users/me", Authorization=c.new("no scheme"))
    issued = c.call("issued", "POST", "/api/v1/tokens", shows=True,
                    body={"tenant_id": tenant.id, "username": "ann"}, **by).json
    c.given("issued token", issued["token"].split(".")[2])


def sow_storage(c, by):
    for name, config, strategy in (
            ("s3", {"type": "s3", "s3.bucket": "bucket-of-canaries", "s3.region": "eu-west-1",
                    "s3.access-key-id": "AKIDEXAMPLE",
                    "s3.secret-access-key": c.new("s3.secret-access-key"),
                    "s3.session-token": c.new("s3.session-token"),
                    "secret_access_key": c.new("secret_access_key")},
             {"AwsStatic": {"access_key_id": "a", "secret_access_key": c.new("AwsStatic")}}),
            ("adls", {"type": "azure", "azure.container": "container", "account_name": "account",
                      "adls.account-key": c.new("adls.account-key"),
                      "adls.sas-token": c.new("adls.sas-token"),
                      "adls.client-secret": c.new("adls.client-secret")},
             {"AzureSas": {"account_name": "account", "account_key": c.new("AzureSas")}}),
            ("gcs", {"type": "gcs", "gcp.bucket": "bucket", "gcs.oauth2.token": c.new("gcs.token"),
                     "service_account_key": c.new("service_account_key")},
             {"GcpDownscoped": {"service_account_email": "e", "private_key": c.new("Gcp")}})):
        body = {"name": name, "storage_config": config, "vending_strategy": strategy}
        made = c.call("warehouse", "POST", "/api/v1/warehouses", body=body, **by)
        assert made.status == 201, (name, made.body)
        c.call("again", "POST", "/api/v1/warehouses", body=body, **by)
        c.call("change", "PUT", "/api/v1/warehouses/" + name, body={
            "storage_config": {"s3.secret-access-key": c.new("changed " + name)}}, **by)
    c.call("bad", "POST", "/api/v1/warehouses", body={"name": "", "storage_config": {
        "s3.secret-access-key": c.new("bad warehouse")}}, **by)
    c.call("bad", "POST", "/api/v1/warehouses", body={"name": "bad", "storage_config": {
        "type": "no such type", "s3.secret-access-key": c.new("bad type")}}, **by)
    c.call("settings", "PUT", "/api/v1/config/settings", body={
        "smtp_host": "mail-of-canaries.example.org", "smtp_password": c.new("smtp")}, **by)


READ = ("/api/v1/users", "/api/v1/users/me", "/api/v1/users/{user}", "/api/v1/users/{user}/tokens",
        "/api/v1/users/me/tokens", "/api/v1/service-users", "/api/v1/warehouses",
        "/api/v1/warehouses/s3", "/api/v1/warehouses/adls", "/api/v1/warehouses/gcs",
        "/api/v1/catalogs", "/api/v1/config/settings", "/api/v1/audit?limit=1000",
        "/api/v1/audit/export", "/api/v1/audit/count", "/api/v1/dashboard/stats",
        "/api/v1/search?q=canar", "/v1/config?warehouse=canaries", "/.well-known/jwks.json",
        "/metrics", "/health", "/api/v1/oauth/providers", "/api/v1/app-config",
        "/api/v1/tenants/{tenant}", "/api/v1/roles", "/api/v1/permissions")


@suite.test
def canaries(_):
    settings = {**ENVIRONMENT, "PANGOLIN_LOG_LEVEL": "debug"}
    with harness.Pangolin("auth_pack_canaries", settings) as it:
        tenant, c = Tenant(it, "canaries"), Canaries(it)
        for name, secret in (("root's password", ROOT_PASSWORD), ("admin's password", PASSWORD),
                             ("jwt secret", ENVIRONMENT["PANGOLIN_JWT_SECRET"])):
            c.given(name, secret)
        user, by = sow(c, tenant)
        sow_keys(c, tenant, by)
        sow_storage(c, by)
        for path in READ:
            path = path.format(user=user, tenant=tenant.id)
            reply = c.call(path, "GET", path, **by)
            assert reply.status == 200, (path, reply.status, reply.body)
        found = [one for what, content in c.seen for one in c.found_in("reply: " + what, content)]
        stored = dict(files_below(it.data))  # with the write-ahead log, while it is used
        assert it.stop() == 0
        after = dict(files_below(it.data))
        for files in (stored, after):
            for name, content in files.items():
                found += c.found_in("file: " + name, content)
        with open(it.log, "rb") as log:
            log.seek(it.log_begin)
            text = log.read()
        found += c.found_in("log", text)
        # That a search finds what is there: what is no secret is.
        everything = b"".join(stored.values()) + b"".join(after.values())
        for known in (b"ann-of-canaries@example.org", b"bucket-of-canaries",
                      b"mail-of-canaries.example.org"):
            assert known in everything, "%s is nowhere: is the store searched?" % known
        assert len(text) > 1000 and len(c.seen) > 40 and len(c.secrets) > 40
        assert not found, found


@suite.test
def who_signed_in_still_may(pangolin):
    """After all that, the main server serves as ever."""
    tenant = Tenant(pangolin, "after")
    assert sign_in(pangolin, tenant.id, "admin").catalogs.get("after").name == "after"


if __name__ == "__main__":
    suite.main()
