/*
 * The supervisor. Two children, one loop that waits for signals: SIGCHLD says that one ended,
 * SIGINT and SIGTERM that all should, SIGHUP that the terminal is gone or that the bridge's
 * certificate is to be read anew. A child that dies is started again after a pause that doubles
 * while it keeps dying; one that exits with 2 has said why it cannot start, and if it never was
 * ready that ends everything.
 *
 * Children get a process group of their own, so that Ctrl-C reaches only the supervisor and the
 * order of stopping is kept: the bridge drains first, then the core behind it. They die with the
 * supervisor also when it is killed (PR_SET_PDEATHSIG).
 */
#include "cli/up.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/config.h"
#include "api/env.h"

enum {
    PAUSE_FIRST_MS = 100,
    PAUSE_LAST_MS = 5000,
    STEADY_MS = 10000,  /* a child that lived this long starts with the first pause again */
    PROBE_EVERY_MS = 4, /* until ready */
    PROBE_TIMEOUT_MS = 200,
    START_PATIENCE_MS = 60000,
    STOP_PATIENCE_MS = 5000, /* after the grace period that the children have */
    EXIT_CANNOT_START = 2,
};

typedef struct {
    const char *name;
    char path[PATH_MAX];
    pid_t pid;                    /* 0: not running */
    int64_t started_ms, again_ms; /* mono clock; again_ms: when to start it, if not running */
    int pause_ms;
    bool again; /* it has ended before */
} child;

enum { SERVER, BRIDGE, CHILDREN };

typedef struct {
    child children[CHILDREN];
    pang_config *config;
    char folder[PATH_MAX]; /* the data folder, whole */
    char socket[PATH_MAX]; /* the core's */
    bool ready, stopping;
    bool ends_with_terminal; /* it was started from one, and not under nohup */
    int64_t begun_ms;
    const child *failed; /* the one that could not start, and has said why */
} supervisor;

static int64_t now_ms(void)
{
    return pang_env_mono_ms(&pang_env_system);
}

static const char usage[] =
    "usage: pangolin up\n\n"
    "Starts pangolin-server and pangolin-bridge and keeps them running until Ctrl-C. Settings are\n"
    "those of both, from the environment and the file that PANGOLIN_CONFIG names; it takes no\n"
    "flags. What is not set is for trying things out:\n\n"
    "  PORT                   8080         where the bridge listens\n"
    "  PANGOLIN_BIND_ADDRESS  127.0.0.1    on which address\n"
    "  PANGOLIN_DATA_DIR      ./var        database, warehouse, sockets\n"
    "  DATABASE_URL                        SQLite in the data folder; memory: keeps nothing\n"
    "  PANGOLIN_NO_AUTH       true         no authentication, loopback only; with a file it is\n"
    "                                      false unless the file says otherwise\n\n"
    "All settings: pangolin-server --help, pangolin-bridge --help.\n";

static int cannot_start(const char *why, const char *what)
{
    fprintf(stderr, "pangolin: cannot start: %s: %s\n", what, why);
    return EXIT_CANNOT_START;
}

/* ---- where things are ---- */

/* Beside this program, or in a build tree's folder of that name (server/pangolin-server). */
static bool find_program(const char *own_folder, const char *folder, child *c)
{
    int len = snprintf(c->path, sizeof c->path, "%s/%s", own_folder, c->name);
    if (len > 0 && (size_t)len < sizeof c->path && access(c->path, X_OK) == 0)
        return true;
    len = snprintf(c->path, sizeof c->path, "%s/../%s/%s", own_folder, folder, c->name);
    return len > 0 && (size_t)len < sizeof c->path && access(c->path, X_OK) == 0;
}

static int find_programs(supervisor *s)
{
    char own[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", own, sizeof own - 1);
    if (len <= 0)
        return cannot_start(strerror(errno), "/proc/self/exe");
    own[len] = '\0';
    *strrchr(own, '/') = '\0';
    s->children[SERVER].name = "pangolin-server";
    s->children[BRIDGE].name = "pangolin-bridge";
    if (!find_program(own, "server", &s->children[SERVER]))
        return cannot_start("not found beside this program", "pangolin-server");
    if (!find_program(own, "bridge", &s->children[BRIDGE]))
        return cannot_start("not found beside this program", "pangolin-bridge");
    return 0;
}

/* ---- settings that children inherit ---- */

static int refuse(const pang_err *err)
{
    bool detail = err->detail[0] != '\0';
    fprintf(stderr, "pangolin: cannot start: %s%s%s%s\n", err->message, detail ? " (" : "",
            err->detail, detail ? ")" : "");
    return EXIT_CANNOT_START;
}

/* As the children will read them. Who writes a file says there who may call; a variable would win
 * over it. */
static int load_settings(supervisor *s)
{
    pang_config_sources sources = {.program = PANG_PROGRAM_BRIDGE};
    const char *file = getenv("PANGOLIN_CONFIG");
    bool has_file = file != NULL && file[0] != '\0';
    pang_err err;
    if (!has_file && setenv("PANGOLIN_NO_AUTH", "true", 0) != 0)
        return cannot_start(strerror(errno), "environment");
    sources.environment = environ; /* setenv may have moved it */
    if (pang_config_load(&sources, &s->config, &err) != PANG_OK)
        return refuse(&err);
    if (pang_config_int(s->config, PANG_OPT_PORT) == 0)
        return cannot_start("must be a number from 1 to 65535", "port (PORT)");
    return 0;
}

static int no_folder(const char *given)
{
    char what[PATH_MAX + 64];
    const char *why = errno == ENOENT ? "the folder above it is not there" : strerror(errno);
    (void)snprintf(what, sizeof what, "could not make the data folder \"%s\" (PANGOLIN_DATA_DIR)",
                   given);
    return cannot_start(why, what);
}

/* The folder is made here, so that both children find it. */
static int prepare_data_folder(supervisor *s)
{
    const char *given = pang_config_text(s->config, PANG_OPT_DATA_DIR).ptr;
    pang_str own = pang_config_text(s->config, PANG_OPT_SOCKET);
    if (mkdir(given, 0700) != 0 && errno != EEXIST)
        return no_folder(given);
    if (realpath(given, s->folder) == NULL)
        return no_folder(given);
    if (setenv("PANGOLIN_DATA_DIR", s->folder, 1) != 0)
        return cannot_start(strerror(errno), "PANGOLIN_DATA_DIR");
    int len = snprintf(s->socket, sizeof s->socket, "%s%s", own.len > 0 ? own.ptr : s->folder,
                       own.len > 0 ? "" : "/run/core.sock");
    return len > 0 && (size_t)len < sizeof s->socket ? 0 : cannot_start("too long", given);
}

/* ---- children ---- */

/* In the child: undo what is the supervisor's, then become the program. MongoDB's driver counts in
 * shared memory from before main on, whatever the store; what a killed server left of it would make
 * a later one with its pid complain. */
static void become(const child *c, pid_t parent)
{
    sigset_t none;
    (void)setenv("MONGOC_DISABLE_SHM", "1", 0);
    sigemptyset(&none);
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() != parent)
        _exit(1); /* it died before prctl */
    execl(c->path, c->name, (char *)NULL);
    fprintf(stderr, "pangolin: could not run %s: %s\n", c->name, strerror(errno));
    _exit(EXIT_CANNOT_START);
}

static bool start(child *c)
{
    pid_t parent = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        become(c, parent);
    c->started_ms = now_ms();
    if (pid < 0) {
        c->again_ms = c->started_ms + c->pause_ms;
        return false;
    }
    c->pid = pid;
    return true;
}

static void signal_child(const child *c, int number)
{
    if (c->pid > 0)
        (void)kill(c->pid, number);
}

static void describe(int status, char *to, size_t size)
{
    if (WIFSIGNALED(status))
        (void)snprintf(to, size, "was killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(to, size, "ended with status %d", WEXITSTATUS(status));
}

/* Plans the next start of a child that ended. False when there is no sense in one. */
static bool plan_restart(supervisor *s, child *c, int status)
{
    char how[64];
    int64_t now = now_ms();
    describe(status, how, sizeof how);
    bool cannot = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CANNOT_START;
    if (cannot && (!s->ready || !c->again)) {
        s->failed = c; /* who answered then was another on the same port */
        return false;
    }
    c->again = true;
    c->pause_ms = now - c->started_ms > STEADY_MS || c->pause_ms == 0 ? PAUSE_FIRST_MS
                                                                      : c->pause_ms * 2;
    if (c->pause_ms > PAUSE_LAST_MS)
        c->pause_ms = PAUSE_LAST_MS;
    c->again_ms = now + c->pause_ms;
    fprintf(stderr, "pangolin: %s %s; it starts again in %d ms\n", c->name, how, c->pause_ms);
    return true;
}

/* Collects what has ended. False when everything must stop. */
static bool reap(supervisor *s)
{
    int status;
    bool go_on = true;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        for (size_t i = 0; i < CHILDREN; i++) {
            if (s->children[i].pid != pid)
                continue;
            s->children[i].pid = 0;
            go_on = go_on && (s->stopping || plan_restart(s, &s->children[i], status));
        }
    }
    return go_on;
}

static void start_due(supervisor *s)
{
    for (size_t i = 0; i < CHILDREN; i++) {
        child *c = &s->children[i];
        if (c->pid == 0 && now_ms() >= c->again_ms)
            (void)start(c);
    }
}

/* ---- the loop ---- */

static bool has_tls(const supervisor *s)
{
    return pang_config_text(s->config, PANG_OPT_TLS_CERT).len > 0;
}

/* Where the bridge is, as a program on this machine reaches it. */
static void write_uri(const supervisor *s, char *to, size_t size)
{
    const char *host = pang_ready_host(pang_config_text(s->config, PANG_OPT_BIND_ADDRESS).ptr);
    bool v6 = strchr(host, ':') != NULL;
    (void)snprintf(to, size, "%s://%s%s%s:%lld", has_tls(s) ? "https" : "http", v6 ? "[" : "", host,
                   v6 ? "]" : "", (long long)pang_config_int(s->config, PANG_OPT_PORT));
}

static bool keeps_nothing(const supervisor *s)
{
    pang_str url = pang_config_text(s->config, PANG_OPT_DATABASE_URL);
    pang_str type = pang_config_text(s->config, PANG_OPT_STORAGE_TYPE);
    return url.len > 0 ? pang_str_starts(url, PANG_STR("memory:"))
                       : pang_str_equal(type, PANG_STR("memory"));
}

/* Which store it is. Of a remote one the scheme, hosts and database: users, passwords and
 * parameters are left out, and all where it cannot be told which is which. */
static void print_store(const supervisor *s)
{
    const char *url = pang_config_text(s->config, PANG_OPT_DATABASE_URL).ptr;
    const char *rest = strstr(url, "://"), *host = strrchr(url, '@'), *query = strchr(url, '?');
    if (keeps_nothing(s)) {
        printf("  store     memory:\n\n"
               "  *** The catalog is in memory: when this ends, all of it is gone. ***\n");
    } else if (url[0] == '\0') {
        printf("  store     %s/pangolin.db\n", s->folder);
    } else if (rest == NULL || strncmp(url, "sqlite:", strlen("sqlite:")) == 0) {
        printf("  store     %s\n", url);
    } else {
        host = host == NULL ? rest + strlen("://") : host + 1;
        bool unclear = query != NULL && query < host;
        printf("  store     %.*s://%.*s\n", (int)(rest - url), url,
               unclear ? 0 : (int)strcspn(host, "?"), host);
    }
}

/* The demo catalog is there without authentication only. */
static void print_how_to_use(bool no_auth, const char *uri)
{
    const char *catalog = no_auth ? "demo" : "<catalog>";
    if (no_auth)
        printf(
            "  *** NO AUTHENTICATION: whoever reaches this address may do anything. ***\n"
            "  *** It listens on this machine only, and is meant for trying things out. ***\n\n");
    else
        printf("  Callers sign in: docs/authentication.md says how, from the first start on.\n\n");
    printf("  from pyiceberg.catalog import load_catalog\n"
           "  catalog = load_catalog(\"%s\", type=\"rest\", uri=\"%s\", warehouse=\"%s\"%s)\n",
           catalog, uri, catalog,
           no_auth ? "" : ",\n                         credential=\"<service user id>:<API key>\"");
    if (no_auth)
        printf("  catalog.create_namespace_if_not_exists(\"sales\")\n");
}

static void print_ready(const supervisor *s)
{
    char uri[PATH_MAX];
    write_uri(s, uri, sizeof uri);
    printf("\nready in %lld ms\n\n", (long long)(now_ms() - s->begun_ms));
    printf("  address   %s\n", uri);
    printf("  data      %s\n", s->folder);
    print_store(s);
    printf("\n");
    print_how_to_use(pang_config_bool(s->config, PANG_OPT_NO_AUTH), uri);
    printf("\nCtrl-C stops it.\n");
    fflush(stdout);
}

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* nohup has SIGHUP ignored. */
static bool ends_with_terminal(void)
{
    struct sigaction now;
    return has_terminal() && sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler != SIG_IGN;
}

/* The next signal, or 0 after wait_ms. A SIGHUP because the terminal is gone is told as SIGTERM:
 * that of the kernel, or of a shell whose terminal went. Any other one asks for a reload. */
static int next_signal(const supervisor *s, const sigset_t *signals, int64_t wait_ms)
{
    siginfo_t info;
    struct timespec wait = {wait_ms / 1000, (wait_ms % 1000) * 1000000};
    int number = sigtimedwait(signals, &info, &wait);
    if (number == SIGHUP && s->ends_with_terminal && (info.si_code == SI_KERNEL || !has_terminal()))
        return SIGTERM;
    return number < 0 ? 0 : number;
}

/* How long the loop may sleep: until a restart is due, or a short while before readiness. */
static int64_t patience(const supervisor *s)
{
    int64_t wait = s->ready ? 60000 : PROBE_EVERY_MS;
    for (size_t i = 0; i < CHILDREN; i++) {
        int64_t left = s->children[i].again_ms - now_ms();
        if (s->children[i].pid == 0 && left < wait)
            wait = left < 0 ? 0 : left;
    }
    return wait;
}

static void probe(supervisor *s)
{
    const pang_ready_query query = {
        .socket = s->socket,
        .server = s->children[SERVER].pid,
        .host = pang_config_text(s->config, PANG_OPT_BIND_ADDRESS).ptr,
        .port = (unsigned)pang_config_int(s->config, PANG_OPT_PORT),
        .tls = has_tls(s),
        .timeout_ms = PROBE_TIMEOUT_MS,
    };
    if (s->ready || s->stopping || s->children[BRIDGE].pid == 0 || !pang_is_ready(&query))
        return;
    s->ready = true;
    print_ready(s);
}

/* Sends SIGTERM and waits; kills what does not end in time. */
static void stop(supervisor *s, child *c, const sigset_t *signals)
{
    int64_t grace = pang_config_int(s->config, PANG_OPT_SHUTDOWN_GRACE);
    int64_t until = now_ms() + grace + STOP_PATIENCE_MS;
    signal_child(c, SIGTERM);
    while (c->pid > 0 && now_ms() < until) {
        (void)reap(s);
        if (c->pid > 0)
            (void)next_signal(s, signals, 100);
    }
    signal_child(c, SIGKILL);
}

static int supervise(supervisor *s, const sigset_t *signals)
{
    int result = 0;
    while (!s->stopping) {
        start_due(s);
        int number = next_signal(s, signals, patience(s));
        if (number == SIGINT || number == SIGTERM)
            s->stopping = true;
        if (number == SIGHUP) {
            signal_child(&s->children[SERVER], SIGHUP);
            signal_child(&s->children[BRIDGE], SIGHUP);
        }
        bool too_late = !s->ready && now_ms() - s->begun_ms > START_PATIENCE_MS;
        if (too_late)
            fprintf(stderr, "pangolin: not ready after %d s\n", START_PATIENCE_MS / 1000);
        if (!reap(s) || too_late) {
            result = EXIT_CANNOT_START;
            s->stopping = true;
        }
        probe(s);
    }
    stop(s, &s->children[BRIDGE], signals);
    stop(s, &s->children[SERVER], signals);
    if (s->failed != NULL)
        fprintf(stderr, "pangolin: stopped, since %s did not start; its own line above says why\n",
                s->failed->name);
    return result;
}

static int run(supervisor *s)
{
    sigset_t signals;
    int status = find_programs(s);
    if (status == 0)
        status = load_settings(s);
    if (status == 0)
        status = prepare_data_folder(s);
    if (status != 0)
        return status;
    sigemptyset(&signals);
    for (size_t i = 0; i < 4; i++)
        sigaddset(&signals, (const int[]){SIGINT, SIGTERM, SIGHUP, SIGCHLD}[i]);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    return supervise(s, &signals);
}

int pang_up(int argc, char **argv)
{
    supervisor s = {.begun_ms = now_ms(), .ends_with_terminal = ends_with_terminal()};
    if (argc > 1) {
        if (strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0)
            return cannot_start("up takes no arguments; settings are variables, as in "
                                "`PORT=9090 pangolin up` (pangolin up --help)",
                                argv[1]);
        fputs(usage, stdout);
        return 0;
    }
    int status = run(&s);
    pang_config_free(s.config);
    return status;
}
