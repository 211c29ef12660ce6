/*
 * Buckets: values below 64 us have one each; above, the six bits after the highest one say which
 * step of its power of two a value is in.
 */
#include "bench/histogram.h"

#include <stdio.h>

#define STEP_BITS 6

static unsigned index_of(uint64_t us)
{
    if (us < HISTOGRAM_STEPS)
        return (unsigned)us;
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    unsigned shift = power - STEP_BITS;
    unsigned step = (unsigned)(us >> shift) & (HISTOGRAM_STEPS - 1);
    unsigned at = (shift + 1) * HISTOGRAM_STEPS + step;
    unsigned last = HISTOGRAM_POWERS * HISTOGRAM_STEPS - 1;
    return at < last ? at : last;
}

static uint64_t value_of(unsigned at)
{
    if (at < HISTOGRAM_STEPS)
        return at;
    unsigned shift = at / HISTOGRAM_STEPS - 1;
    uint64_t low = ((uint64_t)HISTOGRAM_STEPS + at % HISTOGRAM_STEPS) << shift;
    return low + (((uint64_t)1 << shift) >> 1);
}

void histogram_add(histogram *h, uint64_t us)
{
    h->buckets[index_of(us)]++;
    h->count++;
    h->sum_us += us;
    if (us > h->max_us)
        h->max_us = us;
}

uint64_t histogram_at(const histogram *h, double part)
{
    uint64_t wanted = (uint64_t)((double)h->count * part), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_POWERS * HISTOGRAM_STEPS; i++) {
        seen += h->buckets[i];
        if (h->buckets[i] && seen > wanted)
            return value_of(i) < h->max_us ? value_of(i) : h->max_us;
    }
    return h->max_us;
}

void histogram_print(const histogram *h)
{
    printf("{\"count\":%llu,\"mean_us\":%llu,\"p50_us\":%llu,\"p90_us\":%llu,\"p99_us\":%llu,"
           "\"p999_us\":%llu,\"max_us\":%llu}",
           (unsigned long long)h->count, (unsigned long long)(h->count ? h->sum_us / h->count : 0),
           (unsigned long long)histogram_at(h, 0.5), (unsigned long long)histogram_at(h, 0.9),
           (unsigned long long)histogram_at(h, 0.99), (unsigned long long)histogram_at(h, 0.999),
           (unsigned long long)h->max_us);
}
