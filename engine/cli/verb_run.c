/* run. */
#include "cli/cli.h"
#include "run/backup.h"

static int check_type(const char *type, struct bk_err *err)
{
    static const char *const types[] = {"full", "incremental", "differential", NULL};

    for (size_t i = 0; types[i]; i++)
        if (!type || bk_streq(types[i], type))
            return BAKE_OK;
    return bk_fail(err, BK_E_USAGE, "'%s' is not a type of backup: full, incremental, differential",
                   type);
}

int bk_verb_run(struct bk_cli *cli, struct bk_err *err)
{
    const struct bk_args *a = &cli->args;
    struct bk_run_opts opts = {a->type, a->parent,  a->id,       a->only,
                               a->tags, a->dry_run, a->no_verify};
    struct bk_session s;
    int rc = check_type(a->type, err);

    if (rc >= 0)
        rc = bk_session_open(a->pos[0], BK_LOAD_ALL, cli->cancel, &cli->reporter, &s, err);
    if (rc < 0)
        return rc;
    rc = bk_run(&s, &opts, err);
    bk_session_close(&s);
    return rc;
}
