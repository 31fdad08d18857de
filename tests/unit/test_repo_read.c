/* store/repo_read: trees and blobs out of a repository, whole and damaged. */
#include "readkit.h"

#include "base/clock.h"
#include "store/listing.h"
#include "store/streamr.h"
#include "store/tar.h"

struct comps {
    struct bk_mcomp c[4];
    size_t n;
};

/* A run of these components. */
static void begin_run(struct fix *x)
{
    if (bk_backup_begin(x->k.store, NULL, &x->k.err) < 0)
        fail_msg("%s", x->k.err.text);
}

static void end_run(struct fix *x)
{
    struct bk_manifest m = {.id = (char *)(uintptr_t)KIT_ID};

    if (bk_backup_seal(x->k.store, &m, &x->k.err) < 0)
        fail_msg("%s", x->k.err.text);
    bk_backup_end(x->k.store);
    ms_drop(&x->k.ms[0], "backups/" KIT_ID "/packs"); /* the next has the same name */
    open_fetch(x, 0);
}

static void write_tree(struct fix *x, const struct tree *t, struct bk_mcomp *ret)
{
    begin_run(x);
    if (tree_write(&x->k, "etc", t, ret) < 0)
        fail_msg("%s", x->k.err.text);
    ret->entries = t->n;
    end_run(x);
}

static int write_blob(struct fix *x, const char *data, size_t n, struct bk_mcomp *ret)
{
    struct bk_compw *w;
    int rc;

    memset(ret, 0, sizeof(*ret));
    ret->name = bk_strdup("dump");
    ret->kind = BAKE_BLOB;
    begin_run(x);
    rc = bk_compw_open(x->k.store, KIT_ID, x->k.cancel, "dump", BAKE_BLOB, &w, &x->k.err);
    assert_int_equal(rc, 0);
    assert_int_equal(bk_compw_data(w, data, n, &x->k.err), 0);
    assert_int_equal(bk_compw_finish(w, ret, &x->k.err), 0);
    bk_compw_free(w);
    end_run(x);
    return rc;
}

/* n files with contents of their own between 0 and `most` bytes; data owned by the caller. */
static char *many_files(struct tree *t, size_t n, size_t most)
{
    char *data = (char *)rk_bytes(n * 16 + most, 5), path[64];
    uint64_t seed = 1;

    tree_add(t, BAKE_DIR, ".", NULL, 0);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(path, sizeof(path), "file-%06zu", i);
        tree_add(t, BAKE_FILE, path, data + i * 16, rk_next(&seed) % most);
    }
    return data;
}

/* n links whose records are long: many chunks of them in few entries. Their target is the caller's.
 */
static char *many_links(struct tree *t, size_t n)
{
    char *target = calloc(1, 1501), path[64];

    assert_non_null(target);
    memset(target, 'x', 1500);
    tree_add(t, BAKE_DIR, ".", NULL, 0);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(path, sizeof(path), "link-%06zu", i);
        tree_add(t, BAKE_SYMLINK, path, NULL, 0)->link = target;
    }
    return target;
}

static void all_kinds(void **state)
{
    static const unsigned flags[] = {0, BK_COMPR_LIST, BK_COMPR_FEW};
    struct fix *x = *state;
    char *data = kit_bytes(300000, 1);
    struct tree t = {0};
    struct bk_mcomp c;

    tree_of_all(&t, data);
    write_tree(x, &t, &c);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct tree_got g;

        tree_read(&x->k, &c, &t, flags[i], &g);
        if (g.rc < 0)
            fail_msg("%s", x->k.err.text);
        assert_int_equal(g.entries, t.n);
        assert_int_equal(g.bad.n, 0);
        tree_got_free(&g);
    }
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

/* Many files, larger than a pack, and one of many chunks among them. */
static void many(void **state)
{
    struct fix *x = *state;
    struct tree t = {0};
    struct bk_mcomp c;
    struct tree_got g;
    char *data = many_files(&t, 400, 75000);
    char *big = (char *)rk_bytes(10u << 20, 9);

    tree_add(&t, BAKE_FILE, "large", big, 10u << 20);
    tree_add(&t, BAKE_FILE, "last", big, 100);
    write_tree(x, &t, &c);
    tree_read(&x->k, &c, &t, 0, &g);
    if (g.rc < 0)
        fail_msg("%s", x->k.err.text);
    assert_int_equal(g.entries, t.n);
    /* some 25 MB: two packs, one of records, in ranges of a sixth of the cache or more */
    assert_in_range(x->k.ms[0].calls[MS_GET_BEGIN], 3, 12);
    assert_in_range(x->f->room.peak, 1, BK_FETCH_CACHE);
    assert_int_equal(x->f->ahead, 0);
    tree_got_free(&g);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
    free(big);
}

static int open_reader(struct fix *x, const struct bk_mcomp *c, unsigned flags,
                       struct bk_compr **ret)
{
    struct bk_manifest m = {.id = (char *)(uintptr_t)KIT_ID};

    bk_err_clear(&x->k.err);
    return bk_compr_open(x->k.store, bk_store_base(x->k.store), &m, c, flags, x->k.cancel, ret,
                         &x->k.err);
}

static void blobs(void **state)
{
    static const size_t sizes[] = {0, 1, 70000, 5u << 20};
    struct fix *x = *state;
    char *data = (char *)rk_bytes(5u << 20, 3);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct bk_buf got = BK_BUF_INIT;
        struct bk_content *content;
        struct bk_compr *r;
        struct bk_mcomp c;
        uint64_t bytes;
        int rc = BAKE_OK;

        write_blob(x, data, sizes[i], &c);
        assert_int_equal(open_reader(x, &c, 0, &r), 0);
        assert_int_equal(bk_compr_detach(r, &content, &x->k.err), 0);
        assert_int_equal(bk_content_check(content, &bytes, &x->k.err), 0);
        assert_int_equal(bytes, sizes[i]);
        bk_content_free(content);
        while (rc == BAKE_OK) {
            struct bake_out out;

            assert_int_equal(bk_buf_reserve(&got, 100000), 0);
            out = (struct bake_out){got.data + got.len, 100000, 0};
            rc = bk_compr_read(r, &out, &x->k.err);
            got.len += out.pos;
        }
        assert_int_equal(rc, BAKE_END);
        assert_int_equal(got.len, sizes[i]);
        if (sizes[i])
            assert_memory_equal(got.data, data, sizes[i]);
        assert_int_equal(bk_compr_finish(r, &x->k.err), 0);
        bk_compr_free(r);
        c.sha256[0] ^= 1; /* a manifest that was put together from two */
        assert_int_equal(open_reader(x, &c, 0, &r), BAKE_E_CORRUPT);
        bk_mcomp_release(&c);
        bk_buf_free(&got);
    }
    free(data);
}

struct raw {
    struct bk_compr *r;
    char buffer[5000];
    struct bk_err err;
};

static int pull_raw(void *arg, const void **data, size_t *n)
{
    struct raw *raw = arg;
    struct bake_out out = {raw->buffer, sizeof(raw->buffer), 0};
    int rc = bk_compr_read(raw->r, &out, &raw->err);

    *data = raw->buffer;
    *n = out.pos;
    return rc < 0 ? rc : BAKE_OK;
}

/* cat of a whole tree is a tar. */
static void as_tar(void **state)
{
    struct fix *x = *state;
    char *data = kit_bytes(300000, 1);
    struct tree t = {0};
    struct bk_mcomp c;
    struct raw raw = {.r = NULL};
    struct bk_tarr *tar;
    struct bake_entry e;

    tree_of_all(&t, data);
    write_tree(x, &t, &c);
    assert_int_equal(open_reader(x, &c, BK_COMPR_RAW, &raw.r), 0);
    assert_int_equal(bk_tarr_new(pull_raw, &raw, &tar, &x->k.err), 0);
    for (size_t i = 0; i < t.n; i++) {
        struct bk_buf got = BK_BUF_INIT;
        char buffer[9999];
        int rc = bk_tarr_next(tar, &e, &x->k.err);

        if (rc != BAKE_OK)
            fail_msg("%s", x->k.err.text);
        assert_string_equal(e.path, t.items[i].path);
        tree_same(&e, &t.items[i].e, false);
        while (e.type == BAKE_FILE && rc == BAKE_OK) {
            struct bake_out out = {buffer, sizeof(buffer), 0};

            rc = bk_tarr_read(tar, &out, &x->k.err);
            assert_int_equal(bk_buf_add(&got, buffer, out.pos), 0);
        }
        assert_true(rc >= 0);
        assert_int_equal(got.len, t.items[i].n);
        if (got.len)
            assert_memory_equal(got.data, t.items[i].data, got.len);
        bk_buf_free(&got);
    }
    assert_int_equal(bk_tarr_next(tar, &e, &x->k.err), BAKE_END);
    bk_tarr_free(tar);
    assert_int_equal(bk_compr_finish(raw.r, &x->k.err), 0);
    bk_compr_free(raw.r);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

/* Equal contents have equal identities, others have not; what is no file has none. */
static void identities(void **state)
{
    struct fix *x = *state;
    char *data = kit_bytes(1000, 1), first[80] = "";
    struct tree t = {0};
    struct bk_mcomp c;
    struct bk_compr *r;
    struct bake_entry e;

    tree_add(&t, BAKE_DIR, ".", NULL, 0);
    tree_add(&t, BAKE_FILE, "a", data, 900);
    tree_add(&t, BAKE_FILE, "b", data, 900);
    tree_add(&t, BAKE_FILE, "c", data + 1, 900);
    tree_add(&t, BAKE_HARDLINK, "d", NULL, 0)->link = "a";
    write_tree(x, &t, &c);
    assert_int_equal(open_reader(x, &c, BK_COMPR_LIST, &r), 0);
    for (size_t i = 0; i < t.n; i++) {
        const char *id;

        assert_int_equal(bk_compr_next(r, &e, &x->k.err), 0);
        id = bk_compr_identity(r);
        assert_int_equal(id[0] != '\0', e.type == BAKE_FILE);
        if (i == 1)
            (void)snprintf(first, sizeof(first), "%s", id);
        if (i == 2)
            assert_string_equal(id, first);
        if (i == 3)
            assert_string_not_equal(id, first);
    }
    assert_int_equal(bk_compr_next(r, &e, &x->k.err), BAKE_END);
    bk_compr_free(r);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static struct ms_object *pack_of_kind(struct fix *x, enum bk_pack_kind kind)
{
    for (size_t i = 0; i < x->k.ms[0].n; i++) {
        struct ms_object *o = &x->k.ms[0].objects[i];
        struct bk_pack_head head;

        if (strncmp(o->name, "packs/", 6) != 0)
            continue;
        assert_int_equal(bk_pack_head_parse(o->data,
                                            o->n < BK_PACK_HEAD_MAX ? o->n : BK_PACK_HEAD_MAX,
                                            &head, &x->k.err),
                         0);
        bk_strv_free(&head.transforms);
        if (head.kind == kind)
            return o;
    }
    fail_msg("there is no such pack");
    return NULL;
}

/* The files of one segment are lost and named; all others come back. */
static void damaged_content(void **state)
{
    struct fix *x = *state;
    struct tree t = {0};
    struct bk_mcomp c;
    struct tree_got g;
    struct ms_object *o;
    char *data = many_files(&t, 800, 10000);

    write_tree(x, &t, &c);
    o = pack_of_kind(x, BK_PACK_DATA);
    o->data[o->n / 2] ^= 1;
    t.loose = true;
    tree_read(&x->k, &c, &t, 0, &g);
    assert_int_equal(g.rc, 0);
    assert_in_range(g.bad.n, 100, 700);
    assert_int_equal(g.entries + g.bad.n, t.n);
    assert_non_null(strstr(x->k.err.text, "of component 'etc'"));
    tree_got_free(&g);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

static uint64_t check_all(struct fix *x, const struct bk_mcomp *c, uint64_t *bytes)
{
    struct bk_compr *r;
    struct bake_entry e;
    uint64_t bad = 0;

    assert_int_equal(open_reader(x, c, 0, &r), 0);
    *bytes = 0;
    while (bk_compr_next(r, &e, &x->k.err) == BAKE_OK) {
        struct bk_content *content;
        uint64_t n;
        int rc;

        if (e.type != BAKE_FILE)
            continue;
        assert_int_equal(bk_compr_detach(r, &content, &x->k.err), 0);
        rc = bk_content_check(content, &n, &x->k.err);
        assert_true(rc == 0 || rc == BAKE_E_CORRUPT);
        bad += rc < 0;
        *bytes += rc < 0 ? 0 : n;
        bk_content_free(content);
    }
    assert_int_equal(bk_compr_finish(r, &x->k.err), 0);
    bk_compr_free(r);
    return bad;
}

static void checking(void **state)
{
    struct fix *x = *state;
    struct tree t = {0};
    struct bk_mcomp c;
    struct ms_object *o;
    char *data = many_files(&t, 800, 10000);
    uint64_t bytes, all = 0, bad;
    unsigned before;

    for (size_t i = 0; i < t.n; i++)
        all += t.items[i].n;
    write_tree(x, &t, &c);
    assert_int_equal(check_all(x, &c, &bytes), 0);
    assert_int_equal(bytes, all);
    before = x->k.ms[0].calls[MS_GET_BEGIN];
    assert_int_equal(check_all(x, &c, &bytes), 0); /* all of it is proven */
    assert_int_equal(x->k.ms[0].calls[MS_GET_BEGIN], before);
    open_fetch(x, 0);
    o = pack_of_kind(x, BK_PACK_DATA);
    o->data[o->n / 2] ^= 1;
    bad = check_all(x, &c, &bytes);
    assert_in_range(bad, 100, 700);
    assert_true(bytes < all);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

/* A chunk of records that is lost takes its entries along and no more. */
static void damaged_records(void **state)
{
    struct fix *x = *state;
    struct tree t = {0};
    struct bk_mcomp c;
    struct bk_compr *r;
    struct bake_entry e;
    char *data = many_links(&t, 1300), last[64] = "";
    uint64_t segment, entries = 0;
    struct ms_object *o;
    struct bk_loc loc;
    int rc;

    write_tree(x, &t, &c);
    assert_in_range(c.stream.n, 6, 16);
    o = pack_of(x, &c.stream.refs[3].id, &loc, &segment);
    o->data[segment + loc.offset + 1000] ^= 1; /* no transforms: one chunk alone */
    for (int list = 0; list < 2; list++) {
        open_fetch(x, 0);
        entries = 0;
        last[0] = '\0';
        assert_int_equal(open_reader(x, &c, list ? BK_COMPR_LIST : 0, &r), 0);
        while ((rc = bk_compr_next(r, &e, &x->k.err)) == BAKE_OK) {
            assert_true(bk_path_order(last[0] ? last : ".", e.path) < 0 || entries == 0);
            (void)snprintf(last, sizeof(last), "%s", e.path);
            entries++;
        }
        assert_int_equal(rc, BAKE_E_CORRUPT);
        assert_non_null(strstr(x->k.err.text, "are lost"));
        assert_false(bk_compr_bad_entry(r));
        assert_int_equal(bk_compr_finish(r, &x->k.err), BAKE_E_CORRUPT);
        bk_compr_free(r);
        assert_string_equal(last, t.items[t.n - 1].path);
        assert_in_range(entries, t.n / 2, t.n - 100);
    }
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

/* Records behind a list of lists, and the packs that hold them. */
static void proven_records(void **state)
{
    struct fix *x = *state;
    struct tree t = {0};
    struct bk_mcomp c;
    struct bk_compr *r;
    struct bake_entry e;
    char *data = many_links(&t, 3400);
    struct ms_object *o;
    uint64_t segment, n;
    struct bk_loc loc;

    write_tree(x, &t, &c);
    assert_int_equal(c.stream.levels, 1);
    for (int damaged = 0; damaged < 2; damaged++) {
        open_fetch(x, 0);
        if (damaged) { /* the chunk table, of which reading has no need */
            o = pack_of(x, &c.stream.refs[0].id, &loc, &segment);
            o->data[o->n - BK_PACK_FOOTER - 10] ^= 1;
        }
        assert_int_equal(open_reader(x, &c, BK_COMPR_PROVE, &r), 0);
        for (n = 0; bk_compr_next(r, &e, &x->k.err) == BAKE_OK;)
            n++;
        assert_int_equal(n, t.n);
        assert_int_equal(bk_compr_finish(r, &x->k.err), damaged ? BAKE_E_CORRUPT : 0);
        bk_compr_free(r);
    }
    assert_non_null(strstr(x->k.err.text, "its metadata"));
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

static void cancelled(void **state)
{
    struct fix *x = *state;
    struct tree t = {0};
    struct bk_mcomp c;
    struct bk_compr *r;
    struct bk_content *content;
    struct bake_entry e;
    char *data = many_files(&t, 10, 1000), buffer[100];
    struct bake_out out = {buffer, sizeof(buffer), 0};
    uint64_t bytes;

    write_tree(x, &t, &c);
    assert_int_equal(open_reader(x, &c, 0, &r), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bk_compr_next(r, &e, &x->k.err), 0);
    assert_int_equal(bk_compr_detach(r, &content, &x->k.err), 0);
    bk_cancel_fire(x->k.cancel);
    assert_int_equal(bk_content_read(content, &out, &x->k.err), BAKE_E_CANCELLED);
    assert_int_equal(bk_content_check(content, &bytes, &x->k.err), BAKE_E_CANCELLED);
    assert_int_equal(bk_compr_next(r, &e, &x->k.err), BAKE_E_CANCELLED);
    assert_int_equal(bk_compr_finish(r, &x->k.err), BAKE_E_CANCELLED);
    bk_content_free(content);
    bk_compr_free(r);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

struct hand {
    pthread_t thread;
    struct bk_content *content;
    const struct tree_item *want;
    int rc;
};

static void *read_one(void *arg)
{
    struct hand *h = arg;
    char *buffer = malloc(h->want->n + 1000);
    struct bake_out out = {buffer, h->want->n + 1000, 0};
    struct bk_err err = {0};

    do
        h->rc = bk_content_read(h->content, &out, &err);
    while (h->rc == BAKE_OK);
    if (out.pos != h->want->n || memcmp(buffer, h->want->data, out.pos) != 0)
        h->rc = -1;
    free(buffer);
    return NULL;
}

/* Contents are read on other threads while the reader goes on. */
static void hands(void **state)
{
    struct fix *x = *state;
    struct tree t = {0};
    struct bk_mcomp c;
    struct bk_compr *r;
    struct bake_entry e;
    struct hand h[4] = {{.rc = 0}};
    char *data = many_files(&t, 200, 200000);
    size_t n = 0;

    write_tree(x, &t, &c);
    assert_int_equal(open_reader(x, &c, 0, &r), 0);
    for (size_t i = 0; i < t.n; i++) {
        assert_int_equal(bk_compr_next(r, &e, &x->k.err), 0);
        if (e.type != BAKE_FILE)
            continue;
        h[n].want = &t.items[i];
        assert_int_equal(bk_compr_detach(r, &h[n].content, &x->k.err), 0);
        assert_int_equal(pthread_create(&h[n].thread, NULL, read_one, &h[n]), 0);
        if (++n < 4)
            continue;
        for (n = 0; n < 4; n++) {
            pthread_join(h[n].thread, NULL);
            assert_int_equal(h[n].rc, BAKE_END);
            bk_content_free(h[n].content);
        }
        n = 0;
    }
    assert_int_equal(n, 0);
    assert_int_equal(bk_compr_finish(r, &x->k.err), 0);
    assert_in_range(x->f->room.peak, 1, BK_FETCH_CACHE);
    bk_compr_free(r);
    bk_mcomp_release(&c);
    tree_free(&t);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_kinds),       TP(many),           T(blobs),    TP(as_tar),
        T(identities),      T(damaged_content), T(checking), TP(damaged_records),
        TP(proven_records), T(cancelled),       TP(hands)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
