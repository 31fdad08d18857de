/* One value of a YAML map becomes one member of a config struct. */
#include "config/options_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/num.h"
#include "base/path.h"
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void bk_option_wrong(const struct bk_opt_run *run, const char *key, const struct bk_node *node,
                     const char *wanted)
{
    char shown[BK_QUOTE_CAP];
    if (node->type != BK_SCALAR)
        bk_diag_error(run->diags, node->at, "'%s' must be %s, got %s", key, wanted,
                      bk_node_kind(node));
    else
        bk_diag_error(run->diags, node->at, "'%s' must be %s, got '%s'%s", key, wanted,
                      bk_quote(shown, node->text),
                      node->quoted && !node->filled ? " in quotes" : "");
}

/* Whether a scalar may be something other than text. */
static bool is_plain(const struct bk_node *node)
{
    return node->type == BK_SCALAR && (!node->quoted || node->filled);
}

/* ---- ranges -----------------------------------------------------------------------------------
 */

static const char *bound(char out[BK_EXACT_CAP], const struct bake_option *o, int64_t value)
{
    if (o->type == BAKE_T_SIZE)
        return bk_option_exact_size(out, value < 0 ? 0 : (uint64_t)value);
    if (o->type == BAKE_T_DURATION)
        return bk_option_exact_duration(out, value < 0 ? 0 : (uint64_t)value);
    (void)snprintf(out, BK_EXACT_CAP, "%" PRId64, value);
    return out;
}

static bool in_range(const struct bk_opt_run *run, const struct bake_option *o,
                     const struct bk_node *node, int64_t value)
{
    char low[BK_EXACT_CAP], high[BK_EXACT_CAP], shown[BK_QUOTE_CAP];
    if (!(o->flags & BAKE_OPT_HAS_RANGE) || (value >= o->min && value <= o->max))
        return true;
    bool has_low = o->type == BAKE_T_INT ? o->min != INT64_MIN : o->min > 0;
    const char *got = bk_quote(shown, node->text);
    (void)bound(low, o, o->min);
    (void)bound(high, o, o->max);
    if (o->max == INT64_MAX)
        bk_diag_error(run->diags, node->at, "'%s' must be at least %s, got %s", o->key, low, got);
    else if (!has_low)
        bk_diag_error(run->diags, node->at, "'%s' must be at most %s, got %s", o->key, high, got);
    else
        bk_diag_error(run->diags, node->at, "'%s' must be between %s and %s, got %s", o->key, low,
                      high, got);
    return false;
}

/* ---- scalars ----------------------------------------------------------------------------------
 */

static int store_bool(const struct bk_opt_run *run, const struct bake_option *o,
                      const struct bk_node *node)
{
    bool value = false;
    if (!is_plain(node) || !bk_parse_bool(node->text, &value))
        bk_option_wrong(run, o->key, node, "true or false");
    else
        *(int *)bk_option_at(run->cfg, o) = value;
    return 0;
}

static bool is_digits(const char *s)
{
    s += *s == '-';
    return *s && s[strspn(s, "0123456789")] == '\0';
}

static int store_int(const struct bk_opt_run *run, const struct bake_option *o,
                     const struct bk_node *node)
{
    int64_t value = 0;
    if (is_plain(node) && is_digits(node->text) && !bk_parse_i64(node->text, &value)) {
        char shown[BK_QUOTE_CAP];
        bk_diag_error(run->diags, node->at, "'%s' is too large a number: '%s'", o->key,
                      bk_quote(shown, node->text));
        return 0;
    }
    if (!is_plain(node) || !bk_parse_i64(node->text, &value))
        bk_option_wrong(run, o->key, node, "a whole number");
    else if (in_range(run, o, node, value))
        memcpy(bk_option_at(run->cfg, o), &value, sizeof(value));
    return 0;
}

static int store_u64(const struct bk_opt_run *run, const struct bake_option *o,
                     const struct bk_node *node)
{
    uint64_t value = 0;
    const bool is_size = o->type == BAKE_T_SIZE;
    bool ok = node->type == BK_SCALAR &&
              (is_size ? bk_parse_size(node->text, &value) : bk_parse_duration(node->text, &value));
    if (!ok)
        bk_option_wrong(run, o->key, node,
                        is_size ? "a size such as '64 MiB'" : "a duration such as '90s' or '7d'");
    else if (in_range(run, o, node, value > INT64_MAX ? INT64_MAX : (int64_t)value))
        memcpy(bk_option_at(run->cfg, o), &value, sizeof(value));
    return 0;
}

static int copy_text(const struct bk_opt_run *run, const char *text, const char **ret)
{
    *ret = bk_optmem_text(run->mem, text, strlen(text));
    return *ret ? 0 : bk_nomem(run->err);
}

static int store_string(const struct bk_opt_run *run, const struct bake_option *o,
                        const struct bk_node *node)
{
    if (node->type == BK_SCALAR)
        return copy_text(run, node->text, bk_option_at(run->cfg, o));
    bk_option_wrong(run, o->key, node, "text");
    return 0;
}

int bk_option_path(const struct bk_opt_run *run, const char *key, const struct bk_node *node,
                   const char **ret)
{
    if (node->type != BK_SCALAR) {
        bk_option_wrong(run, key, node, "a path");
        return 0;
    }
    if (!*node->text) {
        bk_diag_error(run->diags, node->at, "'%s' must not be empty", key);
        return 0;
    }
    if (*node->text == '~') {
        bk_diag_error(
            run->diags, node->at,
            "'%s' starts with '~', which is not expanded; write '${HOME}/...', or './~...' "
            "for a file of that name",
            key);
        return 0;
    }
    char *path BK_FREE = bk_path_join(run->job->dir ? run->job->dir : "", node->text);
    return path ? copy_text(run, path, ret) : bk_nomem(run->err);
}

static int store_path(const struct bk_opt_run *run, const struct bake_option *o,
                      const struct bk_node *node)
{
    const char *path = NULL;
    int rc = bk_option_path(run, o->key, node, &path);
    if (path)
        memcpy(bk_option_at(run->cfg, o), &path, sizeof(path));
    return rc;
}

static int wrong_choice(const struct bk_opt_run *run, const struct bake_option *o,
                        const struct bk_node *node)
{
    char shown[BK_QUOTE_CAP];
    struct bk_buf list BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    const bool several = o->choices[0] && o->choices[1];
    for (const char *const *c = o->choices; *c; c++)
        (void)bk_buf_printf(&list, "%s'%s'", c == o->choices ? "" : c[1] ? ", " : " or ", *c);
    if (list.failed || !list.data)
        return bk_nomem(run->err);
    const char *nearest =
        node->type == BK_SCALAR && several ? bk_suggest(node->text, o->choices) : NULL;
    if (node->type != BK_SCALAR)
        bk_option_wrong(run, o->key, node, list.data);
    else
        bk_diag_error(run->diags, node->at, "'%s' must be %s, got '%s'%s%s%s", o->key, list.data,
                      bk_quote(shown, node->text), nearest ? "; did you mean '" : "",
                      nearest ? nearest : "", nearest ? "'?" : "");
    return 0;
}

static int store_enum(const struct bk_opt_run *run, const struct bake_option *o,
                      const struct bk_node *node)
{
    for (int i = 0; node->type == BK_SCALAR && o->choices[i]; i++) {
        if (strcmp(o->choices[i], node->text) == 0) {
            *(int *)bk_option_at(run->cfg, o) = i;
            return 0;
        }
    }
    return wrong_choice(run, o, node);
}

/* ---- lists ------------------------------------------------------------------------------------
 */

const struct bake_option bk_path_item_options[] = {
    {.key = "path",
     .type = BAKE_T_PATH,
     .flags = BAKE_OPT_REQUIRED,
     .offset = BAKE_MEMBER(struct bake_path, path, const char *),
     .help = "The path."},
    {.key = "optional",
     .type = BAKE_T_BOOL,
     .offset = BAKE_MEMBER(struct bake_path, optional, int),
     .help = "Its absence is no failure."},
    {0},
};

/* An item that is there: *ret_skip for one whose ${...} gave nothing, or that was reported. */
static void check_item(const struct bk_opt_run *run, const struct bake_option *o,
                       const struct bk_node *item, bool *ret_skip)
{
    *ret_skip = item->bad || (item->filled && !*item->text);
    if (*ret_skip || !bk_node_is_null(item))
        return;
    bk_diag_error(run->diags, item->at, "an item of '%s' has no value", o->key);
    *ret_skip = true;
}

static int path_item(const struct bk_opt_run *run, const struct bake_option *o,
                     const struct bk_node *item, struct bake_path *ret)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "%.50s", o->key);
    if (item->type != BK_MAP)
        return bk_option_path(run, key, item, &ret->path);
    char what[96];
    (void)snprintf(what, sizeof(what), "an item of '%s'", key);
    struct bk_opt_job job = {.options = bk_path_item_options, .what = what, .dir = run->job->dir};
    return bk_options_apply(&job, item, ret, run->mem, run->diags, run->err);
}

static int store_paths(const struct bk_opt_run *run, const struct bake_option *o,
                       struct bk_node *const *items, size_t n)
{
    struct bake_path *list = bk_optmem_array(run->mem, n + 1, sizeof(*list));
    size_t used = 0;
    if (!list)
        return bk_nomem(run->err);
    for (size_t i = 0; i < n; i++) {
        bool skip = false;
        check_item(run, o, items[i], &skip);
        int rc = skip ? 0 : path_item(run, o, items[i], &list[used]);
        if (rc < 0)
            return rc;
        if (list[used].path)
            used++;
        else
            list[used].optional = 0;
    }
    memcpy(bk_option_at(run->cfg, o), &list, sizeof(list));
    return 0;
}

static int store_strings(const struct bk_opt_run *run, const struct bake_option *o,
                         struct bk_node *const *items, size_t n)
{
    const char **list = bk_optmem_array(run->mem, n + 1, sizeof(*list));
    size_t used = 0;
    if (!list)
        return bk_nomem(run->err);
    for (size_t i = 0; i < n; i++) {
        bool skip = false;
        int rc = 0;
        check_item(run, o, items[i], &skip);
        if (!skip && items[i]->type != BK_SCALAR)
            bk_diag_error(run->diags, items[i]->at, "each item of '%s' must be text, got %s",
                          o->key, bk_node_kind(items[i]));
        else if (!skip)
            rc = copy_text(run, items[i]->text, &list[used++]);
        if (rc < 0)
            return rc;
    }
    memcpy(bk_option_at(run->cfg, o), &list, sizeof(list));
    return 0;
}

static int store_list(const struct bk_opt_run *run, const struct bake_option *o,
                      const struct bk_node *node)
{
    const bool is_paths = o->type == BAKE_T_PATHLIST;
    struct bk_node *one = (struct bk_node *)node; /* only read: a list of one */
    const bool is_list = node->type == BK_SEQ;
    const size_t n = is_list ? node->n : 1;
    if (node->type == BK_MAP) {
        bk_option_wrong(run, o->key, node, is_paths ? "a list of paths" : "a list of texts");
        return 0;
    }
    if (n == 0 && (o->flags & BAKE_OPT_REQUIRED)) {
        bk_diag_error(run->diags, node->at, "'%s' must hold at least one %s", o->key,
                      is_paths ? "path" : "text");
        return 0;
    }
    return is_paths ? store_paths(run, o, is_list ? node->items : &one, n)
                    : store_strings(run, o, is_list ? node->items : &one, n);
}

int bk_option_store(const struct bk_opt_run *run, const struct bake_option *o,
                    const struct bk_node *node)
{
    switch ((enum bake_type)o->type) {
    case BAKE_T_BOOL:
        return store_bool(run, o, node);
    case BAKE_T_INT:
        return store_int(run, o, node);
    case BAKE_T_SIZE:
    case BAKE_T_DURATION:
        return store_u64(run, o, node);
    case BAKE_T_STRING:
        return store_string(run, o, node);
    case BAKE_T_PATH:
        return store_path(run, o, node);
    case BAKE_T_SECRET:
        return bk_option_secret(run, o, node);
    case BAKE_T_ENUM:
        return store_enum(run, o, node);
    case BAKE_T_STRLIST:
    case BAKE_T_PATHLIST:
        return store_list(run, o, node);
    }
    bk_diag_error(run->diags, node->at, "'%s' has a type that this engine does not know", o->key);
    return 0;
}
