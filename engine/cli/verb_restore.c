/* restore. */
#include "run/restore.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "cli/cli.h"
#include "store/layout.h"

#include <string.h>

struct pair {
    const char *flag;
    bool given;
};

static int refuse_any(const struct pair *flags, size_t n, const char *with, struct bk_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (flags[i].given)
            return bk_fail(err, BK_E_USAGE, "'--%s' cannot be given with '--%s'", flags[i].flag,
                           with);
    return BAKE_OK;
}

/* One part of a component's name. */
static int check_name(const char *flag, const char *name, struct bk_err *err)
{
    char shown[80];

    if (!name || (bk_name_ok(name) && !strchr(name, '/')))
        return BAKE_OK;
    return bk_fail(err, BK_E_USAGE, "'--%s' takes the name of a stack, not '%s'", flag,
                   bk_printable(shown, sizeof(shown), name, strlen(name)));
}

/* What was replaced is put back as a whole, from where it is kept. */
static int check_undo(const struct bk_args *a, struct bk_err *err)
{
    const struct pair others[] = {
        {"at", a->at != NULL},
        {"component", a->components.n > 0},
        {"path", a->paths.n > 0},
        {"target", a->target != NULL},
        {"from", a->from != NULL},
        {"host", a->host != NULL},
        {"as-project", a->as_project != NULL},
        {"as-database", a->as_database != NULL},
        {"set", a->set.n > 0},
        {"dry-run", a->dry_run},
        {"force", a->force},
        {"skip-stop", a->skip_stop},
        {"skip-start", a->skip_start},
    };

    if (!a->stack)
        return bk_fail(err, BK_E_USAGE, "'--undo' needs '--stack NAME'");
    if (a->pos[1])
        return bk_fail(err, BK_E_USAGE, "a backup cannot be given with '--undo'");
    return refuse_any(others, BK_LEN(others), "undo", err);
}

static int check_args(const struct bk_args *a, struct bk_err *err)
{
    const struct pair in_place[] = {
        {"as-project", a->as_project != NULL},
        {"as-database", a->as_database != NULL},
        {"set", a->set.n > 0},
        {"skip-stop", a->skip_stop},
        {"skip-start", a->skip_start},
    };
    int rc = check_name("stack", a->stack, err);

    if (rc >= 0)
        rc = check_name("as-project", a->as_project, err);
    if (rc >= 0 && a->as_database && !*a->as_database)
        rc = bk_fail(err, BK_E_USAGE, "'--as-database' needs a name");
    if (rc >= 0 && a->undo)
        return check_undo(a, err);
    if (rc >= 0 && a->target)
        rc = refuse_any(in_place, BK_LEN(in_place), "target", err);
    return rc;
}

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
                                   .force = a->force,
                                   .stack = a->stack,
                                   .as_project = a->as_project,
                                   .as_name = a->as_database,
                                   .skip_stop = a->skip_stop,
                                   .skip_start = a->skip_start,
                                   .undo = a->undo};
    struct bk_session s;
    int rc = check_args(a, err);

    if (rc >= 0)
        rc = bk_cli_at(cli, &opts.at_ns, err);
    if (rc < 0)
        return rc;
    if (a->target && !target)
        return bk_nomem(err);
    if (opts.at_ns > 0 && a->pos[1] && !bk_streq(a->pos[1], "latest"))
        return bk_fail(err, BK_E_USAGE, "a backup and --at cannot both be given");
    /* To a directory: the way out on a bare machine, so only the store's part of the file counts.
     */
    rc = bk_session_open_set(a->pos[0], a->target ? BK_LOAD_STORE : BK_LOAD_ALL, &a->set,
                             cli->cancel, &cli->reporter, &s, err);
    if (rc < 0)
        return rc;
    opts.host = bk_session_host(&s, a->host);
    rc = bk_restore(&s, &opts, err);
    bk_session_close(&s);
    return rc;
}
