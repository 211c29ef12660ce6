/*
 * Arguments of the commands themselves; all others are options of the server (api/config.h).
 * Called by the commands, while they look through their arguments. Threads: any.
 */
#ifndef PANG_CLI_ARGS_H
#define PANG_CLI_ARGS_H

/* The value of `name` (with its dashes), behind it or behind an equals sign; *at is then the last
 * argument that was taken. NULL: argv[*at] is not this one. */
const char *cli_value_of(const char *name, int argc, char **argv, int *at);

#endif
