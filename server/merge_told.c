/*
 * What people are told of the conflicts of files: per rule one conflict, that names some of the
 * files and partitions and how many there are.
 */
#include "server/merge_matrix.h"

#include <inttypes.h>

#include "server/model_look.h"

enum {
    FILES_MAX = 32,     /* named in the details, and partitions */
    SENTENCE_FILES = 3, /* named in the sentence */
    HEX_MAX = 32,       /* bytes of a value that is no text */
};

struct pang_matrix_note {
    pang_str files[FILES_MAX];
    const pang_partition *partitions[FILES_MAX];
    size_t n_files, n_partitions, total;
};

static const char *const sentences[PANG_RULES] = {
    [PANG_RULE_GONE] = "the source removed or rewrote files that the target removed or rewrote too",
    [PANG_RULE_DELETES_GONE] =
        "the source replaced delete files that the target removed or replaced too",
    [PANG_RULE_DELETED_ON] = "the target deleted rows of files that the source removed or rewrote",
    [PANG_RULE_EQUALITY_ON] = "the target's equality deletes may concern rows of files that the "
                              "source removed or rewrote",
    [PANG_RULE_NO_FILE] = "the source deleted rows of files that the target removed or rewrote",
    [PANG_RULE_SAME_FILE] = "both sides deleted rows of the same files",
    [PANG_RULE_NEW_ROWS] =
        "the source's equality deletes may concern rows that it has not seen in the target",
    [PANG_RULE_PARTITION] = "the source overwrote whole partitions that hold changes of the target",
    [PANG_RULE_SERIAL] = "the target has new rows in partitions where the source overwrote or "
                         "deleted some (isolation is serializable)",
    [PANG_RULE_ORDER] = "the source's files have no place among the target's equality deletes",
    [PANG_RULE_UNDELETED] =
        "one side took deletes back on files that the other one removed or rewrote",
    [PANG_RULE_GIVEN_UP] = "the source added files that the target had and removed",
    [PANG_RULE_ROW_IDS] = "the source rewrote files with row ids that the target may have given to "
                          "other rows",
    [PANG_RULE_VERSION] =
        "the source's position deletes are not those of the merged table's format version",
};

/* ---- noting ---- */

static void add_file(struct pang_matrix_note *note, const pang_live_file *file)
{
    size_t i = 0;
    if (file == NULL)
        return;
    while (i < note->n_files && !pang_str_equal(note->files[i], file->path))
        i++;
    if (i == note->n_files && i < FILES_MAX)
        note->files[note->n_files++] = file->path;
    for (i = 0; i < note->n_partitions && note->partitions[i] != file->in;)
        i++;
    if (i == note->n_partitions && i < FILES_MAX)
        note->partitions[note->n_partitions++] = file->in;
}

bool pang_matrix_note(pang_file_merge *m, pang_matrix_rule rule, const pang_live_file *file,
                      const pang_live_file *other)
{
    if (m->notes == NULL)
        m->notes = pang_arena_alloc_n(m->work, PANG_RULES, sizeof *m->notes);
    if (m->notes == NULL)
        return false;
    m->notes[rule].total++;
    add_file(&m->notes[rule], file);
    add_file(&m->notes[rule], other);
    return true;
}

/* ---- telling ---- */

static void add_value(pang_buf *to, const pang_value *value)
{
    switch (value->type) {
    case PANG_VALUE_NULL:
        pang_buf_add(to, PANG_STR("null"));
        return;
    case PANG_VALUE_BOOLEAN:
        pang_buf_add(to, value->number != 0 ? PANG_STR("true") : PANG_STR("false"));
        return;
    case PANG_VALUE_INT:
        pang_buf_printf(to, "%" PRId64, value->number);
        return;
    case PANG_VALUE_FLOAT:
    case PANG_VALUE_DOUBLE:
        pang_buf_printf(to, "%.17g", value->real);
        return;
    case PANG_VALUE_BYTES:
        break;
    }
    if (pang_str_is_utf8(value->text)) {
        pang_buf_add(to, value->text);
        return;
    }
    pang_buf_add(to, PANG_STR("0x"));
    for (size_t i = 0; i < value->text.len && i < HEX_MAX; i++)
        pang_buf_printf(to, "%02x", (unsigned)(uint8_t)value->text.ptr[i]);
}

/* "day=19000/region=eu", values as manifests hold them. */
static pang_str partition_text(const pang_json *document, const pang_partition *partition,
                               pang_arena *arena)
{
    const pang_json *spec = pang_model_find(pang_json_get(document, "partition-specs"), "spec-id",
                                            partition->spec);
    const pang_json *fields = pang_json_get(spec, "fields");
    pang_buf text = {.arena = arena};
    for (size_t i = 0; i < partition->n; i++) {
        if (i > 0)
            pang_buf_add_char(&text, '/');
        pang_buf_add(&text, pang_model_text(pang_json_at(fields, i), "name"));
        pang_buf_add_char(&text, '=');
        add_value(&text, &partition->values[i]);
    }
    return pang_buf_str(&text);
}

static pang_str sentence(const char *words, const struct pang_matrix_note *note, pang_arena *arena)
{
    pang_buf text = {.arena = arena};
    size_t told = note->n_files < SENTENCE_FILES ? note->n_files : SENTENCE_FILES;
    pang_buf_add(&text, pang_str_from(words));
    for (size_t i = 0; i < told; i++)
        pang_buf_printf(&text, "%s \"%" PANG_STR_FMT "\"", i == 0 ? ":" : ",",
                        PANG_STR_ARG(note->files[i]));
    if (note->n_files > told)
        pang_buf_add(&text, PANG_STR(" and others"));
    return pang_buf_str(&text);
}

static pang_code tell(const char *words, const struct pang_matrix_note *note,
                      const pang_json *document, pang_arena *arena, pang_conflict *ret,
                      pang_err *err)
{
    pang_json *details = pang_json_object(arena), *files = pang_json_array(arena);
    pang_json *partitions = pang_json_array(arena);
    bool ok = details != NULL && files != NULL && partitions != NULL;
    for (size_t i = 0; ok && i < note->n_files; i++)
        ok = pang_json_append(files, pang_json_str(note->files[i], arena));
    for (size_t i = 0; ok && i < note->n_partitions; i++) {
        if (note->partitions[i]->n > 0)
            ok = pang_json_append(
                partitions,
                pang_json_str(partition_text(document, note->partitions[i], arena), arena));
    }
    ok = ok && pang_json_set(details, "overlapping_partitions", partitions) &&
         pang_json_set(details, "files", files) &&
         pang_json_set(details, "count", pang_json_int((int64_t)note->total, arena));
    if (!ok)
        return pang_fail_memory(err);
    ret->type = PANG_CONFLICT_DATA;
    ret->description = sentence(words, note, arena);
    return ret->description.len == 0 ? pang_fail_memory(err)
                                     : pang_json_print(details, arena, &ret->details, err);
}

pang_code pang_matrix_conflicts(const pang_file_merge *m, pang_arena *arena,
                                const pang_conflict **ret, size_t *ret_n, pang_err *err)
{
    pang_conflict *list = pang_arena_alloc_n(arena, PANG_RULES, sizeof *list);
    size_t n = 0;
    pang_code code = list == NULL ? pang_fail_memory(err) : PANG_OK;
    for (size_t rule = 0; code == PANG_OK && rule < PANG_RULES && m->notes != NULL; rule++) {
        if (m->notes[rule].total > 0)
            code = tell(sentences[rule], &m->notes[rule], m->input->merged, arena, &list[n++], err);
    }
    if (code == PANG_OK) {
        *ret = list;
        *ret_n = n;
    }
    return code;
}

pang_code pang_matrix_unreadable(pang_str path, pang_str why, pang_arena *arena,
                                 const pang_conflict **ret, size_t *ret_n, pang_err *err)
{
    struct pang_matrix_note note = {.files = {path}, .n_files = path.ptr != NULL, .total = 1};
    pang_conflict *one = pang_arena_alloc(arena, sizeof *one);
    pang_str words = path.ptr == NULL
                         ? pang_arena_printf(
                               arena, "the files of both sides cannot be compared: %" PANG_STR_FMT,
                               PANG_STR_ARG(why))
                         : pang_arena_printf(
                               arena,
                               "a file of the table's metadata cannot be read (%" PANG_STR_FMT ")",
                               PANG_STR_ARG(why));
    if (one == NULL || words.len == 0)
        return pang_fail_memory(err);
    pang_code code = tell(words.ptr, &note, NULL, arena, one, err);
    *ret = one;
    *ret_n = 1;
    return code;
}
