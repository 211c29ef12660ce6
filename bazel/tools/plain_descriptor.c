/*
 * Build tool: makes a FileDescriptorSet that protoc-c accepts.
 * protoc-c 1.4 refuses proto3 `optional` and would want generated code for every options file.
 * So the set is rewritten on the wire: field and method options go, the proto3_optional mark goes
 * (what stays is a oneof of one member, the same on the wire), imports of options files go.
 *
 *     plain_descriptor plain IN OUT    writes the set for protoc-c
 *     plain_descriptor embed IN OUT    writes a C file that holds IN's bytes
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    unsigned char *ptr;
    size_t len, capacity;
} bytes;

typedef struct {
    const unsigned char *at, *end;
} reader;

/* One field of a message as it stands. */
typedef struct {
    unsigned number, wire;
    const unsigned char *start, *body; /* body: of a length-delimited field */
    size_t size, body_size;            /* size: tag included */
} field;

static void die(const char *why)
{
    fprintf(stderr, "plain_descriptor: %s\n", why);
    exit(1);
}

static void add(bytes *to, const void *from, size_t len)
{
    if (to->capacity - to->len < len) {
        to->capacity = (to->len + len) * 2;
        to->ptr = realloc(to->ptr, to->capacity);
        if (to->ptr == NULL)
            die("out of memory");
    }
    if (len > 0)
        memcpy(to->ptr + to->len, from, len);
    to->len += len;
}

static uint64_t read_varint(reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        unsigned char b = *r->at++;
        value |= (uint64_t)(b & 0x7F) << shift;
        if ((b & 0x80) == 0)
            return value;
    }
    die("bad varint");
    return 0;
}

static void add_varint(bytes *to, uint64_t value)
{
    do {
        unsigned char b = (unsigned char)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        add(to, &b, 1);
        value >>= 7;
    } while (value > 0);
}

static int next_field(reader *r, field *f)
{
    if (r->at == r->end)
        return 0;
    *f = (field){.start = r->at};
    uint64_t tag = read_varint(r);
    f->number = (unsigned)(tag >> 3);
    f->wire = tag & 7;
    if (f->wire == 2) {
        f->body_size = (size_t)read_varint(r);
        f->body = r->at;
        if (f->body_size > (size_t)(r->end - r->at))
            die("field past its end");
        r->at += f->body_size;
    } else if (f->wire == 0) {
        (void)read_varint(r);
    } else {
        die("unexpected wire type");
    }
    f->size = (size_t)(r->at - f->start);
    return 1;
}

static void add_message(bytes *to, unsigned number, const bytes *body)
{
    add_varint(to, number << 3 | 2);
    add_varint(to, body->len);
    add(to, body->ptr, body->len);
}

static int names_options_file(const field *f)
{
    static const char *const names[] = {"google/api/annotations.proto", "pangolin/v1/rule.proto",
                                        "google/protobuf/descriptor.proto"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (f->body_size == strlen(names[i]) && memcmp(f->body, names[i], f->body_size) == 0)
            return 1;
    }
    return 0;
}

/* What to do inside a message of descriptor.proto: field numbers are its own. */
typedef struct rewrite rewrite;
struct rewrite {
    unsigned drop[2]; /* fields left out; 0: none */
    struct {
        unsigned number;
        const rewrite *inside;
    } descend[3];
    unsigned imports; /* the field that names imports; 0: none */
};

static const rewrite in_field = {.drop = {8, 17}}; /* options, proto3_optional */
static const rewrite in_method = {.drop = {4}};    /* options */
static const rewrite in_service = {.descend = {{2, &in_method}}};
static const rewrite in_message = {.descend = {{2, &in_field}, {3, &in_message}}};
static const rewrite in_file = {.descend = {{4, &in_message}, {6, &in_service}}, .imports = 3};

static const rewrite *inside(const rewrite *how, unsigned number)
{
    for (size_t i = 0; i < 3; i++) {
        if (how->descend[i].number == number)
            return how->descend[i].inside;
    }
    return NULL;
}

static void apply(const rewrite *how, const unsigned char *ptr, size_t len, bytes *to)
{
    reader r = {ptr, ptr + len};
    field f;
    while (next_field(&r, &f)) {
        const rewrite *deeper = inside(how, f.number);
        if (f.number == how->drop[0] || f.number == how->drop[1])
            continue;
        if (how->imports == f.number && names_options_file(&f))
            continue;
        if (deeper == NULL) {
            add(to, f.start, f.size);
            continue;
        }
        bytes body = {0};
        apply(deeper, f.body, f.body_size, &body);
        add_message(to, f.number, &body);
        free(body.ptr);
    }
}

static bytes read_file(const char *path)
{
    bytes all = {0};
    char part[65536];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die("cannot open the input");
    while ((got = fread(part, 1, sizeof part, file)) > 0)
        add(&all, part, got);
    fclose(file);
    return all;
}

static void write_c(FILE *to, const bytes *set)
{
    fprintf(to, "/* The API's descriptor set. Generated. */\n#include \"api/schema.h\"\n\n"
                "static const unsigned char set[] = {");
    for (size_t i = 0; i < set->len; i++)
        fprintf(to, "%s%u,", i % 20 == 0 ? "\n" : "", set->ptr[i]);
    fprintf(to, "\n};\n\npang_str pang_schema_linked(void)\n{\n"
                "    return (pang_str){(const char *)set, sizeof set};\n}\n");
}

int main(int argc, char **argv)
{
    if (argc != 4)
        die("usage: plain_descriptor plain|embed IN OUT");
    bytes set = read_file(argv[2]), plain = {0};
    FILE *to = fopen(argv[3], "wb");
    if (to == NULL)
        die("cannot open the output");
    if (strcmp(argv[1], "embed") == 0) {
        write_c(to, &set);
    } else {
        reader r = {set.ptr, set.ptr + set.len};
        field f;
        while (next_field(&r, &f)) {
            bytes file = {0};
            apply(&in_file, f.body, f.body_size, &file);
            add_message(&plain, f.number, &file);
            free(file.ptr);
        }
        if (fwrite(plain.ptr, 1, plain.len, to) != plain.len)
            die("cannot write");
    }
    free(set.ptr);
    free(plain.ptr);
    return fclose(to) == 0 ? 0 : 1;
}
