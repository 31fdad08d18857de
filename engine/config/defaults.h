/* A plugin's options at their defaults, for when no pipeline file says more. */
#ifndef BK_DEFAULTS_H
#define BK_DEFAULTS_H

#include "config/optmem.h"
#include "plugin/registry.h"

struct bk_defaults {
    void *cfg;
    struct bk_optmem *mem;
};

/* BAKE_E_CONFIG: an option is required, so that there are no defaults. */
int bk_defaults_make(const struct bk_plugin *plugin, struct bk_defaults *ret, struct bk_err *err);
void bk_defaults_release(struct bk_defaults *d);

#endif
