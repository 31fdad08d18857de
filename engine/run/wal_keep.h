/* The log archive under prune and verify. */
#ifndef BK_WAL_KEEP_H
#define BK_WAL_KEEP_H

#include "run/lease.h"
#include "run/restore.h"

struct bk_wal_pruned {
    uint64_t logs, bytes; /* removed, or to be removed */
};

/* Removes from one sink what lies before everything that its backups (of any pipeline and host)
 * need, and is older than BK_GARBAGE_GRACE_MS by the sink's own clock. Logs that no backup names
 * stay, and so do all while a backup cannot be read. lease NULL: only counts; `without`: ids of
 * backups that would be gone by then. quiet: does not say what stays. */
int bk_wal_prune(struct bk_session *s, struct bk_sink *sink, struct bk_lease *lease,
                 const struct bk_strv *without, bool quiet, struct bk_wal_pruned *ret,
                 struct bk_err *err);

/* Looks for gaps in the logs that the backups of the catalog need, in one sink: an "error" event
 * each, counted in *damaged; and one "logs" event per stream. read: also decodes them all; with
 * `one`, only what this backup needs. */
int bk_wal_verify(struct bk_session *s, struct bk_sink *sink, const struct bk_catalog *catalog,
                  const struct bk_backup *one, bool read, uint64_t *damaged, struct bk_err *err);

/* restore --at, where logs bring what is chosen to that time: the newest good backup that had ended
 * by then. BAKE_END: no logs play a part, any rule for backups will do. */
int bk_wal_find(const struct bk_catalog *c, const struct bk_restore_opts *opts,
                const struct bk_backup **ret, struct bk_err *err);

#endif
