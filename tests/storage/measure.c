/*
 * What a backend manages: single commits, groups of 16, and reads, each with a body of 8 KiB and
 * the checks and the id that the catalog's commits have. Not a test; run by hand:
 *     measure URL [SECONDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/storage.h"

enum { KEYS = 1000, GROUP_MAX = 64, BODY = 8192, NOISE = 1 << 20, ARENA_BYTES = 64 << 20 };

typedef struct {
    pang_store *store;
    pang_arena *arena;
    pang_str noise; /* bodies are cut from it: equal ones would be written for less */
    uint64_t dice;
    int64_t slowest_ms;
} bench;

typedef struct {
    pang_commit c;
    pang_check check;
    pang_put put;
} update;

static int64_t now_ms(void)
{
    return pang_env_mono_ms(&pang_env_system);
}

static pang_str key_of(bench *b)
{
    b->dice = b->dice * 6364136223846793005u + 1442695040888963407u;
    return pang_arena_printf(b->arena, "0190a5dac96774bbccebb302099a8057/cu/%04u/a/sales.eu/orders",
                             (unsigned)(b->dice >> 33) % KEYS);
}

static void fill_update(bench *b, update *u)
{
    char hex[PANG_ID_HEX + 1];
    *u = (update){.put = {
                      .key = key_of(b),
                      .body = pang_str_slice(b->noise, b->dice % (NOISE - BODY), BODY),
                      .kind = PANG_KIND_FIRST,
                      .slot = PANG_NO_SLOT,
                      .key_slot = PANG_NO_SLOT,
                  }};
    pang_record old = {0};
    pang_ref ref = {.key = u->put.key, .mode = PANG_REF_EXACT};
    pang_err err = {0};
    if (pang_store_get(b->store, &ref, 1, PANG_NO_DEADLINE, b->arena, &old, &err) != PANG_OK)
        exit(1);
    u->check = (pang_check){.key = u->put.key, .version = old.version};
    u->c.id = pang_id_v7(&pang_env_system);
    pang_id_hex(u->c.id, hex);
    u->c.scope = PANG_STR("0190a5dac96774bbccebb302099a8057");
    u->c.id_key = pang_arena_printf(b->arena, "0190a5dac96774bbccebb302099a8057/id/%s", hex);
    u->c.checks = &u->check;
    u->c.n_checks = 1;
    u->c.puts = &u->put;
    u->c.n_puts = 1;
}

/* Updates per second of apply alone; the reads that prepare them are not counted. */
static double run_updates(bench *b, size_t group, int64_t budget_ms)
{
    static update updates[GROUP_MAX];
    pang_commit *commits[GROUP_MAX];
    uint64_t landed = 0, spent_us = 0;
    for (int64_t end = now_ms() + budget_ms; now_ms() < end;) {
        for (size_t i = 0; i < group; i++) {
            fill_update(b, &updates[i]);
            commits[i] = &updates[i].c;
        }
        struct timespec a, z;
        (void)clock_gettime(CLOCK_MONOTONIC, &a);
        pang_store_apply(b->store, commits, group);
        (void)clock_gettime(CLOCK_MONOTONIC, &z);
        int64_t us = (z.tv_sec - a.tv_sec) * 1000000 + (z.tv_nsec - a.tv_nsec) / 1000;
        spent_us += (uint64_t)us;
        b->slowest_ms = us / 1000 > b->slowest_ms ? us / 1000 : b->slowest_ms;
        for (size_t i = 0; i < group; i++)
            landed += commits[i]->outcome == PANG_COMMIT_OK; /* one key twice in a group loses */
        pang_arena_reset(b->arena);
    }
    return (double)landed * 1e6 / (double)spent_us;
}

static double run_reads(bench *b, size_t n, int64_t budget_ms)
{
    uint64_t done = 0;
    int64_t begin = now_ms();
    while (now_ms() < begin + budget_ms) {
        pang_ref refs[GROUP_MAX];
        pang_record records[GROUP_MAX];
        pang_err err = {0};
        for (size_t i = 0; i < n; i++)
            refs[i] = (pang_ref){.key = key_of(b), .mode = PANG_REF_EXACT};
        if (pang_store_get(b->store, refs, n, PANG_NO_DEADLINE, b->arena, records, &err) != PANG_OK)
            exit(1);
        done++;
        pang_arena_reset(b->arena);
    }
    return (double)done * 1000.0 / (double)(now_ms() - begin);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    int64_t seconds = 3;
    if (argc > 2 && !pang_str_to_int64(pang_str_from(argv[2]), &seconds))
        return 2;
    int64_t budget_ms = seconds * 1000;
    static char noise[NOISE];
    pang_env_random(&pang_env_system, noise, sizeof noise);
    bench b = {.arena = pang_arena_new(ARENA_BYTES), .noise = {noise, sizeof noise}, .dice = 1};
    pang_store_config config = {
        .url = pang_str_from(argv[1]), .env = &pang_env_system, .connect_timeout_ms = 5000};
    pang_err err = {0};
    if (b.arena == NULL || pang_store_open(&config, &b.store, &err) != PANG_OK ||
        pang_store_migrate(b.store, &err) != PANG_OK) {
        fprintf(stderr, "%s %s\n", err.message, err.detail);
        return 1;
    }
    static const size_t groups[] = {1, 4, 16, 64};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        b.slowest_ms = 0;
        double rate = run_updates(&b, groups[i], budget_ms);
        printf("groups of %2zu: %8.0f updates/s, slowest apply %" PRId64 " ms\n", groups[i], rate,
               b.slowest_ms);
    }
    for (size_t i = 0; i < 3; i++)
        printf("gets of %2zu: %8.0f/s\n", groups[i], run_reads(&b, groups[i], budget_ms));
    pang_store_close(b.store);
    pang_arena_free(b.arena);
    return 0;
}
