/*
 * What a merge was told to do with single keys. A key is a name as people write it: levels and name
 * joined by dots, which two names may have in common, or by the unit separator (0x1F), which says
 * one name only: of a table or another asset where the merge has one of that name, else of a
 * namespace; with a separator at its end, of a namespace alone.
 * Called by the planner. Threads and lifetime: as the view's.
 */
#ifndef PANG_SERVER_MERGE_MODES_H
#define PANG_SERVER_MERGE_MODES_H

#include "server/merge_plan.h"

/* Sets the mode of each item, and what the plan knows of each key. A key names an asset by any name
 * that it has on a side; of several that do the first counts. ERRORS: INVALID_ARGUMENT (a key can
 * be two names of what there is something to decide of; both are in the message; with choices it is
 * FAILED_PRECONDITION), RESOURCE_EXHAUSTED. REQUIRES: it is known which items are open. */
PANG_MUST_CHECK pang_code pang_merge_modes_set(const pang_merge_task *task, pang_merge_plan *plan,
                                               pang_err *err);

#endif
