/* The inside of group_run.h, shared by its files: a runner, whose lanes ask it what to do next
 * (group_pick.c), and its groups (group_one.c). */
#ifndef BK_GROUP_PRIVATE_H
#define BK_GROUP_PRIVATE_H

#include "run/group_run.h"

enum bk_held_state { PENDING, HOLDING, HELD, RELEASING, DONE };

struct bk_held { /* a group of the run; all but `group`, `alone` and `h` under the runner's lock */
    struct bk_groups_runner *run;
    const struct bk_group *group;
    enum bk_held_state state;
    size_t *todo, n_todo, next; /* what must be read, and which of it is the next */
    size_t reading;             /* of it are under way */
    size_t waiting;             /* lanes, for it to be held */
    bool busy;                  /* in_turn: its components are not all written yet */
    bool too_long;
    uint64_t deadline_ms; /* 0: none */
    struct bk_holding h;
    struct bk_err why; /* once it was held too long */
};

struct bk_groups_runner {
    const struct bk_groups_job *job;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct bk_group *found;
    struct bk_held *groups;
    size_t n_groups;
    size_t *singles, n_singles, next_single;
    size_t active; /* groups that are being held, are, or are being released */
    bool ending;   /* for the watch */
    struct bk_err first;
};

enum bk_groups_what { NOTHING, BEGIN, READ, SINGLE, RELEASE };

struct bk_groups_task {
    enum bk_groups_what what;
    struct bk_held *group;
    size_t item;
};

/* Keeps the first failure, and wakes all. */
void bk_groups_fail(struct bk_groups_runner *r, int rc, const struct bk_err *err);

/* What this lane is to do: waits until there is something, or nothing any more. */
void bk_groups_pick(struct bk_groups_runner *r, struct bk_groups_task *ret);
/* Under the lock. True: nothing of it is being read, nor will be; whoever is told so releases it.
 */
bool bk_held_take_release(struct bk_held *g);

/* On a lane. Holds it (and in turn reads and writes all of it). */
int bk_held_begin(struct bk_held *g, struct bk_err *err);
int bk_held_read(struct bk_held *g, size_t item, struct bk_err *err); /* one component */
void bk_held_release(struct bk_held *g);

#endif
