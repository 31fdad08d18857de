/* A plugin described by its own tables, for people and for programs. */
#include "plugin/describe.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/num.h"
#include <string.h>

const char *bk_type_name(uint32_t type)
{
    static const char *const names[] = {
        [BAKE_T_BOOL] = "bool",
        [BAKE_T_INT] = "integer",
        [BAKE_T_SIZE] = "size",
        [BAKE_T_DURATION] = "duration",
        [BAKE_T_STRING] = "string",
        [BAKE_T_PATH] = "path",
        [BAKE_T_SECRET] = "secret",
        [BAKE_T_ENUM] = "choice",
        [BAKE_T_STRLIST] = "list of strings",
        [BAKE_T_PATHLIST] = "list of paths",
    };
    return type < BK_LEN(names) && names[type] ? names[type] : "unknown type";
}

/* ---- for people --------------------------------------------------------------------------------
 */

struct unit {
    int64_t of;
    const char *name;
};

/* One end of a range, spelled exactly and so that it could stand in the pipeline file. */
static void add_limit(struct bk_buf *b, uint32_t type, int64_t v)
{
    static const struct unit sizes[] = {{INT64_C(1) << 40, " TiB"},
                                        {INT64_C(1) << 30, " GiB"},
                                        {INT64_C(1) << 20, " MiB"},
                                        {INT64_C(1) << 10, " KiB"},
                                        {1, ""}};
    static const struct unit times[] = {
        {86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    static const struct unit plain[] = {{1, ""}};
    const struct unit *u = type == BAKE_T_SIZE ? sizes : type == BAKE_T_DURATION ? times : plain;
    if (v == 0)
        u = plain;
    while (v % u->of != 0)
        u++;
    (void)bk_buf_printf(b, "%lld%s", (long long)(v / u->of), u->name);
}

static void add_choices(struct bk_buf *b, const char *const *choices)
{
    for (size_t i = 0; choices && choices[i]; i++)
        (void)bk_buf_printf(b, "%s%s", i ? " | " : ": ", choices[i]);
}

static void add_option(struct bk_buf *b, const struct bake_option *o)
{
    (void)bk_buf_printf(b, "\n  %s  (%s", o->key, bk_type_name(o->type));
    if (o->type == BAKE_T_ENUM)
        add_choices(b, o->choices);
    if (o->flags & BAKE_OPT_HAS_RANGE) {
        (void)bk_buf_str(b, ", ");
        add_limit(b, o->type, o->min);
        (void)bk_buf_str(b, " to ");
        add_limit(b, o->type, o->max);
    }
    if (o->flags & BAKE_OPT_REQUIRED)
        (void)bk_buf_str(b, ", required");
    if (o->fallback)
        (void)bk_buf_printf(b, ", default: %s", o->fallback);
    if (o->flags & BAKE_OPT_DEPRECATED)
        (void)bk_buf_str(b, ", deprecated");
    (void)bk_buf_printf(b, ")\n      %s\n", o->help);
    if (o->type == BAKE_T_SECRET)
        (void)bk_buf_printf(b, "      Or '%s_file': the path of a file that holds it.\n", o->key);
}

int bk_describe_text(const struct bk_plugin *p, struct bk_buf *out, struct bk_err *err)
{
    (void)bk_buf_printf(out, "%s %s\n", p->full_name, p->desc.version);
    if (*p->desc.summary)
        (void)bk_buf_printf(out, "  %s\n", p->desc.summary);
    (void)bk_buf_printf(out, "  file: %s\n", p->file);
    if (p->kind == BK_SOURCE && !p->source.writer_open)
        (void)bk_buf_str(out, "  restores to a directory only (restore --target)\n");
    if (p->options[0].key)
        (void)bk_buf_str(out, "\nOptions:\n");
    else
        (void)bk_buf_str(out, "\nIt has no options.\n");
    for (const struct bake_option *o = p->options; o->key; o++)
        add_option(out, o);
    return out->failed ? bk_nomem(err) : 0;
}

/* ---- for programs ------------------------------------------------------------------------------
 */

/* The default as a value: sizes and durations stay as they are spelled in YAML. */
static json_t *default_json(const struct bake_option *o)
{
    bool b = false;
    int64_t i = 0;
    if (!o->fallback)
        return json_null();
    if (o->type == BAKE_T_BOOL && bk_parse_bool(o->fallback, &b))
        return json_boolean(b);
    if (o->type == BAKE_T_INT && bk_parse_i64(o->fallback, &i))
        return json_integer(i);
    return json_string(o->fallback);
}

static json_t *choices_json(const struct bake_option *o)
{
    if (o->type != BAKE_T_ENUM)
        return json_null();
    json_t *list = json_array();
    for (size_t i = 0; list && o->choices[i]; i++)
        (void)json_array_append_new(list, json_string(o->choices[i]));
    return list;
}

static json_t *option_json(const struct bake_option *o)
{
    bool range = (o->flags & BAKE_OPT_HAS_RANGE) != 0;
    json_t *j = json_object();
    if (!j)
        return NULL;
    bk_json_set_str(j, "key", o->key);
    bk_json_set_str(j, "type", bk_type_name(o->type));
    bk_json_set_bool(j, "required", (o->flags & BAKE_OPT_REQUIRED) != 0);
    (void)json_object_set_new(j, "default", default_json(o));
    (void)json_object_set_new(j, "min", range ? json_integer(o->min) : json_null());
    (void)json_object_set_new(j, "max", range ? json_integer(o->max) : json_null());
    (void)json_object_set_new(j, "choices", choices_json(o));
    bk_json_set_str(j, "help", o->help);
    bk_json_set_bool(j, "deprecated", (o->flags & BAKE_OPT_DEPRECATED) != 0);
    return j;
}

json_t *bk_describe_json(const struct bk_plugin *p)
{
    json_t *j = json_object(), *options = json_array();
    if (!j || !options) {
        json_decref(j);
        json_decref(options);
        return NULL;
    }
    bk_json_set_str(j, "name", p->desc.name);
    bk_json_set_str(j, "kind", bk_kind_name(p->kind));
    bk_json_set_str(j, "version", p->desc.version);
    bk_json_set_str(j, "summary", p->desc.summary);
    bk_json_set_str(j, "file", p->file);
    for (const struct bake_option *o = p->options; o->key; o++)
        (void)json_array_append_new(options, option_json(o));
    (void)json_object_set_new(j, "options", options);
    return j;
}
