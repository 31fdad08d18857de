/* What a lane is to do next. All under the runner's lock. */
#include "run/group_private.h"

bool bk_held_take_release(struct bk_held *g)
{
    if (g->state != HELD || g->next < g->n_todo || g->reading > 0)
        return false;
    g->state = RELEASING;
    return true;
}

/* The run has failed: nothing more is read, and what is still held is released. */
static bool pick_last(struct bk_groups_runner *r, struct bk_groups_task *t)
{
    for (size_t i = 0; i < r->n_groups; i++) {
        struct bk_held *g = &r->groups[i];

        g->next = g->n_todo;
        if (!g->busy && bk_held_take_release(g)) {
            *t = (struct bk_groups_task){RELEASE, g, 0};
            return true;
        }
    }
    *t = (struct bk_groups_task){NOTHING, NULL, 0};
    return true;
}

static bool pick_held(struct bk_groups_runner *r, struct bk_groups_task *t)
{
    for (size_t i = 0; i < r->n_groups; i++) {
        struct bk_held *g = &r->groups[i];

        if (g->state != HELD || g->busy || g->next >= g->n_todo)
            continue;
        g->reading++;
        *t = (struct bk_groups_task){READ, g, g->todo[g->next++]};
        return true;
    }
    return false;
}

/* Another group of that name that is being worked on (of another source). */
static bool name_busy(const struct bk_groups_runner *r, const struct bk_held *g)
{
    for (size_t i = 0; i < r->n_groups; i++)
        if (&r->groups[i] != g && r->groups[i].busy &&
            bk_streq(r->groups[i].group->name, g->group->name))
            return true;
    return false;
}

static bool pick_pending(struct bk_groups_runner *r, struct bk_groups_task *t)
{
    size_t most = (size_t)r->job->session->pipeline->parallel_groups;

    for (size_t i = 0; i < r->n_groups; i++) {
        struct bk_held *g = &r->groups[i];

        if (g->state != PENDING || (g->group->holds && r->active >= most) || name_busy(r, g))
            continue;
        g->state = HOLDING;
        g->busy = r->job->in_turn;
        r->active += g->group->holds;
        *t = (struct bk_groups_task){BEGIN, g, 0};
        return true;
    }
    return false;
}

/* Other work may take hours: as many lanes as a group can use wait for it to be held, so that it is
 * held as shortly as can be. */
static struct bk_held *worth_waiting(struct bk_groups_runner *r)
{
    for (size_t i = 0; i < r->n_groups; i++) {
        struct bk_held *g = &r->groups[i];

        if (g->state == HOLDING && !g->busy && g->waiting + 1 < g->n_todo)
            return g;
    }
    return NULL;
}

static bool pick_single(struct bk_groups_runner *r, struct bk_groups_task *t)
{
    if (r->next_single == r->n_singles)
        return false;
    *t = (struct bk_groups_task){SINGLE, NULL, r->singles[r->next_single++]};
    return true;
}

/* Something may still turn up for this lane. */
static bool is_more(const struct bk_groups_runner *r)
{
    for (size_t i = 0; i < r->n_groups; i++)
        if (r->groups[i].state == PENDING || (r->groups[i].state == HOLDING && !r->groups[i].busy))
            return true;
    return false;
}

/* False: to be asked again, after a while of waiting. */
static bool pick(struct bk_groups_runner *r, struct bk_groups_task *t)
{
    struct bk_held *g;

    if (r->first.rc < 0)
        return pick_last(r, t);
    if (pick_held(r, t) || pick_pending(r, t))
        return true;
    g = worth_waiting(r);
    if (!g && pick_single(r, t))
        return true;
    if (!g && !is_more(r)) {
        *t = (struct bk_groups_task){NOTHING, NULL, 0};
        return true;
    }
    if (g)
        g->waiting++;
    pthread_cond_wait(&r->changed, &r->lock);
    if (g)
        g->waiting--;
    return false;
}

void bk_groups_pick(struct bk_groups_runner *r, struct bk_groups_task *ret)
{
    pthread_mutex_lock(&r->lock);
    while (!pick(r, ret))
        continue;
    pthread_mutex_unlock(&r->lock);
}
