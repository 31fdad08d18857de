/* Retention, then garbage collection, in every usable sink. */
#ifndef BK_PRUNE_H
#define BK_PRUNE_H

#include "run/session.h"

/* Objects of unfinished backups are garbage once they are this much older than the sink's own now
 * and no live writer claims them. */
#define BK_GARBAGE_GRACE_MS (24ull * 3600 * 1000)

/* The verb: sends "retention" events (one per backup and sink: keep or remove, with the reasons),
 * then one "summary". Holds the lease gc/lease in each sink: BK_E_LOCKED while another has it. In a
 * repository packs that no backup needs go too, and others are rewritten (sweep.h). */
int bk_prune(struct bk_session *s, bool dry_run, struct bk_err *err);
/* The same after a good run, without events; *ret_removed backups. Packs are not rewritten: that
 * reads all metadata, and is left to the verb. */
int bk_prune_after_run(struct bk_session *s, size_t *ret_removed, struct bk_err *err);

#endif
