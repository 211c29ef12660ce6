/*
 * The fixture's pieces in the order in which they stand on each other.
 */
#include "tests/server/catalog_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/svc_commit.h"
#include "storage/backends.h"
#include "storage/faulty.h"

#include "pangolin/v1/branch.pb-c.h"

#define FX_SEAL_KEY "k1:3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="

enum { ARENA_BYTES = 256 << 20, TRIES = 200, URL_MAX = 1024 };

/* Weak: a test on another backend brings a list of its own. */
__attribute__((weak)) const pang_store_ops *const pang_stores[] = {
    &pang_memory_ops,
    &pang_faulty_ops,
    NULL,
};

const pang_service *const pang_services[] = {
    &pang_service_config,       &pang_service_namespace,   &pang_service_table,
    &pang_service_view,         &pang_service_maintenance, &pang_service_auth,
    &pang_service_oauth,        &pang_service_tenant,      &pang_service_user,
    &pang_service_service_user, &pang_service_role,        &pang_service_permission,
    &pang_service_warehouse,    &pang_service_catalog,     &pang_service_asset,
    &pang_service_system,       &pang_service_merge,       &pang_service_branch,
    &pang_service_commit,       &pang_service_tag,         NULL,
};

/* ---- the environment ---- */

static int64_t wall_ms(void *arg)
{
    fixture *fx = arg;
    return pang_env_wall_ms(&pang_env_system) + atomic_load(&fx->ahead_ms);
}

static int64_t mono_ms(void *arg)
{
    fixture *fx = arg;
    return pang_env_mono_ms(&pang_env_system) + atomic_load(&fx->ahead_ms);
}

static void chance(void *arg, void *to, size_t size)
{
    (void)arg;
    pang_env_random(&pang_env_system, to, size);
}

/* ---- start and stop ---- */

/* Immutable, and dear to load: one for all worlds of a program. */
static pang_schema *the_schema(void)
{
    static pang_schema *schema;
    pang_err err;
    if (schema == NULL)
        assert_int_equal(pang_schema_load(pang_schema_linked(), &schema, &err), PANG_OK);
    return schema;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about;
    (void)type;
    (void)where;
    return remove(path);
}

static void start(fixture *fx)
{
    pang_str roots[] = {pang_str_from(fx->folder)};
    pang_objects_config objects = {.file_roots = roots, .n_file_roots = 1};
    pang_state_config config = {.env = &fx->env, .db = fx->db, .objects = fx->objects};
    config.care_interval_ms = fx->care_interval_ms;
    pang_start_config first = {
        .demo_catalog = PANG_STR(FX_PREFIX),
        .demo_warehouse = pang_str_from(fx->warehouse),
    };
    assert_int_equal(pang_objects_open(PANG_STR("file"), &objects, &fx->objects[0], &fx->err),
                     PANG_OK);
    assert_int_equal(pang_state_open(&config, &fx->state, &fx->err), PANG_OK);
    if (pang_state_start(fx->state, &first, &fx->err) != PANG_OK)
        fail_msg("start: %s", fx->err.message);
    fx->server = (pang_server_env){
        .env = &fx->env,
        .db = fx->db,
        .schema = fx->schema,
        .page_key = PANG_STR("the key of this fixture's page tokens"),
        .objects = fx->objects,
        .state = fx->state,
        .sealer = fx->sealer,
        .file_warehouses = pang_str_from(fx->tenants),
        .evaluation = true,
    };
}

static void stop(fixture *fx)
{
    pang_state_close(fx->state);
    pang_objects_close(fx->objects[0]);
}

void fx_ok(const fixture *fx, pang_code code)
{
    if (code != PANG_OK)
        fail_msg("%s: %s", pang_code_name(code), fx->err.message);
}

fixture *fx_open(const char *url)
{
    char folder[] = "/tmp/pang-catalog-XXXXXX";
    assert_non_null(mkdtemp(folder));
    return fx_open_in(url, folder);
}

fixture *fx_open_in(const char *url, const char *folder)
{
    enum { KEEPS_NOTHING = 1 };
    bool is_faulty = strncmp(url, "faulty:", strlen("faulty:")) == 0;
    pang_db_config reads = {.cache_bytes = is_faulty ? KEEPS_NOTHING : 0};
    fixture *fx = calloc(1, sizeof *fx);
    pang_store *store;
    assert_non_null(fx);
    fx->env = (pang_env){wall_ms, mono_ms, chance, fx};
    (void)snprintf(fx->folder, sizeof fx->folder, "%s", folder);
    (void)snprintf(fx->warehouse, sizeof fx->warehouse, "file://%s/warehouse", fx->folder);
    (void)snprintf(fx->tenants, sizeof fx->tenants, "file://%s/tenants", fx->folder);
    assert_int_equal(pang_sealer_open(PANG_STR(FX_SEAL_KEY), "test", &fx->sealer, &fx->err),
                     PANG_OK);
    pang_store_config config = {.url = pang_str_from(url), .env = &fx->env};
    assert_int_equal(pang_store_open(&config, &store, &fx->err), PANG_OK);
    assert_int_equal(pang_store_migrate(store, &fx->err), PANG_OK);
    assert_int_equal(pang_db_open(store, &reads, &fx->db, &fx->err), PANG_OK);
    fx->schema = the_schema();
    fx->arena = pang_arena_new(ARENA_BYTES);
    assert_non_null(fx->arena);
    fx->who.name = PANG_STR("anonymous");
    fx->who.is_known = true;
    fx->scope = FX_SCOPE;
    start(fx);
    return fx;
}

static void fill_hole(char url[URL_MAX], const char *hole, const char *with)
{
    char rest[URL_MAX];
    char *at = strstr(url, hole);
    if (at == NULL)
        return;
    (void)snprintf(rest, sizeof rest, "%s", at + strlen(hole));
    (void)snprintf(at, (size_t)(url + URL_MAX - at), "%s%s", with, rest);
}

/* What fx_setup opens. */
static void make_url(char to[URL_MAX])
{
    static int last;
    char number[16];
    const char *given = getenv("PANG_TEST_URL"), *folder = getenv("TEST_TMPDIR");
    (void)snprintf(number, sizeof number, "%d", ++last);
    (void)snprintf(to, URL_MAX, "%s", given == NULL ? "memory:" : given);
    fill_hole(to, "%t", folder == NULL ? "." : folder);
    fill_hole(to, "%n", number);
}

int fx_setup(void **state)
{
    char url[URL_MAX];
    make_url(url);
    *state = fx_open(url);
    return 0;
}

void fx_close(fixture *fx)
{
    pang_arena_free(fx->arena);
    stop(fx);
    pang_db_close(fx->db);
    pang_sealer_close(fx->sealer);
    assert_int_equal(nftw(fx->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(fx);
}

int fx_teardown(void **state)
{
    fx_close(*state);
    return 0;
}

void fx_restart(fixture *fx)
{
    pang_arena_reset(fx->arena);
    stop(fx);
    start(fx);
}

/* ---- calls ---- */

/* What the calling thread's last call left; a fixture's own fields are for tests of one thread. */
static _Thread_local pang_id last_commit;
static _Thread_local unsigned last_retry_after_s;

static const pang_method *find_method(const char *name)
{
    for (size_t s = 0; pang_services[s] != NULL; s++)
        for (size_t i = 0; i < pang_services[s]->n; i++) {
            const char *slash = strrchr(pang_services[s]->methods[i].path, '/');
            if (strcmp(slash + 1, name) == 0)
                return &pang_services[s]->methods[i];
        }
    fail_msg("no method %s", name);
    return NULL;
}

static pang_code run_once(fixture *fx, pang_arena *arena, const pang_method *method,
                          unsigned attempt, void **carried, const void *in, void *out,
                          pang_str *ret_keep, pang_err *err)
{
    pang_call call = {
        .server = &fx->server,
        .method = pang_schema_find(fx->schema, pang_str_from(method->path)),
        .who = &fx->who,
        .permit = fx->permit,
        .txn = pang_txn_begin(fx->db, fx->scope, PANG_NO_DEADLINE, arena),
        .arena = arena,
        .deadline_ms = fx->deadline_ms != 0 ? fx->deadline_ms : PANG_NO_DEADLINE,
        .client_address = fx->address,
        .commit_message = fx->message,
        .commit_properties = fx->properties,
        .tenant_key = fx->scope,
        .attempt = attempt,
        .lasting = arena,
        .carried = *carried,
    };
    assert_non_null(call.txn);
    assert_non_null(call.method);
    protobuf_c_message_init(method->out, out);
    pang_code code = method->handle(&call, in, out, err);
    void (*between)(void *arg) = fx->between;
    if (between != NULL) {
        fx->between = NULL;
        between(fx->between_arg);
    }
    if (code == PANG_OK)
        code = pang_txn_writes(call.txn) ? pang_txn_commit(call.txn, err)
                                         : pang_txn_finish(call.txn, err);
    *ret_keep = call.keep;
    *carried = call.carried;
    last_commit = call.commit;
    last_retry_after_s = call.retry_after_s;
    return code;
}

pang_code fx_call_in(fixture *fx, pang_arena *arena, const char *method, const void *in, void *out,
                     unsigned *ret_runs, pang_str *ret_keep, pang_err *err)
{
    const pang_method *found = find_method(method);
    pang_code code = PANG_ABORTED;
    void *carried = NULL;
    *err = (pang_err){0};
    for (*ret_runs = 0; code == PANG_ABORTED && *ret_runs < TRIES; ++*ret_runs)
        code = run_once(fx, arena, found, *ret_runs, &carried, in, out, ret_keep, err);
    return code;
}

pang_code fx_call(fixture *fx, const char *method, const void *in, void *out)
{
    pang_code code = fx_call_in(fx, fx->arena, method, in, out, &fx->runs, &fx->keep, &fx->err);
    fx->commit = last_commit;
    fx->retry_after_s = last_retry_after_s;
    return code;
}

void fx_become(fixture *fx, const pang_grant *grants, size_t n, pang_permit *permit)
{
    pang_grants_source source = {.rank = PANG_RANK_MEMBER, .grants = grants, .n_grants = n};
    *permit = (pang_permit){.epoch = 0};
    assert_int_equal(pang_grants_compile(&source, fx->arena, &permit->grants, &fx->err), PANG_OK);
    fx->who.kind = PANG_PRINCIPAL_TENANT_USER;
    fx->permit = permit;
}

void fx_unbecome(fixture *fx, pang_permit *permit)
{
    pang_grants_unref(permit->grants);
    fx->permit = NULL;
    fx->who.kind = PANG_PRINCIPAL_NONE;
}

pang_id fx_commit_of_thread(void)
{
    return last_commit;
}

/* ---- streams of replies: weak, since some tests link the server's own dispatcher, too ---- */

#define WEAK __attribute__((weak))

struct pang_stream {
    fixture *fx;
    pang_call *call;
    const void *in;
    fx_got_fn *got;
    void *arg;
    bool gone;
};

WEAK bool pang_call_cancelled(const pang_call *call)
{
    const struct pang_stream *stream = call->rpc;
    return (stream != NULL && stream->gone) ||
           pang_env_mono_ms(call->server->env) >= call->deadline_ms;
}

WEAK pang_code pang_stream_begin(pang_stream *stream, pang_err *err)
{
    pang_call *call = stream->call;
    pang_arena_reset(call->arena);
    call->txn = pang_txn_begin(stream->fx->db, stream->fx->scope, PANG_NO_DEADLINE, call->arena);
    assert_non_null(call->txn);
    return stream->fx->refuses == PANG_OK
               ? PANG_OK
               : pang_fail(err, stream->fx->refuses, NULL, "refused by the test");
}

WEAK pang_code pang_stream_receive(pang_stream *stream, const void **ret, pang_err *err)
{
    *ret = stream->in;
    stream->in = NULL;
    return *ret == NULL ? PANG_OK : pang_stream_begin(stream, err);
}

WEAK pang_code pang_stream_send(pang_stream *stream, const void *out, pang_err *err)
{
    (void)err;
    stream->gone = !stream->got(stream->arg, out);
    return PANG_OK;
}

pang_code fx_stream(fixture *fx, const char *method, const void *in, fx_got_fn *got, void *arg)
{
    struct pang_stream stream = {.fx = fx, .in = in, .got = got, .arg = arg};
    pang_call call = {
        .server = &fx->server,
        .who = &fx->who,
        .permit = fx->permit,
        .arena = pang_arena_new(ARENA_BYTES),
        .deadline_ms = PANG_NO_DEADLINE,
        .tenant_key = fx->scope,
        .rpc = &stream,
    };
    assert_non_null(call.arena);
    stream.call = &call;
    fx->err = (pang_err){0};
    pang_code code = find_method(method)->stream(&call, &stream, &fx->err);
    pang_arena_free(call.arena);
    return code;
}

pang_txn *fx_begin(fixture *fx)
{
    pang_txn *txn = pang_txn_begin(fx->db, FX_SCOPE, PANG_NO_DEADLINE, fx->arena);
    assert_non_null(txn);
    return txn;
}

pang_view fx_view(fixture *fx, pang_txn *txn)
{
    pang_view view;
    assert_int_equal(
        pang_view_begin(txn, fx->arena, FX_SCOPE, PANG_STR(FX_PREFIX), "x", &view, &fx->err),
        PANG_OK);
    return view;
}

/* ---- little things ---- */

char *fx_text(fixture *fx, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return pang_arena_cstr(fx->arena, pang_str_from(text));
}

ProtobufCBinaryData fx_bytes(const char *text)
{
    return pang_bytes_of(pang_str_from(text));
}

const char *fx_path(const char *location)
{
    const char *path = strstr(location, ":/");
    assert_non_null(path);
    path++;
    return strncmp(path, "//", 2) == 0 ? path + 2 : path;
}

char **fx_levels(fixture *fx, const char *dotted, size_t *ret_n)
{
    char **levels = pang_arena_alloc_n(fx->arena, 16, sizeof *levels);
    pang_str rest = pang_str_from(dotted), one;
    *ret_n = 0;
    while (pang_str_next(&rest, '.', &one))
        levels[(*ret_n)++] = pang_arena_cstr(fx->arena, one);
    return levels;
}

pang_code fx_create_namespace(fixture *fx, const char *dotted)
{
    Pangolin__V1__CreateNamespaceRequest in = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__CreateNamespaceResponse out;
    in.prefix = TEXT(FX_PREFIX);
    in.namespace_ = fx_levels(fx, dotted, &in.n_namespace_);
    return fx_call(fx, "CreateNamespace", &in, &out);
}

void fx_set_property(fixture *fx, const char *prefix, char **levels, size_t n_levels,
                     const char *key, const char *value)
{
    Pangolin__V1__UpdateNamespacePropertiesRequest in =
        PANGOLIN__V1__UPDATE_NAMESPACE_PROPERTIES_REQUEST__INIT;
    Pangolin__V1__UpdateNamespacePropertiesResponse out;
    Pangolin__V1__UpdateNamespacePropertiesRequest__UpdatesEntry
        entry = PANGOLIN__V1__UPDATE_NAMESPACE_PROPERTIES_REQUEST__UPDATES_ENTRY__INIT,
        *list[] = {&entry};
    entry.key = TEXT(key);
    entry.value = TEXT(value);
    in.prefix = TEXT(prefix);
    in.namespace_ = levels;
    in.n_namespace_ = n_levels;
    in.updates = list;
    in.n_updates = 1;
    fx_ok(fx, fx_call(fx, "UpdateNamespaceProperties", &in, &out));
}

static pang_code create_table_on(fixture *fx, const char *prefix, const char *ns, const char *name,
                                 Pangolin__V1__CreateTableResponse *ret)
{
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    Pangolin__V1__CreateTableResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.name = fx_text(fx, "%s", name);
    in.schema = fx_bytes(FX_SCHEMA);
    return fx_call(fx, "CreateTable", &in, ret != NULL ? ret : &out);
}

pang_code fx_create_table(fixture *fx, const char *ns, const char *name,
                          Pangolin__V1__CreateTableResponse *ret)
{
    return create_table_on(fx, FX_PREFIX, ns, name, ret);
}

pang_code fx_load_table(fixture *fx, const char *ns, const char *name,
                        Pangolin__V1__LoadTableResponse *ret)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    Pangolin__V1__LoadTableResponse out;
    in.prefix = TEXT(FX_PREFIX);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.table = fx_text(fx, "%s", name);
    return fx_call(fx, "LoadTable", &in, ret != NULL ? ret : &out);
}

pang_code fx_commit(fixture *fx, const char *ns, const char *name, const char *requirements,
                    const char *updates, Pangolin__V1__CommitTableResponse *ret)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    in.prefix = TEXT(FX_PREFIX);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.table = fx_text(fx, "%s", name);
    in.requirements = fx_bytes(requirements);
    in.updates = fx_bytes(updates);
    return fx_call(fx, "CommitTable", &in, ret != NULL ? ret : &out);
}

pang_code fx_drop_table_on(fixture *fx, const char *prefix, const char *ns, const char *name,
                           bool purge)
{
    Pangolin__V1__DropTableRequest in = PANGOLIN__V1__DROP_TABLE_REQUEST__INIT;
    Pangolin__V1__DropTableResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.table = fx_text(fx, "%s", name);
    in.purge_requested = purge;
    return fx_call(fx, "DropTable", &in, &out);
}

pang_code fx_drop_table(fixture *fx, const char *ns, const char *name, bool purge)
{
    return fx_drop_table_on(fx, FX_PREFIX, ns, name, purge);
}

pang_code fx_replace_table_on(fixture *fx, const char *prefix, const char *ns, const char *name,
                              bool purge)
{
    pang_code code = fx_drop_table_on(fx, prefix, ns, name, purge);
    return code == PANG_OK ? create_table_on(fx, prefix, ns, name, NULL) : code;
}

/* ---- branches ---- */

pang_code fx_create_branch(fixture *fx, const char *name, const char *from)
{
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT(name);
    in.from = TEXT(from);
    in.branch_type = TEXT("ingest");
    return fx_call(fx, "CreateBranch", &in, &out);
}

pang_code fx_delete_branch(fixture *fx, const char *name)
{
    Pangolin__V1__DeleteBranchRequest in = PANGOLIN__V1__DELETE_BRANCH_REQUEST__INIT;
    Pangolin__V1__DeleteBranchResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT(name);
    return fx_call(fx, "DeleteBranch", &in, &out);
}

pang_code fx_merge(fixture *fx, const char *source, const char *target,
                   Pangolin__V1__MergeBranchesResponse *ret)
{
    Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.source_branch = TEXT(source);
    in.target_branch = TEXT(target);
    return fx_call(fx, "MergeBranches", &in, ret);
}
