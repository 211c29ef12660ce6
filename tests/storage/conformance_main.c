/*
 * The conformance suite over the url given as argument or as PANG_TEST_URL. A "%t" in it stands
 * for the test's temporary folder. A second argument is the pattern of the tests to run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/storage/conformance.h"

int main(int argc, char **argv)
{
    const char *given = argc > 1 ? argv[1] : getenv("PANG_TEST_URL");
    if (given == NULL) {
        fputs("usage: conformance URL\n", stderr);
        return 2;
    }
    char url[1024];
    const char *hole = strstr(given, "%t");
    const char *folder = getenv("TEST_TMPDIR");
    if (hole == NULL)
        (void)snprintf(url, sizeof url, "%s", given);
    else
        (void)snprintf(url, sizeof url, "%.*s%s%s", (int)(hole - given), given,
                       folder == NULL ? "." : folder, hole + 2);
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return pang_conformance(url);
}
