/*
 * Grants, explained. The answer is pang_grants_check's; the reason is looked for among the grants
 * as they were given, one by one, so that an explanation also shows when the two disagree.
 */
#include "server/grants_internal.h"

static bool has_tag(const pang_grant_object *object, pang_str tag)
{
    for (size_t i = 0; i < object->n_tags && i < PANG_OBJECT_TAGS_MAX; i++)
        if (pang_str_equal(object->tags[i], tag))
            return true;
    return false;
}

static bool covers(const pang_scope *scope, const pang_grant_object *object)
{
    bool in_catalog = object->kind >= PANG_SCOPE_CATALOG &&
                      pang_id_equal(scope->catalog, object->catalog);
    switch (scope->kind) {
    case PANG_SCOPE_TENANT:
        return true;
    case PANG_SCOPE_CATALOG:
        return in_catalog;
    case PANG_SCOPE_NAMESPACE:
        return in_catalog && object->kind >= PANG_SCOPE_NAMESPACE &&
               pang_path_within(object->path, scope->path);
    case PANG_SCOPE_ASSET:
        return in_catalog && object->kind == PANG_SCOPE_ASSET &&
               pang_id_equal(scope->asset, object->asset);
    case PANG_SCOPE_TAG:
        return object->kind == PANG_SCOPE_ASSET && has_tag(object, scope->tag);
    default:
        return false;
    }
}

void pang_grants_each(const pang_grants *g, pang_action action, const pang_grant_object *object,
                      pang_grant_seen_fn *fn, void *arg)
{
    for (size_t i = 0; i < g->n_rules; i++) {
        const pang_rule_held *rule = &g->rules[i];
        pang_grant_seen seen = {
            .grant = &rule->grant,
            .role = rule->role,
            .covers = covers(&rule->grant.scope, object),
            .implies = (pang_actions_closed(rule->grant.actions) & PANG_CAN(action)) != 0,
        };
        if (!fn(arg, &seen))
            return;
    }
}

/* The first that suffices; those of tags stand behind all others. */
static bool decide(void *arg, const pang_grant_seen *seen)
{
    pang_explanation *ret = arg;
    bool by_tag = seen->grant->scope.kind == PANG_SCOPE_TAG;
    if (!seen->covers || !seen->implies || (by_tag && ret->grant != NULL))
        return true;
    ret->grant = seen->grant;
    ret->role = seen->role;
    return by_tag;
}

/* Every action that implies the one asked for. */
static uint32_t sufficient(pang_action action)
{
    uint32_t ret = 0;
    for (uint32_t a = PANG_ACT_READ; a <= PANG_ACT_MANAGE_DISCOVERY; a++)
        if ((pang_actions_closed(PANG_CAN(a)) & PANG_CAN(action)) != 0)
            ret |= PANG_CAN(a);
    return ret;
}

void pang_grants_explain(const pang_grants *g, pang_action action, const pang_grant_object *object,
                         pang_explanation *ret)
{
    *ret = (pang_explanation){.verdict = pang_grants_check(g, action, object)};
    if (ret->verdict != PANG_ALLOWED) {
        ret->needed = sufficient(action);
        return;
    }
    if (g->rank != PANG_RANK_MEMBER) {
        ret->why = g->rank == PANG_RANK_ROOT ? PANG_WHY_ROOT : PANG_WHY_ADMIN;
        return;
    }
    pang_grants_each(g, action, object, decide, ret);
    if (ret->grant != NULL)
        ret->why = PANG_WHY_GRANT;
    else
        ret->why = object->kind == PANG_SCOPE_TENANT ? PANG_WHY_MEMBER : PANG_WHY_BELOW;
}
