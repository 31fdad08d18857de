/* store/wal: names, the header, putting, getting, listing. */
#include "walkit.h"

static int setup(void **state)
{
    struct wk *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    wk_init(w, 2, 1);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    wk_release(*state);
    free(*state);
    return 0;
}

static void names(void **state)
{
    char object[BK_WAL_NAME_CAP], wide[102];
    struct bk_err err = {0};

    (void)state;
    memset(wide, 'a', 101);
    wide[101] = '\0';
    assert_int_equal(bk_wal_object("7-a_b.c", "x/y", object, &err), 0);
    assert_string_equal(object, "wal/7-a_b.c/x/y");
    assert_true(bk_wal_name_ok("binlog.000012"));
    assert_false(bk_wal_name_ok("a/b/c"));
    assert_false(bk_wal_name_ok("../x"));
    assert_false(bk_wal_name_ok("a/.."));
    assert_false(bk_wal_name_ok("a/"));
    assert_false(bk_wal_name_ok("/a"));
    assert_false(bk_wal_name_ok(""));
    assert_false(bk_wal_name_ok("a b"));
    assert_false(bk_wal_name_ok(wide));
    assert_true(bk_wal_name_ok(wide + 1));
    assert_false(bk_wal_stream_ok("a/b"));
    assert_false(bk_wal_stream_ok(".a"));
    assert_false(bk_wal_stream_ok(""));
    assert_int_equal(bk_wal_object("a/b", "x", object, &err), BK_E_USAGE);
    assert_int_equal(bk_wal_object("a", "x\n", object, &err), BK_E_USAGE);
    assert_non_null(strstr(err.text, "'x\\x0a' cannot be the name of a log"));
    memset(wide, 'a', 100);
    wide[100] = '\0';
    {
        char two[210];

        (void)snprintf(two, sizeof(two), "%s/%s", wide, wide);
        assert_true(bk_wal_name_ok(two));
        assert_int_equal(bk_wal_object(wide, two, object, &err), BK_E_USAGE);
    }
}

static void header(void **state)
{
    struct bk_strv names_in = {0};
    struct bk_buf b = BK_BUF_INIT;
    struct bk_wal_head head;
    struct bk_err err = {0};

    (void)state;
    assert_int_equal(bk_strv_add(&names_in, "zstd"), 0);
    assert_int_equal(bk_strv_add(&names_in, "age"), 0);
    bk_wal_head_write(&names_in, &b);
    assert_memory_equal(b.data, "BAKEWAL1", 8);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(bk_wal_head_parse(b.data, n, &head, &err), BAKE_END);
    assert_int_equal(bk_wal_head_parse(b.data, b.len, &head, &err), 0);
    assert_int_equal(head.size, b.len);
    assert_int_equal(head.transforms.n, 2);
    assert_string_equal(head.transforms.items[1], "age");
    bk_strv_free(&head.transforms);
    b.data[8]++; /* the version */
    assert_int_equal(bk_wal_head_parse(b.data, b.len, &head, &err), BAKE_E_UNSUPPORTED);
    b.data[8]--;
    b.data[16]++; /* more names than there are */
    assert_int_equal(bk_wal_head_parse(b.data, b.len, &head, &err), BAKE_E_CORRUPT);
    b.data[16] -= 2; /* fewer */
    assert_int_equal(bk_wal_head_parse(b.data, b.len, &head, &err), BAKE_E_CORRUPT);
    b.data[16]++;
    b.data[14] = 1; /* 64 KiB of header */
    assert_int_equal(bk_wal_head_parse(b.data, b.len, &head, &err), BAKE_E_CORRUPT);
    b.data[0] = 'b';
    assert_int_equal(bk_wal_head_parse(b.data, 3, &head, &err), BAKE_E_CORRUPT);
    bk_buf_free(&b);
    bk_strv_free(&names_in);
}

static void roundtrip(void **state)
{
    struct wk *w = *state;
    uint64_t bytes = 0;

    wk_must_put(w);
    assert_non_null(ms_find(&w->k.ms[0], OBJECT));
    assert_non_null(ms_find(&w->k.ms[1], OBJECT));
    assert_memory_equal(ms_find(&w->k.ms[0], OBJECT)->data, "BAKEWAL1", 8);
    wk_same(w);
    w->k.ms[0].get_step = 97; /* the header in pieces */
    w->k.ms[0].end_apart = true;
    wk_same(w);
    assert_int_equal(bk_wal_check(w->k.store, &w->k.store->sinks[1], OBJECT, &bytes, &w->k.err), 0);
    assert_int_equal(bytes, w->n);
}

static void sizes(void **state)
{
    static const size_t all[] = {0, 1, 39, 40, 41, 262144, 262145};
    struct wk *w = *state;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        w->n = all[i];
        wk_file(w, w->bytes, w->n);
        ms_drop(&w->k.ms[0], OBJECT);
        ms_drop(&w->k.ms[1], OBJECT);
        wk_must_put(w);
        wk_same(w);
    }
}

/* The same bytes are fine, however often; others never get in. */
static void again(void **state)
{
    struct wk *w = *state;
    struct ms_object before;

    wk_must_put(w);
    before = *ms_find(&w->k.ms[0], OBJECT);
    w->k.ms[0].clock_ns += 1000;
    wk_must_put(w);
    /* Its put says that it is there, and thereby that it is durable; it stays as it was. */
    assert_int_equal(w->k.ms[0].calls[MS_PUT_BEGIN], 2);
    assert_int_equal(ms_find(&w->k.ms[0], OBJECT)->mtime_ns, before.mtime_ns);
    w->bytes[w->n / 2] ^= 1;
    wk_file(w, w->bytes, w->n);
    assert_int_equal(wk_put(w), BAKE_E_EXISTS);
    assert_non_null(strstr(w->k.err.text, "with other bytes"));
    wk_file(w, w->bytes, w->n - 1);
    assert_int_equal(wk_put(w), BAKE_E_EXISTS);
    assert_int_equal(ms_find(&w->k.ms[0], OBJECT)->mtime_ns, before.mtime_ns);
    w->bytes[w->n / 2] ^= 1;
    wk_same(w);
}

/* Whoever hears that it is stored throws away the file: its header alone says nothing of the rest.
 */
static void again_over_damage(void **state)
{
    struct wk *w = *state;
    struct ms_object *o;

    wk_must_put(w);
    for (size_t i = 0; i < 2; i++) {
        o = ms_find(&w->k.ms[i], OBJECT);
        wk_flip(w, i, o->n - 1);
    }
    assert_int_equal(wk_put(w), BAKE_E_CORRUPT);
    assert_non_null(strstr(w->k.err.hint, "what stands there is damaged"));
    ms_drop(&w->k.ms[0], OBJECT);
    wk_must_put(w); /* one is enough here: the other is only said */
    assert_non_null(ms_find(&w->k.ms[0], OBJECT));
    wk_same(w);
}

/* What it is compared with was written by another pipeline: its own header says how to read it. */
static void transforms_changed(void **state)
{
    struct wk *w = *state;

    wk_must_put(w);
    {
        struct bk_store *s = w->k.store;
        struct bk_transform twice[2] = {s->transforms[0], s->transforms[0]};
        struct bk_transform *own = s->transforms;

        ms_drop(&w->k.ms[1], OBJECT);
        s->transforms = twice;
        s->n_transforms = 2;
        wk_must_put(w); /* the first has it, the second gets it another way */
        assert_true(ms_find(&w->k.ms[1], OBJECT)->n > ms_find(&w->k.ms[0], OBJECT)->n);
        wk_same(w);
        ms_drop(&w->k.ms[0], OBJECT);
        wk_same(w);
        s->transforms = own;
        s->n_transforms = 1;
        wk_same(w);
    }
}

static void lists(void **state)
{
    static const char history[] = "wal/" STREAM "/00000002/00000002.history";
    static const char *const more[] = {"wal/a/x", "wal/a/b/c/d", "wal/.x/y", "wal/z",
                                       "wal/b/y", "walrus",      history};
    struct wk *w = *state;
    struct bk_wal_list l;

    wk_must_put(w);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        ms_set(&w->k.ms[1], more[i], "x", 1);
    ms_drop(&w->k.ms[1], OBJECT);
    assert_int_equal(bk_wal_list_sink(&w->k.store->sinks[1], NULL, &l, &w->k.err), 0);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.logs[0].name, "00000002/00000002.history");
    assert_string_equal(l.logs[1].stream, "a");
    assert_string_equal(l.logs[2].name, "y");
    bk_wal_list_release(&l);
    assert_int_equal(bk_wal_list_store(w->k.store, STREAM, &l, &w->k.err), 0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.logs[0].name, LOG);
    bk_wal_list_release(&l);
    wk_must_put(w); /* to where it is missing; then it is listed once */
    assert_int_equal(bk_wal_list_store(w->k.store, STREAM, &l, &w->k.err), 0);
    assert_int_equal(l.n, 2);
    bk_wal_list_release(&l);
    assert_int_equal(bk_wal_list_store(w->k.store, "a/b", &l, &w->k.err), BK_E_USAGE);
}

static void needs(void **state)
{
    struct bk_wal_need need;
    struct bk_mcomp c = {.status = BK_STATUS_OK};

    (void)state;
    assert_false(bk_mcomp_wal(&c, &need));
    c.facts = json_pack("{s:{s:s,s:s,s:s},s:i}", "wal", "stream", STREAM, "from", LOG, "end",
                        "2025-11-05T12:00:00Z", "segment_size", 1 << 20);
    assert_non_null(c.facts);
    assert_true(bk_mcomp_wal(&c, &need));
    assert_string_equal(need.from, LOG);
    assert_int_equal(need.end_ns, INT64_C(1762344000000000000));
    assert_int_equal(need.segment_size, 1 << 20);
    c.status = BK_STATUS_FAILED;
    assert_false(bk_mcomp_wal(&c, &need));
    c.status = BK_STATUS_PARTIAL;
    assert_true(bk_mcomp_wal(&c, &need));
    json_object_set_new(json_object_get(c.facts, "wal"), "from", json_string("../x"));
    assert_false(bk_mcomp_wal(&c, &need));
    json_object_set_new(json_object_get(c.facts, "wal"), "from", json_string("binlog.000007"));
    json_object_del(json_object_get(c.facts, "wal"), "end");
    assert_true(bk_mcomp_wal(&c, &need));
    assert_int_equal(need.end_ns, 0);
    json_decref(c.facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(header),
        cmocka_unit_test_setup_teardown(roundtrip, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(again, setup, teardown),
        cmocka_unit_test_setup_teardown(again_over_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(transforms_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(lists, setup, teardown),
        cmocka_unit_test(needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
