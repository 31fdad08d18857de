/* Entry: command line, signals, exit code. The only place that ends the process. */
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/signals.h"
#include "run/duty.h"
#include "run/wal.h"

#include <locale.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const run_flags[] = {"dry-run", "type", "parent",    "id",
                                        "only",    "tag",  "no-verify", NULL};
static const char *const probe_flag[] = {"probe", NULL};
static const char *const host_flag[] = {"host", NULL};
static const char *const read_flags[] = {"at", "from", "host", NULL};
static const char *const diff_flags[] = {"component", "from", "host", NULL};
static const char *const restore_flags[] = {
    "at",    "component", "path",       "stack",      "target", "from",        "host", "dry-run",
    "force", "skip-stop", "skip-start", "as-project", "undo",   "as-database", "set",  NULL};
static const char *const verify_flags[] = {"all", "level", "host", "set", NULL};
static const char *const prune_flags[] = {"dry-run", NULL};
static const char *const push_flags[] = {"source", NULL};
static const char *const fetch_flags[] = {"source", "stream", "from", NULL};
static const char *const schedule_flags[] = {"cron", "install", "remove", "output", "user", NULL};
static const char *const doctor_flags[] = {"redeem", NULL};
static const char *const init_flags[] = {"force", NULL};

const struct bk_verb bk_verbs[] = {
    {"run", "PIPELINE", "back up what the pipeline says", 1, 1, true, run_flags, bk_verb_run},
    {"validate", "PIPELINE...", "check pipeline files and name every mistake", 1, BK_MAX_POSITIONAL,
     false, probe_flag, bk_verb_validate},
    {"list", "PIPELINE", "list the backups of a pipeline or store", 1, 1, false, host_flag,
     bk_verb_list},
    {"show", "PIPELINE [BACKUP]", "show what a backup holds and how it was made", 1, 2, false,
     read_flags, bk_verb_show},
    {"ls", "PIPELINE BACKUP [COMPONENT [PATH]]", "list components, or the files of one", 2, 4,
     false, read_flags, bk_verb_ls},
    {"cat", "PIPELINE BACKUP COMPONENT [PATH]",
     "write one component or file to standard output (a tree without PATH: as tar)", 3, 4, false,
     read_flags, bk_verb_cat},
    {"diff", "PIPELINE BACKUP BACKUP", "show what changed from one backup to another", 3, 3, false,
     diff_flags, bk_verb_diff},
    {"restore", "PIPELINE [BACKUP]", "restore a backup, in place or to a directory", 1, 2, true,
     restore_flags, bk_verb_restore},
    {"verify", "PIPELINE [BACKUP]", "prove that backups are there and whole", 1, 2, true,
     verify_flags, bk_verb_verify},
    {"prune", "PIPELINE", "apply retention, then collect garbage", 1, 1, true, prune_flags,
     bk_verb_prune},
    {"wal-push", "PIPELINE PATH", "store a WAL segment: PostgreSQL's archive_command", 2, 2, true,
     push_flags, bk_verb_wal_push},
    {"wal-fetch", "PIPELINE NAME PATH", "get a WAL segment: PostgreSQL's restore_command", 3, 3,
     true, fetch_flags, bk_verb_wal_fetch},
    {"wal-receive", "PIPELINE", "store a server's logs as it writes them, until SIGTERM", 1, 1,
     true, push_flags, bk_verb_wal_receive},
    {"schedule", "PIPELINE... --cron", "print, install or remove crontab lines", 1,
     BK_MAX_POSITIONAL, false, schedule_flags, bk_verb_schedule},
    {"plugins", "[NAME]", "list the plugins, or the options of one", 0, 1, false, NULL,
     bk_verb_plugins},
    {"schema", "", "print the JSON Schema of pipeline files", 0, 0, false, NULL, bk_verb_schema},
    {"init", "[DIR]", "write a first pipeline and its .env.example", 0, 1, false, init_flags,
     bk_verb_init},
    {"doctor", "[PIPELINE]", "look at this installation, and at what a pipeline needs", 0, 1, false,
     doctor_flags, bk_verb_doctor},
    {NULL, NULL, NULL, 0, 0, false, NULL, NULL},
};

static int code_of(const struct bk_verb *verb, int rc)
{
    return verb && verb->run == bk_verb_wal_fetch ? bk_wal_fetch_code(rc) : bk_exit_code(rc);
}

/* A verb that could not even begin has sent no summary; whoever reads the lines waits for one. */
static void sum_up(struct bk_cli *cli, int rc)
{
    json_t *e = bk_event("summary");

    bk_json_set_str(e, "verb", cli->verb->name);
    bk_json_set_str(e, "status", rc < 0 ? "failed" : "ok");
    bk_json_set_u64(e, "exit_code", (uint64_t)code_of(cli->verb, rc));
    bk_event_send(&cli->reporter, e);
}

/* Verbs that act redeem what is left; the others only say that there is something. */
static void warn_of_duties(const struct bk_verb *verb)
{
    if (verb->run != bk_verb_run && verb->run != bk_verb_restore && verb->run != bk_verb_doctor &&
        !bk_starts(verb->name, "wal-")) /* a server's commands: they have other things to say */
        bk_duty_warn();
}

/* That there is no such log is what a recovery ends with. */
static bool is_no_failure(const struct bk_verb *verb, int rc)
{
    return verb->run == bk_verb_wal_fetch && rc == BAKE_E_NOTFOUND;
}

static int run_verb(struct bk_cli *cli)
{
    struct bk_err err = {0};
    /* Where --json prints one document, events are for people, on standard error. */
    bool json = cli->args.json && cli->verb->events, tty = isatty(STDERR_FILENO);
    int rc = bk_cancel_new(NULL, &cli->cancel, &err), code;

    if (rc >= 0)
        rc = bk_signals_start(cli->cancel, &cli->signals, &err);
    if (rc >= 0) {
        bk_reporter_init(&cli->reporter, json ? bk_cli_emit_json : bk_cli_emit_text, cli,
                         json                      ? 1000
                         : tty && !cli->args.quiet ? 200
                                                   : 0);
        warn_of_duties(cli->verb);
        rc = cli->verb->run(cli, &err);
        bk_log_status(NULL);
        if (json && !cli->summed_up)
            sum_up(cli, rc);
        if (rc >= 0 && (rc = bk_cli_flush(&err)) < 0)
            cli->summed_up = false; /* nobody got it */
        bk_reporter_release(&cli->reporter);
    }
    code = code_of(cli->verb, rc);
    if (cli->signals && bk_signals_caught(cli->signals) && !cli->until_signal)
        code = 128 + bk_signals_caught(cli->signals);
    if (cli->summed_up) /* a signal that came later changes nothing any more */
        code = cli->exit_code;
    bk_signals_stop(cli->signals);
    /* A pipeline with mistakes has had them printed one by one. */
    if (rc < 0 && (err.text[0] || err.rc != BAKE_E_CONFIG) && !is_no_failure(cli->verb, rc))
        bk_log_err(&err);
    bk_cancel_free(cli->cancel);
    return code;
}

int main(int argc, char **argv)
{
    struct bk_cli cli = {0};
    struct bk_err err = {0};
    struct rlimit no_core = {0, 0};
    bool version;
    int rc, code;

    (void)setlocale(LC_CTYPE, "C.UTF-8");
    /* Secrets are in memory: no core dumps. */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    rc = bk_args_parse(argc, argv, &cli.args, &cli.verb, &version, &err);
    if (rc >= 0 && (version || cli.args.help)) {
        if (version)
            printf("bakengine %s\n", BAKE_VERSION);
        else
            bk_args_help(cli.verb);
        rc = bk_cli_flush(&err);
        cli.verb = NULL;
    }
    if (rc < 0)
        bk_log_err(&err);
    code = code_of(cli.verb, rc);
    if (rc >= 0 && cli.verb) {
        bk_log_setup(BK_LOG_TEXT, cli.args.verbose ? BAKE_LOG_DEBUG
                                  : cli.args.quiet ? BAKE_LOG_WARN
                                                   : BAKE_LOG_INFO);
        code = run_verb(&cli);
    }
    bk_args_release(&cli.args);
    bk_mask_forget();
    return code;
}
