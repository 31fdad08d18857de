/* Options at their defaults. */
#include "config/defaults.h"

#include "config/options.h"

#include <stdlib.h>
#include <string.h>

void bk_defaults_release(struct bk_defaults *d)
{
    bk_optmem_free(d->mem);
    free(d->cfg);
    memset(d, 0, sizeof(*d));
}

static int fill(const struct bk_plugin *plugin, struct bk_defaults *d, struct bk_err *err)
{
    struct bk_opt_job job = {.options = plugin->options, .what = plugin->full_name, .dir = "/"};
    struct bk_diags *diags = NULL;
    int rc;

    d->cfg = calloc(1, plugin->desc.config_size + 1);
    if (!d->cfg)
        return bk_nomem(err);
    if ((rc = bk_optmem_new(&d->mem, err)) < 0 ||
        (rc = bk_diags_new(plugin->full_name, &diags, err)) < 0)
        return rc;
    rc = bk_options_apply(&job, NULL, d->cfg, d->mem, diags, err);
    if (rc >= 0 && bk_diags_errors(diags) > 0)
        rc = bk_fail(err, BAKE_E_CONFIG, "%s '%s' cannot be used without options",
                     bk_kind_name(plugin->kind), plugin->desc.name);
    bk_diags_free(diags);
    return rc;
}

int bk_defaults_make(const struct bk_plugin *plugin, struct bk_defaults *ret, struct bk_err *err)
{
    int rc;

    memset(ret, 0, sizeof(*ret));
    rc = fill(plugin, ret, err);
    if (rc < 0)
        bk_defaults_release(ret);
    return rc;
}
