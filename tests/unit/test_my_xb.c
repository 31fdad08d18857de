/* Streams of mariadb-backup: pieces of files, and all that can be wrong with them. */
#include "xb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct stream {
    unsigned char data[4000];
    size_t n;
};

static void put(struct stream *s, const void *data, size_t n)
{
    memcpy(s->data + s->n, data, n);
    s->n += n;
}

static void put_number(struct stream *s, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++, v >>= 8)
        s->data[s->n++] = (unsigned char)v;
}

/* bit by bit: what is tested has tables */
static uint32_t crc_of(const char *data, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)data[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
    }
    return ~crc;
}

static void head(struct stream *s, uint8_t flags, char type, const char *path)
{
    put(s, "XBSTCK01", 8);
    put_number(s, flags, 1);
    put(s, &type, 1);
    put_number(s, strlen(path), 4);
    put(s, path, strlen(path));
}

static void piece(struct stream *s, const char *path, uint64_t offset, const char *data)
{
    head(s, 0, 'P', path);
    put_number(s, strlen(data), 8);
    put_number(s, offset, 8);
    put_number(s, crc_of(data, strlen(data)), 4);
    put(s, data, strlen(data));
}

static void good(struct stream *s)
{
    piece(s, "ibdata1", 0, "0123456789abcdef");
    piece(s, "a/t.ibd", 0, "");
    piece(s, "ibdata1", 16, "more");
    head(s, 0, 'E', "ibdata1");
    head(s, 0, 'E', "a/t.ibd");
    piece(s, "xtrabackup_checkpoints", 0, "to_lsn = 1\n");
    head(s, 0, 'E', "xtrabackup_checkpoints");
}

static const char *run(const struct stream *s, size_t size, bool sums, char *why)
{
    struct my_xb *x = NULL;
    int rc = BAKE_OK;
    assert_int_equal(my_xb_new(sums, &x), BAKE_OK);
    for (size_t at = 0; at < s->n && rc == BAKE_OK; at += size)
        rc = my_xb_feed(x, s->data + at, s->n - at < size ? s->n - at : size);
    if (rc == BAKE_OK)
        rc = my_xb_end(x);
    (void)snprintf(why, 400, "%s", my_xb_why(x));
    assert_int_equal(rc, why[0] ? BAKE_E_CORRUPT : BAKE_OK);
    if (!why[0]) {
        assert_int_equal(my_xb_files(x), 3);
        assert_int_equal(my_xb_bytes(x), 31);
    }
    my_xb_free(x);
    return why;
}

static void whole(void **state)
{
    struct stream s = {.n = 0};
    char why[400];
    (void)state;
    good(&s);
    for (size_t size = 1; size < s.n + 2; size++)
        assert_string_equal(run(&s, size, true, why), "");
    /* each shorter one is not whole */
    for (size_t n = 0, all = s.n; n < all; n++) {
        s.n = n;
        assert_true(run(&s, 4096, true, why)[0]);
    }
}

static void broken(struct stream *s, const char *want)
{
    char why[400];
    for (size_t size = 1; size < 100; size += 7)
        if (!strstr(run(s, size, true, why), want))
            fail_msg("'%s' is not in '%s'", want, why);
}

static void bad(void **state)
{
    struct stream s = {.n = 0};
    char why[400];
    (void)state;
    good(&s);
    s.data[8 + 1 + 1 + 4 + 7 + 20] ^= 1; /* the first byte of data */
    broken(&s, "'ibdata1' does not have its checksum");
    assert_string_equal(run(&s, 64, false, why), "");
    s.n = 0;
    good(&s);
    s.data[0] = 'x';
    broken(&s, "the head of a piece");
    s.n = 0;
    good(&s);
    piece(&s, "ibdata1", 20, "x");
    broken(&s, "'ibdata1' goes on behind its end");
    s.n = 0;
    good(&s);
    head(&s, 0, 'E', "ibdata1");
    broken(&s, "'ibdata1' ends twice");
    s.n = 0;
    piece(&s, "f\n", 1, "x");
    broken(&s, "'f?' lacks a piece");
    s.n = 0;
    head(&s, 0, 'Z', "f");
    broken(&s, "unknown kind");
    static const char *const strays[] = {"/etc/f", "../f", "a/../../f", "a/..", ".."};
    for (size_t i = 0; i < sizeof(strays) / sizeof(strays[0]); i++) {
        s.n = 0;
        piece(&s, strays[i], 0, "x");
        broken(&s, "would not stay in the directory");
    }
    s.n = 0;
    piece(&s, "./a..b/..c", 1, "x"); /* a name may begin or end so */
    broken(&s, "'./a..b/..c' lacks a piece");
    s.n = 0;
    head(&s, 0, 'P', "");
    broken(&s, "no path");
    s.n = 0;
    put(&s, "XBSTCK01\0P\xff\xff\xff\x7f", 14);
    broken(&s, "too long");
    s.n = 0;
    piece(&s, "ibdata1", 0, "x");
    head(&s, 0, 'E', "ibdata1");
    broken(&s, "no list of checkpoints");
    s.n = 0;
    broken(&s, "no list of checkpoints");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole), cmocka_unit_test(bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
