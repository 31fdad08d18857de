/* run/report: events are whole, in one thread's order, and hold no secret. */
#include "storekit.h"

#include "base/clock.h"
#include "base/log.h"
#include "run/report.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    unsigned n, status;
    int inside;
    bool overlap, wrong;
    json_t *last;
    unsigned next[4]; /* per thread */
};

static void emit(void *arg, const char *type, const json_t *event)
{
    struct seen *s = arg;
    const json_t *thread = json_object_get(event, "thread");

    s->overlap |= s->inside++ != 0;
    s->n++;
    s->status += strcmp(type, "status") == 0;
    s->wrong |= strcmp(json_object_iter_key(json_object_iter((json_t *)(uintptr_t)event)),
                       "message_type") != 0;
    s->wrong |= strcmp(json_string_value(json_object_get(event, "message_type")), type) != 0;
    if (thread)
        s->wrong |= s->next[json_integer_value(thread)]++ !=
                    json_integer_value(json_object_get(event, "i"));
    json_decref(s->last);
    s->last = json_deep_copy(event);
    s->inside--;
}

static const char *text_of(const struct seen *s, const char *key)
{
    return json_string_value(json_object_get(s->last, key));
}

static void notes_and_errors(void **state)
{
    (void)state;
    struct seen s = {0};
    struct bk_reporter r;
    struct bk_err err = {0};

    bk_mask_add("hunter2secret");
    bk_reporter_init(&r, emit, &s, 0);
    bk_event_note(&r, BAKE_WARNING, "system", "a/hunter2secret", "changed: hunter2secret");
    assert_string_equal(text_of(&s, "message_type"), "warning");
    assert_string_equal(text_of(&s, "severity"), "warning");
    assert_string_equal(text_of(&s, "component"), "system");
    assert_string_equal(text_of(&s, "subject"), "a/***");
    assert_string_equal(text_of(&s, "text"), "changed: ***");
    bk_event_note(&r, BAKE_NOTICE, NULL, NULL, "x");
    assert_string_equal(text_of(&s, "severity"), "notice");
    assert_null(text_of(&s, "component"));
    assert_null(text_of(&s, "subject"));
    bk_event_note(&r, BAKE_PARTIAL, "c", "", "x");
    assert_string_equal(text_of(&s, "severity"), "partial");
    assert_null(text_of(&s, "subject"));
    bk_fail(&err, BAKE_E_IO, "cannot: hunter2secret\nHINT: not hunter2secret");
    bk_event_error(&r, "c", &err);
    assert_string_equal(text_of(&s, "message_type"), "error");
    assert_string_equal(text_of(&s, "text"), "cannot: ***");
    assert_string_equal(text_of(&s, "hint"), "not ***");
    bk_err_clear(&err);
    bk_fail(&err, BAKE_E_IO, "no hint");
    bk_event_error(&r, NULL, &err);
    assert_null(text_of(&s, "hint"));
    assert_int_equal(s.n, 5);
    assert_false(s.wrong);
    json_decref(s.last);
    bk_reporter_release(&r);
    bk_mask_forget();
}

struct teller {
    struct bk_reporter *r;
    int thread;
};

static void *tell(void *arg)
{
    struct teller *t = arg;

    for (int i = 0; i < 200; i++) {
        json_t *e = bk_event("component");

        json_object_set_new(e, "thread", json_integer(t->thread));
        json_object_set_new(e, "i", json_integer(i));
        bk_event_send(t->r, e);
        atomic_fetch_add(&t->r->progress.bytes, 10);
    }
    return NULL;
}

static void from_many_threads(void **state)
{
    (void)state;
    struct seen s = {0};
    struct bk_reporter r;
    struct teller t[4];
    pthread_t threads[4];
    struct bk_err err = {0};

    bk_reporter_init(&r, emit, &s, 1);
    assert_int_equal(bk_reporter_start(&r, &err), 0);
    for (int i = 0; i < 4; i++) {
        t[i] = (struct teller){&r, i};
        assert_int_equal(pthread_create(&threads[i], NULL, tell, &t[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    bk_reporter_release(&r);
    assert_false(s.overlap);
    assert_false(s.wrong);
    assert_int_equal(s.n - s.status, 800);
    json_decref(s.last);
}

static void ticking(void **state)
{
    (void)state;
    struct seen s = {0};
    struct bk_reporter r;
    struct bk_err err = {0};
    uint64_t start = bk_monotonic_ms();

    bk_reporter_init(&r, emit, &s, 20);
    atomic_store(&r.progress.bytes, 50);
    atomic_store(&r.progress.total, 200);
    assert_int_equal(bk_reporter_start(&r, &err), 0);
    while (bk_monotonic_ms() - start < 200)
        continue;
    bk_reporter_stop(&r);
    assert_in_range(s.status, 2, 10);
    assert_int_equal(json_integer_value(json_object_get(s.last, "bytes_done")), 50);
    assert_int_equal(json_integer_value(json_object_get(s.last, "total_bytes")), 200);
    assert_true(json_real_value(json_object_get(s.last, "percent_done")) == 0.25);
    unsigned before = s.n;
    bk_reporter_stop(&r);                 /* again is fine */
    atomic_store(&r.progress.bytes, 500); /* more than was thought */
    assert_int_equal(bk_reporter_start(&r, &err), 0);
    start = bk_monotonic_ms();
    while (bk_monotonic_ms() - start < 100)
        continue;
    bk_reporter_release(&r);
    assert_true(s.n > before);
    assert_true(json_real_value(json_object_get(s.last, "percent_done")) == 1.0);
    json_decref(s.last);
}

static void silent(void **state)
{
    (void)state;
    struct seen s = {0};
    struct bk_reporter r;
    struct bk_err err = {0};

    bk_reporter_init(&r, emit, &s, 0); /* never ticks */
    assert_int_equal(bk_reporter_start(&r, &err), 0);
    bk_reporter_release(&r);
    assert_int_equal(s.n, 0);
    bk_reporter_init(&r, NULL, NULL, 0); /* nobody listens */
    bk_event_note(&r, BAKE_WARNING, "a", "b", "c");
    bk_reporter_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_and_errors),
        cmocka_unit_test(from_many_threads),
        cmocka_unit_test(ticking),
        cmocka_unit_test(silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
