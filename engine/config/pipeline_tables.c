/* The option tables of a pipeline's own keys. */
#include "config/pipeline_internal.h"

#define MEMBER(type, member, ctype) .offset = BAKE_MEMBER(struct type, member, ctype)

const struct bake_option bk_top_options[] = {
    {.key = "pipeline",
     .type = BAKE_T_STRING,
     .flags = BAKE_OPT_REQUIRED,
     MEMBER(bk_top_cfg, pipeline, const char *),
     .help = "The pipeline's name in backup ids, metrics and logs: lower-case letters, digits and "
             "'-'."},
    {.key = "env_file",
     .type = BAKE_T_PATH,
     MEMBER(bk_top_cfg, env_file, const char *),
     .help = "A file of NAME=value lines for ${NAME} and for what plugins read from the "
             "environment, which wins."},
    {.key = "parallel",
     .type = BAKE_T_INT,
     .flags = BAKE_OPT_HAS_RANGE,
     MEMBER(bk_top_cfg, parallel, int64_t),
     .min = 1,
     .max = 64,
     .help = "How many components are worked on at once; the default is the number of cores."},
    {.key = "parallel_groups",
     .type = BAKE_T_INT,
     .flags = BAKE_OPT_HAS_RANGE,
     MEMBER(bk_top_cfg, parallel_groups, int64_t),
     .fallback = "1",
     .min = 1,
     .max = 64,
     .help = "How many groups (stacks of containers and their like) may be held at once while they "
             "are read."},
    {0},
};

const char *const bk_top_also[] = {"sources",   "store",  "transforms", "sinks", "require",
                                   "retention", "verify", "schedule",   "hold",  NULL};

static const char *const formats[] = {"archive", "repository",
                                      NULL}; /* in the order of enum bk_format_id */

static const char *const bundles[] = {"none", "stack", NULL}; /* of enum bk_bundle_mode */

const struct bake_option bk_store_options[] = {
    {.key = "format",
     .type = BAKE_T_ENUM,
     MEMBER(bk_store_cfg, format, int),
     .fallback = "archive",
     .choices = formats,
     .help = "How backups stand in the sinks; 'archive' is one plain object per component, "
             "'repository' stores every piece of data once."},
    {.key = "bundle",
     .type = BAKE_T_ENUM,
     MEMBER(bk_store_cfg, bundle, int),
     .fallback = "none",
     .choices = bundles,
     .help = "Format 'archive' only. 'stack' puts the components of a group into one tar at the "
             "sink's root."},
    {.key = "bundle_name",
     .type = BAKE_T_STRING,
     MEMBER(bk_store_cfg, bundle_name, const char *),
     .fallback = "backup-{stack}-{timestamp}-{uuid}",
     .help = "What a bundle is called, without its suffix; {stack} and {uuid} must be in it, "
             "{timestamp}, {pipeline} and {host} may be."},
    {0},
};

#define KEEP(member, text)                                                                         \
    {                                                                                              \
        .key = #member, .type = BAKE_T_INT, .flags = BAKE_OPT_HAS_RANGE,                           \
        MEMBER(bk_retention_cfg, member, int64_t), .min = 1, .max = 1000000, .help = (text)        \
    }

const struct bake_option bk_retention_options[] = {
    KEEP(keep_last, "How many of the newest backups are kept."),
    KEEP(keep_hourly, "For how many hours the newest backup of the hour is kept."),
    KEEP(keep_daily, "For how many days the newest backup of the day is kept."),
    KEEP(keep_weekly, "For how many weeks the newest backup of the week is kept."),
    KEEP(keep_monthly, "For how many months the newest backup of the month is kept."),
    KEEP(keep_yearly, "For how many years the newest backup of the year is kept."),
    {.key = "keep_within",
     .type = BAKE_T_DURATION,
     .flags = BAKE_OPT_HAS_RANGE,
     MEMBER(bk_retention_cfg, keep_within, uint64_t),
     .min = 1000,
     .max = INT64_MAX,
     .help = "Every backup is kept that is younger than this."},
    {0},
};

static const char *const verify_levels[] = {"none", "quick", "read", "restore", NULL};

const struct bake_option bk_verify_options[] = {
    {.key = "after_run",
     .type = BAKE_T_ENUM,
     MEMBER(bk_verify_cfg, after_run, int),
     .fallback = "none",
     .choices = verify_levels,
     .help = "How a run checks what it has just written: sizes ('quick'), every byte ('read') or "
             "by a drill ('restore')."},
    {0},
};

const struct bake_option bk_hold_options[] = {
    {.key = "max",
     .type = BAKE_T_DURATION,
     .flags = BAKE_OPT_HAS_RANGE,
     MEMBER(bk_hold_cfg, max, uint64_t),
     .fallback = "1h",
     .min = 0,
     .max = INT64_MAX,
     .help = "For how long a group may be held: then it is released, and what was not read yet "
             "fails. 0: as long as it takes."},
    {0},
};

const struct bake_option bk_schedule_options[] = {
    {.key = "incremental",
     .type = BAKE_T_STRING,
     MEMBER(bk_schedule_cfg, incremental, const char *),
     .help = "When to run, as cron's five fields."},
    {.key = "full",
     .type = BAKE_T_STRING,
     MEMBER(bk_schedule_cfg, full, const char *),
     .help = "When to run with --type full, as cron's five fields."},
    {.key = "verify",
     .type = BAKE_T_STRING,
     MEMBER(bk_schedule_cfg, verify, const char *),
     .help = "When to verify, as cron's five fields."},
    {.key = "prune",
     .type = BAKE_T_STRING,
     MEMBER(bk_schedule_cfg, prune, const char *),
     .help = "When to prune, as cron's five fields."},
    {0},
};

/* ---- parts ------------------------------------------------------------------------------------
 */

#define PLUGIN_OPTION                                                                              \
    {                                                                                              \
        .key = "plugin", .type = BAKE_T_STRING, .flags = BAKE_OPT_REQUIRED,                        \
        MEMBER(bk_part_cfg, plugin, const char *), .help = "The plugin's name."                    \
    }

static const struct bake_option source_options[] = {
    {.key = "name",
     .type = BAKE_T_STRING,
     .flags = BAKE_OPT_REQUIRED,
     MEMBER(bk_part_cfg, name, const char *),
     .help = "The source's own name; its components carry "
             "it."},
    PLUGIN_OPTION,
    {.key = "optional",
     .type = BAKE_T_BOOL,
     MEMBER(bk_part_cfg, optional, int),
     .help = "What cannot be opened here is a notice, not a failure."},
    {0},
};
static const struct bake_option transform_options[] = {PLUGIN_OPTION, {0}};
static const struct bake_option sink_options[] = {
    PLUGIN_OPTION,
    {.key = "name",
     .type = BAKE_T_STRING,
     MEMBER(bk_part_cfg, name, const char *),
     .help = "The sink's own name; the default is the plugin's."},
    {0},
};

static const char *const source_keys[] = {"name", "plugin", "optional", NULL};
static const char *const transform_keys[] = {"plugin", NULL};
static const char *const sink_keys[] = {"plugin", "name", NULL};

const struct bk_part_kind bk_part_kinds[3] = {
    [BK_SOURCE] = {BK_SOURCE, "sources", "a source", source_options, source_keys},
    [BK_TRANSFORM] = {BK_TRANSFORM, "transforms", "a transform", transform_options, transform_keys},
    [BK_SINK] = {BK_SINK, "sinks", "a sink", sink_options, sink_keys},
};
