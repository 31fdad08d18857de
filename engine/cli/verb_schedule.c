/* schedule --cron: lines from `schedule:`, printed, written to a file, installed or removed. */
#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "run/cron.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int own_binary(char ret[PATH_MAX], struct bk_err *err)
{
    ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX - 1);

    if (n < 0)
        return bk_fail_errno(err, errno, "cannot find this program's own path");
    ret[n] = '\0';
    return BAKE_OK;
}

struct shown {
    struct bk_buf lines;
    bool changed;
};

/* Or does it only print? */
static bool writes(const struct bk_args *a) { return a->output || a->install || a->remove; }

static void say_written(const struct bk_args *a, const char *name, bool changed)
{
    const char *what = a->remove ? changed ? "was removed from" : "was not in"
                       : changed ? "now is in"
                                 : "already was in";

    bk_log(BAKE_LOG_INFO, "the schedule of '%s' %s %s%s%s", name, what, a->output ? "'" : "",
           a->output ? a->output : "the crontab", a->output ? "'" : "");
}

static int one_pipeline(struct bk_cli *cli, const struct bk_pipeline *p, const char *binary,
                        struct shown *shown, struct bk_err *err)
{
    const struct bk_args *a = &cli->args;
    bool system = a->user || (a->output && bk_cron_is_system_file(a->output)), changed = false;
    char *path BK_FREE = bk_cron_pipeline_path(p);
    struct bk_cron_job job = {binary, path, system ? a->user ? a->user : "root" : NULL};
    struct bk_buf lines BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = path ? BAKE_OK : bk_nomem(err);

    if (rc >= 0 && !a->remove)
        rc = bk_cron_lines(&p->schedule, &job, &lines, err);
    if (rc < 0)
        return rc;
    if (a->output)
        rc = bk_cron_install_file(a->output, a->remove ? NULL : lines.data, path, &changed, err);
    else if (a->install || a->remove)
        rc = bk_cron_install(a->remove ? NULL : lines.data, path, &changed, err);
    if (rc < 0)
        return rc;
    if (writes(a))
        say_written(a, p->name, changed);
    shown->changed |= changed;
    return bk_buf_add(&shown->lines, lines.data, lines.len) < 0 ? bk_nomem(err) : BAKE_OK;
}

static int check_flags(const struct bk_args *a, struct bk_err *err)
{
    if (!a->cron)
        return bk_fail(err, BK_E_USAGE,
                       "'schedule' needs to know the form\n"
                       "HINT: bakengine schedule PIPELINE --cron [--install]");
    if (a->install && a->remove)
        return bk_fail(err, BK_E_USAGE, "--install and --remove cannot both be given");
    if (a->user && !a->output && (a->install || a->remove))
        return bk_fail(err, BK_E_USAGE,
                       "--user is for system crontabs: a user's own has no place for a name\n"
                       "HINT: add --output /etc/cron.d/NAME, or leave out --user");
    return BAKE_OK;
}

int bk_verb_schedule(struct bk_cli *cli, struct bk_err *err)
{
    struct shown shown = {BK_BUF_INIT, false};
    char binary[PATH_MAX];
    int rc = check_flags(&cli->args, err);

    if (rc >= 0)
        rc = own_binary(binary, err);
    for (size_t i = 0; rc >= 0 && i < cli->args.n_pos; i++) {
        struct bk_session s;

        rc = bk_session_open(cli->args.pos[i], BK_LOAD_ALL, cli->cancel, &cli->reporter, &s, err);
        if (rc < 0)
            break;
        rc = one_pipeline(cli, s.pipeline, binary, &shown, err);
        bk_session_close(&s);
    }
    if (rc >= 0 && cli->args.json) {
        json_t *doc = json_object();

        bk_json_set_str(doc, "crontab", shown.lines.data ? shown.lines.data : "");
        bk_json_set_bool(doc, "changed", shown.changed);
        rc = bk_cli_json(doc, err);
    } else if (rc >= 0 && !writes(&cli->args)) {
        printf("%s", shown.lines.data ? shown.lines.data : "");
    }
    bk_buf_free(&shown.lines);
    return rc;
}
