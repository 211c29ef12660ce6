/*
 * Queue: bytes on their way in or out of a socket. Appended at the end, taken at the front; its
 * memory is given back whenever it is empty, so that an idle connection holds none.
 * Called by connections and streams. Threads: its owner's. Zeroed is empty.
 */
#ifndef PANG_BRIDGE_QUEUE_H
#define PANG_BRIDGE_QUEUE_H

#include "api/str.h"

/*
 *   ptr            ptr+begin          ptr+end            ptr+capacity
 *    |  taken          |   the bytes     |   room            |
 */
typedef struct {
    char *ptr;
    size_t begin, end, capacity;
} pang_queue;

size_t pang_queue_len(const pang_queue *queue);
/* The bytes; borrowed until the next call that changes the queue. */
pang_str pang_queue_bytes(const pang_queue *queue);
/* Room for n bytes at the end, NULL without memory; then tell how many were written there. */
char *pang_queue_room(pang_queue *queue, size_t n);
void pang_queue_wrote(pang_queue *queue, size_t n);
/* False without memory; nothing was added then. */
bool pang_queue_add(pang_queue *queue, pang_str bytes);
/* Drops n bytes at the front. REQUIRES: n <= len. */
void pang_queue_take(pang_queue *queue, size_t n);
void pang_queue_clear(pang_queue *queue);

#endif
