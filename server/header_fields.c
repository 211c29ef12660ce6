/*
 * Fields that travel as headers, found by their rules.
 */
#include "server/header_fields.h"

#include <protobuf-c/protobuf-c.h>

static const ProtobufCFieldDescriptor *find(const pang_schema *schema, const upb_MessageDef *def,
                                            const ProtobufCMessageDescriptor *type, pang_str header,
                                            bool of_request)
{
    for (int i = 0; i < upb_MessageDef_FieldCount(def); i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(def, i);
        const pang_field_rule *rule = pang_schema_field(schema, field);
        pang_str name = of_request ? rule->request_header : rule->response_header;
        if (!pang_str_equal_nocase(name, header))
            continue;
        const ProtobufCFieldDescriptor *found = protobuf_c_message_descriptor_get_field(
            type, upb_FieldDef_Number(field));
        if (found != NULL && found->type == PROTOBUF_C_TYPE_STRING &&
            found->label != PROTOBUF_C_LABEL_REPEATED)
            return found;
    }
    return NULL;
}

const ProtobufCFieldDescriptor *pang_request_field(const pang_schema *schema,
                                                   const upb_MessageDef *def,
                                                   const ProtobufCMessageDescriptor *type,
                                                   pang_str header)
{
    return find(schema, def, type, header, true);
}

const ProtobufCFieldDescriptor *pang_response_field(const pang_schema *schema,
                                                    const upb_MessageDef *def,
                                                    const ProtobufCMessageDescriptor *type,
                                                    pang_str header)
{
    return find(schema, def, type, header, false);
}

pang_str pang_field_text(const ProtobufCFieldDescriptor *field, const void *message)
{
    if (field == NULL)
        return (pang_str){0};
    return pang_str_from(*(char *const *)((const char *)message + field->offset));
}
