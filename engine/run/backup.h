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

struct bk_component_job {
    struct bk_session *session;
    struct bk_duty *duty;             /* for the reader's context; or NULL */
    const char *id;                   /* of the backup */
    const struct bk_manifest *parent; /* that this one builds upon; or NULL */
    struct bk_planned *item;
    /* Of a group that is held; else NULL: */
    struct bk_cancel *cancel;      /* once it fires nothing more is read; what was read is stored */
    const struct bk_err *too_long; /* why the component fails then */
    void (*read)(void *arg);       /* called once: nothing is being read any more, come what may */
    void *arg;
};

/* Reads one component and stores it. ret is filled whatever happens: status, error, counts. A
 * negative result ends the run (cancelled, out of memory); a component's own failure is in ret. */
int bk_backup_component(const struct bk_component_job *job, struct bk_mcomp *ret,
                        struct bk_err *err);
/* Without reading anything: the component as the parent has it, if the source says by its
 * fingerprint that nothing has changed. BAKE_OK: done. BAKE_END: it must be read; ret is empty. */
int bk_reuse_component(const struct bk_component_job *job, struct bk_mcomp *ret,
                       struct bk_err *err);
/* The component that was not read, and why. */
int bk_fail_component(const struct bk_planned *item, const struct bk_err *why, struct bk_mcomp *ret,
                      struct bk_err *err);

/* The dry run's event: components, sizes, groups, places and the memory budget. */
int bk_run_plan_event(struct bk_session *s, const struct bk_plan *plan, struct bk_err *err);
/* Its groups: a new array. */
int bk_run_plan_groups(struct bk_session *s, const struct bk_plan *p, json_t **ret,
                       struct bk_err *err);
/* The stated upper bound of memory in bytes: base, and per component that is read at once. */
uint64_t bk_run_budget(const struct bk_session *s, size_t n_components);

#endif
