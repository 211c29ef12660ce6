/*
 * A server that starts makes what is not there; a command that looks must not, or a mistyped
 * folder would look like an empty store.
 */
#include "api/offline.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "server/reach.h"
#include "server/setup.h"

static pang_code check_there(const char *kind, const char *path, pang_err *err)
{
    if (access(path, R_OK | W_OK) == 0)
        return PANG_OK;
    return pang_fail(err, errno == ENOENT ? PANG_NOT_FOUND : PANG_UNAVAILABLE, NULL,
                     "could not use %s \"%.256s\": %s", kind, path, strerror(errno));
}

pang_code pang_offline_open(const pang_config *config, const pang_env *env, pang_arena *arena,
                            pang_store **ret, pang_err *err)
{
    pang_str data = pang_config_text(config, PANG_OPT_DATA_DIR), url;
    pang_code code = pang_setup_store_url(config, data, arena, &url, err);
    if (code != PANG_OK)
        return code;
    if (pang_str_starts(url, PANG_STR("memory:")))
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "the store is in the memory of a server, nowhere else");
    if (pang_str_starts(url, PANG_STR("sqlite:"))) {
        if (!pang_config_is_set(config, PANG_OPT_DATABASE_URL))
            code = check_there("data folder", data.ptr, err);
        const char *path = pang_arena_cstr(arena, pang_str_after(url, sizeof "sqlite:" - 1));
        if (code == PANG_OK)
            code = path == NULL ? pang_fail_memory(err) : check_there("database", path, err);
    }
    return code == PANG_OK ? pang_reach_store(config, data, env, arena, ret, err) : code;
}
