/* wal-push, wal-fetch, wal-receive. */
#include "cli/cli.h"
#include "run/wal.h"

/* Of the file no more is read than is needed: what it says of sources may name secrets that the
 * server's user cannot read. */
static int open_session(struct bk_cli *cli, struct bk_session *ret, struct bk_err *err)
{
    unsigned flags = cli->args.source ? BK_LOAD_ALL : BK_LOAD_STORE | BK_LOAD_REQUIRE;

    return bk_session_open(cli->args.pos[0], flags, cli->cancel, &cli->reporter, ret, err);
}

int bk_verb_wal_push(struct bk_cli *cli, struct bk_err *err)
{
    struct bk_wal_opts opts = {.source = cli->args.source};
    struct bk_session s;
    int rc = open_session(cli, &s, err);

    if (rc < 0)
        return rc;
    rc = bk_wal_push(&s, cli->args.pos[1], &opts, err);
    bk_session_close(&s);
    return rc;
}

int bk_verb_wal_fetch(struct bk_cli *cli, struct bk_err *err)
{
    const struct bk_args *a = &cli->args;
    struct bk_wal_opts opts = {.source = a->source, .stream = a->stream, .from = a->from};
    struct bk_session s;
    int rc = open_session(cli, &s, err);

    if (rc < 0) /* whatever it is, it says nothing of the log */
        return rc == BAKE_E_NOTFOUND ? (err->rc = BAKE_E_CONFIG) : rc;
    rc = bk_wal_fetch(&s, a->pos[1], a->pos[2], &opts, err);
    bk_session_close(&s);
    return rc;
}

int bk_verb_wal_receive(struct bk_cli *cli, struct bk_err *err)
{
    struct bk_wal_opts opts = {.source = cli->args.source};
    struct bk_session s;
    int rc = bk_session_open(cli->args.pos[0], BK_LOAD_ALL, cli->cancel, &cli->reporter, &s, err);

    if (rc < 0)
        return rc;
    cli->until_signal = true;
    rc = bk_wal_receive(&s, &opts, err);
    bk_session_close(&s);
    return rc;
}
