/*
 * Views: calls that change one, and its document in the model's words. A query is a number, and
 * says what the version's text and schema are.
 */
#include <string.h>

#include "tests/versions/real.h"

#include "pangolin/v1/view.pb-c.h"

enum { SCHEMAS = 3 }; /* that versions share */

static char *schema_of(world *w, int query)
{
    return fx_text(w->fx,
                   "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"c%d\","
                   "\"required\":false,\"type\":\"long\"}]}",
                   query % SCHEMAS);
}

static char *version_of(world *w, int query)
{
    return fx_text(w->fx,
                   "{\"version-id\":1,\"schema-id\":-1,\"timestamp-ms\":%lld,\"summary\":{},"
                   "\"default-namespace\":[\"n%d\"],\"representations\":[{\"type\":\"sql\","
                   "\"dialect\":\"spark\",\"sql\":\"select %d\"}]}",
                   (long long)pang_env_wall_ms(&w->fx->env), query % 2, query);
}

pang_code real_create_view(world *w, const char *ref, const change *c, int made)
{
    typedef Pangolin__V1__CreateViewRequest__PropertiesEntry entry;
    Pangolin__V1__CreateViewRequest in = PANGOLIN__V1__CREATE_VIEW_REQUEST__INIT;
    Pangolin__V1__CreateViewResponse out;
    entry history = PANGOLIN__V1__CREATE_VIEW_REQUEST__PROPERTIES_ENTRY__INIT, *list[] = {&history};
    history.key = TEXT("version.history.num-entries"); /* no version is ever forgotten */
    history.value = TEXT("1000");
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, c->space, NULL, &in.n_namespace_);
    in.name = real_title(w, c->title, ref);
    in.schema = fx_bytes(schema_of(w, c->query));
    in.view_version = fx_bytes(version_of(w, c->query));
    in.properties = list;
    in.n_properties = 1;
    pang_code code = fx_call(w->fx, "CreateView", &in, &out);
    if (code == PANG_OK)
        real_keep_id(w, made, real_text_at(real_parse(w, out.metadata), "view-uuid"));
    return code;
}

/* ---- documents ---- */

/* The number of a version's query, once it is known that all of it is that query's. */
static int query_of(world *w, const pang_json *document, const pang_json *version)
{
    const pang_json *queries = pang_json_get(version, "representations");
    const pang_json *schema = real_with_number(pang_json_get(document, "schemas"), "schema-id",
                                               real_number_at(version, "schema-id", -1));
    pang_str sql = real_text_at(pang_json_at(queries, 0), "sql"), space = {0};
    int64_t query = -1;
    assert_int_equal(pang_json_size(queries), 1);
    assert_true(pang_str_to_int64(pang_str_after(sql, strlen("select ")), &query));
    const pang_json *field = pang_json_at(pang_json_get(schema, "fields"), 0);
    const pang_json *levels = pang_json_get(version, "default-namespace");
    pang_str column = real_text_at(field, "name");
    (void)pang_json_to_str(pang_json_at(levels, 0), &space);
    if (!pang_str_equal(column, pang_str_from(fx_text(w->fx, "c%d", (int)query % SCHEMAS))) ||
        !pang_str_equal(space, pang_str_from(fx_text(w->fx, "n%d", (int)query % 2))))
        fail_msg("seed %lu, after %s: the version of query %d is not as it was made",
                 (unsigned long)w->seed, w->step, (int)query);
    return (int)query;
}

static void show_versions(world *w, const pang_json *document, const char *name, file_set *to)
{
    const pang_json *list = pang_json_get(document, "versions");
    const pang_json *log = pang_json_get(document, "version-log");
    size_t n = pang_json_size(log);
    *to = (file_set){0};
    for (size_t i = 0; i < pang_json_size(list); i++) {
        int query = query_of(w, document, pang_json_at(list, i));
        if (has_file(to, query))
            fail_msg("seed %lu, after %s: %s has query %d twice", (unsigned long)w->seed, w->step,
                     name, query);
        add_file(to, query);
    }
    for (size_t i = 0; i < n; i++)
        assert_non_null(real_with_number(list, "version-id",
                                         real_number_at(pang_json_at(log, i), "version-id", -1)));
    assert_true(n > 0 && real_number_at(pang_json_at(log, n - 1), "version-id", -1) ==
                             real_number_at(document, "current-version-id", -2));
}

char *real_view_line(world *w, const pang_json *document, const char *name, int made)
{
    pang_buf out = {.arena = w->fx->arena};
    pang_str value;
    const pang_json *version = real_with_number(pang_json_get(document, "versions"), "version-id",
                                                real_number_at(document, "current-version-id", -1));
    pang_buf_printf(&out, "view %s #%d", name, made);
    for (int i = 0; i < PROPERTIES; i++)
        if (pang_json_to_str(
                pang_json_get(pang_json_get(document, "properties"), fx_text(w->fx, "p%d", i)),
                &value))
            pang_buf_printf(&out, " p%d=%" PANG_STR_FMT, i, PANG_STR_ARG(value));
    pang_buf_printf(&out, " q%d", query_of(w, document, version));
    pang_buf_add_char(&out, '\0');
    if (made >= 0)
        show_versions(w, document, name, &w->versions[made]);
    return TEXT(pang_buf_str(&out).ptr);
}

/* ---- changes ---- */

/* The version's number on this ref. */
static int64_t find_version(world *w, const char *ref, const change *c)
{
    Pangolin__V1__LoadViewRequest in = PANGOLIN__V1__LOAD_VIEW_REQUEST__INIT;
    Pangolin__V1__LoadViewResponse out;
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, c->space, NULL, &in.n_namespace_);
    in.view = real_title(w, c->title, ref);
    if (fx_call(w->fx, "LoadView", &in, &out) != PANG_OK)
        fail_msg("seed %lu, %s: %s", (unsigned long)w->seed, w->step, w->fx->err.message);
    const pang_json *document = real_parse(w, out.metadata);
    const pang_json *list = pang_json_get(document, "versions");
    for (size_t i = 0; i < pang_json_size(list); i++)
        if (query_of(w, document, pang_json_at(list, i)) == c->query)
            return real_number_at(pang_json_at(list, i), "version-id", -1);
    fail_msg("seed %lu, %s: the version is not there", (unsigned long)w->seed, w->step);
    return -1;
}

static char *updates_of(world *w, const char *ref, const change *c)
{
    static const char set[] = "{\"action\":\"set-current-view-version\",\"view-version-id\":";
    if (c->again)
        return fx_text(w->fx, "[%s%lld}]", set, (long long)find_version(w, ref, c));
    if (c->query != 0)
        return fx_text(w->fx,
                       "[{\"action\":\"add-schema\",\"schema\":%s},"
                       "{\"action\":\"add-view-version\",\"view-version\":%s},%s-1}]",
                       schema_of(w, c->query), version_of(w, c->query), set);
    return real_property_update(w, c);
}

pang_code real_change_view(world *w, const char *ref, const change *c)
{
    Pangolin__V1__ReplaceViewRequest in = PANGOLIN__V1__REPLACE_VIEW_REQUEST__INIT;
    Pangolin__V1__ReplaceViewResponse out;
    in.updates = fx_bytes(updates_of(w, ref, c));
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, c->space, NULL, &in.n_namespace_);
    in.view = real_title(w, c->title, ref);
    return fx_call(w->fx, "ReplaceView", &in, &out);
}
