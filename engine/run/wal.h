/* The log archive as verbs, runs and sources use it (store/wal.h keeps it). */
#ifndef BK_RUN_WAL_H
#define BK_RUN_WAL_H

#include "run/plan.h"

/* Gives a context its host's log_put(), log_get() and log_list(). They use the session's store; a
 * session that has none open opens one for each call: for what lives so long that a sink may go
 * and come back. */
void bk_wal_attach(struct bk_session *s, struct bk_ctx *ctx);
void bk_wal_init(struct bk_session *s); /* once, when the session is opened */

/* At the end of a run: has each source that yielded something put its logs. What fails is an error
 * event and counted, and so is what a source says it has to leave out. */
int bk_wal_pull(struct bk_session *s, struct bk_plan *plan, struct bk_duty *duty,
                size_t *ret_failed, struct bk_err *err);

/* Copies into each usable sink the logs that its backups need and that only others have: those that
 * were stored while it was down. What cannot be copied is a warning. */
int bk_wal_fill(struct bk_session *s, struct bk_err *err);

struct bk_wal_opts {
    const char *source; /* --source, or NULL */
    const char *stream; /* --stream, or NULL: what the working directory says */
    const char *from;   /* --from, or NULL */
};
/* The verbs; each sends one "summary". Push: archive_command; takes no lock. */
int bk_wal_push(struct bk_session *s, const char *path, const struct bk_wal_opts *opts,
                struct bk_err *err);
/* restore_command. BAKE_E_NOTFOUND (and nothing else): there is no such log. */
int bk_wal_fetch(struct bk_session *s, const char *name, const char *path,
                 const struct bk_wal_opts *opts, struct bk_err *err);
/* What restore_command ends with: 1 for BAKE_E_NOTFOUND alone. PostgreSQL takes any code up to 125
 * for "there is no such log", at which it ends the recovery as if all were well; so other failures
 * are 200 and the usual code, which makes it give up instead. */
int bk_wal_fetch_code(int rc);
/* Until cancelled, which is then no failure. BK_E_LOCKED: another one runs. */
int bk_wal_receive(struct bk_session *s, const struct bk_wal_opts *opts, struct bk_err *err);

#endif
