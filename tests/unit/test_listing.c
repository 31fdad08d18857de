/* store/listing: what is written is read again; what is damaged is refused. */
#include "listing_kit.h"

#include <stdlib.h>

static void same(const struct bake_entry *a, const struct bake_entry *b)
{
    assert_string_equal(a->path, b->path);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_string_equal(a->user, b->user);
    assert_string_equal(a->group, b->group);
    assert_true(a->mtime_ns == b->mtime_ns);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->nlink, b->nlink);
    assert_int_equal(a->dev_major, b->dev_major);
    assert_int_equal(a->dev_minor, b->dev_minor);
    assert_true(bk_streq(a->link, b->link));
}

static void round_trip(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 100, 1000000};
    const struct bake_entry *all;
    size_t n = kit_entries(&all);
    struct bk_buf text = BK_BUF_INIT;

    assert_int_equal(bk_buf_str(&text, BK_LISTING_HEAD), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bk_listing_line(&text, &all[i], all[i].type == BAKE_FILE ? KIT_SUM : NULL),
                         0);
    for (size_t p = 0; p < 4; p++) {
        struct text_pull pull = {.data = text.data, .n = text.len, .piece = pieces[p]};
        struct bk_listr *r = NULL;
        struct bake_entry e;
        const char *sha;
        struct bk_err err = {0};

        assert_int_equal(bk_listr_new(pull_text, &pull, &r, &err), 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(bk_listr_next(r, &e, &sha, &err), 0);
            same(&e, &all[i]);
            assert_string_equal(sha, e.type == BAKE_FILE ? KIT_SUM : "");
            assert_int_equal(e.valid, KIT_ALL & ~BAKE_HAS_INODE);
        }
        assert_int_equal(bk_listr_next(r, &e, &sha, &err), BAKE_END);
        assert_int_equal(bk_listr_next(r, &e, &sha, &err), BAKE_END);
        bk_listr_free(r);
    }
    bk_buf_free(&text);
    bk_listr_free(NULL);
}

/* The result for a text; what it holds in ret, when asked. */
static int read_one(const char *text, size_t n, struct bake_entry *ret, char *path, size_t cap)
{
    struct text_pull pull = {.data = text, .n = n, .piece = 5};
    struct bk_listr *r = NULL;
    struct bake_entry e;
    const char *sha;
    struct bk_err err = {0};
    int rc;

    assert_int_equal(bk_listr_new(pull_text, &pull, &r, &err), 0);
    rc = bk_listr_next(r, &e, &sha, &err);
    if (rc == BAKE_OK && ret)
        *ret = e;
    if (rc == BAKE_OK && path)
        (void)snprintf(path, cap, "%s", e.path);
    bk_listr_free(r);
    return rc;
}

/* Each byte that a name can hold, in each of the places where names stand. */
static void every_byte(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        char name[] = {'x', (char)c, 'y', '\0'};
        struct bake_entry e = {.type = BAKE_SYMLINK,
                               .path = name,
                               .link = name,
                               .user = name,
                               .group = name,
                               .valid = BAKE_HAS_OWNER};
        struct bk_buf line = BK_BUF_INIT;
        struct text_pull pull;
        struct bk_listr *r = NULL;
        struct bake_entry got;
        const char *sha;

        assert_int_equal(bk_listing_line(&line, &e, NULL), 0);
        for (size_t i = 0; i + 1 < line.len; i++)
            assert_true(line.data[i] >= 0x20 && line.data[i] < 0x7f);
        pull = (struct text_pull){.data = line.data, .n = line.len, .piece = 3};
        assert_int_equal(bk_listr_new(pull_text, &pull, &r, NULL), 0);
        assert_int_equal(bk_listr_next(r, &got, &sha, NULL), 0);
        assert_string_equal(got.path, name);
        assert_string_equal(got.link, name);
        assert_string_equal(got.user, name);
        assert_string_equal(got.group, name);
        bk_listr_free(r);
        bk_buf_free(&line);
    }
}

static void every_time(void **state)
{
    (void)state;
    static const int64_t times[] = {0,
                                    1,
                                    -1,
                                    999999999,
                                    -999999999,
                                    1000000000,
                                    -1000000000,
                                    -1000000001,
                                    INT64_MAX,
                                    INT64_MIN,
                                    INT64_MAX - 854775807,
                                    INT64_MIN + 1};

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct bake_entry e = {.type = BAKE_FIFO,
                               .path = "p",
                               .mtime_ns = times[i],
                               .valid = BAKE_HAS_MTIME},
                          got;
        struct bk_buf line = BK_BUF_INIT;

        assert_int_equal(bk_listing_line(&line, &e, NULL), 0);
        assert_int_equal(read_one(line.data, line.len, &got, NULL, 0), 0);
        assert_true(got.mtime_ns == times[i]);
        assert_int_equal(got.valid, BAKE_HAS_MTIME);
        bk_buf_free(&line);
    }
}

static void nothing_known(void **state)
{
    (void)state;
    struct bake_entry e = {.type = BAKE_FILE, .path = "x", .size = 3}, got;
    struct bk_buf line = BK_BUF_INIT;

    assert_int_equal(bk_listing_line(&line, &e, NULL), 0);
    assert_string_equal(line.data, "./x type=file size=3\n");
    assert_int_equal(read_one(line.data, line.len, &got, NULL, 0), 0);
    assert_int_equal(got.valid, 0);
    assert_int_equal(got.size, 3);
    bk_buf_free(&line);
}

static void what_others_write(void **state)
{
    (void)state;
    static const char text[] =
        "#mtree\n\n# a comment\n"
        "./x type=file optional tags=a,b unknown=key time=5.0 size=9 mode=644\n";
    struct bake_entry e;
    char path[16];

    assert_int_equal(read_one(text, sizeof(text) - 1, &e, path, sizeof(path)), 0);
    assert_string_equal(path, "x");
    assert_int_equal(e.mode, 0644);
    assert_int_equal(e.mtime_ns, 5000000000);
    assert_int_equal(read_one("#mtree\n", 7, NULL, NULL, 0), BAKE_END);
    assert_int_equal(read_one("", 0, NULL, NULL, 0), BAKE_END);
}

static void garbled(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x type=file\n",
        "./ type=file\n",
        "./x\n",
        "./x type=\n",
        "./x type=socket\n",
        "./x type=link\n",
        "./\\12 type=file\n",
        "./\\128 type=file\n",
        "./\\ type=file\n",
        "./\\000 type=file\n",
        "./\\400 type=file\n",
        "./\\777 type=file\n",
        "./x type=link link=\\9\n",
        "./x type=file mode=\n",
        "./x type=file mode=8\n",
        "./x type=file mode=10000\n",
        "./x type=file mode=-1\n",
        "./x type=file uid=-1\n",
        "./x type=file uid=4294967296\n",
        "./x type=file gid=x\n",
        "./x type=file size=\n",
        "./x type=file size=-1\n",
        "./x type=file size=18446744073709551616\n",
        "./x type=file size=1k\n",
        "./x type=file nlink=a\n",
        "./x type=file time=\n",
        "./x type=file time=x\n",
        "./x type=file time=1.5\n",
        "./x type=file time=1.-00000001\n",
        "./x type=file time=1.00000-001\n",
        "./x type=file time=1.0000000000000001\n",
        "./x type=file time=9223372036.854775808\n",
        "./x type=file time=-9223372037.145224191\n",
        "./x type=file time=9223372036854775807.000000000\n",
        "./x type=file time=-9223372036854775808.000000000\n",
        "./x type=char device=native,1\n",
        "./x type=char device=native,1,x\n",
        "./x type=char device=native,1,2,3\n",
        "./x type=char device=\n",
        "./x type=file tags=xxh128:\n",
        "./x type=file tags=xxh128:abc\n",
        "./x type=file tags=xxh128:" KIT_SUM "0\n",
        "./x type=file uname=\\1\n",
        "./x type=file gname=\\\n",
        "./x type=file", /* cut */
        "./x",
        ".",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (read_one(bad[i], strlen(bad[i]), NULL, NULL, 0) != BAKE_E_CORRUPT)
            fail_msg("taken for good: %s", bad[i]);
    }
    assert_int_equal(read_one("./x\0y type=file\n", 16, NULL, NULL, 0), BAKE_E_CORRUPT);
    assert_int_equal(read_one("./x type=file \0size=x\n", 22, NULL, NULL, 0), BAKE_E_CORRUPT);
}

/* Cut anywhere but after a line: found; the lines before are still had. */
static void cut_anywhere(void **state)
{
    (void)state;
    const struct bake_entry *all;
    size_t n = kit_entries(&all);
    struct bk_buf text = BK_BUF_INIT;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(bk_listing_line(&text, &all[i], NULL), 0);
    for (size_t cut = 0; cut < text.len; cut++) {
        struct text_pull pull = {.data = text.data, .n = cut, .piece = 64};
        struct bk_listr *r = NULL;
        struct bake_entry e;
        const char *sha;
        size_t lines = 0, whole = 0;
        int rc;

        for (size_t i = 0; i < cut; i++)
            whole += text.data[i] == '\n';
        assert_int_equal(bk_listr_new(pull_text, &pull, &r, NULL), 0);
        while ((rc = bk_listr_next(r, &e, &sha, NULL)) == BAKE_OK)
            lines++;
        assert_int_equal(rc, cut == 0 || text.data[cut - 1] == '\n' ? BAKE_END : BAKE_E_CORRUPT);
        assert_int_equal(lines, whole);
        bk_listr_free(r);
    }
    bk_buf_free(&text);
}

static void endless_line(void **state)
{
    (void)state;
    size_t n = (4u << 20) + 10;
    char *text = malloc(n);
    struct text_pull pull = {.data = text, .n = n, .piece = 1u << 16, .fail_rc = BAKE_E_IO};
    struct bk_listr *r = NULL;
    struct bake_entry e;
    const char *sha;
    struct bk_err err = {0};

    assert_non_null(text);
    memset(text, 'x', n);
    assert_int_equal(bk_listr_new(pull_text, &pull, &r, &err), 0);
    assert_int_equal(bk_listr_next(r, &e, &sha, &err), BAKE_E_CORRUPT);
    bk_listr_free(r);
    pull = (struct text_pull){.data = text, .n = 100, .piece = 10, .fail_rc = BAKE_E_CANCELLED};
    assert_int_equal(bk_listr_new(pull_text, &pull, &r, &err), 0);
    assert_int_equal(bk_listr_next(r, &e, &sha, &err), BAKE_E_CANCELLED);
    bk_listr_free(r);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),        cmocka_unit_test(every_byte),
        cmocka_unit_test(every_time),        cmocka_unit_test(nothing_known),
        cmocka_unit_test(what_others_write), cmocka_unit_test(garbled),
        cmocka_unit_test(cut_anywhere),      cmocka_unit_test(endless_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
