/*
 * The layer of sqlite_shim.h. Every file has an image of what is durable, kept in memory, and the
 * list of writes since its last sync. A sync carries the list out on the image; a loss of power
 * carries out a random part of it on a copy. That files exist is taken as durable.
 */
#include "tests/storage/sqlite_shim.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

enum { FILES_MAX = 16, SECTOR = 512 };

typedef struct pending {
    struct pending *next;
    sqlite3_int64 at; /* of a truncation: the new size */
    size_t len;
    bool is_truncation;
    char bytes[];
} pending;

typedef struct {
    char *bytes;
    size_t len, room;
} image;

typedef struct {
    char *path; /* NULL: free */
    image durable;
    pending *first, **last;
    int opened; /* by how many connections */
} tracked;

typedef struct {
    sqlite3_file base;
    tracked *file; /* NULL: temporary */
    sqlite3_file *real;
} shim_file;

/* SQLite calls with nothing of ours at hand. */
static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *real;
    tracked files[FILES_MAX];
    shim_op op;
    int left, rc, failed;
    bool for_ever;
    shim_watch_fn *watch;
    void *watch_arg;
} shim = {.lock = PTHREAD_MUTEX_INITIALIZER};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((shim_file *)file)->real;
}

/* ---- images ---- */

static void image_resize(image *i, size_t len)
{
    if (len > i->room) {
        i->room = len * 2;
        i->bytes = realloc(i->bytes, i->room);
        assert(i->bytes != NULL);
    }
    if (len > i->len)
        memset(i->bytes + i->len, 0, len - i->len);
    i->len = len;
}

static void image_write(image *i, size_t at, const char *bytes, size_t len)
{
    if (at + len > i->len)
        image_resize(i, at + len);
    memcpy(i->bytes + at, bytes, len);
}

static void image_do(image *i, const pending *p)
{
    if (p->is_truncation)
        image_resize(i, (size_t)p->at);
    else
        image_write(i, (size_t)p->at, p->bytes, p->len);
}

static void note_pending(tracked *t, sqlite3_int64 at, const void *bytes, size_t len, bool cut)
{
    pending *p = malloc(sizeof *p + len);
    assert(p != NULL);
    *p = (pending){.at = at, .len = len, .is_truncation = cut};
    if (len > 0)
        memcpy(p->bytes, bytes, len);
    *t->last = p;
    t->last = &p->next;
}

static void drop_pending(tracked *t)
{
    for (pending *p = t->first, *next; p != NULL; p = next) {
        next = p->next;
        free(p);
    }
    t->first = NULL;
    t->last = &t->first;
}

/* ---- loss of power ---- */

static uint64_t throw(uint64_t * dice, uint64_t sides)
{
    *dice = *dice * 6364136223846793005u + 1442695040888963407u;
    return (*dice >> 33) % sides;
}

/* Some of the sectors of a write; the bytes of a sector come together. */
static void write_torn(image *i, const pending *p, uint64_t *dice)
{
    size_t at = (size_t)p->at;
    for (size_t done = 0; done < p->len;) {
        size_t part = SECTOR - (at + done) % SECTOR;
        if (part > p->len - done)
            part = p->len - done;
        if (throw(dice, 2) == 0)
            image_write(i, at + done, p->bytes + done, part);
        done += part;
    }
}

static bool crash_file(const tracked *t, const char *folder, uint64_t *dice)
{
    image left = {0};
    image_resize(&left, t->durable.len);
    if (left.len > 0)
        memcpy(left.bytes, t->durable.bytes, left.len);
    /* Disks are kind in different degrees: mostly all or nothing, at times every write its own. */
    uint64_t mood = throw(dice, 4);
    for (const pending *p = t->first; p != NULL; p = p->next) {
        uint64_t fate = mood == 0 ? 0 : mood == 1 ? 1 : throw(dice, 3);
        if (fate == 0 || (p->is_truncation && fate == 2))
            image_do(&left, p);
        else if (fate == 2)
            write_torn(&left, p, dice);
    }
    char path[1024];
    const char *name = strrchr(t->path, '/');
    (void)snprintf(path, sizeof path, "%s%s", folder, name);
    FILE *to = fopen(path, "wb");
    bool done = to != NULL && fwrite(left.bytes, 1, left.len, to) == left.len;
    if (to != NULL)
        done &= fclose(to) == 0;
    free(left.bytes);
    return done;
}

bool shim_crash(const char *folder, uint64_t *dice)
{
    bool done = true;
    for (int i = 0; i < FILES_MAX; i++)
        if (shim.files[i].path != NULL && shim.files[i].opened > 0)
            done &= crash_file(&shim.files[i], folder, dice);
    return done;
}

/* ---- faults ---- */

/* SQLITE_OK, or what the call must answer. REQUIRES: the lock. */
static int fault(shim_op op)
{
    if (op != shim.op || shim.left == 0)
        return SQLITE_OK;
    if (shim.left > 1) {
        shim.left--;
        return SQLITE_OK;
    }
    if (!shim.for_ever)
        shim.left = 0;
    shim.failed++;
    return shim.rc;
}

void shim_fail(shim_op op, int n, int rc, bool for_ever)
{
    (void)pthread_mutex_lock(&shim.lock);
    shim.op = op;
    shim.left = n;
    shim.rc = rc;
    shim.for_ever = for_ever;
    shim.failed = 0;
    (void)pthread_mutex_unlock(&shim.lock);
}

int shim_failed(void)
{
    (void)pthread_mutex_lock(&shim.lock);
    int failed = shim.failed;
    (void)pthread_mutex_unlock(&shim.lock);
    return failed;
}

void shim_watch(shim_watch_fn *fn, void *arg)
{
    (void)pthread_mutex_lock(&shim.lock);
    shim.watch = fn;
    shim.watch_arg = arg;
    (void)pthread_mutex_unlock(&shim.lock);
}

static void tell_watcher(void)
{
    if (shim.watch != NULL)
        shim.watch(shim.watch_arg);
}

/* ---- a file's methods ---- */

static int file_close(sqlite3_file *file)
{
    shim_file *f = (shim_file *)file;
    int rc = f->real->pMethods->xClose(f->real);
    (void)pthread_mutex_lock(&shim.lock);
    if (f->file != NULL)
        f->file->opened--;
    (void)pthread_mutex_unlock(&shim.lock);
    return rc;
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    shim_file *f = (shim_file *)file;
    (void)pthread_mutex_lock(&shim.lock);
    int rc = fault(SHIM_WRITE);
    if (rc == SQLITE_OK)
        rc = f->real->pMethods->xWrite(f->real, bytes, len, at);
    if (rc == SQLITE_OK && f->file != NULL) {
        note_pending(f->file, at, bytes, (size_t)len, false);
        tell_watcher();
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return rc;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    shim_file *f = (shim_file *)file;
    (void)pthread_mutex_lock(&shim.lock);
    int rc = fault(SHIM_TRUNCATE);
    if (rc == SQLITE_OK)
        rc = f->real->pMethods->xTruncate(f->real, size);
    if (rc == SQLITE_OK && f->file != NULL) {
        note_pending(f->file, size, NULL, 0, true);
        tell_watcher();
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return rc;
}

/* The real sync is left out: what it is for is this file's image. */
static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    shim_file *f = (shim_file *)file;
    (void)pthread_mutex_lock(&shim.lock);
    int rc = fault(SHIM_SYNC);
    if (rc == SQLITE_OK && f->file != NULL) {
        for (const pending *p = f->file->first; p != NULL; p = p->next)
            image_do(&f->file->durable, p);
        drop_pending(f->file);
        tell_watcher();
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return rc;
}

static int file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xRead(real, to, len, at);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xFileSize(real, ret);
}

static int file_lock(sqlite3_file *file, int level)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xLock(real, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xUnlock(real, level);
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xCheckReservedLock(real, ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xFileControl(real, op, arg);
}

static int file_sector(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xSectorSize(real);
}

static int file_traits(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xDeviceCharacteristics(real);
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmMap(real, page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int at, int n, int flags)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmLock(real, at, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    real->pMethods->xShmBarrier(real);
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods->xShmUnmap(real, remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- opening ---- */

/* What a file holds when it is first seen is durable. */
static void read_image(tracked *t)
{
    FILE *from = fopen(t->path, "rb");
    t->durable.len = 0;
    if (from == NULL)
        return;
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, from)) > 0;)
        image_write(&t->durable, t->durable.len, block, n);
    (void)fclose(from);
}

static tracked *track(const char *path)
{
    tracked *unused = NULL;
    for (int i = 0; i < FILES_MAX; i++) {
        tracked *t = &shim.files[i];
        if (t->path != NULL && strcmp(t->path, path) == 0) {
            if (t->opened++ == 0) {
                drop_pending(t);
                read_image(t);
            }
            return t;
        }
        if (unused == NULL && (t->path == NULL || t->opened == 0))
            unused = t;
    }
    assert(unused != NULL);
    free(unused->path);
    if (unused->last == NULL)
        unused->last = &unused->first;
    drop_pending(unused);
    unused->path = strdup(path);
    unused->opened = 1;
    read_image(unused);
    return unused;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    shim_file *f = (shim_file *)file;
    *f = (shim_file){.real = (sqlite3_file *)(f + 1)};
    (void)pthread_mutex_lock(&shim.lock);
    int rc = shim.real->xOpen(shim.real, path, f->real, flags, out);
    if (rc == SQLITE_OK) {
        f->base.pMethods = &methods;
        f->file = path == NULL ? NULL : track(path);
    }
    (void)pthread_mutex_unlock(&shim.lock);
    return rc;
}

void shim_install(void)
{
    if (shim.real != NULL)
        return;
    shim.real = sqlite3_vfs_find(NULL);
    shim.vfs = *shim.real;
    shim.vfs.zName = "shim";
    shim.vfs.pNext = NULL;
    shim.vfs.szOsFile = (int)sizeof(shim_file) + shim.real->szOsFile;
    shim.vfs.xOpen = vfs_open;
    assert(sqlite3_vfs_register(&shim.vfs, 1) == SQLITE_OK);
}
