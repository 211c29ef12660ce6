/*
 * The list of a conformance program: memory, the fault injector and the backend under test.
 */
#include "storage/backends.h"

const pang_store_ops *const pang_stores[] = {
    &pang_memory_ops,
    &pang_faulty_ops,
#ifdef PANG_TEST_OPS
    &PANG_TEST_OPS,
#endif
    NULL,
};
