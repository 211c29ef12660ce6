/*
 * `pangolin gc`: removes files that no branch, tag, retained commit or open merge reaches.
 * Called by pangolin.c. Threads: one. Lifetime: the process.
 */
#ifndef PANG_CLI_GC_H
#define PANG_CLI_GC_H

/* Returns the exit status: 0 done, 1 something was skipped, 2 nothing could be done. */
int pang_gc(int argc, char **argv);

#endif
