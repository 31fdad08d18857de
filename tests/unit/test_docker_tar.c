/* The Docker source's tar: what is written is read back, and what is not whole or not the daemon's
 * is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakehost.h"
#include "tar_impl.h"
#include "tree.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    unsigned char *data;
    size_t n, at, piece; /* piece: given at once, 0: all */
};

static int emit(void *arg, const void *data, size_t n)
{
    struct bytes *b = arg;
    b->data = realloc(b->data, b->n + n + 1);
    assert_non_null(b->data);
    memcpy(b->data + b->n, data, n);
    b->n += n;
    return BAKE_OK;
}

static int pull(void *arg, struct bake_out *out)
{
    struct bytes *b = arg;
    size_t n = b->n - b->at, room = out->size - out->pos;
    if (n > room)
        n = room;
    if (b->piece && n > b->piece)
        n = b->piece;
    memcpy((char *)out->data + out->pos, b->data + b->at, n);
    b->at += n;
    out->pos += n;
    return b->at == b->n ? BAKE_END : BAKE_OK;
}

static char long_name[1200], raw_name[] = "d/\xff\xfe\n x";

static const struct bake_extent holes[] = {{4096, 10}, {10000, 5}};

static const struct bake_entry entries[] = {
    {.type = BAKE_DIR, .path = ".", .mode = 02750, .uid = 999, .gid = 999, .mtime_ns = 5},
    {.type = BAKE_FILE,
     .path = "a",
     .mode = 04755,
     .uid = 4000000000u,
     .gid = 3000000,
     .size = 700,
     .mtime_ns = 1500000000123456789},
    {.type = BAKE_HARDLINK, .path = "b", .link = "a"},
    {.type = BAKE_DIR, .path = "d", .mode = 0755},
    {.type = BAKE_CHARDEV, .path = "d/dev", .mode = 0600, .dev_major = 4095, .dev_minor = 1048575},
    {.type = BAKE_FIFO, .path = "d/fifo", .mode = 0644},
    {.type = BAKE_FILE, .path = raw_name, .mode = 01777, .mtime_ns = -1500000000},
    {.type = BAKE_DIR, .path = "e", .mode = 0},
    {.type = BAKE_SYMLINK, .path = "link", .mode = 0777, .link = long_name},
    {.type = BAKE_FILE, .path = long_name, .mode = 0644, .size = 512},
    {.type = BAKE_FILE,
     .path = "sparse",
     .mode = 0644,
     .size = 20000,
     .extents = holes,
     .n_extents = 2},
    {.type = BAKE_FILE,
     .path = "x",
     .mode = 0644,
     .valid = BAKE_HAS_XATTRS,
     .xattrs = "user.a\0\3\0\0\0a\0=security.b\0\0\0\0\0",
     .xattrs_size = 29},
};
#define N (sizeof(entries) / sizeof(entries[0]))

static int setup(void **state)
{
    struct fakehost *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    fakehost_init(f);
    memset(long_name, 'l', sizeof(long_name) - 1);
    long_name[0] = 'm';
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fakehost *f = *state;
    fakehost_free(f);
    free(f);
    return 0;
}

static struct bytes make(struct fakehost *f, const char *prefix, const struct bake_entry *list,
                         size_t n)
{
    struct bytes b = {0};
    struct dk_tar *t = NULL;
    char data[1024];
    memset(data, 'd', sizeof(data));
    assert_int_equal(dk_tar_open_to(&f->ctx, emit, &b, prefix, &t), BAKE_OK);
    for (size_t i = 0; i < n; i++) {
        const struct bake_entry *e = &list[i];
        uint64_t size = e->type == BAKE_FILE ? e->size : 0;
        if (e->extents)
            size = 15;
        assert_int_equal(dk_tar_entry(t, e), BAKE_OK);
        assert_int_equal(dk_tar_data(t, data, (size_t)size / 2), BAKE_OK);
        assert_int_equal(dk_tar_data(t, data, (size_t)(size - size / 2)), BAKE_OK);
        assert_int_equal(dk_tar_data(t, data, 1), BAKE_E_INTERNAL);
        assert_int_equal(dk_tar_end_entry(t), BAKE_OK);
    }
    assert_int_equal(dk_tar_finish(t), BAKE_OK);
    dk_tar_close(t);
    return b;
}

/* Reads to the end: the result of that, and how many entries there were. */
static int read_all(struct bytes *b, const char *one, size_t *ret_n, char why[400], bool data)
{
    struct dk_tarin *t = NULL;
    struct bake_entry e;
    char buf[300];
    int rc;
    b->at = 0;
    assert_int_equal(dk_tarin_new(pull, b, one, &t), BAKE_OK);
    for (*ret_n = 0; (rc = dk_tarin_next(t, &e)) == BAKE_OK; ++*ret_n) {
        int got = BAKE_OK;
        while (data && got == BAKE_OK) {
            struct bake_out out = {buf, sizeof(buf), 0};
            got = dk_tarin_read(t, &out);
        }
        if (got < 0) {
            rc = got;
            break;
        }
    }
    (void)snprintf(why, 400, "%s", rc < 0 ? dk_tarin_why(t) : "");
    assert_true(rc != BAKE_E_CORRUPT || *why);
    dk_tarin_free(t);
    return rc;
}

static void check_data(struct dk_tarin *t, const struct bake_entry *e)
{
    char *data = calloc(1, (size_t)e->size + 10), want;
    size_t n = 0;
    int rc;
    assert_non_null(data);
    do {
        struct bake_out out = {data, (size_t)e->size + 10, n};
        rc = dk_tarin_read(t, &out);
        n = out.pos;
    } while (rc == BAKE_OK);
    assert_int_equal(rc, BAKE_END);
    assert_int_equal(n, e->size);
    for (size_t i = 0; i < n; i++) {
        bool in = !e->extents || (i >= 4096 && i < 4106) || (i >= 10000 && i < 10005);
        want = in ? 'd' : '\0';
        assert_int_equal(data[i], want);
    }
    free(data);
}

static void test_round_trip(void **state)
{
    struct fakehost *f = *state;
    struct bytes b = make(f, ".", entries, N);
    for (size_t piece = 0; piece < 4; piece++) {
        struct dk_tarin *t = NULL;
        struct bake_entry e;
        b.at = 0;
        b.piece = (size_t[]){0, 1, 100, 511}[piece];
        assert_int_equal(dk_tarin_new(pull, &b, NULL, &t), BAKE_OK);
        for (size_t i = 0; i < N; i++) {
            const struct bake_entry *w = &entries[i];
            assert_int_equal(dk_tarin_next(t, &e), BAKE_OK);
            assert_string_equal(e.path, w->path);
            assert_int_equal(e.type, w->type);
            assert_int_equal(e.mode, w->mode);
            assert_int_equal(e.uid, w->uid);
            assert_int_equal(e.gid, w->gid);
            assert_true(e.mtime_ns == w->mtime_ns);
            assert_int_equal(e.size, w->type == BAKE_FILE ? w->size : 0);
            assert_int_equal(e.dev_major, w->dev_major);
            assert_int_equal(e.dev_minor, w->dev_minor);
            if (w->link)
                assert_string_equal(e.link, w->link);
            else
                assert_null(e.link);
            assert_int_equal(e.xattrs_size, w->xattrs_size);
            if (w->xattrs)
                assert_memory_equal(e.xattrs, w->xattrs, w->xattrs_size);
            if (e.type == BAKE_FILE && i % 2)
                check_data(t, w);
        }
        assert_int_equal(dk_tarin_next(t, &e), BAKE_END);
        assert_int_equal(dk_tarin_next(t, &e), BAKE_END);
        dk_tarin_free(t);
    }
    free(b.data);
}

/* Wherever it is cut, that is noticed: no prefix of a tar is a tar. */
static void test_cut(void **state)
{
    struct fakehost *f = *state;
    struct bytes whole = make(f, ".", entries, N);
    size_t n = 0;
    char why[400];
    whole.piece = 1000;
    assert_int_equal(read_all(&whole, NULL, &n, why, true), BAKE_END);
    assert_int_equal(n, N);
    for (size_t cut = 0; cut < whole.n; cut += cut % 512 == 511 || cut % 512 == 0 ? 1 : 51) {
        struct bytes part = {whole.data, cut, 0, 0};
        for (int data = 0; data < 2; data++) {
            assert_int_equal(read_all(&part, NULL, &n, why, data), BAKE_E_CORRUPT);
            assert_non_null(strstr(why, "breaks off"));
        }
    }
    free(whole.data);
}

static void refused(struct bytes *b, const char *one, const char *text)
{
    size_t n;
    char why[400];
    assert_int_equal(read_all(b, one, &n, why, true), BAKE_E_CORRUPT);
    if (!strstr(why, text))
        fail_msg("'%s' is not in '%s'", text, why);
    free(b->data);
}

/* A tar of a root and these two. */
static struct bytes pair(struct fakehost *f, struct bake_entry a, struct bake_entry b)
{
    struct bake_entry list[] = {{.type = BAKE_DIR, .path = "."}, a, b};
    return make(f, ".", list, 3);
}

#define FILE_(p)    ((struct bake_entry){.type = BAKE_FILE, .path = (p)})
#define DIR_(p)     ((struct bake_entry){.type = BAKE_DIR, .path = (p)})
#define HARD(p, to) ((struct bake_entry){.type = BAKE_HARDLINK, .path = (p), .link = (to)})

static void test_hostile_names(void **state)
{
    struct fakehost *f = *state;
    struct bytes b;
    b = pair(f, FILE_("a"), FILE_("../b"));
    refused(&b, NULL, "'..'");
    b = pair(f, FILE_("a"), FILE_("a/../../b"));
    refused(&b, NULL, "'..'");
    b = pair(f, FILE_("a"), FILE_("b//c"));
    refused(&b, NULL, "not normal");
    b = pair(f, FILE_("a"), FILE_("./b"));
    refused(&b, NULL, "not normal");
    b = pair(f, FILE_("b"), FILE_("a"));
    refused(&b, NULL, "out of order");
    b = pair(f, FILE_("a"), FILE_("a"));
    refused(&b, NULL, "twice");
    b = pair(f, FILE_("a"), FILE_("a/b"));
    refused(&b, NULL, "no directory");
    b = pair(f, DIR_("a"), FILE_("b/c"));
    refused(&b, NULL, "no directory");
    b = pair(f, FILE_("a"), HARD("b", "../../etc/shadow"));
    refused(&b, NULL, "hard link to outside");
    b = pair(f, FILE_("a"), HARD("b", "c"));
    refused(&b, NULL, "comes later");
    b = make(f, "/etc", (struct bake_entry[]){DIR_(".")}, 1);
    refused(&b, NULL, "absolute");
    b = make(f, "other", (struct bake_entry[]){DIR_(".")}, 1);
    refused(&b, NULL, "outside");
    b = make(f, ".", (struct bake_entry[]){FILE_("a")}, 1);
    refused(&b, NULL, "is no directory");
    b = make(f, ".", NULL, 0);
    refused(&b, NULL, "empty");
}

static void test_one_file(void **state)
{
    struct fakehost *f = *state;
    size_t n;
    char why[400];
    struct bytes b = make(f, "app.ini",
                          (struct bake_entry[]){{.type = BAKE_FILE, .path = ".", .size = 1000}}, 1);
    assert_int_equal(read_all(&b, "app.ini", &n, why, true), BAKE_END);
    assert_int_equal(n, 1);
    assert_int_equal(read_all(&b, "app.in", &n, why, true), BAKE_E_CORRUPT);
    free(b.data);
    b = make(f, "app.ini", (struct bake_entry[]){DIR_(".")}, 1);
    refused(&b, "app.ini", "not the file");
}

static void sum(unsigned char *block)
{
    unsigned total = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        total += block[i];
    (void)snprintf((char *)block + 148, 8, "%06o", total);
    block[155] = ' ';
}

static void test_hostile_headers(void **state)
{
    struct fakehost *f = *state;
    struct bytes b = pair(f, FILE_("a"), FILE_("b"));
    b.data[512] ^= 1;
    refused(&b, NULL, "no header");

    b = pair(f, FILE_("a"), FILE_("b"));
    b.data[512 + 156] = 'S'; /* GNU's sparse file */
    sum(b.data + 512);
    refused(&b, NULL, "of a kind");

    b = pair(f, FILE_("a"), FILE_("b")); /* a claim of 100 GB allocates nothing */
    memcpy(b.data + 512 + 124, "1351035564000", 12);
    sum(b.data + 512);
    refused(&b, NULL, "breaks off");

    b = pair(f, FILE_("a"), FILE_("b")); /* a pax header of 8 GB */
    b.data[512 + 156] = 'x';
    memcpy(b.data + 512 + 124, "77777777777", 11);
    sum(b.data + 512);
    refused(&b, NULL, "size that makes no sense");

    b = pair(f, FILE_("a"), FILE_("b"));
    memcpy(b.data + 512 + 108, "junk", 4);
    sum(b.data + 512);
    refused(&b, NULL, "no header");

    b = pair(f, DIR_("a"), FILE_("b"));
    memcpy(b.data + 512 + 124, "00000000001", 11);
    sum(b.data + 512);
    refused(&b, NULL, "no file");

    b = pair(f, FILE_("a"), FILE_("b"));
    b.data = realloc(b.data, b.n + 512);
    memset(b.data + b.n, 'x', 512);
    b.n += 512;
    refused(&b, NULL, "goes on");
}

static void pax(struct fakehost *f, const char *records, const char *text)
{
    struct bytes b = {0};
    struct bake_entry root = DIR_(".");
    struct dk_tar *t = NULL;
    size_t n = strlen(records);
    unsigned char block[512] = "x";
    assert_int_equal(dk_tar_open_to(&f->ctx, emit, &b, ".", &t), BAKE_OK);
    assert_int_equal(dk_tar_entry(t, &root), BAKE_OK);
    assert_int_equal(dk_tar_end_entry(t), BAKE_OK);
    assert_int_equal(dk_tar_finish(t), BAKE_OK);
    dk_tar_close(t);
    b.n -= 1024;
    memcpy(block + 257,
           "ustar\0"
           "00",
           8);
    block[156] = 'x';
    (void)snprintf((char *)block + 124, 12, "%011o", (unsigned)n & 0777u);
    sum(block);
    assert_int_equal(emit(&b, block, 512), 0);
    memset(block, 0, sizeof(block));
    memcpy(block, records, n);
    assert_int_equal(emit(&b, block, 512), 0);
    memset(block, 0, sizeof(block));
    assert_int_equal(emit(&b, block, 512), 0);
    assert_int_equal(emit(&b, block, 512), 0);
    refused(&b, NULL, text);
}

static void test_hostile_pax(void **state)
{
    struct fakehost *f = *state;
    pax(f, "11 path=./a\n", "not sound");    /* says one byte less than there are */
    pax(f, "99999 path=./a\n", "not sound"); /* and far more */
    pax(f, "13 path ./a \n", "not sound");   /* no '=' */
    pax(f, "0 path=./a\n", "not sound");
    pax(f, "path=./a\n", "not sound");
    pax(f, "12 size=1x1\n", "not sound");
    pax(f, "14 uid=-12345\n", "not sound");
    pax(f, "29 size=99999999999999999999\n", "not sound");
    pax(f, "18 uid=4294967296\n", "not sound");
    pax(f, "22 GNU.sparse.major=1\n", "not sound");
    pax(f, "12 path=./a\n", "ends within an entry");
}

static void test_end_needs_zeros(void **state)
{
    struct fakehost *f = *state;
    struct bytes b = pair(f, FILE_("a"), FILE_("b"));
    b.n -= 512; /* one block of zeros is no end mark */
    refused(&b, NULL, "breaks off");
    b = pair(f, FILE_("a"), FILE_("b"));
    b.data[b.n - 1] = 1;
    refused(&b, NULL, "goes on");
}

/* The writer says what it cannot send, and fills up what did not come. */
static void test_writer_limits(void **state)
{
    struct fakehost *f = *state;
    struct bytes b = {0};
    struct dk_tar *t = NULL;
    size_t n;
    char why[400];
    struct bake_extent bad = {10, 100};
    struct bake_entry root = DIR_("."), short_one = {.type = BAKE_FILE, .path = "s", .size = 5000},
                      broken = {.type = BAKE_FILE,
                                .path = "t",
                                .size = 50,
                                .extents = &bad,
                                .n_extents = 1},
                      odd = {.type = BAKE_FILE,
                             .path = "u",
                             .valid = BAKE_HAS_XATTRS,
                             .xattrs = "user.a=b\0\1\0\0\0v",
                             .xattrs_size = 14};
    assert_int_equal(dk_tar_open_to(&f->ctx, emit, &b, ".", &t), BAKE_OK);
    assert_int_equal(dk_tar_entry(t, &root), BAKE_OK);
    assert_int_equal(dk_tar_entry(t, &root), BAKE_E_INTERNAL);
    assert_int_equal(dk_tar_end_entry(t), BAKE_OK);
    assert_int_equal(dk_tar_entry(t, &short_one), BAKE_OK);
    assert_int_equal(dk_tar_data(t, "abc", 3), BAKE_OK);
    assert_int_equal(dk_tar_end_entry(t), BAKE_OK);
    assert_int_equal(dk_tar_entry(t, &broken), BAKE_E_UNSUPPORTED);
    assert_int_equal(dk_tar_entry(t, &odd), BAKE_OK);
    assert_int_equal(fakehost_count(f, BAKE_WARNING, "u", "user.a=b"), 1);
    assert_int_equal(dk_tar_end_entry(t), BAKE_OK);
    assert_int_equal(dk_tar_finish(t), BAKE_OK);
    dk_tar_close(t);
    assert_int_equal(read_all(&b, NULL, &n, why, true), BAKE_END);
    assert_int_equal(n, 3);
    free(b.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_pax, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_needs_zeros, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writer_limits, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
