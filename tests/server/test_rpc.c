/*
 * server/rpc.h and listen.h in one process with a gRPC client: what a peer on the socket sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "pangolin/v1/namespace.pb-c.h"
#include "pangolin/v1/operations.pb-c.h"
#include "server/health.h"
#include "server/listen.h"
#include "server/ops.h"
#include "server/rpc.h"
#include "storage/backends.h"
#include "tests/server/grpc_client.h"
#include "tests/server/must.h"

#define CREATE "/pangolin.v1.NamespaceService/CreateNamespace"
#define LOAD "/pangolin.v1.NamespaceService/LoadNamespace"
#define PING "/pangolin.v1.OperationsService/Ping"
#define WATCH "/grpc.health.v1.Health/Watch"
#define REFLECT "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define REFLECT_ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

enum {
    IN_FLIGHT = 8,
    STREAMS = 2,
    CONNECTIONS = 16,
    TIMEOUT_MS = 400,
    MESSAGE_MAX = 2 << 20,
    PATIENCE_MS = 5000,
    SEND_MS = 700,
};

const pang_store_ops *const pang_stores[] = {&pang_memory_ops, NULL};

typedef struct {
    pang_db *db;
    pang_schema *schema;
    pang_counters *counters;
    pang_health *health;
    pang_server_env shared;
    pang_dispatcher *dispatcher;
    pang_pool *pool;
    pang_rpc *rpc;
    pang_listener *listener;
    char folder[64], path[96];
    client client;
    bool drained;
} host;

/* What handlers tell the test. */
static atomic_uint inside, saw_cancel;
static atomic_bool gate;

static void sleep_ms(int ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static bool eventually(const atomic_uint *count, unsigned at_least)
{
    for (int ms = 0; ms < PATIENCE_MS; ms += 5) {
        if (atomic_load(count) >= at_least)
            return true;
        sleep_ms(5);
    }
    return false;
}

/* The namespace's name is the command. */
static pang_code obey(pang_call *call, const void *in, void *out, pang_err *err)
{
    const Pangolin__V1__CreateNamespaceRequest *request = in;
    const char *word = request->n_namespace_ > 0 ? request->namespace_[0] : "";
    (void)out;
    atomic_fetch_add(&inside, 1);
    if (strcmp(word, "fail") == 0)
        return pang_fail(err, PANG_ALREADY_EXISTS, "AlreadyExistsException",
                         "namespace \"k\xc3\xbcrzel\n%%\" exists");
    if (strcmp(word, "unavailable") == 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "the store is away");
    while (strcmp(word, "wait") == 0 && !atomic_load(&gate)) {
        if (pang_call_cancelled(call)) {
            atomic_fetch_add(&saw_cancel, 1);
            return pang_fail(err, PANG_CANCELLED, NULL, "the caller has gone");
        }
        sleep_ms(2);
    }
    return PANG_OK;
}

static pang_code nothing(pang_call *call, const void *in, void *out, pang_err *err)
{
    (void)call;
    (void)in;
    (void)out;
    (void)err;
    return PANG_OK;
}

static const pang_method rows[] = {
    {
        .path = CREATE,
        .in = &pangolin__v1__create_namespace_request__descriptor,
        .out = &pangolin__v1__create_namespace_response__descriptor,
        .handle = obey,
    },
    {
        .path = LOAD,
        .in = &pangolin__v1__load_namespace_request__descriptor,
        .out = &pangolin__v1__load_namespace_response__descriptor,
        .handle = nothing,
    },
};

static const pang_service steered = {"pangolin.v1.NamespaceService", rows,
                                     sizeof rows / sizeof rows[0]};

const pang_service *const pang_services[] = {&steered,
                                             &pang_service_health,
                                             &pang_service_operations,
                                             &pang_service_reflection,
                                             &pang_service_reflection_alpha,
                                             NULL};

static void open_dispatcher(host *h)
{
    pang_err err;
    pang_store *store;
    pang_store_config memory = {.url = PANG_STR("memory:"), .env = &pang_env_system};
    MUST(pang_store_open(&memory, &store, &err) == PANG_OK);
    MUST(pang_store_migrate(store, &err) == PANG_OK);
    MUST(pang_db_open(store, NULL, &h->db, &err) == PANG_OK);
    MUST(pang_schema_load(pang_schema_linked(), &h->schema, &err) == PANG_OK);
    MUST(pang_counters_open(h->schema, &h->counters, &err) == PANG_OK);
    h->health = pang_health_new();
    MUST(h->health != NULL);
    h->shared = (pang_server_env){.env = &pang_env_system,
                                  .db = h->db,
                                  .schema = h->schema,
                                  .counters = h->counters,
                                  .health = h->health,
                                  .evaluation = true};
    pang_dispatch_config config = {
        .server = &h->shared,
        .services = pang_services,
        .in_flight_max = IN_FLIGHT,
        .streams_max = STREAMS,
        .timeout_ms = TIMEOUT_MS,
        .body_max = MESSAGE_MAX,
    };
    MUST(pang_dispatch_open(&config, &h->dispatcher, &err) == PANG_OK);
}

static int setup(void **state)
{
    host *h = calloc(1, sizeof *h);
    pang_err err;
    MUST(h != NULL);
    open_dispatcher(h);
    MUST(pang_pool_open(32, &h->pool, &err) == PANG_OK);
    pang_rpc_config rpc = {
        .dispatcher = h->dispatcher,
        .pool = h->pool,
        .env = &pang_env_system,
        .queues = 2,
        .message_max = MESSAGE_MAX,
        .call_memory = 16 << 20,
        .send_ms = SEND_MS,
    };
    MUST(pang_rpc_open(&rpc, &h->rpc, &err) == PANG_OK);
    (void)snprintf(h->folder, sizeof h->folder, "/tmp/pang-rpc-XXXXXX");
    MUST(mkdtemp(h->folder) != NULL);
    (void)snprintf(h->path, sizeof h->path, "%s/run/core.sock", h->folder);
    pang_listen_config listen = {
        .path = h->path,
        .connections_max = CONNECTIONS,
        .taken = pang_rpc_add,
        .arg = h->rpc,
        .counters = h->counters,
    };
    MUST(pang_listen_open(&listen, &h->listener, &err) == PANG_OK);
    pang_health_set(h->health, PANG_SERVING);
    h->client = client_open(h->path);
    atomic_store(&inside, 0);
    atomic_store(&saw_cancel, 0);
    atomic_store(&gate, false);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    host *h = *state;
    char run[96];
    client_close(&h->client);
    pang_listen_stop(h->listener);
    pang_health_set(h->health, PANG_DRAINING);
    if (!h->drained)
        MUST(pang_rpc_drain(h->rpc, 1000, PATIENCE_MS));
    pang_listen_close(h->listener);
    pang_rpc_close(h->rpc);
    pang_pool_close(h->pool);
    pang_dispatch_close(h->dispatcher);
    pang_health_free(h->health);
    pang_counters_close(h->counters);
    pang_schema_free(h->schema);
    pang_db_close(h->db);
    (void)snprintf(run, sizeof run, "%s/run", h->folder);
    (void)rmdir(run);
    MUST(rmdir(h->folder) == 0); /* nothing is left behind */
    free(h);
    return 0;
}

/* The packed request that makes `obey` do a word. */
static pang_str command(const char *word, uint8_t packed[256])
{
    Pangolin__V1__CreateNamespaceRequest request = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    char *level = (char *)(uintptr_t)word;
    request.n_namespace_ = 1;
    request.namespace_ = &level;
    return (pang_str){(char *)packed,
                      pangolin__v1__create_namespace_request__pack(&request, packed)};
}

static int call_status(client *c, const char *path, pang_str message, int deadline_ms)
{
    reply r = client_call(c, path, message, deadline_ms);
    reply_free(&r);
    return r.status;
}

/* ---- calls ---- */

static void test_call__answers_on_queue_and_pool(void **state)
{
    host *h = *state;
    uint8_t packed[256];
    reply r = client_call(&h->client, PING, PANG_STR(""), PATIENCE_MS);
    assert_int_equal(r.status, 0);
    Pangolin__V1__PingResponse *pong = pangolin__v1__ping_response__unpack(
        NULL, r.len, (const uint8_t *)r.message);
    assert_non_null(pong);
    assert_true(pong->time_ms > 1600000000000);
    pangolin__v1__ping_response__free_unpacked(pong, NULL);
    reply_free(&r);
    assert_int_equal(call_status(&h->client, CREATE, command("ok", packed), PATIENCE_MS), 0);
    assert_int_equal(call_status(&h->client, LOAD, PANG_STR(""), PATIENCE_MS), 0);
}

static void test_call__unknown_methods_are_answered_at_once(void **state)
{
    host *h = *state;
    static const char *const paths[] = {
        "/pangolin.v1.OperationsService/Pong", "/x", "/", "/pangolin.v1.OperationsService/Ping/",
        "/pangolin.v1.TableService/LoadTable", /* described, not handled here */
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        reply r = client_call(&h->client, paths[i], PANG_STR(""), NO_MS);
        assert_int_equal(r.status, GRPC_STATUS_UNIMPLEMENTED);
        assert_false(r.has_message);
        reply_free(&r);
    }
}

static void test_call__errors_carry_reason_and_message(void **state)
{
    host *h = *state;
    uint8_t packed[256];
    reply r = client_call(&h->client, CREATE, command("fail", packed), PATIENCE_MS);
    assert_int_equal(r.status, GRPC_STATUS_ALREADY_EXISTS);
    assert_string_equal(r.reason, "AlreadyExistsException");
    assert_string_equal(r.details, "namespace \"k\xc3\xbcrzel\n%\" exists");
    assert_string_equal(r.retry_after, "");
    assert_false(r.has_message);
    reply_free(&r);
    r = client_call(&h->client, CREATE, command("unavailable", packed), PATIENCE_MS);
    assert_int_equal(r.status, GRPC_STATUS_UNAVAILABLE);
    assert_string_equal(r.retry_after, "1");
    reply_free(&r);
}

static void test_call__deadline_and_cancellation_reach_the_handler(void **state)
{
    host *h = *state;
    uint8_t packed[256];
    static talk t;
    assert_int_equal(call_status(&h->client, CREATE, command("wait", packed), 100),
                     GRPC_STATUS_DEADLINE_EXCEEDED);
    assert_true(eventually(&saw_cancel, 1));
    talk_begin(&h->client, CREATE, NO_MS, &t);
    talk_send(&t, command("wait", packed), true);
    assert_true(eventually(&inside, 2));
    talk_cancel(&t);
    reply r = talk_end(&t);
    assert_int_equal(r.status, GRPC_STATUS_CANCELLED);
    assert_true(eventually(&saw_cancel, 2));
    /* The server's own limit, for a client that has none. */
    assert_int_equal(call_status(&h->client, CREATE, command("wait", packed), NO_MS),
                     GRPC_STATUS_DEADLINE_EXCEEDED);
    assert_true(eventually(&saw_cancel, 3));
}

static void test_call__a_request_that_never_comes_is_ended(void **state)
{
    host *h = *state;
    static talk t;
    talk_begin(&h->client, CREATE, NO_MS, &t);
    reply r = talk_end(&t);
    assert_int_equal(r.status, GRPC_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(call_status(&h->client, PING, PANG_STR(""), PATIENCE_MS), 0);
    for (int ms = 0; pang_dispatch_in_flight(h->dispatcher) > 0 && ms < PATIENCE_MS; ms++)
        sleep_ms(1);
    assert_int_equal(pang_dispatch_in_flight(h->dispatcher), 0);
}

static void test_call__without_a_message_or_gone_before_it(void **state)
{
    host *h = *state;
    static talk t;
    const grpc_op close = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    talk_begin(&h->client, CREATE, PATIENCE_MS, &t);
    MUST(grpc_call_start_batch(t.call, &close, 1, (void *)1, NULL) == GRPC_CALL_OK);
    (void)grpc_completion_queue_pluck(h->client.queue, (void *)1,
                                      gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    reply r = talk_end(&t);
    assert_int_equal(r.status, GRPC_STATUS_INVALID_ARGUMENT);
    for (int i = 0; i < 200; i++) { /* reset as fast as they are begun */
        talk_begin(&h->client, CREATE, NO_MS, &t);
        talk_cancel(&t);
        (void)talk_end(&t);
    }
    assert_int_equal(call_status(&h->client, PING, PANG_STR(""), PATIENCE_MS), 0);
    for (int ms = 0; pang_dispatch_in_flight(h->dispatcher) > 0 && ms < PATIENCE_MS; ms++)
        sleep_ms(1);
    assert_int_equal(pang_dispatch_in_flight(h->dispatcher), 0);
    assert_int_equal(atomic_load(&inside), 0);
}

static void test_call__sizes_are_bounded_by_method_and_in_all(void **state)
{
    host *h = *state;
    size_t len = MESSAGE_MAX + 1;
    char *big = calloc(1, len);
    MUST(big != NULL);
    reply r = client_call(&h->client, PING, (pang_str){big, (1 << 20) + 1}, PATIENCE_MS);
    assert_int_equal(r.status, GRPC_STATUS_RESOURCE_EXHAUSTED); /* the method's bound */
    assert_non_null(strstr(r.details, "1048576"));
    reply_free(&r);
    assert_int_equal(call_status(&h->client, PING, (pang_str){big, len}, PATIENCE_MS),
                     GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(call_status(&h->client, PING, PANG_STR(""), PATIENCE_MS), 0);
    free(big);
}

static void test_call__more_than_the_bound_is_refused_but_health_answers(void **state)
{
    host *h = *state;
    uint8_t packed[256];
    static talk talks[IN_FLIGHT];
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        talk_begin(&h->client, CREATE, PATIENCE_MS, &talks[i]);
        talk_send(&talks[i], command("wait", packed), true);
    }
    assert_true(eventually(&inside, IN_FLIGHT));
    reply r = client_call(&h->client, LOAD, PANG_STR(""), PATIENCE_MS);
    assert_int_equal(r.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal(r.retry_after, "1");
    reply_free(&r);
    assert_int_equal(
        call_status(&h->client, "/grpc.health.v1.Health/Check", PANG_STR(""), PATIENCE_MS), 0);
    atomic_store(&gate, true);
    for (size_t i = 0; i < IN_FLIGHT; i++)
        assert_int_equal(talk_end(&talks[i]).status, 0);
    assert_int_equal(call_status(&h->client, LOAD, PANG_STR(""), PATIENCE_MS), 0);
}

/* ---- streams ---- */

static int read_status(talk *t)
{
    char *bytes;
    size_t len;
    if (!talk_receive(t, &bytes, &len))
        return -1;
    Grpc__Health__V1__HealthCheckResponse *response =
        grpc__health__v1__health_check_response__unpack(NULL, len, (const uint8_t *)bytes);
    MUST(response != NULL);
    int status = (int)response->status;
    grpc__health__v1__health_check_response__free_unpacked(response, NULL);
    free(bytes);
    return status;
}

static void test_watch__tells_every_change_and_ends_with_the_server(void **state)
{
    host *h = *state;
    static talk t, unknown;
    talk_begin(&h->client, WATCH, NO_MS, &t);
    talk_send(&t, PANG_STR(""), true);
    assert_int_equal(read_status(&t), 1); /* SERVING */
    pang_health_set(h->health, PANG_WITHOUT_STORE);
    assert_int_equal(read_status(&t), 2); /* NOT_SERVING */
    pang_health_set(h->health, PANG_SERVING);
    assert_int_equal(read_status(&t), 1);
    talk_begin(&h->client, WATCH, NO_MS, &unknown);
    talk_send(&unknown, PANG_STR("\x0a\x01x"), true);
    assert_int_equal(read_status(&unknown), 3); /* SERVICE_UNKNOWN */
    talk_cancel(&unknown);
    (void)talk_end(&unknown);
    pang_health_set(h->health, PANG_DRAINING);
    pang_health_set(h->health, PANG_SERVING); /* too late */
    assert_int_equal(read_status(&t), 2);
    assert_int_equal(read_status(&t), -1);
    assert_int_equal(talk_end(&t).status, GRPC_STATUS_UNAVAILABLE);
}

static void test_check__unknown_service(void **state)
{
    host *h = *state;
    assert_int_equal(
        call_status(&h->client, "/grpc.health.v1.Health/Check", PANG_STR("\x0a\x01x"), PATIENCE_MS),
        GRPC_STATUS_NOT_FOUND);
}

static void test_streams__are_bounded(void **state)
{
    host *h = *state;
    static talk talks[STREAMS];
    for (size_t i = 0; i < STREAMS; i++) {
        talk_begin(&h->client, WATCH, NO_MS, &talks[i]);
        talk_send(&talks[i], PANG_STR(""), true);
        assert_int_equal(read_status(&talks[i]), 1);
    }
    reply r = client_call(&h->client, WATCH, PANG_STR(""), PATIENCE_MS);
    assert_int_equal(r.status, GRPC_STATUS_RESOURCE_EXHAUSTED);
    reply_free(&r);
    for (size_t i = 0; i < STREAMS; i++) {
        talk_cancel(&talks[i]);
        (void)talk_end(&talks[i]);
    }
    for (int ms = 0; pang_dispatch_in_flight(h->dispatcher) > 0 && ms < PATIENCE_MS; ms++)
        sleep_ms(1);
    assert_int_equal(pang_dispatch_in_flight(h->dispatcher), 0);
}

typedef Grpc__Reflection__V1__ServerReflectionRequest question;
typedef Grpc__Reflection__V1__ServerReflectionResponse answer;
#define ASKS(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWERS(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

static answer *ask(talk *t, const question *asked)
{
    uint8_t packed[256];
    char *bytes;
    size_t len = grpc__reflection__v1__server_reflection_request__pack(asked, packed);
    talk_send(t, (pang_str){(char *)packed, len}, false);
    MUST(talk_receive(t, &bytes, &len));
    answer *got = grpc__reflection__v1__server_reflection_response__unpack(NULL, len,
                                                                           (uint8_t *)bytes);
    free(bytes);
    MUST(got != NULL);
    return got;
}

static void check_reflection(host *h, const char *path)
{
    static talk t;
    question asked = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    talk_begin(&h->client, path, PATIENCE_MS, &t);
    asked.message_request_case = ASKS(LIST_SERVICES);
    asked.list_services = (char *)(uintptr_t) "";
    answer *got = ask(&t, &asked);
    assert_int_equal(got->list_services_response->n_service, 5);
    grpc__reflection__v1__server_reflection_response__free_unpacked(got, NULL);

    asked.message_request_case = ASKS(FILE_CONTAINING_SYMBOL);
    asked.file_containing_symbol = (char *)(uintptr_t) "pangolin.v1.OperationsService";
    got = ask(&t, &asked);
    assert_int_equal(got->message_response_case, ANSWERS(FILE_DESCRIPTOR_RESPONSE));
    /* The file, rule.proto, descriptor.proto. */
    assert_int_equal(got->file_descriptor_response->n_file_descriptor_proto, 3);
    assert_memory_equal(got->file_descriptor_response->file_descriptor_proto[0].data + 2,
                        "pangolin/v1/operations.proto", 28);
    grpc__reflection__v1__server_reflection_response__free_unpacked(got, NULL);

    asked.file_containing_symbol = (char *)(uintptr_t) "no.such.Symbol";
    got = ask(&t, &asked);
    assert_int_equal(got->message_response_case, ANSWERS(ERROR_RESPONSE));
    assert_int_equal(got->error_response->error_code, PANG_NOT_FOUND);
    grpc__reflection__v1__server_reflection_response__free_unpacked(got, NULL);

    Grpc__Reflection__V1__ExtensionRequest extension =
        GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
    extension.containing_type = (char *)(uintptr_t) "google.protobuf.MethodOptions";
    extension.extension_number = 51234;
    asked.message_request_case = ASKS(FILE_CONTAINING_EXTENSION);
    asked.file_containing_extension = &extension;
    got = ask(&t, &asked);
    assert_int_equal(got->message_response_case, ANSWERS(FILE_DESCRIPTOR_RESPONSE));
    grpc__reflection__v1__server_reflection_response__free_unpacked(got, NULL);
    talk_cancel(&t);
    (void)talk_end(&t);
}

static void test_reflection__both_versions(void **state)
{
    check_reflection(*state, REFLECT);
    check_reflection(*state, REFLECT_ALPHA);
}

/* Replies of some ten KiB each, of which nobody takes one: more than all windows hold. */
static void test_streams__who_takes_nothing_is_ended(void **state)
{
    enum { ASKED = 200 };
    host *h = *state;
    static talk t;
    uint8_t packed[256];
    question asked = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    asked.message_request_case = ASKS(FILE_CONTAINING_SYMBOL);
    asked.file_containing_symbol = (char *)(uintptr_t) "pangolin.v1.OperationsService";
    size_t len = grpc__reflection__v1__server_reflection_request__pack(&asked, packed);
    talk_begin(&h->client, REFLECT, NO_MS, &t);
    for (int i = 0; i < ASKED; i++)
        talk_send(&t, (pang_str){(char *)packed, len}, false);
    for (int ms = 0; pang_dispatch_in_flight(h->dispatcher) == 0 && ms < PATIENCE_MS; ms++)
        sleep_ms(1);
    for (int ms = 0; pang_dispatch_in_flight(h->dispatcher) > 0 && ms < PATIENCE_MS; ms++)
        sleep_ms(1);
    assert_int_equal(pang_dispatch_in_flight(h->dispatcher), 0);
    reply r = talk_end(&t);
    assert_int_equal(r.status, GRPC_STATUS_DEADLINE_EXCEEDED);
    assert_string_equal(r.details, "nothing of the stream was taken for 700 ms");
}

/* ---- the socket ---- */

static int dial(const host *h)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", h->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void wait_for_connections(const host *h, unsigned n)
{
    for (int ms = 0; pang_listen_connections(h->listener) != n && ms < PATIENCE_MS; ms++)
        sleep_ms(1);
    assert_int_equal(pang_listen_connections(h->listener), n);
}

static void test_socket__modes(void **state)
{
    host *h = *state;
    struct stat at;
    char run[96];
    (void)snprintf(run, sizeof run, "%s/run", h->folder);
    assert_int_equal(stat(h->path, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0660);
    assert_int_equal(stat(run, &at), 0);
    assert_int_equal(at.st_mode & 0777, 0710);
}

static void test_socket__connections_are_bounded_and_come_back(void **state)
{
    host *h = *state;
    int fds[CONNECTIONS + 4];
    char byte;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < CONNECTIONS + 4; i++)
            fds[i] = dial(h);
        for (size_t i = CONNECTIONS; i < CONNECTIONS + 4; i++) {
            assert_true(fds[i] >= 0);
            assert_true(read(fds[i], &byte, 1) <= 0); /* closed without a word */
        }
        wait_for_connections(h, CONNECTIONS);
        for (size_t i = 0; i < CONNECTIONS + 4; i++)
            close(fds[i]);
        wait_for_connections(h, 0);
    }
    assert_int_equal(call_status(&h->client, PING, PANG_STR(""), PATIENCE_MS), 0);
}

static void test_socket__serves_again_after_descriptors_ran_out(void **state)
{
    host *h = *state;
    struct rlimit before, low;
    int fds[256];
    size_t n = 0;
    assert_int_equal(call_status(&h->client, PING, PANG_STR(""), PATIENCE_MS), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    close(next);
    low = (struct rlimit){(rlim_t)next + 12, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    /* Client and server share the bound here, so dialling fails soon; what was accepted or refused
     * in between does not matter. */
    for (int tries = 0; tries < 400 && n < 256; tries++) {
        int fd = dial(h);
        if (fd >= 0)
            fds[n++] = fd;
        else
            sleep_ms(1);
    }
    assert_true(n > 0);
    while (n > 0)
        close(fds[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < 20; i++) {
        client fresh = client_open(h->path);
        assert_int_equal(call_status(&fresh, PING, PANG_STR(""), PATIENCE_MS), 0);
        client_close(&fresh);
    }
}

static void test_lock__a_second_server_is_refused(void **state)
{
    host *h = *state;
    char path[96];
    int first, second;
    pang_err err;
    (void)snprintf(path, sizeof path, "%s/run/server.lock", h->folder);
    assert_int_equal(pang_lock_take(path, &first, &err), PANG_OK);
    assert_int_equal(pang_lock_take(path, &second, &err), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "another server runs here"));
    close(first);
    assert_int_equal(pang_lock_take(path, &second, &err), PANG_OK);
    close(second);
    assert_int_equal(unlink(path), 0);
}

/* ---- the end ---- */

static void *open_gate_later(void *arg)
{
    (void)arg;
    sleep_ms(100);
    atomic_store(&gate, true);
    return NULL;
}

static void test_drain__calls_in_flight_end_and_none_begins(void **state)
{
    host *h = *state;
    uint8_t packed[256];
    static talk t;
    pthread_t opener;
    talk_begin(&h->client, CREATE, PATIENCE_MS, &t);
    talk_send(&t, command("wait", packed), true);
    assert_true(eventually(&inside, 1));
    assert_int_equal(pthread_create(&opener, NULL, open_gate_later, NULL), 0);
    pang_listen_stop(h->listener);
    assert_int_equal(access(h->path, F_OK), -1);
    h->drained = pang_rpc_drain(h->rpc, PATIENCE_MS, PATIENCE_MS);
    assert_true(h->drained);
    assert_int_equal(talk_end(&t).status, 0);
    assert_int_equal(pthread_join(opener, NULL), 0);
    assert_int_equal(atomic_load(&saw_cancel), 0);
    assert_int_equal(call_status(&h->client, PING, PANG_STR(""), 200),
                     GRPC_STATUS_DEADLINE_EXCEEDED);
}

static void test_drain__what_does_not_end_is_cancelled(void **state)
{
    host *h = *state;
    uint8_t packed[256];
    static talk t, watch;
    talk_begin(&h->client, WATCH, NO_MS, &watch);
    talk_send(&watch, PANG_STR(""), true);
    assert_int_equal(read_status(&watch), 1);
    talk_begin(&h->client, CREATE, PATIENCE_MS, &t);
    talk_send(&t, command("wait", packed), true);
    assert_true(eventually(&inside, 1));
    h->drained = pang_rpc_drain(h->rpc, 50, PATIENCE_MS);
    assert_true(h->drained);
    assert_int_equal(atomic_load(&saw_cancel), 1);
    (void)talk_end(&t);
    (void)talk_end(&watch);
}

/* ---- many at once ---- */

enum { CALLERS = 4, CALLS_EACH = 150 };

static void *call_often(void *arg)
{
    client c = client_open(((host *)arg)->path);
    uint8_t packed[256];
    for (int i = 0; i < CALLS_EACH; i++) {
        int status = i % 3 == 0   ? call_status(&c, CREATE, command("ok", packed), PATIENCE_MS)
                     : i % 3 == 1 ? call_status(&c, LOAD, PANG_STR(""), PATIENCE_MS)
                                  : call_status(&c, CREATE, command("fail", packed), PATIENCE_MS);
        MUST(status == (i % 3 == 2 ? GRPC_STATUS_ALREADY_EXISTS : 0));
    }
    client_close(&c);
    return NULL;
}

static void test_calls__of_many_clients_at_once(void **state)
{
    pthread_t threads[CALLERS];
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, *state), 0);
    for (size_t i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&inside), CALLERS * CALLS_EACH * 2 / 3);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_call__answers_on_queue_and_pool),
        CASE(test_call__unknown_methods_are_answered_at_once),
        CASE(test_call__errors_carry_reason_and_message),
        CASE(test_call__deadline_and_cancellation_reach_the_handler),
        CASE(test_call__a_request_that_never_comes_is_ended),
        CASE(test_call__without_a_message_or_gone_before_it),
        CASE(test_call__sizes_are_bounded_by_method_and_in_all),
        CASE(test_call__more_than_the_bound_is_refused_but_health_answers),
        CASE(test_watch__tells_every_change_and_ends_with_the_server),
        CASE(test_check__unknown_service),
        CASE(test_streams__are_bounded),
        CASE(test_reflection__both_versions),
        CASE(test_streams__who_takes_nothing_is_ended),
        CASE(test_socket__modes),
        CASE(test_socket__connections_are_bounded_and_come_back),
        CASE(test_socket__serves_again_after_descriptors_ran_out),
        CASE(test_lock__a_second_server_is_refused),
        CASE(test_drain__calls_in_flight_end_and_none_begins),
        CASE(test_drain__what_does_not_end_is_cancelled),
        CASE(test_calls__of_many_clients_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
