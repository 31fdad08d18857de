/* From a manifest's transform names to plugins with options. */
#include "store/transforms.h"

#include "config/options.h"

#include <stdlib.h>

static const struct bk_transform *of_pipeline(const struct bk_store *s, const char *name)
{
    for (size_t i = 0; i < s->n_transforms; i++)
        if (bk_streq(s->transforms[i].plugin->desc.name, name))
            return &s->transforms[i];
    return NULL;
}

static void default_free(struct bk_default *d)
{
    bk_optmem_free(d->mem);
    free(d->cfg);
    free(d);
}

static int fill_defaults(struct bk_default *d, const struct bk_plugin *plugin, struct bk_err *err)
{
    struct bk_opt_job job = {.options = plugin->options, .what = plugin->full_name, .dir = "/"};
    struct bk_diags *diags = NULL;
    int rc;

    d->cfg = calloc(1, plugin->desc.config_size + 1);
    if (!d->cfg)
        return bk_nomem(err);
    d->transform.plugin = plugin;
    d->transform.cfg = d->cfg;
    if ((rc = bk_optmem_new(&d->mem, err)) < 0 ||
        (rc = bk_diags_new(plugin->full_name, &diags, err)) < 0)
        return rc;
    rc = bk_options_apply(&job, NULL, d->cfg, d->mem, diags, err);
    if (rc >= 0 && bk_diags_errors(diags) > 0)
        rc = bk_fail(err, BAKE_E_CONFIG,
                     "transform '%s' cannot be reversed without options\n"
                     "HINT: name the pipeline file instead of the store's address",
                     plugin->desc.name);
    bk_diags_free(diags);
    return rc;
}

/* Options at their defaults, made once per plugin and kept with the store. */
static int with_defaults(struct bk_store *s, const char *name, struct bk_transform *ret,
                         struct bk_err *err)
{
    struct bk_default *d = s->defaults;
    const struct bk_plugin *plugin;
    int rc;

    while (d && !bk_streq(d->transform.plugin->desc.name, name))
        d = d->next;
    if (d) {
        *ret = d->transform;
        return BAKE_OK;
    }
    rc = bk_registry_get(s->registry, BK_TRANSFORM, name, &plugin, err);
    if (rc < 0)
        return rc;
    d = calloc(1, sizeof(*d));
    if (!d)
        return bk_nomem(err);
    rc = fill_defaults(d, plugin, err);
    if (rc < 0) { /* not kept: the next one that asks must not take it for usable */
        default_free(d);
        return rc;
    }
    d->next = s->defaults;
    s->defaults = d;
    *ret = d->transform;
    return BAKE_OK;
}

int bk_store_transforms_for(struct bk_store *s, const struct bk_strv *names,
                            struct bk_transform **ret, struct bk_err *err)
{
    struct bk_transform *t = calloc(names->n + 1, sizeof(*t));

    if (!t)
        return bk_nomem(err);
    pthread_mutex_lock(&s->defaults_lock);
    for (size_t i = 0; i < names->n; i++) {
        const struct bk_transform *known = of_pipeline(s, names->items[i]);
        int rc = BAKE_OK;

        if (known)
            t[i] = *known;
        else
            rc = with_defaults(s, names->items[i], &t[i], err);
        if (rc < 0) {
            pthread_mutex_unlock(&s->defaults_lock);
            free(t);
            return rc;
        }
    }
    pthread_mutex_unlock(&s->defaults_lock);
    *ret = t;
    return BAKE_OK;
}

void bk_store_free_defaults(struct bk_store *s)
{
    while (s->defaults) {
        struct bk_default *d = s->defaults;

        s->defaults = d->next;
        default_free(d);
    }
}
