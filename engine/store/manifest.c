/* A manifest in memory, and as text. */
#include "store/manifest.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <string.h>

const char *bk_status_name(enum bk_status s)
{
    static const char *const names[] = {"ok", "partial", "failed"};

    return names[s];
}

void bk_mcomp_release(struct bk_mcomp *c)
{
    for (size_t i = 0; i < c->n_objects; i++) {
        free(c->objects[i].name);
        free(c->objects[i].role);
    }
    free(c->objects);
    free(c->name);
    free(c->group);
    free(c->source);
    free(c->plugin);
    free(c->error);
    free(c->hint);
    free(c->fingerprint);
    bk_refs_release(&c->stream);
    bk_part_of_release(&c->in);
    bk_strv_free(&c->transforms);
    json_decref(c->facts);
    memset(c, 0, sizeof(*c));
}

void bk_manifest_free(struct bk_manifest *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_comps; i++)
        bk_mcomp_release(&m->comps[i]);
    free(m->comps);
    bk_manifest_groups_release(m);
    bk_manifest_bundles_release(m);
    free(m->id);
    free(m->pipeline);
    free(m->type);
    free(m->parent);
    free(m->host);
    free(m->engine);
    bk_strv_free(&m->tags);
    json_decref(m->plugins);
    json_decref(m->pipeline_file);
    free(m);
}

/* The functions below return NULL when out of memory: a manifest that leaves something out without
 * a word would be worse than none. */

static json_t *whole(json_t *j, bool ok)
{
    if (ok)
        return j;
    json_decref(j);
    return NULL;
}

static json_t *strings_json(const struct bk_strv *v)
{
    json_t *a = json_array();
    bool ok = a;

    for (size_t i = 0; ok && i < v->n; i++)
        ok = json_array_append_new(a, json_string(v->items[i])) == 0;
    return whole(a, ok);
}

static json_t *object_json(const struct bk_object *o)
{
    json_t *j = json_object();

    bk_json_set_str(j, "name", o->name);
    bk_json_set_str(j, "role", o->role);
    bk_json_set_u64(j, "size", o->size);
    bk_json_set_str(j, "sha256", o->sha256);
    return j;
}

static json_t *objects_json(const struct bk_mcomp *c)
{
    json_t *a = json_array();
    bool ok = a;

    for (size_t i = 0; ok && i < c->n_objects; i++)
        ok = json_array_append_new(a, object_json(&c->objects[i])) == 0;
    return whole(a, ok);
}

static json_t *comp_json(const struct bk_mcomp *c)
{
    json_t *j = json_object();
    bool ok;

    bk_json_set_str(j, "name", c->name);
    bk_json_set_str(j, "kind", c->kind == BAKE_TREE ? "tree" : "blob");
    if (c->unordered)
        bk_json_set_bool(j, "unordered", true);
    bk_json_set_str(j, "status", bk_status_name(c->status));
    bk_json_set_str(j, "error", c->error);
    bk_json_set_str(j, "group", c->group);
    bk_json_set_str(j, "source", c->source);
    bk_json_set_str(j, "plugin", c->plugin);
    bk_json_set_u64(j, "bytes_in", c->bytes_in);
    bk_json_set_u64(j, "bytes_stored", c->bytes_stored);
    bk_json_set_u64(j, "entries", c->entries);
    if (c->has_stream) {
        bk_json_set_u64(j, "bytes_new", c->bytes_new);
        bk_json_set_u64(j, "unchanged", c->unchanged);
    }
    bk_json_set_u64(j, "warnings", c->warnings);
    bk_json_set_u64(j, "missing", c->missing);
    bk_json_set_real(j, "duration", (double)c->duration_ms / 1000.0);
    if (c->sha256[0])
        bk_json_set_str(j, "sha256", c->sha256);
    ok = json_object_set_new(j, "transforms", strings_json(&c->transforms)) == 0;
    if (c->has_stream)
        ok = ok && json_object_set_new(j, "stream", bk_mcomp_stream_json(c)) == 0;
    else
        ok = ok && json_object_set_new(j, "objects", objects_json(c)) == 0;
    if (c->in.bundle)
        ok = ok && json_object_set_new(j, "in", bk_part_of_json(&c->in)) == 0;
    bk_json_set_str(j, "fingerprint", c->fingerprint);
    if (c->facts)
        ok = ok && json_object_set(j, "facts", c->facts) == 0;
    return whole(j, ok);
}

static json_t *comps_json(const struct bk_manifest *m)
{
    json_t *a = json_array();
    bool ok = a;

    for (size_t i = 0; ok && i < m->n_comps; i++)
        ok = json_array_append_new(a, comp_json(&m->comps[i])) == 0;
    return whole(a, ok);
}

static json_t *totals_json(const struct bk_manifest *m)
{
    uint64_t in, stored, entries, warnings;
    json_t *j = json_object();

    bk_manifest_totals(m, &in, &stored, &entries, &warnings);
    bk_json_set_u64(j, "components", m->n_comps);
    bk_json_set_u64(j, "bytes_in", in);
    bk_json_set_u64(j, "bytes_stored", stored);
    bk_json_set_u64(j, "entries", entries);
    bk_json_set_u64(j, "warnings", warnings);
    return j;
}

json_t *bk_manifest_json(const struct bk_manifest *m)
{
    json_t *j = json_object();
    bool ok;

    bk_json_set_u64(j, "manifest_version", BK_MANIFEST_VERSION);
    bk_json_set_str(j, "id", m->id);
    bk_json_set_str(j, "pipeline", m->pipeline);
    bk_json_set_str(j, "type", m->type);
    bk_json_set_str(j, "parent", m->parent);
    ok = json_object_set_new(j, "tags", strings_json(&m->tags)) == 0;
    bk_json_set_time(j, "start", m->start_ns);
    bk_json_set_time(j, "end", m->end_ns);
    bk_json_set_str(j, "hostname", m->host);
    bk_json_set_str(j, "engine", m->engine);
    if (m->plugins)
        ok = ok && json_object_set(j, "plugins", m->plugins) == 0;
    bk_json_set_bool(j, "encrypted", m->encrypted);
    if (m->has_level)
        ok = ok &&
             json_object_set_new(j, "compression_level", json_integer(m->compression_level)) == 0;
    ok = ok && json_object_set_new(j, "components", comps_json(m)) == 0 &&
         json_object_set_new(j, "totals", totals_json(m)) == 0;
    if (m->n_groups)
        ok = ok && json_object_set_new(j, "groups", bk_manifest_groups_json(m)) == 0;
    if (m->packs_sha256[0])
        ok = ok && json_object_set_new(j, "packs", bk_manifest_packs_json(m)) == 0;
    if (m->n_bundles)
        ok = ok && json_object_set_new(j, "bundles", bk_manifest_bundles_json(m)) == 0;
    if (m->pipeline_file)
        ok = ok && json_object_set(j, "pipeline_file", m->pipeline_file) == 0;
    return whole(j, ok);
}

int bk_manifest_write(const struct bk_manifest *m, struct bk_buf *out, struct bk_err *err)
{
    json_t *j BK_JSON = bk_manifest_json(m);

    return j ? bk_json_seal(j, out, err) : bk_nomem(err);
}

bool bk_manifest_good(const struct bk_manifest *m)
{
    for (size_t i = 0; i < m->n_comps; i++)
        if (m->comps[i].status != BK_STATUS_OK)
            return false;
    return true;
}

struct bk_mcomp *bk_manifest_find(const struct bk_manifest *m, const char *component)
{
    for (size_t i = 0; i < m->n_comps; i++)
        if (bk_streq(m->comps[i].name, component))
            return &m->comps[i];
    return NULL;
}

const struct bk_object *bk_mcomp_object(const struct bk_mcomp *c, const char *role)
{
    for (size_t i = 0; i < c->n_objects; i++)
        if (bk_streq(c->objects[i].role, role))
            return &c->objects[i];
    return NULL;
}

void bk_manifest_totals(const struct bk_manifest *m, uint64_t *bytes_in, uint64_t *bytes_stored,
                        uint64_t *entries, uint64_t *warnings)
{
    *bytes_in = *bytes_stored = *entries = *warnings = 0;
    for (size_t i = 0; i < m->n_comps; i++) {
        *bytes_in += m->comps[i].bytes_in;
        *bytes_stored += m->comps[i].bytes_stored;
        *entries += m->comps[i].entries;
        *warnings += m->comps[i].warnings;
    }
    for (size_t i = 0; i < m->n_bundles; i++)
        *bytes_stored += m->bundles[i].size;
}
