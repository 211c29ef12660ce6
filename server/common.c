/*
 * Common points. What a branch id was made from never changes, so two chains that hold one branch
 * hold the same points below it, and the first branch of one chain that is in the other is the
 * first of the other, too: if it were not, each would have been made from the other. On that
 * branch the lower of the two numbers is in both.
 * All commits beyond a common point have greater numbers than it, on whichever branch of the chain
 * they are: a branch is made from what is there already. So a log is walked down to a number.
 */
#include "server/common.h"

pang_code pang_chain_of(pang_view *view, pang_chain *ret, pang_err *err)
{
    pang_rec_branch *body = NULL;
    *ret = (pang_chain){.n = 1};
    ret->points[0] = (pang_point){view->levels[0].branch, view->levels[0].at};
    pang_code code = pang_branch_find(view, view->levels[0].branch, &body, err);
    if (code != PANG_OK)
        return code;
    bool forked = body->n_forks > 0;
    size_t n = forked ? body->n_forks : body->n_bases;
    pang_rec_point **from = forked ? body->forks : body->bases;
    if (n >= PANG_LEVELS_MAX)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "a branch was made from %zu points", n);
    for (size_t i = 0; i < n; i++)
        ret->points[ret->n++] = (pang_point){pang_id_of(from[i]->branch), from[i]->sequence};
    ret->partial = body->n_bases < n;
    ret->n_whole = 1 + body->n_bases;
    return PANG_OK;
}

pang_common pang_common_point(const pang_chain *a, const pang_chain *b)
{
    for (size_t i = 0; i < a->n; i++) {
        for (size_t j = 0; j < b->n; j++) {
            pang_point at = a->points[i], other = b->points[j];
            if (!pang_id_equal(at.branch, other.branch))
                continue;
            if (other.sequence < at.sequence)
                at.sequence = other.sequence;
            return (pang_common){.met = true, .at = at, .in_a = i, .in_b = j};
        }
    }
    return (pang_common){.met = false};
}

typedef struct {
    uint64_t until; /* numbers up to this are common */
    pang_commit_fn *fn;
    void *arg;
} side;

static bool show_beyond(void *arg, const pang_commit_row *row)
{
    side *s = arg;
    return row->sequence > s->until && s->fn(s->arg, row);
}

pang_code pang_common_walk(pang_view *view, const pang_common *common, uint64_t before,
                           pang_commit_fn *fn, void *arg, pang_err *err)
{
    pang_floor floor;
    side s = {.until = common->met ? common->at.sequence : 0, .fn = fn, .arg = arg};
    pang_code code = pang_commit_walk(view, before, show_beyond, &s, err);
    /* Asked last: what was missing by then is below it. */
    if (code == PANG_OK)
        code = pang_floor_of(view, &floor, err);
    if (code == PANG_OK && s.until < floor.log)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, "BadRequestException",
                         "the two have nothing in common since commit %llu, and commits of before "
                         "are not kept any more",
                         (unsigned long long)floor.log);
    return code;
}
