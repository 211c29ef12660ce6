/*
 * Works on the store and the warehouses themselves. A line per catalog; with --dry-run a line per
 * file, too.
 */
#include "cli/gc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/collect.h"
#include "api/offline.h"
#include "cli/args.h"

enum {
    MEMORY = 1 << 20,
    ARGUMENTS_MAX = 64,
    GOOD = 0,
    SKIPPED = 1,
    FAILED = 2,
    HOURS_MAX = 876000
};

typedef struct {
    pang_collect_plan plan;
    int status;
} collecting;

static const char usage[] =
    "usage: pangolin gc [--dry-run] [--catalog NAME] [--tenant ID] [--grace HOURS] [SETTINGS]\n\n"
    "Removes files below tables' places that no branch, tag, retained commit, open merge or "
    "staged\n"
    "table reaches, and records of catalogs' pasts beyond their retention that nothing needs.\n"
    "Prints a line per catalog; exits with 1 when something was left alone because it could not "
    "be\n"
    "read, with 2 when nothing could be done. May be stopped and run again.\n"
    "A SQLite store must not be in use by a server.\n\n"
    "  --dry-run       remove nothing; print each file that would go, and count the records\n"
    "  --catalog NAME  catalogs of this name only\n"
    "  --tenant ID     this tenant only\n"
    "  --grace HOURS   only files that are older (24; at least 1)\n\n"
    "SETTINGS are those of the server that tell where store and warehouses are: --data-dir,\n"
    "--database-url, --file-roots and so on (pangolin-server --help).\n";

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "pangolin: gc: %s%s%s%s\n", what, value[0] != '\0' ? " \"" : "", value,
            value[0] != '\0' ? "\"" : "");
    return FAILED;
}

/* ---- arguments ---- */

static bool take_own(collecting *c, int argc, char **argv, int *at, const char **ret_bad)
{
    const char *grace;
    int64_t hours;
    if (strcmp(argv[*at], "--dry-run") == 0)
        return c->plan.dry_run = true;
    const char *catalog = cli_value_of("--catalog", argc, argv, at);
    const char *tenant = catalog != NULL ? NULL : cli_value_of("--tenant", argc, argv, at);
    if (catalog != NULL)
        c->plan.catalog = catalog;
    if (tenant != NULL)
        c->plan.tenant = tenant;
    if (catalog != NULL || tenant != NULL)
        return true;
    grace = cli_value_of("--grace", argc, argv, at);
    if (grace == NULL)
        return false;
    if (!pang_str_to_int64(pang_str_from(grace), &hours) || hours < 1 || hours > HOURS_MAX)
        *ret_bad = grace;
    else
        c->plan.grace_ms = hours * PANG_COLLECT_GRACE_MIN_MS;
    return true;
}

/* Takes the command's own arguments out; the others are the server's. */
static int take_arguments(collecting *c, int argc, char **argv, int *ret_argc, char **ret_argv)
{
    const char *bad = NULL;
    *ret_argc = 0;
    ret_argv[(*ret_argc)++] = argv[0];
    for (int i = 1; i < argc; i++) {
        if (take_own(c, argc, argv, &i, &bad))
            continue;
        if (*ret_argc == ARGUMENTS_MAX)
            return complain("too many arguments", "");
        ret_argv[(*ret_argc)++] = argv[i];
    }
    return bad == NULL ? GOOD : complain("--grace is no number of hours from 1 on:", bad);
}

/* ---- the report ---- */

static void print_file(void *arg, pang_str location, int64_t bytes)
{
    const collecting *c = arg;
    if (c->plan.dry_run)
        printf("WOULD REMOVE %" PANG_STR_FMT " bytes=%" PRId64 "\n", PANG_STR_ARG(location), bytes);
}

/* Records that went, by their kinds. */
static void print_records(const pang_collect_report *r)
{
    const char *before = " (";
    uint64_t removed = 0;
    for (size_t i = 0; i < r->n_records; i++)
        removed += r->records[i].removed;
    printf(" records=%" PRIu64, removed);
    for (size_t i = 0; i < r->n_records; i++) {
        if (r->records[i].removed == 0)
            continue;
        printf("%s%s=%" PRIu64, before, r->records[i].kind, r->records[i].removed);
        before = " ";
    }
    if (removed > 0)
        printf(")");
}

static void print_catalog(void *arg, const pang_collect_report *r)
{
    collecting *c = arg;
    printf("%s tenant=%" PANG_STR_FMT " catalog=%" PANG_STR_FMT " places=%" PRIu64 " files=%" PRIu64
           " removed=%" PRIu64 " bytes=%" PRIu64 " released=%" PRIu64 " skipped=%" PRIu64,
           r->skipped > 0 ? "SKIPPED" : "OK", PANG_STR_ARG(r->tenant), PANG_STR_ARG(r->catalog),
           r->places, r->files, r->removed, r->bytes, r->released, r->skipped);
    print_records(r);
    printf("%s%s\n", r->reason[0] != '\0' ? ": " : "", r->reason);
    if (r->skipped > 0)
        c->status = SKIPPED;
}

static int run(collecting *c, const pang_config *config)
{
    pang_err err;
    pang_store *store = NULL;
    size_t catalogs = 0;
    pang_collect_listener listener = {print_file, print_catalog, c};
    pang_arena *arena = pang_arena_new(MEMORY);
    pang_code code = arena == NULL ? pang_fail_memory(&err) : PANG_OK;
    if (code == PANG_OK)
        code = pang_offline_open(config, &pang_env_system, arena, &store, &err);
    if (code == PANG_OK)
        code = pang_collect_run(store, config, &pang_env_system, &c->plan, &listener, &catalogs,
                                &err);
    pang_arena_free(arena);
    if (code != PANG_OK)
        return complain(err.message, "");
    if (catalogs == 0 && (c->plan.catalog != NULL || c->plan.tenant != NULL))
        return complain("there is no such catalog", "");
    return c->status;
}

int pang_gc(int argc, char **argv)
{
    collecting c = {.plan = {.grace_ms = 24 * (int64_t)PANG_COLLECT_GRACE_MIN_MS}};
    pang_config *config = NULL;
    int rest;
    char *others[ARGUMENTS_MAX + 1] = {NULL};
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return GOOD;
    }
    int status = take_arguments(&c, argc, argv, &rest, others);
    if (status != GOOD)
        return status;
    status = pang_config_start(PANG_PROGRAM_SERVER, "pangolin gc",
                               "Removes files that nothing reaches.", rest, others, &config);
    if (status >= 0)
        return status;
    status = run(&c, config);
    pang_config_free(config);
    return status;
}
