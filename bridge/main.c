/*
 * pangolin-bridge: reads the configuration, loads the API's description, listens, and runs one loop
 * per thread. The main thread only waits for signals: SIGTERM and SIGINT drain, SIGHUP reads the
 * certificate again.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/config.h"
#include "api/log.h"
#include "bridge/conn.h"
#include "bridge/healthcheck.h"
#include "bridge/listen.h"

enum { WORKERS_MAX = 256, STACK_BYTES = 512 * 1024 };

static int cannot_start(const pang_err *err)
{
    fprintf(stderr, "pangolin-bridge: cannot start: %s\n", err->message);
    return PANG_EXIT_CANNOT_START;
}

/* ---- settings ---- */

static pang_code socket_path(const pang_config *config, char **ret, pang_err *err)
{
    pang_str given = pang_config_text(config, PANG_OPT_SOCKET);
    pang_str folder = pang_config_text(config, PANG_OPT_DATA_DIR);
    int len = given.len > 0 ? asprintf(ret, "%.*s", PANG_STR_ARG(given))
                            : asprintf(ret, "%.*s/run/core.sock", PANG_STR_ARG(folder));
    return len < 0 ? pang_fail_memory(err) : PANG_OK;
}

static void read_limits(const pang_config *config, pang_bridge *bridge)
{
    bridge->upstream_connections = (unsigned)pang_config_int(config, PANG_OPT_UPSTREAM_CONNECTIONS);
    bridge->max_connections = pang_config_int(config, PANG_OPT_MAX_CONNECTIONS);
    bridge->max_connections_per_peer = pang_config_int(config, PANG_OPT_MAX_CONNECTIONS_PER_PEER);
    bridge->max_in_flight = pang_config_int(config, PANG_OPT_MAX_CONCURRENT);
    bridge->max_streams = (size_t)pang_config_int(config, PANG_OPT_MAX_STREAMS);
    bridge->max_header = (size_t)pang_config_int(config, PANG_OPT_MAX_HEADER);
    bridge->max_body = (size_t)pang_config_int(config, PANG_OPT_MAX_BODY);
    bridge->header_ms = pang_config_int(config, PANG_OPT_HEADER_TIMEOUT);
    bridge->body_ms = pang_config_int(config, PANG_OPT_BODY_TIMEOUT);
    bridge->idle_ms = pang_config_int(config, PANG_OPT_IDLE_TIMEOUT);
    bridge->request_ms = pang_config_int(config, PANG_OPT_REQUEST_TIMEOUT);
    bridge->grace_ms = pang_config_int(config, PANG_OPT_SHUTDOWN_GRACE);
    bridge->gzip = pang_config_bool(config, PANG_OPT_GZIP);
    bridge->metrics_on = pang_config_bool(config, PANG_OPT_METRICS);
    bridge->no_auth = pang_config_bool(config, PANG_OPT_NO_AUTH);
    bridge->n_cors_origins = pang_config_list(config, PANG_OPT_CORS_ORIGINS, &bridge->cors_origins);
}

static pang_code read_proxies(const pang_config *config, pang_bridge *bridge, pang_err *err)
{
    const pang_str *list;
    size_t n = pang_config_list(config, PANG_OPT_TRUSTED_PROXIES, &list);
    pang_code code = PANG_OK;
    bridge->proxies.all = pang_config_bool(config, PANG_OPT_TRUST_FORWARDED);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = pang_proxies_add(&bridge->proxies, list[i], err);
    return code;
}

static pang_code read_tls(const pang_config *config, pang_bridge *bridge, pang_err *err)
{
    pang_str cert = pang_config_text(config, PANG_OPT_TLS_CERT);
    pang_str key = pang_config_text(config, PANG_OPT_TLS_KEY);
    if (cert.len == 0 && key.len == 0)
        return PANG_OK;
    if (cert.len == 0 || key.len == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "tls-cert and tls-key go together");
    return pang_tls_new(cert.ptr, key.ptr, &bridge->tls, err);
}

/* ---- workers ---- */

static void run_sweep(pang_sweep *sweep, int64_t now_ms)
{
    pang_worker *worker = (pang_worker *)((char *)sweep - offsetof(pang_worker, sweep));
    pang_conn_sweep(worker, now_ms);
    pang_listen_sweep(worker, now_ms);
    if (worker->drain_until_ms == 0)
        return;
    if (worker->n_conns == 0 || now_ms >= worker->drain_until_ms)
        pang_loop_stop(worker->loop);
}

static void begin_drain(void *arg)
{
    pang_worker *worker = arg;
    if (worker->drain_until_ms != 0 || !atomic_load(&worker->bridge->draining))
        return;
    worker->drain_until_ms = pang_loop_now(worker->loop) + worker->bridge->grace_ms;
    pang_listen_stop(worker);
    pang_conn_drain_all(worker);
}

static pang_code make_worker(pang_bridge *bridge, pang_worker *worker, pang_err *err)
{
    worker->bridge = bridge;
    worker->sweep.run = run_sweep;
    pang_code code = pang_loop_new(&worker->loop, err);
    if (code == PANG_OK)
        code = pang_metrics_new(bridge->schema, &worker->metrics, err);
    if (code == PANG_OK)
        code = pang_upstream_new(worker->loop, bridge->socket_path, bridge->upstream_connections,
                                 &worker->upstream, err);
    if (code != PANG_OK)
        return code;
    pang_loop_sweep(worker->loop, &worker->sweep);
    pang_loop_on_wake(worker->loop, begin_drain, worker);
    return PANG_OK;
}

static pang_code make_workers(const pang_config *config, pang_bridge *bridge, pang_err *err)
{
    int64_t n = pang_config_int(config, PANG_OPT_BRIDGE_THREADS);
    if (n == 0)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1 || n > WORKERS_MAX)
        n = n < 1 ? 1 : WORKERS_MAX;
    bridge->workers = calloc((size_t)n, sizeof *bridge->workers);
    if (bridge->workers == NULL)
        return pang_fail_memory(err);
    bridge->n_workers = (size_t)n;
    for (size_t i = 0; i < bridge->n_workers; i++)
        bridge->workers[i].listener.fd = bridge->workers[i].metrics_listener.fd =
            bridge->workers[i].reserve_fd = -1;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < bridge->n_workers; i++)
        code = make_worker(bridge, &bridge->workers[i], err);
    return code;
}

static void free_worker(pang_worker *worker)
{
    pang_listen_stop(worker);
    while (worker->conns != NULL) {
        pang_conn *conn = worker->conns;
        pang_conn_abort(conn);
        pang_loop_cancel(worker->loop, &conn->flush);
        conn->flush.run(&conn->flush);
    }
    pang_upstream_free(worker->upstream);
    pang_metrics_free(worker->metrics);
    pang_loop_free(worker->loop);
}

static void *run_worker(void *arg)
{
    pang_worker *worker = arg;
    pang_loop_run(worker->loop);
    return NULL;
}

static pang_code start_workers(pang_bridge *bridge, pthread_t *threads, pang_err *err)
{
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < bridge->n_workers; i++) {
        if (!pang_listen_start(&bridge->workers[i]) ||
            pthread_create(&threads[i], &attributes, run_worker, &bridge->workers[i]) != 0)
            code = pang_fail(err, PANG_UNAVAILABLE, NULL, "could not start a thread");
    }
    (void)pthread_attr_destroy(&attributes);
    return code;
}

/* ---- signals ---- */

static void reload(pang_bridge *bridge)
{
    pang_err err;
    if (bridge->tls == NULL)
        return;
    if (pang_tls_reload(bridge->tls, &err) == PANG_OK)
        PANG_LOG(INFO, "certificate read again", PANG_LOG_NUMBER("workers", bridge->n_workers));
    else
        PANG_LOG(ERROR, "certificate not read", PANG_LOG_TEXT("why", pang_str_from(err.message)));
}

static void wait_for_end(pang_bridge *bridge, const sigset_t *signals)
{
    int number = 0;
    while (number != SIGTERM && number != SIGINT) {
        if (sigwait(signals, &number) == 0 && number == SIGHUP)
            reload(bridge);
    }
    PANG_LOG(INFO, "draining", PANG_LOG_NUMBER("connections", atomic_load(&bridge->connections)));
    atomic_store(&bridge->draining, true);
    for (size_t i = 0; i < bridge->n_workers; i++)
        pang_loop_wake(bridge->workers[i].loop);
}

static void block_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, ret, NULL);
    /* OpenSSL writes without MSG_NOSIGNAL. */
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

/* As many descriptors as the system allows. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the whole ---- */

static pang_code prepare(const pang_config *config, pang_bridge *bridge, char **ret_socket,
                         unsigned *ret_port, pang_err *err)
{
    pang_schema *schema = NULL;
    pang_router *router = NULL;
    pang_code code = pang_schema_load(pang_schema_linked(), &schema, err);
    bridge->schema = schema;
    if (code == PANG_OK)
        code = pang_router_new(schema, &router, err);
    bridge->router = router;
    if (code == PANG_OK)
        code = read_proxies(config, bridge, err);
    if (code == PANG_OK)
        code = read_tls(config, bridge, err);
    if (code == PANG_OK)
        code = socket_path(config, ret_socket, err);
    bridge->socket_path = *ret_socket;
    if (code == PANG_OK)
        code = make_workers(config, bridge, err);
    if (code == PANG_OK)
        code = pang_listen(bridge, pang_config_text(config, PANG_OPT_BIND_ADDRESS).ptr,
                           (unsigned)pang_config_int(config, PANG_OPT_PORT), ret_port, err);
    pang_str metrics = pang_config_text(config, PANG_OPT_METRICS_ADDRESS);
    if (code == PANG_OK && metrics.len > 0)
        code = pang_listen_metrics(bridge, metrics, err);
    return code;
}

static void clean_up(pang_bridge *bridge, char *socket)
{
    for (size_t i = 0; i < bridge->n_workers; i++)
        free_worker(&bridge->workers[i]);
    free(bridge->workers);
    pang_tls_free(bridge->tls);
    pang_router_free((pang_router *)(uintptr_t)bridge->router);
    pang_schema_free((pang_schema *)(uintptr_t)bridge->schema);
    free(socket);
}

static int run(const pang_config *config, pang_bridge *bridge)
{
    pthread_t threads[WORKERS_MAX];
    sigset_t signals;
    char *socket = NULL;
    unsigned port = 0;
    pang_err err;
    block_signals(&signals);
    raise_descriptors();
    pang_code code = prepare(config, bridge, &socket, &port, &err);
    if (code == PANG_OK)
        code = start_workers(bridge, threads, &err);
    if (code != PANG_OK) {
        /* Threads that run already end with the process. */
        return cannot_start(&err);
    }
    PANG_LOG(INFO, "listening",
             PANG_LOG_TEXT("address", pang_config_text(config, PANG_OPT_BIND_ADDRESS)),
             PANG_LOG_NUMBER("port", port), PANG_LOG_NUMBER("threads", bridge->n_workers));
    if (bridge->no_auth)
        PANG_LOG(WARN, "no authentication: whoever reaches this address may do anything",
                 PANG_LOG_NUMBER("port", port));
    wait_for_end(bridge, &signals);
    for (size_t i = 0; i < bridge->n_workers; i++)
        (void)pthread_join(threads[i], NULL);
    clean_up(bridge, socket);
    PANG_LOG(INFO, "stopped", PANG_LOG_NUMBER("port", port));
    return 0;
}

int main(int argc, char **argv)
{
    static pang_bridge bridge;
    pang_config *config = NULL;
    bool check = pang_healthcheck_asked(&argc, argv);
    int status = pang_config_start(PANG_PROGRAM_BRIDGE, "pangolin-bridge",
                                   "The public side of a Pangolin catalog: HTTP to gRPC. With\n"
                                   "--healthcheck it asks the one that runs with these options\n"
                                   "whether it is ready, and exits with 0 if so.",
                                   argc, argv, &config);
    if (status >= 0)
        return status;
    if (check) {
        status = pang_healthcheck(config);
        pang_config_free(config);
        return status;
    }
    read_limits(config, &bridge);
    status = run(config, &bridge);
    pang_config_free(config);
    return status;
}
