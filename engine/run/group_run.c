/* The lanes of a run, and the watch over what is held. */
#include "run/group_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "run/lanes.h"

void bk_groups_fail(struct bk_groups_runner *r, int rc, const struct bk_err *err)
{
    pthread_mutex_lock(&r->lock);
    if (r->first.rc == 0) {
        r->first = *err;
        if (r->first.rc == 0)
            (void)bk_fail(&r->first, rc, "a component failed without saying why");
    }
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static int lane(void *arg, size_t i, struct bk_err *unused)
{
    struct bk_groups_runner *r = arg;
    struct bk_groups_task t;

    (void)i;
    (void)unused;
    for (;;) {
        struct bk_err err = {0};
        int rc = BAKE_OK;

        bk_groups_pick(r, &t);
        if (t.what == NOTHING)
            return BAKE_OK;
        if (t.what == BEGIN)
            rc = bk_held_begin(t.group, &err);
        else if (t.what == READ)
            rc = bk_held_read(t.group, t.item, &err);
        else if (t.what == RELEASE)
            bk_held_release(t.group);
        else
            rc = r->job->backup(r->job->arg, t.item, NULL, &err);
        if (rc < 0)
            bk_groups_fail(r, rc, &err);
    }
}

/* ---- the watch ------------------------------------------------------------------------------ */

/* Under the lock: a group whose time is over, or NULL; *ret_next: when the next one's will be. */
static struct bk_held *overdue(struct bk_groups_runner *r, uint64_t *ret_next)
{
    uint64_t now = bk_monotonic_ms();

    *ret_next = 0;
    for (size_t i = 0; i < r->n_groups; i++) {
        struct bk_held *g = &r->groups[i];

        if ((g->state != HOLDING && g->state != HELD) || !g->deadline_ms || g->too_long)
            continue;
        if (now >= g->deadline_ms)
            return g;
        if (!*ret_next || g->deadline_ms < *ret_next)
            *ret_next = g->deadline_ms;
    }
    return NULL;
}

static void wait_for(struct bk_groups_runner *r, uint64_t until_ms)
{
    struct timespec at = {.tv_sec = (time_t)(until_ms / 1000),
                          .tv_nsec = (long)(until_ms % 1000) * 1000000};

    if (until_ms)
        (void)pthread_cond_timedwait(&r->changed, &r->lock, &at);
    else
        (void)pthread_cond_wait(&r->changed, &r->lock);
}

static void *watch(void *arg)
{
    struct bk_groups_runner *r = arg;

    pthread_mutex_lock(&r->lock);
    while (!r->ending) {
        uint64_t next;
        struct bk_held *g = overdue(r, &next);

        if (!g) {
            wait_for(r, next);
            continue;
        }
        g->too_long = true;
        pthread_mutex_unlock(&r->lock);
        bk_cancel_fire(g->h.cancel);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void prepare_why(struct bk_held *g, uint64_t most_ms)
{
    char time[24];

    (void)bk_fail(&g->why, BAKE_E_TIMEOUT,
                  "group '%s' was held for %s, as long as 'hold: {max}' allows, and then released\n"
                  "HINT: allow it more time, or make what is read while it is held smaller",
                  g->group->name, bk_format_duration(time, sizeof(time), most_ms));
}

static int init_groups(struct bk_groups_runner *r, struct bk_err *err)
{
    const struct bk_groups_job *job = r->job;
    int rc = bk_groups_find(job->plan, job->in_turn, &r->found, &r->n_groups, err);

    if (rc < 0)
        return rc;
    r->groups = calloc(r->n_groups + 1, sizeof(*r->groups));
    if (!r->groups)
        return bk_nomem(err);
    for (size_t i = 0; i < r->n_groups && rc >= 0; i++) {
        struct bk_held *g = &r->groups[i];

        g->run = r;
        g->group = &r->found[i];
        g->n_todo = g->group->n_items; /* until it is known better */
        g->todo = calloc(g->n_todo + 1, sizeof(*g->todo));
        prepare_why(g, job->session->pipeline->hold_max_ms);
        rc = g->todo ? bk_holding_init(&g->h, job->session, job->duty, g->group, err)
                     : bk_nomem(err);
    }
    return rc;
}

static int init_singles(struct bk_groups_runner *r, struct bk_err *err)
{
    size_t n = r->job->plan->n_items;
    bool *grouped BK_FREE = calloc(n + 1, sizeof(*grouped));

    r->singles = calloc(n + 1, sizeof(*r->singles));
    if (!r->singles || !grouped)
        return bk_nomem(err);
    for (size_t i = 0; i < r->n_groups; i++)
        for (size_t k = 0; k < r->found[i].n_items; k++)
            grouped[r->found[i].items[k]] = true;
    for (size_t i = 0; i < n; i++)
        if (!grouped[i])
            r->singles[r->n_singles++] = i;
    return BAKE_OK;
}

static void release_all(struct bk_groups_runner *r)
{
    for (size_t i = 0; r->groups && i < r->n_groups; i++) {
        bk_holding_free(&r->groups[i].h);
        free(r->groups[i].todo);
    }
    free(r->groups);
    bk_groups_free(r->found, r->n_groups);
    free(r->singles);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}

static bool wants_watch(const struct bk_groups_runner *r)
{
    bool holds = false;

    for (size_t i = 0; i < r->n_groups; i++)
        holds |= r->found[i].holds;
    return holds && r->job->session->pipeline->hold_max_ms > 0;
}

static int work(struct bk_groups_runner *r, struct bk_err *err)
{
    size_t n = r->job->plan->n_items, lanes = (size_t)r->job->session->pipeline->parallel;
    bool watched = wants_watch(r);
    pthread_t thread;
    int rc = watched ? pthread_create(&thread, NULL, watch, r) : 0;

    if (rc)
        return bk_fail_errno(err, rc, "cannot start a thread that watches for how long is held");
    lanes = n < lanes ? n : lanes;
    rc = bk_lanes_run(lanes, lanes, lane, r, err);
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (watched)
        pthread_join(thread, NULL);
    if (rc >= 0 && r->first.rc < 0) {
        *err = r->first;
        rc = r->first.rc;
    }
    return rc;
}

int bk_groups_run(const struct bk_groups_job *job, struct bk_err *err)
{
    struct bk_groups_runner r = {.job = job};
    struct bk_err why = {0};
    pthread_condattr_t attr;
    int rc;

    pthread_mutex_init(&r.lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r.changed, &attr);
    pthread_condattr_destroy(&attr);
    rc = init_groups(&r, &why);
    if (rc >= 0)
        rc = init_singles(&r, &why);
    if (rc >= 0)
        rc = work(&r, &why);
    release_all(&r);
    if (rc < 0 && err)
        *err = why;
    return rc;
}
