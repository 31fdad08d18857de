/* Instances: several at once, used again after reset(), closed at any moment. */
#include "transform.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct cutting whole = {0, 0, 0, 1};

#define SIZE 400000u

static void check_back(struct transform *t, const struct bytes *stored, const void *data, size_t n)
{
    struct bytes plain = {0};
    int rc = transform_run(t, BAKE_REVERSE, stored->data, stored->n, &whole, &plain);

    cf_check(t->r, rc == BAKE_OK && plain.n == n && memcmp(plain.data, data, n) == 0,
             "after reset() it came back different: %s", cf_rc_name(rc));
    bytes_free(&plain);
}

/* After the end, and in the middle of a stream that is given up. */
static void reset_forward(struct transform *t, const unsigned char *data)
{
    struct bytes stored = {0}, lost = {0};
    struct cf_ctx ctx;
    void *self;

    if (transform_open(t, &ctx, BAKE_FORWARD, &self) < 0)
        return;
    for (size_t i = 0; i < 3; i++) {
        struct bake_in in = {data, SIZE, 0};
        struct bake_out out = {NULL, 1 << 20, 0};
        size_t n = SIZE - i * 1000;

        stored.n = 0;
        cf_check(t->r, transform_feed(t, self, data, n, &whole, &stored) == BAKE_OK, "forward: %s",
                 ctx.text);
        check_back(t, &stored, data, n);
        cf_want(t->r, &ctx, t->ops->reset(self), BAKE_OK, "reset");
        out.data = malloc(out.size);
        if (out.data)
            (void)t->ops->process(self, &in, &out, BAKE_CONTINUE);
        free(out.data);
        cf_want(t->r, &ctx, t->ops->reset(self), BAKE_OK, "reset in the middle");
    }
    t->ops->close(self);
    cf_ctx_free(&ctx);
    bytes_free(&stored);
    bytes_free(&lost);
}

/* After the end, in the middle, and after damage was found. */
static void reset_reverse(struct transform *t, const unsigned char *data)
{
    struct bytes stored = {0}, plain = {0};
    struct cf_ctx ctx;
    void *self;

    if (transform_run(t, BAKE_FORWARD, data, SIZE, &whole, &stored) < 0 ||
        transform_open(t, &ctx, BAKE_REVERSE, &self) < 0) {
        bytes_free(&stored);
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        plain.n = 0;
        cf_check(t->r, transform_feed(t, self, stored.data, stored.n, &whole, &plain) == BAKE_OK,
                 "reverse: %s", ctx.text);
        cf_check(t->r, plain.n == SIZE && memcmp(plain.data, data, SIZE) == 0,
                 "after reset() it came back different");
        cf_want(t->r, &ctx, t->ops->reset(self), BAKE_OK, "reset");
        plain.n = 0;
        cf_check(t->r, transform_feed(t, self, stored.data, stored.n / 2, &whole, &plain) < 0,
                 "half a stream passes for a whole one");
        cf_want(t->r, &ctx, t->ops->reset(self), BAKE_OK, "reset after an error");
    }
    t->ops->close(self);
    cf_ctx_free(&ctx);
    bytes_free(&stored);
    bytes_free(&plain);
}

static void reuse(struct transform *t)
{
    unsigned char *data = malloc(SIZE);

    if (!data)
        return;
    cf_fill(data, SIZE / 2, 21);
    memset(data + SIZE / 2, 'y', SIZE - SIZE / 2);
    if (t->ops->reset) {
        reset_forward(t, data);
        reset_reverse(t, data);
    } else {
        cf_skip(t->r, "there is no reset()");
    }
    free(data);
}

static void closed_any_time(struct transform *t)
{
    unsigned char *data = malloc(SIZE), *room = malloc(SIZE);

    for (int dir = BAKE_FORWARD; data && room && dir <= BAKE_REVERSE; dir++)
        for (size_t n = 0; n < SIZE; n = n * 9 + 1) {
            struct bake_in in = {data, n, 0};
            struct bake_out out = {room, SIZE, 0};
            struct cf_ctx ctx;
            void *self;

            cf_fill(data, n, 31);
            if (transform_open(t, &ctx, dir, &self) < 0)
                break;
            if (n > 0)
                (void)t->ops->process(self, &in, &out, BAKE_CONTINUE);
            if (t->ops->interrupt)
                t->ops->interrupt(self);
            t->ops->close(self);
            cf_ctx_free(&ctx);
        }
    free(data);
    free(room);
}

/* A thread has a test's worth of its own: only its verdict crosses over. */
struct job {
    struct transform t;
    struct cf_report report;
    unsigned number;
};

static void *work(void *arg)
{
    struct job *j = arg;
    size_t n = 100000 + j->number * 50001;
    unsigned char *data = malloc(n);

    if (!data)
        return NULL;
    cf_fill(data, n, j->number);
    memset(data, 'z', n / 2);
    for (unsigned i = 1; i < 6; i++) {
        const struct cutting cut = {9000 * i, 7000 * i, 0, i};

        transform_both(&j->t, data, n, &cut, &cut);
    }
    free(data);
    return NULL;
}

static void many_at_once(struct transform *t)
{
    enum { N = 8 };
    struct job *jobs = calloc(N, sizeof(*jobs));
    pthread_t threads[N];
    unsigned started = 0;

    if (!jobs)
        return;
    for (; started < N; started++) {
        struct job *j = &jobs[started];

        j->t = *t;
        j->t.r = &j->report;
        j->number = started;
        cf_begin(&j->report, "in a thread");
        if (pthread_create(&threads[started], NULL, work, j) != 0)
            break;
    }
    cf_check(t->r, started == N, "cannot start threads");
    while (started-- > 0) {
        (void)pthread_join(threads[started], NULL);
        cf_check(t->r, !jobs[started].report.bad, "instance %u of %d at once failed", started, N);
    }
    free(jobs);
}

void transform_reuse_cases(struct transform *t)
{
    transform_case(t, "reset() makes an instance new", reuse);
    transform_case(t, "an instance may be closed at any time", closed_any_time);
    transform_case(t, "8 instances at once", many_at_once);
}
