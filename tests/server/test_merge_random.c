/*
 * server/merge_*.c at random: two branches of a table whose engines do anything, merged to and fro.
 * What merges reads as the naive union of rows, at every merge; what is a conflict has a reason
 * that a naive look at the files finds too. PANG_TEST_LONG makes it longer, and takes a fresh seed,
 * which is printed; PANG_TEST_SEED repeats a run.
 */
#include "merge_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 512, ROWS_MAX = 4096 };

static uint64_t seed;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((seed >> 33) % n);
}

/* ---- live files, naively ---- */

typedef struct {
    char path[64], refers[64], low[64], high[64];
    int64_t offset, partition, sequence, snapshot_id, from, to; /* bounds of column 1 */
    int32_t spec;
    pang_file_content content;
    bool bounded;
} plain;

typedef struct {
    plain list[FILES_MAX];
    size_t n;
} plains;

static void copy(char to[64], pang_str text)
{
    (void)snprintf(to, 64, "%.*s", PANG_STR_ARG(text));
}

static int64_t read_bound(pang_str bytes)
{
    int64_t value;
    memcpy(&value, bytes.ptr, sizeof value);
    return value;
}

static void take(void *arg, const pang_manifest *row, const pang_manifest_entry *entry)
{
    plains *to = arg;
    assert_true(to->n < FILES_MAX);
    plain *p = &to->list[to->n++];
    *p = (plain){.content = entry->content, .spec = row->spec_id, .sequence = entry->sequence};
    copy(p->path, entry->path);
    copy(p->refers, entry->referenced_data_file);
    p->offset = entry->has_content_range ? entry->content_offset : 0;
    p->partition = entry->n_partition > 0 ? entry->partition[0].number : 0;
    p->snapshot_id = entry->snapshot_id;
    p->bounded = entry->n_lower > 0 && entry->lower[0].column == 1;
    if (p->bounded) {
        p->from = read_bound(entry->lower[0].bound);
        p->to = read_bound(entry->upper[0].bound);
    } else if (entry->n_lower > 0) {
        copy(p->low, entry->lower[0].bound);
        copy(p->high, entry->upper[0].bound);
    }
}

static bool holds(const plains *all, const plain *one)
{
    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->list[i].path, one->path) == 0 && all->list[i].offset == one->offset)
            return true;
    }
    return false;
}

static bool about(const plain *positions, const plain *data)
{
    if (positions->refers[0] != '\0')
        return strcmp(positions->refers, data->path) == 0;
    return positions->partition == data->partition && positions->spec == data->spec &&
           strcmp(positions->low, data->path) <= 0 && strcmp(data->path, positions->high) <= 0;
}

static bool in_scope(const world *w, const plain *equality, const plain *data)
{
    bool global = equality->spec == 1 || !w->partitioned;
    bool here = equality->spec == data->spec && equality->partition == data->partition;
    bool apart = equality->bounded && data->bounded &&
                 (equality->to < data->from || data->to < equality->from);
    return (global || here) && !apart;
}

static bool both_positions(const plain *a, const plain *b)
{
    const char *a_low = a->refers[0] != '\0' ? a->refers : a->low;
    const char *a_high = a->refers[0] != '\0' ? a->refers : a->high;
    const char *b_low = b->refers[0] != '\0' ? b->refers : b->low;
    const char *b_high = b->refers[0] != '\0' ? b->refers : b->high;
    return a->partition == b->partition && strcmp(a_low, b_high) <= 0 && strcmp(b_low, a_high) <= 0;
}

static bool has_dynamic(const pang_json *document)
{
    const pang_json *list = pang_json_get(document, "snapshots");
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *summary = pang_json_get(pang_json_at(list, i), "summary");
        if (pang_json_get(summary, "replace-partitions") != NULL)
            return true;
    }
    return false;
}

/* Whether a naive look at all pairs finds anything that could be a conflict. */
static bool has_reason(world *w, const world_merge *m, const plains *half, const plains *source,
                       const plains *target)
{
    bool dynamic = has_dynamic(m->source);
    int64_t last = 0;
    (void)pang_json_to_int64(pang_json_get(m->source_half, "last-sequence-number"), &last);
    for (size_t i = 0; i < half->n; i++) {
        const plain *r = &half->list[i];
        if (r->content != PANG_FILE_DATA && !holds(target, r))
            return true; /* deletes taken back */
        if (holds(source, r))
            continue;
        if (!holds(target, r) || r->content != PANG_FILE_DATA)
            return true;
        for (size_t k = 0; k < target->n; k++) {
            const plain *u = &target->list[k];
            if (!holds(half, u) && r->content == PANG_FILE_DATA &&
                ((u->content == PANG_FILE_POSITION_DELETES && about(u, r)) ||
                 (u->content == PANG_FILE_EQUALITY_DELETES && in_scope(w, u, r))))
                return true;
            /* A dynamic overwrite, where the target changed something. */
            if (!holds(half, u) && dynamic && u->partition == r->partition)
                return true;
        }
    }
    for (size_t i = 0; i < source->n; i++) {
        const plain *a = &source->list[i];
        if (holds(half, a) || holds(target, a))
            continue;
        for (size_t k = 0; k < half->n; k++) {
            if (a->content == PANG_FILE_POSITION_DELETES &&
                half->list[k].content == PANG_FILE_DATA && !holds(target, &half->list[k]) &&
                about(a, &half->list[k]))
                return true;
        }
        for (size_t k = 0; k < target->n; k++) {
            const plain *u = &target->list[k];
            /* What came back, or was moved, may have no place among the deletes. */
            if (a->content == PANG_FILE_DATA && u->content == PANG_FILE_EQUALITY_DELETES &&
                in_scope(w, u, a) && a->sequence <= last)
                return true;
            if (holds(half, u) || holds(source, u))
                continue;
            if (a->content == PANG_FILE_POSITION_DELETES &&
                u->content == PANG_FILE_POSITION_DELETES && both_positions(a, u))
                return true;
            if (a->content == PANG_FILE_EQUALITY_DELETES && u->content == PANG_FILE_DATA &&
                in_scope(w, a, u))
                return true;
            if (a->content == PANG_FILE_DATA && u->content == PANG_FILE_EQUALITY_DELETES &&
                in_scope(w, u, a) && a->sequence < u->sequence)
                return true;
            if (a->content == PANG_FILE_DATA && a->partition == u->partition && dynamic)
                return true;
        }
    }
    return false;
}

/* ---- engines ---- */

static size_t data_files(world *w, const pang_json *document, plains *all, const plain **to)
{
    size_t n = 0;
    all->n = 0;
    world_each(w, document, take, all);
    for (size_t i = 0; i < all->n; i++) {
        if (all->list[i].content == PANG_FILE_DATA)
            to[n++] = &all->list[i];
    }
    return n;
}

static int64_t next_row;

static void write_step(world *w, const pang_json *document, char *to, size_t room)
{
    static plains all;
    const plain *files[FILES_MAX];
    int64_t rows[ROWS_MAX], partition = 0;
    size_t n = data_files(w, document, &all, files);
    unsigned what = pick(n == 0 ? 2 : 11), in = 1 + pick(3);
    const plain *file = n == 0 ? NULL : files[pick((unsigned)n)];
    size_t n_rows = n == 0 ? 0 : world_rows_in(w, document, file->path, rows, &partition);
    char name = (char)('a' + pick(26));
    int64_t row = next_row++;
    if (what <= 1 || (what == 10 && pick(3) > 0)) {
        (void)snprintf(to, room, "+ %c%" PRId64 "@%u:%" PRId64 ",%" PRId64, name, row, in, row,
                       next_row);
        next_row++;
    } else if (what == 2) {
        (void)snprintf(to, room, "- %s", file->path);
    } else if (what == 3) {
        int at = snprintf(to, room, "~ %s>%c%" PRId64 "@%" PRId64 ":%" PRId64, file->path, name,
                          row, partition, row);
        for (size_t i = 0; i + 1 < n_rows && at < (int)room; i++)
            at += snprintf(to + at, room - (size_t)at, ",%" PRId64, rows[i]);
    } else if (what <= 5) {
        const plain *other = files[pick((unsigned)n)];
        bool two = other != file && other->partition == file->partition;
        (void)snprintf(to, room, "^%s %s%s%s>%c%" PRId64, what == 4 && w->version > 1 ? "s" : "",
                       file->path, two ? "," : "", two ? other->path : "", name, row);
    } else if (what <= 7 && w->version > 1) {
        const char *op = w->version == 3 ? "v" : what == 6 ? "x" : "y";
        (void)snprintf(to, room, "%s %s:%u", op, file->path, pick(2));
        const plain *other = files[pick((unsigned)n)];
        if (*op == 'y' && other != file && other->partition == file->partition)
            (void)snprintf(to, room, "y %s:0,%s:1", file->path, other->path);
        if (*op == 'v' && other != file)
            (void)snprintf(to, room, "v %s:0/%s:1", file->path, other->path);
    } else if (what <= 9 && w->version > 1 && n_rows > 0) {
        char where[16];
        (void)snprintf(where, sizeof where, "%" PRId64, partition);
        (void)snprintf(to, room, "%s @%s:%" PRId64, pick(3) == 0 ? "E" : "e",
                       pick(4) == 0 ? "*" : where, rows[pick((unsigned)n_rows)]);
    } else if (pick(2) == 0) {
        (void)snprintf(to, room, "d @%u>%c%" PRId64 ":%" PRId64, in, name, row, row);
    } else {
        (void)snprintf(to, room, "+ %c%" PRId64 "@%u:%" PRId64, name, row, in, row);
    }
}

static const pang_json *work(world *w, const pang_json *document, char *log, size_t room)
{
    for (unsigned steps = pick(4); steps > 0; steps--) {
        char step[1024];
        int64_t parent;
        write_step(w, document, step, sizeof step);
        const pang_json *last = pang_json_at(pang_json_get(document, "snapshots"),
                                             pang_json_size(pang_json_get(document, "snapshots")) -
                                                 1);
        if (pick(30) == 0 &&
            pang_json_to_int64(pang_json_get(last, "parent-snapshot-id"), &parent) &&
            pang_json_equal(pang_json_get(last, "snapshot-id"),
                            pang_json_get(document, "current-snapshot-id")))
            (void)snprintf(step, sizeof step, "r");
        size_t used = strlen(log);
        (void)snprintf(log + used, room - used, "%s; ", step);
        document = world_run(w, document, step);
    }
    return document;
}

/* ---- rows ---- */

static bool has(const char *rows, int64_t row)
{
    static char padded[1 << 16];
    char word[32];
    (void)snprintf(padded, sizeof padded, " %s ", rows);
    (void)snprintf(word, sizeof word, " %" PRId64 " ", row);
    return strstr(padded, word) != NULL;
}

static void check_rows(world *w, const world_merge *m, const pang_json *merged, const char *log)
{
    const char *half = world_scan(w, m->source_half), *source = world_scan(w, m->source);
    const char *target = world_scan(w, m->target), *rows = world_scan(w, merged);
    const char *hidden = world_scan_all(w, m->source_half);
    for (int64_t row = 1; row < next_row; row++) {
        /* One side took a delete back (a rollback); the other one may have deleted the row again
         * by other means, which rows alone do not tell. */
        if (!has(half, row) && has(hidden, row))
            continue;
        bool removed = has(half, row) && !has(source, row);
        bool added = has(source, row) && !has(half, row);
        if (has(rows, row) != ((has(target, row) && !removed) || added))
            fail_msg("%s\nhalf   %s\nsource %s\ntarget %s\nmerged %s\nrow %" PRId64
                     "\nsource files %s\ntarget files %s\nmerged files %s",
                     log, half, source, target, rows, row, world_files(w, m->source),
                     world_files(w, m->target), world_files(w, merged));
    }
}

typedef struct {
    int64_t from[FILES_MAX], to[FILES_MAX];
    size_t n;
} ranges;

static void take_range(void *arg, const pang_manifest *row, const pang_manifest_entry *entry)
{
    ranges *r = arg;
    (void)row;
    if (entry->content != PANG_FILE_DATA)
        return;
    assert_true(entry->has_first_row_id);
    r->from[r->n] = entry->first_row_id;
    r->to[r->n++] = entry->first_row_id + entry->record_count;
}

/* No two live rows have one id, and the next ones will have none of these. */
static void check_row_ids(world *w, const pang_json *merged)
{
    static ranges r;
    int64_t next = 0;
    if (w->version < 3)
        return;
    r.n = 0;
    world_each(w, merged, take_range, &r);
    (void)pang_json_to_int64(pang_json_get(merged, "next-row-id"), &next);
    for (size_t i = 0; i < r.n; i++) {
        assert_true(r.to[i] <= next);
        for (size_t k = 0; k < i; k++)
            assert_true(r.to[i] <= r.from[k] || r.to[k] <= r.from[i]);
    }
}

/* ---- to and fro ---- */

typedef struct {
    const pang_json *side[2];
    const pang_json *last_from, *last_into; /* documents at the last merge */
    unsigned from;                          /* its source */
} branches;

static world_merge halves(const branches *b, unsigned source)
{
    world_merge m = {.source = b->side[source], .target = b->side[1 - source]};
    bool again = b->last_from != b->last_into && source == b->from;
    m.source_half = b->last_from;
    m.target_half = again ? b->last_into : b->last_from;
    m.one_half = !again;
    return m;
}

static unsigned merges, conflicts;

static void check_reason(world *w, const world_merge *m, const pang_files_outcome *files,
                         const char *log)
{
    static plains half, source, target;
    half.n = source.n = target.n = 0;
    world_each(w, m->source_half, take, &half);
    world_each(w, m->source, take, &source);
    world_each(w, m->target, take, &target);
    if (!has_reason(w, m, &half, &source, &target) && w->version < 3)
        fail_msg("%s\nno reason for: %.*s", log, PANG_STR_ARG(files->conflicts[0].description));
}

static void run_one(int version, bool partitioned)
{
    static char log[1 << 16];
    world w;
    uint64_t begin = seed;
    next_row = 1;
    (void)snprintf(log, sizeof log, "seed %" PRIu64 ", version %d: ", begin, version);
    const pang_json *fork = world_run(&w, world_begin(&w, version, partitioned),
                                      "+ a1@1:1,2,3; + c1@1:4,5; + m1@2:6,7; + q1@3:8,9");
    next_row = 10;
    branches b = {{fork, fork}, fork, fork, 0};
    for (unsigned round = 0; round < 6; round++) {
        unsigned source = pick(2);
        for (unsigned side = 0; side < 2; side++) {
            (void)snprintf(log + strlen(log), sizeof log - strlen(log), "\n%c: ", "XY"[side]);
            b.side[side] = work(&w, b.side[side], log, sizeof log);
        }
        (void)snprintf(log + strlen(log), sizeof log - strlen(log), "\n%s ",
                       source == 0 ? "X into Y" : "Y into X");
        world_merge m = halves(&b, source);
        pang_files_outcome files;
        const pang_json *merged = world_merged(&w, &m, &files);
        if (files.n_conflicts > 0) {
            conflicts++;
            (void)snprintf(log + strlen(log), sizeof log - strlen(log), "conflict");
            check_reason(&w, &m, &files, log);
            continue;
        }
        merges++;
        merged = merged == NULL ? m.target : merged;
        check_rows(&w, &m, merged, log);
        check_row_ids(&w, merged);
        b.side[1 - source] = merged;
        b.last_from = m.source;
        b.last_into = merged;
        b.from = source;
    }
    world_end(&w);
}

static void test_merge_random__reads_as_both_sides_rows(void **state)
{
    unsigned runs = getenv("PANG_TEST_LONG") == NULL ? 60 : 5000;
    (void)state;
    for (unsigned i = 0; i < runs; i++)
        run_one(1 + (int)(i % 3), i % 5 != 4);
    printf("%u merges, %u conflicts\n", merges, conflicts);
    assert_true(merges > runs && conflicts > runs / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_random__reads_as_both_sides_rows),
    };
    const char *given = getenv("PANG_TEST_SEED");
    seed = given == NULL ? 1 : strtoull(given, NULL, 10);
    if (given == NULL && getenv("PANG_TEST_LONG") != NULL)
        pang_env_random(&pang_env_system, &seed, sizeof seed);
    printf("seed %" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
