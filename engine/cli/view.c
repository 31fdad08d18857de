/* What the reading verbs start with. */
#include "base/clock.h"
#include "cli/cli.h"

int bk_cli_at(const struct bk_cli *cli, int64_t *ret_ns, struct bk_err *err)
{
    *ret_ns = 0;
    if (!cli->args.at || bk_parse_time(cli->args.at, ret_ns))
        return BAKE_OK;
    return bk_fail(err, BK_E_USAGE,
                   "'%s' is not a time\n"
                   "HINT: for example 2025-11-05, '2025-11-05 12:00' or "
                   "2025-11-05T12:00:00Z",
                   cli->args.at);
}

int bk_view_open(struct bk_cli *cli, unsigned catalog_flags, struct bk_view *ret,
                 struct bk_err *err)
{
    const char *host = cli->args.host;
    int rc;

    ret->catalog = NULL;
    rc = bk_session_open(cli->args.pos[0], BK_LOAD_STORE, cli->cancel, &cli->reporter,
                         &ret->session, err);
    if (rc < 0)
        return rc;
    rc = bk_session_open_store(&ret->session, BK_STORE_READ, cli->args.from, err);
    if (rc >= 0)
        rc = bk_session_catalog(&ret->session, bk_session_host(&ret->session, host),
                                catalog_flags | BK_CATALOG_FOREIGN, &ret->catalog, err);
    if (rc < 0)
        bk_session_close(&ret->session);
    return rc;
}

int bk_view_find(struct bk_cli *cli, struct bk_view *v, const char *id,
                 const struct bk_backup **ret, const struct bk_manifest **ret_manifest,
                 struct bk_err *err)
{
    struct bk_store *store = v->session.store;
    int64_t at;
    int rc = bk_cli_at(cli, &at, err);

    if (rc < 0)
        return rc;
    if (id && at > 0 && !bk_streq(id, "latest"))
        return bk_fail(err, BK_E_USAGE, "a backup and --at cannot both be given");
    rc = bk_catalog_find(v->catalog, id ? id : "latest", at, ret, err);
    return rc < 0 ? rc : bk_backup_manifest(store, bk_store_base(store), *ret, ret_manifest, err);
}

int bk_view_component(const struct bk_manifest *m, const char *name, const struct bk_mcomp **ret,
                      struct bk_err *err)
{
    const struct bk_mcomp *c = bk_manifest_find(m, name);
    struct bk_buf names = BK_BUF_INIT;

    if (c && c->status != BK_STATUS_FAILED) {
        *ret = c;
        return BAKE_OK;
    }
    if (c)
        return bk_fail(err, BK_E_NOSTORE, "component '%s' had failed in backup '%s': %s", name,
                       m->id, c->error ? c->error : "unknown why");
    for (size_t i = 0; i < m->n_comps; i++)
        bk_buf_printf(&names, "%s%s", i ? ", " : "", m->comps[i].name);
    bk_fail(err, BK_E_NOSTORE, "backup '%s' has no component '%s'", m->id, name);
    bk_hint(err, "it has: %s", names.data ? names.data : "none");
    bk_buf_free(&names);
    return BK_E_NOSTORE;
}

void bk_view_close(struct bk_view *v)
{
    bk_catalog_free(v->catalog);
    bk_session_close(&v->session);
}
