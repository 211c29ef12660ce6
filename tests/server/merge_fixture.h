/*
 * For tests of merging documents: a table of the fixture's, what each side did to it since in
 * updates, and what the merge must answer.
 */
#ifndef PANG_TESTS_SERVER_MERGE_FIXTURE_H
#define PANG_TESTS_SERVER_MERGE_FIXTURE_H

#include "model_fixture.h"
#include "server/model_merge.h"

/* A schema of the fixture's columns: S(fields) and what the two last columns are. */
#define ID_FIELD "{'id':1,'name':'id','required':true,'type':'long'}"
#define DATA_FIELD "{'id':2,'name':'data','required':false,'type':'string'}"
#define TS_FIELD "{'id':3,'name':'ts','required':false,'type':'timestamptz'}"
#define X_FIELD "{'id':5,'name':'x','required':true,'type':'double'}"
#define Y_FIELD "{'id':6,'name':'y','required':false,'type':'double'}"
#define POINT_OF(fields)                                                                           \
    "{'id':4,'name':'point','required':true,'type':{'type':'struct','fields':[" fields "]}}"
#define POINT_FIELD POINT_OF(X_FIELD "," Y_FIELD)
#define TAGS_OF(type)                                                                              \
    "{'id':7,'name':'tags','required':false,'type':{'type':'list','element-id':8,'element':" type  \
    ",'element-required':false}}"
#define TAGS_FIELD TAGS_OF("'string'")
#define REST TS_FIELD "," POINT_FIELD "," TAGS_FIELD
#define ALL ID_FIELD "," DATA_FIELD "," REST
#define FIELD(id, name, type) "{'id':" id ",'name':'" name "','required':false,'type':" type "}"

/* Updates. */
#define SCHEMA_AND(fields, more)                                                                   \
    "{'action':'add-schema','schema':{'type':'struct','fields':[" fields "]" more                  \
    "}},{'action':'set-current-schema','schema-id':-1}"
#define SCHEMA(fields) SCHEMA_AND(fields, "")
#define SET(pairs) "{'action':'set-properties','updates':{" pairs "}}"
#define UNSET(names) "{'action':'remove-properties','removals':[" names "]}"
#define MAIN(id)                                                                                   \
    "{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':" id "}"
#define REF(name, id)                                                                              \
    "{'action':'set-snapshot-ref','ref-name':'" name "','type':'branch','snapshot-id':" id "}"
#define SNAPSHOT(id, parent, sequence, schema, operation, more)                                    \
    "{'action':'add-snapshot','snapshot':{'snapshot-id':" id ",'parent-snapshot-id':" parent       \
    ",'sequence-number':" sequence ",'timestamp-ms':1700000000000,'manifest-list':'s3://b/t/" id   \
    ".avro','summary':{'operation':'" operation "'},'schema-id':" schema more "}}"
/* A commit of data on top of the fixture's. */
#define DATA(id, schema) SNAPSHOT(id, "20", "3", schema, "append", "") "," MAIN(id)
#define DATA3(id, schema)                                                                          \
    SNAPSHOT(id, "20", "3", schema, "append", ",'first-row-id':100,'added-rows':5") "," MAIN(id)

typedef struct {
    const char *name;
    int version;
    const char *before; /* updates that make the base out of the fixture's table; NULL: none */
    const char *source, *target; /* updates since; NULL: none */
    const char *want; /* a pattern of the merged document; NULL: the target's stays; in a case
                         of a conflict part of a description */
    pang_conflict_type conflict; /* 0: none */
    const char *columns;         /* "9>10 11>12": the map; NULL: empty */
    bool both;                   /* the other way round is a conflict too, of the same type */
} merge_case;

/* The four documents of a case. */
pang_merge_table merge_of(model *m, const merge_case *c);
/* The merge of `merge`, whose data counts as changed when the source's head moved. A document must
 * be valid and not have gone back behind the target's; inputs must be as they were. */
pang_model_merged merge_model(model *m, const pang_merge_table *merge);
void merge_run(model *m, const merge_case *cases, size_t n);
/* Updates of a document; itself when they are NULL. */
const pang_json *merge_evolve(model *m, const pang_json *base, const char *updates);
/* The conflict whose description holds `part`; fails without one. */
const pang_conflict *merge_conflict(const pang_conflict *conflicts, size_t n, const char *part);

#endif
