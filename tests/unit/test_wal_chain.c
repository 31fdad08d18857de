/* run/wal_chain: which logs are needed, what is older, and gaps over timelines. */
#include "storekit.h"

#include "base/clock.h"
#include "run/wal_chain.h"
#include "run/wal_name.h"

#include <string.h>

#define S INT64_C(1000000000)

struct fix {
    struct bk_wal_log logs[64];
    size_t n;
    struct bk_backup backups[8];
    struct bk_wal_base bases[8];
    struct bk_wal_bases all;
    struct bk_wal_parent parents[8];
    size_t n_parents;
    struct bk_wal_gap gaps[16];
    size_t n_gaps;
};

static char *text(const char *s) { return (char *)(uintptr_t)s; }

static void log_at(struct fix *f, const char *name, int64_t seconds)
{
    f->logs[f->n++] = (struct bk_wal_log){text("s"), text(name), 1, seconds * S};
}

static void base_at(struct fix *f, const char *from, int64_t end)
{
    struct bk_wal_need need = {.stream = "s", .from = from, .end_ns = end * S};

    f->bases[f->all.n].backup = &f->backups[f->all.n];
    f->bases[f->all.n++].need = need;
    f->all.items = f->bases;
}

static int keep(void *arg, const struct bk_wal_gap *gap, struct bk_err *err)
{
    struct fix *f = arg;

    (void)err;
    assert_true(f->n_gaps < 16);
    f->gaps[f->n_gaps++] = *gap;
    return 0;
}

static void look(struct fix *f)
{
    struct bk_wal_stream w = {"s", f->logs, f->n, &f->all, f->parents, f->n_parents};
    struct bk_err err = {0};

    f->n_gaps = 0;
    assert_int_equal(bk_wal_gaps(&w, keep, f, &err), 0);
}

static void gap_is(struct fix *f, size_t i, const char *first, uint64_t n, int64_t after,
                   int64_t until)
{
    assert_true(i < f->n_gaps);
    assert_string_equal(f->gaps[i].first, first);
    assert_int_equal(f->gaps[i].n, n);
    assert_int_equal(f->gaps[i].after_ns / S, after);
    assert_int_equal(f->gaps[i].until_ns / S, until);
}

#define P(t, n) "0000000" #t "/0000000" #t "00000000000000" #n
#define H(t)    "0000000" #t "/0000000" #t ".history"

static void older(void **state)
{
    (void)state;
    assert_true(bk_wal_is_older(P(1, 05), P(1, 06)));
    assert_false(bk_wal_is_older(P(1, 06), P(1, 06)));
    assert_true(bk_wal_is_older(P(3, 05), P(1, 06))); /* timelines aside */
    assert_true(
        bk_wal_is_older("00000001/0000000100000000000000FF", "00000001/000000010000000100000000"));
    assert_false(bk_wal_is_older(H(2), P(3, 06)));
    assert_true(bk_wal_is_older(P(1, 05) ".partial", P(1, 06)));
    assert_true(bk_wal_is_older(P(1, 05) ".00000028.backup", P(1, 06)));
    assert_false(bk_wal_is_older(P(1, 06) ".00000028.backup", P(1, 06)));
    assert_true(bk_wal_is_older("binlog.000009", "binlog.000010"));
    assert_true(bk_wal_is_older("binlog.999999", "binlog.1000000"));
    assert_false(bk_wal_is_older("binlog.1000000", "binlog.999999"));
    /* A server whose logs got another name: nobody knows which are older. */
    assert_false(bk_wal_is_older("binlog.000001", "mysql-bin.000009"));
    assert_false(bk_wal_is_older("binlog.000001", P(1, 06)));
    assert_false(bk_wal_is_older(P(1, 01), "binlog.000009"));
    assert_false(bk_wal_is_older("binlog.index", "binlog.000009"));
}

static void plain(void **state)
{
    struct fix f = {.n = 0};

    (void)state;
    look(&f);
    assert_int_equal(f.n_gaps, 0);
    base_at(&f, P(1, 03), 30);
    look(&f); /* no archive: no gap */
    assert_int_equal(f.n_gaps, 0);
    log_at(&f, P(1, 01), 10);
    look(&f); /* it did not get that far yet */
    assert_int_equal(f.n_gaps, 0);
    log_at(&f, P(1, 03), 31);
    log_at(&f, P(1, 04), 32);
    look(&f);
    assert_int_equal(f.n_gaps, 0);
    log_at(&f, P(1, 07), 36);
    log_at(&f, P(1, 09), 38);
    look(&f);
    assert_int_equal(f.n_gaps, 2);
    gap_is(&f, 0, P(1, 05), 2, 32, 0);
    gap_is(&f, 1, P(1, 08), 1, 36, 0);
    base_at(&f, P(1, 06), 60); /* in the midst of the first gap */
    base_at(&f, P(1, 09), 90);
    look(&f);
    assert_int_equal(f.n_gaps, 2); /* each is said once */
    gap_is(&f, 0, P(1, 05), 2, 32, 90);
    gap_is(&f, 1, P(1, 08), 1, 36, 90);
}

static void first_is_missing(void **state)
{
    struct fix f = {.n = 0};

    (void)state;
    base_at(&f, P(1, 03), 30);
    log_at(&f, P(1, 05), 50);
    look(&f);
    assert_int_equal(f.n_gaps, 1);
    gap_is(&f, 0, P(1, 03), 2, 30, 0);
    f.bases[0].need.stream = "another";
    look(&f);
    assert_int_equal(f.n_gaps, 0);
}

static void log_border(void **state)
{
    struct fix f = {.n = 0};

    (void)state;
    base_at(&f, "00000001/0000000100000000000000FE", 1);
    log_at(&f, "00000001/0000000100000000000000FE", 1);
    log_at(&f, "00000001/0000000100000000000000FF", 2);
    log_at(&f, "00000001/000000010000000100000000", 3);
    look(&f);
    assert_int_equal(f.n_gaps, 0);
    f.bases[0].need.segment_size = UINT64_C(1) << 20; /* 4096 to a log */
    look(&f);
    assert_int_equal(f.n_gaps, 1);
    gap_is(&f, 0, "00000001/000000010000000000000100", 3840, 2, 0);
}

/* 1 was left within segment 5. What was written on 1 later does not count for the newest. */
static void timelines(void **state)
{
    struct fix f = {.n = 0};

    (void)state;
    f.parents[0] = (struct bk_wal_parent){2, 1, (UINT64_C(5) << 24) + 100};
    f.n_parents = 1;
    base_at(&f, P(1, 03), 30);
    log_at(&f, P(1, 03), 31);
    log_at(&f, P(1, 04), 32);
    log_at(&f, P(1, 05) ".partial", 33);
    log_at(&f, P(1, 09), 39);
    log_at(&f, H(2), 40);
    look(&f); /* nothing on 2 yet: on 1 there is a gap */
    assert_int_equal(f.n_gaps, 1);
    gap_is(&f, 0, P(1, 05), 4, 32, 0);
    log_at(&f, P(2, 05), 41);
    log_at(&f, P(2, 06), 42);
    look(&f);
    assert_int_equal(f.n_gaps, 0);
    f.logs[5].name = text(P(2, 07)); /* the switch itself is missing */
    look(&f);
    assert_int_equal(f.n_gaps, 1);
    gap_is(&f, 0, P(2, 05), 1, 32, 0);
    f.logs[1].name = text(P(1, 02)); /* the last of the old one too */
    look(&f);
    assert_int_equal(f.n_gaps, 1);
    gap_is(&f, 0, P(1, 04), 2, 31, 0);
}

static void twice_switched(void **state)
{
    struct fix f = {.n = 0};

    (void)state;
    f.parents[0] = (struct bk_wal_parent){2, 1, UINT64_C(5) << 24};
    f.parents[1] = (struct bk_wal_parent){4, 2, (UINT64_C(6) << 24) + 1};
    f.parents[2] = (struct bk_wal_parent){3, 1, UINT64_C(5) << 24}; /* a try that went nowhere */
    f.n_parents = 3;
    base_at(&f, P(1, 04), 30);
    base_at(&f, P(2, 05), 50);
    log_at(&f, P(1, 04), 31);
    log_at(&f, P(2, 05), 32);
    log_at(&f, P(3, 05), 33);
    log_at(&f, P(4, 06), 34);
    log_at(&f, P(4, 07), 35);
    look(&f);
    assert_int_equal(f.n_gaps, 0);
    f.logs[4].name = text(P(4, 08));
    look(&f);
    assert_int_equal(f.n_gaps, 1);
    gap_is(&f, 0, P(4, 07), 1, 34, 0);
    f.parents[1].parent = 4; /* damaged: its own parent */
    look(&f);
    assert_int_equal(f.n_gaps, 0);
}

static void binlogs(void **state)
{
    struct fix f = {.n = 0};

    (void)state;
    base_at(&f, "binlog.000008", 8);
    log_at(&f, "binlog.000007", 7);
    log_at(&f, "binlog.000008", 8);
    log_at(&f, "binlog.000010", 10);
    log_at(&f, "other.000020", 20);
    look(&f);
    assert_int_equal(f.n_gaps, 1);
    gap_is(&f, 0, "binlog.000009", 1, 8, 0);
    base_at(&f, "other.000021", 30);
    look(&f);
    assert_int_equal(f.n_gaps, 1);
    base_at(&f, "strange", 30);
    look(&f);
    assert_int_equal(f.n_gaps, 1);
}

static void bases(void **state)
{
    struct bk_manifest *a = kit_manifest("a", "nightly", "h", 1, 2);
    struct bk_manifest *b = kit_manifest("b", "nightly", "h", 2, 1);
    struct bk_backup backups[3] = {
        {.id = text("a"), .manifest = a}, {.id = text("x")}, {.id = text("b"), .manifest = b}};
    struct bk_catalog c = {.backups = backups, .n = 3};
    struct bk_strv without = {0};
    struct bk_wal_bases l;
    struct bk_err err = {0};

    (void)state;
    a->comps[1].facts = json_pack("{s:{s:s,s:s}}", "wal", "stream", "s", "from", P(1, 03));
    b->comps[0].facts = json_pack("{s:{s:s,s:s}}", "wal", "stream", "t", "from", "binlog.000001");
    assert_int_equal(bk_wal_bases_make(&c, NULL, &l, &err), 0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.items[0].need.from, P(1, 03));
    assert_true(l.items[0].need.end_ns == a->end_ns);
    assert_true(bk_wal_bases_name(&l, "t"));
    assert_false(bk_wal_bases_name(&l, "u"));
    bk_wal_bases_release(&l);
    assert_int_equal(bk_strv_add(&without, "b"), 0);
    assert_int_equal(bk_wal_bases_make(&c, &without, &l, &err), 0);
    assert_int_equal(l.n, 1);
    bk_wal_bases_release(&l);
    bk_strv_free(&without);
    bk_manifest_free(a);
    bk_manifest_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older),
        cmocka_unit_test(plain),
        cmocka_unit_test(first_is_missing),
        cmocka_unit_test(log_border),
        cmocka_unit_test(timelines),
        cmocka_unit_test(twice_switched),
        cmocka_unit_test(binlogs),
        cmocka_unit_test(bases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
