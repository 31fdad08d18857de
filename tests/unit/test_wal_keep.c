/* run/wal_keep: what prune takes, by whose clock, and which backup restore --at rolls on from. */
#include "storekit.h"

#include "base/clock.h"
#include "run/prune.h"
#include "run/wal_keep.h"

#include <string.h>

#define HOUR (INT64_C(3600) * 1000000000)
#define S    INT64_C(1000000000)

struct fix {
    struct kit k;
    struct bk_session s;
    struct bk_reporter reporter;
    struct bk_wal_pruned counts;
    size_t events;
    char last[1600]; /* the last event's text */
};

static void on_event(void *arg, const char *type, const json_t *event)
{
    struct fix *f = arg;
    const char *text = json_string_value(json_object_get(event, "text"));

    (void)type;
    f->events++;
    (void)snprintf(f->last, sizeof(f->last), "%s", text ? text : "");
}

static int setup(void **state)
{
    struct fix *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    kit_init(&f->k, 1, 1);
    kit_must_open(&f->k);
    bk_reporter_init(&f->reporter, on_event, f, 0);
    f->s.store = f->k.store;
    f->s.cancel = f->k.cancel;
    f->s.reporter = &f->reporter;
    f->s.pipeline = &f->k.pipeline;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    bk_reporter_release(&f->reporter);
    kit_release(&f->k);
    free(f);
    return 0;
}

/* A backup whose component needs the stream's logs from there on. */
static struct bk_manifest *base(const char *id, int64_t start_ns, const char *stream,
                                const char *from, const char *end)
{
    struct bk_manifest *m = kit_manifest(id, "any", "host", start_ns, 1);

    m->comps[0].facts =
        json_pack("{s:{s:s,s:s,s:s}}", "wal", "stream", stream, "from", from, "end", end);
    assert_non_null(m->comps[0].facts);
    return m;
}

static void put_base(struct fix *f, const char *id, const char *stream, const char *from)
{
    struct bk_manifest *m = base(id, S, stream, from, "2025-11-05T12:00:00Z");

    kit_put_manifest(&f->k.ms[0], m);
    bk_manifest_free(m);
}

static void put_log(struct fix *f, const char *name, int64_t hours)
{
    ms_set(&f->k.ms[0], name, "0123456789", 10);
    ms_set_time(&f->k.ms[0], name, f->k.ms[0].clock_ns - hours * HOUR);
}

static int prune(struct fix *f, struct bk_lease *lease, const struct bk_strv *without)
{
    memset(&f->counts, 0, sizeof(f->counts));
    bk_err_clear(&f->k.err);
    return bk_wal_prune(&f->s, &f->k.store->sinks[0], lease, without, false, &f->counts, &f->k.err);
}

static void by_the_sinks_clock(void **state)
{
    struct fix *f = *state;
    struct memsink *ms = &f->k.ms[0];
    struct bk_lease *lease;

    ms->clock_ns = bk_now_ns() - 5000 * HOUR; /* this host's clock is of no importance */
    put_log(f, "wal/s/x.000001", 30);
    put_log(f, "wal/s/x.000002", 20);
    put_log(f, "wal/s/x.000003", 30);
    put_base(f, "a", "s", "x.000003");
    assert_int_equal(bk_lease_take(&f->k.store->sinks[0], "host", &lease, &f->k.err), 0);
    assert_int_equal(prune(f, lease, NULL), 0);
    assert_int_equal(f->counts.logs, 1);
    assert_int_equal(f->counts.bytes, 10);
    assert_null(ms_find(ms, "wal/s/x.000001"));
    assert_int_equal(ms_count(ms, "wal/"), 2);
    ms->clock_ns += 10 * HOUR;
    assert_int_equal(prune(f, lease, NULL), 0);
    assert_int_equal(ms_count(ms, "wal/"), 1);
    /* No lease any more: nothing may be removed. */
    put_log(f, "wal/s/x.000001", 30);
    ms_drop(ms, "gc/lease");
    bk_lease_release(lease);
    assert_int_equal(prune(f, NULL, NULL), 0); /* counts alone */
    assert_int_equal(ms_count(ms, "wal/"), 2);
}

static void what_stays(void **state)
{
    static const char *const stay[] = {"wal/7/00000001/00000002.history",
                                       "wal/7/00000002/00000002.history",
                                       "wal/7/00000001/000000010000000000000005",
                                       "wal/7/00000003/000000030000000000000005.partial",
                                       "wal/7/strange",
                                       "wal/none/000000010000000000000001"};
    static const char *const go[] = {"wal/7/00000001/000000010000000000000004",
                                     "wal/7/00000002/000000020000000000000004",
                                     "wal/7/00000001/000000010000000000000004.00000028.backup"};
    struct fix *f = *state;

    f->k.ms[0].clock_ns = bk_now_ns();
    for (size_t i = 0; i < sizeof(stay) / sizeof(stay[0]); i++)
        put_log(f, stay[i], 48);
    for (size_t i = 0; i < sizeof(go) / sizeof(go[0]); i++)
        put_log(f, go[i], 48);
    assert_int_equal(prune(f, NULL, NULL), 0); /* without any base backup nothing goes */
    assert_int_equal(f->counts.logs, 0);
    put_base(f, "a", "7", "00000001/000000010000000000000005");
    put_base(f, "b", "7", "00000002/000000020000000000000009");
    f->events = 0;
    assert_int_equal(prune(f, NULL, NULL), 0);
    assert_int_equal(f->counts.logs, 3);
    assert_int_equal(f->events, 1);
    assert_non_null(strstr(f->last, "no backup in this sink needs these logs"));
    {
        struct bk_strv without = {0};

        assert_int_equal(bk_strv_add(&without, "a"), 0);
        assert_int_equal(prune(f, NULL, &without), 0); /* as if it were gone */
        assert_int_equal(f->counts.logs, 5);
        assert_int_equal(bk_strv_add(&without, "b"), 0);
        assert_int_equal(prune(f, NULL, &without), 0);
        assert_int_equal(f->counts.logs, 0);
        bk_strv_free(&without);
    }
    ms_set(&f->k.ms[0], "backups/c/manifest.json", "{}", 2); /* it may need any */
    assert_int_equal(prune(f, NULL, NULL), 0);
    assert_int_equal(f->counts.logs, 0);
    assert_non_null(strstr(f->last, "its manifest cannot be read"));
}

static void faults(void **state)
{
    struct fix *f = *state;
    struct bk_lease *lease;

    f->k.ms[0].clock_ns = bk_now_ns();
    put_log(f, "wal/s/x.000001", 48);
    put_log(f, "wal/s/x.000002", 48);
    put_base(f, "a", "s", "x.000009");
    assert_int_equal(bk_lease_take(&f->k.store->sinks[0], "host", &lease, &f->k.err), 0);
    ms_fault(&f->k.ms[0], MS_REMOVE, "wal/s/x.000001", 0, 0, BAKE_E_IO);
    assert_int_equal(prune(f, lease, NULL), BAKE_E_IO);
    assert_int_equal(ms_count(&f->k.ms[0], "wal/"), 2); /* no gap: the oldest goes first */
    ms_fault(&f->k.ms[0], MS_LIST, "wal/", 0, 0, BAKE_E_AUTH);
    assert_int_equal(prune(f, lease, NULL), BAKE_E_AUTH);
    ms_heal(&f->k.ms[0]);
    bk_cancel_fire(f->k.cancel);
    assert_int_equal(prune(f, lease, NULL), BAKE_E_CANCELLED);
    bk_lease_release(lease);
}

/* ---- restore --at ---------------------------------------------------------------------------- */

struct choice {
    struct bk_backup backups[4];
    struct bk_catalog c;
};

static void choice_add(struct choice *c, struct bk_manifest *m, bool good)
{
    c->backups[c->c.n++] = (struct bk_backup){.id = m->id, .manifest = m, .good = good};
    c->c.backups = c->backups;
}

static const char *found(struct choice *c, const struct bk_restore_opts *opts)
{
    const struct bk_backup *b = NULL;
    struct bk_err err = {0};
    int rc = bk_wal_find(&c->c, opts, &b, &err);

    if (rc == BAKE_END)
        return "any";
    return rc < 0 ? (rc == BK_E_NOSTORE ? "none" : "?") : b->id;
}

static void rolls_on_from(void **state)
{
    struct bk_restore_opts opts = {.id = "latest"};
    struct choice c = {.c = {.n = 0}};

    (void)state;
    choice_add(&c, base("a", 10 * S, "s", "x.1", "1970-01-01T00:00:20Z"), true);
    choice_add(&c, base("b", 30 * S, "s", "x.2", "1970-01-01T00:00:40Z"), false);
    choice_add(&c, base("c", 50 * S, "s", "x.3", "1970-01-01T00:01:00Z"), true);
    assert_string_equal(found(&c, &opts), "any"); /* without a time */
    opts.at_ns = 100 * S;
    assert_string_equal(found(&c, &opts), "c");
    opts.at_ns = 60 * S;
    assert_string_equal(found(&c, &opts), "c");
    opts.at_ns = 59 * S; /* the newest was under way; the one before is not good */
    assert_string_equal(found(&c, &opts), "a");
    opts.at_ns = 19 * S;
    assert_string_equal(found(&c, &opts), "none");
    opts.at_ns = 5 * S;
    assert_string_equal(found(&c, &opts), "any"); /* whose message is "from then or before" */
    opts.at_ns = 59 * S;
    assert_int_equal(bk_strv_add(&opts.components, "other"), 0);
    assert_string_equal(found(&c, &opts), "any"); /* what is chosen needs no logs */
    assert_int_equal(bk_strv_add(&opts.components, "c*"), 0);
    assert_string_equal(found(&c, &opts), "a");
    opts.id = "b";
    assert_string_equal(found(&c, &opts), "any"); /* it was asked for by name */
    bk_strv_free(&opts.components);
    for (size_t i = 0; i < c.c.n; i++)
        bk_manifest_free(c.backups[i].manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_the_sinks_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(faults, setup, teardown),
        cmocka_unit_test(rolls_on_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
