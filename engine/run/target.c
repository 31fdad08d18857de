/* The three places a component can go to. */
#include "run/target.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

#include <fcntl.h>
#include <string.h>

struct bk_target {
    struct bk_ctx ctx;
    /* a tree or a blob below a directory: the blob is a tree of one file */
    struct bkc_extract *extract;
    bool is_blob;
    char *blob_dir, *blob_name;
    /* through a source */
    const struct bake_source_ops *ops;
    void *writer;
    struct bake_component component;
    char *facts;
};

static int open_extract(struct bk_target *t, const char *root, const struct bk_target_opts *opts,
                        struct bk_err *err)
{
    int force = opts->env->opts->force;
    struct bkc_extract_opts x = {.root = root, .force = force, .parent_mode = 0700};
    int rc = bk_mkdir_p(root, 0700, err);

    if (rc < 0)
        return rc;
    rc = bkc_extract_open(&t->ctx.base, &x, &t->extract);
    return rc < 0 ? bk_ctx_fail(&t->ctx, rc, err) : BAKE_OK;
}

static int open_tree(struct bk_target *t, const struct bk_mcomp *c,
                     const struct bk_target_opts *opts, struct bk_err *err)
{
    char *root BK_FREE = bk_path_join(opts->dir, c->name);

    return root ? open_extract(t, root, opts, err) : bk_nomem(err);
}

/* Its one file is put when the data are known to come: mode 0600, since dumps hold secrets. */
static int open_blob(struct bk_target *t, const struct bk_mcomp *c,
                     const struct bk_target_opts *opts, struct bk_err *err)
{
    char *path BK_FREE = bk_path_join(opts->dir, c->name);
    struct bake_entry e = {.struct_size = sizeof(e), .type = BAKE_FILE, .size = c->bytes_in};
    int rc;

    t->is_blob = true;
    t->blob_dir = path ? bk_path_dir(path) : NULL;
    t->blob_name = path ? bk_strdup(bk_path_base(path)) : NULL;
    if (!t->blob_dir || !t->blob_name)
        return bk_nomem(err);
    rc = open_extract(t, t->blob_dir, opts, err);
    if (rc < 0)
        return rc;
    e.path = t->blob_name;
    e.mode = 0600;
    e.valid = BAKE_HAS_MODE;
    rc = bkc_extract_put(t->extract, &e);
    if (rc == BAKE_E_EXISTS || rc == BAKE_END)
        return bk_fail(err, BAKE_E_EXISTS,
                       "'%s' exists and is kept\nHINT: use --force to replace it", path);
    return rc < 0 ? bk_ctx_fail(&t->ctx, rc, err) : BAKE_OK;
}

static int no_source(const struct bk_mcomp *c, struct bk_err *err)
{
    if (c->source)
        bk_fail(err, BAKE_E_CONFIG,
                "component '%s' came from source '%s' (%s), which the pipeline does not have",
                c->name, c->source, c->plugin);
    else
        bk_fail(err, BAKE_E_CONFIG,
                "component '%s' needs a source of plugin '%s', which the pipeline does not have",
                c->name, c->plugin);
    bk_hint(err, "restore it to a directory with --target");
    return BAKE_E_CONFIG;
}

static int open_writer(struct bk_target *t, const struct bk_mcomp *c,
                       const struct bk_target_opts *opts, struct bk_rsource *src, bool *ret_gone,
                       struct bk_err *err)
{
    struct bake_restore how = bk_restore_how(opts->env, src->part);
    int rc = bk_restore_describe(src->part, c, &t->component, &t->facts, err);

    if (rc < 0)
        return rc;
    bk_rsource_ctx(src, opts->env->cancel, &t->ctx, "component '%s'", c->name);
    t->ctx.report = opts->report;
    t->ctx.report_arg = opts->report_arg;
    t->ops = src->ops;
    rc = t->ops->writer_open(src->self, &t->ctx.base, &t->component, &how, &t->writer);
    if (rc >= 0)
        return BAKE_OK;
    t->writer = NULL;
    *ret_gone = rc == BAKE_E_NOTFOUND;
    return bk_ctx_fail(&t->ctx, rc, err);
}

static int open_source(struct bk_target *t, const struct bk_mcomp *c,
                       const struct bk_target_opts *opts, bool *ret_gone, struct bk_err *err)
{
    const struct bk_part *part = bk_restore_part(opts->env->session->pipeline, c);
    struct bk_rsource *src;
    int rc;

    if (!part)
        return no_source(c, err);
    if (!part->plugin->source.writer_open)
        return bk_fail(err, BAKE_E_UNSUPPORTED,
                       "source plugin '%s' cannot put data back\n"
                       "HINT: restore to a directory with --target",
                       c->plugin);
    rc = bk_rsource_get(opts->env->sources, part, &src, err);
    return rc < 0 ? rc : open_writer(t, c, opts, src, ret_gone, err);
}

int bk_target_open(const struct bk_mcomp *c, const struct bk_target_opts *opts,
                   struct bk_target **ret, bool *ret_gone, struct bk_err *err)
{
    struct bk_target *t = calloc(1, sizeof(*t));
    int rc;

    if (!t)
        return bk_nomem(err);
    bk_ctx_init(&t->ctx, opts->env->cancel, "component '%s'", c->name);
    t->ctx.report = opts->report;
    t->ctx.report_arg = opts->report_arg;
    if (!opts->dir)
        rc = open_source(t, c, opts, ret_gone, err);
    else
        rc = c->kind == BAKE_TREE ? open_tree(t, c, opts, err) : open_blob(t, c, opts, err);
    if (rc < 0) {
        bk_target_close(t);
        return rc;
    }
    *ret = t;
    return BAKE_OK;
}

int bk_target_put(struct bk_target *t, const struct bake_entry *e, struct bk_err *err)
{
    int rc = t->extract ? bkc_extract_put(t->extract, e) : t->ops->put_entry(t->writer, e);

    return rc < 0 ? bk_ctx_fail(&t->ctx, rc, err) : rc;
}

int bk_target_write(struct bk_target *t, const void *data, size_t n, struct bk_err *err)
{
    struct bake_in in = {data, n, 0};

    while (in.pos < in.size) {
        size_t before = in.pos;
        int rc = t->extract ? bkc_extract_write(t->extract, &in) : t->ops->write(t->writer, &in);

        if (rc < 0)
            return bk_ctx_fail(&t->ctx, rc, err);
        if (in.pos == before)
            return bk_fail(err, BAKE_E_INTERNAL, "%s: writing makes no progress", t->ctx.label);
    }
    return BAKE_OK;
}

int bk_target_entry_end(struct bk_target *t, int good, struct bk_err *err)
{
    int rc = t->extract ? bkc_extract_end(t->extract, good) : t->ops->entry_end(t->writer, good);

    return rc < 0 ? bk_ctx_fail(&t->ctx, rc, err) : BAKE_OK;
}

bool bk_target_apart(const struct bk_target *t) { return t->extract && !t->is_blob; }

int bk_target_file(struct bk_target *t, const struct bake_entry *e, struct bkc_file **ret,
                   struct bk_err *err)
{
    int rc = bkc_extract_file(t->extract, e, ret);

    return rc < 0 ? bk_ctx_fail(&t->ctx, rc, err) : BAKE_OK;
}

void bk_target_ctx(const struct bk_target *t, struct bk_ctx *ret)
{
    bk_ctx_init(ret, t->ctx.cancel, "%s", t->ctx.label);
    ret->report = t->ctx.report;
    ret->report_arg = t->ctx.report_arg;
}

int bk_target_file_begin(struct bkc_file *f, struct bk_ctx *ctx, struct bk_err *err)
{
    int rc = bkc_file_begin(f, &ctx->base);

    return rc < 0 ? bk_ctx_fail(ctx, rc, err) : rc;
}

int bk_target_file_write(struct bkc_file *f, struct bk_ctx *ctx, const void *data, size_t n,
                         struct bk_err *err)
{
    struct bake_in in = {data, n, 0};
    int rc = bkc_file_write(f, &in); /* all of it, or a failure */

    return rc < 0 ? bk_ctx_fail(ctx, rc, err) : BAKE_OK;
}

int bk_target_file_end(struct bkc_file *f, struct bk_ctx *ctx, int good, struct bk_err *err)
{
    int rc = bkc_file_end(f, good);

    return rc < 0 ? bk_ctx_fail(ctx, rc, err) : BAKE_OK;
}

int bk_target_commit(struct bk_target *t, struct bk_err *err)
{
    int rc = BAKE_OK;

    if (t->is_blob)
        rc = bkc_extract_end(t->extract, 1);
    if (rc >= 0)
        rc = t->extract ? bkc_extract_finish(t->extract) : t->ops->commit(t->writer);
    return rc < 0 ? bk_ctx_fail(&t->ctx, rc, err) : BAKE_OK;
}

void bk_target_close(struct bk_target *t)
{
    if (!t)
        return;
    bkc_extract_close(t->extract);
    if (t->writer)
        t->ops->writer_close(t->writer);
    free(t->blob_dir);
    free(t->blob_name);
    free(t->facts);
    free(t);
}
