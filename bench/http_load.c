/*
 * http_load: requests over HTTP/1.1, from one thread with epoll, for one core.
 *
 *     http_load --port P --connections N --seconds S [--rate R] [--zipf A] [--writes PERCENT]
 *               [--body TEXT] [--header TEXT] [--own] < TARGETS
 *
 * TARGETS has one path a line. With --rate the loop is open: requests are due at even times
 * whatever the replies do, and a latency counts from when its request was due, so that a server
 * that stalls cannot hide the requests it kept waiting. Without, the loop is closed: a connection
 * sends its next request when the reply is there; that measures throughput.
 *
 * Targets are taken at random, evenly or by a Zipf distribution (--zipf 0.99); with --own each
 * connection keeps to the target of its own number. PERCENT of the requests are POSTs of TEXT, in
 * which "{n}" stands for a number that never comes twice; the rest are GETs.
 * Every request carries the header TEXT ("Authorization: Bearer ..."), if one is given.
 * Prints one line of JSON: reads and writes apart, replies by status class.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/histogram.h"

#define CONNECTIONS_MAX 4096
#define TARGETS_MAX 1000000
#define HEAD_MAX 4096    /* of a reply */
#define REQUEST_MAX 8192 /* a GET, or a POST without its body */
#define READ_MAX (256 * 1024)
#define EVENTS_MAX 256

typedef struct {
    int fd;
    bool busy, writes; /* a request is on its way; it is a POST */
    uint64_t due_us;
    unsigned own;        /* this connection's number */
    char head[HEAD_MAX]; /* of the reply, as far as it has come */
    size_t head_len;
    bool in_body, chunked;
    long long body_left; /* -1: until the last chunk */
    char tail[5];        /* the last bytes of a chunked body */
    char *out;           /* what of the request could not be sent at once */
    size_t out_len, out_at;
    int status;
} connection;

typedef struct {
    unsigned port, connections, seconds, writes_percent;
    double rate, zipf;
    const char *body, *header; /* header: with its line end, or empty */
    bool own;
} options;

typedef struct {
    options opt;
    int epoll;
    char **targets;
    size_t n_targets;
    double *zipf_sums; /* cumulated shares of the targets */
    connection *all;
    uint64_t chance, number;
    histogram reads, writes;
    uint64_t statuses[6], bytes, errors, late;
    uint64_t end_us;
} load;

static void die(const char *what)
{
    fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* splitmix64: the same targets in every run. */
static uint64_t draw(load *l)
{
    uint64_t z = (l->chance += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double draw_unit(load *l)
{
    return (double)(draw(l) >> 11) / 9007199254740992.0;
}

static void read_targets(load *l)
{
    static char line[REQUEST_MAX / 2];
    l->targets = calloc(TARGETS_MAX, sizeof *l->targets);
    while (l->targets && l->n_targets < TARGETS_MAX && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line && !(l->targets[l->n_targets++] = strdup(line)))
            die("targets");
    }
    if (!l->targets || !l->n_targets)
        die("no targets");
}

/* Shares 1/rank^a, cumulated, so that a target is found by bisection. */
static void prepare_zipf(load *l)
{
    if (l->opt.zipf <= 0)
        return;
    l->zipf_sums = calloc(l->n_targets, sizeof *l->zipf_sums);
    if (!l->zipf_sums)
        die("targets");
    double sum = 0;
    for (size_t i = 0; i < l->n_targets; i++)
        l->zipf_sums[i] = sum += 1.0 / pow((double)i + 1, l->opt.zipf);
    for (size_t i = 0; i < l->n_targets; i++)
        l->zipf_sums[i] /= sum;
}

static const char *pick(load *l, const connection *c)
{
    if (l->opt.own)
        return l->targets[c->own % l->n_targets];
    if (!l->zipf_sums)
        return l->targets[draw(l) % l->n_targets];
    double at = draw_unit(l);
    size_t low = 0, high = l->n_targets - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (l->zipf_sums[middle] < at)
            low = middle + 1;
        else
            high = middle;
    }
    return l->targets[low];
}

static void connect_one(load *l, connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->opt.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll");
}

/* A connection that broke is an error and a new connection; the benchmark goes on. */
static void reconnect(load *l, connection *c)
{
    if (c->busy)
        l->errors++;
    close(c->fd);
    c->busy = c->in_body = false;
    c->head_len = c->out_len = c->out_at = 0;
    connect_one(l, c);
}

static void flush(load *l, connection *c)
{
    while (c->out_at < c->out_len) {
        ssize_t n = write(c->fd, c->out + c->out_at, c->out_len - c->out_at);
        if (n > 0)
            c->out_at += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            return;
        else {
            reconnect(l, c);
            return;
        }
    }
}

/* Writes the body with its number into `to`; returns its length. */
static size_t put_body(load *l, char *to, size_t room)
{
    const char *mark = strstr(l->opt.body, "{n}");
    int n;
    if (mark)
        n = snprintf(to, room, "%.*s%llu%s", (int)(mark - l->opt.body), l->opt.body,
                     (unsigned long long)++l->number, mark + 3);
    else
        n = snprintf(to, room, "%s", l->opt.body);
    return n > 0 && (size_t)n < room ? (size_t)n : 0;
}

static void send_request(load *l, connection *c, uint64_t due_us)
{
    static char body[64 * 1024];
    const char *target = pick(l, c);
    c->writes = l->opt.body && draw(l) % 100 < l->opt.writes_percent;
    size_t body_len = c->writes ? put_body(l, body, sizeof body) : 0;
    int n;
    if (c->writes)
        n = snprintf(c->out, REQUEST_MAX,
                     "POST %s HTTP/1.1\r\nHost: bench\r\n%sContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     target, l->opt.header, body_len);
    else
        n = snprintf(c->out, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", target,
                     l->opt.header);
    memcpy(c->out + n, body, body_len);
    c->out_len = (size_t)n + body_len;
    c->out_at = 0;
    c->busy = true;
    c->due_us = due_us;
    flush(l, c);
}

static const char *header(const connection *c, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = strchr(c->head, '\n'); at; at = strchr(at + 1, '\n'))
        if (strncasecmp(at + 1, name, len) == 0)
            return at + 1 + len;
    return NULL;
}

static void begin_body(connection *c)
{
    const char *length = header(c, "content-length:");
    const char *encoding = header(c, "transfer-encoding:");
    c->status = (int)strtol(c->head + 9, NULL, 10);
    c->chunked = encoding != NULL;
    c->body_left = length ? strtoll(length, NULL, 10) : 0;
    c->in_body = true;
    memset(c->tail, 0, sizeof c->tail);
}

/* Chunks are not taken apart: the body ends where its last bytes are "0\r\n\r\n". */
static bool chunks_end(connection *c, const char *from, size_t len)
{
    for (size_t i = len > 5 ? len - 5 : 0; i < len; i++) {
        memmove(c->tail, c->tail + 1, 4);
        c->tail[4] = from[i];
    }
    return memcmp(c->tail, "0\r\n\r\n", 5) == 0;
}

static void finish(load *l, connection *c, uint64_t now)
{
    histogram_add(c->writes ? &l->writes : &l->reads, now > c->due_us ? now - c->due_us : 0);
    l->statuses[c->status / 100 < 6 ? c->status / 100 : 0]++;
    c->busy = c->in_body = false;
    c->head_len = 0;
    if (l->opt.rate <= 0 && now < l->end_us)
        send_request(l, c, now);
}

/* Takes what was read; replies follow each other on a connection, never overlap. */
static void take(load *l, connection *c, const char *from, size_t len, uint64_t now)
{
    size_t used = 0;
    if (!c->in_body) {
        size_t room = HEAD_MAX - 1 - c->head_len, old = c->head_len;
        size_t copied = len < room ? len : room;
        memcpy(c->head + old, from, copied);
        c->head[old + copied] = 0;
        char *end = strstr(c->head + (old > 3 ? old - 3 : 0), "\r\n\r\n");
        if (!end) {
            c->head_len = old + copied;
            if (copied == room)
                reconnect(l, c);
            return;
        }
        used = (size_t)(end + 4 - c->head) - old;
        end[2] = 0;
        begin_body(c);
    }
    size_t left = len - used;
    bool done;
    if (c->chunked) {
        done = left && chunks_end(c, from + used, left);
    } else {
        c->body_left -= (long long)left;
        done = c->body_left <= 0;
    }
    if (done)
        finish(l, c, now);
}

static void on_readable(load *l, connection *c)
{
    static char buffer[READ_MAX];
    for (;;) {
        ssize_t n = read(c->fd, buffer, sizeof buffer);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            reconnect(l, c);
            if (l->opt.rate <= 0 && now_us() < l->end_us)
                send_request(l, c, now_us());
            return;
        }
        l->bytes += (uint64_t)n;
        if (c->busy)
            take(l, c, buffer, (size_t)n, now_us());
    }
}

static void wait_events(load *l, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(l->epoll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        connection *c = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            flush(l, c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            on_readable(l, c);
    }
}

/* Sends what is due on connections that are free; what finds none waits, its clock running. */
static void run_open(load *l, uint64_t begin)
{
    double step = 1e6 / l->opt.rate;
    uint64_t sent = 0;
    unsigned next = 0;
    for (uint64_t now = begin; now < l->end_us; now = now_us()) {
        uint64_t due_count = (uint64_t)((double)(now - begin) / step);
        for (unsigned tried = 0; sent < due_count && tried < l->opt.connections; tried++) {
            connection *c = &l->all[next++ % l->opt.connections];
            if (!c->busy) {
                send_request(l, c, begin + (uint64_t)((double)sent * step));
                sent++;
                tried = 0;
            }
        }
        if (sent < due_count)
            l->late++;
        wait_events(l, 0);
    }
}

static void run_closed(load *l)
{
    for (unsigned i = 0; i < l->opt.connections; i++)
        send_request(l, &l->all[i], now_us());
    while (now_us() < l->end_us)
        wait_events(l, 100);
}

static void drain(load *l)
{
    uint64_t until = now_us() + 2000000;
    for (bool busy = true; busy && now_us() < until;) {
        wait_events(l, 10);
        busy = false;
        for (unsigned i = 0; i < l->opt.connections; i++)
            busy |= l->all[i].busy;
    }
}

static void print(const load *l, double seconds)
{
    double count = (double)(l->reads.count + l->writes.count);
    printf("{\"seconds\":%.3f,\"rate\":%.1f,\"reads\":", seconds, count / seconds);
    histogram_print(&l->reads);
    printf(",\"writes\":");
    histogram_print(&l->writes);
    printf(",\"status\":{\"2xx\":%llu,\"3xx\":%llu,\"4xx\":%llu,\"5xx\":%llu}",
           (unsigned long long)l->statuses[2], (unsigned long long)l->statuses[3],
           (unsigned long long)l->statuses[4], (unsigned long long)l->statuses[5]);
    printf(",\"errors\":%llu,\"bytes\":%llu}\n", (unsigned long long)l->errors,
           (unsigned long long)l->bytes);
}

static const char *line_of(const char *text)
{
    static char line[REQUEST_MAX / 2];
    if ((size_t)snprintf(line, sizeof line, "%s\r\n", text) >= sizeof line)
        die("--header");
    return line;
}

static void parse(options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--own") == 0) {
            o->own = true;
            continue;
        }
        if (strcmp(argv[i], "--port") == 0)
            o->port = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--connections") == 0)
            o->connections = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            o->seconds = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--writes") == 0)
            o->writes_percent = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--rate") == 0)
            o->rate = strtod(value, NULL);
        else if (strcmp(argv[i], "--zipf") == 0)
            o->zipf = strtod(value, NULL);
        else if (strcmp(argv[i], "--body") == 0)
            o->body = value;
        else if (strcmp(argv[i], "--header") == 0)
            o->header = line_of(value);
        else
            die(argv[i]);
        i++;
    }
}

int main(int argc, char **argv)
{
    static load l;
    l.opt = (options){.connections = 64, .seconds = 5, .header = ""};
    l.chance = 42;
    l.number = now_us();
    parse(&l.opt, argc, argv);
    if (!l.opt.port || !l.opt.connections || l.opt.connections > CONNECTIONS_MAX)
        die("--port and --connections");
    read_targets(&l);
    prepare_zipf(&l);
    l.epoll = epoll_create1(0);
    l.all = calloc(l.opt.connections, sizeof *l.all);
    for (unsigned i = 0; l.all && i < l.opt.connections; i++) {
        l.all[i].own = i;
        l.all[i].out = malloc(REQUEST_MAX + 64 * 1024);
        connect_one(&l, &l.all[i]);
    }
    uint64_t begin = now_us();
    l.end_us = begin + (uint64_t)l.opt.seconds * 1000000;
    if (l.opt.rate > 0)
        run_open(&l, begin);
    else
        run_closed(&l);
    double seconds = (double)(now_us() - begin) / 1e6;
    drain(&l);
    print(&l, seconds);
    return 0;
}
