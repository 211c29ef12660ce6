"""Takes each check of each rule away in turn and asks whether the matrix notices.

A mutant is a copy of the server whose description, which is linked in as bytes, has one check
changed in place (two of one rule that ask the same of the same catalog go together, since either would do): its callers become "whoever has a credential" (or root alone, where that is who they
are), its objects and with them the evaluator's question go. Everything else is the program that
ships. The world is made once; each mutant starts on a copy of it.

    mutants.py [--sample N] [--seed S] [PART]...     N of them by chance; only RPCs that contain PART

Ends with `N passed, N failed, N skipped`: one per mutant, failed when nobody noticed.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "e2e"))
import pyenv

pyenv.enter()

import argparse
import random
import shutil
import tempfile

import harness
from matrix import Matrix
from table import ROWS
from world import ENVIRONMENT

RULE, CHECK, CALLER = 51234, 10, 8
ACTION, RESOURCE = 1, 2
READ, WRITE = 1, 2
OF_CATALOG = (15, 16, 17)  # branches, tags, commits: who may is decided by the catalog
ROOT, ROOT_IN_TENANT, MEMBER, ANYONE = 1, 2, 5, 6  # of rule.proto
OBJECT, EACH = 3, 4
# Where a check is not the only one to know: who takes it away changes nothing.
TWICE = {
    "TableService/ListTables": "the list hides a namespace that may not be listed",
    "AssetService/ListAssets": "the same",
    "ViewService/ListViews": "the same",
}
FILLER = 15  # a field that a check does not have


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def fields(data, begin, end):
    """(number, begin of the field, begin of its value, end) of each field of a message."""
    at = begin
    while at < end:
        start = at
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, after = varint(data, at)
        elif tag & 7 == 2:
            length, at = varint(data, at)
            after = at + length
        else:
            after = at + (8 if tag & 7 == 1 else 4)
        yield tag >> 3, start, at, after
        at = after


def parts(data, begin, end, number):
    return [(start, at, after) for n, start, at, after in fields(data, begin, end) if n == number]


def text(data, begin, end, number):
    found = parts(data, begin, end, number)
    return data[found[0][1]:found[0][2]].decode() if found else ""


def checks(data):
    """(RPC, begin, end) of each check in a set of file descriptions."""
    for _, file_at, file_end in parts(data, 0, len(data), 1):
        for _, service_at, service_end in parts(data, file_at, file_end, 6):
            service = text(data, service_at, service_end, 1)
            for _, method_at, method_end in parts(data, service_at, service_end, 2):
                rpc = "%s/%s" % (service, text(data, method_at, method_end, 1))
                for _, options_at, options_end in parts(data, method_at, method_end, 4):
                    for _, rule_at, rule_end in parts(data, options_at, options_end, RULE):
                        for _, at, end in parts(data, rule_at, rule_end, CHECK):
                            yield rpc, at, end


def weaken(data, at, end):
    """The bytes of a check that lets everybody pass, of the same length; None when there is no
    room (an evaluator's check without an object, or one that nobody passes)."""
    check = bytearray(data[at:end])
    callers = parts(check, 0, len(check), CALLER)
    if callers:
        # packed or one by one
        values = [i for start, at, after in callers
                  for i in (range(at, after) if check[start] & 7 == 2 else [at])]
        who = {check[i] for i in values}
        for i in values:
            check[i] = ROOT_IN_TENANT if ANYONE in who or {ROOT, MEMBER} <= who else ANYONE
        return bytes(check)
    objects = parts(check, 0, len(check), OBJECT)
    if not objects or objects[0][2] - objects[0][0] < 4:
        return None
    for i, (start, _, after) in enumerate(objects):
        head = bytes([CALLER << 3, ANYONE]) if i == 0 else b""
        rest = after - start - len(head) - 2
        check[start:after] = head + bytes([FILLER << 3 | 2, rest]) + bytes(rest)
    for start, _, after in parts(check, 0, len(check), EACH):  # its elements have no objects now
        check[start:after] = bytes([FILLER << 3 | 2, after - start - 2]) + bytes(after - start - 2)
    return bytes(check)


def number(data, begin, end, field):
    found = parts(data, begin, end, field)
    return varint(data, found[0][1])[0] if found else 0


def groups(data):
    """(RPC, checks that go together, the action that another check of the rule asks for and that
    takes this one in, or 0)."""
    found = {}
    for rpc, at, end in checks(data):
        of_catalog = number(data, at, end, RESOURCE) in OF_CATALOG
        what = text(data, at, end, OBJECT) if of_catalog else (at, end)
        found.setdefault((rpc, what, number(data, at, end, ACTION)), []).append((at, end))
    for (rpc, what, action), spans in found.items():
        yield rpc, spans, WRITE if action == READ and (rpc, what, WRITE) in found else 0


def described():
    """The linked description, as the build made it."""
    path = os.path.join(harness.bazel("info", "bazel-bin").strip(), "proto", "api.bin")
    with open(path, "rb") as data:
        return data.read()


class Mutants:
    def __init__(self, folder):
        self.folder = folder
        self.programs = os.path.join(folder, "programs")
        self.kept, self.data = os.path.join(folder, "kept"), os.path.join(folder, "var")
        built = os.path.dirname(os.path.dirname(harness.program()))
        os.mkdir(self.programs)
        for name in ("cli/pangolin", "bridge/pangolin-bridge", "server/pangolin-server"):
            shutil.copy(os.path.join(built, name), self.programs)
        self.server = os.path.join(self.programs, "pangolin-server")
        os.chmod(self.server, 0o755)
        with open(self.server, "rb") as program:
            self.program = program.read()
        self.description = described()
        self.at = self.program.index(self.description)
        os.environ["PANG_PROGRAM"] = os.path.join(self.programs, "pangolin")
        self.matrix = self.make_world()

    def make_world(self):
        with harness.Pangolin("mutants", environment=ENVIRONMENT, data=self.data) as pangolin:
            matrix = Matrix(pangolin, quiet=True)
            matrix.api.close()
        shutil.copytree(self.data, self.kept, symlinks=True,
                        ignore=shutil.ignore_patterns("*.sock"))
        return matrix

    def notices(self, rpc, spans, weaker):
        """Whether the rows of the RPC fail against a server with these checks."""
        with open(self.server, "wb") as program:
            program.write(self.program)
            for (at, _), check in zip(spans, weaker):
                program.seek(self.at + at)
                program.write(check)
        shutil.rmtree(self.data)
        shutil.copytree(self.kept, self.data, symlinks=True)
        try:
            pangolin = harness.Pangolin("mutants", environment=ENVIRONMENT, data=self.data).start()
        except RuntimeError:
            return True  # the server itself did: it does not start with such a rule
        try:
            self.matrix.move(pangolin)
            for row in ROWS:
                if row.rpc == rpc and not self.matrix.failures:
                    self.matrix.row(row)
            self.matrix.api.close()
        finally:
            pangolin.close()
        return bool(self.matrix.failures)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--sample", type=int, default=0)
    options.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options.add_argument("parts", nargs="*")
    options = options.parse_args()
    harness.build()
    served = {row.rpc for row in ROWS}
    passed, failed, skipped = 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="pang-mutants-") as folder:
        mutants = Mutants(folder)
        todo = [(rpc, spans, taken) for rpc, spans, taken in groups(mutants.description)
                if rpc in served and
                (not options.parts or any(part in rpc for part in options.parts))]
        if options.sample:
            print("seed %d" % options.seed)
            todo = random.Random(options.seed).sample(todo, min(options.sample, len(todo)))
        for rpc, spans, taken_in in todo:
            weaker = [weaken(mutants.description, at, end) for at, end in spans]
            if rpc in TWICE:
                print("%s: %s" % (rpc, TWICE[rpc]))
                skipped += 1
            elif taken_in:
                print("%s: who may write the catalog, as another check asks, may read it" % rpc)
                skipped += 1
            elif None in weaker:
                print("%s: a check without an object: no room" % rpc)
                skipped += 1
            elif mutants.notices(rpc, spans, weaker):
                passed += 1
            else:
                print("FAILED %s: nobody notices when %s is gone" % (
                    rpc, ", ".join(repr(mutants.description[at:end]) for at, end in spans)),
                    flush=True)
                failed += 1
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
