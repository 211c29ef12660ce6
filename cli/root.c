/*
 * The code goes to standard output, alone on its line, so that a script can take it; what to do
 * with it goes to standard error.
 */
#include "cli/root.h"

#include <stdio.h>
#include <string.h>

#include "api/offline.h"
#include "api/root.h"

enum { MEMORY = 1 << 20, DONE = 0, NOTHING = 2 };

static const char usage[] =
    "usage: pangolin root reset [SETTINGS]\n\n"
    "Takes root's password, ends root's tokens, and prints a one-time code with which another\n"
    "password can be set. A SQLite store must not be in use by a server.\n\n"
    "SETTINGS are those of the server that tell where the store is: --data-dir, --database-url\n"
    "and so on (pangolin-server --help), from flags, environment or file.\n";

static int complain(const pang_err *err)
{
    fprintf(stderr, "pangolin: root reset: %s%s%s%s\n", err->message,
            err->detail[0] != '\0' ? " (" : "", err->detail, err->detail[0] != '\0' ? ")" : "");
    return NOTHING;
}

static int show(pang_str code)
{
    printf("%.*s\n", (int)code.len, code.ptr);
    fprintf(stderr, "Once the server runs, this code sets root's password, once:\n"
                    "  POST /api/v1/users/login\n"
                    "  {\"username\": \"root\", \"password\": \"<the code>\", "
                    "\"new-password\": \"<yours>\"}\n");
    return DONE;
}

static int reset(const pang_config *config, pang_arena *arena)
{
    pang_store *store = NULL;
    pang_str setup_code;
    pang_err err;
    pang_code code = pang_offline_open(config, &pang_env_system, arena, &store, &err);
    if (code == PANG_OK)
        code = pang_root_reset(store, &pang_env_system, arena, &setup_code, &err);
    return code == PANG_OK ? show(setup_code) : complain(&err);
}

static int run_reset(int argc, char **argv)
{
    pang_config *config = NULL;
    pang_err err;
    int status = pang_config_start(PANG_PROGRAM_SERVER, "pangolin root reset",
                                   "Takes root's password, and prints a code to set another.", argc,
                                   argv, &config);
    if (status >= 0)
        return status;
    pang_arena *arena = pang_arena_new(MEMORY);
    if (arena == NULL)
        (void)pang_fail_memory(&err);
    status = arena == NULL ? complain(&err) : reset(config, arena);
    pang_arena_free(arena);
    pang_config_free(config);
    return status;
}

int pang_root(int argc, char **argv)
{
    bool helps = argc > 1 &&
                 (strcmp(argv[1], "--help") == 0 || (argc > 2 && strcmp(argv[2], "--help") == 0));
    if (!helps && argc > 1 && strcmp(argv[1], "reset") == 0)
        return run_reset(argc - 1, argv + 1);
    fputs(usage, helps ? stdout : stderr);
    return helps ? DONE : NOTHING;
}
