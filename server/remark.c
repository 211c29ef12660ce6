/*
 * Remarks: from headers and summaries into the commit's record. What is too long is refused, not
 * cut: a message that lost its end says something else.
 */
#include "server/remark.h"

#include <string.h>

#define SUMMARY_MESSAGE PANG_STR("pangolin.commit-message")
#define SUMMARY_PROPERTY PANG_STR("pangolin.commit.")
#define HEADER_PROPERTIES "X-Pangolin-Commit-Properties"

static pang_code refuse(pang_err *err, const char *what, size_t size, int most)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "%s of a commit: %zu bytes, at most %d", what, size, most);
}

pang_code pang_remark_check_message(pang_str text, pang_err *err)
{
    if (text.len > PANG_REMARK_MESSAGE_MAX)
        return refuse(err, "message", text.len, PANG_REMARK_MESSAGE_MAX);
    return PANG_OK;
}

static pang_code set_message(pang_edit *edit, pang_str text, pang_err *err)
{
    pang_code code = pang_remark_check_message(text, err);
    if (code != PANG_OK || edit->message.len > 0)
        return code;
    return pang_arena_copy(edit->view->arena, text, &edit->message) ? PANG_OK
                                                                    : pang_fail_memory(err);
}

static bool has_property(const pang_edit *edit, pang_str name)
{
    for (size_t i = 0; i < edit->n_properties; i++)
        if (pang_str_equal(pang_str_from(edit->properties[i]->name), name))
            return true;
    return false;
}

static pang_code make_property(pang_edit *edit, pang_str name, pang_str value, pang_err *err)
{
    pang_arena *arena = edit->view->arena;
    pang_rec_property *made = pang_arena_alloc(arena, sizeof *made);
    if (edit->n_properties == 0)
        edit->properties = pang_arena_alloc_n(arena, PANG_REMARK_PROPERTIES_MAX,
                                              sizeof *edit->properties);
    if (made == NULL || edit->properties == NULL)
        return pang_fail_memory(err);
    *made = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
    made->name = pang_arena_cstr(arena, name);
    made->value = pang_arena_cstr(arena, value);
    if (made->name == NULL || made->value == NULL)
        return pang_fail_memory(err);
    edit->properties[edit->n_properties++] = made;
    return PANG_OK;
}

static pang_code add_property(pang_edit *edit, pang_str name, pang_str value, pang_err *err)
{
    if (name.len == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "a property of a commit has no name");
    if (name.len > PANG_REMARK_NAME_MAX)
        return refuse(err, "property's name", name.len, PANG_REMARK_NAME_MAX);
    if (value.len > PANG_REMARK_VALUE_MAX)
        return refuse(err, "property's value", value.len, PANG_REMARK_VALUE_MAX);
    if (has_property(edit, name))
        return PANG_OK;
    if (edit->n_properties == PANG_REMARK_PROPERTIES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "too many properties of a commit, at most %d", PANG_REMARK_PROPERTIES_MAX);
    return make_property(edit, name, value, err);
}

/* ---- headers ---- */

static pang_code read_properties(pang_edit *edit, pang_str text, pang_err *err)
{
    pang_json *object;
    pang_err inner;
    pang_str name, value_text;
    pang_json *value;
    pang_code code = pang_json_parse(text, edit->view->arena, &object, &inner);
    if (code == PANG_INVALID_ARGUMENT)
        return pang_fail(err, code, "BadRequestException", "header " HEADER_PROPERTIES ": %s",
                         inner.message);
    if (code != PANG_OK) {
        *err = inner;
        return code;
    }
    if (pang_json_type_of(object) != PANG_JSON_IS_OBJECT)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "header " HEADER_PROPERTIES " is no JSON object");
    pang_json_members it = {.object = object};
    while (code == PANG_OK && pang_json_next(&it, &name, &value)) {
        if (!pang_json_to_str(value, &value_text))
            return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                             "header " HEADER_PROPERTIES ": \"%.100s\" is no text", name.ptr);
        code = add_property(edit, name, value_text, err);
    }
    return code;
}

pang_code pang_remark_of_call(pang_edit *edit, pang_err *err)
{
    const pang_call *call = edit->view->call;
    pang_code code = PANG_OK;
    if (call == NULL)
        return PANG_OK;
    if (call->commit_message.len > 0)
        code = set_message(edit, call->commit_message, err);
    if (code == PANG_OK && call->commit_properties.len > 0)
        code = read_properties(edit, call->commit_properties, err);
    return code;
}

/* ---- summaries ---- */

pang_code pang_remark_of_summary(pang_edit *edit, const pang_json *summary, pang_err *err)
{
    pang_str name, text;
    pang_json *value;
    pang_json_members it = {.object = summary};
    pang_code code = PANG_OK;
    if (pang_json_type_of(summary) != PANG_JSON_IS_OBJECT)
        return PANG_OK;
    while (code == PANG_OK && pang_json_next(&it, &name, &value)) {
        if (!pang_json_to_str(value, &text))
            continue;
        if (pang_str_equal(name, SUMMARY_MESSAGE))
            code = set_message(edit, text, err);
        else if (pang_str_starts(name, SUMMARY_PROPERTY))
            code = add_property(edit, pang_str_after(name, SUMMARY_PROPERTY.len), text, err);
    }
    return code;
}
