/* One component of a restore: component reader -> target. */
#ifndef BK_RESTORE_COMPONENT_H
#define BK_RESTORE_COMPONENT_H

#include "run/restore.h"

struct bk_restored {
    uint64_t entries, bytes; /* restored; entries that were there and equal count too */
    uint64_t kept;           /* existing and different: kept */
    uint64_t failed;         /* entries that could not be restored, each reported */
    bool fatal;              /* the component as a whole failed, which was reported */
};

/* hands: threads that may help. A negative result ends the restore (cancelled, out of memory, no
 * space); everything else is in ret and was sent as events. */
int bk_restore_component(struct bk_session *s, const struct bk_restore_opts *opts,
                         const struct bk_manifest *m, const struct bk_mcomp *c, size_t hands,
                         struct bk_restored *ret, struct bk_err *err);
/* What --path chooses of it, from the listing alone. */
int bk_restore_count(struct bk_session *s, const struct bk_restore_opts *opts,
                     const struct bk_manifest *m, const struct bk_mcomp *c, uint64_t *ret_entries,
                     uint64_t *ret_bytes, struct bk_err *err);

#endif
