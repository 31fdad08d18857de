/* A manifest's bundles: which objects at the root belong to the backup, and what stands where in
 * them. */
#include "base/cleanup.h"
#include "base/path.h"
#include "store/bundle.h"

#include <string.h>

void bk_part_of_release(struct bk_part_of *p)
{
    free(p->bundle);
    free(p->path);
    memset(p, 0, sizeof(*p));
}

void bk_manifest_bundles_release(struct bk_manifest *m)
{
    for (size_t i = 0; i < m->n_bundles; i++) {
        free(m->bundles[i].name);
        bk_strv_free(&m->bundles[i].transforms);
    }
    free(m->bundles);
    m->bundles = NULL;
    m->n_bundles = 0;
}

static const struct bk_bundle *find(const struct bk_manifest *m, const char *name)
{
    for (size_t i = 0; i < m->n_bundles; i++)
        if (bk_streq(m->bundles[i].name, name))
            return &m->bundles[i];
    return NULL;
}

const struct bk_bundle *bk_mcomp_bundle(const struct bk_manifest *m, const struct bk_mcomp *c)
{
    return c->in.bundle ? find(m, c->in.bundle) : NULL;
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static json_t *whole(json_t *j, bool ok)
{
    if (ok)
        return j;
    json_decref(j);
    return NULL;
}

static json_t *bundle_json(const struct bk_bundle *b)
{
    json_t *j = json_object(), *transforms = json_array();
    bool ok = j && transforms;

    bk_json_set_str(j, "name", b->name);
    bk_json_set_u64(j, "size", b->size);
    bk_json_set_str(j, "sha256", b->sha256[0] ? b->sha256 : NULL);
    bk_json_set_str(j, "plain_sha256", b->plain_sha256[0] ? b->plain_sha256 : NULL);
    for (size_t i = 0; ok && i < b->transforms.n; i++)
        ok = json_array_append_new(transforms, json_string(b->transforms.items[i])) == 0;
    ok = json_object_set_new(j, "transforms", transforms) == 0 && ok;
    return whole(j, ok);
}

json_t *bk_manifest_bundles_json(const struct bk_manifest *m)
{
    json_t *a = json_array();
    bool ok = a;

    for (size_t i = 0; ok && i < m->n_bundles; i++)
        ok = json_array_append_new(a, bundle_json(&m->bundles[i])) == 0;
    return whole(a, ok);
}

json_t *bk_part_of_json(const struct bk_part_of *p)
{
    json_t *j = json_object();

    bk_json_set_str(j, "bundle", p->bundle);
    bk_json_set_str(j, "path", p->path);
    bk_json_set_u64(j, "first", p->first);
    bk_json_set_u64(j, "entries", p->count);
    return j;
}

/* ---- from JSON ------------------------------------------------------------------------------- */

static int get_digest(const json_t *j, const char *what, const char *key, char ret[BK_SHA256_HEX],
                      struct bk_err *err)
{
    unsigned char raw[BK_SHA256_LEN];
    const char *s;
    int rc = bk_json_str(j, what, key, &s, err);

    if (rc < 0)
        return rc;
    if (!bk_unhex(s, raw, sizeof(raw)))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' is not a SHA-256 digest", what, s);
    memcpy(ret, s, BK_SHA256_HEX);
    return BAKE_OK;
}

/* A transform's name becomes part of a file name when its plugin is looked for. */
static int get_transforms(const json_t *j, const char *what, struct bk_strv *ret,
                          struct bk_err *err)
{
    const json_t *a;
    int rc = bk_json_array(j, what, "transforms", &a, err);

    for (size_t i = 0; rc >= 0 && i < json_array_size(a); i++) {
        const char *s = json_string_value(json_array_get(a, i));

        if (!s || !*s || strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(s))
            return bk_fail(err, BAKE_E_CORRUPT, "%s: a bundle's transform has no proper name",
                           what);
        rc = bk_strv_add(ret, s) < 0 ? bk_nomem(err) : BAKE_OK;
    }
    return rc;
}

static int parse_bundle(const json_t *j, const char *what, const struct bk_manifest *m,
                        struct bk_bundle *ret, struct bk_err *err)
{
    const char *name;
    int rc = bk_json_str(j, what, "name", &name, err);

    if (rc < 0)
        return rc;
    if (!bk_bundle_name_ok(name) || find(m, name))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' cannot be a bundle's name", what, name);
    if ((rc = bk_json_u64(j, what, "size", &ret->size, err)) < 0 ||
        (rc = get_digest(j, what, "sha256", ret->sha256, err)) < 0 ||
        (rc = get_digest(j, what, "plain_sha256", ret->plain_sha256, err)) < 0 ||
        (rc = get_transforms(j, what, &ret->transforms, err)) < 0)
        return rc;
    ret->name = bk_strdup(name);
    return ret->name ? BAKE_OK : bk_nomem(err);
}

int bk_manifest_bundles_parse(const json_t *j, const char *what, struct bk_manifest *m,
                              struct bk_err *err)
{
    const json_t *a = json_object_get(j, "bundles");
    int rc = BAKE_OK;

    if (!a)
        return BAKE_OK;
    if (!json_is_array(a))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: 'bundles' is not an array", what);
    m->bundles = calloc(json_array_size(a) + 1, sizeof(*m->bundles));
    if (!m->bundles)
        return bk_nomem(err);
    for (size_t i = 0; i < json_array_size(a) && rc >= 0; i++) {
        rc = parse_bundle(json_array_get(a, i), what, m, &m->bundles[i], err);
        m->n_bundles++; /* also one that is not whole: it is released with the others */
    }
    return rc;
}

int bk_part_of_parse(const json_t *j, const char *what, const struct bk_manifest *m,
                     struct bk_part_of *ret, struct bk_err *err)
{
    const json_t *in = json_object_get(j, "in");
    const char *bundle, *path;
    int rc;

    if (!in)
        return BAKE_OK;
    if ((rc = bk_json_str(in, what, "bundle", &bundle, err)) < 0 ||
        (rc = bk_json_str(in, what, "path", &path, err)) < 0 ||
        (rc = bk_json_u64(in, what, "first", &ret->first, err)) < 0 ||
        (rc = bk_json_u64(in, what, "entries", &ret->count, err)) < 0)
        return rc;
    if (!find(m, bundle))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: there is no bundle '%s'", what, bundle);
    if (!bk_path_inside(path) || ret->first > UINT64_MAX - ret->count)
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' cannot stand in a bundle like that", what,
                       path);
    ret->bundle = bk_strdup(bundle);
    ret->path = bk_strdup(path);
    return ret->bundle && ret->path ? BAKE_OK : bk_nomem(err);
}
