/* The files source both ways: what was read is put back where it came from. */
#include "files_kit.h"

#include <sys/xattr.h>

static int put_back(struct kit *k, void *writer, const struct got *g)
{
    int rc = ops_of()->put_entry(writer, &g->e);
    if (rc != BAKE_OK)
        return rc;
    for (size_t at = 0; at < g->n;) {
        size_t n = g->n - at < k->buffer ? g->n - at : k->buffer;
        struct bake_in in = {g->data + at, n, 0};
        assert_int_equal(ops_of()->write(writer, &in), BAKE_OK);
        assert_int_equal(in.pos, n);
        at += n;
    }
    return ops_of()->entry_end(writer, 1);
}

/* Puts back all that the last run kept. Returns how many entries were refused. */
static size_t restore(struct kit *k, int force)
{
    struct bake_component c = {.struct_size = sizeof(c), .name = ".", .kind = BAKE_TREE};
    struct bake_restore how = {.struct_size = sizeof(how), .purpose = BAKE_RESTORE, .force = force};
    void *self = NULL, *writer = NULL;
    size_t refused = 0;
    assert_int_equal(ops_of()->open(&k->host.ctx, &k->cfg, &self), BAKE_OK);
    how.purpose = BAKE_DRILL; /* would write over the originals */
    assert_int_equal(ops_of()->writer_open(self, &k->host.ctx, &c, &how, &writer),
                     BAKE_E_UNSUPPORTED);
    how.purpose = BAKE_RESTORE;
    assert_int_equal(ops_of()->writer_open(self, &k->host.ctx, &c, &how, &writer), BAKE_OK);
    for (size_t i = 0; i < k->n; i++)
        refused += put_back(k, writer, &k->got[i]) != BAKE_OK;
    assert_int_equal(ops_of()->commit(writer), BAKE_OK);
    ops_of()->writer_close(writer);
    ops_of()->close(self);
    return refused;
}

static void clear(const struct kit *k) { (void)nftw(k->dir, rm_one, 32, FTW_DEPTH | FTW_PHYS); }

static void make_tree(const struct kit *k)
{
    char path[512], to[512], *data = pattern(700000, 2);
    struct timespec times[2] = {{5, 0}, {1234567890, 987654321}};
    make_dir(k, "d");
    make_dir(k, "d/e");
    put(k, "d/e/big", data, 700000);
    put_text(k, "d/small", "small");
    (void)setxattr(in_dir(k, "d/small", path), "user.x", "y", 1, 0);
    assert_int_equal(chmod(path, 04750), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(link(path, in_dir(k, "hard", to)), 0);
    assert_int_equal(symlink("d/small", in_dir(k, "soft", path)), 0);
    assert_int_equal(mkfifo(in_dir(k, "fifo", path), 0600), 0);
    int fd = open(in_dir(k, "sparse", path), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, "end", 3, 50 << 20), 3);
    close(fd);
    assert_int_equal(utimensat(AT_FDCWD, in_dir(k, "d", path), times, 0), 0);
    free(data);
}

/* What a second backup has to say about it. */
struct fact {
    char path[200], link[200];
    uint32_t type, mode;
    uint64_t size;
    int64_t mtime_ns;
    size_t xattrs, extents, n;
    char *data;
};

static size_t facts(const struct kit *k, struct fact *out, size_t cap)
{
    assert_true(k->n <= cap);
    for (size_t i = 0; i < k->n; i++) {
        const struct got *g = &k->got[i];
        memset(&out[i], 0, sizeof(out[i]));
        (void)snprintf(out[i].path, sizeof(out[i].path), "%s", g->e.path);
        (void)snprintf(out[i].link, sizeof(out[i].link), "%s", g->e.link ? g->e.link : "");
        out[i].type = g->e.type;
        out[i].mode = g->e.mode;
        out[i].size = g->e.size;
        out[i].mtime_ns = g->e.mtime_ns;
        out[i].xattrs = g->e.xattrs_size;
        out[i].extents = g->e.n_extents;
        out[i].n = g->n;
        out[i].data = dup_of(g->data, g->n);
    }
    return k->n;
}

static void test_round_trip(void **state)
{
    struct kit *k = *state;
    struct fact *before = calloc(32, sizeof(*before)), *after = calloc(32, sizeof(*after));
    assert_true(before && after);
    make_tree(k);
    run(k);
    size_t n = facts(k, before, 32);
    assert_int_equal(n, 9);
    clear(k);
    assert_int_equal(access(k->dir, F_OK), -1);
    assert_int_equal(restore(k, 0), 0);
    run(k);
    assert_int_equal(facts(k, after, 32), n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(before[i].n, after[i].n);
        assert_true(before[i].n == 0 || memcmp(before[i].data, after[i].data, before[i].n) == 0);
        free(before[i].data);
        free(after[i].data);
        before[i].data = after[i].data = NULL;
        assert_memory_equal(&before[i], &after[i], sizeof(before[i]));
    }
    free(before);
    free(after);
}

static void test_existing_is_kept(void **state)
{
    struct kit *k = *state;
    put_text(k, "f", "as backed up");
    run(k);
    put_text(k, "f", "changed since");
    assert_int_equal(restore(k, 0), 1);
    run(k);
    assert_true(holds(k, "f", "changed since", 13));
    put_text(k, "f", "as backed up");
    run(k);
    put_text(k, "f", "changed since");
    assert_int_equal(restore(k, 1), 0);
    run(k);
    assert_true(holds(k, "f", "as backed up", 12));
}

/* /data is a link: what was read through it goes back through it. */
static void test_link_above_a_root(void **state)
{
    struct kit *k = *state;
    char root[512], path[512];
    make_dir(k, "real");
    make_dir(k, "real/app");
    put_text(k, "real/app/f", "f");
    assert_int_equal(link(in_dir(k, "real/app/f", path), in_dir(k, "real/app/g", root)), 0);
    assert_int_equal(symlink("real", in_dir(k, "data", path)), 0);
    k->paths[0].path = in_dir(k, "data/app", root);
    run(k);
    assert_true(holds(k, "data/app/f", "f", 1));
    for (int round = 0; round < 2; round++) {
        assert_int_equal(unlink(in_dir(k, "real/app/f", path)), 0);
        assert_int_equal(unlink(in_dir(k, "real/app/g", path)), 0);
        if (round == 1) /* even when the root itself is gone */
            assert_int_equal(rmdir(in_dir(k, "real/app", path)), 0);
        assert_int_equal(restore(k, 0), 0);
        struct stat st;
        assert_int_equal(stat(in_dir(k, "real/app/g", path), &st), 0);
        assert_int_equal(st.st_nlink, 2);
        assert_int_equal(lstat(in_dir(k, "data", path), &st), 0);
        assert_true(S_ISLNK(st.st_mode));
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_round_trip),
        T(test_existing_is_kept),
        T(test_link_above_a_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
