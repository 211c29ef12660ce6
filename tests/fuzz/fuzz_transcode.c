/*
 * Requests in: whatever becomes a message is one that the core takes: its validation passes, and
 * protobuf-c unpacks it. The input is "VERB TARGET", a line feed, the body.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge/transcode.h"
#include "pangolin/v1/table.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    pang_schema *schema;
    pang_router *router;
} description;

/* Made once: both are immutable. */
static const description *get_description(void)
{
    static description d;
    if (d.router == NULL) {
        assert(pang_schema_load(pang_schema_linked(), &d.schema, NULL) == PANG_OK);
        assert(pang_router_new(d.schema, &d.router, NULL) == PANG_OK);
    }
    return &d;
}

static void check_message(const description *d, const pang_schema_method *method, pang_str message)
{
    assert(pang_schema_validate(d->schema, method->in, message, NULL) == PANG_OK);
    if (!pang_str_ends(method->path, PANG_STR("/CreateTable")))
        return;
    Pangolin__V1__CreateTableRequest *m = pangolin__v1__create_table_request__unpack(
        NULL, message.len, (const uint8_t *)message.ptr);
    assert(m != NULL && m->prefix[0] != '\0' && m->n_namespace_ > 0);
    pangolin__v1__create_table_request__free_unpacked(m, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const pang_http_field headers[] = {
        {PANG_STR_INIT("idempotency-key"), PANG_STR_INIT("0192f0c1")},
        {PANG_STR_INIT("x-iceberg-access-delegation"), PANG_STR_INIT("vended-credentials")},
    };
    const description *d = get_description();
    pang_arena *arena = pang_arena_new(64 << 20);
    pang_str body = {(const char *)data, size}, target = PANG_STR(""), verb = PANG_STR("");
    pang_str allow, message;
    pang_route_match match;
    if (arena == NULL)
        return 0;
    (void)pang_str_next(&body, '\n', &target);
    (void)pang_str_next(&target, ' ', &verb);
    size_t at = pang_str_find(target, '?');
    pang_transcode_request request = {pang_str_after(target, at + 1), headers, 2, body, false};
    bool found = pang_router_match(d->router, verb, pang_str_slice(target, 0, at), arena, &match,
                                   &allow, NULL) == PANG_OK;
    request.form = found && match.method->form && !pang_str_starts(body, PANG_STR("{"));
    if (found && pang_transcode_in(d->schema, &match, &request, arena, &message, NULL) == PANG_OK)
        check_message(d, match.method, message);
    pang_arena_free(arena);
    return 0;
}
