/*
 * Ranges of keys. The least key above every key with a prefix is the prefix with its last byte
 * raised by one; bytes 0xff at the end cannot be raised and are dropped first. The least key above
 * a key is that key with a zero byte behind it. With these two, "begins with", "after" and "until"
 * in both directions become one pair of bounds that any ordered index can seek.
 */
#include "storage/range.h"

#include <string.h>

static pang_str successor(pang_str key, char to[PANG_KEY_MAX + 1])
{
    if (key.len > 0)
        memcpy(to, key.ptr, key.len);
    to[key.len] = '\0';
    return (pang_str){to, key.len + 1};
}

static pang_str above_prefix(pang_str prefix, char to[PANG_KEY_MAX + 1])
{
    size_t len = prefix.len;
    while (len > 0 && (unsigned char)prefix.ptr[len - 1] == 0xff)
        len--;
    if (len == 0) {
        memset(to, 0xff, PANG_KEY_MAX + 1);
        return (pang_str){to, PANG_KEY_MAX + 1};
    }
    memcpy(to, prefix.ptr, len);
    to[len - 1] = (char)((unsigned char)to[len - 1] + 1);
    return (pang_str){to, len};
}

static void raise_lo_above(pang_range *r, pang_str key)
{
    if (pang_str_compare(key, r->lo) >= 0)
        r->lo = successor(key, r->lo_bytes);
}

static void lower_hi(pang_range *r, pang_str key)
{
    if (pang_str_compare(key, r->hi) < 0)
        r->hi = key;
}

void pang_range_of_query(const pang_query *query, pang_range *ret)
{
    ret->lo = query->prefix;
    ret->hi = above_prefix(query->prefix, ret->hi_bytes);
    pang_str low = query->descending ? query->until : query->after;
    pang_str high = query->descending ? query->after : query->until;
    if (low.len > 0)
        raise_lo_above(ret, low);
    if (high.len > 0)
        lower_hi(ret, high);
    ret->is_empty = pang_str_compare(ret->lo, ret->hi) >= 0;
}

void pang_range_of_ceiling(const pang_ref *ref, pang_range *ret)
{
    ret->lo = successor(ref->key, ret->lo_bytes);
    ret->hi = above_prefix(pang_str_slice(ref->key, 0, ref->prefix_len), ret->hi_bytes);
    ret->is_empty = pang_str_compare(ret->lo, ret->hi) >= 0;
}

pang_str pang_put_key(const pang_commit *commit, const pang_put *put, char to[PANG_KEY_MAX])
{
    static const char digits[] = "0123456789abcdef";
    if (put->key_slot == PANG_NO_SLOT)
        return put->key;
    memcpy(to, put->key.ptr, put->key.len);
    uint64_t number = commit->numbers[put->key_slot];
    for (size_t i = PANG_SLOT_DIGITS; i-- > 0; number >>= 4)
        to[put->key_slot_at + i] = digits[number & 15];
    return (pang_str){to, put->key.len};
}
