/*
 * The accept loop. gRPC owns a connection's descriptor once it has it and tells nobody when it
 * ends; so a duplicate of each is kept in our epoll set, and the hang-up on it, which gRPC's
 * shutdown(2) causes as well as the peer's close, says that a place is free.
 *
 * A descriptor is held in reserve. When there is no other left, it is given up to take the
 * connection that waits and to close it: the peer learns at once, and the listener does not spin.
 */
#include "server/listen.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/log.h"
#include "server/worker.h"

enum {
    BACKLOG = 256,
    EVENTS = 64,
    BACK_OFF_MS = 50,
    FOLDER_MODE = 0710,
    SOCKET_MODE = 0660,
    LISTENER = -1, /* in epoll_data: not a place */
    WAKER = -2,
};

typedef struct {
    int fd; /* the duplicate; -1: free */
    pid_t pid;
} place;

struct pang_listener {
    pang_listen_config config;
    uid_t *uids;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int socket, epoll, waker, reserve;
    place *places; /* connections_max; the thread's alone */
    atomic_uint connections;
    pthread_t thread;
    bool started, stopped;
};

/* ---- files ---- */

static pang_code make_folder_of(const char *path, pang_err *err)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return PANG_OK;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    if (mkdir(folder, FOLDER_MODE) == 0)
        (void)chmod(folder, FOLDER_MODE); /* whatever the umask */
    else if (errno != EEXIST)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not make folder \"%.256s\": %s",
                         folder, strerror(errno));
    return PANG_OK;
}

pang_code pang_lock_take(const char *path, int *ret_fd, pang_err *err)
{
    pang_code code = make_folder_of(path, err);
    if (code != PANG_OK)
        return code;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not open \"%.256s\": %s", path,
                         strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int why = errno;
        close(fd);
        if (why == EWOULDBLOCK)
            return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                             "another server runs here: it holds \"%.256s\"", path);
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not lock \"%.256s\": %s", path,
                         strerror(why));
    }
    *ret_fd = fd;
    return PANG_OK;
}

/* ---- one connection ---- */

static bool may_connect(const pang_listener *l, uid_t uid)
{
    if (uid == geteuid())
        return true;
    for (size_t i = 0; i < l->config.n_uids; i++) {
        if (l->uids[i] == uid)
            return true;
    }
    return false;
}

/* A free place for a process that has not too many already; NULL when there is none. */
static place *find_place(pang_listener *l, pid_t pid)
{
    place *found = NULL;
    unsigned same = 0;
    for (unsigned i = 0; i < l->config.connections_max; i++) {
        if (l->places[i].fd < 0)
            found = found == NULL ? &l->places[i] : found;
        else if (l->places[i].pid == pid)
            same++;
    }
    return same < l->config.per_process_max ? found : NULL;
}

static void refuse(pang_listener *l, int fd, const char *why, int64_t who)
{
    close(fd);
    pang_count(l->config.counters, PANG_COUNT_CONNECTIONS_REFUSED);
    PANG_LOG(WARN, "connection refused", PANG_LOG_TEXT("why", pang_str_from(why)),
             PANG_LOG_NUMBER("who", who));
}

/* Keeps a duplicate in the epoll set; false when there is no descriptor for it. */
static bool watch(pang_listener *l, place *at, int fd, pid_t pid)
{
    struct epoll_event event = {.events = EPOLLRDHUP, .data.fd = (int)(at - l->places)};
    int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0)
        return false;
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, duplicate, &event) != 0) {
        close(duplicate);
        return false;
    }
    *at = (place){duplicate, pid};
    atomic_fetch_add(&l->connections, 1);
    return true;
}

static void take(pang_listener *l, int fd)
{
    struct ucred peer = {.pid = 0, .uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || !may_connect(l, peer.uid)) {
        refuse(l, fd, "its user may not connect", peer.uid);
        return;
    }
    place *at = find_place(l, peer.pid);
    if (at == NULL) {
        refuse(l, fd, "too many connections", peer.pid);
        return;
    }
    if (!watch(l, at, fd, peer.pid)) {
        refuse(l, fd, "no descriptor left", peer.pid);
        return;
    }
    pang_count(l->config.counters, PANG_COUNT_CONNECTIONS);
    l->config.taken(l->config.arg, fd);
}

static void drop_place(pang_listener *l, int at)
{
    assert(at >= 0 && (unsigned)at < l->config.connections_max);
    if (l->places[at].fd < 0)
        return;
    /* gRPC's descriptor may still hold the socket open, and the set holds sockets, not descriptors:
     * a close alone would leave it in. */
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->places[at].fd, NULL);
    close(l->places[at].fd);
    l->places[at].fd = -1;
    atomic_fetch_sub(&l->connections, 1);
}

/* ---- the loop ---- */

/* Gives up the reserve to get rid of one connection. False when that did not help. */
static bool shed_one(pang_listener *l)
{
    close(l->reserve);
    int fd = accept4(l->socket, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        refuse(l, fd, "no descriptor left", 0);
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && l->reserve >= 0;
}

/* Returns false when accepting should rest for a while. */
static bool accept_all(pang_listener *l)
{
    for (int i = 0; i < BACKLOG; i++) {
        int fd = accept4(l->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take(l, fd);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return true;
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if ((errno != EMFILE && errno != ENFILE) || !shed_one(l))
            return false;
    }
    return true;
}

/* Whether the listening socket is in the epoll set. */
static void set_accepting(pang_listener *l, bool accepting)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = LISTENER};
    (void)epoll_ctl(l->epoll, accepting ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->socket, &event);
}

static void *run_listener(void *arg)
{
    pang_listener *l = arg;
    bool resting = false;
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->epoll, events, EVENTS, resting ? BACK_OFF_MS : -1);
        bool rest = false, woken = false;
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == LISTENER)
                rest = !accept_all(l);
            else if (events[i].data.fd == WAKER)
                woken = true;
            else
                drop_place(l, events[i].data.fd);
        }
        if (woken)
            return NULL;
        if (rest != resting && (rest || n == 0)) {
            set_accepting(l, !rest);
            resting = rest;
        }
    }
}

/* ---- open and close ---- */

static pang_code bind_socket(pang_listener *l, pang_err *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, l->path, sizeof at.sun_path);
    l->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)unlink(l->path);
    /* The mode is right from the first moment on: umask is the process's, so bind under a closed
     * one and open up after. */
    mode_t before = umask(0777 & ~0600);
    bool bound = l->socket >= 0 && bind(l->socket, (struct sockaddr *)&at, sizeof at) == 0;
    (void)umask(before);
    if (!bound || chmod(l->path, SOCKET_MODE) != 0 || listen(l->socket, BACKLOG) != 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not listen on \"%.256s\": %s", l->path,
                         strerror(errno));
    return PANG_OK;
}

static pang_code open_descriptors(pang_listener *l, pang_err *err)
{
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = WAKER};
    if (l->epoll < 0 || l->waker < 0 || l->reserve < 0 ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->waker, &event) != 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not prepare the socket: %s",
                         strerror(errno));
    set_accepting(l, true);
    return PANG_OK;
}

static pang_code copy_config(pang_listener *l, const pang_listen_config *config, pang_err *err)
{
    l->config = *config;
    if (l->config.per_process_max == 0)
        l->config.per_process_max = config->connections_max;
    l->places = calloc(config->connections_max, sizeof *l->places);
    l->uids = calloc(config->n_uids + 1, sizeof *l->uids);
    if (l->places == NULL || l->uids == NULL)
        return pang_fail_memory(err);
    for (unsigned i = 0; i < config->connections_max; i++)
        l->places[i].fd = -1;
    for (size_t i = 0; i < config->n_uids; i++)
        l->uids[i] = config->uids[i];
    if (strlen(config->path) >= sizeof l->path)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "path of the socket is longer than %zu bytes: \"%.200s\"",
                         sizeof l->path - 1, config->path);
    (void)snprintf(l->path, sizeof l->path, "%s", config->path);
    return PANG_OK;
}

pang_code pang_listen_open(const pang_listen_config *config, pang_listener **ret, pang_err *err)
{
    pang_listener *l = calloc(1, sizeof *l);
    if (l == NULL)
        return pang_fail_memory(err);
    l->socket = l->epoll = l->waker = l->reserve = -1;
    pang_code code = copy_config(l, config, err);
    if (code == PANG_OK)
        code = make_folder_of(l->path, err);
    if (code == PANG_OK)
        code = bind_socket(l, err);
    if (code == PANG_OK)
        code = open_descriptors(l, err);
    if (code == PANG_OK)
        code = pang_thread_start("listen", 0, run_listener, l, &l->thread, err);
    l->started = code == PANG_OK;
    if (code != PANG_OK) {
        pang_listen_close(l);
        return code;
    }
    *ret = l;
    return PANG_OK;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void pang_listen_stop(pang_listener *l)
{
    if (l->stopped || !l->started)
        return;
    l->stopped = true;
    if (write(l->waker, &(uint64_t){1}, sizeof(uint64_t)) < 0)
        abort(); /* an eventfd of our own takes its first write */
    (void)pthread_join(l->thread, NULL);
    (void)unlink(l->path);
    close(l->socket);
    l->socket = -1;
}

void pang_listen_close(pang_listener *l)
{
    if (l == NULL)
        return;
    pang_listen_stop(l);
    for (unsigned i = 0; l->places != NULL && i < l->config.connections_max; i++)
        close_if_open(l->places[i].fd);
    close_if_open(l->socket);
    close_if_open(l->epoll);
    close_if_open(l->waker);
    close_if_open(l->reserve);
    free(l->places);
    free(l->uids);
    free(l);
}

unsigned pang_listen_connections(const pang_listener *l)
{
    return atomic_load(&((pang_listener *)(uintptr_t)l)->connections);
}
