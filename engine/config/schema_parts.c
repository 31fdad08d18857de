/* Pieces of JSON Schema. */
#include "config/schema_parts.h"

#include "base/cleanup.h"
#include "base/str.h"

json_t *bk_schema_with(json_t *object, const char *key, json_t *v)
{
    if (object && json_object_set_new(object, key, v) == 0) /* takes v even when it fails */
        return object;
    if (!object)
        json_decref(v);
    json_decref(object);
    return NULL;
}

json_t *bk_schema_text(const char *pattern)
{
    json_t *types = json_pack("[s, s, s]", "string", "number", "boolean");
    json_t *schema = bk_schema_with(json_object(), "type", types);
    return pattern ? bk_schema_with(schema, "pattern", json_string(pattern)) : schema;
}

json_t *bk_schema_pattern(const char *pattern)
{
    char *both BK_FREE = bk_asprintf("%s|%s", pattern, BK_PATTERN_FILLED);
    return both ? json_pack("{s:s, s:s}", "type", "string", "pattern", both) : NULL;
}

json_t *bk_schema_either(json_t *a, json_t *b)
{
    json_t *both = json_array();
    bool ok = a && b && both && json_array_append(both, a) == 0 && json_array_append(both, b) == 0;
    json_decref(a);
    json_decref(b);
    if (!ok) {
        json_decref(both);
        return NULL;
    }
    return bk_schema_with(json_object(), "anyOf", both);
}

json_t *bk_schema_or_filled(json_t *schema)
{
    return bk_schema_either(
        schema, json_pack("{s:s, s:s}", "type", "string", "pattern", BK_PATTERN_FILLED));
}

json_t *bk_schema_list(json_t *items, bool not_empty)
{
    json_t *list = json_pack("{s:s}", "type", "array");
    list = bk_schema_with(list, "items", items);
    return not_empty ? bk_schema_with(list, "minItems", json_integer(1)) : list;
}
