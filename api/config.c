/*
 * Configuration: the sources are read in rising order of rank (default, file, environment, flags),
 * each overwriting what the one before gave, so that "who wins" is the order of four calls. Every
 * text is parsed when it is taken, so that a fault can name where it came from.
 */
#include "api/config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/config_internal.h"

enum {
    NAME_MAX_BYTES = 64,
    NEAR_PART = 3, /* edits of more than this part of a name are no misspelling of it */
};

#define PREFIX "PANGOLIN_" /* of nearly all variables, so that it makes none near another */

typedef struct {
    char *text; /* owned; NUL-terminated; for lists cut into elements in place */
    size_t len;
    int64_t number;
    pang_str *list; /* owned */
    size_t n_list;
    bool is_set;
} value;

struct pang_config {
    value values[PANG_OPT_COUNT];
    pang_providers providers;
};

/* ---- values ---- */

static bool parse_unit(pang_str text, const char *const *units, const int64_t *factors, size_t n,
                       int64_t bare, int64_t *ret)
{
    int64_t factor = bare;
    for (size_t i = 0; i < n; i++) {
        pang_str unit = pang_str_from(units[i]);
        if (text.len > unit.len &&
            pang_str_equal_nocase(pang_str_after(text, text.len - unit.len), unit)) {
            factor = factors[i];
            text = pang_str_slice(text, 0, text.len - unit.len);
            break;
        }
    }
    return pang_str_to_int64(pang_str_trim(text), ret) &&
           !__builtin_mul_overflow(*ret, factor, ret);
}

static bool parse_bytes(pang_str text, int64_t *ret)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    static const int64_t factors[] = {PANG_KIB, PANG_MIB, PANG_GIB};
    return parse_unit(text, units, factors, 3, 1, ret);
}

static bool parse_ms(pang_str text, int64_t *ret)
{
    static const char *const units[] = {"ms", "s", "m", "h"};
    static const int64_t factors[] = {1, PANG_SECOND, 60 * PANG_SECOND, PANG_HOUR};
    return parse_unit(text, units, factors, 4, PANG_SECOND, ret);
}

static bool parse_bool(pang_str text, int64_t *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (pang_str_equal_nocase(text, pang_str_from(words[i]))) {
            *ret = (int64_t)(i & 1);
            return true;
        }
    }
    return false;
}

static bool is_choice(pang_str text, const char *choices)
{
    pang_str rest = pang_str_from(choices), choice;
    while (pang_str_next(&rest, '|', &choice)) {
        if (pang_str_equal(choice, text))
            return true;
    }
    return false;
}

/* Cuts v->text at commas. False without memory or past the bound. */
static bool parse_list(value *v)
{
    pang_str rest = {v->text, v->len}, part;
    v->list = calloc(PANG_CONFIG_LIST_MAX, sizeof *v->list);
    if (v->list == NULL)
        return false;
    while (pang_str_next(&rest, ',', &part)) {
        part = pang_str_trim(part);
        if (part.len == 0)
            continue;
        if (v->n_list == PANG_CONFIG_LIST_MAX)
            return false;
        v->list[v->n_list++] = part;
    }
    return true;
}

static bool parse_number(const pang_option *option, pang_str text, int64_t *ret)
{
    switch (option->type) {
    case PANG_OPTION_INT:
        return pang_str_to_int64(text, ret) && *ret >= option->min && *ret <= option->max;
    case PANG_OPTION_BYTES:
        return parse_bytes(text, ret) && *ret >= option->min && *ret <= option->max;
    case PANG_OPTION_MS:
        return parse_ms(text, ret) && *ret >= option->min && *ret <= option->max;
    case PANG_OPTION_BOOL:
        return parse_bool(text, ret);
    default:
        return true;
    }
}

static pang_code refuse(const pang_option *option, const char *source, pang_err *err)
{
    switch (option->type) {
    case PANG_OPTION_INT:
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s must be a number from %lld to %lld",
                         source, (long long)option->min, (long long)option->max);
    case PANG_OPTION_BYTES:
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%s must be a size like 64KiB or 16MiB, from %lld to %lld bytes", source,
                         (long long)option->min, (long long)option->max);
    case PANG_OPTION_MS:
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%s must be a time like 500ms, 30s or 5m, from %lld to %lld ms", source,
                         (long long)option->min, (long long)option->max);
    case PANG_OPTION_BOOL:
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s must be true or false", source);
    case PANG_OPTION_CHOICE:
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s must be one of %s", source,
                         option->choices);
    default:
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%s has too many elements (more than %d)", source, PANG_CONFIG_LIST_MAX);
    }
}

static void value_free(value *v)
{
    if (v->text != NULL)
        explicit_bzero(v->text, v->len);
    free(v->text);
    free(v->list);
    *v = (value){0};
}

static pang_code take(pang_config *config, pang_option_id id, pang_str text, const char *source,
                      bool is_set, pang_err *err)
{
    const pang_option *option = &pang_options[id];
    value v = {.len = text.len, .is_set = is_set};
    if (text.len > PANG_CONFIG_VALUE_MAX || pang_str_find(text, '\0') < text.len)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s is too long or holds a NUL", source);
    if (!parse_number(option, text, &v.number))
        return refuse(option, source, err);
    if (option->type == PANG_OPTION_CHOICE && !is_choice(text, option->choices))
        return refuse(option, source, err);
    v.text = malloc(text.len + 1);
    if (v.text == NULL)
        return pang_fail_memory(err);
    if (text.len > 0)
        memcpy(v.text, text.ptr, text.len);
    v.text[text.len] = '\0';
    if (option->type == PANG_OPTION_LIST && !parse_list(&v)) {
        value_free(&v);
        return refuse(option, source, err);
    }
    value_free(&config->values[id]);
    config->values[id] = v;
    return PANG_OK;
}

/* ---- names ---- */

static bool find_name(pang_str name, pang_option_id *ret)
{
    for (unsigned i = 0; i < PANG_OPT_COUNT; i++) {
        if (pang_str_equal(name, pang_str_from(pang_options[i].name))) {
            *ret = (pang_option_id)i;
            return true;
        }
    }
    return false;
}

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool are_swapped(pang_str a, pang_str b, size_t i, size_t j)
{
    return i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1];
}

/* How many letters must be put in, left out, changed or swapped with the next one to make one name
 * of the other. */
static size_t distance(pang_str a, pang_str b)
{
    /* Of the first i letters of a: i, and the two before. */
    size_t rows[3][NAME_MAX_BYTES + 1] = {{0}};
    if (a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        const size_t *last = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t changed = last[j - 1] + (a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1);
            row[j] = min_of(changed, min_of(last[j], row[j - 1]) + 1);
            if (are_swapped(a, b, i, j))
                row[j] = min_of(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

typedef enum { BY_FLAG, BY_KEY, BY_ENV } name_kind;

static const char *owner_of(unsigned programs)
{
    if ((programs & PANG_PROGRAM_SERVER) != 0)
        return "server";
    return (programs & PANG_PROGRAM_BRIDGE) != 0 ? "bridge" : "command-line client";
}

static pang_code refuse_unknown(name_kind kind, unsigned program, pang_str name, pang_err *err)
{
    static const char *const what[] = {"unknown flag \"--", "unknown key \"",
                                       "unknown environment variable \""};
    const char *best = NULL;
    name = pang_str_slice(name, 0, NAME_MAX_BYTES);
    size_t own = kind == BY_ENV ? name.len - (sizeof PREFIX - 1) : name.len;
    size_t least = own / NEAR_PART + 1;
    for (unsigned i = 0; i < PANG_OPT_COUNT; i++) {
        const char *known = kind == BY_ENV ? pang_options[i].env : pang_options[i].name;
        size_t d = distance(name, pang_str_from(known));
        bool ours = kind != BY_FLAG || (pang_options[i].programs & program) != 0;
        if (!ours && d == 0)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "flag \"--%s\" is the %s's", known,
                             owner_of(pang_options[i].programs));
        if (!ours)
            continue;
        if (d < least) {
            least = d;
            best = known;
        }
    }
    if (best == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s%" PANG_STR_FMT "\"", what[kind],
                         PANG_STR_ARG(name));
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                     "%s%" PANG_STR_FMT "\"; did you mean \"%s%s\"?", what[kind],
                     PANG_STR_ARG(name), kind == BY_FLAG ? "--" : "", best);
}

/* ---- sources ---- */

static pang_code load_defaults(pang_config *config, pang_err *err)
{
    for (unsigned i = 0; i < PANG_OPT_COUNT; i++) {
        pang_code code = take(config, (pang_option_id)i, pang_str_from(pang_options[i].fallback),
                              pang_options[i].name, false, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static pang_code load_environment(pang_config *config, char *const *environment, pang_err *err)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        pang_str rest = pang_str_from(*environment), name;
        bool known = false;
        if (!pang_str_next(&rest, '=', &name))
            continue;
        for (unsigned i = 0; i < PANG_OPT_COUNT && !known; i++) {
            if (!pang_str_equal(name, pang_str_from(pang_options[i].env)))
                continue;
            known = true;
            /* Set but empty is how many tools say "not set". */
            pang_code code = rest.len == 0 ? PANG_OK
                                           : take(config, (pang_option_id)i, rest,
                                                  pang_options[i].env, true, err);
            if (code != PANG_OK)
                return code;
        }
        if (!known) {
            pang_code code = pang_providers_take(&config->providers, name, true, rest, &known, err);
            if (code != PANG_OK)
                return code;
        }
        if (!known && pang_str_starts(name, PANG_STR(PREFIX)))
            return refuse_unknown(BY_ENV, 0, name, err);
    }
    return PANG_OK;
}

/* A flag that is none of the table's. */
static pang_code read_provider(pang_config *config, const pang_config_sources *from, int *at,
                               pang_str name, const char *text, pang_err *err)
{
    bool known = false;
    if (from->program == PANG_PROGRAM_SERVER && pang_providers_knows(name, false)) {
        if (text == NULL && *at + 1 >= from->argc)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "--%.64s needs a value", name.ptr);
        text = text != NULL ? text : from->argv[++*at];
        return pang_providers_take(&config->providers, name, false, pang_str_from(text), &known,
                                   err);
    }
    return refuse_unknown(BY_FLAG, from->program, name, err);
}

static pang_code read_flag(pang_config *config, const pang_config_sources *from, int *at,
                           pang_err *err)
{
    char source[NAME_MAX_BYTES + 3];
    pang_option_id id;
    pang_str rest = pang_str_from(from->argv[*at]), name;
    if (!pang_str_starts(rest, PANG_STR("--")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "unexpected argument \"%.64s\"",
                         from->argv[*at]);
    rest = pang_str_after(rest, 2);
    bool has_value = pang_str_find(rest, '=') < rest.len;
    (void)pang_str_next(&rest, '=', &name);
    if (!find_name(name, &id) || (pang_options[id].programs & from->program) == 0)
        return read_provider(config, from, at, name, has_value ? rest.ptr : NULL, err);
    (void)snprintf(source, sizeof source, "--%s", pang_options[id].name);
    if (!has_value && pang_options[id].type == PANG_OPTION_BOOL)
        return take(config, id, PANG_STR("true"), source, true, err);
    if (!has_value && *at + 1 >= from->argc)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s needs a value", source);
    return take(config, id, has_value ? rest : pang_str_from(from->argv[++*at]), source, true, err);
}

static pang_code load_flags(pang_config *config, const pang_config_sources *from, pang_err *err)
{
    for (int i = 1; i < from->argc; i++) {
        pang_code code = read_flag(config, from, &i, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static pang_code read_line(pang_config *config, pang_str line, const char *path, unsigned number,
                           pang_err *err)
{
    char source[PANG_ERR_MESSAGE_MAX / 2];
    pang_option_id id;
    pang_str name, text = pang_str_trim(line);
    if (text.len > 0 && text.ptr[text.len - 1] == '\r')
        text = pang_str_trim(pang_str_slice(text, 0, text.len - 1));
    if (text.len == 0 || text.ptr[0] == '#')
        return PANG_OK;
    bool has_value = pang_str_find(text, '=') < text.len;
    (void)pang_str_next(&text, '=', &name);
    name = pang_str_trim(name);
    text = pang_str_trim(text);
    if (!has_value)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%.128s line %u is not \"name = value\"",
                         path, number);
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = pang_str_slice(text, 1, text.len - 2);
    if (!find_name(name, &id)) {
        bool known = false;
        pang_code code = pang_providers_take(&config->providers, name, false, text, &known, err);
        if (code == PANG_OK && !known)
            code = refuse_unknown(BY_KEY, 0, name, err);
        if (code != PANG_OK)
            pang_err_detail(err, "%.128s line %u", path, number);
        return code;
    }
    (void)snprintf(source, sizeof source, "%s (%.128s line %u)", pang_options[id].name, path,
                   number);
    return take(config, id, text, source, true, err);
}

static pang_code read_whole(const char *path, char **ret, size_t *ret_len, pang_err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return pang_fail(err, PANG_NOT_FOUND, NULL, "could not open \"%.256s\": %s", path,
                         strerror(errno));
    char *text = malloc(PANG_CONFIG_FILE_MAX + 1);
    size_t len = text == NULL ? 0 : fread(text, 1, PANG_CONFIG_FILE_MAX + 1, file);
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (text == NULL)
        return pang_fail_memory(err);
    if (failed || len > PANG_CONFIG_FILE_MAX) {
        free(text);
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "could not read \"%.256s\" or it is "
                         "larger than %d bytes",
                         path, PANG_CONFIG_FILE_MAX);
    }
    *ret = text;
    *ret_len = len;
    return PANG_OK;
}

static pang_code load_file(pang_config *config, const char *path, pang_err *err)
{
    char *text = NULL;
    size_t len = 0;
    unsigned number = 0;
    pang_code code = read_whole(path, &text, &len, err);
    if (code != PANG_OK)
        return code;
    pang_str rest = {text, len}, line;
    while (code == PANG_OK && pang_str_next(&rest, '\n', &line))
        code = read_line(config, line, path, ++number, err);
    explicit_bzero(text, len);
    free(text);
    return code;
}

/* The file's name may itself come from a flag or the environment, so those are read twice: first
 * for it, then, over what the file gave, for all. */
static pang_code load_all(pang_config *config, const pang_config_sources *from, pang_err *err)
{
    pang_code code = load_defaults(config, err);
    if (code == PANG_OK)
        code = load_environment(config, from->environment, err);
    if (code == PANG_OK)
        code = load_flags(config, from, err);
    if (code != PANG_OK)
        return code;
    pang_str path = pang_config_text(config, PANG_OPT_CONFIG);
    if (path.len == 0)
        return PANG_OK;
    char *copy = strndup(path.ptr, path.len); /* the second reading replaces the value */
    if (copy == NULL)
        return pang_fail_memory(err);
    code = load_file(config, copy, err);
    free(copy);
    if (code == PANG_OK)
        code = load_environment(config, from->environment, err);
    if (code == PANG_OK)
        code = load_flags(config, from, err);
    return code;
}

/* The data folder is whole from here on, as a server names it in the records: relative to the
 * working folder, and without links where it is there. */
static pang_code find_data_folder(pang_config *config, pang_err *err)
{
    char whole[PATH_MAX], working[PATH_MAX];
    const value *given = &config->values[PANG_OPT_DATA_DIR];
    if (given->len == 0)
        return PANG_OK;
    if (realpath(given->text, whole) == NULL) {
        const char *rest = strncmp(given->text, "./", 2) == 0 ? given->text + 2 : given->text;
        if (rest[0] == '/')
            return PANG_OK;
        if (getcwd(working, sizeof working) == NULL)
            return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not name the working folder: %s",
                             strerror(errno));
        if ((size_t)snprintf(whole, sizeof whole, "%s/%s", working, rest) >= sizeof whole)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                             "data-dir (PANGOLIN_DATA_DIR) has too long a path");
    }
    return take(config, PANG_OPT_DATA_DIR, pang_str_from(whole), "data-dir (PANGOLIN_DATA_DIR)",
                given->is_set, err);
}

pang_code pang_config_load(const pang_config_sources *sources, pang_config **ret, pang_err *err)
{
    pang_config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return pang_fail_memory(err);
    pang_code code = load_all(config, sources, err);
    if (code == PANG_OK)
        code = find_data_folder(config, err);
    if (code != PANG_OK) {
        pang_config_free(config);
        return code;
    }
    *ret = config;
    return PANG_OK;
}

void pang_config_free(pang_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < PANG_OPT_COUNT; i++)
        value_free(&config->values[i]);
    pang_providers_free(&config->providers);
    free(config);
}

/* ---- getters ---- */

pang_str pang_config_text(const pang_config *config, pang_option_id id)
{
    assert(pang_options[id].type <= PANG_OPTION_SECRET);
    return (pang_str){config->values[id].text, config->values[id].len};
}

int64_t pang_config_int(const pang_config *config, pang_option_id id)
{
    assert(pang_options[id].type == PANG_OPTION_INT || pang_options[id].type == PANG_OPTION_BYTES ||
           pang_options[id].type == PANG_OPTION_MS);
    return config->values[id].number;
}

bool pang_config_bool(const pang_config *config, pang_option_id id)
{
    assert(pang_options[id].type == PANG_OPTION_BOOL);
    return config->values[id].number != 0;
}

size_t pang_config_list(const pang_config *config, pang_option_id id, const pang_str **ret)
{
    assert(pang_options[id].type == PANG_OPTION_LIST);
    *ret = config->values[id].list;
    return config->values[id].n_list;
}

bool pang_config_is_set(const pang_config *config, pang_option_id id)
{
    return config->values[id].is_set;
}

size_t pang_config_providers(const pang_config *config, const pang_config_provider **ret)
{
    *ret = config->providers.items;
    return config->providers.n;
}
