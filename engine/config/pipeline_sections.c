/* The keys of a pipeline that are no plugins: store, require, retention, verify, hold,
 * schedule. */
#include "config/pipeline_internal.h"

#include "base/num.h"
#include "config/crontime.h"

#include <string.h>

/* Fills cfg from the map of `key`, shows it, and hands the map back (NULL: not there). */
static int load_section(struct bk_load *l, const char *key, const struct bake_option *options,
                        void *cfg, const struct bk_node **ret_map)
{
    struct bk_opt_job job = {.options = options, .what = key, .dir = l->p->dir};
    const struct bk_node *map = bk_load_get(l, key, BK_MAP);
    *ret_map = map;
    int rc = bk_options_apply(&job, map, cfg, l->p->mem, l->diags, l->err);
    return rc < 0 || !map ? rc : bk_load_show(l, key, bk_options_json(options, cfg, map));
}

/* ---- store ------------------------------------------------------------------------------------
 */

/* What is wrong with a bundle's name, or NULL. The name is one part of a path, and what a bundle is
 * known by when it is to be removed: it has the uuid, and no two of a run are alike. */
static const char *bad_bundle_name(const char *name)
{
    static const char *const known[] = {"{stack}", "{timestamp}", "{uuid}", "{pipeline}", "{host}"};
    if (!strstr(name, "{stack}") || !strstr(name, "{uuid}"))
        return "must hold {stack} and {uuid}";
    if (*name == '.' || *name == '-' || strlen(name) > 100)
        return "must be at most 100 characters and not begin with '.' or '-'";
    while (*name) {
        size_t step = 0;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !step; i++)
            if (strncmp(name, known[i], strlen(known[i])) == 0)
                step = strlen(known[i]);
        if (!step && (strchr("{}/\\%", *name) || *name <= ' ' || *name > '~'))
            return "may hold {stack}, {timestamp}, {uuid}, {pipeline}, {host} and printable "
                   "characters but blanks, slashes, '%', '{' and '}'";
        name += step ? step : 1;
    }
    return NULL;
}

static void check_bundle(struct bk_load *l, const struct bk_node *map)
{
    const struct bk_node *mode = bk_map_get(map, "bundle", NULL);
    const struct bk_node *name = bk_map_get(map, "bundle_name", NULL);
    const char *wrong = bad_bundle_name(l->p->bundle_name);
    if (wrong && name)
        bk_diag_error(l->diags, name->at, "'bundle_name' %s", wrong);
    if (l->p->bundle != BK_BUNDLE_NONE && l->p->format != BK_FORMAT_ARCHIVE && mode)
        bk_diag_error(l->diags, mode->at,
                      "'bundle: stack' needs 'format: archive': a repository has no bundles");
    else if (l->p->bundle == BK_BUNDLE_NONE && name)
        bk_diag_error(l->diags, name->at, "'bundle_name' needs 'bundle: stack'");
}

static int load_store(struct bk_load *l)
{
    struct bk_store_cfg cfg = {0};
    const struct bk_node *map = NULL;
    int rc = load_section(l, "store", bk_store_options, &cfg, &map);
    l->p->format = (enum bk_format_id)cfg.format;
    l->p->bundle = (enum bk_bundle_mode)cfg.bundle;
    l->p->bundle_name = cfg.bundle_name;
    if (rc == 0 && map && cfg.bundle_name)
        check_bundle(l, map);
    if (rc < 0)
        return rc;
    json_t *shown = bk_options_json(bk_store_options, &cfg, NULL);
    if (shown && l->p->bundle == BK_BUNDLE_NONE) {
        json_object_del(shown, "bundle");
        json_object_del(shown, "bundle_name");
    }
    return bk_load_show(l, "store", shown);
}

static int load_verify(struct bk_load *l)
{
    struct bk_verify_cfg cfg = {0};
    const struct bk_node *map = NULL;
    int rc = load_section(l, "verify", bk_verify_options, &cfg, &map);
    l->p->verify_after_run = (enum bk_verify_level)cfg.after_run;
    return rc;
}

static int load_hold(struct bk_load *l)
{
    struct bk_hold_cfg cfg = {0};
    const struct bk_node *map = NULL;
    int rc = load_section(l, "hold", bk_hold_options, &cfg, &map);
    l->p->hold_max_ms = cfg.max;
    return rc;
}

static int64_t or_none(int64_t given) { return given ? given : -1; }

static int load_retention(struct bk_load *l)
{
    struct bk_retention_cfg cfg = {0};
    const struct bk_node *map = NULL;
    int rc = load_section(l, "retention", bk_retention_options, &cfg, &map);
    if (rc < 0 || !map)
        return rc;
    l->p->retention = (struct bk_retention){
        .keep_last = or_none(cfg.keep_last),
        .keep_hourly = or_none(cfg.keep_hourly),
        .keep_daily = or_none(cfg.keep_daily),
        .keep_weekly = or_none(cfg.keep_weekly),
        .keep_monthly = or_none(cfg.keep_monthly),
        .keep_yearly = or_none(cfg.keep_yearly),
        .keep_within_ms = or_none((int64_t)cfg.keep_within),
    };
    if (map->n == 0)
        bk_diag_error(l->diags, map->at,
                      "'retention' keeps nothing; give at least one of keep_last, keep_daily, ...");
    return 0;
}

/* ---- schedule ---------------------------------------------------------------------------------
 */

static int load_cron(struct bk_load *l, const struct bk_node *node, const char *key,
                     const char *text, const char **ret)
{
    struct bk_cron cron;
    struct bk_err err = {0};
    if (!text)
        return 0;
    if (bk_cron_parse(text, &cron, &err) < 0) {
        bk_diag_error(l->diags, node->at, "'%s': %s", key, err.text);
        return 0;
    }
    *ret = bk_optmem_text(l->p->mem, cron.text, strlen(cron.text));
    return *ret ? 0 : bk_nomem(l->err);
}

static int load_schedule_map(struct bk_load *l)
{
    struct bk_schedule_cfg cfg = {0};
    struct bk_schedule *s = &l->p->schedule;
    const struct bk_node *map = NULL;
    int rc = load_section(l, "schedule", bk_schedule_options, &cfg, &map);
    const struct {
        const char *key, *text, **ret;
    } entries[] = {
        {"incremental", cfg.incremental, &s->incremental},
        {"full", cfg.full, &s->full},
        {"verify", cfg.verify, &s->verify},
        {"prune", cfg.prune, &s->prune},
    };
    for (size_t i = 0; rc == 0 && i < sizeof(entries) / sizeof(entries[0]); i++)
        rc = load_cron(l, bk_map_get(map, entries[i].key, NULL), entries[i].key, entries[i].text,
                       entries[i].ret);
    return rc;
}

static int load_schedule(struct bk_load *l)
{
    const struct bk_node *node = bk_map_get(l->root, "schedule", NULL);
    if (!node || node->type != BK_SCALAR || (bk_node_is_null(node) && !node->filled))
        return load_schedule_map(l);
    if (node->bad || (node->filled && !*node->text))
        return 0;
    int rc = load_cron(l, node, "schedule", node->text, &l->p->schedule.incremental);
    return rc < 0 ? rc : bk_load_show(l, "schedule", json_string(node->text));
}

/* ---- require ----------------------------------------------------------------------------------
 */

static int load_require(struct bk_load *l)
{
    char shown[BK_QUOTE_CAP];
    uint64_t number = 0;
    const size_t n_sinks = bk_load_count_sinks(l);
    const struct bk_node *node = bk_map_get(l->root, "require", NULL);
    if (!node || node->bad || (node->filled && !*node->text))
        return 0;
    bool is_text = node->type == BK_SCALAR && !bk_node_is_null(node);
    bool is_number =
        is_text && (!node->quoted || node->filled) && bk_parse_u64(node->text, &number);
    if (is_text && strcmp(node->text, "all") == 0) {
        l->p->require = BK_REQUIRE_ALL;
    } else if (is_text && strcmp(node->text, "any") == 0) {
        l->p->require = BK_REQUIRE_ANY;
    } else if (!is_number || number == 0) {
        bk_diag_error(l->diags, node->at,
                      "'require' must be 'all', 'any' or a number of sinks from 1 on, got %s%s%s",
                      is_text ? "'" : "",
                      is_text ? bk_quote(shown, node->text) : bk_node_kind(node),
                      is_text ? "'" : "");
        return 0;
    } else if (n_sinks && number > n_sinks) {
        bk_diag_error(l->diags, node->at, "'require' is %s, but there %s only %zu sink%s",
                      bk_quote(shown, node->text), n_sinks == 1 ? "is" : "are", n_sinks,
                      n_sinks == 1 ? "" : "s");
        return 0;
    } else {
        l->p->require = (int)number;
    }
    return bk_load_show(l, "require",
                        is_number ? json_integer((json_int_t)number) : json_string(node->text));
}

int bk_load_sections(struct bk_load *l)
{
    int rc = load_store(l);
    if (rc == 0 && (!(l->flags & BK_LOAD_STORE) || (l->flags & BK_LOAD_REQUIRE)))
        rc = load_require(l);
    if (l->flags & BK_LOAD_STORE)
        return rc;
    if (rc == 0)
        rc = load_retention(l);
    if (rc == 0)
        rc = load_verify(l);
    if (rc == 0)
        rc = load_hold(l);
    return rc < 0 ? rc : load_schedule(l);
}
