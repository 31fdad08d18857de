/* --set: options of sources that count in place of the file's. */
#include "config/options_internal.h"
#include "config/pipeline_internal.h"

#include "base/cleanup.h"
#include "base/str.h"

#include <string.h>

struct set { /* "SOURCE.OPTION=VALUE" in its parts */
    const char *text, *value;
    size_t n_name; /* of "SOURCE.OPTION" */
    char *source, *key;
};

static void set_release(struct set *s)
{
    free(s->source);
    free(s->key);
}

/* A source's name may hold dots, an option's cannot. False: it is not spelled so. */
static bool split(const char *text, size_t *ret_dot, size_t *ret_equals)
{
    size_t equals = strcspn(text, "="), dot = equals;
    while (dot > 0 && text[dot] != '.')
        dot--;
    *ret_dot = dot;
    *ret_equals = equals;
    return text[equals] && dot > 0 && dot + 1 < equals;
}

int bk_load_set_check(const char *text, struct bk_err *err)
{
    char shown[80];
    size_t dot, equals;
    if (split(text, &dot, &equals))
        return 0;
    return bk_fail(err, BK_E_USAGE, "'--set' takes SOURCE.OPTION=VALUE, not '%s'",
                   bk_printable(shown, sizeof(shown), text, equals));
}

static int parse(const char *text, struct set *ret, struct bk_err *err)
{
    size_t dot, equals;
    (void)split(text, &dot, &equals);
    *ret = (struct set){.text = text, .value = text + equals + 1, .n_name = equals};
    ret->source = strndup(text, dot);
    ret->key = strndup(text + dot + 1, equals - dot - 1);
    if (ret->source && ret->key)
        return 0;
    set_release(ret);
    return bk_nomem(err);
}

static BAKE_PRINTF(3, 4) void report(struct bk_load *l, const struct set *s, const char *fmt, ...)
{
    struct bk_pos nowhere = {0, 0};
    char name[160], text[1500];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    bk_diag_error(l->diags, nowhere, "in '--set %s': %s",
                  bk_printable(name, sizeof(name), s->text, s->n_name), text);
}

/* ---- one value --------------------------------------------------------------------------------
 */

struct told { /* what the tables have to say of it */
    struct bk_load *l;
    const struct set *s;
};

/* The value stands at 1:1; what is said of the map as a whole is not about it. */
static void on_diag(void *arg, const char *file, struct bk_pos at, bool is_error, const char *text)
{
    const struct told *t = arg;
    (void)file;
    if (is_error && at.line > 0)
        report(t->l, t->s, "%s", text);
}

static const struct bake_option *find(const struct bk_plugin *plugin, const char *key)
{
    char file_key[BK_FILE_KEY_CAP];
    for (const struct bake_option *o = plugin->options; o->key; o++)
        if (bk_streq(o->key, key) ||
            (o->type == BAKE_T_SECRET && bk_streq(bk_option_file_key(file_key, o), key)))
            return o;
    return NULL;
}

/* Texts are taken as they stand; a list may be written as one. */
static int value_of(const struct set *s, const struct bake_option *o, struct bk_diags *diags,
                    struct bk_yaml **ret_yaml, struct bk_node *ret, struct bk_err *err)
{
    bool list = o && (o->type == BAKE_T_STRLIST || o->type == BAKE_T_PATHLIST);
    int rc;
    *ret = (struct bk_node){.type = BK_SCALAR, .at = {1, 1}, .text = s->value, .filled = true};
    if (!list || *s->value != '[')
        return 0;
    rc = bk_yaml_parse(s->value, strlen(s->value), NULL, diags, ret_yaml, err);
    if (rc == 0 && bk_yaml_root(*ret_yaml))
        *ret = *bk_yaml_root(*ret_yaml);
    return rc;
}

/* o NULL: there is no such option, which the whole table then says. */
static int store(struct bk_load *l, const struct bk_part *part, const struct set *s,
                 const struct bake_option *o, struct bk_diags *diags)
{
    struct bk_yaml *yaml BK_CLEANUP(bk_yaml_drop) = NULL;
    void *scratch BK_FREE = calloc(1, part->plugin->desc.config_size + 1);
    struct bake_option one[2] = {{0}, {0}};
    struct bk_node key = {.type = BK_SCALAR, .at = {1, 1}, .text = s->key}, value;
    struct bk_node *keys[] = {&key}, *items[] = {&value};
    struct bk_node map = {.type = BK_MAP, .n = 1, .items = items, .keys = keys};
    struct bk_opt_job job = {.options = o ? one : part->plugin->options,
                             .what = part->plugin->full_name,
                             .dir = l->p->dir};
    int rc = scratch ? value_of(s, o, diags, &yaml, &value, l->err) : bk_nomem(l->err);
    if (rc < 0 || bk_diags_errors(diags) > 0)
        return rc;
    if (o) {
        one[0] = *o;
        one[0].flags &= ~BAKE_OPT_REQUIRED;
    }
    return bk_options_apply(&job, &map, o ? part->cfg : scratch, l->p->mem, diags, l->err);
}

static int apply(struct bk_load *l, const struct bk_part *part, const struct set *s)
{
    const struct bake_option *o = find(part->plugin, s->key);
    struct bk_diags *diags BK_CLEANUP(bk_diags_drop) = NULL;
    struct told told = {l, s};
    int rc;
    if (o && o->type == BAKE_T_SECRET && bk_streq(o->key, s->key)) {
        report(l, s,
               "a secret does not belong on a command line, which others can read; use "
               "'%s_file'",
               s->key);
        return 0;
    }
    if (o && !*s->value) {
        report(l, s, "there is no value");
        return 0;
    }
    rc = bk_diags_new("", &diags, l->err);
    if (rc == 0)
        rc = store(l, part, s, o, diags);
    if (rc == 0)
        bk_diags_each(diags, on_diag, &told);
    return rc;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

int bk_load_set(struct bk_load *l, const struct bk_part *part)
{
    int rc = 0;
    for (size_t i = 0; i < l->p->set.n && rc == 0 && part->name; i++) {
        struct set s;
        rc = parse(l->p->set.items[i], &s, l->err);
        if (rc < 0)
            return rc;
        if (bk_streq(s.source, part->name))
            rc = apply(l, part, &s);
        set_release(&s);
    }
    return rc;
}

int bk_load_set_unused(struct bk_load *l)
{
    for (size_t i = 0; i < l->p->set.n; i++) {
        struct set s;
        bool found = false;
        if (parse(l->p->set.items[i], &s, l->err) < 0)
            return BAKE_E_NOMEM;
        for (size_t k = 0; k < l->p->n_sources && !found; k++)
            found = bk_streq(l->p->sources[k].name, s.source);
        if (!found)
            report(l, &s, "the pipeline has no source '%s'", s.source);
        set_release(&s);
    }
    return 0;
}
