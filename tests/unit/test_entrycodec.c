/* store/entrycodec: entries as records, hostile records, the order of paths. */
#include "repokit.h"

#include "store/entrycodec.h"

static struct bake_entry plain(uint32_t type)
{
    struct bake_entry e = {.struct_size = sizeof(e), .type = type, .path = "dir/name"};

    e.valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME;
    if (type == BAKE_SYMLINK || type == BAKE_HARDLINK)
        e.link = "dir/other";
    return e;
}

static void same_text(const char *a, const char *b)
{
    if (!a || !b)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void same(const struct bake_entry *a, const struct bake_entry *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->valid, b->valid);
    same_text(a->path, b->path);
    same_text(a->link, b->link);
    same_text(a->user, b->user);
    same_text(a->group, b->group);
    same_text(a->fingerprint, b->fingerprint);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->dev_major, b->dev_major);
    assert_int_equal(a->dev_minor, b->dev_minor);
    assert_true(a->size == b->size && a->inode == b->inode && a->device == b->device);
    assert_true(a->nlink == b->nlink);
    assert_true(a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns);
    assert_int_equal(a->xattrs_size, b->xattrs_size);
    if (a->xattrs_size)
        assert_memory_equal(a->xattrs, b->xattrs, a->xattrs_size);
    assert_int_equal(a->n_extents, b->n_extents);
    assert_int_equal(!a->extents, !b->extents);
    for (size_t i = 0; i < a->n_extents; i++)
        assert_memory_equal(&a->extents[i], &b->extents[i], sizeof(a->extents[i]));
}

/* The record within what was written: of a memory block of just its size. */
static unsigned char *record_of(const struct bk_buf *b, size_t *ret_n)
{
    struct bk_reader r = bk_reader_of(b->data, b->len);
    const void *bytes = bk_get_bytes(&r, ret_n);
    unsigned char *copy = malloc(*ret_n + 1);

    assert_non_null(bytes);
    assert_ptr_equal(r.p, r.end);
    assert_non_null(copy);
    memcpy(copy, bytes, *ret_n);
    return copy;
}

static unsigned char *round_trip(const struct bake_entry *e, const struct bk_refs *refs,
                                 size_t *ret_n)
{
    struct bk_stored_entry s = {.flags = 0};
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};
    unsigned char *record;

    assert_int_equal(bk_entry_write(e, BK_ENTRY_UNSURE, refs, &b), 0);
    record = record_of(&b, ret_n);
    if (bk_entry_parse(record, *ret_n, &s, &err) < 0)
        fail_msg("%s", err.text);
    same(e, &s.e);
    assert_int_equal(s.flags, BK_ENTRY_UNSURE);
    assert_int_equal(s.content.n, e->type == BAKE_FILE ? refs->n : 0);
    for (size_t i = 0; i < s.content.n; i++)
        assert_memory_equal(&s.content.refs[i].id, &refs->refs[i].id, sizeof(bk_id));
    bk_stored_entry_release(&s);
    bk_buf_free(&b);
    return record;
}

static void types(void **state)
{
    struct bk_refs none = {0};
    size_t n;

    (void)state;
    for (uint32_t type = BAKE_FILE; type <= BAKE_FIFO; type++) {
        struct bake_entry e = plain(type);

        free(round_trip(&e, &none, &n));
        e.valid = UINT32_MAX;
        e.user = "root";
        e.group = "";
        e.mode = 07777;
        e.uid = e.gid = e.dev_major = e.dev_minor = UINT32_MAX;
        e.inode = e.device = e.nlink = UINT64_MAX;
        e.mtime_ns = INT64_MIN;
        e.ctime_ns = -1;
        e.fingerprint = "etag";
        e.xattrs = "user.a\0\3\0\0\0abc";
        e.xattrs_size = 14;
        e.path = ".";
        free(round_trip(&e, &none, &n));
    }
}

static struct bake_entry sparse(struct bake_extent *x, size_t n)
{
    struct bake_entry e = plain(BAKE_FILE);

    for (size_t i = 0; i < n; i++)
        x[i] = (struct bake_extent){i * 1000 + 10, 100};
    e.size = n * 1000 + 5000;
    e.extents = x;
    e.n_extents = n;
    return e;
}

static void contents(void **state)
{
    static struct bake_extent x[5000];
    static const size_t extents[] = {0, 1, 2, 5000};
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(extents) / sizeof(extents[0]); i++) {
        struct bake_entry e = sparse(x, extents[i]);
        struct bk_refs refs = {0};
        bk_id id = rk_id(i);

        if (extents[i])
            assert_int_equal(bk_refs_add(&refs, &id, extents[i] * 100), 0);
        free(round_trip(&e, &refs, &n));
        bk_refs_release(&refs);
    }
    for (uint64_t k = 0; k <= BK_REFS_INLINE; k++) {
        struct bake_entry e = plain(BAKE_FILE);
        struct bk_refs refs = {.levels = 3};

        for (uint64_t i = 0; i < k; i++) {
            bk_id id = rk_id(i);

            assert_int_equal(bk_refs_add(&refs, &id, i + 1), 0);
        }
        e.size = refs.length;
        free(round_trip(&e, &refs, &n));
        bk_refs_release(&refs);
    }
}

/* Cut at each byte, each bit flipped: refused, or an entry that keeps its promises. */
static void damage(void **state)
{
    struct bake_extent x[3];
    struct bake_entry e = sparse(x, 3);
    struct bk_refs refs = {0};
    struct bk_stored_entry s = {.flags = 0};
    struct bk_err err = {0};
    unsigned char *record;
    bk_id id = rk_id(9);
    size_t n;

    (void)state;
    assert_int_equal(bk_refs_add(&refs, &id, 300), 0);
    e.xattrs = "user.a\0\3\0\0\0abc";
    e.xattrs_size = 14;
    e.user = "somebody";
    record = round_trip(&e, &refs, &n);
    for (size_t cut = 0; cut < n; cut++) {
        unsigned char *copy = malloc(cut + !cut);

        assert_non_null(copy);
        memcpy(copy, record, cut);
        assert_int_equal(bk_entry_parse(copy, cut, &s, &err), BAKE_E_CORRUPT);
        free(copy);
    }
    for (size_t i = 0; i < n * 8; i++) {
        record[i / 8] ^= (unsigned char)(1 << i % 8);
        if (bk_entry_parse(record, n, &s, &err) == 0) {
            assert_true(s.e.path && s.e.path[0] && s.e.path[0] != '/');
            for (size_t k = 0; k < s.e.n_extents; k++)
                assert_true(s.e.extents[k].offset + s.e.extents[k].length <= s.e.size);
        }
        record[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    bk_stored_entry_release(&s);
    bk_refs_release(&refs);
    free(record);
}

/* What can be written but must not be taken. */
static void refused(void **state)
{
    static const char *const paths[] = {"", "/etc", "..", "a/../b", "a//b", "a/", "./a"};
    struct bake_extent overlap[] = {{100, 50}, {120, 10}}, beyond[] = {{0, 20}, {990, 11}};
    struct bake_entry e[14];
    struct bk_refs none = {0}, ten = {0};
    size_t n = 0;
    bk_id id = rk_id(1);

    (void)state;
    assert_int_equal(bk_refs_add(&ten, &id, 10), 0);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        e[n] = plain(i % 2 ? BAKE_DIR : BAKE_HARDLINK);
        *(i % 2 ? &e[n].path : &e[n].link) = paths[i];
        n++;
    }
    e[n++] = plain(0);
    e[n++] = plain(BAKE_FIFO + 1);
    e[n] = plain(BAKE_SYMLINK);
    e[n++].link = NULL;
    e[n] = plain(BAKE_FILE); /* more than its content */
    e[n++].size = 11;
    for (int i = 0; i < 2; i++) {
        e[n] = plain(BAKE_FILE);
        e[n].size = 1000;
        e[n].n_extents = 2;
        e[n++].extents = i ? beyond : overlap;
    }
    for (size_t i = 0; i < n; i++) {
        struct bk_stored_entry s = {.flags = 0};
        struct bk_buf b = BK_BUF_INIT;
        struct bk_err err = {0};
        unsigned char *record;
        size_t size;

        assert_int_equal(bk_entry_write(&e[i], 0, e[i].type == BAKE_FILE ? &ten : &none, &b), 0);
        record = record_of(&b, &size);
        assert_int_equal(bk_entry_parse(record, size, &s, &err), BAKE_E_CORRUPT);
        bk_stored_entry_release(&s);
        free(record);
        bk_buf_free(&b);
    }
    bk_refs_release(&ten);
}

/* A depth-first walk with names in byte order, each directory before what is in it. */
static void order(void **state)
{
    static const char *const walk[] = {".",     "\x01", "a",    "a/\x01", "a/b",   "a/b/c",
                                       "a/b/d", "a/b ", "a/b-", "a/ba",   "a\x01", "a-b",
                                       "a-b/c", "a.b",  "a0",   "ab",     "b",     "\xff"};

    (void)state;
    for (size_t i = 0; i < sizeof(walk) / sizeof(walk[0]); i++)
        for (size_t k = 0; k < sizeof(walk) / sizeof(walk[0]); k++) {
            int want = (i > k) - (i < k), got = bk_path_order(walk[i], walk[k]);

            assert_int_equal((got > 0) - (got < 0), want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(types), cmocka_unit_test(contents),
                                       cmocka_unit_test(damage), cmocka_unit_test(refused),
                                       cmocka_unit_test(order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
