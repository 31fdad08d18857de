/* From a manifest's transform names to plugins with options. */
#include "store/transforms.h"

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
    bk_defaults_release(&d->options);
    free(d);
}

static int fill_defaults(struct bk_default *d, const struct bk_plugin *plugin, struct bk_err *err)
{
    int rc = bk_defaults_make(plugin, &d->options, err);

    if (rc == BAKE_E_CONFIG)
        bk_hint(err, "name the pipeline file instead of the store's address");
    d->transform.plugin = plugin;
    d->transform.cfg = d->options.cfg;
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
