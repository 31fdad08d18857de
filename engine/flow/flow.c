/* Stage threads, first error wins. */
#include "flow/flow.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct stage {
    pthread_t thread;
    struct bk_flow *flow;
    int (*fn)(void *arg, struct bk_err *err);
    void *arg;
    char name[16];
};

struct bk_flow {
    struct bk_cancel *cancel;
    pthread_mutex_t lock;
    struct bk_err first; /* under lock */
    struct stage stages[BK_FLOW_MAX_STAGES];
    size_t n_stages;
    struct bk_ring *rings[BK_FLOW_MAX_STAGES];
    size_t n_rings;
};

int bk_flow_new(struct bk_cancel *parent, struct bk_flow **ret, struct bk_err *err)
{
    struct bk_flow *f = calloc(1, sizeof(*f));
    int rc;

    if (!f)
        return bk_nomem(err);
    rc = bk_cancel_new(parent, &f->cancel, err);
    if (rc < 0) {
        free(f);
        return rc;
    }
    pthread_mutex_init(&f->lock, NULL);
    *ret = f;
    return BAKE_OK;
}

static void join_all(struct bk_flow *f)
{
    for (size_t i = 0; i < f->n_stages; i++)
        pthread_join(f->stages[i].thread, NULL);
    f->n_stages = 0;
}

void bk_flow_stop(struct bk_flow *f)
{
    if (f->n_stages > 0)
        bk_cancel_fire(f->cancel);
    join_all(f);
}

void bk_flow_free(struct bk_flow *f)
{
    if (!f)
        return;
    bk_flow_stop(f);
    for (size_t i = 0; i < f->n_rings; i++)
        bk_ring_free(f->rings[i]);
    bk_cancel_free(f->cancel);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

struct bk_cancel *bk_flow_cancel(struct bk_flow *f) { return f->cancel; }

int bk_flow_ring(struct bk_flow *f, size_t capacity, struct bk_ring **ret, struct bk_err *err)
{
    int rc;

    if (f->n_rings == BK_FLOW_MAX_STAGES)
        return bk_fail(err, BAKE_E_INTERNAL, "a flow has at most %d rings", BK_FLOW_MAX_STAGES);
    rc = bk_ring_new(capacity, f->cancel, ret, err);
    if (rc < 0)
        return rc;
    f->rings[f->n_rings++] = *ret;
    return BAKE_OK;
}

void bk_flow_fail(struct bk_flow *f, const struct bk_err *err)
{
    pthread_mutex_lock(&f->lock);
    /* What fails after the cancel has fired only fails because of it. */
    if (f->first.rc == 0 && !bk_cancelled(f->cancel))
        f->first = *err;
    pthread_mutex_unlock(&f->lock);
    bk_cancel_fire(f->cancel);
}

static void *stage_main(void *arg)
{
    struct stage *s = arg;
    struct bk_err err = {0};
    int rc;

    (void)pthread_setname_np(pthread_self(), s->name);
    rc = s->fn(s->arg, &err);
    if (rc < 0) {
        if (err.rc == 0)
            bk_fail(&err, rc, "stage '%s' failed without saying why", s->name);
        bk_flow_fail(s->flow, &err);
    }
    return NULL;
}

int bk_flow_start(struct bk_flow *f, const char *name, int (*fn)(void *arg, struct bk_err *err),
                  void *arg, struct bk_err *err)
{
    struct stage *s;
    int e;

    if (f->n_stages == BK_FLOW_MAX_STAGES)
        return bk_fail(err, BAKE_E_INTERNAL, "a flow has at most %d stages", BK_FLOW_MAX_STAGES);
    s = &f->stages[f->n_stages];
    s->flow = f;
    s->fn = fn;
    s->arg = arg;
    memset(s->name, 0, sizeof(s->name));
    memccpy(s->name, name, 0, sizeof(s->name) - 1);
    e = pthread_create(&s->thread, NULL, stage_main, s);
    if (e)
        return bk_fail_errno(err, e, "cannot start a thread for '%s'", name);
    f->n_stages++;
    return BAKE_OK;
}

int bk_flow_wait(struct bk_flow *f, struct bk_err *err)
{
    join_all(f);
    if (f->first.rc < 0) {
        if (err)
            *err = f->first;
        return f->first.rc;
    }
    if (bk_cancelled(f->cancel))
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    return BAKE_OK;
}
