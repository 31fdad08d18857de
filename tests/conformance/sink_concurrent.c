/* Several puts, gets and lists of one instance at once. */
#include "sink.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 8u

struct job {
    struct sink *s;
    unsigned number;
    int rc;
    unsigned wrong; /* what was seen and must not be */
    atomic_bool *stop;
};

static int put_plain(struct job *j, const char *name, const void *data, size_t n, uint32_t flags)
{
    const struct bake_sink_ops *ops = j->s->ops;
    struct bake_in in = {data, n, 0};
    struct cf_ctx ctx;
    void *put;
    int rc;

    cf_ctx_init(&ctx);
    rc = ops->put_begin(j->s->self, &ctx.base, name, n, flags, &put);
    if (rc == BAKE_OK) {
        rc = ops->put_write(put, &in);
        if (rc < 0)
            ops->put_abort(put);
        else
            rc = ops->put_end(put);
    }
    if (rc < 0 && rc != BAKE_E_EXISTS)
        (void)fprintf(stderr, "# %s\n", ctx.text);
    cf_ctx_free(&ctx);
    return rc;
}

static int get_plain(struct job *j, const char *name, char *data, size_t cap, size_t *ret_n)
{
    const struct bake_sink_ops *ops = j->s->ops;
    struct bake_out out = {data, cap, 0};
    struct cf_ctx ctx;
    void *get;
    int rc;

    cf_ctx_init(&ctx);
    rc = ops->get_begin(j->s->self, &ctx.base, name, 0, 0, &get);
    if (rc == BAKE_OK) {
        while ((rc = ops->get_read(get, &out)) == BAKE_OK && out.pos < out.size)
            ;
        ops->get_close(get);
    }
    *ret_n = out.pos;
    cf_ctx_free(&ctx);
    return rc < 0 ? rc : BAKE_OK;
}

static void *race_put(void *arg)
{
    struct job *j = arg;
    char name[NAME_CAP], data[1000];

    memset(data, 'a' + (int)j->number, sizeof(data));
    j->rc =
        put_plain(j, sink_name(j->s, name, "race/winner"), data, sizeof(data), BAKE_PUT_IF_ABSENT);
    return NULL;
}

static void race_once(struct sink *s)
{
    struct job jobs[THREADS];
    unsigned won = 0, winner = 0;
    char name[NAME_CAP], *data;
    size_t n;

    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i].s = s;
        jobs[i].number = i;
    }
    sink_threads(s, THREADS, race_put, jobs, sizeof(jobs[0]));
    for (unsigned i = 0; i < THREADS; i++) {
        cf_check(s->r, jobs[i].rc == BAKE_OK || jobs[i].rc == BAKE_E_EXISTS, "put: %s",
                 cf_rc_name(jobs[i].rc));
        if (jobs[i].rc == BAKE_OK) {
            won++;
            winner = i;
        }
    }
    cf_check(s->r, won == 1, "%u of %u puts-if-absent won", won, THREADS);
    sink_want(s, sink_get(s, sink_name(s, name, "race/winner"), 0, 0, &data, &n), BAKE_OK, "get");
    cf_check(s->r, n == 1000 && data[0] == 'a' + (int)winner && memcmp(data, data + 1, 999) == 0,
             "the object is not the winner's");
    free(data);
    sink_want(s, sink_remove(s, name), BAKE_OK, "remove");
}

static void race(struct sink *s)
{
    for (int i = 0; i < 20; i++)
        race_once(s);
}

#define EACH 12

static size_t size_of(unsigned number, unsigned i) { return number * 31337u + i * 100001u; }

static void *work(void *arg)
{
    struct job *j = arg;
    size_t cap = size_of(THREADS, EACH) + 1;
    char name[NAME_CAP], leaf[48], *data = malloc(cap), *back = malloc(cap);

    for (unsigned i = 0; i < EACH && data && back; i++) {
        size_t n = size_of(j->number, i), got = 0;

        /* folders that several threads make at the same moment */
        (void)snprintf(leaf, sizeof(leaf), "busy/%u/%u/%u", i % 3, i, j->number);
        cf_fill(data, n, i * 100 + j->number);
        j->rc = put_plain(j, sink_name(j->s, name, leaf), data, n, BAKE_PUT_IF_ABSENT);
        if (j->rc == BAKE_OK)
            j->rc = get_plain(j, name, back, cap, &got);
        if (j->rc < 0)
            break;
        j->wrong += got != n || (n > 0 && memcmp(data, back, n) != 0);
    }
    free(data);
    free(back);
    return NULL;
}

static void many_at_once(struct sink *s)
{
    struct job jobs[THREADS];
    char name[NAME_CAP];
    struct listed l;

    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i].s = s;
        jobs[i].number = i;
    }
    sink_threads(s, THREADS, work, jobs, sizeof(jobs[0]));
    for (unsigned i = 0; i < THREADS; i++) {
        cf_check(s->r, jobs[i].rc == BAKE_OK, "thread %u: %s", i, cf_rc_name(jobs[i].rc));
        cf_check(s->r, jobs[i].wrong == 0, "thread %u: %u objects came back different", i,
                 jobs[i].wrong);
    }
    sink_want(s, sink_list(s, sink_name(s, name, "busy/"), &l), BAKE_OK, "list");
    cf_check(s->r, l.n == (size_t)THREADS * EACH, "%zu objects listed, not %u", l.n,
             THREADS * EACH);
    listed_free(&l);
}

#define PARTIAL_SIZE 500000u

static void *put_until_told(void *arg)
{
    struct job *j = arg;
    char name[NAME_CAP], leaf[48], *data = calloc(1, PARTIAL_SIZE);

    for (unsigned i = 0; data && !atomic_load(j->stop) && j->rc == BAKE_OK; i++) {
        (void)snprintf(leaf, sizeof(leaf), "moving/%u-%u", j->number, i % 10);
        j->rc = put_plain(j, sink_name(j->s, name, leaf), data, PARTIAL_SIZE, 0);
    }
    free(data);
    return NULL;
}

static int whole_only(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    unsigned *wrong = arg;

    (void)name;
    (void)mtime_ns;
    *wrong += size != PARTIAL_SIZE;
    return 0;
}

static void *list_often(void *arg)
{
    struct job *j = arg;
    char name[NAME_CAP];

    sink_name(j->s, name, "moving/");
    for (int i = 0; i < 30 && j->rc == BAKE_OK; i++) {
        struct cf_ctx ctx;

        cf_ctx_init(&ctx);
        j->rc = j->s->ops->list(j->s->self, &ctx.base, name, whole_only, &j->wrong);
        cf_ctx_free(&ctx);
    }
    atomic_store(j->stop, true);
    return NULL;
}

static void *put_or_list(void *arg)
{
    return ((struct job *)arg)->number == 0 ? list_often(arg) : put_until_told(arg);
}

static void list_meanwhile(struct sink *s)
{
    struct job jobs[3];
    atomic_bool stop = false;

    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < 3; i++) {
        jobs[i].s = s;
        jobs[i].number = i;
        jobs[i].stop = &stop;
    }
    sink_threads(s, 3, put_or_list, jobs, sizeof(jobs[0]));
    for (unsigned i = 0; i < 3; i++)
        cf_check(s->r, jobs[i].rc == BAKE_OK, "%s: %s", i ? "put" : "list", cf_rc_name(jobs[i].rc));
    cf_check(s->r, jobs[0].wrong == 0, "%u objects were listed before they were whole",
             jobs[0].wrong);
}

#define MANY 1200u /* more than one page of any object store */

static const char *many_name(const struct sink *s, char *out, unsigned i)
{
    char leaf[48];

    (void)snprintf(leaf, sizeof(leaf), "many/%02x/%u", i % 9, i);
    return sink_name(s, out, leaf);
}

static void *put_share(void *arg)
{
    struct job *j = arg;
    char name[NAME_CAP];

    for (unsigned i = j->number; i < MANY && j->rc == BAKE_OK; i += THREADS)
        j->rc = put_plain(j, many_name(j->s, name, i), "x", 1, 0);
    return NULL;
}

static void *remove_share(void *arg)
{
    struct job *j = arg;
    char name[NAME_CAP];

    for (unsigned i = j->number; i < MANY && j->rc == BAKE_OK; i += THREADS) {
        struct cf_ctx ctx;

        cf_ctx_init(&ctx);
        j->rc = j->s->ops->remove(j->s->self, &ctx.base, many_name(j->s, name, i));
        cf_ctx_free(&ctx);
    }
    return NULL;
}

static void in_shares(struct sink *s, void *(*fn)(void *), const char *what)
{
    struct job jobs[THREADS];

    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i].s = s;
        jobs[i].number = i;
    }
    sink_threads(s, THREADS, fn, jobs, sizeof(jobs[0]));
    for (unsigned i = 0; i < THREADS; i++)
        cf_check(s->r, jobs[i].rc == BAKE_OK, "%s: %s", what, cf_rc_name(jobs[i].rc));
}

static void many(struct sink *s)
{
    char name[NAME_CAP], folder[NAME_CAP];
    struct listed l;

    sink_name(s, folder, "many/");
    in_shares(s, put_share, "put");
    sink_want(s, sink_list(s, folder, &l), BAKE_OK, "list");
    cf_check(s->r, l.n == MANY, "%zu names listed, not %u", l.n, MANY);
    for (unsigned i = 0; i < MANY; i++)
        if (!cf_check(s->r, listed_has(&l, many_name(s, name, i)), "'%s' is not listed once", name))
            break;
    listed_free(&l);
    in_shares(s, remove_share, "remove");
    sink_want(s, sink_list(s, folder, &l), BAKE_OK, "list");
    cf_check(s->r, l.n == 0, "%zu names are left", l.n);
    listed_free(&l);
}

/* Whoever removes the last object of a folder must not trip whoever puts into it. */
static void *put_and_remove(void *arg)
{
    struct job *j = arg;
    char name[NAME_CAP], leaf[48];

    (void)snprintf(leaf, sizeof(leaf), "churn/a/b/%u", j->number);
    sink_name(j->s, name, leaf);
    for (int i = 0; i < 25 && j->rc == BAKE_OK; i++) {
        struct cf_ctx ctx;

        j->rc = put_plain(j, name, "x", 1, 0);
        if (j->rc < 0)
            break;
        cf_ctx_init(&ctx);
        j->rc = j->s->ops->remove(j->s->self, &ctx.base, name);
        if (j->rc < 0)
            (void)fprintf(stderr, "# %s\n", ctx.text);
        cf_ctx_free(&ctx);
    }
    return NULL;
}

static void churn(struct sink *s)
{
    struct job jobs[THREADS];
    char name[NAME_CAP];
    struct listed l;

    memset(jobs, 0, sizeof(jobs));
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i].s = s;
        jobs[i].number = i;
    }
    sink_threads(s, THREADS, put_and_remove, jobs, sizeof(jobs[0]));
    for (unsigned i = 0; i < THREADS; i++)
        cf_check(s->r, jobs[i].rc == BAKE_OK, "thread %u: %s", i, cf_rc_name(jobs[i].rc));
    sink_want(s, sink_list(s, sink_name(s, name, "churn/"), &l), BAKE_OK, "list");
    cf_check(s->r, l.n == 0, "%zu objects are left", l.n);
    listed_free(&l);
}

void sink_concurrent_cases(struct sink *s)
{
    sink_case(s, "of 8 puts-if-absent at once exactly one wins", race);
    sink_case(s, "8 threads put and get at once", many_at_once);
    sink_case(s, "1,200 objects are put, listed and removed", many);
    sink_case(s, "list beside puts shows whole objects only", list_meanwhile);
    sink_case(s, "puts and removes in one folder at once", churn);
}
