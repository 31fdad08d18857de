/* doctor: is this installation sound, and has a pipeline what it needs? */
#include "base/cleanup.h"
#include "base/io.h"
#include "cli/cli.h"
#include "run/duty.h"
#include "run/lock.h"

#include <stdio.h>
#include <string.h>

struct doctor {
    struct bk_cli *cli;
    json_t *checks; /* with --json */
    int worst;
};

/* One line: what was looked at, and what came of it. rc 0 is fine. */
static void check(struct doctor *d, const char *what, int rc, const struct bk_err *why)
{
    d->worst = bk_worse(d->worst, rc);
    if (d->checks) {
        json_t *j = json_object();

        bk_json_set_str(j, "check", what);
        bk_json_set_str(j, "result", rc < 0 ? "failed" : "ok");
        if (rc < 0) {
            bk_json_set_str(j, "error", why->text);
            bk_json_set_str(j, "hint", why->hint[0] ? why->hint : NULL);
        }
        json_array_append_new(d->checks, j);
        return;
    }
    if (rc >= 0 && !d->cli->args.quiet)
        printf("  ok      %s\n", what);
    if (rc < 0)
        printf("  FAILED  %s: %s%s%s\n", what, why->text, why->hint[0] ? "\n          HINT: " : "",
               why->hint);
}

static void check_state(struct doctor *d)
{
    struct bk_err why = {0};
    char *dir BK_FREE = NULL, *probe BK_FREE = NULL;
    int rc = bk_state_dir(&dir, &why);

    if (rc >= 0)
        rc = bk_mkdir_p(dir, 0700, &why);
    if (rc >= 0 && !(probe = bk_asprintf("%s/doctor", dir)))
        rc = bk_nomem(&why);
    if (rc >= 0)
        rc = bk_write_file(probe, "ok\n", 3, 0600, &why);
    if (rc >= 0)
        (void)unlink(probe);
    check(d, "the state directory can be written", rc, &why);
}

static void check_plugins(struct doctor *d, struct bk_registry *reg)
{
    struct bk_strv names = {0};
    struct bk_err why = {0};
    int rc = bk_registry_names(reg, &names, &why);

    if (rc >= 0 && names.n == 0)
        rc = bk_fail(&why, BAKE_E_NOTFOUND,
                     "no plugin was found\nHINT: set BAKENGINE_PLUGIN_PATH, or install bakengine "
                     "with its plugins");
    check(d, "plugins are found", rc, &why);
    for (size_t i = 0; i < names.n; i++) {
        const char *dash = strchr(names.items[i], '-');
        char what[160];
        const struct bk_plugin *p;
        enum bk_kind kind = BK_SOURCE;

        while (dash && kind < BK_SINK &&
               strncmp(names.items[i], bk_kind_name(kind), (size_t)(dash - names.items[i])) != 0)
            kind++;
        bk_err_clear(&why);
        rc = dash ? bk_registry_get(reg, kind, dash + 1, &p, &why) : BAKE_OK;
        (void)snprintf(what, sizeof(what), "plugin '%s' loads", names.items[i]);
        check(d, what, rc, &why);
    }
    bk_strv_free(&names);
}

static void check_pipeline(struct doctor *d, const char *file)
{
    struct bk_err why = {0};
    struct bk_session s;
    int rc = bk_session_open(file, BK_LOAD_ALL, d->cli->cancel, &d->cli->reporter, &s, &why);
    int lock BK_CLOSE = -1;

    if (rc < 0 && !why.text[0])
        bk_fail(&why, rc, "it has mistakes; each is named above");
    check(d, "the pipeline file is valid", rc, &why);
    if (rc < 0)
        return;
    rc = bk_cli_probe(d->cli, s.pipeline, &why);
    check(d, "its sources and sinks can be used", rc, &why);
    bk_err_clear(&why);
    rc = bk_lock_pipeline(s.pipeline->name, &lock, &why);
    check(d, "no run of it is under way", rc, &why);
    bk_err_clear(&why);
    rc = bk_session_open_store(&s, BK_STORE_READ, NULL, &why);
    if (rc == BK_E_NOSTORE) /* before the first run: no fault */
        rc = BAKE_OK;
    check(d, "its store can be read", rc, &why);
    bk_session_close(&s);
}

/* What runs that died have left: nothing else is looked at. */
static int redeem(struct bk_cli *cli, struct bk_err *err)
{
    size_t left = 0;
    int rc = bk_duty_redeem(cli->cancel, &cli->reporter, &left, err);

    if (rc >= 0 && cli->args.json) {
        json_t *doc = json_object();

        bk_json_set_bool(doc, "healthy", left == 0);
        bk_json_set_u64(doc, "left", left);
        rc = bk_cli_json(doc, err);
    }
    if (rc >= 0 && left > 0)
        rc = bk_fail(err, BAKE_E_IO, "%zu thing%s could not be put back, as named above", left,
                     left == 1 ? "" : "s");
    return rc;
}

static int look(struct bk_cli *cli, struct bk_err *err)
{
    struct doctor d = {cli, cli->args.json ? json_array() : NULL, BAKE_OK};
    struct bk_registry *reg;
    struct bk_err why = {0};
    int rc = bk_registry_new(&reg, &why);

    check(&d, "the plugin path is sound", rc, &why);
    check_state(&d);
    if (rc >= 0) {
        check_plugins(&d, reg);
        bk_registry_free(reg);
    }
    if (cli->args.n_pos > 0)
        check_pipeline(&d, cli->args.pos[0]);
    if (d.checks) {
        json_t *doc = json_object();

        bk_json_set_bool(doc, "healthy", d.worst >= 0);
        json_object_set_new(doc, "checks", d.checks);
        rc = bk_cli_json(doc, err);
        if (rc < 0)
            return rc;
    }
    return d.worst < 0 ? bk_fail(err, d.worst, "something needs attention; see above") : BAKE_OK;
}

int bk_verb_doctor(struct bk_cli *cli, struct bk_err *err)
{
    if (cli->args.redeem)
        return redeem(cli, err);
    return look(cli, err);
}
