/* Applies an option table to a YAML map. */
#include "config/options_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

const char *bk_option_file_key(char out[BK_FILE_KEY_CAP], const struct bake_option *o)
{
    (void)snprintf(out, BK_FILE_KEY_CAP, "%s_file", o->key);
    return out;
}

/* ---- which keys there are ---------------------------------------------------------------------
 */

static int add_keys(struct bk_strv *v, const struct bk_opt_job *job)
{
    char file_key[BK_FILE_KEY_CAP];
    int rc = 0;
    for (const struct bake_option *o = job->options; rc == 0 && o->key; o++) {
        rc = bk_strv_add(v, o->key);
        if (rc == 0 && o->type == BAKE_T_SECRET)
            rc = bk_strv_add(v, bk_option_file_key(file_key, o));
    }
    for (const char *const *a = job->also; rc == 0 && a && *a; a++)
        rc = bk_strv_add(v, *a);
    return rc;
}

static int list_keys(const struct bk_strv *keys, struct bk_buf *list)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (strcmp(keys->items[i], "plugin") == 0) /* it was given, or we would not be here */
            continue;
        (void)bk_buf_printf(list, "%s%s", list->len ? ", " : "", keys->items[i]);
    }
    if (list->len == 0)
        (void)bk_buf_str(list, "none");
    return list->failed ? BAKE_E_NOMEM : 0;
}

static void report_unknown(const struct bk_opt_run *run, const struct bk_node *key,
                           const struct bk_strv *keys, const char *list)
{
    char shown[BK_QUOTE_CAP];
    const char *nearest = NULL;
    if (keys->items && strlen(key->text) < BK_QUOTE_CAP)
        nearest = bk_suggest(key->text, (const char *const *)keys->items);
    bk_diag_error(run->diags, key->at, "unknown option '%s' for %s;%s%s%s valid options: %s",
                  bk_quote(shown, key->text), run->job->what, nearest ? " did you mean '" : "",
                  nearest ? nearest : "", nearest ? "'?" : "", list);
}

static int check_keys(const struct bk_opt_run *run)
{
    struct bk_strv keys BK_CLEANUP(bk_strv_free) = {0};
    struct bk_buf list BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    if (!run->map || run->job->partial)
        return 0;
    if (add_keys(&keys, run->job) < 0 || list_keys(&keys, &list) < 0)
        return bk_nomem(run->err);
    for (size_t i = 0; i < run->map->n; i++) {
        if (!bk_strv_has(&keys, run->map->keys[i]->text))
            report_unknown(run, run->map->keys[i], &keys, list.data);
    }
    return 0;
}

/* ---- one option -------------------------------------------------------------------------------
 */

/* The key's value; NULL when it is not there or its ${...} gave nothing. */
static const struct bk_node *given(const struct bk_opt_run *run, const char *key)
{
    const struct bk_node *node = bk_map_get(run->map, key, NULL);
    if (!node || (node->filled && !*node->text))
        return NULL;
    return node;
}

static int store_default(const struct bk_opt_run *run, const struct bake_option *o)
{
    struct bk_diags *diags BK_CLEANUP(bk_diags_drop) = NULL;
    struct bk_yaml *yaml BK_CLEANUP(bk_yaml_drop) = NULL;
    int rc = bk_diags_new("", &diags, run->err);
    if (rc < 0)
        return rc;
    rc = bk_yaml_parse(o->fallback, strlen(o->fallback), NULL, diags, &yaml, run->err);
    if (rc < 0)
        return rc;
    struct bk_opt_run own = *run;
    own.diags = diags;
    if (bk_yaml_root(yaml))
        rc = bk_option_store(&own, o, bk_yaml_root(yaml));
    if (bk_diags_errors(diags)) /* the table is wrong, not the file */
        bk_diag_error(run->diags, run->map ? run->map->at : (struct bk_pos){0, 0},
                      "the default of '%s' of %s is wrong: this is the plugin's mistake", o->key,
                      run->job->what);
    return rc;
}

/* What is there before any value: lists are never NULL. */
static int store_empty_list(const struct bk_opt_run *run, const struct bake_option *o)
{
    size_t size = o->type == BAKE_T_PATHLIST ? sizeof(struct bake_path) : sizeof(char *);
    const void *empty = bk_optmem_alloc(run->mem, size);
    if (!empty)
        return bk_nomem(run->err);
    memcpy(bk_option_at(run->cfg, o), &empty, sizeof(empty));
    return 0;
}

static void report_missing(const struct bk_opt_run *run, const struct bake_option *o)
{
    struct bk_pos nowhere = {0, 0};
    bool is_secret = o->type == BAKE_T_SECRET;
    const struct bk_node *empty = bk_map_get(run->map, o->key, NULL);
    if (empty)
        bk_diag_error(run->diags, empty->at, "required option '%s' of %s is empty", o->key,
                      run->job->what);
    else
        bk_diag_error(run->diags, run->map ? run->map->at : nowhere,
                      "required option '%s'%s%s%s of %s is missing", o->key,
                      is_secret ? " (or '" : "", is_secret ? o->key : "",
                      is_secret ? "_file')" : "", run->job->what);
}

/* Reports what can be said of a value without its type; false: no more is to be done. */
static bool usable(const struct bk_opt_run *run, const char *key, const struct bk_node *node)
{
    if (node->bad)
        return false;
    if (!bk_node_is_null(node) || node->filled)
        return true;
    bk_diag_error(run->diags, node->at, "'%s' has no value; give one or leave the key out", key);
    return false;
}

static int apply_secret(const struct bk_opt_run *run, const struct bake_option *o,
                        const struct bk_node *node)
{
    char file_key[BK_FILE_KEY_CAP];
    const struct bk_node *file = given(run, bk_option_file_key(file_key, o));
    if (node && file) {
        bk_diag_error(run->diags, file->at, "'%s' and '%s' are both given", o->key, file_key);
        return 0;
    }
    if (file)
        return usable(run, file_key, file) ? bk_option_secret_file(run, o, file) : 0;
    if (node)
        return usable(run, o->key, node) ? bk_option_secret(run, o, node) : 0;
    if (o->flags & BAKE_OPT_REQUIRED)
        report_missing(run, o);
    return 0;
}

static int apply_one(const struct bk_opt_run *run, const struct bake_option *o)
{
    const struct bk_node *node = given(run, o->key);
    int rc = 0;
    if (node && (o->flags & BAKE_OPT_DEPRECATED))
        bk_diag_notice(run->diags, node->at, "'%s' is deprecated: %s", o->key, o->help);
    if (o->type == BAKE_T_SECRET)
        return apply_secret(run, o, node);
    if (o->type == BAKE_T_STRLIST || o->type == BAKE_T_PATHLIST)
        rc = store_empty_list(run, o);
    if (rc == 0 && o->fallback)
        rc = store_default(run, o);
    if (rc < 0)
        return rc;
    if (node)
        return usable(run, o->key, node) ? bk_option_store(run, o, node) : 0;
    if (o->flags & BAKE_OPT_REQUIRED)
        report_missing(run, o);
    return 0;
}

int bk_options_apply(const struct bk_opt_job *job, const struct bk_node *map, void *cfg,
                     struct bk_optmem *mem, struct bk_diags *diags, struct bk_err *err)
{
    struct bk_opt_run run = {job, map, cfg, mem, diags, err};
    int rc = check_keys(&run);
    for (const struct bake_option *o = job->options; rc == 0 && o->key; o++)
        rc = apply_one(&run, o);
    return rc;
}
