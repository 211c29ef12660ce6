/*
 * Byte queues: see the picture in queue.h.
 */
#include "bridge/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 4096 };

static void check(const pang_queue *queue)
{
    assert(queue->begin <= queue->end && queue->end <= queue->capacity);
}

size_t pang_queue_len(const pang_queue *queue)
{
    return queue->end - queue->begin;
}

pang_str pang_queue_bytes(const pang_queue *queue)
{
    if (queue->ptr == NULL)
        return (pang_str){NULL, 0};
    return (pang_str){queue->ptr + queue->begin, queue->end - queue->begin};
}

char *pang_queue_room(pang_queue *queue, size_t n)
{
    size_t len = pang_queue_len(queue), capacity = queue->capacity;
    check(queue);
    if (queue->capacity - queue->end >= n && queue->ptr != NULL)
        return queue->ptr + queue->end;
    if (queue->ptr != NULL && queue->begin > 0) {
        memmove(queue->ptr, queue->ptr + queue->begin, len);
        queue->begin = 0;
        queue->end = len;
        if (capacity - len >= n)
            return queue->ptr + len;
    }
    if (capacity < FIRST_BYTES)
        capacity = FIRST_BYTES;
    while (capacity - len < n) {
        if (capacity > SIZE_MAX / 4)
            return NULL;
        capacity *= 2;
    }
    char *grown = realloc(queue->ptr, capacity);
    if (grown == NULL)
        return NULL;
    queue->ptr = grown;
    queue->capacity = capacity;
    return grown + len;
}

void pang_queue_wrote(pang_queue *queue, size_t n)
{
    queue->end += n;
    check(queue);
}

bool pang_queue_add(pang_queue *queue, pang_str bytes)
{
    if (bytes.len == 0)
        return true;
    char *to = pang_queue_room(queue, bytes.len);
    if (to == NULL)
        return false;
    memcpy(to, bytes.ptr, bytes.len);
    pang_queue_wrote(queue, bytes.len);
    return true;
}

void pang_queue_take(pang_queue *queue, size_t n)
{
    assert(n <= pang_queue_len(queue));
    queue->begin += n;
    if (queue->begin == queue->end)
        pang_queue_clear(queue);
}

void pang_queue_clear(pang_queue *queue)
{
    free(queue->ptr);
    *queue = (pang_queue){0};
}
