/*
 * See sweep.h.
 */
#include "tests/fault/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/fault/alloc.h"

enum { RUNS_MAX = 20000 };

typedef struct {
    const char *name;
    pang_fault fault; /* NONE: an allocation */
    unsigned times;
    bool persistent;
} fault_kind;

static const fault_kind kinds[] = {
    {"store fails", PANG_FAULT_FAIL, 1, false},
    {"store fails three times", PANG_FAULT_FAIL, 3, false},
    {"store is away", PANG_FAULT_FAIL, 1000000, false},
    {"answer lost, landed", PANG_FAULT_UNKNOWN_LANDED, 1, false},
    {"answers lost, landed", PANG_FAULT_UNKNOWN_LANDED, 2, false},
    {"answer lost, not landed", PANG_FAULT_UNKNOWN_LOST, 1, false},
    {"answers lost, not landed", PANG_FAULT_UNKNOWN_LOST, 3, false},
    {"allocation fails", PANG_FAULT_NONE, 0, false},
    {"memory is gone", PANG_FAULT_NONE, 0, true},
};

static bool is_explained(const fault_scene *scene, const fault_kind *kind, pang_code code)
{
    if (kind->fault == PANG_FAULT_NONE && scene->tells_memory)
        return code == PANG_RESOURCE_EXHAUSTED;
    return code == PANG_UNAVAILABLE || code == PANG_RESOURCE_EXHAUSTED || code == PANG_ABORTED ||
           code == PANG_UNKNOWN;
}

static void arm(const fault_scene *scene, void *world, const fault_kind *kind, unsigned n)
{
    if (scene->faults != NULL)
        pang_faulty_arm(scene->faults(world),
                        &(pang_fault_plan){.fault = kind->fault, .at = n, .times = kind->times});
    if (kind->fault == PANG_FAULT_NONE)
        fault_alloc_arm(n, kind->persistent);
}

/* Number of faults that hit. */
static unsigned disarm(const fault_scene *scene, void *world)
{
    unsigned hits = fault_alloc_disarm();
    if (scene->faults == NULL)
        return hits;
    hits += pang_faulty_hits(scene->faults(world));
    pang_faulty_arm(scene->faults(world), NULL);
    return hits;
}

/* One run with the n-th call failing; whether there was one. */
static bool run_once(const fault_scene *scene, const fault_kind *kind, unsigned n)
{
    long live = fault_alloc_live();
    void *world = scene->begin();
    pang_err err = {0};
    arm(scene, world, kind, n);
    pang_code code = scene->run(world, &err);
    unsigned hits = disarm(scene, world);
    if (code != PANG_OK && (hits == 0 || !is_explained(scene, kind, code)))
        fail_msg("%s, %s %u: code %s: %s", scene->name, kind->name, n, pang_code_name(code),
                 err.message);
    if (code != PANG_OK && (err.code != code || err.message[0] == '\0'))
        fail_msg("%s, %s %u: error not filled in", scene->name, kind->name, n);
    scene->check(world, code);
    scene->end(world);
    if (fault_alloc_live() != live)
        fail_msg("%s, %s %u: %ld blocks leaked", scene->name, kind->name, n,
                 fault_alloc_live() - live);
    return hits > 0;
}

void fault_sweep(const fault_scene *scene)
{
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if (kinds[k].fault != PANG_FAULT_NONE && scene->faults == NULL)
            continue;
        unsigned n = 1;
        while (run_once(scene, &kinds[k], n))
            if (++n > RUNS_MAX)
                fail_msg("%s, %s: no end", scene->name, kinds[k].name);
        if (n == 1)
            fail_msg("%s, %s: nothing to fail", scene->name, kinds[k].name);
        print_message("%s, %s: %u runs\n", scene->name, kinds[k].name, n);
    }
}
