/*
 * Readings are numbered by their dots: bit i is set where the i-th dot parts two levels.
 */
#include "server/dotted.h"

#include <string.h>

#include "server/svc_names.h"

typedef struct {
    pang_arena *arena;
    pang_str text;
    bool all; /* of a namespace: no name */
    pang_selected *list;
    size_t n;
    bool failed; /* without memory */
} readings;

static size_t count(pang_str text, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == c;
    return n;
}

/* Cuts the text at those separators whose bit is set; false: a part is empty. */
static bool cut(const readings *r, char separator, uint64_t bits, bool unescape, pang_str *parts,
                size_t *ret_n)
{
    size_t from = 0, dots = 0;
    *ret_n = 0;
    for (size_t i = 0; i <= r->text.len; i++) {
        bool is_end = i == r->text.len;
        if (!is_end && r->text.ptr[i] != separator)
            continue;
        if (!is_end && (bits >> (dots < 63 ? dots : 63) & 1) == 0) {
            dots++;
            continue;
        }
        dots++;
        if (i == from)
            return false;
        parts[*ret_n] = pang_str_slice(r->text, from, i - from);
        if (unescape && !pang_key_unescape(parts[*ret_n], r->arena, &parts[*ret_n]))
            return false;
        (*ret_n)++;
        from = i + 1;
    }
    return true;
}

static void add(readings *r, char separator, uint64_t bits, bool unescape)
{
    size_t n = 0;
    size_t most = count(r->text, separator) + 1;
    if (most > PANG_NAMESPACE_LEVELS_MAX + 1)
        return;
    pang_str *parts = pang_arena_alloc_n(r->arena, most, sizeof *parts);
    if (parts == NULL) {
        r->failed = true;
        return;
    }
    if (!cut(r, separator, bits, unescape, parts, &n))
        return;
    if (r->all && n <= PANG_NAMESPACE_LEVELS_MAX)
        r->list[r->n++] = (pang_selected){.levels = {parts, n}};
    else if (!r->all && n > 1)
        r->list[r->n++] = (pang_selected){.levels = {parts, n - 1}, .name = parts[n - 1]};
}

pang_code pang_dotted_read(const char *text, pang_arena *arena, pang_selected *ret, size_t *ret_n,
                           pang_err *err)
{
    readings r = {.arena = arena, .text = pang_str_from(text), .list = ret};
    char separator = strchr(text, PANG_UNIT_SEPARATOR) != NULL ? PANG_UNIT_SEPARATOR : '.';
    size_t len = r.text.len;
    r.all = len > 2 && text[len - 1] == '*' && text[len - 2] == separator;
    if (r.all)
        r.text.len -= 2;
    add(&r, separator, UINT64_MAX, false);
    if (separator == '.') {
        size_t dots = count(r.text, '.');
        if (pang_str_find(r.text, '%') < r.text.len)
            add(&r, '.', UINT64_MAX, true);
        for (uint64_t bits = dots > PANG_DOTS_MAX ? 0 : (UINT64_C(1) << dots) - 1; bits-- > 0;)
            add(&r, '.', bits, false);
    }
    *ret_n = r.n;
    return r.failed ? pang_fail_memory(err) : PANG_OK;
}

static const char *shown(const pang_selected *one, pang_arena *arena)
{
    pang_str text = PANG_STR("[");
    for (size_t i = 0; i < one->levels.n; i++)
        text = pang_arena_printf(arena, "%" PANG_STR_FMT "%s\"%" PANG_STR_FMT "\"",
                                 PANG_STR_ARG(text), i == 0 ? "" : ", ",
                                 PANG_STR_ARG(one->levels.names[i]));
    if (one->name.len > 0)
        text = pang_arena_printf(arena, "%" PANG_STR_FMT ", \"%" PANG_STR_FMT "\"",
                                 PANG_STR_ARG(text), PANG_STR_ARG(one->name));
    return pang_arena_cstr(arena,
                           pang_arena_printf(arena, "%" PANG_STR_FMT "]", PANG_STR_ARG(text)));
}

static pang_name name_of(pang_view *view, const pang_selected *one)
{
    return one->name.len == 0 ? pang_name_of_namespace(&view->keys, one->levels)
                              : pang_name_of_asset(&view->keys, one->levels, one->name);
}

typedef enum { NEVER, WAS, IS } rank;

/* What the readings are in one view, where that is more than is known. */
static pang_code look(pang_view *view, const pang_selected *list, size_t n,
                      pang_selectable_fn *known, void *arg, rank *ranks, pang_err *err)
{
    pang_content *contents = pang_arena_alloc_n(view->arena, n, sizeof *contents);
    if (contents == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        contents[i].name = name_of(view, &list[i]);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_content_get(view, contents, n, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        bool is = pang_content_exists(&contents[i]), may = true;
        if (is && known != NULL)
            code = list[i].name.len == 0
                       ? known(arg,
                               pang_key_path(&view->keys, list[i].levels.names, list[i].levels.n),
                               NULL, &may, err)
                       : known(arg, contents[i].name.path, contents[i].body, &may, err);
        rank now = !may || contents[i].body == NULL ? NEVER : is ? IS : WAS;
        ranks[i] = now > ranks[i] ? now : ranks[i];
    }
    return code;
}

pang_code pang_dotted_choose(pang_view *const *views, size_t n_views, const char *text,
                             const pang_selected *list, size_t n, pang_selectable_fn *known,
                             void *arg, size_t *ret, pang_err *err)
{
    rank ranks[PANG_READINGS_MAX] = {NEVER};
    pang_arena *arena = views[0]->arena;
    pang_code code = PANG_OK;
    *ret = 0;
    for (size_t i = 0; n > 1 && code == PANG_OK && i < n_views; i++)
        code = look(views[i], list, n, known, arg, ranks, err);
    for (size_t i = 1; code == PANG_OK && i < n; i++) {
        if (ranks[i] == IS && ranks[*ret] == IS)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "\"%.200s\" can be %.300s and %.300s: join levels and name by the "
                             "unit separator (0x1F) to say which",
                             text, shown(&list[*ret], arena), shown(&list[i], arena));
        if (ranks[i] > ranks[*ret])
            *ret = i;
    }
    return code;
}

pang_code pang_dotted_name(pang_view *const *views, size_t n_views, const char *text,
                           pang_name *ret, pang_err *err)
{
    size_t n = 0, which = 0;
    pang_arena *arena = views[0]->arena;
    pang_selected *list = pang_arena_alloc_n(arena, PANG_READINGS_MAX, sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_dotted_read(text, arena, list, &n, err);
    if (code == PANG_OK && (n == 0 || list[0].name.len == 0))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "table \"%.256s\" is no namespace and name joined by a dot", text);
    if (code == PANG_OK)
        code = pang_dotted_choose(views, n_views, text, list, n, NULL, NULL, &which, err);
    if (code != PANG_OK)
        return code;
    *ret = name_of(views[0], &list[which]);
    return pang_keys_status(&views[0]->keys, err);
}
