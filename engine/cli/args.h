/* The command line: verbs and flags from tables. */
#ifndef BK_ARGS_H
#define BK_ARGS_H

#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>

#define BK_MAX_POSITIONAL 64

struct bk_args { /* every flag there is; each verb's table says which of them it takes */
    bool json, quiet, verbose, help;
    bool dry_run, force, no_verify, probe, all, cron, install, remove, redeem;
    const char *type, *parent, *id, *at, *target, *from, *host, *level, *output, *user;
    const char *source, *stream; /* wal-push and its like */
    /* restore, of groups */
    bool skip_stop, skip_start, undo;
    const char *stack, *as_project, *as_database;
    struct bk_strv only, tags, components, paths, set;
    const char *pos[BK_MAX_POSITIONAL];
    size_t n_pos;
};

enum bk_flag_type { BK_FLAG_BOOL, BK_FLAG_STR, BK_FLAG_LIST };

struct bk_flag {
    const char *name; /* without "--" */
    enum bk_flag_type type;
    size_t offset;   /* into struct bk_args */
    const char *arg; /* what the value is called; NULL for BOOL */
    const char *help;
};

struct bk_cli;

struct bk_verb {
    const char *name;
    const char *usage;   /* "PIPELINE [BACKUP]" */
    const char *summary; /* one line */
    size_t min_pos, max_pos;
    bool events;              /* --json: lines of events that end in a summary; else one document */
    const char *const *flags; /* names; NULL-ended; json, quiet, verbose and help always count */
    int (*run)(struct bk_cli *cli, struct bk_err *err);
};

extern const struct bk_verb bk_verbs[]; /* ended by a NULL name */

/* argv[1..]: the verb and its arguments. BK_E_USAGE with a suggestion. *ret_verb NULL: only
 * --help or --version was asked for (args->help, *ret_version). */
int bk_args_parse(int argc, char *const *argv, struct bk_args *args,
                  const struct bk_verb **ret_verb, bool *ret_version, struct bk_err *err);
void bk_args_release(struct bk_args *args);
/* To standard output. verb NULL: all of them. */
void bk_args_help(const struct bk_verb *verb);

#endif
