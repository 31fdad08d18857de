/* One component of a restore: component reader -> target. */
#ifndef BK_RESTORE_COMPONENT_H
#define BK_RESTORE_COMPONENT_H

#include "run/restore_source.h"

#include <pthread.h>

struct bk_restored {
    uint64_t entries, bytes; /* restored; entries that were there and equal count too */
    uint64_t kept;           /* existing and different: kept */
    uint64_t failed;         /* entries that could not be restored, each reported */
    uint64_t lacking;        /* reports of the source that something is missing */
    bool fatal;              /* the component as a whole failed, which was reported */
    bool committed;          /* though something may be missing */
    bool gone;               /* there is no place for it any more, which was reported */
    bool undone;             /* its group was not restored: nothing of it is there */
};

/* The first thing that went wrong, from any thread. */
struct bk_first {
    pthread_mutex_t lock;
    struct bk_err err;
};

/* What the components of one restore have in common. */
struct bk_restore_env {
    struct bk_session *session;
    const struct bk_restore_opts *opts;
    const struct bk_manifest *manifest;
    int purpose;                 /* enum bake_purpose; 0: what the options say */
    struct bk_sink *sink;        /* read from this one; NULL: the store's base */
    struct bk_first *first;      /* or NULL */
    struct bk_rsources *sources; /* NULL with a target */
    struct bk_cancel *cancel;
    size_t hands; /* threads that may help with one */
    bool whole;   /* what lacks anything is not committed */
};

/* A negative result ends the restore (cancelled, out of memory, no space); everything else is in
 * ret and was sent as events. */
int bk_restore_component(const struct bk_restore_env *env, const struct bk_mcomp *c,
                         struct bk_restored *ret, struct bk_err *err);
/* An "error" event, of the backup too where that goes without saying no longer (a drill). */
void bk_restore_error(const struct bk_restore_env *env, const char *component,
                      const struct bk_err *why);
struct bk_sink *bk_restore_sink(const struct bk_restore_env *env);
/* One "component" event; status is "ok", "partial", "gone" or "undone". */
void bk_restored_event(struct bk_reporter *reporter, const struct bk_mcomp *c,
                       const struct bk_restored *res);
/* What --path chooses of it, from the listing alone. */
int bk_restore_count(const struct bk_restore_env *env, const struct bk_mcomp *c,
                     uint64_t *ret_entries, uint64_t *ret_bytes, struct bk_err *err);

#endif
