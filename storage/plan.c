/*
 * Plans. Entries stand in an array in the order in which their keys are met, and in a hash table
 * with open addresses by key. Room for every key that the group can touch is taken at the start, so
 * that deciding allocates nothing but the few keys that hold a number.
 */
#include "storage/plan.h"

#include <assert.h>
#include <string.h>

#include "storage/range.h"

/* No client can have read the version of what the group itself writes. */
static const uint64_t version_unknown = UINT64_MAX;

/* The entry of a key, made when there is none. */
static pang_plan_entry *entry_of(pang_plan *plan, pang_str key)
{
    size_t at = (size_t)pang_str_hash(key) & plan->mask;
    for (; plan->table[at] != 0; at = (at + 1) & plan->mask) {
        pang_plan_entry *e = &plan->entries[plan->table[at] - 1];
        if (pang_str_equal(e->row.key, key))
            return e;
    }
    assert(plan->n < plan->room);
    pang_plan_entry *e = &plan->entries[plan->n++];
    *e = (pang_plan_entry){.row.key = key};
    plan->table[at] = (uint32_t)plan->n;
    return e;
}

static bool make_room(pang_plan *plan, pang_commit *const *commits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const pang_commit *c = commits[i];
        plan->room += 1 + c->n_checks + c->n_puts + c->n_deletes + c->n_appends + c->n_adds;
    }
    size_t size = 16;
    while (size < plan->room * 2)
        size *= 2;
    plan->mask = size - 1;
    plan->entries = pang_arena_alloc_n(plan->arena, plan->room, sizeof *plan->entries);
    plan->table = pang_arena_alloc_n(plan->arena, size, sizeof *plan->table);
    return plan->entries != NULL && plan->table != NULL && plan->room < UINT32_MAX;
}

bool pang_plan_begin(pang_plan *plan, pang_commit *const *commits, size_t n, pang_arena *arena)
{
    *plan = (pang_plan){.arena = arena};
    if (!make_room(plan, commits, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        const pang_commit *c = commits[i];
        (void)entry_of(plan, c->id_key);
        for (size_t j = 0; j < c->n_checks; j++)
            (void)entry_of(plan, c->checks[j].key);
        for (size_t j = 0; j < c->n_appends; j++)
            (void)entry_of(plan, c->appends[j]);
        for (size_t j = 0; j < c->n_adds; j++)
            (void)entry_of(plan, c->adds[j].counter);
    }
    plan->n_read = plan->n;
    return true;
}

static bool is_live(const pang_record *row, int64_t now_ms)
{
    return row->expires_ms == 0 || row->expires_ms > now_ms;
}

void pang_plan_found(pang_plan *plan, size_t i, const pang_record *row, int64_t now_ms)
{
    assert(i < plan->n_read);
    pang_plan_entry *e = &plan->entries[i];
    if (!is_live(row, now_ms))
        return;
    pang_str key = e->row.key;
    e->row = *row;
    e->row.key = key;
    e->is_live = true;
}

static void put(pang_plan *plan, const pang_record *row, int64_t now_ms)
{
    pang_plan_entry *e = entry_of(plan, row->key);
    pang_str key = e->row.key;
    e->row = *row;
    e->row.key = key;
    e->row.version = version_unknown;
    e->is_live = is_live(row, now_ms);
    e->change = PANG_PLAN_PUT;
}

static bool passes(pang_plan *plan, pang_commit *c)
{
    c->failed_check = c->n_checks;
    c->id_was_there = entry_of(plan, c->id_key)->is_live;
    if (c->id_was_there)
        return false;
    for (size_t i = 0; i < c->n_checks; i++) {
        const pang_check *check = &c->checks[i];
        const pang_plan_entry *e = entry_of(plan, check->key);
        bool same = check->is_counter ? check->value == (e->is_live ? e->row.value : 0)
                                      : check->version == (e->is_live ? e->row.version : 0);
        if (!same) {
            c->failed_check = i;
            return false;
        }
    }
    return true;
}

static void do_appends(pang_plan *plan, pang_commit *c, int64_t now_ms)
{
    c->time_ms = now_ms;
    for (size_t i = 0; i < c->n_appends; i++) {
        const pang_plan_entry *e = entry_of(plan, c->appends[i]);
        c->numbers[i] = e->is_live ? (uint64_t)e->row.value + 1 : 1;
        if (e->is_live && e->row.time_ms > c->time_ms)
            c->time_ms = e->row.time_ms;
    }
    for (size_t i = 0; i < c->n_appends; i++) {
        pang_record row = {
            .key = c->appends[i],
            .kind = PANG_KIND_SEQUENCE,
            .value = (int64_t)c->numbers[i],
            .time_ms = c->time_ms,
        };
        put(plan, &row, now_ms);
    }
}

static bool do_puts(pang_plan *plan, const pang_commit *c, int64_t now_ms)
{
    char bytes[PANG_KEY_MAX];
    for (size_t i = 0; i < c->n_puts; i++) {
        const pang_put *p = &c->puts[i];
        bool slotted = p->slot != PANG_NO_SLOT;
        pang_record row = {
            .key = pang_put_key(c, p, bytes),
            .body = p->body,
            .kind = p->kind,
            .expires_ms = p->expires_ms,
            .sequence = slotted ? c->numbers[p->slot] : 0,
            .time_ms = slotted ? c->time_ms : now_ms,
        };
        if (row.key.ptr == bytes && !pang_arena_copy(plan->arena, row.key, &row.key))
            return false;
        put(plan, &row, now_ms);
    }
    return true;
}

static void do_adds(pang_plan *plan, const pang_commit *c, int64_t now_ms)
{
    for (size_t i = 0; i < c->n_adds; i++) {
        const pang_plan_entry *e = entry_of(plan, c->adds[i].counter);
        uint64_t sum = (e->is_live ? (uint64_t)e->row.value : 0) + (uint64_t)c->adds[i].amount;
        pang_record row = {
            .key = c->adds[i].counter,
            .kind = PANG_KIND_COUNTER,
            .value = (int64_t)sum,
            .time_ms = now_ms,
        };
        put(plan, &row, now_ms);
    }
}

static void do_deletes(pang_plan *plan, const pang_commit *c)
{
    for (size_t i = 0; i < c->n_deletes; i++) {
        pang_plan_entry *e = entry_of(plan, c->deletes[i]);
        e->row = (pang_record){.key = e->row.key};
        e->is_live = false;
        e->change = PANG_PLAN_DELETED;
    }
}

static void do_id(pang_plan *plan, const pang_commit *c, int64_t now_ms)
{
    pang_record row = {
        .key = c->id_key,
        .body = c->is_void ? (pang_str){0} : c->id_body,
        .kind = PANG_KIND_COMMIT_ID,
        .value = c->is_void ? PANG_ID_VOID : 0,
        .sequence = c->n_appends > 0 ? c->numbers[0] : 0,
        .time_ms = c->time_ms,
        .expires_ms = c->id_kept ? 0 : now_ms + PANG_COMMIT_ID_LIFE_MS,
    };
    put(plan, &row, now_ms);
}

bool pang_plan_decide(pang_plan *plan, pang_commit *const *commits, size_t n, int64_t now_ms,
                      size_t *ret_landed)
{
    size_t landed = 0;
    for (size_t i = 0; i < n; i++) {
        pang_commit *c = commits[i];
        if (!passes(plan, c)) {
            c->outcome = PANG_COMMIT_ABORTED;
            continue;
        }
        do_appends(plan, c, now_ms);
        if (!do_puts(plan, c, now_ms))
            return false;
        do_adds(plan, c, now_ms);
        do_deletes(plan, c);
        do_id(plan, c, now_ms);
        c->outcome = PANG_COMMIT_OK;
        landed++;
    }
    *ret_landed = landed;
    return true;
}

void pang_plan_end_all(pang_commit *const *commits, size_t n, pang_outcome outcome,
                       const pang_err *err)
{
    for (size_t i = 0; i < n; i++) {
        commits[i]->outcome = outcome;
        commits[i]->err = *err;
        commits[i]->id_was_there = false;
        commits[i]->failed_check = commits[i]->n_checks;
    }
}
