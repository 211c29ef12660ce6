/*
 * HTTP client over libcurl's easy interface. A handle per request: sign-ins are rare, and a handle
 * that is kept would keep cookies, connections and a session of somebody else's.
 */
#include "server/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>

enum { HOST_MAX = 256, CONNECT_MS = 5000 };

struct pang_http {
    const pang_env *env;
    char *ca_file; /* NULL: the system's */
};

/* One request on its way. */
typedef struct {
    pang_buf body;
    bool is_too_large, was_refused;
    bool to_loopback; /* the address itself says so */
} exchange;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_ready;

static void init_library(void)
{
    is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

pang_code pang_http_open(const pang_env *env, pang_str ca_file, pang_http **ret, pang_err *err)
{
    (void)pthread_once(&once, init_library);
    if (!is_ready)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "the HTTP library cannot be set up");
    pang_http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return pang_fail_memory(err);
    http->env = env;
    if (ca_file.len > 0) {
        http->ca_file = strndup(ca_file.ptr, ca_file.len);
        if (http->ca_file == NULL) {
            free(http);
            return pang_fail_memory(err);
        }
    }
    *ret = http;
    return PANG_OK;
}

void pang_http_close(pang_http *http)
{
    if (http == NULL)
        return;
    free(http->ca_file);
    free(http);
}

/* ---- addresses ---- */

static bool is_loopback_name(const char *host)
{
    struct in_addr four;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
}

static pang_code bad_url(const char *what, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s %s", what, why);
}

/* A part of the address; empty when it has none. */
static void get_part(CURLU *url, CURLUPart part, char *to, size_t size)
{
    char *text = NULL;
    to[0] = '\0';
    if (curl_url_get(url, part, &text, 0) == CURLUE_OK && text != NULL && strlen(text) < size)
        memcpy(to, text, strlen(text) + 1);
    curl_free(text);
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static pang_code check_parts(CURLU *url, const char *what, char host[HOST_MAX], pang_err *err)
{
    char scheme[8];
    get_part(url, CURLUPART_SCHEME, scheme, sizeof scheme);
    get_part(url, CURLUPART_HOST, host, HOST_MAX);
    if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
        has_part(url, CURLUPART_FRAGMENT))
        return bad_url(what, "has user info or a fragment", err);
    if (host[0] == '\0')
        return bad_url(what, "names no host", err);
    if (strcmp(scheme, "https") == 0)
        return PANG_OK;
    if (strcmp(scheme, "http") == 0 && is_loopback_name(host))
        return PANG_OK;
    return bad_url(what, "is neither https nor http to this machine", err);
}

static pang_code parse_url(pang_str text, const char *what, char copy[PANG_HTTP_URL_MAX + 1],
                           char host[HOST_MAX], pang_err *err)
{
    if (text.len > PANG_HTTP_URL_MAX)
        return bad_url(what, "is too long", err);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || (unsigned char)text.ptr[i] >= 0x7f ||
            text.ptr[i] == '\\')
            return bad_url(what, "holds blanks or characters that are not allowed in a URL", err);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    CURLU *url = curl_url();
    if (url == NULL)
        return pang_fail_memory(err);
    pang_code code = curl_url_set(url, CURLUPART_URL, copy, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK
                         ? check_parts(url, what, host, err)
                         : bad_url(what, "is no URL", err);
    curl_url_cleanup(url);
    return code;
}

pang_code pang_http_check_url(pang_str url, const char *what, pang_err *err)
{
    char copy[PANG_HTTP_URL_MAX + 1], host[HOST_MAX];
    return parse_url(url, what, copy, host, err);
}

bool pang_http_is_loopback(pang_str url)
{
    char copy[PANG_HTTP_URL_MAX + 1], host[HOST_MAX];
    return parse_url(url, "the address", copy, host, NULL) == PANG_OK && is_loopback_name(host);
}

void pang_http_escape(pang_buf *buf, pang_str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            pang_buf_add_char(buf, (char)c);
            continue;
        }
        pang_buf_add_char(buf, '%');
        pang_buf_add_char(buf, digits[c >> 4]);
        pang_buf_add_char(buf, digits[c & 15]);
    }
}

/* ---- where a name leads to ---- */

typedef enum { IS_USUAL, IS_LOOPBACK, IS_FORBIDDEN } reach;

static reach reach_of_four(uint32_t address)
{
    if (address >> 24 == IN_LOOPBACKNET)
        return IS_LOOPBACK;
    /* 0.0.0.0/8 is this machine under another name, 169.254.0.0/16 a cloud's own services. */
    bool is_bad = address >> 24 == 0 || address >> 16 == 0xa9fe || address >> 28 >= 0xe;
    return is_bad ? IS_FORBIDDEN : IS_USUAL;
}

static uint32_t last_four(const struct in6_addr *six)
{
    return (uint32_t)six->s6_addr[12] << 24 | (uint32_t)six->s6_addr[13] << 16 |
           (uint32_t)six->s6_addr[14] << 8 | six->s6_addr[15];
}

static reach reach_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        return reach_of_four(ntohl(four.sin_addr.s_addr));
    }
    if (address->sa_family != AF_INET6)
        return IS_FORBIDDEN;
    struct sockaddr_in6 six;
    memcpy(&six, address, sizeof six);
    if (IN6_IS_ADDR_LOOPBACK(&six.sin6_addr))
        return IS_LOOPBACK;
    if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
        return reach_of_four(last_four(&six.sin6_addr));
    bool is_bad = IN6_IS_ADDR_LINKLOCAL(&six.sin6_addr) ||
                  IN6_IS_ADDR_UNSPECIFIED(&six.sin6_addr) || IN6_IS_ADDR_MULTICAST(&six.sin6_addr);
    return is_bad ? IS_FORBIDDEN : IS_USUAL;
}

/* The one place that a name cannot be changed behind: the address is looked at that is connected
 * to. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    exchange *x = arg;
    reach to = reach_of(&address->addr);
    (void)purpose;
    if (to == IS_FORBIDDEN || (to == IS_LOOPBACK && !x->to_loopback)) {
        x->was_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- one request ---- */

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
    exchange *x = arg;
    (void)size; /* always 1 */
    if (n > PANG_HTTP_REPLY_MAX - x->body.len) {
        x->is_too_large = true;
        return 0;
    }
    pang_buf_add(&x->body, (pang_str){bytes, n});
    return x->body.failed ? 0 : n;
}

static bool set_safety(CURL *curl, const pang_http *http, exchange *x)
{
    return curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, x) == CURLE_OK &&
           (http->ca_file == NULL ||
            curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file) == CURLE_OK);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *text, bool *ret_good)
{
    struct curl_slist *longer = *ret_good ? curl_slist_append(list, text) : NULL;
    *ret_good = longer != NULL;
    return longer != NULL ? longer : list;
}

static struct curl_slist *headers_of(const pang_http_request *request, pang_arena *arena,
                                     bool *ret_good)
{
    *ret_good = true;
    struct curl_slist *list = add_header(NULL, "Accept: application/json", ret_good);
    list = add_header(list, "User-Agent: pangolin", ret_good);
    if (request->authorization.len > 0) {
        pang_str line = pang_arena_printf(arena, "Authorization: %" PANG_STR_FMT,
                                          PANG_STR_ARG(request->authorization));
        list = add_header(list, line.ptr != NULL ? line.ptr : "", ret_good);
    }
    return list;
}

static bool set_request(CURL *curl, const pang_http_request *request, const char *url,
                        struct curl_slist *headers, int64_t ms, exchange *x)
{
    bool good = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ms) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                                 (long)(ms < CONNECT_MS ? ms : CONNECT_MS)) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_WRITEDATA, x) == CURLE_OK;
    if (!good || request->form.ptr == NULL)
        return good;
    return curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->form.len) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, request->form.ptr) == CURLE_OK;
}

static pang_code say_failure(CURLcode result, const exchange *x, const char *host, pang_err *err)
{
    pang_code code = PANG_UNAVAILABLE;
    const char *why = curl_easy_strerror(result);
    if (x->body.failed || result == CURLE_OUT_OF_MEMORY)
        return pang_fail_memory(err);
    if (x->is_too_large)
        why = "its reply is too large";
    else if (x->was_refused)
        why = "its address may not be connected to";
    else if (result == CURLE_OPERATION_TIMEDOUT)
        why = "timed out";
    return pang_fail(err, code, NULL, "could not reach \"%.100s\": %s", host, why);
}

static pang_code perform(CURL *curl, const char *host, exchange *x, pang_http_reply *ret,
                         pang_err *err)
{
    CURLcode result = curl_easy_perform(curl);
    if (result != CURLE_OK)
        return say_failure(result, x, host, err);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
    if (ret->status >= 300 && ret->status < 400)
        return pang_fail(err, PANG_UNAVAILABLE, NULL,
                         "could not reach \"%.100s\": it redirects elsewhere", host);
    ret->body = pang_buf_str(&x->body);
    return PANG_OK;
}

pang_code pang_http_run(pang_http *http, const pang_http_request *request, pang_arena *arena,
                        pang_http_reply *ret, pang_err *err)
{
    char url[PANG_HTTP_URL_MAX + 1], host[HOST_MAX];
    exchange x = {.body = {.arena = arena}};
    int64_t ms = request->deadline_ms - pang_env_mono_ms(http->env);
    bool good = true;
    pang_code code = parse_url(request->url, "the address", url, host, err);
    if (code != PANG_OK)
        return code;
    if (ms <= 0)
        return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL, "the deadline has passed");
    if (ms > PANG_HTTP_TIMEOUT_MS)
        ms = PANG_HTTP_TIMEOUT_MS;
    x.to_loopback = is_loopback_name(host);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = headers_of(request, arena, &good);
    if (good && curl != NULL && set_safety(curl, http, &x) &&
        set_request(curl, request, url, headers, ms, &x))
        code = perform(curl, host, &x, ret, err);
    else
        code = pang_fail_memory(err);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return code;
}
