/*
 * Lists: the first page decides the state that all pages are read at, and hands it on in the
 * token, so that what changes meanwhile neither repeats nor hides an entry.
 */
#include "server/pages.h"
#include "server/svc_services.h"

pang_code pang_list_begin(pang_call *call, pang_view *view, pang_levels levels, pang_space space,
                          const char *token, int32_t page_size, pang_list *ret, pang_err *err)
{
    pang_page page = {0};
    *ret = (pang_list){.view = view};
    ret->query.space = space;
    ret->query.path = pang_key_path(&view->keys, levels.names, levels.n);
    ret->what = pang_key_contents(&view->keys, view->levels[0].branch, space, ret->query.path);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_page_size(page_size, &ret->query.limit, err);
    if (code != PANG_OK)
        return code;
    if (token != NULL && token[0] != '\0')
        code = pang_page_read(call, ret->what, pang_str_from(token), &page, err);
    else
        code = pang_view_sequence(view, &page.sequence, err);
    if (code != PANG_OK)
        return code;
    ret->query.after = page.after;
    ret->sequence = page.sequence;
    pang_view_set_at(view, page.sequence);
    return PANG_OK;
}

pang_code pang_list_run(pang_call *call, pang_list *list, pang_content_row_fn *row, void *arg,
                        char **ret_token, pang_err *err)
{
    pang_str after = {0};
    pang_code code = pang_content_list(list->view, &list->query, row, arg, &after, err);
    if (code != PANG_OK || after.len == 0)
        return code;
    pang_page next = {.sequence = list->sequence, .after = after};
    return pang_page_token(call, list->what, next, ret_token, err);
}
