#include "tests/bridge/bridge_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bridge/fake_upstream.h"

static const char program[] = "bridge/pangolin-bridge";

int64_t wire_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(int ms)
{
    struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000L};
    nanosleep(&wait, NULL);
}

/* ---- processes ---- */

void fixture_path(const fixture *f, const char *name, char *to, size_t size)
{
    int len = snprintf(to, size, "%s/%s", f->folder, name);
    assert_true(len > 0 && (size_t)len < size);
}

static unsigned free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

void fixture_start_core(fixture *f)
{
    char path[128];
    struct stat there;
    fixture_path(f, "run/core.sock", path, sizeof path);
    unlink(path);
    fflush(NULL);
    f->core = fork();
    assert_true(f->core >= 0);
    if (f->core == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fake_upstream_run(path, f->core_streams == 0 ? CORE_STREAMS : f->core_streams);
    }
    for (int i = 0; i < PATIENCE_MS && stat(path, &there) != 0; i++)
        pause_ms(1);
    assert_int_equal(stat(path, &there), 0);
}

void fixture_kill_core(fixture *f)
{
    assert_true(f->core > 0);
    (void)kill(f->core, SIGKILL);
    assert_int_equal(waitpid(f->core, NULL, 0), f->core);
    f->core = 0;
}

/* In the child. A setting of the test replaces the fixture's own. */
static _Noreturn void become_bridge(const fixture *f, const char *const *settings, int err,
                                    const char *flag)
{
    char own[5][160];
    char *environment[64];
    char *arguments[] = {(char *)(uintptr_t) "pangolin-bridge", (char *)(uintptr_t)flag, NULL};
    size_t n = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(own[0], sizeof own[0], "PORT=%u", f->port);
    (void)snprintf(own[1], sizeof own[1], "PANGOLIN_DATA_DIR=%s", f->folder);
    (void)snprintf(own[2], sizeof own[2], "PANGOLIN_NO_AUTH=true");
    (void)snprintf(own[3], sizeof own[3], "LOG_FORMAT=json");
    (void)snprintf(own[4], sizeof own[4], "PANGOLIN_SHUTDOWN_GRACE_SECS=5");
    for (; settings != NULL && settings[n] != NULL && n < 32; n++)
        environment[n] = (char *)(uintptr_t)settings[n];
    size_t given = n;
    for (size_t i = 0; i < 5; i++) {
        size_t name = strcspn(own[i], "=") + 1;
        bool taken = false;
        for (size_t j = 0; j < given; j++)
            taken = taken || strncmp(settings[j], own[i], name) == 0;
        if (!taken)
            environment[n++] = own[i];
    }
    static const char *const passed[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "PATH"};
    char copied[4][512];
    for (size_t i = 0; i < 4; i++) {
        const char *value = getenv(passed[i]);
        if (value == NULL)
            continue;
        (void)snprintf(copied[i], sizeof copied[i], "%s=%s", passed[i], value);
        environment[n++] = copied[i];
    }
    environment[n] = NULL;
    (void)dup2(err, STDERR_FILENO);
    (void)dup2(err, STDOUT_FILENO);
    (void)execve(program, arguments, environment);
    _exit(127);
}

static void make_folder(fixture *f)
{
    char run[96];
    const char *base = getenv("TEST_TMPDIR");
    if (base == NULL || strlen(base) > 30)
        base = "/tmp"; /* the path of a unix socket must be short */
    int len = snprintf(f->folder, sizeof f->folder, "%s/pang-bridge-XXXXXX", base);
    assert_true(len > 0 && (size_t)len < sizeof f->folder);
    assert_non_null(mkdtemp(f->folder));
    fixture_path(f, "run", run, sizeof run);
    assert_int_equal(mkdir(run, 0700), 0);
}

static void remove_folder(const fixture *f)
{
    static const char *const names[] = {"run/core.sock", "run", "log", "crt", "key", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        fixture_path(f, names[i], path, sizeof path);
        (void)remove(path);
    }
}

static pid_t start_bridge(const fixture *f, const char *const *settings, const char *log,
                          const char *flag)
{
    int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(err >= 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become_bridge(f, settings, err, flag);
    close(err);
    return pid;
}

static void print_log(const fixture *f)
{
    char path[128], text[4096];
    fixture_path(f, "log", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t n; fd >= 0 && (n = read(fd, text, sizeof text)) > 0;)
        (void)!write(STDERR_FILENO, text, (size_t)n);
    if (fd >= 0)
        close(fd);
}

void fixture_start(fixture *f, const char *const *settings)
{
    char log[128];
    make_folder(f);
    f->port = free_port();
    fixture_start_core(f);
    fixture_path(f, "log", log, sizeof log);
    f->bridge = start_bridge(f, settings, log, NULL);
    for (int64_t until = wire_now() + PATIENCE_MS; wire_now() < until;) {
        int fd = wire_try_connect(f->port);
        if (fd >= 0) {
            close(fd);
            return;
        }
        if (waitpid(f->bridge, NULL, WNOHANG) != 0)
            break;
        pause_ms(2);
    }
    print_log(f);
    fail_msg("the bridge did not start");
}

void fixture_stop(fixture *f)
{
    int status = 0;
    if (f->bridge > 0) {
        (void)kill(f->bridge, SIGTERM);
        for (int64_t until = wire_now() + PATIENCE_MS;
             waitpid(f->bridge, &status, WNOHANG) == 0 && wire_now() < until;)
            pause_ms(2);
        if (kill(f->bridge, SIGKILL) == 0) {
            (void)waitpid(f->bridge, &status, 0);
            print_log(f);
            fail_msg("the bridge did not end");
        }
    }
    if (f->core > 0)
        fixture_kill_core(f);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        print_log(f);
        fail_msg("the bridge ended with status %#x", (unsigned)status);
    }
    remove_folder(f);
    *f = (fixture){0};
}

int fixture_healthcheck(const fixture *f)
{
    char log[128];
    int status = 0;
    fixture_path(f, "log", log, sizeof log);
    pid_t pid = start_bridge(f, NULL, log, "--healthcheck");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int fixture_refused(const char *const *settings, char *said, size_t size)
{
    fixture f = {0};
    char log[128];
    int status = 0;
    make_folder(&f);
    f.port = free_port();
    fixture_path(&f, "log", log, sizeof log);
    pid_t pid = start_bridge(&f, settings, log, NULL);
    for (int64_t until = wire_now() + PATIENCE_MS; waitpid(pid, &status, WNOHANG) == 0;) {
        if (wire_now() > until)
            (void)kill(pid, SIGKILL);
        pause_ms(2);
    }
    int fd = open(log, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, said, size - 1);
    said[n < 0 ? 0 : n] = '\0';
    close(fd);
    remove_folder(&f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

size_t fixture_rss(const fixture *f)
{
    char path[64];
    unsigned long whole, resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)f->bridge);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &whole, &resident), 2);
    (void)fclose(file);
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t fixture_descriptors(const fixture *f)
{
    char path[64];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)f->bridge);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        n++;
    (void)closedir(folder);
    return n;
}

double fixture_cpu(const fixture *f)
{
    char path[64], text[1024];
    unsigned long user = 0, system_time = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)f->bridge);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    const char *rest = strrchr(text, ')');
    assert_non_null(rest);
    assert_int_equal(sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                            &system_time),
                     2);
    return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- sockets ---- */

int wire_try_connect(unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int wire_connect(const fixture *f)
{
    int fd = wire_try_connect(f->port);
    assert_true(fd >= 0);
    return fd;
}

bool wire_try_send(int fd, const void *bytes, size_t len)
{
    const char *from = bytes;
    while (len > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (poll(&ready, 1, PATIENCE_MS) <= 0)
            return false;
        ssize_t n = send(fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n > 0) {
            from += n;
            len -= (size_t)n;
        }
    }
    return true;
}

void wire_send(int fd, const void *bytes, size_t len)
{
    assert_true(wire_try_send(fd, bytes, len));
}

/* Bytes, 0 at the end (a reset too), -1 when none come within `ms`. */
static ssize_t receive(int fd, char *to, size_t size, int64_t ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (ms < 0)
        ms = 0;
    if (poll(&ready, 1, (int)ms) <= 0)
        return -1;
    ssize_t n = recv(fd, to, size, MSG_DONTWAIT);
    return n < 0 ? (errno == EAGAIN ? -1 : 0) : n;
}

size_t wire_read_all(int fd, char *to, size_t size, int ms, bool *ret_closed)
{
    size_t len = 0;
    *ret_closed = false;
    for (int64_t until = wire_now() + ms; len < size;) {
        ssize_t n = receive(fd, to + len, size - len, until - wire_now());
        if (n < 0)
            return len;
        if (n == 0) {
            *ret_closed = true;
            return len;
        }
        len += (size_t)n;
    }
    return len;
}

/* ---- HTTP/1.1 ---- */

typedef struct {
    int fd;
    int64_t until;
    char byte;
} reader;

static bool next_byte(reader *r)
{
    return receive(r->fd, &r->byte, 1, r->until - wire_now()) == 1;
}

static bool read_line(reader *r, char *to, size_t size)
{
    size_t n = 0;
    while (n < size - 1 && next_byte(r)) {
        to[n++] = r->byte;
        if (r->byte == '\n') {
            to[n] = '\0';
            return true;
        }
    }
    return false;
}

static bool read_exactly(reader *r, http_reply *ret, size_t n)
{
    char *grown = realloc(ret->body, ret->len + n + 1);
    assert_non_null(grown);
    ret->body = grown;
    while (n > 0) {
        ssize_t got = receive(r->fd, ret->body + ret->len, n, r->until - wire_now());
        if (got <= 0)
            return false;
        ret->len += (size_t)got;
        n -= (size_t)got;
    }
    ret->body[ret->len] = '\0';
    return true;
}

static void read_chunks(reader *r, http_reply *ret)
{
    char line[64];
    for (;;) {
        if (!read_line(r, line, sizeof line)) {
            ret->closed = true; /* cut in the middle */
            return;
        }
        size_t n = (size_t)strtoul(line, NULL, 16);
        if (n > 0 && !read_exactly(r, ret, n)) {
            ret->closed = true;
            return;
        }
        assert_true(read_line(r, line, sizeof line) && strcmp(line, "\r\n") == 0);
        if (n == 0)
            return;
    }
}

static void read_rest(reader *r, http_reply *ret)
{
    while (next_byte(r)) {
        char *grown = realloc(ret->body, ret->len + 2);
        assert_non_null(grown);
        ret->body = grown;
        ret->body[ret->len++] = r->byte;
        ret->body[ret->len] = '\0';
    }
    ret->closed = true;
}

static bool read_head(reader *r, http_reply *ret)
{
    size_t len = 0;
    while (len < HEAD_MAX - 1 && read_line(r, ret->head + len, HEAD_MAX - len)) {
        if (strcmp(ret->head + len, "\r\n") == 0)
            return true;
        len += strlen(ret->head + len);
    }
    return false;
}

void http_try_read(int fd, bool no_body, int ms, http_reply *ret)
{
    reader r = {.fd = fd, .until = wire_now() + ms};
    *ret = (http_reply){0};
    do {
        if (!read_head(&r, ret)) {
            ret->closed = true;
            return;
        }
        assert_memory_equal(ret->head, "HTTP/1.", 7);
        ret->status = (int)strtol(ret->head + 9, NULL, 10);
    } while (ret->status == 100);
    const char *length = http_header(ret, "Content-Length");
    if (no_body || ret->status == 204 || ret->status == 304) {
        return;
    } else if (length != NULL) {
        if (!read_exactly(&r, ret, (size_t)strtoul(length, NULL, 10)))
            ret->closed = true;
    } else if (http_header(ret, "Transfer-Encoding") != NULL) {
        read_chunks(&r, ret);
    } else {
        read_rest(&r, ret);
    }
}

void http_read(int fd, bool no_body, http_reply *ret)
{
    http_try_read(fd, no_body, PATIENCE_MS, ret);
    assert_int_not_equal(ret->status, 0);
}

const char *http_header(const http_reply *reply, const char *name)
{
    static char value[HEAD_MAX];
    size_t len = strlen(name);
    for (const char *at = strchr(reply->head, '\n'); at != NULL; at = strchr(at, '\n')) {
        at++;
        if (strncasecmp(at, name, len) != 0 || at[len] != ':')
            continue;
        at += len + 1;
        at += strspn(at, " ");
        size_t n = strcspn(at, "\r");
        memcpy(value, at, n);
        value[n] = '\0';
        return value;
    }
    return NULL;
}

void http_free(http_reply *reply)
{
    free(reply->body);
    *reply = (http_reply){0};
}

int http_get(const fixture *f, const char *path, const char *headers, http_reply *ret)
{
    char request[8192];
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                       path, headers);
    assert_true(len > 0 && (size_t)len < sizeof request);
    int fd = wire_connect(f);
    wire_send(fd, request, (size_t)len);
    http_read(fd, false, ret);
    close(fd);
    return ret->status;
}

void http_canary(const fixture *f)
{
    http_reply reply;
    assert_int_equal(http_get(f, "/health/live", "", &reply), 200);
    assert_non_null(strstr(reply.body, "alive"));
    http_free(&reply);
}

long core_count(const fixture *f, const char *name)
{
    char wanted[64];
    http_reply reply;
    assert_int_equal(http_get(f, "/v1/config?warehouse=counts", "", &reply), 200);
    (void)snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *at = strstr(reply.body, wanted);
    assert_non_null(at);
    long number = strtol(at + strlen(wanted), NULL, 10);
    http_free(&reply);
    return number;
}
