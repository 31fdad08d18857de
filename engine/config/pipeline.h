/* The pipeline file as the engine uses it. */
#ifndef BK_PIPELINE_H
#define BK_PIPELINE_H

#include "config/diag.h"
#include "config/env.h"
#include "config/optmem.h"
#include "plugin/registry.h"
#include <jansson.h>

enum bk_format_id { BK_FORMAT_ARCHIVE = 0, BK_FORMAT_REPOSITORY = 1 };

enum bk_bundle_mode { BK_BUNDLE_NONE = 0, BK_BUNDLE_STACK = 1 };

struct bk_part { /* one source, transform or sink */
    const struct bk_plugin *plugin;
    void *cfg;    /* plugin->desc.config_size bytes, filled from its option table */
    char *name;   /* source: required; sink: default the plugin's name, unique; transform: plugin */
    int optional; /* sources: what cannot be opened is a notice */
    struct bk_pos at;
    json_t *shown; /* its options without secrets */
};

struct bk_retention { /* -1: not given; all -1: keep everything */
    int64_t keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly;
    int64_t keep_within_ms;
};

enum bk_verify_level {
    BK_VERIFY_NONE = 0,
    BK_VERIFY_QUICK = 1,
    BK_VERIFY_READ = 2,
    BK_VERIFY_RESTORE = 3 /* a drill */
};

enum bk_require { BK_REQUIRE_ALL = -1, BK_REQUIRE_ANY = 1 }; /* or a number of sinks */

struct bk_schedule {                                 /* five cron fields each, checked; or NULL */
    const char *incremental, *full, *verify, *prune; /* one string in YAML: incremental */
};

struct bk_pipeline {
    char *file; /* as given; of bk_pipeline_from_store(): the address */
    char *dir;  /* absolute directory of the file */
    char *name; /* NULL: any (bk_pipeline_from_store()) */
    int64_t parallel, parallel_groups;
    uint64_t hold_max_ms; /* 0: a group is held as long as it takes */
    struct bk_part *sources, *transforms, *sinks;
    size_t n_sources, n_transforms, n_sinks;
    enum bk_format_id format;
    enum bk_bundle_mode bundle; /* format archive: the components of a group in one object */
    const char *bundle_name;    /* how it is called; placeholders as in the option's help */
    int require;
    struct bk_retention retention;
    enum bk_verify_level verify_after_run;
    struct bk_schedule schedule;
    struct bk_strv set;    /* "SOURCE.OPTION=VALUE": what was given in place of the file's */
    json_t *shown;         /* the file as it was understood, secrets as "***" */
    struct bk_optmem *mem; /* all of the above and what the configs point at, but for the JSON */
    struct bk_env *env;    /* bk_env_export() it before plugins do anything */
};

#define BK_LOAD_ALL     0u
#define BK_LOAD_STORE   (1u << 0) /* the worst day: only store, transforms and sinks are read */
#define BK_LOAD_REQUIRE (1u << 1) /* with it: `require` too */

/* Loads, checks against every plugin's table and calls each plugin's validate(). BAKE_E_CONFIG:
 * either the file has mistakes, which are all in diags, and err has no text; or it cannot be read
 * (is not there, is too large), and err says so. After other failures err says why. *ret is only
 * set on success; diags may then hold notices. err must not be NULL. */
int bk_pipeline_load(struct bk_registry *reg, const char *file, unsigned flags,
                     struct bk_diags *diags, struct bk_pipeline **ret, struct bk_err *err);
/* The same with options of sources that count in place of the file's ("SOURCE.OPTION=VALUE"; NULL:
 * none): checked by the same tables, relative paths are those of the file. A secret only by its
 * KEY_file. BK_E_USAGE: one is not spelled so. */
int bk_pipeline_load_set(struct bk_registry *reg, const char *file, unsigned flags,
                         const struct bk_strv *set, struct bk_diags *diags,
                         struct bk_pipeline **ret, struct bk_err *err);
/* A pipeline around a store's address ("/path"; later "s3://..."): one sink, no sources and no
 * transforms: they are named in each manifest. */
int bk_pipeline_from_store(struct bk_registry *reg, const char *address, struct bk_pipeline **ret,
                           struct bk_err *err);
void bk_pipeline_free(struct bk_pipeline *p); /* wipes secrets */

/* The JSON Schema (2020-12) of pipeline files, with every plugin that can be found. */
int bk_pipeline_schema(struct bk_registry *reg, json_t **ret, struct bk_err *err);

#endif
