/*
 * TLS: which versions, which protocol on top, a certificate that is renewed while the bridge runs,
 * clients that are slow to shake hands. OpenSSL is the client.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tests/bridge/bridge_fixture.h"

static fixture f;
static char crt[160], key[160];

/* A self-signed pair with this serial number, in the two files. */
static void write_pair(long serial, const char *cert_file, const char *key_file)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert_non_null(pair);
    assert_non_null(cert);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, pair);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    assert_true(X509_sign(cert, pair, EVP_sha256()) > 0);
    FILE *to = fopen(cert_file, "we");
    assert_non_null(to);
    assert_int_equal(PEM_write_X509(to, cert), 1);
    (void)fclose(to);
    to = fopen(key_file, "we");
    assert_non_null(to);
    assert_int_equal(PEM_write_PrivateKey(to, pair, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(to);
    X509_free(cert);
    EVP_PKEY_free(pair);
}

static int setup(void **state)
{
    static char folder[] = "/tmp/pang-tls-XXXXXX", settings[2][192];
    static const char *list[] = {settings[0], settings[1], "PANGOLIN_HEADER_TIMEOUT_SECS=1", NULL};
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(crt, sizeof crt, "%s/crt", folder);
    (void)snprintf(key, sizeof key, "%s/key", folder);
    write_pair(1, crt, key);
    (void)snprintf(settings[0], sizeof settings[0], "PANGOLIN_TLS_CERT=%s", crt);
    (void)snprintf(settings[1], sizeof settings[1], "PANGOLIN_TLS_KEY=%s", key);
    fixture_start(&f, list);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&f);
    *strrchr(crt, '/') = '\0';
    (void)unlink(key);
    char path[176];
    (void)snprintf(path, sizeof path, "%s/crt", crt);
    (void)unlink(path);
    (void)rmdir(crt);
    return 0;
}

typedef struct {
    int fd;
    SSL *ssl;
} client;

/* False when the handshake fails. */
static bool shake(client *c, int version, const char *alpn)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    c->fd = wire_connect(&f);
    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    assert_non_null(c->ssl);
    if (alpn != NULL)
        assert_int_equal(
            SSL_set_alpn_protos(c->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn)), 0);
    assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
    return SSL_connect(c->ssl) == 1;
}

static void hang_up(client *c)
{
    SSL_free(c->ssl);
    close(c->fd);
}

static size_t ask(client *c, const char *request, char *to, size_t size)
{
    size_t len = 0;
    assert_int_equal(SSL_write(c->ssl, request, (int)strlen(request)), strlen(request));
    for (;;) {
        int n = SSL_read(c->ssl, to + len, (int)(size - 1 - len));
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    to[len] = '\0';
    return len;
}

static const char request[] =
    "GET /v1/config?warehouse=size-200000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

static void test_tls__versions(void **state)
{
    static const struct {
        int version;
        bool spoken;
    } cases[] = {{TLS1_VERSION, false},
                 {TLS1_1_VERSION, false},
                 {TLS1_2_VERSION, true},
                 {TLS1_3_VERSION, true}};
    static char reply[300000];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client c;
        assert_int_equal(shake(&c, cases[i].version, NULL), cases[i].spoken);
        if (cases[i].spoken) {
            assert_true(ask(&c, request, reply, sizeof reply) > 200000);
            assert_memory_equal(reply, "HTTP/1.1 200", 12);
        }
        hang_up(&c);
    }
}

static void test_tls__the_protocol_is_negotiated(void **state)
{
    static const struct {
        const char *offered, *chosen;
    } cases[] = {
        {"\x02h2\x08http/1.1", "h2"},
        {"\x08http/1.1\x02h2", "h2"},
        {"\x08http/1.1", "http/1.1"},
        {"\x08http/1.0", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client c;
        const unsigned char *chosen = NULL;
        unsigned len = 0;
        bool shaken = shake(&c, TLS1_3_VERSION, cases[i].offered);
        assert_int_equal(shaken, cases[i].chosen != NULL);
        if (shaken) {
            SSL_get0_alpn_selected(c.ssl, &chosen, &len);
            assert_int_equal(len, strlen(cases[i].chosen));
            assert_memory_equal(chosen, cases[i].chosen, len);
        }
        hang_up(&c);
    }
}

static long served_serial(void)
{
    client c;
    assert_true(shake(&c, TLS1_3_VERSION, NULL));
    X509 *cert = SSL_get1_peer_certificate(c.ssl);
    assert_non_null(cert);
    long serial = ASN1_INTEGER_get(X509_get_serialNumber(cert));
    X509_free(cert);
    hang_up(&c);
    return serial;
}

static void wait_for_serial(long wanted)
{
    for (int64_t until = wire_now() + PATIENCE_MS; served_serial() != wanted;) {
        assert_true(wire_now() < until);
        usleep(20000);
    }
}

static void test_tls__the_certificate_is_read_again(void **state)
{
    static char reply[300000];
    client old;
    (void)state;
    assert_int_equal(served_serial(), 1);
    assert_true(shake(&old, TLS1_3_VERSION, NULL));
    write_pair(2, crt, key);
    assert_int_equal(kill(f.bridge, SIGHUP), 0);
    wait_for_serial(2);
    /* Connections that were there go on. */
    assert_true(ask(&old, request, reply, sizeof reply) > 200000);
    hang_up(&old);
    /* A pair that cannot be used changes nothing. */
    FILE *broken = fopen(key, "we");
    assert_non_null(broken);
    (void)fputs("no key\n", broken);
    (void)fclose(broken);
    assert_int_equal(kill(f.bridge, SIGHUP), 0);
    usleep(200000);
    assert_int_equal(served_serial(), 2);
    write_pair(3, crt, key);
    assert_int_equal(kill(f.bridge, SIGHUP), 0);
    wait_for_serial(3);
}

static void test_tls__handshakes_have_a_limit_of_time(void **state)
{
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    static const char plain[] = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {{"", 0}, {hello, sizeof hello - 1}, {plain, sizeof plain - 1}};
    char reply[256];
    bool closed;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = wire_connect(&f);
        wire_send(fd, cases[i].bytes, cases[i].len);
        (void)wire_read_all(fd, reply, sizeof reply, 4000, &closed);
        assert_true(closed);
        close(fd);
    }
    assert_true(served_serial() > 0);
}

/* A client that goes in the middle of a handshake, many times. */
static void test_tls__nothing_leaks(void **state)
{
    static char reply[300000];
    (void)state;
    assert_true(served_serial() > 0);
    usleep(200000);
    size_t before = fixture_descriptors(&f);
    for (size_t i = 0; i < 100; i++) {
        int fd = wire_connect(&f);
        wire_send(fd, "\x16\x03\x01\x02", 4);
        close(fd);
    }
    for (size_t i = 0; i < 20; i++) {
        client c;
        assert_true(shake(&c, i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION, NULL));
        if (i % 4 < 2)
            (void)ask(&c, request, reply, sizeof reply);
        hang_up(&c);
    }
    for (int64_t until = wire_now() + PATIENCE_MS;
         fixture_descriptors(&f) > before + 4 && wire_now() < until;)
        usleep(20000);
    assert_true(fixture_descriptors(&f) <= before + 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls__versions),
        cmocka_unit_test(test_tls__the_protocol_is_negotiated),
        cmocka_unit_test(test_tls__the_certificate_is_read_again),
        cmocka_unit_test(test_tls__handshakes_have_a_limit_of_time),
        cmocka_unit_test(test_tls__nothing_leaks),
    };
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, setup, teardown);
}
