/* Histogram: what it says of known values is within 1 % of the truth, at every scale. */
#include "bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_histogram__even_values(void **state)
{
    (void)state;
    static const uint64_t tops[] = {100, 10000, 1000000, 30000000};
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
        static histogram h;
        h = (histogram){0};
        for (uint64_t n = 1; n <= 1000; n++)
            histogram_add(&h, tops[i] * n / 1000);
        assert_int_equal(h.count, 1000);
        assert_int_equal(h.max_us, tops[i]);
        static const double parts[] = {0.5, 0.9, 0.99};
        for (size_t p = 0; p < 3; p++) {
            double truth = (double)tops[i] * parts[p];
            double said = (double)histogram_at(&h, parts[p]);
            assert_true(said >= truth * 0.985 - 1 && said <= truth * 1.015 + 1);
        }
    }
}

static void test_histogram__one_outlier(void **state)
{
    (void)state;
    static histogram h;
    for (int i = 0; i < 999; i++)
        histogram_add(&h, 50);
    histogram_add(&h, 7000000);
    assert_int_equal(histogram_at(&h, 0.99), 50);
    assert_true(histogram_at(&h, 0.9999) > 6900000);
    assert_int_equal(h.max_us, 7000000);
}

static void test_histogram__nothing_and_too_much(void **state)
{
    (void)state;
    static histogram h;
    assert_int_equal(histogram_at(&h, 0.5), 0);
    histogram_add(&h, UINT64_MAX / 2);
    assert_true(histogram_at(&h, 0.5) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histogram__even_values),
        cmocka_unit_test(test_histogram__one_outlier),
        cmocka_unit_test(test_histogram__nothing_and_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
