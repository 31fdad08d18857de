/* flow/flow: the first failure is the flow's, the others end because of it, all are joined. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "flow/flow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES = 4 };

struct job;
struct stage { /* reads from `in`, writes to `out`; the first makes the bytes, the last counts them
                */
    struct job *job;
    int i;
    struct bk_ring *in, *out;
};

struct job {
    struct bk_flow *flow;
    struct stage stages[STAGES];
    uint64_t total;
    int dies; /* which stage; -1: none */
    uint64_t dies_at;
    int dies_rc;
    bool silent;
    atomic_int running;
    uint64_t counted;
    char seen_name[16];
};

static int die(const struct job *j, struct bk_err *err)
{
    if (j->silent)
        return j->dies_rc;
    return bk_fail(err, j->dies_rc, "stage %d died", j->dies);
}

static int pass_on(struct stage *s, struct bk_err *err)
{
    struct job *j = s->job;
    uint64_t done = 0;

    for (;;) {
        const void *data = "0123456789abcdef";
        size_t n = 16;
        int rc = BAKE_OK;

        if (s->i == j->dies && done >= j->dies_at)
            return die(j, err);
        if (s->in)
            rc = bk_ring_peek(s->in, &data, &n);
        else if (done >= j->total)
            rc = BAKE_END;
        if (rc < 0)
            return bk_fail(err, rc, "stage %d was cancelled", s->i);
        if (rc == BAKE_END)
            break;
        if (s->out && (rc = bk_ring_write(s->out, data, n)) < 0)
            return bk_fail(err, BAKE_E_IO, "stage %d: only because of the cancel", s->i);
        if (s->in)
            bk_ring_consume(s->in, n);
        done += n;
    }
    if (s->i == j->dies)
        return die(j, err); /* with its last breath */
    if (s->out)
        bk_ring_finish(s->out);
    else
        j->counted = done;
    return BAKE_OK;
}

static int stage(void *arg, struct bk_err *err)
{
    struct stage *s = arg;
    int rc;

    atomic_fetch_add(&s->job->running, 1);
    if (s->i == 0)
        (void)pthread_getname_np(pthread_self(), s->job->seen_name, sizeof(s->job->seen_name));
    rc = pass_on(s, err);
    atomic_fetch_sub(&s->job->running, 1);
    return rc;
}

static void start(struct job *j, struct bk_cancel *parent, uint64_t total, int dies, uint64_t at)
{
    struct bk_err err = {0};

    memset(j, 0, sizeof(*j));
    j->total = total;
    j->dies = dies;
    j->dies_at = at;
    j->dies_rc = BAKE_E_NOSPACE;
    assert_int_equal(bk_flow_new(parent, &j->flow, &err), 0);
    for (int i = 0; i < STAGES; i++) {
        j->stages[i].job = j;
        j->stages[i].i = i;
        if (i > 0)
            j->stages[i].in = j->stages[i - 1].out;
        if (i + 1 < STAGES)
            assert_int_equal(bk_flow_ring(j->flow, 64, &j->stages[i].out, &err), 0);
    }
}

static void run(struct job *j)
{
    struct bk_err err = {0};

    for (int i = 0; i < STAGES; i++)
        assert_int_equal(
            bk_flow_start(j->flow, "a name that is much too long", stage, &j->stages[i], &err), 0);
}

static void all_goes_well(void **state)
{
    (void)state;
    struct job j;
    struct bk_err err = {0};

    start(&j, NULL, 16000, -1, 0);
    run(&j);
    assert_int_equal(bk_flow_wait(j.flow, &err), 0);
    assert_int_equal(err.rc, 0);
    assert_int_equal(j.counted, 16000);
    assert_string_equal(j.seen_name, "a name that is ");
    assert_int_equal(bk_flow_wait(j.flow, &err), 0); /* again: still well */
    bk_flow_free(j.flow);
    bk_flow_free(NULL);
}

/* Each stage dies at its first byte, in the middle, at its end: its words are the flow's. */
static void each_stage_dies(void **state)
{
    (void)state;
    static const uint64_t when[] = {0, 1600, UINT64_MAX};

    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < STAGES; i++) {
            for (int w = 0; w < 3; w++) {
                struct job j;
                struct bk_err err = {0};
                char text[40];

                start(&j, NULL, 4800, i, when[w]);
                run(&j);
                assert_int_equal(bk_flow_wait(j.flow, &err), BAKE_E_NOSPACE);
                (void)snprintf(text, sizeof(text), "stage %d died", i);
                assert_string_equal(err.text, text);
                assert_int_equal(err.rc, BAKE_E_NOSPACE);
                assert_int_equal(atomic_load(&j.running), 0);
                assert_int_equal(bk_flow_wait(j.flow, NULL), BAKE_E_NOSPACE);
                bk_flow_free(j.flow);
            }
        }
    }
}

static void dies_without_a_word(void **state)
{
    (void)state;
    struct job j;
    struct bk_err err = {0};

    start(&j, NULL, 4800, 1, 160);
    j.silent = true;
    run(&j);
    assert_int_equal(bk_flow_wait(j.flow, &err), BAKE_E_NOSPACE);
    assert_int_equal(err.rc, BAKE_E_NOSPACE);
    assert_non_null(strstr(err.text, "without saying why"));
    bk_flow_free(j.flow);
}

static void owner_fails(void **state)
{
    (void)state;
    struct job j;
    struct bk_err err = {0}, mine = {0};

    start(&j, NULL, UINT64_MAX, -1, 0);
    run(&j);
    bk_fail(&mine, BAKE_E_CHILD, "the owner's reason");
    bk_flow_fail(j.flow, &mine);
    bk_fail(&mine, BAKE_E_AUTH, "a later reason");
    bk_flow_fail(j.flow, &mine);
    assert_int_equal(bk_flow_wait(j.flow, &err), BAKE_E_CHILD);
    assert_string_equal(err.text, "the owner's reason");
    assert_true(bk_cancelled(bk_flow_cancel(j.flow)));
    bk_flow_free(j.flow);
}

/* Only the parent asked: what stages say then is not recorded. */
static void parent_cancels(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct job j;
        struct bk_err err = {0};
        struct bk_cancel *parent;

        assert_int_equal(bk_cancel_new(NULL, &parent, &err), 0);
        start(&j, parent, UINT64_MAX, -1, 0);
        run(&j);
        assert_int_equal(bk_cancel_sleep(parent, (uint32_t)round % 3), 0);
        bk_cancel_fire(parent);
        assert_int_equal(bk_flow_wait(j.flow, &err), BAKE_E_CANCELLED);
        assert_int_equal(err.rc, BAKE_E_CANCELLED);
        assert_int_equal(atomic_load(&j.running), 0);
        bk_flow_free(j.flow);
        bk_cancel_free(parent);
    }
}

/* One flow's failure is its own: neither the parent nor a flow beside it ends. */
static void siblings_go_on(void **state)
{
    (void)state;
    struct job bad, good;
    struct bk_err err = {0};
    struct bk_cancel *parent;

    assert_int_equal(bk_cancel_new(NULL, &parent, &err), 0);
    start(&bad, parent, 1600, 2, 160);
    start(&good, parent, 16000, -1, 0);
    run(&bad);
    assert_int_equal(bk_flow_wait(bad.flow, &err), BAKE_E_NOSPACE);
    run(&good);
    assert_int_equal(bk_flow_wait(good.flow, &err), 0);
    assert_int_equal(good.counted, 16000);
    assert_false(bk_cancelled(parent));
    bk_flow_free(bad.flow);
    bk_flow_free(good.flow);
    bk_cancel_free(parent);
}

/* Freed while it runs: cancels and joins by itself. */
static void freed_while_running(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct job j;

        start(&j, NULL, UINT64_MAX, -1, 0);
        run(&j);
        bk_flow_free(j.flow);
        assert_int_equal(atomic_load(&j.running), 0);
    }
}

static int nothing(void *arg, struct bk_err *err)
{
    (void)arg;
    (void)err;
    return BAKE_OK;
}

static void limits(void **state)
{
    (void)state;
    struct bk_flow *f;
    struct bk_ring *r;
    struct bk_err err = {0};

    assert_int_equal(bk_flow_new(NULL, &f, &err), 0);
    for (int i = 0; i < BK_FLOW_MAX_STAGES; i++) {
        assert_int_equal(bk_flow_start(f, "x", nothing, NULL, &err), 0);
        assert_int_equal(bk_flow_ring(f, 1, &r, &err), 0);
    }
    assert_int_equal(bk_flow_start(f, "x", nothing, NULL, &err), BAKE_E_INTERNAL);
    assert_int_equal(bk_flow_ring(f, 1, &r, &err), BAKE_E_INTERNAL);
    assert_int_equal(bk_flow_wait(f, &err), 0);
    bk_flow_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_goes_well),       cmocka_unit_test(each_stage_dies),
        cmocka_unit_test(dies_without_a_word), cmocka_unit_test(owner_fails),
        cmocka_unit_test(parent_cancels),      cmocka_unit_test(siblings_go_on),
        cmocka_unit_test(freed_while_running), cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
