/*
 * A disk that is full on command, without a disk: preloaded into a program, it lets files grow no
 * more while the file named by PANG_TEST_FULL_DISK exists. Bytes that are there may be written
 * over, and files may be made, as on a real one. Sockets and pipes are left alone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at);

static bool grows(int fd, off_t at, size_t n)
{
    struct stat about;
    const char *flag = getenv("PANG_TEST_FULL_DISK");
    if (n == 0 || flag == NULL || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
        return false;
    if (at < 0)
        at = (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? about.st_size : lseek(fd, 0, SEEK_CUR);
    return at + (off_t)n > about.st_size && access(flag, F_OK) == 0;
}

static ssize_t is_full(void)
{
    errno = ENOSPC;
    return -1;
}

/* The C library's own function of this name. */
static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

EXPORT ssize_t write(int fd, const void *from, size_t n)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL)
        *(void **)&real = next("write");
    return grows(fd, -1, n) ? is_full() : real(fd, from, n);
}

EXPORT ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (real == NULL)
        *(void **)&real = next("pwrite64");
    return grows(fd, at, n) ? is_full() : real(fd, from, n, at);
}

EXPORT ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    return pwrite64(fd, from, n, at);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    size_t all = 0;
    for (int i = 0; i < n; i++)
        all += parts[i].iov_len;
    if (real == NULL)
        *(void **)&real = next("writev");
    return grows(fd, -1, all) ? is_full() : real(fd, parts, n);
}
