"""Asks every RPC as everybody, about an own, an absent and a foreign object, over REST and gRPC,
and compares with the expectations of table.py. Every RPC of the running server's description must
have a row there.

    matrix.py [PART]...      only rows whose name contains one of these

Ends with `N passed, N failed, N skipped`: one per cell.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
import pyenv

pyenv.enter()

import json
import re
import time
import urllib.parse

import grpc
from google.protobuf.message_factory import GetMessageClass

import harness
from grpc_calls import Api
from table import COLUMNS, LOCAL, ROWS, STREAM, UNSERVED
from world import ENVIRONMENT, PASSWORD, Client, World

FAILURES_SHOWN = 60
STATUSES = {"1": {401}, "3": {403}, "4": {404}, "0": {400, 422}, "U": {501}}
CODES = {"+": "OK", "1": "UNAUTHENTICATED", "3": "PERMISSION_DENIED", "4": "NOT_FOUND",
         "0": "INVALID_ARGUMENT", "U": "UNIMPLEMENTED"}


def put_names(template, names):
    """The template with {names} put in, strings and their containers alike."""
    if isinstance(template, str):
        return re.sub(r"\{(\w+)\}", lambda m: str(names[m.group(1)]), template)
    if isinstance(template, dict):
        return {key: put_names(value, names) for key, value in template.items()}
    if isinstance(template, list):
        return [put_names(value, names) for value in template]
    return template


def path_of(template, names):
    return re.sub(r"\{(\w+)\}", lambda m: urllib.parse.quote(str(names[m.group(1)]), safe=""),
                  template)


def fill(message, values):
    """Sets fields by their JSON or own names; bytes that are JSON are printed."""
    fields = {f.json_name: f for f in message.DESCRIPTOR.fields}
    fields.update({f.name: f for f in message.DESCRIPTOR.fields})
    lone = message.DESCRIPTOR.fields[0] if len(message.DESCRIPTOR.fields) == 1 else None
    for key, value in values.items():
        if key not in fields and lone is not None and lone.message_type is not None:
            getattr(message, lone.name)[key] = value  # a map that may be absent is wrapped
            continue
        field = fields[key]
        kind = field.message_type
        if field.type == field.TYPE_BYTES:
            setattr(message, field.name, json.dumps(value).encode())
        elif kind is not None and kind.GetOptions().map_entry:
            getattr(message, field.name).update(value)
        elif kind is not None and isinstance(value, list):
            for one in value:
                fill(getattr(message, field.name).add(), one)
        elif kind is not None:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name), value)
        elif isinstance(value, list):
            getattr(message, field.name).extend(value)
        else:
            setattr(message, field.name, value)
    return message


class Matrix:
    def __init__(self, pangolin, quiet=False):
        self.world = World(pangolin.port)
        self.callers = self.world.callers()
        self.quiet = quiet
        self.begin(pangolin)

    def begin(self, pangolin):
        self.clients = {}
        self.api = Api("127.0.0.1:%d" % pangolin.port)
        self.passed, self.failures = 0, []

    def move(self, pangolin):
        """Goes on with another process on the same data."""
        self.world.move(pangolin.port)
        self.begin(pangolin)

    def note(self, ok, what):
        if ok:
            self.passed += 1
        else:
            self.failures.append(what)
            if len(self.failures) <= FAILURES_SHOWN and not self.quiet:
                print("FAILED " + what, flush=True)

    def names_for(self, row, column, target, succeeds):
        names = {"own": self.world.own, "absent": self.world.absent(),
                 "foreign": self.world.other}[target]
        names = dict(names, new=self.world.new(), password=PASSWORD,
                     own_warehouse="shed" if column == "f" else "depot",
                     metadata_location="file:///nowhere/metadata/00000-x.metadata.json")
        if succeeds and row.fresh:
            names.update(getattr(self.world.fresh, row.fresh)())
        return names

    def rest(self, row, names, headers):
        key = tuple(sorted(headers.items()))
        if key not in self.clients:
            self.clients[key] = Client(self.world.port, headers)
        body = None if row.body is None else put_names(row.body, names)
        return self.clients[key].call(row.verb, path_of(row.path, names), body)

    def grpc(self, row, names, headers):
        service, name = row.rpc.split("/")
        method = self.api.method("pangolin.v1." + service, name)
        message = fill(GetMessageClass(method.input_type)(), put_names(row.message, names))
        if row.body is not None:
            fill(message, self.as_message(row, put_names(row.body, names)))
        metadata = [(key.lower(), value) for key, value in headers.items()]
        try:
            if row.verb == STREAM:
                call = self.api.channel.unary_stream("/pangolin.v1.%s" % row.rpc)(
                    message.SerializeToString(), timeout=60, metadata=metadata)
                next(call)
                call.cancel()
                return "OK", ""
            self.api.channel.unary_unary("/pangolin.v1.%s" % row.rpc)(
                message.SerializeToString(), timeout=60, metadata=metadata)
            return "OK", ""
        except grpc.RpcError as error:
            return error.code().name, error.details()

    @staticmethod
    def as_message(row, body):
        """Bodies whose fields lie elsewhere in the message."""
        return {"report": body} if row.rpc.endswith("/ReportMetrics") else body

    def cell(self, row, column, target, expected):
        if expected == ".":
            return
        for kind, headers in self.callers[column]:
            if row.verb == STREAM or (kind == "basic" and not row.basic):
                continue
            what = "%s as %s (%s) about %s" % (row.name, column, kind, target)
            names = self.names_for(row, column, target, expected == "+")
            if row.fresh == "token" and expected == "+":
                headers = self.world.token_of(column)
            reply = self.rest(row, names, headers)
            good = (200 <= reply.status < 400 if expected == "+"
                    else reply.status in STATUSES[expected])
            self.note(good, "REST %s: %d, not %s: %s" % (what, reply.status, expected,
                                                         reply.body[:160]))
            if reply.status >= 400 and row.verb != "HEAD":
                self.note(self.is_envelope(reply), "%s: no envelope: %s" % (what, reply.body[:80]))
        kind, headers = self.callers[column][0]
        names = self.names_for(row, column, target, expected == "+")
        if row.fresh == "token" and expected == "+":
            headers = self.world.token_of(column)
        code, details = self.grpc(row, names, headers)
        self.note(code == CODES[expected], "gRPC %s as %s about %s: %s, not %s: %s" % (
            row.name, column, target, code, CODES[expected], details[:160]))

    @staticmethod
    def is_envelope(reply):
        try:
            return "error" in json.loads(reply.body)
        except (ValueError, TypeError):
            return False

    def foreign(self, row, column):
        """The words about a foreign object are those about an absent one."""
        kind, headers = self.callers[column][0]
        said = []
        for target in ("foreign", "absent"):
            names = self.names_for(row, column, target, False)
            if row.verb == STREAM:
                status, text = self.grpc(row, names, headers)
            else:
                reply = self.rest(row, names, headers)
                status, text = reply.status, reply.body.decode(errors="replace")
            for name, value in sorted(names.items(), key=lambda item: -len(str(item[1]))):
                text = text.replace(str(value), "{}")
            said.append((status, text))
        self.note(said[0] == said[1], "%s as %s: foreign and absent differ: %s, %s" % (
            row.name, column, *said))

    def row(self, row):
        for column, expected in zip(COLUMNS, row.own):
            self.cell(row, column, "own", expected)
        if row.absent:
            for column, expected in zip(COLUMNS, row.absent):
                self.cell(row, column, "absent", expected)
            for column in "nsrwtkR" if row.foreign else "":
                self.foreign(row, column)

    def unserved(self):
        for rpc in UNSERVED:
            service, name = rpc.split("/")
            method = self.api.method("pangolin.v1." + service, name)
            try:
                self.api.channel.unary_unary("/pangolin.v1." + rpc)(
                    GetMessageClass(method.input_type)().SerializeToString(), timeout=60)
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
            self.note(code == "UNIMPLEMENTED", "%s answers %s: it needs a row" % (rpc, code))

    def complete(self):
        """Every RPC that the server describes has a row, or a reason to have none."""
        known = {row.rpc for row in ROWS} | set(LOCAL)
        for service in self.api.database.get_services():
            if not service.startswith("pangolin.v1."):
                continue
            for method in self.api.pool.FindServiceByName(service).methods:
                rpc = "%s/%s" % (service.rsplit(".", 1)[1], method.name)
                self.note(rpc in known or rpc in UNSERVED, "%s has no expectations" % rpc)
                known.discard(rpc)
        self.note(not known, "no such RPCs: %s" % sorted(known))


def main(parts):
    harness.build()
    begin = time.monotonic()
    with harness.Pangolin("matrix", environment=ENVIRONMENT) as pangolin:
        matrix = Matrix(pangolin)
        matrix.complete()
        matrix.unserved()
        for row in ROWS:
            if not parts or any(part in row.name for part in parts):
                matrix.row(row)
    print("%d cells in %.0f s" % (matrix.passed + len(matrix.failures), time.monotonic() - begin))
    print("%d passed, %d failed, 0 skipped" % (matrix.passed, len(matrix.failures)))
    return 1 if matrix.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
