/*
 * TLS over OpenSSL 3. Sessions give their buffers back while they are idle.
 */
#include "bridge/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct pang_tls {
    char *cert_file, *key_file;
    pthread_mutex_t lock; /* guards current */
    SSL_CTX *current;
};

static pang_code fail_openssl(pang_err *err, const char *what, const char *file)
{
    char text[160];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "could not use %s \"%s\": %s", what, file,
                     text);
}

/* HTTP/2 if the client offers it. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static pang_code load(const char *cert_file, const char *key_file, SSL_CTX **ret, pang_err *err)
{
    pang_code code = PANG_OK;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return pang_fail_memory(err);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        code = fail_openssl(err, "cipher list", "ECDHE");
    else if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        code = fail_openssl(err, "certificate", cert_file);
    else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        code = fail_openssl(err, "private key", key_file);
    else if (SSL_CTX_check_private_key(ctx) != 1)
        code = fail_openssl(err, "private key", key_file);
    if (code != PANG_OK) {
        SSL_CTX_free(ctx);
        return code;
    }
    *ret = ctx;
    return PANG_OK;
}

pang_code pang_tls_new(const char *cert_file, const char *key_file, pang_tls **ret, pang_err *err)
{
    pang_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return pang_fail_memory(err);
    (void)pthread_mutex_init(&tls->lock, NULL);
    tls->cert_file = strdup(cert_file);
    tls->key_file = strdup(key_file);
    pang_code code = tls->cert_file == NULL || tls->key_file == NULL
                         ? pang_fail_memory(err)
                         : load(cert_file, key_file, &tls->current, err);
    if (code != PANG_OK) {
        pang_tls_free(tls);
        return code;
    }
    *ret = tls;
    return PANG_OK;
}

pang_code pang_tls_reload(pang_tls *tls, pang_err *err)
{
    SSL_CTX *fresh = NULL;
    pang_code code = load(tls->cert_file, tls->key_file, &fresh, err);
    if (code != PANG_OK)
        return code;
    (void)pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->current;
    tls->current = fresh;
    (void)pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* sessions hold it for as long as they last */
    return PANG_OK;
}

void pang_tls_free(pang_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->current);
    (void)pthread_mutex_destroy(&tls->lock);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls);
}

pang_tls_session *pang_tls_accept(pang_tls *tls, int fd)
{
    (void)pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->current);
    (void)pthread_mutex_unlock(&tls->lock);
    if (ssl == NULL)
        return NULL;
    if (SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

void pang_tls_close(pang_tls_session *session)
{
    if (session == NULL)
        return;
    if (SSL_is_init_finished(session))
        (void)SSL_shutdown(session);
    ERR_clear_error();
    SSL_free(session);
}

static pang_tls_answer answer_of(pang_tls_session *session, int result, bool *ret_wants_write)
{
    int why = SSL_get_error(session, result);
    ERR_clear_error();
    *ret_wants_write = why == SSL_ERROR_WANT_WRITE;
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? PANG_TLS_AGAIN
                                                                     : PANG_TLS_FAILED;
}

int pang_tls_handshake(pang_tls_session *session, bool *ret_wants_write)
{
    int result = SSL_do_handshake(session);
    return result == 1 ? 1 : (int)answer_of(session, result, ret_wants_write);
}

long pang_tls_read(pang_tls_session *session, char *to, size_t size, bool *ret_wants_write)
{
    int result = SSL_read(session, to, size > INT32_MAX ? INT32_MAX : (int)size);
    if (result > 0)
        return result;
    if (SSL_get_error(session, result) == SSL_ERROR_ZERO_RETURN)
        return 0;
    return answer_of(session, result, ret_wants_write);
}

long pang_tls_write(pang_tls_session *session, const char *from, size_t size, bool *ret_wants_write)
{
    int result = SSL_write(session, from, size > INT32_MAX ? INT32_MAX : (int)size);
    return result > 0 ? result : (long)answer_of(session, result, ret_wants_write);
}

bool pang_tls_chose_h2(const pang_tls_session *session)
{
    const unsigned char *chosen = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(session, &chosen, &len);
    return len == 2 && memcmp(chosen, "h2", 2) == 0;
}
