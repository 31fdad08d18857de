/* The dry run's groups: what would be stopped, and for how long it was the last time. */
#include "run/backup.h"

#include "base/cleanup.h"
#include "run/group.h"

/* The store, only to be read: a dry run makes none, and one that is not there yet is no mistake.
 * *ret NULL: nothing is known. */
static void open_catalog(struct bk_session *s, struct bk_store **ret_store, struct bk_catalog **ret)
{
    struct bk_err ignored = {0};

    *ret = NULL;
    if (bk_store_open(s->pipeline, s->registry, s->cancel, BK_STORE_READ, NULL, ret_store,
                      &ignored) < 0) {
        *ret_store = NULL;
        return;
    }
    if (bk_catalog_load(bk_store_base(*ret_store), s->pipeline->name, s->host, 0, ret, &ignored) <
        0)
        *ret = NULL;
}

/* In the newest backup for which it was held. */
static void add_last(const struct bk_catalog *c, const struct bk_group *g, json_t *j)
{
    for (size_t i = c ? c->n : 0; i-- > 0;) {
        const struct bk_manifest *m = c->backups[i].manifest;
        const struct bk_mgroup *last =
            m ? bk_manifest_group(m, g->source->part->name, g->name) : NULL;
        const json_t *stopped;

        if (!last)
            continue;
        stopped = json_object_get(last->facts, "stopped_seconds");
        if (json_is_number(stopped))
            bk_json_set_real(j, "last_stopped_seconds", json_number_value(stopped));
        bk_json_set_real(j, "last_held_seconds", (double)last->held_ms / 1000.0);
        bk_json_set_str(j, "last_backup", m->id);
        return;
    }
}

static int add_group(struct bk_session *s, const struct bk_plan *p, const struct bk_group *g,
                     const struct bk_catalog *c, json_t *list, struct bk_err *err)
{
    json_t *j = json_object(), *names = json_array(), *facts = NULL;
    struct bk_err why = {0};
    int rc = bk_group_preview(s, p, g, &facts, &why);

    bk_json_set_str(j, "name", g->name);
    bk_json_set_str(j, "source", g->source->part->name);
    for (size_t i = 0; i < g->n_items; i++)
        json_array_append_new(names, json_string(p->items[g->items[i]].name));
    json_object_set_new(j, "components", names);
    if (facts)
        json_object_set_new(j, "facts", facts);
    if (rc < 0)
        bk_json_set_str(j, "error", why.text);
    add_last(c, g, j);
    json_array_append_new(list, j);
    if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM)
        return BAKE_OK;
    if (err)
        *err = why;
    return rc;
}

int bk_run_plan_groups(struct bk_session *s, const struct bk_plan *p, json_t **ret,
                       struct bk_err *err)
{
    json_t *list = json_array();
    struct bk_catalog *catalog = NULL;
    struct bk_store *store = NULL;
    struct bk_group *groups;
    size_t n;
    int rc = bk_groups_find(p, false, &groups, &n, err);

    if (rc < 0) {
        json_decref(list);
        return rc;
    }
    if (n > 0)
        open_catalog(s, &store, &catalog);
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = add_group(s, p, &groups[i], catalog, list, err);
    bk_catalog_free(catalog);
    bk_store_close(store);
    bk_groups_free(groups, n);
    if (rc < 0)
        json_decref(list);
    else
        *ret = list;
    return rc;
}
