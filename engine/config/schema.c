/* The JSON Schema of pipeline files, from the same option tables that check them. */
#include "config/pipeline_internal.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/str.h"
#include "config/schema_parts.h"

#include <string.h>

/* One field of cron: numbers or names, ranges, steps, lists. */
#define ATOM(n)  n "(-" n "(/[1-9][0-9]?)?)?|\\*(/[1-9][0-9]?)?"
#define FIELD(n) "(" ATOM(n) ")(,(" ATOM(n) "))*"
#define MINUTE   "0*[1-5]?[0-9]"
#define HOUR     "0*(1?[0-9]|2[0-3])"
#define DAY      "0*([1-9]|[12][0-9]|3[01])"
#define MONTH    "(0*([1-9]|1[0-2])|[A-Za-z]{3})"
#define WEEKDAY  "(0*[0-7]|[A-Za-z]{3})"
#define BLANKS   "[ \\t\\n]+"
#define EDGE     "[ \\t\\n]*"
#define ALIAS    "@(yearly|annually|monthly|weekly|daily|midnight|hourly)"
#define TIME     FIELD(MINUTE) BLANKS FIELD(HOUR)
#define DATE                                                                                       \
    FIELD(DAY) BLANKS FIELD(MONTH)                                                                 \
    BLANKS FIELD(WEEKDAY)
#define CRON "^" EDGE "(" ALIAS "|" TIME BLANKS DATE ")" EDGE "$"

/* Puts "pattern" (or whatever is filled in) into the schema of one property. */
static json_t *with_pattern(json_t *table, const char *key, const char *pattern)
{
    char *both BK_FREE = bk_asprintf("%s|%s", pattern, BK_PATTERN_FILLED);
    json_t *property = json_object_get(json_object_get(table, "properties"), key);
    if (table && both && property &&
        json_object_set_new(property, "pattern", json_string(both)) == 0)
        return table;
    json_decref(table);
    return NULL;
}

/* Replaces the schema of one property; takes v. */
static json_t *with_property(json_t *table, const char *key, json_t *v)
{
    json_t *properties = json_object_get(table, "properties");
    if (properties && json_object_set_new(properties, key, v) == 0)
        return table;
    if (!properties)
        json_decref(v);
    json_decref(table);
    return NULL;
}

static json_t *with_required(json_t *table, const char *key)
{
    json_t *required = json_object_get(table, "required");
    if (required && json_array_append_new(required, json_string(key)) == 0)
        return table;
    json_decref(table);
    return NULL;
}

/* ---- sections ---------------------------------------------------------------------------------
 */

static json_t *retention_schema(void)
{
    json_t *schema = bk_options_schema(bk_retention_options, NULL);
    return bk_schema_with(schema, "minProperties", json_integer(1));
}

static json_t *schedule_schema(void)
{
    json_t *map = bk_options_schema(bk_schedule_options, NULL);
    for (const struct bake_option *o = bk_schedule_options; o->key; o++)
        map = with_pattern(map, o->key, CRON);
    json_t *either = bk_schema_either(bk_schema_pattern(CRON), map);
    return bk_schema_with(either, "description",
                          json_string("When to run: cron's five fields, or a map of them."));
}

static json_t *require_schema(void)
{
    json_t *words = json_pack("{s:[s, s]}", "enum", "all", "any");
    json_t *number = json_pack("{s:s, s:i}", "type", "integer", "minimum", 1);
    json_t *schema = bk_schema_or_filled(bk_schema_either(words, number));
    return bk_schema_with(
        schema, "description",
        json_string("How many sinks must hold a backup for the run to count; default: any."));
}

/* ---- parts ------------------------------------------------------------------------------------
 */

/* {"if": the plugin is this one, "then": its keys and no others} */
static json_t *plugin_rule(const struct bk_part_kind *kind, const struct bk_plugin *plugin)
{
    json_t *own = bk_options_schema(plugin->options, NULL);
    json_t *table = bk_options_schema(kind->options, NULL);
    if (!own || !table ||
        json_object_update_missing(json_object_get(table, "properties"),
                                   json_object_get(own, "properties")) < 0 ||
        json_array_extend(json_object_get(table, "required"), json_object_get(own, "required")) <
            0) {
        json_decref(own);
        json_decref(table);
        return NULL;
    }
    json_t *rules = json_object_get(own, "allOf");
    if (rules)
        table = bk_schema_with(table, "allOf", json_incref(rules));
    json_decref(own);
    if (kind->kind != BK_TRANSFORM)
        table = with_pattern(table, "name", BK_NAME_PATTERN);
    table = with_property(table, "plugin",
                          json_pack("{s:s, s:s}", "const", plugin->desc.name, "description",
                                    plugin->desc.summary ? plugin->desc.summary : ""));
    json_t *rule = json_pack("{s:{s:{s:{s:s}}, s:[s]}}", "if", "properties", "plugin", "const",
                             plugin->desc.name, "required", "plugin");
    return bk_schema_with(rule, "then", table);
}

/* Adds one plugin's rule and its name. */
static int add_plugin(struct bk_registry *reg, const struct bk_part_kind *kind, const char *name,
                      json_t *rules, json_t *names, struct bk_err *err)
{
    const struct bk_plugin *plugin = NULL;
    int rc = bk_registry_get(reg, kind->kind, name, &plugin, err);
    if (rc < 0)
        return rc;
    if (json_array_append_new(rules, plugin_rule(kind, plugin)) < 0 ||
        json_array_append_new(names, json_string(name)) < 0)
        return bk_nomem(err);
    return 0;
}

static int add_plugins(struct bk_registry *reg, const struct bk_part_kind *kind, json_t *rules,
                       json_t *names, struct bk_err *err)
{
    struct bk_strv all BK_CLEANUP(bk_strv_free) = {0};
    const size_t prefix = strlen(bk_kind_name(kind->kind));
    int rc = bk_registry_names(reg, &all, err);
    for (size_t i = 0; rc == 0 && i < all.n; i++) {
        const char *full = all.items[i];
        if (bk_starts(full, bk_kind_name(kind->kind)) && full[prefix] == '-')
            rc = add_plugin(reg, kind, full + prefix + 1, rules, names, err);
    }
    return rc;
}

/* The list of one kind of part. The names of plugins are an enum, so an editor can offer them; with
 * none of that kind there the enum would be empty, which no schema may be. */
static int parts_schema(struct bk_registry *reg, enum bk_kind which, json_t **ret,
                        struct bk_err *err)
{
    const struct bk_part_kind *kind = &bk_part_kinds[which];
    json_t *rules BK_JSON = json_array(), *names BK_JSON = json_array();
    if (!rules || !names)
        return bk_nomem(err);
    int rc = add_plugins(reg, kind, rules, names, err);
    if (rc < 0)
        return rc;
    json_t *item = json_pack("{s:s, s:[s]}", "type", "object", "required", "plugin");
    if (json_array_size(names)) {
        json_t *name = bk_schema_or_filled(json_pack("{s:O}", "enum", names));
        item = bk_schema_with(item, "properties", bk_schema_with(json_object(), "plugin", name));
        item = bk_schema_with(item, "allOf", json_incref(rules));
    } else {
        item = bk_schema_with(item, "not", json_object());
    }
    *ret = bk_schema_list(item, which != BK_TRANSFORM);
    return *ret ? 0 : bk_nomem(err);
}

static int add_parts(struct bk_registry *reg, json_t **table, struct bk_err *err)
{
    for (int kind = BK_SOURCE; kind <= BK_SINK; kind++) {
        json_t *list = NULL;
        int rc = parts_schema(reg, (enum bk_kind)kind, &list, err);
        if (rc < 0)
            return rc;
        *table = with_property(*table, bk_part_kinds[kind].list_key, list);
        if (kind != BK_TRANSFORM)
            *table = with_required(*table, bk_part_kinds[kind].list_key);
    }
    return *table ? 0 : bk_nomem(err);
}

int bk_pipeline_schema(struct bk_registry *reg, json_t **ret, struct bk_err *err)
{
    json_t *table = bk_options_schema(bk_top_options, bk_top_also);
    table = bk_schema_with(table, "$schema",
                           json_string("https://json-schema.org/draft/2020-12/schema"));
    table = bk_schema_with(table, "title", json_string("bakengine pipeline"));
    table = with_pattern(table, "pipeline", BK_PIPELINE_NAME_PATTERN);
    table = with_property(table, "store", bk_options_schema(bk_store_options, NULL));
    table = with_property(table, "require", require_schema());
    table = with_property(table, "retention", retention_schema());
    table = with_property(table, "verify", bk_options_schema(bk_verify_options, NULL));
    table = with_property(table, "hold", bk_options_schema(bk_hold_options, NULL));
    table = with_property(table, "schedule", schedule_schema());
    if (!table)
        return bk_nomem(err);
    int rc = add_parts(reg, &table, err);
    if (rc < 0) {
        json_decref(table);
        return rc;
    }
    *ret = table;
    return 0;
}
