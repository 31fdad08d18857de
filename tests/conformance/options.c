/* Fills a plugin's config struct from key=value words through its own option table. */
#include "options.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct filling {
    const struct bake_plugin *p;
    struct cf_config *c;
    char *err;
    size_t cap;
};

const struct bake_option *cf_option(const struct bake_plugin *p, size_t i)
{
    const struct bake_option *o =
        (const struct bake_option *)(const void *)((const char *)p->options + i * p->option_size);

    return p->options && o->key ? o : NULL;
}

static void *own(struct filling *f, void *p)
{
    void **more = p ? realloc(f->c->owned, (f->c->n_owned + 1) * sizeof(*more)) : NULL;

    if (!more) {
        free(p);
        return NULL;
    }
    f->c->owned = more;
    more[f->c->n_owned++] = p;
    return p;
}

static bool digits(const char **s, uint64_t *ret)
{
    uint64_t n = 0;
    const char *p = *s;

    for (; *p >= '0' && *p <= '9'; p++) {
        if (n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (p == *s)
        return false;
    *s = p;
    *ret = n;
    return true;
}

static bool parse_int(const char *s, int64_t *ret)
{
    bool minus = *s == '-';
    uint64_t n;

    s += minus;
    if (!digits(&s, &n) || *s || n > INT64_MAX)
        return false;
    *ret = minus ? -(int64_t)n : (int64_t)n;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit *unit(const struct unit *units, const char *s, size_t n)
{
    for (; units->name; units++)
        if (strlen(units->name) == n && memcmp(units->name, s, n) == 0)
            return units;
    return NULL;
}

static bool scale(uint64_t *n, uint64_t factor)
{
    if (factor && *n > UINT64_MAX / factor)
        return false;
    *n *= factor;
    return true;
}

static bool parse_size(const char *s, uint64_t *ret)
{
    static const struct unit units[] = {{"", 1},
                                        {"B", 1},
                                        {"KiB", 1ull << 10},
                                        {"k", 1ull << 10},
                                        {"K", 1ull << 10},
                                        {"KB", 1000},
                                        {"MiB", 1ull << 20},
                                        {"M", 1ull << 20},
                                        {"MB", 1000000},
                                        {"G", 1ull << 30},
                                        {"GiB", 1ull << 30},
                                        {"GB", 1000000000},
                                        {"T", 1ull << 40},
                                        {"TiB", 1ull << 40},
                                        {NULL, 0}};
    const struct unit *u;

    if (!digits(&s, ret))
        return false;
    s += *s == ' ';
    u = unit(units, s, strlen(s));
    return u && scale(ret, u->factor);
}

static bool parse_duration(const char *s, uint64_t *ret)
{
    static const struct unit units[] = {{"ms", 1},
                                        {"s", 1000},
                                        {"m", 60000},
                                        {"h", 3600000},
                                        {"d", 86400000},
                                        {"w", 604800000},
                                        {"y", 365ull * 86400000},
                                        {NULL, 0}};
    uint64_t sum = 0;

    if (strcmp(s, "0") == 0) {
        *ret = 0;
        return true;
    }
    do {
        uint64_t n;
        size_t len;
        const struct unit *u;

        if (!digits(&s, &n))
            return false;
        len = strcspn(s, "0123456789");
        u = unit(units, s, len);
        if (!u || !scale(&n, u->factor) || sum > UINT64_MAX - n)
            return false;
        sum += n;
        s += len;
    } while (*s);
    *ret = sum;
    return true;
}

static bool parse_bool(const char *s, int *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

    for (int i = 0; i < 6; i++)
        if (strcasecmp(s, words[i]) == 0) {
            *ret = i % 2;
            return true;
        }
    return false;
}

static bool parse_enum(const struct bake_option *o, const char *s, int *ret)
{
    for (int i = 0; o->choices && o->choices[i]; i++)
        if (strcmp(o->choices[i], s) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

/* Absolute against the working directory; "." and ".." stay the caller's business. */
static char *absolute(struct filling *f, const char *s)
{
    char cwd[PATH_MAX], *out = NULL;

    if (*s == '/')
        return own(f, strdup(s));
    if (!getcwd(cwd, sizeof(cwd)) || asprintf(&out, "%s/%s", cwd, s) < 0)
        return NULL;
    return own(f, out);
}

static bool add_string(struct filling *f, const char *const **list, const char *value)
{
    size_t n = 0;
    const char **more;

    while (*list && (*list)[n])
        n++;
    more = own(f, calloc(n + 2, sizeof(*more)));
    if (!more)
        return false;
    if (n > 0)
        memcpy(more, *list, n * sizeof(*more));
    more[n] = own(f, strdup(value));
    *list = more;
    return more[n] != NULL;
}

static bool add_path(struct filling *f, const struct bake_path **list, const char *value)
{
    size_t n = 0, len = strlen(value);
    struct bake_path *more;
    char *text;

    while (*list && (*list)[n].path)
        n++;
    more = own(f, calloc(n + 2, sizeof(*more)));
    text = absolute(f, value);
    if (!more || !text)
        return false;
    if (n > 0)
        memcpy(more, *list, n * sizeof(*more));
    more[n].optional = len > 0 && value[len - 1] == '?';
    if (more[n].optional)
        text[strlen(text) - 1] = '\0';
    more[n].path = text;
    *list = more;
    return true;
}

static bool in_range(const struct bake_option *o, int64_t n)
{
    return !(o->flags & BAKE_OPT_HAS_RANGE) || (n >= o->min && n <= o->max);
}

static bool u64_in_range(const struct bake_option *o, uint64_t n)
{
    return !(o->flags & BAKE_OPT_HAS_RANGE) || (n <= INT64_MAX && in_range(o, (int64_t)n));
}

static bool store(struct filling *f, const struct bake_option *o, const char *s)
{
    void *at = (char *)f->c->cfg + o->offset;

    switch (o->type) {
    case BAKE_T_BOOL:
        return parse_bool(s, at);
    case BAKE_T_INT:
        return parse_int(s, at) && in_range(o, *(int64_t *)at);
    case BAKE_T_SIZE:
        return parse_size(s, at) && u64_in_range(o, *(uint64_t *)at);
    case BAKE_T_DURATION:
        return parse_duration(s, at) && u64_in_range(o, *(uint64_t *)at);
    case BAKE_T_STRING:
    case BAKE_T_SECRET:
        return (*(const char **)at = own(f, strdup(s))) != NULL;
    case BAKE_T_PATH:
        return (*(const char **)at = absolute(f, s)) != NULL;
    case BAKE_T_ENUM:
        return parse_enum(o, s, at);
    case BAKE_T_STRLIST:
        return add_string(f, at, s);
    case BAKE_T_PATHLIST:
        return add_path(f, at, s);
    default:
        return false;
    }
}

static bool is_list(const struct bake_option *o)
{
    return o->type == BAKE_T_STRLIST || o->type == BAKE_T_PATHLIST;
}

/* Lists are never NULL, though they may be empty. */
static bool empty_list(struct filling *f, const struct bake_option *o)
{
    void *at = (char *)f->c->cfg + o->offset;
    void *list = own(f, calloc(1, sizeof(struct bake_path)));

    memcpy(at, &list, sizeof(list));
    return list != NULL;
}

static size_t key_length(const char *word) { return strcspn(word, "="); }

static int fill_option(struct filling *f, const struct bake_option *o, char *const *words, size_t n)
{
    size_t found = 0;

    if (is_list(o) && !empty_list(f, o))
        return -1;
    for (size_t i = 0; i < n; i++) {
        size_t len = key_length(words[i]);

        if (strlen(o->key) != len || memcmp(o->key, words[i], len) != 0)
            continue;
        if (found++ > 0 && !is_list(o)) {
            (void)snprintf(f->err, f->cap, "option '%s' is given twice", o->key);
            return -1;
        }
        if (!store(f, o, words[i] + len + 1)) {
            (void)snprintf(f->err, f->cap, "bad value for option '%s'", o->key);
            return -1;
        }
    }
    if (found == 0 && (o->flags & BAKE_OPT_REQUIRED)) {
        (void)snprintf(f->err, f->cap, "option '%s' is required", o->key);
        return -1;
    }
    if (found == 0 && o->fallback && !store(f, o, o->fallback)) {
        (void)snprintf(f->err, f->cap, "the default '%s' of option '%s' is not valid", o->fallback,
                       o->key);
        return -1;
    }
    return 0;
}

static int check_known(struct filling *f, const char *word)
{
    size_t len = key_length(word);
    const struct bake_option *o;

    for (size_t i = 0; (o = cf_option(f->p, i)); i++)
        if (strlen(o->key) == len && memcmp(o->key, word, len) == 0 && word[len] == '=')
            return 0;
    (void)snprintf(f->err, f->cap, "'%.*s' is not KEY=VALUE with a known key", (int)len, word);
    return -1;
}

int cf_config_new(const struct bake_plugin *p, char *const *words, size_t n, struct cf_config *ret,
                  char *err, size_t cap)
{
    struct filling f = {p, ret, err, cap};
    const struct bake_option *o;
    int rc = 0;

    memset(ret, 0, sizeof(*ret));
    (void)snprintf(err, cap, "out of memory");
    ret->cfg = calloc(1, p->config_size ? p->config_size : 1);
    if (!ret->cfg)
        return -1;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = check_known(&f, words[i]);
    for (size_t i = 0; rc == 0 && (o = cf_option(p, i)); i++)
        rc = fill_option(&f, o, words, n);
    if (rc < 0)
        cf_config_free(ret);
    return rc;
}

void cf_config_free(struct cf_config *c)
{
    for (size_t i = 0; i < c->n_owned; i++)
        free(c->owned[i]);
    free(c->owned);
    free(c->cfg);
    memset(c, 0, sizeof(*c));
}
