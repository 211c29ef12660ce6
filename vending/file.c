/*
 * Object store `file`: files of this machine, for evaluation and for shared file systems.
 *
 * A file appears under its name whole or not at all: it is written without a name (O_TMPFILE) and
 * then linked, which fails if the name is taken; file systems without O_TMPFILE get a hidden
 * temporary name first. Nothing is ever replaced. The last step of a path is never followed when
 * it is a symbolic link, so that a link planted in a warehouse cannot lead a read or write out.
 *
 * Paths are taken as they stand: Location has refused "." and ".." in every spelling.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vending/kinds.h"

enum {
    SYNC_EACH_MAX = 8, /* more files than this are made durable by one syncfs */
    FOLDER_MODE = 0777, /* less the umask: engines run as other users of the group */
    FILE_MODE = 0666,
};

typedef struct {
    pang_objects base;
    atomic_uint temporary; /* part of temporary names */
} file_objects;

/* A path with its folder; both NUL-terminated. */
typedef struct {
    char path[PATH_MAX];
    char folder[PATH_MAX];
} place;

static pang_code fail_errno(pang_err *err, int number, const char *verb, const pang_location *at)
{
    pang_code code = PANG_UNAVAILABLE;
    const char *reason = NULL;
    if (number == ENOSPC || number == EDQUOT || number == ENOMEM || number == EMFILE)
        code = PANG_RESOURCE_EXHAUSTED;
    if (number == EEXIST)
        code = PANG_ALREADY_EXISTS;
    if (number == ENAMETOOLONG)
        code = PANG_INVALID_ARGUMENT;
    if (number == ENAMETOOLONG)
        reason = "BadRequestException";
    return pang_fail(err, code, reason, "could not %s file: %" PANG_STR_FMT ": %s", verb,
                     PANG_STR_ARG(at->text), strerror(number));
}

static pang_code find_place(const pang_location *at, place *ret, pang_err *err)
{
    assert(pang_str_equal(at->scheme, PANG_STR("file")));
    int len = snprintf(ret->path, sizeof ret->path, "/%" PANG_STR_FMT, PANG_STR_ARG(at->path));
    if (len < 0 || (size_t)len >= sizeof ret->path)
        return fail_errno(err, ENAMETOOLONG, "reach", at);
    memcpy(ret->folder, ret->path, (size_t)len + 1);
    char *slash = strrchr(ret->folder, '/');
    slash[slash == ret->folder ? 1 : 0] = '\0';
    return PANG_OK;
}

/* Makes a folder and those above it; 0 or an errno. */
static int make_folders(const char *folder)
{
    char path[PATH_MAX];
    size_t len = strlen(folder);
    if (mkdir(folder, FOLDER_MODE) == 0 || errno == EEXIST)
        return 0;
    if (errno != ENOENT)
        return errno;
    memcpy(path, folder, len + 1);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
            return errno;
        *slash = '/';
    }
    return mkdir(path, FOLDER_MODE) == 0 || errno == EEXIST ? 0 : errno;
}

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

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failure = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return failure;
}

/* Opens a file that has no name that others look for: none at all (`temporary` is then empty),
 * or a hidden one. -1 and errno on failure. */
static int open_unnamed(file_objects *objects, const place *at, char temporary[PATH_MAX])
{
    temporary[0] = '\0';
    int fd = open(at->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, FILE_MODE);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    unsigned number = atomic_fetch_add(&objects->temporary, 1);
    int len = snprintf(temporary, PATH_MAX, "%s/.pangolin-%d-%u.tmp", at->folder, (int)getpid(),
                       number);
    if (len < 0 || len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
}

/* Gives the written file its name; 0 or an errno. */
static int link_named(int fd, const char *temporary, const char *path)
{
    char self[64];
    if (temporary[0] != '\0')
        return linkat(AT_FDCWD, temporary, AT_FDCWD, path, 0) == 0 ? 0 : errno;
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

static int put_open(int fd, const char *temporary, const place *at, pang_str body,
                    pang_durability durability)
{
    int failure = write_all(fd, body);
    if (failure == 0 && durability == PANG_DURABLE && fsync(fd) != 0)
        failure = errno;
    if (failure == 0)
        failure = link_named(fd, temporary, at->path);
    if (failure == 0 && durability == PANG_DURABLE)
        failure = sync_folder(at->folder);
    return failure;
}

static pang_code file_put(pang_objects *base, const pang_location *at, pang_str body,
                          pang_durability durability, pang_err *err)
{
    file_objects *objects = (file_objects *)base;
    char temporary[PATH_MAX];
    place to;
    pang_code code = find_place(at, &to, err);
    if (code != PANG_OK)
        return code;
    int fd = open_unnamed(objects, &to, temporary);
    if (fd < 0 && errno == ENOENT) {
        int failure = make_folders(to.folder);
        if (failure != 0)
            return fail_errno(err, failure, "make the folder of", at);
        fd = open_unnamed(objects, &to, temporary);
    }
    if (fd < 0)
        return fail_errno(err, errno, "create", at);
    int failure = put_open(fd, temporary, &to, body, durability);
    if (temporary[0] != '\0')
        (void)unlink(temporary);
    close(fd);
    return failure == 0 ? PANG_OK : fail_errno(err, failure, "write", at);
}

static pang_code fail_missing(pang_err *err, const pang_location *at)
{
    return pang_fail(err, PANG_NOT_FOUND, "NotFoundException",
                     "Failed to open input stream for file: %" PANG_STR_FMT,
                     PANG_STR_ARG(at->text));
}

static bool is_missing(int number)
{
    return number == ENOENT || number == ENOTDIR || number == ELOOP;
}

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

static pang_code file_get(pang_objects *base, const pang_location *at, size_t max_bytes,
                          pang_arena *arena, pang_str *ret, pang_err *err)
{
    (void)base;
    struct stat about;
    place from;
    pang_code code = find_place(at, &from, err);
    if (code != PANG_OK)
        return code;
    /* Non-blocking, so that a FIFO of this name cannot hold a thread. */
    int fd = open(from.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return is_missing(errno) ? fail_missing(err, at) : fail_errno(err, errno, "open", at);
    if (fstat(fd, &about) != 0)
        code = fail_errno(err, errno, "read", at);
    else if (!S_ISREG(about.st_mode))
        code = fail_missing(err, at);
    else if (about.st_size < 0 || (uint64_t)about.st_size > max_bytes)
        code = pang_fail(err, PANG_OUT_OF_RANGE, "BadRequestException",
                         "file is too large: %" PANG_STR_FMT ": %lld bytes, at most %zu",
                         PANG_STR_ARG(at->text), (long long)about.st_size, max_bytes);
    else
        code = read_all(fd, at, (size_t)about.st_size, arena, ret, err);
    close(fd);
    return code;
}

static pang_code file_stat(pang_objects *base, const pang_location *at, int64_t *ret_bytes,
                           pang_err *err)
{
    (void)base;
    struct stat about;
    place from;
    pang_code code = find_place(at, &from, err);
    if (code != PANG_OK)
        return code;
    if (lstat(from.path, &about) != 0)
        return is_missing(errno) ? fail_missing(err, at) : fail_errno(err, errno, "look at", at);
    if (!S_ISREG(about.st_mode))
        return fail_missing(err, at);
    *ret_bytes = about.st_size;
    return PANG_OK;
}

static pang_code file_remove(pang_objects *base, const pang_location *at, pang_err *err)
{
    (void)base;
    place from;
    pang_code code = find_place(at, &from, err);
    if (code != PANG_OK)
        return code;
    if (unlink(from.path) != 0 && !is_missing(errno))
        return fail_errno(err, errno, "remove", at);
    return PANG_OK;
}

/* DuckDB writes into these folders and does not make them. */
static pang_code file_prepare_table(pang_objects *base, const pang_location *at, pang_err *err)
{
    (void)base;
    static const char *const folders[] = {"metadata", "data"};
    place to;
    pang_code code = find_place(at, &to, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[PATH_MAX];
        int len = snprintf(path, sizeof path, "%s/%s", to.path, folders[i]);
        int failure = len < 0 || (size_t)len >= sizeof path ? ENAMETOOLONG : make_folders(path);
        if (failure != 0)
            return fail_errno(err, failure, "make the folders of", at);
    }
    return PANG_OK;
}

static pang_code sync_one(const pang_location *at, bool whole_file_system, pang_err *err)
{
    place from;
    pang_code code = find_place(at, &from, err);
    if (code != PANG_OK)
        return code;
    int fd = open(from.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return is_missing(errno) ? PANG_OK : fail_errno(err, errno, "open", at);
    int failure = (whole_file_system ? syncfs(fd) : fsync(fd)) == 0 ? 0 : errno;
    close(fd);
    if (failure == 0 && !whole_file_system)
        failure = sync_folder(from.folder);
    return failure == 0 ? PANG_OK : fail_errno(err, failure, "sync", at);
}

/* The device a file is on; 0 when it is gone. */
static dev_t device_of(const pang_location *at)
{
    struct stat about;
    place from;
    pang_err ignored;
    if (find_place(at, &from, &ignored) != PANG_OK || lstat(from.path, &about) != 0)
        return 0;
    return about.st_dev;
}

static pang_code file_sync(pang_objects *base, const pang_location *at, size_t n, pang_err *err)
{
    (void)base;
    dev_t last = 0;
    for (size_t i = 0; i < n; i++) {
        if (n > SYNC_EACH_MAX) {
            dev_t device = device_of(&at[i]);
            if (device == 0 || device == last)
                continue;
            last = device;
        }
        pang_code code = sync_one(&at[i], n > SYNC_EACH_MAX, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static pang_code file_open(pang_objects **ret, pang_err *err)
{
    file_objects *objects = calloc(1, sizeof *objects);
    if (objects == NULL)
        return pang_fail_memory(err);
    objects->base = (pang_objects){PANG_OBJECTS_MAGIC, &pang_objects_file};
    *ret = &objects->base;
    return PANG_OK;
}

static void file_close(pang_objects *base)
{
    free(base);
}

const pang_objects_ops pang_objects_file = {
    .schemes = "file",
    .open = file_open,
    .close = file_close,
    .put = file_put,
    .get = file_get,
    .stat = file_stat,
    .remove = file_remove,
    .prepare_table = file_prepare_table,
    .sync = file_sync,
};
