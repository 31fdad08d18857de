/* What the files that load a pipeline share. */
#ifndef BK_PIPELINE_INTERNAL_H
#define BK_PIPELINE_INTERNAL_H

#include "config/options.h"
#include "config/pipeline.h"

struct bk_load { /* one bk_pipeline_load() */
    struct bk_registry *reg;
    unsigned flags;
    struct bk_diags *diags;
    struct bk_err *err;
    struct bk_yaml *yaml;
    const struct bk_node *root; /* a map */
    struct bk_pipeline *p;      /* p->set is filled in before anything is loaded */
};

/* ---- the option tables of a pipeline's own keys: they check it and yield its schema ------------
 */

struct bk_top_cfg {
    const char *pipeline, *env_file;
    int64_t parallel, parallel_groups;
};
struct bk_store_cfg {
    int format, bundle;
    const char *bundle_name;
};
struct bk_retention_cfg { /* 0: not given */
    int64_t keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly;
    uint64_t keep_within;
};
struct bk_verify_cfg {
    int after_run;
};
struct bk_hold_cfg {
    uint64_t max;
};
struct bk_schedule_cfg {
    const char *incremental, *full, *verify, *prune;
};
struct bk_part_cfg {
    const char *name, *plugin;
    int optional;
};

extern const struct bake_option bk_top_options[], bk_store_options[], bk_retention_options[],
    bk_verify_options[], bk_hold_options[], bk_schedule_options[];
extern const char *const bk_top_also[]; /* top-level keys that are no plain options */

struct bk_part_kind {
    enum bk_kind kind;
    const char *list_key;              /* "sources" */
    const char *what;                  /* "a source" */
    const struct bake_option *options; /* what every such part has, beside its plugin's own */
    const char *const *keys;           /* their names */
};
extern const struct bk_part_kind bk_part_kinds[3]; /* by enum bk_kind */

#define BK_NAME_PATTERN          "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
#define BK_PIPELINE_NAME_PATTERN "^[a-z0-9-]{1,64}$"

/* ---- steps; 0 whatever the diags hold, negative only for memory and the like ------------------
 */

/* store, require, retention, verify, hold, schedule */
int bk_load_sections(struct bk_load *l);
/* One of sources, transforms, sinks. */
int bk_load_parts(struct bk_load *l, enum bk_kind kind);
/* Fills *part from a plugin and its options; what was wrong is in l->diags. */
int bk_load_part(struct bk_load *l, const struct bk_part_kind *kind, const struct bk_plugin *plugin,
                 const struct bk_node *map, struct bk_part *part);
/* pipeline_set.c: "SOURCE.OPTION=VALUE" or not? BK_E_USAGE. */
int bk_load_set_check(const char *set, struct bk_err *err);
/* What is set of a source whose options are filled in; mistakes go to l->diags. */
int bk_load_set(struct bk_load *l, const struct bk_part *part);
/* Reports what is set of sources that there are not. */
int bk_load_set_unused(struct bk_load *l);
/* The sinks that the file lists, whether they are right or not. */
size_t bk_load_count_sinks(const struct bk_load *l);
/* Sets key of the pipeline's shown JSON; takes value (NULL: out of memory). */
int bk_load_show(struct bk_load *l, const char *key, json_t *value);
/* The value of key: a node of that type. NULL: it is not there, or was reported. */
const struct bk_node *bk_load_get(struct bk_load *l, const char *key, enum bk_node_type type);

int bk_pipeline_new(const char *file, struct bk_pipeline **ret, struct bk_err *err);

#endif
