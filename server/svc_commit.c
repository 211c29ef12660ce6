/*
 * Commits, asked about: the log of a ref and single commits. A page's token holds the number below
 * which the next page begins, and the name that is followed there; what lands meanwhile has greater
 * numbers and moves nothing.
 */
#include "server/svc_commit.h"

#include "server/commits.h"
#include "server/dotted.h"
#include "server/pages.h"
#include "server/svc_manage.h"
#include "server/svc_names.h"

typedef Pangolin__V1__ListCommitsRequest list_in;
typedef Pangolin__V1__ListCommitsResponse list_out;

enum { LIST_DEFAULT = 100 };

/* ---- what is asked for ---- */

static pang_code read_time(const char *field, const char *text, int64_t *ret, pang_err *err)
{
    bool is_number = pang_ref_form_of(pang_str_from(text)) == PANG_REF_TIME;
    if (text[0] == '\0' || (is_number && pang_str_to_int64(pang_str_from(text), ret)) ||
        (!is_number && pang_manage_parse_time(text, ret)))
        return PANG_OK;
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "%s \"%.64s\" is neither a time as in RFC 3339 nor milliseconds", field, text);
}

pang_code pang_commit_filter_read(pang_view *view, const char *author, const char *table,
                                  pang_commit_filter *ret, pang_err *err)
{
    *ret = (pang_commit_filter){.author = pang_str_from(author), .until_ms = PANG_NO_END};
    (void)pang_id_parse(ret->author, &ret->author_id);
    if (table[0] == '\0')
        return PANG_OK;
    ret->by_name = true;
    return pang_dotted_name(&view, 1, table, &ret->name, err);
}

static pang_code read_filter(pang_view *view, const list_in *in, pang_commit_filter *ret,
                             pang_err *err)
{
    pang_code code = pang_commit_filter_read(view, in->author, in->table, ret, err);
    if (code == PANG_OK)
        code = read_time("from", in->from, &ret->from_ms, err);
    if (code == PANG_OK)
        code = read_time("until", in->until, &ret->until_ms, err);
    return code;
}

pang_code pang_commit_view(pang_call *call, const char *catalog, const char *ref, pang_view *ret,
                           pang_err *err)
{
    if (catalog[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "catalog is missing");
    pang_code code = pang_view_open(call, catalog, PANG_NOT_FOUND_REASON, ret, err);
    if (code != PANG_OK || ref[0] == '\0')
        return code;
    return pang_view_switch(ret, pang_str_from(ref), PANG_NOT_FOUND_REASON, err);
}

/* ---- pages ---- */

static pang_str describe(const list_in *in, pang_arena *arena)
{
    return pang_arena_printf(arena, "commits\n%s\n%s\n%s\n%s\n%s\n%s", in->catalog, in->name,
                             in->author, in->table, in->from, in->until);
}

/* A place as text: the path of the name that is followed, a slash, the name. */
static pang_code read_place(pang_call *call, const list_in *in, pang_log_place *ret, pang_err *err)
{
    pang_page page;
    *ret = (pang_log_place){.name = {.space = PANG_SPACE_ASSET}};
    if (in->page_token == NULL || in->page_token[0] == '\0')
        return PANG_OK;
    pang_code code = pang_page_read(call, describe(in, call->arena), pang_str_from(in->page_token),
                                    &page, err);
    if (code != PANG_OK)
        return code;
    size_t at = pang_str_find(page.after, '/');
    ret->before = page.sequence;
    ret->name.path = pang_str_slice(page.after, 0, at);
    if (at < page.after.len)
        ret->name.name = pang_str_after(page.after, at + 1);
    return PANG_OK;
}

static pang_code make_token(pang_call *call, const list_in *in, const pang_log_place *place,
                            char **ret, pang_err *err)
{
    if (place->before == 0)
        return PANG_OK;
    pang_page next = {.sequence = place->before};
    next.after = pang_arena_printf(call->arena, "%" PANG_STR_FMT "/%" PANG_STR_FMT,
                                   PANG_STR_ARG(place->name.path), PANG_STR_ARG(place->name.name));
    return next.after.len == 0 ? pang_fail_memory(err)
                               : pang_page_token(call, describe(in, call->arena), next, ret, err);
}

pang_code pang_commit_page_size(int32_t asked, size_t *ret, pang_err *err)
{
    if (asked < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "limit must not be negative");
    *ret = asked == 0 ? LIST_DEFAULT : (size_t)asked;
    if (*ret > PANG_LOG_PAGE_MAX)
        *ret = PANG_LOG_PAGE_MAX;
    return PANG_OK;
}

static pang_code show_page(pang_view *view, const pang_point *points, size_t n, list_out *out,
                           pang_err *err)
{
    pang_commit_shape shape = {.changes_max = PANG_LOG_CHANGES_MAX,
                               .details_left = PANG_LOG_DETAILS_MAX};
    pang_code code = PANG_OK;
    out->commits = pang_arena_alloc_n(view->arena, n, sizeof *out->commits);
    if (out->commits == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_commit_row row;
        code = pang_commit_at(view, points[i], &row, err);
        if (code == PANG_OK && row.body != NULL)
            code = pang_commit_show(view, &row, &shape, &out->commits[out->n_commits++], err);
    }
    return code;
}

static pang_code list(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const list_in *in = request;
    list_out *out = reply;
    pang_view view;
    pang_commit_filter filter;
    pang_log_place place;
    size_t most = 0, n = 0;
    if (in->offset < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "offset must not be negative");
    pang_code code = pang_commit_page_size(in->page_size, &most, err);
    if (code == PANG_OK)
        code = pang_commit_view(call, in->catalog, in->name, &view, err);
    if (code == PANG_OK)
        code = pang_log_view(&view, err);
    if (code == PANG_OK)
        code = read_filter(&view, in, &filter, err);
    if (code == PANG_OK)
        code = read_place(call, in, &place, err);
    if (code != PANG_OK)
        return code;
    pang_point *points = pang_arena_alloc_n(call->arena, most, sizeof *points);
    if (points == NULL)
        return pang_fail_memory(err);
    size_t skip = place.before == 0 ? (size_t)in->offset : 0;
    code = pang_log_read(&view, &filter, skip, &place, points, most, &n, err);
    if (code == PANG_OK)
        code = show_page(&view, points, n, out, err);
    return code == PANG_OK ? make_token(call, in, &place, &out->next_page_token, err) : code;
}

/* ---- one ---- */

static pang_code get(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetCommitRequest *in = request;
    Pangolin__V1__GetCommitResponse *out = reply;
    pang_commit_shape shape = {
        .changes_max = PANG_LISTED_MAX, .details_left = PANG_LISTED_MAX, .before = true};
    pang_view view;
    pang_commit_row row = {0}, whole = {0};
    pang_id id;
    pang_code code = pang_manage_id("commit_id", in->commit_id, &id, err);
    if (code == PANG_OK)
        code = pang_commit_view(call, in->catalog, "", &view, err);
    if (code == PANG_OK)
        code = pang_commit_by_id(&view, id, &row, err);
    if (code == PANG_OK && row.body != NULL)
        code = pang_commit_at(&view, (pang_point){pang_id_of(row.body->branch), row.sequence},
                              &whole, err);
    if (code == PANG_OK && whole.body == NULL)
        code = pang_manage_absent("commit", in->commit_id, err);
    return code == PANG_OK ? pang_commit_show(&view, &whole, &shape, &out->commit, err) : code;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.CommitService/ListCommits",
        .in = &pangolin__v1__list_commits_request__descriptor,
        .out = &pangolin__v1__list_commits_response__descriptor,
        .handle = list,
    },
    {
        .path = "/pangolin.v1.CommitService/GetCommit",
        .in = &pangolin__v1__get_commit_request__descriptor,
        .out = &pangolin__v1__get_commit_response__descriptor,
        .handle = get,
    },
    {
        .path = "/pangolin.v1.CommitService/Diff",
        .in = &pangolin__v1__diff_request__descriptor,
        .out = &pangolin__v1__diff_response__descriptor,
        .handle = pang_diff_refs,
    },
    {
        .path = "/pangolin.v1.CommitService/PollCommits",
        .in = &pangolin__v1__poll_commits_request__descriptor,
        .out = &pangolin__v1__poll_commits_response__descriptor,
        .handle = pang_poll_commits,
    },
    {
        .path = "/pangolin.v1.CommitService/WatchCommits",
        .in = &pangolin__v1__watch_commits_request__descriptor,
        .out = &pangolin__v1__watch_commits_response__descriptor,
        .stream = pang_watch_commits,
    },
};

const pang_service pang_service_commit = {
    .name = "pangolin.v1.CommitService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
