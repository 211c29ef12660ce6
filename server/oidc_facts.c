/*
 * What a provider says of itself: its discovery document and its keys, asked for together and
 * kept together. Who needs them while somebody else is asking waits for that one; what is a little
 * old is used rather than nothing while the provider is away, but not for ever.
 */
#include <pthread.h>
#include <stdlib.h>

#include "api/json.h"
#include "server/oidc_internal.h"
#include "server/worker.h"

#define WELL_KNOWN "/.well-known/openid-configuration"

enum { MEMORY = 8 << 20, KEPT_MEMORY = 64 << 10 };

struct pang_provider_facts {
    pthread_mutex_t lock;
    pthread_cond_t asked; /* somebody has finished asking */
    /* All under the lock. */
    pang_facts *now;
    int64_t learnt_ms, tried_ms; /* mono clock; tried: when the last asking began */
    bool was_tried, is_asking;
};

struct pang_provider_facts *pang_facts_new(void)
{
    struct pang_provider_facts *facts = calloc(1, sizeof *facts);
    if (facts == NULL)
        return NULL;
    if (!pang_condition_open(&facts->asked)) {
        free(facts);
        return NULL;
    }
    (void)pthread_mutex_init(&facts->lock, NULL);
    return facts;
}

static void drop(pang_facts *facts)
{
    if (facts == NULL || --facts->users > 0)
        return;
    pang_jwks_free(facts->keys);
    pang_arena_free(facts->arena);
    free(facts);
}

void pang_facts_free(struct pang_provider_facts *facts)
{
    if (facts == NULL)
        return;
    drop(facts->now);
    (void)pthread_cond_destroy(&facts->asked);
    (void)pthread_mutex_destroy(&facts->lock);
    free(facts);
}

/* ---- asking ---- */

static pang_code bad_facts(const pang_provider *provider, const char *why, pang_err *err)
{
    pang_code code = pang_fail(err, PANG_UNAVAILABLE, NULL,
                               "the identity provider \"%s\" cannot be used: %s", provider->name,
                               why);
    return code;
}

static pang_code get(pang_oidc *oidc, const pang_provider *provider, pang_str url,
                     int64_t deadline_ms, pang_arena *arena, pang_str *ret, pang_err *err)
{
    pang_http_request request = {.url = url, .deadline_ms = deadline_ms};
    pang_http_reply reply;
    pang_code code = pang_http_run(oidc->http, &request, arena, &reply, err);
    if (code == PANG_INVALID_ARGUMENT)
        return bad_facts(provider, "it names an address that may not be asked", err);
    if (code != PANG_OK)
        return code;
    if (reply.status != 200)
        return bad_facts(provider, "it does not answer with its configuration", err);
    *ret = reply.body;
    return PANG_OK;
}

static bool lists(const pang_json *list, pang_str wanted)
{
    pang_str text;
    for (size_t i = 0; i < pang_json_size(list); i++)
        if (pang_json_to_str(pang_json_at(list, i), &text) && pang_str_equal(text, wanted))
            return true;
    return false;
}

/* An address of the provider's, as it names it: checked, since it names it to us. */
static pang_code read_url(const pang_provider *provider, const pang_json *document,
                          const char *name, pang_arena *arena, pang_str *ret, pang_err *err)
{
    pang_str url = {0};
    if (!pang_json_to_str(pang_json_get(document, name), &url))
        return bad_facts(provider, "its configuration lacks an address", err);
    if (pang_http_check_url(url, name, NULL) != PANG_OK)
        return bad_facts(provider, "its configuration names an address that may not be asked", err);
    return pang_arena_copy(arena, url, ret) ? PANG_OK : pang_fail_memory(err);
}

/* A provider that is not on this machine must not send us to what is. */
static bool may_name(const pang_provider *provider, pang_str url)
{
    return pang_http_is_loopback(provider->issuer) ||
           (pang_str_starts(url, PANG_STR("https://")) && !pang_http_is_loopback(url));
}

static pang_code read_document(const pang_provider *provider, const pang_json *document,
                               pang_facts *facts, pang_str *ret_keys_url, pang_err *err)
{
    pang_str issuer = {0};
    (void)pang_json_to_str(pang_json_get(document, "issuer"), &issuer);
    if (!pang_str_equal(issuer, provider->issuer))
        return bad_facts(provider, "it calls itself by another issuer than the configured one",
                         err);
    pang_code code = read_url(provider, document, "authorization_endpoint", facts->arena,
                              &facts->auth_url, err);
    if (code == PANG_OK)
        code = read_url(provider, document, "token_endpoint", facts->arena, &facts->token_url, err);
    if (code == PANG_OK)
        code = read_url(provider, document, "jwks_uri", facts->arena, ret_keys_url, err);
    if (code != PANG_OK)
        return code;
    if (!may_name(provider, facts->auth_url) || !may_name(provider, facts->token_url) ||
        !may_name(provider, *ret_keys_url))
        return bad_facts(
            provider, "its configuration names an address without https, or on this machine", err);
    const pang_json *ways = pang_json_get(document, "token_endpoint_auth_methods_supported");
    facts->posts_secret = lists(ways, PANG_STR("client_secret_post")) &&
                          !lists(ways, PANG_STR("client_secret_basic"));
    (void)pang_json_to_bool(
        pang_json_get(document, "authorization_response_iss_parameter_supported"),
        &facts->says_issuer);
    return PANG_OK;
}

static pang_code read_keys(const pang_provider *provider, pang_str text, pang_arena *arena,
                           pang_facts *facts, pang_err *err)
{
    pang_code code = pang_jwks_parse(text, arena, &facts->keys, err);
    return code == PANG_INVALID_ARGUMENT ? bad_facts(provider, "it has no keys for signatures", err)
                                         : code;
}

static pang_code ask_with(pang_oidc *oidc, const pang_provider *provider, int64_t deadline_ms,
                          pang_arena *arena, pang_facts *facts, pang_err *err)
{
    pang_json *document = NULL;
    pang_str issuer = provider->issuer, text, keys_url;
    if (pang_str_ends(issuer, PANG_STR("/")))
        issuer = pang_str_slice(issuer, 0, issuer.len - 1);
    pang_str url = pang_arena_printf(arena, "%" PANG_STR_FMT WELL_KNOWN, PANG_STR_ARG(issuer));
    pang_code code = get(oidc, provider, url, deadline_ms, arena, &text, err);
    if (code == PANG_OK)
        code = pang_json_parse(text, arena, &document, err);
    if (code == PANG_INVALID_ARGUMENT)
        return bad_facts(provider, "its configuration is no JSON", err);
    if (code == PANG_OK)
        code = read_document(provider, document, facts, &keys_url, err);
    if (code == PANG_OK)
        code = get(oidc, provider, keys_url, deadline_ms, arena, &text, err);
    return code == PANG_OK ? read_keys(provider, text, arena, facts, err) : code;
}

static pang_code ask(pang_oidc *oidc, const pang_provider *provider, int64_t deadline_ms,
                     pang_facts **ret, pang_err *err)
{
    pang_arena *arena = pang_arena_new(MEMORY);
    pang_facts *facts = calloc(1, sizeof *facts);
    if (facts != NULL) {
        facts->users = 1;
        facts->arena = pang_arena_new(KEPT_MEMORY);
    }
    pang_code code = arena == NULL || facts == NULL || facts->arena == NULL
                         ? pang_fail_memory(err)
                         : ask_with(oidc, provider, deadline_ms, arena, facts, err);
    pang_arena_free(arena);
    if (code == PANG_OK)
        *ret = facts;
    else
        drop(facts);
    return code;
}

/* ---- when to ask ---- */

/* Whether there is something to go by at all. REQUIRES: the lock. */
static bool is_usable(const struct pang_provider_facts *facts, int64_t now, int64_t age_ms)
{
    return facts->now != NULL && now - facts->learnt_ms < age_ms;
}

static bool may_ask(const struct pang_provider_facts *facts, int64_t now)
{
    int64_t pause = is_usable(facts, now, PANG_OIDC_STALE_MS) ? PANG_OIDC_AGAIN_MS
                                                              : PANG_OIDC_RETRY_MS;
    return !facts->was_tried || now - facts->tried_ms >= pause;
}

/* REQUIRES: the lock, which is given back while asking. */
static pang_code ask_now(pang_oidc *oidc, const pang_provider *provider, int64_t deadline_ms,
                         pang_err *err)
{
    struct pang_provider_facts *facts = provider->facts;
    pang_facts *learnt = NULL;
    facts->is_asking = facts->was_tried = true;
    facts->tried_ms = pang_env_mono_ms(oidc->env);
    (void)pthread_mutex_unlock(&facts->lock);
    pang_code code = ask(oidc, provider, deadline_ms, &learnt, err);
    (void)pthread_mutex_lock(&facts->lock);
    facts->is_asking = false;
    if (code == PANG_OK) {
        drop(facts->now);
        facts->now = learnt;
        facts->learnt_ms = pang_env_mono_ms(oidc->env);
    }
    (void)pthread_cond_broadcast(&facts->asked);
    return code;
}

/* REQUIRES: the lock. False when the deadline has passed. */
static bool wait_for_other(pang_oidc *oidc, struct pang_provider_facts *facts, int64_t deadline_ms)
{
    int64_t left = deadline_ms - pang_env_mono_ms(oidc->env);
    if (left <= 0)
        return false;
    (void)pang_condition_wait(&facts->asked, &facts->lock,
                              left < PANG_HTTP_TIMEOUT_MS ? left : PANG_HTTP_TIMEOUT_MS);
    return true;
}

/* REQUIRES: the lock. */
static pang_code make_usable(pang_oidc *oidc, const pang_provider *provider, bool again,
                             int64_t deadline_ms, pang_err *err)
{
    struct pang_provider_facts *facts = provider->facts;
    for (;;) {
        int64_t now = pang_env_mono_ms(oidc->env);
        bool is_good = is_usable(facts, now, PANG_OIDC_FRESH_MS) && !again;
        bool is_better_than_none = is_usable(facts, now, PANG_OIDC_STALE_MS);
        if (is_good)
            return PANG_OK;
        if (facts->is_asking) {
            if (is_better_than_none && !again)
                return PANG_OK;
            if (!wait_for_other(oidc, facts, deadline_ms))
                return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL, "the deadline has passed");
            again = false; /* the other has just asked */
            continue;
        }
        if (!may_ask(facts, now))
            return is_better_than_none
                       ? PANG_OK
                       : bad_facts(provider, "it could not be reached a moment ago", err);
        pang_code code = ask_now(oidc, provider, deadline_ms, err);
        return code != PANG_OK && is_better_than_none ? PANG_OK : code;
    }
}

pang_code pang_facts_enter(pang_oidc *oidc, const pang_provider *provider, bool again,
                           int64_t deadline_ms, pang_facts **ret, pang_err *err)
{
    struct pang_provider_facts *facts = provider->facts;
    (void)pthread_mutex_lock(&facts->lock);
    pang_code code = make_usable(oidc, provider, again, deadline_ms, err);
    if (code == PANG_OK) {
        facts->now->users++;
        *ret = facts->now;
    }
    (void)pthread_mutex_unlock(&facts->lock);
    return code;
}

void pang_facts_leave(const pang_provider *provider, pang_facts *facts)
{
    (void)pthread_mutex_lock(&provider->facts->lock);
    drop(facts);
    (void)pthread_mutex_unlock(&provider->facts->lock);
}

/* ---- verifying ---- */

pang_code pang_oidc_verify(pang_oidc *oidc, const pang_provider *provider,
                           const pang_foreign_token *token, int64_t deadline_ms, pang_err *err)
{
    pang_facts *facts = NULL;
    pang_code code = pang_facts_enter(oidc, provider, false, deadline_ms, &facts, err);
    if (code == PANG_OK && !pang_jwks_has(facts->keys, token)) {
        pang_facts_leave(provider, facts);
        code = pang_facts_enter(oidc, provider, true, deadline_ms, &facts, err);
    }
    if (code != PANG_OK)
        return code;
    code = pang_jwks_verify(facts->keys, token, err);
    pang_facts_leave(provider, facts);
    return code;
}
