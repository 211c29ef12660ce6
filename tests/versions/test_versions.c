/*
 * The whole of branches, tags, commits, differences and merges, through the services, against a
 * model that copies everything: random steps, each done in both, then compared. On every backend.
 *
 * PANG_SEED names the first seed, PANG_SEEDS how many (1 to look at one), PANG_STEPS how many steps
 * each has; PANG_TRACE shows the steps. A failing seed fails again. PANG_TEST_LONG: many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/versions/steps.h"
#include "tests/versions/url.h"

enum { SEEDS = 12, SEEDS_LONG = 800, STEPS = 90 };

static const char *the_url;

static unsigned long number_from(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtoul(text, NULL, 10);
}

static void run(fixture *fx, uint64_t seed, unsigned long steps, world *w)
{
    model *m = model_open(seed);
    print_message("seed %lu\n", (unsigned long)seed);
    real_open(w, fx, m, seed);
    step_first(w);
    for (unsigned long i = 0; i < steps && !model_is_full(m); i++)
        step_any(w);
    compare_all(w);
    model_close(m);
}

static void test_versions__against_a_model(void **state)
{
    bool is_long = getenv("PANG_TEST_LONG") != NULL;
    unsigned long first = number_from("PANG_SEED", 1);
    unsigned long n = number_from("PANG_SEEDS", is_long ? SEEDS_LONG : SEEDS);
    unsigned long steps = number_from("PANG_STEPS", STEPS);
    fixture *fx = fx_open(the_url);
    size_t merged = 0, refused = 0, records = 0, files = 0, decided = 0, again = 0;
    (void)state;
    for (unsigned long i = 0; i < n; i++) {
        world *w = calloc(1, sizeof *w);
        assert_non_null(w);
        run(fx, first + i, steps, w);
        merged += w->merged;
        refused += w->refused;
        decided += w->decided;
        again += w->again;
        records += w->records_gone;
        files += w->files_gone;
        free(w);
    }
    print_message(
        "%zu merged, %zu refused, %zu decided (%zu picks, reverts and rebases); %zu records "
        "and %zu files went\n",
        merged, refused, decided, again, records, files);
    fx_close(fx);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions__against_a_model),
    };
    the_url = test_url(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
