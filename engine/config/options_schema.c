/* An option table as JSON Schema. */
#include "config/options_internal.h"

#include "base/cleanup.h"
#include "base/num.h"
#include "config/schema_parts.h"

#include <stdio.h>
#include <string.h>

#define PATTERN_SIZE "^([0-9]+( ?[bB])?|[0-9]+(\\.[0-9]+)? ?[kKmMgGtTpP]([iI]?[bB])?)$"
#define PATTERN_DURATION                                                                           \
    "^(0|(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$"
#define PATTERN_PATH "^[^~]"

/* ---- types ------------------------------------------------------------------------------------
 */

static json_t *int_schema(const struct bake_option *o)
{
    json_t *schema = json_pack("{s:s}", "type", "integer");
    if ((o->flags & BAKE_OPT_HAS_RANGE) && o->min != INT64_MIN)
        schema = bk_schema_with(schema, "minimum", json_integer(o->min));
    if ((o->flags & BAKE_OPT_HAS_RANGE) && o->max != INT64_MAX)
        schema = bk_schema_with(schema, "maximum", json_integer(o->max));
    return bk_schema_or_filled(schema);
}

/* A number of bytes, or text with a unit (whose range a schema cannot see). */
static json_t *size_schema(const struct bake_option *o)
{
    json_t *number = json_pack("{s:s, s:i}", "type", "integer", "minimum", 0);
    if ((o->flags & BAKE_OPT_HAS_RANGE) && o->min > 0)
        number = bk_schema_with(number, "minimum", json_integer(o->min));
    if ((o->flags & BAKE_OPT_HAS_RANGE) && o->max != INT64_MAX)
        number = bk_schema_with(number, "maximum", json_integer(o->max));
    return bk_schema_either(number, bk_schema_pattern(PATTERN_SIZE));
}

static json_t *duration_schema(const struct bake_option *o)
{
    json_t *text = bk_schema_pattern(PATTERN_DURATION);
    if ((o->flags & BAKE_OPT_HAS_RANGE) && o->min > 0)
        return bk_schema_with(text, "not", json_pack("{s:s}", "const", "0"));
    return bk_schema_either(text, json_pack("{s:i}", "const", 0)); /* 0 needs no unit */
}

static json_t *enum_schema(const struct bake_option *o)
{
    json_t *choices = json_array();
    for (const char *const *c = o->choices; choices && *c; c++) {
        if (json_array_append_new(choices, json_string(*c)) < 0) {
            json_decref(choices);
            choices = NULL;
        }
    }
    return choices ? bk_schema_or_filled(bk_schema_with(json_object(), "enum", choices)) : NULL;
}

static json_t *path_schema(void)
{
    return bk_schema_with(bk_schema_text(PATTERN_PATH), "minLength", json_integer(1));
}

static json_t *list_schema(const struct bake_option *o)
{
    const bool not_empty = (o->flags & BAKE_OPT_REQUIRED) != 0;
    json_t *one = NULL, *item = NULL;
    if (o->type == BAKE_T_PATHLIST) {
        item = bk_schema_either(path_schema(), bk_options_schema(bk_path_item_options, NULL));
        one = path_schema();
    } else {
        item = bk_schema_text(NULL);
        one = bk_schema_text(NULL);
    }
    return bk_schema_either(one, bk_schema_list(item, not_empty));
}

static json_t *typed_schema(const struct bake_option *o)
{
    switch ((enum bake_type)o->type) {
    case BAKE_T_BOOL:
        return bk_schema_or_filled(json_pack("{s:s}", "type", "boolean"));
    case BAKE_T_INT:
        return int_schema(o);
    case BAKE_T_SIZE:
        return size_schema(o);
    case BAKE_T_DURATION:
        return duration_schema(o);
    case BAKE_T_STRING:
        return bk_schema_text(NULL);
    case BAKE_T_SECRET:
        return bk_schema_with(bk_schema_text(NULL), "minLength", json_integer(1));
    case BAKE_T_PATH:
        return path_schema();
    case BAKE_T_ENUM:
        return enum_schema(o);
    case BAKE_T_STRLIST:
    case BAKE_T_PATHLIST:
        return list_schema(o);
    }
    return json_object();
}

/* ---- defaults ---------------------------------------------------------------------------------
 */

static json_t *scalar_json(const struct bake_option *o, const char *text)
{
    int64_t integer = 0;
    bool flag = false;
    if (o->type == BAKE_T_INT && bk_parse_i64(text, &integer))
        return json_integer(integer);
    if (o->type == BAKE_T_BOOL && bk_parse_bool(text, &flag))
        return json_boolean(flag);
    return json_string(text);
}

static json_t *node_json(const struct bake_option *o, const struct bk_node *node)
{
    if (node->type == BK_SCALAR)
        return scalar_json(o, node->text);
    json_t *list = json_array();
    for (size_t i = 0; list && i < node->n; i++) {
        if (json_array_append_new(list, node_json(o, node->items[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *default_json(const struct bake_option *o)
{
    struct bk_diags *diags BK_CLEANUP(bk_diags_drop) = NULL;
    struct bk_yaml *yaml BK_CLEANUP(bk_yaml_drop) = NULL;
    if (bk_diags_new("", &diags, NULL) < 0 ||
        bk_yaml_parse(o->fallback, strlen(o->fallback), NULL, diags, &yaml, NULL) < 0)
        return NULL;
    const struct bk_node *root = bk_yaml_root(yaml);
    return root ? node_json(o, root) : json_string(o->fallback);
}

/* ---- tables -----------------------------------------------------------------------------------
 */

static json_t *option_schema(const struct bake_option *o)
{
    json_t *schema = typed_schema(o);
    if (o->help)
        schema = bk_schema_with(schema, "description", json_string(o->help));
    if (o->fallback)
        schema = bk_schema_with(schema, "default", default_json(o));
    if (o->flags & BAKE_OPT_DEPRECATED)
        schema = bk_schema_with(schema, "deprecated", json_true());
    return schema;
}

static json_t *file_key_schema(const struct bake_option *o)
{
    char help[256];
    (void)snprintf(help, sizeof(help), "A file that holds '%s'; others may not read it.", o->key);
    return bk_schema_with(path_schema(), "description", json_string(help));
}

/* K or K_file, never both; one of them where K is required. */
static json_t *secret_rule(const struct bake_option *o)
{
    char file_key[BK_FILE_KEY_CAP];
    (void)bk_option_file_key(file_key, o);
    if (o->flags & BAKE_OPT_REQUIRED)
        return json_pack("{s:[{s:[s]}, {s:[s]}]}", "oneOf", "required", o->key, "required",
                         file_key);
    return json_pack("{s:{s:[s, s]}}", "not", "required", o->key, file_key);
}

struct table {
    json_t *properties, *required, *rules; /* any is NULL once memory ran out */
};

static void append(json_t **list, json_t *v)
{
    if (*list && json_array_append_new(*list, v) == 0)
        return;
    if (!*list)
        json_decref(v);
    json_decref(*list);
    *list = NULL;
}

static void add_option(struct table *t, const struct bake_option *o)
{
    char file_key[BK_FILE_KEY_CAP];
    t->properties = bk_schema_with(t->properties, o->key, option_schema(o));
    if (o->type == BAKE_T_SECRET) {
        t->properties =
            bk_schema_with(t->properties, bk_option_file_key(file_key, o), file_key_schema(o));
        append(&t->rules, secret_rule(o));
    } else if (o->flags & BAKE_OPT_REQUIRED) {
        append(&t->required, json_string(o->key));
    }
}

json_t *bk_options_schema(const struct bake_option *options, const char *const *also)
{
    struct table t = {json_object(), json_array(), json_array()};
    for (const struct bake_option *o = options; o->key; o++)
        add_option(&t, o);
    for (; also && *also; also++)
        t.properties = bk_schema_with(t.properties, *also, json_true());
    json_t *schema = json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);
    schema = bk_schema_with(schema, "properties", t.properties);
    schema = bk_schema_with(schema, "required", t.required);
    if (!t.rules || json_array_size(t.rules))
        return bk_schema_with(schema, "allOf", t.rules);
    json_decref(t.rules);
    return schema;
}
