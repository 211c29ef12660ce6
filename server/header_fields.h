/*
 * Fields that travel as headers, as the dispatcher fills and reads them: an Idempotency-Key, what
 * is said about a commit, a commit's id.
 * Called by dispatch.c and idempotency.c, at start. Threads: any. Lifetime: static.
 */
#ifndef PANG_SERVER_HEADER_FIELDS_H
#define PANG_SERVER_HEADER_FIELDS_H

#include "api/schema.h"
#include "api/upb.h"

struct ProtobufCFieldDescriptor;
struct ProtobufCMessageDescriptor;

/* The text field of a message that this request header fills; NULL when there is none. */
const struct ProtobufCFieldDescriptor *
pang_request_field(const pang_schema *schema, const upb_MessageDef *def,
                   const struct ProtobufCMessageDescriptor *type, pang_str header);
/* The one that is sent as this response header. */
const struct ProtobufCFieldDescriptor *
pang_response_field(const pang_schema *schema, const upb_MessageDef *def,
                    const struct ProtobufCMessageDescriptor *type, pang_str header);
/* The field's text; empty when `field` is NULL. Borrows from the message. */
pang_str pang_field_text(const struct ProtobufCFieldDescriptor *field, const void *message);

#endif
