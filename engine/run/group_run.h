/* The components of a run on its lanes: groups first, one after another, each held only while its
 * components are read; the others on the lanes that are left. */
#ifndef BK_GROUP_RUN_H
#define BK_GROUP_RUN_H

#include "run/group.h"

struct bk_reading { /* how a component of a held group is read: see bk_component_job */
    struct bk_cancel *cancel;
    const struct bk_err *too_long;
    void (*read)(void *arg);
    void *arg;
    uint64_t missing; /* what the source said is not whole when it held the group */
};

struct bk_groups_job {
    struct bk_session *session;
    struct bk_duty *duty;
    const struct bk_plan *plan;
    bool in_turn; /* the components of a group must be written one after another */
    /* On any lane. Negative results end the run. `item` is a number in the plan. */
    int (*backup)(void *arg, size_t item, const struct bk_reading *how, struct bk_err *err);
    int (*reuse)(void *arg, size_t item, struct bk_err *err); /* OK, or BAKE_END: it must be read */
    int (*give_up)(void *arg, size_t item, const struct bk_err *why, struct bk_err *err);
    /* Once it is released; takes g over. failed->rc < 0: not as it should be. One at a time. */
    int (*released)(void *arg, struct bk_mgroup *g, const struct bk_err *failed,
                    struct bk_err *err);
    int (*group_end)(void *arg, const char *group, struct bk_err *err); /* in_turn: all written */
    void *arg;
};

/* Every component of the plan once. Whatever happens, what was held is released when this
 * returns. The first negative result, with its err. */
int bk_groups_run(const struct bk_groups_job *job, struct bk_err *err);

#endif
