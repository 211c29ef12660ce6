/*
 * The floor: how far back a catalog's history is whole. Retention raises it before it removes
 * anything below (server/retain.h), so whoever asks after reading knows whether something may be
 * missing in what was read.
 */
#include "server/refs.h"

pang_code pang_floor_of(pang_view *view, pang_floor *ret, pang_err *err)
{
    pang_record record;
    pang_rec_floor *floor;
    pang_str key = pang_key_floor(&view->keys, view->catalog);
    *ret = (pang_floor){0};
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__floor__descriptor, &record, view->arena, &floor,
                              err);
    if (code == PANG_OK)
        *ret = (pang_floor){floor->number, floor->time_ms, floor->log};
    return code;
}

pang_code pang_floor_check_time(pang_view *view, int64_t time_ms, pang_str text, const char *reason,
                                pang_err *err)
{
    pang_floor floor;
    pang_code code = pang_floor_of(view, &floor, err);
    if (code == PANG_OK && time_ms < floor.time_ms)
        code = pang_fail(err, PANG_NOT_FOUND, reason,
                         "Ref does not exist: %" PANG_STR_FMT
                         " (the catalog's history is kept from %lld on)",
                         PANG_STR_ARG(text), (long long)floor.time_ms);
    return code;
}

pang_code pang_floor_check_before(pang_view *view, uint64_t sequence, pang_err *err)
{
    pang_floor floor;
    pang_code code = pang_floor_of(view, &floor, err);
    if (code == PANG_OK && sequence <= floor.number)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, "ConflictException",
                         "what was before the commit is not kept any more: the catalog's history "
                         "is kept from commit %llu on",
                         (unsigned long long)floor.number);
    return code;
}
