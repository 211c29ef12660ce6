/*
 * The store's url: see the header.
 */
#include "tests/versions/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *test_url(int argc, char **argv)
{
    static char url[1024];
    const char *given = argc > 1 ? argv[1] : getenv("PANG_TEST_URL");
    const char *folder = getenv("TEST_TMPDIR");
    if (given == NULL)
        given = "memory:";
    const char *hole = strstr(given, "%t");
    if (hole == NULL)
        (void)snprintf(url, sizeof url, "%s", given);
    else
        (void)snprintf(url, sizeof url, "%.*s%s%s", (int)(hole - given), given,
                       folder == NULL ? "." : folder, hole + 2);
    return url;
}
