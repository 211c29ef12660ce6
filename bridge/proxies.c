/*
 * Proxies: networks compared bit by bit, IPv4 as the mapped part of IPv6.
 */
#include "bridge/proxies.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAPPED_BITS = 96 };

/* False when the text is no address. "[2001:db8::1]:443" and "192.0.2.1:443" are some proxies'
 * way of writing one. */
static bool parse_address(pang_str text, struct in6_addr *ret, bool *ret_v4)
{
    char copy[INET6_ADDRSTRLEN + 8];
    struct in_addr v4;
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *at = copy, *colon = strchr(copy, ':');
    if (copy[0] == '[') {
        char *close = strchr(copy, ']');
        if (close == NULL)
            return false;
        *close = '\0';
        at = copy + 1;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    *ret_v4 = inet_pton(AF_INET, at, &v4) == 1;
    if (!*ret_v4)
        return inet_pton(AF_INET6, at, ret) == 1;
    memset(ret, 0, sizeof *ret);
    ret->s6_addr[10] = ret->s6_addr[11] = 0xFF;
    memcpy(&ret->s6_addr[12], &v4, sizeof v4);
    return true;
}

pang_code pang_proxies_add(pang_proxies *proxies, pang_str text, pang_err *err)
{
    size_t slash = pang_str_find(text, '/');
    struct in6_addr network;
    uint64_t bits = 0;
    bool is_v4, has_bits = slash < text.len;
    if (proxies->n == PANG_PROXIES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "more than %d trusted proxies",
                         PANG_PROXIES_MAX);
    bool ok = parse_address(pang_str_slice(text, 0, slash), &network, &is_v4);
    if (ok && has_bits)
        ok = pang_str_to_uint64(pang_str_after(text, slash + 1), &bits) &&
             bits <= (is_v4 ? 32 : 128);
    if (!ok)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "trusted proxy \"%" PANG_STR_FMT "\" is no address and no network",
                         PANG_STR_ARG(text));
    proxies->networks[proxies->n] = network;
    proxies->bits[proxies->n++] = !has_bits ? 128 : (unsigned)bits + (is_v4 ? MAPPED_BITS : 0);
    return PANG_OK;
}

static bool is_in(const struct in6_addr *address, const struct in6_addr *network, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address->s6_addr, network->s6_addr, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    unsigned mask = 0xFFu << (8 - rest) & 0xFFu;
    return ((address->s6_addr[whole] ^ network->s6_addr[whole]) & mask) == 0;
}

static bool is_trusted(const pang_proxies *proxies, pang_str text)
{
    struct in6_addr address;
    bool is_v4;
    if (!parse_address(text, &address, &is_v4))
        return false;
    for (size_t i = 0; i < proxies->n; i++)
        if (is_in(&address, &proxies->networks[i], proxies->bits[i]))
            return true;
    return proxies->all;
}

/* Cuts the last entry off; false when there is none. */
static bool cut_last(pang_str *list, pang_str *ret)
{
    size_t at = list->len;
    if (at == 0)
        return false;
    while (at > 0 && list->ptr[at - 1] != ',')
        at--;
    *ret = pang_str_trim(pang_str_after(*list, at));
    *list = pang_str_slice(*list, 0, at > 0 ? at - 1 : 0);
    return true;
}

pang_str pang_proxies_client(const pang_proxies *proxies, pang_str peer, pang_str forwarded)
{
    pang_str client = peer, before;
    struct in6_addr address;
    bool is_v4;
    while (is_trusted(proxies, client) && cut_last(&forwarded, &before)) {
        if (!parse_address(before, &address, &is_v4))
            break;
        client = before;
    }
    return client;
}
