/*
 * Loaded before the C library: every sync of a file or file system takes SLOW_SYNC_US longer, as on
 * a disk that is slower than the machine's own. What a commit waits for then is the disk and no
 * longer the processor, which is what commits in groups are for.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static void wait_for_disk(void)
{
    const char *said = getenv("SLOW_SYNC_US");
    long us = said == NULL ? 0 : strtol(said, NULL, 10);
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    (void)nanosleep(&left, NULL);
}

SHOWN int fsync(int fd)
{
    wait_for_disk();
    return (int)syscall(SYS_fsync, fd);
}

SHOWN int fdatasync(int fd)
{
    wait_for_disk();
    return (int)syscall(SYS_fdatasync, fd);
}

SHOWN int syncfs(int fd)
{
    wait_for_disk();
    return (int)syscall(SYS_syncfs, fd);
}
