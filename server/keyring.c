/*
 * Keyring. The record is read whole and written whole, under its version: two servers that start,
 * rotate or re-seal at once do it once. What is unsealed lives in a ring that is never changed; a
 * newer one takes its place under the lock, which signers and readers hold while they use it.
 */
#include "server/keyring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/keys_secrets.h"
#include "pangolin/store/v1/secrets.pb-c.h"
#include "server/records.h"
#include "server/secrets.h"

enum {
    WORK_MEMORY = 1 << 20,
    PEPPER_BYTES = 32,
    FIELD_MAX = 64,
    KID_BYTES = 8,
    STORE_MS = 30 * 1000, /* the deadline of what this module does in the store */
};
#define TOKENS_LIVE_MS ((int64_t)(PANG_TOKEN_LIFE_MAX_S + PANG_TOKEN_LEEWAY_S) * 1000)

typedef Pangolin__Store__V1__Keyring rec_keyring;
typedef Pangolin__Store__V1__Keyring__SigningKey rec_key;
typedef Pangolin__Store__V1__Keyring__Pepper rec_pepper;

typedef struct {
    char kid[2 * KID_BYTES + 1];
    pang_asym *key;
    int64_t created_ms, signs_from_ms, verifies_until_ms;
} signing_key;

typedef struct {
    char id[2 * KID_BYTES + 1];
    uint8_t bytes[PEPPER_BYTES];
} pepper;

/* What a record says, opened. Const once it is in a keyring. */
typedef struct {
    size_t n_keys, n_peppers;
    signing_key keys[PANG_KEYRING_KEYS_MAX];
    pepper peppers[PANG_KEYRING_PEPPERS_MAX];
} ring;

struct pang_keyring {
    pang_keyring_config config; /* const */
    pthread_rwlock_t lock;      /* guards ring: read while it is used, written to replace it */
    ring *ring;
    atomic_uint_fast64_t generation;
};

/* What is done to the record, in one transaction. */
typedef enum { READ, ROTATE, ROTATE_AT_ONCE, RESEAL } task;

typedef struct {
    pang_keyring *keyring;
    task task;
    int64_t older_than_ms; /* ROTATE: only if the newest key was made before; 0: in any case */
    pang_arena *arena;
    pang_str key; /* the record's */
    rec_keyring *body;
    bool changed;
    ring *ring; /* out */
} job;

static void free_ring(ring *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->n_keys; i++)
        pang_asym_free(r->keys[i].key);
    pang_wipe(r, sizeof *r);
    free(r);
}

/* ---- sealed fields ---- */

static pang_seal_place place_of(const job *j, const char *what, const char *id,
                                char field[FIELD_MAX])
{
    size_t n = strlen(what), m = strlen(id);
    if (n + m >= FIELD_MAX)
        m = FIELD_MAX - 1 - n; /* ids of ours are shorter; a damaged one then does not open */
    memcpy(field, what, n);
    memcpy(field + n, id, m);
    return (pang_seal_place){.scope = PANG_SYSTEM_SCOPE,
                             .kind = PANG_KIND_KEYRING,
                             .key = j->key,
                             .field = {field, n + m}};
}

#define SIGNING_KEY "signing-key/"
#define PEPPER "pepper/"

static pang_code seal_field(job *j, const char *what, const char *id, pang_str plain,
                            ProtobufCBinaryData *ret, pang_err *err)
{
    char field[FIELD_MAX];
    pang_str sealed;
    pang_seal_place place = place_of(j, what, id, field);
    pang_code code = pang_seal(j->keyring->config.sealer, j->keyring->config.env, &place, plain,
                               j->arena, &sealed, err);
    if (code == PANG_OK)
        *ret = pang_bytes_of(sealed);
    return code;
}

static pang_code unseal_field(job *j, const char *what, const char *id, ProtobufCBinaryData sealed,
                              size_t len, pang_str *ret, pang_err *err)
{
    char field[FIELD_MAX];
    pang_seal_place place = place_of(j, what, id, field);
    pang_code code = pang_unseal(j->keyring->config.sealer, &place, pang_str_of(sealed), j->arena,
                                 ret, err);
    if (code == PANG_OK && (ret->len != len || strlen(id) != 2 * KID_BYTES))
        return pang_fail(err, PANG_DATA_LOSS, NULL, "the keyring holds a secret of a wrong form");
    return code;
}

/* ---- making ---- */

static char *new_id(const job *j)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[KID_BYTES];
    char *text = pang_arena_alloc_text(j->arena, 2 * KID_BYTES + 1);
    if (text == NULL)
        return NULL;
    pang_env_random(j->keyring->config.env, bytes, sizeof bytes);
    for (size_t i = 0; i < 2 * KID_BYTES; i++)
        text[i] = hex[bytes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    text[2 * KID_BYTES] = '\0';
    return text;
}

/* Random bytes, sealed under a new id. */
static pang_code new_secret(job *j, const char *what, char **ret_id, ProtobufCBinaryData *ret,
                            pang_err *err)
{
    uint8_t bytes[PEPPER_BYTES];
    _Static_assert((int)PEPPER_BYTES == (int)PANG_SEED_BYTES, "both are 32 random bytes");
    *ret_id = new_id(j);
    if (*ret_id == NULL)
        return pang_fail_memory(err);
    pang_env_random(j->keyring->config.env, bytes, sizeof bytes);
    pang_code code = seal_field(j, what, *ret_id, (pang_str){(const char *)bytes, sizeof bytes},
                                ret, err);
    pang_wipe(bytes, sizeof bytes);
    return code;
}

static pang_code add_key(job *j, int64_t now_ms, int64_t signs_from_ms, pang_err *err)
{
    rec_keyring *body = j->body;
    rec_key *key = pang_arena_alloc(j->arena, sizeof *key);
    rec_key **keys = pang_arena_alloc_n(j->arena, body->n_keys + 1, sizeof(rec_key *));
    if (key == NULL || keys == NULL)
        return pang_fail_memory(err);
    pangolin__store__v1__keyring__signing_key__init(key);
    key->created_ms = now_ms;
    key->signs_from_ms = signs_from_ms;
    if (body->n_keys > 0)
        memcpy(keys, body->keys, body->n_keys * sizeof(rec_key *));
    keys[body->n_keys++] = key;
    body->keys = keys;
    return new_secret(j, SIGNING_KEY, &key->kid, &key->seed, err);
}

static pang_code make_first(job *j, pang_err *err)
{
    rec_pepper *made = pang_arena_alloc(j->arena, sizeof *made);
    j->body = pang_arena_alloc(j->arena, sizeof *j->body);
    rec_pepper **peppers = pang_arena_alloc(j->arena, sizeof(rec_pepper *));
    if (made == NULL || j->body == NULL || peppers == NULL)
        return pang_fail_memory(err);
    pangolin__store__v1__keyring__init(j->body);
    pangolin__store__v1__keyring__pepper__init(made);
    made->created_ms = pang_env_wall_ms(j->keyring->config.env);
    peppers[0] = made;
    j->body->peppers = peppers;
    j->body->n_peppers = 1;
    j->changed = true;
    pang_code code = new_secret(j, PEPPER, &made->id, &made->bytes, err);
    return code == PANG_OK ? add_key(j, made->created_ms, made->created_ms, err) : code;
}

/* ---- changing ---- */

/* Keys whose last token has expired go. */
static void drop_ended(rec_keyring *body, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < body->n_keys; i++)
        if (body->keys[i]->verifies_until_ms == 0 || body->keys[i]->verifies_until_ms > now_ms)
            body->keys[kept++] = body->keys[i];
    body->n_keys = kept;
}

static pang_code rotate(job *j, pang_err *err)
{
    rec_keyring *body = j->body;
    int64_t now = pang_env_wall_ms(j->keyring->config.env);
    int64_t from = j->task == ROTATE_AT_ONCE ? now : now + PANG_KEYRING_DELAY_MS;
    if (j->older_than_ms != 0 && body->n_keys > 0 &&
        body->keys[body->n_keys - 1]->created_ms >= j->older_than_ms)
        return PANG_OK; /* another server was faster */
    if (j->task == ROTATE_AT_ONCE)
        body->n_keys = 0;
    drop_ended(body, now);
    if (body->n_keys >= PANG_KEYRING_KEYS_MAX)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL,
                         "there are %d signing keys whose tokens may still be in use",
                         PANG_KEYRING_KEYS_MAX);
    for (size_t i = 0; i < body->n_keys; i++)
        if (body->keys[i]->verifies_until_ms == 0)
            body->keys[i]->verifies_until_ms = from + TOKENS_LIVE_MS;
    j->changed = true;
    return add_key(j, now, from, err);
}

static pang_code reseal_field(job *j, const char *what, const char *id, ProtobufCBinaryData *sealed,
                              pang_err *err)
{
    pang_str plain;
    if (pang_seal_is_current(j->keyring->config.sealer, pang_str_of(*sealed)))
        return PANG_OK;
    pang_code code = unseal_field(j, what, id, *sealed, PEPPER_BYTES, &plain, err);
    if (code == PANG_OK)
        code = seal_field(j, what, id, plain, sealed, err);
    j->changed = true;
    return code;
}

static pang_code reseal(job *j, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < j->body->n_keys; i++)
        code = reseal_field(j, SIGNING_KEY, j->body->keys[i]->kid, &j->body->keys[i]->seed, err);
    for (size_t i = 0; code == PANG_OK && i < j->body->n_peppers; i++)
        code = reseal_field(j, PEPPER, j->body->peppers[i]->id, &j->body->peppers[i]->bytes, err);
    return code;
}

/* ---- opening the record ---- */

static pang_code open_key(job *j, const rec_key *from, signing_key *to, pang_err *err)
{
    pang_str seed;
    pang_code code = unseal_field(j, SIGNING_KEY, from->kid, from->seed, PANG_SEED_BYTES, &seed,
                                  err);
    if (code != PANG_OK)
        return code;
    memcpy(to->kid, from->kid, sizeof to->kid);
    to->created_ms = from->created_ms;
    to->signs_from_ms = from->signs_from_ms;
    to->verifies_until_ms = from->verifies_until_ms;
    return pang_asym_ed25519((const uint8_t *)seed.ptr, &to->key, err);
}

static pang_code open_pepper(job *j, const rec_pepper *from, pepper *to, pang_err *err)
{
    pang_str bytes;
    pang_code code = unseal_field(j, PEPPER, from->id, from->bytes, PEPPER_BYTES, &bytes, err);
    if (code != PANG_OK)
        return code;
    memcpy(to->id, from->id, sizeof to->id);
    memcpy(to->bytes, bytes.ptr, sizeof to->bytes);
    return PANG_OK;
}

static pang_code open_ring(job *j, pang_err *err)
{
    const rec_keyring *body = j->body;
    if (body->n_keys == 0 || body->n_keys > PANG_KEYRING_KEYS_MAX || body->n_peppers == 0 ||
        body->n_peppers > PANG_KEYRING_PEPPERS_MAX)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "the keyring is damaged: %zu keys, %zu peppers",
                         body->n_keys, body->n_peppers);
    j->ring = calloc(1, sizeof *j->ring);
    if (j->ring == NULL)
        return pang_fail_memory(err);
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < body->n_keys; i++) {
        code = open_key(j, body->keys[i], &j->ring->keys[i], err);
        j->ring->n_keys += code == PANG_OK;
    }
    for (size_t i = 0; code == PANG_OK && i < body->n_peppers; i++) {
        code = open_pepper(j, body->peppers[i], &j->ring->peppers[i], err);
        j->ring->n_peppers += code == PANG_OK;
    }
    return code;
}

static pang_code change(job *j, pang_err *err)
{
    switch (j->task) {
    case ROTATE:
    case ROTATE_AT_ONCE:
        return rotate(j, err);
    case RESEAL:
        return reseal(j, err);
    default:
        return PANG_OK;
    }
}

static pang_code run_in(pang_txn *txn, void *arg, pang_err *err)
{
    job *j = arg;
    pang_keys keys = {.arena = j->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_record record;
    j->key = pang_key_keyring(&keys);
    j->changed = false;
    free_ring(j->ring); /* of an attempt that lost a race */
    j->ring = NULL;
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, j->key, &record, err);
    if (code != PANG_OK)
        return code;
    code = record.version == 0 ? make_first(j, err)
                               : pang_record_unpack(&pangolin__store__v1__keyring__descriptor,
                                                    &record, j->arena, &j->body, err);
    if (code == PANG_OK && record.version != 0)
        code = change(j, err);
    if (code == PANG_OK)
        code = open_ring(j, err);
    if (code == PANG_OK && j->changed) {
        pang_txn_put(txn, PANG_KIND_KEYRING, j->key, pang_record_pack(&j->body->base, j->arena));
        code = pang_arena_failed(j->arena) ? pang_fail_memory(err) : PANG_OK;
    }
    return code;
}

static bool has_kid(const ring *r, const char *kid)
{
    for (size_t i = 0; i < r->n_keys; i++)
        if (strcmp(r->keys[i].kid, kid) == 0)
            return true;
    return false;
}

/* Whether tokens that `old` took are none to `now`. */
static bool has_lost_one(const ring *old, const ring *now)
{
    for (size_t i = 0; old != NULL && i < old->n_keys; i++)
        if (!has_kid(now, old->keys[i].kid))
            return true;
    return false;
}

static pang_code run(pang_keyring *keyring, task what, int64_t older_than_ms, pang_err *err)
{
    job j = {.keyring = keyring, .task = what, .older_than_ms = older_than_ms};
    int64_t deadline = pang_env_mono_ms(keyring->config.env) + STORE_MS;
    j.arena = pang_arena_new(WORK_MEMORY);
    if (j.arena == NULL)
        return pang_fail_memory(err);
    pang_arena_mark_secret(j.arena);
    pang_code code = pang_txn_run(keyring->config.db, PANG_SYSTEM_SCOPE, deadline, j.arena, run_in,
                                  &j, err);
    if (code == PANG_OK) {
        (void)pthread_rwlock_wrlock(&keyring->lock);
        ring *old = keyring->ring;
        keyring->ring = j.ring;
        if (has_lost_one(old, j.ring))
            atomic_fetch_add(&keyring->generation, 1);
        (void)pthread_rwlock_unlock(&keyring->lock);
        j.ring = old;
    }
    free_ring(j.ring);
    pang_arena_free(j.arena);
    return code;
}

/* ---- the keyring ---- */

static pang_code is_sealed(pang_txn *txn, void *arg, pang_err *err)
{
    job *j = arg;
    pang_keys keys = {.arena = j->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_record record;
    pang_code code = pang_txn_get_one(txn, pang_key_keyring(&keys), &record, err);
    j->changed = code == PANG_OK && record.version != 0;
    return code;
}

static pang_code make_sealer(pang_db *db, const pang_env *env, const char *path, bool may_make,
                             pang_sealer **ret, pang_err *err)
{
    job j = {.arena = pang_arena_new(WORK_MEMORY)};
    if (j.arena == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_run(db, PANG_SYSTEM_SCOPE, pang_env_mono_ms(env) + STORE_MS, j.arena,
                                  is_sealed, &j, err);
    pang_arena_free(j.arena);
    if (code != PANG_OK)
        return code;
    if (j.changed)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "the secrets in the store are sealed and key file \"%.256s\" is missing: "
                         "bring it back, or give the key with PANGOLIN_ENCRYPTION_KEY",
                         path);
    if (!may_make)
        return pang_fail(err, PANG_NOT_FOUND, NULL, "key file \"%.256s\" does not exist", path);
    code = pang_sealer_make_file(path, env, err);
    return code == PANG_OK ? pang_sealer_open_file(path, ret, err) : code;
}

pang_code pang_keyring_sealer(pang_db *db, const pang_env *env, pang_str keys, const char *path,
                              bool may_make, pang_sealer **ret, pang_err *err)
{
    if (keys.len > 0)
        return pang_sealer_open(keys, "PANGOLIN_ENCRYPTION_KEY", ret, err);
    pang_code code = pang_sealer_open_file(path, ret, err);
    return code == PANG_NOT_FOUND ? make_sealer(db, env, path, may_make, ret, err) : code;
}

pang_code pang_keyring_open(const pang_keyring_config *config, pang_keyring **ret, pang_err *err)
{
    pang_code code = PANG_OK;
    if (config->shared_secret.len > 0)
        code = pang_secret_check(config->shared_secret, "PANGOLIN_JWT_SECRET", err);
    if (code != PANG_OK)
        return code;
    pang_keyring *keyring = calloc(1, sizeof *keyring);
    if (keyring == NULL)
        return pang_fail_memory(err);
    keyring->config = *config;
    if (pthread_rwlock_init(&keyring->lock, NULL) != 0) {
        free(keyring);
        return pang_fail_memory(err);
    }
    code = run(keyring, READ, 0, err);
    if (code != PANG_OK) {
        pang_keyring_close(keyring);
        return code;
    }
    *ret = keyring;
    return PANG_OK;
}

void pang_keyring_close(pang_keyring *keyring)
{
    if (keyring == NULL)
        return;
    free_ring(keyring->ring);
    (void)pthread_rwlock_destroy(&keyring->lock);
    free(keyring);
}

pang_code pang_keyring_refresh(pang_keyring *keyring, pang_err *err)
{
    return run(keyring, READ, 0, err);
}

pang_code pang_keyring_work(pang_keyring *keyring, pang_err *err)
{
    int64_t before = pang_env_wall_ms(keyring->config.env) - PANG_KEYRING_LIFE_MS;
    pang_code code = pang_keyring_refresh(keyring, err);
    if (code != PANG_OK)
        return code;
    (void)pthread_rwlock_rdlock(&keyring->lock);
    bool is_due = keyring->ring->keys[keyring->ring->n_keys - 1].created_ms < before;
    (void)pthread_rwlock_unlock(&keyring->lock);
    return is_due ? run(keyring, ROTATE, before, err) : PANG_OK;
}

uint64_t pang_keyring_generation(const pang_keyring *keyring)
{
    return atomic_load(&((pang_keyring *)(uintptr_t)keyring)->generation);
}

pang_code pang_keyring_rotate(pang_keyring *keyring, bool at_once, pang_err *err)
{
    return run(keyring, at_once ? ROTATE_AT_ONCE : ROTATE, 0, err);
}

pang_code pang_keyring_reseal(pang_keyring *keyring, pang_err *err)
{
    return run(keyring, RESEAL, 0, err);
}

/* ---- using it ---- */

typedef struct {
    pang_jws_key keys[PANG_KEYRING_KEYS_MAX + 1];
    pang_token_rules rules;
} lent;

/* REQUIRES: the lock is held while *to is used. */
static void lend(const pang_keyring *keyring, lent *to)
{
    const ring *r = keyring->ring;
    int64_t now = pang_env_wall_ms(keyring->config.env);
    size_t n = 0;
    for (size_t i = 0; i < r->n_keys; i++)
        if (r->keys[i].verifies_until_ms == 0 || r->keys[i].verifies_until_ms > now)
            to->keys[n++] = (pang_jws_key){.kid = {r->keys[i].kid, 2 * KID_BYTES},
                                           .alg = PANG_ALG_EDDSA,
                                           .key = r->keys[i].key};
    if (keyring->config.shared_secret.len > 0)
        to->keys[n++] = (pang_jws_key){.alg = PANG_ALG_HS256,
                                       .secret = keyring->config.shared_secret};
    to->rules = (pang_token_rules){.keys = to->keys,
                                   .n_keys = n,
                                   .issuer = PANG_ISSUER,
                                   .audience = PANG_AUDIENCE,
                                   .now_ms = now};
}

/* The newest key that signs already. */
static pang_jws_key signer_of(const ring *r, int64_t now_ms)
{
    size_t i = r->n_keys - 1;
    while (i > 0 && r->keys[i].signs_from_ms > now_ms)
        i--;
    return (pang_jws_key){
        .kid = {r->keys[i].kid, 2 * KID_BYTES}, .alg = PANG_ALG_EDDSA, .key = r->keys[i].key};
}

pang_code pang_keyring_sign(pang_keyring *keyring, const pang_claims *claims, pang_arena *arena,
                            pang_str *ret, pang_err *err)
{
    lent l;
    (void)pthread_rwlock_rdlock(&keyring->lock);
    lend(keyring, &l);
    pang_jws_key signer = signer_of(keyring->ring, l.rules.now_ms);
    pang_code code = pang_token_make(&l.rules, &signer, claims, arena, ret, err);
    (void)pthread_rwlock_unlock(&keyring->lock);
    return code;
}

pang_code pang_keyring_read(pang_keyring *keyring, pang_str token, pang_arena *arena,
                            pang_claims *ret, pang_err *err)
{
    lent l;
    (void)pthread_rwlock_rdlock(&keyring->lock);
    lend(keyring, &l);
    pang_code code = pang_token_read(&l.rules, token, arena, ret, err);
    (void)pthread_rwlock_unlock(&keyring->lock);
    return code;
}

pang_code pang_keyring_public(pang_keyring *keyring, pang_arena *arena, pang_str *ret,
                              pang_err *err)
{
    lent l;
    (void)pthread_rwlock_rdlock(&keyring->lock);
    lend(keyring, &l);
    pang_code code = pang_jws_public(l.rules.keys, l.rules.n_keys, arena, ret, err);
    (void)pthread_rwlock_unlock(&keyring->lock);
    return code;
}

static const pepper *find_pepper(const ring *r, pang_str id)
{
    if (id.len == 0)
        return &r->peppers[r->n_peppers - 1];
    for (size_t i = 0; i < r->n_peppers; i++)
        if (pang_str_equal(id, pang_str_from(r->peppers[i].id)))
            return &r->peppers[i];
    return NULL;
}

pang_code pang_keyring_mac(pang_keyring *keyring, pang_str pepper_id, pang_str purpose,
                           const pang_str *parts, size_t n, pang_arena *arena,
                           pang_str *ret_pepper_id, uint8_t ret[PANG_HASH_BYTES], pang_err *err)
{
    pang_buf text = {.arena = arena};
    pang_buf_printf(&text, "%zu:", purpose.len);
    pang_buf_add(&text, purpose);
    for (size_t i = 0; i < n; i++) {
        pang_buf_printf(&text, "|%zu:", parts[i].len);
        pang_buf_add(&text, parts[i]);
    }
    if (text.failed)
        return pang_fail_memory(err);
    (void)pthread_rwlock_rdlock(&keyring->lock);
    const pepper *p = find_pepper(keyring->ring, pepper_id);
    pang_code code = PANG_OK;
    if (p == NULL)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "pepper \"%" PANG_STR_FMT "\" is not in the keyring",
                         PANG_STR_ARG(pepper_id));
    else if (ret_pepper_id != NULL && !pang_arena_copy(arena, pang_str_from(p->id), ret_pepper_id))
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        code = pang_hash_mac((pang_str){(const char *)p->bytes, sizeof p->bytes},
                             pang_buf_str(&text), ret, err);
    (void)pthread_rwlock_unlock(&keyring->lock);
    return code;
}
