/* One group of a run: held, read, released. */
#include "run/group_private.h"

#include "base/clock.h"
#include "store/lag.h"

static void set_state(struct bk_held *g, enum bk_held_state state)
{
    struct bk_groups_runner *r = g->run;

    pthread_mutex_lock(&r->lock);
    g->state = state;
    if (state == DONE)
        r->active -= g->group->holds;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void bk_held_release(struct bk_held *g)
{
    struct bk_groups_runner *r = g->run;
    struct bk_mgroup done = {.name = NULL};
    struct bk_err why = {0}, err = {0};
    int rc;

    if (g->group->holds) {
        (void)bk_group_release(&g->h, &done, &why);
        bk_store_unhold(r->job->session->store);
        pthread_mutex_lock(&r->lock);
        rc = done.name ? r->job->released(r->job->arg, &done, &why, &err) : bk_nomem(&err);
        pthread_mutex_unlock(&r->lock);
        if (rc < 0)
            bk_groups_fail(r, rc, &err);
    }
    set_state(g, DONE);
}

/* On the lane that has read a component of it. */
static void on_read(void *arg)
{
    struct bk_held *g = arg;
    struct bk_groups_runner *r = g->run;
    bool last;

    pthread_mutex_lock(&r->lock);
    g->reading--;
    last = bk_held_take_release(g);
    pthread_mutex_unlock(&r->lock);
    if (last)
        bk_held_release(g);
}

int bk_held_read(struct bk_held *g, size_t item, struct bk_err *err)
{
    struct bk_groups_runner *r = g->run;
    const struct bk_groups_job *job = r->job;
    struct bk_reading how = {.cancel = g->h.cancel,
                             .too_long = &g->why,
                             .read = on_read,
                             .arg = g,
                             .missing = g->h.missing};
    bool too_long;

    pthread_mutex_lock(&r->lock);
    too_long = g->too_long;
    pthread_mutex_unlock(&r->lock);
    if (!too_long)
        return job->backup(job->arg, item, &how, err);
    on_read(g);
    return job->give_up(job->arg, item, &g->why, err);
}

/* What the source says is unchanged needs no holding. */
static int choose(struct bk_held *g, struct bk_err *err)
{
    const struct bk_groups_job *job = g->run->job;
    size_t n = 0;

    for (size_t i = 0; i < g->group->n_items; i++) {
        size_t item = g->group->items[i];
        int rc = job->reuse(job->arg, item, err);

        if (rc < 0)
            return rc;
        if (rc == BAKE_END)
            g->todo[n++] = item;
    }
    pthread_mutex_lock(&g->run->lock);
    g->n_todo = n;
    pthread_mutex_unlock(&g->run->lock);
    return BAKE_OK;
}

static int hold(struct bk_held *g, struct bk_err *err)
{
    struct bk_groups_runner *r = g->run;
    uint64_t most = r->job->session->pipeline->hold_max_ms;
    int rc;

    bk_store_hold(r->job->session->store);
    pthread_mutex_lock(&r->lock);
    g->deadline_ms = most ? bk_monotonic_ms() + most : 0;
    if (g->deadline_ms && g->deadline_ms < most)
        g->deadline_ms = 0; /* beyond all time */
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    rc = bk_group_hold(&g->h, r->job->plan, g->todo, g->n_todo, err);
    pthread_mutex_lock(&r->lock);
    if (rc == BAKE_E_CANCELLED && g->too_long && !bk_cancelled(r->job->session->cancel)) {
        g->h.failed = g->why;
        *err = g->why;
        rc = g->why.rc;
    }
    pthread_mutex_unlock(&r->lock);
    return rc;
}

/* It could not be held: none of it is read. */
static int give_all_up(struct bk_held *g, const struct bk_err *why, struct bk_err *err)
{
    const struct bk_groups_job *job = g->run->job;
    int rc = BAKE_OK;

    set_state(g, RELEASING);
    bk_held_release(g);
    if (why->rc == BAKE_E_CANCELLED || why->rc == BAKE_E_NOMEM) {
        *err = *why;
        return why->rc;
    }
    for (size_t i = 0; i < g->n_todo && rc >= 0; i++)
        rc = job->give_up(job->arg, g->todo[i], why, err);
    return rc;
}

/* Does another group of that name wait for its turn? */
static bool is_name_left(struct bk_held *g)
{
    struct bk_groups_runner *r = g->run;
    bool left = false;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_groups; i++)
        left |= r->groups[i].state == PENDING && bk_streq(r->groups[i].group->name, g->group->name);
    pthread_mutex_unlock(&r->lock);
    return left;
}

/* In turn: the lane that held it reads and writes all of it. */
static int read_all(struct bk_held *g, struct bk_err *err)
{
    struct bk_groups_runner *r = g->run;
    int rc = BAKE_OK;

    while (rc >= 0) {
        size_t item = 0;
        bool more, last;

        pthread_mutex_lock(&r->lock);
        if (r->first.rc < 0)
            g->next = g->n_todo;
        more = g->next < g->n_todo;
        if (more) {
            g->reading++;
            item = g->todo[g->next++];
        }
        last = bk_held_take_release(g);
        pthread_mutex_unlock(&r->lock);
        if (last)
            bk_held_release(g);
        if (!more)
            return BAKE_OK;
        rc = bk_held_read(g, item, err);
    }
    return rc;
}

static int begin_held(struct bk_held *g, struct bk_err *err)
{
    struct bk_err why = {0};

    if (g->group->holds && hold(g, &why) < 0)
        return give_all_up(g, &why, err);
    set_state(g, HELD);
    return g->busy ? read_all(g, err) : BAKE_OK;
}

/* Another lane may have to end what this one leaves. */
static int end_in_turn(struct bk_held *g, int rc, struct bk_err *err)
{
    struct bk_groups_runner *r = g->run;
    bool last;

    if (rc >= 0 && !is_name_left(g))
        rc = r->job->group_end(r->job->arg, g->group->name, err);
    pthread_mutex_lock(&r->lock);
    g->next = g->n_todo;
    last = bk_held_take_release(g);
    g->busy = false;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (last)
        bk_held_release(g);
    return rc;
}

int bk_held_begin(struct bk_held *g, struct bk_err *err)
{
    bool in_turn = g->run->job->in_turn;
    int rc = choose(g, err);

    if (rc < 0 || g->n_todo == 0)
        set_state(g, DONE);
    else
        rc = begin_held(g, err);
    return in_turn ? end_in_turn(g, rc, err) : rc;
}
