"""Spark with Iceberg's runtime, one session for each script.

    s = session(pangolin, {"spark.sql.shuffle.partitions": "1"}, lake={"warehouse": "demo"})

The jar is put into .cache/ once (tests/servers/install.sh) and never written again: a session that
runs reads classes from it until it ends.
"""

import glob
import os
import subprocess
import sys

from pyspark.sql import SparkSession

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import harness  # noqa: E402

INSTALL = os.path.join(harness.ROOT, "tests", "servers", "install.sh")
INSTALL_S = 300
CATALOG = "org.apache.iceberg.spark.SparkCatalog"


def runtime():
    subprocess.run(["bash", INSTALL, "spark"], check=True, timeout=INSTALL_S,
                   stdin=subprocess.DEVNULL)
    jar, = glob.glob(os.path.join(harness.CACHE, "servers", "spark", "*.jar"))
    return jar


def rest_catalog(pangolin, name, **properties):
    """The settings of a catalog of Spark on this Pangolin."""
    at = "spark.sql.catalog." + name
    wanted = {"type": "rest", "uri": pangolin.uri, "cache-enabled": "false", **properties}
    return {at: CATALOG, **{"%s.%s" % (at, key): value for key, value in wanted.items()}}


def session(pangolin, settings=(), **catalogs):
    """Starts Spark. catalogs: name={property: value}; the first is the default one."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    wanted = {"spark.jars": runtime(), "spark.ui.enabled": "false",
              "spark.ui.showConsoleProgress": "false", "spark.sql.shuffle.partitions": "2",
              "spark.sql.warehouse.dir": os.path.join(pangolin.data, "spark"),
              "spark.sql.extensions":
                  "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"}
    for name, properties in catalogs.items():
        wanted.setdefault("spark.sql.defaultCatalog", name)
        wanted.update(rest_catalog(pangolin, name, **properties))
    wanted.update(settings)
    builder = SparkSession.builder.master("local[2]").appName("e2e")
    for key, value in wanted.items():
        builder = builder.config(key, value)
    made = builder.getOrCreate()
    made.sparkContext.setLogLevel("OFF")
    return made
