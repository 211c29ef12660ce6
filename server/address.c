/*
 * Addresses: one place that knows where refs stand in requests.
 */
#include "server/address.h"

static void add_ref(pang_address *to, pang_str ref)
{
    if (to->has_ref && !pang_str_equal(to->ref, ref))
        to->other_ref = ref.len > 0 ? ref : PANG_STR("(empty)");
    if (!to->has_ref)
        to->ref = ref;
    to->has_ref = true;
}

/* The text before the "@", copied; what is behind it names the ref. */
static bool take_name(pang_address *to, pang_str text, pang_arena *arena, pang_str *ret)
{
    size_t at = pang_str_find(text, '@');
    if (at < text.len)
        add_ref(to, pang_str_after(text, at + 1));
    return pang_arena_copy(arena, pang_str_slice(text, 0, at), ret);
}

static bool take_levels(pang_address *to, pang_levels levels, pang_arena *arena)
{
    pang_str *names = pang_arena_alloc_n(arena, levels.n, sizeof *names);
    if (names == NULL)
        return false;
    for (size_t i = 0; i + 1 < levels.n; i++)
        if (!pang_arena_copy(arena, levels.names[i], &names[i]))
            return false;
    to->levels = (pang_levels){names, levels.n};
    return levels.n == 0 || take_name(to, levels.names[levels.n - 1], arena, &names[levels.n - 1]);
}

pang_code pang_address_parse(pang_str prefix, pang_levels levels, pang_str name, pang_arena *arena,
                             pang_address *ret, pang_err *err)
{
    pang_address made = {.ref = PANG_MAIN_REF, .spelt_levels = levels, .spelt_name = name};
    bool kept = take_name(&made, prefix, arena, &made.catalog);
    made.in_prefix = made.has_ref;
    kept = kept && take_levels(&made, levels, arena) && take_name(&made, name, arena, &made.name);
    if (!kept)
        return pang_fail_memory(err);
    *ret = made;
    return PANG_OK;
}

pang_code pang_address_of(const char *prefix, char *const *levels, size_t n_levels,
                          const char *name, pang_arena *arena, pang_address *ret, pang_err *err)
{
    pang_str *names = pang_arena_alloc_n(arena, n_levels, sizeof *names);
    if (names == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n_levels; i++)
        names[i] = pang_str_from(levels[i]);
    return pang_address_parse(pang_str_from(prefix), (pang_levels){names, n_levels},
                              name == NULL ? (pang_str){0} : pang_str_from(name), arena, ret, err);
}

void pang_address_add(pang_address *address, pang_str ref)
{
    if (ref.len > 0)
        add_ref(address, ref);
}

static pang_code fail_two(pang_str one, pang_str other, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "the request names two refs: \"%" PANG_STR_FMT "\" and \"%" PANG_STR_FMT "\"",
                     PANG_STR_ARG(one), PANG_STR_ARG(other));
}

pang_code pang_address_open(pang_call *call, const pang_address *address, const char *reason,
                            pang_view *ret, pang_err *err)
{
    pang_code code = pang_view_catalog(call->txn, call->arena, call->tenant_key, address->catalog,
                                       reason, ret, err);
    ret->call = call;
    if (code == PANG_OK && address->other_ref.len > 0)
        return fail_two(address->ref, address->other_ref, err);
    return code == PANG_OK ? pang_view_switch(ret, address->ref, reason, err) : code;
}

pang_code pang_address_agree(const pang_address *first, const pang_address *further, pang_err *err)
{
    if (further->other_ref.len > 0)
        return fail_two(further->ref, further->other_ref, err);
    if (further->has_ref && !pang_str_equal(first->ref, further->ref))
        return fail_two(first->ref, further->ref, err);
    return PANG_OK;
}

char *pang_address_child(const pang_address *address, pang_str name, pang_arena *arena)
{
    if (!address->has_ref || address->in_prefix || address->levels.n == 0)
        return pang_arena_cstr(arena, name);
    pang_str text = pang_arena_printf(arena, "%" PANG_STR_FMT "@%" PANG_STR_FMT, PANG_STR_ARG(name),
                                      PANG_STR_ARG(address->ref));
    return text.len == 0 ? NULL : (char *)(uintptr_t)text.ptr;
}
