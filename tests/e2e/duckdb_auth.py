"""DuckDB signed in: by a token in a secret, and as a service user by OAuth2."""

from duckdb_rw import extension
from signed_in import ENVIRONMENT, Tenant
from suite import Suite, raises

import duckdb

suite = Suite("duckdb_auth", ENVIRONMENT)


def connect(pangolin, catalog, secret):
    db = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "httpfs", "iceberg"):
        db.execute("LOAD '%s'" % extension(name))
    db.execute("CREATE SECRET signed_in (TYPE iceberg, %s)" % secret)
    db.execute("ATTACH '%s' AS lake (TYPE iceberg, ENDPOINT '%s', SECRET signed_in)"
               % (catalog, pangolin.uri))
    return db


@suite.test
def token(pangolin):
    tenant = Tenant(pangolin, "duck")
    db = connect(pangolin, "duck", "TOKEN '%s'" % tenant.admin.token)
    db.execute("CREATE SCHEMA lake.n")
    db.execute("CREATE TABLE lake.n.t (id BIGINT)")
    db.execute("INSERT INTO lake.n.t SELECT range FROM range(10)")
    user = tenant.user("ann")
    tenant.grant(user.id, "read")
    reader = connect(pangolin, "duck", "TOKEN '%s'" % user.token)
    assert reader.execute("SELECT count(*) FROM lake.n.t").fetchone() == (10,)
    raises(duckdb.Error, reader.execute, "INSERT INTO lake.n.t VALUES (1)")
    raises(duckdb.Error, reader.execute, "CREATE SCHEMA lake.mine")
    assert db.execute("SELECT count(*) FROM lake.n.t").fetchone() == (10,)


@suite.test
def service_user(pangolin):
    tenant = Tenant(pangolin, "robot-duck")
    made = tenant.admin.service_users.create("robot")
    tenant.grant(made.id, "write")
    secret = "CLIENT_ID '%s', CLIENT_SECRET '%s', OAUTH2_SERVER_URI '%s/v1/oauth/tokens'" % (
        made.id, made.api_key, pangolin.uri)
    db = connect(pangolin, "robot-duck", secret)
    db.execute("CREATE SCHEMA lake.n")
    db.execute("CREATE TABLE lake.n.t AS SELECT range AS id FROM range(3)")
    assert db.execute("SELECT count(*) FROM lake.n.t").fetchone() == (3,)


@suite.test
def refused(pangolin):
    tenant = Tenant(pangolin, "no-duck")
    for secret in ("TOKEN 'not.a.token'", "TOKEN '%s'" % (tenant.admin.token[:-2] + "AA")):
        try:
            db = connect(pangolin, "no-duck", secret)
            db.execute("CREATE SCHEMA lake.n")
        except duckdb.Error:
            continue
        raise AssertionError("let in with " + secret)


if __name__ == "__main__":
    suite.main()
