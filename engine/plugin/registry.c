/* Which plugins there are: a list of directories, and what was loaded from them so far. */
#include "plugin/registry.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "plugin/load.h"
#include "plugin/search.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct bk_registry {
    struct bk_strv dirs;
    struct bk_plugin **plugins;
    size_t n;
};

int bk_registry_new(struct bk_registry **ret, struct bk_err *err)
{
    struct bk_registry *r = calloc(1, sizeof(*r));
    if (!r)
        return bk_nomem(err);
    int rc = bk_search_dirs(&r->dirs, err);
    if (rc < 0) {
        bk_registry_free(r);
        return rc;
    }
    *ret = r;
    return 0;
}

void bk_registry_free(struct bk_registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        bk_plugin_free(r->plugins[i]);
    free(r->plugins);
    bk_strv_free(&r->dirs);
    free(r);
}

/* The first directory's <full_name>.so, or NULL in *ret. */
static int find_file(const struct bk_registry *r, const char *full_name, char **ret,
                     struct bk_err *err)
{
    char *file BK_FREE = bk_asprintf("%s.so", full_name);
    char *found BK_FREE = NULL;
    if (!file)
        return bk_nomem(err);
    for (size_t i = 0; i < r->dirs.n; i++) {
        char *path BK_FREE = bk_path_join(r->dirs.items[i], file);
        struct stat st;
        if (!path)
            return bk_nomem(err);
        /* A dangling link counts: it is a mistake to be told, not an absent plugin. */
        if (lstat(path, &st) < 0)
            continue;
        if (found)
            bk_log(BAKE_LOG_DEBUG, "plugin '%s': using '%s', not '%s'", full_name, found, path);
        else
            found = BK_STEAL(path);
    }
    *ret = BK_STEAL(found);
    return 0;
}

/* ---- names ------------------------------------------------------------------------------------
 */

static bool is_plugin_file(const char *file, size_t *ret_len)
{
    static const char *const prefixes[] = {"source-", "transform-", "sink-"};
    size_t n = strlen(file);
    if (n < 4 || !bk_ends(file, ".so"))
        return false;
    for (size_t i = 0; i < BK_LEN(prefixes); i++) {
        size_t k = strlen(prefixes[i]);
        if (!bk_starts(file, prefixes[i]) || n - 3 == k)
            continue;
        *ret_len = n - 3;
        return strspn(file + k, "abcdefghijklmnopqrstuvwxyz0123456789-") == n - 3 - k;
    }
    return false;
}

static int add_names_of(const char *dir, struct bk_strv *ret, struct bk_err *err)
{
    DIR *d = opendir(dir);
    if (!d) {
        struct bk_err why = {0};
        if (bk_fail_errno(&why, errno, "cannot list the plugins in '%s'", dir) != BAKE_E_NOTFOUND)
            bk_log(BAKE_LOG_WARN, "%s, skipping", why.text);
        return 0;
    }
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        size_t n = 0;
        if (!is_plugin_file(e->d_name, &n))
            continue;
        char *name BK_FREE = strndup(e->d_name, n);
        if (!name || (!bk_strv_has(ret, name) && bk_strv_add(ret, name) < 0))
            rc = bk_nomem(err);
    }
    (void)closedir(d);
    return rc;
}

int bk_registry_names(struct bk_registry *r, struct bk_strv *ret, struct bk_err *err)
{
    struct bk_strv names = {0};
    int rc = 0;
    for (size_t i = 0; i < r->dirs.n && rc == 0; i++)
        rc = add_names_of(r->dirs.items[i], &names, err);
    if (rc < 0) {
        bk_strv_free(&names);
        return rc;
    }
    bk_strv_sort(&names);
    *ret = names;
    return 0;
}

/* ---- a plugin that is not there ----------------------------------------------------------------
 */

/* The names of one kind, without "<kind>-". */
static int names_of_kind(struct bk_registry *r, enum bk_kind kind, struct bk_strv *ret,
                         struct bk_err *err)
{
    struct bk_strv all = {0};
    int rc = bk_registry_names(r, &all, err);
    size_t k = strlen(bk_kind_name(kind)) + 1;
    for (size_t i = 0; i < all.n && rc == 0; i++) {
        if (bk_starts(all.items[i], bk_kind_name(kind)) && all.items[i][k - 1] == '-' &&
            bk_strv_add(ret, all.items[i] + k) < 0)
            rc = bk_nomem(err);
    }
    bk_strv_free(&all);
    return rc;
}

static void add_list(struct bk_buf *b, const struct bk_strv *v, const char *quote)
{
    for (size_t i = 0; i < v->n; i++)
        (void)bk_buf_printf(b, "%s%s%s%s", i ? ", " : "", quote, v->items[i], quote);
}

static int say_absent(struct bk_registry *r, const char *kind, const char *name,
                      const struct bk_strv *there, struct bk_err *err)
{
    struct bk_buf text = BK_BUF_INIT;
    char shown[80];
    bk_printable(shown, sizeof(shown), name, strlen(name));
    (void)bk_buf_printf(&text, "there is no %s plugin '%s'", kind, shown);
    const char *near = there->n ? bk_suggest(name, (const char *const *)there->items) : NULL;
    if (near)
        (void)bk_buf_printf(&text, "; did you mean '%s'?", near);
    if (there->n) {
        (void)bk_buf_printf(&text, "%s available: ", near ? "" : ";");
        add_list(&text, there, "");
    } else {
        (void)bk_buf_printf(&text, "; no %s plugin was found at all", kind);
    }
    (void)bk_buf_str(&text, "\nHINT: ");
    if (r->dirs.n) {
        (void)bk_buf_str(&text, "plugins are looked for in ");
        add_list(&text, &r->dirs, "'");
        (void)bk_buf_str(&text, "; ");
    }
    (void)bk_buf_str(&text, "BAKENGINE_PLUGIN_PATH names more directories");
    int rc = text.failed ? bk_nomem(err) : bk_fail(err, BAKE_E_NOTFOUND, "%s", text.data);
    bk_buf_free(&text);
    return rc;
}

static int fail_absent(struct bk_registry *r, enum bk_kind kind, const char *name,
                       struct bk_err *err)
{
    struct bk_strv there = {0};
    int rc = names_of_kind(r, kind, &there, err);
    if (rc == 0)
        rc = say_absent(r, bk_kind_name(kind), name, &there, err);
    bk_strv_free(&there);
    return rc;
}

/* ---- loading ----------------------------------------------------------------------------------
 */

/* A plugin must be what its file is called; else two files could be one plugin. */
static int check_file_name(struct bk_registry *r, const struct bk_plugin *p, const char *expected,
                           struct bk_err *err)
{
    if (bk_streq(p->full_name, expected))
        return 0;
    char *other BK_FREE = NULL;
    int rc = find_file(r, p->full_name, &other, err);
    if (rc < 0)
        return rc;
    if (other)
        return bk_plugin_bad(p, err,
                             "is the plugin '%s' a second time: '%s' has that name already\n"
                             "HINT: remove one of the two, or put the one to prefer into a "
                             "directory of its own in BAKENGINE_PLUGIN_PATH",
                             p->full_name, other);
    return bk_plugin_bad(p, err,
                         "says that it is '%s', but is loaded as '%s'\n"
                         "HINT: a plugin's file is called <kind>-<name>.so: rename it to '%s.so'",
                         p->full_name, expected, p->full_name);
}

static int keep(struct bk_registry *r, struct bk_plugin *p, struct bk_err *err)
{
    struct bk_plugin **more = reallocarray(r->plugins, r->n + 1, sizeof(struct bk_plugin *));
    if (!more)
        return bk_nomem(err);
    r->plugins = more;
    r->plugins[r->n++] = p;
    return 0;
}

static int load_named(struct bk_registry *r, const char *path, const char *full_name,
                      const struct bk_plugin **ret, struct bk_err *err)
{
    struct bk_plugin *p = NULL;
    int rc = bk_plugin_load(path, &p, err);
    if (rc < 0)
        return rc;
    rc = check_file_name(r, p, full_name, err);
    if (rc == 0)
        rc = keep(r, p, err);
    if (rc < 0) {
        bk_plugin_free(p);
        return rc;
    }
    bk_log(BAKE_LOG_DEBUG, "plugin '%s' %s loaded from '%s'", full_name, p->desc.version, p->file);
    *ret = p;
    return 0;
}

int bk_registry_get(struct bk_registry *r, enum bk_kind kind, const char *name,
                    const struct bk_plugin **ret, struct bk_err *err)
{
    char *full BK_FREE = bk_asprintf("%s-%s", bk_kind_name(kind), name);
    char *file BK_FREE = full ? bk_asprintf("%s.so", full) : NULL;
    if (!file)
        return bk_nomem(err);
    for (size_t i = 0; i < r->n; i++) {
        if (bk_streq(r->plugins[i]->full_name, full)) {
            *ret = r->plugins[i];
            return 0;
        }
    }
    /* The name comes from a pipeline file: nothing that could leave the directories. */
    size_t ignored = 0;
    char *path BK_FREE = NULL;
    if (is_plugin_file(file, &ignored)) {
        int rc = find_file(r, full, &path, err);
        if (rc < 0)
            return rc;
    }
    if (!path)
        return fail_absent(r, kind, name, err);
    return load_named(r, path, full, ret, err);
}
