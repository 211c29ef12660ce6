/*
 * Names that people write with dots: "sales.orders". Levels and names may have dots of their own,
 * so such a text can be read in several ways; what exists says which one was meant. Joined by the
 * unit separator (0x1F, in a path %1F) it can be read in one way only. Called by svc_branch.c,
 * svc_commit.c, svc_watch.c, svc_diff.c and svc_merge_modes.c. Threads: as the transaction's.
 * Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_DOTTED_H
#define PANG_SERVER_DOTTED_H

#include "server/branches.h"

enum {
    PANG_DOTS_MAX = 5,      /* of a text with more of them every dot parts two levels */
    PANG_READINGS_MAX = 34, /* of one text */
};

/* All readings of the text: of an asset, or of all that is directly in a namespace ("a.b.*"). The
 * first is that in which every dot parts; one has dots escaped as in keys ("%2E") undone. `ret` has
 * room for PANG_READINGS_MAX. *ret_n 0: it is neither. ERRORS: without memory. */
PANG_MUST_CHECK pang_code pang_dotted_read(const char *text, pang_arena *arena, pang_selected *ret,
                                           size_t *ret_n, pang_err *err);
/* Which one is meant: that which exists in one of the views, else that which was there, else the
 * first. Only what `known` says yes to counts (NULL: everything). Reads once from each view, and
 * nothing of a text that has one reading. ERRORS: INVALID_ARGUMENT (two exist; both are named), the
 * store's. */
PANG_MUST_CHECK pang_code pang_dotted_choose(pang_view *const *views, size_t n_views,
                                             const char *text, const pang_selected *list, size_t n,
                                             pang_selectable_fn *known, void *arg, size_t *ret,
                                             pang_err *err);
/* Both, for a text that names an asset. ERRORS: as above, and INVALID_ARGUMENT (it names none). */
PANG_MUST_CHECK pang_code pang_dotted_name(pang_view *const *views, size_t n_views,
                                           const char *text, pang_name *ret, pang_err *err);

#endif
