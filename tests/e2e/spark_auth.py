"""Spark signed in: the Java client with a token, and with a service user's key by OAuth2."""

import os

from pyspark.sql import SparkSession
from signed_in import ENVIRONMENT, Tenant
from suite import Suite, raises

import harness

suite = Suite("spark_auth", ENVIRONMENT, limit_s=240)

RUNTIME = "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0"


def session(pangolin, catalogs):
    """One session with catalogs {name: (warehouse, {property: value})}."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = (SparkSession.builder.master("local[2]").appName("e2e")
               .config("spark.jars.packages", RUNTIME)
               .config("spark.jars.ivy", os.path.join(harness.CACHE, "ivy"))
               .config("spark.ui.enabled", "false")
               .config("spark.ui.showConsoleProgress", "false")
               .config("spark.sql.shuffle.partitions", "2")
               .config("spark.sql.warehouse.dir", os.path.join(pangolin.data, "spark")))
    for name, (warehouse, properties) in catalogs.items():
        at = "spark.sql.catalog." + name
        builder = builder.config(at, "org.apache.iceberg.spark.SparkCatalog")
        for key, value in {"type": "rest", "uri": pangolin.uri, "warehouse": warehouse,
                           "cache-enabled": "false", **properties}.items():
            builder = builder.config("%s.%s" % (at, key), value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made


@suite.test
def token_and_credential(pangolin):
    tenant = Tenant(pangolin, "spark")
    reader, robot = tenant.user("ann"), tenant.admin.service_users.create("robot")
    tenant.grant(reader.id, "read")
    tenant.grant(robot.id, "write")
    s = session(pangolin, {
        "admin": ("spark", {"token": tenant.admin.token}),
        "reader": ("spark", {"token": reader.token}),
        "robot": ("spark", {"credential": "%s:%s" % (robot.id, robot.api_key),
                            "oauth2-server-uri": pangolin.uri + "/v1/oauth/tokens"}),
        "forged": ("spark", {"token": reader.token[:-3] + "AAA"}),
    })
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
