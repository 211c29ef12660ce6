"""Signing in at a provider that others wrote (npm's oidc-provider): discovery, PKCE, nonce, iss in the
answer, ES256, client_secret_basic, all as that one understands them."""

import http.cookiejar
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402
from suite import Suite  # noqa: E402

from callers import Caller, basic, bearer  # noqa: E402

SERVERS = os.path.join(harness.ROOT, "tests", "servers")
HOME = os.path.join(harness.CACHE, "servers", "oidc-provider")
ROOT_PASSWORD = "a horse for root"
CLIENT, SECRET = "pangolin", "s3cret with a + and / in it, long enough"
PORT = harness.free_port()
CALLBACK = "https://lake.example/oauth/callback/real"
PERSON = {"sub": "4711", "email": "eve@people.example", "email_verified": True, "groups": ["lake"]}

suite = Suite("auth_real_provider", {
    "PANGOLIN_NO_AUTH": "false", "PANGOLIN_ROOT_USER": "root",
    "PANGOLIN_ROOT_PASSWORD": ROOT_PASSWORD, "FRONTEND_URL": "https://ui.example/",
    "PANGOLIN_OIDC_REAL_ISSUER": "http://127.0.0.1:%d" % PORT,
    "PANGOLIN_OIDC_REAL_CLIENT_ID": CLIENT, "PANGOLIN_OIDC_REAL_CLIENT_SECRET": SECRET,
    "PANGOLIN_OIDC_REAL_REDIRECT_URI": CALLBACK, "PANGOLIN_OIDC_REAL_USERS_TENANT": "people",
    "PANGOLIN_OIDC_REAL_CREATE_USERS": "true", "PANGOLIN_OIDC_REAL_GROUPS_CLAIM": "groups",
    "PANGOLIN_OIDC_REAL_ROLES": "lake=swimmer",
})


class Stop(urllib.request.HTTPRedirectHandler):
    """Follows what stays at the provider."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if newurl.startswith(CALLBACK):
            raise StopIteration(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def visit(location):
    """A browser at the provider: the address that it is sent back to."""
    opener = urllib.request.build_opener(
        Stop, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    try:
        reply = opener.open(location, timeout=20).read()
    except StopIteration as stop:
        return stop.value or str(stop)
    raise AssertionError(reply)


def begin(pangolin):
    """(where the browser is sent, its cookie)."""
    status, reply, headers = Caller(pangolin).call("GET", "/oauth/authorize/real")
    assert status == 303, reply
    return headers["Location"], headers["Set-Cookie"].split(";")[0]


@suite.test
def signs_in(pangolin):
    root = basic(pangolin, "root", ROOT_PASSWORD)
    root.headers["X-Pangolin-Tenant"] = root.must("POST", "/api/v1/tenants",
                                                  {"name": "people"})["id"]
    root.must("POST", "/api/v1/roles", {"name": "swimmer", "description": ""})
    location, cookie = begin(pangolin)
    back = urllib.parse.urlsplit(visit(location))
    browser = Caller(pangolin, Cookie=cookie)
    status, reply, headers = browser.call("GET", back.path + "?" + back.query)
    assert status == 303, reply
    assert headers["Location"].startswith("https://ui.example/?code="), headers["Location"]
    token = Caller(pangolin).must("POST", "/api/v1/oauth/exchange", {
        "code": headers["Location"].split("code=")[1]})["token"]
    me = bearer(pangolin, token).must("GET", "/api/v1/users/me")
    assert me["username"] == PERSON["email"] and me["oauth-provider"] == "real", me
    roles = root.must("GET", "/api/v1/users/%s/roles" % me["id"])
    assert [role["name"] for role in roles] == ["swimmer"], roles
    assert browser.call("GET", back.path + "?" + back.query)[0] == 400, "used"


@suite.test
def another_s_code_is_refused(pangolin):
    """The provider itself holds the code to the verifier of its own sign-in."""
    location, _ = begin(pangolin)
    stolen = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(visit(location)).query))["code"]
    location, cookie = begin(pangolin)
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(visit(location)).query), code=stolen)
    status, reply, _ = Caller(pangolin, Cookie=cookie).call(
        "GET", "/oauth/callback/real?" + urllib.parse.urlencode(query))
    assert status == 401, reply


def main():
    subprocess.run(["bash", os.path.join(SERVERS, "install.sh"), "oidc"], check=True, timeout=300,
                   stdin=subprocess.DEVNULL)
    provider = subprocess.Popen(
        [os.path.join(HOME, "node"), "server.mjs", str(PORT), CLIENT, SECRET, CALLBACK,
         json.dumps(PERSON)], cwd=HOME, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    try:
        assert provider.stdout.readline().strip() == b"ready"
        suite.main()
    finally:
        provider.kill()
        provider.wait()


if __name__ == "__main__":
    main()
