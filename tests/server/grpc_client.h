/*
 * A small blocking gRPC client over a unix socket, for tests of the transport.
 * Threads: a client belongs to one; several clients may run at once.
 */
#ifndef PANG_TESTS_SERVER_GRPC_CLIENT_H
#define PANG_TESTS_SERVER_GRPC_CLIENT_H

#include <grpc/grpc.h>

#include "api/str.h"

typedef struct {
    grpc_channel *channel;
    grpc_completion_queue *queue;
} client;

/* How a call ended. Free it with reply_free. */
typedef struct {
    int status; /* gRPC's; -1: it has not ended */
    char details[256], reason[64], retry_after[16];
    bool has_message;
    char *message;
    size_t len;
} reply;

/* A call in steps. */
typedef struct {
    client *of;
    grpc_call *call;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice details;
    const char *debug;
    bool has_initial; /* initial metadata is asked for once */
} talk;

enum { NO_MS = -1 }; /* no deadline */

client client_open(const char *socket_path);
void client_close(client *c);

/* A unary call. deadline_ms from now. */
reply client_call(client *c, const char *path, pang_str message, int deadline_ms);
void reply_free(reply *r);

/* Steps: begin sends the metadata and listens for the status. */
void talk_begin(client *c, const char *path, int deadline_ms, talk *t);
void talk_send(talk *t, pang_str message, bool last);
/* The next message of the peer, or false at the end. Free *ret with free(). */
bool talk_receive(talk *t, char **ret, size_t *ret_len);
void talk_cancel(talk *t);
/* Waits for the status; the talk is over. */
reply talk_end(talk *t);

#endif
