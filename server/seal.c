/*
 * Seal. The nonce is random: 2^32 seals under one key are still far from a repeat, and secrets are
 * sealed by the thousand. The place is authenticated as text in which every part is preceded by its
 * length, so that no two places read the same.
 */
#include "server/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/base64.h"
#include "server/crypto.h"
#include "server/hash.h"
#include "server/secrets.h"

enum {
    VERSION = 1,
    FILE_MAX = 8 << 10,      /* bytes of a key file */
    PARSE_MEMORY = 64 << 10, /* of reading keys */
    DERIVED_ID = 8,          /* hex digits of an id that was not given */
    PATH_SHOWN = 256,        /* bytes of a path in a message */
};

typedef struct {
    char id[PANG_SEAL_ID_MAX];
    size_t id_len;
    uint8_t bytes[PANG_AEAD_KEY_BYTES];
} seal_key;

struct pang_sealer {
    size_t n;
    seal_key keys[PANG_SEAL_KEYS_MAX];
};

/* ---- keys ---- */

static pang_str id_of(const seal_key *key)
{
    return (pang_str){key->id, key->id_len};
}

static const seal_key *find(const pang_sealer *sealer, pang_str id)
{
    for (size_t i = 0; i < sealer->n; i++)
        if (pang_str_equal(id_of(&sealer->keys[i]), id))
            return &sealer->keys[i];
    return NULL;
}

static bool id_ok(pang_str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return id.len > 0 && id.len <= PANG_SEAL_ID_MAX;
}

static pang_code derive_id(seal_key *key, pang_err *err)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[PANG_HASH_BYTES];
    const pang_str parts[] = {PANG_STR("pangolin sealing key"),
                              {(const char *)key->bytes, sizeof key->bytes}};
    pang_code code = pang_hash(parts, 2, digest, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < DERIVED_ID; i++)
        key->id[i] = hex[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15];
    key->id_len = DERIVED_ID;
    return PANG_OK;
}

static pang_code add_key(pang_sealer *sealer, pang_str text, const char *source, pang_arena *arena,
                         pang_err *err)
{
    seal_key *key = &sealer->keys[sealer->n];
    pang_str bytes, id = {0};
    size_t colon = pang_str_find(text, ':');
    if (colon < text.len) {
        id = pang_str_slice(text, 0, colon);
        text = pang_str_after(text, colon + 1);
        if (!id_ok(id))
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                             "%s: a key's id must be 1 to %d letters, digits, - or _", source,
                             PANG_SEAL_ID_MAX);
    }
    if (!pang_base64_decode(text, PANG_BASE64, arena, &bytes))
        return pang_arena_failed(arena)
                   ? pang_fail_memory(err)
                   : pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s: a key is not base64", source);
    if (bytes.len != PANG_AEAD_KEY_BYTES)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%s: a key must be %d bytes in base64, not %zu", source,
                         PANG_AEAD_KEY_BYTES, bytes.len);
    pang_code code = pang_secret_check(bytes, source, err);
    if (code != PANG_OK)
        return code;
    memcpy(key->bytes, bytes.ptr, sizeof key->bytes);
    if (id.len > 0)
        memcpy(key->id, id.ptr, id.len);
    key->id_len = id.len;
    code = id.len > 0 ? PANG_OK : derive_id(key, err);
    if (code == PANG_OK && find(sealer, id_of(key)) != NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s: key id \"%.*s\" stands twice",
                         source, (int)key->id_len, key->id);
    if (code == PANG_OK)
        sealer->n++;
    return code;
}

/* Keys stand apart by commas or ends of lines; lines that begin with # are comments. */
static pang_code add_keys(pang_sealer *sealer, pang_str text, const char *source, pang_arena *arena,
                          pang_err *err)
{
    pang_str line, part;
    while (pang_str_next(&text, '\n', &line)) {
        if (pang_str_starts(line, PANG_STR("#")))
            continue;
        while (pang_str_next(&line, ',', &part)) {
            part = pang_str_trim(part);
            if (part.len == 0)
                continue;
            if (sealer->n == PANG_SEAL_KEYS_MAX)
                return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s: more than %d keys", source,
                                 PANG_SEAL_KEYS_MAX);
            pang_code code = add_key(sealer, part, source, arena, err);
            if (code != PANG_OK)
                return code;
        }
    }
    if (sealer->n == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s: there is no key in it", source);
    return PANG_OK;
}

pang_code pang_sealer_open(pang_str keys, const char *source, pang_sealer **ret, pang_err *err)
{
    pang_sealer *sealer = calloc(1, sizeof *sealer);
    pang_arena *arena = pang_arena_new(PARSE_MEMORY);
    pang_code code = PANG_OK;
    if (sealer == NULL || arena == NULL) {
        code = pang_fail_memory(err);
    } else {
        pang_arena_mark_secret(arena);
        code = add_keys(sealer, keys, source, arena, err);
    }
    pang_arena_free(arena);
    if (code != PANG_OK) {
        pang_sealer_close(sealer);
        return code;
    }
    *ret = sealer;
    return PANG_OK;
}

void pang_sealer_close(pang_sealer *sealer)
{
    if (sealer == NULL)
        return;
    pang_wipe(sealer, sizeof *sealer);
    free(sealer);
}

pang_str pang_sealer_id(const pang_sealer *sealer)
{
    return id_of(&sealer->keys[0]);
}

/* ---- the file ---- */

static pang_code file_failed(const char *path, const char *what, pang_err *err)
{
    pang_code code = errno == ENOENT   ? PANG_NOT_FOUND
                     : errno == EEXIST ? PANG_ALREADY_EXISTS
                                       : PANG_UNAVAILABLE;
    return pang_fail(err, code, NULL, "could not %s key file \"%.*s\": %s", what, PATH_SHOWN, path,
                     strerror(errno));
}

/* Reads all of it; *ret_len may not fill the buffer. */
static bool read_all(int file, char *to, size_t size, size_t *ret_len)
{
    *ret_len = 0;
    while (*ret_len < size) {
        ssize_t got = read(file, to + *ret_len, size - *ret_len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return false;
        if (got == 0)
            break;
        *ret_len += (size_t)got;
    }
    return true;
}

static pang_code check_owner(int file, const char *path, pang_err *err)
{
    struct stat is;
    if (fstat(file, &is) != 0)
        return file_failed(path, "look at", err);
    if (!S_ISREG(is.st_mode))
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "key file \"%.*s\" is no file",
                         PATH_SHOWN, path);
    if ((is.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "key file \"%.*s\" can be read by others: its mode must be 0400",
                         PATH_SHOWN, path);
    if (is.st_uid != geteuid() && is.st_uid != 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "key file \"%.*s\" belongs to another user", PATH_SHOWN, path);
    return PANG_OK;
}

pang_code pang_sealer_open_file(const char *path, pang_sealer **ret, pang_err *err)
{
    char text[FILE_MAX + 1];
    size_t len = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0)
        return file_failed(path, "open", err);
    pang_code code = check_owner(file, path, err);
    if (code == PANG_OK && !read_all(file, text, sizeof text, &len))
        code = file_failed(path, "read", err);
    if (code == PANG_OK && len == sizeof text)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "key file \"%.*s\" is too long",
                         PATH_SHOWN, path);
    close(file);
    if (code == PANG_OK)
        code = pang_sealer_open((pang_str){text, len}, path, ret, err);
    pang_wipe(text, sizeof text);
    return code;
}

/* A name is durable when its folder is. */
static bool sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    int opened = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = opened >= 0 && fsync(opened) == 0;
    if (opened >= 0)
        close(opened);
    free(folder);
    return good;
}

static bool write_all(int file, pang_str text)
{
    while (text.len > 0) {
        ssize_t put = write(file, text.ptr, text.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        text = pang_str_after(text, (size_t)put);
    }
    return true;
}

/* Under another name first, so that a crash leaves no half file. */
static pang_code write_file(const char *path, pang_str text, pang_arena *arena, pang_err *err)
{
    pang_str fresh = pang_arena_printf(arena, "%s.new", path);
    if (fresh.len == 0)
        return pang_fail_memory(err);
    (void)unlink(fresh.ptr);
    int file = open(fresh.ptr, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (file < 0)
        return file_failed(path, "make", err);
    bool good = write_all(file, text) && fsync(file) == 0;
    good = close(file) == 0 && good;
    /* link, unlike rename, does not replace a file that is there. */
    good = good && link(fresh.ptr, path) == 0;
    pang_code code = good ? PANG_OK : file_failed(path, "make", err);
    (void)unlink(fresh.ptr);
    if (code == PANG_OK && !sync_folder(path))
        code = file_failed(path, "make durable", err);
    return code;
}

pang_code pang_sealer_make_file(const char *path, const pang_env *env, pang_err *err)
{
    uint8_t bytes[PANG_AEAD_KEY_BYTES];
    pang_arena *arena = pang_arena_new(PARSE_MEMORY);
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_arena_mark_secret(arena);
    pang_env_random(env, bytes, sizeof bytes);
    pang_str key = pang_base64_encode((pang_str){(const char *)bytes, sizeof bytes}, PANG_BASE64,
                                      arena);
    pang_str text = pang_arena_printf(arena,
                                      "# Seals the secrets in the store. Without it they are lost: "
                                      "keep a copy elsewhere.\n%s\n",
                                      key.ptr != NULL ? key.ptr : "");
    pang_wipe(bytes, sizeof bytes);
    pang_code code = pang_arena_failed(arena) ? pang_fail_memory(err)
                                              : write_file(path, text, arena, err);
    pang_arena_free(arena);
    return code;
}

/* ---- sealing ---- */

static pang_str describe(const pang_seal_place *place, pang_str id, pang_arena *arena)
{
    const pang_str parts[] = {place->scope, place->key, place->field, id};
    pang_buf text = {.arena = arena};
    pang_buf_printf(&text, "pangolin seal %d %u", VERSION, place->kind);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        pang_buf_printf(&text, "|%zu:", parts[i].len);
        pang_buf_add(&text, parts[i]);
    }
    return text.failed ? (pang_str){0} : pang_buf_str(&text);
}

pang_code pang_seal(const pang_sealer *sealer, const pang_env *env, const pang_seal_place *place,
                    pang_str plain, pang_arena *arena, pang_str *ret, pang_err *err)
{
    const seal_key *key = &sealer->keys[0];
    size_t head = 2 + key->id_len,
           size = head + PANG_AEAD_NONCE_BYTES + plain.len + PANG_AEAD_TAG_BYTES;
    if (plain.len > PANG_SEAL_PLAIN_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "a secret is longer than %d bytes",
                         PANG_SEAL_PLAIN_MAX);
    pang_str aad = describe(place, id_of(key), arena);
    char *to = pang_arena_alloc_text(arena, size);
    if (aad.ptr == NULL || to == NULL)
        return pang_fail_memory(err);
    uint8_t *nonce = (uint8_t *)to + head;
    to[0] = VERSION;
    to[1] = (char)key->id_len;
    memcpy(to + 2, key->id, key->id_len);
    pang_env_random(env, nonce, PANG_AEAD_NONCE_BYTES);
    pang_code code = pang_aead_seal(key->bytes, nonce, aad, plain, nonce + PANG_AEAD_NONCE_BYTES,
                                    err);
    if (code == PANG_OK)
        *ret = (pang_str){to, size};
    return code;
}

/* The id, and what stands behind it; false for no such form. */
static bool split(pang_str sealed, pang_str *ret_id, pang_str *ret_rest)
{
    if (sealed.len < 2 || sealed.ptr[0] != VERSION)
        return false;
    *ret_id = pang_str_slice(sealed, 2, (uint8_t)sealed.ptr[1]);
    *ret_rest = pang_str_after(sealed, 2 + ret_id->len);
    return id_ok(*ret_id) && ret_id->len == (uint8_t)sealed.ptr[1] &&
           ret_rest->len >= PANG_AEAD_NONCE_BYTES + PANG_AEAD_TAG_BYTES &&
           ret_rest->len <= PANG_SEAL_PLAIN_MAX + PANG_AEAD_NONCE_BYTES + PANG_AEAD_TAG_BYTES;
}

pang_code pang_unseal(const pang_sealer *sealer, const pang_seal_place *place, pang_str sealed,
                      pang_arena *arena, pang_str *ret, pang_err *err)
{
    pang_str id, rest;
    if (!split(sealed, &id, &rest))
        return pang_fail(err, PANG_DATA_LOSS, NULL,
                         "secret \"%" PANG_STR_FMT "\" of record \"%" PANG_STR_FMT "\" is damaged",
                         PANG_STR_ARG(place->field), PANG_STR_ARG(place->key));
    const seal_key *key = find(sealer, id);
    if (key == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "the store was sealed with key \"%" PANG_STR_FMT
                         "\", which this server does not have; give it with "
                         "PANGOLIN_ENCRYPTION_KEY or PANGOLIN_ENCRYPTION_KEY_FILE",
                         PANG_STR_ARG(id));
    pang_str aad = describe(place, id, arena), text = pang_str_after(rest, PANG_AEAD_NONCE_BYTES);
    char *to = pang_arena_alloc_text(arena, text.len);
    if (aad.ptr == NULL || to == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_aead_open(key->bytes, (const uint8_t *)rest.ptr, aad, text, (uint8_t *)to,
                                    err);
    if (code == PANG_OK)
        *ret = (pang_str){to, text.len - PANG_AEAD_TAG_BYTES};
    if (code == PANG_DATA_LOSS)
        return pang_fail(err, PANG_DATA_LOSS, NULL,
                         "secret \"%" PANG_STR_FMT "\" of record \"%" PANG_STR_FMT
                         "\" does not open: it was changed or moved, or key \"%" PANG_STR_FMT
                         "\" is not the one that sealed it",
                         PANG_STR_ARG(place->field), PANG_STR_ARG(place->key), PANG_STR_ARG(id));
    return code;
}

bool pang_seal_is_current(const pang_sealer *sealer, pang_str sealed)
{
    pang_str id, rest;
    return split(sealed, &id, &rest) && pang_str_equal(id, pang_sealer_id(sealer));
}
