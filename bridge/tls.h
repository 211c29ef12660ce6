/*
 * TLS: the certificate, and one connection's state, over OpenSSL.
 * Called by conn.c and main.c. Threads: pang_tls may be used by all (a reload swaps the certificate
 * for connections that come later); a session belongs to its connection's thread.
 */
#ifndef PANG_BRIDGE_TLS_H
#define PANG_BRIDGE_TLS_H

#include "api/err.h"

typedef struct pang_tls pang_tls;
typedef struct ssl_st pang_tls_session;

/* TLS 1.3 and 1.2, ALPN h2 and http/1.1. ERRORS: INVALID_ARGUMENT naming the file and why. */
PANG_MUST_CHECK pang_code pang_tls_new(const char *cert_file, const char *key_file, pang_tls **ret,
                                       pang_err *err);
/* Reads the files again; the old ones stay in use if that fails. ERRORS: as above. */
PANG_MUST_CHECK pang_code pang_tls_reload(pang_tls *tls, pang_err *err);
void pang_tls_free(pang_tls *tls); /* NULL is fine */

/* A server's side over a non-blocking socket; NULL without memory. */
pang_tls_session *pang_tls_accept(pang_tls *tls, int fd);
void pang_tls_close(pang_tls_session *session); /* says goodbye if it can; NULL is fine */

/* What the session waits for when it answers PANG_TLS_AGAIN. */
typedef enum { PANG_TLS_AGAIN = -1, PANG_TLS_FAILED = -2 } pang_tls_answer;
/* 1: done; else a pang_tls_answer. *ret_wants_write: it waits to write. */
int pang_tls_handshake(pang_tls_session *session, bool *ret_wants_write);
/* Bytes, 0 at the end, or a pang_tls_answer. */
long pang_tls_read(pang_tls_session *session, char *to, size_t size, bool *ret_wants_write);
long pang_tls_write(pang_tls_session *session, const char *from, size_t size,
                    bool *ret_wants_write);
/* True when the client chose HTTP/2. */
bool pang_tls_chose_h2(const pang_tls_session *session);

#endif
