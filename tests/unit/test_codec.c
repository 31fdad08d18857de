/* base/codec: every boundary, every cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"

static void varints(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit <= 64; bit++) {
        for (int by = -1; by <= 1; by++) {
            uint64_t v = (bit < 64 ? 1ull << bit : 0) + (uint64_t)by;
            struct bk_buf b = BK_BUF_INIT;
            struct bk_reader r;
            unsigned digits = 1;

            for (uint64_t rest = v; rest >= 0x80; rest >>= 7)
                digits++;
            bk_put_varint(&b, v);
            bk_put_zigzag(&b, (int64_t)v);
            bk_put_u64(&b, v);
            bk_put_u32(&b, (uint32_t)v);
            r = bk_reader_of(b.data, b.len);
            assert_true(bk_get_varint(&r) == v);
            assert_int_equal((const char *)r.p - b.data, digits);
            assert_true(bk_get_zigzag(&r) == (int64_t)v);
            assert_true(bk_get_u64(&r) == v);
            assert_int_equal(bk_get_u32(&r), (uint32_t)v);
            assert_false(r.bad);
            assert_ptr_equal(r.p, r.end);
            r = bk_reader_of(b.data, digits);
            assert_int_equal(bk_get_varint32(&r), v <= UINT32_MAX ? (uint32_t)v : 0);
            assert_int_equal(r.bad, v > UINT32_MAX);
            for (unsigned n = 0; n < digits; n++) {
                r = bk_reader_of(b.data, n);
                assert_int_equal(bk_get_varint(&r), 0);
                assert_true(r.bad);
            }
            bk_buf_free(&b);
        }
    }
}

static void zigzags_are_small(void **state)
{
    static const struct {
        int64_t v;
        size_t n;
    } some[] = {{0, 1}, {-1, 1}, {63, 1}, {-64, 1}, {64, 2}, {-65, 2}, {INT64_MIN, 10}};

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct bk_buf b = BK_BUF_INIT;

        bk_put_zigzag(&b, some[i].v);
        assert_int_equal(b.len, some[i].n);
        bk_buf_free(&b);
    }
}

/* Longer than 64 bits, longer than need be, without an end. */
static void overlong(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
               {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11},
               {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},
               {"\x80\x00", 2},
               {"\x81\x80\x00", 3},
               {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bk_reader r = bk_reader_of(bad[i].bytes, bad[i].n);

        assert_int_equal(bk_get_varint(&r), 0);
        assert_true(r.bad);
    }
}

static void write_strings(struct bk_buf *b)
{
    bk_put_string(b, NULL);
    bk_put_string(b, "");
    bk_put_string(b, "name");
    bk_put_bytes(b, "a\0b", 3);
    bk_put_bytes(b, NULL, 0);
}

static void strings(void **state)
{
    struct bk_buf b = BK_BUF_INIT;
    struct bk_reader r;
    const void *bytes;
    size_t n;

    (void)state;
    write_strings(&b);
    r = bk_reader_of(b.data, b.len);
    assert_null(bk_get_string(&r));
    assert_string_equal(bk_get_string(&r), "");
    assert_string_equal(bk_get_string(&r), "name");
    bytes = bk_get_bytes(&r, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(bytes, "a\0b", 3);
    assert_non_null(bk_get_bytes(&r, &n));
    assert_int_equal(n, 0);
    assert_false(r.bad);
    assert_ptr_equal(r.p, r.end);
    for (size_t cut = 0; cut < b.len; cut++) {
        r = bk_reader_of(b.data, cut);
        for (int i = 0; i < 3; i++)
            (void)bk_get_string(&r);
        for (int i = 0; i < 2; i++)
            (void)bk_get_bytes(&r, &n);
        assert_true(r.bad);
    }
    bk_buf_free(&b);
}

static void bad_strings(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {{"\x02"
                "ab",
                3},
               {"\x03"
                "a\0\0",
                4},
               {"\x05"
                "ab\0",
                4},
               {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                "ab",
                12}};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bk_reader r = bk_reader_of(bad[i].bytes, bad[i].n);

        assert_null(bk_get_string(&r));
        assert_true(r.bad);
    }
}

static void stays_bad(void **state)
{
    struct bk_reader r = bk_reader_of("\1\2\3\4\5\6\7", 7);
    size_t n = 7;

    (void)state;
    assert_int_equal(bk_get_u64(&r), 0);
    assert_true(r.bad);
    assert_int_equal(bk_get_u32(&r), 0);
    assert_int_equal(bk_get_varint(&r), 0);
    assert_int_equal(bk_get_zigzag(&r), 0);
    assert_null(bk_get_raw(&r, 0));
    assert_null(bk_get_bytes(&r, &n));
    assert_int_equal(n, 0);
    r = bk_reader_of(NULL, 0);
    assert_non_null(bk_get_raw(&r, 0));
    assert_false(r.bad);
    assert_null(bk_get_raw(&r, 1));
    assert_true(r.bad);
    assert_true(bk_be64((const unsigned char *)"\1\2\3\4\5\6\7\10") == 0x0102030405060708u);
    assert_true(bk_le64((const unsigned char *)"\1\2\3\4\5\6\7\xf0") == 0xf007060504030201u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints),     cmocka_unit_test(zigzags_are_small),
        cmocka_unit_test(overlong),    cmocka_unit_test(strings),
        cmocka_unit_test(bad_strings), cmocka_unit_test(stays_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
