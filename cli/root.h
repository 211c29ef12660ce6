/*
 * `pangolin root`: what the host can do for who has lost root's password. Called by pangolin.c.
 */
#ifndef PANG_CLI_ROOT_H
#define PANG_CLI_ROOT_H

/* A command's main. Returns the exit status: 0 done, 2 nothing was. */
int pang_root(int argc, char **argv);

#endif
