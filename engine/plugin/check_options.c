/* A plugin's option table: everything that could not work is found when the plugin is loaded, not
 * when somebody first uses the option. */
#include "base/cleanup.h"
#include "base/num.h"
#include "plugin/describe.h"
#include "plugin/load.h"
#include <string.h>

#define MAX_OPTIONS    256
#define MAX_CONFIG     ((size_t)1 << 20)
#define OPTION_MINOR_0 (offsetof(struct bake_option, help) + sizeof(const char *))
#define TYPES_MINOR_0  BAKE_T_PATHLIST /* the last type that we know */

struct stored {
    size_t size, align;
};

#define STORED(type)                                                                               \
    {                                                                                              \
        sizeof(type), _Alignof(type)                                                               \
    }

/* What an option of this type occupies in the plugin's config struct. */
static const struct stored stored_as[] = {
    [BAKE_T_BOOL] = STORED(int),
    [BAKE_T_INT] = STORED(int64_t),
    [BAKE_T_SIZE] = STORED(uint64_t),
    [BAKE_T_DURATION] = STORED(uint64_t),
    [BAKE_T_STRING] = STORED(const char *),
    [BAKE_T_PATH] = STORED(const char *),
    [BAKE_T_SECRET] = STORED(const char *),
    [BAKE_T_ENUM] = STORED(int),
    [BAKE_T_STRLIST] = STORED(const char *const *),
    [BAKE_T_PATHLIST] = STORED(const struct bake_path *),
};

#define BAD(p, err, o, fmt, ...)                                                                   \
    bk_plugin_bad(p, err, "has an option '%s' " fmt BK_REBUILD, (o)->key, __VA_ARGS__)

static bool key_ok(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 64 && s[0] >= 'a' && s[0] <= 'z' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

/* The engine reads these beside the plugin's own. */
static bool key_reserved(const char *key)
{
    return bk_streq(key, "plugin") || bk_streq(key, "name") || bk_streq(key, "optional");
}

static int check_key(const struct bk_plugin *p, const struct bake_option *o, size_t index,
                     struct bk_err *err)
{
    if (!*o->key)
        return bk_plugin_bad(p, err, "has an option without a key (number %zu)" BK_REBUILD,
                             index + 1);
    if (!key_ok(o->key)) {
        char shown[80];
        bk_printable(shown, sizeof(shown), o->key, strlen(o->key));
        return bk_plugin_bad(p, err,
                             "has an option '%s': a key is made of lower-case letters, digits and "
                             "'_', and starts with a letter" BK_REBUILD,
                             shown);
    }
    if (key_reserved(o->key))
        return BAD(p, err, o, "%s", "but the engine itself uses that key");
    for (const struct bake_option *other = p->options; other != o; other++) {
        if (bk_streq(other->key, o->key))
            return BAD(p, err, o, "%s", "twice");
    }
    return 0;
}

/* K_file is where the engine looks for the secret K. */
static int check_secret_file(const struct bk_plugin *p, const struct bake_option *o,
                             struct bk_err *err)
{
    if (o->type != BAKE_T_SECRET)
        return 0;
    size_t n = strlen(o->key);
    for (const struct bake_option *other = p->options; other->key; other++) {
        if (strncmp(other->key, o->key, n) == 0 && bk_streq(other->key + n, "_file"))
            return BAD(p, err, other, "but that key belongs to the secret '%s'", o->key);
    }
    return 0;
}

static int check_place(const struct bk_plugin *p, const struct bake_option *o, struct bk_err *err)
{
    const struct stored *s = &stored_as[o->type];
    size_t size = p->desc.config_size;
    if (size < s->size || o->offset > size - s->size)
        return BAD(p, err, o, "at offset %zu, where %zu bytes do not fit into its config of %zu",
                   o->offset, s->size, size);
    if (o->offset % s->align != 0)
        return BAD(p, err, o, "at offset %zu, which is not aligned for its type '%s'", o->offset,
                   bk_type_name(o->type));
    return 0;
}

static int check_type(const struct bk_plugin *p, const struct bake_option *o, struct bk_err *err)
{
    if (o->type >= BAKE_T_BOOL && o->type <= TYPES_MINOR_0)
        return 0;
    if (p->desc.abi_minor > BAKE_ABI_MINOR)
        return bk_plugin_bad(p, err,
                             "has an option '%s' of type %u, which this engine (interface %d.%d) "
                             "does not know; the plugin is made for %d.%u\n"
                             "HINT: install a newer engine, or an older version of the plugin",
                             o->key, (unsigned)o->type, BAKE_ABI_MAJOR, BAKE_ABI_MINOR,
                             BAKE_ABI_MAJOR, (unsigned)p->desc.abi_minor);
    return BAD(p, err, o, "of type %u, which does not exist", (unsigned)o->type);
}

static bool has_number(const struct bake_option *o)
{
    return o->type == BAKE_T_INT || o->type == BAKE_T_SIZE || o->type == BAKE_T_DURATION;
}

static int check_range(const struct bk_plugin *p, const struct bake_option *o, struct bk_err *err)
{
    if (!(o->flags & BAKE_OPT_HAS_RANGE))
        return 0;
    if (!has_number(o))
        return BAD(p, err, o, "with a range, which its type '%s' cannot have",
                   bk_type_name(o->type));
    if (o->min > o->max)
        return BAD(p, err, o, "whose least value %lld is above its greatest %lld",
                   (long long)o->min, (long long)o->max);
    if (o->type != BAKE_T_INT && o->min < 0)
        return BAD(p, err, o, "whose least value %lld is negative", (long long)o->min);
    return 0;
}

static int check_choices(const struct bk_plugin *p, const struct bake_option *o, struct bk_err *err)
{
    if (o->type == BAKE_T_ENUM && (!o->choices || !o->choices[0]))
        return BAD(p, err, o, "%s", "without choices");
    return 0;
}

static bool parses_as_number(const struct bake_option *o, bool *ret_in_range)
{
    int64_t i = 0;
    uint64_t u = 0;
    if (o->type == BAKE_T_INT) {
        *ret_in_range = bk_parse_i64(o->fallback, &i) && i >= o->min && i <= o->max;
        return bk_parse_i64(o->fallback, &i);
    }
    bool ok = o->type == BAKE_T_SIZE ? bk_parse_size(o->fallback, &u)
                                     : bk_parse_duration(o->fallback, &u);
    *ret_in_range = ok && u >= (uint64_t)o->min && u <= (uint64_t)o->max;
    return ok;
}

static bool parses(const struct bake_option *o)
{
    const char *s = o->fallback;
    bool b;
    switch (o->type) {
    case BAKE_T_BOOL:
        return bk_parse_bool(s, &b);
    case BAKE_T_ENUM:
        for (size_t i = 0; o->choices[i]; i++) {
            if (bk_streq(o->choices[i], s))
                return true;
        }
        return false;
    case BAKE_T_PATH:
        return *s != '\0';
    case BAKE_T_STRLIST:
    case BAKE_T_PATHLIST: /* one item, or a list in brackets; config reads what is inside */
        return *s != '\0' && (*s == '[') == bk_ends(s, "]");
    default:
        return true;
    }
}

static int check_fallback(const struct bk_plugin *p, const struct bake_option *o,
                          struct bk_err *err)
{
    if (!o->fallback)
        return 0;
    if (o->flags & BAKE_OPT_REQUIRED)
        return BAD(p, err, o, "that is required and has the default '%s' as well", o->fallback);
    if (o->type == BAKE_T_SECRET)
        return BAD(p, err, o, "%s", "that is a secret and has a default");
    bool in_range = true;
    bool ok = has_number(o) ? parses_as_number(o, &in_range) : parses(o);
    if (!ok)
        return BAD(p, err, o, "whose default '%s' is not a value of its type '%s'", o->fallback,
                   bk_type_name(o->type));
    if ((o->flags & BAKE_OPT_HAS_RANGE) && !in_range)
        return BAD(p, err, o, "whose default '%s' is outside its own range", o->fallback);
    return 0;
}

static int check_option(const struct bk_plugin *p, size_t index, struct bk_err *err)
{
    const struct bake_option *o = &p->options[index];
    int rc = check_key(p, o, index, err);
    if (rc == 0)
        rc = check_type(p, o, err);
    if (rc == 0)
        rc = check_place(p, o, err);
    if (rc == 0)
        rc = check_range(p, o, err);
    if (rc == 0)
        rc = check_choices(p, o, err);
    if (rc == 0)
        rc = check_fallback(p, o, err);
    if (rc == 0)
        rc = check_secret_file(p, o, err);
    return rc;
}

/* Reads the table with the plugin's stride and writes it with ours. */
static int copy_options(const struct bake_plugin *raw, struct bk_plugin *p, size_t *ret_n,
                        struct bk_err *err)
{
    size_t stride = p->desc.option_size, n = 0;
    const unsigned char *from = (const unsigned char *)(const void *)raw->options;
    if (stride < OPTION_MINOR_0)
        return bk_plugin_bad(p, err,
                             "says that an option has %zu bytes, but interface %d.0 already had "
                             "%zu" BK_REBUILD,
                             stride, BAKE_ABI_MAJOR, OPTION_MINOR_0);
    if (stride % _Alignof(struct bake_option) != 0)
        return bk_plugin_bad(p, err,
                             "says that an option has %zu bytes, which is not a multiple of "
                             "%zu" BK_REBUILD,
                             stride, _Alignof(struct bake_option));
    while (from && ((const struct bake_option *)(const void *)(from + n * stride))->key) {
        if (++n > MAX_OPTIONS)
            return bk_plugin_bad(p, err,
                                 "has more than %d options: its table lacks the NULL key that "
                                 "ends it" BK_REBUILD,
                                 MAX_OPTIONS);
    }
    p->options = calloc(n + 1, sizeof(*p->options));
    if (!p->options)
        return bk_nomem(err);
    size_t known = stride < sizeof(*p->options) ? stride : sizeof(*p->options);
    for (size_t i = 0; i < n; i++) {
        memcpy(&p->options[i], from + i * stride, known);
        if (!p->options[i].help)
            p->options[i].help = "";
    }
    *ret_n = n;
    return 0;
}

int bk_plugin_check_options(const struct bake_plugin *raw, struct bk_plugin *p, struct bk_err *err)
{
    size_t n = 0;
    int rc = copy_options(raw, p, &n, err);
    if (rc < 0)
        return rc;
    if (n > 0 && p->desc.config_size == 0)
        return bk_plugin_bad(p, err, "has options but no config to store them in" BK_REBUILD);
    if (p->desc.config_size > MAX_CONFIG)
        return bk_plugin_bad(p, err, "wants a config of %zu bytes, more than %zu" BK_REBUILD,
                             p->desc.config_size, MAX_CONFIG);
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = check_option(p, i, err);
    p->desc.options = p->options;
    p->desc.option_size = sizeof(*p->options);
    return rc;
}
