/* verify, prune. */
#include "base/log.h"
#include "cli/cli.h"
#include "run/prune.h"
#include "run/verify.h"

static int parse_level(const char *level, enum bk_verify_level *ret, struct bk_err *err)
{
    if (!level || bk_streq(level, "read"))
        *ret = BK_VERIFY_READ;
    else if (bk_streq(level, "quick"))
        *ret = BK_VERIFY_QUICK;
    else if (bk_streq(level, "restore"))
        *ret = BK_VERIFY_RESTORE;
    else
        return bk_fail(err, BK_E_USAGE, "'%s' is not a level of verification: quick, read, restore",
                       level);
    return BAKE_OK;
}

/* To prove the store, its part of the file is enough; a drill needs the sources. So that these look
 * at what is read, they are loaded if they can be. */
static int open_session(struct bk_cli *cli, enum bk_verify_level level, struct bk_session *s,
                        struct bk_err *err)
{
    unsigned flags = level == BK_VERIFY_RESTORE ? BK_LOAD_ALL : BK_LOAD_STORE;
    struct bk_err why = {0};
    int rc = bk_session_open_set(cli->args.pos[0], flags, &cli->args.set, cli->cancel,
                                 &cli->reporter, s, err);

    if (rc < 0 || level != BK_VERIFY_READ)
        return rc;
    rc = bk_session_load_sources(s, &why);
    if (rc < 0)
        bk_log(BAKE_LOG_INFO, "digests alone are checked, since the sources cannot be loaded: %s",
               why.text);
    return BAKE_OK;
}

int bk_verb_verify(struct bk_cli *cli, struct bk_err *err)
{
    const struct bk_args *a = &cli->args;
    struct bk_verify_opts opts = {.id = a->all ? NULL : a->pos[1] ? a->pos[1] : "latest"};
    struct bk_session s;
    int rc = parse_level(a->level, &opts.level, err);

    if (rc >= 0 && a->all && a->pos[1])
        rc = bk_fail(err, BK_E_USAGE, "a backup and --all cannot both be given");
    if (rc >= 0 && a->set.n > 0 && opts.level != BK_VERIFY_RESTORE)
        rc = bk_fail(err, BK_E_USAGE, "'--set' goes with '--level restore' alone");
    if (rc >= 0)
        rc = open_session(cli, opts.level, &s, err);
    if (rc < 0)
        return rc;
    opts.host = bk_session_host(&s, a->host);
    rc = bk_verify(&s, &opts, err);
    bk_session_close(&s);
    return rc;
}

int bk_verb_prune(struct bk_cli *cli, struct bk_err *err)
{
    struct bk_session s;
    int rc = bk_session_open(cli->args.pos[0], BK_LOAD_ALL, cli->cancel, &cli->reporter, &s, err);

    if (rc < 0)
        return rc;
    rc = bk_prune(&s, cli->args.dry_run, err);
    bk_session_close(&s);
    return rc;
}
