/* store/pack: names, table, header and footer, and what becomes of damage to them. */
#include "repokit.h"

static void names(void **state)
{
    char name[BK_PACK_NAME_CAP];
    bk_id id = rk_id(1), back;

    (void)state;
    bk_pack_name(&id, name);
    assert_int_equal(strlen(name), 73);
    assert_true(bk_pack_name_parse(name, &back));
    assert_true(bk_id_eq(&id, &back));
    for (size_t i = 0; name[i]; i++) {
        char kept = name[i];

        for (const char *c = "Gg/ .\1"; *c; c++) {
            name[i] = *c;
            assert_true(*c == kept || !bk_pack_name_parse(name, &back));
        }
        name[i] = '\0'; /* cut */
        assert_false(bk_pack_name_parse(name, &back));
        name[i] = kept;
    }
    name[6] = name[6] == '0' ? '1' : '0'; /* in another's folder */
    assert_false(bk_pack_name_parse(name, &back));
    assert_false(bk_pack_name_parse("", &back));
}

/* n chunks in segments of at most per */
static void make_table(struct bk_pack_table *t, size_t n, size_t per)
{
    uint64_t seed = n;

    memset(t, 0, sizeof(*t));
    for (size_t i = 0; i < n; i++) {
        bk_id id = rk_id(i);
        uint32_t length = 1 + (uint32_t)(rk_next(&seed) % 30000);
        struct bk_segment *s;

        if (i % per == 0)
            t->segments[t->n_segments++].flags = (uint32_t)(i / per) & BK_SEGMENT_RAW;
        s = &t->segments[t->n_segments - 1];
        s->plain += length;
        s->stored = s->plain / 2;
        s->chunks++;
        assert_int_equal(bk_pack_table_add(t, &id, length), 0);
    }
}

static void same_table(const struct bk_pack_table *a, const struct bk_pack_table *b)
{
    assert_int_equal(a->n_segments, b->n_segments);
    assert_int_equal(a->n_chunks, b->n_chunks);
    for (size_t i = 0; i < a->n_segments; i++)
        assert_memory_equal(&a->segments[i], &b->segments[i], sizeof(a->segments[i]));
    for (size_t i = 0; i < a->n_chunks; i++) {
        assert_int_equal(a->lengths[i], b->lengths[i]);
        assert_true(bk_id_eq(&a->ids[i], &b->ids[i]));
    }
}

static void table_round_trip(void **state)
{
    static const struct {
        size_t n, per;
    } some[] = {{0, 1}, {1, 1}, {64, 1}, {65, 30}, {1000, 60}, {3000, 60}};

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct bk_pack_table t, back;
        struct bk_buf b = BK_BUF_INIT;
        struct bk_err err = {0};
        uint64_t end = 24;

        make_table(&t, some[i].n, some[i].per);
        bk_pack_table_write(&t, &b);
        assert_int_equal(bk_pack_table_parse(b.data, b.len, &back, &err), 0);
        same_table(&t, &back);
        for (size_t s = 0; s < t.n_segments; s++)
            end += t.segments[s].stored;
        assert_int_equal(bk_pack_table_end(&back, 24), end);
        bk_pack_table_release(&t);
        bk_pack_table_release(&back);
        bk_buf_free(&b);
    }
}

/* In memory of just that size, so that reading beyond it is seen. */
static int parse_exact(const void *data, size_t n, struct bk_pack_table *ret)
{
    char *copy = malloc(n + !n);
    struct bk_err err = {0};
    int rc;

    assert_non_null(copy);
    memcpy(copy, data, n);
    rc = bk_pack_table_parse(copy, n, ret, &err);
    assert_true(rc == BAKE_OK || (rc == BAKE_E_CORRUPT && err.text[0]));
    free(copy);
    return rc;
}

static void table_damage(void **state)
{
    struct bk_pack_table t, back;
    struct bk_buf b = BK_BUF_INIT;
    size_t ids;

    (void)state;
    make_table(&t, 40, 15);
    bk_pack_table_write(&t, &b);
    ids = b.len - 40 * sizeof(bk_id);
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(parse_exact(b.data, n, &back), BAKE_E_CORRUPT);
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            int rc;

            b.data[i] = (char)(b.data[i] ^ 1 << bit);
            rc = parse_exact(b.data, b.len, &back);
            if (rc == BAKE_OK) /* an id, a stored size or a flag: the pack's digest sees it */
                assert_true(i >= ids || i <= 33);
            bk_pack_table_release(&back);
            b.data[i] = (char)(b.data[i] ^ 1 << bit);
        }
    }
    bk_buf_char(&b, 0);
    assert_int_equal(parse_exact(b.data, b.len, &back), BAKE_E_CORRUPT);
    bk_pack_table_release(&t);
    bk_buf_free(&b);
}

/* Counts beyond all measure must not become memory. */
static void table_lies(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {{"", 0},
               {"\x41", 1},                                /* 65 segments */
               {"\1\1\x80\x80\x80\1\x80\x80\x80\1\0", 11}, /* 2 Mi chunks */
               {"\1\1\x81\x80\x80\1\1\0", 8},              /* too long plain */
               {"\1\1\1\2\0\1\1", 7},                      /* chunks > plain */
               {"\1\1\1\1\2\1", 6},                        /* flags */
               {"\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1\0\1", 15} /* stored */};
    struct bk_pack_table t;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse_exact(bad[i].bytes, bad[i].n, &t), BAKE_E_CORRUPT);
}

static void head(void **state)
{
    unsigned char nonce[BK_PACK_NONCE];
    struct bk_strv transforms = {0};
    struct bk_pack_head h;
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};

    (void)state;
    assert_int_equal(bk_strv_add(&transforms, "zstd"), 0);
    assert_int_equal(bk_strv_add(&transforms, "age"), 0);
    rk_fill(nonce, sizeof(nonce), 5);
    bk_pack_head_write(BK_PACK_META, nonce, &transforms, &b);
    assert_int_equal(bk_pack_head_parse(b.data, b.len, &h, &err), 0);
    assert_int_equal(h.size, b.len);
    assert_int_equal(h.size, BK_PACK_HEAD_MIN + 6 + 5);
    assert_int_equal(h.kind, BK_PACK_META);
    assert_memory_equal(h.nonce, nonce, sizeof(nonce));
    assert_int_equal(h.transforms.n, 2);
    assert_string_equal(h.transforms.items[1], "age");
    bk_strv_free(&h.transforms);
    for (size_t n = 0; n < b.len; n++) {
        char *copy = malloc(n + !n);

        assert_non_null(copy);
        memcpy(copy, b.data, n);
        assert_int_equal(bk_pack_head_parse(copy, n, &h, &err), BAKE_E_CORRUPT);
        free(copy);
    }
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            int rc;

            b.data[i] = (char)(b.data[i] ^ 1 << bit);
            rc = bk_pack_head_parse(b.data, b.len, &h, &err);
            if (i >= 8 && i < 12)
                assert_int_equal(rc, BAKE_E_UNSUPPORTED);
            else if (i >= 20 && i < 36) /* any nonce is as good */
                assert_int_equal(rc, BAKE_OK);
            else if (i < 40) /* 1 and 2 are both kinds, but differ in two bits */
                assert_int_equal(rc, BAKE_E_CORRUPT);
            bk_strv_free(&h.transforms);
            b.data[i] = (char)(b.data[i] ^ 1 << bit);
        }
    }
    bk_strv_free(&transforms);
    bk_buf_free(&b);
}

static void foot(void **state)
{
    struct bk_pack_foot f = {5000, 300, 900}, back;
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    unsigned char *data;

    (void)state;
    bk_pack_foot_write(&f, &b);
    assert_int_equal(b.len, BK_PACK_FOOTER);
    data = (unsigned char *)b.data;
    assert_int_equal(bk_pack_foot_parse(data, 5332, &back, &err), 0);
    assert_memory_equal(&f, &back, sizeof(f));
    assert_int_equal(bk_pack_foot_parse(data, 5331, &back, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_pack_foot_parse(data, 5333, &back, &err), BAKE_E_CORRUPT);
    assert_int_equal(bk_pack_foot_parse(data, 0, &back, &err), BAKE_E_CORRUPT);
    for (size_t i = 0; i < b.len; i++) {
        data[i] ^= 0x80;
        if (i < 12 || i >= 15) /* the table's plain size is checked when it is decoded */
            assert_int_equal(bk_pack_foot_parse(data, 5332, &back, &err), BAKE_E_CORRUPT);
        data[i] ^= 0x80;
    }
    memset(data, 0xff, 16);
    assert_int_equal(bk_pack_foot_parse(data, 5332, &back, &err), BAKE_E_CORRUPT);
    bk_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),        cmocka_unit_test(table_round_trip),
        cmocka_unit_test(table_damage), cmocka_unit_test(table_lies),
        cmocka_unit_test(head),         cmocka_unit_test(foot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
