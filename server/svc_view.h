/*
 * The view service's inside. svc_view.c reads, svc_view_reply.c fills replies, svc_view_write.c
 * makes and changes views. A view is a pang_table of the kind VIEW (server/svc_table.h): it has a
 * document, a file and places by the same rules. Called by those alone. Threads and lifetime: as
 * the call's.
 */
#ifndef PANG_SERVER_SVC_VIEW_H
#define PANG_SERVER_SVC_VIEW_H

#include "server/svc_table.h"

#include "pangolin/v1/view.pb-c.h"

#define PANG_VIEW PANGOLIN__STORE__V1__KIND__KIND_VIEW

/* Opens the branch and finds the view; what the name stands for must be one. The audit row names it
 * from then on. ERRORS: NOT_FOUND NoSuchViewException (also for a ref that is not there). */
PANG_MUST_CHECK pang_code pang_find_view(pang_call *call, const char *prefix, char *const *levels,
                                         size_t n_levels, const char *name, pang_view *view,
                                         pang_table *ret, pang_err *err);

/* Fill a reply: where the metadata is, `text` of it, and the tag. Nothing is copied: the reply
 * borrows text and body. ERRORS: RESOURCE_EXHAUSTED. */
#define PANG_VIEW_REPLY(Name)                                                                      \
    PANG_MUST_CHECK pang_code pang_view_reply_##Name(                                              \
        pang_call *call, const pang_rec_content *body, pang_str text,                              \
        struct Pangolin__V1__##Name##ViewResponse *out, pang_err *err)
PANG_VIEW_REPLY(Replace);
PANG_VIEW_REPLY(Register);
/* Create and load also say in short what the view is, under the name that the request used: what
 * Pangolin's own clients read. Costs a parse of the document. */
#define PANG_VIEW_REPLY_SHORT(Name)                                                                \
    PANG_MUST_CHECK pang_code pang_view_reply_##Name(                                              \
        pang_call *call, pang_str name, const pang_rec_content *body, pang_str text,               \
        struct Pangolin__V1__##Name##ViewResponse *out, pang_err *err)
PANG_VIEW_REPLY_SHORT(Create);
PANG_VIEW_REPLY_SHORT(Load);

/* Handlers and replays, for the method table in svc_view.c. */
pang_handler pang_create_view, pang_register_view, pang_replace_view, pang_drop_view,
    pang_rename_view;
pang_replay pang_replay_create_view, pang_replay_register_view, pang_replay_replace_view;

#endif
