/* The tar writer and reader against each other, and the reader against damage. */
#include "tar_kit.h"

#include "base/clock.h"
#include <locale.h>

#define MAX_ENTRIES 80

struct list {
    struct bake_entry e[MAX_ENTRIES];
    const char *data[MAX_ENTRIES];
    size_t data_n[MAX_ENTRIES], n;
};

static struct bake_entry *add(struct list *l, uint32_t type, const char *path)
{
    assert_true(l->n < MAX_ENTRIES);
    l->e[l->n] = kit_entry(type, path);
    return &l->e[l->n++];
}

static struct bake_entry *add_file(struct list *l, const char *path, const char *data, size_t n)
{
    struct bake_entry *e = add(l, BAKE_FILE, path);

    e->size = n;
    l->data[l->n - 1] = data;
    l->data_n[l->n - 1] = n;
    return e;
}

static bool str_eq(const char *a, const char *b)
{
    return (a && *a ? 1 : 0) == (b && *b ? 1 : 0) && (!a || !b || strcmp(a, b) == 0);
}

static void same_entry(const struct bake_entry *want, const struct bake_entry *got)
{
    const char *p = want->xattrs, *end = p ? p + want->xattrs_size : NULL;

    assert_string_equal(want->path, got->path);
    assert_int_equal(want->type, got->type);
    assert_true(str_eq(
        want->type == BAKE_SYMLINK || want->type == BAKE_HARDLINK ? want->link : NULL, got->link));
    assert_int_equal(want->mode, got->mode);
    assert_int_equal(want->uid, got->uid);
    assert_int_equal(want->gid, got->gid);
    assert_true(str_eq(want->user, got->user));
    assert_true(str_eq(want->group, got->group));
    assert_int_equal(want->mtime_ns, got->mtime_ns);
    assert_int_equal(want->size, got->size);
    assert_int_equal(want->dev_major, got->dev_major);
    assert_int_equal(want->dev_minor, got->dev_minor);
    assert_int_equal(want->n_extents, got->n_extents);
    assert_int_equal(want->extents != NULL, got->extents != NULL);
    for (size_t i = 0; i < want->n_extents; i++) {
        assert_int_equal(want->extents[i].offset, got->extents[i].offset);
        assert_int_equal(want->extents[i].length, got->extents[i].length);
    }
    assert_int_equal(want->type == BAKE_HARDLINK ? 0 : want->xattrs_size, got->xattrs_size);
    while (want->type != BAKE_HARDLINK && p < end) {
        size_t len = strlen(p) + 1,
               m = (unsigned char)p[len] | (size_t)(unsigned char)p[len + 1] << 8;

        if (!kit_has_xattr(got, p, p + len + 4, m))
            fail_msg("'%s' has lost '%s'", want->path, p);
        p += len + 4 + m;
    }
}

static void write_list(const struct list *l, struct stream *s)
{
    struct bk_tarw *w = kit_writer(s);

    for (size_t i = 0; i < l->n; i++)
        kit_write(w, &l->e[i], l->data[i], l->data_n[i]);
    kit_end(w);
}

static void read_list(const struct list *l, struct stream *s, size_t step)
{
    struct bk_tarr *r = kit_reader(s);
    struct bk_buf data = BK_BUF_INIT;
    struct bake_entry got;
    struct bk_err err = {0};

    for (size_t i = 0; i < l->n; i++) {
        if (bk_tarr_next(r, &got, &err) != BAKE_OK)
            fail_msg("entry %zu, '%.100s': %s", i, l->e[i].path, err.text);
        same_entry(&l->e[i], &got);
        if (step == 0) /* do not read: the next entry must be found all the same */
            continue;
        kit_read(r, &data, step);
        assert_int_equal(data.len, l->data_n[i]);
        if (data.len)
            assert_memory_equal(data.data, l->data[i], data.len);
    }
    assert_int_equal(bk_tarr_next(r, &got, &err), BAKE_END);
    assert_int_equal(s->at, s->b.len);
    bk_tarr_free(r);
    bk_buf_free(&data);
}

/* ---- every kind ------------------------------------------------------------------------------ */

static char long_name[6000], long_mid[700], big[300000], packed[2048], many_links[5000];
static struct bake_extent two[] = {{4096, 100}, {70000, 5000}}, first[] = {{0, 10}},
                          last[] = {{99990, 10}}, none[1], hundred[100];

static void fill_names(void)
{
    memset(long_name, 'n', sizeof(long_name) - 1);
    for (size_t i = 100; i < sizeof(long_name) - 50; i += 101)
        long_name[i] = '/';
    memcpy(long_mid, long_name, sizeof(long_mid) - 1);
    memset(many_links, 'l', sizeof(many_links) - 1);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 + (i >> 8));
    for (size_t i = 0; i < 100; i++)
        hundred[i] = (struct bake_extent){i * 8192 + 4096, 1 + i};
}

static void add_names(struct list *l)
{
    add(l, BAKE_DIR, ".")->mode = 01777;
    add(l, BAKE_DIR, "a");
    add(l, BAKE_DIR, "a/b c")->mode = 02750;
    add_file(l, "a/empty", "", 0);
    add_file(l, "a/small", "hello", 5);
    add_file(l, "a/block", big, 512);
    add_file(l, "a/big", big, sizeof(big));
    add_file(l, "caf\xc3\xa9", "x", 1);
    add_file(l, "bad\xff\xfe\n\x01=%", "x", 1);
    add_file(l, "-leading", "x", 1);
    add_file(l, " blank ", "x", 1);
    add_file(l, long_mid, "long", 4);
    add_file(l, long_name, "longer", 6);
    add(l, BAKE_DIR, long_mid + 1);
    add(l, BAKE_SYMLINK, "s1")->link = "a/small";
    add(l, BAKE_SYMLINK, "s2")->link = "/absolute/../\xff";
    add(l, BAKE_SYMLINK, "s3")->link = many_links;
    add(l, BAKE_SYMLINK, "s4")->link = "./dot/";
    add(l, BAKE_HARDLINK, "h1")->link = "a/small";
    add(l, BAKE_HARDLINK, "h2")->link = long_name;
    add(l, BAKE_HARDLINK, "h3")->link = "bad\xff\xfe\n\x01=%";
    add(l, BAKE_FIFO, "fifo");
}

static void add_devices(struct list *l)
{
    static const uint32_t numbers[][2] = {{1, 3}, {259, 70000}, {4000, 1000000}, {0, 0}};
    static const char *const names[] = {"dev1", "dev2", "dev3", "dev4"};

    for (size_t i = 0; i < 4; i++) {
        struct bake_entry *e = add(l, i % 2 ? BAKE_BLOCKDEV : BAKE_CHARDEV, names[i]);

        e->dev_major = numbers[i][0];
        e->dev_minor = numbers[i][1];
    }
}

static void add_times_and_owners(struct list *l)
{
    static const int64_t times[] = {0,
                                    1,
                                    -1,
                                    -SEC / 2,
                                    -SEC + 1,
                                    -SEC,
                                    -SEC - 1,
                                    -3 * SEC / 2,
                                    -SEC * 2000000000 + 7,
                                    SEC * 4000000000,
                                    SEC * 5000000000 + 999999999,
                                    T0 / SEC * SEC,
                                    1000000000};
    static char names[13][8];
    struct bake_entry *e;

    for (size_t i = 0; i < 13; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "t%u", (unsigned)i);
        add(l, BAKE_FILE, names[i])->mtime_ns = times[i];
    }
    e = add(l, BAKE_FILE, "o1");
    e->uid = 4294967294u;
    e->gid = 2097152;
    e->user = "somebody";
    e->group = "a-group-with-a-name-that-is-longer-than-the-field";
    e = add(l, BAKE_FILE, "o2");
    e->uid = e->gid = 1000;
    e->user = "\xc3\xa9t\xc3\xa9";
    e->group = "g\xff";
    e->mode = 07777;
    add(l, BAKE_FILE, "o3")->mode = 0;
}

static void add_xattrs(struct list *l)
{
    struct bake_entry *e = add(l, BAKE_FILE, "x1");
    size_t n, start;

    e->mode = 0664;
    e->xattrs = packed;
    n = kit_pack(packed, 0, "security.capability", kit_caps, sizeof(kit_caps));
    n = kit_pack(packed, n, "system.posix_acl_access", kit_acl, sizeof(kit_acl) - 1);
    n = kit_pack(packed, n, "user.empty", "", 0);
    n = kit_pack(packed, n, "user.binary", "\0\n=\xff%", 5);
    e->xattrs_size = n;
    e->mode = 04660;
    start = n;
    n = kit_pack(packed, n, "user.odd \xc3\xa9\xff%=\n%41", "v", 1);
    n = kit_pack(packed, n, "user.%25", "w", 1);
    e = add(l, BAKE_FILE, "x2");
    e->xattrs = packed + start;
    e->xattrs_size = n - start;
    start = n;
    n = kit_pack(packed, n, "system.posix_acl_default", kit_dir_acl, sizeof(kit_dir_acl) - 1);
    n = kit_pack(packed, n, "system.posix_acl_access", kit_dir_acl, sizeof(kit_dir_acl) - 1);
    e = add(l, BAKE_DIR, "x3");
    e->mode = 0775;
    e->xattrs = packed + start;
    e->xattrs_size = n - start;
    start = n;
    n = kit_pack(packed, n, "trusted.link", "t", 1);
    e = add(l, BAKE_SYMLINK, "x4");
    e->link = "x1";
    e->xattrs = packed + start;
    e->xattrs_size = n - start;
    start = n;
    n = kit_pack(packed, n, "system.posix_acl_access", "not an ACL", 10);
    e = add_file(l, "x5", "kept as bytes", 13);
    e->xattrs = packed + start;
    e->xattrs_size = n - start;
    assert_true(n < sizeof(packed));
}

static void add_sparse(struct list *l, const char *path, uint64_t size, struct bake_extent *x,
                       size_t n)
{
    struct bake_entry *e = add_file(l, path, big, 0);

    e->size = size;
    e->extents = x;
    e->n_extents = n;
    for (size_t i = 0; i < n; i++)
        l->data_n[l->n - 1] += x[i].length;
}

static void add_holes(struct list *l)
{
    add_sparse(l, "sp1", 100000, two, 2);
    add_sparse(l, "sp2", 100000, first, 1);
    add_sparse(l, "sp3", 100000, last, 1);
    add_sparse(l, "sp4", 100000, none, 0);
    add_sparse(l, "sp5", 1, none, 0);
    add_sparse(l, "sp6", 900000, hundred, 100);
    add_sparse(l, long_name, 100000, two, 2);
    add_sparse(l, long_mid, 20ull << 30, two, 2);
    add_sparse(l, "\xff sparse", 9ull << 30, none, 0);
    add_file(l, "after", "holes", 5);
}

static void everything(struct list *l)
{
    fill_names();
    add_names(l);
    add_devices(l);
    add_times_and_owners(l);
    add_xattrs(l);
    add_holes(l);
}

static void test_round_trip(void **state)
{
    static const size_t pulls[] = {0, 512, 1000, 10240, 7};
    static const size_t reads[] = {4096, 1, 0, 333, 4096};
    struct stream s = {.step = 0};
    struct list l = {.n = 0};

    (void)state;
    everything(&l);
    write_list(&l, &s);
    assert_int_equal(s.b.len % 512, 0);
    for (size_t i = 0; i < BK_LEN(pulls); i++) {
        s.step = pulls[i];
        read_list(&l, &s, reads[i]);
    }
    bk_buf_free(&s.b);
}

/* The same bytes whatever the locale, and each time. */
static void test_any_locale(void **state)
{
    struct stream s = {.step = 0}, other = {.step = 0};
    struct list l = {.n = 0};

    (void)state;
    everything(&l);
    write_list(&l, &s);
    assert_non_null(setlocale(LC_CTYPE, "C"));
    write_list(&l, &other);
    assert_int_equal(s.b.len, other.b.len);
    assert_memory_equal(s.b.data, other.b.data, s.b.len);
    read_list(&l, &s, 4096);
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    bk_buf_free(&s.b);
    bk_buf_free(&other.b);
}

static void test_nothing(void **state)
{
    struct stream s = {.step = 0};
    struct list l = {.n = 0};

    (void)state;
    write_list(&l, &s);
    assert_int_equal(s.b.len, 1024);
    read_list(&l, &s, 1);
    bk_buf_free(&s.b);
}

/* ---- large ----------------------------------------------------------------------------------- */

static int count_emit(void *arg, const void *data, size_t n)
{
    (void)data;
    *(uint64_t *)arg += n;
    return 0;
}

static void test_large(void **state)
{
    struct bake_entry e = kit_entry(BAKE_FILE, "large");
    uint64_t total = 0, started;
    struct bk_tarw *w = NULL;
    struct bk_err err = {0};

    (void)state;
    fill_names();
    assert_int_equal(bk_tarw_new(count_emit, &total, &w, &err), BAKE_OK);
    e.size = 9ull << 30; /* over what the classic header holds */
    assert_int_equal(bk_tarw_entry(w, &e, &err), BAKE_OK);
    for (uint64_t done = 0; done < e.size; done += 1u << 18)
        assert_int_equal(bk_tarw_data(w, big, 1u << 18, &err), BAKE_OK);
    assert_int_equal(bk_tarw_end_entry(w, &err), BAKE_OK);
    kit_end(w);
    assert_true(total > e.size && total < e.size + 8192);
    total = 0;
    started = bk_monotonic_ms();
    assert_int_equal(bk_tarw_new(count_emit, &total, &w, &err), BAKE_OK);
    e.size = 20ull << 30;
    e.extents = two;
    e.n_extents = 2;
    kit_write(w, &e, big, 5100);
    kit_end(w);
    assert_true(total < 16384);
    assert_true(bk_monotonic_ms() - started < 2000); /* some ms, but for sanitizers */
}

/* ---- the writer's rules ---------------------------------------------------------------------- */

static void test_writer_order(void **state)
{
    struct stream s = {.step = 0};
    struct bk_tarw *w = kit_writer(&s);
    struct bake_entry e = kit_entry(BAKE_FILE, "f"), bad;
    struct bake_extent twice[] = {{0, 3}, {2, 1}};
    struct bk_err err = {0};

    (void)state;
    e.size = 4;
    assert_int_equal(bk_tarw_end_entry(w, &err), BAKE_E_INTERNAL);
    assert_int_equal(bk_tarw_data(w, "x", 1, &err), BAKE_E_INTERNAL);
    bad = e;
    bad.type = 99;
    assert_int_equal(bk_tarw_entry(w, &bad, &err), BAKE_E_UNSUPPORTED);
    bad = e;
    bad.path = "";
    assert_int_equal(bk_tarw_entry(w, &bad, &err), BAKE_E_UNSUPPORTED);
    bad = kit_entry(BAKE_SYMLINK, "s");
    assert_int_equal(bk_tarw_entry(w, &bad, &err), BAKE_E_UNSUPPORTED);
    bad = e;
    bad.extents = twice;
    bad.n_extents = 2;
    assert_int_equal(bk_tarw_entry(w, &bad, &err), BAKE_E_UNSUPPORTED);
    bad = e;
    bad.xattrs = "user.a\0\377\0\0\0v";
    bad.xattrs_size = 12;
    assert_int_equal(bk_tarw_entry(w, &bad, &err), BAKE_E_UNSUPPORTED);
    assert_int_equal(s.b.len, 0); /* nothing of them was written */
    assert_int_equal(bk_tarw_entry(w, &e, &err), BAKE_OK);
    assert_int_equal(bk_tarw_entry(w, &e, &err), BAKE_E_INTERNAL);
    assert_int_equal(bk_tarw_data(w, "123", 3, &err), BAKE_OK);
    assert_int_equal(bk_tarw_end_entry(w, &err), BAKE_E_INTERNAL);
    assert_int_equal(bk_tarw_finish(w, &err), BAKE_E_INTERNAL);
    assert_int_equal(bk_tarw_data(w, "45", 2, &err), BAKE_E_INTERNAL);
    bk_tarw_free(w);
    bk_buf_free(&s.b);
}

static void test_emit_stops(void **state)
{
    struct stream s = {.stop_at = 200000};
    struct bk_tarw *w = kit_writer(&s);
    struct bake_entry e = kit_entry(BAKE_FILE, "f");
    struct bk_err err = {0};
    int rc;

    (void)state;
    fill_names();
    e.size = sizeof(big);
    do {
        rc = bk_tarw_entry(w, &e, &err);
        if (rc == BAKE_OK)
            rc = bk_tarw_data(w, big, sizeof(big), &err);
        if (rc == BAKE_OK)
            rc = bk_tarw_end_entry(w, &err);
    } while (rc == BAKE_OK);
    assert_int_equal(rc, BAKE_E_CANCELLED);
    assert_int_equal(err.rc, 0); /* the reason is emit()'s to give */
    assert_int_equal(bk_tarw_entry(w, &e, &err), BAKE_E_CANCELLED);
    assert_int_equal(bk_tarw_finish(w, &err), BAKE_E_CANCELLED);
    bk_tarw_free(w);
    assert_true(s.b.len <= 200000);
    bk_buf_free(&s.b);
}

static void test_few_pieces(void **state)
{
    struct stream s = {.step = 0};
    struct bk_tarw *w = kit_writer(&s);
    struct bake_entry e = kit_entry(BAKE_FILE, "f");

    (void)state;
    for (int i = 0; i < 10000; i++)
        kit_write(w, &e, NULL, 0);
    kit_end(w);
    assert_true(s.emits <= s.b.len / 100000 + 1);
    bk_buf_free(&s.b);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static int read_all(struct stream *s, struct bk_err *err)
{
    struct bk_tarr *r = kit_reader(s);
    struct bake_entry e;
    char buf[8192];
    int rc;

    while ((rc = bk_tarr_next(r, &e, err)) == BAKE_OK) {
        struct bake_out out = {buf, sizeof(buf), 0};

        while ((rc = bk_tarr_read(r, &out, err)) == BAKE_OK)
            out.pos = 0;
        if (rc < 0)
            break;
    }
    bk_tarr_free(r);
    return rc;
}

static void small_stream(struct stream *s)
{
    struct list l = {.n = 0};

    fill_names();
    add(&l, BAKE_DIR, "d");
    add_file(&l, "d/f", big, 5000);
    add_file(&l, "d/zeros", packed + 1024, 1024); /* ends as an end mark looks */
    add_sparse(&l, "d/s", 100000, two, 2);
    add_xattrs(&l);
    write_list(&l, s);
}

/* Cut anywhere: never taken for whole. */
static void test_cut(void **state)
{
    struct stream s = {.step = 0};
    size_t n;

    (void)state;
    small_stream(&s);
    n = s.b.len;
    for (s.b.len = 0; s.b.len < n - 1024; s.b.len += s.b.len % 512 == 511 ? 1 : 511) {
        struct bk_err err = {0};

        if (read_all(&s, &err) != BAKE_E_CORRUPT)
            fail_msg("cut at %zu of %zu: not found", s.b.len, n);
        assert_true(err.text[0] != '\0');
    }
    s.b.len = n;
    assert_int_equal(read_all(&s, NULL), BAKE_END);
    bk_buf_free(&s.b);
}

static void test_bad_header(void **state)
{
    struct stream s = {.step = 0};
    struct bk_err err = {0};
    char *f;

    (void)state;
    small_stream(&s);
    f = memmem(s.b.data, s.b.len, "d/f", 4);
    assert_non_null(f);
    f[2] = 'g'; /* the sum is wrong now */
    assert_int_equal(read_all(&s, &err), BAKE_E_CORRUPT);
    assert_non_null(strstr(err.text, "damaged at or after 'd'"));
    bk_buf_clear(&s.b);
    assert_int_equal(bk_buf_add(&s.b, big, sizeof(big)), 0);
    assert_int_equal(read_all(&s, &err), BAKE_E_CORRUPT);
    assert_non_null(strstr(err.text, "at its start"));
    bk_buf_free(&s.b);
}

static int broken_pull(void *arg, const void **data, size_t *n)
{
    struct stream *s = arg;

    return s->at > 3000 ? BAKE_E_KEY : stream_pull(arg, data, n);
}

static void test_pull_fails(void **state)
{
    struct stream s = {.step = 600};
    struct bk_tarr *r = NULL;
    struct bake_entry e;
    struct bk_err err = {0};
    int rc;

    (void)state;
    small_stream(&s);
    assert_int_equal(bk_tarr_new(broken_pull, &s, &r, &err), BAKE_OK);
    while ((rc = bk_tarr_next(r, &e, &err)) == BAKE_OK)
        ;
    assert_int_equal(rc, BAKE_E_KEY);
    assert_int_equal(err.rc, 0);
    assert_int_equal(bk_tarr_next(r, &e, &err), BAKE_E_KEY);
    bk_tarr_free(r);
    s.at = 4000; /* fails at once */
    r = NULL;
    rc = bk_tarr_new(broken_pull, &s, &r, &err);
    if (rc == BAKE_OK)
        rc = bk_tarr_next(r, &e, &err);
    assert_int_equal(rc, BAKE_E_KEY);
    bk_tarr_free(r);
    bk_buf_free(&s.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_any_locale),
        cmocka_unit_test(test_nothing),      cmocka_unit_test(test_large),
        cmocka_unit_test(test_writer_order), cmocka_unit_test(test_emit_stops),
        cmocka_unit_test(test_few_pieces),   cmocka_unit_test(test_cut),
        cmocka_unit_test(test_bad_header),   cmocka_unit_test(test_pull_fails),
    };
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests_name("tar", tests, NULL, NULL);
}
