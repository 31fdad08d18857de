/* A run: plan, lanes, manifest, then verification and retention. */
#ifndef BK_RUN_BACKUP_H
#define BK_RUN_BACKUP_H

#include "run/plan.h"

struct bk_run_opts {
    const char *type;   /* NULL, "full", "incremental" or "differential" */
    const char *parent; /* NULL or an id */
    const char *id;     /* NULL: made */
    struct bk_strv only, tags;
    bool dry_run, no_verify;
};

/* The whole verb; sends exactly one "summary" (or, for a dry run, one "plan"). BK_E_PARTIAL: the
 * manifest stands, but something is missing. */
int bk_run(struct bk_session *s, const struct bk_run_opts *opts, struct bk_err *err);

/* ---- within the verb ------------------------------------------------------------------------- */

/* Reads one component and stores it. parent: the backup that this one builds upon, or NULL. ret is
 * filled whatever happens: status, error, counts. A negative result ends the run (cancelled, out of
 * memory); a component's own failure is in ret. */
int bk_backup_component(struct bk_session *s, const char *id, const struct bk_manifest *parent,
                        struct bk_planned *item, struct bk_mcomp *ret, struct bk_err *err);

/* The dry run's event: components, sizes, places and the memory budget. */
int bk_run_plan_event(struct bk_session *s, const struct bk_plan *plan, struct bk_err *err);
/* The stated upper bound of memory in bytes: base, and per component that is read at once. */
uint64_t bk_run_budget(const struct bk_session *s, size_t n_components);

#endif
