/*
 * pangolin-server: opens everything in order, serves until a signal, closes in the reverse order.
 * The main thread is the only one that takes signals, and sleeps in sigwait until one comes.
 */
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/config.h"
#include "api/log.h"
#include "server/credentials.h"
#include "server/evaluate.h"
#include "server/first_start.h"
#include "server/health.h"
#include "server/jobs.h"
#include "server/listen.h"
#include "server/reach.h"
#include "server/retain.h"
#include "server/rpc.h"
#include "server/setup.h"
#include "server/state.h"

enum {
    START_MEMORY = 1 << 20,
    DAY_MS = 24 * 60 * 60 * 1000,
    STREAMS_SHARE = 4,     /* of the pool's threads, the part that streams may hold */
    CONNECTIONS_SHARE = 2, /* of all connections, the part that one process may have */
    MESSAGE_SLACK = 64 << 10,
    HARD_STOP_MS = 5000, /* for calls to notice that they were cancelled */
};

/* Everything that is open; what is NULL or negative is not. */
typedef struct {
    const pang_env *env;
    pang_config *config;
    pang_arena *arena;
    pang_places places;
    int lock;
    pang_schema *schema;
    pang_counters *counters;
    pang_health *health;
    pang_db *db;
    pang_objects *objects[PANG_OBJECT_KINDS_MAX + 1];
    pang_str file_warehouses; /* a location */
    pang_state *state;
    const char *record_names[3][PANG_RETAIN_KINDS]; /* of samples */
    pang_audit *audit;
    uint8_t page_key[PANG_HASH_BYTES];
    pang_server_env shared;
    pang_credentials credentials;
    pang_dispatcher *dispatcher;
    pang_pool *pool;
    pang_rpc *rpc;
    pang_listener *listener;
    pang_jobs *jobs;
} server;

/* ---- metrics that others keep ---- */

static size_t give_samples(pang_sample *to, size_t max, const pang_sample *rows, size_t n)
{
    assert(n <= max);
    memcpy(to, rows, n * sizeof *rows);
    return n;
}

static size_t sample_process(void *arg, pang_sample *samples, size_t max)
{
    server *s = arg;
    pang_pool_stats pool;
    size_t n = 0;
    (void)max;
    pang_pool_get_stats(s->pool, &pool);
    samples[n++] = (pang_sample){"pangolin_ready", "gauge", "1 when the server takes calls",
                                 pang_health_get(s->health) == PANG_SERVING};
    samples[n++] = (pang_sample){"pangolin_rpc_in_flight", "gauge", "Calls in flight",
                                 pang_dispatch_in_flight(s->dispatcher)};
    samples[n++] = (pang_sample){"pangolin_core_connections", "gauge", "Connections on the socket",
                                 s->listener == NULL ? 0 : pang_listen_connections(s->listener)};
    samples[n++] = (pang_sample){"pangolin_pool_threads", "gauge", "Threads of the handler pool",
                                 pool.threads};
    samples[n++] = (pang_sample){"pangolin_pool_waiting", "gauge", "Calls waiting for a thread",
                                 pool.waiting};
    return n;
}

static size_t sample_store(void *arg, pang_sample *samples, size_t max)
{
    server *s = arg;
    pang_db_stats db;
    pang_db_get_stats(s->db, &db);
    const pang_sample rows[] = {
        {"pangolin_store_commits_total", "counter", "Commits that landed", (double)db.commits},
        {"pangolin_store_aborted_total", "counter", "Commits that lost a race", (double)db.aborted},
        {"pangolin_store_failed_total", "counter", "Commits that failed", (double)db.failed},
        {"pangolin_store_unknown_total", "counter", "Commits of unknown outcome, at first",
         (double)db.unknown},
        {"pangolin_store_groups_total", "counter", "Groups of commits", (double)db.groups},
        {"pangolin_store_gets_total", "counter", "Reads that went to the store", (double)db.gets},
        {"pangolin_store_scans_total", "counter", "Scans", (double)db.scans},
        {"pangolin_cache_hits_total", "counter", "Records that the cache had",
         (double)db.cache_hits},
        {"pangolin_cache_misses_total", "counter", "Records that it had not",
         (double)db.cache_misses},
        {"pangolin_cache_bytes", "gauge", "Bytes in the cache", (double)db.cache_bytes},
    };
    return give_samples(samples, max, rows, sizeof rows / sizeof rows[0]);
}

static size_t sample_state(void *arg, pang_sample *samples, size_t max)
{
    server *s = arg;
    pang_state_stats state;
    pang_state_get_stats(s->state, &state);
    const pang_sample rows[] = {
        {"pangolin_documents_bytes", "gauge", "Bytes of metadata documents in memory",
         (double)state.document_bytes},
        {"pangolin_documents_hits_total", "counter", "Metadata documents found in memory",
         (double)state.document_hits},
        {"pangolin_documents_misses_total", "counter", "Metadata documents not found there",
         (double)state.document_misses},
        {"pangolin_files_synced_total", "counter", "Metadata files made durable",
         (double)state.files_synced},
        {"pangolin_files_restored_total", "counter", "Metadata files written again",
         (double)state.files_restored},
        {"pangolin_files_purged_total", "counter", "Files of purged tables removed",
         (double)state.files_purged},
        {"pangolin_gc_runs_total", "counter", "Runs of the collector", (double)state.gc_runs},
        {"pangolin_gc_skipped_total", "counter", "Places that it left alone, unreadable",
         (double)state.gc_skipped},
        {"pangolin_gc_files_removed_total", "counter", "Files that it removed",
         (double)state.gc_removed},
        {"pangolin_gc_bytes_removed_total", "counter", "Their bytes", (double)state.gc_bytes},
        {"pangolin_gc_last_run_timestamp_seconds", "gauge", "When its last run ended",
         (double)state.gc_last_ms / 1000},
        {"pangolin_work_failed_total", "counter", "Rounds of later work that failed",
         (double)state.rounds_failed},
    };
    return give_samples(samples, max, rows, sizeof rows / sizeof rows[0]);
}

/* What catalogs hold, by kinds. */
static size_t sample_records(void *arg, pang_sample *samples, size_t max)
{
    server *s = arg;
    pang_record_stats stats[PANG_RETAIN_KINDS];
    size_t n = 0;
    for (size_t i = 0; i < PANG_RETAIN_KINDS; i++)
        pang_state_get_records(s->state, i, &stats[i]);
    for (size_t i = 0; i < PANG_RETAIN_KINDS && n < max; i++)
        samples[n++] = (pang_sample){s->record_names[0][i], "gauge", "Records of catalogs",
                                     (double)stats[i].records};
    for (size_t i = 0; i < PANG_RETAIN_KINDS && n < max; i++)
        if (stats[i].has_bytes)
            samples[n++] = (pang_sample){s->record_names[1][i], "gauge", "Their bytes",
                                         (double)stats[i].bytes};
    for (size_t i = 0; i < PANG_RETAIN_KINDS && n < max; i++)
        samples[n++] = (pang_sample){s->record_names[2][i], "counter",
                                     "Records that retention removed", (double)stats[i].removed};
    return n;
}

static void name_records(server *s)
{
    static const char *const families[] = {"pangolin_records", "pangolin_records_bytes",
                                           "pangolin_records_removed_total"};
    for (size_t f = 0; f < 3; f++)
        for (size_t i = 0; i < PANG_RETAIN_KINDS; i++) {
            pang_str name = pang_arena_printf(s->arena, "%s{kind=\"%s\"}", families[f],
                                              pang_retain_kind_name((pang_retain_kind)i));
            s->record_names[f][i] = pang_arena_cstr(s->arena, name);
        }
}

static size_t sample_permits(void *arg, pang_sample *samples, size_t max)
{
    server *s = arg;
    pang_auth_cache_stats permits;
    pang_auth_cache_get_stats(s->credentials.permits, &permits);
    const pang_sample rows[] = {
        {"pangolin_permits", "gauge", "Callers whose grants are compiled in memory",
         (double)permits.entries},
        {"pangolin_permits_bytes", "gauge", "Bytes of compiled grants in memory",
         (double)permits.bytes},
        {"pangolin_permits_hits_total", "counter", "Compiled grants found in memory",
         (double)permits.hits},
        {"pangolin_permits_loads_total", "counter", "Grants read and compiled",
         (double)permits.loads},
    };
    return give_samples(samples, max, rows, sizeof rows / sizeof rows[0]);
}

static size_t sample_audit(void *arg, pang_sample *samples, size_t max)
{
    server *s = arg;
    pang_audit_stats audit;
    pang_audit_get_stats(s->audit, &audit);
    const pang_sample rows[] = {
        {"pangolin_audit_buffered_bytes", "gauge", "Bytes of the audit log not yet written",
         (double)audit.buffered_bytes},
        {"pangolin_audit_group_entries_total", "counter", "Entries written in groups",
         (double)audit.entries},
        {"pangolin_audit_seals_total", "counter", "Links of the audit log's chains",
         (double)audit.seals},
        {"pangolin_auth_failure_total", "counter", "Failures of unknown callers",
         (double)audit.strangers},
        {"pangolin_audit_write_failures_total", "counter",
         "Audit records that failed to be written", (double)audit.failures},
    };
    return give_samples(samples, max, rows, sizeof rows / sizeof rows[0]);
}

/* ---- opening ---- */

static pang_code open_description(server *s, pang_err *err)
{
    pang_code code = pang_schema_load(pang_schema_linked(), &s->schema, err);
    if (code == PANG_OK)
        code = pang_counters_open(s->schema, &s->counters, err);
    s->health = pang_health_new();
    return code == PANG_OK && s->health == NULL ? pang_fail_memory(err) : code;
}

static pang_code open_store(server *s, pang_err *err)
{
    pang_store *store = NULL;
    pang_db_config cache = {
        .cache_bytes = (size_t)pang_config_int(s->config, PANG_OPT_CACHE_BYTES)};
    pang_code code = pang_reach_store(s->config, s->places.data, s->env, s->arena, &store, err);
    if (code == PANG_OK)
        code = pang_db_open(store, &cache, &s->db, err);
    if (code != PANG_OK)
        pang_store_close(store);
    return code;
}

/* Where tenants' warehouses of type "file" lie: checked now, and not when the first is made. */
static pang_code find_file_warehouses(server *s, pang_err *err)
{
    pang_str folder = pang_config_text(s->config, PANG_OPT_FILE_WAREHOUSES);
    pang_location at;
    s->file_warehouses = folder.len > 0
                             ? pang_arena_printf(s->arena, "file://%" PANG_STR_FMT,
                                                 PANG_STR_ARG(folder))
                             : pang_arena_printf(s->arena, "file://%" PANG_STR_FMT "/tenants",
                                                 PANG_STR_ARG(s->places.warehouse));
    pang_code code = pang_location_parse(s->file_warehouses, "file-warehouses", s->arena, &at, err);
    if (code != PANG_OK)
        return code;
    pang_objects *store = pang_objects_find(s->objects, at.scheme);
    if (store == NULL || !store->ops->permits(store, &at))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "file-warehouses: \"%" PANG_STR_FMT "\" lies in none of file-roots",
                         PANG_STR_ARG(folder));
    s->file_warehouses = at.text;
    return PANG_OK;
}

static pang_code open_objects(server *s, pang_err *err)
{
    pang_code code = pang_setup_objects(s->config, s->places.warehouse, s->objects, err);
    return code == PANG_OK ? find_file_warehouses(s, err) : code;
}

static pang_code open_state(server *s, pang_err *err)
{
    pang_state_config config = {.env = s->env, .db = s->db, .objects = s->objects};
    config.care_interval_ms = pang_config_int(s->config, PANG_OPT_GC_INTERVAL);
    pang_start_config start = {0};
    pang_code code = pang_state_open(&config, &s->state, err);
    if (pang_config_bool(s->config, PANG_OPT_NO_AUTH)) {
        start.demo_catalog = PANG_STR("demo");
        start.demo_warehouse = pang_arena_printf(s->arena, "file://%" PANG_STR_FMT,
                                                 PANG_STR_ARG(s->places.warehouse));
    }
    if (code == PANG_OK)
        code = pang_state_start(s->state, &start, err);
    return code;
}

/* On standard error and not in the log: logs are kept, and sent to others. */
static void show_setup_code(pang_str code)
{
    fprintf(stderr,
            "\n  Nobody can sign in yet. This setup code lets root set a password, once:\n\n"
            "      %" PANG_STR_FMT "\n\n"
            "  POST /api/v1/users/login\n"
            "  {\"username\": \"root\", \"password\": \"<the code>\", "
            "\"new-password\": \"<yours>\"}\n\n",
            PANG_STR_ARG(code));
}

static pang_code start_first(server *s, pang_err *err)
{
    pang_first_start first = {
        .env = s->env,
        .db = s->db,
        .passwords = s->credentials.passwords,
        .root_name = pang_config_text(s->config, PANG_OPT_ROOT_USER),
        .root_password = pang_config_text(s->config, PANG_OPT_ROOT_PASSWORD),
    };
    pang_str setup_code = {0};
    bool waits = false;
    if (pang_config_bool(s->config, PANG_OPT_NO_AUTH))
        return PANG_OK;
    pang_code code = pang_first_start_run(&first, s->arena, &setup_code, &waits, err);
    if (code == PANG_OK && setup_code.len > 0)
        show_setup_code(setup_code);
    if (code == PANG_OK && waits)
        pang_log(PANG_LOG_WARN,
                 "root has no password yet: the setup code that an earlier start showed sets it; "
                 "`pangolin root reset` makes another",
                 NULL, 0);
    return code;
}

static pang_code open_audit(server *s, pang_id server_id, pang_err *err)
{
    pang_audit_config config = {
        .env = s->env,
        .db = s->db,
        .server = server_id,
        .counters = s->counters,
        .retention_ms = pang_config_int(s->config, PANG_OPT_AUDIT_RETENTION) * DAY_MS,
    };
    return pang_audit_open(&config, &s->audit, err);
}

static pang_code open_dispatcher(server *s, pang_err *err)
{
    unsigned threads = (unsigned)pang_config_int(s->config, PANG_OPT_HANDLER_THREADS);
    s->shared = (pang_server_env){
        .env = s->env,
        .db = s->db,
        .schema = s->schema,
        .page_key = {(const char *)s->page_key, sizeof s->page_key},
        .objects = s->objects,
        .counters = s->counters,
        .state = s->state,
        .sealer = s->credentials.sealer,
        .file_warehouses = s->file_warehouses,
        .passwords = s->credentials.passwords,
        .health = s->health,
        .keyring = s->credentials.keyring,
        .oidc = s->credentials.oidc,
        .throttle = s->credentials.throttle,
        .session_ms = pang_config_int(s->config, PANG_OPT_SESSION_TTL),
        .evaluation = pang_config_bool(s->config, PANG_OPT_NO_AUTH),
    };
    pang_dispatch_config config = {
        .server = &s->shared,
        .services = pang_services,
        .authn = s->credentials.authn,
        .evaluate = s->credentials.permits != NULL ? pang_evaluate : NULL,
        .stand = s->credentials.permits != NULL ? pang_evaluate_stand : NULL,
        .evaluate_arg = s->credentials.permits,
        .quota = s->credentials.quota,
        .in_flight_max = (unsigned)pang_config_int(s->config, PANG_OPT_MAX_CONCURRENT),
        .streams_max = threads / STREAMS_SHARE > 0 ? threads / STREAMS_SHARE : 1,
        .timeout_ms = pang_config_int(s->config, PANG_OPT_REQUEST_TIMEOUT),
        .body_max = (size_t)pang_config_int(s->config, PANG_OPT_MAX_BODY),
    };
    pang_code code = pang_setup_server_id(s->places.data, s->env, &config.server_id, err);
    if (code == PANG_OK)
        code = pang_keyring_mac(s->credentials.keyring, (pang_str){0}, PANG_STR("page-tokens"),
                                NULL, 0, s->arena, NULL, s->page_key, err);
    if (code == PANG_OK)
        code = open_audit(s, config.server_id, err);
    s->shared.audit = s->audit;
    if (code == PANG_OK)
        code = pang_dispatch_open(&config, &s->dispatcher, err);
    if (code == PANG_OK)
        code = pang_pool_open(threads, &s->pool, err);
    return code;
}

static unsigned count_queues(const server *s)
{
    int64_t configured = pang_config_int(s->config, PANG_OPT_SERVER_THREADS);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return configured > 0 ? (unsigned)configured : cores > 0 ? (unsigned)cores : 1;
}

static pang_code open_transport(server *s, pang_err *err)
{
    pang_rpc_config config = {
        .dispatcher = s->dispatcher,
        .pool = s->pool,
        .env = s->env,
        .counters = s->counters,
        .queues = count_queues(s),
        .message_max = (size_t)pang_config_int(s->config, PANG_OPT_MAX_BODY) + MESSAGE_SLACK,
        .call_memory = (size_t)pang_config_int(s->config, PANG_OPT_CALL_MEMORY),
        .send_ms = PANG_RPC_SEND_MS,
    };
    return pang_rpc_open(&config, &s->rpc, err);
}

static pang_code open_listener(server *s, pang_err *err)
{
    unsigned max = (unsigned)pang_config_int(s->config, PANG_OPT_CORE_CONNECTIONS);
    pang_listen_config config = {
        .path = s->places.socket.ptr,
        .connections_max = max,
        .per_process_max = max / CONNECTIONS_SHARE > 0 ? max / CONNECTIONS_SHARE : 1,
        .taken = pang_rpc_add,
        .arg = s->rpc,
        .counters = s->counters,
    };
    pang_code code = pang_setup_uids(s->config, s->arena, &config.uids, &config.n_uids, err);
    return code == PANG_OK ? pang_listen_open(&config, &s->listener, err) : code;
}

static pang_code open_all(server *s, pang_err *err)
{
    s->arena = pang_arena_new(START_MEMORY);
    pang_code code = s->arena == NULL ? pang_fail_memory(err) : PANG_OK;
    if (code == PANG_OK)
        code = pang_setup_places(s->config, s->arena, &s->places, err);
    if (code == PANG_OK)
        code = pang_lock_take(s->places.lock.ptr, &s->lock, err);
    if (code == PANG_OK)
        code = open_description(s, err);
    if (code == PANG_OK)
        code = open_store(s, err);
    if (code == PANG_OK)
        code = open_objects(s, err);
    if (code == PANG_OK)
        code = open_state(s, err);
    if (code == PANG_OK)
        code = pang_credentials_open(s->config, s->db, s->env, s->places.data, s->arena,
                                     &s->credentials, err);
    if (code == PANG_OK)
        code = start_first(s, err);
    if (code == PANG_OK)
        code = open_dispatcher(s, err);
    if (code != PANG_OK)
        return code;
    pang_counters_add_source(s->counters, sample_process, s);
    pang_counters_add_source(s->counters, sample_store, s);
    pang_counters_add_source(s->counters, sample_state, s);
    name_records(s);
    pang_counters_add_source(s->counters, sample_records, s);
    pang_counters_add_source(s->counters, sample_audit, s);
    if (s->credentials.permits != NULL)
        pang_counters_add_source(s->counters, sample_permits, s);
    code = open_transport(s, err);
    if (code == PANG_OK)
        code = pang_jobs_start(&s->shared, &s->jobs, err);
    return code == PANG_OK ? open_listener(s, err) : code;
}

/* ---- closing ---- */

/* True when no call is left, so that what calls use may be closed. */
static bool drain(server *s)
{
    pang_health_set(s->health, PANG_DRAINING);
    if (s->listener != NULL)
        pang_listen_stop(s->listener);
    return s->rpc == NULL ||
           pang_rpc_drain(s->rpc, pang_config_int(s->config, PANG_OPT_SHUTDOWN_GRACE),
                          HARD_STOP_MS);
}

static void close_all(server *s)
{
    pang_listen_close(s->listener);
    pang_rpc_close(s->rpc);
    pang_pool_close(s->pool);
    pang_jobs_stop(s->jobs);
    pang_audit_close(s->audit);
    pang_dispatch_close(s->dispatcher);
    pang_credentials_close(&s->credentials);
    pang_state_close(s->state);
    for (size_t i = 0; i < PANG_OBJECT_KINDS_MAX; i++)
        pang_objects_close(s->objects[i]);
    pang_db_close(s->db);
    pang_health_free(s->health);
    pang_counters_close(s->counters);
    pang_schema_free(s->schema);
    pang_arena_free(s->arena);
    if (s->lock >= 0)
        close(s->lock);
}

/* ---- the process ---- */

static void block_signals(sigset_t *ret)
{
    sigemptyset(ret);
    for (size_t i = 0; i < 4; i++)
        sigaddset(ret, (const int[]){SIGINT, SIGTERM, SIGHUP, SIGQUIT}[i]);
    /* Before the first thread, gRPC's own included, so that all inherit it. */
    (void)pthread_sigmask(SIG_BLOCK, ret, NULL);
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

static void wait_for_stop(const sigset_t *signals)
{
    int number = 0;
    do {
        (void)sigwait(signals, &number);
    } while (number == SIGHUP); /* nothing of ours can be read anew */
    PANG_LOG(INFO, "stopping", PANG_LOG_NUMBER("signal", number));
}

static int serve(server *s, const sigset_t *signals)
{
    PANG_LOG(INFO, "serving", PANG_LOG_TEXT("version", PANG_STR(PANG_VERSION)),
             PANG_LOG_TEXT("socket", s->places.socket), PANG_LOG_TEXT("data", s->places.data));
    if (pang_config_bool(s->config, PANG_OPT_NO_AUTH))
        PANG_LOG(WARN, "there is no authentication: whoever reaches this server may do anything",
                 PANG_LOG_TEXT("because", PANG_STR("PANGOLIN_NO_AUTH")));
    pang_setup_notify("READY=1");
    wait_for_stop(signals);
    pang_setup_notify("STOPPING=1");
    if (!drain(s)) {
        PANG_LOG(ERROR, "calls did not end in time",
                 PANG_LOG_NUMBER("calls", pang_dispatch_in_flight(s->dispatcher)));
        /* Their threads still use what would be closed. Every commit is durable by itself, so
         * ending here loses nothing that was acknowledged. */
        _exit(1);
    }
    close_all(s);
    PANG_LOG(INFO, "stopped", PANG_LOG_NUMBER("status", 0));
    return 0;
}

/* One line, though what a database's client says may have more. There is no log yet that would
 * tell the detail. */
static void say_why(const pang_err *err)
{
    char detail[sizeof err->detail];
    (void)snprintf(detail, sizeof detail, "%s", err->detail);
    for (char *at = detail; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ')
            *at = at[1] == '\0' ? '\0' : ' ';
    }
    fprintf(stderr, "pangolin-server: cannot start: %s%s%s%s\n", err->message,
            detail[0] != '\0' ? " (" : "", detail, detail[0] != '\0' ? ")" : "");
}

/* What a call's memory was in serves the next one, instead of going back to the system and coming
 * again page by page: blocks of arenas (256 KiB at most) never have mappings of their own, and some
 * free memory is kept at the end of each heap. */
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int main(int argc, char **argv)
{
    server s = {.env = &pang_env_system, .lock = -1};
    sigset_t signals;
    pang_err err;
    int status = pang_config_start(PANG_PROGRAM_SERVER, "pangolin-server",
                                   "The core of a Pangolin catalog: serves gRPC on a unix socket.",
                                   argc, argv, &s.config);
    if (status >= 0)
        return status;
    keep_memory();
    block_signals(&signals);
    (void)umask(077);
    pang_setup_open_files();
    if (open_all(&s, &err) == PANG_OK) {
        status = serve(&s, &signals);
    } else {
        say_why(&err);
        (void)(s.health == NULL || drain(&s));
        close_all(&s);
        status = PANG_EXIT_CANNOT_START;
    }
    pang_config_free(s.config);
    return status;
}
