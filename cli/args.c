/*
 * See args.h. A value that is left out is empty: whoever asked for it says what it wants.
 */
#include "cli/args.h"

#include <string.h>

const char *cli_value_of(const char *name, int argc, char **argv, int *at)
{
    size_t len = strlen(name);
    if (strncmp(argv[*at], name, len) != 0)
        return NULL;
    if (argv[*at][len] == '=')
        return argv[*at] + len + 1;
    if (argv[*at][len] != '\0')
        return NULL;
    return *at + 1 < argc ? argv[++*at] : "";
}
