"""Identity providers for tests, in this process: OpenID Connect with PKCE (S256), single-use codes,
signed tokens and rotating keys, and GitHub's OAuth with its two addresses of a user. Standard library
and the openssl program. Each provider is a path of one server, and has a table `odd` of what it does
wrong: tests set it.

    with Identity() as identity:
        provider = identity.provider("acme")
        provider.issuer               what is configured as PANGOLIN_OIDC_ACME_ISSUER
        provider.person = {...}       the claims of whoever signs in next
        provider.visit(location)      a browser at the authorization endpoint: the callback's address

Odd things of ID tokens: `claims` (added or, where None, left out), `alg` ("none", "HS256" signed with
the public key), `kid`, `signature`. Of the rest: `issuer` (of the discovery document), `document` (added
to it), `reply` (path: (status, bytes, headers)), `slow` (seconds before each answer), `iss` (of the
answer's query), `no_keys`.
"""

import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import secrets
import subprocess
import tempfile
import threading
import time
import urllib.parse

SECRET = "secret of the client + more/="
CLIENT = "pangolin client"


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """An RSA key of openssl's."""

    def __init__(self, folder):
        self.kid = secrets.token_hex(4)
        self.path = os.path.join(folder, self.kid + ".pem")
        self.run("genrsa", "-out", self.path, "2048")
        self.modulus = int(re.search(rb"Modulus=([0-9A-F]+)", self.run(
            "rsa", "-in", self.path, "-noout", "-modulus")).group(1), 16)
        self.public = self.run("rsa", "-in", self.path, "-pubout")

    @staticmethod
    def run(*arguments, stdin=b""):
        return subprocess.run(["openssl", *arguments], input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True).stdout

    def sign(self, text):
        return self.run("dgst", "-sha256", "-sign", self.path, stdin=text)

    def jwk(self):
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "e": "AQAB",
                "n": b64url(self.modulus.to_bytes((self.modulus.bit_length() + 7) // 8, "big"))}


class Provider:
    def __init__(self, identity, name):
        self.identity, self.name = identity, name
        self.issuer = "%s/%s" % (identity.base, name)
        self.keys = [Key(identity.folder)]
        self.person = {"sub": "1"}
        self.odd = {}
        self.codes, self.asked = {}, []
        self.lock = threading.Lock()

    def rotate(self):
        """A new key; the old one is gone."""
        self.keys = [Key(self.identity.folder)]

    # ---- tokens ----

    def token(self, claims, alg="RS256", kid=None, signature=None):
        key = self.keys[0]
        head = {"alg": alg, "typ": "JWT", "kid": kid or key.kid}
        text = ".".join(b64url(json.dumps(part).encode()) for part in (head, claims))
        if signature is None:
            if alg == "none":
                signature = b"x"
            elif alg == "HS256":
                signature = hmac.new(key.public, text.encode(), hashlib.sha256).digest()
            else:
                signature = key.sign(text.encode())
        return text + "." + b64url(signature)

    def bearer(self, audience, **claims):
        """An access token for an audience, as machines get theirs."""
        now = int(time.time())
        all_claims = {"iss": self.issuer, "aud": audience, "exp": now + 300, "iat": now,
                      **self.person, **claims}
        return self.token({k: v for k, v in all_claims.items() if v is not None})

    def id_token(self, nonce, access_token):
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {"iss": self.issuer, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce,
                  "at_hash": b64url(half), **self.person, **self.odd.get("claims", {})}
        return self.token({k: v for k, v in claims.items() if v is not None},
                          self.odd.get("alg", "RS256"), self.odd.get("kid"),
                          self.odd.get("signature"))

    # ---- the browser ----

    def visit(self, location, **changes):
        """What the authorization endpoint makes of a browser that comes: the address that it sends
        it back to."""
        address, _, query = location.partition("?")
        asked = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
        assert address in (self.issuer + "/authorize",), address
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT, asked
        assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
        assert self.name == "github" or ("openid" in asked["scope"] and asked["nonce"]), asked
        code = secrets.token_urlsafe(24)
        with self.lock:
            self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.odd.get("iss", self.issuer),
                  **changes}
        answer = {k: v for k, v in answer.items() if v is not None}
        return asked["redirect_uri"] + "?" + urllib.parse.urlencode(answer)

    # ---- the server ----

    def document(self):
        found = {
            "issuer": self.odd.get("issuer", self.issuer),
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": True,
            **self.odd.get("document", {}),
        }
        return {k: v for k, v in found.items() if v is not None}

    def is_client(self, form, header):
        if self.name == "github":
            return form.get("client_id") == CLIENT and form.get("client_secret") == SECRET
        pair = base64.b64decode(header.removeprefix("Basic ")).decode().split(":")
        return [urllib.parse.unquote(part) for part in pair] == [CLIENT, SECRET]

    def redeem(self, form, header):
        with self.lock:
            asked = self.codes.pop(form.get("code"), None)
        challenge = b64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"] or \
                challenge != asked["code_challenge"] or not self.is_client(form, header):
            return 400, {"error": "invalid_grant"}
        access = secrets.token_urlsafe(16)
        if self.name == "github":
            return 200, {"access_token": access, "token_type": "bearer"}
        return 200, {"access_token": access, "token_type": "Bearer",
                     "id_token": self.id_token(asked.get("nonce"), access)}

    def answer(self, path, form, headers):
        """(status, reply)."""
        if path == "/.well-known/openid-configuration":
            return 200, self.document()
        if path == "/jwks":
            keys = [] if self.odd.get("no_keys") else [key.jwk() for key in self.keys]
            return 200, {"keys": keys}
        if path == "/token" and form is not None:
            return self.redeem(form, headers.get("Authorization", ""))
        if path == "/user":
            return 200, self.person["user"]
        if path == "/user/emails":
            return 200, self.person["emails"]
        return 404, {"error": "not found"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def serve(self, form):
        _, name, *rest = self.path.split("/", 2)
        path = "/" + (rest[0] if rest else "")
        provider = self.server.identity.providers.get(name)
        if provider is None:
            self.send_error(404)
            return
        provider.asked.append(path)
        time.sleep(provider.odd.get("slow", 0))
        headers = {}
        if path in provider.odd.get("reply", {}):
            status, body, headers = provider.odd["reply"][path]
        else:
            status, reply = provider.answer(path, form, self.headers)
            body = json.dumps(reply).encode()
        try:
            self.send_response(status)
            for header, value in headers.items():
                self.send_header(header, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # whoever asked has hung up

    def do_GET(self):
        self.serve(None)

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.serve(dict(urllib.parse.parse_qsl(text, strict_parsing=True)))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # whoever asked has hung up


class Identity:
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="pang-identity-")
        self.folder = self.directory.name
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.identity = self
        self.base = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.providers = {}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def provider(self, name):
        made = self.providers[name] = Provider(self, name)
        return made

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
