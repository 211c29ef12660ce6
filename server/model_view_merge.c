/*
 * Model of views, merging: properties one by one as those of tables, versions by what they say.
 * Numbers of versions and schemas mean nothing on the other side, so two versions are one when
 * their queries, names' defaults and schema are the same. What the source brings is turned into
 * updates as engines send them; the target's document with these is the merged one.
 */
#include "server/model_view_merge.h"

#include <inttypes.h>

#include "server/model_merging.h"
#include "server/model_view.h"

#define CURRENT PANG_STR("current-version-id")
#define MAY_DROP "replace.drop-dialect.allowed"

enum {
    TOLD_SQL_MAX = 64 << 10, /* bytes of all queries of a version in a conflict's details */
    TOLD_COLUMNS_MAX = 1000, /* a schema of more fields is told by its id alone */
};

/* A version and the schema that it names. */
typedef struct {
    const pang_json *version, *schema;
} stated;

static stated state_of(const pang_json *document, const pang_json *version)
{
    return (stated){version, pang_model_find(pang_json_get(document, "schemas"), "schema-id",
                                             pang_model_int(version, "schema-id", -1))};
}

static stated current_of(const pang_json *document)
{
    return state_of(document, pang_model_find(pang_json_get(document, "versions"), "version-id",
                                              pang_model_int(document, "current-version-id", -1)));
}

/* ---- whether two versions are one ---- */

static bool same_value(const pang_json *a, const pang_json *b)
{
    if (pang_json_is_null(a) || pang_json_is_null(b))
        return pang_json_is_null(a) && pang_json_is_null(b);
    return pang_json_equal(a, b);
}

static bool has_query(const pang_json *version, const pang_json *query)
{
    const pang_json *list = pang_json_get(version, "representations");
    for (size_t i = 0; i < pang_json_size(list); i++)
        if (pang_json_equal(pang_json_at(list, i), query))
            return true;
    return false;
}

/* The first query that the other has not; NULL: it has all. */
static const pang_json *own_query(const pang_json *version, const pang_json *other)
{
    const pang_json *list = pang_json_get(version, "representations");
    for (size_t i = 0; i < pang_json_size(list); i++)
        if (!has_query(other, pang_json_at(list, i)))
            return pang_json_at(list, i);
    return NULL;
}

static bool same_queries(const stated *a, const stated *b)
{
    return pang_json_size(pang_json_get(a->version, "representations")) ==
               pang_json_size(pang_json_get(b->version, "representations")) &&
           own_query(a->version, b->version) == NULL;
}

static bool same_schema(const stated *a, const stated *b)
{
    return a->schema == b->schema ||
           (a->schema != NULL && b->schema != NULL && pang_model_schema_same(a->schema, b->schema));
}

static bool same_member(const stated *a, const stated *b, const char *name)
{
    return same_value(pang_json_get(a->version, name), pang_json_get(b->version, name));
}

/* But for numbers, times and who made them. */
static bool same(const stated *a, const stated *b)
{
    return same_queries(a, b) && same_member(a, b, "default-catalog") &&
           same_member(a, b, "default-namespace") && same_schema(a, b);
}

/* The document's version that says what `wanted` says, the newest of several; NULL: none does. */
static const pang_json *find_version(const pang_json *document, const stated *wanted)
{
    const pang_json *list = pang_json_get(document, "versions");
    for (size_t i = pang_json_size(list); i-- > 0;) {
        stated one = state_of(document, pang_json_at(list, i));
        if (same(&one, wanted))
            return one.version;
    }
    return NULL;
}

/* ---- what the source brings ---- */

static void add_version(pang_merging *m, const stated *v)
{
    pang_json *copy = pang_model_copy(v->version, m->arena);
    pang_merging_put(m, pang_merging_update(m, "add-schema"), "schema",
                     (pang_json *)(uintptr_t)v->schema);
    pang_merging_put(m, copy, "version-id", pang_json_int(0, m->arena)); /* the next one */
    pang_merging_put(m, copy, "schema-id", pang_json_int(-1, m->arena)); /* the one just added */
    pang_merging_put(m, pang_merging_update(m, "add-view-version"), "view-version", copy);
}

/* Made since the half. A number may have been given out again after its version was forgotten. */
static bool is_new(const pang_merging *m, const pang_json *version)
{
    const pang_json *old = pang_model_find(pang_json_get(m->source_half.doc, "versions"),
                                           "version-id", pang_model_int(version, "version-id", -1));
    return old == NULL || !pang_json_equal(old, version);
}

/* The source's new versions, and its current one where that is wanted, as far as the target has
 * none that says the same; of more than one commit takes, the newest. */
static void add_versions(pang_merging *m, bool wants_current)
{
    const pang_json *list = pang_json_get(m->source.doc, "versions");
    const pang_json *current = current_of(m->source.doc).version;
    size_t n = pang_json_size(list), first = n, left = PANG_MODEL_ADDED_MAX - 1;
    while (first > 0 && left > 0)
        left -= is_new(m, pang_json_at(list, --first));
    for (size_t i = 0; i < n; i++) {
        stated one = state_of(m->source.doc, pang_json_at(list, i));
        bool wanted = (i >= first && is_new(m, one.version)) ||
                      (wants_current && one.version == current);
        if (wanted && find_version(m->target.doc, &one) == NULL)
            add_version(m, &one);
    }
}

/* ---- what is told of two current versions ---- */

/* A query, cut to what is left of the version's share. */
static pang_json *told_query(pang_merging *m, const pang_json *query, size_t *left)
{
    pang_str sql;
    pang_json *copy = pang_model_copy(query, m->arena);
    if (!pang_json_to_str(pang_json_get(query, "sql"), &sql))
        return copy;
    if (sql.len > *left) {
        size_t len = *left;
        while (len > 0 && ((unsigned char)sql.ptr[len] & 0xc0) == 0x80)
            len--;
        sql = pang_arena_printf(m->arena, "%.*s...", (int)len, sql.ptr);
        pang_merging_put(m, copy, "sql", pang_json_str(sql, m->arena));
        *left = 0;
    } else {
        *left -= sql.len;
    }
    return copy;
}

/* A version with its schema; what is too large for a person is cut. */
static pang_json *told_version(pang_merging *m, const stated *v)
{
    const pang_json *list = pang_json_get(v->version, "representations");
    pang_json *told = pang_model_copy(v->version, m->arena), *queries = pang_json_array(m->arena);
    size_t left = TOLD_SQL_MAX;
    if (v->version == NULL)
        return NULL;
    for (size_t i = 0; i < pang_json_size(list); i++)
        pang_merging_add(m, queries, told_query(m, pang_json_at(list, i), &left));
    pang_merging_put(m, told, "representations", queries);
    if (v->schema != NULL && pang_json_size(pang_json_get(v->schema, "fields")) <= TOLD_COLUMNS_MAX)
        pang_merging_put(m, told, "schema", (pang_json *)(uintptr_t)v->schema);
    return told;
}

/* Which members of two versions differ. */
static pang_json *differences(pang_merging *m, const stated *a, const stated *b)
{
    const struct {
        const char *name;
        bool same;
    } members[] = {
        {"representations", same_queries(a, b)},
        {"schema", same_schema(a, b)},
        {"default-namespace", same_member(a, b, "default-namespace")},
        {"default-catalog", same_member(a, b, "default-catalog")},
    };
    pang_json *names = pang_json_array(m->arena);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (!members[i].same)
            pang_merging_add(m, names, pang_json_str(pang_str_from(members[i].name), m->arena));
    return names;
}

/* "version 3 (spark: "select 1")", by a query that the other side has not. */
static pang_str shown(pang_merging *m, const stated *v, const stated *other)
{
    const pang_json *query = own_query(v->version, other->version);
    if (query == NULL)
        query = pang_json_at(pang_json_get(v->version, "representations"), 0);
    return pang_arena_printf(m->arena, "version %" PRId64 " (%" PANG_STR_FMT ": %" PANG_STR_FMT ")",
                             pang_model_int(v->version, "version-id", 0),
                             PANG_STR_ARG(pang_model_text(query, "dialect")),
                             PANG_STR_ARG(pang_merging_shown(m, pang_json_get(query, "sql"))));
}

static void say_both(pang_merging *m, const stated *base, const stated *s, const stated *t)
{
    pang_json *differ = differences(m, s, t);
    pang_json *details = pang_merging_about_property(m, CURRENT, told_version(m, base),
                                                     told_version(m, s), told_version(m, t));
    pang_merging_put(m, details, "differ", differ);
    pang_merging_conflict(m, PANG_CONFLICT_METADATA, details,
                          "both sides replaced the view: the source has %" PANG_STR_FMT
                          ", the target %" PANG_STR_FMT ", which differ in %" PANG_STR_FMT,
                          PANG_STR_ARG(shown(m, s, t)), PANG_STR_ARG(shown(m, t, s)),
                          PANG_STR_ARG(pang_merging_shown(m, differ)));
}

/* As pang_merging_choose. */
static pang_merging_choice choose_current(pang_merging *m)
{
    stated s = current_of(m->source.doc), sh = current_of(m->source_half.doc);
    stated t = current_of(m->target.doc), th = current_of(m->target_half.doc);
    if (same(&s, &sh) || same(&s, &t))
        return PANG_MERGING_TARGET;
    if (same(&t, &th) && same(&th, &sh))
        return PANG_MERGING_SOURCE;
    say_both(m, &th, &s, &t);
    return PANG_MERGING_BOTH;
}

/* ---- the document ---- */

static pang_code begin(pang_merging *m, const pang_merge_table *merge, pang_err *err)
{
    const struct {
        pang_merging_side *side;
        const char *name;
        const pang_json *document;
    } sides[] = {{&m->source, "source", merge->source.document},
                 {&m->source_half, "source", merge->source_half.document},
                 {&m->target, "target", merge->target.document},
                 {&m->target_half, "target", merge->target_half.document}};
    *m = (pang_merging){.merge = merge, .arena = merge->arena, .of_view = true};
    m->updates = pang_json_array(m->arena);
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        pang_code code = pang_model_view_check(sides[i].document, m->arena, err);
        if (code != PANG_OK)
            return code;
        *sides[i].side = (pang_merging_side){
            .name = sides[i].name, .raw = sides[i].document, .doc = sides[i].document};
    }
    return PANG_OK;
}

/* One commit of what was asked for so far; nothing is asked for afterwards. */
static pang_code commit(pang_merging *m, pang_model_outcome *now, pang_err *err)
{
    pang_model_outcome made;
    pang_model_change change = {.base = now->document, .updates = m->updates};
    if (m->failed || pang_arena_failed(m->arena))
        return pang_fail_memory(err);
    pang_code code = pang_model_view_commit(&change, m->merge->env, m->arena, &made, err);
    if (code != PANG_OK)
        return code;
    *now = (pang_model_outcome){made.document, now->changed || made.changed};
    m->updates = pang_json_array(m->arena);
    return PANG_OK;
}

/* A commit of its own, so that the log has the time at which the target got it, and not that at
 * which the source made it. */
static pang_code set_current(pang_merging *m, pang_model_outcome *now, pang_err *err)
{
    stated wanted = current_of(m->source.doc);
    const pang_json *found = find_version(now->document, &wanted);
    pang_merging_put(m, pang_merging_update(m, "set-current-view-version"), "view-version-id",
                     pang_json_int(pang_model_int(found, "version-id", -1), m->arena));
    return commit(m, now, err);
}

static pang_code finish(pang_merging *m, const pang_model_outcome *now, pang_err *err)
{
    return m->failed || pang_arena_failed(m->arena)
               ? pang_fail_memory(err)
               : pang_model_view_check(now->document, m->arena, err);
}

static pang_code build(pang_merging *m, bool takes_current, pang_model_outcome *now, pang_err *err)
{
    pang_err own = {0};
    pang_code code = commit(m, now, &own);
    if (code == PANG_OK && takes_current)
        code = set_current(m, now, &own);
    if (code == PANG_OK)
        code = finish(m, now, &own);
    if (code == PANG_INVALID_ARGUMENT) {
        pang_merging_conflict(m, PANG_CONFLICT_METADATA,
                              pang_merging_about_names(m, "conflicting_properties", CURRENT),
                              "the merged view would not be valid: %s", own.message);
        return PANG_OK;
    }
    if (code != PANG_OK && err != NULL)
        *err = own;
    return code;
}

pang_code pang_model_view_merge(const pang_merge_table *merge, pang_merge_outcome *ret,
                                pang_err *err)
{
    pang_merging m;
    pang_model_outcome now = {(pang_json *)(uintptr_t)merge->target.document, false};
    pang_code code = begin(&m, merge, err);
    if (code != PANG_OK)
        return code;
    pang_merging_properties(&m);
    pang_merging_choice current = choose_current(&m);
    add_versions(&m, current == PANG_MERGING_SOURCE);
    if (m.n_conflicts == 0)
        code = build(&m, current == PANG_MERGING_SOURCE, &now, err);
    pang_merging_count_untold(&m);
    if (code == PANG_OK && (m.failed || pang_arena_failed(m.arena)))
        code = pang_fail_memory(err);
    if (code != PANG_OK)
        return code;
    *ret = (pang_merge_outcome){
        .document = m.n_conflicts == 0 && now.changed ? now.document : NULL,
        .conflicts = m.conflicts,
        .n_conflicts = m.n_conflicts,
        .report = PANG_STR("{}"),
    };
    return PANG_OK;
}

/* ---- the source's, whole ---- */

/* Properties are the source's, and a dialect may go: somebody has seen that it does. */
static void take_properties(pang_merging *m)
{
    const pang_json *wanted = pang_json_get(m->source.doc, "properties");
    pang_json *updates = pang_json_object(m->arena), *removals = pang_json_array(m->arena);
    pang_json_members it = {.object = pang_json_get(m->target.doc, "properties")};
    pang_str name;
    pang_json *value;
    while (pang_json_next(&it, &name, &value))
        if (pang_json_get_str(wanted, name) == NULL)
            pang_merging_add(m, removals, pang_json_str(name, m->arena));
    it = (pang_json_members){.object = wanted};
    while (pang_json_next(&it, &name, &value))
        if (!pang_json_set_str(updates, name, value))
            m->failed = true;
    pang_merging_put(m, updates, MAY_DROP, pang_json_str(PANG_STR("true"), m->arena));
    pang_merging_put(m, pang_merging_update(m, "remove-properties"), "removals", removals);
    pang_merging_put(m, pang_merging_update(m, "set-properties"), "updates", updates);
    pang_merging_put(m, pang_merging_update(m, "set-location"), "location",
                     pang_json_get(m->source.doc, "location"));
}

static void restore_may_drop(pang_merging *m)
{
    pang_json *was = pang_json_get(pang_json_get(m->source.doc, "properties"), MAY_DROP);
    pang_json *updates = pang_json_object(m->arena), *removals = pang_json_array(m->arena);
    if (pang_json_is_null(was)) {
        pang_merging_add(m, removals, pang_json_str(PANG_STR(MAY_DROP), m->arena));
        pang_merging_put(m, pang_merging_update(m, "remove-properties"), "removals", removals);
        return;
    }
    pang_merging_put(m, updates, MAY_DROP, was);
    pang_merging_put(m, pang_merging_update(m, "set-properties"), "updates", updates);
}

pang_code pang_model_view_take_source(const pang_merge_table *merge, pang_json **ret, pang_err *err)
{
    pang_merging m;
    pang_model_outcome now = {(pang_json *)(uintptr_t)merge->target.document, false};
    pang_code code = begin(&m, merge, err);
    if (code != PANG_OK)
        return code;
    take_properties(&m);
    add_versions(&m, true);
    code = commit(&m, &now, err);
    if (code == PANG_OK)
        code = set_current(&m, &now, err);
    if (code != PANG_OK)
        return code;
    restore_may_drop(&m);
    code = commit(&m, &now, err);
    if (code == PANG_OK)
        code = finish(&m, &now, err);
    if (code == PANG_OK)
        *ret = now.document;
    return code;
}
