"""Spark signed in: the Java client with a token, and with a service user's key by OAuth2."""

from signed_in import ENVIRONMENT, Tenant
from spark import session
from suite import Suite, raises

suite = Suite("spark_auth", ENVIRONMENT, limit_s=240)


@suite.test
def token_and_credential(pangolin):
    tenant = Tenant(pangolin, "spark")
    reader, robot = tenant.user("ann"), tenant.admin.service_users.create("robot")
    tenant.grant(reader.id, "read")
    tenant.grant(robot.id, "write")
    s = session(
        pangolin,
        admin={"warehouse": "spark", "token": tenant.admin.token},
        reader={"warehouse": "spark", "token": reader.token},
        robot={"warehouse": "spark", "credential": "%s:%s" % (robot.id, robot.api_key),
               "oauth2-server-uri": pangolin.uri + "/v1/oauth/tokens"},
        forged={"warehouse": "spark", "token": reader.token[:-3] + "AAA"})
    s.sql("CREATE NAMESPACE admin.n")
    s.sql("CREATE TABLE robot.n.t (id BIGINT) USING iceberg")
    s.sql("INSERT INTO robot.n.t VALUES (1), (2)")
    assert s.sql("SELECT count(*) FROM reader.n.t").collect()[0][0] == 2
    error = raises(Exception, s.sql, "INSERT INTO reader.n.t VALUES (3)")
    assert "Forbidden" in str(error), error
    error = raises(Exception, s.sql, "SHOW NAMESPACES IN forged")
    assert "NotAuthorized" in str(error) or "authori" in str(error).lower(), error
    assert s.sql("SELECT count(*) FROM admin.n.t").collect()[0][0] == 2
    reader.post("/api/v1/users/logout")
    error = raises(Exception, lambda: s.sql("SELECT count(*) FROM reader.n.t").collect())
    assert "NotAuthorized" in str(error) or "authori" in str(error).lower(), error


if __name__ == "__main__":
    suite.main()
