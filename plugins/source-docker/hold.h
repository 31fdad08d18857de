/* Holding stacks and keeping promises: stopping and pausing containers, starting them again, and
 * what does so when this process cannot any more. */
#ifndef DOCKER_HOLD_H
#define DOCKER_HOLD_H

#include "model.h"

/* The operations, as in struct bake_source_ops. */
int dk_hold(void *self, struct bake_ctx *ctx, const char *group,
            const struct bake_component *const *chosen, size_t n, uint32_t flags,
            struct bake_result *ret);
int dk_release(void *self, struct bake_ctx *ctx, const char *group, struct bake_result *ret);
int dk_redeem(struct bake_ctx *ctx, const void *cfg, const char *what);
int dk_tidy(void *self, struct bake_ctx *ctx);
void dk_held_free(struct dk_source *s); /* at close */

/* ---- for restores too ------------------------------------------------------------------------ */

struct dk_stopped; /* containers that were stopped or paused, and the obligation to undo that */

/* Stops (or pauses) these containers in the order given, those that run; obligation first. What was
 * stopped before a failure is in *ret all the same: dk_start_again() it. */
int dk_stop_all(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *const *list,
                size_t n, enum dk_consistency how, struct dk_stopped **ret);
/* Starts again in reverse order what was stopped, waits for health; frees it. ret_seconds (may be
 * NULL): from the first stop to the last start. wait: for their health. NULL is fine. */
int dk_start_again(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st, bool wait,
                   double *ret_seconds);
/* They are to stay stopped: the promise is dropped. Frees it, also when it fails. */
int dk_leave_stopped(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st);

/* An obligation: kept by the engine, and, where this process is away from the daemon's host (a
 * sidecar can be removed with all its state), by the daemon too: a volume without content whose
 * labels hold it. what: {"kind": "start" | "restore", "host": ..., ...}. *id 0: a new one. */
struct dk_promise {
    uint64_t id;
    char *volume; /* or NULL */
};
int dk_promise(struct dk_source *s, struct bake_ctx *ctx, const json_t *what, struct dk_promise *p);
int dk_promise_kept(struct dk_source *s, struct bake_ctx *ctx, struct dk_promise *p);

/* Who this process is, for labels on what it makes in the daemon: its own container and when that
 * was started, or machine, boot and process. The caller's; NULL: out of memory. */
char *dk_owner(struct dk_source *s, struct bake_ctx *ctx);
/* Is that process gone for certain? False where that cannot be known from here. */
bool dk_owner_dead(struct dk_source *s, struct bake_ctx *ctx, const char *owner);

/* Who we are there (self.c). */
int dk_where_am_i(struct dk_source *s, struct bake_ctx *ctx);
void dk_where_release(struct dk_where *w);
/* Warns where the name of this host goes with its container, and with it its backups. */
void dk_where_check_name(const struct dk_source *s, struct bake_ctx *ctx);

#endif
