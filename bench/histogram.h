/*
 * Latencies in buckets whose width grows with the value: within 1 % of the truth from a microsecond
 * to a minute, in a fixed few KiB, so that recording costs nothing beside a request.
 * Called by the load generators. Threads: one. Lifetime: the caller's struct, zeroed at first.
 */
#ifndef PANG_BENCH_HISTOGRAM_H
#define PANG_BENCH_HISTOGRAM_H

#include <stdint.h>

/* 64 steps in each power of two, from 1 us to 2^26 us. */
#define HISTOGRAM_STEPS 64
#define HISTOGRAM_POWERS 27

typedef struct {
    uint64_t count, sum_us, max_us;
    uint32_t buckets[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
} histogram;

void histogram_add(histogram *h, uint64_t us);
/* The value that the share `part` (0..1) of all is not above; 0 when there are none. */
uint64_t histogram_at(const histogram *h, double part);
/* Prints {"count":..,"p50_us":..,...} without a line end. */
void histogram_print(const histogram *h);

#endif
