"""Who may do what: written by hand, from what the API promises, and never read from the rules.

One row per RPC and situation. A row says how the call is made over REST (`verb`, `path`, `body`)
and over gRPC (`message`, where it is not path and body together), and what each caller gets when
the call is about an object of tenant A (`own`). The columns:

    a  nobody: no credential              t  an administrator of tenant A
    x  an expired token of a user of A    f  an administrator of tenant B
    v  a revoked token of a user of A     k  a service user of A by its API key, with w's grant
    n  a user of A without any grant      o  root, in no tenant
    s  a user of A with a grant beside    R  root, acting in tenant A by X-Pangolin-Tenant
    r  a user of A who may read lake
    w  a user of A who may write lake

and the cells: + success, 1 unauthenticated (401), 3 forbidden (403), 4 not found (404), 0 bad
request (400, 422), U not implemented yet (501), . not asked (the comment says why).

`absent` is the same call about an object that is not there. Where it is left out: what grants
decide is a 4 for everybody (who may list sees that it is not there, who may not sees nothing), and
of what depends on the caller alone each + is a 4. `foreign` names objects of tenant B in the same way: for callers of A, and root in A, the
answer must be the one about an absent object, word for word but for the name.

`fresh` makes an object of its own for each call that succeeds and would spoil it for the others.

Tenant A has the catalog lake: namespaces sales (table orders, view totals), other (table beside, view aside) and
third. s may write other, create in third, and nothing else. Tenant B has a catalog of the same shape named
pond.
"""

COLUMNS = "axvnsrwtfkoR"

READ = "11144+++4+4+"       # what a reader of lake may, and who sees not even sales gets 404
WRITE = "111443++4+4+"      # what a writer may
SEE = "1114++++4+4+"        # what whoever has anything in lake may
CREATE_IN = "111433++4+4+"  # in lake itself: s sees lake, and may not
OF_LAKE = "11143+++4+4+"    # what a reader of lake may with lake as a whole: s sees it, and may not
ANY = "111+++++++++"        # whoever is somebody
MEMBER = "111+++++4+4+"     # any member, about an object of the tenant
ADMIN = "1113333++3++"      # administrators, in their own tenant
ADMIN_OF = "1113333+434+"   # administrators, about an object of the tenant
ADMIN_IN = "1113333++33+"   # the same, but root only when it acts in a tenant
ADMIN_OF_IN = "1113333+433+"
ROOT = "1113333333++"
SELF = "11133+3+434+"       # about the user r: itself and administrators
SELF_ABSENT = "111333344344"  # r is nobody else, so it is forbidden rather than not found

PUBLIC = "++++++++++++"


class Row:
    def __init__(self, rpc, verb, path, own, body=None, message=None, absent=None, foreign=True,
                 fresh=None, title="", basic=True):
        assert len(own) == len(COLUMNS), (rpc, own)
        self.rpc, self.verb, self.path, self.own = rpc, verb, path, own
        self.body, self.message, self.fresh, self.title = body, message or {}, fresh, title
        by_grant = own[COLUMNS.index("n")] == "4"
        self.absent = absent
        if absent is None:
            self.absent = "111444444444" if by_grant else own.replace("+", "4")
        self.foreign, self.basic = foreign and self.absent != "", basic
        assert self.absent == "" or len(self.absent) == len(COLUMNS), (rpc, self.absent)

    @property
    def name(self):
        return self.rpc + (" (%s)" % self.title if self.title else "")


NONE = ""  # no object is named, so none can be absent
STREAM = "STREAM"  # instead of a verb: over gRPC alone, asked for its first message

SCHEMA = {"type": "struct", "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}]}
CATALOG = {"prefix": "{catalog}"}
NAMESPACE = {"prefix": "{catalog}", "namespace": ["{namespace}"]}
TABLE = {"prefix": "{catalog}", "namespace": ["{namespace}"], "table": "{table}"}
VIEW = {"prefix": "{catalog}", "namespace": ["{namespace}"], "view": "{view}"}
SET = [{"action": "set-properties", "updates": {"k": "v"}}]

NS = "/v1/{catalog}/namespaces"
TB = NS + "/{namespace}/tables"
VW = NS + "/{namespace}/views"

ROWS = [
    # ---- Iceberg: configuration and namespaces ----
    Row("ConfigService/GetConfig", "GET", "/v1/config?warehouse={catalog}", SEE,
        message={"warehouse": "{catalog}"}),
    Row("NamespaceService/ListNamespaces", "GET", NS, SEE, message=CATALOG),
    Row("NamespaceService/CreateNamespace", "POST", NS, CREATE_IN, message=CATALOG,
        body={"namespace": ["{new}"]}),
    Row("NamespaceService/LoadNamespace", "GET", NS + "/{namespace}", READ, message=NAMESPACE),
    Row("NamespaceService/NamespaceExists", "HEAD", NS + "/{namespace}", READ, message=NAMESPACE),
    Row("NamespaceService/DropNamespace", "DELETE", NS + "/{namespace}", WRITE, message=NAMESPACE,
        fresh="namespace"),
    Row("NamespaceService/UpdateNamespaceProperties", "POST", NS + "/{namespace}/properties", WRITE,
        message=NAMESPACE, body={"updates": {"k": "v"}}),
    # ---- Iceberg: tables ----
    Row("TableService/ListTables", "GET", TB, READ, message=NAMESPACE),
    Row("TableService/CreateTable", "POST", TB, WRITE, message=NAMESPACE,
        body={"name": "{new}", "schema": SCHEMA}),
    Row("TableService/LoadTable", "GET", TB + "/{table}", READ, message=TABLE),
    Row("TableService/TableExists", "HEAD", TB + "/{table}", READ, message=TABLE),
    Row("TableService/CommitTable", "POST", TB + "/{table}", WRITE, message=TABLE,
        body={"requirements": [], "updates": SET}),
    Row("TableService/DropTable", "DELETE", TB + "/{table}", WRITE, message=TABLE, fresh="table"),
    Row("TableService/RenameTable", "POST", "/v1/{catalog}/tables/rename", WRITE, message=CATALOG,
        fresh="table",
        body={"source": {"namespace": ["{namespace}"], "name": "{table}"},
              "destination": {"namespace": ["{namespace}"], "name": "{new}"}}),
    Row("TableService/RenameTable", "POST", "/v1/{catalog}/tables/rename", "111443++4+4+",
        title="into a namespace that s may write", message=CATALOG, fresh="table",
        body={"source": {"namespace": ["{namespace}"], "name": "{table}"},
              "destination": {"namespace": ["other"], "name": "{new}"}}),
    Row("TableService/RenameTable", "POST", "/v1/{catalog}/tables/rename", "111443++4+4+",
        title="out of a namespace that s may write", message=CATALOG, absent=NONE,
        fresh="beside",
        body={"source": {"namespace": ["other"], "name": "{beside}"},
              "destination": {"namespace": ["sales"], "name": "{new}"}}),
    Row("TableService/RegisterTable", "POST", NS + "/{namespace}/register", WRITE,
        message=NAMESPACE, fresh="unregistered",
        body={"name": "{new}", "metadata-location": "{metadata_location}"}),
    Row("TableService/RegisterTable", "POST", NS + "/third/register", "1114+3++4+4+",
        title="where s may create", message={"prefix": "{catalog}", "namespace": ["third"]},
        fresh="unregistered_beside", absent=NONE,
        body={"name": "{new}", "metadata-location": "{metadata_location}"}),
    # what was dropped from sales is for who may write sales
    Row("TableService/RegisterTable", "POST", NS + "/third/register", "111403++4+4+",
        title="of what was elsewhere", message={"prefix": "{catalog}", "namespace": ["third"]},
        fresh="unregistered", absent=NONE,
        body={"name": "{new}", "metadata-location": "{metadata_location}"}),
    # s may not see what it may not write, so it is told of no table there
    Row("TableService/RegisterTable", "POST", NS + "/third/register", "111443++4+4+",
        title="in another's place, where s may create",
        message={"prefix": "{catalog}", "namespace": ["third"]}, fresh="unregistered", absent=NONE,
        body={"name": "{new}", "metadata-location": "{metadata_location}", "overwrite": True}),
    Row("TableService/UnregisterTable", "POST", TB + "/{table}/unregister", WRITE, message=TABLE,
        fresh="table"),
    Row("TableService/LoadCredentials", "GET", TB + "/{table}/credentials", READ, message=TABLE),
    Row("TableService/ReportMetrics", "POST", TB + "/{table}/metrics", READ, message=TABLE,
        body={"report-type": "scan-report", "table-name": "t", "snapshot-id": 1,
              "filter": {"type": "always-true"}, "schema-id": 0, "projected-field-ids": [],
              "projected-field-names": [], "metrics": {}}),
    Row("TableService/CommitTransaction", "POST", "/v1/{catalog}/transactions/commit", WRITE,
        message=CATALOG,
        body={"table-changes": [{"identifier": {"namespace": ["{namespace}"], "name": "{table}"},
                                 "requirements": [], "updates": SET}]}),
    Row("TableService/CommitTransaction", "POST", "/v1/{catalog}/transactions/commit",
        "111443++4+4+", title="one of two tables is not s's", message=CATALOG,
        body={"table-changes": [
            {"identifier": {"namespace": ["other"], "name": "beside"}, "requirements": [],
             "updates": SET},
            {"identifier": {"namespace": ["{namespace}"], "name": "{table}"}, "requirements": [],
             "updates": SET}]}),
    Row("TableService/CommitTransaction", "POST", "/v1/{catalog}/transactions/commit",
        "1114+3++4+4+", title="s's own table", message=CATALOG, absent=NONE,
        body={"table-changes": [
            {"identifier": {"namespace": ["other"], "name": "beside"}, "requirements": [],
             "updates": SET}]}),
    # ---- Iceberg: views ----
    Row("ViewService/ListViews", "GET", VW, READ, message=NAMESPACE),
    Row("ViewService/CreateView", "POST", VW, WRITE, message=NAMESPACE,
        body={"name": "{new}", "sql": "select 1"}),
    Row("ViewService/LoadView", "GET", VW + "/{view}", READ, message=VIEW),
    Row("ViewService/ViewExists", "HEAD", VW + "/{view}", READ, message=VIEW),
    Row("ViewService/ReplaceView", "POST", VW + "/{view}", WRITE, message=VIEW,
        body={"requirements": [], "updates": SET}),
    Row("ViewService/DropView", "DELETE", VW + "/{view}", WRITE, message=VIEW, fresh="view"),
    Row("ViewService/RenameView", "POST", "/v1/{catalog}/views/rename", WRITE, message=CATALOG,
        fresh="view",
        body={"source": {"namespace": ["{namespace}"], "name": "{view}"},
              "destination": {"namespace": ["{namespace}"], "name": "{new}"}}),
    Row("ViewService/RenameView", "POST", "/v1/{catalog}/views/rename", "111443++4+4+",
        title="into a namespace that s may write", message=CATALOG, fresh="view",
        body={"source": {"namespace": ["{namespace}"], "name": "{view}"},
              "destination": {"namespace": ["other"], "name": "{new}"}}),
    Row("ViewService/RenameView", "POST", "/v1/{catalog}/views/rename", "111443++4+4+",
        title="out of a namespace that s may write", message=CATALOG, absent=NONE,
        fresh="aside",
        body={"source": {"namespace": ["other"], "name": "{aside}"},
              "destination": {"namespace": ["sales"], "name": "{new}"}}),
    Row("ViewService/RegisterView", "POST", NS + "/{namespace}/register-view", WRITE,
        message=NAMESPACE, fresh="dropped_view",
        body={"name": "{new}", "metadata-location": "{metadata_location}"}),
    Row("ViewService/RegisterView", "POST", NS + "/third/register-view", "1114+3++4+4+",
        title="where s may create", message={"prefix": "{catalog}", "namespace": ["third"]},
        fresh="dropped_view_beside", absent=NONE,
        body={"name": "{new}", "metadata-location": "{metadata_location}"}),
    # what was dropped from sales is for who may write sales
    Row("ViewService/RegisterView", "POST", NS + "/third/register-view", "111403++4+4+",
        title="of what was elsewhere", message={"prefix": "{catalog}", "namespace": ["third"]},
        fresh="dropped_view", absent=NONE,
        body={"name": "{new}", "metadata-location": "{metadata_location}"}),
    # ---- tenants ----
    Row("TenantService/ListTenants", "GET", "/api/v1/tenants", ROOT, absent=NONE),
    Row("TenantService/CreateTenant", "POST", "/api/v1/tenants", ROOT, absent=NONE,
        body={"name": "{new}"}),
    Row("TenantService/GetTenant", "GET", "/api/v1/tenants/{tenant}", "111+++++4+++",
        # v is refused by its tenant before anybody looks whether its token still stands; R names two
        # tenants at once
        message={"id": "{tenant}"}, absent="114444444440", foreign=False),
    Row("TenantService/UpdateTenant", "PUT", "/api/v1/tenants/{tenant}", ROOT,
        message={"id": "{tenant}"}, body={"properties": {"k": "v"}}, fresh="tenant",
        foreign=False),
    Row("TenantService/DeleteTenant", "DELETE", "/api/v1/tenants/{tenant}", ROOT,
        message={"id": "{tenant}"}, fresh="tenant", foreign=False),
    # ---- users ----
    Row("UserService/CreateUser", "POST", "/api/v1/users", "1113333+433+", absent=NONE,
        body={"username": "{new}", "email": "{new}@example.org", "password": "{password}",
              "tenant_id": "{tenant}", "role": "tenant-user"}),
    Row("UserService/CreateUser", "POST", "/api/v1/users", "1113333+433+", absent=NONE,
        title="a user, as others spell it",
        body={"username": "{new}", "email": "{new}@example.org", "password": "{password}",
              "tenant_id": "{tenant}", "role": "TenantUser"}),
    Row("UserService/CreateUser", "POST", "/api/v1/users", "1113333+43++", absent=NONE,
        title="an administrator",
        body={"username": "{new}", "email": "{new}@example.org", "password": "{password}",
              "tenant_id": "{tenant}", "role": "tenant-admin"}),
    Row("UserService/CreateUser", "POST", "/api/v1/users", "111333334333", absent=NONE,
        title="a root",
        body={"username": "{new}", "email": "{new}@example.org", "password": "{password}",
              "tenant_id": "{tenant}", "role": "root"}),
    Row("UserService/CreateUser", "POST", "/api/v1/users", "111333334333", absent=NONE,
        title="a root, as older clients spell it",
        body={"username": "{new}", "email": "{new}@example.org", "password": "{password}",
              "tenant_id": "{tenant}", "role": "Root"}),
    Row("UserService/ListUsers", "GET", "/api/v1/users", ANY, absent=NONE),
    Row("UserService/GetMe", "GET", "/api/v1/users/me", ANY, absent=NONE),
    Row("UserService/GetUser", "GET", "/api/v1/users/{user}", SELF, message={"id": "{user}"},
        absent=SELF_ABSENT),
    Row("UserService/UpdateUser", "PUT", "/api/v1/users/{user}", SELF, message={"id": "{user}"},
        body={"email": "{new}@example.org"}, absent=SELF_ABSENT),
    Row("UserService/UpdateUser", "PUT", "/api/v1/users/{user}", ADMIN_OF, fresh="user",
        title="active", message={"id": "{user}"}, body={"active": False}),
    Row("UserService/UpdateUser", "PUT", "/api/v1/users/{user}", ADMIN_OF, title="active again",
        message={"id": "{user}"}, body={"active": True}),
    Row("UserService/DeleteUser", "DELETE", "/api/v1/users/{user}", ADMIN_OF, fresh="user",
        message={"id": "{user}"}),
    # ---- roles ----
    Row("RoleService/ListRoles", "GET", "/api/v1/roles", ANY, absent=NONE),
    Row("RoleService/CreateRole", "POST", "/api/v1/roles", "1113333+43++", absent=NONE,
        body={"name": "{new}", "tenant-id": "{tenant}"}),
    Row("RoleService/GetRole", "GET", "/api/v1/roles/{role}", MEMBER, message={"id": "{role}"}),
    Row("RoleService/UpdateRole", "PUT", "/api/v1/roles/{role}", ADMIN_OF, message={"id": "{role}"},
        body={"description": "{new}"}),
    Row("RoleService/DeleteRole", "DELETE", "/api/v1/roles/{role}", ADMIN_OF, fresh="role",
        message={"id": "{role}"}),
    Row("RoleService/ListUserRoles", "GET", "/api/v1/users/{user}/roles", SELF,
        message={"id": "{user}"}, absent=SELF_ABSENT),
    Row("RoleService/AssignRole", "POST", "/api/v1/users/{user}/roles", ADMIN_OF,
        message={"id": "{user}"}, body={"role-id": "{role}"}),
    Row("RoleService/UnassignRole", "DELETE", "/api/v1/users/{user}/roles/{role}", ADMIN_OF,
        fresh="assignment", message={"id": "{user}", "role_id": "{role}"}),
    # ---- grants ----
    Row("PermissionService/GrantPermission", "POST", "/api/v1/permissions", ADMIN_OF_IN,
        fresh="user",
        body={"user-id": "{user}", "actions": ["read"],
              "scope": {"type": "catalog", "catalog_id": "{catalog_id}"}}),
    Row("PermissionService/ListPermissions", "GET", "/api/v1/permissions", ADMIN, absent=NONE),
    Row("PermissionService/ListPermissions", "GET", "/api/v1/permissions?user={user}", SELF,
        title="of a user", message={"user": "{user}"}, absent=SELF_ABSENT),
    Row("PermissionService/RevokePermission", "DELETE", "/api/v1/permissions/{grant}", ADMIN_OF_IN,
        fresh="grant", message={"id": "{grant}"}),
    Row("PermissionService/ExplainPermission", "GET",
        "/api/v1/permissions/explain?user={user}&action=read&type=catalog&catalog={catalog}", SELF,
        message={"user": "{user}", "action": "read", "type": "catalog", "catalog": "{catalog}"},
        absent=SELF_ABSENT),
    # ---- service users ----
    Row("ServiceUserService/CreateServiceUser", "POST", "/api/v1/service-users", ADMIN, absent=NONE,
        body={"name": "{new}", "role": "tenant-user"}),
    Row("ServiceUserService/CreateServiceUser", "POST", "/api/v1/service-users", "111333333333",
        title="a root", absent=NONE, body={"name": "{new}", "role": "root"}),
    Row("ServiceUserService/CreateServiceUser", "POST", "/api/v1/service-users", "111333333333",
        title="a root, as older clients spell it", absent=NONE,
        body={"name": "{new}", "role": "Root"}),
    Row("ServiceUserService/ListServiceUsers", "GET", "/api/v1/service-users", ADMIN, absent=NONE),
    Row("ServiceUserService/GetServiceUser", "GET", "/api/v1/service-users/{service}", ADMIN_OF,
        message={"id": "{service}"}),
    Row("ServiceUserService/UpdateServiceUser", "PUT", "/api/v1/service-users/{service}", ADMIN_OF,
        message={"id": "{service}"}, body={"description": "{new}"}),
    Row("ServiceUserService/DeleteServiceUser", "DELETE", "/api/v1/service-users/{service}",
        ADMIN_OF, message={"id": "{service}"}, fresh="service"),
    Row("ServiceUserService/RotateApiKey", "POST", "/api/v1/service-users/{service}/rotate",
        ADMIN_OF, message={"id": "{service}"}, fresh="service"),
    Row("ServiceUserService/ListApiKeys", "GET", "/api/v1/service-users/{service}/keys", ADMIN_OF,
        message={"id": "{service}"}),
    Row("ServiceUserService/DeleteApiKey", "DELETE",
        "/api/v1/service-users/{service}/keys/{key}", ADMIN_OF, fresh="service",
        message={"id": "{service}", "key_id": "{key}"}),
    # ---- warehouses ----
    Row("WarehouseService/ListWarehouses", "GET", "/api/v1/warehouses", ANY, absent=NONE),
    Row("WarehouseService/CreateWarehouse", "POST", "/api/v1/warehouses", ADMIN_IN, absent=NONE,
        body={"name": "{new}", "storage_config": {"type": "file"}}),
    Row("WarehouseService/GetWarehouse", "GET", "/api/v1/warehouses/{warehouse}", MEMBER,
        message={"name": "{warehouse}"}),
    Row("WarehouseService/UpdateWarehouse", "PUT", "/api/v1/warehouses/{warehouse}", ADMIN_OF_IN,
        message={"warehouse": "{warehouse}"}, body={"use_sts": False}),
    Row("WarehouseService/DeleteWarehouse", "DELETE", "/api/v1/warehouses/{warehouse}", ADMIN_OF_IN,
        message={"name": "{warehouse}"}, fresh="warehouse"),
    Row("WarehouseService/GetWarehouseCredentials", "GET",
        "/api/v1/warehouses/{warehouse}/credentials?location=x", "1113333U433U", absent=NONE,
        message={"name": "{warehouse}"}),
    # ---- catalogs ----
    Row("CatalogService/ListCatalogs", "GET", "/api/v1/catalogs", ANY, absent=NONE),
    Row("CatalogService/CreateCatalog", "POST", "/api/v1/catalogs", ADMIN_IN, absent=NONE,
        body={"name": "{new}", "warehouse_name": "{own_warehouse}"}),
    Row("CatalogService/GetCatalog", "GET", "/api/v1/catalogs/{catalog}", SEE,
        message={"name": "{catalog}"}),
    Row("CatalogService/UpdateCatalog", "PUT", "/api/v1/catalogs/{catalog}", CREATE_IN,
        message={"catalog": "{catalog}"}, body={"properties": {"k": "v"}}),
    Row("CatalogService/DeleteCatalog", "DELETE", "/api/v1/catalogs/{catalog}", CREATE_IN,
        message={"name": "{catalog}"}, fresh="catalog"),
    Row("CatalogService/GetCatalogSummary", "GET", "/api/v1/catalogs/{catalog}/summary",
        "11143+++4+4+", message={"name": "{catalog}"}),
    Row("CatalogService/GetNamespaceTree", "GET", "/api/v1/catalogs/{catalog}/namespaces/tree", SEE,
        message={"prefix": "{catalog}"}),
    Row("CatalogService/GetExplorerTree", "GET", "/api/v1/explorer/tree?catalog={catalog}", SEE,
        message={"catalog": "{catalog}"}),
    # ---- care for tables, and dropped ones ----
    Row("MaintenanceService/MaintainTable", "POST", TB + "/{table}/maintenance", WRITE,
        message=TABLE, body={"job_type": "expire_snapshots", "dry_run": True}),
    Row("MaintenanceService/MaintainTable", "POST", TB + "/{table}/maintenance", WRITE,
        title="orphans", message=TABLE, body={"job_type": "remove_orphan_files"}),
    Row("MaintenanceService/MaintainCatalog", "POST", "/api/v1/catalogs/{catalog}/maintenance",
        CREATE_IN, message={"name": "{catalog}"},
        body={"job_type": "remove_orphan_files", "dry_run": True}),
    Row("MaintenanceService/ListMaintenance", "GET", "/api/v1/catalogs/{catalog}/maintenance",
        OF_LAKE, message={"name": "{catalog}"}),
    Row("MaintenanceService/ListDropped", "GET", "/api/v1/catalogs/{catalog}/undrop", OF_LAKE,
        message={"name": "{catalog}"}),
    Row("MaintenanceService/Undrop", "POST", "/api/v1/catalogs/{catalog}/undrop", WRITE,
        fresh="dropped", message={"name": "{catalog}"},
        body={"namespace": ["{namespace}"], "table": "{table}"}),
    # who may make tables there may not read what was dropped, and is told of nothing
    Row("MaintenanceService/Undrop", "POST", "/api/v1/catalogs/{catalog}/undrop", WRITE,
        title="where s may create", fresh="dropped_in_third", message={"name": "{catalog}"},
        absent=NONE, body={"namespace": ["third"], "table": "{table}"}),
    # ---- branches and tags: r may make experimental branches, w those that are merged, too ----
    Row("BranchService/ListBranches", "GET", "/api/v1/branches?catalog={catalog}", SEE,
        message={"catalog": "{catalog}"}),
    Row("BranchService/ListBranches", "GET", "/api/v1/branches", "111000000000", absent=NONE,
        title="without a catalog"),
    Row("BranchService/CreateBranch", "POST", "/api/v1/branches", "11143+++434+",
        body={"name": "{new}", "catalog": "{catalog}"}),
    Row("BranchService/CreateBranch", "POST", "/api/v1/branches", "111433++434+", title="ingest",
        body={"name": "{new}", "catalog": "{catalog}", "branch_type": "ingest"}),
    Row("BranchService/CreateBranch", "POST", "/api/v1/branches", "111000000000", absent=NONE,
        title="without a catalog", body={"name": "{new}"}),
    Row("BranchService/GetBranch", "GET", "/api/v1/branches/{branch}?catalog={catalog}",
        "11143+++4+4+", message={"name": "{branch}", "catalog": "{catalog}"}),
    Row("BranchService/GetBranch", "GET", "/api/v1/branches/{branch}", READ,
        title="without a catalog", message={"name": "{branch}"}),
    Row("BranchService/UpdateBranch", "PUT", "/api/v1/branches/{branch}", CREATE_IN,
        message={"branch": "{branch}"}, body={"catalog": "{catalog}", "description": "{new}"}),
    Row("BranchService/UpdateBranch", "PATCH", "/api/v1/branches/{branch}", "111433++434+",
        title="promotion", fresh="branch", message={"branch": "{branch}"},
        body={"catalog": "{catalog}", "branch_type": "ingest"}),
    Row("BranchService/DeleteBranch", "DELETE", "/api/v1/branches/{branch}?catalog={catalog}",
        CREATE_IN, fresh="branch", message={"name": "{branch}", "catalog": "{catalog}"}),
    Row("TagService/ListTags", "GET", "/api/v1/tags?catalog={catalog}", SEE,
        message={"catalog": "{catalog}"}),
    Row("TagService/ListTags", "GET", "/api/v1/tags", "11144++++44+", absent=NONE,
        title="of the catalog default"),
    Row("TagService/CreateTag", "POST", "/api/v1/tags", CREATE_IN,
        body={"name": "{new}", "catalog": "{catalog}", "from": "main"}),
    Row("TagService/CreateTag", "POST", "/api/v1/tags", "111443+++44+",
        absent=NONE, title="in the catalog default", body={"name": "{new}", "from": "main"}),
    Row("TagService/GetTag", "GET", "/api/v1/tags/{tag}?catalog={catalog}", "11143+++4+4+",
        message={"name": "{tag}", "catalog": "{catalog}"}),
    Row("TagService/UpdateTag", "PUT", "/api/v1/tags/{tag}", CREATE_IN, message={"name": "{tag}"},
        body={"catalog": "{catalog}", "description": "{new}"}),
    Row("TagService/DeleteTag", "DELETE", "/api/v1/tags/{tag}?catalog={catalog}", CREATE_IN,
        fresh="tag", message={"name": "{tag}", "catalog": "{catalog}"}),
    Row("TagService/GetTag", "GET", "/api/v1/tags/first", "11144++++44+", absent=NONE,
        title="of the catalog default", message={"name": "first"}),
    # ---- merges: r reads both sides, w writes the target ----
    Row("MergeService/MergeBranches", "POST", "/api/v1/branches/merge", CREATE_IN,
        body={"catalog": "{catalog}", "source_branch": "main", "target_branch": "{branch}"}),
    Row("MergeService/ListMergeOperations", "GET", "/api/v1/catalogs/{catalog}/merge-operations",
        OF_LAKE, message={"catalog": "{catalog}"}),
    Row("MergeService/GetMergeOperation", "GET", "/api/v1/merge-operations/{operation}", OF_LAKE,
        message={"id": "{operation}"}),
    Row("MergeService/ListMergeConflicts", "GET",
        "/api/v1/merge-operations/{operation}/conflicts", OF_LAKE, message={"id": "{operation}"}),
    Row("MergeService/ResolveConflict", "POST", "/api/v1/conflicts/{conflict}/resolve", CREATE_IN,
        fresh="torn", message={"id": "{conflict}"}, body={"strategy": "TakeTarget"}),
    Row("MergeService/CompleteMerge", "POST", "/api/v1/merge-operations/{operation}/complete",
        CREATE_IN, fresh="mended", message={"id": "{operation}"}),
    Row("MergeService/AbortMerge", "POST", "/api/v1/merge-operations/{operation}/abort", CREATE_IN,
        fresh="torn", message={"id": "{operation}"}),
    # ---- what works like a merge: w writes the branch ----
    Row("MergeService/RebaseBranch", "POST", "/api/v1/branches/{branch}/rebase", CREATE_IN,
        message={"name": "{branch}"}, body={"catalog": "{catalog}"}),
    Row("MergeService/CherryPick", "POST", "/api/v1/branches/{branch}/cherry-pick", CREATE_IN,
        message={"name": "{branch}"}, body={"catalog": "{catalog}", "commit": "{commit}"}),
    Row("MergeService/Revert", "POST", "/api/v1/branches/{branch}/revert", CREATE_IN,
        message={"name": "{branch}"},
        body={"catalog": "{catalog}", "commit": "{commit}", "dry_run": True}),
    Row("MergeService/RestoreBranch", "POST", "/api/v1/branches/{branch}/restore", CREATE_IN,
        message={"name": "{branch}"},
        body={"catalog": "{catalog}", "to": "{commit}", "dry_run": True}),
    # ---- commits: whoever reads lake ----
    Row("CommitService/ListCommits", "GET", "/api/v1/branches/{branch}/commits?catalog={catalog}",
        OF_LAKE, message={"name": "{branch}", "catalog": "{catalog}"}),
    Row("CommitService/ListCommits", "GET", "/api/v1/branches/{branch}/commits", "111444400400",
        absent=NONE, title="without a catalog", message={"name": "{branch}"}),
    Row("CommitService/GetCommit", "GET", "/api/v1/catalogs/{catalog}/commits/{commit}", OF_LAKE,
        message={"catalog": "{catalog}", "commit_id": "{commit}"}),
    Row("CommitService/Diff", "GET", "/api/v1/catalogs/{catalog}/diff?from=main&to={branch}",
        OF_LAKE, message={"catalog": "{catalog}", "from": "main", "to": "{branch}"}),
    Row("CommitService/PollCommits", "GET", "/api/v1/catalogs/{catalog}/watch?after=0", OF_LAKE,
        message={"catalog": "{catalog}", "after": 0}),
    Row("CommitService/WatchCommits", STREAM, "", OF_LAKE,
        message={"catalog": "{catalog}", "after": 0}),
    Row("TagService/UpdateTag", "PUT", "/api/v1/tags/first", "111443+++44+", absent=NONE,
        title="of the catalog default", message={"name": "first"}, body={"description": "{new}"}),
    Row("TagService/DeleteTag", "DELETE", "/api/v1/tags/nothing", "111443+++44+", absent=NONE,
        title="of the catalog default", message={"name": "nothing"}),
    # ---- the system ----
    Row("KeyService/RotateKeys", "POST", "/api/v1/system/rotate-keys", ROOT, absent=NONE,
        body={"seal_only": True}),
    Row("SystemService/GetSettings", "GET", "/api/v1/config/settings", ADMIN, absent=NONE),
    Row("SystemService/UpdateSettings", "PUT", "/api/v1/config/settings", ADMIN, absent=NONE,
        body={"default_retention_days": 31}),
    Row("SystemService/GetDashboardStats", "GET", "/api/v1/dashboard/stats", ANY, absent=NONE),
    Row("SystemService/Search", "GET", "/api/v1/search?q=orders", ANY, absent=NONE,
        message={"q": "orders"}),
    Row("SystemService/SearchAssets", "GET", "/api/v1/search/assets?q=orders", ANY, absent=NONE,
        message={"q": "orders"}),
    Row("SystemService/ValidateNames", "POST", "/api/v1/validate/names", ANY, absent=NONE,
        body={"resource_type": "catalog", "names": ["x"]}),
    # ---- assets ----
    Row("AssetService/ListAssets", "GET", "/api/v1/catalogs/{catalog}/namespaces/{namespace}/assets",
        READ, message={"catalog": "{catalog}", "namespace": ["{namespace}"]}),
    Row("AssetService/CreateAsset", "POST",
        "/api/v1/catalogs/{catalog}/namespaces/{namespace}/assets", WRITE,
        message={"catalog": "{catalog}", "namespace": ["{namespace}"]},
        body={"name": "{new}", "kind": "CSV_TABLE", "location": "s3://bucket/{new}"}),
    Row("AssetService/GetAsset", "GET",
        "/api/v1/catalogs/{catalog}/namespaces/{namespace}/assets/{table}", READ,
        message={"catalog": "{catalog}", "namespace": ["{namespace}"], "asset": "{table}"}),
    Row("AssetService/SetAssetMetadata", "POST", "/api/v1/assets/{asset}/metadata", WRITE,
        message={"asset_id": "{asset}"},
        body={"tags": ["t"], "properties": {}, "discoverable": False}),
    Row("AssetService/SetAssetMetadata", "POST", "/api/v1/assets/{asset}/metadata", "1114433+434+",
        title="discoverable", message={"asset_id": "{asset}"},
        body={"tags": ["t"], "properties": {}, "discoverable": True}),
    Row("AssetService/GetAssetMetadata", "GET", "/api/v1/assets/{asset}/metadata", READ,
        message={"asset_id": "{asset}"}),
    Row("AssetService/DeleteAssetMetadata", "DELETE", "/api/v1/assets/{asset}/metadata", WRITE,
        message={"asset_id": "{asset}"}, fresh="noted"),
    # ---- audit ----
    Row("AuditService/ListAuditEvents", "GET", "/api/v1/audit?limit=1", ANY, absent=NONE),
    Row("AuditService/CountAuditEvents", "GET", "/api/v1/audit/count", ANY, absent=NONE),
    Row("AuditService/GetAuditEvent", "GET", "/api/v1/audit/{event}", "1114444+44++",
        message={"event_id": "{event}"}),
    Row("AuditService/ExportAuditEvents", "GET", "/api/v1/audit/export", ADMIN, absent=NONE),
    Row("AuditService/GetAuditChain", "GET", "/api/v1/audit/chain", ADMIN, absent=NONE),
    # ---- tokens ----
    Row("AuthService/Logout", "POST", "/api/v1/users/logout", "111++++++.++", absent=NONE,
        fresh="token", body={}),  # k has no session to end
    Row("AuthService/GenerateToken", "POST", "/api/v1/tokens", "1113333+43++", absent=NONE,
        body={"tenant_id": "{tenant}", "username": "reader", "roles": ["TenantUser"]}),
    Row("AuthService/RotateToken", "POST", "/api/v1/tokens/rotate", "111++++++.++", absent=NONE,
        fresh="token", body={}),
    Row("AuthService/ListMyTokens", "GET", "/api/v1/users/me/tokens", ANY, absent=NONE),
    Row("AuthService/ListUserTokens", "GET", "/api/v1/users/{user}/tokens", SELF,
        message={"user_id": "{user}"}, absent=SELF_ABSENT),
    Row("AuthService/DeleteToken", "DELETE", "/api/v1/tokens/{token}", ADMIN_OF, fresh="issued",
        message={"token_id": "{token}"}),
    Row("AuthService/RevokeCurrentToken", "POST", "/api/v1/auth/revoke", "111++++++.++",
        absent=NONE, fresh="token", body={}),
    Row("AuthService/RevokeToken", "POST", "/api/v1/auth/revoke/{token}", ADMIN_OF, fresh="issued",
        message={"token_id": "{token}"}, body={}),
    Row("AuthService/CleanupTokens", "POST", "/api/v1/auth/cleanup-tokens", ADMIN, absent=NONE,
        body={}),
    # ---- what needs no credential, and takes no notice of one ----
    Row("AuthService/GetAppConfig", "GET", "/api/v1/app-config", PUBLIC, absent=NONE),
    Row("AuthService/Login", "POST", "/api/v1/users/login", PUBLIC, absent=NONE,
        body={"username": "reader", "password": "{password}", "tenant-id": "{tenant}"}),
    Row("AuthService/Refresh", "POST", "/api/v1/auth/refresh", PUBLIC.replace("+", "1"),
        absent=NONE, body={"refresh_token": "no such token"}),
    Row("OauthService/GetJwks", "GET", "/.well-known/jwks.json", PUBLIC, absent=NONE),
    Row("OauthService/ListOauthProviders", "GET", "/api/v1/oauth/providers", PUBLIC, absent=NONE),
    Row("OauthService/IssueOauthToken", "POST", "/v1/oauth/tokens", PUBLIC.replace("+", "1"),
        absent=NONE, basic=False,  # which is a client's here
        body={"grant_type": "client_credentials", "client_id": "{service}",
              "client_secret": "no such key"}),
    Row("OauthService/Authorize", "GET", "/oauth/authorize/nobody", PUBLIC.replace("+", "0"),
        absent=NONE, message={"provider": "nobody"}),
    Row("OauthService/OauthCallback", "GET", "/oauth/callback/nobody?code=c&state=s",
        PUBLIC.replace("+", "0"), absent=NONE,
        message={"provider": "nobody", "code": "c", "state": "s"}),
    Row("OauthService/Exchange", "POST", "/api/v1/oauth/exchange", PUBLIC.replace("+", "0"),
        absent=NONE, body={"code": "no such code"}),
]

# Described, and answered by nobody yet: 406 or 501 for all. A row is due when that changes.
UNSERVED = []

# Of the process, on the core's socket: no tenant's data, no credential.
LOCAL = ["OperationsService/Ping", "OperationsService/GetMetrics"]
