/*
 * Merges in the program.
 */
#include <string.h>

#include "tests/server/merge_words.h"
#include "tests/versions/real.h"

static void add_key(merge_call *call, char *key)
{
    for (size_t i = 0; i < call->n_conflicts; i++)
        if (strcmp(call->conflicts[i], key) == 0)
            return;
    call->conflicts[call->n_conflicts++] = key;
}

void real_merge(world *w, merge_call *call)
{
    mfx_merge m = {
        .source = fx_text(w->fx, "%s@%s", w->catalog, call->source),
        .target = fx_text(w->fx, "%s@%s", w->catalog, call->target),
        .choices = call->choices,
        .at = call->at,
        .dry = call->dry,
        .documents = true,
    };
    (void)mfx_run(w->fx, &m);
    call->code = m.code;
    call->n_conflicts = 0;
    call->told = m.conflicts;
    pang_str rest = pang_str_from(m.conflicts), one;
    while (pang_str_next(&rest, ' ', &one))
        if (one.len > 0)
            add_key(call, pang_arena_cstr(w->fx->arena,
                                          pang_str_after(one, pang_str_find(one, ':') + 1)));
}
