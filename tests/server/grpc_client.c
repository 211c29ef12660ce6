/*
 * gRPC's C core, client side, one batch at a time. The status is asked for at the start, as the
 * core wants it, and its tag is looked for only at the end.
 */
#include "tests/server/grpc_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>

#include "tests/server/must.h"

/* Several talks share a queue: their tags differ. */
#define STEP(talk) ((void *)(talk))
#define STATUS(talk) ((void *)((char *)(talk) + 1))

client client_open(const char *socket_path)
{
    char target[256];
    grpc_init();
    (void)snprintf(target, sizeof target, "unix:%s", socket_path);
    grpc_channel_credentials *insecure = grpc_insecure_credentials_create();
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t) "grpc.use_local_subchannel_pool"},
        {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)GRPC_ARG_MAX_SEND_MESSAGE_LENGTH},
        {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS},
        {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECONNECT_BACKOFF_MS},
        {.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)GRPC_ARG_HTTP2_BDP_PROBE},
    };
    args[0].value.integer = 1; /* each client has a connection of its own */
    args[1].value.integer = -1;
    args[2].value.integer = 100;
    args[3].value.integer = 200;
    args[4].value.integer = 0; /* a window that does not grow: who reads nothing holds little */
    grpc_channel_args all = {sizeof args / sizeof args[0], args};
    client c = {.channel = grpc_channel_create(target, insecure, &all),
                .queue = grpc_completion_queue_create_for_pluck(NULL)};
    grpc_channel_credentials_release(insecure);
    return c;
}

void client_close(client *c)
{
    grpc_channel_destroy(c->channel);
    grpc_completion_queue_shutdown(c->queue);
    while (grpc_completion_queue_pluck(c->queue, NULL, gpr_inf_future(GPR_CLOCK_REALTIME), NULL)
               .type != GRPC_QUEUE_SHUTDOWN)
        continue;
    grpc_completion_queue_destroy(c->queue);
    grpc_shutdown_blocking();
}

static bool step(talk *t, const grpc_op *ops, size_t n)
{
    MUST(grpc_call_start_batch(t->call, ops, n, STEP(t), NULL) == GRPC_CALL_OK);
    return grpc_completion_queue_pluck(t->of->queue, STEP(t), gpr_inf_future(GPR_CLOCK_REALTIME),
                                       NULL)
               .success != 0;
}

void talk_begin(client *c, const char *path, int deadline_ms, talk *t)
{
    gpr_timespec until = gpr_inf_future(GPR_CLOCK_REALTIME);
    memset(t, 0, sizeof *t);
    t->of = c;
    if (deadline_ms >= 0)
        until = gpr_time_add(gpr_now(GPR_CLOCK_REALTIME),
                             gpr_time_from_millis(deadline_ms, GPR_TIMESPAN));
    grpc_slice method = grpc_slice_from_copied_string(path);
    t->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->queue, method,
                                       NULL, until, NULL);
    grpc_slice_unref(method);
    grpc_metadata_array_init(&t->initial);
    grpc_metadata_array_init(&t->trailing);
    const grpc_op status = {
        .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
        .data.recv_status_on_client = {&t->trailing, &t->status, &t->details, &t->debug}};
    MUST(grpc_call_start_batch(t->call, &status, 1, STATUS(t), NULL) == GRPC_CALL_OK);
    const grpc_op metadata = {.op = GRPC_OP_SEND_INITIAL_METADATA,
                              .flags = GRPC_INITIAL_METADATA_WAIT_FOR_READY};
    (void)step(t, &metadata, 1);
}

void talk_send(talk *t, pang_str message, bool last)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(message.ptr, message.len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    const grpc_op ops[] = {
        {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
    };
    (void)step(t, ops, last ? 2 : 1);
    grpc_slice_unref(slice);
    grpc_byte_buffer_destroy(buffer);
}

static void receive_initial(talk *t)
{
    const grpc_op metadata = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                              .data.recv_initial_metadata.recv_initial_metadata = &t->initial};
    if (!t->has_initial)
        (void)step(t, &metadata, 1);
    t->has_initial = true;
}

bool talk_receive(talk *t, char **ret, size_t *ret_len)
{
    grpc_byte_buffer *buffer = NULL;
    grpc_byte_buffer_reader reader;
    const grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &buffer};
    receive_initial(t);
    (void)step(t, &op, 1);
    if (buffer == NULL)
        return false;
    MUST(grpc_byte_buffer_reader_init(&reader, buffer));
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    *ret_len = GRPC_SLICE_LENGTH(slice);
    *ret = malloc(*ret_len + 1);
    MUST(*ret != NULL);
    memcpy(*ret, GRPC_SLICE_START_PTR(slice), *ret_len);
    (*ret)[*ret_len] = '\0';
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
    return true;
}

void talk_cancel(talk *t)
{
    (void)grpc_call_cancel(t->call, NULL);
}

static void copy_slice(grpc_slice from, char *to, size_t size)
{
    (void)snprintf(to, size, "%.*s", (int)GRPC_SLICE_LENGTH(from),
                   (const char *)GRPC_SLICE_START_PTR(from));
}

reply talk_end(talk *t)
{
    char *rest;
    size_t len;
    while (talk_receive(t, &rest, &len)) /* the core withholds the status until all is read */
        free(rest);
    (void)grpc_completion_queue_pluck(t->of->queue, STATUS(t), gpr_inf_future(GPR_CLOCK_REALTIME),
                                      NULL);
    reply r = {.status = (int)t->status};
    copy_slice(t->details, r.details, sizeof r.details);
    for (size_t i = 0; i < t->trailing.count; i++) {
        char key[64];
        copy_slice(t->trailing.metadata[i].key, key, sizeof key);
        if (strcmp(key, "pangolin-reason") == 0)
            copy_slice(t->trailing.metadata[i].value, r.reason, sizeof r.reason);
        if (strcmp(key, "pangolin-retry-after") == 0)
            copy_slice(t->trailing.metadata[i].value, r.retry_after, sizeof r.retry_after);
    }
    grpc_slice_unref(t->details);
    gpr_free((void *)(uintptr_t)t->debug);
    grpc_metadata_array_destroy(&t->initial);
    grpc_metadata_array_destroy(&t->trailing);
    grpc_call_unref(t->call);
    return r;
}

reply client_call(client *c, const char *path, pang_str message, int deadline_ms)
{
    talk t;
    char *bytes = NULL;
    size_t len = 0;
    talk_begin(c, path, deadline_ms, &t);
    talk_send(&t, message, true);
    bool has = talk_receive(&t, &bytes, &len);
    reply r = talk_end(&t);
    r.has_message = has;
    r.message = bytes;
    r.len = len;
    return r;
}

void reply_free(reply *r)
{
    free(r->message);
}
