/*
 * A check for helper code and threads, where cmocka's assertions cannot jump out of: ends the
 * program.
 */
#ifndef PANG_TESTS_SERVER_MUST_H
#define PANG_TESTS_SERVER_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
