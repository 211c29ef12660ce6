/*
 * Object store `file`: files of this machine, for evaluation and for shared file systems.
 *
 * Every path is resolved by the kernel below the folder of an allowed root that was opened at
 * start (openat2: never above it, and through no symbolic link on the way), so neither a tenant's
 * location nor a link planted in a warehouse leads a read or a write out of it.
 *
 * A file appears under its name whole or not at all: it is written under a hidden temporary name
 * and then renamed, in a way that fails if the name is taken. Nothing is ever replaced, but by
 * recovery. (A file without a name, O_TMPFILE and linkat, costs ext4 twice the time.)
 *
 * Paths are taken as they stand, percent signs included, as engines take them; Location has
 * refused "." and ".." in every spelling.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vending/kinds.h"

enum {
    SYNC_EACH_MAX = 8,  /* more files than this are made durable by one syncfs */
    FOLDER_MODE = 0777, /* less the umask: engines run as other users of the group */
    FILE_MODE = 0666,
    ROOTS_MAX = 64,
    TEMPORARY_MAX = 64,
    TEMPORARY_TRIES = 1000,
};

typedef struct {
    char *path; /* without a slash at either end, as in pang_location.path */
    int fd;
} file_root;

typedef struct {
    pang_objects base;
    file_root *roots;
    size_t n_roots;
    atomic_uint temporary; /* part of temporary names */
} file_objects;

/* A place: a root and a path below it, split before its last segment. NUL-terminated. */
typedef struct {
    int root;
    char path[PATH_MAX];
    char folder[PATH_MAX]; /* "." when the file lies in the root itself */
    const char *name;      /* in path; "." for the root itself */
} place;

static pang_code fail_errno(pang_err *err, int number, const char *verb, const pang_location *at)
{
    pang_code code = PANG_UNAVAILABLE;
    const char *reason = NULL;
    if (number == ENOSPC || number == EDQUOT || number == ENOMEM || number == EMFILE)
        code = PANG_RESOURCE_EXHAUSTED;
    if (number == ENOSPC || number == EDQUOT)
        reason = "InsufficientStorage";
    if (number == EEXIST)
        code = PANG_ALREADY_EXISTS;
    if (number == ENAMETOOLONG || number == ELOOP || number == ENOTDIR) {
        code = PANG_INVALID_ARGUMENT;
        reason = "BadRequestException";
    }
    return pang_fail(err, code, reason, "could not %s file: %" PANG_STR_FMT ": %s", verb,
                     PANG_STR_ARG(at->text), strerror(number));
}

static pang_code fail_missing(pang_err *err, const pang_location *at)
{
    return pang_fail(err, PANG_NOT_FOUND, "NotFoundException",
                     "Failed to open input stream for file: %" PANG_STR_FMT,
                     PANG_STR_ARG(at->text));
}

static bool is_missing(int number)
{
    return number == ENOENT || number == ENOTDIR || number == ELOOP || number == EXDEV;
}

/* ---- places ---- */

/* The root that `path` lies in, and what is left of it. */
static const file_root *find_root(const file_objects *objects, pang_str path, pang_str *ret_rest)
{
    for (size_t i = 0; i < objects->n_roots; i++) {
        pang_str root = pang_str_from(objects->roots[i].path);
        if (!pang_str_starts(path, root))
            continue;
        pang_str rest = pang_str_after(path, root.len);
        if (root.len > 0 && rest.len > 0 && rest.ptr[0] != '/')
            continue;
        *ret_rest = root.len > 0 && rest.len > 0 ? pang_str_after(rest, 1) : rest;
        return &objects->roots[i];
    }
    return NULL;
}

/* 0, EACCES (outside of all roots) or ENAMETOOLONG. */
static int find_place(pang_objects *base, const pang_location *at, place *ret)
{
    pang_str rest = {0};
    assert(base->magic == PANG_OBJECTS_MAGIC && pang_str_equal(at->scheme, PANG_STR("file")));
    const file_root *root = find_root((file_objects *)base, at->path, &rest);
    if (root == NULL)
        return EACCES;
    if (rest.len >= sizeof ret->path)
        return ENAMETOOLONG;
    ret->root = root->fd;
    (void)snprintf(ret->path, sizeof ret->path, "%" PANG_STR_FMT, PANG_STR_ARG(rest));
    char *slash = strrchr(ret->path, '/');
    ret->name = rest.len == 0 ? "." : slash == NULL ? ret->path : slash + 1;
    if (slash == NULL)
        memcpy(ret->folder, ".", 2);
    else
        (void)snprintf(ret->folder, sizeof ret->folder, "%.*s", (int)(slash - ret->path),
                       ret->path);
    return 0;
}

static pang_code fail_outside(pang_err *err, int number, const pang_location *at)
{
    if (number != EACCES)
        return fail_errno(err, number, "reach", at);
    return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                     "location is outside of the folders that this server may use: %" PANG_STR_FMT,
                     PANG_STR_ARG(at->text));
}

static int open_beneath(int root, const char *path, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, root, path[0] == '\0' ? "." : path, &how, sizeof how);
}

static int open_folder(int root, const char *folder)
{
    return open_beneath(root, folder, O_PATH | O_DIRECTORY);
}

/* Opens a folder below the root and makes it, and those above it, when absent. -1 and errno. */
static int make_folder(int root, const char *folder)
{
    int fd = open_folder(root, folder);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    char path[PATH_MAX];
    size_t len = strlen(folder);
    memcpy(path, folder, len + 1);
    fd = open_folder(root, ".");
    for (char *at = path, *next; fd >= 0 && at < path + len; at = next) {
        next = at + strcspn(at, "/");
        *next++ = '\0';
        if (mkdirat(fd, at, FOLDER_MODE) != 0 && errno != EEXIST) {
            int failure = errno;
            close(fd);
            errno = failure;
            return -1;
        }
        int deeper = openat(fd, at, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int failure = errno;
        close(fd);
        errno = failure;
        fd = deeper;
    }
    return fd;
}

/* ---- writing ---- */

static int write_all(int fd, pang_str body)
{
    while (body.len > 0) {
        ssize_t wrote = write(fd, body.ptr, body.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return errno;
        body = pang_str_after(body, (size_t)wrote);
    }
    return 0;
}

/* `folder` may be open as a path only, which fsync refuses. */
static int sync_folder(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failure = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return failure;
}

/* A name may be there already, from a process that died: then the next one is tried. */
static int open_temporary(file_objects *objects, int folder, char temporary[TEMPORARY_MAX])
{
    int fd = -1;
    for (size_t i = 0; i < TEMPORARY_TRIES; i++) {
        unsigned number = atomic_fetch_add(&objects->temporary, 1);
        (void)snprintf(temporary, TEMPORARY_MAX, ".pangolin-%d-%u.tmp", (int)getpid(), number);
        fd = openat(folder, temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
                    FILE_MODE);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    return fd;
}

/* Gives the written file its name, which must be free; 0 or an errno. */
static int name_it(int folder, const char *temporary, const char *name)
{
    if (renameat2(folder, temporary, folder, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    /* Some file systems know no such rename. */
    int failure = linkat(folder, temporary, folder, name, 0) == 0 ? 0 : errno;
    (void)unlinkat(folder, temporary, 0);
    return failure;
}

static int put_in(file_objects *objects, int folder, const char *name, pang_str body,
                  pang_durability durability)
{
    char temporary[TEMPORARY_MAX];
    int fd = open_temporary(objects, folder, temporary);
    if (fd < 0)
        return errno;
    int failure = write_all(fd, body);
    if (failure == 0 && durability == PANG_DURABLE && fsync(fd) != 0)
        failure = errno;
    if (failure == 0)
        failure = name_it(folder, temporary, name);
    if (failure != 0)
        (void)unlinkat(folder, temporary, 0);
    close(fd);
    return failure == 0 && durability == PANG_DURABLE ? sync_folder(folder) : failure;
}

static pang_code file_put(pang_objects *base, const pang_location *at, pang_str body,
                          pang_durability durability, pang_err *err)
{
    place to;
    int failure = find_place(base, at, &to);
    if (failure != 0)
        return fail_outside(err, failure, at);
    int folder = make_folder(to.root, to.folder);
    if (folder < 0)
        return fail_errno(err, errno, "make the folder of", at);
    failure = put_in((file_objects *)base, folder, to.name, body, durability);
    close(folder);
    return failure == 0 ? PANG_OK : fail_errno(err, failure, "write", at);
}

static int restore_in(file_objects *objects, int folder, const char *name, pang_str body)
{
    char temporary[TEMPORARY_MAX];
    int fd = open_temporary(objects, folder, temporary);
    if (fd < 0)
        return errno;
    int failure = write_all(fd, body);
    if (failure == 0 && fsync(fd) != 0)
        failure = errno;
    if (failure == 0 && renameat(folder, temporary, folder, name) != 0)
        failure = errno;
    if (failure != 0)
        (void)unlinkat(folder, temporary, 0);
    close(fd);
    return failure == 0 ? sync_folder(folder) : failure;
}

static pang_code file_restore(pang_objects *base, const pang_location *at, pang_str body,
                              pang_err *err)
{
    place to;
    int failure = find_place(base, at, &to);
    if (failure != 0)
        return fail_outside(err, failure, at);
    int folder = make_folder(to.root, to.folder);
    if (folder < 0)
        return fail_errno(err, errno, "make the folder of", at);
    failure = restore_in((file_objects *)base, folder, to.name, body);
    close(folder);
    return failure == 0 ? PANG_OK : fail_errno(err, failure, "restore", at);
}

/* ---- reading ---- */

static pang_code read_all(int fd, const pang_location *at, size_t size, pang_arena *arena,
                          pang_str *ret, pang_err *err)
{
    char *to = pang_arena_alloc_text(arena, size + 1);
    size_t got = 0;
    if (to == NULL)
        return pang_fail_memory(err);
    while (got < size) {
        ssize_t more = read(fd, to + got, size - got);
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0)
            return fail_errno(err, errno, "read", at);
        if (more == 0)
            break; /* it was cut since the stat: the caller's parser will say */
        got += (size_t)more;
    }
    to[got] = '\0';
    *ret = (pang_str){to, got};
    return PANG_OK;
}

static pang_code read_open(int fd, const pang_location *at, size_t max_bytes, pang_arena *arena,
                           pang_str *ret, pang_err *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return fail_errno(err, errno, "read", at);
    if (!S_ISREG(about.st_mode))
        return fail_missing(err, at);
    if (about.st_size < 0 || (uint64_t)about.st_size > max_bytes)
        return pang_fail(err, PANG_OUT_OF_RANGE, "BadRequestException",
                         "file is too large: %" PANG_STR_FMT ": %lld bytes, at most %zu",
                         PANG_STR_ARG(at->text), (long long)about.st_size, max_bytes);
    return read_all(fd, at, (size_t)about.st_size, arena, ret, err);
}

static pang_code file_get(pang_objects *base, const pang_location *at, size_t max_bytes,
                          pang_arena *arena, pang_str *ret, pang_err *err)
{
    place from;
    int failure = find_place(base, at, &from);
    if (failure != 0)
        return failure == EACCES ? fail_missing(err, at) : fail_outside(err, failure, at);
    /* Non-blocking, so that a FIFO of this name cannot hold a thread. */
    int fd = open_beneath(from.root, from.path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return is_missing(errno) ? fail_missing(err, at) : fail_errno(err, errno, "open", at);
    pang_code code = read_open(fd, at, max_bytes, arena, ret, err);
    close(fd);
    return code;
}

static pang_code file_stat(pang_objects *base, const pang_location *at, int64_t *ret_bytes,
                           pang_err *err)
{
    struct stat about;
    place from;
    int failure = find_place(base, at, &from);
    if (failure != 0)
        return failure == EACCES ? fail_missing(err, at) : fail_outside(err, failure, at);
    int fd = open_beneath(from.root, from.path, O_PATH);
    if (fd < 0)
        return is_missing(errno) ? fail_missing(err, at) : fail_errno(err, errno, "look at", at);
    failure = fstat(fd, &about) == 0 ? 0 : errno;
    close(fd);
    if (failure != 0)
        return fail_errno(err, failure, "look at", at);
    if (!S_ISREG(about.st_mode))
        return fail_missing(err, at);
    *ret_bytes = about.st_size;
    return PANG_OK;
}

static bool file_permits(pang_objects *base, const pang_location *at)
{
    place ignored;
    return pang_str_equal(at->scheme, PANG_STR("file")) && find_place(base, at, &ignored) == 0;
}

/* ---- the rest ---- */

static pang_code file_remove(pang_objects *base, const pang_location *at, pang_err *err)
{
    place from;
    int failure = find_place(base, at, &from);
    if (failure != 0)
        return fail_outside(err, failure, at);
    int folder = open_folder(from.root, from.folder);
    if (folder < 0)
        return is_missing(errno) ? PANG_OK : fail_errno(err, errno, "remove", at);
    failure = unlinkat(folder, from.name, 0) == 0 ? 0 : errno;
    close(folder);
    if (failure != 0 && !is_missing(failure))
        return fail_errno(err, failure, "remove", at);
    return PANG_OK;
}

/* DuckDB writes into these folders and does not make them. */
static pang_code file_prepare_table(pang_objects *base, const pang_location *at, pang_err *err)
{
    static const char *const folders[] = {"metadata", "data"};
    place to;
    int failure = find_place(base, at, &to);
    if (failure != 0)
        return fail_outside(err, failure, at);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[PATH_MAX];
        int len = snprintf(path, sizeof path, "%s%s%s", to.path, to.path[0] == '\0' ? "" : "/",
                           folders[i]);
        if (len < 0 || (size_t)len >= sizeof path)
            return fail_errno(err, ENAMETOOLONG, "make the folders of", at);
        int fd = make_folder(to.root, path);
        if (fd < 0)
            return fail_errno(err, errno, "make the folders of", at);
        close(fd);
    }
    return PANG_OK;
}

static int sync_open(const place *from, int fd, bool whole_file_system)
{
    if ((whole_file_system ? syncfs(fd) : fsync(fd)) != 0)
        return errno;
    if (whole_file_system)
        return 0;
    int folder = open_folder(from->root, from->folder);
    if (folder < 0)
        return errno;
    int failure = sync_folder(folder);
    close(folder);
    return failure;
}

/* Syncs one file, or with a `last` device that is not the file's own, its whole file system. */
static pang_code sync_one(pang_objects *base, const pang_location *at, dev_t *last, pang_err *err)
{
    struct stat about = {0};
    place from;
    int failure = find_place(base, at, &from);
    if (failure != 0)
        return fail_outside(err, failure, at);
    int fd = open_beneath(from.root, from.path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return is_missing(errno) ? PANG_OK : fail_errno(err, errno, "open", at);
    if (last != NULL && fstat(fd, &about) != 0)
        failure = errno;
    else if (last == NULL || about.st_dev != *last)
        failure = sync_open(&from, fd, last != NULL);
    if (last != NULL)
        *last = about.st_dev;
    close(fd);
    return failure == 0 ? PANG_OK : fail_errno(err, failure, "sync", at);
}

static pang_code file_sync(pang_objects *base, const pang_location *at, size_t n, pang_err *err)
{
    dev_t last = 0;
    for (size_t i = 0; i < n; i++) {
        pang_code code = sync_one(base, &at[i], n > SYNC_EACH_MAX ? &last : NULL, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* ---- opening ---- */

/* ---- listing ---- */

/* One walk: the folders that are open, and the text of where it is. */
typedef struct {
    DIR *open[PANG_LIST_DEPTH_MAX];
    size_t ends[PANG_LIST_DEPTH_MAX]; /* length of text up to that folder */
    size_t depth;
    char text[2 * PATH_MAX];
    pang_listed_fn *fn;
    void *arg;
    const pang_location *at;
} walk;

/* 0 or errno; takes fd. */
static int enter(walk *w, int fd, size_t end)
{
    if (fd < 0)
        return errno;
    if (w->depth == PANG_LIST_DEPTH_MAX) {
        close(fd);
        return ELOOP;
    }
    w->open[w->depth] = fdopendir(fd);
    if (w->open[w->depth] == NULL) {
        int failure = errno;
        close(fd);
        return failure;
    }
    w->ends[w->depth++] = end;
    return 0;
}

/* Shows a file or enters a folder. What is gone meanwhile, and links, are passed over. */
static int visit(walk *w, const char *name, bool *ret_stop)
{
    struct stat about;
    int folder = dirfd(w->open[w->depth - 1]);
    size_t end = w->ends[w->depth - 1], len = strlen(name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return is_missing(errno) ? 0 : errno;
    if (end + 1 + len >= sizeof w->text)
        return ENAMETOOLONG;
    w->text[end] = '/';
    memcpy(w->text + end + 1, name, len + 1);
    if (S_ISDIR(about.st_mode)) {
        int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 && is_missing(errno) ? 0 : enter(w, fd, end + 1 + len);
    }
    pang_listed file = {
        .location = {w->text, end + 1 + len},
        .bytes = about.st_size,
        .modified_ms = about.st_mtim.tv_sec * INT64_C(1000) + about.st_mtim.tv_nsec / 1000000,
    };
    *ret_stop = S_ISREG(about.st_mode) && !w->fn(w->arg, &file);
    return 0;
}

static int run_walk(walk *w)
{
    bool stop = false;
    int failure = 0;
    while (failure == 0 && !stop && w->depth > 0) {
        errno = 0;
        struct dirent *entry = readdir(w->open[w->depth - 1]);
        if (entry != NULL)
            failure = visit(w, entry->d_name, &stop);
        else if (errno != 0)
            failure = errno;
        else
            closedir(w->open[--w->depth]);
    }
    while (w->depth > 0)
        closedir(w->open[--w->depth]);
    return failure;
}

static pang_code file_list(pang_objects *base, const pang_location *at, pang_listed_fn *fn,
                           void *arg, pang_err *err)
{
    place from;
    int failure = find_place(base, at, &from);
    if (failure != 0)
        return fail_outside(err, failure, at);
    walk *w = calloc(1, sizeof *w);
    if (w == NULL)
        return pang_fail_memory(err);
    w->fn = fn;
    w->arg = arg;
    (void)snprintf(w->text, sizeof w->text, "%" PANG_STR_FMT, PANG_STR_ARG(at->text));
    failure = enter(w, open_beneath(from.root, from.path, O_RDONLY | O_DIRECTORY), strlen(w->text));
    if (failure == 0)
        failure = run_walk(w);
    else if (is_missing(failure))
        failure = 0;
    free(w);
    return failure == 0 ? PANG_OK : fail_errno(err, failure, "list", at);
}

static void file_close(pang_objects *base)
{
    file_objects *objects = (file_objects *)base;
    for (size_t i = 0; i < objects->n_roots; i++) {
        free(objects->roots[i].path);
        if (objects->roots[i].fd >= 0)
            close(objects->roots[i].fd);
    }
    free(objects->roots);
    free(objects);
}

static pang_code fail_root(pang_err *err, pang_str path, const char *why)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                     "could not open warehouse folder \"%" PANG_STR_FMT "\": %s",
                     PANG_STR_ARG(path), why);
}

/* Makes a root's folder with those above it: the operator's own path, links and all. */
static int make_root(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, FOLDER_MODE) != 0 && errno != EEXIST)
            return errno;
        part[i] = i < len ? '/' : '\0';
    }
    return 0;
}

static pang_code add_root(file_objects *objects, pang_str path, pang_err *err)
{
    char whole[PATH_MAX];
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    if (path.len == 0 || path.ptr[0] != '/' || path.len >= sizeof whole)
        return fail_root(err, path, "not an absolute path");
    (void)snprintf(whole, sizeof whole, "%" PANG_STR_FMT, PANG_STR_ARG(path));
    file_root *root = &objects->roots[objects->n_roots];
    root->fd = -1;
    root->path = strdup(whole + 1);
    if (root->path == NULL)
        return pang_fail_memory(err);
    objects->n_roots++;
    int failure = make_root(whole);
    if (failure == 0) {
        root->fd = open(whole, O_PATH | O_DIRECTORY | O_CLOEXEC);
        failure = root->fd < 0 ? errno : 0;
    }
    return failure == 0 ? PANG_OK : fail_root(err, path, strerror(failure));
}

static pang_code file_open(const pang_objects_config *config, pang_objects **ret, pang_err *err)
{
    file_objects *objects = calloc(1, sizeof *objects);
    pang_code code = PANG_OK;
    if (objects == NULL)
        return pang_fail_memory(err);
    objects->base = (pang_objects){PANG_OBJECTS_MAGIC, &pang_objects_file};
    if (config->n_file_roots > ROOTS_MAX)
        code = fail_root(err, config->file_roots[ROOTS_MAX], "too many folders");
    if (code == PANG_OK) {
        objects->roots = calloc(config->n_file_roots + 1, sizeof *objects->roots);
        code = objects->roots == NULL ? pang_fail_memory(err) : PANG_OK;
    }
    for (size_t i = 0; code == PANG_OK && i < config->n_file_roots; i++)
        code = add_root(objects, config->file_roots[i], err);
    if (code == PANG_OK)
        *ret = &objects->base;
    else
        file_close(&objects->base);
    return code;
}

const pang_objects_ops pang_objects_file = {
    .schemes = "file",
    .local = true,
    .open = file_open,
    .close = file_close,
    .permits = file_permits,
    .put = file_put,
    .restore = file_restore,
    .get = file_get,
    .stat = file_stat,
    .remove = file_remove,
    .prepare_table = file_prepare_table,
    .sync = file_sync,
    .list = file_list,
};
