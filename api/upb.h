/*
 * upb: the functions of libupb.so.29 that are used. Debian ships the library with libgrpc and
 * packages no headers, so the prototypes are written here, in our words, with opaque structs only.
 * Included by: api/schema*.c and bridge/transcode*.c. Threads: definitions are immutable once
 * loaded; an arena belongs to one thread. Lifetime: definitions live as long as their pool.
 *
 * pang_schema_load checks that the library reads a descriptor as our own wire reader does, so a
 * library with another layout stops the start instead of corrupting memory.
 */
#ifndef PANG_API_UPB_H
#define PANG_API_UPB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct upb_Arena upb_Arena;               /* memory of messages, freed together */
typedef struct upb_DefPool upb_DefPool;           /* owns every definition below */
typedef struct upb_FileDef upb_FileDef;           /* a .proto file */
typedef struct upb_ServiceDef upb_ServiceDef;     /* a service of a file */
typedef struct upb_MethodDef upb_MethodDef;       /* an RPC of a service */
typedef struct upb_MessageDef upb_MessageDef;     /* a message type */
typedef struct upb_FieldDef upb_FieldDef;         /* a field of a message type */
typedef struct upb_OneofDef upb_OneofDef;         /* compared by address only */
typedef struct upb_EnumDef upb_EnumDef;           /* an enum type */
typedef struct upb_EnumValueDef upb_EnumValueDef; /* a value of an enum type */
typedef struct upb_MiniTable upb_MiniTable;       /* how to decode one message type */
typedef struct upb_alloc upb_alloc;               /* where an arena takes its blocks from */

/* The one layout that must match: a flag, then text. */
typedef struct {
    bool ok;
    char message[127];
} upb_Status;

/* Field types, numbered as FieldDescriptorProto.Type. */
enum {
    UPB_DOUBLE = 1,
    UPB_FLOAT = 2,
    UPB_INT64 = 3,
    UPB_UINT64 = 4,
    UPB_INT32 = 5,
    UPB_FIXED64 = 6,
    UPB_FIXED32 = 7,
    UPB_BOOL = 8,
    UPB_STRING = 9,
    UPB_GROUP = 10,
    UPB_MESSAGE = 11,
    UPB_BYTES = 12,
    UPB_UINT32 = 13,
    UPB_ENUM = 14,
    UPB_SFIXED32 = 15,
    UPB_SFIXED64 = 16,
    UPB_SINT32 = 17,
    UPB_SINT64 = 18,
};

/* ---- decoding: used for descriptors only ---- */

extern upb_alloc upb_alloc_global; /* malloc */
/* Without a first block of the caller's: NULL, 0, &upb_alloc_global. NULL without memory. */
upb_Arena *upb_Arena_Init(void *memory, size_t size, upb_alloc *alloc);
void upb_Arena_Free(upb_Arena *arena);
extern const upb_MiniTable google_protobuf_FileDescriptorProto_msginit;
void *_upb_Message_New(const upb_MiniTable *type, upb_Arena *arena); /* NULL without memory */
/* Returns 0 when all is well. Without options the message copies what it keeps of `bytes`. */
int upb_Decode(const char *bytes, size_t size, void *message, const upb_MiniTable *type,
               const void *extensions, int options, upb_Arena *arena);
/* The fields that the type does not know, serialized: where extensions that nothing registered end
 * up. That is how options of ours are read. Borrows from the message. */
const char *upb_Message_GetUnknown(const void *message, size_t *ret_size);

/* ---- the pool ---- */

upb_DefPool *upb_DefPool_New(void); /* NULL without memory */
void upb_DefPool_Free(upb_DefPool *pool);
/* Imports must have been added before. NULL, and a filled status, when the file is refused. Nothing
 * of `file` is borrowed afterwards. */
const upb_FileDef *upb_DefPool_AddFile(upb_DefPool *pool, const void *file, upb_Status *status);
/* By a full name: "pangolin.v1.LoadTableRequest". NULL when there is none. */
const upb_FileDef *upb_DefPool_FindFileContainingSymbol(const upb_DefPool *pool, const char *name);

/* ---- files: everything from here on borrows from the pool; indexes are within the counts ---- */

const char *upb_FileDef_Name(const upb_FileDef *file);
int upb_FileDef_ServiceCount(const upb_FileDef *file);
const upb_ServiceDef *upb_FileDef_Service(const upb_FileDef *file, int i);
/* Messages inside of messages are not among these. */
int upb_FileDef_TopLevelMessageCount(const upb_FileDef *file);
const upb_MessageDef *upb_FileDef_TopLevelMessage(const upb_FileDef *file, int i);
/* Imports, in the file's order. */
int upb_FileDef_DependencyCount(const upb_FileDef *file);
const upb_FileDef *upb_FileDef_Dependency(const upb_FileDef *file, int i);

/* ---- services and methods ---- */

const char *upb_ServiceDef_FullName(const upb_ServiceDef *service); /* with the package */
int upb_ServiceDef_MethodCount(const upb_ServiceDef *service);
const upb_MethodDef *upb_ServiceDef_Method(const upb_ServiceDef *service, int i);
const char *upb_MethodDef_Name(const upb_MethodDef *method); /* without the service */
/* Never NULL: a default message stands for none. */
const void *upb_MethodDef_Options(const upb_MethodDef *method);
const upb_MessageDef *upb_MethodDef_InputType(const upb_MethodDef *method);
const upb_MessageDef *upb_MethodDef_OutputType(const upb_MethodDef *method);
bool upb_MethodDef_ClientStreaming(const upb_MethodDef *method);
bool upb_MethodDef_ServerStreaming(const upb_MethodDef *method);

/* ---- messages ---- */

const char *upb_MessageDef_FullName(const upb_MessageDef *message);
int upb_MessageDef_FieldCount(const upb_MessageDef *message);
/* In the file's order; upb_FieldDef_Index gives the i back. */
const upb_FieldDef *upb_MessageDef_Field(const upb_MessageDef *message, int i);
/* Entries of maps are nested messages too. */
int upb_MessageDef_NestedMessageCount(const upb_MessageDef *message);
const upb_MessageDef *upb_MessageDef_NestedMessage(const upb_MessageDef *message, int i);
/* NULL when there is none. Names are compared as they stand, letters' case too. ByJsonName knows
 * the JSON name only. */
const upb_FieldDef *upb_MessageDef_FindFieldByNumber(const upb_MessageDef *message,
                                                     uint32_t number);
const upb_FieldDef *upb_MessageDef_FindFieldByNameWithSize(const upb_MessageDef *message,
                                                           const char *name, size_t len);
const upb_FieldDef *upb_MessageDef_FindByJsonNameWithSize(const upb_MessageDef *message,
                                                          const char *name, size_t len);

/* ---- fields ---- */

const char *upb_FieldDef_Name(const upb_FieldDef *field);
const char *upb_FieldDef_JsonName(const upb_FieldDef *field);
const char *upb_FieldDef_FullName(const upb_FieldDef *field);
uint32_t upb_FieldDef_Number(const upb_FieldDef *field);
uint32_t upb_FieldDef_Index(const upb_FieldDef *field);
int upb_FieldDef_Type(const upb_FieldDef *field);        /* UPB_INT64 and so on */
bool upb_FieldDef_IsRepeated(const upb_FieldDef *field); /* true for maps too */
bool upb_FieldDef_IsMap(const upb_FieldDef *field);      /* its message has key 1, value 2 */
/* Never NULL: a default message stands for none. */
const void *upb_FieldDef_Options(const upb_FieldDef *field);
/* NULL for fields of another type. */
const upb_MessageDef *upb_FieldDef_MessageSubDef(const upb_FieldDef *field);
const upb_EnumDef *upb_FieldDef_EnumSubDef(const upb_FieldDef *field);
/* NULL outside of a oneof, and for the one that `optional` makes. */
const upb_OneofDef *upb_FieldDef_RealContainingOneof(const upb_FieldDef *field);

/* ---- enums ---- */

/* NULL when there is no such value. */
const upb_EnumValueDef *upb_EnumDef_FindValueByNameWithSize(const upb_EnumDef *type,
                                                            const char *name, size_t len);
const upb_EnumValueDef *upb_EnumDef_FindValueByNumber(const upb_EnumDef *type, int32_t number);
int32_t upb_EnumValueDef_Number(const upb_EnumValueDef *value);
const char *upb_EnumValueDef_Name(const upb_EnumValueDef *value);

#endif
