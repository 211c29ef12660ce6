/*
 * Calls that change something.
 */
#include <stdio.h>
#include <string.h>

#include "server/manifest.h"
#include "tests/versions/real.h"

#include "pangolin/v1/asset.pb-c.h"
#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/catalog.pb-c.h"
#include "pangolin/v1/view.pb-c.h"
#include "pangolin/v1/warehouse.pb-c.h"

/* Of files, below the fixture's folder; named as its catalog, since a kept store has others. */
static void make_warehouse(world *w)
{
    Pangolin__V1__CreateWarehouseRequest in = PANGOLIN__V1__CREATE_WAREHOUSE_REQUEST__INIT;
    Pangolin__V1__CreateWarehouseResponse out;
    Pangolin__V1__CreateWarehouseRequest__StorageConfigEntry
        entry = PANGOLIN__V1__CREATE_WAREHOUSE_REQUEST__STORAGE_CONFIG_ENTRY__INIT,
        *list[1] = {&entry};
    entry.key = TEXT("type");
    entry.value = TEXT("file");
    in.name = w->catalog;
    in.storage_config = list;
    in.n_storage_config = 1;
    if (fx_call(w->fx, "CreateWarehouse", &in, &out) != PANG_OK)
        fail_msg("warehouse %s: %s", w->catalog, w->fx->err.message);
}

void real_open(world *w, fixture *fx, model *m, uint64_t seed)
{
    Pangolin__V1__CreateCatalogRequest in = PANGOLIN__V1__CREATE_CATALOG_REQUEST__INIT;
    Pangolin__V1__CreateCatalogResponse out;
    pang_id salt = pang_id_v4(&fx->env);
    *w = (world){.fx = fx, .m = m, .seed = seed};
    /* A store that is kept may have one of this seed already. */
    (void)snprintf(w->catalog, sizeof w->catalog, "s%lu-%02x%02x%02x", (unsigned long)seed,
                   salt.bytes[0], salt.bytes[1], salt.bytes[2]);
    in.name = w->catalog;
    in.catalog_type = TEXT("Local");
    in.warehouse_name = w->catalog;
    make_warehouse(w);
    if (fx_call(fx, "CreateCatalog", &in, &out) != PANG_OK)
        fail_msg("catalog %s: %s", w->catalog, fx->err.message);
}

/* ---- addresses ---- */

char *real_prefix(const world *w, const char *ref)
{
    if (w->by_name)
        return TEXT(w->catalog);
    return fx_text(w->fx, "%s@%s", w->catalog, ref);
}

char **real_levels(const world *w, int space, const char *ref, size_t *ret_n)
{
    char **levels = fx_levels(w->fx, space_names[space], ret_n);
    if (ref != NULL && w->by_name)
        levels[*ret_n - 1] = fx_text(w->fx, "%s@%s", levels[*ret_n - 1], ref);
    return levels;
}

char *real_title(const world *w, int title, const char *ref)
{
    return w->by_name ? fx_text(w->fx, "t%d@%s", title, ref) : fx_text(w->fx, "t%d", title);
}

/* ---- namespaces ---- */

pang_code real_create_space(world *w, const char *ref, int space, int property, int value)
{
    Pangolin__V1__CreateNamespaceRequest in = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__CreateNamespaceResponse out;
    Pangolin__V1__CreateNamespaceRequest__PropertiesEntry
        entry = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__PROPERTIES_ENTRY__INIT,
        *list[1] = {&entry};
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, space, ref, &in.n_namespace_);
    entry.key = fx_text(w->fx, "p%d", property);
    entry.value = fx_text(w->fx, "v%d", value);
    in.properties = list;
    in.n_properties = 1;
    return fx_call(w->fx, "CreateNamespace", &in, &out);
}

pang_code real_change_space(world *w, const char *ref, const change *c)
{
    typedef Pangolin__V1__UpdateNamespacePropertiesRequest request;
    request in = PANGOLIN__V1__UPDATE_NAMESPACE_PROPERTIES_REQUEST__INIT;
    Pangolin__V1__UpdateNamespacePropertiesResponse out;
    Pangolin__V1__UpdateNamespacePropertiesRequest__UpdatesEntry
        entry = PANGOLIN__V1__UPDATE_NAMESPACE_PROPERTIES_REQUEST__UPDATES_ENTRY__INIT,
        *list[1] = {&entry};
    char *name = fx_text(w->fx, "p%d", c->property);
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, c->space, ref, &in.n_namespace_);
    if (c->value == 0) {
        in.removals = &name;
        in.n_removals = 1;
    } else {
        entry.key = name;
        entry.value = fx_text(w->fx, "v%d", c->value);
        in.updates = list;
        in.n_updates = 1;
    }
    return fx_call(w->fx, "UpdateNamespaceProperties", &in, &out);
}

pang_code real_drop_space(world *w, const char *ref, int space)
{
    Pangolin__V1__DropNamespaceRequest in = PANGOLIN__V1__DROP_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__DropNamespaceResponse out;
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, space, ref, &in.n_namespace_);
    return fx_call(w->fx, "DropNamespace", &in, &out);
}

/* ---- assets ---- */

const pang_json *real_parse(world *w, ProtobufCBinaryData bytes)
{
    pang_json *document;
    pang_str text = {(const char *)bytes.data, bytes.len};
    if (pang_json_parse(text, w->fx->arena, &document, &w->fx->err) != PANG_OK)
        fail_msg("%s: %s", w->step, w->fx->err.message);
    return document;
}

pang_str real_text_at(const pang_json *object, const char *name)
{
    pang_str text = {0};
    (void)pang_json_to_str(pang_json_get(object, name), &text);
    return text;
}

int64_t real_number_at(const pang_json *object, const char *name, int64_t otherwise)
{
    int64_t value;
    return pang_json_to_int64(pang_json_get(object, name), &value) ? value : otherwise;
}

const pang_json *real_with_number(const pang_json *list, const char *name, int64_t number)
{
    for (size_t i = 0; i < pang_json_size(list); i++)
        if (real_number_at(pang_json_at(list, i), name, -1) == number)
            return pang_json_at(list, i);
    return NULL;
}

void real_keep_id(world *w, int made, pang_str id)
{
    assert_true(made < MADE && id.len < sizeof w->ids[made]);
    memcpy(w->ids[made], id.ptr, id.len);
}

pang_code real_create_table(world *w, const char *ref, int space, int title, int made)
{
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    Pangolin__V1__CreateTableResponse out;
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, space, NULL, &in.n_namespace_);
    in.name = real_title(w, title, ref);
    in.schema = fx_bytes(FX_SCHEMA);
    pang_code code = fx_call(w->fx, "CreateTable", &in, &out);
    if (code == PANG_OK)
        real_keep_id(w, made, real_text_at(real_parse(w, out.metadata), "table-uuid"));
    return code;
}

pang_code real_create_asset(world *w, const char *ref, const change *c, int made)
{
    Pangolin__V1__CreateAssetRequest in = PANGOLIN__V1__CREATE_ASSET_REQUEST__INIT;
    Pangolin__V1__CreateAssetResponse out;
    Pangolin__V1__CreateAssetRequest__PropertiesEntry
        entry = PANGOLIN__V1__CREATE_ASSET_REQUEST__PROPERTIES_ENTRY__INIT,
        *list[1] = {&entry};
    in.catalog = real_prefix(w, ref);
    in.namespace_ = real_levels(w, c->space, NULL, &in.n_namespace_);
    in.name = real_title(w, c->title, ref);
    in.kind = TEXT("PARQUET_TABLE");
    in.location = TEXT("s3://elsewhere/things");
    entry.key = fx_text(w->fx, "p%d", c->property);
    entry.value = fx_text(w->fx, "v%d", c->value);
    in.properties = list;
    in.n_properties = 1;
    pang_code code = fx_call(w->fx, "CreateAsset", &in, &out);
    if (code == PANG_OK)
        real_keep_id(w, made, pang_str_from(out.id));
    return code;
}

static pang_code drop_table(world *w, const char *ref, const item *it)
{
    Pangolin__V1__DropTableRequest in = PANGOLIN__V1__DROP_TABLE_REQUEST__INIT;
    Pangolin__V1__DropTableResponse out;
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, it->space, NULL, &in.n_namespace_);
    in.table = real_title(w, it->title, ref);
    return fx_call(w->fx, "DropTable", &in, &out);
}

static pang_code drop_view(world *w, const char *ref, const item *it)
{
    Pangolin__V1__DropViewRequest in = PANGOLIN__V1__DROP_VIEW_REQUEST__INIT;
    Pangolin__V1__DropViewResponse out;
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, it->space, NULL, &in.n_namespace_);
    in.view = real_title(w, it->title, ref);
    return fx_call(w->fx, "DropView", &in, &out);
}

pang_code real_drop(world *w, const char *ref, const item *it)
{
    return it->kind == VIEW ? drop_view(w, ref, it) : drop_table(w, ref, it);
}

pang_code real_rename(world *w, const char *ref, const item *from, int space, int title)
{
    Pangolin__V1__RenameTableRequest in = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    Pangolin__V1__RenameViewRequest of_view = PANGOLIN__V1__RENAME_VIEW_REQUEST__INIT;
    Pangolin__V1__RenameTableResponse out;
    Pangolin__V1__RenameViewResponse out_of_view;
    Pangolin__V1__TableIdentifier old = PANGOLIN__V1__TABLE_IDENTIFIER__INIT, new = old;
    in.prefix = of_view.prefix = real_prefix(w, ref);
    old.namespace_ = real_levels(w, from->space, NULL, &old.n_namespace_);
    old.name = real_title(w, from->title, ref);
    new.namespace_ = real_levels(w, space, NULL, &new.n_namespace_);
    new.name = real_title(w, title, ref);
    in.source = of_view.source = &old;
    in.destination = of_view.destination = &new;
    return from->kind == VIEW ? fx_call(w->fx, "RenameView", &of_view, &out_of_view)
                              : fx_call(w->fx, "RenameTable", &in, &out);
}

/* ---- changes of tables ---- */

static char *json_text(world *w, pang_buf *buf)
{
    pang_buf_add_char(buf, '\0');
    (void)w;
    return TEXT(pang_buf_str(buf).ptr);
}

static char *schema_update(world *w, const change *c)
{
    pang_buf out = {.arena = w->fx->arena};
    pang_buf_printf(&out, "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"fields\":["
                          "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
                          "{\"id\":2,\"name\":\"data\",\"required\":false,\"type\":\"string\"}");
    for (int i = 0; i < c->before->n_columns; i++)
        pang_buf_printf(&out,
                        ",{\"id\":%d,\"name\":\"c%d\",\"required\":false,\"type\":\"string\"}",
                        c->before->columns[i].id, c->before->columns[i].number);
    pang_buf_printf(&out,
                    ",{\"id\":%d,\"name\":\"c%d\",\"required\":false,\"type\":\"string\"}]}},"
                    "{\"action\":\"set-current-schema\",\"schema-id\":-1}]",
                    c->id, c->column);
    return json_text(w, &out);
}

static const pang_json *current_snapshot(const pang_json *document)
{
    return real_with_number(pang_json_get(document, "snapshots"), "snapshot-id",
                            real_number_at(document, "current-snapshot-id", -1));
}

static pang_str read_file(world *w, const char *location)
{
    FILE *file = fopen(fx_path(location), "rb");
    pang_buf bytes = {.arena = w->fx->arena};
    char piece[4096];
    size_t n;
    if (file == NULL)
        fail_msg("%s: no file %s", w->step, location);
    while ((n = fread(piece, 1, sizeof piece, file)) > 0)
        pang_buf_add(&bytes, (pang_str){piece, n});
    assert_int_equal(fclose(file), 0);
    return pang_buf_str(&bytes);
}

static void write_file(world *w, pang_str location, pang_str bytes)
{
    FILE *file = fopen(fx_path(pang_arena_cstr(w->fx->arena, location)), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
    assert_int_equal(fclose(file), 0);
}

static void ok(world *w, pang_code code)
{
    if (code != PANG_OK)
        fail_msg("seed %lu, %s: %d %s", (unsigned long)w->seed, w->step, code, w->fx->err.message);
}

/* The manifests of a document's current snapshot. */
static size_t manifests_of(world *w, const pang_json *document, pang_manifest **ret)
{
    const pang_json *snapshot = current_snapshot(document);
    size_t n = 0;
    *ret = NULL;
    if (snapshot == NULL)
        return 0;
    pang_str list = real_text_at(snapshot, "manifest-list");
    ok(w, pang_manifest_list_read(read_file(w, pang_arena_cstr(w->fx->arena, list)), w->fx->arena,
                                  ret, &n, &w->fx->err));
    return n;
}

/* A manifest with one file. The file itself is nobody's business. */
static void write_manifest(world *w, const pang_json *document, const change *c, int64_t snapshot,
                           pang_manifest *row)
{
    fixture *fx = w->fx;
    pang_str bytes, location = real_text_at(document, "location");
    pang_manifest_entry entry = {
        .status = PANG_ENTRY_ADDED,
        .has_snapshot_id = true,
        .snapshot_id = snapshot,
        .format = PANG_STR("PARQUET"),
        .record_count = 1,
        .file_size = 100,
    };
    const pang_manifest_entry *entries[1] = {&entry};
    entry.path = pang_arena_printf(fx->arena, "%" PANG_STR_FMT "/data/f%d.parquet",
                                   PANG_STR_ARG(location), c->file);
    pang_manifest_new manifest = {
        .format_version = 2,
        .schema = pang_json_at(pang_json_get(document, "schemas"), 0),
        .spec = pang_json_at(pang_json_get(document, "partition-specs"), 0),
        .codec = PANG_CODEC_NULL,
        .entries = entries,
        .n = 1,
    };
    ok(w, pang_manifest_write(&manifest, &fx->env, fx->arena, &bytes, row, &fx->err));
    row->path = pang_arena_printf(fx->arena, "%" PANG_STR_FMT "/metadata/m%d.avro",
                                  PANG_STR_ARG(location), c->file);
    write_file(w, row->path, bytes);
}

static pang_str write_list(world *w, const pang_json *document, const change *c, int64_t snapshot)
{
    fixture *fx = w->fx;
    pang_manifest *before, *all;
    size_t n = manifests_of(w, document, &before);
    pang_str bytes,
        path = pang_arena_printf(fx->arena, "%" PANG_STR_FMT "/metadata/l%d.avro",
                                 PANG_STR_ARG(real_text_at(document, "location")), c->file);
    all = pang_arena_alloc_n(fx->arena, n + 1, sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = before[i];
    write_manifest(w, document, c, snapshot, &all[n]);
    pang_manifest_list_new list = {
        .format_version = 2,
        .codec = PANG_CODEC_NULL,
        .snapshot_id = snapshot,
        .parent_id = real_number_at(document, "current-snapshot-id", -1),
        .sequence = real_number_at(document, "last-sequence-number", 0) + 1,
        .manifests = all,
        .n = n + 1,
    };
    ok(w, pang_manifest_list_write(&list, &fx->env, fx->arena, &bytes, NULL, &fx->err));
    write_file(w, path, bytes);
    return path;
}

static const pang_json *load(world *w, const char *ref, int space, int title)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    Pangolin__V1__LoadTableResponse out;
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, space, NULL, &in.n_namespace_);
    in.table = real_title(w, title, ref);
    pang_code code = fx_call(w->fx, "LoadTable", &in, &out);
    return code == PANG_OK ? real_parse(w, out.metadata) : NULL;
}

static char *append_update(world *w, const char *ref, const change *c)
{
    const pang_json *document = load(w, ref, c->space, c->title);
    if (document == NULL)
        return TEXT("[]");
    pang_buf out = {.arena = w->fx->arena};
    int64_t id = 1000 + c->file, parent = real_number_at(document, "current-snapshot-id", -1);
    pang_str list = write_list(w, document, c, id);
    pang_buf_printf(&out, "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":%lld,",
                    (long long)id);
    if (parent != -1)
        pang_buf_printf(&out, "\"parent-snapshot-id\":%lld,", (long long)parent);
    pang_buf_printf(&out,
                    "\"sequence-number\":%lld,\"timestamp-ms\":%lld,\"schema-id\":%lld,"
                    "\"manifest-list\":\"%" PANG_STR_FMT "\","
                    "\"summary\":{\"operation\":\"append\"}}},"
                    "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
                    "\"snapshot-id\":%lld}]",
                    (long long)real_number_at(document, "last-sequence-number", 0) + 1,
                    (long long)pang_env_wall_ms(&w->fx->env),
                    (long long)real_number_at(document, "current-schema-id", 0), PANG_STR_ARG(list),
                    (long long)id);
    return json_text(w, &out);
}

char *real_property_update(const world *w, const change *c)
{
    if (c->value == 0)
        return fx_text(w->fx, "[{\"action\":\"remove-properties\",\"removals\":[\"p%d\"]}]",
                       c->property);
    return fx_text(w->fx, "[{\"action\":\"set-properties\",\"updates\":{\"p%d\":\"v%d\"}}]",
                   c->property, c->value);
}

static char *updates_of(world *w, const char *ref, const change *c)
{
    if (c->file >= 0)
        return append_update(w, ref, c);
    if (c->column != 0)
        return schema_update(w, c);
    return real_property_update(w, c);
}

pang_code real_change_table(world *w, const char *ref, const change *c)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    in.updates = fx_bytes(updates_of(w, ref, c));
    in.requirements = fx_bytes("[]");
    in.prefix = real_prefix(w, ref);
    in.namespace_ = real_levels(w, c->space, NULL, &in.n_namespace_);
    in.table = real_title(w, c->title, ref);
    return fx_call(w->fx, "CommitTable", &in, &out);
}

pang_code real_change_tables(world *w, const char *ref, const change *list, size_t n)
{
    Pangolin__V1__CommitTransactionRequest in = PANGOLIN__V1__COMMIT_TRANSACTION_REQUEST__INIT;
    Pangolin__V1__CommitTransactionResponse out;
    pang_arena *arena = w->fx->arena;
    Pangolin__V1__TableIdentifier *names = pang_arena_alloc_n(arena, n, sizeof *names);
    Pangolin__V1__TableChange *changes = pang_arena_alloc_n(arena, n, sizeof *changes);
    in.table_changes = pang_arena_alloc_n(arena, n, sizeof *in.table_changes);
    for (size_t i = 0; i < n; i++) {
        names[i] = (Pangolin__V1__TableIdentifier)PANGOLIN__V1__TABLE_IDENTIFIER__INIT;
        changes[i] = (Pangolin__V1__TableChange)PANGOLIN__V1__TABLE_CHANGE__INIT;
        names[i].namespace_ = real_levels(w, list[i].space, NULL, &names[i].n_namespace_);
        names[i].name = real_title(w, list[i].title, ref);
        changes[i].identifier = &names[i];
        changes[i].requirements = fx_bytes("[]");
        changes[i].updates = fx_bytes(updates_of(w, ref, &list[i]));
        in.table_changes[i] = &changes[i];
    }
    in.n_table_changes = n;
    in.prefix = real_prefix(w, ref);
    return fx_call(w->fx, "CommitTransaction", &in, &out);
}

/* ---- refs ---- */

pang_code real_create_branch(world *w, const char *name, const char *from, bool ingest,
                             char **assets, size_t n)
{
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out;
    in.catalog = w->catalog;
    in.name = TEXT(name);
    in.from = TEXT(from);
    in.branch_type = ingest ? TEXT("ingest") : TEXT("experimental");
    in.assets = assets;
    in.n_assets = n;
    return fx_call(w->fx, "CreateBranch", &in, &out);
}

static Pangolin__V1__UpdateBranchRequest update_of(world *w, const char *name)
{
    Pangolin__V1__UpdateBranchRequest in = PANGOLIN__V1__UPDATE_BRANCH_REQUEST__INIT;
    in.catalog = w->catalog;
    in.branch = TEXT(name);
    return in;
}

pang_code real_rename_branch(world *w, const char *name, const char *to)
{
    Pangolin__V1__UpdateBranchRequest in = update_of(w, name);
    Pangolin__V1__UpdateBranchResponse out;
    in._name_case = PANGOLIN__V1__UPDATE_BRANCH_REQUEST___NAME_NAME;
    in.name = TEXT(to);
    return fx_call(w->fx, "UpdateBranch", &in, &out);
}

pang_code real_protect_branch(world *w, const char *name, bool on)
{
    Pangolin__V1__UpdateBranchRequest in = update_of(w, name);
    Pangolin__V1__UpdateBranchResponse out;
    in._protected_case = PANGOLIN__V1__UPDATE_BRANCH_REQUEST___PROTECTED_PROTECTED;
    in.protected_ = on;
    return fx_call(w->fx, "UpdateBranch", &in, &out);
}

pang_code real_delete_branch(world *w, const char *name)
{
    Pangolin__V1__DeleteBranchRequest in = PANGOLIN__V1__DELETE_BRANCH_REQUEST__INIT;
    Pangolin__V1__DeleteBranchResponse out;
    in.catalog = w->catalog;
    in.name = TEXT(name);
    return fx_call(w->fx, "DeleteBranch", &in, &out);
}

pang_code real_create_tag(world *w, const char *name, const char *from)
{
    Pangolin__V1__CreateTagRequest in = PANGOLIN__V1__CREATE_TAG_REQUEST__INIT;
    Pangolin__V1__CreateTagResponse out;
    bool id = strlen(from) == PANG_ID_TEXT;
    in.catalog = w->catalog;
    in.name = TEXT(name);
    in.from = id ? TEXT("") : TEXT(from);
    in.commit_id = id ? TEXT(from) : TEXT("");
    return fx_call(w->fx, "CreateTag", &in, &out);
}

pang_code real_delete_tag(world *w, const char *name)
{
    Pangolin__V1__DeleteTagRequest in = PANGOLIN__V1__DELETE_TAG_REQUEST__INIT;
    Pangolin__V1__DeleteTagResponse out;
    in.catalog = w->catalog;
    in.name = TEXT(name);
    return fx_call(w->fx, "DeleteTag", &in, &out);
}
