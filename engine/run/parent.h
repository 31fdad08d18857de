/* Which backup a new one builds upon, and of what type it is (design, section 4). */
#ifndef BK_PARENT_H
#define BK_PARENT_H

#include "run/backup.h"

struct bk_parent {
    struct bk_catalog *catalog;         /* where it lives */
    const struct bk_manifest *manifest; /* NULL: everything is read */
    const char *type;                   /* "full", "incremental" or "differential" */
};

/* Refuses what does not fit together (BK_E_USAGE) before anything is done. */
int bk_parent_check(const struct bk_session *s, const struct bk_run_opts *opts, struct bk_err *err);
/* Incremental: the newest backup of this pipeline and host, or the one that was asked for;
 * differential: the newest full one; without one the backup is full, which is said. */
int bk_parent_choose(struct bk_session *s, const struct bk_run_opts *opts, struct bk_parent *ret,
                     struct bk_err *err);
void bk_parent_release(struct bk_parent *p);

#endif
