/*
 * Records: protobuf-c over an arena. Nothing is freed singly, so its allocator's free does nothing.
 */
#include "server/records.h"

#include <string.h>

static void *take(void *arena, size_t size)
{
    return pang_arena_alloc(arena, size);
}

static void give_back(void *arena, void *bytes)
{
    (void)arena;
    (void)bytes;
}

pang_str pang_record_pack(const ProtobufCMessage *message, pang_arena *arena)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    char *to = pang_arena_alloc_text(arena, size + 1);
    if (to == NULL)
        return (pang_str){0};
    return (pang_str){to, protobuf_c_message_pack(message, (uint8_t *)to)};
}

pang_code pang_record_unpack(const ProtobufCMessageDescriptor *type, const pang_record *record,
                             pang_arena *arena, void *ret_message, pang_err *err)
{
    ProtobufCAllocator allocator = {.alloc = take, .free = give_back, .allocator_data = arena};
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, record->body.len,
                                                          (const uint8_t *)record->body.ptr);
    if (message == NULL && pang_arena_failed(arena))
        return pang_fail_memory(err);
    if (message == NULL)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "record \"%" PANG_STR_FMT "\" is damaged",
                         PANG_STR_ARG(record->key));
    memcpy(ret_message, &message, sizeof message);
    return PANG_OK;
}

ProtobufCBinaryData pang_bytes_of(pang_str s)
{
    return (ProtobufCBinaryData){.len = s.len, .data = (uint8_t *)(uintptr_t)s.ptr};
}

pang_str pang_str_of(ProtobufCBinaryData bytes)
{
    return (pang_str){(const char *)bytes.data, bytes.len};
}

ProtobufCBinaryData pang_bytes_of_id(const pang_id *id)
{
    return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = (uint8_t *)(uintptr_t)id->bytes};
}

pang_id pang_id_of(ProtobufCBinaryData bytes)
{
    pang_id id = {{0}};
    if (bytes.len == sizeof id.bytes)
        memcpy(id.bytes, bytes.data, sizeof id.bytes);
    return id;
}
