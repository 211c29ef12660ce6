/*
 * Messages from outside: what validation passes, protobuf-c unpacks; and as a reply it becomes JSON
 * that the strict scanner takes, if no raw JSON was in it. The first byte of the input picks the
 * method, the rest is the message.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/json.h"
#include "bridge/transcode.h"
#include "pangolin/v1/namespace.pb-c.h"
#include "pangolin/v1/table.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once: it is immutable. */
static const pang_schema *get_schema(void)
{
    static pang_schema *schema;
    if (schema == NULL)
        assert(pang_schema_load(pang_schema_linked(), &schema, NULL) == PANG_OK);
    return schema;
}

static bool is_valid(const char *path, bool reply, pang_str message)
{
    const pang_schema_method *m = pang_schema_find(get_schema(), pang_str_from(path));
    assert(m != NULL);
    return pang_schema_validate(get_schema(), reply ? m->out : m->in, message, NULL) == PANG_OK;
}

static void check_unpack(pang_str message)
{
    const uint8_t *bytes = (const uint8_t *)message.ptr;
    if (is_valid("/pangolin.v1.TableService/CreateTable", false, message)) {
        Pangolin__V1__CreateTableRequest *m = pangolin__v1__create_table_request__unpack(
            NULL, message.len, bytes);
        assert(m != NULL);
        pangolin__v1__create_table_request__free_unpacked(m, NULL);
    }
    if (is_valid("/pangolin.v1.NamespaceService/ListNamespaces", true, message)) {
        Pangolin__V1__ListNamespacesResponse *m = pangolin__v1__list_namespaces_response__unpack(
            NULL, message.len, bytes);
        assert(m != NULL);
        pangolin__v1__list_namespaces_response__free_unpacked(m, NULL);
    }
}

/* Replies of methods without raw JSON. A map on the wire may hold a name twice; the core's does
 * not. */
static bool is_plain(const pang_schema_method *method)
{
    return pang_str_ends(method->path, PANG_STR("/ListNamespaces")) ||
           pang_str_ends(method->path, PANG_STR("/ListTables")) ||
           pang_str_ends(method->path, PANG_STR("/LoadNamespace")) ||
           pang_str_ends(method->path, PANG_STR("/GetConfig")) ||
           pang_str_ends(method->path, PANG_STR("/LoadCredentials")) ||
           pang_str_ends(method->path, PANG_STR("/Ping"));
}

static void check_reply(const pang_schema_method *method, pang_str message, pang_arena *arena)
{
    pang_transcode_reply reply;
    pang_err err;
    pang_str text, token;
    if (pang_transcode_out(get_schema(), method, message, arena, &reply, &err) == PANG_OK &&
        is_plain(method) && reply.body.len > 0 &&
        pang_json_check(reply.body, arena, &err) != PANG_OK)
        assert(strstr(err.message, "two members of one name") != NULL);
    if (method->paging_items != NULL)
        (void)!pang_transcode_list_part(get_schema(), method, message, true, arena, &text, &token,
                                        &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pang_arena *arena = pang_arena_new(64 << 20);
    if (arena != NULL && size > 0) {
        pang_str message = {(const char *)data + 1, size - 1};
        check_unpack(message);
        check_reply(pang_schema_at(get_schema(), data[0] % pang_schema_size(get_schema())), message,
                    arena);
    }
    pang_arena_free(arena);
    return 0;
}
