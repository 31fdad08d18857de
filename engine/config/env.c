/* The env_file: its syntax, and the lookup over it and the process environment. */
#include "config/env.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "config/private_file.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define MAX_FILE_BYTES ((size_t)1 << 20)

struct var {
    char *name, *value;
};

struct bk_env {
    struct var *vars; /* sorted by name */
    size_t n, cap;
};

int bk_env_new(struct bk_env **ret, struct bk_err *err)
{
    struct bk_env *e = calloc(1, sizeof(*e));
    if (!e)
        return bk_nomem(err);
    *ret = e;
    return 0;
}

static void wipe(struct var *v)
{
    if (v->value)
        explicit_bzero(v->value, strlen(v->value));
    free(v->value);
    free(v->name);
}

void bk_env_free(struct bk_env *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->n; i++)
        wipe(&e->vars[i]);
    free(e->vars);
    free(e);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static bool is_alpha(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

size_t bk_env_name(const char *s)
{
    size_t n = 0;
    if (!is_alpha(s[0]))
        return 0;
    while (is_alpha(s[n]) || (s[n] >= '0' && s[n] <= '9'))
        n++;
    return n;
}

static bool has_word(const char *name, const char *const *words)
{
    for (; *words; words++) {
        if (strcasestr(name, *words))
            return true;
    }
    return false;
}

bool bk_env_is_secret(const char *name)
{
    /* not KEY: AWS_ACCESS_KEY_ID or KEY_PREFIX are shown, and short words must not be masked */
    static const char *const words[] = {"PASSWORD", "PASSWD", "PASSPHRASE",
                                        "SECRET",   "TOKEN",  NULL};
    return has_word(name, words);
}

static bool wants_private_file(const char *name)
{
    static const char *const words[] = {"KEY", NULL};
    return bk_env_is_secret(name) || has_word(name, words);
}

/* ---- the lookup -------------------------------------------------------------------------------
 */

/* The index of name, or where it is to be put. */
static size_t find(const struct bk_env *e, const char *name, bool *ret_found)
{
    size_t low = 0, high = e->n;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(e->vars[middle].name, name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes both strings, whatever it returns. */
static int set(struct bk_env *e, char *name, char *value, struct bk_err *err)
{
    struct var v = {name, value};
    bool found = false;
    size_t i = find(e, name, &found);
    if (found) {
        wipe(&e->vars[i]);
        e->vars[i] = v;
        return 0;
    }
    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 32;
        struct var *vars = reallocarray(e->vars, cap, sizeof(*vars));
        if (!vars) {
            wipe(&v);
            return bk_nomem(err);
        }
        e->vars = vars;
        e->cap = cap;
    }
    memmove(e->vars + i + 1, e->vars + i, (e->n - i) * sizeof(v));
    e->vars[i] = v;
    e->n++;
    return 0;
}

const char *bk_env_get(const struct bk_env *e, const char *name)
{
    const char *own = getenv(name);
    if (own)
        return own;
    bool found = false;
    size_t i = find(e, name, &found);
    return found ? e->vars[i].value : NULL;
}

int bk_env_export(const struct bk_env *e, struct bk_err *err)
{
    for (size_t i = 0; i < e->n; i++) {
        if (setenv(e->vars[i].name, e->vars[i].value, 0) < 0)
            return bk_fail_errno(err, errno, "cannot set '%s'", e->vars[i].name);
    }
    return 0;
}

/* ---- the file ---------------------------------------------------------------------------------
 */

struct reader {
    const char *path;
    const char *p; /* NUL-ended text */
    int line;
    struct bk_err *err;
};

static int mistake(const struct reader *r, int line, const char *what)
{
    return bk_fail(r->err, BAKE_E_CONFIG, "%s:%d: %s", r->path, line, what);
}

static void skip_blanks(struct reader *r)
{
    while (*r->p == ' ' || *r->p == '\t')
        r->p++;
}

static bool at_line_end(const struct reader *r)
{
    return *r->p == '\0' || *r->p == '\n' || (r->p[0] == '\r' && r->p[1] == '\n');
}

static void skip_line(struct reader *r)
{
    while (*r->p && *r->p != '\n')
        r->p++;
    if (*r->p == '\n') {
        r->p++;
        r->line++;
    }
}

/* What a backslash and c stand for within "..."; 0: nothing, the backslash stays. */
static char escaped(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '"':
    case '\\':
    case '$':
        return c;
    default:
        return 0;
    }
}

/* r->p is at the opening quote; may run over several lines. */
static int read_quoted(struct reader *r, struct bk_buf *value)
{
    const int start = r->line;
    const char quote = *r->p++;
    for (; *r->p && *r->p != quote; r->p++) {
        char c = *r->p;
        if (c == '\n')
            r->line++;
        if (quote == '"' && c == '\\' && escaped(r->p[1]))
            c = escaped(*++r->p);
        (void)bk_buf_char(value, c);
    }
    if (!*r->p)
        return mistake(r, start, "a quote is opened and not closed");
    r->p++;
    return 0;
}

/* Up to a blank, a quote or the line's end. */
static void read_plain(struct reader *r, struct bk_buf *value)
{
    while (!at_line_end(r) && !strchr(" \t'\"", *r->p))
        (void)bk_buf_char(value, *r->p++);
}

static int read_value(struct reader *r, struct bk_buf *value)
{
    skip_blanks(r);
    if (*r->p == '#' && r->p[-1] != '=') /* "A=#x" is a value, "A= #x" is none */
        return 0;
    while (!at_line_end(r)) {
        if (*r->p == '\'' || *r->p == '"') {
            int rc = read_quoted(r, value);
            if (rc < 0)
                return rc;
            continue;
        }
        const char *blanks = r->p;
        skip_blanks(r);
        if (at_line_end(r) || (*r->p == '#' && r->p > blanks))
            break;
        (void)bk_buf_add(value, blanks, (size_t)(r->p - blanks));
        read_plain(r, value);
    }
    return 0;
}

/* "NAME=" or "export NAME=", up to after the '='. */
static int read_name(struct reader *r, char **ret)
{
    if (strncmp(r->p, "export", 6) == 0 && (r->p[6] == ' ' || r->p[6] == '\t')) {
        r->p += 6;
        skip_blanks(r);
    }
    size_t n = bk_env_name(r->p);
    if (n == 0)
        return mistake(r, r->line, "a line starts with neither a name nor '#'");
    if (r->p[n] == ' ' || r->p[n] == '\t')
        return mistake(r, r->line, "there is a blank after the name; write NAME=value");
    if (r->p[n] != '=')
        return mistake(r, r->line, "there is no '=' after the name; write NAME=value");
    *ret = strndup(r->p, n);
    r->p += n + 1;
    return *ret ? 0 : bk_nomem(r->err);
}

static int read_variable(struct reader *r, struct bk_env *e, bool is_public)
{
    struct bk_buf value BK_CLEANUP(bk_buf_wipe) = BK_BUF_INIT;
    char *name BK_FREE = NULL;
    const int line = r->line;
    int rc = read_name(r, &name);
    if (rc < 0)
        return rc;
    if (is_public && wants_private_file(name))
        return bk_fail(r->err, BAKE_E_CONFIG,
                       "%s:%d: '%s' looks like a secret, and others can read this file\n"
                       "HINT: chmod o-rwx '%s'",
                       r->path, line, name, r->path);
    rc = read_value(r, &value);
    if (rc < 0)
        return rc;
    if (bk_buf_str(&value, "") < 0 || value.failed)
        return bk_nomem(r->err);
    if (!bk_is_utf8(value.data ? value.data : "", value.len))
        return mistake(r, line, "the value is not UTF-8");
    char *copy = bk_strdup(value.data ? value.data : "");
    if (!copy)
        return bk_nomem(r->err);
    if (bk_env_is_secret(name))
        bk_mask_add(copy);
    return set(e, BK_STEAL(name), copy, r->err);
}

static int read_all(struct reader *r, struct bk_env *e, bool is_public)
{
    if (strncmp(r->p, "\xEF\xBB\xBF", 3) == 0) /* a byte order mark, as some editors leave */
        r->p += 3;
    while (*r->p) {
        skip_blanks(r);
        if (!at_line_end(r) && *r->p != '#') {
            int rc = read_variable(r, e, is_public);
            if (rc < 0)
                return rc;
        }
        skip_line(r);
    }
    return 0;
}

int bk_env_load(struct bk_env *e, const char *path, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_wipe) = BK_BUF_INIT;
    mode_t mode = 0;
    int rc = bk_read_private(path, MAX_FILE_BYTES, &text, &mode, err);
    if (rc < 0)
        return rc;
    if (text.len && memchr(text.data, '\0', text.len))
        return bk_fail(err, BAKE_E_CONFIG, "'%s' holds NUL bytes; it is not a text file", path);
    struct reader r = {path, text.data ? text.data : "", 1, err};
    return read_all(&r, e, (mode & S_IROTH) != 0);
}
