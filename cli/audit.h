/*
 * `pangolin audit`: what the host can say about the audit log. Called by pangolin.c.
 */
#ifndef PANG_CLI_AUDIT_H
#define PANG_CLI_AUDIT_H

/* A command's main. Returns the exit status: 0 good, 1 a log is not what was written, 2 nothing
 * could be said. */
int pang_audit(int argc, char **argv);

#endif
