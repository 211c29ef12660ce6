/*
 * The digest is the last field of a packed row: a tag, a length and 32 bytes. Taking it off by
 * position instead of packing the row anew keeps the check true for rows of other versions.
 */
#include "server/audit_chain.h"

enum { DIGEST_TAG = 15 << 3 | 2, DIGEST_FIELD = PANG_HASH_BYTES + 2 };

static pang_str big_endian(uint64_t number, char to[8])
{
    for (int i = 0; i < 8; i++)
        to[i] = (char)(uint8_t)(number >> (56 - 8 * i));
    return (pang_str){to, 8};
}

static pang_str id_bytes(const pang_id *id)
{
    return (pang_str){(const char *)id->bytes, sizeof id->bytes};
}

pang_code pang_chain_row(pang_rec_audit_row *row, pang_str scope, pang_id server, pang_arena *arena,
                         pang_str *ret, pang_err *err)
{
    uint8_t digest[PANG_HASH_BYTES];
    pang_str parts[] = {scope, id_bytes(&server), pang_record_pack(&row->base, arena)};
    if (parts[2].ptr == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_hash(parts, sizeof parts / sizeof parts[0], digest, err);
    if (code != PANG_OK)
        return code;
    row->digest = (ProtobufCBinaryData){sizeof digest, digest};
    *ret = pang_record_pack(&row->base, arena);
    row->digest = (ProtobufCBinaryData){0};
    return ret->ptr == NULL ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_chain_digest(pang_str body, pang_str scope, pang_id server,
                            uint8_t ret[PANG_HASH_BYTES], pang_str *ret_found, pang_err *err)
{
    bool has = body.len >= DIGEST_FIELD &&
               (uint8_t)body.ptr[body.len - DIGEST_FIELD] == DIGEST_TAG &&
               body.ptr[body.len - DIGEST_FIELD + 1] == PANG_HASH_BYTES;
    size_t len = has ? body.len - DIGEST_FIELD : body.len;
    pang_str parts[] = {scope, id_bytes(&server), pang_str_slice(body, 0, len)};
    *ret_found = has ? pang_str_after(body, len + 2) : (pang_str){0};
    return pang_hash(parts, sizeof parts / sizeof parts[0], ret, err);
}

pang_code pang_chain_leaf(pang_id server, uint64_t number, int64_t time_ms, pang_str digest,
                          uint8_t ret[PANG_HASH_BYTES], pang_err *err)
{
    char place[2][8];
    pang_str parts[] = {id_bytes(&server), big_endian(number, place[0]),
                        big_endian((uint64_t)time_ms, place[1]), digest};
    return pang_hash(parts, sizeof parts / sizeof parts[0], ret, err);
}

pang_code pang_chain_seal(pang_str previous, uint64_t number, pang_str leaves,
                          uint8_t ret[PANG_HASH_BYTES], pang_err *err)
{
    char place[8];
    pang_str parts[] = {previous, big_endian(number, place), leaves};
    return pang_hash(parts, sizeof parts / sizeof parts[0], ret, err);
}
