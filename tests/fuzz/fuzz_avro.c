/*
 * Manifests: engines write them, and whoever can write into a warehouse. What is read is written,
 * and must be read again as the same.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "server/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEPT = 16 };

typedef struct {
    pang_arena *arena;
    const pang_manifest_entry *entries[KEPT];
    size_t n;
} kept;

static bool keep(void *arg, const pang_manifest_entry *entry)
{
    kept *to = arg;
    pang_manifest_entry *copy;
    pang_err err;
    if (to->n == KEPT || pang_manifest_entry_copy(entry, to->arena, &copy, &err) != PANG_OK)
        return false;
    to->entries[to->n++] = copy;
    return true;
}

static void check_same(const kept *a, const kept *b)
{
    assert(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        const pang_manifest_entry *x = a->entries[i], *y = b->entries[i];
        assert(pang_str_equal(x->path, y->path) && x->record_count == y->record_count &&
               x->status == y->status && x->n_value_counts == y->n_value_counts &&
               x->n_split_offsets == y->n_split_offsets && x->n_lower == y->n_lower);
        for (size_t k = 0; k < x->n_partition; k++)
            assert(pang_value_equal(&x->partition[k], &y->partition[k]));
    }
}

/* A schema without columns: the values say what types they have. */
static void write_again(const kept *read, const pang_manifest_head *head, pang_arena *arena)
{
    pang_json *schema = NULL, *spec = pang_json_object(arena), *fields = NULL;
    pang_manifest_head again;
    pang_manifest row;
    kept other = {.arena = arena};
    pang_env_fixed state = {.seed = 1};
    pang_env env = pang_env_from_fixed(&state);
    pang_str bytes;
    pang_err err;
    if (spec == NULL || head->spec.len == 0 ||
        pang_json_parse(PANG_STR("{\"type\":\"struct\",\"fields\":[]}"), arena, &schema, &err) !=
            PANG_OK ||
        pang_json_parse(head->spec, arena, &fields, &err) != PANG_OK ||
        !pang_json_set(spec, "spec-id", pang_json_int(head->spec_id, arena)) ||
        !pang_json_set(spec, "fields", fields))
        return;
    pang_manifest_new made = {.format_version = 3,
                              .content = head->content,
                              .schema = schema,
                              .spec = spec,
                              .codec = PANG_CODEC_NULL,
                              .entries = read->entries,
                              .n = read->n};
    if (pang_manifest_write(&made, &env, arena, &bytes, &row, &err) != PANG_OK)
        return;
    pang_code code = pang_manifest_read(bytes, NULL, arena, &again, keep, &other, &err);
    if (code == PANG_OK)
        check_same(read, &other);
    else
        assert(code == PANG_RESOURCE_EXHAUSTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pang_arena *arena = pang_arena_new(16 << 20);
    pang_str file = {(const char *)data, size};
    kept read = {.arena = arena};
    pang_manifest_head head;
    pang_manifest *rows;
    pang_err err;
    size_t n;
    if (arena == NULL)
        return 0;
    pang_code code = pang_manifest_list_read(file, arena, &rows, &n, &err);
    assert(code == PANG_OK || err.message[0] != '\0');
    code = pang_manifest_read(file, NULL, arena, &head, keep, &read, &err);
    assert(code == PANG_OK || err.message[0] != '\0');
    if (code == PANG_OK)
        write_again(&read, &head, arena);
    pang_arena_free(arena);
    return 0;
}
