/*
 * The model's own little things: see the header.
 */
#include "tests/versions/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/server/must.h"

const char *const space_names[SPACES] = {"default", "a", "b", "a.x", "a.y", "b.x"};
const int space_parents[SPACES] = {-1, -1, -1, 1, 1, 2};
const char *const kind_names[] = {"space", "table", "view", "asset"};

/* ---- sets ---- */

bool has_state(const state_set *set, int state)
{
    return (set->bits[state / 64] >> (state % 64)) & 1;
}

bool within_states(const state_set *a, const state_set *b)
{
    for (int i = 0; i < STATES / 64; i++)
        if ((a->bits[i] & ~b->bits[i]) != 0)
            return false;
    return true;
}

void unite_states(state_set *to, const state_set *from)
{
    for (int i = 0; i < STATES / 64; i++)
        to->bits[i] |= from->bits[i];
}

void add_file(file_set *set, int file)
{
    set->bits[file / 64] |= 1ULL << (file % 64);
}

bool has_file(const file_set *set, int file)
{
    return (set->bits[file / 64] >> (file % 64)) & 1;
}

bool same_files(const file_set *a, const file_set *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* ---- the whole ---- */

model *model_open(uint64_t seed)
{
    model *m = calloc(1, sizeof *m);
    MUST(m != NULL);
    m->chance = seed * 2654435761U + 12345;
    m->n_commits = m->n_states = 1;
    m->n_items = SPACES;
    m->n_branches = 1;
    m->branches[0] = (branch){.alive = true, .ingest = true, .name = "main", .made_of = 1};
    for (int i = 0; i < SPACES; i++) {
        m->nothing.items[i].kind = NAMESPACE;
        m->nothing.items[i].space = space_parents[i];
        m->nothing.items[i].title = i;
    }
    return m;
}

void model_close(model *m)
{
    for (int i = 1; i < m->n_commits; i++)
        free((void *)(uintptr_t)m->commits[i].after);
    free(m);
}

unsigned model_roll(model *m, unsigned n)
{
    m->chance = m->chance * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(m->chance >> 33) % n;
}

bool model_is_full(const model *m)
{
    return m->n_commits > COMMITS - 8 || m->n_states > STATES - ITEMS * 2 ||
           m->n_files > FILES - 16 || m->n_columns > 120 || m->n_queries > FILES - 4;
}

const content *model_at(const model *m, int at)
{
    return at == 0 ? &m->nothing : m->commits[at].after;
}

const content *model_of(const model *m, const branch *b)
{
    return model_at(m, b->head);
}

branch *model_branch(model *m, const char *name)
{
    for (int i = 0; i < m->n_branches; i++)
        if (m->branches[i].alive && strcmp(m->branches[i].name, name) == 0)
            return &m->branches[i];
    return NULL;
}

void model_commit(model *m, branch *b, const content *after, const char *id, uint64_t sequence,
                  int64_t time_ms)
{
    content *kept = malloc(sizeof *kept);
    MUST(kept != NULL && m->n_commits < COMMITS);
    *kept = *after;
    commit *made = &m->commits[m->n_commits];
    *made = (commit){.sequence = sequence, .time_ms = time_ms, .parent = b->head, .after = kept};
    made->partial = b->partial;
    made->depth = b->depth;
    made->family = b->family;
    made->made_of = b->made_of;
    made->branch = (int)(b - m->branches);
    (void)snprintf(made->id, sizeof made->id, "%s", id);
    b->head = m->n_commits++;
    m->sequence = sequence;
}

/* ---- items ---- */

static void add_state(state_set *set, int state)
{
    set->bits[state / 64] |= 1ULL << (state % 64);
}

void model_change(model *m, item *it, int what)
{
    MUST(m->n_states < STATES);
    it->state = m->n_states++;
    add_state(&it->all, it->state);
    if (what & CHANGES_VALUE) {
        it->value = it->state;
        add_state(&it->values, it->state);
    }
    if (what & CHANGES_NAME) {
        it->name = it->state;
        add_state(&it->names, it->state);
    }
    m->states[it->state] = *it;
}

void model_join(model *m, int from, int into)
{
    for (int i = 0; i < m->n_joins; i++)
        if (m->joins[i].from == from && m->joins[i].into == into)
            return;
    MUST(m->n_joins < JOINS);
    m->joins[m->n_joins].from = from;
    m->joins[m->n_joins++].into = into;
}

void model_snapshot(model *m, item *it, int snapshot)
{
    MUST(snapshot < FILES);
    add_file(&it->snapshots, snapshot);
    for (int i = 0; i < it->n_columns; i++) {
        int number = it->columns[i].number;
        MUST(number < 128);
        m->written[snapshot][number / 64] |= 1ULL << (number % 64);
    }
}

item *model_new_item(model *m, content *c, item_kind kind, int space, int title)
{
    if (m->n_items == ITEMS)
        return NULL;
    item *it = &c->items[m->n_items++];
    *it = (item){.exists = true, .kind = kind, .space = space, .title = title};
    it->made = ++m->n_made;
    it->last_column = 2;
    return it;
}

item *find_item(content *c, int space, int title)
{
    for (int i = SPACES; i < ITEMS; i++) {
        item *it = &c->items[i];
        if (it->exists && it->space == space && it->title == title)
            return it;
    }
    return NULL;
}

bool is_used(const content *c, int space)
{
    for (int i = 0; i < ITEMS; i++)
        if (c->items[i].exists && c->items[i].space == space)
            return true;
    return false;
}

bool same_properties(const item *a, const item *b)
{
    return memcmp(a->properties, b->properties, sizeof a->properties) == 0;
}

static bool has_column(const item *it, int number)
{
    for (int i = 0; i < it->n_columns; i++)
        if (it->columns[i].number == number)
            return true;
    return false;
}

bool same_columns(const item *a, const item *b)
{
    if (a->n_columns != b->n_columns)
        return false;
    for (int i = 0; i < a->n_columns; i++)
        if (!has_column(b, a->columns[i].number))
            return false;
    return true;
}

bool same_value(const item *a, const item *b)
{
    return same_properties(a, b) && same_columns(a, b) && same_files(&a->files, &b->files) &&
           a->query == b->query;
}

/* ---- text ---- */

static int by_number(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void write_columns(FILE *out, const item *it)
{
    int numbers[COLUMNS];
    for (int i = 0; i < it->n_columns; i++)
        numbers[i] = it->columns[i].number;
    qsort(numbers, (size_t)it->n_columns, sizeof numbers[0], by_number);
    for (int i = 0; i < it->n_columns; i++)
        fprintf(out, " c%d", numbers[i]);
}

static char *item_text(const item *it)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    MUST(out != NULL);
    if (it->kind == NAMESPACE)
        fprintf(out, "%s %s", kind_names[it->kind], space_names[it->title]);
    else
        fprintf(out, "%s %s.t%d #%d", kind_names[it->kind], space_names[it->space], it->title,
                it->made);
    for (int i = 0; i < PROPERTIES; i++)
        if (it->properties[i] != 0)
            fprintf(out, " p%d=v%d", i, it->properties[i]);
    write_columns(out, it);
    for (int i = 0; i < FILES; i++)
        if (has_file(&it->files, i))
            fprintf(out, " f%d", i);
    if (it->kind == VIEW)
        fprintf(out, " q%d", it->query);
    MUST(fclose(out) == 0);
    return text;
}

char *model_text(const content *c)
{
    char *lines[ITEMS], *text;
    size_t n = 0, len;
    for (int i = 0; i < ITEMS; i++)
        if (c->items[i].exists)
            lines[n++] = item_text(&c->items[i]);
    qsort(lines, n, sizeof lines[0], by_text);
    FILE *out = open_memstream(&text, &len);
    MUST(out != NULL);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%s\n", lines[i]);
        free(lines[i]);
    }
    MUST(fclose(out) == 0);
    return text;
}
