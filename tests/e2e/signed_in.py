"""What the end-to-end tests with authentication share: a server's environment, tenants of their own,
and callers who are signed in."""

import os
import sys

from pypangolin import PangolinClient

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.join(TESTS, "matrix"))
from world import ENVIRONMENT, PASSWORD, ROOT_PASSWORD, SECRET, b64url, hs256  # noqa: E402,F401


def root(pangolin):
    return PangolinClient(pangolin.uri, "root", ROOT_PASSWORD)


def sign_in(pangolin, tenant, name, password=PASSWORD):
    return PangolinClient(pangolin.uri, name, password, tenant_id=tenant)


class Tenant:
    """A new tenant with its administrator `admin`, a warehouse `depot` of files, and a catalog with
    the name of the tenant in it."""

    def __init__(self, pangolin, name):
        self.pangolin, self.name = pangolin, name
        self.root = root(pangolin)
        self.id = self.root.tenants.create(name).id
        self.root.set_tenant(self.id)
        self.root.users.create("admin", "admin@" + name, "tenant-admin", self.id, PASSWORD)
        self.admin = sign_in(pangolin, self.id, "admin")
        self.admin.post("/api/v1/warehouses",
                        json={"name": "depot", "storage_config": {"type": "file"}})
        self.catalog = self.admin.catalogs.create(name, "depot")

    def user(self, name):
        """A tenant user without a grant, signed in; its id is `.id`."""
        made = self.admin.users.create(name, "%s@%s" % (name, self.name), "tenant-user", self.id,
                                       PASSWORD)
        client = sign_in(self.pangolin, self.id, name)
        client.id = made.id
        return client

    def grant(self, principal, *actions):
        """On the whole catalog."""
        return self.admin.permissions.grant(principal, list(actions), "catalog",
                                            catalog_id=self.catalog.id)
