/*
 * Files as engines leave them: see the header.
 */
#include "tests/server/avro_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fx_write_over(const char *location, const char *text)
{
    FILE *file = fopen(fx_path(location), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void put_long(FILE *to, long long value)
{
    unsigned long long zigzag = (unsigned long long)value << 1 ^ (unsigned long long)(value >> 63);
    for (; zigzag > 0x7F; zigzag >>= 7)
        fputc((int)(zigzag & 0x7F) | 0x80, to);
    fputc((int)zigzag, to);
}

static void put_text(FILE *to, const char *text)
{
    put_long(to, (long long)strlen(text));
    fputs(text, to);
}

/* An Avro file of records with one string, or with a status and an inner record with one. */
static void write_avro(const char *location, const char *schema, const char *const *texts, size_t n,
                       bool with_status)
{
    char *block = NULL;
    size_t size = 0;
    FILE *to = fopen(fx_path(location), "w"), *records = open_memstream(&block, &size);
    assert_true(to != NULL && records != NULL);
    fwrite("Obj\x01", 1, 4, to);
    put_long(to, 1);
    put_text(to, "avro.schema");
    put_text(to, schema);
    put_long(to, 0);
    fputs("0123456789abcdef", to);
    for (size_t i = 0; i < n; i++) {
        if (with_status)
            put_long(records, 1);
        put_text(records, texts[i]);
    }
    fclose(records);
    put_long(to, (long long)n);
    put_long(to, (long long)size);
    fwrite(block, 1, size, to);
    fputs("0123456789abcdef", to);
    fclose(to);
    free(block);
}

#define LIST_SCHEMA                                                                                \
    "{\"type\":\"record\",\"name\":\"m\",\"fields\":[{\"name\":\"manifest_path\","                 \
    "\"type\":\"string\"}]}"
#define MANIFEST_SCHEMA                                                                            \
    "{\"type\":\"record\",\"name\":\"e\",\"fields\":[{\"name\":\"status\",\"type\":\"int\"},"      \
    "{\"name\":\"data_file\",\"type\":{\"type\":\"record\",\"name\":\"d\",\"fields\":["            \
    "{\"name\":\"file_path\",\"type\":\"string\"}]}}]}"

void fx_write_manifest(const char *location, const char *const *files, size_t n)
{
    write_avro(location, MANIFEST_SCHEMA, files, n, true);
}

void fx_write_manifest_list(const char *location, const char *const *manifests, size_t n)
{
    write_avro(location, LIST_SCHEMA, manifests, n, false);
}

pang_code fx_append(fixture *fx, const char *prefix, const char *name, const char *table,
                    int64_t id, const char *const *files, size_t n)
{
    const char *list = fx_text(fx, "%s/metadata/snap-%lld.avro", table, (long long)id);
    const char *manifest = fx_text(fx, "%s/metadata/%lld-m0.avro", table, (long long)id);
    const char **paths = pang_arena_alloc_n(fx->arena, n, sizeof *paths);
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out = PANGOLIN__V1__COMMIT_TABLE_RESPONSE__INIT;
    for (size_t i = 0; i < n; i++) {
        paths[i] = fx_text(fx, "%s/data/%s", table, files[i]);
        fx_write_over(paths[i], "rows");
    }
    fx_write_manifest(manifest, paths, n);
    fx_write_manifest_list(list, &manifest, 1);
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "%s", name);
    in.updates = fx_bytes(fx_text(
        fx,
        "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":%lld,"
        "\"sequence-number\":%lld,\"timestamp-ms\":%lld,\"manifest-list\":\"%s\","
        "\"summary\":{\"operation\":\"append\"},\"schema-id\":0}},"
        "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
        "\"snapshot-id\":%lld}]",
        (long long)id, (long long)id, (long long)pang_env_wall_ms(&fx->env), list, (long long)id));
    in.requirements = fx_bytes("[]");
    return fx_call(fx, "CommitTable", &in, &out);
}
