/*
 * Manifests from and to files, for scripts that hold them against other programs:
 *
 *     manifest_tool list FILE                          the rows of a list, as JSON
 *     manifest_tool entries FILE [LIST ROW]            head and entries, with what they inherit
 *     manifest_tool rewrite IN OUT VERSION CODEC [SCHEMA]
 *                                                      a manifest again; prints its row
 *     manifest_tool rewrite-list IN OUT VERSION CODEC SNAPSHOT SEQUENCE LENGTH...
 *                                                      a list again, with these lengths
 *     manifest_tool sample OUT VERSION data|deletes N  the entries of the unit tests; prints the
 * row
 *
 * Bytes are printed as {"hex": ...}, floating point numbers as text.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/server/manifest_fixture.h"

static pang_arena *arena;
static pang_err err;

static void must(pang_code code)
{
    if (code == PANG_OK)
        return;
    fprintf(stderr, "manifest_tool: %s: %s\n", pang_code_name(code), err.message);
    exit(1);
}

static void die(const char *what)
{
    fprintf(stderr, "manifest_tool: %s\n", what);
    exit(2);
}

static int64_t number_of(const char *text)
{
    int64_t number;
    if (!pang_str_to_int64(pang_str_from(text), &number))
        die(text);
    return number;
}

static pang_str read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(path);
    size_t len = (size_t)ftell(file);
    char *bytes = pang_arena_alloc_text(arena, len);
    rewind(file);
    if (bytes == NULL || fread(bytes, 1, len, file) != len)
        die(path);
    fclose(file);
    return (pang_str){bytes, len};
}

static void write_file(const char *path, pang_str bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes.ptr, 1, bytes.len, file) != bytes.len || fclose(file) != 0)
        die(path);
}

/* ---- JSON ---- */

static const char *separator = "";

static void print_name(const char *name)
{
    printf("%s\"%s\": ", separator, name);
    separator = ", ";
}

static void open_object(const char *name)
{
    print_name(name);
    printf("{");
    separator = "";
}

static void close_object(void)
{
    printf("}");
    separator = ", ";
}

static void print_hex(pang_str bytes)
{
    if (bytes.ptr == NULL) {
        printf("null");
        return;
    }
    printf("{\"hex\": \"");
    for (size_t i = 0; i < bytes.len; i++)
        printf("%02x", (unsigned)(unsigned char)bytes.ptr[i]);
    printf("\"}");
}

static void print_text(const char *name, pang_str text)
{
    pang_buf quoted = {.arena = arena};
    print_name(name);
    if (text.ptr == NULL) {
        printf("null");
        return;
    }
    pang_json_quote(&quoted, text);
    printf("%" PANG_STR_FMT, PANG_STR_ARG(pang_buf_str(&quoted)));
}

static void print_number(const char *name, bool has, int64_t number)
{
    print_name(name);
    if (has)
        printf("%" PRId64, number);
    else
        printf("null");
}

static void print_value(const pang_value *value)
{
    switch (value->type) {
    case PANG_VALUE_NULL:
        printf("null");
        return;
    case PANG_VALUE_BOOLEAN:
        printf(value->number != 0 ? "true" : "false");
        return;
    case PANG_VALUE_INT:
        printf("%" PRId64, value->number);
        return;
    case PANG_VALUE_FLOAT:
    case PANG_VALUE_DOUBLE:
        printf("\"%.17g\"", value->real);
        return;
    case PANG_VALUE_BYTES:
        print_hex(value->text);
    }
}

static void print_numbers(const char *name, const pang_column_number *items, size_t n)
{
    if (items == NULL) {
        print_number(name, false, 0);
        return;
    }
    open_object(name);
    for (size_t i = 0; i < n; i++) {
        printf("%s\"%" PRId32 "\": %" PRId64, separator, items[i].column, items[i].number);
        separator = ", ";
    }
    close_object();
}

static void print_bounds(const char *name, const pang_column_bound *items, size_t n)
{
    if (items == NULL) {
        print_number(name, false, 0);
        return;
    }
    open_object(name);
    for (size_t i = 0; i < n; i++) {
        printf("%s\"%" PRId32 "\": ", separator, items[i].column);
        print_hex(items[i].bound);
        separator = ", ";
    }
    close_object();
}

static void print_partitions(const pang_manifest *row)
{
    print_name("partitions");
    printf(row->partitions == NULL ? "null" : "[");
    for (size_t i = 0; i < row->n_partitions; i++) {
        const pang_manifest_bounds *b = &row->partitions[i];
        printf("%s[%s, %s, ", i > 0 ? ", " : "", b->contains_null ? "true" : "false",
               !b->has_contains_nan ? "null"
               : b->contains_nan    ? "true"
                                    : "false");
        print_hex(b->lower);
        printf(", ");
        print_hex(b->upper);
        printf("]");
    }
    printf(row->partitions == NULL ? "" : "]");
}

static void print_row(const pang_manifest *row)
{
    printf("{");
    separator = "";
    print_text("path", row->path);
    print_number("length", true, row->length);
    print_number("spec_id", true, row->spec_id);
    print_number("content", true, row->content);
    print_number("sequence", true, row->sequence);
    print_number("min_sequence", true, row->min_sequence);
    print_number("snapshot_id", true, row->snapshot_id);
    print_number("added_files", row->added_files >= 0, row->added_files);
    print_number("existing_files", row->existing_files >= 0, row->existing_files);
    print_number("deleted_files", row->deleted_files >= 0, row->deleted_files);
    print_number("added_rows", row->added_rows >= 0, row->added_rows);
    print_number("existing_rows", row->existing_rows >= 0, row->existing_rows);
    print_number("deleted_rows", row->deleted_rows >= 0, row->deleted_rows);
    print_partitions(row);
    print_name("key_metadata");
    print_hex(row->key_metadata);
    print_number("first_row_id", row->has_first_row_id, row->first_row_id);
    printf("}\n");
}

static void print_lists(const pang_manifest_entry *e)
{
    print_numbers("column_sizes", e->column_sizes, e->n_column_sizes);
    print_numbers("value_counts", e->value_counts, e->n_value_counts);
    print_numbers("null_counts", e->null_counts, e->n_null_counts);
    print_numbers("nan_counts", e->nan_counts, e->n_nan_counts);
    print_bounds("lower", e->lower, e->n_lower);
    print_bounds("upper", e->upper, e->n_upper);
    print_name("split_offsets");
    printf(e->split_offsets == NULL ? "null" : "[");
    for (size_t i = 0; i < e->n_split_offsets; i++)
        printf("%s%" PRId64, i > 0 ? ", " : "", e->split_offsets[i]);
    printf(e->split_offsets == NULL ? "" : "]");
    print_name("equality_ids");
    printf(e->equality_ids == NULL ? "null" : "[");
    for (size_t i = 0; i < e->n_equality_ids; i++)
        printf("%s%" PRId32, i > 0 ? ", " : "", e->equality_ids[i]);
    printf(e->equality_ids == NULL ? "" : "]");
}

static bool print_entry(void *arg, const pang_manifest_entry *e)
{
    size_t *n = arg;
    printf("%s{", (*n)++ > 0 ? ",\n" : "");
    separator = "";
    print_number("status", true, e->status);
    print_number("snapshot_id", e->has_snapshot_id, e->snapshot_id);
    print_number("sequence", e->has_sequence, e->sequence);
    print_number("file_sequence", e->has_file_sequence, e->file_sequence);
    print_number("content", true, e->content);
    print_text("path", e->path);
    print_text("format", e->format);
    print_name("partition");
    printf("[");
    for (size_t i = 0; i < e->n_partition; i++) {
        printf(i > 0 ? ", " : "");
        print_value(&e->partition[i]);
    }
    printf("]");
    print_number("record_count", true, e->record_count);
    print_number("file_size", true, e->file_size);
    print_lists(e);
    print_name("key_metadata");
    print_hex(e->key_metadata);
    print_number("sort_order", e->has_sort_order, e->sort_order);
    print_number("first_row_id", e->has_first_row_id, e->first_row_id);
    print_text("referenced_data_file", e->referenced_data_file);
    print_number("content_offset", e->has_content_range, e->content_offset);
    print_number("content_size", e->has_content_range, e->content_size);
    printf("}");
    return true;
}

/* ---- commands ---- */

static pang_manifest *read_list(const char *path, size_t *ret_n)
{
    pang_manifest *rows;
    must(pang_manifest_list_read(read_file(path), arena, &rows, ret_n, &err));
    return rows;
}

static void list(char **args, int n)
{
    size_t n_rows;
    if (n != 1)
        die("list FILE");
    pang_manifest *rows = read_list(args[0], &n_rows);
    printf("[");
    for (size_t i = 0; i < n_rows; i++) {
        printf(i > 0 ? "," : "");
        print_row(&rows[i]);
    }
    printf("]\n");
}

static void entries(char **args, int n)
{
    pang_manifest_head head;
    const pang_manifest *row = NULL;
    size_t n_rows = 0, count = 0;
    if (n != 1 && n != 3)
        die("entries FILE [LIST ROW]");
    if (n == 3) {
        size_t at = (size_t)number_of(args[2]);
        row = read_list(args[1], &n_rows) + at;
        if (at >= n_rows)
            die("no such row");
    }
    printf("{\"entries\": [");
    must(pang_manifest_read(read_file(args[0]), row, arena, &head, print_entry, &count, &err));
    printf("]");
    separator = ", ";
    print_number("format_version", true, head.format_version);
    print_number("spec_id", true, head.spec_id);
    print_number("content", true, head.content);
    print_name("partition");
    printf("[");
    for (size_t i = 0; i < head.n_partition; i++)
        printf("%s%" PRId32, i > 0 ? ", " : "", head.partition[i]);
    printf("]}\n");
}

typedef struct {
    const pang_manifest_entry **items;
    size_t n, room;
} kept;

static bool keep(void *arg, const pang_manifest_entry *entry)
{
    kept *to = arg;
    pang_manifest_entry *copy;
    must(pang_manifest_entry_copy(entry, arena, &copy, &err));
    if (to->n == to->room) {
        to->room = to->room == 0 ? 64 : to->room * 2;
        to->items = realloc(to->items, to->room * sizeof(*to->items));
        if (to->items == NULL)
            die("out of memory");
    }
    to->items[to->n++] = copy;
    return true;
}

static pang_codec codec_named(const char *name)
{
    static const char *const names[] = {"null", "deflate", "snappy", "zstandard"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0)
            return (pang_codec)i;
    die("no such codec");
    return PANG_CODEC_NULL;
}

static void rewrite(char **args, int n)
{
    pang_manifest_head head;
    pang_manifest row;
    pang_str bytes;
    pang_json *schema, *fields, *spec = pang_json_object(arena);
    kept read = {0};
    if (n != 4 && n != 5)
        die("rewrite IN OUT VERSION CODEC [SCHEMA]");
    must(pang_manifest_read(read_file(args[0]), NULL, arena, &head, keep, &read, &err));
    must(pang_json_parse(n == 5 ? pang_str_from(args[4]) : head.schema, arena, &schema, &err));
    must(pang_json_parse(head.spec, arena, &fields, &err));
    if (!pang_json_set(spec, "spec-id", pang_json_int(head.spec_id, arena)) ||
        !pang_json_set(spec, "fields", fields))
        die("out of memory");
    pang_manifest_new made = {.format_version = (int)number_of(args[2]),
                              .content = head.content,
                              .schema = schema,
                              .spec = spec,
                              .codec = codec_named(args[3]),
                              .entries = read.items,
                              .n = read.n};
    must(pang_manifest_write(&made, &pang_env_system, arena, &bytes, &row, &err));
    write_file(args[1], bytes);
    print_row(&row);
    free(read.items);
}

static void rewrite_list(char **args, int n)
{
    size_t n_rows;
    pang_str bytes;
    if (n < 6)
        die("rewrite-list IN OUT VERSION CODEC SNAPSHOT SEQUENCE LENGTH...");
    pang_manifest *rows = read_list(args[0], &n_rows);
    for (size_t i = 0; i < n_rows && (int)i + 6 < n; i++)
        rows[i].length = number_of(args[i + 6]);
    pang_manifest_list_new made = {.format_version = (int)number_of(args[2]),
                                   .codec = codec_named(args[3]),
                                   .snapshot_id = number_of(args[4]),
                                   .parent_id = -1,
                                   .sequence = number_of(args[5]),
                                   .manifests = rows,
                                   .n = n_rows};
    must(pang_manifest_list_write(&made, &pang_env_system, arena, &bytes, NULL, &err));
    write_file(args[1], bytes);
}

static void sample(char **args, int n)
{
    pang_manifest_new made;
    pang_manifest row;
    pang_str bytes;
    if (n != 4)
        die("sample OUT VERSION data|deletes N");
    bool deletes = strcmp(args[2], "deletes") == 0;
    if (!fixture_manifest((size_t)number_of(args[3]), (int)number_of(args[1]),
                          deletes ? PANG_MANIFEST_DELETES : PANG_MANIFEST_DATA, PANG_CODEC_DEFLATE,
                          arena, &made))
        die("out of memory");
    must(pang_manifest_write(&made, &pang_env_system, arena, &bytes, &row, &err));
    write_file(args[0], bytes);
    print_row(&row);
}

static const struct {
    const char *name;
    void (*run)(char **args, int n);
} commands[] = {
    {"list", list},     {"entries", entries}, {"rewrite", rewrite}, {"rewrite-list", rewrite_list},
    {"sample", sample},
};

int main(int argc, char **argv)
{
    arena = pang_arena_new((size_t)2 << 30);
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            commands[i].run(argv + 2, argc - 2);
            pang_arena_free(arena);
            return 0;
        }
    die("list, entries, rewrite, rewrite-list or sample");
}
