/*
 * The world writes with the same functions as the server and reads with rules of its own.
 */
#include "merge_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/server/must.h"

#define MUST_OK(w, call)                                                                           \
    do {                                                                                           \
        if ((call) != PANG_OK) {                                                                   \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, (w)->err.message);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { ENTRIES_MAX = 512 };

struct world_file {
    struct world_file *next;
    pang_str path, bytes;
};

/* ---- text and JSON ---- */

static const char *text(world *w, const char *fmt, ...)
{
    char buffer[4096];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(buffer, sizeof buffer, fmt, args);
    va_end(args);
    return pang_arena_cstr(w->arena, pang_str_from(buffer));
}

static pang_json *json(world *w, const char *spelt)
{
    pang_json *value;
    char *copy = pang_arena_cstr(w->arena, pang_str_from(spelt));
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    MUST_OK(w, pang_json_parse(pang_str_from(copy), w->arena, &value, &w->err));
    return value;
}

static int64_t number(const pang_json *object, const char *name, int64_t otherwise)
{
    int64_t value;
    return pang_json_to_int64(pang_json_get(object, name), &value) ? value : otherwise;
}

static void set(world *w, pang_json *object, const char *name, int64_t value)
{
    MUST(pang_json_set(object, name, pang_json_int(value, w->arena)));
}

static const pang_json *head_of(const pang_json *document)
{
    int64_t id = number(document, "current-snapshot-id", -1);
    const pang_json *list = pang_json_get(document, "snapshots");
    for (size_t i = 0; i < pang_json_size(list); i++) {
        if (number(pang_json_at(list, i), "snapshot-id", -2) == id)
            return pang_json_at(list, i);
    }
    return NULL;
}

/* ---- files ---- */

static void put_file(world *w, pang_str path, pang_str bytes)
{
    struct world_file *made = pang_arena_alloc(w->arena, sizeof *made);
    MUST(made != NULL && pang_arena_copy(w->arena, path, &made->path) &&
         pang_arena_copy(w->arena, bytes, &made->bytes));
    made->next = w->files;
    w->files = made;
}

static pang_code get_file(world *w, pang_str path, pang_str *ret, pang_err *err)
{
    if (w->broken != NULL && pang_str_equal(path, pang_str_from(w->broken)))
        return pang_fail(err, PANG_NOT_FOUND, NULL, "it is gone");
    for (struct world_file *at = w->files; at != NULL; at = at->next) {
        if (pang_str_equal(at->path, path)) {
            *ret = at->bytes;
            return PANG_OK;
        }
    }
    return pang_fail(err, PANG_NOT_FOUND, NULL, "there is no file \"%" PANG_STR_FMT "\"",
                     PANG_STR_ARG(path));
}

pang_code world_bytes(world *w, pang_str path, pang_str *ret)
{
    return get_file(w, path, ret, &w->err);
}

static pang_code list_rows(void *arg, const pang_json *snapshot, pang_arena *arena,
                           pang_manifest **ret, size_t *ret_n, pang_err *err)
{
    pang_str path = {0}, bytes;
    (void)pang_json_to_str(pang_json_get(snapshot, "manifest-list"), &path);
    pang_code code = get_file(arg, path, &bytes, err);
    return code == PANG_OK ? pang_manifest_list_read(bytes, arena, ret, ret_n, err) : code;
}

static pang_code read_entries(void *arg, const pang_manifest *row, pang_arena *arena,
                              pang_manifest_head *head, pang_manifest_entry_fn *fn, void *fn_arg,
                              pang_err *err)
{
    pang_str bytes;
    pang_code code = get_file(arg, row->path, &bytes, err);
    return code == PANG_OK ? pang_manifest_read(bytes, row, arena, head, fn, fn_arg, err) : code;
}

static pang_code sink_file(void *arg, pang_str name, pang_str bytes, pang_arena *arena,
                           pang_str *ret, pang_err *err)
{
    world *w = arg;
    *ret = pang_arena_printf(arena, "m/%" PANG_STR_FMT, PANG_STR_ARG(name));
    if (ret->len == 0)
        return pang_fail_memory(err);
    put_file(w, *ret, bytes);
    return PANG_OK;
}

/* ---- the world ---- */

const pang_json *world_begin(world *w, int version, bool partitioned)
{
    *w = (world){.arena = pang_arena_new((size_t)1 << 30), .clock = {1700000000000, 0, 7}};
    MUST(w->arena != NULL);
    w->env = pang_env_from_fixed(&w->clock);
    w->version = version;
    w->partitioned = partitioned;
    w->from = (pang_manifest_source){.arg = w, .list = list_rows, .read = read_entries};
    w->sink = (pang_manifest_sink){.arg = w, .write = sink_file};
    return json(
        w,
        text(w,
             "{'format-version':%d,'table-uuid':'9c12d441-03fe-4693-9a96-a0705ddf69c1',"
             "'location':'s3://b/t','last-updated-ms':1,'last-column-id':2,'current-schema-id':0,"
             "'schemas':[{'type':'struct','schema-id':0,'fields':["
             "{'id':1,'name':'id','required':false,'type':'long'},"
             "{'id':2,'name':'p','required':false,'type':'int'}]}],'default-spec-id':0,"
             "'partition-specs':[{'spec-id':0,'fields':[%s]},{'spec-id':1,'fields':[]}],"
             "'last-partition-id':1000,'default-sort-order-id':0,"
             "'sort-orders':[{'order-id':0,'fields':[]}],%s%s'properties':{},'snapshots':[]}",
             version,
             partitioned ? "{'source-id':2,'field-id':1000,'name':'p','transform':'identity'}" : "",
             version > 1 ? "'last-sequence-number':0," : "",
             version > 2 ? "'next-row-id':0," : ""));
}

void world_end(world *w)
{
    pang_arena_free(w->arena);
}

/* ---- live entries ---- */

typedef struct {
    pang_manifest row;
    pang_manifest_entry entry;
    size_t manifest; /* index of its row */
} live;

typedef struct {
    world *w;
    pang_manifest *rows;
    size_t n_rows, at;
    live *list;
    size_t n;
} snapshot_view;

static bool take_entry(void *arg, const pang_manifest_entry *entry)
{
    snapshot_view *v = arg;
    pang_manifest_entry *copy;
    if (entry->status == PANG_ENTRY_DELETED)
        return true;
    MUST(v->n < ENTRIES_MAX);
    MUST_OK(v->w, pang_manifest_entry_copy(entry, v->w->arena, &copy, &v->w->err));
    v->list[v->n++] = (live){v->rows[v->at], *copy, v->at};
    return true;
}

static snapshot_view open_head(world *w, const pang_json *document)
{
    snapshot_view v = {.w = w, .list = pang_arena_alloc_n(w->arena, ENTRIES_MAX, sizeof *v.list)};
    const pang_json *head = head_of(document);
    const char *broken = w->broken;
    MUST(v.list != NULL);
    w->broken = NULL;
    if (head != NULL)
        MUST_OK(w, list_rows(w, head, w->arena, &v.rows, &v.n_rows, &w->err));
    for (v.at = 0; v.at < v.n_rows; v.at++) {
        pang_manifest_head ignored;
        MUST_OK(w, read_entries(w, &v.rows[v.at], w->arena, &ignored, take_entry, &v, &w->err));
    }
    w->broken = broken;
    return v;
}

void world_each(world *w, const pang_json *document, world_entry_fn *fn, void *arg)
{
    snapshot_view v = open_head(w, document);
    for (size_t i = 0; i < v.n; i++)
        fn(arg, &v.list[i].row, &v.list[i].entry);
}

static const world_rows *rows_of(const world *w, const pang_manifest_entry *entry)
{
    int64_t offset = entry->has_content_range ? entry->content_offset : 0;
    for (const world_rows *at = w->rows; at != NULL; at = at->next) {
        if (pang_str_equal(entry->path, pang_str_from(at->path)) && at->offset == offset)
            return at;
    }
    return NULL;
}

/* ---- the reader ---- */

static bool same_partition(const live *a, const live *b)
{
    return a->row.spec_id == b->row.spec_id &&
           (a->entry.n_partition == 0 ||
            pang_value_equal(&a->entry.partition[0], &b->entry.partition[0]));
}

static bool is_global(const world *w, const live *file)
{
    return file->row.spec_id == 1 || !w->partitioned;
}

static bool hits(const world *w, const live *deletes, const live *data, size_t position,
                 int64_t value)
{
    bool equality = deletes->entry.content == PANG_FILE_EQUALITY_DELETES;
    if (equality ? deletes->entry.sequence <= data->entry.sequence ||
                       !(is_global(w, deletes) || same_partition(deletes, data))
                 : deletes->entry.sequence < data->entry.sequence)
        return false;
    for (const world_rows *at = w->rows; at != NULL; at = at->next) {
        int64_t offset = deletes->entry.has_content_range ? deletes->entry.content_offset : 0;
        if (!pang_str_equal(deletes->entry.path, pang_str_from(at->path)) || at->offset != offset ||
            (!equality && !pang_str_equal(data->entry.path, pang_str_from(at->of))))
            continue;
        for (size_t i = 0; i < at->n; i++) {
            if (at->numbers[i] == (equality ? value : (int64_t)position))
                return true;
        }
    }
    return false;
}

static bool is_deleted(const world *w, const snapshot_view *v, const live *data, size_t position,
                       int64_t value)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->list[i].entry.content != PANG_FILE_DATA &&
            hits(w, &v->list[i], data, position, value))
            return true;
    }
    return false;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static size_t scan(world *w, const snapshot_view *v, bool all, int64_t *to)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        const live *data = &v->list[i];
        const world_rows *rows = rows_of(w, &data->entry);
        for (size_t k = 0; data->entry.content == PANG_FILE_DATA && k < rows->n; k++) {
            if (all || !is_deleted(w, v, data, k, rows->numbers[k])) {
                MUST(n < ENTRIES_MAX);
                to[n++] = rows->numbers[k];
            }
        }
    }
    qsort(to, n, sizeof *to, by_number);
    return n;
}

static const char *scan_text(world *w, const pang_json *document, bool all)
{
    snapshot_view v = open_head(w, document);
    int64_t *rows = pang_arena_alloc_n(w->arena, ENTRIES_MAX, sizeof *rows);
    pang_buf to = {.arena = w->arena};
    size_t n = scan(w, &v, all, rows);
    for (size_t i = 0; i < n; i++)
        pang_buf_printf(&to, "%s%" PRId64, i == 0 ? "" : " ", rows[i]);
    pang_buf_add_char(&to, '\0');
    return pang_buf_str(&to).ptr;
}

const char *world_scan(world *w, const pang_json *document)
{
    return scan_text(w, document, false);
}

const char *world_scan_all(world *w, const pang_json *document)
{
    return scan_text(w, document, true);
}

size_t world_rows_in(world *w, const pang_json *document, const char *path, int64_t *to,
                     int64_t *ret_partition)
{
    snapshot_view v = open_head(w, document);
    size_t n = 0;
    for (size_t i = 0; i < v.n; i++) {
        const live *data = &v.list[i];
        const world_rows *rows = rows_of(w, &data->entry);
        if (!pang_str_equal(data->entry.path, pang_str_from(path)))
            continue;
        *ret_partition = data->row.spec_id == 1         ? WORLD_GLOBAL
                         : data->entry.n_partition == 0 ? 0
                                                        : data->entry.partition[0].number;
        for (size_t k = 0; k < rows->n; k++) {
            if (!is_deleted(w, &v, data, k, rows->numbers[k]))
                to[n++] = rows->numbers[k];
        }
    }
    return n;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *world_files(world *w, const pang_json *document)
{
    snapshot_view v = open_head(w, document);
    const char **names = pang_arena_alloc_n(w->arena, v.n + 1, sizeof *names);
    pang_buf to = {.arena = w->arena};
    for (size_t i = 0; i < v.n; i++) {
        const pang_manifest_entry *entry = &v.list[i].entry;
        names[i] = text(w, "%" PANG_STR_FMT ":%" PRId64 ":%" PRId64, PANG_STR_ARG(entry->path),
                        entry->sequence, entry->has_first_row_id ? entry->first_row_id : -1);
    }
    qsort(names, v.n, sizeof *names, by_text);
    for (size_t i = 0; i < v.n; i++)
        pang_buf_printf(&to, "%s%s", i == 0 ? "" : " ", names[i]);
    pang_buf_add_char(&to, '\0');
    return pang_buf_str(&to).ptr;
}

/* ---- engines ---- */

typedef struct {
    world *w;
    const pang_json *base;
    snapshot_view v;
    bool removed[ENTRIES_MAX]; /* of v.list */
    pang_manifest_entry *added[64];
    int32_t specs[64];
    size_t n_added;
    const char *operation;
    bool dynamic;
    int64_t id;
} commit;

static const live *find_live(const commit *c, pang_str path)
{
    for (size_t i = 0; i < c->v.n; i++) {
        if (pang_str_equal(c->v.list[i].entry.path, path))
            return &c->v.list[i];
    }
    fprintf(stderr, "no live file \"%.*s\"\n", PANG_STR_ARG(path));
    abort();
}

static void remove_live(commit *c, const live *file)
{
    c->removed[file - c->v.list] = true;
}

static world_rows *new_rows(world *w, const char *path, int64_t offset, const char *of)
{
    world_rows *made = pang_arena_alloc(w->arena, sizeof *made);
    MUST(made != NULL);
    made->path = path;
    made->offset = offset;
    made->of = of;
    made->next = w->rows;
    w->rows = made;
    return made;
}

static void parse_numbers(pang_str list, world_rows *to)
{
    pang_str one;
    while (pang_str_next(&list, ',', &one)) {
        MUST(to->n < 64 && pang_str_to_int64(one, &to->numbers[to->n]));
        to->n++;
    }
}

static pang_str bound(world *w, int64_t value)
{
    char *bytes = pang_arena_alloc_text(w->arena, 8);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(uint8_t)((uint64_t)value >> (8 * i));
    return (pang_str){bytes, 8};
}

/* An entry of that content; partition WORLD_GLOBAL: of spec 1. */
static pang_manifest_entry *new_entry(commit *c, pang_file_content content, const char *path,
                                      int64_t partition, int64_t records)
{
    world *w = c->w;
    pang_manifest_entry *entry = pang_arena_alloc(w->arena, sizeof *entry);
    pang_value *value = pang_arena_alloc(w->arena, sizeof *value);
    MUST(entry != NULL && value != NULL && c->n_added < 64);
    value->type = PANG_VALUE_INT;
    value->number = partition;
    entry->status = PANG_ENTRY_ADDED;
    entry->has_snapshot_id = true;
    entry->snapshot_id = c->id;
    entry->content = content;
    entry->path = pang_str_from(path);
    entry->format = PANG_STR("PARQUET");
    entry->partition = value;
    entry->n_partition = w->partitioned && partition != WORLD_GLOBAL;
    entry->record_count = records;
    entry->file_size = 100;
    c->specs[c->n_added] = partition == WORLD_GLOBAL ? 1 : 0;
    c->added[c->n_added++] = entry;
    return entry;
}

static void set_bounds(world *w, pang_manifest_entry *entry, const world_rows *rows)
{
    pang_column_bound *bounds = pang_arena_alloc_n(w->arena, 2, sizeof *bounds);
    pang_column_number *nulls = pang_arena_alloc(w->arena, sizeof *nulls);
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (size_t i = 0; i < rows->n; i++) {
        low = rows->numbers[i] < low ? rows->numbers[i] : low;
        high = rows->numbers[i] > high ? rows->numbers[i] : high;
    }
    if (rows->n == 0)
        return;
    *nulls = (pang_column_number){1, 0};
    bounds[0] = (pang_column_bound){1, bound(w, low)};
    bounds[1] = (pang_column_bound){1, bound(w, high)};
    entry->lower = &bounds[0];
    entry->upper = &bounds[1];
    entry->null_counts = nulls;
    entry->n_lower = entry->n_upper = entry->n_null_counts = 1;
}

static const char *file_path(world *w, pang_str name)
{
    return text(w, "%" PANG_STR_FMT, PANG_STR_ARG(name));
}

static int64_t parse_partition(const world *w, pang_str word)
{
    int64_t partition;
    if (pang_str_equal(word, PANG_STR("*")))
        return WORLD_GLOBAL;
    MUST(pang_str_to_int64(word, &partition));
    return w->partitioned ? partition : 0;
}

/* "n1@1:11,12" */
static void add_data(commit *c, pang_str spelt)
{
    pang_str name = pang_str_slice(spelt, 0, pang_str_find(spelt, '@'));
    pang_str rest = pang_str_after(spelt, name.len + 1);
    pang_str partition = pang_str_slice(rest, 0, pang_str_find(rest, ':'));
    world_rows *rows = new_rows(c->w, file_path(c->w, name), 0, NULL);
    parse_numbers(pang_str_after(rest, partition.len + 1), rows);
    set_bounds(c->w,
               new_entry(c, PANG_FILE_DATA, rows->path, parse_partition(c->w, partition),
                         (int64_t)rows->n),
               rows);
}

static void remove_data(commit *c, pang_str names)
{
    pang_str one;
    while (pang_str_next(&names, ',', &one)) {
        remove_live(c, find_live(c, one));
        /* Vectors and files about it alone go with it. */
        for (size_t i = 0; i < c->v.n; i++) {
            if (pang_str_equal(c->v.list[i].entry.referenced_data_file, one))
                remove_live(c, &c->v.list[i]);
        }
    }
}

/* "a1,a2>k1": the rows that a reader sees go into one file. */
static void compact(commit *c, pang_str spelt, bool keep_number)
{
    pang_str names = pang_str_slice(spelt, 0, pang_str_find(spelt, '>')), rest = names, one;
    pang_str into = pang_str_after(spelt, names.len + 1);
    world_rows *rows = new_rows(c->w, file_path(c->w, into), 0, NULL);
    const live *first = NULL;
    while (pang_str_next(&rest, ',', &one)) {
        const live *file = find_live(c, one);
        const world_rows *old = rows_of(c->w, &file->entry);
        first = first == NULL ? file : first;
        for (size_t i = 0; i < old->n; i++) {
            if (!is_deleted(c->w, &c->v, file, i, old->numbers[i]))
                rows->numbers[rows->n++] = old->numbers[i];
        }
    }
    remove_data(c, names);
    pang_manifest_entry *entry = new_entry(
        c, PANG_FILE_DATA, rows->path,
        first->entry.n_partition > 0 ? first->entry.partition[0].number : 0, (int64_t)rows->n);
    set_bounds(c->w, entry, rows);
    entry->has_sequence = keep_number;
    entry->sequence = number(head_of(c->base), "sequence-number", 0);
    c->operation = "replace";
}

static const live *old_vector(const commit *c, pang_str data)
{
    for (size_t i = 0; i < c->v.n; i++) {
        if (pang_str_equal(c->v.list[i].entry.referenced_data_file, data) &&
            c->v.list[i].entry.has_content_range)
            return &c->v.list[i];
    }
    return NULL;
}

/* "a1:0,2"; several, separated by '/', share one Puffin file. */
static void add_positions(commit *c, pang_str spelt, bool vector)
{
    const char *path = text(c->w, "pd-%u", c->w->names++);
    int64_t offset = vector ? 4 : 0;
    pang_str one;
    while (pang_str_next(&spelt, '/', &one)) {
        pang_str name = pang_str_slice(one, 0, pang_str_find(one, ':'));
        const live *data = find_live(c, name), *old = vector ? old_vector(c, name) : NULL;
        world_rows *rows = new_rows(c->w, path, offset, file_path(c->w, name));
        parse_numbers(pang_str_after(one, name.len + 1), rows);
        if (old != NULL) {
            const world_rows *before = rows_of(c->w, &old->entry);
            for (size_t i = 0; i < before->n; i++)
                rows->numbers[rows->n++] = before->numbers[i];
            remove_live(c, old);
        }
        pang_manifest_entry *entry = new_entry(
            c, PANG_FILE_POSITION_DELETES, path,
            data->entry.n_partition > 0 ? data->entry.partition[0].number : 0, (int64_t)rows->n);
        entry->referenced_data_file = data->entry.path;
        entry->has_content_range = vector;
        entry->content_offset = offset;
        entry->content_size = vector ? 40 : 0;
        if (vector)
            entry->format = PANG_STR("PUFFIN");
        offset += 40;
    }
    c->operation = "delete";
}

/* "a1:0,a2:1" of one partition, in one file. */
static void add_loose_positions(commit *c, pang_str spelt)
{
    const char *path = text(c->w, "pd-%u", c->w->names++);
    pang_column_bound *bounds = pang_arena_alloc_n(c->w->arena, 2, sizeof *bounds);
    pang_str one, low = {0}, high = {0};
    const live *data = NULL;
    int64_t n = 0;
    while (pang_str_next(&spelt, ',', &one)) {
        pang_str name = pang_str_slice(one, 0, pang_str_find(one, ':'));
        data = find_live(c, name);
        parse_numbers(pang_str_after(one, name.len + 1),
                      new_rows(c->w, path, 0, file_path(c->w, name)));
        low = low.ptr == NULL || pang_str_compare(name, low) < 0 ? data->entry.path : low;
        high = high.ptr == NULL || pang_str_compare(name, high) > 0 ? data->entry.path : high;
        n++;
    }
    pang_manifest_entry *entry = new_entry(
        c, PANG_FILE_POSITION_DELETES, path,
        data->entry.n_partition > 0 ? data->entry.partition[0].number : 0, n);
    bounds[0] = (pang_column_bound){2147483546, low};
    bounds[1] = (pang_column_bound){2147483546, high};
    entry->lower = &bounds[0];
    entry->upper = &bounds[1];
    entry->n_lower = entry->n_upper = 1;
    c->operation = "delete";
}

/* "@1:1,2" */
static void add_equality(commit *c, pang_str spelt, bool bounds)
{
    static const int32_t ids[] = {1};
    pang_str partition = pang_str_slice(spelt, 1, pang_str_find(spelt, ':') - 1);
    world_rows *rows = new_rows(c->w, text(c->w, "eq-%u", c->w->names++), 0, NULL);
    parse_numbers(pang_str_after(spelt, partition.len + 2), rows);
    pang_manifest_entry *entry = new_entry(c, PANG_FILE_EQUALITY_DELETES, rows->path,
                                           parse_partition(c->w, partition), (int64_t)rows->n);
    entry->equality_ids = ids;
    entry->n_equality_ids = 1;
    if (bounds)
        set_bounds(c->w, entry, rows);
    c->operation = "delete";
}

/* "@1>n9:21" */
static void overwrite_partition(commit *c, pang_str spelt)
{
    pang_str partition = pang_str_slice(spelt, 1, pang_str_find(spelt, '>') - 1);
    pang_str rest = pang_str_after(spelt, partition.len + 2);
    pang_str name = pang_str_slice(rest, 0, pang_str_find(rest, ':'));
    int64_t in = parse_partition(c->w, partition);
    for (size_t i = 0; i < c->v.n; i++) {
        const live *file = &c->v.list[i];
        if (file->row.spec_id == 0 &&
            (file->entry.n_partition == 0 || file->entry.partition[0].number == in))
            remove_live(c, file);
    }
    add_data(c, pang_str_from(text(c->w, "%" PANG_STR_FMT "@%" PANG_STR_FMT ":%" PANG_STR_FMT,
                                   PANG_STR_ARG(name), PANG_STR_ARG(partition),
                                   PANG_STR_ARG(pang_str_after(rest, name.len + 1)))));
    c->operation = "overwrite";
    c->dynamic = true;
}

static void overwrite(commit *c, pang_str spelt)
{
    pang_str names = pang_str_slice(spelt, 0, pang_str_find(spelt, '>'));
    remove_data(c, names);
    add_data(c, pang_str_after(spelt, names.len + 1));
    c->operation = "overwrite";
}

/* ---- committing ---- */

static void write_manifest(commit *c, pang_manifest_content content, int32_t spec,
                           const pang_manifest_entry *const *entries, size_t n, pang_manifest *row)
{
    world *w = c->w;
    const pang_json *specs = pang_json_get(c->base, "partition-specs");
    pang_manifest_new manifest = {.format_version = w->version,
                                  .content = content,
                                  .schema = pang_json_at(pang_json_get(c->base, "schemas"), 0),
                                  .spec = pang_json_at(specs, (size_t)spec),
                                  .codec = PANG_CODEC_NULL,
                                  .entries = entries,
                                  .n = n};
    pang_str bytes;
    MUST_OK(w, pang_manifest_write(&manifest, &w->env, w->arena, &bytes, row, &w->err));
    row->path = pang_str_from(text(w, "m/%u.avro", w->names++));
    put_file(w, row->path, bytes);
}

/* The new entries, by content and spec. */
static size_t write_added(commit *c, pang_manifest *rows)
{
    size_t n_rows = 0;
    for (int group = 0; group < 4; group++) {
        const pang_manifest_entry *entries[64];
        size_t n = 0;
        for (size_t i = 0; i < c->n_added; i++) {
            bool deletes = c->added[i]->content != PANG_FILE_DATA;
            if (deletes == (group >= 2) && c->specs[i] == group % 2)
                entries[n++] = c->added[i];
        }
        if (n > 0)
            write_manifest(c, group >= 2 ? PANG_MANIFEST_DELETES : PANG_MANIFEST_DATA, group % 2,
                           entries, n, &rows[n_rows++]);
    }
    return n_rows;
}

static bool has_removed(const commit *c, size_t manifest)
{
    for (size_t i = 0; i < c->v.n; i++) {
        if (c->v.list[i].manifest == manifest && c->removed[i])
            return true;
    }
    return false;
}

static void rewrite_manifest(commit *c, size_t manifest, pang_manifest *row)
{
    const pang_manifest_entry *entries[ENTRIES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < c->v.n; i++) {
        pang_manifest_entry *entry = &c->v.list[i].entry;
        if (c->v.list[i].manifest != manifest)
            continue;
        entry->status = c->removed[i] ? PANG_ENTRY_DELETED : PANG_ENTRY_EXISTING;
        if (c->removed[i])
            entry->snapshot_id = c->id;
        entries[n++] = entry;
    }
    write_manifest(c, c->v.rows[manifest].content, c->v.rows[manifest].spec_id, entries, n, row);
}

static const pang_json *next_document(commit *c, pang_str list, int64_t first, int64_t next)
{
    world *w = c->w;
    pang_json *made = pang_json_copy(c->base, w->arena);
    int64_t sequence = number(made, "last-sequence-number", 0) + 1;
    pang_json *snapshot = json(w, text(w,
                                       "{'snapshot-id':%" PRId64
                                       ",'timestamp-ms':1,'manifest-list':'%.*s',"
                                       "'schema-id':0,'summary':{'operation':'%s'%s}}",
                                       c->id, PANG_STR_ARG(list), c->operation,
                                       c->dynamic ? ",'replace-partitions':'true'" : ""));
    if (head_of(c->base) != NULL)
        set(w, snapshot, "parent-snapshot-id", number(head_of(c->base), "snapshot-id", -1));
    if (w->version > 1) {
        set(w, snapshot, "sequence-number", sequence);
        set(w, made, "last-sequence-number", sequence);
    }
    if (w->version > 2) {
        set(w, snapshot, "first-row-id", first);
        set(w, snapshot, "added-rows", next - first);
        set(w, made, "next-row-id", next);
    }
    MUST(pang_json_append(pang_json_get(made, "snapshots"), snapshot));
    set(w, made, "current-snapshot-id", c->id);
    return made;
}

static const pang_json *finish(commit *c)
{
    world *w = c->w;
    pang_manifest *rows = pang_arena_alloc_n(w->arena, c->v.n_rows + 8, sizeof *rows);
    size_t n = write_added(c, rows);
    int64_t first = number(c->base, "next-row-id", 0), next = first;
    pang_str bytes, path = pang_str_from(text(w, "m/snap-%" PRId64 ".avro", c->id));
    for (size_t i = 0; i < c->v.n_rows; i++) {
        if (has_removed(c, i))
            rewrite_manifest(c, i, &rows[n++]);
        else if (c->v.rows[i].added_files != 0 || c->v.rows[i].existing_files != 0)
            rows[n++] = c->v.rows[i];
    }
    pang_manifest_list_new list = {
        .format_version = w->version,
        .codec = PANG_CODEC_NULL,
        .snapshot_id = c->id,
        .parent_id = head_of(c->base) == NULL ? -1 : number(head_of(c->base), "snapshot-id", -1),
        .sequence = w->version > 1 ? number(c->base, "last-sequence-number", 0) + 1 : 0,
        .first_row_id = first,
        .manifests = rows,
        .n = n};
    MUST_OK(w, pang_manifest_list_write(&list, &w->env, w->arena, &bytes, &next, &w->err));
    put_file(w, path, bytes);
    return next_document(c, path, first, next);
}

static const pang_json *roll_back(world *w, const pang_json *document)
{
    pang_json *made = pang_json_copy(document, w->arena);
    int64_t parent = number(head_of(document), "parent-snapshot-id", -1);
    if (parent == -1)
        pang_json_remove(made, "current-snapshot-id");
    else
        set(w, made, "current-snapshot-id", parent);
    return made;
}

static const pang_json *run_step(world *w, const pang_json *document, pang_str step)
{
    static commit c;
    char op = step.ptr[0];
    bool keep = pang_str_starts(step, PANG_STR("^s"));
    pang_str rest = pang_str_trim(pang_str_after(step, keep ? 2 : 1));
    if (op == 'r')
        return roll_back(w, document);
    c = (commit){.w = w, .base = document, .v = open_head(w, document), .operation = "append"};
    c.id = 1000 + (int64_t)w->names++;
    if (op == '+') {
        add_data(&c, rest);
    } else if (op == '-') {
        remove_data(&c, rest);
        c.operation = "delete";
    } else if (op == '~') {
        overwrite(&c, rest);
    } else if (op == '^') {
        compact(&c, rest, keep);
    } else if (op == 'v' || op == 'x') {
        add_positions(&c, rest, op == 'v');
    } else if (op == 'y') {
        add_loose_positions(&c, rest);
    } else if (op == 'e' || op == 'E') {
        add_equality(&c, rest, op == 'e');
    } else {
        MUST(op == 'd');
        overwrite_partition(&c, rest);
    }
    return finish(&c);
}

const pang_json *world_run(world *w, const pang_json *document, const char *steps)
{
    pang_str rest = pang_str_from(steps), step;
    while (pang_str_next(&rest, ';', &step)) {
        step = pang_str_trim(step);
        if (step.len > 0)
            document = run_step(w, document, step);
    }
    return document;
}

/* ---- merging ---- */

const pang_json *world_with(world *w, const pang_json *document, const pang_files_outcome *files)
{
    pang_json *made = pang_json_copy(document, w->arena);
    MUST(pang_json_append(pang_json_get(made, "snapshots"), files->snapshot));
    set(w, made, "current-snapshot-id", number(files->snapshot, "snapshot-id", -1));
    if (w->version > 1)
        set(w, made, "last-sequence-number", number(files->snapshot, "sequence-number", -1));
    if (files->next_row_id >= 0)
        set(w, made, "next-row-id", files->next_row_id);
    return made;
}

const pang_json *world_merged(world *w, const world_merge *m, pang_files_outcome *ret)
{
    pang_merge_table table = {.env = &w->env,
                              .arena = w->arena,
                              .source_half = {.document = m->source_half},
                              .source = {.document = m->source},
                              .target_half = {.document = m->target_half},
                              .target = {.document = m->target},
                              .one_half = m->one_half,
                              .serializable = w->serializable};
    pang_merge_files files = {.merge = &table, .merged = m->target};
    MUST_OK(w, pang_merge_steps(&files, &w->from, &w->sink, ret, &w->err));
    return ret->snapshot == NULL ? NULL : world_with(w, m->target, ret);
}
