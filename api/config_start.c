/*
 * What the mains of all programs do first: answer --help and --version, read the configuration, say
 * in one line why it is none, set up the log.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/config.h"
#include "api/log.h"

static void print_help(unsigned program, const char *name, const char *about)
{
    printf(
        "usage: %s [--NAME VALUE | --NAME=VALUE]...\n\n%s\n\n"
        "Each option is a flag, an environment variable, and a line `name = value` of the file\n"
        "that --config names. Flags win over the environment, the environment over the file.\n\n",
        name, about);
    for (size_t i = 0; i < PANG_OPT_COUNT; i++) {
        const pang_option *option = &pang_options[i];
        if ((option->programs & program) == 0)
            continue;
        printf("  --%s (%s)\n      %s", option->name, option->env, option->help);
        if (option->type == PANG_OPTION_CHOICE)
            printf(": %s", option->choices);
        printf(" [%s]\n", option->fallback[0] == '\0' ? "not set" : option->fallback);
    }
    printf("\n  --help     print this\n  --version  print the version\n");
}

int pang_config_start(unsigned program, const char *name, const char *about, int argc, char **argv,
                      pang_config **ret)
{
    pang_err err;
    pang_log_level level = PANG_LOG_INFO;
    pang_config_sources sources = {program, argc, argv, environ};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--version") == 0) {
            printf("%s %s\n", name, PANG_VERSION);
            return 0;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(program, name, about);
            return 0;
        }
    }
    if (pang_config_load(&sources, ret, &err) != PANG_OK) {
        bool detail = err.detail[0] != '\0';
        fprintf(stderr, "%s: cannot start: %s%s%s%s\n", name, err.message, detail ? " (" : "",
                err.detail, detail ? ")" : "");
        return PANG_EXIT_CANNOT_START;
    }
    (void)pang_log_level_parse(pang_config_text(*ret, PANG_OPT_LOG_LEVEL), &level);
    pang_log_setup(strrchr(name, '-') != NULL ? strrchr(name, '-') + 1 : name, level,
                   pang_str_equal(pang_config_text(*ret, PANG_OPT_LOG_FORMAT), PANG_STR("json")));
    return -1;
}
