"""Signing in at identity providers, with real processes and providers that are asked over HTTP: who is
let in and as whom, roles by groups, tokens of other issuers as bearer, and everything that a provider,
a browser or a stranger may do wrong."""

import concurrent.futures
import http.client
import json
import os
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "servers"))
from identity import CLIENT, SECRET, Identity  # noqa: E402
from suite import Suite  # noqa: E402

from callers import Caller, basic, bearer  # noqa: E402

ROOT_PASSWORD = "a horse for root"
FRONTEND = "http://localhost:5173/landing"
APP = "https://app.example/back?keep=1"
AUDIENCE = "https://lake.example"
# Providers whose discovery goes wrong, each in one way.
LIARS = {
    "liar": {"issuer": "https://accounts.example"},
    "slash": {"document": {"issuer": None}},
    "away": {"document": {"token_endpoint": "http://10.11.12.13/token"}},
    "cloud": {"document": {"jwks_uri": "http://169.254.169.254/latest/keys"}},
    "keyless": {"no_keys": True},
    "huge": {"reply": {"/jwks": (200, b'{"keys":[]}' + b" " * (2 << 20), {})}},
    "moved": {"reply": {"/.well-known/openid-configuration":
                        (302, b"", {"Location": "http://localhost:1/"})}},
    "broken": {"reply": {"/.well-known/openid-configuration": (200, b"{", {})}},
    "down": {"reply": {"/jwks": (500, b"{}", {})}},
}

identity = Identity()
acme = identity.provider("acme")      # makes users, gives roles, takes bearer tokens
closed = identity.provider("closed")  # makes no users
turning = identity.provider("turning")
github = identity.provider("github")
for liar, oddity in LIARS.items():
    identity.provider(liar).odd = oddity
identity.provider("homeless")
ALL = ["acme", "closed", "turning", "github", "homeless", *LIARS]


def environment():
    found = {
        "PANGOLIN_NO_AUTH": "false", "PANGOLIN_AUTH_RATE_LIMIT": "0",
        "PANGOLIN_ROOT_USER": "root", "PANGOLIN_ROOT_PASSWORD": ROOT_PASSWORD,
        "FRONTEND_URL": FRONTEND, "PANGOLIN_OAUTH_REDIRECT_URIS": APP,
        "PANGOLIN_OAUTH_EMAIL_LINK_DOMAINS": "linked.example",
        "OAUTH_GITHUB_AUTH_URL": github.issuer + "/authorize",
        "OAUTH_GITHUB_TOKEN_URL": github.issuer + "/token",
        "OAUTH_GITHUB_USERINFO_URL": github.issuer + "/user",
        "PANGOLIN_OIDC_ACME_CREATE_USERS": "true", "PANGOLIN_GITHUB_CREATE_USERS": "true",
        "PANGOLIN_OIDC_TURNING_CREATE_USERS": "true",
        "PANGOLIN_OIDC_ACME_GROUPS_CLAIM": "realm.groups",
        "PANGOLIN_OIDC_ACME_ROLES": "cn=readers,ou=lake=reader; writers=writer; ghosts=no-such-role",
        "PANGOLIN_OIDC_ACME_AUDIENCE": AUDIENCE, "PANGOLIN_OIDC_ACME_SERVICE_CLAIM": "client_id",
    }
    for name in ALL:
        prefix = "PANGOLIN_GITHUB_" if name == "github" else "PANGOLIN_OIDC_%s_" % name.upper()
        found[prefix + "CLIENT_ID"] = CLIENT
        found[prefix + "CLIENT_SECRET"] = SECRET
        found[prefix + "REDIRECT_URI"] = "https://lake.example/oauth/callback/" + name
        found[prefix + "USERS_TENANT"] = "nowhere" if name == "homeless" else "people"
        if name != "github":
            found[prefix + "ISSUER"] = identity.providers[name].issuer
    return found


suite = Suite("auth_providers", environment())


def test(function):
    """A test that finds the tenant `people`."""
    def run(pangolin):
        root(pangolin)
        function(pangolin)
    run.__name__ = function.__name__
    return suite.test(run)


class Browser:
    """Keeps cookies, follows nothing by itself."""

    def __init__(self, pangolin):
        self.pangolin, self.cookies = pangolin, {}

    def get(self, path):
        """(status, location or body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.pangolin.port, timeout=40)
        headers = {}
        if self.cookies:
            headers["Cookie"] = "; ".join("%s=%s" % pair for pair in self.cookies.items())
        try:
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            body = reply.read()
        finally:
            connection.close()
        cookie = reply.headers.get("Set-Cookie")
        if cookie:
            assert "; HttpOnly" in cookie and "; Secure" in cookie and "SameSite=Lax" in cookie
            name, _, value = cookie.split(";")[0].partition("=")
            assert name.startswith("__Host-"), cookie
            self.cookies[name] = value
        if reply.status == 303:
            assert reply.headers["Cache-Control"] == "no-store"
            return 303, reply.headers["Location"]
        return reply.status, json.loads(body)

    def begin(self, provider, redirect=None):
        """The provider's authorization endpoint, as the browser is sent there."""
        query = "" if redirect is None else "?" + urllib.parse.urlencode({"redirect_uri": redirect})
        status, location = self.get("/oauth/authorize/%s%s" % (provider.name, query))
        assert status == 303, (status, location)
        return location

    def come_back(self, callback):
        address = urllib.parse.urlsplit(callback)
        return self.get(address.path + "?" + address.query)

    def sign_in(self, provider, redirect=None, **changes):
        """(status, location or error)."""
        return self.come_back(provider.visit(self.begin(provider, redirect), **changes))


def code_of(location):
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
    return query["code"]


def exchange(pangolin, code):
    return Caller(pangolin).call("POST", "/api/v1/oauth/exchange", {"code": code})[:2]


def sign_in(pangolin, provider, **person):
    """Somebody, signed in; `.me` is who that is."""
    provider.person = person
    status, location = Browser(pangolin).sign_in(provider)
    assert status == 303, (status, location)
    status, reply = exchange(pangolin, code_of(location))
    assert status == 200 and reply["token_type"] == "Bearer", (status, reply)
    caller = bearer(pangolin, reply["token"])
    caller.me = caller.must("GET", "/api/v1/users/me")
    return caller


def root(pangolin):
    """Root in the tenant `people`, which the first to ask makes."""
    caller = basic(pangolin, "root", ROOT_PASSWORD)
    found = [t for t in caller.must("GET", "/api/v1/tenants") if t["name"] == "people"]
    made = found[0] if found else caller.must("POST", "/api/v1/tenants", {"name": "people"})
    caller.headers["X-Pangolin-Tenant"] = caller.tenant = made["id"]
    return caller


def roles_of(caller, user):
    return sorted(role["name"] for role in caller.must("GET", "/api/v1/users/%s/roles" % user))


@test
def providers_are_listed(pangolin):
    listed = Caller(pangolin).must("GET", "/api/v1/oauth/providers")["providers"]
    assert sorted(listed) == sorted(ALL), listed


@test
def without_its_tenant_nobody_comes_in(pangolin):
    status, reply = Browser(pangolin).sign_in(identity.providers["homeless"])
    assert status == 403 and "tenant" in reply["error"], reply


@test
def who_is_new_becomes_a_user(pangolin):
    tenant = root(pangolin).tenant
    person = {"sub": "ann", "email": "Ann@new.example", "email_verified": True}
    first = sign_in(pangolin, acme, **person)
    assert first.me["username"] == "Ann@new.example" and first.me["role"] == "tenant-user", first.me
    assert first.me["oauth-provider"] == "acme" and first.me["tenant-id"] == tenant, first.me
    assert first.me["last-login"], first.me
    again = sign_in(pangolin, acme, sub="ann", email="other@new.example", email_verified=True)
    assert again.me["id"] == first.me["id"], "the subject tells, not the address"
    other = sign_in(pangolin, acme, sub="ann2", preferred_username="ann two")
    assert other.me["id"] != first.me["id"] and other.me["username"] == "ann two"
    status, _, _ = other.call("GET", "/api/v1/tenants")
    assert status == 403, "nobody becomes root"
    status, _ = Caller(pangolin).call("POST", "/api/v1/users/login", {
        "username": "ann two", "password": "", "tenant-id": tenant})[:2]
    assert status in (400, 401, 422), "there is no password"


@test
def browsers_go_only_where_they_may(pangolin):
    acme.person = {"sub": "ann"}
    _, location = Browser(pangolin).sign_in(acme)
    assert location.startswith(FRONTEND + "?code="), location
    _, location = Browser(pangolin).sign_in(acme, APP)
    assert location.startswith(APP + "&code="), location
    for foreign in ("https://evil.example", FRONTEND + "/", FRONTEND + "?x=1", FRONTEND + ".evil",
                    FRONTEND.upper(), "//evil.example", "javascript:alert(1)", FRONTEND + "#x",
                    "http://localhost:5173@evil.example/landing", FRONTEND + "%2f..", " " + FRONTEND,
                    "https://app.example/back", FRONTEND + "\r\nSet-Cookie: a=b"):
        status, reply = Browser(pangolin).get(
            "/oauth/authorize/acme?" + urllib.parse.urlencode({"redirect_uri": foreign}))
        assert status == 400 and "redirect_uri" in reply["error"], (foreign, status, reply)
    for name in ("nobody", "ACME", "acme%2f..", "google"):
        assert Browser(pangolin).get("/oauth/authorize/" + name)[0] == 400, name


@test
def a_state_works_once_in_its_browser(pangolin):
    acme.person = {"sub": "ann"}
    browser = Browser(pangolin)
    callback = acme.visit(browser.begin(acme))
    status, _ = Browser(pangolin).come_back(callback)
    assert status == 400, "another browser"
    assert browser.come_back(callback.replace("/callback/acme", "/callback/closed"))[0] == 400
    cookies = dict(browser.cookies)
    assert browser.come_back(callback)[0] == 303
    browser.cookies = cookies
    assert browser.come_back(callback)[0] == 400, "used"
    for state in ("", "x", "A" * 43, "A" * 500, None):
        changed = acme.visit(browser.begin(acme), state=state)
        assert browser.come_back(changed)[0] == 400, state


@test
def two_sign_ins_in_one_browser(pangolin):
    acme.person = {"sub": "ann"}
    browser = Browser(pangolin)
    first, second = acme.visit(browser.begin(acme)), acme.visit(browser.begin(acme))
    assert browser.come_back(second)[0] == 303
    assert browser.come_back(first)[0] == 303


@test
def of_many_at_once_one_wins(pangolin):
    acme.person = {"sub": "ann"}
    browser = Browser(pangolin)
    callback = acme.visit(browser.begin(acme))
    cookies = dict(browser.cookies)

    def come(_):
        other = Browser(pangolin)
        other.cookies = dict(cookies)
        return other.come_back(callback)

    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        answers = list(pool.map(come, range(8)))
        statuses = sorted(status for status, _ in answers)
        assert statuses == [303] + [400] * 7, statuses
        code = code_of([location for status, location in answers if status == 303][0])
        statuses = sorted(status for status, _ in pool.map(
            lambda _: exchange(pangolin, code), range(8)))
    assert statuses == [200] + [400] * 7, statuses
    for bad in ("", "x", "A" * 43, "A" * 5000):
        assert exchange(pangolin, bad)[0] == 400, bad


@test
def a_sign_in_outlives_the_server(pangolin):
    """State and code are in the store: whichever server the browser comes back to can go on."""
    acme.person = {"sub": "ann"}
    browser = Browser(pangolin)
    callback = acme.visit(browser.begin(acme))
    pangolin.stop()
    pangolin.start()
    status, location = browser.come_back(callback)
    assert status == 303, location
    pangolin.stop()
    pangolin.start()
    assert exchange(pangolin, code_of(location))[0] == 200


@test
def tokens_that_do_not_hold(pangolin):
    now = int(time.time())
    cases = {
        "another issuer": {"claims": {"iss": closed.issuer}},
        "no issuer": {"claims": {"iss": None}},
        "another audience": {"claims": {"aud": "somebody"}},
        "several audiences": {"claims": {"aud": [CLIENT, "somebody"]}},
        "azp of another": {"claims": {"azp": "somebody"}},
        "expired": {"claims": {"exp": now - 120}},
        "no end": {"claims": {"exp": None}},
        "of the future": {"claims": {"iat": now + 600}},
        "old": {"claims": {"iat": now - 7200}},
        "another nonce": {"claims": {"nonce": "AAAA"}},
        "no nonce": {"claims": {"nonce": None}},
        "at_hash of another": {"claims": {"at_hash": "AAAA"}},
        "no subject": {"claims": {"sub": None}},
        "no algorithm": {"alg": "none"},
        "HMAC by the public key": {"alg": "HS256"},
        "ES256 by an RSA key": {"alg": "ES256"},
        "no signature": {"signature": b"x"},
        "an unknown key": {"kid": "unknown"},
        "no ID token": {"reply": {"/token": (200, b'{"access_token":"a"}', {})}},
        "an ID token that is none": {"reply": {"/token": (200, b'{"id_token":"a.b.c"}', {})}},
        "code refused": {"reply": {"/token": (400, b'{"error":"invalid_grant"}', {})}},
        "mix-up": {"iss": closed.issuer},
        "mix-up, silently": {"iss": None},
    }
    acme.person = {"sub": "ann"}
    try:
        for name, odd in cases.items():
            acme.odd = odd
            status, reply = Browser(pangolin).sign_in(acme)
            assert status == 401 and "does not hold" in reply["error"], (name, status, reply)
        acme.odd = {"reply": {"/token": (200, b"no JSON", {})}}
        assert Browser(pangolin).sign_in(acme)[0] == 503
        acme.odd = {"reply": {"/token": (307, b"", {"Location": identity.base})}}
        assert Browser(pangolin).sign_in(acme)[0] == 503
        acme.odd = {"reply": {"/token": (200, b" " * (2 << 20), {})}}
        assert Browser(pangolin).sign_in(acme)[0] == 503
        acme.odd = {"slow": 12}
        begin = time.monotonic()
        assert Browser(pangolin).sign_in(acme)[0] == 503
        assert time.monotonic() - begin < 12, "a slow provider was waited for"
    finally:
        acme.odd = {}
    status, reply = Browser(pangolin).sign_in(acme, code=None, error="access_denied")
    assert status == 401 and "access_denied" in reply["error"], reply
    status, reply = Browser(pangolin).sign_in(acme, code=None, error="<script>")
    assert status == 401 and "script" not in reply["error"], reply
    assert Browser(pangolin).sign_in(acme, code="another")[0] == 401
    assert Browser(pangolin).sign_in(acme)[0] == 303


@test
def discovery_that_does_not_hold(pangolin):
    for name in LIARS:
        begin = time.monotonic()
        status, reply = Browser(pangolin).get("/oauth/authorize/" + name)
        assert status == 503, (name, status, reply)
        assert time.monotonic() - begin < 9, name
        asked = len(identity.providers[name].asked)
        assert Browser(pangolin).get("/oauth/authorize/" + name)[0] == 503
        assert len(identity.providers[name].asked) == asked, "asked again at once"


@test
def keys_that_turn(pangolin):
    sign_in(pangolin, turning, sub="t")
    asked = turning.asked.count("/jwks")
    sign_in(pangolin, turning, sub="t")
    assert turning.asked.count("/jwks") == asked, "keys are kept"
    turning.rotate()
    status, _ = Browser(pangolin).sign_in(turning)
    again = turning.asked.count("/jwks")
    assert (status, again) in ((303, asked + 1), (401, asked)), "at most once a minute"
    for _ in range(5):
        turning.rotate()
        assert Browser(pangolin).sign_in(turning)[0] == 401
    assert turning.asked.count("/jwks") == again, "strangers must not make us ask"


@test
def only_known_people_where_nobody_is_made(pangolin):
    admin = root(pangolin)
    user = admin.must("POST", "/api/v1/users", {
        "username": "bob", "email": "bob@linked.example", "role": "tenant-admin",
        "password": "correct horse"})
    for person in ({"sub": "bob"}, {"sub": "bob", "email": "bob@linked.example"},
                   {"sub": "bob", "email": "bob@linked.example", "email_verified": False},
                   {"sub": "bob", "email": "bob@linked.example", "email_verified": "true"},
                   {"sub": "bob", "email": "bob@other.example", "email_verified": True},
                   {"sub": "bob", "email": "bob@x.linked.example", "email_verified": True},
                   {"sub": "bob", "email": "x@y@linked.example", "email_verified": True}):
        closed.person = person
        status, reply = Browser(pangolin).sign_in(closed)
        assert status == 403, (person, status, reply)
    linked = sign_in(pangolin, closed, sub="bob", email="BOB@Linked.Example", email_verified=True)
    assert linked.me["id"] == user["id"] and linked.me["role"] == "tenant-admin", linked.me
    assert sign_in(pangolin, closed, sub="bob").me["id"] == user["id"]
    for other in (acme, closed):
        other.person = {"sub": "thief", "email": "bob@linked.example", "email_verified": True}
        assert Browser(pangolin).sign_in(other)[0] == 403, "one account, one identity"
    admin.must("PUT", "/api/v1/users/" + user["id"], {"active": False})
    closed.person = {"sub": "bob"}
    assert Browser(pangolin).sign_in(closed)[0] == 403
    status, _, _ = linked.call("GET", "/api/v1/users/me")
    assert status == 401, "disabled"


@test
def an_address_that_somebody_else_took_first(pangolin):
    """Who gives itself an address of somebody who has not come yet does not get that one's account."""
    admin = root(pangolin)
    password = "a password that is long enough"
    made = admin.must("POST", "/api/v1/users", {
        "username": "squatter", "email": "squatter@linked.example", "role": "tenant-user",
        "tenant_id": admin.tenant, "password": password})
    reply = Caller(pangolin).must("POST", "/api/v1/users/login", {
        "username": "squatter", "password": password, "tenant-id": admin.tenant})
    squatter = bearer(pangolin, reply["token"])
    squatter.must("PUT", "/api/v1/users/" + made["id"], {"email": "Chief@linked.example"})
    chief = sign_in(pangolin, acme, sub="chief", email="chief@linked.example", email_verified=True)
    assert chief.me["id"] != made["id"], "the squatter has the password of it"
    # An address that an administrator gives is vouched for, whoever had it.
    admin.must("PUT", "/api/v1/users/" + made["id"], {"email": "later@linked.example"})
    squatter.must("PUT", "/api/v1/users/" + made["id"], {"email": "later@linked.example"})
    later = sign_in(pangolin, acme, sub="later", email="later@linked.example", email_verified=True)
    assert later.me["id"] == made["id"]


@test
def a_code_of_one_who_was_disabled(pangolin):
    admin = root(pangolin)
    user = sign_in(pangolin, acme, sub="gone").me
    _, location = Browser(pangolin).sign_in(acme)
    admin.must("PUT", "/api/v1/users/" + user["id"], {"active": False})
    assert exchange(pangolin, code_of(location))[0] in (400, 401)


@test
def groups_give_roles_and_take_them(pangolin):
    admin = root(pangolin)
    made = {name: admin.must("POST", "/api/v1/roles", {
        "name": name, "description": "", "tenant-id": admin.tenant})["id"]
        for name in ("reader", "writer", "by hand")}
    readers = "cn=readers,ou=lake"
    groups = lambda *names: {"sub": "grace", "realm": {"groups": list(names)}}  # noqa: E731
    user = sign_in(pangolin, acme, **groups(readers, "ghosts", "others")).me["id"]
    assert roles_of(admin, user) == ["reader"]
    admin.must("POST", "/api/v1/users/%s/roles" % user, {"role-id": made["by hand"]})
    sign_in(pangolin, acme, **groups(readers, "writers"))
    assert roles_of(admin, user) == ["by hand", "reader", "writer"]
    sign_in(pangolin, acme, **groups("writers"))
    assert roles_of(admin, user) == ["by hand", "writer"]
    sign_in(pangolin, acme, sub="grace")
    assert roles_of(admin, user) == ["by hand"]
    admin.must("DELETE", "/api/v1/users/%s/roles/%s" % (user, made["by hand"]))
    for role in made.values():
        admin.must("DELETE", "/api/v1/roles/" + role)  # none of them is in use


@test
def github_s_user(pangolin):
    emails = [{"email": "x@y.example", "primary": False, "verified": True},
              {"email": "hub@new.example", "primary": True, "verified": True}]
    hub = sign_in(pangolin, github, user={"id": 77, "login": "hub"}, emails=emails)
    assert hub.me["username"] == "hub@new.example" and hub.me["oauth-provider"] == "github", hub.me
    emails = [{"email": "hub@new.example", "primary": True, "verified": False}]
    same = sign_in(pangolin, github, user={"id": 77, "login": "renamed"}, emails=emails)
    assert same.me["id"] == hub.me["id"]
    for user in ({"login": "hub"}, {"id": "77"}, {"id": -1}, {"id": 1.5}):
        github.person = {"user": user, "emails": []}
        assert Browser(pangolin).sign_in(github)[0] == 401, user


@test
def bearer_tokens_of_another_issuer(pangolin):
    admin = root(pangolin)
    me = sign_in(pangolin, acme, sub="bea").me
    acme.person = {"sub": "bea"}
    good = bearer(pangolin, acme.bearer(AUDIENCE))
    assert good.must("GET", "/api/v1/users/me")["id"] == me["id"]
    assert good.must("GET", "/api/v1/users/me")["id"] == me["id"], "remembered"
    now = int(time.time())
    bad = {
        "another audience": acme.bearer(CLIENT),
        "part of it": acme.bearer(AUDIENCE + "/"),
        "expired": acme.bearer(AUDIENCE, exp=now - 120),
        "no end": acme.bearer(AUDIENCE, exp=None),
        "not yet": acme.bearer(AUDIENCE, nbf=now + 600),
        "nobody here": acme.bearer(AUDIENCE, sub="nobody"),
        "an issuer without an audience": closed.bearer(AUDIENCE, sub="bob"),
        "its issuer by another key": closed.bearer(AUDIENCE, iss=acme.issuer, sub="bea"),
        "an issuer that nobody knows": acme.bearer(AUDIENCE, iss="http://127.0.0.1:1"),
        "our own issuer": acme.bearer(AUDIENCE, iss="pangolin"),
        "none": acme.token({"iss": acme.issuer, "aud": AUDIENCE, "sub": "bea", "exp": now + 60},
                           "none"),
        "HS256": acme.token({"iss": acme.issuer, "aud": AUDIENCE, "sub": "bea", "exp": now + 60},
                            "HS256"),
        "a service user that there is not": acme.bearer(AUDIENCE, sub="m", client_id="robot"),
    }
    for name, token in bad.items():
        status, reply, _ = bearer(pangolin, token).call("GET", "/api/v1/users/me")
        assert status == 401, (name, status, reply)
    robot = admin.must("POST", "/api/v1/service-users", {"name": "robot", "role": "tenant-user"})
    machine = bearer(pangolin, acme.bearer(AUDIENCE, sub="m", client_id="robot"))
    seen = machine.must("GET", "/api/v1/users/me")
    assert seen["username"] == "robot", (seen, robot)
    good.must("POST", "/api/v1/auth/revoke", {})
    assert good.call("GET", "/api/v1/users/me")[0] == 401, "this one was ended"
    other = bearer(pangolin, acme.bearer(AUDIENCE, iat=now - 5))
    assert other.must("GET", "/api/v1/users/me")["id"] == me["id"], "others were not"
    admin.must("PUT", "/api/v1/users/" + me["id"], {"active": False})
    assert other.call("GET", "/api/v1/users/me")[0] == 401, "at once"


@test
def the_audit_log_tells_of_it(pangolin):
    admin = root(pangolin)
    me = sign_in(pangolin, acme, sub="audited", preferred_username="audited").me
    rows = admin.must("GET", "/api/v1/audit?user_id=" + me["id"])
    rows = rows if isinstance(rows, list) else rows["events"]
    actions = [row["action"] for row in rows]
    assert "login" in actions and "generate_token" in actions, rows


@test
def no_secret_is_in_the_log(pangolin):
    with open(pangolin.log, encoding="utf-8", errors="replace") as log:
        text = log.read()
    assert SECRET not in text and urllib.parse.quote(SECRET, safe="") not in text


if __name__ == "__main__":
    suite.main()
