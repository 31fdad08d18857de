/* The loader's parts, one file each; only the registry and the tests use them. */
#ifndef BK_LOAD_H
#define BK_LOAD_H

#include "plugin/registry.h"

/* trust.c: opens the shared object `path` for reading if it and the directories that lead to it
 * belong to root or to us and nobody else may write there. *ret_real: without symbolic links. */
int bk_trust_open(const char *path, char **ret_real, int *ret_fd, struct bk_err *err);

/* load.c: loads and checks `path` ("<dir>/<kind>-<name>.so"). The plugin's own idea of kind and
 * name may differ from its file's: compare ret->full_name. */
int bk_plugin_load(const char *path, struct bk_plugin **ret, struct bk_err *err);
void bk_plugin_free(struct bk_plugin *p); /* NULL is fine */

/* check.c: copies what `raw` has of the members we know into p (p->file is set) and checks it. */
int bk_plugin_check(const struct bake_plugin *raw, struct bk_plugin *p, struct bk_err *err);

/* check_ops.c: the functions that each kind must have, and those that belong together. */
int bk_plugin_check_ops(const struct bk_plugin *p, struct bk_err *err);

/* check_options.c: the option table, copied to p->options with our stride. */
int bk_plugin_check_options(const struct bake_plugin *raw, struct bk_plugin *p, struct bk_err *err);

/* "plugin '<file>' <text>"; BAKE_E_CONFIG. */
int bk_plugin_bad(const struct bk_plugin *p, struct bk_err *err, const char *fmt, ...)
    BAKE_PRINTF(3, 4);

#define BK_REBUILD "\nHINT: this is a mistake in the plugin: correct it and rebuild it"

#endif
