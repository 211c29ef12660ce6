/*
 * Keys of modes that the plan does not know. One that names what the source did not change is one
 * of which nothing becomes anything; one that names nothing is a mistake, and the merge would do
 * what somebody said it should not. All keys are first read as most mean them, every dot parting
 * two levels; those that name nothing then are read in all other ways.
 */
#include <string.h>

#include "server/dotted.h"
#include "server/places.h"
#include "server/svc_merge.h"
#include "server/svc_names.h"

enum {
    OTHERS_MAX = PANG_CHANGES_MAX, /* names of all other readings */
    SCRATCH_BYTES = 1 << 20,
};

typedef struct {
    pang_merge_run *m;
    pang_arena *scratch;
    bool others; /* all readings but the first */
    pang_content *list;
    size_t *whose; /* of each: its key's place */
    size_t n;
    size_t until; /* keys from here on are not in the list, for want of room */
    pang_err *err;
} looking;

static const char *key_of(const looking *l, size_t at)
{
    return l->m->op->modes[at]->key;
}

static bool is_unknown(const looking *l, size_t at)
{
    return !l->m->plan.known[at];
}

/* Dots may be escaped in other texts; a key with escapes is one with percent signs. */
static bool is_as_written(const pang_selected *one, size_t len)
{
    size_t n = one->levels.n - 1 + (one->name.len > 0) + one->name.len;
    for (size_t i = 0; i < one->levels.n; i++)
        n += one->levels.names[i].len;
    return n == len;
}

/* `len`: of the name in the text. */
static pang_code add_readings(looking *l, size_t at, const char *text, size_t len, bool asset)
{
    size_t n = 0;
    pang_selected list[PANG_READINGS_MAX];
    pang_keys *keys = &l->m->source.keys;
    pang_arena_reset(l->scratch);
    pang_code code = pang_dotted_read(text, l->scratch, list, &n, l->err);
    if (code != PANG_OK)
        return code;
    size_t last = l->others || n == 0 ? n : 1;
    for (size_t i = l->others ? 1 : 0; i < last; i++) {
        if ((list[i].name.len > 0) != asset || !is_as_written(&list[i], len))
            continue;
        l->whose[l->n] = at;
        l->list[l->n++].name = asset ? pang_name_of_asset(keys, list[i].levels, list[i].name)
                                     : pang_name_of_namespace(keys, list[i].levels);
    }
    return pang_keys_status(keys, l->err);
}

/* As an asset, and as a namespace: all in that is a text that can be read. */
static pang_code add_key(looking *l, size_t at)
{
    const char *key = key_of(l, at);
    size_t len = strlen(key);
    bool ends = key[len - 1] == PANG_UNIT_SEPARATOR;
    pang_str all = pang_arena_printf(l->m->call->arena, "%.*s%c*", (int)(len - ends), key,
                                     strchr(key, PANG_UNIT_SEPARATOR) != NULL ? PANG_UNIT_SEPARATOR
                                                                              : '.');
    if (all.ptr == NULL)
        return pang_fail_memory(l->err);
    pang_code code = ends ? PANG_OK : add_readings(l, at, key, len, true);
    return code == PANG_OK ? add_readings(l, at, all.ptr, len - ends, false) : code;
}

static pang_code list_names(looking *l, size_t room)
{
    size_t n = l->m->op->n_modes, most = l->others ? 2 * PANG_READINGS_MAX : 2;
    pang_code code = PANG_OK;
    l->n = 0;
    l->list = pang_arena_alloc_n(l->m->call->arena, room, sizeof *l->list);
    l->whose = pang_arena_alloc_n(l->m->call->arena, room, sizeof *l->whose);
    if (l->list == NULL || l->whose == NULL)
        return pang_fail_memory(l->err);
    for (l->until = 0; code == PANG_OK && l->until < n && l->n + most <= room; l->until++)
        if (is_unknown(l, l->until))
            code = add_key(l, l->until);
    return code;
}

/* Leaves in the list what is of keys that are still unknown. */
static pang_code look_in(looking *l, pang_view *view)
{
    size_t kept = 0;
    pang_code code = pang_places_names(view, l->list, l->n, l->err);
    for (size_t i = 0; code == PANG_OK && i < l->n; i++)
        if (pang_content_exists(&l->list[i]))
            l->m->plan.known[l->whose[i]] = true;
    for (size_t i = 0; code == PANG_OK && i < l->n; i++)
        if (is_unknown(l, l->whose[i])) {
            l->whose[kept] = l->whose[i];
            l->list[kept++].name = l->list[i].name;
        }
    l->n = kept;
    return code;
}

static size_t first_unknown(const looking *l)
{
    size_t at = 0;
    while (at < l->m->op->n_modes && !is_unknown(l, at))
        at++;
    return at;
}

static pang_code look(looking *l, bool others)
{
    size_t n = l->m->op->n_modes;
    if (first_unknown(l) == n)
        return PANG_OK;
    l->others = others;
    pang_code code = list_names(l, others ? OTHERS_MAX : 2 * n);
    if (code == PANG_OK)
        code = look_in(l, &l->m->source);
    return code == PANG_OK ? look_in(l, &l->m->target) : code;
}

pang_code pang_merge_check_modes(pang_merge_run *m, pang_err *err)
{
    looking l = {.m = m, .err = err};
    if (first_unknown(&l) == m->op->n_modes)
        return PANG_OK;
    l.scratch = pang_arena_new(SCRATCH_BYTES);
    if (l.scratch == NULL)
        return pang_fail_memory(err);
    pang_code code = look(&l, false);
    if (code == PANG_OK)
        code = look(&l, true);
    pang_arena_free(l.scratch);
    size_t at = first_unknown(&l);
    if (code != PANG_OK || at == m->op->n_modes)
        return code;
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     at < l.until ? "modes[%zu]: there is no \"%.200s\" on either side"
                                  : "modes[%zu]: \"%.200s\" is one of many keys that can be read "
                                    "in several ways: join levels and name by the unit separator "
                                    "(0x1F)",
                     at, key_of(&l, at));
}
