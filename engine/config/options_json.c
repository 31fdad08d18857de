/* A filled config as JSON, secrets left out. */
#include "config/options_internal.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static json_t *masked_text(const char *text)
{
    char *masked BK_FREE = bk_mask(text);
    char *utf8 BK_FREE = masked ? bk_to_utf8(masked) : NULL;
    return utf8 ? json_string(utf8) : NULL;
}

struct unit {
    uint64_t is;
    const char *name;
};

/* units: the largest first, the last is 1. */
static const char *exact(char out[BK_EXACT_CAP], const struct unit *units, uint64_t n)
{
    while (n % units->is)
        units++;
    (void)snprintf(out, BK_EXACT_CAP, "%" PRIu64 "%s", n / units->is, n ? units->name : "");
    return out;
}

const char *bk_option_exact_duration(char out[BK_EXACT_CAP], uint64_t ms)
{
    static const struct unit units[] = {
        {86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    return exact(out, units, ms);
}

const char *bk_option_exact_size(char out[BK_EXACT_CAP], uint64_t bytes)
{
    static const struct unit units[] = {{UINT64_C(1) << 40, " TiB"},
                                        {UINT64_C(1) << 30, " GiB"},
                                        {UINT64_C(1) << 20, " MiB"},
                                        {UINT64_C(1) << 10, " KiB"},
                                        {1, " B"}};
    return exact(out, units, bytes);
}

static json_t *duration(uint64_t ms)
{
    char text[BK_EXACT_CAP];
    return json_string(bk_option_exact_duration(text, ms));
}

static json_t *text_list(const char *const *list)
{
    json_t *array = json_array();
    for (; array && list && *list; list++) {
        if (json_array_append_new(array, masked_text(*list)) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *path_list(const struct bake_path *list)
{
    json_t *array = json_array();
    for (; array && list && list->path; list++) {
        json_t *item = masked_text(list->path);
        if (item && list->optional)
            item = json_pack("{s:o, s:b}", "path", item, "optional", 1);
        if (json_array_append_new(array, item) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static const void *pointer_at(const void *member)
{
    const void *p = NULL;
    memcpy(&p, member, sizeof(p));
    return p;
}

/* *ret_absent: there is no value to show. NULL: out of memory. */
static json_t *value(const struct bake_option *o, const void *cfg, bool *ret_absent)
{
    const void *member = (const char *)cfg + o->offset;
    uint64_t number = 0;
    int64_t integer = 0;
    switch ((enum bake_type)o->type) {
    case BAKE_T_BOOL:
        return json_boolean(*(const int *)member);
    case BAKE_T_INT:
        memcpy(&integer, member, sizeof(integer));
        return json_integer(integer);
    case BAKE_T_SIZE:
        memcpy(&number, member, sizeof(number));
        return json_integer((json_int_t)number);
    case BAKE_T_DURATION:
        memcpy(&number, member, sizeof(number));
        return duration(number);
    case BAKE_T_ENUM:
        return json_string(o->choices[*(const int *)member]);
    case BAKE_T_STRLIST:
        return text_list(pointer_at(member));
    case BAKE_T_PATHLIST:
        return path_list(pointer_at(member));
    case BAKE_T_SECRET:
        *ret_absent = !pointer_at(member);
        return *ret_absent ? NULL : json_string("***");
    case BAKE_T_STRING:
    case BAKE_T_PATH:
        *ret_absent = !pointer_at(member);
        return *ret_absent ? NULL : masked_text(pointer_at(member));
    }
    *ret_absent = true;
    return NULL;
}

static bool is_given(const struct bk_node *map, const struct bake_option *o)
{
    char file_key[BK_FILE_KEY_CAP];
    return !map || bk_map_get(map, o->key, NULL) ||
           (o->type == BAKE_T_SECRET && bk_map_get(map, bk_option_file_key(file_key, o), NULL));
}

json_t *bk_options_json(const struct bake_option *options, const void *cfg,
                        const struct bk_node *map_or_null_for_all)
{
    json_t *object = json_object();
    for (const struct bake_option *o = options; object && o->key; o++) {
        bool absent = false;
        if (!is_given(map_or_null_for_all, o))
            continue;
        json_t *v = value(o, cfg, &absent);
        if (!absent && json_object_set_new(object, o->key, v) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}
