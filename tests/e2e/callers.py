"""Callers of the REST API with one credential each, as curl is one. Standard library only."""

import base64
import http.client
import json
import urllib.parse


class Caller:
    """Calls with one credential, each on a connection of its own, as curl does."""

    def __init__(self, pangolin, **headers):
        self.port = pangolin.port
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def call(self, method, path, body=None, form=None):
        """(status, reply, headers)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers, text = dict(self.headers), None
        if form is not None:
            text = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif body is not None:
            text = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, text, headers)
            reply = connection.getresponse()
            content = reply.read()
            if reply.headers.get("content-type", "").startswith("application/json") and content:
                content = json.loads(content)
            return reply.status, content, reply.headers
        finally:
            connection.close()

    def must(self, method, path, body=None, form=None, status=(200, 201, 204)):
        got, reply, _ = self.call(method, path, body, form)
        wanted = status if isinstance(status, tuple) else (status,)
        assert got in wanted, (method, path, got, reply)
        return reply


def bearer(pangolin, token, **headers):
    return Caller(pangolin, Authorization="Bearer " + token, **headers)


def basic(pangolin, name, password):
    pair = base64.b64encode(("%s:%s" % (name, password)).encode()).decode()
    return Caller(pangolin, Authorization="Basic " + pair)
