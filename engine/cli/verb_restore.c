/* restore. */
#include "run/restore.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "cli/cli.h"

int bk_verb_restore(struct bk_cli *cli, struct bk_err *err)
{
    const struct bk_args *a = &cli->args;
    char *target BK_FREE = a->target ? bk_path_absolute(a->target) : NULL;
    struct bk_restore_opts opts = {.id = a->pos[1] ? a->pos[1] : "latest",
                                   .components = a->components,
                                   .paths = a->paths,
                                   .target = target,
                                   .from = a->from,
                                   .dry_run = a->dry_run,
                                   .force = a->force};
    struct bk_session s;
    int rc = bk_cli_at(cli, &opts.at_ns, err);

    if (rc < 0)
        return rc;
    if (a->target && !target)
        return bk_nomem(err);
    if (opts.at_ns > 0 && a->pos[1] && !bk_streq(a->pos[1], "latest"))
        return bk_fail(err, BK_E_USAGE, "a backup and --at cannot both be given");
    /* To a directory: the way out on a bare machine, so only the store's part of the file counts.
     */
    rc = bk_session_open(a->pos[0], a->target ? BK_LOAD_STORE : BK_LOAD_ALL, cli->cancel,
                         &cli->reporter, &s, err);
    if (rc < 0)
        return rc;
    opts.host = bk_session_host(&s, a->host);
    rc = bk_restore(&s, &opts, err);
    bk_session_close(&s);
    return rc;
}
