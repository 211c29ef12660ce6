/*
 * gRPC's server reflection over the description that is linked in. v1alpha has the same messages
 * under other names: its requests are packed and unpacked as v1's, and its replies are v1's, which
 * look the same on the wire.
 */
#include <string.h>

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "server/ops.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest question;
typedef Grpc__Reflection__V1__ServerReflectionResponse answer;
#define ASKS(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define ANSWERS(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

enum { FILES_MAX = 32, SERVICES_MAX = 64, EXTENSIONS_MAX = 8 };

/* The extensions that our description uses. */
static const struct {
    const char *extended, *name;
    int32_t number;
} extensions[] = {
    {"google.protobuf.MethodOptions", "google.api.http", 72295728},
    {"google.protobuf.MethodOptions", "pangolin.v1.rule", 51234},
    {"google.protobuf.FieldOptions", "pangolin.v1.field", 51235},
};

/* ---- files ---- */

typedef struct {
    const pang_schema *schema;
    pang_str names[FILES_MAX];
    ProtobufCBinaryData files[FILES_MAX];
    size_t n;
} file_set;

/* The name is a descriptor's first field. Empty when the bytes are no descriptor of ours. */
static pang_str name_of_file(pang_str file)
{
    if (file.len < 2 || file.ptr[0] != 0x0a || (unsigned char)file.ptr[1] >= 0x80)
        return (pang_str){0};
    return pang_str_slice(file, 2, (size_t)file.ptr[1]);
}

static bool has_file(const file_set *set, pang_str name)
{
    for (size_t i = 0; i < set->n; i++) {
        if (pang_str_equal(set->names[i], name))
            return true;
    }
    return false;
}

/* A file, then breadth first all that it imports, each once. */
static void add_with_imports(file_set *set, pang_str name)
{
    set->names[set->n++] = name;
    for (size_t at = 0; at < set->n; at++) {
        pang_str file = pang_schema_file(set->schema, set->names[at]);
        set->files[at] = (ProtobufCBinaryData){file.len, (uint8_t *)(uintptr_t)file.ptr};
        for (size_t i = 0; set->n < FILES_MAX; i++) {
            pang_str import = pang_schema_import(set->schema, set->names[at], i);
            if (import.len == 0)
                break;
            if (!has_file(set, import))
                set->names[set->n++] = import;
        }
    }
}

static pang_code refuse(answer *to, pang_code code, const char *message, pang_arena *arena,
                        pang_err *err)
{
    Grpc__Reflection__V1__ErrorResponse *error = pang_arena_alloc(arena, sizeof *error);
    if (error == NULL)
        return pang_fail_memory(err);
    grpc__reflection__v1__error_response__init(error);
    error->error_code = (int32_t)code;
    error->error_message = (char *)(uintptr_t)message;
    to->message_response_case = ANSWERS(ERROR_RESPONSE);
    to->error_response = error;
    return PANG_OK;
}

static pang_code answer_file(answer *to, const pang_schema *schema, pang_str name,
                             pang_arena *arena, pang_err *err)
{
    Grpc__Reflection__V1__FileDescriptorResponse *reply = pang_arena_alloc(arena, sizeof *reply);
    file_set *set = pang_arena_alloc(arena, sizeof *set);
    if (reply == NULL || set == NULL)
        return pang_fail_memory(err);
    if (name.len == 0 || pang_schema_file(schema, name).len == 0)
        return refuse(to, PANG_NOT_FOUND, "there is no such file or symbol", arena, err);
    set->schema = schema;
    add_with_imports(set, name);
    grpc__reflection__v1__file_descriptor_response__init(reply);
    reply->n_file_descriptor_proto = set->n;
    reply->file_descriptor_proto = set->files;
    to->message_response_case = ANSWERS(FILE_DESCRIPTOR_RESPONSE);
    to->file_descriptor_response = reply;
    return PANG_OK;
}

static pang_str file_of_symbol(const pang_schema *schema, const char *symbol)
{
    return name_of_file(pang_schema_file_of_symbol(schema, pang_str_from(symbol)));
}

static pang_str file_of_extension(const pang_schema *schema, const char *extended, int32_t number)
{
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        if (number == extensions[i].number && strcmp(extended, extensions[i].extended) == 0)
            return file_of_symbol(schema, extensions[i].name);
    }
    return (pang_str){0};
}

/* ---- lists ---- */

static pang_code answer_numbers(answer *to, char *extended, pang_arena *arena, pang_err *err)
{
    Grpc__Reflection__V1__ExtensionNumberResponse *reply = pang_arena_alloc(arena, sizeof *reply);
    int32_t *numbers = pang_arena_alloc_n(arena, EXTENSIONS_MAX, sizeof *numbers);
    if (reply == NULL || numbers == NULL)
        return pang_fail_memory(err);
    grpc__reflection__v1__extension_number_response__init(reply);
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++) {
        if (strcmp(extended, extensions[i].extended) == 0)
            numbers[reply->n_extension_number++] = extensions[i].number;
    }
    reply->base_type_name = extended;
    reply->extension_number = numbers;
    to->message_response_case = ANSWERS(ALL_EXTENSION_NUMBERS_RESPONSE);
    to->all_extension_numbers_response = reply;
    return PANG_OK;
}

static bool is_listed_before(size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(pang_services[i]->name, pang_services[at]->name) == 0)
            return true;
    return false;
}

static pang_code answer_services(answer *to, pang_arena *arena, pang_err *err)
{
    Grpc__Reflection__V1__ListServiceResponse *reply = pang_arena_alloc(arena, sizeof *reply);
    Grpc__Reflection__V1__ServiceResponse *names = pang_arena_alloc_n(arena, SERVICES_MAX,
                                                                      sizeof *names);
    Grpc__Reflection__V1__ServiceResponse **list = pang_arena_alloc_n(arena, SERVICES_MAX,
                                                                      sizeof(void *));
    if (reply == NULL || names == NULL || list == NULL)
        return pang_fail_memory(err);
    grpc__reflection__v1__list_service_response__init(reply);
    reply->service = list;
    for (size_t i = 0; i < SERVICES_MAX && pang_services[i] != NULL; i++) {
        if (is_listed_before(i)) /* its methods may stand in several tables */
            continue;
        grpc__reflection__v1__service_response__init(&names[i]);
        names[i].name = (char *)(uintptr_t)pang_services[i]->name;
        list[reply->n_service++] = &names[i];
    }
    to->message_response_case = ANSWERS(LIST_SERVICES_RESPONSE);
    to->list_services_response = reply;
    return PANG_OK;
}

/* ---- the stream ---- */

static pang_code fill_answer(const pang_schema *schema, question *asked, answer *to,
                             pang_arena *arena, pang_err *err)
{
    const Grpc__Reflection__V1__ExtensionRequest *extension;
    switch (asked->message_request_case) {
    case ASKS(FILE_BY_FILENAME):
        return answer_file(to, schema, pang_str_from(asked->file_by_filename), arena, err);
    case ASKS(FILE_CONTAINING_SYMBOL):
        return answer_file(to, schema, file_of_symbol(schema, asked->file_containing_symbol), arena,
                           err);
    case ASKS(FILE_CONTAINING_EXTENSION):
        extension = asked->file_containing_extension;
        return answer_file(
            to, schema,
            file_of_extension(schema, extension->containing_type, extension->extension_number),
            arena, err);
    case ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE):
        return answer_numbers(to, asked->all_extension_numbers_of_type, arena, err);
    case ASKS(LIST_SERVICES):
        return answer_services(to, arena, err);
    default:
        return refuse(to, PANG_INVALID_ARGUMENT, "nothing is asked", arena, err);
    }
}

static void *take(void *arena, size_t size)
{
    return pang_arena_alloc(arena, size);
}

static void give_back(void *arena, void *bytes)
{
    (void)arena;
    (void)bytes;
}

/* The request as v1's. */
static pang_code as_v1(const ProtobufCMessage *message, pang_arena *arena, question **ret,
                       pang_err *err)
{
    ProtobufCAllocator allocator = {take, give_back, arena};
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = pang_arena_alloc(arena, size + 1);
    if (bytes == NULL)
        return pang_fail_memory(err);
    (void)protobuf_c_message_pack(message, bytes);
    *ret = grpc__reflection__v1__server_reflection_request__unpack(&allocator, size, bytes);
    return *ret == NULL ? pang_fail_memory(err) : PANG_OK;
}

static pang_code reflect(pang_call *call, pang_stream *stream, pang_err *err)
{
    for (;;) {
        answer reply = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
        const void *message = NULL;
        question *asked = NULL;
        pang_code code = pang_stream_receive(stream, &message, err);
        if (code != PANG_OK || message == NULL)
            return code;
        pang_arena *arena = pang_stream_arena(stream);
        code = as_v1(message, arena, &asked, err);
        if (code == PANG_OK)
            code = fill_answer(call->server->schema, asked, &reply, arena, err);
        if (code != PANG_OK)
            return code;
        reply.valid_host = asked->host;
        reply.original_request = asked;
        code = pang_stream_send(stream, &reply, err);
        if (code != PANG_OK)
            return code;
    }
}

static const pang_method method = {
    .path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    .in = &grpc__reflection__v1__server_reflection_request__descriptor,
    .out = &grpc__reflection__v1__server_reflection_response__descriptor,
    .stream = reflect,
};

static const pang_method method_alpha = {
    .path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    .in = &grpc__reflection__v1alpha__server_reflection_request__descriptor,
    .out = &grpc__reflection__v1alpha__server_reflection_response__descriptor,
    .stream = reflect,
};

const pang_service pang_service_reflection = {
    .name = "grpc.reflection.v1.ServerReflection", .methods = &method, .n = 1};
const pang_service pang_service_reflection_alpha = {
    .name = "grpc.reflection.v1alpha.ServerReflection", .methods = &method_alpha, .n = 1};
