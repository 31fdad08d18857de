/* Choosing the parent. */
#include "run/parent.h"

#include "base/log.h"

#include <string.h>

static bool is(const char *type, const char *wanted) { return type && bk_streq(type, wanted); }

int bk_parent_check(const struct bk_session *s, const struct bk_run_opts *opts, struct bk_err *err)
{
    const char *format = bk_format_name(s->pipeline->format);

    if (s->pipeline->format == BK_FORMAT_REPOSITORY)
        return opts->parent && is(opts->type, "full")
                   ? bk_fail(err, BK_E_USAGE,
                             "a full backup reads everything: it has no parent\n"
                             "HINT: leave out --parent, or use --type incremental")
                   : BAKE_OK;
    if (opts->parent)
        return bk_fail(err, BK_E_USAGE,
                       "format '%s' has no parents: every backup is full\n"
                       "HINT: leave out --parent",
                       format);
    if (opts->type && !is(opts->type, "full"))
        bk_log(BAKE_LOG_INFO, "format '%s' writes full backups only: --type %s makes a full one",
               format, opts->type);
    return BAKE_OK;
}

static const struct bk_manifest *newest(const struct bk_catalog *c, bool full)
{
    for (size_t i = c->n; i-- > 0;) {
        const struct bk_manifest *m = c->backups[i].manifest;

        if (m && (!full || bk_streq(m->type, "full")))
            return m;
    }
    return NULL;
}

static int named(const struct bk_run_opts *opts, struct bk_parent *ret, struct bk_err *err)
{
    const struct bk_backup *b;
    int rc = bk_catalog_find(ret->catalog, opts->parent, 0, &b, err);

    if (rc < 0)
        return bk_prefix(err, "--parent");
    if (is(opts->type, "differential") && !bk_streq(b->manifest->type, "full"))
        return bk_fail(err, BK_E_USAGE,
                       "--parent '%s' is %s: a differential backup builds upon a full one\n"
                       "HINT: 'bakengine list' shows the types",
                       b->id, b->manifest->type);
    ret->manifest = b->manifest;
    return BAKE_OK;
}

int bk_parent_choose(struct bk_session *s, const struct bk_run_opts *opts, struct bk_parent *ret,
                     struct bk_err *err)
{
    bool differential = is(opts->type, "differential");
    int rc = BAKE_OK;

    memset(ret, 0, sizeof(*ret));
    ret->type = "full";
    if (s->pipeline->format != BK_FORMAT_REPOSITORY || is(opts->type, "full"))
        return BAKE_OK;
    rc = bk_session_catalog(s, opts->parent ? NULL : s->host, 0, &ret->catalog, err);
    if (rc < 0)
        return rc;
    if (opts->parent)
        rc = named(opts, ret, err);
    else
        ret->manifest = newest(ret->catalog, differential);
    if (ret->manifest)
        ret->type = differential ? "differential" : "incremental";
    else if (rc >= 0 && opts->type)
        bk_log(BAKE_LOG_INFO, "there is no %sbackup to build upon: --type %s makes a full one",
               differential ? "full " : "", opts->type);
    return rc;
}

void bk_parent_release(struct bk_parent *p)
{
    bk_catalog_free(p->catalog);
    memset(p, 0, sizeof(*p));
}
