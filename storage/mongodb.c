/*
 * Backend `mongodb:`: any number of servers on whatever speaks MongoDB's wire. This file opens and
 * migrates; mongodb_read.c reads, mongodb_apply.c writes, mongodb_log.c knows the documents.
 *
 * The one thing trusted is that of several inserts with one _id a single one wins. So the store is
 * a log: a group of commits is one document, whose _id is the next number. Records are derived from
 * the log and never changed either; each commit adds a version. Updates, transactions and sessions
 * are not used: what speaks this wire does not agree on them.
 */
#include "storage/mongodb_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA_VERSION = 1,
    CLIENTS_DEFAULT = 16,
    CLIENTS_MAX = 512,
    CONNECT_TIMEOUT_MS = 10000,
    ANSWER_TIMEOUT_MS = 20000, /* of one command, on the socket, where the URL says nothing */
    CLOCK_LIFE_MS = 20000,
    SELECT_MS = 5000,       /* what a call waits for a database that is away */
    PING_TIMEOUT_MS = 3000, /* connecting and answering, each */
};

static mongodb_store *mongodb_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC && store->ops == &pang_mongodb_ops);
    return (mongodb_store *)store;
}

/* ---- errors and clients ---- */

pang_code pang_mongo_fail(const bson_error_t *error, pang_err *err)
{
    enum { TIMED_OUT = 50, TOO_LARGE = 10334, NO_SPACE = 14031, NO_RIGHT = 13, NO_LOGIN = 18 };
    pang_code code = PANG_UNAVAILABLE;
    if (error->domain == MONGOC_ERROR_SERVER) {
        code = error->code == TIMED_OUT                              ? PANG_DEADLINE_EXCEEDED
               : error->code == TOO_LARGE || error->code == NO_SPACE ? PANG_RESOURCE_EXHAUSTED
               : error->code == NO_RIGHT || error->code == NO_LOGIN  ? PANG_FAILED_PRECONDITION
                                                                     : PANG_UNAVAILABLE;
    } else if (error->domain == MONGOC_ERROR_CLIENT &&
               error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
        code = PANG_FAILED_PRECONDITION;
    }
    (void)pang_fail(err, code, NULL, "the MongoDB store failed (%u.%u)", error->domain,
                    error->code);
    pang_err_detail(err, "%s", error->message);
    return code;
}

pang_code pang_mongo_take(mongodb_store *s, mongo_session *ret, pang_err *err)
{
    ret->client = mongoc_client_pool_pop(s->pool); /* waits as long as waitQueueTimeoutMS says */
    if (ret->client == NULL)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "no connection to the MongoDB store is free");
    ret->records = mongoc_client_get_collection(ret->client, s->database, "pangolin");
    return PANG_OK;
}

void pang_mongo_give(mongodb_store *s, mongo_session *c)
{
    if (c->client == NULL)
        return;
    mongoc_collection_destroy(c->records);
    mongoc_client_pool_push(s->pool, c->client);
    *c = (mongo_session){0};
}

static pang_code ask_clock(mongodb_store *s, mongo_session *c, pang_err *err)
{
    bson_t *command = BCON_NEW("isMaster", BCON_INT32(1));
    bson_t reply;
    bson_error_t error;
    int64_t before = pang_env_wall_ms(s->base.env);
    bool done = mongoc_client_command_simple(c->client, "admin", command, NULL, &reply, &error);
    int64_t after = pang_env_wall_ms(s->base.env);
    bson_iter_t at;
    pang_code code = PANG_OK;
    if (!done) {
        code = pang_mongo_fail(&error, err);
    } else if (!bson_iter_init_find(&at, &reply, "localTime") || !BSON_ITER_HOLDS_DATE_TIME(&at)) {
        code = pang_fail(err, PANG_INTERNAL, NULL, "the MongoDB store has no clock");
    } else {
        (void)pthread_mutex_lock(&s->lock);
        s->clock_ahead_ms = bson_iter_date_time(&at) - (before + after) / 2;
        s->clock_asked_ms = pang_env_mono_ms(s->base.env);
        (void)pthread_mutex_unlock(&s->lock);
    }
    bson_destroy(&reply);
    bson_destroy(command);
    return code;
}

pang_code pang_mongo_now(mongodb_store *s, mongo_session *c, int64_t *ret_ms, pang_err *err)
{
    int64_t mono = pang_env_mono_ms(s->base.env);
    (void)pthread_mutex_lock(&s->lock);
    bool is_old = s->clock_asked_ms == 0 || mono - s->clock_asked_ms > CLOCK_LIFE_MS;
    (void)pthread_mutex_unlock(&s->lock);
    pang_code code = is_old ? ask_clock(s, c, err) : PANG_OK;
    (void)pthread_mutex_lock(&s->lock);
    *ret_ms = pang_env_wall_ms(s->base.env) + s->clock_ahead_ms;
    (void)pthread_mutex_unlock(&s->lock);
    return code;
}

/* A client outside of the pool: neither a pool that is used up nor the time limit of real work
 * shall decide whether the database answers. */
static mongoc_client_t *make_pinger(const mongodb_store *s)
{
    mongoc_uri_t *uri = mongoc_uri_copy(s->uri);
    static const char *const limits[] = {MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                         MONGOC_URI_CONNECTTIMEOUTMS, MONGOC_URI_SOCKETTIMEOUTMS};
    bool set = true;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        set = mongoc_uri_set_option_as_int32(uri, limits[i], PING_TIMEOUT_MS) && set;
    mongoc_client_t *client = set ? mongoc_client_new_from_uri(uri) : NULL;
    if (client != NULL)
        (void)mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    mongoc_uri_destroy(uri);
    return client;
}

static pang_store_ping_fn mongodb_ping;
static pang_code mongodb_ping(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    (void)deadline_ms; /* the client's own time limits hold */
    mongodb_store *s = mongodb_of(store);
    pang_code code;
    (void)pthread_mutex_lock(&s->ping_lock);
    if (s->pinger == NULL)
        s->pinger = make_pinger(s);
    mongo_session c = {.client = s->pinger};
    code = c.client == NULL ? pang_fail_memory(err) : ask_clock(s, &c, err);
    if (code != PANG_OK && s->pinger != NULL) {
        mongoc_client_destroy(s->pinger); /* a new one does not wait before it tries again */
        s->pinger = NULL;
    }
    (void)pthread_mutex_unlock(&s->ping_lock);
    return code;
}

/* ---- open, migrate, close ---- */

static pang_store_close_fn mongodb_close;
static void mongodb_close(pang_store *store)
{
    if (store == NULL)
        return;
    mongodb_store *s = mongodb_of(store);
    for (size_t i = 0; i < s->n_tail; i++)
        pang_mongo_entry_drop(s->tail[i]);
    if (s->pinger != NULL)
        mongoc_client_destroy(s->pinger);
    if (s->pool != NULL)
        mongoc_client_pool_destroy(s->pool);
    if (s->uri != NULL)
        mongoc_uri_destroy(s->uri);
    (void)pthread_mutex_destroy(&s->ping_lock);
    (void)pthread_mutex_destroy(&s->apply_lock);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->database);
    free(s);
}

/* The mark of the schema; *ret: 0 when there is none. */
static pang_code read_schema(mongo_session *c, int64_t *ret, pang_err *err)
{
    bson_t *filter = BCON_NEW("_id", BCON_UTF8("schema"));
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(c->records, filter, NULL, NULL);
    const bson_t *document = NULL;
    bson_iter_t at;
    bson_error_t error;
    pang_code code = PANG_OK;
    *ret = 0;
    if (mongoc_cursor_next(found, &document) && bson_iter_init_find(&at, document, "version"))
        *ret = bson_iter_as_int64(&at);
    if (mongoc_cursor_error(found, &error))
        code = pang_mongo_fail(&error, err);
    else if (*ret > SCHEMA_VERSION)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "the MongoDB store has schema version %" PRId64 ", this program knows up "
                         "to %d: it was written by a newer one",
                         *ret, SCHEMA_VERSION);
    mongoc_cursor_destroy(found);
    bson_destroy(filter);
    return code;
}

/* The clients of the pool that shall be connected from the start. */
static pang_code fill_pool(mongodb_store *s, unsigned n, pang_err *err)
{
    mongoc_client_t *taken[CLIENTS_MAX];
    bson_t *command = BCON_NEW("ping", BCON_INT32(1));
    bson_error_t error;
    pang_code code = PANG_OK;
    unsigned i = 0;
    for (; i < n && code == PANG_OK && (taken[i] = mongoc_client_pool_pop(s->pool)) != NULL; i++) {
        if (!mongoc_client_command_simple(taken[i], "admin", command, NULL, NULL, &error))
            code = pang_mongo_fail(&error, err);
    }
    while (i > 0)
        mongoc_client_pool_push(s->pool, taken[--i]);
    bson_destroy(command);
    return code;
}

/* Where the log was derived up to: the tail starts there. */
static pang_code find_derived(mongodb_store *s, mongo_session *c, pang_err *err)
{
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8("d"), "$lt", BCON_UTF8("e"), "}");
    bson_t *options = BCON_NEW("sort", "{", "_id", BCON_INT32(-1), "}", "limit", BCON_INT64(1));
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(c->records, filter, options, NULL);
    const bson_t *document = NULL;
    bson_error_t error;
    pang_code code = PANG_OK;
    if (mongoc_cursor_next(found, &document))
        pang_mongo_forget(s, strtoull(pang_mongo_id_of(document) + 1, NULL, 16));
    if (mongoc_cursor_error(found, &error))
        code = pang_mongo_fail(&error, err);
    mongoc_cursor_destroy(found);
    bson_destroy(options);
    bson_destroy(filter);
    return code;
}

/* By key: `_id` orders by key too, but only as a string with escapes. */
static pang_code create_index(mongo_session *c, pang_err *err)
{
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8("pangolin"), "indexes", "[", "{", "name",
                               BCON_UTF8("k"), "key", "{", "k", BCON_INT32(1), "_id", BCON_INT32(1),
                               "}", "}", "]");
    bson_error_t error;
    bool done = mongoc_collection_write_command_with_opts(c->records, command, NULL, NULL, &error);
    bson_destroy(command);
    return done ? PANG_OK : pang_mongo_fail(&error, err);
}

static pang_store_migrate_fn mongodb_migrate;
static pang_code mongodb_migrate(pang_store *store, pang_err *err)
{
    mongodb_store *s = mongodb_of(store);
    mongo_session c = {0};
    pang_err why = {0};
    int64_t schema = 0;
    pang_code code = pang_mongo_take(s, &c, &why);
    if (code == PANG_OK)
        code = read_schema(&c, &schema, &why);
    if (code == PANG_OK && schema == 0)
        code = create_index(&c, &why);
    if (code == PANG_OK && schema == 0) {
        bson_t *mark = BCON_NEW("_id", BCON_UTF8("schema"), "version", BCON_INT32(SCHEMA_VERSION));
        bson_error_t error;
        (void)mongoc_collection_insert_one(c.records, mark, NULL, NULL, &error);
        bson_destroy(mark);
        code = read_schema(&c, &schema, &why); /* ours, or that of who was faster */
        if (code == PANG_OK && schema == 0)
            code = pang_mongo_fail(&error, &why);
    }
    pang_mongo_give(s, &c);
    if (code != PANG_OK && err != NULL)
        *err = why;
    return code;
}

static pthread_once_t driver_once = PTHREAD_ONCE_INIT;

static void start_driver(void)
{
    mongoc_init();
    mongoc_log_set_handler(NULL, NULL); /* its lines would stand between ours */
}

static unsigned count_clients(const pang_store_config *config, const mongoc_uri_t *uri)
{
    int32_t given = mongoc_uri_get_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, CLIENTS_DEFAULT);
    unsigned wanted = config->connections > 0 ? config->connections
                      : given > 0             ? (unsigned)given
                                              : CLIENTS_DEFAULT;
    return wanted < CLIENTS_MAX ? wanted : CLIENTS_MAX;
}

static pang_code make_pool(mongodb_store *s, const pang_store_config *config, pang_err *err)
{
    int64_t patience = config->connect_timeout_ms > 0 ? config->connect_timeout_ms
                                                      : CONNECT_TIMEOUT_MS;
    int64_t select = patience < SELECT_MS ? patience : SELECT_MS;
    char *url = strndup(config->url.ptr, config->url.len);
    bson_error_t error;
    s->uri = url == NULL ? NULL : mongoc_uri_new_with_error(url, &error);
    free(url);
    if (s->uri == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "the url of the MongoDB store is wrong");
    const char *database = mongoc_uri_get_database(s->uri);
    if (config->database.len > 0)
        s->database = strndup(config->database.ptr, config->database.len);
    else
        s->database = strdup(database == NULL || database[0] == '\0' ? "pangolin" : database);
    mongoc_uri_t *uri = s->uri;
    unsigned clients = count_clients(config, uri);
    int32_t answer = mongoc_uri_get_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS,
                                                    ANSWER_TIMEOUT_MS);
    bool set = mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                              (int32_t)select) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
                                              (int32_t)patience) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, answer) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS,
                                              (int32_t)patience);
    mongoc_write_concern_t *durable = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(durable, 0);
    mongoc_write_concern_set_journal(durable, true);
    mongoc_uri_set_write_concern(uri, durable);
    mongoc_write_concern_destroy(durable);
    mongoc_read_concern_t *kept = mongoc_read_concern_new();
    (void)mongoc_read_concern_set_level(kept, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri, kept);
    mongoc_read_concern_destroy(kept);
    s->pool = set && s->database != NULL ? mongoc_client_pool_new(uri) : NULL;
    if (s->pool == NULL)
        return pang_fail_memory(err);
    (void)mongoc_client_pool_set_error_api(s->pool, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_pool_max_size(s->pool, clients);
    s->clients_min = config->connections_min < clients ? config->connections_min : clients;
    return PANG_OK;
}

static pang_store_open_fn mongodb_open;
static pang_code mongodb_open(const pang_store_config *config, pang_store **ret, pang_err *err)
{
    (void)pthread_once(&driver_once, start_driver);
    mongodb_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pang_fail_memory(err);
    s->base = (pang_store){PANG_STORE_MAGIC, &pang_mongodb_ops, config->env};
    (void)pthread_mutex_init(&s->ping_lock, NULL);
    (void)pthread_mutex_init(&s->apply_lock, NULL);
    (void)pthread_mutex_init(&s->lock, NULL);
    mongo_session c = {0};
    int64_t schema = 0;
    pang_err why = {0};
    pang_code code = make_pool(s, config, &why);
    if (code == PANG_OK)
        code = pang_mongo_take(s, &c, &why);
    if (code == PANG_OK)
        code = read_schema(&c, &schema, &why);
    if (code == PANG_OK)
        code = find_derived(s, &c, &why);
    pang_mongo_give(s, &c);
    if (code == PANG_OK)
        code = fill_pool(s, s->clients_min, &why);
    if (code != PANG_OK) {
        if (err != NULL)
            *err = why;
        mongodb_close(&s->base);
        return code;
    }
    *ret = &s->base;
    return PANG_OK;
}

const pang_store_ops pang_mongodb_ops = {
    .scheme = "mongodb",
    .exclusive = false,
    .local = false,
    .open = mongodb_open,
    .close = mongodb_close,
    .migrate = mongodb_migrate,
    .ping = mongodb_ping,
    .get = pang_mongodb_get,
    .scan = pang_mongodb_scan,
    .apply = pang_mongodb_apply,
};
