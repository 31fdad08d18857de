/* The inside of hold*.c: what is stopped, by whom, and what is promised of it. */
#ifndef DOCKER_HOLD_IMPL_H
#define DOCKER_HOLD_IMPL_H

#include "discover.h"
#include "hold.h"

/* ---- who is to be held (hold_plan.c; pure) --------------------------------------------------- */

struct dk_halt {
    const struct dk_container *c;
    bool pause; /* else stop */
};

struct dk_hold_plan {
    struct dk_halt *list; /* in the order to act */
    size_t n;
    const struct dk_container **keeps; /* of the group's stack: run on */
    size_t n_keeps;
};

/* What must be held, of what `now` shows, so that these items stand still. Reports what cannot be
 * held although it writes there, unless quiet. */
int dk_hold_plan_make(struct bake_ctx *ctx, const struct dk_config *cfg, const struct dk_world *now,
                      const struct dk_item *const *items, size_t n, bool quiet,
                      struct dk_hold_plan *ret);
void dk_hold_plan_release(struct dk_hold_plan *p);

/* ---- what is held ---------------------------------------------------------------------------- */

enum dk_step {
    DK_STEP_NONE,    /* nothing was done, or all is undone */
    DK_STEP_PLANNED, /* promised, not begun */
    DK_STEP_DOING,   /* asked of the daemon; it may still come */
    DK_STEP_DONE,
    DK_STEP_STARTING, /* being started again; who wants it now has to stop it anew */
    DK_STEP_SHARED    /* another group of ours holds it: that one's entry becomes ours at its end */
};

struct dk_entry {
    char *id, *name;
    bool pause, repause; /* repause: it was paused before it was stopped */
    bool well;           /* it was not unhealthy before */
    bool tried;          /* to start it again: what has happened to it since may be our doing */
    bool doubt;          /* whether the daemon will still do it is not known */
    bool started;        /* runs again, to be awaited */
    enum dk_step step;   /* under the source's lock, as the times */
    char *started_at, *finished_at;
    int64_t grace;  /* seconds that a stop may take */
    double since;   /* monotonic: when the stop began */
    double seconds; /* how long it stood */
};

struct dk_stopped {
    struct dk_stopped *next;
    struct dk_promise promise; /* under promising */
    struct dk_entry *list;     /* in the order in which they were stopped */
    size_t n;
    double first, last; /* monotonic: first stop, last start */
};

struct dk_group {
    struct dk_group *next;
    char *name, *facts; /* facts: of the last hold or release; live until close */
    struct dk_stopped *stopped;
};

struct dk_held {
    struct dk_stopped *stopped; /* all that is held now */
    struct dk_group *groups;
    uint64_t begun;            /* how often a group began to be held */
    pthread_mutex_t promising; /* one change of a promise at a time */
};

int dk_held_of(struct dk_source *s, struct bake_ctx *ctx, struct dk_held **ret);
/* The containers that groups of ours hold now, by id; NULL-ended. NULL: out of memory. *ret_begun:
 * as in struct dk_held. */
char **dk_held_ids(struct dk_source *s, uint64_t *ret_begun);
void dk_ids_free(char **ids);
double dk_monotonic(void);
int64_t dk_grace(const struct dk_source *s, const json_t *inspect);

/* As dk_stop_all(), each in its own way. */
int dk_halt_all(struct dk_source *s, struct bake_ctx *ctx, const struct dk_halt *list, size_t n,
                struct dk_stopped **ret);
/* Promises what st still has to undo. */
int dk_stopped_promise(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st);
/* The same with `promising` locked, under which no dk_stopped goes away. */
int dk_stopped_promise_locked(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st);
/* Out of the registry, and freed; the promise is not touched. */
void dk_stopped_free(struct dk_source *s, struct dk_stopped *st);
/* Starts all again, waits for health if asked to; the entries then know how long they stood. */
int dk_resume_all(struct dk_source *s, struct bake_ctx *ctx, struct dk_stopped *st, bool wait);

/* {"kind": "start"}, in any process. */
int dk_redeem_start(struct dk_source *s, struct bake_ctx *ctx, const json_t *what);
int dk_redeem_with(struct dk_source *s, struct bake_ctx *ctx, const json_t *what);

/* What redeeming does to one container, by what was promised and what it is now. */
enum dk_redeem_act {
    DK_REDEEM_NOTHING, /* it runs, or somebody else has changed it since */
    DK_REDEEM_START,
    DK_REDEEM_UNPAUSE,
    DK_REDEEM_WATCH /* a stop that was begun may still come: look again */
};
enum dk_redeem_act dk_redeem_decide(const json_t *promised, const json_t *inspect, bool in_flight);

#endif
