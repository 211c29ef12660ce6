/*
 * api/config.h: who wins, what is refused and how it is said, and that the documentation names
 * every option.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/config.h"

enum { ARGS_MAX = 8 };

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Loads with up to ARGS_MAX words each, lists ended by NULL. */
static pang_code load(unsigned program, const char *const *args, const char *const *environment,
                      pang_config **ret, pang_err *err)
{
    const char *argv[ARGS_MAX + 2] = {"program"};
    int argc = 1;
    for (; args != NULL && *args != NULL; args++)
        argv[argc++] = *args;
    pang_config_sources sources = {program, argc, (char *const *)argv, (char *const *)environment};
    return pang_config_load(&sources, ret, err);
}

static void write_file(char path[], const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void test_config__defaults(void **state)
{
    (void)state;
    pang_config *config;
    pang_err err;
    const pang_str *list;
    assert_int_equal(load(PANG_PROGRAM_BRIDGE, NULL, NULL, &config, &err), PANG_OK);
    assert_int_equal(pang_config_int(config, PANG_OPT_PORT), 8080);
    assert_int_equal(pang_config_int(config, PANG_OPT_MAX_BODY), 16 << 20);
    assert_int_equal(pang_config_int(config, PANG_OPT_SHUTDOWN_GRACE), 25000);
    assert_false(pang_config_bool(config, PANG_OPT_NO_AUTH));
    assert_int_equal(pang_config_list(config, PANG_OPT_CORS_ORIGINS, &list), 0);
    assert_false(pang_config_is_set(config, PANG_OPT_PORT));
    pang_config_free(config);
    pang_config_free(NULL);
}

/* Relative ones are below the working folder, there or not; links are followed. */
static void test_config__the_data_folder_is_whole(void **state)
{
    (void)state;
    static const struct {
        const char *given, *whole; /* %s: the working folder */
    } cases[] = {{NULL, "%s/var"},        {"none", "%s/none"}, {"./a/b", "%s/a/b"},
                 {"there", "%s/there"},   {".", "%s"},         {"link", "%s/there"},
                 {"/no/such", "/no/such"}};
    char folder[] = "/tmp/pang-config-XXXXXX", before[PATH_MAX], whole[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("there", 0700), 0);
    assert_int_equal(symlink("there", "link"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_config *config;
        pang_err err;
        const char *args[] = {"--data-dir", cases[i].given, NULL};
        assert_int_equal(
            load(PANG_PROGRAM_SERVER, cases[i].given == NULL ? NULL : args, NULL, &config, &err),
            PANG_OK);
        const char *rest = cases[i].whole[0] == '%' ? cases[i].whole + 2 : cases[i].whole;
        (void)snprintf(whole, sizeof whole, "%s%s", rest == cases[i].whole ? "" : folder, rest);
        assert_string_equal(pang_config_text(config, PANG_OPT_DATA_DIR).ptr, whole);
        assert_int_equal(pang_config_is_set(config, PANG_OPT_DATA_DIR), cases[i].given != NULL);
        pang_config_free(config);
    }
    assert_int_equal(unlink("link") + rmdir("there") + chdir(before) + rmdir(folder), 0);
}

static void test_config__flags_over_environment_over_file_over_default(void **state)
{
    (void)state;
    char path[] = "/tmp/pang-config-XXXXXX", line[64];
    write_file(path, "# ports\n\nport = 1\r\nmax-streams = 11\nlog-level=\" debug\"\n"
                     "idle-timeout = 2m\n");
    (void)snprintf(line, sizeof line, "PANGOLIN_CONFIG=%s", path);
    pang_config *config;
    pang_err err;
    assert_int_equal(load(PANG_PROGRAM_BRIDGE, NULL, WORDS(line), &config, &err),
                     PANG_INVALID_ARGUMENT); /* the quoted blank is kept, and refused */
    assert_non_null(strstr(err.message, "log-level"));
    unlink(path);
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    write_file(path, "port = 1\nmax-streams = 11\nidle-timeout = 2m\ncache-bytes = 1MiB\n");
    (void)snprintf(line, sizeof line, "PANGOLIN_CONFIG=%s", path);
    assert_int_equal(load(PANG_PROGRAM_BRIDGE, WORDS("--port", "3", "--no-auth"),
                          WORDS(line, "PORT=2", "PANGOLIN_MAX_STREAMS=12", "OTHER=x",
                                "PANGOLIN_MAX_HEADER_BYTES="),
                          &config, &err),
                     PANG_OK);
    assert_int_equal(pang_config_int(config, PANG_OPT_PORT), 3);
    assert_int_equal(pang_config_int(config, PANG_OPT_MAX_STREAMS), 12);
    assert_int_equal(pang_config_int(config, PANG_OPT_IDLE_TIMEOUT), 120000);
    assert_int_equal(pang_config_int(config, PANG_OPT_MAX_HEADER), 16384);
    assert_true(pang_config_bool(config, PANG_OPT_NO_AUTH));
    assert_true(pang_config_is_set(config, PANG_OPT_PORT));
    assert_false(pang_config_is_set(config, PANG_OPT_MAX_HEADER));
    pang_config_free(config);
    unlink(path);
}

static void test_config__lists_and_spellings(void **state)
{
    (void)state;
    pang_config *config;
    pang_err err;
    const pang_str *list;
    assert_int_equal(load(PANG_PROGRAM_BRIDGE,
                          WORDS("--cors-allowed-origins= https://a.example ,,https://b.example",
                                "--max-body=1MiB", "--idle-timeout=1500MS", "--gzip=off"),
                          NULL, &config, &err),
                     PANG_OK);
    assert_int_equal(pang_config_list(config, PANG_OPT_CORS_ORIGINS, &list), 2);
    assert_true(pang_str_equal(list[0], PANG_STR("https://a.example")));
    assert_true(pang_str_equal(list[1], PANG_STR("https://b.example")));
    assert_int_equal(pang_config_int(config, PANG_OPT_MAX_BODY), 1 << 20);
    assert_int_equal(pang_config_int(config, PANG_OPT_IDLE_TIMEOUT), 1500);
    assert_false(pang_config_bool(config, PANG_OPT_GZIP));
    pang_config_free(config);
}

static void test_config__refusals_name_source_and_fault(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *value, *environment;
        const char *part; /* of the message */
    } cases[] = {
        {"--prot", "1", NULL, "unknown flag \"--prot\"; did you mean \"--port\"?"},
        {"--bogus", "1", NULL, "unknown flag \"--bogus\"\n"},
        {"--prt", "1", NULL, "did you mean \"--port\"?"},
        {"--zzzzzzzzzzzzzzzz", "1", NULL, "unknown flag \"--zzzzzzzzzzzzzzzz\""},
        {"--database-url", "memory:", NULL, "flag \"--database-url\" is the server's"},
        {"--port", NULL, NULL, "--port needs a value"},
        {"--port", "65536", NULL, "--port must be a number from 0 to 65535"},
        {"--port", "8080x", NULL, "--port must be a number"},
        {"--port", "-1", NULL, "--port must be a number"},
        {"--port", "99999999999999999999", NULL, "--port must be a number"},
        {"--gzip=maybe", NULL, NULL, "--gzip must be true or false"},
        {"--max-body", "64 PiB", NULL, "--max-body must be a size"},
        {"--max-body", "9223372036854775807KiB", NULL, "--max-body must be a size"},
        {"--idle-timeout", "1d", NULL, "--idle-timeout must be a time"},
        {"--idle-timeout", "0", NULL, "--idle-timeout must be a time"},
        {"--log-format", "xml", NULL, "--log-format must be one of json|pretty"},
        {"--log-format", "json|pretty", NULL, "--log-format must be one of"},
        {"serve", NULL, NULL, "unexpected argument \"serve\""},
        {"-p", NULL, NULL, "unexpected argument \"-p\""},
        {NULL, NULL, "PORT=http", "PORT must be a number"},
        {NULL, NULL, "PANGOLIN_DATADIR=x", "did you mean \"PANGOLIN_DATA_DIR\"?"},
        {NULL, NULL, "PANGOLIN_FOO=x", "unknown environment variable \"PANGOLIN_FOO\"\n"},
        {NULL, NULL, "PANGOLIN_=x", "unknown environment variable \"PANGOLIN_\""},
        {NULL, NULL, "PANGOLIN_CONFIG=/no/such/file", "could not open \"/no/such/file\""},
        {NULL, NULL, "PANGOLIN_CONFIG=/", "could not read \"/\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_config *config;
        pang_err err = {0};
        const char *args[] = {cases[i].flag, cases[i].value, NULL};
        const char *environment[] = {cases[i].environment, NULL};
        assert_true(load(PANG_PROGRAM_BRIDGE, args, environment, &config, &err) != PANG_OK);
        char line[sizeof err.message + 1]; /* its end is a line's */
        (void)snprintf(line, sizeof line, "%s\n", err.message);
        if (strstr(line, cases[i].part) == NULL)
            fail_msg("case %zu: \"%s\" does not hold \"%s\"", i, err.message, cases[i].part);
    }
}

static void test_config__faults_of_the_file_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part, *detail;
    } cases[] = {
        {"port = 1\nnonsense\n", "line 2 is not \"name = value\"", ""},
        {"\n\nprot = 1\n", "unknown key \"prot\"; did you mean \"port\"?", "line 3"},
        {"port = x\n", "line 1) must be a number", ""},
        {"PORT = 1\n", "unknown key \"PORT\"", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[] = "/tmp/pang-config-XXXXXX";
        pang_config *config;
        pang_err err = {0};
        write_file(path, cases[i].text);
        assert_int_equal(load(PANG_PROGRAM_SERVER, WORDS("--config", path), NULL, &config, &err),
                         PANG_INVALID_ARGUMENT);
        unlink(path);
        if (strstr(err.message, cases[i].part) == NULL ||
            strstr(err.detail, cases[i].detail) == NULL)
            fail_msg("case %zu: \"%s\" (%s)", i, err.message, err.detail);
    }
}

static void test_config__providers_are_named_by_the_operator(void **state)
{
    (void)state;
    pang_config *config;
    const pang_config_provider *providers;
    pang_err err;
    char path[] = "/tmp/pang-config-XXXXXX";
    write_file(path, "okta-domain = file.okta.example\noidc-key-cloak-issuer = https://file\n");
    assert_int_equal(load(PANG_PROGRAM_SERVER,
                          WORDS("--config", path, "--oidc-key-cloak-client-id", "flag"),
                          WORDS("PANGOLIN_OIDC_KEY_CLOAK_ISSUER=https://env",
                                "PANGOLIN_OIDC_REQUIRE=true", "OAUTH_GITHUB_TOKEN_URL=http://t",
                                "OAUTH_OF_SOMEBODY_ELSE=1", "PANGOLIN_GITHUB_CLIENT_ID="),
                          &config, &err),
                     PANG_OK);
    assert_true(pang_config_bool(config, PANG_OPT_OIDC_REQUIRE));
    assert_int_equal(pang_config_providers(config, &providers), 3);
    assert_string_equal(providers[0].name, "key-cloak");
    assert_string_equal(providers[0].fields[PANG_PROVIDER_ISSUER].ptr, "https://env");
    assert_string_equal(providers[0].fields[PANG_PROVIDER_CLIENT_ID].ptr, "flag");
    assert_string_equal(providers[1].name, "github");
    assert_string_equal(providers[1].fields[PANG_PROVIDER_TOKEN_URL].ptr, "http://t");
    assert_null(providers[1].fields[PANG_PROVIDER_CLIENT_ID].ptr);
    assert_string_equal(providers[2].name, "okta");
    assert_string_equal(providers[2].fields[PANG_PROVIDER_DOMAIN].ptr, "file.okta.example");
    pang_config_free(config);
    unlink(path);
}

static void test_config__providers_fields_that_there_are_not(void **state)
{
    static const char *const bad[] = {
        "PANGOLIN_OIDC_ACME_ISUER=x",    "PANGOLIN_OIDC__ISSUER=x",   "PANGOLIN_ACME_ISSUER=x",
        "PANGOLIN_OIDC_GOOGLE_ISSUER=x", "PANGOLIN_OIDC_ac_ISSUER=x",
    };
    (void)state;
    pang_config *config;
    pang_err err;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(load(PANG_PROGRAM_SERVER, NULL, WORDS(bad[i]), &config, &err),
                         PANG_INVALID_ARGUMENT);
    assert_int_equal(load(PANG_PROGRAM_BRIDGE, WORDS("--okta-domain", "x"), NULL, &config, &err),
                     PANG_INVALID_ARGUMENT);
}

static void test_config__a_secret_is_not_in_a_message(void **state)
{
    (void)state;
    char *big = malloc(PANG_CONFIG_VALUE_MAX + 32);
    assert_non_null(big);
    memset(big, 'k', PANG_CONFIG_VALUE_MAX + 31);
    memcpy(big, "DATABASE_URL=", 13);
    big[PANG_CONFIG_VALUE_MAX + 31] = '\0';
    pang_config *config;
    pang_err err;
    assert_int_equal(load(PANG_PROGRAM_SERVER, NULL, WORDS(big), &config, &err),
                     PANG_INVALID_ARGUMENT);
    assert_null(strstr(err.message, "kkk"));
    free(big);
}

static void test_config__rows_are_whole_and_names_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < PANG_OPT_COUNT; i++) {
        const pang_option *a = &pang_options[i];
        assert_non_null(a->name);
        assert_non_null(a->env);
        assert_non_null(a->fallback);
        assert_true(a->programs != 0 && strlen(a->help) > 10);
        assert_int_equal(a->choices != NULL, a->type == PANG_OPTION_CHOICE);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(a->name, pang_options[j].name);
            assert_string_not_equal(a->env, pang_options[j].env);
        }
    }
}

/* The page has one row `| --name | ENV | default |` for each option. */
static void test_config__each_option_is_documented(void **state)
{
    (void)state;
    static char text[256 * 1024];
    FILE *page = fopen("docs/configuration.md", "re");
    assert_non_null(page);
    size_t len = fread(text, 1, sizeof text - 1, page);
    (void)fclose(page);
    text[len] = '\0';
    for (size_t i = 0; i < PANG_OPT_COUNT; i++) {
        char row[256];
        const pang_option *option = &pang_options[i];
        if (option->programs == PANG_PROGRAM_CLI)
            continue; /* known, not ours */
        (void)snprintf(row, sizeof row, "| `%s` | `%s` | %s%s%s |", option->name, option->env,
                       option->fallback[0] ? "`" : "", option->fallback,
                       option->fallback[0] ? "`" : "");
        if (strstr(text, row) == NULL)
            fail_msg("docs/configuration.md has no row that begins with: %s", row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__defaults),
        cmocka_unit_test(test_config__the_data_folder_is_whole),
        cmocka_unit_test(test_config__flags_over_environment_over_file_over_default),
        cmocka_unit_test(test_config__lists_and_spellings),
        cmocka_unit_test(test_config__refusals_name_source_and_fault),
        cmocka_unit_test(test_config__faults_of_the_file_name_the_line),
        cmocka_unit_test(test_config__providers_are_named_by_the_operator),
        cmocka_unit_test(test_config__providers_fields_that_there_are_not),
        cmocka_unit_test(test_config__a_secret_is_not_in_a_message),
        cmocka_unit_test(test_config__rows_are_whole_and_names_unique),
        cmocka_unit_test(test_config__each_option_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
