/* Sources, transforms and sinks: each a plugin and its options. */
#include "config/pipeline_internal.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "plugin/ctx.h"

#include <string.h>

#define MAX_PARTS    1000u
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool is_name(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 64 && strchr(NAME_LETTERS, *s) && strspn(s, NAME_LETTERS "._-") == n;
}

static struct bk_pos place(const struct bk_node *map, const char *key)
{
    const struct bk_node *node = bk_map_get(map, key, NULL);
    return node ? node->at : map->at;
}

/* ---- one part ---------------------------------------------------------------------------------
 */

static void label(struct bk_ctx *ctx, enum bk_kind kind, const struct bk_part *part)
{
    const char *plugin = part->plugin->desc.name;
    if (strcmp(part->name, plugin) == 0)
        bk_ctx_init(ctx, NULL, "%s '%.64s'", bk_kind_name(kind), plugin);
    else
        bk_ctx_init(ctx, NULL, "%s '%.64s' (%s)", bk_kind_name(kind), part->name, plugin);
}

static int validate(struct bk_load *l, enum bk_kind kind, const struct bk_part *part)
{
    struct bk_ctx ctx;
    struct bk_err err = {0};
    if (!part->plugin->desc.validate)
        return 0;
    label(&ctx, kind, part);
    int rc = part->plugin->desc.validate(&ctx.base, part->cfg);
    if (rc >= 0)
        return 0;
    rc = bk_ctx_fail(&ctx, rc, &err);
    if (rc == BAKE_E_NOMEM)
        return bk_nomem(l->err);
    bk_diag_error(l->diags, part->at, "%s%s%s", err.text, *err.hint ? "; " : "", err.hint);
    return 0;
}

int bk_load_part(struct bk_load *l, const struct bk_part_kind *kind, const struct bk_plugin *plugin,
                 const struct bk_node *map, struct bk_part *part)
{
    struct bk_opt_job job = {
        .options = plugin->options,
        .also = kind->keys,
        .what = plugin->full_name,
        .dir = l->p->dir,
        .is_public = l->yaml && bk_yaml_is_public(l->yaml),
    };
    const size_t before = bk_diags_errors(l->diags);
    part->plugin = plugin;
    part->at = map->at;
    part->cfg = bk_optmem_alloc(l->p->mem, plugin->desc.config_size);
    if (!part->cfg)
        return bk_nomem(l->err);
    int rc = bk_options_apply(&job, map, part->cfg, l->p->mem, l->diags, l->err);
    if (rc == 0 && kind->kind == BK_SOURCE)
        rc = bk_load_set(l, part);
    if (rc < 0 || bk_diags_errors(l->diags) != before || bk_node_has_bad(map))
        return rc;
    part->shown = bk_options_json(plugin->options, part->cfg, map);
    return part->shown ? validate(l, kind->kind, part) : bk_nomem(l->err);
}

static int set_name(struct bk_load *l, const struct bk_node *map, const char *name,
                    struct bk_part *part)
{
    char shown[BK_QUOTE_CAP];
    if (!is_name(name))
        bk_diag_error(
            l->diags, place(map, "name"),
            "'name' must start with a letter or digit and hold only letters, digits, '.', "
            "'_' and '-', at most 64 of them, got '%s'",
            bk_quote(shown, name));
    part->name = bk_optmem_text(l->p->mem, name, strlen(name));
    return part->name ? 0 : bk_nomem(l->err);
}

/* The registry's text has the names of those that are there. */
static int find_plugin(struct bk_load *l, const struct bk_part_kind *kind, const char *name,
                       struct bk_pos at, const struct bk_plugin **ret)
{
    struct bk_err err = {0};
    int rc = bk_registry_get(l->reg, kind->kind, name, ret, &err);
    if (rc == BAKE_E_NOMEM)
        return bk_nomem(l->err);
    if (rc == BAKE_E_NOTFOUND)
        bk_diag_error(l->diags, at, "%s", err.text);
    else if (rc < 0)
        bk_diag_error(l->diags, at, "%s%s%s", err.text, *err.hint ? "; " : "", err.hint);
    return 0;
}

static int load_item(struct bk_load *l, const struct bk_part_kind *kind, const struct bk_node *map,
                     struct bk_part *part)
{
    struct bk_part_cfg cfg = {0};
    struct bk_opt_job job = {.options = kind->options, .what = kind->what, .partial = true};
    const struct bk_plugin *plugin = NULL;
    int rc = bk_options_apply(&job, map, &cfg, l->p->mem, l->diags, l->err);
    if (rc == 0 && cfg.plugin)
        rc = find_plugin(l, kind, cfg.plugin, place(map, "plugin"), &plugin);
    const char *name = cfg.name ? cfg.name : cfg.plugin ? cfg.plugin : "";
    part->optional = cfg.optional;
    if (rc == 0 && (cfg.name || plugin))
        rc = set_name(l, map, name, part);
    if (rc < 0 || !plugin)
        return rc;
    return bk_load_part(l, kind, plugin, map, part);
}

/* ---- what holds of several parts --------------------------------------------------------------
 */

/* Names must differ: components, records and messages go by them. */
static void check_name(struct bk_load *l, const struct bk_part_kind *kind,
                       const struct bk_part *parts, size_t i, const struct bk_node *map)
{
    for (size_t j = 0; j < i && parts[i].name; j++) {
        if (!bk_streq(parts[j].name, parts[i].name))
            continue;
        if (kind->kind == BK_TRANSFORM)
            bk_diag_error(l->diags, place(map, "plugin"), "'%s' is listed twice; first in line %d",
                          parts[i].name, parts[j].at.line);
        else if (bk_map_get(map, "name", NULL))
            bk_diag_error(l->diags, place(map, "name"),
                          "the name '%s' is taken by %s in line %d already", parts[i].name,
                          kind->what, parts[j].at.line);
        else
            bk_diag_error(l->diags, map->at,
                          "the name '%s' is taken by %s in line %d already; give this one a 'name'",
                          parts[i].name, kind->what, parts[j].at.line);
        return;
    }
}

static uint32_t traits(const struct bk_part *part)
{
    return part->plugin ? part->plugin->transform.traits : 0;
}

/* What is encrypted does not get smaller any more. */
static void check_order(struct bk_load *l, const struct bk_part *parts, size_t n)
{
    const struct bk_part *encrypts = NULL;
    for (size_t i = 0; i < n; i++) {
        if (encrypts && (traits(&parts[i]) & BAKE_COMPRESSES))
            bk_diag_error(l->diags, parts[i].at,
                          "'%s' compresses what '%s' has encrypted, which saves nothing; put it "
                          "before '%s'",
                          parts[i].name, encrypts->name, encrypts->name);
        if (traits(&parts[i]) & BAKE_ENCRYPTS)
            encrypts = &parts[i];
    }
}

static int show_part(const struct bk_part_kind *kind, const struct bk_part *part, json_t *list)
{
    json_t *json = json_object();
    bool ok = json != NULL;
    if (ok && kind->kind != BK_TRANSFORM && part->name) /* NULL after a mistake */
        ok = json_object_set_new(json, "name", json_string(part->name)) == 0;
    if (ok && part->plugin)
        ok = json_object_set_new(json, "plugin", json_string(part->plugin->desc.name)) == 0;
    if (ok && part->optional)
        ok = json_object_set_new(json, "optional", json_true()) == 0;
    if (ok && part->shown)
        ok = json_object_update(json, part->shown) == 0;
    if (ok)
        return json_array_append_new(list, json);
    json_decref(json);
    return -1;
}

static int show_parts(struct bk_load *l, const struct bk_part_kind *kind,
                      const struct bk_part *parts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        if (show_part(kind, &parts[i], list) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return bk_load_show(l, kind->list_key, list);
}

static void report_no_map(struct bk_load *l, const struct bk_part_kind *kind,
                          const struct bk_node *item)
{
    char shown[BK_QUOTE_CAP];
    if (bk_node_is_null(item))
        bk_diag_error(l->diags, item->at, "an item of '%s' has no value", kind->list_key);
    else if (item->type == BK_SCALAR)
        bk_diag_error(l->diags, item->at,
                      "each item of '%s' must be a map such as 'plugin: NAME', got '%s'",
                      kind->list_key, bk_quote(shown, item->text));
    else
        bk_diag_error(l->diags, item->at,
                      "each item of '%s' must be a map such as 'plugin: NAME', got %s",
                      kind->list_key, bk_node_kind(item));
}

static int load_items(struct bk_load *l, const struct bk_part_kind *kind,
                      const struct bk_node *list, struct bk_part *parts)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct bk_node *item = list->items[i];
        if (item->bad)
            continue;
        if (item->type != BK_MAP) {
            report_no_map(l, kind, item);
            continue;
        }
        int rc = load_item(l, kind, item, &parts[i]);
        if (rc < 0)
            return rc;
        check_name(l, kind, parts, i, item);
    }
    return 0;
}

static void report_none(struct bk_load *l, const struct bk_part_kind *kind,
                        const struct bk_node *list)
{
    if (kind->kind == BK_TRANSFORM)
        return;
    if (list)
        bk_diag_error(l->diags, list->at, "'%s' must list at least one", kind->list_key);
    else if (!bk_map_get(l->root, kind->list_key, NULL))
        bk_diag_error(l->diags, l->root->at, "required option '%s' of a pipeline is missing",
                      kind->list_key);
}

static void set_parts(struct bk_pipeline *p, enum bk_kind kind, struct bk_part *parts, size_t n)
{
    struct bk_part **list = kind == BK_SOURCE      ? &p->sources
                            : kind == BK_TRANSFORM ? &p->transforms
                                                   : &p->sinks;
    size_t *count = kind == BK_SOURCE      ? &p->n_sources
                    : kind == BK_TRANSFORM ? &p->n_transforms
                                           : &p->n_sinks;
    *list = parts;
    *count = n;
}

int bk_load_parts(struct bk_load *l, enum bk_kind which)
{
    const struct bk_part_kind *kind = &bk_part_kinds[which];
    const struct bk_node *list = bk_load_get(l, kind->list_key, BK_SEQ);
    if (!list || list->n == 0) {
        report_none(l, kind, list);
        return bk_load_show(l, kind->list_key, json_array());
    }
    if (list->n > MAX_PARTS) {
        bk_diag_error(l->diags, list->at, "'%s' lists more than %u", kind->list_key, MAX_PARTS);
        return 0;
    }
    struct bk_part *parts = bk_optmem_array(l->p->mem, list->n, sizeof(*parts));
    if (!parts)
        return bk_nomem(l->err);
    set_parts(l->p, which, parts, list->n);
    int rc = load_items(l, kind, list, parts);
    if (rc == 0 && which == BK_SOURCE)
        rc = bk_load_set_unused(l);
    if (rc == 0 && which == BK_TRANSFORM)
        check_order(l, parts, list->n);
    return rc < 0 ? rc : show_parts(l, kind, parts, list->n);
}

size_t bk_load_count_sinks(const struct bk_load *l)
{
    const struct bk_node *list = bk_map_get(l->root, bk_part_kinds[BK_SINK].list_key, NULL);
    return list && list->type == BK_SEQ ? list->n : 0;
}
