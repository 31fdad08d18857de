/* Reading a manifest that anybody may have written: every name and number is checked. */
#include "store/manifest.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

/* Where the parser is: what to call the thing in messages. */
struct ctx {
    const char *what;
    struct bk_err *err;
};

static int copy_str(const struct ctx *x, const json_t *j, const char *key, char **ret)
{
    const char *s;
    int rc = bk_json_str(j, x->what, key, &s, x->err);

    if (rc < 0)
        return rc;
    *ret = bk_strdup(s);
    return *ret ? BAKE_OK : bk_nomem(x->err);
}

static int copy_opt_str(const struct ctx *x, const json_t *j, const char *key, char **ret)
{
    const char *s = NULL;
    int rc = bk_json_opt_str(j, x->what, key, &s, x->err);

    if (rc < 0 || !s)
        return rc;
    *ret = bk_strdup(s);
    return *ret ? BAKE_OK : bk_nomem(x->err);
}

static int get_array(const struct ctx *x, const json_t *j, const char *key, const json_t **ret)
{
    int rc = bk_json_array(j, x->what, key, ret, x->err);

    /* That one lends objects too, which would read as empty arrays. */
    if (rc >= 0 && !json_is_array(*ret))
        rc = bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' is not an array", x->what, key);
    return rc;
}

static int get_sha256(const struct ctx *x, const json_t *j, char ret[BK_SHA256_HEX])
{
    unsigned char raw[BK_SHA256_LEN];
    const char *s;
    int rc = bk_json_str(j, x->what, "sha256", &s, x->err);

    if (rc < 0)
        return rc;
    if (!bk_unhex(s, raw, sizeof(raw)))
        return bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' is not a SHA-256 digest", x->what, s);
    memcpy(ret, s, BK_SHA256_HEX);
    return BAKE_OK;
}

/* What the sinks are promised of names. */
static bool is_printable(const char *name)
{
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        if (*p < 0x20 || *p >= 0x7f)
            return false;
    return true;
}

static int parse_object(const struct ctx *x, const json_t *j, struct bk_object *o)
{
    int rc;

    if ((rc = copy_str(x, j, "name", &o->name)) < 0 ||
        (rc = copy_str(x, j, "role", &o->role)) < 0 ||
        (rc = bk_json_u64(j, x->what, "size", &o->size, x->err)) < 0 ||
        (rc = get_sha256(x, j, o->sha256)) < 0)
        return rc;
    if (!bk_path_inside(o->name) || strlen(o->name) > 2000 || !is_printable(o->name))
        return bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' is not a name within the backup", x->what,
                       o->name);
    return BAKE_OK;
}

static int parse_objects(const struct ctx *x, const json_t *j, struct bk_mcomp *c)
{
    const json_t *a;
    int rc;

    if (c->has_stream)
        return BAKE_OK;
    if ((rc = get_array(x, j, "objects", &a)) < 0)
        return rc;
    c->objects = calloc(json_array_size(a) + 1, sizeof(*c->objects));
    if (!c->objects)
        return bk_nomem(x->err);
    for (size_t i = 0; i < json_array_size(a); i++) {
        c->n_objects++;
        rc = parse_object(x, json_array_get(a, i), &c->objects[i]);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

static int parse_strings(const struct ctx *x, const json_t *j, const char *key, struct bk_strv *v)
{
    const json_t *a;
    int rc = get_array(x, j, key, &a);

    for (size_t i = 0; rc >= 0 && i < json_array_size(a); i++) {
        const char *s = json_string_value(json_array_get(a, i));

        if (!s)
            return bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' holds something that is no string",
                           x->what, key);
        rc = bk_strv_add(v, s) < 0 ? bk_nomem(x->err) : BAKE_OK;
    }
    return rc;
}

/* A transform's name becomes part of a file name when its plugin is looked for. */
static int check_transforms(const struct ctx *x, const struct bk_mcomp *c)
{
    for (size_t i = 0; i < c->transforms.n; i++) {
        const char *t = c->transforms.items[i];

        if (!*t || strspn(t, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(t))
            return bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' is not a transform's name", x->what,
                           t);
    }
    return BAKE_OK;
}

static int parse_kind(const struct ctx *x, const json_t *j, struct bk_mcomp *c)
{
    const char *kind, *status;
    int rc;

    if ((rc = bk_json_str(j, x->what, "kind", &kind, x->err)) < 0 ||
        (rc = bk_json_str(j, x->what, "status", &status, x->err)) < 0)
        return rc;
    c->kind = bk_streq(kind, "tree") ? BAKE_TREE : bk_streq(kind, "blob") ? BAKE_BLOB : 0;
    if (!c->kind)
        return bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' is not a kind of component", x->what,
                       kind);
    for (int s = BK_STATUS_OK; s <= BK_STATUS_FAILED; s++) {
        if (bk_streq(status, bk_status_name((enum bk_status)s))) {
            c->status = (enum bk_status)s;
            return BAKE_OK;
        }
    }
    return bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' is not a status", x->what, status);
}

static int parse_numbers(const struct ctx *x, const json_t *j, struct bk_mcomp *c)
{
    double seconds = json_number_value(json_object_get(j, "duration"));
    int rc;

    if ((rc = bk_json_u64(j, x->what, "bytes_in", &c->bytes_in, x->err)) < 0 ||
        (rc = bk_json_u64(j, x->what, "bytes_stored", &c->bytes_stored, x->err)) < 0 ||
        (rc = bk_json_opt_u64(j, x->what, "entries", &c->entries, x->err)) < 0 ||
        (rc = bk_json_opt_u64(j, x->what, "bytes_new", &c->bytes_new, x->err)) < 0 ||
        (rc = bk_json_opt_u64(j, x->what, "unchanged", &c->unchanged, x->err)) < 0 ||
        (rc = bk_json_opt_u64(j, x->what, "warnings", &c->warnings, x->err)) < 0)
        return rc;
    if (seconds > 0 && seconds < 1e9)
        c->duration_ms = (uint64_t)(seconds * 1000.0 + 0.5);
    return bk_json_opt_u64(j, x->what, "missing", &c->missing, x->err);
}

static int parse_comp(const struct ctx *x, const json_t *j, const struct bk_manifest *m,
                      struct bk_mcomp *c)
{
    json_t *facts = json_object_get(j, "facts");
    int rc;

    if ((rc = copy_str(x, j, "name", &c->name)) < 0)
        return rc;
    if (!bk_name_ok(c->name))
        return bk_fail(x->err, BAKE_E_CORRUPT, "%s: '%s' cannot be a component's name", x->what,
                       c->name);
    if ((rc = parse_kind(x, j, c)) < 0 || (rc = parse_numbers(x, j, c)) < 0 ||
        (rc = bk_json_opt_bool(j, x->what, "unordered", &c->unordered, x->err)) < 0 ||
        (rc = copy_opt_str(x, j, "error", &c->error)) < 0 ||
        (rc = copy_opt_str(x, j, "group", &c->group)) < 0 ||
        (rc = copy_str(x, j, "source", &c->source)) < 0 ||
        (rc = copy_str(x, j, "plugin", &c->plugin)) < 0 ||
        (rc = copy_opt_str(x, j, "fingerprint", &c->fingerprint)) < 0 ||
        (rc = parse_strings(x, j, "transforms", &c->transforms)) < 0 ||
        (rc = check_transforms(x, c)) < 0 ||
        (rc = bk_mcomp_stream_parse(j, x->what, c, x->err)) < 0 ||
        (rc = parse_objects(x, j, c)) < 0 ||
        (rc = bk_part_of_parse(j, x->what, m, &c->in, x->err)) < 0)
        return rc;
    if (json_is_object(facts))
        c->facts = json_incref(facts);
    if (c->status == BK_STATUS_FAILED)
        return BAKE_OK;
    if (!c->has_stream && !c->in.bundle && !bk_mcomp_object(c, "data"))
        return bk_fail(x->err, BAKE_E_CORRUPT, "%s: component '%s' has no object with its data",
                       x->what, c->name);
    return get_sha256(x, j, c->sha256);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct bk_mcomp *const *)a)->name,
                  (*(const struct bk_mcomp *const *)b)->name);
}

static int check_twice(const struct ctx *x, const struct bk_manifest *m)
{
    const struct bk_mcomp **sorted = calloc(m->n_comps + 1, sizeof(*sorted));
    int rc = BAKE_OK;

    if (!sorted)
        return bk_nomem(x->err);
    for (size_t i = 0; i < m->n_comps; i++)
        sorted[i] = &m->comps[i];
    qsort(sorted, m->n_comps, sizeof(*sorted), by_name);
    for (size_t i = 1; i < m->n_comps && rc >= 0; i++)
        if (bk_streq(sorted[i - 1]->name, sorted[i]->name))
            rc = bk_fail(x->err, BAKE_E_CORRUPT, "%s: component '%s' stands there twice", x->what,
                         sorted[i]->name);
    free(sorted);
    return rc;
}

static int parse_comps(const struct ctx *x, const json_t *j, struct bk_manifest *m)
{
    const json_t *a;
    int rc = get_array(x, j, "components", &a);

    if (rc < 0)
        return rc;
    m->comps = calloc(json_array_size(a) + 1, sizeof(*m->comps));
    if (!m->comps)
        return bk_nomem(x->err);
    for (size_t i = 0; i < json_array_size(a); i++) {
        m->n_comps++;
        rc = parse_comp(x, json_array_get(a, i), m, &m->comps[i]);
        if (rc < 0)
            return rc;
    }
    return check_twice(x, m);
}

static int parse_head(const struct ctx *x, const json_t *j, const char *id, struct bk_manifest *m)
{
    const json_t *level = json_object_get(j, "compression_level");
    json_t *plugins = json_object_get(j, "plugins"), *file = json_object_get(j, "pipeline_file");
    int rc;

    if ((rc = copy_str(x, j, "id", &m->id)) < 0 ||
        (rc = copy_str(x, j, "pipeline", &m->pipeline)) < 0 ||
        (rc = copy_str(x, j, "type", &m->type)) < 0 ||
        (rc = copy_opt_str(x, j, "parent", &m->parent)) < 0 ||
        (rc = copy_str(x, j, "hostname", &m->host)) < 0 ||
        (rc = copy_str(x, j, "engine", &m->engine)) < 0 ||
        (rc = bk_json_time(j, x->what, "start", &m->start_ns, x->err)) < 0 ||
        (rc = bk_json_time(j, x->what, "end", &m->end_ns, x->err)) < 0 ||
        (rc = bk_json_opt_bool(j, x->what, "encrypted", &m->encrypted, x->err)) < 0 ||
        (rc = parse_strings(x, j, "tags", &m->tags)) < 0)
        return rc;
    if (!bk_streq(m->id, id))
        return bk_fail(x->err, BAKE_E_CORRUPT, "%s says that it is the manifest of '%s'", x->what,
                       m->id);
    m->has_level = json_is_integer(level);
    m->compression_level = json_integer_value(level);
    if (json_is_object(plugins))
        m->plugins = json_incref(plugins);
    if (json_is_object(file))
        m->pipeline_file = json_incref(file);
    return BAKE_OK;
}

int bk_manifest_parse(const char *text, size_t n, const char *id, struct bk_manifest **ret,
                      struct bk_err *err)
{
    json_t *j BK_JSON = NULL;
    char what[BK_ID_CAP + 32];
    struct ctx x = {what, err};
    struct bk_manifest *m;
    uint64_t version;
    int rc;

    (void)snprintf(what, sizeof(what), "manifest of '%s'", id);
    rc = bk_json_unseal(text, n, what, &j, err);
    if (rc < 0 || (rc = bk_json_u64(j, what, "manifest_version", &version, err)) < 0)
        return rc;
    if (version > BK_MANIFEST_VERSION)
        return bk_fail(err, BAKE_E_UNSUPPORTED,
                       "%s has version %llu; this bakengine reads up to %d\n"
                       "HINT: use the bakengine that wrote it, or a newer one",
                       what, (unsigned long long)version, BK_MANIFEST_VERSION);
    m = calloc(1, sizeof(*m));
    if (!m)
        return bk_nomem(err);
    rc = parse_head(&x, j, id, m);
    if (rc >= 0)
        rc = bk_manifest_packs_parse(j, what, m, err);
    if (rc >= 0)
        rc = bk_manifest_bundles_parse(j, what, m, err);
    if (rc >= 0)
        rc = bk_manifest_groups_parse(j, what, m, err);
    if (rc >= 0)
        rc = parse_comps(&x, j, m);
    if (rc < 0) {
        bk_manifest_free(m);
        return rc;
    }
    *ret = m;
    return BAKE_OK;
}
