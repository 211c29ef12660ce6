"""gRPC from outside: Python's grpcio with reflection, through the bridge and on the core's own socket; the
same calls both ways must give the same answers. And `buf curl`, which knows nothing but the address."""

import json
import os
import subprocess
import threading

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import \
    ProtoReflectionDescriptorDatabase
from suite import Suite, raises

import harness

suite = Suite("grpc_calls")

CALL_S = 10
SCHEMA = b'{"type":"struct","fields":[{"id":1,"name":"id","required":false,"type":"long"}]}'


class Api:
    """Calls methods by name, knowing only what reflection says."""

    def __init__(self, target):
        self.channel = grpc.insecure_channel(target, options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def method(self, service, name):
        return self.pool.FindServiceByName(service).FindMethodByName(name)

    def call(self, service, name, /, timeout=CALL_S, **fields):
        method = self.method(service, name)
        stub = self.channel.unary_unary(
            "/%s/%s" % (service, name),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString)
        return stub(GetMessageClass(method.input_type)(**fields), timeout=timeout)

    def raw(self, path, body, timeout=CALL_S):
        return self.channel.unary_unary(path)(body, timeout=timeout)

    def close(self):
        self.channel.close()


def both_ways(pangolin):
    return {"bridge": Api("127.0.0.1:%d" % pangolin.port), "socket": Api("unix:" + pangolin.socket)}


def reason(error):
    return dict(error.trailing_metadata() or ()).get("pangolin-reason")


@suite.test
def reflection(pangolin):
    for way, api in both_ways(pangolin).items():
        services = set(api.database.get_services())
        assert {"pangolin.v1.TableService", "pangolin.v1.NamespaceService",
                "pangolin.v1.ConfigService", "grpc.health.v1.Health"} <= services, (way, services)
        table = api.pool.FindServiceByName("pangolin.v1.TableService")
        assert {"LoadTable", "CommitTable"} <= {m.name for m in table.methods}
        field = table.FindMethodByName("LoadTable").output_type.fields_by_name["metadata_location"]
        assert field.json_name == "metadata-location"
        raises(KeyError, api.pool.FindServiceByName, "pangolin.v1.NoSuchService")
        api.close()


@suite.test
def catalog_calls(pangolin):
    for way, api in both_ways(pangolin).items():
        config = api.call("pangolin.v1.ConfigService", "GetConfig", warehouse="demo")
        assert config.overrides["prefix"] == "demo", config
        space = "grpc_" + way
        api.call("pangolin.v1.NamespaceService", "CreateNamespace", prefix="demo",
                 namespace=[space], properties={"a": "ü"})
        loaded = api.call("pangolin.v1.NamespaceService", "LoadNamespace", prefix="demo",
                          namespace=[space])
        assert loaded.properties["a"] == "ü"
        made = api.call("pangolin.v1.TableService", "CreateTable", prefix="demo",
                        namespace=[space], name="t", schema=SCHEMA)
        seen = api.call("pangolin.v1.TableService", "LoadTable", prefix="demo",
                        namespace=[space], table="t")
        assert seen.metadata_location == made.metadata_location and seen.etag == made.etag
        assert json.loads(seen.metadata)["last-column-id"] == 1
        commit = api.call("pangolin.v1.TableService", "CommitTable", prefix="demo",
                          namespace=[space], table="t", requirements=b"[]",
                          updates=b'[{"action":"set-properties","updates":{"k":"v"}}]')
        assert json.loads(commit.metadata)["properties"]["k"] == "v"
        api.close()


@suite.test
def errors(pangolin):
    for api in both_ways(pangolin).values():
        error = raises(grpc.RpcError, api.call, "pangolin.v1.TableService", "LoadTable",
                       prefix="demo", namespace=["none"], table="none")
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        assert reason(error) == "NoSuchTableException"
        assert error.details() == "Table does not exist: none.none", error.details()
        error = raises(grpc.RpcError, api.call, "pangolin.v1.NamespaceService", "CreateNamespace",
                       prefix="demo", namespace=["a@b"])
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        error = raises(grpc.RpcError, api.call, "pangolin.v1.NamespaceService", "CreateNamespace",
                       prefix="demo", namespace=["a\n"])
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, error
        error = raises(grpc.RpcError, api.raw, "/pangolin.v1.TableService/NoSuchMethod", b"")
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
        error = raises(grpc.RpcError, api.raw, "/nowhere.Service/Method", b"")
        assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
        api.close()


@suite.test
def bad_messages(pangolin):
    path = "/pangolin.v1.TableService/LoadTable"
    for api in both_ways(pangolin).values():
        for body in (b"\x0a\x7f", b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x03a\x00b"):
            error = raises(grpc.RpcError, api.raw, path, body)
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, (body, error)
        api.call("pangolin.v1.NamespaceService", "CreateNamespace", prefix="demo",
                 namespace=["bad%d" % id(api)])
        for schema in (b"{", b'{"a":1,"a":2}', b"[]", b"\xff", b'{"type":"struct","fields":[NaN]}'):
            error = raises(grpc.RpcError, api.call, "pangolin.v1.TableService", "CreateTable",
                           prefix="demo", namespace=["bad%d" % id(api)], name="t", schema=schema)
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT, (schema, error)
        error = raises(grpc.RpcError, api.raw, path, b"\x0a" + b"\x80" * 4 + b"\x01" +
                       b"x" * (32 << 20))
        assert error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED,
                                grpc.StatusCode.INVALID_ARGUMENT), error
        assert api.call("pangolin.v1.OperationsService", "Ping").time_ms > 0
        api.close()


@suite.test
def health(pangolin):
    for api in both_ways(pangolin).values():
        assert api.call("grpc.health.v1.Health", "Check").status == 1
        error = raises(grpc.RpcError, api.call, "grpc.health.v1.Health", "Check", service="none")
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        method = api.method("grpc.health.v1.Health", "Watch")
        watch = api.channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString)
        stream = watch(GetMessageClass(method.input_type)(), timeout=1)
        assert next(stream).status == 1
        error = raises(grpc.RpcError, next, stream)
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
        stream = watch(GetMessageClass(method.input_type)(), timeout=CALL_S)
        assert next(stream).status == 1
        stream.cancel()
        error = raises(grpc.RpcError, next, stream)
        assert error.code() == grpc.StatusCode.CANCELLED, error
        api.close()


@suite.test
def many_at_once(pangolin):
    for api in both_ways(pangolin).values():
        failures = []

        def work():
            try:
                for _ in range(50):
                    api.call("pangolin.v1.ConfigService", "GetConfig", warehouse="demo")
            except grpc.RpcError as error:
                failures.append(error)
        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        api.close()


def buf(*arguments):
    program = os.path.join(harness.CACHE, "venv", "bin", "buf")
    return subprocess.run([program, "curl", "--http2-prior-knowledge", "--protocol", "grpc",
                           *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)


@suite.test
def buf_curl(pangolin):
    listed = buf("--list-methods", pangolin.uri)
    assert "pangolin.v1.TableService/LoadTable" in listed.stdout, listed
    done = buf("-d", '{"warehouse": "demo"}', pangolin.uri + "/pangolin.v1.ConfigService/GetConfig")
    assert json.loads(done.stdout)["overrides"]["prefix"] == "demo", done
    done = buf("-d", '{"prefix": "demo", "namespace": ["none"], "table": "none"}',
               pangolin.uri + "/pangolin.v1.TableService/LoadTable")
    assert done.returncode != 0 and "not_found" in done.stderr, done


if __name__ == "__main__":
    suite.main()
