/*
 * A core for tests of the bridge: an HTTP/2 server on a unix socket that speaks enough gRPC to be
 * called, and does what the request's first text field tells it to:
 *
 *     plain       replies (also to any other word)
 *     size-N      replies with N bytes of text
 *     slow-N      replies after N ms
 *     never       does not reply; counts a reset
 *     status-N    fails with gRPC status N and reason "TestReason"
 *     cut         resets the stream in the middle of the message
 *     die         closes the connection without a word
 *     goaway      replies, having said GOAWAY
 *     refuse      refuses the stream the first time, replies the second time
 *     meta        replies with the metadata that it got
 *     counts      replies with: streams, cancelled, open, connections
 *     pages-N     lists: N pages, one entry each
 *     gaps-N      lists: N pages, one entry on every second, the first being empty
 *     same        reads: "not modified"
 *
 * "/test.Echo/Stream" sends back what it gets, as it comes.
 */
#ifndef PANG_TESTS_BRIDGE_FAKE_UPSTREAM_H
#define PANG_TESTS_BRIDGE_FAKE_UPSTREAM_H

#include <stdint.h>

/* Listens on `path` and serves until it is killed. `max_streams` is what it allows at once on a
 * connection. Does not return. */
_Noreturn void fake_upstream_run(const char *path, uint32_t max_streams);

#endif
