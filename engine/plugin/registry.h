/* Plugins that were found and loaded. Nothing is ever unloaded: libraries that plugins use leave
 * exit handlers behind. */
#ifndef BK_REGISTRY_H
#define BK_REGISTRY_H

#include "base/err.h"
#include "base/str.h"

enum bk_kind { BK_SOURCE = 0, BK_TRANSFORM = 1, BK_SINK = 2 };
const char *bk_kind_name(enum bk_kind kind); /* "source" */

/* A checked copy of what the shared object described: members that an older plugin does not have
 * read as NULL or 0. `desc.source` and so on point at the copies below. Constant once loaded. */
struct bk_plugin {
    struct bake_plugin desc;
    struct bake_source_ops source;
    struct bake_transform_ops transform;
    struct bake_sink_ops sink;
    enum bk_kind kind;
    char *full_name;             /* "sink-local" */
    char *file;                  /* where it was loaded from */
    struct bake_option *options; /* copied with the engine's stride; ended by a NULL key */
};

struct bk_registry;

/* Finds the directories: BAKENGINE_PLUGIN_PATH (':'-separated, first) and ../lib/bakengine/plugins
 * beside the running program. Loads nothing yet. */
int bk_registry_new(struct bk_registry **ret, struct bk_err *err);
void bk_registry_free(struct bk_registry *r); /* frees the list, not the shared objects */

/* Loads <kind>-<name>.so on first use. A plugin that is not there: BAKE_E_NOTFOUND, with the names
 * of those that are. A plugin that is not sound: BAKE_E_CONFIG and what is wrong with which file.
 * Thread-unsafe: call while there is one thread. */
int bk_registry_get(struct bk_registry *r, enum bk_kind kind, const char *name,
                    const struct bk_plugin **ret, struct bk_err *err);
/* The full names of all files that look like plugins, sorted, without loading them. The first
 * directory that has a name wins; a name in two directories is listed once. */
int bk_registry_names(struct bk_registry *r, struct bk_strv *ret, struct bk_err *err);

#endif
