/*
 * The start's first talk with the database. Servers and databases that are started together come up
 * in any order, so a database that cannot be reached is waited for; one that answers with a refusal
 * is not, since that would not change by itself.
 */
#include "server/reach.h"

#include <signal.h>
#include <time.h>

#include "api/log.h"
#include "server/setup.h"

enum { PAUSE_MS = 250 };

static bool is_mongodb(pang_str url)
{
    return pang_str_starts(url, PANG_STR("mongodb"));
}

/* `own` where it is set and meant for this database, else `common`. */
static unsigned choose(const pang_config *config, bool own_counts, pang_option_id own,
                       pang_option_id common)
{
    int64_t number = own_counts ? pang_config_int(config, own) : 0;
    return (unsigned)(number > 0 ? number : pang_config_int(config, common));
}

static void fill(const pang_config *config, pang_store_config *c)
{
    bool mongo = is_mongodb(c->url);
    c->connections = choose(config, mongo, PANG_OPT_MONGO_CONNECTIONS,
                            PANG_OPT_DATABASE_CONNECTIONS);
    c->connections_min = choose(config, mongo, PANG_OPT_MONGO_CONNECTIONS_MIN,
                                PANG_OPT_DATABASE_CONNECTIONS_MIN);
    c->connect_timeout_ms = pang_config_int(config, PANG_OPT_DATABASE_CONNECT_TIMEOUT);
    if (mongo)
        c->database = pang_config_text(config, PANG_OPT_MONGO_DATABASE);
}

static bool is_stopped(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
            sigismember(&pending, SIGQUIT) == 1);
}

static pang_code try_once(const pang_store_config *c, pang_store **ret, pang_err *err)
{
    pang_store *store = NULL;
    pang_code code = pang_store_open(c, &store, err);
    if (code == PANG_OK)
        code = pang_store_migrate(store, err);
    if (code == PANG_OK)
        *ret = store;
    else
        pang_store_close(store);
    return code;
}

pang_code pang_reach_store(const pang_config *config, pang_str data, const pang_env *env,
                           pang_arena *arena, pang_store **ret, pang_err *err)
{
    pang_store_config c = {.env = env};
    pang_code code = pang_setup_store_url(config, data, arena, &c.url, err);
    if (code != PANG_OK)
        return code;
    const pang_store_ops *ops = pang_store_find(c.url);
    bool waits = ops != NULL && !ops->local;
    fill(config, &c);
    int64_t until = pang_env_mono_ms(env) + c.connect_timeout_ms;
    for (bool is_first = true;; is_first = false) {
        code = try_once(&c, ret, err);
        if (code != PANG_UNAVAILABLE || !waits || pang_env_mono_ms(env) + PAUSE_MS >= until ||
            is_stopped())
            return code;
        if (is_first)
            PANG_LOG(WARN, "the database cannot be reached; waiting for it",
                     PANG_LOG_TEXT("why", pang_str_from(err->message)),
                     PANG_LOG_TEXT("detail", pang_str_from(err->detail)),
                     PANG_LOG_NUMBER("ms", c.connect_timeout_ms));
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
}
