/* What the manifest says of the groups that were held. */
#include "store/manifest.h"

void bk_mgroup_release(struct bk_mgroup *g)
{
    free(g->name);
    free(g->source);
    free(g->error);
    json_decref(g->facts);
    *g = (struct bk_mgroup){.name = NULL};
}

void bk_manifest_groups_release(struct bk_manifest *m)
{
    for (size_t i = 0; i < m->n_groups; i++)
        bk_mgroup_release(&m->groups[i]);
    free(m->groups);
    m->groups = NULL;
    m->n_groups = 0;
}

const struct bk_mgroup *bk_manifest_group(const struct bk_manifest *m, const char *source,
                                          const char *name)
{
    for (size_t i = 0; i < m->n_groups; i++)
        if (bk_streq(m->groups[i].source, source) && bk_streq(m->groups[i].name, name))
            return &m->groups[i];
    return NULL;
}

static json_t *group_json(const struct bk_mgroup *g)
{
    json_t *j = json_object();

    bk_json_set_str(j, "name", g->name);
    bk_json_set_str(j, "source", g->source);
    bk_json_set_real(j, "held_seconds", (double)g->held_ms / 1000.0);
    bk_json_set_str(j, "error", g->error);
    if (g->facts && json_object_set(j, "facts", g->facts) < 0) {
        json_decref(j);
        return NULL;
    }
    return j;
}

json_t *bk_manifest_groups_json(const struct bk_manifest *m)
{
    json_t *a = json_array();
    bool ok = a;

    for (size_t i = 0; ok && i < m->n_groups; i++)
        ok = json_array_append_new(a, group_json(&m->groups[i])) == 0;
    if (ok)
        return a;
    json_decref(a);
    return NULL;
}

static int parse_group(const json_t *j, const char *what, struct bk_mgroup *g, struct bk_err *err)
{
    const char *name, *source, *error = NULL;
    double seconds = json_number_value(json_object_get(j, "held_seconds"));
    json_t *facts = json_object_get(j, "facts");
    int rc;

    if ((rc = bk_json_str(j, what, "name", &name, err)) < 0 ||
        (rc = bk_json_str(j, what, "source", &source, err)) < 0 ||
        (rc = bk_json_opt_str(j, what, "error", &error, err)) < 0)
        return rc;
    g->name = bk_strdup(name);
    g->source = bk_strdup(source);
    g->error = bk_strdup(error);
    if (!g->name || !g->source || (error && !g->error))
        return bk_nomem(err);
    if (seconds > 0 && seconds < 1e9)
        g->held_ms = (uint64_t)(seconds * 1000.0 + 0.5);
    if (json_is_object(facts))
        g->facts = json_incref(facts);
    return BAKE_OK;
}

int bk_manifest_groups_parse(const json_t *j, const char *what, struct bk_manifest *m,
                             struct bk_err *err)
{
    const json_t *a = json_object_get(j, "groups");
    int rc = BAKE_OK;

    if (!a)
        return BAKE_OK;
    if (!json_is_array(a))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: 'groups' is not an array", what);
    m->groups = calloc(json_array_size(a) + 1, sizeof(*m->groups));
    if (!m->groups)
        return bk_nomem(err);
    for (size_t i = 0; i < json_array_size(a) && rc >= 0; i++)
        rc = parse_group(json_array_get(a, i), what, &m->groups[m->n_groups++], err);
    return rc;
}
