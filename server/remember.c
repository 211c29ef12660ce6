/*
 * Remember: sets of a few slots; a digest belongs to one set. One lock per part of the sets, held
 * for the copy of one slot.
 */
#include "server/remember.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, LOCKS = 16, KEY_ID_MAX = 16 };

typedef struct {
    uint8_t digest[PANG_HASH_BYTES];
    uint64_t generation, used;
    int64_t until_ms;   /* 0: empty */
    pang_principal who; /* its views are set when it is copied out */
    size_t name_len, key_id_len;
    char name[PANG_REMEMBER_NAME_MAX], key_id[KEY_ID_MAX];
} slot;

struct pang_remember {
    size_t sets;                  /* const, a power of two */
    pthread_mutex_t locks[LOCKS]; /* of the sets whose number is the lock's, modulo LOCKS */
    uint64_t uses[LOCKS];         /* numbers each use */
    slot slots[];
};

pang_remember *pang_remember_new(size_t entries)
{
    size_t sets = LOCKS;
    while (sets * WAYS < (entries == 0 ? PANG_REMEMBER_ENTRIES : entries))
        sets *= 2;
    pang_remember *made = calloc(1, sizeof *made + sets * WAYS * sizeof(slot));
    if (made == NULL)
        return NULL;
    made->sets = sets;
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_init(&made->locks[i], NULL);
    return made;
}

void pang_remember_free(pang_remember *remember)
{
    if (remember == NULL)
        return;
    for (size_t i = 0; i < LOCKS; i++)
        (void)pthread_mutex_destroy(&remember->locks[i]);
    free(remember);
}

/* A digest's first bytes are as good as chance. */
static size_t set_of(const pang_remember *remember, const uint8_t *digest)
{
    uint64_t number;
    memcpy(&number, digest, sizeof number);
    return (size_t)number & (remember->sets - 1);
}

static slot *find(pang_remember *remember, size_t set, const uint8_t *digest)
{
    for (size_t i = 0; i < WAYS; i++) {
        slot *s = &remember->slots[set * WAYS + i];
        if (s->until_ms != 0 && memcmp(s->digest, digest, PANG_HASH_BYTES) == 0)
            return s;
    }
    return NULL;
}

static bool copy_out(const slot *s, pang_arena *arena, pang_principal *ret)
{
    *ret = s->who;
    return pang_arena_copy(arena, (pang_str){s->name, s->name_len}, &ret->name) &&
           pang_arena_copy(arena, (pang_str){s->key_id, s->key_id_len}, &ret->key_id);
}

bool pang_remember_find(pang_remember *remember, const uint8_t digest[PANG_HASH_BYTES],
                        uint64_t generation, int64_t now_ms, pang_arena *arena, pang_principal *ret)
{
    size_t set = set_of(remember, digest);
    bool found = false;
    (void)pthread_mutex_lock(&remember->locks[set % LOCKS]);
    slot *s = find(remember, set, digest);
    if (s != NULL && s->generation == generation && s->until_ms > now_ms) {
        s->used = ++remember->uses[set % LOCKS];
        found = copy_out(s, arena, ret);
    }
    (void)pthread_mutex_unlock(&remember->locks[set % LOCKS]);
    return found;
}

static slot *room_for(pang_remember *remember, size_t set, const uint8_t *digest)
{
    slot *room = find(remember, set, digest);
    for (size_t i = 0; room == NULL && i < WAYS; i++)
        if (remember->slots[set * WAYS + i].until_ms == 0)
            room = &remember->slots[set * WAYS + i];
    if (room != NULL)
        return room;
    room = &remember->slots[set * WAYS];
    for (size_t i = 1; i < WAYS; i++)
        if (remember->slots[set * WAYS + i].used < room->used)
            room = &remember->slots[set * WAYS + i];
    return room;
}

void pang_remember_keep(pang_remember *remember, const uint8_t digest[PANG_HASH_BYTES],
                        uint64_t generation, int64_t until_ms, const pang_principal *who)
{
    size_t set = set_of(remember, digest);
    if (who->name.len > PANG_REMEMBER_NAME_MAX || who->key_id.len > KEY_ID_MAX || until_ms <= 0)
        return;
    (void)pthread_mutex_lock(&remember->locks[set % LOCKS]);
    slot *s = room_for(remember, set, digest);
    memcpy(s->digest, digest, PANG_HASH_BYTES);
    s->generation = generation;
    s->until_ms = until_ms;
    s->used = ++remember->uses[set % LOCKS];
    s->who = *who;
    s->who.name = s->who.key_id = (pang_str){0};
    s->name_len = who->name.len;
    s->key_id_len = who->key_id.len;
    if (who->name.len > 0)
        memcpy(s->name, who->name.ptr, who->name.len);
    if (who->key_id.len > 0)
        memcpy(s->key_id, who->key_id.ptr, who->key_id.len);
    (void)pthread_mutex_unlock(&remember->locks[set % LOCKS]);
}
