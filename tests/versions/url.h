/*
 * Which store a program of this folder runs on: its first argument, or PANG_TEST_URL, or memory.
 * "%t" in it is the test's temporary folder. Called by main functions. Threads: the first one.
 */
#ifndef PANG_TESTS_VERSIONS_URL_H
#define PANG_TESTS_VERSIONS_URL_H

/* Lives as long as the program. */
const char *test_url(int argc, char **argv);

#endif
