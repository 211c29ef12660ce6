/*
 * server/merge_*.c, which changes fit: every cell of the matrix, both ways round, over tables of
 * real manifests. What merges must read as both sides' rows; what does not names why.
 */
#include "merge_world.h"

#include <stdio.h>
#include <string.h>

/* The table at the fork: a1, a2, a3 in partition 1, b1 in partition 2, equality deletes that are
 * done with. */
#define FORK "+ a1@1:1,2,3; + a2@1:4,5; + a3@1:6,7; + b1@2:8,9; + c1@3:90,91; e @3:90; + a2x@4:95"

typedef struct {
    const char *name, *source, *target;
    const char *conflict; /* words of its sentence; NULL: it merges */
    int versions;         /* bits 1, 2, 4: format versions it is for */
    bool serializable;
} cell;

enum { V1 = 1, V2 = 2, V3 = 4, ALL = 7, V23 = 6 };

#define GONE "the source removed or rewrote files that the target"
#define DELETED_ON "the target deleted rows of files that the source"
#define EQUALITY_ON "the target's equality deletes may concern"
#define NO_FILE "the source deleted rows of files that the target removed"
#define SAME_FILE "both sides deleted rows of the same files"
#define NEW_ROWS "the source's equality deletes may concern"
#define PARTITION "the source overwrote whole partitions"
#define SERIAL "the target has new rows in partitions"
#define ORDER "have no place among"

static const cell cells[] = {
    /* append */
    {"append, append", "+ n1@1:11", "+ n2@1:12", NULL, ALL, false},
    {"append, delete", "+ n1@1:11", "- a1", NULL, ALL, false},
    {"append, overwrite", "+ n1@1:11", "~ a1>c2@1:1,12", NULL, ALL, false},
    {"append, position delete", "+ n1@1:11", "x a1:0", NULL, V2, false},
    {"append, vector", "+ n1@1:11", "v a1:0", NULL, V3, false},
    {"append, equality delete", "+ n1@1:11", "E @1:1,11", NULL, V23, false},
    {"append, dynamic overwrite", "+ n1@1:11", "d @1>n9:12", NULL, ALL, false},
    {"append, compaction", "+ n1@1:11", "^ a1,a2>k1", NULL, ALL, false},
    {"append, all, serializable", "+ n1@1:11", "+ n2@1:12; ~ a1>c2@1:1,12", NULL, ALL, true},
    /* file delete, overwrite */
    {"delete, append", "- a1", "+ n2@1:12", NULL, ALL, false},
    {"overwrite, append", "~ a1>c2@1:1,13", "+ n2@1:12", NULL, ALL, false},
    {"overwrite, append, serializable", "~ a1>c2@1:1,13", "+ n2@1:12", SERIAL, ALL, true},
    {"overwrite, append elsewhere, serializable", "~ a1>c2@1:1,13", "+ n2@2:12", NULL, ALL, true},
    {"overwrite, compaction elsewhere, serializable", "~ a1>c3@1:1,13", "^ a2,a3>k1", NULL, ALL,
     true},
    {"append and delete, delete of it", "+ n1@1:11; - a1", "- a1", GONE, ALL, false},
    {"delete, append, serializable", "- a1", "+ n2@1:12", SERIAL, ALL, true},
    {"delete, delete of another", "- a1", "- a2", NULL, ALL, false},
    {"delete, delete of it", "- a1", "- a1", GONE, ALL, false},
    {"delete, overwrite of it", "- a1", "~ a1>c2@1:1,12", GONE, ALL, false},
    {"overwrite, overwrite of it", "~ a1>c3@1:1,13", "~ a1>c2@1:1,12", GONE, ALL, false},
    {"overwrite, overwrite of another", "~ a1>c3@1:1,13", "~ a2>c2@1:4,12", NULL, ALL, false},
    {"overwrite, position delete on it", "~ a1>c3@1:1,13", "x a1:0", DELETED_ON, V2, false},
    {"overwrite, position delete elsewhere", "~ a1>c3@1:1,13", "x a2:0", NULL, V2, false},
    {"overwrite, loose delete around it", "~ a2>c3@1:4,13", "y a1:0,a3:0", DELETED_ON, V2, false},
    {"overwrite, loose delete beside it", "~ a3>c3@1:6,13", "y a1:0,a2:0", NULL, V2, false},
    {"overwrite, loose delete, other partition", "~ b1>c3@2:8,13", "y a1:0,a3:0", NULL, V2, false},
    {"overwrite, vector on it", "~ a1>c3@1:1,13", "v a1:0", DELETED_ON, V3, false},
    {"delete, vector on it", "- a1", "v a1:0/a2:1", DELETED_ON, V3, false},
    {"overwrite, vector elsewhere", "~ a1>c3@1:1,13", "v a2:0", NULL, V3, false},
    {"overwrite, equality delete in scope", "~ a1>c3@1:1,13", "E @1:2", EQUALITY_ON, V23, false},
    {"overwrite, equality delete by bounds", "~ a1>c3@1:1,13", "e @1:4,5", NULL, V23, false},
    {"overwrite, equality delete by bounds in", "~ a1>c3@1:1,13", "e @1:3", EQUALITY_ON, V23,
     false},
    {"overwrite, equality delete elsewhere", "~ a1>c3@1:1,13", "E @2:2", NULL, V23, false},
    {"overwrite, global equality delete", "~ a1>c3@1:1,13", "E @*:2", EQUALITY_ON, V23, false},
    {"overwrite, dynamic overwrite of it", "~ a1>c3@1:1,13", "d @1>n9:12", GONE, ALL, false},
    {"overwrite, dynamic overwrite elsewhere", "~ a1>c3@1:1,13", "d @2>n9:12", NULL, ALL, false},
    {"overwrite, compaction of it", "~ a1>c3@1:1,13", "^ a1,a2>k1", GONE, ALL, false},
    {"overwrite, compaction elsewhere", "~ a1>c3@1:1,13", "^ a2,a3>k1", NULL, ALL, false},
    {"delete, compaction of it", "- a2", "^s a1,a2>k1", GONE, V23, false},
    /* position delete, vector */
    {"position delete, append", "x a1:0", "+ n2@1:12", NULL, V2, false},
    {"position delete, append, serializable", "x a1:0", "+ n2@1:12", SERIAL, V2, true},
    {"vector, append, serializable", "v a1:0", "+ n2@1:12", SERIAL, V3, true},
    {"vector, append elsewhere, serializable", "v a1:0", "+ n2@2:12", NULL, V3, true},
    {"position delete, its file deleted", "x a1:0", "- a1", NO_FILE, V2, false},
    {"position delete, its file overwritten", "x a1:0", "~ a1>c2@1:1,12", NO_FILE, V2, false},
    {"position delete, another deleted", "x a1:0", "- a2", NULL, V2, false},
    {"loose delete, one inside deleted", "y a1:0,a3:0", "- a2", NO_FILE, V2, false},
    {"loose delete, one outside deleted", "y a1:0,a2:0", "- a3", NULL, V2, false},
    {"vector, its file deleted", "v a1:0", "- a1", NO_FILE, V3, false},
    {"position delete, same file", "x a1:0", "x a1:1", SAME_FILE, V2, false},
    {"position delete, another file", "x a1:0", "x a2:1", NULL, V2, false},
    {"loose, loose that overlaps", "y a1:0,a2:0", "y a2:1,a3:0", SAME_FILE, V2, false},
    {"loose, loose beside", "y a1:0", "y a2:1,a3:0", NULL, V2, false},
    {"loose delete, one of another partition inside", "y a1:0,a3:0", "- a2x", NULL, V2, false},
    {"loose delete, one of another partition inside, deleted", "- a2x", "y a1:0,a3:0", NULL, V2,
     false},
    {"loose, one of another partition inside", "y a1:0,a3:0", "y a2x:0", NULL, V2, false},
    {"one inside, loose of another partition", "y a2x:0", "y a1:0,a3:0", NULL, V2, false},
    {"loose, one inside", "y a1:0,a3:0", "x a2:1", SAME_FILE, V2, false},
    {"one inside, loose", "x a2:1", "y a1:0,a3:0", SAME_FILE, V2, false},
    {"vector, vector on the same", "v a1:0", "v a1:1", SAME_FILE, V3, false},
    {"vector, vector in a shared file", "v a1:0/a2:0", "v a2:1/a3:1", SAME_FILE, V3, false},
    {"vector, vector elsewhere", "v a1:0/a2:0", "v a3:1/b1:1", NULL, V3, false},
    {"position delete, equality delete", "x a1:0", "E @1:2", NULL, V2, false},
    {"vector, equality delete", "v a1:0", "E @1:2", NULL, V3, false},
    {"position delete, compaction of its file", "x a1:0", "^ a1,a2>k1", NO_FILE, V2, false},
    {"position delete, compaction elsewhere", "x a1:0", "^ a2,a3>k1", NULL, V2, false},
    {"vector, compaction of its file", "v a1:0", "^s a1,a2>k1", NO_FILE, V3, false},
    /* equality delete */
    {"equality delete, append in scope", "E @1:1", "+ n2@1:12", NEW_ROWS, V23, false},
    {"equality delete, append by bounds", "e @1:1", "+ n2@1:12", NULL, V23, false},
    {"equality delete, append in bounds", "e @1:1,20", "+ n2@1:12", NEW_ROWS, V23, false},
    {"equality delete, append elsewhere", "E @1:1", "+ n2@2:12", NULL, V23, false},
    {"global equality delete, append", "E @*:1", "+ n2@2:12", NEW_ROWS, V23, false},
    {"global equality delete, append by bounds", "e @*:1", "+ n2@2:12", NULL, V23, false},
    {"equality delete, overwrite", "E @1:4", "~ a1>c2@1:1,12", NEW_ROWS, V23, false},
    {"equality delete, overwrite elsewhere", "E @2:8", "~ a1>c2@1:1,12", NULL, V23, false},
    {"equality delete, delete", "E @1:4", "- a1", NULL, V23, false},
    {"equality delete, dynamic overwrite", "E @1:4", "d @1>n9:12", NEW_ROWS, V23, false},
    {"equality delete, position delete", "E @1:4", "x a1:0", NULL, V2, false},
    {"equality delete, vector", "E @1:4", "v a1:0", NULL, V3, false},
    {"equality delete, equality delete", "E @1:4", "E @1:1,4", NULL, V23, false},
    {"equality delete, compaction", "E @1:1", "^ a1,a2>k1", NEW_ROWS, V23, false},
    {"equality delete, compaction elsewhere", "E @2:8", "^ a1,a2>k1", NULL, V23, false},
    {"equality delete, compaction with number", "E @1:1", "^s a1,a2>k1", NULL, V23, false},
    {"equality delete, late compaction", "E @1:1", "+ n2@1:12; ^s a1,n2>k1", NEW_ROWS, V23, false},
    /* dynamic partition overwrite */
    {"dynamic, append", "d @1>n9:21", "+ n2@1:12", PARTITION, ALL, false},
    {"dynamic, append elsewhere", "d @1>n9:21", "+ n2@2:12", NULL, ALL, false},
    {"dynamic, delete", "d @1>n9:21", "- a1", GONE, ALL, false},
    {"dynamic, delete elsewhere", "d @1>n9:21", "- b1", NULL, ALL, false},
    {"dynamic, overwrite", "d @1>n9:21", "~ a1>c2@1:1,12", PARTITION, ALL, false},
    {"dynamic, position delete", "d @1>n9:21", "x a1:0", PARTITION, V2, false},
    {"dynamic, position delete elsewhere", "d @1>n9:21", "x b1:0", NULL, V2, false},
    {"dynamic, vector", "d @1>n9:21", "v a1:0", PARTITION, V3, false},
    {"dynamic, equality delete", "d @1>n9:21", "e @1:77", PARTITION, V23, false},
    {"dynamic, equality delete elsewhere", "d @1>n9:21", "E @2:8", NULL, V23, false},
    {"dynamic, global equality delete", "d @1>n9:21", "e @*:77", PARTITION, V23, false},
    {"dynamic, compaction", "d @1>n9:21", "^ a1,a2>k1", GONE, ALL, false},
    {"dynamic, compaction elsewhere", "d @2>n9:21", "^ a1,a2>k1", NULL, ALL, false},
    {"dynamic, what it wrote deleted, append", "d @1>n9:21; - n9", "+ n2@1:12", PARTITION, ALL,
     false},
    {"dynamic of a new partition, append", "d @5>n9:21", "+ n2@5:12", PARTITION, ALL, false},
    /* compaction */
    {"compaction, append", "^ a1,a2>k1", "+ n2@1:12", NULL, ALL, false},
    {"compaction, append, serializable", "^ a1,a2>k1", "+ n2@1:12", NULL, ALL, true},
    {"compaction, delete of it", "^ a1,a2>k1", "- a1", GONE, ALL, false},
    {"compaction, delete elsewhere", "^ a1,a2>k1", "- a3", NULL, ALL, false},
    {"compaction, overwrite of it", "^s a1,a2>k1", "~ a1>c2@1:1,12", GONE, V23, false},
    {"compaction, position delete on it", "^ a1,a2>k1", "x a1:0", DELETED_ON, V2, false},
    {"compaction, position delete elsewhere", "^ a1,a2>k1", "x a3:0", NULL, V2, false},
    {"compaction, vector on it", "^s a1,a2>k1", "v a2:0", DELETED_ON, V3, false},
    {"compaction, equality delete in scope", "^ a1,a2>k1", "E @1:1", EQUALITY_ON, V23, false},
    {"compaction, equality delete elsewhere", "^ a1,a2>k1", "E @2:8", NULL, V23, false},
    {"compaction with number, equality delete", "^s a1,a2>k1", "E @1:1", NULL, V23, false},
    {"late compaction, equality delete", "+ n1@1:11; ^s a1,n1>k1", "E @1:1", EQUALITY_ON, V23,
     false},
    {"compaction, dynamic overwrite", "^ a1,a2>k1", "d @1>n9:12", GONE, ALL, false},
    {"compaction, compaction of it", "^ a1,a2>k1", "^ a2,a3>k2", GONE, ALL, false},
    {"compaction, compaction elsewhere", "^ a1,a2>k1", "^ a3>k2", NULL, ALL, false},
    /* mixed, and what cancels out */
    {"strictest of a mixture", "+ n1@1:11; - a1", "+ n2@1:12; x a1:1", DELETED_ON, V2, false},
    {"added and removed", "+ n1@1:11; - n1", "- a1", NULL, ALL, false},
    {"added, deleted from, rewritten", "+ n1@2:11,12; x n1:0; ^ n1>k1", "- b1", NULL, V2, false},
    {"equality delete of its own rows", "+ n1@1:11; E @1:11; + n3@1:11", "- b1", NULL, V23, false},
    {"the same, and target's rows", "+ n1@1:11; E @1:11; + n3@1:11", "+ n2@1:12", NEW_ROWS, V23,
     false},
};

/* ---- the expected rows ---- */

static bool has(const char *rows, int64_t row)
{
    char word[32], padded[8192];
    (void)snprintf(word, sizeof word, " %lld ", (long long)row);
    (void)snprintf(padded, sizeof padded, " %s ", rows);
    return strstr(padded, word) != NULL;
}

/* Both sides' rows: the target's, and what the source added, without what it removed. */
static bool is_union(const char *half, const char *source, const char *target, const char *merged)
{
    for (int64_t row = 0; row < 200; row++) {
        bool removed = has(half, row) && !has(source, row);
        bool added = has(source, row) && !has(half, row);
        if (has(merged, row) != ((has(target, row) && !removed) || added))
            return false;
    }
    return true;
}

static bool tells(const pang_files_outcome *files, const char *words)
{
    for (size_t i = 0; i < files->n_conflicts; i++) {
        char text[4096];
        (void)snprintf(text, sizeof text, "%.*s", PANG_STR_ARG(files->conflicts[i].description));
        if (strstr(text, words) != NULL)
            return true;
    }
    return false;
}

static void run_cell(const cell *c, int version)
{
    world w;
    const pang_json *fork = world_run(&w, world_begin(&w, version, true),
                                      version == 1 ? "+ a1@1:1,2,3; + a2@1:4,5; + a3@1:6,7; "
                                                     "+ b1@2:8,9; + c1@3:91; + a2x@4:95"
                                                   : FORK);
    const pang_json *source = world_run(&w, fork, c->source);
    const pang_json *target = world_run(&w, fork, c->target);
    world_merge m = {fork, source, fork, target, true};
    pang_files_outcome files;
    w.serializable = c->serializable;
    const pang_json *merged = world_merged(&w, &m, &files);
    if (c->conflict != NULL && !tells(&files, c->conflict))
        fail_msg("%s, version %d: %s", c->name, version,
                 files.n_conflicts == 0 ? "no conflict" : files.conflicts[0].description.ptr);
    if (c->conflict == NULL && files.n_conflicts > 0)
        fail_msg("%s, version %d: %.*s", c->name, version,
                 PANG_STR_ARG(files.conflicts[0].description));
    const char *rows = world_scan(&w, merged == NULL ? target : merged);
    if (c->conflict == NULL &&
        !is_union(world_scan(&w, fork), world_scan(&w, source), world_scan(&w, target), rows))
        fail_msg("%s, version %d: rows are %s", c->name, version, rows);
    world_end(&w);
}

static void test_merge_matrix__every_cell(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        for (int version = 1; version <= 3; version++) {
            if ((cells[i].versions & (1 << (version - 1))) != 0)
                run_cell(&cells[i], version);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_matrix__every_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
