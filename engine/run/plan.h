/* What a run will read: the sources, opened, and their components. */
#ifndef BK_PLAN_H
#define BK_PLAN_H

#include "run/duty.h"

#include <stdatomic.h>

struct bk_source { /* an opened source */
    struct bk_session *session;
    const struct bk_part *part;
    const struct bake_source_ops *ops;
    void *self; /* NULL: could not be opened */
    struct bk_ctx ctx;
    struct bk_cancel_sub sub; /* a cancel interrupts what blocks in the plugin */
    struct bk_err failed;     /* rc != 0: it could not be opened or listed */
    atomic_size_t lacking;    /* what it said it has to leave out, before anything was read */
};

struct bk_planned { /* one component */
    struct bk_source *source;
    struct bake_component component; /* as the plugin says; strings owned by the plan */
    char *name, *group;              /* as all others say: see names.h; group may be NULL */
    char *object;                    /* what its data will be called in the backup's folder */
};

struct bk_plan {
    struct bk_source *sources;
    size_t n_sources;
    struct bk_planned *items; /* those of one group next to each other */
    size_t n_items;
    size_t n_failed;         /* sources that failed and are not optional */
    size_t n_lacking;        /* the sum of the sources' */
    struct bk_strv excluded; /* components that --only left out */
};

struct bk_plan_opts {
    const struct bk_strv *only; /* globs; empty: all */
    bool act;                   /* not a dry run: sources may tidy up */
    struct bk_duty *duty;       /* for their contexts; or NULL */
};

/* Opens every source and asks it for its components. A source that cannot is reported: a notice if
 * it is optional, else an error that leaves the others going (n_failed). The store names objects:
 * two components that would share one are an error. */
int bk_plan_make(struct bk_session *s, const struct bk_plan_opts *opts, struct bk_plan *ret,
                 struct bk_err *err);
void bk_plan_release(struct bk_plan *p);

#endif
