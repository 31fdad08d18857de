/* Following a tar that passes by: whole ones count, cut ones never do, whatever the pieces. */
#include "place_impl.h"

#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM (1u << 20)

static void add(struct archive *a, const char *name, mode_t type, size_t size)
{
    struct archive_entry *e = archive_entry_new();
    char *data = calloc(1, size + 1);

    assert_non_null(e);
    assert_non_null(data);
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, type);
    archive_entry_set_perm(e, 0750);
    archive_entry_set_uid(e, 3000000); /* more than ustar holds */
    archive_entry_set_mtime(e, 1600000000, 123456789);
    archive_entry_set_size(e, (la_int64_t)size);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    if (size)
        assert_int_equal(archive_write_data(a, data, size), size);
    archive_entry_free(e);
    free(data);
}

/* A directory, files of odd sizes (zeros, like an end mark), an empty one, a long name. */
static size_t sample(unsigned char *out)
{
    struct archive *a = archive_write_new();
    char longname[300] = "vol/";
    size_t used = 0;

    memset(longname + 4, 'n', 250);
    assert_int_equal(archive_write_set_format_pax(a), ARCHIVE_OK);
    assert_int_equal(archive_write_set_bytes_in_last_block(a, 1), ARCHIVE_OK);
    assert_int_equal(archive_write_open_memory(a, out, ROOM, &used), ARCHIVE_OK);
    add(a, "vol/", AE_IFDIR, 0);
    add(a, "vol/zeros", AE_IFREG, 5000);
    add(a, "vol/empty", AE_IFREG, 0);
    add(a, longname, AE_IFREG, 512);
    add(a, "vol/last", AE_IFREG, 1024);
    assert_int_equal(archive_write_free(a), ARCHIVE_OK);
    return used;
}

static bool whole(const unsigned char *tar, size_t n, size_t piece)
{
    struct dk_scan s;
    bool good = true;

    dk_scan_start(&s, false);
    for (size_t at = 0; good && at < n; at += piece)
        good = dk_scan_feed(&s, tar + at, n - at < piece ? n - at : piece) == 0;
    good = good && dk_scan_whole(&s);
    dk_scan_release(&s);
    return good;
}

static void whole_in_any_pieces(void **state)
{
    static const size_t pieces[] = {1, 7, 511, 512, 513, 4096, 100000};
    unsigned char *tar = malloc(ROOM);
    size_t n = sample(tar);

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++)
        assert_true(whole(tar, n, pieces[i]));
    memset(tar + n, 0, 10240); /* some pad the end */
    assert_true(whole(tar, n + 10240, 10000));
    free(tar);
}

static void never_whole_when_cut(void **state)
{
    unsigned char *tar = malloc(ROOM);
    size_t n = sample(tar), end = n;

    (void)state;
    while (end >= 512 && tar[end - 1] == 0 && end > n - 1024)
        end--; /* the end mark is the last 1024 bytes */
    for (size_t cut = 0; cut < n; cut += cut % 512 ? 1 : 511)
        assert_false(whole(tar, cut, 4096));
    assert_false(whole(tar, n - 512, 4096)); /* half an end mark */
    free(tar);
}

static void never_whole_with_nothing_in_it(void **state)
{
    unsigned char end[10240] = {0};

    (void)state;
    assert_false(whole(end, 1024, 4096));
    assert_false(whole(end, sizeof(end), 4096));
}

static void damage_is_seen(void **state)
{
    unsigned char *tar = malloc(ROOM);
    size_t n = sample(tar);

    (void)state;
    for (size_t at = 0; at < 512; at += 13) { /* any byte of the first header */
        tar[at] ^= 1;
        assert_false(whole(tar, n, 4096));
        tar[at] ^= 1;
    }
    assert_true(whole(tar, n, 4096));
    memcpy(tar + n, tar, 512); /* something behind the end mark */
    assert_false(whole(tar, n + 512, 4096));
    memset(tar, 'x', 4096);
    assert_false(whole(tar, 4096, 4096));
    free(tar);
}

static void checksum(unsigned char *b)
{
    unsigned sum = 0;

    memset(b + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += b[i];
    (void)snprintf((char *)b + 148, 8, "%06o", sum);
}

/* One header by hand: name, size field, type. */
static void head(unsigned char *b, const char *name, const char *size, char type)
{
    memset(b, 0, 512);
    memcpy(b, name, strlen(name));
    memcpy(b + 124, size, strlen(size));
    b[156] = (unsigned char)type;
    checksum(b);
}

static void sizes(void **state)
{
    unsigned char tar[512 * 8] = {0};
    struct dk_scan s;

    (void)state;
    /* a pax size takes the place of the header's */
    head(tar, "PaxHeaders/f", "00000000014", 'x');
    memcpy(tar + 512, "12 size=700\n", 12);
    head(tar + 1024, "f", "00000000000", '0');
    assert_true(whole(tar, 1024 + 512 + 1024 + 1024, 512));
    assert_false(whole(tar, 1024 + 512 + 512 + 1024 - 512, 512));
    /* broken records */
    memcpy(tar + 512, "99 size=700\n", 12);
    assert_false(whole(tar, sizeof(tar), 512));
    memcpy(tar + 512, "12 size=7x0\n", 12);
    assert_false(whole(tar, sizeof(tar), 512));
    /* a claim is no allocation, and is not met */
    memset(tar, 0, sizeof(tar));
    head(tar, "f", "77777777777", '0');
    assert_false(whole(tar, sizeof(tar), 512));
    head(tar, "x", "77777777777", 'x');
    dk_scan_start(&s, false);
    assert_int_equal(dk_scan_feed(&s, tar, 512), -1);
    dk_scan_release(&s);
    /* binary sizes; a link has no content whatever it claims */
    head(tar, "f", "", '0');
    tar[124] = 0x80;
    tar[135] = 100;
    checksum(tar);
    assert_true(whole(tar, 512 + 512 + 1024, 512));
    tar[124] = 0xff;
    checksum(tar);
    assert_false(whole(tar, 512 + 512 + 1024, 512));
    head(tar, "l", "00000001000", '2');
    assert_true(whole(tar, 512 + 1024, 512));
}

static void first_entry_is_kept(void **state)
{
    unsigned char *tar = malloc(ROOM), *again;
    size_t n = sample(tar);
    struct dk_scan s;

    (void)state;
    dk_scan_start(&s, true);
    assert_int_equal(dk_scan_feed(&s, tar, n), 0);
    assert_true(s.first_done && dk_scan_whole(&s));
    assert_true(s.first_n >= 1024 && s.first_n % 512 == 0 && s.first_n < 4096);
    assert_memory_equal(s.first, tar, s.first_n);
    again = calloc(1, s.first_n + 1024);
    memcpy(again, s.first, s.first_n);
    assert_true(whole(again, s.first_n + 1024, 512)); /* a tar by itself */
    free(again);
    dk_scan_release(&s);
    free(tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_in_any_pieces),
        cmocka_unit_test(never_whole_when_cut),
        cmocka_unit_test(never_whole_with_nothing_in_it),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(sizes),
        cmocka_unit_test(first_entry_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
