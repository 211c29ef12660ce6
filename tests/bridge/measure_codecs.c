/*
 * The cost of the codecs alone, without sockets: the strict scanner in bytes per second over table
 * metadata, a load's request and its reply in time per call. One line per figure; run.py does not
 * start this: it is for whoever changes api/json_scan.c or bridge/transcode*.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/json.h"
#include "api/wire.h"
#include "bridge/transcode.h"

enum { RUNS = 20, RUN_NS = 20000000, SMALL = 8 << 10, LARGE = 100 << 10 };

typedef struct {
    pang_schema *schema;
    pang_router *router;
    const pang_schema_method *load;
    pang_arena *arena; /* of the call that is measured */
    pang_str document, message;
} bench;

typedef void (*measured)(bench *b);

/* The processor's time: a busy machine disturbs it least. */
static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void must(pang_code code, const pang_err *err)
{
    if (code == PANG_OK)
        return;
    fprintf(stderr, "measure_codecs: %s\n", err->message);
    exit(1);
}

/* The best of some runs, in nanoseconds per call: what other programs took is not ours. */
static double measure(measured fn, bench *b)
{
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        int64_t begun = now_ns(), took = 0, calls = 0;
        while (took < RUN_NS) {
            for (int i = 0; i < 16; i++) {
                fn(b);
                pang_arena_reset(b->arena);
            }
            calls += 16;
            took = now_ns() - begun;
        }
        double each = (double)took / (double)calls;
        best = best == 0 || each < best ? each : best;
    }
    return best;
}

static void scan(bench *b)
{
    pang_err err;
    must(pang_json_check(b->document, b->arena, &err), &err);
}

static void request(bench *b)
{
    static const pang_http_field headers[] = {
        {PANG_STR_INIT("accept"), PANG_STR_INIT("application/json")},
        {PANG_STR_INIT("x-iceberg-access-delegation"), PANG_STR_INIT("vended-credentials")},
    };
    pang_transcode_request in = {PANG_STR("snapshots=all"), headers, 2, PANG_STR(""), false};
    pang_route_match match;
    pang_str message, allow;
    pang_err err;
    must(pang_router_match(b->router, PANG_STR("GET"),
                           PANG_STR("/v1/demo/namespaces/sales%1Feu/tables/orders"), b->arena,
                           &match, &allow, &err),
         &err);
    must(pang_transcode_in(b->schema, &match, &in, b->arena, &message, &err), &err);
}

static void reply(bench *b)
{
    pang_transcode_reply out;
    pang_err err;
    must(pang_transcode_out(b->schema, b->load, b->message, b->arena, &out, &err), &err);
}

/* Table metadata as engines write it: a schema, then snapshots with their summaries. */
static pang_str metadata(pang_arena *arena, size_t size)
{
    pang_buf out = {.arena = arena};
    pang_buf_add(&out, PANG_STR("{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-"
                                "a0705ddf69c1\",\"location\":\"s3://bucket/warehouse/sales/eu/"
                                "orders\",\"last-sequence-number\":34,\"schemas\":[{\"type\":"
                                "\"struct\",\"schema-id\":0,\"fields\":["));
    for (int i = 0; i < 12; i++)
        pang_buf_printf(&out,
                        "%s{\"id\":%d,\"name\":\"column_%d\",\"required\":false,\"type\":"
                        "\"timestamptz\"}",
                        i == 0 ? "" : ",", i, i);
    pang_buf_add(&out, PANG_STR("]}],\"snapshots\":["));
    for (int i = 0; out.len + 600 < size; i++)
        pang_buf_printf(&out,
                        "%s{\"snapshot-id\":%lld,\"timestamp-ms\":1515100955770,\"sequence-"
                        "number\":%d,\"summary\":{\"operation\":\"append\",\"added-data-files"
                        "\":\"4\",\"added-records\":\"120000\",\"added-files-size\":"
                        "\"73400320\",\"total-records\":\"4812000\"},\"manifest-list\":"
                        "\"s3://bucket/warehouse/sales/eu/orders/metadata/snap-%d-1-9c12d441"
                        ".avro\",\"schema-id\":0}",
                        i == 0 ? "" : ",", 3051729675574597004LL + i, i, i);
    pang_buf_add(&out, PANG_STR("],\"properties\":{\"note\":\""));
    while (out.len + 4 < size)
        pang_buf_add_char(&out, 'x');
    pang_buf_add(&out, PANG_STR("\"}}"));
    return pang_buf_str(&out);
}

/* A LoadTableResponse by its field numbers. */
static pang_str load_message(pang_arena *arena, pang_str document)
{
    pang_buf out = {.arena = arena}, entry = {.arena = arena};
    pang_wire_add_bytes(&entry, 1, PANG_STR("client.region"));
    pang_wire_add_bytes(&entry, 2, PANG_STR("eu-central-1"));
    pang_wire_add_bytes(&out, 1,
                        PANG_STR("s3://bucket/warehouse/sales/eu/orders/metadata/00042-"
                                 "9c12d441-03fe-4693-9a96-a0705ddf69c1.metadata.json"));
    pang_wire_add_bytes(&out, 2, document);
    pang_wire_add_bytes(&out, 3, pang_buf_str(&entry));
    pang_wire_add_bytes(&out, 5, PANG_STR("\"0123456789abcdef\""));
    return pang_buf_str(&out);
}

int main(void)
{
    bench b = {0};
    pang_err err;
    pang_arena *kept = pang_arena_new(8 << 20);
    b.arena = pang_arena_new(64 << 20);
    if (kept == NULL || b.arena == NULL)
        return 1;
    must(pang_schema_load(pang_schema_linked(), &b.schema, &err), &err);
    must(pang_router_new(b.schema, &b.router, &err), &err);
    b.load = pang_schema_find(b.schema, PANG_STR("/pangolin.v1.TableService/LoadTable"));
    static const size_t sizes[] = {SMALL, LARGE};
    for (size_t i = 0; i < 2; i++) {
        b.document = metadata(kept, sizes[i]);
        b.message = load_message(kept, b.document);
        double ns = measure(scan, &b);
        printf("scan of %zu bytes: %.2f us, %.0f MB/s\n", b.document.len, ns / 1e3,
               (double)b.document.len * 1e3 / ns);
        printf("load reply of %zu bytes: %.2f us\n", b.message.len, measure(reply, &b) / 1e3);
    }
    printf("load request: %.2f us\n", measure(request, &b) / 1e3);
    pang_router_free(b.router);
    pang_schema_free(b.schema);
    pang_arena_free(b.arena);
    pang_arena_free(kept);
    return 0;
}
