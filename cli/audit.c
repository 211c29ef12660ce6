/*
 * Reads the store itself, so it needs no server and trusts none. One line per tenant; the first
 * fault of each is told, since what follows a broken link proves nothing.
 */
#include "cli/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/audit.h"
#include "api/keys.h"
#include "api/offline.h"
#include "cli/args.h"

enum { MEMORY = 1 << 20, ARGUMENTS_MAX = 64, GOOD = 0, BAD = 1, UNKNOWN = 2 };

typedef struct {
    const char *tenant; /* NULL: all */
    pang_audit_anchor anchor;
    pang_store *store;
    int status;
    unsigned tenants;
} verifying;

static const char usage[] =
    "usage: pangolin audit verify [--tenant ID] [--expect SEAL:HASH] [SETTINGS]\n\n"
    "Checks that the audit log in the store is what was written. Prints a line per tenant; exits\n"
    "with 1 and names the first bad row when one was altered, removed, moved or put in, with 2\n"
    "when the store cannot be read. A SQLite store must not be in use by a server.\n\n"
    "  --tenant ID         this tenant only; \"system\" for what tenants share\n"
    "  --expect SEAL:HASH  an earlier run's last seal, noted elsewhere: it must still be there\n"
    "                      (with --tenant)\n\n"
    "SETTINGS are those of the server that tell where the store is: --data-dir, --database-url\n"
    "and so on (pangolin-server --help), from flags, environment or file.\n";

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "pangolin: audit verify: %s%s%s%s\n", what, value[0] != '\0' ? " \"" : "",
            value, value[0] != '\0' ? "\"" : "");
    return UNKNOWN;
}

/* ---- arguments ---- */

static bool parse_hex(const char *text, uint8_t *to, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != 2 * n)
        return false;
    for (size_t i = 0; i < 2 * n; i++) {
        const char *digit = memchr(digits, text[i], 16);
        if (digit == NULL)
            return false;
        to[i / 2] = (uint8_t)(to[i / 2] << 4 | (digit - digits));
    }
    return true;
}

static bool parse_anchor(const char *text, pang_audit_anchor *ret)
{
    pang_str rest = pang_str_from(text), seal;
    return pang_str_next(&rest, ':', &seal) && pang_str_to_uint64(seal, &ret->seal) &&
           ret->seal > 0 && rest.ptr != NULL && parse_hex(rest.ptr, ret->hash, sizeof ret->hash);
}

static int take_arguments(verifying *v, int argc, char **argv, int *ret_argc, char **ret_argv)
{
    *ret_argc = 0;
    ret_argv[(*ret_argc)++] = argv[0];
    for (int i = 1; i < argc; i++) {
        const char *tenant = cli_value_of("--tenant", argc, argv, &i);
        const char *anchor = tenant != NULL ? NULL : cli_value_of("--expect", argc, argv, &i);
        if (tenant != NULL)
            v->tenant = tenant;
        else if (anchor != NULL && !parse_anchor(anchor, &v->anchor))
            return complain("--expect is not SEAL:HASH with 64 hex digits:", anchor);
        else if (anchor == NULL && *ret_argc == ARGUMENTS_MAX)
            return complain("too many arguments", "");
        else if (anchor == NULL)
            ret_argv[(*ret_argc)++] = argv[i];
    }
    if (v->anchor.seal != 0 && v->tenant == NULL)
        return complain("--expect needs --tenant", "");
    return GOOD;
}

/* ---- the report ---- */

static void name_scope(pang_str scope, char to[PANG_ID_TEXT + 1])
{
    pang_id id;
    if (pang_id_parse(scope, &id))
        pang_id_text(id, to);
    else
        (void)snprintf(to, PANG_ID_TEXT + 1, "system");
}

static void print_good(const char *tenant, const pang_audit_report *r)
{
    printf("OK tenant=%s rows=%" PRIu64 " sealed=%" PRIu64 " entries=%" PRIu64 " removed=%" PRIu64
           " seals=%" PRIu64,
           tenant, r->rows, r->sealed, r->entries, r->removed, r->seals);
    if (r->seals > 0) {
        printf(" hash=");
        for (size_t i = 0; i < sizeof r->hash; i++)
            printf("%02x", r->hash[i]);
    }
    putchar('\n');
}

static void print_bad(const char *tenant, const pang_audit_report *r)
{
    char server[PANG_ID_TEXT + 1];
    printf("BAD tenant=%s", tenant);
    if (r->number != 0) {
        pang_id_text(r->server, server);
        printf(" server=%s number=%" PRIu64, server, r->number);
    }
    if (r->seal != 0)
        printf(" seal=%" PRIu64, r->seal);
    printf(": %s\n", r->what);
}

static bool verify_one(void *arg, pang_str scope)
{
    verifying *v = arg;
    pang_audit_report report;
    pang_err err;
    char tenant[PANG_ID_TEXT + 1];
    name_scope(scope, tenant);
    if (pang_audit_verify(v->store, scope, &v->anchor, &report, &err) != PANG_OK) {
        fprintf(stderr, "pangolin: audit verify: %s\n", err.message);
        v->status = UNKNOWN;
        return false;
    }
    if (!report.good) {
        v->status = BAD;
        print_bad(tenant, &report);
    } else if (report.rows > 0 || report.seals > 0 || v->tenant != NULL) {
        print_good(tenant, &report);
    }
    v->tenants++;
    return true;
}

static int run_on_store(verifying *v)
{
    pang_err err;
    pang_id id;
    char scope[PANG_ID_HEX + 1];
    if (v->tenant == NULL) {
        if (pang_audit_scopes(v->store, verify_one, v, &err) == PANG_OK)
            return v->status;
        return complain(err.message, "");
    }
    if (strcmp(v->tenant, "system") == 0) {
        (void)verify_one(v, PANG_SYSTEM_SCOPE);
        return v->status;
    }
    if (!pang_id_parse(pang_str_from(v->tenant), &id))
        return complain("--tenant is no id:", v->tenant);
    pang_id_hex(id, scope);
    (void)verify_one(v, pang_str_from(scope));
    return v->status;
}

static int run_verify(int argc, char **argv)
{
    verifying v = {.status = GOOD};
    pang_config *config = NULL;
    pang_err err;
    int rest;
    char *others[ARGUMENTS_MAX + 1] = {NULL};
    int status = take_arguments(&v, argc, argv, &rest, others);
    if (status != GOOD)
        return status;
    status = pang_config_start(PANG_PROGRAM_SERVER, "pangolin audit verify",
                               "Checks that the audit log is what was written.", rest, others,
                               &config);
    if (status >= 0)
        return status;
    pang_arena *arena = pang_arena_new(MEMORY);
    pang_code code = arena == NULL ? pang_fail_memory(&err) : PANG_OK;
    if (code == PANG_OK)
        code = pang_offline_open(config, &pang_env_system, arena, &v.store, &err);
    status = code == PANG_OK ? run_on_store(&v) : complain(err.message, "");
    pang_store_close(v.store);
    pang_arena_free(arena);
    pang_config_free(config);
    return status;
}

int pang_audit(int argc, char **argv)
{
    bool helps = argc > 1 &&
                 (strcmp(argv[1], "--help") == 0 || (argc > 2 && strcmp(argv[2], "--help") == 0));
    if (!helps && argc > 1 && strcmp(argv[1], "verify") == 0)
        return run_verify(argc - 1, argv + 1);
    fputs(usage, helps ? stdout : stderr);
    return helps ? GOOD : UNKNOWN;
}
