/* Fills ${NAME} and ${NAME:-default} into the values of a YAML tree. */
#include "config/yaml_internal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "config/env.h"

#include <string.h>

#define MAX_NESTING 16 /* ${A:-${B:-...}} */
#define NAME_CAP    256

struct fill {
    struct bk_yaml *y;
    const struct bk_fill *how;
    struct bk_diags *diags;
    struct bk_err *err;
    const struct bk_node *node; /* the scalar that is filled in */
    struct bk_buf out;
    bool bad;
};

static int expand(struct fill *f, const char *s, size_t n, unsigned nesting);

/* Where the '}' is that closes a "${" whose inside starts at s; n: nowhere. */
static size_t closing_brace(const char *s, size_t n)
{
    size_t open = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '$' && i + 1 < n && (s[i + 1] == '{' || s[i + 1] == '$')) {
            open += s[i + 1] == '{';
            i++;
        } else if (s[i] == '}' && open-- == 0) {
            return i;
        }
    }
    return n;
}

static void not_understood(struct fill *f, const char *s, size_t n)
{
    char shown[BK_QUOTE_CAP];
    char *text BK_FREE = strndup(s, n);
    bk_diag_error(f->diags, f->node->at,
                  "'%s' is not understood; write ${NAME} or ${NAME:-default}, and '$$' for a '$'",
                  bk_quote(shown, text ? text : ""));
    f->bad = true;
}

static void unset(struct fill *f, const char *name)
{
    f->bad = true;
    if (!f->how->quiet_unset)
        bk_diag_error(f->diags, f->node->at,
                      "'${%s}' is not set; set it in the environment or env_file, or write "
                      "'${%s:-default}'",
                      name, name);
}

static void add_value(struct fill *f, const char *name, const char *value)
{
    if (f->out.len + strlen(value) > BK_YAML_MAX_BYTES) { /* a long one many times: not even made */
        if (!f->bad)
            bk_diag_error(f->diags, f->node->at, "too long once '${...}' are filled in");
        f->bad = true;
        return;
    }
    if (!bk_is_utf8(value, strlen(value))) {
        bk_diag_error(f->diags, f->node->at, "the value of '${%s}' is not UTF-8", name);
        f->bad = true;
        return;
    }
    if (bk_env_is_secret(name))
        bk_mask_add(value);
    (void)bk_buf_str(&f->out, value);
}

/* s[0..n) is what stands between "${" and its "}". */
static int expand_one(struct fill *f, const char *s, size_t n, unsigned nesting)
{
    char name[NAME_CAP];
    size_t length = bk_env_name(s);
    const bool has_default = length + 2 <= n && memcmp(s + length, ":-", 2) == 0;
    if (length == 0 || length >= sizeof(name) || (length != n && !has_default)) {
        not_understood(f, s - 2, n + 3);
        return 0;
    }
    memcpy(name, s, length);
    name[length] = '\0';
    const char *value = bk_env_get(f->how->env, name);
    if (value && (*value || !has_default))
        add_value(f, name, value);
    else if (has_default)
        return expand(f, s + length + 2, n - length - 2, nesting + 1);
    else
        unset(f, name);
    return 0;
}

static int expand(struct fill *f, const char *s, size_t n, unsigned nesting)
{
    if (nesting > MAX_NESTING) {
        bk_diag_error(f->diags, f->node->at, "more than %d '${...}' within each other",
                      MAX_NESTING);
        f->bad = true;
        return 0;
    }
    for (size_t i = 0; i < n;) {
        if (s[i] != '$' || i + 1 == n || (s[i + 1] != '{' && s[i + 1] != '$')) {
            (void)bk_buf_char(&f->out, s[i++]);
            continue;
        }
        if (s[i + 1] == '$') {
            (void)bk_buf_char(&f->out, '$');
            i += 2;
            continue;
        }
        size_t inside = closing_brace(s + i + 2, n - i - 2);
        if (inside == n - i - 2) {
            not_understood(f, s + i, n - i);
            return 0;
        }
        int rc = expand_one(f, s + i + 2, inside, nesting);
        if (rc < 0)
            return rc;
        i += inside + 3;
    }
    return f->out.failed ? bk_nomem(f->err) : 0;
}

static int keep(struct fill *f, struct bk_node *node)
{
    struct bk_yaml *y = f->y;
    if (f->out.len > BK_YAML_MAX_BYTES - y->filled) {
        bk_diag_error(f->diags, node->at, "too long once '${...}' are filled in");
        node->bad = true;
        return 0;
    }
    y->filled += f->out.len;
    node->text = bk_optmem_text(y->mem, f->out.data ? f->out.data : "", f->out.len);
    node->filled = true;
    return node->text ? 0 : bk_nomem(f->err);
}

static int fill_scalar(struct fill *f, struct bk_node *node)
{
    if (!strchr(node->text, '$'))
        return 0;
    f->node = node;
    f->bad = false;
    f->out = (struct bk_buf)BK_BUF_INIT;
    int rc = expand(f, node->text, strlen(node->text), 0);
    if (rc == 0 && f->bad)
        node->bad = true;
    else if (rc == 0)
        rc = keep(f, node);
    bk_buf_wipe(&f->out);
    return rc;
}

static bool is_wanted(const char *const *only, const char *key)
{
    if (!only)
        return true;
    for (; *only; only++) {
        if (strcmp(*only, key) == 0)
            return true;
    }
    return false;
}

static void report_duplicates(const struct bk_ynode *map, const char *const *only,
                              struct bk_diags *diags)
{
    char shown[BK_QUOTE_CAP];
    for (const struct bk_ydup *d = map->dups; d; d = d->next) {
        if (is_wanted(only, d->key->text))
            bk_diag_error(diags, d->key->at, "'%s' is given twice; first in line %d",
                          bk_quote(shown, d->key->text), d->first->at.line);
    }
}

static int fill_node(struct fill *f, struct bk_ynode *y, const char *const *only)
{
    struct bk_node *node = &y->node;
    if (y->done)
        return 0;
    y->done = !only; /* a map of which only some keys were read is still to be done */
    if (node->type == BK_SCALAR)
        return fill_scalar(f, node);
    if (node->type == BK_MAP)
        report_duplicates(y, only, f->diags);
    for (size_t i = 0; i < node->n; i++) {
        if (node->type == BK_MAP && !is_wanted(only, node->keys[i]->text))
            continue;
        int rc = fill_node(f, (struct bk_ynode *)node->items[i], NULL);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int bk_yaml_fill(struct bk_yaml *y, const struct bk_node *node, const struct bk_fill *how,
                 struct bk_diags *diags, struct bk_err *err)
{
    struct fill f = {.y = y, .how = how, .diags = diags, .err = err};
    return fill_node(&f, (struct bk_ynode *)node, how->only);
}
