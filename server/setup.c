/*
 * The start's arithmetic: paths, urls, ids. Kept apart from main.c so that it can be tested without
 * a process.
 */
#include "server/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FOLDER_MODE = 0710 };

/* ---- places ---- */

static pang_str below(pang_arena *arena, pang_str folder, const char *name)
{
    return pang_arena_printf(arena, "%" PANG_STR_FMT "/%s", PANG_STR_ARG(folder), name);
}

/* The folder is there: one that this process can use? */
static pang_code check_folder(const char *given, char whole[PATH_MAX], pang_err *err)
{
    struct stat at;
    if (realpath(given, whole) == NULL || stat(whole, &at) != 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not use data folder \"%.256s\": %s",
                         given, strerror(errno));
    if (!S_ISDIR(at.st_mode))
        return pang_fail(err, PANG_UNAVAILABLE, NULL,
                         "data folder \"%.256s\" is not a folder but a file", given);
    if (access(whole, R_OK | W_OK | X_OK) != 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL,
                         "data folder \"%.256s\" is not writable for this user: %s", given,
                         strerror(errno));
    return PANG_OK;
}

pang_code pang_setup_places(const pang_config *config, pang_arena *arena, pang_places *ret,
                            pang_err *err)
{
    char whole[PATH_MAX];
    pang_str given = pang_config_text(config, PANG_OPT_DATA_DIR);
    pang_str socket = pang_config_text(config, PANG_OPT_SOCKET);
    if (given.len >= sizeof whole)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "data folder \"%.64s...\" has a path of %zu bytes, at most %d", given.ptr,
                         given.len, PATH_MAX - 1);
    /* The group may pass through, to the socket; each file in it has its own mode. */
    if (mkdir(given.ptr, FOLDER_MODE) == 0)
        (void)chmod(given.ptr, FOLDER_MODE);
    else if (errno != EEXIST)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not make data folder \"%.256s\": %s",
                         given.ptr, strerror(errno));
    pang_code code = check_folder(given.ptr, whole, err);
    if (code != PANG_OK)
        return code;
    if (!pang_arena_copy(arena, pang_str_from(whole), &ret->data))
        return pang_fail_memory(err);
    ret->lock = below(arena, ret->data, "run/server.lock");
    ret->socket = socket.len > 0 ? socket : below(arena, ret->data, "run/core.sock");
    ret->warehouse = below(arena, ret->data, "warehouse");
    return pang_arena_failed(arena) ? pang_fail_memory(err) : PANG_OK;
}

/* ---- the store's url ---- */

static const struct {
    const char *type;   /* storage-type */
    const char *spelt;  /* how a url of it begins */
    const char *scheme; /* api/storage.h's */
} url_kinds[] = {
    {"memory", "memory:", "memory:"},         {"sqlite", "sqlite:", "sqlite:"},
    {"postgres", "postgres:", "postgres:"},   {"postgres", "postgresql:", "postgres:"},
    {"postgresql", "postgres:", "postgres:"}, {"postgresql", "postgresql:", "postgres:"},
    {"mongodb", "mongodb:", "mongodb:"},      {"mongodb", "mongodb+srv:", "mongodb+srv:"},
    {"mongo", "mongodb:", "mongodb:"},        {"mongo", "mongodb+srv:", "mongodb+srv:"},
};

static bool is_sqlite_path(pang_str url)
{
    return pang_str_find(url, ':') == url.len &&
           (pang_str_ends(url, PANG_STR(".db")) || pang_str_ends(url, PANG_STR(".sqlite")));
}

static pang_code without_url(pang_str type, pang_str data, pang_arena *arena, pang_str *ret,
                             pang_err *err)
{
    if (pang_str_equal(type, PANG_STR("memory"))) {
        *ret = PANG_STR("memory:");
        return PANG_OK;
    }
    if (!pang_str_equal(type, PANG_STR("auto")) && !pang_str_equal(type, PANG_STR("sqlite")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "storage-type \"%" PANG_STR_FMT "\" needs a database-url (DATABASE_URL)",
                         PANG_STR_ARG(type));
    *ret = pang_arena_printf(arena, "sqlite:%" PANG_STR_FMT "/pangolin.db", PANG_STR_ARG(data));
    return ret->len == 0 ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_setup_store_url(const pang_config *config, pang_str data, pang_arena *arena,
                               pang_str *ret, pang_err *err)
{
    pang_str url = pang_config_text(config, PANG_OPT_DATABASE_URL);
    pang_str type = pang_config_text(config, PANG_OPT_STORAGE_TYPE);
    bool any = pang_str_equal(type, PANG_STR("auto"));
    if (url.len == 0)
        return without_url(type, data, arena, ret, err);
    if (is_sqlite_path(url))
        url = pang_arena_printf(arena, "sqlite:%" PANG_STR_FMT, PANG_STR_ARG(url));
    for (size_t i = 0; i < sizeof url_kinds / sizeof url_kinds[0]; i++) {
        pang_str spelt = pang_str_from(url_kinds[i].spelt);
        if (!pang_str_starts(url, spelt) ||
            !(any || pang_str_equal(type, pang_str_from(url_kinds[i].type))))
            continue;
        *ret = pang_arena_printf(arena, "%s%" PANG_STR_FMT, url_kinds[i].scheme,
                                 PANG_STR_ARG(pang_str_after(url, spelt.len)));
        return ret->len == 0 ? pang_fail_memory(err) : PANG_OK;
    }
    /* The url may hold a password, so it is not shown. */
    return pang_fail(
        err, PANG_INVALID_ARGUMENT, NULL,
        any ? "database-url (DATABASE_URL) is of no known kind: memory:, sqlite:FILE, FILE.db, "
              "FILE.sqlite, postgres://... or mongodb://..."
            : "database-url (DATABASE_URL) is not of the kind that storage-type says");
}

/* ---- the server's id ---- */

static pang_code write_id(const char *path, const pang_env *env, pang_err *err)
{
    char text[PANG_ID_HEX + 2];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not make \"%.256s\": %s", path,
                         strerror(errno));
    pang_id_hex(pang_id_v7(env), text);
    text[PANG_ID_HEX] = '\n';
    bool good = write(fd, text, PANG_ID_HEX + 1) == PANG_ID_HEX + 1 && fsync(fd) == 0;
    if (close(fd) != 0 || !good) {
        (void)unlink(path); /* half an id would stop every later start */
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not write \"%.256s\": %s", path,
                         strerror(errno));
    }
    return PANG_OK;
}

pang_code pang_setup_server_id(pang_str data, const pang_env *env, pang_id *ret, pang_err *err)
{
    char path[PATH_MAX], text[PANG_ID_HEX + 2];
    (void)snprintf(path, sizeof path, "%" PANG_STR_FMT "/server.id", PANG_STR_ARG(data));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        pang_code code = write_id(path, env, err);
        if (code != PANG_OK)
            return code;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not open \"%.256s\": %s", path,
                         strerror(errno));
    ssize_t got = read(fd, text, sizeof text);
    close(fd);
    if (got < PANG_ID_HEX || !pang_id_parse((pang_str){text, PANG_ID_HEX}, ret))
        return pang_fail(err, PANG_DATA_LOSS, NULL,
                         "\"%.256s\" holds no id; remove it to make a "
                         "new one",
                         path);
    return PANG_OK;
}

/* ---- the rest ---- */

pang_code pang_setup_uids(const pang_config *config, pang_arena *arena, const uid_t **ret,
                          size_t *ret_n, pang_err *err)
{
    const pang_str *list;
    size_t n = pang_config_list(config, PANG_OPT_ALLOWED_UIDS, &list);
    uid_t *uids = pang_arena_alloc_n(arena, n, sizeof *uids);
    if (uids == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        uint64_t number;
        if (!pang_str_to_uint64(list[i], &number) || number >= UINT32_MAX)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                             "allowed-uids: \"%" PANG_STR_FMT "\" is no user's number",
                             PANG_STR_ARG(pang_str_slice(list[i], 0, 64)));
        uids[i] = (uid_t)number;
    }
    *ret = uids;
    *ret_n = n;
    return PANG_OK;
}

void pang_setup_open_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

void pang_setup_notify(const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path == NULL ? 0 : strlen(path);
    if (len == 0 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract name space */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

pang_code pang_setup_objects(const pang_config *config, pang_str warehouse,
                             pang_objects *list[PANG_OBJECT_KINDS_MAX + 1], pang_err *err)
{
    const pang_str *more;
    pang_str roots[PANG_CONFIG_LIST_MAX + 1] = {warehouse};
    size_t n = pang_config_list(config, PANG_OPT_FILE_ROOTS, &more);
    pang_objects_config opened = {.file_roots = roots, .n_file_roots = n + 1};
    for (size_t i = 0; i < n; i++)
        roots[i + 1] = more[i];
    for (size_t i = 0; i < PANG_OBJECT_KINDS_MAX && pang_objects_kinds[i] != NULL; i++) {
        pang_str schemes = pang_str_from(pang_objects_kinds[i]->schemes), first;
        (void)pang_str_next(&schemes, ',', &first);
        pang_code code = pang_objects_open(first, &opened, &list[i], err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}
