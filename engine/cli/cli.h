/* What the verbs share. */
#ifndef BK_CLI_H
#define BK_CLI_H

#include "cli/args.h"
#include "run/session.h"

struct bk_cli {
    struct bk_args args;
    const struct bk_verb *verb;
    struct bk_cancel *cancel; /* fired by SIGINT and SIGTERM */
    struct bk_signals *signals;
    struct bk_reporter reporter;
    bool until_signal; /* SIGTERM is how this verb is meant to end */
    bool summed_up;    /* the summary is out and said exit_code */
    int exit_code;
};

/* verb_*.c; each is a verb's `run`. */
int bk_verb_run(struct bk_cli *cli, struct bk_err *err);
int bk_verb_validate(struct bk_cli *cli, struct bk_err *err);
int bk_verb_list(struct bk_cli *cli, struct bk_err *err);
int bk_verb_show(struct bk_cli *cli, struct bk_err *err);
int bk_verb_ls(struct bk_cli *cli, struct bk_err *err);
int bk_verb_cat(struct bk_cli *cli, struct bk_err *err);
int bk_verb_diff(struct bk_cli *cli, struct bk_err *err);
int bk_verb_restore(struct bk_cli *cli, struct bk_err *err);
int bk_verb_verify(struct bk_cli *cli, struct bk_err *err);
int bk_verb_prune(struct bk_cli *cli, struct bk_err *err);
int bk_verb_wal_push(struct bk_cli *cli, struct bk_err *err);
int bk_verb_wal_fetch(struct bk_cli *cli, struct bk_err *err);
int bk_verb_wal_receive(struct bk_cli *cli, struct bk_err *err);
int bk_verb_schedule(struct bk_cli *cli, struct bk_err *err);
int bk_verb_plugins(struct bk_cli *cli, struct bk_err *err);
int bk_verb_schema(struct bk_cli *cli, struct bk_err *err);
int bk_verb_init(struct bk_cli *cli, struct bk_err *err);
int bk_verb_doctor(struct bk_cli *cli, struct bk_err *err);

/* Opens the session for args.pos[0], its store for reading, and loads the catalog. */
struct bk_view {
    struct bk_session session;
    struct bk_catalog *catalog;
};
int bk_view_open(struct bk_cli *cli, unsigned catalog_flags, struct bk_view *ret,
                 struct bk_err *err);
/* The backup args.pos[1] stands for (NULL: latest), with --at; and what it holds. */
int bk_view_find(struct bk_cli *cli, struct bk_view *v, const char *id,
                 const struct bk_backup **ret, const struct bk_manifest **ret_manifest,
                 struct bk_err *err);
/* A component by its name; BK_E_NOSTORE when there is none, or it had failed. */
int bk_view_component(const struct bk_manifest *m, const char *name, const struct bk_mcomp **ret,
                      struct bk_err *err);
void bk_view_close(struct bk_view *v);

/* Calls every part's probe(); what fails is said. */
int bk_cli_probe(struct bk_cli *cli, const struct bk_pipeline *p, struct bk_err *err);

/* --at as ns; 0 when not given. */
int bk_cli_at(const struct bk_cli *cli, int64_t *ret_ns, struct bk_err *err);

/* One JSON document (taken over) and a newline on standard output. */
int bk_cli_json(json_t *doc, struct bk_err *err);
/* After everything was printed: standard output could take it all. */
int bk_cli_flush(struct bk_err *err);

/* Events as JSON lines, or put into words: reporter.emit; arg is the struct bk_cli. */
void bk_cli_emit_json(void *arg, const char *type, const json_t *event);
void bk_cli_emit_text(void *arg, const char *type, const json_t *event);

#endif
