/*
 * Objects: the one list of object-store kinds, and the choice among them by a location's scheme.
 */
#include <assert.h>

#include "vending/kinds.h"

/* Every slot is required: a kind that cannot do a thing says so in an error, not by NULL. */
static void check_slots(const pang_objects_ops *ops)
{
    assert(ops->schemes != NULL && ops->open != NULL && ops->close != NULL);
    assert(ops->permits != NULL && ops->put != NULL && ops->restore != NULL);
    assert(ops->get != NULL && ops->stat != NULL && ops->remove != NULL);
    assert(ops->prepare_table != NULL && ops->sync != NULL);
}

static bool serves(const pang_objects_ops *ops, pang_str scheme)
{
    pang_str rest = pang_str_from(ops->schemes), one;
    while (pang_str_next(&rest, ',', &one)) {
        if (pang_str_equal(one, scheme))
            return true;
    }
    return false;
}

pang_code pang_objects_open(pang_str scheme, const pang_objects_config *config, pang_objects **ret,
                            pang_err *err)
{
    for (size_t i = 0; pang_objects_kinds[i] != NULL; i++) {
        if (!serves(pang_objects_kinds[i], scheme))
            continue;
        check_slots(pang_objects_kinds[i]);
        return pang_objects_kinds[i]->open(config, ret, err);
    }
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "no object store of this server serves scheme \"%" PANG_STR_FMT "\"",
                     PANG_STR_ARG(scheme));
}

pang_objects *pang_objects_find(pang_objects *const *list, pang_str scheme)
{
    for (; *list != NULL; list++) {
        if (serves((*list)->ops, scheme))
            return *list;
    }
    return NULL;
}

void pang_objects_close(pang_objects *objects)
{
    if (objects == NULL)
        return;
    assert(objects->magic == PANG_OBJECTS_MAGIC);
    objects->ops->close(objects);
}

const pang_objects_ops *const pang_objects_kinds[] = {
    &pang_objects_file,
    NULL,
};
