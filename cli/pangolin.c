/*
 * pangolin: what an operator types on the host. `up` starts a server and a bridge side by side;
 * the others work on the storage itself.
 */
#include <stdio.h>
#include <string.h>

#include "cli/audit.h"
#include "cli/gc.h"
#include "cli/root.h"
#include "cli/up.h"

#ifndef PANG_VERSION
#define PANG_VERSION "0.1.0-dev"
#endif

static int run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("pangolin " PANG_VERSION);
    return 0;
}

static int run_help(int argc, char **argv);

static const struct {
    const char *name, *flag, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"up", NULL, "start server and bridge, restart what dies, stop both on Ctrl-C", pang_up},
    {"audit", NULL, "verify: check that the audit log is what was written", pang_audit},
    {"gc", NULL, "remove files that no branch, tag or retained commit reaches", pang_gc},
    {"root", NULL, "reset: take root's password, and print a code to set another", pang_root},
    {"version", "--version", "print the version", run_version},
    {"help", "--help", "print this", run_help},
};

static void print_usage(FILE *to)
{
    fputs("usage: pangolin COMMAND [ARGS]\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
    fputs("\n`pangolin COMMAND --help` says more.\n", to);
}

static int run_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    print_usage(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        bool named = strcmp(argv[1], commands[i].name) == 0;
        if (named || (commands[i].flag != NULL && strcmp(argv[1], commands[i].flag) == 0))
            return commands[i].run(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "-h") == 0)
        return run_help(argc, argv);
    if (argc > 1)
        fprintf(stderr, "pangolin: unknown command \"%s\"\n", argv[1]);
    print_usage(stderr);
    return 2;
}
