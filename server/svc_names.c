/*
 * Names: what a new name may be. A name that breaks these rules cannot exist, so that reads of it
 * find nothing by themselves and are answered like any other absent name.
 */
#include "server/svc_names.h"

#define KIND(name) PANGOLIN__STORE__V1__KIND__KIND_##name

pang_code pang_levels_of(char *const *strings, size_t n, pang_arena *arena, pang_levels *ret,
                         pang_err *err)
{
    pang_str *names = pang_arena_alloc_n(arena, n, sizeof *names);
    if (names == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        names[i] = pang_str_from(strings[i]);
    *ret = (pang_levels){names, n};
    return PANG_OK;
}

/* C0, DEL, and C1 as UTF-8 spells them (C2 80 to C2 9F). */
static bool has_control(pang_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];
        if (byte < 0x20 || byte == 0x7F)
            return true;
        if (byte == 0xC2 && i + 1 < name.len && (unsigned char)name.ptr[i + 1] < 0xA0)
            return true;
    }
    return false;
}

pang_code pang_name_check(const char *what, pang_str name, pang_err *err)
{
    if (name.len == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "%s name is empty", what);
    if (name.len > PANG_NAME_BYTES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "identifier is too long: %s name of %zu bytes, at most %d", what, name.len,
                         PANG_NAME_BYTES_MAX);
    /* As a path segment these mean "here" and "above" in every spelling: nothing could reach it. */
    if (pang_str_equal(name, PANG_STR(".")) || pang_str_equal(name, PANG_STR("..")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "%s name must not be \".\" or \"..\"", what);
    if (has_control(name))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "%s name holds a control character", what);
    if (pang_str_find(name, '@') < name.len)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "%s name \"%" PANG_STR_FMT "\" holds \"@\", which addresses refs", what,
                         PANG_STR_ARG(name));
    return PANG_OK;
}

pang_code pang_levels_check(pang_levels levels, pang_err *err)
{
    if (levels.n == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "namespace has no levels");
    if (levels.n > PANG_NAMESPACE_LEVELS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "namespace has %zu levels, at most %d", levels.n,
                         PANG_NAMESPACE_LEVELS_MAX);
    for (size_t i = 0; i < levels.n; i++) {
        pang_code code = pang_name_check("namespace", levels.names[i], err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

const char *pang_dotted(pang_levels levels, pang_str name, pang_arena *arena)
{
    pang_buf buf = {.arena = arena};
    for (size_t i = 0; i < levels.n; i++) {
        if (i > 0)
            pang_buf_add_char(&buf, '.');
        pang_buf_add(&buf, levels.names[i]);
    }
    if (levels.n > 0 && name.len > 0)
        pang_buf_add_char(&buf, '.');
    pang_buf_add(&buf, name);
    pang_buf_add_char(&buf, '\0');
    return buf.failed ? "" : buf.ptr;
}

pang_code pang_fail_no_namespace(pang_levels levels, pang_arena *arena, pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, PANG_NO_NAMESPACE, "Namespace does not exist: %s",
                     pang_dotted(levels, (pang_str){0}, arena));
}

pang_code pang_fail_no_table(pang_levels levels, pang_str name, pang_arena *arena, pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, PANG_NO_TABLE, "Table does not exist: %s",
                     pang_dotted(levels, name, arena));
}

pang_code pang_fail_no_view(pang_levels levels, pang_str name, pang_arena *arena, pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, PANG_NO_VIEW, "View does not exist: %s",
                     pang_dotted(levels, name, arena));
}

const char *pang_kind_title(pang_rec_kind kind)
{
    return kind == KIND(TABLE) ? "Table" : kind == KIND(VIEW) ? "View" : "Asset";
}

pang_code pang_fail_exists(pang_rec_kind wanted, const pang_rec_content *body, pang_levels levels,
                           pang_str name, pang_arena *arena, pang_err *err)
{
    return pang_fail(err, PANG_ALREADY_EXISTS, PANG_EXISTS, "%s %salready exists: %s",
                     pang_kind_title(body->kind), body->kind == wanted ? "" : "with same name ",
                     pang_dotted(levels, name, arena));
}

bool pang_is_namespace(const pang_content *content)
{
    return pang_content_exists(content) && content->body->kind == KIND(NAMESPACE);
}

bool pang_is_table(const pang_content *content)
{
    return pang_content_exists(content) && content->body->kind == KIND(TABLE);
}
