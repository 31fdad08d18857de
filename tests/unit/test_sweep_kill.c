/* run/sweep, killed before each of its writes: no backup ever loses anything, and the next prune
 * brings it to an end. */
#include "sweepkit.h"

#include "store/moves.h"

struct copy { /* of a sink */
    struct ms_object *objects;
    size_t n;
};

static void *copy_of(const void *data, size_t n)
{
    void *to = malloc(n ? n : 1);

    assert_non_null(to);
    memcpy(to, data, n);
    return to;
}

static struct copy save(const struct memsink *s)
{
    struct copy c = {calloc(s->n + 1, sizeof(*c.objects)), s->n};

    assert_non_null(c.objects);
    for (size_t i = 0; i < s->n; i++) {
        c.objects[i] = s->objects[i];
        c.objects[i].name = bk_strdup(s->objects[i].name);
        c.objects[i].data = copy_of(s->objects[i].data, s->objects[i].n);
    }
    return c;
}

static void restore(struct memsink *s, const struct copy *c)
{
    while (s->n > 0)
        ms_drop(s, s->objects[s->n - 1].name);
    for (size_t i = 0; i < c->n; i++) {
        ms_set(s, c->objects[i].name, c->objects[i].data, c->objects[i].n);
        ms_set_time(s, c->objects[i].name, c->objects[i].mtime_ns);
    }
}

static void drop(struct copy *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->objects[i].name);
        free(c->objects[i].data);
    }
    free(c->objects);
}

/* Something of everything: packs without need, mostly dead, small and many, moved before,
 * condemned before. */
static void make_world(struct fix *f)
{
    struct made *a = sk_backup(f, "a", 0, 60), *c;

    sk_backup(f, "b", 0, 6);
    sk_drop(f, a, 0);
    sk_drop(f, a, 1);
    sk_must(f, sk_prune(f, true)); /* moved */
    c = sk_backup(f, "c", 60, 70);
    sk_drop(f, c, 0);
    sk_drop(f, c, 1);
    sk_age(f, GRACE);
    for (size_t i = 0; i < 2; i++)
        ms_set(&f->k.ms[i], "writers/w", "x", 1);
    sk_must(f, sk_prune(f, false)); /* condemned */
    assert_true(f->swept.condemned > 0);
    sk_age(f, EXPIRE);
    for (unsigned i = 0; i < BK_REWRITE_MANY; i++) {
        char id[16];

        (void)snprintf(id, sizeof(id), "s%u", i);
        sk_backup(f, id, 70 + i, 71 + i);
    }
    c = sk_backup(f, "e", 60, 70); /* in packs of its own */
    sk_drop(f, c, 0);
    sk_drop(f, c, 1);
    sk_age(f, GRACE);
}

static void anywhere(void **state)
{
    struct fix *f = *state;
    struct copy before[2];
    size_t packs, kills = 0;
    bool ended = false;

    make_world(f);
    sk_check(f);
    before[0] = save(&f->k.ms[0]);
    before[1] = save(&f->k.ms[1]);
    sk_must(f, sk_prune(f, true));
    assert_true(f->swept.rewritten > 0 && f->swept.removed > 0);
    packs = sk_count(f, "packs/");
    sk_check(f);
    for (unsigned n = 1; !ended; n++) {
        restore(&f->k.ms[0], &before[0]);
        restore(&f->k.ms[1], &before[1]);
        sk_must(f, kit_open(&f->k, BK_STORE_WRITE));
        f->left = n;
        ended = sk_prune(f, true) >= 0 && !f->dead;
        f->left = 0;
        f->dead = false;
        kills += !ended;
        sk_check(f);
        sk_age(f, EXPIRE); /* then the lease of the dead ends */
        sk_must(f, sk_prune(f, true));
        sk_check(f);
        sk_age(f, GRACE); /* and so does what it had just put */
        sk_must(f, sk_prune(f, true));
        sk_check(f);
        assert_int_equal(sk_count(f, "gc/") + sk_count(f, "writers/"), 0);
        assert_true(sk_count(f, "packs/") <= packs);
        assert_int_equal(ms_count(&f->k.ms[1], "packs/"), sk_count(f, "packs/"));
    }
    assert_true(kills > 40);
    drop(&before[0]);
    drop(&before[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(anywhere, sk_setup_two, sk_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
