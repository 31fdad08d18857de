/* cat: one component's stream, or one file of a tree, on standard output. */
#include "base/cleanup.h"
#include "base/io.h"
#include "cli/cli.h"
#include "store/comp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define READ_BUFFER (256u << 10)

static int copy_out(struct bk_compr *r, struct bk_err *err)
{
    char *buffer BK_FREE = malloc(READ_BUFFER);

    if (!buffer)
        return bk_nomem(err);
    for (;;) {
        struct bake_out out = {buffer, READ_BUFFER, 0};
        int rc = bk_compr_read(r, &out, err);

        if (rc < 0)
            return rc;
        if (bk_write_full(STDOUT_FILENO, buffer, out.pos) < 0)
            return bk_fail_errno(err, errno, "cannot write to standard output");
        if (rc == BAKE_END)
            return BAKE_OK;
    }
}

/* A hard link's bytes stand under its first name. */
static int cat_file(struct bk_compr *r, const char *path, char **ret_first, struct bk_err *err)
{
    for (;;) {
        struct bake_entry e;
        int rc = bk_compr_next(r, &e, err);

        if (rc < 0)
            return rc;
        if (rc == BAKE_END)
            return bk_fail(err, BK_E_NOSTORE, "there is no '%s' in the component", path);
        if (!bk_streq(e.path, path))
            continue;
        if (e.type == BAKE_HARDLINK) {
            *ret_first = bk_strdup(e.link);
            return *ret_first ? BAKE_OK : bk_nomem(err);
        }
        if (e.type != BAKE_FILE)
            return bk_fail(err, BK_E_USAGE, "'%s' is not a file", path);
        return copy_out(r, err);
    }
}

static int cat_one(struct bk_cli *cli, struct bk_view *v, const struct bk_manifest *m,
                   const struct bk_mcomp *c, const char *path, char **ret_first, struct bk_err *err)
{
    struct bk_compr *r;
    int rc = bk_compr_open(v->session.store, bk_store_base(v->session.store), m, c,
                           path ? BK_COMPR_FEW : BK_COMPR_RAW, cli->cancel, &r, err);

    if (rc < 0)
        return rc;
    if (path) {
        rc = cat_file(r, path, ret_first, err);
    } else {
        rc = copy_out(r, err);
        if (rc >= 0)
            rc = bk_compr_finish(r, err);
    }
    bk_compr_free(r);
    return rc;
}

int bk_verb_cat(struct bk_cli *cli, struct bk_err *err)
{
    const char *path = cli->args.pos[3];
    char *first BK_FREE = NULL, *none BK_FREE = NULL;
    const struct bk_backup *b;
    const struct bk_manifest *m;
    const struct bk_mcomp *c;
    struct bk_view v;
    int rc;

    if (cli->args.json)
        return bk_fail(err, BK_E_USAGE, "'cat' writes the bytes themselves: --json does not fit");
    rc = bk_view_open(cli, 0, &v, err);
    if (rc < 0)
        return rc;
    rc = bk_view_find(cli, &v, cli->args.pos[1], &b, &m, err);
    if (rc >= 0)
        rc = bk_view_component(m, cli->args.pos[2], &c, err);
    if (rc >= 0 && path && c->kind != BAKE_TREE)
        rc = bk_fail(err, BK_E_USAGE, "component '%s' is one stream: it has no paths", c->name);
    if (rc >= 0)
        rc = cat_one(cli, &v, m, c, path ? path + strspn(path, "/") : NULL, &first, err);
    if (rc >= 0 && first)
        rc = cat_one(cli, &v, m, c, first, &none, err);
    bk_view_close(&v);
    return rc;
}
