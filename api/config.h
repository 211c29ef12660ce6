/*
 * Configuration: one table of options for all programs, four sources. A flag wins over the
 * environment, the environment over the file, the file over the default.
 * Called by the mains at start (and on SIGHUP, into a new object). Threads: const after load.
 * Lifetime: what getters return borrows from the config.
 *
 * Programs share their environment and their file: each knows the names of all options and ignores
 * those of others, but takes only its own as flags. Whatever nobody knows is an error: a flag, a
 * key of the file, an environment variable that begins with PANGOLIN_.
 *
 * The file holds lines `name = value`; `#` begins a comment line; a value may stand in double
 * quotes, to keep blanks at its ends. Names are those of the flags without the dashes.
 */
#ifndef PANG_API_CONFIG_H
#define PANG_API_CONFIG_H

#include "api/err.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PANG_VERSION
#define PANG_VERSION "0.1.0-dev"
#endif

/* What a program exits with when it could not start. */
#define PANG_EXIT_CANNOT_START 2

enum {
    PANG_CONFIG_VALUE_MAX = 16 * 1024,  /* bytes of one value */
    PANG_CONFIG_FILE_MAX = 1024 * 1024, /* bytes of the file */
    PANG_CONFIG_LIST_MAX = 256,         /* elements of one list */
};

/* Who uses an option; a set. */
enum {
    PANG_PROGRAM_SERVER = 1,
    PANG_PROGRAM_BRIDGE = 2,
    PANG_PROGRAM_CLI = 4, /* programs that talk to a catalog: read by them, known here */
};

/* One per row of pang_options; the rows stand in this order. */
typedef enum {
    /* Both processes. */
    PANG_OPT_CONFIG,
    PANG_OPT_DATA_DIR,
    PANG_OPT_SOCKET,
    PANG_OPT_NO_AUTH,
    PANG_OPT_LOG_FORMAT,
    PANG_OPT_LOG_LEVEL,
    PANG_OPT_REQUEST_TIMEOUT,
    PANG_OPT_MAX_BODY,
    PANG_OPT_MAX_CONCURRENT,
    PANG_OPT_SHUTDOWN_GRACE,
    /* The bridge. */
    PANG_OPT_BIND_ADDRESS,
    PANG_OPT_PORT,
    PANG_OPT_TLS_CERT,
    PANG_OPT_TLS_KEY,
    PANG_OPT_BRIDGE_THREADS,
    PANG_OPT_UPSTREAM_CONNECTIONS,
    PANG_OPT_MAX_CONNECTIONS,
    PANG_OPT_MAX_CONNECTIONS_PER_PEER,
    PANG_OPT_MAX_STREAMS,
    PANG_OPT_MAX_HEADER,
    PANG_OPT_HEADER_TIMEOUT,
    PANG_OPT_BODY_TIMEOUT,
    PANG_OPT_IDLE_TIMEOUT,
    PANG_OPT_GZIP,
    PANG_OPT_CORS_ORIGINS,
    PANG_OPT_TRUST_FORWARDED,
    PANG_OPT_TRUSTED_PROXIES,
    PANG_OPT_METRICS,
    PANG_OPT_METRICS_ADDRESS,
    /* The server. */
    PANG_OPT_DATABASE_URL,
    PANG_OPT_STORAGE_TYPE,
    PANG_OPT_DATABASE_CONNECTIONS,
    PANG_OPT_DATABASE_CONNECTIONS_MIN,
    PANG_OPT_DATABASE_CONNECT_TIMEOUT,
    PANG_OPT_MONGO_DATABASE,
    PANG_OPT_MONGO_CONNECTIONS,
    PANG_OPT_MONGO_CONNECTIONS_MIN,
    PANG_OPT_FILE_ROOTS,
    PANG_OPT_FILE_WAREHOUSES,
    PANG_OPT_CACHE_BYTES,
    PANG_OPT_AUDIT_RETENTION,
    PANG_OPT_GC_INTERVAL,
    PANG_OPT_CALL_MEMORY,
    PANG_OPT_SERVER_THREADS,
    PANG_OPT_HANDLER_THREADS,
    PANG_OPT_CORE_CONNECTIONS,
    PANG_OPT_ALLOWED_UIDS,
    PANG_OPT_ENCRYPTION_KEY,
    PANG_OPT_ENCRYPTION_KEY_FILE,
    PANG_OPT_ROOT_USER,
    PANG_OPT_ROOT_PASSWORD,
    PANG_OPT_JWT_SECRET,
    PANG_OPT_SESSION_TTL,
    /* What callers may try, and what tenants may take. */
    PANG_OPT_AUTH_RATE_LIMIT,
    PANG_OPT_AUTH_RATE_WINDOW,
    PANG_OPT_TENANT_PER_SECOND,
    PANG_OPT_TENANT_AT_ONCE,
    PANG_OPT_FRONTEND_URL,
    PANG_OPT_OAUTH_REDIRECTS,
    PANG_OPT_OAUTH_LINK_DOMAINS,
    PANG_OPT_OIDC_REQUIRE,
    PANG_OPT_OIDC_CA_FILE,
    /* Of clients: known, so that one environment serves both. */
    PANG_OPT_URL,
    PANG_OPT_TENANT,
    PANG_OPT_COUNT
} pang_option_id;

typedef enum {
    PANG_OPTION_TEXT,
    PANG_OPTION_CHOICE, /* one of `choices`, separated by "|" */
    PANG_OPTION_PATH,
    PANG_OPTION_SECRET, /* text that no output ever shows */
    PANG_OPTION_INT,    /* min .. max */
    PANG_OPTION_BOOL,   /* true false yes no on off 1 0; a flag may stand without a value */
    PANG_OPTION_BYTES,  /* 65536, 64KiB, 16MiB, 2GiB */
    PANG_OPTION_MS,     /* 250ms, 5s, 2m, 1h; a bare number counts seconds. In the config: ms */
    PANG_OPTION_LIST,   /* a,b,c; blanks around elements are dropped, empty ones too */
} pang_option_type;

typedef struct {
    const char *name; /* "data-dir": the flag is --data-dir, the file's key data-dir */
    const char *env;  /* "PANGOLIN_DATA_DIR" */
    pang_option_type type;
    unsigned programs;    /* PANG_PROGRAM_... */
    const char *fallback; /* the default, spelt as a user would */
    int64_t min, max;     /* of INT, BYTES, MS (in ms) */
    const char *choices;
    const char *help; /* one line, a sentence's fragment */
} pang_option;

extern const pang_option pang_options[PANG_OPT_COUNT];

typedef struct pang_config pang_config;

/* The sources. `environment` is like environ; argv[0] is not looked at. */
typedef struct {
    unsigned program; /* one PANG_PROGRAM_... */
    int argc;
    char *const *argv;
    char *const *environment;
} pang_config_sources;

/* Reads and checks all sources. PANG_OPT_DATA_DIR is a whole path then. ERRORS: INVALID_ARGUMENT
 * (one line that names source, option and fault), NOT_FOUND (the file), UNAVAILABLE (the working
 * folder has no name), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_config_load(const pang_config_sources *sources, pang_config **ret,
                                           pang_err *err);
/* Wipes secrets. NULL is fine. */
void pang_config_free(pang_config *config);

/* What a main does first: answers --help and --version, loads, reports a fault as one line on
 * standard error, and sets up the log. Returns -1 when the program shall go on (*ret is set then),
 * else its exit status. `name` is "pangolin-server", `about` one line for --help. */
int pang_config_start(unsigned program, const char *name, const char *about, int argc, char **argv,
                      pang_config **ret);

/* REQUIRES: the option's type is the getter's; asserted. */
pang_str pang_config_text(const pang_config *config, pang_option_id id); /* TEXT CHOICE PATH SECRET;
                                                                            NUL-terminated */
int64_t pang_config_int(const pang_config *config, pang_option_id id);   /* INT BYTES MS */
bool pang_config_bool(const pang_config *config, pang_option_id id);
size_t pang_config_list(const pang_config *config, pang_option_id id, const pang_str **ret);

/* ---- identity providers: options of which there are as many as the operator names ---- */

/* Environment variables PANGOLIN_<NAME>_<FIELD> for the well-known ones (GOOGLE, MICROSOFT, GITHUB,
 * OKTA) and PANGOLIN_OIDC_<NAME>_<FIELD> for any other; flags and keys of the file are
 * google-client-id and oidc-<name>-client-id. */
typedef enum {
    PANG_PROVIDER_CLIENT_ID,     /* what the provider calls us; unset: nobody signs in there */
    PANG_PROVIDER_CLIENT_SECRET, /* unset: a public client, PKCE alone */
    PANG_PROVIDER_REDIRECT_URI,  /* where the provider sends browsers: <us>/oauth/callback/<name> */
    PANG_PROVIDER_ISSUER,        /* exactly as it calls itself */
    PANG_PROVIDER_TENANT_ID,     /* Microsoft's own tenant */
    PANG_PROVIDER_DOMAIN,        /* Okta's */
    PANG_PROVIDER_SCOPES,        /* separated by blanks */
    PANG_PROVIDER_AUDIENCE,      /* its tokens for this audience are taken as bearer */
    PANG_PROVIDER_USERS_TENANT,  /* our tenant that its users are in: UUID or name */
    PANG_PROVIDER_CREATE_USERS,  /* true: who is unknown becomes a user */
    PANG_PROVIDER_GROUPS_CLAIM,  /* dots lead into objects */
    PANG_PROVIDER_ROLES,         /* group=role;group=role */
    PANG_PROVIDER_NAME_CLAIM,    /* that a new user's name is taken from */
    PANG_PROVIDER_SERVICE_CLAIM, /* that names a service user, of bearer tokens */
    PANG_PROVIDER_AUTH_URL,      /* GitHub: the three ends, for another host */
    PANG_PROVIDER_TOKEN_URL,
    PANG_PROVIDER_USERINFO_URL,
    PANG_PROVIDER_FIELDS
} pang_provider_field;

enum {
    PANG_CONFIG_PROVIDERS_MAX = 16,
    PANG_PROVIDER_NAME_MAX = 32, /* bytes: a-z, 0-9 and - */
};

typedef struct {
    char name[PANG_PROVIDER_NAME_MAX + 1];
    pang_str fields[PANG_PROVIDER_FIELDS]; /* empty: not set; NUL-terminated */
} pang_config_provider;

/* In the order in which they were first named. */
size_t pang_config_providers(const pang_config *config, const pang_config_provider **ret);
/* As in flags: "client-id". Static. For messages that name an option. */
const char *pang_provider_field_name(pang_provider_field field);

/* True when a flag, the environment or the file named it. */
bool pang_config_is_set(const pang_config *config, pang_option_id id);

#ifdef __cplusplus
}
#endif
#endif
